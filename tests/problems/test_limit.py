"""Limits of groups, bounds of orders, and what is refused of both."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_pttf import Column
from sklearn_pttf.baselines import ParametricEmpiricalBayes, SampleAverage
from sklearn_pttf.problems import Newsvendor, PerRow
from support.limits import FRAME, STORES, WEEKS, poisson_counts, sharing_estimator

NAN = np.nan

# ---- groups


NUMBERS = {"north": 7, "south": 2, "east": 30}


def _by_group(estimator, frame, limits, labels, **parameters):
    """Orders and infos of every group's rows, decided by themselves."""
    orders, infos = np.empty(len(frame)), {}
    for label, limit in limits.items():
        rows = labels == label
        orders[rows], infos[label] = estimator.decide(
            frame[rows], problem=sharing_estimator(limit, **parameters), return_info=True
        )
    return orders, infos


LIMITS = {
    "number": (30.0, {"north": 30.0, "south": 30.0, "east": 30.0}),
    "by label": ({"north": 20.0, "south": 45.5, "east": 9e9, "west": 1.0},) * 2,
    "a row": (PerRow(4.5), {"north": 36.0, "south": 36.0, "east": 36.0}),
    "both": ({"north": PerRow(2.0), "south": 45, "east": 0}, {"north": 16, "south": 45, "east": 0}),
}


@pytest.mark.parametrize("amounts", [False, True])
@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.filterwarnings("error")
def test_groups_are_solved_by_themselves(kind, amounts):
    given, by_label = LIMITS[kind]
    frame = FRAME.assign(store=STORES)
    if amounts:
        frame[WEEKS] += 0.25
    problem = sharing_estimator(given, groups="store")
    estimator = ParametricEmpiricalBayes(problem).fit(frame)
    orders, info = estimator.decide(frame, return_info=True)
    known = {label: by_label[label] for label in ("east", "north", "south")}
    alone, infos = _by_group(estimator, frame, known, STORES)
    assert_allclose(orders, alone, rtol=1e-6 if amounts else 0)
    for name in ("shadow_price", "used", "limit"):
        assert info[name] == pytest.approx({k: each[name] for k, each in infos.items()}, rel=1e-6)
        assert list(info[name]) == ["east", "north", "south"]
    assert info.dual_bound == pytest.approx(sum(each.dual_bound for each in infos.values()))
    assert info.limit == known


def test_labels_are_text_or_numbers_of_any_table():
    numbers = np.array([NUMBERS[store] for store in STORES])
    limits = {"north": 20.0, "south": 45.5, "east": 60.0}
    by_number = {NUMBERS[store]: limit for store, limit in limits.items()}
    frame = FRAME.assign(store=STORES)
    estimator = SampleAverage(sharing_estimator(limits, groups="store"))
    orders, info = estimator.fit(frame).decide(frame, return_info=True)
    tables = {
        "categories": frame.astype({"store": "category"}),
        "polars": pl.DataFrame(frame.to_dict("list")),
    }
    for table in tables.values():
        again, again_info = estimator.fit(table).decide(table, return_info=True)
        assert_array_equal(again, orders)
        assert again_info.shadow_price == info.shadow_price
    array = FRAME.assign(store=numbers).to_numpy()
    places = {"limit_weights": Column(5), "groups": Column(7), "observations": list(range(5))}
    by_place = Newsvendor(Column(6), 1.0, limit=by_number, **places)
    again, again_info = SampleAverage(by_place).fit(array).decide(array, return_info=True)
    assert_array_equal(again, orders)
    assert again_info.limit == by_number
    objects = np.array(frame.to_numpy(), dtype=object)
    with_text = clone(by_place).set_params(limit=limits)
    assert_array_equal(SampleAverage(with_text).fit(objects).decide(objects), orders)


def test_group_columns_are_no_observations():
    problem = Newsvendor(limit=5.0, groups=Column(2), lower=Column(0))
    portfolio = problem.read(np.array([[1.0, 4.0, 1.0], [0.0, 6.0, 2.0]]))
    assert_array_equal(portfolio.observations, [[4.0], [6.0]])
    assert_array_equal(portfolio.constraints["groups"], [1.0, 2.0])


# ---- bounds


def test_bounds_without_a_limit():
    X = np.array([[3.0, 5.0, 4.0, 9.0]] * 6)
    lower, upper = [NAN, 7.0, 2.0, 5.5, NAN, 0.0], [NAN, NAN, 4.0, 8.0, 3.9, 0.0]
    frame = pd.DataFrame(X, columns=WEEKS[:4]).assign(lower=lower, upper=upper)
    problem = Newsvendor(3.0, 1.0, lower="lower", upper="upper")
    saa = SampleAverage(problem).fit(frame)
    # 5 is the order of all, of 3, 4, 5 and 9; only whole numbers between the bounds
    orders, info = saa.decide(frame, return_info=True)
    assert_array_equal(orders, [5, 7, 4, 6, 3, 0])
    assert_allclose(info.expected_cost[[1, 5]], [(4 + 2 + 3 + 3 * 2) / 4, 3 * 21 / 4])
    amounts = saa.fit(frame.assign(w0=3.5)).decide(frame.assign(w0=3.5))
    assert_array_equal(amounts, [5, 7, 4, 5.5, 3.9, 0])
    everywhere = Newsvendor(3.0, 1.0, observations=WEEKS[:4], lower=1.5, upper=2.5)
    assert_array_equal(saa.decide(frame.assign(w0=3.5), problem=everywhere), [2.5] * 6)


