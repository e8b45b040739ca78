"""Prices in `from_long` against hand tables and a slow reference."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.baselines import PooledDemandCurve
from sklearn_pttf.datasets import _long, from_long
from sklearn_pttf.problems import Pricing
from support.frames import to_polars

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

NAN = np.nan
FEW = settings(max_examples=60, deadline=None)
ARGS = {"instance": "product", "value": "units", "price": "euros"}
TIMED = {**ARGS, "time": "day"}
COLUMNS = ("product", "day", "units", "euros")


def records_of(*records):
    """A pandas frame of records (product, day, units, euros)."""
    return pd.DataFrame(records, columns=COLUMNS)


def parts(result):
    """Labels, columns and cells of either result."""
    if isinstance(result, pd.DataFrame):
        return result.index.tolist(), list(result.columns), result.to_numpy()
    cells = result.select(result.columns[1:])
    assert not any(cells.null_count().row(0))
    return result.to_series(0).to_list(), cells.columns, cells.to_numpy()


def check_both(frame, lags, prices, **parameters):
    """Both tables of the result, of pandas and of polars."""
    width = len(lags[0])
    names = [f"{kind}_{k}" for kind in ("lag", "price") for k in range(width, 0, -1)]
    for records in (frame, to_polars(frame)):
        _, columns, cells = parts(from_long(records, **parameters))
        assert columns == names
        assert cells.dtype == np.float64
        assert_array_equal(cells[:, :width], lags)
        assert_array_equal(cells[:, width:], prices)


# ---- hand tables

SHOP = records_of(  # milk on days 1 and 2, tea on days 1, 3 and 5, and twice on the last of them
    ("tea", 5, 3, 4.0),
    ("milk", 2, 7, 1.25),
    ("tea", 1, 2, 5.0),
    ("milk", 1, 8, 1.0),
    ("tea", 3, 4, 3.0),
    ("tea", 5, 1, 8.0),
)


def test_one_price_a_period():
    # tea on day 5: (3 * 4 + 1 * 8) / 4 = 5
    lags = [[NAN, NAN, 8, 7], [2, 0, 4, 4]]
    prices = [[NAN, NAN, 1.0, 1.25], [5, 5, 3, 5]]
    check_both(SHOP, lags, prices, **TIMED)


def test_a_column_has_one_role():
    for roles in ({"price": "units"}, {"time": "product"}):
        with pytest.raises(ValueError, match=r"is (value|instance) too; every role needs a column"):
            from_long(SHOP, **{**TIMED, **roles})


def test_periods_without_a_sale_have_the_last_price():
    lags = [[NAN, NAN, NAN, 8, 7], [2, 0, 4, 0, 4]]
    prices = [[NAN, NAN, NAN, 1.0, 1.25], [5, 5, 3, 3, 5]]
    check_both(SHOP, lags, prices, **TIMED, calendar=range(1, 6), offered="own")


def test_periods_before_the_first_sale_have_the_first_price():
    lags = [[0, 8, 7, 0, 0, 0, 0], [0, 2, 0, 4, 0, 4, 0]]
    prices = [[1.0, 1.0, 1.25, 1.25, 1.25, 1.25, 1.25], [5, 5, 5, 3, 3, 5, 5]]
    check_both(SHOP, lags, prices, **TIMED, calendar=range(0, 7))


def test_prices_of_missing_periods_are_missing():
    lags = [[8, 7, NAN, NAN, NAN], [2, NAN, 4, NAN, 4]]
    prices = [[1.0, 1.25, NAN, NAN, NAN], [5, NAN, 3, NAN, 5]]
    check_both(SHOP, lags, prices, **TIMED, calendar=range(1, 6), fill="missing")


def test_a_price_from_before_the_table_is_carried_into_it():
    frame = records_of(("tea", 1, 2, 5.0), ("tea", 2, 2, 6.0), ("tea", 5, 1, 4.0))
    check_both(frame, [[0, 0, 1]], [[6, 6, 4]], **TIMED, calendar=range(1, 6), width=3)
    wide = [[NAN, 2, 2, 0, 0, 1]], [[NAN, 5, 6, 6, 6, 4]]
    check_both(frame, *wide, **TIMED, calendar=range(1, 6), width=6)


def test_without_time_every_record_has_its_price():
    frame = records_of(("tea", 0, 3, 4.0), ("milk", 0, 8, 1.0), ("tea", 0, 0, 5.0))
    check_both(frame, [[NAN, 8], [3, 0]], [[NAN, 1], [4, 5]], **ARGS)


def test_frequencies_add_days_up():
    frame = records_of(
        ("tea", "2024-03-04", 1, 6.0), ("tea", "2024-03-10", 3, 2.0), ("tea", "2024-03-18", 2, 4.0)
    )
    check_both(frame, [[4, 0, 2]], [[3, 3, 4]], **TIMED, calendar="W-MON")


@pytest.mark.parametrize(
    ("first", "second", "mean"),
    [
        ((3, 4.0), (1, 8.0), 5.0),
        ((0, 4.0), (0, 8.0), 6.0),
        ((0, 4.0), (5, 8.0), 8.0),
        ((None, 4.0), (5, 8.0), 8.0),  # the sum is missing, the price is known
        ((None, 4.0), (None, 8.0), 6.0),
        ((None, None), (0, 8.0), 8.0),
        ((None, None), (None, None), NAN),
        ((None, -1.0), (2, 8.0), 8.0),  # no value, so no price is asked for
        ((4, 5.0), (-1, 9.0), 5.0),  # what comes back says nothing of what is asked now
    ],
)
def test_mean_price_of_a_period(first, second, mean):
    frame = records_of(("tea", 1, *first), ("tea", 1, *second), ("tea", 2, 1, 7.0))
    for records in (frame, to_polars(frame)):
        result = from_long(records, **TIMED)
        assert_array_equal(parts(result)[2][0, 2:], [mean, 7.0])


def test_unknown_prices_stay_unknown_where_there_is_a_record():
    # day 2 has a record of nothing, day 3 none: only the latter is filled in
    frame = records_of(("tea", 1, 2, 5.0), ("tea", 2, None, None), ("tea", 4, 1, 6.0))
    check_both(frame, [[2, NAN, 0, 1]], [[5, NAN, 5, 6]], **TIMED, calendar=range(1, 5))


def test_first_known_price_where_the_first_record_has_none():
    frame = records_of(("tea", 1, None, None), ("tea", 3, 1, 6.0))
    check_both(frame, [[NAN, 0, 1]], [[NAN, 6, 6]], **TIMED, calendar=range(1, 4))


def test_negative_sums_keep_their_price():
    frame = records_of(("tea", 1, -2, 5.0), ("tea", 2, 1, 6.0))
    check_both(frame, [[0, 1]], [[5, 6]], **TIMED, negatives="clip")
    check_both(frame, [[NAN, 1]], [[5, 6]], **TIMED, negatives="missing")


def test_equal_prices_have_themselves_as_their_mean():
    # plain sums of 0.1 * 3 over 3 would be another number
    frame = records_of(*[("tea", 1, 3, price) for price in [0.1] * 7], ("milk", 1, 7, 0.7))
    check_both(frame, [[7], [21]], [[0.7], [0.1]], **TIMED)


def test_text_and_nullable_numbers_are_prices():
    frame = SHOP.assign(euros=SHOP["euros"].astype(str))
    assert_array_equal(from_long(frame, **TIMED), from_long(SHOP, **TIMED))
    frame = SHOP.assign(euros=SHOP["euros"].astype("Float64"))
    assert_array_equal(from_long(frame, **TIMED), from_long(SHOP, **TIMED))


def test_without_price_nothing_changes():
    plain = from_long(SHOP, instance="product", value="units", time="day")
    priced = from_long(SHOP, **TIMED)
    pd.testing.assert_frame_equal(plain, priced.filter(like="lag_"))
    assert plain.shape == (2, 4)


def test_input_is_not_changed():
    before, other = SHOP.copy(), to_polars(SHOP)
    from_long(SHOP, **TIMED, calendar=range(0, 7))
    from_long(other, **TIMED, calendar=range(0, 7))
    pd.testing.assert_frame_equal(SHOP, before)
    assert other.equals(to_polars(before))


def test_pricing_reads_the_columns():
    for frame in (SHOP, to_polars(SHOP)):
        X = from_long(frame, **TIMED, calendar=range(0, 7))
        problem = Pricing(
            prices=[c for c in X.columns if c.startswith("price_")],
            demands=[c for c in X.columns if c.startswith("lag_")],
            bounds=(0.5, 9.0),
        )
        prices = PooledDemandCurve(problem).fit(X).decide(X)
        assert prices.shape == (2,)
        assert ((prices >= 0.5) & (prices <= 9)).all()


# ---- against a slow reference


def slow_prices(records, days, fill, width):
    """``{label: prices}`` by plain loops over records ``(label, day, units, euros)``."""
    rows = {}
    for label in sorted({record[0] for record in records}):
        own = [record[1:] for record in records if record[0] == label]
        seen = sorted({day for day, _, _ in own})
        mean = {}
        for day in seen:
            pairs = [(units or 0, euros) for d, units, euros in own if d == day and euros]
            total = sum(max(units, 0) for units, _ in pairs)
            if total:
                mean[day] = sum(max(units, 0) * euros for units, euros in pairs) / total
            else:
                mean[day] = np.mean([euros for _, euros in pairs]) if pairs else NAN
        known = [day for day in seen if mean[day] == mean[day]]
        out = []
        for day in days or range(seen[0], seen[-1] + 1):
            if day in mean:
                out.append(mean[day])
            elif fill == "missing":
                out.append(NAN)
            else:
                earlier = [d for d in known if d < day]
                out.append(mean[earlier[-1] if earlier else known[0]])
        rows[label] = out
    width = width or max(map(len, rows.values()))
    return [([NAN] * width + row)[-width:] for row in rows.values()]


PRICES = st.integers(1, 60).map(lambda quarters: quarters / 4)
SALES = st.tuples(st.sampled_from("abc"), st.integers(1, 7), st.integers(-2, 9), PRICES)
GAPS = st.tuples(st.sampled_from("abc"), st.integers(1, 7), st.none(), st.one_of(st.none(), PRICES))


@st.composite
def files(draw):
    """Records, some without a value or a price; every label has one with both."""
    records = draw(st.lists(st.one_of(SALES, SALES, GAPS), max_size=30))
    known = [(label, *draw(SALES)[1:]) for label in {r[0] for r in records} | {"a"}]
    return draw(st.permutations(records + known))


def frames(records):
    columns = dict(zip(COLUMNS, map(list, zip(*records, strict=True)), strict=True))
    schema = dict(zip(COLUMNS, (pl.String, pl.Int64, pl.Int64, pl.Float64), strict=True))
    floats = {name: pd.array(columns[name], dtype="Float64") for name in ("units", "euros")}
    return pd.DataFrame(columns | floats), pl.DataFrame(columns, schema=schema)


@settings(max_examples=150, deadline=None)
@given(
    records=files(),
    fill=st.sampled_from(["zero", "missing"]),
    offered=st.sampled_from(["own", "all"]),
    width=st.one_of(st.none(), st.integers(1, 9)),
)
def test_equals_the_slow_reference(records, fill, offered, width):
    options = {"fill": fill, "offered": offered, "width": width, "calendar": range(0, 9)}
    days = range(0, 9) if offered == "all" else None
    expected = np.array(slow_prices(records, days, fill, width))
    for frame in frames(records):
        result = from_long(frame, **TIMED, **options, negatives="clip")
        _, _, cells = parts(result)
        assert_allclose(cells[:, cells.shape[1] // 2 :], expected, rtol=1e-12)


@FEW
@given(
    records=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(1, 4),
            st.floats(0, 1e6),
            st.floats(0.01, 1e4),
        ),
        min_size=1,
        max_size=30,
    ),
    random=st.randoms(use_true_random=False),
)
def test_order_of_records_does_not_matter(records, random):
    shuffled = list(records)
    random.shuffle(shuffled)
    for one, other in zip(frames_of_floats(records), frames_of_floats(shuffled), strict=True):
        expected, got = parts(from_long(one, **TIMED)), parts(from_long(other, **TIMED))
        assert got[:2] == expected[:2]
        assert_array_equal(got[2], expected[2])


def frames_of_floats(records):
    frame = records_of(*records)
    return frame, to_polars(frame)


@FEW
@given(records=files(), calendar=st.sampled_from([None, range(0, 9)]))
def test_every_demand_has_a_price_among_those_of_its_row(records, calendar):
    for frame in frames(records):
        result = from_long(frame, **TIMED, calendar=calendar, negatives="clip")
        labels, _, cells = parts(result)
        demand, prices = np.hsplit(cells, 2)
        assert not np.isnan(prices[~np.isnan(demand)]).any()
        for label, row in zip(labels, prices, strict=True):
            own = [record[3] for record in records if record[0] == label and record[3]]
            seen = row[~np.isnan(row)]
            assert ((seen >= min(own)) & (seen <= max(own) * (1 + 1e-12))).all()


# ---- errors


def refused(frame, message, **parameters):
    for records in (frame, to_polars(frame)):
        with pytest.raises(ValueError, match=re.escape(message)):
            from_long(records, **{**TIMED, **parameters})


@pytest.mark.parametrize(
    ("euros", "message"),
    [
        (
            None,
            "price='euros' has 6 missing cells beside a value among 12; first instances: 'p0', "
            "'p1', 'p2', 'p3', 'p4', .... Prices must be above 0; only a record without a value "
            "may go without a price.",
        ),
        (
            0.0,
            "price='euros' has 6 cells that are not above 0 among 12; first instances: 'p0': 0.0, "
            "'p1': 0.0, 'p2': 0.0, 'p3': 0.0, 'p4': 0.0, .... Prices must be above 0; only a "
            "record without a value may go without a price.",
        ),
        (-2.5, "price='euros' has 6 cells that are not above 0 among 12; first instances: "),
        (
            float("inf"),
            "price='euros' has 6 infinite cells among 12; first instances: 'p0': inf, 'p1': inf, "
            "'p2': inf, 'p3': inf, 'p4': inf, .... Prices must be finite numbers, or missing.",
        ),
    ],
    ids=["missing", "zero", "negative", "infinite"],
)
def test_bad_prices_are_counted_and_named(euros, message):
    rows = [(f"p{k}", day, 1, euros if day == 1 else 2.0) for k in range(6) for day in (1, 2)]
    refused(records_of(*rows), message)


def test_text_that_is_no_price():
    frame = records_of(("tea", 1, 2, "4,50"), ("tea", 2, 1, "5"))
    refused(frame, "price='euros' has 1 cells that are no number among 2; first instances: ")


def test_zero_sales_need_a_price_too():
    refused(records_of(("tea", 1, 0, None), ("tea", 2, 1, 2.0)), "1 missing cells beside a value")


def test_a_row_whose_price_was_never_written_down():
    frame = records_of(("tea", 1, None, None), ("tea", 3, None, 0.0), ("milk", 2, 1, 2.0))
    message = (
        "price='euros' has 1 periods without a sale and without a price before or after among 1; "
        "first instances: 'tea'. An instance with such periods must have a record with a price."
    )
    refused(frame, message)
    lags = [[NAN, NAN, 1], [NAN, NAN, NAN]]
    check_both(frame, lags, [[NAN, NAN, 2], [NAN] * 3], **TIMED, fill="missing")


def test_unknown_columns_are_refused():
    refused(SHOP, "price='cents' is the name of 0 columns of the frame", price="cents")


def test_result_columns_are_no_labels_in_polars():
    frame = to_polars(SHOP).rename({"product": "price_1"})
    with pytest.raises(ValueError, match="must not be one of lag_4 to price_1"):
        from_long(frame, **{**TIMED, "instance": "price_1"})


def test_too_many_cells_count_prices(monkeypatch):
    monkeypatch.setattr(_long, "MOST_CELLS", 15)
    assert from_long(SHOP, instance="product", value="units", time="day").shape == (2, 4)
    with pytest.raises(ValueError, match="2 instances of up to 4 periods are too many"):
        from_long(SHOP, **TIMED)
