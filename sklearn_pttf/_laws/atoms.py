"""Laws of outcomes as they were observed: weighted atoms."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._utils.rounding import ROUNDED

N_POOLED_ATOMS = 1000  # of all observations, at even ranks: a thousandth is what levels reach to
N_POOLED_RATES = 200  # likewise, of rates, each by its exposure


class WeightedAtoms(PredictiveDistribution):
    """Exact discrete laws: atoms with weights, one law per row.

    Parameters
    ----------
    atoms : ndarray of shape (n, m)
        Possible outcomes. NaN marks an absent atom; a row has at least one that is present.

    weights : ndarray of shape (n, m), default=None
        Non-negative weights, scaled to sum to one per row. None: equal weights.

    Raises
    ------
    ValueError
        If ``atoms`` is not 2-D, a weight is negative or missing, or a row has no atom of positive
        weight.

    See Also
    --------
    QuantileGrid : Laws as quantiles at shared levels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import WeightedAtoms
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
        if x.shape[1] > self.atoms.shape[1]:
            out = self._tabled_cdf(x)
        else:
            columns = [((self.atoms <= c[:, None]) * self.weights).sum(axis=1) for c in x.T]
            out = np.stack(columns, axis=1)
        return out[:, 0] if flat else out

    def _tabled_cdf(self, x):
        """The same sums, each made once and looked up."""
        places = np.arange(self.atoms.shape[1] + 1)
        sums = np.stack([(self.weights * (places[:-1] < k)).sum(axis=1) for k in places], axis=1)
        ascending = np.maximum.accumulate(self.atoms, axis=1)  # absent ones, which are last, too
        reached = _each_searched(ascending, x, side="right")
        return np.where(np.isnan(x), 0.0, np.take_along_axis(sums, reached, axis=1))

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        reached = np.cumsum(self.weights, axis=1)
        # a level that a sum of weights misses by rounding only is reached, but not by no weight
        needed = np.maximum(tau - ROUNDED, np.finfo(float).tiny)
        index = _n_below(reached, needed)
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


def _n_below(ascending, values):
    """How many numbers of a row ``(n, m)`` are below each of its values ``(n, k)``; ``(n, k)``."""
    if values.shape[1] < len(values):
        return np.stack([(ascending < c[:, None]).sum(axis=1) for c in values.T], axis=1)
    return _each_searched(ascending, values)


def _each_searched(ascending, values, side="left"):
    """`numpy.searchsorted` of a row's values among its numbers."""
    found = np.empty(values.shape, dtype=int)
    for k, row in enumerate(values):
        found[k] = np.searchsorted(ascending[k], row, side=side)
    return found


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
    return law_at_exposure(rates, weights, portfolio)


def law_at_exposure(rates, weights, portfolio):
    """Laws of next outcomes whose rates are atoms; between two whole numbers one or the other.

    Parameters
    ----------
    rates, weights : ndarray of shape (n, m)

    portfolio : Portfolio
        With exposures.

    Returns
    -------
    WeightedAtoms
    """
    atoms = rates * portfolio.coming_exposure()[:, None]
    if not portfolio.integer:
        return WeightedAtoms(atoms, weights)
    atoms = np.where(
        np.abs(atoms - np.rint(atoms)) < ROUNDED * np.abs(atoms), np.rint(atoms), atoms
    )
    below = np.floor(atoms)
    above = np.nan_to_num(atoms - below)
    return WeightedAtoms(
        np.hstack([below, below + 1]), np.hstack([weights * (1 - above), weights * above])
    )
