"""Demand: amounts that are never negative."""
