"""From a file of sales to a file of orders: the work behind the command ``decide``."""

import contextlib
import csv
import io
import re
import sys
import warnings
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._files import written_whole
from sklearn_pttf._portfolio import are_whole
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import from_long
from sklearn_pttf.exceptions import DriftWarning, PriorConflictWarning
from sklearn_pttf.finetune import AutoFinetune
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor, order_quantity
from sklearn_pttf.problems._newsvendor import RATIO_RANGE

EXTENSIONS = (".csv", ".parquet")
SEPARATORS = ",;\t|"
MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none"}  # numbers, in lower case
CHUNK_LINES = 200_000
SHOWN = 3  # bad cells that an error names
MOST_CELLS = 100_000_000  # of the table, 0.8 GB; more is a mistyped date
MOST_FINETUNED = 2_000  # instances; more would take minutes
FINETUNE_SECONDS = 10.0  # of each of three folds, where there are more instances
CHARGED = 2_000  # instances that the saving is told from
ROUNDS = 4  # of held-out observations
FEW = 100  # instances, whose saving is told too high
GAIN = ("gain", "gain_std_error")
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
COSTS = ("underage", "overage", "service_level")
CONSTRAINTS = ("limit_weights", "lower", "upper")
STOCK = ("on_hand", "on_order", "pack", "minimum")
OPTIONAL = ("lower", "upper")  # a missing cell is no bound


def decide_file(options):
    """Read sales, decide what to stock and to order, and write it.

    Parameters
    ----------
    options : argparse.Namespace
        As ``python -m sklearn_pttf decide`` parses them.

    Returns
    -------
    list of str
        Lines that sum up what was done.

    Raises
    ------
    ValueError
        If an option, or a cell of a file, is not what it must be.

    OSError
        If a file cannot be read or written.

    ImportError
        If pandas is not installed, or pyarrow and a file is Parquet.
    """
    _check_options(options)
    table = _read_sales(options)
    rows = _Rows(options, table, _read_info(options, table.index))
    estimator = _fitted(options, rows)
    with _naming(rows.labels):
        problem = rows.problem()
        level, info = estimator.decide(rows.X, problem=problem, return_info=True)
        quantiles = estimator.predict_quantiles(
            rows.X, list(QUANTILES.values()), horizon=options.horizon
        )
        order = rows.order(level)
    result = {"level": level, "order": order, "mean": info.mean}
    result |= dict(zip(QUANTILES, quantiles.T, strict=True))
    result["expected_cost"] = None if options.service_level is not None else info.expected_cost
    summary = []
    if not options.quiet:
        saving = _saving(estimator, rows, options.seed)
        summary = [*_totals(options, rows, result, info), _told(saving, len(table))]
    _write(options, table.index, result, estimator.integer_)
    return [*summary, f"{options.out} written"]


# ------------------------------------------------------------------ options


def _check_options(options):
    """Refuse what can be refused before anything is read."""
    files = {"the file of sales": options.sales, "--out": options.out, "--info": options.info}
    for name, path in files.items():
        if path is not None and path.suffix.lower() not in EXTENSIONS:
            raise ValueError(
                f"{name} is {path}, whose extension is {path.suffix or 'missing'}; it must be one "
                f"of {', '.join(EXTENSIONS)}"
            )
    if options.out.is_dir():
        raise ValueError(f"--out is {options.out}, which is a folder; it must be a file")
    for path in (options.sales, options.info):
        if path is not None and path.resolve() == options.out.resolve():
            raise ValueError(f"--out is {options.out}, which is read from; name another file")
    _pandas()
    if ".parquet" in {path.suffix.lower() for path in files.values() if path is not None}:
        _parquet()
    _check_costs(options)
    _check_limit(options)
    _check_columns_of_info(options)
    columns = [options.instance, options.value]
    columns += [options.time] if options.time is not None else []
    if len(set(columns)) < len(columns):
        raise ValueError(f"--instance, --value and --time must differ; got {', '.join(columns)}")
    if options.instance in ("level", "order", "mean", *QUANTILES, "expected_cost"):
        raise ValueError(
            f"--instance is {options.instance!r}, which a column of the output is called; rename it"
        )
    for name in ("calendar", "time_format"):
        if getattr(options, name) is not None and options.time is None:
            raise ValueError(f"{_flag(name)} needs --time, the column of dates")


