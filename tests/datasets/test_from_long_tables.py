"""`from_long` on pyarrow tables, which have no index, and the same records elsewhere."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems import Newsvendor

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

NAN = np.nan
ARGS = {"instance": "product", "value": "units"}
TIMED = {**ARGS, "time": "day"}
DAYS = [dt.date(2024, 3, day) for day in (4, 2, 1, 1, 2)]


def shop(**columns):
    """Tea on days 1 and 4; milk on day 1 and twice on day 2."""
    own = {
        "product": ["tea", "milk", "milk", "tea", "milk"],
        "day": DAYS,
        "units": [5, 7, 10, 3, 2],
    }
    return pa.table(own | columns)


def check(result, labels, table):
    assert isinstance(result, pa.Table)
    assert result.column_names == ["product", *(f"lag_{k}" for k in range(len(table[0]), 0, -1))]
    assert result["product"].to_pylist() == labels
    values = np.column_stack([column.to_numpy() for column in result.columns[1:]])
    assert values.dtype == np.float64
    assert_array_equal(values, table)


def test_tables_of_pyarrow_give_tables_of_pyarrow():
    check(from_long(shop(), **TIMED), ["milk", "tea"], [[NAN, 10, 9], [3, 0, 5]])
    check(from_long(shop(), **ARGS), ["milk", "tea"], [[7, 10, 2], [NAN, 5, 3]])
    parts = pa.concat_tables([shop().slice(0, 2), shop().slice(2)])  # columns in two chunks
    table = [[NAN, NAN, 10, 9], [3, 0, 0, 5]]
    check(from_long(parts, **TIMED, calendar="D"), ["milk", "tea"], table)


def test_prices_in_a_table_of_pyarrow():
    result = from_long(shop(euros=[4.0, 1.5, 1.0, 3.5, 1.05]), **TIMED, price="euros")
    assert result.column_names[4:] == ["price_3", "price_2", "price_1"]
    # milk on day 2: (7 * 1.5 + 2 * 1.05) / 9
    milk, tea = ([result[name][row].as_py() for name in result.column_names[4:]] for row in (0, 1))
    assert_array_equal(milk, [NAN, 1.0, 12.6 / 9])
    assert_array_equal(tea, [3.5, 3.5, 4.0])


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["b", "a", "b"]),
        pa.array(["b", "a", "b"]).dictionary_encode(),
        pa.array([20, 3, 20], pa.int8()),
        pa.array([2.5, 1.5, 2.5]),
        pa.array([True, False, True]),
        pa.array([Decimal("2.5"), Decimal("1.0"), Decimal("2.5")]),
        pa.array(DAYS[:2] + DAYS[:1]),
    ],
    ids=lambda labels: str(labels.type).split("<")[0],
)
def test_labels_keep_their_type_in_pyarrow(labels):
    result = from_long(pa.table({"units": [1, 2, 3], "product": labels}), **ARGS)
    assert result["product"].type == labels.type
    check(result, [labels[1].as_py(), labels[0].as_py()], [[NAN, 2], [1, 3]])


@pytest.mark.parametrize(
    "units",
    [
        pa.array([1, 2, None], pa.uint8()),
        pa.array([1.0, 2.0, NAN], pa.float32()),
        pa.array([Decimal("1.0"), Decimal("2.0"), None]),
        pa.array(["1", " 2.0", None]),
        pa.array(["1", "2", None]).dictionary_encode(),
    ],
    ids=lambda units: str(units.type).split("<")[0],
)
def test_kinds_of_values_of_pyarrow(units):
    check(from_long(pa.table({"product": ["a"] * 3, "units": units}), **ARGS), ["a"], [[1, 2, NAN]])


def test_truth_values_with_gaps_count_in_every_library():
    units = [True, None, False]
    assert_array_equal(
        from_long(
            pd.DataFrame({"product": ["a"] * 3, "units": pd.array(units, dtype="boolean")}), **ARGS
        ),
        [[1, NAN, 0]],
    )
    polars = from_long(pl.DataFrame({"product": ["a"] * 3, "units": units}), **ARGS)
    assert_array_equal(polars.rows()[0][1:], [1, NAN, 0])
    check(from_long(pa.table({"product": ["a"] * 3, "units": units}), **ARGS), ["a"], [[1, NAN, 0]])


def test_time_zones_of_pyarrow_count_in_local_time():
    # 22:30 and 23:30 in UTC fall on two days in Berlin
    moments = [dt.datetime(2024, 3, 1, 22, 30), dt.datetime(2024, 3, 1, 23, 30)]
    day = pa.array(moments, pa.timestamp("us", "Europe/Berlin"))
    frame = pa.table({"product": ["a", "a"], "day": day, "units": [1, 2]})
    check(from_long(frame, **TIMED, calendar="D"), ["a"], [[1, 2]])


def test_whole_numbers_among_objects_are_periods():
    days = pd.Series([7, 5, np.int64(5)], dtype=object)
    frame = pd.DataFrame({"product": ["a", "a", "b"], "day": days, "units": [1, 2, 3]})
    result = from_long(frame, **TIMED, calendar=[5, 6, 7])
    assert_array_equal(result, [[2, 0, 1], [3, 0, 0]])


def test_refused_in_pyarrow():
    missing = pa.array(["tea", None, "milk", None, "tea"])
    with pytest.raises(ValueError, match="instance='product' has no label in 2 of 5 records"):
        from_long(shop(product=missing), **ARGS)
    with pytest.raises(ValueError, match=r"has 1 cells that are no number .* 'milk': 'x'"):
        from_long(shop(units=["1", "x", "2", "3", "4"]), **ARGS)
    renamed = shop().rename_columns(["lag_1", "day", "units"])
    with pytest.raises(ValueError, match="instance='lag_1' is also the name of a column"):
        from_long(renamed, instance="lag_1", value="units")
    with pytest.raises(ValueError, match="frame is empty"):
        from_long(shop().slice(0, 0), **ARGS)
    with pytest.raises(ValueError, match=r"value='qty' is the name of 0 columns .* 'units'"):
        from_long(shop(), instance="product", value="qty")
    with pytest.raises(ValueError, match=r"frame must be .* a pyarrow Table .*; got .*Series"):
        from_long(pd.Series([1.0]), **ARGS)


def test_columns_of_the_type_null():
    empty = pa.nulls(5)
    with pytest.raises(ValueError, match="instance='product' has no label in 5 of 5 records"):
        from_long(shop(product=empty), **ARGS)
    with pytest.raises(ValueError, match="time='day' has 5 missing dates among 5"):
        from_long(shop(day=empty), **TIMED)
    table, roles = shop().append_column("promo", empty), {"drivers": ["promo"], **TIMED}
    with pytest.raises(ValueError, match="drivers: 'promo' has no value in any past period"):
        from_long(table, **roles)
    table = shop().append_column("promo", pa.array([0, 1, 0, 1, 1]))
    future = pa.table({"day": [dt.date(2024, 3, 9)], "promo": pa.nulls(1)})
    X = from_long(table, future=future, **roles)
    assert np.isnan(np.array(X["promo_next1"])).all()
    assert np.isnan(np.array(from_long(shop(units=empty), **TIMED)["lag_1"])).any()


def test_columns_that_play_no_part_may_have_one_name():
    frame = pd.DataFrame([["a", 1, 2, 3], ["a", 4, 5, 6]], columns=["product", "units", "x", "x"])
    assert_array_equal(from_long(frame, **ARGS), [[1, 4]])


def test_decisions_from_a_table_of_pyarrow():
    X = from_long(shop(), **TIMED)
    problem = Newsvendor(underage=3.0, overage=1.0, observations=X.column_names[1:])
    orders = SampleAverage(problem).fit(X).decide(X)
    pandas = X.to_pandas().set_index("product")
    assert_array_equal(orders, [10, 5])  # three quarters of 9 and 10, and of 0, 3 and 5
    assert_array_equal(orders, SampleAverage(problem).fit(pandas).decide(pandas))
