"""What a portfolio's counts say of the distribution of its Poisson means, in four ways.

A gamma law of unknown shape, two means, three means, and a distribution without a shape: exact
sums over rows, nothing learned. Plain torch functions; shapes are written ``(B, N, G)``: ``B``
portfolios of ``N`` rows, ``G`` shapes, means or grid points. Means are relative to the portfolio's,
and a row's exposure is its number of observations times that: counts are Poisson with the product
of mean and exposure.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.mixing import (
    Mixing,
    MixingPosterior,
    mixing_grid,
    posterior_moments,
    weights_of_points,
)
from sklearn_pttf._utils.mixtures import expected_sums
from sklearn_pttf._utils.rounding import TINY_SINGLE

N_SHAPES = 40  # a factor of 1.4 apart
SHAPE_RANGE = (0.05, 2e4)  # of the gamma law: relative spread of means from 4.5 to 0.007
N_SEGMENTS = (2, 3)  # means of the laws of few
MOST_SEGMENTS = max(N_SEGMENTS)
N_SEGMENT_STEPS = 50  # of EM, as many in training as in use
APART = 0.3  # between logs of the means that EM begins with
NEAR_ZERO = 0.1  # added to these
LEAST_MEAN = 1e-3  # of a segment or point, over the portfolio's: a row with counts is possible
LEAST_EXPOSURE = 1e-30  # that totals are divided by, where there is none
LEAST_WEIGHT = 1e-30  # of a segment
LARGEST_SHAPE = 1e5  # of the gamma law around a grid point; more would cost digits
LAWS = ("gamma", "two_means", "three_means", "without_shape")  # in this order everywhere
FREE = (1, 3, 5, 8)  # numbers that are fitted; of the last by experience
COST_OF_FREE = 2.0  # log likelihood that each of them has to gain


class SeenCounts(NamedTuple):
    """What rows show; each of shape ``(B, N)``."""

    total: torch.Tensor  # of counts
    exposure: torch.Tensor
    counts: torch.Tensor  # whether the row counts


def known_shapes(like):
    """Shapes of gamma laws, evenly spaced on the log scale; ``(G,)``."""
    low, high = torch.tensor(SHAPE_RANGE, dtype=like.dtype, device=like.device).log()
    return torch.linspace(low, high, N_SHAPES, dtype=like.dtype, device=like.device).exp()


def gamma_log_likelihood(evidence, shape, mean):
    """Of totals of rows whose means have a gamma law, but for what hangs on rows only.

    Parameters
    ----------
    evidence : SeenCounts

    shape, mean : Tensor of shape (B, 1, G)
        Of the gamma laws.
    """
    total, exposure = evidence.total.unsqueeze(-1), evidence.exposure.unsqueeze(-1)
    rate = shape / mean + exposure
    return (
        torch.lgamma(total + shape)
        - torch.lgamma(shape)
        - shape * torch.log1p(exposure * mean / shape)
        - total * rate.log()
    )


def poisson_log_likelihood(evidence, mean):
    """Of totals of rows with given means ``(B, 1, G)``, but for what hangs on rows only."""
    return evidence.total.unsqueeze(-1) * mean.log() - evidence.exposure.unsqueeze(-1) * mean


def _summed(pieces, log_likelihoods):
    """Log likelihood of all rows that count; ``(B, ...)``."""
    return sum(
        (logs * evidence.counts.view(*evidence.counts.shape, *[1] * (logs.dim() - 2))).sum(1)
        for evidence, logs in zip(pieces, log_likelihoods, strict=True)
    )


# ------------------------------------------------------------------ a gamma law


def fit_gamma(pieces):
    """How likely each shape of a gamma law of mean 1 is, ``(B, G)``, and the fit ``(B, 1)``."""
    shapes = known_shapes(pieces[0].total)
    logs = [gamma_log_likelihood(each, shapes, torch.ones_like(shapes)) for each in pieces]
    by_shape = _summed(pieces, logs)
    fit = by_shape.logsumexp(-1, keepdim=True) - torch.tensor(float(N_SHAPES)).log()
    return by_shape.softmax(-1), fit


def gamma_posterior(evidence, likely):
    """Mean and deviation of rows' means, averaged over shapes; ``(B, N)`` each."""
    shapes, likely = known_shapes(likely), likely.unsqueeze(-2)
    rate = shapes + evidence.exposure.unsqueeze(-1)
    means = (shapes + evidence.total.unsqueeze(-1)) / rate
    mean = (likely * means).sum(-1)
    variance = (likely * ((means - mean.unsqueeze(-1)) ** 2 + means / rate)).sum(-1)
    return mean, variance.sqrt()


