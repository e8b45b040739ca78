"""What is given: options that go together, a table of sales, and what is known of its rows."""

import sys
import warnings
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from sklearn_pttf._command._files import EXTENSIONS, SHOWN, flag, read
from sklearn_pttf._command._plans import in_options, read_drivers, read_plans, wrong_names
from sklearn_pttf.datasets import from_long
from sklearn_pttf.problems._newsvendor import RATIO_RANGE

COSTS = ("underage", "overage", "service_level")
IN_STOCK = ("on_hand", "on_order")
PACKS = ("pack", "minimum")
BOUNDS = ("lower", "upper")  # a missing cell is none
DEFAULTS = {  # of an instance, where no option says more
    **dict.fromkeys((*COSTS, "limit", "upper", "pack"), np.nan),
    **dict.fromkeys(("lower", "on_hand", "on_order", "minimum"), 0.0),
    "limit_weights": 1.0,
    "groups": "",
}
IN_TIME = ("drivers", "calendar_drivers", "seasons")
NEEDED = {
    **dict.fromkeys(("calendar", "time_format", "drivers", "seasons"), "time"),
    "future": "drivers",
    "calendar_drivers": "calendar",
    **dict.fromkeys(("groups", "limit_weights"), "limit"),
}


def given(options, names):
    """Those of the options that are given; dict."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def say(options, text):
    if not options.quiet:
        print(text, file=sys.stderr)


def check_options(options):
    """Refuse what can be refused before anything is read."""
    wrong = next(chain(_wrong_paths(options), _wrong_values(options)), None)
    if wrong is not None:
        raise ValueError(wrong)


def _wrong_paths(options):
    files = {"the file of sales": options.sales, "--out": options.out, "--info": options.info}
    files["--future"] = options.future
    for name, path in files.items():
        if path is not None and path.suffix.lower() not in EXTENSIONS:
            found, allowed = path.suffix or "missing", ", ".join(EXTENSIONS)
            yield f"{name} is {path}, whose extension is {found}; it must be one of {allowed}"
    if options.out.is_dir():
        yield f"--out is {options.out}, which is a folder; it must be a file"
    others = (options.sales, options.info, options.future)
    if options.out.resolve() in [path.resolve() for path in others if path]:
        yield f"--out is {options.out}, which is read from; name another file"


def _wrong_values(options):
    columns = list(given(options, ("instance", "value", "time")).values())
    if len(set(columns)) < len(columns):
        yield f"--instance, --value and --time must differ; got {', '.join(columns)}"
    costs = list(given(options, COSTS))
    if costs not in (["underage", "overage"], ["service_level"]):
        got = " and ".join(map(flag, costs)) or "none of them"
        yield f"give --underage and --overage, or --service-level; got {got}"
    level, (low, high) = options.service_level, RATIO_RANGE
    if isinstance(level, float) and not low <= level <= high:
        yield f"--service-level must be in [{low}, {high}]; got {level:g}"
    for name in given(options, NEEDED):
        if not given(options, [NEEDED[name]]):
            yield f"{flag(name)} needs {flag(NEEDED[name])}"
    yield from wrong_names(options)
    seasons = options.seasons or []
    if len(seasons) > 1 and not {"auto", "none"}.isdisjoint(seasons):
        yield f"--seasons must be numbers, auto or none; got {' '.join(map(str, seasons))}"
    if seasons and options.unordered:
        yield "--seasons needs the order of periods: give it or --unordered"
    if options.limit is not None and given(options, PACKS):
        for name in given(options, IN_STOCK):
            packs = " and ".join(map(flag, given(options, PACKS)))
            yield f"with {flag(name)}, {packs} rounds orders up, beyond --limit: leave one out"
    of_info = _columns_of_info(options)
    for name, column in of_info.items():
        if options.info is None:
            yield f"{flag(name)} is {column!r}, which is no number; a column needs --info"
        if name == "limit" and options.groups is None:
            yield f"--limit is {column!r}, which is no number; a column of limits needs --groups"
    if options.info is not None and not of_info:
        yield f"no option names a column of --info {options.info}"


def _columns_of_info(options):
    """The column of every option that names one; dict."""
    values = given(options, DEFAULTS)
    return {name: value for name, value in values.items() if isinstance(value, str)}


def read_sales(options):
    """The table of `from_long`: one row an instance, whose label is in the index; and its roles.

    The roles are parameters of a problem, a dict.
    """
    columns = given(options, ("instance", "value", "time"))
    records = read(options.sales, columns, options.drivers or ())
    frame = pd.DataFrame({options.instance: records.labels(options.instance)})
    frame[options.value] = records.numbers(options.value)
    missing = frame[options.value].isna()
    if missing.all():
        raise ValueError(f"{options.sales}: column {options.value!r} has no number at all")
    span, more = "", {}
    if options.time is not None:
        frame[options.time] = times = _read_times(records, options)
        span = f" from {times.min()} to {times.max()}".replace("T00:00:00.000000", "")
        more = _read_roles(records, frame, options, times)
    settings = given(options, ("calendar", "offered", "fill", "partial", "negatives"))
    try:
        with warnings.catch_warnings(record=True) as caught:
            found = from_long(frame, **columns, **settings, **more, width=options.periods)
    except ValueError as error:
        text = in_options(str(error), options)
        of_plan = text.startswith(f"{options.future} ")
        raise ValueError(text if of_plan else f"{options.sales}: {text}") from None
    for warning in caught:
        text = in_options(str(warning.message), options)
        print(f"warning: {options.sales}: {text}", file=sys.stderr)
    table, roles = found if more else (found, {"observations": found.columns.tolist()})
    roles |= {"horizon": options.horizon, "ordered": bool(more) and not options.unordered}
    if roles["ordered"]:
        seasons = options.seasons or ["auto"]
        named = {"auto": "auto", "none": None}
        roles["seasons"] = named[seasons[0]] if seasons[0] in named else tuple(seasons)
    n_periods, drivers = len(roles["observations"]), list(roles.get("drivers", ()))
    told = f", with {', '.join(drivers)}" if drivers else ""
    say(
        options,
        f"{options.sales}: {len(frame):,} records{span}, {missing.sum():,} of them without a "
        f"value; {len(table):,} instances, {n_periods:,} periods in use{told}",
    )
    return table, roles


def _read_roles(records, frame, options, times):
    """What `from_long` is told of an order and of drivers, which are put into the frame; dict."""
    if options.unordered and not given(options, IN_TIME):
        return {}
    drivers = read_drivers(records, options)
    for name, values in drivers.items():
        frame[name] = values
    plans, names = read_plans(options, times)
    more = {"return_roles": True, "horizon": options.horizon}
    return more | ({"drivers": names} if names else {}) | ({"future": plans} if plans else {})


def _read_times(records, options):
    times = records.times(options.time, options.time_format)
    if times.dtype.kind == "M" and options.calendar is None:
        records.refuse(
            options.time,
            times != times.astype("datetime64[D]"),
            "times of day",
            "give --calendar D for periods of a day, or another frequency",
        )
        days = np.diff(np.unique(times)) // np.timedelta64(1, "D")
        if len(days) and days.max() >= 2 * days.min():
            say(
                options,
                f"note: dates are {days.min()} to {days.max()} days apart; if periods without any "
                "record should count, give --calendar",
            )
    return times


def read_info(options, labels):
    """What options, or the columns that they name, say of instances: `DEFAULTS`, a row a label."""
    info = pd.DataFrame(DEFAULTS | given(options, DEFAULTS), index=labels)
    if options.info is None:
        return info
    columns = _columns_of_info(options)
    records = read(options.info, {"instance": options.instance, **columns})
    records = replace(records, frame=records.frame.iloc[_rows(records, labels, options)])
    for name, column in columns.items():
        if name == "groups":
            info[name] = records.labels(column)
        else:
            info[name] = records.numbers(column, missing=name in BOUNDS)
    return info


def _rows(records, labels, options):
    """Where the record of every label is."""
    own = pd.Index(records.labels(options.instance))
    records.refuse(
        options.instance, own.duplicated(), "labels again", "every instance has one record"
    )
    rows = own.get_indexer(labels)
    absent = [repr(label) for label in labels[rows < 0]]
    if absent:
        raise ValueError(
            f"{options.info} has no record of {len(absent):,} instances of {options.sales}: "
            f"{', '.join(absent[:SHOWN])}{', ...' if len(absent) > SHOWN else ''}"
        )
    if len(own) > len(labels):
        say(
            options,
            f"note: {len(own) - len(labels):,} instances of {options.info} have no sales in "
            f"{options.sales} and are left out",
        )
    return rows
