"""Samplers that portfolios of all kinds are drawn with, on the device that trains on them."""

import math
from typing import NamedTuple

import torch

from sklearn_pttf._utils.rounding import TINY_SINGLE

LEAST_MEAN, MAX_MEAN = 1e-6, 1e9  # of an instance's outcomes
SHAPE_RANGE = (0.15, 1e4)  # of gamma laws of means: spreads of log means from 0.01 to 1.4
DEGREES = 3.0  # of freedom of Student's law: the fewest whole ones with a variance
FARTHEST = 8.0  # log of a heavy-tailed mean over the portfolio's level, either way
# segments of instances, as priors of all kinds draw them
MOST_SEGMENTS = 5  # two at least
APART, WITHIN = 1.3, 0.3  # times the spread: deviation of segments, and most within one


class Draw(NamedTuple):
    """``B`` portfolios of ``N`` instances; float tensors unless said otherwise."""

    observations: torch.Tensor  # (B, N, n), NaN = not observed
    outcomes: torch.Tensor  # (B, N, m), never missing
    whole: torch.Tensor  # (B,), 1 where outcomes are whole numbers
    parameters: dict  # name -> (B, N) parameters of the instances
    errors: torch.Tensor = None  # (B, N) standard error of an observation, NaN = not known


class Random:
    """The few samplers used here, all fed by one generator."""

    def __init__(self, generator):
        self.generator = generator
        self.device = generator.device

    def uniform(self, *shape):
        return torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def exponential(self, *shape):
        return -torch.log1p(-self.uniform(*shape))

    def sign(self, *shape):
        return 1 - 2 * (self.uniform(*shape) < 0.5).float()

    def gamma(self, shape_parameter):
        draws = torch._standard_gamma(shape_parameter.double(), generator=self.generator)
        return draws.float().clamp_min(TINY_SINGLE)

    def poisson(self, rate):
        return torch.poisson(rate.clamp(0, MAX_MEAN).double(), generator=self.generator).float()


def column(x):
    """With one more dimension, of length 1."""
    return x.unsqueeze(-1)


def lognormal_means(random, spread, n):
    return (spread * random.normal(len(spread), n)).exp()


def gamma_means(random, spread, n):
    shape = (1 / torch.expm1(spread**2)).clamp(*SHAPE_RANGE)
    return random.gamma(shape.expand(-1, n)) / shape


def heavy_tailed_means(random, spread, n):
    """Pareto upper tail in one half of the portfolios, Student log means in the other."""
    size = len(spread)
    pareto = spread * random.exponential(size, n)
    chi_square = 2 * random.gamma(torch.full((size, n), DEGREES / 2, device=random.device))
    student = spread * random.normal(size, n) * (DEGREES / chi_square).sqrt()
    student = student / math.sqrt(DEGREES / (DEGREES - 2))  # of variance 1
    log_means = torch.where(random.uniform(size, 1) < 0.5, pareto, student)
    return log_means.clamp(-FARTHEST, FARTHEST).exp()


def by_family(families, codes, n_last, like, draw):
    """Fill ``(B, N, n_last)``, drawing each family's portfolios together."""
    out = like.new_empty(*like.shape[:2], n_last)
    for code, family in enumerate(families):
        index = (codes == code).nonzero().squeeze(-1)
        if len(index):
            out[index] = draw(family, index)
    return out


def hide(random, missing, observations):
    """Make histories ragged: each row keeps a share of its own, at least one cell in row 0."""
    size, n_instances, n = observations.shape
    share = missing[:, None, None] * 2 * random.uniform(size, n_instances, 1)
    hidden = random.uniform(size, n_instances, n) < share.clamp_max(1.0)
    if n:
        hidden[:, 0, 0] = False
    return observations.masked_fill(hidden, torch.nan)
