"""How Poisson counts are read, and what they are compared with."""

from dataclasses import replace

import sklearn_pttf._kinds.counts.features as count_features
import sklearn_pttf._kinds.counts.units as count_units
from sklearn_pttf._kinds.base import OF_AMOUNTS, Kind, use_another
from sklearn_pttf._kinds.counts.head import CountHead
from sklearn_pttf._kinds.counts.outliers import typical_counts
from sklearn_pttf._kinds.counts.prior import CountPrior
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.poisson import PoissonMixture
from sklearn_pttf._utils.checks import refuse_fractions


class Counts(Kind):
    """Poisson counts, of which a row's total and number are all that matters."""

    name = title = "counts"
    checkpoint = "poisson"
    prior = CountPrior
    baselines = OF_AMOUNTS
    of_means = True
    reads = ("exposure",)
    units_type = count_units.CountUnits
    head = CountHead
    n_cell_features = len(count_features.CELL_FEATURES)
    n_row_features = len(count_features.ROW_FEATURES)
    n_portfolio_features = len(count_features.PORTFOLIO_FEATURES)

    placed = staticmethod(count_units.placed_rows)
    cell_features = staticmethod(count_features.cell_features)
    row_features = staticmethod(count_features.row_features)
    portfolio_features = staticmethod(count_features.portfolio_features)

    @staticmethod
    def rows(evidence):
        return count_units.count_rows(evidence.observations, evidence.exposure)

    @staticmethod
    def units(rows, weights, whole):
        return count_units.count_units(rows, weights)

    @classmethod
    def check(cls, portfolio):
        super().check(portfolio)
        if not portfolio.integer:
            raise ValueError(
                "observations must be whole numbers, of which a network of counts reads totals; "
                f"got {portfolio!r}.{_another_than_counts(portfolio)}"
            )

    @classmethod
    def check_later(cls, outcomes, portfolio):
        super().check_later(outcomes, portfolio)
        why = "y must be whole numbers, of which a network of counts learns"
        refuse_fractions(outcomes, why, _another_than_counts(portfolio))

    @classmethod
    def as_read(cls, portfolio):
        portfolio = portfolio.over_offset()
        if portfolio.exposure is None:
            return portfolio
        return replace(portfolio, exposure=portfolio.exposures())

    @staticmethod
    def typical_rows(portfolio):
        return typical_counts(*portfolio.totals())

    @staticmethod
    def answers(output, of_mean):
        """Always the law of the mean: counts are mixed over it, so that the two agree."""
        return output.of_mean

    @classmethod
    def law(cls, quantiles, levels, portfolio, of_mean):
        law = QuantileGrid(quantiles, levels)
        return law if of_mean else PoissonMixture(law, portfolio.coming_exposure())


def _another_than_counts(portfolio):
    """Advice for a table of no whole numbers."""
    return use_another("values" if portfolio.real else "demand")
