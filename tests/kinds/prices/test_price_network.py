"""What a network of demand at prices promises exactly, whatever its weights; and its curves."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate

import sklearn_pttf._network.reading as network_use
from sklearn_pttf import Checkpoint, Portfolio
from sklearn_pttf._kinds.head import mean_weights
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
from sklearn_pttf._kinds.prices.head import PriceHead
from sklearn_pttf._kinds.prices.units import (
    REACH,
    _evidence_between,
    log_common_curve,
    pairs_of,
    placed_rows,
    price_units,
)
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import encode_context, predict_law, predict_laws_at
from sklearn_pttf._training.loss import MOST_LOST, lost_profit

NAN = np.nan
SMALL = NetworkConfig(
    outcomes="prices", width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9
)


def _random_network(seed=0):
    """A network whose weights are far from their start, so that every part matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(SMALL).double().eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


NETWORK = _random_network()


@st.composite
def tables(draw, whole=None):
    """Demand and prices of a few rows with missing cells, and prices that are asked about."""
    n, m = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    amount = st.one_of(st.floats(0.01, 1e6), st.just(0.0))
    amount = st.integers(0, 10_000).map(float) if whole else amount
    demand = draw(arrays(float, (n, m), elements=st.one_of(amount, st.just(NAN))))
    price = st.one_of(st.floats(0.5, 20), st.sampled_from([3.0, 4.0]))
    prices = draw(arrays(float, (n, m), elements=price))
    asked = draw(arrays(float, (n, 2), elements=price))
    assume(np.nansum(demand) > 0)
    return demand, np.where(np.isnan(demand), NAN, prices), asked


def _portfolio(demand, prices, whole=False):
    return Portfolio(demand, integer=whole, prices=prices)


def _predict(table, whole=False, context=None, network=NETWORK):
    """Quantiles at the prices that are asked about; ``(n, k, K)``."""
    demand, prices, asked = table
    context = table if context is None else context
    read = encode_context(network, _portfolio(*context[:2], whole))
    law = predict_laws_at(network, read, _portfolio(demand, prices, whole), asked)
    return law.quantiles.reshape(*asked.shape, -1)


# ---------------------------------------------------------------- exact by construction


