"""Setting prices: against brute force over known demand curves, and by hand."""

import math
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_pttf import Checkpoint, Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.at_prices import DemandAtPrices, PriceRange
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import (
    JamesStein,
    ParametricEmpiricalBayes,
    PerRowDemandCurve,
    PooledDemandCurve,
    SampleAverage,
)
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.finetune._data import finetune_data, make_batch
from sklearn_pttf.finetune._rounds import charge_rounds
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Newsvendor, Pricing

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)
LEVELS = np.arange(1, 20) / 20
TINY = NetworkConfig(outcomes="prices", width=16, n_layers=1, n_tokens=4)


def _tiny():
    """A network that has learned nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Checkpoint.from_network(DecisionNetwork(TINY), {"name": "tiny"})


CHECKPOINT = _tiny()
PAIRS = {"prices": [0, 1, 2], "demands": [3, 4, 5]}
PROBLEM = Pricing(**PAIRS, unit_cost=2.0, bounds=(2.5, 9.0))


def _estimators(problem=PROBLEM, **settings_):
    network = {"checkpoint": CHECKPOINT, "finetune": None, "random_state": 0, **settings_}
    return {
        "per_row": PerRowDemandCurve(problem),
        "pooled": PooledDemandCurve(problem),
        "network": PretrainedDecisionTransformer(problem, **network),
    }


NAMES = list(_estimators())


def _table(n=24, whole=False, seed=0):
    """Three prices and demand of elasticity about 2 in every row, ragged; the last row is empty."""
    rng = np.random.default_rng(seed)
    prices = rng.uniform(3, 7, (n, 3))
    mean = rng.lognormal(3 if whole else 4, 1, (n, 1)) * (prices / 5) ** -2
    demand = rng.poisson(mean) if whole else rng.gamma(4, mean / 4)
    X = np.hstack([prices, demand])
    X[2, 4] = X[5, 3:5] = NAN
    X[-1] = NAN
    return X


X = _table()
COUNTS = _table(whole=True)


# ---------------------------------------------------------------- the search


def _solve(mean, costs, low, high):
    """Prices for rows of which demand is known; with all that was looked at."""
    costs, low, high = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (costs, low, high))
    portfolio = Portfolio(
        np.full((len(low), 1), NAN),
        {"unit_cost": costs},
        {"low": low, "high": high},
        integer=False,
        prices=np.full((len(low), 1), NAN),
    )
    law = DemandAtPrices(None, mean, PriceRange(1.0, 2.0, 0.5))
    best = PROBLEM.solve(law, portfolio)
    assert_array_equal(PROBLEM.solve_with_info(law, portfolio)[0], best)
    return best, PROBLEM.row_info(best, law, portfolio)


bounds_ = st.tuples(st.floats(0.5, 5), st.floats(0, 20)).map(lambda b: (b[0], b[0] + b[1]))


@MANY
@given(st.floats(1.05, 8), st.floats(0.1, 10), bounds_, st.sampled_from([1e-6, 1.0, 1e6]))
def test_constant_elasticity(elasticity, cost, bounds, money):
    """The best price is cost e / (e - 1), within the bounds."""
    low, high = bounds[0] * money, bounds[1] * money
    cost = min(cost, bounds[1]) * money
    best, info = _solve(lambda p: 7 * (p / money) ** -elasticity, cost, low, high)
    exact = np.clip(cost * elasticity / (elasticity - 1), low, high)
    assert best[0] == pytest.approx(exact, abs=(high - low) / 400)
    assert low <= best[0] <= high
    assert info["elasticity"][0] == pytest.approx(-elasticity, rel=1e-4)


@MANY
@given(st.floats(1, 100), st.floats(0.1, 10), st.floats(0, 5), bounds_)
def test_linear_demand(intercept, slope, cost, bounds):
    """The best price is halfway between the cost and the price at which nothing is sold."""
    low, high = bounds
    best, info = _solve(lambda p: np.maximum(intercept - slope * p, 0), cost, low, high)
    grid = np.linspace(low, high, 20_001)
    profits = (grid - cost) * np.maximum(intercept - slope * grid, 0)
    assert info["expected_profit"][0] >= profits.max() - 1e-3 * abs(profits).max()
    middle = (intercept / slope + cost) / 2
    if middle - cost > (high - low) / 32 and low < middle < high:  # else between two prices only
        assert best[0] == pytest.approx(middle, abs=(high - low) / 400)


@pytest.mark.parametrize("ratio", [1.0, 1.01, 3.0, 100.0, 1e6])
def test_wide_bounds_find_the_same_price(ratio):
    low, high = 5 / math.sqrt(ratio), 5 * math.sqrt(ratio)
    best, info = _solve(lambda p: np.exp(-0.4 * p), 2.0, low, high)
    assert best[0] == pytest.approx(np.clip(4.5, low, high), rel=1e-3)
    assert info["prices"].shape == (1, 33)


@MANY
@given(st.integers(0, 10_000))
def test_no_price_of_a_fine_grid_earns_more(seed):
    """Of smooth curves of any shape, that fall."""
    rng = np.random.default_rng(seed)
    centres, widths = rng.uniform(2, 9, (3, 1, 1)), rng.uniform(0.7, 3, (3, 1, 1))
    sizes = rng.exponential(1, (3, 1, 1))

    def mean(prices):
        return (sizes / (1 + np.exp((prices - centres) / widths))).sum(axis=0)

    cost = rng.uniform(0, 3)
    best, info = _solve(mean, cost, 3.0, 8.0)
    grid = np.linspace(3, 8, 5001)[None]
    profits = (grid - cost) * mean(grid)
    assert info["expected_profit"][0] >= profits.max() * (1 - 1e-4)
    assert info["expected_profit"][0] == pytest.approx((best[0] - cost) * mean(best[:, None])[0, 0])


def test_ties_go_to_the_lower_price():
    best, info = _solve(lambda p: 0 * p, 1.0, 3.0, 8.0)
    assert best == [3.0]
    assert info["elasticity"] == [0.0]
    best, _ = _solve(lambda p: 1 / (p - 1), 1.0, [3.0, 4.0], [8.0, 4.0])
    assert_array_equal(best, [3.0, 4.0])  # every price earns 1


def test_a_cost_above_the_upper_bound():
    """Every price loses; the upper bound is the decision, also where nothing is ever sold."""
    for mean in (lambda p: p**-2.0, lambda p: 0 * p, lambda p: p**3.0):
        best, info = _solve(mean, [9.0, 8.5], [3.0, 4.0], [8.0, 8.0])
        assert_array_equal(best, 8.0)
        assert (info["expected_profit"] <= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_cost_above_the_upper_bound_warns(name):
    table = np.column_stack([X, np.where(np.arange(len(X)) == 3, 12.0, 2.0)])
    problem = Pricing(**PAIRS, unit_cost=Column(6), bounds=(2.5, 9.0))
    estimator = _estimators(problem)[name].fit(table)
    with pytest.warns(UserWarning, match=r"unit_cost is above .* row 3: \[12.  9.\] \(1 in all\)"):
        prices = estimator.decide(table)
    assert prices[3] == 9.0
    assert (prices[:3] < 9.0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.predict(table)
        at_the_bound = Pricing(**PAIRS, unit_cost=9.0, bounds=(2.5, 9.0))
        assert_array_equal(estimator.decide(table, problem=at_the_bound)[:-1], 9.0)


def test_loss_is_minus_the_profit():
    assert PROBLEM.cost(5.0, 10.0, 2.0) == -30
    prices, demand = np.array([[5.0], [1.0]]), np.array([[10.0, 0.0], [4.0, 2.0]])
    assert_array_equal(PROBLEM.cost(prices, demand, 2.0), [[-30, 0], [4, 2]])
    assert PROBLEM.cost(torch.tensor([5.0, 1.0]), torch.tensor([10.0, 4.0]), 2.0).tolist() == [
        -30,
        4,
    ]


# ---------------------------------------------------------------- what is told


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("table", [X, COUNTS], ids=["amounts", "counts"])
def test_info(name, table):
    estimator = _estimators()[name].fit(table)
    prices, info = estimator.decide(table, return_info=True)
    assert_array_equal(estimator.decide(table), prices)
    assert ((prices >= 2.5) & (prices <= 9)).all()
    law = estimator.predict_distribution(table, price=prices)
    assert_allclose(info.mean, law.mean(), rtol=1e-9)
    assert_allclose(info.expected_profit, (prices - 2) * info.mean)
    assert_allclose(info.expected_cost, -info.expected_profit)
    # the curve of profits, from the lower bound to the upper one
    assert info.prices.shape == info.profits.shape
    assert_allclose(info.prices[:, [0, -1]], [[2.5, 9.0]] * len(table))
    assert (np.diff(info.prices, axis=1) > 0).all()
    for k in (0, 11, -1):
        mean = estimator.predict_distribution(table, price=info.prices[:, k]).mean()
        assert_allclose(info.profits[:, k], (info.prices[:, k] - 2) * mean, rtol=1e-9)
    assert (info.expected_profit >= info.profits.max(axis=1) * (1 - 1e-9)).all()
    # elasticity is that of expected demand
    up, down = (
        estimator.predict_distribution(table, price=prices * f).mean() for f in (1.001, 1 / 1.001)
    )
    assert_allclose(info.elasticity, np.log(up / down) / (2 * np.log(1.001)), atol=0.01)
    assert info.extrapolates.dtype == bool


def test_extrapolation_by_hand():
    """Rows had 4 to 8, and at most a third between two prices of one row."""
    fitted = PerRowDemandCurve(Pricing([0, 1], [2, 3])).fit([[4.0, 5.0, 3, 2], [6.0, 8.0, 4, 3]])
    away = np.sqrt(8 / 6) ** 2  # twice as far, from the usual price
    usual = np.sqrt(20)
    for price, outside in {
        3.9: True,
        4.0: False,
        usual * away * 0.99: False,
        usual * away * 1.01: True,
        8.1: True,
    }.items():
        at = Pricing([0, 1], [2, 3], bounds=(price, price))
        decided, info = fitted.decide([[4.0, 5.0, 3, 2]], problem=at, return_info=True)
        assert (decided[0], info.extrapolates[0]) == (price, outside)
    one = PerRowDemandCurve(Pricing([0], [1])).fit([[4.0, 5.0], [6.0, 3.0]])
    for price in (4.0, 5.9, 3.9):  # no row has had two
        at = Pricing([0], [1], bounds=(price, price))
        _, info = one.decide([[6.0, 3.0]], problem=at, return_info=True)
        assert info.extrapolates[0] == (price < 4)


# ---------------------------------------------------------------- columns

ROWS = X[[0, 1, 3, 4, 6, 7]]
FRAME = pd.DataFrame(
    {
        "product": list("abcdef"),
        "sold_1": ROWS[:, 3],
        "price_1": ROWS[:, 0],
        "sold_2": ROWS[:, 4],
        "price_2": ROWS[:, 1],
        "cost": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0],
        "least": [3.0, 3.0, 4.0, NAN, 2.0, 3.0],
        "next": [5.0, 4.0, NAN, 6.0, 5.0, 5.0],
    }
)
NAMED = {
    "prices": ["price_1", "price_2"],
    "demands": ["sold_1", "sold_2"],
    "unit_cost": "cost",
    "bounds": ("least", 8.0),
    "posted": "next",
}


@pytest.mark.parametrize("name", NAMES)
def test_frames_and_arrays_agree(name):
    polars = pl.DataFrame(FRAME.to_dict("list")).fill_nan(None)
    array = FRAME.drop(columns="product").to_numpy()
    positions = {
        "prices": [1, 3],
        "demands": [0, 2],
        "unit_cost": Column(4),
        "bounds": (Column(5), 8.0),
        "posted": Column(6),
    }
    results = []
    for table, roles in ((FRAME, NAMED), (polars, NAMED), (array, positions)):
        estimator = _estimators(Pricing(**roles))[name].fit(table)
        y = np.arange(6.0)
        results.append([estimator.decide(table), estimator.predict(table)])
        results[-1].append(np.full(6, estimator.score(table, y)))
    for other in results[1:]:
        assert_allclose(other, results[0], rtol=1e-12)
    low = FRAME["least"].fillna(np.sqrt(FRAME["price_1"] * FRAME["price_2"]) / 1.5)
    assert ((results[0][0] >= low - 1e-9) & (results[0][0] <= 8)).all()


def test_costs_and_bounds_of_rows():
    """Demand falls with the square of prices: twice the cost is best."""
    prices = np.array([[3.0, 4.0], [3.0, 4.0], [5.0, 6.0], [4.0, 4.5]])
    table = np.hstack([prices, 900 / prices**2, [[2.0, 9.0], [1.5, 3.5], [3.0, 5.5], [2.0, NAN]]])
    problem = Pricing([0, 1], [2, 3], unit_cost=Column(4), bounds=(3.2, Column(5)))
    found = PerRowDemandCurve(problem).fit(table).decide(table)
    assert_allclose(found, [4.0, 3.2, 5.5, 4.0], atol=0.02)


def test_bounds_that_are_not_given():
    prices = np.array([[2.0, 8.0], [4.0, NAN]])
    table = np.hstack([prices, [[8.0, 2.0], [1.0, NAN]]])
    fitted = PerRowDemandCurve(Pricing([0, 1], [2, 3], posted=None)).fit(table)
    _, info = fitted.decide(table, return_info=True)
    assert_allclose(info.prices[:, 0], [4 / 1.5, 4 / 1.5])
    assert_allclose(info.prices[:, -1], [6, 6])
    _, info = fitted.decide(
        table, problem=Pricing([0, 1], [2, 3], bounds=(1.0, None)), return_info=True
    )
    assert_allclose(info.prices[:, [0, -1]], [[1, 6], [1, 6]])


BAD = np.array([[4.0, 5.0, 3.0, 2.0, 1.0, 6.0], [6.0, 8.0, 4.0, 3.0, 2.0, 7.0]])


def _changed(row, column, value):
    table = BAD.copy()
    table[row, column] = value
    return table


@pytest.mark.parametrize(
    ("match", "changes", "table"),
    [
        (r"^prices must be above 0 and finite; got row 1: 0.0", {}, _changed(1, 0, 0.0)),
        (r"^prices must be above 0 and finite; got row 0: -4.0", {}, _changed(0, 1, -4.0)),
        ("^Input X contains infinity", {}, _changed(0, 1, np.inf)),
        ("^prices must not be missing where demand is not.* row 0: 2.0", {}, _changed(0, 1, NAN)),
        ("demand in X must be at least 0; got row 1: -3.0", {}, _changed(1, 3, -3.0)),
        ("^prices and demands must pair up, .* got 2 columns .* and 1", {"demands": [2]}, BAD),
        ("^prices must list columns of X; got None", {"prices": None}, BAD),
        (r"^prices must list columns of X; got \[\]", {"prices": []}, BAD),
        ("^demands must list columns of X; got 3", {"demands": 3}, BAD),
        ("^demands must list columns of X; got 'ab'", {"demands": "ab"}, BAD),
        ("^prices refers to column 9, but X has n_features = 6", {"prices": [0, 9]}, BAD),
        ("^demands=.* column's name, but X has no", {"demands": ["a", "b"]}, BAD),
        (r"^prices=\[0, 0\] lists a column twice", {"prices": [0, 0]}, BAD),
        (r"^demands=\[2, 2\] includes column 2", {"demands": [2, 2]}, BAD),
        (r"^demands=\[2, 1\] includes column 1", {"demands": [2, 1]}, BAD),
        (r"^demands=\[2, 4\] includes column 4", {"demands": [2, 4], "unit_cost": Column(4)}, BAD),
        (r"^demands=\[2, 4\] includes column 4", {"demands": [2, 4], "posted": Column(4)}, BAD),
        (r"^demands=\[2, 4\].* column 4", {"demands": [2, 4], "bounds": (1.0, Column(4))}, BAD),
        ("^bounds must be a pair", {"bounds": 3.0}, BAD),
        ("^bounds must be a pair", {"bounds": (1.0, 2.0, 3.0)}, BAD),
        ("^bounds must be a pair", {"bounds": "ab"}, BAD),
        (r"^bounds must not cross .*; got .* row 0: \[5. 4.\], row 1", {"bounds": (5.0, 4.0)}, BAD),
        (r"^bounds must not cross.* row 1: \[6.5 2. \] \(1 in", {"bounds": (6.5, Column(4))},
         _changed(0, 4, 9.0)),
        ("^bounds must be above 0 and finite; got row 0: 0.0", {"bounds": (0.0, 4.0)}, BAD),
        ("^bounds must be above 0 and finite; got row 0: -1.0", {"bounds": (-1.0, 4.0)}, BAD),
        ("^bounds must be above 0 and finite; got row 0: inf", {"bounds": (1.0, np.inf)}, BAD),
        ("^bounds must be a number", {"bounds": (True, 4.0)}, BAD),
        ("^bounds refers to column 7", {"bounds": (1.0, Column(7))}, BAD),
        ("^unit_cost must be finite and at least 0; got row 0: -1.0", {"unit_cost": -1.0}, BAD),
        ("^unit_cost must be finite and at least 0; .* row 1: nan", {"unit_cost": Column(4)},
         _changed(1, 4, NAN)),
        ("^unit_cost must be a number", {"unit_cost": None}, BAD),
        ("^posted must be above 0 and finite; got row 1: 0.0", {"posted": Column(5)},
         _changed(1, 5, 0.0)),
        ("^posted must be a number", {"posted": [1.0, 2.0]}, BAD),
    ],
)  # fmt: skip
def test_refusals(match, changes, table):
    problem = Pricing(**{"prices": [0, 1], "demands": [2, 3], **changes})
    with pytest.raises(ValueError, match=match):
        PerRowDemandCurve(problem).fit(table)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("price", "match"),
    [
        (np.ones(23), r"^price must be a number or of shape \(24,\), one a row; got shape \(23,\)"),
        (np.ones((24, 1)), r"^price must be .* got shape \(24, 1\)"),
        (0.0, "^price must be above 0 and finite; got row 0: 0.0"),
        (-1, "^price must be above 0 and finite; got row 0: -1.0"),
        (np.r_[np.ones(23), NAN], r"^price must be above 0 .* row 23: nan \(1 in all\)"),
        (np.inf, "^price must be above 0 and finite; got row 0: inf"),
        ("cheap", "^price must be a number or .* got 'cheap'"),
        ([[1.0], [2.0, 3.0]], "^price must be a number or "),
    ],
)
def test_refused_prices_of_predict_distribution(name, price, match):
    estimator = _estimators()[name].fit(X)
    with pytest.raises(ValueError, match=match):
        estimator.predict_distribution(X, price=price)


def test_what_prices_rule_out():
    estimator = PooledDemandCurve(PROBLEM).fit(X)
    with pytest.raises(ValueError, match=r"^horizon must be 1 for demand at prices; got 2"):
        estimator.predict(X, horizon=2)
    with pytest.raises(ValueError, match=r"^of_mean must be False for demand at prices"):
        estimator.predict_distribution(X, of_mean=True)
    with pytest.raises(ValueError, match=r"^price must be None for Newsvendor"):
        SampleAverage(Newsvendor()).fit(X).predict_distribution(X, price=2.0)
    with pytest.raises(ValueError, match=r"cannot be charged in hindsight"):
        decision_cost(np.ones(24), np.ones(24), problem=PROBLEM, X=X)


# ---------------------------------------------------------------- predictions


def test_demand_at_the_posted_price():
    """Of exact curves 900 / price ** 2, and 90 / price, everything is known."""
    prices = np.array([[2.0, 5.0, 4.0], [3.0, 2.0, NAN]])
    demand = np.array([900 / prices[0] ** 2, 90 / prices[1]])
    table = np.hstack([prices, demand, [[3.0], [NAN]]])
    estimator = PerRowDemandCurve(Pricing(**PAIRS, posted=Column(6))).fit(table)
    usual = np.sqrt(6.0)
    assert_allclose(estimator.predict(table), [100, 90 / usual])
    assert_allclose(estimator.predict_quantiles(table, [0.1, 0.9]), [[100] * 2, [90 / usual] * 2])
    law = estimator.predict_distribution(table, price=6.0)
    assert_allclose(law.mean(), [25, 15])
    assert_allclose(estimator.predict_distribution(table, price=[3.0, 9.0]).mean(), [100, 10])
    free = PerRowDemandCurve(Pricing(**PAIRS)).fit(table[:, :6])
    assert_allclose(free.predict(table[:, :6]), [900 / 40 ** (2 / 3), 90 / usual])


@pytest.mark.parametrize("name", NAMES)
def test_price_replaces_the_posted_one(name):
    sold = X[:-1]  # a row that was never sold is read at its posted price, so that one would matter
    table = np.column_stack([sold, np.full(len(sold), 4.0)])
    posted = _estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    free = _estimators(Pricing(**PAIRS))[name].fit(sold)
    asked = free.predict_distribution(sold, price=4.0).mean()
    assert_allclose(posted.predict(table), asked, rtol=1e-9)
    six = [posted.predict_distribution(table, price=p).mean() for p in (6, np.full(23, 6.0))]
    assert_array_equal(*six)
    assert_allclose(six[0], free.predict_distribution(sold, price=6.0).mean(), rtol=1e-9)
    assert not np.allclose(six[0], asked)


@pytest.mark.parametrize("name", NAMES)
def test_whole_demand_has_whole_quantiles(name):
    estimator = _estimators()[name].fit(COUNTS)
    assert estimator.integer_
    found = estimator.predict_quantiles(COUNTS, LEVELS)
    assert_array_equal(found, np.rint(found))
    assert (np.diff(found, axis=1) >= 0).all()
    assert not _estimators()[name].fit(X).integer_


# ---------------------------------------------------------------- ragged and cold rows


@pytest.mark.parametrize("name", NAMES)
def test_pairs_without_demand_say_nothing(name):
    other = X.copy()
    missing = np.isnan(X[:, 3:])
    other[:, :3][missing] = NAN
    other[-1, :3] = 5.0  # a price at which nothing was seen
    problem = Pricing(**PAIRS, bounds=(2.5, 9.0))
    estimator = _estimators(problem)[name]
    decided = [clone(estimator).fit(table).decide(table) for table in (X, other)]
    assert_array_equal(*decided)
    wider = np.hstack([np.full((24, 1), 4.0), X[:, :3], np.full((24, 1), NAN), X[:, 3:]])
    more = Pricing([0, 1, 2, 3], [4, 5, 6, 7], bounds=(2.5, 9.0))
    again = _estimators(more)[name].fit(wider).decide(wider)
    assert_allclose(again, decided[0], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_cold_rows(name):
    estimator = _estimators(Pricing(**PAIRS))[name].fit(X)
    assert np.isfinite(estimator.predict(X)[-1])
    with pytest.raises(
        ValueError, match=r"^bounds must be given for rows without .* row 23: no low"
    ):
        estimator.decide(X)
    prices, info = estimator.decide(X, problem=PROBLEM, return_info=True)
    assert 2.5 <= prices[-1] <= 9
    assert info.expected_profit[-1] > 0
    assert_array_equal(estimator.decide(X[-1:], problem=PROBLEM), prices[-1:])
    table = np.column_stack([X, np.full(24, 6.0)])
    posted = _estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [4, 9])  # around the posted price
    assert np.isnan(X[-1]).all()
    table[-1, [0, 2]] = [2.0, 4.5]  # prices at which nobody counted: 3 is usual
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [2, 4.5])
    table[-1, 3] = 7.0  # now only the first of them counts
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [2 / 1.5, 3])


def test_a_table_without_a_pair_is_refused():
    for estimator in _estimators().values():
        with pytest.raises(ValueError, match="no observation at all"):
            estimator.fit(np.where(np.arange(6) < 3, X, NAN))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["zeros", "one_price", "one_row", "one_pair", "large", "equal"])
def test_odd_tables(name, case):
    table = X[:-1].copy()
    if case == "zeros":
        table[:, 3:] = 0
    if case == "one_price":
        table[:, :3] = 5.0
    if case == "one_row":
        table = table[:1]
    if case == "one_pair":
        table[:, 3:5] = NAN
    if case == "large":
        table[:, :3] *= 1e-6
        table[:, 3:] *= 1e9
    if case == "equal":
        table = np.tile(table[:1], (5, 1))
    estimator = _estimators(Pricing(**PAIRS, unit_cost=0.0))[name].fit(table)
    prices, info = estimator.decide(table, return_info=True)
    usual = np.exp(np.nanmean(np.log(np.where(np.isnan(table[:, 3:]), NAN, table[:, :3])), axis=1))
    assert (prices >= usual / 1.5 * (1 - 1e-9)).all()
    assert (prices <= usual * 1.5 * (1 + 1e-9)).all()
    for key in ("expected_profit", "elasticity", "mean", "profits"):
        assert np.isfinite(info[key]).all()
    if case == "equal":
        assert len(set(prices)) == 1
    if case == "zeros" and name != "network":
        assert_allclose(info.mean, 0, atol=1e-8)


# ---------------------------------------------------------------- other problems


@pytest.mark.parametrize("name", NAMES)
def test_other_costs_and_bounds_need_no_refit(name):
    table = np.column_stack([X, np.linspace(1, 4, 24)])
    other = Pricing(**PAIRS, unit_cost=Column(6), bounds=(4.0, 6.5), posted=3.5)
    one = _estimators(Pricing(**PAIRS, bounds=(3.0, 9.0)))[name].fit(table)
    two = _estimators(other)[name].fit(table)
    assert_array_equal(one.decide(table, problem=other), two.decide(table))


@pytest.mark.parametrize("name", NAMES)
def test_dearer_units_are_not_sold_cheaper(name):
    estimator = _estimators()[name].fit(X)
    prices = [
        estimator.decide(X, problem=Pricing(**PAIRS, unit_cost=cost, bounds=(2.0, 9.0)))
        for cost in (0.0, 1.0, 2.0, 4.0, 8.0)
    ]
    assert (np.diff(prices, axis=0) >= -7 / 200).all()
    assert prices[-1].mean() > prices[0].mean() + 0.5


@pytest.mark.parametrize("name", NAMES)
def test_problems_of_other_pairs_are_refused(name):
    estimator = _estimators()[name].fit(X)
    for changes, what in (
        ({"prices": [1, 0, 2]}, "other columns of prices"),
        ({"demands": [4, 3, 5]}, "other columns of demand"),
        ({"prices": [0, 1], "demands": [3, 4]}, "other columns of demand"),
    ):
        with pytest.raises(ValueError, match=f"^problem=.* {what} than fit did"):
            estimator.decide(X, problem=Pricing(**{**PAIRS, **changes}, bounds=(2.0, 9.0)))
    with pytest.raises(ValueError, match=r"^problem=Newsvendor.* cannot be decided after a fit"):
        estimator.decide(X, problem=Newsvendor())
    demand = SampleAverage(Newsvendor(observations=[3, 4, 5])).fit(X)
    with pytest.raises(ValueError, match="cannot be decided after a fit with Newsvendor"):
        demand.decide(X, problem=PROBLEM)


@pytest.mark.parametrize("kind", [SampleAverage, JamesStein, ParametricEmpiricalBayes])
def test_laws_that_know_no_prices_are_refused(kind):
    with pytest.raises(ValueError, match=f"^problem must have no prices for {kind.__name__}"):
        kind(PROBLEM).fit(X)


def test_weights_for_other_problems_are_refused():
    for problem, checkpoint in ((PROBLEM, "demand"), (PROBLEM, "gaussian"), (None, CHECKPOINT)):
        estimator = PretrainedDecisionTransformer(problem, checkpoint=checkpoint, finetune=None)
        with pytest.raises(ValueError, match=r"^a network of .* cannot decide a problem that has"):
            estimator.fit(X)


# ---------------------------------------------------------------- scores


def _pinball(quantiles, outcomes):
    """Mean over levels from 5 to 95 %, of one outcome a row."""
    short = outcomes[:, None] - quantiles
    return np.maximum(LEVELS * short, (LEVELS - 1) * short).mean(axis=1)


def test_charge_of_a_known_demand():
    """The mean of levels is one half: half of the distance."""
    law = WeightedAtoms([[4.0], [10.0], [1.0]])
    outcomes = np.array([[6.0, 3.0], [NAN, 9.0], [NAN, NAN]])
    assert_allclose(PROBLEM.charge(law, None, outcomes), [0.75, 0.5, NAN])
    even = WeightedAtoms([[0.0, 10.0]])  # below the median 0, above it 10
    by_hand = _pinball(np.where(LEVELS > 0.5, 10.0, 0.0)[None], np.array([4.0]))
    assert_allclose(PROBLEM.charge(even, None, np.array([[4.0]])), by_hand)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("table", [X, COUNTS], ids=["amounts", "counts"])
def test_score_on_later_demand(name, table):
    rng = np.random.default_rng(1)
    table = np.column_stack([table, rng.uniform(3, 7, 24)])
    problem = Pricing(**PAIRS, posted=Column(6))
    y = np.nan_to_num(table[:, 3], nan=8.0)
    y[4] = NAN
    estimator = _estimators(problem)[name].fit(table)
    reference = PerRowDemandCurve(problem).fit(table)
    own, theirs = (
        np.nansum(_pinball(each.predict_quantiles(table, LEVELS), y))
        for each in (estimator, reference)
    )
    assert estimator.score(table, y) == pytest.approx(1 - own / theirs, abs=1e-12)
    two = np.column_stack([y, np.where(np.arange(24) == 0, y, NAN)])
    assert estimator.score(table, two) == pytest.approx(1 - own / theirs, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_score_leaves_every_pair_out(name):
    """The law of what is left out is that at its own price, whatever is posted."""
    table = np.column_stack([X, np.full(24, 5.0)])
    estimator = _estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    reference = PerRowDemandCurve(estimator.problem).fit(table)
    own = theirs = 0.0
    for k in range(3):
        held = table.copy()
        held[:, 3 + k] = NAN
        held[:, :3][np.isnan(held[:, 3:6])] = NAN  # else a row without pairs would be told by them
        held[:, 6] = table[:, k]
        rows = ~np.isnan(table[:, 3 + k])
        own += _pinball(estimator.predict_quantiles(held, LEVELS), table[:, 3 + k])[rows].sum()
        theirs += _pinball(reference.predict_quantiles(held, LEVELS), table[:, 3 + k])[rows].sum()
    assert estimator.score(table) == pytest.approx(1 - own / theirs, abs=1e-12)


def test_score_of_the_reference_is_zero():
    for table in (X, COUNTS):
        assert PerRowDemandCurve(PROBLEM).fit(table).score(table) == 0
    with pytest.raises(ValueError, match="there is no outcome to charge"):
        PerRowDemandCurve(PROBLEM).fit(X).score(X, np.full(24, NAN))
    with pytest.raises(ValueError, match="Negative values"):
        PerRowDemandCurve(PROBLEM).fit(X).score(X, np.full(24, -1.0))


# ---------------------------------------------------------------- finetuning


def test_finetuning_asks_at_historical_prices():
    portfolio = PROBLEM.read(X)
    data = finetune_data(TINY, PROBLEM, portfolio, None, "cpu")
    assert_array_equal(data.usable(), np.setdiff1d(np.arange(24), [5, 23]))  # have two pairs
    context = np.array([0, 3, 5, 8])
    cells = np.array([1] * 24)
    inputs, targets = make_batch(data, context, np.ones(4, dtype=bool), np.where(X[:, 0] > 0, 2, 0))
    queries = inputs["queries"][0, :, 0].numpy()
    assert_allclose(queries[[0, 1, 3]], X[[0, 3, 8], 2], rtol=1e-6)
    assert_allclose(targets["outcomes"][0, [0, 1, 3], 0], X[[0, 3, 8], 5], rtol=1e-6)
    assert inputs["observations"][0, [0, 1, 3], 2].isnan().all()
    assert targets["weight"][0, 2] == 0  # nothing would be left of its evidence
    assert (targets["weight"][0, [0, 1, 3]] > 0).all()
    # later outcomes are at the posted price
    y = np.arange(1.0, 25.0)[:, None]
    posted = PROBLEM.read(X).at_price(np.linspace(3, 7, 24))
    data = finetune_data(TINY, PROBLEM, posted, y, "cpu")
    inputs, targets = make_batch(data, context, np.ones(4, dtype=bool), 0 * cells)
    assert_allclose(inputs["queries"][0, :, 0], np.linspace(3, 7, 24)[context], rtol=1e-6)
    assert_allclose(targets["outcomes"][0, :, 0], context + 1.0)


def test_rounds_hold_a_pair_out():
    rounds = charge_rounds(PROBLEM.read(X), None, np.random.default_rng(0))
    for evidence, charged, *_ in rounds:
        rows = np.flatnonzero(~np.isnan(charged[:, 0]))
        assert len(rows)
        for row in rows:
            (cell,) = np.flatnonzero(X[row, 3:] == charged[row, 0])
            assert np.isnan(evidence.observations[row, cell])
            assert np.isnan(evidence.prices[row, cell])
            assert evidence.posted_prices()[row] == X[row, cell]


@pytest.mark.parametrize("later", [False, True])
def test_finetuning(later):
    rng = np.random.default_rng(0)
    y = rng.uniform(10, 50, (24, 2)) if later else None
    strategy = HeadFinetune(max_epochs=1)
    estimator = _estimators(Pricing(**PAIRS), finetune=strategy)["network"].fit(X, y)
    report = estimator.finetune_report_
    assert set(report["candidate"]) == {"pretrained", "finetuned", "blend", "baseline"}
    assert np.isfinite(report["mean_cost"]).all()
    assert np.isfinite([row["train_loss"] for row in estimator.history_]).all()
    # costs are pinball losses: that of the pretrained weights, on what rows were charged on
    if later:
        plain = _estimators(Pricing(**PAIRS))["network"].fit(X)
        quantiles = plain.predict_quantiles(X, LEVELS)
        loss = [_pinball(quantiles, each).mean() for each in y.T]
        assert report["mean_cost"][0] == pytest.approx(np.mean(loss), rel=1e-9)


def test_a_baseline_may_take_the_place_of_the_network():
    found = SimpleNamespace(
        chosen="baseline", baseline=PooledDemandCurve, report={}, n_iter=0.0, history=[]
    )
    estimator = _estimators()["network"].fit(X)
    estimator._use(found, CHECKPOINT, PROBLEM.read(X))
    pooled = PooledDemandCurve(PROBLEM).fit(X)
    assert_allclose(estimator.decide(X), pooled.decide(X))
    assert_allclose(estimator.predict(X), pooled.predict(X))
    assert estimator.score(X) == pytest.approx(pooled.score(X))


# ---------------------------------------------------------------- scikit-learn's ways


@pytest.mark.parametrize("name", NAMES)
def test_pickles(name):
    estimator = _estimators()[name].fit(X)
    again = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(again.decide(X), estimator.decide(X))
    assert_array_equal(again.predict(X), estimator.predict(X))


def test_problems_are_cloned_and_shown():
    problem = Pricing(["p"], ["q"], unit_cost="cost", bounds=("low", None), posted=Column(3))
    assert clone(problem).get_params() == problem.get_params()
    assert repr(clone(problem)) == repr(problem)
    assert problem.default_checkpoint == "price"
    assert not problem.shares_limit
    assert repr(Pricing([0], [1])) == "Pricing(demands=[1], prices=[0])"


def test_pipelines():
    pipeline = make_decision_pipeline(PooledDemandCurve(PROBLEM)).fit(X)
    plain = PooledDemandCurve(PROBLEM).fit(X)
    assert_array_equal(pipeline.decide(X), plain.decide(X))
    _, info = pipeline.decide(X, return_info=True)
    assert info.elasticity.shape == (24,)
    mean = pipeline.predict_distribution(X, price=4.0).mean()
    assert_array_equal(mean, plain.predict_distribution(X, price=4.0).mean())
    assert pipeline.score(X) == plain.score(X)


def test_grid_search_over_finetuning():
    strategies = [None, HeadFinetune(max_epochs=1, lr=1e-3)]
    search = GridSearchCV(
        _estimators()["network"], {"finetune": strategies}, cv=2, error_score="raise"
    )
    search.fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    by_hand = []
    for fold in (slice(0, 12), slice(12, 24)):
        others = np.delete(X, np.arange(24)[fold], axis=0)
        by_hand.append(_estimators()["network"].fit(others).score(X[fold]))
    assert scores[0] == pytest.approx(np.mean(by_hand))
    assert search.best_estimator_.decide(X).shape == (24,)


def test_grid_search_over_problems():
    grid = {"problem__unit_cost": [0.0, 3.0]}
    search = GridSearchCV(PooledDemandCurve(PROBLEM), grid, cv=2, error_score="raise").fit(X)
    # what a unit costs does not change the law of demand
    assert len(set(search.cv_results_["mean_test_score"])) == 1
