"""Transfer curves of tables in the order of time: the newest period is charged, and not seen."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import ExponentialSmoothing
from sklearn_pttf.finetune import FullFinetune
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Newsvendor
from support.networks import fresh_checkpoint

N, M = 20, 8


def _sold(last=None):
    rng = np.random.default_rng(0)
    level = rng.gamma(2.0, 10.0, (N, 1)) * np.exp(0.3 * rng.normal(size=M))
    X = level * rng.lognormal(0.0, 0.5, (N, M))
    if last is not None:
        X[:, -1] = last
    return X


def _curve(X, y=None, methods=("finetuned", "scratch", "saa"), **roles):
    cv = [(np.arange(N - 1, N), np.arange(N - 1))]
    problem = Newsvendor(1.0, 1.0, ordered=True, **roles)
    strategy = FullFinetune(max_epochs=1, baselines=False)
    pdt = PretrainedDecisionTransformer(problem, checkpoint=fresh_checkpoint(), finetune=strategy)
    return transfer_curve(pdt, X, y, n_instances=[N], cv=cv, methods=methods, random_state=0)


def test_decisions_do_not_see_the_period_that_they_are_charged_on(monkeypatch):
    """Orders cost as much on an outcome of 0 as they fall short of one that is beyond them all."""
    monkeypatch.setattr("sklearn_pttf.finetune._scratch.MAX_EPOCHS", 1)
    monkeypatch.setattr("sklearn_pttf.finetune._scratch.LEARNING_RATES", (1e-3,))
    low, high = (_curve(_sold(last)).cost[:, 0, 0] for last in (0.0, 1e6))
    assert (low > 5).all()
    assert_allclose(low + high, 1e6)


def test_the_newest_period_may_be_given_as_y():
    X = _sold()
    methods = ("pretrained", "best_baseline", "saa")
    own, given = _curve(X, methods=methods), _curve(X[:, :-1], X[:, -1], methods=methods)
    assert_allclose(own.cost, given.cost)
    assert own.baselines == [
        "SampleAverage",
        "ExponentialSmoothing",
        "NegativeBinomialSmoothing",
        "SeasonalNaive",
    ]
    decided = ExponentialSmoothing().fit(X[:, :-1]).decide(X[:, :-1])
    assert_allclose(own.baseline_cost[1, 0, 0], np.abs(decided - X[:, -1])[:-1].mean())


@pytest.mark.parametrize(
    ("y", "horizon", "message"),
    [
        (np.ones((N, 2)), 1, "y must have 1 column with ordered or drivers"),
        (np.ones(N), 2, "y must have 2 columns with ordered or drivers"),
        (None, 2, "give y"),
    ],
)
def test_other_periods_are_refused(y, horizon, message):
    with pytest.raises(ValueError, match=message):
        _curve(_sold(), y, horizon=horizon)
