"""`from_long`: kinds of columns, and what is refused of them."""

import datetime as dt
import re
import warnings
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import _long, from_long
from support.frames import to_polars
from support.long_tables import ARGS, TIMED, check, check_both, sales, shop

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NAN = np.nan

# ---- from_long: columns


DAYS = [dt.date(2024, 3, 4), dt.date(2024, 3, 2), dt.date(2024, 3, 1), dt.date(2024, 3, 1)]


@pytest.mark.parametrize(
    "days",
    [
        [4, 2, 1, 1],
        [4.0, 2.0, 1.0, 1.0],
        DAYS,
        [dt.datetime(day.year, day.month, day.day) for day in DAYS],
        [str(day) for day in DAYS],
        [f"{day}T00:00:00+02:00" for day in DAYS],
        ["2024-04", "2024-02", "2024-01", "2024-01"],
        ["20240304", "2024-03-02", "2024-03-01", "20240301"],
    ],
    ids=["int", "float", "date", "datetime", "string", "zoned", "month", "mixed"],
)
def test_kinds_of_dates(days):
    frame = sales(product=["a", "a", "a", "b"], day=days, units=[3, 2, 1, 9])
    check_both(frame, ["a", "b"], [[1, 2, 3], [NAN, NAN, 9]], **TIMED)


def test_kinds_of_dates_of_pandas():
    frame = sales(product=["a", "a", "b"], day=["2024-03-05", "2024-03-01", "2024-03-01"])
    frame["units"] = [2, 1, 9]
    stamps = pd.to_datetime(frame["day"])
    calendar = pd.date_range("2024-03-01", "2024-03-05", freq="2D")
    for days in (
        stamps,
        stamps.dt.tz_localize("Europe/Berlin"),
        stamps.dt.to_period("D"),
        frame["day"].astype("category"),
    ):
        result = from_long(frame.assign(day=days), **TIMED, calendar=calendar)
        check(result, ["a", "b"], [[1, 0, 2], [9, 0, 0]])
    weeks = pd.Series([7, 5, 5], dtype="Int64")
    result = from_long(frame.assign(day=weeks), **TIMED, calendar=range(5, 8))
    check(result, ["a", "b"], [[1, 0, 2], [9, 0, 0]])
    result = from_long(frame.assign(day=weeks.astype(object)), **TIMED, calendar=range(5, 8))
    check(result, ["a", "b"], [[1, 0, 2], [9, 0, 0]])


def test_offsets_in_text_count_in_local_time():
    days = ["2024-03-01T00:00:00+02:00", "2024-03-02T00:00:00+01:00"]
    frame = sales(product=["a", "a"], day=days, units=[1, 2])
    check_both(frame, ["a"], [[1, 2]], **TIMED, calendar=["2024-03-01", "2024-03-02"])


def test_time_zones_count_in_local_time():
    # 23:30 and 00:30 in Berlin fall on one day in UTC
    moments = [dt.datetime(2024, 3, 1, 22, 30), dt.datetime(2024, 3, 1, 23, 30)]
    frame = pl.DataFrame({"product": ["a", "a"], "day": moments, "units": [1, 2]})
    local = pl.col("day").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    calendar = [dt.datetime(2024, 3, 1, 23, 30), dt.datetime(2024, 3, 2, 0, 30)]
    check(from_long(frame.with_columns(local), **TIMED, calendar=calendar), ["a"], [[1, 2]])


@pytest.mark.parametrize(
    "units",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.0, 2.0, NAN], dtype="float32"),
        pd.Series([Decimal(1), Decimal("2.0"), None], dtype=object),
        pd.Series(["1", " 2.0", None]),
        pd.Series([True, 2, pd.NA], dtype=object),
    ],
    ids=["nullable", "float32", "decimal", "text", "object"],
)
def test_kinds_of_values_of_pandas(units):
    frame = sales(product=["a", "a", "a"]).assign(units=units)
    check(from_long(frame, **ARGS), ["a"], [[1, 2, NAN]])


