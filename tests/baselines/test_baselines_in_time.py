"""Baselines in the order of time: what they share, and each by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sklearn_pttf.baselines import (
    ExponentialSmoothing,
    LagBoosting,
    NegativeBinomialSmoothing,
    SampleAverage,
    SeasonalNaive,
)
from sklearn_pttf.baselines._in_time import (
    ERROR_LEVELS,
    Levels,
    PooledErrors,
    deviance_of,
    find_smoothing,
    newest_cells,
    usual_level,
)
from sklearn_pttf.baselines._lag_boosting import lag_features
from sklearn_pttf.baselines._negative_binomial_smoothing import log_likelihood
from sklearn_pttf.baselines._seasonal_naive import find_seasons, last_seasons
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan
IN_TIME = [ExponentialSmoothing, NegativeBinomialSmoothing, SeasonalNaive, LagBoosting]
each_in_time = pytest.mark.parametrize("estimator", IN_TIME)


def walk(n_rows, n_periods, seed, step=0.15, growth=0.0, counts=True):
    """Rows that all rise and fall with one random walk, or grow."""
    rng = np.random.RandomState(seed)
    logs = (growth + step * rng.normal(size=n_periods)).cumsum()
    mean = rng.lognormal(3, 0.7, (n_rows, 1)) * np.exp(logs)
    return rng.poisson(mean).astype(float) if counts else mean * rng.gamma(10, 0.1, mean.shape)


def promoted(n_rows=300, n_periods=10, seed=0):
    """Sales of 3 and, under a promotion, 9, with promotions of these periods and 3 more."""
    promotion = np.random.RandomState(seed).randint(2, size=(n_rows, n_periods + 3)).astype(float)
    sales = np.where(promotion[:, :n_periods] == 1, 9.0, 3.0)
    problem = Newsvendor(
        ordered=True,
        observations=range(n_periods),
        drivers={"promotion": range(n_periods, 2 * n_periods + 3)},
        horizon=3,
    )
    return problem, np.hstack([sales, promotion]), promotion[:, n_periods:]


# ---------------------------------------------------------------- what they share


def test_levels_by_hand():
    levels = Levels.of(np.array([[8.0, 4.0, nan, 2.0]]), 0.5)
    np.testing.assert_allclose(levels.sums, [[0, 8, 8, 8, 6]])
    np.testing.assert_allclose(levels.weights, [[0, 1, 1.5, 1.5, 1.75]])
    np.testing.assert_allclose(levels.squares, [[0, 1, 1.25, 1.25, 1.3125]])
    np.testing.assert_allclose(levels.mean(1.0, 10.0), [[10, 9, 7.2, 7.2, 16 / 2.75]])
    np.testing.assert_allclose(levels.last().doubt(), [1 + 1.3125 / 1.75**2])
    np.testing.assert_allclose(levels.doubt()[:, 0], 2.0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=1, max_size=8),
    st.floats(0.01, 0.99),
)
def test_levels_are_means_that_pass_over_missing_periods(row, alpha):
    x = np.array([[nan if value is None else value for value in row]])
    last = Levels.of(x, alpha).last()
    seen = x[~np.isnan(x)]
    weights = (1 - alpha) ** np.arange(len(seen))[::-1]
    np.testing.assert_allclose(last.sums, (weights * seen).sum(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(last.weights, weights.sum(), rtol=1e-9, atol=1e-12)


def test_usual_level_is_a_geometric_mean():
    read = Newsvendor().read
    assert usual_level(read(np.array([[1.0, 3.0], [8.0, nan], [0.0, 0.0]]))) == pytest.approx(4.0)
    assert usual_level(read(np.zeros((2, 5)))) == pytest.approx(0.05)  # half of one over ten


def test_poisson_deviance_by_hand():
    # 2 (0 + 1), 2 (2 log 2 - 1) and 2 (5 log (5 / 4) - 1)
    expected = 2 + 2 * (2 * np.log(2) - 1) + 2 * (5 * np.log(1.25) - 1)
    assert deviance_of(np.array([0.0, 2, 5]))(np.array([1.0, 1, 4])) == pytest.approx(expected)
    assert deviance_of(np.zeros(2))(np.array([1.0, 3.0])) == 8.0


def test_newest_cells():
    x = np.array([[1.0, 2.0, nan], [nan, 3.0, 4.0]])
    np.testing.assert_array_equal(newest_cells(x), [[0, 1], [1, 2]])
    np.testing.assert_array_equal(newest_cells(x[:, :1]), [[0], [0]])
    rows, periods = newest_cells(np.ones((70_000, 6)))
    assert len(rows) == 140_000
    assert set(periods) == {4, 5}


def test_smoothing_is_found():
    """A last value that says all, and one that says no more than any other."""
    rng = np.random.RandomState(0)
    walks = 50 * np.exp(0.3 * rng.normal(size=(200, 20)).cumsum(axis=1))
    assert find_smoothing(walks, 50.0)[0] == 1.0
    level = rng.lognormal(3, 1, (200, 1))
    assert find_smoothing(level * rng.gamma(9, 1 / 9, (200, 20)), 20.0)[0] == 0.0


def test_error_sizes_are_found():
    """Errors whose squares are what is expected of them give the two parts back."""
    levels, doubts = np.geomspace(0.1, 1000, 400), np.linspace(1.1, 2, 400)
    sizes = np.sqrt((0.5 * 4.0 * levels + 0.09 * levels**2) * doubts)
    errors = PooledErrors(sizes * np.resize([-1, 1], 400), levels, doubts, 4.0)
    np.testing.assert_allclose(errors.parts, [0.5, 0.09], rtol=1e-6)
    at = np.array([2.0]), np.array([1.5])
    np.testing.assert_allclose(errors.variance(*at), (0.5 * 4 * 2 + 0.09 * 4) * 1.5, rtol=1e-6)
    law = errors.law(np.array([10.0]), *at, integer=False)
    np.testing.assert_allclose(law.quantile(0.9), 10 + np.sqrt((4 + 0.36) * 1.5), rtol=1e-6)


def test_error_sizes_of_one_part():
    levels = np.geomspace(1, 100, 50)
    for power, parts in ((1.0, [0.25, 0.0]), (2.0, [0.0, 0.25])):
        errors = 0.5 * levels ** (power / 2) * np.resize([-1, 1], 50)
        found = PooledErrors(errors, levels, np.ones(50), 1.0).parts
        np.testing.assert_allclose(found, parts, atol=1e-9)


def test_errors_have_bands_of_level():
    """Few sales are skew, many are not: their quantiles are not pooled together."""
    levels = np.repeat([1.0, 100.0], 1000)
    errors = np.where(levels == 1, np.resize([-0.5, -0.5, 1.0], 2000), np.resize([-10, 10], 2000))
    pooled = PooledErrors(errors, levels, np.ones(2000), 10.0)
    law = pooled.law(levels[[0, -1]], levels[[0, -1]], np.ones(2), integer=False)
    np.testing.assert_allclose(law.quantile(0.5)[0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(law.quantile([[0.1, 0.9]])[1], [90, 110], rtol=1e-6)


@each_in_time
def test_needs_the_order_of_time(estimator):
    for problem in (Newsvendor(), Estimation()):
        with pytest.raises(ValueError, match="ordered=True"):
            estimator(problem).fit([[1.0, 2.0]])
    assert estimator().fit([[1.0, 2.0]]).problem_.ordered


@each_in_time
def test_order_of_periods_matters(estimator):
    X = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]) * np.linspace(1, 3, 60)[:, None]
    rising, falling = (estimator().fit(Z).decide(Z) for Z in (X, X[:, ::-1]))
    assert np.all(rising > 2 * falling)


@each_in_time
def test_rows_without_observations_are_decided_from_the_pool(estimator):
    X = np.vstack([walk(40, 8, seed=0), np.full((1, 8), nan)])
    fitted = estimator().fit(X)
    pool = X[:-1].ravel()
    if estimator is NegativeBinomialSmoothing:
        law = fitted.predict_distribution(X[-1:])
        np.testing.assert_allclose(law.mean(), pool.mean())
        np.testing.assert_allclose(law.moments()[1], pool.var())
    else:
        expected = np.quantile(pool, 0.9, method="inverted_cdf")
        levels = getattr(fitted, "levels_", ERROR_LEVELS)
        np.testing.assert_allclose(
            fitted.predict_quantiles(X[-1:], 0.9)[0, 0], expected, atol=0 if 0.9 in levels else 3
        )


@each_in_time
def test_another_problem_keeps_what_fit_was_told_of_time(estimator):
    problem, X, _ = promoted()
    fitted = estimator(problem).fit(X)
    np.testing.assert_array_equal(fitted.decide(X, problem=Newsvendor(horizon=3)), fitted.decide(X))
    with pytest.raises(ValueError, match="drivers"):
        fitted.decide(X, problem=Newsvendor(ordered=True, drivers={"promotion": range(1, 14)}))
    with pytest.raises(ValueError, match="seasons"):
        fitted.decide(X, problem=Newsvendor(ordered=True, seasons=7))


@each_in_time
def test_totals_follow_the_horizon(estimator):
    X = walk(80, 12, seed=1)
    fitted = estimator(Newsvendor.from_service_level(0.9, ordered=True)).fit(X)
    one, two, five = (fitted.predict(X, horizon=h) for h in (1, 2, 5))
    np.testing.assert_allclose(two / one, 2.0, rtol=0.15)
    np.testing.assert_allclose(five / one, 5.0, rtol=0.4)
    spread = [np.diff(fitted.predict_quantiles(X, [0.1, 0.9], horizon=h))[:, 0] for h in (1, 4)]
    # periods hang together: wider than of independent ones, not wider than of equal ones
    assert 1.5 < np.mean(spread[1] / spread[0]) < 5
    orders = fitted.decide(X, problem=Newsvendor.from_service_level(0.9, horizon=3))
    np.testing.assert_array_equal(orders, np.rint(orders))
    assert np.all(orders > fitted.decide(X))


@each_in_time
def test_law_of_the_mean_has_the_mean_of_outcomes(estimator):
    problem, X, _ = promoted()
    fitted = estimator(problem).fit(X)
    law = fitted.predict_distribution(X, of_mean=True)
    np.testing.assert_allclose(law.mean(), fitted.predict(X), rtol=1e-6)
    assert np.all(np.diff(law.quantile([[0.1, 0.5, 0.9]])) >= 0)


@each_in_time
def test_saves_much_where_all_rows_grow(estimator):
    """SAA orders from what was sold when all was smaller; 8 % a period."""
    X = walk(200, 21, seed=0, step=0.0, growth=0.08)
    fitted = estimator(Newsvendor.from_service_level(0.9, ordered=True)).fit(X[:, :-1])
    assert fitted.score(X[:, :-1], X[:, -1]) > 0.4


# ---------------------------------------------------------------- exponential smoothing


def test_exponential_smoothing_by_hand():
    """Last values, and quantiles of errors over the root of what is expected of their squares."""
    X = np.array([[2.0, 3.0, 3.5], [10.0, 9.5, 12.0], [4.0, 4.5, nan]])
    fitted = ExponentialSmoothing(alpha=1.0).fit(X)
    usual = np.exp(np.log([17 / 6, 10.5, 4.25]).mean())
    assert fitted.usual_level_ == pytest.approx(usual)
    pull = fitted.pull_
    before = np.array([2.0, 3.0, 10.0, 9.5, 4.0])
    after = np.array([3.0, 3.5, 9.5, 12.0, 4.5])
    means = (before + pull * usual) / (1 + pull)
    size = np.sqrt(PooledErrors(after - means, means, np.full(5, 2.0), usual).parts)
    sizes = np.sqrt((size[0] ** 2 * usual * means + size[1] ** 2 * means**2) * 2)
    middle = np.median((after - means) / sizes)
    last = (np.array([3.5, 12.0, 4.5]) + pull * usual) / (1 + pull)
    expected = last + middle * np.sqrt((size[0] ** 2 * usual * last + size[1] ** 2 * last**2) * 2)
    np.testing.assert_allclose(fitted.decide(X), expected, rtol=1e-9)


def test_exponential_smoothing_of_rows_that_grow():
    """Ratios to the last value are all 1.5, and so is the decision's, but for the pull."""
    X = 1.5 ** np.arange(6.0) * np.linspace(1, 9, 30)[:, None]
    fitted = ExponentialSmoothing().fit(X)
    assert fitted.alpha_ == 1.0
    np.testing.assert_allclose(fitted.decide(X), 1.5 * X[:, -1], rtol=0.05)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, "a"])
