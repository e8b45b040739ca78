"""From a long sales file, one record a row, to one row an instance."""

from numbers import Integral

import numpy as np

from sklearn_pttf.datasets._frames import adapter
from sklearn_pttf.datasets._periods import SHOWN, brief, place_in_order, place_in_time

MOST_CELLS = 250_000_000  # of a table whose width nobody asked for; 2 GB


def from_long(
    frame,
    *,
    instance,
    value,
    time=None,
    fill="zero",
    calendar=None,
    offered=None,
    negatives="raise",
    width=None,
):
    """Turn a long sales file into one row per instance.

    A sales file has one record a sale: an instance, perhaps a date, and a value. The result has
    one row an instance and one column a period. Rows are in the sorted order of the labels, as the
    frame's library sorts them, or in order of first appearance where labels cannot be compared
    (numbers mixed with text). All rows end at the same column: ``lag_1`` holds the newest value of
    every instance, ``lag_2`` the one before it, and so on to the left. Shorter histories are padded
    on the left with NaN.

    Sales files leave out the periods without a sale. With `time` these are put back, because
    they are the observations that say how often nothing is sold. Several records of one
    instance in one period are added up; where one of them is missing, so is the sum.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        The records; it is not changed.

    instance : str
        Column that labels the instance: a product, a store, an ad.

    value : str
        Column of values, usually units sold. NaN, null and None are missing observations, and
        stay missing whatever `fill` says. Text is taken where it reads as a number.

    time : str, default=None
        Column of the period of each record: dates, datetimes (to the microsecond; with a time
        zone, local time counts), whole numbers, or ISO 8601 strings such as ``"2024-03-31"``.
        None: every record is one observation, from oldest to newest in the order of the file,
        and nothing is filled in.

    fill : {"zero", "missing"}, default="zero"
        What a period without a record becomes: 0, or NaN.

    calendar : str or sequence of dates, default=None
        The periods that there are.

        - None: the dates that occur anywhere in the file, which must be without a time of day.
        - A pandas frequency such as ``"D"``, ``"W-MON"`` or ``"MS"``: periods that begin at
          every date of that frequency (every day, Monday, first of a month), from the first date
          in the file to the last. A record belongs to the period that it falls into. Needs pandas.
        - A sequence of dates (whole numbers, if `time` holds these).

    offered : {"own", "all"}, default=None
        The periods of an instance: those from its first to its last record, so that history begins
        and ends with a sale, or all of the calendar, for instances that were on offer all along.
        None: all, if `calendar` is a sequence of dates, else its own. Without `time` it has no
        meaning.

    negatives : {"raise", "clip", "missing"}, default="raise"
        What a negative value is, such as a period with more returns than sales: an error, 0,
        or NaN. It is applied to the sums of periods, before `width`.

    width : int, default=None
        Number of columns: the newest `width` values of every instance, so that the
        tables of all weeks have the same columns. None: the length of the longest history, which
        a mistyped date may make too long for a table.

    Returns
    -------
    pandas or polars DataFrame of shape (n_instances, width)
        Float64 columns ``lag_{width}``, ..., ``lag_2``, ``lag_1``, in units a period. pandas:
        the index holds the instances' labels and is named after their column. polars: the
        labels are the first column, under their own name (so name the others as the
        observations of a problem: ``observations=X.columns[1:]``), and missing values are NaN. The
        labels keep their dtype.

    Raises
    ------
    ValueError
        If a parameter is not allowed, a column is unknown, the frame is empty, a label or
        date is missing, a date cannot be read or is not in the calendar, a value is
        infinite or no number, a value is negative and `negatives` is "raise", or the table would
        have more than 250 million cells and `width` is None.

    ImportError
        If `calendar` is a frequency and pandas is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_pttf.datasets import from_long
    >>> sales = pd.DataFrame(
    ...     {
    ...         "product": ["tea", "tea", "milk", "milk", "milk"],
    ...         "day": ["2024-03-01", "2024-03-04", "2024-03-01", "2024-03-02", "2024-03-02"],
    ...         "units": [3, 5, 10, 7, 2],
    ...     }
    ... )

    Milk was sold on two days; the two sales of the second day are added up. On the days between
    its sales, tea was not sold.

    >>> from_long(sales, instance="product", value="units", time="day", calendar="D")
             lag_4  lag_3  lag_2  lag_1
    product
    milk       NaN    NaN   10.0    9.0
    tea        3.0    0.0    0.0    5.0

    If both were on offer on all days, milk was not sold on the last two.

    >>> from_long(
    ...     sales, instance="product", value="units", time="day", calendar="D", offered="all"
    ... )
             lag_4  lag_3  lag_2  lag_1
    product
    milk      10.0    9.0    0.0    0.0
    tea        3.0    0.0    0.0    5.0
    """
    _check_options(time, fill, calendar, offered, negatives, width)
    source = adapter(frame)
    source.check_columns(instance=instance, value=value, time=time)
    codes, labels = source.encode(instance)
    if np.any(codes < 0):
        raise ValueError(
            f"instance={instance!r} has no label in {np.sum(codes < 0)} of {len(codes)} records; "
            f"every record must say which instance it belongs to."
        )
    refuse = _Refusal(lambda some: source.pick(labels, some))
    values = _read_values(source.numbers(value), codes, value, refuse)
    if time is None:
        places, first, last = place_in_order(codes)
    else:
        places, first, last = place_in_time(codes, source, time, calendar, offered, refuse)
    codes, places, values = _add_up(codes, places, values)
    values = _settle_negatives(values, codes, value, negatives, refuse)
    table = _lay_out(codes, places, values, first, last, 0.0 if fill == "zero" else np.nan, width)
    lags = [f"lag_{lag}" for lag in range(table.shape[1], 0, -1)]
    return source.build(instance, labels, table, lags)


