"""The distribution of means over a portfolio, without a shape: nonparametric empirical Bayes.

Kiefer and Wolfowitz' maximum-likelihood mixing distribution, by a fixed number of EM steps on a
grid. It is where the network starts from: exact sums over rows, nothing learned. Plain torch
functions; shapes are written ``(B, N, G)``: ``B`` portfolios of ``N`` rows, ``G`` grid points.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._utils.mixtures import mixing_weights

N_GRID = 64  # points; half of them by rank, half evenly spaced on the scale of asinh
N_STEPS = 60  # of EM, as many in training as in use: a network learns with what they leave
LEAST_WIDTH = 1e-3  # scales
LEAST_SPREAD = 1e-20  # cubed scales, that a third moment is divided by
LEAST_WEIGHT = 1e-12  # of a point, whose log is taken


class Mixing(NamedTuple):
    """A distribution of means: normal around each point of a grid."""

    points: torch.Tensor  # (B, G), increasing
    width: torch.Tensor  # (B, G), standard deviation around a point
    weights: torch.Tensor  # (B, G)


class MixingPosterior(NamedTuple):
    """What a mixing distribution says of rows' means, given what they show."""

    mean: torch.Tensor  # (B, N)
    deviation: torch.Tensor  # (B, N)
    skew: torch.Tensor  # (B, N)
    weights: torch.Tensor  # (B, N, G), of the points


def mixing_grid(means, in_context, even=(torch.asinh, torch.sinh)):
    """Points of the grid, and the width around each.

    Parameters
    ----------
    means : Tensor of shape (B, N)

    in_context : bool Tensor of shape (B, N)
        Rows that count.

    even : pair of callable, default=(torch.asinh, torch.sinh)
        To the scale on which half of the points are evenly spaced, and back.
    """
    ordered = torch.where(in_context, means, torch.inf).sort(dim=-1).values
    last = (in_context.sum(-1, keepdim=True) - 1).clamp_min(0)
    ordered = torch.where(ordered < torch.inf, ordered, 0.0)
    share = torch.linspace(0, 1, N_GRID // 2, dtype=means.dtype, device=means.device)
    position = last * share
    lower = position.floor().long()
    upper = torch.minimum(lower + 1, last)
    by_rank = torch.lerp(ordered.gather(-1, lower), ordered.gather(-1, upper), position - lower)
    return filled_grid(by_rank, even)


def filled_grid(by_rank, even, least_width=LEAST_WIDTH):
    """Points by rank with as many that are evenly spaced between their ends, and all widths.

    Parameters
    ----------
    by_rank : Tensor of shape (B, G / 2)
        In rising order.

    even : pair of callable
        As of `mixing_grid`.

    least_width : float or Tensor of shape (B, 1), default=0.001
    """
    there, back = even
    share = torch.linspace(0, 1, by_rank.shape[-1], dtype=by_rank.dtype, device=by_rank.device)
    ends = there(by_rank[..., [0, -1]])
    between = back(ends[..., :1] + (ends[..., 1:] - ends[..., :1]) * share)
    points = torch.cat([by_rank, between], dim=-1).sort(dim=-1).values
    gaps = points.diff(dim=-1)
    gaps = torch.cat([gaps[..., :1], gaps, gaps[..., -1:]], dim=-1)
    width = (gaps[..., 1:] + gaps[..., :-1]) / 4
    return points, width.clamp_min(least_width)


def log_likelihood(means, variances, points, width):
    """Of rows' means ``(B, N)`` with variances by chance, at every point; ``(B, N, G)``."""
    total = variances.unsqueeze(-1) + width.unsqueeze(-2) ** 2
    return -((means.unsqueeze(-1) - points.unsqueeze(-2)) ** 2 / total + total.log()) / 2


@torch.no_grad()
def fit_mixing(pieces):
    """`Mixing` of context rows.

    Parameters
    ----------
    pieces : list of tuple of Tensor of shape (B, N_c)
        Means of rows, their variances by chance, and whether, or how far, they count.
    """
    means, _, in_context = (torch.cat(part, dim=-1) for part in zip(*pieces, strict=True))
    points, width = mixing_grid(means, in_context > 0)
    logs = [log_likelihood(mean, variance, points, width) for mean, variance, _ in pieces]
    return Mixing(points, width, weights_of_points(logs, [counts for *_, counts in pieces]))


def weights_of_points(logs, counts):
    """Weights of points that make rows likely, by EM from even ones; ``(B, G)``.

    Parameters
    ----------
    logs : list of Tensor of shape (B, N_c, G)
        Log likelihood of rows at every point.

    counts : list of Tensor of shape (B, N_c)
        Whether rows count.
    """
    likelihoods = [(each - each.amax(-1, keepdim=True)).exp() for each in logs]
    n_points = logs[0].shape[-1]
    even = logs[0].new_full((len(logs[0]), n_points), 1 / n_points)
    weights = mixing_weights(likelihoods, counts, even, N_STEPS).clamp_min(LEAST_WEIGHT)
    return weights / weights.sum(-1, keepdim=True)


def mixing_posterior(mixing, means, variances, seen):
    """`MixingPosterior` of rows; of one that is not ``seen`` it is the distribution itself.

    Parameters
    ----------
    mixing : Mixing

    means, variances : Tensor of shape (B, N)
        Of rows' observations: mean, and variance of that by chance.

    seen : bool Tensor of shape (B, N)
    """
    points, within = mixing.points.unsqueeze(-2), mixing.width.unsqueeze(-2) ** 2
    logs = log_likelihood(means, variances, mixing.points, mixing.width) * seen.unsqueeze(-1)
    weights = (logs + mixing.weights.log().unsqueeze(-2)).softmax(-1)
    variance = variances.unsqueeze(-1)
    trust = within / (within + variance) * seen.unsqueeze(-1)
    centres = points + trust * (means.unsqueeze(-1) - points)
    return posterior_moments(weights, centres, within * (1 - trust))


def posterior_moments(weights, centres, variances):
    """`MixingPosterior` of rows, given weights, means and variances of all points; (B, N, G)."""
    mean = (weights * centres).sum(-1)
    away = centres - mean.unsqueeze(-1)
    spread = (weights * (away**2 + variances)).sum(-1)
    skew = (weights * away**3).sum(-1) / (spread**1.5).clamp_min(LEAST_SPREAD)
    return MixingPosterior(mean, spread.sqrt(), skew, weights)


def mixing_quantiles(mixing, posterior, levels):
    """Quantiles of rows' means, evenly spread between the points; ``(B, N, K)``."""
    points = mixing.points
    gaps = points.diff(dim=-1) / 2
    edges = torch.cat(
        [
            points[..., :1] - mixing.width[..., :1],
            points[..., :-1] + gaps,
            points[..., -1:] + mixing.width[..., -1:],
        ],
        dim=-1,
    ).unsqueeze(-2)  # (B, 1, G + 1)
    reached = posterior.weights.cumsum(-1)
    reached = torch.cat([torch.zeros_like(reached[..., :1]), reached], dim=-1)
    wanted = levels.to(reached.dtype).expand(*reached.shape[:-1], -1).contiguous()
    cell = torch.searchsorted(reached[..., 1:-1].contiguous(), wanted)
    low, high = reached.gather(-1, cell), reached.gather(-1, cell + 1)
    share = ((wanted - low) / (high - low).clamp_min(LEAST_WEIGHT)).clamp(0, 1)
    edges = edges.expand_as(reached)
    return torch.lerp(edges.gather(-1, cell), edges.gather(-1, cell + 1), share)
