"""No tensor stays on the CPU while a network on another device trains and reads.

Fake tensors have a shape and a device but no numbers, and refuse to mix devices; so this needs
no other device. They are put on "meta", where no tensor lands unless it is told to. Tensors of no
dimension may mix with any device, as torch lets them.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode

from sklearn_pttf import PretrainedDecisionTransformer, PricingPrior, SyntheticPrior, pretrain
from sklearn_pttf._kinds import mixing, normal_means
from sklearn_pttf._kinds.counts import mixing as counts_mixing
from sklearn_pttf._kinds.counts import units as counts_units
from sklearn_pttf._kinds.head import Head
from sklearn_pttf._kinds.prices import curves
from sklearn_pttf._kinds.prices import units as price_units
from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._kinds.values import units as values_units
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._priors.sampling import Random
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._training import optimizer
from sklearn_pttf._training import pretrain as pretraining
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf.datasets import load_horse_kicks
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, LoRAFinetune
from sklearn_pttf.finetune import _base as finetuning
from sklearn_pttf.finetune import _data as batches
from sklearn_pttf.finetune._data import FinetuneData
from sklearn_pttf.finetune._replay import Replay
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing

N_ROWS, N_CELLS = 12, 3
DEVICE = "meta"
MIXED = "at least two devices|Mismatching .* device"
OUTCOMES = ("demand", "values", "counts", "prices")
PROBLEMS = {
    "demand": Newsvendor(),
    "values": Estimation(),
    "counts": Estimation(noise="poisson"),
    "prices": Pricing([0, 1, 2], [3, 4, 5], unit_cost=4.0, bounds=(6.0, 20.0)),
}
SETTINGS = TrainingSettings(n_steps=1, rows=N_ROWS, n_outcomes=3, round_steps=1, warmup=0.1)
LESS = (  # steps and batches, all alike, that would take long
    (mixing, "N_STEPS", 2),
    (normal_means, "N_NEWTON", 2),
    (counts_mixing, "N_SEGMENT_STEPS", 2),
    (counts_units, "N_HALVINGS", 2),
    (price_units, "N_STEPS", 2),
    (values_units, "N_REFINEMENTS", 1),
    (pretraining, "N_VALIDATION_STEPS", 1),
    (finetuning, "MAX_PASSES", 2),
    (batches, "N_VALIDATION_TURNS", 1),
)


class _Source:
    """What stands for a generator on the device, where torch has none."""

    def __init__(self, device):
        self.device = torch.device(device)

    def manual_seed(self, seed):
        return self


def _random(self, source):
    self.generator, self.device = None, source.device


class _AllRows(TorchFunctionMode):
    """Masks, of which fake tensors cannot tell where they hold, hold everywhere."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.nonzero:
            return torch.ones_like(args[0], dtype=torch.long).flatten().cumsum(0).unsqueeze(-1)
        if func is torch.Tensor.__getitem__ and _is_mask(args[1]):
            values, mask = args
            return values.flatten(0, mask.ndim - 1)[_everywhere(mask)[0]]
        if func is torch.Tensor.index_put and _is_mask(args[1][0]):
            values, (mask,), new = args
            flat = values.flatten(0, mask.ndim - 1).index_put(_everywhere(mask), new)
            return flat.view_as(values)
        return func(*args, **(kwargs or {}))


def _is_mask(index):
    return isinstance(index, torch.Tensor) and index.dtype == torch.bool and index.ndim > 0


def _everywhere(mask):
    return (mask.flatten().long(),)


def _copied(self, memo):
    """A copy that, other than torch's, does not copy the mode with it."""
    copy = self.detach().clone()
    return torch.nn.Parameter(copy, self.requires_grad) if self.is_leaf else copy


class _Unfused(torch.optim.AdamW):
    def __init__(self, *args, fused=None, **kwargs):
        super().__init__(*args, **kwargs)


