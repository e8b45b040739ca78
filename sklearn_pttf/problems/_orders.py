"""From the level that is to be stocked to what is to be ordered."""

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_series
from sklearn.utils import check_array, check_consistent_length

from sklearn_pttf._utils.checks import describe_rows
from sklearn_pttf._utils.frames import unmasked
from sklearn_pttf._utils.rounding import ROUNDED


def order_quantity(level, on_hand=0, on_order=0, pack=1, minimum=0):
    """What to order so that stock reaches a level, in whole packs.

    What is missing of the level is ``level - on_hand - on_order``. Where nothing is missing,
    nothing is ordered; else at least ``minimum``, rounded up to whole packs.

    Parameters
    ----------
    level : float, array-like or Series of shape (n_instances,)
        Stock that is to be reached, as ``decide`` gives it; in units.

    on_hand : float, array-like or Series of shape (n_instances,), default=0
        Stock there is. Negative: backorders, which are owed first.

    on_order : float, array-like or Series of shape (n_instances,), default=0
        What is on its way.

    pack : float, array-like or Series of shape (n_instances,), default=1
        Units of a pack, positive. 0: the order need not be a whole number of anything.

    minimum : float, array-like or Series of shape (n_instances,), default=0
        Smallest order there is, in units, at least 0.

    Returns
    -------
    ndarray, Series or float
        Units to order; a Series named "order" with its index where an argument is one, a float
        where all are numbers.

    Raises
    ------
    ValueError
        If an argument is missing or infinite, if pack or minimum is negative, if numbers of rows
        differ, or if Series of pandas have different indices.

    See Also
    --------
    Newsvendor : The level to stock; ``horizon`` for the periods that it must last.

    Notes
    -----
    Rounding up to whole packs stocks more than ``level``, by less than a pack. Where a pack is
    most of what is sold in a period, less may be cheaper: ``Newsvendor(pack=...)`` orders the
    number of packs whose expected cost is least.

    Examples
    --------
    >>> from sklearn_pttf.problems import order_quantity
    >>> order_quantity([30, 30, 30], on_hand=[8, 29, 35], pack=12, minimum=6)
    array([24., 12.,  0.])
    """
    given = {"level": level, "on_hand": on_hand, "on_order": on_order, "pack": pack}
    given["minimum"] = minimum
    arrays = {name: _numbers(value, name) for name, value in given.items()}
    check_consistent_length(*(each for each in arrays.values() if each.ndim))
    for name in ("pack", "minimum"):
        bad = np.atleast_1d(arrays[name] < 0)
        if bad.any():
            raise ValueError(
                f"{name} must be at least 0; got {describe_rows(bad, np.atleast_1d(arrays[name]))}."
            )
    missing = arrays["level"] - arrays["on_hand"] - arrays["on_order"]
    wanted = np.where(missing > 0, np.maximum(missing, arrays["minimum"]), 0.0)
    packs = arrays["pack"] > 0
    size = np.where(packs, arrays["pack"], 1.0)
    # what rounding adds to a whole number of packs is no further pack
    order = np.where(packs, np.ceil(wanted / size - ROUNDED) * size, wanted)
    return _like(order + 0.0, given)  # no -0.0 where nothing is ordered


def _numbers(value, name):
    """A float64 array of shape () or (n,)."""
    if np.ndim(value) == 0 and not is_into_series(value):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise ValueError(f"{name} must be a finite number, or one a row; got {value!r}.")
        return np.asarray(number)
    if np.ndim(value) > 1:
        raise ValueError(f"{name} must be a number or 1-D; got {np.ndim(value)} dimensions.")
    return check_array(unmasked(value), dtype=np.float64, ensure_2d=False, input_name=name)


def _like(order, given):
    """The order as the arguments are: a Series of their library, an array, or a float."""
    series = {
        name: nw.from_native(value, series_only=True)
        for name, value in given.items()
        if is_into_series(value)
    }
    if not series:
        return order if order.ndim else float(order)
    (first, like), *others = series.items()
    index = nw.maybe_get_index(like)
    for name, other in others:
        if index is not None and not index.equals(nw.maybe_get_index(other)):
            raise ValueError(f"{name} has another index than {first}.")
    order = nw.new_series("order", order, backend=like.implementation)
    return like.to_frame().with_columns(order)["order"].to_native()
