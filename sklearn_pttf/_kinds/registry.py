"""The kinds of outcomes that there are, by name."""

from dataclasses import fields

from torch import nn

from sklearn_pttf._kinds.base import Kind
from sklearn_pttf._kinds.counts.kind import Counts
from sklearn_pttf._kinds.demand.kind import Demand
from sklearn_pttf._kinds.prices.kind import Prices
from sklearn_pttf._kinds.series.kind import Series
from sklearn_pttf._kinds.values.kind import Values
from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._utils.checks import check_whole

BUILT_IN = (Demand, Values, Counts, Prices, Series)
KINDS = {kind.name: kind for kind in BUILT_IN}
FORMER_NAMES = {"real": "values", "price": "prices"}  # on cards of earlier checkpoints
# names that mean something else wherever a checkpoint is named
TAKEN = {"auto", *FORMER_NAMES, *KINDS, *(kind.checkpoint for kind in BUILT_IN)}


def register_kind(kind):
    """Let networks be of a kind of one's own, known by its ``name``.

    A class that is defined again, with the same module and name as the one before (a cell that is
    run again, a module that is reloaded), takes its place.

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
        If it is no such class, lacks something, has something that cannot be, or another kind or
        a shipped checkpoint has its name.

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
    _check_attributes(kind)
    known = KINDS.get(kind.name)
    if kind.name in TAKEN or (known is not None and _place(known) != _place(kind)):
        raise ValueError(f"kind must have a name of its own; got {kind.name!r}.")
    KINDS.pop(kind.name, None)  # the latest is last
    KINDS[kind.name] = kind
    return kind


def _place(kind):
    """Where a class is defined."""
    return kind.__module__, kind.__qualname__


def _check_attributes(kind):
    """Refuse attributes of a kind that cannot be."""
    evidence = [each.name for each in fields(Evidence) if each.name != "observations"]
    allowed = {
        "name": (_is_text, "a str that is not empty"),
        "title": (_is_text, "a str that is not empty"),
        "prior": (_is_class(PriorDraws), "a class of priors, such as SyntheticPrior"),
        "head": (_is_class(nn.Module), "a class of torch modules"),
        "units_type": (_is_class(tuple), "a class of named tuples"),
        "baselines": (_all(_is_class(object)), "a tuple of classes of baselines"),
        "alarms": (_all(callable), "a tuple of functions"),
        "reads": (_all(lambda name: name in evidence), f"a tuple of some of {tuple(evidence)}"),
    }
    for name, (good, what) in allowed.items():
        value = getattr(kind, name)
        if not good(value):
            raise ValueError(f"{name} of kind {kind.__name__} must be {what}; got {value!r}.")
    for part in ("cell", "row", "portfolio"):
        name = f"n_{part}_features"
        check_whole(f"{name} of kind {kind.__name__}", getattr(kind, name), 1)


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


def _is_class(parent):
    return lambda value: isinstance(value, type) and issubclass(value, parent)


def _all(good):
    return lambda values: isinstance(values, tuple) and all(map(good, values))


def name_of_kind(name):
    """The name that a kind has today.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    today = FORMER_NAMES.get(name, name) if isinstance(name, str) else None
    if today not in KINDS:
        known = ", ".join(map(repr, KINDS))
        raise ValueError(
            f"outcomes must be one of {known}; got {name!r}. A kind of your own is known once the "
            "module that registers it is imported."
        )
    return today


def carried_kind(network):
    """The class of a kind of one's own that pickles take along; None of other kinds.

    Nor of a class inside a function, which no other process can import.

    Parameters
    ----------
    network : dict
        Parameters of a `NetworkConfig`.
    """
    kind = KINDS.get(network.get("outcomes"))
    if kind is None or kind in BUILT_IN or "<locals>" in kind.__qualname__:
        return None
    return kind


def kind_of(portfolio):
    """The kind that a table is of, whatever network reads it; the latest that says so.

    What a class inherits says nothing: a kind like another one does not take its tables.
    """
    return next(
        kind for kind in reversed(KINDS.values()) if "is_of" in vars(kind) and kind.is_of(portfolio)
    )
