"""Columns that tell what rows are: used where they tell, harmless where they do not."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.finetune._choice import not_tried
from sklearn_pttf.inspection import AttributeEffect
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Newsvendor, Replenishment
from support.frames import to_polars

WEEKS = ["w1", "w2", "w3", "w4"]
MEANS = {"screws": 55.0, "tools": 3.0}  # geometric ones of rows
SPREAD = 0.3  # of log levels within a kind


def newsvendor(**more):
    return Newsvendor(9.0, 1.0, observations=WEEKS, **more)


def fitted(X, problem):
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu").fit(X)


def sales(rng, kinds):
    """Poisson sales of rows; log levels of a kind are normal quantiles, in random order."""
    kinds, means = np.array(kinds), np.empty(len(kinds))
    for kind, mean in MEANS.items():
        own = np.flatnonzero(kinds == kind)
        scores = stats.norm.ppf((np.arange(len(own)) + 0.5) / len(own))
        means[own] = mean * np.exp(SPREAD * rng.permutation(scores))
    return pd.DataFrame(rng.poisson(means[:, None], size=(len(kinds), 4)), columns=WEEKS)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    kinds = np.array(["screws", "tools"])[rng.integers(2, size=120)]
    return sales(rng, kinds).assign(kind=kinds)


@pytest.fixture(scope="module")
def estimator(table):
    return fitted(table, newsvendor(attributes=["kind"]))


def new_rows(kinds):
    return pd.DataFrame(np.nan, index=range(len(kinds)), columns=WEEKS).assign(kind=kinds)


def test_new_rows_are_decided_from_their_kind(estimator):
    orders = estimator.decide(new_rows(["screws", "tools"]))
    rng = np.random.default_rng(1)
    own = np.exp(SPREAD * rng.standard_normal(20_000))
    for order, mean in zip(orders, MEANS.values(), strict=True):
        demand = rng.poisson(mean * own)

        def cost(order, demand=demand):
            return np.where(demand > order, 9 * (demand - order), order - demand).mean()

        assert cost(order) < 1.05 * cost(np.quantile(demand, 0.9))


def test_kinds_that_fit_did_not_see_are_uncertain(estimator):
    low, high = estimator.predict_quantiles(new_rows(["toys", None]), [0.1, 0.9]).T
    known = estimator.predict_quantiles(new_rows(["screws", "tools"]), [0.1, 0.9])
    assert low[0] == low[1]  # not seen, and missing
    assert low[0] < 1.2 * known[1, 0]
    assert high[0] > 0.8 * known[0, 1]


def test_effects_are_told(estimator, table):
    (told,) = estimator.attribute_effects_
    assert isinstance(told, AttributeEffect)
    assert (told.name, told.levels) == ("kind", ("screws", "tools"))
    np.testing.assert_allclose(told.effects[0] - told.effects[1], np.log(55 / 3), atol=0.1)
    np.testing.assert_allclose(told.standard_errors[0], SPREAD / np.sqrt(60), rtol=0.2)


def test_pickled_and_by_the_row(estimator, table):
    again = pickle.loads(pickle.dumps(estimator))
    some = pd.concat([table.iloc[:5], new_rows(["tools", "toys"])])
    orders = estimator.decide(some)
    np.testing.assert_array_equal(again.decide(some), orders)
    by_row = [estimator.decide(some.iloc[[k]]).iloc[0] for k in range(len(some))]
    np.testing.assert_array_equal(by_row, orders)


def test_labels_that_tell_nothing_change_nothing(table):
    rng = np.random.default_rng(2)
    X = table.assign(code=rng.permutation(len(table)), flag=rng.integers(2, size=len(table)))
    X["label"] = [f"item {k}" for k in range(len(X))]
    told = fitted(X, newsvendor(attributes=["code", "flag", "label"]))
    assert told.attribute_effects_ == ()
    plain = fitted(X, newsvendor())
    np.testing.assert_array_equal(told.decide(X), plain.decide(X))


def test_positions_numbers_and_arrays(estimator, table):
    size = np.where(table["kind"] == "screws", 20.0, 2.0)
    X = np.column_stack([table[WEEKS].to_numpy(dtype=float), size])
    by_position = Newsvendor(9.0, 1.0, attributes=[Column(4)])
    new = np.array([[np.nan] * 4 + [20.0], [np.nan] * 4 + [2.0]])
    orders = fitted(X, by_position).decide(new)
    named = estimator.decide(new_rows(["screws", "tools"]))
    np.testing.assert_allclose(orders, named, rtol=0.05, atol=1)


def test_other_problems_keep_the_attributes_of_fit(estimator):
    X = new_rows(["screws", "tools"])
    orders = estimator.decide(X, problem=Newsvendor(9.0, 1.0))
    np.testing.assert_array_equal(orders, estimator.decide(X))
    with pytest.raises(ValueError, match=r"attributes stay as fitted, \['kind'\].* got \[\]"):
        estimator.decide(X, problem=newsvendor(attributes=[]))


def test_amounts_follow_their_unit(table):
    X = table.assign(**{week: table[week] + 0.5 for week in WEEKS})
    larger = X.assign(**{week: 8 * X[week] + 0.01 for week in WEEKS})
    new = new_rows(["screws", "tools", "toys"])
    orders = [fitted(each, newsvendor(attributes=["kind"])).decide(new) for each in (X, larger)]
    np.testing.assert_allclose(8 * orders[0], orders[1], rtol=2e-3)


def test_counts_over_an_exposure(table):
    problem = newsvendor(exposure="days", attributes=["kind"])
    X = table.assign(days=2.0)
    found = fitted(X, problem)
    assert found.checkpoint_.card["name"] == "poisson"
    new = new_rows(["screws", "tools"]).assign(days=[2.0, 4.0])
    means = found.predict(new)
    np.testing.assert_allclose(means, [55 * np.exp(0.045), 2 * 3 * np.exp(0.045)], rtol=0.12)
    of_mean = found.predict_distribution(new, of_mean=True).mean()
    np.testing.assert_allclose(of_mean, means / [2.0, 4.0], rtol=0.02)


def test_in_the_order_of_time(table):
    rng = np.random.default_rng(3)
    rising = np.array([0.5, 0.8, 1.25, 2.0])
    X = table.assign(
        **dict(
            zip(
                WEEKS,
                rng.poisson(table[WEEKS].mean(axis=1).to_numpy()[:, None] * rising).T,
                strict=True,
            )
        )
    )
    problem = newsvendor(ordered=True, attributes=["kind"])
    found = fitted(X, problem)
    means = found.predict(new_rows(["screws", "tools"]))
    assert 13 < means[0] / means[1] < 24  # 55 / 3 is 18


def test_stock_that_is_carried_over(table):
    problem = Replenishment(
        lead_time=1, shortage=9.0, holding=1.0, observations=WEEKS, attributes=["kind"]
    )
    orders = fitted(table, problem).decide(new_rows(["screws", "tools"]))
    assert orders[0] > 8 * orders[1] > 0


def test_backtests_take_labels_in_any_table(table):
    def stock_of(observations, attributes):
        roles = {"ordered": True, "observations": observations, "attributes": attributes}
        problem = Replenishment(9.0, 1.0, lead_time=1, **roles)
        return PretrainedDecisionTransformer(problem, finetune=None)

    def decisions(estimator, X):
        return backtest(estimator, X, origins=1, baselines={}).decision[0, :, 0]

    table, named = table[:40].copy(), stock_of(WEEKS, ["kind"])
    new = [table["kind"].tolist().index(kind) for kind in ("screws", "tools")]
    table.loc[new, WEEKS[:2]] = np.nan  # launched after the origin
    orders = decisions(named, table)
    assert orders[new[0]] > 8 * orders[new[1]] > 0
    assert_array_equal(decisions(named, to_polars(table)), orders)
    cells = table[["kind", *WEEKS]].to_numpy(dtype=object)
    assert_array_equal(decisions(stock_of([1, 2, 3, 4], [0]), cells), orders)


def test_horizons_and_scores(estimator, table):
    totals = estimator.predict(new_rows(["screws", "tools"]), horizon=2)
    np.testing.assert_allclose(
        totals, 2 * estimator.predict(new_rows(["screws", "tools"])), rtol=1e-6
    )
    assert estimator.score(table) > 0


def test_baselines_leave_attributes_alone(table):
    orders = SampleAverage(newsvendor(attributes=["kind"])).fit(table).decide(table)
    np.testing.assert_array_equal(orders, table[WEEKS].max(axis=1))


@pytest.mark.parametrize("attributes", [None, ["kind"]])
def test_finetuning_chooses_no_baseline_that_forgets_attributes(table, monkeypatch, attributes):
    tried = []

    def guarded(task):
        tried.append(task.strategy.baselines)
        return not_tried("baselines are all that is looked at")

    monkeypatch.setattr("sklearn_pttf._estimator.finetune_guarded", guarded)
    asked, settled = HeadFinetune(), ("auto", HeadFinetune(baselines=False))
    pdt = PretrainedDecisionTransformer(newsvendor(attributes=attributes), device="cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for strategy in (asked, *settled):
            pdt.set_params(finetune=strategy).fit(table[:40])
    if attributes is None:
        assert tried == [True, True, False]
        assert not caught
    else:
        assert tried == [False, False, False]
        (told,) = caught
        assert "baselines=True of HeadFinetune is not in use" in str(told.message)
        assert told.filename == __file__
    assert asked.baselines


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("kind", "attributes must be a list of columns, or None; got 'kind'"),
        (["kind", "kind"], "attributes lists column 'kind' twice"),
        (["colour"], "attributes='colour' is no column of X"),
        ([9], "attributes refers to column 9"),
        (["w1"], "includes column 0, which plays another role"),
        (["size"], "attributes must be finite numbers; 'size' has infinite ones"),
    ],
)
def test_bad_attributes(table, attributes, message):
    X = table.assign(size=np.inf)
    with pytest.raises(ValueError, match=message):
        SampleAverage(newsvendor(attributes=attributes)).fit(X)


@pytest.mark.parametrize("empty", [np.nan, None, ""])
def test_an_attribute_that_is_missing_everywhere(table, empty):
    X = table.assign(colour=pd.Series([empty] * len(table), dtype=object))
    with pytest.warns(UserWarning, match="attributes: 'colour' is missing in all rows"):
        SampleAverage(newsvendor(attributes=["colour"])).fit(X)


def test_no_effects_without_attributes(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fitted(table, newsvendor())
    with pytest.raises(AttributeError, match="has no attribute_effects_ unless"):
        found.attribute_effects_  # noqa: B018


def test_frames_of_categories_and_flags(estimator, table):
    X = table.assign(kind=table["kind"].astype("category"), heavy=table["kind"] == "screws")
    found = fitted(X, newsvendor(attributes=["heavy", "kind"]))
    assert found.attribute_effects_[0].gain > 50  # and the other tells the same
    assert len(found.attribute_effects_) == 1
    (kind,) = estimator.attribute_effects_
    assert abs(found.attribute_effects_[0].gain - kind.gain) < 0.1 * kind.gain


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_nullable_numbers_of_a_frame_may_be_missing(dtype):
    X = pd.DataFrame({"w1": [1.0, 2, 3], "k": pd.array([1, None, 0], dtype=dtype)})
    problem = Newsvendor(observations=["w1"], attributes=["k"])
    assert_array_equal(problem.read(X, list(X.columns)).attributes["k"], [1.0, np.nan, 0.0])


@pytest.mark.parametrize("ordered", [False, True])
def test_effects_are_of_demand_where_stock_capped_one_kind(table, ordered):
    is_capped = (table["kind"] == "screws").to_numpy()[:, None]
    level = table[WEEKS].mean(axis=1).to_numpy()[:, None]
    stock = np.where(is_capped, np.rint(0.9 * level), np.nan) * np.ones((1, 4))
    shelves = [f"s{k}" for k in range(4)]
    short = table.assign(**dict(zip(shelves, stock.T, strict=True)))
    short[WEEKS] = np.fmin(table[WEEKS], stock)

    def effect(X, **more):
        found = fitted(X, newsvendor(attributes=["kind"], ordered=ordered, **more))
        return found.attribute_effects_[0].effects[0]

    wanted = effect(table)
    assert_allclose(effect(short, stock=shelves), wanted, atol=0.03)
    assert effect(short[[*WEEKS, "kind"]]) < wanted - 0.05


@pytest.mark.parametrize(
    ("at_fit", "later"),
    [
        (["101234567", "b"], 101234567),  # all that are new may be numbers
        ([1.0, "b"], 1),
        (["1", "b"], 1.0),
        ([True, False], "True"),
        ([1, 0], "1"),
    ],
)
def test_a_label_is_the_same_in_any_type(table, at_fit, later):
    screws, tools = at_fit
    kinds = pd.Series([screws if kind == "screws" else tools for kind in table["kind"]])
    estimator = fitted(table.assign(kind=kinds), newsvendor(attributes=["kind"]))
    new = table[:1].assign(**dict.fromkeys(WEEKS, np.nan), kind=later)
    assert_allclose(estimator.predict(new), 57, atol=4)  # 55 by geometric mean; tools have 3


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_rows_that_sold_nothing_have_no_effects(table):
    nothing = table.assign(**dict.fromkeys(WEEKS, 0.0))
    assert fitted(nothing, newsvendor(attributes=["kind"])).attribute_effects_ == ()
