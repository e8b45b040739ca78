"""Classical methods to compare with, on the same interface."""

from sklearn_pttf.baselines._censored_bayes import CensoredEmpiricalBayes
from sklearn_pttf.baselines._demand_curves import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.baselines._exponential_smoothing import ExponentialSmoothing
from sklearn_pttf.baselines._james_stein import JamesStein
from sklearn_pttf.baselines._kaplan_meier import KaplanMeierNewsvendor
from sklearn_pttf.baselines._lag_boosting import LagBoosting
from sklearn_pttf.baselines._negative_binomial_smoothing import NegativeBinomialSmoothing
from sklearn_pttf.baselines._nonparametric_bayes import NonparametricEmpiricalBayes
from sklearn_pttf.baselines._parametric_bayes import ParametricEmpiricalBayes
from sklearn_pttf.baselines._pooled_ratio import PooledRatio
from sklearn_pttf.baselines._quantile_boosting import QuantileBoosting
from sklearn_pttf.baselines._sample_average import SampleAverage
from sklearn_pttf.baselines._seasonal_naive import SeasonalNaive
from sklearn_pttf.baselines._shrunken import ShrunkenSampleAverage

__all__ = [
    "CensoredEmpiricalBayes",
    "ExponentialSmoothing",
    "JamesStein",
    "KaplanMeierNewsvendor",
    "LagBoosting",
    "NegativeBinomialSmoothing",
    "NonparametricEmpiricalBayes",
    "ParametricEmpiricalBayes",
    "PerRowDemandCurve",
    "PooledDemandCurve",
    "PooledRatio",
    "QuantileBoosting",
    "SampleAverage",
    "SeasonalNaive",
    "ShrunkenSampleAverage",
]
