"""The benchmark of stockouts: how stock is drawn, and exact Bayes that knows it."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from sklearn_pttf import Portfolio
from sklearn_pttf.testing import GammaPoisson, LognormalNormal, Segments, ZeroInflatedPoisson

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LAWS = [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.5, 0.4)]


@pytest.fixture(scope="module")
def stockouts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("stockouts")


@pytest.mark.parametrize("policy", ["following", "unrelated", "varying"])
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_stock_caps_the_share_and_sales_are_what_there_was(stockouts, law, policy):
    stocked = stockouts.StockedLaw(law, 0.3, policy)
    portfolio = stocked.sample(3000, 4, seed=5)
    assert_allclose(portfolio.capped.mean(), 0.3, atol=0.03)  # of whole stock not every share
    same = portfolio.stock == portfolio.stock[:, :1]
    assert same.all() == (policy != "varying")
    demand = law.sample(3000, 4, np.random.RandomState(5)).observations
    assert_array_equal(portfolio.observations, np.minimum(demand, portfolio.stock))
    follows = np.corrcoef(demand.mean(axis=1), portfolio.stock[:, 0])[0, 1]
    assert follows > 0.5 if policy == "following" else abs(follows) < 0.1


def test_bayes_knows_how_stock_of_counts_is_ordered(stockouts):
    law, spread = GammaPoisson(2.0, 0.2), stockouts.FACTOR_SPREAD
    stocked = stockouts.StockedLaw(law, 0.6)
    portfolio = stocked.sample(4, 2, seed=1)
    found = stocked.predictive(portfolio)
    for row in range(4):
        stock = portfolio.stock[row, 0]

        def density(mean, stock=stock, row=row):
            ends = np.array([stock - 0.5 if stock > 1 else 0.0, stock + 0.5])
            factor = stats.lognorm.cdf(ends / stocked.multiple / mean, spread)
            out = stats.gamma.pdf(mean, 2.0, scale=5.0) * np.diff(factor)[0]
            for sale in portfolio.observations[row]:
                capped = sale >= stock
                out *= stats.poisson.sf(sale - 1, mean) if capped else stats.poisson.pmf(sale, mean)
            return out

        whole = integrate.quad(density, 0, 120, epsabs=0, epsrel=1e-10, limit=400)[0]
        mean = integrate.quad(lambda m: m * density(m), 0, 120, epsabs=0, epsrel=1e-10, limit=400)
        assert_allclose(found.mean()[row], mean[0] / whole, rtol=1e-5)


def test_bayes_knows_how_stock_of_amounts_is_ordered(stockouts):
    # nothing capped: normal conjugacy, stock being one more observation of the log mean
    law, spread = LognormalNormal(4.0, 0.5, 0.4), stockouts.FACTOR_SPREAD
    stocked = stockouts.StockedLaw(law, 0.3)
    stocked.multiple = 50.0
    portfolio = stocked.sample(5, 3, seed=2)
    assert not portfolio.capped.any()
    offset = np.log(50.0) + 0.4**2 / 2
    precision = 1 / 0.5**2 + 3 / 0.4**2 + 1 / spread**2
    told = (np.log(portfolio.stock[:, 0]) - offset) / spread**2
    centre = 4.0 / 0.5**2 + np.log(portfolio.observations).sum(axis=1) / 0.4**2 + told
    centre = centre / precision
    found = stocked.predictive(portfolio)
    assert_allclose(found.mean(), np.exp(centre + (1 / precision + 0.4**2) / 2), rtol=1e-6)


def test_no_order_costs_less_than_that_of_bayes(stockouts):
    for law in LAWS:
        stocked = stockouts.StockedLaw(law, 0.6)
        portfolio = stocked.sample(1500, 3, seed=3)
        truth, found = law.truth(portfolio), stocked.predictive(portfolio)
        own = stockouts.true_costs(found, truth, 0.9).mean()
        assert stockouts.true_costs(law.predictive(portfolio), truth, 0.9).mean() > own
        for tau in (0.8, 0.95):
            order = found.quantile(tau)
            assert (0.1 * (order - truth.mean()) + truth.excess(order)).mean() > own


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("policy", ["constant", "following"])
def test_stock_of_walks_caps_the_share(stockouts, counts, policy):
    walks = stockouts.Walks(counts, season=True)
    demand, expected, _ = walks.sample(400, 26, seed=3)
    stock = stockouts.stock_of(demand, expected, 0.3, policy, seed=3)
    assert_allclose((demand >= stock).mean(), 0.3, atol=0.04)  # of whole stock not every share
    if policy == "constant":
        assert_array_equal(stock, np.repeat(stock[:, :1], 26, axis=1))
    elif not counts:
        factor = stock / expected
        assert_allclose(factor, np.repeat(factor[:, :1], 26, axis=1))
        assert_allclose(np.log(factor[:, 0]).std(), 0.4, atol=0.05)


@pytest.mark.parametrize("counts", [True, False])
def test_walks_go_on_from_what_is_expected(stockouts, counts):
    walks = stockouts.Walks(counts, season=False, common=0.0, own=0.1)
    demand, expected, later = walks.sample(4000, 3, seed=4)
    assert (expected[:, 0] != expected[:, 2]).all()
    usual = np.exp(0.1**2 / 2)  # mean of a lognormal step
    assert_allclose((demand / expected).mean(axis=0), usual, rtol=0.02)
    # the next step is over two more, that of the newest period and its own
    assert_allclose((later.mean(axis=1) / expected[:, -1]).mean(), usual**2, rtol=0.02)
    shared = stockouts.Walks(counts, season=True, own=0.0).sample(50, 26, seed=4)[1]
    assert_allclose(shared / shared[:, :1], (shared / shared[:, :1])[[0] * 50])


def test_costs_on_draws_by_hand(stockouts):
    orders = np.array([[4.0, 1.0]] * 3)
    later = np.array([[2.0, 6.0], [1.0, 1.0]])
    # 2 left or 2 short, and nothing; at shares of 0.5, 0.9 and 0.95
    wanted = [(2 * (1 - tau) + 2 * tau) / 2 for tau in stockouts.TAUS]
    assert_allclose(stockouts.costs_on_draws(orders, later), wanted)
    later[1] = 3.0  # 2 short
    wanted = [each + 2 * tau for each, tau in zip(wanted, stockouts.TAUS, strict=True)]
    assert_allclose(stockouts.costs_on_draws(orders, later), wanted)


@pytest.mark.parametrize("law", [Segments([2.0, 9.0]), ZeroInflatedPoisson(1.0, 1.0, 2.0, 0.5)])
def test_other_laws_refuse_capped_outcomes(law):
    with pytest.raises(ValueError, match="must have no capped outcomes for"):
        law.predictive(Portfolio([[2.0, 3.0]], stock=[[5.0, 3.0]]))
    law.predictive(Portfolio([[2.0, 3.0]], stock=[[5.0, np.nan]]))
