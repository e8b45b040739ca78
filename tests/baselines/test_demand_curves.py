"""Demand curves by regression, and linear demand: closed forms, limits and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import Column, Portfolio
from sklearn_pttf._laws.at_prices import (
    PriceRange,
    fit_rows,
    log_changes,
    per_row_law,
    ratios_to,
    whole_law,
)
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.baselines._demand_curves import _Pool, _shrunken, _variance_between
from sklearn_pttf.problems import Newsvendor, Pricing
from sklearn_pttf.testing import LinearDemand

NAN = np.nan
MANY = settings(max_examples=60, deadline=None)
KINDS = [PerRowDemandCurve, PooledDemandCurve]


def _pricing(n, **settings_):
    """A problem whose table is ``n`` columns of prices, then ``n`` of demand."""
    return Pricing(list(range(n)), list(range(n, 2 * n)), **settings_)


def _portfolio(prices, demand, **settings_):
    prices, demand = np.array(prices, dtype=float), np.array(demand, dtype=float)
    return Portfolio(demand, prices=np.where(np.isnan(demand), NAN, prices), **settings_)


# ---------------------------------------------------------------- a row on its own


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(
    st.floats(1.2, 6),
    st.floats(0.5, 4),
    st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=6),
    st.lists(st.floats(-0.7, 0.7), min_size=4, max_size=4),
)
def test_exact_curves_are_found(kind, elasticity, cost, shifts, levels):
    """Of constant elasticity e, without noise: the best price is cost e / (e - 1)."""
    shifts = np.r_[0.3, -0.3, shifts]
    prices = np.exp([shifts + 0.1 * k for k in range(4)])
    demand = np.exp(levels)[:, None] * prices**-elasticity
    best = cost * elasticity / (elasticity - 1)
    problem = _pricing(len(shifts), unit_cost=cost, bounds=(best / 2, 2 * best))
    X = np.hstack([prices, demand])
    fitted = kind(problem).fit(X)
    found, info = fitted.decide(X, return_info=True)
    assert_allclose(info.elasticity, -elasticity, rtol=2e-3)
    assert_allclose(found, best, rtol=0.01)
    at = fitted.predict_distribution(X, price=best).mean()
    # levels of rows, at their usual prices, are pulled to mean demand by a quarter of a pair
    pseudo = 0.0 if kind is PerRowDemandCurve else 0.25
    usual = np.exp(np.log(prices).mean(axis=1))
    curve = ((prices / usual[:, None]) ** -elasticity).sum(axis=1)
    own = np.exp(levels) * usual**-elasticity
    pulled = (own * curve + pseudo * demand.mean()) / (curve + pseudo)
    assert_allclose(at, pulled * (best / usual) ** -elasticity, rtol=0.01)
    if kind is PooledDemandCurve:
        assert fitted.elasticity_ == pytest.approx(elasticity, rel=2e-3)
        assert fitted.elasticity_spread_ == pytest.approx(0, abs=0.01)


def _deviance(slope, demand, x):
    """Of the best level at a slope, up to a constant; Poisson."""
    curve = np.exp(np.multiply.outer(slope, x))
    return demand.sum() * np.log(curve.sum(-1)) - (demand * x).sum() * slope


cells = st.tuples(st.floats(-1.5, 1.5), st.one_of(st.just(0.0), st.floats(0.01, 1e4)))


@MANY
@given(st.lists(cells, min_size=2, max_size=6))
def test_slopes_against_brute_force(row):
    x, demand = np.array(row).T
    x = x - x.mean()
    (level,), (slope,) = fit_rows(demand[None], x[None])
    assert -10 <= slope <= 0
    if demand.sum() > 0 and np.ptp(x) > 1e-3:
        grid = np.linspace(-10, 0, 2001)
        least = _deviance(grid, demand, x).min()
        assert _deviance(slope, demand, x) <= least + 1e-6 * demand.sum()
    assert level * np.exp(slope * x).sum() == pytest.approx(demand.sum())


def test_slopes_by_hand():
    """Of two prices the curve goes through both demands, if they fall, and not too steeply."""
    x = np.log([[1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1, 1], [1, NAN], [NAN, NAN]])
    demand = [[8, 2], [2, 8], [0, 3], [3, 0], [0, 0], [2, 4], [5, NAN], [NAN, NAN]]
    level, slope = fit_rows(np.array(demand, dtype=float), x)
    assert_allclose(slope, [-2, 0, 0, -10, 0, 0, 0, 0], atol=1e-9)
    assert_allclose(level, [8, 5, 1.5, 3 / (1 + 2**-10), 0, 3, 5, NAN], rtol=1e-9)


def test_many_rows_are_fitted_as_each_alone():
    rng = np.random.default_rng(0)
    x, demand = rng.normal(0, 0.3, (40, 5)), rng.gamma(2, 5, (40, 5))
    demand[rng.uniform(size=demand.shape) < 0.2] = NAN
    x = np.where(np.isnan(demand), NAN, x)
    together = np.array(fit_rows(demand, x))
    alone = [np.array(fit_rows(demand[[k]], x[[k]]))[:, 0] for k in range(40)]
    assert_allclose(together.T, alone, rtol=1e-9)


def test_ratios_by_hand():
    level, slope = np.array([4.0, 0.0]), np.array([-1.0, 0.0])
    demand = np.array([[6.0, 1.0, NAN, 1e6], [0.0, 2.0, NAN, NAN]])
    x = np.log([[1.0, 2.0, NAN, 1.0], [1.0, 1.0, NAN, NAN]])
    ratios = ratios_to(demand, x, level, slope)
    assert_allclose(ratios, [[1.5, 0.5, NAN, 50], [1, 1, NAN, NAN]])


@MANY
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=6), st.integers(0, 99))
def test_whole_laws_keep_means(atoms, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 1, (1, len(atoms)))
    law = whole_law(np.array([atoms]), weights)
    support = law.atoms[law.weights > 0]
    assert_array_equal(support, np.rint(support))
    assert law.mean()[0] == pytest.approx((weights @ atoms)[0] / weights.sum(), abs=1e-6)
    whole = whole_law(np.rint([atoms]), weights)
    assert set(whole.atoms[whole.weights > 0]) == set(np.rint(atoms))


def test_whole_law_by_hand():
    law = whole_law(np.array([[2.25, 3 - 1e-12, NAN]]), np.array([[1.0, 1.0, 1.0]]))
    assert_allclose(law.cdf(np.array([[1.9, 2, 2.9, 3]])), [[0, 0.375, 0.375, 1]])


def test_law_of_a_row_by_hand():
    """On a row of exact slope -2 whose demand was 20 % above and below: so is what is expected."""
    prices = np.array([[1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 3.0, NAN], [NAN] * 4])
    demand = np.array([[12.0, 8.0, 3.0, 2.0], [1.5, 2.0, 7.0, NAN], [NAN] * 4])
    portfolio = _portfolio(prices, demand, posted=np.array([4.0, 6.0, 1.0]))
    law = per_row_law(portfolio, np.array([5.5, 9.0]))
    assert not portfolio.integer
    assert_allclose(law.quantile(np.array([[0.2, 0.8]])), [[0.5, 0.75], [1.5, 7], [5.5, 9]])
    assert_allclose(law.mean(), [0.625, 3.5, 7.25])
    whole = per_row_law(_portfolio(prices[1:], [[1, 2, 6, NAN], [NAN] * 4]), np.array([5.0, 9.0]))
    assert_array_equal(whole.quantile(np.array([[0.2, 0.5, 0.8]])), [[1, 2, 6], [5, 5, 9]])


def test_demand_at_past_prices_is_what_was_seen():
    """Where a row has had one price only, the law is its own demand."""
    demand = np.array([[3.0, 8.0, 1.0, NAN], [0.0, 0.0, 2.0, 5.0]])
    X = np.hstack([np.full((2, 4), 3.0), demand])
    fitted = PerRowDemandCurve(_pricing(4)).fit(X)
    assert_array_equal(fitted.predict_quantiles(X, [0.1, 0.5, 0.9]), [[1, 3, 8], [0, 0, 5]])
    assert_allclose(fitted.predict_distribution(X, price=9.0).mean(), [4, 1.75])


def test_expected_counts_fall_smoothly():
    """As if they were amounts: rounded to whole numbers they would fall in steps, or be 0."""
    X = np.array([[3.0, 6.0, 3.0, 6.0, 0, 0, 1, 0], [3.0, 6.0, 3.0, 6.0, 400, 100, 380, 90]])
    prices = np.linspace(3, 8, 50)
    for kind in KINDS:
        fitted = kind(_pricing(4, bounds=(2.0, 9.0))).fit(X)
        assert fitted.integer_
        laws = [fitted.predict_distribution(X, price=p) for p in prices]
        means = np.array([law.mean() for law in laws])
        assert (means > 0).all()
        assert (np.diff(np.log(means), axis=0) < 0).all()
        assert (np.diff(np.log(means), axis=0) > -0.6).all()
        outcomes, weights = laws[7].nodes()
        assert_array_equal(outcomes[weights > 0], np.rint(outcomes[weights > 0]))
        amounts = kind(_pricing(4, bounds=(2.0, 9.0))).fit(X + 1e-9)
        assert not amounts.integer_
        assert_allclose(fitted.decide(X), amounts.decide(X + 1e-9), atol=0.02)


def test_zeros():
    X = np.hstack([np.tile([3.0, 4.0, 5.0], (4, 1)), np.zeros((4, 3))])
    for kind in KINDS:
        fitted = kind(_pricing(3, unit_cost=1.0)).fit(X)
        assert_allclose(fitted.predict(X), 0, atol=1e-8)
        assert_array_equal(fitted.predict_quantiles(X, [0.1, 0.9]), 0)
        assert fitted.score(X) == 0
        assert fitted.score(X, np.zeros(4)) == 0
    X[0, 3:] = [7.0, 5.0, 4.0]
    pooled = PooledDemandCurve(_pricing(3, unit_cost=1.0)).fit(X)
    assert pooled.predict(X)[0] > 3 > 1 > pooled.predict(X)[1] > 0


# ---------------------------------------------------------------- ranges


def test_price_range_by_hand():
    portfolio = _portfolio([[1.0, 4.0, NAN], [3.0, 3.0, 3.0], [NAN] * 3], np.ones((3, 3)))
    portfolio = _portfolio(portfolio.prices, np.where(np.isnan(portfolio.prices), NAN, 1.0))
    found = PriceRange.of(portfolio)
    assert found == pytest.approx((1.0, 4.0, math.log(2)))
    prices = np.array([3.9, 4.0, 2.0])
    assert_array_equal(found.extrapolates(prices, portfolio), [False, False, False])
    assert_array_equal(found.extrapolates(prices * 1.1, portfolio), [True, True, False])
    assert_array_equal(found.extrapolates(prices / 4.1, portfolio), [True, True, True])
    near = PriceRange(0.1, 100.0, 0.1)  # twice that is a factor of 1.221
    asked = np.array([2.0 * 1.23, 3.0 / 1.21, 50.0])
    assert_array_equal(near.extrapolates(asked, portfolio), [True, False, False])


def test_usual_prices_by_hand():
    portfolio = _portfolio([[1.0, 4.0], [2.0, NAN], [NAN, NAN]], [[1, 1], [1, NAN], [NAN, NAN]])
    assert_allclose(portfolio.usual_prices(), [2, 2, NAN])
    assert_allclose(portfolio.posted_prices(), [2, 2, NAN])
    asked = portfolio.at_price(np.array([5.0, NAN, 7.0]))
    assert_allclose(asked.posted_prices(), [5, 2, 7])
    assert_allclose(asked.usual_prices(), [2, 2, NAN])
    named = _portfolio([[1.0, NAN], [NAN, NAN]], [[1, NAN], [NAN, NAN]], posted=np.array([3.0, 4]))
    assert_allclose(named.usual_prices(), [1, 4])
    assert_allclose(named.at_price(np.array([9.0, 9.0])).usual_prices(), [1, 4])
    assert_allclose(named.at_price(np.array([9.0, 9.0])).take([1]).usual_prices(), [4])
    left, outcomes = portfolio.held_out(np.array([1, 0, -1]))
    assert_allclose(outcomes[:, 0], [1, 1, NAN])
    assert_allclose(left.posted_prices(), [4, 2, NAN])
    assert_allclose(left.prices, [[1, NAN], [NAN, NAN], [NAN, NAN]])
    same = log_changes(np.array([[3.0, 3.0 + 4e-16]]), np.array([3.0]))
    assert_array_equal(same, 0)  # rounding is no change of price


# ---------------------------------------------------------------- the pool


def test_variance_between_by_hand():
    """DerSimonian and Laird: (Q - (k - 1)) / (sum w - sum w^2 / sum w), at least 0."""
    assert _variance_between(np.array([0.0, 2.0]), np.array([1.0, 1.0])) == pytest.approx(1.0)
    v, w = np.array([1.0, 4.0, 9.0, 99.0]), np.array([1.0, 2.0, 4.0, 0.0])
    centre = (1 + 8 + 36) / 7
    q = (1 - centre) ** 2 + 2 * (4 - centre) ** 2 + 4 * (9 - centre) ** 2
    assert _variance_between(v, w) == pytest.approx((q - 2) / (7 - 21 / 7))
    assert _variance_between(np.array([0.0, 0.1]), np.array([1.0, 1.0])) == 0
    assert _variance_between(np.array([5.0]), np.array([1.0])) == 0


POOL = _Pool(-2.0, 0.25, 0.5, 1.0, 3.0, 0.5, 0.8, 20.0, np.ones(1))


def _shrink(pool, demand, x, log_usual=1.0):
    demand, x = np.array([demand], dtype=float), np.array([x], dtype=float)
    return [float(v[0]) for v in _shrunken(demand, x, np.array([log_usual]), pool)]


def test_shrinkage_by_hand():
    """Two pairs at x = -1/2 and 1/2; under the pool's slope of -2 the weights are 1 and e^-2."""
    e2 = math.exp(-2.0)
    level, level_variance, slope, slope_variance = _shrink(POOL, [50.0, 50.0], [-0.5, 0.5])
    share = e2 / (1 + e2)
    variance = share * (1 - share)
    known = 2 * variance
    trust = 0.25 * known / (0.25 * known + 0.5)
    gap = (0.5 - share) / variance
    assert slope == pytest.approx(-2 + trust * gap)
    assert slope_variance == pytest.approx(0.25 * (1 - trust))
    curve = math.e + 1 / math.e + 0 if slope == -2 else math.exp(-slope / 2) + math.exp(slope / 2)
    own = math.log((100 + 0.25 * 20) / (curve + 0.25))
    trust = 0.8 * 2 / (0.8 * 2 + 0.5)
    assert math.log(level) == pytest.approx(3 + trust * (own - 3))
    assert level_variance == pytest.approx(0.8 * (1 - trust))


