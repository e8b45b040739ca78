"""What a decision problem is."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._portfolio import Portfolio
from sklearn_pttf._validation import column_references, find_column, numeric_columns, row_values


class DecisionProblem(BaseEstimator, ABC):
    """What is decided for every instance, and what a decision costs.

    A problem reads its columns of X, charges decisions, and finds the best decision under a
    predictive law. It has parameters (`get_params`, `set_params`, `clone`) but is never
    fitted.

    Subclasses name the parameters that may be columns in ``cost_parameters``, the shipped
    checkpoint that was made for them in ``default_checkpoint``, if there is one, and have a
    parameter ``observations`` if columns can be named.
    """

    cost_parameters = ()
    default_checkpoint = None
    observations = None

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
        taken = self._cost_positions(names, n_columns)
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
        twice = sorted(taken.intersection(positions)) or [
            k for k in positions if positions.count(k) > 1
        ]
        if twice:
            raise ValueError(
                f"observations={self.observations!r} includes column {twice[0]}, which plays "
                "another role or is listed twice."
            )
        return positions

    def _cost_positions(self, names, n_columns):
        return {
            find_column(column, names, n_columns, parameter)
            for parameter in self.cost_parameters
            for column in column_references(getattr(self, parameter))
        }

    def check_roles(self, names, n_columns, positions):
        """Refuse to decide rows whose observations, as fitted, play another role here.

        Raises
        ------
        ValueError
            If a cost column is one of ``positions``, or ``observations`` names others.
        """
        clash = sorted(self._cost_positions(names, n_columns).intersection(positions))
        if clash:
            raise ValueError(
                f"problem={self!r} takes its costs from column {clash[0]}, which held observations "
                "at fit."
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
        observations = numeric_columns(X, positions)
        self.check_outcomes(observations, "X")
        return Portfolio(observations, self.read_costs(X, names), integer)

    def read_costs(self, X, names=None):
        """Cost parameters of every row; dict of ndarray of shape (n_instances,)."""
        costs = {
            parameter: row_values(getattr(self, parameter), X, names, parameter)
            for parameter in self.cost_parameters
        }
        self.check_costs(costs)
        return costs

    def check_outcomes(self, outcomes, name):
        """Refuse outcomes that cannot be; ``name`` is what they are called in the message."""

    def check_costs(self, costs):
        """Refuse cost parameters that make no sense."""

    @abstractmethod
    def cost(self, decision, outcome, **costs):
        """Cost of decisions on outcomes, arrays or tensors that broadcast together."""

    @abstractmethod
    def solve(self, law, portfolio):
        """Best decision of every row under its predictive law; ndarray of shape (n,)."""

    @abstractmethod
    def expected_cost(self, decision, law, portfolio):
        """Expected cost of every row's decision under its law; ndarray of shape (n,)."""

    @abstractmethod
    def training_loss(self, output, outcomes, levels):
        """Loss that pretraining minimises, of a network's output on later outcomes.

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

    def own_levels(self, portfolio):
        """Levels of the quantiles that decisions hang on, which finetuning minds most.

        Parameters
        ----------
        portfolio : Portfolio

        Returns
        -------
        ndarray of shape (n,)
            Between 0 and 1; medians, unless a problem knows better.
        """
        return np.full(len(portfolio), 0.5)

    def hindsight_cost(self, decision, outcomes, costs):
        """Mean cost of each row's decision over its observed outcomes.

        Parameters
        ----------
        decision : ndarray of shape (n,)

        outcomes : ndarray of shape (n, m)
            NaN = not observed.

        costs : dict of ndarray of shape (n,)

        Returns
        -------
        ndarray of shape (n,)
            NaN where a row has no outcome.
        """
        by_row = {name: value[:, None] for name, value in costs.items()}
        charged = self.cost(decision[:, None], outcomes, **by_row)
        seen = ~np.isnan(outcomes)
        n_seen = seen.sum(axis=1)
        total = np.where(seen, charged, 0.0).sum(axis=1)
        return np.where(n_seen > 0, total / np.maximum(n_seen, 1), np.nan)
