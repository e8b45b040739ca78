"""The newsvendor: how much to stock before demand is known."""

from itertools import pairwise
from numbers import Real

import numpy as np
import torch

from sklearn_pttf._validation import (
    LinearCombination,
    describe_rows,
    is_column,
    is_combination,
)
from sklearn_pttf.problems._base import DecisionProblem

RATIO_RANGE = (0.001, 0.999)


class Newsvendor(DecisionProblem):
    """Order a quantity before demand is known.

    A unit that is missing costs ``underage``, a unit left over costs ``overage``. The best
    order is the quantile of demand at the critical ratio
    ``underage / (underage + overage)`` [1]_; for whole-number demand the smallest whole
    number whose cdf reaches the ratio. Ties go to the smaller order.

    Parameters
    ----------
    underage : float, str or Column, default=1.0
        Cost of one unit short, in money a unit; positive.

    overage : float, str or Column, default=1.0
        Cost of one unit left over, in money a unit; positive.

    observations : list of str or int, default=None
        Columns that hold observed demand. None: every column that plays no other role.

    See Also
    --------
    sklearn_pttf.PretrainedDecisionTransformer : Decides this problem for many instances.

    References
    ----------
    .. [1] K. J. Arrow, T. Harris, J. Marschak, "Optimal inventory policy", Econometrica 19
       (1951), 250-272.

    Examples
    --------
    >>> from sklearn_pttf.problems import Newsvendor
    >>> problem = Newsvendor(underage=4.0, overage=1.0)
    >>> float(problem.cost(10, 12)), float(problem.cost(10, 7))
    (8.0, 3.0)
    >>> Newsvendor.from_prices(price=5.0, cost=2.0, salvage=0.5)
    Newsvendor(overage=1.5, underage=3.0)
    """

    cost_parameters = ("underage", "overage")
    default_checkpoint = "demand"

    def __init__(self, underage=1.0, overage=1.0, *, observations=None):
        self.underage = underage
        self.overage = overage
        self.observations = observations

    @classmethod
    def from_service_level(cls, level, *, observations=None):
        """The newsvendor whose best order covers demand with probability ``level``.

        Parameters
        ----------
        level : float, str or Column
            Service level, between 0.001 and 0.999, or the column that holds it. Costs are
            ``level`` a unit short and ``1 - level`` a unit left over.

        observations : list of str or int, default=None
            Columns that hold observed demand.

        Returns
        -------
        Newsvendor
        """
        served = isinstance(level, Real) and RATIO_RANGE[0] <= level <= RATIO_RANGE[1]
        if not is_column(level) and not served:
            raise ValueError(
                f"level must be a number in {list(RATIO_RANGE)} or a column; got {level!r}."
            )
        return cls(level, LinearCombination.difference(1.0, level), observations=observations)

    @classmethod
    def from_prices(cls, price, cost, salvage=0.0, *, observations=None):
        """The newsvendor of goods bought at ``cost`` and sold at ``price``.

        Parameters
        ----------
        price, cost, salvage : float, str or Column
            Money a unit when sold, bought, and left over; ``salvage < cost < price``.

        observations : list of str or int, default=None
            Columns that hold observed demand.

        Returns
        -------
        Newsvendor
            With ``underage = price - cost`` and ``overage = cost - salvage``.
        """
        for name, value in (("price", price), ("cost", cost), ("salvage", salvage)):
            if not is_column(value) and not isinstance(value, Real):
                raise ValueError(f"{name} must be a number or a column; got {value!r}.")
        numbers = [value for value in (salvage, cost, price) if not is_column(value)]
        if not all(low < high for low, high in pairwise(numbers)):
            raise ValueError(
                f"salvage < cost < price is needed; got salvage={salvage!r}, cost={cost!r}, "
                f"price={price!r}."
            )
        return cls(
            LinearCombination.difference(price, cost),
            LinearCombination.difference(cost, salvage),
            observations=observations,
        )

    def check_outcomes(self, outcomes, name):
        lowest = np.where(outcomes < 0, outcomes, 0.0).min(axis=1)
        if (lowest < 0).any():
            raise ValueError(
                f"Negative values in data: demand in {name} must be at least 0; got "
                f"{describe_rows(lowest < 0, lowest)}."
            )

    def check_costs(self, costs):
        for name, value in costs.items():
            bad = ~(np.isfinite(value) & (value > 0))
            if bad.any():
                parameter = getattr(self, name)
                made_of = f" (made of columns: {parameter})" if is_combination(parameter) else ""
                raise ValueError(
                    f"{name} must be a positive finite cost a unit; got "
                    f"{describe_rows(bad, value)}{made_of}."
                )
        ratio = self.critical_ratio(**costs)
        low, high = RATIO_RANGE
        bad = ~((ratio >= low - 1e-12) & (ratio <= high + 1e-12))
        if bad.any():
            raise ValueError(
                f"underage / (underage + overage) must be in [{low}, {high}], beyond which a few "
                f"observations say nothing; got {describe_rows(bad, ratio)}."
            )

    @staticmethod
    def critical_ratio(underage, overage):
        """Level of the demand quantile to order."""
        # dividing by the larger first keeps tiny and huge costs from over- or underflow
        largest = np.maximum(underage, overage)
        return (underage / largest) / (underage / largest + overage / largest)

    def cost(self, decision, outcome, underage=None, overage=None):
        """Cost of orders on demands.

        Parameters
        ----------
        decision, outcome : float, ndarray or Tensor
            Orders and demands, which broadcast together.

        underage, overage : float, ndarray or Tensor, default=None
            Costs a unit. None: those of the problem, where they are numbers.

        Returns
        -------
        float, ndarray or Tensor
        """
        underage = self._number("underage") if underage is None else underage
        overage = self._number("overage") if overage is None else overage
        short = 1.0 * outcome - decision  # unsigned numbers would wrap around
        return underage * short * (short > 0) - overage * short * (short < 0)

    def _number(self, name):
        value = getattr(self, name)
        if not isinstance(value, Real):
            raise ValueError(
                f"{name}={value!r} is a column: give {name}= as a number or array to charge a cost."
            )
        return value

    def solve(self, law, portfolio):
        ratio = self.critical_ratio(**portfolio.costs)
        return law.quantile(np.clip(ratio, *RATIO_RANGE))

    def own_levels(self, portfolio):
        return self.critical_ratio(**portfolio.costs)

    def expected_cost(self, decision, law, portfolio):
        short = law.excess(decision)
        left_over = decision - law.mean() + short
        return portfolio.costs["underage"] * short + portfolio.costs["overage"] * left_over

    def training_loss(self, output, outcomes, levels):
        """Pinball loss at every level: the decision cost at every cost ratio.

        A whole-number outcome ``k`` stands for a uniform draw from ``(k - 1, k]``, over which
        the loss is averaged exactly. The best quantile function is then smooth, and rounded
        up it gives the best whole-number order. A zero among continuous outcomes likewise stands
        for what is a little below 0: the part of the function below 0 is the share of zeros.
        """
        outcomes = outcomes / output.scale.unsqueeze(-1)
        grain = torch.where(
            outcomes > 0, output.grain.unsqueeze(-1), output.zero_width.unsqueeze(-1)
        ).unsqueeze(-1)  # (B, N, m, 1)
        short = outcomes.unsqueeze(-1) - grain / 2 - output.quantiles.unsqueeze(2)
        loss = short * (levels - (short < 0).to(short.dtype))  # (B, N, m, K)
        inside = (0.5 - short.abs() / grain.clamp_min(1e-30)).clamp_min(0)
        return (loss + grain / 2 * inside**2).mean(2)
