"""What capped sales hide: expected demand, levels of rows, and networks that read them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats
from sklearn.base import clone

from sklearn_pttf import (
    Checkpoint,
    NetworkConfig,
    Portfolio,
    PretrainedDecisionTransformer,
    StockedPrior,
    SyntheticPrior,
    pretrain,
)
from sklearn_pttf._kinds.demand.capped import (
    Laws,
    _beyond,
    _levels,
    completed_rows,
    completed_units,
    rows_as_told,
)
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.demand.units import as_rows, portfolio_units
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson


def _one(values):
    return torch.tensor(np.asarray(values, dtype=float))[None]


def _rows(sales, stock):
    return as_rows(_one(sales), None if stock is None else _one(stock))


def _poisson_table(seed, n=10, rows=400, over=1.1):
    """Demand, and what stock of ``over`` times each row's mean, more or less, lets one sell."""
    rng = np.random.default_rng(seed)
    mean = rng.gamma(2, 5, (rows, 1))
    demand = rng.poisson(mean * np.ones(n)).astype(float)
    stock = np.maximum(np.round(over * mean * rng.lognormal(0, 0.3, (rows, 1))), 1)
    return demand, np.minimum(demand, stock), stock * np.ones(n)


def _completed_table(sales, stock, whole=1.0):
    """Rows as their table completes them, and its units."""
    rows, whole = _rows(sales, stock), torch.full((1, 1), whole, dtype=torch.float64)
    units = completed_units([rows], [torch.ones_like(rows.count)], whole)
    return completed_rows(rows, units), units


@pytest.mark.parametrize("cap", [0.2, 1.0, 4.0])
def test_what_is_expected_beyond_a_cap(cap):
    law = stats.lognorm(0.5, scale=np.exp(-0.125))  # of mean 1
    moments = [
        integrate.quad(lambda y, k=k: y**k * law.pdf(y), cap, np.inf)[0] / law.sf(cap)
        for k in (1, 2)
    ]
    found = _beyond(*(torch.tensor(x, dtype=torch.float64) for x in (cap, 1.0, 0.5)))
    assert_allclose([float(x) for x in found], moments, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 6, 20])
def test_the_level_of_a_row_that_is_capped_throughout(n):
    """Its law is that before, times the chance of so much demand, by quadrature."""
    centre, variance, s, cap = 0.0, 0.5, 0.4, 0.6
    laws = Laws(*(torch.full((1, 1, 1), x).double() for x in (1.0, centre, variance, s, 0.0, s)))
    rows = _rows(np.full((1, n), np.exp(cap)), np.full((1, n), np.exp(cap)))
    found = _levels(rows, laws, rows.sales, torch.full((1, 1, n), cap).double())
    grid = np.linspace(-5, 6, 4001)
    chance = n * stats.norm.logsf((cap - grid) / s + s / 2)
    weights = np.exp(stats.norm.logpdf(grid, centre, np.sqrt(variance)) + chance)
    mean = np.average(grid, weights=weights)
    spread = np.average((grid - mean) ** 2, weights=weights)
    assert_allclose(float(found.mean), mean, atol=0.02)
    assert_allclose(float(found.variance), spread, rtol=0.1)


def test_a_row_that_is_not_capped_has_the_level_of_credibility():
    laws = Laws(*(torch.full((1, 1, 1), x).double() for x in (1.0, 0.0, 0.5, 0.4, 0.0, 0.4)))
    rows = _rows([[1.0, 3.0, 2.0]], [[9.0, 9.0, 9.0]])
    found = _levels(rows, laws, rows.sales, torch.zeros(1, 1, 3).double())
    own = np.log((6 + 0.25) / (3 + 0.25))
    precision = 1 / 0.5 + 3 / 0.16
    assert_allclose(float(found.mean), own * 3 / 0.16 / precision)
    assert_allclose(float(found.variance), 1 / precision)


@pytest.mark.parametrize("n", [5, 20])
def test_expected_demand_is_that_which_there_was(n):
    demand, sales, stock = _poisson_table(0, n)
    assert sales.sum() < 0.93 * demand.sum()
    rows, _ = _completed_table(sales, stock)
    assert_allclose(float(rows.values.sum()), demand.sum(), rtol=0.03)


def test_cells_that_were_not_capped_stay_what_they_are():
    _, sales, stock = _poisson_table(1, 8)
    rows, units = _completed_table(sales, stock)
    told = rows_as_told(_rows(sales, stock), units)
    for found in (rows, told):
        free = found.capped == 0
        assert_array_equal(found.values[free], _one(sales)[free])
        assert_array_equal(found.variance[free], 0.0)
    assert (told.seen[told.capped > 0] < 1).all()
    assert_array_equal(told.seen[told.capped == 0], 1.0)


