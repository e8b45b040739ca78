"""A request to end, by the system or a scheduler, is heard as an interrupt by the user is."""

import contextlib
import signal
import threading


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


@contextlib.contextmanager
def terminable():
    """Raise `Terminated` inside the block where the process is asked to end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only there are signals heard
        return

    def stop(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def how_stopped(stop):
    """What to say of the end of a process, by what was raised; str."""
    return "terminated" if isinstance(stop, Terminated) else "interrupted"


def exit_status(stop):
    """What shells take for a process that ended so; int."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
