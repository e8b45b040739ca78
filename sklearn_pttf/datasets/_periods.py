"""The periods of a long sales file: reading dates, numbering the records."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from sklearn_pttf.datasets._frames import to_numpy
from sklearn_pttf.datasets._partial import leave_out_partial

SHOWN = 5  # offenders that an error message names
KINDS = {"i": "whole numbers", "M": "dates"}  # of dates, by the kind of their dtype
LONGEST_GAP = 30 * 365.25  # days between two records of a file
LONG_GAP = 10 * 365.25  # with few records beyond it
FAR_GAP = 2 * 365.0  # likewise, if it is longer than all the rest
FEW_RECORDS = 0.1  # of all
END_ANCHORED = {  # pandas frequencies by what is meant
    **{"ME": "MS", "QE": "QS", "YE": "YS", "BME": "BMS", "BQE": "BQS", "BYE": "BYS"},
    **{"SME": "SMS", "CBME": "CBMS", "W": "W-MON"},
    **{"M": "MS", "Q": "QS", "Y": "YS", "A": "YS", "BM": "BMS", "BQ": "BQS", "SM": "SMS"},
}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FREQUENCY = re.compile(r"(\d*)([A-Z]+)(?:-([A-Z]{3}))?")
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Calendar:
    """Periods in order, each by the date that it begins on.

    Parameters
    ----------
    dates : ndarray of shape (n_periods,)
        Whole numbers, or datetime64[us].

    offset : pandas offset, default=None
        From a period to the next; None: dates as they are, each of which is a period of its own.

    zone : str, default=None
        Time zone of the dates; None: that is not known.
    """

    dates: np.ndarray
    offset: object = None
    zone: str | None = None

    def __len__(self):
        return len(self.dates)

    def next_dates(self, n):
        """Beginnings of the `n` periods after the last one, by the offset."""
        import pandas as pd

        dates = pd.date_range(self.dates[-1], periods=n + 1, freq=self.offset)[1:]
        return dates.to_numpy().astype("datetime64[us]")

    def place(self, dates):
        """Number of the period of every date, -1 where it is in none."""
        places = np.searchsorted(self.dates, dates, side="right") - 1
        if self.offset is None:
            inside = np.isin(dates, self.dates)
        else:
            inside = (places >= 0) & (dates < self.next_dates(1)[0])
        return np.where(inside, places, -1)


@dataclass(frozen=True)
class Placement:
    """Where records are in time.

    Parameters
    ----------
    places : ndarray of shape (n_records,)
        Number of the period of every record, -1 for those that are left out.

    first, last : ndarray of shape (n_instances,)
        Numbers of the first and the last period of every instance.

    calendar : Calendar, default=None
        The periods; None: the order of the file.

    from_start : bool ndarray of shape (n_instances,), default=None
        Which instances have a record in the first period of the calendar, or before it, so that
        nobody can tell whether they had any earlier. None: the order of the file.

    dates : ndarray of shape (n_records,), default=None
        Those of the records. None: the order of the file.
    """

    places: np.ndarray
    first: np.ndarray
    last: np.ndarray
    calendar: Calendar | None = None
    from_start: np.ndarray | None = None
    dates: np.ndarray | None = None


def place_in_order(codes):
    """Number the records of every instance from 0, in the order of the file; a `Placement`."""
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    places = np.empty(len(codes), dtype=np.int64)
    places[np.argsort(codes, kind="stable")] = np.arange(len(codes)) - np.repeat(starts, counts)
    return Placement(places, np.zeros_like(counts), counts - 1)


def place_in_time(codes, records, time, calendar, offered, partial, zone, refuse):
    """Number the records by their period; a `Placement`."""
    parameter = f"time={time!r}"
    date_codes, dates = read_times(records, parameter, time, codes, refuse, zone)
    refuse(
        parameter,
        "dates with a time of day",
        "Without a calendar every moment would be a period of its own: give calendar='D' for a "
        "period a day, or another frequency.",
        has_time_of_day(dates)[date_codes] & (calendar is None),
        codes,
        lambda cell: show_date(dates[date_codes[cell]]),
    )
    if calendar is None or isinstance(calendar, str):
        _refuse_far(dates, date_codes, parameter, codes, refuse)
    zone = zone or getattr(records.dtype(time), "time_zone", None)
    periods = replace(_read_calendar(calendar, dates, parameter), zone=zone)
    refuse(
        parameter,
        "dates outside the calendar",
        f"Every date must be in calendar={brief(calendar)}.",
        (periods.place(dates) < 0)[date_codes],
        codes,
        lambda cell: show_date(dates[date_codes[cell]]),
    )
    if partial == "drop" and periods.offset is not None:
        periods = leave_out_partial(periods, dates, parameter)
    places = periods.place(dates)[date_codes]
    if offered is None:
        offered = "all" if calendar is not None and periods.offset is None else "own"
    first, last = _span(codes, places, len(periods))
    from_start = first == 0
    from_start[codes[dates[date_codes] < periods.dates[0]]] = True
    if offered == "all":
        first[:] = 0
    if offered != "own":
        last[:] = len(periods) - 1
    return Placement(places, first, last, periods, from_start, dates[date_codes])


def read_times(records, parameter, time, codes, refuse, zone=None):
    """Codes of the dates of all records, and the dates, in order; see `Records.encode`.

    Moments that say where they are of are told in the local time of a ``zone``, if it is given.
    """
    date_codes, labels = records.encode(time)
    refuse(parameter, "missing dates", "Every record needs a date.", date_codes < 0, codes)
    items = to_numpy(labels, zone)
    dates, readable = read_dates(items, parameter, zone)
    refuse(
        parameter,
        "unreadable dates",
        "Dates must be dates, datetimes, whole numbers, or ISO 8601 strings such as '2024-03-31'.",
        ~readable[date_codes],
        codes,
        lambda cell: repr(items[date_codes[cell]]),
    )
    return date_codes, dates


def _refuse_far(dates, date_codes, parameter, codes, refuse):
    """Refuse a few dates that are years away from all others."""
    far, gap = far_dates(dates, np.bincount(date_codes, minlength=len(dates)))
    refuse(
        parameter,
        "dates far from all others",
        f"{gap} Mend or leave out these records, or give the dates of a calendar.",
        far[date_codes],
        codes,
        lambda cell: show_date(dates[date_codes[cell]]),
    )


def far_dates(dates, counts):
    """Which dates are years away from most records; and the gap, in words.

    A gap between records is too long if it is of thirty years; or, with a tenth of all records or
    less beyond it, of ten years, or of two and longer than the time that all others take together.

    Parameters
    ----------
    dates : ndarray of shape (n_dates,)
        Whole numbers, of which any may be, or datetime64.

    counts : ndarray of shape (n_dates,)
        Records of every date.

    Returns
    -------
    far : bool ndarray of shape (n_dates,)

    gap : str
    """
    far = np.zeros(len(dates), dtype=bool)
    if dates.dtype.kind != "M" or len(dates) < 2:
        return far, ""
    order = np.argsort(dates, kind="stable")
    days, n_records = dates[order].astype("datetime64[D]"), counts[order]
    gaps = np.diff(days).astype(float)
    share = n_records.cumsum()[:-1] / n_records.sum()
    few = np.minimum(share, 1 - share) <= FEW_RECORDS
    far_away = (gaps > LONG_GAP) | ((gaps > FAR_GAP) & (gaps > gaps.sum() - gaps))
    long = (gaps > LONGEST_GAP) | (far_away & few)
    if not long.any():
        return far, ""
    groups = np.concatenate([[0], long.cumsum()])
    most = np.bincount(groups, n_records).argmax()
    far[order] = groups != most
    k = np.flatnonzero(long)[0]
    return far, (
        f"There is no record in the {gaps[k] / 365.25:.0f} years between {days[k]} and "
        f"{days[k + 1]}; is a date wrong?"
    )


def _span(codes, places, n_periods):
    """First and last period of every instance; two ``(n_instances,)``.

    Without a record in any period, the first is after the last.
    """
    first = np.full(codes.max() + 1, n_periods)
    last = np.full_like(first, -1)
    placed = places >= 0
    np.minimum.at(first, codes[placed], places[placed])
    np.maximum.at(last, codes[placed], places[placed])
    return first, last


def _read_calendar(calendar, dates, parameter):
    """The periods that there are; a `Calendar`."""
    if calendar is None:
        return Calendar(np.unique(dates))
    if isinstance(calendar, str):
        return regular_dates(calendar, dates, parameter)
    try:
        items = np.asarray(list(calendar))
        if items.ndim != 1 or len(items) == 0:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            "calendar must be None, a pandas frequency such as 'D', or a sequence of at least one "
            f"date; got {calendar!r}."
        ) from None
    periods, readable = read_dates(items, "calendar")
    if not np.all(readable):
        bad = items[~readable]
        raise ValueError(
            f"calendar has {len(bad)} unreadable dates among {len(items)}: "
            f"{', '.join(map(repr, bad[:SHOWN].tolist()))}{', ...' if len(bad) > SHOWN else ''}."
        )
    if periods.dtype != dates.dtype:
        raise ValueError(
            f"calendar must hold {KINDS[dates.dtype.kind]}, as {parameter} does; got "
            f"{KINDS[periods.dtype.kind]}."
        )
    return Calendar(np.unique(periods))


def regular_dates(frequency, dates, parameter):
    """Periods of a pandas frequency, from the first date to the last; a `Calendar`."""
    if dates.dtype.kind != "M":
        raise ValueError(
            f"calendar={frequency!r} is a frequency, but {parameter} holds whole numbers; the "
            f"calendar must then be a sequence of whole numbers, or None."
        )
    _refuse_end_anchored(frequency)
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(
            f"calendar={frequency!r} is a frequency, which needs pandas; install it, or give the "
            f"dates of the calendar."
        ) from None
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
        first = offset.rollback(pd.Timestamp(dates.min()).floor(_unit_of(offset)))
        periods = pd.date_range(first, dates.max(), freq=offset)
    except ValueError as error:
        raise ValueError(
            f"calendar must be None, a pandas frequency such as 'D', or a sequence of dates; got "
            f"{frequency!r} ({error})."
        ) from None
    return Calendar(periods.to_numpy().astype("datetime64[us]"), offset)


def _refuse_end_anchored(frequency):
    """Refuse a frequency of the last days of periods, with the name of that of the first ones."""
    parts = FREQUENCY.fullmatch(frequency.strip().upper())
    if parts is None or parts[2] not in END_ANCHORED or (parts[2] == "W" and parts[3]):
        return
    number, name, month = parts.groups()
    meant = f"{number}{END_ANCHORED[name]}"
    if month in MONTHS and month != "DEC":  # the month after it begins the year
        meant += f"-{MONTHS[(MONTHS.index(month) + 1) % 12]}"
    raise ValueError(
        f"calendar={frequency!r} is the frequency of the last day of periods, but a period begins "
        f"at its date; calendar={meant!r} has the same periods by their first days."
    )


def _unit_of(offset):
    """What the first period begins on: a day, or less if the frequency is finer."""
    try:
        return offset if offset.nanos < 24 * 3600 * 10**9 else "D"
    except ValueError:  # a day, week, month or year has no fixed length
        return "D"


def has_time_of_day(dates):
    if dates.dtype.kind != "M":
        return np.zeros(len(dates), dtype=bool)
    return dates != dates.astype("datetime64[D]")


def read_dates(items, parameter, zone=None):
    """Dates as int64 or datetime64[us], and which of them could be read; see `read_times`."""
    kind = items.dtype.kind
    if kind == "M":
        return items.astype("datetime64[us]"), ~np.isnat(items)
    if kind in "iu":
        return items.astype(np.int64), np.ones(len(items), dtype=bool)
    if kind == "f":
        whole = np.isfinite(items) & (items == np.rint(items))
        return np.where(whole, items, 0).astype(np.int64), whole
    if kind in "OUT":
        dates = np.array([read_date(item, zone) for item in items], dtype="datetime64[us]")
        return dates, ~np.isnat(dates)
    raise ValueError(
        f"{parameter} must hold dates, datetimes, whole numbers or ISO 8601 strings; got values of "
        f"type {items.dtype}."
    )


def read_date(item, zone=None):
    """A date or a string as datetime64[us] in local time, NaT if it cannot be read."""
    if hasattr(item, "to_timestamp"):  # a pandas Period: its first moment
        item = item.to_timestamp()
    if isinstance(item, str):
        text = f"{item}-01" if YEAR_AND_MONTH.fullmatch(item) else item
        try:
            item = datetime.fromisoformat(text)
        except ValueError:
            return np.datetime64("NaT", "us")
    if isinstance(item, datetime):
        if zone is not None and item.tzinfo is not None:
            item = item.astimezone(ZoneInfo(zone))
        item = item.replace(tzinfo=None)
    if isinstance(item, (date, np.datetime64)):
        return np.datetime64(item, "us")
    return np.datetime64("NaT", "us")


def show_date(moment):
    """``2024-03-31``, with the time of day unless it is midnight; whole numbers as they are."""
    return str(moment).removesuffix("T00:00:00.000000")


def brief(calendar):
    return repr(calendar) if isinstance(calendar, str) else f"<{type(calendar).__name__}>"
