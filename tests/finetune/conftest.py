"""A network to be mended by finetuning, a worse one, and a table."""

import pytest
import torch

from sklearn_pttf import Checkpoint, SyntheticPrior, pretrain
from sklearn_pttf.datasets import make_demand_portfolio
from support.networks import TINY


@pytest.fixture(scope="module")
def checkpoint():
    """A network whose laws are far too narrow, which no recalibration mends."""
    start = pretrain(SyntheticPrior(), network=TINY, n_steps=3, rows=100, verbose=0)
    network = start.build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[network.head.place_of("stretch")] -= 1.2
    return Checkpoint.from_network(network, start.card)


@pytest.fixture(scope="module")
def garbled(checkpoint):
    """A network whose laws hang on states that mean nothing, so that moments alone are better."""
    network = checkpoint.build_network()
    with torch.no_grad():
        noise = torch.randn(network.head.mlp[-1].weight.shape, generator=torch.manual_seed(0))
        network.head.mlp[-1].weight += 0.3 * noise
        network.head.mlp[-1].bias[network.head.place_of("stretch")] += 1.2
    return Checkpoint.from_network(network, checkpoint.card)


@pytest.fixture(scope="module")
def more_rows():
    return make_demand_portfolio(240, 6, noise=0.8, random_state=0)


@pytest.fixture(scope="module")
def table():
    return make_demand_portfolio(160, 6, n_outcomes=100, noise=0.8, random_state=0)
