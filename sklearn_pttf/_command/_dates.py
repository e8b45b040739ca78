"""The periods of a file, and when a stock counts and an order is there."""

import warnings
from dataclasses import replace

import numpy as np

from sklearn_pttf.datasets._partial import leave_out_partial
from sklearn_pttf.datasets._periods import Calendar, regular_dates, show_date


def calendar_of(options, times, n_periods):
    """The newest periods of the file; `Calendar`."""
    if options.calendar is None:
        calendar = Calendar(np.unique(times))
    else:
        named, times = f"--time {options.time}", times.astype("datetime64[us]")
        calendar = regular_dates(options.calendar, times, named)
        if options.partial == "drop":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it was said when the table was made
                calendar = leave_out_partial(calendar, times, named)
    return replace(calendar, dates=calendar.dates[-n_periods:])


def date_of(calendar, period):
    """The beginning of a period by its number, one beyond the newest too.

    Beyond it, a calendar without a frequency tells only if its dates are evenly apart; "" if not.
    """
    beyond = period - len(calendar) + 1
    if beyond <= 0:
        return show_date(calendar.dates[period])
    if calendar.offset is not None:
        return show_date(calendar.next_dates(beyond)[-1])
    steps = np.diff(calendar.dates)
    if len(steps) == 0 or (steps != steps[0]).any():
        return ""
    return show_date(calendar.dates[-1] + beyond * steps[0])


def when_stock_counts(calendar, lead_times):
    """When what is on hand is counted, and when an order of now is there, in a line.

    Parameters
    ----------
    calendar : Calendar or None
        Of the periods that were observed.

    lead_times : array-like of shape (n,)
    """
    if calendar is None:
        return "stock on hand is that after the newest record"
    coming = len(calendar)
    start = date_of(calendar, coming)
    if not start:
        return f"stock on hand is that after the period of {show_date(calendar.dates[-1])}"
    ends = sorted({int(np.min(lead_times)), int(np.max(lead_times))})
    there = " to ".join(date_of(calendar, coming + lead) for lead in ends)
    by_row = ", by its lead time" if len(ends) > 1 else ""
    return (
        f"stock on hand is that at the start of {start}, the period after the newest complete one; "
        f"an order placed then is there at the start of {there}{by_row}"
    )
