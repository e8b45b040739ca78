"""How demand in the order of time is read, and what it is compared with."""

import sklearn_pttf._kinds.demand.capped as demand_capped
import sklearn_pttf._kinds.series.features as series_features
import sklearn_pttf._kinds.series.units as series_units
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.series.calibration import calibration_in_time
from sklearn_pttf._kinds.series.head import SeriesHead
from sklearn_pttf._kinds.series.prior import SeriesPrior
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._tables.influence import typical_rows


class Series(Demand):
    """Demand whose level may move, at the conditions of the coming period."""

    name = title = checkpoint = "series"
    prior = SeriesPrior
    reads = ("exposure", "coming", "stock")
    takes_rates = False
    extends = Demand
    units_type = series_units.SeriesUnits
    head = SeriesHead
    n_cell_features = len(series_features.CELL_FEATURES)
    n_row_features = len(series_features.ROW_FEATURES)
    n_portfolio_features = len(series_features.PORTFOLIO_FEATURES)

    rows = staticmethod(series_units.series_rows)
    units = staticmethod(series_units.series_units)
    placed = staticmethod(series_units.placed)
    cell_features = staticmethod(series_features.cell_features)
    row_features = staticmethod(series_features.row_features)
    portfolio_features = staticmethod(series_features.portfolio_features)

    @staticmethod
    def capped_cell_features(rows, units):
        return demand_capped.capped_cell_features(rows.in_order, units, rows.recent)

    @staticmethod
    def capped_row_features(rows, units):
        return demand_capped.capped_row_features(rows.in_order, units, rows.recent)

    @staticmethod
    def typical_rows(portfolio):
        return typical_rows(portfolio.as_rates())

    agreement = staticmethod(calibration_in_time)

    @classmethod
    def law(cls, quantiles, levels, portfolio, of_mean):
        """Laws of next outcomes, by quantiles of what is counted over the coming exposure."""
        return QuantileGrid(quantiles, levels, portfolio.integer and not of_mean, 0.0)
