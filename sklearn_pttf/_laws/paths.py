"""Demand of rows in several coming periods, which hang together, as paths that are drawn."""

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

N_PATHS = 512  # a power of 2, as the sequence asks for
SEED = 0  # of the sequence: the same paths for a row in any batch
LEAST = 1e-6  # a probability, from 0 and from 1, that paths reach


class DemandPaths:
    """Laws of every row's demand in each coming period, and how far these hang together.

    Periods have a Gaussian copula with one common factor: what is unknown of a row's level, and of
    conditions that last, is unknown of all its periods alike.

    Parameters
    ----------
    laws : list of PredictiveDistribution
        One a period, each with one law a row.

    correlation : ndarray of shape (n,)
        Of the normal scores of any two periods of a row, between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.parametric import PoissonLaw
    >>> from sklearn_pttf._laws.paths import DemandPaths
    >>> paths = DemandPaths([PoissonLaw(2.0), PoissonLaw(6.0)], np.array([0.5])).draw()
    >>> paths.shape, paths.mean(axis=1).round(1)
    ((1, 512, 2), array([[2., 6.]]))
    """

    def __init__(self, laws, correlation, quick=None):
        self.laws, self.correlation = list(laws), np.asarray(correlation, dtype=float)
        # beside those that are slow to ask for quantiles
        self._quick = [law.smoothed() for law in self.laws] if quick is None else quick

    def __len__(self):
        return len(self.correlation)

    @property
    def horizon(self):
        """Number of periods; int."""
        return len(self.laws)

    def take(self, rows):
        """The paths of some rows."""
        laws, quick = ([law.take(rows) for law in each] for each in (self.laws, self._quick))
        return DemandPaths(laws, self.correlation[rows], quick)

    @classmethod
    def concatenate(cls, paths):
        """The paths of several batches of rows as one."""
        laws = [
            type(each[0]).concatenate(each)
            for each in zip(*(part.laws for part in paths), strict=True)
        ]
        return cls(laws, np.concatenate([part.correlation for part in paths]))

    def mean(self):
        """Expected demand over all periods; ndarray of shape (n,)."""
        return sum(law.mean() for law in self.laws)

    def draw(self, n_paths=N_PATHS):
        """Paths of equal weight, from a sequence that fills space evenly.

        Returns
        -------
        ndarray of shape (n, n_paths, n_periods)
        """
        common, *own = _scores(self.horizon + 1, n_paths)
        shared, left = np.sqrt(self.correlation)[:, None], np.sqrt(1 - self.correlation)[:, None]
        reached = (ndtr(shared * common + left * each) for each in own)
        quantiles = [law.quantile(u) for law, u in zip(self._quick, reached, strict=True)]
        return np.stack(quantiles, axis=2)


def _scores(n_numbers, n_paths):
    """Normal scores of points that fill space evenly; ``(n_numbers, n_paths)``."""
    points = qmc.Sobol(n_numbers, rng=SEED).random(n_paths)
    return ndtri(np.clip(points, LEAST, 1 - LEAST)).T