def test_bounds_that_leave_no_whole_number_are_refused():
    X = np.array([[3.0, 5.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="lower"):
        SampleAverage(Newsvendor(lower=2.2, upper=2.8)).fit(X).decide(X)
    amounts = SampleAverage(Newsvendor(lower=2.2, upper=2.8)).fit(X / 2).decide(X / 2)
    assert_array_equal(amounts, [2.2, 2.2])


def test_a_lower_bound_is_finite():
    X = np.array([[3.0, 5.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="lower"):
        SampleAverage(Newsvendor(lower=np.inf)).fit(X).decide(X)


# ---- what is refused


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"limit": -1}, "limit must be a finite number of at least 0; got -1"),
        ({"limit": NAN}, "limit must be a finite number of at least 0; got nan"),
        ({"limit": np.inf}, "limit must be a finite number of at least 0; got inf"),
        ({"limit": True}, "limit must be a finite number of at least 0; got True"),
        ({"limit": "w0"}, "limit must be a finite number of at least 0; got 'w0'"),
        ({"limit": [3.0]}, r"limit must be a finite number of at least 0; got \[3.0\]"),
        ({"limit": {"a": 1}}, "amount a group: name their column as groups="),
        ({"limit": {"a": -1}, "groups": "store"}, r"limit\['a'\] must be a finite number .*got -1"),
        ({"limit": {"a": "b"}, "groups": "store"}, r"limit\['a'\] must be .* got 'b'"),
        ({"groups": "store"}, "groups='store' share a limit, but limit is None"),
        ({"limit": 1, "groups": "shop"}, "groups='shop' is no column of X; X has 'w0'"),
        ({"limit": 1, "groups": 3}, "groups must be a column's name or Column"),
        ({"limit": 1, "limit_weights": -2}, "limit_weights must be finite and at least 0; got"),
        ({"limit": 1, "limit_weights": "w1"}, r"limit_weights must be .* got row 3: nan"),
        ({"limit": 1, "limit_weights": None}, "limit_weights must be a number, a column's name"),
        ({"limit": 1, "limit_weights": "cost"}, "limit_weights='cost' is no column of X"),
        ({"lower": 3, "upper": 2}, r"lower must not exceed upper .* row 0: \[3. 2.\].*24 in all"),
        ({"upper": -1}, r"lower must not exceed upper \(lower=None is 0\)"),
        ({"lower": "price", "upper": 2.99}, r"row 23: \[3.   2.99\] \(1 in all\)"),
        ({"lower": "a"}, "lower='a' is no column of X"),
        ({"upper": "store"}, "upper='store'|column 'store' of .* holds text"),
        ({"upper": [1, 2]}, r"upper must be a number, a column's name or Column.*got \[1, 2\]"),
        ({"limit": 1, "risk": ("cvar", 0.9)}, r"limit=1 needs risk='mean': risk=\('cvar', 0.9\)"),
    ],
)  # fmt: skip
def test_what_is_refused(parameters, message):
    observations = ["w0", "w2"] if parameters.get("limit_weights") == "w1" else WEEKS
    frame = FRAME.assign(store=STORES)
    with pytest.raises(ValueError, match=message):
        SampleAverage(Newsvendor(observations=observations, **parameters)).fit(frame)


@pytest.mark.parametrize("amount", [-1.0, NAN, np.inf, "1", None, True])
def test_amounts_a_row_that_are_refused(amount):
    with pytest.raises(ValueError, match="amount of PerRow must be a finite number of at least 0"):
        PerRow(amount)


def test_lower_bounds_above_the_limit_are_refused():
    X = poisson_counts()
    with pytest.raises(ValueError, match="limit is 47, but the lower bounds alone need 48: no"):
        SampleAverage(Newsvendor(limit=47, lower=1.5)).fit(X).decide(X)
    frame = FRAME.assign(store=STORES)
    problem = sharing_estimator({"north": 99, "south": 7, "east": 99}, groups="store", lower=0.5)
    with pytest.raises(ValueError, match="limit of group 'south' is 7, but the lower bounds alone"):
        SampleAverage(problem).fit(frame).decide(frame)


def test_groups_without_a_limit_are_refused():
    frame = FRAME.assign(store=STORES)
    problem = sharing_estimator({"north": 9, "south": 7}, groups="store")
    message = r"no amount for group 'east' of X \(1 of 3 groups have none\); it has \['north', 'so"
    with pytest.raises(ValueError, match=message):
        SampleAverage(problem).fit(frame).decide(frame)


@pytest.mark.parametrize(
    "labels",
    [
        np.where(STORES == "east", None, STORES),
        np.where(np.arange(24) == 2, NAN, 1.0),
        pd.array([pd.NA if k == 2 else "a" for k in range(24)], dtype="string"),
        pd.array([pd.NA if k == 2 else 1 for k in range(24)], dtype="Int64"),
        pd.Categorical([None if k == 2 else "a" for k in range(24)]),
    ],
    ids=["None", "nan", "text NA", "number NA", "category"],
)
def test_missing_labels_are_refused(labels):
    frame = FRAME.assign(store=labels)
    with pytest.raises(ValueError, match=r"groups='store' has no label in row 2: "):
        SampleAverage(sharing_estimator(1.0, groups="store")).fit(frame)


def test_missing_labels_of_polars_are_refused():
    frame = pl.DataFrame({"w": [1.0, 2.0], "store": ["a", None]})
    with pytest.raises(ValueError, match=r"groups='store' has no label in row 1: None"):
        SampleAverage(Newsvendor(limit=1, groups="store")).fit(frame)