@pytest.mark.parametrize("estimator", [ExponentialSmoothing, NegativeBinomialSmoothing])
def test_refuses_alpha(estimator, alpha):
    with pytest.raises(ValueError, match="alpha"):
        estimator(alpha=alpha).fit([[1.0, 2.0]])


@pytest.mark.parametrize("estimator", [ExponentialSmoothing, NegativeBinomialSmoothing])
@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.5, 0.4)], ids=repr)
def test_smoothing_costs_little_more_than_exact_bayes(estimator, law):
    """Where the order says nothing."""
    problem = Newsvendor.from_service_level(0.9, ordered=True)
    portfolio = law.sample(500, 20, random_state=0)
    truth, X = law.truth(portfolio), portfolio.observations

    def cost(orders):
        return problem.expected_cost(orders, truth, problem.read(X)).sum()

    bayes = cost(law.predictive(portfolio).quantile(0.9))
    smoothed = cost(estimator(problem).fit(X).decide(X))
    saa = cost(SampleAverage(Newsvendor.from_service_level(0.9)).fit(X).decide(X))
    assert bayes < smoothed < 1.02 * bayes < 1.05 * bayes < saa


# ---------------------------------------------------------------- negative binomial smoothing


def test_log_likelihood_is_that_of_scipy():
    counts, mean = np.array([0.0, 3.0, 7.0]), np.array([0.5, 2.0, 9.0])
    variance = mean + mean**2 / 1.5
    expected = stats.nbinom.logpmf(counts, 1.5, 1.5 / (1.5 + mean)).sum()
    assert log_likelihood(counts, mean, variance) == pytest.approx(expected)


