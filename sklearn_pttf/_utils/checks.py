"""Columns and numbers of X: naming them, finding them, refusing bad ones."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import date, time, timedelta
from numbers import Integral, Real

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from narwhals.stable.v2.dependencies import is_into_dataframe, is_pandas_dataframe
from scipy.sparse import issparse
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from sklearn_pttf._utils.frames import unmasked
from sklearn_pttf._utils.sklearn_private import _get_feature_names, _num_features, _safe_indexing

MOST_PERIODS = 100  # of a horizon
LARGEST = 1e100  # size of a number, so that products and squares of sums are numbers too
LONGEST_SHOWN = 200  # characters of a value in a message
NO_NUMBERS = "mMSU"  # kinds of dtypes: dates, durations, bytes and text
NO_NUMBER_TYPES = (str, bytes, date, time, timedelta, np.datetime64, np.timedelta64)
SMALLEST = 1e-100  # that is not taken for 0, so that one over a square is a number


@dataclass(frozen=True)
class Column:
    """The column of X at a position, where a parameter may also be a number.

    Parameters
    ----------
    position : int
        Position of the column, from 0.

    Examples
    --------
    >>> from sklearn_pttf import Column
    >>> from sklearn_pttf.problems import Newsvendor
    >>> Newsvendor(underage=Column(0), overage=1.0)
    Newsvendor(underage=Column(position=0))
    """

    position: int

    def __post_init__(self):
        if isinstance(self.position, bool) or not isinstance(self.position, Integral):
            raise ValueError(f"Column takes a whole-number position; got {self.position!r}.")
        if self.position < 0:
            raise ValueError(f"Column takes a position of at least 0; got {self.position}.")


@dataclass(frozen=True)
class LinearCombination:
    """A constant plus weighted columns of X, where a parameter may also be a column.

    Parameters
    ----------
    constant : float, default=0.0
        What is added for every row.

    terms : tuple of (float, str or Column), default=()
        Weights and columns.

    See Also
    --------
    Column : A column by its position.

    Examples
    --------
    A unit that is missing costs the margin, price minus 2.5:

    >>> from sklearn_pttf import LinearCombination
    >>> from sklearn_pttf.problems import Newsvendor
    >>> Newsvendor(underage=LinearCombination(-2.5, ((1.0, "price"),)), overage=0.5)
    Newsvendor(overage=0.5,
               underage=LinearCombination(constant=-2.5, terms=((1.0, 'price'),)))
    >>> LinearCombination.difference("price", "cost")
    LinearCombination(constant=0.0, terms=((1.0, 'price'), (-1.0, 'cost')))
    """

    constant: float = 0.0
    terms: tuple = ()

    def __post_init__(self):
        if not _is_finite(self.constant):
            raise ValueError(
                f"constant of LinearCombination must be a finite number; got {self.constant!r}."
            )
        pairs = isinstance(self.terms, tuple) and all(
            isinstance(term, tuple)
            and len(term) == 2
            and _is_finite(term[0])
            and is_column(term[1])
            for term in self.terms
        )
        if not pairs:
            raise ValueError(
                "terms of LinearCombination must be a tuple of pairs (finite weight, column's name "
                f"or Column); got {self.terms!r}."
            )

    def __str__(self):
        parts = [f"{float(weight):+g} * {column!r}" for weight, column in self.terms]
        return " ".join(([f"{float(self.constant):g}"] if self.constant else []) + parts)

    @classmethod
    def difference(cls, left, right):
        """Give ``left - right``.

        Parameters
        ----------
        left, right : float, str, Column or LinearCombination

        Returns
        -------
        LinearCombination or float
            A float if both are numbers.

        Raises
        ------
        ValueError
            If one of them is nothing of that kind.
        """
        constant, terms = 0.0, []
        for name, sign, value in (("left", 1.0, left), ("right", -1.0, right)):
            if is_column(value):
                terms.append((sign, value))
            elif is_combination(value):
                constant += sign * value.constant
                terms += [(sign * weight, column) for weight, column in value.terms]
            elif _is_finite(value):
                constant += sign * float(value)
            else:
                raise ValueError(
                    f"{name} of a difference must be a finite number, a column's name, Column or "
                    f"LinearCombination; got {value!r}."
                )
        return cls(constant, tuple(terms)) if terms else constant


def _is_finite(value):
    """Whether a value is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_column(value):
    """Whether a parameter names a column rather than a number."""
    return isinstance(value, (str, Column))


def is_combination(value):
    """Whether a parameter is made of columns."""
    return isinstance(value, LinearCombination)


