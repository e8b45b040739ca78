"""Demand in the order of time: levels that forget, and what networks of it are exact about."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklearn_pttf import Checkpoint, NetworkConfig, Portfolio, SeriesPrior, pretrain
from sklearn_pttf._kinds.demand import features as of_demand
from sklearn_pttf._kinds.series import features as of_series
from sklearn_pttf._kinds.series.kind import Series
from sklearn_pttf._kinds.series.units import KEPT, placed, series_rows, series_units
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf._tables.evidence import Evidence

nan = np.nan


def _evidence(observations, **more):
    def tensor(values):
        return torch.tensor(np.asarray(values, dtype=float)).unsqueeze(0)

    return Evidence(tensor(observations), **{name: tensor(values) for name, values in more.items()})


def _read(observations, **more):
    rows = series_rows(_evidence(observations, **more))
    units = series_units([rows], [torch.ones_like(rows.count)], torch.zeros(1, 1))
    return rows, units


def _panel(drift, n_rows=200, n_periods=30, seed=0):
    rng = np.random.default_rng(seed)
    walk = drift * rng.normal(size=(n_rows, n_periods)).cumsum(axis=1)
    levels = rng.lognormal(3, 1, (n_rows, 1))
    return levels * np.exp(walk + 0.2 * rng.normal(size=(n_rows, n_periods)))


@pytest.mark.parametrize(("drift", "least", "most"), [(0.0, 0.99, 1.0), (0.2, 0.3, 0.75)])
def test_levels_forget_as_fast_as_they_move(drift, least, most):
    """The best share of a walk of log levels with such noise is .38."""
    _, units = _read(_panel(drift))
    kept = (units.shares[0].numpy() * KEPT).sum()
    assert least <= kept <= most
    assert (units.narrower.item() < -0.1) == (drift > 0)


def test_recent_level_by_hand():
    """Outcomes count by powers of what is kept, and a quarter of one is the unit."""
    rows, units = _read([[1.0, 2.0, nan, 4.0], [2.0, 2.0, 2.0, 2.0]])
    half = torch.zeros_like(units.shares)
    half[0, KEPT.index(0.5)] = 1.0
    found = placed(rows, units._replace(shares=half))
    weights = np.array([1 / 8, 1 / 4, 1.0])
    assert_allclose(found.count[0, 0], weights.sum())
    unit = units.scale.item()
    expected = (weights @ [1.0, 2.0, 4.0] / unit + 0.25) / (weights.sum() + 0.25)
    assert_allclose(found.recent[0, 0], expected)


def test_counts_over_more_say_more():
    """Poisson counts over twice as much know their rate twice as well."""
    sold = np.random.default_rng(0).poisson(4 * np.ones((300, 6)) * [1, 2, 1, 2, 1, 2])
    rows = series_rows(_evidence(sold, exposure=np.tile([1.0, 2.0], (300, 3))))
    units = series_units([rows], [torch.ones_like(rows.count)], torch.ones(1, 1))
    seen = placed(rows, units).seen[0]
    assert_allclose(seen[:, 1] / seen[:, 0], 2.0, rtol=0.15)


def test_features_begin_with_those_of_demand():
    for part in ("CELL", "ROW", "PORTFOLIO"):
        old, new = (getattr(module, f"{part}_FEATURES") for module in (of_demand, of_series))
        assert new[: len(old)] == old
        assert len(new) == getattr(Series, f"n_{part.lower()}_features")


@pytest.fixture(scope="module")
def network():
    return Checkpoint.load("series").build_network(dtype=torch.float64)


def _law(network, portfolio):
    return predict_law(network, encode_context(network, portfolio), portfolio)


def _portfolio(**changed):
    rng = np.random.default_rng(3)
    told = {
        "observations": rng.lognormal(2, 0.6, (12, 9)),
        "exposure": rng.lognormal(0, 0.3, (12, 9)),
        "coming": rng.lognormal(0, 0.3, 12),
    }
    return Portfolio(**(told | changed))


def test_amounts_go_with_their_scale(network):
    portfolio = _portfolio()
    thousand = _portfolio(observations=1000 * portfolio.observations)
    quantiles = _law(network, portfolio).quantiles
    assert_allclose(_law(network, thousand).quantiles, 1000 * quantiles, rtol=1e-9)


def test_order_of_rows_does_not_matter_and_that_of_periods_does(network):
    portfolio = _portfolio()
    quantiles = _law(network, portfolio).quantiles
    assert_allclose(_law(network, portfolio.take(slice(None, None, -1))).quantiles, quantiles[::-1])
    back = _portfolio(
        observations=portfolio.observations[:, ::-1], exposure=portfolio.exposure[:, ::-1]
    )
    assert np.abs(_law(network, back).quantiles / quantiles - 1).max() > 0.01


def test_what_a_missing_period_was_counted_over_does_not_matter(network):
    portfolio = _portfolio()
    observations = portfolio.observations.copy()
    observations[::2, 4] = nan
    quantiles = []
    for exposure in (1.0, 5.0, nan):
        changed = portfolio.exposure.copy()
        changed[::2, 4] = exposure
        quantiles.append(
            _law(network, _portfolio(observations=observations, exposure=changed)).quantiles
        )
    assert_allclose(quantiles[1], quantiles[0])
    assert_allclose(quantiles[2], quantiles[0])


def test_better_conditions_sell_more(network):
    low, high = (
        _law(network, _portfolio(coming=np.full(12, coming))).mean() for coming in (1.0, 1.5)
    )
    assert_allclose(high / low, 1.5, rtol=0.15)


def test_orders_follow_rows_whose_level_moves(network):
    sold = _panel(0.3, n_periods=24)
    mean = _law(network, Portfolio(sold, ordered=True)).mean()
    newest, usual = np.log(sold[:, -3:].mean(axis=1)), np.log(sold.mean(axis=1))
    nearer = np.abs(np.log(mean) - newest) < np.abs(np.log(mean) - usual)
    assert nearer.mean() > 0.8


# ---------------------------------------------------------------- weights of demand


def test_weights_of_demand_are_where_training_starts():
    start = Checkpoint.load("demand")
    widened = start.widened("series")
    network = widened.build_network()
    assert network.kind is Series
    n = len(of_demand.CELL_FEATURES)
    assert not widened.weights["encoder.cell.0.weight"][:, n:].any()
    shared = {name for name in start.weights if not name.startswith("capped.")}
    assert set(widened.weights) >= shared
    for name in shared:  # layers of capped sales are learned anew
        values = start.weights[name]
        assert_allclose(np.abs(widened.weights[name]).sum(), np.abs(values).sum(), rtol=1e-6)
    made = pretrain(
        SeriesPrior(),
        network=NetworkConfig(outcomes="series"),
        checkpoint="demand",
        n_steps=1,
        rows=30,
        verbose=0,
    )
    assert made.kind is Series


@pytest.mark.parametrize(("start", "outcomes"), [("demand", "values"), ("poisson", "series")])
def test_weights_of_other_kinds_are_refused(start, outcomes):
    with pytest.raises(ValueError, match="outcomes must be a kind that extends"):
        Checkpoint.load(start).widened(outcomes)
