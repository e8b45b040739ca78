"""Parametric predictive distributions, with exact expected excess."""

from abc import abstractmethod

import numpy as np
from scipy import special, stats

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.grid import EXACT_TERMS, FIRST_LEVEL
from sklearn_pttf._laws.nodes import gauss_levels, narrow_rows, whole_nodes
from sklearn_pttf._laws.whole import MANY_LEVELS, tabled_quantiles
from sklearn_pttf._utils.rounding import TINY

EDGES = 1 / (1 + np.exp(-np.linspace(-9, 9, 49)))  # of levels, denser in the tails
EDGES[0], EDGES[-1] = 0.0, 1.0
LARGE_MEAN = 1e6  # of counts, from which laws are rounded continuous ones, to a few units
NORMAL_SHAPE = 1e6  # of a gamma law that is as good as normal
LEAST_MASS = 1e-9  # of a whole number; below it the density stands for a difference of cdfs


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

    @property
    def _discrete(self):
        return isinstance(self.family, stats.rv_discrete)

    def atomic(self):
        return narrow_rows(self)[2] if self._discrete else np.zeros(len(self), dtype=bool)

    def nodes(self, split=None):
        """Gauss-Legendre nodes in ``tau``, denser in the tails; whole numbers one by one."""
        if self._discrete:
            return whole_nodes(self, EDGES, split)
        tau, weights = gauss_levels(EDGES, None if split is None else self.cdf(split))
        outcomes = self.quantile(tau)
        return outcomes, np.broadcast_to(weights, outcomes.shape)

    def excess(self, x):
        x, flat = self._columns(x)
        out = self._excess(x, *(p[:, None] for p in self.parameters))
        return out[:, 0] if flat else out

    @abstractmethod
    def _excess(self, x, *parameters):
        """Expected excess over ``x`` of shape (n, k); parameters of shape (n, 1)."""


class GammaLaw(ParametricLaw):
    """Gamma laws with the given positive mean and variance; almost normal ones taken for normal."""

    def _shape(self):
        """Shape of every row, at most `NORMAL_SHAPE`, and which rows are normal; ``(n, 1)``."""
        mean, variance = (p[:, None] for p in self.parameters)
        shape = mean / variance * mean
        return np.minimum(shape, NORMAL_SHAPE), shape >= NORMAL_SHAPE

    def _normal(self):
        mean, variance = self.parameters
        return NormalLaw(mean, np.sqrt(variance))

    def cdf(self, x):
        x, flat = self._columns(x)
        shape, normal = self._shape()
        scaled = np.maximum(x, 0.0) / self.parameters[0][:, None] * shape
        out = np.where(normal, self._normal().cdf(x), special.gammainc(shape, scaled))
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        shape, normal = self._shape()
        scaled = special.gammaincinv(shape, tau) / shape * self.parameters[0][:, None]
        out = np.where(normal, self._normal().quantile(tau), scaled)
        return out[:, 0] if flat else out

    def mean(self):
        return self.parameters[0].copy()

    def _excess(self, x, mean, variance):
        shape, normal = self._shape()
        scaled = np.maximum(x, 0.0) / mean * shape
        above = mean * special.gammaincc(shape + 1, scaled) - x * special.gammaincc(shape, scaled)
        return np.where(normal, self._normal().excess(x), np.maximum(above, 0.0))

    def log_density(self, x):
        """Logarithm of the density at ``x`` of shape (n,), which is not negative."""
        shape, normal = (part[:, 0] for part in self._shape())
        found = stats.gamma.logpdf(x, shape, scale=self.parameters[0] / shape)
        mean, variance = self.parameters
        return np.where(normal, stats.norm.logpdf(x, mean, np.sqrt(variance)), found)


