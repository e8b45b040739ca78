"""Counts mixed over the law of their mean: against sums and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.poisson import PoissonMixture
from sklearn_pttf._network.table import blended
from sklearn_pttf.problems import DecisionProblem, Estimation, Newsvendor, Selection

LEVELS = special.expit(np.linspace(-6.9, 6.9, 33))
DRIVERS = np.array([7840, 1317, 239, 42, 14, 4, 4, 1])  # with 0 to 7 claims, Robbins (1977)
TAUS = np.array([[0.001, 0.1, 0.5, 0.8, 0.99]])


def _gamma(shape, mean, exposure=1.0):
    """A mixture over gamma rates, whose law is negative binomial."""
    shape, mean = np.broadcast_arrays(np.atleast_1d(shape).astype(float), mean)
    quantiles = stats.gamma.ppf(LEVELS, shape[:, None], scale=(mean / shape)[:, None])
    return PoissonMixture(QuantileGrid(quantiles, LEVELS), np.full(len(shape), exposure))


def _brute(law):
    """Rates of the law at very many even levels."""
    tau = (np.arange(200_000) + 0.5) / 200_000
    return law.exposure[0] * law.of_rate.quantile(tau[None])[0]


@pytest.mark.parametrize(("shape", "mean"), [(0.7, 0.17), (2.0, 5.0), (30.0, 40.0), (2.0, 300.0)])
def test_against_a_sum_over_rates(shape, mean):
    law, rates = _gamma(shape, mean, 1.3), _brute(_gamma(shape, mean, 1.3))
    assert_allclose(law.mean(), 1.3 * law.of_rate.mean(), rtol=1e-12)
    assert law.cdf(0.0)[0] == pytest.approx(np.exp(-rates).mean(), abs=2e-4)
    for k in law.quantile(TAUS)[0]:
        assert law.cdf(k)[0] == pytest.approx(special.pdtr(k, rates).mean(), abs=1e-3)
        above = rates * (1 - np.where(k > 1, special.pdtr(max(k - 2, 0), rates), 0))
        beyond = 1 - np.where(k > 0, special.pdtr(max(k - 1, 0), rates), 0)
        assert law.excess(k)[0] == pytest.approx((above - k * beyond).mean(), rel=0.01)


def test_of_gamma_rates_it_is_negative_binomial():
    law = _gamma(2.0, 5.0)
    exact = stats.nbinom(2, 2 / 7)
    k = np.arange(30.0)
    assert_allclose(law.cdf(k[None])[0], exact.cdf(k), atol=2e-3)
    assert_array_equal(law.quantile(TAUS)[0], exact.ppf(TAUS[0]))


def test_of_a_known_rate_it_is_poisson():
    law = PoissonMixture(QuantileGrid(np.full((2, 3), 2.0), [0.1, 0.5, 0.9]), [1.5, 40.0])
    for row, rate in enumerate((3.0, 80.0)):
        exact = stats.poisson(rate)
        k = np.arange(200.0)
        assert_allclose(law.cdf(np.stack([k, k]))[row], exact.cdf(k), atol=1e-12)
        assert_array_equal(law.quantile(TAUS)[row], exact.ppf(TAUS[0]))
        expected = [exact.expect(lambda n, x=x: np.maximum(n - x, 0)) for x in (0, 2.5, rate)]
        assert_allclose(law.excess([[0, 2.5, rate]])[row], expected, rtol=1e-6)
    assert_array_equal(law.over(3).mean(), [9, 240])


@given(
    st.floats(-3, 12).map(lambda e: 10.0**e),
    st.floats(-1, 6).map(lambda e: 10.0**e),
    st.floats(0.001, 0.999),
)
@settings(max_examples=60, deadline=None)
def test_quantiles_invert_the_cdf_whatever_the_rate(mean, shape, tau):
    law = _gamma(shape, mean)
    k = law.quantile(tau)
    assert k == np.rint(k)
    assert k >= 0
    assert law.cdf(k) >= tau * (1 - 1e-9)
    below = k - np.ceil(3e-12 * k) - 1
    assert law.cdf(below) < tau or law.cdf(below) == pytest.approx(tau, abs=1e-9)
    assert_allclose(law.excess(0.0), law.mean(), rtol=1e-9)
    assert law.mean() == pytest.approx(law.of_rate.mean())


@pytest.mark.parametrize("shape", [2.0, 1e6])
def test_large_rates_have_no_gaps(shape):
    """Of 1e6 the quantiles are the rate's, where that is known worse than by chance."""
    law = _gamma(shape, 1e6)
    found, rate = law.quantile(TAUS), law.of_rate.quantile(TAUS)
    by_chance = np.hypot(rate - 1e6, special.ndtri(TAUS) * 1e3)
    assert_allclose(np.abs(found - 1e6), by_chance, rtol=0.02, atol=30)
    many = law.quantile(np.linspace(0.001, 0.999, 999)[None])  # from a table
    assert_allclose(many[0, [99, 499, 799, 989]], found[0, 1:], rtol=0.015)
    assert (np.diff(many) > 0).all()


