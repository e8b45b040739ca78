"""From what is given to orders, and to the lines that sum them up."""

import contextlib
import io
import re
import sys
import warnings

import numpy as np
import pandas as pd

from sklearn_pttf._command._files import SHOWN, flag, say, write
from sklearn_pttf._command._found import found_in_time, found_of_stock
from sklearn_pttf._command._inputs import (
    COSTS,
    IN_STOCK,
    PACKS,
    check_options,
    given,
    read_info,
    read_sales,
    whole_packs,
    with_attributes,
    with_unsold,
)
from sklearn_pttf._command._plans import in_options
from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._tables.completion import demand_of
from sklearn_pttf._tables.portfolio import are_whole
from sklearn_pttf.datasets._wild import LARGEST
from sklearn_pttf.finetune import AutoFinetune
from sklearn_pttf.problems import Newsvendor, PerRow, order_quantity
from sklearn_pttf.problems._newsvendor import RATIO_RANGE

OF_PROBLEM = (*COSTS, "limit_weights", "groups", "lower", "upper")
MOST_FINETUNED = 2_000  # instances; more would take minutes
FINETUNE_SECONDS = 30.0  # where there are more instances
CHARGED = 2_000  # instances that the saving is told from
ROUNDS = 4  # of held-out observations
FEW = 100  # instances, whose saving is told too high
QUANTILES = (0.1, 0.5, 0.9)


def decide_file(options):
    """Read sales, decide what to stock and to order, and write it; lines that sum it up.

    They are told one by one, once all is written.
    """
    check_options(options, _wrong_costs)
    table, roles, style = read_sales(options)
    table = with_unsold(options, table, roles)
    table, roles = with_attributes(options, table, roles)
    info = read_info(options, table.index)
    problem, X = newsvendor(options, table, info, roles)
    estimator = fitted(options, problem, X)
    with naming(X.index, options):
        level, found = estimator.decide(X, return_info=True)
        result = _result(options, estimator, X, info, level, found)
    write(options.out, result.reset_index(), style)
    return [] if options.quiet else _summed_up(options, estimator, X, info, result, found)


def _summed_up(options, estimator, X, info, result, found):
    """Lines on what is written; the saving takes longest and comes last."""
    yield f"{options.out} written"
    yield from found_in_time(estimator)
    yield from found_of_stock(estimator, X, found.get("identified"))
    yield from _totals(options, result, info, found)
    yield _saving(estimator, X, options.seed)


def _wrong_costs(options):
    costs = list(given(options, COSTS))
    if costs not in (["underage", "overage"], ["service_level"]):
        got = " and ".join(map(flag, costs)) or "none of them"
        yield f"give --underage and --overage, or --service-level; got {got}"
    level, (low, high) = options.service_level, RATIO_RANGE
    if isinstance(level, float) and not low <= level <= high:
        yield f"--service-level must be in [{low}, {high}]; got {level:g}"
    if options.limit is not None and given(options, PACKS):
        for name in given(options, IN_STOCK):
            packs = " and ".join(map(flag, given(options, PACKS)))
            yield f"with {flag(name)}, {packs} rounds orders up, beyond --limit: leave one out"


@contextlib.contextmanager
def naming(labels, options):
    """Errors and warnings name instances instead of rows, and a warning takes a line."""

    def named(text):
        text = re.sub(r"\brow(s?) (\d+(?:, \d+)*)", instances, str(text))
        text = re.sub(r"\b(of|over|in all)( [\d,]+)? rows\b", r"\1\2 instances", text)
        return in_options(text, options)

    def instances(match):
        return f"instance{match[1]} {', '.join(repr(labels[int(k)]) for k in match[2].split(', '))}"

    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("ignore", "baselines=True")  # which no option asks for
        try:
            yield
        except ValueError as error:
            raise ValueError(named(error)) from None
    for warning in caught:
        print(f"warning: {' '.join(named(warning.message).split())}", file=sys.stderr)


def newsvendor(options, table, info, roles):
    """The problem, and its rows.

    Levels use of a limit what is ordered to reach them: what is in stock is the least level, and
    what it would use is added to the limit.
    """
    settings = {name: name for name in given(options, OF_PROBLEM) | _packs_to_decide(options)}
    X = table.join(info[list(settings)])
    if "pack" in X:
        X["pack"] = whole_packs(X["pack"])
    if options.limit is not None:
        stock = info["on_hand"] + info["on_order"]
        if are_whole(table[roles["observations"]].to_numpy()):
            stock = np.floor(stock)
        X["lower"], settings["lower"] = np.fmax(info["lower"], stock), "lower"
        if "upper" in X:
            X["upper"] = np.maximum(info["upper"], stock)
        settings["limit"] = limit_of_rows(options, info, stock)
    settings |= roles
    if not given(options, ["service_level"]):
        return Newsvendor(**settings), X
    return Newsvendor.from_service_level(settings.pop("service_level"), **settings), X


