"""Files as frames of text: CSV in all its dialects, Excel, Parquet."""

import codecs
import csv
import gzip
import io
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime, time

import numpy as np
import pandas as pd

TEXT = (".csv", ".tsv", ".txt")
EXCEL, PARQUET = ".xlsx", ".parquet"
EXTENSIONS = (*TEXT, *(f"{each}.gz" for each in TEXT), EXCEL, PARQUET)
CHUNK_LINES = 200_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAID = re.compile(r'"?sep=(.)"?\r?\n?')  # a first line that Excel writes and reads
MARKS = {  # that a text begins with, the longer ones first
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class Form:
    """How text files are written, as options tell it; None: as they look."""

    decimal: str | None = None
    thousands: str | None = None
    sep: str | None = None
    encoding: str | None = None

    @classmethod
    def of(cls, options):
        return cls(options.decimal, options.thousands, options.sep, options.encoding)


@dataclass
class Raw:
    """Cells as text.

    Parameters
    ----------
    frame : DataFrame
        Of the columns that are wanted, as categories; its index numbers lines from 1.

    unit : str
        What the index numbers.

    typed : dict of str to set of str
        Texts that stand for what was a number in the file, by column; they need no guess.

    guesses : list of str
        What was guessed, in words.

    repeats : bool ndarray of shape (n_lines,)
        Which lines repeat another one, in all of their columns.

    sep : str

    encoding : str
    """

    frame: pd.DataFrame
    unit: str
    typed: dict = field(default_factory=dict)
    guesses: list = field(default_factory=list)
    repeats: np.ndarray | None = None
    sep: str = ","
    encoding: str = "utf-8"


def extension(path):
    """Of a file, with that of what is compressed: ``.csv.gz``."""
    name = path.name.lower()
    return next((each for each in EXTENSIONS if name.endswith(each)), path.suffix)


def read_raw(path, find, form):
    """Read a file; `Raw`.

    Parameters
    ----------
    path : Path

    find : callable
        Gives the columns that are wanted from a list of those that there are, or raises.

    form : Form
    """
    kind = extension(path)
    if kind == PARQUET:
        return _read_parquet(path, find)
    if kind == EXCEL:
        return _read_excel(path, find)
    try:
        return _read_text(path, find, form)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as gzip: {error}") from None


# ------------------------------------------------------------------ text


def _read_text(path, find, form):
    encoding, guesses = form.encoding, []
    if encoding is None:
        encoding = _guess_encoding(path)
        guesses += [encoding] if encoding not in ("utf-8", "utf-8-sig") else []
    try:
        sep, skipped = _separator(path, encoding, find, form.sep)
        usual = "\t" if ".tsv" in path.suffixes else ","
        guesses = [SEPARATORS.get(sep, repr(sep))] * (sep != (form.sep or usual)) + guesses
        settings = {"header": None, "dtype": object, "na_filter": False, "skip_blank_lines": False}
        settings |= {"sep": sep, "encoding": encoding, "skiprows": skipped}
        settings["compression"] = "gzip" if extension(path).endswith(".gz") else None
        header = [
            name.strip() for name in pd.read_csv(path, nrows=1, **settings).iloc[0].astype(str)
        ]
        names = find(header)
        frames, hashes = [], []
        # all columns of a part, not usecols, with which pandas lets lines be too long
        with pd.read_csv(path, chunksize=CHUNK_LINES, **settings) as parts:
            for part in parts:
                hashes.append(pd.util.hash_pandas_object(part, index=False).to_numpy())
                frames.append(part.set_axis(header, axis=1)[names])
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; its first line must name its columns") from None
    except pd.errors.ParserError as error:
        problem = str(error).removeprefix("Error tokenizing data. C error: ")
        raise ValueError(f"{path} cannot be read as CSV: {problem}") from None
    except UnicodeError:
        raise ValueError(
            f"{path} is no text in {encoding}; --encoding names another, such as utf-8, cp1252 or "
            "utf-16"
        ) from None
    frame = pd.concat(frames).iloc[1:].astype("category")
    frame.index += 1 + skipped
    repeats = pd.Series(np.concatenate(hashes)[1:]).duplicated().to_numpy()
    return Raw(frame, "line", {}, guesses, repeats, sep, encoding)


def _open(path):
    return gzip.open(path, "rb") if extension(path).endswith(".gz") else open(path, "rb")


def _guess_encoding(path):
    """By a mark, by zeros between letters, by whether all of it is UTF-8; else cp1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open(path) as file:
        block = file.read(BLOCK)
        for mark, name in MARKS.items():
            if block.startswith(mark):
                return name
        if b"\0" in block:
            even, odd = block[::2].count(0), block[1::2].count(0)
            return "utf-16-le" if odd > even else "utf-16-be"
        try:
            while block:
                decoder.decode(block)
                block = file.read(BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _separator(path, encoding, find, told):
    """What separates cells, and how many lines before the header say so."""
    with io.TextIOWrapper(_open(path), encoding=encoding, newline="") as file:
        said = SAID.fullmatch(file.readline())
        skipped = int(said is not None)
        if told is not None or said:
            return told or said[1], skipped
        headers = {}
        for sep in SEPARATORS:
            file.seek(0)
            try:
                headers[sep] = next(csv.reader(file, delimiter=sep), [])
            except csv.Error:  # a cell of a size that no header has
                headers[sep] = []

    def complete(header):
        try:
            find([name.strip() for name in header])
        except ValueError:
            return False
        return True

    return max(headers, key=lambda sep: (complete(headers[sep]), len(headers[sep]))), skipped


# ------------------------------------------------------------------ Excel and Parquet


def _read_excel(path, find):
    """The first sheet of a workbook, whose first row names the columns."""
    settings = {"header": None, "dtype": object, "na_filter": False}
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            sheets = book.sheet_names
            cells = pd.read_excel(book, sheet_name=sheets[0], **settings)
    except (OSError, ImportError):
        raise
    except Exception as error:  # what openpyxl and zipfile raise of a damaged book is no one class
        raise ValueError(f"{path} cannot be read as Excel: {error}") from None
    if cells.empty:
        raise ValueError(f"{path} is empty; its first row must name its columns")
    header = [_as_text(cell).strip() for cell in cells.iloc[0]]
    cells = cells.iloc[1:].set_axis(header, axis=1)
    texts = cells.map(_as_text)
    names = find(header)
    typed = {
        name: {
            text for cell, text in zip(cells[name], texts[name], strict=True) if _is_number(cell)
        }
        for name in names
    }
    guesses = []
    if len(sheets) > 1:
        guesses.append(f"sheet {sheets[0]!r}, the first of {len(sheets)}")
    frame = texts[names].astype("category")
    frame.index += 1
    return Raw(frame, "row", typed, guesses, texts.duplicated().to_numpy())


def _is_number(cell):
    return isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool)


def _as_text(cell):
    if isinstance(cell, datetime):
        return str(cell.date()) if cell.time() == time() else cell.isoformat()
    if isinstance(cell, float) and np.isnan(cell):
        return ""
    return str(cell)


def _read_parquet(path, find):
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            names = find(file.schema_arrow.names)
            table = file.read()
        cells = {name: table[name].cast("string").fill_null("") for name in names}
    except pa.ArrowException as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    frame = pa.table(cells).to_pandas(strings_to_categorical=True)
    numeric = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)
    typed = {
        name: set(frame[name].cat.categories)
        for name in names
        if any(check(table.schema.field(name).type) for check in numeric)
    }
    try:
        repeats = table.to_pandas().duplicated().to_numpy()
    except TypeError:  # cells are lists
        repeats = np.zeros(len(frame), dtype=bool)
    frame.index += 1
    return Raw(frame, "record", typed, [], repeats)
