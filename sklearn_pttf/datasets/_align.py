"""Which column a period is in: rows that end together, or that begin together."""

import warnings
from dataclasses import replace

import numpy as np

from sklearn_pttf.datasets._periods import SHOWN


def check_align(align, unknown_age, offered, drivers, horizon):
    """Refuse what does not go together with rows that are aligned by age.

    Raises
    ------
    ValueError
    """
    for name, chosen, allowed in (
        ("align", align, ("end", "start")),
        ("unknown_age", unknown_age, ("keep", "drop")),
    ):
        if not isinstance(chosen, str) or chosen not in allowed:
            raise ValueError(f"{name} must be one of {allowed}; got {chosen!r}.")
    if align == "end":
        if unknown_age != "keep":
            raise ValueError(f"unknown_age={unknown_age!r} needs align='start'; got align='end'.")
        return
    if offered == "all":
        raise ValueError(
            "offered='all' must go without align='start': if all instances were on offer in all "
            "periods, none of them has an age. offered must be 'since', 'own' or None."
        )
    for name, given in (("drivers", drivers), ("horizon", horizon if horizon > 1 else None)):
        if given is not None:
            raise ValueError(
                f"{name}={given!r} must go without align='start', as columns are then not the same "
                "periods for all instances, and no period follows the last column of all."
            )


def born(placed, codes, places, values, told):
    """The placement, in which instances begin with the first period that says anything of them.

    A shelf that was empty, before anything was on it, is no part of a life.

    Parameters
    ----------
    placed : Placement

    codes, places, values : ndarray of shape (n_cells,)
        Instance, period and value of the cells that have a record.

    told : dict of ndarray of shape (n_cells,)
        What is told of their stock, by ``"stock"`` or ``"sold_out"``.
    """
    empty = np.zeros(len(codes), dtype=bool)
    for name, each in told.items():
        empty |= each == (0 if name == "stock" else 1)
    says = ~(empty & ~(values > 0))
    first = np.full(len(placed.first), np.iinfo(np.int64).max)
    np.minimum.at(first, codes[says], places[says])
    first = np.where(first > placed.last, placed.first, first)  # of what never was on sale
    from_start = placed.from_start
    if from_start is not None:
        from_start = from_start & (first == placed.first)
    return replace(placed, first=first, from_start=from_start)


def known_ages(placed, unknown_age, labels, parameter):
    """Rows to keep, those of instances whose first period was seen; ndarray of int.

    Parameters
    ----------
    placed : Placement

    unknown_age : {"keep", "drop"}

    labels : Series of narwhals
        Labels of the instances.

    parameter : str
        The parameter of dates with its value, for messages.

    Raises
    ------
    ValueError
        If none is kept.

    Warns
    -----
    UserWarning
        Of rows that are kept though their age is not known.
    """
    every = np.arange(len(labels))
    if placed.from_start is None or not placed.from_start.any():
        return every
    old = np.flatnonzero(placed.from_start)
    shown = ", ".join(map(repr, labels[old[:SHOWN]].to_list()))
    told = (
        f"{len(old):,} of {len(every):,} instances have a record in the first period of "
        f"{parameter} or before it: {shown}{', ...' * (len(old) > SHOWN)}"
    )
    if unknown_age == "keep":
        warnings.warn(
            f"{told}. They may be older than the file, and age_1 is then not the first period of "
            "their life; unknown_age='drop' leaves them out.",
            UserWarning,
            stacklevel=3,
        )
        return every
    if len(old) == len(every):
        raise ValueError(f"unknown_age='drop' would leave nothing: {told}.")
    return every[~placed.from_start]


def periods_of_columns(align, first, end, width):
    """Number of the period of the first column of every instance; ndarray of shape (n_instances,).

    Parameters
    ----------
    align : {"end", "start"}

    first, end : ndarray of shape (n_instances,)
        Numbers of the first period of every instance, and, where rows end together, of the newest
        column.

    width : int
    """
    return first if align == "start" else end - width + 1


def history(start, first, last, width):
    """Which periods instances have; bool ndarray of shape (n_instances, width).

    Parameters
    ----------
    start : ndarray of shape (n_instances,)
        Number of the period of the first column.

    first, last : ndarray of shape (n_instances,)
        Numbers of the first and the last period of every instance.
    """
    places = start[:, np.newaxis] + np.arange(width)
    return (places >= first[:, np.newaxis]) & (places <= last[:, np.newaxis])


def lay_out(codes, columns, values, history, blank):
    """One row an instance, one column a period; of the shape of `history`.

    Parameters
    ----------
    codes, columns, values : ndarray of shape (n_cells,)
        Instance, column, which may lie outside of the table, and value of the cells that have a
        record.

    history : bool ndarray of shape (n_instances, width)
        Which periods instances have.

    blank : float
        Value of the periods that have no record.
    """
    table = np.where(history, blank, np.nan)
    kept = (columns >= 0) & (columns < history.shape[1])
    table[codes[kept], columns[kept]] = values[kept]
    return table


def column_names(align, width, prefix=None):
    """Names of the columns of values, or of what is told beside them, oldest first."""
    if align == "start":
        steps = [f"age_{k}" for k in range(1, width + 1)]
        return steps if prefix is None else [f"{prefix}_{step}" for step in steps]
    return [f"{prefix or 'lag'}_{k}" for k in range(width, 0, -1)]
