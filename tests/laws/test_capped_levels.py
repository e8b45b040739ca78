"""Levels of rows some of whose outcomes were capped, and the laws of what follows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, special, stats

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.capped_levels import (
    CappedLognormal,
    CappedNegativeBinomial,
    CappedPoisson,
    GammaLevels,
    NormalLevels,
    log_at_least,
    posterior_of_levels,
)
from sklearn_pttf._laws.levels import (
    LognormalLevelsLaw,
    NegativeBinomialLevelsLaw,
    PoissonLevelsLaw,
)
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    PoissonLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

NAN = np.nan


def _chances(x, stock, mean):
    """Likelihood of one row's Poisson sales at a mean."""
    likelihood = 1.0
    for sale, there in zip(x, stock, strict=True):
        if sale >= there:
            likelihood *= stats.poisson.sf(sale - 1, mean)
        else:
            likelihood *= stats.poisson.pmf(sale, mean)
    return likelihood


@pytest.mark.parametrize(
    ("x", "stock"),
    [([3, 5, 5], [5, 5, 5]), ([4, 4], [4, 4]), ([0, 7], [9, 7]), ([2, 6, 3], [NAN, 6, 3])],
)
def test_gamma_poisson_posterior_is_the_integral(x, stock):
    shape, rate = 2.0, 0.3

    def integral(of_mean):
        def density(mean):
            prior = stats.gamma.pdf(mean, shape, scale=1 / rate)
            return of_mean(mean) * prior * _chances(x, stock, mean)

        return integrate.quad(density, 0, 80, epsabs=0, epsrel=1e-11, limit=400)[0]

    evidence = integral(lambda mean: 1.0)
    portfolio = Portfolio([x], stock=[stock])
    posterior = posterior_of_levels(GammaLevels(shape, rate), CappedPoisson(portfolio))
    assert_allclose(posterior.log_evidence, np.log(evidence), atol=1e-8)
    law = GammaPoisson(shape, rate).predictive(portfolio)
    assert_allclose(law.mean(), integral(lambda mean: mean) / evidence, rtol=1e-7)
    for k in (0, 4, 9):
        at_most = integral(lambda mean, k=k: stats.poisson.cdf(k, mean)) / evidence
        assert_allclose(law.cdf(k), at_most, atol=1e-8)


def test_lognormal_posterior_is_the_integral():
    x, stock = [20.0, 30.0, 30.0], [30.0, 30.0, 30.0]
    mean, spread, noise = 3.0, 0.5, 0.4

    def integral(of_level):
        def density(level):
            seen = stats.norm.pdf(np.log(20.0), level, noise) / 20.0
            capped = stats.norm.sf(np.log(30.0), level, noise) ** 2
            return of_level(level) * stats.norm.pdf(level, mean, spread) * seen * capped

        return integrate.quad(density, 0, 7, epsabs=0, epsrel=1e-11, limit=400)[0]

    evidence = integral(lambda level: 1.0)
    portfolio = Portfolio([x], stock=[stock], integer=False)
    posterior = posterior_of_levels(NormalLevels(mean, spread), CappedLognormal(portfolio, noise))
    assert_allclose(posterior.log_evidence, np.log(evidence), atol=1e-8)
    law = LognormalNormal(mean, spread, noise).predictive(portfolio)
    expected = integral(lambda level: np.exp(level + noise**2 / 2)) / evidence
    assert_allclose(law.mean(), expected, rtol=1e-7)
    below = integral(lambda level: stats.norm.cdf(np.log(40.0), level, noise)) / evidence
    assert_allclose(law.cdf(40.0), below, atol=1e-8)


def test_without_caps_laws_are_the_closed_forms():
    x, never = np.array([[3.0, 5.0, NAN], [0.0, 0.0, 2.0]]), np.full((2, 3), NAN)
    posterior = posterior_of_levels(GammaLevels(2.0, 0.5), CappedPoisson(Portfolio(x, stock=never)))
    law = PoissonLevelsLaw(np.exp(posterior.logs), posterior.weights)
    rate = np.array([2.5, 3.5])
    closed = NegativeBinomialLaw([10.0, 4.0], rate / (rate + 1))
    points, levels = np.array([[-1.0, 0.0, 2.5, 7.0]]), np.array([[0.1, 0.5, 0.95]])
    assert_allclose(law.cdf(points), closed.cdf(points), atol=1e-8)
    assert_allclose(law.excess(points), closed.excess(points), rtol=1e-5)
    assert_allclose(law.mean(), closed.mean(), rtol=1e-8)
    assert_array_equal(law.quantile(levels), closed.quantile(levels))
    # evidence: n successes of a gamma mixture
    sums, counts = np.array([8.0, 2.0]), np.array([2, 3])
    logs = special.gammaln(2 + sums) - special.gammaln(2) + 2 * np.log(0.5)
    logs -= (2 + sums) * np.log(0.5 + counts) + np.log([6 * 120, 2])
    assert_allclose(posterior.log_evidence, logs, atol=1e-7)