@pytest.mark.parametrize(
    "units",
    [
        pl.Series([1, 2, None], dtype=pl.UInt8),
        pl.Series([1.0, 2.0, NAN], dtype=pl.Float32),
        pl.Series([Decimal("1.0"), Decimal("2.0"), None]),
        pl.Series(["1", " 2.0", None]),
        pl.Series([1, 2.0, None], dtype=pl.Object),
    ],
    ids=["nullable", "float32", "decimal", "text", "object"],
)
def test_kinds_of_values_of_polars(units):
    frame = pl.DataFrame({"product": ["a"] * 3, "units": units})
    check(from_long(frame, **ARGS), ["a"], [[1, 2, NAN]])


@pytest.mark.parametrize("units", [[True, False, True], [True, True, False]])
def test_truth_values_count(units):
    check_both(sales(product=["a"] * 3, units=units), ["a"], [units], **ARGS)


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], dtype=object),
        pd.Series([20, 3, 20], dtype="int8"),
        pd.Series([20, 3, 20], dtype="Int64"),
        pd.Series([2.5, 1.5, 2.5]),
        pd.Series([True, False, True]),
        pd.Series(pd.to_datetime(["2024-02-01", "2024-01-01", "2024-02-01"])),
        pd.Series(pd.Categorical(["b", "a", "b"], categories=["c", "a", "b"], ordered=True)),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_keep_their_dtype_in_pandas(labels):
    frame = sales(units=[1, 2, 3]).assign(product=labels)
    result = from_long(frame, **ARGS)
    assert result.index.dtype == labels.dtype
    assert result.index.name == "product"
    assert result.index.tolist() == [labels[1], labels[0]]
    assert_array_equal(result.to_numpy(), [[NAN, 2], [1, 3]])


