"""`AutoFinetune`: when it trains, and from which start."""

import numpy as np
import pytest
import torch

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import AutoFinetune, FinetuneStrategy, FullFinetune
from sklearn_pttf.finetune._auto import is_doubted
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal
from support.finetuning import X, finetune_data, quick_estimator
from support.networks import TINY


def test_auto_trains_on_few_rows_only_where_the_prior_is_wrong(checkpoint):
    X = LognormalNormal(3.0, 0.3, 0.4).sample(100, 4, random_state=0).observations
    auto = AutoFinetune(max_seconds=0.01, baselines=False)
    right = PretrainedDecisionTransformer(finetune=auto, random_state=0).fit(X)
    wrong = quick_estimator(checkpoint, finetune=auto).fit(X)
    assert "the pretrained law fits them" in right.finetune_report_["reason"]
    assert right.finetune_report_["prior_conflict"] > 24 / 100
    assert "reason" not in wrong.finetune_report_
    assert wrong.finetune_report_["prior_conflict"] < 1e-6


@pytest.mark.parametrize(
    ("n_rows", "conflict", "trained"),
    [
        (149, 0.17, False),
        (149, 0.15, True),
        (30, 0.81, False),
        (30, 0.79, True),
        (12, 0.81, False),
        (150, 0.5, True),
        (100_000, 0.5, True),
    ],
)
def test_the_rule_of_auto(n_rows, conflict, trained):
    strategy = AutoFinetune(max_seconds=7.0, baselines=False).choose(n_rows, conflict)
    assert (strategy is not None) == trained
    if trained:
        assert strategy.max_seconds == 7.0
        assert not strategy.baselines
        assert strategy.start == "pretrained"
        assert AutoFinetune().choose(n_rows, conflict, True).start == "moments"


def test_auto_is_a_strategy_that_trains_all_weights():
    auto = AutoFinetune(max_seconds=60.0)
    assert auto.get_params() == {"max_seconds": 60.0, "baselines": True}
    rows = np.arange(2), np.arange(2, 4)
    runs = []
    for strategy in (auto, FullFinetune(max_seconds=60.0)):
        torch.manual_seed(0)
        network = DecisionNetwork(TINY)
        runs.append(
            strategy.train(network, Newsvendor(), finetune_data(np.nan_to_num(X)), *rows, seed=0)
        )
    assert isinstance(auto, FinetuneStrategy)
    assert runs[0].history == runs[1].history


def test_auto_starts_from_moments_where_the_pretrained_network_is_worse(garbled, more_rows):
    X = more_rows
    starts = []

    class Watch(AutoFinetune):
        def choose(self, n_rows, conflict, moments_are_cheaper=False):
            starts.append(moments_are_cheaper)
            return None

    fitted = quick_estimator(garbled, finetune=Watch()).fit(X)
    assert is_doubted(fitted.finetune_report_["prior_conflict"], len(X))
    PretrainedDecisionTransformer(finetune=Watch(), random_state=0).fit(X)
    assert starts == [True, False]


def test_p_values_of_later_outcomes_are_even(checkpoint):
    """So that auto takes few right laws for wrong ones, as with observations held out."""
    law = GammaPoisson(10.0, 1.0)
    trained = []
    for seed in range(30):
        portfolio = law.sample(100, 6, random_state=seed)
        X, y = portfolio.observations[:, :4], portfolio.observations[:, 4:]
        fitted = PretrainedDecisionTransformer(
            finetune=AutoFinetune(max_seconds=1e-6, baselines=False), random_state=0
        ).fit(X, y)
        trained.append("reason" not in fitted.finetune_report_)
    assert sum(trained) <= 4  # of 30 that are right; a quarter were


def test_warm_starts_keep_their_weights_where_nothing_is_trained(checkpoint, table):
    X = table[0]
    week = quick_estimator(checkpoint, warm_start=True).fit(X)
    before = week.finetuned_checkpoint_
    assert before is not None
    week.fit(X[:8])
    assert week.finetune_report_["candidate"].tolist() == ["finetuned"]
    assert week.finetune_report_["reason"] == "8 rows to charge are fewer than 12"
    assert week.finetuned_checkpoint_.fingerprint() == before.fingerprint()
    assert week.finetune_improved_
    week.set_params(finetune=None).fit(X[:8])
    assert week.finetuned_checkpoint_ is None


def test_warm_starts_forget_nothing(garbled, more_rows):
    X = more_rows
    strategy = AutoFinetune(max_seconds=0.01, baselines=False)
    first = quick_estimator(garbled, finetune=strategy, warm_start=True).fit(X)
    assert first.finetuned_checkpoint_ is not None
    started = []

    class Watch(AutoFinetune):
        def choose(self, n_rows, conflict, moments_are_cheaper=False):
            started.append(moments_are_cheaper)
            return super().choose(n_rows, conflict, moments_are_cheaper)

    first.set_params(finetune=Watch(max_seconds=0.01, baselines=False)).fit(X)
    assert started == [False]


def test_auto_is_the_default_and_short_for_its_object(checkpoint):
    X = make_demand_portfolio(30, 4, random_state=0)
    assert PretrainedDecisionTransformer().finetune == "auto"
    short, long = (quick_estimator(checkpoint, finetune=each) for each in ("auto", AutoFinetune()))
    assert "reason" not in short.fit(X).finetune_report_
    long.fit(X)
    np.testing.assert_array_equal(short.decide(X), long.decide(X))
