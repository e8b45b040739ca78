"""The prior of demand: what it draws, its parameters, and twins of tables."""

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
from support.demand_prior import FRAME, KNOWN, same_portfolio

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
    assert all(same_portfolio(a, b) for a, b in zip(first, again, strict=True))
    assert not same_portfolio(first[0], first[1])
    assert not same_portfolio(first[0], other[0])


def test_seed_of_the_prior_and_seed_of_the_draw():
    (own,) = SyntheticPrior(random_state=3).sample()
    (given_,) = SyntheticPrior().sample(random_state=3)
    (first,), (second,) = (SyntheticPrior(random_state=3).sample(random_state=4) for _ in "ab")
    assert same_portfolio(own, given_)
    assert same_portfolio(first, second)
    assert not same_portfolio(own, first)
    rng = np.random.RandomState(3)
    (first,), (second,) = (SyntheticPrior(random_state=rng).sample() for _ in "ab")
    assert same_portfolio(first, own)
    assert not same_portfolio(first, second)  # a generator goes on


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
