"""Kinds of outcomes: how a network reads them, and which head answers.

A kind turns observations, and what is known beside them (standard errors, or prices), into rows,
context rows into units, rows and units into rows that are placed in their portfolio, and these
into features; the network itself is the same for all. ``of_means`` says whether its head gives the
law of every row's mean too. ``counted`` says which rows others learn from, and ``levelled``, if
there is one, gives the units once the laws of the context are known.
"""

import torch

import sklearn_pttf._kinds.counts.features as count_features
import sklearn_pttf._kinds.counts.units as count_units
import sklearn_pttf._kinds.demand.features as demand_features
import sklearn_pttf._kinds.demand.units as demand_units
import sklearn_pttf._kinds.prices.features as price_features
import sklearn_pttf._kinds.prices.units as price_units
import sklearn_pttf._kinds.values.features as real_features
import sklearn_pttf._kinds.values.rows as real_rows
import sklearn_pttf._kinds.values.units as real_units
from sklearn_pttf._kinds.heads import CountHead, DemandHead, PriceHead, RealHead


class Kind:
    """What kinds have in common; most rows need no place in their portfolio."""

    of_means = False
    levelled = None

    @staticmethod
    def placed(rows, units):
        return rows

    @staticmethod
    def counted(rows, units):
        """All rows; bool (B, N)."""
        return torch.ones_like(rows.count, dtype=torch.bool)


class Demand(Kind):
    """Amounts that are never negative, relative to their row's level."""

    units_type = demand_units.PortfolioUnits
    head = DemandHead
    n_cell_features = demand_features.N_CELL_FEATURES
    n_row_features = demand_features.N_ROW_FEATURES
    n_portfolio_features = demand_features.N_PORTFOLIO_FEATURES
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


class RealValued(Kind):
    """Values of any sign, whose origin and unit mean nothing, with standard errors if known."""

    of_means = True
    units_type = real_units.RealUnits
    head = RealHead
    n_cell_features = real_features.N_CELL_FEATURES
    n_row_features = real_features.N_ROW_FEATURES
    n_portfolio_features = real_features.N_PORTFOLIO_FEATURES

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


class Priced(Kind):
    """Demand at prices: amounts that fall along a row's demand curve."""

    units_type = price_units.PriceUnits
    head = PriceHead
    n_cell_features = price_features.N_CELL_FEATURES
    n_row_features = price_features.N_ROW_FEATURES
    n_portfolio_features = price_features.N_PORTFOLIO_FEATURES

    rows = staticmethod(price_units.pairs_of)
    units = staticmethod(price_units.price_units)
    placed = staticmethod(price_units.placed_rows)
    cell_features = staticmethod(price_features.cell_features)
    row_features = staticmethod(price_features.row_features)
    portfolio_features = staticmethod(price_features.portfolio_features)


KINDS = {"demand": Demand, "real": RealValued, "counts": Counts, "price": Priced}
