"""Real rows as batches: what is evidence, and what decisions are charged on.

Everything here is a pure function of the rows and of a seed. Without later outcomes an
observation of each row is held out, and the row and its portfolio are read without it.
"""

from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset

from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf._tables.completion import demand_of
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._tables.periods import cells_in, well_covered

N_VALIDATION_TURNS = 3  # observations of a row that are held out, one by one, to validate
MOST_BATCHES = 8  # portfolios of an epoch, and of a validation
LEAST_SIZE = 1e-3  # of a row, as a share of the mean


class FinetuneData(NamedTuple):
    """Rows to finetune on."""

    evidence: Evidence  # what the network reads
    outcomes: np.ndarray | None  # (n, k) later outcomes, NaN where missing
    ratios: np.ndarray  # (n,) level of the quantile that each row's problem asks for
    sizes: np.ndarray  # (n,) what a row is uncertain by, in units of the outcome
    worth: np.ndarray  # (n,) what a unit of that costs, in money
    integer: bool
    periods: np.ndarray | None = None  # (n, k) of what is charged, where rows share periods
    demand: np.ndarray | None = None  # (n, k) in place of observations, where stock capped them

    @property
    def charged(self):
        """What decisions are charged on: later outcomes, or held-out observations; (n, k)."""
        if self.outcomes is not None:
            return self.outcomes
        return self.evidence.observations if self.demand is None else self.demand

    @property
    def seen(self):
        """Cells that decisions are charged on; bool ndarray of shape (n, k)."""
        seen = ~np.isnan(self.charged)
        return seen if self.periods is None else seen & (self.periods >= 0)

    @property
    def by_period(self):
        """Whether what is held out is a period, of all rows at once."""
        return self.outcomes is None and self.periods is not None

    def usable(self):
        """Positions of the rows that a decision can be charged on; ndarray of int."""
        needed = 2 if self.outcomes is None else 1
        return np.flatnonzero((~np.isnan(self.charged)).sum(axis=1) >= needed)

    def without(self, periods):
        """The same rows, charged in other periods than these."""
        return self._replace(periods=np.where(np.isin(self.periods, periods), -1, self.periods))

    @property
    def n_turns(self):
        """Number of cells of a row that are validated on, one by one."""
        return min(N_VALIDATION_TURNS, max(1, int(self.seen.sum(axis=1).max())))

    def drawn(self, rng):
        """`drawn_cells`."""
        return drawn_cells(self, rng)

    def in_turn(self, n_turns, rng):
        """`cells_in_turn`."""
        return cells_in_turn(self, n_turns, rng)

    def batch(self, context, charged, cells):
        """`make_batch`."""
        return make_batch(self, context, charged, cells)


def finetune_data(config, problem, portfolio, outcomes, device):
    """Rows with how uncertain they are, and what that costs; `FinetuneData`.

    Both are taken from moments, not from the pretrained network: where its prior is wrong its
    uncertainties are too, and rows weighted by them cost finetuning a part of what it can gain.
    """
    network = DecisionNetwork.of_moments(config).to(device=device, dtype=torch.float64)
    law = predict_law(network, encode_context(network, portfolio), portfolio)
    read = network.kind.as_read(portfolio)
    as_rates = portfolio.exposure is not None and read.exposure is None
    per_unit = portfolio.coming_exposure() if as_rates else 1.0
    sizes = law.mean_distance() / per_unit
    sizes = np.maximum(sizes, LEAST_SIZE * sizes.mean())
    expected = problem.stakes(law, portfolio)
    expected = np.maximum(expected, LEAST_SIZE * expected.mean())
    worth = np.full(len(sizes), np.nan)
    np.divide(expected, sizes, out=worth, where=sizes * expected > 0)
    levels = problem.own_levels(law, portfolio)
    evidence = network.kind.evidence(read)
    shift = np.nanmean(evidence.observations) if network.kind.any_sign else 0.0
    evidence = replace(evidence, observations=evidence.observations - shift)
    if evidence.posted is not None:  # a row that tells of no price is asked at the usual one
        usual = np.exp(np.nanmean(np.log(evidence.posted)))
        evidence = replace(
            evidence, posted=np.where(np.isnan(evidence.posted), usual, evidence.posted)
        )
    if outcomes is not None:
        outcomes = outcomes / np.reshape(per_unit, (-1, 1)) - shift
    demand = None if read.stock is None else demand_of(read) - shift
    return FinetuneData(evidence, outcomes, levels, sizes, worth, read.integer, demand=demand)


def drawn_cells(data, rng):
    """For every row the position of one cell to charge, at random; ndarray of shape (n,).

    Observations are held out by the period, where rows share periods.
    """
    if data.by_period:
        return _cells_of_periods(data, 1, rng)[0]
    seen = data.seen
    return np.where(seen, rng.random(seen.shape), np.inf).argmin(axis=1)


def _cells_of_periods(data, n_periods, rng):
    """For every row the positions of its cells in random periods, or others; (n_periods, n)."""
    seen = data.seen
    chosen = rng.permutation(well_covered(seen, data.periods))[:n_periods]
    return np.maximum(cells_in(seen, data.periods, chosen, rng).T, 0)


