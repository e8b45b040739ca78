"""Random portfolios of demand in the order of time, drawn on the device that trains on them.

What is drawn is as tables are read (`sklearn_pttf._series`): with what every outcome was counted
over, a factor of its period and the effects of its drivers, known up to an error. So outcomes are
those of `draw_portfolios` around levels that move, times conditions.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.sampler import draw_cells, draw_instances
from sklearn_pttf._priors.sampling import LEAST_MEAN, MAX_MEAN, Random, hide

MOST_MOVED = 4.0  # log of a level over its usual one, either way
MOST_CONDITION = 3.0  # log of conditions over usual ones, either way
N_GROUPS = 4  # most groups of rows that move together
SHORTEST_LIFE = 2  # periods


class SeriesDraw(NamedTuple):
    """``B`` portfolios of ``N`` instances, in ``n`` periods; float tensors."""

    observations: torch.Tensor  # (B, N, n), NaN = not observed
    outcomes: torch.Tensor  # (B, N, m), never missing, of the next period each
    whole: torch.Tensor  # (B,), 1 where outcomes are whole numbers
    parameters: dict  # name -> (B, N) parameters of the instances
    exposure: torch.Tensor  # (B, N, n), what observations were counted over, as far as is known
    coming: torch.Tensor  # (B, N), the same of the outcomes
    errors: None = None


def draw_series(hyper, n_instances, n_observations, n_outcomes, generator):
    """Draw instances, conditions and outcomes given each portfolio's hyperparameters.

    Parameters
    ----------
    hyper : dict of str to Tensor of shape (B,)
        What `SeriesPrior` draws a portfolio: that of `draw_portfolios`, and ``drift``,
        ``drift_spread``, ``memory``, ``jump_rate``, ``jump_size``, ``together``, ``young``,
        ``ended``, ``shock``, ``driver_rate``, ``driver_effect``, ``driver_spread``, ``smooth``,
        ``doubt``.

    n_instances, n_observations, n_outcomes : int
        Rows, periods, and later outcomes a row: each of them is one of the next period.

    generator : torch.Generator
        Source of all randomness; its device is where the draws are made.

    Returns
    -------
    SeriesDraw
    """
    random = Random(generator)
    hyper = {name: value.to(random.device) for name, value in hyper.items()}
    mean, noise = draw_instances(random, hyper, n_instances)
    moved = _moved(random, hyper, n_instances, n_observations, n_outcomes)
    known, true = _conditions(random, hyper, n_instances, n_observations, n_outcomes)
    mean = (mean * (moved + true).exp()).clamp(LEAST_MEAN, MAX_MEAN)
    n_cells = n_observations + n_outcomes
    cells, zero_rate = draw_cells(random, hyper, mean, noise, n_cells)
    cells = cells * _alive(random, hyper, n_instances, n_observations, n_outcomes)
    begins = _begins(random, hyper, n_instances, n_observations)
    observations = hide(random, hyper["missing"], cells[..., :n_observations])
    observations = observations.masked_fill(begins, torch.nan)
    parameters = {
        "mean": mean[..., n_observations:].mean(-1),
        "noise": noise.squeeze(-1),
        "zero_rate": zero_rate,
    }
    known = known.exp()
    return SeriesDraw(
        observations,
        cells[..., n_observations:],
        hyper["whole"].float(),
        parameters,
        known[..., :n_observations],
        known[..., n_observations],
    )


def _moved(random, hyper, n_rows, n, m):
    """Log of rows' levels over their usual ones: walks, or what returns, and jumps; (B, N, n + m).

    In some portfolios rows of a group move together. Each of the last ``m`` follows the n-th.
    """
    size, shape = len(hyper["drift"]), (len(hyper["drift"]), n_rows, n + m)
    own = _as_cells(hyper["drift_spread"]) * random.normal(size, n_rows, 1)
    group = (random.uniform(size, n_rows, 1) * N_GROUPS).floor().long()
    of_groups = random.normal(size, N_GROUPS, n + m).gather(1, group.expand(-1, -1, n + m))
    share = _as_cells(hyper["together"])
    steps = share.sqrt() * of_groups + (1 - share).sqrt() * random.normal(*shape)
    jumps = random.uniform(*shape) < _as_cells(hyper["jump_rate"])
    jumps = jumps * _as_cells(hyper["jump_size"]) * random.normal(*shape)
    steps = _as_cells(hyper["drift"]) * own.exp() * steps + jumps
    level, levels, keeps = torch.zeros_like(steps[..., :1]), [], _as_cells(hyper["memory"])
    for k in range(n):  # what is kept of a deviation, and a step
        level = keeps * level + steps[..., k : k + 1]
        levels.append(level)
    moved = torch.cat([*levels, keeps * level + steps[..., n:]], dim=-1)
    centre = moved[..., :n].mean(-1, keepdim=True).nan_to_num()  # of no periods at all
    return (moved - centre).clamp(-MOST_MOVED, MOST_MOVED)


def _conditions(random, hyper, n_rows, n, m):
    """Logs of conditions as they are known, and as they are; ``(B, N, n + m)`` each.

    All later outcomes are made under the same. A driver is on or off, or a number like a price;
    what is known of a period is in doubt by what its rows cannot tell.
    """
    size, at = len(hyper["shock"]), torch.arange(n + m, device=random.device).clamp_max(n)
    shocks = _as_cells(hyper["shock"]) * random.normal(size, 1, n + 1)
    number = random.normal(size, n_rows, n + 1)
    on = (random.uniform(size, n_rows, n + 1) < _as_cells(hyper["driver_rate"])).float()
    driver = torch.where(_as_cells(hyper["smooth"]) > 0, number, on)
    effect = _as_cells(hyper["driver_effect"])
    own = effect * (1 + _as_cells(hyper["driver_spread"]) * random.normal(size, n_rows, 1))
    doubt = hyper["doubt"] * hyper["noise"].clamp_max(1.0) / n_rows**0.5
    wrong = _as_cells(doubt) * random.normal(size, 1, n + 1)
    known, true = shocks + effect * driver, shocks + own * driver + wrong
    usual = known[..., :n].mean(-1, keepdim=True).nan_to_num()
    return tuple((x - usual).clamp(-MOST_CONDITION, MOST_CONDITION)[..., at] for x in (known, true))


def _as_cells(values):
    """Numbers of portfolios ``(B,)`` as those of their cells."""
    return values[:, None, None]


def _alive(random, hyper, n_rows, n, m):
    """1 in periods before a row's end, which few have; ``(B, N, n + m)``."""
    size = len(hyper["ended"])
    ends = random.uniform(size, n_rows, 1) < _as_cells(hyper["ended"])
    last = SHORTEST_LIFE + (random.uniform(size, n_rows, 1) * n).floor()
    times = torch.arange(n + m, device=random.device)
    return (~(ends & (times >= last))).float()


def _begins(random, hyper, n_rows, n):
    """Cells before a row's beginning; bool ``(B, N, n)``."""
    size = len(hyper["young"])
    young = random.uniform(size, n_rows, 1) < _as_cells(hyper["young"])
    young[:, 0] = False
    first = (random.uniform(size, n_rows, 1) * (n + 1)).floor()
    return young & (torch.arange(n, device=random.device) < first)
