"""Cost against the number of rows: what is drawn, and what is charged."""

import json

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection import _transfer_curve
from sklearn_pttf.model_selection._rows import hold_out, random_draws
from sklearn_pttf.problems import Newsvendor
from support.transfer_curves import (
    PROBLEM,
    QUICK,
    X,
    Y,
    assert_same_curve,
    small_curve,
    tiny_estimator,
    usual_curve,
)

NAN = np.nan

# ---------------------------------------------------------------- rows


def test_draws_are_permutations_with_disjoint_common_rows():
    draws = random_draws(5, 40, 8, seed=0)
    for draw in draws:
        assert sorted(draw.rows) == list(range(40))
        assert draw.n_common == 8
    charged = np.concatenate([draw.rows[:8] for draw in draws])
    assert sorted(charged) == list(range(40))


def test_common_rows_come_round_again_where_there_are_too_few():
    draws = random_draws(3, 10, 6, seed=0)
    for draw in draws:
        assert sorted(draw.rows) == list(range(10))
    assert not set(draws[0].rows[:4]) & set(draws[1].rows[:4])


def test_a_draw_does_not_depend_on_how_many_there_are():
    few, many = random_draws(2, 40, 8, seed=0), random_draws(4, 40, 8, seed=0)
    for k in range(2):
        assert_array_equal(few[k].rows, many[k].rows)
    assert not np.array_equal(random_draws(2, 40, 8, seed=1)[0].rows, few[0].rows)


def test_test_rows_of_a_splitter_are_charged():
    curve = small_curve(n_instances=[10, 40], cv=KFold(4))
    for rows, (_, test) in zip(curve.rows, KFold(4).split(X), strict=True):
        assert_array_equal(rows[:10], test)
        assert sorted(rows) == list(range(40))
    assert curve.n_charged.tolist() == [10, 10, 10, 10]


def test_splits_may_be_an_iterable_and_of_unequal_sizes():
    splits = [(np.arange(10, 40), np.arange(4)), (np.arange(5, 30), np.arange(5))]
    curve = small_curve(n_instances=[6, 25], cv=iter(splits))
    assert curve.n_charged.tolist() == [4, 5]
    assert len(curve.rows[0]) == len(curve.rows[1]) == 25
    assert not set(curve.rows[0]) & set(range(4, 10))
    assert not set(curve.rows[1]) & set(range(30, 40))
    again = small_curve(n_instances=[6, 25], cv=splits)
    assert_same_curve(again, curve)


# ---------------------------------------------------------------- what is charged


@pytest.mark.parametrize("charge", ["common", "portfolio"])
def test_costs_are_those_of_decisions_on_portfolios_of_the_rows(charge):
    curve = usual_curve() if charge == "common" else small_curve(charge=charge)
    assert curve.methods == list(QUICK)
    assert curve.cost.shape == (2, 2, 3)
    deciders = [tiny_estimator(), SampleAverage(PROBLEM)]
    for m, decider in enumerate(deciders):
        for s, n in enumerate([8, 20]):
            for k in range(3):
                rows = curve.rows[k][:n]
                decisions = clone(decider).fit(X[rows]).decide(X[rows])
                n_charged = 8 if charge == "common" else n
                expected = decision_cost(
                    Y[rows[:n_charged]], decisions[:n_charged], problem=PROBLEM
                )
                assert_allclose(curve.cost[m, s, k], expected)


def test_saa_is_the_same_at_every_size_as_rows_are():
    curve = small_curve(n_instances=[8, 20, 40])
    assert_allclose(curve.cost[1], np.tile(curve.cost[1, 0], (3, 1)))
    assert np.ptp(curve.cost[0], axis=0).min() > 0  # the pretrained network reads the others


def test_sizes_are_sorted_and_count_once():
    curve = small_curve(n_instances=np.array([20, 8, 20]))
    assert_same_curve(curve, usual_curve())
    assert curve.n_instances.tolist() == [8, 20]


