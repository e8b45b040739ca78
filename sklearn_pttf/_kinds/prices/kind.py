"""How demand at prices is read, and what it is compared with."""

import numpy as np

import sklearn_pttf._kinds.prices.features as price_features
import sklearn_pttf._kinds.prices.units as price_units
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.prices.alarms import warn_of_rising_demand
from sklearn_pttf._kinds.prices.head import PriceHead
from sklearn_pttf._kinds.prices.prior import PricingPrior
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._tables.influence import typical_priced_rows
from sklearn_pttf._utils.checks import Column
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.problems import Pricing


class Prices(Kind):
    """Demand at prices: amounts that fall along a row's demand curve."""

    name = "prices"
    checkpoint = "price"
    title = "demand at prices"
    prior = PricingPrior
    baselines = (PerRowDemandCurve, PooledDemandCurve)
    priced = True
    rests_on_width = False  # but on expected demand
    drift = None  # prices may have drifted, and demand with them
    alarms = (warn_of_rising_demand,)
    reads = ("prices", "posted")
    units_type = price_units.PriceUnits
    head = PriceHead
    n_cell_features = price_features.N_CELL_FEATURES
    n_row_features = price_features.N_ROW_FEATURES
    n_portfolio_features = price_features.N_PORTFOLIO_FEATURES

    units = staticmethod(price_units.price_units)
    placed = staticmethod(price_units.placed_rows)
    cell_features = staticmethod(price_features.cell_features)
    row_features = staticmethod(price_features.row_features)
    portfolio_features = staticmethod(price_features.portfolio_features)

    typical_rows = staticmethod(typical_priced_rows)

    @classmethod
    def is_of(cls, portfolio):
        return portfolio.prices is not None

    @classmethod
    def as_table(cls, portfolio, problem=None):
        """Prices, demand and posted prices side by side; bounds are not used."""
        posted, n = portfolio.posted_prices()[:, None], portfolio.observations.shape[1]
        X = np.hstack([portfolio.prices, portfolio.observations, posted])
        return Pricing(list(range(n)), list(range(n, 2 * n)), posted=Column(2 * n)), X

    @classmethod
    def evidence(cls, portfolio):
        prices, posted = portfolio.told_prices(), portfolio.posted_prices()
        return Evidence(portfolio.observations, prices=prices, posted=posted)

    @staticmethod
    def rows(evidence):
        return price_units.pairs_of(evidence.observations, evidence.prices, evidence.posted)
