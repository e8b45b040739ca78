"""Replenishment: orders by hand, against the best base stock, batches, finetuning, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, clone

from sklearn_pttf import Column, DecisionMixin, PretrainedDecisionTransformer, WeightedAtoms
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf._laws.paths import N_PATHS, DemandPaths
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.metrics import decision_cost, regret
from sklearn_pttf.problems import Newsvendor, Replenishment
from sklearn_pttf.testing import BaseStock, simulate_stock

COUNTS = np.random.default_rng(0).poisson(6.0, size=(40, 12)).astype(float)
MEAN = 5.0


class KnownPoisson(DecisionMixin, BaseEstimator):
    """Told the law of all rows: only the rule of ordering is on trial."""

    def __init__(self, problem=None):
        self.problem = problem

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return PoissonLaw(np.full(len(portfolio), MEAN))


class Certain(KnownPoisson):
    """Knows that 4 units are asked for in every period."""

    def _predict_law(self, portfolio):
        return WeightedAtoms(np.full((len(portfolio), 1), 4.0))


def _decided(estimator, stock, problem, X=None):
    X = np.full((len(stock), 3), 4.0) if X is None else X
    n = X.shape[1]
    table = np.column_stack([X, stock])
    names = {"on_hand": Column(n), "on_order": list(range(n + 1, table.shape[1])) or None}
    problem = clone(problem).set_params(observations=list(range(n)), **names)
    return estimator(problem).fit(table).decide(table, return_info=True)


# ---- by hand


@pytest.mark.parametrize("lost", [True, False])
def test_what_is_left_at_arrival_is_not_ordered(lost):
    problem = Replenishment(4.0, 1.0, lead_time=2, lost_sales=lost)
    # on hand, then what comes in each of two periods, of which four are asked for each
    stock = np.array([[9.0, 0, 0], [9, 2, 5], [20, 0, 0], [1, 0, 6]])
    orders, info = _decided(Certain, stock, problem)
    # 9 - 4 - 4 = 1; 11 - 4 + 5 - 4 = 8; 12; of 1 three are lost, and 6 - 4 = 2 left, or -1 owed
    assert_array_equal(info.stock_at_arrival, [1, 8, 12, 2 if lost else -1])
    assert_array_equal(orders, [3, 0, 0, 2 if lost else 5])
    assert_array_equal(info.expected_cost, [0, 4, 8, 0])
    assert_array_equal(info.mean, 4.0)
    assert_array_equal(info.fill_rate, 1.0)
    assert_array_equal(info.stock_out, 0.0)
    # of four units for 1 in the first period three are missed; what is owed takes one more of 6
    assert_array_equal(info.missed_before, [0, 0, 0, 3 if lost else 4])


def test_a_review_of_two_periods_is_stocked_where_that_pays():
    stock = np.zeros((1, 1))
    # a second unit of the later period is held for one, or missed: 3 a unit
    orders, info = _decided(Certain, stock[:, :1], Replenishment(3.0, 1.0, review=2))
    assert (orders[0], info.expected_cost[0]) == (8.0, 4.0)
    orders, info = _decided(Certain, stock[:, :1], Replenishment(1.0, 3.0, review=2))
    # of 4 one is held for none: the later period is missed
    assert (orders[0], info.expected_cost[0]) == (4.0, 4.0)
    assert info.fill_rate[0] == 0.5
    assert info.stock_out[0] == 0.5  # of two periods one
    assert info.cycle_stock_out[0] == 1.0


def test_risk_of_a_cycle_is_that_of_any_of_its_periods():
    # known laws do not move each other: the sum of three periods is Poisson
    problem = Replenishment(4.0, 1.0, review=3)
    orders, info = _decided(KnownPoisson, np.zeros((1, 1)), problem)
    in_any = stats.poisson(3 * MEAN).sf(orders[0])
    assert_allclose(info.cycle_stock_out[0], in_any, atol=0.02)
    assert info.stock_out[0] < 0.6 * in_any
    # and of one period both are the same
    _, info = _decided(KnownPoisson, np.zeros((1, 1)), Replenishment(4.0, 1.0))
    assert info.cycle_stock_out[0] == info.stock_out[0]


def test_what_is_owed_is_charged_in_every_period_of_a_review():
    problem = Replenishment(0.8, 1.0, review=3, lost_sales=False)
    orders, info = _decided(Certain, np.zeros((1, 1)), problem)
    # of 12 units, the last 4 are owed once; with 4 units 4 are owed, and then 8, for 9.6
    assert orders[0] == 8.0
    assert_allclose(info.expected_cost, 4.0 + 0.8 * 4.0)


def test_lost_sales_are_not_made_up_by_what_comes_after_the_order():
    problem = Replenishment(4.0, 1.0, review=2, lead_time=Column(3), observations=[0, 1, 2])
    problem.set_params(on_hand=Column(4), on_order=[5, 6])
    table = np.array([[4.0, 4, 4, 0, 0, 0, 8]])
    orders, info = Certain(problem).fit(table).decide(table, return_info=True)
    # of 8 that come in the second period, 4 are left whatever is ordered for the first
    assert (orders[0], info.expected_cost[0], info.fill_rate[0]) == (4.0, 4.0, 1.0)


def test_lead_times_a_row():
    stock = np.array([[9.0, 0, 0], [9.0, 0, 0], [9.0, 0, 0]])
    X = np.column_stack([np.full((3, 3), 4.0), [0, 1, 2]])
    problem = Replenishment(4.0, 1.0, lead_time=Column(3), observations=[0, 1, 2])
    problem.set_params(on_hand=Column(4), on_order=[5, 6])
    table = np.column_stack([X, stock])
    assert_array_equal(Certain(problem).fit(table).decide(table), [0, 0, 3])


def test_packs_under_a_limit():
    problem = Replenishment(4.0, 1.0, pack=3.0, limit=7.0, observations=[0, 1, 2])
    X = np.full((3, 3), 4.0)
    orders, info = Certain(problem).fit(X).decide(X, return_info=True)
    # the third unit of a pack of 3 is wanted, the fourth is not: a pack each until 7 are used
    assert_array_equal(np.sort(orders), [0, 3, 3])
    assert info.used == 6.0
    assert info.dual_bound <= info.expected_cost.sum()


def test_stock_in_fractions_and_whole_orders():
    orders, _ = _decided(Certain, np.array([[0.5]]), Replenishment(4.0, 1.0))
    assert orders[0] == 4.0


def test_rounding_is_no_stock_out():
    X = np.full((2, 8), 0.7)
    problem = Replenishment(9.0, 1.0, lead_time=2, lost_sales=False)
    orders, info = SampleAverage(problem).fit(X).decide(X, return_info=True)
    # as floats, 2.1 - 0.7 - 0.7 - 0.7 is not 0
    assert_allclose(orders, 2.1)
    assert_array_equal(info.stock_out, 0.0)
    assert_array_equal(info.fill_rate, 1.0)


# ---- against the best there is


@pytest.mark.parametrize("lead", [0, 2])
def test_a_backlog_is_stocked_up_to_the_best_base_stock(lead):
    stock = np.column_stack([[0.0, 3, 30], np.zeros((3, lead))])
    problem = Replenishment(9.0, 1.0, lead_time=lead, lost_sales=False)
    orders, _ = _decided(KnownPoisson, stock, problem, np.full((3, 3), MEAN))
    best = stats.poisson((lead + 1) * MEAN).ppf(0.9)
    assert_allclose(orders, np.maximum(best - stock[:, 0], 0), atol=1)


def test_lost_sales_cost_less_than_the_best_base_stock():
    lead, n_rows, n_periods = 2, 20, 40
    problem = Replenishment(4.0, 1.0, lead_time=lead)
    demand = np.random.default_rng(1).poisson(MEAN, size=(n_rows, n_periods))

    def policy(state):
        stock = np.column_stack([state.on_hand, state.on_order])
        return _decided(KnownPoisson, stock, problem, np.full((n_rows, 3), MEAN))[0]

    told = {"lead_time": lead, "on_hand": 10.0, "shortage": 4.0, "holding": 1.0}
    later = slice(8, None)
    own = np.mean(simulate_stock(demand, policy, **told).cost_of(later))
    levels = [
        np.mean(simulate_stock(demand, BaseStock(level), **told).cost_of(later))
        for level in range(12, 21)
    ]
    assert own < 1.02 * min(levels)


# ---- the law of paths


def test_paths_have_the_laws_and_hang_together():
    laws = [PoissonLaw(np.array([2.0, 8.0])), PoissonLaw(np.array([6.0, 3.0]))]
    apart, together = (DemandPaths(laws, np.full(2, r)).draw() for r in (0.0, 0.9))
    assert apart.shape == (2, N_PATHS, 2)
    assert_allclose(apart.mean(axis=1), [[2, 6], [8, 3]], rtol=0.03)
    assert_allclose(together.mean(axis=1), [[2, 6], [8, 3]], rtol=0.03)
    assert abs(np.corrcoef(apart[0].T)[0, 1]) < 0.05
    assert np.corrcoef(together[0].T)[0, 1] > 0.8


@pytest.mark.parametrize("ratio", [0.8, 0.97])
def test_costs_of_a_backlog_are_those_of_the_total(ratio):
    problem = Replenishment(ratio / (1 - ratio), 1.0, lead_time=2, lost_sales=False)
    orders, info = _decided(KnownPoisson, np.array([[9.0, 5, 4]]), problem)
    # of all there ever is until then, what is left of three periods' demand, or missing
    total, up_to = PoissonLaw(3 * MEAN), 18 + orders[0]
    left, short = up_to - 3 * MEAN + total.excess(up_to), total.excess(up_to)
    assert_allclose(info.expected_cost, left + problem.shortage * short, rtol=0.015)
    assert_allclose(info.stock_out, 1 - total.cdf(up_to), rtol=0.1)


@pytest.mark.parametrize("estimator", [SampleAverage, ExponentialSmoothing])
def test_a_row_is_decided_alike_in_any_batch(estimator):
    problem = Replenishment(4.0, 1.0, lead_time=2, on_hand=7.0, ordered=True)
    fitted = estimator(problem).fit(COUNTS)
    alone = np.concatenate([fitted.decide(COUNTS[[k]]) for k in range(5)])
    assert_array_equal(fitted.decide(COUNTS)[:5], alone)


def test_one_period_is_the_newsvendor():
    network = {"finetune": None, "device": "cpu"}
    fitted = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), **network).fit(COUNTS)
    orders = fitted.decide(COUNTS)
    problem = Replenishment(4.0, 1.0)
    stocked = PretrainedDecisionTransformer(problem, **network).fit(COUNTS).decide(COUNTS)
    assert_allclose(stocked, orders, atol=1)


def test_the_network_finetunes_and_scores():
    problem = Replenishment(4.0, 1.0, lead_time=1, on_hand=6.0, ordered=True)
    fitted = PretrainedDecisionTransformer(problem, random_state=0, device="cpu").fit(COUNTS)
    orders, info = fitted.decide(COUNTS, return_info=True)
    assert (orders >= 0).all()
    assert (orders % 1 == 0).all()
    assert np.isfinite(info.expected_cost).all()
    assert -0.5 < fitted.score(COUNTS) < 1
    assert -0.5 < fitted.score(COUNTS, np.full((40, 2), 6.0)) < 1


def test_hindsight_by_hand():
    problem = Replenishment(4.0, 1.0, lead_time=1)
    costs = {"shortage": [4.0], "holding": [1.0], "lead_time": [1.0], "on_hand": [5.0]}
    costs = {name: np.array(value) for name, value in costs.items()}
    costs["on_order"] = np.array([[2.0]])
    # 7 - 3 = 4, and 2 come: 1 is left of 5; 7 - 9 are lost, and of 2 one is left
    later = np.array([[3.0, 5, 9, 1]])
    assert problem.hindsight_cost(np.array([2.0]), later, costs)[0] == 1.0
    later[0, 1] = np.nan
    assert problem.hindsight_cost(np.array([0.0]), later, costs)[0] == 4.0


# ---- what is refused


@pytest.mark.parametrize(
    ("parameters", "stock", "match"),
    [
        ({"lead_time": -1}, None, "lead_time must be a whole number"),
        ({"lead_time": 1.5}, None, "lead_time must be a whole number"),
        (
            {"lead_time": np.ones(2)},
            None,
            r"number in .*, a column's name or Column\(position\); got ndarray of shape \(2,\)",
        ),
        ({"shortage": np.ones(2)}, None, r"Column\(position\); got ndarray of shape \(2,\)"),
        ({"review": 0}, None, "review must be"),
        ({"lost_sales": "yes"}, None, "lost_sales must be True or False; got 'yes'"),
        ({"lead_time": 2, "on_order": [2]}, [0.0], "on_order must name 2 columns"),
        (
            {"lead_time": 1, "on_order": 2},
            [0.0],
            "on_order must be a list of columns or None; got 2",
        ),
        ({"lead_time": 1, "on_order": "x"}, [0.0], "on_order must be a list of columns or None"),
        ({"lead_time": 1, "on_order": [2]}, [-3.0], "on_order must be finite and at least 0"),
        ({"lead_time": Column(2)}, [1.0], "from 0 to 0, as on_order has 0 columns"),
        ({"on_hand": Column(2)}, [-1.0], "on_hand must be finite and at least 0 with lost"),
        ({"on_hand": Column(2)}, [np.nan], "on_hand must be finite"),
        ({"shortage": 0.0}, None, "shortage must be a positive finite cost"),
        ({"holding": 1e9}, None, "review \\* holding"),
        ({"holding": 1e9, "lost_sales": False}, None, "shortage / \\(shortage \\+ holding\\)"),
        ({"pack": 0.0}, None, "pack must be finite and positive"),
    ],
)
def test_bad_input_is_named(parameters, stock, match):
    X = np.full((2, 2), 4.0)
    if stock is not None:
        X = np.column_stack([X, np.repeat([stock], 2, axis=0)])
    problem = Replenishment(**{"observations": [0, 1], **parameters})
    with pytest.raises(ValueError, match=match):
        SampleAverage(problem).fit(X)


def test_drivers_must_reach_to_the_next_arrival():
    X = np.full((3, 8), 2.0)
    problem = Replenishment(lead_time=2, drivers={"promo": [4, 5, 6, 7]}, observations=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="promo"):
        PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)


def test_orders_are_charged_on_each_period_and_not_on_one_law():
    problem = Replenishment(4.0, 1.0, lead_time=1, on_hand=3.0)
    # 3 - 2 = 1, and 5 come: of 9 three are missed, of 2 four are left; (3 * 4 + 4 * 1) / 2
    assert decision_cost([[2, 9, 2, 2]], [5.0], problem=problem) == 8.0
    with pytest.raises(ValueError, match=r"demand of each period.*PoissonLaw.*= 2 columns of y"):
        decision_cost(None, [5.0], problem=problem, truth=PoissonLaw(np.array([5.0])))
    with pytest.raises(ValueError, match=r"demand of each period.*WeightedAtoms"):
        regret([[2, 9]], [5.0], problem=problem)
