"""Managerial knowledge of demand at prices, as a distribution over portfolios."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._kinds.demand.prior import SyntheticPrior, copy_of_demand
from sklearn_pttf._kinds.demand.ranges import DemandHyperPrior
from sklearn_pttf._kinds.prices.sampler import (
    CURVE_FAMILIES,
    ELASTICITY_FAMILIES,
    draw_priced_portfolios,
)
from sklearn_pttf._priors.draws import PriorDraws, parameters_of
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule, as_tensors, canonical, restored
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.sklearn_private import HasMethods, Interval

N_POSTED = 3  # prices of a row that pretraining charges outcomes at
N_CANDIDATES = 10  # prices of a row that pretraining chooses from

RANGES = {
    "elasticity": RangeRule(0.01, 15.0, log=True, peaked=True),
    "elasticity_spread": RangeRule(0.0, 2.0),
    "level_correlation": RangeRule(-1.0, 1.0),
    "saturation": RangeRule(0.01, 0.99),
    "price": RangeRule(1e-6, 1e9, log=True),
    "price_spread": RangeRule(0.0, 3.0),
    "level_slope": RangeRule(-5.0, 5.0),
    "price_shift": RangeRule(0.0, 1.0),
    "price_range": RangeRule(0.0, 1.0, log=True),
    "n_prices": RangeRule(1, 1000, log=True),
    "endogeneity": RangeRule(-1.0, 1.0),
    "cost_share": RangeRule(0.0, 5.0),
}
FAMILIES = {"curve_families": CURVE_FAMILIES, "elasticity_families": ELASTICITY_FAMILIES}
SHARES = ("one_price_share", "mixed_price_share", "one_scale_share", "endogenous_share")


class CurveHyperPrior(HyperPrior):
    """Checked hyperpriors of all that prices add to a portfolio of demand."""

    rules: ClassVar = RANGES
    known_families: ClassVar = FAMILIES
    known_shares: ClassVar = SHARES

    def _settle(self, hyper, happens):
        hyper["n_prices"] = np.rint(hyper["n_prices"])
        hyper["one_price"] = happens["one_price_share"]
        hyper["mixed_prices"] = happens["mixed_price_share"]
        hyper["price_spread"] = hyper["price_spread"] * ~happens["one_scale_share"]
        hyper["price_shift"] = hyper["price_shift"] * happens["one_scale_share"]
        hyper["endogeneity"] = hyper["endogeneity"] * happens["endogenous_share"]
        return hyper


@dataclass(frozen=True)
class PricingHyperPrior:
    """Hyperpriors of demand at the reference price, and of what prices add to it."""

    demand: DemandHyperPrior
    curves: CurveHyperPrior
    known_families: ClassVar = {**DemandHyperPrior.known_families, **FAMILIES}

    def draw(self, size, rng):
        """Hyperparameters of ``size`` portfolios; dict of ndarray of shape (size,)."""
        return {**self.demand.draw(size, rng), **self.curves.draw(size, rng)}

    def draw_shape(self, rng):
        """Numbers of instances and of pairs of one batch."""
        return self.demand.draw_shape(rng)


class PricingPrior(PriorDraws, BaseEstimator):
    """Distribution over portfolios of demand at prices.

    Demand of an instance at its reference price is that of a `SyntheticPrior`; at other prices
    its mean follows a demand curve. Past prices of an instance are few and lie around its usual
    price, which need not be the reference price where that is one for all. Later prices are set
    from outside.

    Ranges are given as those of `SyntheticPrior`.

    Parameters
    ----------
    demand : SyntheticPrior, default=None
        Demand at the reference price, and the numbers of instances and of observations. None:
        ``SyntheticPrior()`` with less noise, fewer rows of zeros and no bulk orders, as
        prices say nothing to the eye where these rule.

    curve_families : tuple of str or dict, default=("linear", "constant_elasticity", \
            "exponential", "logit")
        Shapes of demand curves, equally likely or with weights; one a portfolio.

    elasticity : range, default=(0.3, 8.0)
        Price elasticity of demand at the reference price, without its sign, typical of the
        portfolio; log, most often in the middle. Its mean is 1.9; that of 367 published ones was
        1.8 [1]_, and that of 1,851 later ones 2.6 [2]_.

    elasticity_families : tuple of str or dict, default=("lognormal", "segments")
        How elasticities are distributed over instances: around one value, or around two or three.

    elasticity_spread : range, default=(0.0, 0.6)
        Standard deviation of log elasticities.

    level_correlation : range, default=(-0.8, 0.8)
        Correlation of log elasticity and log mean, where elasticities are lognormal.

    saturation : range, default=(0.1, 0.9)
        Of logit curves: the share of their largest demand that there is at the reference price.

    price : range, default=(0.5, 200.0)
        Reference price, typical of the portfolio; log.

    price_spread : range, default=(0.0, 1.0)
        Standard deviation of the instances' log reference prices, where they differ.

    one_scale_share : float, default=0.5
        Share of the portfolios with one reference price, as of one product in many stores.

    level_slope : range, default=(-1.5, 0.5)
        Slope of the instances' log means on their log reference prices, where they have one each:
        dear products sell less, which says nothing of what a change of price would do.

    price_shift : range, default=(0.0, 0.3)
        Standard deviation of log usual prices around the reference price, where that is one for
        all instances; where they have one each it is their usual price.

    price_range : range, default=(0.02, 0.4)
        Standard deviation of an instance's log past prices around its usual one; log.

    n_prices : range, default=(2, 20)
        Distinct past prices of an instance, at most; log.

    one_price_share : float, default=0.12
        Share of the portfolios in which every instance has had one price.

    mixed_price_share : float, default=0.25
        Share of the portfolios, of the others, in which some instances have had one price only; how
        many of them is even between none and all.

    endogeneity : range, default=(-0.5, 0.8)
        By how much log past prices went with what was known of log demand beforehand, where they
        did.

    endogenous_share : float, default=0.1
        Share of the portfolios in which they did.

    cost_share : range, default=(0.0, 0.9)
        Unit cost over the reference price.

    random_state : int, RandomState or None, default=None
        Source of randomness of the draws, unless told otherwise.

    See Also
    --------
    SyntheticPrior : The prior of demand.
    pretrain : Pretrains a network on portfolios of a prior.

    References
    ----------
    .. [1] Gerard J. Tellis. The price elasticity of selective demand: a meta-analysis of
       econometric models of sales. Journal of Marketing Research 25(4), 331-341, 1988.
    .. [2] Tammo H. A. Bijmolt, Harald J. van Heerde and Rik G. M. Pieters. New empirical
       generalizations on the determinants of price elasticity. Journal of Marketing Research
       42(2), 141-156, 2005.

    Examples
    --------
    >>> from sklearn_pttf import PricingPrior
    >>> prior = PricingPrior(curve_families=("linear",), one_price_share=0.0)
    >>> portfolio = prior.sample(n_instances=4, n_observations=3, random_state=0)[0]
    >>> portfolio.prices.shape, portfolio.posted.shape, portfolio.outcomes.shape
    ((4, 3), (4,), (4, 1))
    """

    outcomes = "prices"

    _parameter_constraints = {
        "demand": [SyntheticPrior, None],
        **{name: [tuple, list, Real, HasMethods(["rvs", "ppf"])] for name in RANGES},
        **{name: [tuple, list, dict, str] for name in FAMILIES},
        **{name: [Interval(Real, 0, 1, closed="both")] for name in SHARES},
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        demand=None,
        curve_families=CURVE_FAMILIES,
        elasticity=(0.3, 8.0),
        elasticity_families=ELASTICITY_FAMILIES,
        elasticity_spread=(0.0, 0.6),
        level_correlation=(-0.8, 0.8),
        saturation=(0.1, 0.9),
        price=(0.5, 200.0),
        price_spread=(0.0, 1.0),
        one_scale_share=0.5,
        level_slope=(-1.5, 0.5),
        price_shift=(0.0, 0.3),
        price_range=(0.02, 0.4),
        n_prices=(2, 20),
        one_price_share=0.12,
        mixed_price_share=0.25,
        endogeneity=(-0.5, 0.8),
        endogenous_share=0.1,
        cost_share=(0.0, 0.9),
        random_state=None,
    ):
        self.demand = demand
        self.curve_families = curve_families
        self.elasticity = elasticity
        self.elasticity_families = elasticity_families
        self.elasticity_spread = elasticity_spread
        self.level_correlation = level_correlation
        self.saturation = saturation
        self.price = price
        self.price_spread = price_spread
        self.one_scale_share = one_scale_share
        self.level_slope = level_slope
        self.price_shift = price_shift
        self.price_range = price_range
        self.n_prices = n_prices
        self.one_price_share = one_price_share
        self.mixed_price_share = mixed_price_share
        self.endogeneity = endogeneity
        self.endogenous_share = endogenous_share
        self.cost_share = cost_share
        self.random_state = random_state

    def _demand(self):
        if self.demand is not None:
            return copy_of_demand(self.demand)
        return SyntheticPrior(
            level=(0.2, 1e5),
            spread=(0.05, 2.0),
            noise=(0.03, 1.5),
            intermittent_share=0.1,
            bulk_share=0.0,
        )

    def hyperprior(self):
        curves = CurveHyperPrior.from_params(self.get_params(deep=False))
        return PricingHyperPrior(self._demand().hyperprior(), curves)

    def describe(self):
        names = [*RANGES, *FAMILIES, *SHARES]
        own = {name: canonical(getattr(self, name)) for name in names}
        return {"demand": self._demand().describe(), **own}

    @classmethod
    def from_description(cls, description):
        own = {name: restored(value) for name, value in description.items()}
        if "demand" in own:
            own["demand"] = SyntheticPrior.from_description(own["demand"])
        return cls(**own)

    @staticmethod
    def _draw_portfolios(hyper, n_instances, n_observations, n_outcomes, generator):
        return draw_priced_portfolios(hyper, n_instances, n_observations, n_outcomes, generator)

    def draw_batch(self, n_portfolios, n_instances, n_observations, n_outcomes, generator):
        """Inputs of the network and targets of its loss; dicts of Tensor.

        Outcomes are spread over three posted prices, and the curve is known at ten candidates.
        """
        seed = np.random.RandomState(self._seed(generator))
        draw = draw_priced_portfolios(
            as_tensors(self.hyperprior().draw(n_portfolios, seed)),
            n_instances,
            n_observations,
            max(1, n_outcomes // N_POSTED),
            generator,
            N_POSTED,
            N_CANDIDATES,
        )
        inputs = {
            "observations": draw.observations,
            "whole": draw.whole,
            "prices": draw.prices,
            "posted": draw.posted,
            "candidates": draw.candidates,
        }
        profit = (draw.candidates - draw.unit_cost.unsqueeze(-1)) * draw.curve
        targets = {
            "outcomes": draw.outcomes.flatten(1, 2),
            "margins": draw.candidates - draw.unit_cost.unsqueeze(-1),
            "profit": profit,
        }
        return inputs, targets

    def _as_portfolio(self, draw, hyper, families):
        def plain(values):
            return values[0].cpu().numpy().astype(float)

        missing = draw.observations[0].isnan().cpu().numpy()
        return Portfolio(
            plain(draw.observations),
            {"unit_cost": plain(draw.unit_cost)},
            {"low": plain(draw.candidates)[:, 0], "high": plain(draw.candidates)[:, -1]},
            integer=bool(draw.whole[0]),
            prices=np.where(missing, np.nan, plain(draw.prices)),
            posted=plain(draw.posted)[:, 0],
            outcomes=plain(draw.outcomes)[:, 0],
            parameters=parameters_of(draw, hyper, families),
        )
