"""Tables in the order of time, put at the conditions of the periods that are decided for.

What was observed under other conditions is, as far as decisions go, what was counted over another
exposure: a period in which everything sold twice as much is two periods. So the common factor of a
period and the effects of its drivers become exposures, and all that is known of demand holds.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_pttf._laws.horizon import copula_correlation
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.scaled import ScaledLaw
from sklearn_pttf._series.course import SHORT_SEASON, forecast
from sklearn_pttf._series.own import own_effects
from sklearn_pttf._series.shared import shared_effects
from sklearn_pttf._tables.completion import completed
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf._utils.checks import MOST_PERIODS
from sklearn_pttf._utils.rounding import ROUNDED, TINY

N_NODES = 5  # of what rows share, by Gauss and Hermite: exact up to the ninth power of a shock
LEAST_DOUBT = 0.01  # deviation of a log factor that no decision feels
OFFSET_DOUBT = 0.03  # likewise, of a log level that a row's own observations tell of too
FEWEST_ROWS = 2  # that sold anything, to have something in common
AHEAD = MOST_PERIODS  # that are looked ahead, so that any horizon can be asked for
QUIETEST, NOISIEST = 0.7, 1.2  # variance over mean of what is taken for Poisson counts
MOST_DOUBT = 1.0  # deviation of a log factor: conditions from a third to thrice as good
FEWEST_PERIODS = 4  # of a table in which drivers that rows share are told from its periods
LARGEST_PART, FEWEST_DRIVEN = 0.25, 10  # of what a driver varies, in one row; and rows in all
MOST_PERIODS = 2_000  # some minutes
COMMON = 0.5  # share of a driver's variance between rows, below which it is that of the period
BEYOND = 1.0  # ranges of a driver that a plan may lie beyond what was seen
MOST_BEYOND = 0.7  # of a logarithm: conditions twice as good as they ever were, or as bad
ENOUGH = 1e-6  # log likelihood that changing conditions have to gain, for any to be believed


class Look(NamedTuple):
    """What of a table in the order of time is made use of."""

    factors: bool = True  # that periods have in common
    drivers: bool = True

    @classmethod
    def away(cls):
        """Nothing of it: periods are taken as they are."""
        return cls(False, False)


def refuse_many_periods(portfolio):
    """Refuse tables of so many periods that what rows share of them would never be found.

    Raises
    ------
    ValueError
    """
    n_periods = portfolio.observations.shape[1]
    if n_periods > MOST_PERIODS:
        raise ValueError(
            f"tables with ordered=True or drivers may have at most {MOST_PERIODS:,} periods, as "
            f"time grows with the cube of their number; got {n_periods:,}. Name the newest columns "
            "as observations=, or make longer periods, such as weeks of days."
        )


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
        portfolio = completed(portfolio)
        self.look = look._replace(factors=look.factors and portfolio.ordered)
        self.ahead, self.n_periods = max(horizon, AHEAD), portfolio.observations.shape[1]
        drivers = portfolio.drivers if look.drivers else None
        self.switches, self.seen = are_switches(drivers), None
        table = portfolio.take(typical_rows(portfolio.as_rates()))
        if drivers is not None:
            table = table.take(_rows_of_usual_drivers(table.drivers))
        self.spread = driver_spread(table.drivers if look.drivers else None)
        self.centre = _centre(table.drivers if look.drivers else None)
        self.forecast, self.own, self.found, self.shared = None, None, False, shared
        if not (self.look.factors or self.look.drivers):
            return
        if self.n_periods < 2 or (np.nansum(table.observations, axis=1) > 0).sum() < FEWEST_ROWS:
            return
        drivers, _ = self._standard(table)
        common = _differing(drivers) < COMMON
        if common.any() and self.n_periods < FEWEST_PERIODS:  # who can tell them from periods?
            self.spread, self.seen = np.where(common, np.inf, self.spread), None
            drivers, _ = self._standard(table)
        if shared is None:
            exposure = np.nan_to_num(table.exposures(), nan=1.0)
            shared = self.shared = shared_effects(table.observations, drivers, exposure)
        n_drivers = len(self.spread)
        self.forecast = forecast(
            shared,
            n_drivers,
            self.ahead,
            portfolio.seasons,
            self.look.factors,
            _differing(drivers),
        )
        self._find_own(table, drivers, shared.dispersion)
        self.found = self.forecast.evidence > ENOUGH or bool(self.own.variances.any())

    def _find_own(self, table, drivers, dispersion):
        """What rows have of their own, and how far conditions have ever gone."""
        past, _ = self._common_logs(drivers, drivers[:, :0], 0)
        self.range = past.min() - MOST_BEYOND, past.max() + MOST_BEYOND
        exposure = np.exp(past) * np.nan_to_num(table.exposures(), nan=1.0)
        seasons = self.forecast.seasons if self.look.factors else ()
        drivers, _ = self._followed((drivers, drivers[:, :0]), 0)
        self.own = own_effects(table.observations, exposure, drivers, dispersion, seasons)

    def at(self, portfolio, horizon, each=False):
        """The same rows, whose cells are counted over what they come to in the coming periods.

        Parameters
        ----------
        portfolio : Portfolio
            With the periods of `fit`.

        horizon : int
            Number of coming periods; of each of them the next outcomes have their mean.

        each : bool, default=False
            Whether to tell also of each coming period by itself.

        Returns
        -------
        Portfolio
            Its ``doubt`` is the standard deviation of the log of what outcomes to come are counted
            over.

        Raises
        ------
        ValueError
            If there are other periods.
        """
        if each:
            return self._of_each(portfolio, horizon)
        return self._at(portfolio, horizon, slice(horizon))

    def _at(self, portfolio, horizon, periods):
        """As `at`, of some of the coming periods."""
        self._check(portfolio)
        plain = replace(portfolio, ordered=False, drivers=None, planned=None)
        if not self.found:
            return plain
        standard = self._standard(portfolio, horizon)
        past, coming, doubt = self._factors(standard, plain.mask, horizon, periods)
        exposure = np.nan_to_num(plain.exposures(), nan=1.0)
        following = self._followed(standard, horizon)
        seen = plain.observations
        if plain.stock is not None:  # of what a row has of its own, capped cells tell too little
            seen = np.where(plain.capped, np.nan, seen)
        own = self.own.factors(seen, past * exposure, *following, periods)
        past, coming = past * own[0], (coming * own[1])[:, periods].mean(axis=1)
        exposure = past if plain.exposure is None else past * plain.exposure
        total = coming if plain.coming is None else coming * plain.coming_exposure()
        doubt = np.hypot(doubt, own[2])
        return replace(plain, exposure=exposure, coming=total, doubt=doubt, conditions=coming)

    def _of_each(self, portfolio, horizon):
        """As `at`, which also tells of each coming period by itself."""
        at = self._at(portfolio, horizon, slice(horizon))
        if at.conditions is None:
            return at
        periods = [self._at(portfolio, horizon, slice(k, k + 1)) for k in range(horizon)]
        return replace(
            at,
            ahead=np.stack([each.conditions for each in periods], axis=1),
            ahead_doubt=np.stack([each.doubt for each in periods], axis=1),
        )

    def are_counts(self, portfolio):
        """Whether, at conditions that change, noise is that of Poisson counts; bool."""
        if not (self.found and portfolio.integer):
            return False
        seen = portfolio.counts > 0
        level = np.median(np.nanmean(portfolio.observations[seen], axis=1))
        ratio = self.own.noise * (self.own.dispersion.linear + self.own.dispersion.square * level)
        return bool(QUIETEST < ratio < NOISIEST)

    def _check(self, portfolio):
        width = portfolio.observations.shape[1]
        if width != self.n_periods:
            raise ValueError(
                f"X must have the {self.n_periods} periods of fit, whose conditions are known; got "
                f"{width}."
            )

    @property
    def driven(self):
        """Whether drivers are made use of; bool."""
        return self.found and len(self.spread) > 0

    def cut(self, portfolio, horizon):
        """Whether plans are so far out that they are taken for less; bool (n, d)."""
        if not self.driven:
            return np.zeros((len(portfolio), portfolio.drivers.shape[2]), dtype=bool)
        planned = self._from_usual(portfolio.planned[:, :horizon], portfolio)
        return ((planned < self.seen[0]) | (planned > self.seen[1])).any(axis=1)

    def _from_usual(self, values, portfolio):
        """Drivers as differences from rows' usual ones in standard deviations.

        What is not known is the row's usual. Switches are compared with the usual of all rows: of a
        row that was hardly ever on, on is no less what it is of others.
        """
        usual = usual_drivers(portfolio.drivers)
        known = ~np.isnan(portfolio.drivers).all(axis=1)
        centre = np.where(self.switches | ~known, self.centre, usual)[:, None]
        usual = np.where(known, usual, self.centre)[:, None]
        values = np.where(np.isnan(values), usual, values)
        return np.nan_to_num((values - centre) / self.spread)

    def _standard(self, portfolio, horizon=0):
        """Past and planned drivers from usual ones, plans no further out than is believed."""
        if not len(self.spread):
            rows = len(portfolio)
            return np.zeros((rows, self.n_periods, 0)), np.zeros((rows, horizon, 0))
        past = self._from_usual(portfolio.drivers, portfolio)
        planned = portfolio.planned[:, :horizon]
        later = ((0, 0), (0, horizon - planned.shape[1]), (0, 0))
        planned = self._from_usual(np.pad(planned, later, constant_values=np.nan), portfolio)
        if self.seen is None:
            low, high = past.min(axis=(0, 1)), past.max(axis=(0, 1))
            self.seen = low - BEYOND * (high - low), high + BEYOND * (high - low)
        past, planned = (np.clip(values, *self.seen) for values in (past, planned))
        return past, planned

    def _factors(self, standard, told, horizon, periods):
        """Past and coming conditions, as all rows share them, and the doubt about the latter.

        That is the deviation of the log of the mean of some ``periods`` of them, against the mean
        of the cells that ``told`` marks.
        """
        found, (past, planned) = self.forecast, standard
        d, n = found.n_drivers, found.n_periods
        logs = self._common_logs(past, planned, horizon)
        before, after = (np.exp(np.clip(x, *self.range)) for x in logs)
        share = np.where(told, before, 0.0)
        share = np.where(share.any(axis=1, keepdims=True), share, before)
        share = share / share.sum(axis=1, keepdims=True)
        ahead = np.zeros_like(after)  # of what comes, by period
        ahead[:, periods] = after[:, periods] / after[:, periods].sum(axis=1, keepdims=True)
        change = (ahead[..., None] * planned).sum(axis=1) - (share[..., None] * past).sum(axis=1)
        road = np.hstack([change, -share, ahead])
        covariance = found.covariance[: d + n + horizon, : d + n + horizon]
        doubt = np.sqrt(np.maximum(((road @ covariance) * road).sum(axis=1), 0.0))
        return before, after, doubt

    def _followed(self, standard, horizon):
        """Past and planned drivers, with the factor of the period as one more, in its deviations.

        Rows differ in how far they follow it; that is looked at where it has a long season.
        """
        if max(self.forecast.seasons, default=0) <= SHORT_SEASON or not self.look.factors:
            return standard
        d, n = self.forecast.n_drivers, self.forecast.n_periods
        factors = self.forecast.mean[d : d + n + horizon] - self.forecast.mean[d : d + n].mean()
        spread = factors[:n].std()
        if not spread > 0:
            return standard
        past, coming = np.split(factors / spread, [n])
        return tuple(
            np.concatenate([x, np.broadcast_to(z[:, None], (*x.shape[:2], 1))], axis=2)
            for x, z in zip(standard, (past, coming), strict=True)
        )

    def _common_logs(self, past, planned, horizon):
        """Logs of past and coming conditions, over those of a usual period."""
        d, n = self.forecast.n_drivers, self.forecast.n_periods
        effects, before, after = np.split(self.forecast.mean[: d + n + horizon], [d, d + n])
        centre = before.mean()
        return past @ effects + before - centre, planned @ effects + after - centre


def over_doubt(predict, portfolio):
    """Laws over what is not known of the conditions, which rows share.

    Parameters
    ----------
    predict : callable
        Maps a portfolio at its conditions to laws.

    portfolio : Portfolio
        At its conditions.
    """
    if portfolio.offset_doubt is not None:
        return _over_attributes(predict, portfolio)
    doubt = portfolio.doubt
    if doubt is None or doubt.max(initial=0.0) < LEAST_DOUBT:
        return predict(portfolio)
    factors, weights = _of_doubt(portfolio)
    coming = portfolio.coming_exposure()
    laws = [predict(replace(portfolio, coming=coming * factor)) for factor in factors]
    return MixtureLaw(laws, weights, portfolio.integer)


def _over_attributes(predict, portfolio):
    """Laws over what is not known of what attributes tell of rows' levels."""
    offset, doubt = portfolio.offset, portfolio.offset_doubt

    def at(z, rows=slice(None)):
        some = portfolio.take(rows)
        told = replace(some, offset=offset[rows] + z * doubt[rows], offset_doubt=None)
        return over_doubt(predict, told)

    unsure = doubt > OFFSET_DOUBT
    rows, sure = np.flatnonzero(unsure), np.flatnonzero(~unsure)
    if not len(rows):
        return MixtureLaw([at(0.0)], np.ones((len(portfolio), 1)), portfolio.integer)
    scores, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    laws = [at(z, rows) for z in scores]
    if len(sure):
        plain, order = at(0.0, sure), np.argsort(np.concatenate([rows, sure]))
        laws = [_one_after_other(law, plain, portfolio.integer).take(order) for law in laws]
    weights = np.broadcast_to(weights / weights.sum(), (len(portfolio), N_NODES))
    return MixtureLaw(laws, weights, portfolio.integer)


