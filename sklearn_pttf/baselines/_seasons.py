"""Seasons of smoothing: a factor for every phase, which rows share, and how rows differ from it.

Observations are divided by the factors of their periods before they are smoothed, and forecasts are
multiplied by that of the coming period, if that made one-step forecasts better. Then rows' own
phases are added in the same way, as some shops close on Sundays and others do not.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import numpy as np

from sklearn_pttf.baselines._in_time import (
    ALPHAS,
    PULLS,
    Levels,
    deviance_of,
    find_smoothing,
    first_least,
    newest_cells,
)
from sklearn_pttf.baselines._seasonal_naive import find_seasons

DOUBTS = (0.0, 0.3, 1.0)  # seasons without any change, that a factor is averaged with
OWN_DOUBTS = (10.0, 3.0, 1.0, 0.3)  # likewise, periods of the usual phase, of rows' own phases
FEWEST_PERIODS = 2  # after a first season, that seasons are judged by
LEAST_GAIN = 0.01  # of the deviance, for seasons to be believed
N_ROUNDS = 5  # of levels of rows and factors of periods in turn
LEAST_FACTOR = 0.01  # as observations are divided by factors


@dataclass(frozen=True)
class Seasons:
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

    own_length : int, default=0
        Number of periods after which rows' own seasons come back; 0: they have none.

    own_doubt : float, default=1.0
        Number of periods of the usual phase that each is averaged with.
    """

    lengths: tuple
    phases: tuple
    before: np.ndarray
    own: np.ndarray
    first: int
    own_length: int = 0
    own_doubt: float = 1.0

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

    def past_factors(self, x, cells):
        """Factors of cells as they were known before these."""
        factors = self.before[cells[1]]
        return factors * self._own_phases(x / self.own)[cells] if self.own_length else factors

    def coming(self, x):
        """Factor of the period after the last; a number, or ``(n,)``."""
        factors = self._factors(x.shape[1] + 1)
        if not self.own_length:
            return factors[-1]
        return factors[-1] * self._own_phases(x / factors[:-1])[:, -1]

    def in_use(self):
        """Lengths of all seasons there are."""
        return tuple(sorted({*self.lengths, self.own_length} - {0}))

    def _own_phases(self, x):
        """Factors of rows' own phases before each period, and before the one after the last.

        They are what a row had in a phase over its mean, averaged with `own_doubt` periods of 1.

        Parameters
        ----------
        x : ndarray of shape (n, m)
            In the usual season.

        Returns
        -------
        ndarray of shape (n, m + 1)
        """
        n_rows, n_periods = x.shape
        seen, values = ~np.isnan(x), np.nan_to_num(x)
        sums, numbers = np.zeros((2, n_rows, self.own_length))
        found = np.ones((n_rows, n_periods + 1))
        for t in range(n_periods + 1):
            phase, total = t % self.own_length, sums.sum(axis=1)
            level = total / np.maximum(numbers.sum(axis=1), 1)
            of_phase = _over(sums[:, phase], level) + self.own_doubt
            found[:, t] = np.where(total > 0, of_phase / (numbers[:, phase] + self.own_doubt), 1.0)
            if t < n_periods:
                sums[:, phase] += values[:, t]
                numbers[:, phase] += seen[:, t]
        return found

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
    seasons : Seasons

    alpha, pull : float
    """
    n_periods = x.shape[1]
    none = Seasons.none(n_periods)
    if len(lengths):
        means = Levels.of(x, 0.0).last().mean(PULLS[0], usual)
        found = find_seasons(x / means[:, None], lengths)
        lengths = [length for length in found if length + FEWEST_PERIODS <= n_periods]
    cells = Seasons.none(n_periods, max(lengths, default=0)).cells(x)
    if not (len(lengths) and len(cells[0])):
        return none, *find_smoothing(x, usual, alphas)
    factors, first, tried = period_factors(x, usual), max(lengths), partial(_tried, x, usual)
    shared = [
        shared_seasons(factors, some, first, doubt)
        for some in accumulate((length,) for length in lengths)
        for doubt in DOUBTS
    ]
    plain = tried(Seasons.none(n_periods, first), cells, alphas)
    found = _better(plain, [tried(each, cells, alphas) for each in shared])
    own = [replace(found[1], own_length=min(lengths), own_doubt=doubt) for doubt in OWN_DOUBTS]
    found = _better(found, [tried(each, cells, alphas) for each in own])
    return found[1:] if found is not plain else (none, *find_smoothing(x, usual, alphas))


def _better(found, others):
    """The one of the others with the least loss, if it is less than what was found."""
    best = others[first_least([loss for loss, *_ in others])]
    return best if best[0] < (1 - LEAST_GAIN) * found[0] else found


def _tried(x, usual, seasons, cells, alphas):
    """Least deviance of cells with these seasons, these, and the smoothing that goes with them."""
    deviance, factors, tried = deviance_of(x[cells]), seasons.past_factors(x, cells), []
    for alpha in alphas:
        levels = seasons.past_levels(x, alpha, cells)
        for pull in PULLS:
            means = levels.mean(pull, usual) * factors
            tried.append((deviance(means), seasons, alpha, pull))
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
    """`Seasons` by periods' factors over the mean of one season around each.

    Parameters
    ----------
    factors : ndarray of shape (m,)
        Of periods, NaN where not known.

    lengths : tuple of int
        Each is of what those before it left.

    first : int
        See `Seasons`.

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
    return Seasons(lengths, tuple(phases), before, own, first)


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
