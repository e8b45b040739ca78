"""What a portfolio's context says about scale, noise and zeros: moments over its rows.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations or of rows.
"""

from types import SimpleNamespace
from typing import NamedTuple

import torch

LEVEL_WEIGHT = 0.25  # pseudo-observations of the portfolio's unit in a row's level
NOISE_RANGE = (0.02, 3.0)  # bounds of a portfolio's relative noise
N_CONTEXT_SEEN = 500  # rows beyond this number say nothing new about "how many rows"
MOST_UNITS = 1e12  # of an observation: its square is still a number in float32
SMALL_COUNT = 5.0  # below about this, zeros are what counts have anyway
SMALL_POWER = 4  # of how sharply: a zero among eights is worth 0.9 of one, among threes 0.1
# what keeps ratios of sums over few, or all equal, rows finite, and logs and logits of them
LEAST_SUM = 1e-6  # of squares, degrees of freedom or zeros, as they come
LEAST_CELLS = 0.1  # observations of an empty row
LEAST_ZERO_CELLS = 1e-3  # observations of rows whose zeros say something
LEAST_WORTH = 0.01  # of all rows' log noise, in rows whose noise is normal
LEAST_KNOWN, KNOWN = 1e-12, 1e-9  # degrees of freedom, weighted; and from which there are any
LEAST_VARIANCE = 1e-4  # added to that of rows' log levels
LEAST_LEVEL_VARIANCE, LEAST_NOISE_VARIANCE = 0.0005, 0.002  # of logs, between rows, beyond chance
CREDIBILITY_RANGE = (0.002, 0.998)  # of a row's level and noise; never certain
ZERO_RANGE = (1e-4, 0.998)  # of a row's share of zeros
TRUST_RANGE = (0.005, 0.95)  # of the correlation of two zeros of a row
QUIETEST = 0.05  # of the expected variance of a row, added to its own
# what is guessed where few or none tell: as weak as so many degrees of freedom, or zeros
GUESSED_DEGREES = 0.02  # of freedom, of noise
GUESSED_NOISE = (0.5, 0.05)  # relative variance: that of levels times this, and this
MOST_GUESSED = 0.7  # of what attributes leave of that variance: where levels differ, periods do too
GUESSED_ZEROS = 0.1  # of how shares of zeros differ
GUESSED_SPREAD = 0.03  # of shares of zeros between rows, over chance
# what one wild row may say of noise: squared deviations at most, for each of its degrees of freedom
MOST_SQUARES = 4.0  # relative ones
MOST_OF_EXPECTED = 9.0  # times the expected ones
# variance of whole numbers that is not that of counts
LEAST_LEFT = 0.01  # of all relative variance
LEFT_RANGE = (1e-6, 4.0)  # relative; at most that of noise of 2
LEAST_SURE = 0.3  # standard errors of itself: less cannot be told from none


class PortfolioUnits(NamedTuple):
    """What the context rows say; each of shape ``(B, 1)``."""

    scale: torch.Tensor  # geometric mean of the positive observations
    whole: torch.Tensor  # 1 for whole-number outcomes, else 0
    # levels
    centre: torch.Tensor  # mean of the rows' log levels
    log_mean: torch.Tensor  # log of the mean observation, which zeros make smaller than levels
    spread: torch.Tensor  # standard deviation of the rows' log levels
    level_variance: torch.Tensor  # variance between rows of log level, beyond chance
    # noise
    noise: torch.Tensor  # relative noise of an observation around its row's level
    extra_noise: torch.Tensor  # what of it is not that of counts
    count_share: torch.Tensor  # share of Poisson noise that there is, 1 unless quieter
    unevenness: torch.Tensor  # log of how much the rows' relative variances differ
    slope: torch.Tensor  # whether rows of high level are noisier (> 0) or quieter (< 0)
    noise_centre: torch.Tensor  # mean of the rows' log noise against the expected one
    noise_variance: torch.Tensor  # variance between rows of log noise, beyond chance
    # zeros
    zero_share: torch.Tensor
    zero_odds: torch.Tensor  # log of zeros to others
    extra_zeros: torch.Tensor  # share of zeros in rows whose positives are no small counts
    zero_spread: torch.Tensor  # how much those rows' shares of zeros differ; 1 if by chance
    zero_trust: torch.Tensor  # correlation of two zeros of a row: 0 if shares do not differ
    positive_noise: torch.Tensor  # relative noise of the positive observations of a row
    # what stock capped
    capped_share: torch.Tensor  # of all cells
    told_share: torch.Tensor  # of what all cells tell of levels if they are seen
    # size
    log_rows: torch.Tensor
    log_depth: torch.Tensor  # log of one plus the mean number of observations a row


