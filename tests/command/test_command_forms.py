"""The command line: files as people have them, in all dialects; what is guessed is said."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf._command._readers import extension
from sklearn_pttf.datasets._numbers import read_numbers
from support.command import COSTS, FAST, SMALL, TABLE, read_orders, refused, run_decide, table_of

GERMAN = "sku;date;units\nä;2026-03-02;1.234,5\nä;2026-03-03;0,25\nb;2026-03-02;12\n"
SWISS = "sku,date,units\na,2026-03-02,1'600\na,2026-03-03,2\n"
FRENCH = "sku\tdate\tunits\na\t2026-03-02\t1\u202f600,5\na\t2026-03-03\t2\n"
DIALECTS = {
    "decimal comma": (
        GERMAN.encode("latin-1"),
        "sales.csv",
        {"b": [12, 0], "ä": [1234.5, 0.25]},
        "semicolon, cp1252, decimal comma in units, point between thousands in units",
    ),
    "UTF-16": (SMALL.encode("utf-16"), "sales.csv", TABLE, "utf-16"),
    "UTF-16 without a mark": (SMALL.encode("utf-16-le"), "sales.txt", TABLE, "utf-16-le"),
    "a mark": (SMALL.encode("utf-8-sig"), "sales.csv", TABLE, None),
    "gz": (gzip.compress(SMALL.encode()), "sales.csv.gz", TABLE, None),
    "tabs": (SMALL.replace(",", "\t").encode(), "sales.tsv", TABLE, None),
    "text": (SMALL.replace(",", "|").encode(), "sales.TXT", TABLE, "bar"),
    "a line for Excel": (
        b"sep=;\r\n" + SMALL.replace(",", ";").encode(),
        "sales.csv",
        TABLE,
        "semicolon",
    ),
    "blanks": (
        FRENCH.encode(),
        "sales.tsv",
        {"a": [1600.5, 2]},
        "decimal comma in units, blank between",
    ),
    "apostrophes": (SWISS.encode(), "sales.csv", {"a": [1600, 2]}, "apostrophe between thousands"),
}
DIALECTS["commas in a header"] = (
    "\n".join(
        line + (';"a, b, c, d"' if k == 0 else ";x")
        for k, line in enumerate(SMALL.replace(",", ";").split())
    ).encode(),
    "sales.csv",
    TABLE,
    "semicolon",
)


@pytest.mark.parametrize(
    ("content", "name", "expected", "guessed"), DIALECTS.values(), ids=DIALECTS
)
def test_dialects(content, name, expected, guessed, capsys):
    Path(name).write_bytes(content)
    table = table_of(name)
    assert table.index.tolist() == list(expected)
    assert_array_equal(table, list(expected.values()))
    err = capsys.readouterr().err
    if guessed is None:
        assert "guessed" not in err
    else:
        assert f"{name}: guessed {guessed}" in err


THOUSANDS = ["1.600", "1,600"]


@pytest.mark.parametrize("cell", THOUSANDS)
@pytest.mark.parametrize("other", ["3", "2.500", "1.25"])
def test_what_may_be_thousands_is_refused_until_told(cell, other, capsys):
    if "," in cell:
        other = other.replace(".", ",")
    Path("sales.csv").write_text(f"sku;date;units\na;2026-03-02;{cell}\na;2026-03-03;{other}\n")
    sign = cell[1]
    message = refused(capsys, *COSTS, *FAST)
    assert "cells that may be thousands (line 2: " in message
    assert f"{cell!r} may be 1.6 or 1600: --decimal {sign} says the one, and --th" in message
    assert table_of("sales.csv", "--decimal", sign).iloc[0, 0] == 1.6
    if len(other) != 4:  # 1.25 is no number of thousands
        told = table_of("sales.csv", "--thousands", sign)
        assert_array_equal(told, [[1600, float(other.replace(sign, ""))]])


NUMBERS = {
    "lengths differ, as programs write them": (["2.5", "1.625"], [2.5, 1.625]),
    "three digits each": (["1.600", "0.750", "12.500"], [1.6, 0.75, 12.5]),
    "twice a sign": (["1.234.567", "1.600"], [1234567, 1600]),
    "both signs": (["1,234.5", "3"], [1234.5, 3]),
    "lakhs": (["1,00,000", "1,600"], [100000, 1600]),
    "a wrong group": (["1,60,00", "5"], [np.nan, 5]),
    "not of points": (["1.60.000"], [np.nan]),
    "both": (["1.5", "1,5", "2.5"], [1.5, np.nan, 2.5]),
    "other signs": (["\u22125", "5.", ".5", "1e3", "0x1F", "True", "1_0", "inf"], None),
}


@pytest.mark.parametrize(("texts", "values"), NUMBERS.values(), ids=NUMBERS)
def test_numbers(texts, values):
    values = values or [-5, 5, 0.5, 1000, np.nan, np.nan, np.nan, np.inf]
    found = read_numbers(texts)
    assert found.doubt is None
    assert_array_equal(found.values, values)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from([".", ","]))
def test_numbers_are_read_as_they_were_written_or_refused(values, decimal):
    found = read_numbers([repr(value).replace(".", decimal) for value in values])
    if found.doubt is None:
        assert_array_equal(found.values, values)
    told = read_numbers([repr(value).replace(".", decimal) for value in values], decimal)
    assert_array_equal(told.values, values)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.sampled_from(".,' "))
def test_thousands_are_read_as_they_were_written_or_refused(values, sign):
    texts = [f"{value:,}".replace(",", sign) for value in values]
    found = read_numbers(texts)
    if found.doubt is None:
        assert_array_equal(found.values, values)
    assert_array_equal(read_numbers(texts, thousands=sign).values, values)


# ---------------------------------------------------------------- what options tell


def test_options_tell_a_form():
    Path("sales.csv").write_bytes("sku,x,date;units\nÿ;2026-03-02;1,000\n".encode("cp1252"))
    given = ["--sep", "semicolon", "--decimal", "comma", "--encoding", "cp1252"]
    records = ["--instance", "sku,x,date", "--value", "units"]
    Path("sales.csv").write_bytes("sku,x,date;units\nÿ;1,000\n".encode("cp1252"))
    table = table_of("sales.csv", *given, records=records)
    assert table.index.tolist() == ["ÿ"]
    assert table.iloc[0, 0] == 1.0


def test_a_wrong_encoding(small, capsys):
    Path("sales.csv").write_bytes("sku,date,units\nä,2026-03-02,1\n".encode("cp1252"))
    message = refused(capsys, *COSTS, "--encoding", "utf8")
    assert message.startswith("sales.csv is no text in utf-8; --encoding names another")
    for flag, value in (("--encoding", "utf-x"), ("--sep", "::"), ("--decimal", "x")):
        with pytest.raises(SystemExit) as caught:
            run_decide(*COSTS, flag, value)
        assert caught.value.code == 2
        assert f"argument {flag}: " in capsys.readouterr().err


def test_a_damaged_gz(capsys):
    Path("sales.csv.gz").write_bytes(gzip.compress(SMALL.encode())[:-20])
    assert "sales.csv.gz cannot be read as gzip" in refused(capsys, *COSTS, sales="sales.csv.gz")
    Path("sales.csv.gz").write_text(SMALL)
    assert "sales.csv.gz cannot be read as gzip" in refused(capsys, *COSTS, sales="sales.csv.gz")


# ---------------------------------------------------------------- Excel, Parquet, and the output


def test_excel(capsys):
    pytest.importorskip("openpyxl", reason="openpyxl is optional: it is needed for Excel only")
    frame = pd.DataFrame(
        {
            "sku": [123, "00123", "=b", "=b"],
            "date": pd.to_datetime(["2026-03-02", "2026-03-02", "2026-03-02", "2026-03-03"]),
            "units": [1.625, 3, "4", 2],
        }
    )
    with pd.ExcelWriter("sales.xlsx") as book:
        frame.to_excel(book, sheet_name="Sales", index=False)
        frame.to_excel(book, sheet_name="Other", index=False)
        for cell in book.sheets["Sales"]["A"]:
            cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    table = table_of("sales.xlsx")
    assert_array_equal(table, [[3, 0], [1.625, 0], [4, 2]])
    assert table.index.tolist() == ["00123", "123", "=b"]
    assert "guessed sheet 'Sales', the first of 2" in capsys.readouterr().err
    frame.loc[1, "units"] = "1.600"
    frame.loc[2:, "sku"] = "b"
    frame.to_excel("sales.xlsx", index=False)
    message = refused(capsys, *COSTS, sales="sales.xlsx")
    assert "cells that may be thousands (row 3: '1.600')" in message
    assert table_of("sales.xlsx", "--thousands", ".").loc["00123"].tolist() == [1600, 0]
    Path("sales.xlsx").write_text(SMALL)
    assert "sales.xlsx cannot be read as Excel" in refused(capsys, *COSTS, sales="sales.xlsx")


def test_numbers_of_parquet_need_no_guess():
    pytest.importorskip("pyarrow", reason="pyarrow is optional: it is needed for Parquet only")
    frame = pd.DataFrame({"sku": "a", "date": ["2026-03-02", "2026-03-03"], "units": [1.625, 3.0]})
    frame.to_parquet("sales.parquet")
    for more in ([], ["--decimal", ","]):
        assert_array_equal(table_of("sales.parquet", *more), [[1.625, 3]])


OUTPUTS = ["orders.csv.gz", "orders.tsv", "orders.txt", "orders.xlsx", "orders.parquet"]


def test_outputs(small, capsys):
    pytest.importorskip("openpyxl", reason="openpyxl is optional")
    pytest.importorskip("pyarrow", reason="pyarrow is optional")
    Path("sales.csv").write_text(SMALL.replace("NA,", "=1+1,"))
    assert run_decide(*COSTS, *FAST, "--quiet") == 0
    expected = read_orders()
    for out in OUTPUTS:
        assert run_decide(*COSTS, *FAST, "--quiet", out=out) == 0
        if out.endswith(".xlsx"):
            found = pd.read_excel(out, dtype={"sku": str}).set_index("sku")
        elif out.endswith(".parquet"):
            found = pd.read_parquet(out).set_index("sku")
        else:
            sep = "\t" if extension(Path(out)) == ".tsv" else ","
            found = pd.read_csv(out, sep=sep, dtype={"sku": str}).set_index("sku")
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    first = Path("orders.csv.gz").read_bytes()
    assert run_decide(*COSTS, *FAST, "--quiet", out="orders.csv.gz") == 0
    assert Path("orders.csv.gz").read_bytes() == first


def test_the_output_is_written_as_the_sales_are():
    Path("sales.csv").write_bytes(GERMAN.encode("latin-1"))
    assert run_decide(*COSTS, *FAST, "--quiet") == 0
    text = Path("orders.csv").read_bytes().decode("utf-8")
    assert text.startswith("\ufeffsku;level;mean;")  # by which Excel knows that it is UTF-8
    assert "." not in text
    frame = pd.read_csv("orders.csv", sep=";", decimal=",")
    assert frame["level"].dtype == float
    assert frame["sku"].tolist() == ["b", "ä"]
