"""Portfolios of demand at prices whose Bayes price is exact."""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_pttf._laws.parametric import NormalLaw
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.testing._laws import PortfolioLaw, _check_finite, _check_positive


class LinearDemand(PortfolioLaw):
    """Normal demand around ``intercept - slope * price``, with coefficients that rows differ in.

    Intercepts and slopes are bivariate normal over the portfolio. Prices of a row's observations
    are drawn evenly from a range. What falls below 0 is observed as 0, which is left out of account
    elsewhere: choose parameters for which it hardly happens.

    Parameters
    ----------
    intercept, slope : float
        Means of the coefficients; positive. Demand falls by ``slope`` with every unit of money.

    intercept_spread, slope_spread : float
        Their standard deviations; positive.

    correlation : float, default=0.8
        Of the two; strictly between -1 and 1.

    noise : float, default=5.0
        Standard deviation of demand around its row's line; positive.

    prices : tuple of float, default=(4.0, 7.0)
        Lowest and highest price that was ever set.

    Examples
    --------
    >>> from sklearn_pttf.testing import LinearDemand
    >>> law = LinearDemand(100.0, 10.0, 15.0, 1.5)
    >>> portfolio = law.sample(3, 5, random_state=0)
    >>> law.best_price(portfolio, low=3.0, high=8.0, unit_cost=1.0).round(2)
    array([5.11, 6.05, 4.9 ])
    """

    def __init__(
        self,
        intercept,
        slope,
        intercept_spread,
        slope_spread,
        correlation=0.8,
        noise=5.0,
        prices=(4.0, 7.0),
    ):
        _check_positive(
            intercept=intercept,
            slope=slope,
            intercept_spread=intercept_spread,
            slope_spread=slope_spread,
            noise=noise,
        )
        _check_finite(correlation=correlation)
        if not -1 < correlation < 1:
            raise ValueError(f"correlation must lie between -1 and 1; got {correlation!r}.")
        low, high = prices
        _check_positive(low_price=low, high_price=high)
        if low > high:
            raise ValueError(f"prices must be a pair (low, high); got {prices!r}.")
        self.intercept = intercept
        self.slope = slope
        self.intercept_spread = intercept_spread
        self.slope_spread = slope_spread
        self.correlation = correlation
        self.noise = noise
        self.prices = (low, high)

    def __repr__(self):
        return (
            f"LinearDemand({self.intercept:g}, {self.slope:g}, {self.intercept_spread:g}, "
            f"{self.slope_spread:g}, {self.correlation:g}, {self.noise:g})"
        )

    @property
    def _mean(self):
        return np.array([self.intercept, -self.slope])

    @property
    def _covariance(self):
        together = -self.correlation * self.intercept_spread * self.slope_spread
        return np.array([[self.intercept_spread**2, together], [together, self.slope_spread**2]])

    def sample(self, n_instances, n_observations, random_state=None):
        rng = check_random_state(random_state)
        lines = rng.multivariate_normal(self._mean, self._covariance, size=n_instances)
        prices = rng.uniform(*self.prices, size=(n_instances, n_observations))
        mean = lines[:, :1] + lines[:, 1:] * prices
        demand = mean + self.noise * rng.normal(size=mean.shape)
        return Portfolio(
            np.maximum(demand, 0.0),
            integer=False,
            prices=prices,
            posted=rng.uniform(*self.prices, size=n_instances),
            parameters={"intercept": lines[:, 0], "slope": -lines[:, 1]},
        )

    def posterior(self, portfolio):
        """Exact posterior of every row's line.

        Returns
        -------
        mean : ndarray of shape (n, 2)
            Intercept, and minus the slope.

        covariance : ndarray of shape (n, 2, 2)
        """
        seen = portfolio.mask
        prices = np.where(seen, portfolio.prices, 0.0)
        demand = np.where(seen, portfolio.observations, 0.0)
        design = np.stack([seen.astype(float), prices], axis=2)  # (n, m, 2)
        precision = np.linalg.inv(self._covariance)
        total = precision + np.einsum("nmi,nmj->nij", design, design) / self.noise**2
        known = precision @ self._mean + np.einsum("nmi,nm->ni", design, demand) / self.noise**2
        covariance = np.linalg.inv(total)
        return np.einsum("nij,nj->ni", covariance, known), covariance

    def predictive(self, portfolio):
        """Exact posterior predictive of demand at the posted price."""
        mean, covariance = self.posterior(portfolio)
        at = np.stack([np.ones(len(portfolio)), portfolio.posted_prices()], axis=1)
        variance = np.einsum("ni,nij,nj->n", at, covariance, at) + self.noise**2
        return NormalLaw((at * mean).sum(axis=1), np.sqrt(variance))

    def truth(self, portfolio):
        """True law of demand at the posted price."""
        mean = self.demand(portfolio, portfolio.posted_prices())
        return NormalLaw(mean, np.full(len(mean), self.noise))

    def demand(self, portfolio, price):
        """True expected demand at a price a row; ndarray of shape (n,)."""
        return portfolio.parameters["intercept"] - portfolio.parameters["slope"] * price

    def best_price(self, portfolio, low, high, unit_cost=0.0):
        """Exact Bayes price: it maximises expected profit given the observations.

        Parameters
        ----------
        portfolio : Portfolio

        low, high : float or ndarray of shape (n,)
            Bounds.

        unit_cost : float or ndarray of shape (n,), default=0.0

        Returns
        -------
        ndarray of shape (n,)
        """
        intercept, slope = self.posterior(portfolio)[0].T
        low, high, unit_cost = (np.broadcast_to(v, slope.shape) for v in (low, high, unit_cost))
        falls = np.where(slope < 0, -slope, 1.0)
        top = np.where(slope < 0, (intercept / falls + unit_cost) / 2, high)
        prices = np.stack([low, np.clip(top, low, high), high])
        profits = (prices - unit_cost) * (intercept + slope * prices)
        return prices[profits.argmax(axis=0), np.arange(len(slope))]
