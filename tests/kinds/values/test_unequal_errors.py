"""Standard errors of any size: exact Bayes where they lie far apart; no row moves the others."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
)
from sklearn_pttf.problems import Estimation, Selection

SOME = settings(max_examples=10, deadline=None)
POWERS = st.floats(-9, 9)


def _fitted(X, known=True):
    problem = Estimation(standard_errors=Column(X.shape[1] - 1) if known else None)
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)


def _decided(X, known=True):
    """Estimates, and the ends of their intervals."""
    decisions, info = _fitted(X, known).decide(X, return_info=True)
    return np.stack([decisions, info.lower, info.upper])


def _table(errors, spread=1.0, seed=0, centre=0.0):
    """One observation a row and its standard error; the true means; those of exact Bayes."""
    rng = np.random.default_rng(seed)
    truth = centre + spread * rng.normal(size=len(errors))
    X = np.column_stack([truth + errors * rng.normal(size=len(errors)), errors])
    trust = spread**2 / (spread**2 + errors**2)
    return X, truth, centre + trust * (X[:, 0] - centre), trust * errors**2


# ------------------------------------------------------------------ one hopeless row


@pytest.mark.parametrize("error", [1e3, 1e6, 1e9])
def test_a_hopeless_row_is_as_one_without_an_observation(error):
    """The others as well: all as they are without its observation, to 1 % of an interval."""
    X, truth, _, _ = _table(np.full(50, 0.5))
    cold = X.copy()
    cold[0, 0] = np.nan
    expected = _decided(cold)
    X[0] = truth[0] + 1.3 * error, error
    width = (expected[2] - expected[1]).min()
    assert np.abs(_decided(X) - expected).max() < 0.01 * width
    # told of it when deciding only
    X[0] = 1.0, 0.5
    fitted = _fitted(X)
    others = fitted.decide(X[1:])
    X[0] = 1.3 * error, error
    np.testing.assert_allclose(fitted.decide(X)[1:], others, rtol=1e-9)
    X[0, 0] = np.nan
    cold = fitted.decide(X)[0]
    X[0, 0] = -1.3 * error
    assert fitted.decide(X)[0] == pytest.approx(cold, abs=0.01 * width)


@pytest.mark.parametrize("error", [1e3, 1e9])
def test_a_hopeless_row_does_not_change_who_is_picked(error):
    X, _, _, _ = _table(np.full(50, 0.5), centre=1.0)
    problem = Selection(5, standard_errors=Column(1))
    pdt = PretrainedDecisionTransformer(problem, finetune=None, device="cpu")
    before = pdt.fit(X).decide(X)
    worst = np.argmin(X[:, 0])
    X[worst] = -error, error
    assert before.sum() == 5
    np.testing.assert_array_equal(pdt.fit(X).decide(X), before)


def test_outcomes_of_a_hopeless_row_are_as_noisy_as_it_is_told():
    X, _, _, _ = _table(np.full(50, 0.5))
    X[0] = 1e6, 1e6
    lower, upper = _fitted(X).predict_quantiles(X, [0.05, 0.95])[0]
    assert upper - lower == pytest.approx(2 * 1.645e6, rel=0.15)


# ------------------------------------------------------------------ errors that lie far apart

TWO = np.where(np.arange(500) % 2, 1.0, 1e-3)
FAR_APART = {
    "two": (TWO, 1.0),
    "two, means close together": (TWO, 1e-3),
    "a tenth precise": (np.where(np.arange(500) % 10, 1.0, 1e-3), 1.0),
    "a tenth vague": (np.where(np.arange(500) % 10, 1e-3, 1.0), 1.0),
    "four decades": (np.logspace(-4, 0, 500), 1.0),
    "four decades, means close together": (np.logspace(-4, 0, 500), 1e-3),
    "six decades": (np.logspace(-4, 2, 500), 1.0),
    "all precise": (np.full(500, 1e-4), 1.0),
}


@pytest.mark.parametrize("name", FAR_APART)
def test_rows_are_estimated_as_by_exact_bayes(name):
    """Squared error at most 1.05 of Bayes', and 88 to 92 % of means covered; over three draws."""
    errors, spread = FAR_APART[name]
    excess, least, covered = 0.0, 0.0, []
    for seed in range(3):
        X, truth, bayes, variance = _table(errors, spread, seed, centre=3.0)
        decisions, lower, upper = _decided(X)
        excess += ((decisions - bayes) ** 2).sum()
        least += variance.sum()
        covered.append(np.mean((lower <= truth) & (truth <= upper)))
    assert excess < 0.05 * least
    assert 0.88 <= np.mean(covered) <= 0.92


def test_outcomes_of_rows_with_errors_that_lie_far_apart():
    """90 % intervals of later observations cover 88 to 92 % in both halves."""
    X, truth, _, _ = _table(TWO, seed=1)
    lower, upper = _fitted(X).predict_quantiles(X, [0.05, 0.95]).T
    later = truth[:, None] + TWO[:, None] * np.random.default_rng(2).normal(size=(500, 20))
    covered = ((lower[:, None] <= later) & (later <= upper[:, None])).mean(axis=1)
    assert 0.88 <= covered[::2].mean() <= 0.92
    assert 0.88 <= covered[1::2].mean() <= 0.92


