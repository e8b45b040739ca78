"""What torch is set to while this package computes with it, whatever the process has set."""

import contextlib
import threading

import torch

DEVICES = ("cpu", "cuda")
_lock = threading.Lock()
_own = threading.local()


class _OfProcess:
    """A setting of the whole process that threads change together, and put back."""

    def __init__(self, get, change, value):
        self.get, self.change, self.value = get, change, value
        self.users = 0
        self.before = None

    def enter(self):
        """Change it; what it was before the first thread did."""
        with _lock:
            if self.users == 0:
                self.before = self.get()
            self.users += 1
            self.change(self.value)
            return self.before

    def leave(self, *, at_once):
        """Put it back: at once, or when no other thread needs it any more."""
        with _lock:
            self.users -= 1
            if at_once or self.users == 0:
                self.change(self.before)


_dtype = _OfProcess(torch.get_default_dtype, torch.set_default_dtype, torch.float32)
_threads = _OfProcess(torch.get_num_threads, torch.set_num_threads, 1)


@contextlib.contextmanager
def plain_torch():
    """float32 on the CPU unless said otherwise, with gradients and without autocasts.

    Also a decorator. Default device, gradients and autocasts are those of the thread; the default
    dtype is that of the process, and is put back when no thread needs it any more.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_float32())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextlib.contextmanager
def _float32():
    _dtype.enter()
    try:
        yield
    finally:
        _dtype.leave(at_once=False)


@contextlib.contextmanager
def single_threaded():
    """One thread an operation: these are small, and several would mostly wait for each other.

    Gives the number that there was. It is that of the process, so operations that other threads
    begin meanwhile may have one thread too; results do not depend on it. Each thread has its number
    back at the end, however many of them are in here at a time.
    """
    depth = getattr(_own, "depth", 0)
    n_threads = 1 if depth else _threads.enter()
    _own.depth = depth + 1
    try:
        yield n_threads
    finally:
        _own.depth = depth
        if not depth:
            _threads.leave(at_once=True)  # each thread has a number of its own
