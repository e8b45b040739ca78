"""Finetuning on real rows: what is held out, what is trained, and what the guard chooses."""

import copy
import itertools
import pickle
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, LRScheduler

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior, pretrain
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._training import own_prior as _own_prior
from sklearn_pttf.datasets import load_horse_kicks, make_demand_portfolio
from sklearn_pttf.finetune import (
    AutoFinetune,
    FinetuneStrategy,
    FullFinetune,
    HeadFinetune,
    LoRAFinetune,
    _candidates,
    _guard,
)
from sklearn_pttf.finetune._auto import is_doubted
from sklearn_pttf.finetune._base import Finetuned, FinetuneLoss
from sklearn_pttf.finetune._candidates import blended, cross_fitted_laws, prior_conflict
from sklearn_pttf.finetune._choice import best_of_others, choose
from sklearn_pttf.finetune._data import (
    FinetuneData,
    TrainingBatches,
    ValidationBatches,
    cells_in_turn,
    drawn_cells,
    make_batch,
)
from sklearn_pttf.finetune._replay import Replay
from sklearn_pttf.finetune._rounds import (
    FOLD_ROWS,
    Round,
    charge_rounds,
    folds_of,
    hindsight_costs,
)
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

NAN = np.nan
TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
X = np.array([[1.0, 2.0, NAN], [3.0, NAN, NAN], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
STRATEGIES = [FullFinetune, HeadFinetune, LoRAFinetune]


def _data(X=X, outcomes=None):
    n = len(X)
    return FinetuneData(X, outcomes, np.full(n, 0.9), np.ones(n), np.ones(n), True)


def _network(seed=0):
    torch.manual_seed(seed)
    return DecisionNetwork(TINY)


@pytest.fixture(scope="module")
def checkpoint():
    """A network whose laws are far too narrow, which no recalibration mends."""
    start = pretrain(SyntheticPrior(), network=TINY, n_steps=3, rows=100, verbose=0)
    network = start.build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[3] -= 1.2  # of the log width
    return Checkpoint.from_network(network, start.card)


@pytest.fixture(scope="module")
def garbled(checkpoint):
    """A network whose laws hang on states that mean nothing, so that moments alone are better."""
    network = checkpoint.build_network()
    with torch.no_grad():
        noise = torch.randn(network.head.mlp[-1].weight.shape, generator=torch.manual_seed(0))
        network.head.mlp[-1].weight += 0.3 * noise
        network.head.mlp[-1].bias[3] += 1.2
    return Checkpoint.from_network(network, checkpoint.card)


@pytest.fixture(scope="module")
def table():
    return make_demand_portfolio(240, 6, n_outcomes=100, noise=0.8, random_state=0)


# ---------------------------------------------------------------- batches


def test_a_charged_observation_is_not_evidence():
    cells = np.array([1, 0, 2, 0])
    inputs, targets = make_batch(_data(), np.array([2, 0, 1]), np.ones(3, dtype=bool), cells)
    np.testing.assert_array_equal(
        inputs["observations"][0], [[4, 5, NAN], [1, NAN, NAN], [3, NAN, NAN]]
    )
    # a row's only observation is kept, and not charged
    assert targets["outcomes"][0, :2, 0].tolist() == [6.0, 2.0]
    assert (targets["weight"][0] > 0).tolist() == [True, True, False]


def test_later_outcomes_leave_the_evidence_alone():
    y = np.array([[1.0], [2.0], [NAN], [4.0]])
    inputs, targets = make_batch(
        _data(outcomes=y), np.arange(4), np.ones(4, bool), np.zeros(4, int)
    )
    np.testing.assert_array_equal(inputs["observations"][0], X)
    assert (targets["weight"][0] > 0).tolist() == [True, True, False, True]


def test_cells_in_turn_are_each_observation_once():
    turns = cells_in_turn(_data(), 3, np.random.default_rng(0))
    assert sorted(turns[:, 2]) == [0, 1, 2]
    assert set(turns[:, 0]) == {0, 1}
    assert set(turns[:, 1]) == {0}


def test_drawn_cells_are_observed():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert not np.isnan(X[np.arange(4), drawn_cells(_data(), rng)]).any()


@pytest.mark.parametrize("n_together", [1, 2])
def test_training_batches_hold_each_row_once_a_pass(n_together):
    data = _data(np.arange(70.0).reshape(10, 7))
    batches = TrainingBatches(data, np.arange(1, 10), 4, 2, n_together, seed=0)
    first = [targets["outcomes"][..., 0] for _, targets in batches]
    assert [tuple(outcomes.shape) for outcomes in first] == [(n_together, 3)] * (6 // n_together)
    passes = [first[:3], first[3:]] if n_together == 1 else zip(*first, strict=True)
    for one in passes:
        rows = torch.cat([part.ravel() for part in one]) // 7
        assert sorted(rows.tolist()) == list(range(1, 10))
    seen = [targets["outcomes"].ravel().tolist() for _, targets in batches]
    again = TrainingBatches(data, np.arange(1, 10), 4, 2, n_together, seed=0)
    list(again)
    assert seen == [targets["outcomes"].ravel().tolist() for _, targets in again]


@pytest.mark.parametrize("n_together", [1, 2])
def test_epochs_of_large_tables_have_few_batches(n_together):
    data = _data(np.arange(4000.0).reshape(1000, 4))
    training = TrainingBatches(data, np.arange(1000), 10, 4, n_together, seed=0)
    assert len(list(training)) == 8 // n_together
    validation = ValidationBatches(data, np.arange(20), np.arange(20, 100), 10, seed=0)
    assert len(list(validation)) == 10  # every row once
    few = ValidationBatches(data, np.arange(20), np.arange(20, 100), 50, seed=0)
    assert [len(targets["weight"]) for _, targets in few] == [3, 3]


def test_validation_batches_charge_only_their_rows():
    data = _data(np.arange(70.0).reshape(10, 7))
    (batch,) = ValidationBatches(data, np.array([3, 8]), np.array([0, 1, 2]), 100, seed=0)
    inputs, targets = batch
    assert inputs["observations"].shape == (3, 5, 7)  # a portfolio for every cell that is held out
    for turn in range(3):
        assert (targets["weight"][turn] > 0).tolist() == [True, True, False, False, False]
        assert targets["half"][turn, :2].tolist() == [0, 1]
    assert len(set(targets["outcomes"][:, 0, 0].tolist())) == 3


def test_halves_go_on_from_group_to_group():
    data = _data(np.arange(700.0).reshape(100, 7))
    batches = ValidationBatches(data, np.arange(10, 19), np.arange(20, 29), 6, seed=0)
    halves = [targets["half"][0, :3].tolist() for _, targets in batches]
    assert halves == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


# ---------------------------------------------------------------- the loss


def test_half_of_the_weight_is_at_the_rows_own_level():
    loss = FinetuneLoss(Newsvendor(), TINY.levels)
    levels = torch.tensor(TINY.levels)
    own = loss._own_levels(torch.tensor([[levels[20].item(), 0.5]]))[0]
    assert (own[0] > 1e-3).nonzero().ravel().tolist() == [20]
    assert (own[1] > 1e-3).nonzero().ravel().tolist() == [16]
    assert own.mean(-1).tolist() == pytest.approx([1.0, 1.0])
    between = (levels[20].logit() + levels[21].logit()) / 2
    near = loss._own_levels(between.sigmoid().reshape(1, 1))[0, 0]
    assert (near > 1e-3).nonzero().ravel().tolist() == [20, 21]


# ---------------------------------------------------------------- strategies

SALES = _data(np.random.RandomState(0).poisson(5.0, size=(40, 5)).astype(float))


def _train(strategy, seed=0):
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = strategy.train(network, Newsvendor(), SALES, np.arange(10, 40), np.arange(10), seed)
    after = found.network.state_dict()
    assert set(after) == set(before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return found, before, changed


@pytest.mark.parametrize("cls", STRATEGIES)
def test_what_is_trained(cls):
    found, before, changed = _train(cls(max_epochs=3, lr=0.01, patience=3))
    assert found.n_iter > 0
    losses = [row["valid_loss"] for row in found.history]
    assert losses[found.n_iter] == min(losses)
    expected = {
        FullFinetune: {name for name in before},
        HeadFinetune: {name for name in before if name.startswith("head.")},
        LoRAFinetune: {name for name in before if before[name].ndim == 2 and name != "tokens"},
    }[cls]
    # what never had a gradient stays: the last layer's tokens are read by nobody, say
    assert changed <= expected
    assert len(changed) > 0.8 * len(expected)


@pytest.mark.parametrize("cls", STRATEGIES)
def test_equal_seeds_give_equal_networks(cls):
    first, second = (_train(cls(max_epochs=2))[0].network.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("cls", STRATEGIES)
def test_the_first_epoch_trains_nothing_and_can_be_the_best(cls):
    found, _, changed = _train(cls(max_epochs=4, patience=2, lr=0.9))
    if found.n_iter == 0:
        assert not changed
    assert found.history[0]["epoch"] == 0
    other = _train(cls(max_epochs=1, lr=1e-3))[0]
    assert found.history[0]["valid_loss"] == pytest.approx(other.history[0]["valid_loss"])


def test_a_half_is_charged_on_the_epoch_that_the_other_chose():
    class Watch(Callback):
        networks = []

        def on_epoch_end(self, net, **kwargs):
            self.networks.append(copy.deepcopy(net.module_))

    found, _, _ = _train(FullFinetune(lr=0.003, max_epochs=12, patience=12, callbacks=[Watch()]))
    loss = FinetuneLoss(Newsvendor(), TINY.levels)
    losses = np.zeros((2, 13))
    for inputs, targets in ValidationBatches(SALES, np.arange(10), np.arange(10, 40), 100, seed=0):
        for epoch, network in enumerate(Watch.networks):
            by_row = loss.by_row(network(**inputs), targets)
            for half in (0, 1):
                losses[half, epoch] += by_row[targets["half"] == half].sum().item()
    best = losses.argmin(axis=1)
    assert best[0] != best[1]  # or this could not fail
    for half, network in enumerate(found.for_half):
        expected = Watch.networks[best[1 - half]].state_dict()
        assert all(torch.equal(expected[k], v) for k, v in network.state_dict().items())


def test_laws_of_a_half_are_those_of_its_network(monkeypatch):
    """Networks are numbers here; a law says which network it is of, and of which row."""

    def laws_of(network, rounds, of_mean, portfolios):
        return [_law(network + part.observations[:, 0]) for part in portfolios]

    monkeypatch.setattr(_candidates, "network_laws", laws_of)
    rounds = [Round(Portfolio(np.arange(6.0)[:, None]), np.ones((6, 1)))]
    folds = [np.array([4, 0, 2]), np.array([1, 5])]
    trained = [Finetuned(None, (10.0, 20.0), 0, []), Finetuned(None, (30.0, 30.0), 0, [])]
    before = _law(np.full(6, -1.0))
    (after,) = cross_fitted_laws(Newsvendor(), trained, [before], rounds, folds)
    np.testing.assert_array_equal(after.quantiles[:, 0], [20, 31, 12, -1, 14, 35])
    np.testing.assert_array_equal(before.quantiles, -1)  # not changed


def _law(values):
    return QuantileGrid(np.repeat(values[:, None], 3, axis=1), (0.25, 0.5, 0.75), False)


@pytest.mark.parametrize(
    ("n_rows", "share", "expected"),
    [(12, 0.001, 3), (240, 0.001, 10), (240, 1 / 3, 3), (240, 0.25, 4), (240, 0.999, 2)],
)
def test_folds(n_rows, share, expected):
    folds = folds_of(np.arange(n_rows), share, np.random.default_rng(0))
    assert len(folds) == expected
    assert sorted(np.concatenate(folds)) == list(range(n_rows))
    assert min(map(len, folds)) >= FOLD_ROWS


def test_the_anchor_holds():
    def distance(anchor):
        found, before, _ = _train(FullFinetune(anchor=anchor, max_epochs=5, lr=1e-3, patience=5))
        after = found.network.state_dict()
        return sum(((after[name] - before[name]) ** 2).sum().item() for name in before)

    assert distance(100.0) < 0.2 * distance(0.0)


def test_callbacks_and_time_limit_reach_skorch():
    from skorch.callbacks import Callback

    class Count(Callback):
        epochs = 0

        def on_epoch_end(self, net, **kwargs):
            Count.epochs += 1

    found, *_ = _train(HeadFinetune(max_epochs=50, max_seconds=1e-9, callbacks=[Count()]))
    assert Count.epochs == len(found.history) == 1


class Seen(Callback):
    """Keeps what no copy has: an argument that it was not made with, and what cannot be copied."""

    def __init__(self):
        self.epochs = []
        self.lock = threading.Lock()

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(net.history[-1]["valid_loss"])


def test_callbacks_are_those_of_the_user(checkpoint, table):
    seen, named = Seen(), Seen()
    strategy = HeadFinetune(max_epochs=2, callbacks=[seen, ("mean", named), Seen])
    fitted = _estimator(checkpoint, finetune=strategy).fit(table[0])
    assert seen.epochs == named.epochs == [row["valid_loss"] for row in fitted.history_]
    assert strategy.callbacks == [seen, ("mean", named), Seen]


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (FullFinetune(callbacks=[1]), "callbacks must be a list of skorch callbacks.*; got 1 in"),
        (FullFinetune(callbacks=[(1, Seen())]), "callbacks must be a list of skorch callbacks"),
        (FullFinetune(lr=0.0), "lr"),
        (FullFinetune(validation_fraction=1.0), "validation_fraction"),
        (FullFinetune(start="scratch"), "start"),
        (HeadFinetune(max_epochs=0), "max_epochs"),
        (FullFinetune(anchor=-1.0), "anchor"),
        (LoRAFinetune(rank=0), "rank"),
        (LoRAFinetune(rank=17), "rank must be at most the width of the network, 16; got 17"),
    ],
)
def test_bad_settings(strategy, match, checkpoint, table):
    pdt = PretrainedDecisionTransformer(checkpoint=checkpoint, finetune=strategy)
    with pytest.raises(ValueError, match=match):
        pdt.fit(table[0])


# ---------------------------------------------------------------- the guard


def test_rounds_hide_what_they_charge():
    rounds = charge_rounds(Portfolio(X), None, np.random.default_rng(0))
    assert len(rounds) == 3
    charged = np.concatenate([each.charged for each in rounds], axis=1)
    assert sorted(charged[2]) == [4.0, 5.0, 6.0]
    assert np.isnan(charged[1]).all()  # a row's only observation is never held out
    for each in rounds:
        left = np.sort(np.column_stack([each.evidence.observations, each.charged]), axis=1)[:, :3]
        np.testing.assert_array_equal(left, np.sort(X, axis=1))


def test_hindsight_costs_by_hand():
    costs = {"underage": np.array([4.0, 4.0]), "overage": np.array([1.0, 1.0])}
    portfolio = Portfolio(np.array([[1.0, 5.0], [2.0, NAN]]), costs)
    rounds = charge_rounds(portfolio, None, np.random.default_rng(0))
    law = WeightedAtoms(np.array([[3.0], [3.0]]))
    # an order of 3 costs 2 for a demand of 1, and 8 for a demand of 5
    np.testing.assert_array_equal(hindsight_costs(Newsvendor(), [law, law], rounds), [5.0, NAN])


def test_the_best_baseline_is_picked_on_other_folds():
    costs = np.array([[1.0, 1.0, 9.0, 9.0], [2.0, 2.0, 3.0, 3.0]])[:, :, None]
    found, best = best_of_others(costs, [np.array([0, 1]), np.array([2, 3])])
    assert found.ravel().tolist() == [2.0, 2.0, 9.0, 9.0]
    assert best == 1


def test_blend_is_between():
    left = QuantileGrid(np.array([[1.0, 2.0, 3.0]]), [0.1, 0.5, 0.9], True)
    right = QuantileGrid(np.array([[3.0, 4.0, 7.0]]), [0.1, 0.5, 0.9], True)
    assert blended(left, right).quantiles.tolist() == [[2.0, 3.0, 5.0]]
    assert blended(left, right).integer


@pytest.mark.parametrize(
    ("n", "gains", "expected"),
    [
        (400, {"finetuned": 0.04}, "pretrained"),  # the standard error is 0.05
        (400, {"finetuned": 0.06}, "finetuned"),
        (400, {"finetuned": 0.06, "blend": 0.07}, "blend"),
        (64, {"finetuned": 0.2}, "pretrained"),  # below two standard errors of 0.125
        (64, {"finetuned": 0.3, "blend": 0.26}, "blend"),
        (64, {"finetuned": 0.3, "blend": 0.2}, "finetuned"),
        (64, {"finetuned": 1.5, "blend": 1.3}, "blend"),  # the standard error of the lead is 0.25
        (64, {"finetuned": 1.5, "blend": 0.9}, "finetuned"),
        (400, {"finetuned": -1.0, "blend": -0.5}, "pretrained"),
        (400, {"finetuned": 0.06, "baseline": 0.09}, "finetuned"),  # a baseline needs two
        (400, {"finetuned": 0.06, "baseline": 0.11}, "baseline"),
    ],
)
def test_choice(n, gains, expected):
    noise = np.tile([-1.0, 1.0], n // 2)  # of the differences: standard deviation 1
    costs = {"pretrained": np.full(n, 5.0)}
    signs = {"blend": -1.0}
    costs |= {name: 5.0 - gain + signs.get(name, 1.0) * noise for name, gain in gains.items()}
    costs = {name: cost[:, None] for name, cost in costs.items()}
    chosen, report = choose(costs, np.arange(n))
    assert chosen == expected
    assert report["candidate"][report["chosen"]].tolist() == [expected]
    assert report["gain"][1] == pytest.approx(gains["finetuned"])
    assert report["gain_std_error"][1] == pytest.approx(1 / np.sqrt(n), rel=0.01)


def test_few_rows_need_less_of_a_gain_the_more_the_law_is_in_doubt():
    """Five standard errors times the p-value; the gain is 0.8 of one."""
    noise = np.tile([-1.0, 1.0], 32)[:, None]
    costs = {"pretrained": np.full((64, 1), 5.0), "finetuned": 4.9 + noise, "blend": 4.95 - noise}
    rows = np.arange(64)
    assert choose(costs, rows, conflict=0.17)[0] == "pretrained"
    assert choose(costs, rows, conflict=0.15)[0] == "finetuned"
    wary = {**costs, "finetuned": 4.75 + noise, "blend": 4.8 - noise}  # two, and 1.6
    assert choose(wary, rows, conflict=0.3)[0] == "blend"
    assert choose(wary, rows, conflict=0.35)[0] == "finetuned"
    assert choose(wary, rows, conflict=0.15)[0] == "finetuned"
    assert choose({**wary, "blend": 5.0 - noise}, rows, conflict=0.41)[0] == "pretrained"
    many = {name: np.tile(cost, (4, 1)) for name, cost in costs.items()}
    many["finetuned"] += 0.05  # less than the standard error of 0.0625
    assert choose(many, np.arange(256), conflict=0.09)[0] == "pretrained"
    costs = {"pretrained": np.full((64, 1), 5.0), "baseline": 4.8 + noise}
    assert choose(costs, rows, conflict=0.09)[0] == "pretrained"  # a baseline always needs two


# ---------------------------------------------------------------- in the estimator


def _estimator(checkpoint, **params):
    problem = Newsvendor.from_service_level(0.9)
    strategy = FullFinetune(lr=3e-3, max_epochs=6, baselines=False)
    defaults = {"finetune": strategy, "random_state": 0}
    return PretrainedDecisionTransformer(problem, checkpoint=checkpoint, **{**defaults, **params})


def test_no_split_of_few_rows_harms_what_the_prior_knows():
    """Fourteen rows of small counts, which held out in turn seem to take turns by chance."""
    kicks = load_horse_kicks().data
    X, later = kicks[:, :5], kicks[:, 5:]
    problem = Newsvendor(9.0, 1.0)
    zero_shot = PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X)
    for seed in (7, 9, 18, 20, 22):
        orders = PretrainedDecisionTransformer(problem, random_state=seed).fit(X).decide(X)
        costs = [problem.cost(q[:, None], later).mean() for q in (orders, zero_shot)]
        assert costs[0] <= 1.05 * costs[1]


def test_a_poor_network_is_improved(checkpoint, table):
    X, y = table
    before = _estimator(checkpoint, finetune=None).fit(X)
    after = _estimator(checkpoint).fit(X)
    assert before.finetune_report_["reason"] == "finetune=None"
    assert not before.finetune_improved_
    assert after.finetune_improved_
    assert after.n_iter_ > 0
    assert after.finetuned_checkpoint_ is not None
    assert after.score(X, y) > before.score(X, y) + 0.01
    assert {row["fold"] for row in after.history_} == {0, 1, 2}


def test_fits_repeat_and_survive_a_pickle(checkpoint, table):
    X, _ = table
    first = _estimator(checkpoint).fit(X)
    orders = first.decide(X)
    np.testing.assert_array_equal(clone(first).fit(X).decide(X), orders)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).decide(X), orders)


def test_a_baseline_may_be_used(checkpoint, table):
    X, y = table
    strategy = HeadFinetune(max_epochs=1, lr=1e-6)
    fitted = _estimator(checkpoint, finetune=strategy).fit(X)
    assert fitted.finetune_report_["candidate"].tolist()[-1] == "baseline"
    assert fitted.finetune_report_["candidate"][fitted.finetune_report_["chosen"]] == ["baseline"]
    assert fitted.score(X, y) > _estimator(checkpoint, finetune=None).fit(X).score(X, y)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).decide(X[:5]), fitted.decide(X)[:5]
    )