# ------------------------------------------------------------------ a few means


def fit_segments(pieces):
    """Two means, and three, that make rows likely, by EM.

    Returns
    -------
    means, weights : Tensor of shape (B, 2, 3)
        Of the two there is a third that has no weight.

    fit : Tensor of shape (B, 2)
    """
    means = _first_means(pieces)
    weights = means.new_tensor([[1 / k] * k + [0.0] * (MOST_SEGMENTS - k) for k in N_SEGMENTS])
    weights = weights.expand_as(means)
    unused = weights == 0
    values = [torch.stack(each, dim=-2) * each.counts.unsqueeze(-2) for each in pieces]
    values = [each.unsqueeze(1) for each in values]  # (B, 1, 3, N), alike for two and three
    for _ in range(N_SEGMENT_STEPS):
        logs = [_log_likelihoods(each, means).transpose(1, 2) for each in pieces]
        likelihoods = [(each - each.amax(-1, keepdim=True)).exp() for each in logs]
        sums = expected_sums(likelihoods, weights.clamp_min(LEAST_WEIGHT), values)
        total, exposure, rows = sums.unbind(-2)
        means = (total / exposure.clamp_min(TINY_SINGLE)).clamp_min(LEAST_MEAN)
        means = torch.where(unused, means[..., 1:2], means)  # by itself it would go anywhere
        weights = rows / rows.sum(-1, keepdim=True).clamp_min(1)
    logs = [_log_shares(each, means, weights).logsumexp(-1) for each in pieces]
    return means, weights, _summed(pieces, logs)


def _first_means(pieces):
    """Where EM begins: quantiles of rows' means, drawn apart; ``(B, 2, 3)``."""
    total, exposure, counts = (torch.cat(part, dim=-1) for part in zip(*pieces, strict=True))
    means = torch.where(counts > 0, total / exposure.clamp_min(LEAST_EXPOSURE), torch.inf)
    ordered = means.sort(dim=-1).values
    n_rows = counts.sum(-1, keepdim=True).long()
    first = []
    for k in N_SEGMENTS:
        place = torch.arange(MOST_SEGMENTS, device=total.device).clamp_max(k - 1)
        rank = (2 * place + 1) * n_rows // (2 * k)
        middle = ordered.gather(-1, rank).nan_to_num(posinf=1.0)
        apart = (APART * (place.to(total.dtype) - (k - 1) / 2)).exp()
        first.append((middle + NEAR_ZERO) * apart)
    return torch.stack(first, dim=1)


def _log_likelihoods(evidence, means):
    """Of rows in each segment; ``(B, N, 2, 3)``."""
    flat = poisson_log_likelihood(evidence, means.flatten(1).unsqueeze(1))
    return flat.view(*flat.shape[:2], *means.shape[1:])


def _log_shares(evidence, means, weights):
    """Log likelihood of rows and each segment; ``(B, N, 2, 3)``."""
    logs = _log_likelihoods(evidence, means)
    return logs + weights.clamp_min(LEAST_WEIGHT).log().unsqueeze(1)


def segment_posterior(evidence, means, weights):
    """Mean and deviation of rows' means under two, and three, segments; ``(B, N, 2)`` each."""
    shares = _log_shares(evidence, means, weights).softmax(-1)
    mean = (shares * means.unsqueeze(1)).sum(-1)
    variance = (shares * (means.unsqueeze(1) - mean.unsqueeze(-1)) ** 2).sum(-1)
    return mean, variance.sqrt()


# ------------------------------------------------------------------ a distribution without a shape


