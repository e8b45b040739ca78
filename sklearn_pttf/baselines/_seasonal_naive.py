"""Seasonal naive: the value of one season ago, and the errors of all rows around it."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.baselines._in_time import (
    DecisionInTime,
    Levels,
    PooledErrors,
    newest_cells,
    of_cold_rows,
    usual_level,
)
from sklearn_pttf.problems import DecisionProblem
from sklearn_pttf.problems._time import AUTO

PULL = 0.25  # observations of the usual level in that of a row
CANDIDATES = (4, 7, 12, 13, 24, 52, 364)  # numbers of periods that "auto" tries
FEWEST_PERIODS = 4  # that a season is judged by
LEAST_GAIN = 0.1  # of differences, over those of neighbours, for a season to be believed


def find_seasons(x, seasons):
    """Numbers of periods after which seasons come back.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Observations over rows' levels.

    seasons : tuple of int or "auto"
        "auto": the usual number whose differences are least beside those of neighbours, if they
        are smaller than these by a tenth.

    Returns
    -------
    tuple of int
    """
    if seasons != AUTO:
        return seasons
    best, found = 1 - LEAST_GAIN, ()
    for length in CANDIDATES:
        if x.shape[1] < length + FEWEST_PERIODS:
            break
        now, before, ago = x[:, length:], x[:, length - 1 : -1], x[:, :-length]
        known = ~np.isnan(now + before + ago)
        far = np.sort(np.abs(now - before)[known]).sum()
        near = np.sort(np.abs(now - ago)[known]).sum()
        if near < best * far:
            best, found = near / far, (length,)
    return found


def last_seasons(x, seasons):
    """Value of one season before each period, and before the one after the last.

    Parameters
    ----------
    x : ndarray of shape (n, m)

    seasons : tuple of int
        The longest that was observed counts; else the last value does.

    Returns
    -------
    ndarray of shape (n, m + 1)
        NaN where a row has not had an observation yet.
    """
    n_rows, n_periods = x.shape
    found = np.full((n_rows, n_periods + 1), np.nan)
    for t in range(n_periods):
        found[:, t + 1] = np.where(np.isnan(x[:, t]), found[:, t], x[:, t])
    for length in sorted(seasons):
        if length <= n_periods:
            ago = x[:, : n_periods + 1 - length]
            found[:, length:] = np.where(np.isnan(ago), found[:, length:], ago)
    return found


class SeasonalNaive(DecisionInTime, BaseEstimator):
    """Forecast the value of one season ago, and around it by the errors of all rows.

    Seasons are those of the problem. Where a row has no observation one season ago the next shorter
    season counts, and in the end its last observation. Errors of these forecasts in all rows and
    periods, over the size that errors have at a row's mean, are pooled, and their quantiles are
    those of the next one.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided, with ``ordered=True``. None: ``Newsvendor(ordered=True)``, at equal costs.

    Attributes
    ----------
    seasons_ : tuple of int
        Numbers of periods after which seasons come back.

    usual_level_ : float
        Geometric mean of rows' means, in units of the outcome.

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
    ExponentialSmoothing : Smooths noise out, with seasons that all rows share.

    Notes
    -----
    Quantiles below 0 are 0, and whole numbers are rounded. A row without an observation gets the
    law of all observations. Drivers are not read. Where seasons are "auto", differences over 4, 7,
    12, 13, 24, 52 and 364 periods are compared with those of neighbours.

    References
    ----------
    .. [1] R. J. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", OTexts (2021).

    Examples
    --------
    >>> from sklearn_pttf.baselines import SeasonalNaive
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3.5, 9.0, 3.5, 9.0, 3.5], [20.5, 50.0, 20.5, 50.0, 20.5]]
    >>> SeasonalNaive(Newsvendor(ordered=True, seasons=2)).fit(X).decide(X)
    array([ 9., 50.])
    """

    _parameter_constraints = {"problem": [DecisionProblem, None]}

    def __init__(self, problem=None):
        self.problem = problem

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Pool the errors of the forecasts.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with observations in the order of time; NaN marks a missing one.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        SeasonalNaive
            The fitted estimator.

        Raises
        ------
        ValueError
            If the problem is not one of ``ordered=True``, or X has no observation, values that
            cannot be, or negative ones.
        """
        portfolio = self._read_to_fit(X)
        x, cells = portfolio.observations, newest_cells(portfolio.observations)
        self.usual_level_ = usual_level(portfolio)
        levels = Levels.of(x, 0.0)
        means = levels.mean(PULL, self.usual_level_)
        self.seasons_ = find_seasons(x / means[:, -1:], portfolio.seasons)
        # a first observation has nothing before it, and only counts where no row has two
        forecasts = np.fmax(last_seasons(x, self.seasons_), 0.0)
        forecasts = np.where(levels.weights > 0, forecasts, self.usual_level_)
        errors = x[cells] - forecasts[cells]
        self._errors = PooledErrors(errors, means[cells], np.ones(len(errors)), self.usual_level_)
        return self

    def _predict_law(self, portfolio):
        x = portfolio.observations
        forecasts = np.fmax(last_seasons(x, self.seasons_)[:, -1], 0.0)
        means = Levels.of(x, 0.0).last().mean(PULL, self.usual_level_)
        law = self._errors.law(forecasts, means, np.ones(len(x)), portfolio.integer)
        return of_cold_rows(law, portfolio, self._pooled)
