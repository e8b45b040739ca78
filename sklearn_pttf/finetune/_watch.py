"""How far finetuning is, over all folds, and how long it will take."""

import warnings
from contextvars import ContextVar
from time import perf_counter

from skorch.callbacks import Callback

from sklearn_pttf._utils.progress import bar
from sklearn_pttf.exceptions import LongFitWarning

LONG = 60.0  # seconds, from which on it is said how long training will take
EPOCHS = 15  # of a fold, as is usual before patience ends it
STEPS = 3.0  # passes that an epoch with steps takes as long as
WATCH = ContextVar("what watches the training that is under way", default=None)


class Watch:
    """A bar over the epochs of all folds, and a word after the first ones if they are slow.

    Parameters
    ----------
    strategy : FinetuneStrategy

    n_folds : int

    tell : callable or None
        Told in words how long training will take. None: a warning says it.
    """

    def __init__(self, strategy, n_folds, tell):
        self.n_epochs, self.limit = strategy.max_epochs, strategy.max_seconds
        self.n_folds, self.tell = n_folds, tell
        self.seconds = []  # of epochs, until something was said of them
        self.fold = 0

    def __enter__(self):
        total = self.n_folds * self.n_epochs
        self.bar = bar(what="finetuning", unit="epoch", total=total, delay=0)
        self.token = WATCH.set(self)
        return self

    def __exit__(self, *error):
        WATCH.reset(self.token)
        self.bar.close()

    def end_fold(self):
        """Go on to where the next fold begins, as training may end early."""
        self.fold += 1
        self.bar.update(max(0, self.fold * self.n_epochs - self.bar.n))

    def epoch(self, number, seconds):
        """An epoch has ended: number 0 is the one without steps."""
        if number:
            self.bar.update()
        if self.seconds is None:
            return
        self.seconds.append(seconds * (1.0 if number else STEPS))
        if len(self.seconds) == 2:  # of which one may have had to warm up
            self._say(self.n_folds * min(EPOCHS, self.n_epochs) * min(self.seconds))
            self.seconds = None

    def _say(self, seconds):
        seconds = seconds if self.limit is None else min(seconds, self.limit)
        if seconds < LONG:
            return
        minutes = max(1, round(seconds / 60))
        text = f"training will take about {minutes} minute{'s' if minutes > 1 else ''}"
        if self.tell is not None:
            self.tell(text)
        else:
            more = "; verbose=1 shows how far it is, and finetune=None leaves it out."
            warnings.warn(text[0].upper() + text[1:] + more, LongFitWarning, stacklevel=2)


class WatchedEpochs(Callback):
    """Tells `Watch` of epochs."""

    def on_train_begin(self, net, **kwargs):
        self.number_ = 0

    def on_epoch_begin(self, net, **kwargs):
        self.began_ = perf_counter()

    def on_epoch_end(self, net, **kwargs):
        watch = WATCH.get()
        if watch is not None:
            watch.epoch(self.number_, perf_counter() - self.began_)
        self.number_ += 1
