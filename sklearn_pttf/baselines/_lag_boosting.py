"""Quantile boosting in the order of time: trees that read lags, seasons and drivers."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import check_random_state

from sklearn_pttf._laws.base import check_levels
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._utils.sklearn_private import Interval, _fit_context
from sklearn_pttf.baselines._in_time import (
    DecisionInTime,
    Levels,
    find_smoothing,
    newest_cells,
    of_cold_rows,
    usual_level,
)
from sklearn_pttf.baselines._seasonal_naive import find_seasons
from sklearn_pttf.problems import DecisionProblem

N_LAGS = 4  # newest observations that trees read one by one
WINDOWS = (4, 13)  # of rolling means, beside that of all


def _mean(x):
    """Means of rows, or over periods of (n, m, d); NaN where there is nothing."""
    count = (~np.isnan(x)).sum(axis=1)
    return np.where(count > 0, np.nansum(x, axis=1) / np.maximum(count, 1), np.nan)


def lag_features(past, usual_ratio, seasons, drivers=None, planned=None):
    """What trees read of rows before a period.

    Parameters
    ----------
    past : ndarray of shape (n, t)
        Observations before it, over rows' levels; NaN = missing.

    usual_ratio : ndarray of shape (n,)
        Levels over the usual one.

    seasons : tuple of int

    drivers : ndarray of shape (n, t, d), default=None
        Of the periods before.

    planned : ndarray of shape (n, d), default=None
        Of the period itself.

    Returns
    -------
    ndarray of shape (n, k)
        In single precision, so that rounding does not tell equal rows apart: the newest 4, means
        of the newest 4, of 13 and of all, standard deviation, number, log level; of every season
        its position and the value of one season ago; of every driver the planned value, and how
        far that and the last one are from the row's mean.
    """
    n_rows, t = past.shape

    def ago(k):
        return past[:, t - k] if k <= t else np.full(n_rows, np.nan)

    mean = _mean(past)
    found = [ago(k) for k in range(1, N_LAGS + 1)]
    found += [_mean(past[:, max(t - k, 0) :]) for k in WINDOWS]
    found += [mean, np.sqrt(_mean((past - mean[:, None]) ** 2))]
    found += [(~np.isnan(past)).sum(axis=1), np.log(usual_ratio)]
    for length in seasons:
        found += [np.full(n_rows, t % length), ago(length)]
    if planned is not None:
        usual = _mean(drivers)
        last = drivers[:, -1] if t else np.full_like(planned, np.nan)
        found += [*planned.T, *(planned - usual).T, *(last - usual).T]
    return _in_single_precision(np.column_stack(found))


def _in_single_precision(values):
    """Numbers rounded to single precision, what is beyond it to the largest there is."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).astype(np.float32).astype(float)


