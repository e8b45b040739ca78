"""Exposure of counts and of demand: exact gamma-Poisson Bayes, invariances, roles and refusals."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.metrics import decision_cost, prescriptiveness
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Estimation, Newsvendor, Selection

NAN = np.nan
SHAPE = 2.0
BASELINES = (SampleAverage, ParametricEmpiricalBayes, NonparametricEmpiricalBayes)


def _frozen(problem, **parameters):
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu", **parameters)


def _goals(n, kind, seed, mean=10.0):
    """Counts and exposures of n rows around gamma rates; and shape and rate after the counts."""
    rng = np.random.default_rng(seed)
    if kind == "games":
        exposure = rng.choice([20.0, 80.0], (n, 1))
    else:  # over two decades, four cells a row
        exposure = np.exp(rng.uniform(0, np.log(100), (n, 4)))
    rate = SHAPE * exposure.sum(axis=1).mean() / mean
    counts = rng.poisson(rng.gamma(SHAPE, 1 / rate, (n, 1)) * exposure)
    after = SHAPE + counts.sum(axis=1), rate + exposure.sum(axis=1)
    return counts.astype(float), exposure, after


def _table(counts, exposure):
    """One table, and how a problem is told of its exposures."""
    n = counts.shape[1]
    return np.hstack([counts, exposure]), list(range(n, n + exposure.shape[1]))


def _cost(orders, after, coming):
    """Exact expected cost of orders at 4 to 1 on the negative binomial law."""
    size, p = after[0], after[1] / (after[1] + coming)
    k = np.arange(int(orders.max()))
    reached = stats.nbinom.cdf(k, size[:, None], p[:, None])
    left_over = np.where(k < orders[:, None], reached, 0.0).sum(axis=1)
    return (5 * left_over + 4 * (size * coming / after[1] - orders)).sum()


# ---------------------------------------------------------------- against exact Bayes


@pytest.mark.parametrize(("n", "most", "most_cost"), [(500, 1.03, 1.01), (50, 1.06, 1.02)])
@pytest.mark.parametrize("kind", ["games", "decades"])
def test_near_exact_bayes(kind, n, most, most_cost):
    """Squared error of rates, weighted by exposure, and costs of orders; over five tables."""
    errors, costs = np.zeros(2), np.zeros(2)
    for seed in range(5):
        counts, exposure, after = _goals(n, kind, seed)
        X, columns = _table(counts, exposure)
        total, coming = exposure.sum(axis=1), exposure.mean(axis=1)
        rates = _frozen(Estimation(noise="poisson", exposure=columns)).fit(X).decide(X)
        chance = (total * after[0] / after[1] ** 2).sum()
        errors += [chance + (total * (rates - after[0] / after[1]) ** 2).sum(), chance]
        orders = _frozen(Newsvendor(4, 1, exposure=columns)).fit(X).decide(X)
        best = stats.nbinom.ppf(0.8, after[0], after[1] / (after[1] + coming))
        costs += [_cost(each, after, coming) for each in (orders, best)]
    assert errors[0] / errors[1] < most
    assert costs[0] / costs[1] < most_cost


@pytest.mark.parametrize("baseline", BASELINES[1:])
def test_baselines_are_near_exact_bayes(baseline):
    counts, exposure, after = _goals(500, "games", 0)
    X, columns = _table(counts, exposure)
    total, exact = exposure.sum(axis=1), after[0] / after[1]
    rates = baseline(Estimation(noise="poisson", exposure=columns)).fit(X).decide(X)
    chance = (total * after[0] / after[1] ** 2).sum()
    assert (total * (rates - exact) ** 2).sum() < 0.08 * chance
    law = baseline(Newsvendor(exposure=columns, coming_exposure=7.0)).fit(X)
    assert_allclose(law.predict(X), 7 * rates, rtol=1e-6)


# ---------------------------------------------------------------- what must not matter


def _nonparametric(problem):
    return NonparametricEmpiricalBayes(problem, n_grid=20)


@pytest.mark.parametrize("estimator", [_frozen, *BASELINES[:2], _nonparametric])
@pytest.mark.parametrize("unit", [1e-3, 30.0])
def test_the_unit_of_exposure_means_nothing(estimator, unit):
    counts, exposure, _ = _goals(40, "decades", 1)
    found = []
    for scale in (1.0, unit):
        X, columns = _table(counts, scale * exposure)
        rates = estimator(Estimation(noise="poisson", exposure=columns)).fit(X)
        orders = estimator(Newsvendor(4, 1, exposure=columns)).fit(X)
        found.append(
            [
                scale * rates.predict(X),
                orders.decide(X),
                orders.predict_quantiles(X, 0.3)[:, 0],
                np.full(40, orders.score(X)),
                np.full(40, rates.score(X)),
            ]
        )
    # a search ends, and grid points merge, by rounding
    digits = {ParametricEmpiricalBayes: 1e-6, _nonparametric: 1e-3}.get(estimator, 1e-9)
    assert_allclose(found[1], found[0], rtol=digits)


@pytest.mark.parametrize("exposure", [1.0, 4.0, "column", "cells"])
@pytest.mark.parametrize("noise", [None, "poisson"])
def test_equal_exposure_is_none(exposure, noise):
    """Estimates per unit, and laws of the next outcome, as without; also beside missing cells."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(rng.gamma(SHAPE, 2.0, (40, 1)) * np.ones(4)).astype(float)
    counts[::3, 1] = NAN
    counts[5] = NAN
    size = 1.0 if isinstance(exposure, str) else exposure
    X = np.hstack([counts, np.ones((40, 4))])
    told = {"column": Column(4), "cells": [4, 5, 6, 7]}.get(exposure, exposure)

    def fitted(exposure):
        if noise is None:
            problem = Newsvendor(9, 1, observations=[0, 1, 2, 3], exposure=exposure)
            return _frozen(problem, checkpoint="poisson").fit(X)
        return _frozen(
            Estimation(noise="poisson", observations=[0, 1, 2, 3], exposure=exposure)
        ).fit(X)

    plain, exposed = fitted(None), fitted(told)
    per_unit = size if noise == "poisson" else 1.0
    assert_allclose(exposed.decide(X) * per_unit, plain.decide(X), rtol=1e-9)
    laws = [each.predict_distribution(X) for each in (plain, exposed)]
    assert_allclose(laws[1].mean(), laws[0].mean(), rtol=1e-9)
    assert_allclose(laws[1].cdf(3.0), laws[0].cdf(3.0), rtol=1e-9)
    assert exposed.score(X) == pytest.approx(plain.score(X), rel=1e-9)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=10, deadline=None)
