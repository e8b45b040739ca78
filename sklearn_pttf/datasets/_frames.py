"""pandas and polars frames behind the few methods that `from_long` needs of them."""

import sys

import numpy as np


def adapter(frame):
    """The frame behind the few methods that `from_long` needs of it."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        source = _PandasSource(frame)
    elif polars is not None and isinstance(frame, polars.DataFrame):
        source = _PolarsSource(frame)
    else:
        raise ValueError(
            f"frame must be a pandas or polars DataFrame; got {type(frame).__module__}."
            f"{type(frame).__name__}."
        )
    if len(frame) == 0:
        raise ValueError("frame is empty; it must have at least one record.")
    return source


class _Source:
    """A data frame, read column by column.

    A subclass gives

    - ``encode(name)``: codes ``(n_records,)`` of the labels in a column, -1 where missing, and
      the labels in sorted order;
    - ``pick(labels, codes)`` and ``to_numpy(labels)``: some labels as a list, all as an array;
    - ``numbers(name)``: a column as float64, or as objects with None for missing if it does
      not hold numbers;
    - ``build(instance, labels, table, lags)``: the result.
    """

    def __init__(self, frame):
        self.frame = frame

    def check_columns(self, **parameters):
        """Refuse columns that the frame lacks, or has twice, and one that plays two roles."""
        columns, roles = list(self.frame.columns), {}
        for parameter, name in parameters.items():
            needless = parameter in ("time", "price") and name is None
            if columns.count(name) != 1 and not needless:
                raise ValueError(
                    f"{parameter}={name!r} is the name of {columns.count(name)} columns of the "
                    f"frame; it must be the name of one of {', '.join(map(repr, columns))}."
                )
            if not needless and name in roles:
                raise ValueError(
                    f"{parameter}={name!r} is {roles[name]} too; every role needs a column of its "
                    "own."
                )
            roles[name] = parameter


class _PandasSource(_Source):
    def encode(self, name):
        import pandas as pd

        codes, labels = pd.factorize(self.frame[name])
        try:
            order = labels.argsort()
        except TypeError:  # labels that cannot be compared
            return codes, labels
        ranks = np.empty(len(order) + 1, dtype=np.int64)
        ranks[order], ranks[-1] = np.arange(len(order)), -1
        return ranks[codes], labels.take(order)

    def pick(self, labels, codes):
        return labels.take(codes).tolist()

    def to_numpy(self, labels):
        return np.asarray(labels.infer_objects())

    def numbers(self, name):
        from pandas.api.types import is_complex_dtype, is_numeric_dtype

        column = self.frame[name]
        if is_numeric_dtype(column) and not is_complex_dtype(column):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return column.to_numpy(dtype=object, na_value=None)

    def build(self, instance, labels, table, lags):
        import pandas as pd

        return pd.DataFrame(table, index=labels.rename(instance), columns=lags)


class _PolarsSource(_Source):
    def encode(self, name):
        import polars as pl

        column = self.frame[name]
        if column.dtype == pl.Object:
            raise ValueError(
                f"column {name!r} has the polars dtype Object, which cannot be sorted; labels and "
                f"dates must have another dtype, such as String, an integer or Date."
            )
        if column.dtype.is_float():
            column = column.fill_nan(None)
        order = column.arg_sort(nulls_last=True).to_numpy()
        ordered = column.gather(order)
        runs = ordered.rle_id().to_numpy().astype(np.int64)
        starts = np.flatnonzero(np.diff(runs, prepend=-1))
        codes = np.empty(len(runs), dtype=np.int64)
        codes[order] = np.where(ordered.is_null().to_numpy(), -1, runs)
        return codes, ordered.gather(starts).drop_nulls()

    def pick(self, labels, codes):
        return labels.gather(codes).to_list()

    def to_numpy(self, labels):
        if getattr(labels.dtype, "time_zone", None) is not None:
            labels = labels.dt.replace_time_zone(None)
        return labels.to_numpy()

    def numbers(self, name):
        import polars as pl

        column = self.frame[name]
        if column.dtype.is_numeric():
            return column.cast(pl.Float64).to_numpy()
        return np.fromiter(column.to_list(), dtype=object, count=len(column))

    def build(self, instance, labels, table, lags):
        import polars as pl

        if instance in lags:
            raise ValueError(
                f"instance={instance!r} is also the name of a column of the result; it must not be "
                f"one of {lags[0]} to {lags[-1]}."
            )
        columns = {lag: table[:, k] for k, lag in enumerate(lags)}
        return pl.DataFrame({instance: labels, **columns})
