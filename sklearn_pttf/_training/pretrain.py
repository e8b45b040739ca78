"""Pretraining: a network learns to decide synthetic portfolios, streamed by skorch."""

import json
import platform
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn
import skorch
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping
from skorch.helper import predefined_split
from torch.utils.data import IterableDataset
from tqdm import tqdm

from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._priors.ranges import canonical, canonical_key
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._training.optimizer import MuonAdamW
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.files import written_whole
from sklearn_pttf._version import __version__
from sklearn_pttf.problems import DecisionProblem, Newsvendor

N_VALIDATION_STEPS = 40
VALIDATION_SEED_OFFSET = 1_000_003
LATER_ROWS_SHARE = 0.3  # of the batches have rows that are not in the context
HIDDEN = ("layers.*", "encoder.mix.*", "encoder.cell_out.*", "head.mlp.0.*")


class PortfolioStream(IterableDataset):
    """Ready batches of synthetic portfolios; batch k depends on the seed and k alone.

    Parameters
    ----------
    prior : SyntheticPrior, RealValuedPrior, CountPrior or PricingPrior
        Where portfolios come from.

    steps : iterable of int
        Numbers of the batches to give.

    rows : int
        About how many rows a batch has.

    n_outcomes : int
        Later outcomes a row.

    seed : int
        Seed of the stream.

    device : str
        Where batches are drawn.
    """

    def __init__(self, prior, steps, rows, n_outcomes, seed, device):
        self.prior = prior
        self.steps = steps
        self.rows = rows
        self.n_outcomes = n_outcomes
        self.seed = seed
        self.device = device

    def __iter__(self):
        return map(self.batch, self.steps)

    def batch(self, step):
        """Inputs of the network, and targets of the loss."""
        state = np.random.SeedSequence([self.seed, step]).generate_state(2)
        rng = np.random.RandomState(state[0])
        n_instances, n_observations = self.prior.hyperprior().draw_shape(rng)
        n_portfolios = max(1, self.rows // n_instances)
        generator = torch.Generator(self.device).manual_seed(int(state[1]))
        inputs, targets = self.prior.draw_batch(
            n_portfolios, n_instances, n_observations, self.n_outcomes, generator
        )
        in_context = torch.ones(n_portfolios, n_instances, dtype=torch.bool, device=self.device)
        if rng.uniform() < LATER_ROWS_SHARE:
            in_context[:, rng.randint(1, n_instances + 1) :] = False
        return {**inputs, "in_context": in_context}, targets


class _KeptBatches(IterableDataset):
    """Batches that are drawn once and kept, for validation."""

    def __init__(self, stream):
        self.batches = list(stream)

    def __iter__(self):
        return iter(self.batches)


class _Schedule(Callback):
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


class _Progress(Callback):
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

    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        if not training:
            return
        value = loss.item()
        self.loss_ = value if self.loss_ is None else 0.99 * self.loss_ + 0.01 * value
        self.rows_ += batch[0]["in_context"].numel()
        speed = self.rows_ / (time.perf_counter() - self.start_)
        self.bar_.set_postfix_str(f"loss {self.loss_:.4f}, {speed:,.0f} rows/s", refresh=False)
        self.bar_.update()

    def on_epoch_end(self, net, **kwargs):
        if self.verbose:
            row = net.history[-1]
            self.bar_.write(
                f"step {self.bar_.n:>7,}  training loss {row['train_loss']:.5f}  "
                f"validation loss {row['valid_loss']:.5f}"
            )

    def on_train_end(self, net, **kwargs):
        self.bar_.close()


class _StateSaver(Callback):
    """After every round, all that is needed to go on, in one file."""

    def __init__(self, path, key, rounds):
        self.path = path
        self.key = key
        self.rounds = rounds

    def on_epoch_end(self, net, **kwargs):
        if not np.isfinite(net.history[-1]["train_loss"]):
            return  # a diverged round is nothing to go on from
        state = {
            "key": self.key,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "rounds": json.dumps(self.rounds + _round_losses(net)),
        }
        with written_whole(self.path) as temporary:
            torch.save(state, temporary)


def _round_losses(net):
    """Training and validation loss of the rounds of this process."""
    return [
        {name: float(row[name]) for name in ("train_loss", "valid_loss")} for row in net.history
    ]


def read_state(path):
    """The saved state of an interrupted run, or None where there is none yet.

    Raises
    ------
    ValueError
        If the file is damaged, or something else.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums
        if damaged:
            raise ValueError(f"{damaged} in it is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["key"]
    except Exception as error:
        raise ValueError(
            f"resume={str(path)!r} is no saved state of pretraining: {error}"
        ) from None
    return state


def _load_state(path, key):
    """The saved state of a run with these settings, or None where there is none yet."""
    state = read_state(path)
    if state is not None and state["key"] != key:
        saved, wanted = json.loads(state["key"]), json.loads(key)
        other = [name for name in wanted if saved.get(name) != wanted[name]]
        raise ValueError(
            f"resume={str(path)!r} was saved by a run with other settings: {', '.join(other)} "
            "differ. Remove the file to start anew."
        )
    return state


def pretrain(
    prior=None,
    problem=None,
    *,
    network=None,
    checkpoint=None,
    n_steps=2000,
    rows=1000,
    n_outcomes=8,
    lr=1e-3,
    weight_decay=0.01,
    warmup=0.02,
    cooldown=0.5,
    clip=1.0,
    decision_weight=4.0,
    round_steps=500,
    resume=None,
    device="auto",
    random_state=0,
    verbose=1,
    name="own",
):
    """Pretrain a network to decide portfolios of a prior.

    Batches are drawn on the device and never repeat. The loss is the cost of the decision;
    for the newsvendor that is the pinball loss at every level, so that one network serves
    every cost ratio.

    Parameters
    ----------
    prior : SyntheticPrior, RealValuedPrior, CountPrior or PricingPrior, default=None
        Where portfolios come from. None: that of the network's kind of outcomes at its defaults,
        demand unless ``network`` or ``checkpoint`` is of another. Its parameters count,
        not what it was fitted to: give ``SyntheticPrior().calibrated(X)`` to use real
        rows.

    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``.

    network : NetworkConfig, default=None
        Size of the network. None: the default size.

    checkpoint : str, Path or Checkpoint, default=None
        Weights to go on from; they also fix the size of the network. None: random ones.

    n_steps : int, default=2000
        Number of batches.

    rows : int, default=1000
        About how many rows a batch has, over all its portfolios.

    n_outcomes : int, default=8
        Later outcomes that a row's decision is charged on.

    lr : float, default=0.001
        Highest learning rate: Muon for the matrices of hidden layers, AdamW for all else.

    weight_decay : float, default=0.01
        Weight decay.

    warmup, cooldown : float, default=0.02 and 0.5
        Shares of the steps over which the learning rate rises from, and falls to, zero.

    clip : float, default=1.0
        Largest norm of the gradient.

    decision_weight : float, default=4.0
        Weight of what decisions lose, beside the predictive loss, where the prior knows what the
        best would have been: lost profit, of prices.

    round_steps : int, default=500
        Steps between validations, and between saved states.

    resume : str or Path, default=None
        File that the state is saved to after every round. If it exists, the run goes on from
        it, to the same weights as a run that was never interrupted (on one machine).

    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:k"``, or ``"auto"``: CUDA where there is one.

    random_state : int, default=0
        Seed of weights and batches.

    verbose : int, default=1
        0: silent. 1: a progress bar with the loss and the rows per second.

    name : str, default="own"
        Name on the card.

    Returns
    -------
    Checkpoint
        Weights, and a card with prior, problem, settings, versions and validation loss.

    Raises
    ------
    ValueError
        If a setting or the prior makes no sense, or ``resume`` is of another run.

    Examples
    --------
    >>> from sklearn_pttf import SyntheticPrior, pretrain
    >>> prior = SyntheticPrior(level=(1.0, 20.0), noise_families=("poisson",))
    >>> checkpoint = pretrain(prior, n_steps=2, rows=50, verbose=0)
    >>> checkpoint.card["training"]["n_steps"]
    2
    """
    problem = Newsvendor() if problem is None else problem
    _check_parts(prior, problem, network)
    settings = TrainingSettings(
        n_steps=n_steps,
        rows=rows,
        n_outcomes=n_outcomes,
        round_steps=round_steps,
        random_state=random_state,
        lr=lr,
        weight_decay=weight_decay,
        warmup=warmup,
        cooldown=cooldown,
        clip=clip,
        decision_weight=decision_weight,
    )
    device = check_device(device)
    start = checkpoint
    if start is not None and not isinstance(start, Checkpoint):
        start = Checkpoint.load(start)
    config = _network_for(prior, network, start)
    prior = KINDS[config.outcomes].prior() if prior is None else prior
    prior.hyperprior()  # refuses reversed ranges before anything is built
    run = _Run(prior, problem, config, settings, start, device)
    state = _load_state(resume, run.key)
    began = time.perf_counter()
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(random_state)
        net, rounds = _train(run, state, resume, verbose)
    card = {
        "name": name,
        "licence": "BSD-3-Clause",
        **run.description(),
        "quality": {"validation_loss": rounds[-1]["valid_loss"]},
        "history": rounds,
        "made_with": _made_with(device, time.perf_counter() - began),
    }
    return Checkpoint.from_network(net.module_, card)


def _check_parts(prior, problem, network):
    """Refuse what is no prior, problem or size of a network."""
    if prior is not None and not isinstance(prior, PriorDraws):
        known = ", ".join(kind.prior.__name__ for kind in KINDS.values())
        raise ValueError(f"prior must be one of {known} or None; got {prior!r}.")
    if not isinstance(problem, DecisionProblem):
        raise ValueError(f"problem must be a DecisionProblem or None; got {problem!r}.")
    if network is not None and not isinstance(network, NetworkConfig):
        raise ValueError(f"network must be a NetworkConfig or None; got {network!r}.")


def _network_for(prior, network, start):
    """The size of the network, and the kind of outcomes that all agree on."""
    if start is not None:
        config = NetworkConfig(**start.card["network"])
    else:
        config = network or NetworkConfig(outcomes="demand" if prior is None else prior.outcomes)
    if prior is not None and prior.outcomes != config.outcomes:
        what = "network" if start is None else "checkpoint"
        raise ValueError(
            f"prior={prior!r} draws outcomes of the kind {prior.outcomes!r}, but the {what} is for "
            f"{config.outcomes!r}."
        )
    return config


class _Run(NamedTuple):
    """What is trained, on what, and how."""

    prior: object
    problem: DecisionProblem
    config: NetworkConfig
    settings: TrainingSettings
    start: Checkpoint | None
    device: str

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


def _made_with(device, seconds):
    """Versions, the device and the time, for the card."""
    return {
        "sklearn_pttf": __version__,
        "torch": torch.__version__,
        "skorch": skorch.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": device,
        "seconds_of_last_run": round(seconds, 1),
    }


def _train(run, state, resume, verbose):
    """Run the rounds that are left; the skorch net and the losses of all rounds."""
    settings = run.settings
    rounds = json.loads(state["rounds"]) if state else []
    first = min(len(rounds) * settings.round_steps, settings.n_steps)
    shares = (settings.warmup, settings.cooldown)
    callbacks = [
        ("schedule", _Schedule(settings.lr, settings.n_steps, *shares, first)),
        ("clip", GradientNormClipping(settings.clip)),
        ("progress", _Progress(settings.n_steps, first, verbose)),
    ]
    if resume is not None:
        callbacks.append(("state", _StateSaver(resume, run.key, rounds)))
    net = _net(run, callbacks).initialize()
    if run.start:
        net.module_.load_state_dict(run.start.build_network(run.device).state_dict())
    if state:
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
    firsts = range(first, settings.n_steps, settings.round_steps)
    _run_rounds(net, run.stream(), firsts, settings.n_steps)
    return net, rounds + _round_losses(net)


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
        train_split=predefined_split(_KeptBatches(fixed)),
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
    for step in firsts:
        stream.steps = range(step, min(step + firsts.step, n_steps))
        net.fit_loop(stream, epochs=1)
        if not np.isfinite(net.history[-1]["train_loss"]):
            raise ValueError(
                f"training diverged before step {stream.steps.stop}; try a smaller lr."
            )
    net.notify("on_train_end", X=stream, y=None)
