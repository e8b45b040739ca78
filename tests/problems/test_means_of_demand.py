"""Values that a network of demand reads: laws and means stay at or above 0."""

import numpy as np
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Estimation, Selection

V = np.abs(np.random.default_rng(0).normal(5, 2, (200, 4)))  # near 0 here and there


@pytest.fixture(scope="module")
def fitted():
    return PretrainedDecisionTransformer(Estimation(), checkpoint="demand", finetune=None).fit(V)


def test_laws_are_not_below_zero(fitted):
    law = fitted.predict_distribution(V)
    assert law.quantile(1e-6).min() >= 0
    assert (law.cdf(-1e-9) == 0).all()
    np.testing.assert_allclose(law.expected(lambda x: x), fitted.predict(V), rtol=1e-3)


def test_intervals_of_means_are_told(fitted):
    means, info = fitted.decide(V, return_info=True)
    assert ((info.lower < means) & (means < info.upper)).all()
    assert fitted.predict_distribution(V, of_mean=True).quantile(1e-6).min() > 0
    # of four observations with a deviation of 2 at one level, rows are known to less than 2 / 2
    assert 0 < np.median(info.expected_cost) < 1


def test_one_of_many_is_selected():
    selection = Selection(capacity=10)
    pdt = PretrainedDecisionTransformer(selection, checkpoint="demand", finetune=None).fit(V)
    picked, info = pdt.decide(V, return_info=True)
    assert picked.sum() == info.used == 10
    assert info["mean"][picked == 1].min() >= info["mean"][picked == 0].max()
