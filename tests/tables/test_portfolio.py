"""Portfolios as plain arrays."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf import Portfolio
from sklearn_pttf._tables.portfolio import are_whole

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


def test_exposure_goes_with_its_rows_and_cells():
    counts = Portfolio(
        np.array([[3.0, NAN], [1.0, 4.0], [NAN, 2.0]]),
        exposure=np.array([[20.0, NAN], [10.0, 40.0], [5.0, 30.0]]),
        coming=np.array([7.0, 8.0, 9.0]),
    )
    assert_array_equal(counts.exposures(), [[20, NAN], [10, 40], [NAN, 30]])
    some = counts.take([2, 0])
    assert_array_equal(some.exposure, [[5, 30], [20, NAN]])
    assert_array_equal(some.coming_exposure(), [9, 7])
    held, outcomes = counts.held_out(np.array([-1, 1, 1]))
    assert_array_equal(held.exposures(), [[20, NAN], [10, NAN], [NAN, NAN]])
    assert_array_equal(held.coming, [7, 40, 30])  # what is held out was counted over
    assert_array_equal(outcomes[:, 0], [NAN, 4, 2])
    assert_array_equal(counts.coming, [7, 8, 9])
    later = counts.with_observations(np.column_stack([counts.observations, [1.0, 2.0, NAN]]))
    assert_array_equal(later.exposures(), [[20, NAN, 7], [10, 40, 8], [NAN, 30, NAN]])
    assert_array_equal(
        counts.with_observations(counts.observations[:, :1]).exposure[:, 0], [20, 10, 5]
    )


def test_without_exposure_it_is_one():
    counts = Portfolio(np.array([[3.0, NAN]]))
    assert_array_equal(counts.exposures(), [[1, NAN]])
    assert_array_equal(counts.coming_exposure(), [1])
    assert counts.held_out(np.array([0]))[0].coming is None
    assert counts.take([0]).exposure is None


def test_what_is_held_out_was_counted_over_one_where_only_the_coming_exposure_is_told():
    counts = Portfolio(np.array([[3.0, 1.0], [2.0, 5.0]]), coming=np.array([4.0, 6.0]))
    assert_array_equal(counts.held_out(np.array([0, -1]))[0].coming, [1, 6])


X = np.array([[3.0, 1.0], [2.0, NAN], [4.0, 5.0]])
MISFITS = {
    "exposure of one row less": ({"exposure": np.ones((2, 2))}, "exposure must be of shape (3, 2)"),
    "exposure of one cell more": (
        {"exposure": np.ones((3, 3))},
        "exposure must be of shape (3, 2), one for each cell of observations; got shape (3, 3).",
    ),
    "exposure a row": ({"exposure": np.ones(3)}, "exposure must be of shape (3, 2)"),
    "prices of three axes": ({"prices": np.ones((3, 2, 1))}, "prices must be of shape (3, 2)"),
    "errors as a column": (
        {"errors": np.ones((3, 1))},
        "errors must be of shape (3,), one for each row; got shape (3, 1).",
    ),
    "coming of two rows": ({"coming": [1.0, 2.0]}, "coming must be of shape (3,)"),
    "outcomes of two rows": ({"outcomes": np.ones((2, 1))}, "outcomes must be of shape (3,)"),
    "costs of two rows": (
        {"costs": {"underage": [1.0, 2.0]}},
        "'underage' of costs must be one number or have 3 entries, one for each row",
    ),
    "parameters of four rows": ({"parameters": {"mean": np.ones(4)}}, "'mean' of parameters must"),
    "negative exposure": (
        {"exposure": [[1, 1], [1, 1], [-2, 1]]},
        "exposure must be at least 0; got row 2: -2.0 (1 in all).",
    ),
    "negative prices": ({"prices": -np.ones((3, 2))}, "prices must be at least 0; got row 0: -1.0"),
    "negative error": ({"errors": [1, 1, -1]}, "errors must be at least 0; got row 2: -1.0"),
    "text": (
        {"errors": ["a", "b", "c"]},
        "errors must be an array of numbers; got ['a', 'b', 'c']",
    ),
}


@pytest.mark.parametrize(("fields", "message"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_go_along_is_refused(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Portfolio(X, **fields)


def test_observations_are_numbers():
    with pytest.raises(ValueError, match=r"observations must be an array of numbers; got \[\['a'"):
        Portfolio([["a", "b"]])


def test_fields_may_be_lists_or_a_number():
    told = Portfolio(X, exposure=[[2, 4], [6, 8], [1, 3]], coming=(5, 6, 7), errors=0.5)
    assert_array_equal(told.exposures(), [[2, 4], [6, NAN], [1, 3]])
    assert_array_equal(told.totals()[1], [6, 6, 4])
    assert_array_equal(told.coming_exposure(), [5, 6, 7])
    assert_array_equal(told.errors, [0.5, 0.5, 0.5])
    same = Portfolio(X, exposure=3)
    assert_array_equal(same.exposures(), [[3, 3], [3, NAN], [3, 3]])
    assert_array_equal(same.take([1]).held_out([0])[0].exposure, [[NAN, 3]])
    costs = Portfolio(X, costs={"underage": [1, 2, 3], "overage": 0.5})
    assert_array_equal(costs.take([2, 0]).costs["underage"], [3, 1])
    assert costs.take([2, 0]).costs["overage"] == 0.5


def test_an_exposure_of_nothing_may_be_anything():
    told = Portfolio(X, exposure=[[1, 1], [1, -9], [1, 1]])  # the cell is empty
    assert_array_equal(told.exposures()[1], [1, NAN])


@pytest.mark.parametrize("observations", [np.ones((2, 2)), np.ones((4, 2)), np.ones(3), "ab"])
def test_other_observations_are_of_as_many_rows(observations):
    with pytest.raises(ValueError, match="observations must be"):
        Portfolio(X, exposure=2.0).with_observations(observations)


@pytest.mark.parametrize("cells", [[0, -1], [0, 1, 2], [[0], [1], [1]], [0.0, 1.0, 1.0], "abc"])
def test_what_is_held_out_is_a_column_for_each_row(cells):
    with pytest.raises(ValueError, match="cells must be"):
        Portfolio(X).held_out(cells)


def test_cells_may_be_a_list():
    held, outcomes = Portfolio(X).held_out([0, -1, 1])
    assert_array_equal(held.observations, [[NAN, 1], [2, NAN], [4, NAN]])
    assert_array_equal(outcomes, [[3], [NAN], [5]])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_arrays_are_not_copied(n):
    observations, exposure = np.ones((n, 2)), np.full((n, 2), 2.0)
    told = Portfolio(observations, exposure=exposure)
    assert told.observations is observations
    assert told.exposure is exposure
    assert told.with_costs({"underage": np.ones(n)}).exposure is exposure
