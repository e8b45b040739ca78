"""What the network sees of demand at a price: features beside those of demand without prices.

Plain torch functions; shapes as in `_features.py`, with ``Q`` prices that are asked about.
"""

import torch

import sklearn_pttf._kinds.demand.features as demand
from sklearn_pttf._kinds.demand.units import row_level
from sklearn_pttf._kinds.prices.units import curve_summaries

N_CELL_FEATURES = demand.N_CELL_FEATURES + 3
N_ROW_FEATURES = demand.N_ROW_FEATURES + 10
N_PORTFOLIO_FEATURES = demand.N_PORTFOLIO_FEATURES + 19
N_QUERY_FEATURES = 11
NEAR = 0.08  # of log prices that tell of each other


def _residuals(rows, units):
    """Of demand at the usual price from its row's level, in units of noise; ``(B, N, n)``."""
    level = row_level(rows, units.scale).unsqueeze(-1)
    y = rows.values / units.scale.unsqueeze(-1)
    return torch.asinh((y / level - 1) / units.noise.unsqueeze(-1)) * rows.seen


def cell_features(rows, units):
    """Features of every pair; ``(B, N, n, 10)``."""
    of_demand = demand.cell_features(rows, units, row_level(rows, units.scale))
    residuals = _residuals(rows, units)
    beyond = rows.x + (rows.usual - units.price_centre).unsqueeze(-1)
    added = torch.stack([2 * rows.x, beyond, 4 * rows.x * residuals], dim=-1)
    return torch.cat([of_demand, added], dim=-1)


def row_features(rows, units):
    """Summaries of every row; ``(B, N, 34)``."""
    of_demand = demand.row_features(rows, units, row_level(rows, units.scale))
    squares = (rows.x**2).sum(-1) / rows.count.clamp_min(1)
    added = torch.stack(
        [
            rows.usual - units.price_centre,
            2 * rows.low,
            2 * rows.high,
            (squares + 1e-6).log() / 4,
        ],
        dim=-1,
    )
    return torch.cat([of_demand, added, curve_summaries(rows.curves)], dim=-1)


def portfolio_features(units):
    """Features that all rows of a portfolio share; ``(B, 1, 38)``."""
    added = torch.stack(
        [
            units.price_spread.log() / 2,
            units.price_within.log() / 2,
            torch.asinh(units.level_slope),
            units.level_fit,
            units.single_share,
            units.unlike,
            units.linked / 3,
        ],
        dim=-1,
    )
    curves = torch.cat([curve_summaries(units.mixture), units.common_facts], dim=-1).unsqueeze(-2)
    return torch.cat([demand.portfolio_features(units), added, curves], dim=-1)


def query_features(x, curve, common, rows, units):
    """Features of every price that is asked about; ``(B, N, Q, 11)``.

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
    local = (near * _residuals(rows, units).unsqueeze(-2)).sum(-1) / (known + 1)
    return torch.stack(
        [
            x,
            x**2,
            curve,
            curve + x,
            common,
            common - curve,
            x - rows.low.unsqueeze(-1),
            x - rows.high.unsqueeze(-1),
            x + (rows.usual - units.price_centre).unsqueeze(-1),
            known.log1p(),
            local,
        ],
        dim=-1,
    )
