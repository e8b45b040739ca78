"""Baselines as candidates of the guard, for values of any sign."""

import numpy as np
import pytest

from sklearn_pttf import Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._kinds.base import OF_AMOUNTS
from sklearn_pttf._kinds.registry import kind_of
from sklearn_pttf._kinds.values.kind import Values
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
)
from sklearn_pttf.finetune import HeadFinetune, _guard
from sklearn_pttf.finetune._rivals import baseline_laws, fitted_baseline
from sklearn_pttf.finetune._rounds import Round, hindsight_costs
from sklearn_pttf.problems import Estimation, Newsvendor, Selection

nan = np.nan
KINDS = [JamesStein, ParametricEmpiricalBayes, NonparametricEmpiricalBayes]
PROBLEM = Estimation(standard_errors=Column(3))


def _table(n_rows=30):
    """Three observations of values around 0, the last column their standard error."""
    rng = np.random.RandomState(0)
    errors = rng.lognormal(size=(n_rows, 1))
    values = rng.normal(size=(n_rows, 1)) + errors * rng.normal(size=(n_rows, 3))
    return np.hstack([values, errors])


def test_candidates():
    X = _table()
    assert kind_of(PROBLEM.read(X)).baselines == tuple(KINDS)
    assert kind_of(Newsvendor().read(abs(X))).baselines == OF_AMOUNTS
    assert kind_of(Estimation().read(np.rint(abs(X)))).baselines == OF_AMOUNTS


@pytest.mark.parametrize("kind", KINDS)
def test_known_errors_are_used(kind):
    X = _table()
    X[0, 3], X[1, :3] = nan, nan
    portfolio = PROBLEM.read(X)
    found = fitted_baseline(kind, portfolio)._predict_law(portfolio)
    expected = kind(PROBLEM).fit(X).predict_distribution(X)
    np.testing.assert_array_equal(found.quantile(0.3), expected.quantile(0.3))


@pytest.mark.parametrize("kind", KINDS)
def test_whole_values_stay_values(kind):
    portfolio = Portfolio(np.array([[1.0, 2.0], [0.0, 0.0], [7.0, 4.0]]), real=True, integer=False)
    assert not fitted_baseline(kind, portfolio).integer_


@pytest.mark.parametrize("problem", [PROBLEM, Selection(5, standard_errors=Column(3))], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_charged_on_means(kind, problem):
    X = _table()
    portfolio = problem.read(X)
    rounds = [Round(portfolio, np.arange(30.0)[:, None])]
    laws = baseline_laws(kind, problem, rounds)
    decisions = kind(problem).fit(X).decide(X)
    expected = problem.cost(decisions, np.arange(30.0))
    np.testing.assert_allclose(hindsight_costs(problem, laws, rounds), expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_takes_the_place_of_the_network(kind, monkeypatch):
    def take_baseline(costs, *compared, choose=_guard.choose):
        assert np.isfinite(costs["baseline"]).all()
        return "baseline", choose(costs, *compared)[1]

    monkeypatch.setattr(_guard, "choose", take_baseline)
    monkeypatch.setattr(Values, "baselines", (kind,))
    X = _table(24)
    once = HeadFinetune(max_epochs=1, validation_fraction=0.5)
    pdt = PretrainedDecisionTransformer(PROBLEM, finetune=once, random_state=0).fit(X)
    assert isinstance(pdt.baseline_, kind)
    baseline = kind(PROBLEM).fit(X)
    found, info = pdt.decide(X, return_info=True)
    expected, expected_info = baseline.decide(X, return_info=True)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(info.upper, expected_info.upper)
    np.testing.assert_array_equal(pdt.predict_quantiles(X, 0.9), baseline.predict_quantiles(X, 0.9))
