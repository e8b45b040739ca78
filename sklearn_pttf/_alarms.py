"""Whether rows break what decisions rest on: exchangeable periods, a law that fits."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf.exceptions import BinaryOutcomesWarning, DriftWarning, PriorConflictWarning

FEWEST_ROWS = 20  # that say anything
LEAST_DRIFT = 0.1  # of the mean that is worth a warning
LEAST_SHIFT = 0.25  # of the noise that is worth one, of values of any sign
CHANCE = 1e-5  # of a warning where there is nothing to warn of
CHANCE_OF_PERIODS = 0.02  # likewise, of periods that differ by themselves
FEWEST_PERIODS = 4  # that tell a drift from what periods have of their own
MOST_ROWS = 2000  # that the law is tried on
OUTER = 0.005  # probability of either tail
MOST_OUTSIDE = 0.05  # share of rows in the tails; twice OUTER is what should be
OWN_PRIOR = (
    "prior=SyntheticPrior().calibrated(X). SyntheticPrior().fit(X).transform(X) shows which rows "
    "the prior finds odd"
)
USUAL = 0.02  # share of rows in the tails of a law that is about right
CENTRE = 0.5  # probability of the middle of a law
MOST_INSIDE = 0.65  # share of rows in the middle
USUAL_INSIDE = 0.57  # of a law that is about right
LEAST_DISPERSION = 0.7  # variance of Poisson counts over their mean, which should be 1
LEAST_RISE = 0.2  # elasticity that is worth a warning
SAME_PRICE = 1e-12  # variance of a row's log prices that is none
FEWEST_BINARY = 20  # observations that, if all are 0 or 1, may well be a yes or a no


def warn_of_drift(portfolio):
    """Compare the early and the late half of every row; warns with a `DriftWarning`.

    A row's change is ``(late - early) / (late + early)`` of amounts, and ``late - early`` of
    values of any sign, the mean of which is 0 if periods are exchangeable, whatever the row's law.
    As rows share what a period has of its own, however many they are, periods have to say so too:
    their late half differs from the early one, or they rise or fall steadily, by more than periods
    differ anyway.

    Parameters
    ----------
    portfolio : Portfolio
        Its observations in the order of time.

    Returns
    -------
    bool
        Whether it warned.
    """
    if portfolio.prices is not None:
        return False  # prices may have drifted, and demand with them
    early, late, half = _halves(portfolio.observations)
    both = early + late
    rows = half > 0 if portfolio.real else both > 0
    if rows.sum() < FEWEST_ROWS:
        return False
    change = (late - early)[rows] / (half if portfolio.real else both)[rows]
    mean, error = change.mean(), change.std(ddof=1) / np.sqrt(rows.sum())
    if abs(mean) <= stats.t.isf(CHANCE / 2, rows.sum() - 1) * error:
        return False
    by_chance, shared = _drift_of_periods(_period_effects(portfolio))
    if by_chance > CHANCE_OF_PERIODS:
        return False
    if portfolio.real:
        if abs(mean) <= LEAST_SHIFT * _noise(portfolio.observations):
            return False
        size, spread = f"{abs(mean):.3g}", f"{max(error, shared):.2g}"
    else:
        ratio = (1 + mean) / max(1 - mean, 1e-9) - 1
        if abs(ratio) < LEAST_DRIFT:
            return False
        size, spread = f"{abs(ratio):.0%}", f"{max(2 * error, shared):.0%}"
    warnings.warn(
        f"observations drift: over {rows.sum():,} rows, those in the later half of a row are "
        f"{size} {'higher' if mean > 0 else 'lower'} on average (standard error {spread}) than "
        "those in its earlier half. Periods of a row are taken to be exchangeable, so decisions "
        "lag behind a trend or season: use newer periods only, or take the season out first.",
        DriftWarning,
        stacklevel=4,
    )
    return True


def _period_effects(portfolio):
    """What periods with enough rows have of their own, as their rows' levels go; 1-D ndarray.

    Logarithms of factors, or of values of any sign differences.
    """
    x = portfolio.observations
    seen = ~np.isnan(x)
    used = seen.sum(axis=0) >= FEWEST_ROWS
    level = np.where(seen, x, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    total, expected = (np.where(seen, each, 0.0).sum(axis=0)[used] for each in (x, level[:, None]))
    if portfolio.real:
        return (total - expected) / seen.sum(axis=0)[used]
    least = (
        0.5 * expected[expected > 0].min(initial=1.0) / len(x)
    )  # so that nothing sold is a number
    return np.log((total + least) / (expected + least))


def _drift_of_periods(effects):
    """p-value of periods without a drift, and standard error of late ones against early ones.

    Of fewer than four periods nobody can tell, and rows alone decide: 0 and 0.
    """
    n = len(effects)
    if n < FEWEST_PERIODS:
        return 0.0, 0.0
    half = n // 2
    early, late = effects[:half], effects[-half:]
    error = np.sqrt((early.var(ddof=1) + late.var(ddof=1)) / half)
    size = abs(late.mean() - early.mean())
    step = 2 * stats.t.sf(size / max(error, 1e-9 * size, 1e-300), 2 * half - 2)
    steady = stats.linregress(np.arange(n), effects).pvalue
    return min(2 * step, 2 * steady, 1.0), error


def _noise(observations):
    """Standard deviation of observations around their row's mean."""
    counts = (~np.isnan(observations)).sum(axis=1)
    observations, counts = observations[counts > 1], counts[counts > 1]
    squares = np.nanvar(observations, axis=1) * counts
    return np.sqrt(squares.sum() / (counts - 1).sum())


