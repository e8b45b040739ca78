"""A picture of how cost falls as a portfolio grows."""

import numpy as np

from sklearn_pttf._utils.sklearn_private import check_matplotlib_support
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.model_selection._transfer_curve import (
    METHODS,
    gains,
    mean_with_half_width,
    relative_to_saa,
)

KINDS = ("both", "cost", "gain")
LABELS = {
    "pretrained": "pretrained",
    "finetuned": "finetuned",
    "scratch": "from scratch",
    "best_baseline": "best baseline",
    "saa": "SAA",
    "context_gain": "richer context",
    "finetune_gain": "finetuning",
}
COLORS = {
    "pretrained": "C0",
    "finetuned": "C1",
    "scratch": "C2",
    "best_baseline": "C3",
    "saa": "k",
    "context_gain": "C0",
    "finetune_gain": "C1",
}


class TransferCurveDisplay:
    """Cost of decisions against the number of rows that are decided together.

    Make one with `from_estimator` or, of what `transfer_curve` gives, with `from_result`. The
    first panel shows the cost of every method. The second tells the two reasons for which that
    of the finetuned network falls from one another: a richer context, which the pretrained
    network has too, and finetuning. Bands are of 95 %.

    Parameters
    ----------
    n_instances : ndarray of shape (n_sizes,)
        Numbers of rows, in increasing order.

    methods : list of str
        Of ``cost``: some of "pretrained", "finetuned", "scratch", "best_baseline", "saa".

    cost : ndarray of shape (n_methods, n_sizes, n_draws)
        Mean cost a row of every method, size and draw, in money.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of two of them
        Axes that were drawn on.

    figure_ : matplotlib Figure
        Figure of the axes.

    lines_ : dict of str to matplotlib Line2D
        By method; those of the second panel by "context_gain" and "finetune_gain".

    bands_ : dict of str to matplotlib artist
        Bands of 95 % of the lines; none where there is one draw only.

    See Also
    --------
    sklearn_pttf.model_selection.transfer_curve : The numbers behind the picture.

    Notes
    -----
    Relative costs are ratios of means over draws, with the paired intervals of `transfer_curve`.

    Examples
    --------
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.datasets import make_demand_portfolio
    >>> from sklearn_pttf.inspection import TransferCurveDisplay
    >>> X, y = make_demand_portfolio(60, 4, n_outcomes=20, random_state=0)
    >>> display = TransferCurveDisplay.from_estimator(
    ...     PretrainedDecisionTransformer(),
    ...     X,
    ...     y,
    ...     n_instances=[10, 50],
    ...     cv=3,
    ...     methods=["pretrained", "saa"],
    ...     random_state=0,
    ... )
    >>> list(display.lines_)
    ['pretrained', 'saa', 'context_gain']
    """

    def __init__(self, n_instances, methods, cost):
        self.n_instances = n_instances
        self.methods = methods
        self.cost = cost

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        n_instances=(30, 100, 300, 1000),
        cv=5,
        methods=METHODS,
        charge="common",
        n_jobs=None,
        random_state=None,
        resume=None,
        verbose=0,
        kind="both",
        relative=True,
        ax=None,
        **kwargs,
    ):
        """Compute a transfer curve, and draw it.

        Parameters
        ----------
        estimator : PretrainedDecisionTransformer
            Cloned for every fit.

        X : array-like or data frame of shape (n, n_features)
            One row an instance; NaN marks a missing observation.

        y : array-like of shape (n,) or (n, n_outcomes), default=None
            Later outcomes, which decisions are charged on; NaN = not observed. None: an
            observation of every row is held out.

        n_instances : array-like of int, default=(30, 100, 300, 1000)
            Numbers of rows of a portfolio.

        cv : int, cross-validation generator, iterable or None, default=5
            Number of random draws, or what gives ``(train, test)``; see `transfer_curve`.

        methods : sequence of str, default=("pretrained", "finetuned", "scratch", \
                "best_baseline", "saa")
            What to compare.

        charge : {"common", "portfolio"}, default="common"
            Whether costs are means over the rows that all portfolios of a draw have, or over
            all rows of each.

        n_jobs : int, default=None
            Number of fits at a time.

        random_state : int, RandomState or None, default=None
            Source of all that is random.

        resume : str or Path, default=None
            A file that takes every result as it comes; a later call goes on from it.

        verbose : int, default=0
            1: show progress.

        kind : {"both", "cost", "gain"}, default="both"
            What to draw: two panels, or one of them.

        relative : bool, default=True
            Whether costs are shown in percent of SAA's, or in money a row.

        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        TransferCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        TypeError
            If ``estimator`` is no PretrainedDecisionTransformer.

        ValueError
            If an argument is not allowed. Those of the picture are looked at before anything is
            computed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        methods = list(methods)
        _check_drawable(methods, kind, relative, ax)
        result = transfer_curve(
            estimator,
            X,
            y,
            n_instances=n_instances,
            cv=cv,
            methods=methods,
            charge=charge,
            n_jobs=n_jobs,
            random_state=random_state,
            resume=resume,
            verbose=verbose,
        )
        return cls.from_result(result, kind=kind, relative=relative, ax=ax, **kwargs)

    @classmethod
    def from_result(cls, result, *, kind="both", relative=True, ax=None, **kwargs):
        """Draw a transfer curve.

        Parameters
        ----------
        result : Bunch
            What `transfer_curve` gives.

        kind : {"both", "cost", "gain"}, default="both"
            What to draw: two panels, or one of them.

        relative : bool, default=True
            Whether costs are shown in percent of SAA's, or in money a row.

        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        TransferCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If an argument is not allowed.
        """
        display = cls(result.n_instances, result.methods, result.cost)
        return display.plot(ax, kind=kind, relative=relative, **kwargs)

    def plot(self, ax=None, *, kind="both", relative=True, **kwargs):
        """Draw costs, and what a richer context and finetuning save, against the rows.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of two of them, default=None
            Where to draw; two for ``kind="both"``. None: a new figure.

        kind : {"both", "cost", "gain"}, default="both"
            "cost": the cost of every method. "gain": what a richer context and what finetuning
            save, in percent of the cost of the pretrained network at the smallest size; they
            add up. "both": two panels.

        relative : bool, default=True
            Whether costs are shown in percent of SAA's on the same rows, or in money a row.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        TransferCurveDisplay
            Itself, with what was drawn in attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If ``kind`` is not allowed, if ``ax`` has not as many Axes as ``kind`` has panels, if
            ``relative`` lacks the costs of SAA, or a panel of gains those of "pretrained".
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        _check_drawable(self.methods, kind, relative, ax)
        if ax is None:
            n_panels = 2 if kind == "both" else 1
            figsize = (10.0, 4.2) if kind == "both" else None
            _, ax = plt.subplots(1, n_panels, figsize=figsize, layout="constrained")
        self.ax_ = np.asarray(ax) if kind == "both" else ax
        panels = (
            dict(zip(("cost", "gain"), self.ax_, strict=True)) if kind == "both" else {kind: ax}
        )
        self.figure_ = next(iter(panels.values())).figure
        self.lines_, self.bands_ = {}, {}
        if "cost" in panels:
            self._draw_costs(panels["cost"], relative, kwargs)
        if "gain" in panels:
            self._draw_gains(panels["gain"], kwargs)
        for panel in panels.values():
            self._finish(panel)
        return self

    def _draw_costs(self, ax, relative, kwargs):
        if relative:
            found = relative_to_saa(list(self.methods), self.cost)
            values, half = 100 * found["relative_cost"], 100 * found["relative_half_width"]
        else:
            values, half = mean_with_half_width(self.cost)
        for method, value, width in zip(self.methods, values, half, strict=True):
            self._draw_line(ax, method, value, width, kwargs)
        ax.set_ylabel("cost, % of SAA's" if relative else "cost a row")

    def _draw_gains(self, ax, kwargs):
        found = gains(list(self.methods), self.cost)
        ax.axhline(0, color="k", linestyle=":")
        for name in ("context_gain", "finetune_gain"):
            if found[name] is not None:
                width = 100 * found[f"{name}_half_width"]
                self._draw_line(ax, name, 100 * found[name], width, kwargs)
        ax.set_ylabel(f"saving, % of pretrained's cost at N = {self.n_instances[0]}")

    def _draw_line(self, ax, name, value, half, kwargs):
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        own = {"color": COLORS[name], "linestyle": ":" if name == "saa" else "-"}
        style = {"marker": "o", "markersize": 4, "label": LABELS[name], **own}
        style.update(normalize_kwargs(kwargs, Line2D))
        (line,) = ax.plot(self.n_instances, value, **style)
        self.lines_[name] = line
        if np.isfinite(half).any():
            self.bands_[name] = ax.fill_between(
                self.n_instances,
                value - half,
                value + half,
                color=line.get_color(),
                alpha=0.15,
                linewidth=0,
            )

    def _finish(self, ax):
        """A logarithmic axis that is labelled at the sizes."""
        ax.set_xscale("log")
        ax.set_xticks(self.n_instances, [f"{n:,}" for n in self.n_instances])
        ax.minorticks_off()
        ax.set_xlabel("instances decided together, N")
        ax.legend()


def _check_drawable(methods, kind, relative, ax):
    """Refuse a picture that cannot be drawn."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}; got {kind!r}.")
    if kind != "gain" and relative and "saa" not in methods:
        raise ValueError(
            f"relative=True needs the costs of 'saa'; methods has {list(methods)}: add it, or give "
            "relative=False."
        )
    if kind != "cost" and "pretrained" not in methods:
        raise ValueError(
            f"kind={kind!r} needs the costs of 'pretrained'; methods has {list(methods)}: add it, "
            "or give kind='cost'."
        )
    n_panels = 2 if kind == "both" else 1
    n_axes = n_panels if ax is None else np.size(ax)
    if n_axes != n_panels or (n_panels == 1 and np.ndim(ax)):
        raise ValueError(
            f"ax must be {'two Axes' if n_panels == 2 else 'one Axes'} for kind={kind!r}; got "
            f"{n_axes} in {ax!r}."
        )
