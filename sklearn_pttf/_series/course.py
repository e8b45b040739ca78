"""How what rows share goes on: a Gaussian process over periods, by its likelihood.

Log factors of periods are a level that wanders, seasons that come back, and shocks of single
periods; effects of drivers are normal around none. How large each of these is, is taken where the
table makes it likeliest, with a prior that few periods cannot outvote. All the rest is algebra of
normal laws, and so is the doubt about what comes next, which more rows do not make smaller.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg, optimize

LEVEL = 4.0  # variance of the log level itself: anything
USUAL_DRIFT, USUAL_SHOCK, USUAL_SEASON = 0.05, 0.05, 0.1  # prior medians, of log factors
SPREAD = 2.0  # prior deviations of the logs of their squares: by a factor of e either way
FIRST_EFFECT = 0.5  # prior deviation of an effect of a standardised driver, to begin with
LEAST_EFFECT = 1e-3  # likewise, of a driver that does nothing
N_ROUNDS = 4  # of prior deviations of effects and of all else in turn
SHORT_SEASON = 14  # periods, up to which every one of a season has an effect of its own
SMOOTH = 0.3  # length scale of longer seasons, of the periodic kernel
JITTER = (
    1e-8  # on the diagonal of covariances, which have to be positive definite: 1e-4 of a log factor
)
STEPS, STEP = 150, 0.02  # of the simplex search a parameter, and where logs are close enough
SEASONS = (7, 12, 52, 4, 24, 13, 5, 26)  # that are looked for
CONVINCING = 3.0  # log likelihood that a season has to gain, e^3 being 20 to 1


class Forecast(NamedTuple):
    """Normal law of effects of drivers, log factors of past periods, and those to come."""

    mean: np.ndarray  # (d + m + h,)
    covariance: np.ndarray
    n_drivers: int
    n_periods: int
    seasons: tuple
    deviations: dict  # of drift and shock a period, and of every season
    evidence: float  # log likelihood that all this has gained over no change at all


def forecast(shared, n_drivers, horizon, seasons=()):
    """`Forecast` from what rows say.

    Parameters
    ----------
    shared : SharedEffects

    n_drivers : int

    horizon : int

    seasons : tuple of int or "auto"

    Returns
    -------
    Forecast
    """
    if seasons != "auto":
        return _Course(shared, n_drivers, horizon, seasons).forecast()
    best = _Course(shared, n_drivers, horizon, ()).forecast()
    n_periods = len(shared.mode) - n_drivers
    for season in SEASONS:
        if 2 * season <= n_periods:
            found = _Course(shared, n_drivers, horizon, (season,)).forecast()
            if found.evidence > best.evidence + CONVINCING:
                best = found
    return best


class _Course:
    """The Gaussian process, given what is known of past periods."""

    def __init__(self, shared, n_drivers, horizon, seasons):
        self.precision, self.n_drivers, self.horizon = shared.precision, n_drivers, horizon
        self.told = shared.precision @ shared.mode
        self.n_periods = len(shared.mode) - n_drivers
        self.seasons = tuple(s for s in seasons if s < self.n_periods + horizon)
        times = np.arange(self.n_periods + horizon)
        apart = np.abs(times[:, None] - times)
        self.kernels = [np.minimum.outer(times, times).astype(float)]
        self.kernels += [season_kernel(apart, length) for length in self.seasons]
        self.effects = np.full(n_drivers, FIRST_EFFECT**2)  # prior variances
        usual = [USUAL_DRIFT, USUAL_SHOCK, *[USUAL_SEASON] * len(self.seasons)]
        self.usual = 2 * np.log(usual)

    def covariance(self, logs):
        """Of log factors, past and to come, without shocks; and the variance of these."""
        drift, shock, *seasons = np.exp(logs)
        parts = zip([drift, *seasons], self.kernels, strict=True)
        return LEVEL + sum(size * kernel for size, kernel in parts), shock

    def prior(self, logs):
        """Covariance of effects and of past log factors."""
        covariance, shock = self.covariance(logs)
        past = covariance[: self.n_periods, : self.n_periods] + shock * np.eye(self.n_periods)
        return linalg.block_diag(np.diag(self.effects), past) + JITTER * np.eye(len(self.told))

    def log_likelihood(self, prior):
        """Of what rows say, up to a number."""
        root = linalg.cholesky(prior, lower=True)
        inverse = linalg.cho_solve((root, True), np.eye(len(root)))
        other = linalg.cholesky(inverse + self.precision, lower=True)
        fit = linalg.solve_triangular(other, self.told, lower=True)
        return 0.5 * fit @ fit - np.log(np.diag(root)).sum() - np.log(np.diag(other)).sum()

    def posterior(self, prior):
        """Mean and covariance of effects and past log factors."""
        covariance = np.linalg.inv(np.linalg.inv(prior) + self.precision)
        return covariance @ self.told, (covariance + covariance.T) / 2

    def likeliest(self):
        """Logs of the variances, and effects' own variances on the way."""
        logs = self.usual.copy()

        def loss(logs):
            strange = 0.5 * (((logs - self.usual) / SPREAD) ** 2).sum()
            return strange - self.log_likelihood(self.prior(logs))

        options = {"maxiter": STEPS * len(logs), "xatol": STEP, "fatol": STEP}
        for _ in range(N_ROUNDS if self.n_drivers else 1):
            logs = optimize.minimize(loss, logs, method="Nelder-Mead", options=options).x
            if self.n_drivers:
                mean, covariance = self.posterior(self.prior(logs))
                own = mean[: self.n_drivers] ** 2 + np.diag(covariance)[: self.n_drivers]
                self.effects = np.maximum(own, LEAST_EFFECT**2)
        return logs

    def forecast(self):
        logs = self.likeliest()
        prior = self.prior(logs)
        mean, covariance = self.posterior(prior)
        of_factors, shock = self.covariance(logs)
        n, d = self.n_periods, self.n_drivers
        gain = of_factors[n:, :n] @ np.linalg.inv(prior[d:, d:])
        ahead = of_factors[n:, n:] + shock * np.eye(self.horizon) - gain @ of_factors[:n, n:]
        road = np.zeros((d + n + self.horizon, d + n))
        road[: d + n], road[d + n :, d:] = np.eye(d + n), gain
        joint = road @ covariance @ road.T
        joint[d + n :, d + n :] += ahead
        sizes = np.exp(logs / 2)
        deviations = {"drift": sizes[0], "shock": sizes[1]}
        deviations |= dict(zip(self.seasons, sizes[2:], strict=True))
        return Forecast(
            road @ mean, joint, d, n, self.seasons, deviations, self.gained(prior, logs)
        )

    def gained(self, prior, logs):
        """Log likelihood over that of factors that are all the same, and of no effects."""
        nothing = np.full_like(logs, -np.inf)
        effects, self.effects = self.effects, np.full_like(self.effects, LEAST_EFFECT**2)
        none = self.log_likelihood(self.prior(nothing))
        self.effects = effects
        strange = 0.5 * (((logs - self.usual) / SPREAD) ** 2).sum()
        return self.log_likelihood(prior) - strange - none


def season_kernel(apart, length):
    """Covariance of periods so far apart: alike where a season comes back."""
    if length <= SHORT_SEASON:
        return (apart % length == 0).astype(float)
    return np.exp(-2 * (np.sin(np.pi * apart / length) / SMOOTH) ** 2)
