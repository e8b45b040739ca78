"""Laws of demand in the order of time: those of demand around a level that forgets."""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.head import DemandHead, row_facts
from sklearn_pttf._kinds.series.units import recent_credibility


class SeriesFacts(NamedTuple):
    """What rows say of themselves, by moments; each of shape (B, N)."""

    level: torch.Tensor
    level_logit: torch.Tensor  # of how far that is to be believed
    own_noise: torch.Tensor  # log, against what is expected
    noise_logit: torch.Tensor
    zero_logit: torch.Tensor  # of the share of zeros
    narrower: torch.Tensor  # log of how much less noise there is around levels that move


class SeriesHead(DemandHead):
    """As that of demand, at the conditions of the coming period.

    The level that it starts from forgets as much as the table says, and noise is that around it.
    """

    def forward(self, states, rows, units):
        """`NetworkOutput` of rows."""
        facts = row_facts(rows.sorted, units)._asdict() | {
            "level": rows.recent,
            "level_logit": recent_credibility(rows, units).logit(),
            "narrower": units.narrower.expand_as(rows.recent),
        }
        # whole numbers are smaller, over what they are counted over, where that is more
        at_coming = units._replace(whole=units.whole / rows.coming)
        doubt = 0.0 if rows.in_order is None else rows.in_order.doubt
        outputs = self.mlp(self.norm(states))
        output = self._output(outputs, SeriesFacts(**facts), at_coming, doubt=doubt)
        return output._replace(scale=units.scale * rows.coming)

    @staticmethod
    def _width(facts, trust, stretch):
        return DemandHead._width(facts, trust, stretch + facts.narrower)
