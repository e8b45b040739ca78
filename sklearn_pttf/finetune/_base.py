"""What finetuning strategies have in common."""

import copy
import time
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.utils import noop, to_tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._utils.sklearn_private import Interval
from sklearn_pttf.finetune._data import TrainingBatches, ValidationBatches
from sklearn_pttf.finetune._replay import Replay

MAX_PASSES = 4  # of the rows in an epoch
MOST_VALIDATION = 2000  # rows; more would only take longer
CLIP = 1.0


class Finetuned(NamedTuple):
    """A network that was trained on real rows."""

    network: torch.nn.Module
    for_half: tuple  # the network that is to be charged on every other validation row, from either
    n_iter: int  # the best epoch; 0 is the pretrained network
    history: list  # of dict, one an epoch, from epoch 0


class FinetuneLoss(PortfolioLoss):
    """The pretraining loss on rows' outcomes, one half of it at the levels that rows ask for."""

    def forward(self, output, targets):
        charged = (targets["weight"] > 0).sum().clamp_min(1)
        return self.by_row(output, targets).sum() / charged

    def by_row(self, output, targets):
        """Weighted loss of every row; ``(B, N)``."""
        weights = self.level_weights() / self.level_weights().mean()
        weights = 0.5 * weights + 0.5 * self._own_levels(targets["ratio"])
        loss = self.losses(output, targets["outcomes"])  # (B, N, K)
        return (loss * weights).mean(-1) * output.scale * targets["weight"]

    def _own_levels(self, ratio):
        """Weights of the two knots around each row's ratio, their mean over knots 1; (B, N, K)."""
        knots = self.levels.logit()
        distance = (
            ratio.clamp(self.levels[0], self.levels[-1]).logit().unsqueeze(-1) - knots
        ).abs()
        near = (1 - distance / (knots[1] - knots[0])).clamp_min(0)
        near = near * (self.levels * (1 - self.levels)) ** -0.5
        return near / near.mean(-1, keepdim=True)


class _FinetuneNet(NeuralNet):
    """A skorch net whose loss pulls the trained parameters back to where they began."""

    def __init__(self, *args, anchor=0.0, **kwargs):
        self.anchor = anchor
        super().__init__(*args, **kwargs)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X, training)
        if training and self.anchor:
            trained = [p for p in self.module_.parameters() if p.requires_grad]
            if not hasattr(self, "start_"):
                self.start_ = [p.detach().clone() for p in trained]
            distance = sum(
                ((p - p0) ** 2).sum() for p, p0 in zip(trained, self.start_, strict=True)
            )
            loss = loss + self.anchor * distance
        return loss


class _ScoreFirst(Callback):
    """Epoch 0 trains nothing: it scores the pretrained network."""

    def __init__(self, lr):
        self.lr = lr

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) <= 2:  # later a scheduler of the user's may see to it
            for group in net.optimizer_.param_groups:
                group["lr"] = self.lr if len(net.history) == 2 else 0.0


class _Averaging(Callback):
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


class _BestByHalf(Callback):
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


class _StopInTime(Callback):
    def __init__(self, max_seconds):
        self.max_seconds = max_seconds

    def on_train_begin(self, net, **kwargs):
        self.end_ = time.monotonic() + self.max_seconds

    def on_epoch_end(self, net, **kwargs):
        if time.monotonic() > self.end_:
            raise KeyboardInterrupt


def _named(k, callback):
    """A callback of the user's, with a name that none of ours has."""
    name, callback = callback if isinstance(callback, tuple) else (k, callback)
    return f"own_{name}", callback


