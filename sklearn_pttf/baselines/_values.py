"""Noisy values of any sign: how noisy rows are, how far apart their means, and who takes them."""

import numpy as np
from scipy import optimize

from sklearn_pttf._laws.parametric import NormalLaw, RectifiedNormalLaw, RoundedLaw
from sklearn_pttf._laws.scaled import ScaledLaw
from sklearn_pttf._utils.checks import refuse_negative

LEAST_VARIANCE = 1e-10  # of noise, where observations are of size 1
LEAST_OF_ALL = 1e-280  # of noise, of which one over it is still a number
LEAST_SPREAD = 1e-12  # of observations around their mean; less than that is rounding
LOG_RATIO_RANGE = (-14.0, 42.0)  # of the variance between rows over that of known noise
LOG_RATIO_PRIOR = 20.0  # standard deviation of its weak prior, which breaks ties
FOR_VALUES = "ParametricEmpiricalBayes, NonparametricEmpiricalBayes or JamesStein"


def refuse_values(portfolio, what, instead):
    """Refuse negative observations.

    Parameters
    ----------
    portfolio : Portfolio

    what : str
        What cannot do with them.

    instead : str
        What can.

    Raises
    ------
    ValueError
    """
    why = f"{what} needs observations of at least 0"
    refuse_negative(portfolio.observations, why, f" Use {instead} instead.")


def refuse_exposure(portfolio, family, reading):
    """Refuse counts over an exposure, but for the families that read it."""
    if portfolio.exposure is None or not portfolio.integer:
        return
    if family not in ("auto", *reading):
        named = " or ".join(f"family={each!r}" for each in reading)
        raise ValueError(
            f"exposure needs {named} or 'auto' of whole numbers; got family={family!r}. "
            "Periods that differ, with ordered or drivers, are read as exposure too."
        )


def law_of_rates(law_of, portfolio):
    """Laws of next outcomes over their exposure, from laws of rates.

    Parameters
    ----------
    law_of : callable
        Maps a portfolio without exposures to laws.

    portfolio : Portfolio
    """
    if portfolio.exposure is None:
        return law_of(portfolio)
    law = ScaledLaw(law_of(portfolio.as_rates()), portfolio.coming_exposure())
    return RoundedLaw(law) if portfolio.integer else law


def size_of(x):
    """Standard deviation of all observations; of equal ones, how far they are from 0, or 1."""
    values = np.sort(x[~np.isnan(x)])
    spread, largest = values.std(), np.abs(values).max()
    return float(spread if spread > LEAST_SPREAD * largest else largest or 1.0)


def common_error(x, errors=None):
    """Standard deviation of an observation around its row's mean, of rows that do not know theirs.

    It is pooled over these rows by degrees of freedom. Where none of them has two observations
    it is that of the others, and where nobody's is known half of the total variance is noise.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Observations; NaN = missing. At least one is there.

    errors : ndarray of shape (n,), default=None
        Known standard deviations; NaN = not known.

    Returns
    -------
    float
        Positive.
    """
    known = np.zeros(len(x), dtype=bool) if errors is None else ~np.isnan(errors)
    counts = (~np.isnan(x)).sum(axis=1)
    rows = ~known & (counts >= 2)
    if rows.any():
        squares = np.nanvar(x[rows], axis=1) * counts[rows]
        variance = np.sort(squares).sum() / (counts[rows] - 1).sum()
    elif known.any():
        variance = np.mean(np.sort(errors[known]) ** 2)
    else:
        values = np.sort(x[~np.isnan(x)])
        variance = values.var(ddof=1) / 2 if len(values) > 1 else 0.0
    return float(np.sqrt(max(variance, LEAST_VARIANCE * size_of(x) ** 2, LEAST_OF_ALL)))


def is_poisson(problem):
    """Whether a problem says that its observations are Poisson counts."""
    return getattr(problem, "noise", None) == "poisson"


def poisson_error(x):
    """Standard deviation of a Poisson count whose mean is that of all observations.

    Where nothing was counted it is as if half of one had been.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Counts; NaN = missing. At least one is there.
    """
    seen = ~np.isnan(x)
    return float(np.sqrt(max(x[seen].sum(), 0.5) / seen.sum()))


def row_errors(portfolio, common):
    """Standard deviation of an observation of every row, ``common`` where it is not known; (n,)."""
    if portfolio.errors is None:
        return np.full(len(portfolio), common)
    return np.where(np.isnan(portfolio.errors), common, portfolio.errors)


def law_of_outcome(portfolio, centre, width):
    """Normal laws; of what is not negative with mass at 0, and rounded where it is whole."""
    if portfolio.real:
        return NormalLaw(centre, width)
    law = RectifiedNormalLaw(centre, width)
    return RoundedLaw(law) if portfolio.integer else law


def law_of_means(means, variances):
    """Normal law of rows' true means, by restricted maximum likelihood.

    Parameters
    ----------
    means, variances : ndarray of shape (n,)
        Rows' sample means, and the variances that they have around their true means.

    Returns
    -------
    mean, spread : float
        Mean and standard deviation.
    """
    unit = np.exp(np.mean(np.log(np.sort(variances))))

    def weights_and_mean(log_ratio):
        weights = unit / (np.exp(log_ratio) * unit + variances)
        return weights, (weights * means).sum() / weights.sum()

    def loss(log_ratio):
        weights, mean = weights_and_mean(log_ratio)
        fit = (weights * (means - mean) ** 2).sum() / unit - np.log(weights).sum()
        return (fit + np.log(weights.sum())) / 2 + (log_ratio / LOG_RATIO_PRIOR) ** 2 / 2

    def slope(log_ratio):
        weights, mean = weights_and_mean(log_ratio)
        rise = weights.sum() - (weights**2).sum() / weights.sum()
        rise -= (weights**2 * (means - mean) ** 2).sum() / unit
        return np.exp(log_ratio) * rise / 2 + log_ratio / LOG_RATIO_PRIOR**2

    log_ratio = lowest_ratio(loss, slope, LOG_RATIO_RANGE)
    return float(weights_and_mean(log_ratio)[1]), float(np.sqrt(unit * np.exp(log_ratio)))


def lowest_ratio(loss, slope, ends, step=0.5):
    """Where a function of a logarithm between ``ends`` is least, given its slope."""
    grid = np.linspace(*ends, round((ends[1] - ends[0]) / step) + 1)
    k = int(np.argmin([loss(value) for value in grid]))
    low, high = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
    if slope(low) < 0 < slope(high):  # where a slope is 0 is known better than a minimum
        return optimize.brentq(slope, low, high, xtol=1e-12)
    return grid[k]
