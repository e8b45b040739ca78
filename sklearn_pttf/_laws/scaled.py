"""Laws of rates, times what outcomes are counted over."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution


class ScaledLaw(PredictiveDistribution):
    """Laws of outcomes that are so many times those of other laws.

    Parameters
    ----------
    law : PredictiveDistribution

    factors : ndarray of shape (n,)
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.parametric import NormalLaw
    >>> from sklearn_pttf._laws.scaled import ScaledLaw
    >>> law = ScaledLaw(NormalLaw(np.array([1.0, 2.0]), np.ones(2)), np.array([1.0, 3.0]))
    >>> law.quantile(0.5), law.cdf([1.0, 6.0])
    (array([1., 6.]), array([0.5, 0.5]))
    """

    def __init__(self, law, factors):
        self.law = law
        self.factors = np.asarray(factors, dtype=float)
        self.lowest = 0.0 if law.lowest == 0 else -np.inf

    def __len__(self):
        return len(self.law)

    def take(self, rows):
        return ScaledLaw(self.law.take(rows), self.factors[rows])

    @classmethod
    def concatenate(cls, laws):
        law = type(laws[0].law).concatenate([each.law for each in laws])
        return cls(law, np.concatenate([each.factors for each in laws]))

    def _times(self, values):
        """Values of shape (n,) or (n, k), times factors."""
        return (self.factors * values.T).T

    def _of_law(self, values):
        """Outcomes as those of the other laws; ``(n,)`` or ``(n, k)``."""
        values, flat = self._columns(values)
        values = values / self.factors[:, None]
        return values[:, 0] if flat else values

    def cdf(self, x):
        return self.law.cdf(self._of_law(x))

    def quantile(self, tau):
        return self._times(self.law.quantile(tau))

    def excess(self, x):
        return self._times(self.law.excess(self._of_law(x)))

    def mean(self):
        return self._times(self.law.mean())

    def atomic(self):
        return self.law.atomic()

    def smoothed(self):
        return ScaledLaw(self.law.smoothed(), self.factors)

    def nodes(self, split=None):
        outcomes, weights = self.law.nodes(None if split is None else self._of_law(split))
        return self._times(outcomes), weights
