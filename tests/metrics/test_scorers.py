"""Scorers of decisions, in cross-validation, searches and pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf import Column
from sklearn_pttf.baselines import PooledRatio, SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.metrics import decision_cost, make_decision_scorer, prescriptiveness, regret
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson
from support.estimators import doubled
from support.metrics import DEAR, X_SAA, Y_SAA, Profit


class Fixed(BaseEstimator):
    """Decides one number a row, and says nothing of a problem."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        return self

    def decide(self, X):
        return np.full(len(X), self.value)


@pytest.fixture(scope="module")
def sales():
    """Five weeks of 40 products that sell alike, and three later weeks."""
    table = GammaPoisson(1000.0, 100.0).sample(40, 8, random_state=0).observations
    return table[:, :5], table[:, 5:]


def dearest(y, decision, *, problem, X, weight=1.0):
    """A metric of one's own: the dearest row."""
    return weight * np.nanmax(decision_cost(y, decision, problem=problem, X=X, per_row=True))


@pytest.mark.parametrize(
    ("scorer", "value"),
    [
        (make_decision_scorer(), -2.0),
        (make_decision_scorer("cost"), -2.0),
        (make_decision_scorer(decision_cost), -2.0),
        (make_decision_scorer("regret"), -1.5),
        (make_decision_scorer("regret", floor="foresight"), -2.0),
        (make_decision_scorer("prescriptiveness"), 0.0),
        (make_decision_scorer("cost", problem=Newsvendor(2.0, 1.0)), -4.0),
        (make_decision_scorer(dearest), 2.0),
        (make_decision_scorer(dearest, greater_is_better=True, weight=3.0), 6.0),
        (make_decision_scorer(dearest, greater_is_better=False), -2.0),
    ],
    ids=repr,
)
def test_scores_by_hand(scorer, value):
    # SAA orders 2 and 6: short by 1 and 3, and by 2 and 2
    saa = SampleAverage().fit(X_SAA)
    assert scorer(saa, X_SAA, Y_SAA) == pytest.approx(value)
    again = pickle.loads(pickle.dumps(scorer))
    assert repr(again) == repr(scorer)
    assert again(saa, X_SAA, Y_SAA) == scorer(saa, X_SAA, Y_SAA)


def test_score_of_one_outcome_a_row():
    saa = SampleAverage().fit(X_SAA)
    assert make_decision_scorer()(saa, X_SAA, [3, 8]) == -1.5


@pytest.mark.parametrize(
    ("scorer", "shown"),
    [
        (make_decision_scorer(), "make_decision_scorer('cost')"),
        (
            make_decision_scorer("regret", problem=DEAR, floor="law"),
            "make_decision_scorer('regret', problem=Newsvendor(underage=4.0), floor='law')",
        ),
        (
            make_decision_scorer(dearest, greater_is_better=False, weight=2.0),
            "make_decision_scorer(dearest, greater_is_better=False, weight=2.0)",
        ),
    ],
)
def test_scorers_show_what_they_are(scorer, shown):
    assert repr(scorer) == shown


@pytest.mark.parametrize("metric", ["cost", "regret", "prescriptiveness"])
def test_cross_validation_is_the_metric_on_folds(sales, metric):
    X, y = sales
    function = {"cost": decision_cost, "regret": regret, "prescriptiveness": prescriptiveness}
    sign = 1 if metric == "prescriptiveness" else -1
    scores = cross_val_score(PooledRatio(DEAR), X, y, cv=3, scoring=make_decision_scorer(metric))
    expected = []
    for train, test in KFold(3).split(X):
        decision = PooledRatio(DEAR).fit(X[train]).decide(X[test])
        expected.append(sign * function[metric](y[test], decision, problem=DEAR, X=X[test]))
    assert_allclose(scores, expected)


def test_frames_with_columns_of_costs(sales):
    X, y = sales
    frame = pd.DataFrame(X, columns=[f"w{k}" for k in range(5)])
    frame["short"] = np.linspace(1, 9, len(X))
    scoring = {name: make_decision_scorer(name) for name in ("cost", "prescriptiveness")}
    estimator = ShrunkenSampleAverage(Newsvendor("short", 1.0))
    by_name = cross_validate(estimator, frame, pd.DataFrame(y), cv=2, scoring=scoring)
    estimator = ShrunkenSampleAverage(Newsvendor(Column(5), 1.0))
    by_position = cross_validate(estimator, frame.to_numpy(), y, cv=2, scoring=scoring)
    for name in scoring:
        assert_array_equal(by_name[f"test_{name}"], by_position[f"test_{name}"])
        assert np.isfinite(by_name[f"test_{name}"]).all()


def test_a_search_finds_the_cheapest(sales):
    X, y = sales
    paid = Newsvendor(9.0, 1.0)
    grid = {"problem": [Newsvendor(1.0, 1.0), paid, Newsvendor(1.0, 9.0)]}
    scoring = make_decision_scorer(problem=paid)
    search = GridSearchCV(SampleAverage(), grid, cv=2, scoring=scoring, refit=True).fit(X, y)
    for k, problem in enumerate(grid["problem"]):  # SAA takes nothing from other rows
        decision = SampleAverage(problem).fit(X).decide(X)
        cost = decision_cost(y, decision, problem=paid)
        assert search.cv_results_["mean_test_score"][k] == pytest.approx(-cost)
    assert search.best_params_["problem"] is paid
    assert search.score(X, y) == pytest.approx(search.best_score_)
    assert clone(search).fit(X, y).best_score_ == search.best_score_


