"""Totals over several periods: exact laws, convolutions, and what they are charged on."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws import horizon as _horizon
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.horizon import copula_correlation, covariance_of_periods, law_of_total
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    NormalLaw,
    PoissonLaw,
    RectifiedNormalLaw,
)
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.checks import MOST_PERIODS
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.metrics import decision_cost, prescriptiveness, regret
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import DecisionProblem, Newsvendor, PerRow
from sklearn_pttf.testing import GammaPoisson, LognormalNormal, NormalNormal
from support.networks import ordering_too_much

NAN = np.nan
LEVELS = np.array([[0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]])
DECIDERS = {
    "network": PretrainedDecisionTransformer(finetune=None),
    "average": SampleAverage(),
    "shrunken": ShrunkenSampleAverage(),
    "ratio": PooledRatio(),
    "parametric": ParametricEmpiricalBayes(),
    "nonparametric": NonparametricEmpiricalBayes(),
    "boosting": QuantileBoosting(),
}


class Knowing(DecisionMixin, BaseEstimator):
    """Decides on the exact predictive of a portfolio law."""

    def __init__(self, law, problem=None):
        self.law = law
        self.problem = problem

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return self.law.predictive(portfolio)


def _always(law_of_rows):
    """A predictor that learns nothing from observations: periods are independent."""

    def predict(portfolio):
        return law_of_rows(len(portfolio))

    return predict


def _total(predict, portfolio, horizon):
    return law_of_total(predict, portfolio, predict(portfolio), horizon)


def _moments(law):
    outcomes, weights = law.nodes()
    mean = (outcomes * weights).sum(axis=1)
    return mean, np.sqrt(((outcomes - mean[:, None]) ** 2 * weights).sum(axis=1))


# ---- exact totals


def _exact_counts(law, horizon):
    """Totals of Gamma-Poisson periods: p = r / (r + 1) becomes r / (r + horizon)."""
    size, p = law.parameters
    rate = p / (1 - p)
    return NegativeBinomialLaw(size, rate / (rate + horizon))


COUNTS = [
    (GammaPoisson(2.0, 0.2), 5),
    (GammaPoisson(2.0, 0.2), 1),
    (GammaPoisson(1.0, 0.01), 3),
    (GammaPoisson(3.0, 0.01), 12),
    (GammaPoisson(0.5, 1.0), 4),
    (GammaPoisson(0.5, 2.0), 10),
]


@pytest.mark.parametrize("horizon", [2, 4, 8])
@pytest.mark.parametrize(("law", "n_observations"), COUNTS)
def test_totals_of_gamma_poisson_rows(law, n_observations, horizon):
    portfolio = law.sample(12, n_observations, random_state=0)
    portfolio.observations[0] = NAN
    total = _total(law.predictive, portfolio, horizon)
    exact = _exact_counts(law.predictive(portfolio), horizon)
    mean, variance = exact.family.stats(*exact.parameters)
    assert total.integer
    sd = np.sqrt(variance)
    assert np.all(np.abs(total.mean() - mean) <= 0.05 * sd)
    assert_allclose(_moments(total)[1], sd, rtol=0.05)
    numbers = exact.quantile(LEVELS)
    assert_allclose(total.cdf(numbers), exact.cdf(numbers), atol=0.04)
    far = 1 + 0.2 * sd[:, None]
    assert np.all(np.abs(total.quantile(LEVELS) - numbers) <= far)


@pytest.mark.parametrize(("law", "n_observations"), COUNTS)
def test_covariance_of_gamma_poisson_periods(law, n_observations):
    # what is unknown of the mean: of a gamma law of some size and rate, size / rate^2
    portfolio = law.sample(12, n_observations, random_state=0)
    predictive = law.predictive(portfolio)
    size, p = predictive.parameters
    found = covariance_of_periods(law.predictive, portfolio, predictive)
    assert_allclose(found, size * ((1 - p) / p) ** 2, rtol=0.1)


@pytest.mark.parametrize(("law", "n_observations"), COUNTS)
def test_orders_for_a_total_cost_little_more_than_the_best(law, n_observations):
    portfolio = law.sample(60, n_observations, random_state=0)
    for horizon in (2, 8):
        total = _total(law.predictive, portfolio, horizon)
        exact = _exact_counts(law.predictive(portfolio), horizon)
        for ratio in (0.5, 0.8, 0.95, 0.99):
            problem = Newsvendor.from_service_level(ratio)
            costs = problem.read(portfolio.observations)
            cost, least = (
                problem.expected_cost(each.quantile(ratio), exact, costs).sum()
                for each in (total, exact)
            )
            assert cost <= 1.015 * least, (horizon, ratio, cost / least)


@pytest.mark.parametrize("horizon", [2, 4, 12])
@pytest.mark.parametrize("n_observations", [1, 6])
def test_totals_of_normal_rows(n_observations, horizon):
    law = NormalNormal(100.0, 20.0, 10.0)
    portfolio = law.sample(8, n_observations, random_state=0)
    predictive = law.predictive(portfolio)
    centre, sd = predictive.parameters
    covariance = sd**2 - 10.0**2  # what is unknown of the mean
    found = covariance_of_periods(law.predictive, portfolio, predictive)
    assert_allclose(found, covariance, rtol=1e-3)
    exact = NormalLaw(horizon * centre, np.sqrt(horizon * 100 + horizon**2 * covariance))
    total = _total(law.predictive, portfolio, horizon)
    assert not total.integer
    assert_allclose(total.mean(), exact.mean(), rtol=1e-4)
    assert_allclose(_moments(total)[1], exact.parameters[1], rtol=0.01)
    far = 0.02 * exact.parameters[1][:, None]
    assert np.all(np.abs(total.quantile(LEVELS) - exact.quantile(LEVELS)) <= far)


def test_totals_of_lognormal_rows_against_draws():
    law = LognormalNormal(4.0, 0.5, 0.4)
    portfolio = law.sample(5, 3, random_state=0)
    total = _total(law.predictive, portfolio, 4)
    precision = 1 / 0.5**2 + 3 / 0.4**2
    centre = (4.0 / 0.5**2 + np.log(portfolio.observations).sum(axis=1) / 0.4**2) / precision
    rng = np.random.default_rng(0)
    means = centre + rng.normal(size=(100_000, 5)) / np.sqrt(precision)
    draws = sum(np.exp(means + 0.4 * rng.normal(size=means.shape)) for _ in range(4))
    assert_allclose(total.mean(), draws.mean(axis=0), rtol=0.01)
    assert_allclose(_moments(total)[1], draws.std(axis=0), rtol=0.02)
    assert_allclose(total.quantile(LEVELS), np.quantile(draws, LEVELS[0], axis=0).T, rtol=0.02)


@pytest.mark.parametrize("horizon", [2, 5, 30])
@pytest.mark.parametrize("rate", [0.2, 3.0, 40.0])
def test_independent_counts_are_convolved(rate, horizon):
    predict = _always(lambda n: PoissonLaw(np.full(n, rate)))
    portfolio = Portfolio(np.full((2, 3), 1.0))
    found = covariance_of_periods(predict, portfolio, predict(portfolio))
    assert_allclose(found, 0, atol=1e-9 * rate)
    total = _total(predict, portfolio, horizon)
    numbers = np.arange(0, 3000)[None]
    exact = PoissonLaw(rate * horizon)
    assert_allclose(total.mean(), rate * horizon, atol=0.05 * np.sqrt(rate * horizon))
    assert_allclose(total.cdf(numbers)[0], exact.cdf(numbers)[0], atol=0.03)
    inside = (exact.cdf(numbers) > 1e-3) & (exact.cdf(numbers) < 1 - 1e-3)
    odds = [
        np.log(p / (1 - p)) for p in (total.cdf(numbers)[:1][inside], exact.cdf(numbers)[inside])
    ]
    assert_allclose(*odds, atol=0.2)


def test_independent_atoms_are_convolved():
    # 0, 1 and 5 in each of three periods: 27 equally likely sums
    atoms = np.array([0.0, 1.0, 5.0])
    predict = _always(lambda n: WeightedAtoms(np.tile(atoms, (n, 1))))
    total = _total(predict, Portfolio(np.ones((2, 3))), 3)
    sums = (atoms[:, None, None] + atoms[:, None] + atoms).ravel()
    numbers = np.arange(16)
    exact = (sums <= numbers[:, None]).mean(axis=1)
    assert_allclose(total.cdf(numbers[None])[0, :15], exact[:15], atol=0.03)
    assert_allclose(total.mean(), 6.0, rtol=0.01)


def test_independent_amounts_are_convolved():
    predict = _always(lambda n: RectifiedNormalLaw(np.full(n, 50.0), np.full(n, 8.0)))
    portfolio = Portfolio(np.full((2, 3), 0.5))
    for horizon in (2, 9):
        total = _total(predict, portfolio, horizon)
        exact = NormalLaw(50.0 * horizon, 8.0 * np.sqrt(horizon))
        assert_allclose(total.quantile(LEVELS)[0], exact.quantile(LEVELS)[0], rtol=0.002)


@pytest.mark.parametrize(
    ("rate", "horizon"), [(1e3, 12), (1e4, 12), (50.0, 52), (0.3, 90), (5.0, 90), (50.0, 90)]
)
def test_steady_rows_and_long_horizons(rate, horizon):
    # what is sold of each is far from 0 for its spread
    predict = _always(lambda n: PoissonLaw(np.full(n, rate)))
    total = _total(predict, Portfolio(np.full((2, 3), 1.0)), horizon)
    exact = PoissonLaw(rate * horizon)
    sd = np.sqrt(rate * horizon)
    assert_allclose(total.mean(), rate * horizon, atol=0.05 * sd)
    assert_allclose(_moments(total)[1], sd, rtol=0.1)
    assert_allclose(total.quantile(LEVELS)[0], exact.quantile(LEVELS)[0], atol=1 + 0.1 * sd)


def test_long_horizons_of_uncertain_rows():
    law = GammaPoisson(2.0, 0.5)
    portfolio = law.sample(4, 30, random_state=0)
    for horizon in (30, 100):
        total = _total(law.predictive, portfolio, horizon)
        exact = _exact_counts(law.predictive(portfolio), horizon)
        mean, variance = exact.family.stats(*exact.parameters)
        assert_allclose(total.mean(), mean, rtol=0.01)
        assert_allclose(_moments(total)[1], np.sqrt(variance), rtol=0.1)


def test_one_period_is_the_law_itself():
    law = GammaPoisson(2.0, 0.2)
    portfolio = law.sample(5, 4, random_state=0)
    predictive = law.predictive(portfolio)
    assert law_of_total(None, portfolio, predictive, 1) is predictive


def test_sure_outcomes_have_sure_totals():
    for value in (0.0, 7.0):
        predict = _always(lambda n, value=value: WeightedAtoms(np.full((n, 1), value)))
        total = _total(predict, Portfolio(np.full((2, 3), value)), 4)
        assert_allclose(total.mean(), 4 * value, atol=0.01)
        assert_array_equal(total.quantile(LEVELS), 4 * value)


def test_rows_are_their_own(monkeypatch):
    law = GammaPoisson(1.0, 0.05)
    portfolio = law.sample(11, 4, random_state=0)
    portfolio.observations[3] = NAN
    total = _total(law.predictive, portfolio, 4)
    alone = [_total(law.predictive, portfolio.take([k]), 4) for k in range(11)]
    assert_allclose([each.quantiles[0] for each in alone], total.quantiles, rtol=1e-3, atol=0.02)
    monkeypatch.setattr(_horizon, "BLOCK_ROWS", 3)
    again = _total(law.predictive, portfolio, 4)
    assert_allclose(again.quantiles, total.quantiles, rtol=1e-3, atol=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.7])
def test_correlation_of_normal_and_lognormal_scores(correlation):
    # cov(X, Y) is r s^2 for normals, exp(2 m + s^2) (exp(r s^2) - 1) for lognormals
    law = NormalLaw([5.0], [2.0])
    assert_allclose(copula_correlation(law, np.array([4 * correlation])), correlation, atol=1e-3)
    law = LognormalLaw([1.0], [0.8])
    covariance = np.exp(2 + 0.64) * np.expm1(0.64 * correlation)
    assert_allclose(copula_correlation(law, np.array([covariance])), correlation, atol=1e-3)


# ---- in estimators


def _counts(n=30, seed=0, n_columns=6):
    counts = GammaPoisson(2.0, 0.2).sample(n, n_columns, random_state=seed).observations
    counts[2, :3] = NAN
    counts[5] = NAN
    return counts


@pytest.mark.parametrize("scale", [1.0, 1.1])
@pytest.mark.parametrize("name", DECIDERS)
def test_the_mean_of_a_total_is_that_of_its_periods(name, scale):
    X = scale * _counts()
    estimator = clone(DECIDERS[name]).fit(X)
    one, four = Newsvendor(19.0, 1.0), Newsvendor(19.0, 1.0, horizon=4)
    orders, info = estimator.decide(X, problem=four, return_info=True)
    assert_allclose(info.mean, 4 * estimator.predict(X), rtol=0.02, atol=0.1)
    assert scale != 1 or np.all(orders == np.rint(orders))
    # dearer than the mean, and less than four times what one period needs
    single, single_info = estimator.decide(X, problem=one, return_info=True)
    assert info.mean.sum() < orders.sum() < 4 * single.sum()
    # risks are pooled, but not all of them
    assert info.expected_cost.sum() < 4 * single_info.expected_cost.sum()
    assert info.expected_cost.sum() > 1.5 * single_info.expected_cost.sum()


@pytest.mark.parametrize("name", DECIDERS)
def test_a_horizon_of_one_changes_nothing(name):
    X = _counts()
    estimator = clone(DECIDERS[name]).fit(X)
    orders = estimator.decide(X, problem=Newsvendor(4.0, 1.0))
    assert_array_equal(estimator.decide(X, problem=Newsvendor(4.0, 1.0, horizon=1)), orders)


def test_orders_that_know_the_law():
    law = GammaPoisson(2.0, 0.2)
    X = law.sample(40, 5, random_state=0).observations
    knowing = Knowing(law, Newsvendor(9.0, 1.0, horizon=4)).fit(X)
    exact = _exact_counts(law.predictive(Portfolio(X)), 4)
    orders, info = knowing.decide(X, return_info=True)
    assert_allclose(orders, exact.quantile(0.9), atol=1)
    portfolio = knowing._read(X)
    least = knowing.problem_.expected_cost(exact.quantile(0.9), exact, portfolio)
    cost = knowing.problem_.expected_cost(orders, exact, portfolio)
    assert_allclose(cost.sum(), least.sum(), rtol=0.005)
    assert_allclose(info.expected_cost, least, rtol=0.05)
    # predictions stay those of one period
    assert_allclose(knowing.predict(X), law.predictive(Portfolio(X)).mean())


@pytest.mark.parametrize("name", ["network", "average"])
def test_predictions_of_totals(name):
    X = _counts()
    estimator = clone(DECIDERS[name]).fit(X)
    orders, info = estimator.decide(X, problem=Newsvendor(4.0, 1.0, horizon=3), return_info=True)
    assert_allclose(estimator.predict(X, horizon=3), info.mean)
    assert_array_equal(estimator.predict_quantiles(X, 0.8, horizon=3)[:, 0], orders)
    law = estimator.predict_distribution(X, horizon=3)
    assert_array_equal(law.quantile(0.8), orders)
    assert_array_equal(estimator.predict(X, horizon=1), estimator.predict(X))
    for horizon in (0, 1.5, MOST_PERIODS + 1):
        for call in (estimator.predict, estimator.predict_distribution):
            with pytest.raises(ValueError, match="horizon must be a whole number in"):
                call(X, horizon=horizon)


def test_a_horizon_goes_with_limits_bounds_groups_and_risk():
    X = pd.DataFrame(_counts()).add_prefix("w")
    names = list(X.columns)
    X["store"] = np.arange(30) % 2
    problem = Newsvendor(
        4.0, 1.0, observations=names, limit={0: 600, 1: PerRow(30.0)}, groups="store", upper=70,
        horizon=3,
    )  # fmt: skip
    orders, info = SampleAverage(problem).fit(X).decide(X, return_info=True)
    assert info.limit == {0: 600.0, 1: 450.0}
    assert all(info.used[store] <= info.limit[store] for store in (0, 1))
    assert orders.max() <= 70
    careful = Newsvendor(4.0, 1.0, observations=names, horizon=3, risk=("cvar", 0.95))
    saa = SampleAverage(careful).fit(X)
    orders, info = saa.decide(X, return_info=True)
    usual = saa.decide(X, problem=clone(careful).set_params(risk="mean"))
    assert np.all(info.risk >= info.expected_cost)
    assert orders.sum() > usual.sum()


class Linear(DecisionProblem):
    """A cost of one's own that covers two periods."""

    horizon = 2

    def cost(self, decision, outcome):
        return 4.0 * np.maximum(outcome - decision, 0) + np.maximum(decision - outcome, 0)


