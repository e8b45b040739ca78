"""From a long sales file, one record a row, to one row an instance."""

from collections import Counter
from collections.abc import Iterable
from numbers import Integral

import numpy as np

from sklearn_pttf._utils.checks import MOST_PERIODS
from sklearn_pttf._utils.stock_columns import refuse_other_than_stock
from sklearn_pttf.datasets._align import (
    born,
    check_align,
    column_names,
    history,
    known_ages,
    lay_out,
    periods_of_columns,
)
from sklearn_pttf.datasets._clocks import check_zone, uncounted
from sklearn_pttf.datasets._drivers import read_column
from sklearn_pttf.datasets._frames import Records, build
from sklearn_pttf.datasets._labels import warn_of_spellings
from sklearn_pttf.datasets._numbers import read_numbers
from sklearn_pttf.datasets._periods import SHOWN, brief, place_in_order, place_in_time
from sklearn_pttf.datasets._plans import (
    check_drivers,
    driver_roles,
    lay_out_drivers,
    place_drivers,
    read_plans,
)
from sklearn_pttf.datasets._prices import lay_out_prices, mean_prices, settle_prices
from sklearn_pttf.datasets._stock import check_stock, settle_stock, stock_of_periods
from sklearn_pttf.datasets._wild import LARGEST, settle_wild

ALLOWED = "Numbers must be at most 2**53 in size; give them in a larger unit."
MOST_CELLS = 250_000_000  # of a table whose width nobody asked for; 2 GB


