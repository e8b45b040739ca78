"""The command line: from a file of sales to a file of orders."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import sklearn_pttf
from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import _parser, main
from sklearn_pttf._command import _decide, _files, _inputs
from sklearn_pttf.datasets import _long
from sklearn_pttf.problems import Newsvendor, order_quantity

PACKAGE = Path(sklearn_pttf.__file__).parent
DAYS = pd.date_range("2026-03-02", periods=4)
RECORDS = ["--instance", "sku", "--value", "units", "--time", "date"]
COSTS = ["--underage", "4", "--overage", "1"]
FAST = ["--finetune", "none"]
SMALL = """\
sku,date,units
00123,2026-03-02,3
00123,2026-03-05,5
NA,2026-03-03,8
b,2026-03-02,1
b,2026-03-02,2
b,2026-03-04,2
"""
# periods without a record are 0, and the two sales of b on one day are one observation
TABLE = {"00123": [3, 0, 0, 5], "NA": [0, 8, 0, 0], "b": [3, 0, 2, 0]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where files are, and nothing else."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small():
    Path("sales.csv").write_text(SMALL)
    return pd.DataFrame.from_dict(TABLE, orient="index", dtype=float)


@pytest.fixture
def sales():
    """Forty products over four days, and what is known of them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.poisson(rng.gamma(2, 4, (40, 1)), (40, 4)), columns=DAYS)
    X.index = pd.Index([f"{k:03d}" for k in range(40)], name="sku")
    long = X.stack().rename("units").rename_axis(["sku", "date"]).reset_index()
    long[long["units"] > 0].to_csv("sales.csv", index=False)
    info = pd.DataFrame(
        {
            "sku": X.index,
            "margin": rng.uniform(1, 9, 40).round(2),
            "loss": rng.uniform(0.5, 2, 40).round(2),
            "price": rng.uniform(2, 20, 40).round(2),
            "stock": rng.integers(0, 15, 40),
            "coming": rng.integers(0, 4, 40),
            "packs": rng.choice([1, 6, 12], 40),
            "most": np.where(rng.random(40) < 0.5, np.nan, 9),
            "store": rng.choice(["north", "south"], 40),
        }
    )
    info["budget"] = info["store"].map({"north": 300.0, "south": 150.0})
    info.sample(frac=1, random_state=0).to_csv("products.csv", index=False)
    X.columns = [f"lag_{k}" for k in range(4, 0, -1)]
    return X.astype(float), info.set_index("sku")


def _run(*options, sales="sales.csv", records=RECORDS, out="orders.csv"):
    return main(["decide", sales, *records, "--out", out, *options])


def _orders(path="orders.csv"):
    return pd.read_csv(path, dtype={"sku": str}, keep_default_na=False).set_index("sku")


def _refused(capsys, *options, **settings):
    """The one line of an error; nothing is written."""
    before = sorted(os.listdir())
    assert _run(*options, **settings) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *progress, line = err.splitlines()
    assert line.startswith("error: ")
    assert not any(each.startswith("error: ") for each in progress)
    assert sorted(os.listdir()) == before
    return line.removeprefix("error: ")


# ---------------------------------------------------------------- what is written


def test_orders(small, capsys):
    assert _run(*COSTS, *FAST) == 0
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(small)
    level, info = pdt.decide(small, return_info=True)
    orders = _orders()
    assert orders.index.tolist() == ["00123", "NA", "b"]
    assert orders.columns.tolist() == ["level", "mean", "p10", "p50", "p90", "expected_cost"]
    assert orders["level"].dtype.kind == "i"
    assert_array_equal(orders["level"], level)
    assert_array_equal(orders[["p10", "p50", "p90"]], pdt.predict_quantiles(small, [0.1, 0.5, 0.9]))
    assert_allclose(orders["mean"], info.mean, rtol=1e-9)
    assert_allclose(orders["expected_cost"], info.expected_cost, rtol=1e-9)
    out, err = capsys.readouterr()
    assert "expected saving over sample averages (SAA, each instance on its own): " in out
    # four periods are as many as are held out, so that the sample is all that score charges
    assert f": {pdt.score(small):.1%} +- " in out
    assert "with so few instances it is told too high" in out
    assert f"stock {level.sum():.0f} for an expected demand of {info.mean.sum():.4g} " in out
    assert out.endswith("orders.csv written\n")
    described = "6 records from 2026-03-02 to 2026-03-05, 0 of them without a value; "
    assert f"sales.csv: {described}3 instances, 4 periods in use\n" in err