def _check_costs(options):
    level = options.service_level
    if not (level is None or isinstance(level, str) or RATIO_RANGE[0] <= level <= RATIO_RANGE[1]):
        raise ValueError(f"--service-level must be in {list(RATIO_RANGE)}; got {level:g}")
    given = [name for name in COSTS if getattr(options, name) is not None]
    if given not in (["underage", "overage"], ["service_level"]):
        raise ValueError(
            "give --underage and --overage, or --service-level; got "
            f"{' and '.join(map(_flag, given)) or 'none of them'}"
        )


def _check_limit(options):
    if options.limit is None:
        for name in ("limit_weights", "groups"):
            if getattr(options, name) is not None:
                raise ValueError(f"{_flag(name)} needs --limit")
        return
    if isinstance(options.limit, str) and options.groups is None:
        raise ValueError(
            f"--limit is {options.limit!r}, which is no number; a column of limits needs --groups"
        )
    for name in ("pack", "minimum"):
        if getattr(options, name) is not None:
            raise ValueError(f"{_flag(name)} rounds orders up, beyond --limit: give one of the two")


def _check_columns_of_info(options):
    named = _columns_of_info(options)
    if named and options.info is None:
        name, column = next(iter(named.items()))
        raise ValueError(
            f"{_flag(name)} is {column!r}, which is no number; a column needs its file as --info"
        )
    if options.info is not None and not named:
        raise ValueError(f"no option names a column of --info {options.info}")


def _columns_of_info(options):
    """The column of every option that names one; dict."""
    names = (*COSTS, *CONSTRAINTS, *STOCK, "limit")
    named = {name: getattr(options, name) for name in names}
    named = {name: value for name, value in named.items() if isinstance(value, str)}
    return named if options.groups is None else {**named, "groups": options.groups}


def _flag(name):
    return f"--{name.replace('_', '-')}"


# ------------------------------------------------------------------ progress


def _say(options, text):
    if not options.quiet:
        print(text, file=sys.stderr)


@contextlib.contextmanager
def _naming(labels):
    """Errors and warnings name instances, not rows, and warnings take a line each."""
    shown = warnings.showwarning

    def show(message, category, *where, **settings):
        if issubclass(category, (DriftWarning, PriorConflictWarning)):
            text = " ".join(_named(str(message), labels).split())
            print(f"warning: {text}", file=sys.stderr)
        else:
            shown(message, category, *where, **settings)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DriftWarning)
        warnings.simplefilter("always", PriorConflictWarning)
        warnings.showwarning = show
        try:
            yield
        except ValueError as error:
            raise ValueError(_named(str(error), labels)) from None


def _named(text, labels):
    """A message with the labels of the rows that it numbers."""

    def labelled(match):
        rows = [int(row) for row in match[2].split(", ")]
        return f"instance{match[1]} {', '.join(repr(labels[row]) for row in rows)}"

    return re.sub(r"\brow(s?) (\d+(?:, \d+)*)", labelled, text)


# ------------------------------------------------------------------ files


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "files are read with pandas, which is not installed: pip install 'sklearn-pttf[files]'"
        ) from None
    return pandas


def _parquet():
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImportError(
            "Parquet needs pyarrow, which is not installed: pip install 'sklearn-pttf[files]', or "
            "use .csv"
        ) from None
    return parquet


