"""Checks that every estimator with `decide` passes, beside scikit-learn's own."""

import pickle
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_pttf.problems import Newsvendor

RATIOS = (0.001, 0.1, 0.5, 0.9, 0.999)


def _counts(n_instances=23, n_observations=6):
    """Whole-number demand with missing cells; the last row has none."""
    rng = np.random.RandomState(0)
    X = rng.poisson(rng.gamma(2.0, 5.0, size=(n_instances, 1)), size=(n_instances, n_observations))
    X = X.astype(float)
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    X[-1] = np.nan
    return X


def _require(condition, message):
    if not condition:
        raise AssertionError(message)


def _require_error(kind, call, part=""):
    """``call`` raises ``kind``, and its message holds ``part``."""
    try:
        call()
    except kind as error:
        _require(part in str(error), f"expected {part!r} in the message; got {str(error)!r}")
    else:
        raise AssertionError(f"expected {kind.__name__}, but nothing was raised")


def _ordered(fitted):
    """Whether a fitted estimator takes observations in the order of time."""
    return getattr(getattr(fitted, "problem_", None), "ordered", False)


def check_decide_unfitted(estimator):
    """An unfitted estimator refuses to decide, predict and score."""
    X = _counts()
    for method in ("decide", "predict", "predict_distribution", "score"):
        _require_error(NotFittedError, partial(getattr(clone(estimator), method), X))


def check_decide_features(estimator):
    """X with another number of columns, or one dimension, is refused."""
    X = _counts()
    estimator = clone(estimator).fit(X)
    _require_error(ValueError, lambda: estimator.decide(X[:, :-1]), "features")
    _require_error(ValueError, lambda: estimator.decide(X[0]), "Reshape your data")


def check_decide_output(estimator):
    """One finite decision a row, never negative, and X as it was."""
    X = _counts()
    before = X.copy()
    estimator = clone(estimator).fit(X)
    decisions, info = estimator.decide(X, return_info=True)
    np.testing.assert_array_equal(X, before)
    _require(decisions.shape == (len(X),), f"decide gave shape {decisions.shape}")
    _require(np.isfinite(decisions).all() and (decisions >= 0).all(), "decisions not sensible")
    _require((info.expected_cost >= 0).all(), "expected costs below zero")
    np.testing.assert_allclose(info.mean, estimator.predict(X))
    np.testing.assert_array_equal(decisions, estimator.decide(X))


def check_decide_whole_numbers(estimator):
    """Whole-number outcomes give whole-number decisions."""
    X = _counts()
    decisions = clone(estimator).fit(X).decide(X)
    np.testing.assert_array_equal(decisions, np.rint(decisions))


def check_decide_subset_invariance(estimator):
    """Decisions on any rows are those rows of the decisions on all."""
    X = _counts() * 1.1
    estimator = clone(estimator).fit(X)
    whole = estimator.decide(X)
    one_by_one = np.concatenate([estimator.decide(row[None]) for row in X])
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-9)
    some = np.random.RandomState(1).permutation(len(X))[:7]
    np.testing.assert_allclose(estimator.decide(X[some]), whole[some], rtol=1e-9)


def check_decide_permutation(estimator):
    """The order of rows and of the rows of `fit` does not matter.

    That of observations does not either, unless they are in the order of time.
    """
    X = _counts() * 1.1
    fitted = clone(estimator).fit(X)
    whole = fitted.decide(X)
    rng = np.random.RandomState(2)
    rows, cells = rng.permutation(len(X)), rng.permutation(X.shape[1])
    if _ordered(fitted):
        cells = np.arange(X.shape[1])
    shuffled = clone(estimator).fit(X[rows][:, cells]).decide(X[:, cells])
    np.testing.assert_allclose(shuffled, whole, rtol=1e-6)


def check_decide_scale(estimator):
    """Continuous outcomes in another unit give the same decisions in that unit."""
    X = _counts() * 1.1
    whole = clone(estimator).fit(X).decide(X)
    for factor in (1e-6, 7.3, 1e6):
        scaled = clone(estimator).fit(factor * X).decide(factor * X)
        np.testing.assert_allclose(scaled / factor, whole, rtol=1e-6)


def check_decide_monotone(estimator):
    """Orders do not fall as a missing unit costs more, and quantiles do not cross."""
    X = _counts()
    estimator = clone(estimator).fit(X)
    orders = [estimator.decide(X, problem=Newsvendor.from_service_level(ratio)) for ratio in RATIOS]
    _require((np.diff(orders, axis=0) >= 0).all(), "orders fall with the critical ratio")
    quantiles = estimator.predict_quantiles(X, RATIOS)
    np.testing.assert_array_equal(quantiles, np.transpose(orders))