def _one_after_other(first, second, integer):
    """Laws of some rows and of others, mixtures or not."""
    laws = [first, second]
    if type(first) is not type(second):
        laws = [
            law
            if isinstance(law, MixtureLaw)
            else MixtureLaw([law], np.ones((len(law), 1)), integer)
            for law in laws
        ]
    return type(laws[0]).concatenate(laws)


def correlation_over_doubt(laws, law, covariance, portfolio):
    """Correlation of the normal scores of any two coming periods of every row; ``(n,)``.

    Parameters
    ----------
    laws : list of PredictiveDistribution
        Of each period, over what is not known of its conditions.

    law : PredictiveDistribution
        Of a period at mean conditions.

    covariance : ndarray of shape (n,)
        Of two periods at these.

    portfolio : Portfolio
        At its conditions.
    """
    if portfolio.ahead is None:
        return copula_correlation(laws[0], covariance)
    # of two periods' conditions together, from that of their mean: what one knows of both
    number = len(laws)
    own = (np.minimum(portfolio.ahead_doubt, MOST_DOUBT) ** 2).mean(axis=1)
    shared = number * np.minimum(portfolio.doubt, MOST_DOUBT) ** 2 - own
    shared = np.clip(shared / (number - 1), 0.0, own)
    mean, first = law.mean(), laws[0].mean()
    scale = np.divide(first, mean, out=np.ones_like(mean), where=mean > 0)
    return copula_correlation(laws[0], (covariance + mean**2 * np.expm1(shared)) * scale**2)


