"""What a portfolio's context says about demand at a price: curves, and demand at one price.

Demand curves are mixed over a grid (`_curves.py`) in two ways. By nonparametric empirical Bayes:
the weights that make the rows likeliest, and a row's own weights given them. And as if all rows had
the same curve: the posterior of that, which few rows with much noise leave wide. Divided by its
curve, demand is what it would have been at the row's usual price, and all that is known of demand
without prices (`_units.py`) holds of it. These are sums over rows with nothing learned in them.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with ``n``
pairs of price and demand each. Nothing depends on the order of pairs or of rows, nor on the unit of
prices.
"""

import math
from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.units import (
    PortfolioUnits,
    as_rows,
    portfolio_units,
    row_level,
    row_noise,
)
from sklearn_pttf._kinds.prices.curves import (
    ELASTICITIES,
    FARTHEST,
    FINE_ELASTICITIES,
    N_CURVES,
    elasticity_moments,
    fine_mixed_table,
    first_weights,
    log_curves,
    log_mixed_curve,
    on_finer_grid,
    read_table,
)
from sklearn_pttf._utils.mixtures import mixing_weights
from sklearn_pttf._utils.rounding import ROUNDED

SAME_PRICE = 1e-12  # of a log price, that is rounding
LEAST_DEMAND = 1e-30  # of a row, whose log is taken
LEAST_VARIATION = 1e-3  # of log prices of a row, below which they are one price
N_STEPS = 40  # of EM, as many in training as in use
PRIOR_ROWS = 2.0  # weight, in rows, of what is taken for likely before any is seen
LEAST_VARIANCE = 1e-6  # added to those of log prices and levels, whose roots have logs
LEAST_FOR_SLOPE = 1e-4  # likewise, where a slope is divided by it
LEAST_NOISE = 0.03  # relative: the quietest that the prior draws; less would trust one curve alone
TIE = 1e-6  # of misfits, relative
REACH = 0.8  # log of a price over the usual one, beyond which elasticity stays as it is
LEVEL_SLOPES = tuple(k / 100 for k in range(-150, 51))  # of different products, see below
USUAL_VARIANCE, VARIANCE_SHAPE = 0.1, 0.5  # of log levels, before any are seen; weight of that

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
        ("common", torch.Tensor),  # (B, n_table) log of a curve that all rows share
        ("common_facts", torch.Tensor),  # (B, 6) of the weights of that
        ("unlike", torch.Tensor),  # (B, 1) how much better rows fit with curves of their own
        ("linked", torch.Tensor),  # (B, 1) how much better they fit as one product at many prices
    ],
)


class Pairs(NamedTuple):
    """Prices and demand of rows, in no order that matters."""

    demand: torch.Tensor  # (B, N, n), NaN where missing
    x: torch.Tensor  # (B, N, n) log price over the row's usual one, 0 where missing
    usual: torch.Tensor  # (B, N) mean log price; without pairs that of prices alone, else 0
    told: torch.Tensor  # (B, N) bool, whether any price is known
    count: torch.Tensor  # (B, N)
    posted: torch.Tensor = None  # (B, N, Q) prices that are asked about

    @property
    def seen(self):
        return ~self.demand.isnan()


class PricedRows(NamedTuple):
    """Rows as at their usual price: what `Rows` has, and what is known of their curves."""

    values: torch.Tensor  # (B, N, n) demand at the usual price, sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed
    count: torch.Tensor  # (B, N)
    x: torch.Tensor  # (B, N, n) log price over the usual one, in the order of values
    usual: torch.Tensor  # (B, N) log price, the portfolio's for a row that none is known of
    low: torch.Tensor  # (B, N) smallest x
    high: torch.Tensor  # (B, N) largest x
    curves: torch.Tensor  # (B, N, N_CURVES) weights that sum to one
    posted: torch.Tensor = None  # (B, N, Q) prices that are asked about
    variance: None = None  # all values were observed

    def log_curve(self, x):
        """Log of demand at ``x`` over that at the usual price; ``(B, N, Q)``."""
        return log_mixed_curve(self.curves, x)

    def slope_doubt(self):
        """Standard deviation of the row's elasticity, given what it shows; ``(B, N)``."""
        mean, deviation, _ = elasticity_moments(self.curves)
        return mean.exp() * deviation


def pairs_of(demand, prices, posted=None):
    """`Pairs` of demand and prices ``(B, N, n)``; one that misses either is missing.

    Of a row without pairs, prices without demand say what its usual price is. Posted prices are
    one a row ``(B, N)``, or several ``(B, N, Q)``.
    """
    if posted is not None and posted.dim() < prices.dim():
        posted = posted.unsqueeze(-1)
    missing = demand.isnan() | prices.isnan()
    alone, told = _mean_log(torch.where(prices.isnan(), torch.inf, prices).sort(dim=-1).values)
    # an order that no exchange of pairs changes: by price, then by demand
    prices = torch.where(missing, torch.inf, prices)
    prices, order = prices.sort(dim=-1)
    demand = torch.where(missing, torch.inf, demand).gather(-1, order)
    demand, order = demand.sort(dim=-1, stable=True)
    prices = prices.gather(-1, order)
    missing = demand == torch.inf
    demand = demand.masked_fill(missing, torch.nan)
    usual, has_pairs = _mean_log(prices)
    usual = torch.where(has_pairs, usual, alone)
    x = (prices.log() - usual.unsqueeze(-1)).masked_fill(missing, 0.0)
    x = torch.where(x.abs() < SAME_PRICE, 0.0, x)  # of one price, whatever its rounding
    count = (~missing).sum(-1).to(demand.dtype)
    return Pairs(demand, x.clamp(-FARTHEST, FARTHEST), usual, told, count, posted)


