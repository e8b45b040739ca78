"""Drawn demand has the moments that its parameters say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from sklearn_pttf._kinds.demand.sampler import NOISE_FAMILIES, SPREAD_FAMILIES, draw_portfolios
from sklearn_pttf._priors.sampling import MAX_MEAN

PLAIN = {
    "level": 30.0,
    "spread": 0.5,
    "spread_family": "lognormal",
    "noise": 0.5,
    "noise_spread": 0.0,
    "noise_family": "gamma",
    "whole": 0.0,
    "intermittent": 0.0,
    "zero_rate": 0.0,
    "zero_concentration": 10.0,
    "bulk": 0.0,
    "bulk_rate": 0.05,
    "bulk_size": 5.0,
    "order_rate": 2.0,
    "order_dispersion": 0.5,
    "missing": 0.0,
}


def _draw(shape, size=1, seed=0, **changes):
    """``size`` portfolios of one kind, of ``shape`` (rows, observations, outcomes)."""
    hyper = {**PLAIN, **changes}
    codes = {"spread_family": SPREAD_FAMILIES, "noise_family": NOISE_FAMILIES}
    tensors = {
        name: torch.full((size,), codes[name].index(value) if name in codes else float(value))
        for name, value in hyper.items()
    }
    return draw_portfolios(tensors, *shape, torch.Generator().manual_seed(seed))


def _arrays(draw):
    """Outcomes and parameters of the first portfolio, in float64."""
    parameters = {name: value[0].numpy().astype(float) for name, value in draw.parameters.items()}
    return draw.outcomes[0].numpy().astype(float), parameters


def _true_moments(family, mean, noise):
    """Mean and standard deviation of an outcome, by the book."""
    if family == "poisson":
        return mean, np.sqrt(mean)
    if family == "negative_binomial":
        return mean, np.sqrt(mean + (noise * mean) ** 2)
    if family == "normal":  # truncated at zero: the mean rises, the variance falls
        hazard = stats.norm.pdf(1 / noise) / stats.norm.cdf(1 / noise)
        variance = (noise * mean) ** 2 * (1 - hazard / noise - hazard**2)
        return mean * (1 + noise * hazard), np.sqrt(variance)
    if family == "compound_poisson":
        rate = PLAIN["order_rate"]
        return mean, mean * np.sqrt((1 + PLAIN["order_dispersion"] ** 2) / rate)
    return mean, noise * mean


@pytest.mark.parametrize("noise", [0.2, 0.7])
@pytest.mark.parametrize("family", NOISE_FAMILIES)
def test_moments_of_outcomes(family, noise):
    outcomes, true = _arrays(_draw((40, 0, 4000), noise_family=family, noise=noise))
    np.testing.assert_allclose(true["noise"], noise, rtol=1e-6)
    mean, deviation = _true_moments(family, true["mean"], noise)
    z = (outcomes.mean(axis=1) - mean) / (deviation / math.sqrt(4000))
    assert np.abs(z).max() < 5
    assert np.mean(z**2) == pytest.approx(1, abs=0.9)  # of 40 rows: standard error 0.22
    ratio = outcomes.std(axis=1) / deviation
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_noise_differs_between_instances():
    noisy = _draw((2000, 0, 1), noise=0.3, noise_spread=0.5).parameters["noise"].log()
    assert noisy.mean().item() == pytest.approx(math.log(0.3), abs=0.05)
    assert noisy.std().item() == pytest.approx(0.5, abs=0.03)


def test_own_noise_is_the_outcomes_own():
    outcomes, true = _arrays(_draw((50, 0, 5000), noise=0.3, noise_spread=0.5))
    np.testing.assert_allclose(outcomes.std(axis=1) / true["mean"], true["noise"], rtol=0.2)


# ---------------------------------------------------------------- zeros and bulk orders


def test_zero_rates_of_instances():
    draw = _draw((200, 0, 4000), intermittent=1, zero_rate=0.4, zero_concentration=20.0)
    outcomes, true = _arrays(draw)
    rate = true["zero_rate"]
    z = ((outcomes == 0).mean(axis=1) - rate) / np.sqrt(rate * (1 - rate) / 4000)
    assert np.abs(z).max() < 5
    assert np.mean(z**2) == pytest.approx(1, abs=0.4)  # of 200 rows: standard error 0.1
    # beta distribution of mean 0.4 with a + b = 20
    deviation = math.sqrt(0.4 * 0.6 / 21)
    assert rate.mean() == pytest.approx(0.4, abs=4 * deviation / math.sqrt(200))
    assert rate.std() == pytest.approx(deviation, rel=0.2)


def test_zeros_come_on_top_of_the_mean():
    draw = _draw((40, 0, 4000), intermittent=1, zero_rate=0.5)
    outcomes, true = _arrays(draw)
    ratio = outcomes.mean(axis=1) / (true["mean"] * (1 - true["zero_rate"]))
    assert ratio.mean() == pytest.approx(1, abs=0.02)


def test_no_zeros_without_intermittence():
    draw = _draw((50, 20, 20), zero_rate=0.5)
    assert (draw.outcomes > 0).all()
    assert (draw.observations > 0).all()
    assert (draw.parameters["zero_rate"] == 0).all()


def test_bulk_orders_raise_the_mean():
    rate, size = 0.1, 6.0
    outcomes, true = _arrays(_draw((20_000, 0, 20), bulk=1, bulk_rate=rate, bulk_size=size))
    ratio = (outcomes / true["mean"][:, None]).mean()
    # a row's own rate is exponential with mean 0.1, at most 0.5: its first two moments
    ends = math.exp(-0.5 / rate)
    first, second = rate * (1 - ends), 2 * rate**2 * (1 - ends * (1 + 0.5 / rate))
    extra = size * math.exp(0.125)  # mean of an order; its mean square is size^2 exp(0.5)
    between = (second - first**2) * extra**2
    within = PLAIN["noise"] ** 2 + first * size**2 * math.exp(0.5) - second * extra**2
    error = math.sqrt(between / 20_000 + within / outcomes.size)
    assert ratio == pytest.approx(1 + first * extra, abs=4 * error)
    assert error < 0.007


def test_bulk_orders_are_as_rare_as_asked():
    outcomes, true = _arrays(_draw((20_000, 0, 20), noise=0.05, bulk=1, bulk_rate=0.03))
    high = (outcomes > 1.5 * true["mean"][:, None]).mean()  # an order is 5 times the mean
    # standard error: rows 0.03 / sqrt(20,000), orders sqrt(0.03 / 400,000); together 0.0004
    assert high == pytest.approx(0.03, abs=0.0015)


def test_rows_have_their_own_rates_of_bulk_orders():
    """Exponentially distributed around the portfolio's rate, up to one half."""
    rate = 0.2
    outcomes, true = _arrays(
        _draw((1000, 0, 1000), noise=0.05, bulk=1, bulk_rate=rate, bulk_size=20.0)
    )
    shares = (outcomes > 1.5 * true["mean"][:, None]).mean(axis=1)
    for most in (0.05, 0.1, 0.2, 0.3, 0.45):  # standard error at most 0.016
        assert (shares < most).mean() == pytest.approx(1 - math.exp(-most / rate), abs=0.06)
    assert shares.max() == pytest.approx(0.5, abs=0.07)  # of a share: at most 0.016
    assert shares.mean() == pytest.approx(rate * (1 - math.exp(-0.5 / rate)), abs=0.02)


