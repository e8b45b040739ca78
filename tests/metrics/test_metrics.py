"""What decisions cost, and how far they are from the best."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Column
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost, prescriptiveness, regret
from sklearn_pttf.problems import Newsvendor
from support.metrics import DEAR, X_SAA, Y_SAA, Profit

NAN = np.nan
# Rows of the hand table, at 4 a unit short and 1 left over.
#   outcomes 3, 7   order 5: 2 over and 2 short, (2 + 8) / 2 = 5;  best 7, (4 + 0) / 2 = 2
#   outcome  5      order 6: 1 over, 1;                            best 5, 0
#   no outcome
#   outcomes 0, 2   order 2: (2 + 0) / 2 = 1;                      best 2, the same
Y = np.array([[3.0, 7.0], [5.0, NAN], [NAN, NAN], [0.0, 2.0]])
ORDERS = np.array([5.0, 6.0, 9.0, 2.0])
COSTS = [5.0, 1.0, NAN, 1.0]
REGRETS = [3.0, 1.0, NAN, 0.0]


def _numbers(low, high):
    """To three digits, so that no two differ by rounding only."""
    return st.floats(low, high).map(lambda x: round(x, 3))


@st.composite
def cases(draw):
    """Outcomes with holes, not all missing, decisions and costs a row."""
    n, m = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    values = st.one_of(st.integers(0, 9).map(float), _numbers(0, 1e3), st.just(NAN))
    y = draw(st_numpy.arrays(float, (n, m), elements=values))
    if np.isnan(y).all():
        y[0, 0] = 1.0
    decision = draw(st_numpy.arrays(float, n, elements=_numbers(0, 1e3)))
    costs = draw(st_numpy.arrays(float, (n, 2), elements=_numbers(0.1, 10)))
    return y, decision, costs


BY_COLUMN = Newsvendor(Column(0), Column(1))

# ---- cost


def test_cost_by_hand():
    assert_array_equal(decision_cost(Y, ORDERS, problem=DEAR, per_row=True), COSTS)
    assert decision_cost(Y, ORDERS, problem=DEAR) == pytest.approx(7 / 3)
    assert isinstance(decision_cost(Y, ORDERS, problem=DEAR), float)


def test_cost_of_one_outcome_a_row():
    for y in ([3, 8], [[3], [8]], pd.Series([3, 8]), pl.Series([3, 8])):
        assert decision_cost(y, [5, 6]) == 2.0  # 2 over, 2 short, at equal costs
    assert decision_cost([3, NAN], [5, 6]) == 2.0
    assert decision_cost([3, 8], [5, 6], problem=DEAR) == 5.0


def test_costs_are_columns():
    table = pd.DataFrame({"shop": ["a", "b"], "w1": [1, 1], "short": [4.0, 9.0], "over": [1, 3]})
    problem = Newsvendor("short", "over")
    for X in (table, pl.DataFrame(table.to_dict("list"))):
        costs = decision_cost([8, 4], [5, 6], problem=problem, X=X, per_row=True)
        assert_array_equal(costs, [12.0, 6.0])
        assert regret([8, 4], [5, 6], problem=problem, X=X) == 9.0
    X = table[["short", "over"]].to_numpy()
    assert decision_cost([8, 4], [5, 6], problem=BY_COLUMN, X=X.tolist()) == 9.0
    law = WeightedAtoms([[8.0], [4.0]])
    assert decision_cost(None, [5, 6], problem=BY_COLUMN, X=X, truth=law) == 9.0


def test_expected_cost_by_hand():
    # 10 with probability 0.25, else 2: order 4 is 6 short at 4, or 2 over at 1
    law = WeightedAtoms([[2.0, 10.0], [4.0, 4.0]], [[3.0, 1.0], [1.0, 1.0]])
    costs = decision_cost(None, [4, 4], problem=DEAR, truth=law, per_row=True)
    assert_array_equal(costs, [0.25 * 24 + 0.75 * 2, 0.0])
    # at ratio 0.8 the best is 10: 0.75 * 8
    assert_allclose(regret(None, [4, 4], problem=DEAR, truth=law, per_row=True), [1.5, 0.0])
    assert regret(None, [4, 4], problem=DEAR, truth=law, floor="foresight") == 3.75


def test_expected_cost_is_a_sum_over_outcomes():
    means, orders = np.array([2.0, 30.0]), np.array([3.0, 25.0])
    demand = np.arange(200)
    paid = DEAR.cost(orders[:, None], demand) * stats.poisson(means[:, None]).pmf(demand)
    costs = decision_cost(None, orders, problem=DEAR, truth=PoissonLaw(means), per_row=True)
    assert_allclose(costs, paid.sum(axis=1), rtol=1e-9)


def test_y_is_not_looked_at_beside_the_truth():
    law = WeightedAtoms([[2.0], [5.0]])
    assert decision_cost([NAN, 7], [1, 5], truth=law) == 0.5


@given(cases())
@settings(max_examples=60, deadline=None)
def test_laws_of_the_outcomes_cost_what_the_outcomes_do(case):
    y, decision, X = case
    seen = ~np.isnan(y).all(axis=1)
    law = WeightedAtoms(y[seen])
    for metric in (decision_cost, regret):
        by_outcome = metric(y, decision, problem=BY_COLUMN, X=X, per_row=True)
        by_law = metric(None, decision[seen], problem=BY_COLUMN, X=X[seen], truth=law, per_row=True)
        assert_allclose(by_outcome[seen], by_law, rtol=1e-6, atol=1e-7)
        assert np.isnan(by_outcome[~seen]).all()


# ---- regret


def test_regret_by_hand():
    assert_array_equal(regret(Y, ORDERS, problem=DEAR, per_row=True), REGRETS)
    assert regret(Y, ORDERS, problem=DEAR) == pytest.approx(4 / 3)
    foresight = regret(Y, ORDERS, problem=DEAR, floor="foresight", per_row=True)
    assert_array_equal(foresight, COSTS)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_regret_is_the_cost_above_that_of_the_best_outcome(case):
    """A newsvendor's best order is one of the outcomes: try them all."""
    y, decision, X = case
    cost = decision_cost(y, decision, problem=BY_COLUMN, X=X, per_row=True)
    tried = [
        decision_cost(y, np.nan_to_num(column), problem=BY_COLUMN, X=X, per_row=True)
        for column in y.T
    ]
    seen = ~np.isnan(cost)
    best = np.min(np.where(np.isnan(y.T), np.inf, tried), axis=0)
    slack = 1e-9 * (cost[seen] + best[seen])
    assert (cost[seen] >= best[seen] - slack).all()
    regrets = regret(y, decision, problem=BY_COLUMN, X=X, per_row=True)
    assert_allclose(regrets[seen], (cost - best)[seen], rtol=1e-6, atol=1e-6)
    assert (regrets[seen] >= 0).all()
    assert np.isnan(regrets[~seen]).all()


