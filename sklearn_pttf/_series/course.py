"""How what rows share goes on: a Gaussian process over periods, by its likelihood.

Log factors of periods are a level that wanders, what returns to it within a few periods, seasons
that come back, smooth ones and in long seasons what single periods have besides, and shocks of
single periods, a few of which are large (Student's law). In long seasons these may be peaks that
come back. Effects of drivers are normal around none. How large each of these is, is taken where the
table makes it likeliest, with a prior that few periods cannot outvote. All the rest is algebra of
normal laws, and so is the doubt about what comes next, which more rows do not make smaller.
"""

from itertools import product
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from scipy import linalg, optimize, special

LEVEL = 4.0  # variance of the log level itself: anything
USUAL_DRIFT, USUAL_SHOCK, USUAL_SEASON = 0.05, 0.05, 0.1  # prior medians, of log factors
USUAL_PHASE = 0.05  # likewise, of single periods of long seasons, besides what is smooth
BESIDE = 0.1  # of the variance of a peak, that the periods beside it have, as it may move
ODD = 2.0  # variances over the usual, beyond which a shock may come back
SHARES = np.array([0.02, 0.25, 0.5, 0.75, 0.98])  # of what is odd, that come back
USUAL_RETURN, RETURN = 0.1, 4.0  # likewise, of what returns, and after how many periods it does
DEGREES = 4.0  # of freedom of shocks
SHOCK = 1  # their place among sizes
NOTHING = -40.0  # log of a variance that is none
MOST_DRIFT, MOST_RETURN = 0.6, 1.5  # likewise, at most: what changes more at once is a shock
SPREAD = 2.0  # prior deviations of the logs of their squares: by a factor of e either way
FARTHEST = 5.0  # of these deviations, that are looked at
FIRST_EFFECT = 0.5  # prior deviation of an effect of a standardised driver, to begin with
FIRST_COMMON = 0.1  # likewise, of one that rows share: who can tell it from a factor of periods?
LEAST_EFFECT = 1e-3  # likewise, of a driver that does nothing
N_ROUNDS = 4  # of how large single effects and shocks are, and of all else in turn
SHORT_SEASON = 14  # periods, up to which every one of a season has an effect of its own
PEAK = 0.7  # periods that a peak of a longer season lasts, as the deviation of a normal curve
SMOOTH = 0.3  # length scale of longer seasons, of the periodic kernel
JITTER = (
    1e-8  # on the diagonal of covariances, which have to be positive definite: 1e-4 of a log factor
)
UNTOLD, SUREST = 1e-12, 1e10  # precisions: of the largest, of what is not known; and of all at most
MOST_STEPS, CLOSE = 50, 0.01  # of the search for sizes, and the slope a logarithm that ends it
SEASONS = (7, 12, 52, 4, 24, 13, 5, 26)  # that are looked for
N_TRIED = 3  # of these, the most promising
SIZES = 2 * np.log([0.1, 0.3])  # of seasons, where they are screened
NEAR = 4.0  # log likelihood that a season may lack before its size is found
LESS = (0.0, 2.0)  # how much less the log variances of all else are then, by what seasons explain
CONVINCING = 4.0  # log likelihood that a season has to gain: e^3 is 20 to 1, and eight are tried


class Forecast(NamedTuple):
    """Normal law of effects of drivers, log factors of past periods, and those to come."""

    mean: np.ndarray  # (d + m + h,)
    covariance: np.ndarray
    n_drivers: int
    n_periods: int
    seasons: tuple
    deviations: dict  # of drift and shock a period, what returns, and of every season
    peaks: dict  # of lengths of long seasons: deviations of phases, usual ones and odd; (2, length)
    evidence: float  # log likelihood that all this has gained over no change at all
    prior: np.ndarray  # (m + h, m + h), of log factors before anything is told


