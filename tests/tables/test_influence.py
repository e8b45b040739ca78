"""No single row moves the others."""

import warnings

import numpy as np
import pytest

from sklearn_pttf import Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._kinds.counts.outliers import typical_counts, typical_successes
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing
from sklearn_pttf.testing import GammaPoisson, LognormalNormal, Segments


@pytest.mark.parametrize("n_rows", [20, 500])
@pytest.mark.parametrize(
    "law", [GammaPoisson(0.5, 0.1), LognormalNormal(6.0, 0.8, 0.2), LognormalNormal(3.0, 0.2, 0.7)]
)
def test_right_tables_keep_nearly_all_rows(law, n_rows):
    kept = [
        typical_rows(Portfolio(law.sample(n_rows, 3, random_state=k).observations, integer=False))
        for k in range(20)
    ]
    assert np.mean(kept) > 0.985


def test_a_segment_is_no_outlier():
    X = Segments([2.0, 200.0], [0.98, 0.02]).sample(500, 5, random_state=0).observations
    assert typical_rows(Portfolio(X)).all()


def test_few_rows_are_all_kept():
    X = np.ones((9, 3))
    X[0] = 1e9
    assert typical_rows(Portfolio(X)).all()


def _changes(integer, cells, power):
    """How much expected demand of 49 rows changes if some of another one's is rescaled."""
    rng = np.random.default_rng(0)
    levels = rng.lognormal(2.5, 0.5, (50, 1))
    X = rng.poisson(levels, (50, 4)) if integer else levels * rng.lognormal(0, 0.4, (50, 4))
    X, changed = X.astype(float), X.astype(float)
    changed[7, cells] *= 10.0**power
    changed = np.rint(changed) if integer else changed

    def means(table):
        return PretrainedDecisionTransformer(finetune=None).fit(table).predict(table)

    return np.abs(np.delete(means(changed) / means(X), 7) - 1)


@pytest.mark.parametrize("power", [-9, -6, -3, 2, 3, 6, 9])
@pytest.mark.parametrize("integer", [True, False])
def test_no_row_moves_the_others(integer, power):
    assert _changes(integer, slice(None), power).max() < 0.05


@pytest.mark.parametrize("power", [-9, -3, 2, 3, 6, 9])
@pytest.mark.parametrize("integer", [True, False])
def test_no_observation_moves_the_others(integer, power):
    changes = _changes(integer, 0, power)
    assert np.median(changes) < 0.05
    assert power < 0 or changes.max() < 0.05  # one that is next to nothing may well be


def test_one_row_far_out_makes_no_bands():
    """In tables of a hundred rows or fewer it moves a quantile that bands are looked for by."""
    X = LognormalNormal(3.0, 0.5, 0.3).sample(80, 4, random_state=0).observations
    changed = X.copy()
    changed[7] *= 1e9
    found = [PretrainedDecisionTransformer(finetune=None).fit(t).predict(t) for t in (X, changed)]
    np.testing.assert_allclose(np.delete(found[1] / found[0], 7), 1.0, rtol=0.05)


def test_a_row_far_out_is_decided_by_its_own_observations():
    X = LognormalNormal(3.0, 0.3, 0.3).sample(60, 5, random_state=0).observations
    X[3] *= 1e6
    found = PretrainedDecisionTransformer(finetune=None).fit(X).predict(X)[3]
    assert found == pytest.approx(X[3].mean(), rel=0.2)


@pytest.mark.parametrize("power", [-9, -1, 1, 2, 9])
@pytest.mark.parametrize("what", ["price", "prices", "demands", "cost"])
def test_no_row_moves_the_prices_of_others(what, power):
    rng = np.random.default_rng(1)
    usual = rng.lognormal(1.5, 0.2, (50, 1))
    prices = usual * rng.lognormal(0.0, 0.15, (50, 5))
    demands = rng.lognormal(3.0, 0.5, (50, 1)) * (prices / usual) ** -2
    demands = demands * rng.lognormal(0.0, 0.3, (50, 5))
    X = np.hstack([prices, demands, np.full((50, 1), 2.0)])
    changed = X.copy()
    cells = {"price": 0, "prices": slice(0, 5), "demands": slice(5, 10), "cost": 10}[what]
    changed[7, cells] *= 10.0**power
    problem = Pricing(list(range(5)), list(range(5, 10)), unit_cost=Column(10))

    def decided(table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
            return np.delete(pdt.decide(table), 7)

    np.testing.assert_allclose(decided(changed), decided(X), rtol=0.05)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3])
def test_one_amount_or_price_a_row(factor):
    """Where nothing else of a row tells that it is odd."""
    rng = np.random.default_rng(0)
    prices = np.exp(rng.normal(1.0, 0.2, (50, 1)))
    sold = rng.gamma(2.0, 5.0, (50, 1)) / prices * np.exp(rng.normal(0.0, 0.3, (50, 1)))
    X, changed = np.hstack([prices, sold]), np.hstack([prices, sold])
    changed[7, 0] *= factor
    fit = PretrainedDecisionTransformer(Pricing([0], [1], unit_cost=1.0), finetune=None).fit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_ = np.delete(fit(changed).decide(changed) / fit(X).decide(X), 7)
    fit = PretrainedDecisionTransformer(finetune=None).fit
    sold, changed = X[:, :1], changed[:, :1]
    expected = np.delete(fit(changed).predict(changed) / fit(sold).predict(sold), 7)
    np.testing.assert_allclose(np.concatenate([set_, expected]), 1.0, rtol=0.05)


# ---------------------------------------------------------------- counts and successes


