"""The probability integral transform of outcomes, and how often it is below a level."""

import numpy as np
from numpy.polynomial import legendre
from scipy import stats
from sklearn.utils import Bunch, check_array, check_random_state

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._utils.frames import unmasked

CHUNK_CELLS = 200_000  # outcomes whose cdf is asked for in one call, or one column
LEVELS = (0.1, 0.5, 0.9, 0.95)  # that coverage is told of unless others are asked for


def pit_values(law, y, random_state=None):
    """Randomised probability integral transform (PIT) of later outcomes.

    ``u = F(y-) + v * (F(y) - F(y-))``, with F the cdf of the row, ``F(y-)`` the probability
    of less than y, and v uniform on (0, 1). Where the law has no mass at y that is ``F(y)``.
    If the law is right, u is uniform on (0, 1) exactly, for continuous outcomes, whole
    numbers and laws with mass at 0 alike [1]_ [2]_.

    Parameters
    ----------
    law : PredictiveDistribution
        Of n rows, as ``predict_distribution`` gives it.

    y : array-like of shape (n,) or (n, m)
        Later outcomes, which the law did not see, in units of the outcome. NaN = not
        observed.

    random_state : int, RandomState or None, default=None
        Source of v.

    Returns
    -------
    ndarray of the shape of y
        From 0 to 1; NaN where y is.

    Raises
    ------
    ValueError
        If ``law`` is no `PredictiveDistribution`, or ``y`` has another number of rows or
        infinite values.

    See Also
    --------
    coverage_table : How often PITs are at or below a level.
    CalibrationDisplay : Draws it.

    Notes
    -----
    The PITs of a row's m outcomes are *not* independent, even if the law is right: they share
    what the law could not know of the row. Each is uniform over rows.

    The law is asked for about 200,000 outcomes at a time, so a large m needs no more memory than
    y itself.

    References
    ----------
    .. [1] P. K. Dunn, G. K. Smyth, "Randomized quantile residuals", Journal of Computational
       and Graphical Statistics 5 (1996), 236-244.
    .. [2] C. Czado, T. Gneiting, L. Held, "Predictive model assessment for count data",
       Biometrics 65 (2009), 1254-1261.

    Examples
    --------
    >>> from sklearn_pttf.inspection import pit_values
    >>> from sklearn_pttf.testing import LognormalNormal
    >>> portfolio_law = LognormalNormal(4.0, 0.3, 0.3)
    >>> portfolio = portfolio_law.sample(1000, 4, random_state=0)
    >>> y = portfolio.observations[:, 3]
    >>> evidence = portfolio.with_observations(portfolio.observations[:, :3])
    >>> pit = pit_values(portfolio_law.predictive(evidence), y, random_state=0)
    >>> float((pit <= 0.9).mean().round(2))
    0.9
    """
    if not isinstance(law, PredictiveDistribution):
        raise ValueError(
            f"law must be a PredictiveDistribution, as predict_distribution gives it; got {law!r}."
        )
    y = _numbers(y, "y")
    if len(y) != len(law):
        raise ValueError(f"y must have a row for each of the law's {len(law)}; got {len(y)} rows.")
    u = check_random_state(random_state).uniform(size=y.shape)
    outcomes, pit = y.reshape(len(y), -1), u.reshape(len(y), -1)
    step = max(1, CHUNK_CELLS // len(y))
    for start in range(0, outcomes.shape[1], step):
        columns = slice(start, start + step)
        below, at = _cdf_below_and_at(law, outcomes[:, columns])
        pit[:, columns] = below + pit[:, columns] * (at - below)
    u[np.isnan(y)] = np.nan
    return u


def coverage_table(pit, levels=LEVELS):
    """Share of PITs at or below each level, with its standard error.

    If the law is right the share is the level, but for chance. The standard error takes the
    rows as independent and allows for any dependence of a row's outcomes, which share the
    law and the row's level.

    Parameters
    ----------
    pit : array-like of shape (n,) or (n, m)
        From `pit_values`; NaN = not observed.

    levels : float or array-like of shape (k,), default=(0.1, 0.5, 0.9, 0.95)
        Strictly between 0 and 1.

    Returns
    -------
    Bunch
        ``levels``, ``observed`` and ``standard_error``, ndarrays of shape (k,). Shares from 0 to
        1. The standard error is NaN where only one row has outcomes, and says nothing where
        the share is 0 or 1.

    Raises
    ------
    ValueError
        If a level is not strictly between 0 and 1, or ``pit`` has no value or one that is not
        in [0, 1].

    See Also
    --------
    pit_values : The PITs of outcomes under a law.
    CalibrationDisplay : Draws the table.

    Notes
    -----
    Rows of *one* portfolio share also what was read of the portfolio as a whole, and the
    standard error leaves that out: it tells whether the law is right for this portfolio. In a
    small one a deviation of several standard errors need not mean that the method is wrong on
    average. To ask that, give one row a portfolio, ``np.stack([pit.ravel() for pit in pits])``:
    then portfolios are what is independent.

    Examples
    --------
    Outcomes of three rows, the last with one outcome only:

    >>> import numpy as np
    >>> from sklearn_pttf.inspection import coverage_table
    >>> table = coverage_table([[0.2, 0.4], [0.7, 0.6], [0.3, np.nan]], levels=[0.5, 0.9])
    >>> table.observed
    array([0.6, 1. ])
    >>> table.standard_error.round(3)
    array([0.367, 0.   ])
    """
    pit = _numbers(pit, "pit")
    pit = pit.reshape(len(pit), -1)
    levels = np.atleast_1d(check_levels(levels))
    if levels.ndim != 1 or len(levels) == 0:
        raise ValueError(f"levels must be a number or 1-D and not empty; got {levels!r}.")
    outside = ~np.isnan(pit) & ~((pit >= 0) & (pit <= 1))
    if outside.any():
        raise ValueError(f"pit must lie in [0, 1]; got {float(pit[outside][0])!r}.")
    n_seen = (~np.isnan(pit)).sum(axis=1)
    if not n_seen.any():
        raise ValueError("pit must hold a number; got none: every outcome is missing.")
    counts = counts_up_to(pit, levels)
    observed = counts.sum(axis=0) / n_seen.sum()
    n_rows = np.count_nonzero(n_seen)
    correction = n_rows / (n_rows - 1) if n_rows > 1 else np.nan
    variance = correction * row_variance(counts - observed * n_seen[:, None], n_seen)
    return Bunch(levels=levels, observed=observed, standard_error=np.sqrt(variance))


def counts_up_to(pit, levels):
    """How many of a row's PITs are at or below each level; int ndarray of shape (n, k)."""
    return np.stack([(pit <= level).sum(axis=1) for level in levels], axis=1)


def row_variance(deviations, n_seen):
    """Variance of shares from the rows' deviations ``(n, k)`` of their counts; ``(k,)``."""
    return (deviations**2).sum(axis=0) / n_seen.sum() ** 2


def _numbers(values, name):
    """1-D or 2-D numbers or NaN."""
    return check_array(
        unmasked(values),
        dtype=np.float64,
        ensure_2d=False,
        ensure_all_finite="allow-nan",
        input_name=name,
    )


def _cdf_below_and_at(law, y):
    """Chance of less than y and of at most y, of outcomes ``(n, k)``; twice ``(n, k)``.

    The first is the cdf at the next smaller number: a cdf jumps at its atoms only. At 0 that is
    the next *normal* number, since processors may take smaller ones for 0.
    """
    y = np.where(np.isnan(y), 0.0, y)
    smaller = np.where(y == 0, -np.finfo(float).tiny, np.nextafter(y, -np.inf))
    at = np.clip(law.cdf(y), 0.0, 1.0)
    return np.clip(law.cdf(smaller), 0.0, at), at


def smooth_test(pit, order=3, periods=None):
    """p-value of Neyman's smooth test that PITs are uniform.

    Of orders one to three it looks for laws that are too low or high, too wide or narrow, and
    skewed; each by a Legendre polynomial of the PITs [1]_. Values are taken as independent, or,
    with ``periods``, as of the same period in any way dependent: then the statistic is divided by
    how much more sums of periods vary than they would otherwise, if that is more.

    Parameters
    ----------
    pit : ndarray of shape (n,)

    order : int, default=3

    periods : ndarray of int of shape (n,), default=None
        At least two different ones.

    Returns
    -------
    float

    References
    ----------
    .. [1] J. Neyman, "Smooth test for goodness of fit", Skandinavisk Aktuarietidskrift 20 (1937),
       149-199.
    """
    scale = np.sqrt((2 * np.arange(1, order + 1) + 1) / len(pit))
    scores = legendre.legvander(2 * pit - 1, order)[:, 1:] * scale
    statistic = (scores.sum(axis=0) ** 2).sum()
    if periods is None:
        return float(stats.chi2.sf(statistic, order))
    found, number = np.unique(periods, return_inverse=True)
    deviations, sums = scores - scores.mean(axis=0), np.zeros((len(found), order))
    np.add.at(sums, number, deviations)
    inflation = (sums**2).sum(axis=0).mean() * len(found) / (len(found) - 1)
    return float(stats.f.sf(statistic / order / max(inflation, 1.0), order, len(found) - 1))
