"""Laws of demand in the order of time, calibrated on what they would have foretold.

The newest periods are foretold from those before them, under the conditions that they had. Where
outcomes fall within their laws says, over all rows, how laws are to be moved and stretched:
log odds of levels by a line on either side of the middle [1]_. Three numbers, likeliest under a
prior that few outcomes cannot outvote; none of them is learned.

References
----------
.. [1] V. Kuleshov, N. Fenner, S. Ermon, "Accurate uncertainties for deep learning using calibrated
   regression", Proceedings of Machine Learning Research 80 (2018), 2796-2804.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from sklearn_pttf._kinds.demand.held_out import spread_out
from sklearn_pttf._kinds.series.silence import Silence
from sklearn_pttf._tables.influence import typical_rows

MOST_PERIODS = 8  # that are foretold, the newest ones, and half of all at most
FEWEST_BEFORE = 3  # periods that something is foretold from
MOST_ROWS = 1500  # that are looked at
FEWEST_OUTCOMES = 30  # that say anything
SPREAD = (0.3, 0.25, 0.25)  # prior deviations of the shift, and of the logs of both slopes
# the loss has kinks; the last search is so exact that the order of rows does not matter
SEARCHES = (
    ("Powell", {"xtol": 1e-4, "ftol": 1e-8}),
    ("Nelder-Mead", {"xatol": 1e-4, "fatol": 1e-8}),
    ("Powell", {"xtol": 1e-10, "ftol": 1e-15}),
)
FIRST_STEP = 0.1  # of a number, of the search among neighbours
MOST_LOGIT = 20.0  # of a level
NEAR = 1e-3  # of the mean, that an amount stands for
LEAST_MASS = 1e-9  # between two levels


class Calibration(NamedTuple):
    """At which level of a law each level lies: a line of log odds on either side of the middle."""

    shift: float = 0.0
    log_below: float = 0.0
    log_above: float = 0.0
    silence: Silence = None

    def levels(self, levels):
        """Levels of laws, of which outcomes are below with probabilities ``levels``."""
        logits = special.logit(levels)
        slopes = np.where(logits < 0, np.exp(self.log_below), np.exp(self.log_above))
        return special.expit(self.shift + slopes * logits)

    def logits(self, levels):
        """Log odds that an outcome is below these levels of its law."""
        away = np.clip(special.logit(levels), -MOST_LOGIT, MOST_LOGIT) - self.shift
        return away / np.where(away < 0, np.exp(self.log_below), np.exp(self.log_above))

    def law(self, law, portfolio=None):
        """Laws in place of those of the network; `QuantileGrid`."""
        if self.silence is not None and portfolio is not None:
            law = self.silence.law(law, portfolio)
        if not any(self[:3]):
            return law
        places = special.logit(self.levels(law.levels))
        knots = special.logit(law.levels)
        return law.with_quantiles(_along(law.quantiles, knots, places))

    def laws(self, laws, portfolios):
        """The same of several."""
        return [self.law(*pair) for pair in zip(laws, portfolios, strict=True)]

    def log_likelihood(self, low, high):
        """Of outcomes that lie between these levels of their laws, over that of no change."""
        first, last = (special.expit(self.logits(levels)) for levels in (low, high))
        return np.log(np.maximum(last - first, LEAST_MASS) / np.maximum(high - low, LEAST_MASS))


def calibration_in_time(predict, portfolio):
    """`Calibration` on the newest periods.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to laws; `QuantileGrid`.

    portfolio : Portfolio
        At its conditions.
    """
    n = portfolio.observations.shape[1]
    rows = np.flatnonzero(typical_rows(portfolio.as_rates()))
    some = portfolio.take(rows[spread_out(portfolio.observations[rows], MOST_ROWS)])
    first = max(FEWEST_BEFORE, n - min(MOST_PERIODS, n // 2))
    silence = Silence.of(some)
    plain = predict

    def predict(portfolio):
        return silence.law(plain(portfolio), portfolio)

    placed = [_placed(predict, some, period) for period in range(first, n)]
    if sum(len(low) for low, _ in placed) < FEWEST_OUTCOMES:
        return Calibration(silence=silence)
    worth = 1 / _alike_in_periods([low + high for low, high in placed])
    low, high = (np.concatenate(ends) for ends in zip(*placed, strict=True))

    def loss(numbers):
        strange = 0.5 * ((numbers / SPREAD) ** 2).sum()
        return strange - worth * Calibration(*numbers).log_likelihood(low, high).sum()

    return Calibration(*_least(loss), silence)


def _least(loss):
    """Three numbers of least loss."""
    numbers = np.zeros(3)
    for method, options in SEARCHES:
        if method == "Nelder-Mead":
            around = np.vstack([np.zeros(3), FIRST_STEP * np.eye(3)])
            options = options | {"initial_simplex": numbers + around}
        numbers = optimize.minimize(loss, numbers, method=method, options=options).x
    return numbers


def _placed(predict, portfolio, period):
    """Levels of their laws that outcomes of a period lie between."""
    outcomes = portfolio.observations[:, period]
    rows = np.flatnonzero(~np.isnan(outcomes))
    if not len(rows):
        return np.zeros(0), np.zeros(0)
    law, outcomes = predict(portfolio.take(rows).before(period, 1)), outcomes[rows]
    near = 1.0 if portfolio.integer else NEAR * np.abs(law.mean())
    high = law.cdf(outcomes)
    low = np.where(outcomes > 0, law.cdf(np.maximum(outcomes - near, 0.0)), 0.0)
    if portfolio.stock is not None:  # at least that, as likely as all that is above
        high = np.where(portfolio.capped[rows, period], 1.0, high)
    return np.minimum(low, high - LEAST_MASS).clip(0.0), high


def _alike_in_periods(placed):
    """How much more means of periods differ than by chance, 2 at least: rows are alike too."""
    placed = [each for each in placed if len(each)]
    every = np.concatenate(placed)
    apart = sum(len(each) * (each.mean() - every.mean()) ** 2 for each in placed)
    return max(2.0, apart / max(len(placed) - 1, 1) / max(every.var(), LEAST_MASS))


def _along(quantiles, knots, places):
    """Quantiles at other places, along lines between knots, whose last slopes go on; (n, k)."""
    lower = np.clip(np.searchsorted(knots, places) - 1, 0, len(knots) - 2)
    share = (places - knots[lower]) / (knots[lower + 1] - knots[lower])
    low, high = quantiles[:, lower], quantiles[:, lower + 1]
    return low + share * (high - low)
