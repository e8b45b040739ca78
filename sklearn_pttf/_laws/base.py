"""Predictive distributions: what every law of next outcomes can say."""

from abc import ABC, abstractmethod

import numpy as np


class PredictiveDistribution(ABC):
    """One law a row: what the next outcome of every instance may be.

    ``x`` and ``tau`` are scalars, one value a row ``(n,)``, or several a row ``(n, k)`` or
    ``(1, k)``; the result is ``(n,)`` for the first two and ``(n, k)`` for the last.
    """

    lowest = -np.inf  # what outcomes are at least, where laws know it

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

    def cdf_of_run(self, first, size):
        """Cdf at so many whole numbers from ``first`` on; ndarray of shape (n, size)."""
        return self.cdf(first[:, None] + np.arange(size))

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
