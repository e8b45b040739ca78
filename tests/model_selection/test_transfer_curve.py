"""Cost against the number of rows: what is drawn, charged, kept in a file, and shown."""

import json
import re
import sys
from dataclasses import replace

import joblib
import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from sklearn_pttf import Checkpoint, Column, PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf import _estimator as _estimator_module
from sklearn_pttf._kinds.base import OF_AMOUNTS as BASELINES
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, _scratch
from sklearn_pttf.inspection import TransferCurveDisplay, _transfer_curve_display
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection import _transfer_curve, transfer_curve
from sklearn_pttf.model_selection._results import Results, described, fingerprint
from sklearn_pttf.model_selection._rows import hold_out, random_draws
from sklearn_pttf.problems import Newsvendor

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAN = np.nan
TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
PROBLEM = Newsvendor(underage=4.0, overage=1.0)
QUICK = ("pretrained", "saa")
X, Y = make_demand_portfolio(40, 5, n_outcomes=6, random_state=0)


def _checkpoint(seed=0, config=TINY):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(config)
    return Checkpoint.from_network(network, {"name": "tiny"})


def _estimator(problem=PROBLEM, finetune=None, seed=0, **params):
    return PretrainedDecisionTransformer(
        problem, checkpoint=_checkpoint(seed), finetune=finetune, device="cpu", **params
    )


def _curve(estimator=None, X=X, y=Y, **arguments):
    defaults = {"n_instances": [8, 20], "cv": 3, "methods": QUICK, "random_state": 0}
    estimator = _estimator() if estimator is None else estimator
    return transfer_curve(estimator, X, y, **{**defaults, **arguments})


def _arrays(curve, leave_out=()):
    out = {}
    for name, value in curve.items():
        if name not in leave_out:
            out[name] = np.array(value)
    return out


def _assert_same(curve, expected, leave_out=("fit_time",), **tolerance):
    found, wanted = _arrays(curve, leave_out), _arrays(expected, leave_out)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if tolerance and value.dtype.kind == "f":
            assert_allclose(found[name], value, err_msg=name, **tolerance)
        else:
            assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture
def fits(monkeypatch):
    """Names of the fits that are done."""
    done, run = [], _transfer_curve._run

    def recorded(task, *args):
        done.append(task.name)
        return run(task, *args)

    monkeypatch.setattr(_transfer_curve, "_run", recorded)
    return done


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
    curve = _curve(n_instances=[10, 40], cv=KFold(4))
    for rows, (_, test) in zip(curve.rows, KFold(4).split(X), strict=True):
        assert_array_equal(rows[:10], test)
        assert sorted(rows) == list(range(40))
    assert curve.n_charged.tolist() == [10, 10, 10, 10]


def test_splits_may_be_an_iterable_and_of_unequal_sizes():
    splits = [(np.arange(10, 40), np.arange(4)), (np.arange(5, 30), np.arange(5))]
    curve = _curve(n_instances=[6, 25], cv=iter(splits))
    assert curve.n_charged.tolist() == [4, 5]
    assert len(curve.rows[0]) == len(curve.rows[1]) == 25
    assert not set(curve.rows[0]) & set(range(4, 10))
    assert not set(curve.rows[1]) & set(range(30, 40))
    again = _curve(n_instances=[6, 25], cv=splits)
    _assert_same(again, curve)


# ---------------------------------------------------------------- what is charged


@pytest.mark.parametrize("charge", ["common", "portfolio"])
def test_costs_are_those_of_decisions_on_portfolios_of_the_rows(charge):
    curve = _curve(charge=charge)
    assert curve.methods == list(QUICK)
    assert curve.cost.shape == (2, 2, 3)
    deciders = [_estimator(), SampleAverage(PROBLEM)]
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
    curve = _curve(n_instances=[8, 20, 40])
    assert_allclose(curve.cost[1], np.tile(curve.cost[1, 0], (3, 1)))
    assert np.ptp(curve.cost[0], axis=0).min() > 0  # the pretrained network reads the others


