"""What decisions are worth in money: what is expected, and apart from it what was measured."""

from typing import NamedTuple

import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe
from scipy import stats
from sklearn.utils import check_consistent_length

from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.checks import (
    as_table,
    check_real,
    column_names,
    find_column,
    is_column,
    row_values,
)
from sklearn_pttf._utils.output import as_frame, row_labels_of
from sklearn_pttf._utils.sklearn_private import _safe_indexing
from sklearn_pttf.metrics._charge import check_decision
from sklearn_pttf.metrics._scorer import _deciding_step
from sklearn_pttf.problems._time import refuse_further_periods

SAA, TODAY = "saa", "today"
MOST_MEASURED = 8  # horizons of held-out observations, the newest ones
FEWEST_PERIODS = 4  # that tell how far they differ


class Saving(NamedTuple):
    """A saving of all rows together, in money, with the ends of its interval."""

    saving: float
    low: float
    high: float


class Figures(NamedTuple):
    """What a report is made of; costs in money, by method: "own", "saa" and "today"."""

    histories: np.ndarray  # (n, m)
    decision: dict  # (n,) each
    expected: dict  # expected costs, (n,) each
    interval: dict  # of what is saved against a method, low and high, (n,) each
    variance: dict  # of what is saved, (n,)
    measured: dict  # costs on outcomes that decisions did not see, (k, n) each; NaN = none
    measured_on: str
    coverage: float

    def expected_saving(self, other):
        """What all rows are expected to save together; `Saving`."""
        saved = (self.expected[other] - self.expected["own"]).sum()
        half = self._deviations() * np.sqrt(self.variance[other].sum())
        return _saving(saved, half)

    def measured_saving(self, other):
        """What all rows saved together, a decision each, where it was measured; else None.

        Its interval is over rows, or over periods if there are enough and it is wider.
        """
        if other not in self.measured:
            return None
        saved = self.measured[other] - self.measured["own"]
        rows = _mean_of_seen(saved)
        rows = rows[~np.isnan(rows)]
        if not len(rows):
            return None
        half = np.nan
        if len(rows) > 1:
            half = self._deviations() * np.sqrt(len(rows)) * rows.std(ddof=1)
        seen = ~np.isnan(saved)
        periods = seen.any(axis=1)
        n_periods = int(periods.sum())
        if n_periods >= FEWEST_PERIODS:
            totals = np.nansum(saved[periods], axis=1) * len(rows) / seen[periods].sum(axis=1)
            quantile = stats.t.ppf((1 + self.coverage) / 2, n_periods - 1)
            half = np.fmax(half, quantile * totals.std(ddof=1) / np.sqrt(n_periods))
        return _saving(rows.sum(), half)

    def _deviations(self):
        return stats.norm.ppf((1 + self.coverage) / 2)


