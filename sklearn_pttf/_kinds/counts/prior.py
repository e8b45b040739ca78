"""What is known beforehand of Poisson counts, as a distribution over portfolios."""

from numbers import Real
from typing import ClassVar

import torch
from sklearn.base import BaseEstimator

from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule
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
from sklearn_pttf._utils.sklearn_private import HasMethods, Interval

MEAN_FAMILIES = ("gamma", "lognormal", "segments", "heavy_tailed")
N_OTHERS = 256  # means that an instance's own is compared with
RANGES = {
    "level": RangeRule(1e-3, 1e8, log=True),
    "spread": RangeRule(1e-3, 4.0, log=True),
    "missing": RangeRule(0.0, 0.95),
    "n_instances": RangeRule(1, 100_000, log=True, whole=True),
    "n_observations": RangeRule(0, 10_000, log=True, whole=True),
}
FAMILIES = {"mean_families": MEAN_FAMILIES}
SHARES = ("tight_share", "single_share", "ragged_share")


class CountHyperPrior(HyperPrior):
    """Checked hyperpriors of all the parameters that a portfolio of counts is drawn with."""

    rules: ClassVar = RANGES
    known_families: ClassVar = FAMILIES
    known_shares: ClassVar = SHARES

    def _settle(self, hyper, happens):
        hyper["tight"] = happens["tight_share"]
        return hyper

    def draw_shape(self, rng):
        """As that of any prior, but often with one observation an instance."""
        n_instances, n_cells = super().draw_shape(rng)
        single = rng.uniform() < self.shares["single_share"]
        return n_instances, 1 if single else n_cells


class CountPrior(PriorDraws, BaseEstimator):
    """Distribution over portfolios of Poisson counts, such as claims, defects or clicks.

    Every instance has a mean of its own, and its observations are Poisson counts around it.

    Ranges are given as those of `SyntheticPrior`.

    Parameters
    ----------
    level : range, default=(0.05, 200.0)
        Typical mean of a portfolio's instances; log.

    spread : range, default=(0.05, 2.0)
        Standard deviation of the instances' log means; log.

    mean_families : tuple of str or dict, default=("gamma", "lognormal", "segments", \
            "heavy_tailed")
        Shapes of the distribution of means, equally likely or with weights. ``"segments"`` are
        two to five, the fewer the likelier.

    tight_share : float, default=0.6
        Share of the portfolios of segments in which all instances of a segment have one mean.

    n_instances : range, default=(2, 500)
        Instances of a portfolio; log.

    n_observations : range, default=(0, 30)
        Observation cells of a portfolio, log of two plus this number; at least one is drawn.

    single_share : float, default=0.4
        Share of the portfolios with one observation cell, whatever ``n_observations`` says.

    ragged_share : float, default=0.3
        Share of the portfolios with missing observations.

    missing : range, default=(0.05, 0.6)
        Mean share of missing observations in such a portfolio.

    random_state : int, RandomState or None, default=None
        Source of randomness of the draws, unless told otherwise.

    See Also
    --------
    SyntheticPrior : The prior of demand, of any noise.
    pretrain : Pretrains a network on portfolios of a prior.

    Notes
    -----
    Portfolios that are drawn tell of every instance its ``mean``, and ``expected_mean``: what is
    expected of the mean by one who sees the instance's observations, and knows the means of 257
    instances of which this is one, but not which. Given the portfolio's observations it has the
    same expectation as the mean itself, with far less chance: squared error is trained on it.

    Examples
    --------
    >>> from sklearn_pttf import CountPrior
    >>> prior = CountPrior(level=(1.0, 20.0), mean_families=("segments",), tight_share=1.0)
    >>> portfolio = prior.sample(n_instances=4, n_observations=3, random_state=0)[0]
    >>> portfolio.observations.shape, portfolio.integer
    ((4, 3), True)
    """

    outcomes = "counts"

    _parameter_constraints = {
        **{name: [tuple, list, Real, HasMethods(["rvs", "ppf"])] for name in RANGES},
        **{name: [tuple, list, dict, str] for name in FAMILIES},
        **{name: [Interval(Real, 0, 1, closed="both")] for name in SHARES},
        "random_state": ["random_state"],
    }
    _hyperprior = CountHyperPrior

    def __init__(
        self,
        *,
        level=(0.05, 200.0),
        spread=(0.05, 2.0),
        mean_families=MEAN_FAMILIES,
        tight_share=0.6,
        n_instances=(2, 500),
        n_observations=(0, 30),
        single_share=0.4,
        ragged_share=0.3,
        missing=(0.05, 0.6),
        random_state=None,
    ):
        self.level = level
        self.spread = spread
        self.mean_families = mean_families
        self.tight_share = tight_share
        self.n_instances = n_instances
        self.n_observations = n_observations
        self.single_share = single_share
        self.ragged_share = ragged_share
        self.missing = missing
        self.random_state = random_state

    @staticmethod
    def _draw_portfolios(hyper, n_instances, n_observations, n_outcomes, generator):
        """Draw instances and outcomes given each portfolio's hyperparameters; a `Draw`."""
        random = Random(generator)
        hyper = {name: value.to(random.device) for name, value in hyper.items()}
        means = _draw_means(random, hyper, n_instances + N_OTHERS)
        mean, others = means[:, :n_instances], means[:, n_instances:]
        cells = random.poisson(column(mean).expand(-1, -1, n_observations + n_outcomes))
        observations = hide(random, hyper["missing"], cells[..., :n_observations])
        expected = _expected_means(observations, mean, others)
        return Draw(
            observations,
            cells[..., n_observations:],
            torch.ones_like(hyper["level"]),
            {"mean": mean, "expected_mean": expected},
        )


