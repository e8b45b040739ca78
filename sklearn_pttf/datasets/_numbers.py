"""Numbers as people write them: decimal commas, and signs between thousands."""

import re
from dataclasses import dataclass

import numpy as np

SIGNS = {".": "point", ",": "comma", " ": "blank", "'": "apostrophe"}
SAME = str.maketrans({**dict.fromkeys("\u00a0\u202f\u2009", " "), "\u2019": "'", "\u2212": "-"})
WHOLE = re.compile(r"[+-]?\d+(?:[eE][+-]?\d+)?", re.ASCII)
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
LIKE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d\d0", re.ASCII)


@dataclass(frozen=True)
class Convention:
    """How numbers are written; "" of a sign between thousands: there is none."""

    decimal: str = "."
    thousands: str = ""

    def valid(self, texts):
        """Which texts are numbers; bool ndarray."""
        point, between = re.escape(self.decimal), re.escape(self.thousands)
        several = "2,3" if self.thousands == "," else "3"  # lakhs have groups of two
        groups = rf"[1-9]\d{{0,2}}(?:{between}\d{{{several}}})*{between}\d{{3}}"
        grouped = f"{groups}|" if between else ""
        pattern = rf"[+-]?(?=(?:{point})?\d)(?:{grouped}\d+)?(?:{point}\d*)?(?:[eE][+-]?\d+)?"
        number = re.compile(pattern, re.ASCII)
        return np.array([number.fullmatch(text) is not None for text in texts], dtype=bool)

    def read(self, text):
        return float(text.replace(self.thousands, "").replace(self.decimal, "."))

    def named(self, texts):
        """What is not the usual in texts, in words; list of str."""
        words, texts = [], [text.strip().translate(SAME) for text in texts]
        if self.decimal == "," and any("," in text for text in texts):
            words.append("decimal comma")
        if self.thousands and any(self.thousands in text for text in texts):
            words.append(f"{SIGNS[self.thousands]} between thousands")
        return words


@dataclass(frozen=True)
class Numbers:
    """What texts stand for.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN where a text is no number.

    convention : Convention

    doubt : tuple of str or None
        A text, and two readings of it.

    doubtful : bool ndarray of shape (n,)
        Which texts may be either.
    """

    values: np.ndarray
    convention: Convention
    doubt: tuple | None
    doubtful: np.ndarray


def read_numbers(texts, decimal=None, thousands=None):
    """Read texts by the one convention under which all are numbers; `Numbers`.

    Where there are several of which the values differ, there is a doubt. There is one too if three
    digits that end in 0 follow a point that others follow by more digits or less: neither programs
    nor fixed formats write 1.600 beside 2.5.

    Parameters
    ----------
    texts : sequence of str
        Without empty ones.

    decimal, thousands : str, default=None
        Signs as they were told; None: by what is there.
    """
    texts = [text.strip().translate(SAME) for text in texts]
    values = np.full(len(texts), np.nan)
    rest = []
    for k, text in enumerate(texts):
        if WHOLE.fullmatch(text) or INFINITE.fullmatch(text):
            values[k] = float(text)
        else:
            rest.append(k)
    written = [texts[k] for k in rest]
    found = {each: each.valid(written) for each in _conventions(written, decimal, thousands)}
    most = max(valid.sum() for valid in found.values())
    best = [each for each, valid in found.items() if valid.sum() == most]
    readings = [_values(each, found[each], written) for each in best]
    values[rest] = readings[0]
    doubtful, doubt = np.zeros(len(texts), dtype=bool), None
    told = decimal is not None or thousands is not None
    if not told and most == len(written) > 0:
        differ = np.any([each != readings[0] for each in readings], axis=0)
        if differ.any():
            first = int(np.flatnonzero(differ)[0])
            doubt = _either(written[first], {each[first] for each in readings})
        elif not best[0].thousands:
            sign = best[0].decimal
            differ = _padded(written, sign)
            if differ.any():
                text = written[int(np.flatnonzero(differ)[0])]
                doubt = _either(text, {best[0].read(text), float(text.replace(sign, ""))})
        doubtful[rest] = differ
    return Numbers(values, best[0], doubt, doubtful)


def _conventions(texts, decimal, thousands):
    """Those that texts may follow, the usual one first; list of `Convention`."""
    there = [sign for sign in SIGNS if any(sign in text for text in texts)]
    decimals = [decimal] if decimal is not None else [".", ","]
    between = [thousands] if thousands is not None else ["", *there]
    pairs = [Convention(d, t) for d in decimals for t in between if d != t]
    return pairs or [Convention()]


def _values(convention, valid, texts):
    pairs = zip(texts, valid, strict=True)
    return np.array([convention.read(text) if good else np.nan for text, good in pairs])


def _either(text, values):
    low, high = sorted(values, key=abs)[:: max(len(values) - 1, 1)]
    return text, f"{low:.12g}", f"{high:.12g}"


def _padded(texts, decimal):
    """Texts like 1.600 in a column where not all have three digits after the point."""
    lengths = {len(text.partition(decimal)[2]) for text in texts if decimal in text}
    some = [len(lengths) > 1 and bool(LIKE_THOUSANDS.fullmatch(text)) for text in texts]
    return np.array(some, dtype=bool)
