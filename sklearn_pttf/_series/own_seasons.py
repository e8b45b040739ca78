"""How rows differ in their season: factors of every row's own phases, around what all share."""

import numpy as np
from scipy.special import xlogy

DOUBTS = (10.0, 3.0, 1.0, 0.3)  # periods of the usual phase, that a phase is averaged with
FEWEST_PERIODS = 2  # after a first season, that own phases are judged by
LEAST_GAIN = 0.01  # of the deviance, for own phases to be believed
PULL = 0.1  # observations of the usual level, that levels are averaged with
MOST_ROWS = 3000  # that they are judged by


def find_own_doubt(x, length):
    """How far rows' own phases are believed, by one-step forecasts of all rows.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Observations at the usual conditions, NaN where missing.

    length : int
        Number of periods after which seasons come back.

    Returns
    -------
    float or None
        Number of periods of the usual phase that each phase is averaged with; None where own
        phases do not forecast better.
    """
    x = x[:: -(-len(x) // MOST_ROWS)]
    if x.shape[1] < length + FEWEST_PERIODS or not np.nansum(x) > 0:
        return None
    losses = [_deviance(x, length, doubt) for doubt in (np.inf, *DOUBTS)]
    best = int(np.argmin(losses))
    return DOUBTS[best - 1] if losses[best] < (1 - LEAST_GAIN) * losses[0] else None


def own_phases(x, length, doubt):
    """Factors of rows' own phases.

    They are what a row had in a phase over its mean, averaged with ``doubt`` periods of 1.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Observations at the usual conditions, NaN where missing.

    length : int

    doubt : float

    Returns
    -------
    past : ndarray of shape (n, m)
        By all other observations, as the coming period will not be among those that tell of it.

    coming : ndarray of shape (n, length)
        Of the next periods, one season long.
    """
    n_rows, n_periods = x.shape
    seen, values = ~np.isnan(x), np.nan_to_num(x)
    level = values.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    ratios = np.divide(values, level[:, None], out=seen.astype(float), where=level[:, None] > 0)
    sums, numbers = np.zeros((2, n_rows, length))
    phases = np.arange(n_periods) % length
    for phase in range(min(length, n_periods)):
        at = phases == phase
        sums[:, phase], numbers[:, phase] = ratios[:, at].sum(axis=1), seen[:, at].sum(axis=1)
    past = (sums[:, phases] - ratios * seen + doubt) / (numbers[:, phases] - seen + doubt)
    ahead = (n_periods + np.arange(length)) % length
    return past, (sums[:, ahead] + doubt) / (numbers[:, ahead] + doubt)


def _deviance(x, length, doubt):
    """Poisson deviance of forecasts from means and own phases before each period."""
    seen, values = ~np.isnan(x), np.nan_to_num(x)
    usual = values.sum() / seen.sum()
    sums, numbers = np.zeros((2, len(x), length))
    loss = 0.0
    for t in range(x.shape[1]):
        phase, number, total = t % length, numbers.sum(axis=1), sums.sum(axis=1)
        if t >= length:
            mean = (total + PULL * usual) / (number + PULL)
            if np.isfinite(doubt):
                level = np.where(total > 0, total / np.maximum(number, 1), 1.0)
                own = (sums[:, phase] / level + doubt) / (numbers[:, phase] + doubt)
                mean = mean * np.where(total > 0, own, 1.0)
            y, mean = values[seen[:, t], t], mean[seen[:, t]]
            loss += 2 * (xlogy(y, y / mean) - (y - mean)).sum()
        sums[:, phase] += values[:, t]
        numbers[:, phase] += seen[:, t]
    return loss
