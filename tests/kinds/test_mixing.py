"""The distribution of means over a portfolio: against plain NumPy, and known laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sklearn_pttf._kinds import mixing as _mixing
from sklearn_pttf._kinds.mixing import (
    LEAST_WIDTH,
    N_GRID,
    Mixing,
    fit_mixing,
    log_likelihood,
    mixing_grid,
    mixing_posterior,
    mixing_quantiles,
)
from support.tensors import batched

MANY = settings(max_examples=40, deadline=None)
# eighths, so that ties happen
MEANS = arrays(np.float64, st.integers(1, 12), elements=st.integers(-80, 80).map(lambda k: k / 8))
LEVELS = torch.tensor([0.001, 0.1, 0.25, 0.5, 0.6, 0.9, 0.999], dtype=torch.float64)


def _fit(means, variances, counts=None):
    """The mixing distribution of rows, all of which count."""
    means, variances = np.broadcast_arrays(means, variances)
    counts = np.ones(means.shape, dtype=bool) if counts is None else counts
    return fit_mixing([(batched(means), batched(variances), torch.tensor(counts)[None])])


def _posterior(mixing, means, variances, seen=None):
    means, variances = np.broadcast_arrays(means, variances)
    seen = np.ones(means.shape, dtype=bool) if seen is None else np.asarray(seen)
    return mixing_posterior(mixing, batched(means), batched(variances), torch.tensor(seen)[None])


def _densities(mixing, means, variances):
    """Density of every row's mean under every point, ``(n, G)``."""
    points, width = mixing.points[0].numpy(), mixing.width[0].numpy()
    deviation = np.sqrt(np.asarray(variances)[:, None] + width**2)
    return stats.norm.pdf(np.asarray(means)[:, None], points, deviation)


def _portfolio(n, seed=0):
    rng = np.random.RandomState(seed)
    return 2 * rng.normal(size=n), rng.uniform(0.05, 2, size=n)


# ---------------------------------------------------------------- the grid


def test_grid_by_hand(monkeypatch):
    monkeypatch.setattr(_mixing, "N_GRID", 8)
    means = batched([2.0, 99.0, 0.0, -3.0, 1.0, 5.0, 5.0])
    counts = torch.tensor([[True, False, True, True, True, False, True]])
    points, width = mixing_grid(means, counts)
    # of -3, 0, 1, 2, 5: by rank those at 0, 4/3, 8/3 and 4
    by_rank = [-3, 1 / 3, 5 / 3, 5]
    even = np.sinh(np.linspace(math.asinh(-3), math.asinh(5), 4))
    expected = np.sort([*by_rank, *even])
    np.testing.assert_allclose(points[0], expected, atol=1e-12)
    gaps = np.diff(expected)
    between = (np.append(gaps[0], gaps) + np.append(gaps, gaps[-1])) / 4
    np.testing.assert_allclose(width[0], np.maximum(between, LEAST_WIDTH), atol=1e-12)


@pytest.mark.parametrize("counts", [[True, True], [True, False], [False, False]])
def test_grid_of_few_rows(counts):
    points, width = mixing_grid(batched([4.0, 4.0]), torch.tensor([counts]))
    torch.testing.assert_close(points, torch.full_like(points, 4.0 * any(counts)))
    assert (width == LEAST_WIDTH).all()


@given(MEANS)
@MANY
def test_grid_covers_the_rows(means):
    points, width = (x[0].numpy() for x in mixing_grid(batched(means), batched(means) < 99))
    assert (np.diff(points) >= 0).all()
    np.testing.assert_allclose(points[[0, -1]], [means.min(), means.max()], atol=1e-9)
    assert (width >= LEAST_WIDTH).all()


# ---------------------------------------------------------------- EM


def test_log_likelihood_is_normal():
    means, variances = _portfolio(5)
    mixing = _fit(means, variances)
    logs = log_likelihood(batched(means), batched(variances), mixing.points, mixing.width)[0]
    expected = np.log(_densities(mixing, means, variances)) + math.log(2 * math.pi) / 2
    np.testing.assert_allclose(logs, expected, atol=1e-10)