def test_limits_of_shrinkage():
    demand, x = [60.0, 40.0], [-0.5, 0.5]
    alike = POOL._replace(slope_variance=0.0, level_variance=0.0)
    level, level_variance, slope, slope_variance = _shrink(alike, demand, x, log_usual=3.0)
    assert (slope, slope_variance, level_variance) == (-2, 0, 0)
    assert level == pytest.approx(math.exp(3 + 0.5 * 2))  # on the line between rows
    unlike = POOL._replace(slope=math.log(40 / 60), slope_variance=1e9, level_variance=1e9)
    level, _, slope, _ = _shrink(unlike, demand, x)
    assert slope == pytest.approx(math.log(40 / 60))  # what the row itself says
    own = 105 / (math.exp(-slope / 2) + math.exp(slope / 2) + 0.25)
    assert level == pytest.approx(own, rel=1e-6)
    for rows in ([NAN, NAN], [NAN, NAN]), ([5.0, 5.0], [0.0, 0.0]):
        assert _shrink(POOL, *rows)[2:] == [-2, 0.25]  # knows nothing of slopes
    assert _shrink(POOL, [NAN, NAN], [NAN, NAN])[:2] == pytest.approx([math.exp(3), 0.8])


def test_clear_rows_keep_their_elasticity():
    """Without noise nothing is shrunken; elasticities differ by more than chance."""
    elasticity = np.array([1.5, 2.0, 3.0, 4.0])
    prices = np.tile(np.linspace(3, 7, 8), (4, 1))
    X = np.hstack([prices, 1e5 * prices ** -elasticity[:, None]])
    fitted = PooledDemandCurve(_pricing(8, unit_cost=2.0, bounds=(2.0, 9.0))).fit(X)
    _, info = fitted.decide(X, return_info=True)
    assert_allclose(-info.elasticity, elasticity, rtol=0.12)
    assert fitted.elasticity_spread_ == pytest.approx(np.std(elasticity, ddof=1), rel=0.25)


