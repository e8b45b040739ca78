"""What the guard compares: rounds, folds and laws of halves; and what it chooses."""

import numpy as np
import pytest

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.table import blended
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.finetune import _candidates
from sklearn_pttf.finetune._base import Finetuned
from sklearn_pttf.finetune._candidates import cross_fitted_laws, prior_conflict
from sklearn_pttf.finetune._choice import best_of_others, choose
from sklearn_pttf.finetune._rounds import FOLD_ROWS, Round, charge_rounds, folds_of, hindsight_costs
from sklearn_pttf.problems import Newsvendor
from support.finetuning import X

NAN = np.nan


def test_laws_of_a_half_are_those_of_its_network(monkeypatch):
    """Networks are numbers here; a law says which network it is of, and of which row."""
    read = []

    def context_of(network, evidence):
        read.append((network, len(evidence)))
        return network

    def law_of(network, context, part, of_mean):
        assert context == network
        return _law(network + part.observations[:, 0])

    monkeypatch.setattr(_candidates, "encode_context", context_of)
    monkeypatch.setattr(_candidates, "predict_law", law_of)
    rounds = [Round(Portfolio(np.arange(6.0)[:, None]), np.ones((6, 1)))]
    folds = [np.array([4, 0, 2]), np.array([1, 5])]
    trained = [Finetuned(None, (10.0, 20.0), 0, []), Finetuned(None, (30.0, 30.0), 0, [])]
    before = _law(np.full(6, -1.0))
    (after,) = cross_fitted_laws(Newsvendor(), trained, [before], rounds, folds)
    np.testing.assert_array_equal(after.quantiles[:, 0], [20, 31, 12, -1, 14, 35])
    np.testing.assert_array_equal(before.quantiles, -1)  # not changed
    assert read == [(10.0, 6), (20.0, 6), (30.0, 6)]  # all rows, by each network once


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


def test_very_few_rows_need_a_law_that_is_surely_wrong():
    """Below 30 rows, p = 0.03; the gain is 1.5 standard errors."""
    noise = np.tile([-1.0, 1.0], 16)[:, None]
    for n_rows, chosen in ((28, ["pretrained", "finetuned"]), (32, ["finetuned"] * 2)):
        gain = 1.5 * noise[:n_rows].std(ddof=1) / np.sqrt(n_rows)
        costs = {"pretrained": np.full((32, 1), 5.0), "finetuned": 5 - gain + noise}
        rows = np.arange(n_rows)
        assert [choose(costs, rows, conflict=p)[0] for p in (0.03, 0.029)] == chosen


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
