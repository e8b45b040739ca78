"""What is told of seasons and drivers: that they say nothing, or are asked about the unknown."""

import warnings

import numpy as np

from sklearn_pttf._series.conditions import driver_spread, usual_drivers
from sklearn_pttf._utils.rounding import ROUNDED

MOST_NAMED = 5  # rows that a message names
LEAST_SHARE = 0.05  # of rows beyond what was seen, that is worth a warning


class SeenDrivers:
    """The range of drivers in past periods.

    Of a driver whose whole range some row saw, such as a promotion or the weather, that range
    counts. Of others, such as prices of rows that each have their own, it is how far a row was from
    its usual value; and what the row itself saw is always within.

    Parameters
    ----------
    portfolio : Portfolio
        With drivers.

    horizon : int
        Number of periods that are decided for.
    """

    def __init__(self, portfolio, horizon):
        drivers, self.unknown = portfolio.drivers, _share_unknown(portfolio, horizon)
        self.low, self.high = _range(drivers, (0, 1))
        self.below, self.above = _range(drivers - usual_drivers(drivers)[:, None], (0, 1))
        rows = _range(drivers, 1)
        widest = np.max(rows[1] - rows[0], axis=0, initial=0.0)
        self.common = widest >= (1 - ROUNDED) * (self.high - self.low)

    def knows_less(self, portfolio, horizon):
        """Whether less is known of coming periods than was then."""
        return bool((_share_unknown(portfolio, horizon) > self.unknown).any())

    def beyond(self, portfolio, horizon):
        """Whether rows' plans lie out of it in any of the coming periods; bool (n, d)."""
        planned = portfolio.planned[:, :horizon]
        own_low, own_high = (ends[:, None] for ends in _range(portfolio.drivers, 1))
        away = planned - usual_drivers(portfolio.drivers)[:, None]
        inside = self.common & _within(planned, self.low, self.high)
        inside |= ~self.common & _within(away, self.below, self.above)
        inside |= _within(planned, own_low, own_high) | np.isnan(planned)
        return ~inside.all(axis=1)


def _share_unknown(portfolio, horizon):
    """Share of coming cells of every driver that are not known; (d,)."""
    return np.isnan(portfolio.planned[:, :horizon]).mean(axis=(0, 1))


def _range(values, axis):
    """Smallest and largest of the values that are known; infinite the wrong way of none."""
    seen = ~np.isnan(values)
    low = np.min(values, axis=axis, initial=np.inf, where=seen)
    return low, np.max(values, axis=axis, initial=-np.inf, where=seen)


def _within(values, low, high):
    slack = ROUNDED * np.maximum(np.abs(low), np.abs(high))
    slack = np.where(np.isfinite(slack), slack, 0.0)
    return (values >= low - slack) & (values <= high + slack)


def warn_of_drivers(portfolio, names, horizon):
    """Tell of drivers that say nothing: they never vary, or their plan is not known.

    Parameters
    ----------
    portfolio : Portfolio

    names : sequence of str
        Of the drivers.

    horizon : int
        Number of periods that are decided for.
    """
    if portfolio.drivers is None:
        return
    never = np.isinf(driver_spread(portfolio.drivers))
    _tell(names, never, "never vary within a row, so that their effect cannot be told")
    warn_of_unknown(portfolio, names, horizon, ~never)


def warn_of_unknown(portfolio, names, horizon, asked=True):
    """Tell of drivers whose plan is not known, of those that are asked about (bool (d,))."""
    unknown = np.isnan(portfolio.planned[:, :horizon])
    nowhere, somewhere = unknown.all(axis=(0, 1)), unknown.any(axis=(0, 1))
    _tell(names, nowhere, "are not known for any coming period, which is taken for a usual one")
    partly = somewhere & ~nowhere & asked
    cells = unknown[:, :, partly].any(axis=2)
    rows, periods = cells.any(axis=1), cells.any(axis=0)
    which = f"in {_rows(rows)}" if not rows.all() else "in all rows"
    if horizon > 1 and not periods.all():
        which += f" in {_numbered('coming period', np.flatnonzero(periods) + 1)}"
    _tell(names, partly, f"are not known {which}, and are taken for the row's usual ones there")


def warn_of_seasons(portfolio):
    """Tell of seasons that have not come back yet."""
    n_periods = portfolio.observations.shape[1]
    if portfolio.seasons == "auto":
        return
    for length in portfolio.seasons:
        if length >= n_periods:
            warnings.warn(
                f"seasons={length} is not shorter than the history of {n_periods} periods: nothing "
                "has come back yet, so that a season cannot be told from a level that moves.",
                stacklevel=4,
            )


def warn_of_horizon(portfolio, names, horizon):
    """Tell of a horizon that goes beyond what is planned."""
    if portfolio.drivers is None:
        return
    known = np.flatnonzero((~np.isnan(portfolio.planned)).any(axis=(0, 2)))
    n_known = known[-1] + 1 if len(known) else 0
    if horizon > n_known:
        word = "period" if n_known == 1 else "periods"
        _tell(
            names,
            np.ones(len(names), dtype=bool),
            f"are planned for {n_known} coming {word}, and horizon is {horizon}: in those after "
            "them they are taken for the row's usual ones",
        )


def warn_of_extrapolation(beyond, cut, names):
    """Tell of plans that lie beyond what was seen.

    Parameters
    ----------
    beyond, cut : bool ndarray of shape (n, d)
        Plans out of the range that was seen, and those that are taken for less.

    names : sequence of str
    """
    if beyond.any(axis=1).mean() < LEAST_SHARE and not cut.any():
        return
    rows = beyond.any(axis=1) | cut.any(axis=1)
    taken = ""
    if cut.any():
        n_cut = cut.any(axis=1).sum()
        taken = f"; in {n_cut:,} of these so far that they are taken for one range beyond it"
    what = f"are planned beyond all that was seen of them in {_rows(rows)}{taken}"
    _tell(names, (beyond | cut).any(axis=0), what, stacklevel=5)


def _tell(names, marked, what, stacklevel=5):
    """Warn of the drivers that are marked."""
    told = [repr(name) for name, is_one in zip(names, marked, strict=True) if is_one]
    if told:
        warnings.warn(f"drivers {', '.join(told)} {what}.", stacklevel=stacklevel)


def _rows(marked):
    """``3 of 80 rows, as in rows 1, 5, 7``"""
    first = ", ".join(map(str, np.flatnonzero(marked)[:MOST_NAMED]))
    word = "row" if marked.sum() == 1 else "rows"
    return f"{marked.sum():,} of {len(marked):,} rows, as in {word} {first}"


def _numbered(word, numbers):
    return f"{word}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
