"""How demand is read, and what it is compared with."""

import sklearn_pttf._kinds.demand.capped as demand_capped
import sklearn_pttf._kinds.demand.features as demand_features
import sklearn_pttf._kinds.demand.units as demand_units
from sklearn_pttf._kinds.alarms import warn_of_quiet_counts, warn_of_zeros_and_ones
from sklearn_pttf._kinds.base import OF_AMOUNTS, Kind
from sklearn_pttf._kinds.demand.agreement import Agreement
from sklearn_pttf._kinds.demand.head import DemandHead
from sklearn_pttf._kinds.demand.prior import SyntheticPrior
from sklearn_pttf._tables.bands import Bands
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf.problems import Estimation


class Demand(Kind):
    """Amounts that are never negative, relative to their row's level."""

    name = title = checkpoint = "demand"
    prior = SyntheticPrior
    baselines = OF_AMOUNTS
    reads = ("stock", "offset")
    takes_rates = True
    alarms = (warn_of_zeros_and_ones, warn_of_quiet_counts)
    units_type = demand_units.PortfolioUnits
    head = DemandHead
    n_cell_features = len(demand_features.CELL_FEATURES)
    n_row_features = len(demand_features.ROW_FEATURES)
    n_portfolio_features = len(demand_features.PORTFOLIO_FEATURES)
    n_capped_cell_features = len(demand_capped.CAPPED_CELL_FEATURES)
    n_capped_row_features = len(demand_capped.CAPPED_ROW_FEATURES)
    n_capped_portfolio_features = len(demand_capped.CAPPED_PORTFOLIO_FEATURES)
    portfolio_features = staticmethod(demand_features.portfolio_features)
    capped_portfolio_features = staticmethod(demand_capped.capped_portfolio_features)

    @classmethod
    def is_of(cls, portfolio):
        return portfolio.prices is None and not portfolio.real

    @classmethod
    def own_prior(cls):
        return (
            "prior=SyntheticPrior().calibrated(X). SyntheticPrior().fit(X).transform(X) shows "
            "which rows the prior finds odd"
        )

    @classmethod
    def as_table(cls, portfolio, problem=None):
        counts = getattr(problem, "noise", None) == "poisson"
        return Estimation(noise="poisson") if counts else None, portfolio.observations

    @staticmethod
    def rows(evidence):
        return demand_units.as_rows(evidence.observations, evidence.stock, evidence.offset)

    @staticmethod
    def units(rows, weights, whole):
        if rows[0].capped is None:
            return demand_units.portfolio_units(rows, weights, whole)
        return demand_capped.completed_units(rows, weights, whole)

    @staticmethod
    def placed(rows, units):
        if rows.capped is None:
            return rows
        return demand_capped.rows_as_told(rows, units).sorted()

    @staticmethod
    def cell_features(rows, units):
        return _features_of(demand_features.cell_features, rows, units)

    @staticmethod
    def row_features(rows, units):
        return _features_of(demand_features.row_features, rows, units)

    @staticmethod
    def capped_cell_features(rows, units):
        return _features_of(demand_capped.capped_cell_features, rows, units)

    @staticmethod
    def capped_row_features(rows, units):
        return _features_of(demand_capped.capped_row_features, rows, units)

    typical_rows = staticmethod(typical_rows)

    @staticmethod
    def agreement(predict, portfolio):
        return Agreement(predict, portfolio.as_rates())

    @staticmethod
    def bands(portfolio):
        found = Bands.of(portfolio)
        return found if len(found.centres) else None


def _features_of(features, rows, units):
    """Features of rows by their units, and by their levels in these."""
    units = demand_units.units_of_rows(units, rows)
    return features(rows, units, demand_units.row_level(rows, units.scale))
