"""A curve of all methods, kept in a file, and gone on with."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import ShuffleSplit

from sklearn_pttf import Checkpoint, Column, SyntheticPrior
from sklearn_pttf import _estimator as _estimator_module
from sklearn_pttf._kinds.base import OF_AMOUNTS as BASELINES
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, _scratch
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection import _transfer_curve
from sklearn_pttf.model_selection._results import Results, described, fingerprint
from sklearn_pttf.problems import Newsvendor
from support.networks import TINY, fresh_checkpoint
from support.transfer_curves import PROBLEM, X, Y, assert_same_curve, small_curve, tiny_estimator


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What a file holds after a curve of the defaults."""
    path = tmp_path_factory.mktemp("kept") / "curve.json"
    small_curve(resume=path)
    return path.read_bytes()


@pytest.fixture
def fits(monkeypatch):
    """Names of the fits that are done."""
    done, run = [], _transfer_curve._run

    def recorded(task, *args):
        done.append(task.name)
        return run(task, *args)

    monkeypatch.setattr(_transfer_curve, "_run", recorded)
    return done


@pytest.fixture
def short_training(monkeypatch):
    monkeypatch.setattr(_scratch, "LEARNING_RATES", (1e-3,))
    monkeypatch.setattr(_scratch, "MAX_EPOCHS", 2)


def _too_high():
    """A network of values that orders far too much, so that finetuning helps."""
    network = fresh_checkpoint(config=replace(TINY, outcomes="values")).build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[network.head.place_of("base")] += 2.0  # units of noise
    return Checkpoint.from_network(network, {"name": "too high"})


def test_all_methods_interrupted_and_resumed(tmp_path, short_training, monkeypatch, fits):
    strategy = HeadFinetune(lr=0.05, max_epochs=1, baselines=False)
    estimator = tiny_estimator(finetune=strategy).set_params(checkpoint=_too_high())
    arguments = {"n_instances": [10, 24], "cv": 2, "methods": _transfer_curve.METHODS}
    path = tmp_path / "curve.json"
    whole = small_curve(estimator, **arguments)
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
        small_curve(estimator, resume=path, **arguments)
    kept = json.loads(path.read_text())["results"]
    assert list(kept) == fits
    assert len(kept) == 3 * n_methods + 1  # only the second draw of 24 rows is not done
    assert [file.name for file in tmp_path.iterdir()] == ["curve.json"]

    monkeypatch.setattr(_transfer_curve, "_run", run)
    del fits[:]
    resumed = small_curve(estimator, resume=path, **arguments)
    assert len(fits) == n_methods - 1
    assert not set(fits) & set(kept)
    assert_same_curve(resumed, whole)
    del fits[:]
    again = small_curve(estimator, resume=path, **arguments)
    assert fits == []
    assert_same_curve(again, resumed, leave_out=())  # even the times

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
    curve = small_curve(methods=["best_baseline"], n_instances=[5, 40], cv=2)
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
    small_curve(methods=["saa"], n_instances=[8], cv=2, resume=path)
    assert len(fits) == 2
    more = {"n_instances": [8, 20], "cv": 3, "charge": "portfolio"}
    larger = small_curve(**more, resume=path)
    assert len(fits) == 3 * 2 * 2
    assert_same_curve(larger, small_curve(**more))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": X + 1}, "X was"),
        ({"y": Y[:, :3]}, "y was"),
        ({"y": None}, "y was"),
        ({"random_state": 1}, "random_state was"),
        ({"n_instances": [9, 20]}, "cv was random rows, 8 of them charged, and is random rows, 9"),
        ({"cv": ShuffleSplit(3, test_size=8, random_state=0)}, "cv was random rows"),
        ({"estimator": tiny_estimator(seed=1)}, "checkpoint differs|checkpoint was"),
        (
            {"estimator": tiny_estimator(Newsvendor(4.0, 2.0))},
            "estimator.problem was .*overage=2.0",
        ),
        (
            {"estimator": tiny_estimator(finetune="auto")},
            'estimator.finetune was null, and is "auto"',
        ),
        (
            {"estimator": tiny_estimator(random_state=3)},
            "estimator.random_state was null, and is 3",
        ),
    ],
)
def test_a_file_of_another_call_is_refused(tmp_path, kept, changes, message):
    path = tmp_path / "curve.json"
    path.write_bytes(kept)
    with pytest.raises(ValueError, match=f"(?s)resume=.*holds results.*: .*({message})"):
        small_curve(resume=path, **changes)
    assert path.read_bytes() == kept


def test_equal_data_are_equal_whatever_their_layout(tmp_path, kept, fits):
    path = tmp_path / "curve.json"
    path.write_bytes(kept)
    small_curve(resume=path)
    small_curve(X=np.asfortranarray(X), y=Y.tolist(), resume=str(path))
    small_curve(X=pd.DataFrame(X).astype("Int64"), resume=path)
    assert fits == []


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
        return fresh_checkpoint(seed=1)

    monkeypatch.setattr(_estimator_module, "pretrained_on", pretrained_on)
    path = tmp_path / "curve.json"
    short = {"n_instances": [8], "cv": 2}
    curve = small_curve(tiny_estimator(prior=SyntheticPrior()), resume=path, **short)
    assert len(calls) == 1
    assert_same_curve(curve, small_curve(tiny_estimator(seed=1), **short))
    with pytest.raises(ValueError, match="checkpoint"):  # other weights, other results
        small_curve(tiny_estimator(), resume=path, **short)