def test_a_cost_of_ones_own_over_a_horizon():
    X, y = _counts(), _counts(seed=1)
    own = ParametricEmpiricalBayes(Linear()).fit(X)
    same = ParametricEmpiricalBayes(Newsvendor(4.0, 1.0, horizon=2)).fit(X)
    assert_array_equal(own.decide(X), same.decide(X))
    assert own.score(X, y) == pytest.approx(same.score(X, y))


# ---- what is charged


def test_outcomes_come_in_blocks_of_a_horizon():
    problem = Newsvendor(4.0, 1.0, horizon=2)
    y = np.array([[1.0, 2.0, 3.0, 5.0], [4.0, NAN, 3.0, 3.0], [NAN, NAN, 1.0, NAN]])
    assert_array_equal(problem.totals(y), [[3, 8], [NAN, 6], [NAN, NAN]])
    # an order of 5: 2 left over and 3 short; of 7: 1 left over
    costs = decision_cost(y, [5, 7, 9], problem=problem, per_row=True)
    assert_array_equal(costs, [(2 + 12) / 2, 1.0, NAN])
    assert decision_cost(y, [5, 7, 9], problem=problem) == 4.0
    # the best single order for 3 and 8 is 8, at (5 + 0) / 2
    assert_array_equal(regret(y, [5, 7, 9], problem=problem, per_row=True), [7 - 2.5, 1, NAN])
    found = regret(y, [5, 7, 9], problem=problem, floor="foresight", per_row=True)
    assert_array_equal(found, [7, 1, NAN])


