"""Orders period after period: stock is carried over, and what is ordered comes later."""

from dataclasses import replace
from numbers import Integral

import numpy as np

from sklearn_pttf._laws.atoms import WeightedAtoms, sample_average_law
from sklearn_pttf._laws.horizon import correlation_of_periods
from sklearn_pttf._laws.paths import N_PATHS, DemandPaths
from sklearn_pttf._utils.checks import (
    MOST_PERIODS,
    check_flag,
    check_whole,
    describe_rows,
    find_column,
    is_column,
    numeric_columns,
    row_values,
)
from sklearn_pttf._utils.stock import not_below_by_rounding
from sklearn_pttf.problems._base import mean_of_seen
from sklearn_pttf.problems._newsvendor import Newsvendor

N_PROMISED = 2048  # paths that costs are told by, as rare shortages are on few of them
BLOCK_PATHS = 2**20  # that are in memory together


class Replenishment(Newsvendor):
    """Order again and again: stock is carried over, and an order comes after a lead time.

    Before each period an order may be placed. In a period first what is due arrives, then demand
    comes, and then a unit that is left costs ``holding`` and a unit that is missing ``shortage``.
    An order of now is there from the start of the period after ``lead_time`` others. It is decided
    for the ``review`` periods from then on, after which the next one is there: demand until then,
    and what is under way, settle what will be left of the stock.

    Parameters
    ----------
    shortage : float, str, Column or LinearCombination, default=1.0
        Cost of one unit that is missing in a period, in money a unit; positive.

    holding : float, str, Column or LinearCombination, default=1.0
        Cost of one unit that is left at the end of a period, in money a unit; positive.

    lead_time : int, str or Column, default=0
        Periods that end before an order is there. 0: it serves the coming period.

    review : int, default=1
        Periods from one order to the next.

    on_hand : float, str or Column, default=0.0
        Stock at the start of the coming period, the one after the newest observation, in units;
        with ``lost_sales=False`` below 0 if more is owed. Sales of a period that is only begun are
        no observation: the stock is then that at its start.

    on_order : list of str or int, default=None
        Columns of what arrives at the start of each coming period, the next one first: as many as
        the longest lead time. None: nothing is under way, so all that is needed is ordered now.

    lost_sales : bool, default=True
        Whether demand that is not met is lost. False: it is owed, costs ``shortage`` in each
        period until it is met, and is met first.

    pack, minimum : float, str or Column, default=None
        Units of a pack, of which only whole ones are ordered, and the least that is ordered if
        anything is. Of such orders the cheapest is taken.

    limit, limit_weights, groups
        A limit that all orders share, as that of `Newsvendor`.

    observations, ordered, drivers, seasons, attributes
        What was observed, and how it goes on, as those of `Newsvendor`. Observations are demand, or
        sales with ``stock`` or ``sold_out``; without these, sales of periods in which nothing was
        there are missing. Drivers have a column for each
        period until the next order is there, ``lead_time + review``.

    stock, sold_out : list of str or int, default=None
        What could be sold at most in past periods, or which of them were sold out, as those of
        `Newsvendor`.

    See Also
    --------
    Newsvendor : One order, whose rest is worth the same whenever it is left.
    sklearn_pttf.model_selection.backtest : What orders would have cost, stock carried over.
    sklearn_pttf.testing.simulate_stock : Plays a rule of ordering on demand.

    Notes
    -----
    Demand of the coming periods is drawn as 512 paths, the same for a row in any batch: each period
    has its own law, with its season, drivers and the doubt about them, and all periods of a row
    hang together alike, as far as a first one would move the forecast of a second (a Gaussian
    copula). Stock is played along every path; what is still needed then has a law, and the order is
    its quantile at the ratio ``shortage / (shortage + review * holding)``, mixed over the periods
    that it is for. Where demand is owed, each of these is charged for what is missing, and the
    ratio is ``shortage / (shortage + holding)``. What `decide` says of costs and stock is the mean
    over 2,048 paths.

    ``decide(X, return_info=True)`` tells of each row, an ndarray of shape (n,) each:

    - ``mean``: expected demand of the periods that the order is for, ``review`` of them from its
      arrival on;
    - ``expected_cost``: of these periods, in money;
    - ``stock_out``: share of these periods in which something is missing, as expected: the
      probability of it in one of them, picked at random;
    - ``cycle_stock_out``: probability that something is missing in any of them, which is one less
      the cycle service level;
    - ``fill_rate``: expected share of their demand that is there when it is asked for;
    - ``stock_at_arrival``: expected stock when the order comes, without it;
    - ``missed_before``: units that are expected to be asked for and not there before the order
      comes. No order of now changes them; one that comes earlier would.

    Later orders are taken to make up for what this one leaves over. For demand that is owed and
    does not fall that is best (base stock [1]_). For lost sales it is the myopic rule, which is
    close to the best one and mostly cheaper than the best base stock [2]_.

    References
    ----------
    .. [1] K. J. Arrow, T. Harris, J. Marschak, "Optimal inventory policy", Econometrica 19
       (1951), 250-272.

    .. [2] P. Zipkin, "Old and new methods for lost-sales inventory systems", Operations Research
       56 (2008), 1256-1263.

    Examples
    --------
    Two units are left, and three come in the next period; an order of now comes a period later.

    >>> import numpy as np
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf import Column
    >>> from sklearn_pttf.problems import Replenishment
    >>> X = np.array([[4.0, 5, 6, 5, 5, 2, 3]])
    >>> problem = Replenishment(
    ...     shortage=4.0, holding=1.0, lead_time=1, on_hand=Column(5), on_order=[6],
    ...     observations=[0, 1, 2, 3, 4],
    ... )
    >>> orders, info = SampleAverage(problem).fit(X).decide(X, return_info=True)
    >>> float(orders[0]), sorted(info)[:4]
    (5.0, ['cycle_stock_out', 'expected_cost', 'fill_rate', 'mean'])
    """

    cost_parameters = ("shortage", "holding")
    constraint_parameters = ("lead_time", "on_hand", "limit_weights", "groups", "pack", "minimum")
    carries_stock = True
    of_paths = True
    exposure = coming_exposure = lower = upper = None
    risk = "mean"

    def __init__(
        self,
        shortage=1.0,
        holding=1.0,
        *,
        lead_time=0,
        review=1,
        on_hand=0.0,
        on_order=None,
        lost_sales=True,
        pack=None,
        minimum=None,
        limit=None,
        limit_weights=1.0,
        groups=None,
        observations=None,
        stock=None,
        sold_out=None,
        ordered=False,
        drivers=None,
        seasons=None,
        attributes=None,
    ):
        self.shortage = shortage
        self.holding = holding
        self.lead_time = lead_time
        self.review = review
        self.on_hand = on_hand
        self.on_order = on_order
        self.lost_sales = lost_sales
        self.pack = pack
        self.minimum = minimum
        self.limit = limit
        self.limit_weights = limit_weights
        self.groups = groups
        self.observations = observations
        self.stock = stock
        self.sold_out = sold_out
        self.ordered = ordered
        self.drivers = drivers
        self.seasons = seasons
        self.attributes = attributes

    @property
    def horizon(self):
        """Periods until the next order is there, at the longest lead time; int."""
        if isinstance(self.lead_time, Integral):
            return int(self.lead_time) + self.review
        return len(self._columns_on_order()) + self.review

    def _columns_on_order(self):
        """The columns of what is under way; none if there are none."""
        if self.on_order is None:
            return ()
        if not isinstance(self.on_order, (list, tuple, np.ndarray)):
            raise ValueError(f"on_order must be a list of columns or None; got {self.on_order!r}.")
        return self.on_order

    def check(self):
        check_whole("review", self.review, 1, MOST_PERIODS)
        if not is_column(self.lead_time):
            otherwise = ", a column's name or Column(position)"
            check_whole("lead_time", self.lead_time, 0, MOST_PERIODS - self.review, otherwise)
            n_columns = len(self._columns_on_order())
            if self.on_order is not None and n_columns != self.lead_time:
                raise ValueError(
                    f"on_order must name {self.lead_time} columns, one for each period of "
                    f"lead_time, or be None; got {n_columns}: {self.on_order!r}."
                )
        check_flag("lost_sales", self.lost_sales)
        super().check()

    def check_costs(self, costs):
        for name, value in costs.items():
            self._check_unit_cost(name, value)
        ratio = self.critical_ratio(**self._of_newsvendor(costs))
        held = "review * holding" if self.lost_sales else "holding"
        self._check_ratio(ratio, f"shortage / (shortage + {held})")

    def _of_newsvendor(self, costs):
        """Costs of the newsvendor that orders what is needed; dict of ndarray of shape (n,)."""
        times_missed = 1 if self.lost_sales else self.review  # what is owed stays missing
        return {
            "underage": times_missed * costs["shortage"],
            "overage": self.review * costs["holding"],
        }

    def read_costs(self, X, names=None):
        """Costs, and stock, of every row; dict of ndarray of shape (n,), or (n, longest lead)."""
        return self.unit_costs(X, names) | self._read_stock(X, names)

    def unit_costs(self, X, names=None):
        """Costs of a unit, of every row; dict of ndarray of shape (n,)."""
        return super().read_costs(X, names)

    def _read_stock(self, X, names):
        lead_time = row_values(self.lead_time, X, names, "lead_time")
        longest = self.horizon - self.review
        bad = ~((lead_time >= 0) & (lead_time <= longest) & (lead_time % 1 == 0))
        if bad.any():
            raise ValueError(
                f"lead_time must be whole numbers of periods from 0 to {longest}, as on_order has "
                f"{longest} columns, one for each period of the longest lead time; got "
                f"{describe_rows(bad, lead_time)}."
            )
        on_hand = row_values(self.on_hand, X, names, "on_hand")
        bad = ~np.isfinite(on_hand) | ((on_hand < 0) & self.lost_sales)
        if bad.any():
            least = "finite and at least 0 with lost_sales=True" if self.lost_sales else "finite"
            raise ValueError(f"on_hand must be {least}; got {describe_rows(bad, on_hand)}.")
        on_order = np.zeros((len(X), longest))
        if self.on_order is not None and longest:
            on_order = numeric_columns(X, self._order_positions(names, X.shape[1]), "on_order")
        bad = ~(np.isfinite(on_order) & (on_order >= 0))
        if bad.any():
            rows, worst = bad.any(axis=1), np.where(bad, on_order, 0.0).min(axis=1)
            raise ValueError(
                f"on_order must be finite and at least 0; got {describe_rows(rows, worst)}."
            )
        return {"lead_time": lead_time, "on_hand": on_hand, "on_order": on_order}

    def _order_positions(self, names, n_columns):
        return [
            find_column(column, names, n_columns, "on_order") for column in self._columns_on_order()
        ]

    def _taken_positions(self, names, n_columns):
        taken = super()._taken_positions(names, n_columns)
        return taken.union(self._order_positions(names, n_columns))

    def read_constraints(self, X, names=None):
        return {"lower": np.zeros(len(X)), **super().read_constraints(X, names)}

    def cost(self, decision, outcome, shortage=None, holding=None):
        """Cost of a period that begins with a stock, on its demand.

        Parameters
        ----------
        decision, outcome : float, ndarray or Tensor
            Stocks and demands, which broadcast together.

        shortage, holding : float, ndarray or Tensor, default=None
            Costs a unit. None: those of the problem, where they are numbers.

        Returns
        -------
        float, ndarray or Tensor
        """
        shortage = self._number("shortage") if shortage is None else shortage
        holding = self._number("holding") if holding is None else holding
        return super().cost(decision, outcome, shortage, holding)

    # -- stock along paths

    def _played(self, orders, paths, state):
        """What of the periods that orders are for is left and missing, and stock before them.

        Parameters
        ----------
        orders : ndarray of shape (n,)

        paths : ndarray of shape (n, p, horizon)

        state : dict of ndarray
            As `read_costs` gives it.

        Returns
        -------
        left, short : ndarray of shape (n, p, review)

        stock : ndarray of shape (n, p)
            There when the order comes, without it.

        before : ndarray of shape (n, p)
            Units that were missed before.
        """
        lead, on_order = state["lead_time"].astype(int), state["on_order"]
        n_rows, n_paths, horizon = paths.shape
        stock = np.repeat(state["on_hand"][:, None], n_paths, axis=1)
        left, short = np.zeros((2, n_rows, n_paths, self.review))
        at_arrival, before = np.zeros((2, n_rows, n_paths))
        for k in range(horizon):
            if k < on_order.shape[1]:
                stock = stock + on_order[:, k, None]
            arrived = lead == k
            at_arrival[arrived] = stock[arrived]
            stock = stock + np.where(arrived, orders, 0.0)[:, None] - paths[..., k]
            stock = not_below_by_rounding(stock, paths[..., k])
            missing, there = np.maximum(-stock, 0.0), np.maximum(stock, 0.0)
            own = np.flatnonzero((k >= lead) & (k < lead + self.review))
            left[own, :, k - lead[own]], short[own, :, k - lead[own]] = there[own], missing[own]
            early = k < lead
            before[early] += np.minimum(missing[early], paths[early, :, k])
            stock = there if self.lost_sales else stock
        return left, short, at_arrival, before

    def _law_of_need(self, paths, portfolio):
        """The law whose quantile is the order: what is needed by each period that it is for."""
        state, n_paths = portfolio.costs, paths.shape[1]
        lead = state["lead_time"].astype(int)
        stock = self._played(np.zeros(len(portfolio)), paths, state)[2]
        due = np.pad(state["on_order"], ((0, 0), (0, paths.shape[2] - state["on_order"].shape[1])))
        rows, needed = np.arange(len(paths)), -stock
        needs, weights = [], []
        per_path = np.ones((1, n_paths))
        for k in range(self.review):
            at = lead + k
            needed = needed + paths[rows, :, at] - (k > 0) * due[rows, at][:, None]
            if self.lost_sales and k > 0:  # what is lost, later arrivals do not save
                needed = np.maximum(needed, needs[-1])
            needs.append(needed)
            missed = not self.lost_sales or k == self.review - 1  # lost once, owed in each period
            weights.append((state["holding"] + missed * state["shortage"])[:, None] * per_path)
        return WeightedAtoms(np.hstack(needs), np.hstack(weights))

    def _blocks(self, law, portfolio, n_paths=N_PATHS):
        if not isinstance(law, DemandPaths):
            raise ValueError(
                "Replenishment needs demand of each period, which one law a row does not tell; got "
                f"{type(law).__name__}. decision_cost(y, ...) charges orders on later demand, "
                f"lead_time + review = {self.horizon} columns of y at a time."
            )
        size = BLOCK_PATHS // n_paths
        for start in range(0, len(portfolio), size):
            rows = slice(start, start + size)
            yield rows, law.take(rows).draw(n_paths), portfolio.take(rows)

    def _newsvendor(self, **parameters):
        """The newsvendor that orders what is needed: it shares the limit, at the same ratio."""
        shared = {name: getattr(self, name) for name in ("limit", "limit_weights", "groups")}
        return Newsvendor(ordered=self.ordered, **shared, **parameters)

    def _needed(self, law, portfolio):
        """The newsvendor, the law of what is needed, and its portfolio."""
        laws = [self._law_of_need(paths, part) for _, paths, part in self._blocks(law, portfolio)]
        need = laws[0] if len(laws) == 1 else WeightedAtoms.concatenate(laws)
        stock = np.column_stack([portfolio.costs[name] for name in ("on_hand", "on_order")])
        constraints = dict(portfolio.constraints)
        if portfolio.integer and "pack" not in constraints and (stock % 1).any():
            constraints["pack"] = np.ones(len(portfolio))
        costs = self._of_newsvendor(portfolio.costs)
        return self._newsvendor(), need, replace(portfolio, costs=costs, constraints=constraints)

    def solve(self, law, portfolio):
        newsvendor, need, portfolio = self._needed(law, portfolio)
        return newsvendor.solve(need, portfolio)

    def solve_with_info(self, law, portfolio):
        if self.limit is None:
            return self.solve(law, portfolio), {}
        newsvendor, need, ordering = self._needed(law, portfolio)
        orders, info = newsvendor.solve_with_info(need, ordering)
        # what no order changes is a cost of stock, and none of what is needed
        of_need = newsvendor.expected_cost(orders, need, ordering)
        fixed = (self.expected_cost(orders, law, portfolio) - of_need).sum()
        return orders, info | {"dual_bound": info["dual_bound"] + float(fixed)}

    def expected_cost(self, decision, law, portfolio):
        return self.row_info(decision, law, portfolio)["expected_cost"]

    def row_info(self, decision, law, portfolio):
        found, means = [], None
        for rows, paths, part in self._blocks(law, portfolio, N_PROMISED):
            if means is None:
                means = np.stack([each.mean() for each in law.laws], axis=1)
            left, short, stock, before = self._played(decision[rows], paths, part.costs)
            lead = part.costs["lead_time"].astype(int)
            own = lead[:, None] + np.arange(self.review)
            demand = np.take_along_axis(paths, own[:, None, :], axis=2)
            new = np.minimum(short, demand)  # of a backlog, what is missed for the first time
            drawn, lost = (x.sum(axis=2).mean(axis=1) for x in (demand, new))
            share = np.divide(lost, drawn, out=np.zeros_like(lost), where=drawn > 0)
            found.append(
                {
                    "expected_cost": _money(left, short, part.costs).mean(axis=1),
                    "mean": np.take_along_axis(means[rows], own, axis=1).sum(axis=1),
                    "stock_out": (short > 0).mean(axis=(1, 2)),
                    "cycle_stock_out": (short > 0).any(axis=2).mean(axis=1),
                    "fill_rate": 1 - share,
                    "stock_at_arrival": stock.mean(axis=1),
                    "missed_before": before.mean(axis=1),
                }
            )
        info = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        if portfolio.stock is not None:
            newsvendor, need, ordering = self._needed(law, portfolio)
            lead = portfolio.costs["lead_time"]
            before = np.where(np.arange(self.horizon) < lead[:, None], means, 0.0).sum(axis=1)
            asked = newsvendor._of_any_amount(need, ordering) + info["stock_at_arrival"] + before
            periods = lead + self.review  # until the next order is there
            ratio = newsvendor.critical_ratio(**ordering.costs)
            info["identified"] = self.is_identified(portfolio, asked / periods, ratio, periods)
        return info

    def costs_of_cases(self, decisions, law, portfolio):
        blocks = self._blocks(law, portfolio)
        parts = [
            [self._charge_drawn(each[rows], paths, part.costs) for each in decisions]
            for rows, paths, part in blocks
        ]
        costs = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return costs, np.full(costs[0].shape, 1 / costs[0].shape[1])

    def _charge_drawn(self, decision, paths, costs):
        """Costs of orders on drawn paths ``(n, p, horizon)``; (n, p)."""
        left, short, *_ = self._played(decision, paths, costs)
        return _money(left, short, costs)

    # -- hindsight

    def hindsight_cost(self, decision, outcomes, costs):
        charged = self._charge_paths(decision, outcomes, costs)
        return mean_of_seen(charged, charged)

    def charge_each(self, law, portfolio, outcomes):
        return self._charge_paths(self.solve(law, portfolio), outcomes, portfolio.costs)

    def charge_with_risk(self, law, portfolio, outcomes):
        return self.charge(law, portfolio, outcomes)

    def _charge_paths(self, decision, outcomes, costs):
        """Costs of orders on later demand, ``horizon`` periods each; NaN where one is missing."""
        self.totals(outcomes)  # which refuses other numbers of periods
        paths = outcomes.reshape(len(outcomes), -1, self.horizon)
        left, short, *_ = self._played(decision, np.nan_to_num(paths), costs)
        own = np.arange(self.horizon) < costs["lead_time"][:, None] + self.review
        missing = (np.isnan(paths) & own[:, None]).any(axis=2)
        return np.where(missing, np.nan, _money(left, short, costs))

    def reference_law(self, portfolio, pooled):
        def predict(portfolio):
            return sample_average_law(portfolio, pooled)

        law = predict(portfolio)
        correlation = correlation_of_periods(predict, portfolio, law)
        return DemandPaths([law] * self.horizon, correlation)

    # -- finetuning

    def for_training(self, portfolio, share):
        """A newsvendor of one period at the same costs: laws are learned, and not stocks."""
        problem = self._newsvendor(horizon=self.horizon)
        kept = {k: v for k, v in portfolio.constraints.items() if k in ("limit_weights", "groups")}
        costs = self._of_newsvendor(portfolio.costs)
        portfolio = replace(portfolio, costs=costs, constraints=kept)
        return problem.for_training(portfolio, share)


def _money(left, short, costs):
    """What is left and missing ``(n, p, review)`` costs, in money; (n, p)."""
    held = costs["holding"][:, None] * left.sum(axis=2)
    return held + costs["shortage"][:, None] * short.sum(axis=2)
