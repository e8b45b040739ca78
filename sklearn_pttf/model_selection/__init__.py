"""How cost falls as a portfolio grows, and what decisions would have cost in the past."""

from sklearn_pttf.model_selection._backtest import backtest
from sklearn_pttf.model_selection._backtest_result import BacktestResult, BacktestSummary
from sklearn_pttf.model_selection._transfer_curve import transfer_curve

__all__ = ["BacktestResult", "BacktestSummary", "backtest", "transfer_curve"]
