"""What the network sees: features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations, of rows, or,
for continuous outcomes, on the unit of measurement.
"""

from typing import NamedTuple

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
from sklearn_pttf._kinds.features import (
    FAR,
    ORDER_STATISTICS,
    WIDE,
    WIDEST,
    order_statistics,
    side_by_side,
)

MAX_LOG_COUNT = 12.0  # whole numbers above e^12 look continuous
LEAST_LOG_MEAN = -8.0  # of the log mean of whole numbers; less is all but no demand
LEAST_LOG_LEVEL = -5.0  # of a row's log level in whole numbers; likewise
LEAST_LOG_SCALE = -4.0  # of the log scale of whole numbers, none of which is below 1 by itself
MOST_ZEROS = 8.0  # log of levels over the mean, which zeros make smaller; either way
# added to what logs are taken of, which may be 0; in the unit of each
LEAST_OF_LEVEL = 0.02  # to an observation over its level
LEAST_AMOUNT = 0.05  # to an observation in units of the portfolio's scale
LEAST_SPREAD = 0.05  # to ratios of spreads


class PortfolioFeatures(NamedTuple):
    """What all rows of a portfolio share; logs unless said otherwise."""

    noise: torch.Tensor  # relative noise around rows' levels
    unevenness: torch.Tensor  # of rows' relative variances
    noise_spread: torch.Tensor  # standard deviation of rows' log noise, beyond chance
    extra_noise: torch.Tensor  # what of the noise is not that of counts
    count_noise: torch.Tensor  # share of Poisson noise that whole numbers have, no log
    level_signal: torch.Tensor  # spread of levels over noise
    slope: torch.Tensor  # asinh: whether high levels are noisier
    spread: torch.Tensor  # of rows' log levels, chance included
    zero_share: torch.Tensor  # no log
    zero_odds: torch.Tensor  # of zeros to others
    mean_over_level: torch.Tensor  # mean observation over the typical level
    whole_mean: torch.Tensor  # mean observation of whole numbers; 0 for others
    zero_spread: torch.Tensor  # how much shares of zeros differ, over chance
    extra_zeros: torch.Tensor  # share of zeros that are no small counts, no log
    positive_noise: torch.Tensor  # of positive observations, over the noise of all
    n_rows: torch.Tensor
    depth: torch.Tensor  # one plus the mean number of observations
    whole: torch.Tensor  # 1 for whole numbers, else 0
    whole_scale: torch.Tensor  # scale of whole numbers; 0 for others


class CellFeatures(NamedTuple):
    """What an observation shows."""

    off_level: torch.Tensor  # asinh of how far it is from its row's level, in units of noise
    over_level: torch.Tensor  # log of it over that level
    off_others: torch.Tensor  # as the first, of the level of the row's other observations
    over_others: torch.Tensor  # as the second, of that
    zero: torch.Tensor  # 1 of a zero
    amount: torch.Tensor  # log, in units of the portfolio's scale
    whole_amount: torch.Tensor  # asinh of a whole number; 0 for others


class RowSummaries(NamedTuple):
    """What a row shows, but for its order statistics."""

    level: torch.Tensor  # log, in units of the portfolio's scale
    off_centre: torch.Tensor  # how far that is from rows' mean, in their standard deviations
    level_trust: torch.Tensor  # logit of its credibility
    noise_trust: torch.Tensor  # logit of the credibility of the row's noise
    off_centre_in_noise: torch.Tensor  # asinh of the second, in units of noise
    n_seen: torch.Tensor  # log of one plus the number of observations
    empty: torch.Tensor  # 1 of a row without any
    one_over_seen: torch.Tensor  # about one over their number
    zero_logit: torch.Tensor  # of its share of zeros, pulled to the portfolio's
    zero_share: torch.Tensor
    positive_level: torch.Tensor  # log of the level of positives over that of all
    n_positive: torch.Tensor  # log of one plus the number of positives
    positive_noise: torch.Tensor  # log of the noise of positives, over the portfolio's
    own_noise: torch.Tensor  # log of its noise over what its level lets expect
    expected_noise: torch.Tensor  # log of that over the portfolio's noise
    whole_level: torch.Tensor  # log of the level in whole numbers; 0 for others


