"""Long tables of sales, and what becomes of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from support.frames import to_polars

pd = pytest.importorskip("pandas")
ARGS = {"instance": "product", "value": "units"}
TIMED = {**ARGS, "time": "day"}


def sales(**columns):
    return pd.DataFrame(columns)


def parts(result):
    """Labels, lag names and values of either result."""
    if isinstance(result, pd.DataFrame):
        return result.index.tolist(), list(result.columns), result.to_numpy()
    values = result.select(result.columns[1:])
    assert not any(values.null_count().row(0))
    return result.to_series(0).to_list(), values.columns, values.to_numpy()


def check(result, labels, table):
    got_labels, lags, values = parts(result)
    assert got_labels == labels
    assert lags == [f"lag_{k}" for k in range(len(table[0]), 0, -1)]
    assert values.dtype == np.float64
    assert_array_equal(values, table)


def check_both(frame, labels, table, **parameters):
    check(from_long(frame, **parameters), labels, table)
    check(from_long(to_polars(frame), **parameters), labels, table)


def shop():
    """Tea on days 1 and 4; milk on day 1 and twice on day 2; records out of order."""
    return sales(
        product=["tea", "milk", "milk", "tea", "milk"],
        day=["2024-03-04", "2024-03-02", "2024-03-01", "2024-03-01", "2024-03-02"],
        units=[5, 7, 10, 3, 2],
    )
