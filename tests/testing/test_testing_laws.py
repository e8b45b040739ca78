"""Portfolio laws: their predictives by integration and draws, their Bayes decisions by cost."""

from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.atoms import pooled_atoms, sample_average_law
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import (
    GammaPoisson,
    LognormalNormal,
    NormalNormal,
    NormalPoints,
    PortfolioLaw,
    Segments,
    ZeroInflatedPoisson,
)

NAN = np.nan
LOGNORMALS = [LognormalNormal(3.0, 0.5, 0.4), LognormalNormal(0.0, 0.2, 1.0)]
NORMALS = [NormalNormal(40.0, 10.0, 6.0), NormalNormal(-1.0, 1.0, 3.0)]
POINTS = [NormalPoints([0.0, 3.0], [0.9, 0.1]), NormalPoints([-2.0, 1.0, 9.0], noise=3.0)]
ZERO_INFLATED = [
    ZeroInflatedPoisson(2.0, 3.0, 2.0, 0.2),
    ZeroInflatedPoisson(0.5, 0.5, 1.5, 1.0),
]
COUNTS = [
    GammaPoisson(2.0, 0.2),
    GammaPoisson(0.5, 0.25),
    Segments([2.0, 20.0]),
    Segments([0.5, 4.0, 9.0], [6.0, 3.0, 1.0]),
    *ZERO_INFLATED,
]
LAWS = [*COUNTS, *LOGNORMALS, *NORMALS, *POINTS]
PROBLEMS = [Newsvendor(1.0, 3.0), Newsvendor(9.0, 1.0)]


def _with_gaps(law, n_instances, n_observations, seed):
    """A draw whose histories are ragged; about a tenth of its rows are empty."""
    portfolio = law.sample(n_instances, n_observations, random_state=seed)
    rng = np.random.RandomState(seed)
    missing = rng.uniform(size=portfolio.observations.shape) < 0.3
    missing |= rng.uniform(size=(n_instances, 1)) < 0.1
    return portfolio.with_observations(np.where(missing, NAN, portfolio.observations))


# ---- draws


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_draws(law):
    assert isinstance(law, PortfolioLaw)
    portfolio = law.sample(7, 3, random_state=0)
    assert portfolio.observations.shape == (7, 3)
    assert portfolio.integer is (law in COUNTS)
    again = law.sample(7, 3, random_state=np.random.RandomState(0))
    assert_array_equal(again.observations, portfolio.observations)
    other = law.sample(7, 3, random_state=1)
    assert not np.array_equal(other.observations, portfolio.observations)
    assert law.sample(4, 0, random_state=0).counts.tolist() == [0, 0, 0, 0]


def test_moments_of_gamma_poisson_draws():
    portfolio = GammaPoisson(2.0, 0.2).sample(40_000, 2, random_state=0)
    mean = portfolio.parameters["mean"]
    assert_allclose(mean.mean(), 2 / 0.2, rtol=0.02)
    assert_allclose(mean.var(), 2 / 0.2**2, rtol=0.05)
    first, second = portfolio.observations.T
    assert_allclose(np.cov(first, second)[0, 1], 2 / 0.2**2, rtol=0.05)
    assert_allclose(first.var(), 2 / 0.2**2 + 2 / 0.2, rtol=0.05)


def test_moments_of_lognormal_draws():
    portfolio = LognormalNormal(3.0, 0.5, 0.4).sample(40_000, 2, random_state=0)
    assert_allclose(portfolio.parameters["log_mean"].std(), 0.5, rtol=0.02)
    first, second = np.log(portfolio.observations).T
    assert_allclose(first.mean(), 3.0, rtol=0.01)
    assert_allclose(np.cov(first, second)[0, 1], 0.5**2, rtol=0.05)
    assert_allclose(first.var(), 0.5**2 + 0.4**2, rtol=0.05)