def from_long(
    frame,
    *,
    instance,
    value,
    time=None,
    price=None,
    stock=None,
    sold_out=None,
    drivers=None,
    future=None,
    horizon=1,
    fill="zero",
    calendar=None,
    time_zone=None,
    offered=None,
    partial="drop",
    negatives="raise",
    wild="keep",
    width=None,
    align="end",
    unknown_age="keep",
    return_roles=False,
):
    """Turn a long sales file into one row per instance.

    A sales file has one record a sale: an instance, perhaps a date, and a value, and perhaps what
    moved demand. The result has one row an instance and one column a period. Rows are in the sorted
    order of the labels, as the frame's library sorts them, or in order of first appearance where
    labels cannot be compared (numbers mixed with text). All rows end at the same column: ``lag_1``
    holds the newest value of every instance, ``lag_2`` the one before it, and so on to the left.
    Shorter histories are padded on the left with NaN. With `align` "start" rows begin together: a
    column is then an age.

    Sales files leave out the periods without a sale. With `time` these are put back, because
    they are the observations that say how often nothing is sold. Several records of one
    instance in one period are added up; where one of them is missing, so is the sum.

    Parameters
    ----------
    frame : pandas or polars DataFrame, or pyarrow Table
        The records; it is not changed. Other eager data frames that narwhals knows, such as
        those of modin, are taken too.

    instance : str
        Column that labels the instance: a product, a store, an ad.

    value : str
        Column of values, usually units sold. NaN, null and None are missing observations, and
        stay missing whatever `fill` says. Text is taken where it reads as a number
        of one meaning; 1.600 may be 1.6 or 1600, and is refused.

    time : str, default=None
        Column of the period of each record: dates, datetimes (to the microsecond; with a time
        zone, local time counts), whole numbers, or ISO 8601 strings such as ``"2024-03-31"``.
        None: every record is one observation, from oldest to newest in the order of the file,
        and nothing is filled in.

    price : str, default=None
        Column of the price of a unit, above 0, at which a record's value came about. A record
        without a value needs none. The result then has columns of prices beside those of values,
        for `Pricing`. Several records of one instance in one period have the mean of their
        prices, weighted by value (returns weigh nothing; the plain mean where nothing was sold).
        Where `fill` is "zero", a period without a record has the last price before it, or
        else the first after it, which is an assumption: the file does not tell what nobody paid.

    stock : str, default=None
        Column of what could be sold at most, at least 0, in units; missing or inf: enough. The
        result then has columns of it beside those of values. A period that sold all its stock asked
        for at least that, and one without any says nothing. Where any of several records of one
        instance in one period sold all that it had, the stock of the period is what it sold; else
        it is the sum of theirs, missing if one is. A period without a record is taken to have had
        enough: one that had nothing needs a record of value 0 and stock 0.

    sold_out : str, default=None
        Where only that is known: column that is true or 1 where nothing was left, and false or 0,
        or missing, where something was. A period is sold out if any of its records is. Not
        together with `stock`.

    drivers : list of str, default=None
        Columns of what moves demand and is known beforehand: promotions, prices, weather. They are
        in the file, in `future`, or in both, and hold numbers, booleans or text. The result has
        columns of each for past periods and for the coming ones.

        - Several records of one instance in one period: the mean of numbers, whether any of
          booleans is true, and the most frequent text. Missing cells play no part.
        - Text, unless all of it reads as numbers, and categories become a 0/1 driver for each level
          of past periods but the most frequent one, such as ``weather=rain``; at most 30 levels.
          Where a later level is new, all of these are 0, with a warning.
        - A period without a record has what `future` says of it. Else, a driver such as a holiday,
          which differs between periods of several instances but never between instances of one
          period, is taken to be common to all. Any other is not known: NaN.

        Needs `time`, and goes without `price`, which may itself be one of the drivers.

    future : data frame or list of data frames, default=None
        What drivers are in the coming periods: plans, with one line for each instance and period,
        or for each period only where there is no column named as `instance`. Every driver is a
        column of just one of them, and each has a column named as `time`. The coming periods are
        the `horizon` ones after the last of the calendar; without a frequency, the first
        dates after it that any plan has. All must be there, but an instance may be missing,
        with a warning: its driver is then unknown, NaN. Lines of past periods say what the file
        does not; lines of instances that the file lacks, or of later periods, play no part. None:
        nothing is known of the coming periods, and drivers are NaN in them.

    horizon : int, default=1
        Number of coming periods that are decided for, at most 100.

    fill : {"zero", "missing"}, default="zero"
        What a period without a record becomes: 0, or NaN, and its price with it.

    calendar : str or sequence of dates, default=None
        The periods that there are.

        - None: the dates that occur anywhere in the file, which must be without a time of day.
        - A pandas frequency such as ``"D"``, ``"W-MON"`` or ``"MS"``: periods that begin at
          every date of that frequency (every day, Monday, first of a month), from the first date
          in the file to the last. A record belongs to the period that it falls into. Needs pandas.
        - A sequence of dates (whole numbers, if `time` holds these).

    time_zone : str, default=None
        Whose time counts, such as ``"Europe/Berlin"``. Moments of other zones are told in its time.
        Where a `calendar` has periods of less than a day, those that its clocks skip or repeat in
        spring and autumn are missing, with a warning: nobody could buy anything in an hour that
        never was, and one that came twice sold twice. None: the zone of the column, if it has one.
        Needs pandas.

    offered : {"own", "all", "since"}, default=None
        The periods of an instance: those from its first to its last record, so that history begins
        and ends with a sale; all of the calendar, for instances that were on offer all along; or
        those since its first record. None: all, if `calendar` is a sequence of dates; else since
        the first with `drivers` or `return_roles`, and its own without. Without `time` it has no
        meaning.

    partial : {"drop", "keep"}, default="drop"
        What becomes of a first or last period that the file covers in part, such as the week that
        it ends in. Such periods are found if `calendar` is a frequency of more than a day, and the
        file has records on at least half of all days: the first is partial if its first record
        comes later in it than in any other period, the last if its last record comes earlier.
        "drop": they are left out with a `PartialPeriodsWarning`.

    negatives : {"raise", "clip", "missing"}, default="raise"
        What a negative value is, such as a period with more returns than sales: an error, 0,
        or NaN. It is applied to the sums of periods, before `width`.

    wild : {"keep", "missing"}, default="keep"
        What a single value is that lies far beyond all others, such as 9,999,999 among tens: more
        than 1,000 times the median of its instance's values above 0, and 100 times all but a tenth
        of them. Either way a warning names it; "missing" takes it for not observed.

    width : int, default=None
        Number of columns: the newest `width` values of every instance, so that the
        tables of all weeks have the same columns. None: the length of the longest history, which
        a mistyped date may make too long for a table.

    align : {"end", "start"}, default="end"
        Which periods share a column. "end": the newest values of all instances. "start": those of
        one age, ``age_1`` for the first period with a record, ``age_2`` for the next; `width` then
        keeps the first periods. Use it for the first weeks of launches. What an instance has not
        lived to see is NaN, on the right. A period without a record up to the end of the calendar
        is one of no sales (see `fill`), also after the last record, since a launch that failed is
        one of few records; for instances that were taken off the market say ``offered="own"``:
        theirs then end with their last record. Empty shelves before the first sale, as `stock` or
        `sold_out` tells them, are no part of a life. Goes without `drivers`, a `horizon` above 1,
        and ``offered="all"``. The first period may be shorter than others if launches are in the
        middle of one.

    unknown_age : {"keep", "drop"}, default="keep"
        Where `align` is "start", what becomes of instances with a record in the first period of the
        calendar, or before it in a period that is left out: they may be older than the file. "keep"
        takes it for their first period, with a warning; "drop" leaves their rows out. Slow movers
        that are older may still be among the others: begin the file well before the launches.
        Without `time` every instance begins with its first record.

    return_roles : bool, default=False
        Whether to return what the columns are too. Needs `time`, and goes without `price`.

    Returns
    -------
    X : DataFrame or Table of shape (n_instances, n_columns)
        Of the frame's library. Float64 columns ``lag_{width}``, ..., ``lag_2``, ``lag_1``, in units
        a period; with `price` then ``price_{width}``, ..., ``price_2``, ``price_1``, in money a
        unit; with `stock` likewise ``stock_{width}``, ..., ``stock_1``, in units a period, or with
        `sold_out` ``sold_out_{width}``, ..., ``sold_out_1``, 1 or 0; for each of `drivers`, such as
        promo, ``promo_{width}``, ..., ``promo_1`` beside the values, then ``promo_next1``, ...,
        ``promo_next{horizon}``. With `drivers` or `return_roles` all rows end at the last period of
        the calendar, so that a column is one period for all rows; periods after an instance's last
        are NaN. With ``align="start"`` the columns are ``age_1``, ``age_2``, ..., ``age_{width}``,
        and beside them ``price_age_1``, ``stock_age_1`` or ``sold_out_age_1``, and so on. pandas:
        the index holds the instances' labels and is named after their column.
        Others have no index: the labels are the first column, under their own name (so name the
        others as the observations of a problem: ``observations=X.columns[1:]`` of polars), and
        missing values are NaN. The labels keep their dtype.

    roles : dict
        Only with `return_roles`: parameters of a problem that reads `X`, as in
        ``Newsvendor(4.0, 1.0, **roles)``. The columns of ``observations``; ``ordered``, which is
        True, and is not there with ``align="start"``; where there are some, the columns of
        ``stock`` or ``sold_out``, and of each of ``drivers``; and ``horizon``, if above 1.

    Raises
    ------
    ValueError
        If a parameter is not allowed, a column is unknown, the frame is empty, a label or date is
        missing, a date cannot be read or is not in the calendar, a value is infinite, larger than
        2**53 or no number, stock is negative, `sold_out` is neither true nor false, a value is
        negative and `negatives` is "raise", no instance is left by ``unknown_age="drop"``, a record
        has a value but no price or one that is not above 0, an instance with periods to fill in has
        no price at all, or the table would have more than 250 million cells and `width` is None. Of
        drivers: if they are infinite or of mixed kinds, text of too many levels, or without any
        past value; if `future` lacks a driver or a coming period, or has two lines of one instance
        and period; or two columns of the result would have one name.

    ImportError
        If `calendar` is a frequency and pandas is not installed.

    See Also
    --------
    calendar_drivers : Weekdays, months and holidays as drivers.

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

    With prices: on its second day milk was sold at 1.10 and at 0.65, and tea had its old price
    until it was sold at another one.

    >>> sales["euros"] = [4.0, 3.5, 1.0, 1.1, 0.65]
    >>> X = from_long(
    ...     sales, instance="product", value="units", time="day", price="euros", calendar="D"
    ... )
    >>> X.filter(like="price")
             price_4  price_3  price_2  price_1
    product
    milk         NaN      NaN      1.0      1.0
    tea          4.0      4.0      4.0      3.5

    With a promotion, which is planned for milk on March 5:

    >>> sales["promo"] = [False, True, False, True, True]
    >>> plan = pd.DataFrame(
    ...     {"product": ["tea", "milk"], "day": "2024-03-05", "promo": [False, True]}
    ... )
    >>> X, roles = from_long(
    ...     sales, instance="product", value="units", time="day", calendar="D",
    ...     drivers=["promo"], future=plan, return_roles=True,
    ... )
    >>> X.filter(like="promo")
             promo_4  promo_3  promo_2  promo_1  promo_next1
    product
    milk         0.0      1.0      NaN      NaN          1.0
    tea          0.0      NaN      NaN      1.0          0.0
    >>> from sklearn_pttf.problems import Newsvendor
    >>> problem = Newsvendor(underage=4.0, overage=1.0, **roles)

    The first two weeks of cakes that were launched in the third, fifth and sixth week of a file;
    bread is older. Nobody knows the second week of the youngest yet.

    >>> bakery = pd.DataFrame(
    ...     {
    ...         "product": ["bread"] * 3 + ["plum", "plum", "pear", "fig"],
    ...         "week": [1, 2, 6, 3, 4, 5, 6],
    ...         "units": [80, 75, 78, 6, 9, 2, 7],
    ...     }
    ... )
    >>> from_long(
    ...     bakery, instance="product", value="units", time="week",
    ...     align="start", width=2, unknown_age="drop",
    ... )
             age_1  age_2
    product
    fig        7.0    NaN
    pear       2.0    0.0
    plum       6.0    9.0
    """
    _check_options(time, fill, calendar, offered, partial, negatives, wild, width)
    names = _check_roles(time, price, drivers, future, horizon, return_roles)
    check_align(align, unknown_age, offered, drivers, horizon)
    told = check_stock(stock, sold_out)
    records, plans = Records(frame), read_plans(future)
    own = driver_roles([name for name in names if name in records])
    records.check_columns(instance=instance, value=value, time=time, price=price, **told, **own)
    check_drivers(records, plans, names)
    codes, labels = _read_instances(records, instance)
    warn_of_spellings(labels.to_list(), f"instance={instance!r}")
    refuse = _Refusal(lambda some: labels[some].to_list())
    values, prices = _read_amounts(records, value, price, codes, refuse)
    told = {
        name: _read_stock(records, name, each, values, codes, refuse) for name, each in told.items()
    }
    moved = {name: read_column(records, name) for name in own.values()}
    together = bool(names) or return_roles
    if time is None:
        placed = place_in_order(codes)
    else:
        if offered is None:
            offered = _default_offered(calendar, together, align)
        check_zone(time_zone)
        placed = place_in_time(codes, records, time, calendar, offered, partial, time_zone, refuse)
    values = settle_wild(values, codes, wild, f"value={value!r}", refuse.pick, placed.dates)
    said = place_drivers(names, moved, plans, placed, codes, instance, time, labels, horizon)
    told = {
        name: stock_of_periods(name, each, values, codes, placed.places)
        for name, each in told.items()
    }
    read = codes, placed.places, values
    codes, places, values, prices = _add_up(codes, placed.places, values, prices)
    refuse(
        f"value={value!r}", "periods of a sum that is too large", ALLOWED, _too_large(values), codes
    )
    values = _settle_negatives(values, codes, places, read, value, negatives, refuse)
    if align == "start":
        placed = born(placed, codes, places, values, told)
    first, last = placed.first, placed.last
    end, rows = last, np.arange(len(labels))
    if align == "start":
        rows = known_ages(placed, unknown_age, labels, f"time={time!r}")
    elif together:
        end = np.full(len(labels), len(placed.calendar) - 1)
    n_tables = 1 + (price is not None) + len(told) + sum(len(driver.keys) for driver in said)
    width = _width(first[rows], end[rows], width, n_tables)
    start = periods_of_columns(align, first, end, width)
    own, at = history(start, first, last, width), places - start[codes]
    tables = [lay_out(codes, at, values, own, 0.0 if fill == "zero" else np.nan)]
    if placed.calendar is not None:
        bad = uncounted(placed.calendar, placed.calendar.zone)
        own_periods = np.clip(start[:, None] + np.arange(width), 0, len(bad) - 1)
        tables[0][bad[own_periods] & own] = np.nan
    columns = observations = column_names(align, width)
    if price is not None:
        named = f"price={price!r}"
        tables.append(lay_out_prices(codes, at, prices, own, fill == "zero", refuse, named))
        columns = observations + column_names(align, width, "price")
    of_stock = {name: column_names(align, width, name) for name in told}
    tables += [lay_out(codes, at, each, own, np.nan) for each in told.values()]
    more, roles = lay_out_drivers(said, [str(k) for k in range(width, 0, -1)], horizon)
    columns = columns + [c for part in (of_stock, roles) for each in part.values() for c in each]
    _check_names(columns)
    X = build(instance, labels[rows], np.hstack(tables + more)[rows], columns)
    if not return_roles:
        return X
    found = {"observations": observations} | ({"ordered": True} if align == "end" else {})
    return X, found | _roles(of_stock, roles, horizon)


