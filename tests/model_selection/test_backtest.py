"""Decisions at earlier origins, charged on what came: what is seen, and what it costs."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_pttf import Column
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import DecisionProblem, Estimation, Newsvendor, Pricing
from support.backtests import (
    NAN,
    PROBLEM,
    LastSeen,
    Noisy,
    X,
    assert_same_backtest,
    small_backtest,
)
from support.transfer_curves import tiny_estimator

# ---------------------------------------------------------------- what is charged


def test_costs_by_hand():
    table = [[1, 2, 4, 3, 7], [9, 5, 5, NAN, 6]]
    orders = [[3, 3], [6, 6]]
    result = small_backtest(X=table, origins=2, policy=orders)
    assert result.methods == ("estimator", "policy")
    assert_array_equal(result.origins, [3, 4])
    # what was seen last is ordered: 4 and 3 where 3 and 7 come, 5 and nothing where NaN and 6 come
    assert_array_equal(result.decision[0], [[4, 3], [5, 0]])
    assert_array_equal(result.cost[0], [[1, 2 * 4], [NAN, 2 * 6]])
    assert_array_equal(result.held[0], [[1, 0], [NAN, 0]])
    assert_array_equal(result.missed[0], [[0, 8], [NAN, 12]])
    assert_array_equal(result.cost[1], [[0, 8], [NAN, 0]])
    assert_array_equal(result.left[1], [[0, 0], [NAN, 0]])
    assert_array_equal(result.served[1], [[3, 3], [NAN, 6]])
    assert_array_equal(result.demand, [[3, 7], [NAN, 6]])
    assert_array_equal(result.in_stock[1], [[1, 0], [NAN, 1]])
    assert_array_equal(result.promised[0], [[0, 0], [NAN, 0]])
    assert np.isnan(result.promised[1]).all()
    assert_array_equal(result.forecast[0], [[4, 3], [5, 0]])
    assert_array_equal(result.outcome, result.demand)
    assert_array_equal(result.total_cost(), [[1, 20], [0, 8]])
    assert not result.carries_stock


def test_a_horizon_is_charged_on_its_sum():
    problem = Newsvendor(2.0, 1.0, ordered=True, horizon=2)
    table = [[1, 2, 4, 3, 7, 1], [9, 5, 5, NAN, 6, 4]]
    result = small_backtest(LastSeen(problem), table, origins=2)
    assert_array_equal(result.origins, [2, 4])  # a horizon apart, so that periods count once
    assert_array_equal(result.decision[0], [[4, 6], [10, 0]])
    assert_array_equal(result.outcome, [[7, 8], [NAN, 10]])
    assert_array_equal(result.cost[0], [[2 * 3, 2 * 2], [NAN, 2 * 10]])
    one = small_backtest(LastSeen(problem), table, origins=[3])
    assert_array_equal(one.outcome, [[10], [NAN]])
    assert_array_equal(one.cost[0], [[2 * 2], [NAN]])


def test_rounding_is_no_shortage():
    table, problem = [[0.1, 0.2, 0.1, 0.2]], Newsvendor(4.0, 1.0, horizon=2, ordered=True)
    result = backtest(SampleAverage(problem), table, baselines={}, policy=[[0.3]])
    assert result.summary()[1]["service_level"] == 1.0  # as floats, 0.1 + 0.2 is above 0.3


def test_costs_a_row_and_columns_in_any_place():
    margins = np.linspace(1.0, 5.0, len(X))
    table = np.column_stack([X[:, :5], margins, X[:, 5:]])
    problem = clone(PROBLEM).set_params(underage=Column(5))
    result = small_backtest(LastSeen(problem), table)
    for k, t in enumerate(result.origins):
        paid = decision_cost(
            X[:, t], X[:, t - 1], problem=problem, X=table[:, [0, 1, 2, 3, 4, 5]], per_row=True
        )
        assert_allclose(result.cost[0, :, k], paid)


def test_a_cost_of_ones_own_has_no_parts():
    class Squares(DecisionProblem):
        ordered = True

        def __init__(self, observations=None):
            self.observations = observations

        def cost(self, decision, outcome):
            return (decision - outcome) ** 2

    result = small_backtest(LastSeen(Squares()), X)
    assert_allclose(result.cost[0], (X[:, 8:11] - X[:, 9:12]) ** 2)
    assert result.held is result.left is result.in_stock is None
    (line,) = result.summary()
    assert np.isnan(line["fill_rate"])
    assert line["cost"] == pytest.approx(result.cost.sum())


def test_of_means_that_are_estimated():
    result = small_backtest(SampleAverage(Estimation(ordered=True)), X, origins=2)
    error = (result.decision[0] - result.outcome) ** 2
    assert_allclose(result.cost[0], error)


# ---------------------------------------------------------------- what is seen


@pytest.fixture(scope="module")
def driven():
    rng = np.random.default_rng(1)
    on = rng.integers(0, 2, size=(40, 14))
    sold = rng.poisson(5 * 2.0 ** on[:, :12])
    names = [f"w{k}" for k in range(12)] + [f"promo{k}" for k in range(14)]
    return pd.DataFrame(np.hstack([sold, on]), columns=names).astype(float)


def _driven_problem(n_periods=12, n_planned=14, **changes):
    drivers = {"promo": [f"promo{k}" for k in range(n_planned)]}
    parts = {"observations": [f"w{k}" for k in range(n_periods)], "drivers": drivers}
    return Newsvendor(4.0, 1.0, ordered=True, **{**parts, "horizon": 2, **changes})


@pytest.mark.parametrize("as_frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_decisions_are_those_of_a_fit_to_what_was_known(driven, as_frame):
    table = as_frame(dict(driven.items()))
    result = backtest(
        SampleAverage(_driven_problem()),
        table,
        origins=[6, 9],
        baselines={"smoothing": ExponentialSmoothing},
    )
    for k, t in enumerate(result.origins):
        known = [f"w{j}" for j in range(t)] + [f"promo{j}" for j in range(t + 2)]
        problem = _driven_problem(t, t + 2)
        for m, each in enumerate((SampleAverage(problem), ExponentialSmoothing(problem))):
            decision, info = each.fit(driven[known]).decide(driven[known], return_info=True)
            assert_allclose(result.decision[m, :, k], decision)
            assert_allclose(result.promised[m, :, k], info.expected_cost)
            assert_allclose(result.forecast[m, :, k], info.mean)


def test_later_periods_are_not_seen(driven):
    problem, origins, t, h = _driven_problem(horizon=1), [6, 8], 8, 1
    pdt, methods = tiny_estimator(problem), {"baselines": {"SAA": SampleAverage}}
    plain = backtest(pdt, driven, origins=origins, **methods)
    later = driven.copy()
    later.iloc[:, t:12] += 50.0
    later.iloc[:, 12 + t + h :] = 1 - later.iloc[:, 12 + t + h :]
    changed = backtest(pdt, later, origins=origins, **methods)
    assert_array_equal(changed.decision, plain.decision)
    assert_array_equal(changed.promised, plain.promised)
    assert (changed.total_cost()[:, 1] > plain.total_cost()[:, 1]).all()
    # what is planned for the coming period is known
    planned = driven.copy()
    planned.iloc[:, 12 + t] = 1 - planned.iloc[:, 12 + t]
    told = backtest(pdt, planned, origins=[t], **methods)
    assert (told.decision != plain.decision[:, :, 1:]).any(axis=(1, 2)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 11), st.integers(0, 11), st.floats(0, 100))
def test_a_table_at_an_origin_holds_nothing_later(origin, changed, value):
    seen = []

    class Looking(LastSeen):
        def fit(self, X, y=None):
            seen.append(np.asarray(X))
            return super().fit(X)

    table = X.copy()
    table[:, changed] = value
    small_backtest(Looking(PROBLEM), table, origins=[origin])
    assert_array_equal(seen[0][:, :origin], table[:, :origin])
    assert np.isnan(seen[0][:, origin:]).all()
    assert seen[0].shape == table.shape


def test_plans_beyond_the_last_column_are_not_needed(driven):
    # a problem whose drivers end with the observations cannot decide today, but in the past
    table = driven.iloc[:, :24]
    result = small_backtest(SampleAverage(_driven_problem(n_planned=12)), table, origins=2)
    wanted = small_backtest(SampleAverage(_driven_problem()), driven, origins=2)
    assert_allclose(result.decision, wanted.decision)


def test_x_is_left_alone(driven):
    before = driven.copy()
    small_backtest(SampleAverage(_driven_problem()), driven)
    pd.testing.assert_frame_equal(driven, before)

    def spoil(history, state, origin):
        history[:] = 0
        return np.ones(len(history))

    table = X.copy()
    small_backtest(X=table, policy=spoil)
    assert_array_equal(table, X)


# ---------------------------------------------------------------- origins


@pytest.mark.parametrize(
    ("horizon", "asked", "wanted"),
    [
        (1, None, [6, 7, 8, 9, 10, 11]),  # half of 12 periods to learn from
        (1, 1, [11]),
        (1, 10, list(range(2, 12))),
        (3, None, [6, 9]),
        (3, 3, [3, 6, 9]),
        (3, (2, 3, 9), [2, 3, 9]),
        (8, None, [4]),
    ],
)
def test_origins(horizon, asked, wanted):
    problem = Newsvendor(ordered=True, horizon=horizon)
    assert_array_equal(small_backtest(LastSeen(problem), origins=asked).origins, wanted)


def test_there_are_26_origins_at_most_unless_more_are_asked_for():
    long = np.tile(X, 6)
    assert len(small_backtest(X=long, origins=None).origins) == 26
    assert len(small_backtest(X=long, origins=40).origins) == 40


@pytest.mark.parametrize("asked", [0, 11, -1, True, 2.5, "3", [], [1, 4], [4, 4], [5, 4], [4, 12]])
def test_bad_origins(asked):
    with pytest.raises(ValueError, match=r"origins must be .*; got"):
        small_backtest(origins=asked)


def test_too_few_columns():
    with pytest.raises(ValueError, match=r"at least 3 columns of observations: 2 .* 1 .*; got 2"):
        small_backtest(X=X[:, :2], origins=None)


# ---------------------------------------------------------------- today's rule


def test_a_rule_may_be_a_function_an_array_or_columns():
    def rule(history, state, origin):
        assert state is None
        assert history.shape == (len(X), origin)
        return history[:, -2:].mean(axis=1)

    by_function = small_backtest(policy=rule)
    orders = np.stack([X[:, t - 2 : t].mean(axis=1) for t in (9, 10, 11)], axis=1)
    assert_array_equal(by_function.decision[1], orders)
    assert_same_backtest(small_backtest(policy=orders), by_function)
    frame = pd.DataFrame(np.hstack([X, orders])).add_prefix("c")
    names = ["c12", "c13", "c14"]
    by_column = small_backtest(X=frame, policy=names)
    assert_same_backtest(by_column, by_function)
    named = clone(PROBLEM).set_params(observations=names)
    with pytest.raises(ValueError, match="policy names column 12, which observations="):
        small_backtest(LastSeen(named), frame, policy=names)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda h, s, t: np.where(np.arange(30) > 27, NAN, 1), "at origin 9 .*row 28: nan, row 29"),
        (lambda h, s, t: np.full(30, -1.0 * (t > 9)), r"at origin 10 .*row 0: -1.0, .*\(30 in all"),
        (lambda h, s, t: np.full(30, np.inf), "finite orders of at least 0; at origin 9"),
        (lambda h, s, t: 3, r"of shape \(30,\); at origin 9 it gave shape \(\)"),
        (lambda h, s, t: "many", "policy must give numbers"),
        (np.ones((30, 2)), r"past orders of shape \(30, 3\).*got shape \(30, 2\)"),
        (np.full((30, 3), NAN), "at origin 9 it gave row 0: nan"),
        (["c0", "c1"], "policy='c0' is a column's name, but X has no column names"),
        (3, r"got shape \(\)"),
    ],
)
def test_bad_rules(rule, message):
    with pytest.raises(ValueError, match=message):
        small_backtest(policy=rule)


# ---------------------------------------------------------------- methods


def test_baselines_by_name():
    usual = small_backtest(baselines=None)
    assert usual.methods == ("estimator", "SAA", "smoothing")
    named = {"SAA": SampleAverage(), "slow": ExponentialSmoothing(alpha=0.1)}
    result = small_backtest(baselines=named)
    assert result.methods == ("estimator", "SAA", "slow")
    assert_array_equal(result.decision[1], usual.decision[1])
    assert named["slow"].problem is None
    slow = ExponentialSmoothing(PROBLEM, alpha=0.1).fit(X[:, :11]).decide(X[:, :11])
    assert_array_equal(result.decision[2, :, 2], slow)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"estimator": "SAA"}, TypeError, "estimator must be an estimator that decides"),
        ({"estimator": make_pipeline(LastSeen(PROBLEM))}, TypeError, "Of a Pipeline give the last"),
        ({"estimator": LastSeen()}, ValueError, "problem must have ordered=True for a backtest"),
        ({"estimator": LastSeen(Pricing([0], [1]))}, ValueError, "cannot be charged"),
        (
            {"estimator": LastSeen(Newsvendor(ordered=True, exposure=2.0))},
            ValueError,
            "must have no exposure",
        ),
        ({"baselines": {"policy": SampleAverage}, "policy": X[:, :3]}, ValueError, "as keys, none"),
        ({"baselines": {"estimator": SampleAverage}}, ValueError, "baselines must have names"),
        ({"baselines": {"SAA": "SAA"}}, TypeError, r"baselines\['SAA'\] must be an estimator"),
        ({"start": (1.0, None)}, ValueError, "start must be None .* carries no stock over"),
        ({"X": -X}, ValueError, "Negative values"),
        ({"X": np.where(np.arange(12) < 9, X, NAN)}, ValueError, "there is no outcome to charge"),
        ({"resume": 3}, ValueError, "'resume' parameter"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        small_backtest(**arguments)


def test_a_method_that_fails_is_named():
    class Failing(LastSeen):
        def fit(self, X, y=None):
            raise ValueError("no luck")

    with pytest.raises(ValueError, match="bad at origin 9: no luck"):
        small_backtest(baselines={"bad": Failing})


def test_the_same_answer_in_parallel(driven):
    estimator = SampleAverage(_driven_problem(horizon=1))
    smoothing = {"smoothing": ExponentialSmoothing}
    arguments = {"origins": 3, "baselines": smoothing, "policy": lambda h, s, t: h[:, -1]}
    alone = small_backtest(estimator, driven, **arguments)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        together = small_backtest(estimator, driven, **arguments)
    assert_same_backtest(together, alone)


def test_randomness_has_one_source():
    wild = Noisy(PROBLEM, random_state=None)
    first, again = (small_backtest(wild, random_state=3) for _ in range(2))
    assert_same_backtest(again, first)
    other = small_backtest(wild, random_state=4)
    assert (other.decision != first.decision).any(axis=(0, 1)).all()
    noise = first.decision[0] - X[:, 8:11]
    assert (noise[:, 0] != noise[:, 1]).any()  # of its own at every origin
    fixed = small_backtest(Noisy(PROBLEM, random_state=1), random_state=3)
    again = small_backtest(Noisy(PROBLEM, random_state=1), random_state=4)
    assert_same_backtest(again, fixed)


def test_progress_is_told(capsys):
    small_backtest(verbose=1, baselines=None)
    assert "9/9" in capsys.readouterr().err
    small_backtest()
    assert capsys.readouterr().err == ""
