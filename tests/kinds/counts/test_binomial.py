"""Successes in trials: laws against closed forms, rates against exact Bayes, refusals."""

import pickle
import time
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.base import clone

from sklearn_pttf import Column, CountPrior, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._kinds.counts.binomial import BinomialRates, log_likelihood
from sklearn_pttf._laws.beta import BetaBinomialMixture, BetaMixture, SharedLaw
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    SampleAverage,
)
from sklearn_pttf.datasets import load_rat_tumors
from sklearn_pttf.exceptions import DriftWarning
from sklearn_pttf.metrics import decision_cost, prescriptiveness, regret
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Estimation, Newsvendor, Selection

NAN = np.nan
TEN = Estimation(noise="binomial", trials=10)
BESIDE = Estimation(noise="binomial", trials=Column(1))


def _fitted(X, problem=BESIDE):
    return PretrainedDecisionTransformer(problem, device="cpu").fit(X)


def _mixtures(n=6, n_components=4, seed=0):
    rng = np.random.default_rng(seed)
    a, b = 0.5 + rng.gamma(1.0, 4.0, (2, n, n_components))
    return a, b, rng.dirichlet(np.ones(n_components), n)


# ---------------------------------------------------------------- laws


def test_beta_mixtures_against_scipy():
    a, b, weights = _mixtures()
    law, x = BetaMixture(a, b, weights), np.array([-1.0, 0.0, 0.01, 0.3, 0.9, 1.0, 2.0])
    each = stats.beta(a[..., None], b[..., None])
    assert_allclose(law.cdf(x[None]), (weights[..., None] * each.cdf(x)).sum(1), atol=1e-14)
    assert_allclose(law.mean(), (weights * each.mean()[..., 0]).sum(1))
    second = (weights * (each.var() + each.mean() ** 2)[..., 0]).sum(1)
    assert_allclose(law.variance(), second - law.mean() ** 2)
    tau = np.array([1e-6, 0.05, 0.5, 0.95, 1 - 1e-6])
    assert_allclose(law.cdf(law.quantile(tau[None])), np.broadcast_to(tau, (6, 5)), atol=1e-12)
    # of a uniform law E[(p - x)+] is (1 - x)^2 / 2
    uniform = BetaMixture(*np.ones((3, 1, 1)))
    assert_allclose(uniform.excess(np.array([[0.0, 0.25, 1.0]])), [[0.5, 0.75**2 / 2, 0.0]])
    assert_allclose(uniform.excess(-1.0), [1.5])


def test_nodes_of_a_beta_mixture_have_its_moments():
    law = BetaMixture(*_mixtures())
    split = np.full(6, 0.3)
    outcomes, weights = law.nodes(split)
    assert_allclose(weights.sum(1), 1)
    assert_allclose((outcomes * weights).sum(1), law.mean(), rtol=1e-9)
    assert_allclose(law.expected(lambda p: (p - law.mean()[:, None]) ** 2), law.variance())
    excess = law.expected(lambda p: np.maximum(p - 0.3, 0.0), split)
    assert_allclose(excess, law.excess(split), rtol=1e-5)
    assert not law.atomic().any()


def test_quantiles_of_rates_far_apart():
    """Two rates that are all but known: the law steps from one to the other."""
    size = 1e6
    law = BetaMixture([[0.2 * size, 0.7 * size]], [[0.8 * size, 0.3 * size]], [[0.5, 0.5]])
    found = law.quantile(np.array([[0.25, 0.5 - 1e-9, 0.5 + 1e-9, 0.75]]))
    assert_allclose(found, [[0.2, 0.2, 0.7, 0.7]], atol=0.003)


