"""Parametric predictive distributions, with exact expected excess."""

from abc import abstractmethod

import numpy as np
from scipy import stats

from sklearn_pttf._laws import PredictiveDistribution, check_levels


class ParametricLaw(PredictiveDistribution):
    """A `scipy.stats` family with parameters of shape ``(n,)``, one law a row.

    Subclasses name the family and give the expected excess in closed form.
    """

    family = None

    def __init__(self, *parameters):
        arrays = np.broadcast_arrays(*(np.asarray(p, dtype=float) for p in parameters))
        self.parameters = tuple(np.atleast_1d(p) for p in arrays)

    def __len__(self):
        return len(self.parameters[0])

    def take(self, rows):
        return type(self)(*(p[rows] for p in self.parameters))

    @classmethod
    def concatenate(cls, laws):
        return cls(
            *(np.concatenate(p) for p in zip(*(law.parameters for law in laws), strict=True))
        )

    def _frozen(self):
        return self.family(*(p[:, None] for p in self.parameters))

    def cdf(self, x):
        x, flat = self._columns(x)
        out = self._frozen().cdf(x)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        out = self._frozen().ppf(tau)
        return out[:, 0] if flat else out

    def mean(self):
        return self._frozen().mean()[:, 0]

    def nodes(self):
        """Gauss-Legendre nodes in ``tau``, denser in the tails."""
        points, weights = np.polynomial.legendre.leggauss(4)
        edges = 1 / (1 + np.exp(-np.linspace(-9, 9, 49)))
        edges[0], edges[-1] = 0.0, 1.0
        half = np.diff(edges)[:, None] / 2
        tau = (edges[:-1, None] + half * (points + 1)).ravel()
        weights = np.broadcast_to((half * weights).ravel(), (len(self), tau.size))
        return self.quantile(tau[None, :]), weights

    def excess(self, x):
        x, flat = self._columns(x)
        out = self._excess(x, *(p[:, None] for p in self.parameters))
        return out[:, 0] if flat else out

    @abstractmethod
    def _excess(self, x, *parameters):
        """Expected excess over ``x`` of shape (n, k); parameters of shape (n, 1)."""


class PoissonLaw(ParametricLaw):
    """Poisson laws with the given rates."""

    family = stats.poisson

    def _excess(self, x, rate):
        q = np.ceil(x)
        above = rate * stats.poisson.sf(q - 2, rate)
        return above - x * stats.poisson.sf(q - 1, rate)


class NegativeBinomialLaw(ParametricLaw):
    """Negative binomial laws in scipy's parameters: number of successes, probability."""

    family = stats.nbinom

    def _excess(self, x, size, p):
        q = np.ceil(x)
        above = size * (1 - p) / p * stats.nbinom.sf(q - 2, size + 1, p)
        return above - x * stats.nbinom.sf(q - 1, size, p)


class LognormalLaw(ParametricLaw):
    """Lognormal laws with the given mean and standard deviation of the logarithm."""

    @staticmethod
    def family(mu, sigma):
        return stats.lognorm(s=sigma, scale=np.exp(mu))

    def _excess(self, x, mu, sigma):
        mean = np.exp(mu + sigma**2 / 2)
        with np.errstate(divide="ignore"):
            z = (np.log(np.maximum(x, 0.0)) - mu) / sigma
        return mean * stats.norm.cdf(sigma - z) - x * stats.norm.sf(z)
