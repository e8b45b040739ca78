"""The command line: problems, finetuning, and what is saved."""

import re
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._command import _decide
from sklearn_pttf.problems import Newsvendor, order_quantity
from support.command import COSTS, DAYS, FAST, SMALL, read_orders, refused, run_decide

NAN = np.nan
IN_TIME = {"ordered": True, "seasons": "auto"}  # as tables with --time are read

# ---------------------------------------------------------------- problems


def test_costs_by_column_and_stock(sales, capsys):
    X, info = sales
    given = "--info products.csv --underage margin --overage loss --upper most --horizon 3"
    stock = "--on-hand stock --on-order coming --pack packs --minimum 4"
    assert run_decide(*given.split(), *stock.split(), *FAST) == 0
    problem = Newsvendor("margin", "loss", upper="most", horizon=3, observations=list(X), **IN_TIME)
    table = X.join(info)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    level, found = pdt.decide(table, return_info=True)
    orders = read_orders()
    assert_array_equal(orders["level"], level)
    assert_allclose(orders["expected_cost"], found.expected_cost, rtol=1e-9)
    assert_array_equal(orders["p90"], pdt.predict_quantiles(table, 0.9, horizon=3)[:, 0])
    expected = order_quantity(level, info["stock"], info["coming"], info["packs"], 4)
    assert_array_equal(orders["order"], expected)
    assert orders.columns.tolist()[:3] == ["level", "order", "mean"]
    out = capsys.readouterr().out
    assert f"order {expected.sum():.0f} of {(expected > 0).sum()} instances\n" in out
    assert "over 3 periods" in out


def test_service_level(sales):
    X, _ = sales
    assert run_decide("--service-level", "0.95", *FAST) == 0
    problem = Newsvendor.from_service_level(0.95, **IN_TIME)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    orders = read_orders()
    assert_array_equal(orders["level"], pdt.decide(X))
    assert "expected_cost" not in orders


def test_limit(sales, capsys):
    X, info = sales
    table = X.join(info)
    shared = {"limit_weights": "price", "observations": list(X)}
    options = ["--info", "products.csv", *COSTS, "--limit-weight", "price", *FAST]
    assert run_decide(*options, "--limit", "1500") == 0
    problem = Newsvendor(4.0, 1.0, limit=1500.0, **shared, **IN_TIME)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    level, found = pdt.decide(table, return_info=True)
    assert_array_equal(read_orders()["level"], level)
    line = f"limit: {found.used:,.0f} of 1,500 used; one more unit of it would save "
    assert f"{line}{found.shadow_price:.4g}\n" in capsys.readouterr().out


def test_limit_is_of_what_is_ordered(sales, capsys):
    X, info = sales
    table = X.join(info)
    given = "--limit 400 --limit-weights price --on-hand stock --info products.csv"
    assert run_decide(*given.split(), *COSTS, *FAST) == 0
    orders = read_orders()
    assert_array_equal(orders["order"], np.maximum(orders["level"] - info["stock"], 0))
    used = (orders["order"] * info["price"]).sum()
    assert 400 - info["price"].max() < used <= 400
    assert f"limit: {used:.4g} of 400 used; " in capsys.readouterr().out
    # what is in stock cannot be given back, and costs nothing of the limit
    problem = Newsvendor(
        4.0,
        1.0,
        limit=400 + (info["price"] * info["stock"]).sum(),
        limit_weights="price",
        lower="stock",
        observations=list(X),
        **IN_TIME,
    )
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X)
    fitted = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    assert_array_equal(orders["level"], fitted.decide(table))
    assert orders["level"].sum() < np.maximum(pdt.decide(X), info["stock"]).sum()


def test_packs_are_decided_within_the_limit(sales, capsys):
    X, info = sales
    table = X.join(info)
    given = "--limit 400 --limit-weights price --pack packs --minimum 4 --info products.csv"
    assert run_decide(*given.split(), *COSTS, *FAST) == 0
    orders = read_orders()
    shared = {"limit": 400.0, "limit_weights": "price", "pack": "packs", "minimum": 4}
    problem = Newsvendor(4.0, 1.0, **shared, observations=list(X), **IN_TIME)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    assert_array_equal(orders["level"], pdt.decide(table))
    assert_array_equal(orders["order"], orders["level"])
    assert_array_equal(orders["order"] % info["packs"], np.zeros(len(X)))
    used = (orders["order"] * info["price"]).sum()
    assert 0 < used <= 400
    assert f"limit: {used:.4g} of 400 used; " in capsys.readouterr().out


