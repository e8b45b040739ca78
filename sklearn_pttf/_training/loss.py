"""Losses of decisions, weighted so that quiet and noisy rows count alike."""

import torch
from torch import nn

TAIL_POWER = -0.6  # of level * (1 - level), in the weight of a level
FAR = 50.0  # times a row's typical uncertainty
MOST_LOST = 3.0  # of a row, as a share of what is at stake
LEAST_BEND = 1e-4  # of expected profit between candidates, as a share of what is at stake
FAR_MEAN = 5.0  # times the doubt about an expected mean


class PortfolioLoss(nn.Module):
    """A problem's training loss over what rows expect it to be.

    The weights of rows depend on evidence only: one that knew the true parameters would move
    the optimum away from the Bayes decision.

    Parameters
    ----------
    problem : DecisionProblem
        Gives the loss of every row and level.

    levels : tuple of float
        Levels of the quantiles.

    decision_weight : float, default=0.0
        Weight of lost profit, where candidates are to choose from.
    """

    def __init__(self, problem, levels, decision_weight=0.0):
        super().__init__()
        self.problem = problem
        self.decision_weight = decision_weight
        self.register_buffer("levels", torch.tensor(levels))

    def forward(self, output, targets):
        """Loss of the laws of outcomes and, where the network has them, of means.

        Parameters
        ----------
        output : NetworkOutput

        targets : dict of Tensor
            ``outcomes`` of shape (B, N, m), and true ``means`` of shape (B, N). ``expected``, if
            given, of shape (B, N) too: means that are expected by one who knows more. Or of demand
            at prices: ``outcomes`` (B, N * Q, m), and ``margins`` and true ``profit`` at candidates
            (B, N, G).

        Returns
        -------
        Tensor of shape ()
        """
        loss = self._of_law(output, targets["outcomes"])
        if output.curve is not None and self.decision_weight:
            lost = lost_profit(output.curve, targets["margins"], targets["profit"])
            loss = loss + self.decision_weight * lost.mean()
        if output.of_mean is None:
            return loss
        loss = loss + self._of_law(output.of_mean, targets["means"].unsqueeze(-1))
        if output.of_mean.mean is None:
            return loss
        expected = targets.get("expected", targets["means"])
        return loss + self._of_estimate(output.of_mean, expected)

    @staticmethod
    def _of_estimate(output, means):
        """Squared error of the mean, over what rows and portfolios expect it to be."""
        limit = FAR_MEAN * output.mean_doubt
        short = output.standard(means.unsqueeze(-1)).squeeze(-1) - output.mean
        by_row = torch.clamp(short, -limit, limit) ** 2
        own = output.mean_doubt**2
        return (0.5 * by_row * (1 / own + 1 / own.mean(-1, keepdim=True))).mean()

    def _of_law(self, output, outcomes):
        weights = self.level_weights()
        by_row = (self.losses(output, outcomes) * weights).mean(-1)  # (B, N)
        own = self._expected(output.quantiles.detach(), weights)
        own = own.clamp(0.1 * output.typical, 10 * output.typical)
        common = own.mean(-1, keepdim=True)
        return (0.5 * by_row * (1 / own + 1 / common)).mean()

    def level_weights(self):
        """Weights of the levels, larger in the tails; ``(K,)``."""
        return (self.levels * (1 - self.levels)) ** TAIL_POWER

    def losses(self, output, outcomes):
        """Loss of every row and level, in units of the portfolio; ``(B, N, K)``."""
        # an outcome far beyond every quantile pulls on them alike, however far it is
        limit = (FAR * output.typical * output.scale).unsqueeze(-1)
        middle = output.middle_outcome().unsqueeze(-1)
        outcomes = torch.clamp(outcomes, middle - limit, middle + limit)
        return self.problem.training_loss(output, outcomes, self.levels)

    def _expected(self, quantiles, weights):
        """What a row expects its loss to be, if its own quantiles are right; ``(B, N)``."""
        between = (self.levels[1:] + self.levels[:-1]) / 2
        edges = torch.cat([between.new_zeros(1), between, between.new_ones(1)])
        parts = quantiles * edges.diff()
        below = parts.cumsum(-1) - 0.5 * parts
        cost = self.levels * parts.sum(-1, keepdim=True) - below
        return (cost * weights).mean(-1)


def lost_profit(curve, margins, profit):
    """Profit that is lost by choosing on a curve, as a share of what is at stake; ``(B, N)``.

    The choice is the vertex of the parabola through the best candidate and its neighbours, as far
    as the outer ones. So it has a gradient, and one that a steeper curve with the same best price
    does not lower, as it would that of a soft choice between candidates. What is at stake is told
    by the curve itself, as evidence only may weigh rows.

    Parameters
    ----------
    curve : Tensor of shape (B, N, G)
        Expected demand at evenly spaced candidate prices, three or more.

    margins : Tensor of shape (B, N, G)
        Price less unit cost of each.

    profit : Tensor of shape (B, N, G)
        True expected profit of each.
    """
    expected = margins * curve
    stake = (margins.abs() * curve.detach()).amax(-1, keepdim=True).clamp_min(1e-20)
    profit = profit / stake
    lost = _at(profit, *_vertex(profit)) - _at(profit, *_vertex(expected / stake))
    return lost.clamp_max(MOST_LOST)


def _vertex(values):
    """The middle one of the three best candidates, and steps from it to the best price."""
    middle = values.argmax(-1, keepdim=True).clamp(1, values.shape[-1] - 2)
    _, rise, bend = _parabola(values, middle)
    return middle, (rise / bend.clamp_min(LEAST_BEND)).clamp(-1, 1)


def _at(values, middle, shift):
    """Values between candidates, steps away from one."""
    height, rise, bend = _parabola(values, middle)
    return height + shift * (rise - shift * bend / 2)


def _parabola(values, middle):
    """Height, slope and fall of the slope at a candidate between two others; ``(B, N)`` each."""
    low, height, high = (values.gather(-1, middle + k).squeeze(-1) for k in (-1, 0, 1))
    return height, (high - low) / 2, 2 * height - low - high
