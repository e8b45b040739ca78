"""The command line: orders where stock is carried over, and what orders would have cost."""

import base64
import os
import re
import sys
import warnings
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import main
from sklearn_pttf._command._dates import date_of, when_stock_counts
from sklearn_pttf._command._found import _coming
from sklearn_pttf.datasets._periods import Calendar
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.problems import Newsvendor, Replenishment
from support.command import COSTS, FAST, RECORDS, read_orders

N, M = 12, 10
WEEKS = pd.date_range("2026-01-05", periods=M, freq="W-MON").strftime("%Y-%m-%d")
LABELS = [*(f"{k:03d}" for k in range(N - 1)), "<b>&'tea'"]
STOCK = ["--shortage", "margin", "--holding", "0.2", "--info", "stock.csv"]
UNDER_WAY = ["--on-hand", "stock", "--on-order", "first", "second"]


@pytest.fixture
def shop():
    """Twelve products over ten weeks, with lead times, stock and past orders; table and info."""
    rng = np.random.default_rng(0)
    sold = rng.poisson(rng.gamma(2, 4, (N, 1)), (N, M)).astype(float)
    X = pd.DataFrame(sold, pd.Index(LABELS, name="sku"), [f"lag_{k}" for k in range(M, 0, -1)])
    long = pd.DataFrame(sold, X.index, WEEKS).stack().rename("units")
    long = long.rename_axis(["sku", "date"]).reset_index()
    long.to_csv("sales.csv", index=False)
    info = pd.DataFrame(
        {
            "lead": np.arange(N) % 3,
            "margin": rng.uniform(1, 9, N).round(2),
            "stock": rng.integers(0, 15, N),
            "first": rng.integers(0, 4, N),
            "second": 1,
            "packs": rng.choice([1, 6], N),
            "store": ["north", "south"] * (N // 2),
            "budget": [30.0, 20.0] * (N // 2),
        },
        index=X.index,
    )
    info.to_csv("stock.csv")
    # a week too late, and none of what sold nothing: no record is no order
    past = long.assign(date=pd.to_datetime(long["date"]) + pd.Timedelta(weeks=1))
    past = past.rename(columns={"units": "order"}).query("order > 0")
    past.to_csv("past.csv", index=False, date_format="%Y-%m-%d")
    return X, info


def run(command, *options, out="out.csv"):
    written = [] if out is None else ["--out", out]
    return main([command, "sales.csv", *RECORDS, *written, *options])


def refused(capsys, command, *options, **settings):
    """The one line of an error; nothing is written."""
    before = sorted(os.listdir())
    assert run(command, *options, **settings) == 2
    out, err = capsys.readouterr()
    line = err.splitlines()[-1]
    assert out == ""
    assert err.count("error: ") == 1
    assert sorted(os.listdir()) == before
    return line.removeprefix("error: ")


def _in_python(X, **settings):
    columns = {"observations": X.columns[:M].tolist(), "ordered": True, "seasons": "auto"}
    problem = Replenishment(**settings, **columns)
    return PretrainedDecisionTransformer(problem, finetune=None, random_state=0)


# ---------------------------------------------------------------- orders


def test_orders(shop, capsys):
    X, info = shop
    assert run("replenish", *STOCK, "--lead-time", "lead", *UNDER_WAY, *FAST) == 0
    orders = read_orders("out.csv")
    settings = {"lead_time": "lead", "on_hand": "stock", "on_order": ["first", "second"]}
    table = X.join(info.drop(columns="store"))
    pdt = _in_python(table, shortage="margin", holding=0.2, **settings).fit(table)
    expected, found = pdt.decide(table, return_info=True)
    columns = ["expected_cost", "stock_out", "cycle_stock_out", "fill_rate"]
    columns += ["stock_at_arrival", "missed_before"]
    assert orders.columns.tolist() == ["order", "mean", *columns]
    assert orders.index.tolist() == LABELS
    assert orders["order"].dtype.kind == "i"
    assert_array_equal(orders["order"], expected)
    for name in columns:
        assert_allclose(orders[name], found[name], rtol=1e-9, err_msg=name)
    told = capsys.readouterr().out
    assert f"order {expected.sum():.4g} units, of {(expected > 0).sum()} of 12 instances" in told
    assert f"expected cost {found.expected_cost.sum():.4g} of what is held or missing" in told
    lost = found.missed_before.sum()
    assert f"before their arrival {lost:.4g} units are expected to be lost, which" in told
    assert (
        "stock on hand is that at the start of 2026-03-16, the period after the newest complete "
        "one; an order placed then is there at the start of 2026-03-16 to 2026-03-30, by its lead"
    ) in told
    assert "not given" not in told
    assert told.endswith("out.csv written\n")


def test_stock_without_lead_time_is_used_up_first(shop):
    # what is there before an order of now is the stock, and only the stock
    assert run("replenish", *STOCK, "--lead-time", "0", "--on-hand", "stock", *FAST) == 0
    with_stock = read_orders("out.csv")
    assert_array_equal(with_stock["stock_at_arrival"], shop[1]["stock"])
    assert run("replenish", *STOCK, "--lead-time", "0", *FAST) == 0
    without = read_orders("out.csv")["order"]
    assert_array_equal(with_stock["order"], np.maximum(without - shop[1]["stock"], 0))


def test_packs_within_the_limit(shop, capsys):
    # of lead times in a column, without anything under way
    limits = ["--limit", "budget", "--groups", "store", "--pack", "packs", "--minimum", "2"]
    options = ["--lead-time", "lead", "--review", "2", "--backlog", *limits, *FAST]
    assert run("replenish", *STOCK, *options) == 0
    order, info = read_orders("out.csv")["order"], shop[1]
    assert (order % info["packs"] == 0).all()
    assert ((order == 0) | (order >= 2)).all()
    used = order.groupby(info["store"]).sum()
    assert used["north"] <= 30
    assert used["south"] <= 20
    told = capsys.readouterr().out
    assert f"limit of north: {used['north']} of 30 used; " in told
    assert "in the 2 periods from their arrival on: " in told


def test_backlog_may_be_owed(shop, capsys):
    Path("stock.csv").write_text(Path("stock.csv").read_text().replace("lead", "late", 1))
    frame = shop[1].assign(stock=-3)
    frame.to_csv("stock.csv")
    options = [*STOCK, "--lead-time", "0", "--on-hand", "stock", *FAST]
    message = "stock.csv: column 'stock' has 12 cells below 0 (--on-hand) (line 2: '-3', line 3: "
    refusal = refused(capsys, "replenish", *options)
    assert message in refusal
    assert refusal.endswith("clip takes them for 0, and --backlog for units that are owed")
    of_all = [*options[:-3], "-2", *FAST]
    assert refused(capsys, "replenish", *of_all).startswith("--on-hand must be at least 0 where sa")
    assert run("replenish", *options, "--backlog", "--quiet") == 0
    owed = read_orders("out.csv")["order"]
    assert run("replenish", *options[:-4], *FAST, "--backlog", "--quiet") == 0
    assert_array_equal(owed, read_orders("out.csv")["order"] + 3)
    assert capsys.readouterr() == ("", "")


def test_stock_below_nothing_is_clipped(shop, capsys):
    frame = shop[1].assign(stock=[-3, -1, *range(N - 2)], first=[2, 0, -5, *range(N - 3)])
    frame.to_csv("stock.csv")
    options = [*STOCK, "--lead-time", "2", *UNDER_WAY, *FAST]
    assert run("replenish", *options, "--negative-stock", "clip") == 0
    told = capsys.readouterr().out
    assert "stock below 0 of 3 instances is taken for 0: '000', '001', '002'\n" in told
    clipped = read_orders("out.csv")
    frame.assign(stock=frame["stock"].clip(0), first=frame["first"].clip(0)).to_csv("stock.csv")
    assert run("replenish", *options) == 0
    assert_array_equal(clipped, read_orders("out.csv"))


def test_no_pack_is_a_pack_of_one(shop):
    packs = ["6"] * 6 + ["0"] * 3 + [""] * 3
    shop[1].assign(packs=packs, least=["12", ""] * 6).to_csv("stock.csv")
    options = [*STOCK, "--lead-time", "1", "--quiet", *FAST]
    assert run("replenish", *options, "--pack", "packs", "--minimum", "least") == 0
    found = read_orders("out.csv")["order"]
    shop[1].assign(packs=[6] * 6 + [1] * 6, least=[12, 0] * 6).to_csv("stock.csv")
    assert run("replenish", *options, "--pack", "packs", "--minimum", "least") == 0
    assert_array_equal(found, read_orders("out.csv")["order"])
    assert (found % 6 != 0).any()
    levels = [*STOCK[-2:], *COSTS, *FAST, "--quiet"]
    assert run("decide", *levels, "--pack", "packs") == 0
    expected = read_orders("out.csv")["level"]
    shop[1].assign(packs=packs).to_csv("stock.csv")
    assert run("decide", *levels, "--pack", "packs") == 0
    assert_array_equal(read_orders("out.csv")["level"], expected)


def test_what_is_not_given_is_said(shop, capsys):
    assert run("replenish", *STOCK, "--lead-time", "1", *FAST) == 0
    told = capsys.readouterr().out
    assert "not given: --on-hand, so nothing is in stock; --on-order, so nothing is under " in told
    assert run("replenish", *STOCK, "--lead-time", "0", "--on-hand", "stock", *FAST) == 0
    assert "not given" not in capsys.readouterr().out


def test_a_week_that_has_only_begun_is_ordered_for(shop, capsys):
    """Daily sales to a Wednesday: the stock that counts is that before this week's Monday."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2023-11-06", "2023-12-27").strftime("%Y-%m-%d")
    sold = pd.DataFrame(rng.poisson(3.0, (N, len(days))), shop[0].index, days)
    sold.stack().rename("units").rename_axis(["sku", "date"]).to_csv("sales.csv")
    options = ["--calendar", "W-MON", "--lead-time", "2", "--review", "2", *FAST]
    assert run("replenish", *STOCK, *options) == 0
    told, err = capsys.readouterr()
    assert "stock on hand is that at the start of 2023-12-25, the period after the newest" in told
    assert "is there at the start of 2024-01-08\n" in told
    assert re.search(r"stock-outs in [\d.]+% of periods, and in [\d.]+% of times from one or", told)
    assert "Stock on hand then counts at the start of 2023-12-25, and not after it." in err


BAD_ORDERS = {
    "negative": (["--lead-time", "-1"], "--lead-time must be a whole number of periods from 0 to"),
    "broken": (["--lead-time", "1.5"], "from 0 to 99; got 1.5"),
    "too long": (["--lead-time", "99", "--review", "2"], "from 0 to 98; got 99"),
    "review": (["--lead-time", "1", "--review", "101"], "--review must be at most 100; got 101"),
    "pipeline": (
        ["--lead-time", "1", *UNDER_WAY],
        r"--on-order must name 1 columns, one for each coming .* --lead-time 1; got 2: first sec",
    ),
    "pipeline of columns": (
        ["--lead-time", "lead", "--on-order", "first"],
        r"lead_time must be whole numbers of periods from 0 to 1, .*; got instance '002': 2\.0",
    ),
    "no lead times": (
        ["--lead-time", "margin"],
        r"column 'margin' has 12 cells that are no lead time \(line 2: '.*whole numbers",
    ),
    "no column": (
        ["--lead-time", "2", "--on-order", "first", "third"],
        r"stock\.csv has no column 'third' \(--on-order 2\)",
    ),
    "no cost": (["--lead-time", "0", "--holding", "-1"], "holding must be a positive"),
    "no plan": (
        ["--lead-time", "1", "--drivers", "promo", "--future", "plan.csv"],
        r"plan\.csv must have lines of --lead-time and --review, 2 periods after the last one",
    ),
    "extension": (["--lead-time", "1", "--out", "o.xls"], r"--out is o\.xls, whose extension"),
}


@pytest.mark.parametrize(("options", "message"), BAD_ORDERS.values(), ids=BAD_ORDERS)
def test_bad_orders(options, message, shop, capsys):
    sales = pd.read_csv("sales.csv").assign(promo=0)
    sales.to_csv("sales.csv", index=False)
    Path("plan.csv").write_text("date,promo\n2026-03-16,1\n")
    assert re.search(message, refused(capsys, "replenish", *STOCK, *options, *FAST))


def test_neither_both_lost_and_owed(shop, capsys):
    with pytest.raises(SystemExit):
        run("replenish", *STOCK, "--lead-time", "0", "--lost-sales", "--backlog")
    assert "--backlog: not allowed with argument --lost-sales" in capsys.readouterr().err


def test_a_review_is_a_whole_number(shop, capsys):
    with pytest.raises(SystemExit):
        run("replenish", *STOCK, "--lead-time", "0", "--review", "1.5")
    assert "--review: must be a whole number of at least 1; got 1.5" in capsys.readouterr().err


def test_the_longest_lead_time_without_warnings(shop):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("replenish", *STOCK, "--lead-time", "99", "--quiet", *FAST, "--unordered") == 0
    # nothing is under way: what is there then is 0, whatever is asked for before
    assert_array_equal(read_orders("out.csv")["stock_at_arrival"], 0.0)


# ---------------------------------------------------------------- backtest


def test_single_orders_of_the_past(shop, capsys):
    """Each level is charged 4 a unit short and 1 a unit over, in the newest three weeks."""
    X, _ = shop
    policy = ["--policy", "past.csv", "--origins", "3"]
    assert run("backtest", *COSTS, *policy) == 0
    found = pd.read_csv("out.csv", dtype={"sku": str})
    assert found["method"].unique().tolist() == ["estimator", "SAA", "smoothing", "policy"]
    assert found["date"].unique().tolist() == WEEKS[-3:].tolist()
    sold, before = X.to_numpy()[:, -3:], X.to_numpy()[:, -4:-1]
    past = found[found["method"] == "policy"]
    cost = 4 * np.maximum(sold - before, 0) + np.maximum(before - sold, 0)
    assert_array_equal(past["decision"], before.ravel())
    assert_array_equal(past["cost"], cost.ravel())
    own = found.query("method == 'estimator'")["cost"].sum()
    told, err = capsys.readouterr()
    saved = cost.sum() - own
    assert saved > 0
    line = f"Today's rule cost {cost.sum():.0f}, this estimator {own:.0f}: {abs(saved):.0f} ± "
    assert line in told
    assert "12 instances, decided 3 times, from 2026-02-23 to 2026-03-09, each time " in told
    assert "; charged on the periods from 2026-02-23 to 2026-03-09.\n" in told
    assert "So few periods may be luck." in told
    assert "SAA" in told
    n_past = (X.to_numpy() > 0).sum()
    n_other = n_past - (before > 0).sum()
    assert f"note: {n_other} of {n_past} records of past.csv are of other instances or p" in err


def test_carried_stock(shop, capsys):
    """The same as in Python, the page included."""
    X, info = shop
    options = [*STOCK, "--lead-time", "lead", "--policy", "past.csv", "--origins", "2"]
    assert run("backtest", *options, "--html", "report.html", "--quiet") == 0
    table = X.join(info[["lead", "margin"]]).assign(a=0.0, b=0.0)
    settings = {"shortage": "margin", "holding": 0.2, "lead_time": "lead", "on_order": ["a", "b"]}
    past = X.to_numpy()[:, [5, 6]]  # ordered before weeks 6 and 7, after which two more are charged
    pdt = _in_python(table, **settings)
    arguments = {"origins": [6, 7], "policy": past, "random_state": 0}
    with pytest.warns(UserWarning, match="policy is past orders"):
        expected = backtest(pdt, table, **arguments)
    found = pd.read_csv("out.csv", dtype={"sku": str})
    assert_allclose(found["cost"], expected.cost.ravel(), rtol=1e-9)
    assert_allclose(found["decision"], expected.decision.ravel(), rtol=1e-9)
    assert found["date"].unique().tolist() == WEEKS[6:8].tolist()
    page = Path("report.html").read_text(encoding="utf-8")
    _check_opens_offline(page)
    text = unescape(page)
    assert expected.verdict("policy") in text
    assert expected.verdict("SAA") in text
    assert "charged on the periods from 2026-02-16 to 2026-03-09." in text
    assert "<td>margin</td>" in page
    assert "achieved/promised is what they did cost over that" in text
    made_up = "Past orders were placed on another stock, so savings against them may be far too"
    assert made_up in text
    # with the stock of then, which is said instead
    assert run("backtest", *options, *UNDER_WAY) == 0
    start = info["stock"], info[["first", "second"]]
    expected = backtest(pdt, table, start=start, **arguments)
    found = pd.read_csv("out.csv", dtype={"sku": str})
    assert_allclose(found["cost"], expected.cost.ravel(), rtol=1e-9)
    late = found[found["sku"] == "002"]  # whose orders take two weeks, after which they are charged
    assert late["charged_from"].unique().tolist() == WEEKS[8:].tolist()
    assert_array_equal(late["charged_from"], late["charged_to"])
    told, err = capsys.readouterr()
    assert "warning" not in err
    assert expected.verdict("policy") in told
    assert "All methods begin with --on-hand, as the stock at the start of 2026-02-16.\n" in told
    assert made_up not in told


def test_the_cheapest_method_is_said(shop, capsys):
    """Even if it is one that nobody asked for."""
    X, _ = shop
    trend = X.to_numpy() + 40.0 * np.arange(M)  # which averages lag behind
    long = pd.DataFrame(trend, X.index, WEEKS).stack().rename("units")
    long.rename_axis(["sku", "date"]).to_csv("sales.csv")
    options = ["--origins", "2", "--limit", "1"]
    assert run("backtest", *COSTS, *options, "--policy", "past.csv") == 0
    told = capsys.readouterr().out
    assert "The cheapest method was today's rule.\n" in told
    assert "All methods are held to --limit but for past orders, which are compared as" in told
    assert run("backtest", *COSTS, "--origins", "2") == 0
    told, costs = capsys.readouterr().out, pd.read_csv("out.csv").groupby("method")["cost"].sum()
    rivals = costs.drop("estimator")
    best = "the cheapest method" if rivals.min() < costs["estimator"] else "next"
    assert rivals.idxmin() == "smoothing"
    assert re.search(rf"{best} (was|is) smoothing", told, re.IGNORECASE)


def _check_opens_offline(page):
    """Nothing is fetched, and labels are text."""
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 2
    assert all(base64.b64decode(each).startswith(b"\x89PNG\r\n") for each in pictures)
    text = re.sub(r'src="data:[^"]+"', "", page)
    assert not re.search(r"https?:|//|src=|href=|<script|<link|@import|url\(", text)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;&#x27;tea&#x27;" in text


def test_text_alone_and_a_promotion(shop, capsys):
    sales = pd.read_csv("sales.csv").assign(promo=lambda frame: frame["date"] == WEEKS[-2])
    sales.to_csv("sales.csv", index=False)
    before = sorted(os.listdir())
    options = ["--lead-time", "1", "--origins", "1", "--drivers", "promo"]
    options += ["--calendar", "W-MON"]
    assert run("backtest", *STOCK, *options, out=None) == 0
    told = capsys.readouterr().out
    assert "decided once, for 2026-03-02, from what was known before" in told
    assert "One origin only" in told
    assert sorted(os.listdir()) == before


BAD_BACKTESTS = {
    "no costs": ([], "give --underage and --overage, or with --lead-time --shortage and --holding"),
    "single": ([*STOCK], "--shortage and --holding needs --lead-time: without it nothing is car"),
    "carried": (
        [*STOCK, "--lead-time", "1", "--horizon", "2"],
        "--horizon is of single orders, and --lead-time of stock that is carried over",
    ),
    "stock of single orders": (
        [*COSTS, "--on-hand", "3"],
        "--on-hand needs --lead-time: without it nothing is carried over",
    ),
    "pipeline alone": (
        [*STOCK, "--lead-time", "2", "--on-order", "first", "second"],
        "--on-order needs --on-hand: both are of the stock before the first origin",
    ),
    "origins": (
        [*COSTS, "--origins", "9"],
        r"--origins must be in \[1, 8\], as sales\.csv has 10 periods, of which 2 are to learn",
    ),
    "no order": (
        [*COSTS, "--policy", "few.csv", "--origins", "2"],
        r"few\.csv has no order before 1 of 2 periods that are decided: 2026-03-02; give",
    ),
    "negative order": (
        [*COSTS, "--policy", "negative.csv"],
        r"negative\.csv: column 'order' has 1 negative cells \(line 2: '-3'\); orders are at lea",
    ),
    "missing order": (
        [*COSTS, "--policy", "empty.csv"],
        r"empty\.csv: column 'order' has 1 empty cells \(line 2: ''\)",
    ),
    "numbered": (
        [*COSTS, "--policy", "numbered.csv"],
        r"numbered\.csv: column 'date' must hold dates, as in sales",
    ),
    "no column": (
        [*COSTS, "--policy", "few.csv", "--order", "units"],
        r"few\.csv has no column 'units' \(--order\)",
    ),
    "order alone": ([*COSTS, "--order", "units"], "--order needs --policy"),
    "page": ([*COSTS, "--html", "r.pdf"], r"r\.pdf, whose extension is \.pdf; .* one of \.html"),
    "out is read": (
        [*COSTS, "--policy", "few.csv", "--out", "few.csv"],
        r"--out is few\.csv, which is read from",
    ),
}


@pytest.mark.parametrize(("options", "message"), BAD_BACKTESTS.values(), ids=BAD_BACKTESTS)
def test_bad_backtests(options, message, shop, capsys):
    for name, order in {"few": "3", "negative": "-3", "empty": ""}.items():
        Path(f"{name}.csv").write_text(f"sku,date,order\n001,2026-03-09,{order}\n")
    Path("numbered.csv").write_text("sku,date,order\n001,9,3\n")
    assert re.search(message, refused(capsys, "backtest", *options))


def test_a_backtest_needs_time(shop, capsys):
    assert main(["backtest", "sales.csv", *RECORDS[:4], *COSTS]) == 2
    assert "error: give --time: a backtest goes through the periods" in capsys.readouterr().err


def test_too_few_periods(shop, capsys):
    message = r"sales\.csv must have at least 5 periods: 2 to learn from, and 3 to charge .* got 4"
    options = [*STOCK, "--lead-time", "2", "--periods", "4"]
    assert re.search(message, refused(capsys, "backtest", *options))


def test_newest_periods_keep_their_dates(shop):
    options = [*COSTS, "--periods", "4", "--origins", "1", "--horizon", "2", "--quiet"]
    assert run("backtest", *options) == 0
    found = pd.read_csv("out.csv")
    assert found["date"].unique().tolist() == [WEEKS[-2]]
    problem = Newsvendor(4.0, 1.0, horizon=2, ordered=True, seasons="auto")
    pdt = PretrainedDecisionTransformer(problem, finetune=None, random_state=0)
    expected = backtest(pdt, shop[0].iloc[:, -4:], origins=1)
    assert_array_equal(found["cost"], expected.cost.ravel())


def test_without_matplotlib(shop, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = "--html draws with matplotlib, which is not installed: pip install"
    assert message in refused(capsys, "backtest", *COSTS, "--html", "report.html")


# ---------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    ("factors", "problem", "told"),
    [
        ([1.25], Newsvendor(), "the next one is expected to be 25% above"),
        (
            [0.77, 0.92, 1.04],
            Replenishment(lead_time=2),
            "the next 3 are expected to be 23% below, 8% below and 4% above",
        ),
        (
            [0.5] * 4 + [1.5] * 4,
            Newsvendor(horizon=8),
            "the next 8 are on average expected to be 0% above",
        ),
        (
            [0.5] * 6 + [1.1, 1.3],
            Replenishment(lead_time=6, review=2),
            "those that orders are for, 2 of the next 8, are on average expected to be 20% above",
        ),
    ],
)
def test_coming_periods_one_by_one(factors, problem, told):
    assert _coming(np.array(factors), problem) == told


@pytest.mark.parametrize(
    ("dates", "coming"),
    [
        (["2024-01-01", "2024-01-08", "2024-01-15"], ["2024-01-15", "2024-01-22", "2024-01-29"]),
        (["2024-01-01", "2024-02-01", "2024-03-01"], ["2024-03-01", "", ""]),
        (["2024-01-01"], ["2024-01-01", "", ""]),
        ([3, 4, 5], ["5", "6", "7"]),
    ],
)
def test_dates_to_come(dates, coming):
    kind = int if dates[0] == 3 else "datetime64[us]"
    calendar = Calendar(np.array(dates, dtype=kind))
    newest = len(dates) - 1
    assert [date_of(calendar, k) for k in (newest, newest + 1, newest + 2)] == coming
    line = when_stock_counts(calendar, [1])
    assert (coming[1] or f"after the period of {coming[0]}") in line
    assert when_stock_counts(None, [1]) == "stock on hand is that after the newest record"
