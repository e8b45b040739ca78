"""What a portfolio's context says about demand at a price: curves, and demand at one price.

Demand curves are mixed over a grid (`_curves.py`) by nonparametric empirical Bayes: the weights
that make the rows likeliest, and a row's own weights given them. Divided by its curve, demand is
what it would have been at the row's usual price, and all that is known of demand without
prices (`_units.py`) holds of it. These are sums over rows with nothing learned in them.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with ``n``
pairs of price and demand each. Nothing depends on the order of pairs or of rows, nor on the unit of
prices.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._curves import (
    N_CURVES,
    elasticity_moments,
    first_weights,
    log_curves,
    log_mixed_curve,
)
from sklearn_pttf._units import PortfolioUnits, as_rows, portfolio_units, row_level, row_noise

FARTHEST = 2.5  # log of a price over the row's usual one
LEAST_VARIATION = 1e-3  # of log prices of a row, below which they are one price
N_STEPS = 40
PRIOR_ROWS = 2.0  # weight, in rows, of what is taken for likely before any is seen
LEAST_NOISE = 0.03

PriceUnits = NamedTuple(
    "PriceUnits",
    [
        *PortfolioUnits.__annotations__.items(),
        ("price_centre", torch.Tensor),  # (B, 1) mean of the rows' usual log prices
        ("price_spread", torch.Tensor),  # (B, 1) standard deviation of these
        ("price_within", torch.Tensor),  # (B, 1) of log prices around their row's usual one
        ("level_slope", torch.Tensor),  # (B, 1) of log level on usual log price, between rows
        ("level_fit", torch.Tensor),  # (B, 1) correlation of the two
        ("single_share", torch.Tensor),  # (B, 1) of rows that had one price only
        ("mixture", torch.Tensor),  # (B, N_CURVES) weights of the curves
    ],
)


class Pairs(NamedTuple):
    """Prices and demand of rows, in no order that matters."""

    demand: torch.Tensor  # (B, N, n), NaN where missing
    x: torch.Tensor  # (B, N, n) log price over the row's usual one, 0 where missing
    usual: torch.Tensor  # (B, N) mean log price, 0 of a row without pairs
    count: torch.Tensor  # (B, N)

    @property
    def seen(self):
        return ~self.demand.isnan()


class PricedRows(NamedTuple):
    """Rows as at their usual price: what `Rows` has, and what is known of their curves."""

    values: torch.Tensor  # (B, N, n) demand at the usual price, sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed
    count: torch.Tensor  # (B, N)
    x: torch.Tensor  # (B, N, n) log price over the usual one, in the order of values
    usual: torch.Tensor  # (B, N) log price, the portfolio's for a row without pairs
    low: torch.Tensor  # (B, N) smallest x
    high: torch.Tensor  # (B, N) largest x
    curves: torch.Tensor  # (B, N, N_CURVES) weights that sum to one

    def log_curve(self, x):
        """Log of demand at ``x`` over that at the usual price; ``(B, N, Q)``."""
        return log_mixed_curve(self.curves, x)

    def slope_doubt(self):
        """Standard deviation of the row's elasticity, given what it shows; ``(B, N)``."""
        mean, deviation, _ = elasticity_moments(self.curves)
        return mean.exp() * deviation


def pairs_of(demand, prices):
    """`Pairs` of demand and prices ``(B, N, n)``; one that misses either is missing."""
    missing = demand.isnan() | prices.isnan()
    # an order that no exchange of pairs changes: by price, then by demand
    prices = torch.where(missing, torch.inf, prices)
    prices, order = prices.sort(dim=-1)
    demand = torch.where(missing, torch.inf, demand).gather(-1, order)
    demand, order = demand.sort(dim=-1, stable=True)
    prices = prices.gather(-1, order)
    missing = demand == torch.inf
    demand = demand.masked_fill(missing, torch.nan)
    logs = prices.log().masked_fill(missing, 0.0)
    count = (~missing).sum(-1).to(demand.dtype)
    usual = logs.sum(-1) / count.clamp_min(1)
    x = (logs - usual.unsqueeze(-1)).masked_fill(missing, 0.0)
    x = torch.where(x.abs() < 1e-12, 0.0, x)  # of one price, whatever its rounding
    return Pairs(demand, x.clamp(-FARTHEST, FARTHEST), usual, count)


