"""The command line: promotions and plans, seasons, holidays, and what was found of them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.__main__ import _parser, main
from sklearn_pttf._command import _decide, _inputs
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf.datasets import calendar_drivers, from_long
from sklearn_pttf.problems import Newsvendor
from support.command import COSTS, FAST, RECORDS, read_orders, refused, run_decide

N, M, H = 30, 8, 2
PERIODS = pd.date_range("2026-03-08", periods=M + H).strftime("%Y-%m-%d")


@pytest.fixture
def promotions():
    """Thirty products over eight days, of which a promotion sells three times as much."""
    rng = np.random.default_rng(0)
    on = rng.random((N, M + H)) < 0.3
    price = rng.uniform(2, 9, (N, 1)) * np.where(rng.random((N, M + H)) < 0.3, 0.8, 1.0)
    sold = rng.poisson(rng.gamma(3, 8, (N, 1)) * 3.0**on)
    index = pd.MultiIndex.from_product([[f"{k:02d}" for k in range(N)], PERIODS])
    frame = pd.DataFrame(
        {"units": sold.ravel(), "promo": on.ravel(), "price": price.round(2).ravel()},
        index=index.set_names(["sku", "date"]),
    ).reset_index()
    coming = frame["date"] > PERIODS[M - 1]
    sales, plan = frame[~coming], frame[coming].drop(columns="units")
    sales.to_csv("sales.csv", index=False)
    plan.to_csv("plan.csv", index=False)
    return sales, plan


def _in_python(sales, **more):
    """What the command should make of the files."""
    return from_long(
        sales,
        instance="sku",
        value="units",
        time="date",
        offered="all",
        horizon=H,
        return_roles=True,
        **more,
    )


def _read(*options):
    """What it makes of them."""
    given = ["decide", "sales.csv", *RECORDS, *COSTS, "--out", "o.csv", "--horizon", "2", *options]
    return _inputs.read_sales(_parser().parse_args(given))


def _check_read(found, expected):
    assert_frame_equal(found[0], expected[0])
    assert found[1] == expected[1] | {"seasons": "auto"}


PLANNED = ["--horizon", "2", "--drivers", "promo", "price", "--future", "plan.csv"]


def test_a_plan(promotions, capsys):
    sales, plan = promotions
    assert run_decide(*COSTS, *FAST, *PLANNED, "--seasons", "7") == 0
    X, roles = _in_python(sales, drivers=["promo", "price"], future=plan)
    problem = Newsvendor(4.0, 1.0, **roles, seasons=7)
    pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    assert_array_equal(read_orders()["level"], pdt.decide(X))
    out, err = capsys.readouterr()
    assert f"  instances: {N}\n" in err
    assert f"  periods: {M}, 0 of them without any sale; with promo, price\n" in err
    assert "warning" not in err
    factor, low, high = re.search(r"promo x (\S+) \((\S+) to (\S+)\)", out).groups()
    assert float(low) < float(factor) < float(high)
    assert_allclose(float(factor), 3.0, rtol=0.1)
    assert ", by deciding the newest 4 periods, 2 at a time, from what was known before, on " in out


class _Rolled:
    """An estimator of which costs on the newest periods are known."""

    def __init__(self, costs, horizon=1):
        self.costs, self.problem_ = costs, Newsvendor(horizon=horizon)

    def _read_as_it_is(self, X):
        return Portfolio(X.to_numpy(), ordered=True)

    def _rolled_costs(self, portfolio):
        return self.costs


def test_what_is_saved_over_periods():
    """One of two periods saves half on all rows, the other nothing: 3 of 12, and which is chance.

    Off that are 0.5 in three cells and -0.5 in three: of periods 2 (1.5^2 + 1.5^2) = 9, of rows 0,
    and of cells 6 / 4 are in both.
    """
    X = pd.DataFrame(np.ones((3, 4)))
    half, none = np.array([[1.0] * 3, [2.0] * 3]), np.full((2, 3), 2.0)
    line = _decide._saving(_Rolled([half, none]), X, 0)
    assert (
        f"{3 / 12:.1%} +- {np.sqrt(9 - 1.5) / 12:.1%}, by deciding the newest 2 periods f" in line
    )
    line = _decide._saving(_Rolled([half], horizon=4), X, 0)
    told = (
        "by deciding the newest 4 periods from what was known before (once, which tells little), "
    )
    assert f"50.0% +- 0.0%, {told}on 3 instances" in line


def test_a_plan_of_periods_only(promotions):
    sales, _ = promotions
    fair = pd.DataFrame({"date": PERIODS, "fair": ["no", "yes"] * ((M + H) // 2)})
    fair.to_csv("plan.csv", index=False)
    found = _read("--drivers", "fair", "--future", "plan.csv")
    _check_read(found, _in_python(sales, drivers=["fair"], future=fair))


def test_weekdays_and_holidays(promotions, capsys):
    pytest.importorskip("holidays", reason="holidays is optional: countries need it")
    sales, _ = promotions
    names = ["weekday", "month", "days", "holidays=IE"]  # Saint Patrick is in the coming periods
    found = _read("--calendar", "D", "--calendar-drivers", *names)
    told = {"weekday": True, "month": True, "days_in_month": True, "holidays": "IE"}
    frame = calendar_drivers(PERIODS, time="date", **told, holiday_names=False)
    with pytest.warns(UserWarning, match="'month' is 'March' in all past periods"):
        expected = _in_python(sales, calendar="D", drivers=list(frame.columns[1:]), future=frame)
    _check_read(found, expected)
    assert found[0]["holiday_next2"].tolist() == [1.0] * N  # March 17
    assert "warning: sales.csv: --drivers: 'month' is 'March' in all p" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "seasons"),
    [([], "auto"), (["auto"], "auto"), (["none"], None), (["7"], (7,)), (["7", "4"], (7, 4))],
)
def test_seasons_that_are_asked_for(promotions, given, seasons):
    assert _read(*(["--seasons", *given] if given else []))[1]["seasons"] == seasons


def test_what_is_not_known_of_coming_periods(promotions, capsys):
    assert run_decide(*COSTS, *FAST, "--drivers", "promo") == 0
    told = "warning: --drivers 'promo' are not known for any coming period"
    assert told in capsys.readouterr().err


def test_without_an_order(promotions, capsys):
    sales, _ = promotions
    assert run_decide(*COSTS, *FAST, "--unordered") == 0
    X = from_long(sales, instance="sku", value="units", time="date", offered="all")
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X)
    assert_array_equal(read_orders()["level"], pdt.decide(X))
    assert " leave-one-out on " in capsys.readouterr().out


def test_periods_that_do_not_differ(capsys):
    Path("sales.csv").write_text(
        "sku,date,units\n" + "".join(f"{k},{d},{k + 3}\n" for k in range(9) for d in range(1, 7))
    )
    assert run_decide(*COSTS, *FAST) == 0
    told = "over 6 periods: no sign that they differ by more than chance; all count alike\n"
    assert told in capsys.readouterr().out


SALES = "sku,date,units,promo,sky\na,7,3,0,rain\nb,7,4,1,sun\na,8,5,1,sun\nb,8,2,0,\n"
PLAN = "sku,date,promo,sky\na,9,1,rain\nb,9,0,sun\na,10,0,sun\nb,10,0,sun\n"
PROMO = ["--drivers", "promo", "--future", "plan.csv"]
REFUSED = {
    "no column": (["--drivers", "prize"], r"--drivers prize is no column of sales\.csv, where"),
    "not planned": (
        ["--drivers", "units2", "promo", "--future", "plan.csv"],
        r"--drivers units2 is no column of --future plan\.csv, where every driver must be one",
    ),
    "value": (["--drivers", "units"], "differ from each other and from --instance, .*; got units"),
    "twice": (["--drivers", "promo", "promo"], "differ from each other .*; got promo"),
    "plan alone": (["--future", "plan.csv"], "--future needs --drivers"),
    "no periods": (
        [*PROMO, "--horizon", "3"],
        r"plan\.csv must have lines of --horizon 3 periods after the last one of the calendar, 8; "
        "got 2: 9, 10",
    ),
    "too far": ([*PROMO, "--horizon", "101"], "horizon must be a whole number from 1 to 100"),
    "calendar": (["--calendar-drivers", "month"], "--calendar-drivers needs --calendar"),
    "numbers": (
        ["--calendar", "D", "--calendar-drivers", "month"],
        "--calendar-drivers needs dates, but --time date holds numbers of periods",
    ),
    "unknown": (
        ["--calendar", "D", "--calendar-drivers", "moon"],
        "--calendar-drivers must be some of weekday, month, days, holidays=COUNTRY; got moon",
    ),
    "two sorts": (
        ["--seasons", "auto", "7"],
        "--seasons must be numbers, auto or none; got auto 7",
    ),
    "no order": (["--seasons", "7", "--unordered"], "--seasons needs the order of periods: giv"),
    "out": ([*PROMO, "--out", "plan.csv"], r"--out is plan\.csv, which is read from"),
    "extension": (["--drivers", "promo", "--future", "plan.xls"], r"--future is plan\.xls, whose"),
    "no file": (["--drivers", "promo", "--future", "no.csv"], r"no\.csv: No such file"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(options, message, capsys):
    Path("sales.csv").write_text(SALES)
    Path("plan.csv").write_text(PLAN)
    assert re.search(message, refused(capsys, *COSTS, *FAST, *options))


BAD_PLANS = {
    "no time": ("sku,promo\na,1\n", r"plan\.csv has no column 'date' \(--time\)"),
    "two lines": (PLAN + "a,9,0,sun\n", r"plan\.csv has 2 lines of instance 'a' and period 9"),
    "a period": (
        "sku,date,promo\na,9,1\nb,9,0\n",
        r"plan\.csv must have lines of --horizon 2 periods after .* 8; got 1: 9",
    ),
    "other instances": (
        PLAN.replace("a,", "x,").replace("b,", "y,"),
        r"--instance sku of plan\.csv has no label that sales\.csv has, but 'x', 'y'; in "
        r"sales\.csv they are like 'a'",
    ),
    "dates": (PLAN.replace(",9,", ",2026-03-09,"), r"plan\.csv: column 'date' has 2 cells"),
    "infinite": (
        PLAN.replace("9,1", "9,inf"),
        r"plan\.csv: column 'promo' has 1 infinite cells \(line 2: 'inf'\); drivers are finite",
    ),
    "text": (
        PLAN.replace("9,1", "9,on"),
        r"--drivers: 'promo' is numbers in sales\.csv and text in plan\.csv; it must be of one",
    ),
    "columns": (PLAN.replace("sky", "promo"), r"plan\.csv has 2 columns 'promo' \(--drivers\)"),
}


@pytest.mark.parametrize(("plan", "message"), BAD_PLANS.values(), ids=BAD_PLANS)
def test_bad_plans(plan, message, capsys):
    Path("sales.csv").write_text(SALES)
    Path("plan.csv").write_text(plan)
    assert re.search(message, refused(capsys, *COSTS, *FAST, *PROMO, "--horizon", "2"))


def test_drivers_that_the_calendar_has_too(promotions, capsys):
    frame = pd.DataFrame({"date": PERIODS, "month": np.arange(M + H)})
    frame.to_csv("plan.csv", index=False)
    given = ["--drivers", "month", "--future", "plan.csv", "--horizon", "2", "--calendar", "D"]
    told = "--drivers and --calendar-drivers both have month; rename a column"
    assert refused(capsys, *COSTS, *given, "--calendar-drivers", "month", "days") == told


def test_points_among_decimal_commas_are_no_numbers(capsys):
    lines = [f'a,{k},3,"{k},5"' for k in range(1, 40)] + ["b,1,4,3.5"]
    Path("sales.csv").write_text("\n".join(["sku,date,units,price", *lines]))
    message = r"'price' has 1 cells that are no number \(line 41: '3\.5'\); a driver is all numbe"
    assert re.search(message, refused(capsys, *COSTS, "--drivers", "price"))


@pytest.mark.parametrize("text", ["1", "0", "-7", "7.5", "yearly"])
def test_seasons(text, capsys):
    with pytest.raises(SystemExit):
        main(["decide", "sales.csv", *RECORDS, *COSTS, "--out", "o.csv", f"--seasons={text}"])
    told = f"must be whole numbers of periods above 1, auto, or none; got {text}"
    assert told in capsys.readouterr().err
