"""The prior ranks rows, in tables of every kind."""

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
from sklearn_pttf._tables.summaries import mid_ranks, row_summaries
from support.demand_prior import FRAME, KNOWN

RANKS = ["level_rank", "dispersion_rank", "zero_share_rank", "peak_rank"]

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
