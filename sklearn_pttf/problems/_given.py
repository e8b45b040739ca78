"""Checks of problems, and of prices, that estimators and metrics are given."""

import numpy as np

from sklearn_pttf._utils.checks import describe_rows, within_limits
from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._newsvendor import Newsvendor


def check_problem(problem, default=Newsvendor):
    """The problem, or ``default()`` for None; anything else is refused."""
    if problem is None:
        return default()
    if not isinstance(problem, DecisionProblem):
        raise ValueError(
            f"problem must be a DecisionProblem such as Newsvendor(), or None; got {problem!r}."
        )
    return problem


def refuse_prices(problem):
    """Refuse a pricing problem where decisions are charged on outcomes.

    Raises
    ------
    ValueError
        If decisions are prices.
    """
    if problem.of_prices:
        raise ValueError(
            f"problem={problem!r} cannot be charged in hindsight: outcomes at prices that were not "
            "set are not known. `score` charges the law of demand at the posted price."
        )


def check_price(price, problem, n_rows):
    """One price a row, (n,) float64."""
    if not problem.of_prices:
        raise ValueError(
            f"price must be None for {problem!r}, which knows no prices; got {price!r}."
        )
    allowed = f"price must be a number or of shape ({n_rows},), one a row"
    try:
        values = np.asarray(price, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{allowed}; got {price!r}.") from None
    if values.shape not in ((), (n_rows,)):
        raise ValueError(f"{allowed}; got shape {values.shape}.")
    values = np.broadcast_to(values, (n_rows,)).copy()
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        raise ValueError(f"price must be above 0 and finite; got {describe_rows(bad, values)}.")
    return within_limits(values[:, None], "price")[:, 0]