def _check_options(time, fill, calendar, offered, partial, negatives, wild, width):
    for name, chosen, allowed in (
        ("fill", fill, ("zero", "missing")),
        ("offered", "own" if offered is None else offered, ("own", "all", "since")),
        ("partial", partial, ("drop", "keep")),
        ("negatives", negatives, ("raise", "clip", "missing")),
        ("wild", wild, ("keep", "missing")),
    ):
        if not isinstance(chosen, str) or chosen not in allowed:
            raise ValueError(f"{name} must be one of {allowed}; got {chosen!r}.")
    if calendar is not None and time is None:
        raise ValueError(
            f"calendar={brief(calendar)} needs time=, the column of dates; got time=None. Without "
            f"dates, calendar must be None."
        )
    if width is not None and not _is_count(width):
        raise ValueError(f"width must be a whole number of at least 1, or None; got {width!r}.")


def _check_roles(time, price, drivers, future, horizon, return_roles):
    """Names of drivers, a list; refuses what does not go together."""
    if not isinstance(return_roles, (bool, np.bool_)):
        raise ValueError(f"return_roles must be True or False; got {return_roles!r}.")
    if not _is_count(horizon) or horizon > MOST_PERIODS:
        raise ValueError(
            f"horizon must be a whole number from 1 to {MOST_PERIODS}; got {horizon!r}."
        )
    listed = isinstance(drivers, Iterable) and not isinstance(drivers, str)
    names = list(drivers) if listed else []
    if drivers is not None and not 0 < len(names) == len(set(names)):
        raise ValueError(
            f"drivers must be a list of different columns, at least one, or None; got {drivers!r}."
        )
    if future is not None and drivers is None:
        raise ValueError(
            "future needs drivers=, the columns of future that move demand; got drivers=None."
        )
    for name, given in (("drivers", drivers), ("return_roles", return_roles or None)):
        if given is None:
            continue
        if time is None:
            raise ValueError(
                f"{name}={given!r} needs time=, the column of periods, which instances share; got "
                "time=None."
            )
        if price is not None:
            raise ValueError(
                f"{name}={given!r} must go without price, as a problem of prices has no roles in "
                f"time; got price={price!r}. A price that is known beforehand is one of drivers."
            )
    return names


