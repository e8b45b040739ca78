"""Muon for matrices of hidden layers, AdamW for all else."""

import io
import math

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from torch import nn
from torch.nn.functional import mse_loss

from sklearn_pttf._training.optimizer import MuonAdamW

SETTINGS = {"lr": 0.01, "weight_decay": 0.02, "betas": (0.9, 0.98)}
HIDDEN = {"0.weight", "0.bias"}  # a group with a matrix and a vector


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def _optimizer(network, **changes):
    groups = [
        {"params": [p for name, p in network.named_parameters() if name in HIDDEN], "hidden": True},
        {"params": [p for name, p in network.named_parameters() if name not in HIDDEN]},
    ]
    return MuonAdamW(groups, **{**SETTINGS, **changes})


def _batch(k):
    generator = torch.Generator().manual_seed(k)
    return torch.randn(20, 6, generator=generator), torch.randn(20, 3, generator=generator)


def _steps(network, optimizer, ks):
    for k in ks:
        x, y = _batch(k)
        optimizer.zero_grad()
        mse_loss(network(x), y).backward()
        optimizer.step()


def _values(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def _assert_same(left, right):
    left, right = _values(left), _values(right)
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=0, msg=name)


def _moved(shape, singular_values, hidden=True):
    """What one step subtracts from a matrix of zeros, in the gradient's singular directions."""
    rng = np.random.RandomState(0)
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], len(singular_values))))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], len(singular_values))))
    matrix = nn.Parameter(torch.zeros(shape))
    vector = nn.Parameter(torch.zeros(2))
    groups = [{"params": [matrix], "hidden": hidden}, {"params": [vector]}]
    if not hidden:
        groups.append({"params": [nn.Parameter(torch.zeros(2, 2))], "hidden": True})
    optimizer = MuonAdamW(groups, **SETTINGS)
    gradient = left * np.array(singular_values) @ right.T
    matrix.grad = torch.tensor(gradient, dtype=torch.float32)
    optimizer.step()
    moved = -matrix.detach().double().numpy()
    return moved, left.T @ moved @ right


# ---------------------------------------------------------------- one step


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (24, 8)])
def test_hidden_matrices_move_alike_in_all_directions(shape):
    moved, along = _moved(shape, np.geomspace(1, 0.03, 8))
    # Muon's five iterations bring singular values to about one
    step = 0.01 * 0.2 * math.sqrt(max(shape))
    assert along.diagonal().min() / step > 0.6
    assert along.diagonal().max() / step < 1.3
    np.testing.assert_allclose(along / step, np.diag(along.diagonal() / step), atol=0.05)
    # the size of AdamW's updates: a root mean square of 0.2 steps
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(0.2 * 0.01, rel=0.3)


def test_other_matrices_move_by_the_signs_of_their_gradient():
    moved, along = _moved((8, 8), np.geomspace(1, 0.03, 8), hidden=False)
    np.testing.assert_allclose(np.abs(moved), 0.01, rtol=1e-3)
    assert along.diagonal().max() > 3 * along.diagonal().min()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_without_gradient_there_is_only_decay(decay):
    network = _network()
    before = _values(network)
    optimizer = _optimizer(network, weight_decay=decay)
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, value in _values(network).items():
        torch.testing.assert_close(value, before[name] * (1 - 0.01 * decay))


def test_parameters_that_are_not_used_stay():
    network = _network()
    before = _values(network)
    optimizer = _optimizer(network)
    network[2](torch.ones(1, 4)).sum().backward()  # the first layer has no gradient
    optimizer.step()
    for name, value in _values(network).items():
        assert torch.equal(value, before[name]) == name.startswith("0.")


# ---------------------------------------------------------------- many steps


def test_hidden_matrices_follow_muon_and_all_else_adamw():
    """The two optimizers, each on its own, move the same parameters to the same values."""
    network, alone = _network(), _network()
    optimizer = _optimizer(network)
    others = [p for name, p in alone.named_parameters() if name != "0.weight"]
    adam = torch.optim.AdamW(others, **SETTINGS)
    muon = torch.optim.Muon(
        [alone[0].weight], lr=0.01, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
    )
    before = _values(network)
    for k in range(5):
        x, y = _batch(k)
        for net, steps in ((network, [optimizer.step]), (alone, [adam.step, muon.step])):
            net.zero_grad()
            mse_loss(net(x), y).backward()
            for step in steps:
                step()
    for name, value in _values(network).items():
        torch.testing.assert_close(value, alone.get_parameter(name), rtol=1e-6, atol=1e-7)
        assert (value - before[name]).abs().max() > 1e-3


