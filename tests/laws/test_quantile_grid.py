"""Laws of quantiles against closed forms, hand tables and brute force."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.base import PredictiveDistribution
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.problems import Newsvendor
from support.laws import LEVELS, logistic_grid

NAN = np.nan
FEW = settings(max_examples=30, deadline=None)
TAUS = np.array([1e-4, 0.003, 0.1, 0.37, 0.5, 0.9, 0.99, 0.9999])


def _continued(quantiles, z):
    """A row's quantile function at ``z = logit(tau)``, with the outer slopes going on."""
    knots = logit(LEVELS)
    out = np.interp(z, knots, quantiles)
    slopes = np.diff(quantiles) / np.diff(knots)
    out += np.where(z < knots[0], slopes[0] * (z - knots[0]), 0.0)
    return out + np.where(z > knots[-1], slopes[-1] * (z - knots[-1]), 0.0)


def _integral_of_excess(quantiles, x):
    """``E[(max(Q, 0) - x)+]`` by a fine sum over the logit of the level."""
    z, step = np.linspace(-45, 45, 60_001, retstep=True)
    over = np.maximum(np.maximum(_continued(quantiles, z), 0.0) - x, 0.0)
    return np.sum(over * expit(z) * expit(-z)) * step


def _sum_of_excess(law, x):
    """``E[(D - x)+]`` of one whole-number law, as the sum of the chances to exceed."""
    top = np.ceil(max(law.quantile(1 - 1e-14)[0], x)) + 40
    numbers = np.arange(np.ceil(max(x, 0.0)), top + 1)
    positive = max(x, 0.0)
    share = np.ceil(positive) - positive
    tail = (1 - law.cdf(numbers[None, :])).sum()
    return float(tail + share * (1 - law.cdf(positive)[0]) + positive - x)


@st.composite
def quantile_rows(draw, n_rows=2):
    """Rows of knots that may start below 0 and repeat, in units from 0.1 to 1000."""
    rows = []
    for _ in range(n_rows):
        unit = draw(st.sampled_from([0.1, 1.0, 1000.0]))
        start = draw(st.floats(-3, 20))
        step = st.one_of(st.just(0.0), st.floats(0.01, 2))
        steps = draw(st.lists(step, min_size=8, max_size=8))
        rows.append(unit * np.cumsum([start, *steps]))
    return np.array(rows)


# ---- quantile grids: cdf and quantile


@pytest.mark.parametrize("scale", [0.1, 3.0, 1000.0])
def test_grid_holds_a_logistic_law(scale):
    middle = np.array([20.0, 50.0]) * scale
    law = logistic_grid(middle, scale)
    assert_allclose(law.quantile(TAUS[None]), middle[:, None] + scale * logit(TAUS))
    x = middle[:, None] + scale * np.array([-12.0, -5.0, -0.3, 0.0, 2.0, 12.0])
    assert_allclose(law.cdf(x), expit((x - middle[:, None]) / scale), rtol=1e-9)


def test_grid_by_hand():
    # knots at logit -log 9, 0, log 9; slopes 1/log 9 and 3/log 9
    law = QuantileGrid(np.array([[1.0, 2.0, 5.0]]), [0.1, 0.5, 0.9])
    assert_allclose(law.quantile([0.25]), [2 - 0.5], rtol=1e-12)  # logit 1/4 is -log 3
    assert_allclose(law.quantile([0.75]), [2 + 1.5], rtol=1e-12)
    assert_allclose(law.quantile([81 * 9 / (81 * 9 + 1)]), [5 + 2 * 3], rtol=1e-12)
    assert_allclose(law.cdf([[1.5, 3.5, 11.0]]), [[0.25, 0.75, 729 / 730]], rtol=1e-12)


