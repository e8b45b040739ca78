"""What the network sees of Poisson counts: features of rows and portfolios.

Plain torch functions. Shapes are written ``(B, N)``: ``B`` portfolios of ``N`` rows.
"""

import torch

from sklearn_pttf._kinds.counts.units import (
    exposure,
    level_credibility,
    posteriors_of,
    row_mean,
)

N_CELL_FEATURES = 2
N_ROW_FEATURES = 20
N_PORTFOLIO_FEATURES = 23
LEAST = 0.01  # beside what logs are taken of


def portfolio_features(units):
    """Features that all rows of a portfolio share, ``(B, 1, 23)``."""
    shapes = torch.linspace(-1, 1, units.shapes.shape[-1], dtype=units.scale.dtype)
    shape = (units.shapes * shapes.to(units.scale.device)).sum(-1, keepdim=True)
    found = [
        units.scale.log() / 3,
        0.5 * units.level_variance.log(),
        0.5 * (units.level_variance * units.scale).log(),
        shape,
        units.log_rows / 3,
        units.log_depth / 2,
        -(1 - units.fits).log() / 2,
        (units.segment_means + LEAST).log(),
        units.segment_weights,
        (units.weights * units.weights.log()).sum(-1, keepdim=True) / 4,
    ]
    return torch.cat(found, dim=-1).unsqueeze(-2)


def cell_features(rows, units):
    """Of the one cell that stands for all of a row's, ``(B, N, 1, 2)``."""
    mean = row_mean(rows, units)
    away = 2 * ((rows.total + 0.375).sqrt() - (exposure(rows, units) + 0.375).sqrt())
    return torch.stack([torch.asinh(away), (mean + LEAST).log()], dim=-1).unsqueeze(-2)


def row_features(rows, units):
    """Summaries of every row, ``(B, N, 20)``."""
    mean, expected = row_mean(rows, units), exposure(rows, units)
    found = posteriors_of(rows, units)
    gamma, doubt = found.means[..., :1], found.deviations[..., :1]
    summaries = torch.stack(
        [
            torch.asinh((rows.total - expected) / (expected + 1).sqrt()),
            2 * ((rows.total + 0.375).sqrt() - (expected + 0.375).sqrt()).clamp(-20, 20) / 3,
            (mean + LEAST).log(),
            rows.total.log1p() / 2,
            (rows.total == 0).to(mean.dtype),
            (rows.total == 1).to(mean.dtype),
            rows.count.log1p(),
            (rows.count == 0).to(mean.dtype),
            1 / (rows.count + 0.5),
            level_credibility(rows, units).logit() / 2,
            torch.asinh(found.without_shape.skew),
        ],
        dim=-1,
    )
    return torch.cat(
        [
            summaries,
            (gamma + LEAST).log(),
            (doubt + LEAST).log(),
            ((found.means[..., 1:] - gamma) / doubt.clamp_min(1e-4)).clamp(-10, 10),
            (found.deviations[..., 1:] / doubt.clamp_min(1e-4) + LEAST).log(),
            torch.asinh((found.means[..., -1] - mean) * expected.clamp_min(0.1)).unsqueeze(-1),
        ],
        dim=-1,
    )
