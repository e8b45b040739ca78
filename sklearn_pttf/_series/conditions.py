"""Tables in the order of time, put at the conditions of the periods that are decided for.

What was observed under other conditions is, as far as decisions go, what was counted over another
exposure: a period in which everything sold twice as much is two periods. So the common factor of a
period and the effects of its drivers become exposures, and all that is known of demand holds.
"""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._series.course import forecast
from sklearn_pttf._series.own_seasons import find_own_doubt, own_phases
from sklearn_pttf._series.shared import shared_effects
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf._utils.rounding import ROUNDED

N_NODES = 5  # of what rows share, by Gauss and Hermite: exact up to the ninth power of a shock
LEAST_DOUBT = 0.01  # deviation of a log factor that no decision feels
FEWEST_ROWS = 2  # that sold anything, to have something in common
AHEAD = 60  # periods that are looked ahead at least
QUIETEST, NOISIEST = 0.7, 1.2  # variance over mean of what is taken for Poisson counts
MOST_DOUBT = 1.0  # deviation of a log factor: conditions from a third to thrice as good
BEYOND = 1.0  # ranges of a driver that a plan may lie beyond what was seen
MOST_CHANGE = 6.9  # of a logarithm: conditions a thousand times as good, or as bad
ENOUGH = 0.0  # log likelihood that changing conditions have to gain, for any to be believed


class Look(NamedTuple):
    """What of a table in the order of time is made use of."""

    factors: bool = True  # that periods have in common
    drivers: bool = True


class Conditions:
    """What the rows of a table share over its periods, and how that goes on.

    Parameters
    ----------
    portfolio : Portfolio
        In the order of time, or with drivers.

    horizon : int
        Number of periods that the problem decides for; more can be asked for, see `at`.

    look : Look
        What is made use of.

    shared : SharedEffects, default=None
        What rows say, where `Conditions` of the same table and drivers have it already.

    Attributes
    ----------
    shared : SharedEffects or None
        What rows say of effects of drivers and of factors of periods.

    forecast : Forecast or None
        Effects of standardised drivers, log factors of periods, and those to come. None of a table
        that tells nothing.

    found : bool
        Whether conditions change at all, as far as the table tells.
    """

    def __init__(self, portfolio, horizon, look=None, shared=None):
        look = Look() if look is None else look
        self.look = look._replace(factors=look.factors and portfolio.ordered)
        self.ahead, self.n_periods = max(horizon, AHEAD), portfolio.observations.shape[1]
        self.spread, self.seen = _spread(portfolio.drivers if look.drivers else None), None
        table = portfolio.take(typical_rows(portfolio.as_rates()))
        self.forecast, self.dispersion, self.found, self.shared = None, None, False, shared
        self.season, self.own_doubt = None, None
        if self.n_periods < 2 or (np.nansum(table.observations, axis=1) > 0).sum() < FEWEST_ROWS:
            return
        drivers, _ = self._standard(table)
        if shared is None:
            exposure = np.nan_to_num(table.exposures(), nan=1.0)
            shared = self.shared = shared_effects(table.observations, drivers, exposure)
        n_drivers = len(self.spread)
        if not self.look.factors:  # periods are alike but for their drivers
            shared = _without_factors(shared, n_drivers)
        self.forecast = forecast(shared, n_drivers, self.ahead, portfolio.seasons)
        self.dispersion = shared.dispersion
        self.found = self.forecast.evidence > ENOUGH
        if self.forecast.seasons:
            self.season = min(self.forecast.seasons)
            at = self._at_shared(replace(table, integer=False), horizon)
            self.own_doubt = find_own_doubt(at.observations / at.exposures(), self.season)

    def at(self, portfolio, horizon):
        """The same rows, whose cells are counted over what they come to in the coming periods.

        Parameters
        ----------
        portfolio : Portfolio
            With the periods of `fit`.

        horizon : int
            Number of coming periods; of each of them the next outcomes have their mean.

        Returns
        -------
        Portfolio
            Its ``doubt`` is the standard deviation of the log of what outcomes to come are counted
            over.

        Raises
        ------
        ValueError
            If there are other periods, or so many to come are not looked at.
        """
        self._check(portfolio, horizon)
        found = self._at_shared(portfolio, horizon)
        if self.own_doubt is None:
            return found
        exposure = found.exposures()
        rates = found.observations / exposure
        past, ahead = own_phases(rates, self.season, self.own_doubt)
        coming = found.coming_exposure() * np.resize(ahead.T, (horizon, len(ahead))).mean(axis=0)
        return replace(found, exposure=exposure * past, coming=coming)

    def _at_shared(self, portfolio, horizon):
        """Likewise, by what rows share alone."""
        plain = replace(portfolio, ordered=False, drivers=None, planned=None)
        if not self.found:
            return plain
        past, coming, doubt = self._logs(portfolio, plain.mask, horizon)
        coming = np.log(np.exp(coming).mean(axis=1))
        past, coming = (np.exp(np.clip(x, -MOST_CHANGE, MOST_CHANGE)) for x in (past, coming))
        exposure = past if plain.exposure is None else past * plain.exposure
        coming = coming if plain.coming is None else coming * plain.coming_exposure()
        return replace(plain, exposure=exposure, coming=coming, doubt=doubt)

    def are_counts(self, portfolio):
        """Whether, at conditions that change, noise is that of Poisson counts; bool."""
        if not (self.found and portfolio.integer):
            return False
        seen = portfolio.counts > 0
        level = np.median(np.nanmean(portfolio.observations[seen], axis=1))
        ratio = self.dispersion.linear + self.dispersion.square * level
        return bool(QUIETEST < ratio < NOISIEST)

    def _check(self, portfolio, horizon):
        if horizon > self.ahead:
            raise ValueError(
                f"horizon must be at most {self.ahead}, or that of the problem at fit; got "
                f"{horizon!r}."
            )
        width = portfolio.observations.shape[1]
        if width != self.n_periods:
            raise ValueError(
                f"X must have the {self.n_periods} periods of fit, whose conditions are known; got "
                f"{width}."
            )

    def _standard(self, portfolio):
        """Drivers, past and planned, as differences from rows' usual ones in standard deviations.

        What is not known is the usual.
        """
        if not len(self.spread):
            rows = len(portfolio)
            return np.zeros((rows, self.n_periods, 0)), np.zeros((rows, self.ahead, 0))
        usual = _usual(portfolio.drivers)[:, None]
        past, planned = (
            np.nan_to_num((values - usual) / self.spread)
            for values in (portfolio.drivers, portfolio.planned)
        )
        if self.seen is None:
            low, high = past.min(axis=(0, 1)), past.max(axis=(0, 1))
            self.seen = low - BEYOND * (high - low), high + BEYOND * (high - low)
        planned = np.clip(planned, *self.seen)
        later = ((0, 0), (0, max(0, self.ahead - planned.shape[1])), (0, 0))
        return past, np.pad(planned, later)

    def _logs(self, portfolio, told, horizon):
        """Logs of past and of coming conditions, and the deviation of the latter's mean.

        The latter is against the mean of the cells that ``told`` marks.
        """
        found, (past, planned) = self.forecast, self._standard(portfolio)
        d, n, planned = found.n_drivers, found.n_periods, planned[:, :horizon]
        effects, before, after = np.split(found.mean[: d + n + horizon], [d, d + n])
        share = np.where(told, 1.0, 0.0)
        share = np.where(share.any(axis=1, keepdims=True), share, 1.0)
        share = share / share.sum(axis=1, keepdims=True)
        ahead = np.full((len(portfolio), horizon), 1 / horizon)
        change = planned.mean(axis=1) - (share[..., None] * past).sum(axis=1)
        road = np.hstack([change, -share, ahead])
        covariance = found.covariance[: d + n + horizon, : d + n + horizon]
        doubt = np.sqrt(np.maximum(((road @ covariance) * road).sum(axis=1), 0.0))
        centre = before.mean()
        return past @ effects + before - centre, planned @ effects + after - centre, doubt


