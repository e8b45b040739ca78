"""Laws of Poisson counts and of their means, from states of rows."""

import torch

import sklearn_pttf._kinds.counts.units as counted
from sklearn_pttf._kinds.head import Head, NetworkOutput, increasing, mean_weights
from sklearn_pttf._kinds.mixing import Mixing, mixing_quantiles

LEAST_COUNT_DOUBT = 0.01  # of a row's mean, as a share of its variance by chance
FITTED = 20.0  # over the number of rows: variance of an expected mean, in those of the mean
LEAST_SHAPE = 0.14  # of a gamma law, below which the median would lie at 0


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

    N_NUMBERS = 10  # beside the increments

    def __init__(self, config):
        super().__init__(config, self.N_NUMBERS + 2 * (config.n_knots - 1))
        self.n_rises = config.n_knots - 1
        self.register_buffer("mean_weights", mean_weights(self.levels), persistent=False)

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        numbers = self.mlp(self.norm(states))
        own, rises, mean_rises = numbers.split([self.N_NUMBERS, self.n_rises, self.n_rises], -1)
        logits, (shift, mean_mix, *shapes) = own[..., :4], own[..., 4:].unbind(-1)
        stretch, base, mean_stretch, mean_base = shapes
        found, first = counted.posteriors_of(rows, units), counted.first_logits(units)
        mean, deviation = self._moments(found, first + logits)
        deviation = deviation.detach()
        mean = mean * (shift.clamp(-2, 2) * deviation / (mean.detach() + deviation)).exp()

        def standard(stretch, base, rises):
            return base.unsqueeze(-1) + stretch.clamp(-4, 4).exp().unsqueeze(-1) * increasing(rises)

        # size of uncertainty, by evidence only
        first_mean, size = self._moments(found, first)
        chance = first_mean / counted.exposure(rows, units).clamp_min(0.1 * units.scale)
        few = (-units.log_rows).exp()  # then distributions are a guess
        size = torch.maximum(size, ((LEAST_COUNT_DOUBT + few) * chance).sqrt())
        origin, nothing = torch.zeros_like(units.scale), torch.zeros_like(size)

        of_mean = cubed(mean, deviation**2, standard(mean_stretch, mean_base, mean_rises))
        mixing = Mixing(units.points, units.width, units.weights)
        without_shape = mixing_quantiles(mixing, found.without_shape, self.levels).clamp_min(0)
        share = torch.where(counted.is_alone(rows, units), 0.0, mean_mix.sigmoid())
        of_mean = torch.lerp(of_mean, without_shape, share.unsqueeze(-1))
        of_mean = self._with_mean(of_mean, mean)
        middle = mean.detach()
        around = (origin, units.scale / units.exposure, origin, size, nothing, middle)
        doubt = size * (FITTED * few).sqrt()
        of_mean = NetworkOutput(of_mean, *around, mean=mean, mean_doubt=doubt)

        grain = 1 / units.scale  # a whole number stands for what is up to one below it
        variance = deviation**2 + middle * grain + grain**2 / 12
        outcome = cubed(mean + grain / 2, variance, standard(stretch, base, rises))
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
        return mean, variance.clamp_min(1e-12).sqrt()

    def _with_mean(self, quantiles, mean):
        """Quantiles in proportion, so that theirs is the given mean."""
        own = (quantiles * self.mean_weights.to(quantiles.dtype)).sum(-1)
        return quantiles * (mean / own.clamp_min(1e-6)).unsqueeze(-1)
