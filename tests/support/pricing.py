"""Pairs of prices and demands, and estimators that set prices."""

import numpy as np

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.problems import Pricing
from support.networks import fresh_checkpoint

NAN = np.nan
TINY_OF_PRICES = NetworkConfig(outcomes="prices", width=16, n_layers=1, n_tokens=4)


CHECKPOINT = fresh_checkpoint(config=TINY_OF_PRICES)
PAIRS = {"prices": [0, 1, 2], "demands": [3, 4, 5]}
PROBLEM = Pricing(**PAIRS, unit_cost=2.0, bounds=(2.5, 9.0))


def pricing_estimators(problem=PROBLEM, **settings_):
    network = {"checkpoint": CHECKPOINT, "finetune": None, "random_state": 0, **settings_}
    return {
        "per_row": PerRowDemandCurve(problem),
        "pooled": PooledDemandCurve(problem),
        "network": PretrainedDecisionTransformer(problem, **network),
    }


NAMES = list(pricing_estimators())


def pricing_table(n=24, whole=False, seed=0):
    """Three prices and demand of elasticity about 2 in every row, ragged; the last row is empty."""
    rng = np.random.default_rng(seed)
    prices = rng.uniform(3, 7, (n, 3))
    mean = rng.lognormal(3 if whole else 4, 1, (n, 1)) * (prices / 5) ** -2
    demand = rng.poisson(mean) if whole else rng.gamma(4, mean / 4)
    X = np.hstack([prices, demand])
    X[2, 4] = X[5, 3:5] = NAN
    X[-1] = NAN
    return X


X = pricing_table()
COUNTS = pricing_table(whole=True)


def capped_rows(seed=0, n_rows=120, n=6, whole=False, follows=True, share=0.4):
    """Prices within 35 % of usual ones, demand of elasticity 2.5, and stock that caps a share.

    Stock is alike in all rows, or goes along with the row's level: it sells out at low prices.
    """
    rng = np.random.default_rng(seed)
    usual = np.exp(1.6 + 0.3 * rng.normal(size=(n_rows, 1)))
    level = np.exp(4.0 + 0.6 * rng.normal(size=(n_rows, 1)))
    relative = np.exp(rng.uniform(-0.3, 0.3, (n_rows, n)))
    mean = level * relative**-2.5
    demand = rng.poisson(mean).astype(float)
    if not whole:
        demand = mean * np.exp(0.3 * rng.normal(size=mean.shape) - 0.045)
    stock = (level if follows else 50.0) * np.exp(0.3 * rng.normal(size=mean.shape))
    stock *= np.quantile(demand / stock, 1 - share)
    return usual * relative, demand, np.maximum(np.rint(stock), 1.0) if whole else stock
