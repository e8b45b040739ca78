"""What a context says of real values: location, scale, noise and how rows differ.

Plain torch functions. Shapes are written ``(B, N, n)``: ``B`` portfolios of ``N`` rows with
``n`` observation cells each. Nothing here depends on the order of observations or of rows, nor
on the origin and the unit of measurement: all is relative to the portfolio's location and scale.
"""

from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import torch

from sklearn_pttf._kinds.mixing import Mixing, fit_mixing, mixing_posterior
from sklearn_pttf._kinds.normal_means import (
    NormalMeans,
    fit_normal_means,
    masked_median,
    parts_of_means,
)
from sklearn_pttf._kinds.values.rows import (
    STRAY,
    chance_error,
    distances_of,
    log_part,
    mean_of_rows,
    over_limit,
    part_of_way,
    safe_log,
    without_hopeless,
    worth_of_rows,
)
from sklearn_pttf._utils.rounding import TINY_SINGLE

N_CONTEXT_SEEN = 500  # rows beyond this number say nothing new about "how many rows"
NOISE_RANGE = (0.01, 4.0)  # bounds of a portfolio's noise, in units of its scale
FIRST_NOISE, FIRST_LEVEL_VARIANCE = 0.7, 0.5  # scales, until sums over rows say what they are
FAR = 1e4  # scales; what lies further out counts as that
REACH = 3.0  # scales from the location, beyond which observations count as at that distance
N_REFINEMENTS = 4  # of location and scale
MOST = 12.0  # scales that a row's mean counts for at most, or an observation's distance from it
LEAST_SCALE = 0.5  # in standard errors, where these are known
KNOWN_CHANCE = 0.05  # variance by chance of a known log noise, for its weight among others
N_NOISES = 3  # times that noise is found, with what lies far out of the last as nearer
FAR_OUT = 4.0  # times the noise, of an observation that counts as at that distance
LEAST_ERROR = 1e-4  # scales
HALF_WEIGHT = 0.3  # variance of a row's mean, in squared scales, at which it weighs half
# what keeps ratios of sums over few, or all equal, rows finite, and logs and logits of them
LEAST_CELLS = 0.1  # observations of an empty row
LEAST_DEGREES = 0.1  # of freedom, for each observation of a row
LEAST_WORTH = 0.01  # of all rows' log noise, in rows whose variance by chance is 1
LEAST_WEIGHT = 1e-9  # of all rows in their mean
LEAST_LEFT = 0.1  # share of that weight that is left where few rows have it all
LEAST_LEVEL_VARIANCE = 0.0005  # between rows, beyond chance, in squared scales
LEAST_NOISE_VARIANCE = 0.002  # likewise, of log noise
LEVEL_CREDIBILITY = (0.0005, 0.9995)  # of a row's mean; never certain
NOISE_CREDIBILITY = (0.002, 0.998)  # of its noise
QUIETEST = 0.05  # of the expected variance of a row, added to its own
LEAST_EXPECTED = 1e-12  # squared scales, of that
MOST_UNLIKE = 4.0  # log of a row's noise over the common one, either way
GUESSED_DEGREES, GUESSED_NOISE = 0.02, 0.5  # where no row has two observations; squared scales
MOST_DEVIATIONS = 8.0  # of an observation, or a row's mean, in what is said of shapes
NORMAL_CELLS, NORMAL_KURTOSIS = 3, 3.0  # of a normal law, that kurtosis is pulled to
# standard errors, in typical distances of rows, or their logs
PRECISE = (0.01, 0.002)  # between these the exact law takes over from the network's
FAR_ERROR = 4.0  # of a log, from the median, that counts as at that distance
UNLIKE = (2.0, 3.0)  # distance of a row's log from their median, likewise, in this row
UNEQUAL = (1.3, 1.7)  # spread of logs, between which the exact law takes over in all rows
OFF = 1.0  # standard errors that laws' means may be off by on average
CLEAR = 4.0  # standard errors by which a stray must lie out, for its own law to be all that counts


