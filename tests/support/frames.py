"""Tables of other libraries."""

import pytest

pl = pytest.importorskip("polars")


def to_polars(frame):
    """The same records in polars."""
    return pl.DataFrame({name: frame[name].tolist() for name in frame.columns}, strict=False)
