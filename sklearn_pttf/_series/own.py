"""What rows have of their own: effects of drivers, and seasons, that are not those of all.

Outcomes of a row, over its level and common conditions, less one, are regressed on its drivers and
on periods of short seasons, around none (a mixed model by penalised quasi-likelihood [1]_; own
effects have Student's law, as a few are large). How far
rows differ is found from all of them by expectation and maximisation: next to nothing where they do
not, and then nothing is changed. A row's own effects follow from its own outcomes, given that.

References
----------
.. [1] N. E. Breslow, D. G. Clayton, "Approximate inference in generalized linear mixed models",
   Journal of the American Statistical Association 88 (1993), 9-25.
"""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._series.course import SHORT_SEASON

FIRST = 0.3  # standard deviation of rows' own effects, to begin with
N_ROUNDS = 8  # of expectation and maximisation
DEGREES = 3.0  # of freedom of own effects: a few are large, as of shops that close on a day
N_STEPS = 3  # in which single effects are found to be large
MOST_ROWS = 1000  # that how far rows differ is found from
BLOCK_ROWS = 10_000  # that are looked at together
PERIODS_AN_EFFECT = 3  # of a row's own, at least
FEWEST_CYCLES = 1.3  # of a season, for rows to have their own
CONVINCING = 4.0  # log likelihood that own effects have to gain,
OF_A_ROW = 0.1  # and of every row: a few wild ones gain less, real ones .2 and more
FLAT = 1e-6  # prior precision of a row's level
LEAST_FACTOR, MOST_FACTOR = 0.02, 10.0  # that conditions are multiplied by
FAR = 4.0  # deviations above what is expected, that an outcome counts as at most
LEAST_MEAN = 1e-9  # expected outcome that one is divided by
NOISE_RANGE = (0.05, 20.0)  # of what a dispersion is multiplied by


class OwnEffects(NamedTuple):
    """How far rows differ in what moves them."""

    variances: np.ndarray  # (k,) between rows: of drivers' effects, then of every phase of seasons
    seasons: tuple  # short ones
    noise: float  # what the common dispersion is multiplied by
    dispersion: object
    n_drivers: int  # whose effects differ; none of a table of few periods

    def factors(self, outcomes, exposure, drivers, planned, periods=slice(None)):
        """What rows' own effects multiply past and coming conditions by.

        Parameters
        ----------
        outcomes, exposure : ndarray of shape (n, m)
            Amounts, NaN where missing, and what they were counted over, by what all share.

        drivers, planned : ndarray of shape (n, m, d) and (n, h, d)
            Standardised.

        periods : slice, default=slice(None)
            Coming ones, which ``doubt`` is about.

        Returns
        -------
        past, coming : ndarray of shape (n, m) and (n, h)

        doubt : ndarray of shape (n,)
            Standard deviation of the log of what coming ones are on average.
        """
        drivers, planned = drivers[..., : self.n_drivers], planned[..., : self.n_drivers]
        if not self.variances.any():
            ones = (np.ones(values.shape[:2]) for values in (drivers, planned))
            return *ones, np.zeros(len(outcomes))
        blocks = [
            self._factors(*(x[start : start + BLOCK_ROWS] for x in every), periods)
            for every in [(outcomes, exposure, drivers, planned)]
            for start in range(0, len(outcomes), BLOCK_ROWS)
        ]
        return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))

    def _factors(self, outcomes, exposure, drivers, planned, periods):
        m, h = drivers.shape[1], planned.shape[1]
        past, coming = (
            _columns(values, self.seasons, times)
            for values, times in ((drivers, range(m)), (planned, range(m, m + h)))
        )
        cells = _Cells.of(outcomes, exposure, self.dispersion)
        effects, covariance, _ = cells.posterior(past, self.variances, self.noise)
        effects, covariance = effects[:, 1:], covariance[:, 1:, 1:]
        factors = [
            np.clip(1 + np.einsum("ntk,nk->nt", z, effects), LEAST_FACTOR, MOST_FACTOR)
            for z in (past, coming)
        ]
        told = cells.weight / np.maximum(cells.weight.sum(axis=1, keepdims=True), LEAST_MEAN)
        road = coming[:, periods].mean(axis=1) - np.einsum("nt,ntk->nk", told, past)
        variance = np.einsum("nk,nkl,nl->n", road, covariance, road)
        return *factors, np.sqrt(np.maximum(variance, 0.0)) / factors[1][:, periods].mean(axis=1)


