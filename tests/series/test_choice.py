"""What foretold the newest periods is looked at once, however often it is asked."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf._series import choice
from sklearn_pttf._tables.portfolio import Portfolio

SEASON = np.tile([2.0, 1.0, 0.5, 1.0], 4)
X = np.random.default_rng(0).poisson(8 * SEASON, size=(40, 16)).astype(float)


@pytest.fixture
def asked(monkeypatch):
    """Numbers of periods that errors are found after."""
    monkeypatch.setattr(choice, "_kept", {})
    found, errors = [], choice._errors_after

    def recorded(before, sold, looks):
        found.append(before.observations.shape[1])
        return errors(before, sold, looks)

    monkeypatch.setattr(choice, "_errors_after", recorded)
    return found


def _chosen(x, **fields):
    return choice.chosen_conditions(Portfolio(x, ordered=True, **fields), 1)


def test_a_period_more_asks_for_one_error_more(asked):
    _chosen(X[:, :14])
    assert asked == [7, 8, 9, 10, 11, 12, 13]  # half of the table
    del asked[:]
    longer = _chosen(np.asfortranarray(X[:, :15]))  # of another layout
    assert asked == [14]
    choice._kept.clear()
    anew = _chosen(X[:, :15])
    assert longer.look == anew.look
    assert_array_equal(longer.forecast.mean, anew.forecast.mean)


def test_costs_do_not_matter_and_all_else_does(asked):
    _chosen(X, costs={"underage": np.full(40, 2.0)})
    n_asked = len(asked)
    _chosen(X, costs={"underage": np.full(40, 3.0)}, constraints={"upper": np.ones(40)})
    assert len(asked) == n_asked
    _chosen(X, seasons=(4,))
    assert len(asked) == 2 * n_asked
    other = X.copy()
    other[3, 0] += 1
    _chosen(other)
    assert len(asked) == 3 * n_asked
    drivers = np.random.default_rng(1).random((40, 17, 1))
    driven = {"drivers": drivers[:, :16], "planned": drivers[:, 16:]}
    _chosen(X, **driven)
    assert len(asked) == 4 * n_asked
    _chosen(X, **{**driven, "drivers": np.round(driven["drivers"])})
    assert len(asked) == 5 * n_asked


def test_no_more_than_some_are_kept(asked, monkeypatch):
    monkeypatch.setattr(choice, "MOST_KEPT", 3)
    found = choice.chosen_conditions(Portfolio(X, ordered=True), 1)
    assert len(choice._kept) <= 3
    monkeypatch.setattr(choice, "MOST_KEPT", 1000)
    assert found.look == _chosen(X).look
