"""EM of mixtures: by hand, alike for arrays and tensors, and never less likely."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_pttf._utils.mixtures import expected_sums, mixing_weights

MANY = settings(max_examples=40, deadline=None)


def _table(seed, n_rows, n_components):
    """Likelihoods of rows under components, the largest 1, and how often the rows occur."""
    rng = np.random.RandomState(seed)
    likelihood = np.exp(-3 * rng.exponential(size=(n_rows, n_components)))
    likelihood /= likelihood.max(axis=1, keepdims=True)
    return likelihood, rng.randint(0, 4, size=n_rows).astype(float)


TABLES = st.builds(_table, st.integers(0, 999), st.integers(1, 30), st.integers(1, 6))


def _even(likelihood):
    return np.full(likelihood.shape[-1], 1 / likelihood.shape[-1])


def _weights(table, n_steps, **options):
    likelihood, counts = table
    return mixing_weights([likelihood], [counts], _even(likelihood), n_steps, **options)


def test_sums_by_hand():
    # a row that is of both alike, and one of the second for three parts of four
    likelihood = np.array([[1.0, 1.0], [1 / 3, 1.0]])
    values = np.array([[8.0, 4.0], [1.0, 1.0]])
    sums = expected_sums([likelihood], np.array([0.5, 0.5]), [values])
    assert_allclose(sums, [[4 + 1, 4 + 3], [0.5 + 0.25, 0.5 + 0.75]])
    # half of either row is none of them
    rest = np.array([1.0, 2 / 3])
    assert_allclose(expected_sums([likelihood], np.array([0.5, 0.5]), [values], rest), sums / 2)


def test_weights_by_hand():
    # three rows are surely of the first kind, one of the second
    table = np.eye(2), np.array([3, 1])
    assert_allclose(_weights(table, 1), [0.75, 0.25])
    assert_allclose(_weights(table, 1, prior_rows=4.0), [5 / 8, 3 / 8])
    # p (1 - p / 2) is largest at p = 1
    table = np.array([[1.0, 0.0], [0.5, 1.0]]), np.ones(2)
    assert_allclose(_weights(table, 10_000), [1, 0], atol=1e-3)
    # with something of neither, (p + 1) (1 - p + 2) is largest at p = 1, (p + 1) (2 - p) at 1 / 2
    table = np.eye(2), np.ones(2)
    assert_allclose(_weights(table, 10_000, rest=np.array([1.0, 2.0])), [1, 0], atol=1e-3)
    assert_allclose(_weights(table, 10_000, rest=np.array([1.0, 1.0])), [0.5, 0.5])


def test_rows_that_do_not_count_leave_nothing():
    table = np.ones((3, 2)), np.zeros(3)
    assert_allclose(_weights(table, 5), [0.0, 0.0])
    assert_allclose(_weights(table, 5, prior_rows=1.0), [0.5, 0.5])
    assert_allclose(_weights((np.ones((0, 2)), np.zeros(0)), 5, prior_rows=1.0), [0.5, 0.5])


@pytest.mark.parametrize("options", [{}, {"prior_rows": 2.0}, {"rest": 0.3}])
def test_tensors_in_batches_have_the_weights_of_arrays(options):
    tables = [_table(seed, 20, 5) for seed in range(3)]
    likelihood, counts = (torch.tensor(np.stack(part)) for part in zip(*tables, strict=True))
    first = torch.full((3, 5), 0.2, dtype=torch.float64)
    found = mixing_weights([likelihood], [counts], first, 7, **options)
    for row, table in zip(found, tables, strict=True):
        assert_allclose(row, _weights(table, 7, **options), rtol=1e-12)


@MANY
@given(TABLES)
def test_every_step_makes_rows_more_likely(table):
    likelihood, counts = table
    counts[0] += 1
    reached = [counts @ np.log(likelihood @ _weights(table, n_steps)) for n_steps in range(6)]
    assert (np.diff(reached) >= -1e-9).all()
    assert _weights(table, 6).sum() == pytest.approx(1)


@MANY
@given(TABLES, st.data())
def test_pieces_and_equal_rows_do_not_matter(table, data):
    likelihood, counts = table
    counts[0] += 1
    cut = data.draw(st.integers(0, len(counts)))
    parts = [slice(cut), slice(cut, None)]
    pieces = [[each[part] for part in parts] for each in (likelihood, counts)]
    assert_allclose(mixing_weights(*pieces, _even(likelihood), 4), _weights(table, 4), rtol=1e-9)
    one_by_one = np.repeat(likelihood, counts.astype(int), axis=0)
    assert_allclose(_weights((one_by_one, np.ones(len(one_by_one))), 4), _weights(table, 4))
