"""Drivers that the calendar knows: weekdays, months, holidays."""

from collections.abc import Mapping
from datetime import timedelta

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_series

from sklearn_pttf.datasets._frames import to_numpy
from sklearn_pttf.datasets._periods import SHOWN, has_time_of_day, read_date, read_dates

DAY = np.timedelta64(1, "D")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
FIRST_MONDAY = np.datetime64("1969-12-29")


def calendar_drivers(
    periods,
    *,
    time=None,
    weekday=False,
    month=False,
    days_in_month=False,
    holidays=None,
    holiday_names=True,
):
    """What the calendar says of periods, past and coming; drivers for `from_long`.

    Periods are of equal length, the shortest time from one beginning to the next: days, weeks, or
    whole months where all begin on the first of a month. A single period is a day.

    Parameters
    ----------
    periods : Series, DatetimeIndex or sequence of dates
        The dates that periods begin on: past ones and those that are decided for. They may be in
        any order and come back several times.

    time : str, default=None
        Name of the column of periods, which `from_long` knows as its `time`. None: the name of
        `periods`, or else "period".

    weekday : bool, default=False
        Whether there is a column ``weekday``: Monday to Sunday. For periods of a day only.

    month : bool, default=False
        Whether there is a column ``month``: January to December, of the period's first day.

    days_in_month : bool, default=False
        Whether there is a column ``days_in_month``: their number, of the month of the first day.

    holidays : str, (str, str) or mapping, default=None
        A country such as ``"DE"``, or a country and a part of it, such as ``("DE", "BY")``, as the
        package ``holidays`` has them, in English where it can; or a mapping from dates to names.
        There is then a column ``holiday``, the number of days in a period that are one. None:
        there is none.

    holiday_names : bool, default=True
        Whether there is also a column ``holiday=Name`` for each holiday in these periods: the
        number of its days in a period.

    Returns
    -------
    DataFrame or Table of shape (n_periods, 1 + n_drivers)
        One line for each period, in order; in the library of `periods`, else in pandas. Its first
        column holds the periods. `from_long` takes it as ``future``, with
        ``drivers=list(frame.columns[1:])``, of which it makes one 0/1 driver for each weekday and
        month but the most frequent; or join it to records or to a plan.

    Raises
    ------
    ValueError
        If periods are no dates or have a time of day, no column is asked for, weekdays are asked of
        longer periods, or the country is unknown.

    ImportError
        If `holidays` is a country and the package ``holidays`` is not installed, or `periods` is of
        no library and pandas is not installed.

    Examples
    --------
    >>> from sklearn_pttf.datasets import calendar_drivers
    >>> days = ["2024-12-24", "2024-12-25", "2024-12-26"]
    >>> calendar_drivers(days, time="day", weekday=True, holidays={"2024-12-25": "Christmas"})
              day    weekday  holiday  holiday=Christmas
    0  2024-12-24    Tuesday      0.0                0.0
    1  2024-12-25  Wednesday      1.0                1.0
    2  2024-12-26   Thursday      0.0                0.0
    """
    labels, days = _read_periods(periods)
    edges = _edges(days)
    months = days.astype("datetime64[M]")
    columns = {}
    if weekday:
        if len(days) and (edges - days).max() > DAY:
            raise ValueError("weekday=True needs periods of a day; got longer ones.")
        columns["weekday"] = _named(WEEKDAYS, (days - FIRST_MONDAY) / DAY)
    if month:
        columns["month"] = _named(MONTHS, months.astype(int))
    if days_in_month:
        lengths = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
        columns["days_in_month"] = (lengths / DAY).tolist()
    if holidays is not None:
        names_of = _holiday_reader(holidays)
        columns |= _count_holidays(names_of, days, edges, holiday_names)
    if not columns:
        raise ValueError(
            "one of weekday, month, days_in_month must be True, or holidays be given; got none."
        )
    return _build(labels, time or labels.name or "period", columns)


def _named(names, positions):
    return [names[int(position) % len(names)] for position in positions]


