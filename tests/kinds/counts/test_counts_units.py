"""Poisson counts: the distributions that a network starts from, and rows far out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.testing import assert_allclose
from scipy import integrate, stats

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._kinds import mixing as em
from sklearn_pttf._kinds.counts import mixing
from sklearn_pttf._kinds.counts.units import (
    count_rows,
    count_units,
    first_logits,
    is_alone,
    posteriors_of,
)
from sklearn_pttf.problems import Estimation
from sklearn_pttf.testing import GammaPoisson, Segments
from support.counts import rough

NAN = np.nan

# ---------------------------------------------------------------- the four distributions


def _evidence(total, exposure, counts=None):
    total, exposure = np.broadcast_arrays(np.asarray(total, float), np.asarray(exposure, float))
    counts = np.ones(total.shape) if counts is None else counts
    return mixing.SeenCounts(*(torch.tensor(np.array(x))[None] for x in (total, exposure, counts)))


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