def _packs_to_decide(options):
    """Options of packs that levels keep, as where nothing is in stock they are orders; dict."""
    packs = {} if given(options, IN_STOCK) else given(options, PACKS)
    return {name: value for name, value in packs.items() if value != 0}  # 0: any quantity


def limit_of_rows(options, info, stock):
    """What a row of every group may use, its stock included."""
    limits = info["limit"].groupby(info["groups"])
    if (info["limit"] < 0).any():
        raise ValueError(f"--limit must be at least 0; got {info['limit'].min():g}")
    for group, amounts in limits.unique().items():
        if len(amounts) > 1:
            raise ValueError(
                f"--limit must be one number a group; group {group!r} has "
                f"{', '.join(f'{each:g}' for each in sorted(amounts)[:SHOWN])}"
            )
    in_stock = (stock * info["limit_weights"]).groupby(info["groups"]).mean()
    shares = (limits.first() / limits.size() + in_stock).map(PerRow).to_dict()
    return shares[""] if options.groups is None else shares


def fitted(options, problem, X):
    """The estimator, fitted to the rows, or to some of very many if it is to be trained."""
    estimator = estimator_of(options, problem, len(X))
    if options.finetune == "auto" and len(X) > MOST_FINETUNED:
        X = X.sample(MOST_FINETUNED, random_state=options.seed)
    say(options, f"fitting to {len(X):,} instances")
    with naming(X.index, options), contextlib.redirect_stdout(io.StringIO()):
        estimator.fit(X)
    if estimator.finetune is not None:
        say(options, _finetuned(estimator.finetune_report_))
    return estimator


def estimator_of(options, problem, n_rows):
    """The estimator; trained for a while only, if there are very many rows."""
    strategy = None
    if options.finetune == "auto":
        many = n_rows > MOST_FINETUNED
        strategy = AutoFinetune(max_seconds=FINETUNE_SECONDS) if many else "auto"
    return PretrainedDecisionTransformer(
        problem,
        checkpoint=options.checkpoint,
        finetune=strategy,
        random_state=options.seed,
        verbose=int(not options.quiet and sys.stderr.isatty()),  # bars would fill a log
    )


def _finetuned(report):
    """What came of finetuning, in a line."""
    if "reason" in report:
        return f"not finetuned: {report['reason']}"
    chosen = report["chosen"].argmax()
    done, tried = "finetuned", "finetuning was tried"
    if report.get("not_trained"):
        done = tried = f"not trained ({report['not_trained']}), but others were tried"
    if chosen == 0:
        return (
            f"{tried}; no candidate was surely cheaper than the pretrained network, which stays in "
            "use as it was"
        )
    gain = report["gain"][chosen] / report["mean_cost"][0]
    error = report["gain_std_error"][chosen] / report["mean_cost"][0]
    return (
        f"{done}; in use: {report['candidate'][chosen]}, {gain:.1%} +- {error:.1%} cheaper than "
        "the pretrained network on instances it was not trained on"
    )


def _result(options, estimator, X, info, level, found):
    """The columns of the output, whole numbers as such; data frame with the index of X."""
    p10, p50, p90 = estimator.predict_quantiles(X, QUANTILES, horizon=options.horizon).T
    counts = {"level": level}
    if given(options, IN_STOCK):
        pack = info["pack"].fillna(1.0 if estimator.integer_ else 0.0)
        stock = (info["on_hand"], info["on_order"])
        counts["order"] = order_quantity(level, *stock, pack, info["minimum"])
    elif given(options, PACKS):
        counts["order"] = level
    counts |= {"p10": p10, "p50": p50, "p90": p90}
    if estimator.integer_:
        counts = {name: as_whole(v) for name, v in counts.items()}
    result = pd.DataFrame(counts, index=X.index)
    result.insert(result.columns.get_loc("p10"), "mean", found.mean)
    if options.service_level is None:
        result["expected_cost"] = found.expected_cost
    if "identified" in found:
        result["identified"] = found.identified
    return result


def as_whole(values):
    """Numbers as int64 where they are whole, and of a size that it has; ndarray."""
    values = np.asarray(values)
    whole = are_whole(values) and (np.abs(values) <= LARGEST).all()
    return values.astype(np.int64) if whole else values


