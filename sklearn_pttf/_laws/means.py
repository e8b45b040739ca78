"""The law of a row's mean, from the law of its outcomes."""

import numpy as np
from scipy.special import gammaincinv, ndtri

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.horizon import LEVELS, covariance_of_periods


def law_of_mean(predict, portfolio, law):
    """Law of every row's mean, from how a first later outcome moves the mean of a second.

    The covariance of two later outcomes is the variance of the mean, given what is known.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the laws of its rows' next outcomes.

    portfolio : Portfolio

    law : PredictiveDistribution
        What ``predict`` gives for ``portfolio``.

    Returns
    -------
    QuantileGrid
    """
    variance = covariance_of_periods(predict, portfolio, law)
    return law_of_moments(law.mean(), variance, portfolio.real and law.lowest < 0)


def law_of_moments(mean, variance, real):
    """Laws with given means: normal ones, or gamma laws of what is not negative.

    Parameters
    ----------
    mean, variance : ndarray of shape (n,)

    real : bool
        Whether values may be negative.

    Returns
    -------
    QuantileGrid
    """
    mean, variance = mean[:, None], variance[:, None]
    if real:
        return QuantileGrid(mean + np.sqrt(variance) * ndtri(LEVELS), LEVELS, lowest=-np.inf)
    known = (variance <= 0) | (mean <= 0)
    shape = np.where(known, 1.0, mean**2 / np.where(known, 1.0, variance))
    law = QuantileGrid(np.where(known, mean, mean / shape * gammaincinv(shape, LEVELS)), LEVELS)
    found = law.mean()[:, None]  # not quite the mean, of a law between a few quantiles
    return law.with_quantiles(law.quantiles * (mean / np.where(found > 0, found, 1.0)))
