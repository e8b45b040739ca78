"""Portfolio laws: their predictives by integration and draws, their Bayes decisions by cost."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf import Portfolio
from sklearn_pttf._laws import pooled_atoms, sample_average_law
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal, PortfolioLaw

NAN = np.nan
LAWS = [
    GammaPoisson(2.0, 0.2),
    GammaPoisson(0.5, 0.25),
    LognormalNormal(3.0, 0.5, 0.4),
    LognormalNormal(0.0, 0.2, 1.0),
]
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
    assert portfolio.integer is isinstance(law, GammaPoisson)
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


@pytest.mark.parametrize("law", LAWS[2:], ids=str)
def test_lognormal_predictive_by_integration(law):
    rows = np.exp(np.array([[3.0, 2.5, 4.1], [NAN, 1.0, NAN], [NAN, NAN, NAN], [0.3, 0.2, NAN]]))
    middle = np.linspace(law.mean - 10 * law.spread, law.mean + 10 * law.spread, 4001)
    prior = stats.norm.pdf(middle, law.mean, law.spread)
    x = np.exp(np.linspace(-2, 6, 30))
    chance = special.ndtr((np.log(x)[:, None] - middle) / law.noise)
    predictive = law.predictive(Portfolio(rows))
    for row, observations in enumerate(rows):
        posterior = prior.copy()
        for value in np.log(observations[~np.isnan(observations)]):
            posterior *= stats.norm.pdf(value, middle, law.noise)
        cdf = chance @ posterior / posterior.sum()
        assert_allclose(predictive.cdf(x[None])[row], cdf, atol=1e-8)


def test_predictives_by_hand():
    # gamma(2 + 10, 0.2 + 3): mean 12 / 3.2; without data the prior mean 10
    portfolio = Portfolio(np.array([[3.0, 0.0, 7.0], [NAN, NAN, NAN]]))
    assert_allclose(GammaPoisson(2.0, 0.2).predictive(portfolio).mean(), [3.75, 10.0])
    # precisions 4 and 2 * 4: log mean (4 * 1 + 4 * 4) / 12, variance 1/12 + 1/4
    portfolio = Portfolio(np.exp(np.array([[1.0, 3.0, NAN], [NAN, NAN, NAN]])))
    law = LognormalNormal(1.0, 0.5, 0.5).predictive(portfolio)
    assert_allclose(np.log(law.quantile(0.5)), [20 / 12, 1.0], atol=1e-12)
    assert_allclose(law.mean(), np.exp([20 / 12 + 1 / 6, 1 + 1 / 4]))


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
        "LognormalNormal(3, 0.5, 0.4)",
    ]
