"""The command line: products are decided from what they are, those without sales too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import main
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Newsvendor, Replenishment
from support.command import COSTS, FAST, RECORDS, read_orders, refused, run_decide

WEEKS = list("12345")
OF_INFO = ["--info", "products.csv", "--attributes", "kind", "size"]
CARRIED = ["--lead-time", "1", "--shortage", "9", "--holding", "1"]


@pytest.fixture
def kinds():
    """Sales of 30 products over five weeks, of two kinds; two more have none yet."""
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(32) % 2, "small", "large")
    means = np.where(kind == "large", 40.0, 4.0) * np.exp(0.2 * rng.standard_normal(32))
    X = pd.DataFrame(rng.poisson(means[:, None], size=(32, 5)), columns=range(1, 6))
    X.index = pd.Index([f"p{k:02d}" for k in range(32)], name="sku")
    long = X[:30].stack().rename("units").rename_axis(["sku", "date"]).reset_index()
    long.to_csv("sales.csv", index=False)
    info = pd.DataFrame({"sku": X.index, "kind": kind, "size": np.where(means > 12, 9.5, np.nan)})
    info = info.assign(there=np.arange(32) % 4)
    info.to_csv("products.csv", index=False)
    table = X.astype(float).rename(columns=str).join(info.set_index("sku"))
    table.loc[["p30", "p31"], WEEKS] = np.nan
    return table


def decided(table, problem):
    return PretrainedDecisionTransformer(problem, finetune=None).fit(table).decide(table)


def test_products_without_sales_are_decided(kinds, capsys):
    assert run_decide(*OF_INFO, "--unordered", *COSTS, *FAST) == 0
    orders = read_orders()
    assert orders.index.tolist() == kinds.index.tolist()
    assert orders.loc["p30", "level"] > 5 * orders.loc["p31", "level"] > 0
    note = "note: 2 instances of products.csv have no sales in sales.csv; they are decided from"
    assert note in capsys.readouterr().err
    problem = Newsvendor(4.0, 1.0, observations=WEEKS, attributes=["kind", "size"])
    assert_array_equal(orders["level"], decided(kinds, problem))


def test_products_without_sales_are_ordered_for(kinds, capsys):
    told = [*OF_INFO, *CARRIED, "--on-hand", "there", "--unordered", *FAST, "--out", "orders.csv"]
    assert main(["replenish", "sales.csv", *RECORDS, *told]) == 0
    orders = read_orders()
    assert orders.index.tolist() == kinds.index.tolist()
    assert orders.loc["p30", "order"] > 5 * orders.loc["p31", "order"] > 0
    assert "they are decided from their attributes" in capsys.readouterr().err
    problem = Replenishment(
        9.0, 1.0, lead_time=1, on_hand="there", observations=WEEKS, attributes=["kind", "size"]
    )
    assert_array_equal(orders["order"], decided(kinds, problem))


@pytest.mark.parametrize("carried", [False, True])
def test_a_backtest_reads_attributes(kinds, capsys, carried):
    # the first sales of two products are of the newest two weeks
    sales = pd.read_csv("sales.csv")
    late = sales["sku"].isin(["p28", "p29"]) & (sales["date"] < 4)
    sales[~late].to_csv("sales.csv", index=False)
    kinds.loc[["p28", "p29"], WEEKS[:3]] = np.nan
    told = [*OF_INFO, "--origins", "2", "--offered", "own", *(CARRIED if carried else COSTS)]
    assert main(["backtest", "sales.csv", *RECORDS, *told, "--out", "cells.csv"]) == 0
    err = capsys.readouterr().err
    assert err.count("2 instances of products.csv have no sales in sales.csv and are left out") == 1
    cells = pd.read_csv("cells.csv").query("method == 'estimator'")
    found = cells.pivot(index="sku", columns="date", values="decision")
    roles = {"ordered": True, "observations": WEEKS, "attributes": ["kind", "size"]}
    problem = Newsvendor(4.0, 1.0, **roles, seasons="auto")
    if carried:
        problem = Replenishment(9.0, 1.0, lead_time=1, **roles, seasons="auto")
    pdt = PretrainedDecisionTransformer(problem, finetune=None, random_state=0)
    result = backtest(pdt, kinds[:30], origins=2, random_state=0)
    assert_allclose(found, result.decision[0])
    first = found.iloc[:, 0]  # of these nothing was known
    assert first["p28"] > 4 * first["p29"]


def test_launches_have_the_drivers_that_all_have(kinds, capsys):
    sales = pd.read_csv("sales.csv")
    promo = np.array([0, 1, 0, 0, 1, 1])
    sales["units"] *= 1 + 2 * promo[sales["date"] - 1]
    sales.to_csv("sales.csv", index=False)
    pd.DataFrame({"date": range(1, 7), "promo": promo}).to_csv("plan.csv", index=False)
    told = [*OF_INFO, *COSTS, *FAST, "--drivers", "promo", "--future"]
    assert run_decide(*told, "plan.csv") == 0
    promoted = read_orders()["mean"]
    pd.DataFrame({"date": range(1, 7), "promo": [*promo[:5], 0]}).to_csv("none.csv", index=False)
    assert run_decide(*told, "none.csv") == 0
    factor = promoted / read_orders()["mean"]
    assert_allclose(factor[["p30", "p31"]], 3, rtol=0.1)


def test_attributes_need_info(kinds, capsys):
    text = "--attributes are columns of --info; got kind without it"
    assert text in refused(capsys, "--attributes", "kind", *COSTS, *FAST)
    for command, given in (("replenish", CARRIED), ("backtest", COSTS)):
        told = ["--attributes", "kind", *given, "--out", "orders.csv"]
        assert main([command, "sales.csv", *RECORDS, *told]) == 2
        assert text in capsys.readouterr().err
    given = "--info products.csv --attributes colour"
    assert run_decide(*given.split(), *COSTS, *FAST) == 2
    assert "products.csv has no column 'colour' (--attributes)" in capsys.readouterr().err
    assert not Path("orders.csv").exists()
