"""Whether rows break what decisions rest on: exchangeable periods, a law that fits."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf.exceptions import DriftWarning, PriorConflictWarning

FEWEST_ROWS = 20  # that say anything
LEAST_DRIFT = 0.1  # of the mean that is worth a warning
LEAST_SHIFT = 0.25  # of the noise that is worth one, of values of any sign
CHANCE = 1e-5  # of a warning where there is nothing to warn of
MOST_ROWS = 2000  # that the law is tried on
OUTER = 0.005  # probability of either tail
MOST_OUTSIDE = 0.05  # share of rows in the tails; twice OUTER is what should be
OWN_PRIOR = (
    "prior=SyntheticPrior().calibrated(X). SyntheticPrior().fit(X).transform(X) shows which rows "
    "the prior finds odd"
)
USUAL = 0.02  # share of rows in the tails of a law that is about right


def warn_of_drift(portfolio):
    """Compare the early and the late half of every row; warns with a `DriftWarning`.

    A row's change is ``(late - early) / (late + early)`` of amounts, and ``late - early`` of
    values of any sign, the mean of which is 0 if periods are exchangeable, whatever the row's law.

    Parameters
    ----------
    portfolio : Portfolio
        Its observations in the order of time.

    Returns
    -------
    bool
        Whether it warned.
    """
    if portfolio.prices is not None:
        return False  # prices may have drifted, and demand with them
    early, late, half = _halves(portfolio.observations)
    both = early + late
    rows = half > 0 if portfolio.real else both > 0
    if rows.sum() < FEWEST_ROWS:
        return False
    change = (late - early)[rows] / (half if portfolio.real else both)[rows]
    mean, error = change.mean(), change.std(ddof=1) / np.sqrt(rows.sum())
    if abs(mean) <= stats.t.isf(CHANCE / 2, rows.sum() - 1) * error:
        return False
    if portfolio.real:
        if abs(mean) <= LEAST_SHIFT * _noise(portfolio.observations):
            return False
        size, spread = f"{abs(mean):.3g}", f"{error:.2g}"
    else:
        ratio = (1 + mean) / max(1 - mean, 1e-9) - 1
        if abs(ratio) < LEAST_DRIFT:
            return False
        size, spread = f"{abs(ratio):.0%}", f"{2 * error:.0%}"
    warnings.warn(
        f"observations drift: those in the later half of {rows.sum():,} rows are {size} "
        f"{'higher' if mean > 0 else 'lower'} (standard error {spread}) than those in the "
        "earlier half. Periods of a row are taken to be exchangeable, so decisions lag behind a "
        "trend or season: use newer periods only, or take the season out first.",
        DriftWarning,
        stacklevel=4,
    )
    return True


def _noise(observations):
    """Standard deviation of observations around their row's mean."""
    counts = (~np.isnan(observations)).sum(axis=1)
    observations, counts = observations[counts > 1], counts[counts > 1]
    squares = np.nanvar(observations, axis=1) * counts
    return np.sqrt(squares.sum() / (counts - 1).sum())


def _halves(observations):
    """Sums of as many early as late observations of every row, and how many each has."""
    seen = ~np.isnan(observations)
    half = seen.sum(axis=1, keepdims=True) // 2
    nth = seen.cumsum(axis=1)
    first = seen & (nth <= half)
    last = seen & (nth > nth[:, -1:] - half)
    early, late = (np.where(part, observations, 0.0).sum(axis=1) for part in (first, last))
    return early, late, half[:, 0]


def warn_of_conflict(predict, portfolio, rng, noise=None):
    """Try the law on an observation a row that it is not given.

    Warns with a `PriorConflictWarning`.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the laws of its rows.

    portfolio : Portfolio

    rng : Generator
        Which rows are tried, and on which observation.

    noise : str, default=None
        What the problem was told of the noise, which may be wrong.
    """
    rows = np.flatnonzero(portfolio.counts > 1)
    if len(rows) < FEWEST_ROWS:
        return
    rows = np.sort(rng.permutation(rows)[:MOST_ROWS])
    portfolio = portfolio.take(rows)
    keys = np.where(portfolio.mask, rng.random(portfolio.mask.shape), -1.0)
    evidence, outcomes = portfolio.held_out(keys.argmax(axis=1))
    law, outcomes = predict(evidence), outcomes[:, 0]
    # of whole numbers and zeros, the whole mass of the outcome counts for it
    below, reached = law.cdf(outcomes - 1e-9 * (1 + np.abs(outcomes))), law.cdf(outcomes)
    outside = (reached < OUTER) | (below > 1 - OUTER)
    by_chance = stats.binom.sf(outside.sum() - 1, len(rows), USUAL)
    if outside.mean() <= MOST_OUTSIDE or by_chance > CHANCE:
        return
    shown = ", ".join(str(row) for row in rows[outside][:5])
    advice = "prior=RealValuedPrior(...)" if portfolio.real else OWN_PRIOR
    if portfolio.prices is not None:
        advice = "prior=PricingPrior(...)"
    advice = f"or pretrain on a prior of your own: {advice}"
    if noise is not None:
        advice = f"or leave noise=None in place of noise={noise!r}"
    warnings.warn(
        f"the predictive law does not fit: in {outside.mean():.0%} of {len(rows):,} rows an "
        f"observation lies outside of the central {1 - 2 * OUTER:.0%} of the law that the others "
        f"give ({2 * OUTER:.0%} is expected), as in rows {shown}. Look for mixed units and "
        f"outliers, {advice}.",
        PriorConflictWarning,
        stacklevel=4,
    )
