"""Decision problems: what is decided, and what it costs."""

from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._limit import PerRow
from sklearn_pttf.problems._newsvendor import Newsvendor
from sklearn_pttf.problems._orders import order_quantity

__all__ = ["DecisionProblem", "Newsvendor", "PerRow", "order_quantity"]
