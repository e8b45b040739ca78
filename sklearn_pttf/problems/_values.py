"""What problems about the values of rows have in common: selection and estimation."""

from dataclasses import replace

import numpy as np

from sklearn_pttf._tables.portfolio import are_whole
from sklearn_pttf._utils.checks import (
    describe_rows,
    find_column,
    numeric_columns,
    refuse_fractions,
    refuse_negative,
    row_values,
)
from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._trials import check_trials, read_trials, trials_references

NOISES = ("poisson", "binomial")


class ValueProblem(DecisionProblem):
    """A problem that hangs on the mean of every row, of which observations are noisy.

    Outcomes are values of any sign. Whole numbers that are never negative are taken for counts,
    unless their standard errors are given. Noise of any law is looked for in these, unless it is
    said to be Poisson or binomial.
    """

    of_means = True
    constraint_parameters = ()
    evidence_parameters = ("standard_errors",)
    default_checkpoint = "values"
    trials = None
    coming_trials = None

    @property
    def allows_negative(self):
        return self.noise is None

    @property
    def has_exact_law(self):
        return self.noise == "binomial"

    def checkpoint_for(self, portfolio):
        if self.has_exact_law:
            return None
        if self.noise == "poisson":
            return "counts"
        return self.default_checkpoint if portfolio.real else "demand"

    def check(self):
        super().check()
        if self.noise not in (None, *NOISES):
            raise ValueError(f"noise must be 'poisson', 'binomial' or None; got {self.noise!r}.")
        if self.exposure is not None and self.noise != "poisson":
            raise ValueError(
                f"exposure={self.exposure!r} needs noise='poisson': only counts have one; got "
                f"noise={self.noise!r}."
            )
        if self.noise is not None and self.standard_errors is not None:
            raise ValueError(
                f"standard_errors must be None with noise={self.noise!r}, which implies them; got "
                f"{self.standard_errors!r}."
            )
        for name in ("trials", "coming_trials"):
            value = getattr(self, name)
            if value is not None and self.noise != "binomial":
                raise ValueError(
                    f"{name} must be None with noise={self.noise!r}; got {value!r}. Outcomes that "
                    "are successes in trials have noise='binomial'."
                )
            check_trials(value, name, listed=name == "trials")

    def _taken_positions(self, names, n_columns):
        return super()._taken_positions(names, n_columns) | {
            find_column(column, names, n_columns, name)
            for name in ("trials", "coming_trials")
            for column in trials_references(getattr(self, name))
        }

    def check_outcomes(self, outcomes, name):
        """All finite values can be, unless noise is said to be of counts.

        Means of Poisson counts, which decisions may be charged on, are no whole numbers.
        """
        what = f"outcomes in {name}"
        if self.noise == "binomial":
            _refuse_no_counts(outcomes, "noise='binomial'", what)
        elif self.noise == "poisson" and name != "X":  # `read` refuses those of X
            refuse_negative(outcomes, f"noise='poisson' is of counts, so {what} must be at least 0")

    def read(self, X, names=None, positions=None, integer=None):
        self.check()
        if integer is None:
            integer = self._are_counts(X, names, positions)
        elif integer and self.standard_errors is not None:
            raise ValueError(
                f"standard_errors={self.standard_errors!r} cannot be given now: fit saw counts. "
                "Fit with a problem that has them."
            )
        elif not integer and self.noise is not None:
            raise ValueError(
                f"noise={self.noise!r} cannot be said now: fit saw values that may be negative or "
                "no whole numbers. Fit with a problem that says it."
            )
        portfolio = super().read(X, names, positions, integer)
        if self.noise is not None:
            _refuse_no_counts(portfolio.observations, f"noise={self.noise!r}")
        elif integer:
            why = "fit saw counts, so observations must be at least 0"
            refuse_negative(portfolio.observations, why)
        return replace(portfolio, real=not integer, errors=self._read_errors(X, names))

    @property
    def has_exposure(self):
        return self.noise == "binomial" or super().has_exposure

    def read_exposure(self, X, names, observations):
        if self.noise == "binomial":
            return read_trials(self.trials, self.coming_trials, X, names, observations)
        return super().read_exposure(X, names, observations)

    def per_unit(self, outcomes, portfolio):
        """Outcomes per unit of exposure, as means are; shares of successes."""
        if portfolio.coming is None:
            return outcomes
        coming = portfolio.coming_units()[:, None]
        if self.noise == "binomial" and (outcomes > coming).any():
            rows = (outcomes > coming).any(axis=1)
            largest = np.where(np.isnan(outcomes), -np.inf, outcomes).max(axis=1)
            raise ValueError(
                "outcomes must be at most the trials that they come from, coming_trials="
                f"{self.coming_trials!r}; got {describe_rows(rows, largest)}."
            )
        return outcomes / coming

    def charge(self, law, portfolio, outcomes):
        return super().charge(law, portfolio, self.per_unit(outcomes, portfolio))

    def reference_law(self, portfolio, pooled):
        if portfolio.coming is not None:  # means are per unit of exposure
            portfolio = replace(portfolio, coming=np.ones(len(portfolio)))
        return super().reference_law(portfolio, pooled)

    def _are_counts(self, X, names, positions):
        """Whether observations are whole numbers and never negative, or are said to be."""
        if self.noise is not None or self.standard_errors is not None:
            return self.noise is not None
        if positions is None:
            positions = self.observation_positions(names, X.shape[1])
        observations = numeric_columns(X, positions)
        return are_whole(observations) and not (observations < 0).any()

    def _read_errors(self, X, names):
        if self.standard_errors is None:
            return None
        errors = row_values(self.standard_errors, X, names, "standard_errors")
        bad = ~(np.isnan(errors) | (np.isfinite(errors) & (errors > 0)))
        if bad.any():
            raise ValueError(
                "standard_errors must be positive and finite, or missing where they are not known; "
                f"got {describe_rows(bad, errors)}."
            )
        return errors


def _refuse_no_counts(observations, why, what="observations"):
    """Refuse observations that are no whole numbers of at least 0."""
    why = f"{why} is of counts, so {what} must be whole numbers of at least 0"
    refuse_negative(observations, why)
    refuse_fractions(observations, why)
