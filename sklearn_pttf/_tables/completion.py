"""Demand in the place of sales that stock capped, for all that is computed from a whole table.

A sale that was all there was is *at least* the demand. In its place stands what is expected of its
row beyond the sale, or a draw from there. Demand that is not zero is taken for lognormal around the
row's level, which is shrunk to those of other rows, as is its noise; levels and noise are those of
the completed table (expectation and maximisation in turn [1]_). In the order of time levels go
along with what rows share of a period.

References
----------
.. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM
   algorithm", Journal of the Royal Statistical Society B 39 (1977), 1-38.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, log_ndtr, ndtri_exp, polygamma

N_ROUNDS = 25  # of expectation and maximisation, at most
CLOSE = 1e-4  # change of a round, relative, that more of them are not worth
CORRECTION = 0.5  # of a whole number, which stands for what is up to this much below and above
LEVEL_WEIGHT = 0.01  # observations of the table's scale in a row's level
GUESSED_NOISE, GUESSED = 0.25, 0.01  # relative variance, as weak as a hundredth of an observation
MOST_SQUARES = 4.0  # relative squared deviations that a row may add to the noise, a cell
QUIETEST = 0.05  # of the expected variance of a row, added to its own
LEAST_VARIANCE = 1e-4  # relative, of demand; and of logs between rows
LEAST_TOLD = 1e-6  # of a row's level, by cells that are all capped
LEAST_CAP = 1e-3  # in units of the level
MOST_OVER = 20.0  # times the sale that demand is taken to be at most
MOST_OF_ROOT = 1.5  # relative variance of demand whose root is normal
FAR = 20.0  # deviations of a sale from the level, either way
LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)
GOLDEN = (np.sqrt(5) - 1) / 2
DIGITS = 9  # by which two cells differ


def completed(portfolio, draw=False):
    """The portfolio with demand in the place of capped sales, and no stock.

    Parameters
    ----------
    portfolio : Portfolio

    draw : bool, default=False
        Whether demand is drawn, one draw for each capped cell; else it is what is expected. Draws
        are of evenly spread levels, fixed by what the table says and not by the order of its rows;
        whole numbers where outcomes are.

    Returns
    -------
    Portfolio
        What was not capped is as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import Portfolio
    >>> from sklearn_pttf._tables.completion import completed
    >>> sales = np.array([[5.0, 8.0, 7.0], [4.0, 3.0, 6.0]])
    >>> portfolio = Portfolio(sales, stock=np.array([[9, 8, 7], [9, 9, 9]]))
    >>> completed(portfolio).observations.round(1)
    array([[5. , 8.7, 8. ],
           [4. , 3. , 6. ]])
    """
    if portfolio.stock is None:
        return portfolio
    capped = portfolio.capped & (portfolio.observations > 0)
    if not capped.any():
        return replace(portfolio, stock=None)
    exposure = portfolio.exposures()
    cells = _Cells(
        portfolio.observations / exposure,
        portfolio.observations > 0,
        capped,
        portfolio.counts,
        portfolio.integer and portfolio.exposure is None,
    )
    law = _fitted(cells, portfolio.in_time)
    demand = law.drawn(_shares(law, cells)) if draw else law.expected()[0]
    demand = demand * exposure[capped]
    if draw and portfolio.integer:
        demand = np.rint(demand)
    observations = portfolio.observations.copy()
    observations[capped] = np.maximum(demand, observations[capped])
    return replace(portfolio, observations=observations, stock=None)


def demand_of(portfolio):
    """What decisions are charged on in the place of observations; ndarray of the same shape.

    Where stock capped a sale it is one draw from what demand may have been. So a lower order is
    short of at least what the cap was above it, and a higher one is charged, over many cells, what
    the law beyond the cap expects.
    """
    return completed(portfolio, draw=True).observations


class _Cells(NamedTuple):
    """Sales of rows, per unit of exposure."""

    sales: np.ndarray  # (n, m)
    positive: np.ndarray  # (n, m) bool
    capped: np.ndarray  # (n, m) bool, of the positive ones
    seen: np.ndarray  # (n,), number of cells, zeros too
    whole: bool


class _Law(NamedTuple):
    """Laws of the demand of capped cells that is not zero, and their least demand; ``(k,)`` each.

    Of what is noise as counts have it the root is normal, of all else the log.
    """

    level: np.ndarray
    variance: np.ndarray  # relative
    counted: np.ndarray  # share of it that is noise of counts
    least: np.ndarray
    most: np.ndarray

    def _logs(self):
        """Deviation of the log, and how many of these the least demand is from the level."""
        s = np.sqrt(np.log1p(self.variance))
        return s, np.clip(np.log(self.least / self.level) / s + s / 2, -FAR, FAR)

    def _roots(self):
        """Mean and deviation of the root, and how many the least demand's is from the mean."""
        s = np.sqrt(1 - np.sqrt(1 - np.minimum(self.variance, MOST_OF_ROOT) / 2))
        mean = np.sqrt(1 - s**2)
        root, s = mean * np.sqrt(self.level), s * np.sqrt(self.level)
        return root, s, np.clip((np.sqrt(self.least) - root) / s, -FAR, FAR)

    def expected(self):
        """Expected demand beyond the least, and its variance."""
        s, z = self._logs()
        beyond = log_ndtr(-z)
        first = self.level * np.exp(log_ndtr(s - z) - beyond)
        second = self.level**2 * np.exp(s**2 + log_ndtr(2 * s - z) - beyond)
        if self.counted.any():
            of_roots = _moments_of_squares(*self._roots())
            first += self.counted * (of_roots[0] - first)
            second += self.counted * (of_roots[1] - second)
        mean = np.clip(first, self.least, self.most)
        return mean, np.clip(second - mean**2, 0.0, mean**2)

    def drawn(self, share):
        """Demand beyond the least that is not exceeded with such probabilities."""
        s, z = self._logs()
        demand = self.level * np.exp(s * _beyond(z, share) - s**2 / 2)
        root, s, z = self._roots()
        of_roots = (root + s * _beyond(z, share)) ** 2
        return np.minimum(demand + self.counted * (of_roots - demand), self.most)

    def told(self):
        """What cells tell of their level, over what seen ones do: Fisher's information."""
        z = self.counted * self._roots()[2] + (1 - self.counted) * self._logs()[1]
        hazard = _hazard(z)
        return np.clip(hazard * (hazard - z), 0.0, 1.0)


