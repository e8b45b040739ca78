"""Train a few directions of every layer."""

from numbers import Integral

import torch
from torch import nn
from torch.nn.utils import parametrize

from sklearn_pttf._utils.sklearn_private import Interval
from sklearn_pttf.finetune._base import FinetuneStrategy


class _LowRank(nn.Module):
    """A matrix plus a product of two thin ones, which is zero at first."""

    def __init__(self, weight, rank, generator):
        super().__init__()
        n_out, n_in = weight.shape
        down = torch.randn(rank, n_in, generator=generator) / n_in**0.5
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(weight.new_zeros(n_out, rank))

    def forward(self, weight):
        return weight + self.up @ self.down


class LoRAFinetune(FinetuneStrategy):
    """Train low-rank changes of every matrix of the network (LoRA [1]_).

    Between the head only and all weights: every layer can change, in a few directions.

    Parameters
    ----------
    rank : int, default=4
        Rank of the change of every matrix, at most the width of the network.

    lr : float, default=0.004
        Learning rate (AdamW).

    max_epochs : int, default=40
        Most epochs, of at most four steps. Rows are charged up to four times in each.

    patience : int, default=8
        Epochs without improvement on the validation rows before training ends.

    validation_fraction : float, default=1/3
        Share of the rows that a fold does not train on. They, or 2,000 of them, tell which epoch
        is best, and all tell what training is worth. Its inverse, rounded, is the number of folds,
        from 2 to 10: a small share means many.

    anchor : float, default=0.0
        Strength of the pull: the sum of squared distances of the factors to where they began is
        added to the loss this many times.

    replay : float, default=0.0
        Share of the batches that are synthetic portfolios of the prior that the weights were
        pretrained on, against forgetting it.

    batch_size : int, default=1000
        Most rows that are read together; more are split at random in every epoch.

    max_seconds : float, default=None
        Time for training, in seconds: no further epoch begins after it. None: no limit.

    callbacks : list of skorch callbacks, default=None
        Handed on to skorch.

    baselines : bool, default=True
        Whether a classical baseline may be used instead, where it is cheaper. None is where
        attributes tell rows' levels, which baselines do not read.

    See Also
    --------
    FullFinetune : Trains all weights.
    HeadFinetune : Trains the last layers only.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR (2022).
    """

    _parameter_constraints = {
        **FinetuneStrategy._parameter_constraints,
        "rank": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        rank=4,
        lr=4e-3,
        max_epochs=40,
        patience=8,
        validation_fraction=1 / 3,
        anchor=0.0,
        replay=0.0,
        batch_size=1000,
        max_seconds=None,
        callbacks=None,
        baselines=True,
    ):
        self.rank = rank
        self.lr = lr
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.anchor = anchor
        self.replay = replay
        self.batch_size = batch_size
        self.max_seconds = max_seconds
        self.callbacks = callbacks
        self.baselines = baselines

    def prepare(self, network, generator):
        if self.rank > network.config.width:
            raise ValueError(
                f"rank must be at most the width of the network, {network.config.width}; got "
                f"{self.rank}."
            )
        network.requires_grad_(False)
        for layer in _linear_layers(network):
            change = _LowRank(layer.weight, self.rank, generator)
            parametrize.register_parametrization(layer, "weight", change)

    def finish(self, network):
        for layer in _linear_layers(network):
            parametrize.remove_parametrizations(layer, "weight")
        return network


def _linear_layers(network):
    return [module for module in network.modules() if isinstance(module, nn.Linear)]