def _mean_log(prices):
    """Mean log of prices ``(B, N, n)`` that are finite, 0 of none, and whether any is."""
    known = prices < torch.inf
    count = known.sum(-1)
    return torch.where(known, prices.log(), 0.0).sum(-1) / count.clamp_min(1), count > 0


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
    misfit = level.clamp_min(LEAST_DEMAND).log() * pairs.count.unsqueeze(-1) + total
    misfit = misfit - misfit.amin(-1, keepdim=True)
    _, varied = _variation(pairs)
    tells = varied & (pairs.demand.nan_to_num().sum(-1) > 0)
    return misfit * tells.unsqueeze(-1)


def _row_weights(logs, mixture):
    """Weights of the curves, given a row's log likelihoods; ``(B, N, N_CURVES)``."""
    return (mixture.unsqueeze(-2).log() + logs).softmax(-1)


def _at_usual_price(pairs, curves):
    """Demand of pairs as if at the row's usual price; ``(B, N, n)``, NaN where missing."""
    return pairs.demand / log_mixed_curve(curves, pairs.x).exp()


def _noise_of(pairs, curves, units):
    """Relative noise that is expected of rows; ``(B, N)``."""
    rows = as_rows(_at_usual_price(pairs, curves))
    return row_noise(units, row_level(rows, units.scale))


def _log_likelihoods(misfits, noise):
    """Of the curves, 0 the largest; ``(B, N, N_CURVES)``."""
    return -misfits / noise.clamp_min(LEAST_NOISE).unsqueeze(-1) ** 2


def _mixture(logs, told):
    """Weights of the curves that make context rows likeliest, by EM; ``(B, N_CURVES)``."""
    first = first_weights(logs[0]).expand(len(logs[0]), -1)
    likelihoods = [each.exp() for each in logs]
    mixture = mixing_weights(likelihoods, told, first, N_STEPS, PRIOR_ROWS).clamp_min(ROUNDED)
    return mixture / mixture.sum(-1, keepdim=True)


def _common(logs, told, mixture, between):
    """The last four fields of `PriceUnits`: a curve that all rows share, and whether they do."""
    within = sum((each * t.unsqueeze(-1)).sum(-2) for each, t in zip(logs, told, strict=True))
    evidence = within + torch.logaddexp(between, torch.zeros_like(between))
    logits = on_finer_grid(evidence) + first_weights(evidence, FINE_ELASTICITIES).log()
    common = logits.softmax(-1)
    expected = within + first_weights(within).log()
    shared = expected.logsumexp(-1, keepdim=True)
    each = [(each + mixture.log().unsqueeze(-2)).logsumexp(-1) for each in logs]
    own = sum((e * t).sum(-1, keepdim=True) for e, t in zip(each, told, strict=True))
    n_told = sum(t.sum(-1, keepdim=True) for t in told)
    unlike = torch.asinh(own - shared) / (1 + n_told).log().clamp_min(1)
    linked = torch.asinh((expected + between).logsumexp(-1, keepdim=True) - shared)
    facts = curve_summaries(common, FINE_ELASTICITIES)
    return fine_mixed_table(common), facts, unlike, linked


def _evidence_between(pieces, levels, weights, n_rows, centre):
    """Log likelihood ratio of rows as one product at many prices, by its curve; (B, N_CURVES).

    Log levels, taken along the curve to one price, are normal around one mean; or else they are
    those of different products, and follow a line in the usual price, as dear ones sell less. All
    slopes of ``LEVEL_SLOPES`` are equally likely. The variance is integrated out.
    """
    sums = {}
    for pairs, level, w in zip(pieces, levels, weights, strict=True):
        usual = (pairs.usual - centre).unsqueeze(-1)  # (B, N, 1)
        level, w = level.unsqueeze(-1), w.unsqueeze(-1)
        along = level - log_curves(usual.squeeze(-1).clamp(-FARTHEST, FARTHEST))
        parts = {"along": along, "along2": along**2, "level": level, "level2": level**2}
        parts |= {"both": level * usual, "usual2": usual**2}
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + (part * w).sum(-2)
    n_rows = n_rows.clamp_min(1)
    slopes = sums["both"].new_tensor(LEVEL_SLOPES)
    around = sums["level2"] - sums["level"] ** 2 / n_rows
    apart = around - 2 * slopes * sums["both"] + slopes**2 * sums["usual2"]  # (B, n_slopes)
    together = sums["along2"] - sums["along"] ** 2 / n_rows  # (B, N_CURVES)

    def log_likelihood(squares):
        shape = (n_rows - 1) / 2 + VARIANCE_SHAPE
        return -shape * (squares.clamp_min(0) / 2 + VARIANCE_SHAPE * USUAL_VARIANCE).log()

    of_others = log_likelihood(apart).logsumexp(-1, keepdim=True) - math.log(len(LEVEL_SLOPES))
    return log_likelihood(together) - of_others


