"""Poisson counts: what their network promises exactly, its starting points, its prior."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from sklearn_pttf import Checkpoint, CountPrior, Portfolio, PretrainedDecisionTransformer, pretrain
from sklearn_pttf._kinds import mixing as em
from sklearn_pttf._kinds.counts import mixing
from sklearn_pttf._kinds.counts.head import cubed
from sklearn_pttf._kinds.counts.units import (
    count_rows,
    count_units,
    first_logits,
    is_alone,
    posteriors_of,
)
from sklearn_pttf._kinds.head import mean_weights
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
)
from sklearn_pttf._training.loss import FAR_MEAN, PortfolioLoss
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.pretraining import load_recipe
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import GammaPoisson, Segments

NAN = np.nan
SMALL = NetworkConfig(
    width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9, outcomes="counts"
)


def _random_network(seed=0):
    """A network whose weights are far from their start, so that every part matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(SMALL).double().eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return network


NETWORK = _random_network()
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 5))
COUNT = st.one_of(st.integers(0, 6), st.integers(0, 10**6), st.just(NAN))


@st.composite
def rough(draw):
    """Any counts, with ties, outliers and empty rows."""
    return draw(arrays(np.float64, draw(SHAPES), elements=COUNT))


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


def _table(seed=0, n=12, m=4):
    X = np.random.RandomState(seed).poisson(np.linspace(0.5, 9, n)[:, None], (n, m)).astype(float)
    X[3, 1] = NAN
    return X


def test_forward_agrees_with_encoding_and_reading():
    X = torch.tensor(np.stack([_table(0), 5 * _table(1)]))
    in_context = torch.ones(2, 12, dtype=torch.bool)
    in_context[:, 7:] = False
    output = NETWORK(X, torch.ones(2, dtype=torch.float64), in_context)
    for b in range(2):
        context = NETWORK.encode_context([(X[b, :3], None), (X[b, 3:7], None)], True)
        again = NETWORK.predict_rows((X[b], None), context)
        for left, right in ((again, output), (again.of_mean, output.of_mean)):
            for name in ("quantiles", "location", "scale", "grain", "typical", "zero_width"):
                left_value, right_value = getattr(left, name)[0], getattr(right, name)[b]
                torch.testing.assert_close(left_value, right_value, rtol=1e-9, atol=1e-9)


def test_only_context_rows_are_read():
    X = torch.tensor(_table())[None]
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
    rows = Portfolio(_table(), integer=True)
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
    X = _table()
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


# ---------------------------------------------------------------- the four distributions


def _evidence(total, exposure, counts=None):
    total, exposure = np.broadcast_arrays(np.asarray(total, float), np.asarray(exposure, float))
    counts = np.ones(total.shape) if counts is None else counts
    return mixing.Evidence(*(torch.tensor(np.array(x))[None] for x in (total, exposure, counts)))


def _relative_likelihood(total, exposure, means):
    """Poisson likelihood at given means, as the largest is 1 in every row."""
    logs = stats.poisson.logpmf(total[:, None], exposure[:, None] * means)
    return np.exp(logs - logs.max(axis=1, keepdims=True))


def _drawn(n, seed=0):
    rng = np.random.RandomState(seed)
    exposure = rng.uniform(0.5, 20, size=n)
    return rng.poisson(exposure * rng.gamma(2, 0.5, size=n)).astype(float), exposure


def test_gamma_likelihood_is_negative_binomial():
    total, exposure = _drawn(6)
    shape, mean = torch.tensor([[[0.3, 2.0, 500.0]]]).double(), torch.tensor([[[1.0, 0.2, 3.0]]])
    found = mixing.gamma_log_likelihood(_evidence(total, exposure), shape, mean.double())[0]
    k, m = shape[0].numpy(), mean[0].double().numpy()
    expected = stats.nbinom.logpmf(total[:, None], k, k / (k + m * exposure[:, None]))
    assert_allclose(found.diff(dim=-1), np.diff(expected, axis=1), rtol=1e-6, atol=1e-6)


