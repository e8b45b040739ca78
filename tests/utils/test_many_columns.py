"""Time is linear in the number of columns, and refused where it would be the cube of it."""

import numpy as np
import pytest

from sklearn_pttf import Column
from sklearn_pttf._utils.checks import find_column, repeated
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.problems import Newsvendor, Pricing

N = 300


class Counted(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Counted.comparisons += 1
        return str.__eq__(self, other)


def test_names_are_compared_a_few_times_each():
    names = np.array([Counted(f"week {k}") for k in range(2 * N)], dtype=object)
    asked = [Counted(name) for name in names]
    Counted.comparisons = 0
    problem = Newsvendor(observations=asked[:N], stock=asked[N:])
    assert problem.observation_positions(names, 2 * N) == list(range(N))
    pricing = Pricing(prices=asked[:N], demands=asked[N:])
    assert pricing.observation_positions(names, 2 * N) == list(range(N, 2 * N))
    assert Counted.comparisons < 20 * 2 * N


def test_names_may_change_between_calls():
    names = ["a", "b", "a"]
    assert [find_column(c, names, 3, "x") for c in ("b", "a")] == [1, 0]
    names[0] = "c"
    assert [find_column(c, names, 3, "x") for c in ("a", "c")] == [2, 0]
    with pytest.raises(ValueError, match=r"x='d' is no column of X; X has 'c', 'b', 'a'"):
        find_column("d", names, 3, "x")


def test_what_is_there_twice():
    assert repeated([3, 1, 2]) is None
    assert repeated([3, 1, 2, 1, 3]) == 3
    assert repeated([]) is None


def test_columns_with_two_roles_are_named():
    X = np.ones((2, 4))
    for problem, match in [
        (Newsvendor(observations=[Column(2), Column(1), Column(2)]), "includes column 2,"),
        (Newsvendor(underage=Column(1), observations=[Column(0), Column(1)]), "column 1,"),
        (
            Newsvendor(stock=[Column(2), Column(2)], observations=[0, 1]),
            r"lists column .*=2\) twice",
        ),
        (Pricing([0, 0], [1, 2]), "prices=.* lists a column twice"),
        (Pricing([0, 1], [2, 2]), "demands=.* includes column 2,"),
        (Pricing([0, 1], [2, 1]), "demands=.* includes column 1,"),
    ]:
        with pytest.raises(ValueError, match=match):
            problem.read(X)


def test_tables_of_very_many_periods_are_refused():
    X = np.ones((2, 2001))
    problem = Newsvendor(ordered=True)
    with pytest.raises(ValueError, match=r"at most 2,000 periods, .*; got 2,001\. Name the newest"):
        SampleAverage(problem).fit(X)
    orders = ExponentialSmoothing(problem).fit(X).decide(X)  # in linear time
    np.testing.assert_array_equal(orders, [1.0, 1.0])
