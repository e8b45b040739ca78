"""How cost falls as a portfolio grows, and why."""

from sklearn_pttf.model_selection._transfer_curve import transfer_curve

__all__ = ["transfer_curve"]
