"""The kinds of outcomes that there are, by name."""

from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.counts.kind import Counts
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.prices.kind import Prices
from sklearn_pttf._kinds.values.kind import Values

KINDS = {kind.name: kind for kind in (Demand, Values, Counts, Prices)}
FORMER_NAMES = {"real": "values", "price": "prices"}  # on cards of earlier checkpoints


def register_kind(kind):
    """Let networks be of a kind of one's own, known by its ``name``.

    Parameters
    ----------
    kind : type
        A subclass of `Kind`.

    Returns
    -------
    type
        The same, so that this may decorate it.

    Raises
    ------
    ValueError
        If it is no such class, lacks something, or another kind has its name.

    Examples
    --------
    >>> from sklearn_pttf import Kind, register_kind
    >>> class Nothing(Kind):
    ...     name, title = "nothing", "nothing at all"
    >>> register_kind(Nothing)
    Traceback (most recent call last):
        ...
    ValueError: kind Nothing lacks baselines, cell_features, head, n_cell_features, ...
    """
    if not (isinstance(kind, type) and issubclass(kind, Kind)):
        raise ValueError(f"kind must be a subclass of Kind; got {kind!r}.")
    values = [name for name in Kind.__annotations__ if not hasattr(kind, name)]
    missing = sorted({*values, *kind.__abstractmethods__})
    if missing:
        raise ValueError(f"kind {kind.__name__} lacks {', '.join(missing)}.")
    if KINDS.get(kind.name, kind) is not kind or kind.name in FORMER_NAMES:
        raise ValueError(f"kind must have a name of its own; got {kind.name!r}.")
    KINDS[kind.name] = kind
    return kind


def name_of_kind(name):
    """The name that a kind has today.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    today = FORMER_NAMES.get(name, name)
    if today not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"outcomes must be one of {known}; got {name!r}.")
    return today


def kind_of(portfolio):
    """The kind that a table is of, whatever network reads it; the latest that says so."""
    return next(kind for kind in reversed(KINDS.values()) if kind.is_of(portfolio))
