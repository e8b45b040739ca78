"""The newsvendor's loss of pretraining."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf._kinds.head import NetworkOutput
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf.problems import Newsvendor
from support.newsvendor import read_costs


def _output(quantiles, scale=1.0, whole=False, zero_width=0.0):
    """One portfolio's output with quantiles ``(N, K)`` in units of ``scale``.

    A zero of amounts stands for what is up to ``zero_width`` units below it, by default for 0.
    """
    quantiles = torch.as_tensor(np.asarray(quantiles, dtype=float))[None]
    scale = torch.full((1, 1), scale, dtype=quantiles.dtype)
    grain = float(whole) / scale
    typical = torch.ones_like(quantiles[..., 0])
    zero_width = torch.as_tensor(zero_width, dtype=quantiles.dtype)
    width = (grain if whole else zero_width) * typical
    return NetworkOutput(quantiles, 0.0 * scale, scale, grain, typical, width)


def _pinball(outcome, quantile, level):
    short = outcome - quantile
    return np.where(short >= 0, level * short, (level - 1) * short)


def test_training_loss_is_the_pinball_loss():
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    outcomes = torch.tensor([[[4.0, 10.0]]], dtype=torch.float64)
    loss = Newsvendor().training_loss(_output([[1.0, 3.0, 6.0]], 2.0), outcomes, levels)
    # outcomes in units of 2 are 2 and 5:
    # level 0.1 at 1: (0.1 + 0.4) / 2; 0.5 at 3: (0.5 + 1) / 2; 0.9 at 6: (0.4 + 0.1) / 2
    assert loss.shape == (1, 1, 3)
    assert_allclose(loss[0, 0].numpy(), [0.25, 0.75, 0.25], rtol=1e-12)


def test_training_loss_is_the_decision_cost_in_units_of_scale():
    rng = np.random.RandomState(0)
    levels = np.array([0.2, 0.5, 0.8])
    quantiles = np.sort(rng.gamma(2.0, size=(4, 3)), axis=1)
    outcomes = rng.gamma(2.0, 5.0, size=(4, 6))
    loss = Newsvendor().training_loss(
        _output(quantiles, 5.0), torch.tensor(outcomes)[None], torch.tensor(levels)
    )
    for k, level in enumerate(levels):
        problem = Newsvendor.from_service_level(level)
        costs = read_costs(problem, 4)
        charged = problem.hindsight_cost(5.0 * quantiles[:, k], outcomes, costs)
        assert_allclose(5.0 * loss[0, :, k].numpy(), charged, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9),
    st.floats(-1.5, 11),
    st.floats(0.001, 0.999),
    st.sampled_from([0.1, 1.0, 30.0]),
)
def test_training_loss_of_whole_numbers_is_an_average(outcome, order, level, scale):
    loss = Newsvendor().training_loss(
        _output([[order / scale]], scale, whole=True),
        torch.tensor([[[float(outcome)]]], dtype=torch.float64),
        torch.tensor([level], dtype=torch.float64),
    )
    n = 20_000
    draws = outcome - 1 + (np.arange(n) + 0.5) / n
    average = _pinball(draws, order, level).mean()
    assert_allclose(scale * loss.item(), average, rtol=1e-6, atol=1e-8)


def test_training_loss_of_whole_numbers_by_hand():
    levels = torch.tensor([0.9], dtype=torch.float64)
    outcomes = torch.tensor([[[3.0]]], dtype=torch.float64)
    for order, exact in [(3.0, 0.1 / 2), (2.0, 0.9 / 2), (2.5, (0.9 + 0.1) / 8), (5.0, 0.25)]:
        loss = Newsvendor().training_loss(_output([[order]], whole=True), outcomes, levels)
        assert_allclose(loss.item(), exact, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-4, 2),
    st.floats(0.05, 3),
    st.floats(0.001, 0.999),
    st.sampled_from([0.1, 1.0, 30.0]),
)
def test_training_loss_of_zero_amounts_is_an_average(order, width, level, scale):
    loss = Newsvendor().training_loss(
        _output([[order / scale]], scale, zero_width=width / scale),
        torch.tensor([[[0.0]]], dtype=torch.float64),
        torch.tensor([level], dtype=torch.float64),
    )
    n = 20_000
    draws = -width * (np.arange(n) + 0.5) / n  # from (-width, 0]
    average = _pinball(draws, order, level).mean()
    assert_allclose(scale * loss.item(), average, rtol=1e-6, atol=1e-8)


def test_training_loss_of_zero_amounts_by_hand():
    levels = torch.tensor([0.9], dtype=torch.float64)
    outcomes = torch.zeros(1, 1, 1, dtype=torch.float64)
    # draws from (-2, 0]: at an end all are 1 away on average, in the middle one half
    for order, exact in [(0.0, 0.1), (-2.0, 0.9), (-1.0, 0.25), (3.0, 0.4)]:
        loss = Newsvendor().training_loss(_output([[order]], zero_width=2.0), outcomes, levels)
        assert_allclose(loss.item(), exact, rtol=1e-12)


def test_only_zeros_are_wide_each_as_its_row_says():
    levels = torch.tensor([0.3, 0.7], dtype=torch.float64)
    quantiles = [[-0.3, -0.1], [-0.3, -0.1], [0.5, 0.9]]
    outcomes = torch.tensor([[[0.0, 0.5], [0.0, 0.5], [0.4, 1.0]]], dtype=torch.float64)

    def loss(width):
        return Newsvendor().training_loss(_output(quantiles, zero_width=width), outcomes, levels)

    points, narrow, wide = loss(0.0), loss(0.4), loss(2.0)
    mixed = loss(torch.tensor([0.4, 2.0, 5.0]))
    assert_allclose(mixed[0, 0], narrow[0, 0])
    assert_allclose(mixed[0, 1], wide[0, 1])
    assert_allclose(mixed[0, 2], points[0, 2])  # has no zeros
    assert (narrow[0, :2] != points[0, :2]).all()
    assert (wide[0, :2] != narrow[0, :2]).all()


def test_the_best_quantiles_of_zero_amounts_lie_evenly_below_zero():
    outcomes = torch.tensor([[[0.0] * 3 + [5.0]]], dtype=torch.float64)  # three quarters zero
    levels = torch.tensor([0.15, 0.3, 0.6], dtype=torch.float64)
    # at level r the quantile is at the share r / 0.75 of (-2, 0]: no gradient there
    output = _output([[-1.6, -1.2, -0.4]], zero_width=2.0)
    quantiles = output.quantiles.requires_grad_()
    Newsvendor().training_loss(output, outcomes, levels).sum().backward()
    assert_allclose(quantiles.grad.numpy(), 0, atol=1e-12)


def test_the_best_whole_number_order_is_the_loss_minimiser_rounded_up():
    rng = np.random.RandomState(0)
    demand = rng.poisson(2.5, size=400).astype(float)
    levels = np.array([0.1, 0.37, 0.5, 0.83, 0.95])
    orders = np.linspace(-1, 12, 1301)
    loss = Newsvendor().training_loss(
        _output(np.repeat(orders[:, None], 5, axis=1), whole=True),
        torch.tensor(np.tile(demand, (len(orders), 1)))[None],
        torch.tensor(levels),
    )
    smooth = orders[loss[0].numpy().argmin(axis=0)]
    best = WeightedAtoms(demand[None]).quantile(levels[None])[0]
    assert_array_equal(np.ceil(smooth), best)


@pytest.mark.parametrize(("whole", "zero_width"), [(False, 0.0), (False, 0.7), (True, 0.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_the_training_loss_is_finite(whole, zero_width, dtype):
    # quantiles below, on, within and far above the outcomes
    quantiles = [[0.0, 2.0, 3.0], [4.0, 4.0, 4.0], [0.1, 1e6, 1e9], [-1e9, -0.5, 0.0]]
    output = _output(quantiles, 2.0, whole, zero_width)
    output = NetworkOutput(*(part.to(dtype) for part in output[:6]))
    quantiles = output.quantiles.requires_grad_()
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=dtype)
    outcomes = torch.tensor([[[3.0, 0.0], [8.0, 9.0], [4e8, 1.0], [0.0, 1.0]]], dtype=dtype)
    Newsvendor().training_loss(output, outcomes, levels).sum().backward()
    assert torch.isfinite(quantiles.grad).all()
    assert_allclose(quantiles.grad[0, 2, 2].item(), 1 - 0.9, rtol=1e-6)  # above both outcomes
    assert_allclose(quantiles.grad[0, 3, 0].item(), 0 - 0.1, rtol=1e-6)  # below both


def test_gradient_of_the_training_loss_is_cdf_minus_level():
    demand = torch.tensor([0.0, 1.0, 1.0, 3.0], dtype=torch.float64)[None, None]
    levels = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    # at 1.75, 0.25 and 2.75; a whole number stands for the unit below it
    empirical, smooth = [3 / 4, 1 / 4, 3 / 4], [3 / 4, 1 / 4 + 1 / 8, 3 / 4 + 3 / 16]
    # at -0.1, -0.7 and 1.75; a zero amount stands for the half below it
    wide = [1 / 4 * 4 / 5, 0.0, 3 / 4]
    for whole, width, orders, cdf in [
        (False, 0.0, [1.75, 0.25, 2.75], empirical),
        (True, 0.0, [1.75, 0.25, 2.75], smooth),
        (False, 0.5, [1.75, 0.25, 2.75], empirical),
        (False, 0.5, [-0.1, -0.7, 1.75], wide),
    ]:
        output = _output([orders], whole=whole, zero_width=width)
        quantiles = output.quantiles.requires_grad_()
        Newsvendor().training_loss(output, demand, levels).sum().backward()
        assert_allclose(quantiles.grad[0, 0].numpy(), cdf - levels.numpy(), atol=1e-12)
