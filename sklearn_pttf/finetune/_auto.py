"""The strategy that the size of the table asks for."""

from sklearn_pttf.finetune._full import FullFinetune
from sklearn_pttf.finetune._head import HeadFinetune

FEW_ROWS, MANY_ROWS = 150, 1000


def auto_strategy(n_rows):
    """The strategy for a number of rows that can be charged; None below 150.

    With fewer rows what training gains is less than what the guard can tell from chance.
    """
    if n_rows < FEW_ROWS:
        return None
    return HeadFinetune() if n_rows < MANY_ROWS else FullFinetune()