def test_stock_that_capped_nothing_changes_nothing():
    demand, _, _ = _poisson_table(2, 6)
    whole = torch.ones(1, 1).double()
    weights = [torch.ones(1, len(demand)).double()]
    plain = portfolio_units([_rows(demand, None)], weights, whole)
    found = completed_units([_rows(demand, demand + 1)], weights, whole)
    for name in plain._fields:
        assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-12, err_msg=name)
    rows = Demand.placed(_rows(demand, demand + 1), found)
    assert_array_equal(rows.values, _rows(demand, None).values)


def test_a_period_without_stock_says_nothing():
    portfolio = Portfolio(np.array([[0.0, 3.0], [0.0, 2.0]]), stock=np.array([[0.0, 5], [4, 2]]))
    assert_array_equal(portfolio.observations, [[np.nan, 3.0], [0.0, 2.0]])
    assert_array_equal(portfolio.capped, [[False, False], [False, True]])


@pytest.fixture(scope="module")
def network():
    return Checkpoint.load("demand").build_network(dtype=torch.float64)


def _mean_of_law(network, observations, stock=None):
    portfolio = Portfolio(observations, stock=stock)
    return predict_law(network, encode_context(network, portfolio), portfolio).mean()


def test_a_network_that_is_told_of_stock_expects_the_demand(network):
    demand, sales, stock = _poisson_table(3, 12)
    told = _mean_of_law(network, sales, stock).mean()
    assert_allclose(told, _mean_of_law(network, demand).mean(), rtol=0.08)
    assert _mean_of_law(network, sales).mean() < 0.9 * told


def test_the_order_of_capped_cells_does_not_matter(network):
    _, sales, stock = _poisson_table(4, 9, 40)
    stock[:, ::2] = np.inf
    order = np.random.default_rng(0).permutation(9)
    shuffled = _mean_of_law(network, sales[:, order], stock[:, order])
    assert_allclose(shuffled, _mean_of_law(network, sales, stock), rtol=1e-9)


def test_layers_of_capped_cells_learn_alone(monkeypatch):
    monkeypatch.setattr("sklearn_pttf._training.run.N_VALIDATION_STEPS", 1)
    start = Checkpoint.load("demand")
    network = NetworkConfig(**{**start.card["network"], "capped": True})
    few = SyntheticPrior(n_instances=(2, 8), n_observations=(1, 4))
    prior = StockedPrior(few, capped=0.4)
    learned = pretrain(prior, network=network, checkpoint=start, n_steps=2, rows=16, verbose=0)
    fresh = start.with_capped()
    changed = {n for n, w in learned.weights.items() if not np.array_equal(w, fresh.weights[n])}
    assert changed
    assert all(name.startswith("capped.") for name in changed)
    _, sales, stock = _poisson_table(5, 6, 30)
    nets = [each.build_network(dtype=torch.float64) for each in (start, learned)]
    plain, told = (_mean_of_law(each, sales) for each in nets)
    assert_array_equal(told, plain)
    plain, told = (_mean_of_law(each, sales, stock) for each in nets)
    assert np.abs(told / plain - 1).max() > 1e-6


def test_networks_that_read_no_stock_refuse_it():
    portfolio = Portfolio(np.array([[3.0, 2.0]]), stock=np.array([[3.0, 4.0]]), exposure=1.0)
    network = Checkpoint.load("counts").build_network()
    with pytest.raises(ValueError, match="cannot read stock"):
        encode_context(network, portfolio)
    with pytest.raises(ValueError, match="capped must be False"):
        NetworkConfig(outcomes="values", capped=True)


@pytest.mark.parametrize("over", [0.7, 1.1])
def test_orders_are_near_exact_bayes_and_far_below_those_by_sales(over):
    law = GammaPoisson(2.0, 0.2)
    drawn = law.sample(400, 10, random_state=0)
    rng = np.random.default_rng(0)
    stock = np.round(over * 10 * rng.lognormal(0, 0.4, (400, 1))) * np.ones(10)
    short = replace(drawn, observations=np.minimum(drawn.observations, stock), stock=stock)
    truth, X = law.truth(short), np.hstack([short.observations, stock])
    problem = Newsvendor(4.0, 1.0, observations=range(10), stock=range(10, 20))
    pdt = PretrainedDecisionTransformer(problem, finetune=None)
    as_sold = clone(pdt).set_params(problem__stock=None)
    orders = [each.fit(X).decide(X) for each in (pdt, as_sold)]
    orders.append(law.predictive(short).quantile(np.full(400, 0.8)))
    costs = [np.mean(_expected_cost(truth, order)) for order in orders]
    assert costs[0] < 1.03 * costs[2]
    assert costs[1] > 1.15 * costs[2]


def _expected_cost(truth, orders):
    """Of 4 a unit short and 1 a unit left over, at what a law says of all levels."""
    levels = (np.arange(400) + 0.5) / 400
    demand = truth.quantile(np.tile(levels, (len(orders), 1)))
    short = demand - orders[:, None]
    return np.where(short > 0, 4 * short, -short).mean(axis=1)
