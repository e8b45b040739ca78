"""Predictions, scores and finetuning of pricing, and scikit-learn's ways."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_pttf import Column
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.finetune._data import finetune_data, make_batch
from sklearn_pttf.finetune._rounds import charge_rounds
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Pricing
from support.pricing import (
    CHECKPOINT,
    COUNTS,
    NAMES,
    PAIRS,
    PROBLEM,
    TINY_OF_PRICES,
    X,
    pricing_estimators,
)

NAN = np.nan
LEVELS = np.arange(1, 20) / 20

# ---------------------------------------------------------------- predictions


def test_demand_at_the_posted_price():
    """Of exact curves 900 / price ** 2, and 90 / price, everything is known."""
    prices = np.array([[2.0, 5.0, 4.0], [3.0, 2.0, NAN]])
    demand = np.array([900 / prices[0] ** 2, 90 / prices[1]])
    table = np.hstack([prices, demand, [[3.0], [NAN]]])
    estimator = PerRowDemandCurve(Pricing(**PAIRS, posted=Column(6))).fit(table)
    usual = np.sqrt(6.0)
    assert_allclose(estimator.predict(table), [100, 90 / usual])
    assert_allclose(estimator.predict_quantiles(table, [0.1, 0.9]), [[100] * 2, [90 / usual] * 2])
    law = estimator.predict_distribution(table, price=6.0)
    assert_allclose(law.mean(), [25, 15])
    assert_allclose(estimator.predict_distribution(table, price=[3.0, 9.0]).mean(), [100, 10])
    free = PerRowDemandCurve(Pricing(**PAIRS)).fit(table[:, :6])
    assert_allclose(free.predict(table[:, :6]), [900 / 40 ** (2 / 3), 90 / usual])


@pytest.mark.parametrize("name", NAMES)
def test_price_replaces_the_posted_one(name):
    sold = X[:-1]  # a row that was never sold is read at its posted price, so that one would matter
    table = np.column_stack([sold, np.full(len(sold), 4.0)])
    posted = pricing_estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    free = pricing_estimators(Pricing(**PAIRS))[name].fit(sold)
    asked = free.predict_distribution(sold, price=4.0).mean()
    assert_allclose(posted.predict(table), asked, rtol=1e-9)
    six = [posted.predict_distribution(table, price=p).mean() for p in (6, np.full(23, 6.0))]
    assert_array_equal(*six)
    assert_allclose(six[0], free.predict_distribution(sold, price=6.0).mean(), rtol=1e-9)
    assert not np.allclose(six[0], asked)


@pytest.mark.parametrize("name", NAMES)
def test_whole_demand_has_whole_quantiles(name):
    estimator = pricing_estimators()[name].fit(COUNTS)
    assert estimator.integer_
    found = estimator.predict_quantiles(COUNTS, LEVELS)
    assert_array_equal(found, np.rint(found))
    assert (np.diff(found, axis=1) >= 0).all()
    assert not pricing_estimators()[name].fit(X).integer_


# ---------------------------------------------------------------- scores


def _pinball(quantiles, outcomes):
    """Mean over levels from 5 to 95 %, of one outcome a row."""
    short = outcomes[:, None] - quantiles
    return np.maximum(LEVELS * short, (LEVELS - 1) * short).mean(axis=1)


def test_charge_of_a_known_demand():
    """The mean of levels is one half: half of the distance."""
    law = WeightedAtoms([[4.0], [10.0], [1.0]])
    outcomes = np.array([[6.0, 3.0], [NAN, 9.0], [NAN, NAN]])
    assert_allclose(PROBLEM.charge(law, None, outcomes), [0.75, 0.5, NAN])
    even = WeightedAtoms([[0.0, 10.0]])  # below the median 0, above it 10
    by_hand = _pinball(np.where(LEVELS > 0.5, 10.0, 0.0)[None], np.array([4.0]))
    assert_allclose(PROBLEM.charge(even, None, np.array([[4.0]])), by_hand)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("table", [X, COUNTS], ids=["amounts", "counts"])
def test_score_on_later_demand(name, table):
    rng = np.random.default_rng(1)
    table = np.column_stack([table, rng.uniform(3, 7, 24)])
    problem = Pricing(**PAIRS, posted=Column(6))
    y = np.nan_to_num(table[:, 3], nan=8.0)
    y[4] = NAN
    estimator = pricing_estimators(problem)[name].fit(table)
    reference = PerRowDemandCurve(problem).fit(table)
    own, theirs = (
        np.nansum(_pinball(each.predict_quantiles(table, LEVELS), y))
        for each in (estimator, reference)
    )
    assert estimator.score(table, y) == pytest.approx(1 - own / theirs, abs=1e-12)
    two = np.column_stack([y, np.where(np.arange(24) == 0, y, NAN)])
    assert estimator.score(table, two) == pytest.approx(1 - own / theirs, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_score_leaves_every_pair_out(name):
    """The law of what is left out is that at its own price, whatever is posted."""
    table = np.column_stack([X, np.full(24, 5.0)])
    estimator = pricing_estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    reference = PerRowDemandCurve(estimator.problem).fit(table)
    own = theirs = 0.0
    for k in range(3):
        held = table.copy()
        held[:, 3 + k] = NAN
        held[:, :3][np.isnan(held[:, 3:6])] = NAN  # else a row without pairs would be told by them
        held[:, 6] = table[:, k]
        rows = ~np.isnan(table[:, 3 + k])
        own += _pinball(estimator.predict_quantiles(held, LEVELS), table[:, 3 + k])[rows].sum()
        theirs += _pinball(reference.predict_quantiles(held, LEVELS), table[:, 3 + k])[rows].sum()
    assert estimator.score(table) == pytest.approx(1 - own / theirs, abs=1e-12)


def test_score_of_the_reference_is_zero():
    for table in (X, COUNTS):
        assert PerRowDemandCurve(PROBLEM).fit(table).score(table) == 0
    with pytest.raises(ValueError, match="there is no outcome to charge"):
        PerRowDemandCurve(PROBLEM).fit(X).score(X, np.full(24, NAN))
    with pytest.raises(ValueError, match="Negative values"):
        PerRowDemandCurve(PROBLEM).fit(X).score(X, np.full(24, -1.0))


# ---------------------------------------------------------------- finetuning


def test_finetuning_asks_at_historical_prices():
    portfolio = PROBLEM.read(X)
    data = finetune_data(TINY_OF_PRICES, PROBLEM, portfolio, None, "cpu")
    assert_array_equal(data.usable(), np.setdiff1d(np.arange(24), [5, 23]))  # have two pairs
    context = np.array([0, 3, 5, 8])
    cells = np.array([1] * 24)
    inputs, targets = make_batch(data, context, np.ones(4, dtype=bool), np.where(X[:, 0] > 0, 2, 0))
    posted = inputs["posted"][0].numpy()
    assert_allclose(posted[[0, 1, 3]], X[[0, 3, 8], 2], rtol=1e-6)
    assert_allclose(targets["outcomes"][0, [0, 1, 3], 0], X[[0, 3, 8], 5], rtol=1e-6)
    assert inputs["observations"][0, [0, 1, 3], 2].isnan().all()
    assert targets["weight"][0, 2] == 0  # nothing would be left of its evidence
    assert (targets["weight"][0, [0, 1, 3]] > 0).all()
    # later outcomes are at the posted price
    y = np.arange(1.0, 25.0)[:, None]
    posted = PROBLEM.read(X).at_price(np.linspace(3, 7, 24))
    data = finetune_data(TINY_OF_PRICES, PROBLEM, posted, y, "cpu")
    inputs, targets = make_batch(data, context, np.ones(4, dtype=bool), 0 * cells)
    assert_allclose(inputs["posted"][0], np.linspace(3, 7, 24)[context], rtol=1e-6)
    assert_allclose(targets["outcomes"][0, :, 0], context + 1.0)


def test_rounds_hold_a_pair_out():
    rounds = charge_rounds(PROBLEM.read(X), None, np.random.default_rng(0))
    for evidence, charged, *_ in rounds:
        rows = np.flatnonzero(~np.isnan(charged[:, 0]))
        assert len(rows)
        for row in rows:
            (cell,) = np.flatnonzero(X[row, 3:] == charged[row, 0])
            assert np.isnan(evidence.observations[row, cell])
            assert np.isnan(evidence.prices[row, cell])
            assert evidence.posted_prices()[row] == X[row, cell]


@pytest.mark.parametrize("later", [False, True])
def test_finetuning(later):
    rng = np.random.default_rng(0)
    y = rng.uniform(10, 50, (24, 2)) if later else None
    strategy = HeadFinetune(max_epochs=1)
    estimator = pricing_estimators(Pricing(**PAIRS), finetune=strategy)["network"].fit(X, y)
    report = estimator.finetune_report_
    assert set(report["candidate"]) == {"pretrained", "finetuned", "blend", "baseline"}
    assert np.isfinite(report["mean_cost"]).all()
    assert np.isfinite([row["train_loss"] for row in estimator.history_]).all()
    # costs are pinball losses: that of the pretrained weights, on what rows were charged on
    if later:
        plain = pricing_estimators(Pricing(**PAIRS))["network"].fit(X)
        quantiles = plain.predict_quantiles(X, LEVELS)
        loss = [_pinball(quantiles, each).mean() for each in y.T]
        assert report["mean_cost"][0] == pytest.approx(np.mean(loss), rel=1e-9)


def test_a_baseline_may_take_the_place_of_the_network():
    found = SimpleNamespace(
        chosen="baseline", baseline=PooledDemandCurve, report={}, n_iter=0.0, history=[]
    )
    estimator = pricing_estimators()["network"].fit(X)
    estimator._use(found, CHECKPOINT, PROBLEM.read(X))
    pooled = PooledDemandCurve(PROBLEM).fit(X)
    assert_allclose(estimator.decide(X), pooled.decide(X))
    assert_allclose(estimator.predict(X), pooled.predict(X))
    assert estimator.score(X) == pytest.approx(pooled.score(X))


# ---------------------------------------------------------------- scikit-learn's ways


@pytest.mark.parametrize("name", NAMES)
def test_pickles(name):
    estimator = pricing_estimators()[name].fit(X)
    again = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(again.decide(X), estimator.decide(X))
    assert_array_equal(again.predict(X), estimator.predict(X))


def test_problems_are_cloned_and_shown():
    problem = Pricing(["p"], ["q"], unit_cost="cost", bounds=("low", None), posted=Column(3))
    assert clone(problem).get_params() == problem.get_params()
    assert repr(clone(problem)) == repr(problem)
    assert problem.default_checkpoint == "prices"
    assert not problem.shares_limit
    assert repr(Pricing([0], [1])) == "Pricing(demands=[1], prices=[0])"


def test_pipelines():
    pipeline = make_decision_pipeline(PooledDemandCurve(PROBLEM)).fit(X)
    plain = PooledDemandCurve(PROBLEM).fit(X)
    assert_array_equal(pipeline.decide(X), plain.decide(X))
    _, info = pipeline.decide(X, return_info=True)
    assert info.elasticity.shape == (24,)
    mean = pipeline.predict_distribution(X, price=4.0).mean()
    assert_array_equal(mean, plain.predict_distribution(X, price=4.0).mean())
    assert pipeline.score(X) == plain.score(X)


def test_grid_search_over_finetuning():
    strategies = [None, HeadFinetune(max_epochs=1, lr=1e-3)]
    search = GridSearchCV(
        pricing_estimators()["network"], {"finetune": strategies}, cv=2, error_score="raise"
    )
    search.fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    by_hand = []
    for fold in (slice(0, 12), slice(12, 24)):
        others = np.delete(X, np.arange(24)[fold], axis=0)
        by_hand.append(pricing_estimators()["network"].fit(others).score(X[fold]))
    assert scores[0] == pytest.approx(np.mean(by_hand))
    assert search.best_estimator_.decide(X).shape == (24,)


def test_grid_search_over_problems():
    grid = {"problem__unit_cost": [0.0, 3.0]}
    search = GridSearchCV(PooledDemandCurve(PROBLEM), grid, cv=2, error_score="raise").fit(X)
    # what a unit costs does not change the law of demand
    assert len(set(search.cv_results_["mean_test_score"])) == 1