def law_at_conditions(law, portfolio):
    """Laws of means at the coming conditions, from those at usual ones.

    Parameters
    ----------
    law : PredictiveDistribution
        Of means per unit of exposure.

    portfolio : Portfolio
        At its conditions.
    """
    if portfolio.conditions is None:
        return law
    factors, weights = _of_doubt(portfolio)
    return MixtureLaw([ScaledLaw(law, portfolio.conditions * f) for f in factors], weights)


def _of_doubt(portfolio):
    """Factors of what is not known of conditions, and their weights ``(n, k)``."""
    scores, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    doubt = np.minimum(portfolio.doubt, MOST_DOUBT)
    weights = np.broadcast_to(weights / weights.sum(), (len(portfolio), N_NODES))
    return [np.exp(z * doubt) for z in scores], weights


def usual_drivers(drivers):
    """Every row's mean of every driver, 0 where nothing is known; (n, d)."""
    seen = ~np.isnan(drivers)
    return np.where(seen, drivers, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)


def driver_spread(drivers):
    """Standard deviation of drivers within rows, infinite of one that never varies; (d,)."""
    if drivers is None:
        return np.ones(0)
    away = np.nan_to_num(drivers - usual_drivers(drivers)[:, None])
    number = np.maximum((~np.isnan(drivers)).sum(axis=(0, 1)), 1)
    spread = np.sqrt((away**2).sum(axis=(0, 1)) / number)
    largest = np.nanmax(np.abs(drivers), axis=(0, 1), initial=0.0)
    return np.where(spread > ROUNDED * largest, spread, np.inf)


