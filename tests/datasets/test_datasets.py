"""Loaders, the generator, and `from_long` against hand tables and a slow reference."""

import datetime as dt
import re
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.datasets import (
    _long,
    from_long,
    load_baseball,
    load_horse_kicks,
    load_rat_tumors,
    make_demand_portfolio,
)

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

NAN = np.nan
FEW = settings(max_examples=60, deadline=None)
ARGS = {"instance": "product", "value": "units"}
TIMED = {**ARGS, "time": "day"}


# ---- loaders


def test_horse_kicks_figures():
    kicks = load_horse_kicks()
    assert kicks.data.shape == (14, 20)
    assert kicks.data.dtype == np.float64
    totals = dict(zip(kicks.instance_names, kicks.data.sum(axis=1), strict=True))
    assert totals == dict(
        G=16,
        I=16,
        II=12,
        III=12,
        IV=8,
        V=11,
        VI=17,
        VII=12,
        VIII=7,
        IX=13,
        X=15,
        XI=25,
        XIV=24,
        XV=8,
    )
    # Bortkiewicz's table of how many corps-years had 0, 1, 2, 3 and 4 deaths
    assert_array_equal(np.bincount(kicks.data.astype(int).ravel()), [144, 91, 32, 11, 2])
    assert kicks.feature_names == [str(year) for year in range(1875, 1895)]
    assert kicks.frame is None
    assert "exchangeable counts" in kicks.DESCR
    assert "Bortkiewicz" in kicks.DESCR


def test_horse_kicks_as_frame():
    plain, framed = load_horse_kicks(), load_horse_kicks(as_frame=True)
    assert framed.data is framed.frame
    assert list(framed.data.index) == plain.instance_names
    assert list(framed.data.columns) == plain.feature_names
    assert_array_equal(framed.data.to_numpy(), plain.data)
    assert framed.data.loc["XIV", "1882"] == 4.0


def test_baseball_figures():
    season = load_baseball()
    assert season.feature_names == ["at_bats", "hits"]
    assert_array_equal(season.data[:, 0], np.full(18, 45.0))
    hits = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]
    assert_array_equal(season.data[:, 1], hits)
    # four decimals of an average of at most 591 at-bats leave a whole number of hits
    remaining_hits = season.target * season.remaining_at_bats
    assert_allclose(remaining_hits, np.rint(remaining_hits), atol=591 * 0.00005)
    assert season.instance_names[0] == "Roberto Clemente"
    assert season.target[0] == 0.346
    assert season.frame is None
    assert "Efron" in season.DESCR


def test_baseball_shrinkage_pays():
    season = load_baseball()
    own = season.data[:, 1] / season.data[:, 0]
    pooled = np.full(18, own.mean())
    closer = np.abs(pooled - season.target) < np.abs(own - season.target)
    assert closer.sum() == 14


def test_baseball_as_frame():
    plain, framed = load_baseball(), load_baseball(as_frame=True)
    columns = ["at_bats", "hits", "remaining_at_bats", "remaining_average"]
    assert list(framed.frame.columns) == columns
    assert framed.frame.index.name == "player"
    assert list(framed.data.columns) == ["at_bats", "hits"]
    assert_array_equal(framed.data.to_numpy(), plain.data)
    assert framed.target.name == "remaining_average"
    assert_array_equal(framed.target.to_numpy(), plain.target)
    assert_array_equal(framed.remaining_at_bats.to_numpy(), plain.remaining_at_bats)
    assert framed.target["Max Alvis"] == 0.2


def test_rat_tumors_are_those_of_the_book():
    """Table 5.1 of Gelman et al.: 267 of 1,739; 14 experiments without; the last one is 4 of 14."""
    rats = load_rat_tumors()
    tumors, trials = rats.data.T
    assert rats.data.shape == (71, 2)
    assert (tumors.sum(), trials.sum()) == (267, 1739)
    assert (tumors == 0).sum() == 14
    assert rats.data[-1].tolist() == [4, 14]
    assert rats.data[[22, 31, 66]].tolist() == [[2, 25], [1, 10], [16, 52]]
    assert (tumors < trials).all()
    assert rats.feature_names == ["tumors", "rats"]
    assert rats.instance_names == [str(k) for k in range(1, 72)]
    assert "Tarone" in rats.DESCR
    framed = load_rat_tumors(as_frame=True)
    assert framed.data is framed.frame
    assert framed.frame.index.name == "experiment"
    assert_array_equal(framed.data.to_numpy(), rats.data)


@pytest.mark.parametrize("load", [load_horse_kicks, load_baseball, load_rat_tumors])
def test_loaders_give_fresh_arrays(load):
    first = load()
    first.data[:] = -1.0
    assert load().data.min() >= 0.0


# ---- generator


