"""Prices where stock capped demand: what decisions make of it, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.baselines import PooledDemandCurve
from sklearn_pttf.problems import Pricing
from support.pricing import CHECKPOINT, capped_rows, pricing_estimators

NAN = np.nan
N_PRICES = 6
PRICES, DEMAND, STOCK = capped_rows()
SALES = np.minimum(DEMAND, STOCK)
COLUMNS = {"prices": list(range(6)), "demands": list(range(6, 12))}
GIVEN = {**COLUMNS, "unit_cost": 3.0, "bounds": (2.0, 20.0)}
STOCKED = Pricing(**GIVEN, stock=list(range(12, 18)))
PLAIN = Pricing(**GIVEN)
NEGATIVE = np.where(np.arange(720).reshape(-1, 6) == 7, -1.0, STOCK)
NAMES = list(pricing_estimators())


def table(demand=SALES, stock=STOCK, rows=slice(None)):
    return np.hstack([PRICES, demand, stock])[rows]


def test_elasticity_is_that_of_full_demand():
    """Sales that are taken for demand, or left out, make demand look half as steep."""
    cases = {
        "full": (PLAIN, DEMAND),
        "stock": (STOCKED, SALES),
        "as sold": (PLAIN, SALES),
        "left out": (PLAIN, np.where(SALES >= STOCK, NAN, SALES)),
    }
    found = {
        name: PooledDemandCurve(problem).fit(table(demand))
        for name, (problem, demand) in cases.items()
    }
    elasticity = {name: each.elasticity_ for name, each in found.items()}
    prices = {name: each.decide(table(cases[name][1])).mean() for name, each in found.items()}
    assert elasticity["stock"] == pytest.approx(elasticity["full"], rel=0.06)
    assert prices["stock"] == pytest.approx(prices["full"], rel=0.04)
    for name in ("as sold", "left out"):
        assert elasticity[name] < 0.75 * elasticity["full"]
        assert prices[name] > 1.15 * prices["full"]
    mean = found["stock"].predict(table()).mean()
    assert mean == pytest.approx(found["full"].predict(table(DEMAND)).mean(), rel=0.04)
    assert found["as sold"].predict(table()).mean() < 0.85 * mean


def test_flags_do_nearly_as_well():
    flags = SALES >= STOCK
    found = PooledDemandCurve(Pricing(**GIVEN, sold_out=list(range(12, 18)))).fit(
        table(stock=flags)
    )
    full = PooledDemandCurve(PLAIN).fit(table(DEMAND))
    assert found.elasticity_ == pytest.approx(full.elasticity_, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_stock_that_caps_nothing_changes_nothing(name):
    rows = slice(12)
    told = pricing_estimators(STOCKED)[name].fit(table(DEMAND, DEMAND + 1, rows))
    plain = pricing_estimators(PLAIN)[name].fit(table(DEMAND, DEMAND + 1, rows))
    X = table(DEMAND, np.where(DEMAND > 50, np.inf, NAN), rows)
    assert_array_equal(told.decide(X), plain.decide(X))
    assert told.score(X) == plain.score(X)
    assert_array_equal(told.predict_quantiles(X, 0.9), plain.predict_quantiles(X, 0.9))


@pytest.mark.parametrize("name", NAMES)
def test_all_estimators_read_demand_beyond_caps(name):
    """As if the table held it."""
    told = pricing_estimators(STOCKED)[name].fit(table(rows=slice(40)))
    demand = told._capped_demand.completed(STOCKED.read(table())).observations
    assert (demand[SALES >= STOCK] >= SALES[SALES >= STOCK]).all()
    plain = pricing_estimators(PLAIN)[name].fit(table(demand, rows=slice(40)))
    for rows in (slice(20), slice(40, 60)):
        assert_allclose(told.decide(table(rows=rows)), plain.decide(table(demand, rows=rows)))
    assert told.score(table()) == pytest.approx(plain.score(table(demand)))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_decided_alike_alone_and_together(name):
    found = pricing_estimators(STOCKED)[name].fit(table(rows=slice(30)))
    X = table(rows=slice(60))
    X[3, 6:12] = NAN  # no demand
    X[4, 12:] = NAN  # enough
    X[5, 7:12] = NAN
    X[6] = NAN
    X[7, [6, 12]] = 0.0  # nothing to sell: no observation
    together = found.decide(X)
    assert np.isfinite(together).all()
    alone = np.concatenate([found.decide(row[None]) for row in X[:9]])
    assert_allclose(together[:9], alone, rtol=1e-7)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(found.decide(X[order]), together[order], rtol=1e-7)
    without = X[7].copy()
    without[[6, 12]] = NAN
    assert_allclose(found.decide(without[None]), together[7], rtol=1e-7)


def test_stock_stays_as_fitted():
    found = PooledDemandCurve(STOCKED).fit(table(rows=slice(30)))
    X = table(rows=slice(30))
    dearer = Pricing(**{**GIVEN, "unit_cost": 4.0})
    told = Pricing(**{**GIVEN, "unit_cost": 4.0}, stock=list(range(12, 18)))
    assert_array_equal(found.decide(X, problem=dearer), found.decide(X, problem=told))
    assert (found.decide(X, problem=dearer) > found.decide(X)).all()
    other = Pricing(**GIVEN, stock=list(range(17, 11, -1)))
    with pytest.raises(ValueError, match="stock stays as fitted"):
        found.decide(X, problem=other)
    plain = PooledDemandCurve(PLAIN).fit(X)
    with pytest.raises(ValueError, match="stock stays as fitted, None"):
        plain.decide(X, problem=STOCKED)


@pytest.mark.parametrize(
    ("problem", "change", "message"),
    [
        (
            STOCKED,
            {"stock": NEGATIVE},
            "stock must be at least 0",
        ),
        (STOCKED, {"stock": STOCK - SALES}, "stock must be what could be sold at most"),
        (Pricing(**GIVEN, stock=list(range(12, 17))), {}, "a column for each of the 6 columns"),
        (Pricing(**GIVEN, stock=list(range(6))), {}, "stock=.* includes column 0 of prices"),
        (Pricing(**GIVEN, stock=list(range(6, 12))), {}, "plays another role"),
        (Pricing(**GIVEN, stock=[12] * 6), {}, "stock lists column 12 twice"),
        (Pricing(**GIVEN, stock=13.0), {}, "stock must be a list of columns"),
        (Pricing(**GIVEN, sold_out=list(range(12, 18))), {}, "sold_out must be True or False"),
        (
            Pricing(**GIVEN, stock=[12], sold_out=[13]),
            {},
            "stock and sold_out must not both be given",
        ),
    ],
)
def test_what_is_no_stock_is_refused(problem, change, message):
    with pytest.raises(ValueError, match=message):
        PooledDemandCurve(problem).fit(table(**change))


def test_columns_of_data_frames_and_whole_numbers():
    prices, demand, stock = capped_rows(n_rows=20, n=3, whole=True)
    sales = np.minimum(demand, stock)
    columns = [f"{kind}_{k}" for kind in ("price", "lag", "stock") for k in (3, 2, 1)]
    X = pd.DataFrame(np.hstack([prices, sales, stock]), columns=columns)
    problem = Pricing(columns[:3], columns[3:6], unit_cost=1.0, stock=columns[6:])
    network = pricing_estimators(problem, checkpoint=CHECKPOINT)["network"].fit(X)
    assert network.integer_
    assert np.isfinite(network.decide(X)).all()
    assert (network.predict_quantiles(X, 0.5) % 1 == 0).all()