def test_noisy_rows_have_the_elasticity_of_all():
    """Rows that differ by less than chance would let them differ are taken for one."""
    rng = np.random.default_rng(3)
    prices = np.tile([4.0, 5.0, 6.0], (40, 1))
    noise = np.array([[1.5, 1.0, 0.5], [0.5, 1.0, 1.5], [1.0, 0.4, 1.6], [1.0, 1.6, 0.4]])
    level = rng.lognormal(4, 1, (40, 1))
    X = np.hstack([prices, level * prices**-2.0 * (1 + 0.4 * (np.tile(noise, (10, 1)) - 1))])
    fitted = PooledDemandCurve(_pricing(3, unit_cost=2.0, bounds=(2.0, 9.0))).fit(X)
    assert fitted.elasticity_spread_ == 0
    _, info = fitted.decide(X, return_info=True)
    assert_allclose(-info.elasticity, fitted.elasticity_, rtol=1e-6)
    assert fitted.elasticity_ == pytest.approx(2, abs=0.4)
    _, alone = PerRowDemandCurve(fitted.problem).fit(X).decide(X, return_info=True)
    assert np.ptp(alone.elasticity) > 0.5


def test_pooling_beats_rows_alone_on_the_true_curve():
    rng = np.random.default_rng(0)
    prices = rng.uniform(4, 6, (200, 4))
    level, elasticity = rng.lognormal(5, 1, (200, 1)), rng.normal(2.5, 0.2, (200, 1))
    X = np.hstack([prices, rng.gamma(5, level * (prices / 5) ** -elasticity / 5)])
    lost = []
    for kind in KINDS:
        p = kind(_pricing(4, unit_cost=2.0, bounds=(2.0, 9.0))).fit(X).decide(X)[:, None]
        best = 2 * elasticity / (elasticity - 1)
        profit, most = ((q - 2) * (q / 5) ** -elasticity for q in (p, best))
        lost.append(1 - (profit / most).mean())
    assert 0 <= lost[1] < 0.02 < 0.05 < lost[0]


