"""Seasons that all rows share, of smoothing: a factor for every phase.

Observations are divided by the factors of their periods before they are smoothed, and forecasts are
multiplied by that of the coming period, if that made one-step forecasts better.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from sklearn_pttf.baselines._in_time import (
    ALPHAS,
    PULLS,
    Levels,
    deviance,
    find_smoothing,
    first_least,
    newest_cells,
)
from sklearn_pttf.baselines._seasonal_naive import find_seasons

DOUBTS = (0.0, 0.3, 1.0)  # seasons without any change, that a factor is averaged with
FEWEST_PERIODS = 2  # after a first season, that seasons are judged by
LEAST_GAIN = 0.01  # of the deviance, for seasons to be believed
N_ROUNDS = 5  # of levels of rows and factors of periods in turn
LEAST_FACTOR = 0.01  # as observations are divided by factors


@dataclass(frozen=True)
class SharedSeasons:
    """Factors of periods by their season.

    Parameters
    ----------
    lengths : tuple of int
        Numbers of periods after which seasons come back; none: all factors are 1.

    phases : tuple of ndarray
        Of every season the factors of its phases, the first that of the first period.

    before, own : ndarray of shape (m,)
        Factors of past periods as they were known before these, and with these.

    first : int
        Period from which on there are forecasts that know seasons.
    """

    lengths: tuple
    phases: tuple
    before: np.ndarray
    own: np.ndarray
    first: int

    @classmethod
    def none(cls, n_periods, first=0):
        return cls((), (), np.ones(n_periods), np.ones(n_periods), first)

    def cells(self, x):
        """Newest cells whose forecasts know seasons, as ``np.nonzero`` gives them."""
        rows, periods = newest_cells(x)
        kept = periods >= self.first
        return rows[kept], periods[kept]

    def past_levels(self, x, alpha, cells):
        """`Levels` in the usual season, of cells as they were seen then."""
        return Levels.of(x / self.own, alpha).take(cells)

    def last_levels(self, x, alpha):
        """`Levels` in the usual season, after the last period."""
        return Levels.of(x / self._factors(x.shape[1]), alpha).last()

    def coming(self, x):
        """Factor of the period after the last."""
        return self._factors(x.shape[1] + 1)[-1]

    def _factors(self, n_periods):
        found = np.ones(n_periods)
        for phase in self.phases:
            found *= np.resize(phase, n_periods)
        return found


def find_seasonal_smoothing(x, usual, lengths, alphas=ALPHAS):
    """Smoothing and seasons whose one-step forecasts have the least deviance.

    Parameters
    ----------
    x : ndarray of shape (n, m)

    usual : float
        Usual level of a row.

    lengths : tuple of int or "auto"
        Numbers of periods after which seasons come back. Shorter ones come first; a longer one is
        only tried on top of them.

    alphas : sequence of float
        That may be chosen.

    Returns
    -------
    seasons : SharedSeasons

    alpha, pull : float
    """
    n_periods = x.shape[1]
    none = SharedSeasons.none(n_periods)
    if len(lengths):
        means = Levels.of(x, 0.0).last().mean(PULLS[0], usual)
        found = find_seasons(x / means[:, None], lengths)
        lengths = [length for length in found if length + FEWEST_PERIODS <= n_periods]
    cells = SharedSeasons.none(n_periods, max(lengths, default=0)).cells(x)
    if not (len(lengths) and len(cells[0])):
        return none, *find_smoothing(x, usual, alphas)
    candidates, factors = [none], period_factors(x, usual)
    for some in accumulate((length,) for length in lengths):
        candidates += [shared_seasons(factors, some, max(lengths), doubt) for doubt in DOUBTS]
    tried = [_best_smoothing(x, usual, each, cells, alphas) for each in candidates]
    losses = [loss for loss, *_ in tried]
    best = first_least(losses)
    if losses[best] < (1 - LEAST_GAIN) * losses[0]:
        return candidates[best], *tried[best][1:]
    return none, *find_smoothing(x, usual, alphas)


def _best_smoothing(x, usual, seasons, cells, alphas):
    """Least deviance of the cells with these seasons, and smoothing parameter and pull of it."""
    outcomes, factors, tried = x[cells], seasons.before[cells[1]], []
    for alpha in alphas:
        levels = seasons.past_levels(x, alpha, cells)
        tried += [
            (deviance(outcomes, levels.mean(pull, usual) * factors), alpha, pull) for pull in PULLS
        ]
    return tried[first_least([loss for loss, *_ in tried])]


def period_factors(x, usual):
    """What all rows sell in a period, over what they usually do; ``(m,)``, NaN where none is known.

    Rows weigh as counts of small levels and as ratios of large ones.
    """
    seen = ~np.isnan(x)
    known = seen.any(axis=0)
    x, factors = np.where(seen, x, 0.0), known.astype(float)
    for _ in range(N_ROUNDS):
        levels = _over(x.sum(axis=1), seen @ factors)
        weights = 1 / (usual + levels)
        factors = _over(weights @ x, (weights * levels) @ seen)
    return np.where(known, factors, np.nan)


def shared_seasons(factors, lengths, first, doubt):
    """`SharedSeasons` by periods' factors over the mean of one season around each.

    Parameters
    ----------
    factors : ndarray of shape (m,)
        Of periods, NaN where not known.

    lengths : tuple of int
        Each is of what those before it left.

    first : int
        See `SharedSeasons`.

    doubt : float
        Number of seasons without any change that factors are averaged with.
    """
    n_periods, left, phases = len(factors), factors, []
    before, own = np.ones((2, n_periods))
    times = np.arange(n_periods)
    for length in lengths:
        known = np.stack([_phases(left[:t], length, doubt) for t in range(n_periods + 1)])
        with_own = known[np.clip(times + 1, length, n_periods), times % length]
        before = before * known[times, times % length]
        own, left = own * with_own, left / with_own
        phases.append(known[-1])
    return SharedSeasons(lengths, tuple(phases), before, own, first)


def _phases(factors, length, doubt):
    """Factors of the phases of one season, 1 before all of it was seen; ``(length,)``."""
    n = len(factors)
    if n < length:
        return np.ones(length)
    known = ~np.isnan(factors)
    values = np.where(known, factors, 0.0)
    start = np.clip(np.arange(n) - length // 2, 0, n - length)
    sums, numbers = (np.concatenate([[0.0], np.cumsum(each)]) for each in (values, known))
    around = _over(sums[start + length] - sums[start], numbers[start + length] - numbers[start])
    phase = np.arange(n) % length
    own, usual = (np.bincount(phase, each * known, length) for each in (values, around))
    more = doubt * around.mean()
    return np.maximum(
        np.where(usual + more > 0, _over(own + more, usual + more), 1.0), LEAST_FACTOR
    )


def _over(some, others):
    """Quotients, 0 where there is nothing to divide by."""
    return np.divide(some, others, out=np.zeros(len(some)), where=others > 0)
