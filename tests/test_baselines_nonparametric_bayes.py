"""Nonparametric empirical Bayes, against exact mixtures and exact Bayes decisions."""

import numpy as np
import pytest
from scipy import stats

from sklearn_pttf.baselines import NonparametricEmpiricalBayes, ParametricEmpiricalBayes
from sklearn_pttf.baselines._nonparametric_bayes import TabulatedMixture, mixing_weights
from sklearn_pttf.baselines._parametric_bayes import zero_share
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan


def test_mixing_weights_by_hand():
    # three rows are surely of the first kind, one of the second
    likelihood = np.array([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(mixing_weights(likelihood, np.array([3, 1]), 1), [0.75, 0.25])
    # p (1 - p / 2) is largest at p = 1
    likelihood = np.array([[1.0, 0.0], [0.5, 1.0]])
    np.testing.assert_allclose(mixing_weights(likelihood, np.ones(2), 10_000), [1, 0], atol=1e-3)


@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)], ids=repr)
def test_weights_are_most_likely(law):
    x = law.sample(300, 4, random_state=0).observations
    mixture = NonparametricEmpiricalBayes(max_iter=5000).fit(x)._mixture
    likelihood = np.exp(mixture._log_likelihood(*mixture._summaries(x)[:2]))
    gradient = (likelihood / (likelihood @ mixture.weights)[:, None]).mean(axis=0)
    # no level would raise the likelihood by more than this a row
    assert gradient.max() < 1.01
    np.testing.assert_allclose(gradient[mixture.weights > 0.02], 1.0, atol=0.01)
    assert mixture.weights.sum() == pytest.approx(1.0)


def test_tabulated_mixture_by_hand():
    # 0, 2, 5 with (0.5, 0.5, 0) and (0, 0.25, 0.75)
    law = TabulatedMixture(
        np.array([[1.0, 0.0], [0.5, 0.5]]),
        np.array([0.0, 2.0, 5.0]),
        np.array([[0.5, 1.0, 1.0], [0.0, 0.25, 1.0]]),
    )
    np.testing.assert_allclose(law.cdf([[-1, 0, 1.9, 2, 7]])[1], [0, 0.25, 0.25, 0.625, 1.0])
    np.testing.assert_array_equal(law.quantile([[0.25, 0.6, 0.63]]), [[0, 2, 2], [0, 2, 5]])
    np.testing.assert_allclose(law.mean(), [1.0, 0.5 + 4.25 / 2])
    np.testing.assert_allclose(law.excess(0.0), law.mean())
    np.testing.assert_allclose(law.excess(-1.0), law.mean() + 1)
    np.testing.assert_allclose(law.excess(3.0), [0.0, 0.75])
    np.testing.assert_allclose(law.excess(9.0), 0.0)
    np.testing.assert_allclose(law.expected(lambda x: x), law.mean())
    assert len(TabulatedMixture.concatenate([law, law.take([0])])) == 3


def test_poisson_law_is_the_mixture():
    x = GammaPoisson(2.0, 0.2).sample(50, 3, random_state=0).observations
    x[-1] = nan
    bayes = NonparametricEmpiricalBayes(family="poisson").fit(x)
    grid, prior = bayes.grid_, bayes.weights_
    likelihood = np.ones((50, len(grid)))
    for column in x.T:
        seen = ~np.isnan(column)
        likelihood[seen] *= stats.poisson.pmf(column[seen, None], grid)
    posterior = likelihood * prior / (likelihood @ prior)[:, None]
    np.testing.assert_allclose(posterior[-1], prior)
    law = bayes.predict_distribution(x)
    for k in (0.0, 7.0, 30.0):
        np.testing.assert_allclose(law.cdf(k), posterior @ stats.poisson.cdf(k, grid))
    np.testing.assert_allclose(law.mean(), posterior @ grid, rtol=1e-6)


def test_large_counts_are_thinned_out():
    x = GammaPoisson(2.0, 0.0001).sample(50, 3, random_state=0).observations
    bayes = NonparametricEmpiricalBayes(family="poisson").fit(x)
    law = bayes.predict_distribution(x)
    assert len(law.atoms) < 5000 < x.max()
    np.testing.assert_array_equal(law.atoms, np.rint(law.atoms))
    np.testing.assert_allclose(law.mean(), law.weights @ bayes.grid_, rtol=1e-2)


