"""The search for prices: against brute force over known demand curves, and what it tells."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Column, Portfolio
from sklearn_pttf._laws.at_prices import DemandAtPrices, PriceRange
from sklearn_pttf.baselines import PerRowDemandCurve
from sklearn_pttf.problems import Pricing
from support.pricing import COUNTS, NAMES, PAIRS, PROBLEM, X, pricing_estimators

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)

# ---------------------------------------------------------------- the search


def _solve(mean, costs, low, high):
    """Prices for rows of which demand is known; with all that was looked at."""
    costs, low, high = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (costs, low, high))
    costs = np.broadcast_to(costs, low.shape)
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
    estimator = pricing_estimators(problem)[name].fit(table)
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
    estimator = pricing_estimators()[name].fit(table)
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
