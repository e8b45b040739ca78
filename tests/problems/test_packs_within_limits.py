"""Packs and least orders that share a limit: against all orders there are, and integer programs."""

from functools import reduce
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse

from sklearn_pttf import WeightedAtoms
from sklearn_pttf._laws.parametric import LognormalLaw, PoissonLaw
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor, PerRow, _packs
from support.limits import (
    FRAME,
    STORES,
    limited_rows,
    random_limited_rows,
    sharing_estimator,
    solved_within,
    total_cost,
    used_of_limit,
)

MANY = settings(max_examples=100, deadline=None)
FEW = settings(max_examples=25, deadline=None)
SHARE = 0.07  # of what the best orders save, that is missing in small cases at most


@st.composite
def small_cases(draw):
    """Up to five rows of atoms with packs, least orders and bounds, and a limit."""
    n = draw(st.integers(1, 5))

    def each(values):
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=float)

    atoms = np.stack([each(st.integers(-5, 40)) for _ in range(4)], axis=1)
    masses = np.stack([each(st.integers(1, 5)) for _ in range(4)], axis=1)
    pack = each(st.sampled_from([0.5, 1, 2, 3, 6, 12, 1.1]))
    lower = each(st.sampled_from([0, 0, 0, 2]))
    portfolio = limited_rows(
        each(st.integers(1, 9)),
        each(st.integers(1, 4)),
        each(st.sampled_from([0.1, 0.3, 1.0, 1.5, 2.0, 7.0])),
        pack=pack,
        minimum=each(st.sampled_from([0, 0, 1, 5])),
        lower=lower,
        upper=np.maximum(8 * pack, 12),
    )
    allowed = [_quantities(portfolio.take([row])) for row in range(n)]
    weights = portfolio.constraints["limit_weights"]
    least = sum(w * orders.min() for w, orders in zip(weights, allowed, strict=True))
    most = sum(w * orders.max() for w, orders in zip(weights, allowed, strict=True))
    limit = least * (1 + 1e-12) + draw(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.6, 1.0])) * most
    return WeightedAtoms(atoms, masses), portfolio, limit, allowed


def _quantities(row):
    pack, minimum, lower, upper = (
        row.constraints[name][0] for name in ("pack", "minimum", "lower", "upper")
    )
    orders = pack * np.arange(np.floor(upper / pack + 1e-9) + 1)
    enough = (orders == 0) | (orders >= max(minimum, lower) - 1e-9)
    return orders[enough & (orders >= lower - 1e-9)]


def _costs(law, portfolio, allowed):
    """Expected costs of every row's quantities; list of ndarray."""
    under, over = portfolio.costs["underage"], portfolio.costs["overage"]
    found = []
    for row, orders in enumerate(allowed):
        excess = law.take([row]).excess(orders[None, :])[0]
        left_over = orders - law.mean()[row] + excess
        found.append(under[row] * excess + over[row] * left_over)
    return found


@MANY
@given(small_cases())
def test_packs_against_all_orders(case):
    law, portfolio, limit, allowed = case
    orders, info = solved_within(limit, law, portfolio)
    for order, quantities in zip(orders, allowed, strict=True):
        assert np.abs(quantities - order).min() < 1e-9
    assert info["used"] <= max(limit, info["limit"])
    assert info["used"] == pytest.approx(used_of_limit(orders, portfolio))
    weights = portfolio.constraints["limit_weights"]
    used = reduce(np.add.outer, [w * q for w, q in zip(weights, allowed, strict=True)])
    costs = reduce(np.add.outer, _costs(law, portfolio, allowed))
    best, cost = costs[used <= limit * (1 + 1e-12)].min(), total_cost(orders, law, portfolio)
    assert cost >= best - 1e-9
    assert info["dual_bound"] <= best + 1e-9
    step = max(w * np.diff(q).max(initial=0) for w, q in zip(weights, allowed, strict=True))
    assert cost <= info["dual_bound"] + info["shadow_price"] * step + 1e-9


