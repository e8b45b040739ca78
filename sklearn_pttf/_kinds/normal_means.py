"""Exact empirical Bayes of rows whose standard errors are known, however far these lie apart.

Means of rows have a normal law of unknown centre and spread, or a distribution without a shape.
Both are sums over rows; nothing is learned, and nothing depends on origin or unit. Plain torch
functions, computed in float64; shapes are written ``(B, N, C)``: ``B`` portfolios of ``N`` rows,
``C`` normal parts of a law.
"""

from typing import NamedTuple

import torch
from torch.special import ndtr, ndtri

from sklearn_pttf._kinds.mixing import (
    LEAST_WEIGHT,
    N_GRID,
    filled_grid,
    log_likelihood,
    weights_of_points,
)
from sklearn_pttf._utils.rounding import NEAREST, TINY

N_SPREADS = (64, 24, 16)  # of the means; every grid lies around the likely part of the last
LEAST_SPREAD = 0.1  # smallest standard errors
MOST_SPREAD = 2.0  # times the largest distance of a row's mean from the median
UNLIKELY = 7.0  # log likelihood below the largest, from which a spread is left out
COST_OF_SHAPE = 6.0  # log likelihood that a law without one gains by chance, beside what rows say
ITSELF = 2.0  # times that what a row adds to its own law is left out: points lie where rows are
NEIGHBOURS = 12.0  # rows to each side of a point that its width reaches to
LEAST_WIDTH = 1e-6  # of the spread of means
STRAY = 0.01  # of a row's law without a shape, that is normal
N_NEWTON = 20  # steps at most, to quantiles
CLOSE = 1e-7  # normal scores; the last step then takes what is left to rounding
LEAST_PART = 1e-9  # of a law
ROWS_AT_ONCE = 512  # that are solved together, so that memory does not grow with the table
LEAST_VARIANCE = 1e-36  # of a row's mean by chance, in units of the scale


class NormalMeans(NamedTuple):
    """What is fitted to a portfolio."""

    likely: torch.Tensor  # (B, S): how likely each spread of a normal law is
    spreads: torch.Tensor  # (B, S): variances of means
    centres: torch.Tensor  # (B, S)
    doubts: torch.Tensor  # (B, S): variances of the centres
    places: torch.Tensor  # (B, G): points of the distribution without a shape
    around: torch.Tensor  # (B, G): standard deviations around these
    shares: torch.Tensor  # (B, G): weights of these
    normal: torch.Tensor  # (B, 1): how likely the normal law is


class Parts(NamedTuple):
    """Laws as mixtures of normal ones; tensors of shape ``(..., C)``."""

    weights: torch.Tensor
    centres: torch.Tensor
    variances: torch.Tensor


def masked_quantile(values, mask, level):
    """Quantiles ``(B, 1)`` of the values ``(B, N)`` that are in the mask; 0 of none."""
    ordered = torch.where(mask, values, torch.inf).sort(dim=-1).values
    last = (mask.sum(-1, keepdim=True) - 1).clamp_min(0)
    place = level * last.to(values.dtype)
    low, high = (ordered.gather(-1, each.long()) for each in (place.floor(), place.ceil()))
    found = torch.lerp(low, high, place - place.floor())
    return torch.where(mask.any(-1, keepdim=True), found, 0.0)


def masked_median(values, mask):
    """Medians ``(B, 1)``, as `masked_quantile`."""
    return masked_quantile(values, mask, 0.5)


# ------------------------------------------------------------------ a normal law


def _by_spread(means, variances, counts, spreads):
    """Log likelihood of spreads ``(B, S)``, the centre integrated out; the centre, its precision.

    Parameters
    ----------
    means, variances, counts : Tensor of shape (B, N)
        Of rows: mean, its variance by chance, and how far the row counts.
    """
    precision = 1 / (variances.unsqueeze(-1) + spreads.unsqueeze(-2) ** 2)  # (B, N, S)
    counts, means = counts.unsqueeze(-1), means.unsqueeze(-1)
    total = (counts * precision).sum(-2).clamp_min(TINY)
    centre = (counts * precision * means).sum(-2) / total
    away = (means - centre.unsqueeze(-2)) ** 2
    log = (counts * (precision.log() - precision * away)).sum(-2) - total.log()
    return log / 2, centre, total


