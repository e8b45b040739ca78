"""Whatever says that a cell is missing means what NaN means."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sklearn_pttf import Portfolio
from sklearn_pttf._utils.frames import unmasked
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor, order_quantity

NAN = np.nan
SALES = np.array([[3, NAN, 4, 7], [0, 1, NAN, 2], [5, 5, 6, NAN], [2, 0, 1, 1]])
LATER = np.array([[5, NAN], [NAN, 2], [6, 4], [NAN, NAN]])
SAA = SampleAverage(Newsvendor(underage=4.0, overage=1.0))


def _masked(table):
    """Whole numbers, with a far too large one behind the mask."""
    absent = np.isnan(table)
    return np.ma.MaskedArray(np.where(absent, 999, table).astype(int), absent)


def _frame(table):
    return pd.DataFrame(table, columns=list("abcd")[: table.shape[1]])


def _polars(table):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(
        {f"w{k}": [None if x != x else int(x) for x in column] for k, column in enumerate(table.T)}
    )


KINDS = {
    "masked": _masked,
    "masked floats": lambda table: _masked(table).astype(float),
    "masked objects": lambda table: _masked(table).astype(object),
    "list of masked rows": lambda table: list(_masked(table)),
    "list": lambda table: _masked(table).tolist(),  # None where masked
    "objects with NA": lambda table: _frame(table).astype("Int64").to_numpy(),
    "objects with None": lambda table: np.array(_masked(table).tolist(), dtype=object),
    "pandas": _frame,
    "pandas nullable": lambda table: _frame(table).astype("Int64"),
    "pandas objects": lambda table: _frame(table).astype("Int64").astype(object),
    "pandas sparse": lambda table: _frame(table).astype(pd.SparseDtype(float)),
    "pandas sparse zeros": lambda table: _frame(table).astype(pd.SparseDtype(float, 0.0)),
    "polars": _polars,
    "single precision": lambda table: table.astype(np.float32),
    "other byte order": lambda table: table.astype(">f8"),
    "columns first": np.asfortranarray,
}


@pytest.mark.parametrize("kind", KINDS)
def test_tables_mean_what_their_floats_mean(kind):
    X, y = KINDS[kind](SALES), KINDS[kind](LATER)
    fitted, plain = clone(SAA).fit(X), clone(SAA).fit(SALES)
    # the level of 0.8: of 3, 4, 7 it is 7
    assert_array_equal(plain.decide(SALES), [7, 2, 6, 2])
    assert_array_equal(fitted.decide(X), plain.decide(SALES))
    assert fitted.integer_
    assert fitted.score(X, y) == plain.score(SALES, LATER)
    assert fitted.score(X) == plain.score(SALES)
    orders = [7, 2, 6, 2]
    assert decision_cost(y, orders) == decision_cost(LATER, orders)


def test_masked_portfolios_and_amounts():
    masked = _masked(SALES)
    assert_array_equal(Portfolio(masked).observations, SALES)
    stock = np.ma.MaskedArray([8, 999, 9, 9], [False, True, False, False])
    told = Portfolio(SALES, coming=stock).coming
    assert_array_equal(told, [8, NAN, 9, 9])
    with pytest.raises(ValueError, match="on_hand"):  # never 999 of them
        order_quantity([7, 2, 6, 2], on_hand=stock)
    with pytest.raises(ValueError, match="decision"):
        decision_cost(LATER, stock)


def test_nothing_masked_is_the_array_itself():
    values = np.arange(4)
    assert unmasked(values) is values
    assert unmasked(np.ma.MaskedArray(values)).dtype == values.dtype
    assert not isinstance(unmasked(np.ma.MaskedArray(values)), np.ma.MaskedArray)
    rows = [[1, 2], [3, 4]]
    assert unmasked(rows) is rows
