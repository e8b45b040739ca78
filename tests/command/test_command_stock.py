"""The command line: stock, and what was sold out."""

import numpy as np
import pandas as pd
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import main
from sklearn_pttf.problems import Newsvendor
from support.command import COSTS, FAST, RECORDS, read_orders, refused, run_decide

N, M = 20, 8


@pytest.fixture
def short():
    """Twenty products over eight days, of which stock capped many; table, and stock."""
    rng = np.random.default_rng(0)
    level = rng.gamma(2.0, 10.0, (N, 1)) + 2
    stock = np.rint(1.1 * level) * np.ones((1, M))
    sold = np.minimum(rng.poisson(level, (N, M)), stock)
    labels = pd.Index([f"{k:02d}" for k in range(N)], name="sku")
    frame = pd.DataFrame(sold, labels, pd.date_range("2026-03-02", periods=M))
    long = frame.stack().rename("units").rename_axis(["sku", "date"]).reset_index()
    long["shelf"] = stock.ravel()
    long["gone"] = np.where(long["units"] >= long["shelf"], "true", "False")
    long.to_csv("sales.csv", index=False)
    return sold, stock


def test_decide_reads_stock(short, capsys):
    sold, stock = short
    assert run_decide(*COSTS, *FAST, "--unordered", "--stock", "shelf") == 0
    X, roles = np.hstack([sold, stock]), {"observations": range(M), "stock": range(M, 2 * M)}
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0, **roles), finetune=None).fit(X)
    level, info = pdt.decide(X, return_info=True)
    found = read_orders()
    np.testing.assert_array_equal(found["level"], level)
    assert [text == "True" for text in found["identified"].astype(str)] == info.identified.tolist()
    share, n_beyond = (sold >= stock).mean(), (~info.identified).sum()
    out = capsys.readouterr().out
    assert f"{share:.1%} of periods were sold out" in out
    assert f"what the orders of {n_beyond} of 20 instances are for lies beyond all" in out


def test_what_is_sold_out_is_true_or_false(short, capsys):
    flags = ["--sold-out", "gone"]
    assert run_decide(*COSTS, *FAST, *flags) == 0
    assert "identified" in read_orders()
    # without dates too
    assert run_decide(*COSTS, *FAST, *flags, records=RECORDS[:4]) == 0
    assert "warning" not in capsys.readouterr().err


def test_other_commands_read_it(short, capsys):
    stock = ["--shortage", "4", "--holding", "1", "--lead-time", "1", *FAST]
    told = ["--stock", "shelf", "--out", "orders.csv"]
    assert main(["replenish", "sales.csv", *RECORDS, *stock, *told]) == 0
    assert "identified" in read_orders()
    assert "were sold out" in capsys.readouterr().out
    assert main(["backtest", "sales.csv", *RECORDS, *COSTS, "--origins", "2", *told]) == 0
    plain = pd.read_csv("orders.csv")
    demand = plain[plain["method"] == "SAA"]["demand"].sum()
    sold, stock = short
    out, capped, lower = capsys.readouterr().out, sold >= stock, 1 - sold[:, -2:].sum() / demand
    assert lower > 0
    assert f"{capped.sum()} of 160 periods of instances were sold out ({capped.mean():.1%})." in out
    assert f"Of the 40 that are charged {capped[:, -2:].sum()} were: they" in out
    assert f"demand charged would be {lower:.1%} lower." in out


def test_a_backtest_says_where_nothing_charged_was_sold_out(short, capsys):
    sold, stock = short
    long, told = pd.read_csv("sales.csv"), ["--origins", "1", "--stock", "shelf", "--out", "a.csv"]
    newest = long["date"] == long["date"].max()
    long.assign(shelf=long["shelf"].mask(newest)).to_csv("sales.csv", index=False)
    assert main(["backtest", "sales.csv", *RECORDS, *COSTS, *told]) == 0
    n_capped = (sold >= stock)[:, :-1].sum()
    text = f"{n_capped} of 160 periods of instances were sold out ({n_capped / 160:.1%}), none of"
    assert text in capsys.readouterr().out
    assert main(["backtest", "sales.csv", *RECORDS, *COSTS, *told[:2], *told[4:]]) == 0
    assert "sold out" not in capsys.readouterr().out


def test_infinite_stock_is_never_short(short, capsys):
    told = [*COSTS, *FAST, "--stock", "shelf"]
    long, found = pd.read_csv("sales.csv"), []
    for enough in ("inf", ""):
        shelves = long["shelf"].astype(object).where(long["sku"] % 2 == 0, enough)
        long.assign(shelf=shelves).to_csv("sales.csv", index=False)
        assert run_decide(*told) == 0
        found.append(read_orders())
    pd.testing.assert_frame_equal(*found)
    capsys.readouterr()
    long.assign(units=long["units"].astype(object).where(long.index > 0, "inf")).to_csv(
        "sales.csv", index=False
    )
    assert "column 'units' has 1 cells that are no number" in refused(capsys, *told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stock", "shelf", "--sold-out", "gone"], "give --stock or --sold-out, not both"),
        (["--stock", "units"], "--stock must differ from --instance, --value and --time"),
        (["--stock", "none"], "has no column 'none' (--stock)"),
        (["--stock", "gone"], "column 'gone' has 160 cells that are no number"),
        (["--sold-out", "shelf"], "column 'shelf' has 160 cells neither true nor false"),
    ],
)
def test_bad_stock_is_refused(short, capsys, options, message):
    assert message in refused(capsys, *COSTS, *FAST, *options)
