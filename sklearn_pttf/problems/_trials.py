"""Numbers of trials: a number, a column, or a column for each of the observations."""

import numpy as np

from sklearn_pttf._validation import (
    column_references,
    describe_rows,
    find_column,
    numeric_columns,
    row_values,
)

MOST_TRIALS = 1e9  # of which sums and likelihoods still have digits enough


def read_trials(value, X, names, observations):
    """Trials of every observation, and the observations; ``(n, m)`` each.

    What was seen in no trial is no observation.

    Raises
    ------
    ValueError
        If a number of trials is missing, no whole number, or too small or large.
    """
    trials = _trials_of_cells(value, X, names, observations.shape[1])
    seen = ~np.isnan(observations)
    _refuse(seen & np.isnan(trials), trials, f"trials={value!r} must be given for observations")
    _refuse(
        seen & ~_are_trials(trials),
        trials,
        f"trials must be whole numbers from 0 to {MOST_TRIALS:g}",
    )
    _refuse(
        seen & (observations > trials),
        observations,
        f"observations must be at most their trials={value!r}",
    )
    return trials, np.where(seen & (trials > 0), observations, np.nan)


def read_coming(value, trials, X, names):
    """Trials of every row's next outcome; ``(n,)``.

    Parameters
    ----------
    value : float, str, Column or None
        ``coming_trials`` of a problem. None: as ``trials``, and of trials of each observation the
        row's mean, rounded up.

    trials : float, str, Column, list or None
        ``trials`` of the problem.
    """
    if value is None and isinstance(trials, (list, tuple)):
        cells = _trials_of_cells(trials, X, names, len(trials))
        known = _are_trials(cells)
        total = np.where(known, cells, 0.0).sum(axis=1)
        mean = total / np.maximum(known.sum(axis=1), 1)
        return np.where(total > 0, np.ceil(mean - 1e-9), 1.0)
    name = "trials" if value is None else "coming_trials"
    value = trials if value is None else value
    coming = row_values(1.0 if value is None else value, X, names, name)
    _refuse(
        ~_are_trials(coming)[:, None],
        coming[:, None],
        f"{name}={value!r} must be whole numbers from 0 to {MOST_TRIALS:g} for what comes next",
    )
    return coming


def check_trials(value, name, cells):
    """Refuse what is no number of trials, no column, and no list of columns if ``cells``."""
    listed = cells and isinstance(value, (list, tuple)) and len(value) > 0
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))
    good = bool(_are_trials(np.array(float(value)))) if number else bool(column_references(value))
    if not (value is None or listed or good):
        more = ", or a list of columns, one for each of the observations" if cells else ""
        raise ValueError(
            f"{name} must be a whole number from 0 to {MOST_TRIALS:g}, a column's name or "
            f"Column(position){more}; got {value!r}."
        )


def _are_trials(values):
    with np.errstate(invalid="ignore"):
        return (values >= 0) & (values <= MOST_TRIALS) & (values == np.floor(values))


def _trials_of_cells(value, X, names, n_cells):
    """Trials as a parameter gives them; ``(n, n_cells)``."""
    if not isinstance(value, (list, tuple)):
        of_row = row_values(1.0 if value is None else value, X, names, "trials")
        return np.repeat(of_row[:, None], n_cells, axis=1)
    if len(value) != n_cells:
        raise ValueError(
            "trials must list a column for each of the observations, in their order; got "
            f"{len(value)} columns of trials and {n_cells} of observations."
        )
    positions = [find_column(column, names, X.shape[1], "trials") for column in value]
    return numeric_columns(X, positions, name="trials")


def _refuse(bad, values, why):
    """Refuse cells; the message shows the first of each row."""
    rows = bad.any(axis=1)
    if rows.any():
        first = np.take_along_axis(values, bad.argmax(axis=1)[:, None], axis=1)[:, 0]
        raise ValueError(f"{why}; got {describe_rows(rows, first)}.")
