"""Managerial knowledge of demand in the order of time, as a distribution over portfolios."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._kinds.demand.prior import SyntheticPrior, copy_of_demand
from sklearn_pttf._kinds.demand.ranges import DemandHyperPrior
from sklearn_pttf._kinds.series.sampler import draw_series
from sklearn_pttf._priors.draws import PriorDraws, parameters_of
from sklearn_pttf._priors.ranges import HyperPrior, RangeRule, as_tensors, canonical, restored
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.sklearn_private import HasMethods, Interval

RANGES = {
    "drift": RangeRule(0.0, 2.0, log=True),
    "drift_spread": RangeRule(0.0, 2.0),
    "memory": RangeRule(0.0, 1.0),
    "together": RangeRule(0.0, 1.0),
    "jump_rate": RangeRule(0.0, 1.0, log=True),
    "jump_size": RangeRule(0.0, 3.0),
    "young": RangeRule(0.0, 1.0),
    "ended": RangeRule(0.0, 1.0),
    "shock": RangeRule(0.0, 2.0),
    "driver_rate": RangeRule(0.0, 1.0),
    "driver_effect": RangeRule(-3.0, 3.0),
    "driver_spread": RangeRule(0.0, 2.0),
    "doubt": RangeRule(0.0, 10.0),
}
SHARES = (
    "moving_share",
    "returning_share",
    "grouped_share",
    "jumping_share",
    "young_share",
    "ended_share",
    "shock_share",
    "driven_share",
    "smooth_share",
)


class MovingHyperPrior(HyperPrior):
    """Checked hyperpriors of all that time adds to a portfolio of demand."""

    rules: ClassVar = RANGES
    known_families: ClassVar = {}
    known_shares: ClassVar = SHARES

    def _settle(self, hyper, happens):
        for name, share in (
            ("drift", "moving_share"),
            ("together", "grouped_share"),
            ("jump_rate", "jumping_share"),
            ("young", "young_share"),
            ("ended", "ended_share"),
            ("shock", "shock_share"),
            ("driver_effect", "driven_share"),
        ):
            hyper[name] = hyper[name] * happens[share]
        hyper["memory"] = np.where(happens["returning_share"], hyper["memory"], 1.0)
        hyper["smooth"] = happens["smooth_share"]
        return hyper


@dataclass(frozen=True)
class SeriesHyperPrior:
    """Hyperpriors of demand, and of what time adds to it."""

    demand: DemandHyperPrior
    moving: MovingHyperPrior
    known_families: ClassVar = DemandHyperPrior.known_families

    def draw(self, size, rng):
        """Hyperparameters of ``size`` portfolios; dict of ndarray of shape (size,)."""
        return {**self.demand.draw(size, rng), **self.moving.draw(size, rng)}

    def draw_shape(self, rng):
        """Numbers of instances and of periods of one batch."""
        return self.demand.draw_shape(rng)


class SeriesPrior(PriorDraws, BaseEstimator):
    """Distribution over portfolios of demand in the order of time.

    Demand of an instance at its usual level is that of a `SyntheticPrior`. That level may walk, or
    leave and return, or jump, on its own or together with others; instances begin late, or end. All
    of it is multiplied by conditions: a factor of the period, and the effect of a driver. They are
    known as a table tells them: with doubt, and as if the effect of a driver were the same in all
    instances.

    Ranges are given as those of `SyntheticPrior`.

    Parameters
    ----------
    demand : SyntheticPrior, default=None
        Demand at the usual level, and the numbers of instances and of periods. None:
        ``SyntheticPrior()`` with up to 120 periods, fewer rows of zeros and fewer bulk orders.

    drift : range, default=(0.005, 0.4)
        Standard deviation of an instance's log level from one period to the next, typical of the
        portfolio; log. None in portfolios where levels do not move.

    drift_spread : range, default=(0.0, 0.8)
        Standard deviation of the instances' log drifts.

    memory : range, default=(0.5, 0.98)
        What is left of a level's deviation a period later, where levels return; else all is.

    together : range, default=(0.2, 1.0)
        Share of the variance of drift that instances of a group have in common, where there are
        groups.

    jump_rate : range, default=(0.005, 0.1)
        Share of the periods in which an instance's level jumps, where levels do; log.

    jump_size : range, default=(0.2, 1.5)
        Standard deviation of such a jump, of the log level.

    young : range, default=(0.05, 0.8)
        Share of the instances that begin after the first period, where some do.

    ended : range, default=(0.01, 0.3)
        Share of the instances that have no demand from some period on, where some do.

    shock : range, default=(0.0, 0.5)
        Standard deviation of the log factor of a period, where periods differ.

    driver_rate : range, default=(0.02, 0.6)
        Share of the periods in which a driver is on, where it is on or off.

    driver_effect : range, default=(-1.0, 1.5)
        What a driver that is on, or higher by a standard deviation, adds to log demand.

    driver_spread : range, default=(0.0, 0.7)
        Standard deviation of the instances' own effects, over the common one.

    doubt : range, default=(0.0, 1.5)
        Standard deviation of what is known of a period's log factor, over what the noise of all
        rows makes of it.

    moving_share : float, default=0.5
        Share of the portfolios in which levels walk.

    returning_share : float, default=0.3
        Share of these in which they return.

    grouped_share : float, default=0.2
        Share of these in which groups of instances move together.

    jumping_share : float, default=0.15
        Share of the portfolios in which levels jump.

    young_share : float, default=0.25
        Share of the portfolios in which some instances begin late.

    ended_share : float, default=0.15
        Share of the portfolios in which some instances end.

    shock_share : float, default=0.7
        Share of the portfolios in which periods differ.

    driven_share : float, default=0.5
        Share of the portfolios with a driver.

    smooth_share : float, default=0.4
        Share of the drivers that are numbers, and not on or off.

    random_state : int, RandomState or None, default=None
        Source of randomness of the draws, unless told otherwise.

    See Also
    --------
    SyntheticPrior : The prior of demand.
    pretrain : Pretrains a network on portfolios of a prior.

    Examples
    --------
    >>> from sklearn_pttf import SeriesPrior
    >>> prior = SeriesPrior(moving_share=1.0, drift=0.2)
    >>> portfolio = prior.sample(n_instances=4, n_observations=12, random_state=0)[0]
    >>> portfolio.ordered, portfolio.exposure.shape, portfolio.coming.shape
    (True, (4, 12), (4,))
    """

    outcomes = "series"

    _parameter_constraints = {
        "demand": [SyntheticPrior, None],
        **{name: [tuple, list, Real, HasMethods(["rvs", "ppf"])] for name in RANGES},
        **{name: [Interval(Real, 0, 1, closed="both")] for name in SHARES},
        "random_state": ["random_state"],
    }

    _draw_portfolios = staticmethod(draw_series)

    def __init__(
        self,
        *,
        demand=None,
        drift=(0.005, 0.4),
        drift_spread=(0.0, 0.8),
        memory=(0.5, 0.98),
        together=(0.2, 1.0),
        jump_rate=(0.005, 0.1),
        jump_size=(0.2, 1.5),
        young=(0.05, 0.8),
        ended=(0.01, 0.3),
        shock=(0.0, 0.5),
        driver_rate=(0.02, 0.6),
        driver_effect=(-1.0, 1.5),
        driver_spread=(0.0, 0.7),
        doubt=(0.0, 1.5),
        moving_share=0.5,
        returning_share=0.3,
        grouped_share=0.2,
        jumping_share=0.15,
        young_share=0.25,
        ended_share=0.15,
        shock_share=0.7,
        driven_share=0.5,
        smooth_share=0.4,
        random_state=None,
    ):
        self.demand = demand
        self.drift = drift
        self.drift_spread = drift_spread
        self.memory = memory
        self.together = together
        self.jump_rate = jump_rate
        self.jump_size = jump_size
        self.young = young
        self.ended = ended
        self.shock = shock
        self.driver_rate = driver_rate
        self.driver_effect = driver_effect
        self.driver_spread = driver_spread
        self.doubt = doubt
        self.moving_share = moving_share
        self.returning_share = returning_share
        self.grouped_share = grouped_share
        self.jumping_share = jumping_share
        self.young_share = young_share
        self.ended_share = ended_share
        self.shock_share = shock_share
        self.driven_share = driven_share
        self.smooth_share = smooth_share
        self.random_state = random_state

    def _demand(self):
        if self.demand is not None:
            return copy_of_demand(self.demand)
        return SyntheticPrior(
            noise_families={
                "poisson": 2.0,
                "negative_binomial": 1.5,
                "gamma": 1.0,
                "lognormal": 2.5,
                "normal": 1.0,
                "compound_poisson": 1.0,
            },
            noise=(0.05, 2.0),
            intermittent_share=0.15,
            bulk_share=0.15,
            n_observations=(1, 120),
            ragged_share=0.25,
        )

    def hyperprior(self):
        moving = MovingHyperPrior.from_params(self.get_params(deep=False))
        return SeriesHyperPrior(self._demand().hyperprior(), moving)

    def describe(self):
        own = {name: canonical(getattr(self, name)) for name in (*RANGES, *SHARES)}
        return {"demand": self._demand().describe(), **own}

    @classmethod
    def from_description(cls, description):
        own = {name: restored(value) for name, value in description.items()}
        if "demand" in own:
            own["demand"] = SyntheticPrior.from_description(own["demand"])
        return cls(**own)

    def draw_batch(self, n_portfolios, n_instances, n_observations, n_outcomes, generator):
        """Inputs of the network and targets of its loss; dicts of Tensor."""
        hyper = self.hyperprior().draw(n_portfolios, np.random.RandomState(self._seed(generator)))
        draw = draw_series(as_tensors(hyper), n_instances, n_observations, n_outcomes, generator)
        names = ("observations", "whole", "exposure", "coming")
        return {name: getattr(draw, name) for name in names}, {"outcomes": draw.outcomes}

    def _as_portfolio(self, draw, hyper, families):
        observations, exposure, coming, outcomes = (
            values[0].cpu().numpy().astype(float)
            for values in (draw.observations, draw.exposure, draw.coming, draw.outcomes)
        )
        return Portfolio(
            observations,
            integer=bool(draw.whole[0]),
            ordered=True,
            exposure=np.where(np.isnan(observations), np.nan, exposure),
            coming=coming,
            outcomes=outcomes,
            parameters=parameters_of(draw, hyper, families),
        )
