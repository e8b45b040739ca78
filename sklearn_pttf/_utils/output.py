"""What decisions are given as: arrays, or columns of data frames."""

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.stable.v2.dependencies import is_into_dataframe

CONTAINERS = ("default", "numpy", "pandas", "polars")


class DecisionOutput:
    """Gives `set_output`, for what ``decide`` answers with."""

    def set_output(self, *, decide=None):
        """Set what `decide` gives its decisions as.

        Parameters
        ----------
        decide : {"default", "numpy", "pandas", "polars"}, default=None
            ``"default"``: an array for an array, and for a data frame a Series of its library, in
            pandas with its index. ``"numpy"``: always an array. ``"pandas"`` and ``"polars"``:
            always a Series of that library. None: as it is set.

        Returns
        -------
        estimator
            The estimator itself; clones of it are set alike.

        Raises
        ------
        ValueError
            If there is no such container.
        """
        if decide is None:
            return self
        if decide not in CONTAINERS:
            raise ValueError(f"decide must be one of {CONTAINERS}, or None; got {decide!r}.")
        # the name that scikit-learn's `clone` copies
        self._sklearn_output_config = {**getattr(self, "_sklearn_output_config", {})}
        self._sklearn_output_config["decide"] = decide
        return self


def container_of(estimator):
    """What an estimator is set to give decisions as."""
    return getattr(estimator, "_sklearn_output_config", {}).get("decide", "default")


def as_column(X, values, name, container="default"):
    """Values ``(n,)`` of the rows of X as a column of its kind, or of a container's."""
    if container == "numpy" or (container == "default" and not is_into_dataframe(X)):
        return np.asarray(values)
    space, index = _library(X, container)
    if index is not None:
        return space.Series(values, index=index, name=name)
    return nw.new_series(name, values, backend=space).to_native()


def as_frame(X, columns, container="default"):
    """A dict of values ``(n,)`` of the rows of X as a data frame; of pandas, if X is an array."""
    if container == "numpy" or not is_into_dataframe(X):
        container = "pandas" if container in ("default", "numpy") else container
    space, index = _library(X, container)
    if index is not None:
        return space.DataFrame(columns, index=index)
    return nw.from_dict(columns, backend=space).to_native()


def row_labels_of(X):
    """Labels of the rows of a frame that has an index, as a list; else None."""
    index = nw.maybe_get_index(nw.from_native(X, eager_only=True)) if is_into_dataframe(X) else None
    return None if index is None else list(index)


def _library(X, container):
    """The module of data frames that is asked for, and the index of X if it has one."""
    if is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        if container in ("default", frame.implementation.value):
            return nw.get_native_namespace(frame), nw.maybe_get_index(frame)
    return container, None