def test_cells_are_their_sums(seed):
    """3 in 2 and 5 in 4 are 8 in 6: exactly in rows that are decided, next to so in the fit."""
    rng = np.random.default_rng(seed)
    exposure = rng.uniform(1, 9, (30, 2))
    counts = rng.poisson(rng.gamma(2.0, 0.8, (30, 1)) * exposure).astype(float)
    counts[0], exposure[0] = [3, 5], [2, 4]
    whole = np.column_stack([counts.sum(axis=1), np.full(30, NAN)])
    sums = np.column_stack([exposure.sum(axis=1), np.full(30, NAN)])
    problem = Estimation(noise="poisson", exposure=[2, 3], coming_exposure=1.0)
    fitted = _frozen(problem).fit(np.hstack([counts, exposure]))
    rates = fitted.decide(np.hstack([counts, exposure]))
    assert_allclose(fitted.decide(np.hstack([whole, sums])), rates, rtol=1e-9)
    again = _frozen(problem).fit(np.hstack([whole, sums])).decide(np.hstack([whole, sums]))
    assert_allclose(again, rates, rtol=0.02)


def test_no_exposure_moves_the_others():
    """A row of the same rate in 1,000 times the exposure leaves the others where they were."""
    counts, exposure, _ = _goals(50, "games", 3)
    X, columns = _table(counts, exposure)
    before = _frozen(Estimation(noise="poisson", exposure=columns)).fit(X).decide(X)
    X[7] *= 1000
    after = _frozen(Estimation(noise="poisson", exposure=columns)).fit(X).decide(X)
    assert_allclose(np.delete(after, 7), np.delete(before, 7), rtol=0.05)


