"""Classical methods to compare with, on the same interface."""

from sklearn_pttf.baselines._sample_average import SampleAverage

__all__ = ["SampleAverage"]
