"""Logistic laws as grids of quantiles."""

import numpy as np
from scipy.special import expit, logit

from sklearn_pttf._laws.grid import QuantileGrid

LEVELS = expit(np.linspace(-5, 5, 9))


def logistic_grid(middle, scale, levels=LEVELS, integer=False):
    """One row a middle: logistic laws, which the grid holds without error."""
    middle = np.atleast_1d(np.asarray(middle, dtype=float))
    return QuantileGrid(middle[:, None] + scale * logit(levels), levels, integer)
