"""The newsvendor: costs by hand, its columns, its refusals and its decisions."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone

from sklearn_pttf import Column, Portfolio
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf._utils.checks import LinearCombination
from sklearn_pttf.problems import DecisionProblem, Newsvendor
from support.newsvendor import read_costs

NAN = np.nan
ONE = np.ones((2, 1))
FRAME = pd.DataFrame(
    {
        "shop": ["north", "south", "east"],
        "w1": [3.0, 5.0, NAN],
        "w2": [4.0, NAN, NAN],
        "price": [9.0, 8.0, 5.0],
        "cost": [4.0, 6.0, 2.0],
        "worth": [1.0, 0.5, -1.0],
        "level": [0.999, 0.5, 0.001],
    }
)
NAMES = list(FRAME.columns)
FRAMES = {"pandas": FRAME, "polars": pl.DataFrame(FRAME.to_dict("list"))}

# ---- the cost of a decision


@pytest.mark.parametrize(
    ("decision", "outcome", "cost"),
    [(10, 12, 8.0), (10, 10, 0.0), (10, 7, 4.5), (0, 3, 12.0), (2.5, 2.0, 0.75), (4, 0, 6.0)],
)
def test_cost_by_hand(decision, outcome, cost):
    # 4 a unit short, 1.5 a unit left over
    problem = Newsvendor(underage=4.0, overage=1.5)
    assert problem.cost(decision, outcome) == cost
    assert problem.cost(decision, outcome, underage=8.0, overage=3.0) == 2 * cost
    tensors = [torch.tensor(float(value)) for value in (decision, outcome)]
    assert problem.cost(*tensors).item() == cost


def test_cost_broadcasts():
    problem = Newsvendor(4.0, 1.0)
    decision, outcome = np.array([[1.0], [5.0]]), np.array([0.0, 3.0, NAN])
    table = [[1.0, 8.0, NAN], [5.0, 2.0, NAN]]
    assert_array_equal(problem.cost(decision, outcome), table)
    tensor = problem.cost(torch.tensor(decision), torch.tensor(outcome))
    assert_array_equal(tensor.numpy(), table)


def test_cost_of_tensors_has_its_slopes():
    decision = torch.tensor([1.0, 5.0], requires_grad=True)
    Newsvendor(4.0, 1.5).cost(decision, torch.tensor([3.0, 3.0])).sum().backward()
    assert decision.grad.tolist() == [-4.0, 1.5]


def test_hindsight_cost_by_hand():
    problem = Newsvendor()
    costs = {"underage": np.array([4.0, 1.0, 1.0]), "overage": np.array([1.0, 2.0, 1.0])}
    outcomes = np.array([[3.0, 7.0, NAN], [5.0, NAN, NAN], [NAN, NAN, NAN]])
    # row 0: 2 left over and 2 short, (2 + 8) / 2; row 1: 1 left over at 2
    hindsight = problem.hindsight_cost(np.array([5.0, 6.0, 1.0]), outcomes, costs)
    assert_array_equal(hindsight, [5.0, 2.0, NAN])


# ---- parameters and columns


def test_parameters_survive_clone():
    problem = Newsvendor(Column(3), "cost", observations=["w1"])
    assert isinstance(problem, DecisionProblem)
    assert problem.get_params() == {
        "underage": Column(3),
        "overage": "cost",
        "observations": ["w1"],
        "exposure": None,
        "coming_exposure": None,
        "stock": None,
        "sold_out": None,
        "limit": None,
        "limit_weights": 1.0,
        "groups": None,
        "lower": None,
        "upper": None,
        "pack": None,
        "minimum": None,
        "horizon": 1,
        "ordered": False,
        "drivers": None,
        "seasons": None,
        "attributes": None,
        "risk": "mean",
    }
    assert clone(problem).get_params() == problem.get_params()
    assert problem.set_params(overage=2.0).overage == 2.0
    margin = Newsvendor.from_prices("price", "cost", 0.5)
    assert clone(margin).get_params() == margin.get_params()


def test_from_service_level():
    problem = Newsvendor.from_service_level(0.95)
    assert_allclose(problem.critical_ratio(**read_costs(problem)), [0.95, 0.95])
    assert problem.observations is None
    columns = Newsvendor.from_service_level("level", observations=["w1", "w2"])
    costs = columns.read_costs(FRAME, NAMES)
    assert_allclose(columns.critical_ratio(**costs), FRAME["level"])
    assert columns.observation_positions(NAMES, 7) == [1, 2]
    by_position = Newsvendor.from_service_level(Column(6))
    assert_array_equal(by_position.read_costs(FRAME, NAMES)["overage"], costs["overage"])
    assert 6 not in by_position.observation_positions(NAMES, 7)


def test_from_prices():
    numbers = Newsvendor.from_prices(5.0, 2.0, 0.5)
    assert (numbers.underage, numbers.overage) == (3.0, 1.5)
    assert Newsvendor.from_prices(5.0, 2.0).overage == 2.0
    columns = Newsvendor.from_prices("price", "cost", "worth", observations=["w1", "w2"])
    costs = columns.read_costs(FRAME, NAMES)
    assert_array_equal(costs["underage"], [5.0, 2.0, 3.0])
    assert_array_equal(costs["overage"], [3.0, 5.5, 3.0])
    mixed = Newsvendor.from_prices(10.0, Column(4), 1.0)
    costs = mixed.read_costs(FRAME, NAMES)
    assert_array_equal(costs["underage"], [6.0, 4.0, 8.0])
    assert_array_equal(costs["overage"], [3.0, 5.0, 1.0])
    assert mixed.observation_positions(NAMES, 7) == [0, 1, 2, 3, 5, 6]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("observations", [["w1", "w2"], [1, 2], ("w1", 2), np.array([1, 2])])
def test_text_rides_along_when_observations_are_named(frame, observations):
    problem = Newsvendor("price", Column(4), observations=observations)
    portfolio = problem.read(FRAMES[frame], NAMES)
    assert_array_equal(portfolio.observations, [[3.0, 4.0], [5.0, NAN], [NAN, NAN]])
    assert_array_equal(portfolio.costs["underage"], [9.0, 8.0, 5.0])
    assert_array_equal(portfolio.costs["overage"], [4.0, 6.0, 2.0])
    assert portfolio.integer is True


@pytest.mark.parametrize("observations", ["w1", 1, Column(1), [Column(1)]])
def test_one_observation_column(observations):
    portfolio = Newsvendor(observations=observations).read(FRAME, NAMES)
    assert_array_equal(portfolio.observations, [[3.0], [5.0], [NAN]])


def test_text_among_observations_is_refused():
    with pytest.raises(ValueError, match=r"column 'shop' of X holds text .* observations=\[...\]"):
        Newsvendor("price").read(FRAME, NAMES)


def test_columns_without_a_role_are_observations():
    X = np.array([[1.0, 4.0, 2.0], [3.0, 5.0, 0.5]])
    portfolio = Newsvendor(Column(1), 2.0).read(X)
    assert_array_equal(portfolio.observations, [[1.0, 2.0], [3.0, 0.5]])
    assert_array_equal(portfolio.costs["underage"], [4.0, 5.0])
    assert_array_equal(portfolio.costs["overage"], [2.0, 2.0])
    assert portfolio.integer is False


def test_one_column_may_be_both_costs():
    problem = Newsvendor("cost", "cost", observations=["w1"])
    assert_array_equal(problem.critical_ratio(**problem.read_costs(FRAME, NAMES)), [0.5] * 3)


def test_read_with_the_settings_of_fit():
    portfolio = Newsvendor(observations=["w2"]).read(FRAME, NAMES, positions=[1], integer=False)
    assert_array_equal(portfolio.observations, [[3.0], [5.0], [NAN]])
    assert portfolio.integer is False


# ---- what is refused


@pytest.mark.parametrize("name", ["underage", "overage"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1.0, "-1.0"), (0.0, "0.0"), (0, "0.0"), (NAN, "nan"), (np.inf, "inf"), (-np.inf, "-inf")],
)
def test_costs_that_are_refused(name, value, shown):
    message = rf"^{name} must be a positive finite cost a unit; got row 0: {shown}, .*\(2 in all\)"
    with pytest.raises(ValueError, match=message):
        Newsvendor(**{name: value}).read(ONE)
    column = pd.DataFrame({"w": [1.0, 1.0, 1.0], "c": [1.0, value, 2.0]})
    message = (
        "contains infinity" if np.isinf(value) else rf"{name} .* got row 1: {shown} \(1 in all"
    )
    with pytest.raises(ValueError, match=message):
        Newsvendor(**{name: "c"}).read(column, ["w", "c"])


@pytest.mark.parametrize("value", [None, True, [1.0], {"c": 1}])
def test_costs_of_another_kind_are_refused(value):
    with pytest.raises(ValueError, match="overage must be a number, a column's name or Column"):
        Newsvendor(1.0, value).read(ONE)


@pytest.mark.parametrize(
    ("underage", "overage"), [(1.0, 1000.0), (1000.0, 1.0), (1e-99, 1e99), (1e99, 1e-99)]
)
def test_ratios_outside_are_refused(underage, overage):
    message = r"must be in \[0.001, 0.999\], beyond .* got row 0: [-0-9.e]+, row 1: .*2 in all"
    with pytest.raises(ValueError, match=message):
        Newsvendor(underage, overage).read(ONE)


@pytest.mark.parametrize("level", [0.0, 0.0009, 0.9991, 1.0, 95, -0.5, NAN, True, None])
def test_service_levels_outside_are_refused(level):
    with pytest.raises(
        ValueError, match=r"level must be a number in \[0.001, 0.999\] or a column; "
    ):
        Newsvendor.from_service_level(level)


def test_service_level_columns_outside_are_refused():
    X = pd.DataFrame({"w": [1.0, 2.0], "level": [0.5, 0.9995]})
    with pytest.raises(ValueError, match=r"must be in \[0.001, 0.999\].* got row 1: 0.9995"):
        Newsvendor.from_service_level("level").read(X, ["w", "level"])


@pytest.mark.parametrize(
    "prices",
    [
        (5.0, 5.0),
        (2.0, 5.0),
        (5.0, 2.0, 2.0),
        (5.0, 2.0, 3.0),
        (NAN, 2.0),
        (5.0, NAN),
        ("p", 1.0, 1),
    ],
)
def test_prices_in_the_wrong_order_are_refused(prices):
    with pytest.raises(ValueError, match="salvage < cost < price is needed; got salvage="):
        Newsvendor.from_prices(*prices)


def test_price_columns_in_the_wrong_order_are_refused():
    problem = Newsvendor.from_prices("cost", "price", observations=["w1"])
    with pytest.raises(ValueError, match=r"underage must be .* got row 0: -5.0, row 1: -2.0"):
        problem.read(FRAME, NAMES)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Newsvendor("margin"), "underage='margin' is no column of X; X has 'shop', 'w1'"),
        (
            Newsvendor(1.0, Column(9)),
            "overage refers to column 9, but X has n_features = 7 columns, 0 to 6",
        ),
        (Newsvendor(observations=["w1", "w9"]), "observations='w9' is no column of X"),
        (Newsvendor(observations=[1, 7]), "observations refers to column 7"),
        (Newsvendor(observations=[-1]), "observations refers to column -1"),
        (Newsvendor(observations=[True]), "observations must be a column's name or position"),
        (Newsvendor(observations=[]), "X has no observation column"),
        (Newsvendor.from_prices("sale", 1.0), "underage='sale' is no column"),
        (Newsvendor.from_service_level("sl"), "underage='sl' is no column"),
        (Newsvendor("price", observations=["w1", "price"]), "includes column 3, which plays"),
        (Newsvendor(1.0, Column(2), observations=["w1", "w2"]), "includes column 2, which plays"),
        (Newsvendor(observations=["w1", 1]), "includes column 1, which plays another role or is"),
        (
            Newsvendor.from_prices("price", "cost", observations=["w1", "cost"]),
            "includes column 4, which plays",
        ),
    ],
)
def test_columns_that_are_refused(problem, message):
    with pytest.raises(ValueError, match=r"column|observations") as error:
        problem.read(FRAME, NAMES)
    assert message in str(error.value)


def test_names_need_a_frame():
    with pytest.raises(ValueError, match=r"overage='cost' .* give the position as Column\(k\)"):
        Newsvendor(1.0, "cost").read(np.ones((2, 3)))


def test_some_column_must_be_left_for_observations():
    with pytest.raises(ValueError, match="X has no observation column among its 2: all have"):
        Newsvendor(Column(0), Column(1)).read(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"observations=\[\] names none"):
        Newsvendor(observations=[]).read(np.ones((2, 2)))


def test_negative_demand_is_refused():
    X = np.array([[1.0, 2.0], [NAN, -0.5], [NAN, NAN], [-7.0, -3.0]])
    message = r"demand in X must be at least 0; got row 1: -0.5, row 3: -7.0 \(2 in all\)"
    with pytest.raises(ValueError, match=message):
        Newsvendor().read(X)
    with pytest.raises(ValueError, match="demand in y must"):
        Newsvendor().check_outcomes(X, "y")
    Newsvendor().check_outcomes(np.array([[0.0, NAN], [-0.0, 1.0]]), "y")


def test_infinite_demand_is_refused():
    with pytest.raises(ValueError, match="Input X contains infinity"):
        Newsvendor().read(np.array([[1.0, np.inf]]))


# ---- decisions


def test_solve_is_the_quantile_at_each_rows_ratio():
    costs = {"underage": np.array([1.0, 3.0, 9.0]), "overage": np.array([3.0, 1.0, 1.0])}
    portfolio = Portfolio(np.ones((3, 1)), costs)
    law = WeightedAtoms(np.tile(np.arange(1.0, 11.0), (3, 1)))
    # ratios 1/4, 3/4 and 9/10
    assert_array_equal(Newsvendor().solve(law, portfolio), [3.0, 8.0, 9.0])


@pytest.mark.parametrize(
    "problem",
    [
        Newsvendor(0.999, 0.001),
        Newsvendor(999.0, 1.0),
        Newsvendor(999e-100, 1e-100),
        Newsvendor.from_service_level(0.999),
    ],
)
def test_the_largest_ratio_is_served(problem):
    portfolio = problem.read(ONE)
    assert_allclose(problem.critical_ratio(**portfolio.costs), [0.999, 0.999], rtol=1e-12)
    law = WeightedAtoms(np.tile(np.arange(1.0, 1001.0), (2, 1)))
    assert_array_equal(problem.solve(law, portfolio), [999.0, 999.0])


@pytest.mark.parametrize(
    "problem",
    [
        Newsvendor(0.001, 0.999),
        Newsvendor(1.0, 999.0),
        Newsvendor(1e97, 999e97),
        Newsvendor.from_service_level(0.001),
    ],
)
def test_the_smallest_ratio_is_served(problem):
    portfolio = problem.read(ONE)
    assert_allclose(problem.critical_ratio(**portfolio.costs), [0.001, 0.001], rtol=1e-12)
    law = WeightedAtoms(np.tile(np.arange(1.0, 1001.0), (2, 1)))
    assert_array_equal(problem.solve(law, portfolio), [1.0, 1.0])


@pytest.mark.parametrize("unit", [1e-99, 1.0, 1e96])
def test_only_the_ratio_of_costs_counts(unit):
    problem = Newsvendor(4 * unit, unit)
    portfolio = problem.read(ONE)
    assert_array_equal(problem.critical_ratio(**portfolio.costs), [0.8, 0.8])
    law = WeightedAtoms(np.tile(np.arange(1.0, 6.0), (2, 1)))
    assert_array_equal(problem.solve(law, portfolio), [4.0, 4.0])


@pytest.mark.parametrize("costs", [(5e-324, 5e-324), (1.7e308, 1.7e308)])
def test_equal_costs_at_the_ends_of_floats(costs):
    assert_array_equal(Newsvendor.critical_ratio(*map(np.array, costs)), 0.5)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
    st.integers(1, 9),
    st.integers(1, 9),
    st.floats(-3, 25),
)
def test_expected_cost_and_best_order_of_atoms(atoms, underage, overage, order):
    problem = Newsvendor(underage, overage)
    portfolio = Portfolio(np.ones((1, 1)), read_costs(problem, 1))
    law = WeightedAtoms(np.array([atoms], dtype=float))

    def total(decision):
        return sum(underage * max(a - decision, 0) + overage * max(decision - a, 0) for a in atoms)

    expected = problem.expected_cost(np.array([order]), law, portfolio)
    assert_allclose(expected, [total(order) / len(atoms)], atol=1e-9)
    # the totals of whole numbers are exact, and argmin gives the smaller of a tie
    assert problem.solve(law, portfolio)[0] == np.argmin([total(q) for q in range(21)])


def test_expected_cost_of_poisson_demand():
    problem = Newsvendor(np.float64(4.0), 1.5)
    portfolio = Portfolio(np.ones((2, 1)), read_costs(problem))
    law = PoissonLaw([2.0, 11.0])
    numbers = np.arange(0, 200)
    for order in (0.0, 3.0, 7.5, 40.0):
        chances = np.diff(law.cdf(numbers[None]), prepend=0.0)
        by_hand = (chances * problem.cost(order, numbers)).sum(axis=1)
        assert_allclose(problem.expected_cost(np.full(2, order), law, portfolio), by_hand)


def test_expected_cost_of_a_logistic_law_at_its_best_order():
    # u E(X - q)+ + o E(q - X)+ at the ratio r is (u + o) s H(r), H the entropy in nats
    law = QuantileGrid(100 + 3 * np.linspace(-7, 7, 33)[None], expit(np.linspace(-7, 7, 33)))
    problem = Newsvendor(9.0, 1.0)
    portfolio = Portfolio(np.ones((1, 1)), read_costs(problem, 1))
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    decision = problem.solve(law, portfolio)
    assert_allclose(decision, [100 + 3 * np.log(9)])
    assert_allclose(problem.expected_cost(decision, law, portfolio), [10 * 3 * entropy], rtol=1e-9)


# ---- numbers and levels


def test_linear_combinations_are_parameters():
    problem = Newsvendor(LinearCombination(1.0, ((2.0, "w1"),)), 1.0, observations=["w2"])
    costs = problem.read_costs(FRAME[:2], NAMES)
    assert_array_equal(costs["underage"], [7.0, 11.0])


def test_cost_of_columns_needs_numbers():
    problem = Newsvendor(underage="margin", overage=1.0)
    with pytest.raises(ValueError, match="underage='margin' is a column"):
        problem.cost(3.0, 5.0)
    assert problem.cost(3.0, 5.0, underage=4.0) == 8.0


def test_unsigned_numbers_do_not_wrap():
    orders, outcomes = np.array([1, 2], dtype=np.uint8), np.array([0, 1], dtype=np.uint8)
    assert_array_equal(Newsvendor(4.0, 1.0).cost(orders, outcomes), [1.0, 1.0])


def test_own_levels_are_the_critical_ratios():
    problem = Newsvendor(underage=Column(1), overage=1.0)
    portfolio = problem.read(np.array([[5.0, 4.0], [6.0, 1.0]]))
    np.testing.assert_allclose(problem.own_levels(PoissonLaw([5.0, 6.0]), portfolio), [0.8, 0.5])
