"""Laws as weighted outcomes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from sklearn_pttf._laws.atoms import WeightedAtoms, sample_average_law
from sklearn_pttf._laws.nodes import gauss_levels
from sklearn_pttf._tables.portfolio import Portfolio
from support.laws import LEVELS, logistic_grid

NAN = np.nan


@pytest.mark.parametrize("split", [None, np.array([0.0, 0.05, 0.3, 0.5, 0.999, 1.0])])
def test_gauss_levels_are_exact_for_polynomials(split):
    edges = np.array([0.0, 0.05, 0.5, 1.0])
    levels, weights = gauss_levels(edges, split)
    assert levels.shape == weights.shape == ((1, 12) if split is None else (6, 16))
    assert np.all(weights >= 0)
    for power in range(8):
        assert_allclose((levels**power * weights).sum(axis=1), 1 / (power + 1), rtol=1e-12)
    # and between any two edges
    inside = (levels > 0.05) & (levels < 0.5)
    assert_allclose((weights * inside).sum(axis=1), 0.45, rtol=1e-12)


def test_gauss_levels_are_cut_at_the_split():
    split = np.array([0.2, 0.7])
    levels, weights = gauss_levels(np.array([0.0, 0.5, 1.0]), split)
    below = np.where(levels < split[:, None], weights, 0.0).sum(axis=1)
    assert_allclose(below, split, rtol=1e-12)
    # a kink at the split is no kink for either side: E|U - s| is (s^2 + (1 - s)^2) / 2
    distance = (np.abs(levels - split[:, None]) * weights).sum(axis=1)
    assert_allclose(distance, (split**2 + (1 - split) ** 2) / 2, rtol=1e-12)


NODE_LAWS = {
    "logistic": logistic_grid([5.0, 30.0, 400.0], 4.0, expit(np.linspace(-7, 7, 33))),
    "few levels": logistic_grid([50.0, 60.0, 400.0], 4.0, np.array([0.1, 0.5, 0.9])),
    "whole": logistic_grid([5.0, 30.0, 400.0], 4.0, expit(np.linspace(-7, 7, 33)), integer=True),
    "whole and wide": logistic_grid([9e3, 30.0, 5e5], 900.0, LEVELS, integer=True),
    "atoms": WeightedAtoms(np.array([[1.0, 2.0, 3.0], [4.0, NAN, 1.0], [70.0, 80.0, 90.0]])),
    "averages": sample_average_law(
        Portfolio(np.array([[3.0, 5.0], [NAN, NAN], [7.0, NAN]])), np.arange(20.0)
    ),
}


@pytest.mark.parametrize("name", NODE_LAWS)
def test_nodes_are_outcomes_with_weights(name):
    law = NODE_LAWS[name]
    for split in (None, law.quantile(0.8), np.full(3, 1e9)):
        outcomes, weights = law.nodes(split)
        assert outcomes.shape == weights.shape
        assert np.all(outcomes >= 0)
        assert np.all(np.isfinite(outcomes))
        assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-9)
        assert_allclose((outcomes * weights).sum(axis=1), law.mean(), rtol=1e-3)
        if "whole" in name:
            assert_array_equal(outcomes, np.rint(outcomes))


@pytest.mark.parametrize("name", NODE_LAWS)
@pytest.mark.parametrize("level", [0.02, 0.5, 0.9, 0.995])
def test_nodes_that_are_split_agree_with_the_excess(name, level):
    law = NODE_LAWS[name]
    order = law.quantile(level)

    def cost(outcomes):
        return 9 * np.maximum(outcomes - order[:, None], 0) + np.maximum(
            order[:, None] - outcomes, 0
        )

    exact = 10 * law.excess(order) + order - law.mean()
    rtol = 5e-3 if name == "whole and wide" else 1e-3
    assert_allclose(law.expected(cost, order), exact, rtol=rtol)


def test_no_node_stands_for_both_sides_of_a_split():
    law = NODE_LAWS["logistic"]
    split = np.array([4.0, 33.3, 401.0])
    outcomes, weights = law.nodes(split)
    below = np.where(outcomes < split[:, None], weights, 0.0).sum(axis=1)
    assert_allclose(below, law.cdf(split), rtol=1e-9)


def test_nodes_of_whole_numbers_are_their_masses():
    law = NODE_LAWS["whole"]
    outcomes, weights = law.nodes()
    for value in (0.0, 6.0, 29.0, 398.0):
        mass = np.where(outcomes == value, weights, 0.0).sum(axis=1)
        assert_allclose(mass, law.cdf(value) - law.cdf(value - 1), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", NODE_LAWS)
def test_nodes_of_a_row_do_not_depend_on_others(name):
    law = NODE_LAWS[name]
    order = law.quantile(0.7)

    def far(outcomes):
        return np.abs(outcomes - 30.5) ** 1.5

    every = law.expected(far), law.expected(far, order)
    for row in range(3):
        one = law.take([row])
        assert_allclose(one.expected(far), every[0][row], rtol=1e-5)
        assert_allclose(one.expected(far, order[[row]]), every[1][row], rtol=1e-5)
