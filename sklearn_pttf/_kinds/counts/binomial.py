"""Numbers of successes in known numbers of trials: exact empirical Bayes, nothing learned.

A row's successes are binomial around a rate of its own. Four distributions of the rates are fitted:
a beta law of unknown mean and size, two rates, three rates, and a distribution without a shape.
They are averaged by how well they fit, so a row's rate has a mixture of beta laws, and its next
number of successes one of beta-binomial laws. In each of them few rows are strays, of any rate at
all: so a row that is unlike the others does not move them. Everything is a sum over kinds of rows
(successes and trials) in float64.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from sklearn_pttf._kinds.counts.outliers import typical_successes
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.beta import BetaBinomialMixture, BetaMixture, SharedLaw
from sklearn_pttf._utils.mixtures import expected_sums, mixing_weights
from sklearn_pttf._utils.rounding import EXACT

LEAST_SIZE, LARGEST_SIZE = 0.02, 1e4  # of the beta law; the latter times the rows' trials
USUAL_DEVIATION = 0.7  # of rates, relative; half of it lies below that a priori
N_SIZES = 33  # in each round
MOST_ROUNDS = 6  # of sizes, each in a part of the last one's range
N_MEANS = 17  # that are looked at, 0.75 standard errors apart
N_CENTRES = 4  # rounds that find it, without strays
MEANS_END = 6.0  # standard errors of the mean's logit that are looked at
FAR = 18.0  # log likelihood below the best that counts for nothing
N_KEPT_SIZES, NEAR = 13, 10.0  # of those whose log likelihood is this near to the best
# places, in deviations, and weights that are exact for a normal law of up to degree 5 (Hermite's)
GAUSS = np.array([-(3**0.5), 0.0, 3**0.5]), np.array([1.0, 4.0, 1.0]) / 6
N_SEGMENTS = (2, 3)  # rates of the laws of few
N_SEGMENT_STEPS = 200  # of EM
SEGMENT_SIZE = 1e3  # of the beta law that stands for one rate; times the rows' trials
N_POINTS = 60  # half of them by rank, half evenly spaced
N_POINT_STEPS = 100  # of EM
INNER, WIDER = np.array([0.05, 0.95]), 0.3  # ranks, and shares of what lies between them
FREE_WITHOUT_SHAPE = 6.0  # numbers that it counts for, by experience
POINT_SIZE = 2.0, 1e9  # of the beta law around a point
STRAYS, STRAY_SIZE = 0.002, 2.0  # share of rows whose rate may be any, and size of their law
MOST_OF_ROW = 1.0  # log likelihood by which one row may prefer one of the laws
LEAD = 2.0  # log odds of the beta law before rows are seen
LEAST_SHARE = 1e-6  # of one of the four laws
MOST_SURE = 10.0  # times the median number of trials, which a row tells the portfolio of at most
MOST_KINDS = 4000  # of rows that laws are fitted to; more say nothing new
LARGE = 1e4  # parameter of a beta law, whose logarithms of gamma functions have few digits left
LEAST_OF_SERIES = 100.0  # parameter from which Stirling's series is off by 1e-13 at most
APART = 0.3  # log odds between the rates that EM begins with
TO_ANGLE = 0.25  # successes, and as many failures, added before the arc sine of the root
DIGITS = 12  # of an angle, beyond which two points are one
ONE_GAP = 0.1  # angle around a point that is alone
NO_WEIGHT = 1e-12  # of a component of a row


class Rates(NamedTuple):
    """Beta laws that rates come from; all of shape (n_components,)."""

    a: np.ndarray
    b: np.ndarray
    log_weights: np.ndarray  # of a component in its distribution
    of: np.ndarray  # which distribution it is of
    told: np.ndarray  # whether a row's own likelihood says which component it is of


class Rows(NamedTuple):
    """Kinds of rows; ``(n_kinds,)`` each."""

    hits: np.ndarray
    trials: np.ndarray
    number: np.ndarray  # of rows of the kind
    any_rate: np.ndarray  # log likelihood of a stray, and log share of these
    stray: tuple  # ``a`` and ``b`` of the beta law of strays


def log_likelihood(hits, trials, a, b):
    """Of numbers of successes under beta laws of the rate, but for the binomial coefficient."""
    if np.max(a) + np.max(b) < LARGE:
        return special.betaln(a + hits, b + (trials - hits)) - special.betaln(a, b)
    rise = _log_rising(a, hits) + _log_rising(b, trials - hits)
    return rise - _log_rising(a + b, trials)


def _log_rising(a, n):
    """``log(gamma(a + n) / gamma(a))``, by Stirling's series where both are large."""
    large = np.maximum(a, LEAST_OF_SERIES)
    series = (large - 0.5) * np.log1p(n / large) + n * (np.log(large + n) - 1)
    series += (1 / (large + n) - 1 / large) / 12 - (1 / (large + n) ** 3 - 1 / large**3) / 360
    return np.where(a < large, special.gammaln(a + n) - special.gammaln(a), series)


