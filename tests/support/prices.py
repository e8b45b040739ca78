"""Tensors of prices, and the units of rows of them."""

import torch

from sklearn_pttf._kinds.prices.units import pairs_of, placed_rows, price_units


def double(value):
    return torch.tensor(value, dtype=torch.float64)


def units_and_rows(demand, prices, whole=0.0):
    demand, prices = double(demand)[None], double(prices)[None]
    weights = torch.ones(demand.shape[:2], dtype=torch.float64)
    pairs = pairs_of(demand, prices)
    units = price_units([pairs], [weights], torch.full_like(weights[:, :1], whole))
    return units, placed_rows(pairs, units)
