"""What baselines for tables in the order of time share: roles, levels, one-step errors."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import expit

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.horizon import correlation_of_periods, law_of_total
from sklearn_pttf._laws.means import law_of_mean
from sklearn_pttf._laws.paths import DemandPaths
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf.baselines._values import refuse_values
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.problems._given import check_problem

ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PULLS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # observations of the table's usual level
MOST_CELLS = 200_000  # newest ones, that parameters are found from
ERROR_LEVELS = expit(np.linspace(-6, 6, 49))  # of pooled errors
BAND_CELLS, MOST_BANDS = 500, 4  # errors in a band of levels, at least, and bands, at most
N_REWEIGHTED = 10  # rounds of weighted least squares
SAME_LOSS = 1e-9  # relative, of parameters that are as good


class DecisionInTime(DecisionMixin):
    """Base of baselines that forecast what follows the last column.

    A subclass writes `fit`, from ``self._read_to_fit(X)``, and ``_predict_law(portfolio)``, whose
    laws are of the period after the portfolio's last.
    """

    _default_problem = staticmethod(partial(Newsvendor, ordered=True))
    _reads_time = True  # and not as if all periods were like the coming one

    def _read_to_fit(self, X):
        problem = check_problem(self.problem, self._default_problem)
        if not problem.ordered:
            raise ValueError(
                f"problem must have ordered=True for {type(self).__name__}, which forecasts the "
                f"period after the last column of observations; got {problem!r}."
            )
        portfolio = super()._read_to_fit(X)
        self._refuse_values(portfolio)
        return portfolio

    def _law_of_total(self, portfolio, horizon):
        """Law of the sum of every row's next outcomes.

        Its shape is that of periods that are like the next one and hang together as far as a first
        one would move the forecast of a second; its mean is the sum of the means that follow where
        every period brings its mean.
        """
        self._refuse_values(portfolio)
        law = self._predict_law(portfolio)
        if horizon == 1:
            return law
        total = law_of_total(*self._predict_after(portfolio), law, horizon)
        means = sum(self._means_of_periods(portfolio, law, horizon))
        usual = horizon * law.mean()
        ratio = np.where(usual > 0, means / np.where(usual > 0, usual, 1.0), 1.0)[:, None]
        half = portfolio.integer / 2  # a grid of whole numbers rounds up
        return total.with_quantiles((total.quantiles + half) * ratio - half, usual * ratio[:, 0])

    def _mean_of_total(self, portfolio, horizon):
        self._refuse_values(portfolio)
        law = self._predict_law(portfolio)
        return sum(self._means_of_periods(portfolio, law, horizon))

    def _means_of_periods(self, portfolio, law, horizon):
        """Means of the coming periods, each after those before; list of ndarray of shape (n,)."""
        predict, plain = self._predict_after(portfolio)
        path, means = portfolio.observations, [law.mean()]
        for _ in range(horizon - 1):
            path = np.column_stack([path, means[-1]])
            means.append(predict(plain.with_observations(path)).mean())
        return means

    def _paths(self, portfolio, horizon):
        """Demand in each of the coming periods, each forecast after the means of those before."""
        self._refuse_values(portfolio)
        predict, plain = self._predict_after(portfolio)
        path, laws = portfolio.observations, [self._predict_law(portfolio)]
        if horizon == 1:
            return DemandPaths(laws, np.zeros(len(portfolio)))
        for _ in range(horizon - 1):
            path = np.column_stack([path, laws[-1].mean()])
            laws.append(predict(plain.with_observations(path)))
        return DemandPaths(laws, correlation_of_periods(predict, plain, laws[0]))

    def _predict_law_of_mean(self, portfolio, spread=True):
        if not spread:
            return super()._predict_law_of_mean(portfolio, spread)
        return law_of_mean(*self._predict_after(portfolio), self._predict_law(portfolio))

    def _predict_after(self, portfolio):
        """What forecasts once more periods were seen, and the portfolio without its drivers."""

        def predict(longer):
            return self._predict_law(_moved_on(portfolio, longer.observations))

        return predict, replace(portfolio, drivers=None, planned=None)

    def _refuse_values(self, portfolio):
        refuse_values(portfolio, type(self).__name__, "ParametricEmpiricalBayes or JamesStein")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def _moved_on(portfolio, observations):
    """The portfolio after more periods, which came with the drivers that were planned for them.

    Its stock, which these methods do not read, is left behind.
    """
    portfolio = replace(portfolio, stock=None)
    n_new = observations.shape[1] - portfolio.observations.shape[1]
    if portfolio.drivers is None or n_new == 0:
        return replace(portfolio, observations=observations)
    planned = portfolio.planned
    unknown = np.full((len(planned), n_new + 1, planned.shape[2]), np.nan)
    planned = np.concatenate([planned, unknown], axis=1)
    drivers = np.concatenate([portfolio.drivers, planned[:, :n_new]], axis=1)
    return replace(
        portfolio, observations=observations, drivers=drivers, planned=planned[:, n_new:]
    )


# -- levels


def usual_level(portfolio):
    """Geometric mean of rows' means; of whole numbers that are all 0, half of one over all."""
    x, counts = portfolio.observations, portfolio.counts
    means = np.nansum(x, axis=1)[counts > 0] / counts[counts > 0]
    means = np.sort(means[means > 0])
    return float(np.exp(np.log(means).mean())) if len(means) else 0.5 / counts.sum()


