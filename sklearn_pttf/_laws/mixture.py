"""Mixtures of laws of any kind."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.whole import MANY_LEVELS, tabled_quantiles
from sklearn_pttf._utils.rounding import EXACT, ROUNDED

# even on the logit scale, from 6e-6 on: a quarter of a logit apart
FINE_LEVELS = 1 / (1 + np.exp(-np.linspace(-12, 12, 97)))


class MixtureLaw(PredictiveDistribution):
    """Mixtures of laws: an outcome comes from a component that is drawn with the row's weights.

    Parameters
    ----------
    components : list of PredictiveDistribution
        Each with one law a row, of the same n rows.

    weights : ndarray of shape (n, n_components)
        Not negative; rows sum to 1.

    integer : bool, default=False
        Whether all outcomes are whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.mixture import MixtureLaw
    >>> from sklearn_pttf._laws.parametric import PoissonLaw
    >>> law = MixtureLaw([PoissonLaw(1.0), PoissonLaw(9.0)], np.array([[0.75, 0.25]]), True)
    >>> law.mean(), law.quantile([[0.5, 0.9]])
    (array([3.]), array([[ 1., 10.]]))
    """

    def __init__(self, components, weights, integer=False):
        self.components = list(components)
        self.weights = np.asarray(weights, dtype=float)
        self.integer = integer
        lengths = {len(law) for law in self.components}
        if len(lengths) != 1:
            raise ValueError(
                f"components must be at least one, all of as many rows; got lengths {lengths}."
            )
        shape = (*lengths, len(self.components))
        if self.weights.shape != shape:
            raise ValueError(f"weights must be of shape {shape}; got {self.weights.shape}.")
        good = np.all(self.weights >= 0, axis=1) & (np.abs(self.weights.sum(axis=1) - 1) < ROUNDED)
        if not np.all(good):
            row = int(np.flatnonzero(~good)[0])
            raise ValueError(
                "weights must be non-negative and sum to 1 in every row; "
                f"row {row} is {self.weights[row].tolist()}."
            )

    def __len__(self):
        return len(self.weights)

    def take(self, rows):
        components = [law.take(rows) for law in self.components]
        return MixtureLaw(components, self.weights[rows], self.integer)

    @classmethod
    def concatenate(cls, laws):
        """Components are matched by position, and those that a law lacks have no weight."""
        width = max(len(law.components) for law in laws)
        parts, weights = [], []
        for law in laws:
            absent = width - len(law.components)
            parts.append(law.components + law.components[-1:] * absent)
            weights.append(np.pad(law.weights, ((0, 0), (0, absent))))
        components = []
        for k, matched in enumerate(zip(*parts, strict=True)):
            names = sorted({type(law).__name__ for law in matched})
            if len(names) > 1:
                raise ValueError(f"components {k} must be of one type; got {', '.join(names)}.")
            components.append(type(matched[0]).concatenate(matched))
        return cls(components, np.concatenate(weights), laws[0].integer)

    def _average(self, values):
        """Weighted sum of one array a component, of shape (n,) or (n, k)."""
        return sum((w * v.T).T for w, v in zip(self.weights.T, values, strict=True))

    def cdf(self, x):
        return np.minimum(self._average(law.cdf(x) for law in self.components), 1.0)

    def cdf_of_run(self, first, size):
        return np.minimum(
            self._average(law.cdf_of_run(first, size) for law in self.components), 1.0
        )

    def quantile(self, tau):
        """By bisection between the components' quantiles, to the last digit."""
        tau, flat = self._columns(check_levels(tau))
        if self.integer and tau.shape[1] >= MANY_LEVELS:
            return self._many_quantiles(tau)
        out = self._quantiles(tau)
        return out[:, 0] if flat else out

    def _many_quantiles(self, tau):
        """Of whole numbers; where these are few, by one table of the cdf for all levels."""
        ends = tau.min(axis=1), tau.max(axis=1)
        first = np.min([law.quantile(ends[0]) for law in self.components], axis=0)
        last = np.max([law.quantile(ends[1]) for law in self.components], axis=0)
        return tabled_quantiles(self, tau, first, last, MixtureLaw._quantiles, EXACT)

    def _quantiles(self, tau):
        """Of levels of shape (n, k)."""
        encode, decode = _WHOLE_CODE if self.integer else _FLOAT_CODE
        ends = np.stack([law.quantile(tau) for law in self.components])
        low, high = encode(ends.min(axis=0)), encode(ends.max(axis=0))
        # a level that a sum of weights misses by rounding only is reached
        needed = tau * (1 - EXACT)
        # `scipy`'s `find_root` is quicker, but stops beside atoms, and knows no whole numbers
        while np.any(low < high):
            middle = (low & high) + ((low ^ high) >> 1)  # their mean, which low + high overflows
            reached = self.cdf(decode(middle)) >= needed
            low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        return decode(high)

    def excess(self, x):
        return self._average(law.excess(x) for law in self.components)

    def mean(self):
        return self._average(law.mean() for law in self.components)

    def expected(self, cost, split=None):
        # as with all nodes at once, in less memory
        return self._average(law.expected(cost, split) for law in self.components)

    def atomic(self):
        return np.logical_and.reduce([law.atomic() for law in self.components])

    def smoothed(self):
        if not self.integer:
            return self
        # a grid of whole numbers rounds up
        return QuantileGrid(self.quantile(FINE_LEVELS[None]) - 0.5, FINE_LEVELS, integer=True)

    def nodes(self, split=None):
        parts = [law.nodes(split) for law in self.components]
        weights = [w[:, None] * part[1] for w, part in zip(self.weights.T, parts, strict=True)]
        return np.concatenate([part[0] for part in parts], axis=1), np.concatenate(weights, axis=1)


def _float_to_code(x):
    """Whole numbers that count the floats from 0 on, in order."""
    bits = np.abs(x).view(np.int64)
    return np.where(x < 0, -bits, bits)


def _code_to_float(code):
    x = np.abs(code).view(np.float64)
    return np.where(code < 0, -x, x)


def _whole_to_code(x):
    """Whole numbers themselves, and beyond those that floats list one by one, the floats."""
    x = np.rint(x)
    beyond = np.abs(x) > LAST_WHOLE
    far = np.sign(x).astype(np.int64) * (_float_to_code(np.abs(x)) - _LAST_CODE + int(LAST_WHOLE))
    return np.where(beyond, far, np.where(beyond, 0.0, x).astype(np.int64))


def _code_to_whole(code):
    beyond = np.abs(code) > int(LAST_WHOLE)
    far = _code_to_float(np.where(beyond, np.abs(code) + _LAST_CODE - int(LAST_WHOLE), 0))
    return np.where(beyond, np.sign(code) * far, code.astype(float))


LAST_WHOLE = 2.0**53  # up to which every whole number is a float
_LAST_CODE = int(_float_to_code(np.array([LAST_WHOLE]))[0])
_FLOAT_CODE = (_float_to_code, _code_to_float)
_WHOLE_CODE = (_whole_to_code, _code_to_whole)