def test_moments_of_normal_draws():
    portfolio = NormalNormal(-1.0, 2.0, 3.0).sample(40_000, 2, random_state=0)
    assert_allclose(portfolio.parameters["mean"].std(), 2.0, rtol=0.02)
    first, second = portfolio.observations.T
    assert_allclose(first.mean(), -1.0, atol=0.06)
    assert_allclose(np.cov(first, second)[0, 1], 2.0**2, rtol=0.05)
    assert_allclose(first.var(), 2.0**2 + 3.0**2, rtol=0.05)


def test_moments_of_draws_around_points():
    law = NormalPoints([-1.0, 2.0, 5.0], [6.0, 3.0, 1.0], noise=0.5, noise_spread=0.4)
    portfolio = law.sample(40_000, 2, random_state=0)
    assert portfolio.real
    mean, noise = portfolio.parameters["mean"], portfolio.parameters["noise"]
    shares = [(mean == point).mean() for point in law.points]
    assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.01)
    assert_allclose(np.log(noise).mean(), np.log(0.5), atol=0.01)
    assert_allclose(np.log(noise).std(), 0.4, rtol=0.02)
    first, second = ((portfolio.observations - mean[:, None]) / noise[:, None]).T
    assert_allclose([first.mean(), first.var(), np.mean(first * second)], [0, 1, 0], atol=0.02)
    assert_array_equal(law.truth(portfolio).mean(), mean)
    assert_allclose(law.truth(portfolio).quantile(special.ndtr(1.0)) - mean, noise)
    assert np.ptp(NormalPoints([0.0]).sample(9, 1, random_state=0).parameters["noise"]) == 0


def test_moments_of_zero_inflated_draws():
    portfolio = ZeroInflatedPoisson(2.0, 3.0, 2.0, 0.2).sample(40_000, 2, random_state=0)
    zero_rate = portfolio.parameters["zero_rate"]
    assert_allclose(zero_rate.mean(), 2 / 5, rtol=0.01)
    assert_allclose(zero_rate.var(), 2 * 3 / (5**2 * 6), rtol=0.05)
    assert_allclose(portfolio.parameters["mean"].mean(), 2 / 0.2, rtol=0.02)
    # E(1 - pi) = 3/5, E(1 - pi)^2 = 3 * 4 / (5 * 6), E lam = 10, E lam^2 = 150
    first, second = portfolio.observations.T
    assert_allclose(first.mean(), 0.6 * 10, rtol=0.02)
    assert_allclose(first.var(), 0.6 * (10 + 150) - 6**2, rtol=0.05)
    assert_allclose(np.cov(first, second)[0, 1], 0.4 * 150 - 6**2, rtol=0.05)


def test_shares_of_drawn_segments():
    portfolio = Segments([0.5, 4.0, 9.0], [6.0, 3.0, 1.0]).sample(40_000, 3, random_state=0)
    segment = portfolio.parameters["segment"]
    assert_allclose(np.bincount(segment) / 40_000, [0.6, 0.3, 0.1], atol=0.01)
    assert_array_equal(portfolio.parameters["mean"], np.array([0.5, 4.0, 9.0])[segment])
    means = [portfolio.observations[segment == k].mean() for k in range(3)]
    assert_allclose(means, [0.5, 4.0, 9.0], rtol=0.02)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_true_law_is_the_law_of_the_draws(law):
    portfolio = law.sample(4, 20_000, random_state=0)
    levels = np.array([0.2, 0.5, 0.8])
    truth = law.truth(portfolio)
    x = np.maximum(truth.quantile(levels[None]), 1.0)
    shares = (portfolio.observations[:, :, None] <= x[:, None]).mean(axis=1)
    # four standard errors of a share of 20,000
    assert_allclose(truth.cdf(x), shares, atol=4 * 0.5 / np.sqrt(20_000))


# ---- predictives


ROWS = [[3.0, 0.0, 7.0], [NAN, 12.0, NAN], [NAN, NAN, NAN], [40.0, 55.0, NAN]]


