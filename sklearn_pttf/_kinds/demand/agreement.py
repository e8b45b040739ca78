"""Laws of demand that agree with the table that they were made from.

A network may be wrong about a whole portfolio at once: about how many outcomes are zero, or about
how large they are on average, of which the table says more than any prior. Where the table is sure,
the shares of zeros of all rows, and then what is above zero, are moved together until sums over
rows agree: not at all within one standard error, and all but a small share from two on. Of whole
numbers, `PoissonCompanion` has a say beside.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from sklearn_pttf._kinds.demand.companion import PoissonCompanion, totals_of
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import MixtureLaw
from sklearn_pttf._laws.reweighted import ReweightedZeros
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf._tables.portfolio import Portfolio

FEWEST_ROWS = 10  # with observations that say anything about a portfolio
MOST_ROWS = 2000  # that laws are compared with; more would only take longer
MOST_TURNS = 8  # observations of a row that are held out, one by one
SHIFT_RANGE = (-12.0, 12.0)  # of the log odds of a zero
LOG_POWER_RANGE = (-0.7, 0.7)
LOG_FACTOR_RANGE = (-3.0, 3.0)
SMALL_SHARE = 0.02  # of a mean or of sales that may be missing: laws are not moved for it
KNOTS = (np.arange(8) + 0.5) / 8  # quantiles of rows at which log odds of a zero are moved
OF_MANY = 2.5  # standard errors in place of one, as one of several knots is off by chance
FEWEST_ALONG_LEVEL = 50  # rows that say anything of several levels
LEAST_STEP = 0.3  # in log level, from knot to knot
LEAST_EXPECTED = 0.01  # added to expected outcomes, where there may be next to none
MOST_SHIFT = 3.0  # of log odds at a knot
NEWTON_STEPS = 30
COMMON_ZEROS = 0.1  # share of them from which levels are tilted, not all sizes multiplied
SURE_OF_SMALL = 2.0  # log odds that noise is Poisson where outcomes are 0 or 1
LESS_BY_SIZE = 2.0  # and by how much less they are, for a unit of log size
MIDDLE_SIZES = (7.4, 100.0)  # between which they stay the same
FEW = 40.0  # over the number of rows: log odds taken off for a companion of few rows
SPREAD_OF_ODDS = (1.5, 0.7)  # prior deviations: of all log odds, and for a unit of log size
LEAST_SIZE = 0.1
LEAST_MASS = 1e-12
AGREED = 1.5  # standard errors that the table may differ from the companion
GOLDEN = 0.5 * (5**0.5 - 1)  # whose multiples are evenly spread


def sure_part(difference, error):
    """What of a difference is to be believed: none of one standard error, all from two on."""
    size = np.abs(difference)
    return np.sign(difference) * np.clip(2 * (size - error), 0, size)


def all_but(least, value):
    """What of a value is more than a least one, of either sign."""
    return np.sign(value) * np.maximum(np.abs(value) - least, 0.0)


def spread_out(observations, most):
    """Positions of at most so many rows, all sizes alike, in an order that is the rows' own."""
    values = np.nan_to_num(np.sort(observations, axis=1), nan=-1.0)  # missing ones last
    counts = (~np.isnan(observations)).sum(axis=1)
    mean = np.where(values < 0, 0.0, values).sum(axis=1) / np.maximum(counts, 1)
    content = (values * np.sqrt(np.arange(1, values.shape[1] + 1))).sum(axis=1)
    order = np.lexsort([content, counts, mean])
    order = order[counts[order] > 0]
    if len(order) <= most:
        return order
    return order[((np.arange(most) + 0.5) / most * len(order)).astype(int)]


def rows_to_compare(portfolio):
    """Positions of typical rows that laws are compared with; ndarray of int."""
    rows = np.flatnonzero(typical_rows(portfolio))
    return rows[spread_out(portfolio.observations[rows], MOST_ROWS)]


def turns_of(observations):
    """Cells of rows to hold out one by one; (n_turns, n), -1 for none.

    Of few observations all, of more so many, evenly spread by size from a place that differs from
    row to row.
    """
    counts = (~np.isnan(observations)).sum(axis=1)[:, None]
    by_size = observations.argsort(axis=1, kind="stable")  # NaN last
    n_turns = min(MOST_TURNS, observations.shape[1])
    turn = np.arange(n_turns)
    place = (np.arange(len(observations)) * GOLDEN % 1)[:, None]
    ranks = np.where(counts <= n_turns, turn, ((turn + place) / n_turns * counts).astype(int))
    cells = np.take_along_axis(by_size, ranks, axis=1)
    return np.where((turn < counts) & (counts > 1), cells, -1).T


