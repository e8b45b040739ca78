"""How likely outcomes were by their laws, whether these are continuous or whole numbers."""

import numpy as np

NEAR = 0.05  # of an amount, that it stands for either way
LEAST_MASS = 1e-9  # of an outcome under any law: one alone does not decide


def log_mass(law, outcomes, capped, whole):
    """Log probability of outcomes, or of so much at least where they are capped.

    Parameters
    ----------
    law : PredictiveDistribution
        Of n rows.

    outcomes : ndarray of shape (n,)

    capped : ndarray of bool of shape (n,)

    whole : bool
        Whether outcomes are whole numbers; others stand for what is within 5 % of them.

    Returns
    -------
    ndarray of shape (n,)
    """
    below, above = outcomes - 1, outcomes
    if not whole:
        below, above = outcomes * (1 - NEAR), outcomes * (1 + NEAR)
    low = np.where(outcomes > 0, law.cdf(np.maximum(below, 0.0)), 0.0)
    mass = np.where(capped, 1.0, law.cdf(above)) - low
    return np.log(np.maximum(mass, LEAST_MASS))
