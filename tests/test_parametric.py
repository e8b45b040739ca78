"""Parametric laws against sums, integrals and textbook moments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf._parametric import LognormalLaw, NegativeBinomialLaw, PoissonLaw

FEW = settings(max_examples=40, deadline=None)
COUNTS = np.arange(0, 3000)
Z, STEP = np.linspace(-12, 12, 40_001, retstep=True)


def _poisson_pmf(rate):
    return np.exp(COUNTS * np.log(rate) - rate - special.gammaln(COUNTS + 1))


def _negative_binomial_pmf(size, p):
    log_ways = special.gammaln(COUNTS + size) - special.gammaln(size) - special.gammaln(COUNTS + 1)
    return np.exp(log_ways + size * np.log(p) + COUNTS * np.log1p(-p))


def _lognormal_mean_of(function, mu, sigma):
    density = np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi)
    return np.sum(function(np.exp(mu + sigma * Z)) * density) * STEP


LAWS = {
    "poisson": PoissonLaw([0.05, 3.0, 60.0]),
    "negative binomial": NegativeBinomialLaw([0.3, 4.0, 50.0], [0.1, 0.5, 0.9]),
    "lognormal": LognormalLaw([0.0, 2.0, -1.0], [0.2, 1.0, 0.5]),
}


def _mean_of(name, row, function):
    """``E[function(outcome)]`` of a row of `LAWS`, from the pmf or density written out."""
    parameters = [p[row] for p in LAWS[name].parameters]
    if name == "lognormal":
        return _lognormal_mean_of(function, *parameters)
    pmf = _poisson_pmf if name == "poisson" else _negative_binomial_pmf
    return np.sum(function(COUNTS) * pmf(*parameters))


@pytest.mark.parametrize("x", [-2.0, -0.5, 0.0, 0.3, 1.0, 3.0, 3.7, 60.0, 71.2])
@pytest.mark.parametrize("name", LAWS)
def test_excess_against_sums_and_integrals(name, x):
    exact = [_mean_of(name, row, lambda d: np.maximum(d - x, 0)) for row in range(3)]
    assert_allclose(LAWS[name].excess(x), exact, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize("name", LAWS)
def test_mean_is_excess_over_zero_or_less(name):
    law = LAWS[name]
    assert_allclose(law.mean(), [_mean_of(name, row, lambda d: d) for row in range(3)])
    assert_allclose(law.excess(0.0), law.mean(), rtol=1e-12)
    assert_allclose(law.excess(-7.25), law.mean() + 7.25, rtol=1e-12)


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.5, 1.0, 3.0, 3.999, 58.0])
@pytest.mark.parametrize("name", LAWS)
def test_cdf_against_sums_and_integrals(name, x):
    exact = [_mean_of(name, row, lambda d: d <= x) for row in range(3)]
    # the sum on a grid misses at most one step where the indicator jumps
    assert_allclose(LAWS[name].cdf(x), exact, atol=STEP if name == "lognormal" else 1e-11)


@pytest.mark.parametrize("name", ["poisson", "negative binomial"])
def test_quantile_is_the_smallest_count_that_reaches_the_level(name):
    law = LAWS[name]
    tau = np.array([[0.001, 0.2, 0.5, 0.9, 0.999]])
    q = law.quantile(tau)
    assert_array_equal(q, np.rint(q))
    assert np.all(law.cdf(q) >= tau)
    assert np.all(law.cdf(q - 1) < tau)


def test_quantile_of_a_lognormal():
    tau = np.array([[0.001, 0.2, 0.5, 0.9, 0.999]])
    mu, sigma = (p[:, None] for p in LAWS["lognormal"].parameters)
    assert_allclose(LAWS["lognormal"].quantile(tau), np.exp(mu + sigma * stats.norm.ppf(tau)))


def test_poisson_by_hand():
    law = PoissonLaw(1.0)
    e = np.exp(-1.0)
    assert_allclose(law.cdf([[0.0, 1.0, 1.9, 2.0]]), [[e, 2 * e, 2 * e, 2.5 * e]])
    # E(D - 1)+ = E D - 1 + P(D = 0)
    assert_allclose(law.excess([[1.0, 0.5]]), [[e, 0.5 + 0.5 * e]])
    assert_array_equal(law.quantile([[0.3, 0.4, 0.74, 0.91]]), [[0.0, 1.0, 2.0, 2.0]])


def test_geometric_by_hand():
    # one success at 1/4: P(D >= k) = (3/4)^k, so E(D - k)+ = 3 (3/4)^k
    law = NegativeBinomialLaw(1.0, 0.25)
    k = np.arange(0, 30)
    assert_allclose(law.excess(k[None]), [3 * 0.75**k], rtol=1e-10)
    assert_allclose(law.cdf(k[None]), [1 - 0.75 ** (k + 1)], rtol=1e-10)


def test_lognormal_excess_is_the_undiscounted_black_scholes_call():
    forward, strike, sigma = 100.0, 110.0, 0.2
    d1 = (np.log(forward / strike) + sigma**2 / 2) / sigma
    call = forward * stats.norm.cdf(d1) - strike * stats.norm.cdf(d1 - sigma)
    assert_allclose(call, 4.2920, atol=1e-4)
    law = LognormalLaw(np.log(forward) - sigma**2 / 2, sigma)
    assert_allclose(law.excess(strike), [call], rtol=1e-10)


def test_a_rate_of_zero_is_a_sure_zero():
    law = PoissonLaw([0.0, 2.0])
    assert_array_equal(law.cdf([[-0.5, 0.0, 3.0]])[0], [0.0, 1.0, 1.0])
    assert_array_equal(law.quantile([[0.01, 0.99]])[0], [0.0, 0.0])
    assert_array_equal(law.excess([[-1.0, 0.0, 0.5]])[0], [1.0, 0.0, 0.0])


@FEW
@given(st.sampled_from(sorted(LAWS)), st.floats(-5, 400), st.floats(0, 50))
def test_excess_falls_by_the_chance_to_exceed(name, x, further):
    law = LAWS[name]
    here, there = law.excess(x), law.excess(x + further)
    fall = 1e-9 * (1 + np.abs(here)) + here - there
    # E(D - x)+ is convex, with slope cdf(x) - 1
    assert np.all(fall >= further * (1 - law.cdf(x + further)))
    assert np.all(here - there <= further * (1 - law.cdf(x)) + 1e-9 * (1 + np.abs(here)))
    assert np.all(there >= 0)


@FEW
@given(
    st.sampled_from(["poisson", "negative binomial"]),
    st.floats(0.01, 0.99),
)
def test_quantile_has_least_expected_cost(name, ratio):
    law = LAWS[name]
    orders = np.arange(0, 200)[None]
    short = law.excess(orders)
    cost = ratio * short + (1 - ratio) * (orders - law.mean()[:, None] + short)
    best = np.take_along_axis(cost, law.quantile(ratio)[:, None].astype(int), axis=1)
    assert np.all(best[:, 0] <= cost.min(axis=1) + 1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_expected_of_simple_costs(name):
    law = LAWS[name]
    assert_allclose(law.expected(np.ones_like), np.ones(3), rtol=1e-12)
    for row in range(1, 3):
        second = _mean_of(name, row, np.square)
        assert_allclose(law.expected(lambda d: d)[row], law.mean()[row], rtol=5e-3)
        assert_allclose(law.expected(np.square)[row], second, rtol=1e-2)


def test_expected_square_of_textbook_laws():
    assert_allclose(PoissonLaw(60.0).expected(np.square), [60 + 60**2], rtol=1e-3)
    p, size = 0.5, 40.0
    mean = size * (1 - p) / p
    law = NegativeBinomialLaw(size, p)
    assert_allclose(law.expected(np.square), [mean / p + mean**2], rtol=1e-3)
    assert_allclose(LognormalLaw(1.0, 0.5).expected(np.square), [np.exp(2 + 0.5)], rtol=1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_take_and_concatenate(name):
    law = LAWS[name]
    back = type(law).concatenate([law.take([0]), law.take(slice(1, 3))])
    assert len(back) == 3
    assert_array_equal(back.excess([[0.5, 3.0]]), law.excess([[0.5, 3.0]]))
    assert_array_equal(law.take([2, 0]).quantile(0.7), law.quantile(0.7)[[2, 0]])


def test_one_parameter_may_serve_all_rows():
    law = LognormalLaw([0.0, 1.0, 2.0], 0.5)
    assert len(law) == 3
    assert_allclose(law.mean(), np.exp(np.array([0.0, 1.0, 2.0]) + 0.125))
    assert len(PoissonLaw(4.0)) == 1


@pytest.mark.parametrize("method", ["cdf", "quantile", "excess"])
@pytest.mark.parametrize("name", LAWS)
def test_shapes_of_arguments(name, method):
    function = getattr(LAWS[name], method)
    values = np.array([0.2, 0.5, 0.9])
    by_row = function(np.tile(values, (3, 1)))
    assert by_row.shape == (3, 3)
    assert_array_equal(function(values[None]), by_row)
    assert_array_equal(function(values), np.diag(by_row))
    assert_array_equal(function(0.5), by_row[:, 1])
    with pytest.raises(ValueError, match="3 dimensions"):
        function(np.full((3, 1, 1), 0.5))


@pytest.mark.parametrize("tau", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("name", LAWS)
def test_levels_outside_are_refused(name, tau):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        LAWS[name].quantile(tau)