class BinomialRates:
    """What a portfolio's successes say of the distribution of rates.

    Parameters
    ----------
    portfolio : Portfolio
        Observations are numbers of successes, one at least; its exposure is their trials.

    Attributes
    ----------
    rates : Rates
        Those that are believed at all.

    shares : ndarray of shape (n_distributions,)
        How far each of the distributions is believed; there are up to four.

    stray : tuple of float
        ``a`` and ``b`` of the beta law of strays.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import Portfolio
    >>> from sklearn_pttf._kinds.counts.binomial import BinomialRates
    >>> hits = Portfolio(np.array([[0.0], [1.0], [1.0], [9.0]]), exposure=np.full((4, 1), 10.0))
    >>> BinomialRates(hits).rate(hits).mean().round(2)
    array([0.06, 0.11, 0.11, 0.83])
    """

    def __init__(self, portfolio):
        hits, trials = portfolio.totals()
        typical = typical_successes(hits, trials)
        rows = _kinds_of(hits[typical], trials[typical])
        self.stray = rows.stray
        fits, parts = zip(*_four_laws(rows), strict=True)
        fits = _evened(rows, np.array(fits), parts)
        shares = np.exp(fits - fits.max())
        shares = np.where(shares < LEAST_SHARE * shares.sum(), 0.0, shares)
        self.shares = shares / shares.sum()
        kept = [k for k in range(len(parts)) if self.shares[k] > 0]
        columns = [np.concatenate(column) for column in zip(*(parts[k] for k in kept), strict=True)]
        of = np.repeat(kept, [len(parts[k][0]) for k in kept])
        self.rates = Rates(*columns, of, of > 0)

    def rate(self, portfolio, spread=True):
        """Law of every row's rate; without ``spread`` no more than its mean."""
        (hits, trials), kinds = np.unique(portfolio.totals(), axis=1, return_inverse=True)
        law = BetaMixture(*self._posterior(hits, trials))
        kinds = kinds.ravel()
        return SharedLaw(law, kinds) if spread else WeightedAtoms(law.mean()[kinds, None])

    def successes(self, portfolio):
        """Law of every row's next number of successes."""
        cases = np.stack([*portfolio.totals(), portfolio.coming_exposure()])
        (hits, trials, coming), kinds = np.unique(cases, axis=1, return_inverse=True)
        law = BetaBinomialMixture(*self._posterior(hits, trials), coming)
        return SharedLaw(law, kinds.ravel())

    def _posterior(self, hits, trials):
        """Beta laws of rows' rates and their weights; ``(n, n_components)`` each."""
        a, b, log_weights, of, told = self.rates
        any_rate = _of_strays(hits, trials, self.stray)
        hits, trials = hits[:, None], trials[:, None]
        logs = log_likelihood(hits, trials, a, b)
        weights = np.zeros((len(hits), len(a) + 1))  # the last of strays
        for k in np.unique(of):
            own = of == k
            in_law = special.logsumexp(logs[:, own] + log_weights[own], axis=1)
            stray = special.expit(any_rate - in_law - np.log1p(-STRAYS))
            part = log_weights[own] + np.where(told[own], logs[:, own], 0.0)
            part = special.softmax(part, axis=1) * (1 - stray)[:, None]
            weights[:, :-1][:, own] = self.shares[k] * part
            weights[:, -1] += self.shares[k] * stray
        a, b = (np.append(x, stray) for x, stray in zip((a, b), self.stray, strict=True))
        return _largest(a + hits, b + (trials - hits), weights)


