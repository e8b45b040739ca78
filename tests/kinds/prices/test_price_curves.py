"""Curves of demand against price: families, mixtures, and what rows tell of them."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from sklearn_pttf._kinds.prices.curves import (
    ELASTICITIES,
    FAMILIES,
    FARTHEST,
    FINE_ELASTICITIES,
    N_CURVES,
    N_FINE,
    TABLE,
    elasticity_moments,
    fine_mixed_table,
    first_weights,
    log_curve,
    log_curves,
    log_mixed_curve,
    on_finer_grid,
    read_table,
)
from sklearn_pttf._kinds.prices.units import _evidence_between, log_common_curve, pairs_of
from support.prices import double, units_and_rows

NAN = np.nan
X = torch.linspace(-0.8, 0.8, 9, dtype=torch.float64)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("elasticity", [0.1, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_elasticity_at_the_reference_price(family, elasticity, share):
    """By finite differences; demand there is 1, and it falls with price."""
    step = 1e-5
    x = double([-step, 0.0, step])
    logs = log_curve(family, x, double(elasticity), share)
    assert logs[1].item() == pytest.approx(0, abs=1e-12)
    assert (logs[2] - logs[0]).item() / (2 * step) == pytest.approx(-elasticity, rel=1e-6)
    assert (log_curve(family, X, double(elasticity), share).diff() <= 0).all()


def test_curves_by_hand():
    """At twice the reference price, and at half of it, of elasticity 2."""
    x = double([math.log(2), -math.log(2)])
    found = {f: log_curve(f, x, double(2.0), 0.8).exp().tolist() for f in FAMILIES}
    odds = math.exp(-5)
    assert found["linear"] == pytest.approx([math.exp(-7), 2])  # nothing is left
    assert found["constant_elasticity"] == pytest.approx([1 / 4, 4])
    assert found["exponential"] == pytest.approx([math.exp(-2), math.e])
    assert found["logit"] == pytest.approx([math.exp(-7), 1 / (0.8 + 0.2 * odds)])
    assert log_curve("exponential", double(5.0), double(8.0)) == -7
    assert log_curve("constant_elasticity", double(-5.0), double(8.0)) == 7


def test_grid_of_curves():
    logs = log_curves(X)
    assert logs.shape == (9, N_CURVES)
    step = 1e-5
    slopes = (log_curves(double(step)) - log_curves(double(-step))) / (2 * step)
    np.testing.assert_allclose(slopes, -np.tile(ELASTICITIES, len(FAMILIES)), rtol=1e-6)
    np.testing.assert_allclose(log_curves(double(0.0)), 0, atol=1e-12)
    n = len(ELASTICITIES)
    for k, family in enumerate(FAMILIES):
        own = log_curve(family, X[:, None], double(ELASTICITIES)).clamp(-3, 3)
        torch.testing.assert_close(logs[:, n * k : n * (k + 1)], own)
    assert first_weights(X).sum().item() == pytest.approx(1)


def test_mixed_curve_by_hand():
    """The square of the mean of square roots; of one curve, that curve."""
    n = len(ELASTICITIES)
    k, other = n + 3, n + 9  # of constant elasticity
    one = torch.zeros(N_CURVES, dtype=torch.float64)
    one[k] = 1.0
    torch.testing.assert_close(log_mixed_curve(one, X), log_curves(X)[:, k])
    one[k], one[other] = 0.25, 0.75
    e, steep = ELASTICITIES[3], ELASTICITIES[9]
    x = X[4:6]
    expected = 2 * (0.25 * (-0.5 * e * x).exp() + 0.75 * (-0.5 * steep * x).exp()).log()
    torch.testing.assert_close(log_mixed_curve(one, x), expected)
    mean, deviation, shares = elasticity_moments(one)
    assert mean.item() == pytest.approx(0.25 * math.log(e) + 0.75 * math.log(steep))
    spread = math.sqrt(0.25 * 0.75) * math.log(steep / e)
    assert deviation.item() == pytest.approx(spread, rel=1e-3)
    assert shares.tolist() == [0, 1, 0, 0]


def test_finer_grid_keeps_the_grid_and_is_smooth_between():
    logs = torch.tensor(np.log(ELASTICITIES)).repeat(4)
    fine = torch.tensor(np.log(FINE_ELASTICITIES)).repeat(4)
    offset = torch.arange(4, dtype=torch.float64)
    values = logs**3 - logs + offset.repeat_interleave(len(ELASTICITIES))
    expected = fine**3 - fine + offset.repeat_interleave(len(FINE_ELASTICITIES))
    torch.testing.assert_close(on_finer_grid(values), expected)  # a spline has all cubics
    np.testing.assert_allclose(FINE_ELASTICITIES[::N_FINE], ELASTICITIES)


def test_table_of_a_mixture_is_its_curve():
    """A twelfth of one curve's square root and the rest of another's, where neither is capped."""
    n = len(FINE_ELASTICITIES)
    weights = torch.zeros(2, 4 * n, dtype=torch.float64)
    weights[0, n + 3], weights[0, n + 90], weights[1, 2 * n + 70] = 1 / 12, 11 / 12, 1.0
    x = torch.tensor(TABLE, dtype=torch.float64)[40:60]
    flat, steep, falling = (FINE_ELASTICITIES[k] for k in (3, 90, 70))
    mixed = 2 * ((-0.5 * flat * x).exp() / 12 + (-0.5 * steep * x).exp() * 11 / 12).log()
    expected = torch.stack([mixed, -falling * x.expm1()])
    torch.testing.assert_close(fine_mixed_table(weights)[:, 40:60], expected, rtol=1e-5, atol=1e-6)


def test_tables_of_curves_are_read_smoothly():
    points = torch.tensor(TABLE, dtype=torch.float64)
    table = torch.stack([-2 * points, -points.expm1().clamp_max(3)])
    x = torch.linspace(-2.4, 0.9, 400, dtype=torch.float64).expand(2, 1, 400)
    read = read_table(table, x)
    torch.testing.assert_close(read[0], -2 * x[0])
    torch.testing.assert_close(read[1], -x[1].expm1(), rtol=1e-3, atol=2e-5)
    at_points = read_table(table, points[1:-1].expand(2, 1, -1)).squeeze(1)
    torch.testing.assert_close(at_points, table[:, 1:-1])
    slopes = read_table(table, x).diff() / x.diff()
    assert slopes[1].diff().abs().max() < 0.03  # no kinks: steps of a straight piece are 0.05 wide
    far = read_table(table, double([[[9.0]], [[FARTHEST]]]))
    assert far[0].item() == pytest.approx(-2 * FARTHEST)


def _shared(elasticity, n_rows, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=0.15, size=(n_rows, 4))
    level = rng.lognormal(3, 0.5, (n_rows, 1))
    demand = level * np.exp(-elasticity * x) * rng.gamma(noise**-2, noise**2, x.shape)
    return units_and_rows(demand, np.exp(x))


def test_the_common_curve_is_as_sure_as_rows_make_it():
    """Its elasticity and the doubt about it, against those of a regression with rows' levels."""
    for n_rows in (5, 50, 500):
        units, _ = _shared(1.9, n_rows)
        mean, log_doubt = units.common_facts[0, :2].tolist()
        by_chance = 0.2 / (0.15 * math.sqrt(3 * n_rows))
        assert abs(math.exp(mean) - 1.9) < 3 * by_chance
        assert math.exp(log_doubt) * math.exp(mean) == pytest.approx(by_chance, rel=0.35)
    x = double([[[0.2]]])
    assert log_common_curve(x, units).item() == pytest.approx(-1.9 * 0.2, abs=0.05)


