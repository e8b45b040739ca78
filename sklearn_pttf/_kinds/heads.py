"""From states of rows to laws: quantiles that cannot cross.

Shapes are written ``(B, N, K)``: ``B`` portfolios of ``N`` rows with ``K`` knots each.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import gelu, pad, softplus

import sklearn_pttf._kinds.counts.units as counted
import sklearn_pttf._kinds.values.units as real
from sklearn_pttf._kinds.demand.units import (
    excess_log_noise,
    level_credibility,
    noise_credibility,
    row_level,
    row_noise,
    zero_credibility,
)
from sklearn_pttf._kinds.mixing import Mixing, mixing_quantiles
from sklearn_pttf._kinds.normal_means import Parts, quantiles_of
from sklearn_pttf._kinds.prices.features import N_QUERY_FEATURES, query_features
from sklearn_pttf._kinds.prices.units import log_common_curve, query_positions, reach_of

LEAST_DOUBT = 0.2  # of a row's mean, in standard errors of it, for the weight of its loss
LEAST_COUNT_DOUBT = 0.01  # of a row's mean, as a share of its variance by chance
FITTED = 20.0  # over the number of rows: variance of an expected mean, in those of the mean
LEAST_SHAPE = 0.14  # of a gamma law, below which the median would lie at 0
ZERO_WIDTH = 0.5  # of a zero of continuous outcomes, in units of a row's uncertainty


class NetworkOutput(NamedTuple):
    """Quantiles in the portfolio's unit, with what turns them into outcomes."""

    quantiles: torch.Tensor  # (B, N, K), increasing in K
    location: torch.Tensor  # (B, 1): outcomes are `location` plus `scale` times quantiles
    scale: torch.Tensor  # (B, 1)
    grain: torch.Tensor  # (B, 1): width of a whole number in units of scale; 0 if none
    typical: torch.Tensor  # (B, N): size of a row's uncertainty, from evidence only
    zero_width: torch.Tensor  # (B, N): a zero stands for what is up to this much below 0
    middle: torch.Tensor = None  # (B, N): what an outcome is far from, if far out; None: location
    of_mean: "NetworkOutput" = None  # the law of the row's mean, where the network has one
    curve: torch.Tensor = None  # (B, N, G): mean outcome at candidate prices, where asked for
    mean: torch.Tensor = None  # (B, N): mean of the law, where it is known beside the quantiles
    mean_doubt: torch.Tensor = None  # (B, N): of the mean by one who knows more; evidence only

    def outcome_quantiles(self):
        """Quantiles of the outcome; ``(B, N, K)``."""
        return self.location.unsqueeze(-1) + self.scale.unsqueeze(-1) * self.quantiles

    def middle_outcome(self):
        """The middle in units of the outcome; ``(B, N)``."""
        middle = 0.0 if self.middle is None else self.middle
        return self.location + self.scale * middle

    def standard(self, outcomes):
        """Outcomes ``(B, N, m)`` in the unit of the quantiles."""
        return (outcomes - self.location.unsqueeze(-1)) / self.scale.unsqueeze(-1)


def mlp(n_in, hidden, n_out):
    """Two layers."""
    return nn.Sequential(nn.Linear(n_in, hidden), nn.GELU(), nn.Linear(hidden, n_out))


def start_small(last, n_numbers):
    """Let a head's last layer hardly depend on states, and its increments be even."""
    nn.init.normal_(last.weight, std=0.01)
    with torch.no_grad():
        last.bias.zero_()
        last.bias[n_numbers:] = -1.0


