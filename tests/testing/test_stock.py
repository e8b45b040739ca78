"""The simulator of stock: small cases by hand, conservation of units, optimal base stock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf.testing import BaseStock, simulate_stock

NAN, INF = np.nan, np.inf


def _plan(orders):
    """Policy that orders what is in a table, a column a period."""
    orders = np.asarray(orders, dtype=float)
    return lambda state: orders[:, state.period]


def _nothing(state):
    return np.zeros(len(state.on_hand))


# ------------------------------------------------------------------ by hand


def test_lost_sales_by_hand():
    record = simulate_stock(
        [[3, 4, 2, 1]], _plan([[2, 5, 0, 0]]), on_hand=2, lead_time=1, shortage=10, holding=2
    )
    assert_array_equal(record.orders, [[2, 5, 0, 0]])
    assert_array_equal(record.arrivals, [[0, 2, 5, 0]])
    assert_array_equal(record.stock, [[0, 0, 3, 2]])
    assert_array_equal(record.short, [[1, 2, 0, 0]])
    assert_array_equal(record.cost, [[10, 20, 6, 4]])
    assert_array_equal(record.demand, [[3, 4, 2, 1]])
    assert_array_equal(record.on_order, [[0]])


def test_backlog_by_hand():
    record = simulate_stock(
        [[3, 4, 2, 1]],
        _plan([[2, 5, 0, 0]]),
        on_hand=2,
        lead_time=1,
        shortage=10,
        holding=2,
        lost_sales=False,
    )
    # net stock 2 - 3 = -1, -1 + 2 - 4 = -3, -3 + 5 - 2 = 0, 0 - 1 = -1
    assert_array_equal(record.stock, [[0, 0, 0, 0]])
    assert_array_equal(record.short, [[1, 3, 0, 1]])
    assert_array_equal(record.cost, [[10, 30, 0, 10]])


@pytest.mark.parametrize("lost", [True, False])
def test_rounding_is_no_shortage(lost):
    # as floats, 0.3 - 0.1 - 0.1 - 0.1 is below 0
    record = simulate_stock([[0.1, 0.1, 0.1, 0]], _plan([[0.3, 0, 0, 0]]), lost_sales=lost)
    assert_array_equal(record.short, 0.0)
    assert record.service_level() == 1.0


def test_what_is_owed_at_first_is_served_first():
    record = simulate_stock([[1, 1]], _plan([[5, 0]]), on_hand=-3, lost_sales=False)
    assert_array_equal(record.stock, [[1, 0]])


@pytest.mark.parametrize(
    ("lead_time", "stock", "short", "under_way"),
    [
        (0, [3, 2, 1, 0], [0, 0, 0, 0], np.empty((1, 0))),
        (1, [0, 3, 2, 1], [1, 0, 0, 0], [[0]]),
        (2, [0, 0, 3, 2], [1, 1, 0, 0], [[0, 0]]),
        (6, [0, 0, 0, 0], [1, 1, 1, 1], [[0, 0, 4, 0, 0, 0]]),  # later than the last period
    ],
)
def test_lead_times(lead_time, stock, short, under_way):
    record = simulate_stock([[1, 1, 1, 1]], _plan([[4, 0, 0, 0]]), lead_time=lead_time)
    assert_array_equal(record.stock, [stock])
    assert_array_equal(record.short, [short])
    assert_array_equal(record.on_order, under_way)


def test_lead_times_by_row():
    demand = np.ones((3, 4))
    record = simulate_stock(demand, _plan([[2, 0, 1, 0]] * 3), lead_time=[0, 1, 2])
    assert_array_equal(record.arrivals, [[2, 0, 1, 0], [0, 2, 0, 1], [0, 0, 2, 0]])
    assert_array_equal(record.stock, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    assert_array_equal(record.short, [[0, 0, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]])
    assert_array_equal(record.on_order, [[0, 0], [0, 0], [1, 0]])


def test_review_and_number_of_orders():
    demand = np.ones((1, 7))
    every_second = simulate_stock(demand, BaseStock(3.0), review=2)
    assert_array_equal(every_second.orders, [[3, 0, 2, 0, 2, 0, 2]])
    first_two = simulate_stock(demand, BaseStock(3.0), review=2, n_orders=2)
    assert_array_equal(first_two.orders, [[3, 0, 2, 0, 0, 0, 0]])
    assert_array_equal(first_two.short, [[0, 0, 0, 0, 0, 1, 1]])
    none = simulate_stock(demand, BaseStock(3.0), n_orders=0)
    assert none.cost_of() == 7.0


def test_what_a_policy_is_told():
    states = []

    def policy(state):
        states.append(state)
        return [1, 10]

    simulate_stock(
        [[2, 1, 0], [5, 5, 5]],
        policy,
        lead_time=[2, 1],
        on_hand=[4, 8],
        on_order=[[1, 2], [3, 0]],
        lost_sales=False,
    )
    assert [state.period for state in states] == [0, 1, 2]
    assert_array_equal([state.on_hand for state in states], [[4, 8], [3, 6], [4, 11]])
    # what was ordered arrives two periods later, and one period later
    assert_array_equal(states[0].on_order, [[1, 2], [3, 0]])
    assert_array_equal(states[1].on_order, [[2, 1], [10, 0]])
    assert_array_equal(states[2].on_order, [[1, 1], [10, 0]])
    assert_array_equal(states[2].position, [6, 21])
    assert states[0].demand_so_far.shape == (2, 0)
    assert_array_equal(states[2].demand_so_far, [[2, 1], [5, 5]])


def test_a_policy_cannot_change_what_happens():
    def policy(state):
        state.on_order[:] += 1
        return state.on_hand

    with pytest.raises(ValueError, match="read-only"):
        simulate_stock([[1, 1]], policy, lead_time=1)


def test_a_competition_of_two_weeks_on_the_way():
    """Stock twice the mean, the mean on the way in each of two weeks, the first orders count."""
    demand = [[2, 2, 6, 0, 2], [1, 0, 0, 0, 3]]
    record = simulate_stock(
        demand,
        BaseStock([8.0, 4.0]),
        lead_time=2,
        on_hand=[4, 2],
        on_order=[[2, 2], [1, 1]],
        holding=0.2,
        n_orders=3,
    )
    # before week 0 the position is 8 and 4: nothing is ordered; then the demand of the week before
    assert_array_equal(record.orders, [[0, 2, 2, 0, 0], [0, 1, 0, 0, 0]])
    assert_array_equal(record.stock, [[4, 4, 0, 2, 2], [2, 3, 3, 4, 1]])
    assert_array_equal(record.short, [[0, 0, 2, 0, 0], [0, 0, 0, 0, 0]])
    charged = slice(2, None)
    assert_allclose(record.cost_of(charged), 2.0 + 0.2 * 12)
    assert_allclose(record.cost_of(charged, by_row=True), [2.8, 1.6])


def test_costs_by_row():
    record = simulate_stock(
        [[2.0], [1.0]], _nothing, on_hand=[0.5, 4.0], shortage=[4.0, 9.0], holding=[9.0, 0.5]
    )
    assert_array_equal(record.cost, [[6.0], [1.5]])


# ------------------------------------------------------------------ measures


def test_measures_over_periods_and_rows():
    record = simulate_stock([[3, 1, 4], [0, 2, 2]], _plan([[2, 2, 2]] * 2))
    assert_array_equal(record.stock, [[0, 1, 0], [2, 2, 2]])
    assert_array_equal(record.short, [[1, 0, 1], [0, 0, 0]])
    assert record.cost_of() == 9.0
    assert record.cost_of([0, 2]) == 6.0
    assert_array_equal(record.cost_of(by_row=True), [3.0, 6.0])
    assert_allclose(record.service_level(), 4 / 6)
    assert_allclose(record.service_level(slice(1, None), by_row=True), [0.5, 1.0])
    assert_allclose(record.fill_rate(), 10 / 12)
    assert_allclose(record.fill_rate(by_row=True), [6 / 8, 1.0])
    assert record.fill_rate([0], by_row=True)[1] == 1.0  # no demand
    assert_allclose(record.average_stock(), 7 / 6)
    assert_allclose(record.average_stock(by_row=True), [1 / 3, 2.0])


def test_fill_rate_of_a_backlog_counts_no_unit_twice():
    # 3 are owed after the first period and 1 after the second, in which 1 of 2 is served at once
    record = simulate_stock([[3, 2, 1]], _plan([[0, 4, 2]]), lost_sales=False)
    assert_array_equal(record.short, [[3, 1, 0]])
    assert_allclose(record.fill_rate(), (0 + 1 + 1) / 6)


# ------------------------------------------------------------------ properties


@st.composite
def _runs(draw):
    """Demand, orders and what `simulate_stock` is told, in whole units."""
    n, n_periods = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lead_time = rng.integers(0, draw(st.integers(1, 4)), n)
    lost_sales = draw(st.booleans())
    told = {
        "lead_time": lead_time,
        "review": draw(st.integers(1, 3)),
        "on_hand": rng.integers(0 if lost_sales else -9, 10, n),
        "on_order": rng.integers(0, 10, (n, lead_time.max())),
        "lost_sales": lost_sales,
        "n_orders": draw(st.none() | st.integers(0, 4)),
    }
    return rng.poisson(4, (n, n_periods)), rng.poisson(4, (n, n_periods)), told


@given(_runs())
@settings(max_examples=60, deadline=None)
def test_no_unit_is_lost(run):
    demand, orders, told = run
    record = simulate_stock(demand, _plan(orders), **told)
    entered = told["on_hand"] + record.arrivals.sum(axis=1)
    if told["lost_sales"]:
        assert_array_equal(entered, (demand - record.short).sum(axis=1) + record.stock[:, -1])
        assert (record.short <= demand).all()
    else:
        assert_array_equal(entered, demand.sum(axis=1) + record.stock[:, -1] - record.short[:, -1])
    ordered = told["on_order"].sum(axis=1) + record.orders.sum(axis=1)
    assert_array_equal(ordered, record.arrivals.sum(axis=1) + record.on_order.sum(axis=1))
    assert not (record.stock * record.short).any()
    assert (record.stock >= 0).all()
    assert (record.short >= 0).all()


@given(_runs())
@settings(max_examples=30, deadline=None)
def test_rows_do_not_depend_on_each_other(run):
    demand, orders, told = run
    lead_time = told["lead_time"]
    own = np.arange(lead_time.max()) < lead_time[:, None]  # columns of a row's own lead time
    told |= {"on_order": np.where(own, told["on_order"], 0)}
    together = simulate_stock(demand, _plan(orders), **told)
    for row in range(len(demand)):
        of_row = told | {
            "lead_time": lead_time[row],
            "on_hand": told["on_hand"][row],
            "on_order": told["on_order"][[row], : lead_time[row]],
        }
        alone = simulate_stock(demand[[row]], _plan(orders[[row]]), **of_row)
        for name in ("orders", "arrivals", "stock", "short", "cost"):
            assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_backlogged_base_stock_is_the_level_less_demand_since_the_order(lead_time, seed):
    demand = np.random.default_rng(seed).poisson(3.0, (3, 12))
    record = simulate_stock(
        demand, BaseStock([5.0, 9.0, 20.0]), lead_time=lead_time, lost_sales=False
    )
    for t in range(lead_time, 12):
        since = demand[:, t - lead_time : t + 1].sum(axis=1)
        net = record.stock[:, t] - record.short[:, t]
        assert_array_equal(net, [5, 9, 20] - since)


# ------------------------------------------------------------------ the known optimum


def _negative_binomial(size, mean, n_periods):
    """Law of gamma-Poisson demand of independent periods in total."""
    return stats.nbinom(n_periods * size, size / (size + mean))


def _newsvendor_cost(law, level, shortage, holding):
    units = np.arange(level + 1)
    left = ((level - units) * law.pmf(units)).sum()
    return holding * left + shortage * (left + law.mean() - level)


def _mean_costs(demand, level, n_warm, **told):
    """Mean cost of a period of every row, once the first orders have arrived."""
    record = simulate_stock(demand, BaseStock(float(level)), **told)
    return record.cost_of(slice(n_warm, None), by_row=True) / (demand.shape[1] - n_warm)


@pytest.mark.parametrize(
    ("lead_time", "lost_sales"), [(0, False), (1, False), (3, False), (0, True)]
)
def test_the_optimal_base_stock_is_a_quantile(lead_time, lost_sales):
    size, mean, shortage, holding = 2.0, 3.0, 9.0, 1.0
    rng = np.random.default_rng(lead_time)
    demand = rng.poisson(rng.gamma(size, mean / size, (4000, 40 + lead_time)))
    law = _negative_binomial(size, mean, lead_time + 1)
    best = int(law.ppf(shortage / (shortage + holding)))
    told = {"lead_time": lead_time, "lost_sales": lost_sales, "shortage": shortage}
    costs = _mean_costs(demand, best, lead_time, holding=holding, **told)
    error = costs.std() / np.sqrt(len(costs))
    exact = _newsvendor_cost(law, best, shortage, holding)
    assert abs(costs.mean() - exact) < 4 * error
    assert error < 0.01 * exact
    for level in (best - 2, best + 2):
        dearer = _mean_costs(demand, level, lead_time, holding=holding, **told) - costs
        assert dearer.mean() > 4 * dearer.std() / np.sqrt(len(dearer))


def test_lost_sales_need_less_stock_than_a_backlog():
    """With a lead time, what is lost is not owed: the best level lies below the quantile."""
    size, mean, shortage, holding = 2.0, 3.0, 4.0, 1.0
    rng = np.random.default_rng(0)
    demand = rng.poisson(rng.gamma(size, mean / size, (2000, 60)))
    quantile = int(_negative_binomial(size, mean, 3).ppf(shortage / (shortage + holding)))
    levels = np.arange(quantile - 6, quantile + 4)
    told = {"lead_time": 2, "shortage": shortage, "holding": holding}
    costs = [_mean_costs(demand, level, 10, **told).mean() for level in levels]
    assert levels[np.argmin(costs)] < quantile


# cheapest base stock of Poisson demand of mean 5 that is lost, holding cost 1, as published:
# P. Zipkin, "Old and new methods for lost-sales inventory systems", Oper. Res. 56 (2008), 1256-1263
PUBLISHED = {
    (1, 4): (12, 4.16),
    (2, 4): (16, 4.64),
    (3, 4): (20, 4.98),
    (4, 4): (25, 5.20),
    (1, 9): (13, 5.55),
    (2, 9): (19, 6.32),
    (3, 9): (23, 6.86),
    (4, 9): (28, 7.27),
}


@pytest.mark.parametrize(("case", "published"), PUBLISHED.items())
def test_published_costs_of_lost_sales(case, published):
    (lead_time, shortage), (level, cost) = case, published
    demand = np.random.default_rng(5).poisson(5.0, (1000, 130))
    told = {"lead_time": lead_time, "shortage": shortage, "on_hand": level}
    costs = _mean_costs(demand, level, 30, **told)
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - cost) < 4 * error + 0.005  # published to two digits
    assert error < 0.005 * cost


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("demand", "message"),
    [
        ([[1, NAN], [1, 2]], r"known in every period.*row 0: nan \(1 in all\).*filled in"),
        ([[1, 2], [1, -3]], r"demand must be .* in \[0, 1e\+100\]; got row 1: -3.0"),
        ([[1, INF]], "row 0: inf"),
        ([1, 2], "2D"),
    ],
)
def test_demand_that_cannot_be_played(demand, message):
    with pytest.raises(ValueError, match=message):
        simulate_stock(demand, _nothing)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"lead_time": -1}, r"lead_time must be whole .* in \[0, 1000\]; got row 0: -1"),
        ({"lead_time": [0, 1.5]}, r"lead_time must be whole .*; got row 1: 1.5"),
        ({"lead_time": [0, 1, 2]}, r"lead_time .* shape \(2,\).*got shape \(3,\)"),
        ({"lead_time": NAN}, "lead_time .*row 0: nan"),
        ({"lead_time": "2"}, "lead_time must be a number .*'2'"),
        ({"review": 0}, "review must be a whole number of at least 1; got 0"),
        ({"lost_sales": "no"}, "lost_sales must be True or False; got 'no'"),
        ({"n_orders": -1}, "n_orders must be a whole number of at least 0; got -1"),
        ({"on_hand": [3, -2]}, "on_hand must be at least 0 with lost_sales=True.*row 1: -2"),
        ({"on_hand": INF}, "on_hand must be in .*row 0: inf"),
        ({"lead_time": [0, 2], "on_order": [[1], [1]]}, r"shape \(2, 2\).*got shape \(2, 1\)"),
        ({"on_order": [[1], [1]]}, r"on_order must have shape \(2, 0\).*got shape \(2, 1\)"),
        ({"lead_time": 1, "on_order": [1, 1]}, r"shape \(2, 1\).*got shape \(2,\)"),
        ({"lead_time": 1, "on_order": [[1], [-1]]}, r"on_order must be in \[0.*row 1: -1"),
        ({"lead_time": 1, "on_order": [[1], [NAN]]}, "on_order .*row 1: nan"),
        ({"shortage": -1.0}, r"shortage must be in \[0, 1e\+100\]; got row 0: -1"),
        ({"holding": [1.0, NAN]}, r"holding must be in .*row 1: nan"),
    ],
)
def test_bad_parameters(told, message):
    with pytest.raises(ValueError, match=message):
        simulate_stock([[1, 2], [3, 4]], _nothing, **told)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([1, NAN], r"before period 1 it gave row 1: nan \(1 in all\)"),
        ([-1, 2], "numbers of at least 0.*before period 1 it gave row 0: -1.0"),
        ([INF, INF], r"before period 1 it gave row 0: inf, row 1: inf \(2 in all\)"),
        ([1, 2, 3], r"shape \(2,\); before period 1 it gave shape \(3,\)"),
        ([[1], [2]], r"shape \(2,\); before period 1 it gave shape \(2, 1\)"),
        (3.0, r"before period 1 it gave shape \(\)"),
        (None, r"before period 1"),
        (["a", "b"], r"gives before period 1 must be one order a row"),
    ],
)
def test_bad_orders(orders, message):
    with pytest.raises(ValueError, match=message):
        simulate_stock([[1, 2], [3, 4]], lambda state: orders if state.period else [0, 0])


def test_policies_are_functions():
    with pytest.raises(ValueError, match=r"policy must be a function .*got 3"):
        simulate_stock([[1]], 3)


def test_levels_of_base_stock():
    with pytest.raises(ValueError, match=r"levels .* shape \(2,\).*got shape \(3,\)"):
        simulate_stock([[1], [2]], BaseStock([1, 2, 3]))
    with pytest.raises(ValueError, match=r"levels must be in .*row 0: nan"):
        simulate_stock([[1], [2]], BaseStock(NAN))
    assert repr(BaseStock(3.0)) == "BaseStock(3.0)"
