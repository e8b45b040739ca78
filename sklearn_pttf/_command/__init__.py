"""From files of sales to files of orders, and to reports: the work behind the commands."""

from sklearn_pttf._command._backtest import backtest_file
from sklearn_pttf._command._decide import decide_file
from sklearn_pttf._command._replenish import replenish_file

__all__ = ["COMMANDS"]

COMMANDS = {"decide": decide_file, "replenish": replenish_file, "backtest": backtest_file}
