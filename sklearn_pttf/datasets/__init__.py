"""Data sets: two classical tables, a generator, and the way in from a sales file."""

from sklearn_pttf.datasets._generators import make_demand_portfolio
from sklearn_pttf.datasets._loaders import load_baseball, load_horse_kicks
from sklearn_pttf.datasets._long import from_long

__all__ = ["from_long", "load_baseball", "load_horse_kicks", "make_demand_portfolio"]