def decision_report(estimator, X, *, y=None, today=None, coverage=0.95):
    """What each decision is worth: in money, against SAA and against today's decisions.

    What is *expected* is told by the laws of the estimator itself: it grades its own work. What was
    *measured* is charged on outcomes that the decisions did not see.

    Parameters
    ----------
    estimator : estimator that decides
        Fitted, such as `PretrainedDecisionTransformer`, or a Pipeline that ends in one.

    X : array-like or data frame of shape (n, n_features)
        One row an instance, with the columns that `fit` saw.

    y : array-like of shape (n,) or (n, n_outcomes), default=None
        Later outcomes, which the decisions are charged on; NaN = not observed. With a horizon, so
        many columns make one outcome; with ``ordered`` or ``drivers`` one column a period that is
        decided for. None: on X, as `score` does, up to eight times: each observation, or horizon of
        them, is charged on the decision made without it, or from those before it.

    today : str, Column or array-like of shape (n,), default=None
        Today's decisions; as a column of X it is none that holds observations, and need not have
        been there at `fit`. They are measured with ``y`` only, as they may know what X holds.

    coverage : float, default=0.95
        Probability that an interval is meant to have.

    Returns
    -------
    data frame
        Of the library of X, of pandas for an array, one line a row, with the index of X (in
        libraries that have none, with numbers as ``row``):

        - ``decision``, in units of the outcome, and ``expected_cost``;
        - ``saa``: the decision of sample average approximation, from the row alone, and
          ``expected_saving_saa`` over it, with ``..._low`` and ``..._high``: between them lies what
          is saved in the next period itself, not only its mean;
        - the same of ``today``, if it is given;
        - ``measured_cost``, ``measured_saving_saa`` and ``measured_saving_today``: means over what
          was charged, NaN where nothing was.

        All but decisions in money, in which the problem's costs are, for one decision.

    Raises
    ------
    TypeError
        If the estimator does not decide.

    ValueError
        If its problem is about prices, whose hindsight profit nobody knows; if ``today`` holds
        observations, or has not one number a row; if ``coverage`` is not between 0 and 1.

    See Also
    --------
    DecisionDisplay : The picture, and the total with its interval.
    sklearn_pttf.model_selection.backtest : What rules and estimators would have cost in the past.

    Notes
    -----
    Measured on the rows of `fit` without ``y``, savings are too good in small tables, as what rows
    have in common was read from all their observations.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_pttf.baselines import ParametricEmpiricalBayes
    >>> from sklearn_pttf.inspection import decision_report
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = pd.DataFrame({"w1": [3, 0, 9], "w2": [5, 1, 4]}, index=["tea", "rum", "jam"])
    >>> bayes = ParametricEmpiricalBayes(Newsvendor(underage=4.0, overage=1.0)).fit(X)
    >>> report = decision_report(bayes, X, today=[6, 2, 6])
    >>> report[["decision", "saa", "today"]].loc["rum"].to_list()
    [2.0, 1.0, 2.0]
    """
    return report_of(figures_of(estimator, X, y, today, coverage), X)


def figures_of(estimator, X, y=None, today=None, coverage=0.95):
    """The numbers of a report; `Figures`."""
    check_real("coverage", coverage, 1e-6, 1 - 1e-6)
    X = as_table(X)
    orders, X = _of_today(today, X, estimator)
    step, X = _deciding_step(estimator, X)
    if not isinstance(step, DecisionMixin):
        raise TypeError(f"estimator must be one that decides; got {step!r}.")
    _check_problem(step)
    portfolio = step._read_as_it_is(X)
    decision, expected, tails, variance = _expected(step, portfolio, orders, coverage)
    if y is None:
        costs = step._costs_of_rows(X, most=MOST_MEASURED)
        measured, on = dict(zip(("own", SAA), np.moveaxis(costs, 1, 0), strict=True)), "held out"
        if not len(costs):
            measured = {}
    else:
        measured, on = _measured(step, X, y, portfolio, decision), "later"
    histories = portfolio.observations
    return Figures(histories, decision, expected, tails, variance, measured, on, coverage)


def report_of(figures, X):
    """The frame that `decision_report` gives."""
    decision, own = figures.decision, figures.expected["own"]
    columns = {"decision": decision["own"], "expected_cost": own}
    others = [other for other in (SAA, TODAY) if other in decision]
    for other in others:
        name = f"expected_saving_{other}"
        columns |= {other: decision[other], name: figures.expected[other] - own}
        columns[f"{name}_low"], columns[f"{name}_high"] = figures.interval[other]
    paid = figures.measured.get("own", np.full((1, len(own)), np.nan))
    columns["measured_cost"] = _mean_of_seen(paid)
    for other in others:
        if other in figures.measured:
            columns[f"measured_saving_{other}"] = _mean_of_seen(figures.measured[other] - paid)
    if is_into_dataframe(X) and row_labels_of(X) is None:
        columns = {"row": np.arange(len(own)), **columns}
    return as_frame(X, columns)


