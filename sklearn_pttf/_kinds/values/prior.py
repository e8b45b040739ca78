"""What is known beforehand of real values, as a distribution over portfolios."""

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._kinds.values.sampler import MEAN_FAMILIES, NOISE_FAMILIES, draw_real_portfolios
from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule
from sklearn_pttf._utils.sklearn_private import HasMethods, Interval

RANGES = {
    "noise": RangeRule(1e-3, 1e3, log=True),
    "noise_spread": RangeRule(0.0, 2.0),
    "noise_slope": RangeRule(-1.0, 1.0),
    "known_rate": RangeRule(0.0, 1.0),
    "sparse_share": RangeRule(1e-3, 1.0, log=True),
    "missing": RangeRule(0.0, 0.95),
    "n_instances": RangeRule(1, 100_000, log=True, whole=True),
    "n_observations": RangeRule(0, 10_000, log=True, whole=True),
}
FAMILIES = {"mean_families": MEAN_FAMILIES, "noise_families": NOISE_FAMILIES}
SHARES = ("known_share", "partly_known_share", "uneven_share", "slope_share", "ragged_share")


class RealHyperPrior(HyperPrior):
    """Checked hyperpriors of all the parameters that a portfolio of real values is drawn with."""

    rules: ClassVar = RANGES
    known_families: ClassVar = FAMILIES
    known_shares: ClassVar = SHARES

    def _settle(self, hyper, happens):
        rate = np.where(happens["partly_known_share"], hyper.pop("known_rate"), 1.0)
        hyper["known_rate"] = rate * happens["known_share"]
        hyper["noise_spread"] = hyper["noise_spread"] * happens["uneven_share"]
        hyper["noise_slope"] = hyper["noise_slope"] * happens["slope_share"]
        return hyper


class RealValuedPrior(PriorDraws, BaseEstimator):
    """Distribution over portfolios of real values, such as effects, returns or ratings.

    Every instance has a mean of its own and is observed with noise. Neither origin nor unit
    matters, to the prior or to the network: means have expectation 0 and standard deviation
    1 over all portfolios of a family, and noise is relative to that.

    Ranges are given as those of `SyntheticPrior`.

    Parameters
    ----------
    mean_families : tuple of str or dict, default=("normal", "two_point", "sparse", "segments", \
            "heavy_tailed")
        Shapes of the distribution of means, equally likely or with weights. In ``"sparse"``
        portfolios most instances have the same mean.

    sparse_share : range, default=(0.01, 0.5)
        Share of the instances of a sparse portfolio that have another mean; log.

    noise : range, default=(0.1, 10.0)
        Standard deviation of an observation around its instance's mean, typical of the portfolio;
        log.

    noise_families : tuple of str or dict, default=("normal", "laplace", "student", "skewed")
        Shapes of the noise, equally likely or with weights. ``"student"`` has 3 to 10 degrees of
        freedom, ``"skewed"`` is a gamma law, to either side.

    noise_spread : range, default=(0.0, 1.0)
        Standard deviation of the instances' log noise levels, where these differ.

    uneven_share : float, default=0.6
        Share of the portfolios in which noise levels differ.

    noise_slope : range, default=(-0.3, 0.3)
        By how much log noise grows with an instance's mean, where it does.

    slope_share : float, default=0.2
        Share of the portfolios in which noise grows, or falls, with the mean.

    known_share : float, default=0.5
        Share of the portfolios in which the noise levels of instances are known, as standard
        errors.

    partly_known_share : float, default=0.4
        Share of these in which they are known of some instances only.

    known_rate : range, default=(0.2, 1.0)
        Share of the instances whose noise level is known, in such a portfolio.

    n_instances : range, default=(2, 500)
        Instances of a portfolio; log.

    n_observations : range, default=(0, 30)
        Observation cells of a portfolio, log of two plus this number; at least one is drawn.

    ragged_share : float, default=0.4
        Share of the portfolios with missing observations.

    missing : range, default=(0.05, 0.6)
        Mean share of missing observations in such a portfolio.

    random_state : int, RandomState or None, default=None
        Source of randomness of the draws, unless told otherwise.

    See Also
    --------
    SyntheticPrior : The prior of demand.
    pretrain : Pretrains a network on portfolios of a prior.

    Examples
    --------
    >>> from sklearn_pttf import RealValuedPrior
    >>> prior = RealValuedPrior(mean_families=("sparse",), known_share=1.0)
    >>> portfolio = prior.sample(n_instances=4, n_observations=3, random_state=0)[0]
    >>> portfolio.observations.shape, portfolio.errors.shape, sorted(portfolio.parameters)[:2]
    ((4, 3), (4,), ['known_rate', 'mean'])
    """

    outcomes = "values"

    _parameter_constraints = {
        **{name: [tuple, list, Real, HasMethods(["rvs", "ppf"])] for name in RANGES},
        **{name: [tuple, list, dict, str] for name in FAMILIES},
        **{name: [Interval(Real, 0, 1, closed="both")] for name in SHARES},
        "random_state": ["random_state"],
    }
    _hyperprior = RealHyperPrior
    _draw_portfolios = staticmethod(draw_real_portfolios)

    def __init__(
        self,
        *,
        mean_families=MEAN_FAMILIES,
        sparse_share=(0.01, 0.5),
        noise=(0.1, 10.0),
        noise_families=NOISE_FAMILIES,
        noise_spread=(0.0, 1.0),
        uneven_share=0.6,
        noise_slope=(-0.3, 0.3),
        slope_share=0.2,
        known_share=0.5,
        partly_known_share=0.4,
        known_rate=(0.2, 1.0),
        n_instances=(2, 500),
        n_observations=(0, 30),
        ragged_share=0.4,
        missing=(0.05, 0.6),
        random_state=None,
    ):
        self.mean_families = mean_families
        self.sparse_share = sparse_share
        self.noise = noise
        self.noise_families = noise_families
        self.noise_spread = noise_spread
        self.uneven_share = uneven_share
        self.noise_slope = noise_slope
        self.slope_share = slope_share
        self.known_share = known_share
        self.partly_known_share = partly_known_share
        self.known_rate = known_rate
        self.n_instances = n_instances
        self.n_observations = n_observations
        self.ragged_share = ragged_share
        self.missing = missing
        self.random_state = random_state
