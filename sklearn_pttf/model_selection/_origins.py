"""A table as it was at earlier origins: what was known then, what came after, and what is due."""

from collections.abc import Iterable
from numbers import Integral

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe
from sklearn.base import clone

from sklearn_pttf._tables.completion import demand_of
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.checks import (
    MOST_PERIODS,
    NO_NUMBERS,
    Column,
    column_names,
    describe_rows,
    find_column,
    numeric_columns,
    row_values,
    shown,
    within_limits,
)
from sklearn_pttf._utils.frames import with_columns
from sklearn_pttf._utils.sklearn_private import _safe_indexing
from sklearn_pttf.problems._stock import stock_positions, told_of_stock
from sklearn_pttf.problems._time import driver_positions, warn_of_other_columns

FEWEST_PERIODS = 2  # to learn from
MOST_ORIGINS = 26  # unless more are asked for
USUAL_PERIODS = 13  # newest ones of a row, whose mean is its usual demand
USUAL_COVER = 2  # periods of usual demand that are on hand at a neutral start


def carries_stock(problem):
    """Whether what is left at an origin is there at the next one."""
    return bool(getattr(problem, "carries_stock", False))


class RollingTable:
    """A table that can be put back to any of its periods.

    Parameters
    ----------
    problem : DecisionProblem
        With ``ordered=True``.

    X : ndarray or data frame of shape (n, n_columns)

    aside : sequence of str or int, default=()
        Columns that nothing may be learned from: past orders.

    Attributes
    ----------
    observations : ndarray of shape (n, n_periods)

    demand : ndarray of shape (n, n_periods)
        The same, but for a draw from what demand may have been where stock capped a sale.

    capped : bool ndarray of shape (n, n_periods) or None
        Where stock did. None: nothing is told of stock.

    ahead : int
        How many periods after an origin its decision is charged on, or has to wait for.

    step : int
        Periods from one decision to the next.

    lead_times : ndarray of int of shape (n,)
        Periods from an order to its arrival; 0 where decisions are for the coming periods.
    """

    def __init__(self, problem, X, aside=()):
        self.problem, self.X = problem, X
        self.names, (n_rows, self.n_columns) = column_names(X), X.shape
        self._check_problem()
        self.aside = [find_column(c, self.names, self.n_columns, "policy") for c in aside]
        self.positions = self._observed()
        self.drivers = driver_positions(problem, self.names, self.n_columns)
        self.observations = within_limits(numeric_columns(X, self.positions), "X")
        problem.check_outcomes(self.observations, "X")
        self.stock = stock_positions(problem, self.names, self.n_columns)
        stock = problem.read_stock(X, self.names, self.observations)
        known = Portfolio(self.observations, stock=stock, ordered=True)
        self.demand = demand_of(known)
        self.capped = None if stock is None else known.capped & known.mask
        self.lead_times = np.zeros(n_rows, dtype=int)
        self.step = self.ahead = problem.horizon
        if carries_stock(problem):
            self.lead_times = self._lead_times()
            self.step = problem.review
            self.ahead = int(self.lead_times.max()) + problem.review

    def _lead_times(self):
        leads = row_values(self.problem.lead_time, self.X, self.names, "lead_time")
        bad = ~((leads >= 0) & (leads <= MOST_PERIODS) & (leads % 1 == 0))
        if bad.any():
            raise ValueError(
                f"lead_time must be whole numbers of periods in [0, {MOST_PERIODS}]; got "
                f"{describe_rows(bad, leads)}."
            )
        return leads.astype(int)

    @property
    def n_periods(self):
        return self.observations.shape[1]

    def period_names(self):
        """Names of all periods, those of their columns; tuple of str, None where X has none."""
        return None if self.names is None else tuple(self.names[k] for k in self.positions)

    def _check_problem(self):
        problem = self.problem
        if not problem.ordered:
            raise ValueError(
                "problem must have ordered=True for a backtest, which goes through the columns of "
                f"X in the order of time; got ordered={problem.ordered!r}."
            )
        if "observations" not in problem.get_params(deep=False):
            raise ValueError(
                "problem must have a parameter observations for a backtest; got a "
                f"{type(problem).__name__} without it."
            )
        if problem.exposure is not None:
            raise ValueError(
                "problem must have no exposure, which a backtest does not read; got "
                f"exposure={shown(problem.exposure)}."
            )
        problem.check()

    def _observed(self):
        """Positions of all observations."""
        positions = self.problem.observation_positions(self.names, self.n_columns)
        both = sorted(set(positions).intersection(self.aside))
        if both and self.problem.observations is not None:
            raise ValueError(
                f"policy names column {both[0]}, which observations={self.problem.observations!r} "
                "names too: past orders are no observations."
            )
        of_orders = set(self.aside)
        kept = [k for k in positions if k not in of_orders]
        if self.names is not None:
            warn_of_other_columns(self.problem, [self.names[k] for k in kept])
        if not kept:
            raise ValueError(
                f"X has no column of observations beside the {len(both)} of past orders."
            )
        return kept

    def origins(self, asked):
        """Numbers of periods that are known when deciding; increasing ndarray of int."""
        last = self.n_periods - self.ahead
        if last < FEWEST_PERIODS:
            raise ValueError(
                f"X must have at least {FEWEST_PERIODS + self.ahead} columns of observations: "
                f"{FEWEST_PERIODS} to learn from, and {self.ahead} to charge a decision on; got "
                f"{self.n_periods}."
            )
        if asked is None or (isinstance(asked, Integral) and not isinstance(asked, bool)):
            return self._newest(asked, last)
        return self._checked(asked, last)

    def _newest(self, asked, last):
        most = (last - FEWEST_PERIODS) // self.step + 1
        if asked is None:
            half = (last - self.n_periods // 2) // self.step + 1
            asked = min(max(half, 1), MOST_ORIGINS, most)
        if not 1 <= asked <= most:
            raise ValueError(
                f"origins must be in [1, {most}], as X has {self.n_periods} columns of "
                f"observations, of which {FEWEST_PERIODS} are to learn from, the last "
                f"{self.ahead} to charge the newest decision on, and decisions are {self.step} "
                f"apart; got {asked!r}."
            )
        return last - self.step * np.arange(asked)[::-1]

    def _checked(self, asked, last):
        values = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, str) else []
        whole = all(isinstance(t, Integral) and not isinstance(t, bool) for t in values)
        good = whole and values and (np.diff(values) > 0).all()
        if not good or values[0] < FEWEST_PERIODS or values[-1] > last:
            raise ValueError(
                "origins must be None, a whole number, or increasing whole numbers of columns that "
                f"are known, in [{FEWEST_PERIODS}, {last}], as X has {self.n_periods} columns of "
                f"observations and a decision is charged on up to {self.ahead} later ones; got "
                f"{asked!r}."
            )
        origins = np.array(values)
        if carries_stock(self.problem) and (np.diff(origins) != self.step).any():
            raise ValueError(
                f"origins must be review={self.step} apart, as stock is carried over from one to "
                f"the next; got {asked!r}."
            )
        return origins

    def role_columns(self):
        """All columns that have a role beside observations; list of ndarray of shape (n,)."""
        taken = self.problem._taken_positions(self.names, self.n_columns)
        return [np.asarray(_safe_indexing(self.X, int(k), axis=1)) for k in sorted(taken)]

    def known(self, origin):
        """What was observed before an origin; a new ndarray of shape (n, origin)."""
        return self.observations[:, :origin].copy()

    def coming(self, origin, number):
        """What was asked for from an origin on; ndarray of shape (n, number)."""
        return self.demand[:, origin : origin + number]

    def at(self, origin, state=None):
        """The table and the problem at an origin.

        Later observations, drivers and stock, and past orders, are missing in the table.

        Parameters
        ----------
        origin : int

        state : StockState, default=None
            Stock then, of a problem that carries it over.

        Returns
        -------
        X : ndarray or data frame

        problem : DecisionProblem
        """
        used = self.positions[:origin]
        drivers = [columns[: origin + self.ahead] for columns in self.drivers]
        seen = set(used).union(*drivers)
        seen.update(self.stock[:origin])
        hidden = set(self.positions).union(self.aside, self.stock, *self.drivers) - seen
        X, problem = self.X, clone(self.problem)
        if hidden:
            unknown = np.full((len(X), len(hidden)), np.nan)
            X = with_columns(X, sorted(hidden), unknown)
        changes = {"observations": used}
        if self.stock:
            changes[told_of_stock(problem)] = self.stock[:origin]
        if self.drivers:
            changes["drivers"] = dict(zip(problem.drivers, drivers, strict=True))
        if state is not None:
            X, first = _appended(X, [state.on_hand, *state.on_order.T])
            changes["on_hand"] = Column(first)
            n_coming = state.on_order.shape[1]
            changes["on_order"] = [first + 1 + k for k in range(n_coming)] or None
        return X, problem.set_params(**changes)

    def neutral_start(self, origin):
        """Stock and what is under way before an origin, by each row's usual demand.

        Returns
        -------
        on_hand : ndarray of shape (n,)

        on_order : ndarray of shape (n, longest lead time)
        """
        seen = ~np.isnan(self.observations[:, :origin])
        newest = seen & (seen[:, ::-1].cumsum(axis=1)[:, ::-1] <= USUAL_PERIODS)
        sums = np.where(newest, self.observations[:, :origin], 0.0).sum(axis=1)
        usual = sums / np.maximum(newest.sum(axis=1), 1)
        whole = not (self.observations[:, :origin][seen] % 1).any()
        on_hand, due = USUAL_COVER * usual, usual
        if whole:
            on_hand, due = np.rint(on_hand), np.rint(due)
        periods = np.arange(self.lead_times.max())
        return on_hand, np.where(periods < self.lead_times[:, None], due[:, None], 0.0)


