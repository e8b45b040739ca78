"""Tables of any dtype, shape, size of numbers and library: decisions, or a clear refusal.

A few are tried in the suite, always the same ones; ``pytest tests/test_any_table.py --tables 5000``
tries so many others.
"""

import contextlib
import signal
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledDemandCurve,
    PooledRatio,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing, Selection
from support.networks import fresh_checkpoint

LONGEST = 60  # seconds that a table may take
ODD = [np.nan, np.inf, -np.inf, -1.0, -0.0, 5e-324, 1e-310, 1e-100, 1e100, 1.1e100, 1e308, 2.0**63]
USUAL = [0.0, 1.0, 2.0, 3.0, 7.0, 0.5, 12.25, 1e6, 1e-6]
TIMES = "M8[D]", "m8[s]"
DTYPES = [
    "f8",
    "f4",
    "f2",
    ">f8",
    "g",
    "i8",
    "i1",
    "u8",
    "?",
    "O",
    "U",
    "S",
    "M8[D]",
    "m8[s]",
    "c16",
]
NETWORK = fresh_checkpoint()


def network(problem):
    of_demand = isinstance(problem, Newsvendor) and not problem.ordered
    checkpoint = NETWORK if of_demand else "auto"
    return PretrainedDecisionTransformer(problem, checkpoint=checkpoint, finetune=None)


def of_prices(n_columns):
    half = n_columns // 2
    return Pricing([*range(half)], [*range(half, 2 * half)])


PROBLEMS = [
    lambda n: Newsvendor(4.0, 1.0),
    lambda n: Newsvendor(Column(0), 1.0),
    lambda n: Newsvendor(4.0, 1.0, ordered=True),
    lambda n: Newsvendor(4.0, 1.0, horizon=3, limit=10.0),
    lambda n: Newsvendor(4.0, 1.0, risk=("cvar", 0.9)),
    lambda n: Newsvendor(4.0, 1.0, stock=[Column(n - 1)]),
    lambda n: Estimation(),
    lambda n: Estimation(noise="poisson"),
    lambda n: Estimation(standard_errors=Column(0)),
    lambda n: Selection(1.5, integer=True, weights=Column(0), max_seconds=1),
    of_prices,
]
ESTIMATORS = [
    network,
    SampleAverage,
    ShrunkenSampleAverage,
    PooledRatio,
    ParametricEmpiricalBayes,
    NonparametricEmpiricalBayes,
    JamesStein,
]
PAIRS = st.tuples(st.sampled_from(PROBLEMS[:-1]), st.sampled_from(ESTIMATORS)) | st.tuples(
    st.just(of_prices), st.sampled_from([network, PooledDemandCurve])
)
SIZES = st.sampled_from([1, 2, 3, 4, 6, 8, 0])


def names(X):
    return [f"week {k}" for k in range(X.shape[1])]


def in_pyarrow(X):
    return pytest.importorskip("pyarrow").table(dict(zip(names(X), X.T, strict=True)))


WRAPPED = [
    np.asarray,
    np.asfortranarray,
    lambda X: X[::-1, ::-1],
    lambda X: X.tolist(),
    lambda X: X[0],
    lambda X: pd.DataFrame(X),
    lambda X: pd.DataFrame(X, columns=names(X)),
    lambda X: pd.DataFrame(X, columns=names(X)).convert_dtypes(),
    lambda X: pl.DataFrame(X.astype(float), schema=names(X)),
    in_pyarrow,
]


@st.composite
def tables(draw):
    """A table of any kind, and its number of columns."""
    shape = draw(SIZES), draw(SIZES)
    odd = draw(st.integers(0, 3)) == 0
    values = draw(arrays("f8", shape, elements=st.sampled_from(USUAL + ODD if odd else USUAL)))
    dtype = draw(st.sampled_from(["f8"] * 10 + DTYPES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dtype in TIMES:
            values = np.nan_to_num(values, posinf=9, neginf=9).clip(-9, 9).astype("i8")
        values = values.astype(dtype)
        wrap = draw(st.sampled_from(WRAPPED))
        try:
            return wrap(values), shape[1]
        except Exception:  # the library has no such table
            return values, shape[1]


@contextlib.contextmanager
def in_time():
    """Fail rather than hang."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(number, frame):
        pytest.fail(f"no end after {LONGEST} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(table, n_columns, problem, estimator):
    """Fit and decide: "decided", or the refusal."""
    with warnings.catch_warnings(), in_time():
        warnings.simplefilter("ignore")
        try:
            fitted = estimator(problem(max(n_columns, 1))).fit(table)
            decisions, info = fitted.decide(table, return_info=True)
            quantiles = np.asarray(fitted.predict_quantiles(table, [0.05, 0.5, 0.95]))
        except (ValueError, TypeError) as error:
            return error
    assert np.isfinite(np.asarray(decisions, dtype=float)).all()
    assert all(np.isfinite(np.asarray(value, dtype=float)).all() for value in info.values())
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    return "decided"


def check(table, n_columns, problem, estimator):
    found = outcome(table, n_columns, problem, estimator)
    if found == "decided":
        return
    said = str(found)
    assert len(said) > 15
    for odd in ("object has no attribute", "unsupported operand", "unexpected keyword"):
        assert odd not in said


def test_tables_are_decided_or_refused(request):
    number = request.config.getoption("--tables")
    how_many = {"max_examples": number} if number else {"max_examples": 50, "derandomize": True}

    @settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, **how_many)
    @given(tables(), PAIRS)
    def every(table, pair):
        check(*table, *pair)

    every()
