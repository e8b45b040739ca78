"""Rows whose levels move, sold from stock: what was asked for, sold, and comes next."""

from dataclasses import dataclass

import numpy as np

N_SEASON = 13
SEASON_SPREAD = 0.3  # standard deviation of log seasons
NOISE = 0.4  # of the log of an amount
LEVEL_SHAPE, LEVEL_RATE = 2.0, 0.1
FACTOR_SPREAD = 0.4  # of the log of stock over what is expected
N_DRAWS = 200  # of the next period's demand
POLICIES = ("constant", "following")


@dataclass(frozen=True)
class Walks:
    """Gamma levels times random walks, of all rows and of each, and seasons; with noise.

    Parameters
    ----------
    counts : bool
        Whether outcomes are Poisson counts, or lognormal.

    season : bool
        Whether there is a season of 13 periods, the same for all rows.

    common, own : float
        Standard deviations of the steps of the walk of all rows, and of each.
    """

    counts: bool
    season: bool
    common: float = 0.08
    own: float = 0.08

    def __str__(self):
        kind = "counts" if self.counts else "amounts"
        return f"{kind}, {'season' if self.season else 'no season'}"

    @property
    def seasons(self):
        """As a problem takes them."""
        return (N_SEASON,) if self.season else None

    def sample(self, n_rows, n_periods, seed):
        """Demand, what was expected of it a period before, and draws of what comes.

        Returns
        -------
        demand, expected : ndarray of shape (n_rows, n_periods)

        later : ndarray of shape (n_rows, n_draws)
            Of the period that follows, given all that moved levels before.
        """
        rng = np.random.default_rng(seed)
        logs = np.log(rng.gamma(LEVEL_SHAPE, 1 / LEVEL_RATE, (n_rows, 1)))
        season = SEASON_SPREAD * rng.normal(size=N_SEASON) * self.season
        season = np.resize(season, n_periods + 1)
        walks = self._steps(rng, n_rows, n_periods).cumsum(axis=1)
        before = logs + np.hstack([np.zeros((n_rows, 1)), walks])
        expected = np.exp(before + season)
        demand = self._outcomes(rng, np.exp(logs + walks + season[:-1]))
        ahead = before[:, [-1]] + season[-1] + self._steps(rng, n_rows, N_DRAWS)
        return demand, expected[:, :-1], self._outcomes(rng, np.exp(ahead))

    def _steps(self, rng, n_rows, n_periods):
        common = self.common * rng.normal(size=n_periods)
        return common + self.own * rng.normal(size=(n_rows, n_periods))

    def _outcomes(self, rng, means):
        if self.counts:
            return rng.poisson(means).astype(float)
        return means * np.exp(NOISE * rng.normal(size=means.shape) - NOISE**2 / 2)


def stock_of(demand, expected, capped, policy, seed):
    """Order-up-to stock that caps a share of all cells; ndarray of the shape of demand.

    Parameters
    ----------
    demand, expected : ndarray of shape (n_rows, n_periods)

    capped : float

    policy : {"constant", "following"}
        Whether stock goes by the mean of all that was expected of a row, or by what is expected of
        each period.

    seed : int
    """
    rng = np.random.default_rng(seed)
    level = expected
    if policy == "constant":
        level = np.repeat(expected.mean(axis=1, keepdims=True), expected.shape[1], axis=1)
    level = level * np.exp(FACTOR_SPREAD * rng.normal(size=(len(level), 1)))
    stock = np.quantile(demand / level, 1 - capped) * level
    whole = not (demand % 1).any()
    return np.maximum(np.rint(stock), 1.0) if whole else stock