class RealUnits(NamedTuple):
    """What the context rows say; each of shape ``(B, 1)``, or ``(B, G)`` of a distribution."""

    location: torch.Tensor  # mean of the rows' means, without outliers' pull
    scale: torch.Tensor  # mean absolute distance of observations from it, likewise
    # in units of scale
    centre: torch.Tensor  # mean of the rows' means, by how well each is known
    noise: torch.Tensor  # standard deviation of an observation around its row's mean
    level_variance: torch.Tensor  # variance between rows of their means, beyond chance
    # shapes
    noise_centre: torch.Tensor  # mean of the rows' log noise against the common one
    noise_variance: torch.Tensor  # variance between rows of log noise, beyond chance
    noise_tail: torch.Tensor  # log kurtosis of observations around their row's mean
    noise_skew: torch.Tensor
    level_tail: torch.Tensor  # log kurtosis of rows' means
    level_skew: torch.Tensor
    level_core: torch.Tensor  # mean distance of rows' means, of what is expected
    slope: torch.Tensor  # whether rows of high means are noisier
    # standard errors
    known: torch.Tensor  # share of rows whose standard error is given
    # size
    log_rows: torch.Tensor
    log_depth: torch.Tensor  # log of one plus the mean number of observations a row
    # distribution of the rows' means, in units of scale, see `Mixing`
    points: torch.Tensor
    width: torch.Tensor
    weights: torch.Tensor
    # what laws are moved by, see `levelled_units`
    shift: torch.Tensor  # of the mean of a row that nothing is known of, in units of scale
    # rows that the network has not seen the like of
    middle: torch.Tensor  # median of the rows' means, in units of scale from the location
    typical: torch.Tensor  # distance from it, in units of scale
    limit: torch.Tensor  # farthest distance from it of a row that is no stray; 0 is none
    error: torch.Tensor  # median standard error of an observation, in units of scale
    log_error: torch.Tensor  # median of the logs of the rows' standard errors, in units of scale
    unequal: torch.Tensor  # how far the exact law takes over in all rows, from 0 to 1
    # that law, see `NormalMeans`
    likely: torch.Tensor
    spreads: torch.Tensor
    centres: torch.Tensor
    doubts: torch.Tensor
    places: torch.Tensor
    around: torch.Tensor
    shares: torch.Tensor
    normal: torch.Tensor


# ------------------------------------------------------------------ a row in its portfolio


def placed_rows(rows, units):
    """Rows as their portfolio sees them: one of a hopeless standard error is as without any."""
    return without_hopeless(rows, units.scale * units.typical, units.scale * units.error)


def counted_rows(rows, units):
    """Whether a row says something of the others; bool (B, N)."""
    middle = units.location + units.scale * units.middle
    worth = worth_of_rows(rows, middle, units.scale * units.typical, units.scale * units.limit)
    return worth >= 0.5


def standard(rows, units):
    """Observations in units of the portfolio, 0 where missing; ``(B, N, n)``."""
    y = (rows.values - units.location.unsqueeze(-1)) / units.scale.unsqueeze(-1)
    return y.clamp(-FAR, FAR) * rows.seen


def row_mean(rows, units):
    """Means of rows, the centre for an empty one; ``(B, N)``."""
    mean = standard(rows, units).sum(-1) / rows.count.clamp_min(1)
    return torch.where(rows.count > 0, mean, units.centre.expand_as(mean))


def _degrees(rows):
    return (rows.count - 1).clamp_min(0)


def _residuals(rows, units):
    """Distances of a row's observations from their mean, 0 where missing; ``(B, N, n)``."""
    y = standard(rows, units)
    mean = y.sum(-1) / rows.count.clamp_min(1)
    return (y - mean.unsqueeze(-1)).clamp(-MOST, MOST) * rows.seen


def common_noise(rows, units):
    """Noise that a row is expected to have: its standard error, or the portfolio's; ``(B, N)``."""
    known = ~rows.told.isnan()
    errors = (rows.told.nan_to_num() / units.scale).clamp_min(LEAST_ERROR)
    return torch.where(known, errors, units.noise)


def excess_log_noise(rows, units):
    """Log of a row's own noise against the expected one; 0 where it has none; ``(B, N)``."""
    degrees = _degrees(rows)
    expected = common_noise(rows, units) ** 2
    variance = (_residuals(rows, units) ** 2).sum(-1) / degrees.clamp_min(1)
    return (
        0.5
        * ((variance + QUIETEST * expected) / expected.clamp_min(LEAST_EXPECTED)).log()
        * (degrees > 0)
    )


