"""Laws as quantiles at shared levels, which is how networks answer."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.nodes import fine_edges, gauss_levels, narrow_rows, whole_nodes

EXACT_TERMS = 16  # whole numbers summed one by one, between two integrals
BLOCK_SUMS = 2000  # that are made together
FEW_VALUES = 8  # of a row, that are sooner looked up one by one than knots are
FIRST_LEVEL = 1e-4  # of the quantile where the sum one by one begins


def _negative_entropy(level):
    """Antiderivative of logit: ``t log t + (1 - t) log(1 - t)``, 0 at both ends."""
    inside = (level > 0) & (level < 1)
    t = np.where(inside, level, 0.5)
    return np.where(inside, t * np.log(t) + (1 - t) * np.log1p(-t), 0.0)


def _n_reached(quantiles, x):
    """How many of a row's quantiles ``(n, K)`` are at most its values ``(n, k)``; ``(n, k)``."""
    if x.shape[1] < FEW_VALUES:
        return np.stack([(quantiles <= column[:, None]).sum(axis=1) for column in x.T], axis=1)
    reached = np.zeros(x.shape, dtype=np.int16)
    for knot in quantiles.T:
        reached += knot[:, None] <= x
    return reached.astype(int)


class QuantileGrid(PredictiveDistribution):
    """Quantile functions that are linear in ``logit(tau)`` between shared knots.

    Beyond the outer knots the last slopes go on (logistic tails), so that every moment
    has a closed form. The part of the function below the lowest outcome is mass there.

    For whole numbers the function is that of a continuous variable whose value rounded *up*
    is the outcome: ``P(outcome <= k)`` is its cdf at ``k``, so its quantile rounded up is the
    whole number with the least expected newsvendor cost, not a rounded optimum.

    Parameters
    ----------
    quantiles : ndarray of shape (n, K)
        Values at the knots, not decreasing along a row, in units of the outcome.

    levels : ndarray of shape (K,)
        Levels of the knots, increasing, inside (0, 1).

    integer : bool, default=False
        Whether outcomes are whole numbers.

    lowest : float, default=0.0
        The lowest possible outcome; ``-inf`` where there is none.

    means : ndarray of shape (n,), default=None
        Expected outcomes, where they are known better than by the quantiles.

    Raises
    ------
    ValueError
        If shapes do not fit, levels do not increase inside (0, 1), or quantiles decrease.

    See Also
    --------
    WeightedAtoms : Exact discrete laws.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import QuantileGrid
    >>> law = QuantileGrid(np.array([[1.0, 2.0, 3.0]]), [0.1, 0.5, 0.9])
    >>> law.quantile(0.5), law.cdf(2.0), law.mean()
    (array([2.]), array([0.5]), array([2.00...]))
    """

    def __init__(self, quantiles, levels, integer=False, lowest=0.0, means=None):
        self.quantiles = np.asarray(quantiles, dtype=float)
        self.levels = np.asarray(levels, dtype=float)
        self.means = means
        self.integer = integer
        self.lowest = lowest
        if self.quantiles.ndim != 2 or self.quantiles.shape[1] != len(self.levels):
            raise ValueError(
                f"quantiles must have one column a level; got shapes {self.quantiles.shape} and "
                f"{self.levels.shape}."
            )
        if len(self.levels) < 2 or not np.all(np.diff(check_levels(self.levels)) > 0):
            raise ValueError(f"levels must be at least two and increasing; got {levels!r}.")
        if np.any(np.diff(self.quantiles, axis=1) < 0):
            raise ValueError("quantiles must not decrease along a row.")
        self._logits = np.log(self.levels) - np.log1p(-self.levels)

    def __len__(self):
        return len(self.quantiles)

    def take(self, rows):
        means = None if self.means is None else self.means[rows]
        return self.with_quantiles(self.quantiles[rows], means)

    def with_quantiles(self, quantiles, means=None):
        """Other quantiles at the same levels.

        Parameters
        ----------
        quantiles : ndarray of shape (n, K)
            In units of the outcome.

        means : ndarray of shape (n,), default=None
            Expected outcomes, where they are known better than by the quantiles.

        Returns
        -------
        QuantileGrid
        """
        return QuantileGrid(quantiles, self.levels, self.integer, self.lowest, means)

    @classmethod
    def concatenate(cls, laws):
        first = laws[0]
        means = None if first.means is None else np.concatenate([law.means for law in laws])
        return first.with_quantiles(np.concatenate([law.quantiles for law in laws]), means)

    # -- the continuous function behind the law

    def _smooth_quantile(self, tau):
        """Of levels ``(n, k)``."""
        logit = np.log(tau) - np.log1p(-tau)
        segment = np.clip(
            np.searchsorted(self._logits, logit, side="right") - 1, 0, len(self.levels) - 2
        )
        low = np.take_along_axis(self.quantiles, segment, axis=1)
        high = np.take_along_axis(self.quantiles, segment + 1, axis=1)
        start = self._logits[segment]
        share = (logit - start) / (self._logits[segment + 1] - start)
        return low + share * (high - low)

    def _smooth_cdf(self, x):
        """Of values ``(n, k)``."""
        segment = np.clip(_n_reached(self.quantiles, x) - 1, 0, len(self.levels) - 2)
        low = np.take_along_axis(self.quantiles, segment, axis=1)
        width = np.take_along_axis(self.quantiles, segment + 1, axis=1) - low
        start = self._logits[segment]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(width > 0, (x - low) / width, np.where(x >= low, np.inf, -np.inf))
            logit = start + share * (self._logits[segment + 1] - start)
            return 1 / (1 + np.exp(-logit))

    def _smooth_excess(self, x):
        """``E[(J - x)+]`` of the continuous variable ``J``, for values ``(n, k)``."""
        start = self._smooth_cdf(x)
        return np.maximum(self._area_above(start) - x * (1 - start), 0.0)

    def _area_above(self, start):
        """Integral of the function over levels from ``start``, of shape (n, k), to 1."""
        widths = np.diff(self._logits)
        slopes = np.diff(self.quantiles, axis=1) / widths
        # the tails are two more segments, with the slopes of their neighbours
        slopes = np.concatenate([slopes[:, :1], slopes, slopes[:, -1:]], axis=1)
        anchors = np.concatenate([self.quantiles[:, :1], self.quantiles], axis=1)
        constants = anchors - slopes * np.concatenate([self._logits[:1], self._logits])
        edges = np.concatenate([[0.0], self.levels, [1.0]])
        of_edges, of_start = _negative_entropy(edges), _negative_entropy(start)
        out = np.empty(start.shape)
        for k in range(start.shape[1]):
            begin, to = start[:, k : k + 1], edges[1:]
            from_ = np.maximum(edges[:-1], begin)
            of_from = np.where(edges[:-1] >= begin, of_edges[:-1], of_start[:, k : k + 1])
            area = constants * (to - from_) + slopes * (of_edges[1:] - of_from)
            out[:, k] = np.where(from_ < to, area, 0.0).sum(axis=1)
        return out

    # -- the law

    def cdf(self, x):
        x, flat = self._columns(x)
        inside = self._smooth_cdf(np.floor(x) if self.integer else x)
        out = np.where(x < self.lowest, 0.0, inside)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = self._smooth_quantile(tau)
        # + 0.0 turns the -0.0 of ceil into 0.0
        out = np.maximum(np.ceil(out) if self.integer else out, self.lowest) + 0.0
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        above = np.maximum(x, self.lowest)
        out = self._whole_excess(above) if self.integer else self._smooth_excess(above)
        out = out + (above - x)
        return out[:, 0] if flat else out

    def _whole_excess(self, x):
        """A sum over whole numbers above ``x``, one by one from where the law begins.

        Before and after, the midpoint rule: a law narrower than a whole number is summed
        exactly, a wide one is smooth from each whole number to the next.
        """
        first = np.ceil(x)
        total = (first - x) * (1 - self._smooth_cdf(np.floor(x)))
        begin = np.floor(self._smooth_quantile(np.full((len(self), 1), FIRST_LEVEL)))
        begin = np.maximum(first, begin)
        total += self._smooth_excess(first - 0.5) - self._smooth_excess(begin - 0.5)
        # the sum of a smooth function at whole numbers is its integral and a bit of its slope (the
        # first term of Euler and Maclaurin's formula for midpoints)
        slope = np.empty(x.shape)
        step = max(1, BLOCK_SUMS // max(1, len(x)))
        for start in range(0, x.shape[1], step):
            some = slice(start, start + step)
            numbers = begin[:, some, None] + np.arange(EXACT_TERMS + 1)
            flat = numbers.reshape(len(x), numbers.shape[1] * numbers.shape[2])
            below = self._smooth_cdf(flat).reshape(numbers.shape)
            total[:, some] += sum(1 - below[:, :, k] for k in range(EXACT_TERMS))
            slope[:, some] = below[:, :, -1] - below[:, :, -2]
        return total + self._smooth_excess(begin + (EXACT_TERMS - 0.5)) - slope / 24

    def mean(self):
        if self.means is not None:
            return self.means
        if self.lowest == -np.inf:
            return self._area_above(np.zeros((len(self), 1)))[:, 0]
        return self.lowest + self.excess(self.lowest)

    def atomic(self):
        return narrow_rows(self)[2] if self.integer else np.zeros(len(self), dtype=bool)

    def nodes(self, split=None):
        """Gauss-Legendre nodes in each of the segments of ``tau``; whole numbers one by one."""
        edges = fine_edges(self.levels)
        if self.integer:
            return whole_nodes(self, edges, split)
        tau, weights = gauss_levels(edges, None if split is None else self.cdf(split))
        outcomes = self.quantile(tau)
        return outcomes, np.broadcast_to(weights, outcomes.shape)