@pytest.mark.parametrize(
    "labels",
    [
        pl.Series(["b", "a", "b"]),
        pl.Series(["b", "a", "b"], dtype=pl.Categorical),
        pl.Series(["b", "a", "b"], dtype=pl.Enum(["c", "a", "b"])),
        pl.Series([20, 3, 20], dtype=pl.UInt16),
        pl.Series([True, False, True]),
        pl.Series([dt.date(2024, 2, 1), dt.date(2024, 1, 1), dt.date(2024, 2, 1)]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_keep_their_dtype_in_polars(labels):
    result = from_long(pl.DataFrame({"units": [1, 2, 3], "product": labels}), **ARGS)
    assert result.columns == ["product", "lag_2", "lag_1"]
    assert result.schema["product"] == labels.dtype
    # older versions of polars sort a Categorical by first appearance
    assert result["product"].to_list() == labels.unique().sort().to_list()
    rows = {label: row for label, *row in result.rows()}
    assert_array_equal(rows[labels[1]], [NAN, 2])
    assert_array_equal(rows[labels[0]], [1, 3])


def test_labels_that_cannot_be_compared_keep_their_order():
    frame = sales(product=pd.Series(["b", 7, "a", "b"], dtype=object), units=[1, 2, 3, 4])
    check(from_long(frame, **ARGS), ["b", 7, "a"], [[1, 4], [NAN, 2], [NAN, 3]])


def test_column_names_need_not_be_text():
    frame = pd.DataFrame({0: ["a", "a"], 1: [2, 1], 2: [5, 6]})
    check(from_long(frame, instance=0, value=2, time=1), ["a"], [[6, 5]])


def test_index_and_other_columns_play_no_part():
    frame = shop().assign(note=[None, object(), "x", 3, []]).set_index(pd.Index([3, 3, 1, 0, 9]))
    check(from_long(frame, **TIMED), ["milk", "tea"], [[NAN, 10, 9], [3, 0, 5]])


def test_input_is_not_changed():
    frame = shop().assign(units=[5.0, -7.0, NAN, 3.0, 2.0])
    copy, polars_frame = frame.copy(deep=True), to_polars(frame)
    polars_copy = polars_frame.clone()
    for source in (frame, polars_frame):
        for parameters in (ARGS, TIMED):
            from_long(source, **parameters, negatives="clip")
    pd.testing.assert_frame_equal(frame, copy)
    assert polars_frame.equals(polars_copy)


# ---- from_long: errors


def many(bad, **columns):
    """Seven instances p0 to p6 with two records; the bad cell in the first of each."""
    n = 7
    base = {
        "product": [f"p{i}" for i in range(n)] * 2,
        "day": ["2024-03-01"] * n + ["2024-03-02"] * n,
        "units": [1] * (2 * n),
    }
    base[bad[0]] = [bad[1]] * n + base[bad[0]][n:]
    return pd.DataFrame({name: pd.Series(base[name], dtype=object) for name in base})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            ("units", -3),
            r"value='units' has 7 negative cells among 14; first instances: 'p0': -3.0, "
            r"'p1': -3.0, 'p2': -3.0, 'p3': -3.0, 'p4': -3.0, .... Values must not be negative "
            r"under negatives='raise'; negatives='clip' makes them 0, negatives='missing' NaN.",
        ),
        (
            ("units", float("-inf")),
            "value='units' has 7 infinite cells among 14; first instances: 'p0': -inf, "
            "'p1': -inf, 'p2': -inf, 'p3': -inf, 'p4': -inf, .... Values must be finite numbers, "
            "or missing.",
        ),
        (
            ("units", "1,200"),
            "value='units' has 7 cells that are no number among 14; first instances: "
            "'p0': '1,200', 'p1': '1,200', 'p2': '1,200', 'p3': '1,200', 'p4': '1,200', .... "
            "Values must be finite numbers, or missing.",
        ),
        (
            ("units", dt.date(2024, 3, 1)),
            "has 7 cells that are no number among 14; first instances: "
            "'p0': datetime.date(2024, 3, 1), ",
        ),
        (
            ("day", "31.03.2024"),
            "time='day' has 7 unreadable dates among 14; first instances: 'p0': '31.03.2024', "
            "'p1': '31.03.2024', 'p2': '31.03.2024', 'p3': '31.03.2024', 'p4': '31.03.2024', "
            ".... Dates must be dates, datetimes, whole numbers, or ISO 8601 strings",
        ),
        (
            ("day", None),
            "time='day' has 7 missing dates among 14; first instances: 'p0', 'p1', 'p2', 'p3', "
            "'p4', .... Every record needs a date.",
        ),
        (
            ("product", None),
            "instance='product' has no label in 7 of 14 records; every record must say",
        ),
    ],
    ids=["negative", "infinite", "text", "date", "unreadable", "no date", "no label"],
)
def test_bad_cells_are_counted_and_named(bad, message):
    frame = many(bad)
    units = pl.Series("units", frame["units"].tolist(), dtype=pl.Object)
    in_polars = to_polars(frame[["product", "day"]]).with_columns(units)
    for source in (frame, in_polars):
        with pytest.raises(ValueError, match=re.escape(message)):
            from_long(source, **TIMED)


def test_few_offenders_are_all_named():
    frame = sales(product=["a", "b", "b", "c"], day=[1, 1, 2, 1], units=[1, -1, -2, -5])
    message = r"has 3 negative cells among 4; first instances: 'b': -1.0, 'c': -5.0\. Values"
    for source in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=message):
            from_long(source, **TIMED)


def test_infinite_floats_are_refused():
    frame = sales(product=["a", "b", "b"], units=[1.0, np.inf, -np.inf])
    for source in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=r"has 2 infinite cells among 3; .* 'b': inf. Values"):
            from_long(source, **ARGS, negatives="clip")


def test_dates_outside_the_calendar():
    frame = shop()
    message = (
        r"time='day' has 1 dates outside the calendar among 5; first instances: "
        r"'tea': 2024-03-04\. Every date must be in calendar=<list>\."
    )
    for source in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=message):
            from_long(source, **TIMED, calendar=["2024-03-01", "2024-03-02"])


