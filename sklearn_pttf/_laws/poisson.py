"""Laws of Poisson counts whose mean is only known as a law."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import special

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.nodes import fine_edges, narrow_rows, whole_nodes
from sklearn_pttf._utils.rounding import BELOW_ONE, NEAREST, ROUNDED, TINY

CELL_ODDS = 0.5  # most log odds of a cell of levels that two means stand for
WIDE = 2.0  # in Poisson deviations: a cell wider than that is more than its two means
MOST_EXACT = 1e4  # mean, above which a count is as good as normal
FEW = 64  # counts that are summed one by one
MOST_DEVIATIONS = 6.0  # above the mean, that these reach
CELL_END = 1e-6  # a level, from 0 and 1, where the width of the last cells is measured
LARGEST = 1e300  # stands for infinity, which no differences are taken of
N_CACHED = 16  # sets of levels, of as many networks
MANY_LEVELS = 16  # quantiles that are sooner read from a table
TABLE_ODDS = np.concatenate(
    [np.linspace(-14, -7, 10)[:-1], np.linspace(-7, 7, 113), np.linspace(7, 14, 10)[1:]]
)
TABLE_LEVELS = special.expit(TABLE_ODDS)  # of the table's numbers, about
DIGITS = 1e-12  # of a count that are looked at
MOST_STEPS, NEWTON_STEPS = 1200, 8  # to a quantile, of which the first are Newton's
FAR_ODDS, TAIL_STEP = 9.0, 1.7  # log odds up to which, and steps in which, tails are cut
SAME = 1e-12  # a level that is missed by rounding only is reached


@lru_cache(maxsize=N_CACHED)
def _cells(levels):
    """How means stand for a quantile function that is linear in log odds between levels.

    Parameters
    ----------
    levels : tuple of float
        Of K quantiles.

    Returns
    -------
    points, middles, widths : ndarray of shape (K, q)
        Matrices from quantiles to means by Gauss' rule, to mean values of cells, and to the
        width of these.

    weights : ndarray of shape (q,)
    """
    knots = np.log(levels) - np.log1p(-np.array(levels))
    pieces = [
        np.linspace(low, high, int(np.ceil((high - low) / CELL_ODDS - ROUNDED)) + 1)[:-1]
        for low, high in pairwise(knots)
    ]
    tail = np.arange(knots[-1], FAR_ODDS + TAIL_STEP, TAIL_STEP)
    tau = np.concatenate([[0.0], special.expit(np.concatenate([*pieces, tail])), [1.0]])
    half = np.diff(tau) / 2
    middle = tau[:-1] + half
    ends = np.stack([tau[:-1], middle, tau[1:]])
    # mean log odds of both halves of a cell, in closed form
    area = special.xlogy(ends, ends) + special.xlogy(1 - ends, 1 - ends)
    means = np.diff(area, axis=0) / half
    gauss = special.logit(middle + half * np.array([[-1.0], [1.0]]) / np.sqrt(3))
    gauss[:, [0, -1]] = means[:, [0, -1]]  # the last cells have no end
    width = np.diff(special.logit(np.clip(ends, CELL_END, 1 - CELL_END)), axis=0)

    def matrix(values):
        place = np.clip(np.searchsorted(knots, means, side="right") - 1, 0, len(knots) - 2)
        share = (values - knots[place]) / (knots[place + 1] - knots[place])
        out = np.zeros((len(knots), *values.shape))
        np.put_along_axis(out, place[None], 1 - share[None], axis=0)
        np.put_along_axis(out, place[None] + 1, share[None], axis=0)
        return out.reshape(len(knots), -1)

    widths = matrix(width) - matrix(np.zeros_like(width))
    return matrix(gauss), matrix(means), widths, np.concatenate([half, half])


class PoissonMixture(PredictiveDistribution):
    """Laws of Poisson counts, mixed over the laws of their rates.

    Parameters
    ----------
    of_rate : QuantileGrid
        Laws of n rates, counts per unit of exposure.

    exposure : ndarray of shape (n,)
        What is counted over.

    Notes
    -----
    Every law is a mixture of some 70 Poisson laws, whose means stand for cells of the rate's
    law. A cell that is wide beside the Poisson deviation stands for gamma means, so that no gaps
    show between means that are far apart.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.grid import QuantileGrid
    >>> from sklearn_pttf._laws.poisson import PoissonMixture
    >>> rate = QuantileGrid(np.full((1, 3), 2.0), [0.1, 0.5, 0.9])
    >>> law = PoissonMixture(rate, np.array([1.5]))
    >>> law.mean(), law.quantile(0.9), law.cdf(0.0).round(6)
    (array([3.]), array([5.]), array([0.049787]))
    """

    integer = True
    lowest = 0.0

    def __init__(self, of_rate, exposure):
        self.of_rate = of_rate
        self.exposure = np.asarray(exposure, dtype=float)
        self._found = None

    def __len__(self):
        return len(self.of_rate)

    def take(self, rows):
        return PoissonMixture(self.of_rate.take(rows), self.exposure[rows])

    @classmethod
    def concatenate(cls, laws):
        of_rate = type(laws[0].of_rate).concatenate([law.of_rate for law in laws])
        return cls(of_rate, np.concatenate([law.exposure for law in laws]))

    def over(self, periods):
        """Laws of the sums over so many periods, which share their rate."""
        return PoissonMixture(self.of_rate, periods * self.exposure)

    # what lies between two laws lies between those of their rates

    @property
    def quantiles(self):
        """Quantiles of the rates; ndarray of shape (n, K)."""
        return self.of_rate.quantiles

    @property
    def means(self):
        """Means of the rates, where they are known beside the quantiles; else None."""
        return self.of_rate.means

    def with_quantiles(self, quantiles, means=None):
        """Other quantiles of the rates at the same levels."""
        return PoissonMixture(self.of_rate.with_quantiles(quantiles, means), self.exposure)

    # -- the mixture

    @property
    def _mixture(self):
        """Means and squared relative widths of components ``(n, q)``, and weights ``(q,)``."""
        if self._found is None:
            points, middles, widths, weights = _cells(tuple(self.of_rate.levels))
            quantiles = self.of_rate.quantiles * self.exposure[:, None]
            means = np.maximum(quantiles @ points, 0.0)
            width = quantiles @ widths
            wide = width > WIDE / 2 * np.sqrt(means)
            spread = None
            if wide.any():
                means = np.where(wide, np.maximum(quantiles @ middles, 0.0), means)
                wide &= means > 0
                relative = width / np.where(wide, means, 1.0)
                spread = np.where(wide, np.minimum(relative, np.sqrt(12)) ** 2 / 12, 0.0)
            total = means @ weights
            means *= (self.mean() / np.where(total > 0, total, 1.0))[:, None]
            self._found = means, spread, weights
        return self._found

    def _rows(self, rows):
        """Components of some rows."""
        means, spread, weights = self._mixture
        return means[rows], None if spread is None else spread[rows], weights

    @staticmethod
    def _reached(k, means, spread, weights, larger=0):
        """Probability of at most ``k``, whole numbers ``(n,)``, of some rows' components.

        With ``larger=1`` of components weighted by their means, and of the number beside one
        that is counted anyway: what an expected count is made of.
        """
        k = k[:, None]
        cdf = special.pdtr(np.maximum(k, 0.0), np.minimum(means, MOST_EXACT))
        if spread is not None and (spread > 0).any():
            at = np.nonzero(spread > 0)
            mean, part = means[at], spread[at]
            shape = 1 / part + larger
            share = 1 / (1 + mean * part)
            cdf[at] = special.betainc(shape, np.maximum(k, 0.0)[at[0], 0] + 1, share)
        big = means > MOST_EXACT
        if big.any():
            at = np.nonzero(big)
            mean, part = means[at], 0.0 if spread is None else spread[at]
            mean, variance = mean * (1 + larger * part), mean + mean**2 * part
            cdf[at] = special.ndtr((k[at[0], 0] + 0.5 - mean) / np.sqrt(variance))
        cdf = cdf * means if larger else cdf
        return np.where(k[:, 0] < 0, 0.0, cdf @ weights)

    def _one_by_one(self, first, n_numbers):
        """Probability of at most ``first`` and each whole number after it; ``(n, n_numbers)``."""
        means, spread, weights = self._mixture
        out = np.empty((len(self), n_numbers))
        part = 0.0 if spread is None else spread
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(means)
        for start in range(0, n_numbers, FEW):
            k = first + start
            reached = self._reached(k, means, spread, weights)
            out[:, start] = reached
            end = min(start + FEW, n_numbers) - 1
            mass = _mass(k[:, None], means, logs, part)
            for j in range(start + 1, end + 1):
                n = k[:, None] + (j - start)
                mass = mass * (means * (1 + (n - 1) * part) / (n * (1 + means * part)))
                reached = reached + mass @ weights
                out[:, j] = reached
        return np.minimum(out, 1.0)

    # -- the law

    def cdf(self, x):
        x, flat = self._columns(x)
        k = np.floor(np.minimum(x, LARGEST))
        parts = self._mixture
        in_turn = k.shape[1] > 4 and (np.diff(k, axis=1) == 1).all() and (k[:, 0] >= 0).all()
        if in_turn and parts[0].max(initial=0.0) <= MOST_EXACT:
            return self._one_by_one(k[:, 0], k.shape[1])
        out = np.stack([self._reached(column, *parts) for column in k.T], axis=1)
        out = np.minimum(out, 1.0)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = np.empty(tau.shape)
        deviation = self._deviation()
        end = self.mean() + MOST_DEVIATIONS * deviation
        few, many = end < FEW, tau.shape[1] > MANY_LEVELS
        tabled = ~few & many & (deviation > MANY_LEVELS)
        for rows, method in (
            (few, self._first_reached),
            (tabled, self._from_table),
            (~few & ~tabled, self._by_bisection),
        ):
            at = np.flatnonzero(rows)
            if len(at):
                out[at] = method(at, tau[at] * (1 - SAME))
        return out[:, 0] if flat else out

    def _deviation(self):
        means, spread, weights = self._mixture
        centre = self.mean()
        square = (means - centre[:, None]) ** 2 + (0.0 if spread is None else means**2 * spread)
        return np.sqrt(square @ weights + centre)

    def _first_reached(self, rows, tau):
        """Counting up from 0, which for small counts is the quickest."""
        means, spread, weights = self._rows(rows)
        part = 0.0 if spread is None else spread
        with np.errstate(divide="ignore"):
            mass = _mass(0.0, means, np.log(means), part)
        reached, out = mass @ weights, np.zeros(tau.shape)
        for k in range(1, 2 * FEW):
            below = reached[:, None] < tau
            if not below.any():
                return out
            out[below] = k
            mass *= means * (1 + (k - 1) * part) / (k * (1 + means * part))
            reached = reached + mass @ weights
        rest = np.flatnonzero((reached[:, None] < tau).any(axis=1))
        if len(rest):  # far out in a tail
            out[rest] = self._by_bisection(rows[rest], tau[rest])
        return out

    def _by_bisection(self, rows, tau):
        """Between bounds that close in, by normal scores, which are nearly a straight line."""
        out = np.empty(tau.shape)
        means, spread, weights = self._rows(rows)
        centre, deviation = self.mean()[rows], np.maximum(self._deviation()[rows], 1.0)
        for column, level in enumerate(tau.T):
            wanted = special.ndtri(level)
            low, high = np.full(len(rows), -1.0), np.full(len(rows), np.inf)
            guess = np.maximum(np.rint(centre + wanted * deviation), 0.0)
            left = np.arange(len(rows))
            # on whole numbers, at which `scipy`'s `find_root` does not end
            for step in range(MOST_STEPS):
                k, some = guess[left], None if spread is None else spread[left]
                reached = self._reached(k, means[left], some, weights)
                enough = reached >= level[left]
                high[left] = np.where(enough, k, high[left])
                low[left] = np.where(enough, low[left], k)
                least = np.ceil(np.maximum(1.0, DIGITS * k))
                going = high[left] - low[left] > 2 * least - 1
                left, k, reached = left[going], k[going], reached[going]
                if not len(left):
                    break
                score = special.ndtri(np.clip(reached, TINY, BELOW_ONE))
                move = np.rint(k + (wanted[left] - score) * deviation[left])
                if step >= NEWTON_STEPS:
                    twice = 2 * np.maximum(low[left], 0.0) + 1
                    move = np.where(
                        np.isinf(high[left]), twice, np.floor((low[left] + high[left]) / 2)
                    )
                guess[left] = np.clip(move, low[left] + least[going], high[left] - least[going])
            out[:, column] = high
        return out

    def _from_table(self, rows, tau):
        """From the cdf at some whole numbers, linear in normal scores between them."""
        means, spread, weights = self._rows(rows)
        at = self.of_rate.take(rows).quantile(TABLE_LEVELS[None]) * self.exposure[rows, None]
        at = np.maximum(np.rint(at + special.ndtri(TABLE_LEVELS) * np.sqrt(at)), 0.0)
        at = np.maximum.accumulate(at, axis=1)
        reached = np.stack([self._reached(k, means, spread, weights) for k in at.T], axis=1)
        scores = special.ndtri(np.clip(reached, NEAREST, 1 - NEAREST))
        found = [np.interp(*row) for row in zip(special.ndtri(tau), scores, at, strict=True)]
        return np.ceil(np.stack(found) - ROUNDED)

    def excess(self, x):
        x, flat = self._columns(x)
        above, parts = np.maximum(x, 0.0), self._mixture
        mean, out = self.mean(), np.empty(x.shape)
        for column, value in enumerate(above.T):
            q = np.ceil(value)
            larger = mean - self._reached(q - 2, *parts, larger=1)
            out[:, column] = larger - value * (1 - self._reached(q - 1, *parts))
        out = np.maximum(out, 0.0) + (above - x)
        return out[:, 0] if flat else out

    def mean(self):
        return self.of_rate.mean() * self.exposure

    def atomic(self):
        return narrow_rows(self)[2]

    def nodes(self, split=None):
        return whole_nodes(self, fine_edges(self.of_rate.levels), split)


def _mass(k, means, logs, part):
    """Probability of whole numbers ``(n, 1)`` or one number, of every component; ``(n, q)``."""
    k = np.broadcast_to(k, means.shape)
    empty = means <= 0
    with np.errstate(invalid="ignore"):
        log_mass = k * np.where(empty, 0.0, logs) - means - special.gammaln(k + 1)
    if np.ndim(part):
        at = np.nonzero(part > 0)
        mean, size, n = means[at], 1 / part[at], k[at]
        log_mass[at] = (
            special.gammaln(n + size)
            - special.gammaln(size)
            - special.gammaln(n + 1)
            - size * np.log1p(mean / size)
            + n * (np.log(mean) - np.log(mean + size))
        )
    return np.where(empty, k == 0, np.exp(log_mass))
