"""Figures of a curve, and its picture."""

import re
import sys

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.model_selection import ShuffleSplit

from sklearn_pttf.inspection import TransferCurveDisplay, _transfer_curve_display
from sklearn_pttf.model_selection import _transfer_curve, transfer_curve
from support.transfer_curves import QUICK, X, Y, small_curve, tiny_estimator

matplotlib.use("Agg")
import matplotlib.pyplot as plt

pytestmark = pytest.mark.usefixtures("no_figure_stays")


# ---------------------------------------------------------------- figures


def test_gains_by_hand():
    pretrained = np.array([[10.0, 20.0], [8.0, 18.0]])
    finetuned = np.array([[10.0, 20.0], [8.0, 15.0]])
    found = _transfer_curve.gains(["finetuned", "pretrained"], np.array([finetuned, pretrained]))
    assert_allclose(found["context_gain"], [0, 2 / 15])
    assert_allclose(found["finetune_gain"], [0, 1.5 / 15])
    # 2 - 10 * 2 / 15 and 2 - 20 * 2 / 15 are 2 / 3 and -2 / 3: their mean has the error 2 / 3
    t = stats.t.ppf(0.975, 1)
    assert_allclose(found["context_gain_half_width"], [0, t * 2 / 3 / 15])
    # 0 - 10 * 0.1 and 3 - 20 * 0.1
    assert_allclose(found["finetune_gain_half_width"], [0, t / 15])
    total = 1 - finetuned.mean(axis=1) / pretrained[0].mean()
    assert_allclose(found["context_gain"] + found["finetune_gain"], total)


def test_gains_need_their_methods():
    cost = np.ones((1, 2, 3))
    assert _transfer_curve.gains(["saa"], cost)["context_gain"] is None
    found = _transfer_curve.gains(["pretrained"], cost)
    assert_array_equal(found["context_gain"], [0, 0])
    assert found["finetune_gain"] is None
    assert found["finetune_gain_half_width"] is None
    curve = small_curve(methods=["saa"])
    for name in ("context_gain", "finetune_gain", "best_baseline", "baseline_cost", "chosen"):
        assert curve[name] is None
    assert curve.baselines == []
    assert small_curve(methods=["pretrained"]).relative_cost is None


def test_means_and_intervals_of_a_curve():
    curve = small_curve(cv=4)
    assert_allclose(curve.mean_cost, curve.cost.mean(axis=2))
    interval = stats.t.interval(0.95, 3, curve.mean_cost[0, 0], stats.sem(curve.cost[0, 0]))
    assert_allclose(curve.half_width[0, 0], np.ptp(interval) / 2)
    assert_allclose(curve.relative_cost[0], curve.mean_cost[0] / curve.mean_cost[1])
    assert_allclose(curve.relative_cost[1], 1)
    assert_allclose(curve.relative_half_width[1], 0, atol=1e-12)


def test_paired_intervals_cover_as_often_as_they_say():
    rng, hits = np.random.RandomState(0), []
    for _ in range(400):
        sold = rng.gamma(4.0, size=10)  # what draws differ in, is shared
        numerator = sold * (0.8 + 0.1 * rng.normal(size=10))
        value, half = _transfer_curve.ratio_with_half_width(numerator, sold)
        hits.append(abs(value - 0.8) < half)
        assert half < 0.3  # unpaired it would be about 0.4
    assert 0.9 < np.mean(hits) < 0.98


def test_one_draw_has_no_interval():
    curve = small_curve(cv=ShuffleSplit(1, test_size=8, random_state=0))
    assert np.isfinite(curve.mean_cost).all()
    assert np.isnan(curve.half_width).all()
    assert np.isnan(curve.context_gain_half_width).all()


def test_shares_of_nothing_are_nan():
    zero = np.zeros((1, 3))
    with np.errstate(all="raise"):
        ratio, half = _transfer_curve.ratio_with_half_width(zero, zero)
    assert np.isnan(ratio).all()
    assert np.isnan(half).all()


# ---------------------------------------------------------------- the picture


COST = np.array(
    [
        [[10.0, 20.0, 12.0], [8.0, 18.0, 11.0]],
        [[10.0, 20.0, 12.0], [8.0, 15.0, 10.0]],
        [[12.0, 24.0, 14.0], [12.0, 25.0, 14.0]],
    ]
)
DISPLAY = TransferCurveDisplay(np.array([30, 100]), ["pretrained", "finetuned", "saa"], COST)


def _ends(band, n):
    corners = band.get_paths()[0].vertices
    ends = corners[corners[:, 0] == n, 1]
    return ends.min(), ends.max()


