"""Demand curves by regression: every row on its own, and shrunken to the pool."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.at_prices import (
    MOST_RATIO,
    N_STEPS,
    STEEPEST,
    log_changes,
    per_row_law,
    ratios_to,
    whole_law,
)
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.problems import DecisionProblem

N_RATIOS = 50  # atoms of what demand is over what is expected
DOUBT_NODES, DOUBT_WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
LEVEL_WEIGHT = 0.25  # pseudo-observations of the pool's mean in a row's level
LEAST = 1e-8


class _PriceDecider(DecisionMixin, BaseEstimator):
    """An estimator of pricing problems."""

    _follows_prices = True
    _parameter_constraints = {"problem": [DecisionProblem]}

    def __init__(self, problem):
        self.problem = problem

    def _read_to_fit(self, X):
        if not getattr(self.problem, "of_prices", False):
            raise ValueError(
                f"problem must be a pricing problem such as Pricing; got {self.problem!r}."
            )
        return super()._read_to_fit(X)

    def _mean_demand(self, portfolio, prices):
        # laws of whole numbers have the same means, and more atoms
        return super()._mean_demand(replace(portfolio, integer=False), prices)


class PerRowDemandCurve(_PriceDecider):
    """Price every row on its own: a log-linear demand curve through its own pairs.

    Expected demand is ``level * price ** -elasticity``, by Poisson quasi-likelihood, with an
    elasticity between 0 and 10. A row that has had one price only has elasticity 0, and a row
    without a pair the demand of all rows. It is the reference of `score`.

    Parameters
    ----------
    problem : Pricing
        What is decided.

    Attributes
    ----------
    problem_ : Pricing
        The problem in use.

    observation_columns_ : ndarray of int
        Positions of the columns of demand.

    integer_ : bool
        Whether demand is whole numbers.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    PooledDemandCurve : Rows learn from each other.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf.baselines import PerRowDemandCurve
    >>> from sklearn_pttf.problems import Pricing
    >>> prices = np.array([[4.0, 5.0, 6.0]])
    >>> problem = Pricing(prices=[0, 1, 2], demands=[3, 4, 5], unit_cost=2.0, bounds=(2.0, 8.0))
    >>> X = np.hstack([prices, 1000 / prices**2])  # elasticity 2: twice the cost is best
    >>> PerRowDemandCurve(problem).fit(X).decide(X).round(2)
    array([4.])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Remember the demand of all rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with the columns of prices and demand.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        PerRowDemandCurve
            The fitted estimator.
        """
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return per_row_law(portfolio, self._pooled)


class _Pool(NamedTuple):
    """What rows have in common."""

    slope: float
    slope_variance: float  # between rows
    noise: float  # variance of demand over what is expected
    price: float  # mean log usual price
    level: float  # mean log level there
    level_slope: float  # of log level on log usual price, between rows
    level_variance: float  # between rows, around that
    mean: float  # demand
    ratios: np.ndarray  # (k,) demand over what is expected, equally likely


class PooledDemandCurve(_PriceDecider):
    """Price every row by a log-linear demand curve that is shrunken to the pool.

    Levels and elasticities of rows are believed as far as moments of the pool say (empirical
    Bayes): a row's own log level and slope are weighted by the variance between rows over that plus
    their variance by chance [1]_. Where no row has had two prices, the slope is that of level on
    price between rows. What demand is over what is expected is taken from all rows.

    Parameters
    ----------
    problem : Pricing
        What is decided.

    Attributes
    ----------
    problem_ : Pricing
        The problem in use.

    elasticity_ : float
        The pool's, as a positive number.

    elasticity_spread_ : float
        Standard deviation of the rows' own around it, beyond chance.

    observation_columns_ : ndarray of int
        Positions of the columns of demand.

    integer_ : bool
        Whether demand is whole numbers.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    PerRowDemandCurve : Every row on its own.

    References
    ----------
    .. [1] R. C. Blattberg, E. I. George, "Shrinkage estimation of price and promotional
       elasticities", J. Amer. Statist. Assoc. 86 (1991), 304-315.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf.baselines import PooledDemandCurve
    >>> from sklearn_pttf.problems import Pricing
    >>> prices = np.array([[4.0, 5.0], [5.0, 6.0], [4.0, 6.0]])
    >>> problem = Pricing(prices=[0, 1], demands=[2, 3], unit_cost=2.0, bounds=(2.0, 8.0))
    >>> X = np.hstack([prices, [[100.0], [300.0], [50.0]] / prices**2])
    >>> pooled = PooledDemandCurve(problem).fit(X)
    >>> round(pooled.elasticity_, 2), pooled.decide(X).round(1)
    (2.0, array([4., 4., 4.]))
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find what the rows' demand curves have in common.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance, with the columns of prices and demand.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        PooledDemandCurve
            The fitted estimator.
        """
        portfolio = self._read_to_fit(X)
        self._pool = _fit_pool(portfolio.observations, portfolio.prices, portfolio.usual_prices())
        self.elasticity_ = -self._pool.slope
        self.elasticity_spread_ = float(np.sqrt(self._pool.slope_variance))
        return self

    def _predict_law(self, portfolio):
        pool, usual = self._pool, portfolio.usual_prices()
        usual = np.where(np.isnan(usual), np.exp(pool.price), usual)
        level, level_variance, slope, slope_variance = _shrunken(
            portfolio.observations, log_changes(portfolio.prices, usual), np.log(usual), pool
        )
        posted = portfolio.posted_prices()
        posted = np.where(np.isnan(posted), usual, posted)
        x = log_changes(posted[:, None], usual)[:, 0]
        doubt = np.sqrt(level_variance + x**2 * slope_variance)[:, None]
        factor = np.exp(doubt * DOUBT_NODES - doubt**2 / 2)[:, :, None] * pool.ratios
        atoms = (level * np.exp(slope * x))[:, None] * factor.reshape(len(x), -1)
        weights = np.repeat(DOUBT_WEIGHTS, len(pool.ratios))
        weights = np.broadcast_to(weights, atoms.shape)
        return whole_law(atoms, weights) if portfolio.integer else WeightedAtoms(atoms, weights)


def _row_scores(demand, x, slope):
    """Of every row: how far its own slope is from ``slope``, and what it knows of slopes.

    The latter is its number of pairs times the variance of ``x`` under its curve.
    """
    seen = ~np.isnan(demand)
    d, z = np.where(seen, demand, 0.0), np.where(seen, x, 0.0)
    curve = np.where(seen, np.exp(slope * z), 0.0)
    share = curve / np.maximum(curve.sum(axis=1, keepdims=True), LEAST)
    centre = (share * z).sum(axis=1)
    variance = (share * z**2).sum(axis=1) - centre**2
    total = d.sum(axis=1)
    away = (d * z).sum(axis=1) / np.maximum(total, 1e-300) - centre
    known = seen.sum(axis=1) * np.where((total > 0) & (variance > LEAST), variance, 0.0)
    gap = np.where(known > 0, away / np.maximum(variance, LEAST), 0.0)
    return gap, known


def _common_slope(demand, x):
    """Slope that all rows with two prices share, and what they know of it; floats."""
    slope = 0.0
    for _ in range(N_STEPS):
        gap, known = _row_scores(demand, x, slope)
        if known.sum() <= 0:
            return 0.0, 0.0
        step = (known * gap).sum() / known.sum()
        slope = float(np.clip(slope + np.clip(step, -2, 2), -STEEPEST, 0.0))
    return slope, float(known.sum())


def _between(logs, prices, variances):
    """Line of log levels on log prices between rows: slope, level, and variance around it."""
    price, level = prices.mean(), logs.mean()
    squares = ((prices - price) ** 2).sum()
    slope = ((prices - price) * (logs - level)).sum() / squares if squares > LEAST else 0.0
    around = logs - level - slope * (prices - price)
    variance = max((around**2).mean() - variances.mean(), LEAST)
    return float(slope), float(price), float(level), float(variance)


def _fit_pool(demand, prices, usual):
    has = ~np.isnan(demand).all(axis=1)
    demand, usual = demand[has], usual[has]
    x = log_changes(prices[has], usual)
    slope, known_in_all = _common_slope(demand, x)
    counts = (~np.isnan(demand)).sum(axis=1)
    mean = float(np.nanmean(demand))
    curve = np.where(np.isnan(demand), 0.0, np.exp(slope * x)).sum(axis=1)
    level = np.nansum(demand, axis=1) / curve
    ratios = ratios_to(demand, x, level, np.full(len(level), slope))
    degrees = np.maximum(counts - 1, 0).sum()
    noise = np.nansum((ratios - 1) ** 2) / degrees if degrees else 0.25
    noise = float(max(noise, LEAST))
    logs = np.log(_pulled(demand, curve, mean))
    line = _between(logs, np.log(usual), noise / counts)
    if known_in_all == 0:  # no row has had two prices: rows tell by their differences
        slope = float(np.clip(line[0], -STEEPEST, 0.0))
    gap, known = _row_scores(demand, x, slope)
    return _Pool(
        slope,
        _variance_between(gap, known / noise),
        noise,
        line[1],
        line[2],
        line[0],
        line[3],
        mean,
        _even_ratios(ratios, counts),
    )


def _pulled(demand, curve, mean):
    """Levels of rows, pulled a little to the mean so that none is zero."""
    pulled = np.nansum(demand, axis=1) + LEVEL_WEIGHT * max(mean, LEAST)
    return pulled / (curve + LEVEL_WEIGHT)


def _variance_between(values, precisions):
    """Variance beyond chance of values with known precisions (DerSimonian and Laird)."""
    w = precisions[precisions > 0]
    if len(w) < 2:
        return 0.0
    v = values[precisions > 0]
    centre = (w * v).sum() / w.sum()
    beyond = (w * (v - centre) ** 2).sum() - (len(w) - 1)
    return float(max(beyond / (w.sum() - (w**2).sum() / w.sum()), 0.0))


def _even_ratios(ratios, counts):
    """Equally likely atoms of demand over what is expected, with the mean one; (k,)."""
    rows = counts > 1
    if not rows.any():
        return np.array([0.5, 1.0, 1.5])
    wider = np.sqrt(counts[rows] / (counts[rows] - 1))[:, None]
    values = 1 + (ratios[rows] - 1) * wider
    values = np.clip(values[~np.isnan(values)], 0.0, MOST_RATIO)
    atoms = np.quantile(values, (np.arange(N_RATIOS) + 0.5) / N_RATIOS)
    return atoms / max(atoms.mean(), LEAST)


def _shrunken(demand, x, log_usual, pool):
    """Levels and slopes of rows with their variances; ``(n,)`` each."""
    seen = ~np.isnan(demand)
    gap, known = _row_scores(demand, x, pool.slope)
    trust = pool.slope_variance * known / (pool.slope_variance * known + pool.noise)
    slope = np.clip(pool.slope + trust * gap, -STEEPEST, 0.0)
    slope_variance = pool.slope_variance * (1 - trust)
    curve = np.where(seen, np.exp(slope[:, None] * np.where(seen, x, 0.0)), 0.0).sum(axis=1)
    counts = seen.sum(axis=1)
    own = np.log(_pulled(demand, curve, pool.mean))
    centre = pool.level + pool.level_slope * (log_usual - pool.price)
    trust = pool.level_variance * counts / (pool.level_variance * counts + pool.noise)
    level = np.exp(centre + trust * (own - centre))
    return level, pool.level_variance * (1 - trust), slope, slope_variance
