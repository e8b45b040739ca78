"""What could be sold at most: sales of all that was there are at least the demand."""

import warnings

import numpy as np
from scipy.special import ndtr, ndtri

from sklearn_pttf._utils.checks import describe_rows, find_column, numeric_columns, repeated
from sklearn_pttf._utils.rounding import EXACT
from sklearn_pttf._utils.stock_columns import refuse_other_than_stock
from sklearn_pttf.problems._exposure import is_listed

ROLES = ("stock", "sold_out")


def told_of_stock(problem):
    """Which of the two is given, ``"stock"`` or ``"sold_out"``; None if neither is.

    Raises
    ------
    ValueError
        If both are, or what is given is no list of columns.
    """
    told = [name for name in ROLES if getattr(problem, name) is not None]
    if len(told) > 1:
        raise ValueError(
            "stock and sold_out must not both be given, as stock tells what is sold out; got "
            f"stock={problem.stock!r} and sold_out={problem.sold_out!r}."
        )
    if not told:
        return None
    (name,) = told
    if not is_listed(getattr(problem, name)):
        raise ValueError(
            f"{name} must be a list of columns, one for each column of observations, or None; got "
            f"{getattr(problem, name)!r}."
        )
    return name


def stock_positions(problem, names, n_columns):
    """Positions of the columns that tell of stock, in their order; list of int."""
    name = told_of_stock(problem)
    if name is None:
        return []
    columns = getattr(problem, name)
    positions = [find_column(column, names, n_columns, name) for column in columns]
    twice = repeated(positions)
    if twice is not None:
        column = columns[positions.index(twice)]
        raise ValueError(f"{name} lists column {column!r} twice; each period has one of its own.")
    return positions


def read_stock(problem, X, names, observations):
    """What could be sold at most of every observation.

    Parameters
    ----------
    problem : DecisionProblem

    X : ndarray or data frame of shape (n_instances, n_columns)

    names : sequence of str or None

    observations : ndarray of shape (n_instances, n_observations)

    Returns
    -------
    ndarray of shape (n_instances, n_observations) or None
        NaN where there was enough. None: nothing is told of stock.

    Raises
    ------
    ValueError

    Warns
    -----
    UserWarning
        If more was sold than there was in stock.
    """
    name = told_of_stock(problem)
    if name is None:
        return None
    positions = stock_positions(problem, names, X.shape[1])
    if len(positions) != observations.shape[1]:
        raise ValueError(
            f"{name} must list a column for each of the {observations.shape[1]} columns of "
            f"observations; got {len(positions)}."
        )
    cells = numeric_columns(X, positions, name, infinite=name == "stock")
    refuse_other_than_stock(name, cells, observations)
    if name == "sold_out":
        return _capped_at_sales(cells, observations)
    return _at_least_sales(cells, observations)


def _capped_at_sales(flags, observations):
    """Stock by what was sold out: the sale there, and enough elsewhere."""
    _refuse(
        ~(np.isnan(flags) | (flags == 0) | (flags == 1)),
        flags,
        "sold_out must be True or False, 1 or 0, or missing",
    )
    return np.where(flags == 1, observations, np.nan)


def _at_least_sales(stock, observations):
    """Stock, of which there was at least what was sold."""
    _refuse(stock < 0, stock, "stock must be at least 0, or missing where there was enough")
    stock = np.where(np.isinf(stock), np.nan, stock)
    short = observations > stock * (1 + EXACT)
    if short.any():
        rows = short.any(axis=1)
        warnings.warn(
            f"stock is below the sale in {short.sum():,} cells of {rows.sum():,} rows; the sale "
            "counts there, as what was sold at least was there.",
            stacklevel=5,
        )
    # where both are missing there is nothing to compare
    return np.where(observations > stock, observations, stock)


def _refuse(bad, cells, why):
    rows = bad.any(axis=1)
    if rows.any():
        first = cells[np.arange(len(cells)), bad.argmax(axis=1)]
        raise ValueError(f"{why}; got {describe_rows(rows, first)}.")


def is_identified(problem, portfolio, demand, ratio=0.0, periods=1):
    """Whether rows were ever seen to sell, or not to, as much as a period may ask for.

    What lies beyond the largest stock of a row nobody saw. Where only sold-out periods are told,
    what lies beyond its largest sale, if that was sold out. Laws that end at the largest sale never
    ask for more, so whatever the estimator says, a row has to have a cell that was not capped, and
    at most a share of ``1 - ratio`` may be capped at the largest stock: else more often than that
    something beyond it was asked for.

    Parameters
    ----------
    problem : DecisionProblem
        Which tells what is known of stock.

    portfolio : Portfolio
        With stock.

    demand : ndarray of shape (n_instances,)
        Of a period that is decided for.

    ratio : ndarray of shape (n_instances,) or float, default=0.0
        Probability that the total of the periods is to stay within what is decided.

    periods : ndarray of shape (n_instances,) or int, default=1
        Number of periods in that total.

    Returns
    -------
    bool ndarray of shape (n_instances,)
        False of rows without an observation.
    """
    exposure, mask = portfolio.exposures(), portfolio.mask
    enough = np.isnan(portfolio.stock)
    if told_of_stock(problem) == "sold_out":
        sales = np.where(mask, portfolio.observations / exposure, -np.inf)
        largest = sales.max(axis=1, initial=-np.inf)[:, None]
        enough = enough & (sales >= largest)
        seen = np.where(enough, np.inf, sales)
    else:
        seen = np.where(enough, np.inf, portfolio.stock / exposure)
    seen = np.where(mask, seen, -np.inf)
    reach = seen.max(axis=1, initial=-np.inf)
    capped = portfolio.capped & mask
    n_at_reach = (capped & (seen * (1 + EXACT) >= reach[:, None])).sum(axis=1)
    beyond = n_at_reach > (1 - _of_a_period(ratio, periods)) * portfolio.counts * (1 + EXACT)
    told = (mask & ~capped).any(axis=1) & ~beyond
    return told & (demand / portfolio.coming_exposure() <= reach * (1 + EXACT))


def _of_a_period(ratio, periods):
    """Probability of one period to stay within its part of a total, as if sums were normal."""
    return ndtr(ndtri(ratio) / np.sqrt(periods))
