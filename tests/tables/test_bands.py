"""Rows of tables that span many decades are decided among rows about as large."""

import pickle

import numpy as np
import pytest

from sklearn_pttf._network.reading import BandedContext
from sklearn_pttf._tables.bands import FEWEST_ROWS, HALF_WIDTH, STEP, Bands, log_levels
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor
from support.estimators import fitted_network


def _levels(rng, n_rows=400, top=1e4):
    return np.sort(np.exp(rng.uniform(np.log(0.1), np.log(top), n_rows)))[:, None]


def _counts(n=4, n_rows=400, top=1e4):
    rng = np.random.default_rng(0)
    return rng.poisson(_levels(rng, n_rows, top), (n_rows, n)).astype(float)


def test_levels_of_rows():
    X = np.array([[0.0, 0.0], [2.0, 4.0], [np.nan, np.nan], [5.0, np.nan]])
    expected = [np.log(0.25 / 2.25), np.log(6.25 / 2.25), np.nan, np.log(5.25 / 1.25)]
    np.testing.assert_allclose(log_levels(X, integer=True), expected)
    expected = [np.nan, np.log(3), np.nan, np.log(5)]
    np.testing.assert_allclose(log_levels(X, integer=False), expected)


def test_every_row_is_decided_among_enough_rows_of_its_size():
    X = _counts()
    bands = Bands.of(Portfolio(X, integer=True))
    assert (np.diff(bands.centres) <= STEP).all()
    own, levels = bands.nearest(X), log_levels(X, integer=True)
    for k, rows in enumerate(bands.rows(X)):
        assert set(np.flatnonzero(own == k)) <= set(rows)
        assert len(rows) >= FEWEST_ROWS
        between = (levels[rows] > bands.centres[0]) & (levels[rows] < bands.centres[-1])
        assert (np.abs(levels[rows] - bands.centres[k])[between] <= HALF_WIDTH).all()


@pytest.mark.parametrize(("n_rows", "top"), [(400, 100.0), (40, 1e4)])
def test_tables_of_one_context(n_rows, top):
    """Of few decades, and of few rows."""
    X = _counts(n_rows=n_rows, top=top)
    assert not len(Bands.of(Portfolio(X, integer=True)).centres)
    assert not isinstance(fitted_network(X)._table.contexts[0], BandedContext)


def test_amounts_that_were_mostly_zero_may_be_of_any_size():
    X = _counts() + 0.5
    assert len(Bands.of(Portfolio(X)).centres)
    X[::10] = 0.0
    assert not len(Bands.of(Portfolio(X)).centres)


def test_rows_by_themselves_and_pickled():
    X = _counts()
    X[7] = np.nan  # decided in the context of all
    fitted = fitted_network(X)
    assert isinstance(fitted._table.contexts[0], BandedContext)
    everyone = fitted.predict(X)
    some = [7, 0, 399, 150, 210]
    np.testing.assert_allclose(fitted.predict(X[some]), everyone[some], rtol=1e-9)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), everyone)


@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.95])
def test_amounts_of_many_decades(ratio):
    """No band of levels is dearer than SAA; the smallest was, by 30 % at .5."""
    rng = np.random.default_rng(0)
    levels = _levels(rng)
    X, later = (levels * rng.lognormal(0, 0.2, (400, n)) for n in (4, 400))
    problem = Newsvendor(ratio, 1 - ratio)
    costs = [
        problem.cost(each.decide(X)[:, None], later).mean(axis=1).reshape(4, 100).sum(axis=1)
        for each in (fitted_network(X, problem), SampleAverage(problem).fit(X))
    ]
    assert (costs[0] < costs[1]).all()
