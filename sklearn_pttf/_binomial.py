"""Numbers of successes in known numbers of trials: exact empirical Bayes, nothing learned.

A row's successes are binomial around a rate of its own. Four distributions of the rates are fitted:
a beta law of unknown mean and size, two rates, three rates, and a distribution without a shape.
They are averaged by how well they fit, so a row's rate has a mixture of beta laws, and its next
number of successes one of beta-binomial laws. Everything is a sum over kinds of rows (successes and
trials) in float64.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from sklearn_pttf._beta_laws import BetaBinomialMixture, BetaMixture, SharedLaw
from sklearn_pttf._laws import WeightedAtoms

LEAST_SIZE, LARGEST_SIZE = 0.02, 1e4  # of the beta law; the latter times the rows' trials
USUAL_DEVIATION = 0.5  # of rates, relative; half of it lies below that a priori
N_SIZES = 33
N_MEANS = 17
MEANS_END = 6.0  # standard errors of the mean's logit that are looked at
FAR = 18.0  # log likelihood below the best that counts for nothing
N_KEPT_SIZES = 13
GAUSS = np.array([-(3**0.5), 0.0, 3**0.5]), np.array([1.0, 4.0, 1.0]) / 6
N_SEGMENTS = (2, 3)
N_SEGMENT_STEPS = 200
SEGMENT_SIZE = 1e6  # of the beta law that stands for one rate; times the rows' trials
N_POINTS = 60
N_POINT_STEPS = 100
FREE_WITHOUT_SHAPE = 6.0  # numbers that it counts for, by experience
POINT_SIZE = 2.0, 1e9  # of the beta law around a point
LEAD = 1.0  # log odds of the beta law before rows are seen
LEAST_SHARE = 1e-6  # of one of the four laws
MOST_KINDS = 4000  # of rows that laws are fitted to; more say nothing new


class Rates(NamedTuple):
    """Beta laws that rates come from; all of shape (n_components,)."""

    a: np.ndarray
    b: np.ndarray
    log_weights: np.ndarray  # of a component in its distribution
    of: np.ndarray  # which distribution it is of
    told: np.ndarray  # whether a row's own likelihood says which component it is of


class Rows(NamedTuple):
    """Kinds of rows; all of shape (n_kinds,)."""

    hits: np.ndarray
    trials: np.ndarray
    number: np.ndarray  # of rows of the kind


def totals_of(portfolio):
    """Successes and trials of every row; ``(n,)`` each."""
    hits = np.nansum(portfolio.observations, axis=1)
    return hits, np.nansum(portfolio.exposures(), axis=1)


def log_likelihood(hits, trials, a, b):
    """Of numbers of successes under beta laws of the rate, but for the binomial coefficient."""
    return special.betaln(a + hits, b + (trials - hits)) - special.betaln(a, b)


class BinomialRates:
    """What a portfolio's successes say of the distribution of rates.

    Parameters
    ----------
    portfolio : Portfolio
        Observations are numbers of successes; its exposure is their trials.

    Attributes
    ----------
    rates : Rates

    shares : ndarray of shape (4,)
        How far each of the four distributions is believed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import Portfolio
    >>> from sklearn_pttf._binomial import BinomialRates
    >>> hits = Portfolio(np.array([[0.0], [1.0], [1.0], [9.0]]), exposure=np.full((4, 1), 10.0))
    >>> BinomialRates(hits).rate(hits).mean().round(2)
    array([0.09, 0.14, 0.14, 0.76])
    """

    def __init__(self, portfolio):
        rows = _kinds_of(*totals_of(portfolio))
        fits, parts = zip(*_four_laws(rows), strict=True)
        shares = np.exp(np.array(fits) - max(fits))
        shares = np.where(shares < LEAST_SHARE * shares.sum(), 0.0, shares)
        self.shares = shares / shares.sum()
        kept = [k for k in range(len(parts)) if self.shares[k] > 0]
        columns = [np.concatenate(column) for column in zip(*(parts[k] for k in kept), strict=True)]
        of = np.repeat(kept, [len(parts[k][0]) for k in kept])
        self.rates = Rates(*columns, of, of > 0)

    def rate(self, portfolio, spread=True):
        """Law of every row's rate; without ``spread`` no more than its mean."""
        (hits, trials), kinds = np.unique(totals_of(portfolio), axis=1, return_inverse=True)
        law = BetaMixture(*self._posterior(hits, trials))
        kinds = kinds.ravel()
        return SharedLaw(law, kinds) if spread else WeightedAtoms(law.mean()[kinds, None])

    def successes(self, portfolio, horizon=1):
        """Law of every row's next number of successes, over ``horizon`` times its next trials."""
        cases = np.stack([*totals_of(portfolio), horizon * portfolio.coming_exposure()])
        (hits, trials, coming), kinds = np.unique(cases, axis=1, return_inverse=True)
        law = BetaBinomialMixture(*self._posterior(hits, trials), coming)
        return SharedLaw(law, kinds.ravel())

    def _posterior(self, hits, trials):
        """Beta laws of rows' rates and their weights; ``(n, n_components)`` each."""
        a, b, log_weights, of, told = self.rates
        hits, trials = hits[:, None], trials[:, None]
        logs = log_weights + np.where(told, log_likelihood(hits, trials, a, b), 0.0)
        weights = np.zeros(logs.shape)
        for k in np.unique(of):
            own = logs[:, of == k]
            own = np.exp(own - own.max(axis=1, keepdims=True))
            weights[:, of == k] = self.shares[k] * own / own.sum(axis=1, keepdims=True)
        return a + hits, b + (trials - hits), weights