def test_later_outcomes_are_charged(checkpoint, table):
    X, y = table
    fitted = _estimator(checkpoint).fit(X[:, :1], y[:, :5])
    assert "reason" not in fitted.finetune_report_


def test_warm_start_goes_on(checkpoint, table):
    X, _ = table
    pdt = _estimator(checkpoint, warm_start=True).fit(X)
    first = pdt.finetuned_checkpoint_
    cold = clone(pdt).fit(X).history_[0]["valid_loss"]
    warm = pdt.fit(X).history_[0]["valid_loss"]
    assert first is not None
    assert warm != cold


def test_warm_start_keeps_weights_that_it_cannot_improve(checkpoint, table):
    X, _ = table
    pdt = _estimator(checkpoint, warm_start=True).fit(X)
    orders = pdt.decide(X)
    still = FullFinetune(max_epochs=1, lr=1e-9, baselines=False)
    pdt.set_params(finetune=still).fit(X)
    assert pdt.finetune_improved_
    np.testing.assert_allclose(pdt.decide(X), orders, atol=1)
    assert not np.allclose(_estimator(checkpoint, finetune=None).fit(X).decide(X), orders, atol=1)


def test_warm_start_from_another_checkpoint_starts_anew(checkpoint, table):
    X, _ = table
    other = Checkpoint({k: 1.01 * v for k, v in checkpoint.weights.items()}, checkpoint.card)
    warm = _estimator(checkpoint, warm_start=True).fit(X).set_params(checkpoint=other).fit(X)
    cold = _estimator(other).fit(X)
    np.testing.assert_array_equal(warm.decide(X), cold.decide(X))


