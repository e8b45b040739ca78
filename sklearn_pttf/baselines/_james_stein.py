"""James-Stein: rows' means, all shrunken by one factor."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.means import law_of_moments
from sklearn_pttf._laws.parametric import NormalLaw
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.baselines._values import (
    common_error,
    is_poisson,
    law_of_outcome,
    poisson_error,
    row_errors,
)
from sklearn_pttf.problems import DecisionProblem, Estimation


class JamesStein(DecisionMixin, BaseEstimator):
    """Shrink every instance's mean towards the mean of all.

    Of ``p`` rows with means ``m`` of variances ``v``, ``mu`` is the mean with weights ``1 / v``,
    and the estimate of a row is [1]_ [2]_ ::

        mu + factor * (m - mu),  factor = max(0, 1 - (p - 3) / sum((m - mu)**2 / v))

    The closer together the means are, given how noisy they are, the more they are shrunken, but
    never past ``mu``. From four rows on, with normal noise of one known variance, the total squared
    error is expected to be less than that of the sample means, whatever the true means are.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Estimation()``, whose decisions are these estimates.

    Attributes
    ----------
    mean_ : float
        ``mu``, in units of the outcome.

    factor_ : float
        Share of a mean's distance to ``mu`` that is kept, from 0 to 1.

    spread_ : float
        Standard deviation of the true means, in units of the outcome: how far that of a row
        without observations may be from ``mu``.

    noise_ : float
        Standard deviation of an observation around its row's true mean, in units of the outcome;
        NaN where standard errors of all rows are known.

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
    ParametricEmpiricalBayes : Shrinks noisy rows more than others.
    NonparametricEmpiricalBayes : Shrinks to where other means are.

    Notes
    -----
    The variance of a row's mean is ``noise ** 2`` over its number of observations. The noise is
    the row's own standard error where the problem knows it, else one that is pooled over the
    other rows, from how observations of a row differ. Where none of these has two, it is the root
    mean square of the known ones; where there are no such either, half of the total variance is
    taken for noise. With ``noise="poisson"`` it is the square root of the mean of all
    observations, which is the variance of counts whose means are close together [1]_; the next
    count of a row varies by the root of what is expected of that row.

    All rows are shrunken by the same factor, those that are known well as much as the others:
    with unequal variances it is no Bayes' rule [2]_. A row without observations is estimated by
    ``mu``.

    The law of a mean is normal around the estimate. Its variance is ``factor * v + (1 - factor) /
    sum(1 / v)``, which with equal variances is that given the evidence, if the true means are
    normal and nothing but their mean and spread is known of them, and the factor is right. Around
    ``mu`` it is ``spread_ ** 2 + 1 / sum(1 / v)``, the spread from moments [3]_. The law of a next
    outcome adds the noise; of outcomes that are not negative, what is below 0 is mass at 0.

    References
    ----------
    .. [1] B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations",
       J. Amer. Statist. Assoc. 70 (1975), 311-319.

    .. [2] X. Xie, S. C. Kou, L. D. Brown, "SURE estimates for a heteroscedastic hierarchical
       model", J. Amer. Statist. Assoc. 107 (2012), 1465-1479.

    .. [3] R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Control. Clin. Trials 7
       (1986), 177-188.

    Examples
    --------
    Standard errors are known to be 1:

    >>> from sklearn_pttf.baselines import JamesStein
    >>> from sklearn_pttf.problems import Estimation
    >>> X = [[-2.0], [-1.0], [0.0], [1.0], [2.0]]
    >>> stein = JamesStein(Estimation(standard_errors=1.0)).fit(X)
    >>> stein.factor_, stein.decide(X)
    (0.8, array([-1.6, -0.8, 0. , 0.8, 1.6]))
    """

    _parameter_constraints = {"problem": [DecisionProblem, None]}
    _default_problem = Estimation

    def __init__(self, problem=None):
        self.problem = problem

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the mean of all, and how much of the distances to it is noise.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        JamesStein
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or values that cannot be.
        """
        portfolio = self._read_to_fit(X)
        if is_poisson(self.problem_):
            self._common_error = poisson_error(portfolio.observations)
        else:
            self._common_error = common_error(portfolio.observations, portfolio.errors)
        all_known = portfolio.errors is not None and not np.isnan(portfolio.errors).any()
        self.noise_ = np.nan if all_known else self._common_error
        portfolio = portfolio.take(np.flatnonzero(portfolio.counts))
        means = np.nanmean(portfolio.observations, axis=1)
        weights = portfolio.counts / row_errors(portfolio, self._common_error) ** 2
        self._precision = weights.sum()
        self.mean_ = float((weights * means).sum() / self._precision)
        distance = float((weights * (means - self.mean_) ** 2).sum())
        self.factor_ = _kept_share(distance, len(means))
        self.spread_ = _moment_spread(distance, weights)
        return self

    def _means(self, portfolio):
        """Estimates of rows' means, their variances, and the rows' noise; ``(n,)`` each."""
        noise, counts = row_errors(portfolio, self._common_error), portfolio.counts
        cold, n_seen = counts == 0, np.maximum(counts, 1)
        own = np.nansum(portfolio.observations, axis=1) / n_seen
        mean = self.mean_ + np.where(cold, 0.0, self.factor_ * (own - self.mean_))
        variance = self.factor_ * noise**2 / n_seen + (1 - self.factor_) / self._precision
        return mean, np.where(cold, self.spread_**2 + 1 / self._precision, variance), noise

    def _predict_law(self, portfolio):
        mean, variance, noise = self._means(portfolio)
        if is_poisson(self.problem_):
            noise = np.sqrt(mean)  # of a count around what is expected of its row
        return law_of_outcome(portfolio, mean, np.sqrt(variance + noise**2))

    def _predict_law_of_mean(self, portfolio, spread=True):
        mean, variance, _ = self._means(portfolio)
        if not spread:
            return WeightedAtoms(mean[:, None])
        if portfolio.real:
            return NormalLaw(mean, np.sqrt(variance))
        return law_of_moments(mean, variance, real=False)


def _kept_share(distance, n_rows):
    """The positive-part factor, from the sum of squares over variances."""
    if n_rows <= 3:
        return 1.0
    return max(0.0, 1 - (n_rows - 3) / distance) if distance > 0 else 0.0


def _moment_spread(distance, weights):
    """Standard deviation of true means, from that sum of squares and the weights ``1 / v``."""
    rise = weights.sum() * (1 - ((weights / weights.sum()) ** 2).sum())
    excess = distance - (len(weights) - 1)
    return float(np.sqrt(excess / rise)) if excess > 0 and rise > 0 else 0.0