class _Records:
    """Columns of a file, and where in it their cells are.

    Parameters
    ----------
    path : Path

    frame : pandas.DataFrame
        Of text, if the file is text.

    places : ndarray of int
        Where every record is, from 1.

    unit : str
        What is counted there.
    """

    def __init__(self, path, frame, places, unit):
        self.path = path
        self.frame = frame
        self.places = places
        self.unit = unit

    def __len__(self):
        return len(self.frame)

    def take(self, rows):
        return _Records(self.path, self.frame.iloc[rows], self.places[rows], self.unit)

    def refuse(self, column, bad, problem, allowed):
        """Raise if any cell of a column is bad."""
        cells = np.flatnonzero(bad)
        if len(cells) == 0:
            return
        shown = [
            f"{self.unit} {self.places[k]}: {str(self.frame[column].iloc[k])!r}"
            for k in cells[:SHOWN].tolist()
        ]
        more = ", ..." if len(cells) > SHOWN else ""
        raise ValueError(
            f"{self.path}: column {column!r} has {len(cells):,} {problem} "
            f"({', '.join(shown)}{more}); {allowed}"
        )

    def labels(self, column):
        """Labels as text; ndarray of object."""
        codes, items = self._items(column)
        texts = np.array([*map(_text, items), ""], dtype=object)
        missing = np.array([text == "" for text in texts])
        self.refuse(column, missing[codes], "cells without a label", "every record needs one")
        return texts[codes]

    def numbers(self, column, *, missing=True):
        """Finite numbers, NaN where missing, if cells may be; float64 ndarray."""
        codes, items = self._items(column)
        numbers = [*map(_number, items), np.nan]
        bad = np.array([number is None for number in numbers])
        self.refuse(column, bad[codes], "cells that are no number", "numbers look like 12 or 3.5")
        values = np.array(numbers, dtype=float)[codes]
        if not missing:
            self.refuse(column, np.isnan(values), "empty cells", "every record needs a number")
        return values

    def times(self, column, form):
        """Dates as datetime64[us] in local time, or numbers of periods as int64."""
        codes, items = self._items(column)
        allowed = (
            "dates are whole numbers or ISO 8601, such as 2024-03-31; --time-format is for others"
            if form is None
            else f"--time-format is {form!r}"
        )
        if form is None and (numbers := _period_numbers(items)) is not None:
            self.refuse(column, codes < 0, "empty cells", allowed)
            return numbers[codes]
        moments = np.array([*(_moment(item, form) for item in items), None], "datetime64[us]")
        bad = np.isnat(moments)[codes]
        self.refuse(column, bad, "cells that are no date", allowed)
        return moments[codes]

    def _items(self, column):
        """Codes of the cells of a column, -1 where missing, and the items they stand for."""
        codes, items = _pandas().factorize(self.frame[column].astype(object))
        return codes, items.tolist()


def _text(item):
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    return str(item)


def _number(item):
    """A number, NaN if missing, None if it is none."""
    if isinstance(item, str) and item.strip().lower() in MISSING:
        return np.nan
    try:
        number = float(item)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def _period_numbers(items):
    """Whole numbers that count periods, None if any item is none; eight digits are a date."""
    texts = [_text(item) for item in items]
    if not all(re.fullmatch(r"-?\d{1,7}", text) for text in texts):
        return None
    return np.array([int(text) for text in texts], dtype=np.int64)


def _moment(item, form):
    """A date in local time, None if it cannot be read."""
    if not isinstance(item, date):
        text = _text(item).strip()
        try:
            if form is not None:
                item = datetime.strptime(text, form)
            else:
                item = datetime.fromisoformat(f"{text}-01" if len(text) == 7 else text)
        except ValueError:
            return None
    return np.datetime64(item.replace(tzinfo=None) if isinstance(item, datetime) else item, "us")


def _read(path, columns):
    """`_Records` of some columns of a file.

    Parameters
    ----------
    path : Path

    columns : dict of str to str
        Which option names which column.
    """
    pd = _pandas()
    names = list(dict.fromkeys(columns.values()))
    if path.suffix.lower() == ".parquet":
        try:
            header = _parquet().read_schema(path).names
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
        _find_columns(path, header, columns)
        frame = pd.read_parquet(path, columns=names, engine="pyarrow")
        records = _Records(path, frame, np.arange(len(frame)) + 1, "record")
    else:
        try:
            records = _read_csv(path, names, columns)
        except pd.errors.ParserWarning:
            raise ValueError(f"{path} has lines with more cells than its first line") from None
        except (pd.errors.ParserError, csv.Error) as error:
            problem = str(error).removeprefix("Error tokenizing data. C error: ")
            raise ValueError(f"{path} cannot be read as CSV: {problem}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no UTF-8 text; save it as UTF-8") from None
    if len(records) == 0:
        raise ValueError(f"{path} has no records")
    return records


