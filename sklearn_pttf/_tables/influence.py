"""Rows so far out that one of them would outweigh all others.

A context is moments over rows. A single row of wrong units, or one wild observation, may hold more
of the variance between rows, or of the noise within, than all others together. Such a row is
decided from the others like any later row, but they are not decided from it.
"""

import numpy as np

FEWEST_ROWS = 10
N_ROUNDS = 3  # of taking the rest anew, as one row may hide another
LEAST_DEVIATIONS = 3.5  # from the others' mean, of a row that is far out
MOST_OF_SPREAD = 0.2  # variance that a row may add, as a share of that of all others
FURTHER_DOWN = 2.0  # as means of a few noisy amounts reach further down than up
MOST_OF_NOISE = 0.25  # likewise
LEAST_NOISE = 8.0  # times that of the others' mean, of a row that is left out for it
LEAST_SPREAD = (0.25, 0.75)  # of log levels; of whole numbers, whose levels are a few steps apart
PULL = 0.25  # pseudo-observations of the usual size in a row's level
LEAST_LEFT = 0.75  # of all that is above 0, for any row to be left out
LEAST_RANGE = 5.0  # largest over smallest price of a row that may be left out for it


def typical_rows(portfolio):
    """Rows that have their share of influence at most; bool ndarray of shape (n,).

    Parameters
    ----------
    portfolio : Portfolio
        Of amounts.
    """
    observations, integer = portfolio.observations, portfolio.integer
    seen = ~np.isnan(observations)
    count = seen.sum(axis=1)
    kept = count > 0
    if kept.sum() < FEWEST_ROWS:
        return np.ones(len(observations), dtype=bool)
    amounts = np.where(seen, observations, 0.0)
    positive = amounts > 0
    unit = np.median(amounts[positive]) if positive.any() else 1.0
    level = (amounts.sum(axis=1) / unit + PULL) / (count + PULL)
    mean = amounts.sum(axis=1) / np.maximum(count, 1)
    away = np.where(seen, observations - mean[:, None], 0.0)
    squares = (away**2).sum(axis=1) / (level * unit) ** 2
    logs = np.log(level)
    further_down = 1.0
    if not integer:  # whole numbers are a few steps apart, others may be of any size
        further_down = FURTHER_DOWN
        logs = np.where(mean > 0, np.log(np.where(mean > 0, mean / unit, 1.0)), logs)
    for _ in range(N_ROUNDS):
        kept = (count > 0) & ~_far_out(logs, kept, LEAST_SPREAD[bool(integer)], further_down)
        kept &= ~_noisy(squares, kept)
    if positive[kept].sum() < LEAST_LEFT * positive.sum():
        return np.ones(len(observations), dtype=bool)  # there is hardly anything to judge by
    return kept | (count == 0)


def typical_priced_rows(portfolio):
    """`typical_rows` by their amounts and by their prices.

    Parameters
    ----------
    portfolio : Portfolio
        Of demand at prices.
    """
    kept = typical_rows(portfolio)
    return kept & ~_far_prices(portfolio, kept) if kept.sum() >= FEWEST_ROWS else kept


def _without_each(values, kept):
    """Sums over kept rows other than each row, of values and of their squares, and their number."""
    own = np.where(kept, values, 0.0)
    return own.sum() - own, (own**2).sum() - own**2, kept.sum() - kept


def _far_out(logs, kept, least, further_down=1.0):
    """Rows far from all others, as a square by so many times more where they lie below."""
    total, squares, number = _without_each(logs, kept)
    mean = total / number
    variance = np.maximum(squares / number - mean**2, least**2)
    most = np.maximum(LEAST_DEVIATIONS**2, MOST_OF_SPREAD * number) * variance
    return (logs - mean) ** 2 > np.where(logs < mean, further_down * most, most)


def _noisy(squares, kept):
    """Rows with as much noise as a good part of all others together."""
    others, _, number = _without_each(squares, kept)
    return (squares > np.maximum(MOST_OF_NOISE, LEAST_NOISE / number) * others) & (others > 0)


def _far_prices(portfolio, kept):
    """Rows whose usual price is far out, or whose prices differ beyond belief.

    These outweigh those of the others.
    """
    seen = ~np.isnan(portfolio.prices)
    logs = np.log(np.where(seen, portfolio.prices, 1.0))
    mean = logs.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    away = np.where(seen, logs - mean[:, None], 0.0)
    beyond = np.ptp(away, axis=1) > np.log(LEAST_RANGE)
    beyond &= _noisy((away**2).sum(axis=1), kept)
    return beyond | (_far_out(mean, kept & seen.any(axis=1), LEAST_SPREAD[0]) & seen.any(axis=1))
