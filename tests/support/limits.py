"""Rows that share a limit."""

import numpy as np
import pandas as pd

from sklearn_pttf import Portfolio
from sklearn_pttf.problems import Newsvendor

NAN = np.nan


def limited_rows(under, over, weights=1.0, integer=True, **constraints):
    """Rows without evidence, with costs and constraints as they are read from X."""
    under, over = np.asarray(under, dtype=float), np.asarray(over, dtype=float)
    weights = np.broadcast_to(np.asarray(weights, dtype=float), under.shape)
    constraints = {name: np.asarray(value) for name, value in constraints.items()}
    return Portfolio(
        np.empty((len(under), 0)),
        {"underage": under, "overage": over},
        {"limit_weights": weights, **constraints},
        integer,
    )


def random_limited_rows(n, seed, integer=False, **constraints):
    rng = np.random.default_rng(seed)
    under, over, weights = rng.uniform(1, 9, n), rng.uniform(0.3, 3, n), rng.uniform(0.5, 3, n)
    return limited_rows(under, over, weights, integer, **constraints)


def solved_within(limit, law, portfolio):
    return Newsvendor(limit=limit).solve_with_info(law, portfolio)


def total_cost(orders, law, portfolio):
    return Newsvendor().expected_cost(orders, law, portfolio).sum()


def used_of_limit(orders, portfolio):
    return float(portfolio.constraints["limit_weights"] @ orders)


def poisson_counts(n=24, seed=0, n_columns=5):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2.0, 4.0, (n, 1)), (n, n_columns)).astype(float)
    counts[3, 1] = NAN
    return counts


WEEKS = [f"w{k}" for k in range(5)]
FRAME = pd.DataFrame(poisson_counts(), columns=WEEKS).assign(
    price=np.linspace(1.0, 3.0, 24), short=np.linspace(2.0, 6.0, 24)
)
STORES = np.array(["north", "south", "east"])[np.arange(24) % 3]


def sharing_estimator(limit, **parameters):
    parameters = {"limit_weights": "price", "observations": WEEKS, **parameters}
    return Newsvendor("short", 1.0, limit=limit, **parameters)
