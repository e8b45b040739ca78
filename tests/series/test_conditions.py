"""Tables in the order of time: decisions for the conditions of the next period."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    SampleAverage,
)
from sklearn_pttf.exceptions import DriftWarning
from sklearn_pttf.metrics import make_decision_scorer
from sklearn_pttf.problems import Newsvendor

N, M = 80, 8


def _table(factors=(1.0,) * M, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(2.0, 10.0, (N, 1)) * np.array(factors)).astype(float)


def _fitted(X, **roles):
    problem = Newsvendor(4.0, 1.0, ordered=roles.pop("ordered", True), **roles)
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)


RISING = np.exp(np.linspace(-0.7, 0.7, M))


def test_a_table_without_an_order_loses_nothing():
    """Expected costs under the exact law, gamma-Poisson, are next to those without an order."""
    X = _table()
    size, rate = 2.0 + X.sum(axis=1), 0.1 + M
    draws = np.arange(1000)
    chances = stats.nbinom.pmf(draws, size[:, None], rate / (rate + 1))

    def cost(decisions):
        short = draws - decisions[:, None]
        return (chances * np.where(short > 0, 4.0 * short, -short)).sum()

    assert cost(_fitted(X).decide(X)) < 1.01 * cost(_fitted(X, ordered=False).decide(X))


@pytest.mark.filterwarnings("error::sklearn_pttf.exceptions.DriftWarning")
def test_orders_follow_the_level():
    X = _table(RISING)
    expected = _fitted(X).predict(X).sum() / X[:, -1].sum()
    assert_allclose(expected, 1.0, atol=0.15)
    with pytest.warns(DriftWarning, match="say ordered=True if columns are in the order of time"):
        still = _fitted(X, ordered=False)
    assert still.predict(X).sum() / X[:, -1].sum() < 0.7


def test_drivers_alone_are_no_order():
    rng = np.random.default_rng(1)
    on = (rng.random((N, M + 1)) < 0.3).astype(float)
    X = np.hstack([_table(RISING), on])
    roles = {"drivers": {"promotion": range(M, 2 * M + 1)}, "observations": range(M)}
    with pytest.warns(DriftWarning, match="say ordered=True"):
        _fitted(X, ordered=False, **roles)


def test_what_was_planned_is_ordered_for():
    """A promotion sells three times as much; half of the rows have one next."""
    rng = np.random.default_rng(1)
    on = (rng.random((N, M + 1)) < 0.3).astype(float)
    on[:, M] = np.arange(N) % 2
    sold = rng.poisson(rng.gamma(3.0, 8.0, (N, 1)) * 3.0 ** on[:, :M]).astype(float)
    X = np.hstack([sold, on])
    roles = {"drivers": {"promotion": range(M, 2 * M + 1)}}
    for ordered in (True, False):
        expected = _fitted(X, ordered=ordered, **roles).predict(X)
        usual = (sold / 3.0 ** on[:, :M]).mean(axis=1)
        assert_allclose((expected / usual)[1::2].mean(), 3.0, rtol=0.1)
        assert_allclose((expected / usual)[::2].mean(), 1.0, rtol=0.1)


def test_seasons_are_ordered_for():
    X = _table(np.tile([1.0, 3.0], M // 2))
    expected = _fitted(X, seasons=2).predict(X).sum()
    assert_allclose(expected / X[:, ::2].mean(axis=1).sum(), 1.0, atol=0.2)


def test_rows_are_decided_one_by_one():
    X = _table(RISING)
    fitted = _fitted(X)
    assert_allclose(fitted.predict(X[:7]), fitted.predict(X)[:7], rtol=1e-9)
    cold = np.full((1, M), np.nan)
    assert 0 < fitted.predict(cold)[0] < X.max()


def test_other_costs_stay_in_time():
    X = _table(RISING)
    fitted, other = _fitted(X), Newsvendor(9.0, 1.0)
    again = _fitted(X).set_params(problem=Newsvendor(9.0, 1.0, ordered=True)).fit(X)
    assert_array_equal(fitted.decide(X, problem=other), again.decide(X))
    with pytest.raises(ValueError, match="seasons stays as fitted, None"):
        fitted.decide(X, problem=Newsvendor(ordered=True, seasons=4))


def test_totals_are_of_coming_periods():
    X = _table(np.tile([1.0, 3.0], M // 2))
    fitted = _fitted(X, seasons=2, horizon=2)
    low, high = X[:, ::2].mean(), X[:, 1::2].mean()
    assert_allclose(fitted.predict(X, horizon=2).mean(), low + high, rtol=0.15)
    assert_allclose(fitted.predict(X, horizon=1).mean(), low, rtol=0.2)
    assert (fitted.decide(X) > fitted.predict(X, horizon=1)).all()


def test_a_score_without_later_outcomes_rolls_the_origin():
    X = _table(RISING)
    assert _fitted(X).score(X) > 0.2
    assert np.isfinite(_fitted(X).score(X, X[:, -1]))


@pytest.mark.parametrize("kind", [SampleAverage, ParametricEmpiricalBayes])
def test_baselines_that_read_exposure_are_put_there_too(kind):
    X = _table(RISING)
    expected = kind(Newsvendor(ordered=True)).fit(X).predict(X).sum() / X[:, -1].sum()
    assert_allclose(expected, 1.0, atol=0.2)


@pytest.mark.parametrize("kind", [PooledRatio, JamesStein])
def test_others_say_that_they_read_no_order(kind):
    with pytest.raises(ValueError, match="ordered must be False for"):
        kind(Newsvendor(ordered=True)).fit(_table())


def test_a_score_on_later_outcomes_rolls_through_them():
    """The second period is decided from the first, too, and costs what it would beside X."""
    X = _table(RISING)
    fitted = _fitted(X[:, :6])
    first, second = fitted.score(X[:, :6], X[:, 6]), fitted.score(X[:, :6], X[:, 6:8])
    costs = fitted._rolled_costs(fitted._read_as_it_is(X[:, :6]), X[:, 6:8])
    alone = fitted._rolled_costs(fitted._read_as_it_is(X[:, :6]), X[:, 6:7])
    assert_allclose(costs[-1], alone[0])
    assert first != second
    longer = np.hstack([X[:, :7], 100 * X[:, 7:8]])
    changed = fitted._rolled_costs(fitted._read_as_it_is(X[:, :6]), longer[:, 6:])
    assert_allclose(changed[-1], costs[-1])
    assert (changed[0] > costs[0]).any()


def test_earlier_origins_of_a_score_do_not_see_later_periods():
    X = _table(RISING)
    fitted, later = _fitted(X), X.copy()
    later[:, -1] = 50 * X[::-1, -1]
    before, after = (fitted._rolled_costs(fitted._read_as_it_is(x)) for x in (X, later))
    assert len(before) == 4
    assert_allclose(before[1:], after[1:])
    assert (before[0] != after[0]).any()


def test_one_decision_is_not_charged_on_several_periods_in_time():
    X = _table(RISING)
    scorer, fitted = make_decision_scorer("cost"), _fitted(X[:, :6])
    assert scorer(fitted, X[:, :6], X[:, 6]) < 0
    with pytest.raises(ValueError, match=r"y must have 1 column .* got 2"):
        scorer(fitted, X[:, :6], X[:, 6:8])


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"ordered": 1.5}, "ordered must be True or False; got 1.5"),
        ({"drivers": ["promotion"]}, "drivers must be a dict"),
        ({"drivers": {"promotion": "p"}}, r"drivers\['promotion'\] must be a list of columns"),
        ({"drivers": {"promotion": range(M, M + 3)}}, "a column for each of the 8 observations"),
        ({"ordered": False, "seasons": 4}, "seasons need ordered=True"),
        ({"seasons": (1,)}, "seasons must be numbers of periods above 1"),
        ({"seasons": "yearly"}, "seasons must be numbers of periods above 1"),
    ],
)
def test_roles_that_cannot_be_are_refused(roles, message):
    X = np.hstack([_table(), np.zeros((N, 3))])
    roles = {"observations": range(M), **roles}
    with pytest.raises(ValueError, match=message):
        _fitted(X, **roles)


@pytest.mark.parametrize(
    "X", [np.zeros((5, 4)), np.array([[1.0, 2.0, 3.0]]), np.ones((5, 1)), np.full((4, 3), 7.0)]
)
def test_tables_that_tell_nothing(X):
    assert np.isfinite(_fitted(X).decide(X)).all()


def _driven(past, plan):
    """Counts with a driver beside them."""
    X = np.hstack([_table(), np.broadcast_to(past, (N, M)), np.broadcast_to(plan, (N, 1))])
    return X, {"observations": range(M), "drivers": {"promo": range(M, 2 * M + 1)}}


LATE = np.arange(M) == M - 2  # for the first time in one of the newest periods


@pytest.mark.filterwarnings("ignore:drivers")
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    ("past", "plan"), [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (np.nan, 1.0), (1.0 * LATE, 1.0)]
)
def test_drivers_that_tell_nothing(past, plan, ordered):
    X, roles = _driven(past, plan)
    assert np.isfinite(_fitted(X, ordered=ordered, **roles).decide(X)).all()


@pytest.mark.parametrize(
    ("past", "plan", "why"), [(1.0, 1.0, "never vary"), (LATE, np.nan, "known")]
)
def test_drivers_that_tell_nothing_are_named(past, plan, why):
    X, roles = _driven(past, plan)
    with pytest.warns(UserWarning, match=f"drivers 'promo' .*{why}"):
        _fitted(X, **roles)


def test_a_plan_beyond_belief_is_taken_as_far_as_one_range():
    rng = np.random.default_rng(2)
    on = (rng.random((N, M)) < 0.4).astype(float)
    sold = rng.poisson(rng.gamma(3.0, 8.0, (N, 1)) * 2.0**on).astype(float)
    roles = {"observations": range(M), "drivers": {"promo": range(M, 2 * M + 1)}}
    far, farther = (np.hstack([sold, on, np.full((N, 1), plan)]) for plan in (50.0, 1e6))
    fitted = _fitted(far, **roles)
    assert_allclose(fitted.decide(farther), fitted.decide(far))
    assert fitted.decide(far).max() < 20 * sold.max()


def test_a_period_that_nobody_knows_is_passed_over():
    X = _table(RISING)
    X[:, -3] = np.nan
    assert_allclose(_fitted(X).predict(X).sum() / X[:, -1].sum(), 1.0, atol=0.2)


def test_the_mean_is_that_of_the_coming_period():
    X = _table(RISING)
    fitted = _fitted(X)
    law = fitted.predict_distribution(X, of_mean=True)
    assert_allclose(law.mean(), fitted.predict(X), rtol=0.02)
    assert (law.quantile(0.9) < fitted.predict_quantiles(X, 0.9)[:, 0]).all()


@pytest.mark.parametrize("kind", [ParametricEmpiricalBayes, NonparametricEmpiricalBayes])
def test_amounts_are_put_there_by_baselines(kind):
    """Rows sell by weight, and twice as much in every other period; no sale is a whole number."""
    rng = np.random.default_rng(3)
    factors = np.tile([1.0, 2.0], M // 2)
    X = rng.lognormal(1.0, 0.8, (N, 1)) * factors * rng.lognormal(0.0, 0.2, (N, M))
    fitted = kind(Newsvendor(4.0, 1.0, ordered=True, seasons=2)).fit(X)
    assert fitted.family_ == "lognormal"
    usual = (X / factors).mean(axis=1)
    assert_allclose(fitted.predict(X).sum() / usual.sum(), 1.0, rtol=0.1)
    assert_allclose(fitted.predict(X, horizon=2).sum() / usual.sum(), 3.0, rtol=0.1)
    low, high = fitted.predict_quantiles(X, [0.05, 0.95]).T
    assert ((low < usual) & (usual < high)).mean() > 0.9
