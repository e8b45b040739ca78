"""Files of records: read as text, checked line by line, and written whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_pttf._utils.files import written_whole

EXTENSIONS = (".csv", ".parquet")
CHUNK_LINES = 200_000
SEPARATORS = ",;\t|"
MISSING = ["", "na", "n/a", "#n/a", "nan", "null", "none"]  # numbers, in lower case
MISSING_TEXT = MISSING[:-1]  # that there is none may be a level
TRUTHS = {"true": True, "false": False}
PERIOD_NUMBER = r"-?\d{1,7}"  # eight digits are a date
OFFSET = r"(:\S*?)\s?(Z|[+-]\d\d:?\d\d)$"  # of a time of day, from UTC
SHOWN = 3  # bad cells that an error names


@dataclass
class Records:
    """Columns of a file."""

    path: Path
    frame: pd.DataFrame  # of text, as categories; its index numbers the lines, or records, from 1
    unit: str  # what the index numbers

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
        """Labels as they are written; ndarray of object."""
        labels = self.frame[column].to_numpy(dtype=object)
        self.refuse(column, labels == "", "cells without a label", "every record needs one")
        return labels

    def numbers(self, column, *, missing=True, infinite=False):
        """Finite numbers, or infinite ones, NaN where missing, if cells may be; float64 ndarray."""
        codes, texts = self._texts(column)
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float)
        absent = texts.str.strip().str.lower().isin(MISSING)
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
        lower, numbers = texts.str.lower(), pd.to_numeric(texts, errors="coerce").to_numpy(float)
        self.refuse(column, np.isinf(numbers)[codes], "infinite cells", "drivers are finite")
        absent, known = lower.isin(MISSING), ~np.isnan(numbers)
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
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(float)
        if (np.isfinite(numbers) | absent).all():
            return np.where(absent, np.nan, numbers)[codes]
        levels = texts.to_numpy(dtype=object).copy()
        levels[texts.str.lower().isin(MISSING_TEXT)] = None
        return levels[codes]

    def times(self, column, form=None):
        """Dates in local time, or whole numbers of periods; ndarray of datetime64 or int64."""
        codes, texts = self._texts(column)
        self.refuse(column, (texts == "")[codes], "empty cells", "every record needs a date")
        if form is None and texts.str.fullmatch(PERIOD_NUMBER).all():
            return texts.to_numpy(dtype=np.int64)[codes]
        allowed = f"--time-format is {form!r}"
        if form is None:
            allowed = (
                "dates are whole numbers or ISO 8601 (2024-03-31); --time-format is for others"
            )
            texts = texts.str.replace(OFFSET, r"\1", regex=True)
        dates = pd.to_datetime(texts, format=form or "ISO8601", errors="coerce").tz_localize(None)
        self.refuse(column, dates.isna()[codes], "cells that are no date", allowed)
        return dates.to_numpy("datetime64[us]")[codes]

    def _texts(self, column):
        """Codes of the cells, and the texts they stand for."""
        cells = self.frame[column].cat.remove_unused_categories().cat
        return cells.codes.to_numpy(), cells.categories


def read(path, columns, optional=()):
    """`Records` of the columns that options name (dict to a str, or several), without blank ones.

    Those of ``optional``, a list of names, only if they are there.
    """
    parquet = _is_parquet(path)
    columns = (columns, optional)
    frame = _read_parquet(path, columns) if parquet else _read_csv(path, columns)
    frame.index += 1
    frame = frame[(frame != "").any(axis=1)]
    if frame.empty:
        raise ValueError(f"{path} has no records")
    return Records(path, frame, "record" if parquet else "line")


def _is_parquet(path):
    return path.suffix.lower() == ".parquet"


def _read_csv(path, columns):
    settings = {"header": None, "dtype": object, "na_filter": False, "skip_blank_lines": False}
    try:
        settings |= {"sep": _separator(path), "encoding": "utf-8-sig"}
        header = pd.read_csv(path, nrows=1, **settings).iloc[0].tolist()
        names = _find(path, header, columns)
        # all columns of a part, not usecols, with which pandas lets lines be too long
        with pd.read_csv(path, chunksize=CHUNK_LINES, **settings) as parts:
            frame = pd.concat([part.set_axis(header, axis=1)[names] for part in parts])
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; its first line must name its columns") from None
    except pd.errors.ParserError as error:
        problem = str(error).removeprefix("Error tokenizing data. C error: ")
        raise ValueError(f"{path} cannot be read as CSV: {problem}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text; save it as UTF-8") from None
    return frame.iloc[1:].astype("category")


def _separator(path):
    """What separates the cells of a CSV file."""
    with open(path, encoding="utf-8-sig") as file:
        return max(SEPARATORS, key=file.readline().count)


def _read_parquet(path, columns):
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            table = file.read(columns=_find(path, file.schema_arrow.names, columns))
        cells = {name: table[name].cast("string").fill_null("") for name in table.column_names}
    except pa.ArrowException as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    return pa.table(cells).to_pandas(strings_to_categorical=True)


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


def flag(option):
    return f"--{option.replace('_', '-')}"


def write(path, frame, like):
    """Write a frame, whole or not at all, with the separator of another file."""
    with written_whole(path) as temporary:
        if _is_parquet(path):
            frame.to_parquet(temporary, index=False, engine="pyarrow")
        else:
            sep = "," if _is_parquet(like) else _separator(like)
            frame.to_csv(temporary, index=False, sep=sep, float_format="%.10g")
