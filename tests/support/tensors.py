"""Arrays and tensors of a table."""

import numpy as np
import torch


def column_numbers(shape):
    """The number of its column, in every cell."""
    return np.broadcast_to(np.arange(shape[1]), shape)


def batched(values):
    """A batch of one portfolio."""
    return torch.tensor(np.asarray(values, dtype=float))[None]
