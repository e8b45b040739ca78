"""Batches of synthetic portfolios that pretraining learns from, and is validated on."""

import numpy as np
import torch
from torch.utils.data import IterableDataset

LATER_ROWS_SHARE = 0.3  # of the batches have rows that are not in the context


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


class KeptBatches(IterableDataset):
    """Batches that are drawn once and kept, for validation."""

    def __init__(self, stream):
        self.batches = list(stream)

    def __iter__(self):
        return iter(self.batches)