@pytest.mark.parametrize("trials", [0, 1, 2, 17, 300])
def test_beta_binomial_mixtures_against_scipy(trials):
    a, b, weights = _mixtures()
    law = BetaBinomialMixture(a, b, weights, np.full(6, trials))
    k = np.arange(trials + 1)
    mass = stats.betabinom(trials, a[..., None], b[..., None]).pmf(k)
    mass = (weights[..., None] * mass).sum(1)
    cdf = np.hstack([np.zeros((6, 1)), np.minimum(mass.cumsum(1), 1.0), np.ones((6, 1))])
    ends = np.broadcast_to(np.arange(-1, trials + 2), cdf.shape)
    assert_allclose(law.cdf(ends), cdf, atol=1e-11)
    assert_allclose(law.cdf(ends + 0.5), cdf, atol=1e-11)
    assert_allclose(law.mean(), mass @ k, atol=1e-9)
    x = np.array([-2.5, 0.0, 0.4, trials / 2 + 0.3, trials, trials + 3.0])
    excess = np.stack([mass @ np.maximum(k - value, 0.0) for value in x], axis=1)
    assert_allclose(law.excess(x[None]), excess, atol=1e-9)
    tau = np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    first = [(mass.cumsum(1) < level - 1e-12).sum(1) for level in tau]
    assert_array_equal(law.quantile(tau[None]), np.stack(first, axis=1))
    assert law.quantile(1 - 1e-12).max() <= trials
    outcomes, _ = law.nodes()
    assert outcomes.max() <= trials
    assert law.atomic().all()


def test_many_trials():
    """Beyond 4,096 numbers, the law of a share: cdf to 2e-4, mean and largest number exact."""
    a, b, weights = _mixtures()
    law = BetaBinomialMixture(a + 1, b + 1, weights, np.full(6, 20_000))
    k = np.arange(0, 20_001)
    mass = stats.betabinom(20_000, a[..., None] + 1, b[..., None] + 1).pmf(k)
    cdf = (weights[..., None] * mass).sum(1).cumsum(1)
    assert_allclose(law.cdf(np.broadcast_to(k[::50], (6, 401))), cdf[:, ::50], atol=2e-4)
    assert_allclose(law.mean(), 20_000 * BetaMixture(a + 1, b + 1, weights).mean())
    assert_allclose(law.excess(0.0), law.mean())
    assert law.quantile(1 - 1e-15).max() <= 20_000
    # rare successes of many are listed one by one: nearly Poisson with gamma means
    rare = BetaBinomialMixture([[50.0]], [[5e7]], [[1.0]], [1e6])
    near = stats.nbinom.cdf(np.arange(9), 50, 50 / 51)
    assert_allclose(rare.cdf(np.arange(9.0)[None])[0], near, atol=1e-6)


def test_laws_are_taken_joined_and_shared():
    wide, narrow = BetaBinomialMixture(*_mixtures(), np.arange(6)), None
    narrow = BetaBinomialMixture(*_mixtures(n_components=2, seed=1), np.arange(6) + 10)
    both = BetaBinomialMixture.concatenate([wide, narrow])
    assert_allclose(both.mean(), np.concatenate([wide.mean(), narrow.mean()]))
    assert_array_equal(both.take([7, 1]).quantile(0.4), both.quantile(0.4)[[7, 1]])
    assert_allclose(wide.over(3).mean(), 3 * wide.mean())
    kinds = np.array([5, 0, 5, 2])
    shared, plain = SharedLaw(wide, kinds), wide.take(kinds)
    x = np.array([0.5, 1.0, 4.0, 0.0])
    for method in ("cdf", "excess"):
        assert_array_equal(getattr(shared, method)(x), getattr(plain, method)(x))
    assert_array_equal(shared.quantile([[0.1, 0.9]]), plain.quantile([[0.1, 0.9]]))
    assert_array_equal(shared.mean(), plain.mean())
    assert_array_equal(shared.atomic(), plain.atomic())
    for split in (None, x):
        cost = [law.expected(lambda y: (y - 2) ** 2, split) for law in (shared, plain)]
        assert_allclose(*cost, rtol=1e-12)
    again = SharedLaw.concatenate([shared.take([3, 1]), shared])
    assert_array_equal(again.mean(), plain.mean()[[3, 1, 0, 1, 2, 3]])