# ---------------------------------------------------------------- laws of the next outcome


def test_goals_of_the_next_games():
    counts, exposure, _ = _goals(60, "games", 4)
    X, columns = _table(counts, exposure)
    X = np.hstack([X, np.linspace(1, 50, 60)[:, None]])
    problem = Estimation(
        noise="poisson", exposure=columns, coming_exposure=Column(2), observations=[0]
    )
    fitted = _frozen(problem).fit(X)
    rates, law = fitted.predict(X), fitted.predict_distribution(X)
    assert_allclose(law.mean(), rates * X[:, 2], rtol=1e-9)
    assert_allclose(fitted.predict_distribution(X, of_mean=True).mean(), rates, rtol=1e-9)
    assert_allclose(fitted.predict(X, horizon=3), 3 * law.mean(), rtol=1e-9)
    # another problem has the exposures of fit, and may have another coming one
    orders = fitted.decide(X, problem=Newsvendor(4, 1))
    assert_array_equal(orders, law.quantile(0.8))
    told = Newsvendor(4, 1, exposure=columns, coming_exposure=10.0)
    of_ten = fitted.decide(X, problem=told)
    assert (of_ten[X[:, 2] > 12] <= orders[X[:, 2] > 12]).all()
    restored = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(restored.decide(X, problem=told), of_ten)
    picks = fitted.decide(X, problem=Selection(5, noise="poisson"))
    assert_array_equal(np.sort(rates[picks > 0]), np.sort(rates)[-5:])


def test_rows_without_exposure_have_the_mean_one_of_the_fit():
    X = np.array([[4.0, 2.0], [9.0, 3.0], [12.0, 7.0], [NAN, NAN]])
    fitted = _frozen(Newsvendor(exposure=[1])).fit(X)
    alone, told = fitted.predict(X[3:]), fitted.predict([[NAN, 8.0]])
    assert_allclose(fitted.predict(X)[3], alone, rtol=1e-12)
    portfolio = fitted._read(X)
    assert_array_equal(portfolio.coming, [2, 3, 7, 4])
    assert_allclose(told, alone)  # a cell without an observation tells of no exposure
    by_row = _frozen(Newsvendor(exposure=Column(1))).fit(X)
    assert_allclose(by_row.predict([[NAN, 8.0]]), 2 * by_row.predict([[NAN, 4.0]]), rtol=1e-9)
    assert_array_equal(by_row._read(X).coming, [2, 3, 7, 4])


def test_missing_cells_of_the_coming_exposure():
    X = np.array([[4.0, 2.0, 5.0], [9.0, 3.0, NAN]])
    problem = Newsvendor(exposure=[1], coming_exposure=Column(2))
    assert_array_equal(_frozen(problem).fit(X)._read(X).coming, [5, 3])