def _kinds_of(hits, trials):
    """Rows with trials by what they tell, in an order that is theirs."""
    hits, trials = hits[trials > 0], trials[trials > 0]
    told = np.minimum(1.0, MOST_SURE * np.median(trials) / trials)
    hits, trials = hits * told, trials * told
    order = np.lexsort((trials, hits))
    cases = np.stack([hits, trials])[:, order]
    kinds, number = np.unique(cases, axis=1, return_counts=True)
    if kinds.shape[1] > MOST_KINDS:
        ranks = (np.arange(MOST_KINDS) + 0.5) / MOST_KINDS * len(order)
        kinds, number = np.unique(cases[:, ranks.astype(int)], axis=1, return_counts=True)
    # around the mean of all, each row counting the same
    share = (number @ (kinds[0] / kinds[1]) + 0.5) / (number.sum() + 1)
    stray = share * STRAY_SIZE, (1 - share) * STRAY_SIZE
    return Rows(*kinds, number, _of_strays(*kinds, stray), stray)


def _of_strays(hits, trials, stray):
    """Log likelihood of rows if they are strays, and log share of these."""
    return log_likelihood(hits, trials, *stray) + np.log(STRAYS)


def _largest(a, b, weights):
    """Components in the order of their weights, without those that no row has."""
    order = np.argsort(-weights, axis=1, kind="stable")
    order = order[:, : (weights > NO_WEIGHT).sum(axis=1).max()]
    a, b, weights = (np.take_along_axis(x, order, axis=1) for x in (a, b, weights))
    weights = np.where(weights > NO_WEIGHT, weights, 0.0)
    return a, b, weights / weights.sum(axis=1, keepdims=True)


def _in_law(logs, any_rate):
    """Log likelihood of rows of a law, of which few are strays."""
    return np.logaddexp(logs + np.log1p(-STRAYS), any_rate)


def _likelihoods(rows, logs):
    """Of rows under components ``(n_kinds, k)``, and as strays ``(n_kinds,)``, over the largest."""
    largest = np.maximum(logs.max(axis=1), rows.any_rate)
    return (1 - STRAYS) * np.exp(logs - largest[:, None]), np.exp(rows.any_rate - largest)


def _evened(rows, fits, parts):
    """Fits of laws to which no row has added more than `MOST_OF_ROW` beyond the first."""
    by_row = []
    for a, b, log_weights in parts:
        logs = log_likelihood(rows.hits[:, None], rows.trials[:, None], a, b)
        by_row.append(_in_law(special.logsumexp(logs + log_weights, axis=1), rows.any_rate))
    lead = np.array(by_row) - by_row[0]
    return fits - (lead - np.clip(lead, -MOST_OF_ROW, MOST_OF_ROW)) @ rows.number


def _four_laws(rows):
    """Log marginal likelihood, and ``(a, b, log_weights)``, of the four distributions.

    Of very few kinds of rows there are fewer.
    """
    laws = [_beta_law(rows)]
    laws += [_segments(rows, k) for k in N_SEGMENTS if len(rows.hits) >= k]
    if len(rows.hits) > 1:
        laws.append(_without_shape(rows))
    return laws


# ------------------------------------------------------------------ a beta law


