"""`from_long(drivers=)`: what moved demand, one a period."""

import datetime as dt
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems import Newsvendor
from support.frames import to_polars
from support.long_tables import TIMED, sales

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
NAN = np.nan
ROLES = {**TIMED, "return_roles": True}
LIBRARIES = [
    pytest.param(lambda frame: frame, id="pandas"),
    pytest.param(to_polars, id="polars"),
    pytest.param(pa.Table.from_pandas, id="pyarrow"),
]


def shop(**columns):
    """Tea in weeks 1 and 3; milk in weeks 1 (twice), 2 and 3; the columns are in that order."""
    return sales(
        product=["tea", "tea", "milk", "milk", "milk", "milk"],
        day=[1, 3, 1, 1, 2, 3],
        units=[3, 5, 10, 7, 2, 4],
        **columns,
    )


def values(X, names):
    """Columns of a result of any library."""
    return np.column_stack([np.asarray(X[name]) for name in names])


def driver(result, name):
    X, roles = result
    return values(X, roles["drivers"][name])


@pytest.mark.parametrize("library", LIBRARIES)
def test_numbers_booleans_and_text(library):
    frame = shop(
        temp=[4.0, 9.0, 4.0, 6.0, 7.0, 8.0],
        promo=[True, False, False, True, False, True],
        weather=["dry", "rain", "dry", "dry", "snow", "rain"],
    )
    result = from_long(library(frame), drivers=["temp", "promo", "weather"], horizon=2, **ROLES)
    X, roles = result
    assert roles["observations"] == ["lag_3", "lag_2", "lag_1"]
    assert roles["ordered"] is True
    assert roles["horizon"] == 2
    assert list(roles["drivers"]) == ["temp", "promo", "weather=rain", "weather=snow"]
    assert roles["drivers"]["temp"] == ["temp_3", "temp_2", "temp_1", "temp_next1", "temp_next2"]
    assert_array_equal(values(X, roles["observations"]), [[17, 2, 4], [3, 0, 5]])
    # rows: milk, tea, which has no record in week 2; no plan, so nothing of the next two weeks
    assert_array_equal(driver(result, "temp"), [[5, 7, 8, NAN, NAN], [4, NAN, 9, NAN, NAN]])
    assert_array_equal(driver(result, "promo"), [[1, 0, 1, NAN, NAN], [1, NAN, 0, NAN, NAN]])
    # the weather is the same for both in weeks 1 and 3, and not in the same way: it is common
    assert_array_equal(driver(result, "weather=rain"), [[0, 0, 1, NAN, NAN]] * 2)
    assert_array_equal(driver(result, "weather=snow"), [[0, 1, 0, NAN, NAN]] * 2)


@pytest.mark.parametrize("library", LIBRARIES)
def test_problems_read_the_roles(library):
    frame = shop(temp=[4.0, 9.0, 4.0, 6.0, 7.0, 8.0])
    plan = pd.DataFrame({"product": ["milk", "tea"], "day": [4, 4], "temp": [1.0, 2.0]})
    X, roles = from_long(library(frame), drivers=["temp"], future=library(plan), **ROLES)
    assert "horizon" not in roles
    names = list(X.column_names if isinstance(X, pa.Table) else X.columns)
    numbers = X.drop_columns("product") if isinstance(X, pa.Table) else X
    if isinstance(X, pl.DataFrame):
        numbers = X.drop("product")
    names = [name for name in names if name != "product"]
    portfolio = Newsvendor(4.0, 1.0, **roles).read(values(numbers, names), names)
    assert portfolio.ordered
    assert_array_equal(portfolio.observations, [[17, 2, 4], [3, 0, 5]])
    assert_array_equal(portfolio.drivers[:, :, 0], [[5, 7, 8], [4, NAN, 9]])
    assert_array_equal(portfolio.planned[:, :, 0], [[1], [2]])


def test_roles_without_drivers():
    X, roles = from_long(shop(), horizon=3, **ROLES)
    assert roles == {"observations": ["lag_3", "lag_2", "lag_1"], "ordered": True, "horizon": 3}
    assert list(X.columns) == roles["observations"]
    assert len(Newsvendor(4.0, 1.0, **roles).read(X.to_numpy(), list(X.columns))) == 2


def test_drivers_without_roles_are_only_columns():
    X = from_long(shop(temp=range(6)), drivers=["temp"], **TIMED)
    assert list(X.columns[3:]) == ["temp_3", "temp_2", "temp_1", "temp_next1"]


# ---- one period for all rows


