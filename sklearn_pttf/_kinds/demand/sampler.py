"""Random demand portfolios, drawn on the device that trains on them.

A portfolio is drawn in three steps: its hyperparameters (by `SyntheticPrior`), the
parameters of its instances, and their outcomes. Observations and later outcomes of an
instance are independent draws of the same law: that is what "exchangeable" means here.
"""

import torch

from sklearn_pttf._priors.sampling import (
    APART,
    LEAST_MEAN,
    MAX_MEAN,
    MOST_SEGMENTS,
    WITHIN,
    Draw,
    Random,
    by_family,
    column,
    gamma_means,
    heavy_tailed_means,
    hide,
    lognormal_means,
)

SPREAD_FAMILIES = ("lognormal", "gamma", "segments", "heavy_tailed")
NOISE_FAMILIES = (
    "poisson",
    "negative_binomial",
    "gamma",
    "lognormal",
    "normal",
    "compound_poisson",
)
COUNT_FAMILIES = ("poisson", "negative_binomial")
MAX_BULK_RATE = 0.5  # of an instance, in bulk orders a period
BULK_SPREAD = 0.5  # standard deviation of their log size
NOISE_RANGE = (0.01, 5.0)  # of an instance's relative noise
SHAPE_RANGE = (0.05, 1e5)  # of gamma noise: relative noise from 0.003 to 4.5
ORDERS_RANGE = (0.02, 100.0)  # orders a period of compound Poisson demand
LEAST_SHAPE = 1e-3  # of the size of no orders, which is drawn too, and counts for nothing
LEAST_BETA = 1e-2  # of the law of shares of zeros, which hardly draws anything but 0 and 1 if less
LEAST_LEVEL = 1e-7  # of a uniform draw, from 0 and 1: single floats next to 1 are 6e-8 apart
MOST_OF_MEAN = 10.0  # largest outcome, over the largest mean


def _segment_means(random, spread, n):
    """Two to five segments, each with a common level and a little spread within."""
    size = len(spread)
    n_segments = 2 + (random.uniform(size, 1) * (MOST_SEGMENTS - 1)).floor()
    weights = random.exponential(size, MOST_SEGMENTS)
    weights = weights * (torch.arange(MOST_SEGMENTS, device=random.device) < n_segments)
    centres = APART * spread * random.normal(size, MOST_SEGMENTS)
    segment = torch.multinomial(weights, n, replacement=True, generator=random.generator)
    within = WITHIN * spread * random.uniform(size, 1) ** 2 * random.normal(size, n)
    return (centres.gather(-1, segment) + within).exp()


_MEANS = {
    "lognormal": lognormal_means,
    "gamma": gamma_means,
    "segments": _segment_means,
    "heavy_tailed": heavy_tailed_means,
}

# ------------------------------------------------------------------ outcomes of an instance
# Each takes means (B, N, 1) or (B, N, m), noise levels (B, N, 1), the hyperparameters and the
# number of draws m, and gives (B, N, m) with those means (normal: before truncation).


def _poisson(random, mean, noise, hyper, m):
    return random.poisson(mean.expand(*mean.shape[:2], m))


def _negative_binomial(random, mean, noise, hyper, m):
    return random.poisson(_gamma(random, mean, noise, hyper, m))


def _gamma(random, mean, noise, hyper, m):
    shape = (noise**-2).clamp(*SHAPE_RANGE)
    return mean * random.gamma(shape.expand(*mean.shape[:2], m)) / shape


def _lognormal(random, mean, noise, hyper, m):
    variance = torch.log1p(noise**2)
    return mean * (variance.sqrt() * random.normal(*mean.shape[:2], m) - variance / 2).exp()


def _normal(random, mean, noise, hyper, m):
    """Normal, truncated at zero."""
    noise = noise.clamp_max(1.0)
    low = torch.special.ndtr(-1 / noise)
    u = low + (1 - low) * random.uniform(*mean.shape[:2], m)
    return mean * (
        1 + noise * torch.special.ndtri(u.clamp(LEAST_LEVEL, 1 - LEAST_LEVEL))
    ).clamp_min(0)


def _compound_poisson(random, mean, noise, hyper, m):
    """A Poisson number of orders, each of gamma-distributed size."""
    rate = hyper["order_rate"][:, None, None] * (hyper["noise"][:, None, None] / noise) ** 2
    rate = rate.clamp(*ORDERS_RANGE)
    orders = random.poisson(rate.expand(*mean.shape[:2], m))
    shape = (hyper["order_dispersion"][:, None, None] ** -2).expand_as(orders)
    sizes = random.gamma((shape * orders).clamp_min(LEAST_SHAPE)) / shape
    return mean / rate * sizes * (orders > 0)


