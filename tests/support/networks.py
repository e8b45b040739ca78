"""Networks for tests, small enough to be trained in no time."""

import torch

from sklearn_pttf import Checkpoint
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)


def fresh_checkpoint(seed=0, config=TINY):
    """A network that has learned nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(config)
    return Checkpoint.from_network(network, {"name": "tiny"})


def ordering_too_much():
    """A small network that orders far too much, so that training helps."""
    network = fresh_checkpoint().build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[2] += 2.0  # the shift of the location, in units of noise
    return Checkpoint.from_network(network, {"name": "too much"})


def random_network(config, scale=0.3, seed=0):
    """A network whose weights are far from their start, so that every part matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(config).double().eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(scale * torch.randn_like(parameter))
    return network