def test_packs_without_stock_are_the_cheaper_ones(sales):
    X, _ = sales
    assert run_decide(*COSTS, *FAST, "--pack", "12") == 0
    orders = read_orders()
    problem = Newsvendor(4.0, 1.0, pack=12, **IN_TIME)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    assert_array_equal(orders["order"], pdt.decide(X))
    rounded_up = order_quantity(pdt.decide(X, problem=Newsvendor(4.0, 1.0, **IN_TIME)), pack=12)
    assert (orders["order"] < rounded_up).any()
    assert run_decide(*COSTS, *FAST, "--pack", "0") == 0  # any quantity
    assert_array_equal(
        read_orders()["order"], pdt.decide(X, problem=Newsvendor(4.0, 1.0, **IN_TIME))
    )


@pytest.mark.parametrize("limit", ["budget", "200"])
def test_limit_of_groups(limit, sales, capsys):
    _, info = sales
    given = f"--limit {limit} --limit-weights price --groups store --info products.csv"
    assert run_decide(*given.split(), *COSTS, *FAST, "--on-hand", "2") == 0
    orders = read_orders()
    used = (orders["order"] * info["price"]).groupby(info["store"]).sum()
    amounts = {"north": 300, "south": 150} if limit == "budget" else dict.fromkeys(used.index, 200)
    out = capsys.readouterr().out
    for store, amount in amounts.items():
        assert amount - info["price"].max() < used[store] <= amount
        assert f"limit of {store}: {used[store]:.4g} of {amount} used; " in out


def test_products_that_only_the_info_has_are_decided(small, capsys):
    Path("products.csv").write_text("sku,margin\nnew,4\n00123,4\nNA,4\nb,4\n")
    of_info = ["--underage", "margin", "--overage", "1", "--info", "products.csv", *FAST]
    assert run_decide(*of_info) == 0
    note = "note: 1 instances of products.csv have no sales in sales.csv and are "
    taken = "taken to have been on offer in all periods and never sold"
    assert f"{note}{taken}" in capsys.readouterr().err
    X = pd.concat([small, pd.DataFrame(0.0, index=["new"], columns=small.columns)])
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, **IN_TIME), finetune=None)
    assert read_orders().index.tolist() == [*small.index, "new"]
    assert_array_equal(read_orders()["level"], pdt.fit(X).decide(X))
    # of launches nothing is known
    assert run_decide(*of_info, "--offered", "own") == 0
    assert f"{note}decided like the others, as nothing is known" in capsys.readouterr().err
    own = read_orders()["level"]
    assert own["new"] > 0
    Path("products.csv").write_text("sku,margin\nnew,\n00123,4\nNA,4\nb,4\n")
    message = "products.csv: column 'margin' has 1 empty cells (line 2: '')"
    assert message in refused(capsys, *of_info)


def test_orders_that_are_not_whole(capsys):
    Path("sales.csv").write_text(SMALL.replace(",8", ",8.5"))
    assert run_decide(*COSTS, *FAST, "--on-hand", "1") == 0
    orders = read_orders()
    assert_allclose(orders["order"], orders["level"] - 1, atol=1e-8)
    assert (orders["level"] % 1 != 0).all()
    assert run_decide(*COSTS, *FAST, "--on-hand", "1", "--pack", "1") == 0
    assert_array_equal(read_orders()["order"], np.ceil(orders["level"] - 1))


# ---------------------------------------------------------------- fitting


def test_of_many_instances_some_are_trained_on(sales, monkeypatch, capsys):
    X, _ = sales
    monkeypatch.setattr(_decide, "MOST_FINETUNED", 25)
    assert run_decide(*COSTS, "--seed", "3", "--unordered") == 0
    err = capsys.readouterr().err
    assert "fitting to 25 instances\n" in err
    assert "not finetuned: 25 rows to charge are fewer than 150" in err
    chosen = X.sample(25, random_state=3)
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(chosen)
    assert_array_equal(read_orders()["level"], pdt.decide(X))
    assert len(read_orders()) == 40