def _default_offered(calendar, together, align):
    """Which periods an instance has where nobody says it."""
    if align == "start":
        return "since"
    return "all" if _is_dates(calendar) else "since" if together else "own"


def _check_names(columns):
    counts = Counter(columns)
    twice = [column for column, n in counts.items() if n > 1]
    if twice:
        raise ValueError(
            f"drivers: two columns of the result would be {twice[0]!r}; drivers must be named so "
            "that all columns differ."
        )


def _roles(stock, drivers, horizon):
    """Parameters of a problem that reads what is beside the observations; dict."""
    roles = dict(stock)
    if drivers:
        roles["drivers"] = drivers
    if horizon > 1:
        roles["horizon"] = int(horizon)
    return roles


def _is_count(number):
    return isinstance(number, Integral) and not isinstance(number, bool) and number >= 1


def _is_dates(calendar):
    return calendar is not None and not isinstance(calendar, str)


def _read_instances(records, instance):
    """Codes of the instances of all records, and their labels; see `Records.encode`."""
    codes, labels = records.encode(instance)
    if np.any(codes < 0):
        raise ValueError(
            f"instance={instance!r} has no label in {np.sum(codes < 0)} of {len(codes)} records; "
            f"every record must say which instance it belongs to."
        )
    return codes, labels


