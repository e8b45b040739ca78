"""Bars of what takes long, where they were asked for."""

from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

SECONDS = 2.0  # that a phase takes before its bar appears
_SHOWN = ContextVar("whether bars are shown", default=False)


@contextmanager
def showing(shown):
    """Whether what is done within shows bars; what it calls need not be told."""
    token = _SHOWN.set(bool(shown))
    try:
        yield
    finally:
        _SHOWN.reset(token)


def bar(iterable=None, *, what, unit, total=None, delay=None):
    """A bar of `tqdm`, which appears once it has taken some time and leaves nothing behind."""
    return tqdm(
        iterable,
        desc=what,
        unit=unit,
        total=total,
        disable=not _SHOWN.get(),
        delay=SECONDS if delay is None else delay,
        leave=False,
    )
