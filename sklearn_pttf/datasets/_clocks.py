"""Hours that clocks skip, and those that they repeat."""

import warnings

import numpy as np

HOUR = np.timedelta64(1, "h").astype("timedelta64[us]")
DAY = np.timedelta64(1, "D")


def check_zone(zone):
    """Refuse what is no name of a time zone.

    Raises
    ------
    ValueError

    ImportError
        If pandas is not installed.
    """
    if zone is None:
        return
    try:
        import pandas as pd
    except ImportError:
        raise ImportError(f"time_zone={zone!r} needs pandas, which is not installed.") from None
    try:
        if not isinstance(zone, str) or not zone:
            raise ValueError
        pd.Timestamp(0, tz="UTC").tz_convert(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"time_zone must be the name of a time zone such as 'Europe/Berlin', or None; got "
            f"{zone!r}."
        ) from None


def changes(zone, first, last):
    """Hours of local time that are not there, or there twice.

    Parameters
    ----------
    zone : str

    first, last : datetime64
        Of local time.

    Returns
    -------
    list of (start, end, bool)
        Beginning and end as datetime64[us], and whether they came twice.
    """
    import pandas as pd

    hours = pd.date_range(first - DAY, last + 2 * DAY, freq="h", tz="UTC")
    found = []
    for k in np.flatnonzero(np.diff(_offsets(hours, zone))):
        minutes = pd.date_range(hours[k], hours[k + 1], freq="min")
        offsets = _offsets(minutes, zone)
        at = int(np.flatnonzero(offsets != offsets[0])[0])
        moment = minutes[at].tz_localize(None).to_datetime64().astype("datetime64[us]")
        ends = sorted((moment + offsets[0], moment + offsets[at]))
        found.append((*ends, bool(offsets[at] < offsets[0])))
    return found


def _offsets(moments, zone):
    """Local time less UTC; ndarray of timedelta64[us]."""
    local = moments.tz_convert(zone).tz_localize(None)
    return (local - moments.tz_localize(None)).to_numpy().astype("timedelta64[us]")


def uncounted(calendar, zone):
    """Periods of which clocks skipped or repeated half or more; bool ndarray.

    Parameters
    ----------
    calendar : Calendar

    zone : str or None
        None: nothing is known of clocks.

    Warns
    -----
    UserWarning
        That names them.
    """
    bad = np.zeros(len(calendar), dtype=bool)
    if zone is None or calendar.offset is None:
        return bad
    edges = np.append(calendar.dates, calendar.next_dates(1))
    lengths = np.diff(edges)
    if lengths.max() >= DAY:
        return bad
    told = []
    for start, end, twice in changes(zone, edges[0], edges[-1]):
        inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
        some = 2 * inside >= lengths
        bad |= some
        if some.any():
            told.append(f"{start} {'came twice' if twice else 'was skipped'}")
    if told:
        warnings.warn(
            f"clocks of {zone} changed: {', '.join(told)}. The periods of these hours count as not "
            "observed.",
            UserWarning,
            stacklevel=4,
        )
    return bad