class _Refusal:
    """Errors that count the bad cells and name the first instances that have some.

    Parameters
    ----------
    pick : callable
        Gives the labels of an array of instance codes, as a list.
    """

    def __init__(self, pick):
        self.pick = pick

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
        named = [repr(label) for label in self.pick(some[:SHOWN])]
        if show is not None:
            named = [f"{n}: {show(cell)}" for n, cell in zip(named, cells[first], strict=False)]
        more = ", ..." if len(some) > SHOWN else ""
        raise ValueError(
            f"{parameter} has {len(cells)} {problem} among {len(bad)}; first instances: "
            f"{', '.join(named)}{more}. {allowed}"
        )


# ---- values


def _read_amounts(records, value, price, codes, refuse):
    """Values and prices of the records; the latter None if there is no such column."""
    values = _read_numbers(records.numbers(value), codes, f"value={value!r}", "Values", refuse)
    if price is None:
        return values, None
    named = f"price={price!r}"
    prices = _read_numbers(records.numbers(price), codes, named, "Prices", refuse)
    return values, settle_prices(prices, values, codes, named, refuse)


def _read_stock(records, name, column, values, codes, refuse):
    """What records say of stock, or of being sold out; ndarray of shape (n_records,)."""
    named = f"{name}={column!r}"
    cells, infinite = records.numbers(column), name == "stock"
    told = _read_numbers(cells, codes, named, "They", refuse, infinite=infinite)
    told = settle_stock(name, told, codes, named, refuse)
    refuse_other_than_stock(name, told, values)
    return told


