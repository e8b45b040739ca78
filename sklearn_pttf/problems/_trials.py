"""Numbers of trials: a number, a column, or a column for each of the observations."""

from numbers import Real

import numpy as np

from sklearn_pttf._utils.checks import (
    column_references,
    describe_rows,
    find_column,
    is_column,
    numeric_columns,
    row_values,
)
from sklearn_pttf._utils.rounding import ROUNDED
from sklearn_pttf.problems._exposure import is_listed

MOST_TRIALS = 1e9  # of an observation: sums over millions of them are still exact in doubles
ALLOWED = f"whole numbers from 1 to {MOST_TRIALS:,.0f}"


def read_trials(trials, coming, X, names, observations):
    """Trials of every observation, and of every row's next outcome.

    Parameters
    ----------
    trials, coming : float, str, Column, list or None
        ``trials`` and ``coming_trials`` of a problem.

    X : ndarray or data frame of shape (n_instances, n_columns)

    names : sequence of str or None

    observations : ndarray of shape (n_instances, n_observations)
        Numbers of successes.

    Returns
    -------
    trials : ndarray of shape (n_instances, n_observations)
        0 where a 0 was seen in no trial, which is no observation.

    coming : ndarray of shape (n_instances,)
        NaN where nothing tells it.

    Raises
    ------
    ValueError
        If a number of trials is missing, no whole number, too large, or less than the successes.
    """
    cells, seen = _cells(trials, X, names, observations.shape[1]), ~np.isnan(observations)
    told = f"trials={trials!r} must be {ALLOWED} where there is an observation"
    _refuse(seen & ~(_are_trials(cells) | (cells == 0)), cells, told)
    _refuse(
        seen & (observations > cells),
        observations,
        "observations must be at most the number of their trials"
        + (", 1 without trials=" if trials is None else f", trials={trials!r}"),
    )
    known = _are_trials(cells) & (seen if is_listed(trials) else True)
    mean = np.where(known, cells, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    usual = np.where(known.any(axis=1), np.ceil(mean - ROUNDED), np.nan)
    if coming is None:
        return cells, usual
    told = row_values(coming, X, names, "coming_trials")
    bad = ~(np.isnan(told) | _are_trials(told))
    _refuse(
        bad[:, None], told[:, None], f"coming_trials must be {ALLOWED}, or missing for the usual"
    )
    return cells, np.where(np.isnan(told), usual, told)


def check_trials(value, name, listed):
    """Refuse what is no number of trials and no column; nor a list of columns if ``listed``."""
    if value is None or is_column(value) or (listed and is_listed(value)):
        return
    number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not number or not _are_trials(np.array(float(value))):
        more = ", or a list of columns, one for each of the observations" if listed else ""
        raise ValueError(
            f"{name} must be {ALLOWED}: a number, a column's name or Column(position){more}; got "
            f"{value!r}."
        )


def trials_references(value):
    """The columns that trials are read from; a tuple."""
    return tuple(value) if is_listed(value) else column_references(value)


def _are_trials(values):
    return (values >= 1) & (values <= MOST_TRIALS) & (values == np.floor(values))


def _cells(trials, X, names, n_cells):
    """Trials as they are given; ``(n, n_cells)``."""
    if not is_listed(trials):
        by_row = row_values(1.0 if trials is None else trials, X, names, "trials")
        return np.repeat(by_row[:, None], n_cells, axis=1)
    positions = [find_column(column, names, X.shape[1], "trials") for column in trials]
    if len(positions) != n_cells:
        raise ValueError(
            f"trials must list a column for each of the {n_cells} columns of observations; got "
            f"{len(positions)}."
        )
    return numeric_columns(X, positions)


def _refuse(bad, values, why):
    """Refuse cells; the message shows the first of each row."""
    rows = bad.any(axis=1)
    if rows.any():
        first = np.take_along_axis(values, bad.argmax(axis=1)[:, None], axis=1)[:, 0]
        raise ValueError(f"{why}; got {describe_rows(rows, first)}.")
