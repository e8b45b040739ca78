"""What is told of drivers and seasons that say nothing, or are asked about the unknown."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._series.alarms import SeenDrivers
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.baselines import LagBoosting, SampleAverage
from sklearn_pttf.problems import Newsvendor

N, M = 40, 6


@pytest.fixture(scope="module")
def promotions():
    """Sales that a promotion trebles, and the promotion in them and in three coming periods."""
    rng = np.random.default_rng(0)
    on = (rng.random((N, M + 3)) < 0.4).astype(float)
    return rng.poisson(rng.gamma(3, 8, (N, 1)) * 3.0 ** on[:, :M]).astype(float), on


def _problem(n_planned=1, **more):
    drivers = {"promo": range(M, 2 * M + n_planned)}
    return Newsvendor(4.0, 1.0, ordered=True, observations=range(M), drivers=drivers, **more)


def _fitted(sold, on, n_planned=1, **more):
    X = np.hstack([sold, on])
    return SampleAverage(_problem(n_planned, **more)).fit(X), X


def _seen(past, planned):
    past, planned = np.array(past, dtype=float)[..., None], np.array(planned, dtype=float)
    portfolio = Portfolio(np.ones(past.shape[:2]), drivers=past, planned=planned[..., None])
    return SeenDrivers(portfolio, 1).beyond(portfolio, planned.shape[1])[:, 0].tolist()


def test_what_is_beyond_all_that_was_seen():
    # some row saw the whole range: in it is a first promotion too, but no half more of one
    assert _seen([[0, 1, 0], [0, 0, 0]], [[1], [1]]) == [False, False]
    assert _seen([[0, 1, 0], [0, 0, 0]], [[1.5], [-0.1]]) == [True, True]
    # each row has its own price: a tenth was given off one of them, in each direction from usual
    prices = [[10, 10, 9, 10], [50, 50, 50, 50]]
    assert _seen(prices, [[9], [49.3]]) == [False, False]
    assert _seen(prices, [[8.9], [40]]) == [True, True]
    assert _seen(prices, [[9.5], [np.nan]]) == [False, False]
    # any of the coming periods
    assert _seen([[0, 1], [0, 1]], [[0, 2], [1, 1]]) == [True, False]


def test_rows_that_extrapolate(promotions):
    fitted, X = _fitted(*promotions)
    assert not fitted.decide(X, return_info=True)[1].extrapolates.any()
    few = X.copy()
    few[3, 2 * M] = 1.2
    marked = fitted.decide(few, return_info=True)[1].extrapolates
    assert marked.nonzero()[0].tolist() == [3]
    many = X.copy()
    many[:4, 2 * M] = 1.2
    told = "drivers 'promo' are planned beyond all that was seen of them in 4 of 40 rows, as in r"
    with pytest.warns(UserWarning, match=f"{told}ows 0, 1, 2, 3.$"):
        fitted.decide(many)
    cut = X.copy()
    cut[7, 2 * M] = 50.0
    with pytest.warns(UserWarning, match="as in row 7; in 1 of these so far that they are taken f"):
        decisions, info = fitted.decide(cut, return_info=True)
    assert info.extrapolates.nonzero()[0].tolist() == [7]
    cut[7, 2 * M] = 500.0
    with pytest.warns(UserWarning, match="taken for one range beyond it"):
        assert_array_equal(fitted.decide(cut), decisions)


def test_there_is_nothing_to_extrapolate_without_drivers(promotions):
    sold, _ = promotions
    info = SampleAverage(Newsvendor(ordered=True)).fit(sold).decide(sold, return_info=True)[1]
    assert "extrapolates" not in info


@pytest.mark.parametrize(
    ("unknown", "message"),
    [
        (np.s_[5, M + 1], r"in 1 of 40 rows, as in row 5 in coming period 2, and are taken for"),
        (np.s_[:, M + 1 :], "in all rows in coming periods 2, 3, and are taken for"),
        (np.s_[[1, 4], M:], "in 2 of 40 rows, as in rows 1, 4, and are taken for"),
    ],
)
def test_plans_with_holes(promotions, unknown, message):
    sold, on = promotions
    on = on.copy()
    on[unknown] = np.nan
    with pytest.warns(UserWarning, match=f"drivers 'promo' are not known {message}"):
        _fitted(sold, on, n_planned=3, horizon=3)


def test_plans_of_which_less_is_known_than_at_fit(promotions):
    fitted, X = _fitted(*promotions)
    holes = X.copy()
    holes[[2, 3], 2 * M] = np.nan
    told = "drivers 'promo' are not known in 2 of 40 rows, as in rows 2, 3, and are taken for"
    with pytest.warns(UserWarning, match=told):
        decisions = fitted.decide(holes)
    assert_array_equal(np.delete(decisions, [2, 3]), np.delete(fitted.decide(X), [2, 3]))
    with pytest.warns(UserWarning, match=told):
        fitted = SampleAverage(_problem()).fit(holes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that is told already
        fitted.decide(holes)


@pytest.mark.filterwarnings("error")
def test_plans_may_go_beyond_the_horizon(promotions):
    sold, on = promotions
    fitted, X = _fitted(sold, on, n_planned=3)
    assert_array_equal(fitted.decide(X), _fitted(sold, on)[0].decide(X))
    three = fitted.predict(X, horizon=3)
    longer = _fitted(sold, on, n_planned=3, horizon=3)[0]
    assert_allclose(three, longer.predict(X, horizon=3))
    assert_allclose(fitted.decide(X, problem=Newsvendor(4.0, 1.0, horizon=3)), longer.decide(X))
    # drivers of fewer columns than others are not known in the last ones
    X = np.hstack([X, on])
    drivers = {"promo": range(M, 2 * M + 1), "again": range(2 * M + 3, 3 * M + 5)}
    problem = Newsvendor(4.0, 1.0, ordered=True, observations=range(M), drivers=drivers)
    assert SampleAverage(problem).fit(X)._read_as_it_is(X).planned.shape == (N, 2, 2)


def test_horizons_beyond_the_plan(promotions):
    fitted, X = _fitted(*promotions)
    told = r"'promo' are planned for 1 coming period, and horizon is 3: in those after them they"
    with pytest.warns(UserWarning, match=told):
        total = fitted.predict(X, horizon=3)
    usual = np.hstack([X[:, : 2 * M + 1], np.repeat(X[:, M : 2 * M].mean(axis=1)[:, None], 2, 1)])
    assert_allclose(total, _fitted(*np.split(usual, [M], axis=1), 3)[0].predict(usual, horizon=3))
    with pytest.warns(UserWarning, match=told):
        fitted.decide(X, problem=Newsvendor(4.0, 1.0, horizon=3))
    with pytest.warns(UserWarning, match=told):
        LagBoosting(_problem(), max_iter=1).fit(X).predict(X, horizon=3)


def test_horizons_as_long_as_any():
    """The larger part of a level that doubled goes on, however far one looks; some may return."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(3, 8, (N, 1)) * np.repeat([1.0, 2.0], 4)).astype(float)
    fitted = PretrainedDecisionTransformer(Newsvendor(ordered=True), finetune=None).fit(X)
    low, total, high = fitted.predict_quantiles(X, [0.1, 0.5, 0.9], horizon=100).sum(axis=0)
    assert 0.67 < total / (100 * X[:, 4:].mean(axis=1).sum()) < 1.0
    assert high / low > 2  # by then it may have doubled again
    with pytest.raises(ValueError, match=r"horizon must be a whole number in \[1, 100\]; got 101"):
        fitted.predict(X, horizon=101)


