"""Looking at predictive laws: are they right?"""

from sklearn_pttf.inspection._calibration_display import CalibrationDisplay
from sklearn_pttf.inspection._pit import coverage_table, pit_values

__all__ = ["CalibrationDisplay", "coverage_table", "pit_values"]