def _of_today(today, X, estimator):
    """Today's decisions or None, and X without their column if `fit` did not see it."""
    if today is None:
        return None, X
    if not is_column(today):
        orders = check_decision(today)
        check_consistent_length(X, orders)
        return orders, X
    names = column_names(X)
    orders = check_decision(row_values(today, X, names, "today"))
    place = find_column(today, names, X.shape[1], "today")
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is not None and names is not None and names[place] not in set(fitted):
        return orders, _safe_indexing(X, [k for k in range(X.shape[1]) if k != place], axis=1)
    if place in getattr(estimator, "observation_columns_", ()):
        raise ValueError(
            f"today={today!r} is a column of observations of the estimator: leave it out at fit, "
            "or name the others in observations=[...] of the problem."
        )
    return orders, X


def _check_problem(estimator):
    problem = estimator.problem_
    if problem.of_prices:
        raise ValueError(
            f"problem must not be one of prices, whose profit at other prices nobody knows; got "
            f"{problem!r}."
        )


def _expected(estimator, portfolio, orders, coverage):
    """Decisions, expected costs, and intervals and variances of savings; dicts by method."""
    problem, start = estimator.problem_, 0
    at = estimator._at_conditions(portfolio, problem.horizon, problem.of_paths)
    parts = []
    for law, piece in estimator._laws_to_decide(at, problem, spread=True):
        rows = slice(start, start + len(piece))
        start += len(piece)
        reference = problem.reference_law(portfolio.take(rows), estimator._pooled)
        decision = {"own": problem.solve(law, piece), SAA: problem.solve(reference, piece)}
        if orders is not None:
            decision[TODAY] = orders[rows]
        expected = {
            name: problem.expected_cost(each, law, piece) for name, each in decision.items()
        }
        tails, variance = _spread_of_savings(problem, decision, law, piece, coverage)
        parts.append((decision, expected, tails, variance))
    return tuple(
        {name: np.concatenate([part[name] for part in each], axis=-1) for name in each[0]}
        for each in zip(*parts, strict=True)
    )


def _spread_of_savings(problem, decision, law, piece, coverage):
    """Quantiles ``(2, n)`` and variances ``(n,)`` of what is saved in one case; by method."""
    (own, *others), weights = problem.costs_of_cases(list(decision.values()), law, piece)
    weights = weights / weights.sum(axis=1, keepdims=True)
    tails, variance = {}, {}
    for name, cost in zip(list(decision)[1:], others, strict=True):
        saved = cost - own
        mean = (weights * saved).sum(axis=1, keepdims=True)
        variance[name] = (weights * (saved - mean) ** 2).sum(axis=1)
        order = np.argsort(saved, axis=1)
        reached = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
        levels = (1 - coverage) / 2, (1 + coverage) / 2
        places = [np.minimum((reached < tau).sum(axis=1), saved.shape[1] - 1) for tau in levels]
        saved = np.take_along_axis(saved, order, axis=1)
        tails[name] = np.stack([saved[np.arange(len(saved)), place] for place in places])
    return tails, variance


def _measured(estimator, X, y, portfolio, decision):
    """Costs of decisions on later outcomes, one horizon of them after the other."""
    problem = estimator.problem_
    refuse_further_periods(y, problem)
    outcomes = problem.per_unit(estimator._check_outcomes(X, y), portfolio)
    problem.totals(outcomes)  # which refuses other numbers of periods
    blocks = np.split(outcomes, outcomes.shape[1] // problem.horizon, axis=1)
    return {
        name: np.stack([problem.hindsight_cost(each, some, portfolio.costs) for some in blocks])
        for name, each in decision.items()
    }


def _mean_of_seen(values):
    """Means over the first axis of what is not NaN; NaN where all are."""
    seen = ~np.isnan(values)
    total = np.where(seen, values, 0.0).sum(axis=0)
    return np.where(seen.any(axis=0), total / np.maximum(seen.sum(axis=0), 1), np.nan)


def _saving(saving, half):
    return Saving(float(saving), float(saving - half), float(saving + half))