def column_references(value):
    """The columns that a parameter refers to; a tuple."""
    if is_column(value):
        return (value,)
    if isinstance(value, LinearCombination):
        return tuple(column for _, column in value.terms)
    return ()


_last_places = (None, {})  # names that were asked for last, and the first place of each


def _place(column, names):
    """The first place of a name, None where it is not there; of many columns in linear time."""
    global _last_places
    known, places = _last_places
    place = places.get(column) if known is names else None
    if place is None or not (place < len(names) and names[place] == column):  # or changed since
        places = {name: k for k, name in reversed(list(enumerate(names)))}
        _last_places = (names, places)
        place = places.get(column)
    return place


def repeated(items):
    """The first of the items that are there more than once, None if all differ."""
    counts = Counter(items)
    return next((each for each in items if counts[each] > 1), None)


def find_column(column, names, n_columns, parameter):
    """Position of a column.

    Raises
    ------
    ValueError
        If X has no such column.
    """
    if isinstance(column, str):
        if names is None:
            raise ValueError(
                f"{parameter}={column!r} is a column's name, but X has no column names. Pass a "
                f"data frame, or give the position as Column(k)."
            )
        place = _place(column, names)
        if place is None:
            shown = ", ".join(map(repr, list(names)[:10])) + (", ..." if len(names) > 10 else "")
            raise ValueError(f"{parameter}={column!r} is no column of X; X has {shown}.")
        return place
    position = column.position if isinstance(column, Column) else column
    if isinstance(position, bool) or not isinstance(position, Integral):
        raise ValueError(f"{parameter} must be a column's name or position; got {position!r}.")
    if not 0 <= position < n_columns:
        raise ValueError(
            f"{parameter} refers to column {position}, but X has n_features = {n_columns} columns, "
            f"0 to {n_columns - 1} (whole numbers are positions, not names)."
        )
    return int(position)


def as_table(X):
    """X as a frame or a 2-D array.

    Cells are left as they are, but masked ones are NaN: text may ride along until columns are
    taken.
    """
    X = unmasked(X)
    try:
        frame = nw.from_native(X, pass_through=True)
    except DuplicateError as error:
        raise ValueError(f"Columns of X must have names of their own. {error}") from None
    if isinstance(frame, nw.LazyFrame):
        raise ValueError(
            "X must be a data frame or an array; got a lazy frame: collect() it first."
        )
    if not isinstance(frame, nw.DataFrame):
        return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    if len(X) == 0 or _num_features(X) == 0:
        check_array(np.empty((len(X), _num_features(X))), input_name="X")  # refuses it
    return X


def column_names(X):
    """Names of the columns of a table, where they are all strings; else None."""
    return _get_feature_names(X)


