"""What is given: options that go together, a table of sales, and what is known of its rows."""

import sys
import warnings
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from sklearn_pttf._command._files import (
    SHOWN,
    Style,
    flag,
    looks_like_formula,
    read,
    say,
    say_guesses,
)
from sklearn_pttf._command._labels import as_known, settle
from sklearn_pttf._command._plans import in_options, read_drivers, read_plans, wrong_names
from sklearn_pttf._command._read import say_sales
from sklearn_pttf._command._readers import EXTENSIONS, Form, extension
from sklearn_pttf._utils.files import refuse_unwritable
from sklearn_pttf.datasets import from_long
from sklearn_pttf.datasets._long import NegativeSumsError
from sklearn_pttf.datasets._periods import far_dates

COSTS = ("underage", "overage", "service_level")
COSTS_OF_STOCK = ("shortage", "holding")  # where it is carried over
IN_STOCK = ("on_hand", "on_order")
PACKS = ("pack", "minimum")
BOUNDS = ("lower", "upper")  # a missing cell is none
DEFAULTS = {  # of an instance, where no option says more
    **dict.fromkeys((*COSTS, *COSTS_OF_STOCK, "limit", "upper", "pack"), np.nan),
    **dict.fromkeys(("lower", "on_hand", "on_order", "lead_time", "minimum"), 0.0),
    "limit_weights": 1.0,
    "groups": "",
}
MAY_BE_EMPTY = (*BOUNDS, *PACKS)
READ = ("info", "future", "policy")
WRITTEN = ("out", "html")
PAGES = (".html", ".htm")
OF_STOCK = ("stock", "sold_out")
IN_TIME = ("drivers", "calendar_drivers", "seasons")
NEEDED = {
    **dict.fromkeys(("calendar", "time_format", "time_zone", "drivers", "seasons"), "time"),
    "future": "drivers",
    "calendar_drivers": "calendar",
    **dict.fromkeys(("groups", "limit_weights"), "limit"),
}