def test_portfolios_without_bulk_orders():
    outcomes, true = _arrays(_draw((500, 0, 100), noise=0.05, bulk=0, bulk_rate=1.0))
    assert (outcomes < 1.5 * true["mean"][:, None]).all()


def test_periods_without_orders():
    """Compound Poisson demand is zero as often as its number of orders is."""
    outcomes, _ = _arrays(_draw((50, 0, 4000), noise_family="compound_poisson", order_rate=0.7))
    zero = math.exp(-0.7)
    share = (outcomes == 0).mean()
    assert share == pytest.approx(zero, abs=4 * math.sqrt(zero * (1 - zero) / outcomes.size))


# ---------------------------------------------------------------- means of the instances


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_lognormal_means(spread):
    logs = _draw((5000, 0, 1), spread=spread).parameters["mean"][0].log()
    assert logs.mean().item() == pytest.approx(math.log(30), abs=4 * spread / math.sqrt(5000))
    assert logs.std().item() == pytest.approx(spread, rel=0.04)


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.5])
def test_gamma_means(spread):
    means = _draw((5000, 0, 1), spread=spread, spread_family="gamma").parameters["mean"][0]
    logs = means.log().numpy()
    # the gamma with the mean of `level` and the coefficient of variation of a lognormal
    exact = math.sqrt(special.polygamma(1, 1 / math.expm1(spread**2)))
    assert logs.std() == pytest.approx(exact, rel=0.06)
    assert logs.std() == pytest.approx(spread, rel=0.25)
    assert means.mean().item() == pytest.approx(30, rel=0.05)
    assert (means.std() / means.mean()).item() == pytest.approx(
        math.sqrt(math.expm1(spread**2)), rel=0.06
    )


