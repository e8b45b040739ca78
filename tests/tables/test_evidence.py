"""Evidence: a field is one line, and goes along with rows, cells and the next outcome."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_pttf import Portfolio
from sklearn_pttf._tables.evidence import Evidence, per_cell, per_row

NAN = np.nan
X = np.array([[3.0, 1.0, NAN], [2.0, 5.0, 4.0]])
PROMOTED = np.array([[[0.0, 1], [1, 1], [1, 0]], [[1, 0], [0, 0], [1, 1]]])  # two flags a cell


@dataclass(frozen=True, eq=False, repr=False)
class Promotions(Evidence):
    promoted: np.ndarray = per_cell("planned", default=None, kw_only=True)
    planned: np.ndarray = per_row(kw_only=True)
    area: np.ndarray = per_row(kw_only=True)


@pytest.fixture
def evidence():
    return Promotions(X, promoted=PROMOTED, area=np.array([10.0, 20.0]))


def test_a_field_is_taken_with_its_rows(evidence):
    second = evidence.take([1])
    assert_array_equal(second.observations, X[1:])
    assert_array_equal(second.promoted, PROMOTED[1:])
    assert_array_equal(second.area, [20.0])
    assert second.planned is None
    assert second.prices is None


def test_what_is_held_out_is_planned(evidence):
    held, outcomes = evidence.held_out(np.array([1, -1]))
    assert_array_equal(outcomes, [[1.0], [NAN]])
    assert_array_equal(held.planned, [[1.0, 1.0], [NAN, NAN]])
    assert_array_equal(held.promoted[0], [[0, 1], [NAN, NAN], [1, 0]])
    assert_array_equal(held.promoted[1], PROMOTED[1])
    assert_array_equal(held.area, evidence.area)
    assert_array_equal(evidence.promoted, PROMOTED)  # nothing changes in place


def test_a_plan_stays_where_nothing_is_held_out(evidence):
    told = Promotions(X, promoted=PROMOTED, planned=np.array([[0.0, 0], [1, 0]]))
    held, _ = told.held_out(np.array([0, -1]))
    assert_array_equal(held.planned, [[0, 1], [1, 0]])


def test_cells_are_chosen_for_all_fields(evidence):
    some = evidence.of_cells(np.array([[1], [-1]]))
    assert_array_equal(some.observations, [[1.0], [NAN]])
    assert_array_equal(some.promoted, [[[1, 1]], [[NAN, NAN]]])


def test_new_columns_come_with_what_is_planned():
    told = Promotions(X, promoted=PROMOTED, planned=np.array([[0.0, 0], [1, 0]]))
    later = told.with_observations(np.ones((2, 5)))
    assert_array_equal(later.promoted[:, 3:], [[[0, 0]] * 2, [[1, 0]] * 2])
    assert told.with_observations(np.ones((2, 1))).promoted.shape == (2, 1, 2)


def test_tensors_are_made_of_all_fields(evidence):
    tensors = evidence.map(torch.as_tensor)
    assert {name: tuple(each.shape) for name, each in tensors.known().items()} == {
        "observations": (2, 3),
        "promoted": (2, 3, 2),
        "area": (2,),
    }
    assert tuple(tensors.take(slice(1)).promoted.shape) == (1, 3, 2)


def test_fields_along_cells_are_conditions():
    assert list(Portfolio(X, errors=np.ones(2)).known("cell")) == ["observations"]
    assert not Portfolio(X, errors=np.ones(2)).has_conditions
    assert Portfolio(X, exposure=np.ones((2, 3))).has_conditions


def test_costs_and_parameters_go_along_with_rows():
    portfolio = Portfolio(X, {"underage": np.array([1.0, 2.0])}, parameters={"level": 3.0})
    assert_array_equal(portfolio.take([1]).costs["underage"], [2.0])
    assert portfolio.take([1]).parameters == {"level": 3.0}


def test_new_columns_come_with_the_periods_that_are_planned():
    drivers, planned = np.zeros((2, 3, 1)), np.array([[[1.0], [2.0]], [[3.0], [NAN]]])
    portfolio = Portfolio(X, drivers=drivers, planned=planned)
    longer = portfolio.with_observations(np.column_stack([X, X]))
    assert_array_equal(longer.drivers[..., 0], [[0, 0, 0, 1, 2, 2], [0, 0, 0, 3, NAN, NAN]])
    assert_array_equal(longer.planned, planned)
    assert_array_equal(portfolio.with_observations(X[:, :2]).drivers, drivers[:, :2])
