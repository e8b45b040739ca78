"""Kinds of one's own: networks know them by name."""

from abc import abstractmethod

import pytest

from sklearn_pttf import NetworkConfig, PretrainedDecisionTransformer, pretrain, register_kind
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.demand.prior import SyntheticPrior
from sklearn_pttf._kinds.registry import KINDS

TINY = {"width": 16, "n_layers": 1, "n_tokens": 4, "n_heads": 2, "observation_width": 8}


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