def _variation(pairs):
    """Sum of squares of ``x``, and whether a row had more than one price; ``(B, N)`` each."""
    squares = (pairs.x**2).sum(-1)
    return squares, squares > pairs.count * LEAST_VARIATION**2


def _misfits(pairs):
    """How badly every curve fits a row whatever its level, by gamma quasi-likelihood.

    ``(B, N, N_CURVES)``, for an observation of noise 1, least 0; 0 for rows that cannot tell.
    """
    logs = log_curves(pairs.x)  # (B, N, n, N_CURVES)
    level = (pairs.demand.nan_to_num().unsqueeze(-2) @ (-logs).exp()).squeeze(-2)
    total = (pairs.seen.to(logs.dtype).unsqueeze(-2) @ logs).squeeze(-2)
    misfit = level.clamp_min(1e-30).log() * pairs.count.unsqueeze(-1) + total
    misfit = misfit - misfit.amin(-1, keepdim=True)
    _, varied = _variation(pairs)
    tells = varied & (pairs.demand.nan_to_num().sum(-1) > 0)
    return misfit * tells.unsqueeze(-1)


def _row_weights(misfits, noise, mixture):
    """Weights of the curves, given a row's misfits and noise; ``(B, N, N_CURVES)``."""
    logs = mixture.unsqueeze(-2).log() - misfits / noise.clamp_min(LEAST_NOISE).unsqueeze(-1) ** 2
    return logs.softmax(-1)


def _at_usual_price(pairs, curves):
    """Demand of pairs as if at the row's usual price; ``(B, N, n)``, NaN where missing."""
    return pairs.demand / log_mixed_curve(curves, pairs.x).exp()


def _noise_of(pairs, curves, units):
    """Relative noise that is expected of rows; ``(B, N)``."""
    rows = as_rows(_at_usual_price(pairs, curves))
    return row_noise(units, row_level(rows, units.scale))


def _mixture(misfits, noises, weights):
    """Weights of the curves that make context rows likeliest, by EM; ``(B, N_CURVES)``."""
    first = first_weights(misfits[0]).expand(len(misfits[0]), -1)
    mixture, total = first, PRIOR_ROWS
    told = [(m.amax(-1) > 0) * w for m, w in zip(misfits, weights, strict=True)]
    total = total + sum(each.sum(-1, keepdim=True) for each in told)
    likelihoods = [
        (-m / noise.clamp_min(LEAST_NOISE).unsqueeze(-1) ** 2).exp()
        for m, noise in zip(misfits, noises, strict=True)
    ]
    for _ in range(N_STEPS):
        rise = 0.0
        for likelihood, counts in zip(likelihoods, told, strict=True):
            fit = (likelihood @ mixture.unsqueeze(-1)).clamp_min(1e-30)
            rise = rise + (likelihood / fit * counts.unsqueeze(-1)).sum(-2)
        mixture = (PRIOR_ROWS * first + mixture * rise) / total
    mixture = mixture.clamp_min(1e-9)
    return mixture / mixture.sum(-1, keepdim=True)


