"""What the network sees: a portfolio's units, and features of cells, rows and portfolios.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations, of rows, or,
for continuous outcomes, on the unit of measurement.
"""

from typing import NamedTuple

import torch

LEVEL_WEIGHT = 0.25  # pseudo-observations of the portfolio's unit in a row's level
NOISE_RANGE = (0.02, 2.0)  # bounds of a portfolio's relative noise
N_CONTEXT_SEEN = 500  # rows beyond this number say nothing new about "how many rows"
N_ORDER_STATISTICS = 8
MAX_LOG_COUNT = 12.0  # whole numbers above e^12 look continuous


class PortfolioUnits(NamedTuple):
    """What the context rows say about scale; each of shape ``(B, 1)``."""

    scale: torch.Tensor  # geometric mean of the positive observations
    noise: torch.Tensor  # relative noise of an observation around its row's level
    unevenness: torch.Tensor  # log of how much the rows' relative variances differ
    slope: torch.Tensor  # whether rows of high level are noisier (> 0) or quieter (< 0)
    extra_noise: torch.Tensor  # what of it is not that of counts
    count_share: torch.Tensor  # share of Poisson noise that there is, 1 unless quieter
    noise_centre: torch.Tensor  # mean of the rows' log noise against the expected one
    noise_variance: torch.Tensor  # variance between rows of log noise, beyond chance
    spread: torch.Tensor  # standard deviation of the rows' log levels
    level_variance: torch.Tensor  # variance between rows of log level, beyond chance
    centre: torch.Tensor  # mean of the rows' log levels
    zero_share: torch.Tensor
    log_rows: torch.Tensor
    log_depth: torch.Tensor  # log of one plus the mean number of observations a row
    whole: torch.Tensor  # 1 for whole-number outcomes, else 0


class Rows(NamedTuple):
    """Observations of rows, with missing cells filled and marked."""

    values: torch.Tensor  # (B, N, n), sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed
    count: torch.Tensor  # (B, N)


def as_rows(observations):
    """Sort each row's observations, so that their order cannot matter, to `Rows`."""
    missing = observations.isnan()
    values = torch.where(missing, torch.inf, observations).sort(dim=-1).values
    seen = (values < torch.inf).to(values.dtype)
    return Rows(values.masked_fill(values == torch.inf, 0.0), seen, seen.sum(-1))


def _sums(pieces, weights, columns):
    """Sums over context rows of what ``columns(rows)`` gives a row; one ``(B, 1)`` a column.

    The rows come in pieces ``(B, N_c, n)``; a weight ``(B, N_c)`` is 1 for a row of the context.
    """
    parts = [
        [(column * weight).sum(-1, keepdim=True) for column in columns(as_rows(piece))]
        for piece, weight in zip(pieces, weights, strict=True)
    ]
    return [sum(column) for column in zip(*parts, strict=True)]


def _log_positives(rows):
    """The mean log positive observation of each row, and whether it has one."""
    positive = (rows.values > 0).to(rows.values.dtype)
    n_positive = positive.sum(-1)
    logs = torch.where(rows.values > 0, rows.values, 1.0).log()
    mean_log = (logs * positive).sum(-1) / n_positive.clamp_min(1)
    has = (n_positive > 0).to(mean_log.dtype)
    return mean_log * has, has


def row_level(rows, scale):
    """A row's mean in units of scale, pulled a little towards 1; ``(B, N)``."""
    total = rows.values.sum(-1) / scale
    return (total + LEVEL_WEIGHT) / (rows.count + LEVEL_WEIGHT)


def _relative_squares(rows, scale, level):
    """Sum of squared relative deviations of each row from its own mean; ``(B, N)``."""
    y = rows.values / scale.unsqueeze(-1)
    mean = y.sum(-1) / rows.count.clamp_min(1)
    squares = ((y - mean.unsqueeze(-1)) ** 2 * rows.seen).sum(-1)
    return squares / level**2


def row_noise(units, level):
    """Relative noise that a row of some level is expected to have; as ``level``.

    Counts are noisier, relative to their level, the smaller they are: what Poisson noise
    explains of the portfolio's noise is taken to be that.
    """
    grain = units.whole / units.scale
    return (units.extra_noise**2 + units.count_share * grain / level).sqrt()


def excess_log_noise(rows, units, level):
    """Log of a row's own noise against the expected one; 0 where it has none; ``(B, N)``."""
    degrees = (rows.count - 1).clamp_min(0)
    variance = _relative_squares(rows, units.scale, level) / degrees.clamp_min(1)
    expected = row_noise(units, level) ** 2
    return 0.5 * ((variance + 0.05 * expected) / expected).log() * (degrees > 0)


