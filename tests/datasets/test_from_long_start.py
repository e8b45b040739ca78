"""`from_long`: rows that are aligned by age."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from sklearn_pttf.exceptions import PartialPeriodsWarning
from sklearn_pttf.problems import Newsvendor
from support.frames import to_polars
from support.long_tables import TIMED, parts, sales

pd = pytest.importorskip("pandas")
pytest.importorskip("polars")
NAN = np.nan
BOTH = pytest.mark.parametrize("make", [lambda frame: frame, to_polars], ids=["pandas", "polars"])
START = {**TIMED, "align": "start", "unknown_age": "drop"}


def launches():
    """Old is there from day 1; flop sells once; late is launched on the last day but one."""
    return sales(
        product=["old", "old", "hit", "hit", "hit", "flop", "late", "late"],
        day=[1, 6, 2, 3, 5, 3, 5, 6],
        units=[9, 9, 4, 5, 6, 1, 7, 8],
    )


@BOTH
def test_a_column_is_an_age(make):
    labels, columns, values = parts(from_long(make(launches()), **START))
    # day 4 does not occur, so the calendar is 1, 2, 3, 5, 6: hit lives for four periods, flop for
    # three, late for two
    assert labels == ["flop", "hit", "late"]
    assert columns == ["age_1", "age_2", "age_3", "age_4"]
    assert_array_equal(values, [[1, 0, 0, NAN], [4, 5, 6, 0], [7, 8, NAN, NAN]])


@BOTH
def test_own_history_ends_with_its_last_record(make):
    _, _, values = parts(from_long(make(launches()), **START, offered="own"))
    assert_array_equal(values, [[1, NAN, NAN], [4, 5, 6], [7, 8, NAN]])


def test_width_keeps_the_first_periods_and_pads_on_the_right():
    assert_array_equal(from_long(launches(), **START, width=2), [[1, 0], [4, 5], [7, 8]])
    X = from_long(launches(), **START, width=6)
    assert_array_equal(X.loc["hit"], [4, 5, 6, 0, NAN, NAN])


def test_periods_without_a_record():
    X = from_long(launches(), **START, calendar=range(1, 8), fill="missing")
    assert_array_equal(X.loc["hit"], [4, 5, NAN, 6, NAN, NAN])
    # dates as a calendar do not mean that all were on offer in all of them
    X = from_long(launches(), **START, calendar=range(1, 8))
    assert_array_equal(X.loc["hit"], [4, 5, 0, 6, 0, 0])
    assert_array_equal(X.loc["late"], [7, 8, 0, NAN, NAN, NAN])


def test_without_dates_a_column_is_a_record():
    X = from_long(launches(), instance="product", value="units", align="start")
    assert list(X.index) == ["flop", "hit", "late", "old"]
    assert_array_equal(X, [[1, NAN, NAN], [4, 5, 6], [7, 8, NAN], [9, 9, NAN]])


@BOTH
def test_stock_and_sold_out_have_ages(make):
    frame = launches().assign(shelf=[9, 9, 4, 9, 9, 1, 7, 10], gone=[0, 0, 1, 0, 0, 1, 1, 0])
    X, roles = from_long(make(frame), **START, stock="shelf", width=2, return_roles=True)
    assert roles == {"observations": ["age_1", "age_2"], "stock": ["stock_age_1", "stock_age_2"]}
    assert_array_equal(X[roles["stock"]], [[1, NAN], [4, 9], [7, 10]])
    portfolio = Newsvendor(**roles).read(X, list(X.columns))
    assert_array_equal(portfolio.capped, [[True, False], [True, False], [True, False]])
    X, roles = from_long(make(frame), **START, sold_out="gone", width=2, return_roles=True)
    assert roles["sold_out"] == ["sold_out_age_1", "sold_out_age_2"]
    assert_array_equal(X[roles["sold_out"]], [[1, NAN], [1, 0], [1, 0]])


@BOTH
def test_prices_have_ages(make):
    frame = launches().assign(euros=[1.0, 1, 3, 2, 2.5, 4, 5, 6])
    names, columns, values = parts(from_long(make(frame), **START, price="euros", width=4))
    assert names == ["flop", "hit", "late"]
    assert columns[:4] == [f"age_{k}" for k in (1, 2, 3, 4)]
    assert columns[4:] == [f"price_age_{k}" for k in (1, 2, 3, 4)]
    # a period without a sale has the last price before it, one that is not there yet has none
    assert_array_equal(values[:, 4:], [[4, 4, 4, NAN], [3, 2, 2.5, 2.5], [5, 6, NAN, NAN]])


def test_a_price_after_the_last_column_is_the_first_one():
    # nothing is known of a's price on day 2; on day 3, which is beyond the table, it is 8
    frame = sales(product=["b", "a", "a"], day=[1, 2, 3], units=[1, NAN, 2], euros=[1, NAN, 8.0])
    X = from_long(frame, **START, price="euros", width=1)
    assert_array_equal(X, [[NAN, NAN]])
    frame = sales(product=["b", "a", "b", "a"], day=[1, 2, 3, 4], units=[1, NAN, 2, 3])
    frame["euros"] = [1, NAN, 1, 8.0]
    assert_array_equal(from_long(frame, **START, price="euros", width=2), [[NAN, 0, NAN, 8]])


# ---- instances that may be older than the file


@BOTH
def test_unknown_ages_are_counted(make):
    with pytest.warns(UserWarning, match="older than the file") as caught:
        X = from_long(make(launches()), **{**START, "unknown_age": "keep"}, width=2)
    assert [each.filename for each in caught] == [__file__]
    assert str(caught[0].message) == (
        "1 of 4 instances have a record in the first period of time='day' or before it: 'old'. "
        "They may be older than the file, and age_1 is then not the first period of their life; "
        "unknown_age='drop' leaves them out."
    )
    labels, _, values = parts(X)
    assert labels == ["flop", "hit", "late", "old"]
    assert_array_equal(values, [[1, 0], [4, 5], [7, 8], [9, 0]])


def test_no_word_where_the_calendar_begins_before_all_records():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = from_long(launches(), **TIMED, align="start", calendar=range(7), width=2)
    assert_array_equal(X, [[1, 0], [4, 5], [7, 8], [9, 0]])


def test_the_longest_history_is_that_of_rows_that_are_kept():
    frame = sales(product=["old", "new"], day=[1, 9], units=[1, 2])
    assert_array_equal(from_long(frame, **START, calendar=range(1, 10)), [[2]])
    with pytest.raises(ValueError, match="would leave nothing: 1 of 1 instances"):
        from_long(frame[:1], **START)


def test_a_record_in_a_period_that_is_left_out_is_one_before():
    # the file begins on a Wednesday, in a week that is left out; a is there on that day, and then
    # from Monday, March 18, on; b from that Wednesday on, c from that Sunday on
    days = pd.date_range("2024-03-06", "2024-03-31").strftime("%Y-%m-%d")
    product = ["a"] * 15 + ["b"] * 12 + ["c"] * 8
    frame = sales(product=product, day=[days[0], *days[12:], *days[14:], *days[18:]], units=1)
    with pytest.warns(PartialPeriodsWarning):
        X = from_long(frame, **START, calendar="W-MON")
    assert list(X.index) == ["b", "c"]
    assert_array_equal(X, [[5, 7], [1, 7]])


# ---- properties


RECORDS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 8), st.one_of(st.none(), st.integers(0, 9))),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(
    records=RECORDS,
    offered=st.sampled_from(["own", "since"]),
    fill=st.sampled_from(["zero", "missing"]),
    width=st.one_of(st.none(), st.integers(1, 9)),
)
def test_the_same_values_in_the_same_order(records, offered, fill, width):
    product, day, units = map(list, zip(*records, strict=True))
    frame = sales(product=product, day=day, units=pd.array(units, dtype="Float64"))
    told = {**TIMED, "calendar": range(9), "offered": offered, "fill": fill}
    at_end = from_long(frame, **told, width=9).to_numpy()
    at_start = from_long(frame, **told, width=width, align="start").to_numpy()
    for label, end, start in zip(sorted(set(product)), at_end, at_start, strict=True):
        days = [d for name, d, _ in records if name == label]
        life = (8 if offered == "since" else max(days)) - min(days) + 1
        kept = min(life, len(start))
        assert_array_equal(start[:kept], end[9 - life :][:kept])
        assert np.isnan(start[kept:]).all()
        assert np.isnan(end[: 9 - life]).all()


@settings(max_examples=30, deadline=None)
@given(records=RECORDS, later=st.integers(1, 5))
def test_when_the_launch_was_does_not_matter(records, later):
    product, day, units = map(list, zip(*records, strict=True))
    frame = sales(product=product, day=day, units=pd.array(units, dtype="Float64"))
    told = {**TIMED, "calendar": range(15), "align": "start", "offered": "own"}
    moved = frame.assign(day=frame["day"] + later * (frame["product"] == "a"))
    assert_array_equal(from_long(moved, **told), from_long(frame, **told))


@pytest.mark.parametrize(
    ("name", "told"), [("stock", [0, 0, 9, 0, 9, 9]), ("sold_out", [1, 1, 0, 1, 0, 0])]
)
def test_a_shelf_that_was_empty_before_is_no_part_of_a_life(name, told):
    """Records of every week, also of those before a product was there."""
    frame = sales(product=["a"] * 6, day=range(6), units=[0, 0, 5, 0, 7, 0]).assign(told=told)
    X = from_long(frame, **TIMED, align="start", unknown_age="drop", **{name: "told"})
    assert_array_equal(X.filter(regex="^age"), [[5, 0, 7, 0]])
    assert_array_equal(X.filter(like=name), [told[2:]])


# ---- refusals


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"align": "left"}, "align must be one of ('end', 'start'); got 'left'."),
        ({"unknown_age": 0}, "unknown_age must be one of ('keep', 'drop'); got 0."),
        ({"align": "end"}, "unknown_age='drop' needs align='start'; got align='end'."),
        ({"offered": "all"}, "offered='all' must go without align='start'"),
        ({"drivers": ["units"]}, "drivers=['units'] must go without align='start'"),
        ({"horizon": 2}, "horizon=2 must go without align='start'"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_long(launches(), **{**START, **parameters})