def test_display_draws_costs_and_gains():
    display = DISPLAY.plot()
    assert display is DISPLAY
    assert list(display.lines_) == [*display.methods, "context_gain", "finetune_gain"]
    assert display.bands_.keys() == display.lines_.keys()
    assert display.ax_.shape == (2,)
    assert list(display.figure_.axes) == list(display.ax_)
    found = _transfer_curve.relative_to_saa(display.methods, COST)
    for k, method in enumerate(display.methods):
        n, cost = display.lines_[method].get_data()
        assert_array_equal(n, [30, 100])
        assert_allclose(cost, 100 * COST[k].mean(axis=1) / COST[2].mean(axis=1))
        low, high = _ends(display.bands_[method], 30)
        assert_allclose(high - low, 200 * found["relative_half_width"][k, 0], atol=1e-9)
        assert display.lines_[method].axes is display.ax_[0]
    gains = _transfer_curve.gains(display.methods, COST)
    for name in ("context_gain", "finetune_gain"):
        assert_allclose(display.lines_[name].get_ydata(), 100 * gains[name])
        low, high = _ends(display.bands_[name], 100)
        assert_allclose(
            [low + high, high - low], [200 * gains[name][1], 200 * gains[f"{name}_half_width"][1]]
        )
        assert display.lines_[name].axes is display.ax_[1]
    for ax in display.ax_:
        assert ax.get_xscale() == "log"
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["30", "100"]
    texts = [text.get_text() for text in display.ax_[0].get_legend().get_texts()]
    assert texts == ["pretrained", "finetuned", "SAA"]
    assert display.ax_[1].get_ylabel() == "saving, % of pretrained's cost at N = 30"


def test_display_draws_money():
    display = TransferCurveDisplay(np.array([30, 100]), ["scratch", "best_baseline"], COST[:2])
    display.plot(kind="cost", relative=False)
    mean, half = _transfer_curve.mean_with_half_width(COST[:2])
    assert_allclose(display.lines_["scratch"].get_ydata(), mean[0])
    assert_allclose(
        _ends(display.bands_["best_baseline"], 100), mean[1, 1] + [-half[1, 1], half[1, 1]]
    )
    assert display.ax_.get_ylabel() == "cost a row"
    assert list(display.lines_) == ["scratch", "best_baseline"]


def test_display_draws_where_and_how_it_is_told():
    figure, axes = plt.subplots(1, 3)
    display = DISPLAY.plot(axes[1], kind="gain", ls="--", c="C5")
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert list(display.lines_) == ["context_gain", "finetune_gain"]
    assert {line.get_linestyle() for line in display.lines_.values()} == {"--"}
    assert {line.get_color() for line in display.lines_.values()} == {"C5"}
    DISPLAY.plot([axes[0], axes[2]])
    assert DISPLAY.lines_["saa"].axes is axes[0]
    assert DISPLAY.lines_["finetune_gain"].axes is axes[2]
    assert len(plt.get_fignums()) == 1


def test_display_of_one_draw_has_no_bands():
    display = TransferCurveDisplay([30, 100], ["pretrained", "saa"], COST[[0, 2], :, :1]).plot()
    assert display.bands_ == {}
    assert list(display.lines_) == ["pretrained", "saa", "context_gain"]


def test_display_from_an_estimator(tmp_path):
    arguments = {
        "n_instances": [8, 20],
        "cv": 3,
        "methods": QUICK,
        "charge": "portfolio",
        "random_state": 5,
    }
    path = tmp_path / "curve.json"
    display = TransferCurveDisplay.from_estimator(
        tiny_estimator(), X, Y, resume=path, kind="cost", relative=False, marker="s", **arguments
    )
    result = transfer_curve(tiny_estimator(), X, Y, resume=path, **arguments)
    assert_array_equal(display.cost, result.cost)
    assert display.methods == result.methods
    assert_array_equal(display.lines_["saa"].get_ydata(), result.mean_cost[1])
    assert display.lines_["saa"].get_marker() == "s"
    again = TransferCurveDisplay.from_result(result, kind="gain")
    assert_allclose(again.lines_["context_gain"].get_ydata(), 100 * result.context_gain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "pie"}, "kind must be one of ['both', 'cost', 'gain']; got 'pie'"),
        ({"methods": ["pretrained"]}, "relative=True needs the costs of 'saa'"),
        ({"methods": ["saa"]}, "kind='both' needs the costs of 'pretrained'"),
        ({"ax": object()}, "ax must be two Axes for kind='both'; got 1"),
        ({"ax": [object()] * 3}, "ax must be two Axes for kind='both'; got 3"),
        ({"ax": [object()], "kind": "cost"}, "ax must be one Axes for kind='cost'"),
    ],
)
def test_display_refuses_before_it_computes(arguments, message, monkeypatch):
    monkeypatch.setattr(_transfer_curve_display, "transfer_curve", None)
    arguments = {"methods": QUICK, **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        TransferCurveDisplay.from_estimator(tiny_estimator(), X, Y, **arguments)
    assert not plt.get_fignums()


def test_display_says_that_matplotlib_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"TransferCurveDisplay\.from_estimator requires"):
        TransferCurveDisplay.from_estimator(tiny_estimator(), X, Y)
    with pytest.raises(ImportError, match=r"TransferCurveDisplay\.plot requires"):
        DISPLAY.plot()
