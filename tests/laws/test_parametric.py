"""Parametric laws against sums, integrals and textbook moments."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    NormalLaw,
    PoissonLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)

FEW = settings(max_examples=40, deadline=None)
COUNTS = np.arange(0, 3000)
Z, STEP = np.linspace(-12, 12, 40_001, retstep=True)


def _poisson_pmf(rate):
    return np.exp(COUNTS * np.log(rate) - rate - special.gammaln(COUNTS + 1))


def _negative_binomial_pmf(size, p):
    log_ways = special.gammaln(COUNTS + size) - special.gammaln(size) - special.gammaln(COUNTS + 1)
    return np.exp(log_ways + size * np.log(p) + COUNTS * np.log1p(-p))


def _normal_mean_of(function, mu, sigma):
    density = np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi)
    return np.sum(function(mu + sigma * Z) * density) * STEP


def _lognormal_mean_of(function, mu, sigma):
    return _normal_mean_of(lambda logs: function(np.exp(logs)), mu, sigma)


LAWS = {
    "poisson": PoissonLaw([0.05, 3.0, 60.0]),
    "negative binomial": NegativeBinomialLaw([0.3, 4.0, 50.0], [0.1, 0.5, 0.9]),
    "lognormal": LognormalLaw([0.0, 2.0, -1.0], [0.2, 1.0, 0.5]),
    "normal": NormalLaw([0.5, 3.0, -2.0], [1.0, 0.2, 5.0]),
}
MEANS = {
    PoissonLaw: lambda function, rate: np.sum(function(COUNTS) * _poisson_pmf(rate)),
    NegativeBinomialLaw: lambda function, size, p: np.sum(
        function(COUNTS) * _negative_binomial_pmf(size, p)
    ),
    LognormalLaw: _lognormal_mean_of,
    NormalLaw: _normal_mean_of,
}


def _mean_of_row(law, row, function):
    """``E[function(outcome)]`` of a row, from the pmf or density written out."""
    if isinstance(law, MixtureLaw):
        parts = [_mean_of_row(part, row, function) for part in law.components]
        return law.weights[row] @ parts
    if isinstance(law, WeightedAtoms):
        return function(law.atoms[row]) @ law.weights[row]
    return MEANS[type(law)](function, *(p[row] for p in law.parameters))


def _mean_of(name, row, function):
    return _mean_of_row(LAWS[name], row, function)


@pytest.mark.parametrize("x", [-2.0, -0.5, 0.0, 0.3, 1.0, 3.0, 3.7, 60.0, 71.2])
@pytest.mark.parametrize("name", LAWS)
def test_excess_against_sums_and_integrals(name, x):
    exact = [_mean_of(name, row, lambda d: np.maximum(d - x, 0)) for row in range(3)]
    assert_allclose(LAWS[name].excess(x), exact, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize("name", LAWS)
def test_mean_is_excess_over_the_least_outcome_or_less(name):
    law = LAWS[name]
    assert_allclose(law.mean(), [_mean_of(name, row, lambda d: d) for row in range(3)])
    lowest = -100.0 if name == "normal" else 0.0
    assert_allclose(law.excess(lowest), law.mean() - lowest, rtol=1e-12)
    assert_allclose(law.excess(lowest - 7.25), law.mean() - lowest + 7.25, rtol=1e-12)


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.5, 1.0, 3.0, 3.999, 58.0])
@pytest.mark.parametrize("name", LAWS)
def test_cdf_against_sums_and_integrals(name, x):
    exact = [_mean_of(name, row, lambda d: d <= x) for row in range(3)]
    # the sum on a grid misses at most one step where the indicator jumps
    assert_allclose(LAWS[name].cdf(x), exact, atol=STEP if "normal" in name else 1e-11)


@pytest.mark.parametrize("name", ["poisson", "negative binomial"])
def test_quantile_is_the_smallest_count_that_reaches_the_level(name):
    law = LAWS[name]
    tau = np.array([[0.001, 0.2, 0.5, 0.9, 0.999]])
    q = law.quantile(tau)
    assert_array_equal(q, np.rint(q))
    assert np.all(law.cdf(q) >= tau)
    assert np.all(law.cdf(q - 1) < tau)


@given(
    mean=st.floats(1e-3, 1e5),
    size=st.floats(0.05, 1e4),
    levels=st.lists(st.floats(1e-9, 1 - 1e-9), min_size=12, max_size=14),
)
@example(mean=1.0, size=1.0, levels=[0.5, 0.75, 0.875] * 7)
@FEW
def test_many_quantiles_are_those_asked_one_by_one(mean, size, levels):
    for law in (NegativeBinomialLaw(size, size / (size + mean)), PoissonLaw(mean)):
        one_by_one = [law.quantile(level)[0] for level in levels]
        assert_array_equal(law.quantile([levels])[0], one_by_one)


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


def test_normal_by_hand():
    law = NormalLaw([0.0, 10.0], [1.0, 2.0])
    phi = 1 / np.sqrt(2 * np.pi)
    # E(Z)+ = phi(0), and in units of sigma at any mean
    assert_allclose(law.excess([0.0, 10.0]), [phi, 2 * phi])
    # E(Z - z)+ - E(-Z - z)+ = -z, and Z is symmetric
    assert_allclose(law.excess(-1.5)[0] - law.excess(1.5)[0], 1.5)
    assert_allclose(law.cdf([[-1.0, 12.0]]), [stats.norm.cdf([-1, 12]), stats.norm.cdf([-5.5, 1])])
    assert_allclose(law.quantile(0.975), [1.959964, 10 + 2 * 1.959964], rtol=1e-6)
    assert_array_equal(law.mean(), [0.0, 10.0])
    assert np.all(law.excess(np.linspace(0, 100, 4001)[None]) >= 0)


def test_normal_far_above_zero_is_its_rectified_law():
    parameters = [40.0, 20.0], [2.0, 1.0]
    law, rectified = NormalLaw(*parameters), RectifiedNormalLaw(*parameters)
    x = np.array([[0.5, 18.0, 39.0, 45.0]])
    for method in ("cdf", "excess"):
        assert_array_equal(getattr(rectified, method)(x), getattr(law, method)(x))
    assert_array_equal(rectified.quantile([[0.01, 0.9]]), law.quantile([[0.01, 0.9]]))
    assert_allclose(rectified.mean(), law.mean())


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


SPLIT_LAWS = {
    **LAWS,
    "rounded": RoundedLaw(LognormalLaw([0.0, 2.0, 4.0], [0.2, 1.0, 0.5])),
    "rectified": RectifiedNormalLaw([0.5, 3.0, 40.0], [1.0, 0.2, 5.0]),
    "zero-inflated": ZeroInflatedLognormalLaw([0.0, 2.0, -1.0], 0.5, [0.0, 0.3, 0.9]),
    "wide counts": NegativeBinomialLaw([0.5, 4.0, 50.0], [1e-4, 0.5, 1e-3]),
}


@pytest.mark.parametrize("name", SPLIT_LAWS)
@pytest.mark.parametrize("level", [0.3, 0.5, 0.95])
def test_nodes_that_are_split_agree_with_the_excess(name, level):
    law = SPLIT_LAWS[name]
    order = law.quantile(level)

    def cost(outcomes):
        return 9 * np.maximum(outcomes - order[:, None], 0) + np.maximum(
            order[:, None] - outcomes, 0
        )

    exact = 10 * law.excess(order) + order - law.mean()
    rough = name in ("rounded", "wide counts")  # counts of a wide law, not summed one by one
    assert_allclose(law.expected(cost, order), exact, rtol=5e-3 if rough else 1e-3)
    outcomes, weights = law.nodes(order)
    assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-9)
    if name in ("rounded", "wide counts", "poisson", "negative binomial"):
        assert_array_equal(outcomes, np.rint(outcomes))


@pytest.mark.parametrize("name", SPLIT_LAWS)
def test_nodes_of_a_row_do_not_depend_on_others(name):
    law = SPLIT_LAWS[name]
    split = law.quantile(0.6)

    def far(outcomes):
        return np.abs(outcomes - 1.5) ** 1.5

    every = law.expected(far), law.expected(far, split)
    for row in range(3):
        one = law.take([row])
        assert_allclose(one.expected(far), every[0][row], rtol=1e-5)
        assert_allclose(one.expected(far, split[[row]]), every[1][row], rtol=1e-5)


def test_narrow_counts_are_summed_one_by_one():
    rate = np.array([0.05, 3.0, 60.0])
    law = PoissonLaw(rate)
    outcomes, weights = law.nodes()
    for value in (0.0, 1.0, 4.0, 57.0):
        mass = np.where(outcomes == value, weights, 0.0).sum(axis=1)
        assert_allclose(mass, stats.poisson.pmf(value, rate), rtol=1e-4, atol=2e-6)
    # the tails, of a millionth each, are one outcome
    assert_allclose(law.expected(np.square), rate + rate**2, rtol=1e-4)


# ---- mixtures


ZERO = WeightedAtoms(np.zeros((3, 1)))
WEIGHTS = np.array([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1], [0.7, 0.1, 0.2]])
MIXTURES = {
    "counts": MixtureLaw([ZERO, LAWS["poisson"], LAWS["negative binomial"]], WEIGHTS, integer=True),
    "amounts": MixtureLaw([ZERO, LAWS["lognormal"], LAWS["normal"]], WEIGHTS),
}
TAU = np.array([[0.001, 0.05, 0.2, 0.5, 0.7, 0.9, 0.999]])


@pytest.mark.parametrize("x", [-2.0, -0.5, 0.0, 0.3, 1.0, 3.0, 3.7, 60.0, 71.2])
@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_against_sums_and_integrals(name, x):
    law = MIXTURES[name]
    excess = [_mean_of_row(law, row, lambda d: np.maximum(d - x, 0)) for row in range(3)]
    assert_allclose(law.excess(x), excess, rtol=1e-6, atol=1e-11)
    cdf = [_mean_of_row(law, row, lambda d: d <= x) for row in range(3)]
    assert_allclose(law.cdf(x), cdf, atol=STEP if name == "amounts" else 1e-11)
    assert_allclose(law.mean(), [_mean_of_row(law, row, lambda d: d) for row in range(3)])


def test_mixture_by_hand():
    # geometric laws: P(D <= k) = 1 - (1/2)^(k + 1) and 1 - (3/4)^(k + 1), means 1 and 3
    geometric = [NegativeBinomialLaw(1.0, 0.5), NegativeBinomialLaw(1.0, 0.25)]
    law = MixtureLaw(geometric, np.array([[0.5, 0.5]]), integer=True)
    assert_allclose(law.cdf([[-1.0, 0.0, 1.0, 2.0]]), [[0, 3 / 8, 19 / 32, 93 / 128]])
    assert_array_equal(law.quantile([[0.1, 0.375, 0.376, 19 / 32, 0.6]]), [[0, 0, 1, 1, 2]])
    assert_allclose(law.mean(), [2.0])
    assert_allclose(law.excess(1.0), [(1 * 1 / 2 + 3 * 3 / 4) / 2])


def test_quantile_of_mixed_counts_against_their_cdf():
    pmf = np.zeros((3, len(COUNTS)))
    for row in range(3):
        pmf[row, 0] = WEIGHTS[row, 0]
        pmf[row] += WEIGHTS[row, 1] * _poisson_pmf(LAWS["poisson"].parameters[0][row])
        size, p = (parameter[row] for parameter in LAWS["negative binomial"].parameters)
        pmf[row] += WEIGHTS[row, 2] * _negative_binomial_pmf(size, p)
    tau = np.linspace(0.0005, 0.9995, 1999)
    expected = [(np.cumsum(row)[:, None] < tau).sum(axis=0) for row in pmf]
    assert_array_equal(MIXTURES["counts"].quantile(tau[None]), expected)


def test_share_of_zeros_and_lognormal():
    mu, sigma = LAWS["lognormal"].parameters
    share = np.array([0.0, 0.3, 0.9])
    law = MixtureLaw([ZERO, LAWS["lognormal"]], np.column_stack([share, 1 - share]))
    known = ZeroInflatedLognormalLaw(mu, sigma, share)
    x = np.array([[-1.0, 0.0, 0.2, 1.0, 9.0]])
    assert_allclose(law.cdf(x), known.cdf(x), rtol=1e-12)
    assert_allclose(law.excess(x), known.excess(x), rtol=1e-12)
    # 0.3 and 0.9 are the shares themselves
    tau = np.array([[0.001, 0.2999, 0.3, 0.3001, 0.9, 0.9001, 0.999]])
    assert_allclose(law.quantile(tau), known.quantile(tau), rtol=1e-8)
    assert_array_equal(law.quantile(tau) == 0, known.quantile(tau) == 0)
    for cost in (np.square, np.sqrt):
        assert_allclose(law.expected(cost), known.expected(cost), rtol=1e-10)


def test_levels_that_sums_of_weights_miss_by_rounding_are_reached():
    assert 0.1 + 0.7 < 0.8
    parts = [WeightedAtoms(np.array([[atom]])) for atom in (0.0, 1.0, 5.0)]
    for integer in (False, True):
        law = MixtureLaw(parts, np.array([[0.1, 0.7, 0.2]]), integer)
        assert_array_equal(law.quantile([[0.1, 0.8, 0.8 + 1e-9]]), [[0.0, 1.0, 5.0]])


def test_the_cdf_is_at_most_1_where_weights_sum_to_more_by_rounding():
    weights = np.array([[1, 3, 3, 3, 3]]) / 13
    assert sum(weights[0]) > 1
    law = MixtureLaw([PoissonLaw(rate) for rate in range(5)], weights, integer=True)
    assert_array_equal(law.cdf(1e6), [1.0])


def test_mixture_of_equal_laws_is_the_law():
    law = MixtureLaw([LAWS["normal"], LAWS["normal"]], np.full((3, 2), 0.5))
    assert_array_equal(law.quantile(TAU), LAWS["normal"].quantile(TAU))
    assert_array_equal(law.excess(TAU), LAWS["normal"].excess(TAU))


def test_quantile_of_a_symmetric_mixture():
    # of N(-3, 1) and N(3, 1); where it is 0 to the last digit one may lose digits
    parts = [NormalLaw(-3.0, 1.0), NormalLaw(3.0, 1.0)]
    law = MixtureLaw(parts, np.array([[0.5, 0.5]]))
    assert_allclose(law.quantile(TAU), -law.quantile(1 - TAU), atol=1e-9)
    assert_allclose(law.cdf(law.quantile(TAU)), TAU, rtol=1e-11)
    assert_allclose(law.quantile(stats.norm.cdf(3.0) / 2 + stats.norm.cdf(-3.0) / 2), 0, atol=1e-9)
    # one component has next to no mass where the other has its quartile
    assert_allclose(law.quantile(0.25), -3.0, atol=1e-8)


def _random_mixture(weights, name):
    weights = np.array(weights, dtype=float) / sum(weights)
    return MixtureLaw(MIXTURES[name].components, np.tile(weights, (3, 1)), name == "counts")


MIXING = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(sum)


@FEW
@given(MIXING, st.floats(1e-4, 1 - 1e-4), st.integers(-3, 120))
def test_quantile_and_cdf_of_mixed_counts_are_a_galois_connection(weights, tau, x):
    law = _random_mixture(weights, "counts")
    quantile = law.quantile(tau)
    assert_array_equal(quantile, np.rint(quantile))
    reached = law.cdf(float(x)) >= tau
    sure = np.abs(law.cdf(float(x)) - tau) > 1e-11
    assert_array_equal((quantile <= x)[sure], reached[sure])
    # the level of an outcome is reached there, whatever the rounding of sums
    level = law.cdf(float(abs(x)))
    inside = level < 1 - 1e-9
    level = np.where(inside, level, 0.5)
    assert np.all(law.quantile(level)[inside] <= abs(x))


@FEW
@given(MIXING, st.floats(1e-4, 1 - 1e-4), st.floats(-20, 80))
def test_quantile_and_cdf_of_mixed_amounts_are_a_galois_connection(weights, tau, x):
    law = _random_mixture(weights, "amounts")
    quantile, cdf = law.quantile(tau), law.cdf(x)
    sure = np.abs(cdf - tau) > 1e-11
    assert_array_equal((quantile <= x)[sure], (cdf >= tau)[sure])
    assert np.all(law.cdf(quantile) >= tau * (1 - 1e-11))
    assert np.all(law.cdf(quantile - 1e-6 * np.maximum(np.abs(quantile), 1.0)) < tau)


@FEW
@given(MIXING, st.sampled_from(sorted(MIXTURES)), st.floats(-5, 400), st.floats(0, 50))
def test_excess_of_mixtures_falls_by_the_chance_to_exceed(weights, name, x, further):
    law = _random_mixture(weights, name)
    here, there = law.excess(x), law.excess(x + further)
    slack = 1e-9 * (1 + np.abs(here))
    assert np.all(here - there >= further * (1 - law.cdf(x + further)) - slack)
    assert np.all(here - there <= further * (1 - law.cdf(x)) + slack)
    assert np.all(law.cdf(x + further) >= law.cdf(x))
    assert np.all(law.cdf(1e9) <= 1)


@pytest.mark.parametrize("name", MIXTURES)
def test_expected_of_mixtures(name):
    law = MIXTURES[name]
    outcomes, weights = law.nodes()
    assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    for cost in (np.square, np.abs, np.ones_like):
        assert_allclose(law.expected(cost), (cost(outcomes) * weights).sum(axis=1), rtol=1e-12)
    second = [_mean_of_row(law, row, np.square) for row in range(3)]
    assert_allclose(law.expected(np.square)[1:], second[1:], rtol=1e-2)


@pytest.mark.parametrize("name", MIXTURES)
def test_take_and_concatenate_mixtures(name):
    law = MIXTURES[name]
    back = MixtureLaw.concatenate([law.take([0]), law.take(slice(1, 3))])
    assert len(back) == 3
    assert back.integer is law.integer
    assert_array_equal(back.excess([[0.5, 3.0]]), law.excess([[0.5, 3.0]]))
    assert_array_equal(back.quantile(TAU), law.quantile(TAU))
    assert_array_equal(law.take([2, 0]).quantile(0.7), law.quantile(0.7)[[2, 0]])


def test_concatenate_mixtures_of_different_widths():
    one, two, three = (PoissonLaw(rate) for rate in (1.0, 2.0, 3.0))
    narrow = MixtureLaw([one], np.ones((1, 1)), integer=True)
    wide = MixtureLaw([three, two, one], np.array([[0.2, 0.3, 0.5]]), integer=True)
    law = MixtureLaw.concatenate([narrow, wide])
    assert_allclose(law.mean(), [1.0, 0.2 * 3 + 0.3 * 2 + 0.5])
    assert_array_equal(
        law.cdf([[0.0, 4.0]]), np.concatenate([one.cdf([[0, 4]]), wide.cdf([[0, 4]])])
    )
    other = MixtureLaw([NegativeBinomialLaw(1.0, 0.5)], np.ones((1, 1)), integer=True)
    with pytest.raises(ValueError, match="components 0 must be of one type; got Negative"):
        MixtureLaw.concatenate([narrow, other])


@pytest.mark.parametrize("method", ["cdf", "quantile", "excess"])
@pytest.mark.parametrize("name", MIXTURES)
def test_shapes_of_arguments_of_mixtures(name, method):
    function = getattr(MIXTURES[name], method)
    values = np.array([0.2, 0.5, 0.9])
    by_row = function(np.tile(values, (3, 1)))
    assert by_row.shape == (3, 3)
    assert_array_equal(function(values[None]), by_row)
    assert_array_equal(function(values), np.diag(by_row))
    assert_array_equal(function(0.5), by_row[:, 1])
    with pytest.raises(ValueError, match="3 dimensions"):
        function(np.full((3, 1, 1), 0.5))


def test_mixtures_that_cannot_be_are_refused():
    two, three = PoissonLaw([1.0, 2.0]), LAWS["poisson"]
    with pytest.raises(ValueError, match="components must be at least one"):
        MixtureLaw([], np.ones((1, 0)))
    with pytest.raises(ValueError, match="all of as many rows"):
        MixtureLaw([two, three], np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"weights must be of shape \(2, 1\); got \(1, 2\)"):
        MixtureLaw([two], np.ones((1, 2)))
    for bad in ([-0.5, 1.5], [0.5, 0.4], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="sum to 1 in every row; row 1 is"):
            MixtureLaw([two, two], np.array([[0.5, 0.5], bad]))
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        MIXTURES["counts"].quantile(1.0)


# ---- counts of any size

LEVELS_OF_LARGE = np.array([[1e-6, 0.01, 0.5, 0.99, 1 - 1e-6]])


@pytest.mark.parametrize("mean", [2e9, 1e12, 4e15, 1e19, 1e60])
def test_large_poisson_laws_are_normal(mean):
    law = PoissonLaw([mean, 5.0])
    quantiles = law.quantile(LEVELS_OF_LARGE)
    assert_allclose(quantiles[0], np.rint(stats.norm.ppf(LEVELS_OF_LARGE, mean, mean**0.5))[0])
    assert_array_equal(quantiles[1], stats.poisson.ppf(LEVELS_OF_LARGE, 5.0)[0])
    assert_allclose(law.mean(), [mean, 5.0])
    assert_allclose(law.excess(0.0), [mean, 5.0])
    if mean < 1e15:  # of which floats tell apart what is a standard deviation away
        assert_allclose(law.cdf(mean + mean**0.5)[0], stats.norm.cdf(1.0), rtol=1e-4)
        assert_allclose(law.excess(mean)[0], mean**0.5 * stats.norm.pdf(0.0), rtol=1e-4)
        outcomes, weights = law.nodes()
        variance = (weights * (outcomes - mean) ** 2).sum(axis=1)[0]
        assert_allclose(variance, mean, rtol=1e-3)


@pytest.mark.parametrize("size", [1e-3, 0.5, 1e3, 1e9, 1e16])
@pytest.mark.parametrize("mean", [2e9, 4e15, 1e60])
def test_large_negative_binomial_laws_have_gamma_quantiles(mean, size):
    law = NegativeBinomialLaw(size, 1 / (1 + mean / size))
    variance = mean + mean**2 / size
    shape = mean**2 / variance
    expected = stats.gamma.ppf(LEVELS_OF_LARGE, shape, scale=variance / mean)
    quantiles = law.quantile(LEVELS_OF_LARGE)
    assert_allclose(quantiles, np.rint(expected), rtol=1e-5, atol=1.0)
    assert (law.cdf(quantiles) >= LEVELS_OF_LARGE - 1e-9).all()
    assert_allclose(law.mean(), mean, rtol=1e-6)
    assert np.isfinite(law.log_density(np.array([np.rint(mean)]))).all()


@pytest.mark.parametrize("size", [0.5, 30.0, 1e4, 1e10])
def test_laws_do_not_jump_where_counts_become_large(size):
    p = 1 / (1 + 1.001e6 / size)
    law, exact = NegativeBinomialLaw(size, p), stats.nbinom(size, p)
    assert_allclose(law.quantile(LEVELS_OF_LARGE), exact.ppf(LEVELS_OF_LARGE), rtol=3e-6, atol=2.0)
    for x in (0.99e6, 1e6, 1.01e6):
        assert_allclose(law.cdf(x), exact.cdf(x), rtol=1e-3, atol=1e-6)
    above = np.arange(1_000_000, 1_010_000)  # P(outcome > x), one by one
    terms = law.excess(1e6) - law.excess(1.01e6)
    assert_allclose(terms, exact.sf(above).sum(), rtol=1e-3)


def test_quantile_of_mixed_counts_beyond_whole_numbers_of_64_bits():
    law = MixtureLaw([PoissonLaw(1e19), PoissonLaw(9e30)], np.array([[0.5, 0.5]]), integer=True)
    low, high = law.quantile([[0.25, 0.75]])[0]
    assert_allclose([low, high], [1e19, 9e30], rtol=1e-6)
    mixed = MixtureLaw([PoissonLaw(3.0), PoissonLaw(4e15)], np.array([[0.5, 0.5]]), integer=True)
    assert_allclose(mixed.quantile([[0.25, 0.75]]), [[3.0, 4e15]], rtol=1e-6)
