"""James-Stein, by hand and against the sample means that it dominates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf import Column
from sklearn_pttf._laws.parametric import NormalLaw, RectifiedNormalLaw, RoundedLaw
from sklearn_pttf.baselines import JamesStein
from sklearn_pttf.datasets import load_baseball
from sklearn_pttf.problems import Estimation, Newsvendor, Selection

nan = np.nan
KNOWN = Estimation(standard_errors=Column(1))


def _known(values, errors):
    return np.column_stack(np.broadcast_arrays(values, errors))


def test_equal_variances_by_hand():
    # pooled variance 2, so means have 1; sum of squares 40; 1 - 2 / 40
    X = np.array([[-3.0, -1], [-1, 1], [1, 3], [-5, -3], [3, 5]])
    stein = JamesStein().fit(X)
    assert (stein.mean_, stein.factor_) == pytest.approx((0.0, 0.95))
    assert stein.noise_ == pytest.approx(np.sqrt(2))
    # 40 - 4 over 5 - 5 / 5
    assert stein.spread_ == pytest.approx(3.0)
    np.testing.assert_allclose(stein.decide(X), [-1.9, 0.0, 1.9, -3.8, 3.8], atol=1e-12)
    later = np.array([[10.0, nan], [nan, nan]])
    means, info = stein.decide(later, return_info=True)
    np.testing.assert_allclose(means, [9.5, 0.0], atol=1e-12)
    variances = [0.95 * 2 + 0.05 / 5, 9 + 1 / 5]
    np.testing.assert_allclose(info.expected_cost, variances, rtol=1e-3)
    np.testing.assert_allclose(info.upper, NormalLaw(means, np.sqrt(variances)).quantile(0.95))
    law = stein.predict_distribution(later)
    expected = NormalLaw(means, np.sqrt(np.add(variances, 2.0)))
    np.testing.assert_allclose(law.quantile([[0.1, 0.9]]), expected.quantile([[0.1, 0.9]]))


def test_unequal_variances_by_hand():
    # precisions 1, 1, 1/4, 1/4, 1/4; mean 1; sum of squares over variances 16; 1 - 2 / 16
    X = _known([-1.0, 3, 5, -3, 1], [1.0, 1, 2, 2, 2])
    stein = JamesStein(KNOWN).fit(X)
    assert (stein.mean_, stein.factor_) == pytest.approx((1.0, 0.875))
    assert np.isnan(stein.noise_)
    np.testing.assert_allclose(stein.decide(X), [-0.75, 2.75, 4.5, -2.5, 1.0])
    later = _known([9.0, nan, 9.0], [3.0, 1.0, nan])
    np.testing.assert_allclose(stein.decide(later), [8.0, 1.0, 8.0])
    spread = (16 - 4) / (2.75 - (1 + 1 + 3 / 16) / 2.75)
    assert stein.spread_ == pytest.approx(np.sqrt(spread))
    width = NormalLaw(*stein._predict_law_of_mean(stein._read(later)).parameters).parameters[1]
    usual = (1 + 1 + 4 + 4 + 4) / 5  # of a row that does not know its variance
    rest = 0.125 / 2.75
    expected = [0.875 * 9 + rest, spread + 1 / 2.75, 0.875 * usual + rest]
    np.testing.assert_allclose(width**2, expected)


def test_more_observations_are_less_noise():
    X = np.array([[-1.0, -1], [3, 3], [5, nan], [-3, nan], [1, nan]])
    stein = JamesStein(Estimation(standard_errors=np.sqrt(8))).fit(X)
    # variances 4, 4, 8, 8, 8: as 1, 1, 2, 2, 2
    weights = np.array([2, 2, 1, 1, 1]) / 8
    mean = weights @ [-1, 3, 5, -3, 1] / weights.sum()
    distance = weights @ (np.array([-1, 3, 5, -3, 1]) - mean) ** 2
    assert (stein.mean_, stein.factor_) == pytest.approx((mean, 1 - 2 / distance))


def test_half_of_the_variance_is_noise_where_no_row_has_two():
    X = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    stein = JamesStein().fit(X - 0.5)
    assert stein.noise_**2 == pytest.approx(1.25)
    assert stein.factor_ == pytest.approx(1 - 2 / 8)


def test_noise_of_rows_that_do_not_know_theirs():
    X = np.array([[1.5, 3.5, nan], [0.0, 4.0, nan], [7.0, nan, 3.0], [-7.0, 9.0, 3.0]])
    stein = JamesStein(Estimation(standard_errors=Column(2))).fit(X)
    assert stein.noise_**2 == pytest.approx((2.0 + 8.0) / 2)
    stein.fit(np.where([[True, False, True]] * 2 + [[True] * 3] * 2, X, nan))
    assert stein.noise_ == pytest.approx(3.0)


def test_few_rows_are_not_shrunken():
    X = _known([0.0, 0.1, 0.2], 1.0)
    np.testing.assert_allclose(JamesStein(KNOWN).fit(X).decide(X), X[:, 0])
    one = JamesStein().fit(np.array([[2.5]]))
    np.testing.assert_allclose(one.decide(np.array([[2.5], [nan], [3.5]])), [2.5, 2.5, 3.5])


def test_means_that_are_all_noise_are_one():
    X = _known([0.0, 0.1, 0.2, 0.3, 0.4], 1.0)
    stein = JamesStein(KNOWN).fit(X)
    assert stein.factor_ == 0.0
    means, info = stein.decide(X, return_info=True)
    np.testing.assert_allclose(means, 0.2)
    np.testing.assert_allclose(info.expected_cost, 1 / 5, rtol=1e-3)


def test_batters_of_1970():
    table = load_baseball()
    at_bats, hits = table.data.T
    # as Efron and Morris do, on the scale where the variance of 45 at-bats is 1
    X, truth = (np.sqrt(45) * np.arcsin(2 * p - 1)[:, None] for p in (hits / at_bats, table.target))
    stein = JamesStein(Estimation(standard_errors=1.0)).fit(X)
    assert stein.factor_ == pytest.approx(0.209, abs=0.001)
    error = ((stein.decide(X)[:, None] - truth) ** 2).sum()
    assert error < ((X - truth) ** 2).sum() / 3


@given(
    arrays(float, (6, 2), elements=st.floats(-1e3, 1e3)),
    arrays(float, 6, elements=st.floats(0.01, 100)),
)
def test_never_past_the_common_mean(X, errors):
    for problem, data in (
        (Estimation(standard_errors=Column(2)), np.column_stack([X, errors])),
        (Estimation(standard_errors=nan), X),
    ):
        stein = JamesStein(problem).fit(data)
        own, found = X.mean(axis=1), stein.decide(data)
        low, high = np.minimum(own, stein.mean_), np.maximum(own, stein.mean_)
        assert (low - 1e-9 <= found).all()
        assert (found <= high + 1e-9).all()


def test_values_have_no_origin_and_no_unit():
    X = np.random.RandomState(0).normal(size=(12, 3)) + np.arange(12.0)[:, None]
    X[-1] = nan
    whole = JamesStein().fit(X).decide(X)
    for factor, shift in ((1e-6, 0.0), (-7.3, 55.0), (1e6, -1e6)):
        moved = JamesStein().fit(factor * X + shift).decide(factor * X + shift)
        np.testing.assert_allclose((moved - shift) / factor, whole, rtol=1e-6)


@pytest.mark.parametrize("truth", [np.zeros(6), np.arange(6.0), [0, 0, 0, 0, 0, 9.0]], ids=str)
def test_dominates_sample_means(truth):
    gains = []
    for seed in range(300):
        x = np.add(truth, np.random.RandomState(seed).normal(size=6))
        found = JamesStein(KNOWN).fit(_known(x, 1.0)).decide(_known(x, 1.0))
        gains.append(((x - truth) ** 2).sum() - ((found - truth) ** 2).sum())
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains))


def test_intervals_cover():
    rng = np.random.RandomState(0)
    means = rng.normal(size=2000)
    X = _known(means + rng.normal(size=2000), 1.0)
    _, info = JamesStein(KNOWN).fit(X).decide(X, return_info=True)
    assert ((info.lower < means) & (means < info.upper)).mean() == pytest.approx(0.9, abs=0.02)


def test_counts():
    X = np.array([[0.0, 2, 1], [0, 0, 0], [4, 7, 9], [0, 1, 0], [3, 0, 2], [nan, nan, nan]])
    stein = JamesStein().fit(X)
    assert stein.integer_
    own = np.append(np.nanmean(X[:5], axis=1), stein.mean_)
    expected = stein.mean_ + stein.factor_ * (own - stein.mean_)
    np.testing.assert_allclose(stein.decide(X), expected)
    means, info = stein.decide(X, return_info=True)
    np.testing.assert_allclose(means, expected)
    assert (info.lower >= 0).all()
    law = stein.predict_distribution(X)
    assert isinstance(law, RoundedLaw)
    amounts = JamesStein(Newsvendor()).fit(X + 0.5).predict_distribution(X + 0.5)
    assert isinstance(amounts, RectifiedNormalLaw)


def test_counts_of_poisson_noise_by_hand():
    # mean 2 = variance of a count; the sum of squares over it is (4 + 0 + 1 + 4 + 25) / 2 = 17
    X = np.array([[0.0], [2], [1], [0], [7]])
    stein = JamesStein(Estimation(noise="poisson")).fit(X)
    assert stein.mean_ == pytest.approx(2.0)
    assert stein.noise_ == pytest.approx(np.sqrt(2.0))
    assert stein.factor_ == pytest.approx(1 - 2 / 17)
    np.testing.assert_allclose(stein.decide(X), 2 + 15 / 17 * (X[:, 0] - 2))
    # the mean of four counts has a quarter of the variance, and its row counts four times
    deep = np.array([[1.0, 3, 2, 2], [4, nan, nan, nan], [0, 1, nan, nan], [9, 8, nan, nan]])
    stein = JamesStein(Estimation(noise="poisson")).fit(deep)
    counts, means = np.array([4, 1, 2, 2]), np.array([2.0, 4.0, 0.5, 8.5])
    assert stein.mean_ == pytest.approx(30 / 9)
    squares = (counts * (means - 30 / 9) ** 2).sum() / (30 / 9)
    assert stein.factor_ == pytest.approx(1 - 1 / squares)


def test_poisson_noise_is_not_read_from_the_rows():
    # two counts a row that hardly differ: without the word for it, rows are known well
    X = np.array([[4.0, 5], [5, 5], [3, 4], [4, 4], [6, 5], [5, 4]])
    assert JamesStein(Estimation(noise="poisson")).fit(X).factor_ == 0.0
    assert JamesStein().fit(X).factor_ > 0.5


def test_the_next_count_of_poisson_noise_varies_by_what_is_expected():
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(4.0, 10.0, (400, 1)), (400, 4))
    stein = JamesStein(Estimation(noise="poisson")).fit(X)
    variances = stein.decide(X, return_info=True)[1].expected_cost
    law = stein.predict_distribution(X).law
    np.testing.assert_allclose(law.parameters[1] ** 2 - law.parameters[0], variances, rtol=0.05)


def test_nothing_was_counted():
    for problem in (Estimation(noise="poisson"), Selection(2, noise="poisson")):
        stein = JamesStein(problem).fit(np.zeros((5, 3)))
        assert (stein.predict(np.zeros((5, 3))) == 0).all()


def test_picks():
    X = np.array([[-0.5, 1], [3, 4], [-3, -2], [1, 2], [0, 1.5]])
    np.testing.assert_array_equal(JamesStein(Selection(2)).fit(X).decide(X), [0, 1, 0, 1, 0])


def test_tables_without_spread():
    for X in (np.zeros((5, 2)), np.full((1, 1), 7.5), np.full((6, 3), -2.5)):
        stein = JamesStein().fit(X)
        means, info = stein.decide(X, return_info=True)
        np.testing.assert_allclose(means, X[:, 0], rtol=1e-9)
        assert np.isfinite(info.expected_cost).all()
        assert np.isfinite(stein.predict_quantiles(X, [0.1, 0.9])).all()
