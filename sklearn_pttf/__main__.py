"""The command line: from a file of sales to a file of orders, and what they would have cost.

::

    python -m sklearn_pttf decide sales.csv --instance sku --value units --time date
        --underage 4 --overage 1 --out orders.csv
    python -m sklearn_pttf replenish sales.csv --instance sku --value units --time date
        --info stock.csv --lead-time lead --on-hand stock --shortage margin --holding 0.2
        --out orders.csv
    python -m sklearn_pttf backtest sales.csv --instance sku --value units --time date
        --lead-time 2 --shortage 4 --holding 0.2 --policy past_orders.csv --html report.html
"""

import argparse
import codecs
import contextlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

from sklearn_pttf._utils.signals import exit_status, how_stopped, terminable

DESCRIPTION = """\
Read a file with one record a sale, and write a file with one line an instance (a product, a
store, a spare part): what to stock, and what to order for it. Files are CSV (.csv, .tsv, .txt, also
as .gz), Excel (.xlsx) or Parquet, by their extension. Records of the same instance in the same
period are added up. Labels such as 00123 stay text. Periods without a record are sales of 0, in
every period of the file, unless --fill and --offered say otherwise. With --time, decisions are for
the periods that follow the last one: levels that move, --seasons, and promotions and prices
(--drivers) that are planned (--future) count. Instances that only --info has are decided too."""

COLUMNS = """\
columns of the output:
  the instance, under its own name
  level          stock to have, before demand is known
  order          what to order, if --on-hand, --on-order, --pack or --minimum is given
  mean           expected demand, over the horizon
  p10, p50, p90  quantiles of demand, over the horizon
  expected_cost  of having the level in stock; not with --service-level
  identified     with --stock or --sold-out: whether stock ever let one see as much demand as the
                 level is for

exit status: 0 done; 2 bad input, 130 interrupted, 1 anything else, of all of which nothing is
written; 3 all is written, but the summary could not be printed"""

REPLENISH = """\
Read a file with one record a sale, and write a file with one line an instance: what to order now.
Stock is carried over from period to period, and an order is there after its lead time. What is on
hand and under way is read from the --info file: what there is at the start of the period after the
last complete one, which the summary names. If a weekly --calendar leaves out a week that has only
begun, that is the stock at the start of this week, as its sales do not count. Instances that only
the --info file has are ordered for too: as never sold, or as launches, with --offered own or with
--attributes."""

COLUMNS_OF_ORDERS = """\
columns of the output:
  the instance, under its own name
  order             what to order now
  mean              expected demand of the periods that the order is for: --review of them, from
                    its arrival on
  expected_cost     of these periods
  stock_out         share of them in which something is missing, as expected
  cycle_stock_out   probability that something is missing in any of them
  fill_rate         expected share of their demand that is met
  stock_at_arrival  expected stock when the order comes, without it
  missed_before     units that are expected to be lost, or with --backlog owed, before it comes
  identified        with --stock or --sold-out: whether stock ever let one see as much demand as
                    the order is for

exit status: 0 done; 2 bad input, 130 interrupted, 1 anything else, of all of which nothing is
written; 3 all is written, but the summary could not be printed"""

BACKTEST = """\
Decide at earlier periods of a file of sales, each time from what was known then, and charge the
decisions on what came. It is said in money, beside sample averages (SAA), smoothing and, with
--policy, what was really ordered. Without --lead-time each order is by itself, for the --horizon
that follows it (--underage, --overage). With --lead-time stock is carried over (--shortage,
--holding); all methods start with the same stock: --on-hand and --on-order, as they were before
the first period that is decided, or twice an instance's usual demand, and that much in each period
of the lead time. Past orders were placed on the stock of then: without it, savings against them
may be far too high or too low."""