@pytest.mark.parametrize(
    ("family", "variance"),
    [("poisson", 20.0), ("negative_binomial", 56.0), ("gamma", 36.0), ("lognormal", 36.0)],
)
def test_demand_has_the_stated_moments(family, variance):
    # one level for all; (0.3 * 20) ** 2 = 36
    X = make_demand_portfolio(400, 500, spread=0.0, family=family, noise=0.3, random_state=0)
    assert_allclose(X.mean(), 20.0, atol=5 * np.sqrt(variance / X.size))
    assert_allclose(X.var(), variance, rtol=0.03)
    assert (family in ("poisson", "negative_binomial")) == np.array_equal(X, np.rint(X))


def test_demand_levels_are_lognormal():
    _, means = make_demand_portfolio(
        20_000, 1, level=7.0, spread=0.8, return_means=True, random_state=1
    )
    assert_allclose(np.median(means), 7.0, rtol=0.03)
    assert_allclose(np.log(means).std(), 0.8, rtol=0.03)


def test_demand_zeros_count_in_the_means():
    X, means = make_demand_portfolio(
        300, 1000, family="gamma", zero_rate=0.4, return_means=True, random_state=2
    )
    assert_allclose(np.mean(X == 0.0), 0.4, atol=0.01)
    assert_allclose(X.mean(axis=1).mean(), means.mean(), rtol=0.01)
    assert np.corrcoef(X.mean(axis=1), means)[0, 1] > 0.98


def test_demand_missing_only_in_observations():
    X, y = make_demand_portfolio(200, 100, n_outcomes=50, missing_rate=0.25, random_state=3)
    assert X.shape == (200, 100)
    assert y.shape == (200, 50)
    assert_allclose(np.isnan(X).mean(), 0.25, atol=0.02)
    assert not np.isnan(y).any()


@pytest.mark.parametrize("family", ["negative_binomial", "gamma", "lognormal"])
def test_demand_without_noise(family):
    X, means = make_demand_portfolio(
        50, 400, family=family, noise=0.0, return_means=True, random_state=0
    )
    if family == "negative_binomial":  # what is left is Poisson
        assert_allclose(X.var(axis=1).mean(), means.mean(), rtol=0.05)
    else:
        assert_allclose(X, np.repeat(means[:, np.newaxis], 400, axis=1), rtol=1e-12)


def test_demand_is_a_function_of_the_seed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    X = make_demand_portfolio(random_state=5)
    assert X.shape == (100, 10)
    assert_array_equal(X, make_demand_portfolio(random_state=np.random.RandomState(5)))
    assert not np.array_equal(X, make_demand_portfolio(random_state=6))
    later, y, means = make_demand_portfolio(n_outcomes=3, return_means=True, random_state=5)
    assert_array_equal(X, later)
    assert y.shape == (100, 3)
    assert means.shape == (100,)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_instances", 0),
        ("n_observations", 2.5),
        ("n_outcomes", -1),
        ("level", 0.0),
        ("level", np.inf),
        ("spread", -0.5),
        ("family", "weibull"),
        ("noise", NAN),
        ("zero_rate", 1.5),
        ("missing_rate", -0.1),
        ("return_means", "yes"),
        ("random_state", "seed"),
    ],
)
def test_demand_refuses(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter.*Got {value!r}"):
        make_demand_portfolio(**{name: value})


# ---- from_long: helpers


def sales(**columns):
    return pd.DataFrame(columns)


def to_polars(frame):
    """The same records in polars."""
    return pl.DataFrame({name: frame[name].tolist() for name in frame.columns}, strict=False)


def parts(result):
    """Labels, lag names and values of either result."""
    if isinstance(result, pd.DataFrame):
        return result.index.tolist(), list(result.columns), result.to_numpy()
    values = result.select(result.columns[1:])
    assert not any(values.null_count().row(0))
    return result.to_series(0).to_list(), values.columns, values.to_numpy()


def check(result, labels, table):
    got_labels, lags, values = parts(result)
    assert got_labels == labels
    assert lags == [f"lag_{k}" for k in range(len(table[0]), 0, -1)]
    assert values.dtype == np.float64
    assert_array_equal(values, table)


def check_both(frame, labels, table, **parameters):
    check(from_long(frame, **parameters), labels, table)
    check(from_long(to_polars(frame), **parameters), labels, table)


def shop():
    """Tea on days 1 and 4; milk on day 1 and twice on day 2; records out of order."""
    return sales(
        product=["tea", "milk", "milk", "tea", "milk"],
        day=["2024-03-04", "2024-03-02", "2024-03-01", "2024-03-01", "2024-03-02"],
        units=[5, 7, 10, 3, 2],
    )


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
        ({"offered": "always"}, r"offered must be one of \('own', 'all'\); got 'always'"),
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
