"""Means of counts in the order of time: those of the coming period, at its conditions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    ExponentialSmoothing,
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    SampleAverage,
)
from sklearn_pttf.problems import Estimation, Newsvendor, Selection

N, M = 60, 6
COLUMNS = {"observations": range(M), "drivers": {"promo": range(M, 2 * M + 1)}}


@pytest.fixture(scope="module")
def promotions():
    """Rates, what a promotion made of them, and counts; every other row has one in the end."""
    rng = np.random.default_rng(0)
    on = (rng.random((N, M + 1)) < 0.4).astype(float)
    on[:, M] = np.arange(N) % 2
    rates = rng.gamma(3, 8, N)
    counts = rng.poisson(rates[:, None] * 3.0 ** on[:, :M])
    return rates, rates * 3.0 ** on[:, M], np.hstack([counts, on])


def _of(kind):
    if kind is PretrainedDecisionTransformer:
        return lambda problem: kind(problem, finetune=None, device="cpu")
    return kind


@pytest.mark.parametrize(
    "kind", [PretrainedDecisionTransformer, ParametricEmpiricalBayes, NonparametricEmpiricalBayes]
)
@pytest.mark.parametrize("noise", ["poisson", None])
def test_means_are_those_of_the_coming_period(promotions, kind, noise):
    _, coming, X = promotions
    fitted = _of(kind)(Estimation(noise=noise, ordered=True, **COLUMNS)).fit(X)
    means, info = fitted.decide(X, return_info=True)
    assert_allclose(means, fitted.predict(X), rtol=1e-9)
    assert_allclose(means[1::2].sum() / coming[1::2].sum(), 1.0, rtol=0.05)
    assert_allclose(means[::2].sum() / coming[::2].sum(), 1.0, rtol=0.05)
    if kind is NonparametricEmpiricalBayes:  # of sixty rows its levels are too few for intervals
        return
    assert ((info.lower < coming) & (coming < info.upper)).mean() > 0.8
    assert_allclose(np.sqrt(info.expected_cost) * 3.29 / (info.upper - info.lower), 1, rtol=0.2)


def test_a_table_without_an_order_has_the_means_that_it_had():
    counts = np.random.default_rng(1).poisson(9.0, (N, M))
    told = ParametricEmpiricalBayes(Estimation(noise="poisson", ordered=True)).fit(counts)
    plain = ParametricEmpiricalBayes(Estimation(noise="poisson")).fit(counts)
    assert_array_equal(told.decide(counts), plain.decide(counts))


def test_what_is_shared_is_part_of_the_doubt():
    """A thousand rows know their common level as of now, and not what shock comes next."""
    rng = np.random.default_rng(2)
    factors = np.exp(rng.normal(0, 0.3, M))
    counts = rng.poisson(rng.gamma(50, 20, (1000, 1)) * factors)
    fitted = SampleAverage(Estimation(noise="poisson", ordered=True)).fit(counts)
    means, info = fitted.decide(counts, return_info=True)
    assert (info.upper - info.lower > 0.3 * means).all()


def test_rates_per_unit_of_exposure(promotions):
    """Counts over twice as many days: the same rates a day, and as much a period."""
    _, coming, X = promotions
    days = np.where(np.arange(N) % 3, 1.0, 2.0)
    X = np.column_stack([X, days])
    X[:, :M] = np.random.default_rng(3).poisson(X[:, :M] * days[:, None])
    problem = Estimation(noise="poisson", exposure=2 * M + 1, ordered=True, **COLUMNS)
    with pytest.raises(ValueError, match="exposure must be positive"):
        ParametricEmpiricalBayes(problem.set_params(exposure=[2 * M] * M)).fit(X)
    problem = problem.set_params(exposure=[2 * M + 1] * M)
    fitted = ParametricEmpiricalBayes(problem).fit(X)
    assert_allclose(fitted.decide(X).sum() / coming.sum(), 1.0, rtol=0.1)
    total = fitted.predict_distribution(X).mean()
    assert_allclose(total.sum() / (coming * days).sum(), 1.0, rtol=0.1)


def test_the_best_of_the_coming_period_are_picked(promotions):
    rates, coming, X = promotions
    problem = Selection(15.0, noise="poisson", ordered=True, **COLUMNS)
    picks = ParametricEmpiricalBayes(problem).fit(X).decide(X)
    assert picks.sum() == 15
    best, usual = (np.sort(values)[-15:].sum() for values in (coming, rates))
    assert (picks * coming).sum() > 0.97 * best
    plain = Selection(15.0, noise="poisson", observations=range(M))
    ignorant = ParametricEmpiricalBayes(plain).fit(X).decide(X)
    assert (ignorant * coming).sum() < 0.9 * best
    assert (ignorant * rates).sum() > 0.8 * usual


def test_scores_roll_the_origin():
    rng = np.random.default_rng(4)
    counts = rng.poisson(rng.gamma(3, 8, (N, 1)) * np.exp(np.linspace(-0.8, 0.8, 8)))
    scores = [
        ParametricEmpiricalBayes(Estimation(noise="poisson", ordered=ordered))
        .fit(counts)
        .score(counts)
        for ordered in (True, False)
    ]
    assert scores[0] > 0.3 > scores[1]


def test_a_fit_of_orders_tells_means_too(promotions):
    X = promotions[2]
    fitted = ParametricEmpiricalBayes(Newsvendor(4.0, 1.0, ordered=True, **COLUMNS)).fit(X)
    means = fitted.decide(X, problem=Estimation())
    assert_allclose(means, fitted.predict(X), rtol=1e-6)
    back = ParametricEmpiricalBayes(Estimation(noise="poisson", ordered=True, **COLUMNS)).fit(X)
    other = Newsvendor(4.0, 1.0)
    assert_array_equal(back.decide(X, problem=other), fitted.decide(X, problem=other))


def test_baselines_in_time_estimate_what_they_forecast():
    counts = np.random.default_rng(5).poisson(np.repeat([5.0, 10.0], 4), (N, 8))
    fitted = ExponentialSmoothing(Estimation(ordered=True)).fit(counts)
    assert_allclose(fitted.decide(counts), fitted.predict(counts), rtol=1e-9)
    assert_allclose(fitted.decide(counts).mean(), 10.0, rtol=0.1)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Estimation(ordered=True), "for demand and counts; got .* of values of any sign"),
        (Estimation(ordered=True, standard_errors=1.0), "for demand and counts; got .* of values"),
        (Estimation(ordered=True, noise="binomial"), "for demand and counts; got Estimation"),
        (Selection(2.0, ordered=True), "for demand and counts; got .* of values of any sign"),
        (Estimation(seasons=7), "seasons need ordered=True"),
    ],
)
def test_refused(problem, message):
    with pytest.raises(ValueError, match=message):
        SampleAverage(problem).fit([[1.5, -2.0], [3.0, 1.0]])
    with pytest.raises(ValueError, match="ordered must be False for JamesStein"):
        JamesStein(Estimation(ordered=True)).fit([[1.0, 2.0], [3.0, 1.0]])
