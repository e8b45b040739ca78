"""Forecasts of `statsforecast`, row by row, as methods of `series.py`; of the benchmarks only.

AutoETS brings intervals of its own. Croston's method and TSB forecast a mean; around it lie the
errors of all rows at the newest origins, as with the package's own baselines.
"""

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from statsforecast.models import TSB, AutoETS, CrostonOptimized

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf.baselines._in_time import (
    DecisionInTime,
    Levels,
    PooledErrors,
    newest_cells,
    of_cold_rows,
    usual_level,
)

WIDTHS = (98, 90, 80, 60, 40, 20)  # of intervals, in percent
QUANTILES = np.array([*(50 - w / 2 for w in WIDTHS), *(50 + w / 2 for w in WIDTHS[::-1])]) / 100
FEWEST = 6  # observations of a row, that AutoETS is asked with
N_ORIGINS = 8  # newest ones, whose errors are pooled
TSB_ALPHAS = (0.2, 0.2)  # for demand, and for whether there is any
PULL = 0.25  # observations of the usual level in the level that errors are measured by


class AutoETSRows(DecisionInTime, BaseEstimator):
    """The best of all exponential smoothings of a row, by AICc, with its intervals.

    The shortest season that was seen twice is told. A row of fewer than six observations, or
    without a fit, has the normal law of its mean and standard deviation.
    """

    def __init__(self, problem=None):
        self.problem = problem

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        seasons = portfolio.seasons if isinstance(portfolio.seasons, tuple) else ()
        rows = [self._quantiles(y[~np.isnan(y)], seasons) for y in portfolio.observations]
        grid = QuantileGrid(np.array(rows) - portfolio.integer / 2, QUANTILES, portfolio.integer)
        return of_cold_rows(grid, portfolio, self._pooled)

    @staticmethod
    def _quantiles(y, seasons):
        if not len(y):
            return np.zeros(len(QUANTILES))
        if len(y) >= FEWEST and y.min() < y.max():
            season = next((s for s in sorted(seasons) if 2 * s <= len(y)), 1)
            try:
                found = AutoETS(season_length=season).forecast(y=y, h=1, level=list(WIDTHS))
            except Exception:  # whatever it raises on a row, from whichever of its models
                found = {}
            names = [f"lo-{w}" for w in WIDTHS] + [f"hi-{w}" for w in WIDTHS[::-1]]
            values = [float(np.ravel(found[name])[0]) for name in names if name in found]
            if len(values) == len(QUANTILES) and np.isfinite(values).all():
                return np.maximum.accumulate(values)
        deviation = y.std(ddof=1) if len(y) > 1 else np.sqrt(y.mean())
        return y.mean() + deviation * stats.norm.ppf(QUANTILES)


class IntermittentRows(DecisionInTime, BaseEstimator):
    """A method for intermittent demand in every row, and around it the errors of all rows.

    Parameters
    ----------
    name : {"Croston", "TSB"}
        With smoothing parameters that are found, or both at 0.2.
    """

    def __init__(self, problem=None, *, name="Croston"):
        self.problem = problem
        self.name = name

    def fit(self, X, y=None):
        portfolio = self._read_to_fit(X)
        x = portfolio.observations
        self.usual_level_ = usual_level(portfolio)
        cells = newest_cells(x)
        cells = tuple(axis[cells[1] >= x.shape[1] - N_ORIGINS] for axis in cells)
        forecasts = np.array([self._mean(x[i, :t]) for i, t in zip(*cells, strict=True)])
        means = Levels.of(x, 0.0).take(cells).mean(PULL, self.usual_level_)
        errors = x[cells] - forecasts
        self._errors = PooledErrors(errors, means, np.ones(len(errors)), self.usual_level_)
        return self

    def _mean(self, y):
        y = y[~np.isnan(y)]
        if not (y > 0).any():
            return 0.0
        model = CrostonOptimized() if self.name == "Croston" else TSB(*TSB_ALPHAS)
        found = float(np.ravel(model.forecast(y=y, h=1)["mean"])[0])
        return found if np.isfinite(found) else y.mean()

    def _predict_law(self, portfolio):
        x = portfolio.observations
        forecasts = np.array([self._mean(row) for row in x])
        means = Levels.of(x, 0.0).last().mean(PULL, self.usual_level_)
        law = self._errors.law(forecasts, means, np.ones(len(x)), portfolio.integer)
        return of_cold_rows(law, portfolio, self._pooled)
