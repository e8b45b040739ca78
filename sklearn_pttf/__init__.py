"""Decisions from little data, at scale: pretrain, then finetune."""

from sklearn_pttf._utils.environment import refuse_environment

refuse_environment()

# ruff: noqa: E402
from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.counts.prior import CountPrior
from sklearn_pttf._kinds.demand.prior import SyntheticPrior
from sklearn_pttf._kinds.prices.prior import PricingPrior
from sklearn_pttf._kinds.registry import register_kind
from sklearn_pttf._kinds.series.prior import SeriesPrior
from sklearn_pttf._kinds.stocked import StockedPrior
from sklearn_pttf._kinds.values.prior import RealValuedPrior
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.base import PredictiveDistribution
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._training.pretrain import pretrain
from sklearn_pttf._utils.checks import Column, LinearCombination
from sklearn_pttf._version import __version__

__all__ = [
    "Checkpoint",
    "Column",
    "CountPrior",
    "DecisionMixin",
    "Kind",
    "LinearCombination",
    "NetworkConfig",
    "Portfolio",
    "PredictiveDistribution",
    "PretrainedDecisionTransformer",
    "PricingPrior",
    "QuantileGrid",
    "RealValuedPrior",
    "SeriesPrior",
    "StockedPrior",
    "SyntheticPrior",
    "WeightedAtoms",
    "__version__",
    "pretrain",
    "register_kind",
]