def test_rows_that_differ_are_known_to():
    alike, _ = _shared(1.5, 60)
    unlike, _ = _shared(np.where(np.arange(60) < 30, 0.3, 5.0)[:, None], 60)
    assert unlike.unlike.item() > 2 * abs(alike.unlike.item())


def _once_each(levels, prices):
    """Rows that were sold at one price each."""
    return units_and_rows(
        np.repeat(levels[:, None], 3, axis=1), np.repeat(prices[:, None], 3, axis=1)
    )[0]


def test_one_product_at_many_prices_tells_its_elasticity():
    """As a regression between rows does, though none of them had two prices."""
    rng = np.random.default_rng(0)
    usual, away = np.exp(0.2 * rng.normal(size=(2, 80)))
    units = _once_each(20 * usual**-2.0 * away, 7 * usual)
    mean, log_doubt = units.common_facts[0, :2].tolist()
    slope, _ = np.polyfit(np.log(usual), np.log(usual**-2.0 * away), 1)
    assert units.linked.item() > 2
    by_chance = 0.2 / (0.2 * math.sqrt(80))
    assert math.exp(mean) == pytest.approx(-slope, abs=2 * by_chance)  # not all curves are straight
    assert math.exp(log_doubt) * math.exp(mean) == pytest.approx(by_chance, rel=0.35)