def _kinds_of(hits, trials):
    """Rows with trials by what they show, in an order that is theirs."""
    order = np.lexsort((trials, hits))
    order = order[trials[order] > 0]
    cases = np.stack([hits, trials])[:, order]
    kinds, number = np.unique(cases, axis=1, return_counts=True)
    if kinds.shape[1] > MOST_KINDS:
        ranks = (np.arange(MOST_KINDS) + 0.5) / MOST_KINDS * len(order)
        kinds, number = np.unique(cases[:, ranks.astype(int)], axis=1, return_counts=True)
    return Rows(*kinds, number)


def _four_laws(rows):
    """Log marginal likelihood, and ``(a, b, log_weights)``, of the four distributions."""
    if not len(rows.hits):  # no trial at all: nothing is known
        return [(0.0, (np.ones(1), np.ones(1), np.zeros(1)))]
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
    while True:
        logs = np.linspace(*ends, N_SIZES)
        fit, *_ = _at_sizes(rows, np.exp(logs))
        near = np.flatnonzero(fit > fit.max() - FAR)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, N_SIZES - 1)
        if last - first > N_SIZES // 2:
            break
        ends = logs[[first, last]]
    logs = np.linspace(*logs[[first, last]], N_KEPT_SIZES)
    sizes = np.exp(logs)
    fit, mean, deviation = _at_sizes(rows, sizes)
    means = special.expit(mean[:, None] + deviation[:, None] * GAUSS[0])
    total = special.logsumexp(fit) + np.log(logs[1] - logs[0]) + LEAD
    log_weights = (fit - special.logsumexp(fit))[:, None] + np.log(GAUSS[1])
    a, b = means * sizes[:, None], (1 - means) * sizes[:, None]
    return total, (a.ravel(), b.ravel(), log_weights.ravel())


def _at_sizes(rows, sizes):
    """Log posterior of log sizes, and mean and deviation of the logit of the law's mean there."""
    worth = (sizes[:, None] + 1) / (sizes[:, None] + rows.trials) * rows.number
    hits, trials = worth @ rows.hits + 0.5, worth @ rows.trials + 1
    centre = np.log(hits) - np.log(trials - hits)
    error = 1 / np.sqrt(hits * (1 - hits / trials))
    steps = np.linspace(-MEANS_END, MEANS_END, N_MEANS)
    logits = centre[:, None] + error[:, None] * steps
    a = special.expit(logits) * sizes[:, None]
    b = special.expit(-logits) * sizes[:, None]
    root = (special.log_expit(logits) + special.log_expit(-logits)) / 2
    ratio = np.exp(-root) * sizes[:, None] ** -0.5 / (2 * USUAL_DEVIATION)
    logs = root - np.log(np.pi) + np.log(ratio / (np.pi * (1 + ratio**2)))
    for hit, trial, number in zip(*rows, strict=True):
        logs = logs + number * log_likelihood(hit, trial, a, b)
    fit = special.logsumexp(logs, axis=1) + np.log(error * (steps[1] - steps[0]))
    weights = np.exp(logs - special.logsumexp(logs, axis=1, keepdims=True))
    mean = (weights * logits).sum(axis=1)
    deviation = np.sqrt((weights * (logits - mean[:, None]) ** 2).sum(axis=1))
    return fit, mean, deviation


