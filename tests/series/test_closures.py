"""Periods and shops that are closed, and drivers of which a cell is wrong."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._series.conditions import Conditions
from sklearn_pttf.problems import Newsvendor

N, M = 80, 14


def _problem(horizon=1, drivers=None, **more):
    if drivers is not None:
        more["drivers"] = {"closed": range(M, 2 * M + drivers)}
    return Newsvendor(4.0, 1.0, ordered=True, horizon=horizon, observations=range(M), **more)


def _fitted(X, problem):
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)


def _sold(seed=0, n_periods=M):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(4.0, 8.0, (N, 1)) * np.ones(n_periods)).astype(float)


def _closed(seed=1):
    return (np.random.default_rng(seed).uniform(size=(N, M + 2)) < 0.15).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_shops_open_again_after_a_closed_period(seed):
    X = _sold(seed)
    usual = np.median(_fitted(X, _problem()).decide(X))
    X[:, -1] = 0.0
    assert 0.7 < np.median(_fitted(X, _problem()).decide(X)) / usual < 1.7


@pytest.mark.parametrize("first", [0, 1])
def test_a_closed_period_adds_nothing_to_a_total(first):
    """Two periods, one of which is closed for sure, sell what one does."""
    closed = _closed()
    closed[:, M:] = [[first, 1 - first]]
    X = np.hstack([_sold() * (1 - closed[:, :M]), closed])
    two = _fitted(X, _problem(2, drivers=2))
    total, info = two.decide(X, return_info=True)
    open_ = X.copy()
    open_[:, -2:] = [0.0, 1.0]
    one, of_one = two.decide(open_, problem=_problem(1), return_info=True)
    assert_allclose(total.sum(), one.sum(), rtol=0.06)
    assert_allclose(info.expected_cost.sum(), of_one.expected_cost.sum(), rtol=0.15)


def test_a_shop_that_was_hardly_ever_open_is_no_larger():
    """It sold 30 on the one day that it was open, and opens on one of two days that come."""
    closed = _closed()
    closed[:3, :M], closed[:3, 5] = 1.0, 0.0
    closed[:3, M:] = [[1.0, 0.0]]
    X = np.hstack([_sold() * (1 - closed[:, :M]), closed])
    X[:3, 5] = 30.0
    order, info = _fitted(X, _problem(2, drivers=2)).decide(X, return_info=True)
    assert (np.abs(info.mean[:3] - 30) < 15).all()
    assert (order[:3] < 90).all()


def test_one_wrong_cell_of_a_driver_leaves_other_rows_alone():
    on = np.random.default_rng(2).integers(0, 2, (N, M + 1)).astype(float)
    on[:, -1] = 1.0
    rng = np.random.default_rng(3)
    X = np.hstack([rng.poisson(20 * 2.0 ** on[:, :M]), on]).astype(float)
    right = _fitted(X, _problem(drivers=1)).decide(X)
    X[0, M + 3] = 999.0
    wrong = _fitted(X, _problem(drivers=1)).decide(X)
    assert np.median(wrong[1:] / right[1:]) == pytest.approx(1.0, abs=0.05)


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(4)
    X = rng.poisson(10 ** rng.uniform(-1, 5, (N, 1)) * np.ones(M)).astype(float)
    order = rng.permutation(N)
    one, other = (_fitted(each, _problem()).predict(X) for each in (X, X[order]))
    assert_allclose(one, other, rtol=1e-3)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_amounts_go_with_their_unit(unit):
    X = np.random.default_rng(5).lognormal(0, 0.5, (N, M))
    orders = _fitted(X, _problem()).decide(X)
    assert_allclose(_fitted(unit * X, _problem()).decide(unit * X) / unit, orders, rtol=1e-3)


def test_doubt_is_about_what_comes():
    """Where next to all of a total comes in one period, doubt is about that one."""
    closed = _closed()
    closed[:, M:] = [[0.0, 1.0]]
    X = np.hstack([_sold() * (1 - closed[:, :M]), closed])
    portfolio = _problem(2, drivers=2).read(X)
    conditions = Conditions(portfolio, 2)
    one, two = (conditions.at(portfolio, horizon).doubt for horizon in (1, 2))
    assert_allclose(two, one, rtol=0.1, atol=0.01)


def test_seasons_may_be_an_array():
    X = _sold()
    fitted = _fitted(X, _problem(seasons=np.array([3, 4])))
    assert_allclose(fitted.decide(X), _fitted(X, _problem(seasons=(3, 4))).decide(X))


def test_candidates_of_finetuning_warn_of_nothing_by_other_names():
    closed = _closed()[:, : M + 1]
    closed[3, 4] = np.nan
    X = np.hstack([_sold(), closed])
    pdt = PretrainedDecisionTransformer(_problem(drivers=1), device="cpu", random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pdt.fit(X)
    assert not [each for each in caught if "driver 0" in str(each.message)]
