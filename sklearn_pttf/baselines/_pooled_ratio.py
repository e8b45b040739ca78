"""Pooled ratios: every instance its own level, all instances one shape."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import pooled_atoms
from sklearn_pttf._laws.base import PredictiveDistribution, check_levels
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.baselines._values import FOR_VALUES, refuse_values
from sklearn_pttf.problems import DecisionProblem

BLOCK_CELLS = 1_000_000  # rows times atoms that are looked at together


class ScaledAtomsLaw(PredictiveDistribution):
    """Shared equally likely atoms times a scale a row.

    Whole-number outcomes are the products rounded to the nearest whole number.

    Parameters
    ----------
    tables : tuple of ndarray
        Sorted atoms of the laws that rows may have, each of shape (k,).

    which : ndarray of int of shape (n,)
        The table of every row.

    scales : ndarray of shape (n,)
        What the row's atoms are multiplied with; not negative.

    integer : bool, default=False
        Whether outcomes are whole numbers.
    """

    def __init__(self, tables, which, scales, integer=False):
        self.tables = tables
        self.which = which
        self.scales = scales
        self.integer = integer

    def __len__(self):
        return len(self.scales)

    def take(self, rows):
        return ScaledAtomsLaw(self.tables, self.which[rows], self.scales[rows], self.integer)

    @classmethod
    def concatenate(cls, laws):
        which = np.concatenate([law.which for law in laws])
        scales = np.concatenate([law.scales for law in laws])
        return cls(laws[0].tables, which, scales, laws[0].integer)

    def _outcomes(self, products):
        return np.floor(products + 0.5) if self.integer else products

    def _by_table(self, x, method):
        """``method(atoms, scales, x)`` of the rows of every table, in blocks of rows."""
        x, flat = self._columns(x)
        out = np.empty(x.shape)
        for k, atoms in enumerate(self.tables):
            rows = np.flatnonzero(self.which == k)
            step = max(BLOCK_CELLS // len(atoms), 1)
            for block in (rows[i : i + step] for i in range(0, len(rows), step)):
                out[block] = method(atoms, self.scales[block, None], x[block])
        return out[:, 0] if flat else out

    def cdf(self, x):
        return self._by_table(x, self._cdf)

    def _cdf(self, atoms, scales, x):
        atoms = self._outcomes(atoms * scales)
        return np.stack([(atoms <= column[:, None]).mean(axis=1) for column in x.T], axis=1)

    def quantile(self, tau):
        return self._by_table(check_levels(tau), self._quantile)

    def _quantile(self, atoms, scales, tau):
        # a level that a share of atoms misses by rounding only is reached
        index = np.ceil((tau - 1e-9) * len(atoms)).astype(int) - 1
        return self._outcomes(atoms[np.maximum(index, 0)] * scales)

    def excess(self, x):
        return self._by_table(x, self._excess)

    def _excess(self, atoms, scales, x):
        atoms = self._outcomes(atoms * scales)
        return np.stack(
            [np.maximum(atoms - column[:, None], 0.0).mean(axis=1) for column in x.T], axis=1
        )

    def mean(self):
        return self.excess(0.0)

    def nodes(self, split=None):
        width = max(len(table) for table in self.tables)
        atoms, weights = np.zeros((len(self), width)), np.zeros((len(self), width))
        for k, table in enumerate(self.tables):
            rows = self.which == k
            atoms[rows, : len(table)] = self._outcomes(table * self.scales[rows, None])
            weights[rows, : len(table)] = 1 / len(table)
        return atoms, weights


class PooledRatio(DecisionMixin, BaseEstimator):
    """Decide on an instance's own mean times the pooled law of ratios.

    Every observation of `fit` is divided by the mean of its row's *other* observations. These
    ratios of all rows are one law, compressed to 1,000 atoms; the law of an instance's next
    outcome is this law times the mean of its observations, rounded where outcomes are whole
    numbers. So instances learn from each other how far an outcome may lie from a mean of few
    observations, but not where their means are: these are not pooled.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    Attributes
    ----------
    problem_ : DecisionProblem
        The problem in use.

    ratios_ : ndarray of shape (n_atoms,)
        The law of ratios: at most 1,000 equally likely atoms, sorted, without unit.

    centre_ : float
        Mean of all observations, in units of the outcome.

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
    SampleAverage : Learns nothing from the other instances.

    Notes
    -----
    A mean of 0 of k observations says that the level is low, not that nothing will ever be
    sold: it is replaced by ``centre_ / (k + 1)``, as if there had been one more observation,
    of average size. A row without observations gets the law of all observations. Where no row
    of `fit` has two observations, ratios are to ``centre_``.

    A ratio says nothing where values may be negative: these are refused.

    A ratio is to a mean of one observation less than decisions have, so the law is a little
    too wide.

    References
    ----------
    .. [1] G. Cachon, C. Terwiesch, "Matching Supply with Demand", McGraw-Hill: the ratios of
       actual demand to its forecast (A/F ratios) of past products as the law of a new one.

    Examples
    --------
    >>> from sklearn_pttf.baselines import PooledRatio
    >>> X = [[2.5, 5.0, 4.5], [10.0, 20.0, 18.0]]
    >>> PooledRatio().fit(X).decide(X)
    array([ 4.8, 19.2])
    """

    _parameter_constraints = {"problem": [DecisionProblem, None]}

    def __init__(self, problem=None):
        self.problem = problem

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Pool the ratios of observations to the mean of their row's others.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        PooledRatio
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or values that cannot be, or negative ones.
        """
        portfolio = self._read_to_fit(X)
        self._refuse_values(portfolio)
        x = portfolio.observations
        self.centre_ = float(np.nanmean(np.sort(x, axis=None)))
        counts, sums = portfolio.counts[:, None], np.nansum(x, axis=1, keepdims=True)
        rows = counts[:, 0] >= 2 if (counts >= 2).any() else counts[:, 0] == 1
        levels = self._levels(np.broadcast_to(np.maximum(counts - 1, 0), x.shape), sums - x)
        with np.errstate(divide="ignore", invalid="ignore"):
            # where nothing was ever sold, 0 is what was expected
            ratios = np.where(levels > 0, x / levels, np.where(np.isnan(x), np.nan, 1.0))
        self.ratios_ = pooled_atoms(ratios[rows])
        return self

    def _levels(self, counts, sums):
        """Means of some observations, from their number and sum; see Notes."""
        low = sums <= 1e-12 * self.centre_  # what rounding leaves of 0
        return np.where(low, self.centre_ / (counts + 1), sums / np.maximum(counts, 1))

    def _predict_law(self, portfolio):
        self._refuse_values(portfolio)
        counts = portfolio.counts
        levels = self._levels(counts, np.nansum(portfolio.observations, axis=1))
        cold = counts == 0
        tables = (self.ratios_, self._pooled)
        return ScaledAtomsLaw(
            tables, cold.astype(int), np.where(cold, 1.0, levels), portfolio.integer
        )

    def _refuse_values(self, portfolio):
        refuse_values(portfolio, "PooledRatio", FOR_VALUES)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
