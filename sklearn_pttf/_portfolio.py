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

    def take(self, rows):
        """The portfolio of some rows (a slice or indices), sharing memory where it can."""
        return replace(
            self,
            observations=self.observations[rows],
            costs={name: value[rows] for name, value in self.costs.items()},
            constraints={name: value[rows] for name, value in self.constraints.items()},
            errors=None if self.errors is None else self.errors[rows],
            outcomes=None if self.outcomes is None else self.outcomes[rows],
            parameters={
                name: value[rows] if np.ndim(value) else value
                for name, value in self.parameters.items()
            },
        )

    def with_observations(self, observations):
        """The same instances with other evidence."""
        return replace(self, observations=observations)

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
