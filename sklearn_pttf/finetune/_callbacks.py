"""What happens between the steps of finetuning: which weights are kept, and when it ends."""

import time

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import noop, to_tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EndOfTraining(Exception):  # noqa: N818 - no error
    """A callback has ended training at the end of an epoch; it is no interrupt by the user."""


class Averaging(Callback):
    """A running mean of the weights is what is validated and kept, not the last step's."""

    def __init__(self, left):
        self.left = left  # of the mean, by a step

    def on_train_begin(self, net, **kwargs):
        self.update_ = get_ema_multi_avg_fn(self.left)
        self.trained_ = [p for p in net.module_.parameters() if p.requires_grad]
        self.mean_ = [p.detach().clone() for p in self.trained_]
        self.last_ = None

    def on_epoch_begin(self, net, **kwargs):
        if self.last_ is not None:
            self._set(self.last_)
            self.last_ = None

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if not training and self.last_ is None:
            self.last_ = [p.detach().clone() for p in self.trained_]
            self._set(self.mean_)

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        if training:
            self.update_(self.mean_, self.trained_, None)

    @torch.no_grad()
    def _set(self, values):
        for p, value in zip(self.trained_, values, strict=True):
            p.copy_(value)


class BestByHalf(Callback):
    """The weights that are best on each half of the validation rows.

    One half is charged on what the other chose, so that no row chooses what it is charged on.
    """

    def on_train_begin(self, net, **kwargs):
        self.trained_ = [p for p in net.module_.parameters() if p.requires_grad]
        self.least_ = [np.inf, np.inf]
        self.epoch_ = [None, None]
        self.weights_ = [None, None]

    def on_epoch_begin(self, net, **kwargs):
        self.loss_ = [0.0, 0.0]

    def on_batch_end(self, net, batch=None, training=None, y_pred=None, **kwargs):
        if training:
            return
        targets = to_tensor(batch[1], net.device)
        by_row = net.criterion_.by_row(y_pred, targets)
        for half in (0, 1):
            self.loss_[half] += by_row[targets["half"] == half].sum().item()

    def on_epoch_end(self, net, **kwargs):
        for half in (0, 1):
            if self.epoch_[half] is None or self.loss_[half] < self.least_[half]:
                self.least_[half], self.epoch_[half] = self.loss_[half], len(net.history) - 1
                self.weights_[half] = [p.detach().clone() for p in self.trained_]


class StopWithoutGain(EarlyStopping):
    """Ends training after epochs without improvement, with the weights of the best one.

    Parameters
    ----------
    patience : int
        Number of such epochs in a row.
    """

    def __init__(self, patience):
        super().__init__(patience=patience, threshold=0, sink=noop)

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.weights_ = None

    def on_epoch_end(self, net, **kwargs):
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            if self.misses_ < self.patience:
                raise  # by the user, just now
            raise EndOfTraining from None
        if self.misses_ == 0:  # cloned here, as skorch's ``load_best`` makes slow deep copies
            state = net.module_.state_dict()
            self.weights_ = {name: value.clone() for name, value in state.items()}

    def on_train_end(self, net, **kwargs):
        if self.weights_ is not None and self.best_epoch_ != net.history[-1, "epoch"]:
            net.module_.load_state_dict(self.weights_)


class StopInTime(Callback):
    """Ends training at the end of an epoch, once time is up."""

    def __init__(self, max_seconds):
        self.max_seconds = max_seconds

    def on_train_begin(self, net, **kwargs):
        self.end_ = time.monotonic() + self.max_seconds

    def on_epoch_end(self, net, **kwargs):
        if time.monotonic() > self.end_:
            raise EndOfTraining
