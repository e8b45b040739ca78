"""The loss of pretraining, by hand and by its properties."""

import math

import numpy as np
import pytest
import torch

from sklearn_pttf._kinds.head import NetworkOutput
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf.problems import Newsvendor
from support.networks import TINY

THIRDS = (1 / 6, 1 / 2, 5 / 6)  # levels that stand for a third of the law each
WEIGHTS = np.array([(5 / 36) ** -0.6, (1 / 4) ** -0.6, (5 / 36) ** -0.6])
# atoms 1, 2 and 3 of a third each: pinball losses of the orders 1, 2 and 3 are, on average,
# (0 + 1 + 2) / 6 / 3, (1 + 0 + 1) / 2 / 3 and (2 + 1 + 0) / 6 / 3
OWN = np.mean(WEIGHTS * [1 / 6, 1 / 3, 1 / 6])


def _output(quantiles, *, scale=10.0, grain=0.0, typical=0.5, zero_width=0.0):
    """Output for one portfolio with quantiles ``(N, K)``."""
    quantiles = torch.tensor([quantiles], dtype=torch.float64)
    by_row = torch.ones_like(quantiles[..., 0])
    return NetworkOutput(
        quantiles,
        torch.zeros((1, 1), dtype=torch.float64),
        torch.full((1, 1), scale, dtype=torch.float64),
        torch.full((1, 1), grain, dtype=torch.float64),
        typical * by_row,
        zero_width * by_row,
    )


def _loss(levels=THIRDS):
    loss = PortfolioLoss(Newsvendor(), levels)
    loss.levels = torch.tensor(levels, dtype=torch.float64)
    return loss


def _outcomes(*rows):
    return {"outcomes": torch.tensor([rows], dtype=torch.float64)}


def test_loss_by_hand():
    # 4 units of 10, above 1, 2 and 3
    by_row = np.mean(WEIGHTS * [1 / 6 * 3, 1 / 2 * 2, 5 / 6 * 1])
    value = _loss()(_output([[1.0, 2.0, 3.0]]), _outcomes([40.0]))
    assert value.item() == pytest.approx(by_row / OWN)
    # in float32, as in training
    single = NetworkOutput(*(part.float() for part in _output([[1.0, 2.0, 3.0]])[:6]))
    outcomes = {"outcomes": torch.tensor([[[40.0]]])}
    value = PortfolioLoss(Newsvendor(), THIRDS)(single, outcomes)
    assert value.item() == pytest.approx(by_row / OWN, rel=1e-5)


