"""`from_long`: single cells far beyond all others, and numbers that are too large."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import from_long
from sklearn_pttf.datasets._wild import wild_cells
from sklearn_pttf.problems import Newsvendor
from support.frames import to_polars

pd = pytest.importorskip("pandas")
LONG = {"instance": "product", "value": "units", "time": "day", "calendar": "D"}
NAN = np.nan


def frame(n_rows=12, n_days=12):
    units = np.random.default_rng(0).poisson(20, (n_rows, n_days))
    days = pd.date_range("2024-01-01", periods=n_days).strftime("%Y-%m-%d")
    products = np.repeat([f"p{k:02d}" for k in range(n_rows)], n_days)
    return pd.DataFrame(
        {"product": products, "day": np.tile(days, n_rows), "units": units.ravel().astype(float)}
    )


def test_a_wild_cell_is_said_by_name_and_left_out():
    records = frame()
    usual = from_long(records, **LONG)
    records.loc[12 * 3 + 5, "units"] = 9_999_999
    median = np.sort(records.loc[36:47, "units"])[5]
    for source in (records, to_polars(records)):
        with pytest.warns(UserWarning, match="far beyond") as caught:
            kept = from_long(source, **LONG)
        assert str(caught[0].message) == (
            "value='units' has 1 values far beyond all others: 9999999 of 'p03' on 2024-01-06, "
            f"which is {9_999_999 / median:,.0f} times the row's median of {median:g}. "
            "wild='missing' leaves them out."
        )
    with pytest.warns(UserWarning, match="They are left out"):
        out = from_long(records, **LONG, wild="missing")
    usual.iloc[3, 5] = 9_999_999
    assert_array_equal(kept.to_numpy()[:, 1:], usual)
    usual.iloc[3, 5] = NAN
    assert_array_equal(out, usual)


def test_neighbours_of_a_wild_cell_do_not_move():
    usual = from_long(frame(40), **LONG)
    wild, out = usual.copy(), usual.copy()
    wild.iloc[3, 5], out.iloc[3, 5] = 9_999_999, NAN
    problem = Newsvendor(4.0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        orders = [
            PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X).to_numpy()
            for X in (usual, wild, out)
        ]
    others = np.arange(40) != 3
    assert abs(orders[2][3] - orders[0][3]) <= 2  # the row itself, once the cell is left out
    for order in orders[1:]:
        assert np.abs(order - orders[0])[others].max() <= 1
        assert abs((order / orders[0])[others].mean() - 1) < 0.01


@pytest.mark.parametrize(
    ("values", "wild"),
    [
        ([3, 4, 5, 6, 7, 90_000], [5]),
        ([3, 4, 5, 6, 7, 4_000], []),  # 800 times the median
        ([1, 1, 1, 1, 1, 1, 1, 1, 500, 90_000], [9]),
        ([1, 1, 1, 1, 1, 1, 1, 1, 5_000, 90_000], []),  # sizes reach that far anyway
        ([0, 0, 0, 0, 2, 90_000], []),  # nothing tells what is usual
        ([NAN, 3, 4, 5, 6, 7, 90_000], [6]),
    ],
)
def test_wild_cells(values, wild):
    values = np.array(values, dtype=float)
    assert_array_equal(wild_cells(values, np.zeros(len(values), dtype=int))[0], wild)


def test_a_wild_cell_of_a_row_of_few_is_compared_with_all():
    values = np.append(np.tile([3.0, 4, 5, 6, 7], 40), [9e6])
    codes = np.append(np.repeat(np.arange(40), 5), [40])
    found, usual, few = wild_cells(values, codes)
    assert_array_equal(found, [200])
    assert_array_equal(usual, [7])
    assert_array_equal(few, [True])


@given(st.lists(st.integers(0, 100), min_size=1, max_size=40), st.randoms())
def test_wild_cells_do_not_depend_on_the_order(values, random):
    values = np.array([*values, 10**7], dtype=float)
    codes = np.arange(len(values)) % 2
    order = list(range(len(values)))
    random.shuffle(order)
    found = wild_cells(values, codes)[0]
    shuffled = wild_cells(values[order], codes[order])[0]
    assert set(np.array(order)[shuffled].tolist()) == set(found.tolist()) <= {len(values) - 1}


@pytest.mark.parametrize("size", [1e19, -1e19, 2.0**53 + 2])
def test_numbers_that_are_too_large_are_refused(size):
    records = frame(2, 3)
    records.loc[4, "units"] = size
    with pytest.raises(
        ValueError, match=r"units' has 1 cells that are too large .* 'p01'.*2\*\*53"
    ):
        from_long(records, **LONG, negatives="clip")


def test_sums_that_are_too_large_are_refused():
    records = frame(2, 3)
    records.loc[:1, "day"] = "2024-01-01"
    records.loc[:1, "units"] = 2.0**52 + 1
    with pytest.raises(ValueError, match="has 1 periods of a sum that is too large"):
        from_long(records, **LONG)


def test_a_choice_that_is_none():
    with pytest.raises(ValueError, match=r"wild must be one of \('keep', 'missing'\); got 'drop'"):
        from_long(frame(2, 3), **LONG, wild="drop")
