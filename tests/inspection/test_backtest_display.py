"""The picture of a backtest."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_pttf.inspection import BacktestDisplay
from sklearn_pttf.problems import DecisionProblem
from support.backtests import PROBLEM, LastSeen, X, small_backtest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

pytestmark = pytest.mark.usefixtures("no_figure_stays")


@pytest.fixture(scope="module")
def result():
    return small_backtest(baselines={"SAA": LastSeen}, policy=X[:, :3])


def test_costs_add_up_over_origins(result):
    display = BacktestDisplay.from_result(result, linewidth=3)
    assert list(display.lines_) == ["estimator", "SAA", "policy"]
    line = display.lines_["policy"]
    assert_allclose(line.get_xdata(), [9, 10, 11])
    assert_allclose(line.get_ydata(), np.nansum(result.cost[2], axis=0).cumsum())
    assert line.get_linewidth() == 3
    labels = [text.get_text() for text in display.ax_[0].get_legend().get_texts()]
    assert labels == ["this estimator", "SAA", "today's rule"]


def test_origins_have_the_names_of_periods():
    frame = pd.DataFrame(X, columns=[f"2024-{month:02d}" for month in range(1, 13)])
    display = BacktestDisplay.from_result(small_backtest(X=frame), kind="cumulative")
    assert display.ax_.get_xlabel() == "decided before"
    assert_allclose(display.ax_.get_xticks(), [9, 10, 11])
    named = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert named == ["2024-10", "2024-11", "2024-12"]


def test_totals_have_parts_and_paired_intervals(result):
    display = BacktestDisplay.from_result(result, kind="parts")
    assert list(display.bars_) == ["missed", "held"]
    missed = result.missed.sum(axis=(1, 2))
    for k in range(3):
        first, second = display.bars_["missed"][k], display.bars_["held"][k]
        assert [first.get_x(), first.get_width()] == pytest.approx([0, missed[k]])
        assert second.get_x() == pytest.approx(missed[k])
        assert second.get_x() + second.get_width() == pytest.approx(result.cost[k].sum())
    total = result.cost[0].sum(axis=0)
    rule = result.cost[2].sum(axis=0)
    rest = total - total.sum() / rule.sum() * rule  # beside its share of what the rule costs
    half = 3 * rest.std(ddof=1) / np.sqrt(3) * stats.t.ppf(0.975, 2)
    segments = display.points_.lines[2][0].get_segments()
    (low, _), (high, _) = segments[0]
    assert [low, high] == pytest.approx([total.sum() - half, total.sum() + half])
    assert len(segments[2]) == 0  # the rule differs by nothing from itself
    dotted = [line for line in display.ax_.lines if line.get_linestyle() == ":"]
    assert_allclose(dotted[0].get_xdata(), result.cost[2].sum())
    assert display.ax_.get_xlabel().endswith("difference from today's rule")
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["this estimator", "SAA", "today's rule"]


@pytest.mark.parametrize(
    ("against", "label"), [(None, "today's rule"), ("estimator", "this estimator")]
)
def test_savings_in_percent(result, against, label):
    display = BacktestDisplay.from_result(result, kind="saving", against=against)
    saving, half = result.saving(against or "policy")
    assert_allclose(display.points_.lines[0].get_xdata(), 100 * saving)
    segments = np.array(display.points_.lines[2][0].get_segments())
    assert_allclose(np.diff(segments[:, :, 0], axis=1)[:, 0], 200 * half, atol=1e-9)
    assert display.ax_.get_xlabel() == f"saving, % of the cost of {label}"
    assert display.lines_ == display.bars_ == {}


def test_savings_are_against_saa_without_a_policy():
    result = small_backtest(baselines={"SAA": LastSeen}, origins=1)
    display = BacktestDisplay(result).plot(kind="saving")
    assert display.ax_.get_xlabel().endswith("of SAA")
    assert display.points_.has_xerr is False  # one origin has no interval


def test_costs_without_parts_are_one_bar():
    class Squares(DecisionProblem):
        ordered = True

        def __init__(self, observations=None):
            self.observations = observations

        def cost(self, decision, outcome):
            return (decision - outcome) ** 2

    display = BacktestDisplay(small_backtest(LastSeen(Squares()))).plot()
    assert list(display.bars_) == ["cost"]
    assert display.ax_[1].get_legend() is None


def test_from_an_estimator_on_given_axes():
    _, axes = plt.subplots(1, 2)
    display = BacktestDisplay.from_estimator(
        LastSeen(PROBLEM), X, origins=2, baselines={}, policy=X[:, :2], ax=axes
    )
    assert display.figure_ is axes[0].figure
    assert display.ax_.tolist() == axes.tolist()
    assert display.result.methods == ("estimator", "policy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "costs"}, "kind must be one of .*; got 'costs'"),
        ({"ax": [1]}, "ax must be two Axes for kind='both'; got 1"),
        ({"kind": "parts", "ax": [1]}, "ax must be one Axes for kind='parts'; got 1"),
    ],
)
def test_bad_arguments(result, arguments, message):
    with pytest.raises(ValueError, match=message):
        BacktestDisplay.from_result(result, **arguments)
    with pytest.raises(ValueError, match=message):  # before anything is computed
        BacktestDisplay.from_estimator(None, None, **arguments)


def test_savings_against_what_is_no_method(result):
    with pytest.raises(ValueError, match=r"against must be one of .*; got 'me'"):
        BacktestDisplay.from_result(result, kind="saving", against="me")
