"""Pretraining: a network learns to decide synthetic portfolios, streamed by skorch."""

import platform
import time

import numpy as np
import sklearn
import skorch
import torch

from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._priors.draws import PriorDraws
from sklearn_pttf._training.run import ALL, Run, train
from sklearn_pttf._training.settings import TrainingSettings, shows_settings
from sklearn_pttf._training.state import load_state
from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.files import refuse_unwritable
from sklearn_pttf._utils.torch_state import plain_torch
from sklearn_pttf._version import __version__
from sklearn_pttf.problems import DecisionProblem, Newsvendor


@shows_settings
@plain_torch()
def pretrain(
    prior=None,
    problem=None,
    *,
    network=None,
    checkpoint=None,
    resume=None,
    device="auto",
    verbose=1,
    name="own",
    **settings,
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
        Size of the network, and the kind of outcomes that it is of. None: the default size, or
        with a ``checkpoint`` that of its network, which another may not contradict.

    checkpoint : str, Path or Checkpoint, default=None
        Weights to go on from; they also fix the size of the network. Those of demand are taken for
        a ``network`` of series too, whose own features count nothing at first. None: random ones.

    resume : str or Path, default=None
        File that the state is saved to after every round. If it exists, the run goes on from
        it, to the same weights as a run that was never interrupted (on one machine).

    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:k"``, or ``"auto"``: CUDA where there is one.

    verbose : int, default=1
        0: silent. 1: a progress bar with the loss and the rows per second.

    name : str, default="own"
        Name on the card.

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

    random_state : int, default=0
        Seed of weights and batches.

    Returns
    -------
    Checkpoint
        Weights, and a card with prior, problem, settings, versions and validation loss. Of a
        `StockedPrior` only layers of capped sales learn, if there are others to go on from; the
        card then has these under ``capped``.

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
    settings = TrainingSettings(**settings)
    device = check_device(device)
    start = checkpoint
    if start is not None and not isinstance(start, Checkpoint):
        start = Checkpoint.load(start)
    start = _widened(start, network)
    config = _network_for(prior, network, start)
    prior = KINDS[config.outcomes].prior() if prior is None else prior
    prior.hyperprior()  # refuses reversed ranges before anything is built
    run = Run(prior, problem, config, settings, start, device)
    if resume is not None:
        refuse_unwritable(resume, "resume")
    state = load_state(resume, run.key)
    began = time.perf_counter()
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.random_state)
        net, rounds = train(run, state, resume, verbose)
    made = {
        **run.description(),
        "quality": {"validation_loss": rounds[-1]["valid_loss"]},
        "history": rounds,
        "made_with": _made_with(device, time.perf_counter() - began),
    }
    if run.trained == ALL:
        card = {"name": name, "licence": "BSD-3-Clause", **made}
    else:  # all else is what it was
        card = {**start.card, "name": name, "capped": made}
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


def _widened(start, network):
    """Weights of a kind that the asked one extends, or without layers that it has, as its own."""
    if start is None or network is None:
        return start
    if KINDS[network.outcomes].extends is start.kind:
        start = start.widened(network.outcomes)
    return start.with_capped() if network.capped else start


def _network_for(prior, network, start):
    """The size of the network, and the kind of outcomes that all agree on."""
    if start is not None:
        config = start.config
        if network is not None and network != config:
            raise ValueError(
                f"network={network!r} is another than that of the checkpoint, {config!r}: leave "
                "network=None, or checkpoint=None."
            )
    else:
        config = network or NetworkConfig(outcomes="demand" if prior is None else prior.outcomes)
    kind = KINDS[config.outcomes]
    if prior is not None and not (prior.outcomes == kind.name or isinstance(prior, kind.prior)):
        what = "network" if start is None else "checkpoint"
        raise ValueError(
            f"prior={prior!r} draws outcomes of the kind {prior.outcomes!r}, but the {what} is for "
            f"{config.outcomes!r}."
        )
    return config


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
