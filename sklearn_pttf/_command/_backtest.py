"""What orders would have cost in the past of a file of sales, and the report of it."""

import contextlib
import sys
import warnings
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pandas as pd

from sklearn_pttf._command._dates import calendar_of, date_of
from sklearn_pttf._command._decide import estimator_of, naming, newsvendor
from sklearn_pttf._command._files import SHOWN, flag, read, say, say_guesses, write_frame
from sklearn_pttf._command._found import charged_for_stock
from sklearn_pttf._command._inputs import (
    COSTS_OF_STOCK,
    PACKS,
    arrival_names,
    check_options,
    clip_stock,
    given,
    read_info,
    read_sales_in_time,
    with_attributes,
)
from sklearn_pttf._command._labels import as_known
from sklearn_pttf._command._page import page
from sklearn_pttf._command._readers import Form
from sklearn_pttf._command._replenish import replenishment, with_horizon, wrong_stock
from sklearn_pttf._utils.files import written_whole
from sklearn_pttf.datasets._periods import show_date
from sklearn_pttf.model_selection import backtest
from sklearn_pttf.model_selection._backtest_result import (
    FEW_ORIGINS,
    LABELS,
    POLICY,
    SAA,
    as_sentence,
)
from sklearn_pttf.model_selection._origins import RollingTable

ONLY_SINGLE = ("underage", "overage", "horizon", "lower", "upper")  # of one order by itself
ONLY_CARRIED = (*COSTS_OF_STOCK, "review", "lost_sales", "on_hand", "arrivals")
MOST_SHOWN = 10  # instances that the page names, of those that gain and lose most


def backtest_file(options):
    """Read sales, decide and charge in their past, and write a report; its lines."""
    check_options(options, _wrong_problem)
    options = _with_defaults(options)
    table, roles, times, style = read_sales_in_time(options)
    roles["ordered"] = True
    table, roles = with_attributes(options, table, roles, launches=False)
    info, clipped = clip_stock(options, read_info(options, table.index))
    problem_of = newsvendor if options.lead_time is None else replenishment
    problem, X = problem_of(options, table, info, roles)
    calendar = calendar_of(options, times, len(roles["observations"]))
    with naming(X.index, options):
        rolling = RollingTable(problem, X)
        origins = rolling.origins(options.origins)
    policy = None
    if options.policy is not None:
        policy = _past_orders(options, X.index, calendar, origins)
    say(options, f"deciding for {len(X):,} instances at {len(origins)} origins")
    with naming(X.index, options), warnings.catch_warnings():
        # which the summary says, and the page
        warnings.filterwarnings("ignore", message="policy is past orders")
        result = backtest(
            estimator_of(options, problem, len(X)),
            X,
            origins=origins,
            policy=policy,
            start=_start(options, info),
            n_jobs=options.jobs,
            random_state=options.seed,
            verbose=int(not options.quiet and sys.stderr.isatty()),
        )
    result = replace(result, periods=tuple(map(show_date, calendar.dates)))
    told = charged_for_stock(rolling, result)
    told += _reservations(options, result.periods[origins[0]])
    lines = [*_sentences(result, calendar), *told, *(f"{as_sentence(each)}." for each in clipped)]
    summary = result.summary()
    written = _write(options, result, lines, summary, style)
    return [] if options.quiet else [*lines, *summary.text().splitlines(), *written]


def _start(options, info):
    """Stock before the first origin, as it is given; None if it is not."""
    if options.lead_time is None or options.on_hand is None:
        return None
    arriving = arrival_names(options.arrivals or ())
    return info["on_hand"].to_numpy(), info[arriving].to_numpy() if arriving else None


