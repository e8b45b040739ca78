"""Portfolio laws whose Bayes decision is exact."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.utils import check_random_state

from sklearn_pttf._parametric import LognormalLaw, NegativeBinomialLaw, PoissonLaw
from sklearn_pttf._portfolio import Portfolio


class PortfolioLaw(ABC):
    """How a portfolio comes about, with its exact posterior predictive.

    The Bayes decision knows this law but not the instances' parameters: no method that
    sees the same observations can cost less on average.
    """

    @abstractmethod
    def sample(self, n_instances, n_observations, random_state=None):
        """Draw a portfolio.

        Parameters
        ----------
        n_instances, n_observations : int
            Shape of the observations.

        random_state : int, RandomState or None, default=None
            Source of randomness.

        Returns
        -------
        Portfolio
            With the true ``parameters`` of the instances.
        """

    @abstractmethod
    def predictive(self, portfolio):
        """Exact posterior predictive of every instance; `PredictiveDistribution`."""

    @abstractmethod
    def truth(self, portfolio):
        """True law of every instance; `PredictiveDistribution`."""


class GammaPoisson(PortfolioLaw):
    """Poisson counts whose means are gamma-distributed over the portfolio.

    Parameters
    ----------
    shape, rate : float
        Of the gamma distribution of means; the mean is ``shape / rate``.

    Examples
    --------
    >>> from sklearn_pttf.testing import GammaPoisson
    >>> law = GammaPoisson(2.0, 0.2)
    >>> portfolio = law.sample(3, 5, random_state=0)
    >>> law.predictive(portfolio).quantile(0.9)
    array([33., 19., 36.])
    """

    def __init__(self, shape, rate):
        self.shape = shape
        self.rate = rate

    def __repr__(self):
        return f"GammaPoisson({self.shape:g}, {self.rate:g})"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        mean = rng.gamma(self.shape, 1 / self.rate, size=n_instances)
        observations = rng.poisson(mean[:, None], size=(n_instances, n_observations))
        return Portfolio(observations.astype(float), integer=True, parameters={"mean": mean})

    def predictive(self, portfolio):
        size = self.shape + np.nansum(portfolio.observations, axis=1)
        rate = self.rate + portfolio.counts
        return NegativeBinomialLaw(size, rate / (rate + 1))

    def truth(self, portfolio):
        return PoissonLaw(portfolio.parameters["mean"])


class LognormalNormal(PortfolioLaw):
    """Lognormal outcomes whose log means are normal over the portfolio.

    Parameters
    ----------
    mean, spread : float
        Mean and standard deviation of the instances' log means.

    noise : float
        Standard deviation of a log outcome around its instance's log mean.

    Examples
    --------
    >>> from sklearn_pttf.testing import LognormalNormal
    >>> law = LognormalNormal(4.0, 0.3, 0.3)
    >>> law.sample(20, 3, random_state=0).observations.shape
    (20, 3)
    """

    def __init__(self, mean, spread, noise):
        self.mean = mean
        self.spread = spread
        self.noise = noise

    def __repr__(self):
        return f"LognormalNormal({self.mean:g}, {self.spread:g}, {self.noise:g})"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        log_mean = self.mean + self.spread * rng.normal(size=n_instances)
        log_x = log_mean[:, None] + self.noise * rng.normal(size=(n_instances, n_observations))
        return Portfolio(np.exp(log_x), integer=False, parameters={"log_mean": log_mean})

    def predictive(self, portfolio):
        precision = 1 / self.spread**2 + portfolio.counts / self.noise**2
        logs = np.nansum(np.log(portfolio.observations), axis=1)
        centre = (self.mean / self.spread**2 + logs / self.noise**2) / precision
        return LognormalLaw(centre, np.sqrt(1 / precision + self.noise**2))

    def truth(self, portfolio):
        return LognormalLaw(portfolio.parameters["log_mean"], self.noise)
