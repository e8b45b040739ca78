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
        If it is no such class, or another kind has its name.

    Examples
    --------
    >>> from sklearn_pttf import Kind, register_kind
    >>> class Demand(Kind):
    ...     name = "demand"
    >>> register_kind(Demand)
    Traceback (most recent call last):
        ...
    ValueError: kind must have a name of its own; got 'demand'.
    """
    if not (isinstance(kind, type) and issubclass(kind, Kind)):
        raise ValueError(f"kind must be a subclass of Kind; got {kind!r}.")
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