def test_quiet_and_again(small, capsys):
    assert _run(*COSTS, *FAST) == 0
    first = Path("orders.csv").read_bytes()
    capsys.readouterr()
    assert _run(*COSTS, *FAST, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert Path("orders.csv").read_bytes() == first


def _table(*options, text=SMALL, records=RECORDS):
    """The table that the command makes of a file."""
    Path("sales.csv").write_text(text)
    parsed = _command_options(*options, records=records)
    return _inputs.read_sales(parsed)


def _command_options(*options, records=RECORDS):
    return _parser().parse_args(
        ["decide", "sales.csv", *records, "--out", "orders.csv", *COSTS, "--quiet", *options]
    )


NAN = np.nan
READINGS = {
    "all periods": ([], TABLE),
    "own periods": (
        ["--offered", "own"],
        {"00123": [3, 0, 0, 5], "NA": [NAN, NAN, NAN, 8], "b": [NAN, 3, 0, 2]},
    ),
    "missing": (
        ["--fill", "missing"],
        {"00123": [3, NAN, NAN, 5], "NA": [NAN, 8, NAN, NAN], "b": [3, NAN, 2, NAN]},
    ),
    "newest": (["--periods", "2"], {"00123": [0, 5], "NA": [0, 0], "b": [2, 0]}),
    "weeks": (["--calendar", "W-MON"], {"00123": [8], "NA": [8], "b": [5]}),
    "half days": (
        ["--calendar", "2D", "--offered", "own"],
        {"00123": [3, 5], "NA": [NAN, 8], "b": [3, 2]},
    ),
}


@pytest.mark.parametrize(("options", "expected"), READINGS.values(), ids=READINGS)
def test_periods(options, expected):
    table = _table(*options)
    assert table.index.tolist() == list(expected)
    assert_array_equal(table, list(expected.values()))


def test_all_days_of_a_calendar():
    text = "sku,date,units\na,2026-03-02,3\nb,2026-03-05,1\n"
    assert_array_equal(_table(text=text), [[3, 0], [0, 1]])
    assert_array_equal(_table("--calendar", "D", text=text), [[3, 0, 0, 0], [0, 0, 0, 1]])


FILES = {
    "semicolons": SMALL.replace(",", ";"),
    "tabs": SMALL.replace(",", "\t"),
    "blank lines and a mark": "\ufeff" + SMALL.replace("\nNA", "\n\n,,\nNA") + "\n\n",
    "quotes": SMALL.replace("NA,", '"NA",').replace(",8", ',"8"'),
    "other columns": "".join(f"{k} x,{line},{k}\n" for k, line in enumerate(SMALL.split())),
    "receipts": SMALL.replace("-03-05", "-03-05T08:30:00"),
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_dialects(text):
    options = ["--calendar", "D"] if "T08" in text else []
    table = _table(*options, text=text)
    assert table.index.tolist() == list(TABLE)
    assert_array_equal(table, list(TABLE.values()))


def test_files_are_read_in_parts(monkeypatch):
    monkeypatch.setattr(_files, "CHUNK_LINES", 2)
    assert_array_equal(_table(text=SMALL), list(TABLE.values()))
    for k in range(2, 7):
        lines = SMALL.splitlines()
        lines[k - 1] += ",1"
        with pytest.raises(ValueError, match=f"Expected 3 fields in line {k}, saw 4"):
            _table(text="\n".join(lines))


def test_hours_and_local_time():
    times = ["2026-03-29T00:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T05:10:00Z"]
    text = "sku,date,units\n" + "".join(f"a,{time},{k + 1}\n" for k, time in enumerate(times))
    assert_array_equal(_table("--calendar", "h", text=text), [[1, 0, 0, 2, 0, 3]])
    assert_array_equal(_table("--calendar", "D", text=text), [[6]])


def test_dates_of_other_forms_and_numbers_of_periods():
    days = {f"2026-03-0{day}": f"{day}.3.2026" for day in range(2, 6)}
    text = SMALL
    for iso, other in days.items():
        text = text.replace(iso, other)
    assert_array_equal(_table("--time-format", "%d.%m.%Y", text=text), list(TABLE.values()))
    compact = re.sub(r"(\d{4})-(\d\d)-(\d\d)", r"\1\2\3", SMALL)
    assert_array_equal(_table("--calendar", "D", text=compact), list(TABLE.values()))
    numbers = re.sub(r"2026-03-0(\d)", r"20260\1", SMALL)
    assert_array_equal(_table(text=numbers), list(TABLE.values()))
    assert_array_equal(
        _table(text=SMALL, records=RECORDS[:4]),
        [[NAN, 3, 5], [NAN, NAN, 8], [1, 2, 2]],
    )


def test_negatives():
    text = SMALL + "b,2026-03-04,-6\n"
    assert _table("--negatives", "clip", text=text).loc["b"].tolist() == [3, 0, 0, 0]
    assert_array_equal(_table("--negatives", "missing", text=text).loc["b"], [3, 0, NAN, 0])


def test_separator_of_the_sales_is_that_of_the_orders(small):
    Path("sales.csv").write_text(SMALL.replace(",", ";"))
    assert _run(*COSTS, *FAST, "--quiet") == 0
    assert Path("orders.csv").read_text().startswith("sku;level;mean;")


def test_gaps_are_noted(capsys):
    Path("sales.csv").write_text("sku,date,units\na,2026-03-02,3\na,2026-03-03,3\na,2026-03-07,3\n")
    assert _run(*COSTS, *FAST) == 0
    assert "note: dates are 1 to 4 days apart; " in capsys.readouterr().err


# ---------------------------------------------------------------- problems


def test_costs_by_column_and_stock(sales, capsys):
    X, info = sales
    given = "--info products.csv --underage margin --overage loss --upper most --horizon 3"
    stock = "--on-hand stock --on-order coming --pack packs --minimum 4"
    assert _run(*given.split(), *stock.split(), *FAST) == 0
    problem = Newsvendor("margin", "loss", upper="most", horizon=3, observations=list(X))
    table = X.join(info)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    level, found = pdt.decide(table, return_info=True)
    orders = _orders()
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
    assert _run("--service-level", "0.95", *FAST) == 0
    problem = Newsvendor.from_service_level(0.95)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    orders = _orders()
    assert_array_equal(orders["level"], pdt.decide(X))
    assert "expected_cost" not in orders


def test_limit(sales, capsys):
    X, info = sales
    table = X.join(info)
    shared = {"limit_weights": "price", "observations": list(X)}
    options = ["--info", "products.csv", *COSTS, "--limit-weight", "price", *FAST]
    assert _run(*options, "--limit", "1500") == 0
    problem = Newsvendor(4.0, 1.0, limit=1500.0, **shared)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    level, found = pdt.decide(table, return_info=True)
    assert_array_equal(_orders()["level"], level)
    line = f"limit: {found.used:,.0f} of 1,500 used; one more unit of it would save "
    assert f"{line}{found.shadow_price:.4g}\n" in capsys.readouterr().out


def test_limit_is_of_what_is_ordered(sales, capsys):
    X, info = sales
    table = X.join(info)
    given = "--limit 400 --limit-weights price --on-hand stock --info products.csv"
    assert _run(*given.split(), *COSTS, *FAST) == 0
    orders = _orders()
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
    )
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X)
    fitted = PretrainedDecisionTransformer(problem, finetune=None).fit(table)
    assert_array_equal(orders["level"], fitted.decide(table))
    assert orders["level"].sum() < np.maximum(pdt.decide(X), info["stock"]).sum()


