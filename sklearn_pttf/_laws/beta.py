"""Predictive distributions of rates and of successes: mixtures of beta and beta-binomial laws."""

from functools import cached_property

import numpy as np
from scipy import special

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.nodes import narrow_rows, whole_nodes
from sklearn_pttf._laws.parametric import EDGES
from sklearn_pttf._utils.rounding import EXACT, TINY

MOST_ATOMS = 4096  # numbers of successes of a row that are listed one by one
END = 1e-11  # of a row's law of the rate, beyond which no number is listed
TABLE_CELLS = 4_000_000  # numbers times components that are computed together
NO_WEIGHT = 1e-14  # of a component that is left out
LEAST_SIZE, LARGEST_SIZE = 1e-3, 1e15  # of a beta law: all but 0 or 1, and all but one rate
LEAST_START = 1e-3  # of the mean: a quantile is searched from there, not from 0
MOST_SURE, MORE = 6.0, 20.0  # roots of a number of successes that are listed beyond it, and more
MOST_STEPS = 140  # to a quantile; 64 halvings find a float
CLOSE = 1e-11, 4e-16  # of two steps: in deviations, and relative


class BetaMixture(PredictiveDistribution):
    """Mixtures of beta laws, one mixture a row.

    Parameters
    ----------
    a, b : ndarray of shape (n, n_components)
        Of the beta laws; positive.

    weights : ndarray of shape (n, n_components)
        Not negative; rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.beta import BetaMixture
    >>> law = BetaMixture(*np.array([[[1.0, 2.0]], [[1.0, 2.0]], [[0.5, 0.5]]]))
    >>> law.mean(), law.quantile(0.5), law.cdf(0.25).round(4)
    (array([0.5]), array([0.5]), array([0.2031]))
    """

    def __init__(self, a, b, weights):
        self.a, self.b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        self.weights = np.asarray(weights, dtype=float)

    def __len__(self):
        return len(self.weights)

    def take(self, rows):
        return BetaMixture(self.a[rows], self.b[rows], self.weights[rows])

    @classmethod
    def concatenate(cls, laws):
        return cls(*joined_components(laws))

    def mean(self):
        return self._moment(1)

    def variance(self):
        """Variance of every row's law; ndarray of shape (n,)."""
        return np.maximum(self._moment(2) - self._moment(1) ** 2, 0.0)

    def cdf(self, x):
        return self._each(lambda law, column: law._below(np.clip(column, 0, 1), 0), x)

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = np.stack([self._quantile(level) for level in tau.T], axis=1)
        return out[:, 0] if flat else out

    def excess(self, x):
        def above(law, column):
            inside = np.clip(column, 0, 1)
            mean, kept = law.mean(), law._below(inside, 1)
            found = mean - kept - inside * (1 - law._below(inside, 0))
            return np.maximum(found, 0.0) + np.maximum(-column, 0.0)

        return self._each(above, x)

    def atomic(self):
        return np.zeros(len(self), dtype=bool)

    def nodes(self, split=None):
        """Two nodes between any two edges, which have the mean and the variance there."""
        mean, variance = self.mean(), self.variance()
        size = mean * (1 - mean) / np.maximum(variance, TINY)
        size = np.clip(size - 1, LEAST_SIZE, LARGEST_SIZE)
        shape = (mean * size)[:, None], ((1 - mean) * size)[:, None]
        edges = special.betaincinv(*shape, EDGES[1:-1])
        edges = np.maximum.accumulate(np.nan_to_num(edges), axis=1)
        if split is not None:
            edges = np.sort(np.column_stack([edges, np.clip(split, 0, 1)]), axis=1)
        ends = np.zeros((len(self), 1)), np.ones((len(self), 1))
        edges = np.hstack([ends[0], edges, ends[1]])
        mass, first, second = (
            np.diff(np.stack([self._below(x, power) for x in edges.T], axis=1), axis=1)
            for power in (0, 1, 2)
        )
        low, high = edges[:, :-1], edges[:, 1:]
        kept = np.where(mass > 0, mass, 1.0)
        centre = np.clip(first / kept, low, high)
        width = np.sqrt(np.maximum(second / kept - centre**2, 0.0))
        outcomes = np.hstack([np.maximum(centre - width, low), np.minimum(centre + width, high)])
        weights = np.maximum(mass, 0.0) / 2
        return outcomes, np.hstack([weights, weights])

    # -- sums over components

    def _each(self, of_column, x):
        """``of_column(law, x)`` of every column ``(n,)`` of ``x``."""
        x, flat = self._columns(x)
        out = np.stack([of_column(self, column) for column in x.T], axis=1)
        return out[:, 0] if flat else out

    @cached_property
    def _counts(self):
        return self.weights > NO_WEIGHT

    def _moments(self, power):
        """``E[p^power]`` of every component."""
        out = np.ones_like(self.a)
        for k in range(power):
            out = out * ((self.a + k) / (self.a + self.b + k))
        return out

    def _moment(self, power):
        return (self.weights * self._moments(power)).sum(axis=1)

    def _below(self, x, power):
        """``E[p^power]`` of what is at most ``x`` of shape (n,), in [0, 1]."""
        reached = np.zeros_like(self.a)
        special.betainc(self.a + power, self.b, x[:, None], out=reached, where=self._counts)
        return np.minimum((self.weights * self._moments(power) * reached).sum(axis=1), 1.0)

    def _density(self, x):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = special.xlogy(self.a - 1, x[:, None]) + special.xlog1py(self.b - 1, -x[:, None])
            logs = np.where(self._counts, logs - special.betaln(self.a, self.b), -np.inf)
            return (self.weights * np.exp(logs)).sum(axis=1)

    def _quantile(self, tau):
        """By Newton's steps where they stay inside of what halving leaves; ``(n,)``.

        A row's steps are its own, whatever rows it is looked at with.
        """
        # with densities, in little more than half of the time of `scipy`'s `find_root`
        low, high = np.zeros(len(self)), np.ones(len(self))
        mean, deviation = self.mean(), np.sqrt(self.variance())
        found = np.clip(mean + deviation * special.ndtri(tau), LEAST_START * mean, (mean + 1) / 2)
        left = np.arange(len(self))
        for _ in range(MOST_STEPS):
            if not len(left):
                break
            law, x = self.take(left), found[left]
            off = law._below(x, 0) - tau[left]
            low[left] = np.where(off < 0, x, low[left])
            high[left] = np.where(off < 0, high[left], x)
            ends = low[left], high[left]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                newton = x - off / law._density(x)
            inside = (newton > ends[0]) & (newton < ends[1])
            found[left] = np.where(inside, newton, _middle(*ends))
            small = CLOSE[0] * np.minimum(x, deviation[left])
            small = np.maximum(small, CLOSE[1] * x)
            done = (off == 0) | (inside & (np.abs(newton - x) <= small))
            done |= ends[1] - ends[0] <= small
            found[left] = np.where(off == 0, x, found[left])
            left = left[~done]
        return found


