"""Parametric empirical Bayes, against closed forms and exact Bayes decisions."""

import numpy as np
import pytest
from scipy import integrate, stats

from sklearn_pttf import Column
from sklearn_pttf._laws.parametric import (
    NormalLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf.baselines import ParametricEmpiricalBayes
from sklearn_pttf.baselines._marginal_likelihood import beta_binomial, gamma_poisson
from sklearn_pttf.problems import Estimation, Newsvendor, Selection
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan
LAWS = [
    ZeroInflatedLognormalLaw([0.0, 2.0, 1.0], [0.5, 0.6, 0.3], [0.0, 0.4, 0.9]),
    RectifiedNormalLaw([5.0, 1.0, -1.0], [2.0, 2.0, 1.0]),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_continuous_laws(law):
    tau = np.array([[0.01, 0.3, 0.45, 0.95, 0.999]])
    x = law.quantile(tau)
    np.testing.assert_allclose(np.where(x > 0, law.cdf(x), tau), np.broadcast_to(tau, x.shape))
    assert (law.cdf(x) >= tau - 1e-12).all()
    for k in range(3):
        one = law.take([k])
        for start in (0.0, 0.7, 6.0):
            tail = integrate.quad(lambda v, one=one: 1 - one.cdf(v)[0], start, 400.0, limit=500)[0]
            assert one.excess(start)[0] == pytest.approx(tail, abs=1e-6)
    np.testing.assert_allclose(law.mean(), law.excess(0.0))
    np.testing.assert_allclose(law.excess(-2.0), law.mean() + 2.0)
    np.testing.assert_allclose(law.expected(lambda v: v), law.mean(), rtol=2e-3)
    step = 1e-6
    slope = (law.cdf(1.3 + step) - law.cdf(1.3 - step)) / (2 * step)
    np.testing.assert_allclose(np.exp(law.log_density(np.full(3, 1.3))), slope, rtol=1e-4)
    np.testing.assert_allclose(np.exp(law.log_density(np.zeros(3))), law.cdf(0.0), atol=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_rounded_laws(law):
    law = RoundedLaw(law)
    whole = np.arange(3000.0)
    cdf = law.cdf(whole[None])
    np.testing.assert_allclose(cdf[:, 2], law.law.cdf(2.5))
    np.testing.assert_allclose(law.cdf(2.9), law.cdf(2.0))
    np.testing.assert_array_equal(law.cdf(-0.1), 0.0)
    np.testing.assert_allclose(law.mean(), (1 - cdf).sum(axis=1), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(law.excess(3.4), 0.6 * (1 - cdf[:, 3]) + law.excess(4.0))
    np.testing.assert_allclose(law.excess(4.0), (1 - cdf[:, 4:]).sum(axis=1), rtol=1e-4, atol=1e-9)
    for tau in (0.05, 0.5, 0.97):
        np.testing.assert_array_equal(law.quantile(tau), (cdf < tau).sum(axis=1))
    np.testing.assert_allclose(np.exp(law.log_density(np.full(3, 2.0))), cdf[:, 2] - cdf[:, 1])
    assert len(RoundedLaw.concatenate([law, law.take([0])])) == 4


def test_gamma_poisson_is_the_negative_binomial_fit():
    # one observation a row: plain maximum likelihood of a negative binomial
    x = GammaPoisson(2.0, 0.2).sample(400, 1, random_state=0).observations[:, 0]
    shape, rate = gamma_poisson(x, np.ones(400))
    assert shape / rate == pytest.approx(x.mean(), rel=1e-4)

    def likelihood(shape, rate):
        return stats.nbinom.logpmf(x, shape, rate / (rate + 1)).sum()

    best = likelihood(shape, rate)
    for factor in (0.98, 1.02):
        assert best > likelihood(shape * factor, rate)
        assert best > likelihood(shape, rate * factor)


def test_beta_binomial_is_the_best_of_its_neighbours():
    rng = np.random.RandomState(0)
    counts = np.full(3000, 8.0)
    hits = rng.binomial(8, rng.beta(2.0, 5.0, size=3000)).astype(float)
    a, b = beta_binomial(hits, counts)
    assert (a, b) == pytest.approx((2.0, 5.0), rel=0.1)
    best = stats.betabinom.logpmf(hits, 8, a, b).sum()
    assert best > stats.betabinom.logpmf(hits, 8, a * 1.03, b).sum()
    assert best > stats.betabinom.logpmf(hits, 8, a, b * 0.97).sum()
    assert beta_binomial(np.zeros(3), np.ones(3)) == (0.0, 1.0)
    assert beta_binomial(np.ones(3), np.ones(3)) == (1.0, 0.0)


def test_variances_of_a_balanced_table_are_those_of_the_analysis_of_variance():
    rng = np.random.RandomState(0)
    X = 50 + 4 * rng.normal(size=(2000, 1)) + 3 * rng.normal(size=(2000, 5))
    found = ParametricEmpiricalBayes(family="normal").fit(X).hyperparameters_
    within = X.var(axis=1, ddof=1).mean()
    between = X.mean(axis=1).var(ddof=1) - within / 5
    assert found["mean"] == pytest.approx(X.mean())
    assert found["noise"] == pytest.approx(np.sqrt(within), rel=1e-4)
    assert found["spread"] == pytest.approx(np.sqrt(between), rel=1e-3)


def test_normal_law_by_hand():
    X = np.array([[1.5, 3.5], [nan, nan]])
    bayes = ParametricEmpiricalBayes(family="normal").fit(X)
    bayes.hyperparameters_ = {"mean": 4.0, "spread": 1.0, "noise": 1.0}
    law = bayes.predict_distribution(X)
    # three equal precisions: (4 + 1.5 + 3.5) / 3, and 1 + 1/3 of variance
    expected = RectifiedNormalLaw([3.0, 4.0], [np.sqrt(4 / 3), np.sqrt(2.0)])
    for tau in (0.001, 0.5, 0.9):
        np.testing.assert_allclose(law.quantile(tau), expected.quantile(tau))


@pytest.mark.parametrize(
    ("law", "family", "truth"),
    [
        (GammaPoisson(2.0, 0.2), "gamma-poisson", {"shape": 2.0, "rate": 0.2}),
        (GammaPoisson(0.5, 0.5), "gamma-poisson", {"shape": 0.5, "rate": 0.5}),
        (
            LognormalNormal(4.0, 0.3, 0.3),
            "lognormal",
            {"mean": 4.0, "spread": 0.3, "noise": 0.3, "zeros": 0.0, "others": 1.0},
        ),
    ],
    ids=repr,
)
def test_finds_the_law(law, family, truth):
    X = law.sample(20_000, 4, random_state=0).observations
    bayes = ParametricEmpiricalBayes().fit(X)
    assert bayes.family_ == family == max(bayes.scores_, key=bayes.scores_.get)
    assert bayes.hyperparameters_ == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("n", [1, 3, 10])
@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)], ids=repr)
def test_costs_hardly_more_than_exact_bayes(law, n):
    problem = Newsvendor.from_service_level(0.9)
    portfolio = law.sample(500, n, random_state=0)
    truth, X = law.truth(portfolio), portfolio.observations
    bayes = problem.expected_cost(law.predictive(portfolio).quantile(0.9), truth, problem.read(X))
    orders = ParametricEmpiricalBayes(problem).fit(X).decide(X)
    cost = problem.expected_cost(orders, truth, problem.read(X))
    assert cost.sum() / bayes.sum() < 1.01


def test_normal_amounts_are_normal():
    rng = np.random.RandomState(0)
    X = 50 + 4 * rng.normal(size=(300, 1)) + 9 * rng.normal(size=(300, 5))
    assert ParametricEmpiricalBayes().fit(X).family_ == "normal"


def test_share_of_zeros():
    rng = np.random.RandomState(0)
    law = LognormalNormal(2.0, 0.5, 0.4).sample(3000, 8, random_state=0)
    share = rng.beta(2.0, 3.0, size=(3000, 1))
    X = np.where(rng.uniform(size=(3000, 8)) < share, 0.0, law.observations)
    bayes = ParametricEmpiricalBayes(family="lognormal").fit(X)
    found = bayes.hyperparameters_
    assert (found["zeros"], found["others"]) == pytest.approx((2.0, 3.0), rel=0.15)
    assert (found["mean"], found["noise"]) == pytest.approx((2.0, 0.4), rel=0.05)
    n_zero = (X == 0).sum(axis=1)
    expected = (found["zeros"] + n_zero) / (found["zeros"] + found["others"] + 8)
    np.testing.assert_allclose(bayes.predict_distribution(X).cdf(0.0), expected)


def test_zeros_that_fit_did_not_see():
    bayes = ParametricEmpiricalBayes(family="lognormal").fit(np.array([[1.5, 2.5], [3.5, 2.0]]))
    assert bayes.predict_distribution(np.array([[0.0, 0.0]])).cdf(0.0) == pytest.approx([2 / 3])


def test_tables_without_spread():
    for X in (np.zeros((3, 2)), np.full((1, 1), 7.5), np.full((4, 3), 2.5)):
        for family in ("auto", "lognormal", "normal"):
            orders = ParametricEmpiricalBayes(family=family).fit(X).decide(X)
            np.testing.assert_allclose(orders, X[:, 0], rtol=1e-3)


def test_counts_only():
    with pytest.raises(ValueError, match="whole numbers"):
        ParametricEmpiricalBayes(family="gamma-poisson").fit(np.array([[1.5, 2.0]]))


def test_variances_of_a_ragged_table_are_most_likely():
    rng = np.random.RandomState(0)
    X = 50 + 4 * rng.normal(size=(60, 1)) + 3 * rng.normal(size=(60, 4))
    X[rng.uniform(size=X.shape) < 0.4] = nan

    def restricted_likelihood(spread, noise):
        precision, weighted, fit = 0.0, 0.0, 0.0
        rows = [row[~np.isnan(row)] for row in X if not np.isnan(row).all()]
        laws = [noise**2 * np.eye(len(row)) + spread**2 for row in rows]
        for row, law in zip(rows, laws, strict=True):
            ones = np.ones(len(row))
            precision += ones @ np.linalg.solve(law, ones)
            weighted += ones @ np.linalg.solve(law, row)
        mean = weighted / precision
        for row, law in zip(rows, laws, strict=True):
            fit += stats.multivariate_normal(np.full(len(row), mean), law).logpdf(row)
        return mean, fit - np.log(precision) / 2

    found = ParametricEmpiricalBayes(family="normal").fit(X).hyperparameters_
    mean, best = restricted_likelihood(found["spread"], found["noise"])
    assert found["mean"] == pytest.approx(mean)
    for factor in (0.97, 1.03):
        assert best > restricted_likelihood(factor * found["spread"], found["noise"])[1]
        assert best > restricted_likelihood(found["spread"], factor * found["noise"])[1]


def _two_values(n_rows=100):
    return np.random.RandomState(0).normal(size=(n_rows, 1)) + np.random.RandomState(1).normal(
        size=(n_rows, 2)
    )


def test_values_of_any_sign_are_normal():
    X = _two_values()
    bayes = ParametricEmpiricalBayes(Estimation()).fit(X)
    assert (bayes.family_, bayes.scores_) == ("normal", {})
    found = bayes.hyperparameters_
    within, between = X.var(axis=1, ddof=1).mean(), X.mean(axis=1).var(ddof=1)
    assert found["noise"] ** 2 == pytest.approx(within, rel=1e-2)
    assert found["spread"] ** 2 == pytest.approx(between - within / 2, rel=1e-2)
    moved = ParametricEmpiricalBayes(Estimation()).fit(-3 * X + 1000)
    expected = {"mean": 1000 - 3 * found["mean"], **{k: 3 * found[k] for k in ("spread", "noise")}}
    assert moved.hyperparameters_ == pytest.approx(expected, rel=1e-6)


def test_laws_of_values_by_hand():
    bayes = ParametricEmpiricalBayes(Estimation()).fit(_two_values())
    bayes.hyperparameters_ = {"mean": -4.0, "spread": 1.0, "noise": 1.0}
    X = np.array([[-1.5, -3.5], [nan, nan]])
    # three equal precisions: (-4 - 1.5 - 3.5) / 3, and 1/3 of variance
    means, info = bayes.decide(X, return_info=True)
    np.testing.assert_allclose(means, [-3.0, -4.0])
    np.testing.assert_allclose(info.upper, NormalLaw(means, [3**-0.5, 1.0]).quantile(0.95))
    expected = NormalLaw(means, [np.sqrt(4 / 3), np.sqrt(2.0)])
    for tau in (0.001, 0.5, 0.9):
        np.testing.assert_allclose(
            bayes.predict_distribution(X).quantile(tau), expected.quantile(tau)
        )


def test_known_errors_by_hand():
    X = np.array([[-1.5, -3.5, 1.0], [-1.5, nan, 2.0], [nan, nan, 1.0]])
    bayes = ParametricEmpiricalBayes(Estimation(standard_errors=Column(2))).fit(X)
    assert np.isnan(bayes.hyperparameters_["noise"])
    bayes.hyperparameters_ |= {"mean": -4.0, "spread": 2.0}
    # precisions 1/4 of the level, and 2, 1/4 and 0 of the rows
    np.testing.assert_allclose(bayes.decide(X), [(-1 - 5) / 2.25, -2.75, -4.0])
    variances = np.array([1 / 2.25, 2.0, 4.0])
    _, info = bayes.decide(X, return_info=True)
    np.testing.assert_allclose(info.expected_cost, variances, rtol=1e-3)
    law = bayes.predict_distribution(X)
    np.testing.assert_allclose(law.parameters[1] ** 2, np.add(variances, [1.0, 4.0, 1.0]))
    # a row that does not know its own has the usual one
    unknown = np.column_stack([X[:, :2], [nan] * 3])
    usual = (1.0 + 4.0 + 1.0) / 3
    law = bayes.predict_distribution(unknown)
    np.testing.assert_allclose(law.parameters[1][2] ** 2, 4.0 + usual)


def test_noise_of_rows_that_do_not_know_theirs():
    X = np.array([[1.5, 3.5, nan], [0.0, 4.0, nan], [7.0, nan, 3.0], [-7.0, 9.0, 3.0]])
    bayes = ParametricEmpiricalBayes(Estimation(standard_errors=Column(2))).fit(X)
    assert bayes.hyperparameters_["noise"] ** 2 == pytest.approx((2.0 + 8.0) / 2)
    none_known = np.column_stack([X[:, :2], [nan] * 4])
    one, two = (
        ParametricEmpiricalBayes(Estimation(standard_errors=errors)).fit(none_known[:, :width])
        for errors, width in ((Column(2), 3), (None, 2))
    )
    assert one.hyperparameters_ == two.hyperparameters_


def test_spread_with_known_errors_is_most_likely():
    rng = np.random.RandomState(0)
    errors = rng.lognormal(size=80)
    means = 3 + 2 * rng.normal(size=80) + errors * rng.normal(size=80)

    def restricted_likelihood(spread):
        weights = 1 / (spread**2 + errors**2)
        mean = weights @ means / weights.sum()
        fit = stats.norm.logpdf(means, mean, weights**-0.5).sum()
        return mean, fit - np.log(weights.sum()) / 2

    X = np.column_stack([means, errors])
    problem = Estimation(standard_errors=Column(1))
    found = ParametricEmpiricalBayes(problem).fit(X).hyperparameters_
    assert found["spread"] == pytest.approx(2.0, rel=0.2)
    mean, best = restricted_likelihood(found["spread"])
    assert found["mean"] == pytest.approx(mean)
    for factor in (0.97, 1.03):
        assert best > restricted_likelihood(factor * found["spread"])[1]
    # in another unit, far from 0, and where errors are next to nothing
    X = X * 1e6 - [1e9, 0]
    moved = ParametricEmpiricalBayes(problem).fit(X).hyperparameters_
    assert moved["spread"] == pytest.approx(1e6 * found["spread"], rel=1e-6)
    exact = np.column_stack([means, np.full(80, 1e-7)])
    spread = ParametricEmpiricalBayes(problem).fit(exact).hyperparameters_["spread"]
    assert spread == pytest.approx(means.std(ddof=1), rel=0.01)


def test_one_row_of_known_error():
    X = np.array([[5.0, 2.0]])
    bayes = ParametricEmpiricalBayes(Estimation(standard_errors=Column(1))).fit(X)
    # nothing is known of the spread: as much as the noise
    assert bayes.hyperparameters_ == pytest.approx(
        {"mean": 5.0, "spread": 2.0, "noise": nan}, nan_ok=True
    )


def test_squared_error_is_hardly_more_than_of_exact_bayes():
    rng = np.random.RandomState(0)
    means, errors = rng.normal(size=500), rng.lognormal(0.0, 0.7, size=500)
    x = means + errors * rng.normal(size=500)
    found = ParametricEmpiricalBayes(Estimation(standard_errors=Column(1)))
    found = found.fit(np.column_stack([x, errors])).decide(np.column_stack([x, errors]))
    bayes = x / (1 + errors**2)
    assert ((found - means) ** 2).sum() < 1.02 * ((bayes - means) ** 2).sum()


@pytest.mark.parametrize("family", ["gamma-poisson", "lognormal"])
def test_families_that_refuse_negative_values(family):
    X = _two_values(5)
    for problem in (Estimation(), Selection(2)):
        with pytest.raises(ValueError, match=f"family='{family}' needs .* Use family='normal'"):
            ParametricEmpiricalBayes(problem, family=family).fit(X)
    counts = np.array([[1.0, 3.0], [0.0, 2.0]])
    amounts = counts if family == "gamma-poisson" else counts + 0.5
    bayes = ParametricEmpiricalBayes(family=family).fit(amounts)
    np.testing.assert_allclose(bayes.decide(amounts, problem=Estimation()), bayes.predict(amounts))
    with pytest.raises(ValueError, match="least 0"):
        bayes.decide(amounts - 1.0, problem=Estimation())


def test_amounts_of_a_problem_of_values():
    X = np.array([[1.5, 2.5], [0.25, 0.5], [9.0, 4.0]])
    bayes = ParametricEmpiricalBayes(Estimation(), family="lognormal").fit(X)
    assert (bayes.decide(X) > 0).all()


def test_poisson_noise_is_the_family_and_the_law_of_a_mean_is_gamma():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(2.0, 2.0, (60, 1)), (60, 3)).astype(float)
    X[0], X[1, 1:] = np.nan, np.nan
    bayes = ParametricEmpiricalBayes(Estimation(noise="poisson")).fit(X)
    assert bayes.family_ == "gamma-poisson"
    shape = bayes.hyperparameters_["shape"] + np.nansum(X, axis=1)
    rate = bayes.hyperparameters_["rate"] + (~np.isnan(X)).sum(axis=1)
    means, info = bayes.decide(X, return_info=True)
    np.testing.assert_allclose(means, shape / rate, rtol=1e-9)
    np.testing.assert_allclose(info.expected_cost, shape / rate**2, rtol=0.01)
    np.testing.assert_allclose(info.lower, stats.gamma.ppf(0.05, shape, scale=1 / rate), rtol=0.02)


def test_large_counts_have_the_likelihood_of_small_ones():
    # relative spread 1 / sqrt(2) of levels, next to which Poisson noise is nothing
    levels = np.random.default_rng(0).gamma(2.0, 1.0, 2000)
    found = [
        gamma_poisson(np.rint(levels * size), np.ones(2000)) for size in (1e6, 1e9, 4e15, 1e99)
    ]
    for (shape, rate), size in zip(found, (1e6, 1e9, 4e15, 1e99), strict=True):
        np.testing.assert_allclose(
            [shape, rate * size], [found[0][0], found[0][1] * 1e6], rtol=2e-4
        )