def _check_options(time, fill, calendar, offered, negatives, width):
    for name, chosen, allowed in (
        ("fill", fill, ("zero", "missing")),
        ("offered", "own" if offered is None else offered, ("own", "all")),
        ("negatives", negatives, ("raise", "clip", "missing")),
    ):
        if not isinstance(chosen, str) or chosen not in allowed:
            raise ValueError(f"{name} must be one of {allowed}; got {chosen!r}.")
    if calendar is not None and time is None:
        raise ValueError(
            f"calendar={brief(calendar)} needs time=, the column of dates; got time=None. Without "
            f"dates, calendar must be None."
        )
    whole = isinstance(width, Integral) and not isinstance(width, bool)
    if width is not None and not (whole and width >= 1):
        raise ValueError(f"width must be a whole number of at least 1, or None; got {width!r}.")


class _Refusal:
    """Errors that count the bad cells and name the first instances that have some.

    Parameters
    ----------
    pick : callable
        Gives the labels of an array of instance codes, as a list.
    """

    def __init__(self, pick):
        self._pick = pick

    def __call__(self, parameter, problem, allowed, bad, codes, show=None):
        """Raise if any cell is bad.

        Parameters
        ----------
        parameter, problem, allowed : str
            The parameter with its value, what the bad cells are, and what is right.

        bad, codes : ndarray of shape (n_cells,)
            Which cells are bad, and the instance of every cell.

        show : callable, default=None
            Gives the text of a cell by its number.
        """
        cells = np.flatnonzero(bad)
        if len(cells) == 0:
            return
        some, first = np.unique(codes[cells], return_index=True)
        named = [repr(label) for label in self._pick(some[:SHOWN])]
        if show is not None:
            named = [f"{n}: {show(cell)}" for n, cell in zip(named, cells[first], strict=False)]
        more = ", ..." if len(some) > SHOWN else ""
        raise ValueError(
            f"{parameter} has {len(cells)} {problem} among {len(bad)}; first instances: "
            f"{', '.join(named)}{more}. {allowed}"
        )


# ---- values


def _read_values(cells, codes, value, refuse):
    """Values of the records as float64, NaN where missing."""
    parameter, allowed = f"value={value!r}", "Values must be finite numbers, or missing."

    def show(cell):
        return repr(cells[cell]) if cells.dtype == object else str(cells[cell])

    numbers = cells
    if cells.dtype == object:
        numbers = [_read_number(cell) for cell in cells]
        unreadable = np.array([number is None for number in numbers])
        refuse(parameter, "cells that are no number", allowed, unreadable, codes, show)
        numbers = np.array(numbers)
    refuse(parameter, "infinite cells", allowed, np.isinf(numbers), codes, show)
    return numbers


def _read_number(cell):
    """A cell as a float, None if it is no number."""
    if cell is None:
        return np.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _add_up(codes, places, values):
    """Sum the records of one instance in one period; ordered by instance and period.

    Equal whatever the order of the records, to the last bit.
    """
    n_places = places.max() + 1
    keys = codes * n_places + places
    order = np.lexsort((values, keys))
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    codes, places = np.divmod(keys[starts], n_places)
    return codes, places, np.add.reduceat(values[order], starts)


def _settle_negatives(values, codes, value, negatives, refuse):
    """Values with the negative ones refused, or replaced by 0 or NaN."""
    negative = values < 0
    if negatives == "raise":
        refuse(
            f"value={value!r}",
            "negative cells",
            "Values must not be negative under negatives='raise'; negatives='clip' makes them 0, "
            "negatives='missing' NaN.",
            negative,
            codes,
            lambda cell: str(values[cell]),
        )
    return np.where(negative, 0.0 if negatives == "clip" else np.nan, values)


# ---- the table


def _lay_out(codes, places, values, first, last, blank, width):
    """One row an instance, the newest period in the last column; ``(n_instances, width)``.

    Parameters
    ----------
    codes, places, values : ndarray of shape (n_cells,)
        Instance, period and value of the cells that have a record.

    first, last : ndarray of shape (n_instances,)
        First and last period of every instance.

    blank : float
        Value of the periods between these that have no record.

    width : int or None
        Number of columns; None: the longest history.
    """
    lengths = last - first + 1
    if width is None:
        width = lengths.max()
        if len(first) * width > MOST_CELLS:
            raise ValueError(
                f"{len(first):,} instances of up to {width:,} periods are too many for a table; is "
                "a date wrong? width keeps the newest periods only."
            )
    table = np.full((len(first), width), np.nan)
    table[np.arange(width, 0, -1) <= lengths[:, np.newaxis]] = blank
    back = last[codes] - places
    kept = back < width
    table[codes[kept], width - 1 - back[kept]] = values[kept]
    return table
