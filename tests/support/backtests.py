"""Small tables and quick estimators to backtest."""

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from sklearn_pttf import DecisionMixin, WeightedAtoms
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Newsvendor

NAN = np.nan
PROBLEM = Newsvendor(underage=2.0, overage=1.0, ordered=True)
X = np.random.default_rng(0).poisson(6.0, size=(30, 12)).astype(float)
QUICK = {"origins": 3, "baselines": {}}


class LastSeen(DecisionMixin, BaseEstimator):
    """Expects the newest observation again, in each period of the horizon."""

    _reads_time = True

    def __init__(self, problem=None, random_state=0):
        self.problem = problem
        self.random_state = random_state

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return WeightedAtoms(np.nan_to_num(portfolio.observations[:, -1:]))

    def _law_of_total(self, portfolio, horizon):
        return WeightedAtoms(horizon * np.nan_to_num(portfolio.observations[:, -1:]))


class Noisy(LastSeen):
    """Adds one of two values at random to what was seen last."""

    def _predict_law(self, portfolio):
        rng = np.random.default_rng(self.random_state)
        noise = rng.integers(0, 100, size=(len(portfolio), 1))
        return WeightedAtoms(np.nan_to_num(portfolio.observations[:, -1:]) + noise)

    def _law_of_total(self, portfolio, horizon):
        return self._predict_law(portfolio)


def small_backtest(estimator=None, X=X, **arguments):
    estimator = LastSeen(PROBLEM) if estimator is None else estimator
    return backtest(estimator, X, **{**QUICK, **arguments})


def assert_same_backtest(found, wanted):
    assert found.methods == wanted.methods
    for name in ("origins", "cost", "decision", "promised", "forecast", "outcome", "held", "rows"):
        assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
