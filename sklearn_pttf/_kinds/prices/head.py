"""Laws of demand at prices, from states of rows."""

import torch
from torch import nn
from torch.nn.functional import gelu

from sklearn_pttf._kinds.demand.head import DemandHead, row_facts
from sklearn_pttf._kinds.head import mean_weights, start_small
from sklearn_pttf._kinds.prices.features import N_QUERY_FEATURES, query_features
from sklearn_pttf._kinds.prices.units import log_common_curve, query_positions, reach_of


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

    def forward(self, states, rows, units, candidates=None):
        """`NetworkOutput` of every row and posted price, flat: ``(B, N * Q, K)``.

        Parameters
        ----------
        states : Tensor of shape (B, N, d)

        rows : PricedRows
            With the posted prices.

        units : PriceUnits

        candidates : Tensor of shape (B, N, G), default=None
            Prices at which the mean is asked for, as ``curve``.
        """
        facts, states = row_facts(rows, units), self.norm(states)
        output = self._at(rows.posted, states, facts, rows, units)
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
