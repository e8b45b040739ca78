"""Laws with exact Bayes decisions, stock played by a policy, checks for estimators that decide."""

from sklearn_pttf.testing._checks import check_decision_estimator, decision_checks
from sklearn_pttf.testing._laws import (
    GammaPoisson,
    LognormalNormal,
    NormalNormal,
    NormalPoints,
    PortfolioLaw,
    Segments,
    ZeroInflatedPoisson,
)
from sklearn_pttf.testing._pricing_laws import LinearDemand
from sklearn_pttf.testing._stock import BaseStock, StockRecord, StockState, simulate_stock

__all__ = [
    "BaseStock",
    "GammaPoisson",
    "LinearDemand",
    "LognormalNormal",
    "NormalNormal",
    "NormalPoints",
    "PortfolioLaw",
    "Segments",
    "StockRecord",
    "StockState",
    "ZeroInflatedPoisson",
    "check_decision_estimator",
    "decision_checks",
    "simulate_stock",
]
