"""Periods that rows share: whether they matter, which cells are theirs, how far they are chance.

Outcomes of one period may have a shock in common, and then are not independent, however many rows
there are. A period is known by a whole number, that of its column.
"""

import numpy as np
from scipy import stats

SHARED = 0.001  # p-value below which columns are taken for periods whose shocks rows share
CHANGED = 0.01  # p-value below which later periods are taken for unlike those before
LEAST_COVERED = 0.5  # of the rows that the best covered period has, of a period that is held out


def newest(portfolio, most):
    """The newest observations of every row, at most so many, and the period of every cell.

    Parameters
    ----------
    portfolio : Portfolio

    most : int

    Returns
    -------
    portfolio : Portfolio
        As it was, if it has no more columns than that.

    periods : ndarray of int of shape (n, m)
        Columns that its cells were in.
    """
    n_rows, n_columns = portfolio.observations.shape
    columns = np.arange(n_columns)
    if n_columns <= most:
        return portfolio, np.broadcast_to(columns, (n_rows, n_columns))
    order = np.where(portfolio.mask, columns, -1)
    kept = np.sort(np.partition(order, n_columns - most, axis=1)[:, -most:], axis=1)
    kept = kept[:, (kept >= 0).any(axis=0)]
    return portfolio.of_cells(kept), kept


def shared_p_value(outcomes):
    """p-value of outcomes that come in any order within every row: small where rows share shocks.

    Friedman's test of the ranks within rows, with cells that may be missing [1]_.

    Parameters
    ----------
    outcomes : ndarray of shape (n, m)

    Returns
    -------
    float

    References
    ----------
    .. [1] J. H. Skillings, G. A. Mack, "On the use of a Friedman-type statistic in balanced and
       unbalanced block designs", Technometrics 23 (1981), 171-177.
    """
    seen = ~np.isnan(outcomes)
    counts = seen.sum(axis=1)
    outcomes, seen, counts = (each[counts > 1] for each in (outcomes, seen, counts))
    ranks = stats.rankdata(np.where(seen, outcomes, np.inf), axis=1)
    ranks = np.where(seen, ranks - (counts[:, None] + 1) / 2, 0.0)
    spread = (ranks**2).sum(axis=1) / (counts - 1)
    together = (seen * (spread / counts)[:, None]).T @ seen
    covariance = np.diag(spread @ seen) - together
    n_free = np.linalg.matrix_rank(covariance, hermitian=True)
    if n_free == 0:
        return 1.0
    total = ranks.sum(axis=0)
    distance = total @ np.linalg.pinv(covariance, hermitian=True) @ total
    return float(stats.chi2.sf(distance, n_free))


def later_are_alike(observations, outcomes):
    """Whether later periods are such as those before: their shocks of about the same size.

    Student's test of the periods' mean ranks within rows.

    Parameters
    ----------
    observations, outcomes : ndarray of shape (n, m), (n, k)

    Returns
    -------
    bool
    """
    table = np.hstack([observations, outcomes])
    seen = ~np.isnan(table)
    ranks = stats.rankdata(np.where(seen, table, np.inf), axis=1) / (seen.sum(axis=1) + 1)[:, None]
    number = seen.sum(axis=0)
    means = np.where(seen, ranks, 0.0).sum(axis=0) / np.maximum(number, 1)
    later = np.arange(table.shape[1]) >= observations.shape[1]
    before, after = means[~later & (number > 0)], means[later & (number > 0)]
    if len(before) < 2 or len(after) < 2:
        return False
    return bool(stats.ttest_ind(before, after).pvalue >= CHANGED)


def well_covered(seen, periods):
    """Periods that many rows have, in order; ndarray of int."""
    n_rows = np.bincount(periods[seen])
    return np.flatnonzero((n_rows > 0) & (n_rows >= LEAST_COVERED * n_rows.max()))


def cells_in(seen, periods, chosen, rng):
    """The cell of every row in each of some periods, another one where it has none.

    Parameters
    ----------
    seen : ndarray of bool of shape (n, m)

    periods : ndarray of int of shape (n, m)

    chosen : sequence of int of length k
        Different periods.

    rng : Generator
        Which other cells there are.

    Returns
    -------
    ndarray of int of shape (n, k)
        Positions of different cells that are seen, below 0 where a row has no more.
    """
    cells = np.full((len(seen), len(chosen)), -1)
    for k, period in enumerate(chosen):
        within = seen & (periods == period)
        has = within.any(axis=1)
        cells[has, k] = within[has].argmax(axis=1)
    rows = np.flatnonzero((cells < 0).any(axis=1))
    left = seen[rows] & ~np.isin(periods[rows], chosen)
    others = np.where(left, rng.random(left.shape), np.inf).argsort(axis=1)
    n_left, n_columns = left.sum(axis=1, keepdims=True), left.shape[1]
    others = np.where(np.arange(n_columns) < n_left, others, -1)
    others = np.pad(others, ((0, 0), (0, 1)), constant_values=-1)
    missing = cells[rows] < 0
    nth = np.clip(missing.cumsum(axis=1) - 1, 0, n_columns)
    cells[rows] = np.where(missing, np.take_along_axis(others, nth, axis=1), cells[rows])
    return cells


def two_way_error(values, periods=None):
    """Standard error of the mean over rows, of values that rows *and* periods share something of.

    The variance over rows plus that over periods less that over cells [1]_, and at least that
    over rows.

    Parameters
    ----------
    values : ndarray of shape (n, m)
        NaN = none. Each row counts by its mean.

    periods : ndarray of int of shape (n, m), default=None
        None: rows are independent.

    Returns
    -------
    float
        Infinity, if all values are of one period.

    References
    ----------
    .. [1] A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering",
       Journal of Business & Economic Statistics 29 (2011), 238-249.

    Examples
    --------
    Two rows whose two periods differ by 2, and hardly anything else:

    >>> import numpy as np
    >>> from sklearn_pttf._tables.periods import two_way_error
    >>> values = np.array([[1.0, 3.0], [1.0, 3.2]])
    >>> periods = np.array([[0, 1], [0, 1]])
    >>> round(two_way_error(values), 2), round(two_way_error(values, periods), 2)
    (0.05, 0.86)
    """
    seen = ~np.isnan(values)
    counts = seen.sum(axis=1, keepdims=True)
    rows = counts[:, 0] > 0
    values, seen, counts = values[rows], seen[rows], counts[rows]
    share = seen / (counts * len(values))
    mean = (np.where(seen, values, 0.0) * share).sum()
    parts = np.where(seen, values - mean, 0.0) * share
    of_rows = _clustered(parts.sum(axis=1))
    if periods is None:
        return float(np.sqrt(of_rows))
    found, number = np.unique(periods[rows][seen], return_inverse=True)
    if len(found) < 2:
        return np.inf
    of_periods, of_cells = _clustered(np.bincount(number, parts[seen])), _clustered(parts[seen])
    return float(np.sqrt(max(of_rows, of_rows + of_periods - of_cells)))


def _clustered(sums):
    """Variance of a total, of independent parts of mean 0."""
    return (sums**2).sum() * len(sums) / (len(sums) - 1)


def students_errors(n_errors, n_periods):
    """Errors estimated from so few periods that say as much as some known ones do."""
    return stats.t.isf(stats.norm.sf(n_errors), n_periods - 1)