@pytest.mark.parametrize("size", [0.5, 3.0, 50.0])
def test_dispersion_is_found(size):
    rng = np.random.RandomState(0)
    mean = rng.lognormal(2.5, 0.5, (400, 1))
    X = rng.negative_binomial(size, size / (size + mean), (400, 30)).astype(float)
    fitted = NegativeBinomialSmoothing().fit(X)
    assert fitted.alpha_ <= 0.05
    assert fitted.size_ == pytest.approx(size, rel=0.35)


def test_negative_binomial_law_by_hand():
    X = walk(50, 6, seed=2)
    fitted = NegativeBinomialSmoothing(alpha=0.0).fit(X)
    mean = (X.sum(axis=1) + fitted.pull_ * fitted.usual_level_) / (6 + fitted.pull_)
    variance = (mean + mean**2 / fitted.size_) * 7 / 6
    law = stats.nbinom(mean / (variance / mean - 1), mean / variance)
    np.testing.assert_allclose(fitted.predict(X), mean)
    np.testing.assert_array_equal(fitted.predict_quantiles(X, 0.95)[:, 0], law.ppf(0.95))


def test_amounts_have_gamma_laws():
    X = walk(300, 10, seed=3, step=0.0, counts=False)  # coefficient of variation: root of .1
    fitted = NegativeBinomialSmoothing(alpha=0.0).fit(X)
    assert fitted.unit_ == pytest.approx(fitted.usual_level_ / 100)  # no part like a count's
    assert fitted.size_ == pytest.approx(10, rel=0.15)
    law = fitted.predict_distribution(X)
    mean, variance = law.parameters
    np.testing.assert_allclose(np.median(variance / mean**2), 0.11, rtol=0.1)
    expected = stats.gamma(mean**2 / variance, scale=variance / mean).ppf(0.9)
    np.testing.assert_allclose(law.quantile(0.9), expected)