def over_doubt(predict, portfolio):
    """Laws over what is not known of the conditions, which rows share.

    Parameters
    ----------
    predict : callable
        Maps a portfolio at its conditions to laws.

    portfolio : Portfolio
        At its conditions.
    """
    doubt = portfolio.doubt
    if doubt is None or doubt.max(initial=0.0) < LEAST_DOUBT:
        return predict(portfolio)
    scores, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    coming = portfolio.coming_exposure()
    doubt = np.minimum(doubt, MOST_DOUBT)
    laws = [predict(replace(portfolio, coming=coming * np.exp(z * doubt))) for z in scores]
    weights = np.broadcast_to(weights / weights.sum(), (len(portfolio), N_NODES))
    return MixtureLaw(laws, weights, portfolio.integer)


def _usual(drivers):
    """Every row's mean of every driver, 0 where nothing is known; (n, d)."""
    seen = ~np.isnan(drivers)
    return np.where(seen, drivers, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)


def _spread(drivers):
    """Standard deviation of drivers within rows, infinite of one that never varies; (d,)."""
    if drivers is None:
        return np.ones(0)
    away = np.nan_to_num(drivers - _usual(drivers)[:, None])
    number = np.maximum((~np.isnan(drivers)).sum(axis=(0, 1)), 1)
    spread = np.sqrt((away**2).sum(axis=(0, 1)) / number)
    largest = np.nanmax(np.abs(drivers), axis=(0, 1), initial=0.0)
    return np.where(spread > ROUNDED * largest, spread, np.inf)


def _without_factors(shared, n_drivers):
    """The same, where it is known that periods have no factors of their own."""
    surely = shared.precision.copy()
    surely[n_drivers:, n_drivers:] += np.eye(len(shared.mode) - n_drivers) / ROUNDED
    mode = np.linalg.pinv(surely, hermitian=True) @ shared.precision @ shared.mode
    return shared._replace(mode=mode, precision=surely)


def warn_of_drivers(portfolio, names):
    """Tell of drivers that say nothing: they never vary, or their plan is not known.

    Parameters
    ----------
    portfolio : Portfolio

    names : sequence of str
        Of the drivers.
    """
    if portfolio.drivers is None:
        return
    never, unknown = np.isinf(_spread(portfolio.drivers)), np.isnan(portfolio.planned)
    for marked, why in (
        (never, "never vary within a row, so that their effect cannot be told"),
        (
            unknown.all(axis=(0, 1)),
            "are not known for any coming period, which is taken for a usual one",
        ),
    ):
        told = [repr(name) for name, is_one in zip(names, marked, strict=True) if is_one]
        if told:
            warnings.warn(f"drivers {', '.join(told)} {why}.", stacklevel=4)
