"""Stock that capped sales: roles, what is refused, and what an order can be known by."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._series.conditions import Look
from sklearn_pttf._tables.completion import completed, demand_of
from sklearn_pttf.baselines import (
    CensoredEmpiricalBayes,
    ExponentialSmoothing,
    KaplanMeierNewsvendor,
    SampleAverage,
)
from sklearn_pttf.finetune._data import finetune_data
from sklearn_pttf.finetune._origins import History
from sklearn_pttf.finetune._rounds import charge_rounds
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.model_selection._origins import RollingTable
from sklearn_pttf.model_selection._rows import hold_out
from sklearn_pttf.model_selection._transfer_curve import _newest_period_as_y
from sklearn_pttf.problems import DecisionProblem, Newsvendor, Replenishment
from support.frames import to_polars

NAN = np.nan
OF_THREE = {"observations": [0, 1, 2], "stock": [3, 4, 5]}


def _read(X, **roles):
    return Newsvendor(4.0, 1.0, **roles).read(np.asarray(X, dtype=float))


def _table(n_rows=40, n_periods=8, seed=0):
    """Counts and order-up-to stock, side by side; and the demand."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 10.0, (n_rows, 1)) + 2
    demand = rng.poisson(level, (n_rows, n_periods)).astype(float)
    stock = np.rint(1.1 * level) * np.ones((1, n_periods))
    return np.hstack([np.minimum(demand, stock), stock]), demand


def _roles(n_periods=8):
    return {"observations": range(n_periods), "stock": range(n_periods, 2 * n_periods)}


# ------------------------------------------------------------------ reading


def test_stock_is_read_cell_by_cell():
    portfolio = _read([[3, 5, 0, 3, NAN, 0], [2, NAN, 4, 9, NAN, 6]], **OF_THREE)
    assert_array_equal(portfolio.stock, [[3, NAN, 0], [9, NAN, 6]])
    # sold out; never short; nothing was there, which says nothing
    assert_array_equal(portfolio.observations, [[3, 5, NAN], [2, NAN, 4]])
    assert_array_equal(portfolio.capped, [[True, False, False], [False, False, False]])


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, to_polars])
def test_infinite_stock_is_never_short(make):
    X = np.array([[3.0, 5, 0, 3, np.inf, 0], [2, NAN, 4, 9, NAN, np.inf]])
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(6)])
    X = make(X if make is np.asarray else frame)
    portfolio = Newsvendor(**OF_THREE).read(X)
    assert_array_equal(portfolio.stock, [[3, NAN, 0], [9, NAN, NAN]])
    orders, info = SampleAverage(Newsvendor(**OF_THREE)).fit(X).decide(X, return_info=True)
    assert_array_equal(orders, [3, 2])
    assert info.identified.all()


def test_infinite_stock_of_backtests():
    X, _ = _table(n_rows=15)
    X[::2, 8:] = np.inf
    problem = Newsvendor(9.0, 1.0, ordered=True, **_roles())
    as_missing = np.where(np.isinf(X), NAN, X)
    found, wanted = (
        backtest(SampleAverage(problem), each, origins=2, baselines={}) for each in (X, as_missing)
    )
    assert_array_equal(found.cost, wanted.cost)


@pytest.mark.parametrize("column", [0, 6])
def test_other_columns_refuse_infinity(column):
    X = np.array([[3.0, 5, 0, 3, 9, 9, 1]])
    X[0, column] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        SampleAverage(Newsvendor(Column(6), 1.0, **OF_THREE)).fit(X)
    flags = np.array([[3.0, 5, 0, 1, np.inf, 0]])
    with pytest.raises(ValueError, match="sold_out contains infinity"):
        _read(flags, observations=[0, 1, 2], sold_out=[3, 4, 5])


def test_sold_out_periods_are_capped_at_their_sales():
    portfolio = _read([[3, 5, 0, 1, 0, 1]], observations=[0, 1, 2], sold_out=[3, 4, 5])
    assert_array_equal(portfolio.stock, [[3, NAN, 0]])
    assert_array_equal(portfolio.capped & portfolio.mask, [[True, False, False]])
    assert_array_equal(portfolio.observations, [[3, 5, NAN]])


