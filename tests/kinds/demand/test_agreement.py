"""Laws agree with the table that they were made from, and with themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_pttf._kinds.demand.held_out import HeldOut, spread_out, turns_of
from sklearn_pttf._kinds.demand.recalibration import Recalibration, ZerosByLevel, sure_part
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import Segments, ZeroInflatedPoisson
from support.estimators import fitted_network


def test_rare_unit_sales():
    X = (np.random.default_rng(0).random((1000, 12)) < 0.05).astype(float)
    fitted = fitted_network(X, Newsvendor(15.0, 1.0))
    assert fitted.predict(X).mean() == pytest.approx(0.0515, rel=0.01)
    assert (fitted.decide(X) == 0).all()  # P(0) is .9485, and .9375 is asked for


@pytest.mark.parametrize(("level", "n"), [(0.05, 1), (0.05, 5), (0.02, 24), (0.2, 12)])
def test_means_of_slow_movers(level, n):
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(2.0, level / 2, (1000, 1)), (1000, n)).astype(float)
    law = fitted_network(X).predict_distribution(X)
    assert law.mean().mean() == pytest.approx(X.mean(), rel=0.03)
    assert law.cdf(0.0).mean() == pytest.approx((X == 0).mean(), abs=0.004)


def test_one_row_that_is_longer_than_all_others():
    X = np.random.default_rng(0).poisson(9.0, (41, 12)).astype(float)
    X[:, 3:], X[7, 3:] = np.nan, 9
    # of turns that only this row takes, one half of the rows says nothing
    assert_allclose(fitted_network(X).decide(X), 9, atol=2)  # the median of Poisson(9)


def test_rare_amounts():
    rng = np.random.default_rng(0)
    sold = rng.random((1000, 12)) < 0.05
    X = rng.lognormal(2.0, 0.5, (1000, 1)) * rng.lognormal(0.0, 0.5, (1000, 12)) * sold
    fitted = fitted_network(X)
    assert fitted.predict(X).mean() == pytest.approx(X.mean(), rel=0.05)
    assert fitted.predict_distribution(X).cdf(0.0).mean() == pytest.approx(
        1 - sold.mean(), abs=0.02 * sold.mean()
    )


def _excess_costs(problem, X, later, known):
    """Of the network and of SAA, over that of one order for all who knows the law."""
    horizon = problem.horizon
    totals = later.reshape(len(X), -1, horizon).sum(axis=2)
    orders = [fitted_network(X, problem).decide(X), SampleAverage(problem).fit(X).decide(X)]
    best = np.full(len(X), float(known))
    costs = [problem.cost(order[:, None], totals).mean() for order in (*orders, best)]
    return costs[0] / costs[2] - 1, costs[1] / costs[2] - 1


def test_horizon_of_rare_sales():
    rng = np.random.default_rng(0)
    X, later = ((rng.random((500, n)) < 0.05).astype(float) for n in (12, 600))
    # P(none in six periods) is .735, and 2/3 is asked for
    network, saa = _excess_costs(Newsvendor(2.0, 1.0, horizon=6), X, later, known=0)
    assert network < 0.05 < saa


@pytest.mark.parametrize("n", [3, 10])
def test_segments(n):
    prior = Segments([2.0, 10.0, 40.0], [0.5, 0.3, 0.2])
    portfolio = prior.sample(500, n, random_state=0)
    X = portfolio.observations
    law, truth = fitted_network(X).predict_distribution(X), prior.truth(portfolio)
    bayes = prior.predictive(portfolio)
    for tau in (0.5, 0.9, 0.95):
        costs = []
        for each in (law, bayes):
            order = each.quantile(tau)
            short = truth.excess(order)
            costs.append((tau * short + (1 - tau) * (order - truth.mean() + short)).sum())
        assert costs[0] / costs[1] < 1.025


@pytest.mark.parametrize(("top", "noise"), [(1e4, 0.3), (1e4, 0.0), (1e6, 0.0)])
def test_levels_over_many_decades(top, noise):
    """No quarter of the levels is dearer than SAA."""
    rng = np.random.default_rng(0)
    levels = np.sort(np.exp(rng.uniform(np.log(0.1), np.log(top), 400)))[:, None]

    def sold(n):
        rates = levels * (rng.gamma(1 / noise, noise, (400, n)) if noise else 1.0)
        return rng.poisson(rates, (400, n)).astype(float)

    X, later, problem = sold(8), sold(400), Newsvendor(0.9, 0.1)
    costs = [
        problem.cost(each.decide(X)[:, None], later).mean(axis=1).reshape(4, 100).sum(axis=1)
        for each in (fitted_network(X, problem), SampleAverage(problem).fit(X))
    ]
    assert (costs[0] < costs[1]).all()


def test_slowest_rows_of_noisy_tables_of_many_decades():
    """In one context of all rows they were as dear as with SAA, or dearer."""
    problem, costs = Newsvendor(0.9, 0.1), []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        levels = np.sort(np.exp(rng.uniform(np.log(0.1), np.log(1e4), 400)))[:, None]
        X, later = (
            rng.poisson(levels * rng.gamma(1.0, 1.0, (400, n))).astype(float) for n in (4, 400)
        )
        costs.append(
            [
                problem.cost(each.decide(X)[:, None], later)[:100].mean()
                for each in (fitted_network(X, problem), SampleAverage(problem).fit(X))
            ]
        )
    network, saa = np.sum(costs, axis=0)
    assert network < saa


@settings(deadline=None, max_examples=12)
@given(
    zeros=st.floats(0.0, 0.99),
    log_level=st.floats(-1.0, 5.0),
    n=st.integers(1, 8),
    whole=st.booleans(),
    seed=st.integers(0, 99),
)
def test_tables_of_all_shares_of_zeros(zeros, log_level, n, whole, seed):
    rng = np.random.default_rng(seed)
    levels = np.exp(log_level) * rng.lognormal(0.0, 0.5, (200, 1))
    X = rng.poisson(levels, (200, n)) if whole else levels * rng.gamma(4.0, 0.25, (200, n))
    X = X * (rng.random((200, n)) >= zeros)
    X[0, 0] = np.ceil(levels[0, 0])
    fitted = fitted_network(X.astype(float))
    law = fitted.predict_distribution(X)
    np.testing.assert_allclose(fitted.predict(X), law.mean(), rtol=1e-6, atol=1e-12)
    missing = law.mean() - X.mean(axis=1)
    error = missing.std() * 200**-0.5
    assert abs(missing.mean()) <= max(0.03 * X.mean(), 2 * error) + 1e-9
    chance = law.cdf(0.0)
    error = max(
        (chance - (X == 0).mean(axis=1)).std() * 200**-0.5,
        ((chance * (1 - chance)).mean() / (200 * n)) ** 0.5,
    )
    assert abs(chance.mean() - (X == 0).mean()) <= 2 * error + 1e-9


# ------------------------------------------------------------------ its parts


def test_what_is_sure():
    found = sure_part(np.array([-0.5, 1.0, 1.5, 2.0, -9.0]), 1.0)
    np.testing.assert_allclose(found, [0.0, 0.0, 1.0, 2.0, -9.0])


def test_recalibration_meets_the_table():
    law = QuantileGrid(np.tile([-1.0, 1.0, 2.0, 4.0], (100, 1)), [0.2, 0.5, 0.8, 0.95])
    X = np.zeros((100, 10))
    X[:, :3] = 9.0
    found = Recalibration.of(law, X)
    changed = found.apply(law)
    # all but 2 % of sales, and of a mean
    np.testing.assert_allclose(changed.cdf(0.0), 0.7 - 0.02 * (1 - law.cdf(0.0)) ** 2)
    np.testing.assert_allclose(changed.mean(), 2.7, rtol=0.02)
    assert found.power < 0.5  # as far as levels are tilted
    assert found.factor > 1
    assert abs(law.mean()[0] - 2.7) > 0.1
    assert Recalibration.of(law.take(slice(0, 9)), X[:9]) == Recalibration()  # too few rows


def _half_zeros(portfolio):
    """Laws with half of their mass at zero, and the row's mean above it."""
    top = 2 * np.nanmean(portfolio.observations, axis=1)[:, None]
    return QuantileGrid(top * [-1.0, 0.0, 1.0, 1.5], [0.2, 0.5, 0.75, 0.95])


