"""Summaries of rows and portfolios, on which priors and data are compared."""

import numpy as np

SUMMARIES = ("level", "dispersion", "zero_share", "peak")
LEVEL, PEAK = (SUMMARIES.index(name) for name in ("level", "peak"))


def row_summaries(observations):
    """Summaries of every row's observations.

    Parameters
    ----------
    observations : ndarray of shape (..., n_observations)
        NaN = not observed.

    Returns
    -------
    ndarray of shape (..., 4)
        Mean; standard deviation over mean; share of zeros; largest over mean. A ratio to a
        mean of zero is 0, as is the dispersion of one observation. An empty row is NaN.
    """
    observations = np.ascontiguousarray(observations)  # sums depend on the layout by a rounding
    seen = ~np.isnan(observations)
    count = seen.sum(axis=-1)
    values = np.where(seen, observations, 0.0)
    safe_count = np.maximum(count, 1)
    mean = values.sum(axis=-1) / safe_count
    squares = np.where(seen, (values - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    deviation = np.sqrt(squares / np.maximum(count - 1, 1))
    safe_mean = np.where(mean > 0, mean, 1.0)
    zeros = ((values == 0) & seen).sum(axis=-1) / safe_count
    largest = values.max(axis=-1, initial=0.0)
    out = np.stack([mean, deviation / safe_mean, zeros, largest / safe_mean], axis=-1)
    out[count == 0] = np.nan
    return out


def portfolio_summaries(observations):
    """Means and spreads over rows of the row summaries.

    Parameters
    ----------
    observations : ndarray of shape (..., n_rows, n_observations)
        Every portfolio has a row with an observation.

    Returns
    -------
    ndarray of shape (..., 8)
    """
    rows = row_summaries(observations)
    count = (~np.isnan(observations)).sum(axis=-1)
    with np.errstate(divide="ignore"):
        rows[..., LEVEL] = np.log(np.maximum(rows[..., LEVEL], 0.5 / np.maximum(count, 1)))
        rows[..., PEAK] = np.log1p(rows[..., PEAK])
    weight = (count > 0)[..., None] / (count > 0).sum(axis=-1)[..., None, None]
    rows = np.nan_to_num(rows)
    mean = (rows * weight).sum(axis=-2)
    spread = np.sqrt((((rows - mean[..., None, :]) ** 2) * weight).sum(axis=-2))
    return np.concatenate([mean, spread], axis=-1)


def mid_ranks(values, reference):
    """Share of a sorted reference sample below each value, ties counted half."""
    below = np.searchsorted(reference, values, side="left")
    up_to = np.searchsorted(reference, values, side="right")
    return (below + up_to) / (2 * len(reference))
