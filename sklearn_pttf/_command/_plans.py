"""What moves sales: drivers of the file of sales, their plan, and what the calendar says."""

import re

import numpy as np
import pandas as pd

from sklearn_pttf._command._files import SHOWN, flag, read, say_guesses
from sklearn_pttf._command._labels import as_known
from sklearn_pttf._command._readers import Form
from sklearn_pttf.datasets import calendar_drivers
from sklearn_pttf.datasets._drivers import MOST_LEVELS
from sklearn_pttf.datasets._periods import regular_dates

CALENDAR = {"weekday": "weekday", "month": "month", "days": "days_in_month"}
HOLIDAYS = "holidays="
SPOKEN = (
    "instance",
    "value",
    "time",
    "calendar",
    "time_zone",
    "fill",
    "partial",
    "negatives",
    "wild",
    "horizon",
)
PYTHON = [  # what messages call things in Python, and what they are called here
    (rf"\b({'|'.join(SPOKEN)})=(?:'([^']*)'|(\d+))", r"--\1 \2\3"),
    (r"\bdrivers(?:\[\d+\]|=\[[^\]]*\]|(?=:))", "--drivers"),
    (r"^drivers\b", "--drivers"),
    (r"\bseasons=\(?(\d+)[^)\s]*\)?", r"--seasons \1"),
    (
        r"calendar must be None, (a pandas frequency such as 'D'), or a sequence of dates",
        r"--calendar must be \1",
    ),
    (r"; the calendar must then be a sequence of whole numbers, or None", ""),
    (r"\bwidth keeps", "--periods keeps"),
    (r"say ordered=True if columns are in the order of time", "do not say --unordered"),
]


def in_options(text, options):
    """A message of Python in the words of the command line."""
    for pattern, words in PYTHON:
        text = re.sub(pattern, words, text)
    if getattr(options, "lead_time", None) is not None:  # of which the horizon is made
        text = re.sub(r"--horizon (\d+)", r"--lead-time and --review, \1", text)
    text = text.replace("--time_zone", "--time-zone")
    if options.time is None:
        text = text.replace("do not say --unordered", "say --time if there is a column of dates")
    plans = [str(options.future)] if options.future is not None else []
    plans += ["--calendar-drivers"] * bool(options.calendar_drivers)

    def plan(match):
        return plans[int(match[1] or 0)] if plans else match[0]

    text = re.sub(r"^origins must", "--origins must", text)
    text = re.sub(r"\bX (has|must have)\b", lambda match: f"{options.sales} {match[1]}", text)
    text = text.replace("columns of observations", "periods")
    text = re.sub(r"\b(?:the )?future(?:\[(\d)\]|\b)(?!=)", plan, text)
    return re.sub(r"\bthe frame\b", str(options.sales), text)


def read_drivers(records, options):
    """Drivers that the file of sales has; dict of str to ndarray."""
    names = [name for name in options.drivers or () if name in records.frame]
    if options.future is None and options.calendar_drivers is None:
        _refuse_absent(options.drivers, names, f"{options.sales}")
    return {name: records.driver(name, MOST_LEVELS) for name in names}


def read_plans(options, times, labels):
    """Plans of drivers as frames, and the names of all drivers.

    Parameters
    ----------
    options : Namespace

    times : ndarray of shape (n_records,)
        Dates of the sales.

    labels : ndarray of shape (n_instances,)
        Of the sales.

    Returns
    -------
    plans : list of DataFrame

    names : list of str
    """
    plans, names = [], list(options.drivers or ())
    if options.future is not None:
        plans.append(_read_plan(options, labels))
        _refuse_absent(names, plans[0].columns, f"--future {options.future}")
    if options.calendar_drivers is not None:
        if names and not plans:
            raise ValueError(
                f"--drivers {' '.join(names)} beside --calendar-drivers needs --future, a plan of "
                "them"
            )
        plans.append(_of_calendar(options, times))
        own = plans[-1].columns[1:].tolist()
        if not set(own).isdisjoint(names):
            both = ", ".join(name for name in own if name in names)
            raise ValueError(f"--drivers and --calendar-drivers both have {both}; rename a column")
        names += own
    return plans, names


def _refuse_absent(names, columns, where):
    absent = [name for name in names or () if name not in columns]
    if absent:
        raise ValueError(
            f"--drivers {' '.join(absent)} is no column of {where}, where every driver must be "
            "one; cells that are not known may be empty"
        )


def _read_plan(options, labels):
    """The plan as a frame of periods, drivers, and instances if it has them."""
    optional = [options.instance, *options.drivers]
    records = read(options.future, {"time": options.time}, optional, Form.of(options))
    frame = pd.DataFrame(
        {options.time: records.times(options.time, options.time_format, options.time_zone)}
    )
    if options.instance in records.frame:
        frame[options.instance] = as_known(
            records, options.instance, labels, options.labels, options.sales
        )
    for name in options.drivers:
        if name in records.frame:
            frame[name] = records.driver(name, MOST_LEVELS)
    say_guesses(options, records)
    return frame


def _of_calendar(options, times):
    """What the calendar says of the periods of the file and of the coming ones; data frame."""
    if times.dtype.kind != "M":
        raise ValueError(
            f"--calendar-drivers needs dates, but --time {options.time} holds numbers of periods"
        )
    try:
        calendar = regular_dates(options.calendar, times, f"--time {options.time}")
        periods = np.concatenate([calendar.dates, calendar.next_dates(options.horizon + 1)])
        settings, country = {}, None
        for name in options.calendar_drivers:
            if name.startswith(HOLIDAYS):
                country = name.removeprefix(HOLIDAYS)
                place = tuple(country.split("-", 1))
                settings |= {"holidays": place[0] if len(place) == 1 else place}
            else:
                settings[CALENDAR[name]] = True
        frame = calendar_drivers(periods, time=options.time, **settings)
    except ValueError as error:
        text = str(error).replace("weekday=True needs", "--calendar-drivers weekday needs")
        text = re.sub(r"^holidays must", f"{flag('calendar_drivers')} holidays= must", text)
        raise ValueError(text) from None
    past = frame[options.time] <= times.max()
    never = [n for n in frame if n.startswith("holiday=") and not frame.loc[past, n].any()]
    return frame.drop(columns=never)


def wrong_names(options):
    """What is wrong with names of drivers, in words."""
    taken = [options.instance, options.value, options.time]
    names = options.drivers or []
    twice = [name for k, name in enumerate(names) if name in names[:k] or name in taken]
    if twice:
        yield (
            "--drivers must be columns that differ from each other and from --instance, --value "
            f"and --time; got {', '.join(twice[:SHOWN])}"
        )
    allowed = [*CALENDAR, f"{HOLIDAYS}COUNTRY"]
    for name in options.calendar_drivers or ():
        if name not in CALENDAR and not name.startswith(HOLIDAYS):
            yield f"--calendar-drivers must be some of {', '.join(allowed)}; got {name}"