def test_rounding_gives_no_negative_regret():
    # equal costs: any order from 0.1 to 0.8 is best, and 0.3 computes to 6e-17 less than 0.1
    y, decision = [[0.1, 0.8]], [0.3]
    assert decision_cost(y, decision) < decision_cost(y, [0.1])
    assert regret(y, decision) == 0.0


@given(cases())
@settings(max_examples=60, deadline=None)
def test_profit_lost_is_the_newsvendors_cost(case):
    """Buying and selling: the profit lost to foresight is an underage or an overage cost."""
    y, decision, costs = case
    unit_cost, price = costs[:, 1], costs.sum(axis=1)
    X = np.column_stack([costs, unit_cost, price])
    profit = Profit(Column(3), Column(2))
    lost = regret(y, decision, problem=profit, X=X, floor="foresight", per_row=True)
    paid = decision_cost(y, decision, problem=BY_COLUMN, X=X, per_row=True)
    assert_allclose(lost, paid, rtol=1e-6, atol=1e-6)
    one = regret(y, decision, problem=profit, X=X, per_row=True)
    other = regret(y, decision, problem=BY_COLUMN, X=X, per_row=True)
    assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_foresight_under_the_truth():
    # sells at 5 what costs 1; knowing the outcome earns 4 a unit, 4 * (0.25 * 10 + 0.75 * 2)
    law = WeightedAtoms([[2.0, 10.0]], [[3.0, 1.0]])
    lost = regret(None, [4.0], problem=Profit(5.0, 1.0), truth=law, floor="foresight")
    # an order of 4 costs 4, and sells 4 or 2: 5 * (0.25 * 4 + 0.75 * 2)
    assert lost == pytest.approx(16 - (12.5 - 4))


# ---- prescriptiveness