def test_frequencies_are_periods():
    # 2024-03-04 is a Monday
    frame = sales(
        product=["a", "a", "a", "a", "b"],
        day=["2024-03-03", "2024-03-04", "2024-03-10", "2024-03-18", "2024-03-05"],
        units=[1, 2, 3, 4, 9],
    )
    check_both(frame, ["a", "b"], [[1, 5, 0, 4], [NAN, NAN, NAN, 9]], **TIMED, calendar="W-MON")
    check_both(frame, ["a", "b"], [[10], [9]], **TIMED, calendar="MS")
    stamps = frame.assign(day=pd.to_datetime(frame["day"]) + pd.Timedelta("9h30min"))
    for source, daily in ((frame, frame), (stamps, frame)):
        check(
            from_long(source, **TIMED, calendar="D"),
            ["a", "b"],
            from_long(daily, **TIMED, calendar="D").to_numpy(),
        )
    hours = sales(product=["a", "a"], day=[dt.datetime(2024, 3, 1, h, 30) for h in (9, 11)])
    hours["units"] = [1, 2]
    check_both(hours, ["a"], [[1, 0, 2]], **TIMED, calendar="h")


def test_too_many_cells(monkeypatch):
    monkeypatch.setattr(_long, "MOST_CELLS", 7)
    for source in (shop(), to_polars(shop())):
        with pytest.raises(ValueError, match="2 instances of up to 4 periods are too many for a"):
            from_long(source, **TIMED, calendar="D")
        from_long(source, **TIMED, calendar="D", width=4)


def test_times_of_day_need_a_calendar():
    frame = sales(product=["a"], day=[dt.datetime(2024, 3, 1, 10, 30)], units=[1])
    for source in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=r"'a': 2024-03-01T10:30.*give calendar='D'"):
            from_long(source, **TIMED)


def test_time_of_day_is_shown_and_counts():
    frame = sales(product=["a"], day=[dt.datetime(2024, 3, 1, 10, 30)], units=[1])
    with pytest.raises(ValueError, match=r"'a': 2024-03-01T10:30:00\.000000\. Every date"):
        from_long(frame, **TIMED, calendar=["2024-03-01"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fill": "nan"}, r"fill must be one of \('zero', 'missing'\); got 'nan'"),
        ({"fill": 0}, r"fill must be one of .*; got 0"),
        (
            {"negatives": "drop"},
            r"negatives must be one of \('raise', 'clip', 'missing'\); .*'drop'",
        ),
        ({"offered": "always"}, r"offered must be one of \('own', 'all', 'since'\); got 'always'"),
        ({"width": 0}, "width must be a whole number of at least 1, or None; got 0"),
        ({"width": 2.0}, "width must be .*; got 2.0"),
        ({"width": True}, "width must be .*; got True"),
        ({"calendar": "D", "time": None}, "calendar='D' needs time=.*got time=None"),
        ({"calendar": [1, 2], "time": None}, "calendar=<list> needs time="),
        (
            {"instance": "sku"},
            "instance='sku' is the name of 0 columns .* 'product', 'day', 'units'",
        ),
        ({"value": "qty"}, "value='qty' is the name of 0 columns"),
        ({"value": None}, "value=None is the name of 0 columns"),
        ({"time": "date"}, "time='date' is the name of 0 columns"),
        ({"calendar": "fortnight"}, "calendar must be .* pandas frequency.*; got 'fortnight'"),
        ({"calendar": []}, r"calendar must be .* at least one date; got \[\]"),
        ({"calendar": 7}, "calendar must be .* got 7"),
        ({"calendar": [["2024-03-01"], ["2024-03-02"]]}, "calendar must be .* got .."),
        (
            {"calendar": ["2024-03-01", "first of May", ""]},
            "calendar has 2 unreadable dates among 3: 'first of May', ''",
        ),
        ({"calendar": [1, 2]}, "calendar must hold dates, as time='day' does; got whole numbers"),
    ],
)
def test_refused_parameters(parameters, message):
    for frame in (shop(), to_polars(shop())):
        with pytest.raises(ValueError, match=message):
            from_long(frame, **(TIMED | parameters))


