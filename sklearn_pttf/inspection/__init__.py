"""Looking at laws, transfer and time: are laws right, what makes cost fall, what do rows share?"""

from sklearn_pttf._laws.pit import coverage_table, pit_values
from sklearn_pttf._series.found import SharedOverTime
from sklearn_pttf.inspection._calibration_display import CalibrationDisplay
from sklearn_pttf.inspection._series_display import SeriesDisplay
from sklearn_pttf.inspection._transfer_curve_display import TransferCurveDisplay

__all__ = [
    "CalibrationDisplay",
    "SeriesDisplay",
    "SharedOverTime",
    "TransferCurveDisplay",
    "coverage_table",
    "pit_values",
]
