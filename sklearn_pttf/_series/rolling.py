"""Rolling the origin of a table in the order of time: what was known before its newest periods."""

import warnings
from dataclasses import replace

import numpy as np


def continued(table, outcomes):
    """A table and later outcomes ``(n, k)`` as one; drivers beyond what is planned are not known.

    Warns with a `UserWarning` of such.
    """
    longer = table.with_observations(np.hstack([table.observations, outcomes]))
    if table.drivers is None:
        return longer
    n_new, n_planned = outcomes.shape[1], table.planned.shape[1]
    drivers = longer.drivers.copy()
    drivers[:, table.observations.shape[1] + n_planned :] = np.nan
    if n_new > n_planned:
        warnings.warn(
            f"y has {n_new} periods, and drivers are planned for {n_planned}: those of later "
            "periods are taken for usual ones. Append y to X, with its drivers, to have them told.",
            stacklevel=4,
        )
    return replace(longer, drivers=drivers, planned=np.full_like(table.planned, np.nan))


def newest_period(conditions, table):
    """What was known before the newest period, at the conditions that it had, and its outcomes.

    Of these rows share the conditions only: what one has of its own is told by the others.

    Parameters
    ----------
    conditions : Conditions
        Of all periods of the table.

    table : Portfolio

    Returns
    -------
    evidence : Portfolio

    outcomes : ndarray of shape (n, 1)
    """
    newest = table.observations.shape[1] - 1
    hidden = table.observations.copy()
    hidden[:, newest] = np.nan
    told = conditions.at(replace(table, observations=hidden), 1)
    evidence = replace(told.before(newest, 1), doubt=None)
    return evidence, of_known_rows(evidence, table.observations[:, newest])


def of_known_rows(before, outcomes):
    """Outcomes of rows that have been observed before; ndarray of shape (n, 1)."""
    return np.where(before.counts > 0, outcomes, np.nan)[:, None]