def test_refused_calendars_of_whole_numbers():
    frame = sales(product=["a"], day=[3], units=[1])
    with pytest.raises(ValueError, match="calendar='D' is a frequency, but time='day' holds whole"):
        from_long(frame, **TIMED, calendar="D")
    with pytest.raises(ValueError, match="calendar must hold whole numbers, as time='day' does"):
        from_long(frame, **TIMED, calendar=["2024-03-01"])


def test_refused_dates_by_type():
    frame = sales(product=["a", "b"], day=[2.5, np.inf], units=[1, 1])
    with pytest.raises(
        ValueError, match=r"2 unreadable dates among 2; .* 'a': .*2.5.*, 'b': .*inf"
    ):
        from_long(frame, **TIMED)
    with pytest.raises(
        ValueError, match=r"time='day' must hold dates, .*; got values of type bool"
    ):
        from_long(frame.assign(day=[True, False]), **TIMED)


def test_refused_complex_values():
    frame = sales(product=["a", "b"], units=[1.0 + 0.0j, 2.0 + 1.0j])
    with pytest.raises(ValueError, match="has 2 cells that are no number among 2"):
        from_long(frame, **ARGS)


def test_nan_is_no_label():
    frame = sales(product=[1.0, NAN, 1.0], units=[1, 2, 3])
    for source in (frame, to_polars(frame), pl.DataFrame({"product": [1, None, 1], "units": 0})):
        with pytest.raises(ValueError, match="instance='product' has no label in 1 of 3 records"):
            from_long(source, **ARGS)


def test_refused_frames():
    for frame in (shop().iloc[:0], to_polars(shop()).head(0)):
        with pytest.raises(ValueError, match="frame is empty"):
            from_long(frame, **TIMED)
    with pytest.raises(ValueError, match=r"frame must be a pandas or polars .*; got .*dict"):
        from_long({"product": ["a"]}, **TIMED)
    with pytest.raises(ValueError, match=r"frame must be .*; got polars.*LazyFrame"):
        from_long(to_polars(shop()).lazy(), **TIMED)


def test_refused_columns():
    twice = pd.concat([shop(), shop()[["units"]]], axis=1)
    with pytest.raises(ValueError, match="value='units' is the name of 2 columns"):
        from_long(twice, **TIMED)
    with pytest.raises(ValueError, match="instance='lag_2' is also the name of a column"):
        from_long(to_polars(shop()).rename({"product": "lag_2"}), **(TIMED | {"instance": "lag_2"}))
    labels = pl.Series("product", ["a"], dtype=pl.Object)
    with pytest.raises(ValueError, match="column 'product' has the polars dtype Object"):
        from_long(pl.DataFrame([labels, pl.Series("units", [1])]), **ARGS)


def test_labels_that_differ_in_case_or_blanks_are_told():
    frame = pd.DataFrame({"product": ["P 01", "p01", "q", "p01"], "units": [1, 2, 3, 4]})
    message = "instance='product' has 1 labels in several spellings .* own: 'P 01' and 'p01'"
    for source in (frame, to_polars(frame)):
        with pytest.warns(UserWarning, match=message):
            assert len(from_long(source, instance="product", value="units")) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_long(frame.assign(product=[1, 2, 3, 2]), instance="product", value="units")
        from_long(frame.assign(product=list("abcb")), instance="product", value="units")


def test_text_that_may_be_thousands_is_refused():
    def read(*units):
        frame = pd.DataFrame({"product": list("ab"), "units": list(units)})
        return [from_long(f, instance="product", value="units") for f in (frame, to_polars(frame))]

    for X in read("1.625", "2.5"):
        assert_array_equal(np.asarray(X)[:, -1].astype(float), [1.625, 2.5])
    with pytest.raises(
        ValueError, match=r"has 1 cells of text .* 'a'\. '1\.600' may be 1\.6 or 16"
    ):
        read("1.600", "3")