class LagBoosting(DecisionInTime, BaseEstimator):
    """Gradient boosting of quantiles, on lags, rolling means, seasons and drivers.

    Every observation of `fit` that has one before it is a target. What trees [1]_ read of it comes
    from the periods before: the newest observations and rolling means over the row's level, the
    level itself, where in its seasons the period lies and what was one season ago; and of drivers
    what is planned for the period and how far that is from the row's usual. They learn the
    quantiles of log(1 + its ratio to the row's level), each at one probability, from all rows and
    periods together; these are sorted and joined to a law. The level is the mean of the row's
    observations.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided, with ``ordered=True``. None: ``Newsvendor(ordered=True)``, at equal costs.

    levels : array-like of shape (n_levels,), \
default=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
        Probabilities whose quantiles are learned, increasing; at least 2. Beyond and between
        them the law is logistic, piece by piece.

    max_iter : int, default=60
        Number of trees of each level.

    learning_rate : float, default=0.1
        How much of each tree is taken.

    max_leaf_nodes : int, default=4
        Number of leaves of a tree, at least 2.

    min_samples_leaf : int, default=50
        Number of observations in a leaf, at least.

    random_state : int, RandomState or None, default=None
        Source of randomness; only with more than 200,000 observations is there any.

    Attributes
    ----------
    levels_ : ndarray of shape (n_levels,)
        Probabilities whose quantiles were learned.

    regressors_ : list of HistGradientBoostingRegressor
        One a level.

    pull_ : float
        How many observations of the usual level are added to every row's own.

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
    QuantileBoosting : For observations whose order means nothing.

    Notes
    -----
    Of large tables the newest 200,000 observations are targets. A row without an observation gets
    the law of all observations. Missing drivers are read as missing.

    References
    ----------
    .. [1] J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Ann.
       Statist. 29 (2001), 1189-1232.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf.baselines import LagBoosting
    >>> from sklearn_pttf.problems import Newsvendor
    >>> promotion = np.random.RandomState(0).randint(2, size=(200, 9))
    >>> sales = np.where(promotion[:, :8] == 1, 9.0, 3.0)
    >>> problem = Newsvendor(
    ...     ordered=True, observations=range(8), drivers={"promotion": range(8, 17)}
    ... )
    >>> X = np.hstack([sales, promotion])
    >>> promotion[:3, 8], LagBoosting(problem).fit(X).decide(X)[:3]
    (array([1, 0, 1]), array([9., 3., 9.]))
    """

    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "levels": ["array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left")],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        problem=None,
        *,
        levels=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95),
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=4,
        min_samples_leaf=50,
        random_state=None,
    ):
        self.problem = problem
        self.levels = levels
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Grow the trees.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with observations in the order of time; NaN marks a missing one.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        LagBoosting
            The fitted estimator.

        Raises
        ------
        ValueError
            If the problem is not one of ``ordered=True``, or X has no observation, values that
            cannot be, or negative ones, or if levels are not at least two increasing
            probabilities.
        """
        portfolio = self._read_to_fit(X)
        self.levels_ = self._checked_levels()
        features, target = self._targets(portfolio)
        self._told = ~np.isnan(features).all(axis=0)  # trees take no feature that is never known
        features = features[:, self._told]
        # in an order of their own, so that sums do not depend on that of the rows
        order = np.lexsort([target, *features.T])
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self.regressors_ = [
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=level,
                max_iter=self.max_iter,
                learning_rate=self.learning_rate,
                max_leaf_nodes=self.max_leaf_nodes,
                min_samples_leaf=self.min_samples_leaf,
                early_stopping=False,
                random_state=seed,
            ).fit(features[order], target[order])
            for level in self.levels_
        ]
        return self

    def _checked_levels(self):
        levels = check_levels(self.levels).copy()
        if levels.ndim != 1 or len(levels) < 2 or not np.all(np.diff(levels) > 0):
            raise ValueError(f"levels must be at least two and increasing; got {self.levels!r}.")
        return levels

    def _targets(self, portfolio):
        """Features and targets: all observations that have one before them."""
        x = portfolio.observations
        self.usual_level_ = usual_level(portfolio)
        _, self.pull_ = find_smoothing(x, self.usual_level_, alphas=(0.0,))
        levels = Levels.of(x, 0.0).mean(self.pull_, self.usual_level_)
        self.seasons_ = find_seasons(x / levels[:, -1:], portfolio.seasons)
        rows, periods = newest_cells(x)
        features, target = [], []
        for t in np.unique(periods):
            of_period = rows[periods == t]
            features.append(self._features(portfolio.take(of_period), levels[of_period, t], t))
            target.append(np.log1p(x[of_period, t] / levels[of_period, t]))
        return np.concatenate(features), _in_single_precision(np.concatenate(target))

    def _features(self, portfolio, levels, t):
        """Of rows before period ``t``, which is the coming one where it is beyond the last."""
        past, drivers, planned = portfolio.observations[:, :t], None, None
        if portfolio.drivers is not None:
            every = np.concatenate([portfolio.drivers, portfolio.planned], axis=1)
            drivers, planned = every[:, :t], every[:, t]
        ratios, usual_ratio = past / levels[:, None], levels / self.usual_level_
        return lag_features(ratios, usual_ratio, self.seasons_, drivers, planned)

    def _predict_law(self, portfolio):
        x = portfolio.observations
        levels = Levels.of(x, 0.0).last().mean(self.pull_, self.usual_level_)
        features = self._features(portfolio, levels, x.shape[1])[:, self._told]
        logs = np.stack([each.predict(features) for each in self.regressors_], axis=1)
        quantiles = np.expm1(np.sort(logs, axis=1)) * levels[:, None]
        # a grid of whole numbers rounds up: its quantiles are those of half a unit less
        law = QuantileGrid(quantiles - portfolio.integer / 2, self.levels_, portfolio.integer)
        return of_cold_rows(law, portfolio, self._pooled)
