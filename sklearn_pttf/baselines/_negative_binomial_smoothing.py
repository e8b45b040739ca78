"""Negative binomial laws around smoothed levels, with parameters that all rows share."""

from numbers import Real

import numpy as np
from scipy.special import gammaln
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.parametric import GammaLaw, NegativeBinomialLaw
from sklearn_pttf._utils.sklearn_private import Interval, _fit_context
from sklearn_pttf.baselines._in_time import (
    ALPHAS,
    PULLS,
    DecisionInTime,
    first_least,
    usual_level,
)
from sklearn_pttf.baselines._seasons import find_seasonal_smoothing
from sklearn_pttf.problems import DecisionProblem

SIZES = tuple(np.geomspace(0.05, 1e4, 37))  # of negative binomial laws; the last is about Poisson
UNITS = (1, 3, 10, 30, 100)  # in the usual level of amounts, which are taken for counts of them
MOST_ROUNDS = 10  # over the three parameters, of which none changes any more after two or three
OVER_POISSON = 1 + 1e-6  # variance over mean of a count, at least


def moments_to_size(mean, variance):
    """Number of successes, and probability, of negative binomial laws."""
    return mean / (variance / mean - 1), mean / variance


def log_likelihood(counts, mean, variance):
    """Of counts under negative binomial laws, summed; all ``(k,)``."""
    size, p = moments_to_size(mean, variance)
    logs = gammaln(counts + size) - gammaln(size) - gammaln(counts + 1)
    return (logs + size * np.log(p) + counts * np.log1p(-p)).sum()


class NegativeBinomialSmoothing(DecisionInTime, BaseEstimator):
    """Negative binomial laws around an exponentially weighted mean, with pooled parameters.

    What is expected of a row is the weighted mean of `ExponentialSmoothing`; the next count is
    negative binomial around it [1]_. Smoothing and dispersion are the same for all rows and are
    those that make the one-step forecasts of all rows likeliest. A method of this kind did best on
    single products in the M5 uncertainty competition [2]_.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided, with ``ordered=True``. None: ``Newsvendor(ordered=True)``, at equal costs.

    alpha : float, default=None
        Smoothing parameter in [0, 1]: 0 weighs all observations alike, 1 takes the last one. None:
        it is found.

    Attributes
    ----------
    alpha_ : float
        The smoothing parameter in use.

    pull_ : float
        How many observations of the usual level are added to every row's own.

    size_ : float
        Of the negative binomial laws: their variance is ``mean + mean ** 2 / size_``, and more by
        as much as the mean is in doubt.

    unit_ : float
        What is counted: 1, or of outcomes that are not whole numbers a part of the usual level.

    usual_level_ : float
        Geometric mean of rows' means, in units of the outcome.

    seasons_ : tuple of int
        The seasons of the problem that are in use: those that made forecasts better.

    problem_ : DecisionProblem
        The problem in use.

    observation_columns_ : ndarray of int
        Positions of the columns that hold observations.

    integer_ : bool
        Whether the outcomes are whole numbers.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    ExponentialSmoothing : The same mean, and the errors of all rows around it.

    Notes
    -----
    Outcomes that are not whole numbers are taken for counts of whichever part of the usual level,
    from all to a hundredth, makes them likeliest, and have gamma laws of the same mean and
    variance. Periods without an observation are passed over; a row without any gets a law with the
    moments of all observations. Seasons are read as `ExponentialSmoothing` does, drivers are not.

    References
    ----------
    .. [1] R. D. Snyder, J. K. Ord, A. Beaumont, "Forecasting the intermittent demand for
       slow-moving inventories: a modelling approach", Int. J. Forecasting 28 (2012), 485-496.

    .. [2] S. Makridakis et al., "The M5 uncertainty competition: results, findings and
       conclusions", Int. J. Forecasting 38 (2022), 1365-1385.

    Examples
    --------
    >>> from sklearn_pttf.baselines import NegativeBinomialSmoothing
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 9], [0, 1, 0], [2, 8, 1]]
    >>> NegativeBinomialSmoothing(Newsvendor(4.0, 1.0, ordered=True)).fit(X).decide(X)
    array([8., 1., 5.])
    """

    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "alpha": [Interval(Real, 0, 1, closed="both"), None],
    }

    def __init__(self, problem=None, *, alpha=None):
        self.problem = problem
        self.alpha = alpha

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find smoothing and dispersion.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with observations in the order of time; NaN marks a missing one.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        NegativeBinomialSmoothing
            The fitted estimator.

        Raises
        ------
        ValueError
            If the problem is not one of ``ordered=True``, or X has no observation, values that
            cannot be, or negative ones.
        """
        portfolio = self._read_to_fit(X)
        self.usual_level_ = usual_level(portfolio)
        units = (1.0,) if portfolio.integer else [self.usual_level_ / k for k in UNITS]
        alphas = ALPHAS if self.alpha is None else (float(self.alpha),)
        self._seasons, *smoothing = find_seasonal_smoothing(
            portfolio.observations, self.usual_level_, portfolio.seasons, alphas
        )
        self.seasons_ = self._seasons.in_use()
        tried = [
            self._find_likeliest(portfolio.observations, unit, alphas, smoothing) for unit in units
        ]
        best = first_least([loss for loss, _ in tried])
        self.unit_ = float(units[best])
        self.alpha_, self.pull_, self.size_ = (float(value) for value in tried[best][1])
        return self

    def _find_likeliest(self, x, unit, alphas, smoothing):
        """One parameter after another, from the smoothing of least deviance on.

        Returns
        -------
        loss : float
            Minus the log likelihood: mass of zeros, and density of what is positive.

        found : list of float
            Smoothing parameter, pull and size.
        """
        x, usual = x / unit, self.usual_level_ / unit
        cells = self._seasons.cells(x)
        counts, factors = x[cells], self._seasons.past_factors(x, cells)
        of_density = np.log(unit / self.usual_level_) * np.count_nonzero(counts)
        levels = {alpha: self._seasons.past_levels(x, alpha, cells) for alpha in alphas}

        def loss(alpha, pull, size):
            mean = levels[alpha].mean(pull, usual) * factors
            variance = self._variance(mean, levels[alpha], size)
            return of_density - log_likelihood(counts, mean, variance)

        found = [*smoothing, SIZES[0]]
        choices = [(2, SIZES), (0, alphas), (1, PULLS)]
        for _ in range(MOST_ROUNDS):
            before = list(found)
            for k, values in choices:
                tried = [loss(*found[:k], value, *found[k + 1 :]) for value in values]
                found[k] = values[first_least(tried)]
            if found == before:
                break
        return loss(*found), found

    @staticmethod
    def _variance(mean, levels, size):
        """Of the next count: that of the law around its mean, and what is unknown of this."""
        return (mean + mean**2 / size) * levels.doubt()

    def _predict_law(self, portfolio):
        x = portfolio.observations / self.unit_
        levels = self._seasons.last_levels(x, self.alpha_)
        mean = levels.mean(self.pull_, self.usual_level_ / self.unit_) * self._seasons.coming(x)
        variance = self._variance(mean, levels, self.size_)
        cold = portfolio.counts == 0
        if cold.any():
            pooled = self._pooled / self.unit_
            mean[cold] = pooled.mean() or self.usual_level_ / self.unit_
            variance[cold] = pooled.var()
        variance = np.maximum(variance, OVER_POISSON * mean)
        if portfolio.integer:
            return NegativeBinomialLaw(*moments_to_size(mean, variance))
        return GammaLaw(mean * self.unit_, variance * self.unit_**2)