def _halves(observations):
    """Sums of as many early as late observations of every row, and how many each has."""
    seen = ~np.isnan(observations)
    half = seen.sum(axis=1, keepdims=True) // 2
    nth = seen.cumsum(axis=1)
    first = seen & (nth <= half)
    last = seen & (nth > nth[:, -1:] - half)
    early, late = (np.where(part, observations, 0.0).sum(axis=1) for part in (first, last))
    return early, late, half[:, 0]


def warn_of_quiet_counts(portfolio, noise):
    """Compare variances within rows, which are said to be Poisson, with their means.

    Fisher's index of dispersion, summed over rows: with Poisson noise it has the mean and at most
    the variance of a chi-squared variable, and about its law. Warns with a `PriorConflictWarning`.

    Parameters
    ----------
    portfolio : Portfolio

    noise : str or None
        What the problem was told of the noise.
    """
    x, exposure = portfolio.observations, portfolio.exposures()
    if noise != "poisson" or not np.nanmax(x) > 1:
        return
    rows = (portfolio.counts > 1) & (np.nansum(x, axis=1) > 0)
    if rows.sum() < FEWEST_ROWS:
        return
    x, exposure = x[rows], exposure[rows]
    mean = exposure * (np.nansum(x, axis=1) / np.nansum(exposure, axis=1))[:, None]
    freedom = ((~np.isnan(x)).sum(axis=1) - 1).sum()
    ratio = np.nansum((x - mean) ** 2 / mean) / freedom
    by_chance = stats.chi2.cdf(ratio * freedom, freedom)
    if ratio > LEAST_DISPERSION or by_chance > CHANCE:
        return
    warnings.warn(
        f"noise={noise!r} is not what observations show: within {len(x):,} rows their variance is "
        f"{ratio:.2g} times their mean (1 is expected of Poisson counts), so rows are known better "
        "than that and are pulled too far towards the others. Leave noise=None, or give "
        "standard_errors=.",
        PriorConflictWarning,
        stacklevel=4,
    )


def warn_of_rising_demand(portfolio):
    """Look whether demand rises with price; warns with a `PriorConflictWarning`.

    Within rows that have had several prices; if there are none, between rows.

    Parameters
    ----------
    portfolio : Portfolio
    """
    if portfolio.prices is None:
        return
    demand, prices = portfolio.observations, portfolio.prices
    x = np.log(np.where(portfolio.mask, prices, 1.0))
    n = portfolio.counts
    x = x - ((x * portfolio.mask).sum(axis=1) / np.maximum(n, 1))[:, None]
    x, d = np.where(portfolio.mask, x, 0.0), np.where(portfolio.mask, demand, 0.0)
    rows = ((x**2).sum(axis=1) > SAME_PRICE * n) & (d.sum(axis=1) > 0)
    if rows.sum() >= FEWEST_ROWS:
        x, d, n = x[rows], d[rows], n[rows]
        share = d / d.sum(axis=1, keepdims=True)
        told, room = n * (share * x).sum(axis=1), (x**2).sum(axis=1)
        rise = told.sum() / room.sum()
        error = np.sqrt(((told - rise * room) ** 2).sum()) / room.sum()
        where, certain = f"within {len(x):,} rows", rise > stats.t.isf(CHANCE, len(x) - 1) * error
    elif not rows.any():
        rise, error, certain, where = _rise_between(portfolio)
    else:
        return
    if not certain or rise < LEAST_RISE:
        return
    warnings.warn(
        f"demand rises with price: {where} it is some {np.expm1(0.1 * rise):.0%} higher where a "
        f"price is 10 % higher (elasticity about {rise:+.2g}, standard error {error:.1g}), but is "
        "taken to fall with it, so that predictions at other prices, and the prices decided, are "
        "wrong. Prices that were raised when demand was high anyway look like that: use prices "
        "that were tried at random, or take season and promotions out of demand first.",
        PriorConflictWarning,
        stacklevel=4,
    )


