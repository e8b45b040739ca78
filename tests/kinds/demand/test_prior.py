"""The prior draws what its ranges say, finds the ranges of real rows, and ranks rows."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_pttf import SyntheticPrior
from sklearn_pttf._kinds.demand.ranges import FAMILIES, RANGES, SHARES
from sklearn_pttf._kinds.demand.sampler import NOISE_FAMILIES, SPREAD_FAMILIES
from sklearn_pttf._priors.ranges import canonical_key
from sklearn_pttf._tables.summaries import mid_ranks, row_summaries

KNOWN = {
    "level": 20.0,
    "spread": 0.4,
    "spread_families": "lognormal",
    "noise": 0.5,
    "noise_spread": 0.1,
    "noise_families": "negative_binomial",
    "intermittent_share": 0.0,
    "bulk_share": 0.0,
    "ragged_share": 0.0,
}
RANKS = ["level_rank", "dispersion_rank", "zero_share_rank", "peak_rank"]


def _rows(n_instances=80, n_observations=10, seed=0, **changes):
    prior = SyntheticPrior(**{**KNOWN, **changes})
    (portfolio,) = prior.sample(
        1, n_instances=n_instances, n_observations=n_observations, random_state=seed
    )
    return portfolio.observations


@pytest.fixture(scope="module")
def real():
    return _rows()


@pytest.fixture(scope="module")
def fitted(real):
    return SyntheticPrior(random_state=0).fit(real)


def _same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for name in ("observations", "outcomes")
    ) and all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


# ---------------------------------------------------------------- sample


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 9), st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_equal_seeds_give_equal_portfolios(seed, rows, cells, later):
    def draw(seed):
        sizes = {"n_instances": rows, "n_observations": cells, "n_outcomes": later}
        return SyntheticPrior().sample(2, **sizes, random_state=seed)

    first, again, other = draw(seed), draw(seed), draw((seed + 1) % 2**32)
    assert first[0].observations.shape == (rows, cells)
    assert first[0].outcomes.shape == (rows, later)
    assert all(_same(a, b) for a, b in zip(first, again, strict=True))
    assert not _same(first[0], first[1])
    assert not _same(first[0], other[0])


def test_seed_of_the_prior_and_seed_of_the_draw():
    (own,) = SyntheticPrior(random_state=3).sample()
    (given_,) = SyntheticPrior().sample(random_state=3)
    (first,), (second,) = (SyntheticPrior(random_state=3).sample(random_state=4) for _ in "ab")
    assert _same(own, given_)
    assert _same(first, second)
    assert not _same(own, first)
    rng = np.random.RandomState(3)
    (first,), (second,) = (SyntheticPrior(random_state=rng).sample() for _ in "ab")
    assert _same(first, own)
    assert not _same(first, second)  # a generator goes on


def test_global_randomness_is_left_alone(real):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    prior = SyntheticPrior(n_simulations=100, random_state=0)
    prior.sample()
    prior.fit(real).transform(real)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_drawn_shapes_lie_in_their_ranges():
    portfolios = SyntheticPrior(n_instances=(3, 6), n_observations=(2, 4)).sample(
        60, random_state=0
    )
    shapes = {p.observations.shape for p in portfolios}
    assert {rows for rows, _ in shapes} == {3, 4, 5, 6}
    assert {cells for _, cells in shapes} == {2, 3, 4}
    assert {p.outcomes.shape[1] for p in portfolios} == {1}


def test_portfolios_without_history():
    (portfolio,) = SyntheticPrior().sample(1, n_instances=4, n_observations=0, random_state=0)
    assert portfolio.observations.shape == (4, 0)
    assert portfolio.outcomes.shape == (4, 1)


def test_raggedness():
    sizes = {"n_instances": 200, "n_observations": 20, "random_state": 0}
    (full,) = SyntheticPrior(ragged_share=0).sample(1, **sizes)
    (ragged,) = SyntheticPrior(ragged_share=1, missing=0.3).sample(1, **sizes)
    assert not np.isnan(full.observations).any()
    assert np.isnan(ragged.observations).mean() == pytest.approx(0.3, abs=0.05)
    assert not np.isnan(ragged.outcomes).any()
    np.testing.assert_array_equal(ragged.counts, (~np.isnan(ragged.observations)).sum(axis=1))


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_whole_numbers_where_promised(family):
    prior = SyntheticPrior(noise_families=family, whole_share=0.5, level=(5, 50))
    portfolios = prior.sample(30, n_instances=5, n_observations=5, random_state=0)
    flags = {p.integer for p in portfolios}
    assert flags == ({True} if family == "poisson" else {True, False})
    for p in portfolios:
        values = np.concatenate([p.observations, p.outcomes], axis=1)
        values = values[~np.isnan(values)]
        assert np.array_equal(values, np.rint(values)) == p.integer


def test_true_parameters_are_there():
    (p,) = SyntheticPrior().sample(1, n_instances=6, random_state=0)
    own = {name for name, value in p.parameters.items() if np.ndim(value)}
    assert own == {"mean", "noise", "zero_rate"}
    assert all(p.parameters[name].shape == (6,) for name in own)
    assert {"level", "spread", "noise_spread", "bulk", "bulk_rate"} <= set(p.parameters)
    assert p.parameters["spread_family"] in SPREAD_FAMILIES
    assert p.parameters["noise_family"] in NOISE_FAMILIES


def test_true_means_are_the_means_of_outcomes():
    prior = SyntheticPrior(**KNOWN)
    (p,) = prior.sample(1, n_instances=50, n_outcomes=4000, random_state=0)
    mean = p.parameters["mean"]
    deviation = np.sqrt(mean + (p.parameters["noise"] * mean) ** 2)
    z = (p.outcomes.mean(axis=1) - mean) / (deviation / np.sqrt(4000))
    assert np.abs(z).max() < 5


def test_unfitted_prior_draws_from_its_ranges():
    ranges = {"level": (3.0, 30.0), "spread": (0.1, 0.2), "noise_spread": (0.2, 0.3)}
    portfolios = SyntheticPrior(**ranges).sample(80, n_instances=2, random_state=0)
    for name, (low, high) in ranges.items():
        drawn = np.array([p.parameters[name] for p in portfolios])
        assert low * (1 - 1e-12) <= drawn.min() < low + 0.2 * (high - low)
        assert high * (1 + 1e-12) >= drawn.max() > high - 0.2 * (high - low)


def test_fitted_prior_draws_from_its_calibrated_ranges(fitted):
    portfolios = fitted.sample(40, n_instances=2, random_state=0)
    for name in ("level", "spread", "noise"):
        key = "noise_spread" if name == "noise" else name
        low, high = fitted.calibrated_params_[key]
        drawn = np.array([p.parameters[key] for p in portfolios])
        assert drawn.min() >= low * (1 - 1e-9)
        assert drawn.max() <= high * (1 + 1e-9)
    families = {p.parameters["noise_family"] for p in portfolios}
    assert families <= set(fitted.calibrated_params_["noise_families"])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_portfolios": -1}, "n_portfolios must be a whole number of at least 0; got -1"),
        ({"n_portfolios": None}, "n_portfolios must be a whole number"),
        ({"n_instances": 0}, "n_instances must be a whole number of at least 1; got 0"),
        ({"n_instances": 1.5}, "n_instances must be a whole number"),
        ({"n_observations": -1}, "n_observations must be a whole number of at least 0"),
        ({"n_outcomes": "2"}, "n_outcomes must be a whole number of at least 0; got '2'"),
    ],
)
def test_sample_refuses_sizes(sizes, message):
    with pytest.raises(ValueError, match=message):
        SyntheticPrior().sample(**sizes)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"level": (5.0, 1.0)}, r"level must be .*reversed range \(5\.0, 1\.0\)"),
        (
            {"level": (1.0, 1e12)},
            r"level must be .*within \[0\.001, 1e\+08\]; got \(1\.0, 1000000000000",
        ),
        ({"level": 0}, r"level must be .*within \[0\.001, 1e\+08\]; got 0"),
        ({"spread": -1}, r"spread must be .*within \[0\.001, 4\]; got -1"),
        ({"zero_rate": (0, 1.5)}, r"zero_rate must be .*within \[0, 0\.99\]; got \(0, 1\.5\)"),
        ({"missing": (0.1, 0.2, 0.3)}, r"missing must be a number, a pair .*got \(0\.1, 0\.2"),
        ({"noise": np.nan}, r"noise must be a number, a pair .*got nan"),
        ({"order_rate": ("a", "b")}, r"order_rate must be .*got \('a', 'b'\)"),
        ({"n_instances": (2.5, 10)}, r"n_instances must have whole-number ends; got \(2\.5, 10"),
        ({"n_instances": (0, 10)}, r"n_instances must be .*within \[1, 100000\]; got \(0, 10\)"),
        ({"level": stats.norm(10, 1)}, r"level must be .*distribution with support \(-inf, inf"),
        ({"spread": stats.uniform(1, 9)}, r"spread must be .*got a distribution with support"),
        ({"spread_families": ("gamma", "x")}, r"spread_families .*heavy_tailed; got \('gamma', "),
        ({"noise_families": {"gamma": -1}}, r"noise_families .*non-negative weights.*'gamma': -1"),
        ({"noise_families": ()}, r"noise_families must be .*compound_poisson; got \(\)"),
        ({"noise_families": {"gamma": 0}}, r"noise_families must be .*got \{'gamma': 0\}"),
        ({"whole_share": 1.5}, r"whole_share.*1\.5"),
        ({"bulk_share": -0.1}, r"bulk_share.*-0\.1"),
    ],
)
@pytest.mark.parametrize("method", ["hyperprior", "sample", "sample_like", "fit", "calibrated"])
def test_senseless_parameters_are_refused(params, message, method, real):
    arguments = [] if method in ("hyperprior", "sample") else [real]
    with pytest.raises(ValueError, match=message):
        getattr(SyntheticPrior(**params), method)(*arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("level", "high"),
        ("level", None),
        ("noise_families", 5),
        ("ragged_share", "0.4"),
        ("ragged_share", (0, 1)),
        ("n_simulations", 99),
        ("n_simulations", 200.0),
        ("random_state", "x"),
        ("observations", 3.5),
    ],
)
def test_fit_refuses_wrong_types(name, value, real):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SyntheticPrior must be"):
        SyntheticPrior(**{name: value}).fit(real)


@pytest.mark.parametrize(
    ("name", "value"),
    [("level", "12"), ("level", None), ("noise_families", 5), ("bulk_share", "1")],
)
def test_sample_refuses_wrong_types(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be .*got {value!r}"):
        SyntheticPrior(**{name: value}).sample()


def test_frozen_distributions(real):
    prior = SyntheticPrior(
        level=stats.loguniform(10, 40),
        spread=stats.truncnorm(-2, 2, loc=0.5, scale=0.1),
        bulk_rate=stats.beta(2, 20),
        n_instances=stats.randint(3, 5),
        random_state=0,
    )
    portfolios = prior.sample(40)
    assert {len(p) for p in portfolios} == {3, 4}
    levels = np.array([p.parameters["level"] for p in portfolios])
    spreads = np.array([p.parameters["spread"] for p in portfolios])
    assert levels.min() > 10
    assert levels.max() < 40
    assert stats.kstest(levels, stats.loguniform(10, 40).cdf).pvalue > 1e-3
    assert spreads.min() > 0.3
    assert spreads.max() < 0.7
    calibrated = prior.calibrated(real)
    assert 10 <= calibrated.level[0] < calibrated.level[1] <= 40
    assert 0.3 <= calibrated.spread[0] < calibrated.spread[1] <= 0.7
    calibrated.sample()


def test_describe_is_json_and_survives_clone(fitted):
    prior = SyntheticPrior(level=stats.loguniform(1, 9), noise_families={"gamma": 2, "normal": 1})
    text = json.dumps(prior.describe(), allow_nan=False)
    assert json.loads(text) == prior.describe() == clone(prior).describe()
    assert set(prior.describe()) == {*RANGES, *FAMILIES, *SHARES}
    again = SyntheticPrior(**fitted.calibrated_params_).describe()
    assert canonical_key(again) == canonical_key(json.loads(json.dumps(again)))


def test_equal_priors_are_described_alike():
    left = SyntheticPrior(level=[1.0, 9.0], spread_families=["gamma"])
    right = SyntheticPrior(level=(1.0, 9.0), spread_families=("gamma",))
    assert left.describe() == right.describe()
    assert canonical_key(left.describe()) == canonical_key(right.describe())
    told = SyntheticPrior(random_state=1, n_simulations=200, observations=["a"])
    assert told.describe() == SyntheticPrior().describe()  # no matter for the draws


@pytest.mark.parametrize("name", [*RANGES, *FAMILIES, *SHARES])
def test_different_priors_are_described_differently(name):
    value = "gamma" if name in FAMILIES else 0.5 if name not in RANGES else 1.0
    value = 0.33 if value == getattr(SyntheticPrior(), name) else value
    other = SyntheticPrior(**{name: value}).describe()
    plain = SyntheticPrior().describe()
    assert {key for key in plain if plain[key] != other[key]} == {name}


# ---------------------------------------------------------------- calibration


def _inside(ends, outer):
    return outer[0] <= ends[0] <= ends[1] <= outer[1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_calibration_finds_the_setting(seed):
    prior = SyntheticPrior(random_state=seed)
    calibrated = prior.calibrated(_rows(seed=seed))
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
    assert _same(copy.sample()[0], calibrated.sample()[0])
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
    assert _same(fitted.sample(random_state=5)[0], calibrated.sample(random_state=5)[0])


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
    clean = _rows(**amounts)
    zeros = _rows(**amounts, intermittent_share=1.0, zero_rate=0.5)
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
        SyntheticPrior(random_state=0, noise_families="gamma").calibrated(_rows(**amounts, noise=s))
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


# ---------------------------------------------------------------- sample_like


def test_twin_of_an_array(real):
    X = real.copy()
    X[3, :4] = np.nan
    X[5] = np.nan
    before = X.copy()
    twin = SyntheticPrior().sample_like(X, random_state=0)
    again, other = (SyntheticPrior().sample_like(X, random_state=seed) for seed in (0, 1))
    np.testing.assert_array_equal(X, before)
    assert isinstance(twin, np.ndarray)
    assert twin.shape == X.shape
    np.testing.assert_array_equal(np.isnan(twin), np.isnan(X))
    np.testing.assert_array_equal(twin, again)
    assert not np.array_equal(twin, other, equal_nan=True)
    seen = twin[~np.isnan(twin)]
    np.testing.assert_array_equal(seen, np.rint(seen))  # X is whole


def test_twin_of_amounts_is_no_whole_number():
    X = np.array([[0.5, 2.25], [1.0, 3.75]])
    twin = SyntheticPrior(level=(5, 9), noise_families="gamma").sample_like(X, random_state=0)
    assert not np.array_equal(twin, np.rint(twin))


def test_drawing_a_twin_leaves_no_trace(real):
    prior = SyntheticPrior(random_state=0)
    before = dict(vars(prior))
    assert prior.sample_like(real).shape == real.shape
    assert prior.sample_like(real[:, :3]).shape == (len(real), 3)
    assert vars(prior) == before
    with pytest.raises(NotFittedError):
        prior.transform(real)


FRAME = {
    "name": ["a", "b", "c", "d"],
    "jan": [3, 0, 5, 2],
    "price": [1.5, 2.5, 3.5, 4.5],
    "feb": [4.0, None, 6.0, 1.0],
}


def test_twin_of_a_pandas_frame():
    X = pd.DataFrame(FRAME, index=[9, 7, 7, 1])
    X["feb"] = X["feb"].astype("Float64")
    before = X.copy()
    twin = SyntheticPrior(observations=["jan", "feb"]).sample_like(X, random_state=0)
    pd.testing.assert_frame_equal(X, before)
    assert isinstance(twin, pd.DataFrame)
    assert twin.columns.tolist() == X.columns.tolist()
    assert twin.index.tolist() == [9, 7, 7, 1]
    pd.testing.assert_frame_equal(twin[["name", "price"]], X[["name", "price"]])
    assert twin["feb"].isna().tolist() == [False, True, False, False]
    assert not twin["jan"].isna().any()
    assert twin["jan"].tolist() != X["jan"].tolist()


def test_twin_of_a_pandas_frame_without_names(real):
    X = pd.DataFrame(real)
    twin = SyntheticPrior().sample_like(X, random_state=0)
    assert twin.columns.equals(X.columns)
    np.testing.assert_array_equal(twin, SyntheticPrior().sample_like(real, random_state=0))


def test_twin_of_a_polars_frame():
    X = pl.DataFrame(FRAME)
    twin = SyntheticPrior(observations=["jan", "feb"]).sample_like(X, random_state=0)
    assert isinstance(twin, pl.DataFrame)
    assert twin.columns == X.columns
    assert twin.select("name", "price").equals(X.select("name", "price"))
    values = twin.select("jan", "feb").to_numpy()
    assert np.isnan(values).tolist() == [[False, False], [False, True], [False] * 2, [False] * 2]
    same = SyntheticPrior(observations=["jan", "feb"]).sample_like(
        pd.DataFrame(FRAME), random_state=0
    )
    np.testing.assert_array_equal(values, same[["jan", "feb"]])


def test_twin_by_positions():
    X = np.array([["a", 3, 9, 4], ["b", 0, 9, 2]], dtype=object)
    twin = SyntheticPrior(observations=[1, 3], level=(50, 60)).sample_like(X, random_state=0)
    assert twin[:, 0].tolist() == ["a", "b"]
    assert twin[:, 2].tolist() == [9, 9]
    assert twin[0, 1] != 3


def test_twin_of_a_fitted_prior_is_near(real, fitted):
    twins = [fitted.sample_like(real, random_state=seed).mean() for seed in range(20)]
    low, high = fitted.calibrated_params_["level"]
    assert low / 2 < np.median(twins) < high * 2
    with pytest.raises(ValueError, match="10 features"):
        fitted.sample_like(real[:, :3])


# ---------------------------------------------------------------- transform


def test_summaries_by_hand():
    X = np.array(
        [
            [2.0, 4.0, 0.0, np.nan],  # mean 2, variance 4, one zero of three
            [5.0, np.nan, np.nan, np.nan],
            [0.0, 0.0, 0.0, 0.0],
            [np.nan] * 4,
        ]
    )
    expected = [[2, 1, 1 / 3, 2], [5, 0, 0, 1], [0, 0, 1, 0], [np.nan] * 4]
    np.testing.assert_allclose(row_summaries(X), expected, rtol=1e-15)


def test_mid_ranks_by_hand():
    reference = np.array([1.0, 2.0, 2.0, 4.0])
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    expected = [0, 0.125, 0.5, 0.75, 0.875, 1]
    np.testing.assert_array_equal(mid_ranks(values, reference), expected)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_rows_are_ranked_one_by_one(fitted, real, data):
    X = real.copy()
    X[::3, 5:] = np.nan
    X[7] = np.nan
    rows = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=10))
    np.testing.assert_array_equal(fitted.transform(X[rows]), fitted.transform(X)[rows])


def test_ranks_lie_between_0_and_1(fitted, real):
    X = real.copy()
    X[4] = np.nan
    X[6, 1:] = np.nan
    ranks = fitted.transform(X)
    assert ranks.shape == (len(X), 8)
    assert np.isnan(ranks[4]).all()
    seen = np.delete(ranks, 4, axis=0)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert not np.isnan(seen).any()


def test_order_of_observations_does_not_matter(fitted, real):
    np.testing.assert_allclose(
        fitted.transform(real[:, ::-1]), fitted.transform(real), rtol=0, atol=0.002
    )


def test_higher_rows_rank_higher(fitted):
    X = np.geomspace(0.5, 5e3, 15)[:, None] * np.linspace(0.5, 1.5, 10)
    ranks = fitted.transform(X)
    assert (np.diff(ranks[:, [0, 4]], axis=0) >= 0).all()
    assert (np.diff(ranks[:, 4]) > 0).all()


def test_ranks_of_the_priors_own_rows_are_uniform():
    prior = SyntheticPrior(level=(1.0, 100.0), ragged_share=0.0, random_state=0)
    rows = [
        p.observations for p in prior.sample(500, n_instances=1, n_observations=8, random_state=1)
    ]
    X = np.concatenate(rows)
    ranks = prior.fit(X).transform(X)[:, 4:]
    # level, dispersion and peak hardly tie; 500 rows against 250 portfolios of 4: a
    # Kolmogorov-Smirnov distance of 0.12 would be far beyond noise
    for k in (0, 1, 3):
        assert stats.kstest(ranks[:, k], "uniform").statistic < 0.12
    np.testing.assert_allclose(ranks.mean(axis=0), 0.5, atol=0.07)


def test_fitted_ranks_spread_out(fitted, real):
    """Under the wide ranges the rows lie close together; under the fitted ones they do not."""
    ranks = fitted.transform(real)
    assert ranks[:, 4].std() < 0.1
    assert ranks[:, 0].std() > 0.15  # 0.29 if uniform
    assert abs(ranks[:, 0].mean() - 0.5) < 0.15


def test_impossible_rows_show():
    prior = SyntheticPrior(
        level=(10, 100),
        spread=(0.05, 0.3),
        noise=(0.1, 0.3),
        noise_families="gamma",
        spread_families="lognormal",
        intermittent_share=0.0,
        bulk_share=0.0,
        random_state=0,
    )
    (portfolio,) = prior.sample(1, n_instances=40, n_observations=5, random_state=0)
    prior.fit(portfolio.observations)
    rows = np.array([[1e9] * 5, [1e-3] * 5, [0.0] * 5, [0, 0, 0, 0, 50.0]])
    ranks = prior.transform(rows)
    assert ranks[0, [0, 4]].tolist() == [1, 1]  # level
    assert ranks[0, [1, 5]].tolist() == [0, 0]  # dispersion of equal numbers
    assert ranks[1, [0, 4]].tolist() == [0, 0]
    assert ranks[2, [0, 4]].tolist() == [0, 0]
    assert ranks[2, [2, 6]].tolist() == [1, 1]  # nothing but zeros
    assert ranks[3, [1, 2, 3, 5, 6, 7]].tolist() == [1] * 6


def test_more_observations_than_the_references(fitted):
    """Rows with more than 30 observations are held against rows with 30."""
    X = SyntheticPrior(**KNOWN).sample(1, n_instances=20, n_observations=60, random_state=0)
    prior = SyntheticPrior(n_simulations=100, random_state=0).fit(X[0].observations)
    ranks = prior.transform(X[0].observations)
    assert np.isfinite(ranks).all()
    assert ranks[:, 4].std() < 0.15


def test_unfitted_prior_ranks_nothing(real):
    with pytest.raises(NotFittedError):
        SyntheticPrior().transform(real)
    with pytest.raises(NotFittedError):
        SyntheticPrior().get_feature_names_out()


# ---------------------------------------------------------------- names and frames


def test_feature_names(real):
    names = [*RANKS, *(f"{name}_original" for name in RANKS)]
    plain = SyntheticPrior(n_simulations=100, random_state=0).fit(real)
    assert plain.get_feature_names_out().tolist() == names
    assert plain.n_features_in_ == 10
    assert not hasattr(plain, "feature_names_in_")
    X = pd.DataFrame(real, columns=[f"week{k}" for k in range(10)])
    named = SyntheticPrior(n_simulations=100, random_state=0).fit(X)
    assert named.feature_names_in_.tolist() == X.columns.tolist()
    assert named.get_feature_names_out(X.columns).tolist() == names
    np.testing.assert_array_equal(named.transform(X), plain.transform(real))
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        named.get_feature_names_out([f"x{k}" for k in range(10)])
    with pytest.raises(ValueError, match="feature names should match"):
        named.transform(X[X.columns[::-1]])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_observation_columns_by_name(frame):
    X = frame(FRAME)
    prior = SyntheticPrior(observations=["feb", "jan"], n_simulations=100, random_state=0).fit(X)
    assert prior.observation_columns_.tolist() == [3, 1]
    ranks = prior.transform(X)
    plain = np.array([[4, 3], [np.nan, 0], [6, 5], [1, 2]])
    bare = SyntheticPrior(n_simulations=100, random_state=0).fit(plain)
    np.testing.assert_array_equal(ranks, bare.transform(plain))


def test_unknown_observation_column():
    with pytest.raises(ValueError, match="march"):
        SyntheticPrior(observations=["jan", "march"], n_simulations=100).fit(pd.DataFrame(FRAME))


def test_set_output(real):
    prior = SyntheticPrior(n_simulations=100, random_state=0).fit(real)
    plain = prior.transform(real)
    X = pd.DataFrame(real, index=np.arange(80) * 3)
    in_pandas = clone(prior).set_output(transform="pandas").fit(X).transform(X)
    assert in_pandas.columns.tolist() == prior.get_feature_names_out().tolist()
    assert in_pandas.index.equals(X.index)
    np.testing.assert_array_equal(in_pandas, plain)
    in_polars = prior.set_output(transform="polars").transform(real)
    assert isinstance(in_polars, pl.DataFrame)
    np.testing.assert_array_equal(in_polars.to_numpy(), plain)
    np.testing.assert_array_equal(clone(prior).fit_transform(real).to_numpy(), plain)
