"""Rows that have stopped: how others went on after such a silence says whether they are gone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer, QuantileGrid
from sklearn_pttf._kinds.series.silence import BACK, CASES, Silence
from sklearn_pttf.problems import Newsvendor

LEVELS = stats.logistic.cdf(np.linspace(-6.9, 6.9, 33))
nan = np.nan


def _sold(n_rows=100, n_periods=26, seed=0):
    rng = np.random.default_rng(seed)
    return np.rint(rng.lognormal(4, 0.6, (n_rows, 1)) * rng.lognormal(0, 0.3, (n_rows, n_periods)))


def _law(n_rows):
    return QuantileGrid(np.tile(stats.norm(50, 10).ppf(LEVELS), (n_rows, 1)), LEVELS)


def test_shares_that_come_back_by_hand():
    """After one period one of two came back, after two none of one."""
    found = Silence.of(Portfolio(np.array([[5, 5, 5, 0, 5.0], [5, 5, 5, 0, 0], [5, 0, 0, 0, 5]])))
    assert_allclose(found.back[0], (1 + CASES * BACK[0]) / (2 + CASES))
    assert_allclose(found.back[1:], BACK[1:])
    found = Silence.of(Portfolio(np.array([[5, 5, 5, 0, nan, 0.0, 0.0]])))
    assert_allclose(found.back[:2], [CASES * BACK[k] / (1 + CASES) for k in (0, 1)])


def test_periods_that_are_closed_are_no_silence():
    sold, open_ = np.array([[5, 5, 5, 0, 0, 5.0]]), np.array([[1, 1, 1, 0.01, 0.01, 1]])
    assert_allclose(Silence.of(Portfolio(sold, exposure=open_)).back, BACK)


def test_laws_get_the_zeros_that_they_lack():
    portfolio = Portfolio(np.array([[5, 5, 5, 5.0], [5, 5, 5, 0]]))
    silence = Silence(np.array([0.3, *BACK[1:]]))
    plain, found = _law(2), silence.law(_law(2), portfolio)
    assert_allclose(found.quantiles[0], plain.quantiles[0])
    assert_allclose(found.cdf(np.zeros(2))[1], 0.7, atol=0.1)  # by the knots that there are
    assert found.quantile(0.5)[1] == 0.0
    assert_allclose(found.quantile(0.9)[1], plain.quantile(1 - 0.1 / 0.3)[1], rtol=0.03)


@pytest.mark.parametrize("whole", [True, False])
def test_products_that_are_gone_are_not_ordered(whole):
    X = _sold() + (0.0 if whole else 0.25)
    for k, quiet in enumerate((2, 4, 8)):
        X[k::20, -quiet:] = 0.0
    problem = Newsvendor(4.0, 1.0, ordered=True)
    orders = PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X).decide(X)
    usual = X[:, :18].mean(axis=1)
    for k in range(3):
        assert orders[k::20].sum() < 0.1 * usual[k::20].sum()
    assert orders[5::20].sum() > usual[5::20].sum()


def test_products_that_come_back_are_ordered():
    X = _sold()
    X[np.random.default_rng(1).uniform(size=X.shape) < 0.08] = 0.0
    X[:5, -2], X[:5, -1] = 20.0, 0.0
    problem = Newsvendor(4.0, 1.0, ordered=True)
    orders = PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X).decide(X)
    assert (orders[:5] > 0.6 * X[:5].mean(axis=1)).all()
