"""A linear limit that rows share, or one a group: orders at its shadow price."""

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

MOST_STEPS = 200  # of narrowing the shadow price down
BISECTED = 3  # every so many steps is a bisection, which halves the range for certain
INNER = (0.01, 0.99)  # of the range, where the others fall, so that its ends move
MOST_NAMED = 10  # groups that a message lists
FEW_UNITS = 50_000  # that are bought one by one, dearest to miss first
ROUNDING = 1e-12  # of a limit, and of the highest price
CLOSE = 1e-6  # of a limit: what is left between two prices is shared out


@dataclass(frozen=True)
class PerRow:
    """A limit that grows with the number of rows that share it.

    Parameters
    ----------
    amount : float
        What the limit allows a row, on average; in units of the limit.

    Examples
    --------
    Half of the rows, as in a fold of a cross-validation, share half of the limit.

    >>> from sklearn_pttf.problems import Newsvendor, PerRow
    >>> Newsvendor(underage=4.0, overage=1.0, limit=PerRow(12.5))
    Newsvendor(limit=PerRow(amount=12.5), underage=4.0)
    """

    amount: float

    def __post_init__(self):
        check_amount(self.amount, "the amount of PerRow")


def check_amount(value, name):
    """Refuse what is no finite amount of at least 0."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number of at least 0; got {value!r}.")


def check_limit(limit, groups):
    """Refuse what is neither a number, nor a `PerRow`, nor one of these for every group."""
    if isinstance(limit, dict):
        if groups is None:
            raise ValueError(
                f"limit={limit!r} has an amount a group: name their column as groups=."
            )
        for label, value in limit.items():
            if not isinstance(value, PerRow):
                check_amount(value, f"limit[{label!r}]")
    elif not isinstance(limit, PerRow):
        check_amount(limit, "limit")


def scaled_limit(limit, share, horizon):
    """The limit of a share of the rows, in one of several periods."""
    if isinstance(limit, dict):
        return {label: scaled_limit(value, share, horizon) for label, value in limit.items()}
    if isinstance(limit, PerRow):
        return PerRow(limit.amount / horizon)
    return limit * share / horizon


class SharedLimits(NamedTuple):
    """What every group may use, and which rows use it."""

    labels: list  # of the groups; [None] if all rows are one
    amounts: np.ndarray  # (n_groups,)
    group: np.ndarray  # (n,), position of a row's group
    weights: np.ndarray  # (n,), what a unit of a row uses

    def used(self, orders):
        """What orders use of every limit; ``(n_groups,)``."""
        return np.bincount(self.group, self.weights * orders, minlength=len(self.amounts))

    def by_label(self, values):
        """A value a group, as a dict by label; as a float if all rows are one group."""
        if self.labels == [None]:
            return float(values[0])
        return dict(zip(self.labels, values.tolist(), strict=True))


def shared_limits(limit, groups, weights):
    """`SharedLimits` of rows.

    Parameters
    ----------
    limit : float, PerRow or dict
        A number is the limit of every group.

    groups : ndarray of shape (n,) or None
        Labels; None: all rows share one limit.

    weights : ndarray of shape (n,)

    Raises
    ------
    ValueError
        If a group has no limit.
    """
    if groups is None:
        labels, group = [None], np.zeros(len(weights), dtype=int)
    else:
        labels, group = np.unique(groups, return_inverse=True)
        labels = labels.tolist()
    sizes = np.bincount(group, minlength=len(labels))
    if isinstance(limit, dict):
        unknown = [label for label in labels if label not in limit]
        if unknown:
            raise ValueError(
                f"limit has no amount for group {unknown[0]!r} of X ({len(unknown)} of "
                f"{len(labels)} groups have none); it has {list(limit)[:MOST_NAMED]!r}."
            )
        limits = [limit[label] for label in labels]
    else:
        limits = [limit] * len(labels)
    amounts = [
        each.amount * size if isinstance(each, PerRow) else float(each)
        for each, size in zip(limits, sizes, strict=True)
    ]
    return SharedLimits(labels, np.array(amounts, dtype=float), group, weights)


class Allocation(NamedTuple):
    """Orders within limits."""

    orders: np.ndarray  # (n,)
    prices: np.ndarray  # (n_groups,), what one more unit of a limit would save
    priced: np.ndarray  # (n,), cheapest orders at these prices, within the limits


def allocate(limits, order_at, highest, saving_of=None):
    """Cheapest orders within limits, by their dual prices.

    Parameters
    ----------
    limits : SharedLimits

    order_at : callable
        Maps a price of the limit for every row, ``(n,)``, to the cheapest orders at it, which do
        not rise with the price.

    highest : ndarray of shape (n,)
        Prices at which rows order least.

    saving_of : callable, default=None
        For orders in whole numbers: maps rows and orders ``(k,)`` to what one unit more saves.
        None: orders are continuous.

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If even the least orders exceed a limit.
    """
    least, most, top = ends_of_prices(limits, order_at, highest)
    over = limits.used(most) > limits.amounts * (1 + ROUNDING)
    if not over.any():
        return Allocation(most, np.zeros(len(top)), most)
    few, many, price = narrowed(limits, order_at, over, least, most, top, saving_of is not None)
    if saving_of is None:
        return _share_out(limits, few, many, price)
    return _buy_units(limits, few, many, price, saving_of)


def ends_of_prices(limits, order_at, highest):
    """Least orders, those at no price, and a price a group from which on rows order least."""
    top = np.zeros(len(limits.amounts))
    np.maximum.at(top, limits.group, highest)
    least = order_at(np.nextafter(top, np.inf)[limits.group])
    _refuse_infeasible(limits, least)
    return least, order_at(np.zeros(len(highest))), top


def _refuse_infeasible(limits, least):
    """Refuse limits that even the least orders exceed."""
    used = limits.used(least)
    bad = np.flatnonzero(used > limits.amounts * (1 + ROUNDING))
    if len(bad):
        label = limits.labels[bad[0]]
        of_group = "" if label is None else f" of group {label!r}"
        raise ValueError(
            f"limit{of_group} is {limits.amounts[bad[0]]:g}, but the lower bounds alone need "
            f"{used[bad[0]]:g}: no orders are within it."
        )


def narrowed(limits, order_at, over, least, most, top, whole, close=CLOSE):
    """Orders at two close prices, of which the higher keeps the limits; regula falsi (Illinois).

    Groups that are not ``over`` have their free orders at both.
    """
    group, amounts = limits.group, limits.amounts
    low, high = np.zeros(len(top)), np.where(over, top, 0.0)
    many, few = most, np.where(over[group], least, most)
    room, excess = amounts - limits.used(few), limits.used(many) - amounts
    # one call prices the rows of all groups, and use falls in jumps: nothing for `find_root`
    for step in range(MOST_STEPS):
        left = limits.used(many - few)
        unsettled = over & (high - low > ROUNDING * top) & (whole | (left > close * amounts))
        if whole and (many - few).sum() <= FEW_UNITS:
            break
        if not unsettled.any():
            break
        share = np.full(len(top), 0.5)
        if step % BISECTED:
            between = np.where(unsettled, excess + room, 1.0)
            share = np.clip(np.where(unsettled, excess, 0.0) / between, *INNER)
        price = np.where(unsettled, low + share * (high - low), high)
        orders = order_at(price[group])
        used = limits.used(orders)
        dear = unsettled & (used > amounts)
        cheap = unsettled & ~dear
        low, high = np.where(dear, price, low), np.where(cheap, price, high)
        many = np.where(dear[group], orders, many)
        few = np.where(cheap[group], orders, few)
        # the end that stays counts half, so that the other one moves too
        excess = np.where(dear, used - amounts, np.where(cheap, excess / 2, excess))
        room = np.where(cheap, amounts - used, np.where(dear, room / 2, room))
    return few, many, np.where(over, high, 0.0)


def _share_out(limits, few, many, price):
    """Continuous orders between two prices, which use the limits up."""
    used, more = limits.used(few), limits.used(many - few)
    share = np.clip((limits.amounts - used) / np.where(more > 0, more, 1.0), 0.0, 1.0)
    orders = few + np.where(more > 0, share, 0.0)[limits.group] * (many - few)
    return Allocation(orders, price, orders)


def _buy_units(limits, few, many, price, saving_of):
    """Whole numbers between two prices, unit by unit, those first that save most a unit used.

    Where so many are left at one price, most of them are shared out first.
    """
    if (many - few).sum() > FEW_UNITS:
        shared = np.floor(_share_out(limits, few, many, price).orders)
        few, many = np.maximum(few, shared), np.minimum(many, shared + 1)
    rows, at = listed_steps(few, many)
    rate = saving_of(rows, at) / limits.weights[rows]
    order = np.lexsort((-rate, limits.group[rows]))
    rows, rate = rows[order], rate[order]
    left = limits.amounts * (1 + ROUNDING) - limits.used(few)
    starts = np.searchsorted(limits.group[rows], np.arange(len(left) + 1))
    priced, orders, prices = few.copy(), few.copy(), price.copy()
    for g in range(len(left)):
        own = slice(starts[g], starts[g + 1])
        units, rates = rows[own], rate[own]
        weights = limits.weights[units]
        first = int(np.searchsorted(np.cumsum(weights), left[g], side="right"))
        np.add.at(priced, units[:first], 1.0)
        np.add.at(orders, units[:first], 1.0)
        if first < len(units):
            prices[g] = rates[first]
        remaining = left[g] - weights[:first].sum()
        units, weights = units[first:], weights[first:]
        while (fits := weights <= remaining).any():
            at = int(fits.argmax())
            orders[units[at]] += 1.0
            remaining -= weights[at]
            units, weights = units[at + 1 :], weights[at + 1 :]
    return Allocation(orders, prices, priced)


def listed_steps(few, many):
    """Every whole step from ``few`` to ``many``: its row, and where it begins; ``(k,)`` each."""
    steps = np.rint(many - few).astype(int)
    rows = np.repeat(np.arange(len(few)), steps)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(steps) - steps, steps)
    return rows, few[rows] + nth