_NOISE = {
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
    "gamma": _gamma,
    "lognormal": _lognormal,
    "normal": _normal,
    "compound_poisson": _compound_poisson,
}


def draw_portfolios(hyper, n_instances, n_observations, n_outcomes, generator):
    """Draw instances and outcomes given each portfolio's hyperparameters.

    Parameters
    ----------
    hyper : dict of str to Tensor of shape (B,)
        What `SyntheticPrior` draws a portfolio: ``level``, ``spread``,
        ``spread_family``, ``noise``, ``noise_spread``, ``noise_family``, ``whole``,
        ``intermittent``, ``zero_rate``, ``zero_concentration``, ``bulk``, ``bulk_rate``,
        ``bulk_size``, ``order_rate``, ``order_dispersion``, ``missing``.

    n_instances, n_observations, n_outcomes : int
        Rows, observation cells and later outcomes a row.

    generator : torch.Generator
        Source of all randomness; its device is where the draws are made.

    Returns
    -------
    Draw
    """
    random = Random(generator)
    hyper = {name: value.to(random.device) for name, value in hyper.items()}
    mean, noise = draw_instances(random, hyper, n_instances)
    cells, zero_rate = draw_cells(random, hyper, mean, noise, n_observations + n_outcomes)
    observations = hide(random, hyper["missing"], cells[..., :n_observations])
    return Draw(
        observations,
        cells[..., n_observations:],
        hyper["whole"].float(),
        {"mean": mean.squeeze(-1), "noise": noise.squeeze(-1), "zero_rate": zero_rate},
    )


def draw_instances(random, hyper, n_instances):
    """Means and noise levels of the instances; ``(B, N, 1)`` each."""
    size = len(hyper["level"])
    like = random.uniform(size, n_instances)

    def means_of(family, index):
        return column(_MEANS[family](random, column(hyper["spread"][index]), n_instances))

    mean = by_family(SPREAD_FAMILIES, hyper["spread_family"], 1, like, means_of)
    mean = (mean * hyper["level"][:, None, None]).clamp(LEAST_MEAN, MAX_MEAN)
    noise_z = random.normal(size, n_instances, 1)
    noise = hyper["noise"][:, None, None] * (hyper["noise_spread"][:, None, None] * noise_z).exp()
    return mean, noise.clamp(*NOISE_RANGE)


def draw_cells(random, hyper, mean, noise, n_cells):
    """Outcomes around means, ``(B, N, n_cells)``, and the instances' zero rates, ``(B, N)``.

    Parameters
    ----------
    random : Random

    hyper : dict of str to Tensor of shape (B,)

    mean : Tensor of shape (B, N, 1) or (B, N, n_cells)
        One of the instance, or one of every outcome.

    noise : Tensor of shape (B, N, 1)

    n_cells : int
    """
    n_instances = mean.shape[1]

    def outcomes_of(family, index):
        chosen = {name: value[index] for name, value in hyper.items()}
        return _NOISE[family](random, mean[index], noise[index], chosen, n_cells)

    cells = by_family(NOISE_FAMILIES, hyper["noise_family"], n_cells, mean, outcomes_of)
    cells = cells + _bulk_orders(random, hyper, mean, n_cells)
    zero_rate = _zero_rates(random, hyper, n_instances)
    cells = cells * (random.uniform(*mean.shape[:2], n_cells) >= zero_rate)
    whole = hyper["whole"][:, None, None]
    cells = torch.where(whole > 0, cells.round(), cells).clamp_max(MOST_OF_MEAN * MAX_MEAN)
    return cells, zero_rate.squeeze(-1)


def _zero_rates(random, hyper, n_instances):
    """Share of periods without any demand, of each instance; ``(B, N, 1)``."""
    rate = hyper["zero_rate"][:, None].expand(-1, n_instances)
    concentration = hyper["zero_concentration"][:, None]
    a = random.gamma((rate * concentration).clamp_min(LEAST_BETA))
    b = random.gamma(((1 - rate) * concentration).clamp_min(LEAST_BETA))
    return (hyper["intermittent"][:, None] * a / (a + b)).unsqueeze(-1)


def _bulk_orders(random, hyper, mean, n_cells):
    """Additional orders, several times an instance's mean; ``(B, N, n_cells)``.

    Some instances have many of them, others hardly any.
    """
    shape = (*mean.shape[:2], n_cells)
    rate = (hyper["bulk"] * hyper["bulk_rate"])[:, None, None]
    rate = (rate * random.exponential(*mean.shape[:2], 1)).clamp_max(MAX_BULK_RATE)
    happens = random.uniform(*shape) < rate
    size = hyper["bulk_size"][:, None, None] * (BULK_SPREAD * random.normal(*shape)).exp()
    return happens * size * mean