def test_small_cases_are_mostly_solved_exactly():
    above, rng = [], np.random.default_rng(0)
    for _ in range(150):
        n = rng.integers(2, 6)
        law = WeightedAtoms(rng.integers(0, 40, (n, 4)).astype(float))
        pack, weights = rng.choice([1.0, 2, 3, 6, 12], n), rng.choice([0.3, 1, 1.5, 2, 7], n)
        minimum = rng.choice([0.0, 5, 10], n)
        bounds = {"pack": pack, "minimum": minimum, "lower": np.zeros(n), "upper": 8 * pack}
        bounds["upper"] = np.maximum(bounds["upper"], 12.0)
        portfolio = limited_rows(rng.uniform(1, 9, n), rng.uniform(0.5, 4, n), weights, **bounds)
        allowed = [_quantities(portfolio.take([row])) for row in range(n)]
        used = reduce(np.add.outer, [w * q for w, q in zip(weights, allowed, strict=True)])
        limit = rng.uniform(0, 0.7) * used.max()
        orders, _ = solved_within(limit, law, portfolio)
        costs = reduce(np.add.outer, _costs(law, portfolio, allowed))
        best = costs[used <= limit].min()
        above.append((total_cost(orders, law, portfolio) - best) / (costs.flat[0] - best + 1e-9))
    assert np.mean(np.array(above) < 1e-9) > 0.95
    assert max(above) < SHARE
    assert np.mean(above) < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_packs_against_an_integer_program(seed):
    rng = np.random.default_rng(seed)
    law, n = PoissonLaw(rng.gamma(2.0, 10.0, 50)), 50
    packs = {"pack": rng.choice([1.0, 6, 12, 24], n), "minimum": rng.choice([0.0, 20, 40], n)}
    portfolio = random_limited_rows(n, seed, integer=True, **packs)
    weights = portfolio.constraints["limit_weights"]
    limit = [0.3, 0.5, 0.7, 0.9][seed] * used_of_limit(
        Newsvendor().solve(law, portfolio), portfolio
    )
    orders, info = solved_within(limit, law, portfolio)
    top = np.full(n, 120.0)
    whole = portfolio.with_constraints(portfolio.constraints | {"lower": 0 * top, "upper": top})
    allowed = [_quantities(whole.take([row])) for row in range(n)]
    costs, rows = np.concatenate(_costs(law, portfolio, allowed)), np.arange(n)
    rows, quantities = np.repeat(rows, [len(q) for q in allowed]), np.concatenate(allowed)
    one_each = sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))))
    used = (weights[rows] * quantities)[None, :]
    best = optimize.milp(
        costs,
        constraints=[
            optimize.LinearConstraint(one_each, 1, 1),
            optimize.LinearConstraint(used, ub=limit),
        ],
        integrality=np.ones(len(costs)),
        bounds=optimize.Bounds(0, 1),
        options={"mip_rel_gap": 1e-6},
    ).fun
    assert used_of_limit(orders, portfolio) <= limit
    assert info["dual_bound"] <= best * (1 + 1e-9)
    assert best * (1 - 2e-6) <= total_cost(orders, law, portfolio) <= best * 1.003


@FEW
@given(small_cases())
def test_least_orders_against_all_sets_of_rows(case):
    law, packed, limit, _ = case
    constraints = {k: v for k, v in packed.constraints.items() if k != "pack"}
    # where nothing is no choice, the limit is enough for the minimum as it is
    doubled = np.where(constraints["lower"] > 0, 1, 2)
    minimum = constraints["minimum"] = doubled * constraints["minimum"]
    portfolio = limited_rows(*packed.costs.values(), integer=False)
    portfolio = portfolio.with_constraints(constraints)
    lower, upper = constraints["lower"], constraints["upper"]
    orders, info = solved_within(limit, law, portfolio)
    assert np.all(((orders == 0) & (lower == 0)) | (orders >= np.maximum(lower, minimum)))
    assert np.all(orders <= upper)
    assert info["used"] <= limit * (1 + 1e-12)
    best, weights = np.inf, constraints["limit_weights"]
    for ordering in product([False, True], repeat=len(law)):
        ordering = np.array(ordering) | (lower > 0)
        least = np.where(ordering, np.maximum(lower, minimum), 0.0)
        if weights @ least > limit:
            continue
        bounds = {"limit_weights": weights, "lower": least, "upper": np.where(ordering, upper, 0.0)}
        alone, _ = solved_within(limit, law, portfolio.with_constraints(bounds))
        best = min(best, total_cost(alone, law, portfolio))
    cost = total_cost(orders, law, portfolio)
    assert cost >= best - 1e-6 * (1 + best)
    assert info["dual_bound"] <= best + 1e-6 * (1 + best)
    step = np.max(weights * np.maximum(minimum, lower))
    assert cost <= info["dual_bound"] + info["shadow_price"] * step + 1e-4 * (1 + best)


