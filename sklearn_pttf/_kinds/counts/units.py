"""What a context says of Poisson counts: their mean, and how rows differ.

Plain torch functions. Shapes are written ``(B, N)``: ``B`` portfolios of ``N`` rows. Of a row's
counts only their total matters, and what they were counted over together: their exposure, which
is their number if each was counted over 1. So nothing here depends on their order; nor on that of
rows. Exposures are relative to the portfolio's usual one, as their unit means nothing.
"""

from typing import NamedTuple

import torch

from sklearn_pttf._kinds.counts.mixing import (
    FourLaws,
    SeenCounts,
    fit_four_laws,
    four_posteriors,
    known_shapes,
)
from sklearn_pttf._utils.rounding import TINY_SINGLE

N_CONTEXT_SEEN = 500  # rows beyond this number say nothing new about "how many rows"
NO_COUNT = 0.5  # what a total of 0 counts for
VARIANCE_RANGE = (1e-4, 50.0)  # of rows' means beyond chance, in squared means
CREDIBILITY_RANGE = (1e-4, 1 - 1e-4)  # of a row's mean; a logit is taken of it
LEAST_TOTAL = 1e-6  # of the incomplete gamma function, which 0 is no argument of
LEAST_TRUST = 1e-9  # of all rows in their mean; 0 where none is used
CHANCE = 1e-6  # that a row's total is so large though its mean is within reach
FAR_OUT = 30.0  # times the mean of the others, beyond which a row tells the portfolio nothing
TRIMMED = 0.004  # share of the largest means that, beside one, are not among these others
FEWEST_TO_TRIM = 8  # of the others, below which all rows tell the portfolio of theirs
ENDLESS = 1e20  # what no mean reaches
FEWEST_ROWS = 10  # below which no row is odd
ONE_IN = 50.0  # right tables that have an odd row
PER_ROW = 0.1  # log likelihood that a row may cost for each of the others
CHANCE_OF_ODD = 0.01  # that an odd row's total is so large, or so small, though its mean is not
MOST_RARE = 600.0  # of minus a log probability, of which floats have the exponential
N_HALVINGS = 60  # of the range that an end of means lies in
LOG_ENDS = (-80.0, 40.0)  # between which means are, relative to their mean
MOST_SURE = 30.0  # times the median exposure, which a row tells the portfolio of at most
WORST_FIT = -25.0  # in the weights that the four laws start with


class CountRows(NamedTuple):
    """All that matters of rows."""

    total: torch.Tensor  # (B, N)
    count: torch.Tensor  # (B, N), exposure of all observations, or their number
    n_cells: torch.Tensor  # (B, N), number of observations

    @property
    def seen(self):
        """Weight of the one cell that stands for all of a row's; ``(B, N, 1)``."""
        return torch.where(self.count > 0, self.count.clamp_min(1), 0.0).unsqueeze(-1)


class CountUnits(NamedTuple):
    """What the context rows say; the first four of shape ``(B, 1)``, then as in `FourLaws`."""

    scale: torch.Tensor  # mean of the rows' means
    level_variance: torch.Tensor  # of the rows' means beyond chance, in squared scales
    log_rows: torch.Tensor
    log_depth: torch.Tensor  # log of one plus the mean number of observations a row
    shapes: torch.Tensor
    segment_means: torch.Tensor
    segment_weights: torch.Tensor
    points: torch.Tensor
    width: torch.Tensor
    weights: torch.Tensor
    fits: torch.Tensor
    exposure: torch.Tensor  # (B, 1), usual one of an observation
    reach: torch.Tensor  # (B, 1), beyond which means are of no row that was read
    lowest: torch.Tensor  # (B, 1), mean below which a row is odd
    highest: torch.Tensor  # (B, 1), and above which


def count_rows(observations, exposures=None):
    """Totals, exposures and numbers of each row's observations.

    Parameters
    ----------
    observations : Tensor of shape (B, N, n)

    exposures : Tensor of shape (B, N, n), default=None
        What each was counted over, NaN where nothing was. None: 1.
    """
    n_cells = (~observations.isnan()).sum(-1).to(observations.dtype)
    count = n_cells if exposures is None else exposures.nan_to_num().sum(-1)
    return CountRows(observations.nan_to_num().sum(-1), count, n_cells)


def placed_rows(rows, units):
    """Rows whose exposure is relative to the portfolio's."""
    return rows._replace(count=rows.count / units.exposure)


def row_mean(rows, units):
    """Means of rows in units of the portfolio, 1 for an empty one; ``(B, N)``."""
    return torch.where(rows.count > 0, _rate(rows) / units.scale, 1.0)


def _rate(rows):
    """Means of rows, 0 for an empty one; ``(B, N)``."""
    return rows.total / torch.where(rows.count > 0, rows.count, 1.0)