def given(options, names):
    """Those of the options that are given; dict."""
    values = {name: getattr(options, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def check_options(options, wrong_costs):
    """Refuse what can be refused before anything is read.

    What is wrong with costs and stock, of which each command has its own, ``wrong_costs(options)``
    yields in words.
    """
    wrong = next(chain(_wrong_paths(options), wrong_costs(options), _wrong_values(options)), None)
    if wrong is not None:
        raise ValueError(wrong)


def _wrong_paths(options):
    read_from = {flag(name): path for name, path in given(options, READ).items()}
    read_from["the file of sales"] = options.sales
    written = {flag(name): path for name, path in given(options, WRITTEN).items()}
    for name, path in (read_from | written).items():
        extensions = PAGES if name == "--html" else EXTENSIONS
        if extension(path).lower() not in extensions:
            found, allowed = path.suffix or "missing", ", ".join(extensions)
            yield f"{name} is {path}, whose extension is {found}; it must be one of {allowed}"
    for name, path in written.items():
        if path.is_dir():
            yield f"{name} is {path}, which is a folder; it must be a file"
            continue
        try:
            refuse_unwritable(path, name)
        except ValueError as error:
            yield str(error).removesuffix(".")
        if path.resolve() in [other.resolve() for other in read_from.values()]:
            yield f"{name} is {path}, which is read from; name another file"


def _wrong_values(options):
    columns = list(given(options, ("instance", "value", "time")).values())
    if len(set(columns)) < len(columns):
        yield f"--instance, --value and --time must differ; got {', '.join(columns)}"
    of_stock = given(options, OF_STOCK)
    if len(of_stock) > 1:
        yield "give --stock or --sold-out, not both: stock tells what is sold out"
    for name, column in of_stock.items():
        if column in columns:
            yield f"{flag(name)} must differ from --instance, --value and --time; got {column}"
    for name in given(options, NEEDED):
        if not given(options, [NEEDED[name]]):
            yield f"{flag(name)} needs {flag(NEEDED[name])}"
    yield from wrong_names(options)
    seasons = options.seasons or []
    if len(seasons) > 1 and not {"auto", "none"}.isdisjoint(seasons):
        yield f"--seasons must be numbers, auto or none; got {' '.join(map(str, seasons))}"
    if seasons and options.unordered:
        yield "--seasons needs the order of periods: give it or --unordered"
    of_info = _columns_of_info(options)
    for name, column in of_info.items():
        if options.info is None:
            yield f"{flag(name)} is {column!r}, which is no number; a column needs --info"
        if name == "limit" and options.groups is None:
            yield f"--limit is {column!r}, which is no number; a column of limits needs --groups"
    attributes = options.attributes
    if attributes and options.info is None:
        yield f"--attributes are columns of --info; got {', '.join(attributes)} without it"
    if options.info is not None and not (of_info or attributes):
        yield f"no option names a column of --info {options.info}"


def _columns_of_info(options):
    """The column of every option that names one; dict."""
    arrivals = getattr(options, "arrivals", None) or ()
    values = given(options, DEFAULTS) | dict(zip(arrival_names(arrivals), arrivals, strict=True))
    return {name: value for name, value in values.items() if isinstance(value, str)}


def arrival_names(arrivals):
    """What arrives in each coming period, as columns are called; list of str."""
    return [f"on_order {k}" for k in range(1, len(arrivals) + 1)]


def read_sales(options):
    """The table of `from_long`: one row an instance, whose label is in the index; roles; style.

    The roles are parameters of a problem, a dict. The style is that of the file, a `Style`.
    """
    table, roles, _, style = read_sales_in_time(options)
    return table, roles, style


def read_sales_in_time(options):
    """The table of sales, its roles, the dates of all records, None without any; and a `Style`."""
    columns, of_stock = (given(options, each) for each in (("instance", "value", "time"), OF_STOCK))
    records = read(options.sales, columns | of_stock, options.drivers or (), Form.of(options))
    frame = pd.DataFrame({options.instance: settle(records, options.instance, options.labels)})
    frame[options.value] = records.numbers(options.value)
    style = Style.of(records, options.defuse)
    _tell_of_formulas(options, frame[options.instance])
    if frame[options.value].isna().all():
        raise ValueError(f"{options.sales}: column {options.value!r} has no number at all")
    for name, column in of_stock.items():
        flags = name == "sold_out"
        frame[column] = records.truths(column) if flags else records.numbers(column, infinite=True)
    more, times = {}, None
    if options.time is not None:
        frame[options.time] = times = _read_times(records, options)
        more = _read_roles(records, frame, options, times)
    settings = given(
        options, ("calendar", "time_zone", "offered", "fill", "partial", "negatives", "wild")
    )
    try:
        with warnings.catch_warnings(record=True) as caught:
            # --labels keep says that they are different
            warnings.filterwarnings("ignore", ".* differ only in case or blanks")
            found = from_long(
                frame, **columns, **of_stock, **settings, **more, width=options.periods
            )
    except NegativeSumsError as error:
        problem = "cells below 0, in periods that add up to less than 0"
        allowed = "--negatives clip takes such periods for 0, --negatives missing for not known"
        records.refuse(options.value, error.records, problem, allowed)
        raise
    except ValueError as error:
        text = in_options(str(error), options)
        of_plan = text.startswith(f"{options.future} ")
        raise ValueError(text if of_plan else f"{options.sales}: {text}") from None
    for warning in caught:
        text = in_options(str(warning.message), options)
        print(f"warning: {options.sales}: {text}", file=sys.stderr)
    table, roles = found if more else (found, _roles_without_order(found, of_stock))
    roles |= {"horizon": options.horizon, "ordered": bool(more) and not options.unordered}
    if roles["ordered"]:
        seasons = options.seasons or ["auto"]
        named = {"auto": "auto", "none": None}
        roles["seasons"] = named[seasons[0]] if seasons[0] in named else tuple(seasons)
    say_guesses(options, records)
    say_sales(options, records, frame, times, table, roles)
    return table, roles, times, style


def _tell_of_formulas(options, labels):
    """Say which labels spreadsheets would run, if they are written as they are."""
    some = [label for label in labels.unique() if looks_like_formula(label)]
    if some and not options.defuse and options.out is not None:
        say(
            options,
            f"note: {len(some):,} labels begin with = + - or @, which a spreadsheet may run as a "
            f"formula: {', '.join(map(repr, some[:SHOWN]))}; --defuse puts a ' before them",
        )


def _roles_without_order(table, of_stock):
    """What columns of a table are that is told no order; dict."""
    columns = np.split(table.columns.to_numpy(), 1 + len(of_stock))
    return dict(zip(("observations", *of_stock), (each.tolist() for each in columns), strict=True))


def _read_roles(records, frame, options, times):
    """What `from_long` is told of an order and of drivers, which are put into the frame; dict."""
    if options.unordered and not given(options, IN_TIME):
        return {}
    drivers = read_drivers(records, options)
    for name, values in drivers.items():
        frame[name] = values
    plans, names = read_plans(options, times, frame[options.instance].unique())
    more = {"return_roles": True, "horizon": options.horizon}
    return more | ({"drivers": names} if names else {}) | ({"future": plans} if plans else {})


def _tell_of_clocks(options, records, times):
    """Say what becomes of hours that clocks skip or repeat, if no time zone tells which."""
    if options.time_zone is not None or times.dtype.kind != "M":
        return
    offsets, short = records.offsets(options.time), _shorter_than_a_day(options.calendar)
    if short or (len(offsets) > 1 and (times != times.astype("datetime64[D]")).any()):
        where = f"dates are {' and '.join(offsets[:SHOWN])} from UTC, and " if offsets else ""
        say(
            options,
            f"note: {where}hours count by the clock; --time-zone Europe/Berlin, or another, leaves "
            "out those that its clocks skip or repeat",
        )


def _shorter_than_a_day(frequency):
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
        return offset is not None and pd.Timedelta(offset) < pd.Timedelta(days=1)
    except ValueError:  # weeks and months, and what is refused later on
        return False


def _read_times(records, options):
    times = records.times(options.time, options.time_format, options.time_zone)
    dates, codes, counts = np.unique(times, return_inverse=True, return_counts=True)
    far, gap = far_dates(dates, counts)
    records.refuse(options.time, far[codes], "dates far from all others", gap)
    _tell_of_clocks(options, records, times)
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
    records = read(options.info, {"instance": options.instance, **columns}, (), Form.of(options))
    records = replace(records, frame=records.frame.iloc[_rows(records, labels, options)])
    for name, column in columns.items():
        if name == "groups":
            info[name] = records.labels(column)
        else:
            info[name] = records.numbers(column, missing=name in MAY_BE_EMPTY)
            if getattr(options, "negative_stock", "clip") == "raise":
                _refuse_negative_stock(options, name, records, column, info[name].to_numpy() < 0)
    say_guesses(options, records)
    info["minimum"] = info["minimum"].fillna(DEFAULTS["minimum"])
    return info


def labels_of_info(records, options, labels):
    return as_known(records, options.instance, labels, options.labels, options.sales)


def with_attributes(options, table, roles, launches=True):
    """The table with columns of attributes, and the roles with them.

    With ``launches``, instances of --info that have no sales yet are further rows. Attributes are
    text or numbers: numbers where all cells are.
    """
    names = options.attributes
    if not names:
        return table, roles
    wanted = {"instance": options.instance, "attributes": names}
    records = read(options.info, wanted, (), Form.of(options))
    own = pd.Index(labels_of_info(records, options, table.index))
    new = own[~own.isin(table.index)].unique()
    if launches and len(new):
        say(
            options,
            f"note: {len(new):,} instances of {options.info} have no sales in {options.sales}; "
            "they are decided from their attributes",
        )
        table = _with_rows(table, new, roles)
    rows = _rows(records, table.index, options, tell=False)
    records = replace(records, frame=records.frame.iloc[rows])
    found = {f"attribute {name}": records.attribute(name) for name in names}
    say_guesses(options, records)
    return table.assign(**found), roles | {"attributes": list(found)}


def with_unsold(options, table, roles):
    """The table with instances that only --info has, which have no sales.

    Where all are taken to have been on offer in all periods, they never sold; else nothing is known
    of them, as of launches. With attributes, see `with_attributes`.
    """
    if options.info is None or options.attributes:
        return table
    records = read(options.info, {"instance": options.instance}, (), Form.of(options))
    own = pd.Index(labels_of_info(records, options, table.index))
    new = own[~own.isin(table.index)].unique()
    if len(new) == 0:
        return table
    table = _with_rows(table, new, roles)
    zeros = options.time is not None and (options.offered, options.fill) == ("all", "zero")
    taken = "decided like the others, as nothing is known of them"
    if zeros:
        table.loc[new, roles["observations"]] = 0.0
        taken = (
            "taken to have been on offer in all periods and never sold; for launches give "
            "--offered own, or --attributes"
        )
    shown = ", ".join(map(repr, new[:SHOWN])) + (", ..." if len(new) > SHOWN else "")
    say(
        options,
        f"note: {len(new):,} instances of {options.info} have no sales in {options.sales} and are "
        f"{taken}: {shown}",
    )
    return table


def _with_rows(table, labels, roles):
    """The table with empty rows, of which drivers are known that all other rows have alike."""
    drivers = [c for columns in roles.get("drivers", {}).values() for c in columns]
    alike = [c for c in drivers if table[c].nunique(dropna=False) == 1]
    known = table[alike].iloc[0]
    table = table.reindex(table.index.append(labels)).rename_axis(table.index.name)
    table.loc[labels, alike] = known.to_numpy()
    return table


def _refuse_negative_stock(options, name, records, column, bad):
    """Refuse less than nothing on hand, where it is not owed, or under way."""
    allowed = "--negative-stock clip takes them for 0"
    if name == "on_hand" and options.lost_sales:
        allowed += ", and --backlog for units that are owed"
    elif not name.startswith("on_order "):
        return
    records.refuse(column, bad, f"cells below 0 ({_flag_of(name)})", allowed)


def _flag_of(name):
    return flag("on_order" if name.startswith("on_order ") else name)


def clip_stock(options, info):
    """What instances have, less than nothing as 0 where it is not owed; and a line on it, or none.

    Returns
    -------
    info : DataFrame

    lines : list of str
    """
    names = [name for name in info if name.startswith("on_order ")]
    names += ["on_hand"] if options.lost_sales else []
    below = info[names] < 0
    if not below.to_numpy().any():
        return info, []
    labels = info.index[below.any(axis=1)]
    shown = ", ".join(map(repr, labels[:SHOWN])) + (", ..." if len(labels) > SHOWN else "")
    line = f"stock below 0 of {len(labels):,} instances is taken for 0: {shown}"
    return info.assign(**{name: info[name].clip(lower=0) for name in names}), [line]


def whole_packs(packs):
    """Packs of a single unit where there are none, written as 0 or as nothing; Series."""
    return packs.where(packs.notna() & (packs != 0), 1.0)


def _rows(records, labels, options, tell=True):
    """Where the record of every label is, and a note on those of others."""
    own = pd.Index(labels_of_info(records, options, labels))
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
    if tell and len(own) > len(labels):
        say(
            options,
            f"note: {len(own) - len(labels):,} instances of {options.info} have no sales in "
            f"{options.sales} and are left out",
        )
    return rows
