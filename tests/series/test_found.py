"""What a table in the order of time tells of drivers and periods, against what it was made of."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf.baselines import PooledRatio, SampleAverage, SeasonalNaive
from sklearn_pttf.problems import Newsvendor

N, M = 300, 16
SEASON = np.array([0.5, 0.0, -0.3, -0.2])
ELASTICITY = -1.5


def _table(rng, logs=0.0):
    """Counts whose logs of conditions are given; ``(N, M)``."""
    return rng.poisson(rng.gamma(3.0, 10.0, (N, 1)) * np.exp(logs + np.zeros(M))).astype(float)


@pytest.fixture(scope="module")
def shared():
    """A promotion that doubles demand, a price, and a season of four periods."""
    rng = np.random.default_rng(0)
    on = rng.integers(0, 2, (N, M + 1)).astype(float)
    price = rng.normal(1.0, 0.2, (N, M + 1))
    logs = np.tile(SEASON, M // 4) + np.log(2.0) * on[:, :M] + ELASTICITY * price[:, :M]
    always = np.full((N, M + 1), 3.0)
    X = np.hstack([_table(rng, logs), on, price, always])
    names = ("promotion", "log_price", "always")
    drivers = {name: range(M + k * (M + 1), M + (k + 1) * (M + 1)) for k, name in enumerate(names)}
    problem = Newsvendor(ordered=True, seasons=4, drivers=drivers)
    with pytest.warns(UserWarning, match="'always' never vary within a row"):
        return SampleAverage(problem).fit(X).shared_effects_


def test_effects_are_those_of_a_unit(shared):
    assert shared.drivers == ("promotion", "log_price", "always")
    assert shared.uses == ("factors", "drivers")
    away = shared.effects[:2] - [np.log(2.0), ELASTICITY]
    assert (np.abs(away) < 3 * shared.standard_errors[:2]).all()
    assert (shared.standard_errors[:2] < 0.03).all()
    assert np.isnan([shared.effects[2], shared.standard_errors[2], shared.spreads[2]]).all()
    assert shared.switches.tolist() == [True, False, False]
    assert_allclose(shared.spreads[:2], np.array([0.5, 0.2]) * np.sqrt(1 - 1 / M), rtol=0.02)


def test_factors_are_against_the_mean_of_past_periods(shared):
    assert_allclose(shared.factors, np.tile(SEASON, M // 4), atol=0.04)
    assert shared.factors.mean() == pytest.approx(0.0, abs=1e-9)
    assert_allclose(shared.coming[:8], np.tile(SEASON, 2), atol=0.06)
    assert (shared.coming_errors[:8] > shared.factor_errors.max()).all()


def test_seasons_begin_with_the_first_coming_period(shared):
    assert list(shared.seasons) == [4]
    assert_allclose(shared.seasons[4], SEASON, atol=0.04)
    assert shared.seasons[4].mean() == pytest.approx(0.0, abs=1e-9)
    assert ((shared.season_errors[4] > 0) & (shared.season_errors[4] < 0.03)).all()


def test_a_season_that_is_not_over_is_turned():
    rng = np.random.default_rng(1)
    X = _table(rng, np.tile(SEASON, M // 4))[:, : M - 1]  # the last of four comes next
    found = SampleAverage(Newsvendor(ordered=True, seasons=4)).fit(X).shared_effects_
    assert_allclose(found.seasons[4], np.roll(SEASON, 1), atol=0.04)


def test_the_more_levels_wander_the_less_is_known_of_what_is_coming():
    steps = np.random.default_rng(2).normal(size=M)
    found = [
        SampleAverage(Newsvendor(ordered=True))
        .fit(_table(np.random.default_rng(2), size * steps.cumsum()))
        .shared_effects_
        for size in (0.1, 0.3)
    ]
    ratio = found[1].coming_errors[0] / found[0].coming_errors[0]
    assert 2 < ratio < 4
    assert (np.diff(found[1].coming_errors) > 0).all()
    assert (found[1].factor_errors < 0.05).all()


def test_a_table_that_shows_nothing_says_so():
    on = np.random.default_rng(4).integers(0, 2, (N, M + 1))
    X = np.hstack([_table(np.random.default_rng(3)), on])
    problem = Newsvendor(ordered=True, drivers={"promotion": range(M, 2 * M + 1)})
    found = SampleAverage(problem).fit(X).shared_effects_
    assert found.uses == ()
    assert np.isnan(found.effects).all()
    assert np.isnan(found.factors).all()
    assert np.isnan(found.coming).all()
    assert found.seasons == {}
    assert repr(found) == "SharedOverTime(drivers=('promotion',), n_periods=16, uses=())"


def test_drivers_without_an_order_have_no_factors():
    rng = np.random.default_rng(5)
    on = rng.integers(0, 2, (N, M + 1))
    X = np.hstack([_table(rng, np.log(2.0) * on[:, :M]), on])
    found = SampleAverage(Newsvendor(drivers={"on": range(M, 2 * M + 1)})).fit(X).shared_effects_
    assert found.uses == ("drivers",)
    assert_allclose(np.exp(found.effects), 2.0, rtol=0.03)
    assert np.isnan(found.factors).all()


def test_it_is_there_only_where_what_rows_share_is_read():
    X = _table(np.random.default_rng(6))
    ordered = Newsvendor(ordered=True, seasons=4)
    for fitted in (PooledRatio().fit(X), SeasonalNaive(ordered).fit(X), SampleAverage()):
        assert not hasattr(fitted, "shared_effects_")
    once = SampleAverage(ordered).fit(X)
    assert hasattr(pickle.loads(pickle.dumps(once)), "shared_effects_")
    assert not hasattr(once.set_params(problem=None).fit(X), "shared_effects_")