class FinetuneStrategy(BaseEstimator, ABC):
    """What of a pretrained network is trained on real rows, and how; the class to subclass.

    A strategy of one's own says in `prepare` which parameters are trained, undoes in `finish` what
    that added to the network, and assigns the parameters below in its ``__init__``. A subclass of
    `FullFinetune` inherits its ``__init__`` with it.

    Parameters
    ----------
    lr : float
        Learning rate (AdamW).

    max_epochs : int
        Most epochs, of at most four steps. Rows are charged up to four times in each.

    patience : int
        Epochs without improvement on the validation rows before training ends.

    validation_fraction : float
        Share of the rows that a fold does not train on. They, or 2,000 of them, tell which epoch
        is best, and all tell what training is worth. Its inverse, rounded, is the number of folds,
        from 2 to 10: a small share means many.

    anchor : float
        Strength of the pull back to the pretrained parameters.

    replay : float
        Share of the batches that are synthetic portfolios of the prior.

    batch_size : int
        Most rows that are read together; more are split at random in every epoch.

    max_seconds : float or None
        Time for training, in seconds: no further epoch begins after it. Each of the folds that are
        left has an equal part of what is left. None: no limit.

    callbacks : list of skorch callbacks or None
        Handed on to skorch as they are, in every fold: callbacks, their classes, or pairs of a name
        and one of these. They may end a fold's training at the end of an epoch, as skorch's
        ``EarlyStopping`` does.

    baselines : bool
        Whether a classical baseline may be used instead, where it is cheaper.

    See Also
    --------
    AutoFinetune : Chooses whether to train.

    Examples
    --------
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.finetune import FinetuneStrategy, FullFinetune
    >>> class EncoderFinetune(FullFinetune):
    ...     def prepare(self, network, generator):
    ...         network.requires_grad_(False)
    ...         network.encoder.requires_grad_(True)
    >>> isinstance(EncoderFinetune(lr=3e-4), FinetuneStrategy)
    True
    >>> pdt = PretrainedDecisionTransformer(finetune=EncoderFinetune(lr=3e-4))
    """

    _parameter_constraints = {
        "lr": [Interval(Real, 0, 1, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "anchor": [Interval(Real, 0, None, closed="left")],
        "replay": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
        "callbacks": [list, None],
        "baselines": ["boolean"],
    }

    _n_together = 2  # portfolios that a step is made on
    _averaging = 0.92  # what a step leaves of the running mean of the weights

    @abstractmethod
    def prepare(self, network, generator):
        """Freeze what is not trained and add what is; changes ``network`` in place.

        Parameters
        ----------
        network : DecisionNetwork

        generator : torch.Generator
            On the CPU; the source of what is drawn at random.
        """

    def finish(self, network):
        """Undo what `prepare` added, keeping what was learned.

        Parameters
        ----------
        network : DecisionNetwork
            As `prepare` and training have left it.

        Returns
        -------
        DecisionNetwork
            With the parameters that a checkpoint holds.
        """
        return network

    def train(self, network, problem, data, training, validation, seed, device="cpu", prior=None):
        """Train on some rows, and stop where others say.

        Parameters
        ----------
        network : DecisionNetwork
            Changed in place.

        problem : DecisionProblem

        data : FinetuneData

        training, validation : ndarray of int
            Rows to train on, and to validate on, in random order.

        seed : int

        device : str

        prior : SyntheticPrior, RealValuedPrior, CountPrior, PricingPrior or None
            Where replayed portfolios come from.

        Returns
        -------
        Finetuned

        Raises
        ------
        ValueError
            If the strategy trains nothing, there are no rows to train or to validate on, or nothing
            to replay.
        """
        if not len(training) or not len(validation):
            raise ValueError(
                f"{len(training)} rows to train and {len(validation)} to validate on are too few."
            )
        replay = None
        if self.replay:
            if prior is None:
                raise ValueError(
                    f"replay={self.replay} needs the prior of the pretrained weights, and their "
                    "card does not name it; use replay=0."
                )
            shares = (self.replay, self.batch_size, seed, device)
            replay = Replay(network.config, prior, data.ratios, *shares)
        untouched = copy.deepcopy(network)
        if not self._prepared(network, seed):
            raise ValueError(f"{self!r} trains nothing.")
        validation = validation[:MOST_VALIDATION]
        context = training[: max(self.batch_size, 3 * len(validation))]
        sizes = (self.batch_size, MAX_PASSES, self._n_together)
        batches = TrainingBatches(data, training, *sizes, seed, replay)
        net = self._net(network, problem, device)
        net.set_params(
            train_split=predefined_split(
                ValidationBatches(data, validation, context, self.batch_size, seed)
            )
        )
        with torch.random.fork_rng(devices=[]):  # loaders of data draw a seed that is not used
            net.fit(batches, y=None)
        if self._was_interrupted(net):
            raise KeyboardInterrupt
        history = [
            {"epoch": k, "train_loss": row["train_loss"], "valid_loss": row["valid_loss"]}
            for k, row in enumerate(net.history)
        ]
        best = int(np.nanargmin([row["valid_loss"] for row in history]))
        for_half = self._for_halves(untouched, seed, dict(net.callbacks_)["halves"])
        return Finetuned(self.finish(net.module_).eval(), for_half, best, history)

    def _prepared(self, network, seed):
        """Prepare a network; the parameters that are trained."""
        self.prepare(network, torch.Generator().manual_seed(seed))
        return [p for p in network.parameters() if p.requires_grad]

    @torch.no_grad()
    def _for_halves(self, untouched, seed, best):
        """The network to charge on each half: the one that is best on the other."""
        networks = {}
        for epoch, weights in zip(best.epoch_, best.weights_, strict=True):
            if epoch not in networks:
                network = copy.deepcopy(untouched)
                for p, value in zip(self._prepared(network, seed), weights, strict=True):
                    p.copy_(value)
                networks[epoch] = self.finish(network).eval()
        return networks[best.epoch_[1]], networks[best.epoch_[0]]

    def _validate_params(self):
        super()._validate_params()
        for given in self.callbacks or []:
            named = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
            callback = given[1] if named else given
            kind = callback if isinstance(callback, type) else type(callback)
            if not issubclass(kind, Callback):
                raise ValueError(
                    "callbacks must be a list of skorch callbacks, or of pairs of a name and one; "
                    f"got {given!r} in it."
                )

    def _was_interrupted(self, net):
        """Whether it was the user who ended training, which skorch takes for an early stop."""
        if "valid_loss" not in net.history[-1]:
            return True  # in the middle of an epoch
        named = dict(net.callbacks_)
        in_time = "time" not in named or time.monotonic() < named["time"].end_
        waiting = named["stop"].misses_ < self.patience
        more = len(net.history) <= self.max_epochs
        return not self.callbacks and in_time and waiting and more

    def _net(self, network, problem, device):
        stop = EarlyStopping(patience=self.patience, threshold=0, sink=noop, load_best=True)
        callbacks = [
            ("first", _ScoreFirst(self.lr)),
            ("clip", GradientNormClipping(CLIP)),
            ("mean", _Averaging(self._averaging)),
            ("halves", _BestByHalf()),
            *(_named(k, callback) for k, callback in enumerate(self.callbacks or [])),
            ("stop", stop),
        ]
        if self.max_seconds is not None:
            callbacks.append(("time", _StopInTime(self.max_seconds)))
        return _FinetuneNet(
            network,
            criterion=FinetuneLoss,
            criterion__problem=problem,
            criterion__levels=network.config.levels,
            anchor=self.anchor,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=0.0,
            optimizer__fused=True,
            lr=self.lr,
            max_epochs=self.max_epochs + 1,
            iterator_train__batch_size=None,
            iterator_valid__batch_size=None,
            callbacks=callbacks,
            callbacks__print_log=None,
            device=device,
            verbose=0,
        )