def _write(options, result, lines, summary, style):
    """Write the files that are asked for; a line each."""
    files = given(options, ("out", "html"))
    if "html" in files:
        text = page(result, lines, summary, _instances(result), _settings(options))
    with contextlib.ExitStack() as both:  # neither is there before the other is whole
        if "html" in files:
            temporary = both.enter_context(written_whole(options.html))
            temporary.write_text(text, encoding="utf-8")
        if "out" in files:
            temporary = both.enter_context(written_whole(options.out))
            write_frame(temporary, options.out, _cells(options, result), style)
    return [f"{path} written" for path in files.values()]


# ------------------------------------------------------------------ what is given


def _wrong_problem(options):
    single, carried = given(options, ONLY_SINGLE), given(options, ONLY_CARRIED)
    if options.lead_time is None and carried:
        yield f"{_flags(carried)} needs --lead-time: without it nothing is carried over"
    if options.lead_time is not None and single:
        yield f"{_flags(single)} is of single orders, and --lead-time of stock that is carried over"
    needed = ("underage", "overage") if options.lead_time is None else COSTS_OF_STOCK
    if len(given(options, needed)) < 2:
        got = _flags(given(options, needed)) or "none of them"
        yield (
            "give --underage and --overage, or with --lead-time --shortage and --holding; got "
            f"{got}"
        )
    if options.time is None:
        yield "give --time: a backtest goes through the periods of the file"
    if options.order != "order" and options.policy is None:
        yield "--order needs --policy"
    if options.policy is not None and options.order in (options.instance, options.time):
        yield f"--order must differ from --instance and --time; got {options.order}"
    if options.lead_time is not None:
        if options.arrivals and options.on_hand is None:
            yield "--on-order needs --on-hand: both are of the stock before the first origin"
        yield from wrong_stock(_with_defaults_of_stock(options))


def _flags(names):
    # --lost-sales and --backlog are two words for one thing
    others = {"lost_sales": "--lost-sales or --backlog", "arrivals": "--on-order"}
    return " and ".join(others.get(name, flag(name)) for name in names)


def _with_defaults(options):
    changes = {"unordered": False, "horizon": options.horizon or 1}
    options = Namespace(**vars(_with_defaults_of_stock(options)) | changes)
    return options if options.lead_time is None else with_horizon(options)


def _with_defaults_of_stock(options):
    changes = {
        "review": options.review or 1,
        "lost_sales": options.lost_sales is not False,
    }
    return Namespace(**vars(options) | changes)


def _past_orders(options, labels, calendar, origins):
    """What was ordered at every origin, 0 where there is no record; ndarray (n, n_origins).

    An order is of the period that it was placed before, the first that was not known then.
    """
    columns = {"instance": options.instance, "time": options.time, "order": options.order}
    records = read(options.policy, columns, (), Form.of(options))
    rows = pd.Index(labels).get_indexer(
        as_known(records, options.instance, labels, options.labels, options.sales)
    )
    orders = records.numbers(options.order, missing=False)
    say_guesses(options, records)
    records.refuse(options.order, orders < 0, "negative cells", "orders are at least 0")
    times = records.times(options.time, options.time_format, options.time_zone)
    if times.dtype.kind != calendar.dates.dtype.kind:
        kind = "dates" if calendar.dates.dtype.kind == "M" else "numbers of periods"
        raise ValueError(f"{options.policy}: column {options.time!r} must hold {kind}, as in sales")
    at = pd.Index(origins).get_indexer(calendar.place(times))
    used = (rows >= 0) & (at >= 0)
    decided = [show_date(calendar.dates[k]) for k in origins]
    absent = [date for k, date in enumerate(decided) if not (used & (at == k)).any()]
    if absent:
        raise ValueError(
            f"{options.policy} has no order before {len(absent)} of {len(decided)} periods that "
            f"are decided: {', '.join(absent[:SHOWN])}{', ...' if len(absent) > SHOWN else ''}; "
            "give --origins, or a record of 0 if nothing was ordered"
        )
    if not used.all():
        say(
            options,
            f"note: {(~used).sum():,} of {len(used):,} records of {options.policy} are of other "
            "instances or periods and are left out",
        )
    table = np.zeros((len(labels), len(origins)))
    np.add.at(table, (rows[used], at[used]), orders[used])
    return table


