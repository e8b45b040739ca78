"""What of a table in the order of time is made use of: what foretold its newest periods best."""

from dataclasses import fields, replace
from itertools import product

import joblib
import numpy as np

from sklearn_pttf._series.conditions import Conditions, Look

MOST_ORIGINS = 12  # newest periods that are foretold, half of the table at most
MOST_PERIODS = 1200  # that these are foretold from, in all: fewer origins of long tables
FEWEST_ORIGINS = 3
FEWEST_PERIODS = 4  # of a table in which any are
MOST_ROWS = 3000  # on which it is tried
LEAST_GAIN = 0.005  # of the error, that leaving something out has to gain
CONVINCING = 1.0  # likewise, in standard errors of it
NOT_SEEN = 2.0  # likewise, where a season is longer than what is foretold, which cannot show it
LEAST_EXPOSURE = 1e-3  # that a level is taken over
MOST_KEPT = 1000  # errors of a period, which fits to the same rows and to later periods ask again
NOT_ASKED = (
    "costs",
    "constraints",
    "outcomes",
    "parameters",
    "attributes",
)  # what errors do not depend on
_kept = {}  # by a hash of all that they depend on


def chosen_conditions(portfolio, horizon):
    """`Conditions` with what foretold the newest periods best, on nothing later than they knew.

    Parameters
    ----------
    portfolio : Portfolio
        In the order of time, or with drivers.

    horizon : int

    Returns
    -------
    Conditions
    """
    width = portfolio.observations.shape[1]
    looks = _looks(portfolio)
    if width < FEWEST_PERIODS or len(looks) == 1:
        return Conditions(portfolio, horizon)
    some = portfolio.take(slice(None, None, -(-len(portfolio) // MOST_ROWS)))
    number = min(MOST_ORIGINS, max(FEWEST_ORIGINS, MOST_PERIODS // width), width // 2)
    origins = range(width - number, width)
    errors = np.array([_errors(some, origin, looks) for origin in origins])
    errors = errors[np.isfinite(errors).all(axis=1)]
    if not len(errors):
        return Conditions(portfolio, horizon)
    convincing = NOT_SEEN if _longest(portfolio.seasons) > number else CONVINCING
    return Conditions(portfolio, horizon, looks[_best(errors, convincing)])


def _looks(portfolio):
    """What may be made use of, all of it first."""
    driven = [True, False] if portfolio.drivers is not None else [False]
    factors = [True, False] if portfolio.ordered else [False]
    return [Look(*each) for each in product(factors, driven)]


def _longest(seasons):
    """Periods of the longest season that is told of; 0 of none."""
    return 0 if seasons == "auto" else max(seasons, default=0)


def _best(errors, convincing):
    """Which look errs least; the first, unless another gains so many standard errors; int.

    Errors are ``(n_origins, k)``.
    """
    gains = errors[:, :1] - errors
    chance = gains.std(axis=0, ddof=1) / np.sqrt(len(errors)) if len(errors) > 1 else np.inf
    gain = gains.mean(axis=0)
    better = (gain > LEAST_GAIN * errors[:, 0].mean()) & (gain > convincing * chance)
    return int(np.argmax(np.where(better, gain, 0.0)))


def _errors(portfolio, origin, looks):
    """Mean error of every look at what was sold in a period, foretold from those before; (k,)."""
    before, sold = portfolio.before(origin, 1), portfolio.observations[:, origin]
    known = [getattr(before, each.name) for each in fields(before) if each.name not in NOT_ASKED]
    # a hash of arrays depends on their strides
    key = joblib.hash([np.ascontiguousarray(v) if np.ndim(v) else v for v in [*known, sold, looks]])
    found = _kept.get(key)
    if found is None:
        found = _errors_after(before, sold, looks)
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = found
    return found


def _errors_after(before, sold, looks):
    found, shared = [], {}  # the latter by whether drivers are looked at
    for look in looks:
        conditions = Conditions(before, 1, look, shared.get(look.drivers))
        shared[look.drivers] = conditions.shared
        at = conditions.at(replace(before, integer=False), 1)
        total, exposure = at.totals()
        mean = np.where(exposure > 0, total / np.maximum(exposure, LEAST_EXPOSURE), np.nan)
        away = np.abs(sold - mean * at.coming_exposure())
        found.append(away[~np.isnan(away)].mean() if (~np.isnan(away)).any() else np.nan)
    return np.array(found)
