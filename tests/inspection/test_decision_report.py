"""What decisions are worth: reports by hand, and their picture."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf import Column, WeightedAtoms
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf.baselines import ParametricEmpiricalBayes, PerRowDemandCurve, SampleAverage
from sklearn_pttf.inspection import DecisionDisplay, decision_report
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Newsvendor, Pricing, Replenishment
from support.frames import pl, to_polars

matplotlib.use("Agg")
import matplotlib.pyplot as plt

pytestmark = pytest.mark.usefixtures("no_figure_stays")


class Coin(DecisionMixin, BaseEstimator):
    """Takes every outcome for 0 or 10, with equal chances."""

    def __init__(self, problem=None):
        self.problem = problem

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return WeightedAtoms(np.tile([0.0, 10.0], (len(portfolio), 1)))


PROBLEM = Newsvendor(underage=4.0, overage=1.0)
X = pd.DataFrame({"w1": [4.0, 4.0], "w2": [6.0, 6.0]}, index=["tea", "rum"])
COIN = Coin(PROBLEM).fit(X)
Y = [[0.0, 10.0], [10.0, 10.0]]
TODAY = [0.0, 0.0]


def test_expected_and_measured_by_hand():
    report = decision_report(COIN, X, y=Y, today=TODAY)
    assert report.index.equals(X.index)
    tea = report.loc["tea"]
    # 10 is left over whole, at 5 in the mean; 6 is left over or 4 short, (6 + 16) / 2
    assert tea[["decision", "expected_cost", "saa", "today"]].to_list() == [10, 5, 6, 0]
    assert tea["expected_saving_saa"] == 11 - 5
    # an outcome of 0 costs 10 and not 6, one of 10 nothing and not 16
    assert tea[["expected_saving_saa_low", "expected_saving_saa_high"]].to_list() == [-4, 16]
    assert tea["expected_saving_today"] == 20 - 5
    assert tea[["expected_saving_today_low", "expected_saving_today_high"]].to_list() == [-10, 40]
    assert_array_equal(report["measured_cost"], [5, 0])
    assert_array_equal(report["measured_saving_saa"], [6, 16])
    assert_array_equal(report["measured_saving_today"], [15, 40])


def test_totals_and_their_intervals():
    display = DecisionDisplay.from_estimator(COIN, X, y=Y, today=TODAY)
    expected, measured = (display.savings_[kind, "saa"] for kind in ("expected", "measured"))
    deviations = stats.norm.ppf(0.975)
    # -4 or 16 are 10 from their mean, of two rows
    assert_allclose(expected, [12, *(12 + np.array([-1, 1]) * deviations * 10 * np.sqrt(2))])
    # rows of 6 and 16, of which two are added
    half = deviations * np.sqrt(2) * np.std([6, 16], ddof=1)
    assert_allclose(measured, [22, 22 - half, 22 + half])
    assert set(display.savings_) == {
        (kind, other) for kind in ("expected", "measured") for other in ("saa", "today")
    }


def test_periods_that_rows_share_widen_the_interval():
    # all rows have the same outcome in a period: -4, 16, -4 and 16 are saved by each
    rows = pd.concat([X] * 10, ignore_index=True)
    y = np.tile([0.0, 10.0, 0.0, 10.0], (20, 1))
    display = DecisionDisplay.from_estimator(Coin(PROBLEM).fit(rows), rows, y=y)
    half = stats.t.ppf(0.975, 3) * np.std([-80, 320, -80, 320], ddof=1) / 2
    assert_allclose(display.savings_["measured", "saa"], [120, 120 - half, 120 + half])


def test_what_is_measured_without_later_outcomes():
    report = decision_report(COIN, X, today=TODAY)
    # 6 and 4 are held out in turn: 10 leaves 4 and 6 over, SAA takes the other one
    assert_array_equal(report["measured_cost"], [5, 5])
    assert_array_equal(report["measured_saving_saa"], [(2 * 4 + 2) / 2 - 5] * 2)
    assert "measured_saving_today" not in report  # today's may know what X holds
    score = COIN.score(X)
    measured = report[["measured_cost", "measured_saving_saa"]].sum()
    assert score == pytest.approx(measured.iloc[1] / measured.sum())


def test_nothing_to_measure():
    one = X[["w1"]]
    y = [[np.nan], [3.0]]
    report = decision_report(Coin(PROBLEM).fit(one), one, y=y)
    assert_array_equal(report["measured_cost"], [np.nan, 7])
    with np.errstate(all="raise"):
        empty = pd.DataFrame({"w1": [5.0, np.nan]})
        report = decision_report(Coin(PROBLEM).fit(empty), empty[1:])
        display = DecisionDisplay.from_estimator(Coin(PROBLEM).fit(empty), empty[1:])
    assert np.isnan(report["measured_cost"]).all()
    assert set(display.savings_) == {("expected", "saa")}


def test_today_is_a_column_that_came_after_fit():
    told = X.assign(now=[1.0, 2.0])
    assert_array_equal(decision_report(COIN, told, today="now")["today"], [1, 2])
    known = Coin(Newsvendor(4.0, 1.0, observations=["w1", "w2"])).fit(told)
    for today in ("now", Column(2)):
        assert_array_equal(decision_report(known, told, today=today)["today"], [1, 2])
    with pytest.raises(ValueError, match="today='w2' is a column of observations"):
        decision_report(COIN, X, today="w2")
    with pytest.raises(ValueError, match="today='no' is no column of X"):
        decision_report(COIN, X, today="no")


def test_frames_and_arrays_of_any_kind():
    table = to_polars(X)
    report = decision_report(Coin(PROBLEM).fit(table), table, today=TODAY)
    assert isinstance(report, pl.DataFrame)
    assert report["row"].to_list() == [0, 1]
    array = X.to_numpy()
    report = decision_report(Coin(PROBLEM).fit(array), array)
    assert_array_equal(report["decision"], [10, 10])
    pipe = make_decision_pipeline(FunctionTransformer(lambda X: X.to_numpy()), Coin(PROBLEM))
    report = decision_report(pipe.fit(X), X)
    assert report.index.equals(X.index)
    assert_array_equal(report["expected_saving_saa"], [6, 6])


@pytest.mark.parametrize(
    "problem",
    [
        Newsvendor(4.0, 1.0, horizon=2),
        Newsvendor(4.0, 1.0, limit=100.0),
        Newsvendor(4.0, 1.0, ordered=True),
        Replenishment(4.0, 1.0, lead_time=1),
    ],
)
def test_figures_are_those_of_decide(problem):
    rng = np.random.default_rng(0)
    X = rng.poisson(rng.gamma(2.0, 5.0, (12, 1)), (12, 8)).astype(float)
    fitted = ParametricEmpiricalBayes(problem).fit(X)
    orders, info = fitted.decide(X, return_info=True)
    report = decision_report(fitted, X)
    assert_array_equal(report["decision"], orders)
    assert_allclose(report["expected_cost"], info.expected_cost)
    assert_array_equal(report["saa"], SampleAverage(problem).fit(X).decide(X))
    assert (report["expected_saving_saa_low"] <= report["expected_saving_saa_high"]).all()
    assert np.isfinite(report["measured_cost"]).all()
    y = rng.poisson(8.0, (12, problem.horizon))
    later = decision_report(fitted, X, y=y)
    paid = problem.hindsight_cost(orders, y.astype(float), fitted._read(X).costs)
    assert_allclose(later["measured_cost"], paid)


def test_the_picture_shows_where_most_is_at_stake():
    rows = pd.DataFrame({"w1": [4.0, 10, 0], "w2": [6.0, 10, 0]}, index=list("abc"))
    display = DecisionDisplay.from_estimator(Coin(PROBLEM).fit(rows), rows, n_rows=2)
    # SAA's 6, 10 and 0 save 6, nothing and 15
    assert_array_equal(display.rows_, [2, 0])
    left, right = display.ax_
    assert [label.get_text() for label in left.get_yticklabels()] == ["c", "a"]
    assert_array_equal(display.markers_["saa"].get_xdata(), [0, 6])
    assert_array_equal(display.markers_["own"].get_xdata(), [10, 10])
    names = [label.get_text() for label in right.get_yticklabels()]
    assert names == ["expected,\nagainst SAA", "measured,\nagainst SAA"]
    _, axes = plt.subplots(1, 2)
    assert display.plot(axes).figure_ is axes[0].figure
    pd.testing.assert_frame_equal(
        display.report(rows), decision_report(Coin(PROBLEM).fit(rows), rows)
    )


def test_the_verdict_keeps_expected_and_measured_apart():
    lines = DecisionDisplay.from_estimator(COIN, X, y=Y, today=TODAY).verdict().splitlines()
    assert lines[0] == "Expected, by the estimator's own laws: the decisions cost 10.00."
    assert lines[1].startswith("Expected, against SAA this saves 12.00 (95%: -15.72 to 39.72)")
    assert lines[3].startswith("Measured on later outcomes, against SAA this saves 22.00")
    assert lines[4].startswith("Measured on later outcomes, against today this saves 55.00")
    lines = DecisionDisplay.from_estimator(COIN, X).verdict().splitlines()
    assert lines[2].startswith("Measured on observations of X that the decisions did not see")


def test_what_is_refused():
    priced = Pricing(prices=[0], demands=[1], bounds=(1.0, 9.0))
    table = np.array([[4.0, 6.0], [5.0, 3.0]])
    with pytest.raises(ValueError, match="problem must not be one of prices"):
        decision_report(PerRowDemandCurve(priced).fit(table), table)
    with pytest.raises(ValueError, match="coverage must be a number"):
        decision_report(COIN, X, coverage=1.0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        decision_report(COIN, X, today=[1.0])
    with pytest.raises(TypeError, match="cannot decide"):
        decision_report(FunctionTransformer(), X)
    with pytest.raises(ValueError, match="n_rows must be a whole number"):
        DecisionDisplay.from_estimator(COIN, X, n_rows=0)
    with pytest.raises(ValueError, match="ax must be two Axes"):
        DecisionDisplay.from_estimator(COIN, X, ax=plt.gca())