def test_mass_below_zero_sits_at_zero():
    law = logistic_grid([-1.0, 1.0], 1.0)
    assert_allclose(law.cdf(0.0), expit([1.0, -1.0]))
    assert_array_equal(law.cdf(-1e-9), [0.0, 0.0])
    for each in (law, logistic_grid([-1.0, 1.0], 1.0, integer=True)):
        at_zero = each.quantile(expit([[-1.5, -1.1, -9.0]]))
        assert_array_equal(at_zero, np.zeros((2, 3)))
        assert not np.signbit(at_zero).any()
    assert_allclose(law.quantile(expit(1.5)), [0.5, 2.5])


def test_flat_segments_are_atoms():
    tau = np.array([0.1, 0.3, 0.6, 0.9])
    law = QuantileGrid(np.array([[1.0, 4.0, 4.0, 6.0]]), tau)
    assert_allclose(law.cdf([[np.nextafter(4, 0), 4.0]]), [[0.3, 0.6]], rtol=1e-12)
    assert_array_equal(law.quantile([[0.3, 0.45, 0.6]]), [[4.0, 4.0, 4.0]])
    point = QuantileGrid(np.full((1, 4), 7.0), tau)
    assert_array_equal(point.cdf([[6.999, 7.0, 7.001]]), [[0.0, 1.0, 1.0]])
    assert_array_equal(point.quantile(TAUS[None]), np.full((1, len(TAUS)), 7.0))
    assert_allclose(point.excess([[0.0, 6.5, 7.0, 9.0]]), [[7.0, 0.5, 0.0, 0.0]], atol=1e-12)


@FEW
@given(quantile_rows())
def test_cdf_undoes_quantile(quantiles):
    law = QuantileGrid(np.maximum.accumulate(quantiles + 1e-3 * np.arange(9), axis=1), LEVELS)
    x = law.quantile(TAUS[None])
    inside = np.broadcast_to(x > 0, x.shape)
    assert_allclose(law.cdf(x)[inside], np.broadcast_to(TAUS, x.shape)[inside], rtol=1e-6)
    assert np.all(law.cdf(x) >= TAUS * (1 - 1e-6))


@FEW
@given(quantile_rows(), st.booleans(), st.floats(0.0005, 0.9995))
def test_quantile_is_smallest_outcome_that_reaches_the_level(quantiles, integer, tau):
    law = QuantileGrid(quantiles, LEVELS, integer)
    q = law.quantile(tau)
    slack = 1e-7
    assert np.all(law.cdf(q + slack * np.maximum(q, 1) * (not integer)) >= tau - slack)
    below = q - 1 if integer else q - slack * np.maximum(q, 1)
    assert np.all(law.cdf(below) <= tau + slack)
    assert not integer or np.all(q == np.rint(q))


@FEW
@given(quantile_rows(), st.booleans())
def test_quantile_cdf_and_excess_are_monotone(quantiles, integer):
    law = QuantileGrid(quantiles, LEVELS, integer)
    x = np.linspace(-5, max(100.0, 1.5 * quantiles.max()), 40)[None]
    cdf, excess = law.cdf(x), law.excess(x)
    assert np.all(np.diff(law.quantile(np.linspace(0.001, 0.999, 50)[None]), axis=1) >= 0)
    assert np.all(np.diff(cdf, axis=1) >= 0)
    assert np.all((cdf >= 0) & (cdf <= 1))
    assert np.all(excess >= 0)
    tolerance = 1e-4 * excess[:, :1] + 1e-9
    assert np.all(np.diff(excess, axis=1) <= tolerance)


def test_integer_cdf_is_the_smooth_cdf_at_whole_numbers():
    law, smooth = logistic_grid(6.0, 2.0, integer=True), logistic_grid(6.0, 2.0)
    numbers = np.arange(0, 20)[None]
    assert_array_equal(law.cdf(numbers), smooth.cdf(numbers))
    assert_array_equal(law.cdf(numbers + 0.99), law.cdf(numbers))
    assert_array_equal(law.cdf([[-1.0, -0.5]]), [[0.0, 0.0]])