def noise_credibility(rows, units):
    """How far a row's own noise is to be believed, by moments; ``(B, N)``."""
    chance = torch.special.polygamma(1, _degrees(rows).clamp_min(1) / 2) / 4
    return (units.noise_variance / (units.noise_variance + chance)).clamp(*NOISE_CREDIBILITY)


def row_noise(rows, units, trust=0.0):
    """A row's noise, between its own and the common one; a given error as it is; ``(B, N)``."""
    credibility = (noise_credibility(rows, units).logit() + trust).sigmoid()
    own = excess_log_noise(rows, units) - units.noise_centre * (rows.count > 1)
    own = torch.where(rows.errors.isnan(), credibility * own, 0.0)
    return common_noise(rows, units) * own.clamp(-MOST_UNLIKE, MOST_UNLIKE).exp()


def chance_variance(rows, units):
    """Variance of a row's mean by chance alone; ``(B, N)``."""
    return row_noise(rows, units) ** 2 / rows.count.clamp_min(LEAST_CELLS)


def level_credibility(rows, units):
    """How far a row's own mean is to be believed, by moments (Buhlmann); ``(B, N)``."""
    chance = chance_variance(rows, units)
    return (units.level_variance / (units.level_variance + chance)).clamp(*LEVEL_CREDIBILITY)


def posterior_deviation(rows, units):
    """Standard deviation of a row's mean given its observations, by moments; ``(B, N)``."""
    chance = chance_variance(rows, units)
    return (chance * units.level_variance / (units.level_variance + chance)).sqrt()


def mixing_of(units):
    """`Mixing` of the portfolio."""
    return Mixing(units.points, units.width, units.weights)


def posterior_of(rows, units):
    """What the portfolio's distribution of means says of rows; `MixingPosterior`."""
    chance = chance_variance(rows, units)
    return mixing_posterior(mixing_of(units), row_mean(rows, units), chance, rows.count > 0)


# ------------------------------------------------------------------ the mean of all


def mean_shift(rows, units):
    """What a row's law is moved by: the less, the better the row is known; ``(B, N)``."""
    return units.shift * (1 - level_credibility(rows, units))


def levelled_units(units, pieces, means):
    """The units with a shift of laws, where their means are off on average.

    They are off if the noise of rows hangs on their means in a way that the network has not seen:
    that of amounts that are mostly zero, say.

    Parameters
    ----------
    units : RealUnits

    pieces : list of RealRows
        Placed rows of the context.

    means : list of Tensor of shape (B, N_c)
        Of the laws of rows' means, in units of scale.
    """

    def weights(rows):
        chance = common_noise(rows, units) ** 2 / rows.count.clamp_min(1)
        counts = (rows.count > 0) & counted_rows(rows, units)
        return counts / (units.level_variance + chance)

    def first(rows, mean):
        weight, own = weights(rows), own_mean(rows, units)
        free = weight * (1 - level_credibility(rows, units))
        return weight, weight * own, weight * (own - mean), free

    def total(columns):
        columns = zip(*columns, strict=True)
        return [sum(part.sum(-1, keepdim=True) for part in parts) for parts in columns]

    weight, own, short, free = total(map(first, pieces, means))
    middle = own / weight.clamp_min(TINY_SINGLE)
    squares = [[(weights(rows) * (own_mean(rows, units) - middle)) ** 2] for rows in pieces]
    error = total(squares)[0].sqrt()
    beyond = short.sign() * (short.abs() - OFF * error).clamp_min(0)
    return units._replace(shift=beyond / free.clamp_min(TINY_SINGLE))


# ------------------------------------------------------------------ what errors alone say


def own_mean(rows, units):
    """Means of rows, however far out; ``(B, N)``."""
    return (mean_of_rows(rows) - units.location) / units.scale


def own_variance(rows, units):
    """Variance of a row's mean by chance: of its standard error, however small, if known."""
    return torch.where(
        rows.errors.isnan(), chance_variance(rows, units), (chance_error(rows) / units.scale) ** 2
    )