def test_rows_without_outcome_are_not_charged():
    y = Y.copy()
    y[::2] = NAN
    curve = small_curve(y=y)
    rows = curve.rows[0][:8]
    decisions = SampleAverage(PROBLEM).fit(X[rows]).decide(X[rows])
    seen = rows % 2 == 1
    expected = decision_cost(Y[rows][seen], decisions[seen], problem=PROBLEM)
    assert_allclose(curve.cost[1, 0, 0], expected)


@pytest.fixture
def seen_by_fit(monkeypatch):
    """Every call of `fit`, as X and y."""
    calls, fit = [], PretrainedDecisionTransformer.fit

    def recorded(self, X, y=None):
        calls.append((X, y))
        return fit(self, X, y)

    monkeypatch.setattr(PretrainedDecisionTransformer, "fit", recorded)
    return calls


def test_fit_never_sees_later_outcomes(seen_by_fit):
    # too few rows to train on, so that this is quick
    small_curve(tiny_estimator(finetune="auto"), methods=["finetuned"], n_instances=[8], cv=2)
    assert len(seen_by_fit) == 3  # the first loads the weights
    for table, y in seen_by_fit:
        assert y is None
        assert table.shape[1] == X.shape[1]


def test_without_outcomes_an_observation_is_held_out_before_any_fit(seen_by_fit, monkeypatch):
    table = 1.0 + np.arange(200.0).reshape(40, 5)  # no value twice
    table[0, 1:] = table[1, 3:] = NAN
    before, charged = table.copy(), []

    def recorded(y, *args, **kwargs):
        charged.append(y)
        return decision_cost(y, *args, **kwargs)

    monkeypatch.setattr(_transfer_curve, "decision_cost", recorded)
    curve = small_curve(X=table, y=None, n_instances=[8, 40])
    assert_array_equal(table, before)
    whole = charged[6:][0]  # of all 40 rows
    assert whole.shape == (40, 1)
    held_out = whole[~np.isnan(whole)]
    assert len(held_out) == 39  # the row with one observation keeps it
    rows = curve.rows[0]
    assert np.isnan(whole[rows == 0]).all()
    for fitted, y in seen_by_fit:
        assert y is None
        assert not np.isin(held_out, fitted).any()
    assert (~np.isnan(seen_by_fit[0][0])).sum() == (~np.isnan(table)).sum() - 39


def test_held_out_cells_are_random_and_observed():
    table = np.where(np.arange(5) < 3, 1.0 + np.arange(1000.0).reshape(200, 5), NAN)
    evidence, outcomes = hold_out(table, seed=0)
    cells = np.isnan(evidence[:, :3]).argmax(axis=1)
    assert_array_equal(outcomes[:, 0], table[np.arange(200), cells])
    assert_array_equal((~np.isnan(evidence)).sum(axis=1), np.full(200, 2))
    assert np.bincount(cells).min() > 40  # about 67 each
    assert_array_equal(hold_out(table, seed=0)[1], outcomes)
    assert not np.array_equal(hold_out(table, seed=1)[1], outcomes)


def test_scratch_needs_rows_to_train_on(tmp_path):
    # one observation a row: nothing can be held out, so nothing can be trained
    path = tmp_path / "curve.json"
    methods = ["scratch", "saa"]
    curve = small_curve(X=X[:, :1], methods=methods, resume=path)
    assert np.isnan(curve.cost[0]).all()
    assert np.isfinite(curve.cost[1]).all()
    assert_same_curve(small_curve(X=X[:, :1], methods=methods, resume=path), curve)


# ---------------------------------------------------------------- frames and columns


def _frames():
    columns = {f"w{k}": X[:, k].astype(int) for k in range(5)}
    names = [f"product {k}" for k in range(40)]
    margin = np.linspace(1.0, 8.0, 40)
    return [
        kind({"name": names, **columns, "margin": margin}) for kind in (pd.DataFrame, pl.DataFrame)
    ]


@pytest.mark.parametrize("y", [Y, None], ids=["later outcomes", "held out"])
def test_frames_give_what_arrays_give(y):
    observations = [f"w{k}" for k in range(5)]
    table = np.column_stack([np.linspace(1.0, 8.0, 40), X])
    short = {"y": y, "n_instances": [8], "cv": 2}
    expected = small_curve(tiny_estimator(Newsvendor(Column(0), 1.0)), X=table, **short)
    for frame in _frames():
        before = frame.clone() if hasattr(frame, "clone") else frame.copy()
        problem = Newsvendor("margin", 1.0, observations=observations)
        assert_same_curve(small_curve(tiny_estimator(problem), X=frame, **short), expected)
        assert frame.equals(before)


