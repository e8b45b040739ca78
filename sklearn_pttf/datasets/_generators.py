"""Made-up portfolios of demand."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from sklearn_pttf._utils.sklearn_private import Interval, StrOptions, validate_params

FAMILIES = ("poisson", "negative_binomial", "gamma", "lognormal")
QUIET = 1e-6  # a coefficient of variation below this is no noise at all


@validate_params(
    {
        "n_instances": [Interval(Integral, 1, None, closed="left")],
        "n_observations": [Interval(Integral, 1, None, closed="left")],
        "n_outcomes": [Interval(Integral, 0, None, closed="left")],
        "level": [Interval(Real, 0, None, closed="neither")],
        "spread": [Interval(Real, 0, None, closed="left")],
        "family": [StrOptions(set(FAMILIES))],
        "noise": [Interval(Real, 0, None, closed="left")],
        "zero_rate": [Interval(Real, 0, 1, closed="both")],
        "missing_rate": [Interval(Real, 0, 1, closed="both")],
        "return_means": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_demand_portfolio(
    n_instances=100,
    n_observations=10,
    *,
    n_outcomes=0,
    level=20.0,
    spread=0.5,
    family="negative_binomial",
    noise=0.5,
    zero_rate=0.0,
    missing_rate=0.0,
    return_means=False,
    random_state=None,
):
    """Draw the demand of a made-up portfolio of products.

    The level of an instance is lognormal, and its demand varies around that level,
    independently from one period to the next.

    Parameters
    ----------
    n_instances : int, default=100
        Number of rows: products, stores, ...

    n_observations : int, default=10
        Number of periods that are observed.

    n_outcomes : int, default=0
        Number of later periods to draw as outcomes ``y``. The observations are the same for
        any number of outcomes.

    level : float, default=20.0
        Median over instances of their level, in units a period.

    spread : float, default=0.5
        Standard deviation over instances of the logarithm of their level.

    family : {"poisson", "negative_binomial", "gamma", "lognormal"}, \
            default="negative_binomial"
        Law of the demand of one period. The first two give whole numbers.

    noise : float, default=0.5
        Coefficient of variation of the demand of one period. The variance is
        ``(noise * mean) ** 2``; for "negative_binomial" ``mean + (noise * mean) ** 2``,
        and for "poisson", which ignores `noise`, ``mean``.

    zero_rate : float, default=0.0
        Probability that a period has no demand at all, whatever the family says.

    missing_rate : float, default=0.0
        Probability that an observation is missing (NaN). Outcomes are never missing.

    return_means : bool, default=False
        Whether to give also the true mean demand of the instances.

    random_state : int, RandomState instance or None, default=None
        Seed of the draw; an int for the same portfolio on every call.

    Returns
    -------
    X : ndarray of shape (n_instances, n_observations)
        Observed demand in units a period, NaN where missing.

    y : ndarray of shape (n_instances, n_outcomes)
        Demand of the later periods. Only if ``n_outcomes > 0``.

    means : ndarray of shape (n_instances,)
        True mean demand, periods without demand included. Only if `return_means`.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Examples
    --------
    >>> from sklearn_pttf.datasets import make_demand_portfolio
    >>> X, y = make_demand_portfolio(500, 8, n_outcomes=100, random_state=0)
    >>> X.shape, y.shape
    ((500, 8), (500, 100))
    >>> X[0]
    array([53., 43., 40., 37., 25., 86., 26., 12.])
    """
    rng = check_random_state(random_state)
    levels = level * np.exp(spread * rng.standard_normal(n_instances))
    X = _demand(rng, levels, n_observations, family, noise, zero_rate)
    X[rng.uniform(size=X.shape) < missing_rate] = np.nan
    out = [X]
    if n_outcomes > 0:
        out.append(_demand(rng, levels, n_outcomes, family, noise, zero_rate))
    if return_means:
        out.append((1.0 - zero_rate) * levels)
    return out[0] if len(out) == 1 else tuple(out)


def _demand(rng, levels, n_periods, family, noise, zero_rate):
    """Demand of every instance in every period; ``(n_instances, n_periods)``."""
    mean = np.repeat(levels[:, np.newaxis], n_periods, axis=1)
    if family == "lognormal":
        sigma = np.sqrt(np.log1p(noise**2))
        demand = mean * np.exp(sigma * rng.standard_normal(mean.shape) - sigma**2 / 2)
    elif family == "poisson":
        demand = rng.poisson(mean)
    else:
        demand = mean
        if noise > QUIET:
            demand = mean * rng.gamma(noise**-2, noise**2, size=mean.shape)
        if family == "negative_binomial":
            demand = rng.poisson(demand)
    return np.where(rng.uniform(size=mean.shape) < zero_rate, 0.0, demand)
