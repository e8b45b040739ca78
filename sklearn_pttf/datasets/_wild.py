"""Single cells of a long sales file that are thousands of times as large as all others."""

import warnings

import numpy as np

from sklearn_pttf.datasets._periods import SHOWN, show_date

LARGEST = 2.0**53  # up to which all whole numbers are numbers
TIMES_MEDIAN = 1000.0  # of a row's values above 0, that a wild cell is beyond
TIMES_USUAL = 100.0  # of the largest but a tenth of them
USUAL = 0.9
MOST_TOLD = 1e9
FEWEST = 5  # values above 0 that tell what is usual of a row


def wild_cells(values, codes):
    """Which values are wild, and what each is compared with.

    A row of few values above 0 is compared with the largest but a hundredth of all rows.

    Parameters
    ----------
    values, codes : ndarray of shape (n_records,)

    Returns
    -------
    wild : ndarray of int
        Numbers of records.

    usual : ndarray of shape (n_wild,)

    few : bool ndarray of shape (n_wild,)
        Whether that is of all rows.
    """
    above = np.flatnonzero(values > 0)
    order = above[np.lexsort((values[above], codes[above]))]
    if len(order) < FEWEST:
        return order[:0], np.zeros(0), np.zeros(0, dtype=bool)
    some, start, count = np.unique(codes[order], return_index=True, return_counts=True)
    own = np.searchsorted(some, codes[order])
    sizes = values[order]
    median = sizes[start + (count - 1) // 2][own]
    usual = sizes[start + np.floor(USUAL * (count - 1)).astype(int)][own]
    wild = (sizes > TIMES_MEDIAN * median) & (sizes > TIMES_USUAL * usual)
    few = (count < FEWEST)[own]
    most = np.quantile(sizes, 0.99, method="lower")
    wild = np.where(few, sizes > TIMES_MEDIAN * most, wild)
    return order[wild], np.where(few, most, median)[wild], few[wild]


def settle_wild(values, codes, wild, parameter, labels, dates):
    """Values, without wild ones if these are left out; they are said by name.

    Parameters
    ----------
    values, codes : ndarray of shape (n_records,)

    wild : {"keep", "missing"}

    parameter : str
        That of values, with its value.

    labels : callable
        Labels of codes, a list.

    dates : ndarray of shape (n_records,) or None

    Warns
    -----
    UserWarning
    """
    found, usual, few = wild_cells(values, codes)
    if len(found) == 0:
        return values
    told = []
    for record, size, of_all in list(zip(found, usual, few, strict=True))[:SHOWN]:
        on = "" if dates is None else f" on {show_date(dates[record])}"
        told.append(
            f"{values[record]:.12g} of {labels(codes[[record]])[0]!r}{on}, which is "
            f"{_times(values[record], size)} times "
            + (f"nearly all values, {size:.6g}" if of_all else f"the row's median of {size:.6g}")
        )
    more = f", and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    done = "wild='missing' leaves them out" if wild == "keep" else "They are left out"
    warnings.warn(
        f"{parameter} has {len(found):,} values far beyond all others: {'; '.join(told)}{more}. "
        f"{done}.",
        UserWarning,
        stacklevel=3,
    )
    if wild == "keep":
        return values
    values = values.copy()
    values[found] = np.nan
    return values


def _times(size, usual):
    """How often, in words; a median may be next to nothing."""
    with np.errstate(over="ignore"):
        ratio = size / usual
    return f"{ratio:,.0f}" if ratio < MOST_TOLD else f"more than {MOST_TOLD:,.0f}"