def test_gamma_law_of_unknown_shape():
    """Averages over shapes, each with the posterior of the textbook."""
    total, exposure = _drawn(30)
    evidence = _evidence(total, exposure)
    likely, fit = mixing.fit_gamma([evidence])
    shapes = np.geomspace(*mixing.SHAPE_RANGE, mixing.N_SHAPES)
    rate = shapes[:, None] / (shapes[:, None] + exposure)
    logs = stats.nbinom.logpmf(total, shapes[:, None], rate).sum(axis=1)
    weights = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    assert_allclose(likely[0], weights, rtol=1e-6, atol=1e-12)
    a, b = shapes[:, None] + total, shapes[:, None] + exposure
    mean, deviation = (x[0].numpy() for x in mixing.gamma_posterior(evidence, likely))
    assert_allclose(mean, weights @ (a / b), rtol=1e-6)
    square = weights @ (a / b**2 + (a / b) ** 2)
    assert_allclose(deviation, np.sqrt(square - (weights @ (a / b)) ** 2), rtol=1e-6)
    # all fits leave out the same terms of the rows
    left_out = (total * np.log(exposure) + stats.poisson.logpmf(total, 1.0) + 1.0).sum()
    of_rows = np.log(np.mean(np.exp(logs - logs.max()))) + logs.max()
    assert fit.item() == pytest.approx(of_rows - left_out, rel=1e-6)


@pytest.mark.parametrize("n", [1, 3, 60])
def test_segments_are_those_of_plain_em(n):
    total, exposure = _drawn(n)
    means, weights, fits = (x[0].numpy() for x in mixing.fit_segments([_evidence(total, exposure)]))
    ordered = np.sort(total / exposure)
    for row, k in enumerate(mixing.N_SEGMENTS):
        rank = np.minimum((np.arange(k) + 0.5) / k * n, n - 1).astype(int)
        own = (ordered[rank] + mixing.NEAR_ZERO) * np.exp(
            mixing.APART * (np.arange(k) - (k - 1) / 2)
        )
        share = np.full(k, 1 / k)
        for _ in range(mixing.N_SEGMENT_STEPS):
            joint = _relative_likelihood(total, exposure, own) * share
            joint /= joint.sum(axis=1, keepdims=True)
            share = joint.mean(axis=0)
            own = np.maximum(total @ joint / (exposure @ joint), mixing.LEAST_MEAN)
        assert_allclose(means[row, :k], own, rtol=1e-6)
        assert_allclose(weights[row, :k], share, rtol=1e-6, atol=1e-12)
        assert (weights[row, k:] < 1e-20).all()
        logs = stats.poisson.logpmf(total[:, None], exposure[:, None] * own)
        left_out = total * np.log(exposure) + stats.poisson.logpmf(total, 1.0) + 1.0
        of_rows = np.log(np.exp(logs) @ share) - left_out
        assert fits[row] == pytest.approx(of_rows.sum(), rel=1e-6, abs=1e-6)


def test_segments_are_found():
    portfolio = Segments([2.0, 20.0], [0.7, 0.3]).sample(3000, 1, random_state=0)
    total = portfolio.observations[:, 0]
    evidence = _evidence(total / 1.0, 1.0)
    means, weights, _ = mixing.fit_segments([evidence])
    assert_allclose(means[0, 0, :2], [2, 20], rtol=0.05)
    assert_allclose(weights[0, 0, :2], [0.7, 0.3], atol=0.02)
    mean, deviation = mixing.segment_posterior(_evidence([1.0, 8.0, 30.0], 1.0), means, weights)
    low, high = means[0, 0, :2].numpy()
    share = weights[0, 0, :2].numpy() * stats.poisson.pmf(8, [low, high])
    assert_allclose(mean[0, 1, 0], (share @ [low, high]) / share.sum(), rtol=1e-6)
    assert_allclose(mean[0, [0, 2], 0], [low, high], rtol=1e-3)
    assert (deviation[0, [0, 2], 0] < 0.1).all()
    assert deviation[0, 1, 0] > 1


