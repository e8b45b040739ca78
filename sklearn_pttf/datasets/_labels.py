"""Labels that differ only in case or blanks."""

import warnings

from sklearn_pttf.datasets._periods import SHOWN


def key(label):
    """What labels that differ only in case or blanks have in common."""
    return "".join(label.casefold().split())


def spellings(labels):
    """Labels that have others which differ only in case or blanks, together; list of list of str.

    Parameters
    ----------
    labels : iterable
        Different ones; those that are no text play no part.
    """
    spelled = {}
    for label in labels:
        if isinstance(label, str):
            spelled.setdefault(key(label), []).append(label)
    return [each for each in spelled.values() if len(each) > 1]


def show_spellings(several):
    """The first of them, for messages."""
    shown = "; ".join(" and ".join(map(repr, each[:SHOWN])) for each in several[:SHOWN])
    return f"{shown}{'; ...' * (len(several) > SHOWN)}"


def warn_of_spellings(labels, parameter):
    """Tell of instances that may be one.

    Warns
    -----
    UserWarning
    """
    several = spellings(labels)
    if several:
        warnings.warn(
            f"{parameter} has {len(several):,} labels in several spellings that differ only in "
            f"case or blanks, and each is an instance of its own: {show_spellings(several)}.",
            UserWarning,
            stacklevel=3,
        )
