"""The command line: cells far beyond all others, and numbers that are too large."""

import re
from pathlib import Path

import numpy as np
import pytest

from sklearn_pttf.model_selection._backtest_result import _signed
from support.command import COSTS, FAST, read_orders, refused, run_decide, table_of

DAYS = [f"2026-03-{day:02d}" for day in range(1, 13)]


def write_sales(wild=None, factor=1):
    units = np.random.default_rng(0).poisson(20, (12, 12)) * factor
    lines = [
        f"p{row:02d},{day},{wild if wild and (row, k) == (3, 2) else units[row, k]}"
        for row in range(12)
        for k, day in enumerate(DAYS)
    ]
    Path("sales.csv").write_text("\n".join(["sku,date,units", *lines]))


def test_a_wild_cell(capsys):
    write_sales(9_999_999)
    assert run_decide(*COSTS, *FAST) == 0
    out, err = capsys.readouterr()
    told = "warning: sales.csv: --value units has 1 values far beyond all others: 9999999 of 'p03' "
    assert f"{told}on 2026-03-03, which is " in err
    assert "--wild missing leaves them out." in err
    assert "expected saving" not in out
    assert re.search(
        r"no saving over sample averages \(SAA\) can be told: .* costs .* 'p03'; is a cell", out
    )
    assert run_decide(*COSTS, *FAST, "--wild", "missing") == 0
    out, err = capsys.readouterr()
    assert "They are left out." in err
    assert "expected saving over sample averages" in out
    assert read_orders()["level"].max() < 100
    assert np.isnan(table_of("sales.csv", "--wild", "missing").loc["p03"].iloc[2])


def test_units_that_are_too_large(capsys):
    write_sales(factor=10**18)
    message = refused(capsys, *COSTS)
    assert "--value units has 144 cells that are too large among 144" in message
    assert "Numbers must be at most 2**53 in size; give them in a larger unit." in message


def test_orders_are_whole_only_where_such_a_number_is():
    write_sales(factor=10**14)
    assert run_decide(*COSTS, *FAST, "--quiet", "--horizon", "7") == 0
    assert read_orders()["level"].min() > 2**53  # of seven periods


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.5, "+50.0 %"), (-0.5, "-50.0 %"), (-10037.6, "< -1000 %"), (20.0, "> 1000 %")],
)
def test_shares_of_next_to_nothing_are_not_printed(share, told):
    assert _signed(share) == told