@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), GammaPoisson(0.5, 0.25)], ids=str)
def test_gamma_poisson_predictive_by_integration(law):
    nodes, weights = np.polynomial.legendre.leggauss(400)
    # over the root of the mean, so that a density without bound at 0 does no harm
    root = 6.0 * (nodes + 1)
    mean, weights = root**2, weights * 2 * root
    k = np.arange(0, 300)
    chance = stats.poisson.pmf(k[:, None], mean)
    prior = stats.gamma.pdf(mean, law.shape, scale=1 / law.rate)
    predictive = law.predictive(Portfolio(np.array(ROWS)))
    for row, observations in enumerate(ROWS):
        posterior = prior * weights
        for x in observations:
            if not np.isnan(x):
                posterior = posterior * stats.poisson.pmf(x, mean)
        pmf = chance @ posterior / posterior.sum()
        assert_allclose(predictive.cdf(k[None])[row], np.cumsum(pmf), atol=1e-4)
        assert_allclose(predictive.mean()[row], mean @ posterior / posterior.sum(), rtol=1e-4)


@pytest.mark.parametrize("law", [*LOGNORMALS, *NORMALS], ids=str)
def test_predictive_of_normal_means_by_integration(law):
    scores = np.array([[0.5, -1.2, 2.0], [NAN, 1.0, NAN], [NAN, NAN, NAN], [-0.3, -2.0, NAN]])
    rows = law.mean + scores * np.hypot(law.spread, law.noise)
    middle = np.linspace(law.mean - 10 * law.spread, law.mean + 10 * law.spread, 4001)
    prior = stats.norm.pdf(middle, law.mean, law.spread)
    x = law.mean + np.linspace(-4, 4, 30) * np.hypot(law.spread, law.noise)
    chance = special.ndtr((x[:, None] - middle) / law.noise)
    outcome = np.exp if law in LOGNORMALS else np.positive
    predictive = law.predictive(Portfolio(outcome(rows)))
    for row, values in enumerate(rows):
        posterior = prior.copy()
        for value in values[~np.isnan(values)]:
            posterior *= stats.norm.pdf(value, middle, law.noise)
        cdf = chance @ posterior / posterior.sum()
        assert_allclose(predictive.cdf(outcome(x)[None])[row], cdf, atol=1e-8)


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_points_on_a_fine_grid_are_the_law_of_their_weights(noise):
    points = np.linspace(-7.0, 9.0, 321)
    grid = NormalPoints(points, stats.norm.pdf(points, 1.0, 1.0), noise)
    law = NormalNormal(1.0, 1.0, noise)
    portfolio = _with_gaps(law, 30, 4, seed=0)
    assert_allclose(grid.posterior_mean(portfolio), law.posterior_mean(portfolio), atol=1e-10)
    x = np.linspace(-4, 6, 11)[None]
    expected = law.predictive(portfolio)
    assert_allclose(grid.predictive(portfolio).cdf(x), expected.cdf(x), atol=1e-10)
    # quantiles of the mean are points of the grid
    levels = np.array([[0.05, 0.5, 0.95]])
    sd = 1 / np.sqrt(1 + portfolio.counts / noise**2)
    exact = law.posterior_mean(portfolio)[:, None] + sd[:, None] * special.ndtri(levels)
    assert np.all(np.abs(grid.posterior_quantile(portfolio, levels) - exact) <= 0.05)


ZERO_ROWS = [
    [0.0, 0.0, 3.0, NAN],
    [0.0, 0.0, 0.0, 0.0],
    [NAN, 7.0, 2.0, 0.0],
    [NAN, NAN, NAN, NAN],
    [4.0, NAN, NAN, NAN],
    [NAN, NAN, 0.0, NAN],
]


