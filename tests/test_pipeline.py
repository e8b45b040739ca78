"""DecisionPipeline: what its last step decides, on what the steps before it make of X."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.baselines import PooledRatio, SampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.metrics import decision_cost, make_decision_scorer
from sklearn_pttf.pipeline import DecisionPipeline, make_decision_pipeline
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import decision_checks
from support.estimators import doubled, name_of

DEAR = Newsvendor(underage=9.0, overage=1.0)
WEEKS = ["w0", "w1", "w2", "w3"]
TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
HANDED_ON = ["decide", "predict_quantiles", "predict_distribution"]


def _untrained():
    """A network as it is before pretraining."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Checkpoint.from_network(DecisionNetwork(TINY), {"name": "untrained"})


DECIDERS = [
    SampleAverage(DEAR),
    PooledRatio(DEAR),
    PretrainedDecisionTransformer(DEAR, checkpoint=_untrained(), finetune=None),
]


def _with_plain_names(X):
    return X.rename(columns=lambda name: name.removeprefix("units_"))


@pytest.fixture(scope="module")
def sales():
    return make_demand_portfolio(30, 4, n_outcomes=2, missing_rate=0.1, random_state=0)


@pytest.fixture(scope="module")
def frame(sales):
    table = pd.DataFrame(sales[0], columns=[f"units_{week}" for week in WEEKS])
    table.insert(1, "units_short", np.linspace(1, 9, len(table)))
    return table.assign(sku="text")


def _renaming():
    """Steps that give columns their plain names and drop those that are no numbers."""
    rename = FunctionTransformer(_with_plain_names)
    numbers = make_column_transformer(
        ("passthrough", ["short", *WEEKS]), verbose_feature_names_out=False
    )
    return rename, numbers.set_output(transform="pandas")


# ---------------------------------------------------------------- what is handed on


@pytest.mark.parametrize("decider", DECIDERS, ids=name_of)
def test_the_last_step_decides_transformed_rows(sales, decider):
    X, y = sales
    alone = clone(decider).fit(2 * X)
    pipe = make_decision_pipeline(FunctionTransformer(doubled), clone(decider)).fit(X)
    assert_array_equal(pipe.decide(X), alone.decide(2 * X))
    assert not np.array_equal(pipe.decide(X), clone(decider).fit(X).decide(X))
    cheap = Newsvendor(1.0, 3.0)
    assert_array_equal(pipe.decide(X, problem=cheap), alone.decide(2 * X, problem=cheap))
    orders, info = pipe.decide(X[:7], problem=cheap, return_info=True)
    expected, expected_info = alone.decide(2 * X[:7], problem=cheap, return_info=True)
    assert_array_equal(orders, expected)
    assert_array_equal(info.expected_cost, expected_info.expected_cost)
    assert_array_equal(
        pipe.predict_quantiles(X, [0.1, 0.9]), alone.predict_quantiles(2 * X, [0.1, 0.9])
    )
    assert_array_equal(
        pipe.predict_distribution(X).cdf(5.0), alone.predict_distribution(2 * X).cdf(5.0)
    )
    assert_array_equal(pipe.predict(X), alone.predict(2 * X))
    assert pipe.score(X, y) == alone.score(2 * X, y)
    assert pipe.score(X) == alone.score(2 * X)


@pytest.mark.parametrize("decider", DECIDERS, ids=name_of)
def test_a_stock_pipeline_predicts_and_scores_but_does_not_decide(sales, decider):
    X, y = sales
    stock = make_pipeline(FunctionTransformer(doubled), clone(decider)).fit(X)
    pipe = make_decision_pipeline(FunctionTransformer(doubled), clone(decider)).fit(X)
    assert_array_equal(stock.predict(X), pipe.predict(X))
    assert stock.score(X, y) == pipe.score(X, y)
    assert isinstance(stock.score(X), float)
    assert not any(hasattr(stock, method) for method in HANDED_ON)


@pytest.mark.parametrize("decider", DECIDERS, ids=name_of)
def test_names_of_columns_reach_the_last_step(frame, decider):
    problem = Newsvendor(underage="short", overage=1.0)
    decider = clone(decider).set_params(problem=problem)
    pipe = make_decision_pipeline(*_renaming(), clone(decider)).fit(frame)
    table = _with_plain_names(frame)[["short", *WEEKS]]
    assert list(pipe[-1].feature_names_in_) == ["short", *WEEKS]
    assert list(pipe.feature_names_in_) == list(frame.columns)
    assert pipe.n_features_in_ == 6
    alone = decider.fit(table)
    assert_array_equal(pipe.decide(frame), alone.decide(table))
    other = Newsvendor(underage=2.0, overage="short")
    assert_array_equal(pipe.decide(frame, problem=other), alone.decide(table, problem=other))
    # columns are found by name, as the steps before find them
    assert_array_equal(pipe[1:].decide(table.iloc[:, ::-1]), alone.decide(table))


