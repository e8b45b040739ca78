"""Rows that laws of demand are compared with, and observations of them that are held out."""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf._tables.portfolio import Portfolio

MOST_ROWS = 2000  # that laws are compared with; more would only take longer
MOST_TURNS = 8  # observations of a row that are held out, one by one
GOLDEN = 0.5 * (5**0.5 - 1)  # whose multiples are evenly spread


def spread_out(observations, most):
    """Positions of at most so many rows, all sizes alike, in an order that is the rows' own."""
    values = np.nan_to_num(np.sort(observations, axis=1), nan=-1.0)  # missing ones last
    counts = (~np.isnan(observations)).sum(axis=1)
    mean = np.where(values < 0, 0.0, values).sum(axis=1) / np.maximum(counts, 1)
    content = (values * np.sqrt(np.arange(1, values.shape[1] + 1))).sum(axis=1)
    order = np.lexsort([content, counts, mean])
    order = order[counts[order] > 0]
    if len(order) <= most:
        return order
    return order[((np.arange(most) + 0.5) / most * len(order)).astype(int)]


def rows_to_compare(portfolio):
    """Positions of typical rows that laws are compared with; ndarray of int."""
    rows = np.flatnonzero(typical_rows(portfolio.without_offset()))
    return rows[spread_out(portfolio.observations[rows], MOST_ROWS)]


def turns_of(observations):
    """Cells of rows to hold out one by one; (n_turns, n), -1 for none.

    Of few observations all, of more so many, evenly spread by size from a place that differs from
    row to row.
    """
    counts = (~np.isnan(observations)).sum(axis=1)[:, None]
    by_size = observations.argsort(axis=1, kind="stable")  # NaN last
    n_turns = min(MOST_TURNS, observations.shape[1])
    turn = np.arange(n_turns)
    place = (np.arange(len(observations)) * GOLDEN % 1)[:, None]
    ranks = np.where(counts <= n_turns, turn, ((turn + place) / n_turns * counts).astype(int))
    cells = np.take_along_axis(by_size, ranks, axis=1)
    return np.where((turn < counts) & (counts > 1), cells, -1).T


class HeldOut(NamedTuple):
    """Laws of observations that were held out, one of every row that has two at least."""

    rows: np.ndarray  # (k,) positions
    evidence: Portfolio  # of these rows, what was left
    outcomes: np.ndarray  # (k,) what was held out
    law: QuantileGrid  # by the network
    capped: np.ndarray  # (k,) bool, whether outcomes are at least what was held out

    @classmethod
    def turns(cls, predict, some):
        """The turns of `turns_of`; list of HeldOut."""
        found = []
        for cells in turns_of(some.observations):
            rows = np.flatnonzero(cells >= 0)
            if len(rows):
                evidence, outcomes = some.take(rows).held_out(cells[rows])
                at = (rows, cells[rows])
                capped = np.zeros(len(rows), bool) if some.stock is None else some.capped[at]
                found.append(cls(rows, evidence, outcomes[:, 0], predict(evidence), capped))
        return found
