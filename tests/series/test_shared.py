"""What rows share over time: factors of periods and effects of drivers, and how sure they are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf._series.shared import shared_effects

NAN = np.nan
LEVELS = np.array([[1.0], [4.0], [9.0], [20.0]])
FACTORS = np.array([0.5, 1.0, 2.0, 1.0])


def _effects(outcomes, drivers=None, exposure=None):
    drivers = np.zeros((*outcomes.shape, 0)) if drivers is None else drivers
    exposure = np.ones_like(outcomes) if exposure is None else exposure
    return shared_effects(outcomes, drivers, exposure)


def test_factors_by_hand():
    found = _effects(LEVELS * FACTORS)
    assert_allclose(found.mode, np.log(FACTORS), atol=1e-8)  # their geometric mean is 1
    gaps = LEVELS * FACTORS
    gaps[1, :2], gaps[3, 3] = NAN, NAN
    assert_allclose(_effects(gaps).mode, np.log(FACTORS), atol=1e-8)


def test_what_was_counted_over_more_is_no_factor():
    exposure = np.array([[1.0, 2, 3, 4]] * 4)
    found = _effects(LEVELS * FACTORS * exposure, exposure=exposure)
    assert_allclose(found.mode, np.log(FACTORS), atol=1e-8)


def test_an_effect_of_a_driver_by_hand():
    on = np.array([[0.0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 0]])
    found = _effects(LEVELS * FACTORS * 3.0**on, on[..., None])
    assert_allclose(found.mode, [np.log(3.0), *np.log(FACTORS)], atol=1e-8)


def test_a_factor_is_as_sure_as_what_was_sold():
    """Of Poisson counts the log of a period's total varies by one over that total."""
    rng = np.random.default_rng(0)
    outcomes = rng.poisson(rng.gamma(2.0, 10.0, (400, 1)) * np.ones(8)).astype(float)
    variance = np.diag(np.linalg.pinv(_effects(outcomes).precision, hermitian=True, rcond=1e-7))
    assert_allclose(variance * outcomes.sum(axis=0), 7 / 8, rtol=0.5)


def test_one_cell_is_not_told_of_more_than_is_believed():
    rng = np.random.default_rng(1)
    outcomes = rng.poisson(rng.gamma(2.0, 10.0, (100, 1)) * np.ones(6)).astype(float)
    wild = outcomes.copy()
    wild[0, 2] = 1e6
    moved = np.abs(_effects(wild).mode - _effects(outcomes).mode)
    assert np.delete(moved, 2).max() < 0.05
    assert moved[2] < 0.15


def test_rows_that_disagree_are_believed_less():
    """Large rows go up where small ones go down."""
    rng = np.random.default_rng(2)
    level = np.repeat([5.0, 50.0], 60)[:, None]
    waves = 0.3 * np.where(np.arange(8) % 2, 1, -1)
    apart = rng.poisson(level * np.exp(np.where(level > 10, waves, -waves))).astype(float)
    alike = rng.poisson(level * np.exp(waves)).astype(float)
    known = [np.trace(_effects(each).precision) for each in (apart, alike)]
    assert known[0] < 0.2 * known[1]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_units_do_not_matter_to_amounts(scale):
    rng = np.random.default_rng(3)
    outcomes = rng.lognormal(rng.normal(2, 1, (50, 1)), 0.3, (50, 5))
    assert_allclose(_effects(scale * outcomes).mode, _effects(outcomes).mode, atol=0.02)