def exposure(rows, units):
    """Counts that are expected of a row of mean 1; ``(B, N)``."""
    return rows.count * units.scale


def level_credibility(rows, units):
    """How far a row's own mean is to be believed, by moments (Buhlmann); ``(B, N)``."""
    informed = exposure(rows, units) * units.level_variance
    return (informed / (1 + informed)).clamp(*CREDIBILITY_RANGE)


def posteriors_of(rows, units):
    """What the portfolio's distributions say of rows' means; `FourPosteriors`.

    Means out of their reach are the rows' own.
    """
    expected = exposure(rows, units)
    evidence = SeenCounts(rows.total, expected, torch.ones_like(rows.count))
    found = four_posteriors(evidence, FourLaws(*(getattr(units, x) for x in FourLaws._fields)))
    alone = is_alone(rows, units)
    seen, expected = rows.total.clamp_min(NO_COUNT), torch.where(alone, expected, 1.0)
    own, by_chance = seen / expected, seen.sqrt() / expected
    alone = alone.unsqueeze(-1)
    return found._replace(
        means=torch.where(alone, own.unsqueeze(-1), found.means),
        deviations=torch.where(alone, by_chance.unsqueeze(-1), found.deviations),
    )


def is_alone(rows, units):
    """Whether rows have means of which the portfolio says nothing; bool ``(B, N)``."""
    alone = far_out(rows, units.reach * units.scale)
    alone = alone | far_out(rows, units.highest * units.scale, CHANCE_OF_ODD)
    least = exposure(rows, units) * units.lowest
    by_chance = torch.special.gammaincc(rows.total + 1, least.clamp_min(TINY_SINGLE))
    return alone | ((rows.total < least) & (by_chance < CHANCE_OF_ODD))


def first_logits(units):
    """Of the weights that the four distributions start with; ``(B, 1, 4)``."""
    return units.fits.clamp_min(WORST_FIT).unsqueeze(-2)


def count_units(pieces, weights):
    """`CountUnits` of the context.

    Parameters
    ----------
    pieces : list of CountRows

    weights : list of Tensor of shape (B, N_c)
        1 for a row of the context, else 0.
    """
    kept = [
        _in_order(CountRows(*(part.where(weight > 0, 0.0) for part in rows)))
        for rows, weight in zip(pieces, weights, strict=True)
    ]
    usual = _median(kept, lambda rows: rows.count / rows.n_cells.clamp_min(1))
    most = MOST_SURE * _median(kept, _count)
    kept = [_at_most(rows, most) for rows in kept]
    kept = [rows._replace(count=rows.count / usual) for rows in kept]
    reach = FAR_OUT * _trimmed_rate(kept)
    kept = [_within(rows, reach) for rows in kept]
    used, n_cells, total = (_sum(kept, column) for column in (_is_used, _count, _total))
    scale = total.clamp_min(NO_COUNT) / n_cells.clamp_min(1)
    variance = _level_variance(kept, scale)
    trusted = [rows.count / (1 + rows.count * variance / scale) for rows in kept]
    means = [_rate(rows) for rows in kept]
    balanced = sum((w * m).sum(-1, keepdim=True) for w, m in zip(trusted, means, strict=True))
    balanced = balanced / sum(w.sum(-1, keepdim=True) for w in trusted).clamp_min(LEAST_TRUST)
    scale = torch.where(total > 0, balanced, scale)
    variance = (_level_variance(kept, scale) / scale**2).clamp(*VARIANCE_RANGE)
    evidence = [SeenCounts(rows.total, rows.count * scale, _is_used(rows)) for rows in kept]
    four = fit_four_laws(evidence)
    n_rows = _sum(weights, lambda weight: weight).clamp_min(1)
    return CountUnits(
        scale,
        variance,
        used.clamp(1, N_CONTEXT_SEEN).log(),
        (n_cells / n_rows).log1p(),
        *four,
        usual,
        reach / scale,
        *_ends_of_means(four.shapes, used),
    )


def log_rarity(n_rows):
    """Minus the log probability from which a row of so many ``(B, 1)`` is odd.

    Few right tables have such a row, and it tells as much as a good part of all others.
    """
    return torch.maximum((ONE_IN * n_rows).log(), PER_ROW * n_rows)


