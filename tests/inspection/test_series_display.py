"""The picture of what rows share over time."""

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf.baselines import PooledRatio, SampleAverage, SeasonalNaive
from sklearn_pttf.inspection import SeriesDisplay, SharedOverTime
from sklearn_pttf.problems import Newsvendor

matplotlib.use("Agg")
import matplotlib.pyplot as plt

pytestmark = pytest.mark.usefixtures("no_figure_stays")
SEASON = np.log([2.0, 1.0, 0.5, 1.0])


def _shared(**changes):
    """A promotion that doubles demand, a price, and a driver that never varies."""
    parts = {
        "drivers": ("promotion", "log_price", "still"),
        "effects": np.array([np.log(2.0), -2.0, np.nan]),
        "standard_errors": np.array([0.1, 0.5, np.nan]),
        "spreads": np.array([0.5, 0.1, np.nan]),
        "switches": np.array([True, False, False]),
        "factors": np.tile(SEASON, 2),
        "factor_errors": np.full(8, 0.01),
        "coming": np.tile(SEASON, 15),
        "coming_errors": np.full(60, 0.2),
        "seasons": {4: SEASON},
        "season_errors": {4: np.full(4, 0.02)},
        "uses": ("factors", "drivers"),
    }
    return SharedOverTime(**{**parts, **changes})


def test_changes_are_in_percent():
    display = SeriesDisplay(_shared()).plot(kind="drivers")
    low, middle, high = display.changes_["promotion"]
    assert middle == pytest.approx(100.0)  # 1 against 0
    assert [low, high] == pytest.approx([64.4, 143.3], abs=0.1)  # 2 exp(-+ 0.196) - 1
    # one standard deviation of 0.1 more: exp(-0.2) - 1
    assert display.changes_["log_price"] == pytest.approx((-25.77, -18.13, -9.70), abs=0.01)
    assert np.isnan(display.changes_["still"]).all()
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == [
        "promotion\n1 against 0",
        "log_price, 0.1 more\nelasticity -2.00 ± 0.98",
        "still\nnever varies",
    ]
    assert_allclose(display.points_.lines[0].get_xdata()[:2], [100.0, -18.127], atol=1e-3)


def test_logs_may_be_named():
    shared = _shared(drivers=("promotion", "price", "still"))
    for logs, told in ((None, False), (["price"], True)):
        display = SeriesDisplay(shared).plot(kind="drivers", logs=logs)
        assert ("elasticity" in display.ax_.get_yticklabels()[1].get_text()) == told
    with pytest.raises(ValueError, match=r"logs must be some of the drivers .*; got \['x'\]"):
        SeriesDisplay(shared).plot(logs=["x"])


def test_factors_go_on_with_a_band():
    display = SeriesDisplay(_shared()).plot(kind="factors", n_coming=5, color="C3")
    past, coming = display.lines_["past"], display.lines_["coming"]
    assert_allclose(past.get_xdata(), np.arange(-7, 1))
    assert_allclose(past.get_ydata()[:4], [100, 0, -50, 0], atol=1e-9)
    assert_allclose(coming.get_xdata(), np.arange(1, 6))
    assert_allclose(coming.get_ydata(), [100, 0, -50, 0, 100], atol=1e-9)
    assert past.get_color() == coming.get_color() == "C3"
    edges = display.bands_["coming"].get_paths()[0].vertices
    at_two = edges[edges[:, 0] == 2, 1]
    assert [at_two.min(), at_two.max()] == pytest.approx([-32.4, 48.0], abs=0.1)  # exp(-+ .392)


def test_seasons_are_curves():
    display = SeriesDisplay(_shared()).plot(kind="seasons")
    assert list(display.lines_) == [4]
    assert_allclose(display.lines_[4].get_ydata(), [100, 0, -50, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "titles"),
    [
        ({}, ["drivers", "factors", "seasons"]),
        ({"seasons": {}}, ["drivers", "factors"]),
        ({"drivers": (), "seasons": {}}, ["factors"]),
    ],
)
def test_there_is_a_panel_of_everything_that_there_is(changes, titles):
    display = SeriesDisplay(_shared(**changes)).plot()
    assert [ax.get_title() for ax in display.figure_.axes] == titles
    assert np.size(display.ax_) == len(titles)


def test_it_says_what_is_not_used():
    display = SeriesDisplay(_shared(uses=(), seasons={})).plot()
    said = [ax.texts[0].get_text() for ax in display.ax_]
    assert said[0].startswith("No use is made of drivers")
    assert said[1].startswith("No use is made of periods")
    assert display.lines_ == display.changes_ == {}
    (text,) = SeriesDisplay(_shared(seasons={})).plot(kind="seasons").ax_.texts
    assert text.get_text() == "No season is made use of."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "prices"}, "kind must be 'all' or one of .*; got 'prices'"),
        ({"n_coming": 0}, r"n_coming must be a whole number in \[1, 60\]; got 0"),
        ({"n_coming": 61}, "n_coming must be"),
        ({"logs": "log_price"}, "logs must be some of the drivers"),
        ({"kind": "factors", "ax": [1, 2]}, "ax must be 1 Axes, for factors; got 2"),
        ({"ax": [1]}, "ax must be 3 Axes, for drivers, factors, seasons; got 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeriesDisplay(_shared()).plot(**arguments)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(3.0, 10.0, (80, 1)) * np.exp(np.tile(SEASON, 3))).astype(float)


def test_from_an_estimator(X):
    problem = Newsvendor(ordered=True, seasons=4, horizon=6)
    fitted = SampleAverage(problem).fit(X)
    _, axes = plt.subplots(1, 2)
    display = SeriesDisplay.from_estimator(fitted, ax=axes)
    assert display.ax_.tolist() == axes.tolist()
    assert display.figure_ is axes[0].figure
    ahead = display.lines_["coming"].get_ydata()
    assert_allclose(ahead, 100 * np.expm1(np.tile(SEASON, 2)[:6]), atol=10)  # of the horizon
    pipeline = make_pipeline(FunctionTransformer(), SampleAverage(problem)).fit(X)
    again = SeriesDisplay.from_estimator(pipeline, kind="seasons")
    assert_allclose(again.lines_[4].get_ydata(), display.lines_[4].get_ydata())


@pytest.mark.parametrize(
    "estimator",
    [SampleAverage(), PooledRatio(), SeasonalNaive(Newsvendor(ordered=True, seasons=4))],
)
def test_others_find_nothing_to_share(estimator, X):
    with pytest.raises(
        ValueError, match="estimator must be fitted with a problem that has ordered"
    ):
        SeriesDisplay.from_estimator(estimator.fit(X))
