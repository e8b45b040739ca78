"""Random portfolios of demand at prices, drawn on the device that trains on them.

Demand at an instance's reference price is that of `_demand.py`. Away from it the mean follows the
instance's demand curve. Past prices are few, may have been one, and may have been set by somebody
who knew what demand would be; later prices are set by whoever asks.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.sampler import draw_cells, draw_instances
from sklearn_pttf._kinds.prices.curves import FAMILIES as CURVE_FAMILIES
from sklearn_pttf._kinds.prices.curves import log_curve
from sklearn_pttf._priors.sampling import Random, by_family, column, hide

ELASTICITY_FAMILIES = ("lognormal", "segments")
FARTHEST = 1.2  # log of a price over the reference price
NEAREST_BOUND, FARTHEST_BOUND = 0.1, 0.7  # of the log of a bound over the usual price
N_SHIFTS = 6  # most common deviations from reference prices
ELASTICITY_RANGE = (0.02, 10.0)  # of an instance, at its reference price
MOST_SEGMENTS = 3  # of elasticities, two at least
APART, WITHIN = 1.2, 0.2  # of their logs, times the spread: between segments, and within one
LEAST_DEVIATION = 1e-3  # of log levels, which elasticities go with; they may all be equal
MOST_DEVIATIONS = 3.0  # of a log level, which an elasticity goes with
EVEN = (
    1.7  # end of even deviations, which have about the variance 1 (root of 3) that normal ones do
)
KNOWN_SHARE = 0.6  # of an instance's noise that somebody knew beforehand and priced by
LIKE_PAST = 0.4  # share of later prices that are drawn as past ones are; others lie between bounds


class PricedDraw(NamedTuple):
    """``B`` portfolios of ``N`` instances with their prices."""

    observations: torch.Tensor  # (B, N, n), NaN = not observed
    outcomes: torch.Tensor  # (B, N, Q, m), demand at the posted prices
    whole: torch.Tensor  # (B,), 1 where outcomes are whole numbers
    parameters: dict  # name -> (B, N) parameters of the instances
    prices: torch.Tensor  # (B, N, n), NaN = not known
    posted: torch.Tensor  # (B, N, Q)
    candidates: torch.Tensor  # (B, N, G) prices to choose from, increasing
    curve: torch.Tensor  # (B, N, G) true mean demand at these
    unit_cost: torch.Tensor  # (B, N)
    errors: torch.Tensor = None


def _elasticities(random, hyper, mean):
    """Elasticity of every instance at its reference price; ``(B, N)``."""
    logs = mean.squeeze(-1).log()
    away = logs - logs.mean(-1, keepdim=True)
    z = torch.zeros_like(away)
    if logs.shape[1] > 1:
        z = (away / (logs.std(-1, keepdim=True) + LEAST_DEVIATION)).clamp(
            -MOST_DEVIATIONS, MOST_DEVIATIONS
        )
    correlation = column(hyper["level_correlation"])
    n = logs.shape[1]

    def of_family(family, index):
        if family == "lognormal":
            rho, own = correlation[index], random.normal(len(index), n)
            return column(rho * z[index] + (1 - rho**2).sqrt() * own)
        centres = APART * random.normal(len(index), MOST_SEGMENTS)
        segment = (random.uniform(len(index), n) * (2 + random.uniform(len(index), 1))).floor()
        within = WITHIN * random.normal(len(index), n)
        return column(centres.gather(-1, segment.long().clamp_max(MOST_SEGMENTS - 1)) + within)

    standard = by_family(
        ELASTICITY_FAMILIES, hyper["elasticity_family"], 1, column(logs), of_family
    )
    spread = column(hyper["elasticity_spread"])
    return (column(hyper["elasticity"]) * (spread * standard.squeeze(-1)).exp()).clamp(
        *ELASTICITY_RANGE
    )


def _log_demand(random, hyper, elasticity, x):
    """Log of mean demand over that at the reference price; ``(B, N, m)`` of log prices."""
    elasticity, share = column(elasticity), hyper["saturation"][:, None, None]

    def of_family(family, index):
        return log_curve(family, x[index], elasticity[index], share[index])

    return by_family(CURVE_FAMILIES, hyper["curve_family"], x.shape[-1], x, of_family)


def _usual(random, hyper, n):
    """Log of instances' usual prices over their reference prices; ``(B, N)``.

    In one half of the portfolios they take few values.
    """
    size = len(hyper["price_range"])
    shifts = random.normal(size, N_SHIFTS)
    n_values = 2 + (random.uniform(size, 1) * (N_SHIFTS - 1)).floor()
    chosen = (random.uniform(size, n) * n_values).floor().long().clamp_max(N_SHIFTS - 1)
    few = random.uniform(size, 1) < 0.5
    shift = torch.where(few, shifts.gather(-1, chosen), random.normal(size, n))
    return column(hyper["price_shift"]) * shift


def _past(random, hyper, usual, m):
    """Log of past prices over the reference price, a few distinct ones an instance; (B, N, m)."""
    size, n = usual.shape
    n_values = hyper["n_prices"][:, None, None].clamp_max(m).clamp_min(1)
    values = random.normal(size, n, m)
    even = EVEN * (2 * random.uniform(size, n, m) - 1)
    values = torch.where(random.uniform(size, 1, 1) < 0.5, values, even)
    chosen = (random.uniform(size, n, m) * n_values).floor().long().clamp_max(m - 1)
    share = torch.where(hyper["mixed_prices"] > 0, random.uniform(size), 0.0)
    share = torch.maximum(share, hyper["one_price"])[:, None, None]
    away = hyper["price_range"][:, None, None] * values.gather(-1, chosen)
    return column(usual) + torch.where(random.uniform(size, n, 1) < share, 0.0, away)


def draw_priced_portfolios(
    hyper, n_instances, n_observations, n_outcomes, generator, n_posted=1, n_candidates=2
):
    """Draw instances, their prices and demand, given each portfolio's hyperparameters.

    Parameters
    ----------
    hyper : dict of str to Tensor of shape (B,)
        What `PricingPrior` draws a portfolio: that of `draw_portfolios`, and ``elasticity``,
        ``elasticity_spread``, ``elasticity_family``, ``level_correlation``, ``curve_family``,
        ``saturation``, ``price``, ``price_spread``, ``level_slope``, ``price_shift``,
        ``price_range``, ``n_prices``, ``one_price``, ``mixed_prices``, ``endogeneity``,
        ``cost_share``.

    n_instances, n_observations, n_outcomes : int
        Rows, pairs of price and demand, and later outcomes at every posted price.

    generator : torch.Generator
        Source of all randomness; its device is where the draws are made.

    n_posted : int, default=1
        Prices at which later outcomes are drawn.

    n_candidates : int, default=2
        Prices to choose from, between the bounds.

    Returns
    -------
    PricedDraw
    """
    random = Random(generator)
    hyper = {name: value.to(random.device) for name, value in hyper.items()}
    size, n = len(hyper["level"]), n_instances
    mean, noise = draw_instances(random, hyper, n)
    elasticity = _elasticities(random, hyper, mean)
    dearer = column(hyper["price_spread"]) * random.normal(size, n)
    reference = column(hyper["price"].log()) + dearer
    mean = mean * column((column(hyper["level_slope"]) * dearer).exp())
    usual = _usual(random, hyper, n).clamp(-FARTHEST / 2, FARTHEST / 2)
    past = _past(random, hyper, usual, n_observations + n_posted)
    past, like_past = past[..., :n_observations], past[..., n_observations:]
    # somebody knew a part of what would be asked for, and priced by it
    endogeneity = hyper["endogeneity"][:, None, None]
    spread = KNOWN_SHARE * noise.clamp_max(1.0) * (endogeneity != 0)
    shock = spread * random.normal(size, n, n_observations)
    past = (past + endogeneity * shock).clamp(-FARTHEST, FARTHEST)

    room = FARTHEST_BOUND - NEAREST_BOUND
    low = usual - NEAREST_BOUND - room * random.uniform(size, n)
    high = usual + NEAREST_BOUND + room * random.uniform(size, n)
    anywhere = torch.lerp(column(low), column(high), random.uniform(size, n, n_posted))
    posted = torch.where(random.uniform(size, n, n_posted) < LIKE_PAST, like_past, anywhere)
    posted = posted.clamp(-FARTHEST, FARTHEST)
    step = torch.linspace(0, 1, n_candidates, device=random.device)
    candidates = torch.lerp(column(low.exp()), column(high.exp()), step).log()

    x = torch.cat([past, posted.repeat_interleave(n_outcomes, -1), candidates], dim=-1)
    log_demand = _log_demand(random, hyper, elasticity, x)
    n_cells = n_observations + n_posted * n_outcomes
    log_cells = log_demand[..., :n_cells].clone()
    log_cells[..., :n_observations] += shock - spread**2 / 2
    cells, zero_rate = draw_cells(random, hyper, mean * log_cells.exp(), noise, n_cells)
    outcomes = cells[..., n_observations:].unflatten(-1, (n_posted, n_outcomes))
    observations = hide(random, hyper["missing"], cells[..., :n_observations])
    scale = column(reference)
    # of one half of the rows without pairs no price is known
    untold = observations.isnan().all(-1, keepdim=True) & (random.uniform(size, n, 1) < 0.5)
    return PricedDraw(
        observations,
        outcomes,
        hyper["whole"].float(),
        {
            "mean": mean.squeeze(-1),
            "noise": noise.squeeze(-1),
            "zero_rate": zero_rate,
            "elasticity": elasticity,
            "reference_price": reference.exp(),
        },
        (past + scale).exp().masked_fill(untold, torch.nan),
        (posted + scale).exp(),
        (candidates + scale).exp(),
        mean * log_demand[..., n_cells:].exp(),
        hyper["cost_share"][:, None] * reference.exp(),
    )