@pytest.mark.parametrize("law", ZERO_INFLATED, ids=str)
def test_zero_inflated_predictive_by_integration(law):
    nodes, weights = np.polynomial.legendre.leggauss(300)
    # pi = sin(angle)^2 and lam = root^2: the densities are smooth in angle and root
    angle, root = np.pi / 4 * (nodes + 1), 6.5 * (nodes + 1)
    pi, mean = np.sin(angle)[:, None] ** 2, root**2
    prior_pi = stats.beta.pdf(pi[:, 0], law.zero_a, law.zero_b) * np.sin(2 * angle) * weights
    prior_mean = stats.gamma.pdf(mean, law.shape, scale=1 / law.rate) * 2 * root * weights
    prior = prior_pi[:, None] * prior_mean

    def chance(x):
        return pi * (x == 0) + (1 - pi) * stats.poisson.pmf(x, mean)

    k = np.arange(0, 12)
    predictive = law.predictive(Portfolio(np.array(ZERO_ROWS)))
    for row, observations in enumerate(ZERO_ROWS):
        posterior = prior.copy()
        for x in observations:
            if not np.isnan(x):
                posterior *= chance(x)
        posterior /= posterior.sum()
        pmf = [np.sum(chance(x) * posterior) for x in k]
        assert_allclose(predictive.cdf(k[None])[row], np.cumsum(pmf), atol=1e-6)
        expected = np.sum((1 - pi) * mean * posterior)
        assert_allclose(predictive.mean()[row], expected, rtol=1e-6)


@pytest.mark.parametrize("n_zeros", range(8))
def test_zeros_after_zeros_by_the_binomial_theorem(n_zeros):
    a, b, shape, rate = 0.7, 2.0, 1.3, 0.4

    def chance_of_zeros(n):
        # E (pi + (1 - pi) exp(-lam))^n, with E exp(-m lam) = (rate / (rate + m))^shape
        return sum(
            comb(n, m)
            * special.beta(a + n - m, b + m)
            / special.beta(a, b)
            * (rate / (rate + m)) ** shape
            for m in range(n + 1)
        )

    predictive = ZeroInflatedPoisson(a, b, shape, rate).predictive(
        Portfolio(np.zeros((1, n_zeros)))
    )
    expected = chance_of_zeros(n_zeros + 1) / chance_of_zeros(n_zeros)
    assert_allclose(predictive.cdf(0.0), [expected], rtol=1e-12)


def test_no_structural_zeros_is_gamma_poisson():
    portfolio = Portfolio(np.array(ZERO_ROWS))
    k = np.arange(0, 40)[None]
    expected = GammaPoisson(2.0, 0.2).predictive(portfolio).cdf(k)
    without = ZeroInflatedPoisson(1e-10, 1.0, 2.0, 0.2).predictive(portfolio).cdf(k)
    assert_allclose(without, expected, atol=1e-8)
    often = ZeroInflatedPoisson(1.0, 1.0, 2.0, 0.2).predictive(portfolio).cdf(k)
    assert np.all(often[:, 0] > expected[:, 0] + 1e-3)


def test_zero_inflated_by_hand():
    # uniform pi and exponential lam: P(0) = 1/2 + 1/2 * 1/2 = 3/4, and P(0, 0) =
    # E pi^2 + 2 E pi (1 - pi) E exp(-lam) + E (1 - pi)^2 E exp(-2 lam) = 1/3 + 1/6 + 1/9
    law = ZeroInflatedPoisson(1.0, 1.0, 1.0, 1.0)
    predictive = law.predictive(Portfolio(np.array([[NAN], [0.0], [1.0]])))
    # after a 1 no zero is structural: pi ~ Beta(1, 2) and lam ~ Gamma(2, 2)
    after_one = 1 / 3 + 2 / 3 * (2 / 3) ** 2
    assert_allclose(predictive.cdf(0.0), [3 / 4, 11 / 18 / (3 / 4), after_one])
    assert_allclose(predictive.mean()[[0, 2]], [1 / 2, 2 / 3])