def test_score_charges_totals():
    X, y = _counts(), _counts(seed=1)
    problem = Newsvendor(4.0, 1.0, horizon=3)
    mine, reference = ShrunkenSampleAverage(problem).fit(X), SampleAverage(problem).fit(X)
    costs = []
    for estimator in (mine, reference):
        orders = estimator.decide(X)[:, None]
        blocks = np.stack([y[:, :3].sum(axis=1), y[:, 3:].sum(axis=1)], axis=1)
        charged = np.where(blocks > orders, 4 * (blocks - orders), orders - blocks)
        costs.append(np.nansum(np.nanmean(charged[~np.isnan(blocks).all(axis=1)], axis=1)))
    assert mine.score(X, y) == pytest.approx(1 - costs[0] / costs[1])
    assert reference.score(X, y) == 0


def test_score_without_outcomes_holds_out_whole_horizons():
    X = _counts(n_columns=5)
    problem = Newsvendor(4.0, 1.0, horizon=2)
    mine, reference = ShrunkenSampleAverage(problem).fit(X), SampleAverage(problem).fit(X)
    costs = np.zeros(2)
    for columns in ([3, 4], [1, 2]):  # the newest first; one is left that makes no horizon
        evidence = X.copy()
        evidence[:, columns] = NAN
        total = X[:, columns].sum(axis=1)
        for k, estimator in enumerate((mine, reference)):
            orders = estimator.decide(evidence)
            charged = np.where(total > orders, 4 * (total - orders), orders - total)
            costs[k] += np.nansum(np.where(np.isnan(total), NAN, charged))
    assert mine.score(X) == pytest.approx(1 - costs[0] / costs[1])
    assert reference.score(X) == 0


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_other_numbers_of_outcomes_are_refused(n_columns):
    X, y = _counts(), _counts(seed=1)[:, :n_columns]
    saa = SampleAverage(Newsvendor(4.0, 1.0, horizon=3)).fit(X)
    message = (
        rf"y must have a column for every period, 3 or a multiple .*horizon=3.*got {n_columns}"
    )
    for outcomes in (y, y[:, 0]) if n_columns == 1 else (y,):
        with pytest.raises(ValueError, match=message):
            saa.score(X, outcomes)
        with pytest.raises(ValueError, match=message):
            decision_cost(outcomes, np.ones(30), problem=saa.problem_)


