"""What the network sees: a portfolio's units, and features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations, of rows, or,
for continuous outcomes, on the unit of measurement.
"""

from typing import NamedTuple

import torch

LEVEL_WEIGHT = 0.25  # pseudo-observations of the portfolio's unit in a row's level
NOISE_RANGE = (0.02, 2.0)  # bounds of a portfolio's relative noise
N_CONTEXT_SEEN = 500  # rows beyond this number say nothing new about "how many rows"
N_ORDER_STATISTICS = 8
MAX_LOG_COUNT = 12.0  # whole numbers above e^12 look continuous


class PortfolioUnits(NamedTuple):
    """What the context rows say about scale; each of shape ``(B, 1)``."""

    scale: torch.Tensor  # geometric mean of the positive observations
    noise: torch.Tensor  # relative noise of an observation around its row's level
    unevenness: torch.Tensor  # log of how much the rows' relative variances differ
    slope: torch.Tensor  # whether rows of high level are noisier (> 0) or quieter (< 0)
    spread: torch.Tensor  # standard deviation of the rows' log levels
    centre: torch.Tensor  # mean of the rows' log levels
    zero_share: torch.Tensor
    log_rows: torch.Tensor
    log_depth: torch.Tensor  # log of one plus the mean number of observations a row
    whole: torch.Tensor  # 1 for whole-number outcomes, else 0


class Rows(NamedTuple):
    """Observations of rows, with missing cells filled and marked."""

    values: torch.Tensor  # (B, N, n), sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed
    count: torch.Tensor  # (B, N)


def as_rows(observations):
    """Sort each row's observations, so that their order cannot matter, to `Rows`."""
    missing = observations.isnan()
    values = torch.where(missing, torch.inf, observations).sort(dim=-1).values
    seen = (values < torch.inf).to(values.dtype)
    return Rows(values.masked_fill(values == torch.inf, 0.0), seen, seen.sum(-1))


def _log_scale_sums(rows, context):
    """Sum over context rows of the mean log positive observation, and their number."""
    positive = (rows.values > 0).to(rows.values.dtype)
    n_positive = positive.sum(-1)
    logs = torch.where(rows.values > 0, rows.values, 1.0).log()
    mean_log = (logs * positive).sum(-1) / n_positive.clamp_min(1)
    has = (n_positive > 0).to(mean_log.dtype) * context
    return (mean_log * has).sum(-1, keepdim=True), has.sum(-1, keepdim=True)


def row_level(rows, scale):
    """A row's mean in units of scale, pulled a little towards 1; ``(B, N)``."""
    total = rows.values.sum(-1) / scale
    return (total + LEVEL_WEIGHT) / (rows.count + LEVEL_WEIGHT)


def _relative_squares(rows, scale, level):
    """Sum of squared relative deviations of each row from its own mean; ``(B, N)``."""
    y = rows.values / scale.unsqueeze(-1)
    mean = y.sum(-1) / rows.count.clamp_min(1)
    squares = ((y - mean.unsqueeze(-1)) ** 2 * rows.seen).sum(-1)
    return squares / level**2


def _moment_sums(rows, scale, context):
    """Sums over context rows from which `PortfolioUnits` are made; ``(B, 10)``."""
    level = row_level(rows, scale)
    degrees = (rows.count - 1).clamp_min(0)
    squares = torch.minimum(_relative_squares(rows, scale, level), 4 * degrees)
    used = context * (rows.count > 0)
    log_level = level.log()
    zeros = ((rows.values == 0) * rows.seen).sum(-1)
    columns = (
        used,
        log_level * used,
        log_level**2 * used,
        squares * context,
        squares**2 / degrees.clamp_min(1) * context,
        squares * log_level * context,
        degrees * context,
        zeros * context,
        rows.count * context,
        context,
    )
    return torch.stack([column.sum(-1) for column in columns], dim=-1)


