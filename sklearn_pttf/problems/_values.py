"""What problems about the values of rows have in common: selection and estimation."""

from dataclasses import replace

import numpy as np

from sklearn_pttf._portfolio import are_whole
from sklearn_pttf._validation import (
    describe_rows,
    numeric_columns,
    refuse_negative,
    row_values,
)
from sklearn_pttf.problems._base import DecisionProblem


class ValueProblem(DecisionProblem):
    """A problem that hangs on the mean of every row, of which observations are noisy.

    Outcomes are values of any sign. Whole numbers that are never negative are taken for counts,
    unless their standard errors are given. Noise of any law is looked for in these, unless it is
    said to be Poisson.
    """

    of_means = True
    allows_negative = True
    constraint_parameters = ()
    evidence_parameters = ("standard_errors",)
    default_checkpoint = "gaussian"

    def checkpoint_for(self, portfolio):
        if self.noise == "poisson":
            return "poisson"
        return self.default_checkpoint if portfolio.real else "demand"

    def check(self):
        super().check()
        if self.noise not in (None, "poisson"):
            raise ValueError(f"noise must be 'poisson' or None; got {self.noise!r}.")
        if self.exposure is not None and self.noise is None:
            raise ValueError(
                f"exposure={self.exposure!r} needs noise='poisson': only counts have one; got "
                "noise=None."
            )
        if self.noise is not None and self.standard_errors is not None:
            raise ValueError(
                f"standard_errors must be None with noise={self.noise!r}, which implies them; got "
                f"{self.standard_errors!r}."
            )

    def check_outcomes(self, outcomes, name):
        """All finite values can be."""

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

    def charge(self, law, portfolio, outcomes):
        """As that of any problem, on outcomes per unit of exposure, as means are."""
        return super().charge(law, portfolio, outcomes / portfolio.coming_exposure()[:, None])

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


def _refuse_no_counts(observations, why):
    """Refuse observations that are no whole numbers of at least 0."""
    why = f"{why} is of counts, so observations must be whole numbers of at least 0"
    refuse_negative(observations, why)
    broken = np.where(np.isnan(observations), 0.0, observations % 1).max(axis=1, initial=0.0) > 0
    if broken.any():
        cells = np.where(observations % 1 > 0, observations, -np.inf).max(axis=1, initial=-np.inf)
        raise ValueError(f"{why}; got {describe_rows(broken, cells)}.")
