"""Orders in packs, and least orders: which quantities there are, and the cheapest of them."""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._utils.rounding import EXACT
from sklearn_pttf.problems._limit import (
    FEW_UNITS,
    Allocation,
    SharedLimits,
    allocate,
    ends_of_prices,
    listed_steps,
    narrowed,
)
from sklearn_pttf.problems._search import TIE, cheapest

EVEN = 41  # numbers of packs that are tried beside those at quantiles
FEW_ASKED = 0.25  # of the rows: for fewer, a law of their own is made
MOST_HALVED = 60  # of a share of packs; a double has 53 binary digits
CLOSE = 1e-4  # of a limit: what is left when rows are chosen that order at least their minimum
MOST_EXCHANGES = 30  # of packs for packs of other rows
MOST_REPLACED = 5  # rows that order their least or more, by other ones
MOST_TRIED = 20  # rows to either side, those whose packs are worth nearly the shadow price
NEGLIGIBLE = 1e-5  # of what all packs of a group save
MOST_TRIMS = 5  # of what sums exceed a limit by rounding


class Savings:
    """What larger orders save of the expected cost.

    Parameters
    ----------
    law : PredictiveDistribution

    under, over : ndarray of shape (n,)
        Costs of a unit short, and left over.
    """

    def __init__(self, law, under, over):
        self.law, self.under, self.over = law, under, over
        self._asked = np.full((2, len(under)), np.nan)  # low and high orders, that are asked again
        self._found = np.zeros(len(under))

    def between(self, low, high):
        """Expected cost at ``low`` minus that at ``high``; all ``(n,)``."""
        excess = self.law.excess(np.stack([low, high], axis=1))
        saved = (self.under + self.over) * (excess[:, 0] - excess[:, 1])
        return saved - self.over * (high - low)

    def of_rows(self, rows, low, high):
        """`between`, of some rows, which may be listed more than once."""
        part = Savings(self.law.take(rows), self.under[rows], self.over[rows])
        return part.between(low, high)

    def pays(self, low, high, charge):
        """Whether rows had better order ``high``, at a charge a unit; of ties they had not."""
        more = high > low
        self._ask(more, low, high)
        step = high - low
        tie = EXACT * (self.under + self.over) * step
        with np.errstate(over="ignore", invalid="ignore"):  # of prices that nobody would pay
            return more & (self._found - charge * step > tie)

    def _ask(self, wanted, low, high):
        orders = np.stack([low, high])
        new = wanted & (orders != self._asked).any(axis=0)
        rows = np.flatnonzero(new)
        if len(rows) > len(new) * FEW_ASKED:
            self._found = np.where(new, self.between(low, high), self._found)
        elif len(rows):
            self._found[rows] = self.of_rows(rows, low[rows], high[rows])
        self._asked = np.where(new, orders, self._asked)