def _fit_spread(means, variances, counts):
    """How likely spreads are, given what most rows' errors make likely beforehand.

    The weight of a spread ``t`` beforehand is ``s / (s + t)**2`` of the median standard error ``s``
    [DuMouchel 1994]: it forbids neither that all means are equal nor that they are far apart.
    """
    used = counts > 0
    error = variances.sqrt()
    typical = masked_median(error, used).clamp_min(TINY)
    away = (means - masked_median(means, used)).abs()
    farthest = torch.where(used, away, 0.0).amax(-1, keepdim=True)
    smallest = torch.where(used, error, torch.inf).amin(-1, keepdim=True).minimum(typical)
    low, high = (LEAST_SPREAD * smallest).log(), (MOST_SPREAD * farthest.maximum(typical)).log()
    for size in N_SPREADS:
        share = torch.linspace(0, 1, size, dtype=means.dtype, device=means.device)
        grid = low + (high - low) * share
        spreads = grid.exp()
        log, centre, total = _by_spread(means, variances, counts, spreads)
        log = log + grid + typical.log() - 2 * (typical + spreads).log()
        likely = log >= log.amax(-1, keepdim=True) - UNLIKELY
        place = torch.arange(size, device=means.device)
        first = torch.where(likely, place, size).amin(-1, keepdim=True)
        last = torch.where(likely, place, -1).amax(-1, keepdim=True)
        low = grid.gather(-1, (first - 1).clamp_min(0))
        high = grid.gather(-1, (last + 1).clamp_max(size - 1))
    return log.softmax(-1), spreads, centre, 1 / total


# ------------------------------------------------------------------ without a shape


def _between(x, y, wanted, last):
    """Values at ``wanted`` (B, G) of the line through points ``(B, N)``, of which ``last`` ends."""
    upper = torch.searchsorted(x.contiguous(), wanted.contiguous()).minimum(last)
    lower = (upper - 1).clamp_min(0)
    low, high = x.gather(-1, lower), x.gather(-1, upper)
    share = ((wanted - low) / (high - low).clamp_min(TINY)).clamp(0, 1)
    return torch.lerp(y.gather(-1, lower), y.gather(-1, upper), share)


