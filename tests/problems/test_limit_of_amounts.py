"""Amounts that share a limit: KKT conditions and linear programs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog
from scipy.special import expit, logit

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    MixtureLaw,
    RectifiedNormalLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf.problems import Newsvendor
from support.limits import (
    limited_rows,
    random_limited_rows,
    solved_within,
    total_cost,
    used_of_limit,
)

LEVELS = expit(np.linspace(-7, 7, 33))
MIDDLES = np.linspace(5.0, 80.0, 40)
CONTINUOUS = {
    "logistic": QuantileGrid(MIDDLES[:, None] + 0.1 * MIDDLES[:, None] * logit(LEVELS), LEVELS),
    "cut at zero": QuantileGrid(MIDDLES[:, None] * (0.2 + logit(LEVELS)), LEVELS),
    "lognormal": LognormalLaw(np.log(MIDDLES), 0.6),
    "zero-inflated": ZeroInflatedLognormalLaw(np.log(MIDDLES), 0.6, np.linspace(0.0, 0.6, 40)),
    "normal": RectifiedNormalLaw(MIDDLES, 0.3 * MIDDLES),
    "mixture": MixtureLaw(
        [RectifiedNormalLaw(MIDDLES, 5.0), RectifiedNormalLaw(3 * MIDDLES, 9.0)],
        np.full((40, 2), 0.5),
    ),
}


def _check_kkt(orders, info, law, portfolio, lower=0.0, upper=np.inf):
    """Rows between their bounds have one price; below it at the lower, above it at the upper."""
    under, over = portfolio.costs["underage"], portfolio.costs["overage"]
    weights, price = portfolio.constraints["limit_weights"], info["shadow_price"]
    saving = (under - (under + over) * law.cdf(orders)) / weights
    before = (under - (under + over) * law.cdf(orders * (1 - 1e-9) - 1e-12)) / weights
    slack = 1e-4 * price + 1e-9
    assert np.all((saving <= price + slack) | (orders >= upper))
    assert np.all((before >= price - slack) | (orders <= np.maximum(lower, 0)))
    inside = (orders > lower) & (orders < upper) & (orders > 0)
    assert inside.any()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_orders_use_the_limit_up_at_one_price(name, share):
    law, portfolio = CONTINUOUS[name], random_limited_rows(40, 2)
    limit = share * used_of_limit(Newsvendor().solve(law, portfolio), portfolio)
    orders, info = solved_within(limit, law, portfolio)
    assert_allclose(used_of_limit(orders, portfolio), limit, rtol=1e-12)
    assert_allclose([info["used"], info["limit"]], limit, rtol=1e-12)
    assert info["shadow_price"] > 0
    assert_allclose(info["dual_bound"], total_cost(orders, law, portfolio), rtol=1e-9)
    _check_kkt(orders, info, law, portfolio)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_orders_within_bounds_and_a_limit(name):
    lower, upper = 0.3 * MIDDLES, 1.1 * MIDDLES
    lower[::3], upper[::4] = 0.0, np.inf
    law, portfolio = CONTINUOUS[name], random_limited_rows(40, 3, lower=lower, upper=upper)
    least, free = used_of_limit(lower, portfolio), Newsvendor().solve(law, portfolio)
    assert np.all((free >= lower) & (free <= upper))
    limit = 0.6 * least + 0.4 * used_of_limit(free, portfolio)
    orders, info = solved_within(limit, law, portfolio)
    assert np.all((orders >= lower) & (orders <= upper))
    assert_allclose(used_of_limit(orders, portfolio), limit, rtol=1e-12)
    _check_kkt(orders, info, law, portfolio, lower, upper)
    # exactly what the lower bounds need
    orders, _ = solved_within(least, law, portfolio)
    assert_allclose(orders, lower, atol=1e-6)


def test_the_price_of_a_logistic_portfolio():
    # equal rows at the order q: (u - (u + o) F(q)) / w
    law = QuantileGrid(np.tile(20 + 3 * logit(LEVELS), (5, 1)), LEVELS)
    orders, info = solved_within(
        2 * 5 * 18, law, limited_rows([4.0] * 5, [1.0] * 5, 2.0, integer=False)
    )
    assert_allclose(orders, 18.0, rtol=1e-12)
    assert_allclose(info["shadow_price"], (4 - 5 * expit(-2 / 3)) / 2, rtol=1e-5)


def test_lower_prices_as_the_limit_rises():
    law, portfolio = CONTINUOUS["lognormal"], random_limited_rows(40, 4)
    free = used_of_limit(Newsvendor().solve(law, portfolio), portfolio)
    found = [
        solved_within(share * free, law, portfolio) for share in (0.0, 0.1, 0.4, 0.8, 0.99, 1.0, 2)
    ]
    prices = np.array([info["shadow_price"] for _, info in found])
    assert np.all(np.diff(prices[:-1]) < 0)
    assert_array_equal(prices[-2:], 0)
    assert np.all(np.diff([total_cost(orders, law, portfolio) for orders, _ in found]) <= 0)
    assert np.all(np.diff([orders for orders, _ in found], axis=0) >= 0)


def _linear_program(law, portfolio, limit):
    """Least cost of continuous orders under atoms, and the price of the limit, by linprog."""
    n, m = law.atoms.shape
    mass = law.weights * portfolio.costs["underage"][:, None]
    rest = law.weights * portfolio.costs["overage"][:, None]
    c = np.concatenate([np.zeros(n), mass.ravel(), rest.ravel()])
    pick = np.repeat(np.eye(n), m, axis=0)
    eye, no = np.eye(n * m), np.zeros((n * m, n * m))
    balance = np.concatenate(  # a - q <= short, q - a <= left over
        [np.hstack([-pick, -eye, no]), np.hstack([pick, no, -eye])]
    )
    use = np.concatenate([portfolio.constraints["limit_weights"], np.zeros(2 * n * m)])
    found = linprog(
        c,
        A_ub=np.vstack([balance, use]),
        b_ub=np.concatenate([-law.atoms.ravel(), law.atoms.ravel(), [limit]]),
    )
    return found.fun, -found.ineqlin.marginals[-1]


@pytest.mark.parametrize("seed", range(6))
def test_flat_pieces_of_atoms_against_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    law = WeightedAtoms(rng.gamma(2.0, 5.0, (8, 5)), rng.uniform(0.2, 1.0, (8, 5)))
    portfolio = random_limited_rows(8, seed)
    limit = rng.uniform(0.2, 0.9) * used_of_limit(Newsvendor().solve(law, portfolio), portfolio)
    orders, info = solved_within(limit, law, portfolio)
    least, price = _linear_program(law, portfolio, limit)
    assert_allclose(used_of_limit(orders, portfolio), limit, rtol=1e-12)
    assert_allclose(total_cost(orders, law, portfolio), least, rtol=1e-8)
    assert_allclose(info["dual_bound"], least, rtol=1e-8)
    assert_allclose(info["shadow_price"], price, rtol=1e-6)


def test_equal_flat_pieces_share_the_rest():
    # both rows want 2.5 or 7.5, and it costs the same which of them gets what is left
    law = WeightedAtoms(np.tile([2.5, 7.5], (2, 1)))
    orders, info = solved_within(9.0, law, limited_rows([4.0, 4.0], [1.0, 1.0], integer=False))
    assert orders.sum() == pytest.approx(9.0, rel=1e-12)
    # 2.5 of each are there in any case; a unit more saves 4 - 5 / 2
    assert_allclose(info["shadow_price"], 1.5, rtol=1e-8)
    assert_allclose(info["dual_bound"], 4 * 5 - 1.5 * 4.0, rtol=1e-8)