@pytest.mark.parametrize("limit", ["budget", "200"])
def test_limit_of_groups(limit, sales, capsys):
    _, info = sales
    given = f"--limit {limit} --limit-weights price --groups store --info products.csv"
    assert _run(*given.split(), *COSTS, *FAST, "--on-hand", "2") == 0
    orders = _orders()
    used = (orders["order"] * info["price"]).groupby(info["store"]).sum()
    amounts = {"north": 300, "south": 150} if limit == "budget" else dict.fromkeys(used.index, 200)
    out = capsys.readouterr().out
    for store, amount in amounts.items():
        assert amount - info["price"].max() < used[store] <= amount
        assert f"limit of {store}: {used[store]:.4g} of {amount} used; " in out


def test_products_without_sales_are_left_out(small, capsys):
    Path("products.csv").write_text("sku,margin\nnew,\n00123,4\nNA,4\nb,4\n")
    assert _run("--underage", "margin", "--overage", "1", "--info", "products.csv", *FAST) == 0
    assert "note: 1 instances of products.csv have no sales in sales.csv and are left out" in (
        capsys.readouterr().err
    )
    priced = _orders()
    assert _run(*COSTS, *FAST) == 0
    assert priced.equals(_orders())


def test_orders_that_are_not_whole(capsys):
    Path("sales.csv").write_text(SMALL.replace(",8", ",8.5"))
    assert _run(*COSTS, *FAST, "--on-hand", "1") == 0
    orders = _orders()
    assert_allclose(orders["order"], orders["level"] - 1, atol=1e-8)
    assert (orders["level"] % 1 != 0).all()
    assert _run(*COSTS, *FAST, "--on-hand", "1", "--pack", "1") == 0
    assert_array_equal(_orders()["order"], np.ceil(orders["level"] - 1))


