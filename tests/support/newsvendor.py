"""Costs of a newsvendor as they are read."""

import numpy as np


def read_costs(problem, n_rows=2):
    return problem.read_costs(np.ones((n_rows, 1)))
