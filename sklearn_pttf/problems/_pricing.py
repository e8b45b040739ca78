"""Setting a price for every row."""

import warnings
from dataclasses import replace

import numpy as np

from sklearn_pttf._laws.at_prices import per_row_law
from sklearn_pttf._utils.checks import (
    column_references,
    describe_rows,
    find_column,
    numeric_columns,
    repeated,
    row_values,
)
from sklearn_pttf._utils.rounding import EXACT
from sklearn_pttf.problems._base import DecisionProblem, mean_of_seen
from sklearn_pttf.problems._stock import stock_positions, told_of_stock

N_PRICES = 33  # of the grid that is searched first: 9 % apart where bounds are 16-fold
N_REFINED = 7  # between the neighbours of the best, until they are close: 4 times as near a round
CLOSE = 1e-3  # a step, as a share of the price, over what is earned of it
LEAST_MARGIN = 0.02  # of a price, for that
USUAL_CHANGE = 1.5  # times the usual price, and one over it: bounds where none are given
LEVELS = np.arange(1, 20) / 20  # at which the law of demand is charged
CHANGE = 1e-3  # of log price, for the slope of demand


class Pricing(DecisionProblem):
    """Set a price for every row, from a handful of its past prices and their demand.

    The price that is expected to earn most is chosen: ``(price - unit_cost) * demand(price)`` is
    greatest, where demand is the expected one given all evidence. Rows tell each other how demand
    falls with price [1]_.

    ``decide(X, return_info=True)`` gives, a row each, ``expected_profit`` (``expected_cost`` is
    minus that), the ``mean`` of demand at the price and its ``elasticity``, negative where demand
    falls, ``prices`` and ``profits``, the curve of expected profit between the bounds at prices in
    equal ratios, and ``extrapolates``: whether the price is lower or higher than any that a row of
    `fit` has had, or more than twice as far from the row's usual price as any row's. Such a price
    rests on the shape of a curve where nobody has looked: narrow bounds are the remedy.

    Parameters
    ----------
    prices : list of str or int
        Columns that hold past prices, above 0.

    demands : list of str or int
        Columns that hold the demand at these prices, in the same order. A price without demand
        says nothing, but what is usual for a row that has no pair.

    unit_cost : float, str or Column, default=0.0
        What a unit costs, in money. Above the upper bound every sale loses money: the decision is
        then the upper bound, with a warning.

    bounds : tuple of (float, str, Column or None), default=None
        Lowest and highest price that may be set. None, or a missing cell: two thirds, and one and a
        half, of the row's usual price, which is the geometric mean of its past ones, else the
        posted one.

    posted : str or Column, default=None
        Column of the price at which the next outcome is made: that of `predict`, and of ``y`` in
        `fit` and `score`. None: the row's usual price.

    stock : list of str or int, default=None
        What could be sold at most: one column for each column of ``demands``, in their order. A
        sale that is all of its stock is at least the demand at its price; a period that had none
        says nothing. Missing, or inf: there was enough. Where it is below the sale, the sale
        counts. None: there was always enough.

    sold_out : list of str or int, default=None
        Where only that is known: one column for each column of ``demands``, True or 1 where nothing
        was left, so that demand was at least the sale. Not together with ``stock``.

    See Also
    --------
    sklearn_pttf.baselines.PerRowDemandCurve : Every row on its own.
    sklearn_pttf.baselines.PooledDemandCurve : Rows shrunken to what they have in common.

    Notes
    -----
    Hindsight profit of a price is not known: demand at prices that were not set was not seen, and
    where prices went with demand, what was seen misleads. So finetuning and `score` charge the law
    of demand at the prices that were set: by the pinball loss, averaged over levels from 5 to 95 %.
    `score` is one minus that over that of a regression of each row on its own.

    In the place of sales that stock capped, all estimators read, and are charged on, the demand
    that is expected beyond them: given the row's other pairs, and what rows of `fit` share, which
    are laws of levels, elasticities and noise, fitted by the marginal likelihood.

    References
    ----------
    .. [1] K. J. Ferreira, B. H. A. Lee, D. Simchi-Levi, "Analytics for an online retailer: demand
       forecasting and price optimization", Manuf. Serv. Oper. Manag. 18 (2016), 69-88.

    Examples
    --------
    >>> from sklearn_pttf.baselines import PooledDemandCurve
    >>> from sklearn_pttf.problems import Pricing
    >>> X = [[4.0, 5.0, 12.0, 7.0], [4.0, 6.0, 20.0, 9.0], [5.0, 5.5, 10.0, 9.0]]
    >>> problem = Pricing(prices=[0, 1], demands=[2, 3], unit_cost=2.0, bounds=(3.0, 7.0))
    >>> prices = PooledDemandCurve(problem).fit(X).decide(X)
    >>> bool(((prices >= 3) & (prices <= 7)).all())
    True
    """

    cost_parameters = ("unit_cost",)
    constraint_parameters = ()
    default_checkpoint = "prices"
    of_prices = True

    def __init__(
        self,
        prices,
        demands,
        *,
        unit_cost=0.0,
        bounds=None,
        posted=None,
        stock=None,
        sold_out=None,
    ):
        self.prices = prices
        self.demands = demands
        self.unit_cost = unit_cost
        self.bounds = bounds
        self.posted = posted
        self.stock = stock
        self.sold_out = sold_out

    # ------------------------------------------------------------------ columns

    def observation_positions(self, names, n_columns):
        demands = self._positions("demands", names, n_columns)
        prices = self.price_positions(names, n_columns)
        if len(prices) != len(demands):
            raise ValueError(
                "prices and demands must pair up, a column of each in the same order; got "
                f"{len(prices)} columns of prices and {len(demands)} of demands."
            )
        stock = stock_positions(self, names, n_columns)
        twice = next((k for k in stock if k in prices), None)
        if twice is not None:
            name = told_of_stock(self)
            raise ValueError(f"{name}={getattr(self, name)!r} includes column {twice} of prices.")
        taken = self._taken_positions(names, n_columns)
        for name, positions in (("prices", prices), ("demands", demands)):
            others = taken | set(prices if name == "demands" else ())
            twice = repeated(positions)
            if name == "demands":
                twice = next((k for k in positions if k in others), twice)
                if twice is not None:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} includes column {twice}, which plays "
                        "another role or is listed twice."
                    )
            if twice is not None:
                raise ValueError(f"{name}={getattr(self, name)!r} lists a column twice.")
        return demands

    def price_positions(self, names, n_columns):
        """Positions of the columns that hold past prices; list of int."""
        return self._positions("prices", names, n_columns)

    def _positions(self, name, names, n_columns):
        """Positions of the columns of a parameter that lists some."""
        columns = getattr(self, name)
        if columns is None or isinstance(columns, str) or np.ndim(columns) != 1 or not len(columns):
            raise ValueError(f"{name} must list columns of X; got {columns!r}.")
        return [find_column(column, names, n_columns, name) for column in columns]

    def _references(self):
        """The other columns that are not demand, by parameter."""
        low, high = self._ends()
        return {
            "unit_cost": column_references(self.unit_cost),
            "bounds": (*column_references(low), *column_references(high)),
            "posted": column_references(self.posted),
        }

    def _taken_positions(self, names, n_columns):
        others = {
            find_column(column, names, n_columns, parameter)
            for parameter, columns in self._references().items()
            for column in columns
        }
        others.update(stock_positions(self, names, n_columns))
        return others | set(self.price_positions(names, n_columns))

    def check_roles(self, names, n_columns, positions):
        if self.observation_positions(names, n_columns) != list(positions):
            raise ValueError(
                f"problem={self!r} names other columns of demand than fit did, or in another order."
            )

    def _ends(self):
        """What the bounds are given as."""
        if self.bounds is None:
            return None, None
        if isinstance(self.bounds, str) or np.ndim(self.bounds) > 1 or np.size(self.bounds) != 2:
            raise ValueError(
                f"bounds must be a pair (low, high) of numbers or columns; got {self.bounds!r}."
            )
        return tuple(self.bounds)

    # ------------------------------------------------------------------ reading

    def read(self, X, names=None, positions=None, integer=None):
        portfolio = super().read(X, names, positions, integer)
        prices = numeric_columns(X, self.price_positions(names, X.shape[1]))
        _refuse_prices(prices, "prices")
        lone = portfolio.mask & np.isnan(prices)
        if lone.any():
            rows = lone.any(axis=1)
            values = np.where(lone, portfolio.observations, -np.inf).max(axis=1)
            raise ValueError(
                "prices must not be missing where demand is not; got demand without a price in "
                f"{describe_rows(rows, values)}."
            )
        posted = None
        if self.posted is not None:
            posted = row_values(self.posted, X, names, "posted")
            _refuse_prices(posted[:, None], "posted")
        alone = ~portfolio.mask.any(axis=1) & ~np.isnan(prices).all(axis=1)
        named = replace(portfolio, prices=prices, posted=posted)
        paired = replace(named, prices=np.where(portfolio.mask, prices, np.nan))
        if alone.any():
            usual = np.where(alone, named.usual_prices(), paired.usual_prices())
            paired = replace(paired, usual=usual)
        return paired.with_constraints(self._read_bounds(X, names, paired))

    def read_constraints(self, X, names=None):
        return {}

    def _read_bounds(self, X, names, portfolio):
        """Lowest and highest price of every row; NaN where nothing tells."""
        usual = portfolio.usual_prices()
        bounds = []
        for value, change in zip(self._ends(), (1 / USUAL_CHANGE, USUAL_CHANGE), strict=True):
            given = np.full(len(X), np.nan)
            if value is not None:
                given = row_values(value, X, names, "bounds")
                _refuse_prices(given[:, None], "bounds")
            bounds.append(np.where(np.isnan(given), change * usual, given))
        low, high = bounds
        if (low > high).any():
            pairs = np.stack([low, high], axis=1)
            raise ValueError(
                "bounds must not cross (one that is not given is two thirds of the usual price, or "
                f"one and a half of it); got (low, high) {describe_rows(low > high, pairs)}."
            )
        return {"low": low, "high": high}

    def check_costs(self, costs):
        cost = costs["unit_cost"]
        bad = ~(np.isfinite(cost) & (cost >= 0))
        if bad.any():
            raise ValueError(
                f"unit_cost must be finite and at least 0; got {describe_rows(bad, cost)}."
            )

    # ------------------------------------------------------------------ deciding

    def cost(self, decision, outcome, unit_cost):
        """Loss of prices, minus profit, on the demand at these prices.

        Parameters
        ----------
        decision, outcome, unit_cost : float, ndarray or Tensor
            Prices, demand and unit costs, which broadcast together.

        Returns
        -------
        float, ndarray or Tensor
            In money.
        """
        return -(decision - unit_cost) * outcome

    def solve(self, law, portfolio):
        """Best price of every row; ndarray of shape (n,).

        Parameters
        ----------
        law : DemandAtPrices

        portfolio : Portfolio
        """
        return self.solve_with_info(law, portfolio)[0]

    def warn_of_losses(self, portfolio):
        """Warn of rows whose unit cost is above their upper bound."""
        cost, high = portfolio.costs["unit_cost"], portfolio.constraints["high"]
        if (cost > high).any():
            pairs = np.stack([cost, high], axis=1)
            warnings.warn(
                "unit_cost is above the upper bound, which is then the decision; got (unit_cost, "
                f"high) {describe_rows(cost > high, pairs)}.",
                stacklevel=3,
            )

    def solve_with_info(self, law, portfolio):
        grid, profits = self._on_grid(law, portfolio)
        cost, high = portfolio.costs["unit_cost"], portfolio.constraints["high"]
        best = self._refined(law, portfolio, grid, profits)
        return np.where(cost > high, high, best), {}

    def _refined(self, law, portfolio, grid, profits):
        """Prices between those of a grid that earn most; ndarray of shape (n,)."""
        low, high, cost = grid[:, :1], grid[:, -1:], portfolio.costs["unit_cost"]
        at, rows = profits.argmax(axis=1), np.arange(len(portfolio))
        best, most = grid[rows, at], profits[rows, at]
        step = np.log(high / low)[:, 0] / (N_PRICES - 1)
        while (far := step > CLOSE * np.clip(np.abs(1 - cost / best), LEAST_MARGIN, 1)).any():
            inner = best[:, None] * np.exp(np.outer(step, np.linspace(-1, 1, N_REFINED + 2)[1:-1]))
            inner = np.clip(inner, low, high)
            found = self._profits(law, inner, portfolio)
            k = found.argmax(axis=1)
            better = far & (found[rows, k] > most + EXACT * np.abs(most))
            best = np.where(better, inner[rows, k], best)
            most = np.where(better, found[rows, k], most)
            step = 2 * step / (N_REFINED + 1)
        return best

    def _on_grid(self, law, portfolio):
        """Prices from bound to bound in equal ratios, and what each earns; ``(n, k)`` each."""
        low, high = self._checked_bounds(portfolio)
        grid = np.geomspace(low, high, N_PRICES, axis=1)
        grid = np.clip(grid, low[:, None], high[:, None])  # of rounding
        return grid, self._profits(law, grid, portfolio)

    @staticmethod
    def _profits(law, prices, portfolio):
        margins = prices - portfolio.costs["unit_cost"][:, None]
        return margins * law.mean(prices)

    @staticmethod
    def _checked_bounds(portfolio):
        low, high = portfolio.constraints["low"], portfolio.constraints["high"]
        unknown = np.isnan(low) | np.isnan(high)
        if unknown.any():
            raise ValueError(
                "bounds must be given for rows without a past or posted price; got none in "
                f"{describe_rows(unknown, np.where(np.isnan(low), 'no low', 'no high'))}."
            )
        return low, high

    def row_info(self, decision, law, portfolio):
        prices, profits = self._on_grid(law, portfolio)
        near = decision[:, None] * np.exp([[-CHANGE, CHANGE]])
        mean, around = law.mean(decision[:, None])[:, 0], law.mean(near)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.log(around[:, 1] / around[:, 0]) / (2 * CHANGE)
        profit = (decision - portfolio.costs["unit_cost"]) * mean
        return {
            "expected_cost": -profit,
            "expected_profit": profit,
            "mean": mean,
            "elasticity": np.where(np.isfinite(slope), slope, 0.0),
            "prices": prices,
            "profits": profits,
            "extrapolates": law.range.extrapolates(decision, portfolio),
        }

    # ------------------------------------------------------------------ charging

    def charge(self, law, portfolio, outcomes):
        """Pinball loss of the law of demand at the posted price, a row each; (n,).

        The mean over levels from 5 to 95 %, and over the outcomes that were observed.
        """
        return mean_of_seen(self.charge_each(law, portfolio, outcomes), outcomes)

    def charge_each(self, law, portfolio, outcomes):
        quantiles = law.quantile(LEVELS[None, :])[:, None, :]  # (n, 1, L)
        short = outcomes[:, :, None] - quantiles
        return (short * (LEVELS - (short < 0))).mean(axis=2)

    def reference_law(self, portfolio, pooled):
        """The law that `score` compares with: a regression of each row on its own."""
        return per_row_law(portfolio, pooled)

    def stakes(self, law, portfolio):
        return law.mean_distance()

    def own_levels(self, law, portfolio):
        return np.full(len(law), 0.5)


def _refuse_prices(prices, parameter):
    """Refuse what is no price; ``(n, m)``, NaN where missing."""
    bad = ~np.isnan(prices) & ~((prices > 0) & np.isfinite(prices))
    if bad.any():
        values = np.where(bad, prices, np.inf).min(axis=1)
        raise ValueError(
            f"{parameter} must be above 0 and finite; got {describe_rows(bad.any(axis=1), values)}."
        )
