"""Which rows make a portfolio, which of them are charged, and on what."""

from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import check_cv


class Draw(NamedTuple):
    """Rows in the order in which portfolios take them."""

    rows: np.ndarray  # positions in X; a portfolio of N has the first N
    n_common: int  # the first so many are in every portfolio


def random_draws(n_draws, n_rows, n_common, seed):
    """Draws of random rows; list of `Draw`.

    Common rows of different draws are disjoint as far as there are enough rows. Draw k does
    not depend on how many draws there are.
    """
    order = np.random.default_rng([seed, 0]).permutation(n_rows)
    draws = []
    for k in range(n_draws):
        common = order.take(np.arange(k * n_common, (k + 1) * n_common), mode="wrap")
        draws.append(_draw(common, np.arange(n_rows), seed, k))
    return draws


def split_draws(cv, X, sizes, seed):
    """Draws whose common rows are the test rows of a splitter; list of `Draw`."""
    draws = []
    for k, (train, test) in enumerate(check_cv(cv).split(X)):
        draw = _draw(np.asarray(test), train, seed, k)
        if not 1 <= draw.n_common <= sizes[0]:
            raise ValueError(
                f"test rows of cv are in every portfolio, so there must be 1 to {sizes[0]} of "
                f"them, the smallest of n_instances; got {draw.n_common} in split {k}."
            )
        if len(draw.rows) < sizes[-1]:
            raise ValueError(
                f"n_instances must not exceed the {len(draw.rows)} rows of split {k} of cv; got "
                f"{sizes[-1]}."
            )
        draws.append(draw)
    if not draws:
        raise ValueError(f"cv must give at least one split; got none from {cv!r}.")
    return draws


def make_draws(cv, X, sizes, seed):
    """Draws of random rows for a whole number, of a splitter's rows otherwise."""
    if isinstance(cv, Integral):
        return random_draws(cv, len(X), sizes[0], seed)
    return split_draws(cv, X, sizes, seed)


def _draw(common, others, seed, k):
    rng = np.random.default_rng([seed, 1, k])
    return Draw(
        np.concatenate([common, rng.permutation(np.setdiff1d(others, common))]), len(common)
    )


def hold_out(observations, seed, demand=None):
    """One random observation of every row that has at least two.

    Parameters
    ----------
    observations : ndarray of shape (n, m)

    seed : int

    demand : ndarray of shape (n, m), default=None
        What outcomes are instead of observations, where stock capped these.

    Returns
    -------
    evidence : ndarray of shape (n, m)
        NaN where held out.

    outcomes : ndarray of shape (n, 1)
        What was held out; NaN where nothing was.
    """
    seen = ~np.isnan(observations)
    keys = np.random.default_rng([seed, 2]).random(seen.shape)
    cells = np.where(seen, keys, -1.0).argmax(axis=1)
    rows = np.flatnonzero(seen.sum(axis=1) > 1)
    if len(rows) == 0:
        raise ValueError(
            "y=None holds out an observation of every row that has two, and no row of X has: give "
            "y, later outcomes to charge decisions on."
        )
    evidence, outcomes = observations.copy(), np.full((len(observations), 1), np.nan)
    outcomes[rows, 0] = (observations if demand is None else demand)[rows, cells[rows]]
    evidence[rows, cells[rows]] = np.nan
    return evidence, outcomes
