"""Laws of demand, from states of rows: quantiles that cannot cross, and a share of zeros."""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.units import (
    excess_log_noise,
    level_credibility,
    noise_credibility,
    row_level,
    row_noise,
    units_of_rows,
    zero_credibility,
)
from sklearn_pttf._kinds.head import MOST_SHIFT, MOST_STRETCH, Head, NetworkOutput, increasing

ZERO_WIDTH = 0.5  # of a zero of continuous outcomes, in units of a row's uncertainty
LEAST_LEVEL = 0.1  # scales added to a row's level: a row without sales is uncertain too
GRAIN_DOUBT = 0.3  # whole numbers: about the deviation, root of 1/12, of an even draw from one
ZERO_LOGITS = (-9.0, 5.0)  # of a row's share of zeros: one in 8,000, and all but one in 150
LEAST_ODDS = 1e-9  # of a level among what is above zero; the first knot is then meant
LEAST_ZEROS = 1e-6  # share that is divided by; none is asked for below it
FIRST_ZEROS = -1.0  # added to the logit of the share of zeros, before anything is learned


class DemandNumbers(NamedTuple):
    """What the network says of a row beside increments; each of shape (B, N)."""

    trust_level: torch.Tensor  # added to the logit of how far its level is believed
    trust_noise: torch.Tensor  # added to the logit of how far its noise is
    shift: torch.Tensor  # of its log level, in units of the portfolio's noise
    stretch: torch.Tensor  # log of what its noise is multiplied by
    base: torch.Tensor  # of its median from its level, in units of noise
    zeros: torch.Tensor  # added to the logit of its share of zeros
    trust_zeros: torch.Tensor  # log of what that logit is multiplied by before


class RowFacts(NamedTuple):
    """What rows say of themselves, by moments; each of shape (B, N)."""

    level: torch.Tensor
    level_logit: torch.Tensor  # of how far that is to be believed
    own_noise: torch.Tensor  # log, against what is expected
    noise_logit: torch.Tensor
    zero_logit: torch.Tensor  # of the share of zeros

    def repeated(self, n):
        """Every row ``n`` times."""
        return RowFacts(*(x.unsqueeze(-1).expand(*x.shape, n).flatten(1) for x in self))


def row_facts(rows, units):
    """`RowFacts` of rows."""
    level = row_level(rows, units.scale)
    own_noise = excess_log_noise(rows, units, level) - units.noise_centre * (rows.count > 1)
    return RowFacts(
        level,
        level_credibility(rows, units, level).logit(),
        own_noise,
        noise_credibility(rows, units).logit(),
        zero_credibility(rows, units).logit(),
    )


class DemandHead(Head):
    """A location, a width, positive increments and a share of zeros: quantiles that cannot cross.

    All but the increments start from classical credibility: a row's own level, noise and zeros
    are believed as far as moments of the portfolio say. The network learns what to change.
    """

    numbers_type = DemandNumbers

    def __init__(self, config):
        super().__init__(config)
        self.n_knots = config.n_knots
        with torch.no_grad():
            self.mlp[-1].bias[self.place_of("zeros")] = FIRST_ZEROS

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        units = units_of_rows(units, rows)
        facts = row_facts(rows, units)
        doubt = 0.0 if rows.doubt is None else rows.doubt
        return self._output(self.mlp(self.norm(states)), facts, units, doubt=doubt)

    def _output(self, outputs, facts, units, log_curve=None, doubt=0.0, factor=None):
        """`NetworkOutput` from what the network and the rows themselves say.

        ``log_curve`` is the log of what the level is multiplied by, ``doubt`` the standard
        deviation of that, and ``factor`` what the whole law is multiplied by.
        """
        log_curve = torch.zeros_like(facts.level) if log_curve is None else log_curve
        level = facts.level * log_curve.detach().exp()
        grain = units.whole / units.scale
        typical = (units.noise**2 + doubt**2).sqrt() * (level + LEAST_LEVEL) + GRAIN_DOUBT * grain
        by_noise = units.noise * (level + LEAST_LEVEL)
        zero_width = torch.where(grain > 0, grain, ZERO_WIDTH * by_noise)
        others, share = self._mixture(outputs, facts, units, log_curve)
        quantiles, mean = self._law(others, share, zero_width, grain, factor)
        origin = torch.zeros_like(units.scale)
        around = (origin, units.scale, grain, typical, zero_width)
        return NetworkOutput(quantiles, *around, mean=mean)

    def _law(self, others, share, zero_width, grain, factor):
        """Quantiles of the mixture, and its mean where that is needed."""
        return self._with_zeros(others, share.unsqueeze(-1), zero_width.unsqueeze(-1)), None

    def _mixture(self, outputs, facts, units, log_curve):
        """Quantiles of what is above zero, and the share of zeros beside that."""
        own, rises = self.split(outputs)
        share = self._zero_share(facts, units, own.zeros, own.trust_zeros)
        log_location = self._log_location(facts, units, own.trust_level, own.shift)
        location = (log_location + log_curve).exp() / (1 - share)
        width = self._width(facts, own.trust_noise, own.stretch)

        standard = own.base.unsqueeze(-1) + width.unsqueeze(-1) * increasing(rises)
        unit = location * row_noise(units, location)
        # a whole number stands for what is up to one below it, evenly: of variance 1/12
        grain = units.whole / units.scale
        unit, centre = (unit**2 + grain**2 / 12).sqrt(), location - grain / 2
        return centre.unsqueeze(-1) + unit.unsqueeze(-1) * standard, share  # (B, N, K), (B, N)

    @staticmethod
    def _zero_share(facts, units, zeros, trust):
        """Share of zeros beside those that the quantiles have by themselves; ``(B, N)``."""
        logit = zeros + trust.clamp(-1, 1).exp() * facts.zero_logit
        return logit.clamp(*ZERO_LOGITS).sigmoid() * (units.zero_share > 0)

    @staticmethod
    def _width(facts, trust, stretch):
        """The row's noise, as a multiple of the expected one; ``(B, N)``."""
        trust = (facts.noise_logit + trust).sigmoid()
        return (stretch + trust * facts.own_noise).clamp(-MOST_STRETCH, MOST_STRETCH).exp()

    @staticmethod
    def _log_location(facts, units, trust, shift):
        """Log of the row's level, between its own and the portfolio's; ``(B, N)``."""
        trust = (facts.level_logit + trust).sigmoid()
        centre = torch.minimum(units.centre, units.log_mean)
        log_location = centre + trust * (facts.level.log() - centre)
        return log_location + (units.noise * shift).clamp(-MOST_SHIFT, MOST_SHIFT)

    def _with_zeros(self, quantiles, share, zero_width):
        """Quantiles at the same levels, of the mixture with a share of zeros below all else.

        Knots are equally spaced in logits, so that one finds its place among them at once.
        """
        levels = self.levels.to(quantiles.dtype)
        first, last = levels[0].logit(), levels[-1].logit()
        odds = (levels - share).clamp_min(LEAST_ODDS) / (
            1 - levels
        )  # of the level among the others
        position = (odds.log().clamp(first, last) - first) / ((last - first) / (self.n_knots - 1))
        lower = position.detach().floor().clamp(0, self.n_knots - 2)
        low = quantiles.gather(-1, lower.long())
        high = quantiles.gather(-1, lower.long() + 1)
        others = torch.lerp(low, high, position - lower)
        below = quantiles[..., :1].clamp_max(0) - zero_width * (
            1 - levels / share.clamp_min(LEAST_ZEROS)
        )
        return torch.where(levels > share, others, below)