class Rows(NamedTuple):
    """Observations of rows, with missing cells filled and marked.

    Where nothing is known of stock, all from ``sales`` on is None; as is ``offset``, where nothing
    is of attributes.
    """

    values: torch.Tensor  # (B, N, n), sorted, 0 where missing
    seen: torch.Tensor  # (B, N, n) float, 1 where observed, less where capped
    count: torch.Tensor  # (B, N), their sum
    sales: torch.Tensor = None  # (B, N, n), what was observed of values
    capped: torch.Tensor = None  # (B, N, n) float, 1 where values are at least that
    variance: torch.Tensor = None  # (B, N, n), of values that are only expected
    told: torch.Tensor = None  # (B, N, n), what cells tell of their row's level: 1 if seen
    doubt: torch.Tensor = None  # (B, N), deviation of the log level, given all cells
    offset: torch.Tensor = None  # (B, N), of the log of a row's unit, which else all share

    def sorted(self):
        """The same cells, in order of their values, missing ones last."""
        order = torch.where(self.seen > 0, self.values, torch.inf).argsort(dim=-1)
        cells = {name: x.gather(-1, order) for name, x in self._asdict().items() if name in _CELLS}
        return self._replace(**cells)


_CELLS = ("values", "seen", "sales", "capped", "variance", "told")


def units_of_rows(units, rows):
    """Units whose scale is that of each row, ``(B, N)``, where attributes tell of levels."""
    offset = offset_of(rows)
    return units if offset is None else units._replace(scale=units.scale * offset.exp())


def offset_of(rows):
    """What attributes tell of rows' log levels; None of nothing, and of rows of other kinds."""
    return getattr(rows, "offset", None)


def as_rows(observations, stock=None, offset=None):
    """Sort each row's observations, so that their order cannot matter, to `Rows`.

    With stock their order stays: it will be that of what capped cells are completed to.
    """
    missing = observations.isnan()
    if stock is None:
        values = torch.where(missing, torch.inf, observations).sort(dim=-1).values
        seen = (values < torch.inf).to(values.dtype)
        values = values.masked_fill(values == torch.inf, 0.0)
        return Rows(values, seen, seen.sum(-1), offset=offset)
    seen, sales = (~missing).to(observations.dtype), observations.nan_to_num(0.0)
    capped = (observations >= stock).to(seen.dtype)
    nothing, told = torch.zeros_like(seen), seen * (1 - capped)
    return Rows(sales, seen, seen.sum(-1), sales, capped, nothing, told, offset=offset)


# ------------------------------------------------------------------ a row on its own


def row_level(rows, scale):
    """A row's mean in units of scale, pulled a little towards 1; ``(B, N)``."""
    total = ((rows.values * rows.seen).sum(-1) / scale).clamp_max(MOST_UNITS)
    return (total + LEVEL_WEIGHT) / (rows.count + LEVEL_WEIGHT)


def _at_least_one(rows):
    """What sums over cells are divided by for their mean: 1 where there is none."""
    return torch.where(rows.count > 0, rows.count, 1.0)


def _degrees(count):
    return (count - 1).clamp_min(0)


