"""Decision problems: what is decided, and what it costs."""

from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._estimation import Estimation
from sklearn_pttf.problems._limit import PerRow
from sklearn_pttf.problems._newsvendor import Newsvendor
from sklearn_pttf.problems._orders import order_quantity
from sklearn_pttf.problems._pricing import Pricing
from sklearn_pttf.problems._replenishment import Replenishment
from sklearn_pttf.problems._selection import Selection

__all__ = [
    "DecisionProblem",
    "Estimation",
    "Newsvendor",
    "PerRow",
    "Pricing",
    "Replenishment",
    "Selection",
    "order_quantity",
]
