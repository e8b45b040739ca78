"""From a file of sales, and of what is in stock and under way, to a file of orders."""

from argparse import Namespace

import pandas as pd

from sklearn_pttf._command._dates import calendar_of, when_stock_counts
from sklearn_pttf._command._decide import (
    amount,
    as_whole,
    fitted,
    limit_of_rows,
    naming,
    used_of_limits,
)
from sklearn_pttf._command._files import read, write
from sklearn_pttf._command._found import found_in_time, found_of_stock
from sklearn_pttf._command._inputs import (
    COSTS_OF_STOCK,
    PACKS,
    arrival_names,
    check_options,
    clip_stock,
    given,
    read_info,
    read_sales_in_time,
    whole_packs,
    with_attributes,
    with_unsold,
)
from sklearn_pttf._command._readers import Form
from sklearn_pttf._utils.checks import MOST_PERIODS
from sklearn_pttf.problems import Replenishment

OUTPUT = (
    *("mean", "expected_cost", "stock_out", "cycle_stock_out", "fill_rate"),
    *("stock_at_arrival", "missed_before"),
)


def replenish_file(options):
    """Read sales and stock, decide what to order, and write it; lines that sum it up."""
    check_options(options, wrong_stock)
    options = with_horizon(options)
    table, roles, times, style = read_sales_in_time(options)
    table = with_unsold(options, table, roles)
    table, roles = with_attributes(options, table, roles)
    info, clipped = clip_stock(options, read_info(options, table.index))
    problem, X = replenishment(options, table, info, roles)
    estimator = fitted(options, problem, X)
    with naming(X.index, options):
        orders, found = estimator.decide(X, return_info=True)
    orders = as_whole(orders) if estimator.integer_ else orders
    result = pd.DataFrame({"order": orders}, index=X.index)
    for name in OUTPUT:
        result[name] = found[name]
    if "identified" in found:
        result["identified"] = found.identified
    summary = []
    if not options.quiet:
        calendar = None
        if times is not None:
            calendar = calendar_of(options, times, len(roles["observations"]))
        summary = found_in_time(estimator)
        summary += [when_stock_counts(calendar, info["lead_time"]), *clipped, *_untold(options)]
        summary += found_of_stock(estimator, X, found.get("identified"))
        summary += _totals(options, result, info, found)
        summary.append(f"{options.out} written")
    write(options.out, result.reset_index(), style)
    return summary


def wrong_stock(options):
    """What is wrong with lead times and what is under way, in words."""
    lead, arrivals = options.lead_time, getattr(options, "arrivals", None) or ()
    on_hand = options.on_hand
    if isinstance(on_hand, float) and on_hand < 0 and options.lost_sales:
        yield f"--on-hand must be at least 0 where sales are lost (or --backlog); got {on_hand:g}"
    if options.review > MOST_PERIODS:
        yield f"--review must be at most {MOST_PERIODS}; got {options.review}"
    if isinstance(lead, str):
        return
    most = MOST_PERIODS - options.review
    if not 0 <= lead <= most or lead % 1:
        yield f"--lead-time must be a whole number of periods from 0 to {most}; got {lead:g}"
    elif arrivals and len(arrivals) != lead:
        yield (
            f"--on-order must name {lead:g} columns, one for each coming period of --lead-time "
            f"{lead:g}; got {len(arrivals)}: {' '.join(arrivals)}"
        )


def with_horizon(options):
    """The options, with the periods until the next order is there as the horizon."""
    return Namespace(**vars(options) | {"horizon": _longest_lead_time(options) + options.review})


def _longest_lead_time(options):
    """Of numbers of the file of instances, if it has a column of them; int."""
    lead, arrivals = options.lead_time, getattr(options, "arrivals", None)
    if not isinstance(lead, str):
        return int(lead)
    if options.info is None or arrivals:  # the first of which is refused later on
        return len(arrivals or ())
    records = read(options.info, {"lead_time": lead}, (), Form.of(options))
    leads = records.numbers(lead, missing=False)
    most = MOST_PERIODS - options.review
    allowed = f"lead times are whole numbers of periods from 0 to {most}"
    bad = ~((leads >= 0) & (leads <= most) & (leads % 1 == 0))
    records.refuse(lead, bad, "cells that are no lead time", allowed)
    return int(leads.max())


def replenishment(options, table, info, roles):
    """The problem, and its rows."""
    names = [*COSTS_OF_STOCK, "on_hand", *given(options, ["limit_weights", "groups"])]
    names += [name for name, value in given(options, PACKS).items() if value != 0]
    settings = {name: name for name in names}
    X = table.join(info[names])
    settings["lead_time"] = options.lead_time
    if isinstance(options.lead_time, str):
        X["lead_time"], settings["lead_time"] = info["lead_time"], "lead_time"
    else:
        settings["lead_time"] = int(options.lead_time)
    arriving = arrival_names(range(options.horizon - options.review))
    X = X.join(pd.DataFrame({name: info.get(name, 0.0) for name in arriving}, index=X.index))
    settings |= {"on_order": arriving or None, "review": options.review}
    if "pack" in X:
        X["pack"] = whole_packs(X["pack"])
    if options.limit is not None:
        settings["limit"] = limit_of_rows(options, info, pd.Series(0.0, index=info.index))
    roles = {name: role for name, role in roles.items() if name != "horizon"}
    return Replenishment(**settings, **roles, lost_sales=options.lost_sales), X


def _untold(options):
    """What is taken for nothing as no option tells it; a line, or none."""
    untold = []
    if options.on_hand is None:
        untold.append("--on-hand, so nothing is in stock")
    if options.horizon > options.review and not options.arrivals:
        untold.append("--on-order, so nothing is under way")
    if not untold:
        return []
    return [f"not given: {'; '.join(untold)}; what is there all the same is ordered once more"]


def _totals(options, result, info, found):
    """Lines that sum up the orders, in units and in money."""
    order, mean = result["order"], result["mean"]
    until = "period" if options.review == 1 else f"{options.review} periods"
    rate = (result["fill_rate"] * mean).sum() / mean.sum() if mean.sum() > 0 else 1.0
    missed, out = result["missed_before"].sum(), result["cycle_stock_out"].mean()
    before = "lost" if options.lost_sales else "owed"
    lines = [
        f"order {amount(order.sum())} units, of {(order > 0).sum():,} of {len(order):,} instances",
        f"in the {until} from their arrival on: expected demand {amount(mean.sum())}, expected "
        f"cost {amount(result['expected_cost'].sum())} of what is held or missing",
        f"{rate:.1%} of demand is expected to be met from stock; stock-outs in "
        f"{result['stock_out'].mean():.1%} of periods"
        + (f", and in {out:.1%} of times from one order to the next" if options.review > 1 else ""),
    ]
    if options.horizon > options.review:
        lines.append(
            f"before their arrival {amount(missed)} units are expected to be {before}, which only "
            "an order that comes earlier could help"
        )
    return lines + (used_of_limits(order, info, found) if options.limit is not None else [])
