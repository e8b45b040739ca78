"""Periods that rows share: which cells are theirs, whether they matter, how sure a mean is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Portfolio
from sklearn_pttf._laws.pit import smooth_test
from sklearn_pttf._tables.periods import (
    cells_in,
    later_are_alike,
    newest,
    shared_p_value,
    students_errors,
    two_way_error,
    well_covered,
)
from support.tensors import column_numbers

NAN = np.nan


# ---- errors over rows and periods


def test_error_by_hand():
    values = np.array([[1.0, 3.0], [1.0, 3.2]])
    # around 2.05, a quarter each: rows -.025 and .025, periods -.525 and .525
    of_rows, of_periods = 2 * (2 * 0.025**2), 2 * (2 * 0.525**2)
    of_cells = 4 / 3 * (2 * 0.2625**2 + 0.2375**2 + 0.2875**2)
    assert two_way_error(values) == pytest.approx(np.sqrt(of_rows))
    expected = np.sqrt(of_rows + of_periods - of_cells)
    assert two_way_error(values, column_numbers((2, 2))) == pytest.approx(expected)


def test_rows_alone_are_what_they_were():
    values = np.random.default_rng(0).normal(size=(40, 1))
    expected = values.std(ddof=1) / np.sqrt(40)
    assert two_way_error(values) == pytest.approx(expected)
    # every row has a period of its own
    assert two_way_error(values, np.arange(40)[:, None]) == pytest.approx(expected)


def test_one_period_has_no_error():
    values = np.random.default_rng(0).normal(size=(40, 1))
    assert two_way_error(values, np.zeros((40, 1), dtype=int)) == np.inf


@pytest.mark.parametrize("shock", [0.0, 1.0])
def test_error_is_that_of_repeated_draws(shock):
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(400):
        values = rng.normal(size=(60, 1)) + shock * rng.normal(size=8) + rng.normal(size=(60, 8))
        means.append(values.mean())
        errors.append(two_way_error(values, column_numbers((60, 8))))
    assert np.mean(np.square(errors)) == pytest.approx(np.var(means), rel=0.2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 12), m=st.integers(2, 6))
def test_error_has_no_order_and_no_unit(seed, n, m):
    rng = np.random.default_rng(seed)
    values, periods = rng.normal(size=(n, m)), rng.integers(3, size=(n, m))
    values[rng.uniform(size=(n, m)) < 0.3] = NAN
    values[:, 0] = rng.normal(size=n)
    periods[:2, 0] = 0, 1
    error = two_way_error(values, periods)
    assert error >= two_way_error(values) * (1 - 1e-12)
    rows, columns = rng.permutation(n), rng.permutation(m)
    shuffled = values[rows][:, columns], periods[rows][:, columns]
    assert two_way_error(*shuffled) == pytest.approx(error)
    assert two_way_error(100 * values, 7 - periods) == pytest.approx(100 * error)


def test_few_periods_say_less():
    found = [students_errors(2, n) for n in (2, 4, 8, 10**6)]
    assert_allclose(found, [13.97, 3.31, 2.43, 2.0], atol=0.005)


# ---- whether columns matter


def test_complete_tables_have_friedmans_test():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(25, 4)), rng.poisson(1.0, size=(25, 4)).astype(float)):
        expected = stats.friedmanchisquare(*values.T).pvalue
        assert shared_p_value(values) == pytest.approx(expected)


def test_exchangeable_tables_with_gaps_are_even():
    p_values = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        values = rng.poisson(rng.lognormal(1.0, 1.0, (40, 1)), (40, 6)).astype(float)
        values[rng.uniform(size=(40, 6)) < 0.4] = NAN
        p_values.append(shared_p_value(values))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_shocks_are_found():
    rng = np.random.default_rng(0)
    level, shock = rng.lognormal(3.0, 1.0, (200, 1)), np.exp(0.25 * rng.normal(size=8))
    values = rng.poisson(level * shock).astype(float)
    assert shared_p_value(values) < 1e-6
    values[rng.uniform(size=values.shape) < 0.5] = NAN
    assert shared_p_value(values) < 1e-6
    alone = rng.permuted(values, axis=1)
    assert shared_p_value(alone) > 0.001


def test_nothing_to_compare_is_no_shock():
    assert shared_p_value(np.full((20, 3), 4.0)) == 1.0
    assert shared_p_value(np.array([[1.0, NAN], [NAN, 2.0]])) == 1.0


# ---- cells


def test_newest_by_hand():
    observations = np.array([[1, 2, NAN, 4, 5], [NAN, 6, 7, NAN, NAN], [NAN] * 5], dtype=float)
    prices = 10 * observations
    portfolio = Portfolio(observations, prices=prices, costs={"short": np.arange(3.0)})
    found, periods = newest(portfolio, 2)
    assert_array_equal(found.observations, [[4, 5], [6, 7], [NAN, NAN]])
    assert_array_equal(found.prices, [[40, 50], [60, 70], [NAN, NAN]])
    assert_array_equal(periods, [[3, 4], [1, 2], [-1, -1]])
    assert_array_equal(found.costs["short"], [0, 1, 2])
    same, periods = newest(portfolio, 5)
    assert same is portfolio
    assert_array_equal(periods, column_numbers((3, 5)))


def test_rows_without_the_period_give_another_cell():
    seen = np.array([[1, 1, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    cells = cells_in(seen, column_numbers(seen.shape), [0, 2], np.random.default_rng(0))
    assert_array_equal(cells, [[0, 2], [1, 2], [1, -1], [-1, -1]])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 10), m=st.integers(1, 9))
def test_no_cell_is_chosen_twice(seed, n, m):
    rng = np.random.default_rng(seed)
    seen, periods = rng.uniform(size=(n, m)) < 0.5, rng.permuted(column_numbers((n, m)), axis=1)
    chosen = rng.permutation(m)[: rng.integers(1, m + 1)]
    cells = cells_in(seen, periods, chosen, rng)
    for row in range(n):
        own = cells[row][cells[row] >= 0]
        assert len(own) == len(set(own)) == min(seen[row].sum(), len(chosen))
        assert seen[row, own].all()
        within = [cell for cell in np.flatnonzero(seen[row]) if periods[row, cell] in chosen]
        assert set(within) <= set(own)


def test_rare_periods_are_not_held_out():
    seen = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 1]], dtype=bool)
    assert_array_equal(well_covered(seen, column_numbers(seen.shape)), [0, 1])


# ---- laws


def test_shocks_of_few_periods_are_no_doubt():
    rng = np.random.default_rng(0)
    periods = np.repeat(np.arange(6), 200)
    shock = 0.4 * np.array([1, 1, -1, 1, 1, 1])
    shocked = stats.norm.cdf(shock[periods] + rng.normal(size=1200))
    assert smooth_test(shocked) < 1e-6
    assert smooth_test(shocked, periods=periods) > 0.01
    even = rng.uniform(size=1200)
    assert smooth_test(even, periods=periods) > 0.01
    assert smooth_test(even**3, periods=periods) < 1e-3


def test_later_periods_that_are_alike():
    rng = np.random.default_rng(0)

    def alike(shift, shock=0.3, n_later=4):
        tables = []
        for _ in range(40):
            shocks = shock * rng.normal(size=12)
            shocks[-n_later:] += shift
            level = rng.lognormal(3.0, 1.0, (50, 1)) * np.exp(shocks)
            table = level * rng.lognormal(0.0, 0.2, (50, 12))
            table[rng.random(table.shape) < 0.1] = np.nan
            tables.append(later_are_alike(table[:, :-n_later], table[:, -n_later:]))
        return np.mean(tables)

    assert alike(0.0) > 0.95
    assert alike(1.0) < 0.1
    assert alike(0.0, n_later=1) == 0  # of one period nothing is known
