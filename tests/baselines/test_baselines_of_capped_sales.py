"""Kaplan-Meier newsvendor and parametric empirical Bayes of capped sales."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.capped_levels import posterior_of_levels
from sklearn_pttf.baselines import (
    CensoredEmpiricalBayes,
    KaplanMeierNewsvendor,
    ParametricEmpiricalBayes,
    SampleAverage,
)
from sklearn_pttf.baselines._capped_families import FAMILIES, CappedGammaPoisson
from sklearn_pttf.baselines._kaplan_meier import product_limit_law
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

NAN = np.nan
PROBLEM = Newsvendor(9.0, 1.0)


def _law(estimator, portfolio):
    return estimator._fit_portfolio(portfolio)._predict_law(portfolio)


def _short(law, n_instances, n_observations, share, seed=0):
    """A portfolio of a law, and the same whose rows are each capped at one quantile of all."""
    free = law.sample(n_instances, n_observations, random_state=seed)
    stock = np.full_like(free.observations, np.quantile(free.observations, share))
    return free, replace(free, observations=np.minimum(free.observations, stock), stock=stock)


# ---- product limit


def test_product_limit_by_hand():
    # of five: one at 2 is a demand (4/5 remain), 3 is capped, one of three at 5 is (2/3 of 4/5),
    # and what lies beyond the largest sale, 8/15, is at it
    x, capped = np.array([[2.0, 3.0, 5.0, 7.0, 7.0]]), np.array([[0, 1, 0, 1, 1]], dtype=bool)
    law = product_limit_law(x, capped)
    assert_allclose(
        law.cdf(np.array([[1.0, 2.0, 4.0, 5.0, 6.9, 7.0]]))[0] * 15, [0, 3, 3, 7, 7, 15]
    )
    assert_array_equal(law.quantile(np.array([[0.2, 0.21, 0.46, 0.47, 0.99]]))[0], [2, 5, 5, 7, 7])


def test_a_capped_sale_is_not_at_risk_of_itself():
    # demand of at least 3 may be 3: the demands 3 and 5 of both others decide what it is
    law = product_limit_law(np.array([[3.0, 3.0, 5.0]]), np.array([[True, False, False]]))
    assert_allclose(law.cdf(np.array([[2.9, 3.0, 5.0]]))[0], [0.0, 0.5, 1.0])


def test_rows_without_capped_sales_are_those_of_the_sample_average():
    X = np.array([[3.0, 5.0, 4.0, NAN], [0.0, 1.0, 0.0, 7.0]])
    assert_array_equal(
        KaplanMeierNewsvendor(PROBLEM).fit(X).decide(X), SampleAverage(PROBLEM).fit(X).decide(X)
    )


def test_beyond_what_was_seen_the_order_is_the_largest_sale():
    x = np.array([[6.0, 6.0, 6.0], [1.0, 6.0, 6.0], [1.0, 2.0, 3.0]])
    stock = np.array([[6.0], [6.0], [9.0]]) * np.ones((1, 3))
    law = _law(KaplanMeierNewsvendor(), Portfolio(x, stock=stock))
    assert_array_equal(law.quantile(0.99), [6.0, 6.0, 3.0])
    assert_array_equal(law.quantile(0.3), [6.0, 1.0, 1.0])


def test_a_row_without_observations_has_the_law_of_all():
    x = np.array([[2.0, 3.0], [5.0, 7.0], [NAN, NAN]])
    stock = np.array([[NAN, 3.0], [NAN, 7.0], [4.0, 4.0]])
    law = _law(KaplanMeierNewsvendor(), Portfolio(x, stock=stock))
    # 2: 1/4; of the two that are left at 5 one is a demand
    assert_array_equal(law.quantile(np.array([[0.24, 0.26, 0.62, 0.63]]))[2], [2, 5, 5, 7])
    assert_array_equal(law.quantile(0.4), [2.0, 5.0, 5.0])


def test_product_limit_is_that_of_lifelines():
    lifelines = pytest.importorskip("lifelines")
    rng = np.random.default_rng(0)
    x, capped = rng.integers(1, 15, (5, 12)).astype(float), rng.uniform(size=(5, 12)) < 0.5
    between = np.arange(x.max()) + 0.75
    law = product_limit_law(x, capped)
    for row, remaining in enumerate(1 - law.cdf(between[None])):
        # there what is censored at a time is at risk of it: at least 3 is beyond 2.5
        times = np.where(capped, x - 0.5, x)[row]
        fitted = lifelines.KaplanMeierFitter().fit(times, ~capped[row]).predict(between)
        seen = between < x[row].max()  # beyond, ours is at the largest sale
        assert_allclose(remaining[seen], fitted.to_numpy()[seen], atol=1e-12)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(1, 30))
def test_capped_sales_never_lower_an_order(sales, stock):
    x = np.minimum(np.array([sales], dtype=float), stock)
    told = _law(KaplanMeierNewsvendor(), Portfolio(x, stock=np.full_like(x, stock)))
    levels = np.array([[0.1, 0.5, 0.9]])
    as_sold = _law(KaplanMeierNewsvendor(), Portfolio(x))
    assert np.all(told.quantile(levels) >= as_sold.quantile(levels))


def test_an_exposure_scales_the_product_limit():
    x, exposure = np.array([[4.0, 6.0, 9.0]]), np.array([[1.0, 2.0, 1.0]])
    stock = np.array([[NAN, 6.0, NAN]])
    long = Portfolio(x, stock=stock, exposure=exposure, coming=np.array([2.0]))
    law = _law(KaplanMeierNewsvendor(), long)  # rates 3 (capped), 4, 9
    assert_array_equal(law.quantile(np.array([[0.1, 0.5, 0.6]]))[0], [8.0, 8.0, 18.0])


# ---- empirical Bayes


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_hyperparameters_of_capped_counts(share):
    _, short = _short(GammaPoisson(4.0, 0.4), 1500, 6, share)
    found = CensoredEmpiricalBayes(family="gamma-poisson")._fit_portfolio(short).hyperparameters_
    assert_allclose(found["shape"] / found["rate"], 10.0, rtol=0.05)
    assert_allclose(found["shape"], 4.0, rtol=0.15)
    as_sold = ParametricEmpiricalBayes(family="gamma-poisson").fit(short.observations)
    mean = as_sold.hyperparameters_["shape"] / as_sold.hyperparameters_["rate"]
    assert mean < 9.5


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_hyperparameters_of_capped_amounts(share):
    _, short = _short(LognormalNormal(4.0, 0.5, 0.4), 1500, 6, share)
    found = CensoredEmpiricalBayes()._fit_portfolio(short)
    assert found.family_ == "lognormal"
    for name, value in {"mean": 4.0, "spread": 0.5, "noise": 0.4}.items():
        assert_allclose(found.hyperparameters_[name], value, rtol=0.08)


@pytest.mark.parametrize("family", FAMILIES)
def test_slopes_of_the_marginal_likelihood(family):
    _, short = _short(GammaPoisson(4.0, 0.4), 40, 5, 0.6)
    family = FAMILIES[family]()
    start = family._starts(short)[0][0] + 0.2

    def parts(parameters):
        named = family._named(parameters)
        evidence = family._evidence(named, short)
        posterior = posterior_of_levels(family._prior(named), evidence)
        return posterior.log_evidence.sum(), family._slopes(named, posterior, evidence)

    numeric = optimize.approx_fprime(start, lambda at: parts(at)[0], 1e-6)
    assert_allclose(parts(start)[1], numeric, rtol=1e-3, atol=1e-3)


def test_without_stock_it_is_parametric_empirical_bayes():
    X = GammaPoisson(2.0, 0.2).sample(300, 5, random_state=3).observations
    for family, rtol in (("gamma-poisson", 2e-3), ("lognormal", 2e-2)):
        ours = CensoredEmpiricalBayes(PROBLEM, family=family).fit(X)
        plain = ParametricEmpiricalBayes(PROBLEM, family=family).fit(X)
        for name, value in plain.hyperparameters_.items():
            assert_allclose(ours.hyperparameters_[name], value, rtol=rtol)
        assert np.mean(ours.decide(X) == plain.decide(X)) > 0.97


def test_families_are_told_apart():
    counts = _short(GammaPoisson(4.0, 0.4), 200, 8, 0.7)[1]
    assert CensoredEmpiricalBayes()._fit_portfolio(counts).family_ == "gamma-poisson"
    wide = _short(LognormalNormal(3.0, 0.3, 0.7), 200, 8, 0.7)[1]
    wide = Portfolio(np.rint(wide.observations), stock=np.rint(wide.stock))
    assert CensoredEmpiricalBayes()._fit_portfolio(wide).family_ == "lognormal"


def test_where_every_sale_was_capped_orders_are_finite_and_not_below():
    x = np.array([[4.0, 4.0], [9.0, 9.0], [2.0, 2.0]])
    for family in FAMILIES:
        estimator = CensoredEmpiricalBayes(family=family)
        order = _law(estimator, Portfolio(x, stock=x)).quantile(0.9)
        assert np.all(order >= x[:, 0])
        assert np.all(order < 40 * x[:, 0])


def test_zeros_have_a_share_of_their_own():
    x = np.array([[0.0, 0.0, 2.5, 3.0], [0.0, 2.0, 3.5, 3.0], [1.5, 2.5, 0.0, 3.0]])
    stock = np.full_like(x, 3.0)
    law = _law(CensoredEmpiricalBayes(), Portfolio(x, stock=stock))
    share = law.cdf(0.0)
    assert share[0] > share[1]
    assert_allclose(share.mean(), 4 / 12, atol=0.02)


def test_of_many_rows_some_are_fitted():
    _, short = _short(GammaPoisson(4.0, 0.4), 4 * CappedGammaPoisson.most_rows, 3, 0.5)
    found = CensoredEmpiricalBayes(family="gamma-poisson")._fit_portfolio(short)
    mean = found.hyperparameters_["shape"] / found.hyperparameters_["rate"]
    assert_allclose(mean, 10.0, rtol=0.05)


def _overdispersed(n_instances, size, follows=1.0, seed=0):
    """Gamma levels of mean 16, negative binomial demand, stock that goes by the level."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 8.0, (n_instances, 1))
    demand = rng.poisson(level * rng.gamma(size, 1 / size, (n_instances, 9))).astype(float)
    stock = np.rint(follows * 16.0 * rng.lognormal(0.0, 0.5, (n_instances, 1))).clip(1.0)
    stock = np.broadcast_to(stock, (n_instances, 8))
    x = demand[:, :8]
    return Portfolio(np.minimum(x, stock), stock=stock), demand