def test_exposure_scales_the_mean_of_a_capped_count():
    # in twice the time at least 6: as one count of mean 2 * level
    portfolio = Portfolio([[6.0]], stock=[[6.0]], exposure=[[2.0]])
    likelihood = CappedPoisson(portfolio).log_likelihood(np.log([[4.0]]))
    assert_allclose(likelihood, np.log(stats.poisson.sf(5, 8.0)))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400), st.floats(-25, 8))
def test_probability_of_at_least_a_count(cap, log_mean):
    mean = np.exp(log_mean)
    found = log_at_least(np.array([float(cap)]), np.array([mean]))[0]
    by_terms = special.logsumexp(stats.poisson.logpmf(np.arange(cap, cap + 4000), mean))
    assert_allclose(found, by_terms, rtol=1e-6, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=6))
def test_slopes_are_those_of_the_log_likelihood(cells):
    sales, stock = (np.array([part], dtype=float) for part in zip(*cells, strict=True))
    portfolio, at, step = Portfolio(np.minimum(sales, stock), stock=stock), np.array([1.5]), 1e-4
    for evidence in (CappedPoisson(portfolio), CappedLognormal(portfolio, 0.6)):
        low, middle, high = (
            evidence.log_likelihood((at + shift)[:, None])[0, 0] for shift in (-step, 0.0, step)
        )
        slope, curvature = evidence.slopes(at)
        assert_allclose(slope[0], (high - low) / (2 * step), rtol=1e-4, atol=1e-4)
        assert_allclose(curvature[0], (high - 2 * middle + low) / step**2, rtol=2e-2, atol=1e-2)
        assert curvature[0] <= 0


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 20), st.integers(1, 5))
def test_a_higher_cap_says_more(cap, more):
    stock = np.array([[float(cap)] * 3, [float(cap + more)] * 3])
    mean = GammaPoisson(2.0, 0.3).predictive(Portfolio(stock, stock=stock)).mean()
    assert mean[0] < mean[1]
    # at least so much is more than exactly so much
    exactly = GammaPoisson(2.0, 0.3).predictive(Portfolio(stock)).mean()
    assert np.all(mean > exactly)


def test_mixtures_of_poisson_laws():
    law = PoissonLevelsLaw(np.array([[1.0, 9.0], [2.0, 2.0]]), np.array([[0.75, 0.25], [0.5, 0.5]]))
    one, nine = PoissonLaw(1.0), PoissonLaw(9.0)
    for x in (0.0, 2.5, 11.0):
        assert_allclose(law.cdf(x)[0], 0.75 * one.cdf(x)[0] + 0.25 * nine.cdf(x)[0])
        assert_allclose(law.excess(x)[0], 0.75 * one.excess(x)[0] + 0.25 * nine.excess(x)[0])
    assert_array_equal(law.quantile([[0.5, 0.9]])[0], [1.0, 10.0])
    assert_array_equal(law.quantile(0.9)[1], PoissonLaw(2.0).quantile(0.9)[0])
    assert_allclose(law.mean(), [3.0, 2.0])
    both = PoissonLevelsLaw.concatenate([law.take([1]), law.take([0])])
    assert_allclose(both.mean(), [2.0, 3.0])
    values, weights = law.nodes()
    assert_allclose((values * weights).sum(axis=1), [3.0, 2.0], rtol=1e-5)


def test_mixtures_of_lognormal_laws_with_zeros():
    weights, centres = np.array([[1.0], [1.0]]), np.array([[2.0], [0.5]])
    zeros = np.array([0.3, 0.0])
    law = LognormalLevelsLaw(weights, centres, np.full((2, 1), 0.7), zeros)
    closed = ZeroInflatedLognormalLaw([2.0, 0.5], 0.7, zeros)
    points, levels = np.array([[-1.0, 0.0, 3.0, 30.0]]), np.array([[0.2, 0.5, 0.95]])
    assert_allclose(law.cdf(points), closed.cdf(points), atol=1e-12)
    assert_allclose(law.excess(points), closed.excess(points), rtol=1e-10)
    assert_allclose(law.quantile(levels), closed.quantile(levels), rtol=1e-6)
    assert_allclose(law.mean(), closed.mean())
    values, weights = law.nodes()
    assert_allclose((values * weights).sum(axis=1), closed.mean(), rtol=1e-3)
    pair = LognormalLevelsLaw(np.full((1, 2), 0.5), np.array([[0.0, 1.0]]), np.full((1, 2), 0.2))
    first, second = (LognormalLaw(centre, 0.2) for centre in (0.0, 1.0))
    assert_allclose(pair.excess(2.0), (first.excess(2.0) + second.excess(2.0)) / 2)
    turned = LognormalLevelsLaw.concatenate([law.take([1]), law.take([0])])
    assert_allclose(turned.mean(), closed.mean()[::-1])


