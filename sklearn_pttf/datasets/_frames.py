"""Data frames of any library behind the few methods that `from_long` needs of them."""

from numbers import Real

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe, is_pyarrow_table


class Records:
    """A data frame, read column by column; names that nobody asks for may be there twice.

    Parameters
    ----------
    frame : pandas or polars DataFrame, pyarrow Table or another eager frame that narwhals knows

    called : str, default="frame"
        What messages call it.
    """

    def __init__(self, frame, called="frame"):
        if not is_into_dataframe(frame):
            raise ValueError(
                f"{called} must be a pandas or polars DataFrame, a pyarrow Table or another eager "
                f"data frame that narwhals knows; got {type(frame).__module__}."
                f"{type(frame).__name__}."
            )
        if len(frame) == 0:
            raise ValueError(f"{called} is empty; it must have at least one record.")
        self.called = called
        self._frame = frame
        self._names = frame.column_names if is_pyarrow_table(frame) else list(frame.columns)

    def __contains__(self, name):
        return name in self._names

    def check_columns(self, **parameters):
        """Refuse columns that the frame lacks, or has twice, and one that plays two roles."""
        roles = {}
        for parameter, name in parameters.items():
            needless = parameter in ("time", "price") and name is None
            if self._names.count(name) != 1 and not needless:
                raise ValueError(
                    f"{parameter}={name!r} is the name of {self._names.count(name)} columns of the "
                    f"{self.called}; it must be the name of one of "
                    f"{', '.join(map(repr, self._names))}."
                )
            if not needless and name in roles:
                raise ValueError(
                    f"{parameter}={name!r} is {roles[name]} too; every role needs a column of its "
                    "own."
                )
            roles[name] = parameter

    def dtype(self, name):
        """Type of a column, as narwhals has it."""
        return self._column(name).dtype

    def _column(self, name):
        return nw.from_native(self._frame[name], series_only=True)

    def encode(self, name):
        """Codes ``(n_records,)`` of the labels in a column, -1 where missing, and the labels.

        These are a Series of narwhals, sorted, or as they first appear if they cannot be compared.
        """
        column = self._column(name)
        if column.implementation.is_pandas():  # several times as fast as joining
            return _factorize(column.to_native())
        if column.implementation.is_polars() and column.dtype == nw.Object:
            raise ValueError(
                f"column {name!r} has the polars dtype Object, which cannot be sorted; labels and "
                f"dates must have another dtype, such as String, an integer or Date."
            )
        if column.is_null().all():  # pyarrow sorts and joins no column of its type null
            return np.full(len(column), -1), column.head(0)
        labels = column.unique().drop_nulls().sort()
        if labels.dtype.is_float():
            labels = labels.filter(~labels.is_nan())
        numbered = labels.alias("label").to_frame().with_row_index("code")
        records = column.alias("label").to_frame().with_row_index("record")
        found = records.join(numbered, on="label", how="inner")  # in an order that is not promised
        codes = np.full(len(column), -1)
        codes[found["record"].to_numpy()] = found["code"].to_numpy()
        return codes, labels

    def numbers(self, name):
        """A column as float64, or as objects with None for missing if it does not hold numbers."""
        column = self._column(name)
        if column.dtype.is_numeric() or column.dtype == nw.Boolean:
            return column.cast(nw.Float64).to_numpy()
        cells = np.fromiter(column.to_list(), dtype=object, count=len(column))
        cells[column.is_null().to_numpy()] = None
        return cells


def _factorize(column):
    """Codes and labels of a Series of pandas."""
    codes, labels = column.factorize()
    try:
        order = labels.argsort()
    except TypeError:
        order = np.arange(len(labels))
    ranks = np.empty(len(order) + 1, dtype=np.int64)
    ranks[order], ranks[-1] = np.arange(len(order)), -1
    labels = labels.take(order).to_series().astype(labels.dtype)  # object stays object
    return ranks[codes], nw.from_native(labels, series_only=True)


def to_numpy(labels, zone=None):
    """Labels as an array of numbers, dates in local time, text or objects.

    Local time is that of the labels, or of a ``zone`` if they have one.
    """
    if getattr(labels.dtype, "time_zone", None) is not None:
        if zone is not None:
            labels = labels.dt.convert_time_zone(zone)
        labels = labels.dt.replace_time_zone(None)
    items = labels.to_native().to_numpy()  # narwhals makes np.str_ of text
    numeric = items.dtype == object and all(isinstance(item, Real) for item in items)
    return np.array(items.tolist()) if numeric else items


def build(instance, labels, table, columns):
    """A frame of a table, with labels as the index, or as the first column where there is none."""
    frame = nw.from_numpy(table, columns, backend=labels.implementation)
    if labels.implementation.is_pandas_like():
        frame = frame.to_native()
        frame.index = labels.to_native()  # set_index would not keep every dtype
        frame.index.name = instance
        return frame
    if instance in columns:
        raise ValueError(
            f"instance={instance!r} is also the name of a column of the result; it must not be "
            f"one of {columns[0]} to {columns[-1]}."
        )
    return frame.select(labels.alias(instance), nw.all()).to_native()
