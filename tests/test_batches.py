"""A row's decision is its own, whatever rows are decided with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Column
from sklearn_pttf._laws.parametric import PoissonLaw
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PerRowDemandCurve,
    PooledDemandCurve,
    PooledRatio,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.problems import DecisionProblem, Estimation, Newsvendor, Pricing
from support.estimators import network

MANY = settings(max_examples=12, deadline=None)


class Clearance(DecisionProblem):
    """What is left over beyond five units costs more."""

    def __init__(self, integer=None):
        self.integer = integer

    def cost(self, decision, outcome):
        left = np.maximum(decision - outcome, 0)
        return 6.0 * np.maximum(outcome - decision, 0) + 4.0 * left - 2.0 * np.minimum(left, 5)


OF_DEMAND = (
    network,
    SampleAverage,
    ShrunkenSampleAverage,
    PooledRatio,
    ParametricEmpiricalBayes,
    NonparametricEmpiricalBayes,
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
DEMAND = (
    Newsvendor(99.0, 1.0),
    Newsvendor(4.0, 1.0, horizon=2),
    Newsvendor(99.0, 1.0, horizon=5),
    Newsvendor(4.0, 1.0, risk=("cvar", 0.9)),
    Newsvendor(4.0, 1.0, risk=("quantile", 0.8)),
    Newsvendor(4.0, 1.0, horizon=3, risk=("cvar", 0.9)),
    Clearance(),
    Clearance(integer=False),
)


def demand(seed, form, n_rows=10):
    """Counts, amounts, slow rows among fast ones, or nearly nothing; with missing cells."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(1.0, 1.5, (n_rows, 1))
    X = level * rng.lognormal(0.0, 0.5, (n_rows, 5))
    if form == "counts":
        X = rng.poisson(level * rng.gamma(2.0, 0.5, X.shape)).astype(float)
    elif form == "uneven":
        X = np.rint(X * rng.choice([0.1, 1e3], (n_rows, 1)))
    elif form == "slow":
        X = (rng.random(X.shape) < 0.1).astype(float)
    if form != "slow":
        X[rng.random(X.shape) < 0.2] = np.nan
    X[0] = np.nan
    X[1] = 3.0
    return X


def agree(estimator, X, rows=(1, 4, 9)):
    """Decisions and what is told of them, all rows together and one by one."""
    decisions, info = estimator.decide(X, return_info=True)
    for row in rows:
        alone, told = estimator.decide(X[row : row + 1], return_info=True)
        assert_allclose(alone[0], decisions[row], rtol=1e-9, atol=1e-9)
        for name, values in info.items():
            assert_allclose(told[name][0], values[row], rtol=1e-9, atol=1e-9, err_msg=name)


@MANY
@given(
    st.integers(0, 10**6),
    st.sampled_from(["counts", "amounts", "uneven", "slow"]),
    st.sampled_from(OF_DEMAND),
    st.sampled_from(DEMAND),
)
def test_demand(seed, form, kind, problem):
    X = demand(seed, form)
    agree(kind(problem).fit(X), X)


@MANY
@given(
    st.integers(0, 10**6),
    st.sampled_from([None, 0.5, Column(5)]),
    st.booleans(),
    st.sampled_from(OF_VALUES),
)
def test_means(seed, errors, counted, kind):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(10, 5)), rng.lognormal(size=10)])
    problem = Estimation(standard_errors=errors)
    if counted:
        X, problem = demand(seed, "counts"), Estimation(noise="poisson")
    agree(kind(problem).fit(X), X)


@MANY
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(OF_PRICES))
def test_prices(seed, whole, kind):
    rng = np.random.default_rng(seed)
    prices = 10.0 * rng.lognormal(rng.normal(0, 0.3, (10, 1)), 0.1, (10, 4))
    sold = 20.0 * rng.lognormal(0.0, 0.5, (10, 1)) * (prices / 10.0) ** -2.0
    sold = rng.poisson(sold).astype(float) if whole else sold * rng.lognormal(0, 0.2, sold.shape)
    X = np.hstack([prices, sold])
    problem = Pricing([0, 1, 2, 3], [4, 5, 6, 7], unit_cost=4.0, bounds=(6.0, 20.0))
    agree(kind(problem).fit(X), X)


def test_orders_over_a_horizon_do_not_depend_on_the_block():
    """Rows whose periods hang together little and much, each with nodes of its own."""
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.lognormal(1.0, 2.0, (300, 1)) * rng.gamma(2.0, 0.5, (300, 2)))
    estimator = network(Newsvendor(99.0, 1.0, horizon=5)).fit(X)
    together = estimator.decide(X)
    alone = np.concatenate([estimator.decide(X[row : row + 1]) for row in range(30)])
    assert_array_equal(alone, together[:30])


@pytest.mark.parametrize("rates", [[0.05, 3.0], [3.0, 2000.0], [0.05, 1e6]])
def test_atoms_of_a_row_end_where_its_own_do(rates):
    outcomes, weights = PoissonLaw(rates).nodes()
    alone, own = PoissonLaw(rates[:1]).nodes()
    assert_array_equal(np.unique(outcomes[0]), np.unique(alone[0]))
    assert_allclose(weights[0].sum(), own[0].sum(), rtol=1e-15)