@FEW
@given(quantile_rows(n_rows=1), st.floats(0.001, 0.999))
def test_integer_quantile_has_least_expected_cost(quantiles, ratio):
    quantiles = np.minimum(quantiles, 60.0)
    law = QuantileGrid(quantiles, LEVELS, integer=True)
    demand = np.arange(0, 2000)
    chance = np.diff(law.cdf(demand[None])[0], prepend=0.0)
    orders = np.arange(0, 250)[:, None]
    cost = ratio * np.maximum(demand - orders, 0) + (1 - ratio) * np.maximum(orders - demand, 0)
    cost = cost @ chance
    best = int(law.quantile(ratio)[0])
    assert cost[best] <= cost.min() + 1e-9


def test_integer_quantile_ties_go_to_the_smaller():
    # P(D <= 3) is exactly 1/2: both 3 and 4 are best at equal costs
    law = QuantileGrid(np.array([[2.0, 3.0, 5.0]]), [0.1, 0.5, 0.9], integer=True)
    assert_array_equal(law.quantile(0.5), [3.0])
    assert_array_equal(law.quantile(0.5 + 1e-9), [4.0])


# ---- quantile grids: excess and means


@pytest.mark.parametrize("scale", [0.1, 3.0, 1000.0])
def test_excess_of_a_logistic_law(scale):
    middle = np.array([60.0, 100.0]) * scale
    law = logistic_grid(middle, scale)
    x = middle[:, None] + scale * np.array([-50.0, -6.0, -1.0, 0.0, 2.5, 9.0])
    exact = scale * np.logaddexp(0.0, (middle[:, None] - x) / scale)
    assert_allclose(law.excess(x), exact, rtol=1e-9)
    assert_allclose(law.mean(), middle, rtol=1e-12)
    assert_allclose(law.excess(middle), scale * np.log(2) * np.ones(2), rtol=1e-9)


