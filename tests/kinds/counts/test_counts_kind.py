"""Poisson counts: what their network promises exactly, its training and shipped weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Checkpoint, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._kinds.counts.head import cubed
from sklearn_pttf._kinds.head import mean_weights
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
)
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._training.loss import FAR_MEAN, PortfolioLoss
from sklearn_pttf.pretraining import load_recipe
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import GammaPoisson, Segments
from support.counts import SHAPES, SMALL, count_table, rough
from support.networks import random_network

NAN = np.nan


NETWORK = random_network(SMALL, scale=0.2)


@st.composite
def smooth(draw):
    """Poisson counts, some missing."""
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    n, m = draw(SHAPES)
    means = rng.choice([0.3, 3, 300]) * rng.gamma(1.5, size=(n, 1))
    X = rng.poisson(means, size=(n, m)).astype(float)
    X[rng.uniform(size=(n, m)) < 0.2] = NAN
    X[0, 0] = 2.0
    return X


def _predict(X, context=None, network=NETWORK):
    """Quantiles of rows' outcomes and of their means, ``(2, n, K)``."""
    rows = Portfolio(X, integer=True)
    context = encode_context(network, rows if context is None else Portfolio(context, integer=True))
    laws = [predict_law(network, context, rows, of_mean) for of_mean in (False, True)]
    return np.stack([law.quantiles for law in laws])


def _assert_close(left, right, tolerance):
    assert_allclose(left, right, rtol=tolerance, atol=tolerance * np.abs(right).max())


# ---------------------------------------------------------------- what holds exactly