@pytest.mark.parametrize("n", [1, 3, 50])
def test_weights_are_those_of_plain_em(n):
    means, variances = _portfolio(n)
    mixing = _fit(means, variances)
    densities = _densities(mixing, means, variances)
    weights = np.full(N_GRID, 1 / N_GRID)
    for _ in range(_mixing.N_STEPS):
        joint = densities * weights
        weights = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(mixing.weights[0], weights, rtol=1e-7, atol=1e-9)


def test_every_step_makes_the_rows_more_likely(monkeypatch):
    means, variances = _portfolio(40)
    reached = []
    for n_steps in (0, 1, 2, 5, 20, 60, 500):
        monkeypatch.setattr(_mixing, "N_STEPS", n_steps)
        mixing = _fit(means, variances)
        assert mixing.weights.sum().item() == pytest.approx(1)
        marginal = _densities(mixing, means, variances) @ mixing.weights[0].numpy()
        reached.append(np.log(marginal).sum())
    assert (np.diff(reached) > 0).all()
    assert reached[-1] - reached[-2] < 0.5  # of 40 rows: the shipped number of steps is enough


@given(MEANS, st.data())
@MANY
def test_pieces_and_orders_do_not_matter(means, data):
    variances = 0.1 + means**2 / 50
    reference = _fit(means, variances)
    order = data.draw(st.permutations(range(len(means))))
    cut = data.draw(st.integers(0, len(means)))
    parts = [(means[order][a], variances[order][a]) for a in (slice(cut), slice(cut, None))]
    # the second piece has a row that does not count
    parts[1] = tuple(np.append(part, 70.0) for part in parts[1])
    pieces = [(batched(m), batched(v), batched(m) != 70) for m, v in parts]
    for left, right in zip(reference, fit_mixing(pieces), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


def test_two_points_are_found():
    rng = np.random.RandomState(0)
    true = np.where(rng.uniform(size=3000) < 0.3, 2.0, -1.0)
    mixing = _fit(true + 0.7 * rng.normal(size=3000), 0.49)
    points, weights = mixing.points[0].numpy(), mixing.weights[0].numpy()
    upper = points > 0.5
    assert weights[upper].sum() == pytest.approx(0.3, abs=0.03)
    for side, centre in ((upper, 2.0), (~upper, -1.0)):
        own = weights[side] / weights[side].sum()
        assert own @ points[side] == pytest.approx(centre, abs=0.1)
        assert math.sqrt(own @ (points[side] - centre) ** 2) < 0.35
    # a row between the two is pulled to either
    mean = _posterior(mixing, [-0.4, 1.4], 0.49).mean[0].numpy()
    np.testing.assert_allclose(mean, [-0.95, 1.85], atol=0.2)


# ---------------------------------------------------------------- posterior


def test_posterior_against_numbers():
    """Moments of the exact posterior, a mixture of normals, by quadrature on a fine grid."""
    points = torch.tensor([[-1.0, 0.5, 3.0]], dtype=torch.float64)
    width = torch.tensor([[0.3, 0.2, 0.8]], dtype=torch.float64)
    weights = torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)
    mixing = Mixing(points, width, weights)
    means, variances = np.array([0.1, 2.0, -8.0]), np.array([0.5, 1.0, 0.04])
    posterior = _posterior(mixing, means, variances, [True, True, True])
    x = np.linspace(-12, 12, 200_001)
    prior = stats.norm.pdf(x[:, None], points.numpy(), width.numpy()) @ weights[0].numpy()
    for row in range(3):
        density = prior * stats.norm.pdf(means[row], x, math.sqrt(variances[row]))
        density /= density.sum()
        mean = density @ x
        deviation = math.sqrt(density @ (x - mean) ** 2)
        assert posterior.mean[0, row].item() == pytest.approx(mean, abs=1e-6)
        assert posterior.deviation[0, row].item() == pytest.approx(deviation, abs=1e-6)
    # weights are those of the points whose normals a mean may have come from
    joint = weights[0].numpy() * _densities(mixing, means, variances)
    np.testing.assert_allclose(
        posterior.weights[0], joint / joint.sum(axis=1, keepdims=True), atol=1e-12
    )


