"""Finetuning in the order of time: the origin is rolled, and nothing of a later period is seen."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Checkpoint, Portfolio, PretrainedDecisionTransformer, _estimator
from sklearn_pttf._network import labelled
from sklearn_pttf._series.conditions import Look
from sklearn_pttf._series.rolling import continued
from sklearn_pttf.baselines import (
    ExponentialSmoothing,
    LagBoosting,
    NegativeBinomialSmoothing,
    ParametricEmpiricalBayes,
    SeasonalNaive,
)
from sklearn_pttf.finetune import FullFinetune, _in_time
from sklearn_pttf.finetune._choice import cheapest_before, choose, not_tried
from sklearn_pttf.finetune._origins import (
    History,
    data_in_time,
    periods_to_charge,
    periods_to_learn,
)
from sklearn_pttf.finetune._rivals import IN_TIME, fitted_baseline, rivals_in_time
from sklearn_pttf.problems import Newsvendor
from support.networks import TINY, fresh_checkpoint

NAN = np.nan
N, M = 30, 9
ONCE = FullFinetune(max_epochs=1)
PROBLEM = Newsvendor(9.0, 1.0, ordered=True)


def _portfolio(observations, **more):
    costs = {"underage": np.full(len(observations), 9.0), "overage": np.ones(len(observations))}
    return Portfolio(observations, costs, ordered=True, **more)


def _sold(shock=0.3, n_rows=N, noise=0.5, n_periods=M):
    """Amounts with a common shock a period."""
    rng = np.random.default_rng(0)
    level = rng.gamma(2.0, 10.0, (n_rows, 1)) * np.exp(shock * rng.normal(size=n_periods))
    return level * rng.lognormal(0.0, noise, (n_rows, n_periods))


def _driven():
    """Whole amounts with a promotion, and the roles of its columns."""
    on = (np.random.default_rng(0).random((N, M + 1)) < 0.3).astype(float)
    X = np.hstack([np.round(_sold() * 2.0 ** on[:, :M]), on])
    return X, {"observations": range(M), "drivers": {"promotion": range(M, 2 * M + 1)}}


def _fitted(X, y=None, problem=PROBLEM, finetune=ONCE, **parameters):
    parameters = {"checkpoint": fresh_checkpoint(), "random_state": 0, **parameters}
    return PretrainedDecisionTransformer(
        problem, finetune=finetune, device="cpu", **parameters
    ).fit(X, y)


def _choosing(monkeypatch, name):
    """Let the guard choose a candidate by name; the costs that it was given."""
    seen, choose = {}, _in_time.choose

    def chosen(costs, *args, **more):
        seen.update(costs)
        _, report = choose(costs, *args, **more)
        return name, {**report, "chosen": report["candidate"] == name}

    monkeypatch.setattr(_in_time, "choose", chosen)
    return seen


# ---- what is charged, and what is learned from


def test_the_newest_periods_are_charged():
    assert list(periods_to_charge(8)) == [4, 5, 6, 7]
    assert list(periods_to_charge(7)) == [4, 5, 6]
    assert list(periods_to_charge(52)) == list(range(44, 52))
    assert list(periods_to_learn(8)) == list(range(2, 8))
    assert list(periods_to_learn(52)) == list(range(32, 52))


def _history(observations):
    return History(_portfolio(observations), Look())


def test_nothing_of_a_later_period_is_in_rounds_and_lessons():
    before, after = _sold(), _sold()
    after[:, -1] = 1000 * np.arange(N)
    for period in (2, M - 2):
        for left, right in zip(
            _history(before).lesson(period), _history(after).lesson(period), strict=True
        ):
            left, right = (getattr(x, "observations", x) for x in (left, right))
            assert_array_equal(left, right)
    left, right = (_history(x).round(M - 1) for x in (before, after))
    assert_array_equal(left.evidence.exposure, right.evidence.exposure)
    assert_array_equal(left.evidence.observations, before[:, :-1])
    assert_array_equal(right.charged, after[:, -1:])
    assert_array_equal(left.periods, M - 1)


def test_lessons_are_at_conditions_that_were():
    """A period that sold four times as much is foretold as usual, and learned as it was."""
    X = _sold(shock=0.0, n_rows=400, noise=0.2)
    X[:, -1] *= 4
    history = _history(X)
    evidence, outcomes = history.lesson(M - 1)
    assert evidence.doubt is None
    ratio = outcomes[:, 0] / evidence.coming_exposure()
    usual = np.nansum(evidence.observations, axis=1) / evidence.exposure.sum(axis=1)
    assert_allclose(np.median(ratio / usual), 1.0, atol=0.1)
    forecast = history.round(M - 1).evidence
    assert forecast.coming_exposure().max() < 1.5
    (part,) = data_in_time(TINY, PROBLEM, history, [M - 1], "cpu").parts
    assert_allclose(part.outcomes[:, 0], ratio)
    assert_allclose(part.evidence.observations[:, -1], X[:, -2] / evidence.exposure[:, -1])
    assert not part.integer


def _of_two_kinds(n_rows=80, growth=1.0):
    """Counts of rows that sell 40 or 4 at first, each its kind's mean, and what they are."""
    kinds = np.array(["large", "small"] * (n_rows // 2), dtype=object)
    means = np.where(kinds == "large", 40.0, 4.0)[:, None]
    means = means * growth ** np.arange(M)
    return np.random.default_rng(0).poisson(means).astype(float), kinds


def test_candidates_know_what_attributes_told_before():
    X, kinds = _of_two_kinds()
    X[:, -1] *= np.where(kinds == "large", 9, 0)
    history = History(_portfolio(X, attributes={"kind": kinds}), Look())
    for evidence in (history.round(M - 1).evidence, history.lesson(M - 1)[0]):
        offset = [np.unique(evidence.offset[kinds == kind]) for kind in ("large", "small")]
        assert_allclose(offset[0] - offset[1], np.log(10), atol=0.05)
    # the newest period says more, once it is known
    later = history.at_levels(history.before(M), M)
    assert np.ptp(later.offset) > np.log(10) + 0.5
    plain = History(_portfolio(X), Look())
    assert plain.round(M - 1).evidence.offset is None
    assert plain.lesson(M - 1)[0].offset is None


@pytest.mark.filterwarnings("ignore")
def test_tables_with_attributes_are_charged_as_they_are_decided(monkeypatch):
    X, kinds = _of_two_kinds(growth=1.1)
    weeks = [f"w{k}" for k in range(M)]
    frame = pd.DataFrame(X, columns=weeks).assign(kind=kinds)

    def newsvendor(n_periods, ordered, attributes=("kind",)):
        told = {"observations": weeks[:n_periods], "attributes": attributes and [*attributes]}
        return Newsvendor(9.0, 1.0, ordered=ordered, **told)

    def rolled(*roles):
        problem, past = newsvendor(M - 1, *roles), frame[[*weeks[:-1], "kind"]]
        order = _fitted(past, problem=problem, checkpoint="auto", finetune=None).decide(past)
        return problem.cost(order, X[:, -1])

    monkeypatch.setattr(labelled, "CONVINCING", np.inf)  # candidates are compared beside all rows
    seen = _choosing(monkeypatch, "pretrained")
    monkeypatch.setattr(_in_time, "_strategy", lambda task, charging: None)  # nothing is trained
    _fitted(frame, problem=newsvendor(M, True), finetune="auto", checkpoint="auto")
    assert list(seen) == ["pretrained", "exchangeable"]
    assert_allclose(seen["pretrained"][:, -1], rolled(True))
    found = seen["exchangeable"][:, -1]
    with_kinds, without = rolled(False), rolled(False, None)
    assert (found == with_kinds).mean() > 0.9 > 0.6 > (without == with_kinds).mean()


def test_rows_are_charged_once_they_are_known():
    X = _sold()
    X[0, :-1] = NAN
    X[1, -1] = NAN
    charged = _history(X).round(M - 1).charged
    assert np.isnan(charged[:2, 0]).all()
    assert_array_equal(charged[2:, 0], X[2:, -1])


def test_lessons_of_all_periods_have_one_width():
    data = data_in_time(TINY, PROBLEM, _history(_sold()), range(4, M), "cpu")
    assert {part.evidence.observations.shape for part in data.parts} == {(N, M - 1)}
    assert np.isnan(data.parts[0].evidence.observations[:, : M - 1 - 4]).all()
    earlier = data.before(7)
    assert earlier.periods == (4, 5, 6)
    inputs, targets = earlier.batch(np.arange(5), np.ones(5, dtype=bool), 1)
    assert_allclose(targets["outcomes"][0, :, 0], earlier.parts[1].outcomes[:5, 0], rtol=1e-6)
    assert inputs["whole"].item() == 0.0


def test_the_baseline_is_the_one_that_was_cheapest_before():
    costs = np.array([[[1.0, 9.0, 1.0]] * 2, [[2.0, 3.0, 4.0]] * 2])
    found, best = cheapest_before(costs)
    assert_array_equal(found, [[1.0, 9.0, 4.0]] * 2)
    assert best == 1


def test_candidates_need_two_errors_over_periods():
    """A gain of 1 by period, up and down by 1.7: an error of .64, so that it is 1.6 of these."""
    gain = np.tile([2.7, -0.7], (100, 4))
    periods = np.broadcast_to(np.arange(8), gain.shape)

    def chosen(name, times):
        costs = {"pretrained": 9.0 + 0 * gain, name: 9.0 - times * gain - 3 * (times - 1)}
        return choose(costs, np.arange(100), periods=periods, shared=True)[0]

    for name in ("finetuned", "blend", "baseline", "exchangeable"):
        assert chosen(name, 1) == "pretrained"
        assert chosen(name, 2) == name  # 5, of an error of 1.28


# ---- the guard


@pytest.mark.filterwarnings("ignore")
def test_no_candidate_sees_a_later_period(monkeypatch):
    X, roles = _driven()
    X[:, :M] *= 0.7
    later = X.copy()
    later[:, M - 1] = 10 * X[::-1, M - 1] + 7
    problem, costs = Newsvendor(9.0, 1.0, ordered=True, **roles), []
    for table in (X, later):
        costs.append(_choosing(monkeypatch, "pretrained"))
        monkeypatch.setattr(_in_time, "rivals_in_time", lambda _: IN_TIME)
        fitted = _fitted(table, problem=problem)
        monkeypatch.undo()
    assert list(costs[0]) == ["pretrained", "finetuned", "blend", "exchangeable", "baseline"]
    for name, table in costs[0].items():
        assert_array_equal(table[:, :-1], costs[1][name][:, :-1])
        assert (table[:, -1] != costs[1][name][:, -1]).any()
    report = fitted.finetune_report_
    assert (report["first_origin"], report["last_origin"]) == (5, M - 1)
    assert {len(v) for v in report.values() if np.ndim(v)} == {5}  # candidates, as a table shows


def _too_narrow():
    """A network whose laws are far too narrow, which no recalibration mends."""
    network = fresh_checkpoint().build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[network.head.place_of("stretch")] -= 1.5
    return Checkpoint.from_network(network, {"name": "too narrow"})


def test_what_helps_in_every_period_is_chosen():
    fitted = _fitted(
        _sold(shock=0.05, n_rows=100, n_periods=12),
        checkpoint=_too_narrow(),
        finetune=FullFinetune(lr=1e-2, max_epochs=10, baselines=False),
    )
    report = fitted.finetune_report_
    assert report["candidate"][report["chosen"]] == "finetuned"
    assert report["n_periods"] == 6
    assert "baseline" not in report
    assert "periods it had not seen" in _in_time.Finetuning("finetuned", report).summary()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [ExponentialSmoothing, ParametricEmpiricalBayes])
def test_a_baseline_that_is_chosen_decides(monkeypatch, kind):
    X, roles = _driven()
    problem = Newsvendor(9.0, 1.0, ordered=True, **roles)
    _choosing(monkeypatch, "baseline")
    monkeypatch.setattr(_in_time, "_costs_without_order", lambda task, charging: np.ones((N, 4)))
    monkeypatch.setattr(_in_time, "rivals_in_time", lambda table: [kind])
    fitted, own = _fitted(X, problem=problem), kind(problem).fit(X)
    assert fitted.finetune_report_["baseline"] == kind.__name__
    found = pickle.loads(pickle.dumps(fitted)).predict_quantiles(X, [0.3, 0.9], horizon=2)
    assert_allclose(found, own.predict_quantiles(X, [0.3, 0.9], horizon=2), rtol=1e-9)
    assert_allclose(fitted.decide(X), own.decide(X), rtol=1e-9)
    assert fitted.score(X) == pytest.approx(own.score(X))


def test_boosting_reads_drivers_of_a_portfolio():
    X, roles = _driven()
    own = LagBoosting(Newsvendor(9.0, 1.0, ordered=True, **roles)).fit(X)
    portfolio = own._read_as_it_is(X)
    found = fitted_baseline(LagBoosting, portfolio)
    assert_allclose(found._predict_law(portfolio).mean(), own.predict(X))


def test_the_law_without_an_order_decides(monkeypatch):
    X = _sold()
    _choosing(monkeypatch, "exchangeable")
    fitted = pickle.loads(pickle.dumps(_fitted(X)))
    plain = _fitted(X, problem=Newsvendor(9.0, 1.0), finetune=None)
    assert_array_equal(fitted.decide(X), plain.decide(X))
    found = fitted.predict_quantiles(X, 0.9, horizon=3)
    assert_array_equal(found, plain.predict_quantiles(X, 0.9, horizon=3))
    assert fitted.finetune_improved_


def test_weights_without_an_order_are_those_that_such_a_table_has():
    X = np.round(_sold())
    counts = _fitted(X, checkpoint="counts", finetune=None).checkpoint_
    for given, expected in (("auto", "demand"), ("counts", "poisson")):
        pdt = _fitted(X, checkpoint=given, finetune=None)
        pdt.checkpoint_ = counts  # as at conditions where noise is that of Poisson counts
        assert pdt._without_order().card["name"] == expected


def test_baselines_of_a_table():
    smoothing = [ExponentialSmoothing, NegativeBinomialSmoothing, SeasonalNaive]
    counts, drivers = _portfolio(np.round(_sold())), np.zeros((N, M, 1))
    assert rivals_in_time(counts) == [*smoothing, ParametricEmpiricalBayes]
    assert rivals_in_time(_portfolio(_sold())) == smoothing
    driven = replace(counts, drivers=drivers, planned=drivers[:, :1])
    assert rivals_in_time(driven) == [*smoothing, LagBoosting, ParametricEmpiricalBayes]
    large = driven.take(np.zeros(60_000 // M + 1, dtype=int))
    assert LagBoosting not in rivals_in_time(large)
    assert rivals_in_time(replace(driven, ordered=False)) == [ParametricEmpiricalBayes]


def test_baselines_read_seasons():
    portfolio = Portfolio(np.tile([1.0, 3.0], (20, 4)), ordered=True, seasons=(2,))
    assert fitted_baseline(SeasonalNaive, portfolio).seasons_ == (2,)


def test_few_periods_and_few_rows_are_not_tried():
    assert "7 periods are too few" in _fitted(_sold()[:, :7]).finetune_report_["reason"]
    assert "11 rows to charge" in _fitted(_sold()[:11]).finetune_report_["reason"]


@pytest.mark.filterwarnings("ignore")
def test_drivers_without_an_order_are_rolled_too():
    X, roles = _driven()
    X[:, :M] *= 0.7
    problem, quick = Newsvendor(9.0, 1.0, **roles), FullFinetune(max_epochs=1, baselines=False)
    report = _fitted(X, problem=problem, finetune=quick).finetune_report_
    assert (report["first_origin"], report["last_origin"]) == (5, M - 1)


def test_counts_are_compared_without_training():
    report = _fitted(np.round(_sold()), checkpoint="counts").finetune_report_
    assert "counted over" in report["not_trained"]
    assert list(report["candidate"]) == ["pretrained", "exchangeable", "baseline"]


# ---- later outcomes


def test_later_outcomes_are_further_periods(monkeypatch):
    X, tasks = _sold(), []

    def seen(task):
        tasks.append(task)
        return not_tried("seen")

    monkeypatch.setattr(_estimator, "finetune_in_time", seen)
    fitted = _fitted(X[:, :7], X[:, 7:])
    assert_array_equal(tasks[0].portfolio.observations, X)
    assert tasks[0].outcomes is None
    plain = _fitted(X[:, :7], finetune=None)
    assert_array_equal(fitted.decide(X[:, :7]), plain.decide(X[:, :7]))


def test_drivers_of_later_outcomes_are_those_planned():
    planned = np.full((3, 2, 1), 5.0)
    table = Portfolio(np.ones((3, 4)), ordered=True, drivers=np.zeros((3, 4, 1)), planned=planned)
    assert_array_equal(continued(table, np.ones((3, 2))).drivers[0, :, 0], [0, 0, 0, 0, 5, 5])
    with pytest.warns(UserWarning, match="y has 3 periods, and drivers are planned for 2"):
        longer = continued(table, np.ones((3, 3)))
    assert_array_equal(longer.drivers[0, 4:, 0], [5, 5, NAN])
    assert np.isnan(longer.before(6, 1).planned).all()