def test_sizes_are_sorted_and_count_once():
    curve = _curve(n_instances=np.array([20, 8, 20]))
    _assert_same(curve, _curve())
    assert curve.n_instances.tolist() == [8, 20]


def test_rows_without_outcome_are_not_charged():
    y = Y.copy()
    y[::2] = NAN
    curve = _curve(y=y)
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
    _curve(_estimator(finetune="auto"), methods=["finetuned"], n_instances=[8], cv=2)
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
    curve = _curve(X=table, y=None, n_instances=[8, 40])
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
    curve = _curve(X=X[:, :1], methods=methods, resume=path)
    assert np.isnan(curve.cost[0]).all()
    assert np.isfinite(curve.cost[1]).all()
    _assert_same(_curve(X=X[:, :1], methods=methods, resume=path), curve)


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
    expected = _curve(_estimator(Newsvendor(Column(0), 1.0)), X=table, y=y)
    for frame in _frames():
        before = frame.clone() if hasattr(frame, "clone") else frame.copy()
        problem = Newsvendor("margin", 1.0, observations=observations)
        _assert_same(_curve(_estimator(problem), X=frame, y=y), expected)
        assert frame.equals(before)


# ---------------------------------------------------------------- all methods, and going on


@pytest.fixture
def short_training(monkeypatch):
    monkeypatch.setattr(_scratch, "LEARNING_RATES", (1e-3,))
    monkeypatch.setattr(_scratch, "MAX_EPOCHS", 2)


def _too_high():
    """A network of values that orders far too much, so that finetuning helps."""
    network = _checkpoint(config=replace(TINY, outcomes="values")).build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[6] += 2.0  # of the middle, in units of noise
    return Checkpoint.from_network(network, {"name": "too high"})


def test_all_methods_interrupted_and_resumed(tmp_path, short_training, monkeypatch, fits):
    strategy = HeadFinetune(lr=0.05, max_epochs=1, baselines=False)
    estimator = _estimator(finetune=strategy).set_params(checkpoint=_too_high())
    arguments = {"n_instances": [10, 24], "cv": 2, "methods": _transfer_curve.METHODS}
    path = tmp_path / "curve.json"
    whole = _curve(estimator, **arguments)
    n_methods = 3 + 1 + len(BASELINES)
    assert len(fits) == len(set(fits)) == 2 * 2 * n_methods

    run = _transfer_curve._run

    def interrupted(task, *args):
        if task.name == "finetuned/24/1":
            raise KeyboardInterrupt
        return run(task, *args)

    monkeypatch.setattr(_transfer_curve, "_run", interrupted)
    del fits[:]
    with pytest.raises(KeyboardInterrupt):
        _curve(estimator, resume=path, **arguments)
    kept = json.loads(path.read_text())["results"]
    assert list(kept) == fits
    assert len(kept) == 3 * n_methods + 1  # only the second draw of 24 rows is not done
    assert [file.name for file in tmp_path.iterdir()] == ["curve.json"]

    monkeypatch.setattr(_transfer_curve, "_run", run)
    del fits[:]
    resumed = _curve(estimator, resume=path, **arguments)
    assert len(fits) == n_methods - 1
    assert not set(fits) & set(kept)
    _assert_same(resumed, whole)
    del fits[:]
    again = _curve(estimator, resume=path, **arguments)
    assert fits == []
    _assert_same(again, resumed, leave_out=())  # even the times

    pretrained, finetuned, scratch, _, saa = whole.cost
    assert set(whole.chosen[0]) == {"pretrained"}
    assert set(whole.chosen[1]) <= {"finetuned", "blend"}
    assert_array_equal(finetuned[0], pretrained[0])
    assert (finetuned[1] < pretrained[1]).all()
    assert (
        whole.finetune_gain == [0, (pretrained - finetuned)[1].mean() / pretrained[0].mean()]
    ).all()
    assert np.isnan(scratch[0]).all()  # too few rows
    assert np.isfinite(scratch[1]).all()
    assert (scratch[1] != pretrained[1]).all()
    assert (whole.fit_time > 0).all()
    assert_array_equal(saa, whole.baseline_cost[0])


