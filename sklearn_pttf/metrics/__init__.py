"""What decisions cost, and how far from the best they are."""

from sklearn_pttf.metrics._decisions import decision_cost, prescriptiveness, regret
from sklearn_pttf.metrics._scorer import make_decision_scorer

__all__ = ["decision_cost", "make_decision_scorer", "prescriptiveness", "regret"]
