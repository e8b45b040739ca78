"""Laws with other shares of zeros."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.nodes import fine_edges, gauss_levels, narrow_rows, whole_nodes
from sklearn_pttf._utils.rounding import BELOW_ONE, NEAREST, TINY

TILT_KNOTS = np.concatenate(  # levels among outcomes above zero, finer near the upper end
    [[0.0, 0.05], np.linspace(0.1, 0.9, 9), [0.95, 0.98, 0.99, 0.995, 0.999, 1.0]]
)
SUREST_ZERO = 1 - 1e-9  # probability of one, which leaves digits for what is above it


class ReweightedZeros(PredictiveDistribution):
    """Laws with other probabilities of a zero, and tilted levels of what is above it.

    Where ``v`` is the level of an outcome among those above zero, it becomes
    ``v ** (1 / power)``: of a power below 1 outcomes are larger, but none is that was impossible.
    The power is taken at some knots, and levels between them are linear in those of before, so
    that every mean stays exact.

    Parameters
    ----------
    law : QuantileGrid
        Whose lowest outcome is 0.

    zeros : ndarray of shape (n,)
        Probabilities of a zero, below 1.

    power : float, default=1.0
        Of levels above zero, the same for all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.grid import QuantileGrid
    >>> from sklearn_pttf._laws.reweighted import ReweightedZeros
    >>> law = QuantileGrid(np.array([[0.0, 1.0, 2.0, 4.0]]), [0.2, 0.6, 0.8, 0.9])
    >>> changed = ReweightedZeros(law, np.array([0.4]))
    >>> changed.cdf([[0.0, 1.0, 2.0, 4.0]]).round(6)
    array([[0.4  , 0.7  , 0.85 , 0.925]])
    """

    lowest = 0.0

    def __init__(self, law, zeros, power=1.0):
        self.law = law
        self.zeros = np.minimum(zeros, SUREST_ZERO)
        self.power = power
        self._own = np.minimum(law.cdf(0.0), SUREST_ZERO)

    @classmethod
    def shifted(cls, law, log_odds, power=1.0):
        """Laws in which the log odds of a zero are higher by so much."""
        own = np.clip(law.cdf(0.0), NEAREST, 1 - NEAREST)
        return cls(law, 1 / (1 + np.exp(-log_odds) * (1 - own) / own), power)

    def __len__(self):
        return len(self.law)

    def take(self, rows):
        return ReweightedZeros(self.law.take(rows), self.zeros[rows], self.power)

    @classmethod
    def concatenate(cls, laws):
        law = type(laws[0].law).concatenate([each.law for each in laws])
        return cls(law, np.concatenate([each.zeros for each in laws]), laws[0].power)

    def _shares(self):
        """Levels at the knots among outcomes above zero: those of the law, and new ones."""
        return TILT_KNOTS**self.power, TILT_KNOTS

    def cdf(self, x):
        x, flat = self._columns(x)
        own, zeros = self._own[:, None], self.zeros[:, None]
        level = self.law.cdf(x)
        above = np.interp((level - own) / (1 - own), *self._shares())
        out = np.where(level > own, zeros + (1 - zeros) * above, zeros)
        out = np.where(x < 0, 0.0, out)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        own, zeros = self._own[:, None], self.zeros[:, None]
        old, new = self._shares()
        share = np.interp(np.maximum(tau - zeros, 0.0) / (1 - zeros), new, old)
        level = np.clip(own + (1 - own) * share, TINY, BELOW_ONE)
        out = np.where(tau > zeros, self.law.quantile(level), 0.0)
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        own, zeros = self._own[:, None], self.zeros[:, None]
        old, new = self._shares()
        positive = np.maximum(x, 0.0)
        # in a part, 1 - cdf is `rest` and so many times what it is of the law
        times = (1 - zeros) / (1 - own) * np.diff(new) / np.diff(old)
        rest = (1 - zeros) * (1 - new[1:]) - times * (1 - own) * (1 - old[1:])
        starts = self.law.quantile(own + (1 - own) * old[1:-1])
        starts = np.column_stack([np.zeros(len(self)), starts])
        last = np.maximum(positive, starts[:, -1:])
        asked = np.hstack([starts, last, positive])
        above, of_last, own_excess = np.split(
            self.law.excess(asked), [starts.shape[1], asked.shape[1] - x.shape[1]], axis=1
        )
        ends, beyond = starts[:, 1:], above[:, 1:]
        out = times[:, -1:] * of_last
        for k in range(ends.shape[1]):
            start, end = np.maximum(positive, starts[:, k, None]), ends[:, k, None]
            before = np.where(positive > starts[:, k, None], own_excess, above[:, k, None])
            area = rest[:, k, None] * (end - start)
            area = area + times[:, k, None] * (before - beyond[:, k, None])
            out = out + np.where(start < end, area, 0.0)
        out = out + (positive - x)
        return out[:, 0] if flat else out

    def mean(self):
        return self.excess(0.0)

    def atomic(self):
        return narrow_rows(self)[2] if self.law.integer else np.zeros(len(self), dtype=bool)

    def nodes(self, split=None):
        edges = fine_edges(self.law.levels)
        if self.law.integer:
            return whole_nodes(self, edges, split)
        inner = np.zeros(len(self))[:, None] + TILT_KNOTS[1:-1]
        knots = self.zeros[:, None] + (1 - self.zeros[:, None]) * inner
        cuts = [self.zeros, knots, *([] if split is None else [self.cdf(split)])]
        tau, weights = gauss_levels(edges, np.column_stack(cuts))
        return self.quantile(tau), weights