def test_the_best_baseline_is_the_cheapest_over_draws_of_a_size():
    curve = _curve(methods=["best_baseline"], n_instances=[5, 40], cv=2)
    assert curve.baselines == ["SampleAverage", *(kind.__name__ for kind in BASELINES)]
    for s, n in enumerate([5, 40]):
        means = {}
        for kind in (SampleAverage, *BASELINES):
            costs = [
                decision_cost(
                    Y[rows[:5]], kind(PROBLEM).fit(X[rows[:n]]).decide(X[rows[:5]]), problem=PROBLEM
                )
                for rows in curve.rows
            ]
            means[kind.__name__] = np.mean(costs)
        assert curve.best_baseline[s] == min(means, key=means.get)
        assert_allclose(curve.baseline_cost[:, s].mean(axis=1), list(means.values()))
        assert_allclose(curve.mean_cost[0, s], min(means.values()))


def test_a_file_serves_more_sizes_methods_draws_and_charges(tmp_path, fits):
    path = tmp_path / "curve.json"
    _curve(methods=["saa"], resume=path)
    assert len(fits) == 6
    larger = _curve(n_instances=[8, 20, 30], cv=4, charge="portfolio", resume=path)
    assert len(fits) == 4 * 3 * 2
    _assert_same(larger, _curve(n_instances=[8, 20, 30], cv=4, charge="portfolio"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": X + 1}, "X was"),
        ({"y": Y[:, :3]}, "y was"),
        ({"y": None}, "y was"),
        ({"random_state": 1}, "random_state was"),
        ({"n_instances": [9, 20]}, "cv was random rows, 8 of them charged, and is random rows, 9"),
        ({"cv": ShuffleSplit(3, test_size=8, random_state=0)}, "cv was random rows"),
        ({"estimator": _estimator(seed=1)}, "checkpoint differs|checkpoint was"),
        ({"estimator": _estimator(Newsvendor(4.0, 2.0))}, "estimator.problem was .*overage=2.0"),
        ({"estimator": _estimator(finetune="auto")}, 'estimator.finetune was null, and is "auto"'),
        ({"estimator": _estimator(random_state=3)}, "estimator.random_state was null, and is 3"),
    ],
)
def test_a_file_of_another_call_is_refused(tmp_path, changes, message):
    path = tmp_path / "curve.json"
    _curve(resume=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"(?s)resume=.*holds results.*: .*({message})"):
        _curve(resume=path, **changes)
    assert path.read_bytes() == before


def test_equal_data_are_equal_whatever_their_layout(tmp_path, fits):
    path = tmp_path / "curve.json"
    _curve(resume=path)
    done = len(fits)
    _curve(X=np.asfortranarray(X), y=Y.tolist(), resume=str(path))
    _curve(X=pd.DataFrame(X).astype("Int64"), resume=path)
    assert len(fits) == done


