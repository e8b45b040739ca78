"""What capped sales hide: demand that is expected there, by moments of a portfolio.

A sale that was all there was is *at least* the demand. In its place stands the demand that is
expected of its row beyond the sale, and how uncertain that is; row and portfolio are those of the
completed table (expectation and maximisation in turn [1]_). Demand that is not zero is taken for
lognormal here, around a level whose law is worked out on a grid: networks learn what to change.

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
    LEVEL_WEIGHT,
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
N_GRID, REACH = 25, 4.0  # points of a row's log level, and deviations of a law that they reach
MOST_CAPS = 8  # of a row, that stand for all of them
CORRECTION = 0.5  # of a whole number, which stands for what is up to this much below and above
LEAST_CAP = 1e-3  # over the sale
LEAST_VARIANCE = 0.05  # of demand that is not zero, over all of it: relative
MOST_OVER = 20.0  # times the cap that is expected at most
FAR = 20.0  # deviations of a cap from the level, either way
LEAST_TOLD = 1e-3  # of what a seen cell tells of its row's level
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


class Laws(NamedTuple):
    """What is believed of rows, given their portfolio and what was expected last; (B, N, 1)."""

    level: torch.Tensor  # as far as what was expected of cells is believed
    centre: torch.Tensor  # of log levels, before a row tells
    variance: torch.Tensor  # of these
    noise: torch.Tensor  # relative, of demand
    above: torch.Tensor  # log of the level of demand that is not zero, over that of all
    deviation: torch.Tensor  # of the log of demand that is not zero


class Levels(NamedTuple):
    """What is believed of the log levels of rows by all their cells; (B, N, 1)."""

    mean: torch.Tensor
    variance: torch.Tensor


def completed_units(rows, weights, whole):
    """`PortfolioUnits` of the context whose capped cells are completed; as `portfolio_units`."""
    for _ in range(N_ROUNDS):
        units = portfolio_units(rows, weights, whole)
        rows = [_completed(part, units) for part in rows]
    units = portfolio_units(rows, weights, whole)
    pairs = zip([_as_told(part, units) for part in rows], weights, strict=True)
    sums = sum(torch.stack([(x * w).sum(-1) for x in _counts(part)]) for part, w in pairs)
    n_seen, n_capped, n_told = sums.unsqueeze(-1)
    n_seen = n_seen.clamp_min(1)
    return units._replace(capped_share=n_capped / n_seen, told_share=n_told / n_seen)


def completed_rows(rows, units, course_of=None):
    """Rows whose capped cells hold what is expected of them, given their portfolio.

    Parameters
    ----------
    rows : Rows

    units : PortfolioUnits

    course_of : callable, default=None
        Gives levels of cells over that of their row, ``(B, N, n)``, from rows as they were
        completed last. None: all are alike.

    Returns
    -------
    Rows
    """
    for _ in range(N_ROUNDS):
        rows = _completed(rows, units, None if course_of is None else course_of(rows))
    return rows


def rows_as_told(rows, units, course_of=None):
    """As `completed_rows`, of cells that count by what they tell.

    Capped cells count less than others, and hold what makes the row's level as likely, and as sure,
    as all its cells together say: a normal law with the moments of the exact one.
    """
    rows = completed_rows(rows, units, course_of)
    return _as_told(rows, units, None if course_of is None else course_of(rows))


def _as_told(rows, units, course=None):
    """Rows that were completed as cells that count by what they tell."""
    units = units_of_rows(units, rows)
    laws, (sales, cap) = _laws(rows, units), _in_units(rows, units, course)
    levels = _levels(rows, laws, sales, cap.log() - laws.above)
    capped, unit = rows.capped, _unit(units, course)
    alone = 1 / levels.variance - 1 / laws.variance  # precision of what cells tell
    n_capped, n_free = (x.sum(-1, keepdim=True) for x in (capped, _free(rows)))
    told = (laws.noise**2 * alone - n_free) / n_capped.clamp_min(1)
    told = told.clamp(LEAST_TOLD, 1.0)
    n_told = n_free + told * n_capped
    believed = laws.variance / (laws.variance + laws.noise**2 / n_told.clamp_min(LEAST_TOLD))
    level = (laws.centre + (levels.mean - laws.centre) / believed).exp()  # of cells alone
    of_free = (_free(rows) * sales).sum(-1, keepdim=True)
    value = (n_told * level - of_free) / (told * n_capped).clamp_min(LEAST_TOLD)
    low, high = (x * levels.mean.exp() for x in (1 / MOST_OVER, MOST_OVER))
    value = torch.minimum(torch.maximum(value, low), high) * unit
    seen = torch.where(capped > 0, told, rows.seen)
    return rows._replace(
        values=torch.where(capped > 0, value, rows.sales),
        variance=torch.where(capped > 0, (laws.noise * value) ** 2, 0.0),
        seen=seen,
        count=seen.sum(-1),
        told=seen,
        doubt=levels.variance.sqrt().squeeze(-1),
    )


def _free(rows):
    """1 where a cell was seen and not capped; (B, N, n)."""
    return (rows.told > 0) * (1 - rows.capped)


def _counts(rows):
    """How many cells of rows were seen and capped, and what they tell, in seen cells; (B, N)."""
    return (rows.told > 0).to(rows.told.dtype).sum(-1), rows.capped.sum(-1), rows.told.sum(-1)


def _completed(rows, units, course=None):
    """Rows with what is expected of capped cells, given what was expected last."""
    units = units_of_rows(units, rows)
    laws, (_, cap) = _laws(rows, units), _in_units(rows, units, course)
    mean, square = _beyond(cap, (laws.level.log() + laws.above).exp(), laws.deviation)
    mean, unit = torch.minimum(mean, MOST_OVER * cap), _unit(units, course)
    spread = torch.minimum((square - mean**2).clamp_min(0.0), mean**2)
    capped = rows.capped > 0
    return rows._replace(
        values=torch.where(capped, torch.maximum(mean * unit, rows.sales), rows.sales),
        variance=torch.where(capped, spread * unit**2, 0.0),
    )


def _unit(units, course):
    """What cells are relative to, in units of demand; (B, 1, 1) or (B, N, n)."""
    scale = units.scale.unsqueeze(-1)
    return scale if course is None else scale * course


def _in_units(rows, units, course):
    """Sales, and what demand is at least where they are capped, over `_unit`; (B, N, n) each."""
    unit = _unit(units, course)
    edge = CORRECTION * units.whole.unsqueeze(-1)
    return rows.sales / unit, torch.maximum(rows.sales - edge, LEAST_CAP * rows.sales) / unit


def _laws(rows, units):
    """`Laws` of rows."""
    own = row_level(rows, units.scale)
    centre = torch.minimum(units.centre, units.log_mean)
    level = (centre + level_credibility(rows, units, own) * (own.log() - centre)).exp()
    more = excess_log_noise(rows, units, own) - units.noise_centre * (rows.count > 1)
    # noise that a row has by what is expected of its capped cells would feed on itself
    n_free = _free(rows).sum(-1)
    free = n_free / (n_free + rows.capped.sum(-1)).clamp_min(1)
    noise = row_noise(units, level) * (free * noise_credibility(rows, units) * more).exp()
    zeros = zero_credibility(rows, units) * (units.zero_share > 0)
    above = ((1 - zeros) * noise**2 - zeros).clamp_min(LEAST_VARIANCE * noise**2)
    found = (
        level,
        centre.expand_as(level),
        units.level_variance.expand_as(level),
        noise,
        -torch.log1p(-zeros),
        above.log1p().sqrt(),
    )
    return Laws(*(x.unsqueeze(-1) for x in found))


def _levels(rows, laws, sales, log_caps):
    """`Levels` of rows on a grid: a normal law by cells that were not capped, times the others.

    Logs of demand that is not zero are normal around the log level, less half their variance.
    """
    free = _free(rows)
    count = free.sum(-1, keepdim=True)
    own = ((free * sales).sum(-1, keepdim=True) + LEVEL_WEIGHT) / (count + LEVEL_WEIGHT)
    precision = 1 / laws.variance + count / laws.noise**2
    mean = (laws.centre / laws.variance + own.log() * count / laws.noise**2) / precision
    spread = precision**-0.5
    capped, s = rows.capped > 0, laws.deviation
    some, worth = _some_caps(torch.where(capped, log_caps, -torch.inf))
    largest = some.amax(-1, keepdim=True)
    low = mean - REACH * spread
    high = torch.maximum(mean + REACH * spread, largest + REACH * s + 2 * laws.variance.sqrt())
    # logs of probabilities are concave, so levels are no likelier further up than this
    z = ((some - mean) / s + s / 2).clamp(-FAR, FAR)
    slope = (worth * _hazard(z)).sum(-1, keepdim=True) / s
    high = torch.minimum(high, mean + spread**2 * slope + REACH * spread)
    grid = low + (high - low) * torch.linspace(0, 1, N_GRID, dtype=mean.dtype, device=mean.device)
    z = (some.unsqueeze(-1) - grid.unsqueeze(-2)) / s.unsqueeze(-1) + s.unsqueeze(-1) / 2
    beyond = (worth.unsqueeze(-2) @ log_ndtr(-z.clamp(-FAR, FAR))).squeeze(-2)
    weights = (beyond - 0.5 * ((grid - mean) / spread) ** 2).softmax(-1)
    found = (weights * grid).sum(-1, keepdim=True)
    variance = (weights * (grid - found) ** 2).sum(-1, keepdim=True)
    any_capped = capped.any(-1, keepdim=True)
    return Levels(
        torch.where(any_capped, found, mean),
        torch.where(any_capped, torch.minimum(variance, 0.999 * laws.variance), spread**2),
    )


def _hazard(z):
    """Density of a standard normal number over the probability of more."""
    return (-0.5 * z**2 - LOG_ROOT_TWO_PI - log_ndtr(-z)).exp()


def _some_caps(log_caps):
    """Log caps that stand for all of a row, ``(B, N, k)``, and how many each of them is.

    ``log_caps`` are minus infinity where there is none.
    """
    capped = (log_caps > -torch.inf).to(log_caps.dtype)
    if log_caps.shape[-1] <= MOST_CAPS:
        return log_caps, capped
    n_capped = capped.sum(-1, keepdim=True)
    share = (torch.arange(MOST_CAPS, dtype=capped.dtype, device=capped.device) + 0.5) / MOST_CAPS
    place = (share * n_capped).long().clamp_max(log_caps.shape[-1] - 1)
    some = log_caps.sort(dim=-1, descending=True).values.gather(-1, place)
    return some, (n_capped / MOST_CAPS).expand_as(some)


def _beyond(cap, level, s):
    """Mean, and mean square, of a lognormal law of some mean beyond a cap."""
    z = ((cap / level).log() / s + s / 2).clamp(-FAR, FAR)
    beyond = log_ndtr(-z)
    mean = level * (log_ndtr(s - z) - beyond).exp()
    return mean, level**2 * (s**2 + log_ndtr(2 * s - z) - beyond).exp()


# ------------------------------------------------------------------ features


def capped_cell_features(rows, units, level):
    """Features of capped cells; ``(B, N, n, 5)``."""
    scale, level = units.scale.unsqueeze(-1), level.unsqueeze(-1)
    least = torch.where(rows.capped > 0, rows.sales, 1.0)
    features = CappedCellFeatures(
        capped=rows.capped,
        told=rows.told,
        added=(rows.values / least).clamp_min(LEAST_CAP).log(),
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