def _differing(drivers):
    """Share of the variance of standardised drivers that is between rows of a period; (d,)."""
    of_all = (drivers**2).mean(axis=(0, 1))
    within = ((drivers - drivers.mean(axis=0)) ** 2).mean(axis=(0, 1))
    return np.divide(within, of_all, out=np.zeros_like(within), where=of_all > 0)


def _rows_of_usual_drivers(drivers):
    """Rows but those with a quarter of all that a driver varies, of ten or more; bool (n,)."""
    squares = (np.nan_to_num(drivers - usual_drivers(drivers)[:, None]) ** 2).sum(axis=1)
    wild = squares > LARGEST_PART * np.maximum(squares.sum(axis=0), TINY)
    many = (squares > 0).sum(axis=0) >= FEWEST_DRIVEN
    return ~(wild & many).any(axis=1)


def _centre(drivers):
    """Mean of drivers over all cells, 0 where nothing is known; (d,)."""
    if drivers is None:
        return np.zeros(1)
    seen = ~np.isnan(drivers)
    return np.where(seen, drivers, 0.0).sum(axis=(0, 1)) / np.maximum(seen.sum(axis=(0, 1)), 1)


def are_switches(drivers):
    """Whether drivers are 0 or 1, off or on; (d,)."""
    if drivers is None:
        return np.zeros(0, dtype=bool)
    return ((drivers == 0) | (drivers == 1) | np.isnan(drivers)).all(axis=(0, 1))
