"""Arrays of text, dates and numbers that no float can be are refused, wherever numbers are."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._utils.checks import as_numbers, numeric_columns
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Newsvendor, order_quantity
from support.networks import fresh_checkpoint

X = np.arange(12.0).reshape(4, 3)
DAY = dt.date(2024, 3, 1)
NO_NUMBERS = {
    "text": X.astype(str),
    "bytes": X.astype("S"),
    "dates": np.arange(12).reshape(4, 3).astype("datetime64[D]"),
    "durations": np.arange(12).reshape(4, 3).astype("timedelta64[D]"),
    "objects of text": X.astype(str).astype(object),
    "objects of dates": np.full((4, 3), DAY, dtype=object),
    "one date": np.array([[1.0, DAY, 2.0]] * 4, dtype=object),
    "one text": np.array([[1.0, 2.0, "3"]] * 4, dtype=object),
    "list of text": X.astype(str).tolist(),
    "one duration": [[1.0, dt.timedelta(1)]] * 4,
    "one stamp": [[pd.Timestamp(DAY), 1.0]] * 4,
}


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_text_and_dates_are_no_numbers(name):
    held = NO_NUMBERS[name]
    estimator = SampleAverage(Newsvendor())
    with pytest.raises(ValueError, match=r"X holds .* \(such as .*\) where numbers are needed"):
        estimator.fit(held)
    estimator.fit(X)
    with pytest.raises(ValueError, match=r"y holds .* \(such as .*\) where numbers are needed"):
        estimator.score(X, held)
    column = np.asarray(held)[:, 0]
    if isinstance(column[0], float):
        return
    with pytest.raises(ValueError, match=r"decision holds .* where numbers are needed"):
        decision_cost(X, column, problem=Newsvendor(), X=X)
    with pytest.raises(ValueError, match=r"on_hand holds .* where numbers are needed"):
        order_quantity(np.ones(4), on_hand=column)


def test_labels_may_stand_beside_numbers_in_arrays_of_objects():
    mixed = np.array([["a", 1, 2.5], ["b", None, 4]], dtype=object)
    assert_array_equal(numeric_columns(mixed, [1, 2]), [[1.0, 2.5], [np.nan, 4.0]])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, ">f8", "g", object])
def test_other_numbers_are_read(dtype):
    assert_array_equal(as_numbers((X > 4).astype(dtype), "X"), (X > 4).astype(float))


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_whole_numbers_beyond_floats_are_refused(number):
    for values in ([[1, number]], np.array([[1, number]], dtype=object)):
        with pytest.raises(ValueError, match=r"X must hold numbers of at most 1e\+100 in size"):
            SampleAverage(Newsvendor()).fit(values)
    with pytest.raises(ValueError, match=r"y must hold numbers of at most 1e\+100 in size"):
        SampleAverage(Newsvendor()).fit(X).score(X, [number] * 4)


@pytest.mark.parametrize("y", [5, 5.0, np.array(5.0), "5", None])
def test_one_outcome_for_all_rows_is_refused(y):
    estimator = SampleAverage(Newsvendor()).fit(X)
    if y is None:  # then held-out observations are
        assert np.isfinite(estimator.score(X))
        return
    with pytest.raises(ValueError, match="y must have an outcome for every row of X; got"):
        estimator.score(X, y)


def test_sparse_matrices_are_refused():
    estimator = SampleAverage(Newsvendor()).fit(X)
    for of_kind in (sparse.csr_matrix, sparse.coo_array):
        with pytest.raises(TypeError, match=r"Sparse data was passed for X, but dense"):
            estimator.fit(of_kind(X))
        with pytest.raises(TypeError, match=r"Sparse data was passed for y, but dense"):
            estimator.score(X, of_kind(X))


def test_tables_of_pyarrow_are_decided_as_arrays():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({f"week {k}": X[:, k] for k in range(3)})
    for estimator in (
        SampleAverage(Newsvendor(4.0, 1.0)),
        PretrainedDecisionTransformer(checkpoint=fresh_checkpoint(), finetune=None),
    ):
        expected = estimator.fit(X).decide(X)
        assert_array_equal(estimator.fit(table).decide(table), expected)
    text = pa.table({"a": ["1", "2"], "b": ["3", "4"]})
    with pytest.raises(ValueError, match="column 'a' of X holds text"):
        SampleAverage(Newsvendor()).fit(text)


def test_rows_in_reverse_are_read():
    pdt = PretrainedDecisionTransformer(checkpoint=fresh_checkpoint(), finetune=None).fit(X)
    for view in (X[:1][::-1], X[::-1], X[:, ::-1], np.asfortranarray(X)[::-1, ::-1]):
        assert_array_equal(pdt.decide(view), pdt.decide(view.copy()))
    assert_array_equal(pdt.fit(X[::-1]).decide(X[:1][::-1]), pdt.fit(X[::-1].copy()).decide(X[:1]))
    assert pdt.fit(X[:1][::-1]).decide(X[:1]).shape == (1,)


def test_past_orders_that_are_dates_are_refused():
    orders = np.arange(12).reshape(4, 3).astype("datetime64[D]")
    with pytest.raises(ValueError, match="policy must give numbers"):
        backtest(SampleAverage(Newsvendor(ordered=True)), X, policy=orders)
