"""`from_long`: first and last periods that a file of daily records covers in part."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import from_long
from sklearn_pttf.exceptions import DriftWarning, PartialPeriodsWarning
from sklearn_pttf.problems import Newsvendor
from support.frames import to_polars
from support.long_tables import TIMED

pd = pytest.importorskip("pandas")
pytest.importorskip("polars")
NAN = np.nan
WEEKLY = {**TIMED, "calendar": "W-MON"}


def daily(first, last, closed=()):
    """One unit a day that is not closed (Monday: 0)."""
    days = pd.date_range(first, last)
    days = days[~days.day_of_week.isin(closed)]
    return pd.DataFrame({"product": "a", "day": days.strftime("%Y-%m-%d"), "units": 1})


def quiet(frame, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("error", PartialPeriodsWarning)
        return from_long(frame, **WEEKLY | parameters)


def test_both_ends_are_left_out():
    # 2024-03-04 is a Monday; the file begins on a Wednesday and ends on a Tuesday
    frame = daily("2024-03-06", "2024-03-26")
    for source in (frame, to_polars(frame)):
        with pytest.warns(PartialPeriodsWarning) as caught:
            X = from_long(source, **WEEKLY)
        assert caught[0].filename == __file__
        assert str(caught[0].message) == (
            "time='day' covers days from 2024-03-06 to 2024-03-26, so only a part of the period "
            "from 2024-03-04 to 2024-03-10 and from 2024-03-25 to 2024-03-31, which is left out; "
            "partial='keep' keeps such periods. Stock on hand then counts at the start of "
            "2024-03-25, and not after it."
        )
        assert [float(np.asarray(X[name])[0]) for name in ("lag_2", "lag_1")] == [7, 7]
    assert_array_equal(quiet(frame, partial="keep"), [[5, 7, 7, 2]])


@pytest.mark.parametrize(
    ("first", "last", "whole"),
    [
        ("2024-03-04", "2024-03-26", [7, 7, 7]),
        ("2024-03-05", "2024-03-24", [7, 7]),
        ("2024-03-04", "2024-03-30", [7, 7, 7]),
    ],
)
def test_one_end_is_left_out(first, last, whole):
    with pytest.warns(PartialPeriodsWarning):
        assert_array_equal(from_long(daily(first, last), **WEEKLY), [whole])


def test_whole_periods_stay():
    assert_array_equal(quiet(daily("2024-03-04", "2024-03-24")), [[7, 7, 7]])
    months = quiet(daily("2024-01-01", "2024-03-31"), calendar="MS")
    assert_array_equal(months, [[31, 29, 31]])


def test_shops_that_close_lose_nothing():
    frame = daily("2024-03-04", "2024-03-22", closed=(5, 6))  # a Friday
    assert_array_equal(quiet(frame), [[5, 5, 5]])
    frame = daily("2024-03-05", "2024-03-24", closed=(0,))  # a Tuesday
    assert_array_equal(quiet(frame), [[6, 6, 6]])
    with pytest.warns(PartialPeriodsWarning):
        X = from_long(daily("2024-03-04", "2024-03-21", closed=(5, 6)), **WEEKLY)
    assert_array_equal(X, [[5, 5]])


def test_months():
    with pytest.warns(PartialPeriodsWarning, match="from 2024-03-01 to 2024-03-31, which"):
        X = from_long(daily("2024-01-01", "2024-03-30"), **TIMED, calendar="MS")
    assert_array_equal(X, [[31, 29]])


@pytest.mark.parametrize(
    ("days", "calendar"),
    [
        (["2024-03-06", "2024-03-11", "2024-03-18", "2024-03-26"], "W-MON"),  # few a week
        (["2024-01-31", "2024-02-29", "2024-03-31"], "MS"),  # one a month, at its end
        (["2024-03-04", "2024-03-05", "2024-03-06"], "W-MON"),  # only one week to compare
        (["2024-03-04T09:00", "2024-03-05T23:00", "2024-03-06T08:00"], "D"),
        (["2024-03-04", "2024-03-05", "2024-03-06"], ["2024-03-04", "2024-03-05", "2024-03-06"]),
        (["2024-03-04", "2024-03-05", "2024-03-06"], None),
    ],
    ids=["sparse", "monthly", "one", "days", "dates", "none"],
)
def test_files_that_do_not_tell_are_kept(days, calendar):
    frame = pd.DataFrame({"product": "a", "day": days, "units": 1})
    assert quiet(frame, calendar=calendar).sum(axis=None) == len(days)


def test_daily_records_of_all_instances_count():
    # neither is sold daily, but the file has a record on every day
    frame = daily("2024-03-04", "2024-03-26")
    frame["product"] = np.where(np.arange(len(frame)) % 2, "a", "b")
    with pytest.warns(PartialPeriodsWarning):
        assert_array_equal(from_long(frame, **WEEKLY), [[3, 4, 3], [4, 3, 4]])


def test_instances_of_a_partial_period_only_have_no_observation():
    frame = daily("2024-03-04", "2024-03-26")
    frame.loc[frame.index[-1], "product"] = "new"
    for offered, row in ((None, [NAN] * 3), ("since", [NAN] * 3), ("all", [0] * 3)):
        with pytest.warns(PartialPeriodsWarning):
            X = from_long(frame, **WEEKLY, offered=offered)
        assert_array_equal(X, [[7, 7, 7], row])


def test_only_partial_periods():
    frame = daily("2024-03-06", "2024-03-12")
    message = "only a part of the period from .* and there is no other; partial='keep' keeps"
    with pytest.raises(ValueError, match=message):
        from_long(frame, **WEEKLY)
    assert_array_equal(quiet(frame, partial="keep"), [[5, 2]])


def test_plans_begin_with_the_period_that_was_left_out():
    frame = daily("2024-03-04", "2024-03-26").assign(promo=1)
    plan = pd.DataFrame({"day": ["2024-03-25"], "promo": [0]})
    with pytest.warns(PartialPeriodsWarning):
        X = from_long(frame, **WEEKLY, drivers=["promo"], future=plan)
    assert_array_equal(X.filter(like="promo"), [[1, 1, 1, 0]])


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 6), length=st.integers(22, 60))
def test_every_week_that_is_left_has_seven_days(start, length):
    days = pd.date_range(pd.Timestamp("2024-03-04") + pd.Timedelta(days=start), periods=length)
    frame = pd.DataFrame({"product": "a", "day": days, "units": 1})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X = from_long(frame, **WEEKLY)
    assert_array_equal(X, [[7] * ((length - (-start) % 7) // 7)])
    assert bool(caught) == (start > 0 or (start + length) % 7 > 0)


@pytest.mark.parametrize(("first", "last", "end"), [(4, 20, "last"), (6, 24, "first")])
def test_a_drift_of_a_partial_period_is_no_season(first, last, end):
    # 2024-03-04 is a Monday: three weeks, one of which has some of its days only
    days = pd.date_range(f"2024-03-{first:02d}", f"2024-03-{last:02d}")
    units = np.random.default_rng(0).poisson(5, (100, len(days)))
    frame = pd.DataFrame(
        {"product": np.repeat(np.arange(100), len(days)), "day": np.tile(days, 100)}
    ).assign(units=units.ravel())
    model = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None)
    with pytest.warns(DriftWarning, match=f"It is the {end} period alone that differs: leave it"):
        model.fit(quiet(frame, partial="keep"))
    with pytest.warns(PartialPeriodsWarning):
        X = from_long(frame, **WEEKLY)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DriftWarning)
        model.fit(X)


def test_a_trend_is_no_partial_period():
    X = np.random.default_rng(0).poisson(np.full((100, 1), 20.0) * [1.0, 1.5, 2.0])
    with pytest.warns(DriftWarning, match="lag behind a trend or season"):
        PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X)