class PackedOrders(NamedTuple):
    """Nothing, if a row may order nothing, and so many whole packs, one more at every position."""

    pack: np.ndarray  # (n,), units of a pack
    first: np.ndarray  # (n,), least number of packs that is not 0
    skip: np.ndarray  # (n,), 1 if position 0 is nothing, 0 if it is the first number of packs
    top: np.ndarray  # (n,), last position; below 0 if the row may order nothing at all
    lower: np.ndarray  # (n,)
    upper: np.ndarray  # (n,)

    @classmethod
    def within(cls, pack, minimum, lower, upper):
        """Multiples of packs, from a minimum on, that are within bounds."""
        skip = (lower <= 0).astype(float)
        least = np.maximum(np.ceil(np.maximum(lower, minimum) / pack * (1 - EXACT)), 1.0)
        top = np.floor(upper / pack * (1 + EXACT)) - least + skip
        top = np.where((top < skip) & (skip == 1) & (upper >= 0), 0.0, top)
        return cls(pack, least, skip, top, lower, upper)

    @property
    def exist(self):
        """Whether there is any quantity; bool ``(n,)``."""
        return self.top >= 0

    def take(self, rows):
        return PackedOrders(*(each[rows] for each in self))

    def at(self, positions):
        """Quantities at positions ``(n,)``."""
        packs = np.where(positions < self.skip, 0.0, self.first + positions - self.skip)
        return np.clip(packs * self.pack, self.lower, self.upper)  # which is off by rounding only

    def positions(self, quantities):
        """Where quantities ``(n,)`` or ``(n, k)`` are, between two positions in proportion."""
        pack, first, skip, top = (
            each.reshape(-1, *[1] * (np.ndim(quantities) - 1))
            for each in (self.pack, self.first, self.skip, self.top)
        )
        packs = quantities / pack * (1 + EXACT)
        found = np.where(packs < first, skip * packs / first, packs - first + skip)
        return np.clip(found, 0.0, np.maximum(top, 0.0))

    def position_at(self, best, savings, charge):
        """The cheaper neighbour of the best quantity of any size, at a charge a unit; ``(n,)``."""
        low = np.floor(self.positions(best))
        below = self.at(low) < best
        high = np.where(below, np.minimum(low + 1, np.maximum(self.top, 0.0)), low)
        return np.where(savings.pays(self.at(low), self.at(high), charge), high, low)

    def cheapest(self, best, savings):
        """The cheaper neighbour of the best quantity of any size; ``(n,)``."""
        return self.at(self.position_at(best, savings, 0.0))

    def least_risk(self, risk_of, law, name):
        """The quantity of least risk, by search; ``(n,)``.

        Risks other than CVaR need not be convex: up to so many packs all are tried.
        """

        def risk(law, positions, rows):
            return risk_of(law, self.take(rows).at(positions), rows)

        def positions(rows, quantities):
            found = self.take(rows).positions(quantities)
            first, last = np.floor(found.min(axis=1)), np.ceil(found.max(axis=1))
            return np.hstack([found, np.linspace(first, last, EVEN, axis=1)])

        lower, upper = np.zeros(len(law)), np.maximum(self.top, 0.0)
        return self.at(cheapest(risk, law, lower, upper, True, name, positions))

    def allocate(self, limits, best_at, highest, savings):
        """Cheap quantities within limits; `Allocation`.

        At the shadow price every row has its best quantity; with what is left of the limit packs
        are bought one by one, those first that save most of what they use. The expected cost is
        convex in the order, so that of a row the first packs save most.
        """
        stairs = _Stairs(limits, self)

        def position_at(price):
            return self.position_at(best_at(price), savings, price * limits.weights)

        least, most, top = ends_of_prices(stairs, position_at, highest)
        over = stairs.used(most) > limits.amounts
        if not over.any():
            return Allocation(self.at(most), np.zeros(len(top)), self.at(most))
        few, many, price = narrowed(stairs, position_at, over, least, most, top, True)
        return _buy_packs(stairs, few, many, price, savings)


class _Stairs(NamedTuple):
    """Shared limits, of which positions use what their quantities do."""

    limits: SharedLimits
    orders: PackedOrders

    @property
    def labels(self):
        return self.limits.labels

    @property
    def amounts(self):
        return self.limits.amounts

    @property
    def group(self):
        return self.limits.group

    def used(self, positions):
        return self.limits.used(self.orders.at(positions))


