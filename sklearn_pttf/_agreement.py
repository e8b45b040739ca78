"""Laws of demand that agree with the table that they were made from.

A network may be wrong about a whole portfolio at once: about how many outcomes are zero, or about
how large they are on average, of which the table says more than any prior. Where the table is sure
(by more than two standard errors), the shares of zeros of all rows and their sizes are moved
together until sums over rows agree. Of whole numbers, `PoissonCompanion` has a say beside.
"""

import numpy as np
from scipy import optimize, special

from sklearn_pttf._influence import typical_rows
from sklearn_pttf._laws import ReweightedZeros
from sklearn_pttf._parametric import MixtureLaw
from sklearn_pttf._poisson_companion import PoissonCompanion, totals_of

FEWEST_ROWS = 10  # with observations that say anything about a portfolio
MOST_ROWS = 2000  # that laws are compared with; more would only take longer
MOST_TURNS = 8  # observations of a row that are held out, one by one
SHIFT_RANGE = (-12.0, 12.0)  # of the log odds of a zero
LOG_FACTOR_RANGE = (-3.0, 3.0)
N_HALVINGS = 40
LEAST_ERROR = 0.015  # of the mean, as a share of it: less is not worth moving quantiles for
SURE_OF_SMALL = 2.0  # log odds that noise is Poisson where outcomes are 0 or 1
LESS_BY_SIZE = 2.0  # and by how much less they are, for a unit of log size
LEAST_ODDS = -2.0
FEW = 20.0  # over the number of rows: log odds taken off for a companion of few rows
SPREAD_OF_ODDS = (1.5, 0.7)  # prior standard deviations: of all log odds, and for a unit of log size
LEAST_SIZE = 0.1
LEAST_MASS = 1e-12


def sure_part(difference, error):
    """What of a difference is to be believed: none of two standard errors, all from three on."""
    size = np.abs(difference)
    return np.sign(difference) * np.clip(3 * (size - 2 * error), 0, size)


def spread_out(observations, most):
    """Positions of at most so many rows, all sizes alike, in an order that is the rows' own."""
    values = np.sort(observations, axis=1)  # NaN last
    counts = (~np.isnan(values)).sum(axis=1)
    keys = np.nan_to_num(values.T, nan=-1.0)
    mean = np.nansum(values, axis=1) / np.maximum(counts, 1)
    order = np.lexsort([*keys[:MOST_TURNS], *keys[-1:], counts, mean])
    order = order[counts[order] > 0]
    if len(order) <= most:
        return order
    return order[((np.arange(most) + 0.5) / most * len(order)).astype(int)]


