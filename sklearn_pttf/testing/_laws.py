"""Portfolio laws whose Bayes decision is exact."""

from abc import ABC, abstractmethod
from numbers import Real

import numpy as np
from scipy import special
from sklearn.utils import check_random_state

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.capped_levels import (
    CappedLognormal,
    CappedPoisson,
    GammaLevels,
    NormalLevels,
    is_capped,
    posterior_of_levels,
)
from sklearn_pttf._laws.levels import LognormalLevelsLaw, PoissonLevelsLaw
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    NormalLaw,
    PoissonLaw,
)
from sklearn_pttf._tables.portfolio import Portfolio


def _check_finite(**parameters):
    for name, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < np.inf:
            raise ValueError(f"{name} must be a finite number; got {value!r}.")


def _check_positive(**parameters):
    _check_finite(**parameters)
    for name, value in parameters.items():
        if value <= 0:
            raise ValueError(f"{name} must be positive; got {value!r}.")


def _finite_array(name, values):
    array = np.array(values, dtype=float)
    if array.ndim != 1 or not len(array) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be a list of finite numbers; got {values!r}.")
    return array


def _positive_array(name, values):
    array = np.array(values, dtype=float)
    if array.ndim != 1 or not len(array) or not np.all((array > 0) & (array < np.inf)):
        raise ValueError(f"{name} must be a list of positive finite numbers; got {values!r}.")
    return array


def _shares(weights, name, values):
    """Weights of values, scaled to sum to 1; equal ones for None."""
    shares = _positive_array("weights", np.ones_like(values) if weights is None else weights)
    if len(shares) != len(values):
        raise ValueError(f"weights must be as many as {name}, {len(values)}; got {weights!r}.")
    return shares / shares.sum()


def _refuse_capped(law, portfolio):
    if is_capped(portfolio).any():
        raise ValueError(
            f"portfolio must have no capped outcomes for {law!r}, unlike for GammaPoisson and "
            "LognormalNormal; got some."
        )


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

    def posterior_mean(self, portfolio):
        """Exact Bayes estimate of every instance's expected outcome; ndarray of shape (n,)."""
        return self.predictive(portfolio).mean()


class GammaPoisson(PortfolioLaw):
    """Poisson counts whose means are gamma-distributed over the portfolio.

    Parameters
    ----------
    shape, rate : float
        Of the gamma distribution of means; the mean is ``shape / rate``. Positive.

    Notes
    -----
    Where stock capped outcomes (``stock`` of the portfolio) `predictive` takes each of them for *at
    least* its observation, and is exact by quadrature.

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
        if is_capped(portfolio).any():
            return self._capped_predictive(portfolio, GammaLevels(self.shape, self.rate))
        size = self.shape + np.nansum(portfolio.observations, axis=1)
        rate = self.rate + portfolio.counts
        return NegativeBinomialLaw(size, rate / (rate + 1))

    def _capped_predictive(self, portfolio, levels):
        posterior = posterior_of_levels(levels, CappedPoisson(portfolio))
        return PoissonLevelsLaw(np.exp(posterior.logs), posterior.weights)

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
        _refuse_capped(self, portfolio)
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
        self.weights = _shares(weights, "means", self.means)

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
        _refuse_capped(self, portfolio)
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
    >>> law.posterior_mean(Portfolio([[4.0, 2.0], [-3.0, float("nan")]]))
    array([ 2. , -1.5])
    """

    def sample(self, n_instances, n_observations, random_state=None):
        mean, values = self._draw(n_instances, n_observations, random_state)
        return Portfolio(values, integer=False, parameters={"mean": mean})

    def predictive(self, portfolio):
        return NormalLaw(*self._next_value(portfolio.observations))

    def truth(self, portfolio):
        return NormalLaw(portfolio.parameters["mean"], self.noise)


