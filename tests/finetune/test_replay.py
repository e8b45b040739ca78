"""Replay of portfolios of the prior among real ones."""

import numpy as np
import pytest

from sklearn_pttf import Checkpoint, SyntheticPrior
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.finetune._replay import Replay
from support.finetuning import quick_estimator
from support.networks import TINY


def test_replayed_portfolios_are_of_the_prior_and_of_the_share():
    prior = SyntheticPrior(level=(900.0, 1000.0), spread=0.05, noise_families=("poisson",))
    replay = Replay(TINY, prior, np.array([0.9, 0.5]), 0.75, 50, 0, "cpu")
    rng = np.random.default_rng(0)
    per_real = [len(list(replay.batches(rng))) for _ in range(5)]
    assert per_real == [3] * 5
    inputs, targets = next(replay.batches(rng))
    shape = inputs["observations"].shape[:2]
    assert 500 < inputs["observations"].nanmean() < 2000
    assert targets["outcomes"].shape[:2] == targets["weight"].shape == shape
    assert set(targets["ratio"].double().numpy().round(3).ravel()) <= {0.5, 0.9}
    assert (targets["weight"] > 0).all()


def test_replay_changes_what_is_learned(checkpoint, table):
    orders = [
        quick_estimator(
            checkpoint, finetune=HeadFinetune(max_epochs=1, replay=share, baselines=False)
        )
        .fit(table[0][:60])
        .history_
        for share in (0.0, 0.5)
    ]
    assert orders[0][-1]["valid_loss"] != orders[1][-1]["valid_loss"]


def test_replay_needs_a_prior_on_the_card(checkpoint, table):
    X, _ = table
    card = {name: value for name, value in checkpoint.card.items() if name != "prior"}
    nameless = Checkpoint(checkpoint.weights, card)
    with pytest.raises(ValueError, match=r"replay=0\.5 needs the prior"):
        quick_estimator(nameless, finetune=HeadFinetune(replay=0.5)).fit(X)


@pytest.mark.parametrize("replay", [-0.1, 1.0, "half"])
def test_replay_is_checked(checkpoint, table, replay):
    with pytest.raises(ValueError, match="replay"):
        quick_estimator(checkpoint, finetune=HeadFinetune(replay=replay)).fit(table[0])
