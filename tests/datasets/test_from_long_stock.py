"""`from_long`: stock, and what was sold out."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems import Newsvendor, Pricing
from support.frames import to_polars

pd = pytest.importorskip("pandas")
NAN = np.nan
ARGS = {"instance": "product", "value": "units", "time": "day"}


@pytest.fixture
def shop():
    return pd.DataFrame(
        {
            "product": ["a", "a", "a", "b", "b", "b"],
            "day": [1, 1, 2, 1, 3, 3],
            "units": [3, 2, 4, 0, 7, 1],
            "shelf": [3.0, 5, 9, 0, NAN, 4],
            "gone": [True, False, False, True, None, False],
        }
    )


@pytest.mark.parametrize("make", [lambda frame: frame, to_polars])
def test_stock_of_several_records(shop, make):
    X, roles = from_long(make(shop), **ARGS, stock="shelf", return_roles=True)
    assert roles["stock"] == ["stock_3", "stock_2", "stock_1"]
    # 3 of 3 and 2 of 5: at least 5; no record: enough; one record without any: enough
    stock = [[5, 9, NAN], [0, NAN, NAN]]
    found = X[roles["stock"]]
    assert_array_equal(np.asarray(found), stock)
    # what a problem reads: a day with stock 0 says nothing
    names = list(X.columns)
    portfolio = Newsvendor(**roles).read(X, names)
    assert_array_equal(portfolio.observations, [[5, 4, 0], [NAN, 0, 8]])
    assert_array_equal(portfolio.capped, [[True, False, False], [False, False, False]])


def test_stock_of_records_that_sold_less_is_added_up(shop):
    X = from_long(shop.assign(shelf=[4.0, 5, 9, 0, 9, 4]), **ARGS, stock="shelf", offered="all")
    assert_array_equal(X.filter(like="stock"), [[9, 9, NAN], [0, NAN, 13]])


def test_infinite_stock_is_never_short(shop):
    told = {**ARGS, "stock": "shelf", "offered": "all"}
    found, wanted = (
        from_long(shop.assign(shelf=[3.0, 5, enough, 0, enough, 4]), **told)
        for enough in (np.inf, NAN)
    )
    assert_array_equal(found, wanted)
    # 7 of any number and 1 of 4 in one day
    assert_array_equal(found.filter(like="stock"), [[5, NAN, NAN], [0, NAN, NAN]])


def test_a_period_is_sold_out_if_a_record_is(shop):
    X, roles = from_long(shop, **ARGS, sold_out="gone", return_roles=True)
    assert_array_equal(X[roles["sold_out"]], [[1, 0, NAN], [1, NAN, 0]])
    portfolio = Newsvendor(**roles).read(X, list(X.columns))
    assert_array_equal(portfolio.stock, [[5, NAN, NAN], [0, NAN, NAN]])


def test_without_dates_every_record_has_its_own(shop):
    X = from_long(shop, instance="product", value="units", stock="shelf")
    assert_array_equal(X.filter(like="lag"), [[3, 2, 4], [0, 7, 1]])
    assert_array_equal(X.filter(like="stock"), [[3, 5, 9], [0, NAN, 4]])


def test_stock_and_drivers_lie_side_by_side(shop):
    shop["promo"] = [0, 0, 1, 0, 1, 1]
    X, roles = from_long(shop, **ARGS, stock="shelf", drivers=["promo"], width=2, return_roles=True)
    assert list(X.columns) == [
        *("lag_2", "lag_1", "stock_2", "stock_1", "promo_2", "promo_1", "promo_next1"),
    ]
    assert roles["stock"] == ["stock_2", "stock_1"]
    shop["stock"] = 1
    with pytest.raises(ValueError, match="two columns of the result would be 'stock_3'"):
        from_long(shop, **ARGS, stock="shelf", drivers=["stock"])


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"shelf": -1.0}, {"stock": "shelf"}, "stock='shelf' has 6 negative cells"),
        ({"shelf": -np.inf}, {"stock": "shelf"}, "stock='shelf' has 6 negative cells"),
        ({"gone": np.inf}, {"sold_out": "gone"}, "sold_out='gone' has 6 infinite cells"),
        ({"shelf": "many"}, {"stock": "shelf"}, "stock='shelf' has 6 cells that are no number"),
        ({"gone": 2}, {"sold_out": "gone"}, "sold_out='gone' has 6 cells that are neither true"),
        ({}, {"stock": "shelf", "sold_out": "gone"}, "must not both be given"),
        ({}, {"stock": "nothing"}, "stock='nothing'"),
    ],
)
def test_bad_stock_is_refused(shop, changes, settings, message):
    with pytest.raises(ValueError, match=message):
        from_long(shop.assign(**changes), **ARGS, **settings)


@pytest.mark.parametrize("name", ["stock", "sold_out"])
def test_stock_stands_beside_prices(name):
    """Pears are gone in week 2, plums have no record there: enough, at the price before."""
    frame = pd.DataFrame(
        {
            "row": ["pear", "pear", "plum"],
            "week": [1, 2, 1],
            "units": [3.0, 5.0, 2.0],
            "price": [4.0, 3.0, 6.0],
            "stock": [9.0, 5.0, 7.0],
            "sold_out": [0, 1, 0],
        }
    )
    X = from_long(
        frame,
        instance="row",
        value="units",
        time="week",
        price="price",
        **{name: name},
        offered="all",
    )
    told = {"stock": [[9, 5], [7, np.nan]], "sold_out": [[0, 1], [0, np.nan]]}[name]
    assert list(X) == ["lag_2", "lag_1", "price_2", "price_1", f"{name}_2", f"{name}_1"]
    np.testing.assert_array_equal(X, np.hstack([[[3, 5], [2, 0]], [[4, 3], [6, 6]], told]))
    roles = {name: [f"{name}_2", f"{name}_1"]}
    problem = Pricing(["price_2", "price_1"], ["lag_2", "lag_1"], **roles)
    np.testing.assert_array_equal(problem.read(X, list(X)).capped, [[0, 1], [0, 0]])
