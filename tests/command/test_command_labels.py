"""The command line: labels are trimmed, and no product is doubled by its spelling."""

from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.__main__ import main
from support.command import COSTS, FAST, RECORDS, read_orders, refused, run_decide, table_of

DAY = "2026-03-02"
BLANKS = ["a ", "\u00a0a", "\ufeffa", '"a\t"', "a\u3000"]


def sales(*labels):
    lines = [f"{label},{DAY},{k + 1}" for k, label in enumerate(labels)]
    Path("sales.csv").write_text("\n".join(["sku,date,units", *lines]), encoding="utf-8")


@pytest.mark.parametrize("label", BLANKS)
def test_labels_are_trimmed(label):
    sales("a", label)
    table = table_of("sales.csv")
    assert table.index.tolist() == ["a"]
    assert_array_equal(table, [[3]])


def test_letters_with_accents_have_one_form():
    sales("caf\u00e9", "cafe\u0301")
    assert_array_equal(table_of("sales.csv"), [[3]])


@pytest.mark.parametrize("other", ["P 01", "p01", "P\u00a001", "p 01"])
def test_labels_that_differ_in_case_or_blanks(other, capsys):
    sales("P01", other, "P01", "q")
    message = refused(capsys, *COSTS)
    assert "column 'sku' has 1 labels in several spellings that differ only in case or" in message
    assert f"'P01' and {other!r}" in message
    merged = table_of("sales.csv", "--labels", "merge")
    assert merged.index.tolist() == ["P01", "q"]
    assert_array_equal(merged, [[6], [4]])
    kept = table_of("sales.csv", "--labels", "keep")
    assert set(kept.index) == {"P01", other, "q"}


@pytest.mark.parametrize("label", ["", "  ", "\u00a0", '""'])
def test_empty_labels_are_refused(label, capsys):
    sales("a", label)
    assert "column 'sku' has 1 cells without a label (line 3" in refused(capsys, *COSTS)


def test_labels_of_other_files(capsys):
    sales("a", "b")
    info = ["--info", "info.csv", "--underage", "margin", "--overage", "1"]
    Path("info.csv").write_text("sku,margin\nA,4\nb ,2\n")
    message = refused(capsys, *info)
    assert message.startswith("info.csv: column 'sku' has 1 labels that are spelled otherwise")
    assert "(line 2: 'A'); 'A' is 'a' in sales.csv. --labels merge takes them for one" in message
    Path("more.csv").write_text("sku,margin\na,4\nb,2\nNew,3\nnew,3\n")
    more = ["--info", "more.csv", *info[2:]]
    assert "several spellings that differ only in case or blanks: 'New'" in refused(capsys, *more)
    assert run_decide(*info, *FAST, "--labels", "merge", "--quiet") == 0
    assert read_orders().index.tolist() == ["a", "b"]
    assert "has no record of 1 instances" in refused(capsys, *info, "--labels", "keep")


def test_labels_of_plans_and_past_orders(capsys):
    days = pd.date_range(DAY, periods=6).strftime("%Y-%m-%d")
    lines = [f"{label},{day},{k % 3 + 1},{k % 2}" for label in "ab" for k, day in enumerate(days)]
    Path("sales.csv").write_text("\n".join(["sku,date,units,promo", *lines]))
    Path("plan.csv").write_text("sku,date,promo\nA,2026-03-08,1\nb,2026-03-08,0\n")
    plan = ["--drivers", "promo", "--future", "plan.csv"]
    assert "'A' is 'a' in sales.csv" in refused(capsys, *COSTS, *plan)
    table = table_of("sales.csv", *plan, "--labels", "merge")
    assert table["promo_next1"].tolist() == [1, 0]
    Path("past.csv").write_text("sku,date,order\nA,2026-03-07,3\nB,2026-03-07,3\n")
    argv = ["backtest", "sales.csv", *RECORDS, *COSTS, "--origins", "1", "--policy", "past.csv"]
    assert main(argv) == 2
    assert "'A' is 'a' in sales.csv" in capsys.readouterr().err
