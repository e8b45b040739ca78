"""What rows share over time: a factor of every period, and effects of drivers.

A row's outcomes are its level, times a factor of the period, times what its drivers do. Given the
total of a row its outcomes are shares of it, in which the level does not occur. So the shares of
all rows say what is common, by quasi-likelihood [1]_: sums over rows, with nothing to tune. What
comes out is a normal approximation, a mode and a precision, which `forecast` adds its prior to.

References
----------
.. [1] J. A. Hausman, B. H. Hall, Z. Griliches, "Econometric models for count data with an
   application to the patents-R&D relationship", Econometrica 52 (1984), 909-938.
"""

from typing import NamedTuple

import numpy as np

N_STEPS = 25  # of Newton's method at most
DISPERSION_STEPS = (0, 2, 4, 6)  # in which rows' weights are taken anew
LARGEST_STEP = 2.0  # of a logarithm
CLOSE = 1e-9  # step of all logarithms at the top
RIDGE = 1e-6  # of the mean precision, as a common factor says nothing
SINGULAR = 1e-7  # of the largest precision, of what is not known at all
LEAST_DISPERSION = 1e-3  # variance over mean, in units of the typical outcome
FEWEST_ROWS = 5  # of a half, of two that are compared
FAR = 3.0  # standard deviations from its mean, of an outcome that is as far as any
LEAST_MEAN = 1e-9  # expected outcome that a residual is divided by


class Dispersion(NamedTuple):
    """Variance of an outcome: ``linear`` times its mean, and ``square`` times that squared."""

    linear: float
    square: float

    def variance(self, mean):
        return self.linear * mean + self.square * mean**2


class SharedEffects(NamedTuple):
    """Normal approximation of what rows say of effects of drivers, then of log factors."""

    mode: np.ndarray  # (d + m,); the log factors have mean 0
    precision: np.ndarray  # (d + m, d + m); a factor of all periods is not known
    dispersion: Dispersion


def shared_effects(outcomes, drivers, exposure):
    """`SharedEffects` of a table in the order of time.

    Parameters
    ----------
    outcomes : ndarray of shape (n, m)
        Amounts, NaN where missing.

    drivers : ndarray of shape (n, m, d)
        Without missing values, as differences from each row's usual ones.

    exposure : ndarray of shape (n, m)
        What outcomes were counted over.

    Returns
    -------
    SharedEffects
    """
    rows = np.nansum(outcomes, axis=1) > 0
    unit = float(np.median(outcomes[outcomes > 0])) if rows.any() else 1.0
    table = _Shares(outcomes[rows] / unit, drivers[rows], exposure[rows])
    effects, precision, dispersion = _likeliest(table)
    larger = table.overdispersion(effects, dispersion, precision)
    if len(table.total) >= 2 * FEWEST_ROWS:
        halves = [_likeliest(half) for half in table.halves(dispersion)]
        larger *= _disagreement(halves, table.n_drivers)
    dispersion = Dispersion(unit * dispersion.linear, dispersion.square)
    return SharedEffects(effects, precision / larger, dispersion)


def _likeliest(table):
    """Mode and precision of the quasi-likelihood, and the `Dispersion` in it."""
    effects, dispersion = np.zeros(table.n_drivers + table.n_periods), Dispersion(1.0, 0.0)
    factors = table.n_drivers + np.flatnonzero(table.seen.any(axis=0))  # of periods that are known
    for step in range(N_STEPS):
        mean = table.mean(effects)
        if step in DISPERSION_STEPS:
            dispersion = table.dispersion(mean)
        gradient, precision = table.score(mean, dispersion)
        gradient[factors] -= gradient[factors].mean()  # which clipped residuals may have
        ridge = RIDGE * max(np.trace(precision) / len(effects), LEAST_MEAN)
        change = np.linalg.solve(precision + ridge * np.eye(len(effects)), gradient)
        effects = effects + np.clip(change, -LARGEST_STEP, LARGEST_STEP)
        effects[factors] -= effects[factors].mean()
        if step > max(DISPERSION_STEPS) and np.abs(change).max() < CLOSE:
            break
    return effects, table.score(table.mean(effects), dispersion)[1], dispersion


def _disagreement(halves, n_drivers):
    """How much further apart log factors of two halves lie than chance has it, 1 at least."""
    (first, *_), (second, *_) = halves
    variances = [_variances(precision[n_drivers:, n_drivers:]) for _, precision, _ in halves]
    apart = (first - second)[n_drivers:] ** 2
    return max(1.0, apart.mean() / max(np.mean(variances[0] + variances[1]), LEAST_MEAN))


