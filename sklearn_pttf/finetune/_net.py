"""The skorch net of finetuning, and its loss."""

import torch
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, LRScheduler
from skorch.helper import predefined_split

from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf.finetune._callbacks import (
    Averaging,
    BestByHalf,
    EndOfTraining,
    StopInTime,
    StopWithoutGain,
)
from sklearn_pttf.finetune._watch import WatchedEpochs

CLIP = 1.0
OWN = "own_"  # what names of the user's callbacks begin with, as none of ours do


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


class FinetuneNet(NeuralNet):
    """A skorch net that scores the weights it is given, and then trains them.

    It differs from skorch's in three ways. Epoch 0, the first row of the history, makes no step: it
    is a pass over the batches, by which the weights are scored as they were given. The loss pulls
    the trained parameters back to where they began. And an interrupt by the user is raised, where
    skorch takes it for the end of training; so callbacks of ours end training by `EndOfTraining`,
    and those of the user by ``KeyboardInterrupt`` at the end of an epoch, as skorch's do.

    Parameters
    ----------
    anchor : float, default=0.0
        Strength of the pull back.

    *args, **kwargs
        Of `skorch.NeuralNet`.
    """

    def __init__(self, *args, anchor=0.0, **kwargs):
        self.anchor = anchor
        super().__init__(*args, **kwargs)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            self._score_start(X)
            self.fit_loop(X, y, **fit_params)
        except EndOfTraining:
            pass
        finally:
            self.notify("on_train_end", X=X, y=y)
        return self

    def _score_start(self, X):
        """Epoch 0: losses on the batches of training and of validation, before any step.

        Callbacks see it as an epoch like others, but schedules of the learning rate, which begin
        with the first step.
        """
        training, validation = self.get_split_datasets(X)
        told = {"dataset_train": training, "dataset_valid": validation}
        everyone = self.callbacks_
        self.callbacks_ = [each for each in everyone if not isinstance(each[1], LRScheduler)]
        try:
            self.notify("on_epoch_begin", **told)
            for dataset, prefix in ((training, "train"), (validation, "valid")):
                is_training = prefix == "train"
                batches = self.get_iterator(dataset, is_training)
                self.run_single_epoch(batches, is_training, prefix, self.validation_step)
            self.notify("on_epoch_end", **told)
        finally:
            self.callbacks_ = everyone

    def notify(self, method_name, **told):
        getattr(self, method_name)(self, **told)
        for name, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **told)
            except KeyboardInterrupt:
                if method_name == "on_epoch_end" and name.startswith(OWN):
                    raise EndOfTraining from None
                raise

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


def net_of(strategy, network, problem, validation, device):
    """The skorch net that trains a network as a strategy says.

    Parameters
    ----------
    strategy : FinetuneStrategy

    network : DecisionNetwork
        Prepared; changed in place.

    problem : DecisionProblem

    validation : ValidationBatches

    device : str

    Returns
    -------
    FinetuneNet
    """
    callbacks = [
        ("watch", WatchedEpochs()),
        ("clip", GradientNormClipping(CLIP)),
        ("mean", Averaging(strategy._averaging)),
        ("halves", BestByHalf()),
        *(_named(k, callback) for k, callback in enumerate(strategy.callbacks or [])),
        ("stop", StopWithoutGain(strategy.patience)),
    ]
    if strategy.max_seconds is not None:
        callbacks.append(("time", StopInTime(strategy.max_seconds)))
    return FinetuneNet(
        network,
        criterion=FinetuneLoss,
        criterion__problem=problem,
        criterion__levels=network.config.levels,
        anchor=strategy.anchor,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.0,
        optimizer__fused=True,
        lr=strategy.lr,
        max_epochs=strategy.max_epochs,
        iterator_train__batch_size=None,
        iterator_valid__batch_size=None,
        train_split=predefined_split(validation),
        callbacks=callbacks,
        callbacks__print_log=None,
        device=device,
        verbose=0,
    )


def _named(k, callback):
    """A callback of the user's, with a name that none of ours has."""
    name, callback = callback if isinstance(callback, tuple) else (k, callback)
    return f"{OWN}{name}", callback
