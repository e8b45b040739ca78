"""What a network of demand at prices promises exactly, whatever its weights; and its means."""

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
from sklearn_pttf._kinds.prices.head import PriceHead
from sklearn_pttf._kinds.prices.units import REACH, log_common_curve
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import encode_context, predict_law, predict_laws_at
from sklearn_pttf._tables.evidence import Evidence
from support.networks import random_network
from support.prices import double, units_and_rows

NAN = np.nan
SMALL = NetworkConfig(
    outcomes="prices", width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9
)


NETWORK = random_network(SMALL)


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
        output = NETWORK(demand, whole_, prices=prices, posted=asked)
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
    output = NETWORK(demand, whole, in_context, prices=prices, posted=asked, candidates=candidates)
    rows = Evidence(demand[0], prices=prices[0], posted=asked[0])
    context = NETWORK.encode_context([rows.take(slice(0, 3)), rows.take(slice(3, 7))], False)
    again = NETWORK.predict_rows(rows, context, candidates)
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
            double(demand)[None],
            torch.full((1,), float(whole), dtype=torch.float64),
            prices=double(prices)[None],
            posted=double(candidates)[None],
            candidates=double(candidates)[None],
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
        inputs = {"prices": prices, "posted": asked, "candidates": asked}
        inputs = {name: double(value)[None] for name, value in inputs.items()}
        output = network(double(demand)[None], torch.ones(1, dtype=torch.float64), **inputs)
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
        quantiles = _predict(
            (demand, prices, asked), whole, network=random_network(SMALL, seed=seed)
        )
        assert (np.diff(np.maximum(quantiles, 0), axis=1) <= 1e-12).all()


def test_a_network_that_learned_nothing_follows_the_curves():
    """Demand at prices over that at the usual price lies half-way between the two curves."""
    network = DecisionNetwork.of_moments(SMALL).double()
    demand, prices, _ = _plain_table()
    units, rows = units_and_rows(demand, prices)
    x = torch.tensor([-0.3, 0.0, 0.3], dtype=torch.float64).expand(1, 40, 3)
    asked = (rows.usual.unsqueeze(-1) + x).exp()[0].numpy()
    middle = _predict((demand, prices, asked), network=network)[..., 4]
    curve = (0.5 * (rows.log_curve(x) + log_common_curve(x, units)))[0].exp().numpy()
    np.testing.assert_allclose(middle / middle[:, 1:2], curve / curve[:, 1:2], rtol=0.05)
    assert isinstance(network.head, PriceHead)
