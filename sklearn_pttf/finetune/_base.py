"""What finetuning strategies have in common."""

import copy
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from sklearn_pttf._utils.sklearn_private import Interval
from sklearn_pttf.finetune._data import TrainingBatches, ValidationBatches
from sklearn_pttf.finetune._net import net_of
from sklearn_pttf.finetune._replay import Replay

MAX_PASSES = 4  # of the rows in an epoch
MOST_VALIDATION = 2000  # rows; more would only take longer


class Finetuned(NamedTuple):
    """A network that was trained on real rows."""

    network: torch.nn.Module
    for_half: tuple  # the network that is to be charged on every other validation row, from either
    n_iter: int  # the best epoch; 0 is the pretrained network
    history: list  # of dict, one an epoch, from epoch 0


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
        ``EarlyStopping`` does, by ``KeyboardInterrupt``; elsewhere that ends `fit`. Ctrl-C while
        one of them is at work at the end of an epoch looks just the same: it ends the fold and not
        `fit`, so press it again. Epoch 0 has batches and losses, but no steps; skorch's
        ``LRScheduler`` begins after it.

    baselines : bool
        Whether a classical baseline may be used instead, where it is cheaper. None is where
        attributes tell rows' levels, which baselines do not read.

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
        replay = self._replayed(network.config, prior, data.ratios, seed, device)
        untouched = copy.deepcopy(network)
        if not self._prepared(network, seed):
            raise ValueError(f"{self!r} trains nothing.")
        validation = validation[:MOST_VALIDATION]
        context = training[: max(self.batch_size, 3 * len(validation))]
        sizes = (self.batch_size, MAX_PASSES, self._n_together)
        batches = TrainingBatches(data, training, *sizes, seed, replay)
        kept = ValidationBatches(data, validation, context, self.batch_size, seed)
        net = net_of(self, network, problem, kept, device)
        with torch.random.fork_rng(devices=[]):  # loaders of data draw a seed that is not used
            net.fit(batches, y=None)
        history = [
            {"epoch": k, "train_loss": row["train_loss"], "valid_loss": row["valid_loss"]}
            for k, row in enumerate(net.history)
        ]
        best = int(np.nanargmin([row["valid_loss"] for row in history]))
        for_half = self._for_halves(untouched, seed, dict(net.callbacks_)["halves"])
        return Finetuned(self._finished(net.module_).eval(), for_half, best, history)

    def _replayed(self, config, prior, ratios, seed, device):
        """Synthetic portfolios between the real ones; None for none."""
        if not self.replay:
            return None
        if prior is None:
            raise ValueError(
                f"replay={self.replay} needs the prior of the pretrained weights, and their "
                "card does not name it; use replay=0."
            )
        return Replay(config, prior, ratios, self.replay, self.batch_size, seed, device)

    def _prepared(self, network, seed):
        """Prepare a network; the parameters that are trained."""
        self.prepare(network, torch.Generator().manual_seed(seed))
        return [p for p in network.parameters() if p.requires_grad]

    def _finished(self, network):
        """What `finish` gives, which has to be a network."""
        finished = self.finish(network)
        if not isinstance(finished, torch.nn.Module):
            raise ValueError(f"finish of {self!r} must return the network; got {finished!r}.")
        return finished

    @torch.no_grad()
    def _for_halves(self, untouched, seed, best):
        """The network to charge on each half: the one that is best on the other."""
        networks = {}
        for epoch, weights in zip(best.epoch_, best.weights_, strict=True):
            if epoch not in networks:
                network = copy.deepcopy(untouched)
                for p, value in zip(self._prepared(network, seed), weights, strict=True):
                    p.copy_(value)
                networks[epoch] = self._finished(network).eval()
        return networks[best.epoch_[1]], networks[best.epoch_[0]]

    def _validate_params(self):
        lacking = [name for name in self._parameter_constraints if not hasattr(self, name)]
        if lacking:
            raise ValueError(
                f"{type(self).__name__} must assign {', '.join(lacking)} in its __init__, as every "
                "FinetuneStrategy does; a subclass of FullFinetune inherits one."
            )
        super()._validate_params()
        names = set()
        for k, given in enumerate(self.callbacks or []):
            named = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
            callback = given[1] if named else given
            kind = callback if isinstance(callback, type) else type(callback)
            if not issubclass(kind, Callback):
                raise ValueError(
                    "callbacks must be a list of skorch callbacks, or of pairs of a name and one; "
                    f"got {given!r} in it."
                )
            name = given[0] if named else str(k)  # its place is the name of one without
            if name in names:
                raise ValueError(f"callbacks must have names of their own; got {name!r} twice.")
            names.add(name)