def fit_without_shape(pieces):
    """`Mixing` of means, gamma laws around its points, and the fit ``(B, 1)``."""
    total, exposure, counts = (torch.cat(part, dim=-1) for part in zip(*pieces, strict=True))
    means = total / exposure.clamp_min(LEAST_EXPOSURE)
    points, width = mixing_grid(means, counts > 0, (torch.sqrt, torch.square))
    points = points.clamp_min(LEAST_MEAN)
    width = width.minimum(0.5 * points)
    logs = [_at_points(each, points, width) for each in pieces]
    mixing = Mixing(points, width, weights_of_points(logs, [each.counts for each in pieces]))
    marginal = [(each + mixing.weights.log().unsqueeze(1)).logsumexp(-1) for each in logs]
    return mixing, _summed(pieces, marginal).unsqueeze(-1)


def _shape_of(points, width):
    """Of the gamma law around each point."""
    return ((points / width) ** 2).clamp_max(LARGEST_SHAPE)


def _at_points(evidence, points, width):
    shape = _shape_of(points, width)
    return gamma_log_likelihood(evidence, shape.unsqueeze(1), points.unsqueeze(1))


def posterior_without_shape(evidence, mixing):
    """What the distribution says of rows' means; `MixingPosterior`."""
    points, shape = mixing.points.unsqueeze(1), _shape_of(mixing.points, mixing.width).unsqueeze(1)
    logs = _at_points(evidence, mixing.points, mixing.width)
    weights = (logs + mixing.weights.log().unsqueeze(1)).softmax(-1)
    rate = shape / points + evidence.exposure.unsqueeze(-1)
    centres = (shape + evidence.total.unsqueeze(-1)) / rate
    return posterior_moments(weights, centres, centres / rate)


# ------------------------------------------------------------------ all four


class FourLaws(NamedTuple):
    """What is fitted to a portfolio; tensors of shape ``(B, G)``."""

    shapes: torch.Tensor  # how likely each shape of a gamma law is
    segment_means: torch.Tensor  # of two segments and of three, one after the other
    segment_weights: torch.Tensor
    points: torch.Tensor  # of the distribution without a shape
    width: torch.Tensor
    weights: torch.Tensor
    fits: torch.Tensor  # log likelihood of each, less what its free numbers cost; the best has 0


class FourPosteriors(NamedTuple):
    """What each of the four says of rows' means; the last axis of ``(B, N, 4)``."""

    means: torch.Tensor
    deviations: torch.Tensor
    without_shape: MixingPosterior


@torch.no_grad()
def fit_four_laws(pieces):
    """`FourLaws` of a list of `SeenCounts`, computed in float64."""
    dtype = pieces[0].total.dtype
    pieces = [SeenCounts(*(part.double() for part in each)) for each in pieces]
    shapes, gamma_fit = fit_gamma(pieces)
    means, weights, segment_fits = fit_segments(pieces)
    mixing, mixing_fit = fit_without_shape(pieces)
    fits = torch.cat([gamma_fit, segment_fits, mixing_fit], dim=-1)
    fits = fits - COST_OF_FREE * fits.new_tensor(FREE)
    fits = fits - fits.amax(-1, keepdim=True)
    found = FourLaws(shapes, means.flatten(1), weights.flatten(1), *mixing, fits)
    return FourLaws(*(part.to(dtype) for part in found))


@torch.no_grad()
def four_posteriors(evidence, laws):
    """`FourPosteriors` of rows, computed in float64."""
    dtype = evidence.total.dtype
    evidence = SeenCounts(*(part.double() for part in evidence))
    laws = FourLaws(*(part.double() for part in laws))
    segments = (part.unflatten(-1, (-1, MOST_SEGMENTS)) for part in laws[1:3])
    gamma = gamma_posterior(evidence, laws.shapes)
    few = segment_posterior(evidence, *segments)
    free = posterior_without_shape(evidence, Mixing(laws.points, laws.width, laws.weights))
    means, deviations = (
        torch.cat([one.unsqueeze(-1), two, three.unsqueeze(-1)], dim=-1).to(dtype)
        for one, two, three in zip(gamma, few, free[:2], strict=True)
    )
    return FourPosteriors(means, deviations, MixingPosterior(*(part.to(dtype) for part in free)))
