"""Drawing portfolios from a prior: what the priors of all kinds of outcomes have in common."""

import numpy as np
import torch
from sklearn.utils import check_random_state

from sklearn_pttf._priors.ranges import as_tensors, canonical, restored
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.checks import check_whole
from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.torch_state import plain_torch

N_SEEDS = 2**31  # from 0 on, which a C long holds on every platform


class PriorDraws:
    """`sample`, `draw` and `describe` of a prior.

    A subclass has the parameters that its ``_hyperprior`` names, and ``random_state``; its
    ``outcomes`` is a kind of network, and ``_draw_portfolios`` draws instances and outcomes.
    """

    def hyperprior(self):
        """The ranges of this prior, checked; a `HyperPrior`.

        Raises
        ------
        ValueError
            If a range is reversed or out of bounds, or a family unknown.
        """
        return self._hyperprior.from_params(self.get_params(deep=False))

    def describe(self):
        """What the draws depend on, as JSON-ready values that are equal for equal priors."""
        kind = self._hyperprior
        names = [*kind.rules, *kind.known_families, *kind.known_shares]
        return {name: canonical(getattr(self, name)) for name in names}

    @classmethod
    def from_description(cls, description):
        """The prior of this class that `describe` described."""
        return cls(**{name: restored(value) for name, value in description.items()})

    @plain_torch()
    def sample(
        self,
        n_portfolios=1,
        *,
        n_instances=None,
        n_observations=None,
        n_outcomes=1,
        random_state=None,
        device="cpu",
    ):
        """Draw portfolios with their true parameters and later outcomes.

        A fitted prior draws from its calibrated ranges, an unfitted one from its own.

        Parameters
        ----------
        n_portfolios : int, default=1
            Number of portfolios.

        n_instances, n_observations : int, default=None
            Their shape. None: drawn for each.

        n_outcomes : int, default=1
            Later outcomes of every instance.

        random_state : int, RandomState or None, default=None
            Source of randomness; None: that of the prior. Equal seeds give equal draws.

        device : str, default="cpu"
            Where to draw. Draws differ between kinds of device.

        Returns
        -------
        list of Portfolio
            With ``outcomes`` of shape (n_instances, n_outcomes); ``parameters`` holds the
            instances' own and the portfolio's. Of demand the former are ``mean`` (before zero
            periods and bulk orders, and before normal demand is truncated), ``noise`` and
            ``zero_rate``; of real values ``mean`` and ``noise``.

        Raises
        ------
        ValueError
            If a size is no whole number or too small, or a range makes no sense.
        """
        check_whole("n_portfolios", n_portfolios, 0)
        check_whole("n_outcomes", n_outcomes, 0)
        if n_instances is not None:
            check_whole("n_instances", n_instances, 1)
        if n_observations is not None:
            check_whole("n_observations", n_observations, 0)
        device = check_device(device)
        rng = self._rng(random_state)
        hyperprior = self._current().hyperprior()
        portfolios = []
        for _ in range(n_portfolios):
            rows, cells = hyperprior.draw_shape(rng)
            rows = rows if n_instances is None else n_instances
            cells = cells if n_observations is None else n_observations
            hyper = hyperprior.draw(1, rng)
            draw = self._draw_portfolios(
                as_tensors(hyper), rows, cells, n_outcomes, seeded_generator(rng, device)
            )
            portfolios.append(self._as_portfolio(draw, hyper, hyperprior.known_families))
        return portfolios

    def draw(self, n_portfolios, n_instances, n_observations, n_outcomes, generator):
        """Draw many portfolios of one shape, on the device of a generator.

        The batches of pretraining; `sample` is what people want. Calibration is not looked
        at: give a `calibrated` prior.

        Parameters
        ----------
        n_portfolios, n_instances, n_observations, n_outcomes : int
            Shape of the draw.

        generator : torch.Generator
            Source of all randomness.

        Returns
        -------
        Draw
            Tensors on the device of the generator.
        """
        hyper = self.hyperprior().draw(n_portfolios, np.random.RandomState(self._seed(generator)))
        return self._draw_portfolios(
            as_tensors(hyper), n_instances, n_observations, n_outcomes, generator
        )

    def draw_batch(self, n_portfolios, n_instances, n_observations, n_outcomes, generator):
        """What `draw` gives, as inputs of the network and targets of its loss; dicts of Tensor."""
        draw = self.draw(n_portfolios, n_instances, n_observations, n_outcomes, generator)
        inputs = {"observations": draw.observations, "whole": draw.whole}
        if draw.errors is not None:
            inputs["errors"] = draw.errors
        targets = {"outcomes": draw.outcomes, "means": draw.parameters["mean"]}
        if "expected_mean" in draw.parameters:
            targets["expected"] = draw.parameters["expected_mean"]
        return inputs, targets

    @staticmethod
    def _seed(generator):
        return int(torch.randint(N_SEEDS, (1,), generator=generator, device=generator.device))

    def _current(self):
        """The prior that portfolios are drawn from."""
        return self

    def _rng(self, random_state):
        return check_random_state(self.random_state if random_state is None else random_state)

    def _as_portfolio(self, draw, hyper, families):
        """The first portfolio of a draw, as plain arrays."""
        return Portfolio(
            draw.observations[0].cpu().numpy().astype(float),
            integer=bool(draw.whole[0]),
            real=draw.errors is not None,
            outcomes=draw.outcomes[0].cpu().numpy().astype(float),
            parameters=parameters_of(draw, hyper, families),
            errors=None if draw.errors is None else draw.errors[0].cpu().numpy().astype(float),
        )


def parameters_of(draw, hyper, families):
    """Parameters of the first portfolio of a draw, and of its instances; dict."""
    own = {name: value[0].cpu().numpy().astype(float) for name, value in draw.parameters.items()}
    common = {}
    for name, known in families.items():
        one = name.replace("families", "family")
        common[one] = known[int(hyper[one][0])]
    scalars = {name: float(value[0]) for name, value in hyper.items() if name not in common}
    return {**scalars, **common, **own}


def seeded_generator(rng, device):
    """A torch generator on a device, seeded by a numpy one."""
    return torch.Generator(device).manual_seed(int(rng.randint(N_SEEDS - 1)))