def test_parts_have_the_parameters_that_they_should():
    network = _network()
    muon, adam = _optimizer(network).parts
    assert isinstance(muon, torch.optim.Muon)
    assert isinstance(adam, torch.optim.AdamW)
    names = {id(p): name for name, p in network.named_parameters()}
    owned = [
        {names[id(p)] for group in part.param_groups for p in group["params"]}
        for part in (muon, adam)
    ]
    assert owned == [{"0.weight"}, {"0.bias", "2.weight", "2.bias"}]


def test_training_lowers_a_loss():
    network = _network()
    x, _ = _batch(0)
    y = torch.tanh(x[:, :3] - x[:, 3:])
    optimizer = _optimizer(network, lr=0.03)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        losses.append(mse_loss(network(x), y))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]


# ---------------------------------------------------------------- learning rates and states


def _saved(optimizer):
    """The state, through a file as pretraining writes it."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_learning_rates_are_set_through_the_groups():
    network = _network()
    optimizer = _optimizer(network)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]
    _steps(network, optimizer, [0])
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = _values(network)
    _steps(network, optimizer, [1, 2])
    for name, value in _values(network).items():
        assert torch.equal(value, before[name]), name


def test_learning_rates_are_set_through_the_groups_of_a_loaded_state():
    network = _network()
    optimizer = _optimizer(network)
    _steps(network, optimizer, [0])
    optimizer.load_state_dict(_saved(optimizer))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = _values(network)
    _steps(network, optimizer, [1, 2])
    for name, value in _values(network).items():
        assert torch.equal(value, before[name]), name
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    _steps(network, optimizer, [3])
    for name, value in _values(network).items():
        assert not torch.equal(value, before[name]), name


def test_a_loaded_state_brings_its_learning_rate():
    optimizer = _optimizer(_network())
    for group in optimizer.param_groups:
        group["lr"] = 0.005
    other = _optimizer(_network())
    other.load_state_dict(_saved(optimizer))
    assert [group["lr"] for group in other.param_groups] == [0.005, 0.005]


def test_gradients_are_cleared_after_a_state_is_loaded():
    network = _network()
    optimizer = _optimizer(network)
    optimizer.load_state_dict(_saved(optimizer))
    mse_loss(network(_batch(0)[0]), _batch(0)[1]).backward()
    assert all(p.grad is not None for p in network.parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in network.parameters())


def test_a_saved_state_goes_on_to_the_same_parameters():
    whole = _network()
    optimizer = _optimizer(whole)
    _steps(whole, optimizer, range(3))
    weights, state = _values(whole), _saved(optimizer)
    _steps(whole, optimizer, range(3, 6))

    resumed = _network()
    resumed.load_state_dict(weights)
    optimizer = _optimizer(resumed)
    optimizer.load_state_dict(state)
    _steps(resumed, optimizer, range(3, 6))
    _assert_same(resumed, whole)

    forgetful = _network()
    forgetful.load_state_dict(weights)
    _steps(forgetful, _optimizer(forgetful), range(3, 6))
    for name, value in _values(forgetful).items():
        assert not torch.equal(value, whole.get_parameter(name)), name


# ---------------------------------------------------------------- closures


def test_a_closure_is_called_once_and_its_loss_returned():
    network, plain = _network(), _network()
    optimizer = _optimizer(network)
    losses = []

    def closure():
        optimizer.zero_grad()
        x, y = _batch(0)
        losses.append(mse_loss(network(x), y))
        losses[-1].backward()
        return losses[-1]

    assert optimizer.step(closure) is losses[0]
    assert len(losses) == 1
    _steps(plain, _optimizer(plain), [0])
    _assert_same(network, plain)


def test_skorch_trains_with_it():
    batches = [_batch(k) for k in range(4)]
    net = NeuralNet(
        _network,
        criterion=nn.MSELoss,
        optimizer=MuonAdamW,
        optimizer__param_groups=[(name, {"hidden": True}) for name in sorted(HIDDEN)],
        optimizer__weight_decay=SETTINGS["weight_decay"],
        optimizer__betas=SETTINGS["betas"],
        lr=SETTINGS["lr"],
        iterator_train__batch_size=None,
        train_split=None,
        verbose=0,
    ).initialize()
    net.fit_loop(_Batches(batches), epochs=1)
    plain = _network()
    _steps(plain, _optimizer(plain), range(4))
    _assert_same(net.module_, plain)


class _Batches(torch.utils.data.IterableDataset):
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)