@pytest.mark.parametrize(
    ("chosen", "why", "line"),
    [
        (0, "", "finetuning was tried; no candidate was surely cheaper than the pretrained netw"),
        (0, "few rows", "not trained (few rows), but others were tried; no candidate was surely"),
        (1, "", "finetuned; in use: blend, 20.0% +- 5.0% cheaper than the pretrained network "),
    ],
)
def test_what_came_of_finetuning(chosen, why, line):
    report = {
        "candidate": np.array(["pretrained", "blend"]),
        "mean_cost": np.array([2.0, 1.6]),
        "gain": np.array([0.0, 0.4]),
        "gain_std_error": np.array([0.0, 0.1]),
        "chosen": np.arange(2) == chosen,
        **({"not_trained": why} if why else {}),
    }
    assert _decide._finetuned(report).startswith(line)


def test_warnings_are_lines(capsys):
    rng = np.random.default_rng(0)
    units = rng.poisson(np.array([4, 4, 9, 9]), (60, 4))
    long = pd.DataFrame(units, columns=DAYS).rename_axis("sku").stack().rename("units")
    long.rename_axis(["sku", "date"]).reset_index().to_csv("sales.csv", index=False)
    assert run_decide(*COSTS, *FAST, "--quiet", "--unordered") == 0
    out, err = capsys.readouterr()
    assert out == ""
    advice = "do not say --unordered, or use newer periods only"
    assert re.fullmatch(rf"warning: observations drift: .* \d+% higher .*: {advice}.\n", err)
    assert run_decide(*COSTS, *FAST, "--quiet") == 0  # in the order of time nothing lags behind
    assert capsys.readouterr() == ("", "")


def test_rows_are_named(capsys):
    labels, options = ["a", "b", "c"], Namespace(time="date", sales="sales.csv", future=None)
    options.calendar_drivers = None
    message = r"^got instance 'c': -1.0, instance 'a': nan \(2 in all\)$"
    with pytest.raises(ValueError, match=message), _decide.naming(labels, options):
        raise ValueError("got row 2: -1.0, row 0: nan (2 in all)")
    with _decide.naming(labels, options):
        warnings.warn("in 9% of 20 rows, as in rows 0, 1. Look", stacklevel=1)
    assert capsys.readouterr().err == (
        "warning: in 9% of 20 instances, as in instances 'a', 'b'. Look\n"
    )


def test_shuffled():
    observations = np.array([[1.0, NAN, 3, 4, 5], [NAN, NAN, NAN, 8, NAN], [NAN] * 5])
    # pairs of periods from the newest on stay pairs, and only one of them is whole
    rng = np.random.default_rng(0)

    def shuffled(horizon):
        cells = _decide._shuffled(observations, horizon, rng)
        return np.take_along_axis(observations, cells, axis=1)

    assert_array_equal(shuffled(2)[0], [1, NAN, 3, 4, 5])
    rows = np.array([shuffled(1) for _ in range(50)])
    assert_array_equal(np.sort(rows, axis=2), np.broadcast_to(np.sort(observations), rows.shape))
    # what was observed comes last, so that it is held out
    assert np.isnan(rows[:, :, 0]).all()
    assert_array_equal(rows[:, 1, 4], np.full(50, 8))
    assert set(rows[:, 0, 4]) == {1, 3, 4, 5}
    assert_array_equal(shuffled(6), observations)


@pytest.mark.parametrize("horizon", [1, 2, 6])
def test_saving(horizon, monkeypatch):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.poisson(rng.gamma(2, 4, (200, 1)), (200, 5)).astype(float))
    X = X.mask(rng.random(X.shape) < 0.1)
    problem = Newsvendor(4.0, 1.0, horizon=horizon)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    monkeypatch.setattr(_decide, "ROUNDS", 5)
    line = _decide._saving(pdt, X, seed=0)
    if horizon == 6:
        assert line.endswith("can be told: no held-out observation to charge")
        return
    # all is held out, and with single periods as often as it is there
    charged = 200 if horizon == 1 else X.notna().iloc[:, 1:].to_numpy().reshape(200, 2, 2)
    charged = charged if horizon == 1 else charged.all(axis=2).any(axis=1).sum()
    assert line.endswith(f"by leave-one-out on {charged} instances")
    share, error = (float(x) for x in re.findall(r"([-\d.]+)%", line))
    assert abs(share - 100 * pdt.score(X)) < 0.06
    assert 0.1 < error < 5
