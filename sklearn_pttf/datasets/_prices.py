"""The prices of a long sales file: reading them, one a period, and those of periods without a sale.

Cells are the periods of instances that have a record, ordered by instance and period.
"""

import numpy as np


def settle_prices(prices, values, codes, parameter, refuse):
    """Prices of the records, NaN where there is none and none is needed.

    Parameters
    ----------
    prices, values : ndarray of shape (n_records,)
        As they were read, NaN where missing.

    codes : ndarray of shape (n_records,)
        Instance of every record.

    parameter : str
        With its value, for messages.

    refuse : callable
        Raises if any cell is bad.
    """
    allowed = "Prices must be above 0; only a record without a value may go without a price."
    sold = ~np.isnan(values)
    refuse(parameter, "missing cells beside a value", allowed, sold & np.isnan(prices), codes)
    refuse(
        parameter,
        "cells that are not above 0",
        allowed,
        sold & (prices <= 0),
        codes,
        lambda cell: str(prices[cell]),
    )
    return np.where(prices > 0, prices, np.nan)


def mean_prices(prices, values, starts):
    """Mean of the prices of every cell, weighted by value; ``(n_cells,)``.

    The plain mean where no value is above 0, NaN where no record has a price. Equal prices have
    themselves as their mean, to the last bit.

    Parameters
    ----------
    prices, values : ndarray of shape (n_records,)
        In the order of cells.

    starts : ndarray of shape (n_cells,)
        Number of the first record of every cell.
    """
    known = ~np.isnan(prices)
    weights = np.where(known & (values > 0), values, 0.0)
    bought = np.add.reduceat(weights, starts) > 0
    lengths = np.diff(starts, append=len(prices))
    weights = np.where(np.repeat(bought, lengths), weights, known)
    lowest = np.fmin.reduceat(prices, starts)
    above = np.where(known, prices - np.repeat(lowest, lengths), 0.0)
    total = np.add.reduceat(weights, starts)
    with np.errstate(invalid="ignore"):  # 0 / 0, where no record has a price
        return lowest + np.add.reduceat(weights * above, starts) / total


def lay_out_prices(codes, columns, prices, history, carry, refuse, parameter):
    """One row an instance, one column a period; of the shape of `history`.

    Parameters
    ----------
    codes, columns, prices : ndarray of shape (n_cells,)
        Instance, column, which may lie outside of the table, and price of the cells.

    history : bool ndarray of shape (n_instances, width)
        Which periods the instances have.

    carry : bool
        Whether periods without a record have the last price before, or else the first after.

    refuse : callable
        Raises if any cell is bad.

    parameter : str
        With its value, for messages.
    """
    n_rows, width = history.shape
    table = np.full((n_rows, width), np.nan)
    kept = (columns >= 0) & (columns < width)
    at = codes[kept], columns[kept]
    table[at] = prices[kept]
    if not carry:
        return table
    filled_in = history.copy()
    filled_in[at] = False
    known = ~np.isnan(prices)
    first = _before(codes[known], columns[known] < 0, prices[known], n_rows)
    rows, gaps = np.nonzero(filled_in)
    refuse(
        parameter,
        "periods without a sale and without a price before or after",
        "An instance with such periods must have a record with a price.",
        np.isnan(first[rows]),
        rows,
    )
    with_first = np.column_stack([first, table])
    newest = np.where(np.isnan(with_first), 0, np.arange(width + 1))
    newest = np.maximum.accumulate(newest, axis=1)
    table[filled_in] = with_first[rows, newest[rows, gaps + 1]]
    return table


def _before(codes, old, prices, n_rows):
    """The last price that is `old`, else the first of all; ``(n_rows,)``, NaN without any."""
    found = np.full(n_rows, np.nan)
    found[codes[::-1]] = prices[::-1]
    found[codes[old]] = prices[old]
    return found