def test_lognormal_law_is_the_mixture():
    x = LognormalNormal(1.0, 0.8, 0.4).sample(40, 3, random_state=0).observations
    x[0, 1] = 0.0
    bayes = NonparametricEmpiricalBayes().fit(x)
    mixture = bayes._mixture
    law = bayes.predict_distribution(x)
    counts, sums, zeros = mixture._summaries(x)
    weights, centres, width = mixture.posterior(counts, sums)
    share = zero_share(zeros, counts, *mixture.zeros)
    for tau in (0.2, 0.5, 0.9, 0.99):
        q = np.log(law.quantile(tau))[:, None]
        cdf = (weights * stats.norm.cdf(q, centres, width[:, None])).sum(axis=1)
        np.testing.assert_allclose(share + (1 - share) * cdf, tau, atol=2e-3)


def test_posterior_of_logs_by_hand():
    # one level, so the prior is a point at the row's own mean
    x = np.array([[1.5, 6.0]])
    bayes = NonparametricEmpiricalBayes().fit(x)
    np.testing.assert_allclose(bayes.grid_, np.log(3.0))
    np.testing.assert_allclose(bayes.decide(x), 3.0, rtol=1e-6)
    within = 2 * np.log(2.0) ** 2  # sum of squared differences, one degree of freedom
    assert bayes.noise_ == pytest.approx(np.sqrt(within))


@pytest.mark.parametrize("n", [1, 3, 10])
@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)], ids=repr)
def test_costs_little_more_than_exact_bayes(law, n):
    problem = Newsvendor.from_service_level(0.9)
    portfolio = law.sample(500, n, random_state=0)
    truth, X = law.truth(portfolio), portfolio.observations
    bayes = problem.expected_cost(law.predictive(portfolio).quantile(0.9), truth, problem.read(X))
    orders = NonparametricEmpiricalBayes(problem).fit(X).decide(X)
    cost = problem.expected_cost(orders, truth, problem.read(X))
    assert cost.sum() / bayes.sum() < 1.03


def test_two_segments_are_seen():
    rng = np.random.RandomState(0)
    mean = np.where(rng.uniform(size=400) < 0.5, 3.0, 30.0)
    X = rng.poisson(mean[:, None], size=(400, 2)).astype(float)
    bayes = NonparametricEmpiricalBayes().fit(X)
    assert bayes.family_ == "poisson"
    near = np.minimum(abs(bayes.grid_ - 3.0), abs(bayes.grid_ - 30.0)) < 3.0
    assert bayes.weights_[near].sum() > 0.9
    truth = stats.poisson.ppf(0.9, mean)
    error = np.abs(bayes.predict_quantiles(X, 0.9)[:, 0] - truth).mean()
    parametric = ParametricEmpiricalBayes(family="gamma-poisson").fit(X)
    assert error < np.abs(parametric.predict_quantiles(X, 0.9)[:, 0] - truth).mean() / 3


def test_overdispersed_counts_are_not_poisson():
    x = np.rint(LognormalNormal(4.0, 0.5, 0.5).sample(100, 5, random_state=0).observations)
    bayes = NonparametricEmpiricalBayes().fit(x)
    assert bayes.family_ == "lognormal"
    assert bayes.noise_ == pytest.approx(0.5, rel=0.1)
    orders = bayes.decide(x)
    np.testing.assert_array_equal(orders, np.rint(orders))


def test_tables_without_spread():
    for X in (np.zeros((3, 2)), np.full((1, 1), 7.5), np.full((4, 3), 2.5)):
        np.testing.assert_allclose(NonparametricEmpiricalBayes().fit(X).decide(X), X[:, 0], 1e-3)


def test_counts_only():
    with pytest.raises(ValueError, match="whole numbers"):
        NonparametricEmpiricalBayes(family="poisson").fit(np.array([[1.5, 2.0]]))