def turns_of(observations):
    """Cells of every row that are held out one by one, all sizes alike; (n_turns, n), -1 for none."""
    counts = (~np.isnan(observations)).sum(axis=1)
    by_size = observations.argsort(axis=1, kind="stable")  # NaN last
    n_turns = min(MOST_TURNS, observations.shape[1])
    shares = (np.arange(n_turns) + 0.5) / n_turns
    own = np.minimum(counts, n_turns)[:, None]
    ranks = np.where(
        counts[:, None] <= n_turns,
        np.arange(n_turns),
        (shares * counts[:, None]).astype(int),
    )
    cells = np.take_along_axis(by_size, np.minimum(ranks, observations.shape[1] - 1), axis=1)
    used = (np.arange(n_turns) < own) & (counts[:, None] > 1)
    return np.where(used, cells, -1).T


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
    zero_shift : float
        What is added to the log odds of a zero.

    factor : float
        What outcomes are multiplied by.

    companion : PoissonCompanion or None

    odds : tuple of float
        Of the companion's law against the network's, in logs: of a row of the portfolio's usual
        size, and what a unit of log size adds.
    """

    def __init__(self, predict, portfolio):
        self.zero_shift, self.factor = 0.0, 1.0
        self.companion, self.odds = None, (-np.inf, 0.0)
        portfolio = portfolio.take(typical_rows(portfolio.observations, portfolio.integer))
        all_observations = portfolio.observations
        rows = spread_out(all_observations, MOST_ROWS)
        portfolio = portfolio.take(rows)
        if len(rows) < FEWEST_ROWS:
            return
        law = predict(portfolio)
        self._fit_zeros(law, portfolio.observations)
        self._fit_factor(law, portfolio.observations)
        if portfolio.integer:
            self._fit_companion(predict, portfolio, all_observations)

    def _fit_zeros(self, law, observations):
        """Let the mean probability of a zero be the share of zeros."""
        seen = ~np.isnan(observations)
        count = seen.sum(axis=1)
        share = (observations == 0).sum(axis=1) / count
        chance = law.cdf(0.0)
        missing = share - chance
        binomial = (chance * (1 - chance) / count).sum()
        error = np.sqrt(max(binomial, (missing**2).sum() - missing.sum() ** 2 / len(law)))
        wanted = chance.sum() + sure_part(missing.sum(), error)
        if wanted == chance.sum():
            return
        odds = special.logit(np.clip(chance, 1e-15, 1 - 1e-15))
        self.zero_shift = _root(lambda shift: special.expit(odds + shift).sum() - wanted, SHIFT_RANGE)

    def _fit_factor(self, law, observations):
        """Let the mean of the rows' expected outcomes be that of their observations."""
        total, count = totals_of(observations)
        expected = self._recalibrated(law).mean()
        missing = total / count - expected
        error = np.sqrt((missing**2).sum() - missing.sum() ** 2 / len(law))
        moved = sure_part(missing.sum(), max(error, LEAST_ERROR * expected.sum()))
        if moved == 0:
            return
        wanted = expected.sum() + moved

        def excess(log_factor):
            return self._recalibrated(law, np.exp(log_factor)).mean().sum() - wanted

        self.factor = float(np.exp(_root(excess, LOG_FACTOR_RANGE)))

    def _recalibrated(self, law, factor=None):
        """The network's laws with other shares of zeros and sizes."""
        factor = self.factor if factor is None else factor
        if factor != 1:
            law = law.with_quantiles(factor * law.quantiles)
        if self.zero_shift == 0:
            return law
        return ReweightedZeros.shifted(law, self.zero_shift)

    def _fit_companion(self, predict, portfolio, all_observations):
        """Let the companion have a say, as far as it said more of what was held out."""
        companion = PoissonCompanion(all_observations)
        self.size = _size_of(all_observations)
        first = SURE_OF_SMALL - LESS_BY_SIZE * np.log(self.size) - FEW / len(all_observations)
        self.first_odds = max(first, LEAST_ODDS)
        halves = [portfolio.observations[k::2] for k in (0, 1)]
        others = [PoissonCompanion(half) for half in halves[::-1]]
        gains, sizes = [], []
        for cells in turns_of(portfolio.observations):
            if (cells < 0).all():
                break
            evidence, outcomes = portfolio.held_out(cells)
            charged = cells >= 0
            own = log_mass(self._recalibrated(predict(evidence)), outcomes[:, 0])
            for k, other in enumerate(others):
                rows = slice(k, None, 2)
                totals = totals_of(evidence.observations[rows])
                gain = log_mass(other.law(*totals), outcomes[rows, 0]) - own[rows]
                gains.append(gain[charged[rows]])
                sizes.append(companion.mean(*totals)[charged[rows]])
        if gains:
            self.odds = self._stacked(np.concatenate(gains), np.concatenate(sizes))
        else:
            self.odds = (0.0, 0.0)
        self.companion = companion

    def _log_odds(self, sizes, odds=None):
        level, slope = self.odds if odds is None else odds
        return self.first_odds + level + slope * np.log((sizes + LEAST_SIZE) / (self.size + LEAST_SIZE))

    def _stacked(self, gains, sizes):
        """Most likely log odds of the companion, given by how much more it said."""

        def loss(odds):
            log_odds = self._log_odds(sizes, odds)
            fit = np.logaddexp(log_odds + gains, 0.0) - np.logaddexp(log_odds, 0.0)
            return -fit.sum() + ((odds / SPREAD_OF_ODDS) ** 2).sum() / 2

        return optimize.minimize(loss, np.zeros(2), method="BFGS").x

    def law(self, law, portfolio):
        """Laws in place of the network's."""
        law = self._recalibrated(law)
        if self.companion is None:
            return law
        totals = totals_of(portfolio.observations)
        weight = special.expit(self._log_odds(self.companion.mean(*totals)))
        other = self.companion.law(*totals)
        weights = np.column_stack([1 - weight, weight[:, None] * other.weights])
        return MixtureLaw([law, *other.components], weights, integer=True)


def log_mass(law, outcomes):
    """Log probability of whole outcomes ``(n,)``; 0 of a missing one."""
    known = np.nan_to_num(outcomes)
    mass = law.cdf(known) - np.where(known > 0, law.cdf(known - 1), 0.0)
    return np.where(np.isnan(outcomes), 0.0, np.log(np.maximum(mass, LEAST_MASS)))


def _size_of(observations):
    """Geometric mean of what is positive, and at least 1."""
    positive = observations[np.nan_to_num(observations) > 0]
    return float(np.exp(np.log(np.sort(positive)).mean())) if len(positive) else 1.0


def _root(function, ends):
    """Where an increasing function is 0, by halving; an end where it is nowhere."""
    low, high = ends
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
