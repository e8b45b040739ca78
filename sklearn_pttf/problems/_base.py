"""What a decision problem is."""

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from sklearn_pttf._laws.horizon import sample_average_total
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.checks import (
    MOST_PERIODS,
    check_whole,
    column_references,
    describe_rows,
    find_column,
    numeric_columns,
    refuse_negative,
    repeated,
    row_values,
)
from sklearn_pttf._utils.rounding import TINY_SINGLE
from sklearn_pttf.problems._attributes import (
    attribute_positions,
    check_attributes,
    read_attributes,
)
from sklearn_pttf.problems._exposure import exposure_positions, read_exposure
from sklearn_pttf.problems._risk import check_risk, risk_of_costs
from sklearn_pttf.problems._search import cheapest
from sklearn_pttf.problems._stock import is_identified, read_stock, stock_positions, told_of_stock
from sklearn_pttf.problems._time import check_time, driver_positions, read_drivers, season_lengths

LEVEL_RANGE = (0.001, 0.999)  # of the networks' knots; a few observations say nothing beyond
N_CASES = 1000  # outcomes of a continuous law that stand for it in a quantile of costs


def mean_of_seen(charged, outcomes):
    """Mean of every row's charges ``(n, m)`` over outcomes that are not missing; NaN of none."""
    seen = ~np.isnan(outcomes)
    n_seen = seen.sum(axis=1)
    total = np.where(seen, charged, 0.0).sum(axis=1)
    return np.where(n_seen > 0, total / np.maximum(n_seen, 1), np.nan)