@given(st.floats(-3, 9), st.floats(-3, 9), st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_log_likelihoods_have_their_digits(log_a, log_b, hits, misses):
    """Large parameters by Stirling's series, against differences of betaln in few digits."""
    a, b = 10.0**log_a, 10.0**log_b
    found = log_likelihood(hits, hits + misses, a, b)
    plain = special.betaln(a + hits, b + misses) - special.betaln(a, b)
    size = a + b + hits + misses
    assert_allclose(found, plain, rtol=1e-9, atol=1e-15 * size * np.log(size + 2) + 1e-8)


# ---------------------------------------------------------------- rates against exact Bayes


def _hierarchical_bayes(hits, trials):
    """Rates by beta-binomial Bayes on a grid, with the prior ``(a + b)^(-5/2)`` of Gelman et al."""
    mean = special.expit(np.linspace(-5, 5, 101))[:, None]
    size = np.exp(np.linspace(-2, 9, 81))
    a, b = mean * size, (1 - mean) * size
    logs = np.log(mean * (1 - mean)) - 0.5 * np.log(size)  # of logits and log sizes
    for hit, trial in zip(hits, trials, strict=True):
        logs = logs + special.betaln(a + hit, b + trial - hit) - special.betaln(a, b)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    pairs = zip(hits, trials, strict=True)
    return np.array([(weights * (a + hit) / (size + trial)).sum() for hit, trial in pairs])


def test_rat_tumors():
    """Gelman et al., chapter 5: a = 2.4, b = 14.3; 14 % in all, 0.21 given 4 of 14."""
    X = load_rat_tumors().data
    rates, info = _fitted(X).decide(X, return_info=True)
    assert_allclose(rates, _hierarchical_bayes(*X.T), atol=0.006)
    assert_allclose(rates, (2.4 + X[:, 0]) / (16.7 + X[:, 1]), atol=0.01)
    assert rates[-1] == pytest.approx(0.21, abs=0.005)
    exact = stats.beta(2.4 + 4, 14.3 + 10)
    assert_allclose([info.lower[-1], info.upper[-1]], exact.ppf([0.05, 0.95]), atol=0.01)
    assert info.expected_cost[-1] == pytest.approx(exact.var(), rel=0.1)


LAWS = {
    "beta(18, 2)": ([18.0], [2.0], [1.0]),
    "beta(1, 9)": ([1.0], [9.0], [1.0]),
    "beta(50, 50)": ([50.0], [50.0], [1.0]),
    "0.2 or 0.6": ([2e6, 6e6], [8e6, 4e6], [0.5, 0.5]),
    "0.1 or 0.3": ([1e6, 3e6], [9e6, 7e6], [0.7, 0.3]),
}


def _drawn(law, n, trials, rng):
    """Successes, trials, true rates, and their exact posterior means."""
    a, b, shares = (np.array(x) for x in LAWS[law])
    kind = rng.choice(len(a), n, p=shares)
    rates = rng.beta(a[kind], b[kind])
    t = np.full(n, 10.0) if trials == "equal" else np.ceil(rng.lognormal(2.3, 1.0, n))
    s = rng.binomial(t.astype(int), rates).astype(float)
    logs = np.log(shares) + log_likelihood(s[:, None], t[:, None], a, b)
    bayes = (special.softmax(logs, axis=1) * (a + s[:, None]) / (a + b + t[:, None])).sum(1)
    return s, t, rates, bayes


@pytest.mark.parametrize("trials", ["equal", "unequal"])
@pytest.mark.parametrize("law", LAWS)
def test_near_bayes_that_knows_the_law(law, trials):
    """500 rows: what squared error exceeds that of exact Bayes, over some portfolios.

    Of Beta(50, 50) and ten trials, 500 rows tell so little that exact Bayes that has to learn the
    law errs 5.2 % more than one that knows it.
    """
    most = 0.06 if law == "beta(50, 50)" else 0.05
    excess, least = 0.0, 0.0
    for seed in range(8 if trials == "equal" else 4):
        s, t, rates, bayes = _drawn(law, 500, trials, np.random.default_rng(seed))
        rows = Portfolio(s[:, None], exposure=t[:, None])
        found = BinomialRates(rows).rate(rows, spread=False).mean()
        excess += np.mean((found - bayes) ** 2)
        least += np.mean((rates - bayes) ** 2)
    assert excess < most * least


@pytest.mark.parametrize("law", LAWS)
def test_near_bayes_that_learns_the_law(law):
    """50 rows: squared error against that of exact hierarchical beta-binomial Bayes."""
    mine, exact = 0.0, 0.0
    for seed in range(5):
        s, t, rates, bayes = _drawn(law, 50, "equal", np.random.default_rng(seed))
        rows = Portfolio(s[:, None], exposure=t[:, None])
        found = BinomialRates(rows).rate(rows, spread=False).mean()
        least = np.mean((rates - bayes) ** 2)
        mine += least + np.mean((found - bayes) ** 2)
        exact += least + np.mean((_hierarchical_bayes(s, t) - bayes) ** 2)
    assert mine < 1.05 * exact


def test_totals_are_all_that_matters():
    """Two observations of 4 and 6 trials are one of 10; missing ones and 0 of 0 are none."""
    rng = np.random.default_rng(0)
    rates = rng.beta(2, 5, 40)
    first, second = rng.binomial(4, rates), rng.binomial(6, rates)
    one = _fitted(np.column_stack([first + second, np.full(40, 10)]))
    parts = np.column_stack([first, second, np.full(40, NAN), np.zeros(40)])
    trials = np.column_stack([np.full(40, 4), np.full(40, 6), np.full(40, NAN), np.zeros(40)])
    order = rng.permutation(4)
    table = np.hstack([parts[:, order], trials[:, order]])
    problem = Estimation(noise="binomial", trials=[4, 5, 6, 7])
    many = _fitted(table, problem)
    assert_allclose(many.decide(table), one.decide(np.c_[first + second, np.full(40, 10)]))
    assert_array_equal(many.predict_quantiles(table, [0.999]).ravel() <= 5, True)  # mean trials


def test_rows_are_decided_one_by_one_in_any_order():
    s, t, _, _ = _drawn("beta(1, 9)", 60, "unequal", np.random.default_rng(1))
    X = np.column_stack([s, t])
    fitted = _fitted(X)
    rates, orders = fitted.decide(X), fitted.decide(X, problem=Newsvendor(9, 1))
    some = np.random.default_rng(0).permutation(60)
    assert_allclose(fitted.decide(X[some]), rates[some], rtol=1e-12)
    assert_array_equal(fitted.decide(X[some], problem=Newsvendor(9, 1)), orders[some])
    one_by_one = np.concatenate([fitted.decide(row[None]) for row in X])
    assert_allclose(one_by_one, rates, rtol=1e-12)
    assert_array_equal(_fitted(X[some]).decide(X), rates)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.decide(X), rates)
    assert_array_equal(again.predict_quantiles(X, [0.9]), fitted.predict_quantiles(X, [0.9]))