def test_numbers_in_turn_are_those_one_by_one():
    law = _gamma([2.0, 5.0, 0.3], np.array([3.0, 90.0, 400.0]))
    k = np.arange(200.0) + np.array([[0.0], [7.0], [50.0]])
    one_by_one = np.stack([law.cdf(column) for column in k.T], axis=1)
    assert_allclose(law.cdf(k), one_by_one, atol=1e-12)


def test_nodes_have_the_mean():
    law = _gamma([2.0, 9.0], np.array([4.0, 60.0]))
    outcomes, weights = law.nodes()
    assert_allclose((outcomes * weights).sum(axis=1), law.mean(), rtol=2e-3)
    assert law.atomic().all()


def test_rows_do_not_depend_on_others():
    law = _gamma([2.0, 0.3, 1e4], np.array([3.0, 3e4, 1e8]), 0.7)
    again = PoissonMixture.concatenate([law.take([2]), law.take([0, 1])])
    assert_allclose(again.quantile(TAUS), law.quantile(TAUS)[[2, 0, 1]], rtol=1e-9)
    assert_allclose(again.cdf([5.0, 5.0, 5.0]), law.cdf(5.0)[[2, 0, 1]], atol=1e-12)


def test_between_two_laws():
    left, right = _gamma(2.0, 5.0, 3.0), _gamma(20.0, 9.0, 3.0)
    found = blended(left, right)
    assert_allclose(found.mean(), (left.mean() + right.mean()) / 2, rtol=1e-6)
    assert left.cdf(20.0) > found.cdf(20.0) > right.cdf(20.0)


def test_a_rare_large_rate():
    """One row in 10,000 has a rate of 1,000, and the others of 1."""
    quantiles = np.array([[1.0, 1.0, 1.0, 1000.0, 1000.0]])
    levels = [1e-6, 0.5, 0.9999, 0.99991, 0.999999]
    law = PoissonMixture(QuantileGrid(quantiles, levels), np.ones(1))
    assert law.quantile(0.99)[0] == 4
    assert law.quantile(1 - 1e-5)[0] == pytest.approx(1000, abs=100)


def test_a_row_of_no_rate():
    law = PoissonMixture(QuantileGrid(np.zeros((1, 3)), [0.1, 0.5, 0.9]), np.ones(1))
    assert law.mean() == law.quantile(0.999) == law.excess(0.0) == 0
    assert law.cdf(0.0) == 1


# ---------------------------------------------------------------- the network's laws of counts


@pytest.fixture(scope="module")
def insured():
    X = np.repeat(np.arange(8.0), DRIVERS)[:, None]
    return PretrainedDecisionTransformer(
        Estimation(noise="poisson"), finetune=None, device="cpu"
    ).fit(X)


def test_laws_of_claims_agree_with_themselves(insured):
    claims = np.arange(8.0)[:, None]
    means, law = insured.predict(claims), insured.predict_distribution(claims)
    assert_allclose(means[:3], [0.172, 0.394, 0.630], atol=0.002)
    assert_allclose(law.mean(), means, rtol=1e-6)
    of_mean = insured.predict_distribution(claims, of_mean=True)
    assert_allclose(of_mean.mean(), means, rtol=1e-6)
    outcomes, weights = of_mean.nodes()
    assert_allclose(law.cdf(0.0), (np.exp(-outcomes) * weights).sum(axis=1), atol=1e-4)
    # of drivers without claims: .863 by a gamma law, .858 by one without a shape
    assert law.cdf(0.0)[0] == pytest.approx(0.86, abs=0.005)


