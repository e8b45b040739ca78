"""scikit-learn's full check list, and our own for `decide`, on every estimator."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_pttf import PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.problems import Estimation, Newsvendor, PerRow, Selection
from sklearn_pttf.testing import decision_checks

DECIDERS = [
    PretrainedDecisionTransformer(),
    PretrainedDecisionTransformer(finetune=HeadFinetune(max_epochs=1), random_state=0),
    SampleAverage(),
    ShrunkenSampleAverage(),
    PooledRatio(),
    ParametricEmpiricalBayes(),
    NonparametricEmpiricalBayes(),
    QuantileBoosting(),
    JamesStein(Newsvendor()),
]
OF_VALUES = [
    PretrainedDecisionTransformer(Estimation(), finetune=None),
    JamesStein(),
    ParametricEmpiricalBayes(Estimation()),
    NonparametricEmpiricalBayes(Estimation()),
    ShrunkenSampleAverage(Estimation()),
    SampleAverage(Estimation()),
]
OF_AMOUNTS = [
    ParametricEmpiricalBayes(Estimation(), family="lognormal"),
    NonparametricEmpiricalBayes(Estimation(), family="lognormal"),
    PooledRatio(Estimation()),
    QuantileBoosting(Estimation()),
]
SHARING = [
    PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, limit=PerRow(2.0)), finetune=None),
    SampleAverage(Newsvendor(4.0, 1.0, limit=PerRow(2.0), upper=50.0)),
    PretrainedDecisionTransformer(Selection(2), finetune=None),
    SampleAverage(Selection(2)),
    ShrunkenSampleAverage(Selection(PerRow(0.2))),
    ParametricEmpiricalBayes(Selection(PerRow(0.2), integer=True)),
]
TRANSFORMERS = [SyntheticPrior(n_simulations=100, random_state=0)]
# part of scikit-learn's own test suite, but not of the list that it runs for others
MORE_CHECKS = [
    estimator_checks.check_param_validation,
    estimator_checks.check_dataframe_column_names_consistency,
]
TRANSFORMER_CHECKS = [
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]
ORDER_CHECKS = {  # of `decide`, that estimates need not pass
    "check_decide_output",
    "check_decide_whole_numbers",
    "check_decide_monotone",
    "check_decide_odd_rows",
    "check_decide_refusals",
}
VALUE_CHECKS = [check for check in decision_checks() if check.__name__ not in ORDER_CHECKS]


def _name(value):
    return value.__name__ if inspect.isfunction(value) else type(value).__name__


@parametrize_with_checks(DECIDERS + OF_VALUES + OF_AMOUNTS + SHARING + TRANSFORMERS)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", MORE_CHECKS, ids=_name)
@pytest.mark.parametrize("estimator", [*DECIDERS, JamesStein(), *TRANSFORMERS], ids=_name)
def test_more_sklearn_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("check", TRANSFORMER_CHECKS, ids=_name)
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=_name)
def test_sklearn_transformer_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("check", decision_checks(), ids=_name)
@pytest.mark.parametrize("estimator", DECIDERS, ids=_name)
def test_decision_check(estimator, check):
    check(clone(estimator))


@pytest.mark.parametrize("check", VALUE_CHECKS, ids=_name)
@pytest.mark.parametrize("estimator", OF_VALUES, ids=_name)
def test_decision_check_of_values(estimator, check):
    check(clone(estimator))


class _Broken(SampleAverage):
    """Decides like SAA, but looks at the other rows of the call."""

    def decide(self, X, *, problem=None, return_info=False):
        out = super().decide(X, problem=problem, return_info=return_info)
        return out if return_info else np.ceil(out + len(X) / 10)


def test_checks_can_fail():
    failed = []
    for check in decision_checks():
        try:
            check(_Broken())
        except AssertionError:
            failed.append(check.__name__)
    assert "check_decide_subset_invariance" in failed
    assert "check_decide_scale" in failed
