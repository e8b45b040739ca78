"""What the network promises exactly, whatever its weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from sklearn_pttf._kinds.demand.head import DemandHead, row_facts
from sklearn_pttf._kinds.demand.units import (
    as_rows,
    excess_log_noise,
    level_credibility,
    noise_credibility,
    portfolio_units,
    row_level,
    zero_credibility,
)
from sklearn_pttf._network.network import BLOCK_CELLS, BLOCK_ROWS, Attention, NetworkConfig
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._tables.portfolio import Portfolio
from support.networks import random_network

SMALL = NetworkConfig(width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9)


NETWORK = random_network(SMALL)


def _observations(elements):
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 6))
    cells = st.one_of(elements, st.just(np.nan))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=cells))


AMOUNTS = _observations(st.one_of(st.floats(0.01, 1e6), st.just(0.0)))
COUNTS = _observations(st.integers(0, 10_000).map(float))


def _predict(X, integer, rows=None, network=NETWORK):
    context = encode_context(network, Portfolio(X, integer=integer))
    rows = Portfolio(X if rows is None else rows, integer=integer)
    return predict_law(network, context, rows).quantiles


@given(COUNTS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_does_not_matter(X, random):
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    reference = _predict(X, True)
    np.testing.assert_array_equal(_predict(X, True, X[:, cells]), reference)
    shuffled = _predict(X[rows][:, cells], True, X)
    np.testing.assert_allclose(shuffled, reference, rtol=1e-9, atol=1e-9)


@given(st.one_of(COUNTS, AMOUNTS), st.booleans())
@settings(max_examples=80, deadline=None)
def test_quantiles_are_monotone(X, whole):
    observations = torch.tensor(X)[None]
    with torch.no_grad():
        quantiles = NETWORK(observations, torch.full((1,), float(whole))).quantiles
    assert (quantiles.diff() >= -1e-9 * quantiles.abs().amax()).all()
    assert (np.diff(_predict(X, whole), axis=1) >= 0).all()


@given(AMOUNTS, st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_amounts_are_scale_equivariant(X, factor):
    assume(np.nansum(X) > 0)
    scaled = _predict(factor * X, False)
    np.testing.assert_allclose(scaled, factor * _predict(X, False), rtol=1e-6, atol=1e-9 * factor)


@given(COUNTS)
@settings(max_examples=20, deadline=None)
def test_missing_cells_are_not_there(X):
    wider = np.column_stack([np.full(len(X), np.nan), X, np.full(len(X), np.nan)])
    np.testing.assert_allclose(_predict(wider, True), _predict(X, True), rtol=1e-9, atol=1e-9)


def test_counts_are_not_scale_equivariant():
    X = np.random.RandomState(0).poisson(3.0, size=(8, 4)).astype(float)
    assert not np.allclose(_predict(100 * X, True), 100 * _predict(X, True), rtol=0.01)


def test_rows_learn_from_each_other():
    X = np.random.RandomState(0).poisson(3.0, size=(8, 4)).astype(float)
    other = X.copy()
    other[1:] *= 5
    assert not np.allclose(_predict(X, True)[0], _predict(other, True)[0], rtol=1e-3)


def test_forward_agrees_with_encoding_and_reading():
    X = torch.tensor(np.random.RandomState(0).poisson(3.0, size=(2, 12, 4)), dtype=torch.float64)
    X[:, 3, 1] = torch.nan
    in_context = torch.ones(2, 12, dtype=torch.bool)
    in_context[:, 7:] = False
    output = NETWORK(X, torch.ones(2, dtype=torch.float64), in_context)
    for b in range(2):
        context = NETWORK.encode_context([Evidence(X[b, :3]), Evidence(X[b, 3:7])], True)
        again = NETWORK.predict_rows(Evidence(X[b]), context)
        torch.testing.assert_close(again.quantiles[0], output.quantiles[b], rtol=1e-9, atol=1e-9)
        for name in ("location", "scale", "grain", "typical", "zero_width"):
            torch.testing.assert_close(getattr(again, name)[0], getattr(output, name)[b])


def test_rows_are_encoded_alike_in_blocks():
    encoder, n = random_network(NetworkConfig()).encoder, BLOCK_CELLS // BLOCK_ROWS
    cells = torch.randn(1, 3 * BLOCK_ROWS + 5, n, encoder.kind.n_cell_features)
    cells, seen = cells.double(), torch.rand(1, 3 * BLOCK_ROWS + 5, n).double()
    with torch.no_grad():
        in_blocks = encoder.double()._pooled(cells, seen)
    at_once = (seen.unsqueeze(-1) * encoder.cell(cells)).sum(-2)
    torch.testing.assert_close(in_blocks, at_once.detach(), rtol=1e-12, atol=1e-12)


def test_attention_merges_its_parts():
    torch.manual_seed(0)
    attention = Attention(8, 2).double()
    queries = torch.randn(1, 3, 8, dtype=torch.float64)
    keys = torch.randn(1, 10, 8, dtype=torch.float64)
    parts = [attention.partial(queries, keys[:, :4]), attention.partial(queries, keys[:, 4:])]
    merged = attention.finish(Attention.merge(*parts))
    torch.testing.assert_close(merged, attention(queries, keys))


# ---------------------------------------------------------------- the head


def _context(X, whole=False):
    """Rows and units of one portfolio."""
    observations = torch.tensor(X, dtype=torch.float64)[None]
    whole = torch.full((1, 1), float(whole), dtype=torch.float64)
    rows = as_rows(observations)
    return rows, portfolio_units([rows], [torch.ones_like(rows.count)], whole)


HEAD = DemandHead(SMALL)
LEVELS = np.array(SMALL.levels)
Z = torch.zeros(1, 4, dtype=torch.float64)
TABLE = [[3.0, 0.0, 7.5], [0.0, 0.0, np.nan], [120.0, 60.0, 11.0], [np.nan] * 3]


def _mixed(quantiles, share, zero_width, head=HEAD):
    share, zero_width = (torch.as_tensor([[x]], dtype=quantiles.dtype) for x in (share, zero_width))
    return head._with_zeros(quantiles[None], share, zero_width)[0]


def test_the_start_is_credibility():
    """Without what the network has learned, a row is believed as far as moments say."""
    rows, units = _context(TABLE)
    level = row_level(rows, units.scale)
    trust = level_credibility(rows, units, level)
    facts = row_facts(rows, units)
    log_location = DemandHead._log_location(facts, units, Z, Z)
    torch.testing.assert_close(log_location, trust * level.log() + (1 - trust) * units.centre)
    width = DemandHead._width(facts, Z, Z)
    own_noise = excess_log_noise(rows, units, level) - units.noise_centre
    own_noise[0, 3] = 0  # has no observation, and no noise of its own
    torch.testing.assert_close(width, (noise_credibility(rows, units) * own_noise).exp())
    share = DemandHead._zero_share(facts, units, Z, Z)
    torch.testing.assert_close(share, zero_credibility(rows, units))
    assert share[0, 1] > share[0, 0] > share[0, 2] > 0


def test_what_is_learned_moves_the_start():
    rows, units = _context(TABLE)
    level, facts = row_level(rows, units.scale), row_facts(rows, units)
    own, common = (DemandHead._log_location(facts, units, Z + t, Z) for t in (50, -50))
    torch.testing.assert_close(own, level.log())
    torch.testing.assert_close(common, units.centre.expand(1, 4))
    shifted = DemandHead._log_location(facts, units, Z, Z + 0.3)
    torch.testing.assert_close(
        shifted, DemandHead._log_location(facts, units, Z, Z) + 0.3 * units.noise
    )
    wider = DemandHead._width(facts, Z, Z + 0.5)
    torch.testing.assert_close(wider, DemandHead._width(facts, Z, Z) * math.exp(0.5))
    share = zero_credibility(rows, units).logit()
    more = DemandHead._zero_share(facts, units, Z + 1, Z)
    torch.testing.assert_close(more.logit(), share + 1)
    bolder = DemandHead._zero_share(facts, units, Z, Z + 0.5)
    torch.testing.assert_close(bolder.logit(), share * math.exp(0.5))
    assert DemandHead._zero_share(facts, units, Z + 99, Z).max() == pytest.approx(expit(5))


def test_no_zeros_where_none_were_seen():
    rows, units = _context([[3.0, 1.0, 7.5], [2.0, 4.0, np.nan], [120.0, 60.0, 11.0], [np.nan] * 3])
    assert not DemandHead._zero_share(row_facts(rows, units), units, Z + 99, Z).any()


@pytest.mark.parametrize("whole", [False, True])
def test_width_of_zeros(whole):
    """Of counts: one count. Of amounts: half the typical uncertainty of the row."""
    observations = torch.tensor(TABLE, dtype=torch.float64)[None]
    output = NETWORK(observations, torch.full((1,), float(whole), dtype=torch.float64))
    assert output.zero_width.shape == output.typical.shape == (1, 4)
    _, units = _context(TABLE, whole)
    if whole:
        torch.testing.assert_close(output.zero_width * output.scale, torch.ones_like(Z))
    else:
        torch.testing.assert_close(output.zero_width, output.typical / 2)
        typical = units.noise * (row_level(as_rows(observations), units.scale) + 0.1)
        torch.testing.assert_close(output.typical, typical)


@pytest.mark.parametrize("n_knots", [9, 33])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-11), (torch.float32, 2e-4)],
    ids=["double", "single"],
)
def test_a_share_of_nothing_changes_nothing(n_knots, dtype, tolerance):
    rng = np.random.RandomState(0)
    head = DemandHead(NetworkConfig(n_knots=n_knots))
    for _ in range(20):
        steps = rng.gamma(0.3, size=n_knots)
        quantiles = torch.tensor(steps.cumsum() - 2, dtype=dtype)
        same = _mixed(quantiles, 0.0, 0.4, head)
        # by rounding, a knot is found a little beside itself, the more the nearer to 1
        assert (same - quantiles).abs().max() <= tolerance * steps.max()


@pytest.mark.parametrize("location", [-1.0, 0.0, 40.0])
@pytest.mark.parametrize("share", [0.0005, 0.02, 0.3, 0.5, 0.77, 0.99])
def test_quantiles_of_a_logistic_law_with_zeros(share, location):
    """Such a law is exactly linear between knots."""
    quantiles = torch.tensor(location + 0.7 * logit(LEVELS))
    mixed = _mixed(quantiles, share, 0.4).numpy()
    above = share < LEVELS
    # the chance to be at or below a value is the share, and of the rest that of the law
    among_others = (LEVELS[above] - share) / (1 - share)
    expected = location + 0.7 * logit(np.maximum(among_others, LEVELS[0]))
    np.testing.assert_allclose(mixed[above], expected, rtol=1e-11, atol=1e-12)
    reached = among_others > LEVELS[0]
    chance = share + (1 - share) * expit((mixed[above] - location) / 0.7)
    np.testing.assert_allclose(chance[reached], LEVELS[above][reached], rtol=1e-11)
    # zeros lie evenly in the width below the law, but not above 0
    end = min(quantiles[0].item(), 0.0)
    np.testing.assert_allclose(mixed[~above], end - 0.4 * (1 - LEVELS[~above] / share))
    assert (mixed[~above] > end - 0.4).all()
    assert (mixed[~above] <= end).all()
    assert (np.diff(mixed) >= 0).all()


STEPS = arrays(np.float64, len(LEVELS) - 1, elements=st.floats(0, 1e3))


@given(STEPS, st.floats(-100, 100), st.floats(0, 0.9933), st.floats(1e-3, 10))
@settings(max_examples=200, deadline=None)
def test_quantiles_with_zeros_are_those_of_the_mixture(steps, lowest, share, width):
    quantiles = np.append(lowest, lowest + steps.cumsum())
    mixed = _mixed(torch.tensor(quantiles), share, width).numpy()
    size = np.abs(quantiles).max() + width
    assert (np.diff(mixed) >= -1e-11 * size).all()
    above = share < LEVELS
    among_others = np.maximum((LEVELS[above] - share) / (1 - share), LEVELS[0])
    expected = np.interp(logit(among_others), logit(LEVELS), quantiles)
    np.testing.assert_allclose(mixed[above], expected, rtol=1e-9, atol=1e-9 * size)
    assert (mixed[~above] <= min(lowest, 0) + 1e-12 * size).all()
    assert (mixed[~above] >= min(lowest, 0) - width).all()
    assert (np.diff(mixed[~above]) > 0).all()


@pytest.mark.parametrize("lowest", [-0.3, 0.2])
@pytest.mark.parametrize("share", [0.07, 0.33, 0.86])
def test_gradients_with_zeros(share, lowest):
    """Against finite differences, away from the knots."""
    steps = torch.tensor([0.1, 0.4, 0.2, 0.9, 0.3, 0.5, 1.1, 2.0], dtype=torch.float64)
    quantiles = lowest + torch.cat([torch.zeros(1), steps.cumsum(0)]).double()
    inputs = [quantiles[None], torch.tensor([[share]]), torch.tensor([[0.4]])]
    inputs = [x.double().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(HEAD._with_zeros, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_with_zeros_are_finite(dtype):
    shares = np.concatenate([np.linspace(0, 0.99, 100), LEVELS[:-1], np.nextafter(LEVELS[:-1], 0)])
    shares = torch.tensor(shares, dtype=dtype)[:, None].requires_grad_()
    widths = torch.full_like(shares, 0.3).detach().requires_grad_()
    quantiles = torch.linspace(-1, 4, len(LEVELS), dtype=dtype).repeat(len(shares), 1)
    quantiles.requires_grad_()
    mixed = HEAD._with_zeros(quantiles, shares, widths)
    mixed.square().sum().backward()
    for x in (mixed, quantiles.grad, shares.grad, widths.grad):
        assert x.isfinite().all()
    assert (quantiles.grad != 0).any(dim=0).all()
    assert (shares.grad[1:100] != 0).all()


def test_levels_are_equally_spaced_in_logit():
    levels = np.array(NetworkConfig().levels)
    assert levels[0] == pytest.approx(0.001)
    assert levels[16] == pytest.approx(0.5)
    np.testing.assert_allclose(np.diff(np.log(levels / (1 - levels)), n=2), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"width": 10}, "n_heads"),
        ({"n_layers": 0}, "n_layers"),
        ({"n_knots": 10}, "n_knots"),
        ({"tail": 0.6}, "tail"),
        ({"n_tokens": 2.5}, "n_tokens"),
    ],
)
def test_config_refuses(changes, named):
    with pytest.raises(ValueError, match=named):
        NetworkConfig(**changes)
