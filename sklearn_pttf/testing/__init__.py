"""Laws with exact Bayes decisions, and checks for estimators that decide."""

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

__all__ = [
    "GammaPoisson",
    "LinearDemand",
    "LognormalNormal",
    "NormalNormal",
    "NormalPoints",
    "PortfolioLaw",
    "Segments",
    "ZeroInflatedPoisson",
    "check_decision_estimator",
    "decision_checks",
]