def _buy_packs(stairs, few, many, price, savings):
    """Positions between those at two close prices, step by step."""
    if (many - few).sum() > FEW_UNITS:
        few, many = _shared_packs(stairs, few, many)
    limits = stairs.limits
    rows, at = listed_steps(few, many)
    own = stairs.orders.take(rows)
    low, high = own.at(at), own.at(at + 1)
    uses = limits.weights[rows] * (high - low)
    rate = savings.of_rows(rows, low, high) / uses
    rate = _first_is_best(rate, rows)
    order = np.lexsort((-rate, limits.group[rows]))
    rows, rate, uses = rows[order], rate[order], uses[order]
    left = limits.amounts - stairs.used(few)
    starts = np.searchsorted(limits.group[rows], np.arange(len(left) + 1))
    priced, positions, prices, bought = few.copy(), few.copy(), price.copy(), []
    for g in range(len(left)):
        group = slice(starts[g], starts[g + 1])
        fits = np.cumsum(uses[group]) <= left[g]
        first = int(fits.sum())
        if first < len(fits):
            prices[g] = rate[group][first]
        np.add.at(priced, rows[group][:first], 1.0)
        chosen = np.arange(len(fits)) < first
        remaining = left[g] - uses[group][:first].sum()
        most = (rate * uses)[group][:first].sum() + prices[g] * remaining
        chosen, remaining = _filled(rows[group], uses[group], chosen, remaining)
        chosen = _exchanged(rows[group], uses[group], rate[group], chosen, remaining, most)
        bought.append(rows[group][chosen])
        np.add.at(positions, bought[g], 1.0)
    _give_back(stairs, positions, bought)
    return Allocation(stairs.orders.at(positions), prices, stairs.orders.at(priced))


def _shared_packs(stairs, few, many):
    """Positions that are closer together, where very many steps are left at one price.

    They are an equal share of every row's steps.
    """
    low, high = np.zeros(len(stairs.amounts)), np.ones(len(stairs.amounts))

    def shared(share):
        return np.floor(few + share[stairs.group] * (many - few))

    for _ in range(MOST_HALVED):
        middle = (low + high) / 2
        fits = stairs.used(shared(middle)) <= stairs.amounts
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    few = shared(low)
    return few, np.minimum(many, few + 1)


def _first_is_best(rate, rows):
    """Rates of a row's steps, of which the first is not below others by rounding."""
    if len(rows) == 0:
        return rate
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    rate = rate.copy()
    rate[starts] = np.maximum.reduceat(rate, starts)
    return rate


def _filled(rows, uses, chosen, remaining):
    """Steps that are chosen when what remains of a limit is spent too, and what then remains.

    Steps are in the order in which they are chosen; no step of a row can be had without those
    before it.
    """
    chosen, steps = chosen.copy(), np.flatnonzero(~chosen)
    while True:
        # what does not fit never will
        barred = rows[steps[uses[steps] > remaining]]
        steps = steps[~np.isin(rows[steps], barred)]
        n_chosen = int((np.cumsum(uses[steps]) <= remaining).sum())
        if n_chosen == 0:
            return chosen, remaining
        chosen[steps[:n_chosen]] = True
        remaining -= uses[steps[:n_chosen]].sum()
        steps = steps[n_chosen:]


def _exchanged(rows, uses, rate, chosen, remaining, most):
    """Steps that are chosen when one more is had for others, or others for one, where that saves.

    That goes on as long as anything to speak of is missing of ``most``, what any steps could save.
    """
    saved = rate * uses
    for _ in range(MOST_EXCHANGES):
        if most - saved[chosen].sum() <= NEGLIGIBLE * most:
            break
        more, less = _ends_of_rows(rows, chosen)
        tried = [_with_step(rows, uses, chosen, remaining, step) for step in more]
        tried += [_without_step(rows, uses, chosen, remaining, step) for step in less]
        best, left = max(tried, key=lambda found: saved[found[0]].sum(), default=(chosen, 0.0))
        if saved[best].sum() - saved[chosen].sum() <= EXACT * saved.sum():
            break
        chosen, remaining = best, left
    return chosen


def _ends_of_rows(rows, chosen):
    """The next step of rows, those that save most a unit first, and the last chosen one."""
    ends = []
    for steps in (np.flatnonzero(~chosen), np.flatnonzero(chosen)[::-1]):
        _, first = np.unique(rows[steps], return_index=True)
        ends.append(steps[np.sort(first)[:MOST_TRIED]])
    return ends