@given(rough(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_does_not_matter(X, random):
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    reference = _predict(X)
    assert_array_equal(_predict(X[:, cells]), reference)
    _assert_close(_predict(X[rows][:, cells], X), reference[:, rows], 1e-9)


@given(smooth(), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_order_of_context_rows_does_not_matter(X, random):
    rows = random.sample(range(len(X)), len(X))
    _assert_close(_predict(X[rows]), _predict(X)[:, rows], 1e-7)


@given(smooth())
@settings(max_examples=20, deadline=None)
def test_totals_and_numbers_are_all_that_matters(X):
    wider = np.column_stack([np.full(len(X), NAN), X])
    assert_array_equal(_predict(wider), _predict(X))
    total, seen = np.nansum(X, axis=1), ~np.isnan(X)
    moved = np.where(seen, 0.0, NAN)
    moved[np.arange(len(X)), seen.argmax(axis=1)] = np.where(seen.any(axis=1), total, NAN)
    assert_array_equal(_predict(moved), _predict(X))


@given(rough())
@settings(max_examples=30, deadline=None)
def test_laws_are_monotone_finite_and_never_negative(X):
    with torch.no_grad():
        output = NETWORK(torch.tensor(X)[None], torch.ones(1))
    for law in (output, output.of_mean):
        assert law.quantiles.isfinite().all()
        assert (law.quantiles.diff() >= -1e-9 * law.quantiles.abs().amax()).all()
        assert (law.typical > 0).all()
    assert (output.of_mean.quantiles >= 0).all()
    assert (output.of_mean.mean > 0).all()
    assert (output.of_mean.mean_doubt > 0).all()
    assert (output.outcome_quantiles() >= -1 - 1e-9).all()  # what stands for 0


def test_forward_agrees_with_encoding_and_reading():
    X = torch.tensor(np.stack([count_table(0), 5 * count_table(1)]))
    in_context = torch.ones(2, 12, dtype=torch.bool)
    in_context[:, 7:] = False
    output = NETWORK(X, torch.ones(2, dtype=torch.float64), in_context)
    for b in range(2):
        context = NETWORK.encode_context([Evidence(X[b, :3]), Evidence(X[b, 3:7])], True)
        again = NETWORK.predict_rows(Evidence(X[b]), context)
        for left, right in ((again, output), (again.of_mean, output.of_mean)):
            for name in ("quantiles", "location", "scale", "grain", "typical", "zero_width"):
                left_value, right_value = getattr(left, name)[0], getattr(right, name)[b]
                torch.testing.assert_close(left_value, right_value, rtol=1e-9, atol=1e-9)


def test_only_context_rows_are_read():
    X = torch.tensor(count_table())[None]
    in_context = torch.arange(12)[None] < 7
    wild = X.clone()
    wild[0, 9:] = 1e6
    wild[0, 11] = torch.nan
    whole = torch.ones(1, dtype=torch.float64)
    left, right = (NETWORK(x, whole, in_context) for x in (X, wild))
    for a, b in ((left, right), (left.of_mean, right.of_mean)):
        torch.testing.assert_close(a.quantiles[:, :9], b.quantiles[:, :9], rtol=1e-12, atol=1e-12)
    everyone = NETWORK(wild, whole).quantiles
    assert not torch.allclose(everyone[:, :9], right.quantiles[:, :9], rtol=0.01)


def test_contexts_as_arrays():
    rows = Portfolio(count_table(), integer=True)
    context = encode_context(NETWORK, rows)
    again = context_from_arrays(context_arrays(context), NETWORK)
    for of_mean in (False, True):
        left, right = (predict_law(NETWORK, c, rows, of_mean) for c in (context, again))
        assert_array_equal(left.quantiles, right.quantiles)
        assert_array_equal(left.cdf(-0.5), 0)
        assert left.integer is not of_mean


def test_unreadable_rows_are_refused():
    with pytest.raises(ValueError, match=r"a network of counts reads none; got row 1: -2\.0"):
        encode_context(NETWORK, Portfolio(np.array([[1.0], [-2.0]]), integer=True))
    with pytest.raises(ValueError, match="observations must be whole numbers"):
        encode_context(NETWORK, Portfolio(np.array([[1.5], [2.0]])))


def test_law_of_the_mean_has_the_mean_that_is_trained():
    X = count_table()
    output = NETWORK(torch.tensor(X)[None], torch.ones(1, dtype=torch.float64))
    rows = Portfolio(X, integer=True)
    law = predict_law(NETWORK, encode_context(NETWORK, rows), rows, of_mean=True)
    expected = output.of_mean.mean * output.scale
    assert_allclose(law.mean(), expected[0].detach().numpy(), rtol=2e-3)


def test_weights_of_quantiles_in_the_mean():
    levels = np.array([0.02, 0.3, 0.5, 0.9, 0.99])
    quantiles = np.array([[5.0, 6.0, 7.0, 9.0, 9.5], [3.0, 3.0, 3.0, 3.0, 3.0]])
    weights = mean_weights(torch.tensor(levels)).numpy()
    assert weights.sum() == pytest.approx(1)
    # nothing of these lies below 0 but for a tail of probability 1e-4
    assert_allclose(quantiles @ weights, QuantileGrid(quantiles, levels).mean(), rtol=1e-3)


@pytest.mark.parametrize("shape", [0.5, 3.0, 40.0])
def test_cubes_of_normal_quantiles_are_next_to_gamma_ones(shape):
    tau = np.array([0.1, 0.5, 0.9, 0.99])
    mean, variance = torch.tensor([[6.0]]), torch.tensor([[36.0 / shape]])
    found = cubed(mean, variance, torch.tensor(stats.norm.ppf(tau))[None, None])[0, 0]
    assert_allclose(found, stats.gamma.ppf(tau, shape, scale=6 / shape), rtol=0.05, atol=0.1)


# ---------------------------------------------------------------- start and training


@pytest.mark.parametrize(
    "law", [GammaPoisson(2.0, 0.2), GammaPoisson(0.5, 0.1), Segments([1.0, 5.0], [3.0, 1.0])]
)
def test_the_start_is_near_bayes(law):
    """A network that has learned nothing, and one count a row."""
    network = DecisionNetwork.of_moments(NetworkConfig(outcomes="counts")).double()
    drawn = law.sample(1000, 1, random_state=0)
    context = encode_context(network, drawn)
    found = predict_law(network, context, drawn, of_mean=True).mean()
    bayes = law.posterior_mean(drawn)
    error = np.mean((drawn.parameters["mean"] - bayes) ** 2)
    assert np.mean((found - bayes) ** 2) < 0.03 * error
    outcome = predict_law(network, context, drawn)
    assert_allclose(outcome.mean(), found, rtol=0.3, atol=0.3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_odd_portfolios_are_finite(dtype):
    X = torch.tensor(
        [
            [[NAN, NAN, NAN], [NAN, 3.0, NAN], [NAN, NAN, NAN]],
            [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0], [5.0, 5.0, NAN]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 1e9], [0.0, 0.0, NAN]],
            [[NAN, NAN, NAN], [NAN, NAN, NAN], [NAN, NAN, NAN]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [NAN, NAN, NAN]],
        ],
        dtype=dtype,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecisionNetwork(SMALL).to(dtype)
    output = network(X, torch.ones(5, dtype=dtype))
    targets = {
        "outcomes": torch.tensor([0.0, 2.0, 1e9], dtype=dtype).expand(5, 3, 3),
        "means": torch.tensor([1e9, 0.1, 7.0], dtype=dtype).expand(5, 3),
        "expected": torch.tensor([1e6, 0.1, 7.0], dtype=dtype).expand(5, 3),
    }
    value = PortfolioLoss(Newsvendor(), SMALL.levels).to(dtype)(output, targets)
    value.backward()
    assert value.isfinite()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert all((gradients[f"head.mlp.2.{part}"] != 0).any() for part in ("weight", "bias"))


def test_squared_error_of_means_by_hand():
    output = NETWORK(torch.tensor(count_table())[None], torch.ones(1, dtype=torch.float64)).of_mean
    loss = PortfolioLoss(Newsvendor(), SMALL.levels).double()
    off = torch.linspace(-2, 2, 12, dtype=torch.float64) * output.mean_doubt
    off[0, 3] = 1e6
    found = loss._of_estimate(output, (output.mean + off) * output.scale)
    doubt = output.mean_doubt**2
    squares = off.minimum(FAR_MEAN * output.mean_doubt) ** 2
    expected = (squares / doubt).mean() / 2 + squares.mean() / doubt.mean() / 2
    torch.testing.assert_close(found, expected)
    later = {"outcomes": torch.ones(1, 12, 2).double(), "means": torch.ones(1, 12).double()}
    parts = loss._of_law(output, later["means"].unsqueeze(-1))
    parts = parts + loss._of_estimate(output, later["means"])
    whole = NETWORK(torch.tensor(count_table())[None], torch.ones(1, dtype=torch.float64))
    of_outcomes = loss(whole._replace(of_mean=None), later)
    torch.testing.assert_close(loss(whole, later), of_outcomes + parts)


# ---------------------------------------------------------------- the shipped weights


def test_the_recipe_of_the_shipped_checkpoint():
    arguments = load_recipe("poisson")
    card = Checkpoint.load("poisson").card
    assert card["network"] == arguments["network"].to_dict()
    assert card["prior"] == arguments["prior"].describe()
    for name in ("n_steps", "rows", "lr", "n_outcomes", "random_state"):
        assert card["training"][name] == arguments[name]


@pytest.mark.parametrize(
    ("law", "most"),
    [(GammaPoisson(2.0, 0.2), 1.02), (Segments([3.0, 8.0]), 1.06)],
)
def test_shipped_weights_are_near_bayes(law, most):
    """One count a row, all the way from X to decisions."""
    drawn = law.sample(500, 1, random_state=7)
    pdt = PretrainedDecisionTransformer(
        Estimation(noise="poisson"), finetune=None, device="cpu"
    ).fit(drawn.observations)
    assert pdt.checkpoint_.card["name"] == "poisson"
    found, bayes = pdt.decide(drawn.observations), law.posterior_mean(drawn)
    least = np.mean((drawn.parameters["mean"] - bayes) ** 2)
    assert np.mean((found - bayes) ** 2) < (most - 1) * least