def _total(values, weights):
    """Weighted sum over the rows of all pieces; ``(B, 1)``."""
    return sum((v * w).sum(-1, keepdim=True) for v, w in zip(values, weights, strict=True))


@torch.no_grad()
def price_units(pieces, weights, whole):
    """`PriceUnits` of the `Pairs` of context rows in parts; see `portfolio_units`."""
    misfits = [_misfits(pairs) for pairs in pieces]
    fit = sum((m * w.unsqueeze(-1)).sum(-2) for m, w in zip(misfits, weights, strict=True))
    least = fit.amin(-1, keepdim=True)
    best = (fit <= least + TIE * (1 + least)).int().argmax(-1)  # rounding breaks no ties
    one = torch.nn.functional.one_hot(best, N_CURVES).to(fit.dtype)  # (B, N_CURVES)
    common = [one.unsqueeze(-2).expand(-1, pairs.x.shape[1], -1) for pairs in pieces]
    as_one = [as_rows(_at_usual_price(*each)) for each in zip(pieces, common, strict=True)]
    units = portfolio_units(as_one, weights, whole)
    noises = [_noise_of(*each, units) for each in zip(pieces, common, strict=True)]
    logs = [_log_likelihoods(*each) for each in zip(misfits, noises, strict=True)]
    told = [(m.amax(-1) > 0) * w for m, w in zip(misfits, weights, strict=True)]
    mixture = _mixture(logs, told)
    curves = [_row_weights(each, mixture) for each in logs]
    settled = [as_rows(_at_usual_price(*each)) for each in zip(pieces, curves, strict=True)]
    units = portfolio_units(settled, weights, whole)
    levels = [row_level(each, units.scale).log() - units.centre for each in settled]
    priced = [(pairs.count > 0) * w for pairs, w in zip(pieces, weights, strict=True)]
    n_rows = sum(w.sum(-1, keepdim=True) for w in priced)
    centre = _total([pairs.usual for pairs in pieces], priced) / n_rows.clamp_min(1)
    moments = _price_moments(pieces, levels, priced, n_rows.clamp_min(1), centre)
    between = _evidence_between(pieces, levels, priced, n_rows, centre)
    common = _common(logs, told, mixture, between)
    return PriceUnits(*units, centre, *moments, mixture, *common)


def _price_moments(pieces, levels, weights, n_rows, centre):
    """From ``price_spread`` to ``single_share`` of `PriceUnits`; ``(B, 1)`` each."""
    away = [pairs.usual - centre for pairs in pieces]
    variance = _total([a**2 for a in away], weights) / n_rows
    varied = [_variation(pairs) for pairs in pieces]
    within = _total([squares for squares, _ in varied], weights)
    within = within / _total([pairs.count for pairs in pieces], weights).clamp_min(1)
    together = _total([a * level for a, level in zip(away, levels, strict=True)], weights) / n_rows
    level_variance = _total([level**2 for level in levels], weights) / n_rows
    single = _total([~many for _, many in varied], weights) / n_rows
    fit = together / ((variance + LEAST_VARIANCE) * (level_variance + LEAST_VARIANCE)).sqrt()
    slope = together / (variance + LEAST_FOR_SLOPE)
    spread, within = ((each + LEAST_VARIANCE).sqrt() for each in (variance, within))
    return spread, within, slope, fit, single


@torch.no_grad()
def placed_rows(pairs, units):
    """`PricedRows` of pairs in a portfolio."""
    misfits = _misfits(pairs)
    noise = _noise_of(pairs, units.mixture.unsqueeze(-2).expand_as(misfits), units)
    curves = _row_weights(_log_likelihoods(misfits, noise), units.mixture)
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
        torch.where(pairs.told, pairs.usual, units.price_centre),
        low.masked_fill(empty, 0.0),
        high.masked_fill(empty, 0.0),
        curves,
        pairs.posted,
    )


def query_positions(queries, rows):
    """Log of queried prices ``(B, N, Q)`` over the row's usual one."""
    return queries.log() - rows.usual.unsqueeze(-1)


def reach_of(rows):
    """Lowest and highest position that a network is asked about; ``(B, N, 1)`` each."""
    return rows.low.clamp_max(-REACH).unsqueeze(-1), rows.high.clamp_min(REACH).unsqueeze(-1)


def log_common_curve(x, units):
    """Log of demand at ``x`` over that at the usual price, as if rows shared a curve; (B, N, Q)."""
    return read_table(units.common, x)


def curve_summaries(curves, elasticities=ELASTICITIES):
    """Features of weights of curves ``(..., 4 * n_elasticities)``; ``(..., 6)``."""
    mean, deviation, shares = elasticity_moments(curves, elasticities)
    return torch.cat([torch.stack([mean, deviation.log()], dim=-1), shares], dim=-1)
