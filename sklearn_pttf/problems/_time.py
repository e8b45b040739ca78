"""Roles of tables in the order of time: drivers of demand, past and planned, and seasons."""

from collections.abc import Iterable, Mapping
from numbers import Integral

import numpy as np

from sklearn_pttf._utils.checks import MOST_PERIODS, find_column, numeric_columns
from sklearn_pttf.problems._column_order import (
    are_alike,
    check_match,
    check_order,
    warn_of_other_names,
)
from sklearn_pttf.problems._stock import stock_positions, told_of_stock

AUTO = "auto"  # seasons that are looked for


def check_time(problem):
    """Refuse roles that make no sense, whatever X is.

    Raises
    ------
    ValueError
    """
    if not isinstance(problem.ordered, (bool, np.bool_)):
        raise ValueError(f"ordered must be True or False; got {problem.ordered!r}.")
    drivers, seasons = problem.drivers, problem.seasons
    if drivers is not None and not (isinstance(drivers, Mapping) and drivers):
        raise ValueError(
            f"drivers must be a dict from names to lists of columns, or None; got {drivers!r}."
        )
    for name, columns in (drivers or {}).items():
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            raise ValueError(f"drivers[{name!r}] must be a list of columns; got {columns!r}.")
    if seasons is None:
        return
    if not problem.ordered:
        raise ValueError(f"seasons need ordered=True; got seasons={seasons!r} without it.")
    if isinstance(seasons, str) and seasons == AUTO:
        return
    lengths = tuple(seasons) if isinstance(seasons, Iterable) else (seasons,)
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) and n > 1 for n in lengths)
    if isinstance(seasons, str) or not whole:
        raise ValueError(
            "seasons must be numbers of periods above 1, such as (52,) or (7, 364), 'auto' or "
            f"None; got {seasons!r}."
        )
    if len(set(lengths)) < len(lengths):
        raise ValueError(f"seasons must differ; got {seasons!r}.")


def in_time(problem):
    """Whether a problem says of periods that they differ: by their order, or by drivers."""
    return bool(problem.ordered) or problem.drivers is not None


def refuse_further_periods(y, problem):
    """Refuse later outcomes beyond the periods that a decision in time is made for."""
    n_periods = np.shape(y)[1] if np.ndim(y) > 1 else 1
    if in_time(problem) and n_periods != problem.horizon:
        raise ValueError(
            f"y must have {problem.horizon} column{'s' if problem.horizon > 1 else ''} with "
            f"ordered or drivers, one for each period that is decided for; got {n_periods}. Append "
            "earlier periods to X; the estimator's own score rolls through several."
        )


def season_lengths(seasons):
    """Numbers of periods after which seasons come back, sorted, or "auto"."""
    if seasons is None or isinstance(seasons, str):
        return seasons or ()
    lengths = seasons if isinstance(seasons, Iterable) else (seasons,)
    return tuple(sorted({int(n) for n in lengths}))


def driver_positions(problem, names, n_columns):
    """Positions of the columns of every driver; list of list of int."""
    check_time(problem)
    return [
        [find_column(column, names, n_columns, f"drivers[{name!r}]") for column in columns]
        for name, columns in (problem.drivers or {}).items()
    ]


def check_columns(problem, names, positions, n_columns):
    """Refuse observations, drivers or stock whose names say that they are of other periods.

    Parameters
    ----------
    problem : DecisionProblem

    names : sequence of str or None
        Of all columns.

    positions : sequence of int
        Of observations.

    n_columns : int
    """
    if names is None:
        return
    observations = [names[k] for k in positions]
    if problem.ordered:
        check_order(observations, "observations")
    warn_of_other_columns(problem, observations)
    told = told_of_stock(problem)
    if told is not None:
        own = [names[k] for k in stock_positions(problem, names, n_columns)]
        if problem.ordered and not are_alike(own, observations):
            check_order(own, told)
        check_match(own, observations, told)
    of_drivers = driver_positions(problem, names, n_columns)
    for name, columns in zip(problem.drivers or (), of_drivers, strict=True):
        own = [names[k] for k in columns]
        if problem.ordered:
            check_order(own, f"drivers[{name!r}]")
        check_match(own, observations, f"drivers[{name!r}]")


def warn_of_other_columns(problem, names):
    """Warn of columns that nobody named, and that are taken for the newest periods."""
    if problem.ordered and problem.observations is None:
        warn_of_other_names(names)


def read_drivers(problem, X, names, n_observations):
    """Drivers of every observation, and of all coming periods that there are columns of.

    Returns
    -------
    drivers : ndarray of shape (n_instances, n_observations, n_drivers) or None

    planned : ndarray of shape (n_instances, n_planned, n_drivers) or None
        NaN where a value is not known; at least ``horizon`` periods.
    """
    if problem.drivers is None:
        return None, None
    values = []
    positions = driver_positions(problem, names, X.shape[1])
    widest = max(len(columns) for columns in positions)
    for name, columns in zip(problem.drivers, positions, strict=True):
        _check_number(name, len(columns), n_observations, problem.horizon)
        found = numeric_columns(X, columns, f"drivers[{name!r}]")
        unknown = ((0, 0), (0, widest - len(columns)))
        values.append(np.pad(found, unknown, constant_values=np.nan))
    table = np.stack(values, axis=-1)
    return table[:, :n_observations], table[:, n_observations:]


def _check_number(name, number, n_observations, horizon):
    """Refuse a driver of too few columns, or of more than there can be."""
    least, most = n_observations + horizon, n_observations + MOST_PERIODS
    if least <= number <= most:
        return
    allowed = f"{least} or more" if number < least else f"{most} at most"
    raise ValueError(
        f"drivers[{name!r}] must have a column for each of the {n_observations} observations and "
        f"of the {horizon} periods that are decided for, oldest first: {allowed}; got {number}."
    )
