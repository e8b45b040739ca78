"""Features by name: what networks are told, in the order that weights were learned in."""

import math

import pytest
import torch

import sklearn_pttf._kinds.counts.features as of_counts
import sklearn_pttf._kinds.demand.features as of_demand
import sklearn_pttf._kinds.prices.features as of_prices
import sklearn_pttf._kinds.values.features as of_values
from sklearn_pttf import NetworkConfig
from sklearn_pttf._kinds.features import order_statistics, side_by_side
from sklearn_pttf._kinds.prices.head import OF_ROW
from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf._tables.evidence import Evidence

NAN = math.nan
MODULES = {"demand": of_demand, "values": of_values, "counts": of_counts, "prices": of_prices}
TINY = {"width": 16, "n_layers": 1, "n_tokens": 4, "n_heads": 2, "observation_width": 8}
COUNTS = [[2.0, 4.0, 0.0], [3.0, NAN, NAN], [NAN, NAN, NAN], [1.0, 0.0, 0.0]]


def _read(kind, whole=1.0):
    """Rows and units of `COUNTS`, each sold at prices 2, 3 and 4 where there are prices."""
    observations = torch.tensor(COUNTS, dtype=torch.float64)[None]
    prices = torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64).expand(1, len(COUNTS), 3)
    evidence = Evidence(observations, prices=prices if kind == "prices" else None)
    kind, weights = KINDS[kind], observations.new_ones(1, len(COUNTS))
    rows = kind.rows(evidence)
    units = kind.units([rows], [weights], observations.new_full((1, 1), whole))
    return kind.placed(rows, units), units


def _by_name(kind, group):
    """Features of `COUNTS` by their names; the network is told the same, side by side."""
    rows, units = _read(kind)
    of_group = getattr(KINDS[kind], f"{group}_features")
    features = of_group(units) if group == "portfolio" else of_group(rows, units)
    names = getattr(MODULES[kind], f"{group.upper()}_FEATURES")
    assert features.shape[-1] == len(names)
    return dict(zip(names, features[0].unbind(-1), strict=True))


@pytest.mark.parametrize("group", ["cell", "row", "portfolio"])
@pytest.mark.parametrize("kind", MODULES)
def test_every_feature_has_a_name_of_its_own(kind, group):
    named = _by_name(kind, group)
    names = getattr(MODULES[kind], f"{group.upper()}_FEATURES")
    assert len(named) == len(names) == getattr(KINDS[kind], f"n_{group}_features")
    assert all(values.isfinite().all() for values in named.values())


def test_features_of_rows_by_name():
    demand, counts = _by_name("demand", "row"), _by_name("counts", "row")
    for named in (demand, counts):
        assert named["empty"].tolist() == [0, 0, 1, 0]
    assert demand["zero_share"].tolist() == pytest.approx([1 / 3, 0, 0, 2 / 3])
    assert demand["n_seen"].exp().tolist() == pytest.approx([4, 2, 1, 4])
    assert counts["total"].tolist() == pytest.approx([math.log1p(n) / 2 for n in (6, 3, 0, 1)])
    assert counts["zero"].tolist() == [0, 0, 1, 0]
    assert counts["one"].tolist() == [0, 0, 0, 1]
    values = _by_name("values", "row")
    assert values["known"].tolist() == [0] * 4
    assert values["one_over_seen"].tolist() == pytest.approx([1 / 3.5, 1 / 1.5, 2, 1 / 3.5])
    low = _by_name("prices", "row")["low"]  # of the lowest price over the geometric mean, twice
    assert low[0].item() == pytest.approx(2 * math.log(2 / 24 ** (1 / 3)))


def test_features_of_cells_by_name():
    zero = _by_name("demand", "cell")["zero"]  # sorted; a missing cell counts as one
    assert zero.tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]]
    x = _by_name("prices", "cell")["x"][1]  # one pair, at the row's usual price
    assert x[0].item() == pytest.approx(0, abs=1e-9)


def test_features_of_portfolios_by_name():
    assert _by_name("demand", "portfolio")["zero_share"].item() == pytest.approx(3 / 7)
    assert _by_name("values", "portfolio")["known"].item() == 0
    unused = _by_name("counts", "portfolio")["segment_weight_2_of_2"]  # there is no third of two
    assert unused.item() == pytest.approx(0, abs=1e-20)
    single = _by_name("prices", "portfolio")["single_share"].item()
    assert single == pytest.approx(1 / 3)  # of three rows with pairs, one has one price


def test_order_statistics_by_hand():
    values = torch.tensor([[[1.0, 2.0, 4.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    found = order_statistics(values, torch.tensor([[3.0, 1.0, 0.0]]))[0]
    by_hand = [1 + 2 * k / 7 if k < 3.5 else 2 + 2 * (2 * k / 7 - 1) for k in range(8)]
    assert found[0].tolist() == pytest.approx(by_hand, abs=1e-6)
    assert found[1].tolist() == [5] * 8
    assert found[2].tolist() == [0] * 8


def test_features_stand_in_the_order_of_their_names():
    features = of_values.CellFeatures(*torch.arange(12.0).view(4, 3))
    assert side_by_side(features).tolist() == [[k, 3 + k, 6 + k, 9 + k] for k in range(3)]


@pytest.mark.parametrize(
    ("kind", "n_laws"), [("demand", 1), ("prices", 1), ("values", 2), ("counts", 2)]
)
def test_numbers_of_heads_have_names(kind, n_laws):
    head = DecisionNetwork(NetworkConfig(outcomes=kind, n_knots=5, **TINY)).head
    n_outputs = head.mlp[-1].out_features
    assert n_outputs == len(head.numbers_type._fields) + 4 * n_laws
    outputs = torch.arange(float(n_outputs)).expand(1, 2, -1)
    numbers, *rises = head.split(outputs)
    for name, number in numbers._asdict().items():
        assert number.tolist() == [[head.place_of(name)] * 2]
    assert len(rises) == n_laws
    assert rises[-1][0, 0].tolist() == list(range(n_outputs - 4, n_outputs))


def test_what_heads_start_with():
    head = DecisionNetwork(NetworkConfig(outcomes="prices", n_knots=5, **TINY)).head
    bias = head.mlp[-1].bias.tolist()
    assert bias == [0, 0, 0, 0, 0, -1, 0] + [-1] * 4  # the share of zeros, and increments
    assert head.place_of("zeros") == 5
    assert head.of_row.nonzero().flatten().tolist() == [head.place_of(name) for name in OF_ROW]
