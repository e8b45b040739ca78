"""Predictive distributions: the law of every instance's next outcome."""

from abc import ABC, abstractmethod

import numpy as np

from sklearn_pttf._laws.nodes import fine_edges, gauss_levels, narrow_rows, whole_nodes

EXACT_TERMS = 16  # whole numbers summed one by one, between two integrals
FIRST_LEVEL = 1e-4  # of the quantile where the sum one by one begins
N_POOLED_ATOMS = 1000
TILT_KNOTS = np.concatenate(  # levels among outcomes above zero, finer near the upper end
    [[0.0, 0.05], np.linspace(0.1, 0.9, 9), [0.95, 0.98, 0.99, 0.995, 0.999, 1.0]]
)
SUREST_ZERO = 1 - 1e-9  # probability of one, which leaves digits for what is above it
N_POOLED_RATES = 200


class PredictiveDistribution(ABC):
    """One law a row: what the next outcome of every instance may be.

    ``x`` and ``tau`` are scalars, one value a row ``(n,)``, or several a row ``(n, k)`` or
    ``(1, k)``; the result is ``(n,)`` for the first two and ``(n, k)`` for the last.
    """

    @abstractmethod
    def __len__(self):
        """Number of rows."""

    @abstractmethod
    def take(self, rows):
        """The laws of some rows."""

    @classmethod
    @abstractmethod
    def concatenate(cls, laws):
        """The laws of several batches of rows as one."""

    @abstractmethod
    def cdf(self, x):
        """Probability that the outcome is at most ``x``."""

    @abstractmethod
    def quantile(self, tau):
        """Smallest outcome whose cdf reaches ``tau``."""

    @abstractmethod
    def excess(self, x):
        """Expected excess over ``x``, ``E[(outcome - x)+]``, in units of the outcome."""

    @abstractmethod
    def nodes(self, split=None):
        """Outcomes and weights of shape ``(n, q)`` that stand for the law in a mean.

        No node of a continuous law stands for outcomes to both sides of ``split``, one value a
        row: there a cost may have a kink.
        """

    @abstractmethod
    def mean(self):
        """Expected outcome; ndarray of shape (n,)."""

    def mean_distance(self):
        """Expected absolute distance of the outcome from its median; ndarray of shape (n,)."""
        median = self.quantile(0.5)
        return 2 * self.excess(median) + median - self.mean()

    def smoothed(self):
        """The laws, or where these are slow to ask, quick ones next to them, of wide laws."""
        return self

    def atomic(self):
        """Whether the nodes of a row are its possible outcomes themselves; bool (n,)."""
        return np.ones(len(self), dtype=bool)

    def expected(self, cost, split=None):
        """Expected cost of every row.

        Parameters
        ----------
        cost : callable
            Maps outcomes of shape ``(n, q)`` to costs of that shape.

        split : ndarray of shape (n,), default=None
            Where the cost has a kink, if it has one: the mean is then more exact.

        Returns
        -------
        ndarray of shape (n,)
        """
        outcomes, weights = self.nodes(split)
        return (cost(outcomes) * weights).sum(axis=1)

    def _columns(self, x):
        """``x`` as ``(n, k)``, and whether to give the answer back as ``(n,)``."""
        x = np.asarray(x, dtype=float)
        if x.ndim > 2:
            raise ValueError(f"expected a scalar, (n,) or (n, k); got {x.ndim} dimensions.")
        flat = x.ndim < 2
        x = np.broadcast_to(x, len(self))[:, None] if flat else x
        return np.broadcast_to(x, (len(self), x.shape[1])), flat


def check_levels(tau):
    """Levels as floats, refused outside (0, 1)."""
    tau = np.asarray(tau, dtype=float)
    if not np.all((tau > 0) & (tau < 1)):
        bad = tau[~((tau > 0) & (tau < 1))].flat[0]
        raise ValueError(f"quantile levels must lie strictly between 0 and 1; got {bad!r}.")
    return tau


