"""What was read of a file of sales, in five lines."""

import numpy as np

from sklearn_pttf._command._dates import calendar_of
from sklearn_pttf._command._files import say
from sklearn_pttf.datasets._periods import show_date
from sklearn_pttf.datasets._wild import wild_cells

NOTHING = "nothing"
NO_LABEL = ("nan", "none", "null", "n/a", "#n/a")  # NA may be one


def say_sales(options, records, frame, times, table, roles):
    """Say what was read: instances, periods, zeros, the oldest and newest, what was left out.

    Parameters
    ----------
    options : Namespace

    records : Records

    frame : DataFrame
        Labels and values of the records, under their names.

    times : ndarray of shape (n_records,) or None

    table : DataFrame
        What was made of it.

    roles : dict
        What its columns are.
    """
    values = frame[options.value].to_numpy()
    cells = table[roles["observations"]].to_numpy()
    drivers = list(roles.get("drivers", ()))
    silent = int((np.nan_to_num(cells).sum(axis=0) == 0).sum())
    span = "the file has no dates"
    if times is not None:
        span = f"{show_date(times.min())}, {show_date(times.max())}"
    if options.calendar is not None:
        newest = calendar_of(options, times, 1).dates[0]
        span += f"; the newest period begins on {show_date(newest)}"
    n_periods = cells.shape[1]
    lines = [
        f"{records.path}: {len(frame):,} records, {np.isnan(values).sum():,} without a value",
        f"  instances: {len(table):,}",
        f"  periods: {n_periods:,}, {silent:,} of them without any sale"
        + (f"; with {', '.join(drivers)}" if drivers else ""),
        f"  zeros: {np.mean(cells == 0):.1%} of their cells; missing: {np.isnan(cells).mean():.1%}",
        f"  oldest and newest: {span}",
        f"  left out: {_left_out(options, frame, values, times, n_periods)}",
    ]
    notes = [_odd_labels(frame[options.instance].unique()), _sums(table, cells)]
    if times is not None:
        notes.append(_repeated(records))
    say(options, "\n".join([*lines, *(note for note in notes if note)]))


def _left_out(options, frame, values, times, n_periods):
    codes, _ = frame[options.instance].factorize()
    if times is None:
        outside = int(np.maximum(np.bincount(codes) - n_periods, 0).sum())
    else:
        outside = int((calendar_of(options, times, n_periods).place(times) < 0).sum())
    told = [f"{outside:,} records of other periods"] if outside else []
    wild = len(wild_cells(values, codes)[0]) if options.wild == "missing" else 0
    told += [f"{wild:,} values far beyond all others"] if wild else []
    return ", ".join(told) or NOTHING


def _odd_labels(labels):
    """Labels that other programs write where there is none; "" of none."""
    odd = [label for label in labels if label.lower() in NO_LABEL]
    return f"note: labels that look like missing ones: {', '.join(map(repr, odd))}" if odd else ""


def _sums(table, cells):
    """An instance with as much as all others together, as in a line of totals; "" of none."""
    sums = np.nan_to_num(cells).sum(axis=1)
    equal = (sums > 0) & (2 * sums == sums.sum())
    if len(sums) <= 2 or not equal.any():
        return ""
    label = table.index[equal.argmax()]
    return f"note: {label!r} sold as much as all others together; is it a line of totals?"


def _repeated(records):
    """Lines that repeat others, which may be sales or a mistake; "" of none."""
    repeats = records.raw.repeats
    if not repeats.any():
        return ""
    first = records.frame.index[repeats][0]
    return (
        f"note: {repeats.sum():,} of {len(repeats):,} {records.unit}s repeat another one in all of "
        f"their columns ({records.unit} {first} is the first); they are added up"
    )