def ended():
    """Milk in weeks 1 and 2, tea in weeks 2 to 4."""
    return sales(
        product=["milk", "milk", "tea", "tea", "tea"], day=[1, 2, 2, 3, 4], units=[1, 2, 3, 4, 5]
    )


@pytest.mark.parametrize(
    ("offered", "milk", "tea"),
    [
        (None, [1, 2, 0, 0], [NAN, 3, 4, 5]),
        ("since", [1, 2, 0, 0], [NAN, 3, 4, 5]),
        ("own", [1, 2, NAN, NAN], [NAN, 3, 4, 5]),
        ("all", [1, 2, 0, 0], [0, 3, 4, 5]),
    ],
)
def test_rows_end_at_the_same_period(offered, milk, tea):
    X, _ = from_long(ended(), offered=offered, **ROLES)
    assert_array_equal(X, [milk, tea])
    X, _ = from_long(ended(), offered=offered, width=3, **ROLES)
    assert_array_equal(X, [milk[1:], tea[1:]])


def test_since_the_first_record_without_roles():
    assert_array_equal(from_long(ended(), offered="since", **TIMED), [[1, 2, 0, 0], [NAN, 3, 4, 5]])
    assert_array_equal(from_long(ended(), **TIMED), [[NAN, 1, 2], [3, 4, 5]])


def test_width_takes_the_newest_periods_of_drivers():
    frame = ended().assign(temp=[1.0, 2.0, 3.0, 4.0, 5.0])
    for width, table in (
        (2, [[NAN, NAN, NAN], [4, 5, NAN]]),
        (5, [[NAN, 1, 2, NAN, NAN, NAN], [NAN, NAN, 3, 4, 5, NAN]]),
    ):
        assert_array_equal(
            driver(from_long(frame, drivers=["temp"], width=width, **ROLES), "temp"), table
        )


# ---- common drivers


def holidays(*cells):
    """Three instances in weeks 1 to 3, of which c sells nothing in week 2."""
    return sales(
        product=["a", "a", "a", "b", "b", "b", "c", "c"],
        day=[1, 2, 3, 1, 2, 3, 1, 3],
        units=[1] * 8,
        moved=list(cells),
    )


@pytest.mark.parametrize("fill", ["zero", "missing"])
def test_common_drivers_are_known_where_nothing_was_sold(fill):
    frame = holidays(0, 1, 0, 0, 1, 0, 0, 0)
    result = from_long(frame, drivers=["moved"], fill=fill, **ROLES)
    assert_array_equal(driver(result, "moved"), [[0, 1, 0, NAN]] * 3)


def test_drivers_that_differ_once_are_nobody_elses():
    frame = holidays(0, 1, 0, 0, 1, 0, 0, 1)  # c has a promotion of its own in week 3
    result = from_long(frame, drivers=["moved"], **ROLES)
    assert_array_equal(driver(result, "moved")[2], [0, NAN, 1, NAN])


def test_what_one_instance_had_tells_nothing_of_others():
    # both instances were seen together in weeks 1 and 3 only, without a promotion
    frame = shop(promo=[0, 0, 0, 0, 1, 0])
    result = from_long(frame, drivers=["promo"], **ROLES)
    assert_array_equal(driver(result, "promo"), [[0, 1, 0, NAN], [0, NAN, 0, NAN]])


# ---- kinds of columns


def kind(cells, library):
    frame = pd.DataFrame({"product": "a", "day": range(len(cells)), "units": 1, "moved": cells})
    result = from_long(library(frame), drivers=["moved"], **ROLES)
    return {name: driver(result, name)[0, :-1].tolist() for name in result[1]["drivers"]}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2, 3], {"moved": [1, 2, 3]}),
        ([True, False, True], {"moved": [1, 0, 1]}),
        (["1", "2.5", "-1"], {"moved": [1, 2.5, -1]}),
        (["1", "x", "x"], {"moved=1": [1, 0, 0]}),
        (["x", "y", "z", "y"], {"moved=x": [1, 0, 0, 0], "moved=z": [0, 0, 1, 0]}),
        (["b", "a"], {"moved=b": [1, 0]}),  # as frequent: the first in order is the usual one
    ],
    ids=["numbers", "booleans", "text of numbers", "mixed text", "levels", "tie"],
)
def test_kinds_of_drivers(cells, expected, library):
    assert kind(cells, library) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pd.Categorical([3, 1, 3]), {"moved=1": [0, 1, 0]}),
        (pd.array([True, None, False], dtype="boolean"), {"moved": [1, NAN, 0]}),
        (pd.Series([True, None, False], dtype=object), {"moved": [1, NAN, 0]}),
        (pd.array([1, None, 3], dtype="Int64"), {"moved": [1, NAN, 3]}),
        (["x", None, "y", "x"], {"moved=y": [0, NAN, 1, 0]}),
    ],
    ids=["categories", "nullable booleans", "objects", "nullable numbers", "text"],
)
def test_missing_cells_stay_missing(cells, expected):
    got = kind(cells, lambda frame: frame)
    assert list(got) == list(expected)
    for name, column in expected.items():
        assert_array_equal(got[name], column)


