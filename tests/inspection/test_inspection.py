"""Whether predictive laws are right: the integral transform, its shares, the picture."""

import re
import sys

import matplotlib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._laws import pit as _pit
from sklearn_pttf._laws.atoms import SampleAverageLaw, WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import (
    LognormalLaw,
    NegativeBinomialLaw,
    PoissonLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf._laws.pit import smooth_test
from sklearn_pttf.baselines import PooledRatio
from sklearn_pttf.inspection import CalibrationDisplay, coverage_table, pit_values
from sklearn_pttf.inspection._calibration_display import _histogram
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAN = np.nan
pytestmark = pytest.mark.usefixtures("no_figure_stays")


def _split(law, n_rows, n_seen, n_later, seed):
    """Predictive law of a draw, and its later outcomes."""
    portfolio = law.sample(n_rows, n_seen + n_later, random_state=seed)
    seen = portfolio.with_observations(portfolio.observations[:, :n_seen])
    return law.predictive(seen), portfolio.observations[:, n_seen:]


def _ends(law, y):
    """Where PITs begin and end: those of 4,000 draws."""
    y = np.tile(np.asarray(y, dtype=float)[:, None], (1, 4000))
    pit = pit_values(law, y, random_state=0)
    return np.column_stack([pit.min(axis=1), pit.max(axis=1)])


# ---- the integral transform

ATOMS = np.array([[0.0, 1.0, 1.0, 5.0], [2.0, 2.0, 2.0, NAN]])
# 0.3 of the function lies below 0, at 3 the function is flat from 0.6 to 0.8
GRID = np.array([[-1.0, 0.0, 3.0, 3.0, 4.0]])
KNOTS = [0.1, 0.3, 0.6, 0.8, 0.9]


@pytest.mark.parametrize(
    ("law", "y", "ends"),
    [
        (WeightedAtoms(ATOMS), [1.0, 2.0], [[0.25, 0.75], [0.0, 1.0]]),
        (WeightedAtoms(ATOMS), [0.0, 1.0], [[0.0, 0.25], [0.0, 0.0]]),
        (WeightedAtoms(ATOMS, [[1, 0, 0, 3], [1, 1, 1, 1]]), [5.0, 3.0], [[0.25, 1], [1, 1]]),
        (
            SampleAverageLaw(np.array([[4.0, 7.0], [NAN, NAN]]), np.array([1.0, 4.0, 4.0, 9.0])),
            [4.0, 4.0],
            [[0.0, 0.5], [0.25, 0.75]],
        ),
        (PoissonLaw([2.0, 2.0]), [0.0, 1.0], [[0, np.exp(-2)], [np.exp(-2), 3 * np.exp(-2)]]),
        # with one success at 0.25 the chance of k is 0.25 * 0.75 ** k
        (NegativeBinomialLaw(1.0, 0.25), [1.0], [[0.25, 0.4375]]),
        (LognormalLaw(1.0, 0.5), [np.e], [[0.5, 0.5]]),
        (ZeroInflatedLognormalLaw(1.0, 0.5, 0.4), [0.0], [[0.0, 0.4]]),
        (ZeroInflatedLognormalLaw(1.0, 0.5, 0.4), [np.e], [[0.7, 0.7]]),
        (RectifiedNormalLaw([0.0, 3.0], 2.0), [0.0, 3.0], [[0.0, 0.5], [0.5, 0.5]]),
        # less than half a unit is rounded to 0, from there to one and a half to 1
        (
            RoundedLaw(LognormalLaw(np.log([0.5, 0.5]), 1.0)),
            [0.0, 1.0],
            [[0.0, 0.5], [0.5, stats.norm.cdf(np.log(3))]],
        ),
        (QuantileGrid(GRID, KNOTS), [0.0], [[0.0, 0.3]]),
        (QuantileGrid(GRID, KNOTS), [3.0], [[0.6, 0.8]]),
        (QuantileGrid([[1.0, 2.0, 3.0]], [0.1, 0.5, 0.9]), [2.0], [[0.5, 0.5]]),
        (QuantileGrid([[1.0, 2.0, 3.0]], [0.1, 0.5, 0.9], integer=True), [2.0], [[0.1, 0.5]]),
        (QuantileGrid([[0.0, 2.0, 3.0]], [0.1, 0.5, 0.9], integer=True), [0.0], [[0.0, 0.1]]),
        (QuantileGrid([[5.0, 5.0]], [0.2, 0.7]), [5.0], [[0.0, 1.0]]),
    ],
)
def test_pit_lies_between_the_cdf_before_and_at_the_outcome(law, y, ends):
    # the least and the largest of 4,000 uniform draws: within 0.005 of both ends
    assert_allclose(_ends(law, y), ends, atol=0.005)


def test_pit_is_linear_in_the_draw():
    y = np.array([[1.0, 0.0, NAN], [2.0, NAN, 3.0]])
    v = np.random.RandomState(3).uniform(size=y.shape)
    low = np.array([[0.25, 0.0, NAN], [0.0, NAN, 1.0]])
    high = np.array([[0.75, 0.25, NAN], [1.0, NAN, 1.0]])
    expected = low + v * (high - low)
    assert_allclose(pit_values(WeightedAtoms(ATOMS), y, random_state=3), expected)


def test_atom_at_zero_where_tiny_numbers_count_as_zero():
    law = WeightedAtoms(np.array([[0.0, 1.0]]))
    y = np.zeros((1, 50))
    expected = pit_values(law, y, random_state=0)
    flushed = torch.set_flush_denormal(True)
    try:
        again = pit_values(law, y, random_state=0)
    finally:
        torch.set_flush_denormal(False)
    if not flushed:
        pytest.skip("this processor keeps tiny numbers")
    assert_array_equal(again, expected)
    assert expected.min() < 0.1
    assert expected.max() <= 0.5


def test_pit_has_the_shape_of_the_outcomes():
    law = LognormalLaw(np.zeros(3), 1.0)
    y = np.exp([0.0, 1.0, -1.0])
    expected = stats.norm.cdf([0.0, 1.0, -1.0])
    assert_allclose(pit_values(law, y), expected)
    assert_allclose(pit_values(law, y[:, None]), expected[:, None])
    assert_allclose(pit_values(law, list(y)), expected)


def test_pit_leaves_the_outcomes_alone():
    y = np.array([[1.0, NAN], [2.0, 0.0]])
    before = y.copy()
    pit_values(WeightedAtoms(ATOMS), y)
    assert_array_equal(y, before)


def test_equal_seeds_give_equal_pits():
    law, y = _split(GammaPoisson(2.0, 0.2), 50, 3, 4, seed=0)
    first = pit_values(law, y, random_state=7)
    assert_array_equal(pit_values(law, y, random_state=7), first)
    assert_array_equal(pit_values(law, y, random_state=np.random.RandomState(7)), first)
    assert np.all(pit_values(law, y, random_state=8) != first)


@pytest.mark.parametrize(("cells", "largest"), [(100, 98), (5, 7)])
def test_many_outcomes_are_asked_for_in_pieces(monkeypatch, cells, largest):
    law, y = _split(GammaPoisson(2.0, 0.2), 7, 3, 2000, seed=0)
    expected = pit_values(law, y, random_state=0)
    asked = []
    cdf = NegativeBinomialLaw.cdf

    def recorded(self, x):
        asked.append(np.size(x))
        return cdf(self, x)

    monkeypatch.setattr(NegativeBinomialLaw, "cdf", recorded)
    monkeypatch.setattr(_pit, "CHUNK_CELLS", cells)
    assert_array_equal(pit_values(law, y, random_state=0), expected)
    assert max(asked) == largest  # 14 columns of 7 rows, or one
    assert sum(asked) == 2 * y.size


@pytest.mark.parametrize(
    "portfolio_law",
    [
        GammaPoisson(2.0, 0.2),
        GammaPoisson(0.5, 1.0),
        LognormalNormal(4.0, 0.3, 0.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_seen", [0, 3])
def test_pit_is_uniform_if_the_law_is_right(portfolio_law, n_seen):
    law, y = _split(portfolio_law, 20_000, n_seen, 1, seed=1)
    pit = pit_values(law, y[:, 0], random_state=2)
    assert stats.kstest(pit, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    "law",
    [
        QuantileGrid(np.tile(GRID, (20_000, 1)), KNOTS),
        QuantileGrid(np.tile(GRID, (20_000, 1)), KNOTS, integer=True),
        RoundedLaw(LognormalLaw(np.zeros(20_000), 1.0)),
    ],
    ids=["mass at 0", "whole", "rounded"],
)
def test_pit_of_a_laws_own_draws_is_uniform(law):
    tau = np.random.RandomState(0).uniform(size=20_000)
    y = law.quantile(tau[:, None])[:, 0]
    assert len(np.unique(y)) < len(y)
    assert stats.kstest(pit_values(law, y, random_state=1), "uniform").pvalue > 0.01


def test_a_wrong_law_is_found():
    law, y = _split(GammaPoisson(2.0, 0.2), 20_000, 3, 1, seed=1)
    assert stats.kstest(pit_values(law, y[:, 0], 0), "uniform").pvalue > 0.01
    poisson = PoissonLaw(law.mean())  # the mean is right, the width is not
    assert stats.kstest(pit_values(poisson, y[:, 0], 0), "uniform").pvalue < 1e-6
    assert stats.kstest(pit_values(law, y[:, 0] + 2, 0), "uniform").pvalue < 1e-6


@pytest.mark.parametrize(
    ("law", "y", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], "law must be a PredictiveDistribution.*got [1.0, 2.0]"),
        (WeightedAtoms(ATOMS), [1.0, 2.0, 3.0], "y must have a row for each of the law's 2; got 3"),
        (WeightedAtoms(ATOMS), [1.0, np.inf], "y contains infinity"),
        (WeightedAtoms(ATOMS), [[[1.0]], [[2.0]]], "dim 3"),
    ],
)
def test_pit_refuses(law, y, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        pit_values(law, y)


# ---- shares


def test_coverage_by_hand():
    pit = np.array([[0.2, 0.4], [0.7, 0.6], [0.3, NAN], [NAN, NAN]])
    table = coverage_table(pit, [0.5, 0.65])
    # at 0.5: rows have 2, 0 and 1 of 2, 2 and 1; deviations from 0.6 a cell: 0.8, -1.2, 0.4
    # at 0.65: 2, 1, 1; deviations from 0.8 a cell: 0.4, -0.6, 0.2
    assert_allclose(table.observed, [3 / 5, 4 / 5])
    squares = np.array([0.64 + 1.44 + 0.16, 0.16 + 0.36 + 0.04])
    assert_allclose(table.standard_error, np.sqrt(3 / 2 * squares) / 5)
    assert_array_equal(table.levels, [0.5, 0.65])


def test_a_level_is_reached_by_pits_that_equal_it():
    assert_allclose(coverage_table([0.5, 0.5, 0.75, 0.25], 0.5).observed, [0.75])


def test_one_outcome_a_row_has_the_error_of_a_share():
    pit = np.random.RandomState(0).uniform(size=400)
    table = coverage_table(pit)
    assert_array_equal(table.levels, [0.1, 0.5, 0.9, 0.95])
    share = np.array([(pit <= level).mean() for level in table.levels])
    assert_allclose(table.observed, share)
    assert_allclose(table.standard_error, np.sqrt(share * (1 - share) / 399))


def test_one_row_has_no_standard_error():
    table = coverage_table([[0.1, 0.2, 0.9], [NAN, NAN, NAN]], [0.5])
    assert_allclose(table.observed, [2 / 3])
    assert np.isnan(table.standard_error).all()


def test_repeating_outcomes_adds_no_certainty():
    pit = np.random.RandomState(0).uniform(size=(100, 1))
    once, often = coverage_table(pit), coverage_table(np.tile(pit, (1, 50)))
    assert_allclose(often.observed, once.observed)
    assert_allclose(often.standard_error, once.standard_error)


def test_standard_errors_are_those_of_repeated_draws():
    levels, tables = np.array([0.1, 0.5, 0.9]), []
    for seed in range(300):
        law, y = _split(GammaPoisson(2.0, 0.2), 60, 2, 20, seed)
        y[:30, 5:] = NAN
        tables.append(coverage_table(pit_values(law, y, seed), levels))
    observed = np.array([table.observed for table in tables])
    error = np.array([table.standard_error for table in tables])
    # the mean of 300 shares is within four of its standard errors of the level
    assert np.all(np.abs(observed.mean(axis=0) - levels) < 4 * observed.std(axis=0) / 300**0.5)
    assert_allclose(np.sqrt((error**2).mean(axis=0)), observed.std(axis=0), rtol=0.15)
    naive = np.sqrt(levels * (1 - levels) / (30 * 20 + 30 * 5))
    assert np.all(observed.std(axis=0) > 1.5 * naive)


@pytest.mark.parametrize(
    ("pit", "levels", "message"),
    [
        ([0.5, 1.5], 0.5, "pit must lie in [0, 1]; got 1.5"),
        ([0.5, -0.1], 0.5, "pit must lie in [0, 1]; got -0.1"),
        ([NAN, NAN], 0.5, "pit must hold a number; got none"),
        ([0.5], [0.5, 1.0], "levels must lie strictly between 0 and 1; got "),
        ([0.5], [[0.5]], "levels must be a number or 1-D and not empty"),
        ([0.5], [], "levels must be a number or 1-D and not empty"),
    ],
)
def test_coverage_refuses(pit, levels, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        coverage_table(pit, levels)


# ---- the picture


@pytest.fixture(scope="module")
def data():
    observations = GammaPoisson(2.0, 0.2).sample(40, 9, random_state=0).observations
    return observations[:, :5], observations[:, 5:]


def test_display_draws_the_table(data):
    X, y = data
    fitted = PooledRatio().fit(X)
    display = CalibrationDisplay.from_estimator(fitted, X, y, levels=[0.9, 0.1], random_state=3)
    pit = pit_values(fitted.predict_distribution(X), y, random_state=3)
    table = coverage_table(pit, [0.9, 0.1])
    assert_array_equal(display.pit, pit)
    assert_array_equal(display.observed, table.observed)
    assert_array_equal(display.standard_error, table.standard_error)
    assert display.name == "PooledRatio"
    x, shares = display.line_.get_data()
    assert_array_equal(x, [0.1, 0.9])  # from left to right
    assert_array_equal(shares, table.observed[::-1])
    half = stats.norm.ppf(0.975) * table.standard_error[::-1]
    corners = display.band_.get_paths()[0].vertices
    for k, level in enumerate([0.1, 0.9]):
        ends = corners[corners[:, 0] == level, 1]
        assert_allclose(ends.min(), max(shares[k] - half[k], 0))
        assert_allclose(ends.max(), min(shares[k] + half[k], 1))
    assert display.bars_ is None
    assert display.ax_ is display.figure_.axes[0]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["law is right", "PooledRatio"]


def test_display_draws_the_histogram():
    # bins of 0.25 hold 3, 1, 0 and 1 of 5; rows 2, 2 and 1
    pit = np.array([[0.1, 0.2], [0.0, 0.25001], [1.0, NAN]])
    display = CalibrationDisplay([0.5], [0.8], [0.2], pit=pit).plot(kind="histogram", n_bins=4)
    assert_allclose([bar.get_height() for bar in display.bars_], [4 * 3 / 5, 4 / 5, 0, 4 / 5])
    assert_allclose([bar.get_x() for bar in display.bars_], [0, 0.25, 0.5, 0.75])
    # deviations of the rows' counts from a quarter of their cells
    deviations = (
        np.array([[2, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]) - np.array([[2], [2], [1]]) / 4
    )
    half = stats.norm.ppf(0.975) * np.sqrt((deviations**2).sum(axis=0)) / 5 * 4
    band = display.band_.get_paths()[0]
    for k, middle in enumerate([0.125, 0.375, 0.625, 0.875]):
        assert band.contains_point((middle, 1 + half[k] - 1e-6))
        assert not band.contains_point((middle, 1 + half[k] + 1e-6))
    assert display.line_ is None


def test_bars_of_a_right_law_vary_as_their_band_says():
    scores = []
    for seed in range(100):
        law, y = _split(GammaPoisson(2.0, 0.2), 100, 3, 10, seed)
        density, error = _histogram(pit_values(law, y, seed), np.arange(11) / 10)
        scores.append((density - 1) / error)
    # of 1,000 bars that are 1 on average
    assert abs(np.mean(scores)) < 0.1
    assert_allclose(np.std(scores), 1, atol=0.1)
    law, y = _split(GammaPoisson(2.0, 0.2), 2000, 3, 10, seed=0)
    density, error = _histogram(pit_values(PoissonLaw(law.mean()), y, 0), np.arange(11) / 10)
    assert max(abs(density - 1) / error) > 3


def test_display_draws_where_it_is_told(data):
    X, y = data
    law = PooledRatio().fit(X).predict_distribution(X)
    figure, axes = plt.subplots(1, 2)
    display = CalibrationDisplay.from_law(law, y, ax=axes[1], ref_line=False, c="C3", name="mine")
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].lines
    assert [line.get_label() for line in axes[1].lines] == ["mine"]
    assert display.line_.get_color() == "C3"
    assert display.plot(axes[0], name="other") is display
    assert [line.get_label() for line in axes[0].lines] == ["law is right", "other"]
    display.plot(axes[0], kind="histogram", fc="C4")
    assert axes[0].get_legend_handles_labels()[1].count("law is right") == 1
    assert display.bars_[0].get_facecolor()[:3] == matplotlib.colors.to_rgb("C4")


def test_display_without_labels():
    display = CalibrationDisplay([0.1, 0.9], [0.2, 0.8], [0.2, 0.2]).plot(ref_line=False)
    heights = display.band_.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 1)  # 0.2 - 1.96 * 0.2 is no share
    assert display.ax_.get_legend() is None
    assert len(plt.get_fignums()) == 1


def test_display_through_a_pipeline(data):
    X, y = data
    halves = FunctionTransformer(lambda X: X[:, :3])
    pipeline = make_pipeline(halves, "passthrough", PooledRatio()).fit(X)
    display = CalibrationDisplay.from_estimator(pipeline, X, y, random_state=0)
    direct = PooledRatio().fit(X[:, :3])
    expected = CalibrationDisplay.from_estimator(direct, X[:, :3], y, random_state=0)
    assert_array_equal(display.pit, expected.pit)
    assert display.name == "PooledRatio"
    alone = CalibrationDisplay.from_estimator(
        make_pipeline(PooledRatio()).fit(X[:, :3]), X[:, :3], y, random_state=0
    )
    assert_array_equal(alone.pit, expected.pit)


def test_display_of_the_shipped_checkpoint():
    law = GammaPoisson(2.0, 0.2)
    observations = law.sample(300, 60, random_state=0).observations
    X, y = observations[:, :10], observations[:, 10:]
    display = CalibrationDisplay.from_estimator(
        PretrainedDecisionTransformer(finetune=None).fit(X), X, y, random_state=0
    )
    assert_allclose(display.observed, display.levels, atol=0.05)


@pytest.mark.parametrize(
    "estimator",
    [
        FunctionTransformer(),
        make_pipeline(PooledRatio(), FunctionTransformer()),
        GridSearchCV(PooledRatio(), {}),
    ],
    ids=lambda e: type(e).__name__,
)
def test_display_refuses_what_has_no_law(data, estimator):
    with pytest.raises(ValueError, match=r"estimator must have predict_distribution.*got"):
        CalibrationDisplay.from_estimator(estimator, *data)


def test_display_refuses():
    display = CalibrationDisplay([0.5], [0.5], [0.1])
    with pytest.raises(ValueError, match="kind must be 'coverage' or 'histogram'; got 'pie'"):
        display.plot(kind="pie")
    with pytest.raises(ValueError, match="kind='histogram' needs pit"):
        display.plot(kind="histogram")
    with pytest.raises(ValueError, match="n_bins must be a whole number of at least 1; got 0"):
        display.plot(n_bins=0)
    assert not plt.get_fignums()


def test_display_says_that_matplotlib_is_missing(data, monkeypatch):
    X, y = data
    fitted = PooledRatio().fit(X)
    law = fitted.predict_distribution(X)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"CalibrationDisplay\.from_estimator requires"):
        CalibrationDisplay.from_estimator(fitted, X, y)
    with pytest.raises(ImportError, match=r"CalibrationDisplay\.from_law requires"):
        CalibrationDisplay.from_law(law, y)
    with pytest.raises(ImportError, match=r"CalibrationDisplay\.plot requires"):
        CalibrationDisplay([0.5], [0.5], [0.1]).plot()


def test_smooth_test_by_hand():
    """Squares of sums of Legendre polynomials, scaled to variance one."""
    pit = np.array([0.1, 0.4, 0.45, 0.9])
    score = np.sqrt(3 / 4) * np.sum(2 * pit - 1)
    assert smooth_test(pit, order=1) == pytest.approx(stats.chi2.sf(score**2, 1))
    square = np.sqrt(5 / 4) * np.sum((3 * (2 * pit - 1) ** 2 - 1) / 2)
    assert smooth_test(pit, order=2) == pytest.approx(stats.chi2.sf(score**2 + square**2, 2))


@pytest.mark.parametrize(
    "wrong", [lambda u: u**1.4, lambda u: (u + 0.5) / 2, lambda u: stats.beta.cdf(u, 2, 2)]
)
def test_smooth_test_refuses_laws_that_are_off_or_too_wide(wrong):
    pit = (np.arange(400) + 0.5) / 400
    assert smooth_test(pit) > 0.99
    assert smooth_test(wrong(pit)) < 1e-3
