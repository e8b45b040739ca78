"""What a kind of outcomes is: how a network reads it, and which head answers.

A kind turns observations, and what is known beside them (standard errors, or prices), into rows,
context rows into units, rows and units into rows that are placed in their portfolio, and these
into features; the network itself is the same for all. ``of_means`` says whether its head gives the
law of every row's mean too. ``counted`` says which rows others learn from, and ``levelled``, if
there is one, gives the units once the laws of the context are known.
"""

import torch


class Kind:
    """What kinds have in common; most rows need no place in their portfolio."""

    of_means = False
    levelled = None

    @staticmethod
    def placed(rows, units):
        return rows

    @staticmethod
    def counted(rows, units):
        """All rows; bool (B, N)."""
        return torch.ones_like(rows.count, dtype=torch.bool)
