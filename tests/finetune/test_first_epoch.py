"""Epoch 0 scores the weights as they are given; and what ends training, and what interrupts it."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, LoRAFinetune, _callbacks
from sklearn_pttf.finetune._callbacks import BestByHalf, StopInTime, StopWithoutGain
from sklearn_pttf.finetune._data import FinetuneData, TrainingBatches, ValidationBatches
from sklearn_pttf.finetune._net import FinetuneLoss
from sklearn_pttf.problems import Newsvendor

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
SALES = np.random.RandomState(0).poisson(5.0, size=(40, 5)).astype(float)
ONES = np.ones(40)
DATA = FinetuneData(Evidence(SALES), None, 0.9 * ONES, ONES, ONES, True)
KEPT, TRAINED = np.arange(10), np.arange(10, 40)
STRATEGIES = [FullFinetune, HeadFinetune, LoRAFinetune]


def _network():
    torch.manual_seed(0)
    return DecisionNetwork(TINY)


def _train(strategy):
    return strategy.train(_network(), Newsvendor(), DATA, TRAINED, KEPT, seed=0)


def _training_batches():
    return TrainingBatches(DATA, TRAINED, 1000, 4, 2, seed=0)


class Steps(Callback):
    """What has happened by the end of every epoch."""

    def __init__(self):
        self.gradients, self.steps, self.ended = 0, [], 0

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.gradients += 1

    def on_epoch_end(self, net, **kwargs):
        taken = {int(each["step"]) for each in net.optimizer_.state.values()}
        self.steps.append((self.gradients, taken))

    def on_train_end(self, net, **kwargs):
        self.ended += 1


class Rates(Callback):
    """The learning rate of every step."""

    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(net.optimizer_.param_groups[0]["lr"])


# ---------------------------------------------------------------- epoch 0


@pytest.mark.parametrize("cls", STRATEGIES)
def test_epoch_zero_makes_no_step(cls):
    """Four passes in batches of two: two steps an epoch, from the first on."""
    watch = Steps()
    _train(cls(max_epochs=2, patience=2, callbacks=[watch]))
    assert watch.steps == [(0, set()), (2, {2}), (4, {4})]


@pytest.mark.parametrize("anchor", [0.0, 10.0])
def test_losses_of_epoch_zero_are_those_of_the_given_weights(anchor):
    network, loss = _network(), FinetuneLoss(Newsvendor(), TINY.levels)
    found = _train(FullFinetune(max_epochs=1, anchor=anchor)).history[0]
    kept = ValidationBatches(DATA, KEPT, TRAINED, 1000, seed=0)
    for batches, name in ((_training_batches(), "train_loss"), (kept, "valid_loss")):
        expected = np.mean([loss(network(**inputs), targets).item() for inputs, targets in batches])
        assert found[name] == pytest.approx(expected, rel=1e-5)
    assert found["epoch"] == 0


def test_later_epochs_see_batches_of_their_own():
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            if training:
                seen.append(batch[1]["outcomes"])

    _train(HeadFinetune(max_epochs=2, callbacks=[Watch()]))
    batches = _training_batches()
    expected = [targets["outcomes"] for _ in range(3) for _, targets in batches]
    assert len(seen) == len(expected) == 6
    assert all(torch.equal(*pair) for pair in zip(seen, expected, strict=True))
    assert not torch.equal(seen[0], seen[2])


def test_the_first_step_is_adams_first():
    """Which moves every weight with a gradient by the learning rate, whatever the gradient is."""
    steps = []

    class Watch(Callback):
        def on_batch_end(self, net, training=None, **kwargs):
            weight = net.module_.head.mlp[-1].bias.detach()
            steps.append((weight - before).abs())

    before = _network().head.mlp[-1].bias.detach()
    _train(HeadFinetune(lr=1e-3, max_epochs=1, callbacks=[Watch()]))
    in_epoch_zero, first = steps[:3], steps[3]  # two batches of training, and one of validation
    assert not torch.stack(in_epoch_zero).any()
    moved = first[first > 0]
    torch.testing.assert_close(moved, torch.full_like(moved, 1e-3), rtol=1e-2, atol=0)


# ---------------------------------------------------------------- schedules of the user's


@pytest.mark.parametrize(
    ("policy", "settings", "expected"),  # two steps an epoch
    [
        ("LambdaLR", {"lr_lambda": lambda k: [1, 1 / 2, 1 / 8, 0][k]}, [8, 8, 4, 4, 1, 1]),
        ("StepLR", {"step_size": 1, "gamma": 0.5}, [8, 8, 4, 4, 2, 2]),
        ("StepLR", {"step_size": 1, "gamma": 0.5, "step_every": "batch"}, [8, 4, 2, 1, 0.5, 0.25]),
        # no epoch is better by so much than the first, which is better than none
        (
            "ReduceLROnPlateau",
            {"factor": 0.5, "patience": 0, "threshold": 1e9, "threshold_mode": "abs"},
            [8, 8, 8, 8, 4, 4],
        ),
    ],
    ids=["lambda", "epochs", "batches", "plateau"],
)
def test_schedules_begin_with_the_first_step(policy, settings, expected):
    rates = Rates()
    callbacks = [LRScheduler(policy, **settings), rates]
    _train(HeadFinetune(lr=8e-3, max_epochs=3, patience=3, callbacks=callbacks))
    np.testing.assert_allclose(rates.seen, 1e-3 * np.array(expected))


# ---------------------------------------------------------------- the end, and interrupts


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def _at_call(n, function):
    """The function, interrupted at its n-th call."""
    calls = iter(range(n))

    def wrapped(*args, **kwargs):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize("callbacks", [None, [Steps]])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (FinetuneLoss, "by_row", 0),  # in epoch 0
        (FinetuneLoss, "by_row", 6),  # in the validation of epoch 1
        (BestByHalf, "on_epoch_end", 1),
        (StopInTime, "on_epoch_end", 1),
        (EarlyStopping, "_calc_new_threshold", 0),
    ],
)
def test_an_interrupt_is_raised_wherever_it_comes(owner, name, call, callbacks, monkeypatch):
    monkeypatch.setattr(owner, name, _at_call(call, getattr(owner, name)))
    strategy = HeadFinetune(lr=1e-3, max_epochs=9, max_seconds=60.0, callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        _train(strategy)


def test_callbacks_hear_of_the_end_after_an_interrupt(monkeypatch):
    watch = Steps()
    monkeypatch.setattr(BestByHalf, "on_epoch_end", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        _train(HeadFinetune(max_epochs=3, callbacks=[watch]))
    assert watch.ended == 1


def test_the_users_callbacks_end_training_at_the_end_of_an_epoch():
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    watch = Steps()
    found = _train(HeadFinetune(max_epochs=9, patience=9, callbacks=[watch, Stop()]))
    assert [row["epoch"] for row in found.history] == [0, 1, 2]
    assert watch.ended == 1


def test_within_an_epoch_they_interrupt():
    class Stop(Callback):
        on_batch_end = staticmethod(_interrupt)

    with pytest.raises(KeyboardInterrupt):
        _train(HeadFinetune(max_epochs=3, callbacks=[Stop()]))


def test_patience_ends_training_with_the_best_weights(monkeypatch):
    """Losses that rise from epoch 1 on: two more epochs, and the weights of epoch 1."""
    weights = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            weights.append(net.module_.head.mlp[-1].bias.detach().clone())
            net.history.record("valid_loss", [5.0, 1.0, 2.0, 3.0][len(weights) - 1])

    found = _train(HeadFinetune(max_epochs=9, patience=2, callbacks=[Watch()]))
    assert [row["valid_loss"] for row in found.history] == [5.0, 1.0, 2.0, 3.0]
    assert found.n_iter == 1
    assert torch.equal(found.network.head.mlp[-1].bias, weights[1])


def test_time_ends_training_after_the_epoch(monkeypatch):
    """A clock that each look at moves on by a second: one when training begins, one an epoch."""
    clock = iter(range(99))
    monkeypatch.setattr(_callbacks.time, "monotonic", lambda: next(clock))
    found = _train(HeadFinetune(max_epochs=9, patience=9, max_seconds=2.5))
    assert [row["epoch"] for row in found.history] == [0, 1, 2]


def test_stopping_needs_no_message(capfd):
    _train(HeadFinetune(lr=0.9, max_epochs=9, patience=1))
    assert capfd.readouterr() == ("", "")
    assert StopWithoutGain(3).patience == 3
