"""What rows are, once and for all: columns of text or numbers."""

import warnings
from collections.abc import Iterable

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe

from sklearn_pttf._tables.attributes import label_of
from sklearn_pttf._utils.checks import _is_missing, find_column
from sklearn_pttf._utils.sklearn_private import _safe_indexing


def check_attributes(attributes):
    """Refuse what is no list of columns.

    Raises
    ------
    ValueError
    """
    if attributes is None:
        return
    if isinstance(attributes, str) or not isinstance(attributes, Iterable):
        raise ValueError(f"attributes must be a list of columns, or None; got {attributes!r}.")
    columns = list(attributes)
    twice = [column for k, column in enumerate(columns) if column in columns[:k]]
    if twice:
        raise ValueError(f"attributes lists column {twice[0]!r} twice.")


def attribute_positions(attributes, names, n_columns):
    """Positions of the columns that hold attributes; set of int."""
    check_attributes(attributes)
    return {find_column(column, names, n_columns, "attributes") for column in attributes or ()}


def check_same_attributes(problem, fitted, names, n_columns):
    """Refuse another problem that names other attributes than fit did.

    Raises
    ------
    ValueError
    """
    if problem.attributes is None or problem is fitted:
        return
    own, before = (
        attribute_positions(each.attributes, names, n_columns) for each in (problem, fitted)
    )
    if own != before:
        raise ValueError(
            f"attributes stay as fitted, {fitted.attributes!r}, or are left out for that; got "
            f"{problem.attributes!r}."
        )


def read_attributes(attributes, X, names):
    """Attributes of every row, by the name of their column, or its position.

    Parameters
    ----------
    attributes : list of str, int or Column

    X : ndarray or data frame of shape (n_instances, n_columns)

    names : sequence of str or None

    Returns
    -------
    dict of str to ndarray of shape (n_instances,)
        Numbers, NaN = missing, or labels, None = missing.

    Warns
    -----
    UserWarning
        If an attribute is missing in all rows of several.
    """
    found = {}
    for column in attributes:
        position = find_column(column, names, X.shape[1], "attributes")
        name = f"column {position}" if names is None else str(names[position])
        found[name] = values = _read(X, position, name)
        if len(values) > 1 and not any(not _is_missing(v) for v in values.tolist()):
            warnings.warn(
                f"attributes: {name!r} is missing in all rows, and tells nothing.", stacklevel=6
            )
    return found


def _read(X, position, name):
    """Numbers where all are that are not missing, else labels."""
    cells = _cells(X, position)
    if cells.dtype.kind in "biuf":
        values = cells.astype(float)
    else:
        cells = cells.tolist()
        odd = next((cell for cell in cells if np.ndim(cell)), None)
        if odd is not None:
            raise ValueError(
                f"attributes must hold text or numbers, one a row; {name!r} has {odd!r}."
            )
        cells = [None if _is_missing(cell) or cell == "" else cell for cell in cells]
        if any(
            not isinstance(cell, (bool, int, float, np.number))
            for cell in cells
            if cell is not None
        ):
            return np.array([None if c is None else label_of(c) for c in cells], dtype=object)
        values = np.array([np.nan if cell is None else float(cell) for cell in cells])
    if np.isinf(values).any():
        raise ValueError(f"attributes must be finite numbers; {name!r} has infinite ones.")
    return values


def _cells(X, position):
    """Cells of a column, an array; categories as their labels."""
    if is_into_dataframe(X):
        column = nw.from_native(X, eager_only=True)[:, position]
        if not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
            return np.array([*column.to_list(), None], dtype=object)[:-1]
        if column.null_count() or column.dtype == nw.Boolean:
            cells = [np.nan if _is_missing(cell) else float(cell) for cell in column.to_list()]
            return np.array(cells, dtype=float)
        return column.to_numpy()
    return np.asarray(_safe_indexing(X, [position], axis=1))[:, 0]
