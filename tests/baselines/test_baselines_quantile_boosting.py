"""Quantile boosting, by hand where it can be, and against exact Bayes decisions."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_pttf.baselines import QuantileBoosting, SampleAverage
from sklearn_pttf.baselines._quantile_boosting import _others, summaries
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan


def test_summaries_by_hand():
    x = np.array([[4.0, nan, 0.0, 2.0], [nan, nan, 5.0, nan], [nan, nan, nan, nan]])
    np.testing.assert_allclose(
        summaries(x),
        [
            [3, 2, 1, 2, 3, 4, np.sqrt(8 / 3)],
            [1, 5, 5, 5, 5, 5, 0],
            [0, -1, -1, -1, -1, -1, -1],
        ],
        rtol=1e-6,
    )


def test_others_by_hand():
    outcome, others = _others(np.array([[4.0, nan, 1.0], [nan, 2.0, nan]]))
    np.testing.assert_array_equal(outcome, [4.0, 1.0, 2.0])
    np.testing.assert_array_equal(others, [[nan, nan, 1], [4, nan, nan], [nan, nan, nan]])


def test_without_a_split_it_is_a_pooled_ratio():
    # too few observations for two leaves, and one tree: quantiles of all ratios
    X = np.array([[1.5, 2.5], [3.5, 4.5], [nan, nan]])
    boosting = QuantileBoosting(levels=[0.25, 0.5, 0.75], max_iter=1).fit(X)
    levels = (np.array([2.5, 1.5, 4.5, 3.5]) + 3.0) / 2  # of the others, and of 3 on average
    middle = np.quantile(X[:2].ravel() / levels, 0.5)
    np.testing.assert_allclose(
        boosting.decide(X), [middle * 7 / 3, middle * 11 / 3, 2.5], rtol=1e-5
    )


def test_levels_give_the_knots():
    X = LognormalNormal(1.0, 0.5, 0.5).sample(60, 4, random_state=0).observations
    boosting = QuantileBoosting(levels=[0.2, 0.8]).fit(X)
    law = boosting.predict_distribution(X)
    np.testing.assert_array_equal(law.levels, [0.2, 0.8])
    assert len(boosting.regressors_) == 2
    covered = np.mean(X[:, :1] <= law.quantile([[0.2, 0.8]]), axis=0)
    np.testing.assert_allclose(covered, [0.2, 0.8], atol=0.15)


@pytest.mark.parametrize("levels", [[0.5], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [[0.1, 0.5]]])
def test_refuses_levels(levels):
    with pytest.raises(ValueError, match="levels"):
        QuantileBoosting(levels=levels).fit(np.array([[1.0, 2.0]]))


def test_equal_fits_are_equal():
    X = GammaPoisson(2.0, 0.2).sample(200, 5, random_state=0).observations
    boosting = QuantileBoosting(random_state=0)
    one, two = (clone(boosting).fit(X).decide(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)], ids=repr)
def test_costs_little_more_than_exact_bayes(law, n):
    problem = Newsvendor.from_service_level(0.9)
    portfolio = law.sample(500, n, random_state=0)
    truth, X = law.truth(portfolio), portfolio.observations

    def cost(orders):
        return problem.expected_cost(orders, truth, problem.read(X)).sum()

    bayes = cost(law.predictive(portfolio).quantile(0.9))
    boosted = cost(QuantileBoosting(problem).fit(X).decide(X))
    assert bayes < boosted < 1.05 * bayes < cost(SampleAverage(problem).fit(X).decide(X))


def test_tables_without_spread():
    for X in (np.zeros((3, 2)), np.full((1, 1), 7.5), np.full((4, 3), 2.5)):
        np.testing.assert_allclose(QuantileBoosting().fit(X).decide(X), X[:, 0], rtol=1e-6)