def _grid(means, variances, counts, centre, spread):
    """Points and width: by rank of means that are pulled in by their noise, and evenly spaced."""
    credibility = spread**2 / (spread**2 + variances)
    pulled = centre + credibility.sqrt() * (means - centre)  # spread as the true means are
    used = counts > 0
    order = torch.where(used, pulled, torch.inf).argsort(dim=-1)
    pulled, worth = (each.gather(-1, order) for each in (pulled, counts * credibility))
    last = (used.sum(-1, keepdim=True) - 1).clamp_min(0)
    after = torch.arange(means.shape[-1], device=means.device) > last
    total = worth.sum(-1, keepdim=True).clamp_min(TINY)
    place = (worth.cumsum(-1) - worth / 2) / total
    place = torch.where(after, 2.0, place)
    pulled = torch.where(after, pulled.gather(-1, last), pulled)
    share = torch.linspace(0, 1, N_GRID // 2, dtype=means.dtype, device=means.device)
    by_rank = _between(
        place, pulled, torch.lerp(place[..., :1], place.gather(-1, last), share), last
    )

    def even(points):
        return torch.asinh((points - centre) / spread)

    def back(points):
        return centre + spread * torch.sinh(points)

    points, width = filled_grid(by_rank, (even, back), LEAST_WIDTH * spread)
    few = NEIGHBOURS * (worth**2).sum(-1, keepdim=True).clamp_min(TINY) / total**2
    here = _between(pulled, place, points, last)
    around = [_between(place, pulled, here + side * few, last) for side in (1, -1)]
    return points, width.maximum((around[0] - around[1]) / 2)


def _fits(logs, mixing, normal, counts):
    """Log likelihood of rows, each by what the others say, without a shape; ``(B, 1)``."""
    top = logs.amax(-1, keepdim=True)
    likelihood = (logs - top).exp()
    own = likelihood * mixing.unsqueeze(-2)
    marginal = own.sum(-1, keepdim=True).clamp_min(TINY)
    n_rows = counts.sum(-1)[..., None, None].clamp_min(1.0)
    itself = (own * likelihood).sum(-1, keepdim=True) / marginal / n_rows
    others = (marginal - ITSELF * itself).clamp_min(0.0) * n_rows / (n_rows - ITSELF).clamp_min(1.0)
    free = ((1 - STRAY) * others.squeeze(-1)).clamp_min(TINY).log() + top.squeeze(-1)
    stray = torch.full_like(free, STRAY).log() + normal
    return (counts * torch.logaddexp(free, stray)).sum(-1, keepdim=True)


@torch.no_grad()
def fit_normal_means(means, variances, counts):
    """`NormalMeans` of a portfolio.

    Parameters
    ----------
    means, variances : Tensor of shape (B, N)
        Of rows' observations: mean, and variance of that by chance.

    counts : Tensor of shape (B, N)
        How far a row counts, from 0 to 1.
    """
    dtype = means.dtype
    means, variances, counts = (each.double() for each in (means, variances, counts))
    means = torch.where(counts > 0, means, 0.0)
    variances = torch.where(counts > 0, variances, 1.0).clamp_min(LEAST_VARIANCE)
    likely, spreads, centres, doubts = _fit_spread(means, variances, counts)
    centre, spread = ((likely * each).sum(-1, keepdim=True) for each in (centres, spreads))
    points, width = _grid(means, variances, counts, centre, spread)
    logs = log_likelihood(means, variances, points, width)
    weights = weights_of_points([logs], [counts])
    at_spreads = log_likelihood(means, variances, centres, spreads)
    normal = (at_spreads + likely.clamp_min(TINY).log().unsqueeze(-2)).logsumexp(-1)
    fit = (counts * normal).sum(-1, keepdim=True) + COST_OF_SHAPE
    share = (fit - _fits(logs, weights, normal, counts)).sigmoid()
    found = NormalMeans(likely, spreads**2, centres, doubts, points, width, weights, share)
    return NormalMeans(*(each.to(dtype) for each in found))


# ------------------------------------------------------------------ what is said of rows


@torch.no_grad()
def parts_of_means(found, means, variances, seen):
    """`Parts` of the laws of rows' means, ``(B, N, C)``.

    Parameters
    ----------
    found : NormalMeans

    means, variances : Tensor of shape (B, N)

    seen : bool Tensor of shape (B, N)
        Whether rows have observations at all.
    """
    found = NormalMeans(*(each.double() for each in found))
    means, variances, seen = (each.double().unsqueeze(-1) for each in (means, variances, seen))
    variances = variances.clamp_min(LEAST_VARIANCE)

    def pulled(centres, within):
        """Means and variances of rows' means, normal around each centre."""
        centres, within = centres.unsqueeze(-2), within.unsqueeze(-2)
        trust = within / (within + variances) * seen
        return centres + trust * (means - centres), within * (1 - trust), trust

    normal, within, trust = pulled(found.centres, found.spreads)
    within = within + (1 - trust) ** 2 * found.doubts.unsqueeze(-2)
    free, free_within, _ = pulled(found.places, found.around**2)
    logs = log_likelihood(means[..., 0], variances[..., 0], found.places, found.around) * seen
    by_point = (logs + found.shares.clamp_min(LEAST_WEIGHT).log().unsqueeze(-2)).softmax(-1)
    share = found.normal.unsqueeze(-2)
    weights = [share * found.likely.unsqueeze(-2).expand_as(normal), (1 - share) * by_point]
    return Parts(
        torch.cat(weights, -1), torch.cat([normal, free], -1), torch.cat([within, free_within], -1)
    )


@torch.no_grad()
def quantiles_of(parts, levels):
    """Quantiles of mixtures of normal laws; ``(n, K)``.

    Parameters
    ----------
    parts : Parts
        Of shape ``(n, C)``.

    levels : Tensor of shape (K,)
    """
    weights = torch.where(parts.weights > LEAST_PART, parts.weights, 0.0)
    weights, order = (weights / weights.sum(-1, keepdim=True)).sort(dim=-1, descending=True)
    parts = Parts(weights, *(part.gather(-1, order) for part in parts[1:]))
    n_parts = (weights > 0).sum(-1)
    wanted = ndtri(levels.to(weights.dtype))
    found = weights.new_zeros(len(weights), len(levels))
    for rows in n_parts.argsort().split(ROWS_AT_ONCE):  # those of few parts together
        most = int(n_parts[rows].max())
        found[rows] = _solved(Parts(*(part[rows, :most] for part in parts)), wanted)
    return found.cummax(-1).values


def _solved(parts, wanted):
    """Quantiles at normal scores ``(K,)``, by Newton's steps that stay between bounds; (n, K)."""
    weights, centres, deviations = parts.weights, parts.centres, parts.variances.sqrt()
    mean = (weights * centres).sum(-1, keepdim=True)
    spread = (weights * (parts.variances + (centres - mean) ** 2)).sum(-1, keepdim=True).sqrt()
    low = high = mean.expand(-1, len(wanted))
    for weight, centre, deviation in _columns(weights, centres, deviations):
        end = torch.where(weight > 0, centre + deviation * wanted, mean)
        low, high = torch.minimum(low, end), torch.maximum(high, end)
    found = (mean + spread * wanted).clamp(low, high)
    rows, x = torch.arange(len(found), device=found.device), found
    for _ in range(N_NEWTON):  # in torch, on any device
        reached, density = torch.zeros_like(x), torch.zeros_like(x)
        for weight, centre, deviation in _columns(weights, centres, deviations):
            z = (x - centre) / deviation
            reached += weight * ndtr(z)
            density += weight / deviation * (-0.5 * z**2).exp()
        # on the scale of normal scores, where a single normal law is a line
        score = ndtri(reached.clamp(NEAREST, 1 - NEAREST))
        low, high = torch.where(score < wanted, x, low), torch.where(score < wanted, high, x)
        step = x - (score - wanted) / (density * (0.5 * score**2).exp()).clamp_min(TINY)
        x = torch.where((step >= low) & (step <= high), step, (low + high) / 2)
        found = found.index_copy(0, rows, x)
        left = ((score - wanted).abs() > CLOSE).any(-1)
        if not left.any():
            break
        rows, x, low, high, weights, centres, deviations = (
            each[left] for each in (rows, x, low, high, weights, centres, deviations)
        )
    return found


def _columns(*parts):
    """Parts one by one, each ``(n, 1)``."""
    return zip(*(part.split(1, dim=-1) for part in parts), strict=True)
