"""Rows whose season differs from the common one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._series.conditions import Conditions
from sklearn_pttf._series.own_seasons import find_own_doubt, own_phases
from sklearn_pttf.problems import Newsvendor

nan = np.nan


def shops(n_periods, n_rows=60, seed=0):
    """Poisson counts around 20 of shops, half of which are closed on the last day of a week."""
    open_ = np.ones((n_rows, 7))
    open_[: n_rows // 2, 6] = 0.0
    means = 20 * open_[:, np.arange(n_periods + 1) % 7]
    return np.random.RandomState(seed).poisson(means[:, :-1]).astype(float), means[:, -1]


def test_own_phases_by_hand():
    """Ratios to the mean of 2 are 2, 0, 2, 0, 1; of others in the phase, and one of 1."""
    past, coming = own_phases(np.array([[4.0, 0.0, 4.0, 0.0, 2.0]]), 2, 1.0)
    assert_allclose(past, [[(2 + 1 + 1) / 3, 1 / 2, (2 + 1 + 1) / 3, 1 / 2, (2 + 2 + 1) / 3]])
    assert_allclose(coming, [[1 / 3, (2 + 2 + 1 + 1) / 4]])


def test_missing_periods_tell_nothing():
    past, coming = own_phases(np.array([[4.0, nan, 4.0, nan], [nan] * 4, [0.0] * 4]), 2, 1.0)
    assert_allclose(past, 1.0)
    assert_allclose(coming, 1.0)


def test_own_seasons_are_found_where_rows_differ():
    assert find_own_doubt(shops(21)[0], 7) == 0.3
    same = np.random.RandomState(1).poisson(20, (200, 21)).astype(float)
    assert find_own_doubt(same, 7) is None
    assert find_own_doubt(shops(8)[0], 7) is None  # no season and two periods more
    assert find_own_doubt(np.zeros((5, 21)), 7) is None


@pytest.mark.parametrize("n_periods", [20, 27, 28])
def test_rows_are_decided_by_their_own_season(n_periods):
    X, mean = shops(n_periods)
    problem = Newsvendor.from_service_level(0.9, ordered=True, seasons=7)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    found = pdt.predict(X)
    assert found[mean == 20].mean() == pytest.approx(20, rel=0.07)
    assert found[mean == 0].max(initial=0) < 4
    alone = pdt.decide(X[::7])
    assert_allclose(alone, pdt.decide(X)[::7])
    weeks = pdt.predict(X, horizon=7)
    assert_allclose(weeks[:30].mean(), 120, rtol=0.1)
    assert_allclose(weeks[30:].mean(), 140, rtol=0.1)


def test_totals_take_the_phases_that_come():
    X, _ = shops(20)
    portfolio = Newsvendor(ordered=True, seasons=7).read(X)
    conditions = Conditions(portfolio, 1)
    shut, usual = slice(0, 30), slice(30, 60)
    one, two = (conditions.at(portfolio, horizon).coming_exposure() for horizon in (1, 2))
    assert one[shut].mean() < 0.25 * one[usual].mean()  # period 20 is the last of its week
    assert 0.5 < two[shut].mean() / two[usual].mean() < 0.75