def _variances(precision):
    """Of log factors, where one of all periods is not known."""
    return np.diag(np.linalg.pinv(precision, rcond=SINGULAR, hermitian=True))


class _Shares:
    """Rows whose totals are given."""

    def __init__(self, outcomes, drivers, exposure):
        self.seen = ~np.isnan(outcomes)
        self.outcomes = np.where(self.seen, outcomes, 0.0)
        self.exposure = np.where(self.seen, exposure, 0.0)
        self.drivers, self.n_drivers = drivers, drivers.shape[2]
        self.total, self.count = self.outcomes.sum(axis=1), self.seen.sum(axis=1)
        self.n_periods = outcomes.shape[1]

    def halves(self, dispersion):
        """Rows of small and of large levels, either of which knows about as much; list."""
        order = np.argsort(self.total / np.maximum(self.count, 1), kind="stable")
        known = (self.weights(dispersion) * self.total)[order].cumsum()
        cut = np.clip(np.searchsorted(known, known[-1] / 2), 1, len(order) - 1)
        observed = np.where(self.seen, self.outcomes, np.nan)
        return [
            _Shares(observed[rows], self.drivers[rows], self.exposure[rows])
            for rows in (order[:cut], order[cut:])
        ]

    def mean(self, effects):
        """Expected outcomes given totals; (n, m)."""
        logs = self.drivers @ effects[: self.n_drivers] + effects[self.n_drivers :]
        shares = self.exposure * np.exp(logs - logs.max(axis=1, keepdims=True))
        total = shares.sum(axis=1, keepdims=True)
        return self.total[:, None] * shares / np.maximum(total, LEAST_MEAN)

    def weights(self, dispersion):
        """How much of its mean a row's variance is, inverted; ``(n,)``."""
        level = self.total / np.maximum(self.count, 1)
        return 1 / (dispersion.linear + dispersion.square * level)

    def residuals(self, mean, dispersion):
        """Outcomes less their means, of which single ones are not told of more than is believed."""
        most = FAR * np.sqrt(dispersion.variance(mean))
        return np.clip(self.outcomes - mean, -most, most)

    def score(self, mean, dispersion):
        """Gradient and precision of the quasi-likelihood."""
        weight = self.weights(dispersion)
        residual = weight[:, None] * self.residuals(mean, dispersion)
        gradient = np.concatenate(
            [np.einsum("ntd,nt->d", self.drivers, residual), residual.sum(axis=0)]
        )
        shares = mean / self.total[:, None]
        usual = np.einsum("nt,ntd->nd", shares, self.drivers)
        weighted = weight[:, None] * mean
        by_driver = weighted[..., None] * self.drivers
        of_drivers = np.einsum("ntd,nte->de", by_driver, self.drivers)
        of_drivers -= (usual * (weight * self.total)[:, None]).T @ usual
        between = by_driver.sum(axis=0).T - usual.T @ weighted
        of_factors = np.diag(weighted.sum(axis=0)) - weighted.T @ shares
        return gradient, np.block([[of_drivers, between], [between.T, of_factors]])

    def dispersion(self, mean):
        """`Dispersion` by moments of cells, of which large ones do not outweigh all others."""
        used = self.seen & (mean > LEAST_MEAN)
        mean, squares = mean[used], (self.outcomes - mean)[used] ** 2
        weight = 1 / (1 + mean / np.median(mean))
        design = weight[:, None] * np.stack([np.ones_like(mean), mean], axis=1)
        linear, square = np.linalg.lstsq(design, weight * squares / mean, rcond=None)[0]
        if square < 0 or linear < LEAST_DISPERSION:  # one of the two says it all
            linear = squares.sum() / mean.sum() if square < 0 else LEAST_DISPERSION
            square = 0.0 if square < 0 else (squares.sum()) / (mean**2).sum()
        return Dispersion(max(float(linear), LEAST_DISPERSION), float(square))

    def overdispersion(self, effects, dispersion, precision):
        """How much larger variances of factors are, by how rows differ, than the precision says."""
        mean, n = self.mean(effects), self.n_periods
        residual = self.weights(dispersion)[:, None] * self.residuals(mean, dispersion)
        between = residual.T @ residual  # whatever a row's periods have to do with each other
        factors = precision[self.n_drivers :, self.n_drivers :]
        inverse = np.linalg.pinv(factors, rcond=SINGULAR, hermitian=True)
        freedom = max(len(mean) - 1, 1) / len(mean) * max(n - 1, 1) / n
        found = np.trace(inverse @ between @ inverse) / max(np.trace(inverse), LEAST_MEAN)
        return max(found / freedom, LEAST_DISPERSION)
