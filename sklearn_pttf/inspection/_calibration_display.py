"""A picture of whether predictive laws are right."""

import numpy as np
from scipy import special
from sklearn.pipeline import Pipeline

from sklearn_pttf._laws.pit import counts_up_to, coverage_table, pit_values, row_variance
from sklearn_pttf._utils.checks import check_whole
from sklearn_pttf._utils.sklearn_private import check_matplotlib_support

LEVELS = tuple(np.arange(1, 20) / 20)
BAND = special.ndtri(0.975)  # standard errors to either side of a band of 95 %
REFERENCE = "law is right"


class CalibrationDisplay:
    """How often outcomes are at or below the quantiles that a law gives them.

    Make one with `from_estimator` or `from_law`. On the diagonal the law is right. Above it
    outcomes are lower than the law says, so orders are too high at that level; below it, too
    low. A curve that is steeper than the diagonal in the middle belongs to laws that are too
    wide; one that is flatter to laws that are too narrow.

    Parameters
    ----------
    levels : ndarray of shape (k,)
        Nominal levels.

    observed : ndarray of shape (k,)
        Share of outcomes at or below the quantile of the level.

    standard_error : ndarray of shape (k,)
        Of ``observed``; rows are independent, outcomes of one row are not.

    name : str, default=None
        Label of the curve. None: no label.

    pit : ndarray of shape (n,) or (n, m), default=None
        Values of `pit_values`, which the histogram needs.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.

    figure_ : matplotlib Figure
        Figure of the axes.

    line_ : matplotlib Line2D or None
        Observed shares; None for a histogram.

    bars_ : matplotlib BarContainer or None
        Bars of the histogram; None for the shares.

    band_ : matplotlib artist
        Band of 95 %: around the observed shares, or around what bars would be if the law were
        right.

    See Also
    --------
    coverage_table : The numbers behind the curve.
    pit_values : The values behind the numbers.

    Notes
    -----
    Rows of *one* portfolio share what was read of the portfolio as a whole, which the bands
    leave out; see `coverage_table`.

    Examples
    --------
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.datasets import make_demand_portfolio
    >>> from sklearn_pttf.inspection import CalibrationDisplay
    >>> X, y = make_demand_portfolio(200, 6, n_outcomes=10, random_state=0)
    >>> pdt = PretrainedDecisionTransformer(finetune=None).fit(X)
    >>> display = CalibrationDisplay.from_estimator(pdt, X, y, random_state=0)
    >>> display.observed.shape
    (19,)
    """

    def __init__(self, levels, observed, standard_error, *, name=None, pit=None):
        self.levels = levels
        self.observed = observed
        self.standard_error = standard_error
        self.name = name
        self.pit = pit

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        levels=LEVELS,
        random_state=None,
        kind="coverage",
        n_bins=10,
        name=None,
        ax=None,
        ref_line=True,
        **kwargs,
    ):
        """Draw the calibration of a fitted estimator on later outcomes.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_distribution``; or a Pipeline whose last step is.

        X : array-like or data frame of shape (n, n_features)
            Rows to give a law.

        y : array-like of shape (n,) or (n, m)
            Their later outcomes, which X does not hold; NaN = not observed.

        levels : array-like of shape (k,), default=(0.05, 0.1, ..., 0.95)
            Strictly between 0 and 1.

        random_state : int, RandomState or None, default=None
            Source of the randomisation of `pit_values`.

        kind : {"coverage", "histogram"}, default="coverage"
            What to draw.

        n_bins : int, default=10
            Bars of a histogram.

        name : str, default=None
            Label. None: the class of the estimator.

        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        ref_line : bool, default=True
            Whether to draw where the law would be right.

        **kwargs : dict
            For matplotlib's ``plot`` or ``bar``.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If the estimator has no ``predict_distribution``, or another argument is not
            allowed.

        Examples
        --------
        >>> from sklearn_pttf.baselines import PooledRatio
        >>> from sklearn_pttf.datasets import make_demand_portfolio
        >>> from sklearn_pttf.inspection import CalibrationDisplay
        >>> X, y = make_demand_portfolio(200, 6, n_outcomes=10, random_state=0)
        >>> display = CalibrationDisplay.from_estimator(
        ...     PooledRatio().fit(X), X, y, kind="histogram", random_state=0
        ... )
        >>> len(display.bars_)
        10
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator, X = _last_step(estimator, X)
        return cls.from_law(
            estimator.predict_distribution(X),
            y,
            levels=levels,
            random_state=random_state,
            kind=kind,
            n_bins=n_bins,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            ref_line=ref_line,
            **kwargs,
        )

    @classmethod
    def from_law(
        cls,
        law,
        y,
        *,
        levels=LEVELS,
        random_state=None,
        kind="coverage",
        n_bins=10,
        name=None,
        ax=None,
        ref_line=True,
        **kwargs,
    ):
        """Draw the calibration of a law on later outcomes.

        Parameters
        ----------
        law : PredictiveDistribution
            Of n rows.

        y : array-like of shape (n,) or (n, m)
            Later outcomes, which the law did not see; NaN = not observed.

        levels : array-like of shape (k,), default=(0.05, 0.1, ..., 0.95)
            Strictly between 0 and 1.

        random_state : int, RandomState or None, default=None
            Source of the randomisation of `pit_values`.

        kind : {"coverage", "histogram"}, default="coverage"
            What to draw.

        n_bins : int, default=10
            Bars of a histogram.

        name : str, default=None
            Label. None: no label.

        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        ref_line : bool, default=True
            Whether to draw where the law would be right.

        **kwargs : dict
            For matplotlib's ``plot`` or ``bar``.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If an argument is not allowed.

        Examples
        --------
        >>> from sklearn_pttf.inspection import CalibrationDisplay
        >>> from sklearn_pttf.testing import GammaPoisson
        >>> portfolio_law = GammaPoisson(2.0, 0.2)
        >>> portfolio = portfolio_law.sample(500, 8, random_state=0)
        >>> y = portfolio.observations[:, 5:]
        >>> evidence = portfolio.with_observations(portfolio.observations[:, :5])
        >>> display = CalibrationDisplay.from_law(
        ...     portfolio_law.predictive(evidence), y, levels=[0.5, 0.9], random_state=0
        ... )
        >>> display.observed.round(2)
        array([0.5, 0.9])
        """
        check_matplotlib_support(f"{cls.__name__}.from_law")
        pit = pit_values(law, y, random_state)
        display = cls(**coverage_table(pit, levels), name=name, pit=pit)
        return display.plot(ax, kind=kind, n_bins=n_bins, ref_line=ref_line, **kwargs)

    def plot(self, ax=None, *, kind="coverage", n_bins=10, name=None, ref_line=True, **kwargs):
        """Draw observed shares against levels, or the histogram of PITs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: a new figure.

        kind : {"coverage", "histogram"}, default="coverage"
            "coverage": observed shares against nominal levels, with a band of 95 %.
            "histogram": density of the PITs, with the band of 95 % in which each bar would
            be if the law were right.

        n_bins : int, default=10
            Bars of a histogram.

        name : str, default=None
            Label. None: that of the display.

        ref_line : bool, default=True
            Whether to draw where the law would be right.

        **kwargs : dict
            For matplotlib's ``plot`` or ``bar``.

        Returns
        -------
        CalibrationDisplay
            Itself, with what was drawn in attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If ``kind`` or ``n_bins`` is not allowed, or a histogram lacks ``pit``.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if kind not in ("coverage", "histogram"):
            raise ValueError(f"kind must be 'coverage' or 'histogram'; got {kind!r}.")
        check_whole("n_bins", n_bins, 1)
        if kind == "histogram" and self.pit is None:
            raise ValueError("kind='histogram' needs pit, the values of pit_values; got None.")
        if ax is None:
            _, ax = plt.subplots()
        self.ax_, self.figure_ = ax, ax.figure
        self.line_ = self.bars_ = None
        if kind == "coverage":
            self._draw_shares(ref_line, self._label(name), kwargs)
        else:
            self._draw_histogram(n_bins, ref_line, self._label(name), kwargs)
        if ax.get_legend_handles_labels()[1]:
            ax.legend(loc="lower right")
        return self

    def _label(self, name):
        name = self.name if name is None else name
        return {} if name is None else {"label": name}

    def _draw_reference(self, x, y):
        """The reference line, once on these axes."""
        if REFERENCE not in self.ax_.get_legend_handles_labels()[1]:
            self.ax_.plot(x, y, "k:", label=REFERENCE)

    def _draw_shares(self, ref_line, label, kwargs):
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        if ref_line:
            self._draw_reference([0, 1], [0, 1])
        order = np.argsort(self.levels)
        levels, observed = np.asarray(self.levels)[order], np.asarray(self.observed)[order]
        half = BAND * np.asarray(self.standard_error)[order]
        style = {"marker": "o", "markersize": 4, **label, **normalize_kwargs(kwargs, Line2D)}
        (self.line_,) = self.ax_.plot(levels, observed, **style)
        low, high = np.clip([observed - half, observed + half], 0, 1)
        self.band_ = self.ax_.fill_between(
            levels, low, high, color=self.line_.get_color(), alpha=0.2, linewidth=0
        )
        self.ax_.set(xlabel="nominal level", ylabel="share of outcomes at or below")

    def _draw_histogram(self, n_bins, ref_line, label, kwargs):
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.patches import Patch

        edges = np.arange(n_bins + 1) / n_bins
        density, error = _histogram(self.pit, edges)
        if ref_line:
            self._draw_reference([0, 1], [1, 1])
        style = {"alpha": 0.6, "edgecolor": "white", **label, **normalize_kwargs(kwargs, Patch)}
        self.bars_ = self.ax_.bar(edges[:-1], density, width=1 / n_bins, align="edge", **style)
        low, high = np.maximum(1 - BAND * error, 0), 1 + BAND * error
        self.band_ = self.ax_.fill_between(
            np.repeat(edges, 2)[1:-1],
            np.repeat(low, 2),
            np.repeat(high, 2),
            color="k",
            alpha=0.15,
            linewidth=0,
        )
        self.ax_.set(xlabel="probability integral transform", ylabel="density")


def _histogram(pit, edges):
    """Density of PITs in bins, and its standard error if the law is right; ``(k,)`` each."""
    pit = np.asarray(pit, dtype=float)
    pit = pit.reshape(len(pit), -1)
    n_seen = (~np.isnan(pit)).sum(axis=1)
    counts = np.diff(counts_up_to(pit, edges[1:]), prepend=0, axis=1)
    widths = np.diff(edges)
    error = np.sqrt(row_variance(counts - n_seen[:, None] * widths, n_seen))
    return counts.sum(axis=0) / n_seen.sum() / widths, error / widths


def _last_step(estimator, X):
    """The estimator that gives the law, and X as it sees it."""
    decider = estimator
    if isinstance(estimator, Pipeline) and not hasattr(estimator, "predict_distribution"):
        decider = estimator.steps[-1][1]
    if not hasattr(decider, "predict_distribution"):
        raise ValueError(
            "estimator must have predict_distribution, or be a Pipeline whose last step has it; "
            f"got {estimator!r}."
        )
    if decider is not estimator and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return decider, X