def _totals(options, result, info, found):
    """Lines that sum up the decisions."""
    total = result.sum().map(amount)
    lasting = "a period" if options.horizon == 1 else f"{options.horizon} periods"
    lines = [f"stock {total['level']} for an expected demand of {total['mean']} over {lasting}"]
    if "expected_cost" in result:
        lines[0] += f", at an expected cost of {total['expected_cost']}"
    order = result.get("order", result["level"])
    if "order" in result:
        lines.append(f"order {total['order']} of {(order > 0).sum():,} instances")
    return lines + (used_of_limits(order, info, found) if options.limit is not None else [])


def used_of_limits(order, info, found):
    """What orders use of every limit, a line each."""
    used = (order * info["limit_weights"]).groupby(info["groups"]).sum()
    limits = info["limit"].groupby(info["groups"]).first()
    prices = pd.Series(found.shadow_price, index=used.index)
    return [
        f"limit{f' of {group}' if group else ''}: {amount(used[group])} of "
        f"{amount(limits[group])} used; one more unit of it would save {prices[group]:.4g}"
        for group in used.index
    ]


def amount(number):
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _saving(estimator, X, seed):
    """What decisions save over SAA on observations that they do not see, in a line.

    A few observations of some rows (or horizons of them) are held out one by one; in the order of
    time the newest, each decided from those before it.
    """
    X = X.sample(min(len(X), CHARGED), random_state=seed)
    table, labels = estimator._read_as_it_is(X), X.index
    in_time = table.in_time
    costs = np.full((1, 2, len(X)), np.nan)
    with contextlib.suppress(ValueError):  # these rows may need more than their share of a limit
        charged = estimator._rolled_costs(table) if in_time else _held_out(estimator, table, seed)
        costs = np.stack([*costs, *charged])
    mine, saa = np.nansum(costs, axis=0)
    if saa.sum() == 0:
        return "no saving over sample averages can be told: no held-out observation to charge"
    n_charged = (~np.isnan(costs).all(axis=(0, 1))).sum()
    share = 1 - mine.sum() / saa.sum()
    off = np.nan_to_num(costs[:, 1] - costs[:, 0] - share * costs[:, 1])
    squares = (off.sum(axis=0) ** 2).sum() * n_charged / max(n_charged - 1, 1)
    how = "leave-one-out"
    if in_time:  # what periods have of their own is no chance of rows
        n_periods = (~np.isnan(costs).all(axis=(1, 2))).sum()
        of_periods = (off.sum(axis=1) ** 2).sum() * n_periods / max(n_periods - 1, 1)
        squares = max(squares, squares + of_periods - (off**2).sum())
        how = _rolled_over(n_periods, estimator.problem_.horizon)
    error = np.sqrt(squares) / saa.sum()
    if share < -1 or error > 1:
        worst = labels[np.argmax(np.maximum(mine, saa))]
        how = how.rstrip(",")
        return (
            f"no saving over sample averages (SAA) can be told: {how} costs {amount(mine.sum())} "
            f"against {amount(saa.sum())}, most of it for {worst!r}; is a cell of it wrong?"
        )
    few = "; with so few instances it is told too high" if n_charged < FEW else ""
    return (
        f"expected saving over sample averages (SAA, each instance on its own): {share:.1%} +- "
        f"{error:.1%}, by {how} on {n_charged:,} instances{few}"
    )


def _rolled_over(n_origins, horizon):
    """Which periods were decided, in words."""
    periods = f"{n_origins * horizon} periods" if n_origins * horizon > 1 else "period"
    each = f", {horizon} at a time," if horizon > 1 and n_origins > 1 else ""
    once = " (once, which tells little)" if n_origins == 1 else ""
    return f"deciding the newest {periods}{each} from what was known before{once},"


def _held_out(estimator, portfolio, seed):
    """Costs of rows on periods that are held out, and SAA's; list of ndarray of shape (2, n)."""
    horizon = estimator.problem_.horizon
    cells = _shuffled(portfolio.observations, horizon, np.random.default_rng(seed))
    portfolio = portfolio.of_cells(cells)
    rounds, demand = range(min(ROUNDS, cells.shape[1] // horizon)), demand_of(portfolio)
    return [estimator._held_out_costs(portfolio, k, demand) for k in rounds]


def _shuffled(observations, horizon, rng):
    """Columns of every row's observations with its horizons in random order, whole ones last."""
    n_rows, width = observations.shape
    first = width % horizon
    blocks = observations[:, first:].reshape(n_rows, -1, horizon)
    key = np.where(np.isnan(blocks).any(axis=2), -1.0, rng.random(blocks.shape[:2]))
    starts = first + horizon * key.argsort(axis=1)
    new = (starts[:, :, None] + np.arange(horizon)).reshape(n_rows, -1)
    return np.hstack([np.broadcast_to(np.arange(first), (n_rows, first)), new])
