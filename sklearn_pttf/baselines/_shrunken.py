"""Shrunken sample averages: empirical laws, pulled towards one that instances share."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import Interval, StrOptions, _fit_context
from sklearn_pttf.problems import DecisionProblem

N_ANCHOR_ATOMS = 256
_HALF = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45]
LEVELS = np.array([*_HALF, 0.5, *(1 - t for t in reversed(_HALF))])
_LOGITS = np.log(LEVELS) - np.log1p(-LEVELS)
# level tau is decided with the weight of the nearest of LEVELS, in logits
EDGES = np.concatenate([[0.0], 1 / (1 + np.exp(-(_LOGITS[1:] + _LOGITS[:-1]) / 2)), [1.0]])
TOLERANCE = 1e-9  # of levels that a sum of weights misses by rounding only


def _anchor_levels(level, alpha, n_own):
    """What the anchor's cdf must reach where k = 0, ..., n_own own atoms lie below.

    The mixture's cdf ``(k + alpha * F(x)) / (n_own + alpha)`` reaches ``level`` from there.
    """
    below = np.arange(n_own + 1)
    if np.isinf(alpha):
        return np.full(n_own + 1, level)
    missing = (level - TOLERANCE) * (n_own + alpha) - below
    if alpha == 0:
        return np.where(missing <= 0, 0.0, np.inf)
    return missing / alpha


def _quantile_of_atoms(atoms, levels):
    """Quantiles of equally likely sorted atoms: none needed is -inf, too much is inf."""
    index = np.ceil((levels - TOLERANCE) * len(atoms))
    index = np.clip(index, 0, len(atoms) + 1).astype(int)
    return np.concatenate([[-np.inf], atoms, [np.inf]])[index]


def held_out_quantiles(rows, anchor, level, alpha):
    """Quantiles of the mixtures without each own observation in turn.

    The quantile is the least ``x`` that lies above ``k`` own atoms and where the anchor reaches
    what is then missing: the least over ``k`` of the larger of two numbers. Without its ``j``-th
    the row's ``k``-th atom is the ``k``-th, or from ``j`` on the next one, so running minima
    from both ends give all held-out quantiles at once.

    Parameters
    ----------
    rows : ndarray of shape (n, m)
        Observations, sorted along rows; none is missing.

    anchor : ndarray of shape (k,)
        Equally likely atoms, sorted.

    level : float
        Of the quantile.

    alpha : float
        Weight of the anchor, in observations; may be infinite.

    Returns
    -------
    ndarray of shape (n, m)
    """
    n_own = rows.shape[1] - 1
    needed = _quantile_of_atoms(anchor, _anchor_levels(level, alpha, n_own))
    low = np.concatenate([np.full((len(rows), 1), -np.inf), rows[:, :-1]], axis=1)
    before = np.minimum.accumulate(np.maximum(low, needed), axis=1)
    # from the other end: k own atoms lie below where the (k + 1)-th of all is reached
    after = np.maximum(rows, needed)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    after = np.concatenate([after[:, 1:], np.full((len(rows), 1), np.inf)], axis=1)
    return np.minimum(before, after)


class ShrunkenSampleAverage(DecisionMixin, BaseEstimator):
    """Shrink every instance's empirical law towards a law that all share.

    The law of an instance with ``n`` observations is its own empirical law and an anchor law,
    mixed with weights ``n`` and ``alpha``: the anchor counts as ``alpha`` more observations.
    How many is chosen by leave-one-out over all rows of `fit` [1]_: the alpha with which
    orders cost least on the observations that they did not see.

    The best alpha depends on the critical ratio, so it is chosen for the newsvendor cost at
    each of a ladder of ratios. An order is then made with the alpha of the nearest one, and
    one fit serves any cost.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    anchor : "pooled" or array-like of shape (n_atoms,), default="pooled"
        The law to shrink to: that of all observations of `fit`, or equally likely atoms, in
        units of the outcome. More than 256 are compressed to that many.

    n_weights : int, default=17
        How many alphas to try: 0 (sample average approximation), infinity (the anchor alone)
        and powers of 2 to both sides of 2, which is enough from 1/64 to 256 observations.

    Attributes
    ----------
    alpha_ : ndarray of shape (n_levels,)
        The weight of the anchor at every ratio of ``levels_``, in observations.

    levels_ : ndarray of shape (n_levels,)
        Critical ratios, from 0.001 to 0.999.

    anchor_ : ndarray of shape (n_atoms,)
        Equally likely atoms of the anchor law, sorted.

    problem_ : DecisionProblem
        The problem in use.

    observation_columns_ : ndarray of int
        Positions of the columns that hold observations.

    integer_ : bool
        Whether the outcomes are whole numbers.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    SampleAverage : Does not shrink.

    Notes
    -----
    Where all rows have the same critical ratio, which is on the ladder, orders are those of
    [1]_ for that ratio. Where ratios differ from row to row, [1]_ has one alpha for all; here
    each row has that of its own ratio, which is chosen over all rows.

    As in [1]_, the pooled anchor is not made anew without the observation that is held out.
    Of alphas that cost the same the largest is taken. Where no row has two observations
    nothing can be held out, and rows are decided from the anchor alone.

    References
    ----------
    .. [1] V. Gupta, N. Kallus, "Data pooling in stochastic optimization", Management Science
       68 (2022), 1595-1615.

    Examples
    --------
    >>> from sklearn_pttf.baselines import ShrunkenSampleAverage
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0], [2, 8, 1]]
    >>> ShrunkenSampleAverage(Newsvendor(underage=4.0, overage=1.0)).fit(X).decide(X)
    array([5., 5., 5.])
    """

    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "anchor": [StrOptions({"pooled"}), "array-like"],
        "n_weights": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, problem=None, *, anchor="pooled", n_weights=17):
        self.problem = problem
        self.anchor = anchor
        self.n_weights = n_weights

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Choose the weight of the anchor law.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        ShrunkenSampleAverage
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or X or the anchor have values that cannot be.
        """
        portfolio = self._read_to_fit(X)
        self.anchor_ = self._compressed(self._anchor_atoms(portfolio))
        self.levels_ = LEVELS.copy()
        alphas = self._alphas()
        costs = self._held_out_costs_of(portfolio, alphas)
        # the first within rounding of the least, that is, the largest alpha
        self.alpha_ = alphas[np.argmax(costs <= (1 + 1e-9) * costs.min(axis=0), axis=0)]
        return self

    def _anchor_atoms(self, portfolio):
        if isinstance(self.anchor, str):
            return np.sort(portfolio.observations[portfolio.mask])
        atoms = np.asarray(self.anchor, dtype=float)
        if atoms.ndim != 1 or len(atoms) == 0 or not np.isfinite(atoms).all():
            raise ValueError(f"anchor must be finite numbers, 1-D; got {self.anchor!r}.")
        self.problem_.check_outcomes(atoms[None], "anchor")
        if portfolio.integer and not np.array_equal(atoms, np.rint(atoms)):
            raise ValueError(
                "anchor must hold whole numbers, as X does, so that orders are whole numbers; "
                f"got {self.anchor!r}."
            )
        return np.sort(atoms)

    @staticmethod
    def _compressed(atoms):
        if len(atoms) <= N_ANCHOR_ATOMS:
            return atoms
        levels = (np.arange(N_ANCHOR_ATOMS) + 0.5) / N_ANCHOR_ATOMS
        return atoms[(levels * len(atoms)).astype(int)]

    def _alphas(self):
        """Weights to try, from the largest."""
        n_powers = self.n_weights - 2
        powers = 1 + np.arange(n_powers) - n_powers // 2
        return np.concatenate([[np.inf], 2.0 ** powers[::-1], [0.0]])

    def _held_out_costs_of(self, portfolio, alphas):
        """Newsvendor cost of held-out orders, by alpha and level; ``(n_alphas, n_levels)``."""
        costs = np.zeros((len(alphas), len(LEVELS)))
        counts = portfolio.counts
        for n in np.unique(counts[counts >= 2]):
            rows = np.sort(portfolio.observations[counts == n], axis=1)[:, :n]
            for k, level in enumerate(LEVELS):
                for a, alpha in enumerate(alphas):
                    short = rows - held_out_quantiles(rows, self.anchor_, level, alpha)
                    costs[a, k] += np.sum(short * (level - (short < 0)))
        return costs

    def _predict_law(self, portfolio):
        own, counts = portfolio.observations, portfolio.counts[:, None]
        n_rows, n_own = own.shape
        n_anchor = len(self.anchor_)
        atoms = np.concatenate([own, np.broadcast_to(self.anchor_, (n_rows, n_anchor))], axis=1)
        order = np.argsort(atoms, axis=1, kind="stable")
        atoms = np.take_along_axis(atoms, order, axis=1)
        is_own = (order < n_own) & ~np.isnan(atoms)
        own_below = np.cumsum(is_own, axis=1)
        anchor_share = np.cumsum(order >= n_own, axis=1) / n_anchor
        # equal atoms: all of them lie at or below each (the last of a run counts)
        cdf = self._cdf_at_atoms(own_below, anchor_share, counts)
        weights = np.diff(cdf, axis=1, prepend=0.0)
        return WeightedAtoms(atoms, np.maximum(weights, 0.0))

    def _cdf_at_atoms(self, own_below, anchor_share, counts):
        """Cdf of the law whose quantile at each level is that of the level's mixture.

        A level in ``(EDGES[k], EDGES[k + 1]]`` is reached once the mixture of that interval
        reaches it and the mixtures of all lower intervals have reached their upper edges.
        """
        cdf = np.zeros(own_below.shape)
        passed = np.ones(own_below.shape, dtype=bool)
        last = np.append(np.flatnonzero(self.alpha_[1:] != self.alpha_[:-1]), len(self.alpha_) - 1)
        for k in last:  # intervals with the same alpha are one
            alpha, edge = self.alpha_[k], EDGES[k + 1]
            if np.isinf(alpha):
                mixed = anchor_share
            else:
                share = own_below + alpha * anchor_share
                total = np.where(counts + alpha > 0, counts + alpha, 1.0)
                mixed = np.where(counts > 0, share / total, anchor_share)
            cdf = np.where(passed, np.maximum(cdf, np.minimum(mixed, edge)), cdf)
            passed &= mixed >= edge - TOLERANCE
        return cdf
