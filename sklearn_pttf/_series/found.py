"""What a table in the order of time tells of its periods and drivers, for its users to read."""

from dataclasses import dataclass

import numpy as np

from sklearn_pttf._series.conditions import are_switches
from sklearn_pttf._series.course import peak_kernel, season_kernel


@dataclass(frozen=True, eq=False)
class SharedOverTime:
    """What all rows of a table in the order of time share, as decisions take it.

    It is the ``shared_effects_`` of a fitted estimator. Arrays are NaN where no use is made of
    what they would tell; ``uses`` says of what it is. Standard errors are those of a normal law.

    Parameters
    ----------
    drivers : tuple of str
        Names of the drivers.

    effects, standard_errors : ndarray of shape (n_drivers,)
        By how much the logarithm of demand changes with one unit of each driver, the others being
        equal. NaN also for a driver that never varies within a row. An effect of 0.69 doubles
        demand; that of a driver that is a logarithm itself, such as a log price, is an elasticity.

    spreads : ndarray of shape (n_drivers,)
        Standard deviation of each driver within rows, in its unit; NaN as ``effects``.

    switches : ndarray of bool, of shape (n_drivers,)
        Whether a driver is only ever 0 or 1.

    factors, factor_errors : ndarray of shape (n_periods,)
        Logarithm of what the rows of every observed period have in common beside drivers, relative
        to the mean of these periods.

    coming, coming_errors : ndarray of shape (n_ahead,)
        Likewise, of the coming periods.

    seasons, season_errors : dict of int to ndarray
        For every season, by its length, its part in the logarithm of demand in the coming periods,
        one for each of them until it comes back. They have mean 0.

    uses : tuple of str
        What is made use of: "factors", "drivers", both or none. It is what foretold the newest
        periods of the same table best, and nothing where the table shows no change.

    See Also
    --------
    sklearn_pttf.inspection.SeriesDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.problems import Newsvendor
    >>> rng = np.random.default_rng(0)
    >>> on = rng.integers(0, 2, size=(200, 9))
    >>> X = np.hstack([rng.poisson(20 * 2.0 ** on[:, :8]), on])  # a promotion doubles demand
    >>> problem = Newsvendor(4.0, 1.0, drivers={"promotion": range(8, 17)})
    >>> pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    >>> shared = pdt.shared_effects_
    >>> shared.uses
    ('drivers',)
    >>> np.exp(shared.effects).round(1)
    array([2.])
    """

    drivers: tuple
    effects: np.ndarray
    standard_errors: np.ndarray
    spreads: np.ndarray
    switches: np.ndarray
    factors: np.ndarray
    factor_errors: np.ndarray
    coming: np.ndarray
    coming_errors: np.ndarray
    seasons: dict
    season_errors: dict
    uses: tuple

    def __repr__(self):
        return (
            f"{type(self).__name__}(drivers={self.drivers}, n_periods={len(self.factors)}, "
            f"uses={self.uses})"
        )


def shared_over_time(conditions, portfolio, names):
    """`SharedOverTime` of the table that conditions were read from.

    Parameters
    ----------
    conditions : Conditions

    portfolio : Portfolio
        What they were read from.

    names : sequence of str
        Of its drivers.
    """
    names, found, look = tuple(map(str, names)), conditions.forecast, conditions.look
    driven = bool(names) and look.drivers and conditions.found
    told = dict.fromkeys(("effects", "standard_errors", "spreads"), np.full(len(names), np.nan))
    switches = are_switches(portfolio.drivers if names else None)
    if driven:
        told |= _effects(found, conditions.spread)
    shared, seasons, season_errors = _no_factors(conditions), {}, {}
    factored = look.factors and conditions.found
    if factored:
        shared = _factors(found)
        seasons, season_errors = _seasons(found)
    used = {"factors": factored, "drivers": driven and np.isfinite(told["effects"]).any()}
    return SharedOverTime(
        drivers=names,
        **told,
        switches=switches,
        **shared,
        seasons=seasons,
        season_errors=season_errors,
        uses=tuple(name for name, is_used in used.items() if is_used),
    )


def _effects(found, spread):
    """Effects a unit of every driver, and their standard errors; those that never vary are NaN."""
    d = found.n_drivers
    unit = np.where(np.isinf(spread), np.nan, spread)
    errors = np.sqrt(np.diag(found.covariance)[:d])
    return {"effects": found.mean[:d] / unit, "standard_errors": errors / unit, "spreads": unit}


def _no_factors(conditions):
    past, ahead = (np.full(n, np.nan) for n in (conditions.n_periods, conditions.ahead))
    return {"factors": past, "factor_errors": past, "coming": ahead, "coming_errors": ahead}


def _factors(found):
    """Log factors of all periods, less the mean of the past ones, and their standard errors."""
    d, n = found.n_drivers, found.n_periods
    road = np.eye(len(found.mean))[d:]
    road[:, d : d + n] -= 1 / n
    mean, errors = road @ found.mean, _deviations(road @ found.covariance @ road.T)
    return {
        "factors": mean[:n],
        "factor_errors": errors[:n],
        "coming": mean[n:],
        "coming_errors": errors[n:],
    }


def _seasons(found):
    """The part of every season in the coming periods, and its standard errors; two dicts."""
    d, n = found.n_drivers, found.n_periods
    times = np.arange(n)
    inverse = np.linalg.inv(found.prior[:n, :n])
    mean, known = found.mean[d : d + n], found.covariance[d : d + n, d : d + n]
    parts, errors = {}, {}
    for length in found.seasons:
        coming, size = n + np.arange(length), found.deviations[length] ** 2
        centred = np.eye(length) - 1 / length
        with_past, own = (
            size * season_kernel(np.abs(coming[:, None] - other), length)
            + _peaks(found, length, coming, other)
            for other in (times, coming)
        )
        gain = centred @ with_past @ inverse
        parts[length] = gain @ mean
        left = centred @ own @ centred - gain @ with_past.T @ centred + gain @ known @ gain.T
        errors[length] = _deviations(left)
    return parts, errors


def _peaks(found, length, times, others):
    """Covariance of what single periods of a season have beside its smooth course, at two times."""
    alike = peak_kernel(np.abs(times[:, None] - others), length)
    sizes = found.peaks.get(length, ())
    return sum(size[times % length, None] * alike * size[others % length] for size in sizes)


def _deviations(covariance):
    return np.sqrt(np.maximum(np.diag(covariance), 0.0))
