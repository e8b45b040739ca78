"""Data sets: three classical tables, a generator, and the way in from a sales file."""

from sklearn_pttf.datasets._calendar_drivers import calendar_drivers
from sklearn_pttf.datasets._generators import make_demand_portfolio
from sklearn_pttf.datasets._loaders import load_baseball, load_horse_kicks, load_rat_tumors
from sklearn_pttf.datasets._long import from_long

__all__ = [
    "calendar_drivers",
    "from_long",
    "load_baseball",
    "load_horse_kicks",
    "load_rat_tumors",
    "make_demand_portfolio",
]