def test_amounts_may_be_counts_of_a_unit():
    X = 7.3 * walk(300, 10, seed=3, step=0.0)  # of a size that a table of whole numbers has not
    fitted = NegativeBinomialSmoothing().fit(X)
    assert 3 < fitted.unit_ < 15
    _, variance = fitted.predict_distribution(X).parameters
    ratios = variance / (7.3 * X.mean(axis=1) * 1.1)
    assert np.median(ratios) == pytest.approx(1, rel=0.3)


# ---------------------------------------------------------------- seasonal naive


def test_last_seasons_by_hand():
    x = np.array([[1.0, 2.0, nan, 4.0, nan], [nan, nan, 7.0, nan, nan]])
    np.testing.assert_array_equal(
        last_seasons(x, ()), [[nan, 1, 2, 2, 4, 4], [nan, nan, nan, 7, 7, 7]]
    )
    np.testing.assert_array_equal(  # of two seasons the longer counts, where there is one
        last_seasons(x, (2, 4)), [[nan, 1, 1, 2, 1, 2], [nan, nan, nan, 7, 7, 7]]
    )


def test_seasonal_naive_repeats_the_season():
    season = np.array([3.5, 20.0, 7.0])
    X = np.tile(season, 4)[:11] * np.linspace(1, 5, 20)[:, None]
    for seasons in (3, (3, 60), (2, 3)):
        problem = Newsvendor(ordered=True, seasons=seasons)
        fitted = SeasonalNaive(problem).fit(X)
        tau = [0.3, 0.7] if seasons == 3 else [0.5]
        found = fitted.predict_quantiles(X, tau)
        np.testing.assert_allclose(found, np.outer(np.linspace(1, 5, 20), [7.0] * len(tau)))