def test_unseen_rows_have_the_distribution_itself():
    means, variances = _portfolio(30)
    mixing = _fit(means, variances)
    posterior = _posterior(mixing, [0.3, 123.0], [1.0, 1e-9], [False, False])
    points, width, weights = (x[0].numpy() for x in mixing)
    mean = weights @ points
    deviation = math.sqrt(weights @ (width**2 + (points - mean) ** 2))
    skew = weights @ (points - mean) ** 3 / deviation**3
    for row in range(2):
        np.testing.assert_allclose(posterior.weights[0, row], weights, rtol=1e-9)
        assert posterior.mean[0, row].item() == pytest.approx(mean)
        assert posterior.deviation[0, row].item() == pytest.approx(deviation)
        assert posterior.skew[0, row].item() == pytest.approx(skew)


@given(MEANS, st.floats(1e-8, 1e8))
@MANY
def test_posteriors_are_finite_and_within_the_rows(means, variance):
    mixing = _fit(means, variance)
    posterior = _posterior(mixing, np.append(means, 1e4), variance)
    assert all(x.isfinite().all() for x in (*mixing, *posterior))
    inside = posterior.mean[0, :-1].numpy()
    slack = 1e-9 + mixing.width.max().item()
    assert (inside >= means.min() - slack).all()
    assert (inside <= means.max() + slack).all()
    assert (posterior.deviation > 0).all()


def test_what_is_well_known_stays_and_what_is_not_goes_to_the_others():
    means, _ = _portfolio(200)
    mixing = _fit(means, 1e-6)
    sharp, vague = (_posterior(mixing, means, v).mean[0].numpy() for v in (1e-6, 1e6))
    assert np.abs(sharp - means).max() < 0.01
    np.testing.assert_allclose(vague, means.mean(), atol=0.01)


# ---------------------------------------------------------------- quantiles


def _edges(mixing):
    """Ends of the cells of the points, ``(G + 1,)``."""
    points, width = mixing.points[0].numpy(), mixing.width[0].numpy()
    middle = (points[1:] + points[:-1]) / 2
    return np.concatenate([[points[0] - width[0]], middle, [points[-1] + width[-1]]])


def _with_weights(mixing, weights):
    """Rows without observations, but with weights of their own."""
    n = len(weights)
    unseen = _posterior(mixing, np.zeros(n), 1.0, np.zeros(n, dtype=bool))
    return unseen._replace(weights=torch.as_tensor(np.asarray(weights))[None])


def test_quantiles_of_one_point_lie_in_its_cell():
    mixing = _fit(*_portfolio(20))
    which = [0, 17, N_GRID - 1]
    edges = _edges(mixing)
    found = mixing_quantiles(mixing, _with_weights(mixing, np.eye(N_GRID)[which]), LEVELS)[0]
    for row, k in enumerate(which):
        expected = edges[k] + LEVELS.numpy() * (edges[k + 1] - edges[k])
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_quantiles_by_hand():
    points = torch.tensor([[0.0, 2.0, 10.0]], dtype=torch.float64)
    mixing = Mixing(points, torch.ones_like(points), torch.full_like(points, 1 / 3))
    found = mixing_quantiles(mixing, _with_weights(mixing, [[0.25, 0.5, 0.25]]), LEVELS)[0, 0]
    # cells end at -1, 1, 6 and 11
    expected = np.interp(LEVELS, [0, 0.25, 0.75, 1], [-1, 1, 6, 11])
    np.testing.assert_allclose(found, expected, atol=1e-12)


@given(MEANS, st.floats(0.01, 10), st.randoms(use_true_random=False))
@MANY
def test_quantiles_rise_and_reach_their_levels(means, variance, random):
    mixing = _fit(means, variance)
    posterior = _posterior(mixing, means, variance, [random.random() < 0.7 for _ in means])
    weights = posterior.weights[0].numpy()
    found = mixing_quantiles(mixing, _with_weights(mixing, weights), LEVELS)[0].numpy()
    of_seen = mixing_quantiles(mixing, posterior, LEVELS)[0].numpy()
    for quantiles in (found, of_seen):
        assert (np.diff(quantiles, axis=1) >= -1e-12).all()
    edges = _edges(mixing)
    assert np.abs(found - of_seen).max() <= np.diff(edges).max() + 1e-9
    for row in range(len(means)):
        cdf = np.append(0.0, weights[row].cumsum())
        assert (np.interp(found[row] + 1e-9, edges, cdf) >= LEVELS.numpy() - 1e-6).all()
        assert (np.interp(found[row] - 1e-9, edges, cdf) <= LEVELS.numpy() + 1e-6).all()
