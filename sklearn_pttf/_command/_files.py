"""Files of records: columns of text, checked line by line, and files that are written whole."""

import contextlib
import gzip
import sys
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_pttf._command._readers import (
    EXCEL,
    PARQUET,
    Form,
    Raw,
    extension,
    read_raw,
)
from sklearn_pttf._utils.files import written_whole
from sklearn_pttf.datasets._numbers import SIGNS, read_numbers

MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none"]  # numbers, in lower case
MISSING_TEXT = MISSING[:-1]  # that there is none may be a level
TRUTHS = {"true": True, "false": False}
PERIOD_NUMBER = r"-?\d{1,7}"  # eight digits are a date
OFFSET = r"(:\S*?)\s?(Z|[+-]\d\d:?\d\d)$"  # of a time of day, from UTC
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # that begin with one of these
SHOWN = 3  # bad cells that an error names
UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"  # characters that take no place


def _trimmed(text):
    """A label without blanks at its ends, in the one form of letters with accents."""
    return unicodedata.normalize("NFC", text).strip().strip(UNSEEN).strip()


def _in_zone(texts, zone):
    """Dates that say how far they are from UTC, in local time of a zone; others as they are."""
    far = texts.str.contains(OFFSET.replace("(:", "(?::").replace("(Z", "(?:Z"), regex=True)
    moments = pd.to_datetime(texts[far], format="ISO8601", errors="coerce", utc=True)
    local = moments.tz_convert(zone).tz_localize(None)
    told = pd.Series(texts.astype(object))
    known = np.flatnonzero(far)[~local.isna()]
    told.iloc[known] = [each.isoformat() for each in local[~local.isna()]]
    return pd.Index(told)


