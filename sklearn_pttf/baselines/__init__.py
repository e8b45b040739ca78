"""Classical methods to compare with, on the same interface."""

from sklearn_pttf.baselines._demand_curves import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.baselines._james_stein import JamesStein
from sklearn_pttf.baselines._nonparametric_bayes import NonparametricEmpiricalBayes
from sklearn_pttf.baselines._parametric_bayes import ParametricEmpiricalBayes
from sklearn_pttf.baselines._pooled_ratio import PooledRatio
from sklearn_pttf.baselines._quantile_boosting import QuantileBoosting
from sklearn_pttf.baselines._sample_average import SampleAverage
from sklearn_pttf.baselines._shrunken import ShrunkenSampleAverage

__all__ = [
    "JamesStein",
    "NonparametricEmpiricalBayes",
    "ParametricEmpiricalBayes",
    "PerRowDemandCurve",
    "PooledDemandCurve",
    "PooledRatio",
    "QuantileBoosting",
    "SampleAverage",
    "ShrunkenSampleAverage",
]