def cells_in_turn(data, n_turns, rng):
    """For every row the positions of cells to charge, each of them in turn; (n_turns, n)."""
    if data.by_period:
        return _cells_of_periods(data, n_turns, rng)
    seen = data.seen
    order = np.where(seen, rng.random(seen.shape), np.inf).argsort(axis=1)
    turns = np.arange(n_turns)[:, None] % np.maximum(seen.sum(axis=1), 1)
    return np.take_along_axis(order, turns.T, axis=1).T


def make_batch(data, context, charged, cells):
    """One portfolio, as the network and its loss take it.

    Parameters
    ----------
    data : FinetuneData

    context : ndarray of int
        Rows that are read.

    charged : ndarray of bool of shape (len(context),)
        Which of them are charged.

    cells : ndarray of shape (n,)
        The cell of every row of ``data`` that is charged, and so held out if it is an
        observation.

    Returns
    -------
    inputs, targets : dict of Tensor
        Targets are the ``outcomes`` ``(1, N, 1)``, the row's ``ratio`` and its ``weight``, 0 if it
        is not charged, ``(1, N)``.
    """
    place = np.arange(len(context)), cells[context]
    evidence = data.evidence.take(context)
    outcome = data.charged[context][place]
    can_be = ~np.isnan(outcome)
    if data.periods is not None:
        can_be = can_be & (data.periods[context][place] >= 0)
    if data.outcomes is None:
        can_be = can_be & (evidence.counts > 1)
        evidence, _ = evidence.held_out(np.where(can_be, cells[context], -1))
    # rows count by their own uncertainty and by what they cost, in equal parts
    sizes, worth = data.sizes[context], data.worth[context]
    weight = 0.5 * (1 / sizes + worth / (worth * sizes).mean()) * (charged & can_be)
    inputs = {**evidence.map(_of_one).known(), "whole": torch.tensor([float(data.integer)])}
    targets = {
        "outcomes": _of_one(np.nan_to_num(outcome)).unsqueeze(-1),
        "ratio": _of_one(data.ratios[context]),
        "weight": _of_one(weight),
    }
    return inputs, targets


def _of_one(values):
    """A float32 tensor of one portfolio."""
    return torch.tensor(values, dtype=torch.float32).unsqueeze(0)


def _groups(rows, size):
    """Rows in pieces of nearly equal length, none longer than ``size``."""
    return np.array_split(rows, max(1, -(-len(rows) // size)))


class TrainingBatches(IterableDataset):
    """Random groups of rows, each a portfolio of its own; new ones every time, at most eight.

    Parameters
    ----------
    data : FinetuneData

    rows : ndarray of int
        Rows to train on.

    batch_size : int
        Most rows of a group.

    n_passes : int
        How often every row is charged, each time on another cell.

    n_together : int
        Portfolios of a batch, each of another pass; of ``n_passes`` and 8 a divisor.

    seed : int

    replay : Replay or None
        Synthetic portfolios between them.
    """

    def __init__(self, data, rows, batch_size, n_passes, n_together, seed, replay=None):
        self.data = data
        self.rows = rows
        self.batch_size = batch_size
        self.n_passes = n_passes
        self.n_together = n_together
        self.seed = seed
        self.replay = replay
        self.epoch = 0

    def __iter__(self):
        rng = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        for together in islice(self._charged_groups(rng), MOST_BATCHES // self.n_together):
            yield _side_by_side(
                [
                    self.data.batch(group, np.ones(len(group), dtype=bool), cells)
                    for cells, group in together
                ]
            )
            if self.replay is not None:
                yield from self.replay.batches(rng)

    def _charged_groups(self, rng):
        """Groups of a few passes, one of each, with the cells they are charged on."""
        for _ in range(self.n_passes // self.n_together):
            yield from zip(*(self._pass(rng) for _ in range(self.n_together)), strict=True)

    def _pass(self, rng):
        """All rows in random groups."""
        cells = self.data.drawn(rng)
        groups = _groups(rng.permutation(self.rows), self.batch_size)
        return [(cells, group) for group in groups]


def _side_by_side(batches):
    """Batches of portfolios of equal size as one."""
    return tuple(
        {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*batches, strict=True)
    )


class ValidationBatches(IterableDataset):
    """Rows that are not trained on, read together with those that are; always the same.

    A batch has as many portfolios as cells of a row are charged. Targets have the ``half`` of every
    row too, 0 or 1 in turn.

    Parameters
    ----------
    data : FinetuneData

    rows, others : ndarray of int
        Rows that are charged, and rows that are only read.

    batch_size : int
        Most rows of a portfolio.

    seed : int
    """

    def __init__(self, data, rows, others, batch_size, seed):
        n_groups = max(1, -(-(len(rows) + len(others)) // batch_size))
        n_turns = min(data.n_turns, max(1, MOST_BATCHES // n_groups))
        turns = data.in_turn(n_turns, np.random.default_rng(seed))
        split = (np.array_split(x, n_groups) for x in (rows, others, np.arange(len(rows)) % 2))
        groups = list(zip(*split, strict=True))
        self.batches = [
            _side_by_side([self._batch(data, *group, cells) for cells in turns]) for group in groups
        ]

    @staticmethod
    def _batch(data, rows, others, halves, cells):
        context = np.concatenate([rows, others])
        charged = np.arange(len(context)) < len(rows)
        inputs, targets = data.batch(context, charged, cells)
        half = np.concatenate([halves, np.zeros_like(others)])
        return inputs, {**targets, "half": torch.tensor(half).unsqueeze(0)}

    def __iter__(self):
        return iter(self.batches)
