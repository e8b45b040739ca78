"""Tables of whole-number laws: exact where all numbers are told, close where they are not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf._laws.horizon import _cubics
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import NegativeBinomialLaw, PoissonLaw
from sklearn_pttf._laws.runs import ENDS, SIZES, RunLaw, rows_by_size

LEVELS = np.array([[1e-4, 0.02, 0.5, 0.9, 0.9995]])


def _table(law, size):
    return RunLaw.of(law, law.quantile(ENDS), size)


def test_narrow_laws_are_exact():
    law = PoissonLaw(np.array([0.01, 2.0, 15.0]))
    table = _table(law, 64)
    assert_array_equal(table.step, 1)
    x = np.array([[-1.0, 0.0, 2.5, 13.0, 60.0]])
    assert_allclose(table.cdf(x), law.cdf(np.broadcast_to(x, (3, 5))), atol=2e-6)
    assert_array_equal(table.quantile(LEVELS), law.quantile(LEVELS))
    values, weights = table.nodes()
    assert_allclose((values * weights).sum(axis=1), law.mean(), atol=1e-4)
    assert_array_equal(table.mean(), law.mean())
    assert_allclose(table.excess(np.full((3, 1), 2.0)), law.excess(np.full((3, 1), 2.0)), atol=1e-3)
    again = RunLaw.concatenate([table.take([2]), table.take([0])])
    assert_array_equal(again.quantile(0.9), law.quantile(0.9)[[2, 0]])


@pytest.mark.parametrize("mean", [3e3, 1e6])
def test_wide_laws_are_close(mean):
    law = NegativeBinomialLaw(4.0, 4.0 / (4.0 + mean))  # a standard deviation of half the mean
    table = _table(law, 512)
    assert table.step[0] > 1
    numbers = law.quantile(LEVELS)
    assert_allclose(table.cdf(numbers), law.cdf(numbers), atol=1e-4)
    assert_allclose(table.quantile(LEVELS), numbers, atol=5e-3 * mean / 2)
    values, weights = table.nodes()
    sd = np.sqrt((weights * (values - mean) ** 2).sum())
    assert sd == pytest.approx(np.sqrt(mean + mean**2 / 4), rel=1e-3)


def test_runs_of_negative_binomial_laws_are_their_cdfs():
    rng = np.random.default_rng(0)
    mean, size = np.exp(rng.uniform(-9, 6, 200)), np.exp(rng.uniform(-3, 25, 200))
    law = NegativeBinomialLaw(size, size / (size + mean))
    first = np.floor(rng.uniform(0, 2, 200) * mean)
    found = law.cdf_of_run(first, 300)
    assert_allclose(found, law.cdf(first[:, None] + np.arange(300)), rtol=1e-7, atol=1e-9)
    mixed = MixtureLaw([law, PoissonLaw(mean)], np.full((200, 2), 0.5), integer=True)
    expected = mixed.cdf(first[:, None] + np.arange(300))
    assert_allclose(mixed.cdf_of_run(first, 300), expected, rtol=1e-7, atol=1e-9)


def test_rows_go_to_the_least_table_that_holds_them():
    ends = np.array([[0.0, 3.0], [10.0, 10.0 + SIZES[0]], [0.0, 1e9], [5.0, 5.0]])
    groups = {size: rows.tolist() for rows, size in rows_by_size(ends)}
    assert groups == {SIZES[0]: [0, 3], SIZES[1]: [1], SIZES[-1]: [2]}


def test_cubics_between_values():
    knots = np.array([[0.0, 1.0, 2.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
    values = np.array([[1.0, 3.0, 5.0, 9.0], [2.0, 2.0, 5.0, 5.0]])
    x = np.array([[-1.0, 0.5, 3.0, 9.0], [-1.0, 0.5, 1.0, 2.0]])
    # a line stays one, also between knots that are there twice
    assert_allclose(_cubics(x, knots, values), [[1, 2, 7, 9], [2, 3.5, 5, 5]])
    # a parabola, which lines miss by 1/4 in the middle
    knots = np.arange(1.0, 6.0)[None]
    assert_allclose(_cubics(np.array([[2.5, 3.5]]), knots, knots**2), [[6.25, 12.25]], atol=0.03)
    rising = _cubics(np.linspace(1, 5, 50)[None], knots, np.array([[0.0, 0, 1, 1, 9]]))
    assert np.all(np.diff(rising) >= 0)
