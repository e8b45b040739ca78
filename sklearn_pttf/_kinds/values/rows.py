"""Rows of real values: what they show, how far apart they lie, and what they say of each other.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Medians over rows tell which rows lie far out and which know nothing,
so no single row, whatever its value and its standard error are, moves what is said of the others.
"""

import math
from typing import NamedTuple

import torch

from sklearn_pttf._kinds.normal_means import masked_median, masked_quantile
from sklearn_pttf._utils.rounding import TINY_SINGLE

MEDIAN_OF_NORMAL = 0.6745  # of the absolute distance, in standard deviations
FAR_ROWS = (0.9, 3.0)  # quantile of distances, and times that, as far as an error is to be believed
ROUNDING = 1e-9  # of the farthest distance that is no stray; what is smaller counts as none
# standard errors of rows' means, in typical distances
VAGUE = (8.0, 16.0)  # between these a row says less and less of the others
HOPELESS = 50.0  # from which a row is as one without observations
# distances of rows' means from their median
START = 100.0  # typical ones; what lies further out counts as that, to begin with
FEWEST_NEAR = 20  # rows, of which one in so many and one more may be strays
ROWS_A_STRAY = 100
LEAST_LIMIT = 2.5  # typical ones
STRAY = (2.5, 3.0)  # times the farthest that is none; between these a row says less of the others


class RealRows(NamedTuple):
    """Observations of rows, with missing cells filled and marked."""

    values: torch.Tensor  # (B, N, n), sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed
    count: torch.Tensor  # (B, N)
    errors: torch.Tensor  # (B, N), standard error of an observation, NaN where not given
    told: torch.Tensor  # (B, N), the same as far as the network is told, see `without_hopeless`


def real_rows(observations, errors=None):
    """Sort each row's observations, so that their order cannot matter, to `RealRows`."""
    missing = observations.isnan()
    values = torch.where(missing, torch.inf, observations).sort(dim=-1).values
    seen = (values < torch.inf).to(values.dtype)
    count = seen.sum(-1)
    if errors is None:
        errors = torch.full_like(count, torch.nan)
    return RealRows(values.masked_fill(values == torch.inf, 0.0), seen, count, errors, errors)


def mean_of_rows(rows):
    """Means of rows' observations, 0 of none; ``(B, N)``."""
    return rows.values.sum(-1) / rows.count.clamp_min(1)


def chance_error(rows):
    """Standard error of a row's mean, where that of its observations is given, else 0; (B, N)."""
    return rows.errors.nan_to_num() / rows.count.clamp_min(1).sqrt()


def log_part(values, ends):
    """How far between two ends, from 0 to 1, on the scale of logs."""
    low, high = ends
    return part_of_way(safe_log(values), (math.log(low), math.log(high)))


def safe_log(values):
    """Log of what is not negative, a very small number in place of 0."""
    return values.clamp_min(TINY_SINGLE).log()


def part_of_way(values, ends):
    """How far between two ends, from 0 to 1."""
    low, high = ends
    return ((values - low) / (high - low)).clamp(0, 1)


def over_limit(values, limit):
    """Values over a limit ``(B, 1)``; 0 where there is none."""
    return values / torch.where(limit > 0, limit, torch.inf)


class Distances(NamedTuple):
    """Where rows lie, and how far apart; each ``(B, 1)``.

    One row does not move any of them, whatever its value and its standard error are.
    """

    middle: torch.Tensor  # median of the rows' means
    typical: torch.Tensor  # distance from it, noise included
    limit: torch.Tensor  # farthest distance of a row that is no stray; 0: too few rows to tell
    start: torch.Tensor  # distance, beyond which observations count as at that, to begin with
    error: torch.Tensor  # median standard error of an observation


def _mean_distance(rows, middle):
    """Mean distance of a row's observations from the middle; ``(B, N)``."""
    away = (rows.values - middle.unsqueeze(-1)).abs() * rows.seen
    return away.sum(-1) / rows.count.clamp_min(1)


def distances_of(pieces, weights):
    """`Distances` of the context."""
    parts = [
        (mean_of_rows(rows), chance_error(rows), rows.errors, in_use)
        for rows, weight in zip(pieces, weights, strict=True)
        for in_use in [(rows.count > 0) & (weight > 0)]
    ]
    means, chance, errors, used = (torch.cat(part, dim=-1) for part in zip(*parts, strict=True))
    middle = masked_median(means, used)
    away = (means - middle).abs()
    cells = torch.cat([_mean_distance(rows, middle) for rows in pieces], dim=-1)
    n_used = used.sum(-1, keepdim=True)
    strays = torch.where(n_used >= FEWEST_NEAR, 1 + n_used // ROWS_A_STRAY, 0)
    farthest, rounding = (
        torch.where(used, each, 0.0).sort(dim=-1, descending=True).values.gather(-1, strays)
        for each in (away, cells)
    )
    rounding = ROUNDING * rounding
    known = used & (chance > 0)
    least = torch.where(known, chance, torch.inf).amin(-1, keepdim=True)
    far = FAR_ROWS[1] * masked_quantile(away, used, FAR_ROWS[0])
    least = torch.where(known.any(-1, keepdim=True), least.minimum(far), 0.0)
    typical = masked_median(away, used) / MEDIAN_OF_NORMAL
    typical = torch.where(typical > rounding, typical, 0.0).maximum(least)
    typical = torch.maximum(typical, masked_median(chance, used))
    limit = torch.maximum(farthest, LEAST_LIMIT * typical)
    limit = torch.where((n_used >= FEWEST_NEAR) & (limit > rounding), limit, 0.0)
    start = torch.maximum(typical, masked_median(cells, used))
    start = torch.where(start > rounding, START * start, torch.inf)
    error = masked_median(errors.nan_to_num(), known)
    return Distances(middle, typical, limit, start, torch.where(error > 0, error, typical))


def without_hopeless(rows, typical, error):
    """Rows of which those are empty that know nothing; they are told to have the usual error.

    Parameters
    ----------
    rows : RealRows

    typical, error : Tensor of shape (B, 1)
        Distance of rows' means, noise included, next to which standard errors are large or small;
        and the median standard error.
    """
    hopeless = (chance_error(rows) > HOPELESS * typical) & (typical > 0)
    kept = (~hopeless).to(rows.values.dtype)
    return rows._replace(
        values=rows.values * kept.unsqueeze(-1),
        seen=rows.seen * kept.unsqueeze(-1),
        count=rows.count * kept,
        told=torch.where(hopeless, error, rows.errors),
    )


def worth_of_rows(rows, middle, typical, limit):
    """How far a row counts for others, from 0 to 1; ``(B, N)``."""
    away = (mean_of_rows(rows) - middle).abs()
    vague = log_part(over_limit(chance_error(rows), typical), VAGUE)
    stray = part_of_way(over_limit(away, limit), STRAY)
    return torch.where(rows.count > 0, (1 - vague) * (1 - stray), 1.0)
