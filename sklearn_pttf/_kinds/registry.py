"""The kinds of outcomes that networks are made for, by their names in checkpoints."""

from sklearn_pttf._kinds.counts.kind import Counts
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.prices.kind import Priced
from sklearn_pttf._kinds.values.kind import RealValued

KINDS = {"demand": Demand, "real": RealValued, "counts": Counts, "price": Priced}