def _hazard(z):
    return np.exp(-0.5 * z**2 - LOG_ROOT_TWO_PI - log_ndtr(-z))


def _beyond(z, share):
    """Quantile of a standard normal number that is at least ``z``."""
    return -ndtri_exp(log_ndtr(-z) + np.log1p(-share))


def _moments_of_squares(mean, s, z):
    """First two moments of the square of a normal number that is ``z`` deviations up or more."""
    h, zz, square, var = _hazard(z), z * z, mean * mean, s * s
    first, second = s * h, var * (1 + z * h)
    third, fourth = s * var * (zz + 2) * h, var * var * (3 + (zz + 3) * z * h)
    fourth += mean * (4 * third + mean * (6 * second + mean * (4 * first + mean)))
    square = square + 2 * mean * first + second
    return square, fourth


def _shares(law, cells):
    """Probabilities that draws are made at: evenly spread over cells, whatever their order."""
    _, columns = np.nonzero(cells.capped)
    keys = np.round([law.least / law.level, np.log(law.level), law.variance], DIGITS)
    order = np.lexsort([columns, *keys])
    place = np.empty(len(order))
    place[order] = np.arange(1, len(order) + 1)
    return (GOLDEN * place) % 1.0


def _fitted(cells, in_time):
    """`_Law` by expectation and maximisation."""
    rows, columns = np.nonzero(cells.capped)
    sales = cells.sales[cells.capped]
    most = MOST_OVER * sales
    values, variance = np.where(cells.positive, cells.sales, 0.0), np.zeros(cells.sales.shape)
    told, factors = cells.positive.astype(float), np.ones(values.shape[1])
    if in_time:  # by sales: of a period that is all sold out, nothing tells how high it was
        level, noise, _ = _levels(values, variance, factors, cells, told)
        factors = _factors(values / level[:, None], noise, cells.positive)
    for _ in range(N_ROUNDS):
        level, noise, counted = _levels(values, variance, factors, cells, told)
        of_cell = level[rows] * factors[columns]
        least = np.maximum(sales - CORRECTION * cells.whole, LEAST_CAP * of_cell)
        of_counts = counted[rows] / factors[columns]
        left, share = 1 - counted[rows], noise[rows]
        law = _Law(of_cell, share * (left + of_counts), of_counts / (left + of_counts), least, most)
        mean, spread = law.expected()
        change = np.abs(mean / values[cells.capped] - 1).mean()
        values[cells.capped], variance[cells.capped] = mean, spread
        told[cells.capped] = law.told()
        if change < CLOSE:
            break
    return law


