"""How fast which weights move, step by step."""

import math
from fnmatch import fnmatch
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sklearn_pttf import Checkpoint, pretrain
from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf._training.pretrain import HIDDEN, _Schedule
from support.networks import TINY
from support.pretraining import PRIOR, SMALL


def test_matrices_of_hidden_layers_are_told_from_the_others():
    matrices = {name for name, p in DecisionNetwork(TINY).named_parameters() if p.ndim == 2}
    hidden = {name for name in matrices for pattern in HIDDEN if fnmatch(name, pattern)}
    assert matrices - hidden == {
        "tokens",
        "portfolio.weight",
        "encoder.cell.0.weight",
        "head.mlp.2.weight",
    }


def test_first_step_of_muon_and_of_adamw():
    """AdamW moves by the learning rate, Muon by a matrix of which 0.2 of it is the size."""
    constant = {"warmup": 0.0, "cooldown": 0.0, "weight_decay": 0.0}
    moved = pretrain(PRIOR, n_steps=1, lr=1e-2, **constant, **SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = Checkpoint.from_network(DecisionNetwork(TINY), {})
    steps = {name: moved.weights[name] - value for name, value in fresh.weights.items()}
    for name in ("head.mlp.2.weight", "tokens", "encoder.mix.0.bias"):
        assert np.median(np.abs(steps[name])) == pytest.approx(1e-2, rel=0.01)
    for name in ("layers.0.read.queries.weight", "encoder.mix.2.weight", "head.mlp.0.weight"):
        largest = np.linalg.norm(steps[name], ord=2)
        rows_or_columns = max(steps[name].shape)
        assert 0.6 < largest / (1e-2 * 0.2 * math.sqrt(rows_or_columns)) < 1.3, name


def _rates(n_steps, warmup, cooldown, first=0):
    schedule = _Schedule(0.5, n_steps, warmup, cooldown, first)
    net = SimpleNamespace(optimizer_=SimpleNamespace(param_groups=[{"lr": None}, {"lr": None}]))
    rates = []
    for _ in range(first, n_steps):
        schedule.on_batch_begin(net, training=True)
        schedule.on_batch_begin(net, training=False)  # validation does not count
        assert net.optimizer_.param_groups[0] == net.optimizer_.param_groups[1]
        rates.append(net.optimizer_.param_groups[0]["lr"])
    return np.array(rates)


def test_learning_rate_rises_stays_and_falls():
    rates = _rates(100, warmup=0.1, cooldown=0.5)
    np.testing.assert_allclose(rates[:10], 0.5 * np.arange(1, 11) / 10)
    np.testing.assert_array_equal(rates[9:51], 0.5)
    np.testing.assert_allclose(rates[50:], 0.5 * np.arange(50, 0, -1) / 50)
    assert rates[-1] == 0.5 / 50
    assert _rates(10_000, 0.02, 0.5)[-1] == 0.5 / 5000


def test_learning_rate_goes_on_where_it_was():
    np.testing.assert_array_equal(_rates(100, 0.1, 0.5, first=37), _rates(100, 0.1, 0.5)[37:])


def test_learning_rate_may_be_constant():
    np.testing.assert_array_equal(_rates(20, 0.0, 0.0), 0.5)


def test_the_schedule_is_used():
    """A step at a rate of next to nothing changes next to nothing."""
    start = pretrain(PRIOR, n_steps=1, lr=1e-9, **SMALL)
    moved = pretrain(PRIOR, n_steps=1, lr=1e-2, **SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = Checkpoint.from_network(DecisionNetwork(TINY), {})
    for name, value in fresh.weights.items():
        np.testing.assert_allclose(start.weights[name], value, rtol=0, atol=1e-7)
    assert max(np.abs(moved.weights[k] - fresh.weights[k]).max() for k in fresh.weights) > 1e-3
