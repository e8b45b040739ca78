"""How fast rows' own levels move, as far as what comes next tells: sums over rows.

At the conditions of the coming period a row's outcomes vary around a level of its own, which may
move. A level that forgets sees an outcome from ``a`` periods before the newest as ``keep ** a``
observations [1]_. How much is kept, is told by how well levels foretell the next outcome, on
average over all rows and periods of the context; with nothing learned in it.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with ``n``
observation cells each, in the order of time; ``K`` shares may be kept.

References
----------
.. [1] M. West, J. Harrison, "Bayesian Forecasting and Dynamic Models", 2nd ed., Springer (1997),
   section 2.4: discounting.
"""

from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import torch

from sklearn_pttf._kinds.demand.capped import completed_rows, completed_units, rows_as_told
from sklearn_pttf._kinds.demand.units import (
    CREDIBILITY_RANGE,
    LEVEL_WEIGHT,
    MOST_UNITS,
    PortfolioUnits,
    Rows,
    as_rows,
    portfolio_units,
    row_level,
    row_noise,
    units_of_rows,
)

KEPT = (1.0, 0.97, 0.93, 0.85, 0.7, 0.5, 0.25)  # of what a period knew, a period later
AT_ONCE = 0.5  # of the log likelihood that terms of one row would have if they were independent
FORGETTING = 1.0  # log likelihood that forgetting anything has to gain
MOST_ERROR = 9.0  # squared error that counts, over the noise of a row
LEAST_ERRORS = 1.0  # terms as if nothing were gained, so that few say little
CLOSE_CONDITIONS = 0.3  # difference of log exposures that are about the same
EXPOSURE_RANGE = (1e-3, 1e3)  # that rates are taken over
LEAST_EXPOSURE = 0.1  # below which cells count in proportion to it
LEAST_WEIGHT = 1e-6  # of cells, that a mean is divided by


class SeriesRows(NamedTuple):
    """Outcomes of rows at the conditions of the coming period."""

    values: torch.Tensor  # (B, N, n), rates in the order of time, 0 where missing
    seen: torch.Tensor  # (B, N, n), what a cell counts in its row's mean; 0 where missing
    count: torch.Tensor  # (B, N), sum of these
    told: torch.Tensor  # (B, N, n) float, 1 where observed
    log_exposure: torch.Tensor  # (B, N, n), of what outcomes were counted over; 0 where missing
    coming: torch.Tensor  # (B, N), what the next outcome is counted over
    sorted: Rows  # the same outcomes, without an order
    errors: torch.Tensor = None  # (B, N, K) mean squared errors of levels, over a row's noise
    recent: torch.Tensor = None  # (B, N), the level that forgets, in units of scale
    in_order: Rows = None  # the outcomes in the order of time, where stock may have capped them

    @property
    def capped(self):
        """(B, N, n), 1 where an outcome is at least its value; None where nothing is capped."""
        return None if self.in_order is None else self.in_order.capped


class Moving(NamedTuple):
    """What a context says of how levels move; each of shape ``(B, 1)``, or ``(B, K)``."""

    errors: torch.Tensor  # (B, K) log of mean squared errors over that of a level that keeps all
    shares: torch.Tensor  # (B, K) how far each share is taken for the one that is kept
    narrower: torch.Tensor  # (B, 1) log of how much less noise there is around levels that move
    exposure_spread: torch.Tensor  # (B, 1) deviation of log exposures


SeriesUnits = NamedTuple(
    "SeriesUnits", [*PortfolioUnits.__annotations__.items(), *Moving.__annotations__.items()]
)


def series_rows(evidence):
    """`SeriesRows` before they are placed in their portfolio."""
    observations = evidence.observations
    told = (~observations.isnan()).to(observations.dtype)
    exposure = torch.ones_like(observations) if evidence.exposure is None else evidence.exposure
    exposure = torch.where(told > 0, exposure, 1.0).clamp(*EXPOSURE_RANGE)
    coming = evidence.coming
    coming = torch.ones_like(observations[..., 0]) if coming is None else coming
    values = observations / exposure
    rows = as_rows(values)
    in_order = None if evidence.stock is None else _over_usual(evidence, exposure, told)
    return SeriesRows(
        values.nan_to_num(0.0),
        told,
        told.sum(-1),
        told,
        exposure.log(),
        coming.clamp(*EXPOSURE_RANGE),
        rows,
        in_order=in_order,
    )