# ------------------------------------------------------------------ a few rates


def _segments(rows, k):
    """``k`` rates by EM; Laplace's approximation of their marginal likelihood."""
    n_rows, logit = rows.number.sum(), special.logit((rows.hits + 0.5) / (rows.trials + 1))
    order = np.argsort(logit, kind="stable")
    reached = np.cumsum(rows.number[order])
    ranks = np.searchsorted(reached, (np.arange(k) + 0.5) / k * n_rows)
    logits = logit[order][ranks] + 0.3 * (np.arange(k) - (k - 1) / 2)
    rates, weights = special.expit(logits), np.full(k, 1 / k)
    for _ in range(N_SEGMENT_STEPS):
        share = np.exp(_log_shares(rows, rates, weights))
        share = rows.number[:, None] * share / share.sum(axis=1, keepdims=True)
        trials = rows.trials @ share
        rates = (rows.hits @ share + 0.5) / (trials + 1)
        weights = (share.sum(axis=0) + 0.5) / (n_rows + 0.5 * k)
    logs = _log_shares(rows, rates, weights, shifted=False)
    fit = rows.number @ special.logsumexp(logs, axis=1)
    fit += 0.5 * np.log(2 * np.pi * rates * (1 - rates) / (trials + 1)).sum()
    fit += 0.5 * (np.log(2 * np.pi) * (k - 1) + np.log(weights).sum() - (k - 1) * np.log(n_rows))
    fit += special.gammaln(k) + special.gammaln(k + 1)  # even weights a priori, in any order
    size = SEGMENT_SIZE * max(rows.trials.max(), 1.0)
    return fit, (rates * size, (1 - rates) * size, np.log(weights))


def _log_shares(rows, rates, weights, shifted=True):
    """Log likelihood of rows and each rate, the largest 0 if ``shifted``; ``(n_kinds, k)``."""
    missed = (rows.trials - rows.hits)[:, None]
    logs = rows.hits[:, None] * np.log(rates) + missed * np.log1p(-rates) + np.log(weights)
    return logs - logs.max(axis=1, keepdims=True) if shifted else logs


# ------------------------------------------------------------------ a distribution without a shape


def _without_shape(rows):
    """Kiefer and Wolfowitz' distribution, by EM, in beta laws around points."""
    points, size = _points(rows)
    a, b = points * size, (1 - points) * size
    logs = log_likelihood(rows.hits[:, None], rows.trials[:, None], a, b)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    n_rows = rows.number.sum()
    weights = np.full(len(points), 1 / len(points))
    for _ in range(N_POINT_STEPS):
        weights = weights * ((rows.number / (likelihood @ weights)) @ likelihood) / n_rows
    weights = np.maximum(weights, 1e-12) / np.maximum(weights, 1e-12).sum()
    fit = rows.number @ special.logsumexp(logs + np.log(weights), axis=1)
    return fit - 0.5 * FREE_WITHOUT_SHAPE * np.log(n_rows), (a, b, np.log(weights))


def _points(rows):
    """Points, half by rank and half even in arc sines, and sizes of the beta laws around them."""
    angle = np.arcsin(np.sqrt((rows.hits + 0.25) / (rows.trials + 0.5)))
    order = np.argsort(angle, kind="stable")
    reached = np.cumsum(rows.number[order])
    ranks = np.linspace(0, 1, N_POINTS // 2) * (reached[-1] - 1)
    by_rank = angle[order][np.searchsorted(reached, ranks, side="right")]
    even = np.linspace(angle.min(), angle.max(), N_POINTS - N_POINTS // 2)
    angles = np.unique(np.concatenate([by_rank, even]).round(12))
    gaps = np.diff(angles) if len(angles) > 1 else np.array([0.1])
    gaps = np.concatenate([gaps[:1], gaps, gaps[-1:]])[: len(angles) + 1]
    # an angle has the standard deviation ``1 / (2 sqrt(size + 1))``
    width = (gaps[1:] + gaps[:-1]) / 4
    return np.sin(angles) ** 2, np.clip(1 / (4 * width**2) - 1, *POINT_SIZE)
