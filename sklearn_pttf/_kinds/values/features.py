"""What the network sees of real values: features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations or of rows, nor
on the origin and the unit of measurement.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.features import (
    FAR,
    ORDER_STATISTICS,
    WIDE,
    order_statistics,
    side_by_side,
)
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

NORMAL_CORE = 0.8  # about the mean of absolute deviations over the standard one, if normal
CORE_SIZE = 4.0  # what its differences from that, which are small, are multiplied by
MOST_UNLIKE = 5.0  # log of a row's noise over the portfolio's, either way
LEAST_RATIO = 0.01  # added to a ratio of deviations, which may be 0, before its log


class PortfolioFeatures(NamedTuple):
    """What all rows of a portfolio share; in units of its scale."""

    noise: torch.Tensor  # log
    level_spread: torch.Tensor  # log of the standard deviation of rows' means, beyond chance
    level_signal: torch.Tensor  # log of that over the noise
    noise_centre: torch.Tensor  # mean of rows' log noise against the expected one
    noise_spread: torch.Tensor  # log of the standard deviation of rows' log noise
    noise_tail: torch.Tensor  # how heavy tails of observations are
    noise_skew: torch.Tensor
    level_tail: torch.Tensor  # how heavy tails of rows' means are
    level_skew: torch.Tensor
    level_core: torch.Tensor  # how far most rows' means lie closer together than normal ones
    slope: torch.Tensor  # asinh: whether rows of high means are noisier
    known: torch.Tensor  # share of rows whose standard errors are known
    n_rows: torch.Tensor  # log
    depth: torch.Tensor  # log of one plus the mean number of observations
    centre: torch.Tensor  # asinh of the mean of rows' means


class CellFeatures(NamedTuple):
    """How far an observation lies from what it may be set against; asinh of each."""

    off_mean: torch.Tensor  # its row's mean, in units of the row's noise
    off_others: torch.Tensor  # the mean of the row's other observations, likewise
    off_centre: torch.Tensor  # the portfolio's mean, in deviations of an observation from it
    off_centre_in_scale: torch.Tensor  # the portfolio's mean, in units of scale


class RowSummaries(NamedTuple):
    """What a row shows, but for its order statistics."""

    off_centre: torch.Tensor  # its mean from the portfolio's, in deviations of rows' means
    off_centre_by_chance: torch.Tensor  # asinh, in deviations by chance
    off_centre_by_level: torch.Tensor  # asinh, in deviations beyond chance
    off_centre_in_scale: torch.Tensor  # asinh, in units of scale
    level_trust: torch.Tensor  # logit of the credibility of its mean
    noise_trust: torch.Tensor  # logit of the credibility of its noise
    own_noise: torch.Tensor  # log of its noise over what is expected
    noise_over_common: torch.Tensor  # log of the noise it is taken to have over the portfolio's
    noise: torch.Tensor  # log of that
    chance: torch.Tensor  # log of the standard error of its mean
    known: torch.Tensor  # 1 where its standard error is known
    n_seen: torch.Tensor  # log of one plus the number of observations
    empty: torch.Tensor  # 1 of a row without any
    one_over_seen: torch.Tensor  # about one over their number
    mixed_off_pooled: torch.Tensor  # its mean without a shape less that by credibility
    mixed_off_own: torch.Tensor  # asinh of that without a shape less its own, by chance
    mixed_off_centre: torch.Tensor  # asinh of that less the portfolio's
    mixed_doubt: torch.Tensor  # log of its deviation over that by credibility
    mixed_skew: torch.Tensor  # asinh of its skewness
    known_noise: torch.Tensor  # log of the noise that is known over the portfolio's; else 0


PORTFOLIO_FEATURES = PortfolioFeatures._fields
CELL_FEATURES = CellFeatures._fields
ROW_FEATURES = (*RowSummaries._fields, *ORDER_STATISTICS)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""
    features = PortfolioFeatures(
        noise=units.noise.log(),
        level_spread=0.5 * units.level_variance.log(),
        level_signal=0.5 * (units.level_variance / units.noise**2).log(),
        noise_centre=units.noise_centre,
        noise_spread=0.5 * units.noise_variance.log(),
        noise_tail=units.noise_tail,
        noise_skew=units.noise_skew,
        level_tail=units.level_tail,
        level_skew=units.level_skew,
        level_core=CORE_SIZE * (units.level_core - NORMAL_CORE),
        slope=torch.asinh(units.slope),
        known=units.known,
        n_rows=units.log_rows / WIDE,
        depth=units.log_depth / 2,
        centre=torch.asinh(units.centre),
    )
    return side_by_side(features)


def cell_features(rows, units):
    """Features of every observation; ``(B, N, n, n_cell_features)``."""
    y, mean = standard(rows, units), row_mean(rows, units).unsqueeze(-1)
    noise = row_noise(rows, units).unsqueeze(-1)
    count = rows.count.unsqueeze(-1)
    centre = units.centre.unsqueeze(-1)
    others = (y.sum(-1, keepdim=True) - y) / (count - 1).clamp_min(1)
    others = torch.where(count > 1, others, centre)
    spread = (units.level_variance.unsqueeze(-1) + noise**2).sqrt()
    features = CellFeatures(
        off_mean=torch.asinh((y - mean) / noise),
        off_others=torch.asinh((y - others) / noise),
        off_centre=torch.asinh((y - centre) / spread),
        off_centre_in_scale=torch.asinh(y - centre),
    )
    return side_by_side(features)


def _order_statistics(rows, units, mean, noise):
    """Standardised order statistics of each row; ``(B, N, 8)``, 0 for an empty row."""
    at = order_statistics(standard(rows, units), rows.count)
    spread = torch.asinh((at - mean.unsqueeze(-1)) / noise.unsqueeze(-1))
    return spread * (rows.count > 0).unsqueeze(-1)


def row_features(rows, units):
    """Summaries of every row; ``(B, N, n_row_features)``."""
    mean, noise = row_mean(rows, units), row_noise(rows, units)
    chance = chance_variance(rows, units)
    away = mean - units.centre
    known = (~rows.errors.isnan()).to(mean.dtype)
    known_noise = common_noise(rows, units) / units.noise
    mixed, doubt = posterior_of(rows, units), posterior_deviation(rows, units)
    pooled = units.centre + level_credibility(rows, units) * away
    summaries = RowSummaries(
        off_centre=(away / (units.level_variance + chance).sqrt()).clamp(-FAR, FAR),
        off_centre_by_chance=torch.asinh(away / chance.sqrt()),
        off_centre_by_level=torch.asinh(away / units.level_variance.sqrt()),
        off_centre_in_scale=torch.asinh(away),
        level_trust=level_credibility(rows, units).logit() / 2,
        noise_trust=noise_credibility(rows, units).logit() / 2,
        own_noise=excess_log_noise(rows, units),
        noise_over_common=(noise / units.noise).log().clamp(-MOST_UNLIKE, MOST_UNLIKE),
        noise=noise.log(),
        chance=0.5 * chance.log(),
        known=known,
        n_seen=rows.count.log1p(),
        empty=(rows.count == 0).to(mean.dtype),
        one_over_seen=1 / (rows.count + 0.5),
        mixed_off_pooled=((mixed.mean - pooled) / doubt).clamp(-FAR, FAR),
        mixed_off_own=torch.asinh((mixed.mean - mean) / chance.sqrt()),
        mixed_off_centre=torch.asinh(mixed.mean - units.centre),
        mixed_doubt=(mixed.deviation / doubt + LEAST_RATIO).log(),
        mixed_skew=torch.asinh(mixed.skew),
        known_noise=known * known_noise.log().clamp(-MOST_UNLIKE, MOST_UNLIKE),
    )
    statistics = _order_statistics(rows, units, mean, noise)
    return torch.cat([side_by_side(summaries), statistics], dim=-1)
