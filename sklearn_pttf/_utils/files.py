"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import stat
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks here: what is left over is told by its age
    fcntl = None

READABLE = 0o666  # by all, less what the umask forbids
STALE = 86_400  # seconds after which a temporary is a leftover, where no lock tells
SUFFIX = ".tmp"
LONGEST_STEM = 50  # characters of a file's name in that of its temporary


@contextlib.contextmanager
def written_whole(path):
    """Give the path of a temporary file that becomes ``path`` once the block succeeds.

    The temporary file lies beside ``path``, is flushed to disk, and is removed on failure; what
    killed processes have left of such files for ``path`` is removed too. A file that was there
    keeps its mode, a link its target; a new one has the mode that the umask allows.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    temporary, handle = _opened(path, READABLE if mode is None else mode & 0o700)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        if fcntl is None:
            os.close(handle)  # what is open cannot be renamed there
            handle = None
        os.replace(temporary, path)
    finally:
        if handle is not None:
            os.close(handle)
        temporary.unlink(missing_ok=True)


def remove_leftovers(path):
    """Remove temporaries for ``path``, a file, whose processes are gone.

    Parameters
    ----------
    path : Path
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            if entry.name.startswith(_stem(path)) and entry.name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    _remove_if_left(entry.path)


def is_temporary(path):
    """Whether a path has the name of a temporary of `written_whole`."""
    return path.name.startswith(".") and path.name.endswith(SUFFIX)


def refuse_unwritable(path, parameter):
    """Refuse a path that no file can be written to, before there is anything to write.

    Parameters
    ----------
    path : str or Path

    parameter : str
        What the path was given as, for the message.

    Raises
    ------
    ValueError
        If it is empty, a folder or no regular file, or may not be written.
    """
    told = f"{parameter}={str(path)!r}"
    if str(path) in ("", "."):
        raise ValueError(f"{parameter} must be the name of a file; got {str(path)!r}.")
    path = Path(os.path.realpath(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:  # too long a name, or one below a file
        raise ValueError(f"{told} cannot be written: {error.strerror}.") from None
    if stat.S_ISDIR(mode):
        raise ValueError(f"{told} is a folder: give the name of a file.")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{told} is no regular file, and cannot be written as a whole.")
    folder = next(each for each in path.parents if each.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{told} cannot be written: no file may be made in {folder}.")


def _stem(path):
    """How names of temporaries for a file begin."""
    return f".{path.name[:LONGEST_STEM]}."


def _opened(path, mode):
    """A new temporary for ``path``, locked while it is in use, and its open handle."""
    while True:
        temporary = path.with_name(f"{_stem(path)}{secrets.token_hex(8)}{SUFFIX}")
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode | 0o600)
        except FileExistsError:
            continue
        if fcntl is None:
            return temporary, handle
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if temporary.exists():  # not taken for a leftover in between
            return temporary, handle
        os.close(handle)


def _remove_if_left(path):
    """Remove a temporary unless a process is writing it."""
    if fcntl is None:
        if time.time() - os.stat(path).st_mtime > STALE:
            os.unlink(path)
        return
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while it is being written
        os.unlink(path)
    finally:
        os.close(handle)
