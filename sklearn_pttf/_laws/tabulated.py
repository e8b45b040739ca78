"""Mixtures of a few discrete laws that all rows share, by a table of their cdfs."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._utils.rounding import EXACT

BLOCK_CELLS = 1_000_000  # rows times atoms that are looked at together


class TabulatedMixture(PredictiveDistribution):
    """Mixtures of a few discrete laws that all rows share.

    Parameters
    ----------
    weights : ndarray of shape (n, n_components)
        Of the components in every row; rows sum to 1.

    atoms : ndarray of shape (k,)
        Possible outcomes, increasing.

    table : ndarray of shape (n_components, k)
        Cdf of every component at the atoms; the last column is 1.
    """

    def __init__(self, weights, atoms, table):
        self.weights = weights
        self.atoms = atoms
        self.table = table

    def __len__(self):
        return len(self.weights)

    def take(self, rows):
        return TabulatedMixture(self.weights[rows], self.atoms, self.table)

    @classmethod
    def concatenate(cls, laws):
        return cls(np.concatenate([law.weights for law in laws]), laws[0].atoms, laws[0].table)

    def _mass(self):
        return np.diff(self.table, axis=1, prepend=0.0)

    def cdf(self, x):
        x, flat = self._columns(x)
        index = np.searchsorted(self.atoms, x, side="right")
        table = np.concatenate([np.zeros((len(self.table), 1)), self.table], axis=1)
        out = self._at(table, index)
        return out[:, 0] if flat else out

    def _at(self, table, index):
        """Rows' mixtures of columns of a table, at indices of shape (n, k)."""
        columns = [np.einsum("ng,gn->n", self.weights, table[:, i]) for i in index.T]
        return np.stack(columns, axis=1)

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = np.empty(tau.shape)
        step = max(BLOCK_CELLS // len(self.atoms), 1)
        for start in range(0, len(self), step):
            rows = slice(start, start + step)
            cdf = self.weights[rows] @ self.table
            for k, level in enumerate(tau[rows].T):
                # a level that a sum of weights misses by rounding only is reached
                index = (cdf < level[:, None] - EXACT).sum(axis=1)
                out[rows, k] = self.atoms[np.minimum(index, len(self.atoms) - 1)]
        return out[:, 0] if flat else out

    def excess(self, x):
        x, flat = self._columns(x)
        index = np.searchsorted(self.atoms, x, side="right")
        mass = self._mass()
        above = np.concatenate([mass, np.zeros((len(mass), 1))], axis=1)[:, ::-1]
        value = np.append(self.atoms, 0.0)[::-1]
        tail = np.cumsum(above, axis=1)[:, ::-1]
        total = np.cumsum(above * value, axis=1)[:, ::-1]
        out = np.maximum(self._at(total, index) - x * self._at(tail, index), 0.0)
        return out[:, 0] if flat else out

    def mean(self):
        return self.weights @ (self._mass() @ self.atoms)

    def nodes(self, split=None):
        shape = (len(self), len(self.atoms))
        return np.broadcast_to(self.atoms, shape), self.weights @ self._mass()
