"""Backtests of orders whose stock is carried over."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Column
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Replenishment
from sklearn_pttf.testing import BaseStock, simulate_stock
from support.backtests import NAN, assert_same_backtest

X = np.random.default_rng(0).poisson(6.0, size=(20, 16)).astype(float)
PROBLEM = Replenishment(shortage=5.0, holding=1.0, lead_time=1, ordered=True)
QUICK = {"origins": 3, "baselines": {}}
TABLE = np.array([[2, 2, 2, 3, 1, 4, 2, 5], [1, 1, 1, 1, NAN, 2, 1, 3]])
START = ([3, 0], [[2], [1]])
ORDERS = np.array([[1, 4, 0, 2], [0, 0, 3, 0]])


def stock_backtest(problem=PROBLEM, X=X, **arguments):
    return backtest(SampleAverage(problem), X, **{**QUICK, **arguments})


def test_lost_sales_by_hand():
    result = stock_backtest(X=TABLE, origins=4, start=START, policy=ORDERS)
    assert_array_equal(result.origins, [3, 4, 5, 6])
    assert result.carries_stock
    # an order is charged with the period in which it arrives, the one after the coming one.
    # row 0: 2, 2, 2 and 0 are left, and 3 are missed at the end; row 1: nothing is there when
    # nothing is known to be asked for, 2 are missed, 2 are left, 1 is missed
    assert_array_equal(result.left[1], [[2, 2, 0, 0], [NAN, 0, 2, 0]])
    assert_array_equal(result.held[1], [[2, 2, 0, 0], [NAN, 0, 2, 0]])
    assert_array_equal(result.missed[1], [[0, 0, 0, 15], [NAN, 10, 0, 5]])
    assert_array_equal(result.cost[1], [[2, 2, 0, 15], [NAN, 10, 2, 5]])
    assert_array_equal(result.demand, [[1, 4, 2, 5], [NAN, 2, 1, 3]])
    assert_array_equal(result.served[1], [[1, 4, 2, 2], [NAN, 0, 1, 2]])
    assert_array_equal(result.in_stock[1], [[1, 1, 1, 0], [NAN, 0, 1, 0]])
    assert_array_equal(result.decision[1], ORDERS)
    assert_array_equal(np.isnan(result.promised[0]), np.isnan(result.cost[0]))
    assert_array_equal(result.charged_from, [[4, 5, 6, 7]] * 2)
    assert_array_equal(result.charged_to, result.charged_from)
    policy = result.summary()[1]
    assert policy["cost"] == 36.0
    assert policy["fill_rate"] == pytest.approx(12 / 18)
    assert policy["service_level"] == pytest.approx(4 / 7)


def test_a_backlog_by_hand():
    problem = Replenishment(5.0, 1.0, lead_time=1, lost_sales=False, ordered=True)
    result = stock_backtest(problem, TABLE, origins=4, start=START, policy=ORDERS)
    # row 1 owes 2, of 3 that come serves these, and then owes 3
    assert_array_equal(result.missed[1], [[0, 0, 0, 15], [NAN, 10, 0, 15]])
    assert_array_equal(result.left[1], [[2, 2, 0, 0], [NAN, 0, 0, 0]])
    assert_array_equal(result.served[1], [[1, 4, 2, 2], [NAN, 0, 1, 0]])


def test_reviews_are_charged_with_all_their_periods():
    problem = Replenishment(5.0, 1.0, lead_time=1, review=2, ordered=True)
    result = stock_backtest(problem, TABLE, origins=2, start=START, policy=ORDERS[:, :2])
    assert_array_equal(result.origins, [3, 5])
    # row 0 orders 1 for its periods 4 and 5, of which it has 3 and 2: it lacks 2; then 4 come,
    # 2 are asked for, and 5. In row 1 only the second period of the first order is known
    assert_array_equal(result.cost[1], [[2 + 5 * 2, 2 + 5 * 3], [5 * 2, 5 * 1 + 5 * 3]])
    assert_array_equal(np.isnan(result.promised[0]), [[False, False], [True, False]])
    assert_array_equal(result.left[1], [[1, 1], [0, 0]])
    assert_array_equal(result.charged_from, [[4, 6]] * 2)
    assert_array_equal(result.charged_to, [[5, 7]] * 2)


def test_lead_times_a_row():
    table = np.column_stack([X, np.arange(20) % 3])
    problem = Replenishment(5.0, 1.0, lead_time=Column(16), ordered=True)
    levels, start = 6.0 * (2 + np.arange(20) % 3), (9.0, np.full((20, 2), 5.0))
    start[1][np.arange(20) % 3 == 0] = 0.0
    result = stock_backtest(
        problem, table, start=start, policy=lambda h, state, t: BaseStock(levels)(state)
    )
    assert_array_equal(result.origins, [11, 12, 13])  # the longest waits for two periods
    record = simulate_stock(
        X[:, 11:16],
        BaseStock(levels),
        lead_time=table[:, 16],
        on_hand=9.0,
        on_order=start[1],
        shortage=5.0,
        n_orders=3,
    )
    for row in range(20):
        lead = row % 3
        assert_allclose(result.cost[1, row], record.cost[row, lead : lead + 3])


def test_a_neutral_start():
    table = np.hstack([np.full((2, 13), 4.0), np.full((2, 7), 9.0)])
    table[1, 14] = NAN
    table[1, 3] = 2.0
    states = []

    def rule(history, state, origin):
        states.append(state)
        return np.zeros(2)

    problem = Replenishment(lead_time=2, ordered=True)
    stock_backtest(problem, table, origins=[16, 17], policy=rule)
    # row 0: the newest 13 are ten of 4 and three of 9; row 1: one of 2, ten of 4, two of 9
    assert_array_equal(states[0].on_hand, np.rint([2 * 67 / 13, 2 * 60 / 13]))
    assert_array_equal(states[0].on_order, [[5, 5], [5, 5]])
    assert_array_equal(states[1].on_hand, [10 + 5 - 9, 9 + 5 - 9])
    assert_array_equal(states[1].on_order, [[5, 0], [5, 0]])
    assert states[1].period == 1
    fractions = np.where(np.arange(20) == 0, 0.5, table)
    del states[:]
    stock_backtest(problem, fractions, origins=[16], policy=rule)
    assert_allclose(states[0].on_order[0], [67 / 13, 67 / 13])


def test_past_orders_are_played_from_the_stock_of_then():
    on_hand, first = np.where(np.arange(20) % 2, 12.0, 0.0), 11
    told = {"lead_time": 1, "on_hand": on_hand, "shortage": 5.0}
    past = simulate_stock(X[:, first:], BaseStock(13.0), **told, n_orders=4)
    arguments = {"origins": 4, "policy": past.orders[:, :4]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = stock_backtest(**arguments, start=(on_hand, None))
        stock_backtest(origins=1, policy=lambda history, state, origin: state.on_hand)
        stock_backtest(origins=1)
    assert_array_equal(result.cost[1], past.cost[:, 1:])
    with pytest.warns(UserWarning, match=r"policy is past orders, .*, what there was after 11 per"):
        made_up = stock_backtest(**arguments)
    # two weeks of demand that were not there make orders of 13 less what there was look worse
    assert made_up.cost[1].sum() > 1.5 * result.cost[1].sum()


@pytest.mark.parametrize("lead_time", [-1.0, 0.5, NAN])
def test_bad_lead_times(lead_time):
    table = np.column_stack([X, np.ones(20)])
    table[3, 16] = lead_time
    problem = Replenishment(5.0, 1.0, lead_time=Column(16), ordered=True)
    with pytest.raises(ValueError, match=rf"lead_time must be .*row 3: {lead_time}"):
        stock_backtest(problem, table)


@pytest.mark.parametrize("framed", [False, True])
def test_decisions_are_those_of_the_stock_that_is_there(framed):
    names = [f"w{k}" for k in range(16)]
    table = pd.DataFrame(X, columns=names) if framed else X
    problem = Replenishment(5.0, 1.0, lead_time=2, ordered=True)
    result = stock_backtest(problem, table)
    orders = iter(result.decision[0].T)
    states = []

    def replay(state):
        states.append(state)
        return next(orders)

    usual = X[:, :11].mean(axis=1)
    simulate_stock(
        X[:, 11:14],
        replay,
        lead_time=2,
        on_hand=np.rint(2 * usual),
        on_order=np.rint(np.column_stack([usual, usual])),
    )
    for k, state in enumerate(states):
        known = np.column_stack([X[:, : 11 + k], state.on_hand, state.on_order])
        now = Replenishment(
            5.0,
            1.0,
            lead_time=2,
            on_hand=Column(11 + k),
            on_order=[12 + k, 13 + k],
            ordered=True,
        )
        decision, info = SampleAverage(now).fit(known).decide(known, return_info=True)
        assert_allclose(result.decision[0, :, k], decision)
        assert_allclose(result.promised[0, :, k], info.expected_cost)


def test_columns_that_are_named_by_numbers():
    frame = pd.DataFrame(X, columns=range(2016, 2032), index=range(100, 120))
    assert_array_equal(stock_backtest(X=frame).decision, stock_backtest().decision)


def test_later_periods_are_not_seen():
    plain = stock_backtest()
    later = X.copy()
    later[:, -2:] += 20.0
    changed = stock_backtest(X=later)
    assert_array_equal(changed.decision, plain.decision)  # the last origin is 14
    assert (changed.cost[0, :, 2] != plain.cost[0, :, 2]).any()


def test_columns_of_stock_today_are_no_observations():
    table = np.column_stack([X, np.full((20, 2), 50.0)])
    today = Replenishment(5.0, 1.0, lead_time=1, on_hand=Column(16), on_order=[17], ordered=True)
    result = stock_backtest(today, table)
    assert_array_equal(result.origins, [12, 13, 14])
    assert_array_equal(result.decision, stock_backtest().decision)


def test_the_same_answer_in_parallel_and_resumed(tmp_path):
    methods = {"baselines": {"smoothing": ExponentialSmoothing}}
    alone = stock_backtest(**methods, resume=tmp_path)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert_same_backtest(stock_backtest(**methods), alone)
    newest = max(tmp_path.glob("*.npz"), key=lambda file: file.stat().st_mtime_ns)
    newest.unlink()
    assert_same_backtest(stock_backtest(**methods, resume=tmp_path), alone)
    with pytest.raises(ValueError, match="first origin was 12, and is 13"):
        stock_backtest(origins=2, resume=tmp_path)
    with pytest.raises(ValueError, match="start was"):
        stock_backtest(start=(0.0, None), resume=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"origins": [10, 12]}, "origins must be review=1 apart, as stock is carried over"),
        ({"origins": 14}, r"origins must be in \[1, 13\]"),
        ({"start": (1.0,)}, r"start must be a pair \(on_hand, on_order\), .*; got \(1\.0,\)"),
        ({"start": np.ones(20)}, r"such as \(table\['stock'\], None\); got ndarray of shape \(20,"),
        ({"start": (-1.0, None)}, "on_hand must be at least 0 with lost_sales=True"),
        ({"start": (1.0, np.zeros((20, 2)))}, r"on_order must have shape \(20, 1\)"),
        ({"policy": lambda h, state, t: -state.on_hand}, "at origin 12 it gave row 0: -"),
        ({"policy": np.full((20, 3), NAN)}, "at origin 12 it gave row 0: nan"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        stock_backtest(**arguments)
