"""scikit-learn's full check list, and our own for `decide`, on every estimator."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._utils.checks import numeric_columns
from sklearn_pttf.baselines import (
    CensoredEmpiricalBayes,
    ExponentialSmoothing,
    JamesStein,
    KaplanMeierNewsvendor,
    LagBoosting,
    NegativeBinomialSmoothing,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PerRowDemandCurve,
    PooledDemandCurve,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    SeasonalNaive,
    ShrunkenSampleAverage,
)
from sklearn_pttf.finetune import AutoFinetune, HeadFinetune
from sklearn_pttf.problems import (
    Estimation,
    Newsvendor,
    PerRow,
    Pricing,
    Replenishment,
    Selection,
)
from sklearn_pttf.testing import decision_checks
from support.estimators import name_of
from support.networks import fresh_checkpoint

# the rows of the checks are odd, and would be trained on for seconds each; and what another problem
# is decided on is that of a fit to it only where nothing was learned for either
UNTRAINED = AutoFinetune(max_seconds=1e-6, baselines=False)
FOR_A_MOMENT = HeadFinetune(max_epochs=1, validation_fraction=0.5, baselines=False)
DECIDERS = [
    PretrainedDecisionTransformer(finetune=UNTRAINED),
    PretrainedDecisionTransformer(
        checkpoint=fresh_checkpoint(), finetune=FOR_A_MOMENT, random_state=0
    ),
    SampleAverage(),
    ShrunkenSampleAverage(),
    PooledRatio(),
    ParametricEmpiricalBayes(),
    NonparametricEmpiricalBayes(),
    CensoredEmpiricalBayes(),
    KaplanMeierNewsvendor(),
    QuantileBoosting(),
    JamesStein(Newsvendor()),
    ExponentialSmoothing(),
    NegativeBinomialSmoothing(),
    SeasonalNaive(),
    LagBoosting(),
    SampleAverage(Replenishment(4.0, 1.0)),
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
    CensoredEmpiricalBayes(Estimation()),
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


@parametrize_with_checks(DECIDERS + OF_VALUES + OF_AMOUNTS + SHARING + TRANSFORMERS)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", MORE_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", [*DECIDERS, JamesStein(), *TRANSFORMERS], ids=name_of)
def test_more_sklearn_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("check", TRANSFORMER_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_sklearn_transformer_checks(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("check", decision_checks(), ids=name_of)
@pytest.mark.parametrize("estimator", DECIDERS, ids=name_of)
def test_decision_check(estimator, check):
    check(clone(estimator))


@pytest.mark.parametrize("check", VALUE_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", OF_VALUES, ids=name_of)
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


# ---------------------------------------------------------------- successes in trials


class _AnySuccesses(Estimation):
    """For tables of any numbers of at least 0: they are rounded down to numbers of successes."""

    def read(self, X, names=None, positions=None, integer=None):
        X = np.floor(numeric_columns(X, range(X.shape[1])))
        return super().read(X, names, positions, integer)


_OF_SUCCESSES = _AnySuccesses(noise="binomial", trials=10**9)
OF_SUCCESSES = [
    PretrainedDecisionTransformer(_OF_SUCCESSES),
    ParametricEmpiricalBayes(_OF_SUCCESSES),
    SampleAverage(_OF_SUCCESSES),
]
NOT_OF_SUCCESSES = {  # they have no other unit; of another problem `fit` is not told the noise
    "check_decide_scale",
    "check_decide_other_problem",
    *(ORDER_CHECKS - {"check_decide_refusals"}),
}
SUCCESS_CHECKS = [check for check in decision_checks() if check.__name__ not in NOT_OF_SUCCESSES]


@parametrize_with_checks(OF_SUCCESSES)
def test_sklearn_check_of_successes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", MORE_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", OF_SUCCESSES, ids=name_of)
def test_more_sklearn_checks_of_successes(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("check", SUCCESS_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", OF_SUCCESSES, ids=name_of)
def test_decision_check_of_successes(estimator, check):
    check(clone(estimator))


# ---------------------------------------------------------------- prices


class _AnyPricing(Pricing):
    """For tables whose cells may all be 0 or missing: prices are one more, 1 where missing."""

    def read(self, X, names=None, positions=None, integer=None):
        X = np.array(numeric_columns(X, range(X.shape[1])))
        X[:, 0] = np.nan_to_num(X[:, 0]) + 1
        return super().read(X, names, positions, integer)


def _price_checkpoint():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = NetworkConfig(outcomes="prices", width=16, n_layers=1, n_tokens=4)
        return Checkpoint.from_network(DecisionNetwork(config), {"name": "random"})


def _pricing_estimators(problem):
    network = {"checkpoint": _price_checkpoint(), "finetune": None}
    return [
        PretrainedDecisionTransformer(problem, **network),
        PerRowDemandCurve(problem),
        PooledDemandCurve(problem),
    ]


@parametrize_with_checks(_pricing_estimators(_AnyPricing([0], [1])))
def test_sklearn_check_of_prices(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", MORE_CHECKS, ids=name_of)
@pytest.mark.parametrize("estimator", _pricing_estimators(_AnyPricing([0], [1]))[1:], ids=name_of)
def test_more_sklearn_checks_of_prices(estimator, check):
    check(type(estimator).__name__, clone(estimator))


PRICED = Pricing([0, 1, 2, 3], [4, 5, 6, 7], unit_cost=1.0, bounds=(1.5, 9.0))


def _priced(n_instances=23):
    """Four prices and their demand, with missing pairs; the last row has none."""
    rng = np.random.RandomState(0)
    prices = rng.uniform(3, 7, size=(n_instances, 4))
    demand = rng.gamma(4, rng.lognormal(3, 1, size=(n_instances, 1)) / prices)
    missing = rng.uniform(size=prices.shape) < 0.2
    missing[-1] = True
    return np.hstack([np.where(missing, np.nan, prices), np.where(missing, np.nan, demand)])


priced_estimators = pytest.mark.parametrize("estimator", _pricing_estimators(PRICED), ids=name_of)


@priced_estimators
def test_pricing_unfitted(estimator):
    for method in ("decide", "predict", "predict_distribution", "score"):
        with pytest.raises(NotFittedError):
            getattr(clone(estimator), method)(_priced())
    with pytest.raises(NotFittedError):
        clone(estimator).predict_quantiles(_priced(), [0.5])


@priced_estimators
def test_pricing_features(estimator):
    X = _priced()
    fitted = clone(estimator).fit(X)
    for call in (fitted.decide, fitted.predict, partial(fitted.predict_distribution, price=3.0)):
        with pytest.raises(ValueError, match="features"):
            call(X[:, :-1])
        with pytest.raises(ValueError, match="Reshape your data"):
            call(X[0])


@priced_estimators
def test_pricing_output(estimator):
    X = _priced()
    before = X.copy()
    fitted = clone(estimator).fit(X)
    prices, info = fitted.decide(X, return_info=True)
    np.testing.assert_array_equal(X, before)
    assert prices.shape == info.expected_profit.shape == (len(X),)
    assert np.isfinite(prices).all()
    assert ((prices >= 1.5) & (prices <= 9)).all()
    assert (info.expected_profit >= 0).all()
    assert (info.elasticity <= 1e-6).all()
    np.testing.assert_array_equal(fitted.decide(X), prices)
    assert (np.diff(fitted.predict_quantiles(X, [0.05, 0.5, 0.95]), axis=1) >= 0).all()
    score = fitted.score(X)
    assert isinstance(score, float)
    assert score <= 1


@priced_estimators
def test_pricing_subset_invariance(estimator):
    X = _priced()
    fitted = clone(estimator).fit(X)
    some = np.random.RandomState(1).permutation(len(X))[:7]
    for call in (fitted.decide, fitted.predict):
        whole = call(X)
        one_by_one = np.concatenate([call(row[None]) for row in X])
        np.testing.assert_allclose(one_by_one, whole, rtol=1e-9)
        np.testing.assert_allclose(call(X[some]), whole[some], rtol=1e-9)


@priced_estimators
def test_pricing_permutation(estimator):
    """The order of rows, of pairs, and of the rows of `fit` does not matter."""
    X = _priced()
    fitted = clone(estimator).fit(X)
    rng = np.random.RandomState(2)
    rows, cells = rng.permutation(len(X)), rng.permutation(4)
    Z = X[:, np.r_[cells, 4 + cells]]
    shuffled = clone(estimator).fit(Z[rows])
    # a best price may be told from its neighbour on the grid by rounding
    np.testing.assert_allclose(shuffled.decide(Z), fitted.decide(X), rtol=1e-3)
    np.testing.assert_allclose(shuffled.predict(Z), fitted.predict(X), rtol=1e-6)


@priced_estimators
def test_pricing_scale(estimator):
    """Other units of demand and of money give the same prices in that unit."""
    X = _priced()
    prices = clone(estimator).fit(X).decide(X)
    for money, unit in ((7.3, 1.0), (1.0, 1e6), (1e-3, 1e-6)):
        Z = np.hstack([money * X[:, :4], unit * X[:, 4:]])
        problem = Pricing(
            PRICED.prices, PRICED.demands, unit_cost=money, bounds=(1.5 * money, 9 * money)
        )
        scaled = clone(estimator).set_params(problem=problem).fit(Z).decide(Z)
        np.testing.assert_allclose(scaled / money, prices, rtol=2e-3)


@priced_estimators
def test_pricing_keeps_state(estimator):
    X = _priced()
    fitted = clone(estimator).fit(X)
    before = pickle.dumps(fitted)
    fitted.decide(X, return_info=True)
    fitted.decide(X, problem=clone(PRICED).set_params(unit_cost=2.0))
    fitted.predict_distribution(X, price=4.0)
    fitted.score(X)
    assert pickle.dumps(fitted) == before
    again = pickle.loads(before)
    np.testing.assert_array_equal(again.decide(X), fitted.decide(X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