def test_shares_of_zeros_agree_along_level():
    """Slow rows sell more often than laws say, fast ones less; on average they are right."""
    rng = np.random.default_rng(0)
    often = np.repeat([[0.8], [0.2]], 400, axis=0)
    X = np.repeat([[2.0], [100.0]], 400, axis=0) * (rng.random((800, 10)) < often)
    X[:, 0] = [2.0] * 400 + [100.0] * 400
    some = Portfolio(X, integer=True)
    law, turns = _half_zeros(some), HeldOut.turns(_half_zeros, some)
    before = law.cdf(0.0)
    found = ZerosByLevel.of(law, turns)
    after = Recalibration(found).apply(law).cdf(0.0)
    assert before[:400].mean() == pytest.approx(before[400:].mean())
    assert after[:400].mean() == pytest.approx((X[:400] == 0).mean(), abs=0.05)
    assert after[400:].mean() == pytest.approx((X[400:] == 0).mean(), abs=0.05)


def test_right_shares_of_zeros_stay():
    rng = np.random.default_rng(0)
    levels = np.repeat([[2.0], [100.0]], 400, axis=0)
    some = Portfolio(levels * (rng.random((800, 10)) < 0.5), integer=True)
    some.observations[:, 0] = levels[:, 0]

    def predict(portfolio):
        top = np.where(np.nanmax(portfolio.observations, axis=1) > 2, 100.0, 2.0)[:, None]
        return QuantileGrid(top * [-1.0, 0.0, 1.0, 1.5], [0.2, 0.5, 0.75, 0.95])

    turns = [
        turn._replace(outcomes=levels[turn.rows, 0] * (rng.random(len(turn.rows)) < 0.5))
        for turn in HeldOut.turns(predict, some)
    ]
    assert (np.abs(ZerosByLevel.of(predict(some), turns).shifts) < 0.1).all()


