"""Distributions of rows' levels without a shape, on a grid: Poisson, lognormal, normal outcomes."""

import numpy as np
from scipy import special

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.mixture import LAST_WHOLE, MixtureLaw
from sklearn_pttf._laws.normal_mixture import NormalMixtureLaw, quantiles_of_mixtures
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf._laws.tabulated import TabulatedMixture
from sklearn_pttf._utils.mixtures import mixing_weights
from sklearn_pttf.baselines._marginal_likelihood import beta_binomial, row_components, zero_share
from sklearn_pttf.baselines._values import common_error, row_errors, size_of

LARGEST_TABLE = 4096  # whole numbers that a table of counts lists one by one
FARTHEST = 1e150  # of a mean from a level, in standard errors: its square is a number
LARGEST_LOG = 250.0  # of an outcome: more is beyond all that is observed
LARGE_COUNT = 1e8  # whose probability is its density
BLOCK_ROWS = 10_000  # that are scored together
KNOTS = 1 / (1 + np.exp(-np.linspace(-9.2, 9.2, 65)))


def _normalised(logs):
    """Numbers in proportion to ``exp(logs)``, the largest of a row being 1."""
    return np.exp(logs - logs.max(axis=1, keepdims=True))


def _weights_of_points(likelihood, multiplicity, max_iter):
    """Kiefer and Wolfowitz' distribution of levels, by EM from equal weights; ``(n_grid,)``."""
    even = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    return mixing_weights([likelihood], [multiplicity], even, max_iter)


def _log_of_sum(sums, expected):
    """Log Poisson mass of sums, over that at their own means; by ratios, which keep digits."""
    off = expected / np.where(sums > 0, sums, 1.0) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums > 0, sums * (np.log1p(off) - off), -expected)


def _mean_by_blocks(score, cases):
    """Mean of ``score(*cases)`` over cases, the columns of an array, equal ones once."""
    cases, multiplicity = np.unique(cases, axis=1, return_counts=True)
    blocks = range(0, cases.shape[1], BLOCK_ROWS)
    scores = [score(*cases[:, start : start + BLOCK_ROWS]) for start in blocks]
    return np.average(np.concatenate(scores), weights=multiplicity)


