"""What decisions are charged on, and what they cost there.

A round hides one observation of every row, decides on the others, and charges the decision on what
was hidden; or it charges later outcomes. Folds are the rows that are charged together.
"""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._tables.completion import demand_of
from sklearn_pttf._tables.periods import cells_in, well_covered

FOLDS = (2, 10)  # fewest and most
FOLD_ROWS = 4  # fewest in a fold
ROUNDS = (4, 8)  # fewest and most observations of a row that are held out, one by one
ROUND_ROWS = 5000  # rows that are charged in all rounds, where it need not be fewer rounds
MORE_ROUNDS = 3 / 2  # where a round charges a part of the rows only


class Round(NamedTuple):
    """Evidence, and what decisions on it are charged on."""

    evidence: object  # Portfolio
    charged: np.ndarray  # (n, k), NaN where nothing is charged
    periods: np.ndarray = None  # (n, k) in which that was
    cells: np.ndarray = None  # (n,), columns that are held out; None: none are
    table: object = None  # Portfolio, the evidence before it was put at conditions of a period

    def only(self, cells):
        """The same evidence, where a part of the cells ``(n, k)`` is charged."""
        return self._replace(charged=np.where(cells, self.charged, np.nan))


def charge_rounds(portfolio, outcomes, rng, periods=None, shared=False):
    """Rounds that hold out observations of all rows one by one, or one that charges outcomes.

    Parameters
    ----------
    portfolio : Portfolio

    outcomes : ndarray of shape (n, k) or None
        Later outcomes; then nothing is held out.

    rng : Generator
        Which observations of a row come first.

    periods : ndarray of int of shape (n, m), default=None
        Of the observations. None: their columns.

    shared : bool, default=False
        Whether rows share shocks of periods: then a round holds out one period of all rows that
        have it, and something else of the others.

    Returns
    -------
    list of Round
    """
    if outcomes is not None:
        columns = np.arange(outcomes.shape[1])
        return [Round(portfolio, outcomes, np.broadcast_to(columns, outcomes.shape))]
    mask, counts = portfolio.mask, portfolio.counts
    if periods is None:
        periods = np.broadcast_to(np.arange(mask.shape[1]), mask.shape)
    n_rounds = np.clip(ROUND_ROWS // len(portfolio), *ROUNDS)
    if shared:
        chosen = rng.permutation(well_covered(mask, periods))[: round(MORE_ROUNDS * n_rounds)]
        cells = cells_in(mask, periods, chosen, rng)
    else:
        order = np.where(mask, rng.random(mask.shape), np.inf).argsort(axis=1)
        order = order[:, : min(n_rounds, counts.max())]
        cells = np.where(counts[:, None] > np.arange(order.shape[1]), order, -1)
    cells = np.where(counts[:, None] > 1, cells, -1)
    found, demand = [], demand_of(portfolio)
    for each in cells.T:
        columns = np.take_along_axis(periods, each[:, None], axis=1)
        found.append(Round(*portfolio.held_out(each, demand), columns, columns[:, 0]))
    return found


def rounds_of_the_window(portfolio, rng, periods):
    """Rounds that hold out periods before later ones, which are charged beside them.

    A few later periods that rows share may all be high, as days of one weekend are. So a candidate
    has to be cheaper in those before, too.
    """
    rounds = charge_rounds(portfolio, None, rng, periods, shared=True)
    return [each._replace(periods=-1 - each.periods) for each in rounds]


def is_chargeable(portfolio, outcomes):
    """Rows that a decision can be charged on without being seen by it; bool ndarray (n,)."""
    if outcomes is None:
        return portfolio.counts > 1
    return (~np.isnan(outcomes)).any(axis=1)


# ------------------------------------------------------------------ costs


def cell_costs(problem, laws, rounds):
    """Cost of every outcome that is charged, of decisions on ``laws``, one a round; (n, k)."""
    costs = [
        problem.charge_each(law, round.evidence, round.charged)
        for law, round in zip(laws, rounds, strict=True)
    ]
    return np.where(np.isnan(charged_of(rounds)), np.nan, np.hstack(costs))


def hindsight_costs(problem, laws, rounds):
    """Mean cost of every row over rounds, of decisions on ``laws``, one a round; (n,)."""
    return row_means(cell_costs(problem, laws, rounds))


def row_means(costs):
    """Mean cost of every row, of those that there are ``(..., n, k)``; (..., n)."""
    seen = ~np.isnan(costs)
    n_seen = seen.sum(axis=-1)
    total = np.where(seen, costs, 0.0).sum(axis=-1)
    return np.where(n_seen > 0, total / np.maximum(n_seen, 1), np.nan)


def charged_of(rounds):
    """Outcomes that are charged in all rounds; (n, k)."""
    return np.hstack([round.charged for round in rounds])


def periods_of(rounds):
    """Periods of the outcomes that are charged in all rounds; (n, k)."""
    return np.hstack([round.periods for round in rounds])


def n_periods(rounds):
    """Number of periods in which something is charged."""
    return len(np.unique(periods_of(rounds)[~np.isnan(charged_of(rounds))]))


# ------------------------------------------------------------------ folds


def folds_of(rows, share, rng):
    """Random parts of ``rows`` for cross-fitting, each about this share; list of ndarray of int."""
    n_folds = min(round(np.clip(1 / share, *FOLDS)), len(rows) // FOLD_ROWS)
    return np.array_split(rng.permutation(rows), n_folds)


def groups_of_periods(rounds, n_folds):
    """Periods that each of the folds is charged in: one after the other, again where too few."""
    found = np.unique(periods_of(rounds)[~np.isnan(charged_of(rounds))])
    groups = np.array_split(found, min(n_folds, len(found)))
    return [groups[k % len(groups)] for k in range(n_folds)]


def of_own_group(rounds, folds, groups):
    """Rounds that charge each fold in its own group of periods only."""
    found = []
    for round in rounds:
        cells = np.zeros(round.charged.shape, dtype=bool)
        for fold, group in zip(folds, groups, strict=True):
            cells[fold] = np.isin(round.periods[fold], group)
        found.append(round.only(cells))
    return found


def one_for_each(rounds, folds):
    """One round for each fold, of those that charge most of its rows, and nothing else."""
    cells = [np.zeros(round.charged.shape, dtype=bool) for round in rounds]
    for k, fold in enumerate(folds):
        n_charged = np.array([(~np.isnan(round.charged[fold])).sum() for round in rounds])
        most = np.flatnonzero(n_charged == n_charged.max())
        cells[most[k % len(most)]][fold] = True
    rounds = [round.only(some) for round, some in zip(rounds, cells, strict=True)]
    return [round for round in rounds if not np.isnan(round.charged).all()]


def on_all_observations(portfolio, rounds):
    """Rounds that charge the same, on evidence that is all there is, not the newest only."""
    found = []
    for round in rounds:
        evidence = portfolio
        if round.cells is not None:
            some = np.where(np.isnan(round.charged[:, 0]), -1, round.cells)
            evidence, _ = portfolio.held_out(some)
        found.append(round._replace(evidence=evidence))
    return found
