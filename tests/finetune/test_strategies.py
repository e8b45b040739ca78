"""Strategies: what is trained, from which start, and what ends it."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EpochTimer

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf.finetune import FinetuneStrategy, FullFinetune, HeadFinetune, LoRAFinetune
from sklearn_pttf.finetune._data import ValidationBatches
from sklearn_pttf.finetune._net import FinetuneLoss
from sklearn_pttf.problems import Newsvendor
from support.finetuning import finetune_data
from support.networks import TINY, fresh_checkpoint

STRATEGIES = [FullFinetune, HeadFinetune, LoRAFinetune]


def _network(seed=0):
    torch.manual_seed(seed)
    return DecisionNetwork(TINY)


SALES = finetune_data(np.random.RandomState(0).poisson(5.0, size=(40, 5)).astype(float))


def _train(strategy, seed=0):
    network = _network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = strategy.train(network, Newsvendor(), SALES, np.arange(10, 40), np.arange(10), seed)
    after = found.network.state_dict()
    assert set(after) == set(before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return found, before, changed


@pytest.mark.parametrize("cls", STRATEGIES)
def test_what_is_trained(cls):
    found, before, changed = _train(cls(max_epochs=3, lr=0.01, patience=3))
    assert found.n_iter > 0
    losses = [row["valid_loss"] for row in found.history]
    assert losses[found.n_iter] == min(losses)
    expected = {
        FullFinetune: {name for name in before},
        HeadFinetune: {name for name in before if name.startswith("head.")},
        LoRAFinetune: {name for name in before if before[name].ndim == 2 and name != "tokens"},
    }[cls]
    # what never had a gradient stays: the last layer's tokens are read by nobody, say
    assert changed <= expected
    assert len(changed) > 0.8 * len(expected)


@pytest.mark.parametrize("cls", STRATEGIES)
def test_equal_seeds_give_equal_networks(cls):
    first, second = (_train(cls(max_epochs=2))[0].network.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("cls", STRATEGIES)
def test_the_first_epoch_trains_nothing_and_can_be_the_best(cls):
    found, _, changed = _train(cls(max_epochs=4, patience=2, lr=0.9))
    if found.n_iter == 0:
        assert not changed
    assert found.history[0]["epoch"] == 0
    other = _train(cls(max_epochs=1, lr=1e-3))[0]
    assert found.history[0]["valid_loss"] == pytest.approx(other.history[0]["valid_loss"])


def test_a_half_is_charged_on_the_epoch_that_the_other_chose():
    class Watch(Callback):
        networks = []

        def on_epoch_end(self, net, **kwargs):
            self.networks.append(copy.deepcopy(net.module_))

    strategy = FullFinetune(lr=0.003, max_epochs=12, patience=12, callbacks=[Watch()])
    found, _, _ = _train(strategy, seed=1)
    loss = FinetuneLoss(Newsvendor(), TINY.levels)
    losses = np.zeros((2, 13))
    for inputs, targets in ValidationBatches(SALES, np.arange(10), np.arange(10, 40), 100, seed=1):
        for epoch, network in enumerate(Watch.networks):
            by_row = loss.by_row(network(**inputs), targets)
            for half in (0, 1):
                losses[half, epoch] += by_row[targets["half"] == half].sum().item()
    best = losses.argmin(axis=1)
    assert best[0] != best[1]  # or this could not fail
    for half, network in enumerate(found.for_half):
        expected = Watch.networks[best[1 - half]].state_dict()
        assert all(torch.equal(expected[k], v) for k, v in network.state_dict().items())


def test_the_anchor_holds():
    def distance(anchor):
        found, before, _ = _train(FullFinetune(anchor=anchor, max_epochs=5, lr=1e-3, patience=5))
        after = found.network.state_dict()
        return sum(((after[name] - before[name]) ** 2).sum().item() for name in before)

    assert distance(100.0) < 0.2 * distance(0.0)


def test_callbacks_and_time_limit_reach_skorch():
    from skorch.callbacks import Callback

    class Count(Callback):
        epochs = 0

        def on_epoch_end(self, net, **kwargs):
            Count.epochs += 1

    found, *_ = _train(HeadFinetune(max_epochs=50, max_seconds=1e-9, callbacks=[Count()]))
    assert Count.epochs == len(found.history) == 1


def test_training_can_start_from_moments():
    moments = _network()
    moments.head.forget()
    before = FinetuneLoss(Newsvendor(), TINY.levels)
    (batch,) = ValidationBatches(SALES, np.arange(10), np.arange(10, 40), 100, seed=0)
    inputs, targets = batch
    expected = before(moments(**inputs), targets).item()
    found, _, changed = _train(FullFinetune(start="moments", lr=1e-3, max_epochs=2))
    assert found.history[0]["valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert "head.mlp.2.weight" in changed


class Bare(FinetuneStrategy):
    def prepare(self, network, generator):
        pass


class Forgetful(HeadFinetune):
    def finish(self, network):
        pass


COUNTS = np.random.RandomState(0).poisson(5.0, size=(20, 4))
HALF_MADE = {
    "no __init__": (Bare(), r"Bare must assign lr, max_epochs, .* in its __init__"),
    "nothing from finish": (
        Forgetful(max_epochs=1),
        r"finish of Forgetful\(max_epochs=1\) must return the network; got None",
    ),
    "a name twice": (
        HeadFinetune(callbacks=[("timer", EpochTimer), ("timer", EpochTimer())]),
        "callbacks must have names of their own; got 'timer' twice",
    ),
    "a place for a name": (
        HeadFinetune(callbacks=[EpochTimer, ("0", EpochTimer)]),
        "callbacks must have names of their own; got '0' twice",
    ),
}


@pytest.mark.parametrize(("strategy", "message"), HALF_MADE.values(), ids=HALF_MADE)
def test_what_a_strategy_lacks_is_said(strategy, message):
    pdt = PretrainedDecisionTransformer(
        checkpoint=fresh_checkpoint(), finetune=strategy, device="cpu"
    )
    with pytest.raises(ValueError, match=message):
        pdt.fit(COUNTS)
