"""Columns that are not what they are given as: inverted flags, and stock that was left."""

import numpy as np
import pandas as pd
import pytest

from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems import Newsvendor

RNG = np.random.default_rng(0)
DEMAND = RNG.poisson(6.0, size=(30, 5)).astype(float)
STOCK = np.full((30, 5), 7.0)
STOCK[::3, 2] = 0.0
SALES = np.minimum(DEMAND, STOCK)
GONE = SALES >= STOCK
EMPTY = np.where(np.arange(5) % 2 == 0, 0.0, SALES + 1)


def read(sales, told, name):
    X = np.hstack([sales, told])
    problem = Newsvendor(observations=[0, 1, 2, 3, 4], **{name: [5, 6, 7, 8, 9]})
    return problem.read(X)


def long(told, name, sales=SALES):
    frame = pd.DataFrame({"row": np.repeat(np.arange(30), 5), "week": np.tile(np.arange(5), 30)})
    frame = frame.assign(units=sales.ravel(), told=np.ravel(told))
    return from_long(frame, instance="row", value="units", time="week", **{name: "told"})


@pytest.mark.parametrize("told", [STOCK, np.where(np.arange(5) == 1, np.nan, STOCK)])
def test_stock_is_read(told):
    assert read(SALES, told, "stock").capped.sum() > 0
    assert len(long(told, "stock")) == 30


def test_flags_are_read():
    assert (read(SALES, GONE, "sold_out").capped[SALES > 0] == GONE[SALES > 0]).all()
    assert len(long(GONE, "sold_out")) == 30


@pytest.mark.parametrize(
    "reading", [lambda t, n: read(EMPTY, t, n), lambda t, n: long(t, n, EMPTY)]
)
def test_inverted_flags_are_refused(reading):
    """Known only where a shelf was empty all week: told as what was in stock."""
    in_stock = EMPTY > 0
    with pytest.raises(ValueError, match=r"sold_out must be true where nothing was left.*opposite"):
        reading(in_stock, "sold_out")


@pytest.mark.parametrize("reading", [lambda t, n: read(SALES, t, n), long])
def test_what_was_left_is_no_stock(reading):
    with pytest.raises(ValueError, match=r"could be sold at most.*add what was sold"):
        reading(STOCK - SALES, "stock")


@pytest.mark.parametrize("reading", [lambda t, n: read(SALES, t, n), long])
@pytest.mark.parametrize("dtype", [float, bool])
def test_true_and_false_are_no_stock(reading, dtype):
    with pytest.raises(ValueError, match=r"no other values than 0 and 1.*give sold_out"):
        reading((STOCK > 0).astype(dtype), "stock")


def test_a_few_errors_are_only_named():
    stock = STOCK.copy()
    stock[0, :2] = SALES[0, :2] - 1
    with pytest.warns(UserWarning, match="below the sale in 2 cells"):
        read(SALES, stock, "stock")


def test_a_shelf_that_is_empty_every_other_week():
    """Flags of empty shelves only: these sold nothing, and others did."""
    flags = EMPTY == 0
    found = read(EMPTY, flags, "sold_out")
    assert np.isnan(found.observations[flags]).all()
    assert not found.capped[~flags].any()