def lone_variance(rows, units):
    """The same of a row that nothing can be said of by others; ``(B, N)``."""
    away = (rows.values - units.location.unsqueeze(-1)) / units.scale.unsqueeze(-1)
    away = (away - own_mean(rows, units).unsqueeze(-1)) * rows.seen
    squares = (away**2).sum(-1) / (rows.count * _degrees(rows)).clamp_min(1)
    variance = own_variance(rows, units)
    return torch.where(rows.errors.isnan(), torch.maximum(variance, squares), variance)


def untold_noise(rows):
    """Standard error of an observation over what the network is told of it; 1 mostly; (B, N)."""
    return torch.where(rows.errors.isnan(), 1.0, rows.errors / rows.told)


def own_noise(rows, units):
    """Standard deviation of an observation, of which the network need not be told; (B, N)."""
    own = rows.errors / units.scale
    return torch.where(rows.errors.isnan(), row_noise(rows, units), own)


def exact_share(rows, units):
    """How far the exact law takes over from the network's, from 0 to 1; ``(B, N)``.

    Where standard errors lie further apart than in any portfolio that the network has seen, and in
    rows that are known far better than it has seen any.
    """
    known = (~rows.errors.isnan()) & (rows.count > 0) & (units.known > 0)
    chance = chance_error(rows) / units.scale
    precise = log_part(chance / torch.where(units.typical > 0, units.typical, 1.0), PRECISE)
    other = part_of_way((safe_log(chance) - units.log_error).abs(), UNLIKE)
    own = torch.maximum(precise, other)
    return torch.maximum(units.unequal, torch.where(known, own, 0.0))


def stray_share(rows, units):
    """How far a row's law is that of its own observations alone, from 0 to 1; ``(B, N)``.

    That of a row that lies far out, by more than its noise: nothing is known of others there.
    """
    away = (own_mean(rows, units) - units.middle).abs() - CLEAR * lone_variance(rows, units).sqrt()
    return part_of_way(over_limit(away, units.limit), STRAY) * (rows.count > 0)


def exact_parts(rows, units):
    """Laws of rows' means that are exact where standard errors are known, as `Parts`."""
    found = NormalMeans(*(getattr(units, name) for name in NormalMeans._fields))
    return parts_of_means(found, own_mean(rows, units), own_variance(rows, units), rows.count > 0)


# ------------------------------------------------------------------ sums over rows


def _sums(pieces, weights, columns):
    """Sums over context rows of what ``columns(rows)`` gives a row, by name; ``(B, 1)`` each."""
    parts = [
        {
            name: (column * weight).where(weight > 0, 0.0).sum(-1, keepdim=True)
            for name, column in columns(rows).items()
        }
        for rows, weight in zip(pieces, weights, strict=True)
    ]
    return SimpleNamespace(**{name: sum(part[name] for part in parts) for name in parts[0]})


def real_units(pieces, weights):
    """`RealUnits` of the context.

    Parameters
    ----------
    pieces : list of RealRows

    weights : list of Tensor of shape (B, N_c)
        1 for a row of the context, else 0.
    """
    middle, typical, limit, start, error = distances_of(pieces, weights)
    pieces = [without_hopeless(rows, typical, error) for rows in pieces]
    total = _sums(pieces, weights, partial(_total, torch.ones_like(typical)))
    weights = [
        weight * worth_of_rows(rows, middle, typical, limit)
        for rows, weight in zip(pieces, weights, strict=True)
    ]
    location, scale = _location_and_scale(pieces, weights, middle, start)
    zero = torch.zeros_like(scale)
    units = RealUnits(**dict.fromkeys(RealUnits._fields, zero))._replace(
        location=location,
        scale=scale,
        noise=zero + FIRST_NOISE,
        level_variance=zero + FIRST_LEVEL_VARIANCE,
    )
    units = _with_variances(units, total, pieces, weights)
    units = _with_mixing(_with_shapes(units, pieces, weights), pieces, weights)
    units = units._replace(
        middle=(middle - location) / scale,
        typical=typical / scale,
        limit=limit / scale,
        error=error / scale,
    )
    return _with_exact_law(units, pieces, weights)


