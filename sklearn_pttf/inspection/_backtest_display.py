"""A picture of what decisions would have cost in the past of a table."""

import numpy as np

from sklearn_pttf._utils.sklearn_private import check_matplotlib_support
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.model_selection._backtest_result import LABELS, POLICY, SAA

KINDS = ("both", "cumulative", "parts", "saving")
MOST_NAMES = 8  # of periods along an axis
PARTS = {"missed": "C3", "held": "C0"}


class BacktestDisplay:
    """What decisions would have cost, origin by origin and by what they cost it for.

    Make one with `from_estimator` or, of what `backtest` gives, with `from_result`. The first panel
    shows the cost of every method in money, added up from the first origin on. The second shows the
    total of each and its two parts, what was missed and what was held. Its intervals of 95 % over
    origins are those of the difference from one method, today's rule or SAA, at whose total there
    is a dotted line: one that does not reach the line is surely cheaper, or dearer.

    Parameters
    ----------
    result : BacktestResult
        What `backtest` found.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of two of them
        Axes that were drawn on.

    figure_ : matplotlib Figure
        Figure of the axes.

    lines_ : dict of str to matplotlib Line2D
        Cumulative costs, by method.

    bars_ : dict of str to matplotlib BarContainer
        By "missed" and "held", or "cost" where costs have no parts; one bar a method.

    points_ : matplotlib ErrorbarContainer or None
        Intervals of totals less that of the method compared with, or of savings; None without any.

    See Also
    --------
    sklearn_pttf.model_selection.backtest : The numbers behind the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.inspection import BacktestDisplay
    >>> from sklearn_pttf.problems import Newsvendor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.poisson(rng.gamma(2.0, 5.0, size=(60, 1)), size=(60, 12))
    >>> problem = Newsvendor(underage=4.0, overage=1.0, ordered=True)
    >>> display = BacktestDisplay.from_estimator(
    ...     PretrainedDecisionTransformer(problem, finetune=None), X, origins=4
    ... )
    >>> list(display.lines_)
    ['estimator', 'SAA', 'smoothing']
    """

    def __init__(self, result):
        self.result = result

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        origins=None,
        baselines=None,
        policy=None,
        start=None,
        n_jobs=None,
        random_state=None,
        resume=None,
        verbose=0,
        kind="both",
        against=None,
        ax=None,
        **kwargs,
    ):
        """Backtest an estimator, and draw it.

        Parameters
        ----------
        estimator : estimator that decides
            With a problem that has ``ordered=True``; cloned for every fit.

        X : array-like or data frame of shape (n, n_features)
            One row an instance; NaN marks a missing observation.

        origins : int or array-like of int, default=None
            Number of origins, or how many periods are known at each; see `backtest`.

        baselines : dict of str to estimator or class, default=None
            What to compare with; None: "SAA" and "smoothing".

        policy : callable, array-like of shape (n, n_origins) or list of str, default=None
            The rule of today.

        start : tuple of (on_hand, on_order), default=None
            Stock before the first origin, where it is carried over.

        n_jobs : int, default=None
            Number of origins, or of methods where stock is carried over, at a time.

        random_state : int, RandomState or None, default=None
            Source of all training.

        resume : str or Path, default=None
            A folder that takes every result as it comes; a later call goes on from it.

        verbose : int, default=0
            1: show progress.

        kind : {"both", "cumulative", "parts", "saving"}, default="both"
            What to draw: "cumulative" and "parts", or one panel.

        against : str, default=None
            The method that others are compared with. None: "policy", or "SAA" without one.

        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        BacktestDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        TypeError
            If ``estimator`` or a baseline is nothing that decides.

        ValueError
            If an argument is not allowed. ``kind`` and ``ax`` are looked at before anything is
            computed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        _check_panels(kind, ax)
        result = backtest(
            estimator,
            X,
            origins=origins,
            baselines=baselines,
            policy=policy,
            start=start,
            n_jobs=n_jobs,
            random_state=random_state,
            resume=resume,
            verbose=verbose,
        )
        return cls.from_result(result, kind=kind, against=against, ax=ax, **kwargs)

    @classmethod
    def from_result(cls, result, *, kind="both", against=None, ax=None, **kwargs):
        """Draw a backtest.

        Parameters
        ----------
        result : BacktestResult
            What `backtest` gives.

        kind : {"both", "cumulative", "parts", "saving"}, default="both"
            What to draw: "cumulative" and "parts", or one panel.

        against : str, default=None
            The method that others are compared with. None: "policy", or "SAA" without one.

        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        BacktestDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If an argument is not allowed.
        """
        return cls(result).plot(ax, kind=kind, against=against, **kwargs)

    def plot(self, ax=None, *, kind="both", against=None, **kwargs):
        """Draw costs over origins, and totals by their parts.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        kind : {"both", "cumulative", "parts", "saving"}, default="both"
            "cumulative": costs in money, added up over origins. "parts": total costs by what was
            missed and what was held, with intervals of the difference from one of them. "saving":
            what each method saves of the cost of that one, in percent, with intervals. "both": the
            first two.

        against : str, default=None
            The method that others are compared with. None: "policy", or "SAA" without one.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        BacktestDisplay
            Itself, with what was drawn in attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If ``kind`` or ``against`` is not allowed, or if ``ax`` has not as many Axes as ``kind``
            has panels.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        _check_panels(kind, ax)
        panels = KINDS[1:3] if kind == "both" else (kind,)
        if ax is None:
            figsize = (10.0, 4.2) if kind == "both" else None
            _, ax = plt.subplots(1, len(panels), figsize=figsize, layout="constrained")
        self.ax_ = np.asarray(ax) if kind == "both" else ax
        axes = dict(zip(panels, np.atleast_1d(np.asarray(ax, dtype=object)), strict=True))
        self.figure_ = axes[panels[0]].figure
        self.lines_, self.bars_, self.points_ = {}, {}, None
        if "cumulative" in axes:
            self._draw_cumulative(axes["cumulative"], kwargs)
        if "parts" in axes:
            self._draw_parts(axes["parts"], self._compared_with(against))
        if "saving" in axes:
            self._draw_savings(axes["saving"], self._compared_with(against))
        return self

    def _compared_with(self, against):
        """The method that all are compared with."""
        if against is not None:
            return against
        return next((m for m in (POLICY, SAA) if m in self.result.methods), "estimator")

    def _draw_cumulative(self, ax, kwargs):
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        total = self.result.total_cost().cumsum(axis=1)
        for k, method in enumerate(self.result.methods):
            dark = method == POLICY
            style = {"color": "k" if dark else f"C{k}", "linestyle": "--" if dark else "-"}
            style |= {"marker": ".", "label": LABELS.get(method, method)}
            style |= normalize_kwargs(kwargs, Line2D)
            (self.lines_[method],) = ax.plot(self.result.origins, total[k], **style)
        ax.set(title="Cost so far", ylabel="money")
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        self._name_origins(ax)
        ax.legend()

    def _name_origins(self, ax):
        """Say when it was decided, by the name of the first period that was not known then."""
        origins, periods = self.result.origins, self.result.periods
        if periods is None:
            ax.set_xlabel("periods known when deciding")
            ax.xaxis.get_major_locator().set_params(integer=True)
            return
        shown = origins[:: -(-len(origins) // MOST_NAMES)]
        ax.set_xticks(shown, [periods[k] for k in shown], rotation=30, ha="right")
        ax.set_xlabel("decided before")

    def _draw_parts(self, ax, against):
        result, place = self.result, np.arange(len(self.result.methods))
        bottom = np.zeros(len(place))
        parts = {"cost": "C0"} if result.held is None else PARTS
        for name, color in parts.items():
            width = np.nansum(getattr(result, name), axis=(1, 2))
            self.bars_[name] = ax.barh(
                place, width, left=bottom, color=color, alpha=0.8, label=name
            )
            bottom += width
        total = result.total_cost().sum(axis=1)
        _, half = result.saving(against, in_money=True)
        other = result.methods.index(against)
        half[other] = np.nan  # which differs from itself by nothing
        self._draw_intervals(ax, total, half, fmt="none", ecolor="k")
        ax.axvline(total[other], color="k", linestyle=":")
        ax.set_title("Total cost, and what it is for")
        ax.set_xlabel(f"money; 95 % intervals: difference from {LABELS.get(against, against)}")
        if len(parts) > 1:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)

    def _draw_savings(self, ax, against):
        saving, half = self.result.saving(against)
        ax.axvline(0, color="k", linestyle=":")
        self._draw_intervals(ax, 100 * saving, 100 * half, fmt="o")
        ax.set_title("Savings, with 95 % intervals")
        ax.set_xlabel(f"saving, % of the cost of {LABELS.get(against, against)}")

    def _draw_intervals(self, ax, values, half, **style):
        methods = self.result.methods
        shown = half if np.isfinite(half).any() else None
        place = np.arange(len(methods))
        self.points_ = ax.errorbar(values, place, xerr=shown, capsize=4, **style)
        ax.set_yticks(place, [LABELS.get(method, method) for method in methods])
        ax.set_ylim(len(methods) - 0.5, -0.5)


def _check_panels(kind, ax):
    """Refuse what is no kind, and Axes of another number than it has panels."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}; got {kind!r}.")
    n_panels = 2 if kind == "both" else 1
    n_axes = n_panels if ax is None else np.size(ax)
    if n_axes != n_panels or (n_panels == 1 and np.ndim(ax)):
        raise ValueError(
            f"ax must be {'two Axes' if n_panels == 2 else 'one Axes'} for kind={kind!r}; got "
            f"{n_axes} in {ax!r}."
        )