def test_many_products_at_as_many_prices_do_not():
    rng = np.random.default_rng(0)
    usual, levels = np.exp(0.5 * rng.normal(size=(2, 80)))
    units, at_one_price = _once_each(20 * levels, usual), _once_each(20 * levels, usual**0)
    assert units.linked.item() < -1
    assert at_one_price.linked.item() == pytest.approx(0, abs=1e-9)
    for facts in zip(units.common_facts[0], at_one_price.common_facts[0], strict=True):
        assert facts[0].item() == pytest.approx(facts[1].item(), abs=0.35)


def test_dear_products_that_sell_less_do_not():
    """Such a line among products is no demand curve, and what few rows tell counts more."""
    rng = np.random.default_rng(0)
    usual, away = np.exp(0.5 * rng.normal(size=(2, 80)))
    levels, x = 20 * away / usual, np.zeros((80, 4))
    assert abs(_once_each(levels, usual).linked.item()) < 2
    x[:8] = [-0.1, -0.1, 0.1, 0.1]
    noise = 1 + 0.1 * rng.normal(size=x.shape)
    units, _ = units_and_rows(levels[:, None] * np.exp(-4 * x) * noise, usual[:, None] * np.exp(x))
    assert math.exp(units.common_facts[0, 0]) == pytest.approx(4, abs=0.6)
    assert units.single_share.item() == pytest.approx(0.9)


def test_evidence_between_rows_by_integration():
    """Of products, over slopes and the variance, against numerical integrals; and of two curves."""
    usual, levels = np.log([4.0, 5.0, 7.0]), np.log([30.0, 21.0, 12.0])
    pairs = pairs_of(double([[[30.0], [21.0], [12.0]]]), double([[[4.0], [5.0], [7.0]]]))
    centre = double([[usual.mean()]])
    weights, n_rows = [torch.ones(1, 3, dtype=torch.float64)], double([[3.0]])
    found = _evidence_between([pairs], [double(levels[None])], weights, n_rows, centre)

    def likelihood(residuals):  # the mean is flat, the variance inverse gamma
        squares, a, b = ((residuals - residuals.mean()) ** 2).sum(), 0.5, 0.5 * 0.1
        return integrate.quad(
            lambda v: v ** (-1 - a - 1) * math.exp(-(squares / 2 + b) / v), 0, np.inf
        )[0]

    apart = integrate.quad(lambda s: likelihood(levels - s * usual) / 2, -1.5, 0.5)[0]
    n = len(ELASTICITIES)
    for k in (n + 4, n + 12):  # of constant elasticity
        together = likelihood(levels + ELASTICITIES[k - n] * usual)
        assert found[0, k].item() == pytest.approx(math.log(together / apart), abs=0.01)


