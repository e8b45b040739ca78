"""Plans: frames that say what drivers are in coming periods, and perhaps in past ones."""

import warnings

import numpy as np

from sklearn_pttf.datasets._drivers import Driver, Source, read_column
from sklearn_pttf.datasets._frames import Records
from sklearn_pttf.datasets._periods import KINDS, SHOWN, Calendar, read_times, show_date


def place_drivers(names, columns, plans, placed, codes, instance, time, labels, horizon):
    """Drivers of all instances in all periods; list of `Driver`.

    Parameters
    ----------
    names : list of str
        Columns; each is in the file, in a plan, or in both.

    columns : dict of str to Column
        Those of the file.

    plans : list of Records

    placed : Placement
        Of the file's records.

    codes : ndarray of shape (n_records,)
        Instance of every record of the file.

    instance, time : str
        Columns of instances and periods.

    labels : Series of narwhals
        Labels of the instances.

    horizon : int
        Number of coming periods.
    """
    if not names:
        return []
    calendar, sources = placed.calendar, [Source("frame", codes, placed.places, columns)]
    if plans:
        extended = _extend(calendar, plans, time, horizon)
        for plan in plans:
            own = [name for name in names if name in plan]
            sources.append(_read_plan(plan, own, instance, time, labels, calendar, extended))
    drivers = []
    for name in names:
        some = [source for source in sources if name in source.columns]
        _check_past(name, some, len(calendar))
        drivers.append(Driver(name, some, len(labels), len(calendar), horizon))
    return drivers


def _extend(calendar, plans, time, horizon):
    """The calendar with the coming periods at its end."""
    if calendar.offset is not None:
        coming = calendar.next_dates(horizon)
    else:
        coming = np.unique(np.concatenate([_times(plan, time, calendar)[1] for plan in plans]))
        coming = coming[coming > calendar.dates[-1]][:horizon]
        if len(coming) < horizon:
            raise ValueError(
                f"future must have lines of horizon={horizon} periods after the last one of the "
                f"calendar, {show_date(calendar.dates[-1])}; got {len(coming)}"
                f"{': ' if len(coming) else ''}{', '.join(map(show_date, coming))}."
            )
    return Calendar(np.concatenate([calendar.dates, coming]), calendar.offset)


def lay_out_drivers(drivers, steps, horizon):
    """Tables of drivers, and the names of their columns.

    Returns
    -------
    tables : list of ndarray of shape (n_instances, width + horizon)

    roles : dict of str to list of str
        Columns of every driver.
    """
    steps = [*steps, *(f"next{k}" for k in range(1, horizon + 1))]
    tables = [table for driver in drivers for table in driver.lay_out(len(steps) - horizon)]
    roles = {}
    for key in (key for driver in drivers for key in driver.keys):
        if key in roles:
            raise ValueError(f"drivers: two of them would be {key!r}; rename one.")
        roles[key] = [f"{key}_{step}" for step in steps]
    return tables, roles


def read_plans(future):
    """Plans as a list of `Records`."""
    if future is None:
        return []
    if not isinstance(future, (list, tuple)):
        return [Records(future, "future")]
    if len(future) == 0:
        raise ValueError("future must be a data frame, a list of at least one, or None; got [].")
    return [Records(plan, f"future[{k}]") for k, plan in enumerate(future)]


def driver_roles(names):
    """Names of columns by what messages call them; dict."""
    return {f"drivers[{k}]": name for k, name in enumerate(names)}


def check_drivers(file, plans, drivers):
    """Refuse drivers that no frame has, and plans that are about none or lack some.

    Raises
    ------
    ValueError
    """
    of_plans = [[name for name in drivers if name in plan] for plan in plans]
    for plan, names in zip(plans, of_plans, strict=True):
        if not names:
            raise ValueError(
                f"{plan.called} has none of the columns drivers={drivers!r}; it must say what at "
                "least one of them is in coming periods."
            )
    for name in drivers:
        n_plans = sum(name in names for names in of_plans)
        if n_plans == 0 and (plans or name not in file):
            where = "column of the frame" if not plans else "column of future"
            raise ValueError(
                f"drivers: {name!r} is no {where}; every driver must be a column of future, or, "
                "where there is no plan, of the frame. What is not known may be missing there."
            )
        if n_plans > 1:
            raise ValueError(
                f"drivers: {name!r} is in {n_plans} frames of future; it must be in one only."
            )


