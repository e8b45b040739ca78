"""Pairs of prices and demands as columns: names, refusals, ragged, cold and other rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import (
    JamesStein,
    ParametricEmpiricalBayes,
    PerRowDemandCurve,
    PooledDemandCurve,
    SampleAverage,
)
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor, Pricing
from support.pricing import CHECKPOINT, NAMES, PAIRS, PROBLEM, X, pricing_estimators

NAN = np.nan

# ---------------------------------------------------------------- columns


ROWS = X[[0, 1, 3, 4, 6, 7]]
FRAME = pd.DataFrame(
    {
        "product": list("abcdef"),
        "sold_1": ROWS[:, 3],
        "price_1": ROWS[:, 0],
        "sold_2": ROWS[:, 4],
        "price_2": ROWS[:, 1],
        "cost": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0],
        "least": [3.0, 3.0, 4.0, NAN, 2.0, 3.0],
        "next": [5.0, 4.0, NAN, 6.0, 5.0, 5.0],
    }
)
NAMED = {
    "prices": ["price_1", "price_2"],
    "demands": ["sold_1", "sold_2"],
    "unit_cost": "cost",
    "bounds": ("least", 8.0),
    "posted": "next",
}


@pytest.mark.parametrize("name", NAMES)
def test_frames_and_arrays_agree(name):
    polars = pl.DataFrame(FRAME.to_dict("list")).fill_nan(None)
    array = FRAME.drop(columns="product").to_numpy()
    positions = {
        "prices": [1, 3],
        "demands": [0, 2],
        "unit_cost": Column(4),
        "bounds": (Column(5), 8.0),
        "posted": Column(6),
    }
    results = []
    for table, roles in ((FRAME, NAMED), (polars, NAMED), (array, positions)):
        estimator = pricing_estimators(Pricing(**roles))[name].fit(table)
        y = np.arange(6.0)
        results.append([estimator.decide(table), estimator.predict(table)])
        results[-1].append(np.full(6, estimator.score(table, y)))
    for other in results[1:]:
        assert_allclose(other, results[0], rtol=1e-12)
    low = FRAME["least"].fillna(np.sqrt(FRAME["price_1"] * FRAME["price_2"]) / 1.5)
    assert ((results[0][0] >= low - 1e-9) & (results[0][0] <= 8)).all()


def test_costs_and_bounds_of_rows():
    """Demand falls with the square of prices: twice the cost is best."""
    prices = np.array([[3.0, 4.0], [3.0, 4.0], [5.0, 6.0], [4.0, 4.5]])
    table = np.hstack([prices, 900 / prices**2, [[2.0, 9.0], [1.5, 3.5], [3.0, 5.5], [2.0, NAN]]])
    problem = Pricing([0, 1], [2, 3], unit_cost=Column(4), bounds=(3.2, Column(5)))
    found = PerRowDemandCurve(problem).fit(table).decide(table)
    assert_allclose(found, [4.0, 3.2, 5.5, 4.0], atol=0.02)


def test_bounds_that_are_not_given():
    prices = np.array([[2.0, 8.0], [4.0, NAN]])
    table = np.hstack([prices, [[8.0, 2.0], [1.0, NAN]]])
    fitted = PerRowDemandCurve(Pricing([0, 1], [2, 3], posted=None)).fit(table)
    _, info = fitted.decide(table, return_info=True)
    assert_allclose(info.prices[:, 0], [4 / 1.5, 4 / 1.5])
    assert_allclose(info.prices[:, -1], [6, 6])
    _, info = fitted.decide(
        table, problem=Pricing([0, 1], [2, 3], bounds=(1.0, None)), return_info=True
    )
    assert_allclose(info.prices[:, [0, -1]], [[1, 6], [1, 6]])


BAD = np.array([[4.0, 5.0, 3.0, 2.0, 1.0, 6.0], [6.0, 8.0, 4.0, 3.0, 2.0, 7.0]])


def _changed(row, column, value):
    table = BAD.copy()
    table[row, column] = value
    return table


@pytest.mark.parametrize(
    ("match", "changes", "table"),
    [
        (r"^prices must be above 0 and finite; got row 1: 0.0", {}, _changed(1, 0, 0.0)),
        (r"^prices must be above 0 and finite; got row 0: -4.0", {}, _changed(0, 1, -4.0)),
        ("^Input X contains infinity", {}, _changed(0, 1, np.inf)),
        ("^prices must not be missing where demand is not.* row 0: 2.0", {}, _changed(0, 1, NAN)),
        ("demand in X must be at least 0; got row 1: -3.0", {}, _changed(1, 3, -3.0)),
        ("^prices and demands must pair up, .* got 2 columns .* and 1", {"demands": [2]}, BAD),
        ("^prices must list columns of X; got None", {"prices": None}, BAD),
        (r"^prices must list columns of X; got \[\]", {"prices": []}, BAD),
        ("^demands must list columns of X; got 3", {"demands": 3}, BAD),
        ("^demands must list columns of X; got 'ab'", {"demands": "ab"}, BAD),
        ("^prices refers to column 9, but X has n_features = 6", {"prices": [0, 9]}, BAD),
        ("^demands=.* column's name, but X has no", {"demands": ["a", "b"]}, BAD),
        (r"^prices=\[0, 0\] lists a column twice", {"prices": [0, 0]}, BAD),
        (r"^demands=\[2, 2\] includes column 2", {"demands": [2, 2]}, BAD),
        (r"^demands=\[2, 1\] includes column 1", {"demands": [2, 1]}, BAD),
        (r"^demands=\[2, 4\] includes column 4", {"demands": [2, 4], "unit_cost": Column(4)}, BAD),
        (r"^demands=\[2, 4\] includes column 4", {"demands": [2, 4], "posted": Column(4)}, BAD),
        (r"^demands=\[2, 4\].* column 4", {"demands": [2, 4], "bounds": (1.0, Column(4))}, BAD),
        ("^bounds must be a pair", {"bounds": 3.0}, BAD),
        ("^bounds must be a pair", {"bounds": (1.0, 2.0, 3.0)}, BAD),
        ("^bounds must be a pair", {"bounds": "ab"}, BAD),
        (r"^bounds must not cross .*; got .* row 0: \[5. 4.\], row 1", {"bounds": (5.0, 4.0)}, BAD),
        (r"^bounds must not cross.* row 1: \[6.5 2. \] \(1 in", {"bounds": (6.5, Column(4))},
         _changed(0, 4, 9.0)),
        ("^bounds must be above 0 and finite; got row 0: 0.0", {"bounds": (0.0, 4.0)}, BAD),
        ("^bounds must be above 0 and finite; got row 0: -1.0", {"bounds": (-1.0, 4.0)}, BAD),
        ("^bounds must be above 0 and finite; got row 0: inf", {"bounds": (1.0, np.inf)}, BAD),
        ("^bounds must be a number", {"bounds": (True, 4.0)}, BAD),
        ("^bounds refers to column 7", {"bounds": (1.0, Column(7))}, BAD),
        ("^unit_cost must be finite and at least 0; got row 0: -1.0", {"unit_cost": -1.0}, BAD),
        ("^unit_cost must be finite and at least 0; .* row 1: nan", {"unit_cost": Column(4)},
         _changed(1, 4, NAN)),
        ("^unit_cost must be a number", {"unit_cost": None}, BAD),
        ("^posted must be above 0 and finite; got row 1: 0.0", {"posted": Column(5)},
         _changed(1, 5, 0.0)),
        ("^posted must be a number", {"posted": [1.0, 2.0]}, BAD),
    ],
)  # fmt: skip
def test_refusals(match, changes, table):
    problem = Pricing(**{"prices": [0, 1], "demands": [2, 3], **changes})
    with pytest.raises(ValueError, match=match):
        PerRowDemandCurve(problem).fit(table)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("price", "match"),
    [
        (np.ones(23), r"^price must be a number or of shape \(24,\), one a row; got shape \(23,\)"),
        (np.ones((24, 1)), r"^price must be .* got shape \(24, 1\)"),
        (0.0, "^price must be above 0 and finite; got row 0: 0.0"),
        (-1, "^price must be above 0 and finite; got row 0: -1.0"),
        (np.r_[np.ones(23), NAN], r"^price must be above 0 .* row 23: nan \(1 in all\)"),
        (np.inf, "^price must be above 0 and finite; got row 0: inf"),
        ("cheap", "^price must be a number or .* got 'cheap'"),
        ([[1.0], [2.0, 3.0]], "^price must be a number or "),
    ],
)
def test_refused_prices_of_predict_distribution(name, price, match):
    estimator = pricing_estimators()[name].fit(X)
    with pytest.raises(ValueError, match=match):
        estimator.predict_distribution(X, price=price)


def test_what_prices_rule_out():
    estimator = PooledDemandCurve(PROBLEM).fit(X)
    with pytest.raises(ValueError, match=r"^horizon must be 1 for demand at prices; got 2"):
        estimator.predict(X, horizon=2)
    with pytest.raises(ValueError, match=r"^of_mean must be False for demand at prices"):
        estimator.predict_distribution(X, of_mean=True)
    with pytest.raises(ValueError, match=r"^price must be None for Newsvendor"):
        SampleAverage(Newsvendor()).fit(X).predict_distribution(X, price=2.0)
    with pytest.raises(ValueError, match=r"cannot be charged in hindsight"):
        decision_cost(np.ones(24), np.ones(24), problem=PROBLEM, X=X)


# ---------------------------------------------------------------- ragged and cold rows


@pytest.mark.parametrize("name", NAMES)
def test_pairs_without_demand_say_nothing(name):
    other = X.copy()
    missing = np.isnan(X[:, 3:])
    other[:, :3][missing] = NAN
    other[-1, :3] = 5.0  # a price at which nothing was seen
    problem = Pricing(**PAIRS, bounds=(2.5, 9.0))
    estimator = pricing_estimators(problem)[name]
    decided = [clone(estimator).fit(table).decide(table) for table in (X, other)]
    assert_array_equal(*decided)
    wider = np.hstack([np.full((24, 1), 4.0), X[:, :3], np.full((24, 1), NAN), X[:, 3:]])
    more = Pricing([0, 1, 2, 3], [4, 5, 6, 7], bounds=(2.5, 9.0))
    again = pricing_estimators(more)[name].fit(wider).decide(wider)
    assert_allclose(again, decided[0], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_cold_rows(name):
    estimator = pricing_estimators(Pricing(**PAIRS))[name].fit(X)
    assert np.isfinite(estimator.predict(X)[-1])
    with pytest.raises(
        ValueError, match=r"^bounds must be given for rows without .* row 23: no low"
    ):
        estimator.decide(X)
    prices, info = estimator.decide(X, problem=PROBLEM, return_info=True)
    assert 2.5 <= prices[-1] <= 9
    assert info.expected_profit[-1] > 0
    assert_array_equal(estimator.decide(X[-1:], problem=PROBLEM), prices[-1:])
    table = np.column_stack([X, np.full(24, 6.0)])
    posted = pricing_estimators(Pricing(**PAIRS, posted=Column(6)))[name].fit(table)
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [4, 9])  # around the posted price
    assert np.isnan(X[-1]).all()
    table[-1, [0, 2]] = [2.0, 4.5]  # prices at which nobody counted: 3 is usual
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [2, 4.5])
    table[-1, 3] = 7.0  # now only the first of them counts
    _, info = posted.decide(table, return_info=True)
    assert_allclose(info.prices[-1, [0, -1]], [2 / 1.5, 3])


def test_a_table_without_a_pair_is_refused():
    for estimator in pricing_estimators().values():
        with pytest.raises(ValueError, match="no observation at all"):
            estimator.fit(np.where(np.arange(6) < 3, X, NAN))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["zeros", "one_price", "one_row", "one_pair", "large", "equal"])
def test_odd_tables(name, case):
    table = X[:-1].copy()
    if case == "zeros":
        table[:, 3:] = 0
    if case == "one_price":
        table[:, :3] = 5.0
    if case == "one_row":
        table = table[:1]
    if case == "one_pair":
        table[:, 3:5] = NAN
    if case == "large":
        table[:, :3] *= 1e-6
        table[:, 3:] *= 1e9
    if case == "equal":
        table = np.tile(table[:1], (5, 1))
    estimator = pricing_estimators(Pricing(**PAIRS, unit_cost=0.0))[name].fit(table)
    prices, info = estimator.decide(table, return_info=True)
    usual = np.exp(np.nanmean(np.log(np.where(np.isnan(table[:, 3:]), NAN, table[:, :3])), axis=1))
    assert (prices >= usual / 1.5 * (1 - 1e-9)).all()
    assert (prices <= usual * 1.5 * (1 + 1e-9)).all()
    for key in ("expected_profit", "elasticity", "mean", "profits"):
        assert np.isfinite(info[key]).all()
    if case == "equal":
        assert len(set(prices)) == 1
    if case == "zeros" and name != "network":
        assert_allclose(info.mean, 0, atol=1e-8)


# ---------------------------------------------------------------- other problems


@pytest.mark.parametrize("name", NAMES)
def test_other_costs_and_bounds_need_no_refit(name):
    table = np.column_stack([X, np.linspace(1, 4, 24)])
    other = Pricing(**PAIRS, unit_cost=Column(6), bounds=(4.0, 6.5), posted=3.5)
    one = pricing_estimators(Pricing(**PAIRS, bounds=(3.0, 9.0)))[name].fit(table)
    two = pricing_estimators(other)[name].fit(table)
    assert_array_equal(one.decide(table, problem=other), two.decide(table))


@pytest.mark.parametrize("name", NAMES)
def test_dearer_units_are_not_sold_cheaper(name):
    estimator = pricing_estimators()[name].fit(X)
    prices = [
        estimator.decide(X, problem=Pricing(**PAIRS, unit_cost=cost, bounds=(2.0, 9.0)))
        for cost in (0.0, 1.0, 2.0, 4.0, 8.0)
    ]
    assert (np.diff(prices, axis=0) >= -7 / 200).all()
    assert prices[-1].mean() > prices[0].mean() + 0.5


@pytest.mark.parametrize("name", NAMES)
def test_problems_of_other_pairs_are_refused(name):
    estimator = pricing_estimators()[name].fit(X)
    for changes, what in (
        ({"prices": [1, 0, 2]}, "other columns of prices"),
        ({"demands": [4, 3, 5]}, "other columns of demand"),
        ({"prices": [0, 1], "demands": [3, 4]}, "other columns of demand"),
    ):
        with pytest.raises(ValueError, match=f"^problem=.* {what} than fit did"):
            estimator.decide(X, problem=Pricing(**{**PAIRS, **changes}, bounds=(2.0, 9.0)))
    with pytest.raises(ValueError, match=r"^problem=Newsvendor.* cannot be decided after a fit"):
        estimator.decide(X, problem=Newsvendor())
    demand = SampleAverage(Newsvendor(observations=[3, 4, 5])).fit(X)
    with pytest.raises(ValueError, match="cannot be decided after a fit with Newsvendor"):
        demand.decide(X, problem=PROBLEM)


@pytest.mark.parametrize("kind", [SampleAverage, JamesStein, ParametricEmpiricalBayes])
def test_laws_that_know_no_prices_are_refused(kind):
    with pytest.raises(ValueError, match=f"^problem must have no prices for {kind.__name__}"):
        kind(PROBLEM).fit(X)


def test_weights_for_other_problems_are_refused():
    for problem, checkpoint in ((PROBLEM, "demand"), (PROBLEM, "gaussian"), (None, CHECKPOINT)):
        estimator = PretrainedDecisionTransformer(problem, checkpoint=checkpoint, finetune=None)
        with pytest.raises(ValueError, match=r"^a network of .* cannot decide a problem that has"):
            estimator.fit(X)
