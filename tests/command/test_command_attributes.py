"""The command line: products that have no sales yet are decided from what they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Newsvendor
from support.command import COSTS, FAST, read_orders, run_decide


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
    info.to_csv("products.csv", index=False)
    return X, info.set_index("sku")


def test_products_without_sales_are_decided(kinds, capsys):
    X, info = kinds
    given = "--info products.csv --attributes kind size --unordered"
    assert run_decide(*given.split(), *COSTS, *FAST) == 0
    orders = read_orders()
    assert orders.index.tolist() == X.index.tolist()
    assert orders.loc["p30", "level"] > 5 * orders.loc["p31", "level"] > 0
    note = "note: 2 instances of products.csv have no sales in sales.csv; they are decided from"
    assert note in capsys.readouterr().err
    table = X.astype(float).rename(columns=str).join(info)
    table.loc[["p30", "p31"], list("12345")] = np.nan
    problem = Newsvendor(4.0, 1.0, observations=list("12345"), attributes=["kind", "size"])
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    assert_array_equal(orders["level"], pdt.decide(table))


def test_attributes_need_info(kinds, capsys):
    assert run_decide("--attributes", "kind", *COSTS, *FAST) == 2
    assert "--attributes are columns of --info; got kind without it" in capsys.readouterr().err
    given = "--info products.csv --attributes colour"
    assert run_decide(*given.split(), *COSTS, *FAST) == 2
    assert "products.csv has no column 'colour' (--attributes)" in capsys.readouterr().err
    assert not Path("orders.csv").exists()
