"""Columns of tables of every kind."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf import LinearCombination
from sklearn_pttf._utils.checks import as_table, numeric_columns
from sklearn_pttf._utils.frames import with_columns

NAN = np.nan


def test_columns_are_replaced_in_tables_of_every_kind():
    values = np.array([[NAN, 2.0], [3.0, NAN]])
    pandas = pd.DataFrame([[1, "a", 2], [3, "b", 4]], columns=["x", "y", "z"])
    replaced = with_columns(pandas, [0, 2], values)
    assert_array_equal(replaced.iloc[:, [0, 2]].to_numpy(float), values)
    assert replaced.iloc[:, 1].tolist() == ["a", "b"]
    polars = with_columns(pl.DataFrame({"x": [1, 3], "y": ["a", "b"], "z": [2, 4]}), [0, 2], values)
    assert_array_equal(polars[:, [0, 2]].to_numpy(), values)
    assert polars["y"].to_list() == ["a", "b"]
    assert_array_equal(with_columns(np.array([[1, 9], [2, 9]]), [0, 1], values), values)
    mixed = with_columns(np.array([[1, "a", 2], [3, "b", 4]], dtype=object), [0, 2], values)
    assert mixed[:, 1].tolist() == ["a", "b"]
    assert_array_equal(mixed[:, [0, 2]].astype(float), values)


def test_columns_are_replaced_in_tables_of_pyarrow():
    pa = pytest.importorskip("pyarrow")
    X = pa.table({"x": [1, 3], "y": ["a", "b"], "z": [2, 4]})
    replaced = with_columns(X, [0, 2], np.array([[NAN, 2.0], [3.0, 7.5]]))
    assert isinstance(replaced, pa.Table)
    assert replaced.column_names == ["x", "y", "z"]
    assert_array_equal(replaced["x"].to_numpy(), [NAN, 3.0])
    assert replaced["y"].to_pylist() == ["a", "b"]
    assert replaced["z"].to_pylist() == [2.0, 7.5]
    assert X["x"].to_pylist() == [1, 3]


def test_the_index_of_a_frame_stays_with_its_rows():
    X = pd.DataFrame({"x": [1, 3], "y": [2, 4]}, index=["b", "b"])
    replaced = with_columns(X, [1], np.array([[8.0], [9.0]]))
    assert replaced.index.tolist() == ["b", "b"]
    assert replaced.to_numpy().tolist() == [[1, 8], [3, 9]]
    assert X["y"].tolist() == [2, 4]


def test_columns_of_one_name_are_refused():
    X = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x", "y", "x"])
    with pytest.raises(ValueError, match=r"(?s)Columns of X must have names .*'x' 2 times"):
        as_table(X)


@pytest.mark.parametrize(
    ("column", "shown"),
    [(["7", "x"], r"text \(row 0: '7'\)"), ([dt.date(2024, 3, 1)] * 2, r"dates \(row 0: '2024")],
)
def test_text_and_dates_are_refused_in_every_library(column, shown):
    pa = pytest.importorskip("pyarrow")
    dated = isinstance(column[0], dt.date)
    pandas = pd.DataFrame({"a": [1, 2], "b": pd.to_datetime(column) if dated else column})
    for X in (
        pandas,
        pl.DataFrame({"a": [1, 2], "b": column}),
        pa.table({"a": [1, 2], "b": column}),
    ):
        with pytest.raises(ValueError, match=rf"column 'b' of X holds {shown}"):
            numeric_columns(X, [0, 1])


def _odd_frames():
    """Frames whose column ``b`` holds what is no number, by name."""
    pa = pytest.importorskip("pyarrow")
    odd = {
        "Period": pd.period_range("2020-01", periods=2, freq="M"),
        "time": [dt.time(1), dt.time(2)],
        "list": [[1], [2]],
        "complex": np.array([1j, 2.0]),
    }
    frames = {name: pd.DataFrame({"a": [1, 2], "b": b}) for name, b in odd.items()}
    frames["object"] = pl.DataFrame(
        {"a": [1, 2], "b": pl.Series([object(), object()], dtype=pl.Object)}
    )
    frames["array"] = pl.DataFrame({"a": [1, 2], "b": [[1.0], [2.0]]})
    frames["ndarray"] = pa.table({"a": [1, 2], "b": [None, [2.0]]})
    return frames


@pytest.mark.parametrize(
    "name", ["Period", "time", "list", "complex", "object", "array", "ndarray"]
)
def test_what_is_no_number_is_named_with_its_column(name):
    row = int(name == "ndarray")  # after a null
    message = rf"column 'b' of X holds \w*{name}\w* values \(row {row}: "
    with pytest.raises(ValueError, match=message):
        numeric_columns(_odd_frames()[name], [0, 1])


def test_numbers_of_any_type_are_numbers():
    b = pd.Series([Fraction(1, 2), Decimal("1.5"), None, pd.NA, np.float32(2), True], dtype=object)
    assert_array_equal(
        numeric_columns(pd.DataFrame({"b": b}), [0])[:, 0], [0.5, 1.5, NAN, NAN, 2, 1]
    )


def test_differences_of_what_may_be_one():
    difference = LinearCombination.difference
    margin = difference("price", "cost")
    assert difference(margin, 0.5) == LinearCombination(-0.5, margin.terms)
    assert difference(2, margin) == LinearCombination(2.0, ((-1.0, "price"), (1.0, "cost")))
    assert difference("price", Fraction(1, 2)) == LinearCombination(-0.5, ((1.0, "price"),))
    assert difference(Fraction(5, 2), 2) == 0.5
    assert str(LinearCombination(Fraction(1, 2), ((Fraction(1, 4), "x"),))) == "0.5 +0.25 * 'x'"


@pytest.mark.parametrize("bad", [None, True, NAN, [1.0]])
def test_differences_of_nothing_are_refused(bad):
    for side, pair in (("left", (bad, "cost")), ("right", ("price", bad))):
        with pytest.raises(
            ValueError, match=f"^{side} of a difference must be .*; got "
        ) as refused:
            LinearCombination.difference(*pair)
        assert str(refused.value).endswith(f"got {bad!r}.")
