"""Levels of rows some of whose outcomes were capped: their posterior, by quadrature.

A capped outcome is *at least* its observation, so it counts by the probability of that. Everything
here is a function of the level's logarithm and log-concave in it, so that a posterior has one mode,
around which a few nodes are exact to many digits.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

N_NODES = 41
FAR = 3.2  # nodes reach to sinh(FAR) standard deviations, 12, and are dense in the middle
MOST_STEPS, LARGEST_STEP, LAST_STEP = 100, 2.0, 1e-7  # of Newton's method
LARGEST_LOG = 600.0  # of a level: more is no number
LEAST_CURVATURE = 1e-12
DIFFER = 1e-4  # of the log of a size, to either side
GRAIN = 0.5  # of a whole number, which stands for what is up to this much below and above
LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


class LevelPosterior(NamedTuple):
    """Logarithms of levels with weights, and how likely rows are whatever their level."""

    logs: np.ndarray  # (n, n_nodes)
    weights: np.ndarray  # (n, n_nodes), rows sum to 1
    log_evidence: np.ndarray  # (n,)
    mode: np.ndarray  # (n,)


def posterior_of_levels(prior, evidence, start=None, n_nodes=N_NODES):
    """Posterior of the logarithms of rows' levels.

    Parameters
    ----------
    prior : GammaLevels or NormalLevels

    evidence : CappedPoisson, CappedNegativeBinomial or CappedLognormal

    start : ndarray of shape (n,), default=None
        Where to look for the mode first. None: at the prior's middle.

    n_nodes : int, default=41

    Returns
    -------
    LevelPosterior
    """
    mode = np.full(len(evidence), prior.middle) if start is None else start
    for _ in range(MOST_STEPS):
        slope, curvature = (
            a + b for a, b in zip(prior.slopes(mode), evidence.slopes(mode), strict=True)
        )
        curvature = np.maximum(-curvature, LEAST_CURVATURE)
        step = np.clip(slope / curvature, -LARGEST_STEP, LARGEST_STEP)
        mode = np.minimum(mode + step, LARGEST_LOG)
        if np.all(np.abs(step) * np.sqrt(curvature) < LAST_STEP):
            break
    at, gap = np.linspace(-FAR, FAR, n_nodes, retstep=True)
    width = 1 / np.sqrt(curvature)[:, None]
    logs = mode[:, None] + width * np.sinh(at)
    density = prior.log_density(logs) + evidence.log_likelihood(logs)
    density = density + np.log(width * gap * np.cosh(at))
    log_evidence = special.logsumexp(density, axis=1)
    return LevelPosterior(logs, np.exp(density - log_evidence[:, None]), log_evidence, mode)


class GammaLevels:
    """Gamma distribution of levels, by its shape and rate."""

    def __init__(self, shape, rate):
        self.shape, self.rate = shape, rate
        self.middle = np.log(shape / rate)

    def log_density(self, logs):
        """Of the logarithm."""
        constant = self.shape * np.log(self.rate) - special.gammaln(self.shape)
        return self.shape * logs - self.rate * np.exp(np.minimum(logs, LARGEST_LOG)) + constant

    def slopes(self, logs):
        level = self.rate * np.exp(logs)
        return self.shape - level, -level


class NormalLevels:
    """Normal distribution of logarithms, by its mean and standard deviation."""

    def __init__(self, mean, spread):
        self.middle, self.spread = mean, spread

    def log_density(self, logs):
        """Of the logarithm."""
        z = (logs - self.middle) / self.spread
        return -(z**2) / 2 - np.log(self.spread) - LOG_ROOT_TWO_PI

    def slopes(self, logs):
        away = (logs - self.middle) / self.spread
        return -away / self.spread, np.full_like(logs, -1 / self.spread**2)


class _CellsOfRows:
    """Some cells of rows, equal ones of a row once; NaN is none."""

    def __init__(self, values, units):
        rows, cells = np.nonzero(~np.isnan(values))
        table = np.stack([rows, values[rows, cells], units[rows, cells]])
        (rows, self.values, self.units), self.times = np.unique(table, axis=1, return_counts=True)
        self.rows = rows.astype(int)
        self.n_rows = len(values)

    def total(self, values):
        """Sums of values of cells over their rows."""
        times = self.times.reshape(-1, *(1,) * (values.ndim - 1))
        out = np.zeros((self.n_rows, *values.shape[1:]))
        np.add.at(out, self.rows, times * values)
        return out


class CappedPoisson:
    """Poisson counts of rows, of which some were capped.

    Parameters
    ----------
    portfolio : Portfolio
        Of whole numbers.
    """

    def __init__(self, portfolio):
        x, exposure = portfolio.observations, portfolio.exposures()
        capped = is_capped(portfolio)
        seen = portfolio.mask & ~capped
        self.sums = np.where(seen, x, 0.0).sum(axis=1)
        self.exposure = np.where(seen, exposure, 0.0).sum(axis=1)
        # what is most likely by seen cells alone, around which nothing loses digits
        some = self.sums > 0
        self.own = np.where(some, np.log(np.where(some, self.sums, 1.0)), 0.0)
        self.own -= np.where(some, np.log(np.where(some, self.exposure, 1.0)), 0.0)
        means = np.where(seen, exposure, 1.0) * np.exp(self.own)[:, None]
        mass = x * np.log(means) - means - special.gammaln(x + 1)
        self.most = np.where(seen & some[:, None], mass, 0.0).sum(axis=1)
        # to have sold nothing of nothing says nothing
        caps = np.where(capped & (x > 0), np.ceil(x), np.nan)
        self.capped = _CellsOfRows(caps, np.where(capped, exposure, 0.0))

    def __len__(self):
        return len(self.sums)

    def log_likelihood(self, logs):
        level, capped = np.exp(np.minimum(logs, LARGEST_LOG)), self.capped
        off = np.minimum(logs - self.own[:, None], LARGEST_LOG)
        sums, exposure = self.sums[:, None], self.exposure[:, None]
        seen = np.where(sums > 0, -sums * (np.expm1(off) - off), -exposure * level)
        mean = level[capped.rows] * capped.units[:, None]
        told = capped.total(log_at_least(capped.values[:, None], mean))
        return seen + self.most[:, None] + told

    def slopes(self, logs):
        level = np.exp(logs)
        seen, capped = self.exposure * level, self.capped
        mean = level[capped.rows] * capped.units
        mass = capped.values * np.log(mean) - mean - special.gammaln(capped.values)
        rise = np.exp(np.minimum(mass - log_at_least(capped.values, mean), LARGEST_LOG))
        bend = np.minimum(rise * (capped.values - mean - rise), 0.0)
        return self.sums - seen + capped.total(rise), -seen + capped.total(bend)


def log_at_least(cap, mean):
    """Log probability that a Poisson count of some mean is at least a positive whole number."""
    share = special.gammainc(cap, mean)
    few = mean < cap / 2
    # of which the first terms of a series are the whole of it
    ratio = np.where(few, mean, 0.0) / (cap + 1)
    series = 1 + ratio * (1 + np.where(few, mean, 0.0) / (cap + 2) * (1 + ratio))
    with np.errstate(divide="ignore"):
        first = cap * np.log(mean) - mean - special.gammaln(cap + 1) + np.log(series)
        return np.where(few & (share < 1e-200), first, np.log(np.maximum(share, 1e-300)))


class CappedNegativeBinomial:
    """Counts of rows that vary more than Poisson ones, of which some were capped.

    Parameters
    ----------
    portfolio : Portfolio
        Of whole numbers.

    size : float
        A count of mean m has the variance ``m + m**2 / size``.
    """

    def __init__(self, portfolio, size):
        x, exposure, capped = portfolio.observations, portfolio.exposures(), is_capped(portfolio)
        self.seen = _CellsOfRows(np.where(portfolio.mask & ~capped, x, np.nan), exposure)
        # to have sold nothing of nothing says nothing
        caps = np.where(capped & (x > 0), np.ceil(x), np.nan)
        self.capped = _CellsOfRows(caps, np.where(capped, exposure, 0.0))
        self.size = size

    def __len__(self):
        return self.seen.n_rows

    def log_likelihood(self, logs, size=None):
        """At logarithms of levels of shape (n, n_nodes); ``size`` in place of its own."""
        size = self.size if size is None else size
        seen, capped = self.seen, self.capped
        x, share = seen.values[:, None], self._share(seen, logs, size)
        mass = special.gammaln(x + size) - special.gammaln(size) - special.gammaln(x + 1)
        mass = mass + special.xlog1py(x, -share[1]) + size * np.log(share[1])
        caps = capped.values[:, None]
        return seen.total(mass) + capped.total(
            _log_beta(caps, size, *self._share(capped, logs, size))
        )

    def slopes(self, logs):
        seen, capped, size = self.seen, self.capped, self.size
        p, q = self._share(seen, logs[:, None], size)
        p, q, both = p[:, 0], q[:, 0], seen.values + size
        slope, bend = seen.total(seen.values - both * p), -seen.total(both * p * q)
        p, q = self._share(capped, logs[:, None], size)
        caps = capped.values[:, None]
        mass = caps * np.log(p) + size * np.log(q) - special.betaln(caps, size)
        rise = np.exp(np.minimum(mass - _log_beta(caps, size, p, q), LARGEST_LOG))
        down = np.minimum(rise * (caps * q - size * p - rise), 0.0)
        return slope + capped.total(rise[:, 0]), bend + capped.total(down[:, 0])

    def size_slope(self, logs):
        """Derivative of the log likelihood by the log of the size, by differences."""
        more, less = (self.log_likelihood(logs, self.size * np.exp(x)) for x in (DIFFER, -DIFFER))
        return (more - less) / (2 * DIFFER)

    @staticmethod
    def _share(cells, logs, size):
        """Mean over mean plus size, and the rest of 1; (k, n_nodes) each."""
        odds = logs[cells.rows] + np.log(cells.units / size)[:, None]
        return special.expit(odds), special.expit(-odds)


def _log_beta(a, b, p, q):
    """Logarithm of the regularised incomplete beta function at p, which is 1 - q."""
    share = special.betainc(a, b, p)
    with np.errstate(divide="ignore"):
        first = a * np.log(p) + b * np.log(q) - special.betaln(a, b) - np.log(a)
        first = first - np.log1p(-np.minimum((a + b) / (a + 1) * p, 0.5))  # of a series
        return np.where(share < 1e-200, first, np.log(np.maximum(share, 1e-300)))


class CappedLognormal:
    """Positive outcomes of rows, of which some were capped, and the noise of their logarithms.

    Of whole numbers a cap is half a unit less: that is what is rounded to it.

    Parameters
    ----------
    portfolio : Portfolio

    noise : float
        Standard deviation of a logarithm around its row's level.
    """

    def __init__(self, portfolio, noise):
        x, capped = portfolio.observations, is_capped(portfolio)
        seen = portfolio.mask & ~capped & (x > 0)
        logs = np.where(seen, np.log(np.where(seen, x, 1.0)), 0.0)
        self.counts, self.sums = seen.sum(axis=1), logs.sum(axis=1)
        self.own = self.sums / np.maximum(self.counts, 1)
        self.squares = np.where(seen, (logs - self.own[:, None]) ** 2, 0.0).sum(axis=1)
        caps = np.where(capped & (x > 0), x - GRAIN * portfolio.integer, 1.0)
        caps = np.where(capped & (x > 0), np.log(caps), np.nan)
        self.capped = _CellsOfRows(caps, np.ones_like(caps))
        self.noise = noise

    def __len__(self):
        return len(self.counts)

    def log_likelihood(self, logs):
        counts, capped = self.counts[:, None], self.capped
        squares = counts * (logs - self.own[:, None]) ** 2 + self.squares[:, None]
        out = -squares / (2 * self.noise**2) - counts * (np.log(self.noise) + LOG_ROOT_TWO_PI)
        out -= self.sums[:, None]  # of densities of outcomes, and not of logarithms
        z = (logs[capped.rows] - capped.values[:, None]) / self.noise
        return out + capped.total(special.log_ndtr(z))

    def noise_slope(self, logs):
        """Derivative of the log likelihood by the log of the noise."""
        counts, capped = self.counts[:, None], self.capped
        squares = counts * (logs - self.own[:, None]) ** 2 + self.squares[:, None]
        z = (logs[capped.rows] - capped.values[:, None]) / self.noise
        return squares / self.noise**2 - counts - capped.total(_hazard(z) * z)

    def slopes(self, logs):
        capped = self.capped
        z = (logs[capped.rows] - capped.values) / self.noise
        rise = _hazard(z)
        bend = np.minimum(-rise * (rise + z), 0.0)
        slope = self.counts * (self.own - logs) / self.noise**2
        return (
            slope + capped.total(rise / self.noise),
            -self.counts / self.noise**2 + capped.total(bend / self.noise**2),
        )


def _hazard(z):
    """Normal density over the probability of less; of shape as z."""
    return np.exp(-(z**2) / 2 - LOG_ROOT_TWO_PI - special.log_ndtr(z))


def is_capped(portfolio):
    """Which cells are capped; bool, as observations."""
    capped = portfolio.capped
    return np.zeros(portfolio.observations.shape, dtype=bool) if capped is None else capped


# ------------------------------------------------------------------ what lies beyond a cap


def lognormal_beyond(log_cap, log_level, noise):
    """Expected outcome that is at least its cap, where its log is normal around the log level."""
    z = (log_level - log_cap) / noise
    above = special.log_ndtr(z + noise) - special.log_ndtr(z)
    return np.exp(np.minimum(log_level + noise**2 / 2 + above, LARGEST_LOG))


def count_beyond(cap, mean, size):
    """Expected negative binomial count of some mean and size that is at least its cap, from 1 up.

    Counts weighted by themselves are 1 more than counts of a size that is larger by 1.
    """
    p, q = mean / (mean + size), size / (mean + size)
    least = np.maximum(cap - 1, 1)
    above = np.where(cap > 1, _log_beta(least, size + 1, p, q), 0.0) - _log_beta(cap, size, p, q)
    return np.exp(np.minimum(np.log(mean) + above, LARGEST_LOG))