def test_segments_by_hand():
    # exp(-mean) is 1/2 and 1/4; a zero makes the first segment twice as likely, and a one
    # leaves both as they were: log(2) / 2 = 2 log(2) / 4
    log2 = np.log(2.0)
    rows = np.array([[NAN, NAN, NAN], [0.0, NAN, NAN], [NAN, 1.0, NAN], [0.0, 1.0, 0.0]])
    first = np.array([1 / 2, 2 / 3, 1 / 2, 4 / 5])
    predictive = Segments([log2, 2 * log2]).predictive(Portfolio(rows))
    assert_allclose(predictive.weights, np.column_stack([first, 1 - first]))
    zero = first / 2 + (1 - first) / 4
    one = (first / 2 + (1 - first) / 2) * log2
    assert_allclose(predictive.cdf([[0.0, 1.0]]), np.column_stack([zero, zero + one]))
    assert_allclose(predictive.mean(), log2 * (2 - first))
    # with the second segment twice as frequent, a zero makes them equal
    predictive = Segments([log2, 2 * log2], weights=[1, 2]).predictive(Portfolio(rows))
    assert_allclose(predictive.weights[:, 0], [1 / 3, 1 / 2, 1 / 3, 2 / 3])


def test_points_by_hand():
    # of points -1 and 1 the mean is expected at tanh(sum / noise^2)
    rows = np.array([[0.5, -0.2, NAN], [NAN, 3.0, NAN], [NAN, NAN, NAN], [-1.0, 0.4, -0.3]])
    sums = np.array([0.3, 3.0, 0.0, -0.9])
    law = NormalPoints([-1.0, 1.0], noise=2.0)
    assert_allclose(law.posterior_mean(Portfolio(rows)), np.tanh(sums / 4))
    predictive = law.predictive(Portfolio(rows))
    assert_allclose(predictive.mean(), np.tanh(sums / 4))
    upper = (1 + np.tanh(sums / 4)) / 2
    expected = upper * special.ndtr(-1.0 / 2) + (1 - upper) * special.ndtr(1.0 / 2)
    assert_allclose(predictive.cdf(0.0), expected)
    # the upper point is three times as frequent: the odds are three times as large
    law = NormalPoints([-1.0, 1.0], [1.0, 3.0], noise=2.0)
    assert_allclose(law.posterior_mean(Portfolio(rows)), np.tanh(sums / 4 + np.log(3) / 2))
    # every row by its own noise, where that is known
    noise = np.array([0.5, 1.0, 2.0, 4.0])
    portfolio = Portfolio(rows, parameters={"noise": noise})
    assert_allclose(
        NormalPoints([-1.0, 1.0], noise_spread=1.0).posterior_mean(portfolio),
        np.tanh(sums / noise**2),
    )
    with pytest.raises(ValueError, match=r"parameters needs 'noise', as noise_spread=1.0 is not 0"):
        NormalPoints([-1.0, 1.0], noise_spread=1.0).predictive(Portfolio(rows))


def test_quantiles_of_means_by_hand():
    # the upper point has probability 1/2, 3/4 and 1/4 after sums 0 and +-log(3) / 2
    rows = np.array([[NAN], [np.log(3) / 2], [-np.log(3) / 2]])
    law = NormalPoints([-1.0, 1.0])
    assert_array_equal(law.posterior_quantile(Portfolio(rows), 0.4), [-1.0, 1.0, -1.0])
    levels = np.array([[0.2, 0.7, 0.8]])
    quantiles = law.posterior_quantile(Portfolio(rows), levels)
    assert_array_equal(quantiles, [[-1, 1, 1], [-1, 1, 1], [-1, -1, 1]])
    posterior = law.posterior(Portfolio(rows))
    assert_allclose(posterior.cdf(0.0), [1 / 2, 1 / 4, 3 / 4])
    # squared distance from 1 is 4 times the probability of the lower point
    assert_allclose(posterior.expected(lambda mean: (mean - 1) ** 2), [2, 1, 3])


