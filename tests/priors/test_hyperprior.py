"""Ranges, weights and shares: what is accepted, how it is drawn, how it is described."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sklearn_pttf import SyntheticPrior
from sklearn_pttf._kinds.demand.ranges import RANGES
from sklearn_pttf._kinds.demand.sampler import COUNT_FAMILIES, NOISE_FAMILIES
from sklearn_pttf._priors.ranges import (
    RangeRule,
    as_tensors,
    canonical,
    canonical_key,
    check_range,
    check_share,
    check_weights,
    draw_range,
)

# ---------------------------------------------------------------- check_range


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        (3, (3.0, 3.0)),
        (0.0, (0.0, 0.0)),
        (10, (10.0, 10.0)),
        ((1, 2), (1.0, 2.0)),
        ([0, 10], (0.0, 10.0)),
        (np.array([1.5, 1.5]), (1.5, 1.5)),
        (np.float32(2.5), (2.5, 2.5)),
    ],
)
def test_check_range(value, ends):
    assert check_range("noise", value, 0, 10) == ends


def test_check_range_keeps_distributions():
    law = stats.uniform(2, 3)
    assert check_range("noise", law, 2, 5) is law


@pytest.mark.parametrize(
    "value",
    [-0.1, 10.1, (0, 11), (-1, 5), (1, 2, 3), (1,), (), "12", "high", None, {}, np.nan, np.inf],
)
def test_check_range_refuses(value):
    with pytest.raises(ValueError, match=r"noise must be a number, a pair .* within \[0, 10\]"):
        check_range("noise", value, 0, 10)


def test_check_range_says_what_is_reversed():
    with pytest.raises(ValueError, match=r"noise .*lowest first; got the reversed range \(5, 1\)"):
        check_range("noise", (5, 1), 0, 10)


@pytest.mark.parametrize("law", [stats.norm(5, 1), stats.uniform(5, 6), stats.loguniform(1, 11)])
def test_check_range_refuses_support_beyond_the_bounds(law):
    with pytest.raises(ValueError, match=r"noise .*within \[0, 10\]; got a distribution with sup"):
        check_range("noise", law, 0, 10)


def test_check_range_asks_for_frozen_distributions():
    with pytest.raises(ValueError, match=r"noise must be .* a frozen scipy\.stats distribution"):
        check_range("noise", stats.uniform, 0, 10)


def test_check_range_of_whole_numbers():
    assert check_range("n_instances", (2, 5.0), 1, 10, whole=True) == (2.0, 5.0)
    with pytest.raises(ValueError, match=r"n_instances must have whole-number ends; got \(2, 5\.5"):
        check_range("n_instances", (2, 5.5), 1, 10, whole=True)


# ---------------------------------------------------------------- draw_range


def _rule(log=False, peaked=False):
    return RangeRule(0.0, 1e10, log=log, peaked=peaked)


@given(
    st.floats(1e-3, 1e6),
    st.floats(1.0, 1e4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=30, deadline=None)
def test_draws_lie_in_the_range(low, factor, log, peaked, seed):
    rng = np.random.RandomState(seed)
    draws = draw_range((low, low * factor), 20, rng, _rule(log, peaked))
    assert draws.shape == (20,)
    assert draws.min() >= low * (1 - 1e-12)
    assert draws.max() <= low * factor * (1 + 1e-12)


def test_uniform_and_log_uniform_draws():
    even, log = (
        draw_range((1, 10_000), 20_000, np.random.RandomState(0), _rule(log)) for log in (0, 1)
    )
    # standard errors: 10,000 / sqrt(12 n) = 20 and ln(10,000) / sqrt(12 n) = 0.02
    assert even.mean() == pytest.approx(5000.5, abs=80)
    assert np.log(log).mean() == pytest.approx(np.log(100), abs=0.08)
    assert (even < 100).mean() == pytest.approx(0.0099, abs=0.003)
    assert (log < 100).mean() == pytest.approx(0.5, abs=0.015)


def test_peaked_draws_are_triangular_on_their_scale():
    even, log = (
        draw_range((1, 10_000), 20_000, np.random.RandomState(0), _rule(log, peaked=True))
        for log in (0, 1)
    )
    for place in ((even - 1) / 9999, np.log(log) / np.log(10_000)):
        # the mean of two uniform draws: variance 1 / 24, standard error of the mean 0.0014
        assert place.mean() == pytest.approx(0.5, abs=0.006)
        assert place.var() == pytest.approx(1 / 24, rel=0.04)
        assert (place < 0.25).mean() == pytest.approx(0.125, abs=0.01)
        assert stats.kstest(place, stats.triang(0.5).cdf).statistic < 0.015
        # the ends are rare, but reached: 2 * 0.02 ** 2 of the draws, 16, lie within 2 %
        assert 0 < place.min() < 0.02
        assert 0.98 < place.max() < 1


def test_log_range_from_zero_is_uniform():
    draws = draw_range((0.0, 2.0), 20_000, np.random.RandomState(0), _rule(log=True))
    assert draws.mean() == pytest.approx(1.0, abs=0.02)
    assert stats.kstest(draws / 2, "uniform").statistic < 0.015


def test_distributions_are_drawn_from():
    law = stats.beta(2, 5)
    draws = draw_range(law, 5000, np.random.RandomState(0), _rule(log=True, peaked=True))
    assert stats.kstest(draws, law.cdf).statistic < 0.025
    np.testing.assert_array_equal(draws, law.rvs(size=5000, random_state=0))


# ---------------------------------------------------------------- check_weights, check_share


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        (("a", "c"), [0.5, 0, 0.5]),
        (["c"], [0, 0, 1]),
        ("b", [0, 1, 0]),
        ({"a": 1, "b": 3}, [0.25, 0.75, 0]),
        ({"a": 0, "b": 2.0}, [0, 1, 0]),
        (("a", "a", "b"), [0.5, 0.5, 0]),
    ],
)
def test_check_weights(value, weights):
    np.testing.assert_allclose(check_weights("f", value, ("a", "b", "c")), weights, rtol=1e-15)


@pytest.mark.parametrize(
    "value",
    [
        ("a", "d"),
        "d",
        {"a": -1},
        {"a": np.nan},
        {"a": np.inf},
        {"a": "1"},
        {"a": 0},
        (),
        {},
        5,
        None,
        [["a"]],
    ],
)
def test_check_weights_refuses(value):
    with pytest.raises(ValueError, match=r"f must be .*some of a, b, c; got "):
        check_weights("f", value, ("a", "b", "c"))


def test_check_share():
    assert [check_share("s", value) for value in (0, 0.25, 1)] == [0.0, 0.25, 1.0]
    for bad in (-0.01, 1.01, np.nan, True, "0.5", None, (0, 1)):
        with pytest.raises(ValueError, match=r"s must be a share between 0 and 1; got "):
            check_share("s", bad)


# ---------------------------------------------------------------- HyperPrior


def _hyperprior(**params):
    return SyntheticPrior(**params).hyperprior()


UNIFORM, TRIANGULAR = stats.uniform(), stats.triang(0.5)
SHAPES = {  # transformation and law of the place within the range
    "level": (np.log, UNIFORM),
    "spread": (np.log, TRIANGULAR),
    "noise": (np.log, TRIANGULAR),
    "noise_spread": (np.array, UNIFORM),
    "zero_rate": (np.array, UNIFORM),
    "zero_concentration": (np.log, UNIFORM),
    "bulk_rate": (np.log, UNIFORM),
    "bulk_size": (np.log, UNIFORM),
    "order_rate": (np.log, UNIFORM),
    "order_dispersion": (np.log, UNIFORM),
    "missing": (np.array, UNIFORM),
}


def test_shapes_of_all_hyperpriors():
    """Spread and noise are likelier in the middle, all others as likely everywhere."""
    assert set(SHAPES) == {name for name, rule in RANGES.items() if not rule.whole}
    prior = _hyperprior(ragged_share=1.0)
    hyper = prior.draw(5000, np.random.RandomState(0))
    for name, (scale, law) in SHAPES.items():
        low, high = scale(prior.bounds(name))
        place = (scale(hyper[name]) - low) / (high - low)
        # 0.0275 is exceeded once in 1000; a uniform and a triangular law are 0.125 apart
        assert stats.kstest(place, law.cdf).statistic < 0.0275, name


def test_distributions_of_spread_and_noise_are_taken_as_they_are():
    laws = {"spread": stats.uniform(0.5, 2.0), "noise": stats.loguniform(0.1, 2.0)}
    hyper = _hyperprior(**laws).draw(5000, np.random.RandomState(0))
    for name, law in laws.items():
        assert stats.kstest(hyper[name], law.cdf).statistic < 0.0275


def test_families_and_shares_are_drawn_as_often_as_asked():
    hyper = _hyperprior(
        noise_families={"poisson": 1, "gamma": 3},
        whole_share=0.4,
        intermittent_share=0.2,
        bulk_share=0.7,
        ragged_share=0.5,
        missing=(0.1, 0.3),
    ).draw(10_000, np.random.RandomState(0))
    poisson = hyper["noise_family"] == NOISE_FAMILIES.index("poisson")
    gamma = hyper["noise_family"] == NOISE_FAMILIES.index("gamma")
    assert (poisson | gamma).all()
    assert poisson.mean() == pytest.approx(0.25, abs=0.02)
    assert hyper["whole"][poisson].all()
    assert hyper["whole"][gamma].mean() == pytest.approx(0.4, abs=0.025)
    assert hyper["intermittent"].mean() == pytest.approx(0.2, abs=0.02)
    assert hyper["bulk"].mean() == pytest.approx(0.7, abs=0.02)
    ragged = hyper["missing"] > 0
    assert ragged.mean() == pytest.approx(0.5, abs=0.02)
    assert hyper["missing"][ragged].min() >= 0.1
    assert hyper["missing"].max() <= 0.3


@pytest.mark.parametrize("family", NOISE_FAMILIES)
def test_only_counts_imply_whole_numbers(family):
    hyper = _hyperprior(noise_families=family, whole_share=0).draw(5, np.random.RandomState(0))
    assert hyper["whole"].tolist() == [family in COUNT_FAMILIES] * 5


@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 40), st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_shapes_lie_in_their_ranges(rows, more_rows, cells, more_cells):
    prior = _hyperprior(
        n_instances=(rows, rows + more_rows), n_observations=(cells, cells + more_cells)
    )
    rng = np.random.RandomState(0)
    shapes = np.array([prior.draw_shape(rng) for _ in range(30)])
    assert shapes[:, 0].min() >= rows
    assert shapes[:, 0].max() <= rows + more_rows
    assert shapes[:, 1].min() >= cells
    assert shapes[:, 1].max() <= cells + more_cells


def test_small_shapes_are_drawn_more_often():
    rng = np.random.RandomState(0)
    prior = _hyperprior(n_instances=(1, 999), n_observations=(1, 30))
    rows, cells = np.array([prior.draw_shape(rng) for _ in range(3000)]).T
    assert np.mean(rows < 32) == pytest.approx(0.5, abs=0.04)  # log(32) / log(1000)
    assert np.median(cells) < 15
    assert set(cells) == set(range(1, 31))


def test_shapes_follow_distributions():
    rng = np.random.RandomState(0)
    prior = _hyperprior(n_instances=stats.binom(10, 0.7, loc=1), n_observations=stats.randint(2, 4))
    rows, cells = np.array([prior.draw_shape(rng) for _ in range(1000)]).T
    assert rows.mean() == pytest.approx(8, abs=0.2)  # standard error 0.05
    assert rows.std() == pytest.approx(math.sqrt(2.1), rel=0.15)
    assert set(cells) == {2, 3}
    assert cells.mean() == pytest.approx(2.5, abs=0.07)


def test_as_tensors():
    hyper = as_tensors(_hyperprior().draw(4, np.random.RandomState(0)))
    assert {tensor.shape for tensor in hyper.values()} == {(4,)}
    assert {str(t.dtype) for t in hyper.values()} == {"torch.float32", "torch.int64"}
    assert not hyper["noise_family"].is_floating_point()


# ---------------------------------------------------------------- canonical


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1, 2.5), [1, 2.5]),
        ((1.0, 2.0), np.array([1.0, 2.0])),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.int64(3), 3),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (stats.loguniform(1, 10), stats.loguniform(1, 10)),
        (stats.norm(loc=1, scale=2), stats.norm(scale=2, loc=1)),
    ],
)
def test_equal_things_have_equal_keys(left, right):
    key = canonical_key(left)
    assert key == canonical_key(right)
    assert "\n" not in key
    assert json.loads(key) == canonical(left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1.0, np.nextafter(1.0, 2)),
        ("1", 1),
        (None, "None"),
        (True, 1),
        ((1, 2), (2, 1)),
        (stats.loguniform(1, 10), stats.loguniform(1, 11)),
        (stats.loguniform(1, 10), stats.uniform(1, 10)),
        (stats.norm(loc=1), stats.norm(scale=1)),
        (stats.loguniform(1, 10), (1, 10)),
    ],
)
def test_different_things_have_different_keys(left, right):
    assert canonical_key(left) != canonical_key(right)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, [object()]])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ValueError, match=r"cannot describe .* in JSON"):
        canonical(value)


def test_distributions_without_a_name_are_refused():
    """Two histograms have one name: their keys would be equal."""
    law = stats.rv_histogram(np.histogram([1.0, 2.0, 3.0])).freeze()
    with pytest.raises(ValueError, match=r"no distribution of scipy\.stats"):
        canonical(law)
