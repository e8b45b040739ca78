"""Stock, and sold-out periods, of a long sales file."""

import numpy as np


def check_stock(stock, sold_out):
    """Name of what is told, and its column; None of nothing."""
    given = {"stock": stock, "sold_out": sold_out}
    given = {name: column for name, column in given.items() if column is not None}
    if len(given) > 1:
        raise ValueError(
            f"stock and sold_out must not both be given; got stock={stock!r} and "
            f"sold_out={sold_out!r}."
        )
    return given


def settle_stock(name, told, codes, named, refuse):
    """What records say of stock, once it is clear that it can be.

    Parameters
    ----------
    name : {"stock", "sold_out"}

    told : ndarray of shape (n_records,)

    codes : ndarray of shape (n_records,)
        Instances.

    named : str
        The parameter with its value.

    refuse : callable
        Raises if any cell is bad.

    Returns
    -------
    ndarray of shape (n_records,)
        NaN where there was enough.
    """
    if name == "stock":
        bad, what, allowed = told < 0, "negative cells", "Stock must be at least 0, or missing."
    else:
        bad = ~(np.isnan(told) | (told == 0) | (told == 1))
        what, allowed = "cells that are neither true nor false", "It must be 1 or 0, or missing."
    refuse(named, what, allowed, bad, codes, lambda cell: str(told[cell]))
    return np.where(np.isinf(told), np.nan, told)


def stock_of_periods(name, told, values, codes, places):
    """What records say of stock together, a cell for each instance and period.

    Where any record sold all that it had, the period sold out: its stock is what it sold. Else it
    is the sum, which is known if all are.

    Parameters
    ----------
    name : {"stock", "sold_out"}

    told, values : ndarray of shape (n_records,)
        What records say of it, and what was sold.

    codes, places : ndarray of shape (n_records,)
        Instances and periods; below 0 of none.

    Returns
    -------
    ndarray of shape (n_cells,)
        Ordered by instance and period.
    """
    used = places >= 0
    told, values, codes, places = (each[used] for each in (told, values, codes, places))
    cells, each = np.unique(codes * (places.max() + 1) + places, return_inverse=True)
    n_cells = len(cells)
    if name == "sold_out":
        sold_out = np.zeros(n_cells, dtype=bool)
        np.logical_or.at(sold_out, each, told == 1)
        known = np.zeros(n_cells, dtype=bool)
        np.logical_or.at(known, each, ~np.isnan(told))
        return np.where(sold_out, 1.0, np.where(known, 0.0, np.nan))
    several = np.bincount(each, minlength=n_cells) > 1
    capped = np.zeros(n_cells, dtype=bool)
    np.logical_or.at(capped, each, values >= told)
    sold, there = (np.bincount(each, x, n_cells) for x in (values, told))
    return np.where(several & capped, np.maximum(sold, 0.0), there)