def _location_and_scale(pieces, weights, middle, start):
    """Where observations lie, and how far from there; what lies far out counts as nearer."""
    unit = torch.where(start < torch.inf, start, 1.0)
    first = _sums(pieces, weights, partial(_total, unit))
    used = first.used.clamp_min(1)
    location = middle + _sums(pieces, weights, partial(_within, middle, start)).away / used
    scale = _sums(pieces, weights, partial(_within, location, start)).far / used
    for _ in range(N_REFINEMENTS):
        reach = REACH * scale
        location = location + _sums(pieces, weights, partial(_within, location, reach)).away / used
        scale = _sums(pieces, weights, partial(_within, location, reach)).far / used
    errors = unit * (first.error / first.known.clamp_min(1)).sqrt()
    scale = torch.maximum(scale, LEAST_SCALE * errors)
    return location, torch.where(scale > 0, scale, 1.0)


def _with_mixing(units, pieces, weights):
    """The units with the distribution of means."""
    known = [
        (row_mean(rows, units), chance_variance(rows, units), weight * (rows.count > 0))
        for rows, weight in zip(pieces, weights, strict=True)
    ]
    return units._replace(**fit_mixing(known)._asdict())


def _with_exact_law(units, pieces, weights):
    """The units with the law of means that standard errors alone give, if any are known."""
    means, variances, counts = (
        torch.cat(part, dim=-1)
        for part in zip(
            *(
                (own_mean(rows, units), own_variance(rows, units), weight * (rows.count > 0))
                for rows, weight in zip(pieces, weights, strict=True)
            ),
            strict=True,
        )
    )
    known = torch.cat([~rows.errors.isnan() for rows in pieces], dim=-1) & (counts > 0)
    logs = safe_log(variances) / 2
    middle = masked_median(logs, known)
    away = (logs - middle).clamp(-FAR_ERROR, FAR_ERROR) ** 2
    counted = torch.where(known, counts, 0.0)
    variance = (counted * away).sum(-1, keepdim=True) / counts.sum(-1, keepdim=True).clamp_min(1)
    units = units._replace(log_error=middle, unequal=part_of_way(variance.sqrt(), UNEQUAL))
    if not known.any():
        nothing = torch.zeros_like(units.scale)
        return units._replace(**dict.fromkeys(NormalMeans._fields, nothing))
    return units._replace(**fit_normal_means(means, variances, counts)._asdict())


def _total(unit, rows):
    used = (rows.count > 0).to(rows.count.dtype)
    known = (~rows.errors.isnan()).to(used.dtype)
    return {
        "rows": torch.ones_like(used),
        "used": used,
        "cells": rows.count,
        "known": known,
        "error": (rows.told.nan_to_num() / unit) ** 2,
    }


def _within(location, reach, rows):
    """How far a row's observations lie from the location, at most ``reach``; their mean."""
    away = rows.values - location.unsqueeze(-1)
    away = torch.clamp(away, -reach.unsqueeze(-1), reach.unsqueeze(-1)) * rows.seen
    count = rows.count.clamp_min(1)
    return {"away": away.sum(-1) / count, "far": away.abs().sum(-1) / count}