def test_a_score_needs_a_whole_horizon():
    X = _counts(n_columns=3)
    message = "no outcome to charge: all are missing, or are fewer than the 4 periods in a row"
    with pytest.raises(ValueError, match=message):
        SampleAverage(Newsvendor(horizon=4)).fit(X).score(X)
    gaps = np.where(np.arange(6) % 2, NAN, _counts())
    with pytest.raises(ValueError, match="fewer than the 2 periods in a row"):
        SampleAverage(Newsvendor(horizon=2)).fit(gaps).score(gaps)


def test_prescriptiveness_of_sample_averages_over_a_horizon_is_zero():
    X, y = _counts(), _counts(seed=1)
    problem = Newsvendor(4.0, 1.0, horizon=3)
    saa = SampleAverage(problem).fit(X).decide(X)
    for floor in ("law", "foresight"):
        found = prescriptiveness(y, saa, X=X, problem=problem, floor=floor)
        assert found == pytest.approx(0, abs=1e-12)


def test_transfer_curve_over_a_horizon():
    X, y = _counts(), _counts(seed=1)
    problem = Newsvendor(4.0, 1.0, horizon=3)
    pdt = PretrainedDecisionTransformer(problem, finetune=None)
    arguments = {"n_instances": [6], "cv": 2, "methods": ["pretrained", "saa"], "random_state": 0}
    curve = transfer_curve(pdt, X, y, **arguments)
    rows = curve.rows[0]
    charged = decision_cost(y[rows], pdt.fit(X[rows]).decide(X[rows]), problem=problem)
    assert curve.cost[0, 0, 0] == pytest.approx(charged)
    with pytest.raises(ValueError, match="decisions cover horizon=3 periods: give y"):
        transfer_curve(pdt, X, **arguments)


