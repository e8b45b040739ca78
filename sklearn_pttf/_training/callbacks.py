"""What happens between the steps of pretraining: the learning rate, and the progress bar."""

import time

import numpy as np
from skorch.callbacks import Callback
from tqdm.auto import tqdm

FIRST_STEPS = 5  # that tell how long all will take; the fastest, as the first have to warm up
LONG = 60.0  # seconds, from which on that is said


class Schedule(Callback):
    """Learning rate: linear warm-up, constant, linear cool-down to zero."""

    def __init__(self, lr, n_steps, warmup, cooldown, first_step):
        self.lr = lr
        self.n_steps = n_steps
        self.warmup = warmup
        self.cooldown = cooldown
        self.step = first_step

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if not training:
            return
        up = (self.step + 1) / max(1, self.warmup * self.n_steps)
        down = (self.n_steps - self.step) / max(1, self.cooldown * self.n_steps)
        for group in net.optimizer_.param_groups:
            group["lr"] = self.lr * min(1.0, up, down)
        self.step += 1


class Progress(Callback):
    """A bar with the loss and the rows per second."""

    def __init__(self, n_steps, first_step, verbose):
        self.n_steps = n_steps
        self.first_step = first_step
        self.verbose = verbose

    def on_train_begin(self, net, **kwargs):
        self.bar_ = tqdm(
            total=self.n_steps,
            initial=self.first_step,
            disable=not self.verbose,
            unit="step",
            mininterval=1.0,
        )
        self.rows_, self.start_, self.loss_ = 0, time.perf_counter(), None
        self.steps_, self.least_ = 0, np.inf

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.began_ = time.perf_counter()

    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        if not training:
            return
        value = loss.item()
        self.least_ = min(self.least_, time.perf_counter() - self.began_)
        self.loss_ = value if self.loss_ is None else 0.99 * self.loss_ + 0.01 * value
        self.rows_ += batch[0]["in_context"].numel()
        speed = self.rows_ / (time.perf_counter() - self.start_)
        self.steps_ += 1
        if self.steps_ == FIRST_STEPS and self.verbose:
            self._say((self.n_steps - self.first_step) * self.least_)
        self.bar_.set_postfix_str(f"loss {self.loss_:.4f}, {speed:,.0f} rows/s", refresh=False)
        self.bar_.update()

    def _say(self, seconds):
        """How long all steps take, if that is more than a minute."""
        if seconds >= LONG:
            minutes = max(1, round(seconds / 60))
            self.bar_.write(f"{self.n_steps - self.first_step:,} steps take about {minutes} min.")

    def on_epoch_end(self, net, **kwargs):
        if self.verbose:
            row = net.history[-1]
            self.bar_.write(
                f"step {self.bar_.n:>7,}  training loss {row['train_loss']:.5f}  "
                f"validation loss {row['valid_loss']:.5f}"
            )

    def on_train_end(self, net, **kwargs):
        self.bar_.close()
