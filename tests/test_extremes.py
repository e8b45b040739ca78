"""Numbers of any size: finite decisions in little time, or a refusal that names the limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf._utils.checks import LARGEST, SMALLEST
from sklearn_pttf.baselines import (
    CensoredEmpiricalBayes,
    JamesStein,
    KaplanMeierNewsvendor,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PerRowDemandCurve,
    PooledDemandCurve,
    PooledRatio,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing, Selection
from support.estimators import network

SOME = settings(max_examples=14, deadline=None)
EXPONENT = st.integers(-99, 99)


OF_DEMAND = (
    network,
    SampleAverage,
    ShrunkenSampleAverage,
    PooledRatio,
    ParametricEmpiricalBayes,
    NonparametricEmpiricalBayes,
    CensoredEmpiricalBayes,
    KaplanMeierNewsvendor,
    JamesStein,
)
OF_VALUES = (
    network,
    SampleAverage,
    ParametricEmpiricalBayes,
    NonparametricEmpiricalBayes,
    JamesStein,
)
OF_PRICES = network, PerRowDemandCurve, PooledDemandCurve


def levels(n_rows=30, n_columns=4):
    """Amounts around 1."""
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, 0.5, (n_rows, 1)) * rng.lognormal(0.0, 0.3, (n_rows, n_columns))


# ------------------------------------------------------------------ counts that are large

LARGE = [1e10, 4e15, 1e60]


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("kind", OF_DEMAND)
def test_large_counts_are_amounts(kind, size):
    """Where a unit is next to nothing, orders and means are those of amounts of that size."""
    whole = np.rint(levels() * size)
    estimator = kind(Newsvendor(4.0, 1.0)).fit(whole)
    smaller = np.rint(levels() * 1e8)
    reference = kind(Newsvendor(4.0, 1.0)).fit(smaller)
    assert_allclose(estimator.decide(whole) / size, reference.decide(smaller) / 1e8, rtol=2e-6)
    assert_allclose(estimator.predict(whole) / size, reference.predict(smaller) / 1e8, rtol=2e-6)


@pytest.mark.parametrize("size", LARGE)
def test_large_poisson_counts_are_known_exactly(size):
    """Their means have next to no noise: rows are not pulled towards others."""
    X = np.rint(levels() * size)
    for kind in (ParametricEmpiricalBayes, JamesStein):
        means = kind(Estimation(noise="poisson")).fit(X).decide(X)
        assert_allclose(means, X.mean(axis=1), rtol=1e-7)
    nonparametric = NonparametricEmpiricalBayes(family="poisson").fit(X)
    means = nonparametric.predict(X)  # the nearest levels of its grid
    assert_allclose(means, X.mean(axis=1), rtol=0.06)


@pytest.mark.parametrize("size", [4e15])
def test_finetuning_and_its_baselines_take_large_counts(size):
    X = np.rint(levels(16) * size)
    finetune = HeadFinetune(max_epochs=1)
    estimator = PretrainedDecisionTransformer(
        Newsvendor(4.0, 1.0), finetune=finetune, random_state=0
    ).fit(X)
    report = estimator.finetune_report_
    assert list(report["candidate"]) == ["pretrained", "finetuned", "blend", "baseline"]
    assert np.isfinite(report["mean_cost"]).all()
    assert np.isfinite(estimator.decide(X)).all()


@pytest.mark.parametrize("size", [1e6, 1e12, 1e99])
def test_a_limit_shares_out_large_counts(size):
    """SAA jumps from one observation to another, by more units than can be bought one by one."""
    X = np.rint(levels() * size)
    problem = Newsvendor(4.0, 1.0, limit=20.0 * size)
    for kind in (SampleAverage, network):
        estimator = kind(problem).fit(X)
        orders, info = estimator.decide(X, return_info=True)
        assert_array_equal(orders, np.rint(orders))
        assert 20.0 * size * (1 - 1e-4) < orders.sum() <= 20.0 * size * (1 + 1e-12)
        assert info.expected_cost.sum() <= info.dual_bound + 1e-6 * abs(info.dual_bound)


# ------------------------------------------------------------------ any size


def finite(estimator, X):
    decisions, info = estimator.decide(X, return_info=True)
    assert np.isfinite(decisions).all()
    assert all(np.isfinite(values).all() for values in info.values())
    assert np.isfinite(estimator.predict(X)).all()
    assert np.isfinite(estimator.score(X))


def table(seed, exponents):
    """Rows of sizes ten to some powers, some zeros and missing cells among them."""
    rng = np.random.default_rng(seed)
    X = rng.lognormal(0.0, 0.5, (8, 3)) * 10.0 ** rng.choice(exponents, (8, 1))
    X[rng.random(X.shape) < 0.1] = 0.0
    X[rng.random(X.shape) < 0.1] = np.nan
    X[0] = 10.0 ** exponents[0]
    return np.rint(X) if seed % 3 == 0 else X


SEEDS = st.integers(0, 10**6)
SIZES = st.lists(EXPONENT, min_size=1, max_size=3)


@SOME
@given(
    SEEDS,
    SIZES,
    EXPONENT,
    st.sampled_from(OF_DEMAND),
    st.sampled_from(
        [{}, {"horizon": 2}, {"risk": ("cvar", 0.9)}, {"risk": ("quantile", 0.8)}, {"limit": 9.0}]
    ),
)
def test_orders_are_finite(seed, sizes, cost, kind, asked):
    X = table(seed, sizes)
    finite(kind(Newsvendor(4.0 * 10.0**cost, 10.0**cost, **asked)).fit(X), X)


@SOME
@given(SEEDS, SIZES, SIZES, st.booleans(), st.sampled_from(OF_VALUES))
def test_means_and_picks_are_finite(seed, sizes, errors, picked, kind):
    rng = np.random.default_rng(seed)
    X = table(seed, sizes) * rng.choice([-1.0, 1.0], (8, 3))
    error = 10.0 ** rng.choice(errors, 8)
    X = np.column_stack([X, np.where(rng.random(8) < 0.3, np.nan, error)])
    problem = Estimation(standard_errors=Column(3))
    if picked:
        problem = Selection(3, standard_errors=Column(3))
    finite(kind(problem).fit(X), X)


@pytest.mark.filterwarnings("ignore:unit_cost is above the upper bound")
@SOME
@given(SEEDS, SIZES, EXPONENT, EXPONENT, st.sampled_from(OF_PRICES))
def test_prices_are_finite(seed, sizes, price, cost, kind):
    rng = np.random.default_rng(seed)
    prices = 10.0**price * rng.lognormal(0.0, 0.2, (8, 3))
    X = np.hstack([prices, table(seed, sizes)])
    finite(kind(Pricing([0, 1, 2], [3, 4, 5], unit_cost=10.0**cost)).fit(X), X)


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize("value", [1e101, -1e155, 1e307])
def test_numbers_beyond_the_limit_are_refused(value):
    X = np.array([[1.0, 2.0], [3.0, value], [4.0, 5.0]])
    message = r"X must hold numbers of at most 1e\+100 in size; got row 1: "
    with pytest.raises(ValueError, match=message):
        JamesStein().fit(X)
    fitted = JamesStein().fit(X[::2])
    with pytest.raises(ValueError, match=message):
        fitted.decide(X)
    with pytest.raises(ValueError, match=r"y must hold numbers of at most 1e\+100 in size"):
        fitted.score(X[::2], [1.0, value])
    with pytest.raises(ValueError, match=r"column standard_errors=.* must hold numbers of at most"):
        JamesStein(Estimation(standard_errors=Column(1))).fit(np.abs(X))


@pytest.mark.parametrize("value", [1e101, 1e-101])
def test_costs_and_bounds_beyond_the_limits_are_refused(value):
    for name in ("underage", "overage", "upper", "limit_weights"):
        problem = Newsvendor(**{name: value}, limit=3.0 if name == "limit_weights" else None)
        message = rf"{name} must be 0 or of a size in \[1e-100, 1e\+100\]; got {value!r}"
        with pytest.raises(ValueError, match=message.replace("e+101", r"e\+101")):
            problem.read(np.ones((2, 2)))


def test_what_is_next_to_nothing_is_taken_for_0():
    X = np.array([[0.5, SMALLEST], [1e-101, -5e-324], [-1.5, 1e-300]])
    portfolio = Estimation().read(X)
    assert_array_equal(portfolio.observations, [[0.5, SMALLEST], [0.0, 0.0], [-1.5, 0.0]])
    assert X[2, 1] == 1e-300  # the caller's table stays as it was
    assert_array_equal(Estimation().read(np.full((2, 2), LARGEST)).observations, LARGEST)


@pytest.mark.parametrize("bounds", [(1e-310, 10.0), (5e-324, 1e308), (1.0, np.inf)])
def test_bounds_of_prices_that_no_ratio_is_a_number_of_are_refused(bounds):
    """The search once halved an infinite step for ever."""
    pairs = np.random.default_rng(0).gamma(3.0, 1.0, (10, 6))
    problem = Pricing([0, 1, 2], [3, 4, 5], bounds=bounds)
    with pytest.raises(ValueError, match="bounds must be"):
        PooledDemandCurve(problem).fit(pairs)
    columns = Pricing([0, 1, 2], [3, 4, 5], bounds=(Column(6), Column(7)))
    with pytest.raises(ValueError, match=r"bounds must be|contains infinity|must hold numbers"):
        PooledDemandCurve(columns).fit(np.column_stack([pairs, np.tile(bounds, (10, 1))]))


def test_bounds_of_prices_as_far_apart_as_numbers_are():
    pairs = np.random.default_rng(0).gamma(3.0, 1.0, (10, 6))
    problem = Pricing([0, 1, 2], [3, 4, 5], bounds=(SMALLEST, LARGEST))
    prices = PooledDemandCurve(problem).fit(pairs).decide(pairs)
    assert ((prices >= SMALLEST) & (prices <= LARGEST)).all()