def test_of_one_price_a_row_rows_tell_by_their_differences():
    prices = np.repeat(np.linspace(3, 8, 12)[:, None], 60, axis=1)
    X = np.hstack([prices, 1e4 * prices**-2.5])
    X[:, 61::2] = X[:, 60::2][:, : X[:, 61::2].shape[1]]  # ragged prices change nothing
    problem = _pricing(60, unit_cost=3.0, bounds=(2.0, 9.0))
    fitted = PooledDemandCurve(problem).fit(X)
    assert fitted.elasticity_ == pytest.approx(2.5, rel=0.02)
    alone = PerRowDemandCurve(problem).fit(X)
    assert_array_equal(alone.decide(X), 9.0)  # with elasticity 0
    dearer_sells_more = np.hstack([prices, prices**1.5])
    fitted = PooledDemandCurve(problem).fit(dearer_sells_more)
    assert fitted.elasticity_ == 0


def test_cold_rows_have_the_curve_of_the_pool():
    """Whatever levels of dear and cheap rows are: a price that is asked about is no evidence."""
    prices = np.exp(np.linspace(0, 2, 10))[:, None] * [[0.8, 1.0, 1.25]]
    usual = prices[:, 1:2]
    demand = 100 * usual * (prices / usual) ** -2.0  # dear rows sell more, at their usual price
    X = np.hstack([prices, demand, np.full((10, 1), NAN)])
    problem = _pricing(3, unit_cost=1.0, bounds=(1.0, 9.0), posted=Column(6))
    fitted = PooledDemandCurve(problem).fit(X)
    assert fitted.elasticity_ == pytest.approx(2)
    cold = np.full((1, 7), NAN)
    price, info = fitted.decide(cold, return_info=True)
    assert price[0] == pytest.approx(2, abs=0.03)
    assert info.elasticity[0] == pytest.approx(-2, rel=1e-3)
    middle = np.exp(1)  # mean log price of the rows
    assert fitted.predict(cold)[0] == pytest.approx(100 * middle, rel=0.05)
    asked = fitted.predict_distribution(cold, price=2 * middle).mean()[0]
    assert asked == pytest.approx(fitted.predict(cold)[0] / 4)
    # a posted price that X names is taken for the row's usual one
    cold[0, 6] = 4.0
    assert fitted.predict(cold)[0] == pytest.approx(400, rel=0.05)
    asked = fitted.predict_distribution(cold, price=8.0).mean()[0]
    assert asked == pytest.approx(fitted.predict(cold)[0] / 4)


