"""Kaplan-Meier newsvendor: every instance on its own, what capped its sales taken into account."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import N_POOLED_ATOMS, WeightedAtoms, law_at_exposure
from sklearn_pttf._laws.capped_levels import is_capped
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.rounding import ROUNDED
from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.problems import DecisionProblem


class KaplanMeierNewsvendor(DecisionMixin, BaseEstimator):
    """Decide every instance on the product-limit law of its own demand.

    A sale that was all the stock there was is *at least* the demand. The law of an instance's
    demand is Kaplan and Meier's product-limit estimate [1]_, as censored newsvendors have it
    [2]_: what lies beyond the largest sale is mass at that sale, so an order whose ratio lies
    beyond what stock let one see is the largest sale. Without capped sales it is `SampleAverage`.

    An instance without observations gets the product-limit law of all observations that `fit`
    saw.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    Attributes
    ----------
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
    SampleAverage : Takes sales as they are.
    CensoredEmpiricalBayes : Lets instances learn from each other.

    Notes
    -----
    Two remedies need no class. Not to tell a problem its stock takes sales for demand ("as sold"),
    and orders too little. To write NaN where sales were capped ("leave out") keeps periods of low
    demand and drops those of high demand, so it orders too little as well.

    A demand that is known to be *at least* a sale says nothing of whether it is that sale: among
    equal sales the capped ones are no longer at risk of it.

    References
    ----------
    .. [1] E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", J. Amer.
       Statist. Assoc. 53 (1958), 457-481.

    .. [2] W. T. Huh, R. Levi, P. Rusmevichientong, J. B. Orlin, "Adaptive data-driven inventory
       control with censored demand based on Kaplan-Meier estimator", Oper. Res. 59 (2011), 929-941.

    Examples
    --------
    >>> from sklearn_pttf.baselines import KaplanMeierNewsvendor
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0]]
    >>> KaplanMeierNewsvendor(Newsvendor(underage=4.0, overage=1.0)).fit(X).decide(X)
    array([5., 1.])
    """

    _reads_exposure = True
    _parameter_constraints = {"problem": [DecisionProblem, None]}

    def __init__(self, problem=None):
        self.problem = problem

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Remember the law of all observations.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        KaplanMeierNewsvendor
            The fitted estimator.
        """
        return self._fit_portfolio(self._read_to_fit(X))

    def _fit_portfolio(self, portfolio):
        rates, capped = portfolio.as_rates().observations, is_capped(portfolio)
        law = product_limit_law(rates.reshape(1, -1), capped.reshape(1, -1))
        levels = (np.arange(N_POOLED_ATOMS) + 0.5) / N_POOLED_ATOMS
        self._pooled_demand = law.quantile(levels[None])
        return self

    def _predict_law(self, portfolio):
        rates, cold = portfolio.as_rates().observations, ~portfolio.mask.any(axis=1)
        law = product_limit_law(np.where(cold[:, None], 0.0, rates), is_capped(portfolio))
        if cold.any():
            parts = [law.take(~cold), WeightedAtoms(np.repeat(self._pooled_demand, cold.sum(), 0))]
            order = np.concatenate([np.flatnonzero(~cold), np.flatnonzero(cold)])
            law = WeightedAtoms.concatenate(parts).take(np.argsort(order))
        if portfolio.exposure is None:
            return law
        return law_at_exposure(law.atoms, law.weights, portfolio)


def product_limit_law(x, capped):
    """Product-limit laws of demand, of which what is beyond all sales is at the largest one.

    Parameters
    ----------
    x : ndarray of shape (n, m)
        Sales; NaN = not observed.

    capped : bool ndarray of shape (n, m)
        Where demand is at least the sale.

    Returns
    -------
    WeightedAtoms
    """
    # of equal sales the capped ones come first: they are not at risk any more
    order = np.lexsort((~capped, x), axis=1)
    x, capped = (np.take_along_axis(values, order, axis=1) for values in (x, capped))
    seen = ~np.isnan(x)
    at_risk = seen.sum(axis=1, keepdims=True) - np.arange(x.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        stays = np.where(seen & ~capped, 1 - 1 / at_risk, 1.0)
    survival = np.cumprod(stays, axis=1)
    before = np.column_stack([np.ones(len(x)), survival[:, :-1]])
    weights = np.where(seen, before - survival, 0.0)
    last = np.maximum(seen.sum(axis=1) - 1, 0)
    rest = survival[:, -1]
    weights[np.arange(len(x)), last] += np.where(rest > ROUNDED, rest, 0.0)
    return WeightedAtoms(x, weights)