def test_pairs_by_hand():
    demand = double([[[5.0, NAN, 2.0, 7.0], [NAN] * 4]])
    prices = double([[[4.0, 3.0, 1.0, NAN], [2.0, NAN, NAN, NAN]]])
    pairs = pairs_of(demand, prices)
    assert pairs.count.tolist() == [[2, 0]]
    assert pairs.usual[0].tolist() == pytest.approx([math.log(2), math.log(2)])
    assert pairs.told.tolist() == [[True, True]]
    nothing = pairs_of(double([[[NAN]]]), double([[[NAN]]]))
    assert nothing.usual.item() == 0
    assert not nothing.told.item()
    assert pairs.demand[0, 0, :2].tolist() == [2, 5]
    assert pairs.x[0, 0].tolist() == pytest.approx([-math.log(2), math.log(2), 0, 0])
    assert pairs.seen[0].sum(-1).tolist() == [2, 0]
    same = pairs_of(torch.ones(1, 1, 2), torch.tensor([[[3.0, 3.0]]]))
    assert (same.x == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("elasticity", ELASTICITIES[5:10:2])
def test_clean_rows_tell_their_elasticity(family, elasticity):
    """And what is left of demand is the row's level at its usual price."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.25, 0.2, (40, 8))
    x -= x.mean(axis=1, keepdims=True)
    curve = log_curve(family, double(x), double(elasticity)).exp().numpy()
    level = rng.lognormal(3, 1, (40, 1))
    demand = level * curve * (1 + 0.01 * rng.normal(size=x.shape))
    units, rows = units_and_rows(demand, 5 * np.exp(x))
    mean, deviation, _ = elasticity_moments(units.mixture)
    assert mean.exp().item() == pytest.approx(elasticity, rel=0.1)
    mean, deviation, _ = elasticity_moments(rows.curves)
    np.testing.assert_allclose(mean.exp(), elasticity, rtol=0.15)
    assert deviation.max() < 0.3
    found = (rows.values * rows.seen).sum(-1) / rows.count
    np.testing.assert_allclose(found[0], level[:, 0], rtol=0.02)
    asked = double([-0.2, 0.15]).expand(1, 40, 2)
    at = log_curve(family, asked[0, 0], double(elasticity))
    np.testing.assert_allclose(rows.log_curve(asked)[0], at.expand(40, 2), atol=0.03)
    assert units.single_share.item() == 0
    assert units.price_centre.item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("elasticity", [0.9, 2.0, 4.4])
def test_between_two_curves_of_the_grid_one_of_them_is_found(elasticity):
    x = np.linspace(-0.3, 0.3, 8) * np.ones((40, 1))
    units, rows = units_and_rows(np.exp(2 - elasticity * x), np.exp(x))
    for curves in (units.mixture, rows.curves):
        mean, _, _ = elasticity_moments(curves)
        ratio = mean.exp().numpy() / elasticity
        assert ((ratio > 1 / 1.49) & (ratio < 1.49)).all()


def test_rows_of_two_elasticities_are_told_apart():
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.3, 0.3, (40, 8))
    x -= x.mean(axis=1, keepdims=True)
    elasticity = np.where(np.arange(40) < 20, 0.5, 4.0)[:, None]
    demand = np.exp(3 - elasticity * x) * (1 + 0.02 * rng.normal(size=x.shape))
    units, rows = units_and_rows(demand, np.exp(x))
    mean, _, _ = elasticity_moments(rows.curves)
    np.testing.assert_allclose(mean[0].exp(), elasticity[:, 0], rtol=0.3)
    _, deviation, _ = elasticity_moments(units.mixture)
    assert deviation.item() > 0.7


def test_rows_of_one_price_have_the_curves_of_all():
    rng = np.random.default_rng(0)
    demand, prices = rng.gamma(3, 10, (10, 3)), np.exp(rng.uniform(-0.3, 0.3, (10, 3)))
    prices[4] = 1.3
    demand[5] = 0
    demand[6], prices[6] = NAN, NAN
    demand[7] = NAN
    units, rows = units_and_rows(demand, prices)
    for row in (4, 5, 6, 7):
        np.testing.assert_allclose(rows.curves[0, row], units.mixture[0], rtol=1e-9)
    assert rows.usual[0, 6].item() == pytest.approx(units.price_centre.item())
    assert rows.usual[0, 7].item() == pytest.approx(np.log(prices[7]).mean())
    assert units.single_share.item() == pytest.approx(1 / 8)
    np.testing.assert_allclose(rows.curves.sum(-1), 1)
