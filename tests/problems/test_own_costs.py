"""Costs of one's own and measures of risk: the search against the newsvendor, grids and hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.base import clone

from sklearn_pttf import Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    PoissonLaw,
    RectifiedNormalLaw,
)
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.metrics import decision_cost, prescriptiveness, regret
from sklearn_pttf.problems import DecisionProblem, Newsvendor, _search
from sklearn_pttf.problems._risk import risk_of_costs

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)
DECIDERS = {
    "network": PretrainedDecisionTransformer(finetune=None),
    "average": SampleAverage(),
    "shrunken": ShrunkenSampleAverage(),
    "ratio": PooledRatio(),
    "parametric": ParametricEmpiricalBayes(),
    "nonparametric": NonparametricEmpiricalBayes(),
    "boosting": QuantileBoosting(),
}


class Linear(DecisionProblem):
    """The newsvendor's cost, and nothing else of it."""

    cost_parameters = ("short", "over")

    def __init__(self, short=1.0, over=1.0, lower=None, upper=None, integer=None, risk="mean"):
        self.short = short
        self.over = over
        self.lower = lower
        self.upper = upper
        self.integer = integer
        self.risk = risk

    def cost(self, decision, outcome, short, over):
        return short * np.maximum(outcome - decision, 0) + over * np.maximum(decision - outcome, 0)


class Given(DecisionProblem):
    """Any cost, any settings."""

    def __init__(self, function, lower=None, upper=None, integer=None, risk="mean", horizon=1):
        self.function = function
        self.lower = lower
        self.upper = upper
        self.integer = integer
        self.risk = risk
        self.horizon = horizon

    def cost(self, decision, outcome):
        return self.function(decision, outcome)


def squared(decision, outcome):
    return (decision - outcome) ** 2


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


def _empty(n, integer, **constraints):
    return Portfolio(np.empty((n, 0)), {}, constraints, integer)


def _decide(function, law, integer=False, **settings):
    """Best decisions under a law, with bounds as they are given."""
    problem = Given(function, **settings)
    given = {name: settings[name] for name in ("lower", "upper") if name in settings}
    bounds = {name: np.full(len(law), float(value)) for name, value in given.items()}
    return problem.solve(law, _empty(len(law), integer, **bounds))


def _risk(function, law, decisions, risk="mean"):
    portfolio = _empty(len(law), False)
    return Given(function, risk=risk).row_risk(np.asarray(decisions, dtype=float), law, portfolio)


def _least_on_grid(function, law, integer, low=0.0, high=None, risk="mean"):
    """The least risk of every row over a dense grid of decisions."""
    high = law.quantile(0.999).max() + 9 if high is None else high
    grid = np.arange(low, high + 1) if integer else np.linspace(low, high, 120)
    law = WeightedAtoms(*law.nodes()) if integer else law
    return np.min([_risk(function, law, np.full(len(law), q), risk) for q in grid], axis=0)


def _check_least(function, law, integer, decisions, risk="mean", rtol=1e-6, **bounds):
    """No decision of a dense grid is better by more than the precision of the search."""
    least = _least_on_grid(function, law, integer, risk=risk, **bounds)
    assert np.all(_risk(function, law, decisions, risk) <= least + rtol * (1 + np.abs(least)))
    assert not integer or np.all(decisions == np.rint(decisions))


