"""Managerial knowledge of shelves: demand of another prior, of which stock capped the sales."""

from dataclasses import replace
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from sklearn_pttf._kinds.demand.prior import SyntheticPrior
from sklearn_pttf._kinds.series.prior import SeriesPrior
from sklearn_pttf._priors.draws import PriorDraws, seeded_generator
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule, as_tensors, canonical, restored
from sklearn_pttf._priors.sampling import Random, by_family
from sklearn_pttf._utils.sklearn_private import HasMethods
from sklearn_pttf._utils.torch_state import plain_torch

RANGES = {
    "capped": RangeRule(0.0, 0.95),
    "stock_spread": RangeRule(0.0, 2.0),
    "economy": RangeRule(0.0, 1.0),
    "never_short": RangeRule(-1.0, 1.0),
}
POLICIES = ("constant", "varying", "following", "alike")
OF_DEMAND = {"demand": SyntheticPrior, "series": SeriesPrior}
NEWEST = 4  # periods that stock follows
LEAST = 1e-9  # of mean demand, which stock goes by


class StockedHyperPrior(HyperPrior):
    """Checked hyperpriors of all that stock adds to a portfolio of demand."""

    rules: ClassVar = RANGES
    known_families: ClassVar = {"policies": POLICIES}
    known_shares: ClassVar = ()

    def _settle(self, hyper, happens):
        return hyper


class StockedPrior(PriorDraws, BaseEstimator):
    """Distribution over portfolios of demand whose sales were capped by stock.

    Outcomes are the demand of another prior; observations are what of it could be sold. Stock is
    ordered up to a multiple of what an instance sells in the mean, or of what was asked for lately,
    more or less; the multiple is the one that caps a given share of a portfolio's cells.

    Ranges are given as those of `SyntheticPrior`.

    Parameters
    ----------
    demand : SyntheticPrior or SeriesPrior, default=None
        Where demand comes from. None: ``SyntheticPrior()``.

    policies : tuple of str or dict, default=("constant", "varying", "following", "alike")
        How stock comes about, equally likely or with weights. ``"constant"``: it is the same in all
        periods of an instance, over what they are counted over; ``"varying"``: it differs from
        period to period by chance; ``"following"``: it goes by the mean demand of the four periods
        before; ``"alike"``: it does not go by what the instance sells, but by what all sell.

    capped : range, default=(0.02, 0.75)
        Share of a portfolio's cells with any demand that stock capped.

    stock_spread : range, default=(0.0, 0.8)
        Standard deviation of the log of stock over what its policy says, between instances, or
        between periods where it varies.

    economy : range, default=(0.0, 0.4)
        How much less stock instances of large demand have, relative to it: stock goes by the power
        of one minus this.

    never_short : range, default=(-1.0, 0.8)
        Share of the instances that there was always enough of; none if below 0.

    random_state : int, RandomState or None, default=None
        Source of randomness of the draws.

    See Also
    --------
    SyntheticPrior : Demand without an order.
    SeriesPrior : Demand in the order of time.

    Examples
    --------
    >>> from sklearn_pttf import StockedPrior, SyntheticPrior
    >>> demand = SyntheticPrior(noise_families="lognormal", intermittent_share=0.0)
    >>> prior = StockedPrior(demand, capped=0.3, never_short=0.0, random_state=0)
    >>> (portfolio,) = prior.sample(n_instances=200, n_observations=10)
    >>> portfolio.observations.shape, portfolio.outcomes.shape
    ((200, 10), (200, 1))
    >>> round(float(portfolio.capped[portfolio.mask].mean()), 1)
    0.3
    """

    trains = "capped.*"  # weights that learn from it, of a network that has learned all else
    _hyperprior = StockedHyperPrior
    _parameter_constraints: ClassVar[dict] = {
        "demand": [*OF_DEMAND.values(), None],
        "policies": [tuple, list, str, dict],
        **{name: [tuple, list, Real, HasMethods(["rvs", "ppf"])] for name in RANGES},
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        demand=None,
        *,
        policies=POLICIES,
        capped=(0.02, 0.75),
        stock_spread=(0.0, 0.8),
        economy=(0.0, 0.4),
        never_short=(-1.0, 0.8),
        random_state=None,
    ):
        self.demand = demand
        self.policies = policies
        self.capped = capped
        self.stock_spread = stock_spread
        self.economy = economy
        self.never_short = never_short
        self.random_state = random_state

    @property
    def outcomes(self):
        """Name of the kind of networks that it is for."""
        return self._demand().outcomes

    def hyperprior(self):
        """Hyperprior of the demand, once all ranges are checked."""
        self._of_stock()
        return self._demand().hyperprior()

    def describe(self):
        demand = self._demand()
        own = {name: canonical(getattr(self, name)) for name in ("policies", *RANGES)}
        return {"demand": {"kind": demand.outcomes, **demand.describe()}, **own}

    @classmethod
    def from_description(cls, description):
        own = dict(description)
        of_demand = dict(own.pop("demand", {}))
        kind = OF_DEMAND[of_demand.pop("kind", "demand")]
        return cls(kind.from_description(of_demand), **{k: restored(v) for k, v in own.items()})

    @plain_torch()
    def sample(self, n_portfolios=1, *, random_state=None, device="cpu", **shape):
        """Draw portfolios with their true parameters and later outcomes.

        Parameters
        ----------
        n_portfolios : int, default=1
            Number of portfolios.

        random_state : int, RandomState or None, default=None
            Source of randomness; None: that of the prior. Equal seeds give equal draws.

        device : str, default="cpu"
            Where to draw. Draws differ between kinds of device.

        **shape : int
            ``n_instances``, ``n_observations`` and ``n_outcomes`` as of `SyntheticPrior.sample`.

        Returns
        -------
        list of Portfolio
            With ``stock``; ``parameters["demand"]`` is what the observations would be with enough
            of it.
        """
        rng = self._rng(random_state)
        drawn = self._demand().sample(n_portfolios, random_state=rng, device=device, **shape)
        return [self._short(portfolio, seeded_generator(rng, device)) for portfolio in drawn]

    def draw_batch(self, n_portfolios, n_instances, n_observations, n_outcomes, generator):
        """Inputs of the network and targets of its loss; dicts of Tensor."""
        shape = (n_portfolios, n_instances, n_observations, n_outcomes)
        inputs, targets = self._demand().draw_batch(*shape, generator)
        return inputs | self._capped(inputs, targets["outcomes"], generator), targets

    def _demand(self):
        return SyntheticPrior() if self.demand is None else clone(self.demand)

    def _of_stock(self):
        return StockedHyperPrior.from_params(self.get_params(deep=False))

    def _short(self, portfolio, generator):
        """The portfolio with stock, and what of it could be sold."""
        names = ("observations", "exposure", "outcomes")
        known = {name: getattr(portfolio, name) for name in names}
        tensors = {
            name: torch.tensor(x[None], dtype=torch.float32, device=generator.device)
            for name, x in known.items()
            if x is not None
        }
        tensors["whole"] = torch.tensor([float(portfolio.integer)], device=generator.device)
        short = self._capped(tensors, tensors.pop("outcomes"), generator)
        short = {name: x[0].cpu().numpy().astype(float) for name, x in short.items()}
        demand = {"demand": portfolio.observations}
        return replace(portfolio, **short, parameters=portfolio.parameters | demand)

    def _capped(self, inputs, outcomes, generator):
        """Observations that stock capped, and stock; dict of Tensor."""
        demand, exposure = inputs["observations"], inputs.get("exposure")
        exposure = torch.ones_like(demand) if exposure is None else exposure
        rng = np.random.RandomState(self._seed(generator))
        hyper = as_tensors(self._of_stock().draw(len(demand), rng))
        hyper = {name: x.to(demand.device) for name, x in hyper.items()}
        level = torch.cat([demand / exposure, outcomes], dim=-1).nanmean(-1, keepdim=True)
        stock = _stock(Random(generator), hyper, demand, level * exposure, inputs["whole"])
        sold = torch.minimum(demand, stock)
        return {"observations": torch.where(stock > 0, sold, torch.nan), "stock": stock}


