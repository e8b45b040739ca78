"""How a network reads Poisson counts."""

import sklearn_pttf._kinds.counts.features as count_features
import sklearn_pttf._kinds.counts.units as count_units
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.counts.head import CountHead


class Counts(Kind):
    """Poisson counts, of which a row's total and number are all that matters."""

    of_means = True
    units_type = count_units.CountUnits
    head = CountHead
    n_cell_features = count_features.N_CELL_FEATURES
    n_row_features = count_features.N_ROW_FEATURES
    n_portfolio_features = count_features.N_PORTFOLIO_FEATURES

    rows = staticmethod(count_units.count_rows)
    placed = staticmethod(count_units.placed_rows)
    cell_features = staticmethod(count_features.cell_features)
    row_features = staticmethod(count_features.row_features)
    portfolio_features = staticmethod(count_features.portfolio_features)

    @staticmethod
    def units(observations, exposures, weights, whole):
        rows = map(count_units.count_rows, observations, exposures)
        return count_units.count_units(list(rows), weights)
