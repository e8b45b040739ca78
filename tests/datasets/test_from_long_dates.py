"""`from_long`: dates that cannot be, and frequencies of last days."""

import numpy as np
import pytest

from sklearn_pttf.datasets import from_long
from sklearn_pttf.datasets._periods import far_dates

pd = pytest.importorskip("pandas")
LONG = {"instance": "product", "value": "units", "time": "day"}
DAYS = pd.date_range("2024-01-01", periods=60)


def frame(*more):
    days = [*DAYS.strftime("%Y-%m-%d"), *more]
    return pd.DataFrame({"product": [*"ab" * 30, *["b"] * len(more)], "day": days, "units": 1})


@pytest.mark.parametrize("calendar", ["D", "W-MON", None])
@pytest.mark.parametrize("wrong", ["2204-01-03", "1900-01-01", "9999-12-31", "0001-01-01"])
def test_a_year_that_cannot_be(wrong, calendar):
    message = rf"time='day' has 1 dates far from all others among 61; first instances: 'b': {wrong}"
    with pytest.raises(ValueError, match=message) as caught:
        from_long(frame(wrong), **LONG, calendar=calendar)
    assert "There is no record in the " in str(caught.value)
    assert " years between " in str(caught.value)


@pytest.mark.parametrize(
    ("dates", "counts", "far"),
    [
        (["2024-01-01", "2024-03-01", "2027-01-01"], [50, 50, 1], [0, 0, 1]),
        (["2024-01-01", "2024-03-01", "2027-01-01"], [50, 50, 50], [0, 0, 0]),
        (["2024-01-01", "2024-03-01", "2025-12-01"], [50, 50, 1], [0, 0, 0]),
        (["2012-01-01", "2024-03-01"], [1, 50], [1, 0]),
        (["2012-01-01", "2024-03-01"], [5, 5], [0, 0]),
        (["1990-01-01", "2024-03-01"], [4, 5], [1, 0]),
        (["1524-01-01", "2024-03-01"], [1, 1], [0, 1]),
        (["2016-01-01", "2018-01-01", "2021-01-01"], [9, 9, 9], [0, 0, 0]),
        (["1900-01-01", "2024-01-01", "2204-01-01"], [1, 9, 1], [1, 0, 1]),
    ],
)
def test_far_dates(dates, counts, far):
    dates = np.array(dates, dtype="datetime64[us]")
    order = np.random.default_rng(0).permutation(len(dates))
    found = far_dates(dates[order], np.array(counts)[order])[0]
    np.testing.assert_array_equal(found, np.array(far, dtype=bool)[order])


def test_numbers_of_periods_may_be_far():
    assert not far_dates(np.array([202412, 202501, 999999]), np.ones(3))[0].any()
    dates = ["1950-01-01", "2024-01-01"]
    told = pd.DataFrame({"product": "a", "day": dates, "units": 1})
    assert from_long(told, **LONG, calendar=dates).shape == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        *[("W", "W-MON"), ("2W", "2W-MON"), ("ME", "MS"), ("M", "MS"), ("3ME", "3MS")],
        *[("QE", "QS"), ("QE-NOV", "QS-DEC"), ("YE", "YS"), ("YE-JUN", "YS-JUL"), ("BME", "BMS")],
    ],
)
def test_frequencies_of_last_days_are_refused(wrong, right):
    with pytest.raises(ValueError, match=f"calendar='{wrong}' .* last day .* calendar='{right}'"):
        from_long(frame(), **LONG, calendar=wrong)
    first = pd.tseries.frequencies.to_offset(right).rollback(DAYS[0])
    X = from_long(frame(), **LONG, calendar=right, partial="keep")
    assert X.shape[1] == len(pd.date_range(first, DAYS[-1], freq=right))


@pytest.mark.parametrize("frequency", ["W-SUN", "W-MON", "MS", "D", "B", "QS-FEB"])
def test_frequencies_of_first_days(frequency):
    X = from_long(frame(), **LONG, calendar=frequency, partial="keep")
    assert np.nansum(X) == 60
