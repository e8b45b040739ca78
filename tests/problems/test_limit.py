"""Orders that share a limit: against all orders there are, linear programs, KKT conditions."""

import pickle
from functools import reduce

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_pttf import Checkpoint, Column, Portfolio, PretrainedDecisionTransformer, _mixin
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    PoissonLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import ParametricEmpiricalBayes, SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.metrics import decision_cost, make_decision_scorer, prescriptiveness, regret
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Newsvendor, PerRow, _limit

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)
FEW = settings(max_examples=30, deadline=None)
TOP = 4  # largest outcome of small cases


def _portfolio(under, over, weights=1.0, integer=True, **constraints):
    """Rows without evidence, with costs and constraints as they are read from X."""
    under, over = np.asarray(under, dtype=float), np.asarray(over, dtype=float)
    weights = np.broadcast_to(np.asarray(weights, dtype=float), under.shape)
    constraints = {name: np.asarray(value) for name, value in constraints.items()}
    return Portfolio(
        np.empty((len(under), 0)),
        {"underage": under, "overage": over},
        {"limit_weights": weights, **constraints},
        integer,
    )


def _random_rows(n, seed, integer=False, **constraints):
    rng = np.random.default_rng(seed)
    under, over, weights = rng.uniform(1, 9, n), rng.uniform(0.3, 3, n), rng.uniform(0.5, 3, n)
    return _portfolio(under, over, weights, integer, **constraints)


def _solve(limit, law, portfolio):
    return Newsvendor(limit=limit).solve_with_info(law, portfolio)


def _cost(orders, law, portfolio):
    return Newsvendor().expected_cost(orders, law, portfolio).sum()


def _used(orders, portfolio):
    return float(portfolio.constraints["limit_weights"] @ orders)


# ---- small portfolios: all orders there are


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
    portfolio = _portfolio(each(st.integers(1, 9)), each(st.integers(1, 9)), weights, **bounds)
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
    orders, info = _solve(limit, law, portfolio)
    assert_array_equal(orders, np.rint(orders))
    assert np.all(orders >= portfolio.constraints.get("lower", 0.0))
    assert np.all(orders <= portfolio.constraints.get("upper", np.inf))
    assert _used(orders, portfolio) <= limit * (1 + 1e-9)
    assert_allclose(info["used"], _used(orders, portfolio), atol=1e-12)
    cost, best = _cost(orders, law, portfolio), _best(*_enumerated(law, portfolio), limit)
    assert cost >= best - 1e-9
    assert info["dual_bound"] <= best + 1e-9
    step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
    assert cost <= info["dual_bound"] + step + 1e-9


@MANY
@given(small_cases(equal=True))
def test_equal_weights_are_exact_and_the_price_is_what_one_more_unit_saves(case):
    law, portfolio, limit = case
    orders, info = _solve(limit, law, portfolio)
    costs, used = _enumerated(law, portfolio)
    assert_allclose(_cost(orders, law, portfolio), _best(costs, used, limit), atol=1e-9)
    weight = portfolio.constraints["limit_weights"][0]
    saved = _best(costs, used, limit) - _best(costs, used, limit + weight)
    assert_allclose(info["shadow_price"] * weight, saved, atol=1e-9)


@FEW
@given(small_cases(), st.floats(0, 30))
def test_a_higher_limit_costs_no_more_and_has_no_higher_price(case, more):
    law, portfolio, limit = case
    _, tight = _solve(limit, law, portfolio)
    _, loose = _solve(limit + more, law, portfolio)
    assert loose["shadow_price"] <= tight["shadow_price"] + 1e-9
    assert loose["dual_bound"] <= tight["dual_bound"] + 1e-9


def test_orders_by_hand():
    # atoms 0, 2, 4: the first two units save u - (u + o) / 3, the next two u - 2 (u + o) / 3
    law = WeightedAtoms(np.tile([0.0, 2.0, 4.0], (2, 1)))
    portfolio = _portfolio([5.0, 8.0], [1.0, 1.0])  # 3, 3, 1, 1 and 5, 5, 2, 2
    found = {limit: _solve(limit, law, portfolio) for limit in (0, 1, 3, 5, 6, 8, 9)}
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
    portfolio = _portfolio([9.0, 8.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.5, 1.0])
    orders, info = _solve(2, law, portfolio)
    assert_array_equal(orders, [1, 0, 1])
    assert_allclose(info["shadow_price"], 8 / 1.5)
    assert_allclose(info["dual_bound"], 8 + 1 - 8 / 1.5)  # of orders (1, 0, 0), less what is left


def test_units_that_add_up_by_rounding_fit():
    law = WeightedAtoms(np.full((3, 1), 1.0))
    assert 0.1 + 0.1 + 0.1 > 0.3
    orders, _ = _solve(0.3, law, _portfolio([1.0] * 3, [1.0] * 3, 0.1))
    assert_array_equal(orders, [1, 1, 1])


