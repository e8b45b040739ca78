"""Synthetic portfolios between the real ones, against forgetting the prior."""

import torch

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._network.network import DecisionNetwork
from sklearn_pttf._training.stream import PortfolioStream

N_OUTCOMES = 8
MOST_STEPS = 2**31 - 1


class Replay:
    """Batches of the prior, charged as real rows are.

    Parameters
    ----------
    config : NetworkConfig
        Size of the network.

    prior : SyntheticPrior, RealValuedPrior, CountPrior or PricingPrior

    ratios : ndarray of shape (n,)
        Levels that the real rows ask for; synthetic rows ask for these.

    share : float
        Share of all batches that are synthetic, below 1.

    rows : int
        About how many rows a batch has.

    seed : int

    device : str
    """

    def __init__(self, config, prior, ratios, share, rows, seed, device):
        self.network = DecisionNetwork.of_moments(config).to(device)
        self.ratios = ratios
        self.per_real_batch = share / (1 - share)
        self.stream = PortfolioStream(prior, (), rows, N_OUTCOMES, seed, device)

    def batches(self, rng):
        """The synthetic batches that follow a real one: a random number, of the right mean."""
        n_batches = int(self.per_real_batch + rng.random())
        for _ in range(n_batches):
            yield self.batch(int(rng.integers(MOST_STEPS)), rng)

    def batch(self, step, rng):
        """Inputs and targets of one batch, as `make_batch` gives them."""
        inputs, targets = self.stream.batch(step)
        inputs.pop("candidates", None)
        ratio = rng.choice(self.ratios, size=targets["outcomes"].shape[:2])
        targets = {
            "outcomes": targets["outcomes"],
            "ratio": torch.tensor(ratio, dtype=torch.float32),
            "weight": 1 / self._sizes(inputs),
        }
        return inputs, targets

    @torch.inference_mode()
    def _sizes(self, inputs):
        """Mean distance from the median that every row expects; ``(B, N)``."""
        output = self.network(**inputs)
        quantiles = output.outcome_quantiles().double().cpu()
        grid = quantiles.reshape(-1, quantiles.shape[-1]).cummax(-1).values.numpy()
        sizes = QuantileGrid(grid, self.network.config.levels, False).mean_distance()
        sizes = torch.tensor(sizes, dtype=torch.float32).reshape(quantiles.shape[:2])
        return sizes.clamp_min(1e-3 * sizes.mean()).to(output.quantiles.device)
