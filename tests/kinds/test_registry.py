"""Kinds of one's own: networks know them by name."""

import pickle
import sys
from abc import abstractmethod
from importlib import import_module, reload

import numpy as np
import pytest
import torch

from sklearn_pttf import (
    NetworkConfig,
    Portfolio,
    PretrainedDecisionTransformer,
    SyntheticPrior,
    pretrain,
    register_kind,
)
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.registry import KINDS, kind_of
from sklearn_pttf.finetune import HeadFinetune
from support.networks import fresh_checkpoint

TINY = {"width": 16, "n_layers": 1, "n_tokens": 4, "n_heads": 2, "observation_width": 8}


SOLD = np.array([[3.0, 5.0, 4.0], [0.0, 1.0, 0.0]])


class SalesPrior(SyntheticPrior):
    outcomes = "sales"


class Sales(Demand):
    name = title = "sales"
    prior = SalesPrior


def test_a_network_of_a_kind_of_ones_own_decides(monkeypatch):
    monkeypatch.setitem(KINDS, "sales", Sales)  # taken out again at the end
    assert register_kind(Sales) is Sales
    network = NetworkConfig(outcomes="sales", **TINY)
    checkpoint = pretrain(network=network, n_steps=1, rows=20, verbose=0, device="cpu")
    assert checkpoint.card["network"]["outcomes"] == "sales"
    pdt = PretrainedDecisionTransformer(checkpoint=checkpoint, finetune=None, device="cpu")
    assert pdt.fit([[3, 5, 4], [0, 1, 0]]).decide([[3, 5, 4]]).shape == (1,)


@pytest.mark.parametrize("name", ["demand", "real"])
def test_a_kind_needs_a_name_of_its_own(name, monkeypatch):
    monkeypatch.setattr(Sales, "name", name)
    with pytest.raises(ValueError, match=f"a name of its own; got '{name}'"):
        register_kind(Sales)
    assert KINDS["demand"] is Demand


@pytest.mark.parametrize("kind", [dict, "sales", None])
def test_only_kinds_are_registered(kind):
    with pytest.raises(ValueError, match="must be a subclass of Kind"):
        register_kind(kind)


def test_a_kind_that_lacks_something_is_refused():
    class Sales(Demand):
        name = "sales"
        row_features = abstractmethod(lambda rows, units: None)

    with pytest.raises(ValueError, match=r"^kind Sales lacks row_features\.$"):
        register_kind(Sales)


@pytest.fixture
def registered(monkeypatch):
    """Registers a kind until the test ends."""

    def register(kind):
        monkeypatch.setitem(KINDS, kind.name, kind)
        return register_kind(kind)

    return register


BAD = {
    "name": [3, "", " "],
    "title": [None, ""],
    "prior": [None, "SyntheticPrior", dict],
    "head": [None, dict],
    "units_type": [None],
    "baselines": [3, ("PooledRatio",), None],
    "reads": [("colour",), ("observations",), "exposure"],
    "alarms": [(3,)],
    "n_row_features": [None, 0, 2.5],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, bad in BAD.items() for v in bad])
def test_what_a_kind_cannot_have_is_named(name, value):
    kind = type("Odd", (Demand,), {"name": "odd", name: value})
    with pytest.raises(ValueError, match=f"^{name} of kind Odd must be .*; got ") as refused:
        register_kind(kind)
    assert str(refused.value).endswith(f"got {value!r}.")
    assert "odd" not in KINDS


@pytest.mark.parametrize("name", ["auto", "gaussian", "poisson", "price", "prices"])
def test_names_of_checkpoints_are_taken(name):
    with pytest.raises(ValueError, match=f"a name of its own; got '{name}'"):
        register_kind(type("Odd", (Demand,), {"name": name}))


@pytest.mark.parametrize("outcomes", [["demand"], None, "sales"])
def test_unknown_kinds_are_named(outcomes):
    with pytest.raises(ValueError, match="import") as refused:
        NetworkConfig(outcomes=outcomes)
    assert f"'series'; got {outcomes!r}. A kind of your own" in str(refused.value)


