"""Laws in time are calibrated on what they would have foretold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf import Portfolio, QuantileGrid
from sklearn_pttf._kinds.series.calibration import Calibration, calibration_in_time

LEVELS = special.expit(np.linspace(-6.9, 6.9, 33))
N, M = 300, 12


def _predict(width, shift=0.0):
    """Normal laws of a mean of 50, as wide as this."""

    def predict(portfolio):
        law = stats.norm(50 + shift, width)
        return QuantileGrid(np.tile(law.ppf(LEVELS), (len(portfolio), 1)), LEVELS)

    return predict


@pytest.fixture(scope="module")
def portfolio():
    return Portfolio(np.random.default_rng(0).normal(50, 10, (N, M)), integer=False)


@pytest.mark.parametrize("width", [5.0, 10.0, 20.0])
def test_widths_become_those_of_outcomes(portfolio, width):
    found = calibration_in_time(_predict(width), portfolio)
    law = found.law(_predict(width)(portfolio))
    wanted = stats.norm(50, 10).ppf([0.1, 0.5, 0.9])
    assert_allclose(law.quantile(np.array([[0.1, 0.5, 0.9]]))[0], wanted, atol=1.7)


def test_middles_become_those_of_outcomes(portfolio):
    found = calibration_in_time(_predict(10.0, shift=8.0), portfolio)
    law = found.law(_predict(10.0, shift=8.0)(portfolio))
    assert law.quantile(0.5)[0] == pytest.approx(50, abs=1.5)


def test_few_outcomes_change_nothing(portfolio):
    for few in (portfolio.take(slice(0, 4)), Portfolio(portfolio.observations[:, :3])):
        assert not any(calibration_in_time(_predict(3.0), few)[:3])
    law = _predict(3.0)(portfolio)
    assert Calibration().law(law) is law


def test_periods_that_are_odd_as_a_whole_say_little(portfolio):
    """One that is high and one that is low: not every row says so anew."""
    shocks = np.random.default_rng(1).choice([0.7, 1.3], size=M)
    odd = Portfolio(portfolio.observations * shocks, integer=False)
    found, of_even = (calibration_in_time(_predict(5.0), each) for each in (odd, portfolio))
    assert abs(found.log_above) < abs(of_even.log_above)


def test_levels_and_log_odds_are_inverse():
    found = Calibration(0.2, -0.1, 0.3)
    assert_allclose(found.logits(found.levels(LEVELS)), special.logit(LEVELS), atol=1e-9)
    assert_array_equal(np.argsort(found.levels(LEVELS)), np.arange(33))