def increasing(increments):
    """Increasing numbers, 0 in the middle, from increments of any sign; ``(B, N, K)``."""
    rise = pad(softplus(increments).cumsum(-1), (1, 0))
    return rise - rise[..., rise.shape[-1] // 2].unsqueeze(-1)


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


def mean_weights(levels):
    """What knots weigh in the mean of a function that is linear in logits; ``(K,)``.

    Its last slopes go on beyond the outer knots.
    """
    logits = levels.logit()
    entropy = torch.xlogy(levels, levels) + torch.xlogy(1 - levels, 1 - levels)
    edges = torch.cat([levels.new_zeros(1), levels[1:-1], levels.new_ones(1)])
    entropy = torch.cat([levels.new_zeros(1), entropy[1:-1], levels.new_zeros(1)])
    mass, area = edges.diff(), entropy.diff()  # of every segment: of 1, and of the logit
    upper = (area - logits[:-1] * mass) / logits.diff()
    weights = torch.zeros_like(levels)
    weights[:-1] += mass - upper
    weights[1:] += upper
    return weights


class Head(nn.Module):
    """What heads of all kinds have: two layers after a norm."""

    def __init__(self, config, n_out):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.mlp = mlp(config.width, 2 * config.width, n_out)
        levels = torch.tensor(config.levels, dtype=torch.float64)
        self.register_buffer("levels", levels, persistent=False)
        start_small(self.mlp[-1], self.N_NUMBERS)

    def forget(self):
        """Say what moments say, whatever states are."""
        nn.init.zeros_(self.mlp[-1].weight)


class DemandHead(Head):
    """A location, a width, positive increments and a share of zeros: quantiles that cannot cross.

    All but the increments start from classical credibility: a row's own level, noise and zeros
    are believed as far as moments of the portfolio say. The network learns what to change.
    """

    N_NUMBERS = 7  # beside the increments

    def __init__(self, config):
        super().__init__(config, self.N_NUMBERS + config.n_knots - 1)
        self.n_knots = config.n_knots
        with torch.no_grad():
            self.mlp[-1].bias[5] = -1.0

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        facts = row_facts(rows, units)
        return self._output(self.mlp(self.norm(states)), facts, units)

    def _output(self, numbers, facts, units, log_curve=None, doubt=0.0, factor=None):
        """`NetworkOutput` from what the network and the rows themselves say.

        ``log_curve`` is the log of what the level is multiplied by, ``doubt`` the standard
        deviation of that, and ``factor`` what the whole law is multiplied by.
        """
        log_curve = torch.zeros_like(facts.level) if log_curve is None else log_curve
        level = facts.level * log_curve.detach().exp()
        grain = units.whole / units.scale
        typical = (units.noise**2 + doubt**2).sqrt() * (level + 0.1) + 0.3 * grain
        by_noise = units.noise * (level + 0.1)
        zero_width = torch.where(grain > 0, grain, ZERO_WIDTH * by_noise)
        others, share = self._mixture(numbers, facts, units, log_curve)
        quantiles, mean = self._law(others, share, zero_width, grain, factor)
        origin = torch.zeros_like(units.scale)
        around = (origin, units.scale, grain, typical, zero_width)
        return NetworkOutput(quantiles, *around, mean=mean)

    def _law(self, others, share, zero_width, grain, factor):
        """Quantiles of the mixture, and its mean where that is needed."""
        return self._with_zeros(others, share.unsqueeze(-1), zero_width.unsqueeze(-1)), None

    def _mixture(self, numbers, facts, units, log_curve):
        """Quantiles of what is above zero, and the share of zeros beside that."""
        own, rises = numbers.split([self.N_NUMBERS, self.n_knots - 1], dim=-1)  # (B, N, ...)
        trust_level, trust_noise, shift, stretch, base, zeros, trust_zeros = own.unbind(-1)
        share = self._zero_share(facts, units, zeros, trust_zeros)
        log_location = self._log_location(facts, units, trust_level, shift)
        location = (log_location + log_curve).exp() / (1 - share)
        width = self._width(facts, trust_noise, stretch)

        standard = base.unsqueeze(-1) + width.unsqueeze(-1) * increasing(rises)
        unit = location * row_noise(units, location)
        grain = units.whole / units.scale  # a whole number stands for what is up to one below it
        unit, centre = (unit**2 + grain**2 / 12).sqrt(), location - grain / 2
        return centre.unsqueeze(-1) + unit.unsqueeze(-1) * standard, share  # (B, N, K), (B, N)

    @staticmethod
    def _zero_share(facts, units, zeros, trust):
        """Share of zeros beside those that the quantiles have by themselves; ``(B, N)``."""
        logit = zeros + trust.clamp(-1, 1).exp() * facts.zero_logit
        return logit.clamp(-9, 5).sigmoid() * (units.zero_share > 0)

    @staticmethod
    def _width(facts, trust, stretch):
        """The row's noise, as a multiple of the expected one; ``(B, N)``."""
        trust = (facts.noise_logit + trust).sigmoid()
        return (stretch + trust * facts.own_noise).clamp(-4, 4).exp()

    @staticmethod
    def _log_location(facts, units, trust, shift):
        """Log of the row's level, between its own and the portfolio's; ``(B, N)``."""
        trust = (facts.level_logit + trust).sigmoid()
        centre = torch.minimum(units.centre, units.log_mean)
        log_location = centre + trust * (facts.level.log() - centre)
        return log_location + (units.noise * shift).clamp(-8, 8)

    def _with_zeros(self, quantiles, share, zero_width):
        """Quantiles at the same levels, of the mixture with a share of zeros below all else.

        Knots are equally spaced in logits, so that one finds its place among them at once.
        """
        levels = self.levels.to(quantiles.dtype)
        first, last = levels[0].logit(), levels[-1].logit()
        odds = (levels - share).clamp_min(1e-9) / (1 - levels)  # of the level among the others
        position = (odds.log().clamp(first, last) - first) / ((last - first) / (self.n_knots - 1))
        lower = position.detach().floor().clamp(0, self.n_knots - 2)
        low = quantiles.gather(-1, lower.long())
        high = quantiles.gather(-1, lower.long() + 1)
        others = torch.lerp(low, high, position - lower)
        below = quantiles[..., :1].clamp_max(0) - zero_width * (1 - levels / share.clamp_min(1e-6))
        return torch.where(levels > share, others, below)


class PriceHead(DemandHead):
    """The head of demand, asked about prices: a level on a curve, and what changes along it.

    The curve starts between nonparametric empirical Bayes and one that all rows share; the network
    says where between, and may tilt, bend and twist it.
    """

    def __init__(self, config):
        super().__init__(config)
        self.query = nn.Linear(N_QUERY_FEATURES, 2 * config.width, bias=False)
        self.slopes = nn.Linear(2 * config.width, 4)
        start_small(self.slopes, 4)
        of_row = torch.zeros(self.mlp[-1].out_features, dtype=torch.bool)
        # how far its level is believed, what that is off by, and the middle
        of_row[[0, 2, 4]] = True
        self.register_buffer("of_row", of_row, persistent=False)
        self.register_buffer("mean_weights", mean_weights(self.levels), persistent=False)

    def forget(self):
        super().forget()
        nn.init.zeros_(self.slopes.weight)

    def forward(self, states, rows, units, queries, candidates=None):
        """`NetworkOutput` of every row and queried price, flat: ``(B, N * Q, K)``.

        Parameters
        ----------
        states : Tensor of shape (B, N, d)

        rows : PricedRows

        units : PriceUnits

        queries : Tensor of shape (B, N, Q)
            Prices.

        candidates : Tensor of shape (B, N, G), default=None
            Prices at which the mean is asked for, as ``curve``.
        """
        facts, states = row_facts(rows, units), self.norm(states)
        output = self._at(queries, states, facts, rows, units)
        if candidates is None:
            return output
        at_candidates = self._at(candidates, states, facts, rows, units)
        curve = (at_candidates.scale * at_candidates.mean).unflatten(1, candidates.shape[1:])
        return output._replace(curve=curve)

    def _law(self, others, share, zero_width, grain, factor):
        """As those of demand, of so many times the demand, and the mean.

        The mean is that of the mixture itself, not of what knots make of it: zeros pass from knot
        to knot, which would make it jump.
        """
        grain, share = grain.unsqueeze(-1), share.unsqueeze(-1)
        others = factor.unsqueeze(-1) * (others + grain) - grain
        quantiles = self._with_zeros(others, share, zero_width.unsqueeze(-1))
        # a whole number above 0 is by half of its width above the mean of what stands for it
        above = others.clamp_min(0)
        part = (above / grain.clamp_min(1e-9)).clamp_max(1)  # of the way to the first of them
        values = (1 - share) * (above + grain * (2 * part - 1.5 * part**2))
        return quantiles, values @ self.mean_weights.to(values.dtype)

    def _at(self, prices, states, facts, rows, units):
        asked = query_positions(prices, rows)
        x = asked.clamp(*reach_of(rows))
        own, common = rows.log_curve(x), log_common_curve(x, units)
        first, _, last = self.mlp
        hidden = first(states).unsqueeze(-2)  # (B, N, 1, 2d)
        of_row = gelu(hidden)
        at_price = gelu(hidden + self.query(query_features(x, own, common, rows, units)))
        # where a row's law lies at its usual price, and along its curve, is the row's, so that
        # curves are smooth; only the law's shape is the price's
        numbers = torch.where(self.of_row, last(of_row), last(at_price)).flatten(1, 2)
        tilt, bend, twist, share = self.slopes(of_row).unbind(-1)
        curve = torch.lerp(own, common, share.sigmoid())
        log_curve = (curve + x * (tilt + x * (bend + x * twist))).clamp(-9, 9)
        # beyond reach the mean elasticity is what it is within
        beyond = asked != x
        slope = (log_curve / torch.where(beyond, x, 1.0)).clamp_max(0)
        factor = torch.where(beyond, slope * (asked - x), 0.0).clamp(-60, 9).exp().flatten(1)
        doubt = (rows.slope_doubt().unsqueeze(-1) * x).flatten(1)
        facts, log_curve = facts.repeated(x.shape[-1]), log_curve.flatten(1)
        output = self._output(numbers, facts, units, log_curve, doubt, factor)
        return output._replace(middle=facts.level * log_curve.detach().exp())


class RealHead(Head):
    """Laws of a row's next outcome and of its mean, around one location.

    Both start between classical credibility and nonparametric empirical Bayes.
    """

    N_NUMBERS = 9  # beside the increments

    def __init__(self, config):
        super().__init__(config, self.N_NUMBERS + 2 * (config.n_knots - 1))
        self.n_rises = config.n_knots - 1

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
        numbers = self.mlp(self.norm(states))
        own, rises, mean_rises = numbers.split([self.N_NUMBERS, self.n_rises, self.n_rises], -1)
        trust_level, trust_noise, mix, mean_mix, shift, *shape, mean_stretch, mean_base = (
            own.unbind(-1)
        )
        mixed = real.posterior_of(rows, units)
        doubt = real.posterior_deviation(rows, units)
        trust = (real.level_credibility(rows, units).logit() + trust_level).sigmoid()
        location = units.centre + trust * (real.row_mean(rows, units) - units.centre)
        location = torch.lerp(location, mixed.mean, mix.sigmoid())
        typical = torch.lerp(doubt, mixed.deviation, mix.detach().sigmoid())
        location = location + typical * shift.clamp(-8, 8)
        noise = real.row_noise(rows, units, trust_noise) * real.untold_noise(rows)

        def law(unit, stretch, base, rises):
            width = stretch.clamp(-4, 4).exp().unsqueeze(-1)
            standard = base.unsqueeze(-1) + width * increasing(rises)
            quantiles = location.unsqueeze(-1) + unit.unsqueeze(-1) * standard
            nothing = torch.zeros_like(units.scale)
            around = (units.location, units.scale, nothing, unit, torch.zeros_like(unit))
            return NetworkOutput(quantiles, *around, location.detach())

        of_mean = law(typical, mean_stretch, mean_base, mean_rises)
        without_shape = mixing_quantiles(real.mixing_of(units), mixed, self.levels)
        quantiles = torch.lerp(of_mean.quantiles, without_shape, mean_mix.sigmoid().unsqueeze(-1))
        # of few rows, moments may say that all means are equal
        least = LEAST_DOUBT * real.chance_variance(rows, units).sqrt()
        size = torch.maximum(torch.maximum(doubt, mixed.deviation), least)
        of_mean = of_mean._replace(quantiles=quantiles, typical=size)
        outcome = law((typical**2 + noise**2).sqrt(), *shape, rises)
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