def _negative_entropy(level):
    """Antiderivative of logit: ``t log t + (1 - t) log(1 - t)``, 0 at both ends."""
    inside = (level > 0) & (level < 1)
    t = np.where(inside, level, 0.5)
    return np.where(inside, t * np.log(t) + (1 - t) * np.log1p(-t), 0.0)


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

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.grid import QuantileGrid
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
        """Other quantiles at the same levels."""
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
        below = np.stack(
            [(self.quantiles <= column[:, None]).sum(axis=1) for column in x.T], axis=1
        )
        segment = np.clip(below - 1, 0, len(self.levels) - 2)
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
        out = np.empty(start.shape)
        for k in range(start.shape[1]):
            from_, to = np.maximum(edges[:-1], start[:, k : k + 1]), edges[1:]
            inside = from_ < to
            area = constants * (to - from_)
            area = area + slopes * (_negative_entropy(to) - _negative_entropy(from_))
            out[:, k] = np.where(inside, area, 0.0).sum(axis=1)
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
        for k in range(EXACT_TERMS):
            total += 1 - self._smooth_cdf(begin + k)
        return total + self._smooth_excess(begin + (EXACT_TERMS - 0.5))

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
    >>> from sklearn_pttf._laws.grid import QuantileGrid, ReweightedZeros
    >>> law = QuantileGrid(np.array([[0.0, 1.0, 2.0, 4.0]]), [0.2, 0.6, 0.8, 0.9])
    >>> changed = ReweightedZeros(law, np.array([0.4]))
    >>> changed.cdf([[0.0, 1.0, 2.0, 4.0]]).round(6)
    array([[0.4  , 0.7  , 0.85 , 0.925]])
    """

    def __init__(self, law, zeros, power=1.0):
        self.law = law
        self.zeros = np.minimum(zeros, SUREST_ZERO)
        self.power = power
        self._own = np.minimum(law.cdf(0.0), SUREST_ZERO)

    @classmethod
    def shifted(cls, law, log_odds, power=1.0):
        """Laws in which the log odds of a zero are higher by so much."""
        own = np.clip(law.cdf(0.0), 1e-15, 1 - 1e-15)
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
        level = np.clip(own + (1 - own) * share, 1e-300, 1 - 1e-16)
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
        above = self.law.excess(starts)
        ends, beyond = starts[:, 1:], above[:, 1:]
        out = times[:, -1:] * self.law.excess(np.maximum(positive, starts[:, -1:]))
        own_excess = self.law.excess(positive)
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


class WeightedAtoms(PredictiveDistribution):
    """Exact discrete laws: atoms with weights, a row each.

    Parameters
    ----------
    atoms : ndarray of shape (n, m)
        Possible outcomes. NaN marks an absent atom; a row has at least one that is present.

    weights : ndarray of shape (n, m), default=None
        Non-negative weights, scaled to sum to one a row. None: equal weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.grid import WeightedAtoms
    >>> law = WeightedAtoms(np.array([[5.0, 1.0, 3.0, np.nan]]))
    >>> law.quantile(0.5), law.cdf(3.0), law.mean(), law.excess(2.0)
    (array([3.]), array([0.66666667]), array([3.]), array([1.33333333]))
    """

    def __init__(self, atoms, weights=None):
        atoms = np.asarray(atoms, dtype=float)
        if atoms.ndim != 2:
            raise ValueError(f"atoms must be 2-D, one row a law; got {atoms.ndim}-D.")
        weights = np.ones_like(atoms) if weights is None else np.asarray(weights, dtype=float)
        if weights.shape != atoms.shape or not np.all(weights >= 0):
            raise ValueError("weights must be non-negative and of the same shape as atoms.")
        weights = np.where(np.isnan(atoms), 0.0, weights)
        total = weights.sum(axis=1, keepdims=True)
        if not np.all(total > 0):
            row = int(np.flatnonzero(total[:, 0] <= 0)[0])
            raise ValueError(f"every row needs an atom of positive weight; row {row} has none.")
        order = np.argsort(atoms, axis=1, kind="stable")
        atoms = np.take_along_axis(atoms, order, axis=1)
        # an absent atom repeats the smallest, so that a cost of it is one that can be
        self.atoms = np.where(np.isnan(atoms), atoms[:, :1], atoms)
        self.weights = np.take_along_axis(weights / total, order, axis=1)

    def __len__(self):
        return len(self.atoms)

    def take(self, rows):
        return WeightedAtoms(self.atoms[rows], self.weights[rows])

    @classmethod
    def concatenate(cls, laws):
        width = max(law.atoms.shape[1] for law in laws)

        def widened(x, fill):
            return np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=fill)

        return cls(
            np.concatenate([widened(law.atoms, np.nan) for law in laws]),
            np.concatenate([widened(law.weights, 0.0) for law in laws]),
        )

    def cdf(self, x):
        x, flat = self._columns(x)
        out = np.stack(
            [((self.atoms <= column[:, None]) * self.weights).sum(axis=1) for column in x.T], axis=1
        )
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        reached = np.cumsum(self.weights, axis=1)
        # a level that a sum of weights misses by rounding only is reached, but not by no weight
        needed = np.maximum(tau - 1e-9, np.finfo(float).tiny)
        index = np.stack([(reached < c[:, None]).sum(axis=1) for c in needed.T], axis=1)
        out = np.take_along_axis(self.atoms, np.minimum(index, self.atoms.shape[1] - 1), axis=1)
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        out = np.stack(
            [(np.maximum(self.atoms - c[:, None], 0.0) * self.weights).sum(axis=1) for c in x.T],
            axis=1,
        )
        return out[:, 0] if flat else out

    def mean(self):
        return (self.atoms * self.weights).sum(axis=1)

    def nodes(self, split=None):
        return self.atoms, self.weights


def pooled_atoms(observations, exposures=None):
    """All observations of a context as at most 1,000 equally likely atoms; 1-D ndarray.

    Parameters
    ----------
    observations : ndarray of shape (n, m)

    exposures : ndarray of shape (n, m), default=None
        What each counts for. None: they count alike.

    Raises
    ------
    ValueError
        If there is no observation at all.
    """
    values = observations[~np.isnan(observations)]
    counts = None if exposures is None else exposures[~np.isnan(observations)]
    if len(values) and counts is not None and np.ptp(counts) > 0:
        order = np.argsort(values, kind="stable")
        values, reached = values[order], counts[order].cumsum()
        levels = (np.arange(N_POOLED_RATES) + 0.5) / N_POOLED_RATES
        return values[np.searchsorted(reached, levels * reached[-1])]
    values = np.sort(values)
    if len(values) == 0:
        raise ValueError("X has no observation at all: at least one row needs one.")
    if len(values) > N_POOLED_ATOMS:
        levels = (np.arange(N_POOLED_ATOMS) + 0.5) / N_POOLED_ATOMS
        values = values[(levels * len(values)).astype(int)]
    return values


class SampleAverageLaw(PredictiveDistribution):
    """Each instance's own empirical law, and one pooled law for those without observations.

    Parameters
    ----------
    observations : ndarray of shape (n, m)
        NaN = not observed.

    pooled : ndarray of shape (k,)
        Equally likely atoms of an instance without observations.
    """

    def __init__(self, observations, pooled):
        self.observations = observations
        self.pooled = pooled
        self._cold = np.isnan(observations).all(axis=1)
        # cold rows need some atom of their own, which is never looked at
        self._own = WeightedAtoms(np.where(self._cold[:, None], 0.0, observations))
        self._pool = WeightedAtoms(pooled[None, :])

    def __len__(self):
        return len(self.observations)

    def take(self, rows):
        return SampleAverageLaw(self.observations[rows], self.pooled)

    @classmethod
    def concatenate(cls, laws):
        return cls(np.concatenate([law.observations for law in laws]), laws[0].pooled)

    def _of_rows(self, method, x):
        """``method`` of every row's law at ``x``, cold rows by the pooled law."""
        x, flat = self._columns(x)
        out = getattr(self._own, method)(x)
        if self._cold.any():
            at = x[self._cold]
            out[self._cold] = getattr(self._pool, method)(at.reshape(1, -1)).reshape(at.shape)
        return out[:, 0] if flat else out

    def cdf(self, x):
        return self._of_rows("cdf", x)

    def quantile(self, tau):
        return self._of_rows("quantile", check_levels(tau))

    def excess(self, x):
        return self._of_rows("excess", x)

    def mean(self):
        return np.where(self._cold, self._pool.mean(), self._own.mean())

    def nodes(self, split=None):
        """Atoms of all rows, as wide as the pooled law where there is a cold row."""
        if not self._cold.any():
            return self._own.nodes()
        n_own, n_pooled = self.observations.shape[1], len(self.pooled)
        atoms = np.full((len(self), max(n_own, n_pooled)), np.nan)
        atoms[:, :n_own] = self.observations
        atoms[self._cold, :n_pooled] = self.pooled
        return WeightedAtoms(atoms).nodes()


