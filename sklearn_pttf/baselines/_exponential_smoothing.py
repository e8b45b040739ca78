"""Exponential smoothing with one smoothing parameter and one law of errors for all rows."""

from numbers import Real

from sklearn.base import BaseEstimator

from sklearn_pttf._utils.sklearn_private import Interval, _fit_context
from sklearn_pttf.baselines._in_time import (
    ALPHAS,
    DecisionInTime,
    Levels,
    PooledErrors,
    find_smoothing,
    newest_cells,
    of_cold_rows,
    usual_level,
)
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
    SeasonalNaive : Repeats the last season.

    Notes
    -----
    Forecasts are judged by their Poisson deviance, which neither large nor small rows decide
    alone. The variance of an error has a part that grows with the level and one that grows with
    its square; quantiles of errors are those of up to four bands of level. Quantiles below 0 are 0,
    and whole numbers are rounded. Periods without an observation are passed over; a row without any
    gets the law of all observations. Drivers and seasons are not read.

    References
    ----------
    .. [1] R. G. Brown, "Statistical Forecasting for Inventory Control", McGraw-Hill (1959).

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
        x = self._find_levels(self._read_to_fit(X))
        cells = newest_cells(x)
        levels = Levels.of(x, self.alpha_).take(cells)
        means = levels.mean(self.pull_, self.usual_level_)
        self._errors = PooledErrors(x[cells] - means, means, levels.doubt(), self.usual_level_)
        return self

    def _find_levels(self, portfolio):
        """Settle how levels are made, and give the observations."""
        x = portfolio.observations
        self.usual_level_ = usual_level(portfolio)
        alphas = ALPHAS if self.alpha is None else (float(self.alpha),)
        self.alpha_, self.pull_ = find_smoothing(x, self.usual_level_, alphas)
        return x

    def _predict_law(self, portfolio):
        levels = Levels.of(portfolio.observations, self.alpha_).last()
        means = levels.mean(self.pull_, self.usual_level_)
        law = self._errors.law(means, means, levels.doubt(), portfolio.integer)
        return of_cold_rows(law, portfolio, self._pooled)