class NormalPoints(PortfolioLaw):
    """Normal outcomes whose means take a few values, or many on a fine grid.

    Two points are two kinds of instances; one heavy point among a grid is a sparse portfolio;
    a grid with the density of a law as weights is that law.

    Parameters
    ----------
    points : array-like of shape (n_points,)
        Values that the mean of an instance takes.

    weights : array-like of shape (n_points,), default=None
        Shares of the points among instances; positive, scaled to sum to 1. None: equal shares.

    noise : float, default=1.0
        Standard deviation of an outcome around its instance's mean, typical of the portfolio;
        positive.

    noise_spread : float, default=0.0
        Standard deviation of the logarithm of the instances' noise, which is normal around that
        of ``noise``; at least 0.

    See Also
    --------
    NormalNormal : Means that are normal.
    Segments : Counts whose means take a few values.

    Notes
    -----
    `predictive`, and so every Bayes decision, knows the noise of every instance:
    ``parameters["noise"]`` of a portfolio, or without it ``noise`` if all have the same.

    Examples
    --------
    >>> from sklearn_pttf.testing import NormalPoints
    >>> law = NormalPoints([0.0, 3.0], weights=[0.9, 0.1])
    >>> portfolio = law.sample(4, 2, random_state=8)
    >>> portfolio.observations.mean(axis=1).round(2)
    array([ 1.97,  3.89,  0.37, -0.89])
    >>> law.posterior_mean(portfolio).round(2)
    array([1.94, 3.  , 0.  , 0.  ])
    """

    def __init__(self, points, weights=None, noise=1.0, noise_spread=0.0):
        _check_positive(noise=noise)
        _check_finite(noise_spread=noise_spread)
        if noise_spread < 0:
            raise ValueError(f"noise_spread must be at least 0; got {noise_spread!r}.")
        self.points = _finite_array("points", points)
        self.weights = _shares(weights, "points", self.points)
        self.noise = noise
        self.noise_spread = noise_spread

    def __repr__(self):
        lists = [[f"{value:g}" for value in values] for values in (self.points, self.weights)]
        if len(self.points) > 5:
            lists = [[values[0], "...", values[-1]] for values in lists]
        points, weights = (", ".join(values) for values in lists)
        return f"NormalPoints([{points}], [{weights}], {self.noise:g}, {self.noise_spread:g})"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        mean = rng.choice(self.points, size=n_instances, p=self.weights)
        noise = self.noise * np.exp(self.noise_spread * rng.normal(size=n_instances))
        scores = rng.normal(size=(n_instances, n_observations))
        observations = mean[:, None] + noise[:, None] * scores
        parameters = {"mean": mean, "noise": noise}
        return Portfolio(observations, integer=False, real=True, parameters=parameters)

    def predictive(self, portfolio):
        noise = self._noise(portfolio)
        laws = [NormalLaw(point, noise) for point in self.points]  # which share the noise
        return MixtureLaw(laws, self._posterior(portfolio))

    def truth(self, portfolio):
        return NormalLaw(portfolio.parameters["mean"], portfolio.parameters["noise"])

    def posterior(self, portfolio):
        """Exact law of every instance's mean, given what it shows.

        Parameters
        ----------
        portfolio : Portfolio

        Returns
        -------
        PredictiveDistribution
        """
        weights = self._posterior(portfolio)
        return WeightedAtoms(np.broadcast_to(self.points, weights.shape), weights)

    def posterior_mean(self, portfolio):
        return self._posterior(portfolio) @ self.points

    def posterior_quantile(self, portfolio, levels):
        """Exact quantiles of every instance's mean, given what it shows.

        Parameters
        ----------
        portfolio : Portfolio

        levels : float or array-like
            Strictly between 0 and 1; shapes as of `PredictiveDistribution`.

        Returns
        -------
        ndarray of shape (n,) or (n, n_levels)
        """
        return self.posterior(portfolio).quantile(levels)

    def _posterior(self, portfolio):
        """Weights of the points, given what every row shows; ``(n, n_points)``."""
        counts = portfolio.counts[:, None]
        sums = np.nansum(portfolio.observations, axis=1)[:, None]
        away = sums / np.maximum(counts, 1) - self.points
        logs = -counts * (away / self._noise(portfolio)[:, None]) ** 2 / 2
        return special.softmax(logs + np.log(self.weights), axis=1)

    def _noise(self, portfolio):
        """Noise of every instance."""
        if "noise" in portfolio.parameters:
            return portfolio.parameters["noise"]
        if self.noise_spread:
            raise ValueError(
                "the noise of the instances must be known: portfolio.parameters needs 'noise', as "
                f"noise_spread={self.noise_spread!r} is not 0."
            )
        return np.full(len(portfolio), self.noise, dtype=float)


class LognormalNormal(_NormalMeans):
    """Lognormal outcomes whose log means are normal over the portfolio.

    Parameters
    ----------
    mean, spread : float
        Mean and standard deviation of the instances' log means; the spread is positive.

    noise : float
        Standard deviation of a log outcome around its instance's log mean; positive.

    Notes
    -----
    Capped outcomes are read as by `GammaPoisson`.

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
        if is_capped(portfolio).any():
            return self._capped_predictive(portfolio, NormalLevels(self.mean, self.spread))
        return LognormalLaw(*self._next_value(np.log(portfolio.observations)))

    def _capped_predictive(self, portfolio, levels):
        posterior = posterior_of_levels(levels, CappedLognormal(portfolio, self.noise))
        widths = np.full_like(posterior.logs, self.noise)
        return LognormalLevelsLaw(posterior.weights, posterior.logs, widths)

    def truth(self, portfolio):
        return LognormalLaw(portfolio.parameters["log_mean"], self.noise)