def test_loss_of_two_rows_by_hand():
    """Half of a row's loss counts relative to the row, half relative to the portfolio."""
    quiet = np.mean(WEIGHTS * [1 / 6 * 3, 1 / 2 * 2, 5 / 6 * 1])  # 4 above 1, 2 and 3
    noisy = np.mean(WEIGHTS * [5 / 6 * 1, 1 / 2 * 3, 1 / 6 * 5])  # 1 below 2, 4 and 6
    common = 1.5 * OWN  # of rows that expect OWN and 2 * OWN
    expected = quiet * (1 / OWN + 1 / common) / 4 + noisy * (1 / (2 * OWN) + 1 / common) / 4
    output = _output([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    assert _loss()(output, _outcomes([40.0], [10.0])).item() == pytest.approx(expected)


def test_expected_loss_is_that_of_the_atoms():
    """Where levels are the middles of equal shares, quantiles are equally likely atoms."""
    levels = (np.arange(9) + 0.5) / 9
    weights = (levels * (1 - levels)) ** -0.6
    atoms = np.sort(np.random.RandomState(0).gamma(0.5, size=(4, 9)), axis=1)
    direct = [
        np.mean(
            [
                weight * np.mean(np.where(y > q, level * (y - q), (1 - level) * (q - y)))
                for q, level, weight in zip(y, levels, weights, strict=True)
            ]
        )
        for y in atoms
    ]
    own = _loss(tuple(levels))._expected(torch.tensor(atoms), torch.tensor(weights))
    np.testing.assert_allclose(own, direct, rtol=1e-12)


def test_expected_loss_of_a_logistic_law():
    # the pinball loss of the quantile at r of a logistic law of scale s is s H(r) on average
    levels = np.array(NetworkConfig().levels)
    entropy = -levels * np.log(levels) - (1 - levels) * np.log(1 - levels)
    quantiles = 7 + 3 * np.log(levels / (1 - levels))
    weights = (levels * (1 - levels)) ** -0.6
    own = _loss(tuple(levels))._expected(torch.tensor(quantiles), torch.tensor(weights))
    assert own.item() == pytest.approx(np.mean(weights * 3 * entropy), rel=0.004)
    away = _loss(tuple(levels))._expected(torch.tensor(quantiles + 50), torch.tensor(weights))
    assert away.item() == pytest.approx(own.item())  # where a law lies does not matter


@pytest.mark.parametrize(("typical", "own"), [(100.0, 10.0), (0.01, 0.1), (OWN, OWN)])
def test_expected_loss_is_held_near_the_typical_one(typical, own):
    """Between a tenth and ten times of what the evidence says."""
    by_row = np.mean(WEIGHTS * [5 / 6 * 0.75, 1 / 2 * 1.75, 1 / 6 * 2.75])  # 1/4 below 1, 2, 3
    output = _output([[1.0, 2.0, 3.0]], typical=typical)
    assert _loss()(output, _outcomes([2.5])).item() == pytest.approx(by_row / own)


def test_expected_loss_is_no_part_of_the_gradient():
    """Else a row could lower its loss by expecting a larger one."""
    output = _output([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    quantiles = output.quantiles.requires_grad_()
    _loss()(output, _outcomes([40.0], [30.0])).backward()
    common = 1.5 * OWN
    # cdf minus level: 0 - r where the order is below the outcome, 1 - r where above
    slopes = WEIGHTS * [[-1 / 6, -1 / 2, -5 / 6], [-1 / 6, 1 / 2, 1 / 6]] / 3
    slopes[0] *= (1 / OWN + 1 / common) / 4
    slopes[1] *= (1 / (2 * OWN) + 1 / common) / 4
    np.testing.assert_allclose(quantiles.grad[0], slopes, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
@pytest.mark.parametrize("grain", [0.0, 0.3])
def test_loss_has_no_unit(factor, grain):
    """Multiplying all of one portfolio leaves the loss of both as it is."""
    rng = np.random.RandomState(0)
    quantiles = np.sort(rng.gamma(2.0, size=(2, 4, 9)) - 0.5, axis=-1)
    outcomes = rng.gamma(2.0, 10.0, size=(2, 4, 6)) * (rng.uniform(size=(2, 4, 6)) > 0.3)
    typical = rng.uniform(0.3, 0.6, size=(2, 4))
    scale = np.array([[10.0], [3.0]])
    levels = NetworkConfig(n_knots=9).levels

    def loss(of_quantiles, of_scale):
        """The loss of what is multiplied in the first portfolio; outcomes by both."""
        by, unit = (np.array([[x], [1.0]]) for x in (of_quantiles, of_scale))
        output = NetworkOutput(
            quantiles=torch.tensor(quantiles * by[..., None]),
            location=torch.zeros(2, 1, dtype=torch.float64),
            scale=torch.tensor(scale * unit),
            grain=torch.tensor(grain * by),
            typical=torch.tensor(typical * by),
            zero_width=torch.tensor((grain or 0.4) * by * np.ones((2, 4))),
        )
        later = {"outcomes": torch.tensor(outcomes * (by * unit)[..., None])}
        return _loss(levels)(output, later).item()

    assert loss(factor, 1.0) == pytest.approx(loss(1.0, 1.0), rel=1e-9)
    assert loss(1.0, factor) == pytest.approx(loss(1.0, 1.0), rel=1e-9)


def test_far_outcomes_pull_alike():
    values, gradients = [], []
    for outcome in (251.0, 1e9):  # beyond 50 times the typical size, 0.5 units of 10
        output = _output([[1.0, 2.0, 3.0]])
        quantiles = output.quantiles.requires_grad_()
        value = _loss()(output, _outcomes([outcome]))
        values.append(value.item())
        gradients.append(torch.autograd.grad(value, quantiles)[0])
    # 25 units, at distances 24, 23 and 22 from the quantiles
    by_row = np.mean(WEIGHTS * [1 / 6 * 24, 1 / 2 * 23, 5 / 6 * 22])
    assert values == pytest.approx([by_row / OWN] * 2)
    torch.testing.assert_close(*gradients)
    assert (gradients[0] < 0).all()


def test_gradients_of_odd_portfolios_are_finite():
    nan = math.nan
    observations = [
        [[0.0, 0.0], [0.0, nan], [nan, nan]],
        [[nan, nan], [nan, nan], [nan, nan]],
        [[3.0, 3.0], [3.0, 3.0], [3.0, 3.0]],
        [[0.0, 1e8], [1e-3, nan], [0.0, 0.0]],
        [[2.0, nan], [0.0, nan], [nan, nan]],
    ]
    torch.manual_seed(0)
    network = DecisionNetwork(TINY)
    loss = PortfolioLoss(Newsvendor(), TINY.levels)
    for whole in (0.0, 1.0):
        output = network(torch.tensor(observations), torch.full((5,), whole))
        value = loss(output, {"outcomes": torch.tensor([0.0, 2.0, 1e9]).expand(5, 3, 3)})
        network.zero_grad()
        value.backward()
        assert value.isfinite()
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all(), name