@pytest.mark.parametrize("dtype", [bool, "boolean", object, float])
def test_sold_out_may_be_booleans_of_a_frame(dtype):
    X = pd.DataFrame({"w1": [3.0, 4.0], "w2": [5.0, 6.0]})
    X["o1"] = pd.Series([True, False]).astype(dtype)
    X["o2"] = pd.Series([False, True]).astype(dtype)
    problem = Newsvendor(observations=["w1", "w2"], sold_out=["o1", "o2"])
    found = problem.read(X, list(X.columns))
    assert_array_equal(found.stock, [[3, NAN], [NAN, 6]])


def test_a_sale_above_its_stock_counts_and_is_told():
    X = [[3, 5, 4, 2, 9, 4], [7, 1, 1, 6, 9, NAN], [1, 1, 1, 1, 1, 1]]
    with pytest.warns(UserWarning, match="below the sale in 2 cells of 2 rows") as caught:
        portfolio = _read(X, **OF_THREE)
    assert len(caught) == 1
    assert_array_equal(portfolio.stock[:2], [[3, 9, 4], [7, 9, NAN]])
    assert portfolio.capped[:2, 0].all()


@pytest.mark.parametrize("ordered", [False, True])
def test_a_fit_warns_of_that_once(ordered):
    X, _ = _table(n_rows=12)
    X[0, 8] = 0.5
    problem = Newsvendor(4.0, 1.0, ordered=ordered, **_roles())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    assert ["in 1 cells of 1 rows" in str(each.message) for each in caught].count(True) == 1


@pytest.mark.parametrize(
    ("roles", "row", "message"),
    [
        ({"stock": [3, 4]}, [1, 2, 3, 4, 5, 6], "stock must list a column for each of the 3 .* 2"),
        ({"stock": [3, 4, 5, 6]}, [1, 2, 3, 4, 5, 6, 7], "each of the 3 columns .*got 4"),
        ({"stock": [3, 4, 5]}, [1, 2, 3, 4, -1, 6], "stock must be at least 0.*-1"),
        ({"stock": [3, 4, 5]}, [1, 2, 3, 4, -np.inf, 6], "stock must be at least 0.*-inf"),
        ({"stock": [3, 4, 5]}, [1, 2, 3, 4, 1e101, 6], "stock must hold numbers of at most 1e.100"),
        ({"stock": 3}, [1, 2, 3, 4, 5, 6], "stock must be a list of columns.*got 3"),
        ({"stock": "on_shelf"}, [1, 2, 3, 4, 5, 6], "stock must be a list.*'on_shelf'"),
        ({"stock": [3, 4, 9]}, [1, 2, 3, 4, 5, 6], "stock"),
        ({"sold_out": [3, 4, 5]}, [1, 2, 3, 0, 0.5, 1], "sold_out must be True or False.*0.5"),
        ({"sold_out": [3, 4]}, [1, 2, 3, 0, 1, 1], "sold_out must list a column for each of the 3"),
        ({"stock": [3, 4, 3]}, [1, 2, 3, 4, 5, 6], "stock lists column 3 twice"),
        ({"sold_out": [3, 3, 4]}, [1, 2, 3, 1, 1, 1], "sold_out lists column 3 twice"),
        ({"stock": [3], "sold_out": [4]}, [1, 2, 3, 4, 5, 6], "must not both be given"),
    ],
)
def test_bad_stock_is_refused(roles, row, message):
    with pytest.raises(ValueError, match=message):
        _read([row], observations=[0, 1, 2], **roles)


def test_text_is_no_stock():
    X = pd.DataFrame({"w1": [3.0], "s1": ["many"]})
    with pytest.raises(ValueError, match="stock"):
        Newsvendor(observations=["w1"], stock=["s1"]).read(X, ["w1", "s1"])


def test_a_column_has_one_role():
    with pytest.raises(ValueError, match="another role"):
        Newsvendor(observations=[0, 1], stock=[1, 2]).read(np.ones((2, 3)))
    assert Newsvendor(stock=[2, 3]).observation_positions(None, 4) == [0, 1]


