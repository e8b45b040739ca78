"""Costs of one's own: the search against the newsvendor, grids and hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.parametric import LognormalLaw
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost, prescriptiveness, regret
from sklearn_pttf.problems import DecisionProblem, Newsvendor, _search
from support.own_costs import (
    DECIDERS,
    LAWS,
    Given,
    Linear,
    check_least,
    decided,
    ragged_counts,
    squared,
)

NAN = np.nan


def with_setup(decision, outcome):
    """A fixed cost of any order at all."""
    return (
        6.0 * (decision > 0)
        + np.maximum(decision - outcome, 0)
        + 3 * np.maximum(outcome - decision, 0)
    )


def clearance(decision, outcome):
    """Up to 5 left over are sold off."""
    left_over = np.maximum(decision - outcome, 0)
    return 6 * np.maximum(outcome - decision, 0) + 4 * left_over - 2 * np.minimum(left_over, 5)


def emergency(decision, outcome):
    """Up to 5 missing ones are bought elsewhere."""
    missing = np.maximum(outcome - decision, 0)
    return (
        2 * np.minimum(missing, 5)
        + 9 * np.maximum(missing - 5, 0)
        + np.maximum(decision - outcome, 0)
    )


def near_miss(decision, outcome):
    """All that is further away than 4 costs the same: as many dips as there are clusters."""
    return np.minimum(np.abs(decision - outcome), 4.0)


COSTS = {
    "squared": squared,
    "setup": with_setup,
    "clearance": clearance,
    "emergency": emergency,
    "near miss": near_miss,
}

# ---- the newsvendor's cost


NARROW = np.delete(np.arange(12), 5)  # what the row without observations may be is wide
RATIOS = [(1.0, 3.0), (4.0, 1.0), (30.0, 1.0)]


@pytest.mark.parametrize("name", DECIDERS)
def test_whole_numbers_are_those_of_the_newsvendor(fitted, name):
    X = ragged_counts()
    estimator = fitted(name, "counts", X)
    for short, over in RATIOS:
        orders, info = estimator.decide(X, problem=Newsvendor(short, over), return_info=True)
        own, own_info = estimator.decide(X, problem=Linear(short, over), return_info=True)
        assert_array_equal(own[NARROW], orders[NARROW])
        assert_allclose(own, orders, rtol=0.05)
        assert_allclose(own_info.expected_cost, info.expected_cost, rtol=1e-2)
        assert_array_equal(own_info.mean, info.mean)


@pytest.mark.parametrize("name", DECIDERS)
def test_a_wide_row_leaves_others_their_whole_numbers(fitted, name):
    X = np.vstack([ragged_counts(), [[3e5, 1e5, NAN, 2e5, 9e4, 4e5]]])
    estimator, problem = fitted(name, "wide", X), Newsvendor(4.0, 1.0)
    orders, own = (
        estimator.decide(X, problem=problem),
        estimator.decide(X, problem=Linear(4.0, 1.0)),
    )
    assert_array_equal(own, np.rint(own))
    assert_array_equal(own[:-1], estimator.decide(X[:-1], problem=Linear(4.0, 1.0)))
    law, portfolio = estimator.predict_distribution(X), estimator._read(X, problem)
    least, cost = (problem.expected_cost(each, law, portfolio) for each in (orders, own))
    assert_allclose(cost, least, rtol=1e-4)
    if name != "boosting":  # which has few levels, and stretches them by the widest row
        assert_array_equal(own[NARROW], orders[NARROW])


@pytest.mark.parametrize("name", DECIDERS)
def test_amounts_are_those_of_the_newsvendor(fitted, name):
    X = 1.1 * ragged_counts() + 0.2
    estimator = fitted(name, "amounts", X)
    for short, over in RATIOS[1:]:
        orders, info = estimator.decide(X, problem=Newsvendor(short, over), return_info=True)
        own, own_info = estimator.decide(X, problem=Linear(short, over), return_info=True)
        assert_allclose(own, orders, rtol=1e-5, atol=1e-5 * info.mean.mean())
        assert_allclose(own_info.expected_cost, info.expected_cost, rtol=1e-2)


@pytest.mark.parametrize("name", DECIDERS)
def test_amounts_with_zeros_cost_what_the_newsvendors_do(fitted, name):
    X = 1.1 * ragged_counts()
    X[X < 8] = 0.0
    estimator = fitted(name, "zeros", X)
    for short, over in RATIOS[:2]:
        problem = Newsvendor(short, over)
        orders = estimator.decide(X, problem=problem)
        own = estimator.decide(X, problem=Linear(short, over))
        law, portfolio = estimator.predict_distribution(X), estimator._read(X, problem)
        least, cost = (problem.expected_cost(each, law, portfolio) for each in (orders, own))
        assert_allclose(cost, least, rtol=1e-3, atol=1e-9)


def test_the_newsvendor_itself_is_not_searched(fitted):
    X = 1.1 * ragged_counts() + 0.2
    for name in ("network", "average"):
        estimator = fitted(name, "amounts", X)
        orders = estimator.decide(X, problem=Newsvendor(4.0, 1.0))
        assert_array_equal(orders, estimator.predict_quantiles(X, 0.8)[:, 0])


def test_fit_with_a_cost_of_ones_own():
    X = ragged_counts()
    own = PretrainedDecisionTransformer(Linear(4.0, 1.0), finetune=None).fit(X)
    assert own.checkpoint_.card["name"]
    assert_array_equal(own.decide(X), own.predict_quantiles(X, 0.8)[:, 0])
    y = ragged_counts(seed=1)
    same = clone(own).set_params(problem=Newsvendor(4.0, 1.0)).fit(X)
    assert own.score(X, y) == pytest.approx(same.score(X, y))
    assert own.score(X) == pytest.approx(same.score(X))


def test_metrics_know_a_cost_of_ones_own():
    # squared errors: the best are the means 4 and 6.5, which no outcome is
    y, problem = [[3.0, 5.0], [6.0, 7.0]], Given(squared, integer=False)
    assert decision_cost(y, [5.0, 6.0], problem=problem) == (4 / 2 + 1 / 2) / 2
    assert regret(y, [5.0, 6.0], problem=problem) == pytest.approx((1 + 0.25) / 2, rel=1e-5)
    assert regret(y, [4.0, 6.5], problem=problem) == pytest.approx(0, abs=1e-9)
    assert regret([[2.4], [3.7]], [2.0, 3.0], problem=problem) == pytest.approx((0.16 + 0.49) / 2)
    # of whole numbers 6 is as good as 7
    assert regret(y, [5, 6], problem=Given(squared)) == pytest.approx(1 / 2)
    X = [[1.0, 2.5], [6.0, 9.0]]
    # sample averages are 1.75 and 7.5, and cost 1 + 2.25^2 and 1 / 4 + 1
    saa = (1 + 2.25**2 + 0.25 + 1) / 2
    found = prescriptiveness(y, [5.0, 6.0], X=X, problem=problem)
    assert found == pytest.approx((saa - 1.25) / (saa - 0.625), rel=1e-5)


# ---- costs of other forms


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cost", COSTS)
def test_no_decision_of_a_dense_grid_costs_less(cost, law):
    law, integer = LAWS[law]
    decisions = decided(COSTS[cost], law, integer)
    assert np.all(decisions >= 0)
    check_least(COSTS[cost], law, integer, decisions)


def test_squared_errors_are_least_at_the_mean():
    for name in ("atoms", "lognormal", "normal", "zeros"):
        law, _ = LAWS[name]
        assert_allclose(decided(squared, law), law.mean(), rtol=1e-3)
    law = WeightedAtoms(np.array([[1.0, 30.0], [0.0, 1.0]]))
    assert_array_equal(decided(squared, law, True), [15, 0])  # 15.5 and 0.5: the smaller ones
    assert_array_equal(SampleAverage(Given(squared)).fit([[0, 11]]).decide([[0, 11]]), [5])
    X = [[0.5, 10.5], [3.0, 4.0]]
    assert_allclose(SampleAverage(Given(squared)).fit(X).decide(X), [5.5, 3.5], rtol=1e-5)


def test_a_setup_cost_is_paid_only_where_it_is_worth_it():
    # atoms 0, 1, 2: no order costs 3, any other 6 and more
    few, many = [0.0, 1.0, 2.0], [4.0, 5.0, 9.0]
    X = [few, many]
    decisions = SampleAverage(Given(with_setup)).fit(X).decide(X)
    assert_array_equal(decisions, [0, 9])


def test_clearance_by_hand():
    # the example of the class; of 0, 1, 0, 0 none is best
    X = [[3, 5, 4, 9], [0, 1, 0, 0]]
    orders, info = SampleAverage(Given(clearance)).fit(X).decide(X, return_info=True)
    assert_array_equal(orders, [5, 0])
    assert_allclose(info.expected_cost, [(2 * 2 + 0 + 2 * 1 + 6 * 4) / 4, 6 / 4])


@pytest.mark.parametrize("law", LAWS)
def test_the_best_may_lie_beyond_all_outcomes(law):
    law, integer = LAWS[law]

    def more(decision, outcome):
        return (decision - outcome - 1000.0) ** 2

    decisions, best = decided(more, law, integer), 1000 + law.mean()
    assert_allclose(decisions, np.ceil(best - 0.5 - 1e-6) if integer else best, rtol=1e-5)
    capped = decided(more, law, integer, upper=300.0)
    assert_array_equal(capped, 300.0)


def test_the_best_may_lie_below_all_outcomes():
    law = WeightedAtoms(np.array([[900.0, 950.0, 990.0]]))

    def less(decision, outcome):
        return np.abs(decision - outcome + 500.0)

    assert_allclose(decided(less, law), [450.0], rtol=1e-6)
    assert_array_equal(decided(less, law, lower=470.5, upper=2000.0), [470.5])
    assert_array_equal(decided(lambda q, d: q + 0 * d, law), [0.0])


def test_decisions_may_be_negative_where_bounds_allow_it():
    # a forward sale, say
    law = WeightedAtoms(np.array([[1.0, 2.0, 3.0]]))
    assert_allclose(decided(lambda q, d: np.abs(q - d + 7), law, lower=-50), [-5.0], rtol=1e-6)


@pytest.mark.parametrize("cost", COSTS)
def test_bounds(cost):
    for name in ("whole atoms", "atoms", "zeros", "poisson"):
        law, integer = LAWS[name]
        decisions = decided(COSTS[cost], law, integer, lower=1.2, upper=4.5)
        low, high = (2.0, 4.0) if integer else (1.2, 4.5)
        assert np.all((decisions >= low) & (decisions <= high))
        check_least(COSTS[cost], law, integer, decisions, low=low, high=high)


def test_bounds_of_every_row():
    frame = pd.DataFrame({"w1": [3.0, 5.0, 8.0], "w2": [4.0, 5.0, 2.0]})
    frame = frame.assign(low=[NAN, 6.0, 0.0], high=[3.0, NAN, NAN])
    problem = Linear(9.0, 1.0, lower="low", upper="high")
    saa = SampleAverage(problem).fit(frame)
    assert saa.n_features_in_ == 4
    assert saa.observation_columns_.tolist() == [0, 1]
    assert_array_equal(saa.decide(frame), [3, 6, 8])


def test_whole_decisions_on_amounts_and_amounts_on_whole_outcomes():
    law = LognormalLaw([0.5, 2.0, 4.0], 0.5)
    whole = decided(squared, law, integer=True)
    assert_array_equal(whole, np.rint(law.mean()))
    amounts = SampleAverage(Linear(3.0, 1.0, integer=True)).fit([[0.4, 1.7, 3.1]])
    # 0.4, 1.7 and 3.1 at 3: 2.6 + 1.3 + 0.3; at 4 each one more, at 2: 1.6 + 0.3 + 3.3
    assert_array_equal(amounts.decide([[0.4, 1.7, 3.1]]), [3])
    counts = SampleAverage(Given(squared, integer=False)).fit([[0, 3]])
    assert_allclose(counts.decide([[0, 3]]), [1.5], rtol=1e-5)


def test_ties_go_to_the_smaller_decision():
    law = WeightedAtoms(np.array([[2.0, 5.0]]))
    assert_array_equal(decided(lambda q, d: np.abs(q - d), law, True), [2])
    assert_array_equal(decided(lambda q, d: 0.0 * (q + d), law, True), [0])
    assert_allclose(decided(lambda q, d: 0.0 * (q + d) + 3, law), [0], atol=1e-6)


def test_cost_parameters_are_numbers_and_columns():
    frame = pd.DataFrame({"w1": [3.0, 3.0, 6.0], "w2": [4.0, 4.0, NAN], "loss": [9.0, 1.0, 1.0]})
    saa = SampleAverage(Linear("loss", 2.0)).fit(frame)
    assert_array_equal(saa.decide(frame), [4, 3, 6])
    array = SampleAverage(Linear(Column(2), 2.0)).fit(frame.to_numpy())
    assert_array_equal(array.decide(frame.to_numpy()), [4, 3, 6])
    assert clone(Linear("loss", 2.0)).get_params() == Linear("loss", 2.0).get_params()
    assert_array_equal(saa.decide(frame, problem=Linear(1.0, "loss")), [3, 3, 6])


def test_rows_do_not_depend_on_each_other_or_on_blocks(monkeypatch):
    for law, integer in (LAWS["lognormal"], LAWS["poisson"], LAWS["atoms"]):
        whole = decided(emergency, law, integer)
        one = [decided(emergency, law.take([k]), integer)[0] for k in range(len(law))]
        assert_allclose(one, whole, rtol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(_search, "BLOCK_CELLS", 1)
            assert_allclose(decided(emergency, law, integer), whole, rtol=1e-6)


def test_a_problem_may_still_solve_itself():
    class Median(DecisionProblem):
        def cost(self, decision, outcome):
            return np.abs(decision - outcome)

        def solve(self, law, portfolio):
            return law.quantile(0.5) + 0.25

    X = ragged_counts()
    saa = SampleAverage(Median()).fit(X)
    assert_array_equal(saa.decide(X), saa.predict_quantiles(X, 0.5)[:, 0] + 0.25)
    orders, info = saa.decide(X, return_info=True)
    assert_array_equal(orders, saa.decide(X))
    assert set(info) == {"expected_cost", "mean"}


# ---- what is refused


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda q, d: np.abs(q - d).sum(axis=1), r"cost of Given gave shape \(1,\) for decisions"),
        (lambda q, d: q, r"gave shape \(1, 1\) .* outcomes of shape \(1, 3\); it must give one"),
        (lambda q, d: 0.0, r"gave shape \(\) for decisions of shape \(1, 1\)"),
        (lambda q, d: NAN * d, "cost of Given gave nan for decision .* costs must be finite"),
        (lambda q, d: np.where(d > 4, np.inf, d), "gave inf for decision .* and outcome 5; costs"),
    ],
)
def test_costs_that_are_refused(function, message):
    saa = SampleAverage(Given(function)).fit([[1, 5, 3]])
    with pytest.raises(ValueError, match=message):
        saa.decide([[1, 5, 3]])
    with pytest.raises(ValueError, match="cost of Given gave"):
        decision_cost([[1, 5, 3]], [2.0], problem=Given(function))


def test_missing_cost_parameters_are_refused():
    frame = pd.DataFrame({"w1": [3.0, 3.0], "loss": [9.0, NAN]})
    with pytest.raises(ValueError, match=r"cost of Linear gave nan|loss|short"):
        SampleAverage(Linear("loss", 2.0)).fit(frame).decide(frame)


def test_only_what_is_not_observed_may_cost_nothing_that_is_a_number():
    assert decision_cost([[1.0, NAN], [2.0, 4.0]], [1.0, 3.0], problem=Given(squared)) == 0.5


def test_bounds_of_own_problems_are_checked():
    with pytest.raises(ValueError, match="lower must not exceed upper"):
        SampleAverage(Given(squared, lower=3, upper=2)).fit([[1, 2]])
    with pytest.raises(ValueError, match="lower"):
        SampleAverage(Given(squared, lower=np.inf)).fit([[1, 2]]).decide([[1, 2]])


def test_a_problem_needs_a_cost():
    class Nothing(DecisionProblem):
        pass

    with pytest.raises(TypeError, match="cost"):
        Nothing()


class Falling(DecisionProblem):
    """A cost that falls without end, unless decisions are bounded."""

    def __init__(self, upper=None):
        self.upper = upper

    def cost(self, decision, outcome):
        return -decision + 0 * outcome


@pytest.mark.parametrize("whole", [True, False])
def test_a_cost_that_falls_without_end_is_named(whole):
    X = ragged_counts() + (0 if whole else 0.5)
    with pytest.raises(ValueError, match="cost of Falling falls without end as decisions grow"):
        SampleAverage(Falling()).fit(X).decide(X)


@pytest.mark.parametrize("upper", [7.0, 1e6, 1e80])
def test_a_bound_ends_a_cost_that_falls(upper):
    X = ragged_counts() + 0.5
    assert_array_equal(SampleAverage(Falling(upper)).fit(X).decide(X), upper)
