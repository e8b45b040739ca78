"""Whether demand rises with price, which networks take to fall with it."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf.exceptions import PriorConflictWarning

FEWEST_ROWS = 20  # that say anything
CHANCE = 1e-5  # of a warning where there is nothing to warn of
LEAST_RISE = 0.2  # elasticity that is worth a warning
SAME_PRICE = 1e-12  # variance of a row's log prices that is none


def warn_of_rising_demand(portfolio, noise=None):
    """Look whether demand rises with price; warns with a `PriorConflictWarning`.

    Within rows that have had several prices; if there are none, between rows.

    Parameters
    ----------
    portfolio : Portfolio

    noise : None
        Of demand nothing is told of its noise.
    """
    demand, prices = portfolio.observations, portfolio.prices
    x = np.log(np.where(portfolio.mask, prices, 1.0))
    n = portfolio.counts
    x = x - ((x * portfolio.mask).sum(axis=1) / np.maximum(n, 1))[:, None]
    x, d = np.where(portfolio.mask, x, 0.0), np.where(portfolio.mask, demand, 0.0)
    rows = ((x**2).sum(axis=1) > SAME_PRICE * n) & (d.sum(axis=1) > 0)
    if rows.sum() >= FEWEST_ROWS:
        x, d, n = x[rows], d[rows], n[rows]
        share = d / d.sum(axis=1, keepdims=True)
        told, room = n * (share * x).sum(axis=1), (x**2).sum(axis=1)
        rise = told.sum() / room.sum()
        error = np.sqrt(((told - rise * room) ** 2).sum()) / room.sum()
        where, certain = f"within {len(x):,} rows", rise > stats.t.isf(CHANCE, len(x) - 1) * error
    elif not rows.any():
        rise, error, certain, where = _rise_between(portfolio)
    else:
        return
    if not certain or rise < LEAST_RISE:
        return
    warnings.warn(
        f"demand rises with price: {where} it is some {np.expm1(0.1 * rise):.0%} higher where a "
        f"price is 10 % higher (elasticity about {rise:+.2g}, standard error {error:.1g}), but is "
        "taken to fall with it, so that predictions at other prices, and the prices decided, are "
        "wrong. Prices that were raised when demand was high anyway look like that: use prices "
        "that were tried at random, or take season and promotions out of demand first.",
        PriorConflictWarning,
        stacklevel=4,
    )


def _rise_between(portfolio):
    """Elasticity between rows of one price each, its error, whether it is certain, and where."""
    seen = portfolio.counts > 0
    demand = np.nanmean(portfolio.observations[seen], axis=1)
    price = np.log(portfolio.usual_prices()[seen])
    if seen.sum() < FEWEST_ROWS or np.ptp(price) == 0 or np.ptp(demand) == 0:
        return 0.0, 0.0, False, ""
    ranked = stats.spearmanr(price, demand, alternative="greater")
    positive = demand > 0
    line = stats.linregress(price[positive], np.log(demand[positive]))
    where = f"between {seen.sum():,} rows of one price each"
    return line.slope, line.stderr, ranked.pvalue < CHANCE, where
