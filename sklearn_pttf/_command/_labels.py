"""Labels that differ only in case or blanks: refused, or taken for one."""

from collections import Counter

import numpy as np

from sklearn_pttf.datasets._labels import key, show_spellings, spellings


def settle(records, column, how):
    """Labels of the records of sales; ndarray of object.

    Parameters
    ----------
    records : Records

    column : str

    how : {"raise", "merge", "keep"}
        What labels are that differ only in case or blanks: refused, the most frequent of them, or
        different.
    """
    labels = records.labels(column)
    if how == "keep":
        return labels
    counts = Counter(labels.tolist())
    several = spellings(counts)
    if not several:
        return labels
    if how == "merge":
        one = {label: max(each, key=counts.get) for each in several for label in each}
        return np.array([one.get(label, label) for label in labels], dtype=object)
    raise ValueError(
        f"{records.path}: column {column!r} has {len(several):,} labels in several spellings that "
        f"differ only in case or blanks: {show_spellings(several)}. "
        "--labels merge takes them for one, and --labels keep for different ones"
    )


def as_known(records, column, known, how, where):
    """Labels of another file, in the spelling of the sales; ndarray of object.

    Parameters
    ----------
    records : Records

    column : str

    known : sequence of str
        Labels of the sales.

    how : {"raise", "merge", "keep"}

    where : str
        What the file of sales is called.
    """
    labels = settle(records, column, how)
    if how == "keep":
        return labels
    known = list(known)
    own, spelling = set(known), {key(label): label for label in known}
    other = {
        label: spelling[key(label)]
        for label in dict.fromkeys(labels.tolist())
        if label not in own and key(label) in spelling
    }
    if how == "merge":
        return np.array([other.get(label, label) for label in labels], dtype=object)
    told = "; ".join(f"{label!r} is {name!r} in {where}" for label, name in other.items())
    bad = np.isin(labels.astype(str), list(other))
    problem = "labels that are spelled otherwise, with other case or blanks"
    records.refuse(column, bad, problem, f"{told[:200]}. --labels merge takes them for one")
    return labels