@pytest.mark.parametrize("few", [0, 7])
@pytest.mark.parametrize("equal", [True, False])
def test_many_units_are_narrowed_down_to_the_same_price(monkeypatch, few, equal):
    law = PoissonLaw(np.random.default_rng(0).gamma(2.0, 10.0, 60))
    portfolio = _random_rows(60, 0, integer=True)
    if equal:
        portfolio = _portfolio(*portfolio.costs.values(), 1.5)
    found = {limit: _solve(limit, law, portfolio) for limit in (100.0, 700.0, 1500.0)}
    monkeypatch.setattr(_limit, "FEW_UNITS", few)
    for limit, (orders, info) in found.items():
        again, again_info = _solve(limit, law, portfolio)
        for name in ("shadow_price", "dual_bound"):
            assert again_info[name] == pytest.approx(info[name], rel=1e-9)
        assert _used(again, portfolio) <= limit * (1 + 1e-9)
        step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
        assert _cost(again, law, portfolio) <= info["dual_bound"] + step
        if equal:
            assert_array_equal(again, orders)


def test_many_equal_rows_share_what_is_there():
    # 1,000 rows whose units are worth the same: as many units as there are
    law = PoissonLaw(np.full(1000, 5.0))
    portfolio = _portfolio(np.full(1000, 4.0), np.ones(1000))
    orders, info = _solve(3500, law, portfolio)
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
    law, portfolio = WHOLE[name], _random_rows(40, 1, integer=True)
    free = Newsvendor().solve(law, portfolio)
    for share in (0.0, 0.2, 0.7, 0.99):
        limit = share * _used(free, portfolio)
        orders, info = _solve(limit, law, portfolio)
        assert_array_equal(orders, np.rint(orders))
        assert (orders <= free).all()
        left = limit - _used(orders, portfolio)
        assert left >= -1e-9 * limit
        assert left < portfolio.constraints["limit_weights"][orders < free].min()
        step = info["shadow_price"] * portfolio.constraints["limit_weights"].max()
        assert info["dual_bound"] <= _cost(orders, law, portfolio) + 1e-9
        assert _cost(orders, law, portfolio) <= info["dual_bound"] + step + 1e-9


# ---- continuous orders


LEVELS = expit(np.linspace(-7, 7, 33))
MIDDLES = np.linspace(5.0, 80.0, 40)
CONTINUOUS = {
    "logistic": QuantileGrid(MIDDLES[:, None] + 0.1 * MIDDLES[:, None] * logit(LEVELS), LEVELS),
    "cut at zero": QuantileGrid(MIDDLES[:, None] * (0.2 + logit(LEVELS)), LEVELS),
    "lognormal": LognormalLaw(np.log(MIDDLES), 0.6),
    "zero-inflated": ZeroInflatedLognormalLaw(np.log(MIDDLES), 0.6, np.linspace(0.0, 0.6, 40)),
    "normal": RectifiedNormalLaw(MIDDLES, 0.3 * MIDDLES),
    "mixture": MixtureLaw(
        [RectifiedNormalLaw(MIDDLES, 5.0), RectifiedNormalLaw(3 * MIDDLES, 9.0)],
        np.full((40, 2), 0.5),
    ),
}


def _check_kkt(orders, info, law, portfolio, lower=0.0, upper=np.inf):
    """Rows between their bounds have one price; below it at the lower, above it at the upper."""
    under, over = portfolio.costs["underage"], portfolio.costs["overage"]
    weights, price = portfolio.constraints["limit_weights"], info["shadow_price"]
    saving = (under - (under + over) * law.cdf(orders)) / weights
    before = (under - (under + over) * law.cdf(orders * (1 - 1e-9) - 1e-12)) / weights
    slack = 1e-4 * price + 1e-9
    assert np.all((saving <= price + slack) | (orders >= upper))
    assert np.all((before >= price - slack) | (orders <= np.maximum(lower, 0)))
    inside = (orders > lower) & (orders < upper) & (orders > 0)
    assert inside.any()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_orders_use_the_limit_up_at_one_price(name, share):
    law, portfolio = CONTINUOUS[name], _random_rows(40, 2)
    limit = share * _used(Newsvendor().solve(law, portfolio), portfolio)
    orders, info = _solve(limit, law, portfolio)
    assert_allclose(_used(orders, portfolio), limit, rtol=1e-12)
    assert_allclose([info["used"], info["limit"]], limit, rtol=1e-12)
    assert info["shadow_price"] > 0
    assert_allclose(info["dual_bound"], _cost(orders, law, portfolio), rtol=1e-9)
    _check_kkt(orders, info, law, portfolio)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_orders_within_bounds_and_a_limit(name):
    lower, upper = 0.3 * MIDDLES, 1.1 * MIDDLES
    lower[::3], upper[::4] = 0.0, np.inf
    law, portfolio = CONTINUOUS[name], _random_rows(40, 3, lower=lower, upper=upper)
    least, free = _used(lower, portfolio), Newsvendor().solve(law, portfolio)
    assert np.all((free >= lower) & (free <= upper))
    limit = 0.6 * least + 0.4 * _used(free, portfolio)
    orders, info = _solve(limit, law, portfolio)
    assert np.all((orders >= lower) & (orders <= upper))
    assert_allclose(_used(orders, portfolio), limit, rtol=1e-12)
    _check_kkt(orders, info, law, portfolio, lower, upper)
    # exactly what the lower bounds need
    orders, _ = _solve(least, law, portfolio)
    assert_allclose(orders, lower, atol=1e-6)