def forecast(shared, n_drivers, horizon, seasons=(), moves=True, differing=None):
    """`Forecast` from what rows say.

    Parameters
    ----------
    shared : SharedEffects

    n_drivers : int

    horizon : int

    seasons : tuple of int or "auto"
        "auto": the one, of usual lengths, with which the table is much likelier than without any.
        Only those that promise most at rough sizes are fitted.

    moves : bool, default=True
        Whether periods have factors of their own, and are not alike but for their drivers.

    differing : ndarray of shape (n_drivers,), default=None
        Share of the variance of each driver that is between rows of a period. None: all of it.

    Returns
    -------
    Forecast
    """
    differing = np.ones(n_drivers) if differing is None else differing
    told = _Told.of(shared, n_drivers, differing)
    if not moves:
        return _Course(told, horizon, (), moves=False).fit().forecast()
    if seasons != "auto":
        return _Course(told, horizon, seasons).fit().forecast()
    plain = _Course(told, horizon, ()).fit()
    best = plain.forecast()
    for season in plain.promising(SEASONS):
        found = _Course(told, horizon, (season,)).fit(plain).forecast()
        if found.evidence > best.evidence + CONVINCING:
            best = found
    return best


class _Told(NamedTuple):
    """What rows say, as independent observations with noise of variance 1.

    They are ``values``, of ``road @ x``; x are effects of drivers, then log factors of periods.
    """

    values: np.ndarray  # (r,)
    road: np.ndarray  # (r, d + m)
    n_drivers: int
    first: np.ndarray  # (d,) prior variances of effects, to begin with

    @classmethod
    def of(cls, shared, n_drivers, differing=1.0):
        sizes, axes = linalg.eigh(shared.precision)
        sizes = np.clip(sizes, 0.0, SUREST)
        known = sizes > UNTOLD * sizes[-1]
        known[-1] = True  # even if nothing is told
        road = np.sqrt(sizes[known])[:, None] * axes[:, known].T
        first = FIRST_COMMON**2 + (FIRST_EFFECT**2 - FIRST_COMMON**2) * differing
        return cls(road @ shared.mode, road, n_drivers, np.full(n_drivers, first))

    @property
    def n_periods(self):
        return self.road.shape[1] - self.n_drivers

    @property
    def of_factors(self):
        return self.road[:, self.n_drivers :]


