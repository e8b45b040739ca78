"""Random portfolios of real values: many means, noisily observed.

A portfolio is drawn in three steps: its hyperparameters (by `RealValuedPrior`), the means and
noise levels of its instances, and their outcomes. Means have expectation 0 and standard deviation
1 over the prior: origin and unit mean nothing to the network that is trained on them.
"""

import math

import torch

from sklearn_pttf._priors.sampling import (
    MOST_SEGMENTS,
    WITHIN,
    Draw,
    Random,
    by_family,
    column,
    hide,
)

MEAN_FAMILIES = ("normal", "two_point", "sparse", "segments", "heavy_tailed")
NOISE_FAMILIES = ("normal", "laplace", "student", "skewed")
FARTHEST = 50.0  # standard deviations of a heavy-tailed mean
# what a portfolio draws for itself, evenly
SHARE_OF_VALUE = (0.05, 0.95)  # share of either of two values
BLURRED, MOST_BLUR = 0.3, 0.2  # share of portfolios of two values that have a spread, at most this
MOST_SHIFT = 4.0  # of means off the common one, to one side, in their deviations
MEAN_DEGREES = (2.2, 6.2)  # of freedom of Student's law of means; above 2, so of finite variance
NOISE_DEGREES = (3.0, 10.0)  # likewise, of noise
SIGMA = (0.3, 1.0)  # of lognormal means
SKEWED_SHAPE = (0.5, 4.5)  # of gamma noise: skewness from 2.8 to 0.9
MOST_SLOPED = 3.0  # deviations of a mean that its noise may go with


def _between(ends, share):
    low, high = ends
    return low + (high - low) * share


def _student(random, degrees, *shape):
    """Student's t with some degrees of freedom, above 2; variance 1."""
    gamma = random.gamma((degrees / 2).expand(*shape)) / (degrees / 2)
    return random.normal(*shape) / gamma.sqrt() * ((degrees - 2) / degrees).sqrt()


def _laplace(random, *shape):
    """Variance 1."""
    return random.exponential(*shape) * random.sign(*shape) / math.sqrt(2)


# ------------------------------------------------------------------ means of the instances
# Each takes the share of instances off the common mean, and gives (B, n).


def _normal_means(random, share, n):
    return random.normal(len(share), n)


def _two_point_means(random, share, n):
    """Two values; in some portfolios each with a little spread around it."""
    size = len(share)
    upper = _between(SHARE_OF_VALUE, random.uniform(size, 1))
    means = (random.uniform(size, n) < upper).float() - upper
    spread = MOST_BLUR * random.uniform(size, 1) * (random.uniform(size, 1) < BLURRED)
    return means / (upper * (1 - upper)).sqrt() + spread * random.normal(size, n)


def _sparse_means(random, share, n):
    """Most have the common mean; the others lie to either side, or all to one."""
    size = len(share)
    one_sided = random.uniform(size, 1) < 0.5
    shift = one_sided * MOST_SHIFT * random.uniform(size, 1)
    normal = random.uniform(size, 1) < 0.5
    off = torch.where(normal, random.normal(size, n), _laplace(random, size, n)) + shift
    off = off * random.sign(size, 1) / (share * (1 + shift**2)).sqrt()
    return (random.uniform(size, n) < share) * off


def _segment_means(random, share, n):
    """Two to five segments, each with a common mean and a little spread within."""
    size = len(share)
    n_segments = 2 + (random.uniform(size, 1) * (MOST_SEGMENTS - 1)).floor()
    weights = random.exponential(size, MOST_SEGMENTS)
    weights = weights * (torch.arange(MOST_SEGMENTS, device=random.device) < n_segments)
    segment = torch.multinomial(weights, n, replacement=True, generator=random.generator)
    within = WITHIN * random.uniform(size, 1) ** 2 * random.normal(size, n)
    return random.normal(size, MOST_SEGMENTS).gather(-1, segment) + within


def _heavy_tailed_means(random, share, n):
    """Student in one half of the portfolios, lognormal to either side in the other."""
    size = len(share)
    student = _student(random, _between(MEAN_DEGREES, random.uniform(size, 1)), size, n)
    sigma = _between(SIGMA, random.uniform(size, 1))
    variance = sigma**2
    centred = (sigma * random.normal(size, n)).exp() - (variance / 2).exp()
    lognormal = centred / (variance.exp() * variance.expm1()).sqrt() * random.sign(size, 1)
    means = torch.where(random.uniform(size, 1) < 0.5, student, lognormal)
    return means.clamp(-FARTHEST, FARTHEST)


_MEANS = {
    "normal": _normal_means,
    "two_point": _two_point_means,
    "sparse": _sparse_means,
    "segments": _segment_means,
    "heavy_tailed": _heavy_tailed_means,
}

# ------------------------------------------------------------------ noise of an observation
# Each gives (B, N, m) with expectation 0 and variance 1.


def _normal_noise(random, *shape):
    return random.normal(*shape)


def _student_noise(random, *shape):
    return _student(random, _between(NOISE_DEGREES, random.uniform(shape[0], 1, 1)), *shape)


def _skewed_noise(random, *shape):
    """A gamma law, to either side."""
    size = _between(SKEWED_SHAPE, random.uniform(shape[0], 1, 1))
    noise = (random.gamma(size.expand(*shape)) - size) / size.sqrt()
    return noise * random.sign(shape[0], 1, 1)


_NOISE = {
    "normal": _normal_noise,
    "laplace": _laplace,
    "student": _student_noise,
    "skewed": _skewed_noise,
}


def draw_real_portfolios(hyper, n_instances, n_observations, n_outcomes, generator):
    """Draw instances and outcomes given each portfolio's hyperparameters.

    Parameters
    ----------
    hyper : dict of str to Tensor of shape (B,)
        What `RealValuedPrior` draws a portfolio: ``mean_family``, ``sparse_share``, ``noise``,
        ``noise_spread``, ``noise_slope``, ``noise_family``, ``known_rate``, ``missing``.

    n_instances, n_observations, n_outcomes : int
        Rows, observation cells and later outcomes a row.

    generator : torch.Generator
        Source of all randomness; its device is where the draws are made.

    Returns
    -------
    Draw
        Its ``errors`` are the noise of the instances where it is known.
    """
    random = Random(generator)
    hyper = {name: value.to(random.device) for name, value in hyper.items()}
    size, n_cells = len(hyper["noise"]), n_observations + n_outcomes
    like = random.uniform(size, n_instances)

    def means_of(family, index):
        share = column(hyper["sparse_share"][index])
        return column(_MEANS[family](random, share, n_instances))

    def noise_of(family, index):
        return _NOISE[family](random, len(index), n_instances, n_cells)

    mean = by_family(MEAN_FAMILIES, hyper["mean_family"], 1, like, means_of).squeeze(-1)
    log_noise = hyper["noise_spread"][:, None] * random.normal(size, n_instances)
    log_noise = log_noise + hyper["noise_slope"][:, None] * mean.clamp(-MOST_SLOPED, MOST_SLOPED)
    noise = hyper["noise"][:, None] * log_noise.exp()
    cells = by_family(NOISE_FAMILIES, hyper["noise_family"], n_cells, like, noise_of)
    cells = mean.unsqueeze(-1) + noise.unsqueeze(-1) * cells
    known = random.uniform(size, n_instances) < hyper["known_rate"][:, None]
    return Draw(
        hide(random, hyper["missing"], cells[..., :n_observations]),
        cells[..., n_observations:],
        torch.zeros(size, device=random.device),
        {"mean": mean, "noise": noise},
        noise.masked_fill(~known, torch.nan),
    )