def test_counts_that_vary_more_than_poisson_ones():
    """Known: levels of shape 2 and mean 16, and size 4, of which 35 % are capped."""
    short, demand = _overdispersed(400, 4.0)
    estimator = CensoredEmpiricalBayes()._fit_portfolio(short)
    assert estimator.family_ == "gamma-negative-binomial"
    found = estimator.hyperparameters_
    assert_allclose(found["shape"], 2.0, rtol=0.3)
    assert_allclose(found["shape"] / found["rate"], 16.0, rtol=0.12)
    assert_allclose(found["size"], 4.0, rtol=0.3)
    law = estimator._predict_law(short)
    assert abs(law.mean().sum() / demand[:, 8].sum() - 1) < 0.06
    below = (demand[:, 8] <= law.quantile(0.9)).mean()
    assert 0.87 < below < 0.95


def test_poisson_counts_stay_poisson():
    _, short = _short(GammaPoisson(4.0, 0.4), 300, 6, 0.6)
    assert CensoredEmpiricalBayes()._fit_portfolio(short).family_ == "gamma-poisson"


def test_an_exposure_is_of_the_rate():
    x = np.array([[4.0, 8.0], [2.0, 4.0], [6.0, 12.0]])
    exposure, stock = np.array([[1.0, 2.0]] * 3), np.array([[9.0, 8.0]] * 3)
    long = Portfolio(x, stock=stock, exposure=exposure, coming=np.full(3, 2.0))
    once = replace(long, coming=np.ones(3))
    estimator = CensoredEmpiricalBayes()._fit_portfolio(long)
    assert_allclose(estimator._predict_law(long).mean(), 2 * estimator._predict_law(once).mean())


def test_refusals():
    with pytest.raises(ValueError, match="gamma-poisson' needs whole numbers"):
        CensoredEmpiricalBayes(family="gamma-poisson").fit([[0.5, 1.5]])
    with pytest.raises(ValueError, match="binomial' needs whole numbers"):
        CensoredEmpiricalBayes(family="gamma-negative-binomial").fit([[0.5, 1.5]])
    with pytest.raises(ValueError, match="at least 0"):
        CensoredEmpiricalBayes().fit([[-1.0, 1.5]])