def _beta_law(rows):
    """A beta law of unknown mean and size, in some of either.

    A priori the mean ``m`` has Jeffreys' law, and the rates' standard deviation in units of
    ``2 m (1 - m)`` half a Cauchy law: even, as in Gelman et al., while rates differ by little, and
    falling beyond.
    """
    ends = np.log([LEAST_SIZE, LARGEST_SIZE * max(rows.trials.max(), 1.0)])
    for _ in range(MOST_ROUNDS):
        logs = np.linspace(*ends, N_SIZES)
        fit, *_ = _at_sizes(rows, np.exp(logs))
        near = np.flatnonzero(fit > fit.max() - FAR)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, N_SIZES - 1)
        if last - first > N_SIZES // 2:
            break
        ends = logs[[first, last]]
    near = np.flatnonzero(fit > fit.max() - NEAR)
    ends = logs[[max(near[0] - 1, 0), min(near[-1] + 1, N_SIZES - 1)]]
    logs = np.linspace(*ends, N_KEPT_SIZES)
    sizes = np.exp(logs)
    fit, mean, deviation = _at_sizes(rows, sizes)
    means = special.expit(mean[:, None] + deviation[:, None] * GAUSS[0])
    total = special.logsumexp(fit) + np.log(logs[1] - logs[0]) + LEAD
    log_weights = (fit - special.logsumexp(fit))[:, None] + np.log(GAUSS[1])
    a, b = means * sizes[:, None], (1 - means) * sizes[:, None]
    return total, (a.ravel(), b.ravel(), log_weights.ravel())


def _at_sizes(rows, sizes):
    """Log posterior of log sizes, and mean and deviation of the logit of the law's mean there."""
    centre, error = _centres(rows, sizes)
    steps = np.linspace(-MEANS_END, MEANS_END, N_MEANS)
    logits = centre[:, None] + error[:, None] * steps
    a = special.expit(logits) * sizes[:, None]
    b = special.expit(-logits) * sizes[:, None]
    root = (special.log_expit(logits) + special.log_expit(-logits)) / 2
    ratio = np.exp(-root) * sizes[:, None] ** -0.5 / (2 * USUAL_DEVIATION)
    logs = root - np.log(np.pi) + np.log(ratio / (np.pi * (1 + ratio**2)))
    for hit, trial, number, stray in zip(*rows[:4], strict=True):
        logs = logs + number * _in_law(log_likelihood(hit, trial, a, b), stray)
    fit = special.logsumexp(logs, axis=1) + np.log(error * (steps[1] - steps[0]))
    weights = np.exp(logs - special.logsumexp(logs, axis=1, keepdims=True))
    mean = (weights * logits).sum(axis=1)
    deviation = np.sqrt((weights * (logits - mean[:, None]) ** 2).sum(axis=1))
    return fit, mean, deviation


def _centres(rows, sizes):
    """Where the logit of the law's mean is, about, and its standard error; ``(n_sizes,)`` each.

    By moments of rows, each by how far it is no stray: at first around their median.
    """
    shares = (rows.hits + 0.5) / (rows.trials + 1)
    order = np.argsort(shares, kind="stable")
    middle = np.searchsorted(np.cumsum(rows.number[order]), rows.number.sum() / 2)
    mean, sizes = np.full(len(sizes), shares[order[middle]]), sizes[:, None]
    for _ in range(N_CENTRES):
        a, b = mean[:, None] * sizes, (1 - mean)[:, None] * sizes
        logs = log_likelihood(rows.hits, rows.trials, a, b) + np.log1p(-STRAYS)
        worth = (sizes + 1) / (sizes + rows.trials) * rows.number
        worth = worth * special.expit(logs - rows.any_rate)
        hits, trials = worth @ rows.hits + 0.5, worth @ rows.trials + 1
        mean = hits / trials
    return special.logit(mean), 1 / np.sqrt(hits * (1 - mean))


# ------------------------------------------------------------------ a few rates