@dataclass
class Records:
    """Columns of a file."""

    path: Path
    raw: Raw
    frame: pd.DataFrame  # of `raw`, without blank lines
    form: Form
    guesses: list = field(default_factory=list)  # of how numbers are written, in words
    decimal: str = "."  # of the newest column of numbers that was read

    @property
    def unit(self):
        """What the index of the frame numbers."""
        return self.raw.unit

    def refuse(self, column, bad, problem, allowed):
        """Raise if any cell of a column is bad, and say where."""
        cells = self.frame.loc[bad, column]
        if cells.empty:
            return
        shown = ", ".join(f"{self.unit} {at}: {cell!r}" for at, cell in cells[:SHOWN].items())
        raise ValueError(
            f"{self.path}: column {column!r} has {len(cells):,} {problem} "
            f"({shown}{', ...' if len(cells) > SHOWN else ''}); {allowed}"
        )

    def labels(self, column):
        """Labels without blanks at their ends; ndarray of object."""
        codes, texts = self._texts(column)
        labels = np.array([_trimmed(text) for text in texts], dtype=object)[codes]
        self.refuse(column, labels == "", "cells without a label", "every record needs one")
        return labels

    def numbers(self, column, *, missing=True, infinite=False):
        """Finite numbers, or infinite ones, NaN where missing, if cells may be; float64 ndarray."""
        codes, texts = self._texts(column)
        absent = texts.str.strip().str.lower().isin(MISSING)
        numbers = self._numbers(column, codes, texts, absent)
        good = ~np.isnan(numbers) if infinite else np.isfinite(numbers)
        bad = ~(good | absent)
        self.refuse(column, bad[codes], "cells that are no number", "numbers look like 12 or 3.5")
        if not missing:
            self.refuse(column, absent[codes], "empty cells", "every record needs a number")
        return numbers[codes]

    def truths(self, column):
        """1 where true, 0 where false, NaN where missing; ndarray of float64."""
        codes, texts = self._texts(column)
        lower = texts.str.strip().str.lower()
        numbers = pd.to_numeric(lower, errors="coerce").to_numpy(dtype=float)
        values = np.array([TRUTHS.get(text, np.nan) for text in lower], dtype=float)
        values = np.where(np.isnan(numbers), values, numbers)
        bad = ~np.isin(values, (0, 1)) & ~lower.isin(MISSING)
        self.refuse(
            column, bad[codes], "cells neither true nor false", "true and false, or 1 and 0"
        )
        return values[codes]

    def driver(self, column, most):
        """Numbers, booleans, or text, which are told apart by what is there; missing where empty.

        Text of more than ``most`` levels, of which some are numbers, is refused.
        """
        codes, texts = self._texts(column)
        texts = texts.str.strip()
        lower = texts.str.lower()
        absent = lower.isin(MISSING)
        numbers = self._numbers(column, codes, texts, absent)
        self.refuse(column, np.isinf(numbers)[codes], "infinite cells", "drivers are finite")
        known = ~np.isnan(numbers)
        if (known | absent).all():
            return numbers[codes]
        if (lower.isin(TRUTHS) | lower.isin(MISSING_TEXT)).all():
            return np.array([TRUTHS.get(text) for text in lower], dtype=object)[codes]
        if known.any() and len(texts) > most:
            allowed = f"a driver is all numbers such as 3.5, or text of at most {most} levels"
            self.refuse(column, ~(known | absent)[codes], "cells that are no number", allowed)
        levels = texts.to_numpy(dtype=object).copy()
        levels[lower.isin(MISSING_TEXT)] = None
        return levels[codes]

    def attribute(self, column):
        """Numbers if all cells are that are not empty, else text; missing where empty."""
        codes, texts = self._texts(column)
        texts = texts.str.strip()
        absent = texts.str.lower().isin(MISSING)
        numbers = self._numbers(column, codes, texts, absent)
        if (np.isfinite(numbers) | absent).all():
            return np.where(absent, np.nan, numbers)[codes]
        levels = texts.to_numpy(dtype=object).copy()
        levels[texts.str.lower().isin(MISSING_TEXT)] = None
        return levels[codes]

    def times(self, column, form=None, zone=None):
        """Dates in local time, or whole numbers of periods; ndarray of datetime64 or int64.

        Local time is that of the file, or of a ``zone`` where dates say how far they are from UTC.
        """
        codes, texts = self._texts(column)
        self.refuse(column, (texts == "")[codes], "empty cells", "every record needs a date")
        if form is None and texts.str.fullmatch(PERIOD_NUMBER).all():
            return texts.to_numpy(dtype=np.int64)[codes]
        allowed = f"--time-format is {form!r}"
        if form is None:
            allowed = (
                "dates are whole numbers or ISO 8601 (2024-03-31); --time-format is for others"
            )
            if zone is not None:
                texts = _in_zone(texts, zone)
            texts = texts.str.replace(OFFSET, r"\1", regex=True)
        dates = pd.to_datetime(texts, format=form or "ISO8601", errors="coerce").tz_localize(None)
        self.refuse(column, dates.isna()[codes], "cells that are no date", allowed)
        return dates.to_numpy("datetime64[us]")[codes]

    def offsets(self, column):
        """How far dates are from UTC, as they say it; sorted list of str."""
        _, texts = self._texts(column)
        return sorted(texts.str.extract(OFFSET)[1].dropna().unique())

    def _numbers(self, column, codes, texts, absent):
        """Texts as numbers, NaN where they are none; refused where they may be two."""
        typed = texts.isin(self.raw.typed.get(column, ()))
        numbers = np.full(len(texts), np.nan)
        numbers[typed] = texts[typed].astype(float)
        written = np.flatnonzero(~(typed | absent))
        found = read_numbers(texts[written], self.form.decimal, self.form.thousands)
        if found.doubt is not None:
            doubtful = np.zeros(len(texts), dtype=bool)
            doubtful[written] = found.doubtful
            text, low, high = found.doubt
            sign = next(each for each in text if each in SIGNS)
            allowed = (
                f"{text!r} may be {low} or {high}: --decimal {sign} says the one, and --thousands "
                f"{sign} the other"
            )
            self.refuse(column, doubtful[codes], "cells that may be thousands", allowed)
        numbers[written] = found.values
        self.decimal = found.convention.decimal
        told = [self.form.decimal, self.form.thousands] != [None, None]
        for words in [] if told else found.convention.named(texts[written]):
            self.guesses.append(f"{words} in {column}")
        return numbers

    def _texts(self, column):
        """Codes of the cells, and the texts they stand for."""
        cells = self.frame[column].cat.remove_unused_categories().cat
        return cells.codes.to_numpy(), cells.categories