def _chance_of_log_noise(rows):
    """Variance of a row's log noise by chance alone, if its noise is normal."""
    return torch.special.polygamma(1, (rows.count - 1).clamp_min(1) / 2) / 4


def _chance_of_log_level(rows, units, level):
    """Variance of a row's log level by chance alone."""
    return row_noise(units, level) ** 2 / rows.count.clamp_min(0.1)


def _moments(rows, scale):
    """What is summed over rows for `_plain_units`."""
    level = row_level(rows, scale)
    log_level = level.log()
    degrees = (rows.count - 1).clamp_min(0)
    squares = torch.minimum(_relative_squares(rows, scale, level), 4 * degrees)
    used = (rows.count > 0).to(level.dtype)
    return (
        used,
        log_level * used,
        log_level**2 * used,
        degrees,
        squares,
        squares**2 / degrees.clamp_min(1),
        squares * log_level,
        squares * level,
        degrees * level,
        ((rows.values == 0) * rows.seen).sum(-1),
        rows.count,
        torch.ones_like(level),
    )


def _plain_units(scale, whole, moments):
    """`PortfolioUnits` before the variances are parted from chance."""
    used, total, total_square, degrees, squares, fourth, tilted = moments[:7]
    by_level, (zeros, cells, n_rows) = moments[7:9], moments[9:]
    centre = total / used.clamp_min(1)
    variance = (total_square / used.clamp_min(1) - centre**2).clamp_min(0)
    noise = ((squares + 0.02 * (0.5 * variance + 0.05)) / (degrees + 0.02)).sqrt()
    noise = noise.clamp(*NOISE_RANGE)
    extra_noise, count_share = _count_noise(*by_level, degrees, noise, whole / scale, centre.exp())
    return PortfolioUnits(
        scale=scale,
        noise=noise,
        extra_noise=extra_noise,
        count_share=count_share,
        unevenness=((fourth * degrees + 1e-6) / (squares**2 + 1e-6)).log(),
        slope=(tilted / (squares + 1e-6) - centre) * (degrees > 0),
        noise_centre=torch.zeros_like(noise),
        noise_variance=torch.zeros_like(noise),
        spread=(variance + 1e-4).sqrt(),
        level_variance=variance,
        centre=centre,
        zero_share=zeros / cells.clamp_min(1),
        log_rows=used.clamp(1, N_CONTEXT_SEEN).log(),
        log_depth=(cells / n_rows.clamp_min(1)).log1p(),
        whole=whole,
    )


def _count_noise(squares_by_level, degrees_by_level, degrees, noise, grain, typical_level):
    """What Poisson noise leaves of the noise of whole numbers, and how far there is such noise.

    Of counts with Poisson and proportional noise, relative variance times level is the grain
    plus the proportional variance times the level.
    """
    of_counts = grain * degrees
    share = ((squares_by_level + 1e-6) / (of_counts + 1e-6)).clamp_max(1.0)
    left = (squares_by_level - of_counts) / degrees_by_level.clamp_min(1e-6)
    left = left.clamp_min(0.01 * noise**2).sqrt()
    guess = (noise**2 - grain / typical_level).clamp_min(0.01 * noise**2).sqrt()
    extra_noise = torch.where(degrees > 0, left, guess)
    return (
        torch.where(grain > 0, extra_noise, noise),
        torch.where((grain > 0) & (degrees > 0), share, 1.0),
    )


def _chances(rows, units):
    """What is summed over rows to tell variance between rows from chance."""
    level = row_level(rows, units.scale)
    with_noise = (rows.count > 1).to(level.dtype)
    log_noise = excess_log_noise(rows, units, level)
    return (
        with_noise,
        log_noise,
        log_noise**2,
        _chance_of_log_noise(rows) * with_noise,
        _chance_of_log_level(rows, units, level) * (rows.count > 0),
        (rows.count > 0).to(level.dtype),
    )


def portfolio_units(pieces, weights, whole):
    """`PortfolioUnits` of the context.

    Parameters
    ----------
    pieces : list of Tensor of shape (B, N_c, n)
        Observations of the rows, NaN where missing.

    weights : list of Tensor of shape (B, N_c)
        1 for a row of the context, else 0.

    whole : Tensor of shape (B, 1)
        1 where outcomes are whole numbers, else 0.
    """
    log_sum, log_count = _sums(pieces, weights, _log_positives)
    scale = (log_sum / log_count.clamp_min(1)).exp()
    units = _plain_units(scale, whole, _sums(pieces, weights, lambda rows: _moments(rows, scale)))
    chances = _sums(pieces, weights, lambda rows: _chances(rows, units))
    with_noise, log_noise, log_noise_square, noise_chance, level_chance, used = chances
    with_noise = with_noise.clamp_min(1)
    noise_centre = log_noise / with_noise
    noise_variance = log_noise_square / with_noise - noise_centre**2 - noise_chance / with_noise
    return units._replace(
        noise_centre=noise_centre,
        noise_variance=noise_variance.clamp_min(0.002),
        level_variance=(units.level_variance - level_chance / used.clamp_min(1)).clamp_min(0.0005),
    )


