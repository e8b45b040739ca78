"""Laws of Poisson counts and of their means, from states of rows."""

from typing import NamedTuple

import torch

import sklearn_pttf._kinds.counts.units as counted
from sklearn_pttf._kinds.counts.mixing import LAWS
from sklearn_pttf._kinds.features import side_by_side
from sklearn_pttf._kinds.head import MOST_STRETCH, Head, NetworkOutput, increasing, mean_weights
from sklearn_pttf._kinds.mixing import Mixing, mixing_quantiles

LEAST_COUNT_DOUBT = 0.01  # of a row's mean, as a share of its variance by chance
FITTED = 20.0  # over the number of rows: variance of an expected mean, in those of the mean
MOST_SHIFT = 2.0  # of a mean, in what moments doubt of it, either way
LEAST_COUNTED = 0.1  # usual exposures of an empty row, so that chance is finite
LEAST_VARIANCE, LEAST_MEAN = 1e-12, 1e-6  # of rows' means, which roots and ratios are taken of
LEAST_SHAPE = 0.14  # of a gamma law, below which the median would lie at 0


# what the network says of a row beside increments; each of shape (B, N)
CountNumbers = NamedTuple(
    "CountNumbers",
    [
        *((law, torch.Tensor) for law in LAWS),  # added to the logit of each law's weight
        ("shift", torch.Tensor),  # of the log mean, as a share of the doubt about it
        ("mean_mix", torch.Tensor),  # logit of how far the law of its mean is that without a shape
        ("stretch", torch.Tensor),  # log of what the width of the law of outcomes is multiplied by
        ("base", torch.Tensor),  # of the median of outcomes, in deviations of a normal law
        ("mean_stretch", torch.Tensor),  # as these two, of the law of its mean
        ("mean_base", torch.Tensor),
    ],
)


def cubed(mean, variance, standard):
    """Quantiles of laws of what is never negative, from those of a standard normal one.

    Wilson and Hilferty's: the cube root of a gamma law is next to normal.

    Parameters
    ----------
    mean, variance : Tensor of shape (B, N)

    standard : Tensor of shape (B, N, K)
    """
    size = 9 * (mean**2 / variance).clamp_min(LEAST_SHAPE).unsqueeze(-1)
    return mean.unsqueeze(-1) * (1 - 1 / size + standard / size.sqrt()).clamp_min(0) ** 3


class CountHead(Head):
    """Laws of a row's next Poisson count and of its mean, around one expected mean.

    The expected mean starts from what four distributions of means say, weighted by how well they
    fit the portfolio; the laws start from gamma ones.
    """

    numbers_type = CountNumbers

    def __init__(self, config):
        super().__init__(config, n_laws=2)
        self.register_buffer("mean_weights", mean_weights(self.levels), persistent=False)

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        own, rises, mean_rises = self.split(self.mlp(self.norm(states)))
        logits = side_by_side(getattr(own, law) for law in LAWS)
        found, first = counted.posteriors_of(rows, units), counted.first_logits(units)
        mean, deviation = self._moments(found, first + logits)
        deviation = deviation.detach()
        mean = (
            mean
            * (
                own.shift.clamp(-MOST_SHIFT, MOST_SHIFT) * deviation / (mean.detach() + deviation)
            ).exp()
        )

        def standard(stretch, base, rises):
            return base.unsqueeze(-1) + stretch.clamp(-MOST_STRETCH, MOST_STRETCH).exp().unsqueeze(
                -1
            ) * increasing(rises)

        # size of uncertainty, by evidence only
        first_mean, size = self._moments(found, first)
        chance = first_mean / counted.exposure(rows, units).clamp_min(LEAST_COUNTED * units.scale)
        few = (-units.log_rows).exp()  # then distributions are a guess
        size = torch.maximum(size, ((LEAST_COUNT_DOUBT + few) * chance).sqrt())
        origin, nothing = torch.zeros_like(units.scale), torch.zeros_like(size)

        of_mean = cubed(mean, deviation**2, standard(own.mean_stretch, own.mean_base, mean_rises))
        mixing = Mixing(units.points, units.width, units.weights)
        without_shape = mixing_quantiles(mixing, found.without_shape, self.levels).clamp_min(0)
        share = torch.where(counted.is_alone(rows, units), 0.0, own.mean_mix.sigmoid())
        of_mean = torch.lerp(of_mean, without_shape, share.unsqueeze(-1))
        of_mean = self._with_mean(of_mean, mean)
        middle = mean.detach()
        around = (origin, units.scale / units.exposure, origin, size, nothing, middle)
        doubt = size * (FITTED * few).sqrt()
        of_mean = NetworkOutput(of_mean, *around, mean=mean, mean_doubt=doubt)

        # a whole number stands for what is up to one below it, evenly: of variance 1/12
        grain = 1 / units.scale
        variance = deviation**2 + middle * grain + grain**2 / 12
        outcome = cubed(mean + grain / 2, variance, standard(own.stretch, own.base, rises))
        typical = (size**2 + first_mean * grain + grain**2 / 12).sqrt()
        around = (origin, units.scale, grain, typical, grain.expand_as(typical), middle)
        return NetworkOutput(outcome - grain.unsqueeze(-1), *around, of_mean)

    @staticmethod
    def _moments(found, logits):
        """Mean and deviation of rows' means under a mixture of the four; ``(B, N)`` each."""
        weights = logits.softmax(-1)
        mean = (weights * found.means).sum(-1)
        away = found.means - mean.unsqueeze(-1)
        variance = (weights * (found.deviations**2 + away**2)).sum(-1)
        return mean, variance.clamp_min(LEAST_VARIANCE).sqrt()

    def _with_mean(self, quantiles, mean):
        """Quantiles in proportion, so that theirs is the given mean."""
        own = (quantiles * self.mean_weights.to(quantiles.dtype)).sum(-1)
        return quantiles * (mean / own.clamp_min(LEAST_MEAN)).unsqueeze(-1)
