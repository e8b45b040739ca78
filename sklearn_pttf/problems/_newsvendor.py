"""The newsvendor: how much to stock before demand is known."""

from itertools import pairwise
from numbers import Real

import numpy as np
from sklearn.base import clone

from sklearn_pttf._utils.checks import (
    LinearCombination,
    describe_rows,
    is_column,
    is_combination,
    row_labels,
    row_values,
)
from sklearn_pttf._utils.rounding import EXACT
from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._limit import allocate, check_limit, scaled_limit, shared_limits
from sklearn_pttf.problems._packs import MinimumOrders, PackedOrders, Savings

RATIO_RANGE = (0.001, 0.999)  # critical ratios, beyond which a few observations say nothing
HIGHEST_PRICE = 1e300  # of a limit; rows that use next to nothing of it would pay any
LEAST_RATIO = 1e-9  # at a shadow price; at none, nothing is ordered beyond the lower bound


class Newsvendor(DecisionProblem):
    """Order a quantity before demand is known.

    A unit that is missing costs ``underage``, a unit left over costs ``overage``. The best
    order is the quantile of demand at the critical ratio
    ``underage / (underage + overage)`` [1]_; for whole-number demand the smallest whole
    number whose cdf reaches the ratio. Ties go to the smaller order.

    Parameters
    ----------
    underage : float, str, Column or LinearCombination, default=1.0
        Cost of one unit short, in money a unit; positive.

    overage : float, str, Column or LinearCombination, default=1.0
        Cost of one unit left over, in money a unit; positive.

    observations : list of str or int, default=None
        Columns that hold observed demand. None: every column that plays no other role.

    exposure : float, str, Column or list of str or int, default=None
        What observations were counted over, such as open days or stores: a number, a column for
        all observations of a row, or one column for each column of observations, in their order;
        its unit means nothing. Rates are shrunk, and the order is for ``coming_exposure``.
        Whole-number demand is then read as Poisson counts around the row's rate; other demand as
        rates that are alike whatever their exposure. None: all were counted over the same.

    coming_exposure : float, str or Column, default=None
        What the next outcome is counted over; of a horizon, each of its periods. None, or a missing
        cell: what ``exposure`` says, or with a column for each observation their mean in the row,
        and in a row without any that of all rows.

    stock : list of str or int, default=None
        What could be sold at most: one column for each column of observations, in their order. A
        sale that is all of its stock is at least the demand; a period that had none says nothing.
        Missing, or inf: there was enough. Where it is below the sale, the sale counts. None: there
        was always enough.

    sold_out : list of str or int, default=None
        Where only that is known: one column for each column of observations, True or 1 where
        nothing was left, so that demand was at least the sale. Not together with ``stock``.

    limit : float, PerRow or dict, default=None
        What all orders together may use: money, volume, shelf metres. With ``groups``, of every
        group: a number for each, or a dict from labels to numbers. A `PerRow` grows with the number
        of rows that are decided together; a number is the same for a fold and for all rows. None:
        no limit. The limit is never exceeded. It is met by a shadow price [2]_, what one more
        unit of it would save, which ``decide(X, return_info=True)`` gives.

    limit_weights : float, str or Column, default=1.0
        What one unit of a row uses of the limit, at least 0: its price, its volume.

    groups : str or Column, default=None
        Column of labels, text or numbers; rows with equal labels share a limit.

    lower, upper : float, str or Column, default=None
        Bounds of every row's order. None, or a missing cell of a column: 0, and no bound.

    pack : float, str or Column, default=None
        Units of a pack, positive: orders are whole packs, and of the two next to the best order of
        any size the one whose expected cost is less, which need not be the larger one. None: any
        quantity, or any whole number where outcomes are whole numbers.

    minimum : float, str or Column, default=None
        Least quantity that can be ordered, in units, at least 0: orders are 0 or at least that, or
        at least the smallest number of packs that is. None: 0.

    horizon : int, default=1
        How many periods of demand an order covers, such as those of a lead time and until the next
        order. Observations, and the columns of ``y``, stay those of one period each.

    ordered : bool, default=False
        Whether observations are in the order of time, oldest first, so that the next outcome
        follows the last column. False: their order means nothing.

    drivers : dict of str to list of str or int, default=None
        What moves demand and is known beforehand: promotions, prices, holidays. For each a list of
        columns in the order of time: one for each observation, then one for each period that is
        decided for, and perhaps more for longer horizons. Missing values are taken for the row's
        usual one.

    seasons : int, tuple of int or "auto", default=None
        Numbers of periods after which seasons come back, such as 52 weeks, or ``(7, 364)`` days.
        None: there are none.

    attributes : list of str, int or Column, default=None
        Columns that tell what a row is: its category, its brand, the size of its store. Text is
        taken for labels, and so are numbers that repeat; other numbers for amounts. Missing values
        may be, and later rows may have labels that `fit` did not see. How far rows that are alike
        have like levels is found from the rows of `fit`; attributes that tell no more than chance
        change nothing. Rows without observations are decided from them.

    risk : "mean", ("cvar", float) or ("quantile", float), default="mean"
        What is made small of the cost of every row: its mean, the mean of its worst cases, or the
        cost that is not exceeded with a probability. It is about each row by itself, not about the
        total over rows, where much evens out. Not together with ``limit``.

    See Also
    --------
    sklearn_pttf.PretrainedDecisionTransformer : Decides this problem for many instances.
    order_quantity : From the level that is to be stocked to what is to be ordered.

    Notes
    -----
    Under a limit orders are the cheapest that keep it, exactly so for continuous orders and for
    whole numbers of equal weights. With unequal weights whole-number orders cost at most what one
    unit saves above the bound that the shadow price gives, ``dual_bound`` of the info: no orders
    within the limit are cheaper than that.

    Over a horizon the sum's law is not that of independent periods: what is unknown of a row's
    level is unknown of all its periods alike. How far two periods hang together is read from how a
    first one would move the mean of a second; see the user guide.

    References
    ----------
    .. [1] K. J. Arrow, T. Harris, J. Marschak, "Optimal inventory policy", Econometrica 19
       (1951), 250-272.

    .. [2] G. Hadley, T. M. Whitin, "Analysis of Inventory Systems", Prentice-Hall (1963).

    Examples
    --------
    >>> from sklearn_pttf.problems import Newsvendor
    >>> problem = Newsvendor(underage=4.0, overage=1.0)
    >>> float(problem.cost(10, 12)), float(problem.cost(10, 7))
    (8.0, 3.0)
    >>> Newsvendor.from_prices(price=5.0, cost=2.0, salvage=0.5)
    Newsvendor(overage=1.5, underage=3.0)

    Twelve units for both rows, and what a thirteenth would save:

    >>> from sklearn_pttf.baselines import SampleAverage
    >>> X = [[3, 5, 4, 9], [6, 8, 7, 7]]
    >>> saa = SampleAverage(Newsvendor(underage=4.0, overage=1.0, limit=12)).fit(X)
    >>> orders, info = saa.decide(X, return_info=True)
    >>> orders, info.shadow_price
    (array([5., 7.]), 0.25)

    Packs of four: the first row would order 9 of any size, and 8 are cheaper than 12.

    >>> saa.decide(X, problem=Newsvendor(underage=4.0, overage=1.0, pack=4))
    array([8., 8.])
    """

    cost_parameters = ("underage", "overage")
    constraint_parameters = ("lower", "upper", "pack", "minimum", "limit_weights", "groups")

    def __init__(
        self,
        underage=1.0,
        overage=1.0,
        *,
        observations=None,
        exposure=None,
        coming_exposure=None,
        stock=None,
        sold_out=None,
        limit=None,
        limit_weights=1.0,
        groups=None,
        lower=None,
        upper=None,
        pack=None,
        minimum=None,
        horizon=1,
        ordered=False,
        drivers=None,
        seasons=None,
        attributes=None,
        risk="mean",
    ):
        self.underage = underage
        self.overage = overage
        self.observations = observations
        self.exposure = exposure
        self.coming_exposure = coming_exposure
        self.stock = stock
        self.sold_out = sold_out
        self.limit = limit
        self.limit_weights = limit_weights
        self.groups = groups
        self.lower = lower
        self.upper = upper
        self.pack = pack
        self.minimum = minimum
        self.horizon = horizon
        self.ordered = ordered
        self.drivers = drivers
        self.seasons = seasons
        self.attributes = attributes
        self.risk = risk

    @classmethod
    def from_service_level(cls, level, **parameters):
        """The newsvendor whose best order covers demand with probability ``level``.

        Parameters
        ----------
        level : float, str or Column
            Service level, between 0.001 and 0.999, or the column that holds it. Costs are
            ``level`` a unit short and ``1 - level`` a unit left over.

        **parameters : dict of str to object
            The other parameters of `Newsvendor`.

        Returns
        -------
        Newsvendor
        """
        served = isinstance(level, Real) and RATIO_RANGE[0] <= level <= RATIO_RANGE[1]
        if not is_column(level) and not served:
            raise ValueError(
                f"level must be a number in {list(RATIO_RANGE)} or a column; got {level!r}."
            )
        return cls(level, LinearCombination.difference(1.0, level), **parameters)

    @classmethod
    def from_prices(cls, price, cost, salvage=0.0, **parameters):
        """The newsvendor of goods bought at ``cost`` and sold at ``price``.

        Parameters
        ----------
        price, cost, salvage : float, str or Column
            Money a unit when sold, bought, and left over; ``salvage < cost < price``.

        **parameters : dict of str to object
            The other parameters of `Newsvendor`.

        Returns
        -------
        Newsvendor
            With ``underage = price - cost`` and ``overage = cost - salvage``, each a
            `LinearCombination` where it has a column.
        """
        for name, value in (("price", price), ("cost", cost), ("salvage", salvage)):
            if not is_column(value) and not isinstance(value, Real):
                raise ValueError(f"{name} must be a number or a column; got {value!r}.")
        numbers = [value for value in (salvage, cost, price) if not is_column(value)]
        if not all(low < high for low, high in pairwise(numbers)):
            raise ValueError(
                f"salvage < cost < price is needed; got salvage={salvage!r}, cost={cost!r}, "
                f"price={price!r}."
            )
        return cls(
            LinearCombination.difference(price, cost),
            LinearCombination.difference(cost, salvage),
            **parameters,
        )

    def check_costs(self, costs):
        for name, value in costs.items():
            self._check_unit_cost(name, value)
        self._check_ratio(self.critical_ratio(**costs), "underage / (underage + overage)")

    def _check_unit_cost(self, name, value):
        bad = ~(np.isfinite(value) & (value > 0))
        if bad.any():
            parameter = getattr(self, name)
            made_of = f" (made of columns: {parameter})" if is_combination(parameter) else ""
            raise ValueError(
                f"{name} must be a positive finite cost a unit; got "
                f"{describe_rows(bad, value)}{made_of}."
            )

    @staticmethod
    def _check_ratio(ratio, name):
        low, high = RATIO_RANGE
        bad = ~((ratio >= low - EXACT) & (ratio <= high + EXACT))
        if bad.any():
            raise ValueError(
                f"{name} must be in [{low}, {high}], beyond which a few observations say nothing; "
                f"got {describe_rows(bad, ratio)}."
            )

    @staticmethod
    def critical_ratio(underage, overage):
        """Level of the demand quantile to order."""
        # dividing by the larger first keeps tiny and huge costs from over- or underflow
        largest = np.maximum(underage, overage)
        return (underage / largest) / (underage / largest + overage / largest)

    def cost(self, decision, outcome, underage=None, overage=None):
        """Cost of orders on demands.

        Parameters
        ----------
        decision, outcome : float, ndarray or Tensor
            Orders and demands, which broadcast together.

        underage, overage : float, ndarray or Tensor, default=None
            Costs a unit. None: those of the problem, where they are numbers.

        Returns
        -------
        float, ndarray or Tensor
        """
        underage = self._number("underage") if underage is None else underage
        overage = self._number("overage") if overage is None else overage
        short = 1.0 * outcome - decision  # unsigned numbers would wrap around
        return underage * short * (short > 0) - overage * short * (short < 0)

    def _number(self, name):
        value = getattr(self, name)
        if not isinstance(value, Real):
            raise ValueError(
                f"{name}={value!r} is a column: give {name}= as a number or array to charge a cost."
            )
        return value

    def check(self):
        super().check()
        if self.limit is None:
            if self.groups is not None:
                raise ValueError(f"groups={self.groups!r} share a limit, but limit is None.")
            return
        check_limit(self.limit, self.groups)
        if self.risk != "mean":
            raise ValueError(
                f"limit={self.limit!r} needs risk='mean': risk={self.risk!r} is about each row by "
                "itself. Bounds (upper=) go with any risk."
            )

    def read_constraints(self, X, names=None):
        constraints = super().read_constraints(X, names)
        constraints |= self._read_packs(X, names)
        if self.limit is None:
            return constraints
        weights = row_values(self.limit_weights, X, names, "limit_weights")
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            raise ValueError(
                f"limit_weights must be finite and at least 0; got {describe_rows(bad, weights)}."
            )
        constraints["limit_weights"] = weights
        if self.groups is not None:
            constraints["groups"] = row_labels(self.groups, X, names, "groups")
        return constraints

    def _read_packs(self, X, names):
        """Packs and least orders of every row, as far as they are given; dict of ``(n,)``."""
        found = {}
        for name in ("pack", "minimum"):
            if getattr(self, name) is None:
                continue
            found[name] = values = row_values(getattr(self, name), X, names, name)
            enough = values > 0 if name == "pack" else values >= 0
            bad = ~(np.isfinite(values) & enough)
            if bad.any():
                least = "positive" if name == "pack" else "at least 0"
                raise ValueError(
                    f"{name} must be finite and {least}; got {describe_rows(bad, values)}."
                )
        return found

    def _allowed(self, portfolio):
        """Quantities that rows may order; None if these are all, or all whole numbers."""
        constraints = portfolio.constraints
        if constraints.keys().isdisjoint(("pack", "minimum")):
            return None
        none = np.zeros(len(portfolio))
        minimum, bounds = constraints.get("minimum", none), self._bounds(portfolio)
        bounds = np.maximum(bounds[0], 0.0), bounds[1]
        if "pack" in constraints or self._whole(portfolio):
            pack = constraints.get("pack", none + 1.0)
            return PackedOrders.within(pack, minimum, *bounds)
        return MinimumOrders.within(minimum, *bounds)

    def _check_bounds(self, portfolio):
        allowed = self._allowed(portfolio)
        if allowed is None:
            super()._check_bounds(portfolio)
        elif not allowed.exist.all():
            names = [name for name in ("pack", "minimum") if name in portfolio.constraints]
            values = [*self._bounds(portfolio), *(portfolio.constraints[name] for name in names)]
            raise ValueError(
                "lower and upper must leave a quantity that can be ordered, 0 or whole packs of at "
                f"least the minimum; got (lower, upper, {', '.join(names)}) "
                f"{describe_rows(~allowed.exist, np.stack(values, axis=1))}."
            )

    @property
    def shares_limit(self):
        return self.limit is not None

    def solve(self, law, portfolio):
        allowed = self._allowed(portfolio)
        if self.risk != "mean":
            if allowed is None:
                return super().solve(law, portfolio)
            return allowed.least_risk(self._risk_of(portfolio), law, type(self).__name__)
        if self.limit is not None:
            return self._within_limit(law, portfolio)[1].orders
        orders = self._of_any_amount(law, portfolio)
        if allowed is not None:
            return allowed.cheapest(orders, self._savings(law, portfolio))
        return np.clip(orders, *self._bounds(portfolio, portfolio.integer))

    def _of_any_amount(self, law, portfolio):
        """Orders without bounds, packs and limits, by the critical ratio."""
        return law.quantile(np.clip(self.critical_ratio(**portfolio.costs), *RATIO_RANGE))

    def row_info(self, decision, law, portfolio):
        info = super().row_info(decision, law, portfolio)
        if portfolio.stock is not None:
            orders = self._free_orders(law, portfolio)
            ratio = self.critical_ratio(**portfolio.costs)
            asked = orders / self.horizon
            info["identified"] = self.is_identified(portfolio, asked, ratio, self.horizon)
        return info

    def _free_orders(self, law, portfolio):
        """Orders without bounds, packs and limits, with what is made small of the cost."""
        if self.risk == "mean":
            return self._of_any_amount(law, portfolio)
        return super().solve(law, portfolio.with_constraints({}))

    @staticmethod
    def _savings(law, portfolio):
        return Savings(law, portfolio.costs["underage"], portfolio.costs["overage"])

    def solve_with_info(self, law, portfolio):
        if self.limit is None:
            return super().solve_with_info(law, portfolio)
        limits, found = self._within_limit(law, portfolio)
        bound = self.expected_cost(found.priced, law, portfolio).sum()
        bound += (found.prices * (limits.used(found.priced) - limits.amounts)).sum()
        info = {
            "shadow_price": limits.by_label(found.prices),
            "used": limits.by_label(limits.used(found.orders)),
            "limit": limits.by_label(limits.amounts),
            "dual_bound": float(bound),
        }
        return found.orders, info

    def _within_limit(self, law, portfolio):
        """Orders within the limit, each at the critical ratio that the shadow price leaves.

        A unit more costs a row the price of what it uses of the limit, beside what it is bought
        for: its ratio is ``(underage - price * weight) / (underage + overage)``.
        """
        under, over = portfolio.costs["underage"], portfolio.costs["overage"]
        weights = portfolio.constraints["limit_weights"]
        limits = shared_limits(self.limit, portfolio.constraints.get("groups"), weights)
        lower, upper = self._bounds(portfolio, portfolio.integer)
        free = np.clip(self.critical_ratio(under, over), *RATIO_RANGE)
        slope = weights / (under + over)

        def best_at(price):
            ratio = free - price * slope
            orders = law.quantile(np.maximum(ratio, LEAST_RATIO))
            return np.where(ratio > 0, orders, 0.0)

        def order_at(price):
            return np.clip(best_at(price), lower, upper)

        def saving_of(rows, orders):
            return under[rows] - (under + over)[rows] * law.take(rows).cdf(orders)

        saving = saving_of if portfolio.integer else None
        with np.errstate(over="ignore", divide="ignore"):
            highest = np.where(slope > 0, np.minimum(free / slope, HIGHEST_PRICE), 0.0)
        allowed = self._allowed(portfolio)
        if allowed is not None:
            savings = self._savings(law, portfolio)
            return limits, allowed.allocate(limits, best_at, highest, savings)
        return limits, allocate(limits, order_at, highest, saving)

    def for_training(self, portfolio, share):
        problem, portfolio = self._of_any_size(portfolio)
        problem, portfolio = super(Newsvendor, problem).for_training(portfolio, share)
        if self.limit is None:
            return problem, portfolio
        problem = clone(problem).set_params(limit=scaled_limit(self.limit, share, self.horizon))
        # lower bounds of some rows might need more than these rows' share
        constraints = {k: v for k, v in portfolio.constraints.items() if k != "lower"}
        return problem, portfolio.with_constraints(constraints)

    def _of_any_size(self, portfolio):
        """The problem without packs and least orders, which laws are not learned for."""
        left = {k: v for k, v in portfolio.constraints.items() if k not in ("pack", "minimum")}
        if len(left) == len(portfolio.constraints):
            return self, portfolio
        problem = clone(self).set_params(pack=None, minimum=None)
        return problem, portfolio.with_constraints(left)

    def own_levels(self, law, portfolio):
        if self.limit is None and self.risk == "mean":
            return self.critical_ratio(**portfolio.costs)
        problem, portfolio = self._of_any_size(portfolio)
        return super(Newsvendor, problem).own_levels(law, portfolio)

    def expected_cost(self, decision, law, portfolio):
        short = law.excess(decision)
        left_over = decision - law.mean() + short
        return portfolio.costs["underage"] * short + portfolio.costs["overage"] * left_over