def _rise_between(portfolio):
    """Elasticity between rows of one price each, its error, whether it is certain, and where."""
    seen = portfolio.counts > 0
    demand = np.nanmean(portfolio.observations[seen], axis=1)
    price = np.log(portfolio.usual_prices()[seen])
    if seen.sum() < FEWEST_ROWS or np.ptp(price) == 0 or np.ptp(demand) == 0:
        return 0.0, 0.0, False, ""
    ranked = stats.spearmanr(price, demand, alternative="greater")
    positive = demand > 0
    line = stats.linregress(price[positive], np.log(demand[positive]))
    where = f"between {seen.sum():,} rows of one price each"
    return line.slope, line.stderr, ranked.pvalue < CHANCE, where


def warn_of_conflict(predict, portfolio, rng, noise=None):
    """Try the law on an observation a row that it is not given.

    Warns with a `PriorConflictWarning`.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the laws of its rows.

    portfolio : Portfolio

    rng : Generator
        Which rows are tried, and on which observation.

    noise : str, default=None
        What the problem was told of the noise, which may be wrong.
    """
    rows = np.flatnonzero(portfolio.counts > 1)
    if len(rows) < FEWEST_ROWS:
        return
    rows = np.sort(rng.permutation(rows)[:MOST_ROWS])
    portfolio = portfolio.take(rows)
    keys = np.where(portfolio.mask, rng.random(portfolio.mask.shape), -1.0)
    evidence, outcomes = portfolio.held_out(keys.argmax(axis=1))
    law, outcomes = predict(evidence), outcomes[:, 0]
    # of whole numbers and zeros, the whole mass of the outcome counts for it
    below, reached = law.cdf(outcomes - 1e-9 * (1 + np.abs(outcomes))), law.cdf(outcomes)
    outside = (reached < OUTER) | (below > 1 - OUTER)
    if _too_many(outside, MOST_OUTSIDE, USUAL):
        shown = ", ".join(str(row) for row in rows[outside][:5])
        warnings.warn(
            f"the predictive law does not fit: in {outside.mean():.0%} of {len(rows):,} rows an "
            f"observation lies outside of the central {1 - 2 * OUTER:.0%} of the law that the "
            f"others give ({2 * OUTER:.0%} is expected), as in rows {shown}. Look for mixed units "
            f"and outliers, {_advice(portfolio, noise)}.",
            PriorConflictWarning,
            stacklevel=4,
        )
        return
    spread = np.nanmax(portfolio.observations, axis=1) - np.nanmin(portfolio.observations, axis=1)
    if portfolio.prices is not None or noise == "poisson" or not spread.any():
        return  # prices rest on expected demand, and equal outcomes say nothing of noise
    at = below + rng.random(len(below)) * (reached - below)
    inside = np.abs(at - 0.5) < CENTRE / 2
    if _too_many(inside, MOST_INSIDE, USUAL_INSIDE):
        told = "" if portfolio.errors is None else "look whether standard_errors are too large, "
        warnings.warn(
            f"the predictive law is far too wide: in {inside.mean():.0%} of {len(rows):,} rows an "
            f"observation lies in the central {CENTRE:.0%} of the law that the others give. Noise "
            "is quieter than the law allows, and decisions are more cautious than they need be: "
            f"{told}decide with a baseline such as ParametricEmpiricalBayes, "
            f"{_advice(portfolio, noise)}.",
            PriorConflictWarning,
            stacklevel=4,
        )


def _too_many(rows, most, usual):
    """Whether more rows than a share are marked, and not by chance where ``usual`` is."""
    by_chance = stats.binom.sf(rows.sum() - 1, len(rows), usual)
    return rows.mean() > most and by_chance <= CHANCE


def _advice(portfolio, noise):
    """What may help where the law does not fit."""
    if noise is not None:
        return f"or leave noise=None in place of noise={noise!r}"
    advice = "prior=RealValuedPrior(...)" if portfolio.real else OWN_PRIOR
    if portfolio.prices is not None:
        advice = "prior=PricingPrior(...)"
    return f"or pretrain on a prior of your own: {advice}"


def warn_of_zeros_and_ones(portfolio, noise=None):
    """Tell that all observations are 0 or 1; warns with a `BinaryOutcomesWarning`.

    Parameters
    ----------
    portfolio : Portfolio

    noise : str, default=None
        What the problem was told of the noise.
    """
    if noise == "binomial" or portfolio.prices is not None or portfolio.errors is not None:
        return
    values = portfolio.observations[portfolio.mask]
    ones = (values == 1).sum()
    if len(values) < FEWEST_BINARY or not 0 < ones < len(values):
        return
    if ones + (values == 0).sum() < len(values):
        return
    warnings.warn(
        f"all {len(values):,} observations are 0 or 1, {ones / len(values):.0%} of them 1, but "
        f"outcomes are taken for {'Poisson counts' if noise else 'amounts'} that may be of any "
        "size: quantiles, intervals and orders may lie beyond 1. If an outcome is a yes or a no, "
        "fit with noise='binomial', as in Estimation(noise='binomial'), from which orders are "
        "decided too: decide(X, problem=Newsvendor(...)).",
        BinaryOutcomesWarning,
        stacklevel=4,
    )
