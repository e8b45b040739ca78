"""Columns of tables of every kind."""

import numpy as np
import pandas as pd
import polars as pl
from numpy.testing import assert_array_equal

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
