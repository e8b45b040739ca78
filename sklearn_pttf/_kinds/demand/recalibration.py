"""Shares of zeros and sizes of all laws of demand, moved together until sums over rows agree.

Nothing is moved within one standard error of the table, and all but a small share from two on.
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from sklearn_pttf._kinds.demand.companion import totals_of
from sklearn_pttf._laws.reweighted import ReweightedZeros
from sklearn_pttf._utils.rounding import NEAREST, ROUNDED

FEWEST_ROWS = 10  # with observations that say anything about a portfolio
SHIFT_RANGE = (-12.0, 12.0)  # of the log odds of a zero
LOG_POWER_RANGE = (-0.7, 0.7)  # of levels above zero: to the power of a half, to squared
LOG_FACTOR_RANGE = (-3.0, 3.0)  # of sizes: a twentieth to twenty times
SMALL_SHARE = 0.02  # of a mean or of sales that may be missing: laws are not moved for it
KNOTS = (np.arange(8) + 0.5) / 8  # quantiles of rows at which log odds of a zero are moved
OF_MANY = 2.5  # standard errors in place of one, as one of several knots is off by chance
FEWEST_ALONG_LEVEL = 50  # rows that say anything of several levels
LEAST_STEP = 0.3  # in log level, from knot to knot
LEAST_EXPECTED = 0.01  # added to expected outcomes, where there may be next to none
MOST_SHIFT = 3.0  # of log odds at a knot
LEAST_SLOPE = 1e-9  # expected zeros, for a unit of log odds, that a step is divided by
ROOT = 1e-13  # that a root is off by at most
NEWTON_STEPS = 30  # steps of at most 1; the farthest shift is three of them away
COMMON_ZEROS = 0.1  # share of them from which levels are tilted, not all sizes multiplied
AGREED = 1.5  # standard errors that the table may differ from the companion


def sure_part(difference, error):
    """What of a difference is to be believed: none of one standard error, all from two on."""
    size = np.abs(difference)
    return np.sign(difference) * np.clip(2 * (size - error), 0, size)


def all_but(least, value):
    """What of a value is more than a least one, of either sign."""
    return np.sign(value) * np.maximum(np.abs(value) - least, 0.0)


class ZerosByLevel(NamedTuple):
    """What is added to the log odds of a zero: lines from knot to knot of log expected outcome.

    Where laws know too much of the zeros of slow rows and too little of those of fast ones, shares
    of zeros agree on average only. Every knot is moved as far as observations that were held out
    are sure of it. Expected outcomes are those of the evidence that was left, so that nothing is
    compared with rows that were chosen by it.
    """

    knots: np.ndarray  # (k,) increasing
    shifts: np.ndarray  # (k,)

    @classmethod
    def of(cls, law, turns):
        """The one that is sure by what was held out; None of too few, or of equal, rows.

        Parameters
        ----------
        law : QuantileGrid
            Of the next outcomes of n rows.

        turns : list of HeldOut
            Of the same rows.
        """
        if len(law) < FEWEST_ALONG_LEVEL or not turns:
            return None
        knots = _spaced(np.quantile(_log_expected(law), KNOTS))
        if len(knots) < 2:
            return None
        none = cls(knots, np.zeros(len(knots)))
        laws = [turn.law for turn in turns]
        nearness = np.concatenate([none.nearness(each) for each in laws])
        chance = np.concatenate([each.cdf(0.0) for each in laws])
        zero = np.concatenate([turn.outcomes == 0 for turn in turns])
        missing = np.zeros((len(law), len(knots)))
        rows = np.concatenate([turn.rows for turn in turns])
        np.add.at(missing, rows, nearness * (zero - chance)[:, None])
        moved = sure_part(missing.sum(axis=0), OF_MANY * error_of_sum(missing))
        moved = all_but(SMALL_SHARE * (1 - chance) ** 2 @ nearness, moved)
        return none._replace(shifts=_shifts(nearness, chance, moved))

    def nearness(self, law):
        """How much of each knot there is in rows, in all 1; (n, k)."""
        place = _log_expected(law)
        return np.stack([np.interp(place, self.knots, one) for one in np.eye(len(self.knots))], 1)

    def shift(self, law):
        """What is added to the rows' log odds of a zero; (n,)."""
        return self.nearness(law) @ self.shifts


def _log_expected(law):
    return np.log(law.mean() + LEAST_EXPECTED)


def _spaced(knots):
    """Those of increasing knots that are some way above the one before."""
    kept = list(knots[:1])
    for knot in knots[1:]:
        if knot - kept[-1] >= LEAST_STEP:
            kept.append(knot)
    return np.array(kept)