# ---- finetuning


def _finetuned(problem):
    return PretrainedDecisionTransformer(
        problem,
        checkpoint=ordering_too_much(),
        finetune=HeadFinetune(max_epochs=1, validation_fraction=0.5, baselines=False),
        random_state=0,
    )


def test_finetuning_is_charged_on_single_periods():
    X, y = make_demand_portfolio(40, 4, n_outcomes=6, noise=0.8, random_state=0)
    single = _finetuned(Newsvendor(4.0, 1.0)).fit(X)
    longer = _finetuned(Newsvendor(4.0, 1.0, horizon=3)).fit(X)
    assert "reason" not in longer.finetune_report_
    for name, values in single.finetune_report_.items():
        assert_array_equal(longer.finetune_report_[name], values)
    assert longer.decide(X).sum() > 2 * single.decide(X).sum()
    assert np.isfinite(longer.score(X, y))


@pytest.mark.parametrize("outcomes", [False, True])
def test_finetuning_for_a_cost_of_ones_own_over_a_horizon(outcomes):
    X, y = make_demand_portfolio(40, 4, n_outcomes=3, noise=0.8, random_state=0)
    fitted = _finetuned(Linear()).fit(X, y if outcomes else None)
    assert "reason" not in fitted.finetune_report_
    assert np.isfinite(fitted.decide(X)).all()