def test_points_far_from_all_observations():
    law = NormalPoints([1000.0, 2000.0], [1.0, 9.0])
    means = law.posterior_mean(Portfolio(np.array([[-1e6, NAN], [1499.0, 1500.5], [NAN, NAN]])))
    assert_allclose(means, [1000.0, 1000.0, 1900.0])


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_posterior_mean_is_the_best_estimate(law):
    portfolio = _with_gaps(law, 20_000, 3, seed=7)
    mean, expected = law.truth(portfolio).mean(), law.posterior_mean(portfolio)
    assert_allclose(law.predictive(portfolio).mean(), expected)
    # errors of the best estimate are centred, and do not hang on what is known
    for known in (1.0, expected, np.nansum(portfolio.observations, axis=1)):
        product = (mean - expected) * known
        assert abs(product.mean()) < 4.5 * product.std() / np.sqrt(len(product))


def test_one_segment_is_poisson():
    law = Segments([3.0])
    portfolio = Portfolio(np.array([[50.0, NAN], [NAN, NAN]]))
    k = np.arange(0, 20)
    assert_allclose(law.predictive(portfolio).cdf(k[None])[0], stats.poisson.cdf(k, 3.0))
    levels = np.array([0.01, 0.5, 0.99])
    quantiles = law.predictive(portfolio).quantile(levels[None])[1]
    assert_array_equal(quantiles, stats.poisson.ppf(levels, 3.0))


def test_large_counts_tell_segments_apart():
    law = Segments([1000.0, 2000.0])
    predictive = law.predictive(Portfolio(np.array([[990.0, 1020.0, 1001.0], [2001.0, NAN, NAN]])))
    assert_allclose(predictive.weights, np.eye(2), atol=1e-12)


