"""The law of a row's total over several periods, from the law of its next one.

Periods of a row are not independent: what is unknown of its level is unknown of all its periods
alike. They are taken to be exchangeable with one common factor in a Gaussian copula: every period
has the law of the next one, and any two hang together as far as the predictor itself says, by how
the mean of a second period moves with what a first one may turn out to be.
"""

import numpy as np
from scipy.special import ndtr, ndtri

from sklearn_pttf._laws.atoms import sample_average_law
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.runs import ENDS, MOST_ROWS, RunLaw, rows_by_size
from sklearn_pttf._utils.rounding import NEAREST

# of the values of a first period that a second one is predicted after
FEW_LEVELS = np.array([0.02, 0.5, 0.9, 0.98, 1 - 1e-4])  # for a total, to 0.4 % of a variance
FIRST_LEVELS = np.array([1e-4, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 1 - 1e-3, 1 - 1e-4])
N_HERMITE = 12  # terms of a quantile function of a normal score
MOST_CORRELATION = 0.98  # of normal scores, which are divided by the root of what it leaves of 1
N_HALVINGS = 40  # to the correlation, which then is known to 1e-12
N_FACTOR = (9, 61)  # fewest and most values of the common factor, to four deviations
FACTOR_END = 4.0  # deviations, beyond which 6e-5 of a normal law lie
FACTOR_STEP = 1.2  # of the total's mean between two of them, in its deviations given one
N_REAL = 192  # numbers of values of one period, of any amounts
WIDE = 0.6  # times its mean a standard deviation, from which on that is too coarse
GRIDS = (32, 64, 128, 256, 512)  # numbers of values of one period; for whole ones, if they do
GRID_SD = 8.0  # standard deviations of the total that the grid reaches above its mean
GRID_LEVELS = (1e-5, 0.9995)  # of one period that the grid reaches from and to, at least
BLOCK_ROWS = 2048  # that are computed together, so that memory does not grow with the table
SUREST = 1e-16  # a probability, from 0 and 1, whose normal score is finite
BY_FOURIER = 1e-12  # what probabilities may be off by, below 0 and above 1, after transforms
STEEPEST = 1e6  # times a number above 0, of one below it
LEVELS = 1 / (1 + np.exp(-np.linspace(-7.6, 7.6, 77)))  # of the total's quantile function


def law_of_total(predict, portfolio, law, horizon, by_row=False):
    """Law of the sum of every row's next ``horizon`` outcomes.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the laws of its rows' next outcomes.

    portfolio : Portfolio

    law : PredictiveDistribution
        What ``predict`` gives for ``portfolio``.

    horizon : int

    by_row : bool, default=False
        Whether ``predict`` takes some of the rows too.

    Returns
    -------
    PredictiveDistribution
    """
    if horizon == 1:
        return law
    tables = list(_tables(law, portfolio.integer))
    first, quantiles = np.empty((len(law), len(FEW_LEVELS))), np.empty((len(law), len(LEVELS)))
    for rows, own in tables:
        first[rows] = own.quantile(FEW_LEVELS[None, :])
    means = _means_after(predict, portfolio, first, by_row)
    for rows, own in tables:
        nodes = _sorted_nodes(own)
        covariance = _covariance(nodes, first[rows], means[rows], _cubics)
        quantiles[rows] = _quantiles_of_totals(own, nodes, covariance, horizon, portfolio.integer)
    return QuantileGrid(quantiles, LEVELS, portfolio.integer, means=horizon * law.mean())


def _tables(law, whole):
    """Rows of bounded number and their laws, of whole numbers by tables."""
    if whole:
        ends = law.quantile(ENDS)
        for rows, size in rows_by_size(ends):
            yield rows, RunLaw.of(law.take(rows), ends[rows], size)
        return
    for start in range(0, len(law), MOST_ROWS):
        rows = np.arange(start, min(start + MOST_ROWS, len(law)))
        yield rows, law.take(rows)


def _quantiles_of_totals(law, nodes, covariance, horizon, whole):
    """Quantiles of the totals of rows that are looked at together; ``(n, k)``."""
    correlation = copula_correlation(law, covariance, nodes)
    start, step, sizes = _grid(law, covariance, horizon, whole, nodes)
    out = np.empty((len(law), len(LEVELS)))
    for rows, size, factor in _blocks(sizes, _n_factor(correlation, horizon)):
        grid = start[rows], step[rows], size
        out[rows] = _quantiles_of_total(
            law.take(rows), correlation[rows], *grid, horizon, whole, factor
        )
    return out


def _blocks(sizes, n_factor):
    """Rows of bounded number that have the same size of grid, and number of nodes; with these.

    A row's are its own, whatever rows it is decided with.
    """
    for size, n in np.unique(np.stack([sizes, n_factor], axis=1), axis=0):
        rows = np.flatnonzero((sizes == size) & (n_factor == n))
        for start in range(0, len(rows), BLOCK_ROWS):
            some = rows[start : start + BLOCK_ROWS]
            yield some, int(size), np.linspace(-FACTOR_END, FACTOR_END, n)