def _read_csv(path, names, columns):
    pd = _pandas()
    separator, header = _header(path)
    positions = _find_columns(path, header, columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        reader = pd.read_csv(
            path,
            sep=separator,
            dtype=object,
            na_filter=False,
            index_col=False,
            skip_blank_lines=False,  # they count as lines
            chunksize=CHUNK_LINES,
            encoding="utf-8-sig",
        )
        with reader:
            parts = [part.iloc[:, positions] for part in reader]
    frame = pd.concat(parts)
    frame.columns = names
    frame = frame[(frame != "").any(axis=1)]
    return _Records(path, frame, frame.index.to_numpy() + 2, "line")


def _header(path):
    """The separator of a CSV file, and the names of its columns."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        line = file.readline()
    if not line.strip():
        raise ValueError(f"{path} is empty; its first line must name its columns")
    separator = max(SEPARATORS, key=line.count)
    return separator, next(csv.reader([line], delimiter=separator))


def _find_columns(path, header, columns):
    """Positions of columns in a file; list of int."""
    for option, name in columns.items():
        if header.count(name) != 1:
            problem = "no column" if name not in header else f"{header.count(name)} columns"
            raise ValueError(
                f"{path} has {problem} {name!r} ({_flag(option)}); its columns are "
                f"{', '.join(header)}"
            )
    return [header.index(name) for name in dict.fromkeys(columns.values())]


# ------------------------------------------------------------------ sales


def _read_sales(options):
    """The table of `from_long`, one row an instance."""
    pd = _pandas()
    columns = {"instance": options.instance, "value": options.value}
    if options.time is not None:
        columns["time"] = options.time
    _say(options, f"reading {options.sales}")
    records = _read(options.sales, columns)
    frame = pd.DataFrame(
        {
            options.instance: records.labels(options.instance),
            options.value: records.numbers(options.value),
        }
    )
    if frame[options.value].isna().all():
        raise ValueError(f"{records.path}: column {options.value!r} has no number at all")
    times, calendar = None, None
    if options.time is not None:
        frame[options.time], times, calendar = _calendar(records, options)
    _check_size(records, frame[options.instance], times, options.periods)
    try:
        table = from_long(
            frame,
            instance=options.instance,
            value=options.value,
            time=options.time,
            calendar=calendar,
            fill=options.fill,
            negatives=options.negatives,
            width=options.periods,
        )
    except ValueError as error:
        raise ValueError(f"{records.path}: {error}") from None
    _say(options, f"{records.path}: {_described(frame[options.value], table, times)}")
    return table


def _check_size(records, labels, periods, newest):
    """Refuse a table that one wrong date, or instance, makes too large to be held."""
    counts = labels.value_counts()
    n_periods = counts.max() if periods is None else len(periods)
    if min(n_periods, newest or n_periods) * len(counts) > MOST_CELLS:
        span = "" if periods is None else f", {_span(periods)}"
        raise ValueError(
            f"{records.path} has {len(counts):,} instances and {n_periods:,} periods{span}: too "
            "many to be held; mend what is wrong, or give --periods"
        )


def _described(values, table, periods):
    """What was read, in a line."""
    line = f"{len(values):,} records of {len(table):,} instances, {table.shape[1]:,} periods"
    if periods is not None:
        line += f" of {len(periods):,} {_span(periods)}"
    missing = values.isna().sum()
    return f"{line}; {missing:,} records without a value" if missing else line


def _span(periods):
    first, last = (str(period).removesuffix("T00:00:00.000000") for period in periods[[0, -1]])
    return f"from {first} to {last}"


def _calendar(records, options):
    """Times of the records, the periods that there are, and the calendar for `from_long`."""
    times = records.times(options.time, options.time_format)
    dated = times.dtype.kind == "M"
    if options.calendar is None:
        if dated:
            records.refuse(
                options.time,
                times != times.astype("datetime64[D]"),
                "times of day",
                "give --calendar D for periods of a day, or another frequency",
            )
        periods = np.unique(times)
        if dated:
            _note_gaps(options, periods)
        return times, periods, None if options.offered == "own" else periods
    if not dated:
        raise ValueError(
            f"--calendar is {options.calendar!r}, but column {options.time!r} of {records.path} "
            "holds numbers of periods, not dates"
        )
    periods = _regular_periods(options.calendar, times)
    times = periods[np.searchsorted(periods, times, side="right") - 1]
    return times, periods, options.calendar if options.offered == "own" else periods


def _regular_periods(frequency, times):
    """Beginnings of the periods of a pandas frequency; ndarray of datetime64[us]."""
    pd = _pandas()
    try:
        offset = pd.tseries.frequencies.to_offset(frequency)
        start = offset.rollback(pd.Timestamp(times.min()).normalize())
        periods = pd.date_range(start, times.max(), freq=offset).to_numpy()
        fits = np.all(periods == periods.astype("datetime64[D]"))
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"--calendar is {frequency!r}; it must be a pandas frequency of days, weeks, months or "
            "longer, such as D, W-MON or MS"
        )
    return periods.astype("datetime64[us]")


def _note_gaps(options, periods):
    """Say so if periods without any record seem to be left out."""
    days = np.diff(periods).astype("timedelta64[D]").astype(int)
    if len(days) and days.max() >= 2 * days.min():
        _say(
            options,
            f"note: dates are {days.min()} to {days.max()} days apart; if periods without any "
            "record should count, give --calendar",
        )


# ------------------------------------------------------------------ instances


def _read_info(options, labels):
    """What options name of the file of instances, in the order of ``labels``; dict of ndarray."""
    named = _columns_of_info(options)
    if not named:
        return {}
    _say(options, f"reading {options.info}")
    records = _read(options.info, {"instance": options.instance, **named})
    own = _pandas().Index(records.labels(options.instance))
    records.refuse(
        options.instance, own.duplicated(), "labels again", "every instance has one record"
    )
    rows = own.get_indexer(labels)
    absent = labels[rows < 0].tolist()
    if absent:
        raise ValueError(
            f"{options.info} has no record of {len(absent):,} instances of {options.sales}: "
            f"{', '.join(map(repr, absent[:SHOWN]))}{', ...' if len(absent) > SHOWN else ''}"
        )
    if len(own) > len(labels):
        _say(
            options,
            f"note: {len(own) - len(labels):,} instances of {options.info} have no sales in "
            f"{options.sales} and are left out",
        )
    records = records.take(rows)
    return {
        name: records.labels(column)
        if name == "groups"
        else records.numbers(column, missing=name in OPTIONAL)
        for name, column in named.items()
    }


class _Rows:
    """The table that is decided, the problem, and what becomes of its decisions.

    Parameters
    ----------
    options : argparse.Namespace

    table : pandas.DataFrame of shape (n_instances, n_periods)
        The observations.

    info : dict of ndarray of shape (n_instances,)
        Of every option that names a column.
    """

    def __init__(self, options, table, info):
        self.options = options
        self.observations = table.columns.tolist()
        self.labels = table.index.tolist()
        self.whole = are_whole(table.to_numpy())
        self._info = info
        of_problem = (*COSTS, *CONSTRAINTS, "groups")
        columns = {name: value for name, value in info.items() if name in of_problem}
        if options.limit is not None:
            self._in_stock = self._per_row("on_hand", 0.0) + self._per_row("on_order", 0.0)
            if self.whole:
                self._in_stock = np.floor(self._in_stock)
            columns |= self._bounds_beyond_stock()
        self.X = table.assign(**columns)

    def __len__(self):
        return len(self.labels)

    def _value(self, name, default):
        """A number, or one a row, as an option gives it."""
        value = getattr(self.options, name)
        return default if value is None else self._info.get(name, value)

    def _per_row(self, name, default):
        return np.broadcast_to(np.asarray(self._value(name, default), dtype=float), len(self))

    def _bounds_beyond_stock(self):
        """Bounds with which a level uses of the limit what is ordered for it, and no more."""
        if not self._in_stock.any():
            return {}
        bounds = {"lower": np.fmax(self._per_row("lower", 0.0), self._in_stock)}
        if self.options.upper is not None:
            bounds["upper"] = np.maximum(self._per_row("upper", None), self._in_stock)
        return bounds

    def problem(self, rows=None):
        """The problem of some rows (all, if None), which share as much of the limit as they are."""
        rows = np.arange(len(self)) if rows is None else rows
        given = {"observations": self.observations, "horizon": self.options.horizon}
        for name in (*COSTS, *CONSTRAINTS, "groups"):
            value = name if name in self.X else getattr(self.options, name)
            if value is not None:
                given[name] = value
        if self.options.limit is not None:
            given["limit"] = self._limit(rows)
        level = given.pop("service_level", None)
        return (
            Newsvendor(**given) if level is None else Newsvendor.from_service_level(level, **given)
        )

    def _limit(self, rows):
        """What levels of rows may use: their share of the limit, and what their stock does."""
        limit = self._per_row("limit", None)
        if (limit < 0).any():
            raise ValueError(f"--limit must be at least 0; got {limit.min():g}")
        if self.options.groups is None:
            return float(limit[0] * len(rows) / len(self) + self.in_stock(rows).sum())
        groups = self._info["groups"]
        limits = {}
        for label in np.unique(groups[rows]).tolist():
            own, some = groups == label, rows[groups[rows] == label]
            amounts = np.unique(limit[own])
            if len(amounts) > 1:
                raise ValueError(
                    f"--limit must be one number a group; group {label!r} has "
                    f"{', '.join(f'{amount:g}' for amount in amounts[:SHOWN])}"
                )
            share = float(amounts[0] * len(some) / own.sum())
            limits[label] = share + float(self.in_stock(some).sum())
        return limits

    def in_stock(self, rows):
        """What the stock of rows, there and on its way, would use of the limit; ndarray."""
        return (self._in_stock * self._per_row("limit_weights", 1.0))[rows]

    def order(self, level):
        """What to order to reach a level, None if nothing is known of stock and packs."""
        if all(getattr(self.options, name) is None for name in STOCK):
            return None
        pack = self._value("pack", 1.0 if self.whole else 0.0)
        given = {name: self._value(name, 0.0) for name in ("on_hand", "on_order", "minimum")}
        return order_quantity(level, pack=pack, **given)


# ------------------------------------------------------------------ decisions


def _fitted(options, rows):
    """The estimator, fitted to the instances, or to some of very many if it is to be trained."""
    rng = np.random.default_rng(options.seed)
    chosen, strategy = np.arange(len(rows)), None
    if options.finetune == "auto":
        strategy = AutoFinetune()
        if len(rows) > MOST_FINETUNED:
            chosen = np.sort(rng.permutation(len(rows))[:MOST_FINETUNED])
            strategy = AutoFinetune(max_seconds=FINETUNE_SECONDS)
    estimator = PretrainedDecisionTransformer(
        rows.problem(chosen),
        checkpoint=options.checkpoint,
        finetune=strategy,
        random_state=options.seed,
        verbose=int(not options.quiet and sys.stderr.isatty()),  # bars would fill a log
    )
    _say(options, f"fitting to {len(chosen):,} instances")
    labels = [rows.labels[row] for row in chosen]
    with _naming(labels), contextlib.redirect_stdout(io.StringIO()):
        estimator.fit(rows.X.iloc[chosen])
    if strategy is not None:
        _say(options, _finetuned(estimator.finetune_report_))
    return estimator


def _finetuned(report):
    """What came of finetuning, in a line."""
    if "reason" in report:
        return f"not finetuned: {report['reason']}"
    chosen = report["chosen"].argmax()
    if chosen == 0:
        return "finetuned, but the pretrained network alone was as good and is in use"
    gain, error = (report[name][chosen] / report["mean_cost"][0] for name in GAIN)
    return (
        f"finetuned; in use: {report['candidate'][chosen]}, {gain:.1%} +- {error:.1%} cheaper than "
        "the pretrained network on instances it was not trained on"
    )


class _Saving(NamedTuple):
    """What decisions save over SAA on observations that they did not see."""

    share: float  # of SAA's cost
    error: float
    n_instances: int


def _saving(estimator, rows, seed):
    """`_Saving`, None if there is nothing to charge.

    A few observations (or horizons of them) of some instances are held out one by one, and charged
    on decisions from the instance's others.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows))[:CHARGED]
    observations = rows.X[rows.observations].to_numpy()[chosen]
    at, evidence, outcomes = _held_out(observations, rows.options.horizon, rng)
    if len(at) == 0:
        return None
    at_rows = chosen[at]
    X = rows.X.iloc[at_rows].reset_index(drop=True)
    X[rows.observations] = evidence
    problem = rows.problem(at_rows)
    reference = SampleAverage(problem).fit(rows.X.iloc[chosen])
    try:
        mine, saa = (
            decision_cost(
                outcomes, each.decide(X, problem=problem), problem=problem, X=X, per_row=True
            )
            for each in (estimator, reference)
        )
    except ValueError:
        if rows.options.limit is None:
            raise
        return None  # lower bounds of these rows alone may need more than their share of it
    if saa.sum() == 0:
        return None
    share = 1 - mine.sum() / saa.sum()
    off = np.bincount(at, saa - mine - share * saa)
    error = np.sqrt((off**2).sum() * len(off) / max(len(off) - 1, 1)) / saa.sum()
    return _Saving(share, error, len(np.unique(at)))


def _held_out(observations, horizon, rng):
    """Rows that are charged, some several times, with their evidence and the outcome.

    Parameters
    ----------
    observations : ndarray of shape (n, m)

    horizon : int

    rng : Generator

    Returns
    -------
    at : ndarray of int of shape (k,)

    evidence : ndarray of shape (k, m)

    outcomes : ndarray of shape (k, horizon)
    """
    n_rows, width = observations.shape
    n_blocks = width // horizon
    begin = width - n_blocks * horizon
    seen = ~np.isnan(observations[:, begin:].reshape(n_rows, n_blocks, horizon)).any(axis=2)
    order = np.where(seen, rng.random(seen.shape), 2.0).argsort(axis=1)[:, :ROUNDS]
    at, nth = np.nonzero(np.take_along_axis(seen, order, axis=1))
    cells = begin + order[at, nth][:, None] * horizon + np.arange(horizon)
    evidence = observations[at]
    outcomes = np.take_along_axis(evidence, cells, axis=1)
    np.put_along_axis(evidence, cells, np.nan, axis=1)
    return at, evidence, outcomes


# ------------------------------------------------------------------ results


def _totals(options, rows, result, info):
    """Lines that sum up the decisions."""
    lasting = "a period" if options.horizon == 1 else f"{options.horizon} periods"
    line = (
        f"stock {_amount(result['level'].sum())} for an expected demand of "
        f"{_amount(result['mean'].sum())} over {lasting}"
    )
    if result["expected_cost"] is not None:
        line += f", at an expected cost of {_amount(result['expected_cost'].sum())}"
    lines = [line]
    order = result["order"]
    if order is not None:
        lines.append(f"order {_amount(order.sum())} of {(order > 0).sum():,} instances")
    if options.limit is not None:
        lines += _limits(options, rows, info)
    return lines


def _limits(options, rows, info):
    """A line for every limit."""
    if options.groups is None:
        yield _limit_used("limit", rows.in_stock(slice(None)).sum(), info, lambda each: each)
        return
    groups = rows.X["groups"].to_numpy()
    for label in info.limit:
        in_stock = rows.in_stock(groups == label).sum()
        yield _limit_used(f"limit of {label}", in_stock, info, lambda each, k=label: each[k])


def _limit_used(name, in_stock, info, pick):
    used, limit = pick(info.used) - in_stock, pick(info.limit) - in_stock
    return (
        f"{name}: {_amount(used)} of {_amount(limit)} used; one more unit of it would save "
        f"{pick(info.shadow_price):.4g}"
    )


def _amount(number):
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _told(saving, n_instances):
    if saving is None:
        return "no saving over sample averages can be told: no held-out observation to charge"
    few = "; with so few instances it is told too high" if n_instances < FEW else ""
    return (
        f"expected saving over sample averages (SAA, each instance on its own): "
        f"{saving.share:.1%} +- {saving.error:.1%}, by leave-one-out on {saving.n_instances:,} "
        f"instances{few}"
    )


def _write(options, labels, result, whole):
    """Write the results, whole or not at all."""
    frame = _pandas().DataFrame({options.instance: labels.to_numpy(dtype=object)})
    for name, values in result.items():
        if values is not None:
            counts = whole and name not in ("mean", "expected_cost") and are_whole(values)
            frame[name] = values.astype(np.int64) if counts else values
    if options.out.suffix.lower() == ".parquet":
        with written_whole(options.out) as path:
            frame.to_parquet(path, index=False, engine="pyarrow")
        return
    separator = _header(options.sales)[0] if options.sales.suffix.lower() == ".csv" else ","
    with written_whole(options.out) as path:
        frame.to_csv(path, index=False, sep=separator, float_format="%.10g")