# ---------------------------------------------------------------- fitting


def test_of_many_instances_some_are_trained_on(sales, monkeypatch, capsys):
    X, _ = sales
    monkeypatch.setattr(_decide, "MOST_FINETUNED", 25)
    assert _run(*COSTS, "--seed", "3") == 0
    err = capsys.readouterr().err
    assert "fitting to 25 instances\n" in err
    assert "not finetuned: 25 rows to charge are fewer than 150" in err
    chosen = X.sample(25, random_state=3)
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(chosen)
    assert_array_equal(_orders()["level"], pdt.decide(X))
    assert len(_orders()) == 40


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        (0, "finetuned, but the pretrained network alone was as good and is in use"),
        (1, "finetuned; in use: blend, 20.0% +- 5.0% cheaper than the pretrained network "),
    ],
)
def test_what_came_of_finetuning(chosen, line):
    report = {
        "candidate": np.array(["pretrained", "blend"]),
        "mean_cost": np.array([2.0, 1.6]),
        "gain": np.array([0.0, 0.4]),
        "gain_std_error": np.array([0.0, 0.1]),
        "chosen": np.arange(2) == chosen,
    }
    assert _decide._finetuned(report).startswith(line)


def test_warnings_are_lines(capsys):
    rng = np.random.default_rng(0)
    units = rng.poisson(np.array([4, 4, 9, 9]), (60, 4))
    long = pd.DataFrame(units, columns=DAYS).rename_axis("sku").stack().rename("units")
    long.rename_axis(["sku", "date"]).reset_index().to_csv("sales.csv", index=False)
    assert _run(*COSTS, *FAST, "--quiet") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"warning: observations drift: .* \d+% higher .*\n", err)


def test_rows_are_named(capsys):
    labels = ["a", "b", "c"]
    message = r"^got instance 'c': -1.0, instance 'a': nan \(2 in all\)$"
    with pytest.raises(ValueError, match=message), _decide._naming(labels):
        raise ValueError("got row 2: -1.0, row 0: nan (2 in all)")
    with _decide._naming(labels):
        warnings.warn("in 9% of 20 rows, as in rows 0, 1. Look", stacklevel=1)
    assert capsys.readouterr().err == (
        "warning: in 9% of 20 rows, as in instances 'a', 'b'. Look\n"
    )


def test_shuffled():
    observations = np.array([[1.0, NAN, 3, 4, 5], [NAN, NAN, NAN, 8, NAN], [NAN] * 5])
    # pairs of periods from the newest on stay pairs, and only one of them is whole
    rng = np.random.default_rng(0)
    assert_array_equal(_decide._shuffled(observations, 2, rng)[0], [1, NAN, 3, 4, 5])
    rows = np.array([_decide._shuffled(observations, 1, rng) for _ in range(50)])
    assert_array_equal(np.sort(rows, axis=2), np.broadcast_to(np.sort(observations), rows.shape))
    # what was observed comes last, so that it is held out
    assert np.isnan(rows[:, :, 0]).all()
    assert_array_equal(rows[:, 1, 4], np.full(50, 8))
    assert set(rows[:, 0, 4]) == {1, 3, 4, 5}
    assert_array_equal(_decide._shuffled(observations, 6, rng), observations)


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


