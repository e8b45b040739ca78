"""A prior whose ranges are known, and rows of it."""

import numpy as np

from sklearn_pttf import SyntheticPrior

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


def known_rows(n_instances=80, n_observations=10, seed=0, **changes):
    prior = SyntheticPrior(**{**KNOWN, **changes})
    (portfolio,) = prior.sample(
        1, n_instances=n_instances, n_observations=n_observations, random_state=seed
    )
    return portfolio.observations


def same_portfolio(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for name in ("observations", "outcomes")
    ) and all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


FRAME = {
    "name": ["a", "b", "c", "d"],
    "jan": [3, 0, 5, 2],
    "price": [1.5, 2.5, 3.5, 4.5],
    "feb": [4.0, None, 6.0, 1.0],
}