def portfolio_features(units):
    """Features that all rows of a portfolio share, ``(B, 1, 13)``."""
    return torch.stack(
        [
            units.noise.log(),
            units.unevenness,
            0.5 * units.noise_variance.log(),
            (units.extra_noise / units.noise).log(),
            units.count_share * units.whole,
            0.5 * (units.level_variance / units.noise**2).log(),
            torch.asinh(units.slope),
            units.spread.log(),
            units.zero_share,
            units.log_rows / 3,
            units.log_depth / 2,
            units.whole,
            units.whole * units.scale.log().clamp(-4, MAX_LOG_COUNT) / 4,
        ],
        dim=-1,
    )


N_PORTFOLIO_FEATURES = 13
N_CELL_FEATURES = 7
N_ROW_FEATURES = 12 + N_ORDER_STATISTICS


def level_credibility(rows, units, level):
    """How far a row's own level is to be believed, by moments (Buhlmann); ``(B, N)``."""
    chance = _chance_of_log_level(rows, units, level)
    return (units.level_variance / (units.level_variance + chance)).clamp(0.002, 0.998)


def noise_credibility(rows, units):
    """How far a row's own noise is to be believed, by moments; ``(B, N)``."""
    chance = _chance_of_log_noise(rows)
    return (units.noise_variance / (units.noise_variance + chance)).clamp(0.002, 0.998)


def cell_features(rows, units, level):
    """Features of every observation, ``(B, N, n, 7)``.

    Each is set against its row's level, and against the level of the row's *other*
    observations: that is how far a next outcome may lie from what is known.
    """
    y = rows.values / units.scale.unsqueeze(-1)
    level = level.unsqueeze(-1)
    others = (y.sum(-1, keepdim=True) - y + LEVEL_WEIGHT) / (
        rows.count.unsqueeze(-1) - 1 + LEVEL_WEIGHT
    ).clamp_min(LEVEL_WEIGHT)
    noise = units.noise.unsqueeze(-1)
    whole = units.whole.unsqueeze(-1)
    return torch.stack(
        [
            torch.asinh((y / level - 1) / noise),
            (y / level + 0.02).log(),
            torch.asinh((y / others - 1) / noise),
            (y / others + 0.02).log(),
            (rows.values == 0).to(y.dtype),
            (y + 0.05).log(),
            whole * torch.asinh(rows.values).clamp_max(MAX_LOG_COUNT) / 4,
        ],
        dim=-1,
    )


def _order_statistics(rows, units, level):
    """Standardised order statistics of each row, ``(B, N, 8)``; 0 for an empty row."""
    last = (rows.count - 1).clamp_min(0).unsqueeze(-1)
    fractions = torch.linspace(
        0, 1, N_ORDER_STATISTICS, dtype=rows.values.dtype, device=rows.values.device
    )
    position = last * fractions
    lower = position.floor()
    share = position - lower
    upper = torch.minimum(lower + 1, last)
    values = rows.values / units.scale.unsqueeze(-1)
    at = torch.lerp(values.gather(-1, lower.long()), values.gather(-1, upper.long()), share)
    standard = torch.asinh((at / level.unsqueeze(-1) - 1) / units.noise.unsqueeze(-1))
    return standard * (rows.count > 0).unsqueeze(-1)


def row_features(rows, units, level):
    """Summaries of every row, ``(B, N, 20)``."""
    log_level = level.log()
    relative_noise = excess_log_noise(rows, units, level)
    zeros = ((rows.values == 0) * rows.seen).sum(-1)
    count_level = (log_level + units.scale.log()).clamp(-5, MAX_LOG_COUNT)
    summaries = torch.stack(
        [
            log_level,
            ((log_level - units.centre) / units.spread).clamp(-10, 10),
            level_credibility(rows, units, level).logit() / 2,
            noise_credibility(rows, units).logit() / 2,
            torch.asinh((log_level - units.centre) / units.noise),
            rows.count.log1p(),
            (rows.count == 0).to(level.dtype),
            1 / (rows.count + 0.5),
            zeros / rows.count.clamp_min(1),
            relative_noise,
            (row_noise(units, level) / units.noise).log(),
            units.whole * count_level / 4,
        ],
        dim=-1,
    )
    return torch.cat([summaries, _order_statistics(rows, units, level)], dim=-1)