def _unless_there(to):
    """Modules that are on the device stay as they are: fake parameters cannot move."""

    def wrapped(self, *args):
        there = all(p.device.type == DEVICE for p in (*self.parameters(), *self.buffers()))
        return self if there else to(self, *args)

    return wrapped


def _real(init):
    """Networks are built of real tensors, which can move to the device."""

    def wrapped(self, config):
        with unset_fake_temporarily():
            init(self, config)

    return wrapped


def _answer(monkeypatch, yes):
    """Fake tensors answer, the same always, where code asks for their numbers."""
    monkeypatch.setattr(FakeTensor, "__bool__", lambda self: yes, raising=False)
    monkeypatch.setattr(FakeTensor, "__int__", lambda self: 2, raising=False)
    monkeypatch.setattr(FakeTensor, "item", lambda self: 1.0, raising=False)
    monkeypatch.setattr(Replay, "_sizes", lambda self, inputs: inputs["observations"][..., 0])


def _draw_on_the_device(monkeypatch):
    there = SimpleNamespace(**{**vars(torch), "Generator": _Source})
    monkeypatch.setattr(pretraining, "torch", there)
    monkeypatch.setattr(Random, "__init__", _random)
    monkeypatch.setattr(PriorDraws, "_seed", lambda *args: 0)


def _move_and_copy(monkeypatch):
    monkeypatch.setattr(DecisionNetwork, "__init__", _real(DecisionNetwork.__init__))
    monkeypatch.setattr(torch.nn.Module, "to", _unless_there(torch.nn.Module.to))
    monkeypatch.setattr(FakeTensor, "__deepcopy__", _copied, raising=False)


@pytest.fixture
def outcomes(request, monkeypatch):
    """A kind of outcomes, while all tensors are fake; after ", no" their answers are no."""
    name, *no = request.param.split(", ")
    curves._spline_weights(), curves._fine_roots()  # they are kept, and so must be real
    _answer(monkeypatch, not no)
    _draw_on_the_device(monkeypatch)
    _move_and_copy(monkeypatch)
    monkeypatch.setattr(torch.optim, "AdamW", _Unfused)
    monkeypatch.setattr(optimizer, "AdamW", _Unfused)
    for module, number, less in LESS:
        monkeypatch.setattr(module, number, less)
    with FakeTensorMode(allow_non_fake_inputs=True), _AllRows():
        yield name


def of_kinds(*names):
    return pytest.mark.parametrize("outcomes", names, indirect=True)


def small(outcomes):
    return NetworkConfig(outcomes=outcomes, width=8, n_layers=1, n_tokens=2, observation_width=8)


def prior_of(outcomes):
    sizes = {"n_instances": (N_ROWS, N_ROWS), "n_observations": (N_CELLS, N_CELLS)}
    if outcomes == "prices":
        return PricingPrior(demand=SyntheticPrior(**sizes))
    return KINDS[outcomes].prior(**sizes)


def pretrained(outcomes):
    """The network that a step of pretraining gives."""
    asked = prior_of(outcomes), PROBLEMS[outcomes], small(outcomes), SETTINGS
    net, _ = pretraining._train(pretraining._Run(*asked, None, DEVICE), None, None, 0)
    return net.module_


def table(outcomes):
    """Rows to finetune on, of which nothing is on the device yet."""
    rng = np.random.default_rng(0)
    cells, row = rng.poisson(5.0, (N_ROWS, N_CELLS)).astype(float), np.ones(N_ROWS)
    beside = {"errors": row} if outcomes == "values" else {}
    if outcomes == "prices":
        beside = {"prices": 1.0 + cells, "posted": row}
    evidence = Evidence(cells, **beside)
    return FinetuneData(evidence, None, row / 2, row, row, outcomes == "counts")


def chunk(outcomes):
    """Evidence as `encode_context` takes it, on the device."""
    cells = torch.empty(N_ROWS, N_CELLS, dtype=torch.float64, device=DEVICE)
    row = cells[:, 0]
    beside = {
        "values": {"errors": row},
        "counts": {"exposure": cells},
        "prices": {"prices": cells, "posted": row},
    }
    return Evidence(cells, **beside.get(outcomes, {}))