def test_without_zeros_sizes_are_multiplied():
    law = QuantileGrid(np.tile([4.0, 5.0, 6.0], (100, 1)), [0.2, 0.5, 0.8])
    found = Recalibration.of(law, np.full((100, 10), 9.0))
    assert (found.zero_shift, found.power) == (0, 1)
    np.testing.assert_allclose(found.apply(law).quantile(0.3), found.factor * law.quantile(0.3))
    np.testing.assert_allclose(found.apply(law).mean(), 9.0, rtol=0.05)


def test_zero_inflated_demand_is_no_dearer_than_by_the_network():
    """Twelve draws; sizes that were multiplied made it .4 points dearer, .7 at .99."""
    prior, costs = ZeroInflatedPoisson(2.0, 3.0, 2.0, 0.2), []
    ratios = np.array([0.5, 0.9, 0.95, 0.99])
    for seed in range(12):
        portfolio = prior.sample(500, 10, random_state=seed)
        X, truth = portfolio.observations, prior.truth(portfolio)
        fitted = fitted_network(X)
        laws = [fitted.predict_distribution(X), fitted._table.network_law(fitted._read(X))]
        orders = np.stack([law.quantile(ratios[None]) for law in laws])
        over = np.stack([truth.excess(each) for each in orders])
        left = orders - truth.mean()[:, None] + over
        costs.append((ratios * over + (1 - ratios) * left).sum(axis=1))
    agreed, own = np.sum(costs, axis=0)
    assert agreed[:3].sum() < 1.001 * own[:3].sum()
    assert agreed[3] < 1.004 * own[3]


def test_turns_hold_out_all_sizes_alike():
    rng = np.random.default_rng(0)
    X = rng.random((400, 30))
    X[5, 2:], X[6, 1:] = np.nan, np.nan
    cells = turns_of(X)
    assert cells.shape == (8, 400)
    assert sorted(cells[:, 5]) == [-1] * 6 + [0, 1]
    assert (cells[:, 6] == -1).all()  # nothing would be left
    held_out = np.take_along_axis(X, cells.T, axis=1)[7:]
    assert held_out.mean() == pytest.approx(0.5, abs=0.01)
    assert np.mean(held_out.max(axis=1)) == pytest.approx(X[7:].max(axis=1).mean(), abs=0.1)


def test_rows_to_look_at_do_not_depend_on_their_order():
    X = np.random.default_rng(0).poisson(3.0, (90, 4)).astype(float)
    X[3] = np.nan
    rows = spread_out(X, 40)
    assert len(rows) == 40
    assert 3 not in rows
    turned = X[::-1][spread_out(X[::-1], 40)]
    np.testing.assert_array_equal(np.sort(turned, axis=1), np.sort(X[rows], axis=1))


def test_a_row_of_zeros_among_steady_ones():
    """Its probability of a zero is 1, but for rounding."""
    rng = np.random.default_rng(6)
    X = np.repeat(np.round(rng.gamma(2, 10, (60, 1))), 10, axis=1) + (rng.random((60, 10)) < 0.1)
    X[-1] = 0
    law = fitted_network(X).predict_distribution(X)
    assert np.isfinite(law.mean()).all()
    assert law.mean()[-1] < 0.1 * X[:-1].mean()


def test_the_order_of_rows_does_not_matter():
    """Of more columns than are held out one by one, too."""
    rng = np.random.default_rng(1)
    X = rng.poisson(np.where(rng.random((240, 1)) < 0.7, 2, 30), (240, 30)).astype(float)
    order = rng.permutation(240)
    turned = fitted_network(X[order]).predict(X[order])
    np.testing.assert_allclose(turned, fitted_network(X).predict(X)[order], rtol=1e-7)


def test_expected_outcomes_of_values_are_expected_means():
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (50, 1)) + rng.standard_t(3, (50, 3))
    fitted = fitted_network(X, Estimation())
    for of_mean in (False, True):
        law = fitted.predict_distribution(X, of_mean=of_mean)
        np.testing.assert_allclose(fitted.predict(X), law.mean(), rtol=1e-6, atol=1e-9)