@pytest.mark.parametrize("size", [0.3, 4.0, 500.0])
def test_negative_binomial_counts_are_scipys(size):
    x, stock = (
        [[0.0, 7.0, 5.0, 5.0], [3.0, 3.0, NAN, 40.0]],
        [[9.0, 7.0, NAN, 8.0], [3.0, 9.0, 1.0, 40.0]],
    )
    evidence = CappedNegativeBinomial(Portfolio(x, stock=stock), size)
    logs = np.log([[0.5, 6.0], [2.0, 90.0]])
    p = size / (size + np.exp(logs))
    first = (
        stats.nbinom.logpmf(0, size, p[0])
        + stats.nbinom.logsf(6, size, p[0])
        + 2 * stats.nbinom.logpmf(5, size, p[0])
    )
    second = (
        stats.nbinom.logsf(2, size, p[1])
        + stats.nbinom.logpmf(3, size, p[1])
        + stats.nbinom.logsf(39, size, p[1])
    )
    assert_allclose(evidence.log_likelihood(logs), [first, second], rtol=1e-9)


@given(level=st.floats(-8.0, 9.0), size=st.floats(0.1, 3000.0))
def test_slopes_of_negative_binomial_counts(level, size):
    portfolio = Portfolio([[2.0, 6.0, 9.0]], stock=[[NAN, 6.0, 30.0]])
    evidence, h = CappedNegativeBinomial(portfolio, size), 1e-4
    low, high = evidence.log_likelihood(np.array([[level - h, level + h]]))[0]
    slope, bend = evidence.slopes(np.array([level]))
    assert_allclose(slope, (high - low) / (2 * h), rtol=1e-4, atol=1e-5)
    less, more = (evidence.slopes(np.array([level + x]))[0] for x in (-h, h))
    assert_allclose(bend, (more - less) / (2 * h), rtol=1e-3, atol=1e-4)


def test_a_large_size_is_poisson():
    portfolio = Portfolio([[2.0, 6.0, 9.0]], stock=[[NAN, 6.0, 30.0]])
    logs = np.log([[1.0, 5.0, 20.0]])
    wide, poisson = CappedNegativeBinomial(portfolio, 1e8), CappedPoisson(portfolio)
    assert_allclose(wide.log_likelihood(logs), poisson.log_likelihood(logs), rtol=1e-5)


def test_mixtures_of_negative_binomial_laws():
    means, weights, size = (
        np.array([[2.0, 30.0], [0.5, 400.0]]),
        np.array([[0.3, 0.7], [1.0, 0.0]]),
        2.5,
    )
    law = NegativeBinomialLevelsLaw(means, weights, size)
    parts = [NegativeBinomialLaw(size, size / (size + means[:, k])) for k in range(2)]
    for x in (-1.0, 0.0, 0.5, 3.0, 60.0):
        for method in ("cdf", "excess"):
            each = np.stack([getattr(part, method)(x) for part in parts], axis=1)
            expected = (weights * each).sum(axis=1)
            assert_allclose(getattr(law, method)(x), expected, rtol=1e-9, atol=1e-12)
    q = law.quantile(0.9)
    assert (law.cdf(q) >= 0.9 - 1e-12).all()
    assert (law.cdf(q - 1) < 0.9).all()
    assert_allclose(law.mean(), (weights * means).sum(axis=1))
    again = NegativeBinomialLevelsLaw.concatenate([law.take([1]), law.take([0])])
    assert_array_equal(again.quantile(0.7), law.quantile(0.7)[::-1])


@pytest.mark.parametrize("first", [0, 7, 300])
def test_runs_of_whole_numbers_are_added_up(first):
    means, weights = np.array([[2.0, 30.0], [0.5, 400.0]]), np.array([[0.3, 0.7], [0.9, 0.1]])
    run = np.array([[first], [first + 2]]) + np.minimum(np.arange(60.0), [[59], [41]])
    for law in (PoissonLevelsLaw(means, weights), NegativeBinomialLevelsLaw(means, weights, 2.5)):
        one_by_one = np.stack([law.cdf(column) for column in run.T], axis=1)
        assert_allclose(law.cdf(run), one_by_one, rtol=1e-11, atol=1e-300)