def test_the_price_of_a_logistic_portfolio():
    # equal rows at the order q: (u - (u + o) F(q)) / w
    law = QuantileGrid(np.tile(20 + 3 * logit(LEVELS), (5, 1)), LEVELS)
    orders, info = _solve(2 * 5 * 18, law, _portfolio([4.0] * 5, [1.0] * 5, 2.0, integer=False))
    assert_allclose(orders, 18.0, rtol=1e-12)
    assert_allclose(info["shadow_price"], (4 - 5 * expit(-2 / 3)) / 2, rtol=1e-5)


def test_lower_prices_as_the_limit_rises():
    law, portfolio = CONTINUOUS["lognormal"], _random_rows(40, 4)
    free = _used(Newsvendor().solve(law, portfolio), portfolio)
    found = [_solve(share * free, law, portfolio) for share in (0.0, 0.1, 0.4, 0.8, 0.99, 1.0, 2)]
    prices = np.array([info["shadow_price"] for _, info in found])
    assert np.all(np.diff(prices[:-1]) < 0)
    assert_array_equal(prices[-2:], 0)
    assert np.all(np.diff([_cost(orders, law, portfolio) for orders, _ in found]) <= 0)
    assert np.all(np.diff([orders for orders, _ in found], axis=0) >= 0)


def _linear_program(law, portfolio, limit):
    """Least cost of continuous orders under atoms, and the price of the limit, by linprog."""
    n, m = law.atoms.shape
    mass = law.weights * portfolio.costs["underage"][:, None]
    rest = law.weights * portfolio.costs["overage"][:, None]
    c = np.concatenate([np.zeros(n), mass.ravel(), rest.ravel()])
    pick = np.repeat(np.eye(n), m, axis=0)
    eye, no = np.eye(n * m), np.zeros((n * m, n * m))
    balance = np.concatenate(  # a - q <= short, q - a <= left over
        [np.hstack([-pick, -eye, no]), np.hstack([pick, no, -eye])]
    )
    use = np.concatenate([portfolio.constraints["limit_weights"], np.zeros(2 * n * m)])
    found = linprog(
        c,
        A_ub=np.vstack([balance, use]),
        b_ub=np.concatenate([-law.atoms.ravel(), law.atoms.ravel(), [limit]]),
    )
    return found.fun, -found.ineqlin.marginals[-1]


@pytest.mark.parametrize("seed", range(6))
def test_flat_pieces_of_atoms_against_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    law = WeightedAtoms(rng.gamma(2.0, 5.0, (8, 5)), rng.uniform(0.2, 1.0, (8, 5)))
    portfolio = _random_rows(8, seed)
    limit = rng.uniform(0.2, 0.9) * _used(Newsvendor().solve(law, portfolio), portfolio)
    orders, info = _solve(limit, law, portfolio)
    least, price = _linear_program(law, portfolio, limit)
    assert_allclose(_used(orders, portfolio), limit, rtol=1e-12)
    assert_allclose(_cost(orders, law, portfolio), least, rtol=1e-8)
    assert_allclose(info["dual_bound"], least, rtol=1e-8)
    assert_allclose(info["shadow_price"], price, rtol=1e-6)


def test_equal_flat_pieces_share_the_rest():
    # both rows want 2.5 or 7.5, and it costs the same which of them gets what is left
    law = WeightedAtoms(np.tile([2.5, 7.5], (2, 1)))
    orders, info = _solve(9.0, law, _portfolio([4.0, 4.0], [1.0, 1.0], integer=False))
    assert orders.sum() == pytest.approx(9.0, rel=1e-12)
    # 2.5 of each are there in any case; a unit more saves 4 - 5 / 2
    assert_allclose(info["shadow_price"], 1.5, rtol=1e-8)
    assert_allclose(info["dual_bound"], 4 * 5 - 1.5 * 4.0, rtol=1e-8)


# ---- groups


def _counts(n=24, seed=0, n_columns=5):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2.0, 4.0, (n, 1)), (n, n_columns)).astype(float)
    counts[3, 1] = NAN
    return counts


WEEKS = [f"w{k}" for k in range(5)]
FRAME = pd.DataFrame(_counts(), columns=WEEKS).assign(
    price=np.linspace(1.0, 3.0, 24), short=np.linspace(2.0, 6.0, 24)
)
STORES = np.array(["north", "south", "east"])[np.arange(24) % 3]
NUMBERS = {"north": 7, "south": 2, "east": 30}


def _sharing(limit, **parameters):
    parameters = {"limit_weights": "price", "observations": WEEKS, **parameters}
    return Newsvendor("short", 1.0, limit=limit, **parameters)


def _by_group(estimator, frame, limits, labels, **parameters):
    """Orders and infos of every group's rows, decided by themselves."""
    orders, infos = np.empty(len(frame)), {}
    for label, limit in limits.items():
        rows = labels == label
        orders[rows], infos[label] = estimator.decide(
            frame[rows], problem=_sharing(limit, **parameters), return_info=True
        )
    return orders, infos


LIMITS = {
    "number": (30.0, {"north": 30.0, "south": 30.0, "east": 30.0}),
    "by label": ({"north": 20.0, "south": 45.5, "east": 9e9, "west": 1.0},) * 2,
    "a row": (PerRow(4.5), {"north": 36.0, "south": 36.0, "east": 36.0}),
    "both": ({"north": PerRow(2.0), "south": 45, "east": 0}, {"north": 16, "south": 45, "east": 0}),
}


