"""Features by name: what kinds of outcomes share when they tell a network of rows.

A group of features is a NamedTuple, whose fields stand in the order that weights were learned in:
an order that cannot change, nor can a feature be added, without training anew.
"""

import torch

# what features of a wide range are divided by, so that all are about as large as each other before
# anything is learned; chosen by eye, and weights were learned with them
WIDE, WIDEST = 3.0, 4.0
FAR = 10.0  # deviations from what is common, beyond which a row is as odd as any
N_ORDER_STATISTICS = 8  # of a row, the least and the largest among them; fewer cells repeat
ORDER_STATISTICS = tuple(f"order_statistic_{k}" for k in range(N_ORDER_STATISTICS))


def side_by_side(features):
    """Named features of shape ``(...)`` as one tensor ``(..., n)``, in the order of their names."""
    return torch.stack(tuple(features), dim=-1)


def order_statistics(values, count):
    """Values of sorted rows ``(B, N, n)`` at even shares of their number; ``(B, N, 8)``."""
    last = (count - 1).clamp_min(0).unsqueeze(-1)
    shares = torch.linspace(0, 1, N_ORDER_STATISTICS, dtype=values.dtype, device=values.device)
    position = last * shares
    lower = position.floor()
    upper = torch.minimum(lower + 1, last)
    low, high = (values.gather(-1, at.long()) for at in (lower, upper))
    return torch.lerp(low, high, position - lower)