class HeldOut(NamedTuple):
    """Laws of observations that were held out, one of every row that has two at least."""

    rows: np.ndarray  # (k,) positions
    evidence: Portfolio  # of these rows, what was left
    outcomes: np.ndarray  # (k,) what was held out
    law: QuantileGrid  # by the network

    @classmethod
    def turns(cls, predict, some):
        """The turns of `turns_of`; list of HeldOut."""
        found = []
        for cells in turns_of(some.observations):
            rows = np.flatnonzero(cells >= 0)
            if len(rows):
                evidence, outcomes = some.take(rows).held_out(cells[rows])
                found.append(cls(rows, evidence, outcomes[:, 0], predict(evidence)))
        return found


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
        moved = sure_part(missing.sum(axis=0), OF_MANY * _error_of_sum(missing))
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
    odds = special.logit(np.clip(chance, 1e-15, 1 - 1e-15))
    wanted, shifts = chance @ nearness + moved, np.zeros(len(moved))
    for _ in range(NEWTON_STEPS):
        now = special.expit(odds + nearness @ shifts)
        slope = np.maximum((now * (1 - now)) @ nearness, 1e-9)
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

        def changed(log_value):
            return self._replace(**{field: float(np.exp(sign * log_value))})

        def missing(log_value):
            return changed(log_value).apply(law).mean().sum() - wanted

        if abs(missing(0.0)) <= 1e-9 * wanted:
            return self
        return changed(_root(missing, ends))

    def apply(self, law):
        """The laws with other shares of zeros and sizes."""
        shift = self.zero_shift
        if self.zeros is not None:
            shift = shift + self.zeros.shift(law)
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
    error = _error_of_zeros(missing, chance, count)
    # where sales are rare, a law is little else than its share of zeros
    small = min(SMALL_SHARE * ((1 - chance) ** 2).sum(), AGREED * error)
    wanted = chance.sum() + all_but(small, sure_part(missing.sum(), error))
    if wanted == chance.sum() and not np.any(by_level):
        return 0.0
    odds = special.logit(np.clip(chance, 1e-15, 1 - 1e-15)) + by_level
    return _root(lambda shift: special.expit(odds + shift).sum() - wanted, SHIFT_RANGE)


def _wanted_mean(found, law, observations):
    """Sum of the rows' expected outcomes, nearer to that of their own means."""
    total, count = totals_of(observations)
    expected = found.apply(law).mean()
    missing = total / count - expected
    moved = sure_part(missing.sum(), _error_of_sum(missing))
    small = SMALL_SHARE * expected.sum()
    return expected.sum() + all_but(small, moved)


def _error_of_zeros(missing, chance, count):
    """Standard error of the sum of shares of zeros, by chance or as rows have it."""
    return max((chance * (1 - chance) / count).sum() ** 0.5, _error_of_sum(missing))


def _error_of_sum(values):
    """Standard error of a sum of independent values, or of each column's."""
    return np.sqrt(((values - values.mean(axis=0)) ** 2).sum(axis=0))


def _root(function, ends):
    """Where an increasing function is 0; an end where it is nowhere."""
    low, high = (function(end) for end in ends)
    if low >= 0 or high <= 0:
        return ends[0] if low >= 0 else ends[1]
    return optimize.brentq(function, *ends, xtol=1e-13, rtol=1e-13)


class Agreement:
    """What is changed in the laws of a network of demand, so that they agree with their table.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the network's laws; `QuantileGrid`.

    portfolio : Portfolio
        The context.

    Attributes
    ----------
    recalibration : Recalibration

    stack : Stack or None
        With the companion, of whole numbers.
    """

    def __init__(self, predict, portfolio):
        some = portfolio.take(rows_to_compare(portfolio))
        self.recalibration, self.stack = Recalibration(), None
        if len(some) < FEWEST_ROWS:
            return
        law, zeros, turns = predict(some), None, []
        if portfolio.integer:
            turns = HeldOut.turns(predict, some)
            zeros = ZerosByLevel.of(law, turns)
        self.recalibration = Recalibration.of(law, some.observations, zeros)
        if portfolio.integer:
            law, *laws = map(self.recalibration.apply, [law, *(turn.law for turn in turns)])
            turns = [turn._replace(law=each) for turn, each in zip(turns, laws, strict=True)]
            observations = portfolio.observations[typical_rows(portfolio)]
            self.stack = Stack(law, turns, some, observations)

    def law(self, law, portfolio):
        """Laws in place of the network's."""
        return self._stacked(self.recalibration.apply(law), portfolio)

    def _stacked(self, law, portfolio):
        return law if self.stack is None else self.stack.law(law, portfolio.observations)

    def laws(self, laws, portfolios):
        """Laws in place of those of another network, which the first of them recalibrates.

        Parameters
        ----------
        laws : list of QuantileGrid

        portfolios : list of Portfolio
            Evidence that these were made from.
        """
        rows = rows_to_compare(portfolios[0])
        found = Recalibration.of(laws[0].take(rows), portfolios[0].observations[rows])
        pairs = zip(laws, portfolios, strict=True)
        return [self._stacked(found.apply(law), portfolio) for law, portfolio in pairs]


