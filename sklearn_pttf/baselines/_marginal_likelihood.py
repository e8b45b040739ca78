"""Hyperparameters of conjugate families that make rows likely, whatever their levels."""

import numpy as np
from scipy import optimize, special

from sklearn_pttf.baselines._values import LEAST_VARIANCE, lowest_ratio

LARGEST_SHAPE = 1e6  # of a gamma or beta: no spread beyond
LARGE_SUM = 1e8  # of counts, whose gamma functions lose digits
LOG_RATIO_RANGE = (-14.0, 14.0)  # of the variance between rows over that within
LOG_RATIO_PRIOR = 5.0  # standard deviation of its weak prior, which breaks ties


def beta_binomial(hits, counts):
    """Maximum-likelihood beta distribution of the rows' probabilities.

    Parameters
    ----------
    hits, counts : ndarray of shape (n,)
        Number of successes and of trials of every row.

    Returns
    -------
    a, b : float
        Both parameters of the beta distribution; ``a`` is 0 where there is no success, ``b``
        where there is nothing else.
    """
    if hits.sum() == 0 or hits.sum() == counts.sum():
        return (0.0, 1.0) if hits.sum() == 0 else (1.0, 0.0)
    (hits, counts), weights = np.unique([hits, counts], axis=1, return_counts=True)

    def loss(parameters):
        share, size = special.expit(parameters[0]), np.exp(parameters[1])
        a, b = share * size, (1 - share) * size
        fit = special.betaln(a + hits, b + counts - hits) - special.betaln(a, b)
        return -np.sum(weights * fit)

    share = (weights * hits).sum() / (weights * counts).sum()
    bounds = [(-20.0, 20.0), (np.log(1e-3), np.log(LARGEST_SHAPE))]
    start = np.clip(special.logit(share), *bounds[0])
    best = _lowest(loss, start, np.linspace(-2, 6, 9), bounds)
    share, size = special.expit(best[0]), np.exp(best[1])
    return float(share * size), float((1 - share) * size)


def zero_share(n_zero, n_positive, a, b):
    """Probability that the next outcome is zero, under a beta distribution of rows' shares.

    Parameters
    ----------
    n_zero, n_positive : ndarray of shape (n,)
        Number of zeros and of other observations of every row.

    a, b : float
        Of the beta distribution, as `beta_binomial` gives them.

    Returns
    -------
    ndarray of shape (n,)
    """
    if a == 0:  # no zero in fit; a later row's count against one more observation
        return n_zero / (n_zero + n_positive + 1)
    if b == 0:  # nothing but zeros in fit
        return (1 + n_zero) / (1 + n_zero + n_positive)
    return (a + n_zero) / (a + b + n_zero + n_positive)


def gamma_poisson(sums, counts):
    """Maximum-likelihood gamma distribution of the rows' Poisson means.

    Parameters
    ----------
    sums, counts : ndarray of shape (n,)
        Sum and number of the observations of every row; some sum is positive.

    Returns
    -------
    shape, rate : float
    """
    (sums, counts), weights = np.unique([sums, counts], axis=1, return_counts=True)

    large = sums > LARGE_SUM

    def loss(parameters):
        mean, shape = np.exp(parameters)
        # by log1p of ratios, which are exact where the shape is large
        fit = _log_rising(shape, sums) + sums * np.log(mean / shape)
        fit = fit - (shape + sums) * np.log1p(counts * mean / shape)
        if large.any():
            fit[large] = _log_mass_of_large(shape, sums[large], counts[large] * mean)
        return -np.sum(weights * fit)

    mean = np.log((weights * sums).sum() / (weights * counts).sum())
    bounds = [(mean - 5, mean + 5), (np.log(1e-3), np.log(LARGEST_SHAPE))]
    mean, shape = np.exp(_lowest(loss, mean, np.linspace(-4, 10, 15), bounds))
    return float(shape), float(shape / mean)


def _log_mass_of_large(shape, sums, expected):
    """`gamma_poisson`'s log mass of sums that are large, but for a constant: by Stirling."""
    total = shape + sums
    off = shape / (shape + expected) * (expected - sums)
    fit = sums * np.log1p(off / sums) + shape * np.log(total / (shape + expected))
    return fit - np.log(total) / 2 - shape + shape * np.log(shape) - special.gammaln(shape)


def _log_rising(shape, sums):
    """``log(gamma(shape + sums) / gamma(shape))``."""
    return special.gammaln(shape + sums) - special.gammaln(shape)


def _lowest(loss, first, seconds, bounds):
    """Minimum over two parameters, from the best of some values of the second."""
    start = min(([first, second] for second in seconds), key=loss)
    found = optimize.minimize(loss, start, method="Nelder-Mead", bounds=bounds)
    return found.x


def variance_components(sums, squares, counts):
    """Normal rows around normal means, by restricted maximum likelihood.

    The variances' ratio has a weak log-normal prior, which decides where the data say
    nothing, so that half of the variance is noise where every row has one observation.

    Parameters
    ----------
    sums, squares, counts : ndarray of shape (n,)
        Sum, sum of squared differences to the mean, and number of observations of every row;
        of rows that have one.

    Returns
    -------
    mean, spread, noise : float
        Mean and standard deviation of the rows' means, and of an observation around them.
    """
    means = sums / counts
    degrees = max(counts.sum() - 1, 1)

    def profile(log_ratio):
        weights = 1 / (np.exp(log_ratio) + 1 / counts)
        mean = (weights * means).sum() / weights.sum()
        total = squares.sum() + (weights * (means - mean) ** 2).sum()
        return mean, max(total / degrees, LEAST_VARIANCE), weights

    def loss(log_ratio):
        _, variance, weights = profile(log_ratio)
        fit = degrees * np.log(variance) + np.log(weights.sum())
        fit += np.log1p(counts * np.exp(log_ratio)).sum()
        return fit / 2 + (log_ratio / LOG_RATIO_PRIOR) ** 2 / 2

    def slope(log_ratio):
        mean, variance, weights = profile(log_ratio)
        rise = weights.sum() - (weights**2).sum() / weights.sum()
        if variance > LEAST_VARIANCE:
            rise -= (weights**2 * (means - mean) ** 2).sum() / variance
        return np.exp(log_ratio) * rise / 2 + log_ratio / LOG_RATIO_PRIOR**2

    log_ratio = lowest_ratio(loss, slope, LOG_RATIO_RANGE)
    mean, variance, _ = profile(log_ratio)
    return float(mean), float(np.sqrt(variance * np.exp(log_ratio))), float(np.sqrt(variance))


def row_components(x):
    """`variance_components` of rows with missing cells; all zero where nothing is there."""
    counts = (~np.isnan(x)).sum(axis=1)
    x, counts = x[counts > 0], counts[counts > 0]
    if len(x) == 0:
        return 0.0, 0.0, LEAST_VARIANCE**0.5
    # around the middle of all, so that sums of close numbers keep their digits
    middle = np.nanmean(np.sort(x, axis=None))
    sums = np.nansum(x - middle, axis=1)
    squares = np.nansum((x - middle - (sums / counts)[:, None]) ** 2, axis=1)
    mean, spread, noise = variance_components(sums, squares, counts)
    return float(mean + middle), spread, noise
