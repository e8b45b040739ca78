"""Pooled ratios, by hand."""

import numpy as np
import pytest

from sklearn_pttf.baselines import PooledRatio
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import LognormalNormal

nan = np.nan


def test_ratios_by_hand():
    # 1 / 4, 4 / 1 and, of the longer row, 2 / 5, 4 / 4, 6 / 3
    X = np.array([[1.5, 6.0, nan], [2.5, 5.0, 7.5], [9.5, nan, nan]])
    ratio = PooledRatio().fit(X)
    np.testing.assert_allclose(ratio.ratios_, [0.25, 0.4, 1.0, 2.0, 4.0])
    assert ratio.centre_ == pytest.approx(32 / 6)
    np.testing.assert_allclose(ratio.decide(X), [3.75, 5.0, 9.5])
    np.testing.assert_allclose(ratio.predict(X), np.array([3.75, 5.0, 9.5]) * 7.65 / 5)
    law = ratio.predict_distribution(X[:1])
    np.testing.assert_allclose(law.cdf([[0.5, 1.5, 3.75, 14.9, 15.0]])[0], [0, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(law.excess(7.5), 7.5 / 5)


def test_whole_numbers_are_rounded_to_the_nearest():
    X = np.array([[1.0, 4.0], [2.0, 8.0]])  # ratios 1/4 and 4, of means 2.5 and 5
    ratio = PooledRatio().fit(X)
    np.testing.assert_array_equal(ratio.predict_quantiles(X, [0.5, 0.6]), [[1, 10], [1, 20]])
    law = ratio.predict_distribution(X)
    np.testing.assert_allclose(law.cdf([[0.9, 1.0, 9.9, 10.0]])[0], [0, 0.5, 0.5, 1.0])
    np.testing.assert_allclose(law.mean(), [5.5, 10.5])
    np.testing.assert_allclose(law.expected(lambda x: x), law.mean())


def test_rows_without_level():
    X = np.array([[1.0, 3.0], [0.0, 0.0], [nan, nan]])
    ratio = PooledRatio().fit(X)
    # to the mean 1.0 over two of an other that is 0
    np.testing.assert_allclose(ratio.ratios_, [0.0, 0.0, 1 / 3, 3.0])
    # all zeros: 1.0 over three; no observation: the law of all
    np.testing.assert_allclose(ratio.predict_distribution(X).cdf(1.0), [0.75, 1.0, 0.75])


def test_one_observation_a_row_has_ratios_to_the_centre():
    ratio = PooledRatio().fit(np.array([[1.0, nan], [nan, 3.0]]))
    np.testing.assert_allclose(ratio.ratios_, [0.5, 1.5])


def test_nothing_sold():
    zeros = np.zeros((2, 3))
    np.testing.assert_array_equal(PooledRatio().fit(zeros).predict_quantiles(zeros, [0.999]), 0.0)


def test_many_ratios_are_compressed():
    X = LognormalNormal(0.0, 1.0, 0.5).sample(600, 4, random_state=0).observations
    assert len(PooledRatio().fit(X).ratios_) == 1000


def test_beats_saa_on_lognormal_rows():
    law = LognormalNormal(4.0, 1.0, 0.3)
    portfolio = law.sample(500, 4, random_state=0)
    ratio = PooledRatio(Newsvendor(underage=9.0, overage=1.0)).fit(portfolio.observations)
    truth = law.truth(portfolio)
    problem_costs = {"underage": np.full(500, 9.0), "overage": np.ones(500)}
    cost = ratio.problem_.expected_cost(
        ratio.decide(portfolio.observations), truth, portfolio.with_costs(problem_costs)
    )
    best = ratio.problem_.expected_cost(
        law.predictive(portfolio).quantile(0.9), truth, portfolio.with_costs(problem_costs)
    )
    assert 1.0 < cost.sum() / best.sum() < 1.1
