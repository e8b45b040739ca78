"""`from_long` against hand tables and a slow reference."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from support.frames import to_polars
from support.long_tables import ARGS, TIMED, check, check_both, parts, sales, shop

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NAN = np.nan
FEW = settings(max_examples=60, deadline=None)

# ---- from_long: hand tables


def test_dates_of_the_file_are_the_calendar():
    # nobody sold anything on day 3, so without a calendar that day does not exist
    check_both(shop(), ["milk", "tea"], [[NAN, 10, 9], [3, 0, 5]], **TIMED)


def test_fill_missing():
    check_both(shop(), ["milk", "tea"], [[NAN, 10, 9], [3, NAN, 5]], **TIMED, fill="missing")


def test_calendar_of_a_frequency():
    table = [[NAN, NAN, 10, 9], [3, 0, 0, 5]]
    check_both(shop(), ["milk", "tea"], table, **TIMED, calendar="D")


def test_calendar_counts_from_the_first_date_of_the_file():
    frame = sales(product=["a", "a", "b"], units=[1, 2, 3])
    frame["day"] = ["2024-03-01", "2024-03-07", "2024-03-03"]
    table = [[1, 0, 0, 2], [NAN, NAN, NAN, 3]]
    check_both(frame, ["a", "b"], table, **TIMED, calendar="2D")


def test_calendar_of_weeks():
    frame = sales(
        product=["a", "a", "b"], day=["2024-03-04", "2024-03-25", "2024-03-11"], units=[1, 2, 3]
    )
    table = [[1, 0, 0, 2], [NAN, NAN, NAN, 3]]
    check_both(frame, ["a", "b"], table, **TIMED, calendar="W-MON")


@pytest.mark.parametrize(
    "calendar",
    [
        ["2024-03-05", "2024-03-01", "2024-03-04", "2024-03-02", "2024-03-01"],
        [dt.date(2024, 3, day) for day in (1, 2, 4, 5)],
        np.array(["2024-03-01", "2024-03-02", "2024-03-04", "2024-03-05"], dtype="datetime64[D]"),
        pd.DatetimeIndex(["2024-03-01", "2024-03-02", "2024-03-04", "2024-03-05"]),
        pl.Series([dt.datetime(2024, 3, day) for day in (1, 2, 4, 5)]),
    ],
    ids=["strings", "dates", "numpy", "pandas", "polars"],
)
def test_calendar_of_dates_covers_every_instance(calendar):
    table = [[10, 9, 0, 0], [3, 0, 5, 0]]
    check_both(shop(), ["milk", "tea"], table, **TIMED, calendar=calendar)
    table = [[10, 9, NAN, NAN], [3, NAN, 5, NAN]]
    check_both(shop(), ["milk", "tea"], table, **TIMED, calendar=calendar, fill="missing")


def test_offered():
    everywhere = [[NAN, NAN, 10, 9], [3, 0, 0, 5]], [[10, 9, 0, 0], [3, 0, 0, 5]]
    days = [f"2024-03-0{day}" for day in (1, 2, 3, 4)]
    for calendar in ("D", days):
        for offered, table in zip(("own", "all"), everywhere, strict=True):
            check_both(shop(), ["milk", "tea"], table, **TIMED, calendar=calendar, offered=offered)
    check_both(shop(), ["milk", "tea"], [[10, 9, 0], [3, 0, 5]], **TIMED, offered="all")


def test_width_keeps_the_newest():
    check_both(shop(), ["milk", "tea"], [[10, 9], [0, 5]], **TIMED, width=2)
    check_both(shop(), ["milk", "tea"], [[9], [5]], **TIMED, width=np.int64(1))


def test_width_pads_on_the_left():
    table = [[NAN, NAN, NAN, 10, 9], [NAN, NAN, 3, 0, 5]]
    check_both(shop(), ["milk", "tea"], table, **TIMED, width=5)


def test_without_time_the_file_is_in_order():
    table = [[7, 10, 2], [NAN, 5, 3]]
    check_both(shop(), ["milk", "tea"], table, **ARGS)
    check_both(shop(), ["milk", "tea"], [[10, 2], [5, 3]], **ARGS, width=2)


def test_missing_values_stay_missing():
    frame = sales(
        product=["a", "a", "a", "b", "b", "c"],
        day=[1, 2, 3, 1, 3, 2],
        units=[4.0, NAN, 6.0, NAN, NAN, NAN],
    )
    table = [[4, NAN, 6], [NAN, 0, NAN], [NAN, NAN, NAN]]
    check_both(frame, ["a", "b", "c"], table, **TIMED)
    table = [[4, NAN, 6], [NAN, NAN, NAN], [NAN, NAN, NAN]]
    check_both(frame, ["a", "b", "c"], table, **ARGS)


def test_sum_with_a_missing_part_is_missing():
    frame = sales(product=["a", "a", "a"], day=[1, 1, 2], units=[4.0, NAN, 6.0])
    check_both(frame, ["a"], [[NAN, 6]], **TIMED)


def test_sums_do_not_depend_on_the_order_of_records():
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit
    units = [0.1, 0.2, 0.3]
    frame = sales(product=["a"] * 3, day=[1] * 3, units=units)
    for source in (frame, to_polars(frame)):
        forth = parts(from_long(source, **TIMED))[2]
        back = parts(from_long(source[::-1], **TIMED))[2]
        assert forth[0, 0] == back[0, 0] == pytest.approx(0.6)


def test_order_of_a_long_file_is_kept():
    labels = np.random.default_rng(0).integers(0, 3, size=3000)
    frame = sales(product=labels, units=np.arange(3000))
    for source in (frame, to_polars(frame)):
        _, _, values = parts(from_long(source, **ARGS))
        for label, row in enumerate(values):
            assert_array_equal(row[~np.isnan(row)], np.flatnonzero(labels == label))


def test_negatives_are_settled_on_sums():
    frame = sales(product=["a", "a", "a", "b"], day=[1, 1, 2, 2], units=[5, -2, -1, 4])
    table = [[3, 0], [NAN, 4]]
    check_both(frame, ["a", "b"], table, **TIMED, negatives="clip")
    table = [[3, NAN], [NAN, 4]]
    check_both(frame, ["a", "b"], table, **TIMED, negatives="missing")
    table = [[5, 0, 0], [NAN, NAN, 4]]
    check_both(frame, ["a", "b"], table, **ARGS, negatives="clip")


# ---- from_long: without the other library


def test_polars_needs_no_pandas(monkeypatch):
    frame = to_polars(shop())
    calendar = [f"2024-03-0{day}" for day in (1, 2, 3, 4)]
    monkeypatch.setitem(sys.modules, "pandas", None)
    result = from_long(frame, **TIMED, calendar=calendar)
    assert result.rows() == [("milk", 10, 9, 0, 0), ("tea", 3, 0, 0, 5)]
    with pytest.raises(ImportError, match="calendar='D' is a frequency, which needs pandas"):
        from_long(frame, **TIMED, calendar="D")


def test_import_needs_no_data_frames():
    script = (
        "import sys; sys.modules['pandas'] = sys.modules['polars'] = None\n"
        "from sklearn_pttf.datasets import load_horse_kicks\n"
        "print(int(load_horse_kicks().data.sum()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "196"


# ---- from_long: against a slow reference


def reference(records, fill, calendar, negatives, width):
    """``{label: row}`` by plain loops over records ``(label, day, value)``."""
    cells = {}
    for label, day, units in records:
        row = cells.setdefault(label, {})
        row[day] = row.get(day, 0.0) + (NAN if units is None else units)
    days_of_file = {day for _, day, _ in records}
    rows = {}
    for label in sorted(cells):
        row = cells[label]
        days = range(1, 10) if calendar == "all" else range(min(row), max(row) + 1)
        if calendar is None:
            days = [day for day in days if day in days_of_file]
        out = []
        for day in days:
            units = row.get(day, 0.0 if fill == "zero" else NAN)
            if units < 0:
                units = 0.0 if negatives == "clip" else NAN
            out.append(units)
        rows[label] = out
    width = width or max(map(len, rows.values()))
    return {label: ([NAN] * width + row)[-width:] for label, row in rows.items()}


FIRST_DAY = dt.date(2024, 2, 26)
RECORDS = st.lists(
    st.tuples(
        st.sampled_from("abcde"), st.integers(1, 9), st.one_of(st.none(), st.integers(-3, 9))
    ),
    min_size=1,
    max_size=40,
)


def frames(records):
    labels, days, units = map(list, zip(*records, strict=True))
    dates = [FIRST_DAY + dt.timedelta(days=day) for day in days]
    columns = {"product": labels, "day": dates, "units": units}
    pandas_frame = pd.DataFrame(columns | {"units": pd.array(units, dtype="Float64")})
    schema = {"product": pl.String, "day": pl.Date, "units": pl.Int64}
    return pandas_frame, pl.DataFrame(columns, schema=schema)


@settings(max_examples=150, deadline=None)
@given(
    records=RECORDS,
    fill=st.sampled_from(["zero", "missing"]),
    calendar=st.sampled_from([None, "D", "all"]),
    negatives=st.sampled_from(["clip", "missing"]),
    width=st.one_of(st.none(), st.integers(1, 12)),
)
def test_equals_the_slow_reference(records, fill, calendar, negatives, width):
    expected = reference(records, fill, calendar, negatives, width)
    options = {"fill": fill, "negatives": negatives, "width": width}
    dates = [FIRST_DAY + dt.timedelta(days=day) for day in range(1, 10)]
    for frame in frames(records):
        result = from_long(
            frame, **TIMED, **options, calendar=dates if calendar == "all" else calendar
        )
        check(result, list(expected), list(expected.values()))


@pytest.mark.filterwarnings("ignore:value='units' has")  # cells far beyond others
@FEW
@given(
    records=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.floats(-1e6, 1e6)),
        min_size=1,
        max_size=30,
    ),
    random=st.randoms(use_true_random=False),
)
def test_order_of_records_does_not_matter(records, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    for one, other in zip(float_frames(records), float_frames(shuffled), strict=True):
        expected = parts(from_long(one, **TIMED, negatives="missing"))
        got = parts(from_long(other, **TIMED, negatives="missing"))
        assert got[:2] == expected[:2]
        assert_array_equal(got[2], expected[2])


def float_frames(records):
    labels, days, units = map(list, zip(*records, strict=True))
    columns = {"product": labels, "day": days, "units": units}
    return pd.DataFrame(columns), pl.DataFrame(columns)


@FEW
@given(
    records=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.integers(0, 99)), min_size=1
    )
)
def test_zeros_change_no_total(records):
    totals = {}
    for label, _, units in records:
        totals[label] = totals.get(label, 0) + units
    for frame in float_frames(records):
        for calendar in (None, range(0, 8)):
            labels, _, values = parts(from_long(frame, **TIMED, calendar=calendar))
            assert dict(zip(labels, np.nansum(values, axis=1), strict=True)) == totals


@FEW
@given(records=RECORDS, width=st.integers(1, 12))
def test_width_takes_the_last_columns(records, width):
    for frame in frames(records):
        _, _, full = parts(from_long(frame, **ARGS, negatives="clip"))
        _, _, some = parts(from_long(frame, **ARGS, negatives="clip", width=width))
        padded = np.hstack([np.full((len(full), width), NAN), full])
        assert_array_equal(some, padded[:, -width:])