def _read_numbers(cells, codes, parameter, what, refuse, infinite=False):
    """Values or prices of the records as float64, NaN where missing; infinite ones if they may."""
    allowed = f"{what} must be finite numbers, or missing."

    def show(cell):
        return repr(cells[cell]) if cells.dtype == object else str(cells[cell])

    numbers = cells
    if cells.dtype == object:
        _refuse_thousands(cells, parameter, codes, refuse)
        numbers = [_read_number(cell) for cell in cells]
        unreadable = np.array([number is None for number in numbers])
        refuse(parameter, "cells that are no number", allowed, unreadable, codes, show)
        numbers = np.array(numbers)
    if not infinite:
        refuse(parameter, "infinite cells", allowed, np.isinf(numbers), codes, show)
    refuse(parameter, "cells that are too large", ALLOWED, _too_large(numbers), codes, show)
    return numbers


def _refuse_thousands(cells, parameter, codes, refuse):
    """Refuse text such as 1.600, which may be 1.6 or 1600."""
    texts = sorted({cell for cell in cells if isinstance(cell, str) and "." in cell})
    found = read_numbers(texts)
    if found.doubt is not None:
        doubtful = {text for text, bad in zip(texts, found.doubtful, strict=True) if bad}
        text, low, high = found.doubt
        refuse(
            parameter,
            "cells of text that may be thousands",
            f"{text!r} may be {low} or {high}: make numbers of the text.",
            np.array([isinstance(cell, str) and cell in doubtful for cell in cells]),
            codes,
        )