@pytest.mark.parametrize("n_rows", [20, 50, 500])
@pytest.mark.parametrize("shape", [0.5, 3.0])
def test_right_counts_keep_nearly_all_rows(shape, n_rows):
    kept = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        exposure = rng.lognormal(0.0, 0.5, n_rows)
        total = rng.poisson(rng.gamma(shape, 20 / shape, n_rows) * exposure).astype(float)
        kept.append(typical_counts(total, exposure))
    assert np.mean(kept) > 0.995


@pytest.mark.parametrize("n_rows", [20, 50, 500])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (4.0, 12.0), (3.0, 300.0)])
def test_right_successes_keep_nearly_all_rows(a, b, n_rows):
    kept, trials = [], np.full(n_rows, 100.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        hits = rng.binomial(100, rng.beta(a, b, n_rows)).astype(float)
        kept.append(typical_successes(hits, trials))
    assert np.mean(kept) > 0.995


@pytest.mark.parametrize(("few", "many"), [(200.0, 2.0), (2.0, 40.0)])
def test_two_rows_alike_are_no_outliers(few, many):
    rng = np.random.default_rng(0)
    total = rng.poisson([few] * 2 + [many] * 48).astype(float)
    assert typical_counts(total, np.ones(50)).all()
    total[1] = many
    assert typical_counts(total, np.ones(50)).tolist() == [False] + [True] * 49


def test_empty_rows_and_few_rows_of_counts_are_kept():
    total, exposure = np.r_[1e9, np.ones(9), 0.0], np.r_[np.ones(10), 0.0]
    assert typical_counts(total, exposure).tolist() == [False] + [True] * 10
    assert typical_counts(total[:9], exposure[:9]).all()
    assert typical_successes(np.zeros(3), np.zeros(3)).all()


def _exposed(n, columns):
    """Poisson counts in their first ``n`` columns, then exposures; row 7 is a usual one."""
    rng = np.random.default_rng(0)
    exposure = rng.lognormal(0.0, 0.4, (50, columns))
    rates = rng.lognormal(2.5, 0.3, (50, 1))
    rates[7] = 12.0
    expected = rates * exposure if columns else rates
    return np.hstack([rng.poisson(expected, (50, n)), exposure]).astype(float)


def _assert_others_stay(problem, X, changed, most=0.05):
    def predicted(table):
        pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
        return np.delete(pdt.predict(table), 7)

    np.testing.assert_allclose(predicted(changed), predicted(X), rtol=most)


@pytest.mark.parametrize("power", [-3, -1, 1, 2, 3, 6, 9])
@pytest.mark.parametrize("n", [1, 4])
def test_no_count_moves_the_others(n, power):
    X = _exposed(n, 0)
    changed = X.copy()
    changed[7] = np.rint(X[7] * 10.0**power)
    plausible = n == 1 and power < 0  # one count of 0 or 1, which a right table may have
    most = 0.15 if plausible else 0.05
    _assert_others_stay(Estimation(noise="poisson"), X, changed, most)


@pytest.mark.parametrize("power", [-6, -3, -1, 1, 4, 9])
@pytest.mark.parametrize("n", [1, 4])
def test_no_exposure_moves_the_others(n, power):
    X = _exposed(n, n)
    changed = X.copy()
    changed[7, n:] *= 10.0**power
    exposure = list(range(n, 2 * n))
    _assert_others_stay(Estimation(noise="poisson", exposure=exposure), X, changed)


@pytest.mark.parametrize("power", [-6, -1, 1, 4, 9])
@pytest.mark.parametrize("n", [1, 4])
def test_no_exposure_moves_the_orders_of_others(n, power):
    X = _exposed(n, 1)
    changed = X.copy()
    changed[7, n] *= 10.0**power
    _assert_others_stay(Newsvendor(4.0, 1.0, exposure=Column(n)), X, changed)


@pytest.mark.parametrize("power", [1, 2, 3, 5])
@pytest.mark.parametrize("cells", [1, slice(None)])
def test_no_trials_move_the_others(cells, power):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.binomial(100, rng.beta(20, 60, 50)), np.full(50, 100)]).astype(float)
    X[7, 0] = 25.0
    changed = X.copy()
    changed[7, cells] *= 10.0**power
    _assert_others_stay(
        Estimation(observations=[0], noise="binomial", trials=Column(1)), X, changed
    )


@pytest.mark.parametrize("times", [1e-2, 10.0, 20.0, 1e6])
def test_an_odd_row_has_its_own_rate(times):
    """As well if it lies far below the others, or if they are all of nearly one rate."""
    X = _exposed(4, 4)
    X[:, :4] = np.random.default_rng(1).poisson(50 * X[:, 4:])
    X[7, 4:], X[7, :4] = 1e3, np.rint(5e4 * times)
    problem = Estimation(noise="poisson", exposure=[4, 5, 6, 7])
    found = PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X)
    assert found[7] == pytest.approx(50 * times, rel=0.03)
    assert np.delete(found, 7) == pytest.approx(50.0, rel=0.1)


@pytest.mark.parametrize("times", [1, 1000])
def test_a_row_without_a_failure_among_rare_successes(times):
    """The largest of the other rates is .37; rows without a hit were doubled."""
    rng = np.random.default_rng(1)
    rates = rng.beta(0.3, 3.0, 50)
    trials = rng.integers(5, 60, 50)
    X = np.column_stack([rng.binomial(trials, rates), trials]).astype(float)
    changed = X.copy()
    changed[7] = times * trials[7]
    problem = Estimation(noise="binomial", trials=Column(1))
    before, after = (PretrainedDecisionTransformer(problem).fit(t).decide(t) for t in (X, changed))
    np.testing.assert_allclose(np.delete(after / before, 7), 1.0, rtol=0.05)
    assert after[7] > 0.8
