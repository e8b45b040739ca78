"""Whether rows break what decisions rest on: a law that fits, noise as it is said to be."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf._utils.rounding import ROUNDED
from sklearn_pttf.exceptions import BinaryOutcomesWarning, PriorConflictWarning

FEWEST_ROWS = 20  # that say anything
CHANCE = 1e-5  # of a warning where there is nothing to warn of
MOST_ROWS = 2000  # that the law is tried on
MOST_NAMED = 5  # rows that a message names
OUTER = 0.005  # probability of either tail
MOST_OUTSIDE = 0.05  # share of rows in the tails; twice OUTER is what should be
USUAL = 0.02  # share of rows in the tails of a law that is about right
CENTRE = 0.5  # probability of the middle of a law
MOST_INSIDE = 0.65  # share of rows in the middle
USUAL_INSIDE = 0.57  # of a law that is about right
LEAST_DISPERSION = 0.7  # variance of Poisson counts over their mean, which should be 1
FEWEST_BINARY = 20  # observations that, if all are 0 or 1, may well be a yes or a no


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


def warn_of_zeros_and_ones(portfolio, noise=None):
    """Tell that all observations are 0 or 1; warns with a `BinaryOutcomesWarning`.

    Parameters
    ----------
    portfolio : Portfolio

    noise : str, default=None
        What the problem was told of the noise.
    """
    if noise == "binomial" or portfolio.errors is not None:
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


def warn_of_conflict(kind, predict, portfolio, rng, noise=None, hidden=None):
    """Try the law on an observation a row that it is not given.

    Warns with a `PriorConflictWarning`.

    Parameters
    ----------
    kind : type
        The `Kind` of the table.

    predict : callable
        Maps a portfolio to the laws of its rows.

    portfolio : Portfolio

    rng : Generator
        Which rows are tried, and on which observation.

    noise : str, default=None
        What the problem was told of the noise, which may be wrong.

    hidden : tuple of Portfolio, ndarray of shape (n, 1) and ndarray of shape (n,), default=None
        Evidence of the same rows, an outcome of each that it does not have, NaN where there is
        none, and whether stock capped it. None: an observation of each is taken out of the
        portfolio.
    """
    told = portfolio.counts > 1 if hidden is None else ~np.isnan(hidden[1][:, 0])
    rows = np.flatnonzero(told)
    if len(rows) < FEWEST_ROWS:
        return
    rows = np.sort(rng.permutation(rows)[:MOST_ROWS])
    portfolio = portfolio.take(rows)
    if hidden is None:
        keys = np.where(portfolio.mask, rng.random(portfolio.mask.shape), -1.0)
        cells = keys.argmax(axis=1)
        evidence, outcomes = portfolio.held_out(cells)
        capped = portfolio.capped_at(cells)
    else:
        evidence, outcomes, capped = hidden[0].take(rows), hidden[1][rows], hidden[2][rows]
    law, outcomes = predict(evidence), outcomes[:, 0]
    # of whole numbers and zeros, the whole mass of the outcome counts for it
    below, reached = law.cdf(outcomes - ROUNDED * (1 + np.abs(outcomes))), law.cdf(outcomes)
    reached = np.where(capped, 1.0, reached)  # demand was anything from there on
    outside = (reached < OUTER) | (below > 1 - OUTER)
    if _too_many(outside, MOST_OUTSIDE, USUAL):
        shown = ", ".join(str(row) for row in rows[outside][:MOST_NAMED])
        warnings.warn(
            f"the predictive law does not fit: in {outside.mean():.0%} of {len(rows):,} rows an "
            f"observation lies outside of the central {1 - 2 * OUTER:.0%} of the law that the "
            f"others give ({2 * OUTER:.0%} is expected), as in rows {shown}. Look for mixed units "
            f"and outliers, {_advice(kind, noise)}.",
            PriorConflictWarning,
            stacklevel=4,
        )
        return
    spread = np.nanmax(portfolio.observations, axis=1) - np.nanmin(portfolio.observations, axis=1)
    if not kind.rests_on_width or noise == "poisson" or not spread.any():
        return  # equal outcomes say nothing of noise
    at = below + rng.random(len(below)) * (reached - below)
    inside = np.abs(at - 0.5) < CENTRE / 2
    if _too_many(inside, MOST_INSIDE, USUAL_INSIDE):
        told = "" if portfolio.errors is None else "look whether standard_errors are too large, "
        baseline = "ParametricEmpiricalBayes"
        if portfolio.stock is not None and portfolio.capped.any():
            baseline = "CensoredEmpiricalBayes"
        warnings.warn(
            f"the predictive law is far too wide: in {inside.mean():.0%} of {len(rows):,} rows an "
            f"observation lies in the central {CENTRE:.0%} of the law that the others give. Noise "
            "is quieter than the law allows, and decisions are more cautious than they need be: "
            f"{told}decide with a baseline such as {baseline}, "
            f"{_advice(kind, noise)}.",
            PriorConflictWarning,
            stacklevel=4,
        )


def _too_many(rows, most, usual):
    """Whether more rows than a share are marked, and not by chance where ``usual`` is."""
    by_chance = stats.binom.sf(rows.sum() - 1, len(rows), usual)
    return rows.mean() > most and by_chance <= CHANCE


def _advice(kind, noise):
    """What may help where the law does not fit."""
    if noise is not None:
        return f"or leave noise=None in place of noise={noise!r}"
    return f"or pretrain on a prior of your own: {kind.own_prior()}"
