"""A picture of decisions: beside histories for the rows that matter most, and what all save."""

import numpy as np

from sklearn_pttf._utils.checks import check_whole
from sklearn_pttf._utils.output import row_labels_of
from sklearn_pttf._utils.sklearn_private import check_matplotlib_support
from sklearn_pttf.inspection._decision_report import SAA, TODAY, figures_of, report_of
from sklearn_pttf.model_selection._backtest_result import as_money

NAMES = {"own": "decision", SAA: "SAA", TODAY: "today"}
MARKERS = {"own": ("D", "C0"), SAA: ("x", "C1"), TODAY: ("|", "k")}
ON = {
    "held out": "on observations of X that the decisions did not see",
    "later": "on later outcomes",
}


class DecisionDisplay:
    """Decisions beside the histories that they come from, and what they save in all.

    Make it with `from_estimator`. The first panel shows the rows that matter most, those on which
    most is expected to be saved or lost: their observations, the newer the darker, and each
    decision. The second shows the total saving with its interval, expected and measured apart.

    Parameters
    ----------
    figures : Figures
        The numbers of `decision_report`.

    labels : sequence
        Names of the rows.

    Attributes
    ----------
    savings_ : dict of (str, str) to Saving
        Total savings by ("expected" or "measured", "saa" or "today"), each with ``saving``, ``low``
        and ``high``, in money for one decision a row. What was not measured is not there.

    rows_ : ndarray of int
        Positions of the rows that are drawn, the one that matters most first.

    ax_ : ndarray of two matplotlib Axes
        Axes that were drawn on.

    figure_ : matplotlib Figure
        Figure of the axes.

    markers_ : dict of str to matplotlib Line2D
        Drawn decisions, by "own", "saa" and "today".

    See Also
    --------
    decision_report : The numbers, a line a row.

    Notes
    -----
    The interval of an expected total takes rows as independent, given their laws. That of a
    measured one is over rows; over periods if there are four or more and it is wider.

    Examples
    --------
    >>> from sklearn_pttf.baselines import ParametricEmpiricalBayes
    >>> from sklearn_pttf.datasets import make_demand_portfolio
    >>> from sklearn_pttf.inspection import DecisionDisplay
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X, y = make_demand_portfolio(30, 5, n_outcomes=4, random_state=0)
    >>> bayes = ParametricEmpiricalBayes(Newsvendor(underage=4.0, overage=1.0)).fit(X)
    >>> display = DecisionDisplay.from_estimator(bayes, X, y=y, n_rows=5)
    >>> sorted(display.savings_)
    [('expected', 'saa'), ('measured', 'saa')]
    """

    def __init__(self, figures, labels):
        self.figures = figures
        self.labels = labels

    @classmethod
    def from_estimator(cls, estimator, X, *, y=None, today=None, coverage=0.95, n_rows=10, ax=None):
        """Decide, find what that is worth, and draw it.

        Parameters
        ----------
        estimator : estimator that decides
            Fitted, such as `PretrainedDecisionTransformer`, or a Pipeline that ends in one.

        X : array-like or data frame of shape (n, n_features)

        y, today, coverage
            As those of `decision_report`.

        n_rows : int, default=10
            How many rows are drawn at most.

        ax : sequence of two matplotlib Axes, default=None
            Where to draw. None: a new figure.

        Returns
        -------
        DecisionDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If an argument is not allowed; see `decision_report`.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        figures = figures_of(estimator, X, y, today, coverage)
        labels = row_labels_of(X)
        if labels is None:
            labels = list(range(len(figures.decision["own"])))
        return cls(figures, labels).plot(ax, n_rows=n_rows)

    def plot(self, ax=None, *, n_rows=10):
        """Draw the rows that matter most, and the total savings.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw. None: a new figure.

        n_rows : int, default=10
            How many rows are drawn at most.

        Returns
        -------
        DecisionDisplay
            Itself, with what was drawn in attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        ValueError
            If ``n_rows`` is no whole number of at least 1, or ``ax`` not two Axes.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        check_whole("n_rows", n_rows, 1)
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(1, 2, figsize=(10.0, 4.4), layout="constrained")
        if np.shape(ax) != (2,):
            raise ValueError(f"ax must be two Axes, or None; got {ax!r}.")
        self.ax_ = np.asarray(ax)
        self.figure_ = self.ax_[0].figure
        self.savings_ = self._savings()
        self.rows_ = self._most_important()[:n_rows]
        self._draw_rows(self.ax_[0])
        self._draw_savings(self.ax_[1])
        return self

    def verdict(self):
        """What is saved in all: what is expected, and what was measured, a sentence each; str."""
        figures = self.figures
        cost = as_money(figures.expected["own"].sum())
        lines = [f"Expected, by the estimator's own laws: the decisions cost {cost}."]
        savings = self._savings()
        for kind in ("expected", "measured"):
            for other in self._others():
                found = savings.get((kind, other))
                if found is not None:
                    lines.append(self._told(kind, other, found))
        if not figures.measured:
            lines.append("Nothing was measured: no observation can be held out.")
        return "\n".join(lines)

    def _told(self, kind, other, found):
        """A total saving in words."""
        low, high = (as_money(each, found.saving) for each in found[1:])
        interval = f"{low} to {high}" if np.isfinite(found.low) else "no interval, of one row"
        how = f"{'saves' if found.saving >= 0 else 'loses'} {as_money(abs(found.saving))}"
        what = f"against {NAMES[other]} this {how} ({self.figures.coverage:.0%}: {interval})"
        if kind == "expected":
            return f"Expected, {what}."
        return f"Measured {ON[self.figures.measured_on]}, {what}."

    def report(self, X):
        """The frame of `decision_report`, of the rows of X.

        Parameters
        ----------
        X : array-like or data frame of shape (n, n_features)
            The table that was decided.

        Returns
        -------
        data frame
        """
        return report_of(self.figures, X)

    def _others(self):
        return [other for other in (SAA, TODAY) if other in self.figures.decision]

    def _savings(self):
        """Total savings, by what they are and against what."""
        found = {}
        for other in self._others():
            found["expected", other] = self.figures.expected_saving(other)
            measured = self.figures.measured_saving(other)
            if measured is not None:
                found["measured", other] = measured
        return found

    def _most_important(self):
        """Positions of rows, those first on which most is expected to be saved or lost."""
        expected = self.figures.expected
        against = expected[self._others()[-1]]
        return np.argsort(-np.abs(against - expected["own"]), kind="stable")

    def _draw_rows(self, ax):
        figures, place = self.figures, np.arange(len(self.rows_))
        histories = figures.histories[self.rows_]
        shades = np.linspace(0.25, 0.9, histories.shape[1])
        for column, shade in zip(histories.T, shades, strict=True):
            ax.plot(column, place, ".", color="0.4", alpha=shade, markersize=4)
        self.markers_ = {}
        for name, decision in figures.decision.items():
            marker, color = MARKERS[name]
            (self.markers_[name],) = ax.plot(
                decision[self.rows_], place, marker, color=color, markersize=7, label=NAMES[name]
            )
        ax.set_yticks(place, [str(self.labels[row]) for row in self.rows_])
        ax.set_ylim(len(place) - 0.5, -0.5)
        ax.set(title="Where most is at stake", xlabel="units; dots: observations, newer darker")
        ax.legend(fontsize="small")

    def _draw_savings(self, ax):
        names, keys = [], [(k, o) for k in ("expected", "measured") for o in self._others()]
        keys = [key for key in keys if key in self.savings_]
        for place, (kind, other) in enumerate(keys):
            found = self.savings_[kind, other]
            half = found.high - found.saving
            style = {"fmt": "o" if kind == "measured" else "s", "capsize": 4}
            style["mfc"] = None if kind == "measured" else "white"
            error = half if np.isfinite(half) else None
            ax.errorbar(found.saving, place, xerr=error, color=MARKERS[other][1], **style)
            names.append(f"{kind},\nagainst {NAMES[other]}")
        ax.axvline(0, color="0.6", linestyle=":")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_title("Saved by all rows, for one decision each")
        ax.set_xlabel(f"money, with {self.figures.coverage:.0%} intervals")
