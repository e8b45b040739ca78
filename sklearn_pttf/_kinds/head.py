"""From states of rows to laws: what heads of all kinds have, and what they give.

Shapes are written ``(B, N, K)``: ``B`` portfolios of ``N`` rows with ``K`` knots each.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import nn
from torch.nn.functional import pad, softplus

# a head starts from what moments say; with no weights at all, nothing before it would be learned
FIRST_WEIGHTS = 0.01  # standard deviation of those of its last layer
FIRST_INCREMENT = -1.0  # before softplus, which makes it 0.31
# bounds of what networks say, so that no row's law gets out of hand before they have learned
MOST_STRETCH = 4.0  # log of what the width of a law is multiplied by, either way
MOST_SHIFT = 8.0  # units of its uncertainty that a law is moved by, either way


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
    nn.init.normal_(last.weight, std=FIRST_WEIGHTS)
    with torch.no_grad():
        last.bias.zero_()
        last.bias[n_numbers:] = FIRST_INCREMENT


def increasing(increments):
    """Increasing numbers, 0 in the middle, from increments of any sign; ``(B, N, K)``."""
    rise = pad(softplus(increments).cumsum(-1), (1, 0))
    return rise - rise[..., rise.shape[-1] // 2].unsqueeze(-1)


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
    """What heads of all kinds have: two layers after a norm.

    They give named numbers, in the order that weights were learned in, and after these the
    increments of ``n_laws`` laws.
    """

    numbers_type: ClassVar[type]  # NamedTuple of the numbers of a row

    def __init__(self, config, n_laws=1):
        super().__init__()
        n_numbers = len(self.numbers_type._fields)
        self.widths = [n_numbers, *[config.n_knots - 1] * n_laws]
        self.norm = nn.LayerNorm(config.width)
        self.mlp = mlp(config.width, 2 * config.width, sum(self.widths))
        levels = torch.tensor(config.levels, dtype=torch.float64)
        self.register_buffer("levels", levels, persistent=False)
        start_small(self.mlp[-1], n_numbers)

    @classmethod
    def place_of(cls, name):
        """Where a named number stands among all that the last layer gives; int."""
        return cls.numbers_type._fields.index(name)

    def split(self, outputs):
        """A `numbers_type` of shapes ``(B, N)``, and increments ``(B, N, K - 1)`` of each law."""
        numbers, *rises = outputs.split(self.widths, dim=-1)
        return self.numbers_type(*numbers.unbind(-1)), *rises

    def forget(self):
        """Say what moments say, whatever states are."""
        nn.init.zeros_(self.mlp[-1].weight)