def test_rates_keep_their_order_and_are_between():
    X = np.column_stack([np.arange(11.0), np.full(11, 10.0)])
    rates = _fitted(np.vstack([X, X])).decide(X)
    assert (np.diff(rates) > 0).all()
    assert ((rates > 0) & (rates < 1)).all()
    mirrored = np.column_stack([10 - X[:, 0], X[:, 1]])
    assert_allclose(_fitted(np.vstack([mirrored] * 2)).decide(mirrored), 1 - rates, rtol=1e-6)


# ---------------------------------------------------------------- 0 and 1


def test_zeros_and_ones():
    """Rates Beta(18, 2), ten outcomes of 0 or 1: within 5 % of Bayes, and nothing beyond 1."""
    rng = np.random.default_rng(0)
    rates = rng.beta(18, 2, 500)
    X = (rng.random((500, 10)) < rates[:, None]).astype(float)
    fitted = _fitted(X, Estimation(noise="binomial"))
    found, info = fitted.decide(X, return_info=True)
    bayes = (18 + X.sum(1)) / 30
    assert np.mean((found - bayes) ** 2) < 0.05 * np.mean((rates - bayes) ** 2)
    assert ((info.lower > 0) & (info.upper < 1) & (info.lower < found) & (found < info.upper)).all()
    assert np.mean((info.lower <= rates) & (rates <= info.upper)) == pytest.approx(0.9, abs=0.04)
    assert set(np.unique(fitted.predict_quantiles(X, [0.01, 0.5, 0.999]))) == {0.0, 1.0}
    assert set(fitted.decide(X, problem=Newsvendor(15, 1))) == {1.0}
    law = fitted.predict_distribution(X)
    assert_allclose(law.mean(), found)
    assert_allclose(1 - law.cdf(0.0), found, rtol=1e-9)  # the chance of a 1 is the rate
    # 0 is better where what is left over costs most
    assert set(fitted.decide(X, problem=Newsvendor(1, 30))) == {0.0}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.95, 0.99, 1.0])