@torch.no_grad()
def _ends_of_means(likely, n_rows):
    """Means below and above which hardly a row is, by `fit_gamma`'s shapes; ``(B, 1)`` each.

    Below under gamma laws and above under lognormal ones of as much variance: either way under
    those that reach further.
    """
    likely, shapes = likely.double(), known_shapes(likely.double())
    chance = (-log_rarity(n_rows.double()).clamp_max(MOST_RARE)).exp()
    deviation = (1 / shapes).log1p().sqrt()

    def above(log_mean):
        score = (log_mean + deviation**2 / 2) / deviation
        return (likely * torch.special.erfc(score / 2**0.5) / 2).sum(-1, keepdim=True)

    def below(log_mean):
        reached = torch.special.gammainc(shapes.expand_as(likely), shapes * log_mean.exp())
        return (likely * reached).sum(-1, keepdim=True)

    lowest = _halved(lambda x: below(x) > chance, likely).exp()
    highest = _halved(lambda x: above(x) < chance, likely).exp()
    few = n_rows < FEWEST_ROWS
    ends = torch.where(few, 0.0, lowest), torch.where(few, ENDLESS, highest)
    return tuple(end.to(n_rows.dtype) for end in ends)


def _halved(is_beyond, like):
    """Where a condition begins to hold, between `LOG_ENDS`; ``(B, 1)``."""
    low, high = (like.new_full((len(like), 1), end) for end in LOG_ENDS)
    for _ in range(N_HALVINGS):  # in torch, on any device
        middle = (low + high) / 2
        beyond = is_beyond(middle)
        low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
    return low


def _trimmed_rate(pieces):
    """Mean of rows' means but for the largest, one and one more in 250; ``(B, 1)``."""
    rates = torch.cat([_rate(rows) for rows in pieces], dim=-1)
    used = torch.cat([_is_used(rows) for rows in pieces], dim=-1)
    ordered = torch.where(used > 0, rates, torch.inf).sort(dim=-1).values
    n_used = used.sum(-1, keepdim=True)
    n_kept = n_used - 1 - (TRIMMED * n_used).floor()
    place = torch.arange(1, rates.shape[-1] + 1, dtype=rates.dtype, device=rates.device)
    kept = (place <= n_kept) & ordered.isfinite()
    mean = torch.where(kept, ordered, 0.0).sum(-1, keepdim=True) / n_kept.clamp_min(1)
    seen = torch.cat([rows.count for rows in pieces], dim=-1)
    least = 1 / seen.sum(-1, keepdim=True).clamp_min(TINY_SINGLE)  # as if one had been counted
    return torch.where(n_kept >= FEWEST_TO_TRIM, mean + least, ENDLESS)


def far_out(rows, reach, chance=CHANCE):
    """Whether rows' means are larger than ``reach``, and not by chance; bool ``(B, N)``."""
    most = rows.count * reach
    by_chance = torch.special.gammainc(
        rows.total.clamp_min(LEAST_TOTAL), most.clamp_min(TINY_SINGLE)
    )
    return (rows.total > most) & (by_chance < chance)


def _within(rows, reach):
    """Rows without those whose means are out of reach."""
    out = far_out(rows, reach)
    return CountRows(*(part.where(~out, 0.0) for part in rows))


def _median(pieces, column):
    """Lower median over rows that have an observation, 1 where there is none; ``(B, 1)``."""
    values = torch.cat([column(rows).where(rows.count > 0, torch.inf) for rows in pieces], dim=-1)
    place = (_sum(pieces, _is_used).long() - 1).clamp_min(0) // 2
    median = values.sort(dim=-1).values.gather(-1, place)
    return torch.where(median.isfinite(), median, 1.0)


def _at_most(rows, exposure):
    """Rows of the same means, whose exposure is at most so large."""
    share = (exposure / rows.count.clamp_min(TINY_SINGLE)).clamp_max(1)
    return rows._replace(total=rows.total * share, count=rows.count * share)


def _in_order(rows):
    """Rows in an order that is theirs, so that sums over them are the same to the last digit."""
    total, order = rows.total.sort(dim=-1)
    count, again = rows.count.gather(-1, order).sort(dim=-1, stable=True)
    return CountRows(
        total.gather(-1, again), count, rows.n_cells.gather(-1, order).gather(-1, again)
    )


def _sum(pieces, column):
    return sum(column(piece).sum(-1, keepdim=True) for piece in pieces)


def _is_used(rows):
    return (rows.count > 0).to(rows.count.dtype)


def _count(rows):
    return rows.count


def _total(rows):
    return rows.total


def _level_variance(pieces, scale):
    """Variance of the rows' means beyond Poisson noise (Buhlmann, Straub); ``(B, 1)``."""

    def squares(rows):
        return rows.count * (_rate(rows) - scale) ** 2

    n_cells = _sum(pieces, _count).clamp_min(1)
    freedom = n_cells - _sum(pieces, lambda rows: rows.count**2) / n_cells
    by_chance = (_sum(pieces, _is_used) - 1).clamp_min(0) * scale
    return ((_sum(pieces, squares) - by_chance) / freedom.clamp_min(1)).clamp_min(0)
