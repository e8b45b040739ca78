"""Looking at predictive laws and at transfer: are laws right, and what makes cost fall?"""

from sklearn_pttf._laws.pit import coverage_table, pit_values
from sklearn_pttf.inspection._calibration_display import CalibrationDisplay
from sklearn_pttf.inspection._transfer_curve_display import TransferCurveDisplay

__all__ = ["CalibrationDisplay", "TransferCurveDisplay", "coverage_table", "pit_values"]
