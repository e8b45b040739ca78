"""What decisions are charged on: later outcomes, or the true laws."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.base import PredictiveDistribution
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.checks import (
    as_table,
    check_outcomes,
    column_names,
    column_references,
    numeric_columns,
)
from sklearn_pttf._utils.frames import unmasked

FLOORS = ("law", "foresight")


class Charge:
    """Charges decisions on later outcomes, or on the true laws.

    Costs of a row are NaN where nothing came later.

    Parameters
    ----------
    problem : DecisionProblem
        What was decided.

    portfolio : Portfolio
        The instances, with their cost parameters.

    outcomes : ndarray of shape (n, m) or None
        Later outcomes, NaN = not observed. None: the true laws are given.

    truth : PredictiveDistribution or None
        The true laws.
    """

    def __init__(self, problem, portfolio, outcomes, truth):
        outcomes = None if outcomes is None else problem.per_unit(outcomes, portfolio)
        self.problem = problem
        self.portfolio = portfolio
        self.outcomes = outcomes
        self.law = truth if outcomes is None else _empirical_law(problem.totals(outcomes))

    def cost(self, decision):
        """Cost of every row's decision; ndarray of shape (n,)."""
        if self.outcomes is None:
            return self.problem.expected_cost(decision, self.law, self.portfolio)
        return self.problem.hindsight_cost(decision, self.outcomes, self.portfolio.costs)

    def floor(self, kind):
        """Least cost of every row; ndarray of shape (n,)."""
        if kind not in FLOORS:
            raise ValueError(f"floor must be 'law' or 'foresight'; got {kind!r}.")
        return self._law_floor() if kind == "law" else self._foresight_floor()

    def _law_floor(self):
        """Cost of one decision a row that knows the law."""
        return self.cost(self.problem.solve(self.law, self.portfolio))

    def _foresight_floor(self):
        """Mean cost of the decisions that know the outcome, each on its own outcome."""
        if self.outcomes is None:
            outcomes, weights = self.law.nodes()
        else:
            outcomes = self.problem.totals(self.outcomes)
            weights = ~np.isnan(outcomes)
        paid = np.zeros(outcomes.shape)
        for k in range(outcomes.shape[1]):
            outcome = outcomes[:, [k]]
            decision = self.problem.solve(_empirical_law(outcome), self.portfolio)
            paid[:, k] = self.problem.mean_cost(decision, outcome, self.portfolio.costs)
        total = weights.sum(axis=1)
        paid = np.where(weights > 0, paid, 0.0) * weights
        return np.where(total > 0, paid.sum(axis=1) / np.where(total > 0, total, 1), np.nan)


def _empirical_law(outcomes):
    """Laws of rows' own outcomes; 0 for a row without, which is never charged."""
    empty = np.isnan(outcomes).all(axis=1, keepdims=True)
    return WeightedAtoms(np.where(empty, 0.0, outcomes))


def check_decision(decision):
    """Decisions as a float64 array of shape (n,)."""
    if np.ndim(decision) != 1:
        raise ValueError(
            f"decision must be 1-D, one decision a row; got {np.ndim(decision)} dimensions."
        )
    decision = unmasked(decision)
    return check_array(decision, dtype=np.float64, ensure_2d=False, input_name="decision")


def check_later(y, truth, decision, problem):
    """Outcomes and no laws, or laws and no outcomes, of the rows of ``decision``."""
    if truth is None and y is None:
        raise ValueError("y is None: give the outcomes of a later period, or the laws as truth=.")
    if truth is None:
        outcomes = check_outcomes(y, decision, problem)
        if np.isnan(outcomes).all():
            raise ValueError("there is no outcome to charge: all of y are missing.")
        return outcomes, None
    if not isinstance(truth, PredictiveDistribution):
        raise ValueError(f"truth must be a PredictiveDistribution or None; got {truth!r}.")
    if len(truth) != len(decision):
        raise ValueError(f"truth has {len(truth)} laws for {len(decision)} decisions.")
    return None, truth


def read_portfolio(problem, X, decision, whole, *, observed=False):
    """Cost parameters of the rows of ``decision``, and their observations if ``observed``.

    ``whole`` is whether other decisions, that of the floor, are whole numbers too.
    """
    if X is None and not observed:
        _refuse_columns(problem)
        X = np.empty((len(decision), 0))
    else:
        X = as_table(X)
        check_consistent_length(X, decision)
    names = column_names(X)
    if observed:
        return problem.read(X, names)
    problem.check()
    costs, constraints = problem.read_costs(X, names), problem.read_constraints(X, names)
    observations, coming = np.empty((len(decision), 0)), None
    if problem.of_means and problem.has_exposure:
        observations = _observations(problem, X, names)
        _, coming = problem.read_exposure(X, names, observations)
    return Portfolio(observations, costs, constraints, whole, coming=coming)


def _observations(problem, X, names):
    """What outcomes' exposure is told by, ``(n, m)``; a missing one where there is no table."""
    if not X.shape[1]:
        return np.full((len(X), 1), np.nan)
    return numeric_columns(X, problem.observation_positions(names, X.shape[1]))


def _refuse_columns(problem):
    """Refuse parameters that are columns, where there is no table."""
    for parameter in (*problem.cost_parameters, *problem.constraint_parameters):
        for column in column_references(getattr(problem, parameter)):
            raise ValueError(
                f"{parameter} is read from column {column!r} of X, but X is None: give X=."
            )
