"""Packs and least orders of a row by itself: decisions, bounds, risk, scores, what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_pttf import Column, PretrainedDecisionTransformer, WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import LognormalLaw, PoissonLaw
from sklearn_pttf.baselines import SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.metrics import regret
from sklearn_pttf.problems import Newsvendor, order_quantity
from support.limits import limited_rows, poisson_counts

MANY = settings(max_examples=60, deadline=None)
FEW = settings(max_examples=20, deadline=None)
X = np.array([[3.0, 5.0, 4.0, 9.0], [6.0, 8.0, 7.0, 7.0]])


def _decided(X=X, **parameters):
    problem = Newsvendor(parameters.pop("underage", 4.0), 1.0, **parameters)
    return SampleAverage(problem).fit(X).decide(X)


# ---- by hand


def test_the_cheaper_neighbour_is_not_always_the_larger_one():
    # of any size 9 and 8 are best. Row 0: 8 costs (4 * 1 + 5 + 3 + 4) / 4 = 4, 12 costs 27 / 4
    assert_array_equal(_decided(), [9, 8])
    assert_array_equal(_decided(pack=4), [8, 8])
    assert_array_equal(order_quantity([9, 8], pack=4), [12, 8])
    # 6 costs (4 * 3 + 3 + 1 + 2) / 4 = 4.5, and (4 * 4) / 4 = 4; 12 costs 6.75 and 5
    assert_array_equal(_decided(pack=6), [6, 6])
    # 0 costs 4 * 5.25 and 4 * 7, and 20 costs 14.75 and 13
    assert_array_equal(_decided(pack=20), [20, 20])
    assert_array_equal(_decided(pack=30), [0, 30])  # 24.75 and 23


def test_nothing_or_the_least_order():
    # of any size 4 and 7 are best, at equal costs; nothing costs 5.25 and 7
    assert_array_equal(_decided(underage=1.0, minimum=7), [7, 7])
    # 11 costs 5.75 and 4, so that the first row orders nothing
    assert_array_equal(_decided(underage=1.0, minimum=11), [0, 11])
    assert_array_equal(_decided(underage=1.0, minimum=10.2), [0, 11])  # 11 is the least that is
    amounts = _decided(X + 0.5, underage=1.0, minimum=10.2)
    assert_allclose(amounts, [10.2, 10.2])  # costs of 4.45 and 2.7 for means of 5.75 and 7.5
    assert_array_equal(_decided(X + 0.5, underage=1.0, minimum=12.0), [0, 12])


def test_least_orders_are_the_smallest_number_of_packs():
    assert_array_equal(_decided(pack=4, minimum=9), [12, 12])
    assert_array_equal(_decided(pack=4, minimum=12), [12, 12])
    assert_array_equal(_decided(pack=2.5), [7.5, 7.5])
    assert_array_equal(_decided(X + 0.25, pack=1), [9, 8])


def test_ties_go_to_the_smaller_order():
    # 0 and 10 cost the same of a coin's 0 or 10
    coin = np.array([[0.0, 10.0]])
    assert_array_equal(_decided(coin, underage=1.0, pack=10), [0])
    assert_array_equal(_decided(coin / 3, underage=1.0, minimum=10 / 3), [0])


def test_columns_of_packs_and_minima():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(box=[4.0, 2.0], least=[0.0, 9.0])
    for problem, table in (
        (Newsvendor(4.0, 1.0, pack="box", minimum="least"), frame),
        (Newsvendor(4.0, 1.0, pack=Column(4), minimum=Column(5)), frame.to_numpy()),
    ):
        saa = SampleAverage(problem).fit(table)
        assert_array_equal(saa.decide(table), [8, 10])
        assert_array_equal(saa.decide(table, problem=clone(problem).set_params(pack=3)), [9, 9])
        assert_array_equal(saa.decide(table[1:]), [10])


def test_bounds_are_of_whole_packs():
    assert_array_equal(_decided(pack=4, upper=7), [4, 4])
    assert_array_equal(_decided(pack=4, upper=3), [0, 0])
    assert_array_equal(_decided(pack=4, lower=9), [12, 12])
    assert_array_equal(_decided(pack=4, lower=1, underage=0.1), [4, 4])
    assert_array_equal(_decided(pack=1, lower=1, minimum=5, underage=0.1), [5, 6])
    assert_array_equal(_decided(X + 0.5, minimum=30, upper=20), [0, 0])
    assert_array_equal(_decided(X + 0.5, minimum=3, lower=1, upper=3), [3, 3])


def test_rounding_leaves_no_pack_out():
    # 0.3 / 0.1 is less than 3, and 3 * 0.1 more than 0.3
    amounts = np.array([[0.25, 0.35]])
    for bounds in ({"upper": 0.3}, {"lower": 0.3, "upper": 0.3}, {"minimum": 0.3, "upper": 0.3}):
        assert _decided(amounts, pack=0.1, **bounds) == [0.3]
    assert_allclose(_decided(amounts, underage=1.0, pack=0.1), [0.3])
    assert_array_equal(_decided(3e8 * amounts, underage=1.0, pack=3e7), [9e7])


def test_packs_of_one_and_no_minimum_change_nothing():
    counts = poisson_counts()
    for estimator in (PretrainedDecisionTransformer(finetune=None), ShrunkenSampleAverage()):
        estimator.set_params(problem=Newsvendor(4.0, 1.0)).fit(counts)
        free, info = estimator.decide(counts, return_info=True)
        for parameters in ({"pack": 1}, {"minimum": 0}, {"pack": 1, "minimum": 0.0, "limit": 1e9}):
            problem = Newsvendor(4.0, 1.0, **parameters)
            again, again_info = estimator.decide(counts, problem=problem, return_info=True)
            assert_array_equal(again, free)
            assert_array_equal(again_info.expected_cost, info.expected_cost)
    amounts = SampleAverage(Newsvendor(4.0, 1.0)).fit(counts + 0.5)
    none = Newsvendor(4.0, 1.0, minimum=0)
    assert_array_equal(amounts.decide(counts + 0.5, problem=none), amounts.decide(counts + 0.5))


# ---- against all quantities

LAWS = {
    "poisson": (PoissonLaw(np.array([0.4, 3.0, 20.0, 300.0])), True),
    "lognormal": (LognormalLaw(np.array([-1.0, 0.0, 2.0, 4.0]), 0.9), False),
    "grid": (
        QuantileGrid(
            np.outer([0.5, 4.0, 30.0, 200.0], [0.1, 0.5, 1.0, 1.7, 3.0]),
            np.array([0.05, 0.3, 0.5, 0.7, 0.95]),
            integer=True,
        ),
        True,
    ),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("pack", "minimum"), [(1, 0), (7, 0), (7, 20), (0.3, 1), (100, 150)])
def test_no_number_of_packs_is_cheaper(name, pack, minimum):
    law, whole = LAWS[name]
    portfolio = limited_rows(
        [3.0, 8.0, 1.0, 5.0], [1.0, 0.5, 2.0, 5.0], integer=whole, pack=np.full(4, float(pack))
    )
    portfolio.constraints["minimum"] = np.full(4, float(minimum))
    problem = Newsvendor()
    orders = problem.solve(law, portfolio)
    first = np.ceil(minimum / pack)
    assert_allclose(orders / pack, np.rint(orders / pack), rtol=1e-12)
    assert np.all((orders == 0) | (orders >= minimum))
    cost = problem.expected_cost(orders, law, portfolio)
    packs = max(first, 1) + np.floor(np.geomspace(1, 600 / pack, 40)) - 1
    near = [np.maximum(orders / pack + k, max(first, 1)) for k in (-2, -1, 1, 2)]
    others = [np.zeros(4), *(np.full(4, k) for k in packs), *near]
    excess = law.excess(pack * np.stack(others, axis=1))
    for k, other in enumerate(others):
        left_over = pack * other - law.mean() + excess[:, k]
        charged = np.array([3.0, 8.0, 1.0, 5.0]) * excess[:, k] + [1.0, 0.5, 2.0, 5.0] * left_over
        assert np.all(cost <= charged + 1e-9 * (1 + charged))


@st.composite
def rows_of_atoms(draw):
    """A law of values of any sign, as those of what is needed, with costs, a pack and a minimum."""
    atoms = draw(st.lists(st.integers(-9, 30), min_size=4, max_size=4))
    masses = draw(st.lists(st.integers(1, 4), min_size=4, max_size=4))
    law = WeightedAtoms(np.array([atoms], dtype=float), np.array([masses], dtype=float))
    under, over = (draw(st.integers(1, 9)) for _ in range(2))
    pack, minimum = draw(st.integers(1, 12)), draw(st.integers(0, 25))
    lower, upper = draw(st.integers(0, 8)), draw(st.integers(40, 60))
    return law, under, over, pack, minimum, draw(st.sampled_from([0, lower])), upper


def _portfolio(case, whole, packs=True):
    _, under, over, pack, minimum, lower, upper = case
    bounds = {"minimum": [minimum], "lower": [lower], "upper": [upper]}
    if packs:
        bounds["pack"] = [pack]
    bounds = {name: np.array(value, dtype=float) for name, value in bounds.items()}
    return limited_rows([under], [over], integer=whole, **bounds)


def _all_packs(case):
    _, _, _, pack, minimum, lower, upper = case
    orders = np.arange(0, upper + 1, pack)
    return orders[((orders == 0) | (orders >= minimum)) & (orders >= lower)].astype(float)


RISKS = ["mean", ("cvar", 0.7), ("quantile", 0.6)]


@pytest.mark.parametrize("risk", RISKS)
@MANY
@given(case=rows_of_atoms())
def test_packs_against_all_of_them(risk, case):
    law, problem = case[0], Newsvendor(risk=risk)
    portfolio, orders = _portfolio(case, True), _all_packs(case)
    risks = np.array([problem.row_risk(np.array([q]), law, portfolio)[0] for q in orders])
    best = orders[risks <= risks.min() + 1e-9][0]
    assert problem.solve(law, portfolio)[0] == best


@pytest.mark.parametrize("risk", RISKS[:2])
@FEW
@given(case=rows_of_atoms())
def test_least_orders_against_many_quantities(risk, case):
    law, problem = case[0], Newsvendor(risk=risk)
    portfolio = _portfolio(case, False, packs=False)
    _, _, _, _, minimum, lower, upper = case
    order = problem.solve(law, portfolio)
    orders = np.linspace(max(minimum, lower), upper, 101)
    orders = np.concatenate([[0.0] if lower == 0 else [], orders])
    risks = [problem.row_risk(np.array([q]), law, portfolio)[0] for q in orders]
    assert lower <= order[0] <= upper
    assert order[0] == 0 or order[0] >= minimum
    found = problem.row_risk(order, law, portfolio)[0]
    assert found <= min(risks) + 1e-5
    if lower == 0 and risks[0] <= min(*risks, found):  # a tie, which goes to nothing
        assert order[0] == 0


# ---- scores, metrics, finetuning


def test_score_charges_packs():
    counts, y = poisson_counts()[:, :4], poisson_counts()[:, 4]
    problem = Newsvendor(4.0, 1.0, pack=6, minimum=10)
    mine, saa = ShrunkenSampleAverage(problem).fit(counts), SampleAverage(problem).fit(counts)
    orders = mine.decide(counts)
    assert set(orders % 6) == {0}
    assert set(orders) >= {0, 12, 18}
    costs = [problem.cost(each.decide(counts), y).sum() for each in (mine, saa)]
    assert mine.score(counts, y) == pytest.approx(1 - costs[0] / costs[1])


def test_regret_is_over_the_best_packs():
    # of packs of 4 the best for 5 is 4, for 11 it is 12
    problem = Newsvendor(4.0, 2.0, pack=4)
    for floor in ("law", "foresight"):
        found = regret([[5], [11]], [8, 8], problem=problem, floor=floor, per_row=True)
        assert_array_equal(found, [6 - 4, 12 - 2])


def test_training_knows_no_packs():
    problem = Newsvendor(4.0, 1.0, pack=2, minimum=Column(4), horizon=2, upper=20, risk=RISKS[1])
    portfolio = problem.read(np.column_stack([poisson_counts(10)[:, :4], np.full(10, 9.0)]))
    assert list(portfolio.constraints) == ["upper", "pack", "minimum"]
    trained, rows = problem.for_training(portfolio, 0.5)
    assert (trained.pack, trained.minimum, trained.horizon) == (None, None, 1)
    assert list(rows.constraints) == ["upper"]
    law = PoissonLaw(np.full(10, 7.0))
    free = Newsvendor(4.0, 1.0, risk=RISKS[1])
    levels = free.own_levels(law, portfolio.with_constraints({}))
    assert_array_equal(problem.own_levels(law, portfolio), levels)


def test_fit_by_default_with_packs():
    rows = make_demand_portfolio(30, 4, random_state=1)
    problem = Newsvendor(4.0, 1.0, pack=6)
    pdt = PretrainedDecisionTransformer(problem, finetune="auto", random_state=0).fit(rows)
    assert set(pdt.decide(rows) % 6) == {0}
    again = PretrainedDecisionTransformer(finetune="auto", random_state=0)
    assert_array_equal(
        again.set_params(problem=Newsvendor(4.0, 1.0)).fit(rows).decide(rows, problem=problem),
        pdt.decide(rows),
    )


# ---- what is refused


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pack": 0}, r"pack must be finite and positive; got row 0: 0.0, row 1: 0.0 \(2 in all\)"),
        ({"pack": -6}, "pack must be finite and positive; got row 0: -6.0"),
        ({"pack": np.nan}, "pack must be finite and positive; got row 0: nan"),
        ({"pack": np.inf}, "pack must be finite and positive; got row 0: inf"),
        ({"pack": "box"}, r"pack must be finite and positive; got row 1: 0.0 \(1 in all\)"),
        ({"pack": "gap"}, r"pack must be finite and positive; got row 0: nan \(1 in all\)"),
        ({"pack": [6]}, r"pack must be a number, a column's name or Column.* got \[6\]"),
        ({"pack": True}, "pack must be a number, a column's name or Column.* got True"),
        ({"pack": "bx"}, "pack='bx' is no column of X"),
        ({"minimum": -1}, "minimum must be finite and at least 0; got row 0: -1.0"),
        ({"minimum": np.nan}, "minimum must be finite and at least 0; got row 0: nan"),
        ({"minimum": np.inf}, "minimum must be finite and at least 0; got row 0: inf"),
        ({"minimum": "gap"}, r"minimum must be finite and at least 0; got row 0: nan \(1 in all"),
        (
            {"pack": 6, "lower": 1, "upper": 5},
            r"lower and upper must leave a quantity that can be ordered, 0 or whole packs of at "
            r"least the minimum; got \(lower, upper, pack\) row 0: \[1. 5. 6.\].*\(2 in all\)",
        ),
        (
            {"pack": 6, "minimum": "least", "lower": 1, "upper": 13},
            r"\(lower, upper, pack, minimum\) row 1: \[ 1. 13.  6. 14.\] \(1 in all\)",
        ),
        ({"minimum": 9, "lower": 1, "upper": 5}, r"\(lower, upper, minimum\) row 0: \[1. 5. 9.\]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_what_is_refused(parameters, message, scale):
    frame = pd.DataFrame(scale * X, columns=list("abcd"))
    frame = frame.assign(box=[6.0, 0.0], gap=[np.nan, 1.0], least=[12.0, 14.0])
    with pytest.raises(ValueError, match=message):
        SampleAverage(Newsvendor(observations=list("abcd"), **parameters)).fit(frame)
