"""How what rows share goes on: levels that wander, seasons that come back, and shocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_pttf._series.course import SEASONS, _Course, _Told, forecast
from sklearn_pttf._series.shared import Dispersion, SharedEffects, shared_effects


def _known(logs, sure=1e6):
    """Log factors that are known, but for one of all periods."""
    n = len(logs)
    precision = sure * (np.eye(n) - 1 / n)
    return SharedEffects(np.asarray(logs) - np.mean(logs), precision, Dispersion(1.0, 0.0))


def _coming(found):
    """Mean and deviation of the next log factors, against the mean of those before."""
    n, horizon = found.n_periods, len(found.mean) - found.n_periods
    road = np.hstack([np.full((horizon, n), -1 / n), np.eye(horizon)])
    return road @ found.mean, np.sqrt(np.diag(road @ found.covariance @ road.T))


def test_what_never_changed_stays():
    mean, doubt = _coming(forecast(_known(np.zeros(12)), 0, 3))
    assert_allclose(mean, 0.0, atol=1e-6)
    assert doubt.max() < 0.02


def test_a_level_that_moved_stays_where_it_is():
    steps = np.repeat([0.0, 0.7], [8, 8])
    mean, doubt = _coming(forecast(_known(steps), 0, 2))
    assert_allclose(mean, 0.35, atol=0.1)
    assert doubt[1] > doubt[0] > 0.05  # it may move again


def test_shocks_do_not_stay():
    shocks = np.zeros(16)
    shocks[[3, 7, 15]] = 0.5
    mean, _ = _coming(forecast(_known(shocks), 0, 1))
    assert abs(mean[0]) < 0.15


def test_seasons_come_back():
    season = np.tile([0.0, 0.5, -0.5, 0.2], 6)
    mean, _ = _coming(forecast(_known(season), 0, 4, (4,)))
    assert_allclose(mean, [-0.05, 0.45, -0.55, 0.15], atol=0.06)


def _with_peaks(peaks, n=100):
    """Log factors of a table of so many weeks with small shocks, and single weeks of +1."""
    logs = np.random.default_rng(0).normal(0, 0.05, n)
    logs[peaks] += 1.0
    return _known(logs)


def test_a_peak_that_came_back_comes_again():
    mean, _ = _coming(forecast(_with_peaks([10, 62], 110), 0, 8, (52,)))
    assert mean[4] > 0.6  # week 114
    assert np.abs(np.delete(mean, [3, 4, 5])).max() < 0.2


def test_a_peak_that_did_not_come_back_is_none():
    mean, _ = _coming(forecast(_with_peaks([36]), 0, 52, (52,)))  # week 88 was as usual
    assert np.abs(mean).max() < 0.1


def test_half_of_a_peak_is_expected_where_no_table_could_tell():
    mean, doubt = _coming(forecast(_with_peaks([20], n=64), 0, 16, (52,)))
    assert 0.2 < mean[8] < 0.8  # week 72, and 20 was the only one of its kind
    assert np.abs(np.delete(mean, [7, 8, 9])).max() < 0.15
    assert doubt[8] > 2 * doubt[5]


def test_seasons_are_looked_for():
    season = np.tile([0.0, 0.5, -0.5, 0.2, 0.3, -0.4, -0.1], 4)
    found = forecast(_known(season), 0, 1, "auto")
    assert found.seasons == (7,)
    assert forecast(_known(np.random.default_rng(0).normal(0, 0.1, 28)), 0, 1, "auto").seasons == ()


@pytest.mark.parametrize("sure", [1e4, 1e8])
def test_doubt_about_the_next_period_does_not_shrink_with_the_number_of_rows(sure):
    logs = np.random.default_rng(0).normal(0, 0.2, 24)
    _, doubt = _coming(forecast(_known(logs, sure), 0, 1))
    assert 0.15 < doubt[0] < 0.3


def test_nothing_told_changes_nothing():
    told = SharedEffects(np.zeros(5), np.zeros((5, 5)), Dispersion(1.0, 0.0))
    mean, doubt = _coming(forecast(told, 0, 2, "auto"))
    assert_allclose(mean, 0.0, atol=1e-9)
    assert doubt.min() > 0.05


def test_a_driver_that_does_nothing_is_left_out():
    """Half a standard error from none, beside one of ten standard errors."""
    precision = np.diag([100.0, 100.0, *np.full(6, 1e4)])
    mode = np.array([0.05, 1.0, *np.zeros(6)])
    found = forecast(SharedEffects(mode, precision, Dispersion(1.0, 0.0)), 2, 1)
    assert abs(found.mean[0]) < 0.02
    assert_allclose(found.mean[1], 1.0, atol=0.03)


def _table(season, n_periods, seed, n_rows=100):
    """Poisson counts with a season, shocks of 5 % and a level that moves by 3 % a period."""
    rng = np.random.default_rng(seed)
    logs = 0.03 * rng.normal(size=n_periods).cumsum() + 0.05 * rng.normal(size=n_periods)
    means = rng.gamma(2, 10, (n_rows, 1)) * np.exp(logs + np.resize(season, n_periods))
    outcomes = rng.poisson(means).astype(float)
    return shared_effects(outcomes, np.zeros((*outcomes.shape, 0)), np.ones_like(outcomes))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("season", "n_periods"),
    [
        (0.2 * np.array([1, 0, -1, -1, 0, 0, 1]), 21),
        (0.2 * np.array([1, 0, -1, -1, 0, 0, 1]), 60),
        (0.2 * np.array([1, -1, 0, 1, 0, 0, -1, 2, -1, 0, -1, 0]), 36),
        (0.6 * (np.arange(52) > 46), 120),
        (np.zeros(1), 21),
        (np.zeros(1), 60),
        (np.zeros(1), 120),
    ],
    ids=["7 of 21", "7 of 60", "12 of 36", "52 of 120", "none of 21", "none of 60", "none of 120"],
)
def test_the_right_season_is_found(season, n_periods, seed):
    found = forecast(_table(season, n_periods, seed), 0, 1, "auto")
    assert found.seasons == ((len(season),) if len(season) > 1 else ())


@pytest.mark.parametrize("seed", range(2))
def test_screening_leaves_no_season_out(seed):
    """All candidates in full find the one that screening finds."""
    table = _table(np.random.default_rng(seed).normal(0, 0.1, 13), 60, seed)
    fits = [forecast(table, 0, 1, (season,)) for season in SEASONS if 2 * season <= 60]
    best = max(fits, key=lambda fit: fit.evidence)
    found = forecast(table, 0, 1, "auto")
    assert found.seasons == best.seasons
    assert_allclose(found.evidence, best.evidence, atol=0.01)


def test_sizes_are_those_of_least_loss():
    """No size nearby is likelier, and slopes are those of finite differences."""
    course = _Course(_Told.of(_table(np.array([0.2, 0.0, -0.2]), 24, 0), 0), 1, (3,)).fit()
    fixed = course._fixed()
    least, slopes = course._loss(course.logs, fixed)
    assert_allclose(slopes, 0.0, atol=0.02)
    elsewhere = course.logs + np.array([0.3, -0.2, 0.1, 0.5])
    value, slopes = course._loss(elsewhere, fixed)
    for k, step in enumerate(1e-5 * np.eye(4)):
        ahead, _ = course._loss(elsewhere + step, fixed)
        back, _ = course._loss(elsewhere - step, fixed)
        assert slopes[k] == pytest.approx((ahead - back) / 2e-5, rel=1e-4)
    assert value > least


def test_evidence_is_the_likelihood_of_normal_observations():
    """Observations with noise of variance 1 of what is normal beforehand."""
    table = _table(np.zeros(1), 6, 1)
    told = _Told.of(table, 0)
    course = _Course(told, 2, ()).fit()
    drift, shock, returns = np.exp(course.logs)
    times = np.arange(6)
    apart = np.abs(times[:, None] - times)
    prior = 4.0 + drift * np.minimum.outer(times, times) + shock * np.diag(course.shocks)
    prior += returns * np.exp(-apart / 4)
    law = stats.multivariate_normal(cov=np.eye(len(told.values)) + told.road @ prior @ told.road.T)
    none = stats.multivariate_normal(
        cov=np.eye(len(told.values)) + told.road @ np.full((6, 6), 4.0) @ told.road.T
    )
    strange = 0.5 * (((course.logs - 2 * np.log([0.05, 0.05, 0.1])) / 2) ** 2).sum()
    odd = stats.invgamma(2, scale=2)  # of variances in Student's law with four degrees of freedom
    strange += (odd.logpdf(1.0) - odd.logpdf(course.shocks) - np.log(course.shocks)).sum()
    expected = law.logpdf(told.values) - none.logpdf(told.values) - strange
    found = course.forecast()
    assert found.evidence == pytest.approx(expected, rel=1e-3, abs=1e-3)
    inverse = np.linalg.inv(np.linalg.inv(prior) + table.precision)
    assert_allclose(found.mean[:6], inverse @ table.precision @ table.mode, rtol=1e-4, atol=1e-6)
    assert_allclose(found.covariance[:6, :6], inverse, rtol=1e-4, atol=1e-6)


def test_one_odd_period_does_not_move_those_that_come():
    """A shop that is closed for a day opens again."""
    logs = np.random.default_rng(0).normal(0, 0.1, 24)
    logs[-1] = -4.0
    coming = forecast(_known(logs), 0, 1).mean[-1]
    assert coming == pytest.approx(logs[:-1].mean(), abs=0.1)


def test_half_of_a_new_level_may_return():
    """Few periods do not tell a level that stays from one that returns."""
    coming = forecast(_known(np.repeat([0.0, 1.0], [12, 3])), 0, 20).mean[15:]
    assert 0.75 < coming[0] < 1.0
    assert 0.3 < coming[-1] < coming[0]