class DecisionProblem(BaseEstimator, ABC):
    """What is decided for every instance, and what a decision costs.

    A problem reads its columns of X, charges decisions, and finds the best decision under a
    predictive law. It has parameters (`get_params`, `set_params`, `clone`) but is never
    fitted.

    A subclass needs no more than ``cost(decision, outcome)``, for one number a row that is decided
    from the law of its next outcome: the decision whose expected cost is least is searched for.
    What it may say beside that, as class attributes or as parameters of its own:

    - ``cost_parameters``: names of its parameters that may be columns of X; ``cost`` then takes
      each as a keyword, with one value a row.
    - ``observations``: which columns of X are observations.
    - ``lower``, ``upper``: bounds of decisions, numbers or columns; None is 0, and none.
    - ``integer``: whether decisions are whole numbers; None: if outcomes are.
    - ``exposure``, ``coming_exposure``: what observations were, and the next outcome is, counted
      over, as those of `Newsvendor`.
    - ``stock``, ``sold_out``: what could be sold at most, as those of `Newsvendor`.
    - ``risk``: what is made small of a row's cost: ``"mean"``, ``("cvar", 0.9)`` or
      ``("quantile", 0.9)``.
    - ``horizon``: the number of periods that a decision covers.
    - ``ordered``, ``drivers``, ``seasons``: that observations are in the order of time, what moved
      them, and when seasons come back, as those of `Newsvendor`.
    - ``attributes``: columns that tell what a row is, as those of `Newsvendor`.
    - ``default_checkpoint``: name of the shipped checkpoint that was made for it.
    - ``of_means``: whether it is decided from the law of the row's mean, not of its next outcome.
    - ``of_prices``: whether decisions are prices, which outcomes depend on: `solve` is then given a
      law at any price.
    - ``of_paths``: whether decisions hang on every coming period by itself: `solve` is then given
      `DemandPaths`. ``carries_stock``: whether what is left over is there at the next decision.

    Examples
    --------
    What is left over is sold off at half price, but at most 5 units of it:

    >>> import numpy as np
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.problems import DecisionProblem
    >>> class Clearance(DecisionProblem):
    ...     def cost(self, decision, outcome):
    ...         left_over = np.maximum(decision - outcome, 0)
    ...         lost = 6.0 * np.maximum(outcome - decision, 0)
    ...         return lost + 4.0 * left_over - 2.0 * np.minimum(left_over, 5)
    >>> X = [[3, 5, 4, 9], [0, 1, 0, 0]]
    >>> SampleAverage(Clearance()).fit(X).decide(X)
    array([5., 0.])
    """

    cost_parameters = ()
    constraint_parameters = ("lower", "upper")
    evidence_parameters = ()  # of those that may be columns, what only tells of observations
    default_checkpoint = "demand"
    observations = None
    lower = None
    upper = None
    integer = None
    exposure = None
    coming_exposure = None
    stock = None
    sold_out = None
    risk = "mean"
    horizon = 1
    ordered = False
    drivers = None
    seasons = None
    attributes = None
    of_means = False
    of_prices = False
    of_paths = False
    carries_stock = False
    allows_negative = False  # outcomes
    has_exact_law = False  # of outcomes, from the rows of fit alone: no network is asked

    def observation_positions(self, names, n_columns):
        """Positions of the columns that hold observations.

        Parameters
        ----------
        names : sequence of str or None
            Column names of X, if it has any.

        n_columns : int
            Number of columns of X.

        Returns
        -------
        list of int

        Raises
        ------
        ValueError
            If a column is unknown, plays two roles, or none is left for observations.
        """
        taken = self._taken_positions(names, n_columns)
        chosen = self.observations
        if chosen is None:
            positions = [k for k in range(n_columns) if k not in taken]
        else:
            if np.ndim(chosen) == 0:
                chosen = [chosen]
            positions = [find_column(c, names, n_columns, "observations") for c in chosen]
        if not positions:
            reason = "observations=[] names none" if chosen is not None else "all have other roles"
            raise ValueError(f"X has no observation column among its {n_columns}: {reason}.")
        other = taken.intersection(positions)
        twice = min(other) if other else repeated(positions)
        if twice is not None:
            raise ValueError(
                f"observations={self.observations!r} includes column {twice}, which plays "
                "another role or is listed twice."
            )
        return positions

    def _taken_positions(self, names, n_columns):
        """Positions of the columns that hold no observations, as far as they are named."""
        taken = {
            find_column(column, names, n_columns, parameter)
            for parameter in (
                *self.cost_parameters,
                *self.constraint_parameters,
                *self.evidence_parameters,
            )
            for column in column_references(getattr(self, parameter))
        }
        exposures = (self.exposure, self.coming_exposure)
        taken |= exposure_positions(*exposures, names, n_columns)
        taken |= attribute_positions(self.attributes, names, n_columns)
        taken.update(stock_positions(self, names, n_columns))
        return taken.union(*driver_positions(self, names, n_columns))

    def columns_taken(self, names, n_columns):
        """Positions of all columns that the problem names but for observations; a set of int."""
        return self._taken_positions(names, n_columns)

    def check_roles(self, names, n_columns, positions):
        """Refuse to decide rows whose observations, as fitted, play another role here.

        Raises
        ------
        ValueError
            If a column of costs or bounds is one of ``positions``, or ``observations`` names
            others.
        """
        clash = sorted(self._taken_positions(names, n_columns).intersection(positions))
        if clash:
            raise ValueError(
                f"problem={self!r} takes costs, bounds, exposure or stock from column {clash[0]}, "
                "which held observations at fit."
            )
        if self.observations is not None:
            own = self.observation_positions(names, n_columns)
            if set(own) != set(positions):
                raise ValueError(
                    f"problem={self!r} names other columns of observations than fit did. "
                    "Observation columns stay as fitted: leave observations=None."
                )

    def read(self, X, names=None, positions=None, integer=None):
        """The portfolio that a table of instances describes.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_instances, n_columns)
            One row an instance.

        names : sequence of str, default=None
            Column names of X.

        positions : list of int, default=None
            Observation columns; None: as this problem names them.

        integer : bool, default=None
            Whether outcomes are whole numbers; None: settled by the observations.

        Returns
        -------
        Portfolio
        """
        if positions is None:
            positions = self.observation_positions(names, X.shape[1])
        self.check()
        observations = numeric_columns(X, positions)
        self.check_outcomes(observations, "X")
        costs, constraints = self.read_costs(X, names), self.read_constraints(X, names)
        exposure, coming = self.read_exposure(X, names, observations)
        portfolio = Portfolio(
            observations,
            costs,
            constraints,
            integer,
            exposure=exposure,
            coming=coming,
            stock=self.read_stock(X, names, observations),
        )
        self._check_bounds(portfolio)
        portfolio = self.with_attributes(portfolio, X, names)
        return self.in_time(portfolio, X, names)

    def with_attributes(self, portfolio, X, names=None):
        """The portfolio with what its rows are."""
        if self.attributes is None:
            return portfolio
        return replace(portfolio, attributes=read_attributes(self.attributes, X, names))

    def in_time(self, portfolio, X, names=None):
        """The portfolio with its order in time, its drivers and seasons."""
        drivers, planned = read_drivers(self, X, names, portfolio.observations.shape[1])
        return replace(
            portfolio,
            ordered=bool(self.ordered),
            seasons=season_lengths(self.seasons),
            drivers=drivers,
            planned=planned,
        )

    def _whole(self, portfolio):
        """Whether decisions are whole numbers."""
        return portfolio.integer if self.integer is None else self.integer

    def _check_bounds(self, portfolio):
        """Refuse bounds of a row without a whole number between them, where decisions are whole."""
        low, high = self._bounds(portfolio)
        apart = np.floor(high) < np.ceil(low)
        if self._whole(portfolio) and apart.any():
            raise ValueError(
                "lower and upper must have a whole number between them, as decisions are whole; "
                f"got (lower, upper) {describe_rows(apart, np.stack([low, high], axis=1))}."
            )

    def check(self):
        """Refuse parameters that make no sense, whatever X is."""
        check_risk(self.risk)
        check_whole("horizon", self.horizon, 1, MOST_PERIODS)
        check_time(self)
        check_attributes(self.attributes)
        told_of_stock(self)

    def read_constraints(self, X, names=None):
        """What bounds the decisions of every row; dict of ndarray of shape (n_instances,).

        A missing bound is none: 0 below, infinity above.
        """
        bounds = {}
        for name, absent in (("lower", 0.0), ("upper", np.inf)):
            value = getattr(self, name)
            if value is not None:
                bound = row_values(value, X, names, name)
                bounds[name] = np.where(np.isnan(bound), absent, bound)
        low, high = bounds.get("lower", 0.0), bounds.get("upper", np.inf)
        endless = np.broadcast_to(~np.isfinite(low), len(X))
        if endless.any():
            values = np.broadcast_to(low, len(X))
            raise ValueError(f"lower must be finite; got {describe_rows(endless, values)}.")
        crossed = np.broadcast_to(low > high, len(X))
        if crossed.any():
            pairs = np.stack(np.broadcast_arrays(low, high), axis=-1).reshape(-1, 2)
            pairs = np.broadcast_to(pairs, (len(X), 2))
            raise ValueError(
                "lower must not exceed upper (lower=None is 0); got (lower, upper) "
                f"{describe_rows(crossed, pairs)}."
            )
        return bounds

    def read_costs(self, X, names=None):
        """Cost parameters of every row; dict of ndarray of shape (n_instances,)."""
        costs = {
            parameter: row_values(getattr(self, parameter), X, names, parameter)
            for parameter in self.cost_parameters
        }
        self.check_costs(costs)
        return costs

    @property
    def has_exposure(self):
        """Whether what observations were counted over is told."""
        return self.exposure is not None

    def read_exposure(self, X, names, observations):
        """Exposure of every observation ``(n, m)`` and of the next outcome ``(n,)``, or None.

        The latter is NaN where nothing tells it.
        """
        return read_exposure(self.exposure, self.coming_exposure, X, names, observations)

    @property
    def has_stock(self):
        """Whether it is told what could be sold at most."""
        return self.stock is not None or self.sold_out is not None

    def read_stock(self, X, names, observations):
        """What could be sold at most of every observation ``(n, m)``, NaN of enough; or None."""
        return read_stock(self, X, names, observations)

    def is_identified(self, portfolio, demand, ratio=0.0, periods=1):
        """Whether stock ever let one see so much demand of a period ``(n,)`` of rows; (n,).

        And how much that is, if the total of so many periods is to stay within it with a
        probability of ``ratio``.
        """
        return is_identified(self, portfolio, demand, ratio, periods)

    def checkpoint_for(self, portfolio):
        """Name of the shipped checkpoint that was made for the problem and such outcomes.

        Whole numbers with an exposure are read as Poisson counts, unless stock capped them.
        """
        counted = self.has_exposure and portfolio.integer and portfolio.stock is None
        if counted and self.default_checkpoint == "demand":
            return "counts"
        return self.default_checkpoint

    def check_outcomes(self, outcomes, name):
        """Refuse outcomes that cannot be; ``name`` is what they are called in the message."""
        refuse_negative(outcomes, f"demand in {name} must be at least 0")

    def check_costs(self, costs):
        """Refuse cost parameters that make no sense."""

    @abstractmethod
    def cost(self, decision, outcome, **costs):
        """Cost of decisions on outcomes, arrays or tensors that broadcast together."""

    @property
    def shares_limit(self):
        """Whether the decision of a row depends on the other rows that are decided with it."""
        return False

    def solve_with_info(self, law, portfolio):
        """Best decisions, and a dict of what else is known of the portfolio's solution."""
        return self.solve(law, portfolio), {}

    def solve(self, law, portfolio):
        """Best decision of every row under its predictive law, by search; ndarray of shape (n,)."""
        whole = self._whole(portfolio)
        lower, upper = self._bounds(portfolio, whole)
        return cheapest(self._risk_of(portfolio), law, lower, upper, whole, type(self).__name__)

    def _risk_of(self, portfolio):
        """Map laws of some rows, their decisions and positions to what `risk` makes of the cost."""

        def risk(law, decision, rows):
            costs = {name: value[rows] for name, value in portfolio.costs.items()}
            return self._risk(decision, law, costs)

        return risk

    @staticmethod
    def _bounds(portfolio, whole=False):
        """Bounds of every row's decision, ``(n,)`` each; in whole numbers if decisions are."""
        n_rows = len(portfolio)
        lower = portfolio.constraints.get("lower", np.full(n_rows, -np.inf))
        upper = portfolio.constraints.get("upper", np.full(n_rows, np.inf))
        if whole:
            lower = np.ceil(lower)
            upper = np.maximum(np.floor(upper), lower)
        return lower, upper

    def expected_cost(self, decision, law, portfolio):
        """Expected cost of every row's decision under its law; ndarray of shape (n,)."""
        return law.expected(
            lambda outcomes: self._charged(decision, outcomes, portfolio.costs), decision
        )

    def costs_of_cases(self, decisions, law, portfolio):
        """Costs of decisions in the cases that laws come down to.

        Parameters
        ----------
        decisions : sequence of ndarray of shape (n,)
            Several for each row, which are charged in the same cases.

        law : PredictiveDistribution

        portfolio : Portfolio

        Returns
        -------
        costs : list of ndarray of shape (n, q)
            In the order of ``decisions``.

        weights : ndarray of shape (n, q)
            Probabilities of the cases.
        """
        outcomes, weights = law.nodes(decisions[0])
        return [self._charged(each, outcomes, portfolio.costs) for each in decisions], weights

    def row_info(self, decision, law, portfolio):
        """What is told of every row's decision; dict of ndarray of shape (n,)."""
        info = {
            "expected_cost": self.expected_cost(decision, law, portfolio),
            "mean": law.mean(),
        }
        if self.risk != "mean":
            info["risk"] = self.row_risk(decision, law, portfolio)
        return info

    def row_risk(self, decision, law, portfolio):
        """What `risk` makes of the cost of every row's decision; ndarray of shape (n,)."""
        return self._risk(decision, law, portfolio.costs)

    def _risk(self, decision, law, costs, risk=None):
        asked = self.risk if risk is None else risk
        if asked == "mean":
            return law.expected(lambda outcomes: self._charged(decision, outcomes, costs), decision)
        found, atomic = np.empty(len(law)), law.atomic()
        for discrete in (True, False):
            rows = np.flatnonzero(atomic == discrete)
            if len(rows):
                part, own = law.take(rows), {name: value[rows] for name, value in costs.items()}
                outcomes, weights = self._cases(
                    part, decision[rows], discrete or asked[0] == "cvar"
                )
                charged = self._charged(decision[rows], outcomes, own)
                found[rows] = risk_of_costs(asked, charged, weights)
        return found

    @staticmethod
    def _cases(law, decision, nodes):
        """Outcomes and weights that risk is taken over; many even ones for a smooth quantile."""
        if nodes:
            return law.nodes(decision)
        outcomes = law.quantile((np.arange(N_CASES) + 0.5)[None, :] / N_CASES)
        return outcomes, np.full(outcomes.shape, 1 / N_CASES)

    def _charged(self, decision, outcomes, costs):
        """Costs of decisions ``(n,)`` on outcomes ``(n, q)``, refused if they cannot be."""
        by_row = {name: value[:, None] for name, value in costs.items()}
        charged = np.asarray(self.cost(decision[:, None], outcomes, **by_row), dtype=float)
        if charged.shape != outcomes.shape:
            raise ValueError(
                f"cost of {type(self).__name__} gave shape {charged.shape} for decisions of shape "
                f"{(len(decision), 1)} and outcomes of shape {outcomes.shape}; it must give one "
                "cost for each outcome."
            )
        if not np.isfinite(charged[~np.isnan(outcomes)]).all():
            row, cell = np.argwhere(~np.isfinite(charged) & ~np.isnan(outcomes))[0]
            raise ValueError(
                f"cost of {type(self).__name__} gave {charged[row, cell]} for decision "
                f"{decision[row]:g} and outcome {outcomes[row, cell]:g}; costs must be finite."
            )
        return charged

    def training_loss(self, output, outcomes, levels):
        """Loss that pretraining minimises, of a network's output on later outcomes.

        The pinball loss at every level: the newsvendor's cost at every cost ratio, and a proper
        score of the law for every other problem.

        A whole-number outcome ``k`` stands for a uniform draw from ``(k - 1, k]``, over which
        the loss is averaged exactly. The best quantile function is then smooth, and rounded
        up it gives the best whole-number order. A zero among continuous outcomes likewise stands
        for what is a little below 0: the part of the function below 0 is the share of zeros.

        Parameters
        ----------
        output : NetworkOutput
            Quantiles in units of the portfolio.

        outcomes : Tensor of shape (B, N, m)
            Later outcomes.

        levels : Tensor of shape (K,)
            Levels of the quantiles.

        Returns
        -------
        Tensor of shape (B, N, K)
        """
        outcomes = output.standard(outcomes)
        grain = torch.where(
            outcomes > 0, output.grain.unsqueeze(-1), output.zero_width.unsqueeze(-1)
        ).unsqueeze(-1)  # (B, N, m, 1)
        short = outcomes.unsqueeze(-1) - grain / 2 - output.quantiles.unsqueeze(2)
        loss = short * (levels - (short < 0).to(short.dtype))  # (B, N, m, K)
        inside = (0.5 - short.abs() / grain.clamp_min(TINY_SINGLE)).clamp_min(0)
        return (loss + grain / 2 * inside**2).mean(2)

    def for_training(self, portfolio, share):
        """The problem that finetuning is charged on: of one period, and a share of the rows.

        Parameters
        ----------
        portfolio : Portfolio
            All rows.

        share : float
            How many of them will be charged.

        Returns
        -------
        problem : DecisionProblem

        portfolio : Portfolio
        """
        if self.horizon == 1:
            return self, portfolio
        problem, constraints = clone(self), dict(portfolio.constraints)
        problem.horizon = 1
        for name in ("lower", "upper"):
            if name in constraints:
                constraints[name] = constraints[name] / self.horizon
        return problem, portfolio.with_constraints(constraints)

    def stakes(self, law, portfolio):
        """What each row's decision is expected to cost, which finetuning weighs rows by.

        Parameters
        ----------
        law : PredictiveDistribution
            A guess of the laws of the rows' outcomes.

        portfolio : Portfolio

        Returns
        -------
        ndarray of shape (n,)
            At least 0.
        """
        return self.expected_cost(self.solve(law, portfolio), law, portfolio)

    def own_levels(self, law, portfolio):
        """Levels of the quantiles that decisions hang on, which finetuning minds most.

        Parameters
        ----------
        law : PredictiveDistribution
            A guess of the rows' laws.

        portfolio : Portfolio

        Returns
        -------
        ndarray of shape (n,)
            Between 0 and 1.
        """
        return np.clip(law.cdf(self.solve(law, portfolio)), *LEVEL_RANGE)

    def per_unit(self, outcomes, portfolio):
        """Outcomes ``(n, m)`` in the unit of decisions."""
        return outcomes

    def totals(self, outcomes):
        """Outcomes of one period each as sums over the horizon; NaN where a period is missing.

        Parameters
        ----------
        outcomes : ndarray of shape (n, m * horizon)

        Returns
        -------
        ndarray of shape (n, m)
        """
        if self.horizon == 1:
            return outcomes
        n_rows, n_periods = outcomes.shape
        if n_periods % self.horizon:
            raise ValueError(
                f"y must have a column for every period, {self.horizon} or a multiple of it, as a "
                f"decision covers horizon={self.horizon} periods; got {n_periods}."
            )
        return outcomes.reshape(n_rows, -1, self.horizon).sum(axis=2)

    def hindsight_cost(self, decision, outcomes, costs):
        """Mean cost of each row's decision over its observed outcomes.

        Parameters
        ----------
        decision : ndarray of shape (n,)

        outcomes : ndarray of shape (n, m)
            Of one period each; ``horizon`` columns in a row make one outcome that is charged.
            NaN = not observed.

        costs : dict of ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n,)
            NaN where a row has no outcome.
        """
        return self.mean_cost(decision, self.totals(outcomes), costs)

    def charge(self, law, portfolio, outcomes):
        """What every row is charged for its law, on outcomes that the law did not see.

        The cost of the decision that the law leads to.

        Parameters
        ----------
        law : PredictiveDistribution
            Of the next outcome, or of the row's mean.

        portfolio : Portfolio

        outcomes : ndarray of shape (n, m)
            Of one period each; NaN = not observed.

        Returns
        -------
        ndarray of shape (n,)
            NaN where a row has no outcome.
        """
        return self.hindsight_cost(self.solve(law, portfolio), outcomes, portfolio.costs)

    def charge_with_risk(self, law, portfolio, outcomes):
        """What laws are compared by; as `charge`, but so that decisions may be cautious.

        With a ``risk`` at level ``a`` every outcome is charged ``v + max(cost - v, 0) / (1 - a)``,
        where ``v`` is the law's quantile of the cost: what a right law makes least is the mean cost
        of the worst cases. For a quantile of the cost, which no such score has, that stands in.

        Parameters
        ----------
        law : PredictiveDistribution

        portfolio : Portfolio

        outcomes : ndarray of shape (n, m)

        Returns
        -------
        ndarray of shape (n,)
            NaN where a row has no outcome.
        """
        charged = self.charge_each(law, portfolio, outcomes)
        return mean_of_seen(charged, self.totals(outcomes))

    def charge_each(self, law, portfolio, outcomes):
        """`charge_with_risk` of every outcome by itself; ndarray of shape (n, m)."""
        decision, outcomes = self.solve(law, portfolio), self.totals(outcomes)
        charged = self._charged(decision, outcomes, portfolio.costs)
        if self.risk == "mean":
            return charged
        level = self.risk[1]
        within = self._risk(decision, law, portfolio.costs, ("quantile", level))[:, None]
        return within + np.maximum(charged - within, 0) / (1 - level)

    def reference_law(self, portfolio, pooled):
        """The law that `score` compares with: the row's own outcomes (SAA).

        Parameters
        ----------
        portfolio : Portfolio

        pooled : ndarray of shape (k,)
            Atoms for a row without observations.
        """
        return sample_average_total(portfolio, pooled, self.horizon)

    def mean_cost(self, decision, totals, costs):
        """`hindsight_cost`, on outcomes that are totals over the horizon."""
        charged = self._charged(decision, totals, costs)
        return mean_of_seen(charged, totals)
