"""Demand at any price: laws that a pricing problem is solved from, and a regression a row.

NumPy only. ``x`` is the log of a price over a row's usual price.
"""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._utils.rounding import EXACT, ROUNDED, TINY

FAR = 2.0  # times the largest change of a price that any row has seen
STEEPEST = 10.0  # elasticity of a row on its own
MOST_RATIO = 50.0  # of demand, within what a regression may say
N_STEPS = 25  # of Newton's method
MOST_STEP = 2.0  # of elasticity, in each of them
LEAST_VARIANCE = 1e-12  # of log prices, which a step is divided by
SAME_PRICE = 1e-9  # range of a row's log prices that is but rounding


class PriceRange(NamedTuple):
    """Prices that the rows of `fit` have had."""

    low: float
    high: float
    change: float  # largest |x|

    @classmethod
    def of(cls, portfolio):
        """`PriceRange` of rows, of which one has a price."""
        x = log_changes(portfolio.prices, portfolio.usual_prices())
        prices = portfolio.prices[~np.isnan(portfolio.prices)]
        return cls(float(prices.min()), float(prices.max()), float(np.nanmax(np.abs(x))))

    def extrapolates(self, price, portfolio):
        """Whether prices lie outside of what any row has had; bool ndarray of shape (n,)."""
        outside = (price < self.low * (1 - ROUNDED)) | (price > self.high * (1 + ROUNDED))
        if self.change > 0:
            x = log_changes(price[:, None], portfolio.usual_prices())[:, 0]
            outside = outside | (np.abs(x) > FAR * self.change + ROUNDED)
        return outside


class DemandAtPrices:
    """What a pricing problem is solved from: the law of demand of every row, at any price.

    Parameters
    ----------
    law_at : callable
        Maps one price a row ``(n,)`` to a `PredictiveDistribution`.

    mean_at : callable
        Maps prices ``(n, k)`` to expected demand ``(n, k)``.

    price_range : PriceRange
        What the rows of `fit` have had.
    """

    def __init__(self, law_at, mean_at, price_range):
        self.at = law_at
        self.mean = mean_at
        self.range = price_range


def log_changes(prices, usual):
    """Log of prices ``(n, m)`` over usual ones ``(n,)``; NaN where either is missing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.log(prices) - np.log(usual)[:, None]
    return np.where(np.abs(x) < EXACT, 0.0, x)


# ------------------------------------------------------------------ a row on its own


def fit_rows(demand, x):
    """Level and slope of every row's own log-linear curve, by Poisson quasi-likelihood.

    Expected demand is ``level * exp(slope * x)``. Zeros are demand like any other. A row whose
    demand or price did not vary has slope 0, and slopes are between -10 and 0: demand does not rise
    with price.

    Parameters
    ----------
    demand, x : ndarray of shape (n, m)
        NaN where missing, both alike.

    Returns
    -------
    level, slope : ndarray of shape (n,)
        Level is NaN for a row without a pair.
    """
    seen = ~np.isnan(demand)
    d, z = np.where(seen, demand, 0.0), np.where(seen, x, 0.0)
    total = d.sum(axis=1)
    slope = np.zeros(len(d))
    varied = (
        (np.ptp(z, axis=1) > SAME_PRICE) & (total > 0) if d.shape[1] else np.zeros(len(d), bool)
    )
    # `scipy`'s `find_root` takes twice as long for hundreds of rows, and 0.8 times for 20,000
    for _ in range(N_STEPS if varied.any() else 0):
        curve = np.exp(slope[:, None] * z) * seen
        share = curve / np.maximum(curve.sum(axis=1, keepdims=True), TINY)
        centre = (share * z).sum(axis=1)
        variance = (share * z**2).sum(axis=1) - centre**2
        score = (d * z).sum(axis=1) / np.maximum(total, TINY) - centre
        step = np.clip(score / np.maximum(variance, LEAST_VARIANCE), -MOST_STEP, MOST_STEP)
        slope = np.where(varied, np.clip(slope + step, -STEEPEST, 0.0), 0.0)
    curve = np.where(seen, np.exp(slope[:, None] * z), 0.0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(seen.any(axis=1), total / curve, np.nan)
    return level, slope


def ratios_to(demand, x, level, slope):
    """Demand over what a curve expects, ``(n, m)``; 1 where the curve expects nothing."""
    expected = level[:, None] * np.exp(slope[:, None] * x)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(expected > 0, demand / expected, 1.0)
    return np.where(np.isnan(demand), np.nan, np.minimum(ratio, MOST_RATIO))


def curve_law(level, slope, ratios, x, integer):
    """Laws with the atoms ``level * exp(slope * x) * ratios``, made whole if need be."""
    atoms = (level * np.exp(slope * x))[:, None] * ratios
    return whole_law(atoms, np.ones_like(atoms)) if integer else WeightedAtoms(atoms)


def whole_law(atoms, weights):
    """Laws of whole numbers with the means of other atoms, each split between its neighbours.

    Rounded atoms would let expected demand fall with price in steps, and that of slow rows be 0.
    """
    low = np.floor(atoms * (1 + EXACT) + ROUNDED)  # what is whole but for rounding stays one atom
    above = np.nan_to_num(np.clip(atoms - low, 0.0, 1.0))
    return WeightedAtoms(
        np.hstack([low, low + 1]), np.hstack([weights * (1 - above), weights * above])
    )


def per_row_law(portfolio, pooled):
    """The law of demand at the posted price by a regression of each row on its own.

    Its atoms are what the row's curve expects, times what its demand was over what the curve
    expected then. A row without a pair has the ``pooled`` atoms.

    Parameters
    ----------
    portfolio : Portfolio
        With prices.

    pooled : ndarray of shape (k,)

    Returns
    -------
    WeightedAtoms
    """
    usual = portfolio.usual_prices()
    x = log_changes(portfolio.prices, usual)
    level, slope = fit_rows(portfolio.observations, x)
    ratios = ratios_to(portfolio.observations, x, level, slope)
    posted = log_changes(portfolio.posted_prices()[:, None], usual)[:, 0]
    cold = np.isnan(level)
    own = curve_law(
        np.where(cold, 0.0, level),
        slope,
        np.where(cold[:, None], 1.0, ratios) if ratios.shape[1] else np.ones((len(cold), 1)),
        np.where(cold, 0.0, posted),
        portfolio.integer,
    )
    if not cold.any():
        return own
    shape = len(cold), max(own.atoms.shape[1], len(pooled))
    atoms, weights = np.zeros(shape), np.zeros(shape)
    atoms[:, : own.atoms.shape[1]], weights[:, : own.atoms.shape[1]] = own.atoms, own.weights
    weights[cold] = 0.0
    atoms[cold, : len(pooled)], weights[cold, : len(pooled)] = pooled, 1.0
    return WeightedAtoms(atoms, weights)
