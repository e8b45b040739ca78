"""Laws of weighted atoms, and the sample average law."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf._laws.atoms import WeightedAtoms, pooled_atoms, sample_average_law
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.reweighted import ReweightedZeros
from sklearn_pttf._tables.portfolio import Portfolio

NAN = np.nan
FEW = settings(max_examples=30, deadline=None)
TAUS = np.array([1e-4, 0.003, 0.1, 0.37, 0.5, 0.9, 0.99, 0.9999])

# ---- weighted atoms


def test_atoms_by_hand():
    law = WeightedAtoms(np.array([[5.0, 1.0, 3.0]]), np.array([[1.0, 2.0, 1.0]]))
    assert_array_equal(law.cdf([[0.9, 1.0, 2.9, 3.0, 5.0]]), [[0.0, 0.5, 0.5, 0.75, 1.0]])
    assert_array_equal(law.quantile([[0.1, 0.5, 0.51, 0.75, 0.76]]), [[1.0, 1.0, 3.0, 3.0, 5.0]])
    assert_array_equal(law.mean(), [2.5])  # (5 + 2 + 3) / 4
    # over 2: (3 + 1) / 4; over 4: 1 / 4; over -1: the mean and one more
    assert_array_equal(law.excess([[2.0, 4.0, 5.0, -1.0]]), [[1.0, 0.25, 0.0, 3.5]])
    assert_array_equal(law.expected(np.square), [9.0])  # (25 + 2 + 9) / 4


def test_repeated_atoms_add_up():
    law = WeightedAtoms(np.array([[2.0, 2.0, 7.0, 2.0]]))
    assert_array_equal(law.cdf([[1.9, 2.0, 6.9, 7.0]]), [[0.0, 0.75, 0.75, 1.0]])
    assert_array_equal(law.quantile([[0.75, 0.76]]), [[2.0, 7.0]])


def test_ties_go_to_the_smaller_atom():
    # at 1/2, everything from 10 to 20 costs the same
    assert_array_equal(WeightedAtoms(np.array([[20.0, 10.0]])).quantile(0.5), [10.0])


@pytest.mark.parametrize("n_atoms", range(2, 31))
def test_level_of_a_cumulated_weight_gives_its_atom(n_atoms):
    law = WeightedAtoms(np.random.RandomState(0).permutation(n_atoms)[None] + 1.0)
    ranks = np.arange(1, n_atoms)
    assert_array_equal(law.quantile((ranks / n_atoms)[None])[0], ranks)
    assert_array_equal(law.quantile((1 - ranks / n_atoms)[None])[0], n_atoms - ranks)


def test_nine_tenths_of_ten_atoms():
    assert_array_equal(WeightedAtoms(np.arange(1.0, 11.0)[None]).quantile(0.9), [9.0])


def test_missing_atoms_are_ignored():
    padded = WeightedAtoms(np.array([[NAN, 4.0, NAN, 2.0, 9.0], [NAN, NAN, 3.0, NAN, NAN]]))
    x = np.array([[-1.0, 0.0, 2.0, 4.5, 9.0]])
    for row, atoms in enumerate(([4.0, 2.0, 9.0], [3.0])):
        law = WeightedAtoms(np.array([atoms]))
        one = padded.take([row])
        assert_array_equal(one.cdf(x), law.cdf(x))
        assert_array_equal(one.excess(x), law.excess(x))
        assert_array_equal(one.quantile(TAUS[None]), law.quantile(TAUS[None]))
        assert_array_equal(one.mean(), law.mean())
        assert_allclose(one.expected(np.log), law.expected(np.log), rtol=1e-12)


def test_weights_of_missing_atoms_do_not_count():
    law = WeightedAtoms(np.array([[1.0, NAN, 3.0]]), np.array([[1.0, 5.0, 3.0]]))
    assert_array_equal(law.cdf([[1.0, 3.0]]), [[0.25, 1.0]])


def test_atoms_without_weight_are_never_the_quantile():
    law = WeightedAtoms(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 1.0, 0.0]]))
    assert_array_equal(law.quantile([[1e-12, 0.5, 1 - 1e-12]]), [[2.0, 2.0, 2.0]])


@FEW
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=1, max_size=9).filter(
        lambda pairs: sum(weight for _, weight in pairs) > 0
    ),
    st.floats(0.001, 0.999),
    st.floats(-2, 15),
)
def test_atoms_against_exact_fractions(pairs, tau, x):
    atoms, weights = zip(*pairs, strict=True)
    law = WeightedAtoms(np.array([atoms], dtype=float), np.array([weights]))
    total = sum(weights)

    def exact_cdf(value):
        return Fraction(sum(w for a, w in pairs if a <= value), total)

    assert_allclose(law.cdf(x)[0], float(exact_cdf(x)), atol=1e-12)
    enough = [a for a, w in pairs if w and exact_cdf(a) >= Fraction(tau) - Fraction(1, 10**9)]
    assert law.quantile(tau)[0] == min(enough)
    excess = sum(w * max(a - Fraction(x), 0) for a, w in pairs) / total
    assert_allclose(law.excess(x)[0], float(excess), atol=1e-12)
    assert_allclose(law.mean()[0], sum(a * w for a, w in pairs) / total, rtol=1e-12)


def test_atoms_of_different_widths_concatenate():
    narrow = WeightedAtoms(np.array([[5.0], [6.0]]))
    wide = WeightedAtoms(np.array([[7.0, NAN, 9.0]]), np.array([[1.0, 1.0, 3.0]]))
    both = WeightedAtoms.concatenate([narrow, wide])
    assert len(both) == 3
    assert_array_equal(both.cdf([[0.0, 5.0, 7.0]]), [[0, 1, 1], [0, 0, 1], [0, 0, 0.25]])
    assert_array_equal(both.quantile([[1e-10, 0.25, 0.26]]), [[5, 5, 5], [6, 6, 6], [7, 7, 9]])
    assert_allclose(both.mean(), [5.0, 6.0, 8.5], rtol=1e-12)
    assert_allclose(both.expected(np.log), [np.log(5), np.log(6), (np.log(7) + 3 * np.log(9)) / 4])


def test_atoms_leave_their_input_alone():
    atoms, weights = np.array([[3.0, NAN, 1.0]]), np.array([[2.0, 2.0, 2.0]])
    WeightedAtoms(atoms, weights)
    assert_array_equal(atoms, [[3.0, NAN, 1.0]])
    assert_array_equal(weights, [[2.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("atoms", "weights", "message"),
    [
        ([1.0, 2.0], None, "2-D"),
        ([[1.0, 2.0]], [[1.0]], "same shape"),
        ([[1.0, 2.0]], [[1.0, -1.0]], "non-negative"),
        ([[1.0, 2.0]], [[1.0, NAN]], "non-negative"),
        ([[1.0], [NAN]], None, "row 1 has none"),
        ([[1.0, NAN]], [[0.0, 1.0]], "row 0 has none"),
    ],
)
def test_atoms_that_are_refused(atoms, weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedAtoms(np.array(atoms), None if weights is None else np.array(weights))


# ---- the sample average law


def test_pooled_atoms_are_all_observations():
    assert_array_equal(pooled_atoms(np.array([[3.0, NAN], [1.0, 2.0]])), [1.0, 2.0, 3.0])
    exactly = np.arange(1000.0)[::-1].reshape(50, 20)
    assert_array_equal(pooled_atoms(exactly), np.arange(1000.0))


def test_pooled_atoms_are_middles_of_a_thousand_groups():
    observations = np.random.RandomState(0).permutation(5000).reshape(500, 10).astype(float)
    assert_array_equal(pooled_atoms(observations), np.arange(1000) * 5 + 2)


def test_pooled_atoms_need_an_observation():
    with pytest.raises(ValueError, match="no observation at all"):
        pooled_atoms(np.full((3, 2), NAN))


@pytest.mark.parametrize("n_pooled", [1, 3, 6])
def test_sample_average_law_by_hand(n_pooled):
    observations = np.array([[4.0, NAN, 2.0], [NAN, NAN, NAN], [7.0, 7.0, 1.0]])
    pooled = np.arange(n_pooled) + 10.0
    law = sample_average_law(Portfolio(observations), pooled)
    assert_array_equal(
        law.cdf([[1.0, 2.0, 7.0, 10.0]])[[0, 2]], [[0, 0.5, 1, 1], [1 / 3, 1 / 3, 1, 1]]
    )
    assert_allclose(law.cdf(10.0)[1], 1 / n_pooled)
    assert_allclose(law.mean(), [3.0, pooled.mean(), 5.0])
    assert_array_equal(law.quantile(0.5), [2.0, pooled[(n_pooled - 1) // 2], 7.0])
    assert_array_equal(observations[1], [NAN, NAN, NAN])


@pytest.mark.parametrize("integer", [True, False])
@pytest.mark.parametrize("zeros", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("power", [0.6, 1.0, 1.7])
def test_other_shares_of_zeros(integer, zeros, power):
    levels = 1 / (1 + np.exp(-np.linspace(-6, 6, 41)))
    grid = QuantileGrid(np.log(levels / 0.3)[None] * np.array([[2.0], [9.0]]), levels, integer)
    law = ReweightedZeros(grid, np.array([zeros, 0.4]), power)
    np.testing.assert_allclose(grid.cdf(0.0), 0.3, atol=0.01)
    np.testing.assert_allclose(law.cdf(0.0), [zeros, 0.4])
    assert (law.cdf(-1.0) == 0).all()
    # a level among what is above 0 is tilted, and no outcome is new
    own, share = grid.cdf(0.0)[:, None], np.array([[0.2, 0.5, 0.95]])  # of the knots
    before = grid.quantile(own + (1 - own) * share**power)
    found = law.quantile(law.zeros[:, None] + (1 - law.zeros[:, None]) * share)
    np.testing.assert_allclose(found, before)
    at = np.linspace(0, 60, 60001 if not integer else 61)
    survival = 1 - law.cdf(at[None])
    area = survival.sum(axis=1) if integer else np.trapezoid(survival, at, axis=1)
    tail = law.excess(61.0 if integer else 60.0)
    np.testing.assert_allclose(law.mean(), area + tail, rtol=1e-5)
    np.testing.assert_allclose(law.excess(-1.0), law.mean() + 1)
    np.testing.assert_allclose(law.expected(lambda x: x), law.mean(), rtol=6e-3)
    tau = np.array([[0.05, 0.3, 0.45, 0.6, 0.95]])
    assert (law.cdf(law.quantile(tau)) >= tau - 1e-9).all()
    shifted = ReweightedZeros.shifted(grid, np.log(3.0))
    np.testing.assert_allclose(
        shifted.zeros / (1 - shifted.zeros), 3 * grid.cdf(0.0) / 0.7, rtol=0.03
    )
    again = ReweightedZeros.concatenate([law.take([1]), law.take([0])])
    np.testing.assert_allclose(again.mean(), law.mean()[::-1])
    few = law.excess(np.array([[0.5, 3.0, 20.0]]))
    np.testing.assert_allclose(law.excess(np.full(2, 3.0)), few[:, 1])
    assert (np.diff(few, axis=1) <= 0).all()
