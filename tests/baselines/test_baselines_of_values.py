"""What every baseline makes of values of any sign."""

import numpy as np
import pytest

from sklearn_pttf import Column
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.baselines._values import common_error, law_of_means, size_of
from sklearn_pttf.problems import Estimation, Selection

nan = np.nan
VALUES = np.array([[-1.0, 2.0, 0.5], [4.0, nan, 3.0], [-2.0, -2.5, nan], [nan, nan, nan]])
ANY_SIGN = [
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    SampleAverage,
    ShrunkenSampleAverage,
]


def test_sample_averages_are_means():
    saa = SampleAverage(Estimation()).fit(VALUES)
    np.testing.assert_allclose(saa.decide(VALUES), [0.5, 3.5, -2.25, 4 / 7])
    picks = SampleAverage(Selection(2)).fit(VALUES).decide(VALUES)
    np.testing.assert_array_equal(picks, [0, 1, 0, 1])


@pytest.mark.parametrize("kind", ANY_SIGN)
def test_estimates(kind):
    for problem, X in (
        (Estimation(), VALUES),
        (Estimation(standard_errors=Column(3)), np.column_stack([VALUES, [1.0, nan, 0.5, 2.0]])),
    ):
        fitted = kind(problem).fit(X)
        means, info = fitted.decide(X, return_info=True)
        np.testing.assert_allclose(means, fitted.decide(X), rtol=1e-9)
        np.testing.assert_allclose(means, fitted.predict(X), rtol=1e-9)
        assert (info.lower <= info.upper).all()
        assert (info.expected_cost >= 0).all()
        assert -2.5 <= means[2] < means[0] < means[1] <= 4.0
        assert means[2] < means[3] < means[1]


@pytest.mark.parametrize("kind", [PooledRatio, QuantileBoosting])
def test_ratios_refuse_values_below_zero(kind):
    message = f"Negative values in data: {kind.__name__} needs .* row 0: -1.0.* Use Parametric"
    for problem in (Estimation(), Selection(2)):
        with pytest.raises(ValueError, match=message):
            kind(problem).fit(VALUES)
    positive = np.abs(VALUES)
    fitted = kind(Estimation()).fit(positive)
    assert (fitted.decide(positive) > 0).all()
    with pytest.raises(ValueError, match=message):
        fitted.decide(VALUES)
    assert kind(Estimation()).__sklearn_tags__().input_tags.positive_only
    assert not SampleAverage(Estimation()).__sklearn_tags__().input_tags.positive_only


def test_noise_by_hand():
    # 4.5, 0.5 and 0.125 over two, one and one degrees of freedom
    assert common_error(VALUES) ** 2 == pytest.approx(5.125 / 4)
    errors = np.array([1.0, nan, 3.0, 2.0])
    assert common_error(VALUES, errors) ** 2 == pytest.approx(0.5)
    assert common_error(VALUES[:, :1], errors) ** 2 == pytest.approx(14 / 3)
    assert common_error(VALUES[:, :1]) ** 2 == pytest.approx(np.var([-1, 4, -2], ddof=1) / 2)


def test_size():
    assert size_of(VALUES - 1e3) == pytest.approx(np.nanstd(VALUES))
    assert size_of(np.full((2, 3), -0.1)) == 0.1
    assert size_of(np.zeros((2, 3))) == 1.0


def test_law_of_means_of_equal_variances():
    means = np.array([-3.0, 0.0, 1.0, 6.0, 11.0])
    mean, spread = law_of_means(means, np.full(5, 4.0))
    assert (mean, spread**2) == pytest.approx((3.0, means.var(ddof=1) - 4.0), rel=0.01)
