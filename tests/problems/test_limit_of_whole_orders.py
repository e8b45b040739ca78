"""Whole orders that share a limit: against all orders there are, and a bound on the optimum."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import LognormalLaw, NegativeBinomialLaw, PoissonLaw, RoundedLaw
from sklearn_pttf.problems import Newsvendor, _limit
from support.limits import (
    limited_rows,
    random_limited_rows,
    solved_within,
    total_cost,
    used_of_limit,
)

MANY = settings(max_examples=60, deadline=None)
FEW = settings(max_examples=30, deadline=None)
TOP = 4  # largest outcome of small cases


@st.composite
def small_cases(draw, equal=False):
    """Up to five rows of atoms from 0 to 4, and a limit that their lower bounds keep."""
    n = draw(st.integers(1, 5))

    def each(values):
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=float)

    atoms = draw(
        st.lists(st.lists(st.integers(0, TOP), min_size=3, max_size=3), min_size=n, max_size=n)
    )
    masses = draw(
        st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=3), min_size=n, max_size=n)
    )
    law = WeightedAtoms(np.array(atoms, dtype=float), np.array(masses, dtype=float))
    weight = st.sampled_from([0.1, 0.3, 1.0, 1.5, 2.0, 3.0, 7.0])
    weights = np.full(n, draw(weight)) if equal else each(weight)
    bounds = {}
    if draw(st.booleans()):
        lower = each(st.sampled_from([0.0, 0.0, 0.4, 1.0, 2.0]))
        bounds = {"lower": lower, "upper": lower + each(st.sampled_from([0.7, 1.0, 2.0, np.inf]))}
    portfolio = limited_rows(each(st.integers(1, 9)), each(st.integers(1, 9)), weights, **bounds)
    least = weights @ np.ceil(bounds.get("lower", np.zeros(n)))
    limit = least + draw(st.sampled_from([0.0, 0.1, 0.6, 1.0, 2.5, 4.0, 6.0, 9.0, 20.0, 100.0]))
    return law, portfolio, limit


def _enumerated(law, portfolio):
    """Total costs, and what is used of the limit, of all orders within the bounds."""
    weights, bounds = portfolio.constraints["limit_weights"], portfolio.constraints
    costs, used = [], []
    for row in range(len(portfolio)):
        orders = np.arange(0.0, 8.0)
        lower, upper = bounds.get("lower", np.zeros(5)), bounds.get("upper", np.full(5, np.inf))
        orders = orders[(orders >= lower[row]) & (orders <= upper[row])]
        short = np.maximum(law.atoms[row] - orders[:, None], 0) @ law.weights[row]
        over = np.maximum(orders[:, None] - law.atoms[row], 0) @ law.weights[row]
        under_cost, over_cost = (portfolio.costs[name][row] for name in ("underage", "overage"))
        costs.append(under_cost * short + over_cost * over)
        used.append(weights[row] * orders)
    return reduce(np.add.outer, costs).ravel(), reduce(np.add.outer, used).ravel()


def _best(costs, used, limit):
    return costs[used <= limit * (1 + 1e-9) + 1e-12].min()


@MANY
@given(small_cases())
def test_whole_numbers_against_all_orders(case):
    law, portfolio, limit = case
    orders, info = solved_within(limit, law, portfolio)
    assert_array_equal(orders, np.rint(orders))
    assert np.all(orders >= portfolio.constraints.get("lower", 0.0))
    assert np.all(orders <= portfolio.constraints.get("upper", np.inf))
    assert used_of_limit(orders, portfolio) <= limit * (1 + 1e-9)
    assert_allclose(info["used"], used_of_limit(orders, portfolio), atol=1e-12)
    cost, best = total_cost(orders, law, portfolio), _best(*_enumerated(law, portfolio), limit)
    assert cost >= best - 1e-9
    assert info["dual_bound"] <= best + 1e-9
    step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
    assert cost <= info["dual_bound"] + step + 1e-9


@MANY
@given(small_cases(equal=True))
def test_equal_weights_are_exact_and_the_price_is_what_one_more_unit_saves(case):
    law, portfolio, limit = case
    orders, info = solved_within(limit, law, portfolio)
    costs, used = _enumerated(law, portfolio)
    assert_allclose(total_cost(orders, law, portfolio), _best(costs, used, limit), atol=1e-9)
    weight = portfolio.constraints["limit_weights"][0]
    saved = _best(costs, used, limit) - _best(costs, used, limit + weight)
    assert_allclose(info["shadow_price"] * weight, saved, atol=1e-9)


@FEW
@given(small_cases(), st.floats(0, 30))
def test_a_higher_limit_costs_no_more_and_has_no_higher_price(case, more):
    law, portfolio, limit = case
    _, tight = solved_within(limit, law, portfolio)
    _, loose = solved_within(limit + more, law, portfolio)
    assert loose["shadow_price"] <= tight["shadow_price"] + 1e-9
    assert loose["dual_bound"] <= tight["dual_bound"] + 1e-9


def test_orders_by_hand():
    # atoms 0, 2, 4: the first two units save u - (u + o) / 3, the next two u - 2 (u + o) / 3
    law = WeightedAtoms(np.tile([0.0, 2.0, 4.0], (2, 1)))
    portfolio = limited_rows([5.0, 8.0], [1.0, 1.0])  # 3, 3, 1, 1 and 5, 5, 2, 2
    found = {limit: solved_within(limit, law, portfolio) for limit in (0, 1, 3, 5, 6, 8, 9)}
    orders = {limit: each[0].tolist() for limit, each in found.items()}
    assert orders == {
        0: [0, 0], 1: [0, 1], 3: [1, 2], 5: [2, 3], 6: [2, 4], 8: [4, 4], 9: [4, 4]
    }  # fmt: skip
    prices = [info["shadow_price"] for _, info in found.values()]
    assert_allclose(prices, [5, 5, 3, 2, 1, 0, 0], atol=1e-12)
    assert [info["used"] for _, info in found.values()] == [0, 1, 3, 5, 6, 8, 8]
    assert [info["limit"] for _, info in found.values()] == [0, 1, 3, 5, 6, 8, 9]


def test_what_is_left_is_filled_with_units_that_fit():
    # a unit saves 9, 8 and 1 of its row; the second does not fit beside the first
    law = WeightedAtoms(np.ones((3, 1)))
    portfolio = limited_rows([9.0, 8.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.5, 1.0])
    orders, info = solved_within(2, law, portfolio)
    assert_array_equal(orders, [1, 0, 1])
    assert_allclose(info["shadow_price"], 8 / 1.5)
    assert_allclose(info["dual_bound"], 8 + 1 - 8 / 1.5)  # of orders (1, 0, 0), less what is left


def test_units_that_add_up_by_rounding_fit():
    law = WeightedAtoms(np.full((3, 1), 1.0))
    assert 0.1 + 0.1 + 0.1 > 0.3
    orders, _ = solved_within(0.3, law, limited_rows([1.0] * 3, [1.0] * 3, 0.1))
    assert_array_equal(orders, [1, 1, 1])


@pytest.mark.parametrize("few", [0, 7])
@pytest.mark.parametrize("equal", [True, False])
def test_many_units_are_narrowed_down_to_the_same_price(monkeypatch, few, equal):
    law = PoissonLaw(np.random.default_rng(0).gamma(2.0, 10.0, 60))
    portfolio = random_limited_rows(60, 0, integer=True)
    if equal:
        portfolio = limited_rows(*portfolio.costs.values(), 1.5)
    found = {limit: solved_within(limit, law, portfolio) for limit in (100.0, 700.0, 1500.0)}
    monkeypatch.setattr(_limit, "FEW_UNITS", few)
    for limit, (orders, info) in found.items():
        again, again_info = solved_within(limit, law, portfolio)
        for name in ("shadow_price", "dual_bound"):
            assert again_info[name] == pytest.approx(info[name], rel=1e-9)
        assert used_of_limit(again, portfolio) <= limit * (1 + 1e-9)
        step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
        assert total_cost(again, law, portfolio) <= info["dual_bound"] + step
        if equal:
            assert_array_equal(again, orders)


def test_many_equal_rows_share_what_is_there():
    # 1,000 rows whose units are worth the same: as many units as there are
    law = PoissonLaw(np.full(1000, 5.0))
    portfolio = limited_rows(np.full(1000, 4.0), np.ones(1000))
    orders, info = solved_within(3500, law, portfolio)
    assert orders.sum() == 3500
    assert set(orders) == {3, 4}
    assert_allclose(info["shadow_price"], 4 - 5 * PoissonLaw(5.0).cdf(3.0)[0])


WHOLE = {
    "poisson": PoissonLaw(np.linspace(1.0, 90.0, 40)),
    "negative binomial": NegativeBinomialLaw(np.linspace(0.3, 9.0, 40), 0.1),
    "rounded": RoundedLaw(LognormalLaw(np.linspace(0.0, 4.0, 40), 0.8)),
    "grid": QuantileGrid(
        np.linspace(0.0, 90.0, 40)[:, None] + 4 * logit(np.linspace(0.02, 0.98, 9)),
        np.linspace(0.02, 0.98, 9),
        integer=True,
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_number_laws_are_within_a_unit_of_the_bound(name):
    law, portfolio = WHOLE[name], random_limited_rows(40, 1, integer=True)
    free = Newsvendor().solve(law, portfolio)
    for share in (0.0, 0.2, 0.7, 0.99):
        limit = share * used_of_limit(free, portfolio)
        orders, info = solved_within(limit, law, portfolio)
        assert_array_equal(orders, np.rint(orders))
        assert (orders <= free).all()
        left = limit - used_of_limit(orders, portfolio)
        assert left >= -1e-9 * limit
        assert left < portfolio.constraints["limit_weights"][orders < free].min()
        step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
        assert info["dual_bound"] <= total_cost(orders, law, portfolio) + 1e-9
        assert total_cost(orders, law, portfolio) <= info["dual_bound"] + step + 1e-9
