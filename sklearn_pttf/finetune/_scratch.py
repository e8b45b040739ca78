"""Training on real rows alone, from random weights: what pretraining is compared with."""

import numpy as np
import torch
from sklearn.utils import check_random_state

from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._utils.torch_state import plain_torch, single_threaded
from sklearn_pttf.finetune._base import MOST_VALIDATION
from sklearn_pttf.finetune._data import finetune_data
from sklearn_pttf.finetune._full import FullFinetune
from sklearn_pttf.finetune._origins import History, data_in_time, periods_to_learn

LEARNING_RATES = (3e-4, 1e-3, 3e-3)
MAX_EPOCHS, PATIENCE = 200, 20
VALIDATION = 0.25  # share of the rows


class _FromScratch(FullFinetune):
    """More and smaller steps: random weights have far to go."""

    _n_together = 1
    _averaging = 0.95


@plain_torch()
def train_from_scratch(
    problem, portfolio, outcomes=None, network=None, random_state=None, device="cpu", look=None
):
    """A network that has seen these rows only; `Checkpoint`.

    Random weights are trained with each of three learning rates, up to 200 epochs with early
    stopping, and the one that is best on the validation rows is kept. There is no guard.

    Parameters
    ----------
    problem : DecisionProblem

    portfolio : Portfolio

    outcomes : ndarray of shape (n, k), default=None
        Later outcomes, NaN where missing. None: observations are held out in turn.

    network : NetworkConfig, default=None
        Size of the network. None: the default size.

    random_state : int, RandomState or None, default=None

    device : str, default="cpu"

    look : Look, default=None
        What of a table in the order of time is made use of; then ``outcomes`` are not taken.

    Raises
    ------
    ValueError
        If there are too few rows to train and to validate on.
    """
    seed = check_random_state(random_state).randint(2**31 - 1)
    config = NetworkConfig() if network is None else network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = Checkpoint.from_network(DecisionNetwork(config), {"name": "from scratch"})
    problem, portfolio = problem.for_training(portfolio, 1.0)
    if look is None:
        data = finetune_data(config, problem, portfolio, outcomes, device)
    else:
        history = History(portfolio, look)
        data = data_in_time(config, problem, history, periods_to_learn(history.width), device)
    rows = np.random.default_rng(seed).permutation(data.usable())
    n_validation = min(max(1, round(VALIDATION * len(rows))), MOST_VALIDATION)
    validation, training = rows[:n_validation], rows[n_validation:]
    runs = []
    for lr in LEARNING_RATES:
        strategy = _FromScratch(lr=lr, max_epochs=MAX_EPOCHS, patience=PATIENCE)
        with single_threaded():
            network = start.build_network(device)
            run = strategy.train(network, problem, data, training, validation, seed, device)
            runs.append(run)
    losses = [min(epoch["valid_loss"] for epoch in run.history) for run in runs]
    best = int(np.nanargmin(losses))
    card = {"name": "from scratch", "lr": LEARNING_RATES[best], "n_iter": runs[best].n_iter}
    return Checkpoint.from_network(runs[best].network, card)