def test_continuous_demand_is_decided_as_rates():
    """Twice the exposure and twice the amounts: the same rates, and orders for the coming one."""
    rng = np.random.default_rng(5)
    amounts = rng.lognormal(2.0, 0.4, (30, 4)) * rng.lognormal(0, 0.5, (30, 1))
    exposure = rng.choice([1.0, 2.0, 4.0], (30, 4))
    plain = _frozen(Newsvendor(4, 1)).fit(amounts)
    assert plain.checkpoint_.card["name"] == "demand"
    X, columns = _table(amounts * exposure, exposure)
    told = Newsvendor(4, 1, exposure=columns, coming_exposure=3.0)
    fitted = _frozen(told).fit(X)
    assert fitted.checkpoint_.card["name"] == "demand"
    assert_allclose(fitted.decide(X), 3 * plain.decide(amounts), rtol=1e-9)
    of_mean = fitted.predict_distribution(X, of_mean=True)
    assert_allclose(of_mean.mean(), plain.predict(amounts), rtol=1e-6)
    longer = clone(told).set_params(horizon=3)
    weeks = _frozen(clone(longer).set_params(coming_exposure=1.0)).fit(X)
    assert_allclose(_frozen(longer).fit(X).predict(X, horizon=3), 3 * weeks.predict(X, horizon=3))
    for baseline in (ParametricEmpiricalBayes, NonparametricEmpiricalBayes):
        rates = baseline(Newsvendor(4, 1)).fit(amounts).decide(amounts)
        fitted = baseline(told).fit(X)
        assert fitted.family_ == "lognormal"
        assert_allclose(fitted.decide(X), 3 * rates, rtol=1e-9)
    with pytest.raises(ValueError, match="family='gamma-poisson' needs whole numbers"):
        ParametricEmpiricalBayes(told, family="gamma-poisson").fit(X)


def test_orders_of_whole_numbers_over_a_horizon():
    counts, exposure, _ = _goals(40, "decades", 6)
    X, columns = _table(counts, exposure)
    problem = Newsvendor(4, 1, exposure=columns, coming_exposure=2.0)
    fitted = _frozen(problem).fit(X)
    assert fitted.checkpoint_.card["name"] == "poisson"
    one, four = fitted.predict(X), fitted.predict(X, horizon=4)
    assert_allclose(four, 4 * one, rtol=1e-9)
    orders = fitted.decide(X, problem=clone(problem).set_params(horizon=4))
    eight = clone(problem).set_params(coming_exposure=8.0)
    assert_array_equal(orders, fitted.decide(X, problem=eight))


# ---------------------------------------------------------------- sample averages and scores


def test_sample_averages_have_own_rates():
    X = np.array([[6.0, 2.0, 3.0, 4.0], [5.0, NAN, 5.0, NAN], [NAN, NAN, NAN, NAN]])
    saa = SampleAverage(Newsvendor(1, 1, exposure=[2, 3], coming_exposure=12.0)).fit(X)
    # rates 2 and .5, which count by 3 and 4; all pooled the last row's: 13 in 12
    assert_allclose(saa.predict(X), [8 / 7 * 12, 12, 13], rtol=0.01)
    law = saa.predict_distribution(X)
    assert_allclose(law.cdf(6.0)[:2], [4 / 7, 0])
    assert_allclose(law.cdf(24.0), 1)
    rates = SampleAverage(Estimation(noise="poisson", exposure=[2, 3])).fit(X)
    assert_allclose(rates.decide(X), [8 / 7, 1, 13 / 12], rtol=0.01)


def test_between_whole_numbers_it_is_one_or_the_other():
    saa = SampleAverage(Newsvendor(1, 1, exposure=Column(1), coming_exposure=1.0))
    law = saa.fit([[5.0, 4.0], [3.0, 1.0]]).predict_distribution([[5.0, 4.0]])
    assert_allclose(law.cdf([[0.9, 1.0, 1.9, 2.0]])[0], [0, 0.75, 0.75, 1])
    assert_allclose(law.mean(), 1.25)


def test_scores_are_over_own_rates():
    """By hand: squared errors of rates by exposure, SAA's own rates beside the network's."""
    counts, exposure, _ = _goals(40, "games", 7)
    X, columns = _table(counts, exposure)
    problem = Estimation(noise="poisson", exposure=columns, coming_exposure=8.0)
    fitted = _frozen(problem).fit(X)
    y = np.random.default_rng(0).poisson(8 * fitted.predict(X)).astype(float)
    own = X[:, 0] / X[:, 1]
    mine, saa = (((each - y / 8) ** 2).sum() for each in (fitted.predict(X), own))
    assert fitted.score(X, y) == pytest.approx(1 - mine / saa, rel=1e-9)
    assert SampleAverage(problem).fit(X).score(X, y) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("horizon", [1, 2])
