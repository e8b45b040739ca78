"""Mixtures of tabulated and of normal laws, by hand and against integrals."""

import numpy as np
import pytest
from scipy import integrate, stats

from sklearn_pttf._laws.normal_mixture import NormalMixtureLaw
from sklearn_pttf._laws.tabulated import TabulatedMixture


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


def test_law_of_normals():
    weights = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
    centres = np.array([[-1.0, 1.0], [-100.0, 100.0], [3.0, 9.0]])
    law = NormalMixtureLaw(weights, centres, np.array([[1.0, 2.0]]) * np.ones((3, 1)))
    tau = np.array([[1e-4, 0.1, 0.3, 0.4999, 0.6, 0.99]])
    np.testing.assert_allclose(
        law.cdf(law.quantile(tau)), np.broadcast_to(tau, (3, 6)), rtol=0, atol=1e-4
    )
    np.testing.assert_allclose(law.cdf(1.0)[0], 0.25 * stats.norm.cdf(2) + 0.75 / 2)
    np.testing.assert_allclose(law.mean(), [0.5, 0.0, 3.0])
    np.testing.assert_allclose(law.quantile(0.9)[2], stats.norm.ppf(0.9, 3.0), rtol=1e-6)
    one = law.take([0])
    tail = integrate.quad(lambda x: 1 - one.cdf(x)[0], 0.3, 30.0)[0]
    assert one.excess(0.3)[0] == pytest.approx(tail)
    np.testing.assert_allclose(law.excess(-1e4), law.mean() + 1e4)
    second = law.expected(lambda x: x**2)
    variances = (weights * (centres**2 + law.widths**2)).sum(axis=1)
    np.testing.assert_allclose(second, variances, rtol=1e-2)
    assert len(NormalMixtureLaw.concatenate([law, one])) == 4
    for levels in (tau[:, :2], tau):  # few are searched for, of many there is a table
        np.testing.assert_array_equal(one.quantile(levels), law.quantile(levels)[:1])
    assert not law.atomic().any()
