"""Bands of rows that are about as large, in tables whose levels span many decades.

A context is moments over rows: one unit, one noise, one share of zeros. A row a thousand times
smaller than the usual one is little but zero in that unit, and was decided by rows that it has
nothing in common with. So where levels lie further apart than networks were taught, rows are
decided in the context of rows about as large as they are.
"""

from typing import NamedTuple

import numpy as np

LEAST_RANGE = 8.0  # of log levels of most rows, 3.5 decades, from which there are bands
TAIL = 0.01  # share of the rows, at either end, that are no such most rows
HALF_WIDTH = 2.5  # of a band, in log level: levels in it span two decades
STEP = 1.7  # at most from band to band, so that no row is near the end of its own
FEWEST_ROWS = 50  # of a band, which else is wider
PULL = 0.25  # observations of one unit in the level of a row of whole numbers
MOST_UNKNOWN = 0.05  # share of rows of amounts that were always 0, and may be of any size


def log_levels(observations, integer):
    """Log of every row's mean; NaN of an empty row, and of amounts that were always 0."""
    count = (~np.isnan(observations)).sum(axis=1)
    pull = PULL if integer else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.log((np.nansum(observations, axis=1) + pull) / (count + pull))
    return np.where((count > 0) & np.isfinite(levels), levels, np.nan)


class Bands(NamedTuple):
    """Centres of bands, in log level; none where one context does for all rows."""

    centres: np.ndarray  # (k,)
    integer: bool

    @classmethod
    def of(cls, portfolio):
        """Bands of a portfolio of demand."""
        levels = log_levels(portfolio.observations, portfolio.integer)
        known = levels[np.isfinite(levels)]
        none = cls(np.empty(0), portfolio.integer)
        if len(known) <= max(FEWEST_ROWS, (1 - MOST_UNKNOWN) * (portfolio.counts > 0).sum()):
            return none
        low, high = np.quantile(known, [TAIL, 1 - TAIL])
        if high - low <= LEAST_RANGE:
            return none
        low, high = low + HALF_WIDTH, high - HALF_WIDTH
        number = 1 + int(np.ceil((high - low) / STEP))
        return cls(np.linspace(low, high, number), portfolio.integer)

    def nearest(self, observations):
        """The band that decides each row, -1 for none; ndarray of int of shape (n,)."""
        levels = log_levels(observations, self.integer)
        distance = np.abs(np.nan_to_num(levels)[:, None] - self.centres)
        return np.where(np.isfinite(levels), distance.argmin(axis=1), -1)

    def rows(self, observations):
        """Positions of the rows that make the context of each band; list of ndarray of int.

        Bands at the ends take all that lies beyond them.
        """
        levels = log_levels(observations, self.integer)
        levels = np.clip(levels, self.centres[0], self.centres[-1])
        distance = np.abs(levels[:, None] - self.centres)
        widest = np.sort(distance, axis=0)[FEWEST_ROWS - 1]  # NaN last
        return [np.flatnonzero(each) for each in (distance <= np.maximum(widest, HALF_WIDTH)).T]
