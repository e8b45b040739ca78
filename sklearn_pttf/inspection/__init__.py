"""Looking at laws, transfer, time and costs: are laws right, what are decisions worth?"""

from sklearn_pttf._laws.pit import coverage_table, pit_values
from sklearn_pttf._series.found import SharedOverTime
from sklearn_pttf._tables.attributes import AttributeEffect
from sklearn_pttf.inspection._backtest_display import BacktestDisplay
from sklearn_pttf.inspection._calibration_display import CalibrationDisplay
from sklearn_pttf.inspection._decision_display import DecisionDisplay
from sklearn_pttf.inspection._decision_report import decision_report
from sklearn_pttf.inspection._series_display import SeriesDisplay
from sklearn_pttf.inspection._transfer_curve_display import TransferCurveDisplay

__all__ = [
    "AttributeEffect",
    "BacktestDisplay",
    "CalibrationDisplay",
    "DecisionDisplay",
    "SeriesDisplay",
    "SharedOverTime",
    "TransferCurveDisplay",
    "coverage_table",
    "decision_report",
    "pit_values",
]