def sample_average_law(portfolio, pooled):
    """Each instance's own empirical law; the pooled one where it has no observation.

    Deciding on this law is sample average approximation (SAA): the reference of `score`. Of
    outcomes that were counted over an exposure it is the law of the row's own rates, which count by
    their exposure, times the coming exposure; between two whole numbers it is one or the other.

    Parameters
    ----------
    portfolio : Portfolio
        Instances to give a law.

    pooled : ndarray of shape (m,)
        Atoms for an instance without observations, see `pooled_atoms`; rates, of outcomes that
        were counted over an exposure.

    Returns
    -------
    SampleAverageLaw or WeightedAtoms
    """
    if portfolio.exposure is not None:
        return _law_of_own_rates(portfolio, pooled)
    return SampleAverageLaw(portfolio.observations, pooled)


def _law_of_own_rates(portfolio, pooled):
    """`sample_average_law` of outcomes that were counted over an exposure."""
    rates, weights = portfolio.as_rates().observations, np.nan_to_num(portfolio.exposures())
    cold = ~portfolio.mask.any(axis=1)
    if cold.any():
        n_more = max(0, len(pooled) - rates.shape[1])
        rates = np.pad(rates, ((0, 0), (0, n_more)), constant_values=np.nan)
        weights = np.pad(weights, ((0, 0), (0, n_more)))
        rates[cold, : len(pooled)], weights[cold, : len(pooled)] = pooled, 1.0
    atoms = rates * portfolio.coming_exposure()[:, None]
    if not portfolio.integer:
        return WeightedAtoms(atoms, weights)
    atoms = np.where(np.abs(atoms - np.rint(atoms)) < 1e-9 * np.abs(atoms), np.rint(atoms), atoms)
    below = np.floor(atoms)
    above = np.nan_to_num(atoms - below)
    return WeightedAtoms(
        np.hstack([below, below + 1]), np.hstack([weights * (1 - above), weights * above])
    )