@of_kinds(*OUTCOMES, "values, no")
def test_pretraining(outcomes):
    assert {p.device.type for p in pretrained(outcomes).parameters()} == {DEVICE}


@of_kinds(*OUTCOMES, "values, no")
def test_reading(outcomes):
    network = DecisionNetwork(small(outcomes)).to(DEVICE, torch.float64)
    with torch.no_grad():
        context = network.encode_context([chunk(outcomes)] * 2, True)
        output = network.predict_rows(chunk(outcomes), context)
    assert {x.device.type for x in (*context.units, *context.tokens)} == {DEVICE}
    assert output.outcome_quantiles().device.type == DEVICE


@pytest.mark.parametrize(
    ("strategy", "outcomes"),
    [
        *((FullFinetune(max_epochs=1, anchor=0.1), name) for name in OUTCOMES),
        # layers that all kinds have, and those of prices
        *((LoRAFinetune(max_epochs=1), name) for name in ("demand", "prices")),
        (HeadFinetune(max_epochs=1, replay=0.5), "demand"),
    ],
    indirect=["outcomes"],
)
def test_finetuning(strategy, outcomes):
    network, rows = DecisionNetwork(small(outcomes)).to(DEVICE), np.arange(N_ROWS)
    split, prior = (rows[4:], rows[:4]), prior_of(outcomes)
    done = strategy.train(network, PROBLEMS[outcomes], table(outcomes), *split, 0, DEVICE, prior)
    assert {p.device.type for p in done.network.parameters()} == {DEVICE}


# ------------------------------------------------------------------ what they would find


def _plain(self, name, tensor, persistent=True):
    """A constant that does not move with its module."""
    self.__dict__[name] = tensor


@of_kinds("demand")
@pytest.mark.parametrize("module", [Head, PortfolioLoss])
def test_a_constant_that_does_not_move_is_found(outcomes, module, monkeypatch):
    monkeypatch.setattr(module, "register_buffer", _plain)
    with pytest.raises(RuntimeError, match=MIXED):
        pretrained(outcomes)


@of_kinds("demand")
def test_a_constant_without_a_device_is_found(outcomes, monkeypatch):
    monkeypatch.setattr(PortfolioLoss, "level_weights", lambda self: torch.ones(33))
    with pytest.raises(RuntimeError, match=MIXED):
        pretrained(outcomes)


@of_kinds("demand")
def test_a_draw_without_a_device_is_found(outcomes, monkeypatch):
    monkeypatch.setattr(Random, "uniform", lambda self, *shape: torch.rand(shape))
    with pytest.raises(RuntimeError, match=MIXED):
        pretrained(outcomes)


# ------------------------------------------------------------------ where there is a device

on_device = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@on_device
@pytest.mark.parametrize("name", OUTCOMES)
def test_pretraining_on_a_device(name):
    settings = {"network": small(name), "n_steps": 2, "rows": 50, "verbose": 0}
    made = pretrain(prior_of(name), PROBLEMS[name], device="cuda", **settings)
    assert np.isfinite(made.card["quality"]["validation_loss"])


@on_device
def test_finetuning_on_a_device():
    X = load_horse_kicks().data
    finetune = FullFinetune(max_epochs=1)
    estimator = PretrainedDecisionTransformer(finetune=finetune, device="cuda", random_state=0)
    assert np.isfinite(estimator.fit(X).decide(X)).all()


@on_device
def test_devices_agree():
    X, levels = load_horse_kicks().data, [0.1, 0.5, 0.9]
    cpu, gpu = (
        PretrainedDecisionTransformer(finetune=None, device=device).fit(X)
        for device in ("cpu", "cuda")
    )
    assert_allclose(gpu.predict_quantiles(X, levels), cpu.predict_quantiles(X, levels))