class CountLaw(ParametricLaw):
    """A family of counts; those of large mean are rounded outcomes of a law with the same moments.

    SciPy's search for a quantile takes longer the larger counts are, and fails in the end.
    """

    @abstractmethod
    def moments(self):
        """Mean and variance of every row; ``(n,)`` each."""

    def _large(self):
        """Which rows have a large mean, and their laws."""
        mean, variance = self.moments()
        rows = mean > LARGE_MEAN
        return rows, RoundedLaw(GammaLaw(mean[rows], variance[rows]))

    def _by_size(self, method, x):
        x, flat = self._columns(x)
        large, law = self._large()
        out = np.empty(x.shape)
        out[large] = getattr(law, method)(x[large]) if large.any() else 0.0
        small = ~large
        if small.any():
            parameters = (p[small, None] for p in self.parameters)
            out[small] = getattr(self, f"_{method}_of_small")(x[small], *parameters)
        return out[:, 0] if flat else out

    def cdf(self, x):
        return self._by_size("cdf", x)

    def quantile(self, tau):
        tau = check_levels(tau)
        few = tau.ndim < 2 or tau.shape[1] < MANY_LEVELS
        return self._few_quantiles(tau) if few else self._many_quantiles(tau)

    def _few_quantiles(self, tau):
        return self._by_size("quantile", tau)

    def _many_quantiles(self, tau):
        tau, _ = self._columns(tau)
        ends = np.stack([tau.min(axis=1), tau.max(axis=1)], axis=1)
        first, last = self._few_quantiles(ends).T
        return tabled_quantiles(self, tau, first, last, CountLaw._few_quantiles)

    def excess(self, x):
        return self._by_size("excess", x)

    def mean(self):
        return self.moments()[0]

    def log_density(self, x):
        """Logarithm of the mass at whole ``x`` of shape (n,)."""
        large, law = self._large()
        out = self.family.logpmf(x, *self.parameters)
        out[large] = law.log_density(x[large]) if large.any() else 0.0
        return out

    def _cdf_of_small(self, x, *parameters):
        return self.family.cdf(x, *parameters)

    def _quantile_of_small(self, tau, *parameters):
        return self.family.ppf(tau, *parameters)

    def _excess_of_small(self, x, *parameters):
        return self._excess(x, *parameters)


class PoissonLaw(CountLaw):
    """Poisson laws with the given rates."""

    family = stats.poisson

    def moments(self):
        return self.parameters[0].copy(), self.parameters[0].copy()

    def _excess(self, x, rate):
        q = np.ceil(x)
        above = rate * stats.poisson.sf(q - 2, rate)
        return above - x * stats.poisson.sf(q - 1, rate)


class NegativeBinomialLaw(CountLaw):
    """Negative binomial laws in scipy's parameters: number of successes, probability."""

    family = stats.nbinom

    def moments(self):
        size, p = self.parameters
        mean = size * (1 - p) / p
        return mean, mean / p

    def cdf_of_run(self, first, size):
        """By the ratios of neighbouring probabilities, from the most likely number on."""
        large, _ = self._large()
        if large.any():
            return super().cdf_of_run(first, size)
        number, p = self.parameters
        mode = np.clip(np.floor((number - 1) * (1 - p) / p), first, first + size - 1)
        at = first[:, None] + np.arange(1, size)
        logs = np.log((at - 1 + number[:, None]) * (1 - p)[:, None] / at)
        logs = np.concatenate([np.zeros((len(p), 1)), logs.cumsum(axis=1)], axis=1)
        place = (mode - first).astype(int)[:, None]
        logs -= np.take_along_axis(logs, place, axis=1)
        mass = np.exp(logs) * stats.nbinom.pmf(mode, number, p)[:, None]
        mass[:, 0] = stats.nbinom.cdf(first, number, p)
        return np.minimum(mass.cumsum(axis=1), 1.0)

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


class ZeroInflatedLognormalLaw(ParametricLaw):
    """Zero with the given share, else lognormal; in the parameters of `LognormalLaw`."""

    def cdf(self, x):
        x, flat = self._columns(x)
        mu, sigma, share = (p[:, None] for p in self.parameters)
        positive = LognormalLaw.family(mu, sigma).cdf(np.maximum(x, 0.0))
        out = np.where(x < 0, 0.0, share + (1 - share) * positive)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        mu, sigma, share = (p[:, None] for p in self.parameters)
        inside = tau > share
        level = np.where(inside, (tau - share) / np.where(share < 1, 1 - share, 1.0), 0.5)
        out = np.where(inside, np.exp(mu + sigma * special.ndtri(level)), 0.0)
        return out[:, 0] if flat else out

    def mean(self):
        mu, sigma, share = self.parameters
        return (1 - share) * np.exp(mu + sigma**2 / 2)

    def nodes(self, split=None):
        mu, sigma, share = self.parameters
        outcomes, weights = LognormalLaw(mu, sigma).nodes(split)
        weights = np.column_stack([share, (1 - share)[:, None] * weights])
        return np.column_stack([np.zeros(len(self)), outcomes]), weights

    def _excess(self, x, mu, sigma, share):
        positive = np.maximum(x, 0.0)
        above = LognormalLaw(mu[:, 0], sigma[:, 0]).excess(positive)
        return (1 - share) * above + (positive - x)

    def log_density(self, x):
        """Logarithm of the density at ``x > 0``, and of the mass at 0; x of shape (n,)."""
        mu, sigma, share = self.parameters
        with np.errstate(divide="ignore"):
            logs = np.log(np.where(x > 0, x, 1.0))
            positive = np.log1p(-share) + stats.norm.logpdf(logs, mu, sigma) - logs
            return np.where(x > 0, positive, np.log(share))