def _with_step(rows, uses, chosen, remaining, step):
    """Steps with one more, for which those of other rows make room that save least a unit."""
    given_up = np.flatnonzero(chosen & (rows != rows[step]))[::-1]
    freed, needed = np.cumsum(uses[given_up]), uses[step] - remaining
    n_given = int((freed < needed).sum()) + 1 if needed > 0 else 0
    if n_given > len(given_up):
        return chosen, remaining
    chosen = chosen.copy()
    chosen[given_up[:n_given]], chosen[step] = False, True
    remaining = uses[given_up[:n_given]].sum() - needed
    return _filled(rows, uses, chosen, remaining)


def _without_step(rows, uses, chosen, remaining, step):
    """Steps without one, whose part of the limit is spent on those of other rows."""
    others = rows != rows[step]
    found = chosen.copy()
    found[others], remaining = _filled(
        rows[others], uses[others], chosen[others], remaining + uses[step]
    )
    found[step] = False
    return found, remaining


def _give_back(stairs, positions, bought):
    """Take back the last steps where rounding of sums exceeds a limit."""
    while True:
        over = stairs.used(positions) > stairs.amounts
        groups = [g for g in np.flatnonzero(over) if len(bought[g])]
        if not groups:
            return
        for g in groups:
            positions[bought[g][-1]] -= 1.0
            bought[g] = bought[g][:-1]


class MinimumOrders(NamedTuple):
    """Nothing, if a row may order nothing, and any quantity from its least one on."""

    least: np.ndarray  # (n,)
    optional: np.ndarray  # (n,), whether the row may order nothing
    upper: np.ndarray  # (n,); below the least one, if the row can only order nothing

    @classmethod
    def within(cls, minimum, lower, upper):
        """Quantities from a minimum on that are within bounds."""
        optional = (lower <= 0) & (upper >= 0)
        return cls(np.maximum(lower, minimum), optional, upper)

    @property
    def exist(self):
        """Whether there is any quantity; bool ``(n,)``."""
        return self.optional | self._orderable

    @property
    def _orderable(self):
        return self.least <= self.upper

    def _from_least(self, best):
        return np.clip(best, self.least, np.maximum(self.upper, self.least))

    def order_at(self, best, savings, charge):
        """The best quantity of any size if it is there, else the cheaper neighbour; ``(n,)``."""
        # where the least order is no more than the best one, it is cheaper than nothing
        unsure = self.optional & self._orderable & (best < self.least)
        wanted = savings.pays(np.zeros(len(best)), np.where(unsure, self.least, 0.0), charge)
        nothing = self.optional & ~(self._orderable & (wanted | ~unsure))
        return np.where(nothing, 0.0, self._from_least(best))

    def cheapest(self, best, savings):
        """The best quantity of any size if it is there, else the cheaper neighbour; ``(n,)``."""
        return self.order_at(best, savings, 0.0)

    def least_risk(self, risk_of, law, name):
        """The quantity of least risk, by search; ``(n,)``."""
        upper = np.maximum(self.upper, self.least)
        orders, rows = cheapest(risk_of, law, self.least, upper, False, name), np.arange(len(law))
        nothing = np.zeros(len(law))
        risk, of_nothing = risk_of(law, orders, rows), risk_of(law, nothing, rows)
        none = self.optional & (~self._orderable | (of_nothing <= risk + TIE * np.abs(risk)))
        return np.where(none, nothing, orders)

    def allocate(self, limits, best_at, highest, savings):
        """Cheap quantities within limits; `Allocation`.

        The shadow price settles which rows order anything; of those next to it, as many as what is
        left is enough for. Then these share the limit as orders of any size from their least on do.
        """
        none = np.zeros(len(highest))

        def order_at(price):
            return self.order_at(best_at(price), savings, price * limits.weights)

        least, most, top = ends_of_prices(limits, order_at, highest)
        over = limits.used(most) > limits.amounts
        if not over.any():
            return Allocation(most, np.zeros(len(top)), most)
        few, many, price = narrowed(limits, order_at, over, least, most, top, False, CLOSE)
        uses = limits.weights * self.least
        saved = savings.between(none, np.where(self._orderable, self.least, 0.0))
        rate = np.divide(saved, uses, out=none.copy(), where=uses > 0)
        choosable = self.optional & self._orderable & (rate > 0)
        ordering = (few > 0) | ~self.optional | (self.least == 0)
        settled = _Settled(limits, uses, rate, choosable)
        ordering = settled.joined(ordering, few, many)

        def solved(ordering):
            def order_of_chosen(price):
                return np.where(ordering, self._from_least(best_at(price)), 0.0)

            orders = allocate(limits, order_of_chosen, highest).orders
            orders = _trimmed(limits, orders, np.where(ordering, self.least, 0.0))
            return orders, _sums(limits, savings.between(none, orders))

        most = _sums(limits, savings.between(none, few))
        most += price * (limits.amounts - limits.used(few))
        return Allocation(settled.improved(ordering, solved, most), price, few)


