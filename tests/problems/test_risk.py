"""Measures of risk: what they are, and the decisions that are best by them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf.baselines import SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.problems._risk import risk_of_costs
from support.own_costs import (
    LAWS,
    LEVELS,
    Given,
    Linear,
    check_least,
    decided,
    ragged_counts,
    risk_of,
    squared,
)

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)


@st.composite
def costs_with_weights(draw):
    """A row of costs, and their probabilities, in 24ths."""
    pairs = st.tuples(st.integers(-9, 9), st.integers(0, 6))
    pairs = draw(st.lists(pairs, min_size=1, max_size=6).filter(lambda p: sum(w for _, w in p) > 0))
    costs, weights = np.array(pairs, dtype=float).T
    return costs[None], weights[None] / weights.sum()


@MANY
@given(costs_with_weights(), st.floats(0.01, 0.99))
def test_cvar_is_the_least_of_rockafellar_and_uryasev(case, level):
    costs, weights = case
    # min over t of t + E(cost - t)+ / (1 - level), which is reached at a cost
    excess = np.maximum(costs[0] - costs[0][:, None], 0) @ weights[0]
    by_hand = (costs[0] + excess / (1 - level)).min()
    assert_allclose(risk_of_costs(("cvar", level), costs, weights), by_hand, atol=1e-9)


@MANY
@given(costs_with_weights(), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9]))
def test_quantile_is_the_smallest_cost_that_is_reached(case, level):
    costs, weights = case
    reached = (costs[0] <= costs[0][:, None]) @ weights[0]
    by_hand = costs[0][(reached >= level - 1e-12) & (weights[0] > 0)].min()
    found = risk_of_costs(("quantile", level), costs, weights)
    assert_array_equal(found, by_hand)
    assert risk_of_costs(("cvar", level), costs, weights)[0] >= by_hand - 1e-9


def test_risk_by_hand():
    costs = np.array([[4.0, 1.0, 3.0, 2.0]])
    weights = np.full((1, 4), 0.25)
    # the worst half are 3 and 4; the worst tenth is 4; the worst 0.4: 4 and 0.15 of 3
    for level, cvar in [(0.5, 3.5), (0.75, 4.0), (0.9, 4.0), (0.6, (4 * 0.25 + 3 * 0.15) / 0.4)]:
        assert_allclose(risk_of_costs(("cvar", level), costs, weights), [cvar])
    quantiles = [risk_of_costs(("quantile", a), costs, weights)[0] for a in (0.25, 0.26, 0.75, 0.9)]
    assert quantiles == [1, 2, 3, 4]


RISKS = [("cvar", 0.3), ("cvar", 0.8), ("cvar", 0.95), ("quantile", 0.5), ("quantile", 0.8)]


@MANY
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=1, max_size=3),
    st.sampled_from([(1.0, 1.0), (4.0, 1.0), (1.0, 3.0)]),
    st.sampled_from(RISKS),
)
def test_whole_orders_of_least_risk_against_all_orders(atoms, costs, risk):
    law = WeightedAtoms(np.array(atoms, dtype=float))
    problem = Newsvendor(*costs, risk=risk)
    n = len(law)
    portfolio = Portfolio(np.empty((n, 0)), problem.read_costs(np.ones((n, 1))), {}, True)
    found = problem.row_risk(problem.solve(law, portfolio), law, portfolio)
    everywhere = [problem.row_risk(np.full(n, float(q)), law, portfolio) for q in range(15)]
    assert_allclose(found, np.min(everywhere, axis=0), atol=1e-9)


@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("name", ["atoms", "lognormal", "normal", "zeros"])
def test_amounts_of_least_risk_against_a_dense_grid(name, risk):
    def cost(decision, outcome):
        return np.maximum(decision - outcome, 0) + 4 * np.maximum(outcome - decision, 0)

    law, _ = LAWS[name]
    decisions = decided(cost, law, risk=risk)
    # quantiles of a continuous law are read from nodes, which jump
    rtol = 1e-2 if risk[0] == "quantile" and name != "atoms" else 1e-4
    check_least(cost, law, False, decisions, risk, rtol)


def test_cvar_of_a_logistic_law():
    # X = m + s logit(U), cost (X - q)+ at q below nearly all: CVaR is m - q + s H(a) / (1 - a)
    law = QuantileGrid(50 + 2 * special.logit(LEVELS)[None], LEVELS)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)

    def short(decision, outcome):
        return np.maximum(outcome - decision, 0)

    assert_allclose(risk_of(short, law, [10.0], ("cvar", 0.9)), 40 + 2 * entropy / 0.1, rtol=1e-3)
    quantile = 40 + 2 * np.log(9)
    assert_allclose(risk_of(short, law, [10.0], ("quantile", 0.9)), quantile, rtol=1e-2)


def test_the_most_careful_order_evens_out_both_ends():
    # of 2 and 8, at costs of 4 and 1 a unit: 1 (q - 2) = 4 (8 - q) at 6.8
    X = [[2.0, 8.0, 5.0, 6.5]]
    problem = Newsvendor(4.0, 1.0, risk=("cvar", 0.99))
    orders, info = SampleAverage(problem).fit(X).decide(X, return_info=True)
    assert_allclose(orders, [6.8], rtol=1e-5)
    assert_allclose(info.risk, [4.8], rtol=1e-5)
    # 4.8, 1.2 short times 4, and 1.8 and 0.3 left over
    assert_allclose(info.expected_cost, [(4.8 + 4.8 + 1.8 + 0.3) / 4], rtol=1e-5)
    assert set(info) == {"expected_cost", "mean", "risk"}


def test_hardly_any_level_is_the_mean():
    X = 1.1 * ragged_counts() + 0.2
    shrunken = ShrunkenSampleAverage(Newsvendor(4.0, 1.0)).fit(X)
    careless = Newsvendor(4.0, 1.0, risk=("cvar", 1e-9))
    _, info = shrunken.decide(X, problem=careless, return_info=True)
    assert_allclose(info.risk, info.expected_cost, rtol=1e-6)
    mean = shrunken.decide(X, return_info=True)[1]
    assert_allclose(info.expected_cost, mean.expected_cost, rtol=1e-6)


@pytest.mark.parametrize("name", ["network", "parametric", "average"])
def test_care_costs_on_average_and_saves_in_the_worst_cases(fitted, name):
    X = ragged_counts()
    estimator = fitted(name, "counts", X)
    plain, careful = Newsvendor(2.0, 1.0), Newsvendor(2.0, 1.0, risk=("cvar", 0.9))
    usual, usual_info = estimator.decide(X, problem=plain, return_info=True)
    orders, info = estimator.decide(X, problem=careful, return_info=True)
    law, portfolio = estimator.predict_distribution(X), estimator._read(X, careful)
    assert np.all(info.risk <= careful.row_risk(usual, law, portfolio) + 1e-9)
    assert np.all(info.expected_cost >= usual_info.expected_cost - 1e-9)
    assert_allclose(info.risk, careful.row_risk(orders, law, portfolio))
    own = estimator.decide(X, problem=Linear(2.0, 1.0, risk=("cvar", 0.9)))
    assert_array_equal(own, orders)


def test_risk_goes_with_bounds():
    X = [[2, 8, 5, 6]]
    problem = Newsvendor(4.0, 1.0, risk=("cvar", 0.99), upper=5.5)
    assert_array_equal(SampleAverage(problem).fit(X).decide(X), [5])


def test_scores_charge_what_is_paid_not_the_risk():
    X, y = ragged_counts()[:, :5], ragged_counts()[:, 5]
    problem = Newsvendor(4.0, 1.0, risk=("cvar", 0.9))
    mine, reference = ShrunkenSampleAverage(problem).fit(X), SampleAverage(problem).fit(X)
    costs = [np.nansum(problem.cost(each.decide(X), y)) for each in (mine, reference)]
    assert mine.score(X, y) == pytest.approx(1 - costs[0] / costs[1])


def test_laws_are_compared_by_the_risk_itself():
    """The mean score of a right law, on all outcomes, is its risk; that of any other is larger."""
    outcomes = np.array([[1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 11.0, 15.0, 22.0, 30.0]])
    law = WeightedAtoms(outcomes)
    for problem in (
        Newsvendor(2.0, 1.0, risk=("cvar", 0.7)),
        Given(lambda q, x: np.abs(q - x), risk=("cvar", 0.7)),
    ):
        portfolio = problem.read(outcomes)
        right = problem.charge_with_risk(law, portfolio, outcomes)
        assert_allclose(right, problem.row_risk(problem.solve(law, portfolio), law, portfolio))
        for other in (1.5 * outcomes, outcomes + 2, outcomes[:, 2:], outcomes[:, ::3]):
            charged = problem.charge_with_risk(WeightedAtoms(other), portfolio, outcomes)
            assert charged >= right - 1e-9
        assert problem.charge_with_risk(WeightedAtoms(outcomes / 3), portfolio, outcomes) > right
    gaps = np.append(outcomes, [[NAN]], axis=1)
    assert_allclose(problem.charge_with_risk(law, portfolio, gaps), right)
    assert np.isnan(problem.charge_with_risk(law, portfolio, gaps[:, -1:]))
    plain = Newsvendor(2.0, 1.0)
    portfolio = plain.read(outcomes)
    compared = plain.charge_with_risk(law, portfolio, outcomes)
    assert_array_equal(compared, plain.charge(law, portfolio, outcomes))


def test_finetuning_minds_the_levels_of_careful_orders():
    law = PoissonLaw([5.0, 40.0])
    problem = Newsvendor(2.0, 1.0, risk=("cvar", 0.9))
    portfolio = problem.read(np.array([[5.0, 6.0], [40.0, 30.0]]))
    orders = problem.solve(law, portfolio)
    assert_array_equal(problem.own_levels(law, portfolio), law.cdf(orders))
    own = Linear(2.0, 1.0)
    assert_array_equal(own.own_levels(law, own.read(np.ones((2, 1)))), law.cdf(law.quantile(2 / 3)))


@pytest.mark.parametrize(
    "risk",
    ["cvar", "average", None, 0.9, ("cvarr", 0.9), ("cvar",), ("cvar", 0.9, 1), ("cvar", 0.0),
     ("cvar", 1.0), ("cvar", NAN), ("quantile", 90), ("cvar", "0.9"), ("mean", 0.5)],
)  # fmt: skip
def test_risks_that_are_refused(risk):
    message = r"risk must be 'mean', \('cvar', level\) or \('quantile', level\) with a level betw"
    for problem in (Newsvendor(risk=risk), Given(squared, risk=risk)):
        with pytest.raises(ValueError, match=message):
            SampleAverage(problem).fit([[1, 2]])


def test_a_list_may_say_the_risk():
    X = [[2, 8, 5, 6]]
    found = [
        SampleAverage(Newsvendor(2.0, 1.0, risk=risk)).fit(X).decide(X)
        for risk in (("cvar", 0.9), ["cvar", 0.9])
    ]
    assert_array_equal(*found)
