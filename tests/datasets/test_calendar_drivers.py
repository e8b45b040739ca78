"""Weekdays, months and holidays as drivers."""

import datetime as dt
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import calendar_drivers, from_long

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
CHRISTMAS = {dt.date(2024, 12, 25): "Christmas", "2024-12-26": "Boxing", "2025-01-01": "New Year"}


def test_days():
    days = pd.date_range("2024-02-28", periods=3)
    frame = calendar_drivers(days, weekday=True, month=True, days_in_month=True)
    assert list(frame.columns) == ["period", "weekday", "month", "days_in_month"]
    assert frame["period"].tolist() == days.tolist()
    assert frame["weekday"].tolist() == ["Wednesday", "Thursday", "Friday"]
    assert frame["month"].tolist() == ["February", "February", "March"]
    assert frame["days_in_month"].tolist() == [29, 29, 31]


@pytest.mark.parametrize("year", [1969, 1970, 2024])
def test_weekdays_and_months_are_those_of_python(year):
    days = [dt.date(year, 1, 1) + dt.timedelta(days=k) for k in range(366)]
    frame = calendar_drivers(days, weekday=True, month=True)
    assert frame["weekday"].tolist() == [day.strftime("%A") for day in days]
    assert frame["month"].tolist() == [day.strftime("%B") for day in days]


def test_holidays_are_counted_in_periods():
    weeks = ["2024-12-16", "2024-12-23", "2024-12-30"]
    frame = calendar_drivers(weeks, holidays=CHRISTMAS)
    names = ["holiday", "holiday=Boxing", "holiday=Christmas", "holiday=New Year"]
    assert list(frame.columns) == ["period", *names]
    assert_array_equal(frame[names], [[0, 0, 0, 0], [2, 1, 1, 0], [1, 0, 0, 1]])
    frame = calendar_drivers(weeks, holidays=CHRISTMAS, holiday_names=False)
    assert list(frame.columns) == ["period", "holiday"]


@pytest.mark.parametrize(
    ("periods", "counts"),
    [
        (["2024-12-24", "2024-12-25", "2024-12-27"], [0, 1, 0]),  # days, though one is left out
        (["2024-12-11", "2024-12-18", "2025-01-01"], [0, 0, 1]),  # weeks, one of them left out
        (["2024-11-01", "2024-12-01"], [0, 2]),  # 30 days and 31
        (["2024-10-01", "2025-01-01"], [2, 1]),  # quarters
        (["2024-12-25"], [1]),
    ],
    ids=["days", "weeks", "months", "quarters", "one"],
)
def test_lengths_of_periods(periods, counts):
    assert calendar_drivers(periods, holidays=CHRISTMAS)["holiday"].tolist() == counts


@pytest.mark.parametrize(
    "make",
    [
        lambda days: pl.Series("day", days),
        lambda days: pd.Series(days, name="day"),
        lambda days: pd.Index(days, name="day"),
    ],
    ids=["polars", "pandas", "index"],
)
def test_periods_keep_their_library_name_and_type(make):
    days = make(["2024-12-26", "2024-12-24", "2024-12-25", "2024-12-24"])
    frame = calendar_drivers(days, weekday=True)
    assert list(frame.columns) == ["day", "weekday"]
    assert frame["day"].dtype == days.dtype
    assert frame["day"].to_list() == ["2024-12-24", "2024-12-25", "2024-12-26"]
    assert isinstance(frame, pl.DataFrame) == isinstance(days, pl.Series)
    assert list(calendar_drivers(days, weekday=True, time="on").columns) == ["on", "weekday"]


def test_polars_needs_no_pandas(monkeypatch):
    days = pl.Series("day", [dt.date(2024, 12, 25)])
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert calendar_drivers(days, weekday=True).rows() == [(dt.date(2024, 12, 25), "Wednesday")]
    with pytest.raises(ImportError, match="periods that are no Series need pandas"):
        calendar_drivers(["2024-12-25"], weekday=True)


