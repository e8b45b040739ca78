"""What decisions are given as: arrays for arrays, columns for frames."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import PerRowDemandCurve, SampleAverage
from sklearn_pttf.metrics import decision_cost, make_decision_scorer
from sklearn_pttf.model_selection import backtest, transfer_curve
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Newsvendor, Pricing, order_quantity
from support.frames import pl, to_polars

SALES = np.array([[3.0, 5, 4], [0, 1, 0], [8, 6, 9]])
FRAME = pd.DataFrame(SALES, index=["tea", "rum", "jam"], columns=["w1", "w2", "w3"])
SAA = SampleAverage(Newsvendor(underage=4.0, overage=1.0))
ORDERS = [5.0, 1.0, 9.0]  # the largest of three is the quantile of 0.8
LIMITED = Newsvendor(underage=4.0, overage=1.0, limit=12)


def _saa(X, **output):
    return clone(SAA).fit(X).set_output(**output)


def test_arrays_stay_arrays():
    for X in (SALES, SALES.tolist(), np.ma.MaskedArray(SALES)):
        orders = _saa(X).decide(X)
        assert type(orders) is np.ndarray
        assert_array_equal(orders, ORDERS)


def test_a_frame_gives_a_series_with_its_index():
    orders, info = _saa(FRAME).decide(FRAME, return_info=True)
    pd.testing.assert_series_equal(orders, pd.Series(ORDERS, index=FRAME.index, name="decision"))
    assert orders["rum"] == 1
    assert type(info.expected_cost) is np.ndarray
    # so that orders join what else is known of a product
    assert FRAME.assign(order=orders).loc["jam"].to_list() == [8, 6, 9, 9]
    assert order_quantity(orders, on_hand=pd.Series([1, 0, 9], FRAME.index))["tea"] == 4
    assert decision_cost([5, 1, 9], orders) == 0


def test_indices_of_any_kind():
    for index in ([7, 7, 3], pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])):
        X = FRAME.set_axis(pd.Index(index), axis=0)
        assert _saa(X).decide(X).index.equals(X.index)


def test_a_frame_of_polars_gives_its_series():
    X = to_polars(FRAME)
    orders, info = _saa(X).decide(X, return_info="frame")
    assert isinstance(orders, pl.Series)
    assert orders.name == "decision"
    assert orders.to_list() == ORDERS
    assert isinstance(info, pl.DataFrame)
    assert info.columns == ["decision", "expected_cost", "mean"]


@pytest.mark.parametrize("problem", [None, LIMITED])
def test_info_as_a_frame(problem):
    saa = _saa(FRAME)
    orders, info = saa.decide(FRAME, problem=problem, return_info=True)
    same, frame = saa.decide(FRAME, problem=problem, return_info="frame")
    assert same.equals(orders)
    assert list(frame.columns) == ["decision", "expected_cost", "mean"]  # no shadow price
    assert frame.index.equals(FRAME.index)
    assert_array_equal(frame["decision"], orders)
    assert_array_equal(frame["expected_cost"], info.expected_cost)
    assert isinstance(_saa(SALES).decide(SALES, return_info="frame")[1], pd.DataFrame)


def test_curves_are_left_out_of_frames():
    X = np.array([[4.0, 9, 2, 5], [3, 8, 2, 6], [4, 9, 3, 7]])
    problem = Pricing(prices=[0, 1], demands=[2, 3], bounds=(1.0, 9.0))
    fitted = PerRowDemandCurve(problem).fit(X)
    _, info = fitted.decide(X, return_info=True)
    _, frame = fitted.decide(X, return_info="frame")
    assert info.profits.ndim == 2
    assert set(info) - set(frame.columns) == {"prices", "profits"}


def test_set_output_as_in_scikit_learn():
    assert type(_saa(FRAME, decide="numpy").decide(FRAME)) is np.ndarray
    assert type(_saa(SALES, decide="pandas").decide(SALES)) is pd.Series
    assert isinstance(_saa(FRAME, decide="polars").decide(FRAME), pl.Series)
    kept = _saa(FRAME, decide="pandas").decide(FRAME)
    assert kept.index.equals(FRAME.index)
    saa = _saa(FRAME, decide="numpy")
    assert saa.set_output() is saa
    for same in (clone(saa).fit(FRAME), pickle.loads(pickle.dumps(saa))):
        assert type(same.decide(FRAME)) is np.ndarray
    assert type(saa.set_output(decide="default").decide(FRAME)) is pd.Series
    # of arrays, info is a frame all the same
    assert isinstance(
        _saa(FRAME, decide="numpy").decide(FRAME, return_info="frame")[1], pd.DataFrame
    )


def test_containers_and_requests_that_are_refused():
    with pytest.raises(ValueError, match=r"decide must be one of .*'numpy'.*; got 'cudf'"):
        SAA.set_output(decide="cudf")
    for told in ("table", 3, None):
        with pytest.raises(ValueError, match="return_info must be True, False or 'frame'; got"):
            _saa(SALES).decide(SALES, return_info=told)


def test_pipelines_give_what_their_last_step_gives():
    X = FRAME.assign(sku="text")
    weeks = make_column_transformer(("passthrough", ["w1", "w2", "w3"]))  # gives an array
    for pipe in (
        make_decision_pipeline(weeks, clone(SAA)),
        make_decision_pipeline(clone(weeks).set_output(transform="pandas"), clone(SAA)),
    ):
        orders, info = pipe.fit(X).decide(X, return_info="frame")
        pd.testing.assert_series_equal(
            orders, pd.Series(ORDERS, index=FRAME.index, name="decision")
        )
        assert info.index.equals(FRAME.index)
        assert type(pipe.set_output(decide="numpy").decide(X)) is np.ndarray
        assert_allclose(pipe.decide(X, return_info=True)[1].mean, SALES.mean(axis=1))
    dozens = make_decision_pipeline(FunctionTransformer(lambda X: X / 12), clone(SAA))
    assert type(dozens.fit(SALES).decide(SALES)) is np.ndarray


def test_searches_decide_by_their_best_estimator():
    y = [4.0, 1.0, 9.0]
    scoring = make_decision_scorer("cost", problem=Newsvendor(underage=4.0, overage=1.0))
    search = GridSearchCV(SAA, {"problem__underage": [1.0, 4.0]}, scoring=scoring, cv=3)
    search.fit(FRAME, y)
    assert not hasattr(search, "decide")  # scikit-learn hands on what it knows
    best = search.best_estimator_
    assert best.problem_.underage == search.best_params_["problem__underage"]
    assert best.decide(FRAME).index.equals(FRAME.index)
    dear = best.decide(FRAME, problem=Newsvendor(underage=4.0, overage=1.0))
    assert dear.to_list() == ORDERS
    assert search.score(FRAME, y) == scoring(best, FRAME, y)


def test_what_charges_decisions_reads_series():
    rng = np.random.default_rng(0)
    table = rng.poisson(rng.gamma(2.0, 5.0, (40, 1)), (40, 12)).astype(float)
    X, y = pd.DataFrame(table[:, :8]).add_prefix("w"), table[:, 8:]
    X.index = rng.permutation(40) + 100  # other labels than positions
    array = X.to_numpy()
    scorer = make_decision_scorer("cost")
    assert scorer(_saa(X), X, y) == scorer(_saa(array), array, y)
    grid = {"problem__underage": [1.0, 4.0]}
    search = GridSearchCV(SAA, grid, cv=2).fit(X, y)
    orders = search.best_estimator_.decide(X)
    assert orders.index.equals(X.index)
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, ordered=True), finetune=None)
    arguments = {"origins": 2, "baselines": {"saa": SampleAverage}, "random_state": 0}
    results = [backtest(pdt, each, **arguments) for each in (X, array)]
    assert_array_equal(*(result.cost for result in results))
    arguments = {"n_instances": [12], "cv": 2, "methods": ["pretrained", "saa"], "random_state": 0}
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None)
    curves = [transfer_curve(pdt, each, y, **arguments) for each in (X, array)]
    assert_array_equal(*(curve.cost for curve in curves))