class NormalLaw(ParametricLaw):
    """Normal laws with the given mean and standard deviation."""

    def cdf(self, x):
        x, flat = self._columns(x)
        mu, sigma = (p[:, None] for p in self.parameters)
        out = special.ndtr((x - mu) / sigma)
        return out[:, 0] if flat else out

    def quantile(self, tau):
        tau, flat = self._columns(check_levels(tau))
        mu, sigma = (p[:, None] for p in self.parameters)
        out = mu + sigma * special.ndtri(tau)
        return out[:, 0] if flat else out

    def mean(self):
        return self.parameters[0].copy()

    def _excess(self, x, mu, sigma):
        z = (x - mu) / sigma
        return sigma * stats.norm.pdf(z) - (x - mu) * special.ndtr(-z)


class RectifiedNormalLaw(NormalLaw):
    """Normal laws with the given mean and standard deviation, what is below 0 being mass at 0."""

    def cdf(self, x):
        return np.where(np.asarray(x) < 0, 0.0, super().cdf(x))

    def quantile(self, tau):
        return np.maximum(super().quantile(tau), 0.0)

    def mean(self):
        return self.excess(0.0)

    def _excess(self, x, mu, sigma):
        positive = np.maximum(x, 0.0)
        return super()._excess(positive, mu, sigma) + (positive - x)

    def log_density(self, x):
        """Logarithm of the density at ``x > 0``, and of the mass at 0; x of shape (n,)."""
        mu, sigma = self.parameters
        at_zero = special.log_ndtr(-mu / sigma)
        return np.where(x > 0, stats.norm.logpdf(x, mu, sigma), at_zero)


class RoundedLaw(PredictiveDistribution):
    """Outcomes of a continuous law that is not negative, rounded to the nearest whole number.

    Parameters
    ----------
    law : PredictiveDistribution
    """

    def __init__(self, law):
        self.law = law

    def __len__(self):
        return len(self.law)

    def take(self, rows):
        return RoundedLaw(self.law.take(rows))

    @classmethod
    def concatenate(cls, laws):
        return cls(type(laws[0].law).concatenate([law.law for law in laws]))

    def cdf(self, x):
        x = np.asarray(x, dtype=float)
        return self.law.cdf(np.where(x < 0, -1.0, np.floor(x) + 0.5))

    def quantile(self, tau):
        return np.maximum(np.ceil(self.law.quantile(tau) - 0.5), 0.0) + 0.0

    def excess(self, x):
        """One by one from where the law begins; before and after by the midpoint rule."""
        x, flat = self._columns(x)
        positive = np.maximum(x, 0.0)
        first = np.ceil(positive)
        begin = np.floor(self.law.quantile(np.full((len(self), 1), FIRST_LEVEL)))
        begin = np.maximum(first, begin)
        out = (positive - x) + (first - positive) * (1 - self.cdf(np.floor(positive)))
        out += self.law.excess(first) - self.law.excess(begin)
        for k in range(EXACT_TERMS):
            out += 1 - self.cdf(begin + k)
        out += self.law.excess(begin + EXACT_TERMS)
        return out[:, 0] if flat else out

    def mean(self):
        return self.excess(0.0)

    def atomic(self):
        return narrow_rows(self)[2]

    def nodes(self, split=None):
        return whole_nodes(self, EDGES, split)

    def log_density(self, x):
        """Logarithm of the mass at whole ``x`` of shape (n,); far out, of the density."""
        mass = self.cdf(x) - self.cdf(x - 1)
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(mass, TINY))
            return np.where(mass > LEAST_MASS, logs, self.law.log_density(x))
