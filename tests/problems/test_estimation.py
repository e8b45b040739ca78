"""Estimating means: posterior means by the book, and the estimator on values of any sign."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import ndtri
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf import Checkpoint, Column, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.means import law_of_mean
from sklearn_pttf._laws.parametric import NegativeBinomialLaw
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.metrics import decision_cost, regret
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Estimation, Newsvendor
from sklearn_pttf.testing import GammaPoisson, NormalNormal

NAN = np.nan
TINY = NetworkConfig(
    width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8, outcomes="values"
)
RNG = np.random.default_rng(0)
REAL = 2 * RNG.normal(size=(40, 1)) + RNG.normal(size=(40, 4))
REAL[:3, 1:] = NAN
COUNTS = RNG.poisson(RNG.gamma(2, 2, size=(40, 1)), size=(40, 4)).astype(float)
ERRORS = np.where(np.arange(40) % 4 == 0, NAN, RNG.uniform(0.5, 2, size=40))


def _frozen(problem=None, **params):
    """The estimator without finetuning."""
    return PretrainedDecisionTransformer(problem or Estimation(), finetune=None, **params)


def _checkpoint(random=False):
    """A network that says what classical credibility says; or one of random weights."""
    if not random:
        return Checkpoint.from_network(DecisionNetwork.of_moments(TINY), {"name": "credibility"})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecisionNetwork(TINY)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Checkpoint.from_network(network, {"name": "random"})


# ---------------------------------------------------------------- the law of the mean


class Conjugate(DecisionMixin, BaseEstimator):
    """Predicts with the true prior."""

    def __init__(self, problem=None, law=None):
        self.problem = problem
        self.law = law

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return self.law.predictive(portfolio)


def _gamma_posterior(X, shape, rate):
    return stats.gamma(shape + np.nansum(X, axis=1), scale=1 / (rate + (~np.isnan(X)).sum(axis=1)))


@pytest.mark.parametrize(("shape", "rate"), [(2.0, 0.2), (0.5, 0.1), (8.0, 4.0)])
def test_counts_tell_the_posterior_of_their_mean(shape, rate):
    """The covariance of two later counts is the variance of a gamma-distributed mean."""
    law = GammaPoisson(shape, rate)
    X = law.sample(200, 5, random_state=0).observations
    X[:50, 2:], X[0] = NAN, NAN
    posterior = _gamma_posterior(X, shape, rate)
    found, info = Conjugate(Estimation(coverage=0.8), law).fit(X).decide(X, return_info=True)
    assert_allclose(found, posterior.mean(), rtol=2e-3)
    assert_allclose(info.expected_cost, posterior.var(), rtol=0.06)
    assert_allclose(info.lower, posterior.ppf(0.1), rtol=0.05, atol=0.02)
    assert_allclose(info.upper, posterior.ppf(0.9), rtol=0.03)


def test_values_of_any_sign_tell_the_posterior_of_their_mean():
    law = NormalNormal(-3.0, 2.0, 4.0)
    X = law.sample(100, 5, random_state=0).observations
    X[:50, 2:], X[0] = NAN, NAN
    precision = 1 / 4 + (~np.isnan(X)).sum(axis=1) / 16
    mean, deviation = (-3 / 4 + np.nansum(X, axis=1) / 16) / precision, precision**-0.5
    found, info = Conjugate(Estimation(), law).fit(X).decide(X, return_info=True)
    assert_allclose(found, mean, atol=1e-6)
    assert_allclose(info.expected_cost, deviation**2, rtol=0.02)
    assert_allclose(info.lower, mean - ndtri(0.95) * deviation, atol=0.02)
    assert_allclose(info.upper, mean + ndtri(0.95) * deviation, atol=0.02)


def test_law_of_a_mean_that_is_known():
    """Where a first outcome says nothing about a second one, the mean has no spread."""

    def predict(portfolio):
        size = np.full(len(portfolio), 1e9)
        return NegativeBinomialLaw(size, size / (size + 3.0))

    portfolio = Portfolio(np.array([[1.0, 4.0], [NAN, 7.0]]), integer=True)
    law = law_of_mean(predict, portfolio, predict(portfolio))
    assert_allclose(law.quantile(np.array([[0.01, 0.99]])), 3.0, rtol=0.01)
    assert_allclose(law.mean(), 3.0, rtol=1e-6)


def test_quantiles_of_any_sign():
    """A logistic law around -5, exactly; nothing is cut off at 0."""
    levels = np.array([0.05, 0.3, 0.5, 0.9])
    logits = np.log(levels / (1 - levels))
    law = QuantileGrid(-5 + 2 * logits[None], levels, lowest=-np.inf)
    truth = stats.logistic(-5, 2)
    x = np.array([[-20.0, -5.0, 0.0, 3.0]])
    assert_allclose(law.cdf(x)[0], truth.cdf(x[0]))
    assert_allclose(law.quantile(np.array([[1e-4, 0.5, 0.99]]))[0], truth.ppf([1e-4, 0.5, 0.99]))
    assert law.mean() == pytest.approx(-5)
    # the integral of the survival function of a logistic law
    assert_allclose(law.excess(x)[0], 2 * np.log1p(np.exp(-(x[0] + 5) / 2)))
    assert law.mean_distance() == pytest.approx(4 * np.log(2))
    for again in (
        law.take([0]),
        QuantileGrid.concatenate([law, law]),
        law.with_quantiles([[-9] * 4]),
    ):
        assert again.lowest == -np.inf
    spread = law.expected(lambda outcomes: (outcomes + 5) ** 2)
    assert spread == pytest.approx(4 * np.pi**2 / 3, rel=0.02)
    shifted = QuantileGrid(-5 + 2 * logits[None], levels, lowest=-7.0)
    assert shifted.mean() == pytest.approx(-7 + 2 * np.log1p(np.exp(1.0)))


# ---------------------------------------------------------------- decisions


@pytest.fixture(scope="module")
def fitted():
    return _frozen().fit(REAL)


def test_decisions_are_means_of_the_law(fitted):
    found, info = fitted.decide(REAL, return_info=True)
    assert set(info) == {"expected_cost", "mean", "lower", "upper"}
    assert_array_equal(info.mean, found)
    assert (info.lower < found).all()
    assert (found < info.upper).all()
    law = fitted.predict_distribution(REAL, of_mean=True)
    assert_array_equal(law.mean(), found)
    assert_allclose(info.lower, law.quantile(0.05))
    assert_allclose(info.upper, law.quantile(0.95))
    assert_allclose(info.expected_cost, law.expected(lambda x: (x - found[:, None]) ** 2))
    # an interval for the mean, not for a next observation
    outcome = fitted.predict_quantiles(REAL, [0.05, 0.95])
    assert (np.diff(outcome)[:, 0] > info.upper - info.lower).all()


@pytest.mark.parametrize("X", [REAL, COUNTS], ids=["real", "counts"])
def test_wider_coverage_gives_wider_intervals(X):
    estimator = _frozen().fit(X)
    ends = []
    for coverage in (0.5, 0.9, 0.99):
        problem = Estimation(coverage=coverage)
        found, info = estimator.decide(X, problem=problem, return_info=True)
        assert_array_equal(found, estimator.decide(X, return_info=True)[0])
        ends.append([info.lower, info.upper])
    lower, upper = np.diff(ends, axis=0).transpose(1, 0, 2)
    assert (lower < 0).all()
    assert (upper > 0).all()


@pytest.mark.parametrize("name", ["real", "counts"])
def test_estimates_are_better_than_averages(name):
    """On true means, of portfolios with as much noise as there is signal."""
    if name == "real":
        drawn, checkpoint = NormalNormal(5, 1, 1.7).sample(150, 3, random_state=0), _checkpoint()
    else:
        drawn, checkpoint = GammaPoisson(3, 1).sample(150, 3, random_state=0), "auto"
    X, mean = drawn.observations, drawn.parameters["mean"]
    estimator = _frozen(checkpoint=checkpoint).fit(X)
    averages = np.mean((X.mean(axis=1) - mean) ** 2)
    gain = 1 - np.mean((estimator.decide(X) - mean) ** 2) / averages
    assert gain > 0.15
    assert estimator.score(X, mean) == pytest.approx(gain)


@pytest.mark.parametrize("X", [REAL, COUNTS], ids=["real", "counts"])
def test_info_does_not_change_estimates(X):
    estimator = _frozen().fit(X)
    found, info = estimator.decide(X, return_info=True)
    assert_allclose(estimator.decide(X), found, rtol=1e-9)
    assert_allclose(info.mean, found, rtol=1e-9)


def test_sample_averages():
    found, info = SampleAverage(Estimation()).fit(REAL).decide(REAL, return_info=True)
    assert_allclose(found, np.nanmean(REAL, axis=1))
    assert_array_equal(info.mean, found)
    cold = np.full((1, 4), NAN)
    assert SampleAverage(Estimation()).fit(REAL).decide(cold) == pytest.approx(np.nanmean(REAL))


# ---------------------------------------------------------------- kinds of outcomes


def _kind(X, problem=None):
    return _frozen(problem).fit(X).checkpoint_.card["name"]


def test_checkpoints_by_kind_of_outcome():
    assert _kind(COUNTS) == "demand"
    assert _kind(REAL) == "gaussian"
    assert _kind(np.abs(REAL)) == "gaussian"
    assert _kind(COUNTS - 5) == "gaussian"
    with_errors = np.column_stack([COUNTS, ERRORS])
    assert _kind(with_errors, Estimation(standard_errors=Column(4))) == "gaussian"
    assert _kind(COUNTS, Estimation(standard_errors=2.0)) == "gaussian"
    assert _kind(COUNTS, Estimation(noise="poisson")) == "poisson"
    for X in (COUNTS, REAL):
        assert _frozen().fit(X).integer_ == (X is COUNTS)


def test_whole_numbers_below_zero_are_values():
    estimator = _frozen().fit(COUNTS - 5)
    assert not estimator.integer_
    quantiles = estimator.predict_quantiles(COUNTS - 5, [0.1, 0.5])
    assert (quantiles != np.rint(quantiles)).any()
    assert quantiles.min() < 0


def test_negative_values_after_counts_are_refused():
    estimator = _frozen().fit(COUNTS)
    later = COUNTS[:4].copy()
    later[2, :2] = [-3.0, -1.0]
    for use in (estimator.decide, estimator.predict, estimator.score):
        with pytest.raises(ValueError, match=r"fit saw counts, .* row 2: -3.0 \(1 in all\)"):
            use(later)
    assert np.isfinite(estimator.decide(COUNTS[:4] + 0.5)).all()


def test_a_horizon_is_for_amounts():
    assert _frozen().fit(COUNTS).predict(COUNTS, horizon=3).shape == (40,)
    estimator = _frozen().fit(REAL)
    for use in (estimator.predict, estimator.predict_distribution):
        with pytest.raises(ValueError, match=r"horizon must be 1 for values .*; got 2"):
            use(REAL, horizon=2)
    with pytest.raises(ValueError, match="horizon must be 1"):
        estimator.predict_quantiles(REAL, 0.5, horizon=2)


def test_predictions_of_values_of_any_sign(fitted):
    law = fitted.predict_distribution(REAL)
    tau = [0.01, 0.3, 0.5, 0.99]
    quantiles = fitted.predict_quantiles(REAL, tau)
    assert (np.diff(quantiles) > 0).all()
    assert quantiles.min() < REAL[REAL < 0].mean()
    assert_array_equal(law.quantile(np.array([tau])), quantiles)
    assert_allclose(law.cdf(quantiles), np.tile(tau, (40, 1)))
    # predictions are what decisions are made from: the mean of the law of the mean
    assert_array_equal(fitted.predict(REAL), fitted.decide(REAL))
    of_mean = fitted.predict_distribution(REAL, of_mean=True)
    assert_array_equal(of_mean.mean(), fitted.predict(REAL))
    assert np.corrcoef(law.mean(), of_mean.mean())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coverage": 0.0}, "coverage must be a number in"),
        ({"coverage": 1.0}, "coverage must be a number in"),
        ({"coverage": True}, "coverage must be a number in"),
        ({"coverage": NAN}, "coverage must be a number in"),
        ({"standard_errors": 0.0}, "standard_errors must be positive and finite, or missing"),
        ({"standard_errors": Column(1)}, "standard_errors must be positive .* row 1: -1.0"),
        ({"standard_errors": True}, "standard_errors must be a number, a column"),
        ({"noise": "normal"}, "noise must be 'poisson', 'binomial' or None; got 'normal'"),
        (
            {"noise": "poisson", "standard_errors": 1.0},
            "standard_errors must be None with noise='poisson', which implies them; got 1.0",
        ),
        (
            {"noise": "poisson", "observations": [0]},
            r"noise='poisson' is of counts, .* whole numbers of at least 0; got row 0: 1\.5 \(1 in",
        ),
        (
            {"noise": "poisson", "observations": [1]},
            r"Negative values in data: noise='poisson' is of counts.*row 1: -1\.0",
        ),
        ({"observations": [1, 1]}, "observations="),
        ({"observations": []}, "X has no observation column"),
        ({"observations": [0], "standard_errors": Column(0)}, "observations="),
    ],
)
def test_refusals(changes, message):
    X = np.array([[1.5, 1.0], [2.0, -1.0], [NAN, NAN]])
    with pytest.raises(ValueError, match=f"^{message}"):
        SampleAverage(Estimation(**changes)).fit(X)


def test_no_observation_at_all_and_infinite_ones_are_refused():
    for X, message in ((np.full((3, 2), NAN), "no observation"), ([[1.0, np.inf]], "infinity")):
        with pytest.raises(ValueError, match=message):
            _frozen().fit(X)


# ---------------------------------------------------------------- what cannot matter


@given(st.integers(0, 2**31), st.floats(-1000, 1000), st.floats(1e-3, 1e3))
@settings(max_examples=12, deadline=None)
def test_origin_and_unit_do_not_matter(seed, shift, factor):
    rng = np.random.default_rng(seed)
    X, errors = rng.permutation(REAL)[:15], rng.permutation(ERRORS)[:15]
    random = _frozen(Estimation(standard_errors=Column(4)), checkpoint=_checkpoint(random=True))

    def decide(X, errors):
        table = np.column_stack([X, errors])
        found, info = clone(random).fit(table).decide(table, return_info=True)
        return np.stack([found, info.lower, info.upper]), info.expected_cost

    estimates, variance = decide(X, errors)
    moved, scaled = decide(factor * X + shift, factor * errors)
    size = factor * 10 + abs(shift) * 1e-3
    assert_allclose(moved, factor * estimates + shift, atol=1e-6 * size)
    assert_allclose(scaled, factor**2 * variance, rtol=1e-5)


def test_subsets_and_orders(fitted):
    reference = fitted.decide(REAL)
    rows = np.random.default_rng(0).permutation(40)[:9]
    assert_allclose(fitted.decide(REAL[rows]), reference[rows], rtol=1e-9)
    assert_allclose(fitted.decide(REAL[:, ::-1]), reference, rtol=1e-9)
    again = _frozen().fit(REAL[::-1, ::-1])
    assert_allclose(again.decide(REAL), reference, rtol=1e-7, atol=1e-9)


def test_estimators_are_pickled_and_cloned(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.decide(REAL), fitted.decide(REAL))
    left, right = (each.decide(REAL, return_info=True)[1] for each in (again, fitted))
    for name in right:
        assert_array_equal(left[name], right[name])
    problem = Estimation(standard_errors="error", coverage=0.5)
    assert clone(problem).get_params() == problem.get_params()
    copy = clone(_frozen(problem))
    assert copy.problem is not problem
    assert repr(copy.problem) == repr(problem)


# ---------------------------------------------------------------- tables and tools


def _frame():
    frame = pd.DataFrame(REAL, columns=["a", "b", "c", "d"])
    return frame.assign(school=[f"school {k}" for k in range(40)], error=ERRORS)


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars"])
def test_frames_with_standard_errors(kind):
    frame = _frame()
    problem = Estimation(standard_errors="error", observations=["a", "b", "c", "d"])
    by_position = Estimation(standard_errors=Column(4))
    table = np.column_stack([REAL, ERRORS])
    reference = _frozen(by_position).fit(table).decide(table)
    if kind == "nullable":
        frame = frame.convert_dtypes()
    if kind == "polars":
        frame = pl.DataFrame(frame.to_dict("list")).fill_nan(None)
    estimator = _frozen(problem).fit(frame)
    assert_array_equal(estimator.decide(frame), reference)
    assert estimator.observation_columns_.tolist() == [0, 1, 2, 3]


def test_what_is_hardly_known_is_pulled_to_the_others():
    estimator = _frozen(checkpoint=_checkpoint()).fit(REAL)
    spread = [
        np.ptp(estimator.decide(REAL, problem=Estimation(standard_errors=error)))
        for error in (1.0, 5.0, 50.0)
    ]
    assert spread[0] > 1.5 * spread[1] > 4 * spread[2]


def test_one_number_is_the_error_of_every_row():
    ones = np.column_stack([REAL, np.full(40, 1.5)])
    left = _frozen(Estimation(standard_errors=1.5)).fit(REAL).decide(REAL)
    right = _frozen(Estimation(standard_errors=Column(4))).fit(ones).decide(ones)
    assert_array_equal(left, right)


def test_pipelines():
    double = FunctionTransformer(lambda X: 2 * X)
    reference = _frozen().fit(2 * REAL)
    for make in (make_pipeline, make_decision_pipeline):
        pipeline = make(double, _frozen()).fit(REAL)
        assert_array_equal(pipeline.predict(REAL), reference.predict(2 * REAL))
        assert pipeline.score(REAL) == reference.score(2 * REAL)
    assert_array_equal(pipeline.decide(REAL), reference.decide(2 * REAL))


def test_grid_search_over_checkpoints():
    grid = {"checkpoint": ["auto", _checkpoint(), _checkpoint(random=True)], "finetune": [None]}
    search = GridSearchCV(_frozen(), grid, cv=KFold(2), error_score="raise").fit(REAL)
    scores = search.cv_results_["mean_test_score"]
    halves = REAL[:20], REAL[20:]
    for weights, score in zip(grid["checkpoint"], scores, strict=True):
        by_hand = [
            _frozen(checkpoint=weights).fit(fold).score(other)
            for fold, other in (halves, halves[::-1])
        ]
        assert score == pytest.approx(np.mean(by_hand))
    best = _frozen(checkpoint=grid["checkpoint"][np.argmax(scores)]).fit(REAL)
    assert_array_equal(search.predict(REAL), best.predict(REAL))


# ---------------------------------------------------------------- figures


def test_cost_is_the_squared_error():
    problem = Estimation()
    assert problem.cost(3.0, 5.5) == 6.25
    assert_array_equal(
        problem.cost(np.array([[1.0], [2.0]]), np.array([3.0, 0.0])), [[4, 1], [1, 4]]
    )
    assert problem.cost(torch.tensor([1.0]), torch.tensor([3.0])).tolist() == [4.0]


def test_metrics_by_hand():
    y = [[1.0, 3.0], [NAN, -4.0], [NAN, NAN]]
    assert decision_cost(y, [1.0, -2.0, 9.0], problem=Estimation()) == (2 + 4) / 2
    # the mean of a row's outcomes is its best estimate: errors of 1 each, and 0
    assert regret(y, [1.0, -2.0, 9.0], problem=Estimation()) == (1 + 4) / 2
    assert_allclose(regret(y, [1.0, -2.0, 9.0], problem=Estimation(), per_row=True), [1, 4, NAN])


def test_scores_by_hand(fitted):
    y = np.full((40, 2), NAN)
    y[:4] = [[1.0, NAN], [0.5, -2.0], [NAN, NAN], [-3.0, 1.0]]
    mine, averages = fitted.decide(REAL), np.nanmean(REAL, axis=1)
    costs = [
        np.nansum(np.nanmean((x[[0, 1, 3], None] - y[[0, 1, 3]]) ** 2, axis=1))
        for x in (mine, averages)
    ]
    assert fitted.score(REAL, y) == pytest.approx(1 - costs[0] / costs[1])
    assert SampleAverage(Estimation()).fit(REAL).score(REAL, y) == 0


# ---------------------------------------------------------------- reported


def test_weights_of_demand_do_not_take_negative_values():
    with pytest.raises(ValueError, match="demand"):
        _frozen(checkpoint="demand").fit(REAL).decide(REAL)


def test_negative_values_after_amounts_are_refused():
    estimator = _frozen(Newsvendor()).fit(np.abs(REAL))
    with pytest.raises(ValueError, match="Negative values in data"):
        estimator.decide(REAL, problem=Estimation())


def test_orders_from_weights_of_values_are_not_negative():
    amounts = np.abs(REAL)
    estimator = _frozen().fit(amounts)
    assert (estimator.decide(amounts, problem=Newsvendor(1.0, 99.0)) >= 0).all()


def test_standard_errors_after_counts_are_not_ignored():
    estimator = _frozen().fit(COUNTS)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="standard_errors"):
        estimator.decide(COUNTS, problem=Estimation(standard_errors=1.0))


# ---------------------------------------------------------------- noise that is told


@pytest.fixture(scope="module")
def told():
    return _frozen(Estimation(noise="poisson")).fit(COUNTS)


def test_one_count_a_row_is_shrunk_as_poisson_noise_says():
    """Of rows that have all the same mean, and of others that hardly share anything."""
    same = np.random.default_rng(0).poisson(9.0, size=(300, 1)).astype(float)
    apart = np.random.default_rng(0).poisson(np.geomspace(2, 900, 300))[:, None].astype(float)
    found = _frozen(Estimation(noise="poisson")).fit(same).decide(same)
    assert np.abs(found - 9).max() < 1.5
    found = _frozen(Estimation(noise="poisson")).fit(apart).decide(apart)
    assert np.abs(found[150:] / apart[150:, 0] - 1).max() < 0.15


def test_a_told_network_gives_laws_and_intervals(told):
    found, info = told.decide(COUNTS, return_info=True)
    law = told.predict_distribution(COUNTS, of_mean=True)
    assert_array_equal(law.mean(), found)
    assert_array_equal(told.predict(COUNTS), found)
    assert (info.lower >= 0).all()
    assert (info.lower < found).all()
    assert (found < info.upper).all()
    quantiles = told.predict_quantiles(COUNTS, [0.1, 0.5, 0.9])
    assert_array_equal(quantiles, np.rint(quantiles))
    outcome = told.predict_distribution(COUNTS)
    assert outcome.integer
    assert_allclose(outcome.mean(), found, rtol=1e-12)
    assert_allclose(told.predict(COUNTS, horizon=3), 3 * found, rtol=1e-12)
    assert told.integer_


def test_rows_that_are_no_counts_are_refused_later_too(told):
    later = COUNTS[:4].copy()
    later[2, 1] += 0.5
    for use in (told.decide, told.predict, told.score):
        with pytest.raises(ValueError, match=r"^noise='poisson' is of counts.*row 2"):
            use(later)
    values = _frozen().fit(REAL)
    with pytest.raises(ValueError, match=r"^noise='poisson' cannot be said now: fit saw values"):
        values.decide(REAL, problem=Estimation(noise="poisson"))
    counts = _frozen().fit(COUNTS)
    assert_array_equal(
        counts.decide(COUNTS, problem=Estimation(noise="poisson")), counts.decide(COUNTS)
    )


def test_told_estimators_are_pickled_cloned_and_taken_apart(told):
    found = told.decide(COUNTS)
    assert_array_equal(pickle.loads(pickle.dumps(told)).decide(COUNTS), found)
    assert_array_equal(clone(told).fit(COUNTS).decide(COUNTS), found)
    assert_allclose(told.decide(COUNTS[7:9]), found[7:9], rtol=1e-9)
    averages = SampleAverage(Estimation(noise="poisson")).fit(COUNTS).decide(COUNTS)
    assert_allclose(averages, COUNTS.mean(axis=1))


def test_a_told_network_is_finetuned_under_guard():
    drawn = GammaPoisson(3, 1).sample(160, 3, random_state=0)
    X, mean = drawn.observations, drawn.parameters["mean"]
    estimator = PretrainedDecisionTransformer(
        Estimation(noise="poisson"),
        finetune=HeadFinetune(max_epochs=1, validation_fraction=0.5),
        random_state=0,
    ).fit(X)
    candidates = ["pretrained", "finetuned", "blend", "baseline"]
    assert list(estimator.finetune_report_["candidate"]) == candidates
    assert estimator.checkpoint_.card["name"] == "poisson"
    assert estimator.score(X, mean) > 0.1
    assert (estimator.decide(X) > 0).all()