def test_held_out_outcomes_have_their_own_exposure(horizon):
    """Sample averages are no dearer than themselves, and the network is cheaper than these."""
    counts, exposure, _ = _goals(60, "decades", 8)
    X, columns = _table(counts, exposure)
    problem = Newsvendor(4, 1, exposure=columns, horizon=horizon)
    assert SampleAverage(problem).fit(X).score(X) == pytest.approx(0, abs=1e-12)
    assert _frozen(problem).fit(X).score(X) > 0.1


# ---------------------------------------------------------------- roles and refusals


def test_exposure_columns_hold_no_observations():
    frame = pd.DataFrame({"a": [3, 5, 0], "games": [20, 80, 20], "b": [1, 4, 2], "next": [5, 5, 9]})
    told = Newsvendor(4, 1, exposure="games", coming_exposure="next")
    assert told.observation_positions(list(frame), 4) == [0, 2]
    portfolio = told.read(frame, list(frame))
    assert_array_equal(portfolio.exposure, [[20, 20], [80, 80], [20, 20]])
    assert_array_equal(portfolio.coming, [5, 5, 9])
    cells = Estimation(noise="poisson", exposure=["games", "next"])
    assert_array_equal(cells.read(frame, list(frame)).coming, [12.5, 42.5, 14.5])
    fitted = SampleAverage(Newsvendor(observations=["a", "b"])).fit(frame)
    with pytest.raises(ValueError, match=r"^exposure stays as fitted, None"):
        fitted.decide(frame, problem=told)
    with pytest.raises(ValueError, match="plays another role"):
        SampleAverage(clone(told).set_params(observations=["a", "games"])).fit(frame)


@pytest.mark.parametrize(
    "problem",
    [
        Newsvendor(exposure=[1, 2], coming_exposure=4.0),
        Estimation(noise="poisson", exposure=Column(1)),
        Selection(3, noise="poisson", exposure="games", coming_exposure="next"),
    ],
)
def test_parameters_survive_clones(problem):
    assert clone(problem).get_params() == problem.get_params()
    assert problem.exposure is not None


@pytest.mark.parametrize("bad", [0.0, -2.0, NAN, np.inf])
def test_bad_exposures_are_refused(bad):
    X = np.array([[3.0, 2.0], [1.0, bad], [NAN, 3.0]])
    for problem in (Newsvendor(exposure=[1]), Estimation(noise="poisson", exposure=Column(1))):
        with pytest.raises(
            ValueError, match=r"exposure must be positive and finite .* row 1|infinity"
        ):
            SampleAverage(problem).fit(X)
    if not bad > 0:  # where nothing was counted an exposure may be anything
        X[1, 0] = NAN
        assert_array_equal(SampleAverage(Newsvendor(exposure=[1])).fit(X)._read(X).coming, 2)


def test_other_refusals():
    X = np.array([[3.0, 2.0], [1.0, 4.0]])
    with pytest.raises(ValueError, match=r"exposure must be positive and finite .* row 0: -1"):
        SampleAverage(Newsvendor(exposure=-1.0)).fit(X)
    with pytest.raises(ValueError, match="coming_exposure must be positive and finite"):
        SampleAverage(Newsvendor(exposure=1.0, coming_exposure=0.0)).fit(X)
    with pytest.raises(ValueError, match=r"^coming_exposure=2.0 needs exposure"):
        SampleAverage(Newsvendor(coming_exposure=2.0)).fit(X)
    with pytest.raises(ValueError, match=r"a column for each of the 1 columns .* got 2"):
        SampleAverage(Newsvendor(observations=[0], exposure=[1, 1])).fit(X)
    with pytest.raises(ValueError, match=r"^exposure=Column\(position=1\) needs noise='poisson'"):
        SampleAverage(Estimation(exposure=Column(1))).fit(X)
    with pytest.raises(ValueError, match="exposure must be a number, a column"):
        SampleAverage(Newsvendor(exposure=True)).fit(X)
    with pytest.raises(ValueError, match="a network of values cannot read exposure"):
        _frozen(Newsvendor(exposure=2.0), checkpoint="gaussian").fit(X)