def check_table(estimator, X, *, reset):
    """X as a table, with its column names and number checked against those of `fit`."""
    X = as_table(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    return X


def check_later_table(estimator, X, taken):
    """X as a table with the columns of `fit`, and behind them those that came after it; its names.

    In frames columns may have come that ``taken(names, n_columns)`` gives the positions of.
    """
    X = as_table(X)
    fitted = getattr(estimator, "feature_names_in_", None)
    names = column_names(X) if fitted is not None and is_into_dataframe(X) else None
    known = set(() if fitted is None else fitted)
    later = [] if names is None else [k for k, name in enumerate(names) if name not in known]
    if not later:
        validate_data(estimator, X, skip_check_array=True, reset=False)
        return X, fitted
    own = [k for k, name in enumerate(names) if name in known]
    if len(own) < len(known):  # says which columns of `fit` are missing
        validate_data(estimator, X, skip_check_array=True, reset=False)
    order = own + later
    X, names = _safe_indexing(X, order, axis=1), np.asarray(names, dtype=object)[order]
    of_fit = _safe_indexing(X, list(range(len(own))), axis=1)
    validate_data(estimator, of_fit, skip_check_array=True, reset=False)
    if set(range(len(own), len(names))) - taken(names, len(names)):
        # says which columns were not there at `fit`
        validate_data(estimator, X, skip_check_array=True, reset=False)
    return X, names


def check_outcomes(y, X, problem):
    """Later outcomes as ``(n, m)`` float64, a row for every row of X; NaN = not observed."""
    if not issparse(y) and np.ndim(y) == 0:
        raise ValueError(f"y must have an outcome for every row of X; got {shown(y)}.")
    if is_into_dataframe(y):
        y = numeric_columns(y, range(y.shape[1]), "y")
    elif isinstance(y, np.ndarray) and y.dtype.kind == "O" and not np.ma.isMA(y):
        y = _without_na(y)
    y = as_numbers(y, "y", ensure_2d=False)
    check_consistent_length(X, y)
    y = within_limits(y.reshape(len(y), -1), "y")
    problem.check_outcomes(y, "y")
    return y


def numeric_columns(X, positions, name="X", *, infinite=False):
    """Columns of a table as a float64 array, NaN where missing, infinities refused.

    So are numbers beyond 1e100; those nearer to 0 than 1e-100 are taken for 0. With ``infinite``
    infinities are left as they are. The array is not for writing: it may share memory with X.
    """
    framed = is_into_dataframe(X)
    if framed:
        _refuse_text(X, positions, name)
    if framed or len(positions) != X.shape[1]:
        X = _safe_indexing(X, [int(k) for k in positions], axis=1)
    if is_pandas_dataframe(X) and "O" in {dtype.kind for dtype in X.dtypes}:
        # pandas NA among Python objects is nothing that NumPy takes for a number
        X = X.to_numpy(dtype=object, na_value=np.nan)
    elif is_pandas_dataframe(X) and any(hasattr(dtype, "fill_value") for dtype in X.dtypes):
        X = X.to_numpy()  # scikit-learn would make a sparse matrix of sparse columns
    elif isinstance(X, np.ndarray) and X.dtype.kind == "O":
        X = _without_na(X)
    finite = False if infinite else "allow-nan"
    return within_limits(as_numbers(X, name, ensure_all_finite=finite), name)


def as_numbers(values, name, *, ensure_2d=True, ensure_all_finite="allow-nan"):
    """An array or what NumPy makes one of as float64, NaN where missing.

    Raises
    ------
    ValueError
        If it holds text, even digits, or dates, or numbers that no float can be.
    """
    values = unmasked(values)
    if not issparse(values):
        _refuse_no_numbers(np.asarray(values), name)
    try:
        values = check_array(
            values,
            dtype=np.float64,
            ensure_2d=ensure_2d,
            ensure_all_finite=ensure_all_finite,
            input_name=name,
        )
    except OverflowError:
        raise ValueError(
            f"{name} must hold numbers of at most {LARGEST:g} in size; got whole numbers that are "
            "far beyond. Give them in a larger unit."
        ) from None
    backwards = any(stride < 0 for stride in values.strides)  # which torch does not read
    return np.array(values, order="C") if backwards else values


def _refuse_no_numbers(array, name):
    """Refuse an array with cells that are text or dates."""
    if array.dtype.kind in NO_NUMBERS:
        bad = np.ones(array.size, dtype=bool)
    elif array.dtype.kind == "O":
        bad = np.array([isinstance(cell, NO_NUMBER_TYPES) for cell in array.flat], dtype=bool)
    else:
        return
    if bad.any():
        cell = array.flat[int(bad.argmax())]
        held = "text" if isinstance(cell, (str, bytes)) else f"{type(cell).__name__} values"
        raise ValueError(
            f"{name} holds {held} (such as {str(cell)!r}) where numbers are needed: give numbers, "
            "as by .astype(float); beside labels, in a data frame or an array of objects."
        )


def _without_na(cells):
    """Python objects with NaN for the NA of a frame, which NumPy takes for no number."""
    absent = [cell is not None and _is_missing(cell) for cell in cells.flat]
    return np.where(np.reshape(absent, cells.shape), np.nan, cells)


def within_limits(values, name):
    """Numbers ``(n, m)`` as they are, but tiny ones as 0.

    Raises
    ------
    ValueError
        If a number is larger than 1e100, and not infinite.
    """
    sizes = np.abs(values)
    beyond = (sizes > LARGEST) & (sizes < np.inf)
    if beyond.any():
        rows = beyond.any(axis=1)
        shown = np.where(beyond, values, 0.0)
        shown = shown[np.arange(len(shown)), np.abs(shown).argmax(axis=1)]
        raise ValueError(
            f"{name} must hold numbers of at most {LARGEST:g} in size; got "
            f"{describe_rows(rows, shown)}. Give them in a larger unit."
        )
    tiny = sizes < SMALLEST
    return np.where(tiny, 0.0, values) if (values[tiny] != 0).any() else values


def _refuse_text(X, positions, name):
    """Refuse columns of a frame that hold text, digits in quotes included, dates, or lists."""
    fields = list(nw.from_native(X).schema.items())
    for k in positions:
        label, dtype = fields[int(k)]
        if dtype.is_numeric() or dtype == nw.Boolean:
            continue
        cells = np.asarray(_safe_indexing(X, int(k), axis=1))
        dated = cells.dtype.kind in "mM"
        odd = (row for row, cell in enumerate(cells) if dated or _is_no_number(cell))
        row = next(odd, None)
        if row is not None:
            held = "text" if isinstance(cells[row], str) else f"{type(cells[row]).__name__} values"
            advice = "If it is no column of observations, name those that are with "
            advice += "observations=[...] of the problem."
            if name.startswith("drivers["):
                advice = (
                    "Make a column of 0 and 1 of each of its values but one, as from_long does."
                )
            raise ValueError(
                f"column {label!r} of {name} holds {'dates' if dated else held} "
                f"(row {row}: {str(cells[row])!r}) where numbers are needed. {advice}"
            )


def _is_no_number(cell):
    """Whether a cell of a frame is neither a number nor missing."""
    if cell is None or isinstance(cell, (float, int)):
        return False  # as most are, and the rest takes longer
    if isinstance(cell, (str, complex)) or np.ndim(cell):
        return True
    try:
        float(cell)
    except (TypeError, ValueError):
        return not _is_missing(cell)
    return False


def row_values(value, X, names, parameter):
    """A number-or-column parameter as one value a row; ``(n_rows,)`` float64.

    Raises
    ------
    ValueError
        If the parameter is neither, or names an unknown column.
    """
    n_rows, n_columns = X.shape
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if np.isfinite(number) and number != 0 and not SMALLEST <= abs(number) <= LARGEST:
            raise ValueError(
                f"{parameter} must be 0 or of a size in [{SMALLEST:g}, {LARGEST:g}]; got {value!r}."
            )
        return np.full(n_rows, number)
    if is_column(value):
        position = find_column(value, names, n_columns, parameter)
        return numeric_columns(X, [position], name=f"column {parameter}={value!r}")[:, 0]
    if isinstance(value, LinearCombination):
        out = np.full(n_rows, float(value.constant))
        for weight, column in value.terms:
            out += weight * row_values(column, X, names, parameter)
        return out
    raise ValueError(
        f"{parameter} must be a number, a column's name or Column(position); got {shown(value)}."
    )


def shown(value):
    """A value for a message: what it is if it is a table, or too long; str."""
    shape = getattr(value, "shape", ())
    if len(shape):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _is_missing(label):
    """Whether a label is None, NaN or the NA of a frame, which is not even equal to itself."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


def row_labels(value, X, names, parameter):
    """The labels in a column, text or numbers, none of them missing; ``(n_rows,)``."""
    if not is_column(value):
        raise ValueError(f"{parameter} must be a column's name or Column(position); got {value!r}.")
    position = find_column(value, names, X.shape[1], parameter)
    labels = np.asarray(_safe_indexing(X, [position], axis=1))[:, 0]
    missing = np.array([_is_missing(label) for label in labels.tolist()])
    if missing.any():
        raise ValueError(f"{parameter}={value!r} has no label in {describe_rows(missing, labels)}.")
    labels = np.array(labels.tolist())
    return labels if labels.dtype.kind in "biufU" else labels.astype(str)


def check_whole(name, value, low, high=np.inf, otherwise=""):
    """Refuse what is no whole number in [low, high]; ``otherwise`` says what else is allowed."""
    good = isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high
    if not good:
        limits = f"of at least {low}" if high == np.inf else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be a whole number {limits}{otherwise}; got {shown(value)}.")


def check_real(name, value, low, high):
    """Refuse what is no number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise ValueError(f"{name} must be a number in [{low:g}, {high:g}]; got {value!r}.")


def check_flag(name, value):
    """Refuse what is neither True nor False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False; got {value!r}.")


def refuse_negative(values, why, hint=""):
    """Refuse negative values of a table ``(n, m)``; NaN = missing.

    ``why`` says what cannot be negative, ``hint`` what can be done.
    """
    lowest = np.where(values < 0, values, 0.0).min(axis=1, initial=0.0)
    if (lowest < 0).any():
        raise ValueError(
            f"Negative values in data: {why}; got {describe_rows(lowest < 0, lowest)}.{hint}"
        )


def refuse_fractions(values, why, hint=""):
    """Refuse numbers of a table ``(n, m)`` that are not whole; NaN = missing."""
    fractions = np.where(values % 1 > 0, values, -np.inf).max(axis=1, initial=-np.inf)
    broken = fractions > -np.inf
    if broken.any():
        raise ValueError(f"{why}; got {describe_rows(broken, fractions)}.{hint}")


def describe_rows(bad, values, limit=5):
    """``"row 3: nan, row 8: -1.0 (2 in all)"``, for messages about bad cells."""
    rows = np.flatnonzero(bad)
    shown = ", ".join(f"row {row}: {values[row]}" for row in rows[:limit])
    return f"{shown}{', ...' if len(rows) > limit else ''} ({len(rows)} in all)"