def test_categories_of_polars():
    cells = pl.Series(["x", "y", "x", None], dtype=pl.Categorical)
    frame = pl.DataFrame({"product": ["a"] * 4, "day": range(4), "units": [1] * 4, "moved": cells})
    X = from_long(frame, drivers=["moved"], **TIMED)
    assert_array_equal(X.select("^moved.*$").to_numpy(), [[0, 1, 0, NAN, NAN]])


def test_several_records_of_a_period():
    days = [1] * 5 + [2] * 4
    frame = sales(product=["a"] * 9, day=days, units=[1] * 9)
    frame["temp"] = [1.0, 2.0, NAN, 6.0, 3.0, NAN, NAN, NAN, NAN]
    frame["promo"] = [False, True, False, None, None, None, False, False, None]
    frame["weather"] = ["rain", "dry", "rain", None, "dry", "rain", None, "rain", "dry"]
    result = from_long(frame, drivers=["temp", "promo", "weather"], **ROLES)
    assert_array_equal(driver(result, "temp"), [[3, NAN, NAN]])  # (1 + 2 + 6 + 3) / 4
    assert_array_equal(driver(result, "promo"), [[1, 0, NAN]])
    # two each on day 1: the level of more records in the file, rain with 4 to 3; and rain on day 2
    assert list(result[1]["drivers"]) == ["temp", "promo", "weather=dry"]
    assert_array_equal(driver(result, "weather=dry"), [[0, 0, NAN]])


def test_one_level_says_nothing():
    with pytest.warns(UserWarning, match="'weather' is 'dry' in all past periods") as caught:
        X, roles = from_long(shop(weather=["dry"] * 6), drivers=["weather"], **ROLES)
    assert caught[0].filename == __file__
    assert "drivers" not in roles
    assert list(X.columns) == roles["observations"]


# ---- properties


RECORDS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 5),
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, "x", "y", "z"]),
    ),
    min_size=1,
    max_size=25,
)
DRIVERS = ["number", "truth", "text"]


def table(records):
    products, days, numbers, truths, texts = zip(*records, strict=True)
    frame = sales(product=products, day=days, units=[1] * len(days))
    frame["number"] = pd.Series(numbers, dtype="float64")
    frame["truth"] = pd.Series(truths, dtype="boolean")
    frame["text"] = pd.Series(texts, dtype="str")
    # every driver has a past value, and each text is there
    ends = sales(product=["a"] * 3, day=[0, 1, 2], units=[1] * 3, number=[1.0] * 3)
    ends = ends.assign(truth=pd.array([True] * 3, dtype="boolean"), text=["x", "y", "z"])
    return pd.concat([frame, ends], ignore_index=True)


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, seed=st.integers(0, 99))
def test_order_of_records_and_library_do_not_matter(records, seed):
    frame = table(records)
    expected, roles = from_long(frame, drivers=DRIVERS, calendar=range(6), **ROLES)
    shuffled = frame.sample(frac=1, random_state=seed)
    for other in (shuffled, pa.Table.from_pandas(shuffled, preserve_index=False)):
        X, same = from_long(other, drivers=DRIVERS, calendar=range(6), **ROLES)
        assert same == roles
        assert_array_equal(values(X, expected.columns), expected)


@settings(max_examples=60, deadline=None)
@given(records=RECORDS)
def test_cells_are_those_of_their_records(records):
    frame = table(records)
    result = from_long(frame, drivers=["number", "truth"], calendar=range(6), **ROLES)
    index = pd.MultiIndex.from_product([result[0].index, range(6)])
    days = frame.groupby(["product", "day"])
    means = days["number"].mean().reindex(index).to_numpy().reshape(-1, 6)
    got = driver(result, "number")[:, :6]
    recorded = ~np.isnan(means)
    np.testing.assert_allclose(got[recorded], means[recorded], rtol=1e-12, atol=1e-9)
    anywhere = days["truth"].max().astype(float).reindex(index).to_numpy().reshape(-1, 6)
    assert_array_equal(driver(result, "truth")[:, :6], filled_in(anywhere))