def test_names_in_another_order_are_refused():
    X = pd.DataFrame(np.ones((3, 4)), columns=["2024-01", "2024-02", "s2024-02", "s2024-01"])
    told = {"observations": list(X.columns[:2]), "stock": list(X.columns[2:])}
    with pytest.raises(ValueError, match="stock must be in the order of time"):
        SampleAverage(Newsvendor(ordered=True, **told)).fit(X)
    X.columns = ["lag_2", "lag_1", "stock_2", "stock_1"]
    told = {"observations": ["lag_2", "lag_1"], "stock": ["stock_2", "stock_1"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SampleAverage(Newsvendor(ordered=True, **told)).fit(X)


def test_another_problem_keeps_the_stock_of_fit():
    X, _ = _table(n_rows=12)
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, **_roles()), finetune=None).fit(X)
    same = pdt.decide(X, problem=Newsvendor(4.0, 1.0))
    assert_array_equal(same, pdt.decide(X))
    _, info = pdt.decide(X, problem=Newsvendor(9.0, 1.0), return_info=True)
    assert "identified" in info
    with pytest.raises(ValueError, match="stock stays as fitted"):
        pdt.decide(X, problem=Newsvendor(stock=range(15, 7, -1), observations=range(8)))


def test_problems_of_ones_own_may_have_stock():
    class Missed(DecisionProblem):
        stock = [2, 3]

        def cost(self, decision, outcome):
            return (decision - outcome) ** 2

    assert_array_equal(Missed().read(np.array([[1.0, 2, 1, 5]])).stock, [[1, 5]])


# ------------------------------------------------------------------ portfolios


def test_stock_goes_along_with_cells():
    portfolio = Portfolio(
        np.array([[3.0, 5, 2], [4, 4, 4]]), stock=np.array([[3.0, 9, NAN], [4, NAN, 6]])
    )
    assert not portfolio.has_conditions
    held, outcome = portfolio.held_out(np.array([0, -1]))
    assert_array_equal(held.stock, [[NAN, 9, NAN], [4, NAN, 6]])
    assert_array_equal(outcome, [[3], [NAN]])
    _, outcome = portfolio.held_out(np.array([0, 2]), demand=np.full((2, 3), 8.0))
    assert_array_equal(outcome, [[8], [8]])
    assert_array_equal(portfolio.before(2, 1).stock, [[3, 9], [4, NAN]])
    assert_array_equal(portfolio.of_cells(np.array([[2, -1], [0, 1]])).stock, [[NAN] * 2, [4, NAN]])
    longer = portfolio.with_observations(np.hstack([portfolio.observations, [[9.0], [9.0]]]))
    assert_array_equal(longer.stock, [[3, 9, NAN, NAN], [4, NAN, 6, NAN]])
    assert_array_equal(portfolio.with_observations(np.ones((2, 1))).stock, [[3], [4]])


# ------------------------------------------------------------------ what an order is known by


def test_an_order_beyond_all_stock_is_not_identified():
    X = [
        [3, 5, 4, 9, 9, 9],  # 5 of 9
        [6, 6, 6, 6, 6, 6],  # always sold out
        [6, 6, 2, 5, 5, NAN],  # once there was enough
        [NAN, NAN, NAN, 7, 7, 7],  # nothing was seen, and others are ordered for
        [8, 0, 0, 8, 0, 0],  # sold out whenever there was any
    ]
    with pytest.warns(UserWarning, match="below the sale"):
        saa = SampleAverage(Newsvendor(4.0, 1.0, lower=2, pack=4, **OF_THREE)).fit(X)
    with pytest.warns(UserWarning, match="below the sale"):
        _, info = saa.decide(X, return_info=True)
    assert_array_equal(info.identified, [True, False, True, False, False])
    few = np.array(X[:2], dtype=float)
    few[:, 3:] = [[9, 9, 9], [7, 7, 7]]
    saa = SampleAverage(Newsvendor(4.0, 1.0, horizon=2, **OF_THREE)).fit(few)
    orders, info = saa.decide(few, return_info=True)
    assert (orders > 9).any()  # for two periods
    assert info.identified.all()


