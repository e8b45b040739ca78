"""How demand at prices is read, and what it is compared with."""

import sklearn_pttf._kinds.prices.features as price_features
import sklearn_pttf._kinds.prices.units as price_units
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.prices.head import PriceHead
from sklearn_pttf._kinds.prices.prior import PricingPrior
from sklearn_pttf._tables.influence import typical_rows
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve


class Prices(Kind):
    """Demand at prices: amounts that fall along a row's demand curve."""

    name = "prices"
    title = "demand at prices"
    prior = PricingPrior
    baselines = (PerRowDemandCurve, PooledDemandCurve)
    priced = True
    units_type = price_units.PriceUnits
    head = PriceHead
    n_cell_features = len(price_features.CELL_FEATURES)
    n_row_features = len(price_features.ROW_FEATURES)
    n_portfolio_features = len(price_features.PORTFOLIO_FEATURES)

    rows = staticmethod(price_units.pairs_of)
    units = staticmethod(price_units.price_units)
    placed = staticmethod(price_units.placed_rows)
    cell_features = staticmethod(price_features.cell_features)
    row_features = staticmethod(price_features.row_features)
    portfolio_features = staticmethod(price_features.portfolio_features)

    typical_rows = staticmethod(typical_rows)

    @staticmethod
    def beside(portfolio):
        return portfolio.told_prices()
