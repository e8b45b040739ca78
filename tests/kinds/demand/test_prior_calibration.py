"""The prior finds the ranges of real rows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_pttf import SyntheticPrior
from sklearn_pttf._kinds.demand.ranges import RANGES
from sklearn_pttf._kinds.demand.sampler import NOISE_FAMILIES, SPREAD_FAMILIES
from support.demand_prior import KNOWN, known_rows, same_portfolio


def _inside(ends, outer):
    return outer[0] <= ends[0] <= ends[1] <= outer[1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_calibration_finds_the_setting(seed):
    prior = SyntheticPrior(random_state=seed)
    calibrated = prior.calibrated(known_rows(seed=seed))
    original = SyntheticPrior()
    for name, rule in RANGES.items():
        assert _inside(getattr(calibrated, name), getattr(original, name)), name
        if rule.whole or name == "missing":
            assert getattr(calibrated, name) == getattr(original, name)
    for name in ("level", "spread"):
        low, high = getattr(calibrated, name)
        assert low <= KNOWN[name] <= high
    assert calibrated.level[1] / calibrated.level[0] < 10  # was two million
    assert calibrated.spread[1] / calibrated.spread[0] < 20  # was 50
    assert set(calibrated.noise_families) <= set(NOISE_FAMILIES)
    assert set(calibrated.spread_families) <= set(SPREAD_FAMILIES)


def test_calibrated_prior_is_unfitted_and_survives_clone(real):
    prior = SyntheticPrior(random_state=0, n_simulations=200)
    before = prior.get_params()
    calibrated = prior.calibrated(real)
    assert prior.get_params() == before
    assert vars(prior).keys() == vars(SyntheticPrior()).keys()
    assert vars(calibrated).keys() == vars(SyntheticPrior()).keys()
    with pytest.raises(NotFittedError):
        calibrated.transform(real)
    copy = clone(calibrated)
    assert copy.get_params() == calibrated.get_params()
    assert same_portfolio(copy.sample()[0], calibrated.sample()[0])
    assert calibrated.level != prior.level


def test_calibrated_and_fitted_draw_alike(real):
    prior = SyntheticPrior(random_state=0, n_simulations=200)
    calibrated = prior.calibrated(real)
    params = prior.get_params()
    fitted = prior.fit(real)
    assert fitted.get_params() == params
    assert {k: calibrated.get_params()[k] for k in fitted.calibrated_params_} == (
        fitted.calibrated_params_
    )
    assert same_portfolio(fitted.sample(random_state=5)[0], calibrated.sample(random_state=5)[0])


def test_equal_seeds_calibrate_alike(real):
    first, again, other = (
        SyntheticPrior(random_state=seed, n_simulations=200).fit(real) for seed in (0, 0, 1)
    )
    assert first.calibrated_params_ == again.calibrated_params_
    assert first.calibrated_params_ != other.calibrated_params_
    np.testing.assert_array_equal(first.transform(real), again.transform(real))
    assert not np.array_equal(first.transform(real), other.transform(real))


def test_zeros_are_noticed():
    amounts = {"noise_families": "gamma", "whole_share": 0.0, "noise": 0.3}
    clean = known_rows(**amounts)
    zeros = known_rows(**amounts, intermittent_share=1.0, zero_rate=0.5)
    assert (clean > 0).all()
    shares = [
        SyntheticPrior(random_state=0).calibrated(rows).intermittent_share
        for rows in (clean, zeros)
    ]
    assert shares[1] > 0.5
    assert shares[0] < 0.2


def test_noise_is_noticed():
    amounts = {"noise_families": "gamma", "whole_share": 0.0}
    quiet, loud = (
        SyntheticPrior(random_state=0, noise_families="gamma").calibrated(
            known_rows(**amounts, noise=s)
        )
        for s in (0.1, 1.0)
    )
    assert quiet.noise[0] <= 0.1 <= quiet.noise[1] < loud.noise[0] <= 1.0 <= loud.noise[1]


def test_fixed_parameters_stay_fixed(real):
    """Even at the ends of what is allowed, where exp(log(x)) may lie beyond x."""
    ends = {"order_rate": 100.0, "bulk_size": 1e4, "zero_concentration": 1e4}
    prior = SyntheticPrior(level=20.0, **ends, n_simulations=100, random_state=0)
    calibrated = prior.calibrated(real)
    for name, value in {"level": 20.0, **ends}.items():
        np.testing.assert_allclose(getattr(calibrated, name), value, rtol=1e-12)
    calibrated.sample()


def test_calibration_when_the_prior_is_far_off(real):
    calibrated = SyntheticPrior(level=(1e4, 1e5), random_state=0).calibrated(real)
    assert _inside(calibrated.level, (1e4, 1e5))
    assert calibrated.level[0] < 2e4  # the nearest it has


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[3.0]]),
        np.array([[0.0, 0.0], [0.0, np.nan]]),
        np.array([[np.nan, 2.0], [np.nan, np.nan]]),
        np.full((3, 2), 7.5),
        np.full((2, 40), 1e7),
    ],
)
def test_small_data_calibrate(rows):
    prior = SyntheticPrior(n_simulations=100, random_state=0).fit(rows)
    assert np.isnan(prior.transform(rows)).all(axis=1).tolist() == (
        np.isnan(rows).all(axis=1).tolist()
    )
    prior.sample(random_state=0)


def test_long_sparse_histories_calibrate():
    """Observations count wherever they stand among many empty cells."""
    rows = np.full((5, 300), np.nan)
    rows[np.arange(5), 60 * np.arange(5) + 7] = [18.0, 20.0, 22.0, 25.0, 16.0]
    low, high = SyntheticPrior(random_state=0).calibrated(rows).level
    assert low <= 20 <= high
    assert high / low < 20


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((3, 2), np.nan), "X has no observation at all"),
        (np.array([[1.0, -2.0]]), "at least 0; got row 0: -2.0"),
        (np.array([[1.0, np.inf]]), "infinity"),
        (np.array([1.0, 2.0]), "Expected 2D array"),
        (np.empty((0, 2)), "0 sample"),
    ],
)
def test_fit_refuses(X, message):
    with pytest.raises(ValueError, match=message):
        SyntheticPrior(n_simulations=100).fit(X)