@pytest.mark.parametrize("n", [2, 50])
def test_weights_without_a_shape_are_those_of_plain_em(n):
    """Nonparametric maximum likelihood with Poisson likelihoods, step by step."""
    total, exposure = _drawn(n)
    found, _ = mixing.fit_without_shape([_evidence(total, exposure)])
    points, width = found.points[0].numpy(), found.width[0].numpy()
    assert (points > 0).all()
    assert (width <= points / 2 + 1e-12).all()
    shape = np.minimum((points / width) ** 2, mixing.LARGEST_SHAPE)
    rate = shape / (shape + exposure[:, None] * points)
    likelihoods = stats.nbinom.pmf(total[:, None], shape, rate)
    weights = np.full(em.N_GRID, 1 / em.N_GRID)
    for _ in range(em.N_STEPS):
        joint = likelihoods * weights
        weights = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
    assert_allclose(found.weights[0], weights, rtol=1e-5, atol=1e-9)


def test_posterior_without_a_shape_against_numbers():
    points = torch.tensor([[0.3, 1.0, 4.0]], dtype=torch.float64)
    width = torch.tensor([[0.1, 0.02, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)
    total, exposure = np.array([0.0, 3.0, 9.0]), np.array([0.0, 2.0, 2.5])
    found = mixing.posterior_without_shape(
        _evidence(total, exposure), em.Mixing(points, width, weights)
    )
    shape = (points / width).numpy() ** 2
    laws = [stats.gamma(a, scale=p / a) for a, p in zip(shape[0], points[0].numpy(), strict=True)]
    for row in range(3):

        def density(x, power, row=row):
            prior = sum(w * law.pdf(x) for w, law in zip(weights[0].numpy(), laws, strict=True))
            return x**power * prior * x ** total[row] * math.exp(-exposure[row] * x)

        known = {"points": [0.2, 0.3, 0.95, 1.0, 1.05, 3.0, 5.0], "limit": 500}
        none, first, second = (
            integrate.quad(density, 0, 14, args=(power,), **known)[0] for power in range(3)
        )
        assert found.mean[0, row].item() == pytest.approx(first / none, rel=1e-4)
        deviation = math.sqrt(second / none - (first / none) ** 2)
        assert found.deviation[0, row].item() == pytest.approx(deviation, rel=1e-3)


def test_the_law_that_fits_is_where_the_network_starts():
    for law, best in ((GammaPoisson(2.0, 0.2), 0), (Segments([2.0, 20.0]), 1)):
        rows = count_rows(torch.tensor(law.sample(1000, 1, random_state=0).observations)[None])
        units = count_units([rows], [torch.ones_like(rows.count)])
        assert units.fits[0].argmax() == best
        assert units.fits.max() == 0
        assert first_logits(units).softmax(-1)[0, 0, best] > 0.5


@given(rough())
@settings(max_examples=30, deadline=None)
def test_units_and_posteriors_are_finite(X):
    rows = count_rows(torch.tensor(X)[None])
    units = count_units([rows], [torch.ones_like(rows.count)])
    assert all(x.isfinite().all() for x in units)
    assert (units.scale > 0).all()
    found = posteriors_of(rows, units)
    assert found.means.isfinite().all()
    assert (found.means > 0).all()
    assert (found.deviations >= 0).all()


def test_units_by_hand():
    """Buhlmann and Straub's estimates, of rows with as many observations each."""
    X = np.array([[3.0, 5.0], [0.0, 2.0], [10.0, 8.0], [NAN, NAN]])
    rows = count_rows(torch.tensor(X)[None])
    units = count_units([rows], [torch.ones_like(rows.count)])
    assert units.scale.item() == pytest.approx(14 / 3)
    between = np.var([4, 1, 9], ddof=1) - 14 / 3 / 2
    assert units.level_variance.item() == pytest.approx(between / (14 / 3) ** 2)
    assert units.log_rows.item() == pytest.approx(math.log(3))
    assert units.log_depth.item() == pytest.approx(math.log(1 + 6 / 4))


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
    output = NETWORK(torch.tensor(_table())[None], torch.ones(1, dtype=torch.float64)).of_mean
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
    whole = NETWORK(torch.tensor(_table())[None], torch.ones(1, dtype=torch.float64))
    of_outcomes = loss(whole._replace(of_mean=None), later)
    torch.testing.assert_close(loss(whole, later), of_outcomes + parts)


# ---------------------------------------------------------------- the prior


def _means_of(family, **changes):
    prior = CountPrior(mean_families=(family,), level=5.0, **changes)
    drawn = prior.sample(20, n_instances=400, n_observations=1, random_state=0)
    return np.stack([each.parameters["mean"] for each in drawn])


def test_shapes_of_means():
    n_values = [len(np.unique(row)) for row in _means_of("segments", tight_share=1.0)]
    assert min(n_values) >= 2 or 1 in n_values  # a segment may have nobody in it
    assert max(n_values) <= 5
    assert np.mean(np.array(n_values) <= 3) > 0.5
    loose = _means_of("segments", tight_share=0.0)
    assert all(len(np.unique(row)) > 100 for row in loose)
    gamma = _means_of("gamma", spread=0.5)
    assert_allclose(gamma.mean(), 5.0, rtol=0.05)
    assert_allclose(gamma.std(axis=1).mean() / 5, math.sqrt(math.expm1(0.25)), rtol=0.05)


def test_counts_are_poisson():
    prior = CountPrior(level=20.0, spread=0.001, mean_families=("lognormal",), ragged_share=0)
    drawn = prior.sample(n_instances=2000, n_observations=5, random_state=0)[0]
    assert drawn.integer
    assert not drawn.real
    assert drawn.observations.mean() == pytest.approx(20, rel=0.01)
    assert drawn.observations.var() == pytest.approx(20, rel=0.05)
    assert drawn.outcomes.var() == pytest.approx(20, rel=0.1)


def test_expected_means_by_hand(monkeypatch):
    """Two others: weights of three means by the Poisson likelihood of what was seen."""
    from sklearn_pttf._kinds.counts import prior as _count_prior

    observations = torch.tensor([[[2.0, NAN, 1.0], [NAN, NAN, NAN]]])
    mean, others = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 6.0]])
    found = _count_prior._expected_means(observations, mean, others)[0]
    means = np.array([1.0, 2.0, 6.0])
    weights = stats.poisson.pmf(3, 2 * means)
    assert found[0].item() == pytest.approx(weights @ means / weights.sum(), rel=1e-6)
    assert found[1].item() == pytest.approx(11 / 3, rel=1e-6)  # of a row that shows nothing


