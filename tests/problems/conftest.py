"""Estimators that decide, fitted to counts and to amounts."""

import pytest
from sklearn.base import clone

from support.own_costs import DECIDERS


@pytest.fixture(scope="module")
def fitted():
    """Every estimator on a table; fits are shared by the tests."""
    found = {}

    def fit(name, key, X):
        if (name, key) not in found:
            found[name, key] = clone(DECIDERS[name]).fit(X)
        return found[name, key]

    return fit