def test_laws_agree_with_each_other_and_the_table(share):
    rng = np.random.default_rng(3)
    rates = rng.beta(5 * (1 - share) + 1e-9, 5 * share + 1e-9, 300)
    X = (rng.random((300, 8)) < rates[:, None]).astype(float)
    fitted = _fitted(X, Estimation(noise="binomial"))
    found, law = fitted.predict(X), fitted.predict_distribution(X)
    assert_allclose(law.mean(), found, rtol=1e-9)
    assert_allclose(fitted.predict_distribution(X, of_mean=True).mean(), found, rtol=1e-9)
    error = X.mean(1).std() / np.sqrt(300)
    assert abs(found.mean() - X.mean()) <= max(0.03 * X.mean(), 2 * error, 1 / X.size)
    assert abs(law.cdf(0.0).mean() - np.mean(X == 0)) <= max(2 * error, 1 / X.size)
    assert_allclose(fitted.predict(X, horizon=3), 3 * found)
    assert (fitted.predict_quantiles(X, [0.999], horizon=3) <= 3).all()


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5), st.floats(0, 1))
@example(1492, 12, 5, 0.5)  # quantiles that rounding alone tells apart
@settings(max_examples=25, deadline=None)
def test_any_table_is_decided_within_its_bounds(seed, n, m, rate):
    rng = np.random.default_rng(seed)
    trials = rng.choice([1, 3, 50, 10**6, 10**9], (n, m))
    X = rng.binomial(trials, rng.choice([0.0, rate, 1.0], (n, 1))).astype(float)
    X[rng.random((n, m)) < 0.2] = NAN
    X[0, 0] = trials[0, 0] // 2
    table = np.hstack([X, trials])
    fitted = _fitted(table, Estimation(noise="binomial", trials=list(range(m, 2 * m))))
    rates, info = fitted.decide(table, return_info=True)
    assert ((info.lower >= 0) & (info.lower <= info.upper) & (info.upper <= 1)).all()
    assert ((rates > 0) & (rates < 1) & (info.expected_cost >= 0)).all()
    law = fitted.predict_distribution(table)
    usual = np.where(np.isnan(X), NAN, trials)
    most = np.ceil(np.nanmax(np.where(np.isnan(X).all(1)[:, None], trials.max(), usual), 1))
    assert (law.quantile(0.999) <= most).all()
    assert_allclose(law.mean(), rates * law.law.trials[law.kinds], rtol=1e-9)
    orders, info = fitted.decide(table, problem=Newsvendor(9, 1), return_info=True)
    assert (orders <= most).all()
    assert (info.expected_cost >= -1e-6 * most).all()


# ---------------------------------------------------------------- no row moves the others


@pytest.mark.parametrize("times", [1e3, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_no_single_row_moves_the_others(times, seed):
    rng = np.random.default_rng(seed)
    rates = rng.beta(4, 12, 50)
    X = np.column_stack([rng.binomial(40, rates), np.full(50, 40)]).astype(float)
    X[7] = 10, 40
    before = _fitted(X).decide(X)
    X[7] *= times  # the same share in more trials
    after = _fitted(X).decide(X)
    assert_allclose(np.delete(after, 7), np.delete(before, 7), rtol=0.05)
    assert after[7] == pytest.approx(0.25, abs=3 / np.sqrt(40 * times))


@pytest.mark.parametrize("odd", [(0.0, 1e9), (1e9, 1e9), (5e8, 1e9)])
@pytest.mark.parametrize("seed", range(4))
def test_a_stray_row_moves_the_others_as_little_as_none(odd, seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.binomial(40, rng.beta(10, 90, 50)), np.full(50, 40)]).astype(float)
    before = _fitted(X[1:]).decide(X[1:])
    X[0] = odd
    after = _fitted(X).decide(X)
    assert_allclose(after[1:], before, rtol=0.05)
    assert after[0] == pytest.approx(odd[0] / odd[1], abs=1e-6)


def test_huge_numbers_of_trials_take_no_time():
    rng = np.random.default_rng(0)
    trials = np.floor(1e9 * rng.uniform(0.2, 1, 50))
    X = np.column_stack([rng.binomial(trials.astype(np.int64), rng.beta(2, 8, 50)), trials])
    began = time.monotonic()
    fitted = _fitted(X)
    rates, info = fitted.decide(X, return_info=True)
    fitted.decide(X, problem=Newsvendor(9, 1, horizon=3), return_info=True)
    fitted.predict_quantiles(X, [0.01, 0.99])
    assert time.monotonic() - began < 20
    assert_allclose(rates, X[:, 0] / X[:, 1], atol=5e-6)  # a third of their standard errors
    width = 2 * 1.645 * np.sqrt(rates * (1 - rates) / trials)
    assert_allclose(info.upper - info.lower, width, rtol=0.02)


# ---------------------------------------------------------------- trials, seen and coming


def test_coming_trials():
    X = np.array([[2.0, 10.0, 30.0], [1.0, 20.0, 5.0], [9.0, 30.0, NAN]])
    told = Estimation(noise="binomial", trials=Column(1), coming_trials=Column(2))
    usual = Estimation(noise="binomial", trials=Column(1), observations=[0])
    rates = _fitted(X, told).decide(X)
    assert_allclose(_fitted(X, told).predict_distribution(X).mean(), rates * [30, 5, 30])
    assert_allclose(_fitted(X, usual).predict_distribution(X).mean(), rates * [10, 20, 30])
    fixed = clone(told).set_params(coming_trials=7, observations=[0])
    assert_allclose(_fitted(X, fixed).predict_distribution(X).mean(), rates * 7)
    assert_array_equal(_fitted(X, fixed).predict_quantiles(X, [1 - 1e-9]) <= 7, True)


def test_coming_trials_of_a_list_are_the_rows_mean_rounded_up():
    X = np.array([[2.0, 1.0, 10.0, 21.0], [1.0, NAN, 20.0, 5.0], [NAN, NAN, NAN, NAN]])
    fitted = _fitted(X, Estimation(noise="binomial", trials=[2, 3]))
    law = fitted.predict_distribution(X)
    # (10 + 21) / 2, 20, and of a row that tells of none the mean of all, (10 + 21 + 20) / 3
    assert_allclose(law.mean(), fitted.predict(X) * [16, 20, 17])


def test_columns_by_name_are_no_observations():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"hits": [3, 5, 0], "shots": [9, 9, 4], "next": [5, 5, 5]})
    problem = Estimation(noise="binomial", trials="shots", coming_trials="next")
    fitted = _fitted(X, problem)
    assert_array_equal(fitted.observation_columns_, [0])
    assert_allclose(fitted.predict_distribution(X).mean(), 5 * fitted.predict(X))
    listed = Estimation(noise="binomial", trials=["shots"], observations=["hits"])
    assert_allclose(_fitted(X, listed).predict(X), fitted.predict(X))


