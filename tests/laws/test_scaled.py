"""Laws of rates, times what outcomes are counted over."""

import numpy as np
from numpy.testing import assert_allclose

from sklearn_pttf._laws.parametric import NormalLaw, ZeroInflatedLognormalLaw
from sklearn_pttf._laws.scaled import ScaledLaw

CENTRES, WIDTHS, FACTORS = np.array([1.0, -2.0, 3.0]), np.array([1.0, 0.5, 2.0]), [2.0, 3.0, 0.5]


def _check_alike(scaled, expected):
    x = np.array([[-3.0, 0.0, 1.7, 40.0]])
    assert_allclose(scaled.cdf(x), expected.cdf(x), rtol=1e-9)
    assert_allclose(scaled.cdf(x[0, 1:]), expected.cdf(x[0, 1:]), rtol=1e-9)
    assert_allclose(scaled.excess(x), expected.excess(x), rtol=1e-9, atol=1e-12)
    levels = np.array([[0.05, 0.5, 0.95]])
    assert_allclose(scaled.quantile(levels), expected.quantile(levels), rtol=1e-9)
    assert_allclose(scaled.quantile(0.3), expected.quantile(0.3), rtol=1e-9)
    assert_allclose(scaled.mean(), expected.mean(), rtol=1e-9)
    assert_allclose(scaled.mean_distance(), expected.mean_distance(), rtol=1e-9)
    split = np.array([1.0, 2.0, 3.0])

    def cost(outcome):
        return np.abs(outcome - split[:, None])

    assert_allclose(scaled.expected(cost, split), expected.expected(cost, split), rtol=1e-9)


def test_normal_laws():
    factors = np.array(FACTORS)
    scaled = ScaledLaw(NormalLaw(CENTRES, WIDTHS), factors)
    _check_alike(scaled, NormalLaw(CENTRES * factors, WIDTHS * factors))
    parts = ScaledLaw.concatenate([scaled.take(slice(0, 1)), scaled.take([1, 2])])
    _check_alike(parts, scaled)
    assert scaled.lowest == -np.inf
    assert not scaled.atomic().any()


def test_lognormal_laws():
    factors, share = np.array(FACTORS), np.array([0.0, 0.2, 0.5])
    scaled = ScaledLaw(ZeroInflatedLognormalLaw(CENTRES, WIDTHS, share), factors)
    expected = ZeroInflatedLognormalLaw(CENTRES + np.log(factors), WIDTHS, share)
    _check_alike(scaled, expected)
    assert scaled.lowest == expected.lowest