def filled_in(cells):
    """Cells with those of a common driver in every row, by plain loops over periods."""
    seen = [set(column[~np.isnan(column)]) for column in cells.T]
    shared = [some for some, column in zip(seen, cells.T, strict=True) if sum(column >= 0) > 1]
    if any(len(some) > 1 for some in seen) or len(set().union(*shared)) < 2:
        return cells
    return np.array([[some.copy().pop() if some else NAN for some in seen]] * len(cells))


# ---- what is refused


BAD = {
    "text": ({"drivers": "temp"}, "drivers must be a list of different columns, .* got 'temp'"),
    "none": ({"drivers": []}, r"drivers must be a list .* at least one, or None; got \[\]"),
    "twice": ({"drivers": ["temp", "temp"]}, "drivers must be a list of different columns"),
    "unknown": ({"drivers": ["wind"]}, "drivers: 'wind' is no column of the frame"),
    "value": ({"drivers": ["units"]}, r"drivers\[0\]='units' is value too"),
    "time": ({"drivers": ["temp"], "time": None}, "drivers=.'temp'. needs time="),
    "roles": ({"return_roles": True, "time": None}, "return_roles=True needs time="),
    "role": ({"return_roles": "yes"}, "return_roles must be True or False; got 'yes'"),
    "price": ({"drivers": ["temp"], "price": "euros"}, "must go without price.*'euros'"),
    "no horizon": ({"horizon": 0}, "horizon must be a whole number from 1 to 100; got 0"),
    "part": ({"horizon": 1.5}, "horizon must be a whole number from 1 to 100; got 1.5"),
    "long": ({"horizon": 101}, "horizon must be a whole number from 1 to 100; got 101"),
    "partial": ({"partial": "cut"}, r"partial must be one of \('drop', 'keep'\); got 'cut'"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused_parameters(case):
    parameters, message = BAD[case]
    frame = shop(temp=range(6), euros=[1.0] * 6)
    for source in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=message):
            from_long(source, **TIMED | parameters)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1.0, np.inf, 2, 3, -np.inf, 4], "drivers: 'moved' has 2 infinite cells among 6 in the"),
        ([None] * 6, "drivers: 'moved' has no value in any past period"),
        ([dt.date(2024, 1, 1)] * 6, "drivers: column 'moved' of the frame holds values of type"),
        ([1, "x", 2, "y", 3, 4], "drivers: column 'moved' .* type int, str; it must hold numbers,"),
    ],
    ids=["infinite", "missing", "dates", "mixed"],
)
def test_refused_cells(cells, message):
    with pytest.raises(ValueError, match=message):
        from_long(shop(moved=pd.Series(cells, dtype=object)), drivers=["moved"], **TIMED)


def test_text_without_categories():
    frame = sales(product=["a"] * 31, day=range(31), units=[1] * 31)
    frame["note"] = [f"remark {k}" for k in range(31)]
    message = "drivers: 'note' is text of 31 levels; at most 30 are allowed"
    with pytest.raises(ValueError, match=message):
        from_long(frame, drivers=["note"], **TIMED)
    X, roles = from_long(frame[:30], drivers=["note"], **ROLES)
    assert X.shape == (1, 30 + 29 * 31)
    assert len(roles["drivers"]) == 29


def test_names_that_clash():
    # the frame's driver "lag" would have the columns of demand
    with pytest.raises(ValueError, match="two columns of the result would be 'lag_3'"):
        from_long(shop(lag=range(6)), drivers=["lag"], **TIMED)
    frame = shop(weather=["dry", "rain"] + ["dry"] * 4).assign(**{"weather=rain": range(6)})
    with pytest.raises(ValueError, match="two of them would be 'weather=rain'; rename one"):
        from_long(frame, drivers=["weather", "weather=rain"], **TIMED)


def test_drivers_count_as_cells(monkeypatch):
    from sklearn_pttf.datasets import _long

    monkeypatch.setattr(_long, "MOST_CELLS", 17)  # 2 instances, 3 periods, 3 tables: 18
    frame = shop(temp=range(6), wind=range(6))
    assert from_long(frame, drivers=["temp"], **TIMED).shape == (2, 7)
    with pytest.raises(ValueError, match="are too many for a table"):
        from_long(frame, drivers=["temp", "wind"], **TIMED)


def test_nothing_is_warned_of_a_good_file():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from_long(shop(temp=range(6), sky=list("xyxxyx")), drivers=["temp", "sky"], **TIMED)


def test_names_of_columns_need_not_be_text():
    frame = shop(temp=range(6)).rename(columns={"temp": 7})
    X = from_long(frame, drivers=[7], **TIMED)
    assert [name for name in X.columns if re.match("7_", name)] == ["7_3", "7_2", "7_1", "7_next1"]