PORTFOLIO_FEATURES = PortfolioFeatures._fields
CELL_FEATURES = CellFeatures._fields
ROW_FEATURES = (*RowSummaries._fields, *ORDER_STATISTICS)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""
    log_scale = units.scale.log()
    whole_mean = (units.log_mean + log_scale).clamp(LEAST_LOG_MEAN, MAX_LOG_COUNT)
    features = PortfolioFeatures(
        noise=units.noise.log(),
        unevenness=units.unevenness,
        noise_spread=0.5 * units.noise_variance.log(),
        extra_noise=(units.extra_noise / units.noise).log(),
        count_noise=units.count_share * units.whole,
        level_signal=0.5 * (units.level_variance / units.noise**2).log(),
        slope=torch.asinh(units.slope),
        spread=units.spread.log(),
        zero_share=units.zero_share,
        zero_odds=units.zero_odds / WIDE,
        mean_over_level=(units.log_mean - units.centre).clamp(-MOST_ZEROS, MOST_ZEROS),
        whole_mean=units.whole * whole_mean / WIDEST,
        zero_spread=(units.zero_spread + LEAST_SPREAD).log(),
        extra_zeros=units.extra_zeros,
        positive_noise=(units.positive_noise / units.noise).log(),
        n_rows=units.log_rows / WIDE,
        depth=units.log_depth / 2,
        whole=units.whole,
        whole_scale=units.whole * log_scale.clamp(LEAST_LOG_SCALE, MAX_LOG_COUNT) / WIDEST,
    )
    return side_by_side(features)


def cell_features(rows, units, level):
    """Features of every observation; ``(B, N, n, n_cell_features)``.

    Each is set against its row's level, and against the level of the row's *other*
    observations: that is how far a next outcome may lie from what is known.
    """
    y = rows.values / units.scale.unsqueeze(-1)
    level = level.unsqueeze(-1)
    told, own = y * rows.seen, torch.where(rows.seen > 0, rows.seen, 1.0)
    others = (told.sum(-1, keepdim=True) - told + LEVEL_WEIGHT) / (
        rows.count.unsqueeze(-1) - own + LEVEL_WEIGHT
    ).clamp_min(LEVEL_WEIGHT)
    noise = units.noise.unsqueeze(-1)
    whole = units.whole.unsqueeze(-1)
    features = CellFeatures(
        off_level=torch.asinh((y / level - 1) / noise),
        over_level=(y / level + LEAST_OF_LEVEL).log(),
        off_others=torch.asinh((y / others - 1) / noise),
        over_others=(y / others + LEAST_OF_LEVEL).log(),
        zero=(rows.values == 0).to(y.dtype),
        amount=(y + LEAST_AMOUNT).log(),
        whole_amount=whole * torch.asinh(rows.values).clamp_max(MAX_LOG_COUNT) / WIDEST,
    )
    return side_by_side(features)


def _order_statistics(rows, units, level):
    """Standardised order statistics of each row; ``(B, N, 8)``, 0 for an empty row."""
    n_cells = (rows.seen > 0).to(rows.count.dtype).sum(-1)
    at = order_statistics(rows.values / units.scale.unsqueeze(-1), n_cells)
    standard = torch.asinh((at / level.unsqueeze(-1) - 1) / units.noise.unsqueeze(-1))
    return standard * (rows.count > 0).unsqueeze(-1)


def row_features(rows, units, level):
    """Summaries of every row; ``(B, N, n_row_features)``."""
    log_level = level.log()
    part = positive_part(rows, units.scale)
    degrees = (part.count - 1).clamp_min(0)
    positive_noise = part.squares / degrees.clamp_min(1) / units.positive_noise**2
    whole_level = (log_level + units.scale.log()).clamp(LEAST_LOG_LEVEL, MAX_LOG_COUNT)
    summaries = RowSummaries(
        level=log_level,
        off_centre=((log_level - units.centre) / units.spread).clamp(-FAR, FAR),
        level_trust=level_credibility(rows, units, level).logit() / 2,
        noise_trust=noise_credibility(rows, units).logit() / 2,
        off_centre_in_noise=torch.asinh((log_level - units.centre) / units.noise),
        n_seen=rows.count.log1p(),
        empty=(rows.count == 0).to(level.dtype),
        one_over_seen=1 / (rows.count + 0.5),
        zero_logit=zero_credibility(rows, units).logit() / WIDEST,
        zero_share=n_zeros(rows) / rows.count.clamp_min(1),
        positive_level=part.level.log() - log_level,
        n_positive=part.count.log1p() / 2,
        positive_noise=0.5 * (positive_noise + LEAST_SPREAD).log() * (degrees > 0),
        own_noise=excess_log_noise(rows, units, level),
        expected_noise=(row_noise(units, level) / units.noise).log(),
        whole_level=units.whole * whole_level / WIDEST,
    )
    return torch.cat([side_by_side(summaries), _order_statistics(rows, units, level)], dim=-1)
