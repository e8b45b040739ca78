"""Decisions from little data, at scale: pretrain, then finetune."""

from sklearn_pttf._checkpoint import Checkpoint
from sklearn_pttf._count_prior import CountPrior
from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._laws import PredictiveDistribution
from sklearn_pttf._portfolio import Portfolio
from sklearn_pttf._pretrain import pretrain
from sklearn_pttf._pricing_prior import PricingPrior
from sklearn_pttf._prior import SyntheticPrior
from sklearn_pttf._real_prior import RealValuedPrior
from sklearn_pttf._validation import Column
from sklearn_pttf._version import __version__

__all__ = [
    "Checkpoint",
    "Column",
    "CountPrior",
    "Portfolio",
    "PredictiveDistribution",
    "PretrainedDecisionTransformer",
    "PricingPrior",
    "RealValuedPrior",
    "SyntheticPrior",
    "__version__",
    "pretrain",
]