def check_decide_other_problem(estimator):
    """Deciding another problem equals a fit with that problem."""
    X = _counts()
    fitted = clone(estimator).fit(X)
    other = Newsvendor(underage=7.0, overage=2.0, ordered=_ordered(fitted))
    one = fitted.decide(X, problem=other)
    two = clone(estimator).set_params(problem=other).fit(X).decide(X)
    np.testing.assert_array_equal(one, two)


def check_decide_odd_rows(estimator):
    """Empty, single, constant, all-zero and huge rows get finite decisions."""
    nan = np.nan
    X = np.array(
        [
            [nan, nan, nan],
            [4.0, nan, nan],
            [7.0, 7.0, 7.0],
            [0.0, 0.0, 0.0],
            [1e9, 9e8, 1e9],
            [0.0, 0.0, 1.0],
        ]
    )
    for part in (X, X[:1], X[3:4], X[4:5]):
        fitted = clone(estimator).fit(X[:4] if part is not X else X)
        for ratio in RATIOS:
            decisions = fitted.decide(part, problem=Newsvendor.from_service_level(ratio))
            _require(np.isfinite(decisions).all(), f"decisions {decisions} at ratio {ratio}")
            _require((decisions >= 0).all(), f"decisions {decisions} at ratio {ratio}")
    zeros = clone(estimator).fit(X[3:4]).decide(X[3:4])
    _require(zeros[0] <= 1, f"order {zeros[0]} where nothing was ever sold")


def check_decide_refusals(estimator):
    """Negative and infinite outcomes, and a table without any, are refused."""
    X = _counts()
    negative, infinite = X.copy(), X.copy()
    negative[0, 0], infinite[0, 0] = -1.0, np.inf
    for bad, part in ((negative, "at least 0"), (infinite, "infinity"), (X * np.nan, "observ")):
        _require_error(ValueError, partial(clone(estimator).fit, bad), part)
    fitted = clone(estimator).fit(X)
    _require_error(ValueError, lambda: fitted.decide(negative), "at least 0")
    _require_error(ValueError, lambda: fitted.score(X, np.ones(len(X) + 1)), "inconsistent")


def check_decide_keeps_state(estimator):
    """Deciding changes no attribute."""
    X = _counts()
    estimator = clone(estimator).fit(X)
    before = pickle.dumps(estimator)
    estimator.decide(X, return_info=True)
    estimator.predict_quantiles(X, [0.5])
    estimator.score(X)
    _require(pickle.dumps(estimator) == before, "deciding changed the estimator")


def check_decide_pickle(estimator):
    """A pickled estimator decides alike."""
    X = _counts()
    estimator = clone(estimator).fit(X)
    again = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(again.decide(X), estimator.decide(X))


def check_decide_score(estimator):
    """The score is the share of SAA's cost that is saved, with and without y."""
    X = _counts()
    estimator = clone(estimator).fit(X)
    for score in (estimator.score(X), estimator.score(X, np.nan_to_num(X, nan=3.0))):
        _require(isinstance(score, float) and score <= 1, f"score {score!r}")
    zeros = np.zeros((3, 2))
    _require(clone(estimator).fit(zeros).score(zeros) <= 0, "SAA costs nothing on zeros")


_CHECKS = (
    check_decide_unfitted,
    check_decide_features,
    check_decide_output,
    check_decide_whole_numbers,
    check_decide_subset_invariance,
    check_decide_permutation,
    check_decide_scale,
    check_decide_monotone,
    check_decide_other_problem,
    check_decide_odd_rows,
    check_decide_refusals,
    check_decide_keeps_state,
    check_decide_pickle,
    check_decide_score,
)


def decision_checks():
    """All checks of `decide`; list of callables that take an unfitted estimator."""
    return list(_CHECKS)


def check_decision_estimator(estimator):
    """Run every check of `decide` on an estimator for demand.

    Parameters
    ----------
    estimator : estimator
        Unfitted, with `fit`, `decide`, `predict`, `predict_quantiles` and `score`, for
        problems of the newsvendor kind.

    Raises
    ------
    AssertionError
        If a check fails.

    Examples
    --------
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.testing import check_decision_estimator
    >>> check_decision_estimator(SampleAverage())
    """
    for check in decision_checks():
        check(estimator)
