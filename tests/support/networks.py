"""Networks for tests, small enough to be trained in no time."""

from sklearn_pttf._network.network import NetworkConfig

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
