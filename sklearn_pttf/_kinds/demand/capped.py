"""What capped sales hide: demand that is expected there, by moments of a portfolio.

A sale that was all there was is *at least* the demand. In its place stands the demand that is
expected of its row beyond the sale, and how uncertain that is; row and portfolio are those of the
completed table (expectation and maximisation in turn [1]_). Demand that is not zero is taken for
lognormal here, around the row's level as far as that is believed: networks learn what to change.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with ``n``
observation cells each.

References
----------
.. [1] A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM
   algorithm", Journal of the Royal Statistical Society B 39 (1977), 1-38.
"""

import math
from typing import NamedTuple

import torch
from torch.special import log_ndtr

from sklearn_pttf._kinds.demand.units import (
    excess_log_noise,
    level_credibility,
    noise_credibility,
    portfolio_units,
    row_level,
    row_noise,
    units_of_rows,
    zero_credibility,
)
from sklearn_pttf._kinds.features import WIDE, side_by_side

N_ROUNDS = 12  # of expectation and maximisation, of a portfolio and of a row in it
CORRECTION = 0.5  # of a whole number, which stands for what is up to this much below and above
LEAST_CAP = 1e-3  # in units of the row's level
LEAST_VARIANCE = 0.05  # of demand that is not zero, over all of it: relative
MOST_OVER = 20.0  # times the cap that is expected at most
FAR = 20.0  # deviations of a cap from the level, either way
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


class CappedCellFeatures(NamedTuple):
    """What a capped sale shows; all 0 of other cells."""

    capped: torch.Tensor  # 1
    told: torch.Tensor  # what it tells of its row's level, over what a seen cell does
    added: torch.Tensor  # log of expected demand over the sale
    spread: torch.Tensor  # deviation of that demand, over the row's level
    off_level: torch.Tensor  # asinh of how far the sale is from the row's level, in units of noise


class CappedRowFeatures(NamedTuple):
    """What capped sales of a row show together."""

    capped_share: torch.Tensor
    n_capped: torch.Tensor  # log of one plus the number
    told_share: torch.Tensor  # of what the row's cells tell if they are seen
    n_told: torch.Tensor  # log of one plus the number of seen cells that tell as much
    reach: torch.Tensor  # asinh of how far the largest sale is from the level, in units of noise
    largest_capped: torch.Tensor  # 1 if that was capped
    least_off: torch.Tensor  # as reach, of the lowest capped sale


class CappedPortfolioFeatures(NamedTuple):
    """What capped sales of a portfolio show together."""

    any_capped: torch.Tensor  # 1
    capped_share: torch.Tensor
    told_share: torch.Tensor


CAPPED_CELL_FEATURES = CappedCellFeatures._fields
CAPPED_ROW_FEATURES = CappedRowFeatures._fields
CAPPED_PORTFOLIO_FEATURES = CappedPortfolioFeatures._fields


# ------------------------------------------------------------------ expectation, maximisation


def completed_units(rows, weights, whole):
    """`PortfolioUnits` of the context whose capped cells are completed; as `portfolio_units`."""
    for _ in range(N_ROUNDS):
        units = portfolio_units(rows, weights, whole)
        rows = [_expected(part, units) for part in rows]
    units = portfolio_units(rows, weights, whole)
    pairs = zip(rows, weights, strict=True)
    sums = sum(torch.stack([(x * w).sum(-1) for x in _counts(part)]) for part, w in pairs)
    n_seen, n_capped, n_told = sums.unsqueeze(-1)
    return units._replace(
        capped_share=n_capped / n_seen.clamp_min(1), told_share=n_told / n_seen.clamp_min(1)
    )


def completed_rows(rows, units):
    """Rows whose capped cells hold what is expected of them, in order of size."""
    for _ in range(N_ROUNDS):
        rows = _expected(rows, units)
    return rows.sorted()


def _counts(rows):
    """How many cells of rows were seen and capped, and what they tell, in seen cells; (B, N)."""
    return rows.count, rows.capped.sum(-1), rows.told.sum(-1)


