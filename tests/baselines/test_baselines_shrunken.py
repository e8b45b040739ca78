"""Shrunken sample averages, against brute force and by hand."""

import numpy as np
import pytest

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf.baselines import SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.baselines._shrunken import EDGES, LEVELS, held_out_quantiles
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

nan = np.nan


def _mixture(own, anchor, alpha):
    """Own empirical laws and the anchor, mixed; WeightedAtoms."""
    n, m, k = len(own), own.shape[1], len(anchor)
    share = 1.0 if np.isinf(alpha) else alpha / (m + alpha)
    atoms = np.concatenate([own, np.tile(anchor, (n, 1))], axis=1)
    weights = np.concatenate([np.full((n, m), (1 - share) / m), np.full((n, k), share / k)], axis=1)
    return WeightedAtoms(atoms, weights)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, 7.0, np.inf])
@pytest.mark.parametrize("level", [0.001, 0.25, 0.5, 0.9, 0.999])
def test_held_out_quantiles_are_those_of_the_mixtures(alpha, level):
    rng = np.random.RandomState(0)
    rows = np.sort(rng.poisson(5, size=(20, 5)).astype(float), axis=1)
    anchor = np.sort(rng.poisson(6, size=30).astype(float))
    fast = held_out_quantiles(rows, anchor, level, alpha)
    for j in range(5):
        law = _mixture(np.delete(rows, j, axis=1), anchor, alpha)
        np.testing.assert_array_equal(fast[:, j], law.quantile(level))


def test_alpha_by_brute_force():
    X = GammaPoisson(2.0, 0.4).sample(15, 4, random_state=1).observations
    shrunken = ShrunkenSampleAverage(n_weights=7).fit(X)
    alphas = [np.inf, 8.0, 4.0, 2.0, 1.0, 0.5, 0.0]
    np.testing.assert_array_equal(shrunken._alphas(), alphas)
    level = 0.9
    costs = np.zeros(7)
    for a, alpha in enumerate(alphas):
        for j in range(4):
            law = _mixture(np.delete(X, j, axis=1), shrunken.anchor_, alpha)
            short = X[:, j] - law.quantile(level)
            costs[a] += np.sum(np.where(short > 0, level * short, (level - 1) * short))
    k = np.argmin(np.abs(LEVELS - level))
    assert shrunken.levels_[k] == pytest.approx(level)
    assert shrunken.alpha_[k] == alphas[int(np.argmin(np.round(costs, 9)))]


def test_law_is_at_each_level_the_mixture_of_that_level():
    X = np.array([[1.0, 2.0, 4.0], [3.0, 6.0, 7.0]])
    shrunken = ShrunkenSampleAverage(anchor=[0.0, 5.0]).fit(X)
    shrunken.alpha_ = np.where(LEVELS < 0.5, 0.0, 3.0)
    for level in LEVELS:
        expected = _mixture(X, shrunken.anchor_, 0.0 if level < 0.5 else 3.0).quantile(level)
        expected = np.maximum(expected, _mixture(X, shrunken.anchor_, 0.0).quantile(EDGES[14]))
        if level >= 0.5:
            np.testing.assert_array_equal(
                shrunken.predict_distribution(X).quantile(level), expected
            )
    assert shrunken.predict_distribution(X).cdf(100.0) == pytest.approx([1.0, 1.0])


def test_one_alpha_by_hand():
    X = np.array([[1.0, 3.0], [nan, nan]])
    shrunken = ShrunkenSampleAverage(anchor=[2.0, 10.0]).fit(X)
    shrunken.alpha_ = np.full(len(LEVELS), 2.0)
    law = shrunken.predict_distribution(X)  # 1, 2, 3, 10 alike; and the anchor alone
    np.testing.assert_allclose(law.cdf([[1.0, 2.0, 3.0, 9.0]])[0], [0.25, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(law.mean(), [4.0, 6.0])


def test_rows_that_are_alike_are_pooled_and_rows_that_are_not_are_not():
    rng = np.random.RandomState(0)
    alike = rng.poisson(10, size=(300, 4)).astype(float)
    middle = np.argmin(np.abs(LEVELS - 0.5))
    assert ShrunkenSampleAverage().fit(alike).alpha_[middle] > 30
    apart = alike + 1000 * np.arange(300)[:, None]
    assert ShrunkenSampleAverage().fit(apart).alpha_[middle] <= 1  # of 3: the own median


def test_no_second_observation_gives_the_anchor():
    X = np.array([[1.0], [5.0], [9.0]])
    np.testing.assert_array_equal(ShrunkenSampleAverage().fit(X).decide(X), [5.0, 5.0, 5.0])


@pytest.mark.parametrize(
    ("anchor", "part"),
    [([[1.0]], "1-D"), ([], "1-D"), ([nan], "finite"), ([-1.0], "at least 0"), ([0.5], "whole")],
)
def test_refuses_anchors(anchor, part):
    with pytest.raises(ValueError, match=part):
        ShrunkenSampleAverage(anchor=anchor).fit(np.array([[1.0, 2.0]]))


@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3)], ids=repr)
def test_between_saa_and_bayes(law):
    problem = Newsvendor.from_service_level(0.9)
    portfolio = law.sample(500, 4, random_state=0)
    truth, X = law.truth(portfolio), portfolio.observations
    portfolio = problem.read(X)

    def cost(orders):
        return problem.expected_cost(orders, truth, portfolio).sum()

    bayes = cost(law.predictive(portfolio).quantile(0.9))
    saa = cost(SampleAverage(problem).fit(X).decide(X))
    assert bayes < cost(ShrunkenSampleAverage(problem).fit(X).decide(X)) < saa
