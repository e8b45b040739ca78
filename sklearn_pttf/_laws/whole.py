"""Quantiles of whole numbers at many levels, by tables of what is reached at each."""

import numpy as np

MANY_LEVELS = 12  # that are sooner looked up in a table of whole numbers
MOST_TABULATED = 4096  # of these in a row
TABLE_CELLS = 1_000_000  # of such tables that are in memory together, 8 MB


def tabled_quantiles(law, tau, first, last, otherwise, missed=0.0):
    """Quantiles of laws of whole numbers, by one table of the cdf for all levels of a row.

    Parameters
    ----------
    law : PredictiveDistribution

    tau : ndarray of shape (n, k)
        Levels.

    first, last : ndarray of shape (n,)
        Whole numbers that no quantile is below, or above.

    otherwise : callable
        Maps laws and levels to quantiles, where too many numbers lie between the two.

    missed : float, default=0.0
        Share of a level that cdfs may miss by rounding: what is so close is reached.

    Returns
    -------
    ndarray of shape (n, k)
    """
    width = last - first + 1
    out = np.empty(tau.shape)
    wide = width > MOST_TABULATED
    if wide.any():
        rows = np.flatnonzero(wide)
        out[rows] = otherwise(law.take(rows), tau[rows])
    order = np.argsort(width, kind="stable")
    order = order[~wide[order]]
    step = TABLE_CELLS // MOST_TABULATED
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        counts = first[rows, None] + np.arange(int(width[rows[-1]]))
        for row, numbers, reached in zip(rows, counts, law.take(rows).cdf(counts), strict=True):
            place = np.searchsorted(reached, tau[row] * (1 - missed))
            out[row] = numbers[np.minimum(place, len(numbers) - 1)]
    return out