@given(tables(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter(table, whole, random):
    demand, prices, asked = table
    rows = random.sample(range(len(demand)), len(demand))
    cells = random.sample(range(demand.shape[1]), demand.shape[1])
    reference = _predict(table, whole)
    pairs = demand[:, cells], prices[:, cells], asked
    np.testing.assert_array_equal(_predict(pairs, whole, table), reference)
    size = np.abs(reference).max()
    backwards = _predict((demand, prices, asked[:, ::-1]), whole)
    np.testing.assert_allclose(backwards, reference[:, ::-1], rtol=1e-12, atol=1e-14 * size)
    of_pairs = _predict(pairs, whole)
    np.testing.assert_allclose(of_pairs, reference, rtol=1e-7, atol=1e-9 * size)
    shuffled = _predict(table, whole, (demand[rows], prices[rows]))
    np.testing.assert_allclose(shuffled, reference, rtol=1e-7, atol=1e-9 * size)
    one = _predict(tuple(each[rows] for each in table), whole, table)
    np.testing.assert_allclose(one, reference[rows], rtol=1e-9, atol=1e-12 * size)


ONE_EACH_WAY = (  # several curves fit these two rows equally badly
    np.array([[NAN, NAN], [1.0, 0.0], [0.0, 1.0]]),
    np.array([[NAN, NAN], [2.0, 1.0], [2.0, 1.0]]),
    np.ones((3, 2)),
)


@given(tables(), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
@example(ONE_EACH_WAY, 1.0, 2.0)
@settings(max_examples=20, deadline=None)
def test_units_of_demand_and_of_money_do_not_matter(table, unit, money):
    demand, prices, asked = table
    reference = _predict(table)
    size = np.abs(reference).max()
    scaled = _predict((unit * demand, money * prices, money * asked))
    np.testing.assert_allclose(scaled / unit, reference, rtol=1e-5, atol=1e-7 * size)


def test_the_unit_of_counts_matters():
    rng = np.random.default_rng(0)
    table = rng.poisson(3.0, (8, 4)).astype(float), rng.uniform(3, 7, (8, 4)), np.full((8, 1), 5.0)
    more = 100 * table[0], *table[1:]
    assert not np.allclose(_predict(more, True), 100 * _predict(table, True), rtol=0.01)
    dearer = table[0], 100 * table[1], 100 * table[2]
    np.testing.assert_allclose(_predict(dearer, True), _predict(table, True), rtol=1e-6)


@given(tables(whole=True), st.booleans())
@settings(max_examples=40, deadline=None)
def test_quantiles_are_monotone(table, whole):
    demand, prices, asked = (torch.tensor(each)[None] for each in table)
    with torch.no_grad():
        whole_ = torch.full((1,), float(whole), dtype=torch.float64)
        output = NETWORK(demand, whole_, prices=prices, queries=asked)
    assert output.quantiles.isfinite().all()
    assert (output.quantiles.diff() >= -1e-9 * output.quantiles.abs().amax()).all()
    assert (np.diff(_predict(table, whole), axis=-1) >= 0).all()


@given(tables())
@settings(max_examples=20, deadline=None)
def test_missing_pairs_are_not_there(table):
    demand, prices, asked = table
    nothing = np.full((len(demand), 1), NAN)
    seen = np.full((len(demand), 1), 4.0)
    # without any pair a price says what is usual
    alone = np.where(np.isnan(demand).all(axis=1, keepdims=True), NAN, seen)
    wider_prices = np.hstack([alone, prices, nothing, nothing])
    wider = np.hstack([nothing, demand, nothing, seen]), wider_prices
    reference = _predict(table)
    size = np.abs(reference).max()
    np.testing.assert_allclose(_predict((*wider, asked)), reference, rtol=1e-9, atol=1e-9 * size)


def test_prices_of_rows_without_demand_say_what_is_usual():
    """A product that was never sold, of a price level of its own, is asked about at that."""
    demand, prices, asked = _plain_table()
    demand[3], prices[3], asked[3] = NAN, [40.0, NAN, 40.0, NAN], 40.0
    network = Checkpoint.load("price").build_network(torch.device("cpu"), torch.float64)
    there = _predict((demand, prices, asked), network=network)[3, :, 16]
    prices[3] = NAN
    far = _predict((demand, prices, asked), network=network)[3, :, 16]
    assert (there > 1.5 * far).all()


def _plain_table(n=40, m=4, seed=0):
    rng = np.random.default_rng(seed)
    prices = rng.uniform(3, 7, (n, m))
    demand = rng.gamma(3, 10 * prices**-1.5)
    demand[rng.uniform(size=(n, m)) < 0.2] = NAN
    demand[-1] = NAN
    return demand, np.where(np.isnan(demand), NAN, prices), rng.uniform(3, 7, (n, 3))


def test_chunks_do_not_matter(monkeypatch):
    table = _plain_table()
    reference = _predict(table)
    monkeypatch.setattr(network_use, "CHUNK_CELLS", 60)
    np.testing.assert_allclose(_predict(table), reference, rtol=1e-9, atol=1e-12)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    table = _plain_table()
    reference = _predict(table)
    some = np.array([39, 3, 17])
    found = _predict(tuple(each[some] for each in table), context=table)
    np.testing.assert_allclose(found, reference[some], rtol=1e-9)
    alone = _predict((table[0], table[1], table[2][:, 1:2]), context=table)
    np.testing.assert_allclose(alone, reference[:, 1:2], rtol=1e-9)  # nor on the prices beside


def test_rows_learn_from_each_other():
    demand, prices, asked = _plain_table()
    steeper = demand * (prices / 5) ** -3
    steeper[0] = demand[0]
    one, other = (_predict((d, prices, asked))[0] for d in (demand, steeper))
    assert not np.allclose(one, other, rtol=0.01)


def test_forward_agrees_with_encoding_and_reading():
    demand, prices, asked = (torch.tensor(each)[None] for each in _plain_table(12))
    candidates = torch.linspace(2, 9, 5, dtype=torch.float64).expand(1, 12, 5)
    in_context = torch.arange(12)[None] < 7
    whole = torch.zeros(1, dtype=torch.float64)
    output = NETWORK(demand, whole, in_context, prices=prices, queries=asked, candidates=candidates)
    pieces = [(demand[0, :3], prices[0, :3]), (demand[0, 3:7], prices[0, 3:7])]
    context = NETWORK.encode_context(pieces, False)
    again = NETWORK.predict_rows(
        (demand[0], prices[0]), context, queries=asked, candidates=candidates
    )
    assert output.quantiles.shape == (1, 36, 9)
    assert output.curve.shape == (1, 12, 5)
    for name in ("quantiles", "curve", "location", "scale", "grain", "typical", "zero_width"):
        torch.testing.assert_close(getattr(again, name), getattr(output, name))


def test_missing_price_is_the_usual_one_of_all():
    demand, prices, _ = _plain_table()
    context = encode_context(NETWORK, _portfolio(demand, prices))
    usual = np.exp(np.nanmean(np.nanmean(np.log(prices[:-1]), axis=1)))
    assert float(context.units.price_centre.exp()) == pytest.approx(usual)
    cold = predict_law(NETWORK, context, _portfolio(demand, prices)).quantiles[-1]
    at_usual = _predict((demand, prices, np.full((40, 1), usual)))[-1, 0]
    np.testing.assert_allclose(cold, at_usual, rtol=1e-9)


# ---------------------------------------------------------------- curves

X = torch.linspace(-0.8, 0.8, 9, dtype=torch.float64)


def _one(value):
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("elasticity", [0.1, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_elasticity_at_the_reference_price(family, elasticity, share):
    """By finite differences; demand there is 1, and it falls with price."""
    step = 1e-5
    x = _one([-step, 0.0, step])
    logs = log_curve(family, x, _one(elasticity), share)
    assert logs[1].item() == pytest.approx(0, abs=1e-12)
    assert (logs[2] - logs[0]).item() / (2 * step) == pytest.approx(-elasticity, rel=1e-6)
    assert (log_curve(family, X, _one(elasticity), share).diff() <= 0).all()


def test_curves_by_hand():
    """At twice the reference price, and at half of it, of elasticity 2."""
    x = _one([math.log(2), -math.log(2)])
    found = {f: log_curve(f, x, _one(2.0), 0.8).exp().tolist() for f in FAMILIES}
    odds = math.exp(-5)
    assert found["linear"] == pytest.approx([math.exp(-7), 2])  # nothing is left
    assert found["constant_elasticity"] == pytest.approx([1 / 4, 4])
    assert found["exponential"] == pytest.approx([math.exp(-2), math.e])
    assert found["logit"] == pytest.approx([math.exp(-7), 1 / (0.8 + 0.2 * odds)])
    assert log_curve("exponential", _one(5.0), _one(8.0)) == -7
    assert log_curve("constant_elasticity", _one(-5.0), _one(8.0)) == 7


def test_grid_of_curves():
    logs = log_curves(X)
    assert logs.shape == (9, N_CURVES)
    step = 1e-5
    slopes = (log_curves(_one(step)) - log_curves(_one(-step))) / (2 * step)
    np.testing.assert_allclose(slopes, -np.tile(ELASTICITIES, len(FAMILIES)), rtol=1e-6)
    np.testing.assert_allclose(log_curves(_one(0.0)), 0, atol=1e-12)
    n = len(ELASTICITIES)
    for k, family in enumerate(FAMILIES):
        own = log_curve(family, X[:, None], _one(ELASTICITIES)).clamp(-3, 3)
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
    far = read_table(table, _one([[[9.0]], [[FARTHEST]]]))
    assert far[0].item() == pytest.approx(-2 * FARTHEST)


def _shared(elasticity, n_rows, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=0.15, size=(n_rows, 4))
    level = rng.lognormal(3, 0.5, (n_rows, 1))
    demand = level * np.exp(-elasticity * x) * rng.gamma(noise**-2, noise**2, x.shape)
    return _units(demand, np.exp(x))


def test_the_common_curve_is_as_sure_as_rows_make_it():
    """Its elasticity and the doubt about it, against those of a regression with rows' levels."""
    for n_rows in (5, 50, 500):
        units, _ = _shared(1.9, n_rows)
        mean, log_doubt = units.common_facts[0, :2].tolist()
        by_chance = 0.2 / (0.15 * math.sqrt(3 * n_rows))
        assert abs(math.exp(mean) - 1.9) < 3 * by_chance
        assert math.exp(log_doubt) * math.exp(mean) == pytest.approx(by_chance, rel=0.35)
    x = _one([[[0.2]]])
    assert log_common_curve(x, units).item() == pytest.approx(-1.9 * 0.2, abs=0.05)


def test_rows_that_differ_are_known_to():
    alike, _ = _shared(1.5, 60)
    unlike, _ = _shared(np.where(np.arange(60) < 30, 0.3, 5.0)[:, None], 60)
    assert unlike.unlike.item() > 2 * abs(alike.unlike.item())


def _once_each(levels, prices):
    """Rows that were sold at one price each."""
    return _units(np.repeat(levels[:, None], 3, axis=1), np.repeat(prices[:, None], 3, axis=1))[0]


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
    units, _ = _units(levels[:, None] * np.exp(-4 * x) * noise, usual[:, None] * np.exp(x))
    assert math.exp(units.common_facts[0, 0]) == pytest.approx(4, abs=0.6)
    assert units.single_share.item() == pytest.approx(0.9)


def test_evidence_between_rows_by_integration():
    """Of products, over slopes and the variance, against numerical integrals; and of two curves."""
    usual, levels = np.log([4.0, 5.0, 7.0]), np.log([30.0, 21.0, 12.0])
    pairs = pairs_of(_one([[[30.0], [21.0], [12.0]]]), _one([[[4.0], [5.0], [7.0]]]))
    centre = _one([[usual.mean()]])
    weights, n_rows = [torch.ones(1, 3, dtype=torch.float64)], _one([[3.0]])
    found = _evidence_between([pairs], [_one(levels[None])], weights, n_rows, centre)

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
    demand = _one([[[5.0, NAN, 2.0, 7.0], [NAN] * 4]])
    prices = _one([[[4.0, 3.0, 1.0, NAN], [2.0, NAN, NAN, NAN]]])
    pairs = pairs_of(demand, prices)
    assert pairs.count.tolist() == [[2, 0]]
    assert pairs.usual[0].tolist() == pytest.approx([math.log(2), math.log(2)])
    assert pairs.told.tolist() == [[True, True]]
    nothing = pairs_of(_one([[[NAN]]]), _one([[[NAN]]]))
    assert nothing.usual.item() == 0
    assert not nothing.told.item()
    assert pairs.demand[0, 0, :2].tolist() == [2, 5]
    assert pairs.x[0, 0].tolist() == pytest.approx([-math.log(2), math.log(2), 0, 0])
    assert pairs.seen[0].sum(-1).tolist() == [2, 0]
    same = pairs_of(torch.ones(1, 1, 2), torch.tensor([[[3.0, 3.0]]]))
    assert (same.x == 0).all()


def _units(demand, prices, whole=0.0):
    demand, prices = _one(demand)[None], _one(prices)[None]
    weights = torch.ones(demand.shape[:2], dtype=torch.float64)
    units = price_units([demand], [prices], [weights], torch.full_like(weights[:, :1], whole))
    return units, placed_rows(pairs_of(demand, prices), units)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("elasticity", ELASTICITIES[5:10:2])
def test_clean_rows_tell_their_elasticity(family, elasticity):
    """And what is left of demand is the row's level at its usual price."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.25, 0.2, (40, 8))
    x -= x.mean(axis=1, keepdims=True)
    curve = log_curve(family, _one(x), _one(elasticity)).exp().numpy()
    level = rng.lognormal(3, 1, (40, 1))
    demand = level * curve * (1 + 0.01 * rng.normal(size=x.shape))
    units, rows = _units(demand, 5 * np.exp(x))
    mean, deviation, _ = elasticity_moments(units.mixture)
    assert mean.exp().item() == pytest.approx(elasticity, rel=0.1)
    mean, deviation, _ = elasticity_moments(rows.curves)
    np.testing.assert_allclose(mean.exp(), elasticity, rtol=0.15)
    assert deviation.max() < 0.3
    found = (rows.values * rows.seen).sum(-1) / rows.count
    np.testing.assert_allclose(found[0], level[:, 0], rtol=0.02)
    asked = _one([-0.2, 0.15]).expand(1, 40, 2)
    at = log_curve(family, asked[0, 0], _one(elasticity))
    np.testing.assert_allclose(rows.log_curve(asked)[0], at.expand(40, 2), atol=0.03)
    assert units.single_share.item() == 0
    assert units.price_centre.item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("elasticity", [0.9, 2.0, 4.4])
def test_between_two_curves_of_the_grid_one_of_them_is_found(elasticity):
    x = np.linspace(-0.3, 0.3, 8) * np.ones((40, 1))
    units, rows = _units(np.exp(2 - elasticity * x), np.exp(x))
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
    units, rows = _units(demand, np.exp(x))
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
    units, rows = _units(demand, prices)
    for row in (4, 5, 6, 7):
        np.testing.assert_allclose(rows.curves[0, row], units.mixture[0], rtol=1e-9)
    assert rows.usual[0, 6].item() == pytest.approx(units.price_centre.item())
    assert rows.usual[0, 7].item() == pytest.approx(np.log(prices[7]).mean())
    assert units.single_share.item() == pytest.approx(1 / 8)
    np.testing.assert_allclose(rows.curves.sum(-1), 1)


# ---------------------------------------------------------------- means


@given(arrays(float, 8, elements=st.floats(0, 10)), st.floats(0, 5), st.sampled_from([0.001, 0.02]))
@settings(max_examples=50, deadline=None)
def test_mean_weights_are_those_of_the_law(steps, lowest, tail):
    levels = NetworkConfig(n_knots=9, tail=tail).levels
    quantiles = lowest + np.append(0, steps.cumsum())
    law = QuantileGrid(quantiles[None], levels, lowest=-np.inf)
    weights = mean_weights(torch.tensor(levels, dtype=torch.float64)).numpy()
    assert weights.sum() == pytest.approx(1)
    assert weights @ quantiles == pytest.approx(law.mean()[0], rel=1e-9, abs=1e-9)


def test_mean_weights_by_integration():
    levels = np.array(NetworkConfig(n_knots=9).levels)
    weights = mean_weights(torch.tensor(levels, dtype=torch.float64)).numpy()
    logits = np.log(levels / (1 - levels))
    for k in (1, 4, 6):  # a tent between three knots
        tent, size = np.eye(9)[k], 0.0
        for low, high in ((levels[k - 1], levels[k]), (levels[k], levels[k + 1])):
            size += integrate.quad(
                lambda t, tent=tent: np.interp(np.log(t / (1 - t)), logits, tent), low, high
            )[0]
        if k == 1:  # whose slope goes on below the first knot
            slope = (tent[1] - tent[0]) / (logits[1] - logits[0])
            size += integrate.quad(
                lambda t, slope=slope: slope * (np.log(t / (1 - t)) - logits[0]), 0, levels[0]
            )[0]
        assert weights[k] == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize("whole", [False, True])
def test_means_at_candidates_are_those_of_laws(whole):
    """Where no quantile is below 0; of whole numbers but for their rounding."""
    config = NetworkConfig(**{**SMALL.to_dict(), "n_knots": 33})
    network = DecisionNetwork.of_moments(config).double()
    rng = np.random.default_rng(0)
    prices = rng.uniform(3, 7, (10, 6))
    demand = np.rint(900 * (prices / 5) ** -1.5 * rng.uniform(0.97, 1.03, prices.shape))
    candidates = np.linspace(3, 7, 5) * np.ones((10, 1))
    with torch.no_grad():
        output = network(
            _one(demand)[None],
            torch.full((1,), float(whole), dtype=torch.float64),
            prices=_one(prices)[None],
            queries=_one(candidates)[None],
            candidates=_one(candidates)[None],
        )
    law = QuantileGrid(output.outcome_quantiles()[0].numpy(), config.levels, whole)
    assert law.quantiles.min() > 0
    rtol = 1e-6 if not whole else 1e-3
    np.testing.assert_allclose(output.curve[0].ravel(), law.mean(), rtol=rtol)


def _means(demand, prices, asked, whole):
    """Expected demand at prices, by a network that says what moments say; ``(n, k)``."""
    config = NetworkConfig(**{**SMALL.to_dict(), "n_knots": 33})
    network = DecisionNetwork.of_moments(config).double()
    portfolio = _portfolio(demand, prices, whole)
    law = predict_laws_at(network, encode_context(network, portfolio), portfolio, asked)
    assert law.take([0, 2]).mean().tolist() == law.mean()[[0, 2]].tolist()
    np.testing.assert_array_equal(QuantileGrid.concatenate([law, law]).means[len(law) :], law.means)
    return law.mean().reshape(asked.shape)


def test_means_of_few_whole_numbers_are_those_of_laws():
    """Also where most of what is asked for is nothing."""
    rng = np.random.default_rng(0)
    prices = rng.uniform(3, 7, (40, 6))
    demand = rng.poisson(1.2 * (prices / 5) ** -1.5).astype(float)
    config = NetworkConfig(**{**SMALL.to_dict(), "n_knots": 33})
    network = DecisionNetwork.of_moments(config).double()
    asked = np.full((40, 1), 5.0)
    with torch.no_grad():
        inputs = {"prices": prices, "queries": asked, "candidates": asked}
        inputs = {name: _one(value)[None] for name, value in inputs.items()}
        output = network(_one(demand)[None], torch.ones(1, dtype=torch.float64), **inputs)
    law = QuantileGrid(output.outcome_quantiles()[0].numpy(), config.levels, True)
    assert law.cdf(np.zeros((40, 1))).mean() > 0.3
    np.testing.assert_allclose(output.curve[0, :, 0], law.mean(), atol=0.03)


@pytest.mark.parametrize("whole", [False, True])
def test_no_small_change_of_price_makes_demand_jump(whole):
    """Rows that sell little, so that the share of zeros passes from knot to knot."""
    rng = np.random.default_rng(0)
    prices = 5 * rng.choice([0.85, 1, 1.15], size=(40, 6))
    demand = rng.poisson(0.6 * (prices / 5) ** -2.5) * (1.0 if whole else 1.01)
    steps = []
    for size in (500, 2000):  # curves are steep where linear demand ends, but do not jump
        asked = np.geomspace(3, 8, size) * np.ones((40, 1))
        means = _means(demand, prices, asked, whole)
        steps.append(np.abs(np.diff(np.log(means), axis=1)).max())
    assert steps[1] < 0.4 * steps[0]


@pytest.mark.parametrize("whole", [False, True])
def test_far_from_what_was_seen_demand_falls_on(whole):
    """Whatever a network has learned of prices within its reach."""
    rng = np.random.default_rng(0)
    prices = 5 * rng.choice([0.85, 1, 1.15], size=(40, 6))
    demand = np.rint(30 * (prices / 5) ** -2.5 * rng.uniform(0.7, 1.3, (40, 6)))
    usual = np.exp(np.log(prices).mean(axis=1, keepdims=True))
    x = np.array([0, 1, 1.5, 2, 3, 6]) * REACH
    means = _means(demand, prices, usual * np.exp(x), whole)
    if not whole:  # the mean elasticity within goes on
        elasticity = -np.log(means[:, 2:] / means[:, :1]) / x[2:]
        within = -np.log(means[:, 1:2] / means[:, :1]) / x[1]
        np.testing.assert_allclose(elasticity, np.broadcast_to(within, (40, 4)), rtol=0.05)
    for seed in range(3):
        asked = usual * np.exp(REACH * np.linspace(1, 9, 30))
        quantiles = _predict((demand, prices, asked), whole, network=_random_network(seed))
        assert (np.diff(np.maximum(quantiles, 0), axis=1) <= 1e-12).all()


def test_a_network_that_learned_nothing_follows_the_curves():
    """Demand at prices over that at the usual price lies half-way between the two curves."""
    network = DecisionNetwork.of_moments(SMALL).double()
    demand, prices, _ = _plain_table()
    units, rows = _units(demand, prices)
    x = torch.tensor([-0.3, 0.0, 0.3], dtype=torch.float64).expand(1, 40, 3)
    asked = (rows.usual.unsqueeze(-1) + x).exp()[0].numpy()
    middle = _predict((demand, prices, asked), network=network)[..., 4]
    curve = (0.5 * (rows.log_curve(x) + log_common_curve(x, units)))[0].exp().numpy()
    np.testing.assert_allclose(middle / middle[:, 1:2], curve / curve[:, 1:2], rtol=0.05)
    assert isinstance(network.head, PriceHead)


# ---------------------------------------------------------------- lost profit


MARGINS = [[[1.0, 2.0, 3.0, 4.0]]]
DEMAND = [[[9.0, 8.0, 1.0, 0.5]]]  # profits 9, 16, 3 and 2; the vertex is 0.15 below the second


def test_right_choices_lose_nothing():
    margins, truth = _one(MARGINS), _one(DEMAND)
    lost = lost_profit(truth, margins, margins * truth)
    assert lost.shape == (1, 1)
    assert lost.item() == pytest.approx(0, abs=1e-9)
    assert lost_profit(1e6 * truth, margins, margins * truth).item() == pytest.approx(0, abs=1e-6)


def test_wrong_choices_lose_by_hand():
    margins, truth = _one(MARGINS), _one(DEMAND)
    most = 16 + 3**2 / (2 * 20)
    believed = _one([[[1.0, 1.0, 1.0, 5.0]]])  # the last, which is said to earn 20
    lost = lost_profit(believed, margins, margins * truth)
    assert lost.item() == pytest.approx((most - 2) / 20)
    meek = 1e-3 * believed  # what is at stake is told by what is believed
    assert lost_profit(meek, margins, margins * truth).item() == MOST_LOST
    between = _one([[[2.0, 2.0, 2.0, 1.0]]])  # profits 2, 4, 6 and 4, so the third
    lost = lost_profit(between, margins, margins * truth)
    assert lost.item() == pytest.approx((most - 3) / 6)
    above = _one([[[2.0, 2.0, 2.0, 1.4]]])  # profits 4, 6 and 5.6: rise 0.8, bend 2.4, a third on
    lost = lost_profit(above, margins, margins * truth)
    earned = 3 + (2 - 16) / 2 / 3 - (2 * 3 - 2 - 16) / 2 / 9
    assert lost.item() == pytest.approx((most - earned) / 6, rel=1e-6)


def test_gradients_of_lost_profit_mend_the_choice():
    """The best price is 3; demand is believed to fall too slowly, then too fast."""
    margins = torch.linspace(1.0, 5.0, 9, dtype=torch.float64).expand(1, 1, 9)
    truth = 6 - margins
    for slope, sign in ((0.8, 1), (1.2, -1)):
        slope = torch.tensor(slope, dtype=torch.float64, requires_grad=True)
        lost = lost_profit(6 - slope * margins, margins, margins * truth)
        found = 3 / slope.item()  # of margins * (6 - slope * margins)
        stake = (margins * (6 - slope * margins)).max().item()
        assert lost.item() == pytest.approx((found - 3) ** 2 / stake, rel=1e-6)
        lost.sum().backward()
        assert -sign * slope.grad.item() > 0
        expected = 2 * (found - 3) * (-3 / slope.item() ** 2) / stake
        assert slope.grad.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("family", ["linear", "constant_elasticity", "logit"])
def test_a_steeper_curve_with_the_same_best_price_loses_as_much(family):
    """Else training would exaggerate what it knows of curves."""
    prices = torch.linspace(0.7, 1.6, 10, dtype=torch.float64).expand(1, 1, 10)
    truth = log_curve(family, prices.log(), torch.tensor(2.5, dtype=torch.float64)).exp()
    margins = prices - 0.5
    curve = (truth * (1 + 0.1 * prices)).requires_grad_()
    profit = margins * curve
    away = profit - profit.amax(-1, keepdim=True)
    sharper = torch.where(away < 0, profit + 0.05 * away, profit) / margins
    lost = [lost_profit(each, margins, margins * truth) for each in (curve, sharper)]
    assert lost[0].item() > 1e-6
    assert lost[0].item() == pytest.approx(lost[1].item(), rel=1e-6)


def test_prices_below_cost():
    """Losses are profits below 0, and the least of them is best."""
    margins = _one([[[-3.0, -2.0, -1.0]]])
    curve = _one([[[6.0, 5.0, 4.0]]])
    assert lost_profit(curve, margins, margins * curve).item() == pytest.approx(0, abs=1e-6)
    wrong = _one([[[0.1, 5.0, 9.0]]])
    assert lost_profit(wrong, margins, margins * curve).item() == pytest.approx((18 - 4) / 10)