def test_descriptions_tell_parameters_apart():
    same = [FullFinetune(lr=0.01), FullFinetune(lr=0.01)]
    assert described(same[0]) == described(same[1])
    assert described(FullFinetune(lr=0.02)) != described(same[0])
    assert described(HeadFinetune(lr=0.01)) != described(same[0])
    assert described(Newsvendor("a")) != described(Newsvendor(Column(0)))
    states = [np.random.RandomState(seed) for seed in (0, 0, 1)]
    assert described(states[0]) == described(states[1]) != described(states[2])
    assert fingerprint(X, Y) != fingerprint(Y, X)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"kind": "tran', "is no JSON file"),
        ("[1, 2]", "is a file of another kind"),
        ('{"kind": "something else"}', "is a file of another kind"),
        ('{"kind": "transfer curve of sklearn_pttf", "format": 2}', "has format 2"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    path = tmp_path / "curve.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Results(path, {})


def test_a_prior_is_pretrained_on_once(monkeypatch, tmp_path):
    calls = []

    def pretrained_on(*args):
        calls.append(args)
        return _checkpoint(seed=1)

    monkeypatch.setattr(_estimator_module, "pretrained_on", pretrained_on)
    path = tmp_path / "curve.json"
    curve = _curve(_estimator(prior=SyntheticPrior()), resume=path)
    assert len(calls) == 1
    _assert_same(curve, _curve(_estimator(seed=1)))
    with pytest.raises(ValueError, match="checkpoint"):  # other weights, other results
        _curve(_estimator(), resume=path)


# ---------------------------------------------------------------- jobs and seeds


def test_two_processes_give_what_one_gives(tmp_path):
    expected = _curve(n_instances=[8, 40], cv=2)
    path = tmp_path / "curve.json"
    found = _curve(n_instances=[8, 40], cv=2, n_jobs=2, resume=path)
    _assert_same(found, expected, rtol=1e-9)
    assert len(json.loads(path.read_text())["results"]) == 2 * 2 * 2


def test_threads_give_what_one_gives_in_any_order():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = _curve()
    _assert_same(found, _curve(), rtol=1e-9)


def test_seeds():
    first = _curve(random_state=np.random.RandomState(7))
    _assert_same(_curve(random_state=np.random.RandomState(7)), first)
    assert not np.array_equal(_curve(random_state=8).rows, first.rows)
    assert not np.array_equal(_curve(random_state=None).rows, _curve(random_state=None).rows)


def test_arguments_are_left_alone():
    estimator = _estimator()
    before, checkpoint, table = repr(estimator), estimator.checkpoint, X.copy()
    _curve(estimator)
    assert repr(estimator) == before
    assert estimator.checkpoint is checkpoint
    assert not hasattr(estimator, "checkpoint_")
    assert_array_equal(X, table)


def test_progress_is_shown_on_request(capsys):
    _curve(_estimator(verbose=1), n_instances=[8])
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")
    _curve(n_instances=[8], verbose=1)
    assert "transfer curve: 100%" in capsys.readouterr().err


# ---------------------------------------------------------------- figures


def test_gains_by_hand():
    pretrained = np.array([[10.0, 20.0], [8.0, 18.0]])
    finetuned = np.array([[10.0, 20.0], [8.0, 15.0]])
    found = _transfer_curve.gains(["finetuned", "pretrained"], np.array([finetuned, pretrained]))
    assert_allclose(found["context_gain"], [0, 2 / 15])
    assert_allclose(found["finetune_gain"], [0, 1.5 / 15])
    # 2 - 10 * 2 / 15 and 2 - 20 * 2 / 15 are 2 / 3 and -2 / 3: their mean has the error 2 / 3
    t = stats.t.ppf(0.975, 1)
    assert_allclose(found["context_gain_half_width"], [0, t * 2 / 3 / 15])
    # 0 - 10 * 0.1 and 3 - 20 * 0.1
    assert_allclose(found["finetune_gain_half_width"], [0, t / 15])
    total = 1 - finetuned.mean(axis=1) / pretrained[0].mean()
    assert_allclose(found["context_gain"] + found["finetune_gain"], total)


def test_gains_need_their_methods():
    cost = np.ones((1, 2, 3))
    assert _transfer_curve.gains(["saa"], cost)["context_gain"] is None
    found = _transfer_curve.gains(["pretrained"], cost)
    assert_array_equal(found["context_gain"], [0, 0])
    assert found["finetune_gain"] is None
    assert found["finetune_gain_half_width"] is None
    curve = _curve(methods=["saa"])
    for name in ("context_gain", "finetune_gain", "best_baseline", "baseline_cost", "chosen"):
        assert curve[name] is None
    assert curve.baselines == []
    assert _curve(methods=["pretrained"]).relative_cost is None


def test_means_and_intervals_of_a_curve():
    curve = _curve(cv=4)
    assert_allclose(curve.mean_cost, curve.cost.mean(axis=2))
    interval = stats.t.interval(0.95, 3, curve.mean_cost[0, 0], stats.sem(curve.cost[0, 0]))
    assert_allclose(curve.half_width[0, 0], np.ptp(interval) / 2)
    assert_allclose(curve.relative_cost[0], curve.mean_cost[0] / curve.mean_cost[1])
    assert_allclose(curve.relative_cost[1], 1)
    assert_allclose(curve.relative_half_width[1], 0, atol=1e-12)


def test_paired_intervals_cover_as_often_as_they_say():
    rng, hits = np.random.RandomState(0), []
    for _ in range(400):
        sold = rng.gamma(4.0, size=10)  # what draws differ in, is shared
        numerator = sold * (0.8 + 0.1 * rng.normal(size=10))
        value, half = _transfer_curve.ratio_with_half_width(numerator, sold)
        hits.append(abs(value - 0.8) < half)
        assert half < 0.3  # unpaired it would be about 0.4
    assert 0.9 < np.mean(hits) < 0.98


def test_one_draw_has_no_interval():
    curve = _curve(cv=ShuffleSplit(1, test_size=8, random_state=0))
    assert np.isfinite(curve.mean_cost).all()
    assert np.isnan(curve.half_width).all()
    assert np.isnan(curve.context_gain_half_width).all()


def test_shares_of_nothing_are_nan():
    zero = np.zeros((1, 3))
    with np.errstate(all="raise"):
        ratio, half = _transfer_curve.ratio_with_half_width(zero, zero)
    assert np.isnan(ratio).all()
    assert np.isnan(half).all()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"estimator": SampleAverage()}, TypeError, "must be a PretrainedDecisionTransformer; got"),
        ({"estimator": make_pipeline(_estimator())}, TypeError, "Of a Pipeline give the last step"),
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
        _curve(**arguments)