def test_polars_frames(sales):
    X, _ = sales
    table = pl.DataFrame(X, schema=WEEKS).with_columns(sku=pl.lit("text"), short=pl.lit(4.0))
    numbers = make_column_transformer(
        ("passthrough", ["short", *WEEKS]), verbose_feature_names_out=False
    ).set_output(transform="polars")
    saa = SampleAverage(Newsvendor("short", 1.0))
    pipe = make_decision_pipeline(numbers, saa).fit(table)
    assert_array_equal(pipe.decide(table), SampleAverage(Newsvendor(4.0, 1.0)).fit(X).decide(X))


def test_ranks_in_a_prior_may_ride_along(frame):
    table = _with_plain_names(frame)[WEEKS]
    prior = SyntheticPrior(n_simulations=100, random_state=0)
    ranks = make_column_transformer(
        (prior, WEEKS), remainder="passthrough", verbose_feature_names_out=False
    )
    both = make_column_transformer(
        ("passthrough", WEEKS), (ranks, WEEKS), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    saa = SampleAverage(Newsvendor(observations=WEEKS))
    pipe = make_decision_pipeline(both, saa).fit(table)
    assert pipe[:-1].transform(table).shape[1] > len(WEEKS)
    assert_array_equal(pipe.decide(table), SampleAverage().fit(table).decide(table))


@pytest.mark.parametrize(
    "steps",
    [
        [("last", PooledRatio(DEAR))],
        [("none", None), ("pass", "passthrough"), ("last", PooledRatio(DEAR))],
        [("pass", "passthrough"), ("last", make_decision_pipeline(PooledRatio(DEAR)))],
    ],
    ids=["one step", "empty steps", "nested"],
)
def test_steps_that_change_nothing(sales, steps):
    X, _ = sales
    pipe = clone(DecisionPipeline(steps)).fit(X)
    assert_array_equal(pipe.decide(X), PooledRatio(DEAR).fit(X).decide(X))


# (all but the one that sets a parameter `problem`, which a pipeline has not)
CHECKS = [check for check in decision_checks() if check.__name__ != "check_decide_other_problem"]


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_a_pipeline_passes_the_checks_of_what_decides(check):
    check(make_decision_pipeline("passthrough", SampleAverage()))


# ---------------------------------------------------------------- where it is absent


class OnlyDecides(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def decide(self, X, *, problem=None, return_info=False):
        return np.full(len(X), 3.0)


@pytest.mark.parametrize(
    "last",
    [LinearRegression(), StandardScaler(), make_pipeline(SampleAverage()), "passthrough", None],
    ids=["regression", "transformer", "stock pipeline", "passthrough", "None"],
)
@pytest.mark.parametrize("method", HANDED_ON)
def test_methods_that_the_last_step_lacks(last, method):
    pipe = make_decision_pipeline(StandardScaler(), last)
    assert not hasattr(pipe, method)
    with pytest.raises(AttributeError, match=f"'DecisionPipeline' has no attribute '{method}'"):
        getattr(pipe, method)


def test_a_pipeline_without_steps_decides_nothing():
    assert not any(hasattr(make_decision_pipeline(), method) for method in HANDED_ON)


def test_each_method_has_its_own_condition(sales):
    X, _ = sales
    pipe = make_decision_pipeline("passthrough", OnlyDecides()).fit(X)
    assert [hasattr(pipe, method) for method in HANDED_ON] == [True, False, False]
    assert not hasattr(pipe, "predict")
    assert pipe.decide(X[:2]).tolist() == [3.0, 3.0]


def test_a_pipeline_that_ends_in_a_regression_still_predicts(sales):
    X, y = np.nan_to_num(sales[0]), sales[1]
    pipe = make_decision_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    stock = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    assert_array_equal(pipe.predict(X), stock.predict(X))


@pytest.mark.parametrize("decider", DECIDERS, ids=name_of)
def test_unfitted(sales, decider):
    X, _ = sales
    fitted = make_decision_pipeline("passthrough", clone(decider)).fit(X)
    for pipe in (make_decision_pipeline("passthrough", clone(decider)), clone(fitted)):
        for method, more in zip(HANDED_ON, [(), (0.5,), ()], strict=True):
            with pytest.raises(NotFittedError, match="DecisionPipeline"):
                getattr(pipe, method)(X, *more)


# ---------------------------------------------------------------- as a Pipeline


def test_arguments_are_handed_on():
    pipe = make_decision_pipeline(
        StandardScaler(), StandardScaler(), SampleAverage(), memory="m", verbose=True
    )
    assert [name for name, _ in pipe.steps] == [
        "standardscaler-1",
        "standardscaler-2",
        "sampleaverage",
    ]
    assert (pipe.memory, pipe.verbose, pipe.transform_input) == ("m", True, None)
    assert make_decision_pipeline(SampleAverage(), transform_input=["a"]).transform_input == ["a"]


def test_parameters_of_steps(sales):
    X, _ = sales
    strategy = HeadFinetune(lr=0.01)
    pdt = PretrainedDecisionTransformer(DEAR, checkpoint=_untrained(), finetune=strategy)
    pipe = make_decision_pipeline(FunctionTransformer(doubled), pdt)
    copy = clone(pipe).set_params(
        pretraineddecisiontransformer__finetune__lr=0.5,
        pretraineddecisiontransformer__problem__underage=2.0,
        functiontransformer__func=None,
    )
    assert isinstance(copy, DecisionPipeline)
    assert copy[-1].finetune.lr == 0.5
    assert (strategy.lr, DEAR.underage, pipe[0].func) == (0.01, 9.0, doubled)
    assert pipe.get_params()["pretraineddecisiontransformer__finetune__lr"] == 0.01
    with pytest.raises(ValueError, match="Invalid parameter 'price'"):
        pipe.set_params(pretraineddecisiontransformer__problem__price=1.0)
    pipe.set_params(pretraineddecisiontransformer=SampleAverage(DEAR))
    assert_array_equal(pipe.fit(X).decide(X), SampleAverage(DEAR).fit(2 * X).decide(2 * X))


@pytest.mark.parametrize("decider", DECIDERS, ids=name_of)
def test_pickles_decide_alike(frame, decider):
    decider = clone(decider).set_params(problem=Newsvendor("short", 1.0))
    pipe = make_decision_pipeline(*_renaming(), decider).fit(frame)
    again = pickle.loads(pickle.dumps(pipe))
    assert isinstance(again, DecisionPipeline)
    assert_array_equal(again.decide(frame), pipe.decide(frame))
    assert_array_equal(again.predict_quantiles(frame, 0.3), pipe.predict_quantiles(frame, 0.3))


def test_slices(frame, sales):
    pipe = make_decision_pipeline(*_renaming(), SampleAverage(Newsvendor("short", 1.0)))
    before = pipe.fit(frame)[:-1]
    assert isinstance(before, DecisionPipeline)
    assert not hasattr(before, "decide")
    table = before.transform(frame)
    assert list(table.columns) == ["short", *WEEKS]
    assert list(pipe[1:-1].get_feature_names_out()) == ["short", *WEEKS]
    assert_array_equal(pipe[-1].decide(table), pipe.decide(frame))
    assert_array_equal(pipe[-1:].decide(table), pipe.decide(frame))
    assert pipe["sampleaverage"] is pipe.named_steps.sampleaverage is pipe[-1]


def test_html_shows_the_steps(sales):
    pipe = make_decision_pipeline(FunctionTransformer(doubled), SampleAverage(DEAR))
    for shown in (pipe, clone(pipe).fit(sales[0])):
        html = shown._repr_html_()
        for part in ("DecisionPipeline", "FunctionTransformer", "SampleAverage", "underage"):
            assert part in html
    assert repr(make_decision_pipeline(SampleAverage())) == (
        "DecisionPipeline(steps=[('sampleaverage', SampleAverage())])"
    )


class Counted(TransformerMixin, BaseEstimator):
    """Doubles, and counts its fits."""

    n_fits = 0

    def fit(self, X, y=None):
        Counted.n_fits += 1
        self.fitted_ = True
        return self

    def transform(self, X):
        return 2 * X


def test_fitted_transformers_are_cached(sales, tmp_path):
    X, _ = sales
    Counted.n_fits = 0
    pipe = make_decision_pipeline(Counted(), SampleAverage(DEAR), memory=str(tmp_path))
    for decider in (SampleAverage(DEAR), PooledRatio(DEAR)):
        fitted = clone(pipe).set_params(sampleaverage=clone(decider)).fit(X)
        assert_array_equal(fitted.decide(X), decider.fit(2 * X).decide(2 * X))
    assert Counted.n_fits == 1


# ---------------------------------------------------------------- metadata


class Scaled(TransformerMixin, BaseEstimator):
    """Multiplies by a factor that is given to `transform`."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X, factor=1.0):
        return factor * X


class Seasonal(SampleAverage):
    """An average that is multiplied by a season that is given to `predict` or `decide`."""

    def predict(self, X, season=1.0):
        return season * super().predict(X)

    def decide(self, X, *, problem=None, return_info=False, season=1.0):
        return season * super().decide(X, problem=problem)

    def predict_quantiles(self, X, quantiles, season=1.0):
        return season * super().predict_quantiles(X, quantiles)

    def predict_distribution(self, X, season=1.0):
        return super().predict_distribution(season * X)


def test_without_routing_metadata_is_for_the_last_step(sales):
    X, _ = sales
    pipe = make_decision_pipeline(Scaled(), Seasonal(DEAR)).fit(X)
    alone = SampleAverage(DEAR).fit(X)
    assert_array_equal(pipe.decide(X, season=3.0), 3 * alone.decide(X))
    assert_array_equal(pipe.predict(X, season=3.0), 3 * alone.predict(X))
    assert_array_equal(
        pipe.predict_quantiles(X, 0.4, season=3.0), 3 * alone.predict_quantiles(X, 0.4)
    )
    assert_array_equal(
        pipe.predict_distribution(X, season=3.0).mean(), alone.predict_distribution(3 * X).mean()
    )
    for method in ("decide", "predict"):
        with pytest.raises(TypeError, match="factor"):
            getattr(pipe, method)(X, factor=3.0)


def test_metadata_is_routed_like_that_of_predict(sales):
    X, _ = sales
    alone = SampleAverage(DEAR).fit(X)
    with config_context(enable_metadata_routing=True):
        scaled = Scaled().set_transform_request(factor=True)
        seasonal = Seasonal(DEAR).set_predict_request(season="time_of_year")
        inner = make_decision_pipeline("passthrough", seasonal)
        for last in (seasonal, inner):
            pipe = make_decision_pipeline(scaled, last).fit(X)
            given = {"factor": 2.0, "time_of_year": 3.0}
            assert_array_equal(pipe.decide(X), alone.decide(X))
            assert_array_equal(pipe.decide(X, **given), 3 * alone.decide(2 * X))
            assert_array_equal(
                pipe.decide(X, problem=Newsvendor(), factor=2.0),
                alone.decide(2 * X, problem=Newsvendor()),
            )
            assert_array_equal(
                pipe.predict_quantiles(X, 0.4, **given), 3 * alone.predict_quantiles(2 * X, 0.4)
            )
            assert_array_equal(
                pipe.predict_distribution(X, **given).mean(),
                alone.predict_distribution(6 * X).mean(),
            )
            with pytest.raises(TypeError, match="unexpected argument"):
                pipe.decide(X, colour="red")
        nobody_said = make_decision_pipeline(Scaled(), SampleAverage()).fit(X)
        with pytest.raises(UnsetMetadataPassedError, match="factor"):
            nobody_said.decide(X, factor=2.0)


# ---------------------------------------------------------------- scorers and searches


@pytest.mark.parametrize("metric", ["cost", "regret", "prescriptiveness"])
def test_decision_scorers(sales, metric):
    X, y = sales
    scorer = make_decision_scorer(metric)
    pipe = make_decision_pipeline(FunctionTransformer(doubled), PooledRatio(DEAR)).fit(X)
    alone = PooledRatio(DEAR).fit(2 * X)
    assert scorer(pipe, X, y) == scorer(alone, 2 * X, y)
    assert scorer(make_decision_pipeline(alone), 2 * X, y) == scorer(alone, 2 * X, y)
    assert np.isfinite(cross_val_score(pipe, X, y, cv=2, scoring=scorer)).all()


def test_a_search_finds_what_decides_cheapest(frame, sales):
    y = sales[1]
    pipe = make_decision_pipeline(*_renaming(), SampleAverage(DEAR))
    grid = {
        "columntransformer": [_renaming()[1], "passthrough"],
        "sampleaverage__problem": [
            Newsvendor(underage, 1.0, observations=WEEKS) for underage in (0.1, 9.0)
        ],
    }
    scoring = make_decision_scorer("cost", problem=DEAR)
    search = GridSearchCV(pipe, grid, cv=2, scoring=scoring, error_score="raise").fit(frame, y)
    assert isinstance(search.best_estimator_, DecisionPipeline)
    assert search.best_params_["sampleaverage__problem"].underage == 9.0
    table = _with_plain_names(frame)[WEEKS]
    orders = SampleAverage(DEAR).fit(table).decide(table)
    assert_array_equal(search.best_estimator_.decide(frame), orders)
    assert search.score(frame, y) == pytest.approx(-decision_cost(y, orders, problem=DEAR))


def test_it_is_a_stock_pipeline_to_others():
    pipe = make_decision_pipeline(SampleAverage())
    assert isinstance(pipe, Pipeline)
    assert type(make_pipeline(SampleAverage())) is Pipeline