def test_selection_of_rates():
    """The rows of the best rates, not of the most successes; their values are rates."""
    X = np.array([[9.0, 10.0], [50.0, 400.0], [5.0, 10.0], [1.0, 10.0], [40.0, 400.0]])
    problem = Selection(2, noise="binomial", trials=Column(1))
    fitted = _fitted(X, problem)
    picks, info = fitted.decide(X, return_info=True)
    assert_array_equal(picks, [1, 0, 1, 0, 0])
    assert info.bound == pytest.approx(fitted.predict(X)[[0, 2]].sum())
    assert_array_equal(_fitted(X).decide(X, problem=Selection(2)), picks)
    assert_array_equal(SampleAverage(problem).fit(X).decide(X), picks)


def test_charges_are_on_shares():
    X = np.array([[2.0, 10.0], [8.0, 10.0], [5.0, 20.0]])
    y = np.array([[4.0], [NAN], [10.0]])
    decisions = np.array([0.3, 0.9, 0.4])
    found = decision_cost(y, decisions, problem=BESIDE, X=X, per_row=True)
    assert_allclose(found, [0.01, NAN, 0.01])
    assert_allclose(decision_cost([4, NAN, 5], decisions, problem=TEN), (0.01 + 0.01) / 2)
    assert regret(y, decisions, problem=BESIDE, X=X) == pytest.approx(0.01)
    saa = SampleAverage(BESIDE).fit(X)
    assert_allclose(saa.decide(X), [0.2, 0.8, 0.25])
    # (C_SAA - C) / (C_SAA - C_floor): SAA errs by 0.2 and 0.25
    reference = (0.04 + 0.0625) / 2
    expected = (reference - 0.01) / reference
    assert prescriptiveness(y, decisions, X=X, problem=BESIDE) == pytest.approx(expected)
    fitted = _fitted(X)
    # a score weighs rows by their trials, 10 and 20
    mine = [10, 20] @ (fitted.decide(X)[[0, 2]] - [0.4, 0.5]) ** 2
    assert fitted.score(X, y) == pytest.approx(1 - mine / (10 * 0.04 + 20 * 0.0625))
    assert np.isfinite(fitted.score(X))