def _levels(values, variance, factors, cells, told):
    """Shrunk level and relative variance of rows' positive demand, and what counts have of it."""
    values, variance = values / factors, variance / factors**2
    count = cells.positive.sum(axis=1)
    number, total = np.maximum(count, 1), values.sum(axis=1)
    some, mean = count > 0, total / np.maximum(count, 1)
    scale = np.exp(np.log(mean[some]).mean())
    own = (total + LEVEL_WEIGHT * scale) / (count + LEVEL_WEIGHT)
    weight = factors if cells.whole else 1.0  # counts are less noisy in periods of more of them
    squares = np.where(cells.positive, (values - mean[:, None]) ** 2, 0.0) * weight
    squares = (squares.sum(axis=1) + (variance * weight).sum(axis=1) * (1 - 1 / number)) / own**2
    degrees = np.maximum(count - 1, 0)
    capped_squares = np.minimum(squares, MOST_SQUARES * degrees)
    of_counts, left = _expected_noise(capped_squares, degrees, own, cells.whole)
    noise = (of_counts + left) * _own_noise(squares, degrees, of_counts + left)
    chance = noise / np.maximum(cells.seen if cells.whole else count, 1)  # small counts have zeros
    weight = told.sum(axis=1) / number
    centre, between = _spread(np.log(own), chance, weight + LEAST_TOLD * some)
    trust = np.where(some, between / (between + chance), 0.0)
    level = np.exp(centre + trust * (np.log(own) - centre))
    return level, noise, of_counts / (of_counts + left)


def _expected_noise(squares, degrees, level, whole):
    """Relative variance that rows of such levels have as counts, and beside that; (n,) each."""
    if not whole:
        pooled = (squares.sum() + GUESSED * GUESSED_NOISE) / (degrees.sum() + GUESSED)
        return np.zeros(len(level)), np.full(len(level), max(pooled, LEAST_VARIANCE))
    by_level = (squares * level).sum()
    share = min(1.0, (by_level + GUESSED) / (degrees.sum() + GUESSED))
    left = by_level - share * degrees.sum() + GUESSED * GUESSED_NOISE
    left = left / ((degrees * level).sum() + GUESSED)
    return share / level, np.full(len(level), max(left, LEAST_VARIANCE))


def _own_noise(squares, degrees, expected):
    """What rows' variances are, times the expected ones, as far as they are believed; (n,)."""
    has = degrees > 0
    if not has.any():
        return np.ones(len(squares))
    half = np.arange(1, degrees.max() + 1) / 2
    chance, bias = (x[np.maximum(degrees, 1) - 1] for x in (polygamma(1, half), _bias(half)))
    found = squares / np.maximum(degrees, 1) / expected
    logs = np.log((found + QUIETEST) / (1 + QUIETEST)) - bias
    centre, between = _spread(logs, chance, has / chance)
    return np.where(has, np.exp(between / (between + chance) * (logs - centre)), 1.0)


def _bias(half):
    """Mean of the log of a variance of so many halves of degrees of freedom."""
    return digamma(half) - np.log(half)


def _factors(relative, noise, positive):
    """What rows share of every period, as far as it is more than chance; (m,)."""
    weight = positive / noise[:, None]
    total, seen = np.maximum(weight.sum(axis=0), LEAST_VARIANCE), positive.any(axis=0)
    logs = np.log(np.where(seen, (weight * relative).sum(axis=0) / total, 1.0))
    centre, between = _spread(logs, 1 / total, total * seen)
    return np.exp(np.where(seen, between / (between + 1 / total) * (logs - centre), 0.0))


def _spread(values, chance, weight):
    """Mean of values, and their variance beyond what is chance of each."""
    centre = np.average(values, weights=weight)
    return centre, max(np.average((values - centre) ** 2 - chance, weights=weight), LEAST_VARIANCE)
