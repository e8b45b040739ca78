"""Exact empirical Bayes of Poisson demand, beside a network that was not told of the noise.

A network of demand takes noise of any law for possible. Where demand is Poisson, four distributions
of rows' means, averaged by how well they fit (`_count_mixing`), say more: exact sums over rows,
nothing learned. How far a row's law is theirs and how far the network's is weighed by what
either said of observations that it had not seen (stacking).
"""

import numpy as np
import torch
from scipy import special

from sklearn_pttf._kinds.counts.mixing import LARGEST_SHAPE, MOST_SEGMENTS, known_shapes
from sklearn_pttf._kinds.counts.units import (
    CountRows,
    CountUnits,
    count_units,
    far_out,
    first_logits,
)
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import NegativeBinomialLaw
from sklearn_pttf._utils.rounding import TINY

GROUP_ENDS = (-1.5, -0.5, 0.5, 1.5, 3.0)  # deviations from a row's mean between groups of means
BLOCK_ROWS = 4096  # that are looked at together
LEAST_MEAN = 1e-9  # of a law, which variances are divided by
LARGEST_SIZE = 1e9  # of a negative binomial law, over its mean: next to a Poisson law


class PoissonCompanion:
    """Laws of next counts whose means have the distribution that a portfolio's have.

    Parameters
    ----------
    observations : ndarray of shape (n, m)
        Whole numbers of at least 0; NaN = not observed.

    over : ndarray of shape (n,), default=None
        What each row's observations were counted over, by its attributes. None: 1.
    """

    def __init__(self, observations, over=None):
        rows = _count_rows(*totals_of(observations, over))
        units = count_units([rows], [torch.ones_like(rows.total)])
        self.units = CountUnits(*(part.numpy()[0] for part in units))
        fits = first_logits(units)[0, 0]
        self.weights = fits.softmax(-1).numpy()

    def components(self, total, count):
        """Weights, means and variances of what rows' means may be; ``(n, k)`` each.

        Parameters
        ----------
        total, count : ndarray of shape (n,)
            Sum of rows' observations, and what these were counted over.
        """
        units, total, exposure = self.units, total[:, None], count[:, None] * self.units.scale
        parts = []
        # a gamma law, averaged over its shape
        shapes = known_shapes(torch.zeros(0, dtype=torch.float64)).numpy()
        rate = shapes + exposure
        means = (shapes + total) / rate
        parts.append((np.broadcast_to(units.shapes, means.shape), means, means / rate))
        # two means, and three
        for k in (0, 1):
            own = slice(k * MOST_SEGMENTS, (k + 1) * MOST_SEGMENTS)
            means = units.segment_means[own]
            with np.errstate(divide="ignore"):
                logs = total * np.log(means) - exposure * means + np.log(units.segment_weights[own])
            weights = special.softmax(logs, axis=1)
            means = np.broadcast_to(means, weights.shape)
            parts.append((weights, means, np.zeros_like(means)))
        # a distribution without a shape
        points = units.points
        shape = np.minimum((points / units.width) ** 2, LARGEST_SHAPE)
        rate = shape / points + exposure
        logs = special.gammaln(total + shape) - special.gammaln(shape) - total * np.log(rate)
        logs -= shape * np.log1p(exposure * points / shape)
        means = (shape + total) / rate
        parts.append((special.softmax(logs + np.log(units.weights), axis=1), means, means / rate))
        weights = np.hstack([w * part[0] for w, part in zip(self.weights, parts, strict=True)])
        means, variances = (np.hstack(each) for each in list(zip(*parts, strict=True))[1:])
        # what is out of reach of all four is what the row itself says
        reach = float(units.reach[0] * units.scale[0])
        alone = far_out(_count_rows(total[:, 0], count), reach).numpy()[0][:, None]
        own = total / np.where(alone, exposure, 1.0)
        means = np.where(alone, own, means)
        variances = np.where(alone, own / np.where(alone, exposure, 1.0), variances)
        return weights, means * units.scale, variances * units.scale**2

    def mean(self, total, count):
        """Expected mean of rows; ``(n,)``."""
        weights, means, _ = self.components(total, count)
        return (weights * means).sum(axis=1)

    def law(self, total, count, over=None):
        """Law of the next count of rows; `MixtureLaw` of negative binomial ones."""
        starts = range(0, len(total), BLOCK_ROWS)
        blocks = [slice(start, start + BLOCK_ROWS) for start in starts]
        found = [_grouped(*self.components(total[rows], count[rows])) for rows in blocks]
        weights, means, variances = (np.concatenate(each) for each in zip(*found, strict=True))
        if over is not None:
            means, variances = means * over[:, None], variances * over[:, None] ** 2
        laws = [_gamma_poisson(*each) for each in zip(means.T, variances.T, strict=True)]
        return MixtureLaw(laws, weights / weights.sum(axis=1, keepdims=True), integer=True)


def _count_rows(total, count):
    """`CountRows` of one portfolio whose observations were each counted over 1."""
    total, count = (torch.from_numpy(np.ascontiguousarray(x))[None] for x in (total, count))
    return CountRows(total, count, count)


def totals_of(observations, over=None):
    """Sum of every row's observations, and what these were counted over; ``(n,)`` each.

    That is their number, where each was counted over 1.
    """
    seen = ~np.isnan(observations)
    count = seen.sum(axis=1).astype(float)
    count = count if over is None else count * over
    return np.where(seen, observations, 0.0).sum(axis=1), count


def _grouped(weights, means, variances):
    """A few means in place of many, by how far they lie from the row's; ``(n, k)`` each."""
    centre = (weights * means).sum(axis=1, keepdims=True)
    spread = (weights * ((means - centre) ** 2 + variances)).sum(axis=1, keepdims=True)
    place = (means - centre) / np.sqrt(np.maximum(spread, LEAST_MEAN**2))
    group = np.searchsorted(GROUP_ENDS, place)
    parts = []
    for k in range(len(GROUP_ENDS) + 1):
        own = np.where(group == k, weights, 0.0)
        total = own.sum(axis=1)
        share = own / np.maximum(total, TINY)[:, None]
        mean = np.where(total > 0, (share * means).sum(axis=1), centre[:, 0])
        variance = (share * ((means - mean[:, None]) ** 2 + variances)).sum(axis=1)
        parts.append((total, mean, variance))
    return tuple(np.stack(each, axis=1) for each in zip(*parts, strict=True))


def _gamma_poisson(mean, variance):
    """Law of a Poisson count whose mean has a gamma law; `NegativeBinomialLaw`."""
    mean = np.maximum(mean, LEAST_MEAN)
    most = LARGEST_SIZE * np.maximum(mean, 1.0)
    size = mean**2 / np.maximum(variance, mean**2 / most)
    return NegativeBinomialLaw(size, size / (size + mean))
