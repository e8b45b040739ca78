"""Rows that sold in nearly all periods and have stopped: gone, or out of stock?

A table tells itself how rows went on after so many periods without sales: every period of every
such silence is one case. Where few came back, a row's law gets the rest of its zeros.
"""

from typing import NamedTuple

import numpy as np

USUAL = 0.8  # share of periods with sales, before a silence that is one
FEWEST_BEFORE = 3  # periods that it is told from
FIRST_PERIODS = np.array([1, 2, 3, 4, 6, 9])  # of silences that are taken together
BACK = np.array([0.95, 0.8, 0.65, 0.55, 0.45, 0.35])  # share that comes back, before any is seen
CASES = 2.0  # that this counts as
LEAST_EXPOSURE = 0.1  # of usual conditions, below which no sale is no silence
MOST = 0.999  # of a law that is put on zero
BELOW = 0.5  # of its mean, that a law is below zero by where it is zero


class Silence(NamedTuple):
    """How rows go on after a silence."""

    back: np.ndarray  # (6,), share with sales in the next period, by how long it has been

    @classmethod
    def of(cls, portfolio):
        """Of all silences in a table."""
        came, cases = np.zeros(len(BACK)), np.zeros(len(BACK))
        sales, runs = _silences(portfolio)
        judged = (runs[:, :-1] > 0) & ~np.isnan(sales)
        place = np.searchsorted(FIRST_PERIODS, runs[:, :-1][judged], side="right") - 1
        np.add.at(came, place, sales[judged] > 0)
        np.add.at(cases, place, 1.0)
        return cls((came + CASES * BACK) / (cases + CASES))

    def law(self, law, portfolio):
        """Laws with the zeros that rows which have stopped are due; `QuantileGrid`."""
        runs = _silences(portfolio)[1][:, -1]
        silent = runs > 0
        if not silent.any():
            return law
        place = np.searchsorted(FIRST_PERIODS, np.maximum(runs, 1), side="right") - 1
        sold = np.maximum(1 - law.cdf(np.zeros(len(law))), 1 - MOST)
        share = np.where(silent, np.clip(1 - self.back[place] / sold, 0.0, MOST), 0.0)
        if not share.any():
            return law
        return law.with_quantiles(_with_zeros(law, share))


def _silences(portfolio):
    """Sales of every period, and how long rows have been silent before it, 0 if not so.

    Returns
    -------
    sales : ndarray of shape (n, m)

    runs : ndarray of int of shape (n, m + 1)
        The last is that of the period that is coming.
    """
    sales = np.where(portfolio.exposures() < LEAST_EXPOSURE, np.nan, portfolio.observations)
    sold, quiet = (each.cumsum(axis=1) for each in (sales > 0, sales == 0))
    quiet_when_sold = np.maximum.accumulate(np.where(sales > 0, quiet, 0), axis=1)
    seen, runs = sold + quiet_when_sold, quiet - quiet_when_sold
    usual = (seen >= FEWEST_BEFORE) & (sold >= USUAL * seen)
    return sales, np.pad(np.where(usual, runs, 0), ((0, 0), (1, 0)))


def _with_zeros(law, share):
    """Quantiles at the same levels, of mixtures with so much at zero; (n, k)."""
    share = share[:, None]
    others = np.clip((law.levels - share) / (1 - share), law.levels[0], law.levels[-1])
    place = np.interp(others, law.levels, np.arange(len(law.levels)))
    lower = np.minimum(place.astype(int), len(law.levels) - 2)
    low, high = (np.take_along_axis(law.quantiles, at, axis=1) for at in (lower, lower + 1))
    above = low + (place - lower) * (high - low)
    width = BELOW * np.maximum(law.mean(), 0.0)[:, None]
    missing = 1 - law.levels / np.maximum(share, law.levels)
    below = np.minimum(law.quantiles[:, :1], 0.0) - width * missing
    return np.maximum.accumulate(np.where(law.levels > share, above, below), axis=1)
