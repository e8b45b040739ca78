"""Whether what is told of stock can be that, by what was sold of it."""

import numpy as np

from sklearn_pttf._utils.rounding import EXACT

FEWEST = 20  # cells that say anything of a whole column
MOST_BELOW = 0.1  # of sales that may be above their stock, by error


def refuse_other_than_stock(name, told, sales):
    """Refuse what was left, or whether there was some, in the place of stock, and flags inverted.

    Parameters
    ----------
    name : {"stock", "sold_out"}

    told : ndarray
        Of cells; NaN where nothing is told.

    sales : ndarray
        Of the same shape; NaN where not known.

    Raises
    ------
    ValueError
    """
    known = ~np.isnan(told) & ~np.isnan(sales)
    told, sales = told[known], sales[known]
    if name == "sold_out":
        _refuse_inverted(told == 1, sales)
    else:
        _refuse_what_was_left(told, sales)


def _refuse_inverted(sold_out, sales):
    rest = sales[~sold_out]
    if len(rest) < FEWEST or (rest > 0).any() or not (sales[sold_out] > 0).any():
        return
    raise ValueError(
        f"sold_out must be true where nothing was left; got it false in {len(rest):,} cells, none "
        f"of which sold anything, and true in {(sales[sold_out] > 0).sum():,} that did. It seems "
        "to tell what was in stock: give its opposite."
    )


def _refuse_what_was_left(stock, sales):
    sold = sales > 0
    below = (sales > stock * (1 + EXACT))[sold]
    if below.sum() < max(FEWEST, MOST_BELOW * sold.sum()):
        return
    found = f"got less than the sale in {below.sum():,} of {sold.sum():,} cells with sales"
    if np.isin(stock, (0, 1)).all():
        raise ValueError(
            f"stock must be what could be sold at most, in units; {found}, and no other values "
            "than 0 and 1. Where only true and false are known, give sold_out, which is true where "
            "nothing was left."
        )
    raise ValueError(
        f"stock must be what could be sold at most in a period, in units; {found}. What was left "
        "at its end is less: add what was sold to that."
    )
