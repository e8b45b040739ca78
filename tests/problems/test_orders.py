"""From the level to stock to what is ordered: packs, minima, and the tables they come from."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor, order_quantity

NAN = np.nan
MANY = settings(max_examples=80, deadline=None)


@pytest.mark.parametrize(
    ("level", "parameters", "order"),
    [
        (30, {}, 30),
        (30, {"on_hand": 8}, 22),
        (30, {"on_hand": 8, "on_order": 15}, 7),
        (30, {"on_hand": 30}, 0),
        (30, {"on_hand": 20, "on_order": 11}, 0),
        (30, {"on_hand": -5}, 35),  # backorders
        (30, {"on_hand": -5, "on_order": 35}, 0),
        (0, {}, 0),
        (0, {"on_hand": -3, "pack": 2}, 4),
        (30, {"pack": 12}, 36),
        (24, {"pack": 12}, 24),
        (24.001, {"pack": 12}, 36),
        (30, {"on_hand": 29, "pack": 12}, 12),
        (30, {"on_hand": 29, "minimum": 5}, 5),
        (30, {"on_hand": 30, "minimum": 5}, 0),
        (30, {"on_hand": 29, "minimum": 5, "pack": 4}, 8),
        (30, {"on_hand": 10, "minimum": 5, "pack": 4}, 20),
        (2.3, {}, 3),
        (2.3, {"pack": 0}, 2.3),
        (2.3, {"pack": 0, "minimum": 5.5}, 5.5),
        (2.3, {"pack": 0.5}, 2.5),
        (0.3, {"pack": 0.1}, 0.3),  # 0.3 / 0.1 is more than 3
        (0.7, {"on_hand": 0.4, "pack": 0.1}, 0.3),
        (5 + 1e-13, {}, 5),
    ],
)
def test_orders_by_hand(level, parameters, order):
    found = order_quantity(level, **parameters)
    assert isinstance(found, float)
    assert found == pytest.approx(order, rel=1e-12)
    assert not np.signbit(found)
    rows = order_quantity([level, level], **{k: [v, v] for k, v in parameters.items()})
    assert_allclose(rows, [order, order], rtol=1e-12)
    assert not np.signbit(rows).any()


def test_rows_and_numbers_go_together():
    found = order_quantity([30, 30, 30], on_hand=[8, 29, 35], pack=12, minimum=6)
    assert_array_equal(found, [24, 12, 0])
    assert repr(found) == "array([24., 12.,  0.])"
    assert_array_equal(order_quantity(30, on_hand=np.array([8, 29]), pack=[0, 5]), [22, 5])
    assert_array_equal(order_quantity(np.array([7], dtype=np.int32), 3, minimum=[9.5]), [10])


amounts = st.floats(0, 1e4).map(lambda x: round(x, 3))


@MANY
@given(
    amounts,
    st.floats(-100, 1e4).map(lambda x: round(x, 3)),
    st.sampled_from([0, 0.25, 1, 6, 12, 48]),
    st.sampled_from([0, 1, 10.5, 200]),
)
def test_the_level_is_reached_and_by_less_than_a_pack(level, on_hand, pack, minimum):
    order = order_quantity(level, on_hand, pack=pack, minimum=minimum)
    missing = level - on_hand
    if missing <= 0:
        assert order == 0
    else:
        assert order >= max(missing, minimum) - 1e-6
        assert order <= max(missing, minimum) + max(pack - 1e-9, 0) + 1e-6
        assert pack == 0 or order / pack == pytest.approx(np.rint(order / pack))


def test_nothing_further_is_ordered_once_it_is_under_way():
    level = [3.0, 17.5, 40.0]
    order = order_quantity(level, pack=6)
    assert_array_equal(order_quantity(level, on_order=order, pack=6), 0)


def test_series_keep_their_index():
    index = ["a", "b", "c"]
    stock = pd.Series([8, 29, 35], index=index, name="stock")
    found = order_quantity(np.array([30, 30, 30]), on_hand=stock, pack=12, minimum=6)
    pd.testing.assert_series_equal(found, pd.Series([24.0, 12.0, 0.0], index, name="order"))
    assert_array_equal(stock, [8, 29, 35])
    packs = pd.Series([12, 6, 1], index=index)
    both = order_quantity(30, on_hand=stock, pack=packs)
    assert_array_equal(both, [24, 6, 0])
    assert list(both.index) == index
    found = order_quantity([30, 30, 30], on_hand=pl.Series("stock", [8, 29, 35]), pack=12)
    assert isinstance(found, pl.Series)
    assert found.to_list() == [24, 12, 0]


def test_series_of_different_rows_are_refused():
    level, stock = pd.Series([30, 30], index=["a", "b"]), pd.Series([8, 29], index=["b", "a"])
    with pytest.raises(ValueError, match="on_hand has another index than level"):
        order_quantity(level, on_hand=stock)


def test_a_decision_becomes_an_order():
    X = pd.DataFrame({"w1": [3, 6], "w2": [5, 8], "stock": [1, 20]})
    problem = Newsvendor(4.0, 1.0, observations=["w1", "w2"])
    level = SampleAverage(problem).fit(X).decide(X)
    assert_array_equal(level, [5, 8])
    found = order_quantity(level, on_hand=X["stock"], pack=3)
    assert found.tolist() == [6, 0]
    # one row of them: a number of NumPy, like any other
    assert order_quantity(level[0], on_hand=1, pack=3) == 6
    assert order_quantity(np.float64(5.0), on_hand=np.int64(1)) == 4


@pytest.mark.parametrize("name", ["level", "on_hand", "on_order", "pack", "minimum"])
@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf, None])
def test_missing_and_infinite_numbers_are_refused(name, bad):
    given = {"level": 1.0, name: bad}
    with pytest.raises(ValueError, match=name):
        order_quantity(**given)
    given = {"level": [1.0, 1.0], name: [1.0, bad]}
    with pytest.raises(ValueError, match=name):
        order_quantity(**given)


@pytest.mark.parametrize("name", ["pack", "minimum"])
def test_negative_packs_and_minima_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name} must be at least 0; got row 0: -1.0 \(1 in all"):
        order_quantity(3, **{name: -1})
    with pytest.raises(ValueError, match=rf"{name} must be at least 0; got row 1: -2.0 \(1 in all"):
        order_quantity([3, 3], **{name: [1, -2]})


def test_text_is_refused():
    with pytest.raises(ValueError, match="on_hand"):
        order_quantity(3, on_hand="many")


def test_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="level"):
        order_quantity([[1.0, 2.0], [3.0, 4.0]])


def test_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        order_quantity([1, 2], on_hand=[1, 2, 3])


def test_columns_of_pyarrow_give_columns_of_pyarrow():
    pa = pytest.importorskip("pyarrow")
    order = order_quantity(pa.chunked_array([[30, 30], [35]]), on_hand=[8, 29, 40], pack=12)
    assert isinstance(order, pa.ChunkedArray)
    assert order.to_pylist() == [24.0, 12.0, 0.0]


def test_series_of_two_libraries_have_no_common_index():
    with pytest.raises(ValueError, match="on_hand has another index than level"):
        order_quantity(pd.Series([3, 4]), on_hand=pl.Series([1, 1]))
