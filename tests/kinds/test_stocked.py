"""The prior of demand that stock capped."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import SeriesPrior, StockedPrior, SyntheticPrior
from sklearn_pttf._kinds.stocked import POLICIES


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("demand", [SyntheticPrior(ragged_share=0.3), SeriesPrior()])
def test_sales_are_demand_up_to_stock(policy, demand):
    prior = StockedPrior(demand, policies=policy, capped=0.3, never_short=0.0)
    (drawn,) = prior.sample(n_instances=60, n_observations=12, random_state=0)
    there = drawn.parameters["demand"]
    some = ~np.isnan(there) & (drawn.stock > 0)
    sold = np.minimum(there, drawn.stock.astype(np.float32))
    assert_allclose(drawn.observations[some], sold[some], rtol=1e-6)
    assert np.isnan(drawn.observations[~some]).all()
    if policy in ("constant", "alike") and drawn.exposure is None:
        assert_array_equal(drawn.stock, np.repeat(drawn.stock[:, :1], 12, axis=1))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_so_many_cells_are_capped(share):
    demand = SyntheticPrior(
        level=100.0, noise=0.5, noise_families="lognormal", intermittent_share=0.0, whole_share=0.0
    )
    prior = StockedPrior(demand, capped=share, never_short=0.0)
    drawn = prior.sample(5, n_instances=200, n_observations=10, random_state=0)
    for portfolio in drawn:
        assert_allclose(portfolio.capped[portfolio.mask].mean(), share, atol=0.03)


def test_some_instances_are_never_short():
    prior = StockedPrior(capped=0.5, never_short=0.5)
    (drawn,) = prior.sample(n_instances=400, n_observations=10, random_state=0)
    assert_allclose(np.isinf(drawn.stock).all(axis=1).mean(), 0.5, atol=0.1)


def test_equal_seeds_give_equal_draws_and_descriptions_make_the_prior_anew():
    for demand in (None, SeriesPrior(drift=0.1)):
        prior = StockedPrior(demand, capped=(0.1, 0.2), policies={"alike": 1.0, "varying": 2.0})
        again = StockedPrior.from_description(prior.describe())
        assert again.describe() == prior.describe()
        first, second = (
            each.sample(n_instances=5, n_observations=4, random_state=1)[0]
            for each in (prior, again)
        )
        assert_array_equal(first.observations, second.observations)
        assert_array_equal(first.stock, second.stock)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"capped": 1.2}, "capped must be"),
        ({"policies": "none"}, "policies must be"),
        ({"economy": (0.5, 0.1)}, "economy must be"),
    ],
)
def test_refuses_what_makes_no_sense(params, match):
    with pytest.raises(ValueError, match=match):
        StockedPrior(**params).sample(n_instances=3, n_observations=2)