def test_expected_means_have_the_expectation_of_the_mean():
    prior = CountPrior(level=(0.5, 20.0), spread=0.5, n_observations=1)
    drawn = prior.sample(200, n_instances=50, random_state=0)
    mean, expected = (
        np.stack([each.parameters[name] for each in drawn]) for name in ("mean", "expected_mean")
    )
    relative = (mean - expected) / mean.mean(axis=1, keepdims=True)
    by_portfolio = relative.mean(axis=1)
    assert abs(by_portfolio.mean()) < 3 * by_portfolio.std() / math.sqrt(200)
    assert (expected.std(axis=1) < mean.std(axis=1)).mean() > 0.95


def test_portfolios_often_have_one_observation():
    for share, at_least, at_most in ((1.0, 1.0, 1.0), (0.0, 0.02, 0.3), (0.5, 0.5, 0.7)):
        hyperprior = CountPrior(single_share=share).hyperprior()
        rng = np.random.RandomState(0)
        ones = np.mean([hyperprior.draw_shape(rng)[1] == 1 for _ in range(400)])
        assert at_least - 0.06 <= ones <= at_most + 0.06


def test_bad_settings_of_the_prior():
    with pytest.raises(ValueError, match=r"mean_families must be a list of.*gamma, lognormal"):
        CountPrior(mean_families=("normal",)).sample()
    with pytest.raises(ValueError, match="tight_share must be a share between 0 and 1; got 2"):
        CountPrior(tight_share=2).sample()


