"""Laws of some rows beside laws of others, whatever these are."""

import numpy as np

from sklearn_pttf._laws.base import PredictiveDistribution


class PatchworkLaw(PredictiveDistribution):
    """Laws of rows that come from several laws, of any classes.

    Parameters
    ----------
    laws : list of PredictiveDistribution

    places : list of ndarray of int
        Rows that each of them is of; together all, each once.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._laws.parametric import NormalLaw, PoissonLaw
    >>> from sklearn_pttf._laws.patchwork import PatchworkLaw
    >>> parts = [PoissonLaw(np.array([3.0])), NormalLaw(np.array([1.0, 2.0]), np.ones(2))]
    >>> law = PatchworkLaw(parts, [np.array([1]), np.array([0, 2])])
    >>> law.mean(), law.quantile(0.5)
    (array([1., 3., 2.]), array([1., 3., 2.]))
    """

    def __init__(self, laws, places):
        used = [k for k, rows in enumerate(places) if len(rows)]
        self.laws = [laws[k] for k in used]
        self.places = [np.asarray(places[k]) for k in used]
        self.lowest = min((law.lowest for law in self.laws), default=-np.inf)

    def __len__(self):
        return sum(len(rows) for rows in self.places)

    def take(self, rows):
        rows = np.arange(len(self))[rows]
        laws, places = [], []
        for law, place in zip(self.laws, self.places, strict=True):
            within = np.full(len(self), -1)
            within[place] = np.arange(len(place))
            found = within[rows]
            laws.append(law.take(found[found >= 0]))
            places.append(np.flatnonzero(found >= 0))
        return PatchworkLaw(laws, places)

    @classmethod
    def concatenate(cls, laws):
        starts = np.cumsum([0, *(len(law) for law in laws)])
        parts = [part for law in laws for part in law.laws]
        places = [
            rows + start for law, start in zip(laws, starts, strict=False) for rows in law.places
        ]
        return cls(parts, places)

    def _each(self, method, x):
        """``method`` of every law at the values of its rows."""
        x, flat = self._columns(x)
        out = np.empty(x.shape)
        for law, rows in zip(self.laws, self.places, strict=True):
            out[rows] = getattr(law, method)(x[rows])
        return out[:, 0] if flat else out

    def cdf(self, x):
        return self._each("cdf", x)

    def quantile(self, tau):
        return self._each("quantile", tau)

    def excess(self, x):
        return self._each("excess", x)

    def _of_rows(self, parts):
        out = np.empty(len(self), dtype=parts[0].dtype if parts else float)
        for values, rows in zip(parts, self.places, strict=True):
            out[rows] = values
        return out

    def mean(self):
        return self._of_rows([law.mean() for law in self.laws])

    def atomic(self):
        return self._of_rows([law.atomic() for law in self.laws])

    def smoothed(self):
        return PatchworkLaw([law.smoothed() for law in self.laws], self.places)

    def nodes(self, split=None):
        """Rows of fewer nodes than others have their last one again, without weight."""
        found = []
        for law, rows in zip(self.laws, self.places, strict=True):
            at = None if split is None else np.broadcast_to(split, len(self))[rows]
            found.append(law.nodes(at))
        width = max((outcomes.shape[1] for outcomes, _ in found), default=0)
        nodes, masses = np.zeros((len(self), width)), np.zeros((len(self), width))
        for (outcomes, weights), rows in zip(found, self.places, strict=True):
            more = width - outcomes.shape[1]
            nodes[rows] = np.pad(outcomes, ((0, 0), (0, more)), mode="edge")
            masses[rows] = np.pad(weights, ((0, 0), (0, more)))
        return nodes, masses
