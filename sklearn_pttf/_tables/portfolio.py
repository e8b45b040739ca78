"""The instances that are decided together, as plain arrays."""

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_pttf._tables.evidence import Evidence, as_numbers, per_row


@dataclass(frozen=True, eq=False, repr=False)
class Portfolio(Evidence):
    """Evidence and cost parameters of N instances.

    Parameters
    ----------
    observations : ndarray of shape (n_instances, n_observations)
        Past outcomes, in units of the outcome. NaN = not observed. Their order means
        nothing.

    costs : dict of str to ndarray of shape (n_instances,), default={}
        Cost parameters of the decision problem, one value an instance.

    constraints : dict of str to ndarray of shape (n_instances,), default={}
        What bounds decisions, as the decision problem reads it: bounds, the group that shares a
        limit, what a unit uses of it.

    integer : bool, default=None
        Whether outcomes are whole numbers. None: settled by the observations.

    real : bool, default=False
        Whether outcomes are values of any sign, whose origin means nothing, and not amounts.

    ordered : bool, default=False
        Whether observations are in the order of time, oldest first.

    seasons : tuple of int or "auto", default=()
        Numbers of periods after which seasons come back; "auto": they are looked for.

    outcomes : ndarray of shape (n_instances, n_outcomes), default=None
        Later outcomes, never evidence. Synthetic portfolios have them.

    parameters : dict of str to ndarray, default={}
        True parameters, ``(n_instances,)`` each or scalars; synthetic portfolios have them.

    errors : ndarray of shape (n_instances,), default=None
        Standard error of one observation of each instance, in units of the outcome. NaN = not
        known. None: none is.

    prices : ndarray of shape (n_instances, n_observations), default=None
        Price at which each observation was made. None: outcomes do not depend on prices.

    posted : ndarray of shape (n_instances,), default=None
        Price at which the next outcome is made. None: the row's usual price.

    usual : ndarray of shape (n_instances,), default=None
        Usual price of a row that has had none. None: the posted one.

    exposure : ndarray of shape (n_instances, n_observations), default=None
        What each observation was counted over: games, days, or the number of trials of binomial
        counts; positive where there is an observation. A number is of all. None: 1 everywhere.

    coming : ndarray of shape (n_instances,), default=None
        Exposure, or number of trials, of the next outcome. None: 1 everywhere.

    stock : ndarray of shape (n_instances, n_observations), default=None
        What an observation could be at most: an outcome was at least an observation that is all of
        it. NaN = there was enough. A cell with stock 0 is none. None: there was always enough.

    drivers : ndarray of shape (n_instances, n_observations, n_drivers), default=None
        What moved each observation and is known beforehand. NaN = not known.

    planned : ndarray of shape (n_instances, horizon, n_drivers), default=None
        The same of the periods that are decided for.

    doubt : ndarray of shape (n_instances,), default=None
        Standard deviation of the log of ``coming``, where that is a forecast. None: it is known.

    conditions : ndarray of shape (n_instances,), default=None
        What of ``coming`` is due to conditions that are forecast: a promotion, say. None: nothing.

    ahead, ahead_doubt : ndarray of shape (n_instances, horizon), default=None
        The same of each coming period by itself, and the standard deviation of its log. None: all
        periods are alike.

    offset, offset_doubt : ndarray of shape (n_instances,), default=None
        What attributes tell of the log of every row's level, and the standard deviation of that.
        None: nothing.

    attributes : dict of str to ndarray of shape (n_instances,), default={}
        What rows are: numbers, NaN = not known, or labels, None = not known.

    Raises
    ------
    ValueError
        If a field has another number of rows or cells than ``observations``, holds no numbers, or
        negative ones of errors, prices or exposures.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import Portfolio
    >>> portfolio = Portfolio(np.array([[3.0, 1.0], [np.nan, 2.0]]))
    >>> len(portfolio), portfolio.integer, portfolio.counts
    (2, True, array([2, 1]))
    """

    costs: dict = per_row(default_factory=dict)
    constraints: dict = per_row(default_factory=dict)
    integer: bool = None
    real: bool = False
    ordered: bool = field(default=False, kw_only=True)
    seasons: tuple = field(default=(), kw_only=True)
    outcomes: np.ndarray = per_row()
    parameters: dict = per_row(default_factory=dict)
    attributes: dict = per_row(default_factory=dict, kw_only=True)

    def __post_init__(self):
        observations = as_numbers(self.observations, "observations")
        if observations.ndim != 2:
            raise ValueError(
                f"observations must be 2-D, one row an instance; got {observations.ndim}-D."
            )
        object.__setattr__(self, "observations", observations)
        for name, values in self._settled().items():
            object.__setattr__(self, name, values)
        if self.integer is None:
            object.__setattr__(self, "integer", are_whole(observations))
        if self.exposure is not None and (self.exposure == 0).any():
            # what was counted over nothing is no observation
            object.__setattr__(
                self, "observations", np.where(self.exposure == 0, np.nan, observations)
            )
        if self.stock is not None and (self.stock == 0).any():
            nothing = (self.stock == 0) & ~(self.observations > 0)
            object.__setattr__(self, "observations", np.where(nothing, np.nan, self.observations))
        if self.coming is not None and self.exposure is None:
            object.__setattr__(self, "exposure", np.ones_like(observations))

    def __repr__(self):
        n_rows, n_cells = self.observations.shape
        kind = "whole-number" if self.integer else "continuous"
        return f"Portfolio({n_rows} instances, {n_cells} observation cells, {kind} outcomes)"

    @property
    def lowest(self):
        """What outcomes are at least; float."""
        return -np.inf if self.real else 0.0

    @property
    def outcomes_are(self):
        """What outcomes are, in words."""
        if self.prices is not None:
            return "demand at prices"
        return "values that may be negative" if self.real else "amounts"

    @property
    def summable(self):
        """Whether outcomes of several periods may be added up; bool."""
        return self.prices is None and not self.real

    @property
    def has_mean_law(self):
        """Whether a row has one mean, whose law may be asked for; bool."""
        return self.prices is None

    @property
    def has_conditions(self):
        """Whether cells differ by what is known of their outcomes beforehand; bool."""
        return not self.known("cell").keys() <= {"observations", "stock"}

    @property
    def in_time(self):
        """Whether rows are in the order of time, or have drivers; bool."""
        return self.ordered or self.drivers is not None

    def as_rates(self):
        """The same instances, whose outcomes are given per unit of exposure."""
        if self.exposure is None:
            return self
        rates, stock = self.observations / self.exposures(), self.stock
        stock = None if stock is None else stock / self.exposures()
        return replace(
            self, observations=rates, stock=stock, integer=False, exposure=None, coming=None
        )

    def with_constraints(self, constraints):
        """The same instances with other bounds and limits."""
        return replace(self, constraints=constraints)

    def with_costs(self, costs):
        """The same instances with other cost parameters."""
        return replace(self, costs=costs)


def are_whole(values):
    """Whether every finite value is a whole number (true of no values at all)."""
    values = values[np.isfinite(values)]
    return bool(np.all(values == np.rint(values)))