def portfolio_units(pieces, weights, whole):
    """`PortfolioUnits` of the context rows, given in pieces ``(B, N_c, n)``."""
    logs = [_log_scale_sums(as_rows(x), w) for x, w in zip(pieces, weights, strict=True)]
    log_sum, log_count = (sum(column) for column in zip(*logs, strict=True))
    scale = (log_sum / log_count.clamp_min(1)).exp()
    moment_sums = sum(
        _moment_sums(as_rows(x), scale, w) for x, w in zip(pieces, weights, strict=True)
    )
    columns = moment_sums.unsqueeze(-2).unbind(-1)
    used, total, total_square, squares, fourth, tilted, degrees, zeros, cells, n_rows = columns
    centre = total / used.clamp_min(1)
    variance = (total_square / used.clamp_min(1) - centre**2).clamp_min(0)
    noise = ((squares + 0.02 * (variance + 0.25)) / (degrees + 0.02)).sqrt()
    return PortfolioUnits(
        scale=scale,
        noise=noise.clamp(*NOISE_RANGE),
        unevenness=((fourth * degrees + 1e-6) / (squares**2 + 1e-6)).log(),
        slope=(tilted / (squares + 1e-6) - centre) * (degrees > 0),
        spread=(variance + 1e-4).sqrt(),
        centre=centre,
        zero_share=zeros / cells.clamp_min(1),
        log_rows=used.clamp(1, N_CONTEXT_SEEN).log(),
        log_depth=(cells / n_rows.clamp_min(1)).log1p(),
        whole=whole,
    )


def portfolio_features(units):
    """Features that all rows of a portfolio share, ``(B, 1, 9)``."""
    return torch.stack(
        [
            units.noise.log(),
            units.unevenness,
            torch.asinh(units.slope),
            units.spread.log(),
            units.zero_share,
            units.log_rows / 3,
            units.log_depth / 2,
            units.whole,
            units.whole * units.scale.log().clamp(-4, MAX_LOG_COUNT) / 4,
        ],
        dim=-1,
    )


N_PORTFOLIO_FEATURES = 9
N_CELL_FEATURES = 7
N_ROW_FEATURES = 9 + N_ORDER_STATISTICS


def cell_features(rows, units, level):
    """Features of every observation, ``(B, N, n, 7)``.

    Each is set against its row's level, and against the level of the row's *other*
    observations: that is how far a next outcome may lie from what is known.
    """
    y = rows.values / units.scale.unsqueeze(-1)
    level = level.unsqueeze(-1)
    others = (y.sum(-1, keepdim=True) - y + LEVEL_WEIGHT) / (
        rows.count.unsqueeze(-1) - 1 + LEVEL_WEIGHT
    ).clamp_min(LEVEL_WEIGHT)
    noise = units.noise.unsqueeze(-1)
    whole = units.whole.unsqueeze(-1)
    return torch.stack(
        [
            torch.asinh((y / level - 1) / noise),
            (y / level + 0.02).log(),
            torch.asinh((y / others - 1) / noise),
            (y / others + 0.02).log(),
            (rows.values == 0).to(y.dtype),
            (y + 0.05).log(),
            whole * torch.asinh(rows.values).clamp_max(MAX_LOG_COUNT) / 4,
        ],
        dim=-1,
    )


def _order_statistics(rows, units, level):
    """Standardised order statistics of each row, ``(B, N, 8)``; 0 for an empty row."""
    last = (rows.count - 1).clamp_min(0).unsqueeze(-1)
    fractions = torch.linspace(
        0, 1, N_ORDER_STATISTICS, dtype=rows.values.dtype, device=rows.values.device
    )
    position = last * fractions
    lower = position.floor()
    share = position - lower
    upper = torch.minimum(lower + 1, last)
    values = rows.values / units.scale.unsqueeze(-1)
    at = torch.lerp(values.gather(-1, lower.long()), values.gather(-1, upper.long()), share)
    standard = torch.asinh((at / level.unsqueeze(-1) - 1) / units.noise.unsqueeze(-1))
    return standard * (rows.count > 0).unsqueeze(-1)


def row_features(rows, units, level):
    """Summaries of every row, ``(B, N, 17)``."""
    log_level = level.log()
    degrees = (rows.count - 1).clamp_min(0)
    variance = _relative_squares(rows, units.scale, level) / degrees.clamp_min(1)
    relative_noise = 0.5 * ((variance + 0.01 * units.noise**2) / units.noise**2).log()
    zeros = ((rows.values == 0) * rows.seen).sum(-1)
    count_level = (log_level + units.scale.log()).clamp(-5, MAX_LOG_COUNT)
    summaries = torch.stack(
        [
            log_level,
            (log_level - units.centre) / units.spread,
            torch.asinh((log_level - units.centre) / units.noise),
            rows.count.log1p(),
            (rows.count == 0).to(level.dtype),
            1 / (rows.count + 0.5),
            zeros / rows.count.clamp_min(1),
            relative_noise * (degrees > 0),
            units.whole * count_level / 4,
        ],
        dim=-1,
    )
    return torch.cat([summaries, _order_statistics(rows, units, level)], dim=-1)
