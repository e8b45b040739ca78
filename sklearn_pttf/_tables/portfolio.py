"""The instances that are decided together, as plain arrays."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Portfolio:
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
        counts; positive where there is an observation. None: 1 everywhere.

    coming : ndarray of shape (n_instances,), default=None
        Exposure, or number of trials, of the next outcome. None: 1 everywhere.

    outcomes : ndarray of shape (n_instances, n_outcomes), default=None
        Later outcomes, never evidence. Synthetic portfolios have them.

    parameters : dict of str to ndarray, default={}
        True parameters, ``(n_instances,)`` each or scalars; synthetic portfolios have them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import Portfolio
    >>> portfolio = Portfolio(np.array([[3.0, 1.0], [np.nan, 2.0]]))
    >>> len(portfolio), portfolio.integer, portfolio.counts
    (2, True, array([2, 1]))
    """

    observations: np.ndarray
    costs: dict = field(default_factory=dict)
    constraints: dict = field(default_factory=dict)
    integer: bool = None
    real: bool = False
    errors: np.ndarray = None
    prices: np.ndarray = None
    posted: np.ndarray = None
    usual: np.ndarray = None
    exposure: np.ndarray = None
    coming: np.ndarray = None
    outcomes: np.ndarray = None
    parameters: dict = field(default_factory=dict)

    def __post_init__(self):
        observations = np.asarray(self.observations, dtype=float)
        if observations.ndim != 2:
            raise ValueError(
                f"observations must be 2-D, one row an instance; got {observations.ndim}-D."
            )
        object.__setattr__(self, "observations", observations)
        if self.integer is None:
            object.__setattr__(self, "integer", are_whole(observations))
        if self.exposure is not None and (self.exposure == 0).any():
            # what was counted over nothing is no observation
            object.__setattr__(
                self, "observations", np.where(self.exposure == 0, np.nan, observations)
            )
        if self.coming is not None and self.exposure is None:
            object.__setattr__(self, "exposure", np.ones_like(observations))

    def __repr__(self):
        n_rows, n_cells = self.observations.shape
        kind = "whole-number" if self.integer else "continuous"
        return f"Portfolio({n_rows} instances, {n_cells} observation cells, {kind} outcomes)"

    def __len__(self):
        return len(self.observations)

    @property
    def mask(self):
        """True where observed; bool ndarray of shape (n_instances, n_observations)."""
        return ~np.isnan(self.observations)

    @property
    def counts(self):
        """Number of observations of each instance; int ndarray of shape (n_instances,)."""
        return self.mask.sum(axis=1)

    def usual_prices(self):
        """Geometric mean of every row's prices; ``usual`` where it has none, NaN without."""
        seen = ~np.isnan(self.prices)
        count = seen.sum(axis=1)
        logs = np.log(np.where(seen, self.prices, 1.0)).sum(axis=1) / np.maximum(count, 1)
        otherwise = self.posted if self.usual is None else self.usual
        return np.where(count > 0, np.exp(logs), np.nan if otherwise is None else otherwise)

    def told_prices(self):
        """Prices as networks read them: rows that have had none have their usual one instead."""
        cold = np.isnan(self.prices).all(axis=1, keepdims=True)
        return np.where(cold, self.usual_prices()[:, None], self.prices)

    def posted_prices(self):
        """Price at which every row's next outcome is made: posted, else its usual one."""
        usual = self.usual_prices()
        if self.posted is None:
            return usual
        return np.where(np.isnan(self.posted), usual, self.posted)

    def exposures(self):
        """What every observation was counted over, NaN where there is none; as observations."""
        exposure = 1.0 if self.exposure is None else self.exposure
        return np.where(self.mask, exposure, np.nan)

    def totals(self):
        """Sums of every row's observations and of their exposures; ``(n_instances,)`` each."""
        return np.nansum(self.observations, axis=1), np.nansum(self.exposures(), axis=1)

    def coming_exposure(self):
        """What every row's next outcome is counted over; ndarray of shape (n_instances,).

        Where nothing tells it that is the mean of all exposures.
        """
        if self.coming is None:
            return np.ones(len(self))
        return np.where(np.isnan(self.coming), self.mean_exposure(), self.coming)

    def mean_exposure(self):
        """Mean of the exposures of all observations, 1 where there is none."""
        seen = np.sort(self.exposures()[self.mask])
        return float(seen.mean()) if len(seen) else 1.0

    def as_rates(self):
        """The same instances, whose outcomes are given per unit of exposure."""
        if self.exposure is None:
            return self
        rates = self.observations / self.exposures()
        return replace(self, observations=rates, integer=False, exposure=None, coming=None)

    def take(self, rows):
        """The portfolio of some rows (a slice or indices), sharing memory where it can."""

        def some(values):
            return None if values is None else values[rows]

        return replace(
            self,
            observations=self.observations[rows],
            costs={name: value[rows] for name, value in self.costs.items()},
            constraints={name: value[rows] for name, value in self.constraints.items()},
            errors=some(self.errors),
            prices=some(self.prices),
            posted=some(self.posted),
            usual=some(self.usual),
            exposure=some(self.exposure),
            coming=some(self.coming),
            outcomes=some(self.outcomes),
            parameters={
                name: value[rows] if np.ndim(value) else value
                for name, value in self.parameters.items()
            },
        )

    def with_observations(self, observations):
        """The same instances with other evidence.

        Columns beyond those there are have been counted over the coming exposure.
        """
        if self.exposure is None:
            return replace(self, observations=observations)
        n_new = max(0, observations.shape[1] - self.exposure.shape[1])
        new = np.repeat(self.coming_exposure()[:, None], n_new, axis=1)
        exposure = np.hstack([self.exposure, new])[:, : observations.shape[1]]
        return replace(self, observations=observations, exposure=exposure)

    def held_out(self, cells):
        """The same instances without some observations, and these; NaN where nothing was held out.

        Parameters
        ----------
        cells : ndarray of int of shape (n_instances,)
            The cell of every row that is held out; below 0 is none. The next outcome is made at the
            price, and counted over the exposure, of what is held out.

        Returns
        -------
        portfolio : Portfolio

        outcomes : ndarray of shape (n_instances, 1)
        """
        rows = np.flatnonzero(cells >= 0)
        at = rows, cells[rows]
        observations, outcomes = self.observations.copy(), np.full((len(self), 1), np.nan)
        outcomes[rows, 0], observations[at] = observations[at], np.nan
        held = replace(self, observations=observations)
        if self.exposure is not None:
            coming = self.coming_exposure().copy()
            coming[rows] = self.exposure[at]
            held = replace(held, coming=coming)
        if self.prices is not None:
            prices, posted = self.prices.copy(), self.posted_prices()
            posted[rows], prices[at] = prices[at], np.nan
            held = replace(held, prices=prices, posted=posted)
        return held, outcomes

    def at_price(self, posted):
        """The same instances, whose next outcomes are made at other prices ``(n_instances,)``.

        Their usual prices stay: a price that is asked about says nothing of the row.
        """
        return replace(self, posted=posted, usual=self.usual_prices())

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
