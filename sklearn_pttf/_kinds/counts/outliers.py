"""Rows of counts, or of successes, so far out that the portfolio is not to be read from them.

Each row in question is held against a law of rates that is fitted to all others: a gamma law of
counts, a beta law of successes, averaged over how wide they may be. Chance is part of that: what is
asked is how likely so large or so small a total is, given its exposure. Rates far above, or their
odds, may also have a lognormal law of as much variance, whose tail is heavier; and a row may be
one more of another row's kind. A row that hardly any right table would have is left out, and is
decided like any later row.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import special

from sklearn_pttf._kinds.counts.units import FEWEST_ROWS, MOST_SURE, log_rarity
from sklearn_pttf._utils.rounding import TINY

MOST_ROUNDS = 6  # rows that are left out at most, of either side
MOST_FITTED = 5000  # rows that a law is fitted to; more say nothing new
SHAPES = np.geomspace(0.05, 2e4, 40)  # of the gamma law
SCORES = np.linspace(-14.0, 14.0, 225)  # normal scores that a rate is summed over
VAGUE = 0.25  # exposure, as a share of that of one count, that a row's rate is known from at least
RARE = 0.1  # mean of rates up to which their odds may be lognormal as well
MOST_SHAPE = 6.0  # of the law of one row's rate, which it may be unlike
ALIKE = 0.2  # chance that a row is one more of another row's kind
SIZES = np.geomspace(0.1, 1e6, 29)  # of the beta law
FEW_SCORES = np.linspace(-9.0, 9.0, 73)  # likewise, where a rate's law takes time
N_ALIKE = 3  # rows that may be alike of those with the highest rates
NOT_BELIEVED = 1e-9  # how likely a size is that is left out
LEAST_CHANCE = TINY  # whose log is taken
LEAST_TOTAL = 1e-9  # of the incomplete beta function, which 0 is no parameter of


class Rows(NamedTuple):
    """Totals of rows and what they were counted over; ``(n,)`` each."""

    total: np.ndarray
    exposure: np.ndarray

    def take(self, rows):
        return Rows(self.total[rows], self.exposure[rows])


def typical_counts(total, exposure):
    """Rows of Poisson counts that the portfolio is read from; bool ndarray of shape (n,).

    Parameters
    ----------
    total, exposure : ndarray of shape (n,)
        Sums of every row's counts and of what they were counted over, 0 for a row without.
    """
    return _typical(Rows(total, exposure), _GammaPoisson)


def typical_successes(hits, trials):
    """Rows of successes that the portfolio is read from; bool ndarray of shape (n,).

    Parameters
    ----------
    hits, trials : ndarray of shape (n,)
        Sums of every row's successes and trials, 0 for a row without.
    """
    return _typical(Rows(hits, trials), _BetaBinomial)


def _typical(rows, law):
    """Rows but for those that are far out of the law of the others, one by one."""
    used = rows.exposure > 0
    kept = used.copy()
    for _ in range(MOST_ROUNDS):
        if kept.sum() < FEWEST_ROWS:
            break
        odd = [row for row in _farthest(rows, kept) if _is_odd(rows, kept, row, law)]
        if not odd:
            break
        kept[odd] = False
    return kept | ~used


def _is_odd(rows, kept, row, law):
    others = kept.copy()
    others[row] = False
    fitted = law(_some(rows.take(others)))
    return fitted.log_chance(*rows.take(row)) < -float(log_rarity(torch.tensor(float(kept.sum()))))


def _some(rows):
    """At most so many rows, all rates alike, each of so much exposure at most."""
    if len(rows.total) > MOST_FITTED:
        order = np.lexsort([rows.exposure, rows.total / rows.exposure])
        ranks = (np.arange(MOST_FITTED) + 0.5) / MOST_FITTED * len(order)
        rows = rows.take(order[ranks.astype(int)])
    told = np.minimum(1.0, MOST_SURE * np.median(rows.exposure) / rows.exposure)
    return Rows(rows.total * told, rows.exposure * told)


def _farthest(rows, kept):
    """Positions of the rows farthest above and below what is expected of them, in deviations."""
    mean, variance = _moments(_some(rows.take(kept)))
    expected = rows.exposure * mean
    score = (rows.total - expected) / np.sqrt(expected + rows.exposure**2 * variance + TINY)
    above = int(np.where(kept, score, -np.inf).argmax())
    below = int(np.where(kept, score, np.inf).argmin())
    return sorted({above, below})


def _moments(rows):
    """Mean of rates, and their variance beyond chance (Buhlmann, Straub)."""
    total, exposure = rows
    seen, rate = exposure.sum(), total / exposure
    mean = max(total.sum(), 0.5) / seen
    squares = (exposure * (rate - mean) ** 2).sum() - (len(total) - 1) * mean
    variance = max(squares / (seen - (exposure**2).sum() / seen), 0.0)
    weight = exposure / (1 + exposure * variance / mean)
    return max((weight * rate).sum() / weight.sum(), 0.5 / seen), variance


class _GammaPoisson:
    """Poisson counts whose rates have a gamma law, averaged over its shape."""

    def __init__(self, rows):
        self.rows = rows
        self.mean, _ = _moments(rows)
        total, expected = rows.total[:, None], rows.exposure[:, None] * self.mean
        logs = special.gammaln(total + SHAPES) - special.gammaln(SHAPES)
        logs -= SHAPES * np.log1p(expected / SHAPES) + total * np.log(SHAPES + expected)
        self.likely = special.softmax(logs.sum(axis=0))

    def log_chance(self, total, exposure):
        """Log probability of so large a total, or of so small a one if that is less likely."""
        above = total > exposure * self.mean
        chance = max(
            self._of_law(total, exposure, above), self._of_one_alike(total, exposure, above)
        )
        return np.log(max(chance, LEAST_CHANCE))

    def _of_law(self, total, exposure, above):
        expected = exposure * self.mean
        if above:
            return self.likely @ _lognormal_above(total, expected)
        return self.likely @ _gamma_chance(total, expected, SHAPES, SHAPES, above)

    def _of_one_alike(self, total, exposure, above):
        """Of a row whose rate is that of another one."""
        shape, seen = 1.0, VAGUE
        if not above:  # rates near 0 are as likely as the law has them
            shape = seen = min(np.exp(self.likely @ np.log(SHAPES)), MOST_SHAPE)
        shapes, rates = shape + self.rows.total, seen / self.mean + self.rows.exposure
        return _gamma_chance(total, exposure, shapes, rates, above).max() * ALIKE


def _gamma_chance(total, exposure, shape, rate, above):
    """Of so large a total, or so small a one, where rates have gamma laws."""
    share = exposure / (rate + exposure)
    if above:
        return special.betainc(np.maximum(total, LEAST_TOTAL), shape, share)
    return special.betainc(shape, total + 1, rate / (rate + exposure))


def _lognormal_above(total, expected):
    """Of so large a total, where rates have lognormal laws, of the variance of each gamma law."""
    deviation = np.sqrt(np.log1p(1 / SHAPES))[:, None]
    rate = np.exp(deviation * SCORES - deviation**2 / 2)
    weights = special.softmax(-(SCORES**2) / 2)
    return special.gammainc(total, rate * expected) @ weights


class _BetaBinomial:
    """Successes whose rates have a beta law, averaged over its size ``a + b``."""

    def __init__(self, rows):
        self.rows = rows
        mean, _ = _moments(rows)
        self.mean = min(mean, 1 - 0.5 / rows.exposure.sum())
        a, b = self.mean * SIZES, (1 - self.mean) * SIZES
        hits, missed = rows.total[:, None], (rows.exposure - rows.total)[:, None]
        logs = special.betaln(a + hits, b + missed) - special.betaln(a, b)
        self.likely = special.softmax(logs.sum(axis=0))

    def log_chance(self, hits, trials):
        """Log probability of so many successes, or of so few if that is less likely."""
        mean, rows = self.mean, self.rows
        if hits < trials * mean:  # failures are then what there are many of
            hits, mean, rows = trials - hits, 1 - mean, Rows(rows.exposure - rows.total, rows[1])
        chance = max(self._of_law(hits, trials, mean), self._of_one_alike(hits, trials, mean, rows))
        return np.log(max(chance, LEAST_CHANCE))

    def _of_law(self, hits, trials, mean):
        believed = self.likely > NOT_BELIEVED
        sizes, likely = SIZES[believed], self.likely[believed]
        chance = likely @ _beta_above(hits, trials, mean * sizes, (1 - mean) * sizes)
        if mean > RARE:
            return chance
        deviation = np.sqrt(np.log1p((1 - mean) / mean / (1 + sizes)))[:, None]
        odds = mean / (1 - mean) * np.exp(deviation * SCORES - deviation**2 / 2)
        rate = odds / (1 + odds)
        return max(chance, likely @ _binomial_above(hits, trials, rate, SCORES))

    def _of_one_alike(self, hits, trials, mean, rows):
        """Of a row whose rate is that of another one."""
        missed = VAGUE / mean
        if mean > RARE:  # rates near 1 are as likely as the law has them
            missed = min((1 - mean) * np.exp(self.likely @ np.log(SIZES)), MOST_SHAPE)
        a, b = 1 + rows.total, missed + rows.exposure - rows.total
        rate = a / (a + b)
        highest = np.argsort(rate + 2 * np.sqrt(rate * (1 - rate) / (a + b)))[-N_ALIKE:]
        return ALIKE * _beta_above(hits, trials, a[highest], b[highest]).max()


def _beta_above(hits, trials, a, b):
    """Of so many successes, where rates have beta laws; ``(k,)`` as ``a`` and ``b``."""
    low = special.betaincinv(a[:, None], b[:, None], special.ndtr(np.minimum(FEW_SCORES, 0)))
    high = special.betaincinv(b[:, None], a[:, None], special.ndtr(-np.maximum(FEW_SCORES, 0)))
    return _binomial_above(hits, trials, np.where(FEW_SCORES < 0, low, 1 - high), FEW_SCORES)


def _binomial_above(hits, trials, rates, scores):
    """Of so many successes, where rates are at normal scores; ``(k,)`` for ``(k, n_scores)``."""
    above = special.betainc(np.maximum(hits, LEAST_TOTAL), trials - hits + 1, rates)
    return above @ special.softmax(-(scores**2) / 2)
