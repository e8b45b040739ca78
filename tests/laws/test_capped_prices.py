"""Demand beyond caps at prices, against integrals, and what is found of rows that are drawn."""

import numpy as np
import pytest
from scipy import stats

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.capped_levels import count_beyond, lognormal_beyond
from sklearn_pttf._laws.capped_prices import CappedDemandAtPrices, _Hyperparameters, _named
from support.pricing import capped_rows

NAN = np.nan
SHARED = _Hyperparameters(3.0, 0.5, 0.4, 2.0, 0.6, 0.0, 1.5)
ROWS = {
    "prices": np.array([[4.0, 5.0, 6.0], [4.5, 5.5, NAN], [5.0, 5.0, 5.0]]),
    "observations": np.array([[30.0, 20.0, 9.0], [25.0, 40.0, NAN], [8.0, 0.0, 11.0]]),
    "stock": np.array([[30.0, 60.0, 9.0], [25.0, NAN, NAN], [NAN, 12.0, 11.0]]),
}


def portfolio_of(seed=0, **settings):
    prices, demand, stock = capped_rows(seed, **settings)
    return Portfolio(np.minimum(demand, stock), prices=prices, stock=stock), demand


def by_integration(row, whole):
    """Expected demand of the capped cells of one row, by sums over levels and elasticities."""
    seen = ~np.isnan(ROWS["observations"][row])
    prices, sales, stock = (ROWS[name][row][seen] for name in ("prices", "observations", "stock"))
    x = np.log(prices) - np.log(prices).mean()
    level = np.linspace(-5, 5, 201) * SHARED.spread + SHARED.middle
    slope = np.linspace(-5, 5, 201) * SHARED.elasticity_spread + SHARED.elasticity
    log_mean = level[:, None, None] - slope[None, :, None] * (np.exp(1.5 * x) - 1) / 1.5
    weight = stats.norm.pdf(np.linspace(-5, 5, 201))[:, None] * stats.norm.pdf(
        np.linspace(-5, 5, 201)
    )
    capped = sales >= stock
    if whole:
        size = SHARED.noise**-2
        law = stats.nbinom(size, size / (size + np.exp(log_mean)))
        at, above = law.pmf(sales), law.sf(sales - 1)
        counts = np.arange(600)
    else:
        law = stats.norm(log_mean, SHARED.noise)
        with np.errstate(divide="ignore"):
            at, above = law.pdf(np.log(sales)), law.sf(np.log(sales))
        at = np.where(sales > 0, at, 1.0)  # zeros tell nothing
    weight = weight * np.where(capped, above, at).prod(axis=2)
    out = []
    for k in np.flatnonzero(capped):
        if whole:
            coarse = slice(None, None, 4)
            mean = np.exp(log_mean[coarse, coarse, k])[..., None]
            mass = stats.nbinom.pmf(counts, size, size / (size + mean))
            beyond = (mass * counts * (counts >= sales[k])).sum(axis=2) / above[coarse, coarse, k]
            out.append((weight[coarse, coarse] * beyond).sum() / weight[coarse, coarse].sum())
        else:
            logs = np.log(sales[k]) + np.linspace(0, 6, 1501)[1:] - 0.002
            some = log_mean[::4, ::4, k]
            density = stats.norm.pdf(logs, some[..., None], SHARED.noise)
            beyond = (density * np.exp(logs)).sum(axis=2) / density.sum(axis=2)
            out.append((weight[::4, ::4] * beyond).sum() / weight[::4, ::4].sum())
    return out


@pytest.mark.parametrize("whole", [False, True])
def test_demand_beyond_caps_is_that_of_an_integral(whole):
    portfolio = Portfolio(**ROWS, integer=whole)
    fitted = CappedDemandAtPrices(portfolio)
    fitted.shared, fitted.usual_stock, fitted.unit = SHARED, None, 1.0
    found = fitted.completed(portfolio)
    assert found.stock is None
    capped = portfolio.capped
    same = ~capped & portfolio.mask
    np.testing.assert_array_equal(found.observations[same], ROWS["observations"][same])
    for row in range(3):
        expected = by_integration(row, whole)
        np.testing.assert_allclose(found.observations[row, capped[row]], expected, rtol=2e-3)


