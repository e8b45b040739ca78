"""Splines as matrices: cubics are their own, values at knots stay."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf._utils.splines import spline_weights


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_a_cubic_is_its_own_spline(power):
    weights = spline_weights(6, 4)
    assert_allclose(np.arange(6) ** power @ weights, np.linspace(0, 5, 21) ** power, atol=1e-12)


def test_values_stay():
    assert_allclose(spline_weights(7, 3)[:, ::3], np.eye(7), atol=1e-15)


def test_a_spline_by_hand():
    # second derivatives s of the spline through 0, 0, 1, 0, 0: s0 + 4 s1 + s2 = 6 and not a knot,
    # s0 - 2 s1 + s2 = 0, give s1 = 1; s1 + 4 s2 + s3 = -12 and s3 = s1 give s2 = -3.5
    middle = (0 + 1) / 2 - (1 - 3.5) / 16
    assert_allclose(np.array([0, 0, 1, 0, 0]) @ spline_weights(5, 2)[:, 3], middle)