class _Course:
    """The Gaussian process, given what is known of past periods.

    Its sizes are ``logs``: of the variances of drift, shock, what returns, and seasons.
    """

    def __init__(self, told, horizon, seasons, moves=True):
        self.told, self.horizon, self.moves = told, horizon, moves
        self.seasons = tuple(s for s in seasons if s < told.n_periods + horizon)
        n, past = told.n_periods + horizon, told.of_factors
        times = np.arange(n)
        self.apart = np.abs(times[:, None] - times)
        wanders = np.minimum.outer(times, times).astype(float)
        self.kernels = [wanders, np.eye(n), np.exp(-self.apart / RETURN)]
        self.kernels += [season_kernel(self.apart, length) for length in self.seasons]
        self.alike = {s: peak_kernel(self.apart, s) for s in self.seasons if s > SHORT_SEASON}
        self.kernels += self.alike.values()
        self.share = SHARES.mean()  # of what is odd, that comes back as a peak of long seasons
        seen = slice(told.n_periods)
        self.parts = np.stack([past @ kernel[seen, seen] @ past.T for kernel in self.kernels])
        self.shocks = np.ones(told.n_periods)  # variances of single ones, over the usual
        level = past.sum(axis=1)
        self.usual_part = np.eye(len(past)) + LEVEL * np.outer(level, level)
        self.usual_part += JITTER * self.parts[SHOCK]
        self.effects = told.first  # prior variances
        usual = [USUAL_DRIFT, USUAL_SHOCK, USUAL_RETURN, *[USUAL_SEASON] * len(self.seasons)]
        usual += [USUAL_PHASE] * len(self.alike)
        self.usual = 2 * np.log(usual)
        self.most = np.full(len(usual), np.inf)
        self.most[[0, 2]] = 2 * np.log([MOST_DRIFT, MOST_RETURN])
        self.logs = self.usual.copy() if moves else np.full(len(self.usual), NOTHING)

    def fit(self, start=None):
        """Find sizes, and those of single effects and shocks on the way.

        Parameters
        ----------
        start : _Course, default=None
            Whose sizes are near; of a size that it does not have, the usual one is. None: it begins
            once with shocks that are all alike and once with what is odd at usual sizes taken for a
            shock, and the likelier of the two is kept.
        """
        if start is not None:
            self.effects = start.effects.copy()
            self.logs[: len(start.logs)] = start.logs
            self._with_shocks(start.shocks)
        if start is not None or not self.moves:
            return self._climbed()
        even = self._climbed().state()
        self.effects, self.logs = self.told.first, self.usual.copy()
        self._with_shocks(np.ones_like(self.shocks))
        self._with_shocks(self._likely_shocks(self._squares()[1]))
        odd = self._climbed().state()
        _, self.effects, self.logs, shocks = max(even, odd, key=itemgetter(0))
        self._with_shocks(shocks)
        return self

    def state(self):
        """How likely these sizes are, and they; tuple."""
        value, *_ = self._likelihood(self._covariance())
        return self._gained(value), self.effects, self.logs, self.shocks

    def _climbed(self):
        """Sizes, and single effects and shocks, in turn."""
        reach = FARTHEST * SPREAD
        search = {
            "method": "L-BFGS-B",
            "jac": True,
            "bounds": np.stack([self.usual - reach, np.minimum(self.usual + reach, self.most)], 1),
            "options": {"maxiter": MOST_STEPS, "gtol": CLOSE},
        }
        for _ in range(N_ROUNDS):
            if self.moves:
                fixed = self._fixed()
                self.logs = optimize.minimize(self._loss, self.logs, (fixed,), **search).x
            effects, shocks = self._squares()
            self.effects = np.maximum(effects, LEAST_EFFECT**2)
            if self.moves:
                self._with_shocks(self._likely_shocks(shocks))
        return self

    def _likely_shocks(self, squares):
        """Variances of single shocks over the usual, by Student's law, given mean squares."""
        return (DEGREES + squares / np.exp(self.logs[SHOCK])) / (DEGREES + 1)

    def _with_shocks(self, variances):
        """Take single shocks for as large as this, over the usual."""
        self.shocks = variances
        if self.alike:
            self.share = self._likely_share()
        self._with_share(self.share)

    def _with_share(self, share):
        """Take so large a share of what is odd for peaks that come back, the rest for shocks."""
        past, n = self.told.of_factors, self.told.n_periods
        once = self.shocks - share * self._odd() if self.alike else self.shocks
        kernel = np.diag(np.append(once, np.full(self.horizon, once.mean())))
        for length, alike in self.alike.items():
            size = self._peaks(length, share)[np.arange(len(alike)) % length]
            kernel += size[:, None] * alike * size
        self.kernels[SHOCK], self.parts[SHOCK] = kernel, past @ kernel[:n, :n] @ past.T

    def _likely_share(self):
        """Mean share of what is odd that comes back, all being as likely before the table tells."""
        gains = []
        for share in SHARES:
            self._with_share(share)
            gains.append(self._likelihood(self._covariance())[0])
        return float(special.softmax(gains) @ SHARES)

    def _odd(self):
        """What variances of single shocks have over those that need no explanation; (n,)."""
        return np.maximum(self.shocks - ODD, 0.0)

    def _peaks(self, length, share):
        """Deviations of a season's peaks over usual shocks, by what was odd near them."""
        away = np.abs(np.arange(length)[:, None] - np.arange(self.told.n_periods)) % length
        away = np.minimum(away, length - away)
        weight = np.select([away == 0, away == 1], [1.0, BESIDE])
        return np.sqrt(share / len(self.alike) * (weight * self._odd()).max(axis=1))

    def _fixed(self):
        """Covariance of what rows say without any change of factors; (r, r)."""
        road = self.told.road[:, : self.told.n_drivers]
        return self.usual_part + (road * (self.effects + JITTER)) @ road.T

    def _covariance(self):
        return self._fixed() + np.tensordot(np.exp(self.logs), self.parts, 1)

    def _loss(self, logs, fixed):
        """Minus `_gain`, and its slopes."""
        sizes = np.exp(logs)
        likelihood, fit, inverse = self._likelihood(fixed + np.tensordot(sizes, self.parts, 1))
        strange = (logs - self.usual) / SPREAD
        of_parts = np.einsum("krs,rs->k", self.parts, np.outer(fit, fit) - inverse) / 2
        return 0.5 * strange @ strange - likelihood, strange / SPREAD - sizes * of_parts

    def _gain(self, logs, fixed):
        """Log likelihood and log prior, up to a number."""
        covariance = fixed + np.tensordot(np.exp(logs), self.parts, 1)
        root = linalg.cholesky(covariance, lower=True, check_finite=False)
        fit = linalg.solve_triangular(root, self.told.values, lower=True, check_finite=False)
        strange = (logs - self.usual) / SPREAD
        return -0.5 * (fit @ fit + strange @ strange) - np.log(np.diag(root)).sum()

    def _likelihood(self, covariance):
        """Log likelihood of what rows say, up to a number; inverse covariance by it, and itself."""
        root = linalg.cholesky(covariance, lower=True, check_finite=False)
        inverse, _ = linalg.lapack.dpotri(root, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        fit = inverse @ self.told.values
        value = -0.5 * fit @ self.told.values - np.log(np.diag(root)).sum()
        return value, fit, inverse

    def _squares(self):
        """Means of the squares of effects ``(d,)`` and of what is odd ``(n,)``, by what rows say.

        What is odd of a period are its shock and its peaks.
        """
        _, fit, inverse = self._likelihood(self._covariance())
        n = self.told.n_periods
        single = np.exp(self.logs[SHOCK]) * self.kernels[SHOCK][:n, :n]
        prior = linalg.block_diag(np.diag(self.effects), single)
        with_told = prior @ self.told.road.T
        variance = np.diag(prior) - ((with_told @ inverse) * with_told).sum(axis=1)
        squares = (with_told @ fit) ** 2 + np.maximum(variance, 0.0)
        return np.split(squares, [self.told.n_drivers])

    def forecast(self):
        """`Forecast` at these sizes."""
        told, n, d = self.told, self.told.n_periods, self.told.n_drivers
        sizes, every = np.exp(self.logs), np.arange(n + self.horizon)
        prior = LEVEL + np.tensordot(sizes, self.kernels, 1)
        prior[every, every] += JITTER
        of_factors, prior = prior, linalg.block_diag(np.diag(self.effects + JITTER), prior)
        value, fit, inverse = self._likelihood(self._covariance())
        with_told = prior[:, : d + n] @ told.road.T
        covariance = prior - with_told @ inverse @ with_told.T
        names = ["drift", "shock", "return", *self.seasons]
        deviations = np.sqrt(sizes)
        usual = dict(zip(self.alike, deviations[len(names) :], strict=True))
        return Forecast(
            mean=with_told @ fit,
            covariance=(covariance + covariance.T) / 2,
            n_drivers=d,
            n_periods=n,
            seasons=self.seasons,
            deviations=dict(zip(names, deviations[: len(names)], strict=True)),
            peaks={
                s: np.stack([np.full(s, phase), deviations[SHOCK] * self._peaks(s, self.share)])
                for s, phase in usual.items()
            },
            evidence=self._gained(value),
            prior=of_factors,
        )

    def _gained(self, value):
        """Log likelihood over that of factors that are all the same, and of no effects."""
        road = self.told.road[:, : self.told.n_drivers]
        nothing = self.usual_part + (LEAST_EFFECT**2 + JITTER) * road @ road.T
        strange = 0.0
        if self.moves:
            strange = 0.5 * (((self.logs - self.usual) / SPREAD) ** 2).sum()
            strange += 0.5 * DEGREES * (np.log(self.shocks) + 1 / self.shocks - 1).sum()
        return value - strange - self._likelihood(nothing)[0]

    def promising(self, lengths):
        """Seasons that are likeliest where other sizes are roughly what they are now; list."""
        fixed, gains = self._fixed(), {}
        for length in lengths:
            if 2 * length <= self.told.n_periods:
                other = _Course(self.told, self.horizon, (length,))
                other._with_shocks(self.shocks)
                phases = other.usual[len(self.logs) + 1 :]
                gains[length] = max(
                    other._gain(np.hstack([self.logs - less, size, phases]), fixed)
                    for less, size in product(LESS, SIZES)
                )
        order = sorted(gains, key=gains.get, reverse=True)[:N_TRIED]
        return [length for length in order if gains[length] > self._gain(self.logs, fixed) - NEAR]


def season_kernel(apart, length):
    """Covariance of periods so far apart: alike where a season comes back."""
    if length <= SHORT_SEASON:
        return (apart % length == 0).astype(float)
    return np.exp(-2 * (np.sin(np.pi * apart / length) / SMOOTH) ** 2)


def peak_kernel(apart, length):
    """Covariance of periods so far apart, of peaks that last about one."""
    away = apart % length
    return np.exp(-0.5 * (np.minimum(away, length - away) / PEAK) ** 2)