def test_what_lies_beyond_a_cap():
    counts = np.arange(2000)
    mass = stats.nbinom.pmf(counts, 3.0, 3.0 / (3.0 + 20.0))
    for cap in (1, 2, 30):
        above = counts >= cap
        expected = (mass * counts)[above].sum() / mass[above].sum()
        assert count_beyond(np.array(cap), np.array(20.0), 3.0) == pytest.approx(expected)
    law = stats.lognorm(0.4, scale=np.exp(2.0))
    expected = law.expect(lb=9.0, conditional=True)
    assert lognormal_beyond(np.log(9.0), 2.0, 0.4) == pytest.approx(expected)
    assert lognormal_beyond(-50.0, 2.0, 0.4) == pytest.approx(law.mean())


@pytest.mark.parametrize("whole", [False, True])
def test_slopes_are_those_of_the_likelihood(whole):
    portfolio, _ = portfolio_of(n_rows=20, whole=whole)
    rows = CappedDemandAtPrices(portfolio)._stacked(portfolio)
    at, step = np.array([3.8, -0.4, -1.0, 2.3, -0.5, 0.4, 0.7]), 1e-4

    def likelihood(parameters):
        return rows.posterior(_named(parameters)).log_evidence

    steps = step * np.eye(7)
    expected = [(likelihood(at + h) - likelihood(at - h)) / (2 * step) for h in steps]
    slopes = rows.slopes(_named(at), rows.posterior(_named(at)))
    np.testing.assert_allclose(slopes, expected, rtol=5e-3, atol=0.02)


@pytest.mark.parametrize("settings", [{}, {"follows": False}, {"whole": True, "n_rows": 60}])
def test_drawn_rows_are_found_again(settings):
    """Elasticity 2.5, noise 0.3 (none of counts), and demand beyond caps, within chance."""
    portfolio, demand = portfolio_of(1, **{"n_rows": 200, **settings})
    fitted = CappedDemandAtPrices(portfolio)
    assert 0.35 < portfolio.capped.mean() < 0.45
    assert fitted.shared.elasticity == pytest.approx(2.5, rel=0.06)
    if "whole" not in settings:
        assert fitted.shared.noise == pytest.approx(0.3, rel=0.08)
    capped = portfolio.capped
    total = fitted.completed(portfolio).observations[capped].sum()
    assert total == pytest.approx(demand[capped].sum(), rel=0.07)
    assert portfolio.observations[capped].sum() < 0.75 * demand[capped].sum()


def test_flags_say_nothing_of_stock():
    """What only sold-out cells tell is no stock: rows of large sales were not given more."""
    portfolio, _ = portfolio_of(n_rows=20)
    stock = np.where(portfolio.capped, portfolio.observations, NAN)
    flagged = Portfolio(portfolio.observations, prices=portfolio.prices, stock=stock)
    assert CappedDemandAtPrices(flagged).usual_stock is None
    assert CappedDemandAtPrices(portfolio).usual_stock == pytest.approx(
        np.log(portfolio.stock).mean()
    )


@pytest.mark.parametrize(("of_demand", "of_prices"), [(1e-9, 1.0), (1e9, 1.0), (1.0, 1e6)])
def test_units_do_not_matter(of_demand, of_prices):
    portfolio, _ = portfolio_of(n_rows=20)
    found = CappedDemandAtPrices(portfolio).completed(portfolio).observations
    other = Portfolio(
        portfolio.observations * of_demand,
        prices=portfolio.prices * of_prices,
        stock=portfolio.stock * of_demand,
    )
    changed = CappedDemandAtPrices(other).completed(other).observations
    np.testing.assert_allclose(changed / of_demand, found, rtol=1e-6)


def test_no_positive_demand_is_no_error():
    stock = np.array([[5.0, NAN], [NAN, NAN]])
    fitted = CappedDemandAtPrices(
        Portfolio([[0.0, NAN], [NAN, NAN]], prices=np.full((2, 2), 3.0), stock=stock)
    )
    later = Portfolio([[4.0, 2.0]], prices=[[3.0, 4.0]], stock=[[4.0, NAN]], integer=True)
    found = fitted.completed(later).observations
    assert 4.0 < found[0, 0] < 80.0
    assert found[0, 1] == 2.0