def test_predictives_by_hand():
    # gamma(2 + 10, 0.2 + 3): mean 12 / 3.2; without data the prior mean 10
    portfolio = Portfolio(np.array([[3.0, 0.0, 7.0], [NAN, NAN, NAN]]))
    assert_allclose(GammaPoisson(2.0, 0.2).predictive(portfolio).mean(), [3.75, 10.0])
    # precisions 4 and 2 * 4: log mean (4 * 1 + 4 * 4) / 12, variance 1/12 + 1/4
    portfolio = Portfolio(np.exp(np.array([[1.0, 3.0, NAN], [NAN, NAN, NAN]])))
    law = LognormalNormal(1.0, 0.5, 0.5).predictive(portfolio)
    assert_allclose(np.log(law.quantile(0.5)), [20 / 12, 1.0], atol=1e-12)
    assert_allclose(law.mean(), np.exp([20 / 12 + 1 / 6, 1 + 1 / 4]))
    # the same of the values themselves, of which some are negative
    portfolio = Portfolio(np.array([[-1.0, -3.0, NAN], [NAN, NAN, NAN]]))
    law = NormalNormal(1.0, 0.5, 0.5).predictive(portfolio)
    assert_allclose(law.mean(), [(4 * 1 - 4 * 4) / 12, 1.0])
    assert_allclose(law.quantile(special.ndtr(1.0)) - law.mean(), np.sqrt([1 / 3, 1 / 2]))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_missing_cells_say_nothing(law):
    full = law.sample(5, 4, random_state=3)
    gaps = np.full((5, 9), NAN)
    gaps[:, [7, 1, 4, 2]] = full.observations
    expected = law.predictive(full)
    assert_allclose(law.predictive(Portfolio(gaps)).mean(), expected.mean(), rtol=1e-12)
    empty = law.predictive(Portfolio(np.full((5, 3), NAN)))
    none = law.predictive(Portfolio(np.empty((5, 0))))
    assert_array_equal(empty.excess(2.0), none.excess(2.0))
    assert len(np.unique(empty.excess(2.0))) == 1


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_a_row_without_observations_has_the_law_of_all_outcomes(law):
    outcomes = law.sample(100_000, 1, random_state=5).observations[:, 0]
    predictive = law.predictive(Portfolio(np.full((1, 2), NAN)))
    x = predictive.quantile([[0.2, 0.5, 0.8]])
    shares = (outcomes[:, None] <= x).mean(axis=0)
    # four standard errors
    assert_allclose(predictive.cdf(x)[0], shares, atol=4 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_predictive_of_a_row_is_its_own(law):
    portfolio = _with_gaps(law, 12, 5, seed=6)
    predictive = law.predictive(portfolio)
    rows = np.array([7, 0, 11])
    own = law.predictive(portfolio.take(rows))
    x = np.array([[-0.5, 0.0, 2.0, 31.0]])
    assert_allclose(own.cdf(x), predictive.cdf(x)[rows], rtol=1e-12)
    # batches whose rows differ in their most zeros have different numbers of components
    parts = [law.predictive(portfolio.take(slice(k, k + 3))) for k in range(0, 12, 3)]
    whole = type(predictive).concatenate(parts)
    assert_allclose(whole.excess(x), predictive.excess(x), rtol=1e-12)
    assert_allclose(whole.quantile(0.7), predictive.quantile(0.7), rtol=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_predictive_is_calibrated_over_draws(law):
    portfolio = _with_gaps(law, 20_000, 5, seed=1)
    predictive, truth = law.predictive(portfolio), law.truth(portfolio)
    levels = np.array([[0.1, 0.5, 0.9]])
    x = predictive.quantile(levels)
    # averaged over instances, the predictive chance of x is its true chance
    for rows in (portfolio.counts == 0, portfolio.counts == 1, portfolio.counts > 1):
        difference = (predictive.cdf(x) - truth.cdf(x))[rows]
        error = difference.std(axis=0) / np.sqrt(rows.sum())
        assert np.all(np.abs(difference.mean(axis=0)) < 4.5 * error)


# ---- Bayes decisions


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_bayes_decision_costs_least(law, problem):
    portfolio = _with_gaps(law, 6000, 4, seed=2)
    portfolio = portfolio.with_costs(problem.read_costs(portfolio.observations))
    predictive, truth = law.predictive(portfolio), law.truth(portfolio)
    bayes = problem.solve(predictive, portfolio)

    def true_cost(decision):
        return problem.expected_cost(decision, truth, portfolio)

    cost = true_cost(bayes)
    promised = problem.expected_cost(bayes, predictive, portfolio)
    error = (cost - promised).std() / np.sqrt(len(cost))
    assert abs((cost - promised).mean()) < 4.5 * error

    pooled = pooled_atoms(portfolio.observations)
    saa = problem.solve(sample_average_law(portfolio, pooled), portfolio)
    assert cost.mean() < true_cost(saa).mean()
    full_information = true_cost(problem.solve(truth, portfolio))
    assert np.all(full_information <= cost + 1e-9)
    assert full_information.mean() < cost.mean()

    rng = np.random.RandomState(0)
    step = 1.0 if portfolio.integer else 0.0
    for spread in np.linspace(0.1, 1.0, 10):
        for shared in (True, False):
            factor = np.exp(spread * rng.normal(size=1 if shared else len(bayes)))
            other = bayes * factor + step * rng.choice([0, 1])
            saving = cost - true_cost(other)
            # no perturbed decision is cheaper beyond the noise of the draws
            assert saving.mean() <= 3 * saving.std() / np.sqrt(len(cost))
            assert shared or saving.mean() < 0


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_bayes_decision_is_best_under_its_predictive(law, problem):
    portfolio = _with_gaps(law, 50, 4, seed=4)
    portfolio = portfolio.with_costs(problem.read_costs(portfolio.observations))
    predictive = law.predictive(portfolio)
    bayes = problem.solve(predictive, portfolio)
    promised = problem.expected_cost(bayes, predictive, portfolio)
    rng = np.random.RandomState(0)
    for _ in range(20):
        other = bayes * np.exp(0.3 * rng.normal(size=50)) + rng.choice([-1, 0, 1])
        dearer = problem.expected_cost(other, predictive, portfolio)
        assert np.all(promised <= dearer * (1 + 1e-9))


def test_reprs():
    assert [str(law) for law in LAWS[::2]] == [
        "GammaPoisson(2, 0.2)",
        "Segments([2, 20], [0.5, 0.5])",
        "ZeroInflatedPoisson(2, 3, 2, 0.2)",
        "LognormalNormal(3, 0.5, 0.4)",
        "NormalNormal(40, 10, 6)",
        "NormalPoints([0, 3], [0.9, 0.1], 1, 0)",
    ]
    grid = NormalPoints(np.linspace(-3, 3, 200), noise=0.5, noise_spread=0.2)
    assert str(grid) == "NormalPoints([-3, ..., 3], [0.005, ..., 0.005], 0.5, 0.2)"


# ---- parameters that cannot be


GOOD = {
    GammaPoisson: {"shape": 2.0, "rate": 1},
    ZeroInflatedPoisson: {"zero_a": 1.0, "zero_b": 1.0, "shape": 2.0, "rate": 1.0},
    LognormalNormal: {"mean": 0.0, "spread": 1.0, "noise": 1.0},
    NormalNormal: {"mean": 0.0, "spread": 1.0, "noise": 1.0},
}
NUMBERS = [(law, name) for law, parameters in GOOD.items() for name in parameters]


@pytest.mark.parametrize("value", [NAN, np.inf, "1", None, True, [1.0]], ids=repr)
@pytest.mark.parametrize(("law", "name"), NUMBERS)
def test_parameters_that_are_no_finite_numbers_are_refused(law, name, value):
    law(**GOOD[law])
    with pytest.raises(ValueError, match=f"^{name} must be a finite number; got "):
        law(**{**GOOD[law], name: value})


@pytest.mark.parametrize("value", [0, -1.5])
@pytest.mark.parametrize(("law", "name"), NUMBERS)
def test_parameters_that_are_not_positive_are_refused(law, name, value):
    if name == "mean":
        assert law(**{**GOOD[law], name: value}).mean == value
    else:
        with pytest.raises(ValueError, match=rf"^{name} must be positive; got {value}\.$"):
            law(**{**GOOD[law], name: value})


@pytest.mark.parametrize("bad", [[], 2.0, [1.0, 0.0], [1.0, NAN], [np.inf, 1.0], [[1.0, 2.0]]])
def test_segments_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="means must be a list of positive finite numbers"):
        Segments(bad)
    with pytest.raises(ValueError, match="weights must be a list of positive finite numbers"):
        Segments([1.0, 2.0], bad)


def test_segments_need_a_weight_each():
    with pytest.raises(ValueError, match=r"as many as means, 2; got \[1.0\]"):
        Segments([1.0, 2.0], [1.0])


@pytest.mark.parametrize("bad", [[], 2.0, [1.0, NAN], [np.inf, 1.0], [[1.0, 2.0]]])
def test_points_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="points must be a list of finite numbers"):
        NormalPoints(bad)
    with pytest.raises(ValueError, match="weights must be a list of positive finite numbers"):
        NormalPoints([1.0, 2.0], bad)


def test_points_need_a_weight_each():
    with pytest.raises(ValueError, match=r"as many as points, 2; got \[1.0\]"):
        NormalPoints([-1.0, 2.0], [1.0])


@pytest.mark.parametrize("value", [NAN, np.inf, "1", None, True, [1.0], -0.5], ids=repr)
def test_noise_of_points_that_cannot_be_is_refused(value):
    with pytest.raises(ValueError, match=r"^noise must be "):
        NormalPoints([0.0], noise=value)
    with pytest.raises(ValueError, match=r"^noise_spread must be "):
        NormalPoints([0.0], noise_spread=value)
