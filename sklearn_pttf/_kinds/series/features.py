"""What the network sees of demand in the order of time, beside what it sees of demand."""

from typing import NamedTuple

import torch

import sklearn_pttf._kinds.demand.features as demand_features
from sklearn_pttf._kinds.demand.units import level_credibility, row_noise
from sklearn_pttf._kinds.features import WIDE, WIDEST, side_by_side
from sklearn_pttf._kinds.series.units import (
    CLOSE_CONDITIONS,
    KEPT,
    at_the_end,
    level_of_alike,
    recent_credibility,
    window_levels,
)

WINDOWS = (1, 2, 4, 8, 16)  # newest observations, whose means are shown
NEAREST = (1, 3)  # places among what may be kept, of the levels whose own errors are shown
LEAST_OF_ERROR = 0.05  # of a row's errors over its noise, that logs are taken of


class CellTimes(NamedTuple):
    """What the time of an observation, and its conditions, say."""

    off_recent: torch.Tensor  # asinh of how far it is from the recent level, in units of noise
    age: torch.Tensor  # log of one plus the number of periods since
    kept: torch.Tensor  # how much of it is
    exposure: torch.Tensor  # log of what it was counted over, against the coming
    alike: torch.Tensor  # how close that is, 1 if it is the same


class RowTimes(NamedTuple):
    """What the order of a row's observations says, but for means of the newest."""

    recent: torch.Tensor  # asinh of the recent level against the mean one, in units of noise
    recent_trust: torch.Tensor  # logit of its credibility
    less_trust: torch.Tensor  # what that lacks of the mean level's
    n_kept: torch.Tensor  # log of one plus the number of observations that are kept
    fast: torch.Tensor  # log of errors of levels that keep little, against those that keep all
    slow: torch.Tensor  # likewise, of those that keep most
    quiet: torch.Tensor  # log of one plus the number of periods at the end without sales
    quiet_by_level: torch.Tensor  # likewise, times what was sold a period
    missing: torch.Tensor  # log of one plus the number of missing ones at the end
    coming: torch.Tensor  # log of what the next outcome is counted over
    off_alike: torch.Tensor  # asinh of how far outcomes of such conditions are, as the first
    n_alike: torch.Tensor  # log of one plus their number


class PortfolioTimes(NamedTuple):
    """What a context says of how levels move, but for its errors."""

    narrower: torch.Tensor  # log of how much less noise there is around levels that move
    memory: torch.Tensor  # log of how many periods are kept
    exposure_spread: torch.Tensor  # log of how much conditions differ


CELL_FEATURES = (*demand_features.CELL_FEATURES, *CellTimes._fields)
ROW_FEATURES = (
    *demand_features.ROW_FEATURES,
    *RowTimes._fields,
    *(f"newest_{length}" for length in WINDOWS),
)
PORTFOLIO_FEATURES = (
    *demand_features.PORTFOLIO_FEATURES,
    *PortfolioTimes._fields,
    *(f"error_{kept}" for kept in KEPT[1:]),
)


def cell_features(rows, units):
    """Features of every observation; ``(B, N, n, n_cell_features)``."""
    known = demand_features.cell_features(_in_order(rows), units, rows.recent)
    n = rows.values.shape[-1]
    age = torch.arange(n, 0, -1, dtype=rows.values.dtype, device=rows.values.device)
    y, level = rows.values / units.scale.unsqueeze(-1), rows.recent.unsqueeze(-1)
    noise = row_noise(units, rows.recent).unsqueeze(-1)
    away = rows.log_exposure - rows.coming.log().unsqueeze(-1)
    times = CellTimes(
        off_recent=torch.asinh((y / level - 1) / noise),
        age=(age.log() / WIDE).expand_as(y),
        kept=rows.seen,
        exposure=away,
        alike=1 / (1 + (away / CLOSE_CONDITIONS) ** 2),
    )
    return torch.cat([known, side_by_side(times)], dim=-1)


def row_features(rows, units):
    """Summaries of every row; ``(B, N, n_row_features)``."""
    known = demand_features.row_features(rows.sorted, units, rows.recent)
    noise, level = row_noise(units, rows.recent), rows.recent
    mean = (rows.sorted.values.sum(-1) / units.scale + level) / (rows.sorted.count + 1)
    trust = recent_credibility(rows, units).logit()
    of_all = level_credibility(rows.sorted, units, level).logit()
    logs = (rows.errors + LEAST_OF_ERROR).log() * (rows.sorted.count > 1).unsqueeze(-1)
    at_end = at_the_end(rows)
    alike, n_alike = level_of_alike(rows, units)
    times = RowTimes(
        recent=torch.asinh((level / mean - 1) / noise),
        recent_trust=trust / 2,
        less_trust=(trust - of_all) / 2,
        n_kept=rows.count.log1p(),
        fast=logs[..., NEAREST[1]] - logs[..., 0],
        slow=logs[..., NEAREST[0]] - logs[..., 0],
        quiet=at_end.quiet.log1p() / WIDE,
        quiet_by_level=(at_end.quiet * mean.clamp_max(1e3) * units.scale).log1p() / WIDEST,
        missing=at_end.missing.log1p() / WIDE,
        coming=rows.coming.log(),
        off_alike=torch.asinh((alike / level - 1) / noise),
        n_alike=n_alike.log1p(),
    )
    newest = window_levels(rows, units, WINDOWS) / level.unsqueeze(-1) - 1
    newest = torch.asinh(newest / noise.unsqueeze(-1))
    return torch.cat([known, side_by_side(times), newest], dim=-1)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""
    known = demand_features.portfolio_features(units)
    kept = units.shares.new_tensor(KEPT)
    memory = (units.shares / (1 - 0.99 * kept)).sum(-1, keepdim=True)
    times = PortfolioTimes(
        narrower=4 * units.narrower,
        memory=memory.log() / WIDE,
        exposure_spread=(units.exposure_spread + 0.05).log() / WIDE,
    )
    errors = 4 * units.errors[:, None, 1:].clamp(-1.0, 1.0)
    return torch.cat([known, side_by_side(times), errors], dim=-1)


def _in_order(rows):
    """The rows as those of demand are, in the order of time."""
    return rows.sorted._replace(values=rows.values, seen=rows.told)