@torch.no_grad()
def price_units(demand, prices, weights, whole):
    """`PriceUnits` of context rows in pieces; see `portfolio_units`."""
    pieces = [pairs_of(*each) for each in zip(demand, prices, strict=True)]
    misfits = [_misfits(pairs) for pairs in pieces]
    fit = sum((m * w.unsqueeze(-1)).sum(-2) for m, w in zip(misfits, weights, strict=True))
    one = torch.nn.functional.one_hot(fit.argmin(-1), N_CURVES).to(fit.dtype)  # (B, N_CURVES)
    common = [one.unsqueeze(-2).expand(-1, pairs.x.shape[1], -1) for pairs in pieces]
    as_one = [_at_usual_price(*each) for each in zip(pieces, common, strict=True)]
    units = portfolio_units(as_one, weights, whole)
    noises = [_noise_of(*each, units) for each in zip(pieces, common, strict=True)]
    mixture = _mixture(misfits, noises, weights)
    curves = [_row_weights(*each, mixture) for each in zip(misfits, noises, strict=True)]
    settled = [_at_usual_price(*each) for each in zip(pieces, curves, strict=True)]
    units = portfolio_units(settled, weights, whole)
    return PriceUnits(*units, *_price_moments(pieces, settled, weights, units), mixture)


def _price_moments(pieces, settled, weights, units):
    """The fields of `PriceUnits` that are sums over prices; ``(B, 1)`` each."""

    def total(values):
        return sum((v * w).sum(-1, keepdim=True) for v, w in zip(values, weights, strict=True))

    has = [(pairs.count > 0).to(pairs.x.dtype) for pairs in pieces]
    n_rows = total(has).clamp_min(1)
    centre = total([pairs.usual * h for pairs, h in zip(pieces, has, strict=True)]) / n_rows
    away = [(pairs.usual - centre) * h for pairs, h in zip(pieces, has, strict=True)]
    variance = total([a**2 for a in away]) / n_rows
    varied = [_variation(pairs) for pairs in pieces]
    within = total([squares for squares, _ in varied])
    within = within / total([pairs.count for pairs in pieces]).clamp_min(1)
    levels = [
        (row_level(as_rows(each), units.scale).log() - units.centre) * h
        for each, h in zip(settled, has, strict=True)
    ]
    together = total([a * level for a, level in zip(away, levels, strict=True)]) / n_rows
    level_variance = total([level**2 for level in levels]) / n_rows
    single = total([h * ~many for h, (_, many) in zip(has, varied, strict=True)]) / n_rows
    fit = together / ((variance + 1e-6) * (level_variance + 1e-6)).sqrt()
    slope = together / (variance + 1e-4)
    return centre, (variance + 1e-6).sqrt(), (within + 1e-6).sqrt(), slope, fit, single


@torch.no_grad()
def placed_rows(pairs, units):
    """`PricedRows` of pairs in a portfolio."""
    misfits = _misfits(pairs)
    noise = _noise_of(pairs, units.mixture.unsqueeze(-2).expand_as(misfits), units)
    curves = _row_weights(misfits, noise, units.mixture)
    values = _at_usual_price(pairs, curves)
    values, order = torch.where(values.isnan(), torch.inf, values).sort(dim=-1)
    seen = values < torch.inf
    x = pairs.x.gather(-1, order)
    low = torch.where(seen, x, torch.inf).amin(-1) if x.shape[-1] else pairs.usual * 0
    high = torch.where(seen, x, -torch.inf).amax(-1) if x.shape[-1] else pairs.usual * 0
    empty = pairs.count == 0
    return PricedRows(
        values.masked_fill(~seen, 0.0),
        seen.to(values.dtype),
        pairs.count,
        x,
        torch.where(empty, units.price_centre, pairs.usual),
        low.masked_fill(empty, 0.0),
        high.masked_fill(empty, 0.0),
        curves,
    )


def query_positions(queries, rows):
    """Log of queried prices ``(B, N, Q)`` over the row's usual one."""
    return (queries.log() - rows.usual.unsqueeze(-1)).clamp(-FARTHEST, FARTHEST)


def curve_summaries(curves):
    """Features of weights of curves ``(..., N_CURVES)``; ``(..., 6)``."""
    mean, deviation, shares = elasticity_moments(curves)
    return torch.cat([torch.stack([mean, deviation.log()], dim=-1), shares], dim=-1)