def _stock(random, hyper, demand, mean, whole):
    """What there was of every cell, ``(B, N, n)``; infinite where it was always enough.

    Parameters
    ----------
    random : Random

    hyper : dict of str to Tensor of shape (B,)

    demand, mean : Tensor of shape (B, N, n)
        NaN where nothing was observed, of demand; what each cell is around.

    whole : Tensor of shape (B,)
    """
    size, n_rows, n_cells = demand.shape
    mean = mean.nan_to_num(1.0).clamp_min(LEAST)

    def going_by(policy, index):
        spread = hyper["stock_spread"][index, None, None]
        periods = n_cells if policy == "varying" else 1
        chance = (spread * random.normal(len(index), n_rows, periods)).exp()
        base = mean[index]
        if policy == "following":
            base = _lately(demand[index], base)
        if policy == "alike":
            base = base.log().mean((1, 2), keepdim=True).exp().expand_as(base)
        return base ** (1 - hyper["economy"][index, None, None]) * chance

    stock = by_family(POLICIES, hyper["policies"], n_cells, demand, going_by)
    # the multiple that caps as many cells as it should
    over = (demand / stock).flatten(1)
    sold = over > 0
    n_capped = hyper["capped"] * sold.sum(-1)
    over = torch.where(sold, over, -1.0).sort(dim=-1, descending=True).values
    place = n_capped.floor().long().clamp(0, over.shape[-1] - 1)
    multiple = over.gather(-1, place[:, None]).clamp_min(LEAST).unsqueeze(-1)
    stock = stock * multiple
    stock = torch.where(whole[:, None, None] > 0, stock.round(), stock)
    enough = random.uniform(size, n_rows, 1) < hyper["never_short"][:, None, None]
    return torch.where(enough, torch.inf, stock)


def _lately(demand, mean):
    """Mean demand of the periods before each one, of as many as there are; as demand."""
    known, total = (torch.zeros_like(demand) for _ in range(2))
    filled, seen = demand.nan_to_num(0.0), (~demand.isnan()).to(demand.dtype)
    for back in range(1, min(NEWEST, demand.shape[-1] - 1) + 1):
        known[..., back:] += seen[..., :-back]
        total[..., back:] += filled[..., :-back]
    return (total + mean) / (known + 1)