@dataclass(frozen=True)
class Levels:
    """What is expected of rows before each period: exponentially weighted means.

    Parameters
    ----------
    sums, weights, squares : ndarray of shape (n, m + 1)
        Before each period: sums of observations times their weights, of these weights, and of
        their squares. Weights are 1 for a row's newest observation and ``1 - alpha`` times as much
        for the one before; periods without an observation are passed over.
    """

    sums: np.ndarray
    weights: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, x, alpha):
        n_rows, n_periods = x.shape
        found = np.zeros((3, n_periods + 1, n_rows))  # so that a period is in one place
        seen = ~np.isnan(x.T)
        new, known = np.where(seen, x.T, 0.0), seen.astype(float)
        keep, of_squares = np.where(seen, 1 - alpha, 1.0), np.where(seen, (1 - alpha) ** 2, 1.0)
        sums, weights, squares = found
        for t in range(n_periods):
            sums[t + 1] = keep[t] * sums[t] + new[t]
            weights[t + 1] = keep[t] * weights[t] + known[t]
            squares[t + 1] = of_squares[t] * squares[t] + known[t]
        return cls(*found.swapaxes(1, 2))

    def take(self, cells):
        """Levels of some cells, given as an index of two axes."""
        return Levels(self.sums[cells], self.weights[cells], self.squares[cells])

    def last(self):
        """Levels of the period after the last; ``(n,)``."""
        return self.take((slice(None), -1))

    def mean(self, pull, usual):
        """The weighted mean, and ``pull`` more observations of the usual level."""
        return (self.sums + pull * usual) / (self.weights + pull)

    def doubt(self):
        """Variance of an outcome less its forecast, over that of an outcome: 1 + 1 / n."""
        known = self.weights > 0
        return 1 + np.where(known, self.squares / np.where(known, self.weights, 1.0) ** 2, 1.0)


def newest_cells(x):
    """Cells that have an observation before them, newest periods first, as ``np.nonzero`` does.

    Where no row has two observations they are all that there are.
    """
    seen = ~np.isnan(x)
    after = seen & (np.cumsum(seen, axis=1) > 1)
    if not after.any():
        return np.nonzero(seen)
    newer = after.sum(axis=0)[::-1].cumsum()[::-1]  # in this period and later ones
    after &= (newer <= MOST_CELLS) | (newer == newer[after.any(axis=0)].min())
    return np.nonzero(after)


def deviance_of(outcomes):
    """Poisson deviance, in units of the outcome, as a function of what is expected.

    Parameters
    ----------
    outcomes : ndarray of shape (k,)

    Returns
    -------
    callable
        Maps positive means ``(k,)`` to a number.
    """
    positive = np.flatnonzero(outcomes > 0)
    amounts = outcomes[positive]
    best = amounts @ np.log(amounts) - amounts.sum()

    def deviance(means):
        return 2 * (best - amounts @ np.log(means[positive]) + means.sum())

    return deviance


def first_least(losses):
    """Position of the first loss that is, but for rounding, the least."""
    losses = np.asarray(losses)
    return int(np.argmax(losses <= losses.min() + SAME_LOSS * np.abs(losses.min())))