@pytest.mark.parametrize(
    "estimator", [SampleAverage, KaplanMeierNewsvendor, CensoredEmpiricalBayes]
)
def test_a_row_that_mostly_sold_out_is_not_identified_whatever_decides(estimator):
    stock = np.full((5, 10), 6.0)
    stock[1], stock[2] = [4, 5, 6, 7, 8] * 2, 60
    sales = np.minimum(stock, [[6], [9], [5], [5], [5]])
    sales[3, :2], sales[4, :3] = 6, 6
    sales[4, 5:] = 1
    X = np.hstack([sales, stock])
    roles = {"observations": range(10), "stock": range(10, 20)}

    def identified(underage):
        fitted = estimator(Newsvendor(underage, 1.0, **roles)).fit(X)
        return fitted.decide(X, return_info=True)[1].identified

    low, high = identified(1.0), identified(4.0)
    assert not low[:2].any()  # always sold out, at any stock
    assert not high[:2].any()
    assert low[2:].all()
    assert high[2]
    assert not high[4]  # three periods of ten asked for 6 or more, a fifth may for more


def test_how_often_the_largest_stock_sold_out_tells_what_is_known():
    X = np.array([[5.0] * 8 + [6] * 2 + [6] * 10])  # sold out in two periods of ten
    problem = Newsvendor(observations=range(10), stock=range(10, 20))
    portfolio, asked = problem.read(X), np.array([6.0])
    assert problem.is_identified(portfolio, asked, 0.8).all()
    assert not problem.is_identified(portfolio, asked, 0.81).any()
    # a total of four exceeds four times that seldomer: its 0.95 is 0.79 of a period
    assert problem.is_identified(portfolio, asked, 0.95, 4).all()
    assert not problem.is_identified(portfolio, asked, 0.96, 4).any()


def test_identified_is_by_units_of_exposure():
    X = np.array([[9.0, 20, 10, 20, 1, 2], [3, 6, 3, 9, 1, 2]])
    roles = {"observations": [0, 1], "stock": [2, 3], "exposure": [4, 5]}
    problem = Newsvendor(9.0, 1.0, coming_exposure=3.0, **roles)
    portfolio = problem.read(X)  # at most 10, and 4.5, of one unit
    assert_array_equal(problem.is_identified(portfolio, np.array([30.0, 13.5])), [True, True])
    assert_array_equal(problem.is_identified(portfolio, np.array([31.0, 14.0])), [False, False])


def test_where_only_sold_out_periods_are_told_the_largest_sale_counts():
    X = np.array(
        [
            [3.0, 5, 9, 0, 0, 1],  # nobody knows what lies beyond 9
            [3, 9, 5, 0, 0, 1],  # more than 9 was never asked for, and could have been
            [3, 4, 5, 0, 0, 0],
        ]
    )
    problem = Newsvendor(observations=[0, 1, 2], sold_out=[3, 4, 5])
    portfolio = problem.read(X)
    assert_array_equal(problem.is_identified(portfolio, np.full(3, 9.0)), [True, True, True])
    assert_array_equal(problem.is_identified(portfolio, np.full(3, 10.0)), [False, True, True])


@pytest.mark.parametrize(("on_hand", "lost_sales"), [(0.0, True), (1000.0, False)])
def test_orders_of_replenishment_are_known_by_the_need_of_a_period(on_hand, lost_sales):
    X, _ = _table(n_rows=10)
    problem = Replenishment(
        99.0, 1.0, lead_time=1, on_hand=on_hand, lost_sales=lost_sales, **_roles()
    )

    def identified(X):
        pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
        return pdt.decide(X, return_info=True)[1].identified

    short = identified(X)
    assert short.dtype == bool
    assert not short.all()
    X[:, 8:] *= 10.0
    assert identified(X).all()


def test_nothing_is_told_without_stock():
    X, _ = _table(n_rows=5)
    _, info = SampleAverage(Newsvendor()).fit(X).decide(X, return_info=True)
    assert "identified" not in info