# ---------------------------------------------------------------- bad input

BAD_FILES = {
    "empty": ("", r"sales\.csv is empty; its first line must name its columns"),
    "no records": ("sku,date,units\n", r"sales\.csv has no records"),
    "no column": (
        "SKU,date,units\na,2026-03-02,1\n",
        r"sales\.csv has no column 'sku' \(--instance\); its columns are SKU, date, units",
    ),
    "two columns": (
        "sku,date,units,units\na,2026-03-02,1,1\n",
        r"sales\.csv has 2 columns 'units' \(--value\); its columns are sku, date, units, units",
    ),
    "no number": (
        'sku,date,units\na,2026-03-02,3\n\na,2026-03-03,"3,5"\nb,2026-03-03,x\n',
        r"sales\.csv: column 'units' has 2 cells that are no number "
        r"\(line 4: '3,5', line 5: 'x'\); numbers look like 12 or 3.5",
    ),
    "infinite": ("sku,date,units\na,2026-03-02,inf\n", r"no number \(line 2: 'inf'\)"),
    "no numbers": ("sku,date,units\na,2026-03-02,\n", "column 'units' has no number at all"),
    "no date": (
        "sku,date,units\na,31.3.2026,3\n",
        r"column 'date' has 1 cells that are no date \(line 2: '31.3.2026'\); dates are whole "
        r"numbers or ISO 8601 \(2024-03-31\); --time-format is for others",
    ),
    "empty date": (
        "sku,date,units\na,7,3\na,,3\n",
        r"column 'date' has 1 empty cells \(line 3: ''\); every record needs a date",
    ),
    "time of day": (
        "sku,date,units\na,2026-03-02 08:30,3\n",
        r"column 'date' has 1 times of day \(line 2: '2026-03-02 08:30'\); give --calendar D",
    ),
    "no label": (
        "sku,date,units\na,2026-03-02,3\n,2026-03-02,3\n",
        r"column 'sku' has 1 cells without a label \(line 3: ''\)",
    ),
    "long line": (
        "sku,date,units\na,2026-03-02,3\na,2026-03-02,3,5\n",
        r"sales\.csv cannot be read as CSV: Expected 3 fields in line 3, saw 4",
    ),
    "all lines too long": (
        "sku,date,units\na,2026-03-02,3,5\n",
        r"sales\.csv cannot be read as CSV: Expected 3 fields in line 2, saw 4",
    ),
    "open quote": ('sku,date,units\n"a,2026-03-02,3\n', "cannot be read as CSV: EOF inside string"),
    "not UTF-8": (
        "sku,date,units\nä,2026-03-02,3\n".encode("latin-1"),
        r"sales\.csv is no UTF-8 text; save it as UTF-8",
    ),
    "negative": (
        "sku,date,units\na,2026-03-02,-3\n",
        r"sales\.csv: value='units' has 1 negative cells among 1; first instances: 'a': -3\.0",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(text, message, capsys):
    Path("sales.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert re.search(message, _refused(capsys, *COSTS, *FAST))


INFO = "sku,margin,cap,store\n00123,4,,n\nNA,-4,9,n\nb,x,9,\n"
BAD_OPTIONS = {
    "extension": (["--out", "orders.xls"], r"--out is orders\.xls, whose extension is \.xls; it"),
    "no extension": (["--out", "orders"], "whose extension is missing; it must be one of .csv, "),
    "out is read": (["--out", "./sales.csv"], r"--out is sales\.csv, which is read from"),
    "no costs": (["--overage", None], "--underage and --overage, or --service-level; got --under"),
    "both": (["--service-level", "0.9"], "got --underage and --overage and --service-level"),
    "level": (
        ["--underage", None, "--overage", None, "--service-level", "1.5"],
        r"--service-level must be in \[0\.001, 0\.999\]; got 1\.5",
    ),
    "no info": (["--underage", "margin"], "--underage is 'margin', which is no number; a column n"),
    "info for nothing": (["--info", "info.csv"], r"no option names a column of --info info\.csv"),
    "no column": (
        ["--info", "info.csv", "--on-hand", "stock"],
        r"info\.csv has no column 'stock' \(--on-hand\); its columns are sku, margin, cap, store",
    ),
    "no number": (
        ["--info", "info.csv", "--underage", "margin"],
        r"info\.csv: column 'margin' has 1 cells that are no number \(line 4: 'x'\)",
    ),
    "empty cell": (
        ["--info", "info.csv", "--on-hand", "cap"],
        r"info\.csv: column 'cap' has 1 empty cells \(line 2: ''\)",
    ),
    "no group": (
        ["--info", "info.csv", "--limit", "9", "--groups", "store"],
        r"info\.csv: column 'store' has 1 cells without a label \(line 4: ''\)",
    ),
    "limit by column": (["--limit", "cap", "--info", "info.csv"], "a column of limits needs --gr"),
    "limit and packs": (["--limit", "9", "--pack", "6"], "--pack rounds orders up, beyond --limit"),
    "groups alone": (["--groups", "store"], "--groups needs --limit"),
    "limit": (["--limit", "-1"], "--limit must be at least 0; got -1"),
    "infeasible": (["--limit", "9", "--lower", "4"], "limit is 9, but the lower bounds alone need"),
    "cost": (["--underage", "-4"], "underage must be a positive .* got instance '00123': -4.0"),
    "bounds": (
        ["--lower", "cap", "--upper", "1", "--info", "info.csv"],
        r"lower must not exceed upper .* instance 'NA': \[9\. 1\.\], instance 'b'",
    ),
    "pack": (["--pack", "-6"], "pack must be at least 0; got instance '00123': -6.0"),
    "calendar": (
        ["--calendar", "fortnight"],
        "calendar must be None, a pandas frequency such as 'D', .*; got 'fortnight'",
    ),
    "checkpoint": (["--checkpoint", "no-such"], "checkpoint='no-such' is neither a shipped"),
    "instance": (["--instance", "units"], "--instance, --value and --time must differ; got units"),
    "format": (["--time-format", "%d.%m.%Y"], r"no date .*; --time-format is '%d\.%m\.%Y'"),
}


@pytest.mark.parametrize(("changed", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(changed, message, small, capsys):
    Path("info.csv").write_text(INFO)
    options = dict(zip(COSTS[::2], COSTS[1::2], strict=True))
    options |= dict(zip(changed[::2], changed[1::2], strict=True))
    given = [word for pair in options.items() if pair[1] is not None for word in pair]
    assert re.search(message, _refused(capsys, *given, *FAST))


def test_other_bad_files_of_instances(small, capsys):
    options = ["--underage", "margin", "--overage", "1", "--info", "info.csv"]
    Path("info.csv").write_text("sku,margin\n00123,1\nb,1\nb,2\n")
    message = r"info\.csv: column 'sku' has 1 labels again \(line 4: 'b'\)"
    assert re.search(message, _refused(capsys, *options))
    Path("info.csv").write_text("sku,margin\nb,1\n")
    message = r"info\.csv has no record of 2 instances of sales\.csv: '00123', 'NA'"
    assert re.search(message, _refused(capsys, *options))
    Path("info.csv").write_text("sku,cap,store\n00123,1,n\nNA,2,n\nb,1,s\n")
    options = [*COSTS, "--limit", "cap", "--groups", "store", "--info", "info.csv"]
    message = "--limit must be one number a group; group 'n' has 1, 2"
    assert message in _refused(capsys, *options)


def test_calendar_needs_dates(small, capsys):
    options = [*COSTS, "--calendar", "D"]
    assert _refused(capsys, *options, records=RECORDS[:4]) == "--calendar needs --time"
    Path("sales.csv").write_text("sku,date,units\na,7,3\n")
    message = "calendar='D' is a frequency, but time='date' holds whole numbers"
    assert message in _refused(capsys, *options)


def test_too_large(small, monkeypatch, capsys):
    monkeypatch.setattr(_long, "MOST_CELLS", 11)
    message = "sales.csv: 3 instances of up to 4 periods are too many for a table; is a date wrong?"
    assert message in _refused(capsys, *COSTS)
    assert _run(*COSTS, *FAST, "--periods", "3") == 0


def test_missing_and_unwritable_files(small, capsys):
    assert _refused(capsys, *COSTS, sales="none.csv") == "none.csv: No such file or directory"
    Path("folder.csv").mkdir()
    assert "folder.csv, which is a folder" in _refused(capsys, *COSTS, out="folder.csv")
    _refused(capsys, *COSTS, *FAST, out="sales.csv/orders.csv")


def test_written_whole_or_not_at_all(small, monkeypatch, capsys):
    Path("orders.csv").write_text("those of last week")

    def full(self, path, **settings):
        Path(path).write_text("a part")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as context:
        context.setattr(pd.DataFrame, "to_csv", full)
        assert "No space left on device" in _refused(capsys, *COSTS, *FAST)
    assert Path("orders.csv").read_text() == "those of last week"


def test_interrupted(small, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(PretrainedDecisionTransformer, "fit", interrupt)
    assert _run(*COSTS) == 130
    assert capsys.readouterr().err.endswith("interrupted; nothing was written\n")
    assert os.listdir() == ["sales.csv"]


@pytest.mark.parametrize(
    ("module", "out", "message"),
    [
        ("pandas", "orders.csv", "files are read with pandas, which is not installed: pip install"),
        ("pyarrow", "orders.parquet", "Parquet needs pyarrow, which is not installed: pip install"),
    ],
)
def test_without_pandas_or_pyarrow(module, out, message, small, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert message in _refused(capsys, *COSTS, out=out)


# ---------------------------------------------------------------- Parquet, usage, the process


def test_parquet(small, capsys):
    pytest.importorskip("pyarrow", reason="pyarrow is optional: it is needed for Parquet only")
    assert _run(*COSTS, *FAST, "--quiet") == 0
    frame = pd.read_csv("sales.csv", dtype={"sku": str}, keep_default_na=False)
    frame["date"] = pd.to_datetime(frame["date"])
    frame.to_parquet("sales.parquet")
    assert _run(*COSTS, *FAST, "--quiet", sales="sales.parquet", out="orders.parquet") == 0
    orders = pd.read_parquet("orders.parquet").set_index("sku")
    assert orders["level"].dtype == np.int64
    assert_allclose(orders, _orders(), rtol=1e-9)
    assert orders.index.tolist() == list(TABLE)
    frame.assign(sku=[7, 7, 8, 12, 12, 12]).to_parquet("sales.parquet")
    assert _run(*COSTS, *FAST, "--quiet", sales="sales.parquet") == 0
    assert _orders().index.tolist() == ["12", "7", "8"]
    frame.assign(units=["3", "x", "8", "1", "2", "2"]).to_parquet("sales.parquet")
    message = r"column 'units' has 1 cells that are no number \(record 2: 'x'\)"
    assert re.search(message, _refused(capsys, *COSTS, sales="sales.parquet"))
    Path("sales.parquet").write_text(SMALL)
    message = "sales.parquet cannot be read as Parquet"
    assert message in _refused(capsys, *COSTS, sales="sales.parquet")


@pytest.mark.parametrize(
    "arguments",
    [[], ["decide"], ["plan", "sales.csv"], ["decide", "sales.csv", *RECORDS, "--periods", "0"]],
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m sklearn_pttf" in capsys.readouterr().err


def test_help_says_what_becomes_of_records(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["decide", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Records of the same instance in the same period are added up." in text
    for option in vars(_command_options()):
        flag = f"--{option.replace('_', '-')}"
        assert flag in text or option in ("command", "sales")


def test_process(small):
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    given = ["decide", "sales.csv", *RECORDS, *COSTS, "--out", "orders.xls"]
    done = subprocess.run(
        [sys.executable, "-m", "sklearn_pttf", *given],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: --out is orders.xls, whose extension is .xls; ")
    assert "Traceback" not in done.stderr
    assert os.listdir() == ["sales.csv"]
