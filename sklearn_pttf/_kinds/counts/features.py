"""What the network sees of Poisson counts: features of rows and portfolios.

Plain torch functions. Shapes are written ``(B, N)``: ``B`` portfolios of ``N`` rows.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.counts.mixing import LAWS, MOST_SEGMENTS, N_SEGMENTS
from sklearn_pttf._kinds.counts.units import (
    exposure,
    level_credibility,
    posteriors_of,
    row_mean,
)
from sklearn_pttf._kinds.features import FAR, WIDE, WIDEST, side_by_side

LEAST = 0.01  # beside what logs are taken of, which may be 0
LEAST_DEVIATION = 1e-4  # of a row's mean, which others are divided by
LEAST_EXPECTED = 0.1  # counts, by which a difference of means is multiplied
TO_NORMAL = 0.375  # roots of counts plus 3/8 are next to normal (Anscombe)
FAR_IN_ROOTS = 40.0  # standard deviations between a count and what is expected

SEGMENTS = tuple(f"{k}_of_{n}" for n in N_SEGMENTS for k in range(MOST_SEGMENTS))
OTHER_LAWS = LAWS[1:]  # than the gamma one, with which they are compared


class PortfolioSummaries(NamedTuple):
    """What all rows of a portfolio share, but for its distributions of means; logs mostly."""

    scale: torch.Tensor  # mean of rows' means
    level_spread: torch.Tensor  # deviation of rows' means beyond chance, over their mean
    level_signal: torch.Tensor  # that over the deviation of a count by chance
    shape: torch.Tensor  # of the gamma law, from -1, most spread, to 1; no log
    n_rows: torch.Tensor
    depth: torch.Tensor  # one plus the mean number of observations


class CellFeatures(NamedTuple):
    """What the one cell shows that stands for all of a row's."""

    off_expected: torch.Tensor  # asinh of its total from what is expected, in deviations by chance
    mean: torch.Tensor  # log of the row's mean over the portfolio's


class RowSummaries(NamedTuple):
    """What a row shows, and what the gamma law says of it."""

    off_expected: torch.Tensor  # asinh of its total from what is expected, in deviations
    off_in_roots: torch.Tensor  # the same by roots of counts
    mean: torch.Tensor  # log, over the portfolio's
    total: torch.Tensor  # log of one plus that
    zero: torch.Tensor  # 1 where nothing was counted
    one: torch.Tensor  # 1 where one was
    exposure: torch.Tensor  # log of one plus what was counted over
    empty: torch.Tensor  # 1 of a row without observations
    one_over_exposure: torch.Tensor  # about one over what was counted over
    level_trust: torch.Tensor  # logit of the credibility of its mean
    skew: torch.Tensor  # asinh of that of its mean, without a shape
    gamma_mean: torch.Tensor  # log of its mean by the gamma law
    gamma_deviation: torch.Tensor  # log of the deviation of that


PORTFOLIO_FEATURES = (
    *PortfolioSummaries._fields,
    *(f"lost_fit_{law}" for law in LAWS),  # log likelihood less that of the best
    *(f"segment_mean_{segment}" for segment in SEGMENTS),  # log
    *(f"segment_weight_{segment}" for segment in SEGMENTS),
    "entropy",  # of the distribution without a shape, with the sign turned
)
CELL_FEATURES = CellFeatures._fields
ROW_FEATURES = (
    *RowSummaries._fields,
    *(f"mean_{law}" for law in OTHER_LAWS),  # from the gamma law's, in its deviations
    *(f"deviation_{law}" for law in OTHER_LAWS),  # log, over the gamma law's
    "off_own_without_shape",  # asinh of the mean without a shape from the row's own, in counts
)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""
    shapes = torch.linspace(-1, 1, units.shapes.shape[-1], dtype=units.scale.dtype)
    summaries = PortfolioSummaries(
        scale=units.scale.log() / WIDE,
        level_spread=0.5 * units.level_variance.log(),
        level_signal=0.5 * (units.level_variance * units.scale).log(),
        shape=(units.shapes * shapes.to(units.scale.device)).sum(-1, keepdim=True),
        n_rows=units.log_rows / WIDE,
        depth=units.log_depth / 2,
    )
    found = [
        side_by_side(summaries).squeeze(-2),
        -(1 - units.fits).log() / 2,
        (units.segment_means + LEAST).log(),
        units.segment_weights,
        (units.weights * units.weights.log()).sum(-1, keepdim=True) / WIDEST,
    ]
    return torch.cat(found, dim=-1).unsqueeze(-2)


def _off_in_roots(total, expected):
    """How far counts are from what is expected, in standard deviations; ``(B, N)``."""
    return 2 * ((total + TO_NORMAL).sqrt() - (expected + TO_NORMAL).sqrt())


def cell_features(rows, units):
    """Of the one cell that stands for all of a row's; ``(B, N, 1, n_cell_features)``."""
    features = CellFeatures(
        off_expected=torch.asinh(_off_in_roots(rows.total, exposure(rows, units))),
        mean=(row_mean(rows, units) + LEAST).log(),
    )
    return side_by_side(features).unsqueeze(-2)


def row_features(rows, units):
    """Summaries of every row; ``(B, N, n_row_features)``."""
    mean, expected = row_mean(rows, units), exposure(rows, units)
    found = posteriors_of(rows, units)
    gamma, doubt = found.means[..., :1], found.deviations[..., :1]
    off_in_roots = _off_in_roots(rows.total, expected)
    summaries = RowSummaries(
        off_expected=torch.asinh((rows.total - expected) / (expected + 1).sqrt()),
        off_in_roots=off_in_roots.clamp(-FAR_IN_ROOTS, FAR_IN_ROOTS) / WIDE,
        mean=(mean + LEAST).log(),
        total=rows.total.log1p() / 2,
        zero=(rows.total == 0).to(mean.dtype),
        one=(rows.total == 1).to(mean.dtype),
        exposure=rows.count.log1p(),
        empty=(rows.count == 0).to(mean.dtype),
        one_over_exposure=1 / (rows.count + 0.5),
        level_trust=level_credibility(rows, units).logit() / 2,
        skew=torch.asinh(found.without_shape.skew),
        gamma_mean=(gamma.squeeze(-1) + LEAST).log(),
        gamma_deviation=(doubt.squeeze(-1) + LEAST).log(),
    )
    least = doubt.clamp_min(LEAST_DEVIATION)
    off_own = (found.means[..., -1] - mean) * expected.clamp_min(LEAST_EXPECTED)
    by_law = [
        ((found.means[..., 1:] - gamma) / least).clamp(-FAR, FAR),
        (found.deviations[..., 1:] / least + LEAST).log(),
        torch.asinh(off_own).unsqueeze(-1),
    ]
    return torch.cat([side_by_side(summaries), *by_law], dim=-1)
