"""Portfolios as plain arrays."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf import Portfolio
from sklearn_pttf._portfolio import are_whole

NAN = np.nan


@pytest.fixture
def portfolio():
    return Portfolio(
        np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN], [5.0, 6.0, 7.0]]),
        costs={"underage": np.array([1.0, 2.0, 3.0])},
        outcomes=np.array([[10.0], [20.0], [30.0]]),
        parameters={"mean": np.array([0.1, 0.2, 0.3]), "shape": 2.0},
    )


def test_counts_and_mask(portfolio):
    assert len(portfolio) == 3
    assert_array_equal(portfolio.counts, [2, 0, 3])
    assert_array_equal(portfolio.mask, [[True, False, True], [False] * 3, [True] * 3])


@pytest.mark.parametrize("rows", [slice(1, 3), [1, 2], np.array([False, True, True])])
def test_take_keeps_every_part_of_the_rows(portfolio, rows):
    part = portfolio.take(rows)
    assert_array_equal(part.observations, [[NAN, NAN, NAN], [5.0, 6.0, 7.0]])
    assert_array_equal(part.costs["underage"], [2.0, 3.0])
    assert_array_equal(part.outcomes, [[20.0], [30.0]])
    assert_array_equal(part.parameters["mean"], [0.2, 0.3])
    assert part.parameters["shape"] == 2.0


def test_take_without_outcomes():
    part = Portfolio(np.ones((3, 2))).take([0])
    assert part.outcomes is None
    assert part.costs == {}


def test_whole_numbers_are_settled_once():
    counts = Portfolio(np.array([[1.0, 2.0], [3.0, NAN]]))
    amounts = Portfolio(np.array([[1.0, 2.5], [3.0, NAN]]))
    assert counts.integer is True
    assert amounts.integer is False
    # a batch of whole numbers from a portfolio of amounts stays amounts
    assert amounts.take([1]).integer is False
    assert amounts.with_observations(np.ones((2, 2))).integer is False
    assert counts.with_observations(np.full((2, 2), 0.5)).integer is True
    assert Portfolio(np.ones((2, 2)), integer=False).integer is False


def test_with_costs_and_with_observations_change_one_part(portfolio):
    dearer = portfolio.with_costs({"underage": np.array([9.0, 9.0, 9.0])})
    assert_array_equal(dearer.costs["underage"], [9.0, 9.0, 9.0])
    assert dearer.observations is portfolio.observations
    other = portfolio.with_observations(np.zeros((3, 1)))
    assert_array_equal(other.counts, [1, 1, 1])
    assert other.costs is portfolio.costs
    assert_array_equal(portfolio.counts, [2, 0, 3])
    assert_array_equal(portfolio.costs["underage"], [1.0, 2.0, 3.0])


def test_lists_serve_as_arrays():
    portfolio = Portfolio([[3, 1], [4, 2]])
    assert_array_equal(portfolio.counts, [2, 2])
    assert_array_equal(portfolio.take([1]).observations, [[4, 2]])


@pytest.mark.parametrize("observations", [[1.0, 2.0], 3.0, np.ones((2, 2, 2))])
def test_other_dimensions_are_refused(observations):
    with pytest.raises(ValueError, match="observations must be 2-D"):
        Portfolio(np.array(observations))


def test_portfolios_are_frozen(portfolio):
    with pytest.raises(dataclasses.FrozenInstanceError):
        portfolio.observations = np.ones((3, 2))


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([1.0, 2.0, -3.0], True),
        ([1.0, 2.0000001], False),
        ([NAN, 4.0], True),
        ([NAN, 0.5], False),
        ([np.inf, 1.0], True),
        ([NAN], True),
        ([], True),
        ([1e300], True),
    ],
)
def test_are_whole(values, whole):
    assert are_whole(np.array(values)) is whole


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 3))
def test_are_whole_of_any_values(values, n_missing):
    values = np.array(values + [NAN] * n_missing)
    assert are_whole(values) is all(v.is_integer() for v in values[:-n_missing].tolist())
    assert are_whole(np.floor(values)) is True


def test_repr_is_one_line():
    shown = repr(Portfolio(np.ones((500, 7))))
    assert shown == "Portfolio(500 instances, 7 observation cells, whole-number outcomes)"
    assert Portfolio([[1, None]]).counts.tolist() == [1]
