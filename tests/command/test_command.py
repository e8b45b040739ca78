"""The command line: from a file of sales to a file of orders."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import sklearn_pttf
from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import _parser, main
from sklearn_pttf._command import _inputs, _readers
from sklearn_pttf.problems import Newsvendor
from support.command import COSTS, FAST, RECORDS, SMALL, TABLE, read_orders, refused, run_decide

PACKAGE = Path(sklearn_pttf.__file__).parent

# ---------------------------------------------------------------- what is written


def test_orders(small, capsys):
    assert run_decide(*COSTS, *FAST) == 0
    problem = Newsvendor(4.0, 1.0, ordered=True)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(small)
    level, info = pdt.decide(small, return_info=True)
    orders = read_orders()
    assert orders.index.tolist() == ["00123", "NA", "b"]
    assert orders.columns.tolist() == ["level", "mean", "p10", "p50", "p90", "expected_cost"]
    assert orders["level"].dtype.kind == "i"
    assert_array_equal(orders["level"], level)
    assert_array_equal(orders[["p10", "p50", "p90"]], pdt.predict_quantiles(small, [0.1, 0.5, 0.9]))
    assert_allclose(orders["mean"], info.mean, rtol=1e-9)
    assert_allclose(orders["expected_cost"], info.expected_cost, rtol=1e-9)
    out, err = capsys.readouterr()
    assert "expected saving over sample averages (SAA, each instance on its own): " in out
    assert f": {pdt.score(small):.1%} +- " in out
    assert "with so few instances it is told too high" in out
    assert f"stock {level.sum():.0f} for an expected demand of {info.mean.sum():.4g} " in out
    assert out.splitlines()[0].endswith("orders.csv written")
    assert err.startswith(
        "sales.csv: 6 records, 0 without a value\n"
        "  instances: 3\n"
        "  periods: 4, 0 of them without any sale\n"
        "  zeros: 58.3% of their cells; missing: 0.0%\n"
        "  oldest and newest: 2026-03-02, 2026-03-05\n"
        "  left out: nothing\n"
    )


def test_quiet_and_again(small, capsys):
    assert run_decide(*COSTS, *FAST) == 0
    first = Path("orders.csv").read_bytes()
    capsys.readouterr()
    assert run_decide(*COSTS, *FAST, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert Path("orders.csv").read_bytes() == first


def _table(*options, text=SMALL, records=RECORDS):
    """The table that the command makes of a file."""
    Path("sales.csv").write_text(text)
    parsed = _command_options(*options, records=records)
    return _inputs.read_sales(parsed)[0]


def _command_options(*options, records=RECORDS):
    return _parser().parse_args(
        ["decide", "sales.csv", *records, "--out", "orders.csv", *COSTS, "--quiet", *options]
    )


NAN = np.nan
READINGS = {
    "all periods": ([], TABLE),
    "own periods": (
        ["--offered", "own"],
        {"00123": [3, 0, 0, 5], "NA": [NAN, 8, NAN, NAN], "b": [3, 0, 2, NAN]},
    ),
    "own periods, whenever they were": (
        ["--offered", "own", "--unordered"],
        {"00123": [3, 0, 0, 5], "NA": [NAN, NAN, NAN, 8], "b": [NAN, 3, 0, 2]},
    ),
    "missing": (
        ["--fill", "missing"],
        {"00123": [3, NAN, NAN, 5], "NA": [NAN, 8, NAN, NAN], "b": [3, NAN, 2, NAN]},
    ),
    "newest": (["--periods", "2"], {"00123": [0, 5], "NA": [0, 0], "b": [2, 0]}),
    "weeks": (["--calendar", "W-MON"], {"00123": [8], "NA": [8], "b": [5]}),
    "half days": (
        ["--calendar", "2D", "--offered", "own", "--unordered"],
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
    monkeypatch.setattr(_readers, "CHUNK_LINES", 2)
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


def test_partial_periods(capsys):
    # from a Monday to the Wednesday of the second week
    days = [f"2026-03-{day:02d}" for day in range(2, 12)]
    text = "sku,date,units\n" + "".join(f"a,{day},1\n" for day in days)
    assert_array_equal(_table("--calendar", "W-MON", text=text), [[7]])
    warning = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warning) == 1
    assert warning[0].startswith("warning: sales.csv: --time date covers days from 2026-03-02 to")
    kept = _table("--calendar", "W-MON", "--partial", "keep", text=text)
    assert_array_equal(kept, [[7, 3]])
    assert "warning" not in capsys.readouterr().err


def test_negatives():
    text = SMALL + "b,2026-03-04,-6\n"
    assert _table("--negatives", "clip", text=text).loc["b"].tolist() == [3, 0, 0, 0]
    assert_array_equal(_table("--negatives", "missing", text=text).loc["b"], [3, 0, NAN, 0])


def test_separator_of_the_sales_is_that_of_the_orders(small):
    Path("sales.csv").write_text(SMALL.replace(",", ";"))
    assert run_decide(*COSTS, *FAST, "--quiet") == 0
    assert Path("orders.csv").read_text().startswith("sku;level;mean;")


def test_gaps_are_noted(capsys):
    Path("sales.csv").write_text("sku,date,units\na,2026-03-02,3\na,2026-03-03,3\na,2026-03-07,3\n")
    assert run_decide(*COSTS, *FAST) == 0
    assert "note: dates are 1 to 4 days apart; " in capsys.readouterr().err


# ---------------------------------------------------------------- Parquet, usage, the process


def test_parquet(small, capsys):
    pytest.importorskip("pyarrow", reason="pyarrow is optional: it is needed for Parquet only")
    assert run_decide(*COSTS, *FAST, "--quiet") == 0
    frame = pd.read_csv("sales.csv", dtype={"sku": str}, keep_default_na=False)
    frame["date"] = pd.to_datetime(frame["date"])
    frame.to_parquet("sales.parquet")
    assert run_decide(*COSTS, *FAST, "--quiet", sales="sales.parquet", out="orders.parquet") == 0
    orders = pd.read_parquet("orders.parquet").set_index("sku")
    assert orders["level"].dtype == np.int64
    assert_allclose(orders, read_orders(), rtol=1e-9)
    assert orders.index.tolist() == list(TABLE)
    frame.assign(sku=[7, 7, 8, 12, 12, 12]).to_parquet("sales.parquet")
    assert run_decide(*COSTS, *FAST, "--quiet", sales="sales.parquet") == 0
    assert read_orders().index.tolist() == ["12", "7", "8"]
    frame.assign(units=["3", "x", "8", "1", "2", "2"]).to_parquet("sales.parquet")
    message = r"column 'units' has 1 cells that are no number \(record 2: 'x'\)"
    assert re.search(message, refused(capsys, *COSTS, sales="sales.parquet"))
    Path("sales.parquet").write_text(SMALL)
    message = "sales.parquet cannot be read as Parquet"
    assert message in refused(capsys, *COSTS, sales="sales.parquet")


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
