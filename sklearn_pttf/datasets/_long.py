"""From a long sales file, one record a row, to one row an instance."""

import re
import sys
from datetime import date, datetime
from numbers import Integral

import numpy as np

SHOWN = 5  # offenders that an error message names
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")


def from_long(
    frame,
    *,
    instance,
    value,
    time=None,
    fill="zero",
    calendar=None,
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

        - None: the dates that occur anywhere in the file. An instance has those from its
          first to its last date.
        - A pandas frequency such as ``"D"`` or ``"W-MON"``: all periods of that frequency,
          counted from the first date in the file. An instance has those from its first to its
          last date. Needs pandas.
        - A sequence of dates (whole numbers, if `time` holds these): every instance has
          every date of the calendar.

        The first two know nothing of the time before an instance's first and after its last
        record, so that history begins and ends with a sale. For instances that were on offer
        all along, give the dates.

    negatives : {"raise", "clip", "missing"}, default="raise"
        What a negative value is, such as a period with more returns than sales: an error, 0,
        or NaN. It is applied to the sums of periods, before `width`.

    width : int, default=None
        Number of columns: the newest `width` values of every instance, so that the
        tables of all weeks have the same columns. None: the length of the longest history.

    Returns
    -------
    pandas or polars DataFrame of shape (n_instances, width)
        Float64 columns ``lag_{width}``, ..., ``lag_2``, ``lag_1``, in units a period. pandas:
        the index holds the instances' labels and is named after their column. polars: the
        labels are the first column, under their own name, and missing values are NaN. The
        labels keep their dtype.

    Raises
    ------
    ValueError
        If a parameter is not allowed, a column is unknown, the frame is empty, a label or
        date is missing, a date cannot be read or is not in the calendar, a value is
        infinite or no number, or a value is negative and `negatives` is "raise".

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

    With the dates themselves, milk was not sold on the last two days either.

    >>> days = pd.date_range("2024-03-01", "2024-03-04")
    >>> from_long(sales, instance="product", value="units", time="day", calendar=days)
             lag_4  lag_3  lag_2  lag_1
    product
    milk      10.0    9.0    0.0    0.0
    tea        3.0    0.0    0.0    5.0
    """
    _check_options(time, fill, calendar, negatives, width)
    source = _adapter(frame)
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
        places, first, last = _place_in_order(codes)
    else:
        places, first, last = _place_in_time(codes, source, time, calendar, refuse)
    codes, places, values = _add_up(codes, places, values)
    values = _settle_negatives(values, codes, value, negatives, refuse)
    table = _lay_out(codes, places, values, first, last, 0.0 if fill == "zero" else np.nan, width)
    lags = [f"lag_{lag}" for lag in range(table.shape[1], 0, -1)]
    return source.build(instance, labels, table, lags)


def _check_options(time, fill, calendar, negatives, width):
    for name, chosen, allowed in (
        ("fill", fill, ("zero", "missing")),
        ("negatives", negatives, ("raise", "clip", "missing")),
    ):
        if not isinstance(chosen, str) or chosen not in allowed:
            raise ValueError(f"{name} must be one of {allowed}; got {chosen!r}.")
    if calendar is not None and time is None:
        raise ValueError(
            f"calendar={_brief(calendar)} needs time=, the column of dates; got time=None. Without "
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


# ---- periods


def _place_in_order(codes):
    """Number the records of every instance from 0, in the order of the file.

    Returns
    -------
    places : ndarray of shape (n_records,)
        Number of the period of every record.

    first, last : ndarray of shape (n_instances,)
        Numbers of the first and the last period of every instance.
    """
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    places = np.empty(len(codes), dtype=np.int64)
    places[np.argsort(codes, kind="stable")] = np.arange(len(codes)) - np.repeat(starts, counts)
    return places, np.zeros_like(counts), counts - 1


def _place_in_time(codes, source, time, calendar, refuse):
    """Number the records by their period; returns as `_place_in_order` does."""
    parameter = f"time={time!r}"
    date_codes, labels = source.encode(time)
    refuse(parameter, "missing dates", "Every record needs a date.", date_codes < 0, codes)
    items = source.to_numpy(labels)
    dates, readable = _read_dates(items, parameter)
    refuse(
        parameter,
        "unreadable dates",
        "Dates must be dates, datetimes, whole numbers, or ISO 8601 strings such as '2024-03-31'.",
        ~readable[date_codes],
        codes,
        lambda cell: repr(items[date_codes[cell]]),
    )
    periods = _read_calendar(calendar, dates, parameter)
    refuse(
        parameter,
        "dates outside the calendar",
        f"Every date must be in calendar={_brief(calendar)}.",
        ~np.isin(dates, periods)[date_codes],
        codes,
        lambda cell: _show_date(dates[date_codes[cell]]),
    )
    places = np.searchsorted(periods, dates)[date_codes]
    if calendar is None or isinstance(calendar, str):
        return places, *_span(codes, places, len(periods))
    first = np.zeros(codes.max() + 1, dtype=np.int64)
    return places, first, first + len(periods) - 1


def _span(codes, places, n_periods):
    """First and last period of every instance that has a record; two ``(n_instances,)``."""
    first = np.full(codes.max() + 1, n_periods - 1)
    last = np.zeros_like(first)
    np.minimum.at(first, codes, places)
    np.maximum.at(last, codes, places)
    return first, last


def _read_calendar(calendar, dates, parameter):
    """The periods that there are, in order; ``(n_periods,)``."""
    if calendar is None:
        return np.unique(dates)
    if isinstance(calendar, str):
        return _regular_dates(calendar, dates, parameter)
    try:
        items = np.asarray(list(calendar))
        if items.ndim != 1 or len(items) == 0:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            "calendar must be None, a pandas frequency such as 'D', or a sequence of at least one "
            f"date; got {calendar!r}."
        ) from None
    periods, readable = _read_dates(items, "calendar")
    if not np.all(readable):
        bad = items[~readable]
        raise ValueError(
            f"calendar has {len(bad)} unreadable dates among {len(items)}: "
            f"{', '.join(map(repr, bad[:SHOWN].tolist()))}{', ...' if len(bad) > SHOWN else ''}."
        )
    if periods.dtype != dates.dtype:
        kinds = {"i": "whole numbers", "M": "dates"}
        raise ValueError(
            f"calendar must hold {kinds[dates.dtype.kind]}, as {parameter} does; got "
            f"{kinds[periods.dtype.kind]}."
        )
    return np.unique(periods)


def _regular_dates(frequency, dates, parameter):
    """All periods of a pandas frequency, from the first date to the last."""
    if dates.dtype.kind != "M":
        raise ValueError(
            f"calendar={frequency!r} is a frequency, but {parameter} holds whole numbers; the "
            f"calendar must then be a sequence of whole numbers, or None."
        )
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(
            f"calendar={frequency!r} is a frequency, which needs pandas; install it, or give the "
            f"dates of the calendar."
        ) from None
    try:
        periods = pd.date_range(dates.min(), dates.max(), freq=frequency)
    except ValueError as error:
        raise ValueError(
            f"calendar must be None, a pandas frequency such as 'D', or a sequence of dates; got "
            f"{frequency!r} ({error})."
        ) from None
    return periods.to_numpy().astype("datetime64[us]")


def _read_dates(items, parameter):
    """Dates as int64 or datetime64[us], and which of them could be read."""
    kind = items.dtype.kind
    if kind == "M":
        return items.astype("datetime64[us]"), ~np.isnat(items)
    if kind in "iu":
        return items.astype(np.int64), np.ones(len(items), dtype=bool)
    if kind == "f":
        whole = np.isfinite(items) & (items == np.rint(items))
        return np.where(whole, items, 0).astype(np.int64), whole
    if kind in "OUT":
        dates = np.array([_read_date(item) for item in items], dtype="datetime64[us]")
        return dates, ~np.isnat(dates)
    raise ValueError(
        f"{parameter} must hold dates, datetimes, whole numbers or ISO 8601 strings; got values of "
        f"type {items.dtype}."
    )


def _read_date(item):
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
        item = item.replace(tzinfo=None)
    if isinstance(item, (date, np.datetime64)):
        return np.datetime64(item, "us")
    return np.datetime64("NaT", "us")


def _show_date(moment):
    """``2024-03-31``, with the time of day unless it is midnight; whole numbers as they are."""
    return str(moment).removesuffix("T00:00:00.000000")


def _brief(calendar):
    return repr(calendar) if isinstance(calendar, str) else f"<{type(calendar).__name__}>"


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
    width = int(lengths.max()) if width is None else int(width)
    table = np.full((len(first), width), np.nan)
    table[np.arange(width, 0, -1) <= lengths[:, np.newaxis]] = blank
    back = last[codes] - places
    kept = back < width
    table[codes[kept], width - 1 - back[kept]] = values[kept]
    return table


# ---- frames


def _adapter(frame):
    """The frame behind the few methods that `from_long` needs of it."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        source = _PandasSource(frame)
    elif polars is not None and isinstance(frame, polars.DataFrame):
        source = _PolarsSource(frame)
    else:
        raise ValueError(
            f"frame must be a pandas or polars DataFrame; got {type(frame).__module__}."
            f"{type(frame).__name__}."
        )
    if len(frame) == 0:
        raise ValueError("frame is empty; it must have at least one record.")
    return source


class _Source:
    """A data frame, read column by column.

    A subclass gives

    - ``encode(name)``: codes ``(n_records,)`` of the labels in a column, -1 where missing, and
      the labels in sorted order;
    - ``pick(labels, codes)`` and ``to_numpy(labels)``: some labels as a list, all as an array;
    - ``numbers(name)``: a column as float64, or as objects with None for missing if it does
      not hold numbers;
    - ``build(instance, labels, table, lags)``: the result.
    """

    def __init__(self, frame):
        self.frame = frame

    def check_columns(self, **parameters):
        """Refuse columns that the frame lacks, or has twice."""
        columns = list(self.frame.columns)
        for parameter, name in parameters.items():
            if columns.count(name) != 1 and not (parameter == "time" and name is None):
                raise ValueError(
                    f"{parameter}={name!r} is the name of {columns.count(name)} columns of the "
                    f"frame; it must be the name of one of {', '.join(map(repr, columns))}."
                )


class _PandasSource(_Source):
    def encode(self, name):
        import pandas as pd

        codes, labels = pd.factorize(self.frame[name])
        try:
            order = labels.argsort()
        except TypeError:  # labels that cannot be compared
            return codes, labels
        ranks = np.empty(len(order) + 1, dtype=np.int64)
        ranks[order], ranks[-1] = np.arange(len(order)), -1
        return ranks[codes], labels.take(order)

    def pick(self, labels, codes):
        return labels.take(codes).tolist()

    def to_numpy(self, labels):
        return np.asarray(labels.infer_objects())

    def numbers(self, name):
        from pandas.api.types import is_complex_dtype, is_numeric_dtype

        column = self.frame[name]
        if is_numeric_dtype(column) and not is_complex_dtype(column):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return column.to_numpy(dtype=object, na_value=None)

    def build(self, instance, labels, table, lags):
        import pandas as pd

        return pd.DataFrame(table, index=labels.rename(instance), columns=lags)


class _PolarsSource(_Source):
    def encode(self, name):
        import polars as pl

        column = self.frame[name]
        if column.dtype == pl.Object:
            raise ValueError(
                f"column {name!r} has the polars dtype Object, which cannot be sorted; labels and "
                f"dates must have another dtype, such as String, an integer or Date."
            )
        if column.dtype.is_float():
            column = column.fill_nan(None)
        order = column.arg_sort(nulls_last=True).to_numpy()
        ordered = column.gather(order)
        runs = ordered.rle_id().to_numpy().astype(np.int64)
        starts = np.flatnonzero(np.diff(runs, prepend=-1))
        codes = np.empty(len(runs), dtype=np.int64)
        codes[order] = np.where(ordered.is_null().to_numpy(), -1, runs)
        return codes, ordered.gather(starts).drop_nulls()

    def pick(self, labels, codes):
        return labels.gather(codes).to_list()

    def to_numpy(self, labels):
        if getattr(labels.dtype, "time_zone", None) is not None:
            labels = labels.dt.replace_time_zone(None)
        return labels.to_numpy()

    def numbers(self, name):
        import polars as pl

        column = self.frame[name]
        if column.dtype.is_numeric():
            return column.cast(pl.Float64).to_numpy()
        return np.fromiter(column.to_list(), dtype=object, count=len(column))

    def build(self, instance, labels, table, lags):
        import polars as pl

        if instance in lags:
            raise ValueError(
                f"instance={instance!r} is also the name of a column of the result; it must not be "
                f"one of lag_1 to {lags[0]}."
            )
        columns = {lag: table[:, k] for k, lag in enumerate(lags)}
        return pl.DataFrame({instance: labels, **columns})
