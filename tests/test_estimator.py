"""PretrainedDecisionTransformer as its users meet it."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_pttf import Checkpoint, Column, NetworkConfig, PretrainedDecisionTransformer
from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._mixin import saved_share
from sklearn_pttf._network import reading as _network_use
from sklearn_pttf.baselines import ParametricEmpiricalBayes, SampleAverage
from sklearn_pttf.datasets import load_horse_kicks
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal


def _frozen(*args, **params):
    """The estimator without finetuning."""
    return PretrainedDecisionTransformer(*args, finetune=None, **params)


@pytest.fixture(scope="module")
def X():
    return GammaPoisson(2.0, 0.2).sample(60, 5, random_state=0).observations


@pytest.fixture(scope="module")
def fitted(X):
    return _frozen(Newsvendor(4.0, 1.0)).fit(X)


def test_default_problem_is_the_median(X):
    default = _frozen().fit(X)
    np.testing.assert_array_equal(default.decide(X), default.predict_quantiles(X, 0.5)[:, 0])


def test_frames_and_arrays_agree(X, fitted):
    names = [f"week{k}" for k in range(X.shape[1])]
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        again = clone(fitted).fit(frame)
        np.testing.assert_array_equal(again.decide(frame), fitted.decide(X))
        assert list(again.feature_names_in_) == names
        with pytest.raises(ValueError, match="feature names"):
            again.decide(frame[names[::-1]])


def test_columns_have_roles(X):
    frame = pd.DataFrame(X, columns=[f"week{k}" for k in range(5)])
    frame["sku"] = "text"
    frame["short"] = np.linspace(1, 9, len(X))
    weeks = [f"week{k}" for k in range(5)]
    problem = Newsvendor(underage="short", overage=1.0, observations=weeks)
    orders = _frozen(problem).fit(frame).decide(frame)
    table = np.column_stack([X, frame["short"]])
    by_position = Newsvendor(underage=Column(5), overage=1.0)
    np.testing.assert_array_equal(_frozen(by_position).fit(table).decide(table), orders)
    plain = _frozen().fit(X)
    for row in (0, 30, 59):
        ratio = Newsvendor(frame["short"][row], 1.0)
        assert plain.decide(X[[row]], problem=ratio)[0] == orders[row]


def test_missing_values_of_frames(X):
    holes = X.copy()
    holes[0, :2], holes[3] = np.nan, np.nan
    reference = _frozen().fit(holes).decide(holes)
    nullable = pd.DataFrame(holes).astype("Int64").set_axis(list("abcde"), axis=1)
    polar = pl.DataFrame(holes, schema=list("abcde")).fill_nan(None)
    for frame in (nullable, polar):
        again = _frozen().fit(frame).decide(frame)
        np.testing.assert_array_equal(again, reference)


def test_quantiles_distribution_and_mean_agree(X, fitted):
    law = fitted.predict_distribution(X)
    tau = [0.1, 0.5, 0.9]
    np.testing.assert_array_equal(law.quantile(np.array([tau])), fitted.predict_quantiles(X, tau))
    np.testing.assert_allclose(law.mean(), fitted.predict(X))
    order, info = fitted.decide(X, return_info=True)
    expected = 4 * law.excess(order) + (order - law.mean() + law.excess(order))
    np.testing.assert_allclose(info.expected_cost, expected)


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_orders_rise_with_the_ratio(fitted, X, ratios):
    ratios = sorted(ratios)
    orders = [fitted.decide(X, problem=Newsvendor.from_service_level(r)) for r in ratios]
    assert (np.diff(orders, axis=0) >= 0).all()


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_subset_decides_alike(fitted, X, data):
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=20))
    np.testing.assert_array_equal(fitted.decide(X[rows]), fitted.decide(X)[rows])


def test_chunks_do_not_matter(X, fitted, monkeypatch):
    at = np.arange(30)
    law = fitted.predict_distribution(X)
    monkeypatch.setattr(_network_use, "CHUNK_CELLS", 70)
    again = clone(fitted).fit(X).predict_distribution(X)
    np.testing.assert_allclose(again.cdf(at[None]), law.cdf(at[None]), rtol=1e-9)


def test_cold_rows_are_decided_from_the_context(X, fitted):
    cold = np.full((1, X.shape[1]), np.nan)
    low = clone(fitted).fit(X[X.mean(axis=1) < 8]).decide(cold)
    high = clone(fitted).fit(X[X.mean(axis=1) > 8]).decide(cold)
    assert 0 < low < high


def test_close_to_bayes_and_better_than_saa():
    problem = Newsvendor.from_service_level(0.9)
    for law in (GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)):
        cost = np.zeros(3)
        for seed in range(4):
            portfolio = law.sample(250, 3, random_state=seed)
            X = portfolio.observations
            charged = portfolio.with_costs(problem.read_costs(X))
            decisions = (
                _frozen(problem).fit(X).decide(X),
                SampleAverage(problem).fit(X).decide(X),
                problem.solve(law.predictive(portfolio), charged),
            )
            truth = law.truth(portfolio)
            cost += [problem.expected_cost(d, truth, charged).sum() for d in decisions]
        network, saa, bayes = cost
        # on a few draws chance may favour one as good as Bayes
        assert 0.995 * bayes < network < 1.05 * bayes
        assert network < saa


def test_score_is_the_saving(X, fitted):
    y = np.array([12.0] * len(X))
    y[:3] = np.nan
    cost = [
        np.nansum(Newsvendor(4.0, 1.0).cost(decider.decide(X), y))
        for decider in (fitted, SampleAverage(Newsvendor(4.0, 1.0)).fit(X))
    ]
    assert fitted.score(X, y) == pytest.approx((cost[1] - cost[0]) / cost[1])
    many = np.column_stack([y, y])
    assert fitted.score(X, many) == pytest.approx(fitted.score(X, y))
    assert SampleAverage().fit(X).score(X) == 0.0


def test_score_leaves_one_out(X, fitted):
    mine = reference = 0.0
    saa = SampleAverage(Newsvendor(4.0, 1.0)).fit(X)
    for k in range(X.shape[1]):
        evidence = X.copy()
        evidence[:, k] = np.nan
        mine += Newsvendor(4.0, 1.0).cost(fitted.decide(evidence), X[:, k]).sum()
        reference += Newsvendor(4.0, 1.0).cost(saa.decide(evidence), X[:, k]).sum()
    assert fitted.score(X) == pytest.approx((reference - mine) / reference)


@pytest.mark.parametrize(
    ("cost", "reference", "share"),
    [
        (1.0, 4.0, 0.75),
        (8.0, 4.0, -1.0),
        (16.0, 4.0, -1.5),  # of half of the cost
        (5.0, 0.0, -2.0),
        (0.0, 0.0, 0.0),
        (-3.0, -2.0, 0.5),
        (-1.0, -2.0, -0.5),
        (-5.0, 0.0, 2.0),
    ],
)
def test_saved_share_by_hand(cost, reference, share):
    for money in (1e-90, 1.0, 1e90):
        assert saved_share(cost * money, reference * money) == pytest.approx(share)


class Exceeding(SampleAverage):
    """Orders a tenth more than any observation."""

    def _predict_law(self, portfolio):
        return WeightedAtoms(1.1 * np.nanmax(portfolio.observations, axis=1)[:, None])


def test_score_where_saa_costs_nothing():
    constant = np.tile([[4.5], [2.0], [0.0], [7.0]], (3, 3))
    assert Exceeding().fit(constant).score(constant) == -2.0
    assert Exceeding().fit(0 * constant).score(0 * constant) == 0.0
    nearly = np.zeros((40, 4))
    nearly[7, 2] = 1.0
    for X in (constant, nearly):
        for estimator in (SampleAverage(), PretrainedDecisionTransformer(finetune=None)):
            estimator.set_params(problem=Newsvendor(15.0, 1.0))
            scores = cross_val_score(estimator, X, cv=4, error_score="raise")
            assert np.isfinite(scores).all()
            assert (scores >= -2).all()
        search = GridSearchCV(ParametricEmpiricalBayes(), {"family": ["normal", "lognormal"]}, cv=4)
        assert np.isfinite(search.fit(X).cv_results_["mean_test_score"]).all()


def test_y_is_no_evidence(X, fitted):
    np.testing.assert_array_equal(clone(fitted).fit(X, 100 * X[:, 0]).decide(X), fitted.decide(X))
    with pytest.raises(ValueError, match="inconsistent"):
        clone(fitted).fit(X, X[:-1, 0])
    with pytest.raises(ValueError, match="y must be at least 0"):
        clone(fitted).fit(X, -1 - X[:, 0])


def test_pickles_are_small_and_decide_alike(X, fitted, tmp_path):
    content = pickle.dumps(fitted)
    assert len(content) < 3e6
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.decide(X), fitted.decide(X))
    assert len(pickle.dumps(clone(fitted).fit(np.tile(X, (50, 1))))) < len(content) + 30_000


def test_pickle_of_a_gpu_model_loads_on_a_cpu(X, fitted, monkeypatch):
    on_gpu = pickle.loads(pickle.dumps(fitted))
    on_gpu.device_ = "cuda"
    content = pickle.dumps(on_gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    again = pickle.loads(content)
    assert again.device_ == "cpu"
    np.testing.assert_array_equal(again.decide(X), fitted.decide(X))


def test_pickle_of_another_version_warns(fitted, monkeypatch):
    from sklearn_pttf import _estimator

    monkeypatch.setattr(_estimator, "__version__", "0.0.1")
    content = pickle.dumps(fitted)
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match=r"0\.0\.1"):
        pickle.loads(content)


def test_in_pipelines_and_searches(X):
    y = X[:, 0]
    pipeline = make_pipeline(_frozen())
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=3)).all()
    problems = [Newsvendor(1.0, 1.0), Newsvendor(9.0, 1.0)]
    search = GridSearchCV(_frozen(), {"problem": problems}, cv=2, n_jobs=2)
    assert search.fit(X, y).best_params_["problem"] in problems
    nested = GridSearchCV(_frozen(Newsvendor()), {"problem__underage": [1.0, 9.0]}, cv=2)
    assert len(nested.fit(X).cv_results_["mean_test_score"]) == 2


def test_verbose_says_what_was_done(X, capsys):
    _frozen(verbose=1).fit(X)
    said = capsys.readouterr().out
    assert "60 rows with 300 observations" in said
    _frozen().fit(X)
    assert capsys.readouterr().out == ""


def test_checkpoint_by_name_path_and_object(X, fitted, tmp_path):
    loaded = Checkpoint.load("demand")
    path = loaded.save(tmp_path / "mine")
    for checkpoint in ("demand", loaded, path, str(path)):
        again = clone(fitted).set_params(checkpoint=checkpoint).fit(X)
        np.testing.assert_array_equal(again.decide(X), fitted.decide(X))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "nothing"}, "neither a shipped checkpoint"),
        ({"device": "abacus"}, "device must be"),
        ({"device": "cuda:7"}, "not there"),
        ({"problem": Newsvendor(underage="price")}, "no column names"),
        ({"problem": Newsvendor(underage=Column(5))}, "0 to 4"),
        ({"problem": Newsvendor(underage=0.0)}, "underage must be a positive"),
        ({"problem": Newsvendor(underage=float("nan"))}, "underage must be a positive"),
        ({"problem": Newsvendor(underage=1e6)}, r"in \[0.001, 0.999\]"),
    ],
)
def test_refuses(X, changes, message):
    with pytest.raises(ValueError, match=message):
        _frozen(**changes).fit(X)


def test_decide_refuses_what_is_no_problem(X, fitted):
    with pytest.raises(ValueError, match="problem must be a DecisionProblem"):
        fitted.decide(X, problem=0.9)
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        fitted.predict_quantiles(X, [0.5, 1.0])


def test_another_problem_may_not_change_roles(X, fitted):
    with pytest.raises(ValueError, match="column 0, which held observations"):
        fitted.decide(X, problem=Newsvendor(Column(0), 1.0))
    with pytest.raises(ValueError, match="other columns of observations"):
        fitted.decide(X, problem=Newsvendor(observations=[0, 1]))
    same = fitted.decide(X, problem=Newsvendor(4.0, 1.0, observations=[4, 3, 2, 1, 0]))
    np.testing.assert_array_equal(same, fitted.decide(X))


def test_the_fitted_problem_stays_as_it_was(X):
    problem = Newsvendor(4.0, 1.0)
    fitted = _frozen(problem).fit(X)
    before = fitted.decide(X)
    problem.set_params(underage=100.0)
    np.testing.assert_array_equal(fitted.decide(X), before)


def test_score_needs_an_outcome(X, fitted):
    with pytest.raises(ValueError, match="no outcome to charge"):
        fitted.score(X, np.full(len(X), np.nan))
    with pytest.raises(ValueError, match="no outcome to charge"):
        fitted.score(np.full_like(X, np.nan))


def test_broken_weights_are_refused(X):
    broken = Checkpoint.load("demand")
    broken.weights["tokens"] = np.full_like(broken.weights["tokens"], np.nan)
    with pytest.raises(ValueError, match="weights that are not finite"):
        _frozen(checkpoint=broken).fit(X)


def test_values_may_be_decided_by_a_network_of_demand():
    """Estimates are then of the next outcome, as such a network knows no law of means."""
    X = np.random.RandomState(0).gamma(2.0, 3.0, size=(20, 4))
    fitted = _frozen(Estimation(), checkpoint="demand").fit(X)
    np.testing.assert_allclose(fitted.decide(X), fitted.predict_distribution(X).mean())


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_checkpoints_have_the_names_of_their_kinds_too(kind):
    found = Checkpoint.load(kind.name)
    assert found.card == Checkpoint.load(kind.checkpoint).card
    assert NetworkConfig(**found.card["network"]).outcomes == kind.name


def test_a_problem_of_ones_own_names_its_checkpoint(X):
    class Halves(Newsvendor):
        default_checkpoint = None

    with pytest.raises(ValueError, match="no shipped checkpoint was made for Halves"):
        _frozen(Halves()).fit(X)
    _frozen(Halves(), checkpoint="demand").fit(X)


def test_digit_text_is_no_demand(X):
    frame = pd.DataFrame(X[:3]).set_axis(list("abcde"), axis=1)
    frame["sku"] = ["000123", "000456", "000789"]
    with pytest.raises(ValueError, match="column 'sku' of X holds text"):
        _frozen().fit(frame)


def test_works_without_a_network():
    """A fresh process in which every socket is refused."""
    code = """
        import socket
        class Refused(socket.socket):
            def __init__(self, *args, **kwargs):
                raise OSError("no network here")
        def refuse(*args, **kwargs):
            raise OSError("no network here")
        socket.socket = Refused
        socket.create_connection = socket.getaddrinfo = refuse
        from sklearn_pttf import PretrainedDecisionTransformer
        from sklearn_pttf.datasets import load_horse_kicks
        X = load_horse_kicks().data[:, :5]
        print(PretrainedDecisionTransformer(finetune=None).fit(X).decide(X).sum())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    X = load_horse_kicks().data[:, :5]
    assert float(done.stdout) == _frozen().fit(X).decide(X).sum()
