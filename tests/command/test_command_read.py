"""The command line: what was read, in five lines; values below 0, by their lines."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from support.command import COSTS, refused, table_of

WEEKS = """\
sku,date,units
a,2026-03-02,3
a,2026-03-02,3
b,2026-03-09,
a,2026-03-09,0
b,2026-03-30,4
"""


def said(capsys, *options, text=WEEKS):
    Path("sales.csv").write_text(text)
    table_of("sales.csv", *options)
    return capsys.readouterr().err.splitlines()


def test_five_lines(capsys):
    # Mondays of five weeks, of which b sold in the last, and nothing at all in three
    lines = said(capsys, "--calendar", "W-MON")
    assert lines[:6] == [
        "sales.csv: 5 records, 1 without a value",
        "  instances: 2",
        "  periods: 5, 3 of them without any sale",
        "  zeros: 70.0% of their cells; missing: 10.0%",
        "  oldest and newest: 2026-03-02, 2026-03-30; the newest period begins on 2026-03-30",
        "  left out: nothing",
    ]
    assert lines[6:] == [
        "note: 1 of 5 lines repeat another one in all of their columns (line 3 is the first); they "
        "are added up"
    ]


def test_what_was_left_out(capsys):
    assert "  left out: 2 records of other periods" in said(capsys, "--periods", "2")
    days = [f"2026-03-{day:02d}" for day in range(2, 12)]  # to the Wednesday of the second week
    text = "sku,date,units\n" + "".join(f"a,{day},{1 + (day[-1] == '5') * 9**6}\n" for day in days)
    told = "  left out: 3 records of other periods, 1 values far beyond all others"
    assert told in said(capsys, "--calendar", "W-MON", "--wild", "missing", text=text)


def test_without_dates(capsys):
    Path("sales.csv").write_text(WEEKS)
    table_of("sales.csv", records=["--instance", "sku", "--value", "units"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[4:] == ["  oldest and newest: the file has no dates", "  left out: nothing"]
    records = ["--instance", "sku", "--value", "units"]
    table_of("sales.csv", "--periods", "2", records=records)
    assert "  left out: 1 records of other periods" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["a,2026-03-02,5", "a,2026-03-02,-7", "b,2026-03-02,-1"], "2 cells .*line 3: '-7', line"),
        # what is returned on a day of more sales is no accident
        (["a,2026-03-02,5", "a,2026-03-02,-4", "b,2026-03-03,-1"], r"1 cells .*\(line 4: '-1'\)"),
    ],
)
def test_values_below_0_are_named_by_their_lines(lines, told, capsys):
    Path("sales.csv").write_text("\n".join(["sku,date,units", *lines]))
    message = refused(capsys, *COSTS)
    assert "column 'units' has" in message
    assert "below 0, in periods that add up to less than 0" in message
    assert "--negatives clip takes such periods for 0, --negatives missing for not known" in message
    assert re.search(told, message)


def test_hours_of_clock_changes(capsys):
    moments = ["00:30:00+02:00", "01:30:00+02:00", "02:30:00+02:00", "02:30:00+01:00"]
    lines = [f"a,2024-10-27T{moment},5" for moment in [*moments, "03:30:00+01:00"]]
    text = "\n".join(["sku,date,units", *lines])
    assert said(capsys, "--calendar", "h", text=text)[0].startswith(
        "note: dates are +01:00 and +02:00 from UTC, and hours count by the clock; --time-zone"
    )
    assert_array_equal(table_of("sales.csv", "--calendar", "h"), [[5, 5, 10, 5]])
    capsys.readouterr()
    blind = text.replace("0+02:00,", "0,").replace("0+01:00,", "0,")
    assert said(capsys, "--calendar", "h", text=blind)[0].startswith("note: hours count by the cl")
    assert "clock" not in "".join(said(capsys, "--calendar", "W-MON", text=blind))
    Path("sales.csv").write_text(text)
    zone = ["--time-zone", "Europe/Berlin"]
    assert_array_equal(table_of("sales.csv", "--calendar", "h", *zone), [[5, 5, np.nan, 5]])
    err = capsys.readouterr().err
    assert "warning: sales.csv: clocks of Europe/Berlin changed: 2024-10-27T02:00:00" in err
    other = ["--time-zone", "America/New_York"]  # six hours earlier
    assert table_of("sales.csv", "--calendar", "D", *other).shape == (1, 1)
    assert "oldest and newest: 2024-10-26T18:30:00" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        table_of("sales.csv", "--time-zone", "Berlin")
    assert "--time-zone: must be such as Europe/Berlin; got 'Berlin'" in capsys.readouterr().err


def test_lines_that_are_no_product(capsys):
    text = "sku,date,units\na,1,3\nb,1,4\nNaN,1,2\nTotal,1,9\n"
    lines = said(capsys, text=text)
    assert "note: labels that look like missing ones: 'NaN'" in lines
    assert "note: 'Total' sold as much as all others together; is it a line of totals?" in lines
    text = "sku,date,units\na,1,3\nNA,1,4\nc,1,2\nd,1,8\n"
    assert not any(line.startswith("note") for line in said(capsys, text=text))
