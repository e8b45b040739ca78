"""What observations were counted over, and what the next outcome is counted over."""

from collections.abc import Iterable

import numpy as np

from sklearn_pttf._utils.checks import (
    column_references,
    describe_rows,
    find_column,
    numeric_columns,
    row_values,
)


def is_listed(exposure):
    """Whether an exposure is given for every cell, as a list of columns."""
    return isinstance(exposure, Iterable) and not isinstance(exposure, str)


def exposure_positions(exposure, coming, names, n_columns):
    """Positions of the columns that hold exposures; set of int."""
    listed = list(exposure) if is_listed(exposure) else column_references(exposure)
    positions = {find_column(column, names, n_columns, "exposure") for column in listed}
    for column in column_references(coming):
        positions.add(find_column(column, names, n_columns, "coming_exposure"))
    return positions


def same_exposure(left, right):
    """Whether two exposures are given by the same number, column or columns."""
    if is_listed(left) and is_listed(right):
        return list(left) == list(right)
    return not is_listed(left) and not is_listed(right) and left == right


def read_exposure(exposure, coming, X, names, observations):
    """Exposure of every observation, and of every row's next outcome.

    Parameters
    ----------
    exposure, coming : float, str, Column, list or None
        As `Newsvendor` takes them.

    X : ndarray or data frame of shape (n_instances, n_columns)

    names : sequence of str or None

    observations : ndarray of shape (n_instances, n_observations)

    Returns
    -------
    exposure : ndarray of shape (n_instances, n_observations) or None

    coming : ndarray of shape (n_instances,) or None
        NaN where nothing tells it.
    """
    if exposure is None:
        if coming is not None:
            raise ValueError(
                f"coming_exposure={coming!r} needs exposure, what observations were counted over; "
                "got exposure=None."
            )
        return None, None
    seen = ~np.isnan(observations)
    cells = _cells(exposure, X, names, observations.shape[1])
    bad = seen & ~(np.isfinite(cells) & (cells > 0))
    if bad.any():
        rows = bad.any(axis=1)
        values = cells[np.arange(len(cells)), bad.argmax(axis=1)]
        raise ValueError(
            "exposure must be positive and finite where there is an observation; got "
            f"{describe_rows(rows, values)}."
        )
    known = np.isfinite(cells) & (cells > 0)
    of_next = known & seen if is_listed(exposure) else known
    usual = np.where(of_next, cells, 0.0).sum(axis=1) / np.maximum(of_next.sum(axis=1), 1)
    usual = np.where(of_next.any(axis=1), usual, np.nan)
    if coming is None:
        return cells, usual
    told = row_values(coming, X, names, "coming_exposure")
    bad = ~(np.isnan(told) | (np.isfinite(told) & (told > 0)))
    if bad.any():
        raise ValueError(
            "coming_exposure must be positive and finite, or missing for the row's usual one; got "
            f"{describe_rows(bad, told)}."
        )
    return cells, np.where(np.isnan(told), usual, told)


def _cells(exposure, X, names, n_observations):
    """Exposures as they are given, one a cell."""
    if not is_listed(exposure):
        by_row = row_values(exposure, X, names, "exposure")
        return np.repeat(by_row[:, None], n_observations, axis=1)
    positions = [find_column(c, names, X.shape[1], "exposure") for c in exposure]
    if len(positions) != n_observations:
        raise ValueError(
            f"exposure must list a column for each of the {n_observations} columns of "
            f"observations; got {len(positions)}."
        )
    return numeric_columns(X, positions)
