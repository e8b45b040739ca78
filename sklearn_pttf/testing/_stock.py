"""Stock period by period: what a policy's orders would have cost on given demand."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_array

from sklearn_pttf._utils.checks import LARGEST, check_flag, check_whole, describe_rows
from sklearn_pttf._utils.frames import unmasked
from sklearn_pttf._utils.stock import not_below_by_rounding

LONGEST_LEAD_TIME = 1000  # periods


@dataclass(frozen=True, eq=False)
class StockState:
    """What a policy knows when it orders; arrays are not for writing.

    Attributes
    ----------
    period : int
        The order is placed before this period; the first one is 0.

    on_hand : ndarray of shape (n,)
        Stock before the period's arrivals; below 0 where demand is owed.

    on_order : ndarray of shape (n, longest lead time)
        What arrives at the start of this period, of the next one, and so on.

    demand_so_far : ndarray of shape (n, period)
        Demand of all periods before.
    """

    period: int
    on_hand: np.ndarray
    on_order: np.ndarray
    demand_so_far: np.ndarray

    @property
    def position(self):
        """Inventory position, on hand and on order together; ndarray of shape (n,)."""
        return self.on_hand + self.on_order.sum(axis=1)


@dataclass(frozen=True, eq=False)
class StockRecord:
    """What happened in every period, and what it cost.

    Arrays have shape (n, n_periods) unless something else is said. Methods take the ``periods``
    that count, a slice or a list of periods; None: all. They give one number, or with
    ``by_row=True`` one a row.

    Attributes
    ----------
    orders : ndarray
        By the period before which they were placed.

    arrivals : ndarray
        By the period at whose start they arrived.

    demand : ndarray
        As given.

    stock : ndarray
        Left at the end of the period.

    short : ndarray
        Lost sales: demand that was missed in the period. Backlog: what is owed at its end.

    cost : ndarray
        ``shortage * short + holding * stock``.

    on_order : ndarray of shape (n, longest lead time)
        Under way after the last period: what arrives at the start of the next one, and so on.
    """

    orders: np.ndarray
    arrivals: np.ndarray
    demand: np.ndarray
    stock: np.ndarray
    short: np.ndarray
    cost: np.ndarray
    on_order: np.ndarray

    def cost_of(self, periods=None, by_row=False):
        """Total cost."""
        return _over(np.sum, self.cost, periods, by_row)

    def average_stock(self, periods=None, by_row=False):
        """Mean stock at the end of a period, of a row."""
        return _over(np.mean, self.stock, periods, by_row)

    def service_level(self, periods=None, by_row=False):
        """Share of periods, of all rows, at whose end nothing was short."""
        return _over(np.mean, self.short == 0, periods, by_row)

    def fill_rate(self, periods=None, by_row=False):
        """Share of demand that was served from stock in its own period; 1 without demand."""
        available = np.maximum(self.stock - self.short + self.demand, 0.0)
        served = _over(np.sum, np.minimum(available, self.demand), periods, by_row)
        demand = _over(np.sum, self.demand, periods, by_row)
        rate = np.where(demand > 0, served / np.where(demand > 0, demand, 1.0), 1.0)
        return rate if by_row else float(rate)


def _over(statistic, values, periods, by_row):
    """A statistic of some periods' values, of all rows or of each."""
    values = values if periods is None else values[:, periods]
    return statistic(values, axis=1) if by_row else float(statistic(values))


class BaseStock:
    """Policy that orders up to a level of the inventory position.

    Parameters
    ----------
    levels : float or array-like of shape (n,)
        Units on hand and on order together, less what is owed, right after the order.

    See Also
    --------
    simulate_stock : Plays policies.

    Examples
    --------
    >>> from sklearn_pttf.testing import BaseStock, simulate_stock
    >>> simulate_stock([[2, 4, 1]], BaseStock(3.0), lead_time=1).orders
    array([[3., 0., 3.]])
    """

    def __init__(self, levels):
        self.levels = levels

    def __repr__(self):
        return f"BaseStock({self.levels!r})"

    def __call__(self, state):
        return np.maximum(_one_a_row("levels", self.levels, len(state.on_hand)) - state.position, 0)