@pytest.mark.parametrize("amounts", [False, True])
@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.filterwarnings("error")
def test_groups_are_solved_by_themselves(kind, amounts):
    given, by_label = LIMITS[kind]
    frame = FRAME.assign(store=STORES)
    if amounts:
        frame[WEEKS] += 0.25
    problem = _sharing(given, groups="store")
    estimator = ParametricEmpiricalBayes(problem).fit(frame)
    orders, info = estimator.decide(frame, return_info=True)
    known = {label: by_label[label] for label in ("east", "north", "south")}
    alone, infos = _by_group(estimator, frame, known, STORES)
    assert_allclose(orders, alone, rtol=1e-6 if amounts else 0)
    for name in ("shadow_price", "used", "limit"):
        assert info[name] == pytest.approx({k: each[name] for k, each in infos.items()}, rel=1e-6)
        assert list(info[name]) == ["east", "north", "south"]
    assert info.dual_bound == pytest.approx(sum(each.dual_bound for each in infos.values()))
    assert info.limit == known


def test_labels_are_text_or_numbers_of_any_table():
    numbers = np.array([NUMBERS[store] for store in STORES])
    limits = {"north": 20.0, "south": 45.5, "east": 60.0}
    by_number = {NUMBERS[store]: limit for store, limit in limits.items()}
    frame = FRAME.assign(store=STORES)
    estimator = SampleAverage(_sharing(limits, groups="store"))
    orders, info = estimator.fit(frame).decide(frame, return_info=True)
    tables = {
        "categories": frame.astype({"store": "category"}),
        "polars": pl.DataFrame(frame.to_dict("list")),
    }
    for table in tables.values():
        again, again_info = estimator.fit(table).decide(table, return_info=True)
        assert_array_equal(again, orders)
        assert again_info.shadow_price == info.shadow_price
    array = FRAME.assign(store=numbers).to_numpy()
    places = {"limit_weights": Column(5), "groups": Column(7), "observations": list(range(5))}
    by_place = Newsvendor(Column(6), 1.0, limit=by_number, **places)
    again, again_info = SampleAverage(by_place).fit(array).decide(array, return_info=True)
    assert_array_equal(again, orders)
    assert again_info.limit == by_number
    objects = np.array(frame.to_numpy(), dtype=object)
    with_text = clone(by_place).set_params(limit=limits)
    assert_array_equal(SampleAverage(with_text).fit(objects).decide(objects), orders)


def test_group_columns_are_no_observations():
    problem = Newsvendor(limit=5.0, groups=Column(2), lower=Column(0))
    portfolio = problem.read(np.array([[1.0, 4.0, 1.0], [0.0, 6.0, 2.0]]))
    assert_array_equal(portfolio.observations, [[4.0], [6.0]])
    assert_array_equal(portfolio.constraints["groups"], [1.0, 2.0])


# ---- bounds


def test_bounds_without_a_limit():
    X = np.array([[3.0, 5.0, 4.0, 9.0]] * 6)
    lower, upper = [NAN, 7.0, 2.0, 5.5, NAN, 0.0], [NAN, NAN, 4.0, 8.0, 3.9, 0.0]
    frame = pd.DataFrame(X, columns=WEEKS[:4]).assign(lower=lower, upper=upper)
    problem = Newsvendor(3.0, 1.0, lower="lower", upper="upper")
    saa = SampleAverage(problem).fit(frame)
    # 5 is the order of all, of 3, 4, 5 and 9; only whole numbers between the bounds
    orders, info = saa.decide(frame, return_info=True)
    assert_array_equal(orders, [5, 7, 4, 6, 3, 0])
    assert_allclose(info.expected_cost[[1, 5]], [(4 + 2 + 3 + 3 * 2) / 4, 3 * 21 / 4])
    amounts = saa.fit(frame.assign(w0=3.5)).decide(frame.assign(w0=3.5))
    assert_array_equal(amounts, [5, 7, 4, 5.5, 3.9, 0])
    everywhere = Newsvendor(3.0, 1.0, observations=WEEKS[:4], lower=1.5, upper=2.5)
    assert_array_equal(saa.decide(frame.assign(w0=3.5), problem=everywhere), [2.5] * 6)