@pytest.mark.parametrize("middle", [-4.0, 0.0, 0.7, 3.0])
def test_excess_of_a_logistic_law_cut_at_zero(middle):
    law = logistic_grid(middle, 1.3)
    x = np.array([[0.0, 0.5, 4.0]])
    exact = 1.3 * np.logaddexp(0.0, (middle - x) / 1.3)
    assert_allclose(law.excess(x), exact, rtol=1e-9)
    assert_allclose(law.mean(), exact[:, 0], rtol=1e-9)
    assert_allclose(law.excess([[-2.0]]), exact[:, :1] + 2.0, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(quantile_rows(n_rows=1), st.floats(-0.2, 1.3))
def test_excess_against_integration(quantiles, where):
    law = QuantileGrid(quantiles, LEVELS)
    x = quantiles[0, 0] + where * (quantiles[0, -1] - quantiles[0, 0])
    spread = np.ptp(quantiles) + abs(quantiles[0, 0])
    assert_allclose(law.excess(x), _integral_of_excess(quantiles[0], x), atol=1e-5 * spread)
    assert_allclose(law.mean(), _integral_of_excess(quantiles[0], 0.0), atol=1e-5 * spread)


def test_excess_is_minus_integral_of_survival():
    law = QuantileGrid(np.array([[0.5, 0.5, 2.0, 3.0, 3.0, 9.0, 30.0, 31.0, 33.0]]), LEVELS)
    x = np.linspace(0, 60, 60_001)
    survival = 1 - law.cdf(x[None])[0]
    # the trapezoid rule is off by half a step at each of the two atoms
    area = np.sum((survival[1:] + survival[:-1]) / 2) * (x[1] - x[0])
    assert_allclose(area, (law.excess(0.0) - law.excess(60.0))[0], atol=1e-3)


WHOLE_LAWS = {
    "far and narrow": 1000.3 + 0.1 * np.linspace(-2, 2, 9),
    "narrow": 20.6 + 0.3 * np.linspace(-2, 2, 9),
    "at zero": np.linspace(-1.0, -0.2, 9),
    "mostly zero": np.array([-0.9, -0.8, -0.7, -0.6, -0.5, 0.5, 2.0, 4.0, 7.0]),
    "middling": 40.0 + 3.0 * np.linspace(-5, 5, 9),
    "atoms": np.array([1.5, 1.5, 1.5, 3.0, 5.2, 5.2, 5.2, 6.0, 6.0]),
    "wide": 5000 + 600 * np.linspace(-5, 5, 9),
    "point": np.full(9, 7.0),
}


@pytest.mark.parametrize("name", WHOLE_LAWS)
def test_integer_excess_against_summation(name):
    law = QuantileGrid(WHOLE_LAWS[name][None], LEVELS, integer=True)
    middle = WHOLE_LAWS[name][4]
    mean = _sum_of_excess(law, 0.0)
    for x in (-1.5, 0.0, 0.4, 3.0, max(middle, 0.0), abs(middle) * 1.05 + 1.3):
        exact = _sum_of_excess(law, x)
        assert_allclose(law.excess(x)[0], exact, rtol=2e-4, atol=1e-4 * mean)


@FEW
@given(st.floats(0, 1e5), st.floats(0.01, 20.0))
@example(15.0, 2.0)  # steepest where the sum one by one ends
def test_integer_mean_against_summation(middle, scale):
    law = logistic_grid(middle, scale, integer=True)
    start = max(0.0, np.floor(middle - 40 * scale))  # below it every outcome is exceeded
    assert_allclose(law.mean()[0], start + _sum_of_excess(law, start), rtol=2e-4, atol=2e-3)


def test_a_sure_whole_number_costs_nothing():
    law = QuantileGrid(np.array([[50.3, 50.4, 50.6]]), [0.001, 0.5, 0.999], integer=True)
    portfolio = Portfolio(np.ones((1, 1)), Newsvendor(2.0, 1.0).read_costs(np.ones((1, 1))))
    decision = law.quantile(2 / 3)
    assert_array_equal(decision, [51.0])
    cost = Newsvendor(2.0, 1.0).expected_cost(decision, law, portfolio)
    # P(D = 51) > 0.999, and the few other outcomes are next to 51
    assert 0 < cost[0] < 0.003


@pytest.mark.parametrize("integer", [False, True])
def test_mean_is_excess_over_zero(integer):
    law = QuantileGrid(np.array(list(WHOLE_LAWS.values())), LEVELS, integer)
    assert_array_equal(law.mean(), law.excess(0.0))
    assert_allclose(law.excess(-3.0), law.mean() + 3.0, rtol=1e-12)


@pytest.mark.parametrize("integer", [False, True])
def test_expected_agrees_with_mean_and_newsvendor_cost(integer):
    levels = expit(np.linspace(-7, 7, 33))
    law = logistic_grid([5.0, 30.0, 400.0], 4.0, levels, integer)
    assert_allclose(law.expected(lambda outcome: outcome), law.mean(), rtol=1e-3)
    assert_allclose(law.expected(np.ones_like), np.ones(3), rtol=1e-12)
    problem = Newsvendor(4.0, 1.0)
    portfolio = Portfolio(np.ones((3, 1)), problem.read_costs(np.ones((3, 1))))
    decision = problem.solve(law, portfolio)
    by_nodes = law.expected(lambda outcome: problem.cost(decision[:, None], outcome))
    assert_allclose(problem.expected_cost(decision, law, portfolio), by_nodes, rtol=5e-3)


def test_expected_square_of_a_logistic_law():
    law = logistic_grid(100.0, 2.0, expit(np.linspace(-7, 7, 33)))
    variance = np.pi**2 / 3 * 4.0
    spread = law.expected(lambda outcome: (outcome - 100.0) ** 2)
    assert_allclose(spread, [variance], rtol=5e-3)


# ---- quantile grids: rows, shapes, refusals


def test_grid_take_and_concatenate():
    law = logistic_grid([5.0, 9.0, 70.0], 2.0, integer=True)
    back = QuantileGrid.concatenate([law.take(slice(0, 1)), law.take([1, 2])])
    assert len(back) == 3
    assert back.integer
    assert_array_equal(back.quantiles, law.quantiles)
    assert_array_equal(back.mean(), law.mean())
    picked = law.take(np.array([False, False, True]))
    assert_array_equal(picked.quantile(0.7), law.quantile(0.7)[2:])


LAWS = {
    "grid": logistic_grid([5.0, 9.0, 70.0], 2.0),
    "whole grid": logistic_grid([5.0, 9.0, 70.0], 2.0, integer=True),
    "atoms": WeightedAtoms(np.array([[1.0, 2.0, 3.0], [4.0, NAN, 1.0], [70.0, 80.0, 90.0]])),
}


@pytest.mark.parametrize("method", ["cdf", "quantile", "excess"])
@pytest.mark.parametrize("name", LAWS)
def test_shapes_of_arguments(name, method):
    law = LAWS[name]
    assert isinstance(law, PredictiveDistribution)
    function = getattr(law, method)
    values = np.array([0.2, 0.5, 0.9])
    by_row = function(np.tile(values, (3, 1)))
    assert by_row.shape == (3, 3)
    assert_array_equal(function(values[None]), by_row)
    assert_array_equal(function(values), np.diag(by_row))
    assert_array_equal(function(0.5), by_row[:, 1])
    assert_array_equal(function([0.5]), by_row[:, 1])
    for row in range(3):
        assert_array_equal(getattr(law.take([row]), method)(values[None])[0], by_row[row])


@pytest.mark.parametrize("method", ["cdf", "quantile", "excess"])
@pytest.mark.parametrize("name", LAWS)
def test_shapes_that_are_refused(name, method):
    function = getattr(LAWS[name], method)
    with pytest.raises(ValueError, match="3 dimensions"):
        function(np.full((3, 1, 1), 0.5))
    with pytest.raises(ValueError, match="broadcast"):
        function(np.full(2, 0.5))
    with pytest.raises(ValueError, match="broadcast"):
        function(np.full((2, 4), 0.5))


@pytest.mark.parametrize("tau", [0.0, 1.0, -0.1, 1.5, NAN, [[0.5, 1.0]]])
@pytest.mark.parametrize("name", LAWS)
def test_levels_outside_are_refused(name, tau):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        LAWS[name].quantile(tau)


@pytest.mark.parametrize(
    ("quantiles", "levels", "message"),
    [
        ([1.0, 2.0], [0.1, 0.9], "one column a level"),
        ([[1.0, 2.0, 3.0]], [0.1, 0.9], "one column a level"),
        ([[1.0]], [0.5], "at least two and increasing"),
        ([[1.0, 2.0]], [0.9, 0.1], "at least two and increasing"),
        ([[1.0, 2.0]], [0.5, 0.5], "at least two and increasing"),
        ([[1.0, 2.0]], [0.0, 0.5], "strictly between 0 and 1"),
        ([[1.0, 2.0]], [0.5, 1.0], "strictly between 0 and 1"),
        ([[1.0, 2.0], [2.0, 1.0]], [0.1, 0.9], "must not decrease"),
    ],
)
def test_grids_that_are_refused(quantiles, levels, message):
    with pytest.raises(ValueError, match=message):
        QuantileGrid(np.array(quantiles), levels)


def test_empty_laws():
    assert QuantileGrid(np.empty((0, 9)), LEVELS).quantile(0.5).shape == (0,)
    assert QuantileGrid(np.empty((0, 9)), LEVELS, integer=True).mean().shape == (0,)
    assert WeightedAtoms(np.empty((0, 2))).cdf([[1.0, 2.0]]).shape == (0, 2)