def correlation_of_periods(predict, portfolio, law):
    """Correlation of the normal scores of any two coming periods of a row; ``(n,)``."""
    return copula_correlation(law, covariance_of_periods(predict, portfolio, law))


def sample_average_total(portfolio, pooled, horizon):
    """What SAA takes for the law of the total; see `sample_average_law`.

    A next outcome that repeats one of the observations makes it likelier: so little of what is
    unknown does SAA know of.
    """

    def predict(portfolio):
        return sample_average_law(portfolio, pooled)

    return law_of_total(predict, portfolio, predict(portfolio), horizon)


def covariance_of_periods(predict, portfolio, law):
    """Covariance of two later outcomes of every row; ``(n,)``, at least 0.

    It is that of the first and of the mean that is then predicted for the second, which is linear
    between the values of the first that are tried.
    """
    first = law.quantile(FIRST_LEVELS[None, :])
    means = _means_after(predict, portfolio, first)
    return _covariance(_sorted_nodes(law), first, means, _linear)


def _means_after(predict, portfolio, first, by_row=False):
    """Means that are predicted once values ``(n, k)`` were seen, one at a time; (n, k).

    Those after a value that is the same as the one before are not predicted again.
    """
    means, new = np.empty(first.shape), np.ones(first.shape, dtype=bool)
    new[:, 1:] = np.diff(first, axis=1) != 0
    for k, values in enumerate(first.T):
        means[:, k] = means[:, max(k - 1, 0)]
        rows = np.flatnonzero(new[:, k]) if by_row else np.arange(len(first))
        if new[rows, k].any():
            some = portfolio.take(rows) if len(rows) < len(first) else portfolio
            after = np.column_stack([some.observations, values[rows]])
            means[rows, k] = predict(some.with_observations(after)).mean()
    return means


def _covariance(nodes, first, means, between):
    """Covariance of outcomes at nodes and the means after them, which are told at ``first``."""
    outcomes, weights = nodes
    second = between(outcomes, first, means)
    centred = outcomes - (outcomes * weights).sum(axis=1, keepdims=True)
    return np.maximum((centred * second * weights).sum(axis=1), 0.0)


def _linear(x, knots, values):
    """Lines between values at knots ``(n, k)``, constant beyond, at ``(n, q)`` numbers."""
    return np.stack([np.interp(*row) for row in zip(x, knots, values, strict=True)])


def _cubics(x, knots, values):
    """Monotone cubics through values at knots ``(n, k)``, constant beyond, at ``(n, q)`` numbers.

    Slopes at knots are harmonic means of those to both sides (Fritsch and Butland), 0 at the ends
    of what is flat; at the outer knots those of the lines from there.
    """
    widths = np.diff(knots, axis=1)
    slopes = np.diff(values, axis=1) / np.where(widths > 0, widths, 1.0)
    w_left, w_right = widths[:, :-1], widths[:, 1:]
    left = np.where(w_left > 0, slopes[:, :-1], slopes[:, 1:])  # of knots that are there twice
    right = np.where(w_right > 0, slopes[:, 1:], slopes[:, :-1])
    first, second = w_left + 2 * w_right, 2 * w_left + w_right
    same = left * right > 0
    mixed = first / np.where(same, left, 1.0) + second / np.where(same, right, 1.0)
    inner = np.where(same, (first + second) / np.where(same, mixed, 1.0), 0.0)
    at_knots = np.concatenate([slopes[:, :1], inner, slopes[:, -1:]], axis=1)
    x = np.clip(x, knots[:, :1], knots[:, -1:])
    place = sum((x >= knot[:, None]).astype(int) for knot in knots.T[1:-1])

    def of(array, shift=0):
        return np.take_along_axis(array, place + shift, axis=1)

    width = of(widths)
    t = (x - of(knots)) / np.where(width > 0, width, 1.0)
    low, high = of(values), of(values, 1)
    rise = t * t * (3 - 2 * t)
    bent = width * t * (1 - t) * ((1 - t) * of(at_knots) - t * of(at_knots, 1))
    return low + rise * (high - low) + bent