# ---------------------------------------------------------------- the picture


@pytest.fixture(autouse=True)
def _no_figure_stays():
    yield
    plt.close("all")


COST = np.array(
    [
        [[10.0, 20.0, 12.0], [8.0, 18.0, 11.0]],
        [[10.0, 20.0, 12.0], [8.0, 15.0, 10.0]],
        [[12.0, 24.0, 14.0], [12.0, 25.0, 14.0]],
    ]
)
DISPLAY = TransferCurveDisplay(np.array([30, 100]), ["pretrained", "finetuned", "saa"], COST)


def _ends(band, n):
    corners = band.get_paths()[0].vertices
    ends = corners[corners[:, 0] == n, 1]
    return ends.min(), ends.max()


def test_display_draws_costs_and_gains():
    display = DISPLAY.plot()
    assert display is DISPLAY
    assert list(display.lines_) == [*display.methods, "context_gain", "finetune_gain"]
    assert display.bands_.keys() == display.lines_.keys()
    assert display.ax_.shape == (2,)
    assert list(display.figure_.axes) == list(display.ax_)
    found = _transfer_curve.relative_to_saa(display.methods, COST)
    for k, method in enumerate(display.methods):
        n, cost = display.lines_[method].get_data()
        assert_array_equal(n, [30, 100])
        assert_allclose(cost, 100 * COST[k].mean(axis=1) / COST[2].mean(axis=1))
        low, high = _ends(display.bands_[method], 30)
        assert_allclose(high - low, 200 * found["relative_half_width"][k, 0], atol=1e-9)
        assert display.lines_[method].axes is display.ax_[0]
    gains = _transfer_curve.gains(display.methods, COST)
    for name in ("context_gain", "finetune_gain"):
        assert_allclose(display.lines_[name].get_ydata(), 100 * gains[name])
        low, high = _ends(display.bands_[name], 100)
        assert_allclose(
            [low + high, high - low], [200 * gains[name][1], 200 * gains[f"{name}_half_width"][1]]
        )
        assert display.lines_[name].axes is display.ax_[1]
    for ax in display.ax_:
        assert ax.get_xscale() == "log"
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["30", "100"]
    texts = [text.get_text() for text in display.ax_[0].get_legend().get_texts()]
    assert texts == ["pretrained", "finetuned", "SAA"]
    assert display.ax_[1].get_ylabel() == "saving, % of pretrained's cost at N = 30"


