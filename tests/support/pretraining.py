"""Runs of pretraining that take a moment."""

import numpy as np

from sklearn_pttf import SyntheticPrior
from support.networks import TINY

PRIOR = SyntheticPrior(level=(1.0, 20.0), noise_families=("poisson",))
SMALL = {"network": TINY, "rows": 50, "verbose": 0}
TINY_NETWORK = """
[network]
width = 16
n_layers = 1
n_tokens = 4
n_heads = 2
observation_width = 8
"""  # of a recipe, as `TINY`
ROUNDS = {**SMALL, "n_steps": 11, "round_steps": 4}  # the last round is shorter


def same_weights(a, b):
    return a.weights.keys() == b.weights.keys() and all(
        np.array_equal(a.weights[name], b.weights[name]) for name in a.weights
    )
