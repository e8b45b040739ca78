"""What names of columns say of their order in time.

Names say something if they differ by numbers only, as w1 to w52, 2024-01 to 2024-12 or lag_8 to
lag_1 do, or by names of months. Anything else is taken as it is.
"""

import re
import warnings
from itertools import pairwise

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
MONTH = re.compile(rf"(?<![a-z])({'|'.join(f'{m}|{m[:3]}' for m in MONTHS)})(?![a-z])")
NUMBER = re.compile(r"\d+")
BACKWARDS = re.compile(  # t-3, lag_3, 3_weeks_ago
    r"(?<![a-z])(lags?|ago|back|prev|previous|before|minus)(?![a-z])|(^|[^a-z0-9])t?-#"
)
YEARS = range(1900, 2200)
SHOWN = 3  # names that a message begins with


def check_order(names, parameter):
    """Refuse columns in an order that their names contradict.

    Parameters
    ----------
    names : list of str
        In the order of time, as far as the caller says.

    parameter : str
        What lists them, for messages.

    Raises
    ------
    ValueError
        If they are dates or numbers in another order.
    """
    if not len(names):
        return
    templates, numbers = zip(*(_parsed(str(name)) for name in names), strict=True)
    if len(names) < 2 or len(set(templates)) > 1 or not numbers[0]:
        return
    read = _readings(numbers)
    if not read or any(_ascends(each) for each in read):
        if read and _backwards(templates[0]) and len(numbers[0]) == 1:
            _refuse(names, parameter, numbers, "count backwards, so that the newest is first")
        return
    if len(numbers[0]) > 1 or _is_dated(numbers):
        _refuse(names, parameter, read[0], "are dates in another order")
    values = [n for (n,) in numbers]
    if all(a > b for a, b in pairwise(values)):
        if not _backwards(templates[0]):
            warnings.warn(
                f"{parameter} count down from {names[0]!r} to {names[-1]!r}, and are taken as they "
                f"are, oldest first; if {names[0]!r} is the newest, give them the other way round.",
                stacklevel=6,
            )
    elif not _wraps(values):
        _refuse(names, parameter, numbers, "are numbered in another order")


def are_alike(names, others):
    """Whether names of columns say the same of their order in time, one by one."""
    return [_parsed(str(name))[1] for name in names] == [_parsed(str(n))[1] for n in others]


def check_match(names, observations, parameter):
    """Refuse columns of a driver whose names say that they begin in another period.

    They do where the numbers of observations are found among them, but later than at the beginning.
    Of plain numbers, which may begin at 0 or at 1, that is only told.

    Parameters
    ----------
    names, observations : list of str
        Of columns of the driver, and of observations.

    parameter : str
        What lists the driver's, for messages.

    Raises
    ------
    ValueError
        If they are dates, or count backwards.
    """
    own, periods = ([_parsed(str(name))[1] for name in each] for each in (names, observations))
    n = len(periods)
    if not all(periods) or len(set(periods)) < n or own[:n] == periods:
        return
    starts = [k for k in range(1, len(own) - n + 1) if own[k : k + n] == periods]
    if not starts:
        return
    told = (
        f"begins with {names[0]!r}, and observations with {observations[0]!r}, as by its name "
        f"{names[starts[0]]!r} does."
    )
    single = len(periods[0]) == 1
    if single and not _is_dated(periods) and not _backwards(_parsed(str(observations[0]))[0]):
        warnings.warn(f"{parameter} {told} Columns are taken as they are.", stacklevel=6)
        return
    raise ValueError(f"{parameter} must begin with the period of the first observation; it {told}")


def warn_of_other_names(names):
    """Warn of columns after those of periods whose names are of another kind: price, pack.

    Parameters
    ----------
    names : list of str
        Of all columns that are taken for observations, as none were named.
    """
    templates, numbers = zip(*(_parsed(str(name)) for name in names), strict=True)
    alike = [k for k, template in enumerate(templates) if template == templates[0]]
    others = names[alike[-1] + 1 :]
    if not numbers[0] or len(alike) < 2 or not others:
        return
    told = ", ".join(map(repr, others[:SHOWN])) + (", ..." if len(others) > SHOWN else "")
    warnings.warn(
        f"observations=None takes all columns of X that have no other role, so also {told} after "
        f"{names[alike[-1]]!r}, as the newest periods. If they are no periods, name those that are "
        "with observations=[...] of the problem.",
        stacklevel=7,
    )


def _parsed(name):
    """A name without its numbers, and these; months count as numbers."""
    name = MONTH.sub(lambda m: str(1 + [x[:3] for x in MONTHS].index(m[1][:3])), name.lower())
    return NUMBER.sub("#", name), tuple(int(n) for n in NUMBER.findall(name))


def _readings(numbers):
    """Numbers in the ways that they may tell time, largest units first; none if there is no way."""
    if len(numbers[0]) == 1:
        return [numbers]
    if all(n[0] in YEARS for n in numbers):
        return [numbers]
    if all(n[-1] in YEARS for n in numbers):  # 31.12.2024, or 12/31/2024
        read = [[n[::-1] for n in numbers], [(n[-1], *n[:-1]) for n in numbers]]
        return [keys for keys in read if all(key[1] <= len(MONTHS) for key in keys)]
    return []


def _ascends(keys):
    return all(a < b for a, b in pairwise(keys))


def _is_dated(numbers):
    """Whether single numbers are years, or years with months and days: 2024, 202401, 20240131."""
    return all(len(str(n)) in (4, 6, 8) and int(str(n)[:4]) in YEARS for (n,) in numbers)


def _backwards(template):
    return BACKWARDS.search(template) is not None


def _wraps(values):
    """Whether they begin anew once, as weeks do after a year: 51, 52, 1, 2."""
    others = [(a, b) for a, b in pairwise(values) if b != a + 1]
    return len(others) == 1 and others[0][1] <= 1 and values[-1] < values[0]


def _refuse(names, parameter, keys, why):
    first = ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
    order = sorted(range(len(names)), key=lambda k: keys[k])
    if "backwards" in why:
        order = order[::-1]
    best = ", ".join(repr(names[k]) for k in order[:SHOWN])
    raise ValueError(
        f"{parameter} must be in the order of time, oldest first, with ordered=True; "
        f"their names {why}: got {first}, and not {best}{', ...' if len(names) > SHOWN else ''}. "
        "List them in their order, or rename them if they are in it."
    )
