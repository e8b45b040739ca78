"""Profit that is lost by a price: by hand, and its gradients."""

import pytest
import torch

from sklearn_pttf._kinds.prices.curves import log_curve
from sklearn_pttf._training.loss import MOST_LOST, lost_profit
from support.prices import double

MARGINS = [[[1.0, 2.0, 3.0, 4.0]]]
DEMAND = [[[9.0, 8.0, 1.0, 0.5]]]  # profits 9, 16, 3 and 2; the vertex is 0.15 below the second


def test_right_choices_lose_nothing():
    margins, truth = double(MARGINS), double(DEMAND)
    lost = lost_profit(truth, margins, margins * truth)
    assert lost.shape == (1, 1)
    assert lost.item() == pytest.approx(0, abs=1e-9)
    assert lost_profit(1e6 * truth, margins, margins * truth).item() == pytest.approx(0, abs=1e-6)


def test_wrong_choices_lose_by_hand():
    margins, truth = double(MARGINS), double(DEMAND)
    most = 16 + 3**2 / (2 * 20)
    believed = double([[[1.0, 1.0, 1.0, 5.0]]])  # the last, which is said to earn 20
    lost = lost_profit(believed, margins, margins * truth)
    assert lost.item() == pytest.approx((most - 2) / 20)
    meek = 1e-3 * believed  # what is at stake is told by what is believed
    assert lost_profit(meek, margins, margins * truth).item() == MOST_LOST
    between = double([[[2.0, 2.0, 2.0, 1.0]]])  # profits 2, 4, 6 and 4, so the third
    lost = lost_profit(between, margins, margins * truth)
    assert lost.item() == pytest.approx((most - 3) / 6)
    above = double([[[2.0, 2.0, 2.0, 1.4]]])  # profits 4, 6 and 5.6: rise 0.8, bend 2.4, a third on
    lost = lost_profit(above, margins, margins * truth)
    earned = 3 + (2 - 16) / 2 / 3 - (2 * 3 - 2 - 16) / 2 / 9
    assert lost.item() == pytest.approx((most - earned) / 6, rel=1e-6)


def test_gradients_of_lost_profit_mend_the_choice():
    """The best price is 3; demand is believed to fall too slowly, then too fast."""
    margins = torch.linspace(1.0, 5.0, 9, dtype=torch.float64).expand(1, 1, 9)
    truth = 6 - margins
    for slope, sign in ((0.8, 1), (1.2, -1)):
        slope = torch.tensor(slope, dtype=torch.float64, requires_grad=True)
        lost = lost_profit(6 - slope * margins, margins, margins * truth)
        found = 3 / slope.item()  # of margins * (6 - slope * margins)
        stake = (margins * (6 - slope * margins)).max().item()
        assert lost.item() == pytest.approx((found - 3) ** 2 / stake, rel=1e-6)
        lost.sum().backward()
        assert -sign * slope.grad.item() > 0
        expected = 2 * (found - 3) * (-3 / slope.item() ** 2) / stake
        assert slope.grad.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("family", ["linear", "constant_elasticity", "logit"])
def test_a_steeper_curve_with_the_same_best_price_loses_as_much(family):
    """Else training would exaggerate what it knows of curves."""
    prices = torch.linspace(0.7, 1.6, 10, dtype=torch.float64).expand(1, 1, 10)
    truth = log_curve(family, prices.log(), torch.tensor(2.5, dtype=torch.float64)).exp()
    margins = prices - 0.5
    curve = (truth * (1 + 0.1 * prices)).requires_grad_()
    profit = margins * curve
    away = profit - profit.amax(-1, keepdim=True)
    sharper = torch.where(away < 0, profit + 0.05 * away, profit) / margins
    lost = [lost_profit(each, margins, margins * truth) for each in (curve, sharper)]
    assert lost[0].item() > 1e-6
    assert lost[0].item() == pytest.approx(lost[1].item(), rel=1e-6)


def test_prices_below_cost():
    """Losses are profits below 0, and the least of them is best."""
    margins = double([[[-3.0, -2.0, -1.0]]])
    curve = double([[[6.0, 5.0, 4.0]]])
    assert lost_profit(curve, margins, margins * curve).item() == pytest.approx(0, abs=1e-6)
    wrong = double([[[0.1, 5.0, 9.0]]])
    assert lost_profit(wrong, margins, margins * curve).item() == pytest.approx((18 - 4) / 10)
