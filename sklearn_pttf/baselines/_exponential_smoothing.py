"""Exponential smoothing with one smoothing parameter and one law of errors for all rows."""

from numbers import Real

from sklearn.base import BaseEstimator

from sklearn_pttf._utils.sklearn_private import Interval, _fit_context
from sklearn_pttf.baselines._in_time import (
    ALPHAS,
    DecisionInTime,
    PooledErrors,
    of_cold_rows,
    usual_level,
)
from sklearn_pttf.baselines._seasons import find_seasonal_smoothing
from sklearn_pttf.problems import DecisionProblem


class ExponentialSmoothing(DecisionInTime, BaseEstimator):
    """Forecast by an exponentially weighted mean, and around it by the errors of all rows.

    What is expected of a row is the weighted mean of its observations, the newest with weight 1
    and each older one with ``1 - alpha`` times the weight of the next [1]_. One ``alpha`` for all
    rows is the one whose one-step forecasts of all rows were best. Their errors, over the size
    that errors have at a row's level, are pooled, and their quantiles are those of the next one.

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
    NegativeBinomialSmoothing : The same mean with a law of counts around it.
    SeasonalNaive : Repeats the last season of every row.

    Notes
    -----
    Forecasts are judged by their Poisson deviance, which neither large nor small rows decide
    alone. The variance of an error has a part that grows with the level and one that grows with
    its square; quantiles of errors are those of up to four bands of level. Quantiles below 0 are 0,
    and whole numbers are rounded. Periods without an observation are passed over; a row without any
    gets the law of all observations. Drivers are not read.

    Seasons of the problem have a factor for every phase, which is the same for all rows [2]_:
    what all sell in these periods over their mean of one season around. Rows are smoothed without
    the factors, and forecasts have that of their period. A season counts once it was seen in full
    and two periods more, and only if forecasts from then on were better with it. Where they get
    better still, each row has phases of its own around the common ones, in the shortest season.

    References
    ----------
    .. [1] R. G. Brown, "Statistical Forecasting for Inventory Control", McGraw-Hill (1959).

    .. [2] C. C. Holt, "Forecasting seasonals and trends by exponentially weighted moving
       averages", Int. J. Forecasting 20 (2004), 5-10.

    Examples
    --------
    >>> from sklearn_pttf.baselines import ExponentialSmoothing
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3.5, 4.0, 9.0], [8.5, 9.0, 20.5], [1.5, 1.0, 3.5]]
    >>> smoothing = ExponentialSmoothing(Newsvendor(ordered=True), alpha=1.0).fit(X)
    >>> smoothing.predict(X).round(1)
    array([13.9, 30.2,  6. ])
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
        """Find the smoothing parameter, and pool the errors of one-step forecasts.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with observations in the order of time; NaN marks a missing one.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        ExponentialSmoothing
            The fitted estimator.

        Raises
        ------
        ValueError
            If the problem is not one of ``ordered=True``, or X has no observation, values that
            cannot be, or negative ones.
        """
        portfolio = self._read_to_fit(X)
        x, self.usual_level_ = portfolio.observations, usual_level(portfolio)
        alphas = ALPHAS if self.alpha is None else (float(self.alpha),)
        self._seasons, self.alpha_, self.pull_ = find_seasonal_smoothing(
            x, self.usual_level_, portfolio.seasons, alphas
        )
        self.seasons_ = self._seasons.in_use()
        cells = self._seasons.cells(x)
        levels = self._seasons.past_levels(x, self.alpha_, cells)
        means = levels.mean(self.pull_, self.usual_level_) * self._seasons.past_factors(x, cells)
        self._errors = PooledErrors(x[cells] - means, means, levels.doubt(), self.usual_level_)
        return self

    def _predict_law(self, portfolio):
        x = portfolio.observations
        levels = self._seasons.last_levels(x, self.alpha_)
        means = levels.mean(self.pull_, self.usual_level_) * self._seasons.coming(x)
        law = self._errors.law(means, means, levels.doubt(), portfolio.integer)
        return of_cold_rows(law, portfolio, self._pooled)
