"""Laws of rows that come from laws of several classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_pttf._laws.parametric import NormalLaw, PoissonLaw
from sklearn_pttf._laws.patchwork import PatchworkLaw

POISSON = PoissonLaw(np.array([3.0, 8.0]))
NORMAL = NormalLaw(np.array([1.0, 2.0, 30.0]), np.array([1.0, 2.0, 0.5]))
PLACES = [np.array([3, 0]), np.array([1, 4, 2])]


@pytest.fixture
def law():
    return PatchworkLaw([POISSON, NORMAL], PLACES)


@pytest.mark.parametrize("method", ["cdf", "quantile", "excess"])
def test_rows_have_the_values_of_their_own_law(law, method):
    x = np.array([[0.2, 0.9], [0.1, 0.5], [0.7, 0.8], [0.3, 0.99], [0.4, 0.6]])
    found = getattr(law, method)(x)
    for part, rows in zip((POISSON, NORMAL), PLACES, strict=True):
        np.testing.assert_array_equal(found[rows], getattr(part, method)(x[rows]))
    np.testing.assert_array_equal(
        getattr(law, method)(0.5)[PLACES[0]], getattr(POISSON, method)(0.5)
    )


def test_nodes_give_means_and_expected_costs(law):
    outcomes, weights = law.nodes()
    np.testing.assert_allclose((outcomes * weights).sum(axis=1), law.mean(), rtol=1e-3)
    cost = law.expected(lambda x: np.maximum(x - 4.0, 0.0), np.full(5, 4.0))
    np.testing.assert_allclose(cost, law.excess(4.0), rtol=1e-3, atol=1e-6)


@given(rows=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_some_rows_in_any_order_are_themselves(rows):
    law = PatchworkLaw([POISSON, NORMAL], PLACES)
    np.testing.assert_array_equal(law.take(np.array(rows)).quantile(0.3), law.quantile(0.3)[rows])


def test_batches_are_rows_one_after_the_other(law):
    both = PatchworkLaw.concatenate([law, law.take(np.array([4, 3]))])
    assert len(both) == 7
    assert both.mean().tolist() == [*law.mean(), law.mean()[4], law.mean()[3]]
    assert both.atomic().tolist() == [*law.atomic(), law.atomic()[4], law.atomic()[3]]
