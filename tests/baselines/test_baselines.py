"""Sample average approximation, by hand."""

import numpy as np
import pytest

from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor

nan = np.nan
X = np.array([[4.0, 1.0, 3.0, 2.0], [5.0, nan, 7.0, nan], [nan, nan, nan, nan]])


@pytest.mark.parametrize(
    ("ratio", "orders"),
    [
        (0.25, [1, 5, 2]),  # a level that is just reached goes to the smaller order
        (0.26, [2, 5, 2]),
        (0.5, [2, 5, 3]),
        (0.9, [4, 7, 7]),
    ],
)
def test_orders_by_hand(ratio, orders):
    problem = Newsvendor.from_service_level(ratio)
    np.testing.assert_array_equal(SampleAverage(problem).fit(X).decide(X), orders)


def test_law_by_hand():
    saa = SampleAverage().fit(X)
    np.testing.assert_allclose(saa.predict(X), [2.5, 6.0, 22 / 6])
    law = saa.predict_distribution(X)
    np.testing.assert_allclose(law.cdf(3.0), [0.75, 0.0, 0.5])
    np.testing.assert_allclose(law.excess(3.0), [0.25, 3.0, 7 / 6])


def test_expected_cost_by_hand():
    saa = SampleAverage(Newsvendor(underage=3.0, overage=1.0)).fit(X)
    orders, info = saa.decide(X, return_info=True)
    np.testing.assert_array_equal(orders, [3, 7, 5])
    # 4,1,3,2 at 3: one short at 3, and 2 + 0 + 1 left over; 5,7 at 7: 2 left over
    np.testing.assert_allclose(info.expected_cost[:2], [6 / 4, 2 / 2])


def test_later_rows_use_the_pooled_law_of_fit():
    saa = SampleAverage().fit(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(saa.decide(np.full((2, 3), nan)), [2.0, 2.0])


def test_score_of_saa_is_zero():
    y = np.array([3.0, 9.0, 1.0])
    assert SampleAverage().fit(X).score(X, y) == 0.0
    assert SampleAverage().fit(X).score(X) == 0.0


def test_amounts_stay_amounts():
    amounts = X + 0.5
    saa = SampleAverage().fit(amounts)
    assert not saa.integer_
    np.testing.assert_array_equal(saa.decide(amounts), [2.5, 5.5, 3.5])
