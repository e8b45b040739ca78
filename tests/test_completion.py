"""Demand in the place of capped sales."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from sklearn_pttf import Portfolio
from sklearn_pttf._tables.completion import _Law, completed

ORDER_UP_TO = 1.1  # times the mean


def _lognormal(seed, n_rows=400, n_periods=20, noise=0.5):
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 10.0, (n_rows, 1))
    demand = level * np.exp(noise * rng.normal(size=(n_rows, n_periods)))
    return demand, ORDER_UP_TO * level * np.ones_like(demand)


def _sold(demand, stock, **more):
    return Portfolio(np.minimum(demand, stock), stock=stock, **more)


def test_law_beyond_the_cap_is_that_of_a_lognormal_number():
    level, noise, least = 10.0, 0.25, 13.0
    law = _Law(*(np.array([x]) for x in (level, noise, 0.0, least, 1e9)))
    s = np.sqrt(np.log(1 + noise))
    rng = np.random.default_rng(0)
    drawn = level * np.exp(s * rng.normal(size=1_000_000) - s**2 / 2)
    beyond = drawn[drawn > least]
    mean, variance = (float(x[0]) for x in law.expected())
    assert mean == pytest.approx(beyond.mean(), rel=0.005)
    assert variance == pytest.approx(beyond.var(), rel=0.05)
    assert float(law.drawn(np.array([0.5]))[0]) == pytest.approx(np.median(beyond), rel=0.005)


def test_law_of_counts_beyond_the_cap_is_that_of_a_squared_normal_number():
    level, noise, least = 4.0, 0.25, 6.5
    law = _Law(*(np.array([x]) for x in (level, noise, 1.0, least, 1e9)))
    s = np.sqrt(level * (1 - np.sqrt(1 - noise / 2)))
    rng = np.random.default_rng(0)
    drawn = (np.sqrt(level - s**2) + s * rng.normal(size=1_000_000)) ** 2
    assert drawn.var() / level**2 == pytest.approx(noise, rel=0.01)
    beyond = drawn[drawn > least]
    mean, variance = (float(x[0]) for x in law.expected())
    assert mean == pytest.approx(beyond.mean(), rel=0.005)
    assert variance == pytest.approx(beyond.var(), rel=0.05)
    assert float(law.drawn(np.array([0.9]))[0]) == pytest.approx(
        np.quantile(beyond, 0.9), rel=0.005
    )


def test_demand_of_lognormal_rows_is_found_where_a_third_is_capped():
    demand, stock = _lognormal(0)
    portfolio = _sold(demand, stock)
    assert np.minimum(demand, stock).sum() / demand.sum() < 0.8
    for draw in (False, True):
        found = completed(portfolio, draw)
        assert found.stock is None
        assert found.observations.sum() == pytest.approx(demand.sum(), rel=0.03)
    over = (found.observations / stock)[portfolio.capped]
    assert np.quantile(over, [0.5, 0.9]) == pytest.approx(
        np.quantile((demand / stock)[portfolio.capped], [0.5, 0.9]), rel=0.06
    )


def test_demand_of_counts_is_found_in_whole_numbers():
    rng = np.random.default_rng(1)
    level = rng.gamma(2.0, 10.0, (400, 1)) + 3
    demand = rng.poisson(level, (400, 20)).astype(float)
    portfolio = _sold(demand, np.rint(ORDER_UP_TO * level) * np.ones((1, 20)))
    drawn = completed(portfolio, draw=True)
    assert drawn.integer
    assert (drawn.observations % 1 == 0).all()
    assert drawn.observations.sum() == pytest.approx(demand.sum(), rel=0.015)


def test_uncapped_cells_stay_and_capped_ones_never_fall():
    demand, stock = _lognormal(2, n_rows=30)
    demand[:3, 0] = np.nan
    portfolio = _sold(demand, stock)
    found, capped = completed(portfolio).observations, portfolio.capped
    np.testing.assert_array_equal(found[~capped], portfolio.observations[~capped])
    assert (found[capped] > portfolio.observations[capped]).all()


def test_nothing_changes_without_capped_sales():
    portfolio = Portfolio(np.array([[3.0, 0.0], [2.0, 5.0]]))
    assert completed(portfolio) is portfolio
    never = Portfolio(portfolio.observations, stock=np.array([[np.nan, 9.0], [3.0, 6.0]]))
    assert completed(never).stock is None
    np.testing.assert_array_equal(completed(never).observations, portfolio.observations)


def test_periods_of_an_exposure_are_completed_in_its_units():
    demand, stock = _lognormal(3, n_rows=200)
    exposure = np.where(np.arange(demand.shape[1]) % 2, 4.0, 1.0) * np.ones_like(demand)
    plain = completed(_sold(demand, stock))
    told = completed(_sold(demand * exposure, stock * exposure, exposure=exposure))
    np.testing.assert_allclose(told.observations, plain.observations * exposure)


def test_in_time_a_season_that_rows_share_is_none_of_their_noise():
    rng = np.random.default_rng(4)
    level = rng.gamma(4.0, 10.0, (200, 1))
    season = np.array([0.3, 1.0, 1.7, 1.0] * 4)
    demand = level * season * np.exp(0.1 * rng.normal(size=(200, 16)))
    stock = 1.05 * level * season
    for ordered, off in ((True, 0.02), (False, 0.05)):
        found = completed(_sold(demand, stock, ordered=ordered)).observations
        error = abs(found.sum() / demand.sum() - 1)
        assert (error < off) == ordered


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_the_order_of_rows_means_nothing(seed, whole, draw):
    demand, stock = _lognormal(seed, n_rows=25, n_periods=6)
    if whole:
        demand, stock = np.floor(demand), np.ceil(stock)
    order = np.random.default_rng(seed).permutation(len(demand))
    # equal rows may change their draws with each other: the sorted ones stay
    plain = completed(_sold(demand, stock), draw).observations
    moved = completed(_sold(demand[order], stock[order]), draw).observations
    np.testing.assert_allclose(np.sort(moved, axis=None), np.sort(plain, axis=None), rtol=1e-6)
    if not whole:
        np.testing.assert_allclose(moved, plain[order], rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1e-6, 0.3, 1e7]))
def test_units_mean_nothing_of_amounts(seed, unit):
    demand, stock = _lognormal(seed, n_rows=20, n_periods=5)
    plain = completed(_sold(demand, stock), draw=True).observations
    np.testing.assert_allclose(
        completed(_sold(demand * unit, stock * unit), draw=True).observations,
        plain * unit,
        rtol=1e-6,
    )


@pytest.mark.parametrize("sales", [[[5.0, 5.0]], [[5.0, np.nan], [0.0, 0.0]], [[1e-3], [1e6]]])
def test_tables_of_nothing_but_capped_sales_are_completed(sales):
    sales = np.array(sales)
    found = completed(Portfolio(sales, stock=sales), draw=True).observations
    seen = sales > 0
    assert np.isfinite(found[seen]).all()
    assert (found[seen] >= sales[seen]).all()


def test_draws_are_spread_evenly_over_the_law():
    demand, stock = _lognormal(5, n_rows=500, n_periods=60)
    portfolio = _sold(demand, stock)
    drawn = completed(portfolio, draw=True).observations[portfolio.capped]
    level = np.broadcast_to(stock / ORDER_UP_TO, stock.shape)[portfolio.capped]
    above = norm.sf(np.log(drawn / level) / 0.5) / norm.sf(np.log(ORDER_UP_TO) / 0.5)
    counts = np.histogram(above, bins=4, range=(0, 1))[0] / len(above)
    assert counts == pytest.approx([0.25] * 4, abs=0.04)