def simulate_stock(
    demand,
    policy,
    *,
    lead_time=0,
    review=1,
    on_hand=0.0,
    on_order=None,
    shortage=1.0,
    holding=1.0,
    lost_sales=True,
    n_orders=None,
):
    """Play a policy on given demand, period by period.

    In each period, an order is placed first, if it is a time of review. Then what is under way
    arrives, demand comes, and costs are charged on what is left or missing. An order placed before
    period t is there at the start of period ``t + lead_time``: with lead time 0, it serves demand
    of period t itself.

    Parameters
    ----------
    demand : array-like of shape (n, n_periods)
        Units asked for in every period; at least 0, none missing.

    policy : callable
        ``policy(state)`` gets a `StockState` and gives the orders of all rows, shape (n,).

    lead_time : int or array-like of int of shape (n,), default=0
        Periods from an order to its arrival.

    review : int, default=1
        Orders are placed before periods 0, ``review``, ``2 * review``, ...

    on_hand : float or array-like of shape (n,), default=0.0
        Stock before period 0. With ``lost_sales=False`` it may be below 0: units that are owed.

    on_order : array-like of shape (n, longest lead time), default=None
        What arrives at the start of periods 0, 1, ...; None: nothing is under way.

    shortage, holding : float or array-like of shape (n,), default=1.0
        Cost of a unit short and of a unit left, in every period; at least 0.

    lost_sales : bool, default=True
        Whether demand beyond stock is lost. False: it is owed, and charged every period until it
        is served.

    n_orders : int, default=None
        Reviews at which orders are placed, the first ones; None: all.

    Returns
    -------
    StockRecord

    Raises
    ------
    ValueError
        If demand is missing or negative, if parameters are not as above, or if the policy gives
        NaN, negative or infinite orders, or other than one a row.

    See Also
    --------
    BaseStock : Policy that orders up to a level.

    Examples
    --------
    Three weeks of two products; orders take a week, and two units are there:

    >>> from sklearn_pttf.testing import simulate_stock
    >>> def order_last_demand(state):
    ...     return state.demand_so_far[:, -1] if state.period else [1, 1]
    >>> record = simulate_stock(
    ...     [[2, 3, 1], [0, 1, 4]], order_last_demand, lead_time=1, on_hand=2, shortage=5
    ... )
    >>> record.short
    array([[0., 2., 0.],
           [0., 0., 2.]])
    >>> record.cost_of(slice(1, None)), record.cost_of(by_row=True)
    (23.0, array([11., 14.]))
    """
    demand = _check_demand(demand)
    n, n_periods = demand.shape
    _check_callable(policy)
    check_whole("review", review, 1)
    check_flag("lost_sales", lost_sales)
    if n_orders is not None:
        check_whole("n_orders", n_orders, 0)
    lead_time = _check_lead_time(lead_time, n)
    stock = _one_a_row("on_hand", on_hand, n)
    if lost_sales and (stock < 0).any():
        raise ValueError(
            "on_hand must be at least 0 with lost_sales=True, where nothing is owed; got "
            f"{describe_rows(stock < 0, stock)}."
        )
    shortage = _one_a_row("shortage", shortage, n, low=0.0)
    holding = _one_a_row("holding", holding, n, low=0.0)

    longest = int(lead_time.max())
    arriving = np.zeros((n_periods + longest, n))  # by period
    arriving[:longest] = _check_on_order(on_order, n, longest).T
    orders = np.zeros((n_periods, n))
    left = np.empty((n_periods, n))  # stock less what is short
    last = n_periods if n_orders is None else n_orders * review
    rows = np.arange(n)
    for t in range(n_periods):
        if t % review == 0 and t < last:
            under_way = arriving[t : t + longest].T.copy()
            state = StockState(t, stock, under_way, demand[:, :t])
            _lock(stock, under_way)
            orders[t] = _check_orders(policy(state), n, t)
            arriving[t + lead_time, rows] += orders[t]
        left[t] = not_below_by_rounding(stock + arriving[t] - demand[:, t], demand[:, t])
        stock = np.maximum(left[t], 0.0) if lost_sales else left[t].copy()
    stock, short = np.maximum(left, 0.0), np.maximum(-left, 0.0)
    return StockRecord(
        orders=orders.T,
        arrivals=arriving[:n_periods].T,
        demand=demand,
        stock=stock.T,
        short=short.T,
        cost=(shortage * short + holding * stock).T,
        on_order=arriving[n_periods:].T,
    )


