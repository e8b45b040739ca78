"""Demand curves: how demand falls with price, relative to that at a reference price.

Plain torch functions of ``x``, the log of a price over the reference price. Every curve is 1 at
``x = 0``, and there its elasticity (the share of demand that is lost for a share of price) is what
it is said to be.
"""

import math
from functools import cache

import torch

from sklearn_pttf._utils.splines import spline_weights

FAMILIES = ("linear", "constant_elasticity", "exponential", "logit")
LEAST_DEMAND = 1e-4  # of a straight line, over that at the reference price, where it ends at 0
MOST_LOG_ODDS = 50.0  # whose exponential single floats have; `LOG_RANGE` ends long before
LOG_RANGE = (-7.0, 7.0)  # of a curve: nothing is left, or more than anyone knows


def _linear(x, elasticity, share):
    return (1 - elasticity * x.expm1()).clamp_min(LEAST_DEMAND).log()


def _constant_elasticity(x, elasticity, share):
    return -elasticity * x


def _exponential(x, elasticity, share):
    return -elasticity * x.expm1()


def _logit(x, elasticity, share):
    """The share of all buyers that is reached at the reference price is ``share``."""
    odds = (elasticity / (1 - share) * x.expm1()).clamp_max(MOST_LOG_ODDS).exp()
    return -(share + (1 - share) * odds).log()


_LOG_CURVES = {
    "linear": _linear,
    "constant_elasticity": _constant_elasticity,
    "exponential": _exponential,
    "logit": _logit,
}


def log_curve(family, x, elasticity, share=0.5):
    """Log of demand over that at the reference price; of the shape that all broadcast to.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.

    x : Tensor
        Log of price over the reference price.

    elasticity : Tensor
        At the reference price, at least 0.

    share : float or Tensor, default=0.5
        Of a logit curve: the share of its largest demand that there is at the reference price.
    """
    return _LOG_CURVES[family](x, elasticity, share).clamp(*LOG_RANGE)


# ------------------------------------------------------------------ a grid of curves

N_COARSE, N_FINE = 22, 8  # of the grid, and of the finer one in one of these
ELASTICITIES = tuple(0.1 * 80 ** (k / N_COARSE) for k in range(N_COARSE + 1))  # 0.1 to 8
N_FINE_STEPS = N_COARSE * N_FINE
FINE_ELASTICITIES = tuple(0.1 * 80 ** (k / N_FINE_STEPS) for k in range(N_FINE_STEPS + 1))
N_CURVES = len(FAMILIES) * len(ELASTICITIES)
GRID_RANGE = (-3.0, 3.0)  # of the log of a curve of the grid
TYPICAL, SPREAD = 1.6, 0.9  # of elasticities, before anything is seen
FARTHEST = 2.5  # log of a price over the reference price, in the table of a curve
N_TABLE = 101  # prices, 5 % apart, between which a cubic is taken
TABLE = tuple(FARTHEST * (2 * k / (N_TABLE - 1) - 1) for k in range(N_TABLE))
LEAST_VARIANCE = 1e-4  # added to that of log elasticities, whose root has a log


def log_curves(x, elasticities=ELASTICITIES):
    """All curves of a grid, family by family; ``(..., 4 * n_elasticities)`` of ``(...)``."""
    elasticities = x.new_tensor(elasticities)
    x = x.unsqueeze(-1)
    curves = [log_curve(family, x, elasticities) for family in FAMILIES]
    return torch.cat(curves, dim=-1).clamp(*GRID_RANGE)


def first_weights(like, elasticities=ELASTICITIES):
    """Weights of the curves before anything is seen; ``(4 * n_elasticities,)``, sum one."""
    logs = like.new_tensor(elasticities).log().repeat(len(FAMILIES))
    return (-0.5 * ((logs - math.log(TYPICAL)) / SPREAD) ** 2).softmax(-1)


def on_finer_grid(values):
    """Smooth functions of elasticity, one a family, between those of the grid.

    Parameters
    ----------
    values : Tensor of shape (..., N_CURVES)

    Returns
    -------
    Tensor of shape (..., 4 * n_fine)
    """
    fine = values.unflatten(-1, (len(FAMILIES), -1)) @ _spline_weights().to(values)
    return fine.flatten(-2)


@cache
def _spline_weights():
    """What values on the grid weigh at elasticities of the finer one; (n_elasticities, n_fine)."""
    return torch.from_numpy(spline_weights(len(ELASTICITIES), N_FINE))


def log_mixed_curve(weights, x):
    """Log of the curve between those of the grid; ``(..., Q)``.

    The mean is that of square roots, which no single curve of high elasticity rules.

    Parameters
    ----------
    weights : Tensor of shape (..., N_CURVES)
        With the sum one.

    x : Tensor of shape (..., Q)
        Log of price over the reference price.
    """
    roots = (0.5 * log_curves(x)).exp()
    return 2 * (roots @ weights.unsqueeze(-1)).squeeze(-1).log()


def fine_mixed_table(weights):
    """Log of the curve between those of the finer grid, at `TABLE`; ``(B, n_table)``.

    Parameters
    ----------
    weights : Tensor of shape (B, 4 * n_fine)
        With the sum one.
    """
    return 2 * (weights @ _fine_roots().to(weights)).log()


@cache
def _fine_roots():
    """Square roots of all curves of the finer grid at `TABLE`; (4 * n_fine, n_table)."""
    return (0.5 * log_curves(torch.tensor(TABLE), FINE_ELASTICITIES)).exp().T.contiguous()


def read_table(table, x):
    """A curve at ``x`` by cubic interpolation of its values at `TABLE`; ``(B, N, Q)``.

    Parameters
    ----------
    table : Tensor of shape (B, n_table)

    x : Tensor of shape (B, N, Q)
    """
    position = (x.clamp(-FARTHEST, FARTHEST) / FARTHEST + 1) * (len(TABLE) - 1) / 2
    left = position.floor().clamp(1, len(TABLE) - 3)
    t, left = position - left, left.long().flatten(1)
    before, here, there, after = (
        table.gather(-1, left + k).view_as(x) for k in (-1, 0, 1, 2)
    )  # Catmull and Rom's
    rise, bend = there - before, 2 * before - 5 * here + 4 * there - after
    twist = 3 * (here - there) + after - before
    return here + 0.5 * t * (rise + t * (bend + t * twist))


def elasticity_moments(weights, elasticities=ELASTICITIES):
    """Mean and standard deviation of log elasticity, and families' shares, under weights.

    Parameters
    ----------
    weights : Tensor of shape (..., 4 * n_elasticities)

    elasticities : tuple of float
        Of the grid.

    Returns
    -------
    mean, deviation : Tensor of shape (...)

    shares : Tensor of shape (..., 4)
    """
    logs = weights.new_tensor(elasticities).log().repeat(len(FAMILIES))
    mean = (weights * logs).sum(-1)
    variance = (weights * (logs - mean.unsqueeze(-1)) ** 2).sum(-1)
    shares = weights.unflatten(-1, (len(FAMILIES), -1)).sum(-1)
    return mean, (variance + LEAST_VARIANCE).sqrt(), shares