@pytest.mark.parametrize("kind", KINDS)
def test_units_do_not_matter(kind):
    rng = np.random.default_rng(0)
    prices = rng.uniform(3, 7, (20, 4))
    X = np.hstack([prices, rng.gamma(3, 20 * prices**-1.5 + 0.01)])
    X[3, 5] = NAN
    money, unit = 7.3, 1e4
    problem = _pricing(4, unit_cost=1.0, bounds=(2.0, 9.0))
    other = _pricing(4, unit_cost=money, bounds=(2 * money, 9 * money))
    scaled = np.hstack([money * X[:, :4], unit * X[:, 4:]])
    one, info = kind(problem).fit(X).decide(X, return_info=True)
    two, again = kind(other).fit(scaled).decide(scaled, return_info=True)
    assert_allclose(two, money * one, rtol=1e-6)
    assert_allclose(again.expected_profit, money * unit * info.expected_profit, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_only_problems_of_prices(kind):
    for problem in (Newsvendor(), Newsvendor(observations=[0])):
        with pytest.raises(ValueError, match=r"^problem must be a pricing problem such as Pricing"):
            kind(problem).fit([[1.0, 2.0]])
    with pytest.raises(ValueError, match="'problem' parameter of"):
        kind("pricing").fit([[1.0, 2.0]])


# ---------------------------------------------------------------- linear demand


LINEAR = LinearDemand(100.0, 10.0, 15.0, 1.5, correlation=0.6, noise=4.0, prices=(3.0, 7.0))
MEAN = np.array([100.0, -10.0])
COVARIANCE = np.array([[225.0, -0.6 * 15 * 1.5], [-0.6 * 15 * 1.5, 2.25]])


def _ragged(n=30, m=4, seed=0):
    portfolio = LINEAR.sample(n, m, random_state=seed)
    observations = portfolio.observations.copy()
    observations[np.random.default_rng(seed).uniform(size=(n, m)) < 0.3] = NAN
    observations[0] = NAN
    return portfolio.with_observations(observations)


def _conditioned(row, portfolio):
    """Intercept and minus slope of a row, by conditioning their joint normal law on demand."""
    seen = portfolio.mask[row]
    A = np.column_stack([np.ones(seen.sum()), portfolio.prices[row, seen]])
    gain = COVARIANCE @ A.T @ np.linalg.inv(A @ COVARIANCE @ A.T + 16 * np.eye(seen.sum()))
    mean = MEAN + gain @ (portfolio.observations[row, seen] - A @ MEAN)
    return mean, COVARIANCE - gain @ A @ COVARIANCE


def test_posterior_of_lines():
    portfolio = _ragged()
    mean, covariance = LINEAR.posterior(portfolio)
    law = LINEAR.predictive(portfolio)
    for row in range(30):
        own, spread = _conditioned(row, portfolio)
        assert_allclose(mean[row], own)
        assert_allclose(covariance[row], spread, atol=1e-9)
        at = np.array([1, portfolio.posted[row]])
        assert law.mean()[row] == pytest.approx(at @ own)
        deviation = np.sqrt(at @ spread @ at + 16)
        assert law.quantile(0.975)[row] - at @ own == pytest.approx(1.959964 * deviation)


@MANY
@given(st.integers(0, 10**6), st.floats(1, 6), st.floats(0, 6), st.floats(0, 12))
def test_best_price_against_brute_force(seed, low, width, cost):
    """Expected profit over draws of the posterior is largest at the best price."""
    steep = LinearDemand(60.0, 8.0, 25.0, 6.0, correlation=0.1, noise=10.0)
    portfolio = steep.sample(5, 2, random_state=seed)
    high = low + width
    best = steep.best_price(portfolio, low, high, cost)
    assert ((best >= low) & (best <= high)).all()
    mean, covariance = steep.posterior(portfolio)
    rng = np.random.default_rng(seed)
    grid = np.linspace(low, high, 201)
    for row in range(5):
        lines = rng.multivariate_normal(mean[row], covariance[row], size=400)
        lines += mean[row] - lines.mean(axis=0)  # of as many, the mean is not quite right
        profits = ((grid - cost) * (lines[:, :1] + lines[:, 1:] * grid)).mean(axis=0)
        own = ((best[row] - cost) * (lines[:, 0] + lines[:, 1] * best[row])).mean()
        assert own >= profits.max() - 1e-9 * np.abs(profits).max()


def test_best_price_by_hand():
    empty = LINEAR.sample(2, 1, random_state=0).with_observations(np.full((2, 1), NAN))
    assert_allclose(LINEAR.best_price(empty, 3.0, 8.0, [1.0, 3.0]), [5.5, 6.5])
    assert_allclose(LINEAR.best_price(empty, [3.0, 6.0], [5.0, 8.0]), [5.0, 6.0])


def test_best_price_where_demand_seems_to_rise_with_it():
    """Profit has no top between the bounds then: one of them is best."""

    class Rising(LinearDemand):
        def posterior(self, portfolio):
            return np.array([[-2.9, 1.7], [-2.9, 1.7], [2.0, 0.0], [-9.0, 0.1]]), None

    rising = Rising(1.0, 1.0, 1.0, 1.0)
    # of -2.9 + 1.7 p at a cost of 9, 13.2 is lost at 3 and 10.7 at 8
    best = rising.best_price(None, 3.0, 8.0, [1.0, 9.0, 1.0, 1.0])
    assert_array_equal(best, [8.0, 8.0, 8.0, 3.0])


def test_true_laws_of_lines():
    portfolio = LINEAR.sample(4000, 3, random_state=0)
    a, b = portfolio.parameters["intercept"], portfolio.parameters["slope"]
    assert_allclose(np.cov(a, -b), COVARIANCE, rtol=0.1)
    assert_allclose(LINEAR.truth(portfolio).mean(), a - b * portfolio.posted)
    assert_allclose(LINEAR.demand(portfolio, 5.0), a - 5 * b)
    errors = portfolio.observations - (a[:, None] - b[:, None] * portfolio.prices)
    assert errors.mean() == pytest.approx(0, abs=0.15)
    assert errors.std() == pytest.approx(4, rel=0.05)
    assert ((portfolio.prices >= 3) & (portfolio.prices <= 7)).all()
    assert_array_equal(LINEAR.sample(5, 3, 7).observations, LINEAR.sample(5, 3, 7).observations)


@pytest.mark.parametrize(
    ("match", "changes"),
    [
        ("^intercept must be positive", {"intercept": 0.0}),
        ("^slope must be positive", {"slope": -1.0}),
        ("^intercept_spread must be positive", {"intercept_spread": 0.0}),
        ("^slope_spread must be a finite", {"slope_spread": NAN}),
        ("^noise must be positive", {"noise": 0.0}),
        ("^correlation must lie between -1 and 1; got 1.0", {"correlation": 1.0}),
        ("^correlation must be a finite", {"correlation": "high"}),
        (r"^prices must be a pair \(low, high\); got \(7.0, 4.0\)", {"prices": (7.0, 4.0)}),
        ("^low_price must be positive", {"prices": (0.0, 4.0)}),
    ],
)
def test_linear_demand_refuses(match, changes):
    good = {"intercept": 1.0, "slope": 1.0, "intercept_spread": 1.0, "slope_spread": 1.0}
    with pytest.raises(ValueError, match=match):
        LinearDemand(**{**good, **changes})
