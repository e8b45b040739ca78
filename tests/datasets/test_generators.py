"""The generator of demand: its moments, its seed and its refusals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.datasets import make_demand_portfolio

NAN = np.nan


@pytest.mark.parametrize(
    ("family", "variance"),
    [("poisson", 20.0), ("negative_binomial", 56.0), ("gamma", 36.0), ("lognormal", 36.0)],
)
def test_demand_has_the_stated_moments(family, variance):
    # one level for all; (0.3 * 20) ** 2 = 36
    X = make_demand_portfolio(400, 500, spread=0.0, family=family, noise=0.3, random_state=0)
    assert_allclose(X.mean(), 20.0, atol=5 * np.sqrt(variance / X.size))
    assert_allclose(X.var(), variance, rtol=0.03)
    assert (family in ("poisson", "negative_binomial")) == np.array_equal(X, np.rint(X))


def test_demand_levels_are_lognormal():
    _, means = make_demand_portfolio(
        20_000, 1, level=7.0, spread=0.8, return_means=True, random_state=1
    )
    assert_allclose(np.median(means), 7.0, rtol=0.03)
    assert_allclose(np.log(means).std(), 0.8, rtol=0.03)


def test_demand_zeros_count_in_the_means():
    X, means = make_demand_portfolio(
        300, 1000, family="gamma", zero_rate=0.4, return_means=True, random_state=2
    )
    assert_allclose(np.mean(X == 0.0), 0.4, atol=0.01)
    assert_allclose(X.mean(axis=1).mean(), means.mean(), rtol=0.01)
    assert np.corrcoef(X.mean(axis=1), means)[0, 1] > 0.98


def test_demand_missing_only_in_observations():
    X, y = make_demand_portfolio(200, 100, n_outcomes=50, missing_rate=0.25, random_state=3)
    assert X.shape == (200, 100)
    assert y.shape == (200, 50)
    assert_allclose(np.isnan(X).mean(), 0.25, atol=0.02)
    assert not np.isnan(y).any()


@pytest.mark.parametrize("family", ["negative_binomial", "gamma", "lognormal"])
def test_demand_without_noise(family):
    X, means = make_demand_portfolio(
        50, 400, family=family, noise=0.0, return_means=True, random_state=0
    )
    if family == "negative_binomial":  # what is left is Poisson
        assert_allclose(X.var(axis=1).mean(), means.mean(), rtol=0.05)
    else:
        assert_allclose(X, np.repeat(means[:, np.newaxis], 400, axis=1), rtol=1e-12)


def test_demand_is_a_function_of_the_seed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    X = make_demand_portfolio(random_state=5)
    assert X.shape == (100, 10)
    assert_array_equal(X, make_demand_portfolio(random_state=np.random.RandomState(5)))
    assert not np.array_equal(X, make_demand_portfolio(random_state=6))
    later, y, means = make_demand_portfolio(n_outcomes=3, return_means=True, random_state=5)
    assert_array_equal(X, later)
    assert y.shape == (100, 3)
    assert means.shape == (100,)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_instances", 0),
        ("n_observations", 2.5),
        ("n_outcomes", -1),
        ("level", 0.0),
        ("level", np.inf),
        ("spread", -0.5),
        ("family", "weibull"),
        ("noise", NAN),
        ("zero_rate", 1.5),
        ("missing_rate", -0.1),
        ("return_means", "yes"),
        ("random_state", "seed"),
    ],
)
def test_demand_refuses(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter.*Got {value!r}"):
        make_demand_portfolio(**{name: value})