def _too_large(numbers):
    return (np.abs(numbers) > LARGEST) & ~np.isinf(numbers)


def _read_number(cell):
    """A cell as a float, None if it is no number."""
    if cell is None:
        return np.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _add_up(codes, places, values, prices=None):
    """Sum the records of one instance in one period; ordered by instance and period.

    With the mean of their prices. Equal whatever the order of the records, to the last bit.
    Records of no period are left out.
    """
    placed = places >= 0
    codes, places, values = codes[placed], places[placed], values[placed]
    prices = None if prices is None else prices[placed]
    n_places = places.max() + 1
    keys = codes * n_places + places
    order = np.lexsort((values, keys) if prices is None else (prices, values, keys))
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    codes, places = np.divmod(keys[starts], n_places)
    if prices is not None:
        prices = mean_prices(prices[order], values, starts)
    return codes, places, np.add.reduceat(values, starts), prices


class NegativeSumsError(ValueError):
    """Periods have values that add up to less than 0.

    Parameters
    ----------
    message : str

    records : bool ndarray of shape (n_records,)
        Those below 0 in such periods.
    """

    def __init__(self, message, records):
        super().__init__(message)
        self.records = records


def _settle_negatives(values, codes, places, read, value, negatives, refuse):
    """Values with the negative ones refused, or replaced by 0 or NaN.

    Parameters
    ----------
    values, codes, places : ndarray of shape (n_cells,)

    read : tuple of ndarray of shape (n_records,)
        Codes, places and values of records.

    value, negatives : str

    refuse : callable
    """
    negative = values < 0
    if negatives == "raise":
        try:
            refuse(
                f"value={value!r}",
                "negative cells",
                "Values must not be negative under negatives='raise'; negatives='clip' makes them "
                "0, negatives='missing' NaN.",
                negative,
                codes,
                lambda cell: str(values[cell]),
            )
        except ValueError as error:
            n_places = places.max() + 1
            cells = read[0] * n_places + read[1]
            inside = np.isin(cells, (codes * n_places + places)[negative]) & (read[1] >= 0)
            raise NegativeSumsError(str(error), inside & (read[2] < 0)) from None
    return np.where(negative, 0.0 if negatives == "clip" else np.nan, values)


def _width(first, end, width, n_tables):
    """Number of columns: what was asked for, or the longest history.

    Parameters
    ----------
    first, end : ndarray of shape (n_instances,)
        Numbers of the first period of every instance, and of its newest column.

    width : int or None

    n_tables : int
        How many tables of this width the result has.
    """
    if width is not None:
        return width
    width = max((end - first).max() + 1, 1)
    if n_tables * len(first) * width > MOST_CELLS:
        raise ValueError(
            f"{len(first):,} instances of up to {width:,} periods are too many for a table; "
            "is a date wrong? width keeps some of the periods only."
        )
    return width
