"""What was found in a table in the order of time, in lines."""

import numpy as np

MOST_PERIODS_TOLD = 6  # one by one
MOST_DRIVERS = 5  # that a line names, those that do most
ENDS = 1.645  # standard errors, of an interval that covers 90 %


def found_in_time(estimator):
    """Lines on how periods differ and on what drivers do; none if their order means nothing."""
    conditions, problem = estimator._conditions, estimator.problem_
    if conditions is None:
        return []
    names, look = list(problem.drivers or ()), conditions.look
    if not conditions.found:
        return [
            f"over {conditions.n_periods} periods: no sign that they differ by more than chance; "
            "all count alike" + (f"; {', '.join(names)} not in use" if names else "")
        ]
    lines = [_of_periods(conditions, problem)] if look.factors else []
    if names and look.drivers:
        lines.append(_of_drivers(conditions, names))
    elif names:
        lines.append(
            f"drivers: {', '.join(names)} did not foretell the newest periods, and are not in use"
        )
    return lines


def found_of_stock(estimator, X, identified):
    """Lines on what was sold out, and on whose orders lie beyond it; none if nothing is told."""
    if identified is None:
        return []
    table = estimator._read_as_it_is(X)
    capped = (table.capped & table.mask).sum() / max(table.mask.sum(), 1)
    line = f"{capped:.1%} of periods were sold out"
    nothing = ((table.stock == 0) & ~table.mask).sum()
    if nothing:
        line += f", besides {nothing:,} that had nothing to sell and say nothing"
    n_rows, n_beyond = len(identified), (~identified).sum()
    if n_beyond:
        line += (
            f"; what the orders of {n_beyond:,} of {n_rows:,} instances are for lies beyond all "
            "that stock let one see, and they rest on the others (identified is false)"
        )
    return [line]


def charged_for_stock(rolling, result):
    """A line on what was sold out, and what that is charged as; none if nothing is told.

    Parameters
    ----------
    rolling : RollingTable

    result : BacktestResult
    """
    if rolling.capped is None:
        return []
    known, capped = ~np.isnan(rolling.demand), rolling.capped
    line = f"{capped.sum():,} of {known.sum():,} periods of instances were sold out"
    line = f"{line} ({capped.sum() / max(known.sum(), 1):.1%})"
    charged = known & _charged_cells(result, rolling.n_periods)
    n_capped = (charged & capped).sum()
    if not n_capped:
        return [f"{line}, none of those that are charged."]
    share = 1 - rolling.observations[charged].sum() / rolling.demand[charged].sum()
    return [
        f"{line}. Of the {charged.sum():,} that are charged {n_capped:,} were: they are charged on "
        "a draw from what demand may have been; taken as sold, demand charged would be "
        f"{share:.1%} lower."
    ]


def _charged_cells(result, n_periods):
    """Whether a decision is charged on a cell; bool ndarray of shape (n, n_periods)."""
    first, last = (each[..., None] for each in (result.charged_from, result.charged_to))
    period = np.arange(n_periods)
    told = ~np.isnan(result.demand)[..., None]
    return (told & (first <= period) & (period <= last)).any(axis=1)


def _of_periods(conditions, problem):
    found, d = conditions.forecast, conditions.forecast.n_drivers
    horizon = problem.horizon
    before, after = np.split(np.exp(found.mean[d : d + found.n_periods + horizon]), [-horizon])
    parts = [
        f"the level of all moves by {found.deviations['drift']:.0%} a period",
        f"single periods are off by {found.deviations['shock']:.0%}",
        *(f"a season of {length} periods" for length in found.seasons),
    ]
    coming = _coming(after / before.mean(), problem)
    return (
        f"over {found.n_periods} periods: {', '.join(parts)}; {coming} their average, drivers aside"
    )


def _coming(factors, problem):
    """What the coming periods are expected to be, each against the average of past ones."""
    horizon = len(factors)
    which = "the next one is" if horizon == 1 else f"the next {horizon} are"
    if horizon > MOST_PERIODS_TOLD and problem.of_paths:
        which = f"those that orders are for, {problem.review} of the next {horizon}, are on average"
        factors = factors[-problem.review :]
    elif horizon > MOST_PERIODS_TOLD:
        which += " on average"
    if horizon > MOST_PERIODS_TOLD:
        factors = [factors.mean()]
    told = [f"{abs(f - 1):.0%} {'above' if f >= 1 else 'below'}" for f in factors]
    listed = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    return f"{which} expected to be {listed}"


def _of_drivers(conditions, names):
    """What a driver does, as a factor and its interval, at a change that is usual within rows."""
    found, d = conditions.forecast, len(names)
    effects, errors = found.mean[:d], np.sqrt(np.diag(found.covariance)[:d])
    largest_first = np.argsort(-np.abs(effects), kind="stable")
    varying = [k for k in largest_first if np.isfinite(conditions.spread[k])]
    told = []
    for k in varying[:MOST_DRIVERS]:
        step = 1.0 if conditions.switches[k] else conditions.spread[k]
        size = step / conditions.spread[k]
        ends = np.exp(size * (effects[k] + ENDS * errors[k] * np.array([-1.0, 1.0])))
        of_change = "" if conditions.switches[k] else f" for {step:.3g} more"
        factor = np.exp(size * effects[k])
        told.append(f"{names[k]} x {factor:.2f} ({ends[0]:.2f} to {ends[1]:.2f}){of_change}")
    more = f", and {len(varying) - MOST_DRIVERS} more" if len(varying) > MOST_DRIVERS else ""
    return f"drivers, and what sales are multiplied by: {', '.join(told)}{more}"