def _counts(n=12, seed=0):
    """Whole-number demand with missing cells, and a row without any."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2.0, 4.0, (n, 1)), (n, 6)).astype(float)
    counts[rng.uniform(size=counts.shape) < 0.2] = NAN
    counts[5] = NAN
    return counts


# ---- the newsvendor's cost


NARROW = np.delete(np.arange(12), 5)  # what the row without observations may be is wide
RATIOS = [(1.0, 3.0), (4.0, 1.0), (30.0, 1.0)]


@pytest.fixture(scope="module")
def fitted():
    """Every estimator on a table; fits are shared by the tests."""
    found = {}

    def fit(name, key, X):
        if (name, key) not in found:
            found[name, key] = clone(DECIDERS[name]).fit(X)
        return found[name, key]

    return fit


@pytest.mark.parametrize("name", DECIDERS)
def test_whole_numbers_are_those_of_the_newsvendor(fitted, name):
    X = _counts()
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
    X = np.vstack([_counts(), [[3e5, 1e5, NAN, 2e5, 9e4, 4e5]]])
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
    X = 1.1 * _counts() + 0.2
    estimator = fitted(name, "amounts", X)
    for short, over in RATIOS[1:]:
        orders, info = estimator.decide(X, problem=Newsvendor(short, over), return_info=True)
        own, own_info = estimator.decide(X, problem=Linear(short, over), return_info=True)
        assert_allclose(own, orders, rtol=1e-5, atol=1e-5 * info.mean.mean())
        assert_allclose(own_info.expected_cost, info.expected_cost, rtol=1e-2)


@pytest.mark.parametrize("name", DECIDERS)
def test_amounts_with_zeros_cost_what_the_newsvendors_do(fitted, name):
    X = 1.1 * _counts()
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
    X = 1.1 * _counts() + 0.2
    for name in ("network", "average"):
        estimator = fitted(name, "amounts", X)
        orders = estimator.decide(X, problem=Newsvendor(4.0, 1.0))
        assert_array_equal(orders, estimator.predict_quantiles(X, 0.8)[:, 0])


def test_fit_with_a_cost_of_ones_own():
    X = _counts()
    own = PretrainedDecisionTransformer(Linear(4.0, 1.0), finetune=None).fit(X)
    assert own.checkpoint_.card["name"]
    assert_array_equal(own.decide(X), own.predict_quantiles(X, 0.8)[:, 0])
    y = _counts(seed=1)
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


ATOMS = np.array(
    [[0.0, 1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 11.0, 13.0], [0.0, 10.0, NAN, NAN, NAN],
     [5.0, 5.0, 5.0, 5.0, 5.0], [2.0, 3.0, 20.0, 21.0, 40.0]]
)  # fmt: skip
LEVELS = special.expit(np.linspace(-8, 8, 41))
SCORES = special.ndtri(LEVELS)
LAWS = {
    "atoms": (WeightedAtoms(ATOMS), False),
    "whole atoms": (WeightedAtoms(ATOMS), True),
    "poisson": (PoissonLaw([0.3, 2.0, 15.0]), True),
    "negative binomial": (NegativeBinomialLaw([0.4, 3.0], [0.1, 0.3]), True),
    "lognormal": (QuantileGrid(np.exp([[0.5], [2.0]] + SCORES / 2), LEVELS), False),
    "normal": (RectifiedNormalLaw([9.0, 2.0], [3.0, 2.0]), False),
    "zeros": (QuantileGrid(np.array([[2.0], [-5.0]]) + 9 * SCORES, LEVELS), False),
    "two clusters": (
        MixtureLaw([PoissonLaw([1.0, 3.0]), PoissonLaw([31.0, 40.6])], np.full((2, 2), 0.5), True),
        True,
    ),
    "whole grid": (QuantileGrid(np.array([[-3.0, 2, 7, 30]]), [0.1, 0.4, 0.7, 0.95], True), True),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cost", COSTS)
def test_no_decision_of_a_dense_grid_costs_less(cost, law):
    law, integer = LAWS[law]
    decisions = _decide(COSTS[cost], law, integer)
    assert np.all(decisions >= 0)
    _check_least(COSTS[cost], law, integer, decisions)


def test_squared_errors_are_least_at_the_mean():
    for name in ("atoms", "lognormal", "normal", "zeros"):
        law, _ = LAWS[name]
        assert_allclose(_decide(squared, law), law.mean(), rtol=1e-3)
    law = WeightedAtoms(np.array([[1.0, 30.0], [0.0, 1.0]]))
    assert_array_equal(_decide(squared, law, True), [15, 0])  # 15.5 and 0.5: the smaller ones
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

    decisions, best = _decide(more, law, integer), 1000 + law.mean()
    assert_allclose(decisions, np.ceil(best - 0.5 - 1e-6) if integer else best, rtol=1e-5)
    capped = _decide(more, law, integer, upper=300.0)
    assert_array_equal(capped, 300.0)


def test_the_best_may_lie_below_all_outcomes():
    law = WeightedAtoms(np.array([[900.0, 950.0, 990.0]]))

    def less(decision, outcome):
        return np.abs(decision - outcome + 500.0)

    assert_allclose(_decide(less, law), [450.0], rtol=1e-6)
    assert_array_equal(_decide(less, law, lower=470.5, upper=2000.0), [470.5])
    assert_array_equal(_decide(lambda q, d: q + 0 * d, law), [0.0])


def test_decisions_may_be_negative_where_bounds_allow_it():
    # a forward sale, say
    law = WeightedAtoms(np.array([[1.0, 2.0, 3.0]]))
    assert_allclose(_decide(lambda q, d: np.abs(q - d + 7), law, lower=-50), [-5.0], rtol=1e-6)


@pytest.mark.parametrize("cost", COSTS)
def test_bounds(cost):
    for name in ("whole atoms", "atoms", "zeros", "poisson"):
        law, integer = LAWS[name]
        decisions = _decide(COSTS[cost], law, integer, lower=1.2, upper=4.5)
        low, high = (2.0, 4.0) if integer else (1.2, 4.5)
        assert np.all((decisions >= low) & (decisions <= high))
        _check_least(COSTS[cost], law, integer, decisions, low=low, high=high)


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
    whole = _decide(squared, law, integer=True)
    assert_array_equal(whole, np.rint(law.mean()))
    amounts = SampleAverage(Linear(3.0, 1.0, integer=True)).fit([[0.4, 1.7, 3.1]])
    # 0.4, 1.7 and 3.1 at 3: 2.6 + 1.3 + 0.3; at 4 each one more, at 2: 1.6 + 0.3 + 3.3
    assert_array_equal(amounts.decide([[0.4, 1.7, 3.1]]), [3])
    counts = SampleAverage(Given(squared, integer=False)).fit([[0, 3]])
    assert_allclose(counts.decide([[0, 3]]), [1.5], rtol=1e-5)


def test_ties_go_to_the_smaller_decision():
    law = WeightedAtoms(np.array([[2.0, 5.0]]))
    assert_array_equal(_decide(lambda q, d: np.abs(q - d), law, True), [2])
    assert_array_equal(_decide(lambda q, d: 0.0 * (q + d), law, True), [0])
    assert_allclose(_decide(lambda q, d: 0.0 * (q + d) + 3, law), [0], atol=1e-6)


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
        whole = _decide(emergency, law, integer)
        one = [_decide(emergency, law.take([k]), integer)[0] for k in range(len(law))]
        assert_allclose(one, whole, rtol=1e-6)
        with monkeypatch.context() as patch:
            patch.setattr(_search, "BLOCK_CELLS", 1)
            assert_allclose(_decide(emergency, law, integer), whole, rtol=1e-6)


def test_a_problem_may_still_solve_itself():
    class Median(DecisionProblem):
        def cost(self, decision, outcome):
            return np.abs(decision - outcome)

        def solve(self, law, portfolio):
            return law.quantile(0.5) + 0.25

    X = _counts()
    saa = SampleAverage(Median()).fit(X)
    assert_array_equal(saa.decide(X), saa.predict_quantiles(X, 0.5)[:, 0] + 0.25)
    orders, info = saa.decide(X, return_info=True)
    assert_array_equal(orders, saa.decide(X))
    assert set(info) == {"expected_cost", "mean"}


# ---- risk


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
    decisions = _decide(cost, law, risk=risk)
    # quantiles of a continuous law are read from nodes, which jump
    rtol = 1e-2 if risk[0] == "quantile" and name != "atoms" else 1e-4
    _check_least(cost, law, False, decisions, risk, rtol)


def test_cvar_of_a_logistic_law():
    # X = m + s logit(U), cost (X - q)+ at q below nearly all: CVaR is m - q + s H(a) / (1 - a)
    law = QuantileGrid(50 + 2 * special.logit(LEVELS)[None], LEVELS)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)

    def short(decision, outcome):
        return np.maximum(outcome - decision, 0)

    assert_allclose(_risk(short, law, [10.0], ("cvar", 0.9)), 40 + 2 * entropy / 0.1, rtol=1e-3)
    quantile = 40 + 2 * np.log(9)
    assert_allclose(_risk(short, law, [10.0], ("quantile", 0.9)), quantile, rtol=1e-2)


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
    X = 1.1 * _counts() + 0.2
    shrunken = ShrunkenSampleAverage(Newsvendor(4.0, 1.0)).fit(X)
    careless = Newsvendor(4.0, 1.0, risk=("cvar", 1e-9))
    _, info = shrunken.decide(X, problem=careless, return_info=True)
    assert_allclose(info.risk, info.expected_cost, rtol=1e-6)
    mean = shrunken.decide(X, return_info=True)[1]
    assert_allclose(info.expected_cost, mean.expected_cost, rtol=1e-6)


@pytest.mark.parametrize("name", ["network", "parametric", "average"])
def test_care_costs_on_average_and_saves_in_the_worst_cases(fitted, name):
    X = _counts()
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
    X, y = _counts()[:, :5], _counts()[:, 5]
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


# ---- what is refused


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
