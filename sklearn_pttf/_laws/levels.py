"""Laws of outcomes whose level is one of several, each row with levels of its own."""

import numpy as np
from scipy import special

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.nodes import narrow_rows, whole_nodes
from sklearn_pttf._laws.normal_mixture import NormalMixtureLaw
from sklearn_pttf._laws.parametric import EDGES
from sklearn_pttf._utils.rounding import EXACT, TINY

DIGITS = 1e-12  # of a count that are looked at
MOST_DOUBLINGS = 1100
RUN = 8  # whole numbers that lie close together, which are sooner added up
BLOCK_CELLS = 2_000_000  # of numbers and levels that are added up together, 16 MB


class PoissonLevelsLaw(PredictiveDistribution):
    """Mixtures of Poisson laws, each row with means of its own.

    Parameters
    ----------
    means, weights : ndarray of shape (n, n_levels)
        Weights sum to 1 in every row.
    """

    lowest = 0.0

    def __init__(self, means, weights):
        self.means = means
        self.weights = weights

    def __len__(self):
        return len(self.means)

    def take(self, rows):
        return PoissonLevelsLaw(self.means[rows], self.weights[rows])

    @classmethod
    def concatenate(cls, laws):
        means, weights = zip(*((law.means, law.weights) for law in laws), strict=True)
        return cls(np.concatenate(means), np.concatenate(weights))

    def _by_column(self, function, x):
        x, flat = self._columns(x)
        out = np.stack([function(column) for column in x.T], axis=1)
        return out[:, 0] if flat else out

    def _at_most(self, x):
        """Probability that each component gives at most x; of whole numbers ``(n, 1)``."""
        return special.pdtr(x, self.means)

    def _more_than(self, x):
        return special.pdtrc(x, self.means)

    def _mean_above(self, x):
        """What outcomes above x, whole numbers ``(n, 1)``, add to the mean of each component."""
        return self.means * np.where(x > 0, special.pdtrc(np.maximum(x - 1, 0.0), self.means), 1.0)

    def _reached(self, x):
        reached = self._at_most(np.floor(np.maximum(x, 0.0))[:, None])
        return np.where(x < 0, 0.0, np.minimum((self.weights * reached).sum(axis=1), 1.0))

    def cdf(self, x):
        columns, _ = self._columns(x)
        if columns.shape[1] >= RUN and _are_dense(columns):
            return self._added_up(columns)
        return self._by_column(self._reached, x)

    def _log_masses(self, x):
        """Log probability of x by each level: a part of x, ``(n, k)``, a slope in x and a rest."""
        return -special.gammaln(x + 1), np.log(self.means), -self.means

    def _added_up(self, x):
        """The cdf at whole numbers that lie close together; as `cdf`."""
        first, n_levels = x.min(axis=1), self.means.shape[1]
        run, out = np.arange(int((x - first[:, None]).max()) + 1), np.empty(x.shape)
        step = max(1, BLOCK_CELLS // (len(run) * n_levels))
        for start in range(0, len(x), step):
            rows = np.arange(start, min(start + step, len(x)))
            law, numbers = self.take(rows), first[rows, None] + run
            of_x, slope, rest = law._log_masses(numbers)
            masses = np.exp(of_x[:, None] + slope[:, :, None] * numbers[:, None] + rest[:, :, None])
            reached = np.einsum("nl,nlk->nk", law.weights, masses).cumsum(axis=1)
            reached += law._reached(first[rows] - 1)[:, None]
            place = (x[rows] - first[rows, None]).astype(int)
            out[rows] = np.take_along_axis(reached, place, axis=1)
        return np.minimum(out, 1.0)

    def quantile(self, tau):
        return self._by_column(self._quantile, check_levels(tau))

    def _quantile(self, tau):
        """By halving, between nothing and twice the mean as often as it takes."""
        needed = tau * (1 - EXACT)
        low, high = np.full(len(self), -1.0), np.ceil(self.mean())
        for _ in range(MOST_DOUBLINGS):
            short = self._reached(high) < needed
            if not short.any():
                break
            low, high = np.where(short, high, low), np.where(short, 2 * high + 1, high)
        while True:
            going = high - low > np.maximum(1.0, DIGITS * high)
            if not going.any():
                return high
            middle = np.floor((low + high) / 2)
            enough = self._reached(middle) >= needed
            high = np.where(going & enough, middle, high)
            low = np.where(going & ~enough, middle, low)

    def excess(self, x):
        return self._by_column(self._above, x)

    def _above(self, x):
        positive = np.maximum(x, 0.0)
        last = np.ceil(positive)[:, None] - 1  # outcomes up to which are below x
        not_below = np.where(last >= 0, self._more_than(np.maximum(last, 0.0)), 1.0)
        above = self._mean_above(last) - positive[:, None] * not_below
        return np.maximum((self.weights * above).sum(axis=1), 0.0) + (positive - x)

    def mean(self):
        return (self.weights * self.means).sum(axis=1)

    def atomic(self):
        return narrow_rows(self)[2]

    def nodes(self, split=None):
        return whole_nodes(self, EDGES, split)


def _are_dense(x):
    """Whether rows are whole numbers of which hardly any is left out."""
    width = x.max(axis=1) - x.min(axis=1)
    return x.min() >= 0 and width.max() < 2 * x.shape[1] and np.all(x == np.floor(x))


class NegativeBinomialLevelsLaw(PoissonLevelsLaw):
    """Mixtures of negative binomial laws of one size, each row with means of its own.

    Parameters
    ----------
    means, weights : ndarray of shape (n, n_levels)
        Weights sum to 1 in every row.

    size : float
        A component of mean m has the variance ``m + m**2 / size``.
    """

    def __init__(self, means, weights, size):
        super().__init__(means, weights)
        self.size = size

    def take(self, rows):
        return type(self)(self.means[rows], self.weights[rows], self.size)

    @classmethod
    def concatenate(cls, laws):
        means, weights = zip(*((law.means, law.weights) for law in laws), strict=True)
        return cls(np.concatenate(means), np.concatenate(weights), laws[0].size)

    def _log_masses(self, x):
        size, whole = self.size, self.size + self.means
        of_x = special.gammaln(x + size) - special.gammaln(size) - special.gammaln(x + 1)
        return of_x, np.log(self.means / whole), size * np.log(size / whole)

    def _at_most(self, x):
        return special.betainc(self.size, x + 1, self.size / (self.size + self.means))

    def _more_than(self, x):
        return special.betainc(x + 1, self.size, self.means / (self.size + self.means))

    def _mean_above(self, x):
        share = self.means / (self.size + self.means)
        larger = special.betainc(np.maximum(x, 1.0), self.size + 1, share)
        return self.means * np.where(x > 0, larger, 1.0)


class LognormalLevelsLaw(PredictiveDistribution):
    """Zero with some share, else mixtures of lognormal laws, each row with components of its own.

    Parameters
    ----------
    weights, centres, widths : ndarray of shape (n, n_levels)
        As of `NormalMixtureLaw`, of logarithms.

    zeros : ndarray of shape (n,), default=None
        Share of zeros. None: there is none.
    """

    lowest = 0.0

    def __init__(self, weights, centres, widths, zeros=None):
        self.of_logs = NormalMixtureLaw(weights, centres, widths)
        self.zeros = np.zeros(len(weights)) if zeros is None else zeros

    def __len__(self):
        return len(self.zeros)

    def _parts(self):
        law = self.of_logs
        return law.weights, law.centres, law.widths, self.zeros

    def take(self, rows):
        return LognormalLevelsLaw(*(part[rows] for part in self._parts()))

    @classmethod
    def concatenate(cls, laws):
        parts = zip(*(law._parts() for law in laws), strict=True)
        return cls(*(np.concatenate(part) for part in parts))

    def cdf(self, x):
        x, flat = self._columns(x)
        zeros = self.zeros[:, None]
        positive = self.of_logs.cdf(np.log(np.maximum(x, TINY)))
        out = np.where(x < 0, 0.0, zeros + (1 - zeros) * positive)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        zeros = self.zeros[:, None]
        inside = tau > zeros
        level = np.where(inside, (tau - zeros) / np.where(inside, 1 - zeros, 1.0), 0.5)
        out = np.where(inside, np.exp(self.of_logs.quantile(level)), 0.0)
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        weights, centres, widths, zeros = self._parts()
        means, positive, above = self._means(), np.maximum(x, 0.0), np.empty(x.shape)
        for k, column in enumerate(positive.T):
            z = (np.log(np.maximum(column, TINY))[:, None] - centres) / widths
            each = means * special.ndtr(widths - z) - column[:, None] * special.ndtr(-z)
            above[:, k] = np.maximum((weights * each).sum(axis=1), 0.0)
        out = (1 - zeros[:, None]) * above + (positive - x)
        return out[:, 0] if flat else out

    def _means(self):
        return np.exp(self.of_logs.centres + self.of_logs.widths**2 / 2)

    def mean(self):
        return (1 - self.zeros) * (self.of_logs.weights * self._means()).sum(axis=1)

    def atomic(self):
        return np.zeros(len(self), dtype=bool)

    def nodes(self, split=None):
        split = None if split is None else np.log(np.maximum(split, TINY))
        logs, weights = self.of_logs.nodes(split)
        weights = np.column_stack([self.zeros, (1 - self.zeros)[:, None] * weights])
        return np.column_stack([np.zeros(len(self)), np.exp(logs)]), weights
