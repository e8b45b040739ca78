"""Portfolio laws whose Bayes decision is exact."""

from abc import ABC, abstractmethod
from numbers import Real

import numpy as np
from scipy import special
from sklearn.utils import check_random_state

from sklearn_pttf._laws import WeightedAtoms
from sklearn_pttf._parametric import (
    LognormalLaw,
    MixtureLaw,
    NegativeBinomialLaw,
    NormalLaw,
    PoissonLaw,
)
from sklearn_pttf._portfolio import Portfolio


def _check_finite(**parameters):
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < np.inf:
            raise ValueError(f"{name} must be a finite number; got {value!r}.")


def _check_positive(**parameters):
    _check_finite(**parameters)
    for name, value in parameters.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive; got {value!r}.")


def _positive_array(name, values):
    array = np.array(values, dtype=float)
    if array.ndim != 1 or not len(array) or not np.all((array > 0) & (array < np.inf)):
        raise ValueError(f"{name} must be a list of positive finite numbers; got {values!r}.")
    return array


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
        Of the gamma distribution of means; the mean is ``shape / rate``. Positive.

    Examples
    --------
    >>> from sklearn_pttf.testing import GammaPoisson
    >>> law = GammaPoisson(2.0, 0.2)
    >>> portfolio = law.sample(3, 5, random_state=0)
    >>> law.predictive(portfolio).quantile(0.9)
    array([33., 19., 36.])
    """

    def __init__(self, shape, rate):
        _check_positive(shape=shape, rate=rate)
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


class ZeroInflatedPoisson(PortfolioLaw):
    """Poisson counts with extra zeros: instances have a rate of zeros and a mean of their own.

    An outcome is a structural zero with the instance's zero rate, else a Poisson count with
    the instance's mean, which may be zero too. Zero rates are beta-distributed over the
    portfolio and means are gamma-distributed, independently.

    Parameters
    ----------
    zero_a, zero_b : float
        Of the beta distribution of zero rates; the mean is ``zero_a / (zero_a + zero_b)``.
        Positive.

    shape, rate : float
        Of the gamma distribution of means; the mean is ``shape / rate``. Positive.

    See Also
    --------
    GammaPoisson : The same without structural zeros.

    Notes
    -----
    Of z zeros that a row shows among n observations, j may be structural, for j from 0 to z.
    Given j, the zero rate is beta with ``zero_a + j`` and ``zero_b + n - j``, and the mean is
    gamma with ``shape`` plus the row's sum and ``rate + n - j``. The predictive is the mixture
    over j of zero-inflated negative binomials.

    Examples
    --------
    >>> from sklearn_pttf import Portfolio
    >>> from sklearn_pttf.testing import ZeroInflatedPoisson
    >>> law = ZeroInflatedPoisson(1.0, 1.0, 1.0, 1.0)
    >>> law.sample(3, 5, random_state=0)
    Portfolio(3 instances, 5 observation cells, whole-number outcomes)

    After one zero, another one follows with probability 22/27:

    >>> law.predictive(Portfolio([[0.0]])).cdf(0.0)
    array([0.81481481])
    """

    def __init__(self, zero_a, zero_b, shape, rate):
        _check_positive(zero_a=zero_a, zero_b=zero_b, shape=shape, rate=rate)
        self.zero_a = zero_a
        self.zero_b = zero_b
        self.shape = shape
        self.rate = rate

    def __repr__(self):
        zeros = f"{self.zero_a:g}, {self.zero_b:g}"
        return f"ZeroInflatedPoisson({zeros}, {self.shape:g}, {self.rate:g})"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        zero_rate = rng.beta(self.zero_a, self.zero_b, size=n_instances)
        mean = rng.gamma(self.shape, 1 / self.rate, size=n_instances)
        counts = rng.poisson(mean[:, None], size=(n_instances, n_observations))
        structural = rng.uniform(size=counts.shape) < zero_rate[:, None]
        return Portfolio(
            np.where(structural, 0.0, counts),
            integer=True,
            parameters={"zero_rate": zero_rate, "mean": mean},
        )

    def predictive(self, portfolio):
        counts = portfolio.counts[:, None]
        zeros = (portfolio.observations == 0).sum(axis=1, keepdims=True)
        n_structural = np.arange(zeros.max(initial=0) + 1)
        possible = n_structural <= zeros
        n_structural = np.minimum(n_structural, zeros)  # (n, K)
        a, b = self.zero_a + n_structural, self.zero_b + counts - n_structural
        size = self.shape + np.nansum(portfolio.observations, axis=1)
        rate = self.rate + counts - n_structural
        ways = -special.betaln(zeros - n_structural + 1, n_structural + 1)
        logs = ways + special.betaln(a, b) - size[:, None] * np.log(rate)
        weights = special.softmax(np.where(possible, logs, -np.inf), axis=1)
        laws = [NegativeBinomialLaw(size, r / (r + 1)) for r in rate.T]
        return _with_zeros(laws, weights, a / (a + b))

    def truth(self, portfolio):
        mean, share = portfolio.parameters["mean"], portfolio.parameters["zero_rate"]
        return _with_zeros([PoissonLaw(mean)], np.ones((len(mean), 1)), share[:, None])


def _with_zeros(laws, weights, share):
    """Mixture of whole-number laws, each with a share of zeros; weights and share (n, K)."""
    zero = WeightedAtoms(np.zeros((len(weights), 1)))
    extra = (weights * share).sum(axis=1)
    return MixtureLaw([zero, *laws], np.column_stack([extra, weights * (1 - share)]), integer=True)


class Segments(PortfolioLaw):
    """Poisson counts of instances that fall into a few segments with a mean each.

    Parameters
    ----------
    means : array-like of shape (n_segments,)
        Mean of an outcome in every segment; positive.

    weights : array-like of shape (n_segments,), default=None
        Shares of the segments among instances; positive, scaled to sum to 1. None: equal
        shares.

    Examples
    --------
    >>> from sklearn_pttf.testing import Segments
    >>> law = Segments([2.0, 20.0], weights=[3.0, 1.0])
    >>> law
    Segments([2, 20], [0.75, 0.25])
    >>> portfolio = law.sample(4, 2, random_state=1)
    >>> portfolio.parameters["segment"], law.predictive(portfolio).quantile(0.9)
    (array([0, 0, 0, 0]), array([4., 4., 4., 4.]))
    """

    def __init__(self, means, weights=None):
        self.means = _positive_array("means", means)
        given = np.ones_like(self.means) if weights is None else weights
        shares = _positive_array("weights", given)
        if len(shares) != len(self.means):
            raise ValueError(
                f"weights must be as many as means, {len(self.means)}; got {weights!r}."
            )
        self.weights = shares / shares.sum()

    def __repr__(self):
        means, weights = (
            ", ".join(f"{value:g}" for value in values) for values in (self.means, self.weights)
        )
        return f"Segments([{means}], [{weights}])"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        segment = rng.choice(len(self.means), size=n_instances, p=self.weights)
        mean = self.means[segment]
        observations = rng.poisson(mean[:, None], size=(n_instances, n_observations))
        return Portfolio(
            observations.astype(float), integer=True, parameters={"mean": mean, "segment": segment}
        )

    def predictive(self, portfolio):
        sums = np.nansum(portfolio.observations, axis=1)[:, None]
        logs = sums * np.log(self.means) - portfolio.counts[:, None] * self.means
        posterior = special.softmax(logs + np.log(self.weights), axis=1)
        laws = [PoissonLaw(np.full(len(portfolio), mean)) for mean in self.means]
        return MixtureLaw(laws, posterior, integer=True)

    def truth(self, portfolio):
        return PoissonLaw(portfolio.parameters["mean"])


class _NormalMeans(PortfolioLaw):
    """Values that are normal around means that are normal over the portfolio."""

    def __init__(self, mean, spread, noise):
        _check_finite(mean=mean)
        _check_positive(spread=spread, noise=noise)
        self.mean = mean
        self.spread = spread
        self.noise = noise

    def __repr__(self):
        return f"{type(self).__name__}({self.mean:g}, {self.spread:g}, {self.noise:g})"

    def _draw(self, n_instances, n_observations, random_state):
        """Means of the instances and values around them."""
        rng = check_random_state(random_state)
        mean = self.mean + self.spread * rng.normal(size=n_instances)
        return mean, mean[:, None] + self.noise * rng.normal(size=(n_instances, n_observations))

    def _next_value(self, values):
        """Mean and standard deviation of the next value of every row."""
        counts = (~np.isnan(values)).sum(axis=1)
        precision = 1 / self.spread**2 + counts / self.noise**2
        sums = np.nansum(values, axis=1)
        centre = (self.mean / self.spread**2 + sums / self.noise**2) / precision
        return centre, np.sqrt(1 / precision + self.noise**2)


class NormalNormal(_NormalMeans):
    """Normal outcomes whose means are normal over the portfolio; they may be negative.

    Parameters
    ----------
    mean, spread : float
        Mean and standard deviation of the instances' means; the spread is positive.

    noise : float
        Standard deviation of an outcome around its instance's mean; positive.

    Examples
    --------
    >>> from sklearn_pttf import Portfolio
    >>> from sklearn_pttf.testing import NormalNormal
    >>> law = NormalNormal(0.0, 1.0, 1.0)
    >>> law.predictive(Portfolio([[4.0, 2.0], [-3.0, float("nan")]])).mean()
    array([ 2. , -1.5])
    """

    def sample(self, n_instances, n_observations, random_state=None):
        mean, values = self._draw(n_instances, n_observations, random_state)
        return Portfolio(values, integer=False, parameters={"mean": mean})

    def predictive(self, portfolio):
        return NormalLaw(*self._next_value(portfolio.observations))

    def truth(self, portfolio):
        return NormalLaw(portfolio.parameters["mean"], self.noise)


class LognormalNormal(_NormalMeans):
    """Lognormal outcomes whose log means are normal over the portfolio.

    Parameters
    ----------
    mean, spread : float
        Mean and standard deviation of the instances' log means; the spread is positive.

    noise : float
        Standard deviation of a log outcome around its instance's log mean; positive.

    Examples
    --------
    >>> from sklearn_pttf.testing import LognormalNormal
    >>> law = LognormalNormal(4.0, 0.3, 0.3)
    >>> law.sample(20, 3, random_state=0).observations.shape
    (20, 3)
    """

    def sample(self, n_instances, n_observations, random_state=None):
        log_mean, logs = self._draw(n_instances, n_observations, random_state)
        return Portfolio(np.exp(logs), integer=False, parameters={"log_mean": log_mean})

    def predictive(self, portfolio):
        return LognormalLaw(*self._next_value(np.log(portfolio.observations)))

    def truth(self, portfolio):
        return LognormalLaw(portfolio.parameters["log_mean"], self.noise)
