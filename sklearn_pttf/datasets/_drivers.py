"""Drivers of a long sales file and of its plan: reading them, one a period, laid out in time.

A driver's cells come from sources: the records of the file, and the lines of plans. Places are
numbers of periods: those of the calendar from 0, and after them the coming ones.
"""

import warnings
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_pttf.datasets._periods import SHOWN
from sklearn_pttf.datasets._prices import mean_prices

MOST_LEVELS = 30  # of a driver of text; a name or a remark is no driver
TRUTH, NUMBER, TEXT = "booleans", "numbers", "text"


@dataclass(frozen=True)
class Column:
    """A driver in one source.

    Parameters
    ----------
    kind : {"booleans", "numbers", "text"} or None
        None: all cells are missing.

    values : ndarray of shape (n_lines,)
        Numbers, or positions in `levels`; NaN where missing.

    levels : tuple of str, default=()
        Of text.

    numbers : ndarray of shape (n_levels,) or None, default=None
        What the levels are as numbers, if all of them read as such.
    """

    kind: str | None
    values: np.ndarray
    levels: tuple = ()
    numbers: np.ndarray | None = None

    def take(self, lines):
        """The same of some lines."""
        return replace(self, values=self.values[lines])

    def as_numbers(self):
        """Text that reads as numbers as these."""
        if self.kind != TEXT:
            return self
        missing = np.isnan(self.values)
        numbers = self.numbers[np.where(missing, 0, self.values).astype(int)]
        return Column(NUMBER, np.where(missing, np.nan, numbers))


@dataclass(frozen=True)
class Source:
    """Lines of a frame that hold drivers.

    Parameters
    ----------
    called : str
        What messages call it.

    rows : ndarray of shape (n_lines,) or None
        Instance of every line; None: lines are about all instances.

    places : ndarray of shape (n_lines,)
        Number of the period of every line.

    columns : dict of str to Column
    """

    called: str
    rows: np.ndarray | None
    places: np.ndarray
    columns: dict


def read_column(records, name):
    """A driver's column of `Records`; a `Column`."""
    dtype = records.dtype(name)
    if dtype.is_numeric() or dtype == nw.Boolean:
        return Column(NUMBER if dtype.is_numeric() else TRUTH, records.numbers(name))
    codes, labels = records.encode(name)
    items = labels.to_list()
    missing = codes < 0
    if dtype in (nw.Categorical, nw.Enum) or (items and _all_are(str, items)):
        levels = tuple(str(item) for item in items)
        numbers = None if dtype in (nw.Categorical, nw.Enum) else _numbers_of(levels)
        kind = TEXT if items else None
        return Column(kind, np.where(missing, np.nan, codes), levels, numbers)
    if not _all_are((Real, Decimal, np.bool_), items):
        raise ValueError(
            f"drivers: column {name!r} of the {records.called} holds values of type "
            f"{', '.join(sorted({type(item).__name__ for item in items}))}; it must hold numbers, "
            "booleans or text."
        )
    values = np.array([float(item) for item in items] + [np.nan])[codes]
    kind = TRUTH if _all_are((bool, np.bool_), items) else NUMBER
    return Column(kind if items else None, values)


def _all_are(types, items):
    return all(isinstance(item, types) for item in items)


def _numbers_of(levels):
    """Texts as numbers, None if one of them is none."""
    try:
        return np.array([float(level) for level in levels])
    except ValueError:
        return None


# ---- from sources to drivers


class Driver:
    """What one column of the file, or of a plan, says of instances and periods.

    Parameters
    ----------
    name : str

    sources : list of Source
        Those that have the column, the file first.

    n_rows, n_periods, horizon : int
        Numbers of instances, of periods of the calendar, and of coming ones.
    """

    def __init__(self, name, sources, n_rows, n_periods, horizon):
        self._shape = n_rows, n_periods, horizon
        columns = _alike(name, sources)
        self.keys, self._levels = [name], None
        if any(column.kind == TEXT for column in columns):
            self._levels = _rank_levels(name, sources, columns, n_periods)
            self.keys = [f"{name}={level}" for level in sorted(self._levels[1:])]
        self._cells = []
        for source, column in zip(sources, columns, strict=True):
            self._cells.append(self._one_a_period(name, source, column))

    def _one_a_period(self, name, source, column):
        """Rows, places and values: one for each instance and period that has a value."""
        known = ~np.isnan(column.values) & (source.places >= 0)
        places, column = source.places[known], column.take(known)
        values = column.values
        if self._levels is not None:
            values = _ranks(name, column, self._levels, source.called)
        if source.rows is None:
            return None, places, values
        return _summarise(source.rows[known], places, values, column.kind)

    def lay_out(self, width):
        """One table for each of `keys`: the newest `width` periods, then the coming ones.

        ndarrays of shape ``(n_instances, width + horizon)``, NaN where nothing is known.
        """
        n_rows, n_periods, horizon = self._shape
        table = np.full((n_rows, width + horizon), np.nan)
        start = n_periods - width  # the period of the first column
        common = [_common(*cells, n_periods) for cells in self._cells if cells[0] is not None]
        about_all = [(places, values) for rows, places, values in self._cells if rows is None]
        for places, values in common[:1] + about_all:
            shown = places >= start
            table[:, places[shown] - start] = values[shown]
        for rows, places, values in reversed(self._cells):  # what the file says counts most
            if rows is not None:
                shown = places >= start
                table[rows[shown], places[shown] - start] = values[shown]
        if self._levels is None:
            return [table]
        ranks = [self._levels.index(level) for level in sorted(self._levels[1:])]
        return [np.where(np.isnan(table), np.nan, table == rank) for rank in ranks]