def own_effects(outcomes, exposure, drivers, dispersion, seasons):
    """`OwnEffects` of a table; parameters as of `OwnEffects.factors`.

    Parameters
    ----------
    dispersion : Dispersion

    seasons : tuple of int
    """
    m, d = drivers.shape[1:]
    if m < PERIODS_AN_EFFECT * (1 + d):  # a row's level is one of them
        drivers, d = drivers[..., :0], 0
    short = tuple(s for s in seasons if s <= SHORT_SEASON and FEWEST_CYCLES * s <= m)
    groups = np.repeat(np.arange(d + len(short)), [1] * d + list(short))
    rows = np.flatnonzero(np.nansum(outcomes, axis=1) > 0)
    rows = rows[:: max(1, -(-len(rows) // MOST_ROWS))]
    none = OwnEffects(np.zeros(len(groups)), short, 1.0, dispersion, d)
    if not len(groups) or not len(rows):
        return none
    columns = _columns(drivers[rows], short, range(m))
    cells = _Cells.of(outcomes[rows], exposure[rows], dispersion)
    without = _likeliest(cells, columns[..., :0], groups[:0])
    variances, noise, likelihood = _likeliest(cells, columns, groups)
    if likelihood < without[2] + max(CONVINCING, OF_A_ROW * len(rows)):
        return none
    return OwnEffects(variances, short, noise, dispersion, d)


def _likeliest(cells, columns, groups):
    """Variances of groups of columns, what noise is multiplied by, and the log likelihood."""
    variances, noise = np.full(len(groups), FIRST**2), 1.0
    for _ in range(N_ROUNDS):
        effects, covariance, usual = cells.posterior(columns, variances, noise)
        squares = effects**2 + np.diagonal(covariance, axis1=1, axis2=2)
        means = (usual * squares[:, 1:]).mean(axis=0)
        variances = (np.bincount(groups, means) / np.bincount(groups))[groups]
        noise = float(np.clip(cells.noise(columns, effects, covariance), *NOISE_RANGE))
    return variances, noise, cells.log_likelihood(columns, variances, noise)


class _Cells(NamedTuple):
    """Outcomes over what is expected of them."""

    away: np.ndarray  # (n, m), less one, 0 where missing
    weight: np.ndarray  # (n, m), inverse variance of that; 0 where missing

    @classmethod
    def of(cls, outcomes, exposure, dispersion):
        seen = ~np.isnan(outcomes)
        outcomes, exposure = np.where(seen, outcomes, 0.0), np.where(seen, exposure, 0.0)
        total = np.maximum(exposure.sum(axis=1, keepdims=True), LEAST_MEAN)
        mean = exposure * outcomes.sum(axis=1, keepdims=True) / total
        used = seen & (mean > LEAST_MEAN)
        mean = np.where(used, mean, 1.0)
        weight = mean / (dispersion.linear + dispersion.square * mean)
        away = np.minimum(outcomes / mean - 1, FAR / np.sqrt(weight))
        return cls(np.where(used, away, 0.0), np.where(used, weight, 0.0))

    def posterior(self, columns, variances, noise):
        """Means and covariances of rows' levels and own effects, ``(n, 1 + k)``.

        And what the prior precision of each effect is multiplied by, ``(n, k)``: Student's law.
        """
        design, variances = _with_level(columns), np.maximum(variances, LEAST_MEAN)
        weighted = design * (self.weight / noise)[..., None]
        told = np.einsum("ntk,nt->nk", weighted, self.away)
        by_cells, usual = np.swapaxes(weighted, 1, 2) @ design, np.ones((len(told), len(variances)))
        level = np.full((len(told), 1), FLAT)
        for _ in range(N_STEPS):
            prior = np.hstack([level, usual / variances])
            covariance = np.linalg.inv(by_cells + prior[:, None] * np.eye(prior.shape[1]))
            effects = np.einsum("nkl,nl->nk", covariance, told)
            last, squares = usual, effects**2 + np.diagonal(covariance, axis1=1, axis2=2)
            usual = (DEGREES + 1) / (DEGREES + squares[:, 1:] / variances)
        return effects, covariance, last

    def log_likelihood(self, columns, variances, noise):
        """Of a normal law of what there is, levels and own effects left out, up to a number."""
        effects, covariance, usual = self.posterior(columns, variances, noise)
        told = np.einsum("ntk,nt->nk", _with_level(columns), self.weight * self.away / noise)
        _, narrowed = np.linalg.slogdet(covariance)
        spread = np.log(np.maximum(variances, LEAST_MEAN) / usual).sum()
        spread += (DEGREES * (usual - 1 - np.log(usual))).sum()  # single ones that are large
        left = (self.weight * self.away**2).sum() / noise - (told * effects).sum()
        return 0.5 * (narrowed.sum() - spread - left - (self.weight > 0).sum() * np.log(noise))

    def noise(self, columns, effects, covariance):
        """Mean squared residual over its variance."""
        design = _with_level(columns)
        left = self.away - np.einsum("ntk,nk->nt", design, effects)
        doubt = np.einsum("ntk,nkl,ntl->nt", design, covariance, design, optimize=True)
        return (self.weight * (left**2 + doubt)).sum() / max((self.weight > 0).sum(), 1)


def _with_level(columns):
    return np.concatenate([np.ones((*columns.shape[:2], 1)), columns], axis=2)


def _columns(drivers, seasons, times):
    """What a row's own effects are multiplied by in every period; (n, m, k)."""
    times = np.asarray(times)
    phases = [np.eye(season)[times % season] for season in seasons]
    phases = np.hstack(phases) if phases else np.zeros((len(times), 0))
    phases = np.broadcast_to(phases, (len(drivers), *phases.shape))
    return np.concatenate([drivers, phases], axis=2)
