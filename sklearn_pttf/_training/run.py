"""A run of pretraining: what is trained, on what, and how; skorch runs its rounds."""

import json
from fnmatch import fnmatch
from typing import NamedTuple

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Freezer, GradientNormClipping
from skorch.helper import predefined_split

from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.ranges import canonical, canonical_key
from sklearn_pttf._training.callbacks import Progress, Schedule
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._training.optimizer import MuonAdamW
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._training.state import StateSaver, refuse_full, round_losses
from sklearn_pttf._training.stream import KeptBatches, PortfolioStream
from sklearn_pttf.problems import DecisionProblem

N_VALIDATION_STEPS = 40
STATE_BYTES = 2 * 3 * 4  # a weight: of two states, with moments, in single precision
VALIDATION_SEED_OFFSET = 1_000_003
HIDDEN = ("layers.*", "encoder.mix.*", "encoder.cell_out.*", "head.mlp.0.*")
ALL = "*"  # weights


class Run(NamedTuple):
    """What is trained, on what, and how."""

    prior: object
    problem: DecisionProblem
    config: NetworkConfig
    settings: TrainingSettings
    start: Checkpoint | None
    device: str

    @property
    def trained(self):
        """Pattern of the names of weights that learn: a part, where the prior says so."""
        return getattr(self.prior, "trains", ALL) if self.start else ALL

    @property
    def priced(self):
        return KINDS[self.config.outcomes].priced

    def description(self):
        """What the card says, and what a saved state must agree with; dict."""
        return {
            "problem": type(self.problem).__name__,
            "prior": self.prior.describe(),
            "network": self.config.to_dict(),
            "training": canonical(self.settings.entry(self.start, self.priced)),
        }

    @property
    def key(self):
        """One line of JSON that tells runs apart."""
        return canonical_key(self.description())

    def stream(self, steps=(), offset=0):
        """Batches of these steps; another ``offset`` of the seed gives others."""
        settings = self.settings
        seed = settings.random_state + offset
        return PortfolioStream(
            self.prior, steps, settings.rows, settings.n_outcomes, seed, self.device
        )


def train(run, state, resume, verbose):
    """Run the rounds that are left.

    Parameters
    ----------
    run : Run

    state : dict or None
        What an earlier process has left, as `load_state` gives it.

    resume : str, Path or None
        Where the state is saved after every round.

    verbose : int

    Returns
    -------
    net : NeuralNet

    rounds : list of dict
        Losses of all rounds, those of earlier processes too.
    """
    settings = run.settings
    rounds = json.loads(state["rounds"]) if state else []
    first = min(len(rounds) * settings.round_steps, settings.n_steps)
    shares = (settings.warmup, settings.cooldown)
    callbacks = [
        ("freezer", Freezer(lambda name: not fnmatch(name, run.trained))),
        ("schedule", Schedule(settings.lr, settings.n_steps, *shares, first)),
        ("clip", GradientNormClipping(settings.clip)),
        ("progress", Progress(settings.n_steps, first, verbose)),
    ]
    if resume is not None:
        callbacks.append(("state", StateSaver(resume, run.key, rounds)))
    net = _net(run, callbacks).initialize()
    if resume is not None:
        n_weights = sum(weight.numel() for weight in net.module_.parameters())
        refuse_full(resume, STATE_BYTES * n_weights)
    if run.start:
        net.module_.load_state_dict(run.start.build_network(run.device).state_dict())
    if state:
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
    firsts = range(first, settings.n_steps, settings.round_steps)
    _run_rounds(net, run.stream(), firsts, settings.n_steps)
    return net, rounds + round_losses(net)


def _net(run, callbacks):
    """The skorch net of a run."""
    settings = run.settings
    fixed = run.stream(range(N_VALIDATION_STEPS), VALIDATION_SEED_OFFSET)
    return NeuralNet(
        DecisionNetwork,
        module__config=run.config,
        criterion=PortfolioLoss,
        criterion__problem=run.problem,
        criterion__levels=run.config.levels,
        criterion__decision_weight=settings.decision_weight if run.priced else 0.0,
        optimizer=MuonAdamW,
        optimizer__param_groups=[(pattern, {"hidden": True}) for pattern in HIDDEN],
        optimizer__weight_decay=settings.weight_decay,
        optimizer__betas=(0.9, 0.98),
        lr=settings.lr,
        iterator_train__batch_size=None,
        iterator_valid__batch_size=None,
        train_split=predefined_split(KeptBatches(fixed)),
        callbacks=callbacks,
        callbacks__print_log=None,
        device=run.device,
        verbose=0,
    )


def _run_rounds(net, stream, firsts, n_steps):
    """Train in rounds that begin at these steps, each validated at its end.

    Raises
    ------
    ValueError
        If the loss is no number any more.
    """
    net.notify("on_train_begin", X=stream, y=None)
    try:  # not by `fit` or `partial_fit`, which take an interrupt by the user for the end
        for step in firsts:
            stream.steps = range(step, min(step + firsts.step, n_steps))
            net.fit_loop(stream, epochs=1)
            if not np.isfinite(net.history[-1]["train_loss"]):
                raise ValueError(
                    f"training diverged before step {stream.steps.stop}; try a smaller lr."
                )
    finally:
        net.notify("on_train_end", X=stream, y=None)
