"""Decision problems: what is decided, and what it costs."""

from sklearn_pttf.problems._base import DecisionProblem
from sklearn_pttf.problems._newsvendor import Newsvendor

__all__ = ["DecisionProblem", "Newsvendor"]