def _with_variances(units, first, pieces, weights):
    """The units with noise and the variance between rows."""

    def of_noise(reach, rows):
        away = _residuals(rows, units).abs().minimum(reach.unsqueeze(-1))
        degrees = _degrees(rows)
        known = ~rows.errors.isnan()
        variance = common_noise(rows, units) ** 2  # of rows whose standard error is known
        return {
            "distance": away.sum(-1),
            "squares": torch.where(known, variance * degrees.clamp_min(1), (away**2).sum(-1)),
            "degrees": torch.where(known, degrees.clamp_min(1), degrees),
            # distance that normal noise of 1 would give
            "expected": (2 / torch.pi * rows.count * degrees).sqrt(),
        }

    def of_level(rows):
        chance = common_noise(rows, units) ** 2 / rows.count.clamp_min(1)
        weight = (rows.count > 0) / (chance + HALF_WEIGHT)
        mean = row_mean(rows, units).clamp(-MOST, MOST)
        return {
            "weight": weight,
            "weight_square": weight**2,
            "mean": weight * mean,
            "square": weight * mean**2,
            "chance": weight * chance,
            "chance_weight": weight**2 * chance,
        }

    reach = torch.full_like(units.scale, MOST)
    for _ in range(N_NOISES):
        sums = _sums(pieces, weights, partial(of_noise, reach))
        reach = FAR_OUT * sums.distance / sums.expected.clamp_min(1)
    guess = GUESSED_DEGREES * GUESSED_NOISE
    noise = ((sums.squares + guess) / (sums.degrees + GUESSED_DEGREES)).sqrt().clamp(*NOISE_RANGE)
    units = units._replace(noise=noise)
    level = _sums(pieces, weights, of_level)
    total = level.weight.clamp_min(LEAST_WEIGHT)
    centre = level.mean / total
    squares = level.square - total * centre**2
    by_chance = level.chance - level.chance_weight / total
    left = (total - level.weight_square / total).clamp_min(LEAST_LEFT * total)
    variance = (squares - by_chance) / left
    return units._replace(
        centre=centre,
        level_variance=variance.clamp_min(LEAST_LEVEL_VARIANCE),
        known=first.known / first.rows.clamp_min(1),
        log_rows=first.used.clamp(1, N_CONTEXT_SEEN).log(),
        log_depth=(first.cells / first.rows.clamp_min(1)).log1p(),
    )


def _with_shapes(units, pieces, weights):
    """The units with how noise and means are distributed."""

    def of_noise(rows):
        known = ~rows.errors.isnan()
        chance = torch.special.polygamma(1, _degrees(rows).clamp_min(1) / 2) / 4
        chance = torch.where(known, KNOWN_CHANCE, chance)
        log_noise = (common_noise(rows, units) / units.noise).log()
        log_noise = torch.where(known, log_noise, excess_log_noise(rows, units))
        worth = (known | (rows.count > 1)) / chance
        return {
            "worth": worth,
            "log_noise": log_noise * worth,
            "log_noise_square": log_noise**2 * worth,
            "chance": chance * worth,
        }

    def of_shape(rows):
        y, mean = standard(rows, units), row_mean(rows, units)
        noise = row_noise(rows, units)
        degrees = _degrees(rows)
        # residuals of few observations are smaller than noise
        unit = noise * (degrees / rows.count.clamp_min(1)).clamp_min(LEAST_DEGREES).sqrt()
        residual = (y - mean.unsqueeze(-1)) / unit.unsqueeze(-1)
        residual = residual.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS) * rows.seen
        residual = residual * (degrees > 0).unsqueeze(-1)
        spread = (units.level_variance + chance_variance(rows, units)).sqrt()
        z = ((mean - units.centre) / spread).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        return {
            "used": (rows.count > 0).to(z.dtype),
            "cells": rows.count * (degrees > 0),
            "residual_cube": (residual**3).sum(-1),
            "residual_fourth": (residual**4).sum(-1),
            "z_cube": z**3,
            "z_fourth": z**4,
            "z_distance": z.abs() * (rows.count > 0),
            "z_noise": z * (excess_log_noise(rows, units) - units.noise_centre) * degrees,
            "degrees": degrees,
        }

    noise = _sums(pieces, weights, of_noise)
    worth = noise.worth.clamp_min(LEAST_WORTH)
    centre = noise.log_noise / worth
    variance = noise.log_noise_square / worth - centre**2 - noise.chance / worth
    units = units._replace(
        noise_centre=centre, noise_variance=variance.clamp_min(LEAST_NOISE_VARIANCE)
    )
    sums = _sums(pieces, weights, of_shape)
    used, cells = sums.used.clamp_min(1), sums.cells + NORMAL_CELLS
    normal = NORMAL_CELLS * NORMAL_KURTOSIS
    return units._replace(
        noise_tail=((sums.residual_fourth + normal) / cells).log(),
        noise_skew=torch.asinh(sums.residual_cube / cells),
        level_tail=((sums.z_fourth + NORMAL_KURTOSIS) / (used + 1)).log(),
        level_skew=torch.asinh(sums.z_cube / used),
        level_core=sums.z_distance / used,
        slope=sums.z_noise / sums.degrees.clamp_min(1),
    )