@pytest.mark.parametrize("family", ["segments", "heavy_tailed"])
def test_other_spreads_are_about_as_asked(family):
    draw = _draw((200, 0, 1), size=200, spread=0.5, spread_family=family)
    logs = draw.parameters["mean"].log()
    assert logs.std(dim=1).square().mean().sqrt().item() == pytest.approx(0.5, rel=0.25)


def test_heavy_tails_are_heavier():
    lightest, heaviest = (
        _draw((2000, 0, 1), size=20, spread=0.5, spread_family=family).parameters["mean"].log()
        for family in ("lognormal", "heavy_tailed")
    )
    kurtosis = [stats.kurtosis(x.numpy(), axis=1).mean() for x in (lightest, heaviest)]
    assert abs(kurtosis[0]) < 0.2
    assert kurtosis[1] > 2


def test_segments_stand_apart():
    """Few centres, little spread within: most gaps between sorted log means are tiny."""
    logs = _draw((300, 0, 1), size=50, spread=1.0, spread_family="segments").parameters["mean"]
    widths = logs.log().sort(dim=1).values.diff(dim=1)
    share_of_five_gaps = widths.topk(5, dim=1).values.sum(1) / widths.sum(1)
    even = _draw((300, 0, 1), size=50, spread=1.0).parameters["mean"]
    widths = even.log().sort(dim=1).values.diff(dim=1)
    assert (
        share_of_five_gaps.mean()
        > 1.3 * (widths.topk(5, dim=1).values.sum(1) / widths.sum(1)).mean()
    )


# ---------------------------------------------------------------- past and future


@pytest.mark.parametrize("family", NOISE_FAMILIES)
def test_observations_and_outcomes_are_exchangeable(family):
    draw = _draw(
        (20_000, 2, 1), noise_family=family, spread=0.3, intermittent=1, zero_rate=0.2, bulk=1
    )
    first, second = draw.observations[0].numpy().T
    later = draw.outcomes[0, :, 0].numpy()
    assert stats.ks_2samp(first, later).pvalue > 1e-3
    assert stats.ks_2samp(second, later).pvalue > 1e-3
    ranks = stats.spearmanr(np.column_stack([first, second, later])).statistic
    within, across = ranks[0, 1], (ranks[0, 2] + ranks[1, 2]) / 2
    assert within == pytest.approx(across, abs=0.035)  # standard error of a correlation 0.007
    assert within > 0.05  # they share the instance's mean


def test_outcomes_are_independent_given_the_instance():
    outcomes, true = _arrays(_draw((20_000, 0, 2), spread=1.0))
    left, right = (outcomes / true["mean"][:, None]).T
    assert abs(np.corrcoef(left, right)[0, 1]) < 4 / math.sqrt(20_000)


# ---------------------------------------------------------------- shapes and special values


def test_shapes():
    draw = _draw((7, 4, 3), size=5)
    assert draw.observations.shape == (5, 7, 4)
    assert draw.outcomes.shape == (5, 7, 3)
    assert draw.whole.shape == (5,)
    assert {name: value.shape for name, value in draw.parameters.items()} == dict.fromkeys(
        ("mean", "noise", "zero_rate"), (5, 7)
    )


@pytest.mark.parametrize("shape", [(3, 0, 2), (3, 2, 0), (1, 1, 1)])
def test_empty_parts(shape):
    draw = _draw(shape, missing=0.5)
    assert draw.observations.shape == (1, shape[0], shape[1])
    assert draw.outcomes.shape == (1, shape[0], shape[2])


@pytest.mark.parametrize("missing", [0.1, 0.4])
def test_share_of_missing_observations(missing):
    draw = _draw((500, 20, 2), size=20, missing=missing)
    hidden = draw.observations.isnan()
    by_row = hidden.float().mean(-1)
    assert hidden.float().mean().item() == pytest.approx(missing, abs=0.02)
    assert by_row.std().item() > 0.5 * missing  # a share of each row's own
    assert not hidden[:, 0, 0].any()  # a portfolio always has an observation
    assert not draw.outcomes.isnan().any()