def _check_past(name, sources, n_periods):
    """Refuse a driver without any past value."""
    for source in sources:
        past = (source.places >= 0) & (source.places < n_periods)
        if np.any(past & ~np.isnan(source.columns[name].values)):
            return
    raise ValueError(
        f"drivers: {name!r} has no value in any past period, so what it does to demand cannot be "
        "known; the frame, or future, must have some."
    )


def _times(plan, time, calendar):
    """Codes and dates of a plan's lines."""
    parameter = f"time={time!r} of {plan.called}"

    def refuse(parameter, problem, allowed, bad, codes, show=None):
        if np.any(bad):
            some = "" if show is None else f": {show(np.flatnonzero(bad)[0])}"
            raise ValueError(f"{parameter} has {np.sum(bad)} {problem}{some}. {allowed}")

    codes, dates = read_times(plan, parameter, time, None, refuse, calendar.zone)
    kind, own = calendar.dates.dtype.kind, dates.dtype.kind
    if kind != own:
        raise ValueError(
            f"{parameter} must hold {KINDS[kind]}, as the frame does; got {KINDS[own]}."
        )
    return codes, dates


def _read_plan(plan, names, instance, time, labels, calendar, extended):
    """Lines of a plan that are about periods and instances in use; a `Source`."""
    plan.check_columns(time=time, **driver_roles(names))
    codes, dates = _times(plan, time, calendar)
    places = extended.place(dates)[codes]
    lacking = np.setdiff1d(np.arange(len(calendar), len(extended)), places)
    if len(lacking):
        periods = ", ".join(show_date(date) for date in extended.dates[lacking][:SHOWN])
        raise ValueError(
            f"{plan.called} has no line of the coming period{'s' * (len(lacking) > 1)} {periods}"
            f"{', ...' if len(lacking) > SHOWN else ''}; it must have all "
            f"horizon={len(extended) - len(calendar)} of them."
        )
    rows = _match_instances(plan, instance, labels) if instance in plan else None
    used = places >= 0
    keys = places[used]
    if rows is not None:
        used &= rows >= 0
        keys = rows[used] * len(extended) + places[used]
    _refuse_duplicates(plan, keys, rows, labels, extended)
    if rows is not None:
        _warn_of_instances(plan, rows[used & (places >= len(calendar))], labels)
    columns = {name: read_column(plan, name).take(used) for name in names}
    return Source(plan.called, None if rows is None else rows[used], places[used], columns)


def _match_instances(plan, instance, labels):
    """Row of the instance of every line of a plan, -1 for instances that the file lacks."""
    plan.check_columns(instance=instance)
    codes, own = plan.encode(instance)
    if np.any(codes < 0):
        raise ValueError(
            f"instance={instance!r} of {plan.called} has no label in {np.sum(codes < 0)} of "
            f"{len(codes)} lines; a line must say which instance it is about."
        )
    rows = {label: row for row, label in enumerate(labels.to_list())}
    found = np.array([rows.get(label, -1) for label in own.to_list()])
    if np.all(found < 0):
        raise ValueError(
            f"instance={instance!r} of {plan.called} has no label that the frame has, but "
            f"{', '.join(map(repr, own.to_list()[:SHOWN]))}; in the frame they are like "
            f"{labels.to_list()[0]!r}."
        )
    return found[codes]


def _warn_of_instances(plan, rows, labels):
    """Tell of instances that a plan says nothing of."""
    absent = np.setdiff1d(np.arange(len(labels)), rows)
    if len(absent):
        shown = ", ".join(map(repr, labels[absent[:SHOWN].tolist()].to_list()))
        warnings.warn(
            f"{plan.called} has no line of coming periods for {len(absent):,} of {len(labels):,} "
            f"instances: {shown}{', ...' if len(absent) > SHOWN else ''}. Their drivers are not "
            "known there.",
            UserWarning,
            stacklevel=5,
        )


def _refuse_duplicates(plan, keys, rows, labels, calendar):
    keys, counts = np.unique(keys, return_counts=True)
    if np.all(counts == 1):
        return
    row, place = divmod(int(keys[counts > 1][0]), len(calendar))
    where = f"period {show_date(calendar.dates[place])}"
    if rows is not None:
        where = f"instance {labels.to_list()[row]!r} and {where}"
    raise ValueError(
        f"{plan.called} has {counts.max()} lines of {where}; it must have one for each "
        f"{'period' if rows is None else 'instance and period'}."
    )