def _over_usual(evidence, exposure, told):
    """Cells in the order of time, counted over what is usual of their row: counts stay counts."""
    if evidence.exposure is None:
        return as_rows(evidence.observations, evidence.stock)
    usual = (exposure * told).sum(-1, keepdim=True) / told.sum(-1, keepdim=True).clamp_min(1)
    usual = torch.where(usual > 0, usual, 1.0)
    over = usual / exposure
    capped = evidence.observations >= evidence.stock
    values = evidence.observations * over
    stock = torch.where(capped, values, torch.inf)
    return as_rows(values, stock, usual.squeeze(-1).log())


def _as_rates(cells):
    """Cells that were completed, per unit of exposure."""
    if cells.offset is None:
        return cells
    unit = cells.offset.exp().unsqueeze(-1)
    return cells._replace(
        values=cells.values / unit,
        sales=cells.sales / unit,
        variance=cells.variance / unit**2,
        offset=None,
    )


def series_units(rows, weights, whole):
    """`SeriesUnits` of the context; as `portfolio_units`."""
    if rows[0].in_order is None:
        return _moving(rows, weights, portfolio_units([x.sorted for x in rows], weights, whole))
    found = completed_units([part.in_order for part in rows], weights, whole)
    units = found
    if rows[0].in_order.offset is not None:
        rates = [_as_rates(completed_rows(x.in_order, found)).sorted() for x in rows]
        units = portfolio_units(rates, weights, whole)
        units = units._replace(capped_share=found.capped_share, told_share=found.told_share)
    rows = [_with_cells(x, _as_rates(rows_as_told(x.in_order, found))) for x in rows]
    return _moving(rows, weights, units)


def _moving(rows, weights, units):
    """`SeriesUnits` of rows whose other units are known."""
    sums = None
    for part, weight in zip(rows, weights, strict=True):
        found = _sums_of_errors(part, weight, units)
        sums = found if sums is None else tuple(map(torch.add, sums, found))
    squares, terms, spread, cells = sums
    plain = squares[:, :1] / terms.clamp_min(LEAST_ERRORS)
    plain = plain.clamp_min(LEAST_WEIGHT)
    errors = (squares + LEAST_ERRORS * plain) / ((terms + LEAST_ERRORS) * plain)
    logs = errors.clamp_min(LEAST_WEIGHT).log() * (terms > 0)
    log_odds = -0.5 * AT_ONCE * terms * logs
    log_odds = log_odds - FORGETTING * (log_odds.new_tensor(KEPT) < 1)
    shares = log_odds.softmax(-1)
    narrower = 0.5 * (shares * logs).sum(-1, keepdim=True)
    spread = (spread / cells.clamp_min(1)).sqrt()
    return SeriesUnits(*units, logs, shares, narrower, spread)


def _with_cells(rows, cells):
    """Rows whose capped cells hold what is expected of them; cells in the order of time."""
    return rows._replace(
        values=cells.values, told=cells.seen, in_order=cells, sorted=cells.sorted()
    )


def _sums_of_errors(rows, weight, units):
    """Squared errors of what is foretold one period ahead, and how many; and of log exposures."""
    squares, terms = _squares(rows, units)
    weight = weight.unsqueeze(-1)
    log_coming = rows.coming.log().unsqueeze(-1)
    away = (rows.log_exposure - log_coming) ** 2 * rows.told
    return (
        (squares * weight).sum(1),
        (terms * weight).sum(1),
        (away.sum(-1, keepdim=True) * weight).sum(1),
        (rows.count.unsqueeze(-1) * weight).sum(1),
    )


