"""How demand is read, and what it is compared with."""

import sklearn_pttf._kinds.demand.features as demand_features
import sklearn_pttf._kinds.demand.units as demand_units
from sklearn_pttf._kinds.base import OF_AMOUNTS, Kind
from sklearn_pttf._kinds.demand.agreement import Agreement
from sklearn_pttf._kinds.demand.head import DemandHead
from sklearn_pttf._kinds.demand.prior import SyntheticPrior
from sklearn_pttf._tables.bands import Bands
from sklearn_pttf._tables.influence import typical_rows


class Demand(Kind):
    """Amounts that are never negative, relative to their row's level."""

    name = title = "demand"
    prior = SyntheticPrior
    baselines = OF_AMOUNTS
    takes_rates = True
    agreement = Agreement
    units_type = demand_units.PortfolioUnits
    head = DemandHead
    n_cell_features = len(demand_features.CELL_FEATURES)
    n_row_features = len(demand_features.ROW_FEATURES)
    n_portfolio_features = len(demand_features.PORTFOLIO_FEATURES)
    portfolio_features = staticmethod(demand_features.portfolio_features)

    @staticmethod
    def rows(observations, beside):
        return demand_units.as_rows(observations)

    @staticmethod
    def units(observations, beside, weights, whole):
        return demand_units.portfolio_units(observations, weights, whole)

    @staticmethod
    def cell_features(rows, units):
        return demand_features.cell_features(rows, units, demand_units.row_level(rows, units.scale))

    @staticmethod
    def row_features(rows, units):
        return demand_features.row_features(rows, units, demand_units.row_level(rows, units.scale))

    typical_rows = staticmethod(typical_rows)

    @staticmethod
    def bands(portfolio):
        found = Bands.of(portfolio)
        return found if len(found.centres) else None
