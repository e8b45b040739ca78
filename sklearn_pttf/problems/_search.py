"""Cheapest decisions under laws, for costs of any form: a grid a row, narrowed down."""

import numpy as np

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._utils.rounding import TINY

LEVELS = 1 / (1 + np.exp(-np.linspace(-9.0, 9.0, 37)))  # of the quantiles that are tried first
PARTS = np.linspace(0.0, 1.0, 5)  # of the way from the best to either neighbour
MOST_ROUNDS = 60  # of dividing a bracket, and of doubling a span: a double has 53 binary digits
TIE = 1e-11  # of a risk: what sums of weights miss by rounding
PRECISION = 1e-7  # of the range of the decisions that were tried first
WHOLE_PRECISION = 1e-12  # of that range, where it is so wide that a unit is next to nothing
LEAST_SPAN = 1e-12  # of decisions that were tried, from which larger ones begin
BLOCK_CELLS = 2_000_000  # rows times nodes that are charged together


def cheapest(risk_of, law, lower, upper, whole, name, positions=None):
    """The decision of every row whose risk is least; the smaller one of ties.

    Quantiles of the outcome are tried first, with the bounds; then the bracket around the best
    is divided until it is narrow. Where the best of the first is the largest, larger ones are
    tried, up to the bound. So a cost with several dips finds the right one if they are as wide
    as the steps between these quantiles, about half a unit of log odds.

    Parameters
    ----------
    risk_of : callable
        Maps a law of some rows, their decisions and their positions to the risk of every row.

    law : PredictiveDistribution

    lower, upper : ndarray of shape (n,)
        Bounds. Without a lower one, decisions are not below 0, or not below the outcomes.

    whole : bool
        Whether decisions are whole numbers.

    name : str
        Of the problem, in messages.

    positions : callable, default=None
        Where decisions are not in units of the outcome: maps rows and outcomes ``(k, m)`` to the
        decisions that they would be.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If costs fall without end, so that no decision is the cheapest.
    """
    lower = np.where(np.isfinite(lower), lower, np.minimum(law.quantile(LEVELS[0]), 0.0))
    decisions = np.empty(len(law))
    for part, rows in _blocks(law):

        def risk(decision, part=part, rows=rows):
            return risk_of(part, decision, rows)

        tried = part.quantile(LEVELS[None, :])
        tried = tried if positions is None else positions(rows, tried)
        decisions[rows] = _cheapest_of_block(risk, tried, lower[rows], upper[rows], whole, name)
    return decisions


def _blocks(law):
    """Pieces of the law with their rows, as what is quick to ask: discrete ones are atoms."""
    atomic = law.atomic()
    for discrete in (True, False):
        rows = np.flatnonzero(atomic == discrete)
        if len(rows) == 0:
            continue
        step = max(1, BLOCK_CELLS // law.take(rows[:1]).nodes()[0].shape[1])
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            part = law.take(some)
            yield WeightedAtoms(*part.nodes()) if discrete else part.smoothed(), some


def _cheapest_of_block(risk_of, tried, lower, upper, whole, name):
    points = np.column_stack([tried, lower])
    points = np.column_stack([points, np.where(np.isfinite(upper), upper, lower)])
    points = np.sort(np.clip(points, lower[:, None], upper[:, None]), axis=1)
    points = _grown(risk_of, np.rint(points) if whole else points, upper, whole, name)
    span = points[:, -1] - points[:, 0]
    precision = PRECISION * np.maximum(span, TINY)
    precision = np.maximum(WHOLE_PRECISION * span, 1.0) if whole else precision
    found, done = np.empty(len(tried)), np.zeros(len(tried), dtype=bool)
    # of ties the smallest, of several dips the deepest: nothing that `scipy` looks for
    for _ in range(MOST_ROUNDS):
        low, high, best = _bracket(risk_of, points)
        found = np.where(done, found, best)  # a row's rounds are its own
        near = np.maximum(best - low, high - best)
        done |= near <= precision
        if done.all():
            break
        below, above = low - best, high - best
        points = best[:, None] + np.outer(below, PARTS[:0:-1])
        points = np.column_stack([points, best[:, None] + np.outer(above, PARTS)])
        points = np.rint(points) if whole else points
    return found


def _bracket(risk_of, points):
    """Neighbours of the best of increasing points, and the best itself; ``(n,)`` each."""
    risks = np.column_stack([risk_of(column) for column in points.T])
    least = risks.min(axis=1, keepdims=True)
    at = (risks <= least + TIE * np.abs(least)).argmax(axis=1)  # the smallest of them
    best = np.take_along_axis(points, at[:, None], axis=1)
    low = np.where(points < best, points, -np.inf).max(axis=1)
    high = np.where(points > best, points, np.inf).min(axis=1)
    best = best[:, 0]
    return np.where(low > -np.inf, low, best), np.where(high < np.inf, high, best), best


def _grown(risk_of, points, upper, whole, name):
    """The points, with larger ones as long as these are better."""
    last = points[:, -1]
    span = np.maximum(last - points[:, 0], 1.0 if whole else LEAST_SPAN)
    risk, growing = risk_of(last), last < upper
    for k in range(MOST_ROUNDS):
        if not growing.any():
            return points
        further = np.where(growing, np.minimum(last + span * 2.0**k, upper), last)
        further = np.rint(further) if whole else further
        points = np.column_stack([points, further])
        new = risk_of(further)
        growing &= (new < risk) & (further < upper)
        last, risk = further, new
    if (growing & np.isinf(upper)).any():
        raise ValueError(
            f"cost of {name} falls without end as decisions grow, so none is the cheapest; up to "
            f"{last[growing].max():.0e} were tried. Let it rise in the end, or bound decisions by "
            "upper."
        )
    return np.column_stack([points, np.where(growing, upper, last)])