def test_the_card_of_finetuned_weights_claims_nothing_of_the_pretrained_ones(checkpoint, table):
    card = {k: v for k, v in checkpoint.card.items() if k != "name"}
    fitted = _estimator(Checkpoint(checkpoint.weights, card)).fit(table[0])
    found = fitted.finetuned_checkpoint_.card
    assert found["name"] == "unnamed, finetuned"
    assert found["finetuned_from"] == checkpoint.fingerprint()
    assert not {"quality", "history", "training", "sha256"} & set(found)


def test_nothing_to_learn_where_nothing_costs(checkpoint):
    fitted = _estimator(checkpoint).fit(np.zeros((60, 3)))
    assert "expected to cost" in fitted.finetune_report_["reason"]
    assert not fitted.finetune_improved_


def test_rows_that_can_be_charged_are_looked_at_first(checkpoint, monkeypatch):
    monkeypatch.setattr(_guard, "MOST_ROWS", 30)
    X = np.full((400, 3), NAN)
    X[:, 0] = np.arange(400) % 7
    X[:14, 1] = 3.0
    strategy = HeadFinetune(max_epochs=1, baselines=False)
    fitted = _estimator(checkpoint, finetune=strategy).fit(X)
    assert "reason" not in fitted.finetune_report_


def test_any_validation_fraction_leaves_rows_for_both(checkpoint, table):
    for fraction in (0.001, 0.999):
        strategy = HeadFinetune(max_epochs=1, validation_fraction=fraction, baselines=False)
        fitted = _estimator(checkpoint, finetune=strategy).fit(table[0][:12])
        assert "reason" not in fitted.finetune_report_


