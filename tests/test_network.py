"""What the network promises exactly, whatever its weights."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf._network import Attention, DecisionNetwork, NetworkConfig
from sklearn_pttf._network_use import encode_context, predict_law

SMALL = NetworkConfig(width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9)


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


def _observations(elements):
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 6))
    cells = st.one_of(elements, st.just(np.nan))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=cells))


AMOUNTS = _observations(st.floats(0.01, 1e6))
COUNTS = _observations(st.integers(0, 10_000).map(float))


def _predict(X, integer, rows=None, network=NETWORK):
    context = encode_context(network, X, integer)
    return predict_law(network, context, X if rows is None else rows).quantiles


@given(COUNTS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_does_not_matter(X, random):
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    reference = _predict(X, True)
    np.testing.assert_array_equal(_predict(X, True, X[:, cells]), reference)
    shuffled = _predict(X[rows][:, cells], True, X)
    np.testing.assert_allclose(shuffled, reference, rtol=1e-9, atol=1e-9)


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_quantiles_are_monotone(X):
    assert (np.diff(_predict(X, True), axis=1) >= 0).all()


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
        context = NETWORK.encode_context([X[b, :3], X[b, 3:7]], True)
        again = NETWORK.predict_rows(X[b], context)
        torch.testing.assert_close(again.quantiles[0], output.quantiles[b], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(again.scale[0], output.scale[b])


def test_attention_merges_its_parts():
    torch.manual_seed(0)
    attention = Attention(8, 2).double()
    queries = torch.randn(1, 3, 8, dtype=torch.float64)
    keys = torch.randn(1, 10, 8, dtype=torch.float64)
    parts = [attention.partial(queries, keys[:, :4]), attention.partial(queries, keys[:, 4:])]
    merged = attention.finish(Attention.merge(*parts))
    torch.testing.assert_close(merged, attention(queries, keys))


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
