"""Whether rows break what decisions rest on: exchangeable periods, a law that fits."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf.exceptions import DriftWarning, PriorConflictWarning

FEWEST_ROWS = 20  # that say anything
LEAST_DRIFT = 0.1  # of the mean that is worth a warning
CHANCE = 1e-5  # of a warning where there is nothing to warn of
MOST_ROWS = 2000  # that the law is tried on
OUTER = 0.005  # probability of either tail
MOST_OUTSIDE = 0.05  # share of rows in the tails; twice OUTER is what should be
USUAL = 0.02  # share of rows in the tails of a law that is about right


def warn_of_drift(observations):
    """Compare the early and the late half of every row; warns with a `DriftWarning`.

    A row's change is ``(late - early) / (late + early)``, whose mean is 0 if periods are
    exchangeable, whatever the row's law.

    Parameters
    ----------
    observations : ndarray of shape (n, m)
        In the order of time.
    """
    early, late = _halves(observations)
    both = early + late
    rows = both > 0
    if rows.sum() < FEWEST_ROWS:
        return
    change = ((late - early)[rows]) / both[rows]
    mean, error = change.mean(), change.std(ddof=1) / np.sqrt(rows.sum())
    needed = stats.t.isf(CHANCE / 2, rows.sum() - 1) * error
    ratio = (1 + mean) / max(1 - mean, 1e-9) - 1
    if abs(ratio) < LEAST_DRIFT or abs(mean) < needed:
        return
    warnings.warn(
        f"observations drift: those in the later half of {rows.sum():,} rows are {abs(ratio):.0%} "
        f"{'higher' if ratio > 0 else 'lower'} (standard error {2 * error:.0%}) than those in the "
        "earlier half. Periods of a row are taken to be exchangeable, so decisions lag behind a "
        "trend or season: use newer periods only, or divide by a seasonal index first.",
        DriftWarning,
        stacklevel=4,
    )


def _halves(observations):
    """Sums of as many early as late observations of rows with at least two; 0 for others."""
    seen = ~np.isnan(observations)
    half = seen.sum(axis=1, keepdims=True) // 2
    nth = seen.cumsum(axis=1)
    first = seen & (nth <= half)
    last = seen & (nth > nth[:, -1:] - half)
    return [np.where(part, observations, 0.0).sum(axis=1) for part in (first, last)]


def warn_of_conflict(predict, portfolio, rng):
    """Try the law on an observation a row that it is not given.

    Warns with a `PriorConflictWarning`.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the laws of its rows.

    portfolio : Portfolio

    rng : Generator
        Which rows are tried, and on which observation.
    """
    rows = np.flatnonzero(portfolio.counts > 1)
    if len(rows) < FEWEST_ROWS:
        return
    rows = np.sort(rng.permutation(rows)[:MOST_ROWS])
    observations = portfolio.observations[rows].copy()
    cells = np.where(np.isnan(observations), -1.0, rng.random(observations.shape)).argmax(axis=1)
    at = np.arange(len(rows))
    outcomes = observations[at, cells]
    observations[at, cells] = np.nan
    law = predict(portfolio.take(rows).with_observations(observations))
    # of whole numbers and zeros, the whole mass of the outcome counts for it
    below, reached = law.cdf(outcomes - 1e-9 * (1 + outcomes)), law.cdf(outcomes)
    outside = (reached < OUTER) | (below > 1 - OUTER)
    by_chance = stats.binom.sf(outside.sum() - 1, len(rows), USUAL)
    if outside.mean() <= MOST_OUTSIDE or by_chance > CHANCE:
        return
    shown = ", ".join(str(row) for row in rows[outside][:5])
    warnings.warn(
        f"the predictive law does not fit: in {outside.mean():.0%} of {len(rows):,} rows an "
        f"observation lies outside of the central {1 - 2 * OUTER:.0%} of the law that the others "
        f"give ({2 * OUTER:.0%} is expected), as in rows {shown}. Look for mixed units and "
        "outliers, or pretrain on a prior of your own: "
        "prior=SyntheticPrior().calibrated(X). SyntheticPrior().fit(X).transform(X) shows which "
        "rows the prior finds odd.",
        PriorConflictWarning,
        stacklevel=4,
    )
