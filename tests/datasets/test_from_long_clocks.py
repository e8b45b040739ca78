"""`from_long`: hours that clocks skip, and those that they repeat."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from sklearn_pttf.datasets._clocks import changes
from support.frames import to_polars

pd = pytest.importorskip("pandas")
ROLES = {"instance": "product", "value": "units", "time": "hour", "calendar": "h"}
SPRING = ("2024-03-31 00:00", "2024-03-31 04:00")  # of UTC: clocks in Berlin go from 2 to 3
AUTUMN = ("2024-10-27 00:00", "2024-10-27 03:00")  # from 3 to 2
NAN = np.nan


def hours(first, last, zone="Europe/Berlin"):
    moments = pd.date_range(first, last, freq="h", tz="UTC").tz_convert(zone)
    frame = pd.DataFrame({"hour": np.repeat(moments, 2), "units": 5.0})
    return frame.assign(product=["a", "b"] * len(moments))


@pytest.mark.parametrize(
    ("span", "expected", "told"),
    [
        (SPRING, [5, NAN, 5, 5, 5, 5], "2024-03-31T02:00:00.000000 was skipped"),
        (AUTUMN, [NAN, 5, 5], "2024-10-27T02:00:00.000000 came twice"),
    ],
)
def test_hours_of_clock_changes_are_missing(span, expected, told):
    frame = hours(*span)
    local = frame.assign(hour=frame["hour"].dt.tz_localize(None))
    text = frame.assign(hour=[moment.isoformat() for moment in frame["hour"]])
    utc = frame.assign(hour=frame["hour"].dt.tz_convert("UTC"))
    zone = {"time_zone": "Europe/Berlin"}
    for source, more in (
        *((frame, {}), (to_polars(frame), {}), (local, zone), (text, zone)),
        *((utc, zone), (to_polars(utc), zone)),
    ):
        with pytest.warns(UserWarning, match=f"clocks of Europe/Berlin changed: {told}"):
            X = from_long(source, **ROLES, **more)
        assert_array_equal(np.asarray(X)[:, -len(expected) :].astype(float), [expected] * 2)
    # nobody knows what clocks did
    blind = [5, 0, 5, 5, 5, 5] if len(expected) == 6 else [10, 5, 5]
    assert_array_equal(from_long(local, **ROLES), [blind] * 2)


def test_days_are_whole_whatever_clocks_do():
    frame = hours("2024-03-30 23:00", "2024-03-31 21:00")
    assert_array_equal(from_long(frame, **ROLES | {"calendar": "D"}), [[5 * 23]] * 2)


def test_half_hours_and_parts_of_a_day():
    frame = hours("2024-03-30 23:00", "2024-03-31 21:00")
    with pytest.warns(UserWarning, match="was skipped"):
        X = from_long(frame, **ROLES | {"calendar": "30min"})
    assert np.isnan(X.to_numpy()[0]).nonzero()[0].tolist() == [4, 5]
    assert not from_long(frame, **ROLES | {"calendar": "6h"}).isna().any(axis=None)


def test_zones():
    year = np.datetime64("2024-01-01", "us"), np.datetime64("2024-12-31", "us")
    assert changes("UTC", *year) == changes("Asia/Tokyo", *year) == []
    found = changes("Australia/Lord_Howe", *year)  # half an hour
    assert [(str(start), str(end), twice) for start, end, twice in found] == [
        ("2024-04-07T01:30:00.000000", "2024-04-07T02:00:00.000000", True),
        ("2024-10-06T02:00:00.000000", "2024-10-06T02:30:00.000000", False),
    ]


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", 1])
def test_zones_that_are_none(zone):
    with pytest.raises(ValueError, match="time_zone must be the name of a time zone such as"):
        from_long(hours(*SPRING), **ROLES, time_zone=zone)
