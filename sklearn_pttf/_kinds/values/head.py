"""Laws of real values and of their means, from states of rows."""

from typing import NamedTuple

import torch

import sklearn_pttf._kinds.values.units as real
from sklearn_pttf._kinds.head import (
    MOST_SHIFT,
    MOST_STRETCH,
    Head,
    NetworkOutput,
    increasing,
    mean_weights,
)
from sklearn_pttf._kinds.mixing import mixing_quantiles
from sklearn_pttf._kinds.normal_means import Parts, quantiles_of

LEAST_DOUBT = 0.2  # of a row's mean, in standard errors of it, for the weight of its loss


class RealNumbers(NamedTuple):
    """What the network says of a row beside increments; each of shape (B, N)."""

    trust_level: torch.Tensor  # added to the logit of how far its mean is believed
    trust_noise: torch.Tensor  # added to the logit of how far its noise is
    mix: torch.Tensor  # logit of how far the location is that by means without a shape
    mean_mix: torch.Tensor  # logit of how far the law of its mean is that one's
    shift: torch.Tensor  # of the location, in units of the doubt about its mean
    stretch: torch.Tensor  # log of what the width of the law of outcomes is multiplied by
    base: torch.Tensor  # of the median of outcomes from the location, in units of that law
    mean_stretch: torch.Tensor  # as these two, of the law of its mean
    mean_base: torch.Tensor


class RealHead(Head):
    """Laws of a row's next outcome and of its mean, around one location.

    Both start between classical credibility and nonparametric empirical Bayes.
    """

    numbers_type = RealNumbers

    def __init__(self, config):
        super().__init__(config, n_laws=2)

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        outcome, of_mean = self._learned(states, rows, units)
        shift = real.mean_shift(rows, units).unsqueeze(-1)
        of_mean, outcome = (
            law._replace(quantiles=law.quantiles + shift) for law in (of_mean, outcome)
        )
        return self._with_exact(outcome, of_mean, rows, units)

    def _learned(self, states, rows, units):
        """Laws of outcomes and of means, as `NetworkOutput`, by what the network has learned."""
        own, rises, mean_rises = self.split(self.mlp(self.norm(states)))
        mixed = real.posterior_of(rows, units)
        doubt = real.posterior_deviation(rows, units)
        trust = (real.level_credibility(rows, units).logit() + own.trust_level).sigmoid()
        location = units.centre + trust * (real.row_mean(rows, units) - units.centre)
        location = torch.lerp(location, mixed.mean, own.mix.sigmoid())
        typical = torch.lerp(doubt, mixed.deviation, own.mix.detach().sigmoid())
        location = location + typical * own.shift.clamp(-MOST_SHIFT, MOST_SHIFT)
        noise = real.row_noise(rows, units, own.trust_noise) * real.untold_noise(rows)

        def law(unit, stretch, base, rises):
            width = stretch.clamp(-MOST_STRETCH, MOST_STRETCH).exp().unsqueeze(-1)
            standard = base.unsqueeze(-1) + width * increasing(rises)
            quantiles = location.unsqueeze(-1) + unit.unsqueeze(-1) * standard
            nothing = torch.zeros_like(units.scale)
            around = (units.location, units.scale, nothing, unit, torch.zeros_like(unit))
            return NetworkOutput(quantiles, *around, location.detach())

        of_mean = law(typical, own.mean_stretch, own.mean_base, mean_rises)
        without_shape = mixing_quantiles(real.mixing_of(units), mixed, self.levels)
        mean_mix = own.mean_mix.sigmoid().unsqueeze(-1)
        quantiles = torch.lerp(of_mean.quantiles, without_shape, mean_mix)
        # of few rows, moments may say that all means are equal
        least = LEAST_DOUBT * real.chance_variance(rows, units).sqrt()
        size = torch.maximum(torch.maximum(doubt, mixed.deviation), least)
        of_mean = of_mean._replace(quantiles=quantiles, typical=size)
        outcome = law((typical**2 + noise**2).sqrt(), own.stretch, own.base, rises)
        return outcome._replace(typical=(size**2 + noise.detach() ** 2).sqrt()), of_mean

    def means(self, states, rows, units):
        """Means of rows' means by what the network says of them, in units of scale; ``(B, N)``."""
        _, of_mean = self._learned(states, rows, units)
        return of_mean.quantiles @ mean_weights(self.levels).to(of_mean.quantiles.dtype)

    def _with_exact(self, outcome, of_mean, rows, units):
        """The laws, between these and exact ones where the network has not seen the like."""
        noise = real.own_noise(rows, units) ** 2

        def between(law, asked, share, exact):
            share = share[asked].unsqueeze(-1)
            mixed = torch.lerp(law.quantiles[asked], exact.to(share.dtype), share)
            return law._replace(quantiles=law.quantiles.index_put((asked,), mixed))

        share = real.exact_share(rows, units)
        asked = share > 0
        if asked.any():
            parts = Parts(*(part[asked] for part in real.exact_parts(rows, units)))
            of_mean = between(of_mean, asked, share, quantiles_of(parts, self.levels))
            parts = parts._replace(variances=parts.variances + noise[asked].unsqueeze(-1))
            outcome = between(outcome, asked, share, quantiles_of(parts, self.levels))
        share = real.stray_share(rows, units)
        asked = share > 0
        if asked.any():
            mean, variance = real.own_mean(rows, units), real.lone_variance(rows, units)
            scores = torch.special.ndtri(self.levels)

            def alone(variance):
                return mean[asked].unsqueeze(-1) + variance[asked].sqrt().unsqueeze(-1) * scores

            of_mean = between(of_mean, asked, share, alone(variance))
            outcome = between(outcome, asked, share, alone(variance + noise))
        return outcome._replace(of_mean=of_mean)
