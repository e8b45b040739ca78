"""Picking rows under a capacity: against all picks there are, linear programs, and by hand."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_pttf import Checkpoint, Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost, make_decision_scorer, prescriptiveness, regret
from sklearn_pttf.problems import Estimation, PerRow, Selection

NAN = np.nan
MANY = settings(max_examples=80, deadline=None)
VALUES, WEIGHTS = [3.0, -1.0, 2.0, 4.0], [1.0, 0.5, 2.0, 3.0]  # worth 3, -2, 1 and 4/3


def _solve(capacity, values, weights=None, **settings_):
    """Picks of rows whose means are known, with info."""
    values = np.asarray(values, dtype=float)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    portfolio = Portfolio(np.empty((len(values), 0)), {}, {"weights": weights}, False, real=True)
    problem = Selection(capacity, **settings_)
    law = WeightedAtoms(values[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picks, info = problem.solve_with_info(law, portfolio)
        assert_array_equal(problem.solve(law, portfolio), picks)
    return picks, info


@st.composite
def cases(draw, most=8):
    """Values and weights of a few rows, with ties, and a capacity."""
    n = draw(st.integers(1, most))
    unit = draw(st.sampled_from([1.0, 1.0, 1e-9, 1e9]))
    money = draw(st.sampled_from([1.0, 1.0, 1e-9, 1e9]))
    weight = st.one_of(st.sampled_from([0.1, 0.2, 0.3, 1.0, 2.5]), st.floats(0.1, 3))
    value = st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0]), st.floats(-2, 9))
    weights = np.array(draw(st.lists(weight, min_size=n, max_size=n)))
    values = np.array(draw(st.lists(value, min_size=n, max_size=n)))
    if draw(st.booleans()):  # of two worths
        values = weights * np.where(values > 1, 2.0, 1.0)
    whole = weights[: draw(st.integers(0, n))].sum()
    capacity = draw(st.sampled_from([whole, 0.0, 0.3 * weights.sum(), 1.5 * weights.sum()]))
    return money * values, unit * weights, unit * capacity


def _linear_program(values, weights, capacity):
    """Largest total value of picks between 0 and 1, of numbers about 1."""
    money, unit = np.abs(values).max() or 1.0, weights.max()
    found = linprog(
        -values / money, A_ub=weights[None] / unit, b_ub=[capacity / unit], bounds=(0, 1)
    )
    return -found.fun * money


def _most(values, weights, capacity):
    """Largest total value of whole picks, of all there are."""
    picked = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
    return (picked @ values)[picked @ weights <= capacity * (1 + 1e-9)].max()


# ---- fractions


@MANY
@given(cases())
def test_fractions_against_linear_programs(case):
    values, weights, capacity = case
    picks, info = _solve(capacity, values, weights)
    assert ((picks >= 0) & (picks <= 1)).all()
    assert not picks[values <= 0].any()
    assert picks @ weights <= capacity * (1 + 1e-9)
    best, size = _linear_program(values, weights, capacity), np.abs(values).sum()
    assert picks @ values == pytest.approx(best, abs=1e-7 * size)
    assert info["bound"] == pytest.approx(picks @ values, abs=1e-9 * size)
    assert info["used"] == pytest.approx(picks @ weights)
    assert info["capacity"] == capacity


@MANY
@given(cases())
def test_price_is_what_more_capacity_is_worth(case):
    values, weights, capacity = case
    _, info = _solve(capacity, values, weights)
    step = 1e-4 * weights.min()  # so little that no other row comes in
    more = _solve(capacity + step, values, weights)[1]["bound"] - info["bound"]
    top = np.abs(values / weights).max()
    assert info["shadow_price"] == pytest.approx(more / step, abs=1e-5 * top)


@MANY
@given(cases())
def test_equally_good_rows_share_alike(case):
    values, weights, capacity = case
    picks, _ = _solve(capacity, values, weights)
    worth = values / weights
    for row in range(len(values)):
        assert (picks[worth == worth[row]] == picks[row]).all()
        assert (picks[worth > worth[row]] >= picks[row]).all()


@MANY
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(case, random):
    values, weights, capacity = case
    rows = random.sample(range(len(values)), len(values))
    picks, info = _solve(capacity, values, weights)
    again, same = _solve(capacity, values[rows], weights[rows])
    assert_allclose(again, picks[rows], atol=1e-9)
    assert same == pytest.approx(info)


def test_fractions_by_hand():
    found = {c: _solve(c, VALUES, WEIGHTS) for c in (0, 0.5, 1, 2.5, 4, 5, 6, 7)}
    assert {c: picks.tolist() for c, (picks, _) in found.items()} == {
        0: [0, 0, 0, 0], 0.5: [0.5, 0, 0, 0], 1: [1, 0, 0, 0], 2.5: [1, 0, 0, 0.5],
        4: [1, 0, 0, 1], 5: [1, 0, 0.5, 1], 6: [1, 0, 1, 1], 7: [1, 0, 1, 1],
    }  # fmt: skip
    prices = [info["shadow_price"] for _, info in found.values()]
    assert_allclose(prices, [3, 3, 4 / 3, 4 / 3, 1, 1, 0, 0])
    assert [info["bound"] for _, info in found.values()] == pytest.approx(
        [0, 1.5, 3, 5, 7, 8, 9, 9]
    )
    assert [info["used"] for _, info in found.values()] == [0, 0.5, 1, 2.5, 4, 5, 6, 6]


def test_ties_by_hand():
    picks, info = _solve(2.5, [2.0, 5.0, 2.0, 2.0, 1.0])
    assert_allclose(picks, [0.5, 1, 0.5, 0.5, 0])
    assert info["shadow_price"] == 2
    picks, _ = _solve(2, [4.0, 2.0, 1.0], [2.0, 1.0, 3.0])
    assert_allclose(picks, [2 / 3, 2 / 3, 0])


@pytest.mark.parametrize("integer", [False, True])
def test_weights_that_add_up_by_rounding_fit(integer):
    assert 0.1 + 0.1 + 0.1 > 0.3
    picks, info = _solve(0.3, [3.0, 2.0, 1.0, 1e-3], [0.1, 0.1, 0.1, 0.4], integer=integer)
    assert_allclose(picks, [1, 1, 1, 0], atol=1e-9)
    assert info["shadow_price"] == pytest.approx(1e-3 / 0.4)


# ---- whole rows


@MANY
@given(cases(most=10))
def test_whole_picks_against_all_there_are(case):
    values, weights, capacity = case
    picks, info = _solve(capacity, values, weights, integer=True)
    assert set(picks) <= {0.0, 1.0}
    assert not picks[values <= 0].any()
    assert picks @ weights <= capacity * (1 + 1e-9)
    best = _most(values, weights, capacity)
    assert picks @ values == pytest.approx(best, abs=2e-6 * np.abs(values).max())
    assert info["bound"] >= picks @ values - 1e-9 * np.abs(values).sum()
    assert info["bound"] == pytest.approx(_solve(capacity, values, weights)[1]["bound"])


@MANY
@given(cases(most=12))
def test_whole_picks_of_equal_weights_are_the_best_rows(case):
    values, weights, capacity = case
    weight = weights[0]
    picks, _ = _solve(capacity, values, np.full(len(values), weight), integer=True)
    fit = int(capacity / weight * (1 + 1e-9))
    best = np.sort(values[values > 0])[::-1][:fit].sum()
    assert picks @ values == pytest.approx(best)
    assert picks.sum() <= fit


def test_whole_picks_by_hand():
    found = {c: _solve(c, VALUES, WEIGHTS, integer=True) for c in (1, 3.5, 4, 5, 6, 7)}
    assert {c: picks.tolist() for c, (picks, _) in found.items()} == {
        1: [1, 0, 0, 0], 3.5: [1, 0, 1, 0], 4: [1, 0, 0, 1],
        5: [1, 0, 0, 1], 6: [1, 0, 1, 1], 7: [1, 0, 1, 1],
    }  # fmt: skip
    assert [info["bound"] for _, info in found.values()] == pytest.approx(
        [3, 3 + 2.5 * 4 / 3, 7, 8, 9, 9]
    )
    assert [info["used"] for _, info in found.values()] == [1, 3, 4, 4, 6, 6]


def test_greedy_picks_are_not_the_best():
    """The best worth a unit, 6 / 2, leaves too little room for the best pair."""
    picks, info = _solve(4.5, [6.0, 5.0, 4.9], [2.0, 2.25, 2.2], integer=True)
    assert_array_equal(picks, [1, 1, 0])
    picks, info = _solve(1.0, [3.0, 2.0, 0.1], [5.0, 6.0, 1.0], integer=True)
    assert_array_equal(picks, [0, 0, 1])
    picks, info = _solve(4.0, [6.0, 7.0, 4.0], [2.1, 2.5, 1.5], integer=True)
    assert_array_equal(picks, [0, 1, 1])
    assert info["used"] == 4.0
    assert info["bound"] == pytest.approx(6 + 1.9 * 2.8)


@pytest.mark.parametrize(
    ("values", "weights", "capacity"),
    [([3.0, 2.0], [5.0, 6.0], 2.0), ([3.0, 2.0, -1.0], [5.0, 6.0, 1.0], 1.5)],
)
def test_rows_that_are_too_heavy_are_not_picked(values, weights, capacity):
    picks, info = _solve(capacity, values, weights, integer=True)
    assert picks @ weights <= capacity
    assert picks @ values == _most(np.array(values), np.array(weights), capacity)
    assert info["used"] <= capacity


@pytest.mark.parametrize(
    "factor",
    [1e-9, 1e-3, 1e9],
)
def test_unit_of_weights_does_not_matter(factor):
    values, weights = [3.0, 2.9, 2.0, 1.0], np.array([1.0, 1.1, 1.3, 2.0])
    picks, _ = _solve(2.2 * factor, values, weights * factor, integer=True)
    assert_array_equal(picks, [1, 1, 0, 0])


def test_what_is_a_little_too_much_is_not_picked():
    picks, info = _solve(1.0, [1.0, 1.0, 0.3], [0.5, 0.5 + 4e-10, 0.2], integer=True)
    assert info["used"] <= 1
    assert picks @ [1.0, 1.0, 0.3] == 1.3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_large_knapsacks_against_dynamic_programming(seed):
    rng = np.random.default_rng(seed)
    values, weights = rng.normal(1, 1, 500), rng.integers(20, 80, 500)
    picks, info = _solve(3000, values, weights, integer=True)
    most = np.zeros(3001)  # value of the best picks of the rows so far, by capacity
    for value, weight in zip(values, weights, strict=True):
        most[weight:] = np.maximum(most[weight:], most[:-weight] + value)
    assert info["used"] <= 3000
    assert picks @ values == pytest.approx(most[-1], abs=2e-6 * values.max())
    assert most[-1] < info["bound"] < most[-1] + values.max()
    _, fractions = _solve(3000, values, weights)
    assert info["shadow_price"] == fractions["shadow_price"]


# ---- capacities


@pytest.mark.parametrize("integer", [False, True])
def test_no_capacity_picks_nothing(integer):
    picks, info = _solve(0, [1.0, 4.0, 2.0], [1.0, 2.0, 4.0], integer=integer)
    assert_array_equal(picks, 0)
    assert info == {"shadow_price": 2.0, "used": 0.0, "capacity": 0.0, "bound": 0.0, "gap": 0.0}


@pytest.mark.parametrize("integer", [False, True])
def test_more_capacity_than_rows_can_use_warns(integer):
    X = [[1.0, 2.0], [-3.0, -1.0], [0.5, 0.1]]
    average = SampleAverage(Selection(3.0, integer=integer)).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(average.decide(X), [1, 0, 1])
    with pytest.warns(UserWarning, match=r"capacity=3.5 is more than the 3 that all rows") as found:
        picks = average.decide(X, problem=Selection(3.5, integer=integer))
    assert_array_equal(picks, [1, 0, 1])
    assert len(found) == 1


def test_capacity_a_row():
    values = [3.0, -1.0, 2.0, 4.0]
    picks, info = _solve(PerRow(0.375), values)
    assert_array_equal(picks, [0.5, 0, 0, 1])
    assert info["capacity"] == 1.5
    assert_array_equal(_solve(PerRow(0.375), values[:2])[0], [0.75, 0])
    assert_array_equal(_solve(PerRow(0.375), values, integer=True)[0], [0, 0, 0, 1])


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("values", [[-1.0, 0.0], [-2.0, -1e-9]])
def test_rows_that_lose_are_never_picked(values, integer):
    picks, info = _solve(1.5, values, [1.0, 2.0], integer=integer)
    assert_array_equal(picks, 0)
    assert info["shadow_price"] == info["bound"] == info["used"] == 0


# ---- parameters and columns


@pytest.mark.parametrize(
    ("named", "changes"),
    [
        ("capacity", {"capacity": -1.0}),
        ("capacity", {"capacity": NAN}),
        ("capacity", {"capacity": np.inf}),
        ("capacity", {"capacity": True}),
        ("capacity", {"capacity": "budget"}),
        ("capacity", {"capacity": None}),
        ("integer", {"integer": 1}),
        ("integer", {"integer": None}),
        ("weights", {"weights": 0.0}),
        ("weights", {"weights": -2.0}),
        ("weights", {"weights": np.inf}),
        ("weights", {"weights": True}),
        ("weights", {"weights": [1.0, 2.0, 3.0]}),
        ("weights", {"weights": Column(2)}),
        ("weights", {"weights": Column(9)}),
        ("weights", {"weights": "volume"}),
        ("standard_errors", {"standard_errors": 0.0}),
        ("standard_errors", {"standard_errors": -1.0}),
        ("standard_errors", {"standard_errors": np.inf}),
        ("standard_errors", {"standard_errors": Column(2)}),
        ("standard_errors", {"standard_errors": "error"}),
        ("standard_errors", {"standard_errors": 1.0, "noise": "poisson"}),
        ("noise", {"noise": "gaussian"}),
        ("observations", {"observations": [0, 0]}),
        ("observations", {"observations": [0], "weights": Column(0)}),
    ],
)
def test_refusals_name_the_parameter(named, changes):
    X = np.array([[1.0, 2.5, 1.0], [3.0, -1.0, 0.0], [2.0, NAN, -1.0]])
    with pytest.raises(ValueError, match=f"^{named}"):
        SampleAverage(Selection(**{"capacity": 1.0, **changes})).fit(X)


def test_an_amount_a_row_is_checked():
    with pytest.raises(ValueError, match="the amount of PerRow must be a finite number"):
        PerRow(-0.5)


def test_refusals_name_rows():
    X = np.array([[1.5, 1.0], [2.5, 0.0], [3.5, NAN]])
    with pytest.raises(ValueError, match=r"weights must .* row 1: 0.0, row 2: nan \(2 in all\)"):
        SampleAverage(Selection(1.0, weights=Column(1))).fit(X)
    with pytest.raises(ValueError, match=r"standard_errors must .* row 1: 0.0 \(1 in all\)"):
        SampleAverage(Selection(1.0, standard_errors=Column(1))).fit(X)


FRAME = pd.DataFrame(
    {
        "ad": ["a", "b", "c", "d"],
        "first": [1.0, -2.0, 3.0, 2.0],
        "second": [2.0, 1.0, NAN, 1.0],
        "cost": [1.0, 1.0, 4.0, 0.5],
        "error": [0.5, NAN, 2.0, 1.0],
    }
)


@pytest.mark.parametrize("kind", ["pandas", "polars", "array"])
def test_columns(kind):
    """Means 1.5, -0.5, 3 and 1.5 at costs of 1, 1, 4 and 1/2."""
    names = {"weights": "cost", "standard_errors": "error", "observations": ["first", "second"]}
    X = FRAME if kind == "pandas" else pl.DataFrame(FRAME.to_dict("list")).fill_nan(None)
    if kind == "array":
        X = FRAME.drop(columns="ad").to_numpy()
        names = {"weights": Column(2), "standard_errors": Column(3)}
    average = SampleAverage(Selection(3.5, **names)).fit(X)
    assert not average.integer_
    picks, info = average.decide(X, return_info=True)
    assert_allclose(picks, [1, 0, 0.5, 1])
    assert_allclose(info.mean, [1.5, -0.5, 3, 1.5])
    assert info.shadow_price == pytest.approx(0.75)
    assert info.bound == pytest.approx(4.5)
    whole = average.decide(X, problem=Selection(4.5, integer=True, **names))
    assert_array_equal(whole, [0, 0, 1, 1])  # as good as nothing else: 4.5 of 4.5


def test_cost_is_minus_the_value():
    picks, outcomes = np.array([1.0, 0.5]), np.array([[2.0, -3.0], [4.0, 0.0]])
    assert_array_equal(Selection(1.0).cost(picks[:, None], outcomes), [[-2, 3], [-2, 0]])
    cost = Selection(1.0).cost(torch.tensor(picks), torch.tensor(outcomes[0]))
    assert cost.tolist() == [-2, 1.5]
    assert Selection(1.0).cost(1.0, 2.5) == -2.5


def test_problems_are_cloned_and_shown():
    problem = Selection(PerRow(0.5), weights="cost", integer=True)
    assert clone(problem).get_params() == problem.get_params()
    assert repr(clone(problem)) == repr(problem)
    assert problem.shares_limit
    assert repr(Selection(3)) == "Selection(capacity=3)"


# ---- estimators

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 1)) + RNG.normal(size=(40, 4))
COUNTS = RNG.poisson(RNG.gamma(2, 2, size=(40, 1)), size=(40, 4)).astype(float)
TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)


def _credibility():
    """A network of real values that has learned nothing: what classical credibility says."""
    network = DecisionNetwork.of_moments(NetworkConfig(**{**TINY.to_dict(), "outcomes": "values"}))
    return Checkpoint.from_network(network, {"name": "credibility"})


DECIDERS = {
    "average": SampleAverage(),
    "network": PretrainedDecisionTransformer(finetune=None),
    "credibility": PretrainedDecisionTransformer(checkpoint=_credibility(), finetune=None),
}


@pytest.mark.parametrize("name", DECIDERS)
@pytest.mark.parametrize("table", ["REAL", "COUNTS"])
def test_picks_are_those_of_the_largest_means(name, table):
    X = globals()[table]
    estimator = clone(DECIDERS[name]).set_params(problem=Selection(7.5)).fit(X)
    picks, info = estimator.decide(X, return_info=True)
    means = estimator.decide(X, problem=Estimation())
    best = np.argsort(-means)
    if name == "average":
        assert (picks[best[:7]] >= 0.5).all()  # whole numbers tie
    else:
        assert_array_equal(picks[best], [*[1] * 7, 0.5, *[0] * 32])
    assert picks.sum() == pytest.approx(7.5)
    assert_array_equal(estimator.decide(X), picks)
    assert set(info) == {
        "expected_cost",
        "mean",
        "shadow_price",
        "used",
        "capacity",
        "bound",
        "gap",
    }
    assert_allclose(info.mean, means, rtol=1e-2, atol=1e-3)
    assert_allclose(info.expected_cost, -picks * info.mean)
    assert info.bound == pytest.approx(-info.expected_cost.sum())
    assert (info.used, info.capacity) == (pytest.approx(7.5), 7.5)
    assert all(isinstance(info[key], float) for key in ("shadow_price", "used", "bound"))
    whole = estimator.decide(X, problem=Selection(7, integer=True))
    assert whole.sum() == 7
    assert means @ whole == pytest.approx(np.sort(means)[-7:].sum())


@pytest.mark.parametrize("table", ["REAL", "COUNTS"])
def test_order_of_rows_does_not_matter_to_estimators(table):
    X = globals()[table]
    rows = np.random.default_rng(1).permutation(40)
    picks = [
        clone(DECIDERS["network"]).set_params(problem=Selection(7.5)).fit(x).decide(x)
        for x in (X, X[rows])
    ]
    assert_allclose(picks[1], picks[0][rows])


def test_of_equal_averages_the_better_known_goes_first():
    X = np.vstack([REAL, [[4.0, NAN, NAN, NAN], [4.0, 4.2, 3.8, 4.0]]])
    assert_array_equal(SampleAverage(Selection(1)).fit(X).decide(X)[-2:], [0.5, 0.5])
    estimator = clone(DECIDERS["credibility"]).set_params(problem=Selection(1)).fit(X)
    assert_array_equal(estimator.decide(X)[-2:], [0, 1])


def test_standard_errors_change_the_order():
    X = np.column_stack([np.r_[REAL[:, 0], 3.0, 3.1], np.r_[[1.0] * 40, 0.1, 9.0]])
    problem = Selection(1, standard_errors=Column(1), observations=[0])
    estimator = clone(DECIDERS["credibility"]).set_params(problem=problem).fit(X)
    assert_array_equal(estimator.decide(X)[-2:], [1, 0])


def test_of_counts_the_better_known_goes_first():
    """A large count may be chance, three that are next to as large are not."""
    X = np.vstack([COUNTS[:, :3].clip(0, 9), [[14.0, NAN, NAN], [13.0, 13.0, 14.0]]])
    estimator = PretrainedDecisionTransformer(Selection(1, noise="poisson"), finetune=None)
    assert_array_equal(estimator.fit(X).decide(X)[-2:], [0, 1])
    assert estimator.checkpoint_.card["name"] == "poisson"


def test_cold_rows_are_picked_at_the_mean_of_all():
    X = np.vstack([REAL, np.full((1, 4), NAN)])
    everything = REAL.mean()
    for shift, picked in ((1.0 - everything, 1.0), (-1.0 - everything, 0.0)):
        average = SampleAverage(Selection(41)).fit(X + shift)
        assert average.decide(X + shift)[-1] == picked


# ---- figures


def test_metrics_by_hand():
    X = np.array([[1.0, 2.5], [3.0, 2.0], [-1.0, 0.0]])
    y = np.array([[2.0, 4.0], [1.0, NAN], [5.0, 1.0]])  # means 3, 1 and 3
    problem = Selection(1.5)
    picks = SampleAverage(problem).fit(X).decide(X)
    assert_array_equal(picks, [0.5, 1, 0])
    assert decision_cost(y, picks, problem=problem) == pytest.approx(-2.5 / 3)
    assert_allclose(decision_cost(y, picks, problem=problem, per_row=True), [-1.5, -1, 0])
    # in hindsight the first and third share 1.5
    assert regret(y, picks, problem=problem) == pytest.approx((4.5 - 2.5) / 3)
    assert_allclose(regret(y, picks, problem=problem, per_row=True), [0.75, -1, 2.25])
    better = [0.5, 0.5, 0.5]
    found = prescriptiveness(y, better, X=X, problem=problem)
    assert found == pytest.approx((3.5 - 2.5) / (4.5 - 2.5))


def test_scores_by_hand():
    X = np.array([[1.0, 2.5], [3.0, 2.0], [-1.0, 0.0]])
    y = np.array([2.0, 1.0, NAN])
    average = SampleAverage(Selection(1.5)).fit(X)
    assert average.score(X, y) == 0
    other = clone(DECIDERS["credibility"]).set_params(problem=Selection(1.5)).fit(X)
    picks = other.decide(X)
    assert other.score(X, y) == pytest.approx((2 - (picks[:2] @ y[:2])) / -2)
    # without y: either column is charged on picks from the other one
    cost = {"average": 0.0, "credibility": 0.0}
    for k in (0, 1):
        held = X.copy()
        held[:, k] = NAN
        cost["average"] -= SampleAverage(Selection(1.5)).fit(X).decide(held) @ X[:, k]
        cost["credibility"] -= other.decide(held) @ X[:, k]
    saving = (cost["average"] - cost["credibility"]) / abs(cost["average"])
    assert other.score(X) == pytest.approx(saving)


def test_scorers_and_searches():
    y = REAL.mean(axis=1) + RNG.normal(size=40)
    problem = Selection(PerRow(0.25), integer=True)
    grid = {"problem__capacity": [PerRow(0.1), PerRow(0.25), PerRow(0.5)]}
    search = GridSearchCV(
        SampleAverage(problem),
        grid,
        cv=KFold(4),
        scoring=make_decision_scorer("cost"),
        error_score="raise",
    ).fit(REAL, y)
    by_hand = []
    for most in (1, 2, 5):  # 2.5 of 10 rows are 2 whole ones
        picked = np.zeros(40)
        for fold in np.arange(40).reshape(4, 10):
            best = fold[np.argsort(-REAL[fold].mean(axis=1))[:most]]
            picked[best] = REAL[best].mean(axis=1) > 0
        by_hand.append(picked @ y / 40)
    assert_allclose(search.cv_results_["mean_test_score"], by_hand)
    scorer = make_decision_scorer("regret")
    fitted = SampleAverage(problem).fit(REAL)
    best = np.sort(y)[-10:].sum()
    assert scorer(fitted, REAL, y) == pytest.approx(-(best - fitted.decide(REAL) @ y) / 40)