def test_exact_laws_are_pickled_and_decide_rows_one_by_one():
    X, _, _, _ = _table(TWO)
    fitted = _fitted(X)
    expected = fitted.decide(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).decide(X), expected)
    one_by_one = np.concatenate([fitted.decide(row[None]) for row in X[:20]])
    np.testing.assert_allclose(one_by_one, expected[:20], rtol=1e-9, atol=1e-12)


def test_decisions_do_not_jump_where_the_exact_law_takes_over():
    """As the errors that are told of half of the rows fall from 0.1 to 0.01, in steps of 20 %."""
    X, _, _, _ = _table(np.where(np.arange(100) % 2, 1.0, 0.1))
    decisions = []
    for ratio in 0.8 ** np.arange(11):
        told = np.column_stack([X[:, 0], np.where(np.arange(100) % 2, 1.0, 0.1 * ratio)])
        decisions.append(_fitted(told).decide(told))
    assert np.abs(np.diff(decisions, axis=0)).max() < 0.05


# ------------------------------------------------------------------ no row moves the others


def _moved(X, changed, known=True):
    """By how much others' estimates move on average, in widths of their intervals."""
    before, after = (_decided(each, known)[:, 1:] for each in (X, changed))
    return np.abs(after[0] - before[0]).mean() / (before[2] - before[1]).mean()


@given(st.integers(0, 5), POWERS)
@SOME
def test_no_standard_error_moves_the_others(seed, power):
    X, truth, _, _ = _table(np.full(50, 0.5), seed=seed)
    changed = X.copy()
    changed[0, 1] *= 10**power
    changed[0, 0] = truth[0] + 1.3 * changed[0, 1]
    assert _moved(X, changed) < 0.05


@given(st.integers(0, 5), POWERS)
@SOME
def test_no_value_with_a_standard_error_moves_the_others(seed, power):
    X, _, _, _ = _table(np.full(50, 0.5), seed=seed)
    changed = X.copy()
    changed[0, 0] *= 10**power
    assert _moved(X, changed) < 0.05


@given(st.integers(0, 5), st.sampled_from([1, 4]), st.floats(1.5, 9), st.sampled_from([-1, 1]))
@SOME
def test_no_value_far_out_moves_the_others(seed, n_observations, power, sign):
    """Without standard errors; nearer by, it may say that means or noise are heavy-tailed."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 1)) + 0.5 * rng.normal(size=(50, n_observations))
    changed = X.copy()
    changed[0] += sign * 10**power
    assert _moved(X, changed, known=False) < 0.05
    decisions = _fitted(changed, known=False).decide(changed)
    assert decisions[0] == pytest.approx(changed[0].mean(), abs=1.0)


# ------------------------------------------------------------------ laws agree with themselves


@given(
    st.integers(0, 100),
    st.sampled_from([20, 50, 300]),
    st.sampled_from([1, 6]),
    st.sampled_from([0.0, 0.5, 0.9, 0.99]),
    st.sampled_from([None, 0.0, 1.0, 3.0]),
)
@settings(max_examples=20, deadline=None)
def test_means_of_laws_are_those_of_the_table(seed, n_rows, n_observations, zeros, uneven):
    """To two standard errors; without standard errors a share of the observations is 0."""
    rng = np.random.default_rng(seed)
    truth = 2 + rng.normal(size=n_rows)
    errors = np.exp((uneven or 0.0) * rng.normal(size=n_rows))
    X = truth[:, None] + errors[:, None] * rng.normal(size=(n_rows, n_observations))
    if uneven is None:
        X[1:] *= rng.random((n_rows - 1, n_observations)) >= zeros
        X[0, 0] = -0.25  # no counts
        weights = np.ones(n_rows)
    else:
        weights = 1 / (1 + errors**2 / n_observations)
    table = X if uneven is None else np.column_stack([X, errors])
    fitted = _fitted(table, known=uneven is not None)
    means = fitted.predict(table)
    law = fitted.predict_distribution(table, of_mean=True)
    np.testing.assert_allclose(means, law.mean(), rtol=1e-6, atol=1e-9)
    own = X.mean(axis=1)
    middle = np.average(own, weights=weights)
    error = np.sqrt((weights**2 * (own - middle) ** 2).sum()) / weights.sum()
    assert abs(np.average(means, weights=weights) - middle) < 2 * error + 1e-9


# ------------------------------------------------------------------ baselines


@pytest.mark.parametrize(
    "baseline", [JamesStein, ParametricEmpiricalBayes, NonparametricEmpiricalBayes]
)
@pytest.mark.parametrize("error", [1e3, 1e9, 5e-4, 5e-10])
def test_one_standard_error_hardly_moves_baselines(baseline, error):
    X, truth, _, _ = _table(np.full(50, 0.5))
    options = {} if baseline is JamesStein else {"family": "normal"}
    estimator = baseline(Estimation(standard_errors=Column(1)), **options)
    before = estimator.fit(X).decide(X)
    X[0] = truth[0] + error, error
    after = estimator.fit(X).decide(X)
    assert np.abs(after - before)[1:].mean() < 0.1