# ---- by hand


def test_packs_by_hand():
    # packs of 2 of the first row save 2 * 3, 2 * 1 and then nothing (atoms 0, 2, 4; costs 5 and 1);
    # of the second 2 * 5 and 2 * 2 (costs 8 and 1)
    law = WeightedAtoms(np.tile([0.0, 2.0, 4.0], (2, 1)))
    portfolio = limited_rows([5.0, 8.0], [1.0, 1.0], pack=[2.0, 2.0])
    found = {limit: solved_within(limit, law, portfolio) for limit in (0, 1, 2, 5, 6, 8, 9)}
    assert {limit: each[0].tolist() for limit, each in found.items()} == {
        0: [0, 0], 1: [0, 0], 2: [0, 2], 5: [2, 2], 6: [2, 4], 8: [4, 4], 9: [4, 4]
    }  # fmt: skip
    prices = [info["shadow_price"] for _, info in found.values()]
    assert_allclose(prices, [5, 5, 3, 2, 1, 0, 0], atol=1e-12)
    assert [info["used"] for _, info in found.values()] == [0, 0, 2, 4, 6, 8, 8]
    # within 5, one unit that is left would save 2
    assert found[5][1]["dual_bound"] == pytest.approx(
        total_cost(np.array([2, 2]), law, portfolio) - 2
    )


def test_one_pack_makes_room_for_another():
    # a unit saves 9, 8 and 1 of its row, where a pack of 3 is wanted: 5 are left
    law = WeightedAtoms(np.full((3, 1), 3.0))
    portfolio = limited_rows([9.0, 8.0, 1.0], np.ones(3), pack=[2.0, 3.0, 1.0], upper=[2.0, 3.0, 9])
    orders, info = solved_within(5, law, portfolio)
    assert_array_equal(orders, [2, 3, 0])
    assert info["shadow_price"] == 1
    # the first saves most a unit, but keeps the second from being ordered
    orders, _ = solved_within(4, law, portfolio)
    assert_array_equal(orders, [0, 3, 1])


def test_least_orders_by_hand():
    # amounts 4 of either row: nothing costs 4 u; 6 leaves 2 over
    law = WeightedAtoms(np.full((2, 1), 4.0))
    portfolio = limited_rows([5.0, 4.0], [1.0, 1.0], integer=False, minimum=[6.0, 3.0])
    assert_allclose(solved_within(20, law, portfolio)[0], [6, 4])
    assert_allclose(solved_within(9.5, law, portfolio)[0], [6, 3.5])
    assert_allclose(solved_within(8, law, portfolio)[0][0] % 6, 0)
    assert_allclose(solved_within(5, law, portfolio)[0], [0, 4])
    assert_allclose(solved_within(2, law, portfolio)[0], [0, 0])


def test_a_limit_that_rounding_exceeds_is_kept():
    # three packs of 0.1 add up to more than 0.3 in floats
    law = WeightedAtoms(np.full((3, 1), 1.0))
    portfolio = limited_rows([3.0, 2.0, 1.0], np.ones(3), 0.1, pack=np.ones(3))
    orders, info = solved_within(0.3, law, portfolio)
    assert_array_equal(orders, [1, 1, 0])
    assert info["used"] <= 0.3
    assert_array_equal(solved_within(0.31, law, portfolio)[0], [1, 1, 1])


@pytest.mark.parametrize("name", ["pack", "minimum"])
def test_limits_are_never_exceeded(name):
    rng = np.random.default_rng(3)
    law = LognormalLaw(rng.normal(2.0, 1.0, 40), 0.7)
    portfolio = random_limited_rows(40, 3, **{name: rng.uniform(0.1, 9.0, 40)})
    free = Newsvendor().solve(law, portfolio)
    for share in rng.uniform(0.02, 1.0, 8):
        limit = share * used_of_limit(free, portfolio)
        orders, info = solved_within(limit, law, portfolio)
        assert info["used"] <= limit
        assert np.all((orders == 0) | (orders >= portfolio.constraints[name] * (1 - 1e-12)))
        left = limit - info["used"]
        if name == "minimum" and info["shadow_price"] > 0:
            assert left <= 1e-9 * limit
        elif info["shadow_price"] > 0:
            packs = portfolio.constraints["limit_weights"] * portfolio.constraints["pack"]
            assert left < packs[orders < free].min()


