"""How real values are read, and what they are compared with."""

import numpy as np

import sklearn_pttf._kinds.values.features as real_features
import sklearn_pttf._kinds.values.rows as real_rows
import sklearn_pttf._kinds.values.units as real_units
from sklearn_pttf._kinds.alarms import warn_of_zeros_and_ones
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.drift import DriftOfValues
from sklearn_pttf._kinds.values.head import RealHead
from sklearn_pttf._kinds.values.prior import RealValuedPrior
from sklearn_pttf._utils.checks import Column
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
)
from sklearn_pttf.problems import Estimation


class Values(Kind):
    """Values of any sign, whose origin and unit mean nothing, with standard errors if known."""

    name = title = "values"
    checkpoint = "gaussian"
    prior = RealValuedPrior
    baselines = (JamesStein, ParametricEmpiricalBayes, NonparametricEmpiricalBayes)
    any_sign = of_means = True
    drift = DriftOfValues
    alarms = (warn_of_zeros_and_ones,)
    reads = ("errors",)
    units_type = real_units.RealUnits
    head = RealHead
    n_cell_features = real_features.N_CELL_FEATURES
    n_row_features = real_features.N_ROW_FEATURES
    n_portfolio_features = real_features.N_PORTFOLIO_FEATURES

    placed = staticmethod(real_units.placed_rows)
    counted = staticmethod(real_units.counted_rows)
    levelled = staticmethod(real_units.levelled_units)
    cell_features = staticmethod(real_features.cell_features)
    row_features = staticmethod(real_features.row_features)
    portfolio_features = staticmethod(real_features.portfolio_features)

    @classmethod
    def is_of(cls, portfolio):
        return portfolio.real

    @classmethod
    def as_table(cls, portfolio, problem=None):
        """Always with a column of errors, be it an empty one.

        So values are not taken for counts where they happen to be whole.
        """
        n_rows, n_cells = portfolio.observations.shape
        errors = np.full(n_rows, np.nan) if portfolio.errors is None else portfolio.errors
        X = np.column_stack([portfolio.observations, errors])
        return Estimation(standard_errors=Column(n_cells)), X

    @staticmethod
    def rows(evidence):
        return real_rows.real_rows(evidence.observations, evidence.errors)

    @staticmethod
    def units(rows, weights, whole):
        return real_units.real_units(rows, weights)
