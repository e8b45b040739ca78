"""Data frames of any library."""

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe


def unmasked(values):
    """A masked array as one with NaN where it is masked; all else as it is.

    So is a list of masked rows.
    """
    if isinstance(values, (list, tuple)):
        if not any(isinstance(row, np.ma.MaskedArray) for row in values):
            return values
        values = np.ma.stack(values)
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return values.data
    return values.astype(np.float64 if values.dtype.kind in "biuf" else object).filled(np.nan)


def with_columns(X, positions, values):
    """A table with other values in some columns.

    Parameters
    ----------
    X : ndarray or data frame of shape (n, n_columns)

    positions : sequence of int

    values : ndarray of shape (n, len(positions))

    Returns
    -------
    ndarray or data frame
        A copy, of the same kind.
    """
    if not is_into_dataframe(X):
        X = np.array(X, dtype=object if X.dtype.kind in "OUS" else np.float64)
        X[:, positions] = values
        return X
    frame = nw.from_native(X, eager_only=True)
    names = frame.columns
    return frame.with_columns(
        nw.new_series(names[k], column, backend=frame.implementation)
        for k, column in zip(positions, values.T, strict=True)
    ).to_native()