def _sorted_nodes(law):
    """Nodes of a law in increasing order, with weights that sum to 1; ``(n, q)`` each."""
    outcomes, weights = law.nodes()
    order = np.argsort(outcomes, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    return np.take_along_axis(outcomes, order, axis=1), weights / weights.sum(axis=1, keepdims=True)


def copula_correlation(law, covariance, nodes=None):
    """Correlation of the normal scores of two periods that have a covariance; ``(n,)``.

    With ``Q(Phi(z))`` as a sum of normalised Hermite polynomials with coefficients ``a_k``, the
    covariance is the sum of ``a_k^2 r^k`` (Mehler's formula).
    """
    outcomes, weights = _sorted_nodes(law) if nodes is None else nodes
    jumps = np.diff(outcomes, axis=1)
    # of a step function: a_k is the sum of jumps times h_(k-1) phi / sqrt(k) where they are
    score = ndtri(np.clip(weights.cumsum(axis=1)[:, :-1], NEAREST, 1 - NEAREST))
    density = np.exp(-(score**2) / 2) / np.sqrt(2 * np.pi)
    previous, current = np.zeros_like(score), np.ones_like(score)
    squares = []
    for k in range(1, N_HERMITE + 1):
        squares.append((jumps * density * current).sum(axis=1) ** 2 / k)
        previous, current = current, (score * current - np.sqrt(k - 1) * previous) / np.sqrt(k)
    low, high = np.zeros(len(law)), np.full(len(law), MOST_CORRELATION)
    # `scipy`'s `find_root` takes four times as long for 50 rows, and a third for 20,000
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        less = _polynomial(squares, middle) < covariance
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return np.where(covariance > 0, low, 0.0)


def _polynomial(coefficients, x):
    """Sum of the k-th of the coefficients times the k-th power of x, from the first on."""
    out = 0.0
    for each in reversed(coefficients):
        out = (out + each) * x
    return out


def _quantiles_of_total(law, correlation, start, step, size, horizon, whole, factor):
    """Quantiles of the total of rows at ``LEVELS``, given nodes of the factor; ``(n, k)``."""
    correlation, start, step = correlation[:, None], start[:, None], step[:, None]
    edges = start + (np.arange(size) + 0.5) * step
    scores = ndtri(np.clip(law.cdf(edges), SUREST, 1 - SUREST))
    weights = np.exp(-(factor**2) / 2)
    transform = 0.0
    for value, weight in zip(factor, weights / weights.sum(), strict=True):
        reached = ndtr((scores - np.sqrt(correlation) * value) / np.sqrt(1 - correlation))
        reached[:, -1] = 1.0
        mass = np.diff(reached, axis=1, prepend=0.0)
        # twice the length, so that only totals beyond twice the grid come round again
        one = np.fft.rfft(mass, 2 * size, axis=1)
        transform = transform + weight * _whole_power(one, horizon)
    reached = np.cumsum(np.fft.irfft(transform, 2 * size, axis=1), axis=1)
    reached = np.maximum.accumulate(np.clip(reached, BY_FOURIER, 1 - BY_FOURIER), axis=1)
    # a step holds what is up to half of it away; the last whole number of that is reached there
    values = horizon * start + np.arange(2 * size) * step + (step - whole) / 2
    values[:, 0] = horizon * start[:, 0]
    return _quantiles(values, reached)


def _n_factor(correlation, horizon):
    """How many values of each row's common factor are close enough to be added up; odd."""
    jump = np.sqrt(correlation * horizon / (1 - correlation)) / FACTOR_STEP
    return np.clip(2 * np.ceil(FACTOR_END * jump) + 1, *N_FACTOR).astype(int)


def _whole_power(x, n):
    """``x ** n`` by squaring, which for complex numbers is many times faster."""
    out = None
    while n:
        if n & 1:
            out = x if out is None else out * x
        n >>= 1
        x = x * x if n else x
    return out


def _grid(law, covariance, horizon, whole, nodes):
    """First of the values that one period may have, their distance and number; ``(n,)`` each."""
    start = np.maximum(law.quantile(GRID_LEVELS[0]), 0.0)
    mean = law.mean()
    outcomes, weights = nodes
    variance = ((outcomes - mean[:, None]) ** 2 * weights).sum(axis=1)
    of_total = horizon * variance + horizon * (horizon - 1) * covariance
    end = np.maximum(
        horizon * mean + GRID_SD * np.sqrt(of_total),
        law.quantile(GRID_LEVELS[1]) + (horizon - 1) * mean,
    )
    width = end - horizon * start
    largest = np.full(len(law), GRIDS[-1])
    if not whole:
        sizes = np.where(variance > (WIDE * mean) ** 2, GRIDS[-1], N_REAL)
        step = width / (sizes - 1)
        return start, np.where(step > 0, step, 1.0), sizes
    # odd, so that as many whole numbers are rounded up as down
    step = 2 * np.ceil(np.maximum(width / (GRIDS[-1] - 1) - 1, 0.0) / 2) + 1
    fit = np.minimum(np.searchsorted(GRIDS, width + 1), len(GRIDS) - 1)
    return start, step, np.where(step == 1, np.array(GRIDS)[fit], largest)


def _quantiles(values, reached):
    """Quantiles at ``LEVELS``, linear in log odds between values; ``(n, k)``.

    Where the lowest value is 0, the levels below its probability have numbers below 0, so that the
    line to the first level above crosses 0 at that probability.
    """
    wanted = np.log(LEVELS) - np.log1p(-LEVELS)
    odds = np.log(reached) - np.log1p(-reached)
    found = np.stack([np.interp(wanted, *row) for row in zip(odds, values, strict=True)])
    n_below = (wanted <= odds[:, :1]).sum(axis=1)
    rows = np.flatnonzero((values[:, 0] == 0) & (n_below > 0) & (n_below < len(wanted)))
    first = n_below[rows]
    fall = (odds[rows, 0] - wanted[first - 1]) / (wanted[first] - odds[rows, 0])
    below = np.arange(len(wanted)) < first[:, None]
    lowest = -found[rows, first] * np.minimum(fall, STEEPEST)
    found[rows] = np.where(below, lowest[:, None], found[rows])
    return found