def _expected(rows, units):
    """Rows with what is expected of capped cells, given what was expected last time."""
    units = units_of_rows(units, rows)
    scale = units.scale.unsqueeze(-1)
    level, variance = (x.unsqueeze(-1) for x in _law(rows, units))
    grain = (units.whole / units.scale).unsqueeze(-1)
    cap = torch.maximum(rows.sales / scale - CORRECTION * grain, LEAST_CAP * level)
    s = variance.log1p().sqrt()
    z = ((cap / level).log() / s + s / 2).clamp(-FAR, FAR)
    beyond = log_ndtr(-z)
    mean = torch.minimum(level * (log_ndtr(s - z) - beyond).exp(), MOST_OVER * cap)
    square = level**2 * (s**2 + log_ndtr(2 * s - z) - beyond).exp()
    spread = torch.minimum((square - mean**2).clamp_min(0.0), mean**2)
    hazard = (-0.5 * z**2 - LOG_ROOT_TWO_PI - beyond).exp()
    told = (hazard * (hazard - z)).clamp(0.0, 1.0)  # Fisher's information of a censored normal
    capped = rows.capped > 0
    return rows._replace(
        values=torch.where(capped, torch.maximum(mean * scale, rows.sales), rows.sales),
        variance=torch.where(capped, spread * scale**2, 0.0),
        told=torch.where(capped, told, rows.seen),
    )


def _law(rows, units):
    """Mean and relative variance of the demand of rows that is not zero; (B, N) each."""
    own = row_level(rows, units.scale)
    centre = torch.minimum(units.centre, units.log_mean)
    level = (centre + level_credibility(rows, units, own) * (own.log() - centre)).exp()
    more = excess_log_noise(rows, units, own) - units.noise_centre * (rows.count > 1)
    noise = row_noise(units, level) * (noise_credibility(rows, units) * more).exp()
    zeros = zero_credibility(rows, units) * (units.zero_share > 0)
    variance = ((1 - zeros) * noise**2 - zeros).clamp_min(LEAST_VARIANCE * noise**2)
    return level / (1 - zeros), variance


# ------------------------------------------------------------------ features


def capped_cell_features(rows, units, level):
    """Features of capped cells; ``(B, N, n, 5)``."""
    scale, level = units.scale.unsqueeze(-1), level.unsqueeze(-1)
    least = torch.maximum(rows.sales, LEAST_CAP * level * scale)
    features = CappedCellFeatures(
        capped=rows.capped,
        told=rows.told,
        added=(rows.values / least).clamp_min(1.0).log(),
        spread=rows.variance.sqrt() / (level * scale),
        off_level=torch.asinh((rows.sales / scale / level - 1) / units.noise.unsqueeze(-1)),
    )
    return side_by_side(features) * rows.capped.unsqueeze(-1)


def capped_row_features(rows, units, level):
    """Features of what is capped of rows; ``(B, N, 7)``."""
    n_seen, n_capped, n_told = _counts(rows)
    capped = rows.capped > 0
    largest = rows.sales.amax(-1)
    least = torch.where(capped, rows.sales, torch.inf).amin(-1)
    least = torch.where(n_capped > 0, least, largest)
    most = torch.where(capped, rows.sales, -1.0).amax(-1)

    def off(sales):
        return torch.asinh((sales / units.scale / level - 1) / units.noise)

    features = CappedRowFeatures(
        capped_share=n_capped / n_seen.clamp_min(1),
        n_capped=n_capped.log1p() / WIDE,
        told_share=n_told / n_seen.clamp_min(1),
        n_told=n_told.log1p() / WIDE,
        reach=off(largest),
        largest_capped=(most >= largest).to(level.dtype),
        least_off=off(least),
    )
    return side_by_side(features)


def capped_portfolio_features(units):
    """Features of what is capped of a portfolio; ``(B, 1, 3)``."""
    features = CappedPortfolioFeatures(
        any_capped=(units.capped_share > 0).to(units.scale.dtype),
        capped_share=units.capped_share,
        told_share=units.told_share,
    )
    return side_by_side(features)
