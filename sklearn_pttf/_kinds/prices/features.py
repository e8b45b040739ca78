"""What the network sees of demand at a price: features beside those of demand without prices.

Plain torch functions; shapes as in demand's ``features.py``, with ``Q`` prices that are asked
about.
"""

from typing import NamedTuple

import torch

import sklearn_pttf._kinds.demand.features as demand
from sklearn_pttf._kinds.demand.units import row_level
from sklearn_pttf._kinds.features import WIDE, WIDEST, side_by_side
from sklearn_pttf._kinds.prices.curves import FAMILIES
from sklearn_pttf._kinds.prices.units import curve_summaries

NEAR = 0.08  # log of the ratio of prices that tell of each other; of a normal curve around a price
NARROW, NARROWEST = 2.0, 4.0  # what log prices are multiplied by: most are within half of the usual
LEAST_SQUARE = 1e-6  # added to mean squares of log prices, which may be 0, before their log


class AddedCellFeatures(NamedTuple):
    """What a pair of price and demand shows, beside its demand at the usual price."""

    x: torch.Tensor  # log of its price over the row's usual one
    x_of_portfolio: torch.Tensor  # log of its price over the portfolio's usual one
    tilt: torch.Tensor  # the first times how far its demand is off the row's curve


class AddedRowSummaries(NamedTuple):
    """What prices of a row show; logs over its usual price but for the first."""

    usual: torch.Tensor  # log of its usual price over the portfolio's
    low: torch.Tensor
    high: torch.Tensor
    spread: torch.Tensor  # log of the mean square of all


class AddedPortfolioSummaries(NamedTuple):
    """What prices of a portfolio show, but for its curves."""

    price_spread: torch.Tensor  # log of the deviation of rows' usual log prices
    price_within: torch.Tensor  # log of that of log prices around them
    level_slope: torch.Tensor  # asinh of that of log levels on usual log prices
    level_fit: torch.Tensor  # correlation of the two
    single_share: torch.Tensor  # of rows that had one price only
    unlike: torch.Tensor  # how much better rows fit with curves of their own
    linked: torch.Tensor  # how much better they fit as one product at many prices


class QueryFeatures(NamedTuple):
    """What is known of demand at a price that is asked about; logs but for the last."""

    x: torch.Tensor  # over the row's usual price
    x_square: torch.Tensor
    curve: torch.Tensor  # of demand over that at the usual price, by the row's curve
    revenue: torch.Tensor  # likewise
    common: torch.Tensor  # as ``curve``, by the curve that rows share
    common_off_curve: torch.Tensor  # one less the other
    x_of_low: torch.Tensor  # over the row's lowest price
    x_of_high: torch.Tensor  # over the row's highest
    x_of_portfolio: torch.Tensor  # over the portfolio's usual price
    n_near: torch.Tensor  # one plus the number of pairs at about this price
    local: torch.Tensor  # how far these are off the row's curve, pulled to 0


def _of_curves(whose):
    """Names of `curve_summaries`."""
    families = (f"share_{family}" for family in FAMILIES)
    return tuple(f"{whose}_{name}" for name in ("elasticity", "elasticity_doubt", *families))


CELL_FEATURES = (*demand.CELL_FEATURES, *AddedCellFeatures._fields)
ROW_FEATURES = (*demand.ROW_FEATURES, *AddedRowSummaries._fields, *_of_curves("own"))
PORTFOLIO_FEATURES = (
    *demand.PORTFOLIO_FEATURES,
    *AddedPortfolioSummaries._fields,
    *_of_curves("mixed"),
    *_of_curves("common"),
)
QUERY_FEATURES = QueryFeatures._fields


def _residuals(rows, units):
    """Of demand at the usual price from its row's level, in units of noise; ``(B, N, n)``."""
    level = row_level(rows, units.scale).unsqueeze(-1)
    y = rows.values / units.scale.unsqueeze(-1)
    return torch.asinh((y / level - 1) / units.noise.unsqueeze(-1)) * rows.seen


def cell_features(rows, units):
    """Features of every pair; ``(B, N, n, n_cell_features)``."""
    of_demand = demand.cell_features(rows, units, row_level(rows, units.scale))
    added = AddedCellFeatures(
        x=NARROW * rows.x,
        x_of_portfolio=rows.x + (rows.usual - units.price_centre).unsqueeze(-1),
        tilt=NARROWEST * rows.x * _residuals(rows, units),
    )
    return torch.cat([of_demand, side_by_side(added)], dim=-1)


def row_features(rows, units):
    """Summaries of every row; ``(B, N, n_row_features)``."""
    of_demand = demand.row_features(rows, units, row_level(rows, units.scale))
    squares = (rows.x**2).sum(-1) / rows.count.clamp_min(1)
    added = AddedRowSummaries(
        usual=rows.usual - units.price_centre,
        low=NARROW * rows.low,
        high=NARROW * rows.high,
        spread=(squares + LEAST_SQUARE).log() / WIDEST,
    )
    return torch.cat([of_demand, side_by_side(added), curve_summaries(rows.curves)], dim=-1)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""
    added = AddedPortfolioSummaries(
        price_spread=units.price_spread.log() / 2,
        price_within=units.price_within.log() / 2,
        level_slope=torch.asinh(units.level_slope),
        level_fit=units.level_fit,
        single_share=units.single_share,
        unlike=units.unlike,
        linked=units.linked / WIDE,
    )
    curves = torch.cat([curve_summaries(units.mixture), units.common_facts], dim=-1).unsqueeze(-2)
    return torch.cat([demand.portfolio_features(units), side_by_side(added), curves], dim=-1)


def query_features(x, curve, common, rows, units):
    """Features of every price that is asked about; ``(B, N, Q, n_query_features)``.

    Parameters
    ----------
    x : Tensor of shape (B, N, Q)
        Log of the price over the row's usual one.

    curve, common : Tensor of shape (B, N, Q)
        Log of demand there over that at the usual price, by the row's curve, and by the one that
        rows share.
    """
    away = x.unsqueeze(-1) - rows.x.unsqueeze(-2)  # (B, N, Q, n)
    near = (-0.5 * (away / NEAR) ** 2).exp() * rows.seen.unsqueeze(-2)
    known = near.sum(-1)
    features = QueryFeatures(
        x=x,
        x_square=x**2,
        curve=curve,
        revenue=curve + x,
        common=common,
        common_off_curve=common - curve,
        x_of_low=x - rows.low.unsqueeze(-1),
        x_of_high=x - rows.high.unsqueeze(-1),
        x_of_portfolio=x + (rows.usual - units.price_centre).unsqueeze(-1),
        n_near=known.log1p(),
        local=(near * _residuals(rows, units).unsqueeze(-2)).sum(-1) / (known + 1),
    )
    return side_by_side(features)