def _relative_squares(rows, scale, level):
    """Sum of squared relative deviations of each row from its own mean; ``(B, N)``."""
    y = (rows.values / scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    mean = (y * rows.seen).sum(-1) / _at_least_one(rows)
    squares = ((y - mean.unsqueeze(-1)) ** 2 * rows.seen).sum(-1)
    return (squares + _of_expected(rows, scale, rows.count)) / level**2


def _of_expected(rows, scale, count):
    """What values that are only expected add to squared deviations from their mean; ``(B, N)``."""
    if rows.variance is None:
        return 0.0
    return (rows.variance * rows.seen).sum(-1) / scale**2 * (1 - 1 / count.clamp_min(1))


def n_zeros(rows):
    """Number of zeros of each row; ``(B, N)``."""
    return ((rows.values == 0) * rows.seen).sum(-1)


class PositivePart(NamedTuple):
    """A row's positive observations; each of shape ``(B, N)``."""

    count: torch.Tensor
    level: torch.Tensor  # their mean in units of scale, pulled a little towards 1
    squares: torch.Tensor  # sum of their squared relative deviations from their mean


def positive_part(rows, scale):
    """`PositivePart` of each row."""
    positive = (rows.values > 0) * rows.seen
    y = (rows.values / scale.unsqueeze(-1)).clamp_max(MOST_UNITS)
    count, total = positive.sum(-1), (y * positive).sum(-1)
    level = (total + LEVEL_WEIGHT) / (count + LEVEL_WEIGHT)
    mean = (total / torch.where(count > 0, count, 1.0)).unsqueeze(-1)
    squares = ((y - mean) ** 2 * positive).sum(-1) + _of_expected(rows, scale, count)
    return PositivePart(count, level, squares / level**2)


def _worth_of_zeros(rows, part, scale, whole):
    """Whether a zero is more than a small count: 1 for continuous outcomes; ``(B, N)``."""
    large = 1 / (1 + (SMALL_COUNT / (part.level * scale)) ** SMALL_POWER)
    judged = (part.count > 0) | (rows.count == 1)  # a single zero by the portfolio's level
    return torch.where(whole > 0, large * judged, 1.0)


# ------------------------------------------------------------------ a row in its portfolio


def row_noise(units, level):
    """Relative noise that a row of some level is expected to have; as ``level``.

    Counts are noisier, relative to their level, the smaller they are: what Poisson noise
    explains of the portfolio's noise is taken to be that.
    """
    grain = units.whole / units.scale
    return (units.extra_noise**2 + units.count_share * grain / level).sqrt()


def excess_log_noise(rows, units, level):
    """Log of a row's own noise against the expected one; 0 where it has none; ``(B, N)``."""
    degrees = _degrees(rows.count)
    variance = _relative_squares(rows, units.scale, level) / degrees.clamp_min(1)
    expected = row_noise(units, level) ** 2
    return 0.5 * ((variance + QUIETEST * expected) / expected).log() * (degrees > 0)


def _chance_of_log_noise(rows, units, level):
    """Variance of a row's log noise by chance: if its noise is normal, and of few counts."""
    normal = torch.special.polygamma(1, (rows.count - 1).clamp_min(1) / 2) / 4
    counted = rows.count * level  # in grains: the sum of the counts
    return normal, normal + units.whole / units.scale / counted.clamp_min(LEAST_SUM) / 4


def _chance_of_log_level(rows, units, level):
    """Variance of a row's log level by chance alone."""
    return row_noise(units, level) ** 2 / rows.count.clamp_min(LEAST_CELLS)


def level_credibility(rows, units, level):
    """How far a row's own level is to be believed, by moments (Buhlmann); ``(B, N)``."""
    chance = _chance_of_log_level(rows, units, level)
    return (units.level_variance / (units.level_variance + chance)).clamp(*CREDIBILITY_RANGE)


def noise_credibility(rows, units):
    """How far a row's own noise is to be believed, by moments; ``(B, N)``."""
    _, chance = _chance_of_log_noise(rows, units, row_level(rows, units.scale))
    return (units.noise_variance / (units.noise_variance + chance)).clamp(*CREDIBILITY_RANGE)


def zero_credibility(rows, units):
    """A row's share of zeros, pulled to the portfolio's (beta-binomial moments); ``(B, N)``."""
    worth = _worth_of_zeros(rows, positive_part(rows, units.scale), units.scale, units.whole)
    pseudo = 1 / units.zero_trust - 1
    share = (n_zeros(rows) * worth + pseudo * units.extra_zeros) / (rows.count + pseudo)
    return share.clamp(*ZERO_RANGE)


# ------------------------------------------------------------------ sums over rows


def _sums(rows, weights, columns):
    """Sums over context rows of what ``columns(rows)`` gives a row, by name; ``(B, 1)`` each.

    The rows come in parts; a weight ``(B, N_c)`` is 1 for a row of the context.
    """
    parts = [
        {
            name: column.where(weight > 0, 0.0).sum(-1, keepdim=True)
            for name, column in columns(part).items()
        }
        for part, weight in zip(rows, weights, strict=True)
    ]
    return SimpleNamespace(**{name: sum(part[name] for part in parts) for name in parts[0]})


def _log_positives(rows):
    """What is summed for the scale."""
    positive = (rows.values > 0).to(rows.values.dtype)
    n_positive = positive.sum(-1)
    logs = torch.where(rows.values > 0, rows.values, 1.0).log()
    mean_log = (logs * positive).sum(-1) / n_positive.clamp_min(1)
    offset = offset_of(rows)
    if offset is not None:
        mean_log = mean_log - offset
    has = (n_positive > 0).to(mean_log.dtype)
    return {"total": mean_log * has, "rows": has}


def _moments(rows, scale, whole):
    """What is summed for `_plain_units`."""
    offset = offset_of(rows)
    offset = torch.zeros_like(rows.count) if offset is None else offset
    common, scale = scale, scale if offset_of(rows) is None else scale * offset.exp()
    level = row_level(rows, scale)
    log_level = level.log()
    degrees = _degrees(rows.count)
    squares = torch.minimum(_relative_squares(rows, scale, level), MOST_SQUARES * degrees)
    used = (rows.count > 0).to(level.dtype)
    zeros = n_zeros(rows)
    part = positive_part(rows, scale)
    worth = _worth_of_zeros(rows, part, scale, whole) * used
    return {
        "rows": torch.ones_like(level),
        "used": used,
        "cells": rows.count,
        "amount": ((rows.values * rows.seen).sum(-1) / scale).clamp_max(MOST_UNITS),
        "log_level": log_level * used,
        "log_level_square": log_level**2 * used,
        "offset": offset * used,
        "offset_square": offset**2 * used,
        "degrees": degrees,
        "degrees_by_level": degrees * level,
        "finer": degrees * (whole / scale - whole / common),
        "squares": squares,
        "squares_by_level": squares * level,
        "squares_by_log_level": squares * log_level,
        "fourth": squares**2 / degrees.clamp_min(1),
        "zeros": zeros,
        "zero_rows": worth,
        "zero_cells": worth * rows.count,
        "worthy_zeros": worth * zeros,
        "worthy_zeros_square": worth * zeros**2 / rows.count.clamp_min(1),
        "positive_degrees": _degrees(part.count),
        "positive_squares": part.squares,
    }


def _chances(rows, units):
    """What is summed to tell variance between rows from chance."""
    units = units_of_rows(units, rows)
    level = row_level(rows, units.scale)
    used = (rows.count > 0).to(level.dtype)
    normal, chance = _chance_of_log_noise(rows, units, level)
    worth = (normal / chance) ** 2 * (rows.count > 1)  # little where little was counted
    log_noise = excess_log_noise(rows, units, level)
    # where attributes part large rows from small ones, those that are sure of their level count
    chance_of_level = _chance_of_log_level(rows, units, level)
    told = torch.zeros_like(level)
    if offset_of(rows) is not None:
        told = used / (chance_of_level + units.level_variance) ** 2
    # relative variances, each weighted by how well its row knows it
    degrees = _degrees(rows.count)
    expected = row_noise(units, level) ** 2
    of_counts = units.whole / units.scale / level
    most = MOST_OF_EXPECTED * degrees * expected
    squares = torch.minimum(_relative_squares(rows, units.scale, level), most)
    return {
        "used": used,
        "level_chance": chance_of_level * used,
        "told": told,
        "told_square": told * ((level.log() - units.centre) ** 2 - chance_of_level),
        "worth": worth,
        "log_noise": log_noise * worth,
        "log_noise_square": log_noise**2 * worth,
        "noise_chance": chance * worth,
        "squares": squares / expected**2,
        "of_counts": degrees * of_counts / expected**2,
        "known": degrees / expected**2,
    }


# ------------------------------------------------------------------ the portfolio


def portfolio_units(rows, weights, whole):
    """`PortfolioUnits` of the context.

    Parameters
    ----------
    rows : list of Rows
        In parts, of shape (B, N_c).

    weights : list of Tensor of shape (B, N_c)
        1 for a row of the context, else 0.

    whole : Tensor of shape (B, 1)
        1 where outcomes are whole numbers, else 0.
    """
    logs = _sums(rows, weights, _log_positives)
    scale = (logs.total / logs.rows.clamp_min(1)).exp()
    moments = _sums(rows, weights, lambda part: _moments(part, scale, whole))
    units = _plain_units(scale, whole, moments)
    chances = _sums(rows, weights, lambda part: _chances(part, units))
    return _parted_from_chance(units, chances)


def _plain_units(scale, whole, sums):
    """`PortfolioUnits` before the variances are parted from chance."""
    centre = sums.log_level / sums.used.clamp_min(1)
    variance = (sums.log_level_square / sums.used.clamp_min(1) - centre**2).clamp_min(0)
    told = sums.offset_square / sums.used.clamp_min(1)
    told = (told - (sums.offset / sums.used.clamp_min(1)) ** 2).clamp_min(0)
    guess = torch.minimum(GUESSED_NOISE[0] * (variance + told), MOST_GUESSED * variance)
    guess = GUESSED_DEGREES * (guess + GUESSED_NOISE[1])
    noise = ((sums.squares + guess) / (sums.degrees + GUESSED_DEGREES)).sqrt().clamp(*NOISE_RANGE)
    extra_noise, count_share = _count_noise(sums, noise, whole / scale, centre.exp())
    extra_zeros, zero_spread, zero_trust = _zero_moments(sums)
    positive_noise = sums.positive_squares + GUESSED_DEGREES * noise**2
    positive_noise = positive_noise / (sums.positive_degrees + GUESSED_DEGREES)
    slope = sums.squares_by_log_level / (sums.squares + LEAST_SUM) - centre
    unevenness = (sums.fourth * sums.degrees + LEAST_SUM) / (sums.squares**2 + LEAST_SUM)
    log_mean = ((sums.amount + LEVEL_WEIGHT) / (sums.cells + LEVEL_WEIGHT)).log()
    zero_odds = (sums.zeros + LEVEL_WEIGHT) / (sums.cells - sums.zeros + LEVEL_WEIGHT)
    return PortfolioUnits(
        scale=scale,
        whole=whole,
        centre=centre,
        log_mean=log_mean,
        spread=(variance + LEAST_VARIANCE).sqrt(),
        level_variance=variance,
        noise=noise,
        extra_noise=extra_noise,
        count_share=count_share,
        unevenness=unevenness.log(),
        slope=slope * (sums.degrees > 0),
        noise_centre=torch.zeros_like(noise),
        noise_variance=torch.zeros_like(noise),
        zero_share=sums.zeros / sums.cells.clamp_min(1),
        zero_odds=zero_odds.log(),
        extra_zeros=extra_zeros,
        zero_spread=zero_spread,
        zero_trust=zero_trust,
        positive_noise=positive_noise.sqrt().clamp(*NOISE_RANGE),
        capped_share=torch.zeros_like(noise),
        told_share=torch.ones_like(noise),
        log_rows=sums.used.clamp(1, N_CONTEXT_SEEN).log(),
        log_depth=(sums.cells / sums.rows.clamp_min(1)).log1p(),
    )


def _count_noise(sums, noise, grain, typical_level):
    """What Poisson noise leaves of the noise of whole numbers, and how far there is such noise.

    Of counts with Poisson and proportional noise, relative variance times level is the grain
    plus the proportional variance times the level.
    """
    of_counts = grain * sums.degrees + sums.finer
    share = ((sums.squares_by_level + LEAST_SUM) / (of_counts + LEAST_SUM)).clamp_max(1.0)
    left = (sums.squares_by_level - of_counts) / sums.degrees_by_level.clamp_min(LEAST_SUM)
    left = left.clamp_min(LEAST_LEFT * noise**2).sqrt()
    guess = (noise**2 - grain / typical_level).clamp_min(LEAST_LEFT * noise**2).sqrt()
    extra_noise = torch.where(sums.degrees > 0, left, guess)
    return (
        torch.where(grain > 0, extra_noise, noise),
        torch.where((grain > 0) & (sums.degrees > 0), share, 1.0),
    )


def _zero_moments(sums):
    """Share of zeros beyond small counts, how much rows differ in it, and their correlation."""
    share = (sums.worthy_zeros + LEAST_SUM) / (sums.zero_cells + LEAST_ZERO_CELLS)
    by_chance = sums.zero_rows * share * (1 - share)
    found = sums.worthy_zeros_square - share * sums.worthy_zeros
    spread = (found + GUESSED_ZEROS) / (by_chance + GUESSED_ZEROS)
    others = (sums.zero_cells / sums.zero_rows.clamp_min(LEAST_SUM) - 1).clamp_min(0)
    trust = (spread - 1 + GUESSED_SPREAD) / (others + GUESSED_ZEROS)
    return share, spread, trust.clamp(*TRUST_RANGE)


def _parted_from_chance(units, sums):
    """The units with what chance explains of the variances between rows taken out."""
    worth, known = sums.worth.clamp_min(LEAST_WORTH), sums.known.clamp_min(LEAST_KNOWN)
    noise_centre = sums.log_noise / worth
    noise_variance = sums.log_noise_square / worth - noise_centre**2 - sums.noise_chance / worth
    # the first guess was dominated by rows of small counts, which know little about the rest
    doubt = (2 / known).sqrt()
    left = torch.maximum((sums.squares - sums.of_counts) / known, LEAST_SURE * doubt)
    share = ((sums.squares + LEAST_SUM) / (sums.of_counts + LEAST_SUM)).clamp_max(1.0)
    counted = units.whole * (known > KNOWN) > 0
    level_variance = units.level_variance - sums.level_chance / sums.used.clamp_min(1)
    by_sure_rows = sums.told_square / sums.told.clamp_min(LEAST_SUM)
    level_variance = torch.where(sums.told > 0, by_sure_rows, level_variance)
    return units._replace(
        extra_noise=torch.where(counted, left.clamp(*LEFT_RANGE).sqrt(), units.extra_noise),
        count_share=torch.where(counted, share, units.count_share),
        noise_centre=noise_centre,
        noise_variance=noise_variance.clamp_min(LEAST_NOISE_VARIANCE),
        level_variance=level_variance.clamp_min(LEAST_LEVEL_VARIANCE),
    )