def test_batches_tell_what_is_expected():
    inputs, targets = PortfolioStream(CountPrior(), (), 100, 3, 0, "cpu").batch(1)
    assert set(inputs) == {"observations", "whole", "in_context"}
    assert set(targets) == {"outcomes", "means", "expected"}
    assert targets["expected"].shape == targets["means"].shape


def test_pretraining_on_counts():
    made = pretrain(network=SMALL, n_steps=2, rows=60, n_outcomes=2, device="cpu", verbose=0)
    assert made.card["prior"] == CountPrior().describe()
    assert CountPrior.from_description(made.card["prior"]).describe() == made.card["prior"]
    fitted = PretrainedDecisionTransformer(
        Estimation(noise="poisson"), checkpoint=made, finetune=None, device="cpu"
    ).fit(_table())
    assert (fitted.decide(_table()) > 0).all()
    with pytest.raises(ValueError, match="draws outcomes of the kind 'counts'"):
        pretrain(CountPrior(), network=NetworkConfig(), n_steps=1, verbose=0)


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


# ---------------------------------------------------------------- rows far out


@pytest.mark.parametrize("factor", [1e2, 1e3, 1e6])
@pytest.mark.parametrize("n", [1, 4])
def test_a_row_far_out_is_alone(n, factor):
    """It does not move the others, and has its own mean."""
    drawn = GammaPoisson(2.0, 0.2).sample(50, n, random_state=0).observations
    drawn[0] = 10.0
    problem = Estimation(noise="poisson")
    before = PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(drawn)
    drawn[0] *= factor
    after = PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(drawn)
    found, info = after.decide(drawn, return_info=True)
    assert_allclose(found[1:], before.decide(drawn)[1:], rtol=0.05)
    assert found[0] == pytest.approx(10 * factor, rel=0.02)
    assert info.lower[0] < 10 * factor < info.upper[0]
    assert info.upper[0] - info.lower[0] < 5 * math.sqrt(10 * factor)


def test_means_out_of_reach_by_hand():
    """Nine rows of 2 and 4 and one of 1,000: the mean of the smallest nine is their reach."""
    X = np.array([[2.0]] * 6 + [[5.0]] * 3 + [[1000.0]])
    rows = count_rows(torch.tensor(X)[None])
    units = count_units([rows], [torch.ones_like(rows.count)])
    assert units.scale.item() == pytest.approx(3)
    assert (units.reach * units.scale).item() == pytest.approx(30 * (3 + 1 / 10))
    assert is_alone(rows, units)[0].tolist() == [False] * 9 + [True]
    found = posteriors_of(rows, units)
    assert_allclose(found.means[0, -1] * units.scale.item(), 1000, rtol=1e-9)
    assert_allclose(found.deviations[0, -1] * units.scale.item(), math.sqrt(1000), rtol=1e-9)
    few = count_rows(torch.tensor(X[4:])[None])
    assert not is_alone(few, count_units([few], [torch.ones_like(few.count)])).any()


def test_rows_count_for_so_much_exposure_at_most():
    X = np.full((5, 100), NAN)
    X[:4, :1], X[4] = 2.0, 6.0
    rows = count_rows(torch.tensor(X)[None])
    units = count_units([rows], [torch.ones_like(rows.count)])
    thirty = np.where(np.arange(100) < 30, X, NAN)
    alike = count_units([count_rows(torch.tensor(thirty)[None])], [torch.ones_like(rows.count)])
    for left, right in zip(units, alike, strict=True):
        torch.testing.assert_close(left, right)