# ------------------------------------------------------------------ what is told


def _sentences(result, calendar):
    """What was found, in money; list of str."""
    periods = [result.periods[k] for k in result.origins]
    often = f"once, for {periods[0]},"
    if len(periods) > 1:
        often = f"{len(periods)} times, from {periods[0]} to {periods[-1]}, each time"
    first, last = (
        date_of(calendar, k) for k in (result.charged_from.min(), result.charged_to.max())
    )
    lines = [
        f"{len(result.rows):,} instances, decided {often} from what was known before; charged on "
        f"the periods from {first} to {last}.",
        *(result.verdict(other) for other in (POLICY, SAA) if other in result.methods),
        _of_the_cheapest(result),
    ]
    if len(periods) < FEW_ORIGINS:
        lines.append("So few periods may be luck.")
    return lines


def _of_the_cheapest(result):
    """Which method was cheapest, and by how much where no other line says it."""
    order = result.total_cost().sum(axis=1).argsort(kind="stable")
    first, second = (result.methods[k] for k in order[:2])
    if (second if first == "estimator" else first) in (POLICY, SAA):
        return f"The cheapest method was {LABELS.get(first, first)}."
    return result.verdict()


def _reservations(options, start):
    """What a reader has to know of the comparison; list of str.

    Parameters
    ----------
    options : Namespace

    start : str
        The first period that is decided.
    """
    lines = []
    if options.lead_time is not None and options.on_hand is not None:
        lines.append(f"All methods begin with --on-hand, as the stock at the start of {start}.")
        if options.horizon > options.review and not options.arrivals:
            lines[-1] += " Without --on-order nothing was under way then."
    elif options.lead_time is not None:
        lines.append(
            f"Nobody told the stock before {start}: all methods begin with twice the usual demand "
            "on hand, and that much in each period of the lead time."
        )
        if options.policy is not None:
            lines[-1] += (
                " Past orders were placed on another stock, so savings against them may be far too "
                "high or too low: give --on-hand and --on-order, as they were then."
            )
    bound = [
        flag(name)
        for name, value in given(options, (*PACKS, "limit", "lower", "upper")).items()
        if value != 0
    ]
    if options.policy is not None and bound:
        lines.append(
            f"All methods are held to {', '.join(bound)} but for past orders, which are compared "
            "as they were."
        )
    return lines


def _instances(result):
    """Those that gain and that lose most against past orders, or SAA; name, and two frames."""
    other = POLICY if POLICY in result.methods else SAA
    own, others = (
        np.nansum(result.cost[result.methods.index(name)], axis=1) for name in ("estimator", other)
    )
    name = LABELS.get(other, other)
    frame = pd.DataFrame({"instance": result.rows, LABELS["estimator"]: own, name: others})
    frame["saved"] = others - own
    frame = frame.sort_values("saved", kind="stable", ascending=False)
    gain, lose = frame[frame["saved"] > 0], frame[frame["saved"] < 0]
    return gain.head(MOST_SHOWN), lose[::-1].head(MOST_SHOWN)


def _settings(options):
    """Options that were given, in words; dict."""
    left_out = ("command", "horizon", "quiet", "jobs", "out", "html", "unordered", "defuse")
    told = {
        name: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in vars(options).items()
        if value is not None and name not in left_out
    }
    return {{"arrivals": "on_order"}.get(name, name): value for name, value in told.items()}


def _cells(options, result):
    """A line for each method, instance and period that was decided."""
    frame = result.to_frame()
    for name in ("origin", "charged_from", "charged_to"):
        frame[name] = np.array(result.periods, dtype=object)[frame[name]]
    names = {"row": options.instance, "origin": options.time}
    return frame.rename(columns=names)