def read(path, columns, optional=(), form=None):
    """`Records` of the columns that options name (dict to a str, or several), without blank ones.

    Those of ``optional``, a list of names, only if they are there. ``form`` is as options tell it.
    """
    form = form or Form()
    raw = read_raw(path, lambda header: _find(path, header, (columns, optional)), form)
    used = (raw.frame != "").any(axis=1)
    if not used.any():
        raise ValueError(f"{path} has no records")
    raw.repeats = raw.repeats[used.to_numpy()]
    return Records(path, raw, raw.frame[used], form, list(raw.guesses))


def _find(path, header, wanted):
    """Names of the columns, each once; refused if the header has not each of them once."""
    columns, optional = wanted
    wanted = [
        (option, name)
        for option, names in columns.items()
        for name in ([names] if isinstance(names, str) else names)
    ]
    wanted += [("drivers", name) for name in optional if name in header]
    for option, name in wanted:
        if header.count(name) != 1:
            found = f"{header.count(name)} columns" if name in header else "no column"
            raise ValueError(
                f"{path} has {found} {name!r} ({flag(option)}); its columns are {', '.join(header)}"
            )
    return list(dict.fromkeys(name for _, name in wanted))


def say(options, text):
    if not options.quiet:
        print(text, file=sys.stderr)


def say_guesses(options, records):
    """What was guessed of how a file is written, in a line."""
    if records.guesses:
        guesses = ", ".join(dict.fromkeys(records.guesses))
        told = "--sep, --encoding, --decimal and --thousands tell it"
        say(options, f"{records.path}: guessed {guesses} ({told})")


def flag(option):
    return f"--{option.replace('_', '-')}"


@dataclass(frozen=True)
class Style:
    """How text files are written beside one that was read."""

    sep: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    defused: bool = False  # text that spreadsheets take for formulas

    @classmethod
    def of(cls, records, defused=False):
        """That of records, by the numbers that were read last.

        Where they are no plain UTF-8 a mark says what the output is, to what people read it with.
        """
        plain = records.raw.encoding == "utf-8"
        encoding = "utf-8" if plain else "utf-8-sig"
        return cls(records.raw.sep, records.decimal, encoding, defused)


def write(path, frame, style):
    """Write a frame, whole or not at all, with the separator and decimals of another file.

    Parameters
    ----------
    path : Path

    frame : DataFrame

    style : Style
    """
    with written_whole(path) as temporary:
        write_frame(temporary, path, frame, style)


def write_frame(temporary, path, frame, style):
    """Write a frame to a file that will be ``path``."""
    kind = extension(path)
    if kind == PARQUET:
        frame.to_parquet(temporary, index=False, engine="pyarrow")
    elif kind == EXCEL:
        _write_excel(temporary, frame)
    else:
        frame = _defused(frame) if style.defused else frame
        sep = "\t" if kind.startswith(".tsv") else style.sep
        settings = {"sep": sep, "encoding": style.encoding, "index": False}
        settings["decimal"] = style.decimal if style.decimal != sep else "."
        with contextlib.ExitStack() as stack:
            file = temporary
            if kind.endswith(".gz"):  # without a name and a time, which would differ each time
                plain = stack.enter_context(open(temporary, "wb"))
                file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=plain, mtime=0))
            frame.to_csv(file, float_format="%.10g", **settings)


def looks_like_formula(text):
    """Whether a spreadsheet may take a text for a formula; a number with a sign is none."""
    return isinstance(text, str) and text.startswith(FORMULAS)


def _defused(frame):
    """The frame with a quote before text that looks like a formula."""

    def defuse(cell):
        return f"'{cell}" if looks_like_formula(cell) else cell

    texts = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    frame = frame.assign(**{name: frame[name].map(defuse) for name in texts})
    return frame.rename(columns=defuse)


def _write_excel(temporary, frame):
    """Write a workbook, in which text that begins with = is no formula."""
    with open(temporary, "wb") as file, pd.ExcelWriter(file, engine="openpyxl") as book:
        frame.to_excel(book, index=False)
        (sheet,) = book.sheets.values()
        for cell in (cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"):
            cell.data_type = "s"
