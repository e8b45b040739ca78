"""How real values are read, and what they are compared with."""

import sklearn_pttf._kinds.values.features as real_features
import sklearn_pttf._kinds.values.rows as real_rows
import sklearn_pttf._kinds.values.units as real_units
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.values.head import RealHead
from sklearn_pttf._kinds.values.prior import RealValuedPrior
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
)


class Values(Kind):
    """Values of any sign, whose origin and unit mean nothing, with standard errors if known."""

    name = title = "values"
    prior = RealValuedPrior
    baselines = (JamesStein, ParametricEmpiricalBayes, NonparametricEmpiricalBayes)
    any_sign = of_means = True
    units_type = real_units.RealUnits
    head = RealHead
    n_cell_features = len(real_features.CELL_FEATURES)
    n_row_features = len(real_features.ROW_FEATURES)
    n_portfolio_features = len(real_features.PORTFOLIO_FEATURES)

    rows = staticmethod(real_rows.real_rows)
    placed = staticmethod(real_units.placed_rows)
    counted = staticmethod(real_units.counted_rows)
    levelled = staticmethod(real_units.levelled_units)
    cell_features = staticmethod(real_features.cell_features)
    row_features = staticmethod(real_features.row_features)
    portfolio_features = staticmethod(real_features.portfolio_features)

    @staticmethod
    def units(observations, errors, weights, whole):
        rows = [real_rows.real_rows(*each) for each in zip(observations, errors, strict=True)]
        return real_units.real_units(rows, weights)