class _Settled(NamedTuple):
    """Which rows order anything, where they share limits."""

    limits: SharedLimits
    uses: np.ndarray  # (n,), of the limit, by the least orders
    rate: np.ndarray  # (n,), what these save a unit of it
    choosable: np.ndarray  # (n,), whether a row may order or not

    def joined(self, ordering, few, many):
        """Rows that order at the lower of two close prices, as far as the others leave enough."""
        ordering, left = ordering.copy(), self.limits.amounts - self.limits.used(few)
        joining = self.choosable & ~ordering & (many > 0)
        for g, rows in self._by_group(joining):
            none = np.zeros(len(rows), dtype=bool)
            ordering[rows], _ = _filled(rows, self.uses[rows], none, left[g])
        return ordering

    def improved(self, ordering, solved, most):
        """Orders when some rows order in place of others, where that saves.

        Groups go on as long as anything to speak of is missing of what any orders could save.
        """
        group = self.limits.group
        orders, saved = solved(ordering)
        for k in range(2 * MOST_REPLACED):
            open_groups = most - saved > NEGLIGIBLE * most
            tried = self._moved(ordering, open_groups, k)
            if (tried == ordering).all():
                continue
            again, saved_again = solved(tried)
            better = (saved_again - saved > EXACT * most)[group]
            ordering, orders = np.where(better, tried, ordering), np.where(better, again, orders)
            saved = np.maximum(saved, saved_again)
        return orders

    def _moved(self, ordering, open_groups, k):
        """Rows that order when one more does, or one less, and others make room or fill it."""
        left = self.limits.amounts - _sums(self.limits, self.uses * ordering)
        moved, move = ordering.copy(), _without_step if k % 2 else _with_step
        for g, rows in self._by_group(self.choosable & open_groups[self.limits.group]):
            steps = _ends_of_rows(rows, ordering[rows])[k % 2]
            if k // 2 < len(steps):
                step = steps[k // 2]
                moved[rows], _ = move(rows, self.uses[rows], ordering[rows], left[g], step)
        return moved

    def _by_group(self, chosen):
        """Groups with the chosen rows, those first that save most a unit of the limit."""
        rows = np.flatnonzero(chosen)
        group = self.limits.group
        rows = rows[np.lexsort((-self.rate[rows], group[rows]))]
        groups, starts = np.unique(group[rows], return_index=True)
        return zip(groups, np.split(rows, starts[1:]), strict=True) if len(rows) else ()


def _sums(limits, values):
    """Sums of a value a row, by group."""
    return np.bincount(limits.group, values, minlength=len(limits.amounts))


def _trimmed(limits, orders, least):
    """Orders less what their sums exceed a limit by, which is due to rounding."""
    for _ in range(MOST_TRIMS):
        excess = limits.used(orders) - limits.amounts
        if not (excess > 0).any():
            break
        room = limits.weights * (orders - least)
        orders = orders.copy()
        for g in np.flatnonzero(excess > 0):
            rows = np.flatnonzero(limits.group == g)
            row = rows[room[rows].argmax()]
            if room[row] > 0:
                less = orders[row] - 2 * excess[g] / limits.weights[row]
                orders[row] = max(less, least[row])
    return orders