def test_a_kind_like_another_does_not_take_its_tables(registered):
    registered(Sales)
    assert kind_of(Portfolio(SOLD)) is Demand

    class Taking(Sales):
        name = "taking"

        @classmethod
        def is_of(cls, portfolio):
            return len(portfolio) == 2

    registered(Taking)
    assert kind_of(Portfolio(SOLD)) is Taking
    assert kind_of(Portfolio(SOLD[:1])) is Demand


def test_a_kind_may_have_no_baselines(registered):
    class Alone(Demand):
        name = "alone"
        baselines = ()

        @classmethod
        def is_of(cls, portfolio):
            return True

    registered(Alone)
    config = NetworkConfig(outcomes="alone", **TINY)
    pdt = PretrainedDecisionTransformer(
        checkpoint=fresh_checkpoint(config=config),
        finetune=HeadFinetune(max_epochs=1),
        device="cpu",
    ).fit(np.random.default_rng(0).poisson(4.0, (30, 4)))
    assert list(pdt.finetune_report_["candidate"]) == ["pretrained", "finetuned", "blend"]


def test_a_network_of_a_kind_takes_any_prior_of_its_class(registered):
    class Alike(Demand):
        name = "alike"

    registered(Alike)
    config = NetworkConfig(outcomes="alike", **TINY)
    settings = {"network": config, "n_steps": 1, "rows": 20, "verbose": 0, "device": "cpu"}
    checkpoint = pretrain(SyntheticPrior(level=(1.0, 9.0)), **settings)
    assert checkpoint.card["network"]["outcomes"] == "alike"
    assert checkpoint.card["prior"]["level"] == [1.0, 9.0]


@pytest.mark.parametrize("part", ["cell", "row", "portfolio"])
def test_the_function_whose_width_is_wrong_is_named(part, registered):
    name = f"n_{part}_features"
    width = getattr(Demand, name)
    registered(type("Narrow", (Demand,), {"name": "narrow", name: width - 1}))
    checkpoint = fresh_checkpoint(config=NetworkConfig(outcomes="narrow", **TINY))
    network = checkpoint.build_network()
    message = (
        rf"{part}_features of kind 'narrow' must give {name}={width - 1} features; got {width}\."
    )
    with pytest.raises(ValueError, match=message):
        network(torch.as_tensor(SOLD, dtype=torch.float32)[None], torch.ones(1))


MODULE = """
from sklearn_pttf import register_kind
from sklearn_pttf._kinds.demand.kind import Demand

{decorator}
class Other(Demand):
    name = "other"
    title = "other sales"
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A module that defines a kind, and registers it unless told otherwise."""
    decorator = getattr(request, "param", "@register_kind")
    (tmp_path / "other_sales.py").write_text(MODULE.format(decorator=decorator))
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("other_sales")
    KINDS.pop("other", None)
    sys.modules.pop("other_sales", None)


@pytest.mark.parametrize("module", ["@register_kind", ""], indirect=True)
def test_a_pickle_brings_its_kind_along(module):
    register_kind(module.Other)
    checkpoint = fresh_checkpoint(config=NetworkConfig(outcomes="other", **TINY))
    pdt = PretrainedDecisionTransformer(checkpoint=checkpoint, finetune=None, device="cpu")
    before = pdt.fit(SOLD).decide(SOLD)
    saved = pickle.dumps(pdt)
    del KINDS["other"], sys.modules["other_sales"]  # as in a new process
    again = pickle.loads(saved)
    assert KINDS["other"] is sys.modules["other_sales"].Other is not module.Other
    assert again.decide(SOLD).tolist() == before.tolist()
    assert again.checkpoint_.kind is KINDS["other"]


def test_a_reloaded_module_registers_its_kind_again(module):
    first = KINDS["other"]
    assert first is module.Other
    assert reload(module).Other is KINDS["other"] is not first
    with pytest.raises(ValueError, match="a name of its own; got 'other'"):
        register_kind(type("Another", (Demand,), {"name": "other"}))


def test_a_kind_made_inside_a_function_is_pickled_by_its_name(registered):
    class Local(Demand):
        name = "local"

    registered(Local)
    checkpoint = fresh_checkpoint(config=NetworkConfig(outcomes="local", **TINY))
    saved = pickle.dumps(checkpoint)
    assert pickle.loads(saved).kind is Local
    del KINDS["local"]
    with pytest.raises(ValueError, match="known once the module that registers it is imported"):
        pickle.loads(saved).build_network()