def _shifts(nearness, chance, moved):
    """Shifts of log odds at knots that move sums of chances by so much, by Newton's method."""
    odds = special.logit(np.clip(chance, NEAREST, 1 - NEAREST))
    wanted, shifts = chance @ nearness + moved, np.zeros(len(moved))
    for _ in range(NEWTON_STEPS):
        now = special.expit(odds + nearness @ shifts)
        slope = np.maximum((now * (1 - now)) @ nearness, LEAST_SLOPE)
        step = np.clip((wanted - now @ nearness) / slope, -1, 1)
        shifts = np.clip(shifts + np.where(moved == 0, 0.0, step), -MOST_SHIFT, MOST_SHIFT)
    return shifts


class Recalibration(NamedTuple):
    """What is changed in all laws of a network alike."""

    zeros: ZerosByLevel | None = None  # added to the log odds of a zero, by level
    zero_shift: float = 0.0  # and in all rows
    power: float = 1.0  # of levels above zero
    factor: float = 1.0  # that outcomes are multiplied by

    @classmethod
    def of(cls, law, observations, zeros=None):
        """The one that makes laws agree with the observations that they were made from.

        Parameters
        ----------
        law : QuantileGrid
            Of the next outcomes of n rows.

        observations : ndarray of shape (n, m)
            Of each row at least one.

        zeros : ZerosByLevel or None
            What is moved by level, which leaves the sum of all rows as it would be without.
        """
        if len(law) < FEWEST_ROWS:
            return cls()
        by_level = 0.0 if zeros is None else zeros.shift(law)
        found = cls(zeros, _zero_shift(law, observations, by_level))
        wanted = _wanted_mean(found, law, observations)
        if law.cdf(0.0).mean() > COMMON_ZEROS:
            found = found._with_mean(wanted, law, "power", LOG_POWER_RANGE, -1)
        return found._with_mean(wanted, law, "factor", LOG_FACTOR_RANGE, 1)

    def _with_mean(self, wanted, law, field, ends, sign):
        """The one with another power or factor, so that the sum of means is the one wanted."""
        shift = self._shift(law)

        def changed(log_value):
            return self._replace(**{field: float(np.exp(sign * log_value))})

        @functools.cache
        def missing(log_value):
            return changed(log_value)._shifted(law, shift).mean().sum() - wanted

        if abs(missing(0.0)) <= ROUNDED * wanted:
            return self
        return changed(_root(missing, ends))

    def apply(self, law):
        """The laws with other shares of zeros and sizes."""
        return self._shifted(law, self._shift(law))

    def _shift(self, law):
        """What is added to the rows' log odds of a zero."""
        return self.zero_shift + (0.0 if self.zeros is None else self.zeros.shift(law))

    def _shifted(self, law, shift):
        """`apply`, of what is added to log odds."""
        if self.factor != 1:
            law = law.with_quantiles(self.factor * law.quantiles)
        if np.all(shift == 0) and self.power == 1:
            return law
        return ReweightedZeros.shifted(law, shift, self.power)


def _zero_shift(law, observations, by_level):
    """Let the mean probability of a zero be the share of zeros, whatever is moved by level."""
    count = (~np.isnan(observations)).sum(axis=1)
    chance = law.cdf(0.0)
    missing = (observations == 0).sum(axis=1) / count - chance
    error = error_of_zeros(missing, chance, count)
    # where sales are rare, a law is little else than its share of zeros
    small = min(SMALL_SHARE * ((1 - chance) ** 2).sum(), AGREED * error)
    wanted = chance.sum() + all_but(small, sure_part(missing.sum(), error))
    if wanted == chance.sum() and not np.any(by_level):
        return 0.0
    odds = special.logit(np.clip(chance, NEAREST, 1 - NEAREST)) + by_level
    return _root(lambda shift: special.expit(odds + shift).sum() - wanted, SHIFT_RANGE)


def _wanted_mean(found, law, observations):
    """Sum of the rows' expected outcomes, nearer to that of their own means."""
    total, count = totals_of(observations)
    expected = found.apply(law).mean()
    missing = total / count - expected
    moved = sure_part(missing.sum(), error_of_sum(missing))
    small = SMALL_SHARE * expected.sum()
    return expected.sum() + all_but(small, moved)


def error_of_zeros(missing, chance, count):
    """Standard error of the sum of shares of zeros, by chance or as rows have it."""
    return max((chance * (1 - chance) / count).sum() ** 0.5, error_of_sum(missing))


def error_of_sum(values):
    """Standard error of a sum of independent values, or of each column's."""
    return np.sqrt(((values - values.mean(axis=0)) ** 2).sum(axis=0))


def _root(function, ends):
    """Where an increasing function is 0; an end where it is nowhere."""
    low, high = (function(end) for end in ends)
    if low >= 0 or high <= 0:
        return ends[0] if low >= 0 else ends[1]
    return optimize.brentq(function, *ends, xtol=ROOT, rtol=ROOT)