@pytest.mark.parametrize(
    ("decision", "by_law", "by_foresight"),
    [
        ([2, 6], 0.0, 0.0),
        ([3, 8], 1.0, 0.75),
        ([5, 6.5], 0.5, 0.375),
        ([0, 4], -4 / 3, -1.0),
    ],
)
def test_prescriptiveness_by_hand(decision, by_law, by_foresight):
    assert prescriptiveness(Y_SAA, decision, X=X_SAA) == pytest.approx(by_law)
    of_foresight = prescriptiveness(Y_SAA, decision, X=X_SAA, floor="foresight")
    assert of_foresight == pytest.approx(by_foresight)
    law = WeightedAtoms(Y_SAA)
    assert prescriptiveness(None, decision, X=X_SAA, truth=law) == pytest.approx(by_law)


def test_rows_without_observation_use_the_pooled_law():
    X = np.array([[2.0, 2.0, 4.0], [NAN, NAN, NAN], [6.0, NAN, 6.0]])
    # pooled: 2, 2, 4, 6, 6, median 4; it costs 5, the others nothing
    assert prescriptiveness([2, 9, 6], [2, 5, 6], X=X) == pytest.approx(1 / 5)


def test_prescriptiveness_reads_columns():
    table = pd.DataFrame(X_SAA, columns=["w1", "w2"]).assign(cost=[1.0, 3.0], shop=["a", "b"])
    problem = Newsvendor("cost", "cost", observations=["w1", "w2"])
    # SAA 2 * 1 and 2 * 3; best 1 * 1 and 0; here 1 * 1 and 1.5 * 3
    for X in (table, pl.DataFrame(table.to_dict("list"))):
        value = prescriptiveness(Y_SAA, [5, 6.5], X=X, problem=problem)
        assert value == pytest.approx((8 - 5.5) / (8 - 1))
    every_other = Newsvendor("cost", "cost")
    assert prescriptiveness(Y_SAA, [5, 6.5], X=table[["w1", "cost", "w2"]], problem=every_other) > 0


@pytest.mark.parametrize(("distance", "defined"), [(0.0, False), (1.0, False), (1.1, True)])
def test_no_room_is_nan(distance, defined):
    # first row: any order from 0 to 200 costs 100; second: SAA is off by the distance
    X, y = np.array([[100.0], [distance]]), np.array([[0.0, 200.0], [0.0, 0.0]])
    value = prescriptiveness(y, [100.0, 0.0], X=X)
    assert np.isnan(value) != defined
    if defined:
        assert value == pytest.approx(1.0)


def test_prescriptiveness_of_profits():
    # sells at 5 what costs 1: SAA orders 4 and 10, foresight 5 and 8, the same as full information
    X, y, problem = np.vstack([X_SAA, [1, 1]]), [5, 8, NAN], Profit(5.0, 1.0)
    for floor in ("law", "foresight"):
        value = prescriptiveness(y, [5, 10, 1], X=X, problem=problem, floor=floor)
        # profits: 16 and 30 of SAA; 20 and 32 at best; 20 and 30 here
        assert value == pytest.approx((50 - 46) / (52 - 46))
    assert np.isnan(prescriptiveness([4, 10, NAN], [4, 1, 1], X=X, problem=problem))


def test_no_cost_at_all_is_nan():
    assert np.isnan(prescriptiveness([2, 6], [2, 7], X=X_SAA))


@given(cases(), st.floats(0.01, 100), st.randoms())
@settings(max_examples=60, deadline=None)
def test_units_of_money_and_order_of_rows(case, factor, random):
    y, decision, costs = case
    X = np.column_stack([costs, decision[::-1], np.arange(len(y))])
    scaled, rows = X * [factor, factor, 1, 1], list(range(len(y)))
    random.shuffle(rows)
    for metric in (decision_cost, regret):
        value = metric(y, decision, problem=BY_COLUMN, X=X)
        dearer = metric(y, decision, problem=BY_COLUMN, X=scaled)
        assert_allclose(dearer / factor, value, rtol=1e-9, atol=1e-9)
        shuffled = metric(y[rows], decision[rows], problem=BY_COLUMN, X=X[rows])
        assert_allclose(shuffled, value, rtol=1e-9, atol=1e-9)
    saa = SampleAverage(BY_COLUMN).fit(X).decide(X)
    room, reference = (m(y, saa, problem=BY_COLUMN, X=X) for m in (regret, decision_cost))
    assume(abs(room - 0.01 * reference) > 1e-9 * reference or room == 0)
    value = prescriptiveness(y, decision, X=X, problem=BY_COLUMN)
    for other in (
        prescriptiveness(y, decision, X=scaled, problem=BY_COLUMN),
        prescriptiveness(y[rows], decision[rows], X=X[rows], problem=BY_COLUMN),
    ):
        assert_allclose(other, value, rtol=1e-6, atol=1e-6)


