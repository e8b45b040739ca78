"""What demand leaves of a stock."""

import numpy as np

from sklearn_pttf._utils.rounding import ROUNDED


def not_below_by_rounding(left, demand):
    """What demand leaves of a stock, as 0 where only rounding makes it negative; arrays alike."""
    return np.where((left < 0) & (left >= -ROUNDED * demand), 0.0, left)
