"""How what rows share goes on: levels that wander, seasons that come back, and shocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf._series.course import forecast
from sklearn_pttf._series.shared import Dispersion, SharedEffects


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


def test_a_driver_that_does_nothing_is_left_out():
    """Half a standard error from none, beside one of ten standard errors."""
    precision = np.diag([100.0, 100.0, *np.full(6, 1e4)])
    mode = np.array([0.05, 1.0, *np.zeros(6)])
    found = forecast(SharedEffects(mode, precision, Dispersion(1.0, 0.0)), 2, 1)
    assert abs(found.mean[0]) < 0.02
    assert_allclose(found.mean[1], 1.0, atol=0.03)