def _segments(rows, k):
    """``k`` rates by EM; Laplace's approximation of their marginal likelihood."""
    n_rows, logit = rows.number.sum(), special.logit((rows.hits + 0.5) / (rows.trials + 1))
    order = np.argsort(logit, kind="stable")
    reached = np.cumsum(rows.number[order])
    ranks = np.searchsorted(reached, (np.arange(k) + 0.5) / k * n_rows)
    logits = logit[order][ranks] + APART * (np.arange(k) - (k - 1) / 2)
    rates, weights = special.expit(logits), np.full(k, 1 / k)
    values = np.stack([rows.hits, rows.trials, np.ones(len(logit))]) * rows.number
    for _ in range(N_SEGMENT_STEPS):
        likelihood, stray = _likelihoods(rows, _log_likelihoods(rows, rates))
        hits, trials, number = expected_sums([likelihood], weights, [values], stray)
        rates = (hits + 0.5) / (trials + 1)
        weights = (number + 0.5) / (number + 0.5).sum()
    logs = _log_likelihoods(rows, rates) + np.log(weights)
    fit = rows.number @ _in_law(special.logsumexp(logs, axis=1), rows.any_rate)
    fit += 0.5 * np.log(2 * np.pi * rates * (1 - rates) / (trials + 1)).sum()
    fit += 0.5 * (np.log(2 * np.pi) * (k - 1) + np.log(weights).sum() - (k - 1) * np.log(n_rows))
    fit += special.gammaln(k) + special.gammaln(k + 1)  # even weights a priori, in any order
    size = SEGMENT_SIZE * max(rows.trials.max(), 1.0)
    return fit, (rates * size, (1 - rates) * size, np.log(weights))


def _log_likelihoods(rows, rates):
    """Of rows under each rate; ``(n_kinds, k)``."""
    missed = (rows.trials - rows.hits)[:, None]
    return rows.hits[:, None] * np.log(rates) + missed * np.log1p(-rates)


# ------------------------------------------------------------------ a distribution without a shape


def _without_shape(rows):
    """Kiefer and Wolfowitz' distribution, by EM, in beta laws around points."""
    points, size = _points(rows)
    a, b = points * size, (1 - points) * size
    logs = log_likelihood(rows.hits[:, None], rows.trials[:, None], a, b)
    likelihood, stray = _likelihoods(rows, logs)
    even = np.full(len(points), 1 / len(points))
    weights = mixing_weights([likelihood], [rows.number], even, N_POINT_STEPS, rest=stray)
    weights = np.maximum(weights, EXACT)  # so that their logs are numbers
    weights = weights / weights.sum()
    fit = rows.number @ _in_law(special.logsumexp(logs + np.log(weights), axis=1), rows.any_rate)
    return fit - 0.5 * FREE_WITHOUT_SHAPE * np.log(rows.number.sum()), (a, b, np.log(weights))


def _points(rows):
    """Points, half by rank and half even in arc sines, and sizes of the beta laws around them.

    The latter reach as far as most rows; beyond, a row's rank has a point.
    """
    angle = np.arcsin(np.sqrt((rows.hits + TO_ANGLE) / (rows.trials + 2 * TO_ANGLE)))
    order = np.argsort(angle, kind="stable")
    reached = np.cumsum(rows.number[order])
    ranks = np.linspace(0, 1, N_POINTS // 2) * (reached[-1] - 1)
    by_rank = angle[order][np.searchsorted(reached, ranks, side="right")]
    inner = angle[order][np.searchsorted(reached, INNER * reached[-1])]
    low, high = inner + WIDER * np.ptp(inner) * np.array([-1, 1])
    low, high = max(low, angle.min()), min(high, angle.max())
    even = np.linspace(low, high, N_POINTS - N_POINTS // 2)
    angles = np.unique(np.concatenate([by_rank, even]).round(DIGITS))
    gaps = np.diff(angles) if len(angles) > 1 else np.array([ONE_GAP])
    gaps = np.concatenate([gaps[:1], gaps, gaps[-1:]])[: len(angles) + 1]
    # an angle has the standard deviation ``1 / (2 sqrt(size + 1))``
    width = (gaps[1:] + gaps[:-1]) / 4
    return np.sin(angles) ** 2, np.clip(1 / (4 * width**2) - 1, *POINT_SIZE)