@pytest.mark.parametrize("seasons", [6, (3, 52)])
def test_seasons_that_have_not_come_back(promotions, seasons):
    told = rf"seasons={52 if seasons == (3, 52) else 6} is not shorter than the history of 6 peri"
    with pytest.warns(UserWarning, match=told):
        SampleAverage(Newsvendor(ordered=True, seasons=seasons)).fit(promotions[0])


@pytest.mark.parametrize("seasons", [1, 0, -7, 7.5, (52, 0), [7.0], True, "7", (None,), np.nan])
def test_seasons_that_cannot_be(promotions, seasons):
    told = rf"seasons must be numbers of periods above 1, .* got {re.escape(repr(seasons))}\."
    with pytest.raises(ValueError, match=told):
        SampleAverage(Newsvendor(ordered=True, seasons=seasons)).fit(promotions[0])
    with pytest.raises(ValueError, match=r"seasons must differ; got \(3, 3\)"):
        SampleAverage(Newsvendor(ordered=True, seasons=(3, 3))).fit(promotions[0])


@pytest.mark.parametrize(
    ("n_columns", "allowed"), [(0, "7 or more"), (M, "7 or more"), (M + 101, "106 at most")]
)
def test_drivers_of_another_number_of_columns(promotions, n_columns, allowed):
    X = np.hstack([promotions[0], np.zeros((N, M + 101))])
    problem = Newsvendor(
        ordered=True, observations=range(M), drivers={"promo": range(M, M + n_columns)}
    )
    told = rf"drivers\['promo'\] must have a column for .* oldest first: {allowed}; got {n_columns}"
    with pytest.raises(ValueError, match=told):
        SampleAverage(problem).fit(X)


def test_drivers_that_are_no_finite_numbers(promotions):
    X = np.hstack(promotions)
    X[2, M + 1] = np.inf
    with pytest.raises(ValueError, match=r"Input drivers\['promo'\] contains infinity"):
        SampleAverage(_problem()).fit(X)
    frame = pd.DataFrame(np.hstack(promotions))
    frame.columns = [*(f"sold{k}" for k in range(M)), *(f"on{k}" for k in range(M + 3))]
    frame["on3"] = np.where(frame["on3"] > 0, "yes", "no")
    told = r"column 'on3' of drivers\['promo'\] holds text .* Make a column of 0 and 1 of each of"
    with pytest.raises(ValueError, match=told):
        SampleAverage(_problem()).fit(frame)


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore:drivers")
@pytest.mark.parametrize("size", [9e99, -9e99])
def test_drivers_beyond_single_precision(promotions, size):
    for column in (M, 2 * M):
        X = np.hstack(promotions)
        X[0, column] = size
        decisions = LagBoosting(_problem(), max_iter=2).fit(X).decide(X)
        assert np.isfinite(decisions).all()


VALUES = st.floats(-100, 100).map(lambda value: round(value, 3))


@given(arrays(float, (4, 5), elements=VALUES), st.integers(0, 4), st.floats(0.01, 50))
def test_what_a_row_saw_is_never_beyond_and_what_nobody_saw_always_is(past, column, step):
    assert _seen(past, past[:, [column]]) == [False] * 4
    widest = np.ptp(past)
    assert _seen(past, past.max(axis=1, keepdims=True) + widest + step) == [True] * 4
