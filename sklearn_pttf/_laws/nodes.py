"""Outcomes and weights that stand for a law in a mean."""

from itertools import pairwise

import numpy as np

from sklearn_pttf._utils.rounding import BELOW_ONE, NEAREST

MOST_ATOMS = 512  # whole numbers of a row that stand for themselves in a mean
ODDS_STEP = 1.0  # most log odds between the edges of nodes
END_ODDS = 12.0  # log odds that nodes reach to at least: 6e-6 of a law lies beyond
N_POINTS = 4  # of Gauss and Legendre's in each segment: exact for polynomials up to degree 7
NODE_TAIL = 1e-6  # of a law of whole numbers, that its first atom stands for
ATOM_TAIL = 1e-3  # that a few nodes stand for, beyond the last of the atoms
TAIL_SHARES = np.array([0.0, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0])  # of it, between nodes


def fine_edges(levels):
    """Levels from 0 to 1, those given among them, at small steps of log odds into the tails."""
    odds = np.log(levels) - np.log1p(-np.asarray(levels))
    ends = [min(-END_ODDS, odds[0] - ODDS_STEP), *odds, max(END_ODDS, odds[-1] + ODDS_STEP)]
    parts = [
        np.linspace(low, high, max(2, int(np.ceil((high - low) / ODDS_STEP)) + 1))[:-1]
        for low, high in pairwise(ends)
    ]
    inner = np.concatenate([*parts, ends[-1:]])
    return np.concatenate([[0.0], 1 / (1 + np.exp(-inner)), [1.0]])


def gauss_levels(edges, split=None):
    """Gauss-Legendre levels and weights between ``edges``, cut once more at a row's ``split``.

    Parameters
    ----------
    edges : ndarray of shape (k,)
        Levels, increasing, from 0 to 1.

    split : ndarray of shape (n,) or (n, k), default=None
        Levels; of several, all are cuts.

    Returns
    -------
    levels, weights : ndarray of shape (n or 1, q)
    """
    edges = edges[None, :]
    if split is not None:
        shared = np.broadcast_to(edges, (len(split), edges.shape[1]))
        edges = np.sort(np.column_stack([shared, split]), axis=1)
    points, weights = np.polynomial.legendre.leggauss(N_POINTS)
    half = np.diff(edges, axis=1)[..., None] / 2
    levels = edges[:, :-1, None] + half * (points + 1)
    levels = np.clip(levels.reshape(len(edges), -1), np.finfo(float).tiny, BELOW_ONE)
    return levels, (half * weights).reshape(len(edges), -1)


def narrow_rows(law):
    """First whole number and width of every row's law, and which are narrow; ``(n,)`` each."""
    first, last = (law.quantile(level) for level in (NODE_TAIL, 1 - ATOM_TAIL))
    width = last - first + 1
    return first, width, width <= MOST_ATOMS


def whole_nodes(law, edges, split=None):
    """Whole numbers of narrow laws, one by one; Gauss-Legendre nodes between ``edges`` of others.

    Parameters
    ----------
    law : PredictiveDistribution
        Of whole numbers.

    edges : ndarray of shape (k,)
        Levels, increasing, from 0 to 1.

    split : ndarray of shape (n,), default=None

    Returns
    -------
    outcomes, weights : ndarray of shape (n, q)
    """
    first, width, narrow = narrow_rows(law)
    parts = []
    if narrow.any():
        parts.append(
            (narrow, *_atoms(law.take(np.flatnonzero(narrow)), first[narrow], width[narrow]))
        )
    if not narrow.all():
        wide = law.take(np.flatnonzero(~narrow))
        levels, weights = gauss_levels(edges, None if split is None else wide.cdf(split[~narrow]))
        parts.append((~narrow, wide.quantile(levels), weights))
    n_nodes = max((outcomes.shape[1] for _, outcomes, _ in parts), default=0)
    all_outcomes = np.repeat(first[:, None], n_nodes, axis=1)
    all_weights = np.zeros(all_outcomes.shape)
    for rows, outcomes, weights in parts:
        all_outcomes[rows, : outcomes.shape[1]] = outcomes
        all_weights[rows, : outcomes.shape[1]] = weights
    return all_outcomes, all_weights


def _atoms(law, first, width):
    """Whole numbers of narrow laws from the first on, and a few nodes for their tails.

    Each row ends at its own last number, which is repeated where others are wider.
    """
    atoms = first[:, None] + np.minimum(np.arange(int(width.max())), width[:, None] - 1)
    reached = law.cdf(atoms)
    end = np.take_along_axis(reached, width.astype(int)[:, None] - 1, axis=1)
    mass = np.diff(np.minimum(reached, end), axis=1, prepend=0.0)
    shares, weights = gauss_levels(TAIL_SHARES)
    beyond = law.quantile(np.clip(1 - (1 - end) * shares, NODE_TAIL, 1 - NEAREST))
    return np.hstack([atoms, beyond]), np.hstack([mass, (1 - end) * weights])
