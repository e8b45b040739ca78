"""What decisions at several origins cost, on what came after each."""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._utils.stock import not_below_by_rounding
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import simulate_stock


class Charges(NamedTuple):
    """Charges of one method, ndarrays of shape (n, n_origins); NaN where nothing is charged.

    All but ``cost`` and ``complete`` are None of problems that are not about stock.
    """

    cost: np.ndarray  # money
    complete: np.ndarray  # bool: whether all periods of the decision are charged
    held: np.ndarray = None  # money
    missed: np.ndarray = None  # money
    left: np.ndarray = None  # units left over, of a period
    served: np.ndarray = None  # units that were served when they were asked for
    demand: np.ndarray = None  # units that were asked for
    in_stock: np.ndarray = None  # share of periods in which nothing was missing


class SingleOrders:
    """Charges every decision on the total of its periods; nothing is carried over.

    Parameters
    ----------
    table : RollingTable

    origins : ndarray of int
    """

    def __init__(self, table, origins):
        problem = table.problem
        self.problem = problem
        self.costs = problem.read_costs(table.X, table.names)
        totals = [problem.totals(table.coming(t, problem.horizon)) for t in origins]
        self.totals = np.concatenate(totals, axis=1)
        _refuse_nothing(~np.isnan(self.totals))

    def charges(self, decisions):
        """What decisions ``(n, n_origins)`` are charged; `Charges`."""
        complete = ~np.isnan(self.totals)
        cost = np.stack(
            [
                self.problem.mean_cost(decision, total[:, None], self.costs)
                for decision, total in zip(decisions.T, self.totals.T, strict=True)
            ],
            axis=1,
        )
        if not isinstance(self.problem, Newsvendor):
            return Charges(cost, complete)
        rest = not_below_by_rounding(decisions - self.totals, self.totals)
        left, short = np.maximum(rest, 0.0), np.maximum(-rest, 0.0)
        return Charges(
            cost,
            complete,
            held=self.costs["overage"][:, None] * left,
            missed=self.costs["underage"][:, None] * short,
            left=left,
            served=self.totals - short,
            demand=self.totals,
            in_stock=np.where(complete, 1.0 * (short == 0), np.nan),
        )


class CarriedStock:
    """Carries stock over from order to order, and charges each with the periods it is for.

    These are the ``review`` periods from its arrival on. A period without an observation counts as
    one without demand, and is not charged.

    Parameters
    ----------
    table : RollingTable

    origins : ndarray of int

    start : tuple of (on_hand, on_order)
        Before the first origin.
    """

    def __init__(self, table, origins, start):
        problem = table.problem
        self.review = problem.review
        n_periods = origins[-1] - origins[0] + table.ahead
        seen = table.coming(origins[0], n_periods)
        self.seen, self.demand = ~np.isnan(seen), np.nan_to_num(seen)
        self.costs = problem.unit_costs(table.X, table.names)
        self.known = {
            "lead_time": table.lead_times,
            "review": self.review,
            "on_hand": start[0],
            "on_order": start[1],
            "lost_sales": problem.lost_sales,
            **{name: self.costs[name] for name in ("shortage", "holding")},
        }
        own = np.arange(len(origins))[:, None] * self.review + np.arange(self.review)
        self.periods = table.lead_times[:, None, None] + own  # (n, n_origins, review)
        _refuse_nothing(self.seen[np.arange(len(seen))[:, None, None], self.periods])

    def state(self, decisions):
        """What is on hand and on order once decisions ``(n, k)`` were made; `StockState`."""
        k, states = decisions.shape[1], []

        def replay(state):
            states.append(state)
            i = len(states) - 1
            return decisions[:, i] if i < k else np.zeros(len(decisions))

        simulate_stock(self.demand[:, : k * self.review + 1], replay, **self.known)
        return states[k]

    def charges(self, decisions):
        """What orders ``(n, n_origins)`` are charged; `Charges`."""
        orders = iter(decisions.T)
        record = simulate_stock(
            self.demand, lambda state: next(orders), n_orders=decisions.shape[1], **self.known
        )
        stock, short = self._own(record.stock), self._own(record.short)
        demand = self._own(record.demand)
        available = np.maximum(stock - short + demand, 0.0)
        held = self.costs["holding"][:, None, None] * stock
        missed = self.costs["shortage"][:, None, None] * short
        return Charges(
            _sum(held + missed),
            self.complete,
            held=_sum(held),
            missed=_sum(missed),
            left=_mean(stock),
            served=_sum(np.minimum(available, demand)),
            demand=_sum(demand),
            in_stock=_mean(np.where(np.isnan(short), np.nan, short == 0)),
        )

    @property
    def complete(self):
        """Whether all periods of an order are charged; ndarray of shape (n, n_origins)."""
        rows = np.arange(len(self.seen))[:, None, None]
        return self.seen[rows, self.periods].all(axis=2)

    def _own(self, values):
        """Values of the periods that every order is for, ``(n, n_origins, review)``."""
        rows = np.arange(len(values))[:, None, None]
        return np.where(self.seen, values, np.nan)[rows, self.periods]


def _refuse_nothing(seen):
    if not seen.any():
        raise ValueError(
            "there is no outcome to charge: no row of X has observations in the periods that "
            "origins are charged on."
        )


def _sum(values):
    """Sums over the last axis, of what is there; NaN of nothing."""
    nothing = np.isnan(values).all(axis=-1)
    return np.where(nothing, np.nan, np.nansum(values, axis=-1))


def _mean(values):
    number = (~np.isnan(values)).sum(axis=-1)
    return np.where(number > 0, _sum(values) / np.maximum(number, 1), np.nan)
