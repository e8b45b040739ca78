"""Whole picks that no proof is found for in time: good ones, the gap, and Ctrl-C is heard."""

import time
import warnings
from itertools import product

import numpy as np
import pytest

from sklearn_pttf import Column
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Selection
from sklearn_pttf.problems import _selection as selection
from sklearn_pttf.problems._selection import pick_fractions, pick_whole


def nearly_in_proportion(n):
    """Rows that are worth a little more than they weigh: strongly correlated."""
    weights = np.random.default_rng(0).uniform(1.0, 2.0, n)
    return weights + 0.1, weights, weights.sum() / 2


def test_a_thousand_rows_take_as_long_as_they_are_given(capfd):
    values, weights, capacity = nearly_in_proportion(1000)
    began = time.monotonic()
    picks, gap = pick_whole(values, weights, capacity, max_seconds=0.3)
    assert time.monotonic() - began < 5
    assert set(picks) == {0.0, 1.0}
    assert (picks * weights).sum() <= capacity
    fractions, _ = pick_fractions(values, weights, capacity)
    worth, bound = (picks * values).sum(), (fractions * values).sum()
    assert 0 < gap <= bound - worth + 1e-9
    assert gap < 1e-3 * worth
    assert capfd.readouterr().out == ""  # HiGHS is silent


def test_estimators_warn_of_the_gap():
    values, weights, capacity = nearly_in_proportion(300)
    X = np.stack([values, weights], axis=1)
    problem = Selection(
        capacity, weights=Column(1), integer=True, observations=[Column(0)], max_seconds=0.05
    )
    estimator = SampleAverage(problem).fit(X)
    with pytest.warns(UserWarning, match=r"not proven after max_seconds=0\.05: they may"):
        picks, info = estimator.decide(X, return_info=True)
    assert 0 < info.gap <= info.bound - (picks * values).sum() + 1e-9


def test_proven_picks_have_no_gap():
    rng = np.random.default_rng(1)
    values, weights = rng.gamma(2.0, 1.0, 10), rng.uniform(1.0, 3.0, 10)
    picks, gap = pick_whole(values, weights, 9.0, max_seconds=30)
    every = np.array(list(product([0, 1], repeat=10)))
    best = (every @ values)[every @ weights <= 9.0].max()
    assert gap == 0.0
    np.testing.assert_allclose((picks * values).sum(), best)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pick_whole(values, weights, 9.0)


def test_without_any_picks_in_time_the_greedy_ones_stay(monkeypatch):
    values, weights, capacity = nearly_in_proportion(50)
    monkeypatch.setattr(selection, "_knapsack", lambda *args: (None, np.inf))
    picks, gap = pick_whole(values, weights, capacity)
    assert (picks * weights).sum() <= capacity
    fractions, _ = pick_fractions(values, weights, capacity)
    np.testing.assert_allclose(gap, ((fractions - picks) * values).sum())


def test_an_interrupt_is_heard(monkeypatch):
    def pressed(self, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(selection.threading.Thread, "join", pressed)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        selection._interruptible(time.sleep, 2.0)
    assert time.monotonic() - began < 1.5


def test_failures_beside_are_raised():
    with pytest.raises(ZeroDivisionError):
        selection._interruptible(lambda: 1 / 0)
    assert selection._interruptible(divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize("seconds", [0, -1.0, np.nan, "10", None, True])
def test_other_times_are_refused(seconds):
    with pytest.raises(ValueError, match="max_seconds must be a number in"):
        SampleAverage(Selection(1.0, max_seconds=seconds)).fit([[1.0, 2.0]])
