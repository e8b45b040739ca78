"""`from_long(future=)`: what drivers are in the coming periods."""

import datetime as dt

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from support.frames import to_polars
from support.long_tables import TIMED, sales

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NAN = np.nan
LIBRARIES = [
    pytest.param(lambda frame: frame, id="pandas"),
    pytest.param(to_polars, id="polars"),
    pytest.param(pa.Table.from_pandas, id="pyarrow"),
]
WEEKLY = {**TIMED, "calendar": "W-MON", "return_roles": True}


def shop():
    """Tea and milk in three weeks of March 2024, with promotions; Mondays are 4, 11, 18."""
    return sales(
        product=["tea", "milk", "tea", "milk", "tea", "milk"],
        day=["2024-03-04", "2024-03-04", "2024-03-11", "2024-03-11", "2024-03-18", "2024-03-20"],
        units=[3, 10, 4, 12, 5, 11],
        promo=[0, 1, 0, 0, 1, 0],
    )


def coming(result, name, horizon):
    X, roles = result
    return np.column_stack([np.asarray(X[column]) for column in roles["drivers"][name][-horizon:]])


def plan(**columns):
    return sales(
        **{
            "product": ["tea", "milk", "milk", "tea"],
            "day": ["2024-03-25", "2024-04-01", "2024-03-25", "2024-04-01"],
            "promo": [1, 2, 3, 4],
        }
        | columns
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("of_plan", LIBRARIES)
def test_a_line_an_instance_and_period(library, of_plan):
    result = from_long(
        library(shop()), drivers=["promo"], future=of_plan(plan()), horizon=2, **WEEKLY
    )
    assert_array_equal(coming(result, "promo", 2), [[3, 2], [1, 4]])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_line_a_period(library):
    future = plan(day=["2024-03-25", "2024-04-01", "2024-04-08", "2024-04-15"]).drop(
        columns="product"
    )
    result = from_long(library(shop()), drivers=["promo"], future=library(future), **WEEKLY)
    assert_array_equal(coming(result, "promo", 1), [[1], [1]])  # later weeks play no part
    result = from_long(
        library(shop()), drivers=["promo"], future=library(future), horizon=3, **WEEKLY
    )
    assert_array_equal(coming(result, "promo", 3), [[1, 2, 3], [1, 2, 3]])


def test_dates_of_a_plan_are_those_of_the_period_that_they_fall_into():
    days = [dt.date(2024, 3, 31), dt.date(2024, 4, 2), dt.date(2024, 3, 25), dt.date(2024, 4, 7)]
    result = from_long(shop(), drivers=["promo"], future=plan(day=days), horizon=2, **WEEKLY)
    assert_array_equal(coming(result, "promo", 2), [[3, 2], [1, 4]])


def test_a_missing_line_is_unknown():
    future = plan(product=["tea", "milk", "cake", "tea"])  # cake is no instance of the file
    result = from_long(shop(), drivers=["promo"], future=future, horizon=2, **WEEKLY)
    assert_array_equal(coming(result, "promo", 2), [[NAN, 2], [1, 4]])


def test_a_missing_instance_is_unknown():
    future = plan()[lambda frame: frame["product"] == "tea"]
    told = "future has no line of coming periods for 1 of 2 instances: 'milk'. Their drivers are n"
    with pytest.warns(UserWarning, match=told) as got:
        result = from_long(shop(), drivers=["promo"], future=future, horizon=2, **WEEKLY)
    assert got[0].filename == __file__
    assert_array_equal(coming(result, "promo", 2), [[NAN, NAN], [1, 4]])


def test_missing_cells_are_unknown():
    future = plan(promo=[1, None, 3, None])
    result = from_long(shop(), drivers=["promo"], future=future, horizon=2, **WEEKLY)
    assert_array_equal(coming(result, "promo", 2), [[3, NAN], [1, NAN]])


def test_lines_of_past_periods_say_what_the_file_does_not():
    frame = shop().drop(index=2)  # tea was not sold in the second week
    past = sales(
        product=["tea", "milk"], day=["2024-03-11", "2024-03-11"], promo=[7, 8]
    )  # milk was: the file's 0 counts
    X, roles = from_long(
        frame, drivers=["promo"], future=pd.concat([plan(), past]), horizon=2, **WEEKLY
    )
    assert_array_equal(X[roles["drivers"]["promo"]], [[1, 0, 0, 3, 2], [0, 7, 1, 1, 4]])


def test_a_driver_may_be_in_the_plan_only():
    weeks = pd.date_range("2024-03-04", periods=4, freq="W-MON").strftime("%Y-%m-%d")
    fair = pd.DataFrame({"day": weeks, "fair": [0, 1, 0, 1], "sky": ["dry", "rain", "dry", "rain"]})
    X, roles = from_long(shop(), drivers=["fair", "sky"], future=fair, **WEEKLY)
    for name in ("fair", "sky=rain"):
        assert_array_equal(X[roles["drivers"][name]], [[0, 1, 0, 1]] * 2)
    with pytest.raises(ValueError, match="drivers: 'fair' has no value in any past period"):
        from_long(shop(), drivers=["fair"], future=fair[3:], **WEEKLY)


def test_several_plans():
    fair = sales(day=["2024-03-18", "2024-03-25"], fair=[0, 1])
    X, roles = from_long(shop(), drivers=["fair", "promo"], future=[plan(), fair], **WEEKLY)
    assert_array_equal(X[roles["drivers"]["fair"]], [[NAN, NAN, 0, 1]] * 2)
    assert_array_equal(X[roles["drivers"]["promo"]], [[1, 0, 0, 3], [0, 0, 1, 1]])


def test_periods_without_a_frequency_are_the_first_that_a_plan_has():
    frame = sales(product=["a", "a"], day=[202451, 202452], units=[1, 2], promo=[0, 1])
    future = sales(day=[202502, 202501, 202503], promo=[6, 5, 7])
    X, roles = from_long(
        frame, drivers=["promo"], future=future, horizon=2, **TIMED, return_roles=True
    )
    assert_array_equal(X[roles["drivers"]["promo"]], [[0, 1, 5, 6]])
    message = (
        "future must have lines of horizon=4 periods after the last one of the calendar, 202452; "
        "got 3: 202501, 202502, 202503"
    )
    with pytest.raises(ValueError, match=message):
        from_long(frame, drivers=["promo"], future=future, horizon=4, **TIMED)
    short = sales(day=[202502], wind=[1])  # of two plans, each must have all coming periods
    both = {"drivers": ["promo", "wind"], "future": [future, short], "horizon": 2}
    with pytest.raises(ValueError, match=r"future\[1\] has no line of the coming period 202501"):
        from_long(frame.assign(wind=[0, 1]), **both, **TIMED)


def test_labels_and_periods_of_other_types_of_text():
    frame = shop().astype({"product": "category"}).assign(day=pd.to_datetime(shop()["day"]))
    result = from_long(frame, drivers=["promo"], future=plan(), horizon=2, **WEEKLY)
    assert_array_equal(coming(result, "promo", 2), [[3, 2], [1, 4]])


def test_levels_that_were_never_seen():
    frame = shop().assign(sky=["dry", "rain", "dry", "dry", "rain", "dry"])
    future = sales(day=["2024-03-25", "2024-04-01"], sky=["rain", "hail"])
    with pytest.warns(
        UserWarning, match="'sky' has levels in the future that no .*: 'hail'"
    ) as got:
        result = from_long(frame, drivers=["sky"], future=future, horizon=2, **WEEKLY)
    assert got[0].filename == __file__
    assert list(result[1]["drivers"]) == ["sky=rain"]
    assert_array_equal(coming(result, "sky=rain", 2), [[1, 0], [1, 0]])


BAD = {
    "period": (
        {"horizon": 3},
        "future has no line of the coming period 2024-04-08; it must have all horizon=3 of them",
    ),
    "periods": (
        {"future": plan(day=["2024-03-18"] * 2 + ["2024-03-11"] * 2)},
        "future has no line of the coming periods 2024-03-25, 2024-04-01;",
    ),
    "twice": (
        {"future": plan(product=["tea", "milk", "tea", "milk"])},
        "future has 2 lines of instance 'milk' and period 2024-04-01; it must have one for each "
        "instance and period",
    ),
    "twice a period": (
        {"future": plan().drop(columns="product")},
        "future has 2 lines of period 2024-03-25; it must have one for each period",
    ),
    "no instance": (
        {"future": plan(product=[1, 2, 2, 1])},
        "instance='product' of future has no label that the frame has, but 1, 2; in the frame they "
        "are like 'milk'",
    ),
    "no label": (
        {"future": plan(product=["tea", None, "milk", None])},
        "instance='product' of future has no label in 2 of 4 lines",
    ),
    "no time": (
        {"future": plan().drop(columns="day")},
        "time='day' is the name of 0 columns of the future; .* 'product', 'promo'",
    ),
    "no date": (
        {"future": plan(day=["2024-03-25", None, "2024-04-01", "2024-04-08"])},
        "time='day' of future has 1 missing dates",
    ),
    "bad date": (
        {"future": plan(day=["2024-03-25", "next week", "2024-04-01", "2024-04-08"])},
        "time='day' of future has 1 unreadable dates: 'next week'",
    ),
    "whole numbers": (
        {"future": plan(day=[4, 5, 4, 5])},
        "time='day' of future must hold dates, as the frame does; got whole numbers",
    ),
    "no driver": ({"future": plan().rename(columns={"promo": "p"})}, "future has none of the"),
    "lacks one": ({"drivers": ["promo", "units2"]}, "drivers: 'units2' is no column of future"),
    "in two": ({"future": [plan(), plan()]}, "'promo' is in 2 frames of future"),
    "kinds": (
        {"future": plan(promo=["a", "b", "a", "b"])},
        "drivers: 'promo' is numbers in the frame and text in the future; it must be of one kind",
    ),
    "infinite": (
        {"future": plan(promo=[1, np.inf, 2, 3])},
        "drivers: 'promo' has 1 infinite cells among 4 in the future",
    ),
    "empty": ({"future": plan()[:0]}, "future is empty"),
    "none": ({"future": []}, r"future must be a data frame, a list of at least one, or None"),
    "no frame": ({"future": [{"promo": [1]}]}, r"future\[0\] must be a pandas or polars DataFrame"),
    "no drivers": ({"drivers": None}, "future needs drivers="),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_plans(case):
    parameters, message = BAD[case]
    frame = shop().assign(units2=1)
    with pytest.raises(ValueError, match=message):
        from_long(
            frame, **WEEKLY | {"drivers": ["promo"], "future": plan(), "horizon": 2} | parameters
        )


def test_polars_plans_need_no_pandas(monkeypatch):
    import sys

    frame, future = to_polars(shop()), to_polars(plan())
    monkeypatch.setitem(sys.modules, "pandas", None)
    result = from_long(
        frame, drivers=["promo"], future=future, horizon=2, **TIMED, return_roles=True
    )
    assert_array_equal(coming(result, "promo", 2), [[3, 2], [1, 4]])