# ---- what is refused


@pytest.mark.parametrize("horizon", [0, -1, 1.5, 2.0, True, "4", None, NAN, MOST_PERIODS + 1])
def test_horizons_that_are_refused(horizon):
    with pytest.raises(ValueError, match=r"horizon must be a whole number in \[1, \d+\]; got"):
        SampleAverage(Newsvendor(horizon=horizon)).fit(_counts())
    with pytest.raises(ValueError, match="horizon must be a whole number"):
        decision_cost([1.0], [1.0], problem=Newsvendor(horizon=horizon))


def test_numbers_of_numpy_are_horizons():
    X = _counts()
    orders = [
        SampleAverage(Newsvendor(horizon=horizon)).fit(X).decide(X) for horizon in (2, np.int64(2))
    ]
    assert_array_equal(*orders)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("horizon", [2, 4, 13])
def test_totals_of_rare_sales_have_their_mean(whole, horizon):
    """A jump at 0 lies between two levels of the total's quantiles."""
    rng = np.random.default_rng(1)
    X = rng.poisson(0.1, (40, 8)) * (1.0 if whole else rng.lognormal(0.0, 0.4, (40, 8)))
    X[0, 0] = 1.0 if whole else 1.1
    fitted = PretrainedDecisionTransformer(finetune=None).fit(X)
    law = fitted.predict_distribution(X, horizon=horizon)
    expected = horizon * fitted.predict(X)
    assert_allclose(fitted.predict(X, horizon=horizon), expected)
    assert_allclose(law.mean(), expected)
    law.means = None  # and so it is by the quantiles
    assert law.mean().sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("ordered", [False, True])
def test_expected_totals_are_those_of_their_laws(ordered):
    X = np.random.default_rng(3).poisson(np.arange(4, 16), size=(30, 12)).astype(float)
    fitted = PretrainedDecisionTransformer(Newsvendor(ordered=ordered), finetune=None).fit(X)
    means = fitted.predict_distribution(X, horizon=3).mean()
    assert_allclose(fitted.predict(X, horizon=3), means, rtol=1e-9)
