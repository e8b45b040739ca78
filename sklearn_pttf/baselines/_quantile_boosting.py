"""Quantile boosting: trees that read an instance's other observations."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import check_random_state

from sklearn_pttf._laws.base import check_levels
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import Interval, _fit_context
from sklearn_pttf.baselines._values import FOR_VALUES, refuse_values
from sklearn_pttf.problems import DecisionProblem


def summaries(x):
    """What trees read of some observations: number, mean, quartiles, extremes, deviation.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Observations over the mean of the portfolio, without unit; NaN = missing.

    Returns
    -------
    ndarray of shape (n, 7)
        In single precision, so that rounding does not tell equal rows apart; -1 where a row
        has no observation.
    """
    counts = (~np.isnan(x)).sum(axis=1)
    out = np.full((len(x), 7), -1.0)
    out[:, 0] = counts
    for n in np.unique(counts[counts > 0]):
        rows = counts == n
        values = np.sort(x[rows], axis=1)[:, :n]
        out[rows, 1] = values.mean(axis=1)
        out[rows, 2:5] = np.quantile(values, [0.25, 0.5, 0.75], axis=1).T
        out[rows, 5] = values[:, -1]
        out[rows, 6] = values.std(axis=1)
    return out.astype(np.float32).astype(float)


def _others(x):
    """Every observation's row without it: outcomes ``(k,)``, and others ``(k, m)``."""
    seen = ~np.isnan(x)
    rows, cells = np.nonzero(seen)
    others = x[rows]
    others[np.arange(len(rows)), cells] = np.nan
    return x[seen], others


class QuantileBoosting(DecisionMixin, BaseEstimator):
    """Gradient boosting of quantiles, on summaries of an instance's other observations.

    Every observation of `fit` is a target, and what is known of it are summaries of its row's
    others: their number, mean, quartiles, largest, and standard deviation. Trees [1]_ learn
    the quantiles of its ratio to the row's level, each at one probability; they are sorted
    and joined to a law. The level is the mean of the others and one more observation, of
    average size.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    levels : array-like of shape (n_levels,), \
default=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
        Probabilities whose quantiles are learned, increasing; at least 2. Beyond and between
        them the law is logistic, piece by piece.

    max_iter : int, default=40
        Number of trees of each level.

    learning_rate : float, default=0.1
        How much of each tree is taken.

    max_leaf_nodes : int, default=4
        Number of leaves of a tree, at least 2.

    min_samples_leaf : int, default=40
        Number of observations in a leaf, at least.

    random_state : int, RandomState or None, default=None
        Source of randomness; only with more than 200,000 observations is there any.

    Attributes
    ----------
    levels_ : ndarray of shape (n_levels,)
        Probabilities whose quantiles were learned.

    regressors_ : list of HistGradientBoostingRegressor
        One a level.

    centre_ : float
        Mean of all observations, in units of the outcome.

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
    PooledRatio : The same ratios for all rows, without trees.

    Notes
    -----
    Trees know the law that goes with one observation less than decisions have. A row without
    observations gets the law of all observations. A ratio says nothing where values may be
    negative: these are refused.

    References
    ----------
    .. [1] J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Ann.
       Statist. 29 (2001), 1189-1232.

    Examples
    --------
    >>> from sklearn_pttf.baselines import QuantileBoosting
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0], [2, 8, 1]]
    >>> QuantileBoosting(Newsvendor(underage=4.0, overage=1.0)).fit(X).decide(X)
    array([5., 2., 5.])
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
        max_iter=40,
        learning_rate=0.1,
        max_leaf_nodes=4,
        min_samples_leaf=40,
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
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        QuantileBoosting
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or values that cannot be, or negative ones, or if levels are
            not at least two increasing probabilities.
        """
        portfolio = self._read_to_fit(X)
        self._refuse_values(portfolio)
        self.levels_ = self._checked_levels()
        self.centre_ = float(np.mean(np.sort(portfolio.observations[portfolio.mask])))
        outcome, others = _others(self._scaled(portfolio.observations))
        grain = self._grain(portfolio.integer)
        target = (outcome - grain / 2) / self._row_levels(others)
        target = target.astype(np.float32).astype(float)
        features = summaries(others)
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

    def _scaled(self, x):
        """Observations over the portfolio's mean."""
        return x / (self.centre_ or 1.0)

    def _grain(self, integer):
        """One unit of whole-number outcomes over the portfolio's mean.

        A grid of whole numbers rounds up: its quantiles are those of half a unit less.
        """
        return self._scaled(1.0) if integer else 0.0

    @staticmethod
    def _row_levels(x):
        """Mean of a row's observations, over the portfolio's mean, and of one more that is 1."""
        return (np.nansum(x, axis=1) + 1) / ((~np.isnan(x)).sum(axis=1) + 1)

    def _predict_law(self, portfolio):
        self._refuse_values(portfolio)
        x = self._scaled(portfolio.observations)
        features, row_levels = summaries(x), self._row_levels(x)
        ratios = np.stack([each.predict(features) for each in self.regressors_], axis=1)
        quantiles = np.sort(ratios, axis=1) * row_levels[:, None] * (self.centre_ or 1.0)
        cold = portfolio.counts == 0
        if cold.any():
            pooled = np.quantile(self._pooled, self.levels_, method="inverted_cdf")
            quantiles[cold] = pooled - self._grain(portfolio.integer) * (self.centre_ or 1.0) / 2
        return QuantileGrid(quantiles, self.levels_, portfolio.integer)

    def _refuse_values(self, portfolio):
        refuse_values(portfolio, "QuantileBoosting", FOR_VALUES)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
