"""Whole-number laws between those of a network and of `PoissonCompanion`, by what was held out."""

import numpy as np
from scipy import optimize, special

from sklearn_pttf._kinds.demand.companion import PoissonCompanion, totals_of
from sklearn_pttf._kinds.demand.recalibration import (
    AGREED,
    SMALL_SHARE,
    error_of_sum,
    error_of_zeros,
)
from sklearn_pttf._laws.mixture import MixtureLaw

SURE_OF_SMALL = 2.0  # log odds that noise is Poisson where outcomes are 0 or 1
LESS_BY_SIZE = 2.0  # and by how much less they are, for a unit of log size
MIDDLE_SIZES = (7.4, 100.0)  # between which they stay the same: from e^2 on, the odds are -2
FEW = 40.0  # over the number of rows: log odds taken off for a companion of few rows
SPREAD_OF_ODDS = (1.5, 0.7)  # prior deviations: of all log odds, and for a unit of log size
LEAST_SIZE = 0.1  # added to sizes, which may be 0, before their logs
LEAST_MASS = 1e-12  # of an outcome under either law: one alone does not decide
N_POLISHED = 3  # Newton steps at the top, to the last digit: the order of rows then does not matter


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

    typical : Portfolio
        All rows that laws are made from.
    """

    def __init__(self, law, turns, some, typical):
        self.companion = PoissonCompanion(typical.observations, _over(typical))
        self.size = _usual_size(typical.observations)
        self.first_odds = _first_odds(self.size) - FEW / len(typical)
        self.odds, self.share = np.zeros(2), 1.0
        if turns:
            self.odds = self._likeliest(*self._tried(turns, some))
        self.share = self._share_that_agrees(law, some)

    def _tried(self, turns, some):
        """By how much more the companion said of held-out observations, and sizes of their rows."""
        halves = [some.take(slice(k, None, 2)) for k in (1, 0)]
        others = [PoissonCompanion(half.observations, _over(half)) for half in halves]
        gains, sizes = [], []
        for turn in turns:
            gain = -log_mass(turn.law, turn.outcomes)
            over = _over(turn.evidence)
            total, count = totals_of(turn.evidence.observations, over)
            for k, other in enumerate(others):
                own = turn.rows % 2 == k
                if not own.any():  # few rows have as many observations as that
                    continue
                law = other.law(total[own], count[own], None if over is None else over[own])
                gain[own] += log_mass(law, turn.outcomes[own])
            gains.append(gain)
            sizes.append(self._size_of(total, count, over))
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

        def bend(odds):
            log_odds = self.first_odds + odds @ directions
            before, after = special.expit(log_odds), special.expit(log_odds + gains)
            by_row = before * (1 - before) - after * (1 - after)
            return np.diag(1 / np.square(SPREAD_OF_ODDS)) + (by_row * directions) @ directions.T

        odds = optimize.minimize(loss, np.zeros(2), jac=True, hess=bend, method="trust-exact").x
        for _ in range(N_POLISHED):
            odds = odds - np.linalg.solve(bend(odds), loss(odds)[1])
        return odds

    def _size_of(self, total, count, over):
        mean = self.companion.mean(total, count)
        return mean if over is None else mean * over

    def _log_size(self, sizes):
        return np.log((sizes + LEAST_SIZE) / (self.size + LEAST_SIZE))

    def _share_that_agrees(self, law, some):
        """Most of its weight that the companion may have without the table saying otherwise."""
        mixed, observations = self.law(law, some), some.observations
        total, count = totals_of(observations)
        zeros, chance = (observations == 0).sum(axis=1) / count, law.cdf(0.0)
        more_zeros, more = zeros - chance, total / count - law.mean()
        small = SMALL_SHARE * law.mean().sum()
        return min(
            _most_of_effect(
                more_zeros.sum(),
                (mixed.cdf(0.0) - chance).sum(),
                AGREED * error_of_zeros(more_zeros, chance, count),
            ),
            _most_of_effect(
                more.sum(),
                (mixed.mean() - law.mean()).sum(),
                max(AGREED * error_of_sum(more), small),
            ),
        )

    def law(self, law, portfolio):
        """Laws between those of the network and of the companion; `MixtureLaw`."""
        over = _over(portfolio)
        totals = totals_of(portfolio.observations, over)
        level, slope = self.odds
        size = self._log_size(self._size_of(*totals, over))
        weight = self.share * special.expit(self.first_odds + level + slope * size)
        other = self.companion.law(*totals, over)
        weights = np.column_stack([1 - weight, weight[:, None] * other.weights])
        return MixtureLaw([law, *other.components], weights, integer=True)


def _over(portfolio):
    """What rows' outcomes are counted over, by their attributes; ``(n,)``, None of none."""
    return None if portfolio.offset is None else np.exp(portfolio.offset)


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