def _read_periods(periods):
    """Different periods in order, as they were given and as days."""
    if not is_into_series(periods):
        periods = _series_of_pandas(periods)
    labels = nw.from_native(periods, series_only=True)
    items = to_numpy(labels)
    dates, readable = read_dates(items, "periods")
    if len(dates) == 0 or dates.dtype.kind != "M" or not readable.all():
        bad = ", ".join(map(repr, items[~readable][:SHOWN].tolist())) or items.dtype
        raise ValueError(
            f"periods must be at least one date, datetime or ISO 8601 string; got {bad}."
        )
    if has_time_of_day(dates).any():
        raise ValueError(
            f"periods must be dates without a time of day; got {dates[has_time_of_day(dates)][0]}."
        )
    days, first = np.unique(dates.astype("datetime64[D]"), return_index=True)
    return labels[first.tolist()], days


def _series_of_pandas(periods):
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(
            "periods that are no Series need pandas; install it, or give a Series."
        ) from None
    try:
        return pd.Series(periods if isinstance(periods, pd.Index) else list(periods))
    except TypeError:
        raise ValueError(f"periods must be a sequence of dates; got {periods!r}.") from None


def _edges(days):
    """First day after every period."""
    months = days.astype("datetime64[M]")
    if len(days) == 1:
        return days + DAY
    if np.all(days == months):
        return (months + np.diff(months).min()).astype("datetime64[D]")
    return days + np.diff(days).min()


def _holiday_reader(holidays):
    """A function that gives the names of holidays of a day, as a list."""
    if isinstance(holidays, Mapping):
        if hasattr(holidays, "get_list"):  # of the package, which finds years as they are asked for
            return holidays.get_list
        dates = {read_date(day): name for day, name in holidays.items()}
        bad = [day for day in holidays if np.isnat(read_date(day))]
        if bad:
            raise ValueError(
                "holidays must be a country, or a mapping from dates to names; got the key "
                f"{bad[0]!r}."
            )
        names = {date.astype("datetime64[D]").item(): str(name) for date, name in dates.items()}
        return lambda day: [names[day]] if day in names else []
    place = (holidays,) if isinstance(holidays, str) else holidays
    if not isinstance(place, tuple) or len(place) > 2 or not all(isinstance(x, str) for x in place):
        raise ValueError(
            "holidays must be a country such as 'DE', a pair such as ('DE', 'BY'), or a mapping "
            f"from dates to names; got {holidays!r}."
        )
    try:
        import holidays as package
    except ImportError:
        raise ImportError(
            f"holidays={holidays!r} is a country, which needs the package holidays; install it, or "
            "give a mapping from dates to names."
        ) from None
    try:
        found = package.country_holidays(*place)
        language = "en_US" if "en_US" in found.supported_languages else found.default_language
        return package.country_holidays(*place, language=language).get_list
    except (NotImplementedError, ValueError) as error:
        raise ValueError(
            f"holidays must be a country that the package holidays knows; got {holidays!r} "
            f"({error})."
        ) from None


def _count_holidays(names_of, days, edges, by_name):
    """Number of holidays in every period, in all and of each name; dict of lists."""
    total, named = [0.0] * len(days), {}
    for period, (day, end) in enumerate(zip(days.tolist(), edges.tolist(), strict=True)):
        while day < end:
            names = names_of(day)
            total[period] += bool(names)
            for name in names:
                named.setdefault(f"holiday={name}", [0.0] * len(days))[period] += 1.0
            day += timedelta(days=1)
    return {"holiday": total} | (dict(sorted(named.items())) if by_name else {})


def _build(labels, time, columns):
    """A frame of periods and columns, in the library of the periods."""
    if time in columns:
        raise ValueError(f"time={time!r} is also the name of a column of the result.")
    frame = nw.from_dict(columns, backend=labels.implementation)
    if labels.implementation.is_pandas_like():
        frame = frame.to_native()
        frame.insert(0, time, labels.to_native().array)
        return frame
    return frame.select(labels.alias(time), nw.all()).to_native()
