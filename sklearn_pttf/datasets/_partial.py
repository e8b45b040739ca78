"""Periods at either end that a file of daily records covers in part only."""

import warnings
from dataclasses import replace

import numpy as np

from sklearn_pttf.exceptions import PartialPeriodsWarning

DAY = np.timedelta64(1, "D")


def leave_out_partial(calendar, dates, parameter):
    """The calendar without a first or last period that the file covers in part.

    Only daily files tell: those with a record on at least half of all days. The first period is
    partial if its first record comes later in it than in any other period, the last one if
    its last record comes earlier; so shops that close on Sundays lose nothing.

    Parameters
    ----------
    calendar : Calendar
        Of a frequency.

    dates : ndarray of datetime64
        All dates of the file.

    parameter : str
        The parameter of dates with its value, for messages.

    Returns
    -------
    Calendar

    Raises
    ------
    ValueError
        If nothing is left.
    """
    days = np.unique(dates.astype("datetime64[D]"))
    edges = np.append(calendar.dates, calendar.next_dates(1)).astype("datetime64[D]")
    daily = 2 * len(days) >= (days[-1] - days[0]) / DAY + 1
    if len(calendar) < 2 or not daily or np.any(np.diff(edges) <= DAY):
        return calendar
    before, after = _uncovered(days, edges)
    partial = np.zeros(len(calendar), dtype=bool)
    partial[0] = before[0] > before[1:].max()
    partial[-1] = after[-1] > after[:-1].max()
    if not partial.any():
        return calendar
    named = " and ".join(f"from {edges[k]} to {edges[k + 1] - DAY}" for k in partial.nonzero()[0])
    found = f"{parameter} covers days from {days[0]} to {days[-1]}, so only a part of the period"
    if not np.any(np.isin(np.searchsorted(edges, days, side="right") - 1, np.nonzero(~partial))):
        raise ValueError(
            f"{found} {named}, and there is no other; partial='keep' keeps such periods."
        )
    counted = ""
    if partial[-1]:
        counted = f" Stock on hand then counts at the start of {edges[-2]}, and not after it."
    warnings.warn(
        f"{found} {named}, which is left out; partial='keep' keeps such periods.{counted}",
        PartialPeriodsWarning,
        stacklevel=4,
    )
    return replace(calendar, dates=calendar.dates[~partial])


def _uncovered(days, edges):
    """Days before the first and after the last record of every period, -1 where it has none."""
    places = np.searchsorted(edges, days, side="right") - 1
    before = np.full(len(edges) - 1, -1)
    after = before.copy()
    some, first = np.unique(places, return_index=True)
    last = np.append(first[1:], len(days)) - 1
    before[some] = (days[first] - edges[some]) / DAY
    after[some] = (edges[some + 1] - days[last]) / DAY - 1
    return before, after