def test_bounds_that_leave_no_whole_number_are_refused():
    X = np.array([[3.0, 5.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="lower"):
        SampleAverage(Newsvendor(lower=2.2, upper=2.8)).fit(X).decide(X)
    amounts = SampleAverage(Newsvendor(lower=2.2, upper=2.8)).fit(X / 2).decide(X / 2)
    assert_array_equal(amounts, [2.2, 2.2])


def test_a_lower_bound_is_finite():
    X = np.array([[3.0, 5.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="lower"):
        SampleAverage(Newsvendor(lower=np.inf)).fit(X).decide(X)


# ---- decide, score and metrics


def test_info_by_hand():
    # the example of the class; orders of 5 and 7 cost 4.75 and 1.25 a row
    X = [[3, 5, 4, 9], [6, 8, 7, 7]]
    saa = SampleAverage(Newsvendor(4.0, 1.0, limit=12)).fit(X)
    orders, info = saa.decide(X, return_info=True)
    assert_array_equal(orders, [5, 7])
    names = {"expected_cost", "mean", "shadow_price", "used", "limit", "dual_bound"}
    assert set(info) == names
    assert_allclose(info.expected_cost, [4.75, 1.25])
    assert_array_equal(info.mean, [5.25, 7.0])
    assert (info.used, info.limit) == (12.0, 12.0)
    # the eighth unit of row 1 saves 4 - 5 * 3 / 4; the sixth of row 0 too
    assert info.shadow_price == pytest.approx(0.25)
    assert info.dual_bound == pytest.approx(6.0)
    assert isinstance(info.dual_bound, float)
    free = saa.decide(X, problem=Newsvendor(4.0, 1.0), return_info=True)[1]
    assert set(free) == {"expected_cost", "mean"}


@pytest.fixture(scope="module")
def frozen():
    return PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(_counts())


@pytest.mark.parametrize("scale", [1.0, 1.1])
def test_a_limit_that_does_not_bind_changes_nothing(scale):
    X = scale * _counts()
    for estimator in (PretrainedDecisionTransformer(finetune=None), ShrunkenSampleAverage()):
        estimator.set_params(problem=Newsvendor(4.0, 1.0)).fit(X)
        free = estimator.decide(X)
        assert_array_equal(free, estimator.predict_quantiles(X, 0.8)[:, 0])
        for limit in (1e9, PerRow(1e4), free.sum()):
            loose = Newsvendor(4.0, 1.0, limit=limit)
            orders, info = estimator.decide(X, problem=loose, return_info=True)
            assert_array_equal(orders, free)
            assert info.shadow_price == 0
            assert info.used == pytest.approx(free.sum())
            assert info.dual_bound == pytest.approx(info.expected_cost.sum())


def test_the_network_keeps_a_limit(frozen):
    X = _counts()
    free = frozen.decide(X).sum()
    orders, info = frozen.decide(
        X, problem=Newsvendor(4.0, 1.0, limit=int(free / 2)), return_info=True
    )
    assert orders.sum() == info.used == int(free / 2)
    assert info.expected_cost.sum() == pytest.approx(info.dual_bound)
    assert info.shadow_price > 0


def test_limits_are_kept_over_chunks_of_rows(monkeypatch):
    frame = FRAME.assign(store=STORES)
    problem = _sharing({"north": PerRow(2.0), "south": 45, "east": 0}, groups="store")
    for estimator in (
        SampleAverage(problem),
        PretrainedDecisionTransformer(problem, finetune=None),
    ):
        orders = estimator.fit(frame).decide(frame)
        score = estimator.score(frame, FRAME["w2"])
        with monkeypatch.context() as patch:
            patch.setattr(_mixin, "CHUNK_ROWS", 7)
            assert_array_equal(estimator.decide(frame), orders)
            assert estimator.score(frame, FRAME["w2"]) == pytest.approx(score, abs=1e-12)


def test_score_charges_limited_orders():
    X, y = _counts()[:, :4], _counts()[:, 4]
    problem = Newsvendor(4.0, 1.0, limit=100)
    mine, reference = ShrunkenSampleAverage(problem).fit(X), SampleAverage(problem).fit(X)
    costs = [problem.cost(each.decide(X), y).sum() for each in (mine, reference)]
    assert mine.score(X, y) == pytest.approx(1 - costs[0] / costs[1])
    assert reference.score(X, y) == 0
    held_out = np.zeros(2)
    for k in range(4):
        evidence = X.copy()
        evidence[:, k] = NAN
        pooled = reference._pooled  # of fit: what the rows have in common
        assert len(pooled) == np.isfinite(X).sum()
        for j, each in enumerate((mine, reference)):
            held_out[j] += np.nansum(problem.cost(each.decide(evidence), X[:, k]))
    assert mine.score(X) == pytest.approx(1 - held_out[0] / held_out[1])


# rows that cost 1 and 3.5 a unit short. Under a limit of 8 the second has what sample averages want
# for it, up to 10, since its last units save 3.5 - 4.5 / 2 and the first ones of the other row 1
SHORT = pd.DataFrame({"w1": [2, 6], "w2": [4, 10], "short": [1.0, 3.5]})
EIGHT = Newsvendor("short", 1.0, limit=8)


def test_cost_under_a_limit_by_hand():
    assert_array_equal(SampleAverage(EIGHT).fit(SHORT).decide(SHORT), [0, 8])
    # 2 short of 3, and 3 of 9
    assert decision_cost([[3], [9]], [1, 6], problem=EIGHT, X=SHORT) == (2 + 3 * 3.5) / 2


def test_regret_under_a_limit_by_hand():
    # who knows the outcomes gives the second row all: 3 and 1 short
    for floor in ("law", "foresight"):
        assert regret([[3], [9]], [0, 8], problem=EIGHT, X=SHORT, floor=floor) == 0
        found = regret([[3], [9]], [1, 6], problem=EIGHT, X=SHORT, floor=floor)
        assert found == (2 + 3 * 3.5) / 2 - (3 + 3.5) / 2


def test_prescriptiveness_under_a_limit_by_hand():
    # the best orders are 2 and 6, 1 short in all; sample averages are 3 short and 2 over
    y = [[3], [6]]
    for floor in ("law", "foresight"):
        for orders, found in [([2, 6], 1.0), ([0, 6], 0.5), ([0, 8], 0.0), ([0, 9], -0.25)]:
            assert prescriptiveness(y, orders, X=SHORT, problem=EIGHT, floor=floor) == found


CAPPED = Newsvendor(upper=2.5)


def test_metrics_keep_amounts_as_they_are():
    # under a bound of 2.5 the best for 3.7 is 2.5, not 2
    for floor in ("law", "foresight"):
        found = regret([[2.4], [3.7]], [2.4, 2.3], problem=CAPPED, floor=floor, per_row=True)
        assert_allclose(found, [0.0, 0.2], atol=1e-12)
    # a limit of 2.5 for 3.7, alone
    assert regret([[3.7]], [2.5], problem=Newsvendor(limit=2.5)) == 0
    assert regret([[3.7]], [2.0], problem=Newsvendor(limit=2.5)) == pytest.approx(0.5)


def test_orders_that_are_amounts_are_compared_with_amounts():
    # that outcomes are whole does not make 2 the best below 2.5: who orders 2.5 pays less
    found = regret([[4], [3]], [2.5, 2.0], problem=CAPPED, per_row=True)
    assert_allclose(found, [0.0, 0.5])


def test_laws_of_amounts_are_met_by_amounts_whatever_was_ordered():
    # hardly anything below 2.5 is left over of what is 9 on average
    truth = RectifiedNormalLaw([9.0], [1.0])
    assert regret(None, [0.0], problem=CAPPED, truth=truth) == pytest.approx(2.5)


def test_orders_that_are_as_cheap_have_no_regret_whoever_gets_them():
    problem = Newsvendor(limit=5)
    for orders in ([5, 0], [0, 5], [2, 3]):
        assert decision_cost([[5], [5]], orders, problem=problem) == 2.5
        assert regret([[5], [5]], orders, problem=problem) == 0


def test_foresight_shares_the_limit_in_every_period():
    # 10 units are enough for each of the two periods
    y, problem = [[0, 10], [10, 0]], Newsvendor(limit=10)
    assert regret(y, [5, 5], problem=problem, floor="foresight") == decision_cost(y, [5, 5])


def test_metrics_need_the_table_of_a_column():
    with pytest.raises(ValueError, match="limit_weights is read from column 'price' of X"):
        decision_cost([1, 2], [1, 2], problem=Newsvendor(limit=3, limit_weights="price"))
    with pytest.raises(ValueError, match="groups is read from column"):
        regret([1, 2], [1, 2], problem=Newsvendor(limit=3, groups=Column(1)))


def test_transfer_curve_under_limits():
    frame = FRAME.assign(store=STORES)
    problem = _sharing({"north": PerRow(2.0), "south": PerRow(4), "east": 30}, groups="store")
    pdt = PretrainedDecisionTransformer(problem, finetune=None)
    y = _counts(seed=1)
    curve = transfer_curve(
        pdt, frame, y, n_instances=[6, 24], cv=2, methods=["pretrained", "saa"], random_state=0
    )
    for draw in range(2):
        for k, size in enumerate((6, 24)):
            rows = curve.rows[draw][:size]
            part = frame.iloc[rows]
            charged = decision_cost(
                y[rows], pdt.fit(part).decide(part), problem=problem, X=part, per_row=True
            )
            assert curve.cost[0, k, draw] == pytest.approx(np.nanmean(charged[:6]))


def test_transfer_curve_goes_on_only_under_the_same_limit(tmp_path):
    pdt = PretrainedDecisionTransformer(finetune=None)
    arguments = {"n_instances": [6], "cv": 2, "methods": ["saa"], "random_state": 0}

    def curve(limit):
        pdt.set_params(problem=Newsvendor(limit=limit))
        file = tmp_path / "curve.json"
        return transfer_curve(pdt, _counts(), _counts(seed=1), resume=file, **arguments)

    assert_array_equal(curve(PerRow(2.0)).cost, curve(PerRow(2.0)).cost)
    with pytest.raises(ValueError, match=r"estimator\.problem was"):
        curve(PerRow(3.0))


def test_grid_search_over_limits():
    X, y = _counts(), _counts(seed=1)
    search = GridSearchCV(
        SampleAverage(Newsvendor(4.0, 1.0)),
        {"problem__limit": [20, 50.0, PerRow(8.0), None]},
        scoring=make_decision_scorer("cost", problem=Newsvendor(4.0, 1.0)),
        cv=KFold(2),
        error_score="raise",
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(np.diff(scores) > 0)
    assert search.best_params_ == {"problem__limit": None}
    one = SampleAverage(Newsvendor(4.0, 1.0, limit=50.0)).fit(X[12:])
    first = decision_cost(y[:12], one.decide(X[:12]), problem=Newsvendor(4.0, 1.0))
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(-first)


def test_limits_survive_clone_and_pickle():
    frame = FRAME.assign(store=STORES)
    problem = _sharing({"north": PerRow(2.0), "south": 45, "east": 0}, groups="store", upper=9.0)
    assert clone(problem).get_params() == problem.get_params()
    assert pickle.loads(pickle.dumps(problem)).get_params() == problem.get_params()
    assert PerRow(2) == PerRow(2.0)
    for estimator in (
        SampleAverage(problem),
        PretrainedDecisionTransformer(problem, finetune=None),
    ):
        orders = estimator.fit(frame).decide(frame)
        assert_array_equal(pickle.loads(pickle.dumps(estimator)).decide(frame), orders)
        assert_array_equal(clone(estimator).fit(frame).decide(frame), orders)


# ---- finetuning


def _checkpoint():
    """A small network that orders far too much, so that training helps."""
    config = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecisionNetwork(config)
    with torch.no_grad():
        network.head.mlp[-1].bias[2] += 2.0  # the shift of the location, in units of noise
    return Checkpoint.from_network(network, {"name": "too much"})


CHECKPOINT = _checkpoint()


def test_training_has_its_share_of_a_limit():
    X = np.column_stack([_counts(10), np.arange(10) % 2])

    def for_training(share, **parameters):
        problem = Newsvendor(**parameters)
        portfolio = problem.read(X)
        return problem.for_training(portfolio, share)

    problem, portfolio = for_training(0.5, limit=30.0, horizon=3, upper=12.0)
    assert (problem.limit, problem.horizon) == (5.0, 1)
    assert_allclose(portfolio.constraints["upper"], 4.0)
    assert_allclose(portfolio.constraints["limit_weights"], 1.0)
    problem, _ = for_training(0.5, limit={0: 30.0, 1: 8}, groups=Column(5))
    assert problem.limit == {0: 15.0, 1: 4.0}
    problem, portfolio = for_training(0.5, horizon=3, lower=1.0, upper=12.0)
    assert problem.horizon == 1
    assert_allclose(portfolio.constraints["lower"], 1 / 3)
    assert_allclose(portfolio.constraints["upper"], 4.0)
    free = Newsvendor(4.0, 1.0)
    assert free.for_training(portfolio, 0.5) == (free, portfolio)


def test_a_limit_a_row_stays_one_for_a_share_of_the_rows():
    problem = Newsvendor(limit=PerRow(3.0), horizon=2)
    portfolio = problem.read(_counts(10))
    half = portfolio.take(slice(0, 5))
    trained, _ = problem.for_training(portfolio, 0.5)
    law = PoissonLaw(np.full(5, 20.0))
    # 5 rows of one period: 5 * 3 / 2
    assert trained.solve_with_info(law, half)[1]["limit"] == 7.5


def test_own_levels_are_those_that_the_price_leaves():
    law = LognormalLaw(np.log(MIDDLES), 0.6)
    portfolio = _random_rows(40, 5)
    problem = Newsvendor(limit=0.5 * _used(Newsvendor().solve(law, portfolio), portfolio))
    orders, info = problem.solve_with_info(law, portfolio)
    levels = problem.own_levels(law, portfolio)
    assert_allclose(levels, np.clip(law.cdf(orders), 0.001, 0.999))
    under, over = portfolio.costs["underage"], portfolio.costs["overage"]
    ratio = under - info["shadow_price"] * portfolio.constraints["limit_weights"]
    assert_allclose(levels, np.clip(ratio / (under + over), 0.001, 0.999), rtol=1e-4)


@pytest.fixture(scope="module")
def table():
    return make_demand_portfolio(40, 4, noise=0.8, random_state=0)


def _finetuned(problem):
    return PretrainedDecisionTransformer(
        problem,
        checkpoint=CHECKPOINT,
        finetune=HeadFinetune(max_epochs=1, baselines=False),
        random_state=0,
    )


def test_finetuning_is_charged_within_the_limit(table):
    # nothing may be ordered: every observation, held out once, is missing
    fitted = _finetuned(Newsvendor(9.0, 1.0, limit=0)).fit(table)
    report = fitted.finetune_report_
    assert report["candidate"].tolist() == ["pretrained", "finetuned", "blend"]
    assert_allclose(report["mean_cost"], 9 * np.mean(table))
    assert_array_equal(report["gain"], 0)
    assert not fitted.finetune_improved_
    assert_array_equal(fitted.decide(table), 0)


def test_finetuning_under_limits_of_groups_and_a_horizon(table):
    frame = pd.DataFrame(np.floor(table)).add_prefix("w").assign(store=np.arange(40) % 3)
    limits = {0: 700, 1: PerRow(40.0), 2: 0}
    problem = Newsvendor(
        4.0, 1.0, observations=WEEKS[:4], limit=limits, groups="store", horizon=3, upper=90
    )
    fitted = _finetuned(problem).fit(frame)
    assert "reason" not in fitted.finetune_report_
    orders, info = fitted.decide(frame, return_info=True)
    assert info.limit == {0: 700, 1: 520, 2: 0}
    assert all(info.used[store] <= info.limit[store] for store in limits)
    assert_array_equal(orders[2::3], 0)
    assert orders.max() <= 90


def test_limits_that_can_be_kept_can_be_trained_for(table):
    # a unit a row lasts for four periods: in one of them there is no whole quarter of it
    X = np.floor(table)
    problem = Newsvendor(4.0, 1.0, limit=2.0 * len(X), lower=1, horizon=4)
    orders = _finetuned(problem).fit(X).decide(X)
    assert orders.min() >= 1
    assert orders.sum() <= 2 * len(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("amounts", [0.0, 0.25])
def test_rows_that_use_nothing_of_the_limit_are_free(amounts):
    frame = pd.DataFrame(_counts(6) + amounts).add_prefix("w").assign(size=[0, 0, 0, 1, 1, 2.0])
    problem = Newsvendor(4.0, 1.0, limit=3.0, limit_weights="size")
    fitted = ParametricEmpiricalBayes(problem).fit(frame)
    orders, info = fitted.decide(frame, return_info=True)
    free = fitted.decide(frame, problem=Newsvendor(4.0, 1.0, observations=list(frame)[:-1]))
    assert_array_equal(orders[:3], free[:3])
    assert orders[3:] @ [1, 1, 2] <= 3 + 1e-9 < free[3:] @ [1, 1, 2]
    assert info.shadow_price > 0


# ---- what is refused


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"limit": -1}, "limit must be a finite number of at least 0; got -1"),
        ({"limit": NAN}, "limit must be a finite number of at least 0; got nan"),
        ({"limit": np.inf}, "limit must be a finite number of at least 0; got inf"),
        ({"limit": True}, "limit must be a finite number of at least 0; got True"),
        ({"limit": "w0"}, "limit must be a finite number of at least 0; got 'w0'"),
        ({"limit": [3.0]}, r"limit must be a finite number of at least 0; got \[3.0\]"),
        ({"limit": {"a": 1}}, "amount a group: name their column as groups="),
        ({"limit": {"a": -1}, "groups": "store"}, r"limit\['a'\] must be a finite number .*got -1"),
        ({"limit": {"a": "b"}, "groups": "store"}, r"limit\['a'\] must be .* got 'b'"),
        ({"groups": "store"}, "groups='store' share a limit, but limit is None"),
        ({"limit": 1, "groups": "shop"}, "groups='shop' is no column of X; X has 'w0'"),
        ({"limit": 1, "groups": 3}, "groups must be a column's name or Column"),
        ({"limit": 1, "limit_weights": -2}, "limit_weights must be finite and at least 0; got"),
        ({"limit": 1, "limit_weights": "w1"}, r"limit_weights must be .* got row 3: nan"),
        ({"limit": 1, "limit_weights": None}, "limit_weights must be a number, a column's name"),
        ({"limit": 1, "limit_weights": "cost"}, "limit_weights='cost' is no column of X"),
        ({"lower": 3, "upper": 2}, r"lower must not exceed upper .* row 0: \[3. 2.\].*24 in all"),
        ({"upper": -1}, r"lower must not exceed upper \(lower=None is 0\)"),
        ({"lower": "price", "upper": 2.99}, r"row 23: \[3.   2.99\] \(1 in all\)"),
        ({"lower": "a"}, "lower='a' is no column of X"),
        ({"upper": "store"}, "upper='store'|column 'store' of .* holds text"),
        ({"upper": [1, 2]}, r"upper must be a number, a column's name or Column.*got \[1, 2\]"),
        ({"limit": 1, "risk": ("cvar", 0.9)}, r"limit=1 needs risk='mean': risk=\('cvar', 0.9\)"),
    ],
)  # fmt: skip
def test_what_is_refused(parameters, message):
    observations = ["w0", "w2"] if parameters.get("limit_weights") == "w1" else WEEKS
    frame = FRAME.assign(store=STORES)
    with pytest.raises(ValueError, match=message):
        SampleAverage(Newsvendor(observations=observations, **parameters)).fit(frame)


@pytest.mark.parametrize("amount", [-1.0, NAN, np.inf, "1", None, True])
def test_amounts_a_row_that_are_refused(amount):
    with pytest.raises(ValueError, match="amount of PerRow must be a finite number of at least 0"):
        PerRow(amount)


def test_lower_bounds_above_the_limit_are_refused():
    X = _counts()
    with pytest.raises(ValueError, match="limit is 47, but the lower bounds alone need 48: no"):
        SampleAverage(Newsvendor(limit=47, lower=1.5)).fit(X).decide(X)
    frame = FRAME.assign(store=STORES)
    problem = _sharing({"north": 99, "south": 7, "east": 99}, groups="store", lower=0.5)
    with pytest.raises(ValueError, match="limit of group 'south' is 7, but the lower bounds alone"):
        SampleAverage(problem).fit(frame).decide(frame)


def test_groups_without_a_limit_are_refused():
    frame = FRAME.assign(store=STORES)
    problem = _sharing({"north": 9, "south": 7}, groups="store")
    message = r"no amount for group 'east' of X \(1 of 3 groups have none\); it has \['north', 'so"
    with pytest.raises(ValueError, match=message):
        SampleAverage(problem).fit(frame).decide(frame)


@pytest.mark.parametrize(
    "labels",
    [
        np.where(STORES == "east", None, STORES),
        np.where(np.arange(24) == 2, NAN, 1.0),
        pd.array([pd.NA if k == 2 else "a" for k in range(24)], dtype="string"),
        pd.array([pd.NA if k == 2 else 1 for k in range(24)], dtype="Int64"),
        pd.Categorical([None if k == 2 else "a" for k in range(24)]),
    ],
    ids=["None", "nan", "text NA", "number NA", "category"],
)
def test_missing_labels_are_refused(labels):
    frame = FRAME.assign(store=labels)
    with pytest.raises(ValueError, match=r"groups='store' has no label in row 2: "):
        SampleAverage(_sharing(1.0, groups="store")).fit(frame)


def test_missing_labels_of_polars_are_refused():
    frame = pl.DataFrame({"w": [1.0, 2.0], "store": ["a", None]})
    with pytest.raises(ValueError, match=r"groups='store' has no label in row 1: None"):
        SampleAverage(Newsvendor(limit=1, groups="store")).fit(frame)
