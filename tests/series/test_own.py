"""Rows whose effects and seasons differ from the common ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._series.conditions import Conditions
from sklearn_pttf._series.own import OwnEffects, own_effects
from sklearn_pttf._series.shared import Dispersion
from sklearn_pttf.problems import Newsvendor

POISSON = Dispersion(1.0, 0.0)


def _shops(n_periods, n_rows=60, seed=0):
    """Poisson counts around 20 of shops, half of which are closed on the last day of a week."""
    open_ = np.ones((n_rows, 7))
    open_[: n_rows // 2, 6] = 0.0
    means = 20 * open_[:, np.arange(n_periods + 1) % 7]
    return np.random.RandomState(seed).poisson(means[:, :-1]).astype(float), means[:, -1]


def _promoted(deviation, n_rows=400, n_periods=12, seed=0):
    """Counts around 50, of rows whose driver adds a half to demand, more or less."""
    rng = np.random.default_rng(seed)
    driver = rng.integers(0, 2, (n_rows, n_periods)).astype(float)
    driver -= driver.mean(axis=1, keepdims=True)
    own = deviation * rng.normal(size=(n_rows, 1))
    mean = 50 * (1 + 0.5 * driver) * (1 + own * driver)
    return rng.poisson(mean).astype(float), 1 + 0.5 * driver, driver[..., None], own[:, 0]


@pytest.mark.parametrize("deviation", [0.1, 0.3])
def test_how_far_rows_differ_is_found(deviation):
    outcomes, exposure, driver, own = _promoted(deviation)
    found = own_effects(outcomes, exposure, driver, POISSON, ())
    assert_allclose(np.sqrt(found.variances), deviation, rtol=0.2)
    past, coming, doubt = found.factors(outcomes, exposure, driver, np.full((400, 1, 1), 0.5))
    assert_allclose(past, 1 + driver[..., 0] * 2 * (coming - 1))
    assert np.corrcoef(coming[:, 0] - 1, own)[0, 1] > 0.5
    assert_allclose((coming[:, 0] - 1 - own / 2).std(), doubt.mean(), rtol=0.35)


def test_rows_that_do_not_differ_are_left_alone():
    outcomes, exposure, driver, _ = _promoted(0.0)
    found = own_effects(outcomes, exposure, driver, POISSON, ())
    assert np.sqrt(found.variances[0]) < 0.06  # of a driver that is worth a half
    past, *_ = found.factors(outcomes, exposure, driver, driver[:, :1])
    assert np.abs(past - 1).max() < 0.06


def test_own_effects_by_hand():
    """Ridge regression of outcomes over their mean, less one, with a free level."""
    outcomes = np.array([[4.0, 8.0, 4.0, np.nan]])
    driver = np.array([[[0.0], [1.0], [0.0], [1.0]]])
    found = OwnEffects(np.array([0.25]), (), 1.0, POISSON, 1)
    exposure = np.ones_like(outcomes)
    away, weight = outcomes[0, :3] / (16 / 3) - 1, 16 / 3
    design = np.column_stack([np.ones(3), driver[0, :3, 0]])
    covariance = np.linalg.inv(weight * design.T @ design + np.diag([1e-6, 4.0]))
    for _ in range(2):  # Student's law of three degrees of freedom
        effect = (weight * covariance @ design.T @ away)[1]
        usual = 4 / (3 + (effect**2 + covariance[1, 1]) / 0.25)
        covariance = np.linalg.inv(weight * design.T @ design + np.diag([1e-6, 4.0 * usual]))
    _, effect = weight * covariance @ design.T @ away
    past, coming, doubt = found.factors(outcomes, exposure, driver, np.ones((1, 2, 1)))
    assert_allclose(past[0], 1 + effect * driver[0, :, 0])
    assert_allclose(coming[0], 1 + effect)
    assert_allclose(doubt, 2 / 3 * np.sqrt(covariance[1, 1]) / (1 + effect))


def test_rows_without_sales_have_nothing_of_their_own():
    outcomes, exposure, driver, _ = _promoted(0.3)
    found = own_effects(outcomes, exposure, driver, POISSON, ())
    for row in (np.full((1, 12), np.nan), np.zeros((1, 12))):
        past, coming, doubt = found.factors(row, exposure[:1], driver[:1], driver[:1, :1])
        assert_allclose(past, 1.0)
        assert_allclose(coming, 1.0)
        assert np.isfinite(doubt).all()


@pytest.mark.parametrize("n_periods", [20, 27, 28])
def test_rows_are_decided_by_their_own_season(n_periods):
    X, mean = _shops(n_periods)
    problem = Newsvendor.from_service_level(0.9, ordered=True, seasons=7)
    pdt = PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)
    found = pdt.predict(X)
    assert found[mean == 20].mean() == pytest.approx(20, rel=0.1)
    assert found[mean == 0].max(initial=0) < 6
    assert_array_equal(pdt.decide(X[::7]), pdt.decide(X)[::7])
    weeks = pdt.predict(X, horizon=7)
    assert_allclose(weeks[:30].mean(), 120, rtol=0.15)
    assert_allclose(weeks[30:].mean(), 140, rtol=0.15)


def test_totals_take_the_phases_that_come():
    X, _ = _shops(20)
    portfolio = Newsvendor(ordered=True, seasons=7).read(X)
    conditions = Conditions(portfolio, 1)
    shut, usual = slice(0, 30), slice(30, 60)
    one, two = (conditions.at(portfolio, horizon).coming_exposure() for horizon in (1, 2))
    assert one[shut].mean() < 0.3 * one[usual].mean()  # period 20 is the last of its week
    assert 0.5 < two[shut].mean() / two[usual].mean() < 0.75


def test_few_periods_tell_no_own_effects_of_drivers():
    outcomes, exposure, driver, _ = _promoted(0.3, n_periods=5)
    assert own_effects(outcomes, exposure, driver, POISSON, ()).n_drivers == 0
    outcomes, exposure, driver, _ = _promoted(0.3, n_periods=6)
    assert own_effects(outcomes, exposure, driver, POISSON, ()).n_drivers == 1