def _middle(low, high):
    """Halfway between floats that are not negative, by how many lie between."""
    codes = low.view(np.int64), high.view(np.int64)
    return (codes[0] + (codes[1] - codes[0]) // 2).view(np.float64)


def joined_components(laws):
    """``a``, ``b`` and ``weights`` of laws one after the other; those with fewer components padded.

    What is added has no weight.
    """
    width = max(law.weights.shape[1] for law in laws)
    parts = []
    for name, fill in (("a", 1.0), ("b", 1.0), ("weights", 0.0)):
        each = (getattr(law, name) for law in laws)
        padded = [np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=fill) for x in each]
        parts.append(np.concatenate(padded))
    return parts


class BetaBinomialMixture(PredictiveDistribution):
    """Numbers of successes in a row's trials, whose rate has a mixture of beta laws.

    Numbers are listed one by one, exactly, between the ends of what a row may have. Where these are
    more than 4,096 apart the law is that of a beta mixture of the same mean and, component by
    component, the same variance, rounded.

    Parameters
    ----------
    a, b, weights : ndarray of shape (n, n_components)
        As in `BetaMixture`.

    trials : ndarray of shape (n,)
        Whole numbers of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.beta import BetaBinomialMixture
    >>> law = BetaBinomialMixture(*np.ones((3, 1, 1)), np.array([4.0]))
    >>> law.mean(), law.quantile([[0.1, 0.5, 0.9]]), law.cdf(1.0), law.excess(2.0)
    (array([2.]), array([[0., 2., 4.]]), array([0.4]), array([0.6]))
    """

    def __init__(self, a, b, weights, trials):
        self.a, self.b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        self.weights = np.asarray(weights, dtype=float)
        self.trials = np.asarray(trials, dtype=float)

    def __len__(self):
        return len(self.weights)

    def take(self, rows):
        return BetaBinomialMixture(
            self.a[rows], self.b[rows], self.weights[rows], self.trials[rows]
        )

    @classmethod
    def concatenate(cls, laws):
        return cls(*joined_components(laws), np.concatenate([law.trials for law in laws]))

    def over(self, horizon):
        """The laws of the sums of so many next numbers."""
        return BetaBinomialMixture(self.a, self.b, self.weights, horizon * self.trials)

    def mean(self):
        return self.trials * BetaMixture(self.a, self.b, self.weights).mean()

    def cdf(self, x):
        x, flat = self._columns(x)
        whole = np.floor(x)
        out = np.empty(x.shape)
        for rows, start, table in self._listed:
            index = np.clip(whole[rows] - start[:, None], -1, table.shape[1] - 1).astype(int)
            reached = np.take_along_axis(table, np.maximum(index, 0), axis=1)
            out[rows] = np.where(index < 0, 0.0, reached)
        rows, law = self._smooth
        if len(rows):
            trials = self.trials[rows, None]
            out[rows] = law.cdf((whole[rows] + 0.5) / trials)
        out = np.where(x < 0, 0.0, np.where(x >= self.trials[:, None], 1.0, out))
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = np.empty(tau.shape)
        for rows, start, table in self._listed:
            # a level that a sum of weights misses by rounding only is reached
            needed = tau[rows] - EXACT
            index = np.stack([(table < level[:, None]).sum(axis=1) for level in needed.T], axis=1)
            out[rows] = start[:, None] + np.minimum(index, table.shape[1] - 1)
        rows, law = self._smooth
        if len(rows):
            out[rows] = np.ceil(self.trials[rows, None] * law.quantile(tau[rows]) - 0.5)
        out = np.clip(out, 0.0, self.trials[:, None]) + 0.0
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        out = np.empty(x.shape)
        mean = self.mean()[:, None]
        for rows, start, table in self._listed:
            # E[(Y - x)+] = mean - x + E[(x - Y)+], a sum of the cdf below x
            areas = np.cumsum(np.pad(table, ((0, 0), (1, 0))), axis=1)
            place = np.clip(x[rows] - start[:, None], 0, table.shape[1])
            index = np.floor(place).astype(int)
            short = np.take_along_axis(areas, index, axis=1)
            last = np.take_along_axis(np.pad(table, ((0, 0), (0, 1)), mode="edge"), index, axis=1)
            short = short + (place - index) * last
            short += np.maximum(x[rows] - start[:, None] - table.shape[1], 0.0)
            out[rows] = mean[rows] - x[rows] + short
        rows, law = self._smooth
        if len(rows):
            trials = self.trials[rows, None]
            out[rows] = trials * law.excess(x[rows] / trials)
        out = np.where(x <= 0, mean - x, np.maximum(out, 0.0))
        out = np.where(x >= self.trials[:, None], 0.0, out)
        return out[:, 0] if flat else out

    def atomic(self):
        return narrow_rows(self)[2]

    def nodes(self, split=None):
        return whole_nodes(self, EDGES, split)

    # -- how rows are computed

    @cached_property
    def _spans(self):
        """First and last number that a row may have, ``(n,)`` each."""
        out = []
        for level in (END, 1 - END):
            rate = np.full_like(self.a, np.nan)
            size = self.a + self.b
            # a law with the variance of the number of successes
            size = _size_of_share(size, self.trials[:, None])
            share = self.a / (self.a + self.b)
            counts = self.weights > NO_WEIGHT
            special.betaincinv(share * size, (1 - share) * size, level, out=rate, where=counts)
            out.append(rate * self.trials[:, None])
        sure = np.sqrt(np.maximum(out[1], 1.0))
        low = np.nanmin(np.floor(out[0] - sure - 2), axis=1)
        high = np.nanmax(np.ceil(out[1] + MOST_SURE * sure + MORE), axis=1)
        return np.maximum(low, 0.0), np.minimum(high, self.trials)

    @cached_property
    def _narrow(self):
        low, high = self._spans
        return high - low < MOST_ATOMS

    @cached_property
    def _listed(self):
        """Rows, their first numbers and their cdf from there on, in blocks of equal width."""
        low, high = self._spans
        rows = np.flatnonzero(self._narrow)
        width = (high - low)[rows].astype(int) + 1
        # a power of 2, so that a row's table does not depend on its neighbours
        padded = np.minimum(2 ** np.ceil(np.log2(np.maximum(width, 2))).astype(int), MOST_ATOMS)
        blocks = []
        for size in np.unique(padded):
            group = rows[padded == size]
            step = max(1, TABLE_CELLS // (int(size) * self.weights.shape[1]))
            for start in range(0, len(group), step):
                part = group[start : start + step]
                blocks.append((part, low[part], self._table(part, low[part], int(size))))
        return blocks

    def _table(self, rows, low, size):
        """Cdf of some rows at ``size`` whole numbers from ``low`` on; ``(k, size)``."""
        a, b = self.a[rows][..., None], self.b[rows][..., None]
        trials, k = self.trials[rows][:, None, None], low[:, None, None] + np.arange(size)
        left = np.maximum(trials - k, 0.0)  # 0 at the last number, beyond which there is none
        with np.errstate(divide="ignore"):
            rise = np.log(left) + np.log(a + k) - np.log(k + 1)
            rise -= np.log(b + np.maximum(left - 1, 0.0))
        logs = np.cumsum(rise[..., :-1], axis=-1)
        logs = np.concatenate([np.zeros((*logs.shape[:2], 1)), logs], axis=-1)
        mass = np.exp(logs - logs.max(axis=-1, keepdims=True))
        mass /= mass.sum(axis=-1, keepdims=True)
        table = (self.weights[rows][..., None] * mass).sum(axis=1).cumsum(axis=1)
        return np.minimum(table / table[:, -1:], 1.0)

    @cached_property
    def _smooth(self):
        """Rows whose numbers are too many to be listed, and the law of their share."""
        rows = np.flatnonzero(~self._narrow)
        a, b = self.a[rows], self.b[rows]
        size = _size_of_share(a + b, self.trials[rows, None])
        share = a / (a + b)
        return rows, BetaMixture(share * size, (1 - share) * size, self.weights[rows])


def _size_of_share(size, trials):
    """``a + b`` of the beta law that has the variance of the share of successes in trials."""
    trials = np.maximum(trials, 1.0)
    return np.maximum((size + 1) * trials / (trials + size) - 1, LEAST_SIZE)


class SharedLaw(PredictiveDistribution):
    """Few laws for many rows: rows with the same evidence have the same law, computed once.

    Parameters
    ----------
    law : PredictiveDistribution
        One law for each kind of row.

    kinds : ndarray of int of shape (n,)
        Which of them a row has.
    """

    def __init__(self, law, kinds):
        self.law = law
        self.kinds = kinds

    def __len__(self):
        return len(self.kinds)

    def take(self, rows):
        used, kinds = np.unique(self.kinds[rows], return_inverse=True)
        return SharedLaw(self.law.take(used), kinds)

    @classmethod
    def concatenate(cls, laws):
        starts = np.cumsum([0, *(len(law.law) for law in laws)])
        kinds = [law.kinds + start for law, start in zip(laws, starts, strict=False)]
        return cls(type(laws[0].law).concatenate([law.law for law in laws]), np.concatenate(kinds))

    def over(self, horizon):
        """The laws of the sums of so many next outcomes."""
        return SharedLaw(self.law.over(horizon), self.kinds)

    def _once(self, method, x):
        """``method`` at ``x``, of equal rows at equal values once."""
        x, flat = self._columns(x)
        out = np.empty(x.shape)
        for k, column in enumerate(x.T):
            cases, place = np.unique(np.stack([self.kinds, column]), axis=1, return_inverse=True)
            law = self.law.take(cases[0].astype(int))
            out[:, k] = getattr(law, method)(cases[1])[place.ravel()]
        return out[:, 0] if flat else out

    def cdf(self, x):
        return self._once("cdf", x)

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = self._once("quantile", tau)
        # by rounding a higher level may have a lower quantile, in the last digits
        order = np.argsort(tau, axis=1, kind="stable")
        rising = np.maximum.accumulate(np.take_along_axis(out, order, axis=1), axis=1)
        np.put_along_axis(out, order, rising, axis=1)
        return out[:, 0] if flat else out

    def excess(self, x):
        return self._once("excess", x)

    def mean(self):
        return self.law.mean()[self.kinds]

    def variance(self):
        """Variance of every row's law; ndarray of shape (n,)."""
        return self.law.variance()[self.kinds]

    def atomic(self):
        return self.law.atomic()[self.kinds]

    def nodes(self, split=None):
        if split is None:
            outcomes, weights = self.law.nodes()
            return outcomes[self.kinds], weights[self.kinds]
        cases, place = np.unique(np.stack([self.kinds, split]), axis=1, return_inverse=True)
        outcomes, weights = self.law.take(cases[0].astype(int)).nodes(cases[1])
        return outcomes[place.ravel()], weights[place.ravel()]