COLUMNS_OF_BACKTEST = """\
columns of --out, with a line for each method, instance and period that was decided:
  method, the instance and the time, under their own names: the period that it was decided before
  charged_from, charged_to  first and last period that the decision is charged on
  cost, held, missed        in money, of these periods: the cost, and its two parts
  decision, promised        what was decided, and what the cost was expected to be
  demand, served            units of these periods, and those that were in stock when asked for
  left, in_stock            units left over, and the share of these periods without a shortage
  forecast, outcome         units of all periods that a decision looks ahead: with --lead-time
                            those until the next order is there, of which only the last are charged

exit status: 0 done; 2 bad input, 130 interrupted, 1 anything else, of all of which nothing is
written; 3 all is written, but the summary could not be printed"""


def _number_or_column(text):
    """A finite number, or the name of a column."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text


def _whole(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; got {text}")
    return number


def _season(text):
    if text in ("auto", "none"):
        return text
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 2:
        raise argparse.ArgumentTypeError(
            f"must be whole numbers of periods above 1, auto, or none; got {text}"
        )
    return number


def _one_of(signs):
    """A sign as it is, or by its name."""

    def read(text):
        sign = signs.get(text, text)
        if sign not in signs.values():
            allowed = ", ".join(f"{name} ({sign!r})" for name, sign in signs.items())
            raise argparse.ArgumentTypeError(f"must be one of {allowed}; got {text!r}")
        return sign

    return read


def _zone(text):
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"must be such as Europe/Berlin; got {text!r}") from None
    return text


def _encoding(text):
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise argparse.ArgumentTypeError(f"is unknown: {text}") from None


DECIMALS = {"point": ".", "comma": ","}
THOUSANDS = DECIMALS | {"apostrophe": "'", "blank": " "}
SEPARATORS = {"comma": ",", "semicolon": ";", "bar": "|", "tab": "\t"}
FORMATS = ".csv, .tsv or .txt, also as .gz; .xlsx (its first sheet), or .parquet"
LOOKED_AT = "What no option tells is taken from the file, and said. It holds for all files."
SCRIPT = "sklearn-pttf"
VALUE = {"type": _number_or_column, "metavar": "VALUE"}


def _program():
    """How the command was called."""
    name = Path(sys.argv[0]).name
    return name if name.startswith(SCRIPT) else "python -m sklearn_pttf"


def _parser():
    parser = argparse.ArgumentParser(
        prog=_program(), description="Decisions from little data, for files."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_decide(commands)
    _add_replenish(commands)
    _add_backtest(commands)
    return parser


PER_ROW = "VALUE is a number, or the name of a column of the --info file."


def _add_decide(commands):
    what = "decide what to stock and to order, from a file of sales"
    decide = _command(commands, "decide", what, DESCRIPTION, COLUMNS)
    decide.add_argument("--out", type=Path, required=True, help="file to write, likewise")
    _add_defuse(decide.add_argument)
    _add_time(decide, unordered=True)
    add = decide.add_argument_group("what is decided", PER_ROW).add_argument
    _add_info(add)
    _add_costs(add)
    add("--service-level", **VALUE, help="instead of both: probability that demand is covered")
    _add_attributes(add, "decided too")
    add("--horizon", type=_whole, default=1, metavar="H", help="periods that a level must last")
    _add_limit(add)
    _add_bounds(add)
    _add_order(decide.add_argument_group("from the level to the order", PER_ROW).add_argument)
    _add_method(decide.add_argument_group("how").add_argument, finetune="auto")


def _add_replenish(commands):
    what = "decide what to order now, where stock is carried over and orders take time"
    replenish = _command(commands, "replenish", what, REPLENISH, COLUMNS_OF_ORDERS)
    replenish.add_argument("--out", type=Path, required=True, help="file to write, likewise")
    _add_defuse(replenish.add_argument)
    _add_time(replenish, unordered=True)
    group = replenish.add_argument_group("what is decided", PER_ROW)
    add = group.add_argument
    _add_info(add)
    _add_attributes(add, "ordered for too")
    _add_stock(group, needed=True)
    _add_stock_there(add, "the period after the last complete one", "0")
    _add_packs(add)
    _add_limit(add)
    _add_method(replenish.add_argument_group("how").add_argument, finetune="auto")
    replenish.set_defaults(review=1, lost_sales=True)


def _add_backtest(commands):
    what = "tell in money what orders would have cost in the past, against what was done"
    command = _command(commands, "backtest", what, BACKTEST, COLUMNS_OF_BACKTEST)
    command.add_argument("--out", type=Path, help="file of all figures to write, likewise")
    command.add_argument("--html", type=Path, help="report to write, one page with its pictures")
    _add_defuse(command.add_argument)
    _add_time(command, unordered=False)
    add = command.add_argument_group("what is compared").add_argument
    add(
        "--origins",
        type=_whole,
        metavar="N",
        help="how often it is decided, in the newest periods (default: at most 26 times, in the "
        "newer half of them)",
    )
    add(
        "--policy",
        type=Path,
        metavar="FILE",
        help="what was really ordered (or stocked, without --lead-time): columns of the instance, "
        "the time and the order. Time is the period that an order was placed before, the first "
        "one not known then; no record: nothing was ordered",
    )
    add("--order", default="order", metavar="COLUMN", help="of --policy (default: order)")
    group = command.add_argument_group("what is decided", PER_ROW)
    add = group.add_argument
    _add_info(add)
    _add_attributes(add, "left out, as nothing was sold that they could be charged on")
    _add_costs(add)
    add("--horizon", type=_whole, metavar="H", help="periods that a level must last (default: 1)")
    _add_bounds(add)
    _add_stock(group, needed=False)
    _add_stock_there(add, "the first period that is decided", "twice the usual demand")
    _add_packs(add)
    _add_limit(add)
    add = command.add_argument_group("how").add_argument
    _add_method(add, finetune="none")
    add("--jobs", type=_whole, metavar="N", help="fits at a time (default: 1)")


def _command(commands, name, what, description, epilog):
    """A command, with what all read."""
    parser = commands.add_parser(
        name,
        help=what,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sales", type=Path, metavar="SALES", help=f"file of sales: {FORMATS}")
    _add_records(parser.add_argument_group("what the records hold").add_argument)
    _add_form(parser.add_argument_group("how files are written", LOOKED_AT).add_argument)
    return parser


def _add_defuse(add):
    add(
        "--defuse",
        action="store_true",
        help="text in --out that begins with = + - or @, which a spreadsheet may take for a "
        "formula and run, begins with ' instead (.csv, .tsv, .txt; in .xlsx it is text anyway)",
    )


def _add_form(add):
    add(
        "--decimal",
        type=_one_of(DECIMALS),
        metavar="SIGN",
        help="before the fraction of a number: . or , (point, comma). A column such as 1.600, 3 "
        "may mean either and is refused until this or --thousands tells",
    )
    add(
        "--thousands",
        type=_one_of(THOUSANDS),
        metavar="SIGN",
        help="between thousands: . , ' or a blank (point, comma, apostrophe, blank)",
    )
    add(
        "--sep",
        type=_one_of(SEPARATORS),
        metavar="SIGN",
        help="between the cells of a line: , ; | or a tab (comma, semicolon, bar, tab)",
    )
    add("--encoding", type=_encoding, metavar="NAME", help="of text: utf-8, cp1252, utf-16, ...")


def _add_records(add):
    add("--instance", required=True, metavar="COLUMN", help="labels of instances")
    add(
        "--labels",
        choices=["raise", "merge", "keep"],
        default="raise",
        help="what labels are that differ only in case or blanks, in one file or between files: "
        "an error (default), one instance, spelled as most often, or different ones. Blanks at the "
        "ends of labels never count",
    )
    add("--value", required=True, metavar="COLUMN", help="units sold")
    add(
        "--stock",
        metavar="COLUMN",
        help="what could be sold at most in a period: where all of it was sold, demand was at "
        "least that. Empty, or inf: there was enough",
    )
    add(
        "--sold-out",
        metavar="COLUMN",
        help="instead, where only that is known: whether nothing was left, true or false",
    )
    add(
        "--time",
        metavar="COLUMN",
        help="dates (ISO 8601) or numbers of periods; without it every record is a period",
    )
    add("--time-format", metavar="FORMAT", help="of other dates, such as %%d.%%m.%%Y")
    add(
        "--time-zone",
        type=_zone,
        metavar="NAME",
        help="whose time dates are in, such as Europe/Berlin: where periods are hours, those that "
        "clocks skip or repeat are missing, and dates from elsewhere are told in its time",
    )
    add(
        "--calendar",
        metavar="FREQUENCY",
        help="D, W-MON, MS, ...: periods begin at every date of that pandas frequency "
        "(default: the dates that occur in the file)",
    )
    add(
        "--offered",
        choices=["all", "own"],
        default="all",
        help="when an instance could be sold: in all periods of the file (default), or from its "
        "own first to its own last record",
    )
    add(
        "--fill",
        choices=["zero", "missing"],
        default="zero",
        help="what a period without a record is (default: zero)",
    )
    add(
        "--partial",
        choices=["drop", "keep"],
        default="drop",
        help="of a calendar such as W-MON, a first or last period that daily records cover in part "
        "(default: drop)",
    )
    add(
        "--negatives",
        choices=["raise", "clip", "missing"],
        default="raise",
        help="what a period with a negative sum is: an error (default), 0, or missing",
    )
    add(
        "--wild",
        choices=["keep", "missing"],
        default="keep",
        help="what a single number is that lies far beyond all others of its instance, such as "
        "9999999 among tens: kept (default), or missing; a warning names it",
    )
    add("--periods", type=_whole, metavar="K", help="use the newest K periods only")


def _add_time(parser, *, unordered):
    add = parser.add_argument_group("what moves sales over time").add_argument
    add(
        "--drivers",
        nargs="+",
        metavar="COLUMN",
        help="columns of promotions, prices, weather, ... that are known beforehand: numbers, "
        "true and false, or text; of SALES, of --future, or of both",
    )
    add(
        "--future",
        type=Path,
        metavar="FILE",
        help="the plan: what drivers are in the coming periods, a record for each instance and "
        "period, or for each period only if there is no --instance column",
    )
    add(
        "--calendar-drivers",
        nargs="+",
        metavar="NAME",
        help="drivers that a --calendar knows: weekday, month, days (in the month), and "
        "holidays=US, or another country, or a part of one as in holidays=DE-BY",
    )
    add(
        "--seasons",
        nargs="+",
        type=_season,
        metavar="N",
        help="after how many periods seasons come back, such as 52, or 7 364; auto: usual ones are "
        "looked for (default); none: there are none",
    )
    if unordered:
        add(
            "--unordered",
            action="store_true",
            help="the order of periods means nothing (default: with --time the newest tell most)",
        )
    else:
        parser.set_defaults(unordered=False)


def _add_info(add):
    add(
        "--info",
        type=Path,
        metavar="FILE",
        help="one record an instance, with the --instance column and columns of VALUEs",
    )


def _add_attributes(add, without_sales):
    add(
        "--attributes",
        nargs="+",
        metavar="COLUMN",
        help="columns of --info, text or numbers, that tell what an instance is: category, brand, "
        f"size. Instances of --info without sales are then {without_sales}",
    )


def _add_costs(add):
    add("--underage", **VALUE, help="cost of a unit short")
    add("--overage", **VALUE, help="cost of a unit left over")


def _add_stock(group, *, needed):
    add = group.add_argument
    add("--lead-time", **VALUE, required=needed, help="periods that end before an order is there")
    add(
        "--review", type=_whole, metavar="R", help="periods from one order to the next (default: 1)"
    )
    add("--shortage", **VALUE, required=needed, help="cost of a unit that is missing in a period")
    add("--holding", **VALUE, required=needed, help="cost of a unit left at the end of a period")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--lost-sales",
        action="store_const",
        const=True,
        help="what is missing is lost (default)",
    )
    either.add_argument(
        "--backlog",
        dest="lost_sales",
        action="store_const",
        const=False,
        help="it is owed, and costs --shortage in each period until it is there",
    )


def _add_stock_there(add, period, default):
    add("--on-hand", **VALUE, help=f"stock at the start of {period} (default: {default})")
    add(
        "--on-order",
        dest="arrivals",
        nargs="+",
        metavar="COLUMN",
        help="columns of --info, of what arrives in each period from then on, the first one first: "
        "as many as the longest lead time (default: nothing is under way)",
    )
    add(
        "--negative-stock",
        choices=["raise", "clip"],
        default="raise",
        help="what stock below 0 is, if sales are lost: an error (default), or 0",
    )


def _add_packs(add):
    add(
        "--pack",
        **VALUE,
        help="units of a pack, of which whole ones are ordered; empty cells and those of 0 are 1",
    )
    add("--minimum", **VALUE, help="smallest order there is, in units (default: 0)")


def _add_limit(add):
    add("--limit", **VALUE, help="what all orders together may use; a column with --groups only")
    add("--limit-weights", **VALUE, help="what a unit of the order uses of it (default: 1)")
    add("--groups", metavar="COLUMN", help="column of the --info file; each has a limit for itself")


def _add_bounds(add):
    add("--lower", **VALUE, help="least level")
    add("--upper", **VALUE, help="highest level")


def _add_order(add):
    add("--on-hand", **VALUE, help="stock there is (default: 0)")
    add("--on-order", **VALUE, help="stock on its way (default: 0)")
    add(
        "--pack",
        **VALUE,
        help="units of a pack (default: 1, or 0 for no packs if sales are not whole numbers); the "
        "cheaper number of packs is ordered, or with stock given what is missing, rounded up",
    )
    add("--minimum", **VALUE, help="smallest order there is, in units (default: 0)")


def _add_method(add, *, finetune):
    add("--checkpoint", default="auto", help="pretrained weights, a name or file (default: auto)")
    add(
        "--finetune",
        choices=["auto", "none"],
        default=finetune,
        help="whether the weights are trained on the file's instances, which takes up to some "
        "minutes; of more than 2,000 it takes 2,000, for about half a minute; none is faster, and "
        f"mostly as good (default: {finetune})",
    )
    add("--seed", type=int, default=0, help="of all that is random (default: 0)")
    add("--quiet", action="store_true", help="only warnings and errors")


OTHERS = [(".parquet", "pyarrow", "Parquet"), (".xlsx", "openpyxl", "Excel")]


def _check_installed(options):
    """Refuse if what reads the files is not installed; the package does without."""
    needed = {"pandas": "files are read with pandas"}
    paths = [each for each in vars(options).values() if isinstance(each, Path)]
    if getattr(options, "html", None) is not None:
        needed["matplotlib"] = "--html draws with matplotlib"
    for suffix, package, format_ in OTHERS:
        if any(path.suffix.lower() == suffix for path in paths):
            needed[package] = f"{format_} needs {package}"
    for package, reason in needed.items():
        if find_spec(package) is None:
            extra = "examples" if package == "matplotlib" else "files"
            raise ImportError(
                f"{reason}, which is not installed: pip install 'sklearn-pttf[{extra}]'"
            )


def main(argv=None):
    """Run the command; the exit status."""
    options = _parser().parse_args(argv)
    try:
        _check_installed(options)
        from sklearn_pttf._command import COMMANDS

        with terminable():
            summary = COMMANDS[options.command](options)
    except (ValueError, ImportError, MemoryError) as error:
        return _failed(str(error))
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return _failed(f"{error.filename}: {error.strerror}" if named else str(error))
    except KeyboardInterrupt as stop:
        print(f"{how_stopped(stop)}; nothing was written", file=sys.stderr)
        return exit_status(stop)
    return _print(summary)


def _print(lines):
    """Print the summary of what is written; the exit status."""
    try:
        if hasattr(sys.stdout, "reconfigure"):  # a label may be of other letters than the terminal
            sys.stdout.reconfigure(errors="backslashreplace")
        for line in lines:
            print(line, flush=True)  # the next one may take its time
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError, KeyboardInterrupt) as error:
        with contextlib.suppress(OSError, ValueError):
            _print_error(f"all is written, but the summary could not be printed: {error!r}")
        _drop_stdout()
        return 3
    return 0


def _drop_stdout():
    """Keep the interpreter from failing to flush at its end, with a status of its own."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message):
    _print_error(message)
    return 2


def _print_error(message):
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
