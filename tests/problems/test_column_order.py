"""Names of columns that say in which order they are."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.problems._column_order import check_match, check_order, warn_of_other_names


def _check(names):
    check_order(names.split("|"), "observations")


@pytest.mark.parametrize(
    "names",
    [
        "2024-01|2024-02|2025-01",
        "2023|2024",
        "20240131|20240201",
        "2024-W51|2024-W52|2025-W01",
        "31.01.2024|29.02.2024|01.03.2024",
        "1/31/2024|2/1/2024|12/1/2024",
        "Jan 2024|Feb 2024|Jan 2025",
        "oct|nov|dec|jan",
        "w1|w2|w10",
        "w50|w51|w52|w1|w2",  # over the end of a year
        "lag_10|lag_9|lag_1",
        "t-3|t-2|t-1",
        "3 weeks ago|2 weeks ago|1 weeks ago",
        "village_1|village_2",
        "monday|tuesday|friday",
        "first|second",
        "p1_w3|p1_w1",  # nobody knows what these are
        "promo_2|promo_1|promo_next1",
        "w7",
    ],
)
@pytest.mark.filterwarnings("error")
def test_orders_that_may_be(names):
    _check(names)


@pytest.mark.parametrize(
    ("names", "why", "better"),
    [
        ("2024-02|2024-01", "are dates in another order", "'2024-01', '2024-02'"),
        ("2024|2023|2022", "are dates in another order", "'2022', '2023', '2024'"),
        ("29.02.2024|31.01.2024", "are dates in another order", "'31.01.2024', '29.02.2024'"),
        ("Apr 2024|Aug 2024|Jan 2024", "are dates in another order", "'Jan 2024', 'Apr 2024', 'A"),
        ("apr|aug|dec|feb|jan", "are numbered in another order", "'jan', 'feb', 'apr', ..."),
        ("w2|w10|w1", "are numbered in another order", "'w1', 'w2', 'w10'"),
        ("w1|w10|w11|w2", "are numbered in another order", "'w1', 'w2', 'w10', ..."),
        ("w10|w11|w8|w9", "are numbered in another order", "'w8', 'w9', 'w10', ..."),
        ("lag_1|lag_2|lag_3", "count backwards, so that the newest is first", "'lag_3', 'lag_2'"),
        ("sold t-1|sold t-2", "count backwards", "'sold t-2', 'sold t-1'"),
    ],
)
def test_orders_that_cannot_be(names, why, better):
    first = ", ".join(map(repr, names.split("|")[:3]))
    with pytest.raises(ValueError, match="oldest first, with ordered=True; their names") as caught:
        _check(names)
    assert why in str(caught.value)
    assert f"got {first}" in str(caught.value)
    assert f"and not {better}" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("2024-01-01|2024-01-08|pack|moq", "'pack', 'moq' after '2024-01-08'"),
        ("w1|w2|w3|price", "'price' after 'w3'"),
        ("lag_2|lag_1|mean_13|a|b|c", "'mean_13', 'a', 'b', ... after 'lag_1'"),
        ("oct|nov|department", "'department' after 'nov'"),
    ],
)
def test_other_columns_after_those_of_periods_are_told(names, told):
    X = pd.DataFrame(np.arange(4.0)[:, None] + np.ones(names.count("|") + 1))
    X.columns = names.split("|")
    with pytest.warns(UserWarning, match=f"observations=None takes .* so also {told}, as the new"):
        SampleAverage(Newsvendor(ordered=True)).fit(X)


@pytest.mark.parametrize(
    "settings",
    [
        {"ordered": True, "observations": ["w1", "w2"]},
        {"ordered": True, "underage": "pack", "overage": "price"},
        {"ordered": False},
    ],
)
@pytest.mark.filterwarnings("error")
def test_columns_with_a_role_are_not_told(settings):
    X = pd.DataFrame({"w1": [4.0, 2], "w2": 5.0, "pack": 1.0, "price": 2.0})
    SampleAverage(Newsvendor(**settings)).fit(X)


@pytest.mark.parametrize("names", ["w1|price", "first|second|w3", "price|w1|w2", "2024|2025", "a"])
@pytest.mark.filterwarnings("error")
def test_names_that_say_nothing_are_not_told(names):
    warn_of_other_names(names.split("|"))


def test_counting_down_is_told():
    with pytest.warns(UserWarning, match=r"count down from 'w3' to 'w1', .* if 'w3' is the newest"):
        _check("w3|w2|w1")


def test_it_is_asked_where_the_order_counts():
    X = pd.DataFrame(np.ones((4, 3)), columns=["2024-01", "2024-03", "2024-02"])
    SampleAverage().fit(X)
    with pytest.raises(ValueError, match="observations must be in the order of time"):
        SampleAverage(Newsvendor(ordered=True)).fit(X)
    X.columns = ["w1", "w2", "promo 2024"]
    X["promo 2023"], X["promo 2025"] = 0.0, 1.0
    drivers = {"promo": ["promo 2024", "promo 2023", "promo 2025"]}
    problem = Newsvendor(ordered=True, drivers=drivers, observations=["w1", "w2"])
    with pytest.raises(ValueError, match=r"drivers\['promo'\] must be in the order of time"):
        SampleAverage(problem).fit(X)


def _match(driver, observations):
    check_match(driver.split("|"), observations.split("|"), "drivers['promo']")


def test_drivers_that_begin_with_another_period():
    _match("promo_2|promo_1|promo_next1", "lag_2|lag_1")
    _match("p 2024-02|p 2024-03|p 2024-04", "s 2024-02|s 2024-03")
    _match("p0|p1|p2", "w8|w9")  # nobody knows what these are
    _match("on|off|on", "first|second")
    for driver, observations, told in (
        (
            "promo_3|promo_2|promo_1|promo_next1",
            "lag_2|lag_1",
            "it begins with 'promo_3', and observations with 'lag_2', as by its name 'promo_2' do",
        ),
        ("p 2024-01|p 2024-02|p 2024-03", "s 2024-02|s 2024-03", "with 's 2024-02', as by its n"),
        ("2021|2022|2023", "2022|2023", "with '2022', as by its name '2022' does"),
    ):
        with pytest.raises(ValueError, match=f"must begin with the period of the first.* {told}"):
            _match(driver, observations)
    X = pd.DataFrame(np.ones((4, 5)), columns=["s2", "s3", "p1", "p2", "p3"])
    roles = {"drivers": {"promo": ["p1", "p2", "p3"]}, "observations": ["s2", "s3"]}
    with pytest.warns(UserWarning, match=r"drivers\['promo'\] begins with 'p1', and observations "):
        SampleAverage(Newsvendor(**roles)).fit(X)


@pytest.mark.filterwarnings("error")
@given(
    st.text(alphabet="abc xyz_", min_size=1, max_size=4),
    st.sets(st.integers(0, 10**6), min_size=2, max_size=20),
)
def test_names_that_count_up_are_never_refused(stem, numbers):
    _check("|".join(f"{stem}{n}" for n in sorted(numbers)))


@given(st.permutations(range(1, 13)))
def test_numbers_are_refused_unless_they_count_up_or_down_or_begin_anew(numbers):
    up, down = list(range(1, 13)), list(range(12, 0, -1))
    anew = [up[k:] + up[:k] for k in range(12)]
    names = "|".join(f"w{n}" for n in numbers)
    if list(numbers) in (*anew, down):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check(names)
        return
    with pytest.raises(ValueError, match="are numbered in another order"):
        _check(names)


@given(st.lists(st.dates(dt.date(1950, 1, 1), dt.date(2100, 1, 1)), min_size=2, unique=True))
def test_dates_in_any_way_of_writing_them(days):
    days = sorted(days)
    for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "sold %Y_%m_%d"):
        _check("|".join(day.strftime(form) for day in days))
    for form in ("%Y-%m-%d", "%Y%m%d"):
        with pytest.raises(ValueError, match="are dates in another order"):
            _check("|".join(day.strftime(form) for day in days[::-1]))