def test_display_draws_money():
    display = TransferCurveDisplay(np.array([30, 100]), ["scratch", "best_baseline"], COST[:2])
    display.plot(kind="cost", relative=False)
    mean, half = _transfer_curve.mean_with_half_width(COST[:2])
    assert_allclose(display.lines_["scratch"].get_ydata(), mean[0])
    assert_allclose(
        _ends(display.bands_["best_baseline"], 100), mean[1, 1] + [-half[1, 1], half[1, 1]]
    )
    assert display.ax_.get_ylabel() == "cost a row"
    assert list(display.lines_) == ["scratch", "best_baseline"]


def test_display_draws_where_and_how_it_is_told():
    figure, axes = plt.subplots(1, 3)
    display = DISPLAY.plot(axes[1], kind="gain", ls="--", c="C5")
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert list(display.lines_) == ["context_gain", "finetune_gain"]
    assert {line.get_linestyle() for line in display.lines_.values()} == {"--"}
    assert {line.get_color() for line in display.lines_.values()} == {"C5"}
    DISPLAY.plot([axes[0], axes[2]])
    assert DISPLAY.lines_["saa"].axes is axes[0]
    assert DISPLAY.lines_["finetune_gain"].axes is axes[2]
    assert len(plt.get_fignums()) == 1


def test_display_of_one_draw_has_no_bands():
    display = TransferCurveDisplay([30, 100], ["pretrained", "saa"], COST[[0, 2], :, :1]).plot()
    assert display.bands_ == {}
    assert list(display.lines_) == ["pretrained", "saa", "context_gain"]


def test_display_from_an_estimator(tmp_path):
    arguments = {
        "n_instances": [8, 20],
        "cv": 3,
        "methods": QUICK,
        "charge": "portfolio",
        "random_state": 5,
    }
    path = tmp_path / "curve.json"
    display = TransferCurveDisplay.from_estimator(
        _estimator(), X, Y, resume=path, kind="cost", relative=False, marker="s", **arguments
    )
    result = transfer_curve(_estimator(), X, Y, resume=path, **arguments)
    assert_array_equal(display.cost, result.cost)
    assert display.methods == result.methods
    assert_array_equal(display.lines_["saa"].get_ydata(), result.mean_cost[1])
    assert display.lines_["saa"].get_marker() == "s"
    again = TransferCurveDisplay.from_result(result, kind="gain")
    assert_allclose(again.lines_["context_gain"].get_ydata(), 100 * result.context_gain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "pie"}, "kind must be one of ['both', 'cost', 'gain']; got 'pie'"),
        ({"methods": ["pretrained"]}, "relative=True needs the costs of 'saa'"),
        ({"methods": ["saa"]}, "kind='both' needs the costs of 'pretrained'"),
        ({"ax": object()}, "ax must be two Axes for kind='both'; got 1"),
        ({"ax": [object()] * 3}, "ax must be two Axes for kind='both'; got 3"),
        ({"ax": [object()], "kind": "cost"}, "ax must be one Axes for kind='cost'"),
    ],
)
def test_display_refuses_before_it_computes(arguments, message, monkeypatch):
    monkeypatch.setattr(_transfer_curve_display, "transfer_curve", None)
    arguments = {"methods": QUICK, **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        TransferCurveDisplay.from_estimator(_estimator(), X, Y, **arguments)
    assert not plt.get_fignums()


def test_display_says_that_matplotlib_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"TransferCurveDisplay\.from_estimator requires"):
        TransferCurveDisplay.from_estimator(_estimator(), X, Y)
    with pytest.raises(ImportError, match=r"TransferCurveDisplay\.plot requires"):
        DISPLAY.plot()
