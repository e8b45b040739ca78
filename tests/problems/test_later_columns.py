"""Columns that came after fit, and that only the problem to decide names."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklearn_pttf import Column, PretrainedDecisionTransformer
from sklearn_pttf.baselines import PooledDemandCurve, SampleAverage
from sklearn_pttf.problems import Newsvendor, Pricing, Replenishment
from support.frames import to_polars

WEEKS = ["w1", "w2", "w3", "w4", "w5"]
SALES = pd.DataFrame(
    [[4.0, 5, 6, 5, 5], [0, 1, 0, 2, 0], [9, 7, 8, 8, 6]], columns=WEEKS, index=list("abc")
)
TODAY = SALES.assign(stock=[2.0, 3.0, 4.0], arrives=[3.0, 0.0, 0.0], shelf=[4.0, 4.0, 20.0])
FITTED = SampleAverage(Newsvendor(underage=4.0, overage=1.0)).fit(SALES)
ORDER = Replenishment(shortage=4.0, holding=1.0, lead_time=1, on_hand="stock", on_order=["arrives"])


def test_todays_stock_is_read_by_a_problem_that_names_it():
    X = TODAY.drop(columns="shelf")
    orders = FITTED.decide(X, problem=ORDER)
    told = SampleAverage(ORDER.set_params(observations=WEEKS)).fit(X)
    assert_array_equal(orders, told.decide(X))
    assert orders.index.equals(SALES.index)
    more = FITTED.decide(X.assign(stock=[9.0, 9.0, 9.0]), problem=ORDER)
    assert (more < orders).any()
    assert_array_equal(FITTED.decide(SALES), [5, 1, 8])  # the fourth of five


@pytest.mark.parametrize("convert", [lambda frame: frame, to_polars])
def test_bounds_and_costs_that_came_later(convert):
    X = convert(TODAY[["shelf", *WEEKS[:2], "stock", *WEEKS[2:]]])
    fitted = SampleAverage(Newsvendor(underage=4.0, overage=1.0)).fit(convert(SALES))
    problem = Newsvendor(underage="stock", overage=1.0, upper="shelf")
    # ratios of 2/3, 3/4 and 4/5, at most 4, 4 and 20
    assert_array_equal(fitted.decide(X, problem=problem), [4, 1, 8])


def test_columns_of_fit_keep_their_positions():
    X = SALES.assign(margin=[4.0, 4.0, 4.0])
    fitted = SampleAverage(Newsvendor(underage=Column(5), overage=1.0)).fit(X)
    later = TODAY[["shelf"]].join(X)
    assert_array_equal(
        fitted.decide(later, problem=Newsvendor(Column(5), 1.0, upper="shelf")), [4, 1, 8]
    )


def test_prices_and_networks():
    X = pd.DataFrame(
        {"p1": [4.0, 4, 5], "p2": [5.0, 6, 5.5], "d1": [12.0, 20, 10], "d2": [7, 9, 9]}
    )
    arguments = {"prices": ["p1", "p2"], "demands": ["d1", "d2"], "bounds": (3.0, 9.0)}
    fitted = PooledDemandCurve(Pricing(**arguments)).fit(X)
    dear = fitted.decide(X.assign(cost=5.0), problem=Pricing(**arguments, unit_cost="cost"))
    assert_array_equal(dear, fitted.decide(X, problem=Pricing(**arguments, unit_cost=5.0)))
    pdt = PretrainedDecisionTransformer(finetune=None).fit(SALES)
    capped = pdt.decide(TODAY[[*WEEKS, "shelf"]], problem=Newsvendor(4.0, 1.0, upper="shelf"))
    assert_array_equal(
        capped, np.minimum(pdt.decide(SALES, problem=Newsvendor(4.0, 1.0)), [4, 4, 20])
    )


def test_other_new_columns_are_refused():
    problem = Newsvendor(4.0, 1.0, upper="shelf")
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time:.*- stock"):
        FITTED.decide(TODAY.drop(columns="arrives"), problem=problem)
    with pytest.raises(ValueError, match="unseen at fit time"):
        FITTED.decide(TODAY)
    with pytest.raises(ValueError, match=r"(?s)seen at fit time, yet now missing:.*- w5"):
        FITTED.decide(TODAY.drop(columns="w5"), problem=ORDER)
    with pytest.raises(ValueError, match="upper='room' is no column of X"):
        FITTED.decide(TODAY[[*WEEKS, "shelf"]], problem=Newsvendor(4.0, 1.0, upper="room"))
    newer = SALES.assign(w6=1.0)
    with pytest.raises(ValueError, match="unseen at fit time"):
        FITTED.decide(newer, problem=Newsvendor(4.0, 1.0, observations=[*WEEKS, "w6"]))


def test_arrays_have_no_names_to_tell_new_columns_by():
    array = SampleAverage().fit(SALES.to_numpy())
    with pytest.raises(ValueError, match="8 features, but SampleAverage is expecting 5"):
        array.decide(TODAY.to_numpy(), problem=Newsvendor(4.0, 1.0, upper=Column(7)))


def test_what_fit_was_not_told_of_sales_stays_untold():
    stock = [f"s{k}" for k in range(5)]
    X = SALES.join(pd.DataFrame(9.0, index=SALES.index, columns=stock))
    with pytest.raises(ValueError, match="stock stays as fitted, None, or is left None"):
        FITTED.decide(X, problem=Newsvendor(4.0, 1.0, stock=stock))
