"""Laws of whole numbers by tables of their cdfs, which are quick to look up many times."""

import numpy as np
from scipy.special import ndtr, ndtri

from sklearn_pttf._laws.base import PredictiveDistribution

ENDS = np.array([[1e-6, 1 - 1e-6]])  # levels that a table reaches from and to
SIZES = (32, 64, 128, 256, 512)  # of tables; rows are put into the least that they fit into
MOST_ROWS = 4096  # that are looked up together
SUREST = 1e-16  # a probability, from 0 and 1, whose normal score is finite


class RunLaw(PredictiveDistribution):
    """Laws of whole numbers, by the cdf at numbers that are equally far from each other.

    Parameters
    ----------
    first : ndarray of shape (n,)
        The first number of every row.

    step : ndarray of shape (n,)
        From one to the next, 1 where all are told.

    reached : ndarray of shape (n, k)
        Cdf at the numbers; the last column is 1.

    means : ndarray of shape (n,)
    """

    def __init__(self, first, step, reached, means):
        self.first, self.step, self.reached, self.means = first, step, reached, means

    @classmethod
    def of(cls, law, ends, size):
        """Tables of some size, between numbers ``(n, 2)``."""
        first, last = ends.T
        step = np.maximum(np.ceil((last - first + 1) / size), 1.0)
        if (step == 1).all():
            reached = law.cdf_of_run(first, size)
        else:
            reached = law.cdf(first[:, None] + step[:, None] * np.arange(size))
        reached = np.maximum.accumulate(np.clip(reached, 0.0, 1.0), axis=1)
        reached[:, -1] = 1.0
        return cls(first, step, reached, law.mean())

    def __len__(self):
        return len(self.first)

    def take(self, rows):
        return RunLaw(self.first[rows], self.step[rows], self.reached[rows], self.means[rows])

    @classmethod
    def concatenate(cls, laws):
        names = ("first", "step", "reached", "means")
        return cls(*(np.concatenate([getattr(law, name) for law in laws]) for name in names))

    def mean(self):
        return self.means

    def cdf(self, x):
        """Between numbers of a row that are not next to each other, linear in normal scores."""
        x, flat = self._columns(x)
        place = (np.floor(x) - self.first[:, None]) / self.step[:, None]
        low = np.clip(np.floor(place).astype(int), 0, self.reached.shape[1] - 1)
        out = np.take_along_axis(self.reached, low, axis=1)
        if (self.step > 1).any():
            high = np.minimum(low + 1, self.reached.shape[1] - 1)
            above = np.take_along_axis(self.reached, high, axis=1)
            scores = (ndtri(np.clip(each, SUREST, 1 - SUREST)) for each in (out, above))
            share = np.clip(place - low, 0.0, 1.0)
            start, end = scores
            out = np.where(share > 0, ndtr(start + share * (end - start)), out)
        out = np.where(place < 0, 0.0, out)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        """Within a step from a number to the next, linear."""
        tau, flat = self._columns(tau)
        place = np.stack([(self.reached < level[:, None]).sum(axis=1) for level in tau.T], axis=1)
        out = self.first[:, None] + self.step[:, None] * place
        if (self.step > 1).any():
            high = np.take_along_axis(self.reached, place, axis=1)
            low = np.take_along_axis(self.reached, np.maximum(place - 1, 0), axis=1)
            share = np.where(high > low, (high - tau) / np.where(high > low, high - low, 1.0), 0.0)
            back = np.where(place > 0, np.floor(np.clip(share, 0.0, 1.0) * self.step[:, None]), 0.0)
            out = out - np.minimum(back, self.step[:, None] - 1)
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        values, weights = self.nodes()
        pairs = (np.maximum(values - column[:, None], 0.0) for column in x.T)
        out = np.stack([(weights * above).sum(axis=1) for above in pairs], axis=1)
        return out[:, 0] if flat else out

    def nodes(self, split=None):
        weights = np.diff(self.reached, axis=1, prepend=0.0)
        values = self.first[:, None] + self.step[:, None] * np.arange(self.reached.shape[1])
        values[:, 1:] -= (self.step[:, None] - 1) / 2  # the middle of what lies between
        return values, weights


def rows_by_size(ends):
    """Rows whose numbers ``(n, 2)`` fit into tables of a size, with it; a few rows at a time."""
    width = ends[:, 1] - ends[:, 0] + 1
    size = np.array(SIZES)[np.minimum(np.searchsorted(SIZES, width), len(SIZES) - 1)]
    for each in np.unique(size):
        rows = np.flatnonzero(size == each)
        for start in range(0, len(rows), MOST_ROWS):
            yield rows[start : start + MOST_ROWS], int(each)