def test_stock_that_capped_nothing_changes_no_decision():
    X, demand = _table(n_rows=20)
    X[:, :8], X[:, 8:] = demand, np.where(np.arange(8) % 2, NAN, 1e4)
    told = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, **_roles()), finetune=None).fit(X)
    plain = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X[:, :8])
    np.testing.assert_allclose(told.decide(X), plain.decide(X[:, :8]), rtol=1e-3)


# ------------------------------------------------------------------ hindsight


@pytest.mark.parametrize("ordered", [False, True])
def test_a_score_charges_what_may_have_been_asked_for(ordered):
    X, _ = _table()
    problem = Newsvendor(9.0, 1.0, ordered=ordered, **_roles())
    portfolio = problem.read(X)
    demand = demand_of(portfolio)
    assert (demand[portfolio.capped] >= portfolio.observations[portfolio.capped]).all()
    saa = SampleAverage(problem).fit(X)
    newest = saa._rolled_costs(saa._read_as_it_is(X)) if ordered else None
    if not ordered:
        newest = [saa._held_out_costs(portfolio, 0, demand)]
    before = SampleAverage(Newsvendor(9.0, 1.0, observations=range(7))).fit(X)
    order = before.decide(X)
    short = demand[:, 7] - order
    np.testing.assert_allclose(newest[0][1], np.where(short > 0, 9 * short, -short))


def test_finetuning_is_charged_on_demand():
    X, _ = _table()
    problem = Newsvendor(9.0, 1.0, **_roles())
    portfolio = problem.read(X)
    demand = demand_of(portfolio)
    rounds = charge_rounds(portfolio, None, np.random.default_rng(0))
    for round in rounds:
        hidden = portfolio.mask & ~round.evidence.mask
        assert_array_equal(hidden.sum(axis=1), 1)
        assert_array_equal(demand[hidden], round.charged[:, 0])
        assert np.isnan(round.evidence.stock[hidden]).all()
    config = Checkpoint.load("demand").build_network("cpu").config
    data = finetune_data(config, problem, portfolio, None, "cpu")
    assert_array_equal(data.charged, demand)
    assert_array_equal(data.evidence.observations, portfolio.observations)
    later = finetune_data(config, problem, portfolio, portfolio.observations, "cpu")
    assert_array_equal(later.charged, portfolio.observations)


def test_in_time_too():
    X, _ = _table(n_periods=8)
    portfolio = Newsvendor(9.0, 1.0, ordered=True, **_roles()).read(X)
    history, demand = History(portfolio, Look()), demand_of(portfolio)
    assert_array_equal(history.round(6).charged[:, 0], demand[:, 6])
    assert_array_equal(history.lesson(5)[1][:, 0], demand[:, 5])
    assert_array_equal(history.round(6).table.stock, portfolio.stock[:, :6])


def test_a_backtest_rolls_stock_along_and_charges_demand():
    X, _ = _table(n_rows=15)
    problem = Newsvendor(9.0, 1.0, ordered=True, **_roles())
    table = RollingTable(problem, X)
    assert_array_equal(table.demand, completed(problem.read(X), draw=True).observations)
    at, then = table.at(5)
    assert list(then.stock) == list(range(8, 13))
    assert np.isnan(at[:, 13:]).all()
    assert_array_equal(then.read(at).stock, X[:, 8:13])
    result = backtest(SampleAverage(problem), X, origins=2, baselines={})
    assert_array_equal(result.demand, table.demand[:, 6:])
    short = table.demand[:, 6:] - result.decision[0]
    np.testing.assert_allclose(result.cost[0], np.where(short > 0, 9 * short, -short))


def test_a_backtest_of_carried_stock_serves_demand():
    X, _ = _table(n_rows=15)
    flags = np.hstack([X[:, :8], X[:, :8] >= X[:, 8:]])
    problem = Replenishment(9.0, 1.0, ordered=True, observations=range(8), sold_out=range(8, 16))
    result = backtest(SampleAverage(problem), flags, origins=2, baselines={})
    table = RollingTable(problem, flags)
    assert_array_equal(result.demand, table.demand[:, 6:])
    assert (table.demand >= X[:, :8]).all()
    assert (table.demand > X[:, :8]).any()