@given(cases(), st.sampled_from(["law", "foresight"]))
@settings(max_examples=60, deadline=None)
def test_prescriptiveness_is_0_at_saa_and_1_at_the_floor(case, floor):
    y, decision, costs = case
    if floor == "foresight":  # one outcome a row, or no single decision is at that floor
        y = np.nan_to_num(y[:, :1], nan=3.0)
    X = np.column_stack([costs, decision[::-1], decision])
    saa = SampleAverage(BY_COLUMN).fit(X).decide(X)
    later = np.column_stack([costs, y])
    best = SampleAverage(BY_COLUMN).fit(later).decide(later)
    cost_of_saa, least = (decision_cost(y, d, problem=BY_COLUMN, X=X) for d in (saa, best))
    no_room = cost_of_saa - least <= 0.01 * cost_of_saa
    values = [prescriptiveness(y, d, X=X, problem=BY_COLUMN, floor=floor) for d in (saa, best)]
    assert_array_equal(values, [NAN, NAN] if no_room else [0.0, 1.0])


@given(cases())
@settings(max_examples=60, deadline=None)
def test_rows_without_outcome_do_not_count(case):
    y, decision, costs = case
    seen = ~np.isnan(y).all(axis=1)
    X = np.column_stack([costs, decision[::-1]])
    for metric in (decision_cost, regret, prescriptiveness):
        value = metric(y, decision, X=X, problem=BY_COLUMN)
        kept = metric(y[seen], decision[seen], X=X[seen], problem=BY_COLUMN)
        assert_allclose(value, kept, rtol=1e-9)


def test_arrays_stay_as_they_were():
    y, decision, X = Y_SAA.copy(), np.array([5.0, 6.5]), X_SAA.copy()
    for metric in (decision_cost, regret, prescriptiveness):
        metric(y, decision, X=X)
    assert_array_equal(y, Y_SAA)
    assert_array_equal(decision, [5.0, 6.5])
    assert_array_equal(X, X_SAA)


# ---- refusals


@pytest.mark.parametrize("metric", [decision_cost, regret, prescriptiveness])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": None}, "y is None: give the outcomes"),
        ({"y": [NAN, NAN]}, "no outcome to charge"),
        ({"y": [1.0, 2.0, 3.0]}, "inconsistent numbers"),
        ({"y": [1.0, -2.0]}, "demand in y must be at least 0; got row 1: -2.0"),
        ({"y": [1.0, np.inf]}, "y contains infinity"),
        ({"decision": [1.0, NAN]}, "decision contains NaN"),
        ({"decision": [[1.0], [2.0]]}, "decision must be 1-D"),
        ({"decision": 1.0}, "decision must be 1-D"),
        ({"problem": 0.9}, "problem must be a DecisionProblem"),
        ({"problem": Newsvendor("margin")}, "no column names"),
        ({"problem": Newsvendor(-1.0)}, "underage must be a positive"),
        ({"X": np.ones((3, 2))}, "inconsistent numbers"),
        ({"X": np.ones(2)}, "Expected 2D array"),
        ({"truth": [[1.0], [2.0]]}, "truth must be a PredictiveDistribution"),
        ({"truth": WeightedAtoms(np.ones((3, 1)))}, "truth has 3 laws for 2 decisions"),
    ],
)
def test_refuses(metric, changes, message):
    arguments = {"y": [1.0, 2.0], "decision": [1.0, 1.0], "X": X_SAA} | changes
    with pytest.raises(ValueError, match=message):
        metric(**arguments)


@pytest.mark.parametrize("metric", [decision_cost, regret])
def test_columns_need_a_table(metric):
    problem = Newsvendor(1.0, "holding_cost")
    with pytest.raises(ValueError, match="overage is read from column 'holding_cost' of X, but X"):
        metric([1, 2], [1, 2], problem=problem)
    with pytest.raises(ValueError, match="underage is read from column 'price'"):
        metric([1, 2], [1, 2], problem=Newsvendor.from_prices("price", 1.0))


@pytest.mark.parametrize("metric", [regret, prescriptiveness])
def test_floors_have_names(metric):
    with pytest.raises(ValueError, match="floor must be 'law' or 'foresight'; got 'ground'"):
        metric([1, 2], [1, 2], X=X_SAA, floor="ground")


def test_prescriptiveness_needs_observations():
    with pytest.raises(ValueError, match="no observation at all"):
        prescriptiveness([1, 2], [1, 2], X=X_SAA * NAN)
    with pytest.raises(ValueError, match="demand in X must be at least 0"):
        prescriptiveness([1, 2], [1, 2], X=-X_SAA)
