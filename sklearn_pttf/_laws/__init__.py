"""Predictive distributions: the laws of next outcomes, of means and of totals."""