def test_settings_are_checked_before_anything_is_pretrained(checkpoint, table, monkeypatch):
    monkeypatch.setattr(_own_prior, "pretrain", None)
    pdt = _estimator(checkpoint, prior=SyntheticPrior(), finetune=FullFinetune(lr=0.0))
    with pytest.raises(ValueError, match="'lr' parameter"):
        pdt.fit(table[0])


def test_a_scheduler_of_the_users_is_heeded(checkpoint, table):
    rates = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            if training:
                rates.append(net.optimizer_.param_groups[0]["lr"])

    callbacks = [LRScheduler("ExponentialLR", gamma=0.1), Watch()]
    strategy = FullFinetune(lr=1e-2, max_epochs=3, callbacks=callbacks, baselines=False)
    _estimator(checkpoint, finetune=strategy).fit(table[0])
    np.testing.assert_allclose(np.unique(rates), [0.0, 1e-4, 1e-3, 1e-2], atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns", "finetune", "reason"),
    [
        (
            240,
            1,
            FullFinetune(),
            "every row has one observation at most, of which none can be held out",
        ),
        (11, 6, FullFinetune(), "11 rows to charge are fewer than 12"),
    ],
)
def test_the_report_says_why_nothing_was_trained(
    checkpoint, table, rows, columns, finetune, reason
):
    X = table[0][:rows, :columns]
    fitted = _estimator(checkpoint, finetune=finetune).fit(X)
    assert fitted.finetune_report_["reason"] == reason
    np.testing.assert_array_equal(
        fitted.decide(X), _estimator(checkpoint, finetune=None).fit(X).decide(X)
    )


