"""A picture of what a table in the order of time tells of its drivers and periods."""

import numpy as np
from scipy import special
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_pttf._utils.checks import check_whole
from sklearn_pttf._utils.sklearn_private import check_matplotlib_support

PANELS = ("drivers", "factors", "seasons")
BAND = special.ndtri(0.975)  # standard errors to either side of a band of 95 %
UNUSED = {
    "drivers": "No use is made of drivers:\nthe newest periods are foretold\nas well without them.",
    "factors": "No use is made of periods:\nthey are taken as alike\nbut for their drivers.",
    "seasons": "No season is made use of.",
}


class SeriesDisplay:
    """What rows share over time: effects of drivers, a common factor, and seasons.

    Make one with `from_estimator`. All is in percent of demand, with intervals of 95 %.

    - *drivers*: the change by a driver that is only 0 or 1 is that of 1 against 0; by any other,
      that of one standard deviation more within a row. With a driver that is a logarithm, such as
      a log price, stands its elasticity: the change in percent for one percent more.
    - *factors*: what the rows of a period have in common beside drivers, against the mean of the
      observed periods; then the same of the coming periods, with a band that holds the next shock.
    - *seasons*: the part that comes back in it, from the first coming period on.

    Parameters
    ----------
    shared : SharedOverTime
        What was found: the ``shared_effects_`` of a fitted estimator.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of them
        Axes that were drawn on, one a panel.

    figure_ : matplotlib Figure
        Figure of the axes.

    changes_ : dict of str to tuple of three floats
        By driver: lower end, middle and upper end of the change that is drawn, in percent.

    lines_ : dict to matplotlib Line2D
        Of "past" and "coming" factors, and of seasons by their length.

    bands_ : dict to matplotlib artist
        Bands of the lines.

    points_ : matplotlib ErrorbarContainer or None
        Changes by drivers; None where none are drawn.

    See Also
    --------
    SharedOverTime : The numbers behind the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.inspection import SeriesDisplay
    >>> from sklearn_pttf.problems import Newsvendor
    >>> rng = np.random.default_rng(1)
    >>> on = rng.integers(0, 2, size=(200, 9))
    >>> X = np.hstack([rng.poisson(20 * 2.0 ** on[:, :8]), on])  # a promotion doubles demand
    >>> problem = Newsvendor(4.0, 1.0, drivers={"promotion": range(8, 17)})
    >>> pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    >>> display = SeriesDisplay.from_estimator(pdt, kind="drivers")
    >>> print(f"{display.changes_['promotion'][1]:+.0f} %")
    +99 %
    """

    def __init__(self, shared):
        self.shared = shared

    @classmethod
    def from_estimator(cls, estimator, *, kind="all", n_coming=None, logs=None, ax=None, **kwargs):
        """Draw what a fitted estimator found.

        Parameters
        ----------
        estimator : estimator
            Fitted with a problem that has ``ordered=True`` or ``drivers``; or a Pipeline whose
            last step is.

        kind : {"all", "drivers", "factors", "seasons"}, default="all"
            What to draw: a panel of everything that the problem has, or one.

        n_coming : int, default=None
            Number of coming periods. None: a fourth of the observed ones; at least the horizon of
            the problem and the longest season.

        logs : sequence of str, default=None
            Drivers that are logarithms. None: those whose names begin with "log".

        ax : matplotlib Axes, or sequence of them, default=None
            Where to draw, one a panel. None: a new figure.

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        SeriesDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If the estimator does not say what rows share over time, or an argument is not allowed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        decider = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
        check_is_fitted(decider)
        shared = getattr(decider, "shared_effects_", None)
        if shared is None:
            raise ValueError(
                "estimator must be fitted with a problem that has ordered=True or drivers, and "
                "read them as what rows share, as PretrainedDecisionTransformer does; got "
                f"{estimator!r}."
            )
        if n_coming is None:
            n_coming = max(decider.problem_.horizon, _usual_coming(shared))
        return cls(shared).plot(ax, kind=kind, n_coming=n_coming, logs=logs, **kwargs)

    def plot(self, ax=None, *, kind="all", n_coming=None, logs=None, **kwargs):
        """Draw effects of drivers, factors of periods, and seasons.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of them, default=None
            Where to draw, one a panel. None: a new figure.

        kind : {"all", "drivers", "factors", "seasons"}, default="all"
            What to draw: a panel of factors, of drivers and of seasons if there are any, or one.

        n_coming : int, default=None
            Number of coming periods. None: a fourth of the observed ones, at least the longest
            season.

        logs : sequence of str, default=None
            Drivers that are logarithms. None: those whose names begin with "log".

        **kwargs : dict
            For matplotlib's ``plot``, of all lines.

        Returns
        -------
        SeriesDisplay
            Itself, with what was drawn in attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If an argument is not allowed.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        panels = self._panels(kind)
        n_coming = _usual_coming(self.shared) if n_coming is None else n_coming
        check_whole("n_coming", n_coming, 1, len(self.shared.coming))
        logs = self._logs(logs)
        if ax is None:
            width = 5.0 * len(panels)
            _, ax = plt.subplots(1, len(panels), figsize=(width, 4.2), layout="constrained")
        axes = np.atleast_1d(np.asarray(ax, dtype=object))
        if len(axes) != len(panels):
            raise ValueError(
                f"ax must be {len(panels)} Axes, for {', '.join(panels)}; got {len(axes)}."
            )
        self.ax_ = axes if len(panels) > 1 else axes[0]
        self.figure_ = axes[0].figure
        self.lines_, self.bands_, self.changes_, self.points_ = {}, {}, {}, None
        for panel, each in zip(panels, axes, strict=True):
            if not self._is_used(panel):
                each.text(0.5, 0.5, UNUSED[panel], ha="center", va="center")
                each.set(title=panel, xticks=[], yticks=[])
            elif panel == "drivers":
                self._draw_drivers(each, logs)
            elif panel == "factors":
                self._draw_factors(each, n_coming, kwargs)
            else:
                self._draw_seasons(each, kwargs)
        return self

    def _panels(self, kind):
        if kind != "all" and kind not in PANELS:
            raise ValueError(f"kind must be 'all' or one of {list(PANELS)}; got {kind!r}.")
        there = {"drivers": self.shared.drivers, "factors": True, "seasons": self.shared.seasons}
        return [name for name in PANELS if there[name]] if kind == "all" else [kind]

    def _is_used(self, panel):
        return bool(self.shared.seasons) if panel == "seasons" else panel in self.shared.uses

    def _logs(self, logs):
        names = self.shared.drivers
        if logs is None:
            return [name for name in names if name.lower().startswith("log")]
        if isinstance(logs, str) or not set(logs) <= set(names):
            raise ValueError(f"logs must be some of the drivers {list(names)}; got {logs!r}.")
        return list(logs)

    def _draw_drivers(self, ax, logs):
        shared, labels = self.shared, []
        for k, name in enumerate(shared.drivers):
            step = 1.0 if shared.switches[k] else shared.spreads[k]
            middle, half = step * shared.effects[k], BAND * step * shared.standard_errors[k]
            self.changes_[name] = tuple(map(float, _percent(middle + half * np.array([-1, 0, 1]))))
            labels.append(f"{name}{self._says(k, name in logs)}")
        low, middle, high = np.array(list(self.changes_.values())).T
        place = np.arange(len(labels))
        ax.axvline(0, color="k", linestyle=":")
        self.points_ = ax.errorbar(
            middle, place, xerr=[middle - low, high - middle], fmt="o", capsize=4
        )
        ax.set_yticks(place, labels)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.set(xlabel="change of demand, %", title="drivers")

    def _says(self, k, is_log):
        """What the change by a driver is that of."""
        effect, error = self.shared.effects[k], self.shared.standard_errors[k]
        if np.isnan(effect):
            return "\nnever varies"
        step = "1 against 0" if self.shared.switches[k] else f"{self.shared.spreads[k]:.3g} more"
        return f", {step}\nelasticity {effect:.2f} ± {BAND * error:.2f}" if is_log else f"\n{step}"

    def _draw_factors(self, ax, n_coming, kwargs):
        shared = self.shared
        past = np.arange(len(shared.factors)) - len(shared.factors) + 1
        coming = np.arange(n_coming) + 1
        ax.axhline(0, color="k", linestyle=":")
        self._draw_line(ax, "past", past, shared.factors, shared.factor_errors, kwargs)
        ahead = shared.coming[:n_coming], shared.coming_errors[:n_coming]
        self._draw_line(ax, "coming", coming, *ahead, {"color": "C1", **kwargs})
        ax.set(
            xlabel="period, 0 is the newest observed", ylabel="against the mean, %", title="factors"
        )
        ax.legend()

    def _draw_seasons(self, ax, kwargs):
        ax.axhline(0, color="k", linestyle=":")
        for length, part in self.shared.seasons.items():
            at = np.arange(length) + 1
            self._draw_line(ax, length, at, part, self.shared.season_errors[length], kwargs)
        ax.set(xlabel="coming period", ylabel="part of the season, %", title="seasons")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()

    def _draw_line(self, ax, name, at, logs, errors, kwargs):
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        label = name if isinstance(name, str) else f"season of {name}"
        style = {"marker": ".", "label": label, **normalize_kwargs(kwargs, Line2D)}
        (line,) = ax.plot(at, _percent(logs), **style)
        low, high = _percent(logs - BAND * errors), _percent(logs + BAND * errors)
        self.lines_[name] = line
        self.bands_[name] = ax.fill_between(
            at, low, high, color=line.get_color(), alpha=0.2, linewidth=0
        )


def _percent(logs):
    """Changes in percent, of changes of a logarithm."""
    return 100 * np.expm1(logs)


def _usual_coming(shared):
    """A fourth of the observed periods, and the longest season at least."""
    usual = max(1, len(shared.factors) // 4, *shared.seasons)
    return min(usual, len(shared.coming))