class PoissonLevels:
    """Poisson counts with levels on a grid."""

    noise = np.nan

    def __init__(self, portfolio, n_grid, max_iter):
        counts, sums = self._totals(portfolio)
        seen = counts > 0
        (counts, sums), multiplicity = np.unique(
            [counts[seen], sums[seen]], axis=1, return_counts=True
        )
        self.grid = self._points(np.repeat(sums / counts, multiplicity), n_grid, counts)
        likelihood = _normalised(self._log_likelihood(counts, sums))
        self.weights = _weights_of_points(likelihood, multiplicity, max_iter)
        self.atoms, self.table = self._tabulated()

    @staticmethod
    def _points(means, n_grid, counts):
        """Half evenly spaced in square roots, where counts are equally noisy; half by rank."""
        top = max(means.max(), 0.5 / counts.sum())
        even = np.linspace(np.sqrt(means.min()), np.sqrt(top), n_grid - n_grid // 2) ** 2
        ranks = np.quantile(means, np.linspace(0, 1, n_grid // 2))
        return np.unique(np.concatenate([even, ranks]))

    @staticmethod
    def _summaries(x):
        return (~np.isnan(x)).sum(axis=1).astype(float), np.nansum(x, axis=1)

    def _totals(self, portfolio):
        """Exposure and sum of every row's observations."""
        counts, sums = self._summaries(portfolio.observations)
        return counts if portfolio.exposure is None else np.nansum(portfolio.exposures(), 1), sums

    def _log_likelihood(self, counts, sums):
        return _log_of_sum(sums[:, None], counts[:, None] * self.grid)

    def _tabulated(self):
        """Atoms and the components' cdf there; all whole numbers if they are not too many."""
        largest = PoissonLaw(self.grid[-1:]).quantile(1 - 1e-9)[0]
        if largest <= LARGEST_TABLE:
            atoms = np.arange(np.ceil(largest) + 2)
        else:
            quantiles = PoissonLaw(self.grid).quantile(KNOTS[None, ::2])
            last = quantiles[:, -1]
            narrow = (last >= LAST_WHOLE) & (quantiles[:, 0] == last)  # than floats tell apart
            further = np.nextafter(last[narrow], np.inf)
            atoms = np.unique(np.concatenate([[0.0], quantiles.ravel(), further]))
        table = special.pdtr(atoms, self.grid[:, None])
        table[:, -1] = 1.0
        return atoms, table

    def posterior(self, counts, sums):
        with np.errstate(divide="ignore"):
            weights = _normalised(self._log_likelihood(counts, sums) + np.log(self.weights))
        return weights / weights.sum(axis=1, keepdims=True)

    def law(self, portfolio):
        weights = self.posterior(*self._totals(portfolio))
        if portfolio.exposure is None:
            return TabulatedMixture(weights, self.atoms, self.table)
        coming = portfolio.coming_exposure()
        return MixtureLaw([PoissonLaw(rate * coming) for rate in self.grid], weights, True)

    def law_of_level(self, portfolio):
        weights = self.posterior(*self._totals(portfolio))
        return WeightedAtoms(np.broadcast_to(self.grid, weights.shape), weights)

    def held_out_score(self, x):
        seen = ~np.isnan(x)
        counts, sums = self._summaries(x)
        outcome = x[seen]
        others = np.broadcast_to(sums[:, None], x.shape)[seen] - outcome
        counts = np.broadcast_to(counts[:, None] - 1, x.shape)[seen]
        return _mean_by_blocks(self._log_mass, np.stack([counts, others, outcome]))

    def _log_mass(self, counts, sums, outcome):
        mass = _log_of_sum(outcome[:, None], self.grid[None, :])
        mass += PoissonLaw(outcome).log_density(outcome)[:, None]  # at its own mean
        mass = (self.posterior(counts, sums) * np.exp(mass)).sum(axis=1)
        return np.log(np.maximum(mass, 1e-300))


class _LevelsOnGrid:
    """Normal levels of which rows have noisy means.

    The levels' distribution is one on a ``grid``, of which every point stands for its
    surroundings: for a normal distribution with a standard deviation of ``width``. Methods take the
    number and the sum of every row's observations, and the noise of these where it is not the
    same for all, of shape ``(n, 1)``.
    """

    def _log_likelihood(self, counts, sums, noise=None):
        noise = self.noise if noise is None else noise
        known = counts > 0
        counts = np.where(known, counts, 1.0)[:, None]
        variance = noise**2 / counts + self.width**2
        far = np.abs(sums[:, None] / counts - self.grid) / np.sqrt(variance)
        logs = -(np.minimum(far, FARTHEST) ** 2 + np.log(variance)) / 2
        return np.where(known[:, None], logs, 0.0)

    def _fit_weights(self, counts, sums, max_iter, noise=None):
        self.weights = np.full(len(self.grid), 1 / len(self.grid))
        if len(counts):
            likelihood = _normalised(self._log_likelihood(counts, sums, noise))
            self.weights = _weights_of_points(likelihood, np.ones(len(counts)), max_iter)

    def posterior(self, counts, sums, noise=None):
        """Weights and centres ``(n, n_grid)`` of levels, and widths of the next outcome's laws."""
        noise = self.noise if noise is None else noise
        with np.errstate(divide="ignore"):
            weights = _normalised(self._log_likelihood(counts, sums, noise) + np.log(self.weights))
        weights /= weights.sum(axis=1, keepdims=True)
        counts, sums = counts[:, None], sums[:, None]
        known = counts > 0
        variance = self.width**2 + np.zeros_like(weights)
        gain = variance / np.where(known, noise**2 + counts * variance, 1.0)
        centres = self.grid + np.where(known, gain, 0.0) * (sums - counts * self.grid)
        return weights, centres, np.sqrt(noise**2 + np.where(known, gain * noise**2, variance))


class NormalLevels(_LevelsOnGrid):
    """Normal outcomes with levels on a grid."""

    def __init__(self, portfolio, n_grid, max_iter):
        x, errors = portfolio.observations, portfolio.errors
        if errors is None or np.isnan(errors).all():
            size = size_of(x)
            self.common = row_components(x / size)[2] * size
        else:
            self.common = common_error(x, errors)
        all_known = errors is not None and not np.isnan(errors).any()
        self.noise = np.nan if all_known else self.common
        seen = portfolio.take(np.flatnonzero(portfolio.counts))
        counts, sums, noise = self._summaries(seen)
        self.grid, self.width = self._points(sums / counts, n_grid)
        self._fit_weights(counts, sums, max_iter, noise)

    @staticmethod
    def _points(means, n_grid):
        """Levels, half of them evenly spaced and half by rank, and their widths."""
        even = np.linspace(means.min(), means.max(), n_grid - n_grid // 2)
        ranks = np.quantile(means, np.linspace(0, 1, n_grid // 2))
        grid = np.unique(np.concatenate([even, ranks]))
        if len(grid) == 1:
            return grid, np.zeros(1)
        steps = np.diff(grid)
        return grid, (np.append(steps[0], steps) + np.append(steps, steps[-1])) / 4

    def _summaries(self, portfolio):
        noise = row_errors(portfolio, self.common)[:, None]
        counts = portfolio.counts.astype(float)
        return counts, np.nansum(portfolio.observations, axis=1), noise

    def law(self, portfolio):
        law = NormalMixtureLaw(*self.posterior(*self._summaries(portfolio)))
        if portfolio.real:
            return law
        # a grid of whole numbers rounds up
        quantiles = law.quantile(KNOTS[None]) - portfolio.integer / 2
        return QuantileGrid(np.maximum.accumulate(quantiles, axis=1), KNOTS, portfolio.integer)

    def law_of_level(self, portfolio):
        weights, centres, _ = self.posterior(*self._summaries(portfolio))
        return WeightedAtoms(centres, weights)


class LognormalLevels(_LevelsOnGrid):
    """Lognormal outcomes with levels on a grid, and a share of zeros of each row."""

    def __init__(self, portfolio, n_grid, max_iter):
        x = portfolio.observations
        counts, sums, zeros = self._summaries(x)
        logs = np.where(np.nan_to_num(x) > 0, np.log(np.where(x > 0, x, 1.0)), np.nan)
        _, _, self.noise = row_components(logs)
        seen = counts > 0
        means = np.sort(sums[seen] / counts[seen]) if seen.any() else np.zeros(1)
        self.grid, step = np.linspace(means[0], means[-1], n_grid, retstep=True)
        self.width = step / 2
        self._fit_weights(counts[seen], sums[seen], max_iter)
        total = counts + zeros
        self.zeros = beta_binomial(zeros[total > 0], total[total > 0])

    @staticmethod
    def _summaries(x):
        positive = np.nan_to_num(x) > 0
        logs = np.log(np.where(positive, x, 1.0)).sum(axis=1)
        return positive.sum(axis=1).astype(float), logs, (x == 0).sum(axis=1).astype(float)

    def law(self, portfolio):
        counts, sums, zeros = self._summaries(portfolio.observations)
        share = zero_share(zeros, counts, *self.zeros)[:, None]
        inside = share < KNOTS
        level = np.where(inside, (KNOTS - share) / np.where(inside, 1 - share, 1.0), 0.5)
        logs = quantiles_of_mixtures(special.ndtri(level), *self.posterior(counts, sums))
        quantiles = np.where(inside, np.exp(np.minimum(logs, LARGEST_LOG)), 0.0)
        quantiles = np.maximum.accumulate(quantiles, axis=1)
        # a grid of whole numbers rounds up
        integer = portfolio.integer
        return QuantileGrid(quantiles - 0.5 if integer else quantiles, KNOTS, integer)

    def held_out_score(self, x):
        """Of whole numbers: log mass of every observation given its row's others."""
        seen = ~np.isnan(x)
        outcome = x[seen]
        positive = outcome > 0
        counts, sums, zeros = (
            np.broadcast_to(total[:, None], x.shape)[seen] for total in self._summaries(x)
        )
        sums = sums - np.log(np.where(positive, outcome, 1.0))
        cases = np.stack([counts - positive, np.round(sums, 9), zeros - ~positive, outcome])
        return _mean_by_blocks(self._log_mass, cases)

    def _log_mass(self, counts, sums, zeros, outcome):
        weights, centres, width = self.posterior(counts, sums)

        def cdf(value):
            with np.errstate(divide="ignore"):
                logs = np.log(np.maximum(value, 0.0))[:, None]
            return (weights * special.ndtr((logs - centres) / width)).sum(axis=1)

        share = zero_share(zeros, counts, *self.zeros)
        mass = cdf(outcome + 0.5) - cdf(outcome - 0.5)
        large = outcome > LARGE_COUNT  # of which a difference loses digits
        if large.any():
            z = (np.log(np.maximum(outcome, 1.0))[:, None] - centres) / width
            density = (weights * np.exp(-(z**2) / 2) / width).sum(axis=1) / np.sqrt(2 * np.pi)
            mass = np.where(large, density / np.maximum(outcome, 1.0), mass)
        mass = (1 - share) * mass + share * (outcome == 0)
        return np.log(np.maximum(mass, 1e-300))


FAMILIES = {"poisson": PoissonLevels, "lognormal": LognormalLevels, "normal": NormalLevels}