def test_pyarrow():
    frame = calendar_drivers(pa.chunked_array([["2024-12-25"]]), time="day", month=True)
    assert frame.to_pylist() == [{"day": "2024-12-25", "month": "December"}]


def test_as_a_plan():
    # ten days, of which the last two are to come; nothing was sold on the two Sundays
    days = pd.date_range("2024-12-21", periods=10, name="day")
    past = days[:8][days[:8].day_of_week != 6]
    frame = pd.DataFrame({"product": "a", "day": past, "units": 1})
    plan = calendar_drivers(days, weekday=True, holidays=CHRISTMAS, holiday_names=False)
    X, roles = from_long(
        frame,
        instance="product",
        value="units",
        time="day",
        calendar="D",
        drivers=list(plan.columns[1:]),
        future=plan,
        horizon=2,
        return_roles=True,
    )
    # Saturday, which comes twice in the past eight days, is the usual one
    assert "weekday=Saturday" not in roles["drivers"]
    assert len(roles["drivers"]) == 7
    assert_array_equal(X[roles["drivers"]["weekday=Sunday"]], [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0]])
    assert_array_equal(X[roles["drivers"]["holiday"]], [[0, 0, 0, 0, 1, 1, 0, 0, 0, 0]])


def test_holidays_of_a_country():
    pytest.importorskip("holidays")
    days = ["2024-12-25", "2024-12-26", "2025-01-06"]
    frame = calendar_drivers(days, holidays="DE")
    assert frame["holiday"].tolist() == [1, 1, 0]
    assert frame["holiday=Christmas Day"].tolist() == [1, 0, 0]
    assert calendar_drivers(days, holidays=("DE", "BY"))["holiday"].tolist() == [1, 1, 1]


def test_holidays_that_the_package_made():
    package = pytest.importorskip("holidays")
    holidays = package.country_holidays("US", language="en_US")
    frame = calendar_drivers(["2024-07-03", "2024-07-04"], holidays=holidays)
    assert frame["holiday=Independence Day"].tolist() == [0, 1]


@pytest.mark.parametrize("place", ["XX", ("DE", "XX")])
def test_unknown_countries(place):
    pytest.importorskip("holidays")
    with pytest.raises(ValueError, match=r"holidays must be a country that the package .*'XX'"):
        calendar_drivers(["2024-12-25"], holidays=place)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ImportError, match="holidays='DE' is a country, which needs the package"):
        calendar_drivers(["2024-12-25"], holidays="DE")
    assert calendar_drivers(["2024-12-25"], holidays=CHRISTMAS)["holiday"].tolist() == [1]


@pytest.mark.parametrize(
    ("periods", "parameters", "message"),
    [
        (["2024-12-25"], {}, "one of weekday, month, days_in_month must be True, or holidays"),
        (["2024-12-02", "2024-12-09"], {"weekday": True}, "weekday=True needs periods of a day"),
        (["2024-12-25"], {"holidays": 7}, "holidays must be a country such as .*; got 7"),
        (["2024-12-25"], {"holidays": {"x": "y"}}, "mapping from dates to names; got the key 'x'"),
        (["2024-12-25"], {"month": True, "time": "month"}, "time='month' is also the name of"),
        ([], {"month": True}, "periods must be at least one date"),
        ([1, 2], {"month": True}, "periods must be .*; got int64"),
        (["2024-12-25", "soon"], {"month": True}, "periods must be .*; got 'soon'"),
        (7, {"month": True}, "periods must be a sequence of dates; got 7"),
        (["2024-12-25T10:00"], {"month": True}, "without a time of day; got 2024-12-25T10:00"),
    ],
)
def test_refused(periods, parameters, message):
    with pytest.raises(ValueError, match=message):
        calendar_drivers(periods, **parameters)


def test_names_with_equal_days_are_one_line():
    periods = pd.Series([dt.date(2024, 12, 25), dt.date(2024, 12, 25)])
    assert np.shape(calendar_drivers(periods, weekday=True)) == (1, 2)