def test_missing_observations_do_not_change_the_others():
    full, ragged = (_draw((50, 10, 3), missing=missing) for missing in (0.0, 0.5))
    seen = ~ragged.observations.isnan()
    assert 0 < seen.float().mean() < 1
    torch.testing.assert_close(ragged.observations[seen], full.observations[seen], rtol=0, atol=0)
    torch.testing.assert_close(ragged.outcomes, full.outcomes, rtol=0, atol=0)


@pytest.mark.parametrize("family", NOISE_FAMILIES)
def test_whole_numbers(family):
    whole, amounts = (_draw((50, 5, 5), noise_family=family, whole=w) for w in (1.0, 0.0))
    assert (whole.outcomes == whole.outcomes.round()).all()
    assert (whole.observations == whole.observations.round()).all()
    assert whole.whole.tolist() == [1.0]
    torch.testing.assert_close(whole.outcomes, amounts.outcomes.round(), rtol=0, atol=0)


def test_kinds_are_mixed_in_one_draw():
    """Each portfolio keeps its own families and level."""
    hyper = {name: torch.tensor([0.0, 0.0, 0.0]) for name in PLAIN}
    hyper.update(
        level=torch.tensor([10.0, 1e3, 1e5]),
        spread=torch.full((3,), 1e-3),
        noise=torch.full((3,), 0.1),
        noise_family=torch.tensor([NOISE_FAMILIES.index(f) for f in ("gamma", "poisson", "gamma")]),
        spread_family=torch.tensor([0, 1, 2]),
        order_rate=torch.ones(3),
        order_dispersion=torch.ones(3),
        zero_concentration=torch.ones(3),
    )
    draw = draw_portfolios(hyper, 20, 50, 50, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(draw.outcomes.mean((1, 2)), [10, 1e3, 1e5], rtol=0.02)
    are_whole = (draw.outcomes == draw.outcomes.round()).flatten(1).all(1)
    assert are_whole.tolist() == [False, True, False]


@given(
    st.sampled_from(NOISE_FAMILIES),
    st.sampled_from(SPREAD_FAMILIES),
    st.sampled_from([1e-3, 1e8]),
    st.sampled_from([1e-3, 4.0]),
    st.sampled_from([0.01, 4.0]),
    st.sampled_from([0.0, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_extreme_ranges_give_finite_demand(family, spread_family, level, spread, noise, extra):
    draw = _draw(
        (20, 5, 5),
        size=3,
        level=level,
        spread=spread,
        spread_family=spread_family,
        noise=noise,
        noise_spread=1.5,
        noise_family=family,
        whole=extra,
        intermittent=extra,
        zero_rate=0.99 * extra,
        zero_concentration=0.5,
        bulk=extra,
        bulk_rate=1.0,
        bulk_size=1e4,
        order_rate=0.01 if extra else 100.0,
        order_dispersion=5.0 if extra else 0.05,
    )
    for values in (draw.observations, draw.outcomes):
        assert values.isfinite().all()
        assert (values >= 0).all()
        assert (values <= 10 * MAX_MEAN).all()
    for values in draw.parameters.values():
        assert values.isfinite().all()
    assert (draw.parameters["mean"] > 0).all()


@given(st.integers(0, 2**31), st.sampled_from(NOISE_FAMILIES), st.sampled_from(SPREAD_FAMILIES))
@settings(max_examples=15, deadline=None)
def test_equal_seeds_give_equal_draws(seed, family, spread_family):
    changes = {"noise_family": family, "spread_family": spread_family, "missing": 0.3}
    first, again, other = (_draw((6, 4, 3), seed=s, **changes) for s in (seed, seed, seed + 1))
    torch.testing.assert_close(first.observations, again.observations, equal_nan=True)
    torch.testing.assert_close(first.outcomes, again.outcomes, rtol=0, atol=0)
    assert not torch.equal(first.parameters["mean"], other.parameters["mean"])


def test_global_randomness_is_left_alone():
    before = torch.get_rng_state()
    _draw((5, 5, 5))
    assert torch.equal(torch.get_rng_state(), before)