def _squares(rows, units):
    """Squared errors of levels that keep each share, of a row's next outcomes; (B, N, K).

    And the number of these, ``(B, N, 1)``. Levels are pulled to the centre of the portfolio as far
    as one observation of them is not to be believed.
    """
    y = (rows.values / units.scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    level = row_level(rows.sorted, units.scale)
    noise = row_noise(units, level)
    pull = (noise**2 / units.level_variance).unsqueeze(-1)
    centre = torch.minimum(units.centre, units.log_mean).exp().unsqueeze(-1)
    most = MOST_ERROR * (noise * level).unsqueeze(-1) ** 2
    squares = []
    for kept in KEPT:
        road = _road(kept, y).transpose(-1, -2)
        total, known = (y * rows.told) @ road, rows.told @ road
        foretold = (total + pull * centre) / (known + pull)
        squares.append((torch.minimum((y - foretold) ** 2, most) / most * rows.told)[..., 1:])
    squares = MOST_ERROR * torch.stack([each.sum(-1) for each in squares], dim=-1)
    return squares, rows.told[..., 1:].sum(-1, keepdim=True)


def _road(kept, like):
    """What of every period is known at every one, ``(n, n)``: powers of a share."""
    times = torch.arange(like.shape[-1], dtype=like.dtype, device=like.device)
    age = times[:, None] - times - 1
    return torch.where(age >= 0, kept ** age.clamp_min(0), 0.0)


def placed(rows, units):
    """Rows whose cells count by how much of them is kept."""
    if rows.in_order is not None:
        cells = rows_as_told(rows.in_order, units, partial(_course_in_time, units=units))
        rows = _with_cells(rows, _as_rates(cells))
    squares, terms = _squares(rows, units)
    n = rows.values.shape[-1]
    age = torch.arange(n - 1, -1, -1, dtype=rows.values.dtype, device=rows.values.device)
    powers = rows.values.new_tensor(KEPT)[:, None] ** age
    kept = (units.shares @ powers).unsqueeze(1)  # (B, 1, n)
    seen = rows.told * kept * _worth(rows, units)
    count = seen.sum(-1)
    y = (rows.values / units.scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    recent = ((seen * y).sum(-1) + LEVEL_WEIGHT) / (count + LEVEL_WEIGHT)
    return rows._replace(
        seen=seen, count=count, errors=squares / terms.clamp_min(1.0), recent=recent
    )


def _course_in_time(cells, units):
    """Levels of rows at every period, by what was sold around it, over those of all; (B, N, n)."""
    units = units_of_rows(units, cells)
    y = (cells.values / units.scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    pull = (units.noise**2 / units.level_variance).unsqueeze(-1)
    centre = torch.minimum(units.centre, units.log_mean).exp().unsqueeze(-1)
    times = torch.arange(y.shape[-1], dtype=y.dtype, device=y.device)
    near = y.new_tensor(KEPT)[:, None, None] ** (times[:, None] - times).abs()
    near = (units.shares @ near.flatten(1)).unflatten(-1, near.shape[1:])  # (B, n, n)
    levels = ((y * cells.seen) @ near + pull * centre) / (cells.seen @ near + pull)
    return levels / row_level(cells, units.scale).unsqueeze(-1)


def _worth(rows, units):
    """What a cell says of its row's level, over one of usual conditions; ``(B, N, n)``.

    Counts that were counted over more say more, and where next to nothing sells nobody says much.
    """
    level = row_level(rows.sorted, units.scale).unsqueeze(-1)
    units = units._replace(
        whole=units.whole.unsqueeze(-1),
        scale=units.scale.unsqueeze(-1),
        extra_noise=units.extra_noise.unsqueeze(-1),
        count_share=units.count_share.unsqueeze(-1),
    )
    exposure = rows.log_exposure.exp()
    usual, own = row_noise(units, level), row_noise(units, level * exposure)
    return (usual / own) ** 2 * (exposure / LEAST_EXPOSURE).clamp_max(1.0)


def recent_credibility(rows, units):
    """How far the level that forgets is to be believed, by moments; ``(B, N)``."""
    chance = row_noise(units, rows.recent) ** 2 / rows.count.clamp_min(0.1)
    return (units.level_variance / (units.level_variance + chance)).clamp(*CREDIBILITY_RANGE)


def window_levels(rows, units, lengths):
    """Means over the newest observations, pulled to the level that forgets by one; (B, N, L)."""
    y = (rows.values / units.scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    newest = rows.told.flip(-1).cumsum(-1).flip(-1)  # 1 of the newest, 2 of the one before it
    found = []
    for length in lengths:
        some = rows.told * (newest <= length)
        found.append(((some * y).sum(-1) + rows.recent) / (some.sum(-1) + 1))
    return torch.stack(found, dim=-1)


def level_of_alike(rows, units):
    """Mean over outcomes of conditions like the coming ones, pulled to the level that forgets.

    And how many these are.
    """
    y = (rows.values / units.scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    away = (rows.log_exposure - rows.coming.log().unsqueeze(-1)) / CLOSE_CONDITIONS
    alike = rows.seen * (-0.5 * away**2).exp()
    known = alike.sum(-1)
    return ((alike * y).sum(-1) + rows.recent) / (known + 1), known


def at_the_end(rows):
    """How many observed periods were without sales at the end, and how many were missing there.

    Both ``(B, N)``.
    """
    newest = rows.told.flip(-1)
    sold = ((rows.values > 0) * rows.told).flip(-1).cumsum(-1) > 0
    return SimpleNamespace(quiet=(newest * ~sold).sum(-1), missing=(1 - newest).cumprod(-1).sum(-1))