def test_a_search_over_an_estimators_parameters(sales):
    X, y = sales
    grid = {"anchor": [[1e4], "pooled"], "n_weights": [3, 9]}
    search = GridSearchCV(
        ShrunkenSampleAverage(DEAR), grid, cv=2, scoring=make_decision_scorer("regret")
    )
    assert search.fit(X, y).best_params_["anchor"] == "pooled"
    nested = cross_val_score(search, X, y, cv=2, scoring=make_decision_scorer("regret"))
    expected = [
        -regret(y[b], clone(search).fit(X[a], y[a]).best_estimator_.decide(X[b]), problem=DEAR)
        for a, b in KFold(2).split(X)
    ]
    assert_allclose(nested, expected)


@pytest.mark.parametrize("metric", ["cost", "regret", "prescriptiveness"])
def test_pipelines_score_what_their_last_step_decides(sales, metric):
    X, y = sales
    scorer = make_decision_scorer(metric)
    double = FunctionTransformer(doubled)
    alone = scorer(PooledRatio(DEAR).fit(2 * X), 2 * X, y)
    for pipeline in (
        make_pipeline(double, PooledRatio(DEAR)),
        make_pipeline("passthrough", double, "passthrough", PooledRatio(DEAR)),
        make_pipeline(double, make_pipeline("passthrough", PooledRatio(DEAR))),
    ):
        assert scorer(pipeline.fit(X), X, y) == pytest.approx(alone)
    just_one = make_pipeline(PooledRatio(DEAR)).fit(X)
    assert scorer(just_one, X, y) == scorer(PooledRatio(DEAR).fit(X), X, y)


def test_pipelines_of_frames_in_searches(sales):
    X, y = sales
    names = [f"w{k}" for k in range(5)]
    frame = pd.DataFrame(X, columns=names).assign(sku="text", short=4.0)
    select = make_column_transformer(
        ("passthrough", [*names, "short"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    pipeline = make_pipeline(select, PooledRatio(Newsvendor("short", 1.0)))
    grid = {"pooledratio__problem": [Newsvendor("short", 1.0), Newsvendor(1.0, "short")]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=make_decision_scorer(problem=DEAR))
    assert search.fit(frame, y).best_params_["pooledratio__problem"].underage == "short"
    expected = -decision_cost(y, PooledRatio(DEAR).fit(X).decide(X), problem=DEAR)
    assert search.score(frame, y) == pytest.approx(expected)


def test_observation_columns_stay_as_fitted(sales):
    X, y = sales
    table = np.column_stack([X, np.full(len(X), 40.0)])
    estimator = PooledRatio(Newsvendor(Column(5), 1.0)).fit(table)
    scorer = make_decision_scorer("prescriptiveness", problem=DEAR)
    expected = prescriptiveness(y, estimator.decide(table), X=X, problem=DEAR)
    assert scorer(estimator, table, y) == pytest.approx(expected)
    for problem, message in (
        (Newsvendor(Column(0), 1.0), "column 0, which held observations"),
        (Newsvendor(observations=[0, 1]), "other columns of observations"),
    ):
        with pytest.raises(ValueError, match=message):
            make_decision_scorer(problem=problem)(estimator, table, y)


def test_the_scorers_problem_stays_as_it_was():
    problem = Newsvendor(2.0, 1.0)
    scorer = make_decision_scorer(problem=problem)
    problem.set_params(underage=100.0)
    assert scorer(SampleAverage().fit(X_SAA), X_SAA, Y_SAA) == -4.0


def test_any_estimator_that_decides():
    scorer = make_decision_scorer(problem=Profit(5.0, 1.0))
    # orders of 4 cost 4, and sell 3 and 4
    assert scorer(Fixed(4.0), X_SAA, [3, 8]) == pytest.approx((11 + 16) / 2)
    with pytest.raises(ValueError, match=r"Fixed\(.*\) has no problem_: give .* a problem="):
        make_decision_scorer()(Fixed(4.0), X_SAA, [3, 8])


def test_scorers_need_y(sales):
    X, _ = sales
    scorer = make_decision_scorer("regret")
    message = r"make_decision_scorer\('regret'\) needs y, the outcomes of a later period.*pass y to"
    with pytest.raises(ValueError, match=message):
        scorer(SampleAverage().fit(X), X)
    with pytest.raises(ValueError, match=message):
        cross_val_score(SampleAverage(), X, scoring=scorer, error_score="raise")


def test_scorers_need_decisions():
    X, y = X_SAA, [3.0, 8.0]
    regression = LinearRegression().fit(X, y)
    unfitted = GridSearchCV(SampleAverage(), {})
    ends_in_numbers = make_pipeline("passthrough", regression)
    for estimator in (regression, ends_in_numbers, unfitted):
        with pytest.raises(TypeError, match="cannot decide: it is neither"):
            make_decision_scorer()(estimator, X, y)
    with pytest.raises(NotFittedError):
        make_decision_scorer()(SampleAverage(), X, y)


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (ValueError, {"metric": "price"}, r"metric must be one of \['cost', .*; got 'price'"),
        (ValueError, {"metric": None}, "metric must be one of"),
        (ValueError, {"problem": 0.9}, "problem must be a DecisionProblem"),
        (ValueError, {"greater_is_better": True}, "is for callables; metric='cost' knows"),
        (TypeError, {"floor": "law"}, "metric='cost' takes no parameter 'floor'"),
        (TypeError, {"metric": "regret", "per_row": True}, "takes no parameter 'per_row'"),
        (TypeError, {"metric": regret, "truth": None}, "takes no parameter 'truth'"),
    ],
)
def test_scorers_refuse(error, arguments, message):
    with pytest.raises(error, match=message):
        make_decision_scorer(**arguments)
