"""From a file of sales to a file of orders: the work behind the command ``decide``."""

from sklearn_pttf._command._decide import decide_file

__all__ = ["decide_file"]