def _appended(X, columns):
    """The table with columns of numbers at its end, and the position of the first of them."""
    first = X.shape[1]
    if not is_into_dataframe(X):
        return np.column_stack([X, *columns]), first
    frame = nw.from_native(X, eager_only=True)
    names = _new_names(X, frame.columns, len(columns))
    added = [
        nw.new_series(name, column, backend=frame.implementation)
        for name, column in zip(names, columns, strict=True)
    ]
    return frame.with_columns(added).to_native(), first


def _new_names(X, taken, number):
    """Names of so many columns more, of the type of those that a frame has; a list."""
    if column_names(X) is None:  # pandas, with numbers
        numbers = range(len(taken) + number)
        return [k for k in numbers if k not in taken][-number:]
    names = []
    for k in range(number):
        name = "on_hand" if k == 0 else f"arrives_{k}"
        while name in taken:
            name += "_"
        names.append(name)
    return names


class Policy:
    """A rule of one's own: a function, or what was ordered in the past.

    Parameters
    ----------
    given : callable, ndarray of shape (n, n_origins) or list of column names

    table : RollingTable

    origins : ndarray of int
    """

    def __init__(self, given, table, origins):
        self.table, self.origins = table, origins
        self.rule, self.orders = given, None
        if callable(given):
            return
        named = table.aside
        given = numeric_columns(table.X, named, "policy") if named else _numbers(given)
        allowed = (len(table.X), len(origins))
        if given.shape != allowed:
            raise ValueError(
                f"policy must be a function, or past orders of shape {allowed}, a column for each "
                f"origin, or the names of so many columns of X; got shape {given.shape}."
            )
        self.orders = given

    def __call__(self, k, state=None):
        """Orders at the k-th origin; ndarray of shape (n,)."""
        origin = int(self.origins[k])
        if self.orders is not None:
            orders = self.orders[:, k]
        else:
            orders = _numbers(self.rule(self.table.known(origin), state, origin))
        if orders.shape != (len(self.table.X),):
            raise ValueError(
                f"policy must give one order a row, of shape ({len(self.table.X)},); at origin "
                f"{origin} it gave shape {orders.shape}."
            )
        bad = ~(np.isfinite(orders) & (orders >= 0))
        if bad.any():
            raise ValueError(
                "policy must give finite orders of at least 0; at origin "
                f"{origin} it gave {describe_rows(bad, orders)}."
            )
        return orders


def columns_of_policy(policy):
    """The columns that a policy names; none of any other."""
    if isinstance(policy, list | tuple) and policy and all(isinstance(c, str) for c in policy):
        return list(policy)
    return []


def _numbers(values):
    try:
        if np.asarray(values).dtype.kind in NO_NUMBERS:
            raise ValueError
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"policy must give numbers, or name columns of X; got {shown(values)}."
        ) from None