def _lock(*arrays):
    for array in arrays:
        array.setflags(write=False)


def _check_demand(demand):
    """Demand as floats, stored by period, not for writing."""
    demand = check_array(
        unmasked(demand), dtype=np.float64, ensure_all_finite=False, input_name="demand"
    )
    bad = ~((demand >= 0) & (demand <= LARGEST))
    if bad.any():
        shown = demand[np.arange(len(demand)), bad.argmax(axis=1)]
        raise ValueError(
            f"demand must be known in every period, numbers in [0, {LARGEST:g}]; got "
            f"{describe_rows(bad.any(axis=1), shown)}. Missing demand (NaN), such as of periods "
            "that were sold out, has to be filled in, or its rows or periods left out."
        )
    demand = np.array(demand.T, order="C").T
    _lock(demand)
    return demand


def _check_callable(policy):
    if not callable(policy):
        raise ValueError(
            f"policy must be a function of a StockState that gives orders; got {policy!r}."
        )


def _one_a_row(name, value, n, low=-np.inf):
    """A number or one a row as floats ``(n,)``."""
    values = _as_floats(name, value, f"a number or {n} numbers, one a row")
    if values.ndim and values.shape != (n,):
        raise ValueError(
            f"{name} must be a number or have shape ({n},), one number a row; got shape "
            f"{values.shape}."
        )
    values = np.array(np.broadcast_to(values, n))
    low = max(low, -LARGEST)
    bad = ~((values >= low) & (values <= LARGEST))
    if bad.any():
        raise ValueError(
            f"{name} must be in [{low:g}, {LARGEST:g}]; got {describe_rows(bad, values)}."
        )
    return values


def _as_floats(name, value, allowed):
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iufO":
            raise TypeError
        return array.astype(float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {allowed}; got {value!r}.") from None


def _check_lead_time(lead_time, n):
    """Lead times ``(n,)`` as whole numbers."""
    values = _one_a_row("lead_time", lead_time, n)
    bad = (values < 0) | (values > LONGEST_LEAD_TIME) | (values % 1 != 0)
    if bad.any():
        raise ValueError(
            f"lead_time must be whole numbers of periods in [0, {LONGEST_LEAD_TIME}]; got "
            f"{describe_rows(bad, values)}."
        )
    return values.astype(int)


def _check_on_order(on_order, n, longest):
    """What is under way, ``(n, longest)``."""
    if on_order is None:
        return np.zeros((n, longest))
    allowed = f"shape ({n}, {longest}), a column for each period of the longest lead time"
    values = _as_floats("on_order", on_order, f"numbers of {allowed}")
    if values.shape != (n, longest):
        raise ValueError(f"on_order must have {allowed}; got shape {values.shape}.")
    bad = ~((values >= 0) & (values <= LARGEST))
    if bad.any():
        shown = values[np.arange(n), bad.argmax(axis=1)]
        raise ValueError(
            f"on_order must be in [0, {LARGEST:g}]; got {describe_rows(bad.any(axis=1), shown)}."
        )
    return values


def _check_orders(orders, n, period):
    """What a policy gave, as floats ``(n,)``."""
    when = f"before period {period}"
    allowed = f"one order a row, {n} numbers of at least 0"
    orders = _as_floats(f"what policy gives {when}", orders, allowed)
    if orders.shape != (n,):
        raise ValueError(
            f"policy must give {allowed}, shape ({n},); {when} it gave shape {orders.shape}."
        )
    bad = ~((orders >= 0) & (orders <= LARGEST))
    if bad.any():
        raise ValueError(
            f"policy must give {allowed} and at most {LARGEST:g}; {when} it gave "
            f"{describe_rows(bad, orders)}."
        )
    return orders
