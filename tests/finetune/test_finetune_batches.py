"""Batches of finetuning: what is held out of the evidence, and what a row is charged."""

import numpy as np
import pytest
import torch

from sklearn_pttf.finetune._base import FinetuneLoss
from sklearn_pttf.finetune._data import (
    TrainingBatches,
    ValidationBatches,
    cells_in_turn,
    drawn_cells,
    make_batch,
)
from sklearn_pttf.problems import Newsvendor
from support.finetuning import X, finetune_data
from support.networks import TINY

NAN = np.nan

# ---------------------------------------------------------------- batches


def test_a_charged_observation_is_not_evidence():
    cells = np.array([1, 0, 2, 0])
    inputs, targets = make_batch(
        finetune_data(), np.array([2, 0, 1]), np.ones(3, dtype=bool), cells
    )
    np.testing.assert_array_equal(
        inputs["observations"][0], [[4, 5, NAN], [1, NAN, NAN], [3, NAN, NAN]]
    )
    # a row's only observation is kept, and not charged
    assert targets["outcomes"][0, :2, 0].tolist() == [6.0, 2.0]
    assert (targets["weight"][0] > 0).tolist() == [True, True, False]


def test_later_outcomes_leave_the_evidence_alone():
    y = np.array([[1.0], [2.0], [NAN], [4.0]])
    inputs, targets = make_batch(
        finetune_data(outcomes=y), np.arange(4), np.ones(4, bool), np.zeros(4, int)
    )
    np.testing.assert_array_equal(inputs["observations"][0], X)
    assert (targets["weight"][0] > 0).tolist() == [True, True, False, True]


def test_cells_in_turn_are_each_observation_once():
    turns = cells_in_turn(finetune_data(), 3, np.random.default_rng(0))
    assert sorted(turns[:, 2]) == [0, 1, 2]
    assert set(turns[:, 0]) == {0, 1}
    assert set(turns[:, 1]) == {0}


def test_drawn_cells_are_observed():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert not np.isnan(X[np.arange(4), drawn_cells(finetune_data(), rng)]).any()


@pytest.mark.parametrize("n_together", [1, 2])
def test_training_batches_hold_each_row_once_a_pass(n_together):
    data = finetune_data(np.arange(70.0).reshape(10, 7))
    batches = TrainingBatches(data, np.arange(1, 10), 4, 2, n_together, seed=0)
    first = [targets["outcomes"][..., 0] for _, targets in batches]
    assert [tuple(outcomes.shape) for outcomes in first] == [(n_together, 3)] * (6 // n_together)
    passes = [first[:3], first[3:]] if n_together == 1 else zip(*first, strict=True)
    for one in passes:
        rows = torch.cat([part.ravel() for part in one]) // 7
        assert sorted(rows.tolist()) == list(range(1, 10))
    seen = [targets["outcomes"].ravel().tolist() for _, targets in batches]
    again = TrainingBatches(data, np.arange(1, 10), 4, 2, n_together, seed=0)
    list(again)
    assert seen == [targets["outcomes"].ravel().tolist() for _, targets in again]


@pytest.mark.parametrize("n_together", [1, 2])
def test_epochs_of_large_tables_have_few_batches(n_together):
    data = finetune_data(np.arange(4000.0).reshape(1000, 4))
    training = TrainingBatches(data, np.arange(1000), 10, 4, n_together, seed=0)
    assert len(list(training)) == 8 // n_together
    validation = ValidationBatches(data, np.arange(20), np.arange(20, 100), 10, seed=0)
    assert len(list(validation)) == 10  # every row once
    few = ValidationBatches(data, np.arange(20), np.arange(20, 100), 50, seed=0)
    assert [len(targets["weight"]) for _, targets in few] == [3, 3]


def test_validation_batches_charge_only_their_rows():
    data = finetune_data(np.arange(70.0).reshape(10, 7))
    (batch,) = ValidationBatches(data, np.array([3, 8]), np.array([0, 1, 2]), 100, seed=0)
    inputs, targets = batch
    assert inputs["observations"].shape == (3, 5, 7)  # a portfolio for every cell that is held out
    for turn in range(3):
        assert (targets["weight"][turn] > 0).tolist() == [True, True, False, False, False]
        assert targets["half"][turn, :2].tolist() == [0, 1]
    assert len(set(targets["outcomes"][:, 0, 0].tolist())) == 3


def test_halves_go_on_from_group_to_group():
    data = finetune_data(np.arange(700.0).reshape(100, 7))
    batches = ValidationBatches(data, np.arange(10, 19), np.arange(20, 29), 6, seed=0)
    halves = [targets["half"][0, :3].tolist() for _, targets in batches]
    assert halves == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


# ---------------------------------------------------------------- the loss


def test_half_of_the_weight_is_at_the_rows_own_level():
    loss = FinetuneLoss(Newsvendor(), TINY.levels)
    levels = torch.tensor(TINY.levels)
    own = loss._own_levels(torch.tensor([[levels[20].item(), 0.5]]))[0]
    assert (own[0] > 1e-3).nonzero().ravel().tolist() == [20]
    assert (own[1] > 1e-3).nonzero().ravel().tolist() == [16]
    assert own.mean(-1).tolist() == pytest.approx([1.0, 1.0])
    between = (levels[20].logit() + levels[21].logit()) / 2
    near = loss._own_levels(between.sigmoid().reshape(1, 1))[0, 0]
    assert (near > 1e-3).nonzero().ravel().tolist() == [20, 21]