@pytest.mark.parametrize("baseline", [ShrunkenSampleAverage, PooledRatio])
def test_other_baselines_say_who_reads_exposure(baseline):
    with pytest.raises(ValueError, match=r"exposure must be None for .*ParametricEmpiricalBayes"):
        baseline(Newsvendor(exposure=Column(1))).fit([[3.0, 2.0], [1.0, 4.0]])
    with pytest.raises(ValueError, match=r"exposure must be None for JamesStein"):
        JamesStein(Estimation(noise="poisson", exposure=Column(1))).fit([[3.0, 2.0], [1.0, 4.0]])
    for other in (ParametricEmpiricalBayes, NonparametricEmpiricalBayes):
        with pytest.raises(ValueError, match=r"exposure needs family=.* got family='lognormal'"):
            other(Newsvendor(exposure=2.0), family="lognormal").fit([[3.0, 2.0], [1.0, 4.0]])


def test_nothing_is_finetuned_on_exposures():
    counts, exposure, _ = _goals(30, "games", 9)
    X, columns = _table(counts, exposure)
    problem = Estimation(noise="poisson", exposure=columns)
    fitted = PretrainedDecisionTransformer(problem, device="cpu").fit(X)
    assert fitted.finetune_report_["reason"] == "finetuning does not read exposure"
    assert_array_equal(fitted.decide(X), _frozen(problem).fit(X).decide(X))


def test_unequal_exposures_are_no_drift(recwarn):
    """Counts that rise with their exposure only."""
    rng = np.random.default_rng(0)
    exposure = np.linspace(1, 8, 6) * np.ones((60, 1))
    counts = rng.poisson(3 * exposure)
    X, columns = _table(counts, exposure)
    _frozen(Newsvendor(exposure=columns)).fit(X)
    assert not [w for w in recwarn if "drift" in str(w.message)]


def test_metrics_of_orders_have_sample_averages_of_own_rates():
    """Own rates 1 and 3 a unit; SAA orders 2 and 6 for twice that, which the best does too."""
    X, y = [[2.0, 2.0], [9.0, 3.0], [4.0, 4.0]], [[2.0], [6.0], [5.0]]
    problem = Newsvendor(exposure=[1], coming_exposure=2.0)
    assert prescriptiveness(y, [2, 6, 5], problem=problem, X=X) == 1
    assert prescriptiveness(y, [2, 6, 2], problem=problem, X=X) == 0
    assert decision_cost(y, [2, 6, 2], problem=problem, X=X) == 1
    rates = Estimation(noise="poisson", exposure=[1])
    with pytest.raises(ValueError, match="give y per unit of exposure"):
        decision_cost(y, [1, 3, 1], problem=rates, X=X)
    with pytest.raises(ValueError, match="problem must have no exposure, which finetuning"):
        transfer_curve(PretrainedDecisionTransformer(problem), X, n_instances=[3])


@pytest.mark.parametrize("factor", [1e-6, 1e-3])
def test_one_tiny_exposure_moves_no_other_row(factor):
    """Twelve counts over next to nothing: a rate that no other row is judged by."""
    rng = np.random.default_rng(0)
    exposure = np.exp(rng.normal(1.0, 0.5, (50, 1)))
    X = np.hstack([rng.poisson(rng.gamma(3.0, 1.0, (50, 1)) * exposure), exposure])
    X[0, 0], changed = 12.0, X.copy()
    changed[0, 1] *= factor
    fit = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, exposure=Column(1)), finetune=None).fit
    others = [fit(table).predict(X)[1:] for table in (changed, X)]
    np.testing.assert_allclose(*others, rtol=0.05)