def test_seasonal_naive_falls_back_to_the_last_value():
    X = np.tile([4.5, 4.5, 9.0], (20, 1)) * np.linspace(1, 5, 20)[:, None]
    fitted = SeasonalNaive(Newsvendor(ordered=True, seasons=52)).fit(X)
    assert fitted.seasons_ == (52,)
    # errors are 0 and 4.5 times the row, to means of 4.5 and a bit of the usual level
    usual = fitted.usual_level_
    rows = np.linspace(1, 5, 20)
    assert usual == pytest.approx(6 * np.exp(np.log(rows).mean()))
    low, high = fitted.predict_quantiles(X, [0.05, 0.95]).T
    np.testing.assert_allclose(low, X[:, -1])
    assert np.all(high > X[:, -1] + 3)


def test_seasons_are_looked_for():
    rng = np.random.RandomState(0)
    noise = rng.gamma(50, 0.02, (40, 60))
    weekly = np.resize([1.0, 2.0, 3.0, 1.0, 2.0, 5.0, 6.0], 60) * noise
    assert find_seasons(weekly, "auto") == (7,)
    assert find_seasons(weekly[:, :7], "auto") == ()  # no season comes back four times
    assert find_seasons(noise.cumsum(axis=1), "auto") == ()
    assert find_seasons(weekly, (3,)) == (3,)
    problem = Newsvendor(ordered=True, seasons="auto")
    assert SeasonalNaive(problem).fit(weekly).seasons_ == (7,)


# ---------------------------------------------------------------- boosting of lags


def test_lag_features_by_hand():
    past = np.array([[1.0, 2.0, 3.0, nan, 5.0], [nan, nan, nan, nan, nan]])
    drivers = np.array([[[0.0], [1], [nan], [0], [1]], [[4.0], [4], [4], [4], [6]]])
    found = lag_features(past, np.array([np.e, 1.0]), (3, 9), drivers, np.array([[1.0], [nan]]))
    mean = 11 / 4
    first = [5, nan, 3, 2, 10 / 3, mean, mean, np.sqrt((1 + 4 + 9 + 25) / 4 - mean**2), 4, 1]
    first += [2, 3, 5, nan, 1, 0.5, 0.5]
    second = [nan] * 8 + [0, 0, 2, nan, 5, nan, nan, nan, 6 - 4.4]
    np.testing.assert_allclose(found, [first, second], rtol=1e-6)


def test_boosting_reads_planned_drivers():
    problem, X, planned = promoted()
    fitted = LagBoosting(problem).fit(X)
    first = fitted.predict_quantiles(X, 0.5)[:, 0]
    expected = np.where(planned[:, 0] == 1, 9.0, 3.0)
    np.testing.assert_allclose(first, expected, atol=2)
    assert np.mean(first == expected) > 0.9
    totals = np.column_stack([np.zeros(len(X)), *(fitted.predict(X, horizon=h) for h in (1, 2, 3))])
    for period, means in enumerate(np.diff(totals).T):  # each adds what was planned for it
        assert means[planned[:, period] == 1].mean() == pytest.approx(9, abs=1)
        assert means[planned[:, period] == 0].mean() == pytest.approx(3, abs=1.5)
    # SAA sees as many promotions as there were on average
    assert fitted.score(X, np.where(planned == 1, 9.0, 3.0)) > 0.5


def test_drivers_that_are_never_known_say_nothing():
    problem, X, _ = promoted()
    without = LagBoosting(Newsvendor(ordered=True)).fit(X[:, :10]).decide(X[:, :10])
    X[:, 10:] = nan
    problem = problem.set_params(horizon=1)
    np.testing.assert_array_equal(LagBoosting(problem).fit(X).decide(X), without)


def test_boosting_reads_the_season():
    rng = np.random.RandomState(0)
    season = np.resize([10.0, 60.0, 20.0, 40.0, 15.0, 80.0], 18)
    X = rng.poisson(season * rng.lognormal(0, 0.5, (200, 1))).astype(float)
    problem = Newsvendor.from_service_level(0.9, ordered=True, seasons=6)
    fitted = LagBoosting(problem).fit(X[:, :-1])
    assert fitted.seasons_ == (6,)
    saved = fitted.score(X[:, :-1], X[:, -1])
    plain = LagBoosting(Newsvendor.from_service_level(0.9, ordered=True)).fit(X[:, :-1])
    assert saved > plain.score(X[:, :-1], X[:, -1])
    assert saved > 0.3


@pytest.mark.parametrize("levels", [[0.5], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [[0.1, 0.5]]])
def test_boosting_refuses_levels(levels):
    with pytest.raises(ValueError, match="levels"):
        LagBoosting(levels=levels).fit([[1.0, 2.0]])