class Stack:
    """How far a whole-number law is the network's, and how far that of Poisson demand.

    The log odds of the latter are a line in a row's log size, by what either said of observations
    of ``some`` that were held out; companions of one half of these rows are tried on the other.

    Parameters
    ----------
    law : PredictiveDistribution
        Of the next outcomes of ``some``.

    turns : list of HeldOut
        Laws of observations of ``some``.

    some : Portfolio
        Rows that laws are tried on.

    observations : ndarray of shape (n, m)
        Of all rows.
    """

    def __init__(self, law, turns, some, observations):
        self.companion = PoissonCompanion(observations)
        self.size = _usual_size(observations)
        self.first_odds = _first_odds(self.size) - FEW / len(observations)
        self.odds, self.share = np.zeros(2), 1.0
        if turns:
            self.odds = self._likeliest(*self._tried(turns, some))
        self.share = self._share_that_agrees(law, some.observations)

    def _tried(self, turns, some):
        """By how much more the companion said of held-out observations, and sizes of their rows."""
        others = [PoissonCompanion(some.observations[k::2]) for k in (1, 0)]
        gains, sizes = [], []
        for turn in turns:
            gain = -log_mass(turn.law, turn.outcomes)
            total, count = totals_of(turn.evidence.observations)
            for k, other in enumerate(others):
                own = turn.rows % 2 == k
                law = other.law(total[own], count[own])
                gain[own] += log_mass(law, turn.outcomes[own])
            gains.append(gain)
            sizes.append(self.companion.mean(total, count))
        return np.concatenate(gains), np.concatenate(sizes)

    def _likeliest(self, gains, sizes):
        """Level and slope of the log odds, given their prior."""
        directions = np.stack([np.ones_like(sizes), self._log_size(sizes)])

        def loss(odds):
            log_odds = self.first_odds + odds @ directions
            fit = np.logaddexp(log_odds + gains, 0.0) - np.logaddexp(log_odds, 0.0)
            rise = special.expit(log_odds + gains) - special.expit(log_odds)
            precision = 1 / np.square(SPREAD_OF_ODDS)
            return (precision * odds**2).sum() / 2 - fit.sum(), precision * odds - directions @ rise

        options = {"gtol": 1e-9}  # so that the order of rows does not matter
        return optimize.minimize(loss, np.zeros(2), jac=True, method="BFGS", options=options).x

    def _log_size(self, sizes):
        return np.log((sizes + LEAST_SIZE) / (self.size + LEAST_SIZE))

    def _share_that_agrees(self, law, observations):
        """Most of its weight that the companion may have without the table saying otherwise."""
        mixed = self.law(law, observations)
        total, count = totals_of(observations)
        zeros, chance = (observations == 0).sum(axis=1) / count, law.cdf(0.0)
        more_zeros, more = zeros - chance, total / count - law.mean()
        small = SMALL_SHARE * law.mean().sum()
        return min(
            _most_of_effect(
                more_zeros.sum(),
                (mixed.cdf(0.0) - chance).sum(),
                AGREED * _error_of_zeros(more_zeros, chance, count),
            ),
            _most_of_effect(
                more.sum(),
                (mixed.mean() - law.mean()).sum(),
                max(AGREED * _error_of_sum(more), small),
            ),
        )

    def law(self, law, observations):
        """Laws between those of the network and of the companion; `MixtureLaw`."""
        totals = totals_of(observations)
        level, slope = self.odds
        size = self._log_size(self.companion.mean(*totals))
        weight = self.share * special.expit(self.first_odds + level + slope * size)
        other = self.companion.law(*totals)
        weights = np.column_stack([1 - weight, weight[:, None] * other.weights])
        return MixtureLaw([law, *other.components], weights, integer=True)


def _most_of_effect(missing, effect, allowed):
    """Largest share of an effect, up to 1, after which no more is missing than is allowed."""
    if effect == 0:
        return 1.0
    return float(np.clip((allowed + np.sign(effect) * missing) / abs(effect), 0.0, 1.0))


def log_mass(law, outcomes):
    """Log probability of whole outcomes ``(n,)``; 0 of a missing one."""
    known = np.nan_to_num(outcomes)
    mass = law.cdf(known) - np.where(known > 0, law.cdf(known - 1), 0.0)
    return np.where(np.isnan(outcomes), 0.0, np.log(np.maximum(mass, LEAST_MASS)))


def _first_odds(size):
    """Log odds that demand of some usual size is Poisson, before anything is held out."""
    small, large = MIDDLE_SIZES
    grown = np.log(min(size, small)) + max(np.log(size / large), 0.0)
    return SURE_OF_SMALL - LESS_BY_SIZE * grown


def _usual_size(observations):
    """Geometric mean of what is positive, and at least 1."""
    positive = np.sort(observations[np.nan_to_num(observations) > 0])
    return float(np.exp(np.log(positive).mean())) if len(positive) else 1.0