def test_held_out_shares_are_charged_in_score():
    """Without y, each cell is charged on the rate of the row's others, by its trials."""
    X = np.array([[2.0, 5.0, 10.0, 20.0], [8.0, 9.0, 10.0, 10.0], [1.0, 0.0, 10.0, 5.0]])
    fitted = _fitted(X, Estimation(noise="binomial", trials=[2, 3]))
    costs = np.zeros(2)
    for k in (0, 1):
        held = X.copy()
        held[:, k] = NAN
        trials, other = X[:, 2 + k], X[:, 1 - k] / X[:, 3 - k]
        off = np.stack([fitted.decide(held), other]) - X[:, k] / trials
        costs += off**2 @ trials
    assert fitted.score(X) == pytest.approx(1 - costs[0] / costs[1])


# ---------------------------------------------------------------- the estimator


def test_nothing_is_trained():
    X = load_rat_tumors().data
    fitted = _fitted(X)
    assert fitted.checkpoint_ is None
    assert fitted.finetuned_checkpoint_ is None
    assert not fitted.finetune_improved_
    assert fitted.finetune_report_["reason"] == "nothing to train: the law is exact"
    assert fitted.n_iter_ == 0
    assert_array_equal(fitted.fit(X).decide(X), _fitted(X).decide(X))
    # back to a network, and again
    counts = fitted.set_params(problem=Estimation(noise="poisson"), finetune=None).fit(X[:12])
    assert counts.checkpoint_.card["name"] == "poisson"
    assert fitted.set_params(problem=BESIDE).fit(X).checkpoint_ is None


def test_fit_says_so(capsys):
    X = load_rat_tumors().data
    PretrainedDecisionTransformer(BESIDE, verbose=1, device="cpu").fit(X)
    told = capsys.readouterr().out
    assert "71 rows with 71 observations read by exact Bayes on cpu" in told
    assert "Not finetuned: nothing to train: the law is exact." in told


def test_more_trials_are_no_drift():
    """Counts that grow with their trials do not drift; shares that grow do."""
    rng = np.random.default_rng(0)
    trials = np.tile([10.0, 10.0, 40.0, 40.0], (200, 1))
    rates = rng.beta(4, 12, (200, 1))
    problem = Estimation(noise="binomial", trials=[4, 5, 6, 7])
    X = np.hstack([rng.binomial(trials.astype(int), rates), trials])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _fitted(X, problem)
    rates = np.minimum(rates * [1, 1, 2, 2], 1.0)
    up = np.hstack([rng.binomial(trials.astype(int), rates), trials])
    with pytest.warns(DriftWarning, match=r"later half .* higher"):
        _fitted(up, problem)


def test_parametric_bayes_is_the_closed_form():
    X = load_rat_tumors().data
    bayes = ParametricEmpiricalBayes(BESIDE).fit(X)
    a, b = bayes.hyperparameters_["a"], bayes.hyperparameters_["b"]
    assert bayes.family_ == "beta-binomial"
    assert (a, b) == (pytest.approx(2.34, abs=0.05), pytest.approx(14.1, abs=0.3))
    rates, info = bayes.decide(X, return_info=True)
    exact = stats.beta(a + X[:, 0], b + X[:, 1] - X[:, 0])
    assert_allclose(rates, exact.mean())
    assert_allclose(info.upper, exact.ppf(0.95))
    law = bayes.predict_distribution(X)
    mass = stats.betabinom.cdf(2, X[:, 1], a + X[:, 0], b + X[:, 1] - X[:, 0])
    assert_allclose(law.cdf(2.0), mass, atol=1e-10)
    assert_allclose(bayes.predict(X, horizon=2), 2 * X[:, 1] * rates)
    nothing = ParametricEmpiricalBayes(TEN).fit([[0.0], [0.0]])
    assert_allclose(nothing.decide([[0.0], [3.0]]), [0.0, 3 / 11], atol=1e-8)


