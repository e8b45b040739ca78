"""The command line: from a file of sales to a file of orders.

::

    python -m sklearn_pttf decide sales.csv --instance sku --value units --time date
        --underage 4 --overage 1 --out orders.csv
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

DESCRIPTION = """\
Read a file with one record a sale, and write a file with one line an instance (a product, a
store, a spare part): what to stock, and what to order for it. Files are CSV or Parquet, by their
extension. Records of the same instance in the same period are added up. Labels such as 00123 stay
text. Periods without a record are sales of 0, in every period of the file, unless --fill and
--offered say otherwise. With --time, decisions are for the periods that follow the last one: levels
that move, --seasons, and promotions and prices (--drivers) that are planned (--future) count."""

COLUMNS = """\
columns of the output:
  the instance, under its own name
  level          stock to have, before demand is known
  order          what to order, if --on-hand, --on-order, --pack or --minimum is given
  mean           expected demand, over the horizon
  p10, p50, p90  quantiles of demand, over the horizon
  expected_cost  of having the level in stock; not with --service-level

exit status: 0 done, 2 bad input (nothing is written), 130 interrupted"""


def _number_or_column(text):
    """A finite number, or the name of a column."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text


def _whole(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {text}")
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


VALUE = {"type": _number_or_column, "metavar": "VALUE"}


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_pttf", description="Decisions from little data, for files."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    decide = commands.add_parser(
        "decide",
        help="decide what to stock and to order, from a file of sales",
        description=DESCRIPTION,
        epilog=COLUMNS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    decide.add_argument("sales", type=Path, metavar="SALES", help="file of sales, .csv or .parquet")
    decide.add_argument("--out", type=Path, required=True, help="file to write, likewise")
    per_row = "VALUE is a number, or the name of a column of the --info file."
    _add_records(decide.add_argument_group("what the records hold").add_argument)
    _add_time(decide.add_argument_group("what moves sales over time").add_argument)
    _add_problem(decide.add_argument_group("what is decided", per_row).add_argument)
    _add_order(decide.add_argument_group("from the level to the order", per_row).add_argument)
    _add_method(decide.add_argument_group("how").add_argument)
    return parser


def _add_records(add):
    add("--instance", required=True, metavar="COLUMN", help="labels of instances")
    add("--value", required=True, metavar="COLUMN", help="units sold")
    add(
        "--time",
        metavar="COLUMN",
        help="dates (ISO 8601) or numbers of periods; without it every record is a period",
    )
    add("--time-format", metavar="FORMAT", help="of other dates, such as %%d.%%m.%%Y")
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
    add("--periods", type=_whole, metavar="K", help="use the newest K periods only")


def _add_time(add):
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
    add(
        "--unordered",
        action="store_true",
        help="the order of periods means nothing (default: with --time the newest tell most)",
    )


def _add_problem(add):
    add(
        "--info",
        type=Path,
        metavar="FILE",
        help="one record an instance, with the --instance column and columns of VALUEs",
    )
    add("--underage", **VALUE, help="cost of a unit short")
    add("--overage", **VALUE, help="cost of a unit left over")
    add("--service-level", **VALUE, help="instead of both: probability that demand is covered")
    add("--horizon", type=_whole, default=1, metavar="H", help="periods that a level must last")
    add("--limit", **VALUE, help="what all orders together may use; a column with --groups only")
    add("--limit-weights", **VALUE, help="what a unit of the order uses of it (default: 1)")
    add("--groups", metavar="COLUMN", help="column of the --info file; each has a limit for itself")
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


def _add_method(add):
    add("--checkpoint", default="auto", help="pretrained weights, a name or file (default: auto)")
    add(
        "--finetune",
        choices=["auto", "none"],
        default="auto",
        help="whether the weights are trained on the file's instances, on 2,000 of them for about "
        "half a minute if there are more; none is faster, and mostly as good",
    )
    add("--seed", type=int, default=0, help="of all that is random (default: 0)")
    add("--quiet", action="store_true", help="only warnings and errors")


def _check_installed(options):
    """Refuse if what reads the files is not installed; the package does without."""
    needed = {"pandas": "files are read with pandas"}
    paths = (options.sales, options.out, options.info, options.future)
    if any(path.suffix.lower() == ".parquet" for path in paths if path is not None):
        needed["pyarrow"] = "Parquet needs pyarrow"
    for package, reason in needed.items():
        if find_spec(package) is None:
            raise ImportError(
                f"{reason}, which is not installed: pip install 'sklearn-pttf[files]'"
            )


def main(argv=None):
    """Run the command; the exit status."""
    options = _parser().parse_args(argv)
    try:
        _check_installed(options)
        from sklearn_pttf._command import decide_file

        summary = decide_file(options)
    except (ValueError, ImportError, MemoryError) as error:
        return _failed(str(error))
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        return _failed(f"{error.filename}: {error.strerror}" if named else str(error))
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    for line in summary:
        print(line)
    return 0


def _failed(message):
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