# ---------------------------------------------------------------- jobs and seeds


def test_two_processes_give_what_one_gives(tmp_path):
    expected = small_curve(n_instances=[8, 40], cv=2)
    path = tmp_path / "curve.json"
    found = small_curve(n_instances=[8, 40], cv=2, n_jobs=2, resume=path)
    assert_same_curve(found, expected, rtol=1e-9)
    assert len(json.loads(path.read_text())["results"]) == 2 * 2 * 2


def test_threads_give_what_one_gives_in_any_order():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = small_curve()
    assert_same_curve(found, usual_curve(), rtol=1e-9)


def test_seeds():
    def curve(seed):
        return small_curve(n_instances=[8], cv=2, random_state=seed)

    first = curve(np.random.RandomState(7))
    assert_same_curve(curve(np.random.RandomState(7)), first)
    assert not np.array_equal(curve(8).rows, first.rows)
    assert not np.array_equal(curve(None).rows, curve(None).rows)


def test_arguments_are_left_alone():
    estimator = tiny_estimator()
    before, checkpoint, table = repr(estimator), estimator.checkpoint, X.copy()
    small_curve(estimator)
    assert repr(estimator) == before
    assert estimator.checkpoint is checkpoint
    assert not hasattr(estimator, "checkpoint_")
    assert_array_equal(X, table)


def test_progress_is_shown_on_request(capsys):
    small_curve(tiny_estimator(verbose=1), n_instances=[8])
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")
    small_curve(n_instances=[8], verbose=1)
    assert "transfer curve: 100%" in capsys.readouterr().err


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"estimator": SampleAverage()}, TypeError, "must be a PretrainedDecisionTransformer; got"),
        (
            {"estimator": make_pipeline(tiny_estimator())},
            TypeError,
            "Of a Pipeline give the last step",
        ),
        ({"methods": ["finetuned"]}, ValueError, "methods includes 'finetuned'.*finetune=None"),
        ({"methods": ["boosting"]}, ValueError, r"methods must be some of.*got \['boosting'\]"),
        ({"methods": ["saa", "saa"]}, ValueError, "each at most once"),
        ({"methods": []}, ValueError, "methods must be some of"),
        ({"methods": "saa"}, ValueError, "'methods' parameter.*array-like"),
        ({"n_instances": []}, ValueError, "n_instances must be whole numbers of at least 2"),
        ({"n_instances": [1, 20]}, ValueError, "n_instances must be whole numbers of at least 2"),
        ({"n_instances": [8.5]}, ValueError, r"whole numbers of at least 2; got \[8.5\]"),
        ({"n_instances": 20}, ValueError, "'n_instances' parameter.*array-like"),
        ({"n_instances": [8, 41]}, ValueError, "must not exceed the 40 rows of X; got 41"),
        ({"cv": 1}, ValueError, "'cv' parameter"),
        ({"cv": []}, ValueError, "at least one split"),
        ({"cv": KFold(4)}, ValueError, "there must be 1 to 8 of them.*got 10 in split 0"),
        (
            {"cv": ShuffleSplit(2, test_size=8, train_size=10)},
            ValueError,
            "must not exceed the 18 rows of split 0 of cv; got 20",
        ),
        ({"charge": "all"}, ValueError, "'charge' parameter"),
        ({"random_state": None, "resume": "x.json"}, ValueError, "resume needs a random_state"),
        ({"y": Y[:20]}, ValueError, "inconsistent numbers of samples"),
        ({"y": -Y}, ValueError, "demand in y must be at least 0"),
        ({"y": np.full(40, NAN)}, ValueError, "none of the 8 rows that draw 0 charges"),
        ({"X": X[:, :1], "y": None}, ValueError, "y=None holds out an observation of every row"),
        ({"X": -X}, ValueError, "demand in X must be at least 0"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        small_curve(**arguments)
