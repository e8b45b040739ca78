"""What hyperparameters of demand may be, and how they are drawn."""

from typing import ClassVar

import numpy as np

from sklearn_pttf._kinds.demand.sampler import COUNT_FAMILIES, NOISE_FAMILIES, SPREAD_FAMILIES
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule

RANGES = {
    "level": RangeRule(1e-3, 1e8, log=True),
    "spread": RangeRule(1e-3, 4.0, log=True, peaked=True),
    "noise": RangeRule(0.01, 4.0, log=True, peaked=True),
    "noise_spread": RangeRule(0.0, 1.5),
    "zero_rate": RangeRule(0.0, 0.99),
    "zero_concentration": RangeRule(0.5, 1e4, log=True),
    "bulk_rate": RangeRule(0.0, 1.0, log=True),
    "bulk_size": RangeRule(0.0, 1e4, log=True),
    "order_rate": RangeRule(0.01, 100.0, log=True),
    "order_dispersion": RangeRule(0.05, 5.0, log=True),
    "missing": RangeRule(0.0, 0.95),
    "n_instances": RangeRule(1, 100_000, log=True, whole=True),
    "n_observations": RangeRule(0, 10_000, log=True, whole=True),
}
FAMILIES = {"spread_families": SPREAD_FAMILIES, "noise_families": NOISE_FAMILIES}
SHARES = ("whole_share", "intermittent_share", "bulk_share", "ragged_share")


class DemandHyperPrior(HyperPrior):
    """Checked hyperpriors of all the parameters that a portfolio of demand is drawn with."""

    rules: ClassVar = RANGES
    known_families: ClassVar = FAMILIES
    known_shares: ClassVar = SHARES

    def _settle(self, hyper, happens):
        counts = [NOISE_FAMILIES.index(family) for family in COUNT_FAMILIES]
        hyper["whole"] = happens["whole_share"] | np.isin(hyper["noise_family"], counts)
        hyper["intermittent"] = happens["intermittent_share"]
        hyper["bulk"] = happens["bulk_share"]
        return hyper