def test_ctrl_c_ends_fit(checkpoint, table, monkeypatch):
    """Skorch takes an interrupt for an early stop, and would go on with the next fold."""

    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _estimator(checkpoint).fit(table[0])


def test_ctrl_c_ends_fit_whatever_callbacks_there_are(checkpoint, table, monkeypatch):
    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _estimator(checkpoint, finetune=HeadFinetune(callbacks=[Seen()])).fit(table[0])


def test_callbacks_may_stop(checkpoint, table):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    strategy = HeadFinetune(max_epochs=9, callbacks=[Stop()])
    fitted = _estimator(checkpoint, finetune=strategy).fit(table[0])
    assert [row["epoch"] for row in fitted.history_] == [0, 1] * 3


def test_a_fit_that_fails_leaves_the_last_one(checkpoint, table, monkeypatch):
    X = table[0]
    estimator = _estimator(checkpoint, finetune=HeadFinetune(max_epochs=1))
    with pytest.raises(ValueError, match="rank"):
        estimator.set_params(finetune=LoRAFinetune(rank=17)).fit(X)
    with pytest.raises(NotFittedError):
        estimator.decide(X)
    estimator.set_params(finetune=HeadFinetune(max_epochs=1)).fit(X)
    before, state = estimator.decide(X), vars(estimator).copy()

    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X[:, 1:] * 1000.5)
    np.testing.assert_array_equal(estimator.decide(X), before)
    assert vars(estimator).keys() == state.keys()
    assert all(vars(estimator)[name] is value for name, value in state.items())