def test_a_table_of_nothing_but_failures():
    """No success in 100 trials: half a success and a trial more, as Jeffreys has it."""
    X = np.zeros((10, 1))
    rates = _fitted(X, TEN).decide(X)
    assert_allclose(rates, 0.5 / 101, rtol=0.2)
    assert (_fitted(X, TEN).decide(X, problem=Newsvendor(9, 1)) == 0).all()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("X", "changes", "message"),
    [
        ([[0, 2]], {}, r"observations must be at most the number of their trials, 1 without"),
        ([[0, 12]], {"trials": 10}, r"observations must be at most .* trials=10; got row 0: 12"),
        ([[0, 2.5]], {"trials": 10}, r"must be whole numbers of at least 0; got row 0: 2.5"),
        ([[0, -1]], {"trials": 10}, r"must be whole numbers of at least 0; got row 0: -1"),
        ([[0, 1]], {"trials": 2.5}, r"trials must be whole numbers from 1 to 1,000,000,000.*2.5"),
        ([[0, 1]], {"trials": 2e9}, r"trials must be whole numbers from 1 to 1,000,000,000"),
        ([[0, 1]], {"trials": True}, r"trials must be whole numbers from 1 .* got True"),
        ([[0, 0.5]], {"trials": Column(1)}, r"trials=Column.* must be whole .* got row 0: 0.5"),
        ([[0, NAN]], {"trials": Column(1)}, r"trials=Column.* where there is .* got row 0: nan"),
        ([[0, 1, 3]], {"trials": [2]}, r"trials must list a column for each of the 2 columns"),
        ([[0, 1]], {"trials": "n"}, r"trials='n' is a column's name"),
        ([[0, 1]], {"coming_trials": 0}, r"coming_trials must be whole numbers from 1"),
        ([[0, 1]], {"coming_trials": [0]}, r"coming_trials must be whole numbers from 1"),
        ([[0, 0]], {"coming_trials": Column(1)}, r"coming_trials must be .* got row 0: 0.0"),
        ([[0, 1]], {"noise": None, "trials": 9}, r"trials must be None with noise=None; got 9"),
        ([[0, 1]], {"noise": "poisson", "coming_trials": 9}, r"coming_trials must be None"),
        ([[0, 1]], {"standard_errors": 1.0}, r"standard_errors must be None with noise='binomial'"),
        ([[0, 1]], {"exposure": 3.0}, r"exposure=3.0 needs noise='poisson'"),
        ([[0, 1]], {"noise": "beta"}, r"noise must be 'poisson', 'binomial' or None; got 'beta'"),
        ([[0, 0]], {"trials": Column(1)}, r"X has no observation at all"),
    ],
)
def test_bad_tables_and_settings(X, changes, message):
    problem = Estimation(**{"noise": "binomial", **changes})
    with pytest.raises(ValueError, match=message):
        _fitted(np.array(X, dtype=float), problem)


def test_what_cannot_be_asked():
    X = np.array([[1.0, 3.0], [0.0, 9.0]])
    fitted = _fitted(X, TEN)
    with pytest.raises(ValueError, match=r"outcomes must be at most the trials .* row 0: 11"):
        fitted.score(X, [11, 2])
    with pytest.raises(ValueError, match=r"outcomes in y must be whole numbers of at least 0"):
        fitted.score(X, [0.5, 2])
    with pytest.raises(ValueError, match=r"noise='poisson' cannot be said now"):
        fitted.decide(X, problem=Estimation(noise="poisson"))
    with pytest.raises(ValueError, match=r"trials stays as fitted, 10, .* got 20"):
        fitted.decide(X, problem=Estimation(noise="binomial", trials=20))
    with pytest.raises(ValueError, match=r"noise='binomial' cannot be said now"):
        PretrainedDecisionTransformer(Newsvendor(), finetune=None).fit(X).decide(X, problem=TEN)
    with pytest.raises(ValueError, match=r"checkpoint must be 'auto' with noise='binomial'"):
        PretrainedDecisionTransformer(TEN, checkpoint="poisson").fit(X)
    with pytest.raises(ValueError, match=r"prior must be None with noise='binomial'"):
        PretrainedDecisionTransformer(TEN, prior=CountPrior()).fit(X)
    for other in (JamesStein, NonparametricEmpiricalBayes):
        with pytest.raises(ValueError, match=rf"noise='binomial' for {other.__name__}"):
            other(TEN).fit(X)
    with pytest.raises(ValueError, match=r"family must be one of .* got 'normal'"):
        ParametricEmpiricalBayes(TEN, family="normal").fit(X)
    with pytest.raises(ValueError, match=r"family='beta-binomial' needs a problem with noise="):
        ParametricEmpiricalBayes(family="beta-binomial").fit(X)
    with pytest.raises(ValueError, match=r"has an exact law"):
        transfer_curve(PretrainedDecisionTransformer(TEN), np.tile(X, (20, 1)), n_instances=[20])