def _draw_means(random, hyper, n):
    """Means of ``n`` instances; ``(B, n)``."""

    def means_of(family, index):
        spread = column(hyper["spread"][index])
        if family == "segments":
            return column(_segment_means(random, spread, column(hyper["tight"][index]), n))
        return column(_MEANS[family](random, spread, n))

    like = hyper["spread"].new_empty(len(hyper["spread"]), n)
    mean = by_family(MEAN_FAMILIES, hyper["mean_family"], 1, like, means_of).squeeze(-1)
    return (mean * column(hyper["level"])).clamp(LEAST_MEAN, MAX_MEAN)


def _segment_means(random, spread, tight, n):
    """Two to five segments, each with a common mean, or with a little spread within."""
    size = len(spread)
    n_segments = 2 + (random.uniform(size, 1) ** 2 * (MOST_SEGMENTS - 1)).floor()
    weights = random.exponential(size, MOST_SEGMENTS)
    weights = weights * (torch.arange(MOST_SEGMENTS, device=random.device) < n_segments)
    segment = torch.multinomial(weights, n, replacement=True, generator=random.generator)
    centres = APART * spread * random.normal(size, MOST_SEGMENTS)
    within = WITHIN * spread * random.uniform(size, 1) * random.normal(size, n)
    return (centres.gather(-1, segment) + within * (1 - tight)).exp()


_MEANS = {
    "gamma": gamma_means,
    "lognormal": lognormal_means,
    "heavy_tailed": heavy_tailed_means,
}


def _expected_means(observations, mean, others):
    """Means that are expected of instances by who knows a set that they are in; ``(B, N)``."""
    count = (~observations.isnan()).sum(-1).double().unsqueeze(-1)
    total = observations.nan_to_num().sum(-1).double().unsqueeze(-1)
    own, others = mean.double().unsqueeze(-1), others.double().unsqueeze(-2)

    def log_likelihood(means):
        return total * means.log() - count * means

    relative = log_likelihood(others) - log_likelihood(own)  # (B, N, n_others)
    top = relative.amax(-1, keepdim=True).clamp_min(0)
    likely = (relative - top).exp()
    of_own = (-top).exp()
    summed = (likely * others).sum(-1, keepdim=True) + of_own * own
    return (summed / (likely.sum(-1, keepdim=True) + of_own)).squeeze(-1).to(mean.dtype)
