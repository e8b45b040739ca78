"""Options of the command line, and calls of it."""

import os

import pandas as pd

from sklearn_pttf.__main__ import _parser, main
from sklearn_pttf._command._inputs import read_sales

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


def run_decide(*options, sales="sales.csv", records=RECORDS, out="orders.csv"):
    return main(["decide", sales, *records, "--out", out, *options])


def read_orders(path="orders.csv"):
    return pd.read_csv(path, dtype={"sku": str}, keep_default_na=False).set_index("sku")


def refused(capsys, *options, **settings):
    """The one line of an error; nothing is written."""
    before = sorted(os.listdir())
    assert run_decide(*options, **settings) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *progress, line = err.splitlines()
    assert line.startswith("error: ")
    assert not any(each.startswith("error: ") for each in progress)
    assert sorted(os.listdir()) == before
    return line.removeprefix("error: ")


def table_of(sales, *options, records=RECORDS):
    """The table that the command makes of a file."""
    argv = ["decide", sales, *records, "--out", "orders.csv", *COSTS, *options]
    return read_sales(_parser().parse_args(argv))[0]