def find_smoothing(x, usual, alphas=ALPHAS):
    """The smoothing parameter and the pull whose one-step forecasts have least deviance.

    Parameters
    ----------
    x : ndarray of shape (n, m)

    usual : float
        Usual level of a row.

    alphas : sequence of float
        That may be chosen.

    Returns
    -------
    alpha, pull : float
    """
    cells = newest_cells(x)
    deviance, tried = deviance_of(x[cells]), []
    for alpha in alphas:
        levels = Levels.of(x, alpha).take(cells)
        tried += [(deviance(levels.mean(p, usual)), alpha, p) for p in PULLS]
    return tried[first_least([loss for loss, *_ in tried])][1:]


# -- errors


def band_edges(levels):
    """Levels that end bands of about as many errors, and of none of too few; ``(n_bands - 1,)``."""
    n_bands = int(np.clip(len(levels) // BAND_CELLS, 1, MOST_BANDS))
    offered = np.quantile(levels, np.arange(1, n_bands) / n_bands, method="inverted_cdf")
    edges, taken = [], 0
    for edge in np.unique(offered):
        reached = np.count_nonzero(levels <= edge)
        if min(reached - taken, len(levels) - reached) >= BAND_CELLS / 2:
            edges.append(edge)
            taken = reached
    return np.array(edges)


class PooledErrors:
    """One-step errors of all rows, over what is expected of their size at a level.

    The variance of an error is ``a * usual * level + b * level ** 2``, times its ``doubt``: of few
    sales the first part counts, as with Poisson counts, of many the second, as with ratios. Errors
    over its root are pooled, in up to four bands of level.

    Parameters
    ----------
    errors, levels, doubts : ndarray of shape (k,)
        Outcomes less forecasts, levels, and variances over those of outcomes.

    usual : float
        Usual level.

    Attributes
    ----------
    parts : ndarray of shape (2,)
        ``a`` and ``b``.

    edges : ndarray of shape (n_bands - 1,)
        Levels where bands end.

    quantiles : ndarray of shape (n_bands, n_levels)
        Of errors over their deviations, at `ERROR_LEVELS`.
    """

    def __init__(self, errors, levels, doubts, usual):
        self.usual = usual
        self.parts = self._find_parts(errors, levels, doubts)
        sizes = np.sqrt(self.variance(levels, doubts))
        scaled = np.where(sizes > 0, errors / np.where(sizes > 0, sizes, 1.0), 0.0)
        self.edges = band_edges(levels)
        band = self._band(levels)
        self.quantiles = np.stack(
            [np.quantile(scaled[band == k], ERROR_LEVELS) for k in range(len(self.edges) + 1)]
        )

    def _band(self, levels):
        return np.searchsorted(self.edges, levels)

    def _columns(self, levels, doubts):
        return np.stack([self.usual * levels, levels**2]) * doubts

    def _find_parts(self, errors, levels, doubts):
        """Least squares of squared errors, each over the square of what is expected of it."""
        columns, parts = self._columns(levels, doubts), np.ones(2)
        for _ in range(N_REWEIGHTED):
            expected = parts @ columns
            if not np.all(expected > 0):
                return parts
            scaled = columns / expected
            products = scaled @ scaled.T
            target = scaled @ (errors**2 / expected)
            parts = _nonnegative(products, target)
        return parts

    def variance(self, levels, doubts):
        """Of errors at levels."""
        return self.parts @ self._columns(levels, doubts)

    def law(self, forecasts, levels, doubts, integer):
        """Laws of outcomes around forecasts; all arguments but the last ``(n,)``."""
        sizes = np.sqrt(self.variance(levels, doubts))[:, None]
        quantiles = forecasts[:, None] + sizes * self.quantiles[self._band(levels)]
        return QuantileGrid(quantiles - integer / 2, ERROR_LEVELS, integer)


def _nonnegative(products, target):
    """Least squares of two coefficients that are not negative, by normal equations."""
    determinant = products[0, 0] * products[1, 1] - products[0, 1] ** 2
    if determinant > 1e-10 * products[0, 0] * products[1, 1]:
        both = np.linalg.solve(products, target)
        if np.all(both >= 0):
            return both
    gains = target**2 / np.diag(products)
    alone, best = np.zeros(2), int(gains[1] >= gains[0])
    alone[best] = target[best] / products[best, best]
    return alone


def of_cold_rows(law, portfolio, pooled):
    """The law, of rows without an observation that of all observations of `fit`."""
    cold = portfolio.counts == 0
    if not cold.any():
        return law
    quantiles = law.quantiles.copy()
    quantiles[cold] = np.quantile(pooled, law.levels, method="inverted_cdf") - law.integer / 2
    return law.with_quantiles(quantiles)