def _alike(name, sources):
    """The driver's column in every source, of one kind."""
    columns = [source.columns[name] for source in sources]
    if all(column.numbers is not None for column in columns if column.kind == TEXT):
        columns = [column.as_numbers() for column in columns]
    held = {}
    for source, column in zip(sources, columns, strict=True):
        held.setdefault(column.kind, source.called)
        infinite = np.isinf(column.values)
        if infinite.any():
            raise ValueError(
                f"drivers: {name!r} has {infinite.sum()} infinite cells among {len(infinite)} in "
                f"the {source.called}; they must be finite numbers, booleans or text, or missing."
            )
    held.pop(None, None)
    if TEXT in held and len(held) > 1:
        both = " and ".join(f"{kind} in the {called}" for kind, called in held.items())
        raise ValueError(f"drivers: {name!r} is {both}; it must be of one kind.")
    return columns


def _rank_levels(name, sources, columns, n_periods):
    """Levels of text in past periods, the most frequent first."""
    counts = {}
    for source, column in zip(sources, columns, strict=True):
        past = (source.places >= 0) & (source.places < n_periods) & ~np.isnan(column.values)
        found = np.bincount(column.values[past].astype(int), minlength=len(column.levels))
        counts = {k: n for k, n in zip(column.levels, found.tolist(), strict=True) if n}
        if counts:
            break
    if len(counts) > MOST_LEVELS:
        raise ValueError(
            f"drivers: {name!r} is text of {len(counts)} levels; at most {MOST_LEVELS} are "
            "allowed, so that each is seen more than once. Put the rare ones together."
        )
    if len(counts) == 1:
        warnings.warn(
            f"drivers: {name!r} is {next(iter(counts))!r} in all past periods, which says nothing "
            "of demand; it is left out.",
            UserWarning,
            stacklevel=5,
        )
    return sorted(counts, key=lambda level: (-counts[level], level))


def _ranks(name, column, levels, called):
    """Values of a column as positions in ``levels``, beyond them where a level is new."""
    ranks = {level: rank for rank, level in enumerate(levels)}
    of_level = np.array([ranks.get(level, len(levels)) for level in column.levels], dtype=float)
    codes = column.values.astype(int)
    new = [column.levels[k] for k in np.unique(codes) if column.levels[k] not in ranks]
    if new:
        warnings.warn(
            f"drivers: {name!r} has levels in the {called} that no past period has: "
            f"{', '.join(map(repr, new[:SHOWN]))}{', ...' if len(new) > SHOWN else ''}. They "
            "are 0 in every column, as the most frequent level is.",
            UserWarning,
            stacklevel=6,
        )
    return of_level[codes]


def _summarise(rows, places, values, kind):
    """One value for each instance and period: the mean, whether any is true, or the commonest.

    Equal whatever the order of lines, to the last bit.
    """
    if len(values) == 0:
        return rows, places, values
    n_places = places.max() + 1
    keys = rows * n_places + places
    order = np.lexsort((values, keys))
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    rows, places = np.divmod(keys[starts], n_places)
    if kind == TRUTH:
        return rows, places, np.maximum.reduceat(values, starts)
    if kind == NUMBER:
        return rows, places, mean_prices(values, np.zeros(len(values)), starts)
    runs = np.flatnonzero((np.diff(keys, prepend=-1) != 0) | (np.diff(values, prepend=-1) != 0))
    lengths = np.diff(runs, append=len(keys))
    best = np.lexsort((values[runs], -lengths, keys[runs]))  # ties: the level of more lines
    best = best[np.flatnonzero(np.diff(keys[runs][best], prepend=-1))]
    return rows, places, values[runs[best]]


def _common(rows, places, values, n_periods):
    """Periods and values of a driver that is the same for all instances, else none.

    It is if instances never differ in a period, though periods of several instances do: a
    promotion that was seen in one instance only tells nothing of the others.
    """
    low, high = np.full(n_periods, np.inf), np.full(n_periods, -np.inf)
    past = places < n_periods
    places, values = places[past], values[past]
    np.minimum.at(low, places, values)
    np.maximum.at(high, places, values)
    periods = np.flatnonzero(low <= high)
    shared = low[np.bincount(places, minlength=n_periods) > 1]
    common = np.all(low[periods] == high[periods]) and len(np.unique(shared)) > 1
    if not common:
        periods = periods[:0]
    return periods, low[periods]
