"""The prior of demand in the order of time."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_pttf import SeriesPrior, SyntheticPrior

PLAIN = {
    "moving_share": 0.0,
    "jumping_share": 0.0,
    "young_share": 0.0,
    "ended_share": 0.0,
    "shock_share": 0.0,
    "driven_share": 0.0,
    "doubt": 0.0,
}
QUIET = SyntheticPrior(
    level=100.0,
    spread=0.5,
    spread_families="lognormal",
    noise=0.02,
    noise_spread=0.0,
    noise_families="lognormal",
    whole_share=0.0,
    intermittent_share=0.0,
    bulk_share=0.0,
    ragged_share=0.0,
)


def _drawn(n_periods=30, **changed):
    prior = SeriesPrior(demand=QUIET, **(PLAIN | changed))
    return prior.sample(n_instances=400, n_observations=n_periods, n_outcomes=4, random_state=0)[0]


def test_nothing_moves_unless_it_is_said():
    drawn = _drawn()
    assert drawn.ordered
    assert_array_equal(drawn.exposure, 1.0)
    assert_array_equal(drawn.coming, 1.0)
    assert_allclose(drawn.outcomes / drawn.observations[:, :4], 1.0, atol=0.2)


def test_levels_walk():
    drawn = _drawn(moving_share=1.0, drift=0.1, drift_spread=0.0, returning_share=0.0)
    steps = np.diff(np.log(drawn.observations), axis=1)
    assert_allclose(steps.std(), np.hypot(0.1, 0.02 * np.sqrt(2)), rtol=0.05)
    far = np.log(drawn.observations[:, -1] / drawn.observations[:, 0])
    assert_allclose(far.std(), 0.1 * np.sqrt(29), rtol=0.1)
    coming = np.log(drawn.outcomes / drawn.observations[:, -1:])
    assert_allclose(coming.std(), np.hypot(0.1, 0.02 * np.sqrt(2)), rtol=0.06)


def test_levels_return():
    moves = {"moving_share": 1.0, "drift": 0.1, "drift_spread": 0.0}
    drawn = _drawn(120, **moves, returning_share=1.0, memory=0.5)
    spread = np.log(drawn.observations).std(axis=1).mean()
    assert_allclose(spread, 0.1 / np.sqrt(1 - 0.25), rtol=0.1)


def test_conditions_are_known():
    """What outcomes are, over what they were counted over, is the level."""
    drawn = _drawn(shock_share=1.0, shock=0.4, driven_share=1.0, driver_effect=0.7, driver_spread=0)
    assert drawn.exposure.std() > 0.2
    rates = drawn.observations / drawn.exposure
    assert np.log(rates).std(axis=1).mean() < 0.04
    coming = drawn.outcomes / drawn.coming[:, None]
    assert_allclose(np.log(coming / rates.mean(axis=1, keepdims=True)).std(), 0.02, rtol=0.3)


def test_effects_of_drivers_differ_between_rows():
    effect = {"driven_share": 1.0, "smooth_share": 0.0, "driver_rate": 0.5}
    drawn = _drawn(**effect, driver_effect=1.0, driver_spread=0.3)
    logs, known = np.log(drawn.observations), np.log(drawn.exposure)
    away = logs - logs.mean(axis=1, keepdims=True)
    own = (away * known).sum(axis=1) / (known**2).sum(axis=1)
    assert_allclose([own.mean(), own.std()], [1.0, 0.3], rtol=0.15)


def test_rows_begin_late_and_end():
    drawn = _drawn(young_share=1.0, young=0.5)
    late = np.isnan(drawn.observations[:, 0])
    assert 0.4 < late.mean() < 0.6
    assert (np.diff(np.isnan(drawn.observations).astype(int), axis=1) <= 0).all()
    drawn = _drawn(ended_share=1.0, ended=0.3)
    ended = (drawn.outcomes == 0).all(axis=1)
    assert 0.2 < ended.mean() < 0.4
    assert (drawn.observations[ended][:, -1] == 0).mean() > 0.9


def test_descriptions_are_read_again():
    prior = SeriesPrior(demand=QUIET, drift=0.3)
    again = SeriesPrior.from_description(json.loads(json.dumps(prior.describe())))
    assert again.describe() == prior.describe()
    one, other = (each.sample(random_state=1)[0] for each in (prior, again))
    assert_array_equal(one.observations, other.observations)
    assert clone(SeriesPrior()).describe() == SeriesPrior().describe()


def test_batches_hold_what_networks_read():
    inputs, targets = SeriesPrior().draw_batch(3, 7, 5, 2, torch.Generator().manual_seed(0))
    assert inputs["observations"].shape == inputs["exposure"].shape == (3, 7, 5)
    assert inputs["coming"].shape == (3, 7)
    assert targets["outcomes"].shape == (3, 7, 2)
    assert (inputs["exposure"] > 0).all()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"demand": 5}, "demand must be a SyntheticPrior or None; got 5"),
        ({"memory": (0.2, 1.5)}, r"memory must be a number, a pair .* within \[0, 1\]"),
        ({"drift": (0.5, 0.1)}, "drift must be .* lowest first; got the reversed range"),
        ({"young_share": 2}, "young_share must be a share between 0 and 1; got 2"),
    ],
)
def test_what_cannot_be_is_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        SeriesPrior(**changed).sample()


def test_periods_may_be_none():
    for seed in range(5):
        drawn = SeriesPrior().sample(n_instances=3, n_observations=0, random_state=seed)[0]
        assert drawn.observations.shape == (3, 0)
        assert np.isfinite(drawn.outcomes).all()