def test_time_is_for_all_folds(checkpoint, table, monkeypatch):
    """A clock that each look at moves on by a second: a fold has what is left, in equal parts."""
    limits, clock = [], itertools.count()
    monkeypatch.setattr(_guard, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Watch(HeadFinetune):
        def train(self, *args, **kwargs):
            limits.append(self.max_seconds)
            return super().train(*args, **kwargs)

    strategy = Watch(max_epochs=1, max_seconds=10.0)
    _estimator(checkpoint, finetune=strategy).fit(table[0])
    assert limits == [9 / 3, 8 / 2, 7]
    assert strategy.max_seconds == 10.0


def test_later_outcomes_that_are_no_whole_numbers_count(checkpoint, table):
    X, y = table
    whole = _estimator(checkpoint, finetune=None).fit(X, y)
    broken = _estimator(checkpoint, finetune=None).fit(X, y + 0.5)
    assert whole.integer_
    assert not broken.integer_
    assert (broken.decide(X) % 1 != 0).any()


def test_out_of_time_is_no_interrupt(checkpoint, table):
    strategy = FullFinetune(max_seconds=1e-6, baselines=False)
    fitted = _estimator(checkpoint, finetune=strategy).fit(table[0])
    assert [row["epoch"] for row in fitted.history_] == [0, 0, 0]


# ---------------------------------------------------------------- auto


def test_auto_trains_on_few_rows_only_where_the_prior_is_wrong(checkpoint):
    X = LognormalNormal(3.0, 0.3, 0.4).sample(100, 4, random_state=0).observations
    auto = AutoFinetune(max_seconds=0.01, baselines=False)
    right = PretrainedDecisionTransformer(finetune=auto, random_state=0).fit(X)
    wrong = _estimator(checkpoint, finetune=auto).fit(X)
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
        runs.append(strategy.train(network, Newsvendor(), _data(np.nan_to_num(X)), *rows, seed=0))
    assert isinstance(auto, FinetuneStrategy)
    assert runs[0].history == runs[1].history


def test_training_can_start_from_moments():
    moments = _network()
    moments.head.forget()
    before = FinetuneLoss(Newsvendor(), TINY.levels)
    (batch,) = ValidationBatches(SALES, np.arange(10), np.arange(10, 40), 100, seed=0)
    inputs, targets = batch
    expected = before(moments(**inputs), targets).item()
    found, _, changed = _train(FullFinetune(start="moments", lr=1e-3, max_epochs=2))
    assert found.history[0]["valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert "head.mlp.2.weight" in changed


def test_auto_starts_from_moments_where_the_pretrained_network_is_worse(garbled, table):
    X = table[0]
    starts = []

    class Watch(AutoFinetune):
        def choose(self, n_rows, conflict, moments_are_cheaper=False):
            starts.append(moments_are_cheaper)
            return None

    fitted = _estimator(garbled, finetune=Watch()).fit(X)
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
    week = _estimator(checkpoint, warm_start=True).fit(X)
    before = week.finetuned_checkpoint_
    assert before is not None
    week.fit(X[:8])
    assert week.finetune_report_["candidate"].tolist() == ["finetuned"]
    assert week.finetune_report_["reason"] == "8 rows to charge are fewer than 12"
    assert week.finetuned_checkpoint_.fingerprint() == before.fingerprint()
    assert week.finetune_improved_
    week.set_params(finetune=None).fit(X[:8])
    assert week.finetuned_checkpoint_ is None


def test_warm_starts_forget_nothing(garbled, table):
    X = table[0]
    strategy = AutoFinetune(max_seconds=0.01, baselines=False)
    first = _estimator(garbled, finetune=strategy, warm_start=True).fit(X)
    assert first.finetuned_checkpoint_ is not None
    started = []

    class Watch(AutoFinetune):
        def choose(self, n_rows, conflict, moments_are_cheaper=False):
            started.append(moments_are_cheaper)
            return super().choose(n_rows, conflict, moments_are_cheaper)

    first.set_params(finetune=Watch(max_seconds=0.01, baselines=False)).fit(X)
    assert started == [False]


def test_auto_is_the_default_and_short_for_its_object():
    X = make_demand_portfolio(30, 4, random_state=0)
    assert PretrainedDecisionTransformer().finetune == "auto"
    short = PretrainedDecisionTransformer(random_state=0).fit(X)
    long = PretrainedDecisionTransformer(finetune=AutoFinetune(), random_state=0).fit(X)
    np.testing.assert_array_equal(short.decide(X), long.decide(X))


def _evidence(n=300):
    """Rounds of one observation of a standard logistic law each."""
    portfolio = Portfolio(np.random.default_rng(1).logistic(50.0, 1.0, (n, 2)))
    return charge_rounds(portfolio, None, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("shift", "stretch", "wrong"), [(0.0, 1.0, False), (0.5, 1.0, True), (0.0, 0.5, True)]
)
def test_prior_conflict_finds_laws_that_are_wrong(shift, stretch, wrong):
    rounds = _evidence()
    levels = np.array([0.01, 0.5, 0.99])
    quantiles = 50.0 + shift + stretch * np.log(levels / (1 - levels))
    law = QuantileGrid(np.tile(quantiles, (300, 1)), levels)
    p = prior_conflict([law, law], rounds, np.random.default_rng(0))
    assert (p < 0.001) if wrong else (p > 0.05)


# ---------------------------------------------------------------- replay


def test_replayed_portfolios_are_of_the_prior_and_of_the_share():
    prior = SyntheticPrior(level=(900.0, 1000.0), spread=0.05, noise_families=("poisson",))
    replay = Replay(TINY, prior, np.array([0.9, 0.5]), 0.75, 50, 0, "cpu")
    rng = np.random.default_rng(0)
    per_real = [len(list(replay.batches(rng))) for _ in range(5)]
    assert per_real == [3] * 5
    inputs, targets = next(replay.batches(rng))
    shape = inputs["observations"].shape[:2]
    assert 500 < inputs["observations"].nanmean() < 2000
    assert targets["outcomes"].shape[:2] == targets["weight"].shape == shape
    assert set(targets["ratio"].double().numpy().round(3).ravel()) <= {0.5, 0.9}
    assert (targets["weight"] > 0).all()


def test_replay_changes_what_is_learned(checkpoint, table):
    X, _ = table
    orders = [
        _estimator(checkpoint, finetune=HeadFinetune(max_epochs=2, replay=share, baselines=False))
        .fit(X)
        .history_
        for share in (0.0, 0.5)
    ]
    assert orders[0][-1]["valid_loss"] != orders[1][-1]["valid_loss"]


def test_replay_needs_a_prior_on_the_card(checkpoint, table):
    X, _ = table
    card = {name: value for name, value in checkpoint.card.items() if name != "prior"}
    nameless = Checkpoint(checkpoint.weights, card)
    with pytest.raises(ValueError, match=r"replay=0\.5 needs the prior"):
        _estimator(nameless, finetune=HeadFinetune(replay=0.5)).fit(X)


@pytest.mark.parametrize("replay", [-0.1, 1.0, "half"])
def test_replay_is_checked(checkpoint, table, replay):
    with pytest.raises(ValueError, match="replay"):
        _estimator(checkpoint, finetune=HeadFinetune(replay=replay)).fit(table[0])


def test_one_observation_a_row_leaves_nothing_to_hold_out():
    X = make_demand_portfolio(30, 1, random_state=0)
    fitted = PretrainedDecisionTransformer(random_state=0).fit(X)
    assert fitted.finetune_report_["reason"].startswith("every row has one observation at most")
