"""Seasons that all rows share, of smoothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf.baselines import ExponentialSmoothing, NegativeBinomialSmoothing
from sklearn_pttf.baselines._seasons import (
    Seasons,
    find_seasonal_smoothing,
    period_factors,
    shared_seasons,
)
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor

nan = np.nan
SMOOTHING = [ExponentialSmoothing, NegativeBinomialSmoothing]
each_smoothing = pytest.mark.parametrize("estimator", SMOOTHING)
WEEK = np.array([0.5, 0.7, 0.8, 0.9, 1.1, 1.4, 1.6])  # mean 1


def seasonal_counts(n_rows, n_periods, season, seed=0):
    """Poisson counts of levels around 20, times a season; and their means one period more."""
    rng = np.random.RandomState(seed)
    means = rng.gamma(4, 5, (n_rows, 1)) * np.resize(season, n_periods + 1)
    return rng.poisson(means[:, :-1]).astype(float), means


def test_period_factors_are_those_of_a_product():
    factors = np.array([1.0, 3.0, 2.0, 0.0, 4.0])  # mean 2
    x = np.array([[2.0], [6.0], [10.0]]) * factors
    assert_allclose(period_factors(x, 5.0), factors / 2)
    x[0, 1], x[2, 4] = nan, nan
    assert_allclose(period_factors(x, 5.0) / period_factors(x, 5.0)[0], factors, rtol=0.05)
    x[:, 2] = nan
    assert np.isnan(period_factors(x, 5.0)[2])


def test_phases_by_hand():
    """Factors over the mean of one season around them, which is 2 everywhere."""
    found = shared_seasons(np.array([1.0, 2.0, 3.0, 1.0, 2.0]), (3,), 3, 0.0)
    assert_allclose(found.phases[0], [0.5, 1.0, 1.5])
    assert_allclose(found.before, [1, 1, 1, 0.5, 1])  # nothing is known of the first season
    assert_allclose(found.own, [0.5, 1, 1.5, 0.5, 1])
    assert found.coming(np.ones((2, 5))) == pytest.approx(1.5)
    assert found.coming(np.ones((2, 6))) == pytest.approx(0.5)
    # one season without any change: (1 + 2) / (2 + 2) of a phase seen once, (2 + 2) / (4 + 2) twice
    doubted = shared_seasons(np.array([1.0, 2.0, 3.0, 1.0, 2.0]), (3,), 3, 1.0)
    assert_allclose(doubted.phases[0], [(2 + 2) / (4 + 2), 1.0, (3 + 2) / (2 + 2)])


def test_seasons_stay_where_the_level_moves():
    """The mean of one season around a period moves with the level."""
    factors = np.resize(WEEK, 28) * 1.02 ** np.arange(28)
    found = shared_seasons(factors, (7,), 7, 0.0).phases[0]
    assert_allclose(found / found.mean(), WEEK, rtol=0.03)


def test_a_longer_season_is_of_what_the_shorter_left():
    short, long = np.array([0.5, 1.5]), np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    factors = np.resize(short, 36) * np.resize(long, 36)
    found = shared_seasons(factors, (2, 6), 6, 0.0)
    ahead = np.array([found.coming(np.ones((1, n))) for n in range(36, 42)])
    assert_allclose(ahead / ahead.mean(), np.resize(short, 6) * long / 1.5, rtol=0.1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=9, max_size=20), st.integers(5, 8), st.floats(0.1, 9))
def test_nothing_later_is_seen(factors, period, other):
    factors = np.array(factors)
    changed = factors.copy()
    changed[period:] = other
    before, after = (shared_seasons(x, (2, 4), 4, 0.3) for x in (factors, changed))
    assert_allclose(before.before[: period + 1], after.before[: period + 1])
    assert_allclose(before.own[:period], after.own[:period])


@pytest.mark.parametrize("seasons", [7, (7, 364), "auto"])
def test_seasons_are_used(seasons):
    X, _ = seasonal_counts(100, 30, WEEK)
    fitted = ExponentialSmoothing(Newsvendor(ordered=True, seasons=seasons)).fit(X)
    assert fitted.seasons_ == (7,)


@each_smoothing
def test_forecasts_follow_the_season(estimator):
    X, means = seasonal_counts(200, 40, WEEK)
    fitted = estimator(Newsvendor(ordered=True, seasons=7)).fit(X)
    ratio = fitted.predict(X).sum() / means[:, -1].sum()
    assert ratio == pytest.approx(1, abs=0.04)
    totals = np.array([fitted.predict(X, horizon=h).sum() for h in range(1, 8)])
    expected = means[:, :7].sum(axis=0)[(40 + np.arange(7)) % 7]
    assert_allclose(np.diff(totals, prepend=0), expected, rtol=0.06)


@each_smoothing
def test_costs_little_more_than_knowing_means(estimator):
    X, means = seasonal_counts(300, 20, WEEK)
    y = np.random.RandomState(1).poisson(means[:, -1:], (300, 400))
    problem = Newsvendor.from_service_level(0.9, ordered=True, seasons=7)

    def cost(orders):
        return decision_cost(y, orders, problem=problem)

    known = cost(stats.poisson.ppf(0.9, means[:, -1]))
    assert cost(estimator(problem).fit(X).decide(X)) < 1.08 * known
    plain = problem.set_params(seasons=None)
    assert cost(estimator(plain).fit(X).decide(X)) > 1.3 * known


@each_smoothing
@pytest.mark.parametrize("seasons", [7, 52, "auto"])
def test_seasons_that_are_none_change_nothing(estimator, seasons):
    X = np.random.RandomState(2).poisson(np.linspace(5, 40, 60)[:, None], (60, 20)).astype(float)
    plain = estimator(Newsvendor(4.0, 1.0, ordered=True)).fit(X)
    fitted = estimator(Newsvendor(4.0, 1.0, ordered=True, seasons=seasons)).fit(X)
    assert fitted.seasons_ == ()
    assert_array_equal(fitted.decide(X), plain.decide(X))


@each_smoothing
def test_closed_days(estimator):
    """Nobody sells anything on the last day of a week."""
    season = np.array([1.0, 1, 1, 1, 1, 1, 0])
    for n_periods in (27, 28):
        X, means = seasonal_counts(50, n_periods, season)
        fitted = estimator(Newsvendor(ordered=True, seasons=7)).fit(X)
        orders = fitted.decide(X)
        closed = means[0, -1] == 0
        assert (orders.max() == 0) if closed else (orders.min() > 0)


def test_missing_cells():
    X, means = seasonal_counts(200, 30, WEEK)
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = nan
    X[:, 11] = nan
    seasons, alpha, pull = find_seasonal_smoothing(X, 20.0, (7,))
    assert seasons.lengths == (7,)
    found = seasons.last_levels(X, alpha).mean(pull, 20.0) * seasons.coming(X)
    assert found.sum() == pytest.approx(means[:, -1].sum(), rel=0.06)


def test_own_phases_by_hand():
    """A row's mean in a phase over its mean, averaged with one period of 1."""
    seasons = replace(Seasons.none(5), own_length=2, own_doubt=1.0)
    x = np.array([[4.0, 0.0, 4.0, 0.0, nan], [0.0, 0.0, 0.0, 0.0, 0.0]])
    cells = np.nonzero(np.ones((1, 5)))
    # means before: none, 4, 2, 8/3, 2
    expected = [1, 1, (4 / 2 + 1) / 2, (0 + 1) / 2, (8 / 2 + 1) / 3]
    assert_allclose(seasons.past_factors(x, cells), expected)
    assert_allclose(seasons.coming(x), [(0 + 1) / 3, 1])


@each_smoothing
def test_rows_that_differ_in_season_have_their_own(estimator):
    """Half of all shops are closed on the last day, whichever day it is."""
    season = np.ones((60, 7))
    season[:30, 6] = 0.0
    for n_periods in (27, 34, 35):
        means = 20 * np.resize(np.tile(season, 6), (60, 42))[:, : n_periods + 1]
        X = np.random.RandomState(0).poisson(means[:, :-1]).astype(float)
        fitted = estimator(Newsvendor(ordered=True, seasons=7)).fit(X)
        assert fitted.seasons_ == (7,)
        found = fitted.predict(X)
        closed = means[:, -1] == 0
        assert found[~closed].mean() == pytest.approx(20, rel=0.1)
        assert found[closed].max(initial=0) < 4
