"""Cards of checkpoints, and headers of their weights: read and checked before any weight is."""

import hashlib
import json
from pathlib import Path

from sklearn_pttf._utils.files import written_whole

FORMAT = 2
SEALED_SINCE = 2  # format in which the card has a checksum of its own
REQUIRED = ("format", "sha256", "network")
OWN_SUM = "card_sha256"
LARGEST_CARD = 2**24  # bytes
LARGEST_WEIGHTS = 2**31
LARGEST_HEADER = 2**24
DTYPES = {"F16": 2, "F32": 4, "F64": 8}  # of weights, with bytes of a number


def sealed(card):
    """A card with today's format and the checksum of all else in it; JSON-ready dict.

    Raises
    ------
    ValueError, TypeError
        If the card is no JSON.
    """
    card = {name: value for name, value in card.items() if name != OWN_SUM} | {"format": FORMAT}
    card = json.loads(json.dumps(card, allow_nan=False))
    return {**card, OWN_SUM: digest_of(card)}


def digest_of(card):
    """sha256 of a card without its own checksum, however it is laid out; hexadecimal str."""
    rest = {name: value for name, value in card.items() if name != OWN_SUM}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(card):
    """What the file of a card holds; str."""
    return json.dumps(card, indent=2, allow_nan=False) + "\n"


def reseal(path):
    """Give a card that was changed by hand the checksum of what it says now.

    Parameters
    ----------
    path : str or Path
        The ``.json`` file, which is written whole or not at all.
    """
    path = Path(path)
    text = text_of(sealed(_parsed(path)))
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_card(path):
    """The card in a file; dict.

    Raises
    ------
    ValueError
        If it is damaged, lacks an entry, or is of a newer format.
    """
    card = _parsed(path)
    missing = [key for key in REQUIRED if key not in card]
    version = card.get("format")
    if isinstance(version, int) and version >= SEALED_SINCE and OWN_SUM not in card:
        missing.append(OWN_SUM)
    if missing:
        raise ValueError(f"the card {path} is damaged: it lacks {', '.join(missing)}.")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT:
        raise ValueError(
            f"checkpoint {path.with_suffix('')} has format {version!r}; this version of "
            f"sklearn_pttf reads formats up to {FORMAT}. Upgrade the package."
        )
    if OWN_SUM in card and digest_of(card) != card[OWN_SUM]:
        raise ValueError(
            f"the card {path} is damaged, or was changed by hand: its sha256 is {digest_of(card)}, "
            f"but it says {card[OWN_SUM]}."
        )
    if OWN_SUM not in card and isinstance(card["network"], dict):
        # it was not said when there was no other
        card["network"].setdefault("outcomes", "demand")
    if not isinstance(card.get("prior", {}), dict):
        raise ValueError(f"the card {path} is damaged: its prior is {card['prior']!r}.")
    return card


def _parsed(path):
    if path.stat().st_size > LARGEST_CARD:
        raise ValueError(f"the card {path} is damaged: it has more than {LARGEST_CARD:,} bytes.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(card, dict):
            digest_of(card)  # numbers are finite
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the card {path} is damaged: {error}") from None
    if not isinstance(card, dict):
        raise ValueError(f"the card {path} is damaged: it is no JSON object.")
    return card


def read_shapes(path):
    """Shapes of the weights in a safetensors file, by its header alone; dict of str to tuple.

    Raises
    ------
    ValueError
        If it is no such file, or holds numbers of another kind than weights are.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise ValueError(f"checkpoint {path} is no safetensors file: it has no header.")
        text = file.read(length)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        found = {name: (each["dtype"], tuple(each["shape"])) for name, each in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"checkpoint {path} is no safetensors file: its header is damaged ({error})."
        ) from None
    odd = {name: dtype for name, (dtype, _) in found.items() if dtype not in DTYPES}
    if odd:
        name, dtype = next(iter(odd.items()))
        raise ValueError(
            f"checkpoint {path} must hold weights of {', '.join(DTYPES)}; got {dtype!r} for "
            f"{name!r} ({len(odd)} in all)."
        )
    return {name: shape for name, (_, shape) in found.items()}


def digest_of_file(path):
    """sha256 of a file of weights, a piece at a time; hexadecimal str.

    Raises
    ------
    ValueError
        If it is far too large for one.
    """
    size = path.stat().st_size
    if size > LARGEST_WEIGHTS:
        raise ValueError(
            f"checkpoint {path} must have at most {LARGEST_WEIGHTS:,} bytes; got {size:,}."
        )
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