def test_lower_bounds_in_packs_above_the_limit_are_refused():
    law = PoissonLaw(np.full(3, 5.0))
    portfolio = limited_rows(np.ones(3), np.ones(3), pack=[2.0, 3, 4], lower=np.full(3, 3.0))
    with pytest.raises(ValueError, match="limit is 10, but the lower bounds alone need 11: no"):
        solved_within(10, law, portfolio)
    assert_array_equal(solved_within(11, law, portfolio)[0], [4, 3, 4])


# ---- groups, and many packs


def test_groups_of_packs_are_solved_by_themselves():
    frame = FRAME.assign(store=STORES, box=np.resize([1.0, 4.0, 6.0, 10.0], 24))
    limits = {"north": PerRow(3.0), "south": 45, "east": 0}
    packs = {"pack": "box", "minimum": 3}
    saa = SampleAverage(sharing_estimator(limits, groups="store", **packs)).fit(frame)
    orders, info = saa.decide(frame, return_info=True)
    assert list(info.used) == ["east", "north", "south"]
    for label, limit in limits.items():
        rows = label == STORES
        alone = sharing_estimator(limit, **packs)
        again, again_info = saa.decide(frame[rows], problem=alone, return_info=True)
        assert_array_equal(orders[rows], again)
        for name in ("shadow_price", "used", "limit"):
            assert info[name][label] == pytest.approx(again_info[name])
        assert again_info.used <= again_info.limit
    assert_array_equal(orders % frame["box"], np.zeros(24))


def test_a_loose_limit_leaves_packs_as_they_are():
    frame = pd.DataFrame(FRAME.assign(box=np.resize([1.0, 4.0, 6.0], 24)))
    saa = SampleAverage(sharing_estimator(1e6, pack="box", minimum=5)).fit(frame)
    orders, info = saa.decide(frame, return_info=True)
    free = sharing_estimator(None, limit_weights=1.0, pack="box", minimum=5)
    assert_array_equal(orders, saa.decide(frame, problem=free))
    assert info.shadow_price == 0
    assert info.dual_bound == pytest.approx(info.expected_cost.sum())


@pytest.mark.parametrize("few", [0, 5])
def test_many_packs_are_narrowed_down_to_the_same_price(monkeypatch, few):
    rng = np.random.default_rng(0)
    law = PoissonLaw(rng.gamma(2.0, 20.0, 60))
    packs = {"pack": rng.choice([1.0, 3, 6], 60), "minimum": rng.choice([0.0, 8], 60)}
    portfolio = random_limited_rows(60, 0, integer=True, **packs)
    found = {limit: solved_within(limit, law, portfolio) for limit in (100.0, 700.0, 1500.0)}
    monkeypatch.setattr(_packs, "FEW_UNITS", few)
    monkeypatch.setattr("sklearn_pttf.problems._limit.FEW_UNITS", few)
    for limit, (_, info) in found.items():
        again, again_info = solved_within(limit, law, portfolio)
        for name in ("shadow_price", "dual_bound"):
            assert again_info[name] == pytest.approx(info[name], rel=1e-9)
        assert used_of_limit(again, portfolio) <= limit
        step = (portfolio.constraints["limit_weights"] * np.maximum(*packs.values())).max()
        assert total_cost(again, law, portfolio) <= info["dual_bound"] + info["shadow_price"] * step


def test_many_equal_rows_share_what_is_there(monkeypatch):
    monkeypatch.setattr(_packs, "FEW_UNITS", 100)
    monkeypatch.setattr("sklearn_pttf.problems._limit.FEW_UNITS", 100)
    # between its atoms 0 and 60 every pack of a row saves the same
    law = WeightedAtoms(np.tile([0.0, 60.0], (50, 1)))
    portfolio = limited_rows(np.full(50, 4.0), np.ones(50), pack=np.full(50, 6.0))
    orders, info = solved_within(1000, law, portfolio)
    assert info["used"] == 996
    assert set(orders) == {18, 24}
    assert info["shadow_price"] == pytest.approx(4 - 5 / 2)