def test_no_stock_for_drivers_without_claims(insured):
    orders = insured.decide(np.arange(8.0)[:, None], problem=Newsvendor(4, 1))
    assert orders[0] == 0
    assert (np.diff(orders) >= 0).all()
    assert orders[-1] == 3
    limited, info = insured.decide(
        np.arange(8.0)[:, None], problem=Newsvendor(4, 1, limit=5), return_info=True
    )
    assert limited.sum() == 5
    assert info.shadow_price > 0


def test_mean_share_of_zeros(insured):
    shown = insured.predict_distribution(np.arange(8.0)[:, None])
    share = DRIVERS[0] / DRIVERS.sum()
    error = np.sqrt(share * (1 - share) / DRIVERS.sum())
    assert DRIVERS @ shown.cdf(0.0) / DRIVERS.sum() == pytest.approx(share, abs=2 * error)
    expected = DRIVERS @ np.arange(8) / DRIVERS.sum()
    assert DRIVERS @ shown.mean() / DRIVERS.sum() == pytest.approx(expected, rel=0.03)


@given(st.integers(0, 99), st.integers(0, 2**31 - 1))
@settings(max_examples=15, deadline=None)
def test_predictions_are_the_means_of_laws(percent, seed):
    """At 0 to 99 % zeros."""
    rng = np.random.default_rng(seed)
    level = -np.log(max(percent, 1) / 100)
    X = rng.poisson(level * rng.gamma(2.0, 0.5, (60, 1)), (60, 4)).astype(float)
    X[0, 0] += 1
    fitted = PretrainedDecisionTransformer(
        Estimation(noise="poisson"), finetune=None, device="cpu"
    ).fit(X)
    law = fitted.predict_distribution(X)
    assert_allclose(law.mean(), fitted.predict(X), rtol=1e-6)
    error = 2 * X.std() / np.sqrt(X.size) + 0.03 * X.mean()
    assert abs(law.mean().mean() - X.mean()) < error
    share = (X == 0).mean()
    chance = 2 * np.sqrt(max(share * (1 - share), 0.25 / len(X)) / len(X))
    assert abs(law.cdf(0.0).mean() - share) < chance


def test_totals_of_counts_are_exact(insured):
    claims = np.arange(8.0)[:, None]
    total = insured.predict_distribution(claims, horizon=6)
    assert_allclose(total.mean(), 6 * insured.predict(claims), rtol=1e-9)
    of_mean = insured.predict_distribution(claims, of_mean=True)
    outcomes, weights = of_mean.nodes()
    assert_allclose(total.cdf(0.0), (np.exp(-6 * outcomes) * weights).sum(axis=1), atol=1e-3)


class _Squared(DecisionProblem):
    default_checkpoint = "poisson"

    def cost(self, decision, outcome):
        return (decision - outcome) ** 2


def test_any_cost_of_counts(insured):
    """The whole number with the least squared error lies next to the mean."""
    claims = np.arange(8.0)[:, None]
    found = insured.decide(claims, problem=_Squared())
    assert_array_equal(found, np.rint(insured.predict(claims)))


@pytest.mark.parametrize("problem", [Selection(9, noise="poisson")])
def test_finetuning_compares_laws_of_counts(problem):
    rng = np.random.default_rng(0)
    X = rng.poisson(4 * rng.gamma(2.0, 0.5, (40, 1)), (40, 4)).astype(float)
    from sklearn_pttf.finetune import HeadFinetune

    fitted = PretrainedDecisionTransformer(
        problem, finetune=HeadFinetune(max_epochs=1), random_state=0, device="cpu"
    ).fit(X)
    assert np.isfinite(fitted.finetune_report_["mean_cost"]).all()
    law = fitted.predict_distribution(X)
    assert_allclose(law.mean(), fitted.predict(X), rtol=1e-6)


def test_finetuning_of_orders_of_counts():
    """Laws of next counts are blended and cross-fitted too."""
    from sklearn_pttf.finetune import HeadFinetune

    rng = np.random.default_rng(1)
    X = rng.poisson(4 * rng.gamma(2.0, 0.5, (40, 1)), (40, 4)).astype(float)
    fitted = PretrainedDecisionTransformer(
        Newsvendor(4, 1),
        checkpoint="poisson",
        finetune=HeadFinetune(max_epochs=1),
        random_state=0,
        device="cpu",
    ).fit(X)
    assert list(fitted.finetune_report_["candidate"][:3]) == ["pretrained", "finetuned", "blend"]
    assert np.isfinite(fitted.finetune_report_["mean_cost"]).all()
