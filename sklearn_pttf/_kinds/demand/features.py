"""What the network sees: features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations, of rows, or,
for continuous outcomes, on the unit of measurement.
"""

import torch

from sklearn_pttf._kinds.demand.units import (
    LEVEL_WEIGHT,
    excess_log_noise,
    level_credibility,
    n_zeros,
    noise_credibility,
    positive_part,
    row_noise,
    zero_credibility,
)

N_ORDER_STATISTICS = 8
MAX_LOG_COUNT = 12.0  # whole numbers above e^12 look continuous
N_PORTFOLIO_FEATURES = 19
N_CELL_FEATURES = 7
N_ROW_FEATURES = 16 + N_ORDER_STATISTICS


def portfolio_features(units):
    """Features that all rows of a portfolio share, ``(B, 1, 19)``."""
    return torch.stack(
        [
            units.noise.log(),
            units.unevenness,
            0.5 * units.noise_variance.log(),
            (units.extra_noise / units.noise).log(),
            units.count_share * units.whole,
            0.5 * (units.level_variance / units.noise**2).log(),
            torch.asinh(units.slope),
            units.spread.log(),
            units.zero_share,
            units.zero_odds / 3,
            (units.log_mean - units.centre).clamp(-8, 8),
            units.whole * (units.log_mean + units.scale.log()).clamp(-8, MAX_LOG_COUNT) / 4,
            (units.zero_spread + 0.05).log(),
            units.extra_zeros,
            (units.positive_noise / units.noise).log(),
            units.log_rows / 3,
            units.log_depth / 2,
            units.whole,
            units.whole * units.scale.log().clamp(-4, MAX_LOG_COUNT) / 4,
        ],
        dim=-1,
    )


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
    """Summaries of every row, ``(B, N, 24)``."""
    log_level = level.log()
    part = positive_part(rows, units.scale)
    degrees = (part.count - 1).clamp_min(0)
    positive_noise = part.squares / degrees.clamp_min(1) / units.positive_noise**2
    count_level = (log_level + units.scale.log()).clamp(-5, MAX_LOG_COUNT)
    summaries = torch.stack(
        [
            log_level,
            ((log_level - units.centre) / units.spread).clamp(-10, 10),
            level_credibility(rows, units, level).logit() / 2,
            noise_credibility(rows, units).logit() / 2,
            torch.asinh((log_level - units.centre) / units.noise),
            rows.count.log1p(),
            (rows.count == 0).to(level.dtype),
            1 / (rows.count + 0.5),
            zero_credibility(rows, units).logit() / 4,
            n_zeros(rows) / rows.count.clamp_min(1),
            part.level.log() - log_level,
            part.count.log1p() / 2,
            0.5 * (positive_noise + 0.05).log() * (degrees > 0),
            excess_log_noise(rows, units, level),
            (row_noise(units, level) / units.noise).log(),
            units.whole * count_level / 4,
        ],
        dim=-1,
    )
    return torch.cat([summaries, _order_statistics(rows, units, level)], dim=-1)