def test_a_transfer_curve_reads_the_newest_period_as_demand():
    X, _ = _table(n_rows=15)
    problem = Newsvendor(9.0, 1.0, ordered=True, **_roles())
    estimator, y = _newest_period_as_y(PretrainedDecisionTransformer(problem), X, None)
    assert_array_equal(y[:, 0], demand_of(problem.read(X))[:, 7])
    assert list(estimator.problem.stock) == list(range(8, 15))


def test_a_held_out_cell_of_a_transfer_curve_is_demand_too():
    X, _ = _table(n_rows=15)
    portfolio = Newsvendor(**_roles()).read(X)
    demand = demand_of(portfolio)
    evidence, outcomes = hold_out(portfolio.observations, 0, demand)
    assert_array_equal(outcomes[:, 0], demand[np.isnan(evidence)])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(1.0, 3.0))
def test_more_stock_lets_one_see_more(seed, factor):
    X, demand = _table(n_rows=10, seed=seed)
    more = X.copy()
    more[:, 8:] *= factor
    problem, asked = Newsvendor(**_roles()), np.nanmax(demand, axis=1)
    little, much = (problem.is_identified(problem.read(each), asked) for each in (X, more))
    assert (much >= little).all()
    assert_array_equal(little, asked <= X[:, 8:].max(axis=1))


def test_order_of_rows_and_units_do_not_matter_where_stock_capped_amounts():
    """Searches that stall at kinks of a loss moved orders by up to 2 %."""
    rng = np.random.default_rng(1)
    level = rng.gamma(2.0, 10.0, (40, 1)) + 2
    demand, stock = rng.gamma(4.0, level / 4, (40, 6)), 1.1 * level * np.ones((1, 6))
    X = np.hstack([np.minimum(demand, stock), stock])
    problem = Newsvendor(4.0, 1.0, ordered=True, observations=range(6), stock=range(6, 12))

    def orders(X):
        return PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X)

    found, mixed = orders(X), np.random.default_rng(1).permutation(40)
    assert_allclose(orders(X[mixed]), found[mixed], rtol=1e-6)
    assert_allclose(orders(1000 * X), 1000 * found, rtol=1e-6)


@pytest.mark.parametrize("driven", [False, True])
@pytest.mark.parametrize("kind", [Newsvendor, Replenishment])
def test_methods_in_time_go_on_over_several_periods(kind, driven):
    X, _ = _table(n_rows=10)
    X = np.hstack([X, np.tile(np.arange(10) % 2, (10, 1))])
    roles = _roles() | {"ordered": True}
    if driven:
        roles["drivers"] = {"promotion": range(16, 26)}
    costs = {"horizon": 2} if kind is Newsvendor else {"lead_time": 1}

    def orders(**more):
        fitted = ExponentialSmoothing(kind(4.0, 1.0, **costs, **roles | more)).fit(X)
        return fitted.decide(X)

    assert_array_equal(orders(), orders(stock=None))  # sales are taken for demand


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("times", "attributes"), [(0.8, None), (1.0, ["cat"]), (1.3, ["cat"])])
def test_what_capped_cells_hide_does_not_feed_on_itself(times, attributes, ordered):
    """Noise of rows grew with what was expected of their capped cells: orders, up to sixfold."""
    rng = np.random.default_rng(0)
    large = np.arange(30) % 2 == 1
    level = np.where(large, 40.0, 5.0)[:, None] * np.exp(0.3 * rng.normal(size=(30, 1)))
    demand, stock = rng.poisson(level, (30, 8)), np.rint(times * level) * np.ones((1, 8))
    X = pd.DataFrame(np.hstack([np.minimum(demand, stock), stock])).add_prefix("c")
    X["cat"] = np.where(large, "large", "small")
    roles = {"observations": X.columns[:8].tolist(), "stock": X.columns[8:16].tolist()}
    problem = Newsvendor(4.0, 1.0, ordered=ordered, attributes=attributes, **roles)
    orders = PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X)
    best = stats.poisson.ppf(0.8, level).sum()
    assert best * 0.95 < orders.sum() < best * (1.7 if times < 1 else 1.15)
