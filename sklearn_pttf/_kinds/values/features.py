"""What the network sees of real values: features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations or of rows, nor
on the origin and the unit of measurement.
"""

import torch

from sklearn_pttf._kinds.values.units import (
    chance_variance,
    common_noise,
    excess_log_noise,
    level_credibility,
    noise_credibility,
    posterior_deviation,
    posterior_of,
    row_mean,
    row_noise,
    standard,
)

N_ORDER_STATISTICS = 8
N_CELL_FEATURES = 4
N_ROW_FEATURES = 20 + N_ORDER_STATISTICS
N_PORTFOLIO_FEATURES = 15


def portfolio_features(units):
    """Features that all rows of a portfolio share, ``(B, 1, 15)``."""
    return torch.stack(
        [
            units.noise.log(),
            0.5 * units.level_variance.log(),
            0.5 * (units.level_variance / units.noise**2).log(),
            units.noise_centre,
            0.5 * units.noise_variance.log(),
            units.noise_tail,
            units.noise_skew,
            units.level_tail,
            units.level_skew,
            4 * (units.level_core - 0.8),
            torch.asinh(units.slope),
            units.known,
            units.log_rows / 3,
            units.log_depth / 2,
            torch.asinh(units.centre),
        ],
        dim=-1,
    )


def cell_features(rows, units):
    """Features of every observation, ``(B, N, n, 4)``."""
    y, mean = standard(rows, units), row_mean(rows, units).unsqueeze(-1)
    noise = row_noise(rows, units).unsqueeze(-1)
    count = rows.count.unsqueeze(-1)
    centre = units.centre.unsqueeze(-1)
    others = (y.sum(-1, keepdim=True) - y) / (count - 1).clamp_min(1)
    others = torch.where(count > 1, others, centre)
    spread = (units.level_variance.unsqueeze(-1) + noise**2).sqrt()
    return torch.stack(
        [
            torch.asinh((y - mean) / noise),
            torch.asinh((y - others) / noise),
            torch.asinh((y - centre) / spread),
            torch.asinh(y - centre),
        ],
        dim=-1,
    )


def _order_statistics(rows, units, mean, noise):
    """Standardised order statistics of each row, ``(B, N, 8)``; 0 for an empty row."""
    last = (rows.count - 1).clamp_min(0).unsqueeze(-1)
    fractions = torch.linspace(
        0, 1, N_ORDER_STATISTICS, dtype=rows.values.dtype, device=rows.values.device
    )
    position = last * fractions
    lower = position.floor()
    upper = torch.minimum(lower + 1, last)
    y = standard(rows, units)
    at = torch.lerp(y.gather(-1, lower.long()), y.gather(-1, upper.long()), position - lower)
    spread = torch.asinh((at - mean.unsqueeze(-1)) / noise.unsqueeze(-1))
    return spread * (rows.count > 0).unsqueeze(-1)


def row_features(rows, units):
    """Summaries of every row, ``(B, N, 28)``."""
    mean, noise = row_mean(rows, units), row_noise(rows, units)
    chance = chance_variance(rows, units)
    away = mean - units.centre
    known = (~rows.errors.isnan()).to(mean.dtype)
    mixed, doubt = posterior_of(rows, units), posterior_deviation(rows, units)
    pooled = units.centre + level_credibility(rows, units) * away
    summaries = torch.stack(
        [
            (away / (units.level_variance + chance).sqrt()).clamp(-10, 10),
            torch.asinh(away / chance.sqrt()),
            torch.asinh(away / units.level_variance.sqrt()),
            torch.asinh(away),
            level_credibility(rows, units).logit() / 2,
            noise_credibility(rows, units).logit() / 2,
            excess_log_noise(rows, units),
            (noise / units.noise).log().clamp(-5, 5),
            noise.log(),
            0.5 * chance.log(),
            known,
            rows.count.log1p(),
            (rows.count == 0).to(mean.dtype),
            1 / (rows.count + 0.5),
            ((mixed.mean - pooled) / doubt).clamp(-10, 10),
            torch.asinh((mixed.mean - mean) / chance.sqrt()),
            torch.asinh(mixed.mean - units.centre),
            (mixed.deviation / doubt + 0.01).log(),
            torch.asinh(mixed.skew),
            known * (common_noise(rows, units) / units.noise).log().clamp(-5, 5),
        ],
        dim=-1,
    )
    return torch.cat([summaries, _order_statistics(rows, units, mean, noise)], dim=-1)
