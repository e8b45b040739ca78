"""Demand in the order of time, at the conditions of the coming period."""
