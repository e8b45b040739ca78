"""Naming, finding and reading the columns of a table."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from sklearn_pttf import Column
from sklearn_pttf._utils.checks import (
    LinearCombination,
    check_table,
    column_references,
    describe_rows,
    find_column,
    is_column,
    numeric_columns,
    row_values,
)

NAN = np.nan
NAMES = ["shop", "w1", "w2", "cost"]
VALUES = {"shop": ["a", "b", "c"], "w1": [1.0, 2.0, 3.0], "w2": [4, None, 6], "cost": [7, 8, 9]}
TABLES = {
    "numpy": np.array(list(VALUES.values()), dtype=object).T,
    "pandas": pd.DataFrame(VALUES),
    "pandas nullable": pd.DataFrame(VALUES).convert_dtypes(),
    "pandas objects": pd.DataFrame({**VALUES, "w2": [4, pd.NA, 6]}),
    "polars": pl.DataFrame(VALUES),
}


# ---- naming columns


@pytest.mark.parametrize("position", [True, 1.0, "a", None, NAN])
def test_column_takes_whole_numbers_only(position):
    with pytest.raises(ValueError, match="whole-number position"):
        Column(position)


def test_column_takes_no_negative_position():
    with pytest.raises(ValueError, match="at least 0; got -1"):
        Column(-1)


def test_columns_are_equal_by_position():
    assert Column(2) == Column(np.int64(2))
    assert Column(2) != Column(3)
    assert len({Column(1), Column(1), Column(2)}) == 2


def test_which_parameters_are_columns():
    assert is_column("price")
    assert is_column(Column(0))
    assert not any(is_column(value) for value in (0, 1.5, None, ["price"], LinearCombination()))


def test_difference_of_numbers_is_a_number():
    assert LinearCombination.difference(5.0, 1.5) == 3.5


def test_column_references():
    both = LinearCombination.difference("price", Column(2))
    assert both == LinearCombination(0.0, ((1.0, "price"), (-1.0, Column(2))))
    assert column_references(both) == ("price", Column(2))
    assert column_references(LinearCombination.difference(1.0, "level")) == ("level",)
    assert column_references("price") == ("price",)
    assert column_references(Column(1)) == (Column(1),)
    assert column_references(4.0) == ()


# ---- finding columns


@pytest.mark.parametrize("column", ["w2", Column(2), 2, np.int64(2)])
def test_find_column(column):
    assert find_column(column, NAMES, 4, "underage") == 2


@pytest.mark.parametrize(
    ("column", "names", "message"),
    [
        ("w9", NAMES, "underage='w9' is no column of X; X has 'shop', 'w1', 'w2', 'cost'."),
        ("w9", [f"c{k}" for k in range(12)], "'c9', ...."),
        ("w2", None, "X has no column names"),
        (Column(4), NAMES, "refers to column 4, but X has n_features = 4 columns, 0 to 3"),
        (4, None, "refers to column 4"),
        (-1, None, "refers to column -1"),
        (1.0, NAMES, "must be a column's name or position; got 1.0"),
        (True, NAMES, "must be a column's name or position; got True"),
        (None, NAMES, "must be a column's name or position; got None"),
    ],
)
def test_columns_that_are_not_there(column, names, message):
    with pytest.raises(ValueError, match=r"^underage") as error:
        find_column(column, names, 4, "underage")
    assert message in str(error.value)


# ---- reading columns


@pytest.mark.parametrize("name", TABLES)
def test_numeric_columns(name):
    values = numeric_columns(TABLES[name], [2, 1])
    assert values.dtype == np.float64
    assert_array_equal(values, [[4, 1], [NAN, 2], [6, 3]])


@pytest.mark.parametrize("name", TABLES)
def test_text_is_no_number(name):
    message = (
        "X holds text .*'a'" if name == "numpy" else r"column 'shop' of X holds text \(row 0: 'a'\)"
    )
    with pytest.raises(ValueError, match=message):
        numeric_columns(TABLES[name], [0, 1])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_digits_in_quotes_are_text(frame):
    skus = frame({"sku": [None, "000123"], "day": [dt.date(2024, 3, 1)] * 2, "units": [3, 1]})
    with pytest.raises(ValueError, match=r"column 'sku' of X holds text \(row 1: '000123'\)"):
        numeric_columns(skus, [0, 2])
    if frame is pl.DataFrame:
        with pytest.raises(ValueError, match=r"column 'day' of X holds dates \(row 0"):
            numeric_columns(skus, [1])
    else:
        with pytest.raises(ValueError, match="column 'day' of X holds dates"):
            numeric_columns(skus.assign(day=pd.to_datetime(skus["day"])), [1])


@pytest.mark.parametrize("frame", [np.array, pd.DataFrame, lambda x: pl.DataFrame(x, orient="row")])
def test_infinities_are_refused_by_name(frame):
    X = frame([[1.0, 2.0], [np.inf, 3.0]])
    assert_array_equal(numeric_columns(X, [1]), [[2.0], [3.0]])
    with pytest.raises(ValueError, match="Input y contains infinity"):
        numeric_columns(X, [0, 1], name="y")


def test_numeric_columns_leave_the_table_alone():
    frame = pd.DataFrame({"a": [1, pd.NA], "b": ["x", None]}, dtype=object)
    before = frame.copy(deep=True)
    assert_array_equal(numeric_columns(frame, [0]), [[1.0], [NAN]])
    pd.testing.assert_frame_equal(frame, before)


def test_all_columns_of_integers():
    values = numeric_columns(np.array([[1, 2], [3, 4]]), [0, 1])
    assert values.dtype == np.float64
    assert_array_equal(values, [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("column", ["cost", Column(3)])
def test_row_values_of_a_column(name, column):
    names = None if isinstance(column, Column) else NAMES
    assert_array_equal(row_values(column, TABLES[name], names, "underage"), [7.0, 8.0, 9.0])


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.int64(2)])
def test_row_values_of_a_number(number):
    values = row_values(number, np.ones((3, 2)), None, "underage")
    assert values.dtype == np.float64
    assert_array_equal(values, [2.0, 2.0, 2.0])


def test_row_values_of_a_combination():
    frame = TABLES["pandas"]
    margin = LinearCombination.difference("cost", "w1")
    assert_array_equal(row_values(margin, frame, NAMES, "underage"), [6.0, 6.0, 6.0])
    rest = LinearCombination.difference(10.0, Column(3))
    assert_array_equal(row_values(rest, frame, NAMES, "overage"), [3.0, 2.0, 1.0])


@pytest.mark.parametrize("value", [None, True, [1.0, 2.0], np.array(1.0), 1j])
def test_row_values_of_something_else(value):
    with pytest.raises(ValueError, match=r"underage must be a number, a column's name or Column"):
        row_values(value, np.ones((3, 2)), None, "underage")


def test_row_values_say_which_column_is_infinite():
    X = pd.DataFrame({"w1": [1.0, 2.0], "cost": [1.0, np.inf]})
    with pytest.raises(ValueError, match="column underage='cost' contains infinity"):
        row_values("cost", X, ["w1", "cost"], "underage")


# ---- tables


@pytest.mark.parametrize("name", TABLES)
def test_check_table_remembers_columns_and_keeps_cells(name):
    estimator = BaseEstimator()
    X = check_table(estimator, TABLES[name], reset=True)
    assert estimator.n_features_in_ == 4
    assert X.shape == (3, 4)
    if name == "numpy":
        assert not hasattr(estimator, "feature_names_in_")
        assert X[0, 0] == "a"
    else:
        assert list(estimator.feature_names_in_) == NAMES
        assert X is TABLES[name]
    assert check_table(estimator, TABLES[name][:2], reset=False).shape == (2, 4)


def test_check_table_takes_lists():
    X = check_table(BaseEstimator(), [[1, 2], [3, NAN]], reset=True)
    assert_array_equal(X, [[1.0, 2.0], [3.0, NAN]])


def test_check_table_compares_with_fit():
    estimator = BaseEstimator()
    check_table(estimator, TABLES["pandas"], reset=True)
    with pytest.raises(ValueError, match="feature names should match"):
        check_table(estimator, TABLES["pandas"][NAMES[::-1]], reset=False)
    check_table(estimator, np.ones((2, 4)), reset=True)
    with pytest.raises(ValueError, match="3 features, but BaseEstimator is expecting 4"):
        check_table(estimator, np.ones((2, 3)), reset=False)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(3), "Expected 2D array"),
        (np.ones((2, 2, 2)), "dim 3"),
        (np.ones((0, 2)), "0 sample"),
        (np.ones((2, 0)), "0 feature"),
        (pd.DataFrame({"a": []}), "0 sample"),
        (pd.DataFrame(index=[0, 1]), "0 feature"),
        (pl.DataFrame({"a": []}), "0 sample"),
        (pd.DataFrame({"a": ["x"]})[:0], "0 sample"),
        (pl.DataFrame(), "0 sample"),
        (np.ones((2, 2)) * 1j, "Complex"),
    ],
)
def test_tables_that_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        check_table(BaseEstimator(), X, reset=True)


def test_describe_rows():
    values = np.array([1.0, -2.0, NAN, 3.0])
    assert describe_rows(values != np.abs(values), values) == "row 1: -2.0, row 2: nan (2 in all)"
    every = describe_rows(np.ones(4, dtype=bool), values, limit=2)
    assert every == "row 0: 1.0, row 1: -2.0, ... (4 in all)"
