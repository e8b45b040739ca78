"""Nonparametric empirical Bayes, against exact mixtures and exact Bayes decisions."""

import numpy as np
import pytest
from scipy import stats

from sklearn_pttf import Column
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf.baselines import NonparametricEmpiricalBayes, ParametricEmpiricalBayes
from sklearn_pttf.baselines._marginal_likelihood import zero_share
from sklearn_pttf.problems import Estimation, Newsvendor, Selection
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan


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
        cdf = (weights * stats.norm.cdf(q, centres, width)).sum(axis=1)
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


def _two_points(seed, n_rows=500):
    """True means, and three observations of each with noise 1."""
    rng = np.random.RandomState(seed)
    means = rng.choice([-0.5, 2.0], size=n_rows)
    return means, means[:, None] + rng.normal(size=(n_rows, 3))


def test_two_kinds_of_values_are_seen():
    of_bayes, of_normal, found = 0.0, 0.0, 0.0
    for seed in range(4):
        means, X = _two_points(seed)
        odds = np.exp(2.5 * 3 * (X.mean(axis=1) - 0.75))
        bayes = -0.5 + 2.5 * odds / (1 + odds)
        fitted = NonparametricEmpiricalBayes(Estimation()).fit(X)
        assert fitted.family_ == "normal"
        assert fitted.noise_ == pytest.approx(1.0, rel=0.05)
        found += ((fitted.decide(X) - means) ** 2).sum()
        of_bayes += ((bayes - means) ** 2).sum()
        normal = ParametricEmpiricalBayes(Estimation()).fit(X).decide(X)
        of_normal += ((normal - means) ** 2).sum()
    assert found < 1.12 * of_bayes
    assert of_normal > 1.8 * of_bayes


def test_posterior_means_are_those_of_the_mixture():
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.normal(size=(30, 2)) - 5, rng.lognormal(size=30)])
    X[-1, :2], X[0, 0], X[1, 2] = nan, nan, nan
    bayes = NonparametricEmpiricalBayes(Estimation(standard_errors=Column(2))).fit(X)
    noise = np.where(np.isnan(X[:, 2]), bayes.noise_, X[:, 2])
    grid, width, prior = bayes.grid_, bayes._mixture.width, bayes.weights_
    # of a fine grid of levels, the law of each point among them
    levels = np.linspace(-10, 0, 40_001)
    density = (prior * stats.norm.pdf(levels[:, None], grid, width)).sum(axis=1)
    expected = np.empty(30)
    for k, row in enumerate(X[:, :2]):
        row = row[~np.isnan(row), None]
        likelihood = density * stats.norm.pdf(row, levels, noise[k]).prod(axis=0)
        expected[k] = (likelihood * levels).sum() / likelihood.sum()
    found, info = bayes.decide(X, return_info=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found, bayes.decide(X), rtol=1e-12)
    np.testing.assert_allclose(bayes.predict(X), expected, rtol=1e-6)
    assert ((info.lower <= found) & (found <= info.upper)).all()


def test_noise_where_all_know_theirs():
    X = np.array([[1.0, 2.0], [-3.0, 1.0], [nan, 1.0]])
    bayes = NonparametricEmpiricalBayes(Estimation(standard_errors=Column(1))).fit(X)
    assert np.isnan(bayes.noise_)
    assert np.isfinite(bayes.predict(np.column_stack([X[:, 0], [nan] * 3]))).all()


def test_noisy_rows_far_out_do_not_blur_the_others():
    rng = np.random.RandomState(0)
    means = rng.choice([-0.5, 0.5], size=300)
    errors = np.where(np.arange(300) < 30, 50.0, 0.1)
    X = np.column_stack([means + errors * rng.normal(size=300), errors])
    found = NonparametricEmpiricalBayes(Estimation(standard_errors=Column(1))).fit(X).decide(X)
    np.testing.assert_allclose(found[30:], means[30:], atol=0.1)


def test_level_of_a_cold_row():
    _, X = _two_points(0)
    bayes = NonparametricEmpiricalBayes(Estimation()).fit(40 * X)
    cold = np.full((1, 3), nan)
    law = bayes.predict_distribution(cold)
    assert law.mean() == pytest.approx(bayes.weights_ @ bayes.grid_)
    np.testing.assert_allclose(bayes.decide(cold), law.mean())
    _, info = bayes.decide(cold, return_info=True)
    assert -45 < info.lower < 0 < 60 < info.upper < 110


def test_levels_of_counts_are_exact():
    x = GammaPoisson(2.0, 0.0001).sample(50, 3, random_state=0).observations
    bayes = NonparametricEmpiricalBayes(Estimation(), family="poisson").fit(x)
    posterior = bayes._mixture.posterior(*bayes._mixture._summaries(x))
    np.testing.assert_allclose(bayes.decide(x), posterior @ bayes.grid_, rtol=1e-12)
    _, info = bayes.decide(x, return_info=True)
    own = x.mean(axis=1)
    np.testing.assert_allclose(info.lower, own, rtol=0.2)
    assert ((info.lower <= own * 1.05) & (own <= info.upper * 1.05)).all()


def test_normal_amounts():
    X = np.array([[3.5, 4.0], [0.0, 0.5], [2.0, 3.0]])
    for table in (X, np.ceil(X)):
        bayes = NonparametricEmpiricalBayes(family="normal").fit(table)
        law = bayes.predict_distribution(table)
        assert isinstance(law, QuantileGrid)
        assert (law.cdf(-1e-9) == 0).all()
        orders = bayes.decide(table)
        assert (orders[1] < orders[2]) & (orders[2] < orders[0])
        assert not bayes.integer_ or np.array_equal(orders, np.rint(orders))


@pytest.mark.parametrize("family", ["poisson", "lognormal"])
def test_families_that_refuse_negative_values(family):
    for problem in (Estimation(), Selection(2)):
        with pytest.raises(ValueError, match=f"family='{family}' needs .* Use family='normal'"):
            NonparametricEmpiricalBayes(problem, family=family).fit(np.array([[1.0, -2.0]]))
    counts = np.array([[1.0, 3.0], [0.0, 2.0]])
    amounts = counts if family == "poisson" else counts + 0.5
    bayes = NonparametricEmpiricalBayes(family=family).fit(amounts)
    assert (bayes.decide(amounts, problem=Estimation()) > 0).all()
    with pytest.raises(ValueError, match="least 0"):
        bayes.decide(amounts - 1.0, problem=Estimation())


def test_values_without_spread():
    for X in (np.full((3, 2), -2.0), np.full((1, 1), -7.5), np.array([[-1.5, -1.5], [2.0, 2.0]])):
        found, info = NonparametricEmpiricalBayes(Estimation()).fit(X).decide(X, return_info=True)
        np.testing.assert_allclose(found, X[:, 0], rtol=1e-3)
        assert np.isfinite(info.expected_cost).all()


def test_poisson_noise_is_the_family():
    # overdispersed, for which a lognormal law is more likely
    X = np.random.default_rng(0).negative_binomial(0.8, 0.01, (60, 3)).astype(float)
    assert NonparametricEmpiricalBayes().fit(X).family_ == "lognormal"
    assert NonparametricEmpiricalBayes(Estimation(noise="poisson")).fit(X).family_ == "poisson"
