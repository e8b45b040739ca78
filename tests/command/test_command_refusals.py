"""The command line: bad input ends in one line, and nothing is written."""

import os
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import _long
from support.command import COSTS, FAST, RECORDS, refused, run_decide

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
        r"sales\.csv: column 'units' has 1 cells that are no number "
        r"\(line 5: 'x'\); numbers look like 12 or 3.5",
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
    "negative": (
        "sku,date,units\na,2026-03-02,-3\n",
        r"sales\.csv: column 'units' has 1 cells below 0, in periods that add up to less than 0 "
        r"\(line 2: '-3'\); --negatives clip takes such periods for 0, --negatives missing for not",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(text, message, capsys):
    Path("sales.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert re.search(message, refused(capsys, *COSTS, *FAST))


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
    "limit, stock and packs": (
        ["--limit", "9", "--pack", "6", "--on-hand", "1"],
        "with --on-hand, --pack rounds orders up, beyond --limit: leave one out",
    ),
    "groups alone": (["--groups", "store"], "--groups needs --limit"),
    "limit": (["--limit", "-1"], "--limit must be at least 0; got -1"),
    "infeasible": (["--limit", "9", "--lower", "4"], "limit is 9, but the lower bounds alone need"),
    "cost": (["--underage", "-4"], "underage must be a positive .* got instance '00123': -4.0"),
    "bounds": (
        ["--lower", "cap", "--upper", "1", "--info", "info.csv"],
        r"lower must not exceed upper .* instance 'NA': \[9\. 1\.\], instance 'b'",
    ),
    "pack": (["--pack", "-6"], "pack must be finite and positive; got instance '00123': -6.0"),
    "pack of what is in stock": (
        ["--pack", "-6", "--on-hand", "1"],
        "pack must be at least 0; got instance '00123': -6.0",
    ),
    "minimum": (["--minimum", "-6"], "minimum must be finite and at least 0; got instance '00123'"),
    "calendar": (
        ["--calendar", "fortnight"],
        "--calendar must be a pandas frequency such as 'D'; got 'fortnight'",
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
    assert re.search(message, refused(capsys, *given, *FAST))


def test_other_bad_files_of_instances(small, capsys):
    options = ["--underage", "margin", "--overage", "1", "--info", "info.csv"]
    Path("info.csv").write_text("sku,margin\n00123,1\nb,1\nb,2\n")
    message = r"info\.csv: column 'sku' has 1 labels again \(line 4: 'b'\)"
    assert re.search(message, refused(capsys, *options))
    Path("info.csv").write_text("sku,margin\nb,1\n")
    message = r"info\.csv has no record of 2 instances of sales\.csv: '00123', 'NA'"
    assert re.search(message, refused(capsys, *options))
    Path("info.csv").write_text("sku,cap,store\n00123,1,n\nNA,2,n\nb,1,s\n")
    options = [*COSTS, "--limit", "cap", "--groups", "store", "--info", "info.csv"]
    message = "--limit must be one number a group; group 'n' has 1, 2"
    assert message in refused(capsys, *options)


def test_calendar_needs_dates(small, capsys):
    options = [*COSTS, "--calendar", "D"]
    assert refused(capsys, *options, records=RECORDS[:4]) == "--calendar needs --time"
    Path("sales.csv").write_text("sku,date,units\na,7,3\n")
    message = "--calendar D is a frequency, but --time date holds whole numbers"
    assert message in refused(capsys, *options)


def test_too_large(small, monkeypatch, capsys):
    monkeypatch.setattr(_long, "MOST_CELLS", 11)
    message = "sales.csv: 3 instances of up to 4 periods are too many for a table; is a date wrong?"
    assert message in refused(capsys, *COSTS)
    assert run_decide(*COSTS, *FAST, "--periods", "3") == 0


def test_missing_and_unwritable_files(small, capsys):
    assert refused(capsys, *COSTS, sales="none.csv") == "none.csv: No such file or directory"
    Path("folder.csv").mkdir()
    assert "folder.csv, which is a folder" in refused(capsys, *COSTS, out="folder.csv")
    refused(capsys, *COSTS, *FAST, out="sales.csv/orders.csv")


def test_written_whole_or_not_at_all(small, monkeypatch, capsys):
    Path("orders.csv").write_text("those of last week")

    def full(self, path, **settings):
        Path(path).write_text("a part")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as context:
        context.setattr(pd.DataFrame, "to_csv", full)
        assert "No space left on device" in refused(capsys, *COSTS, *FAST)
    assert Path("orders.csv").read_text() == "those of last week"


def test_interrupted(small, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(PretrainedDecisionTransformer, "fit", interrupt)
    assert run_decide(*COSTS) == 130
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
    assert message in refused(capsys, *COSTS, out=out)


@pytest.mark.parametrize("more", [[], ["--calendar", "D"]])
def test_a_year_that_cannot_be(more, small, capsys):
    Path("sales.csv").write_text(Path("sales.csv").read_text() + "b,2204-03-05,1\n")
    assert refused(capsys, *COSTS, *more) == (
        "sales.csv: column 'date' has 1 dates far from all others (line 8: '2204-03-05'); There is "
        "no record in the 178 years between 2026-03-05 and 2204-03-05; is a date wrong?"
    )


def test_frequencies_of_last_days_in_words_of_options(small, capsys):
    assert refused(capsys, *COSTS, "--calendar", "ME") == (
        "sales.csv: --calendar ME is the frequency of the last day of periods, but a period begins "
        "at its date; --calendar MS has the same periods by their first days."
    )
