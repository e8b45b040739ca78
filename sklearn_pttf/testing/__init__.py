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

__all__ = [
    "GammaPoisson",
    "LognormalNormal",
    "NormalNormal",
    "NormalPoints",
    "PortfolioLaw",
    "Segments",
    "ZeroInflatedPoisson",
    "check_decision_estimator",
    "decision_checks",
]
