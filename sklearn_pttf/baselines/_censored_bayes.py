"""Parametric empirical Bayes of demand whose sales were capped (Tobit)."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import StrOptions, _fit_context
from sklearn_pttf.baselines._capped_families import FAMILIES
from sklearn_pttf.baselines._values import (
    is_poisson,
    law_of_rates,
    refuse_exposure,
    refuse_values,
)
from sklearn_pttf.problems import DecisionProblem

OF_COUNTS = ("gamma-poisson", "gamma-negative-binomial")
AMOUNTS = 1000.0  # on average, from which counts that vary more than Poisson ones are amounts
FOR_VALUES = "ParametricEmpiricalBayes or JamesStein"


class CensoredEmpiricalBayes(DecisionMixin, BaseEstimator):
    """Parametric empirical Bayes in which a capped sale counts as *at least* that.

    As in `ParametricEmpiricalBayes`, each instance has its own level, the levels follow one
    distribution, and that is fitted by the marginal likelihood of all rows. But where stock capped
    a sale, its probability is that of a demand of at least so much (Tobit [1]_), in the fit and in
    Bayes' rule for each row (censored newsvendors: [2]_).

    - ``"gamma-poisson"``: Poisson counts, gamma levels;
    - ``"gamma-negative-binomial"``: counts that vary more than Poisson ones, all by one size (the
      variance of a mean m is ``m + m**2 / size``), gamma levels;
    - ``"lognormal"``: normal logarithms with a common variance, normal levels. Zeros have a share
      of their own in each row, and the shares follow a beta distribution.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    family : {"auto", "gamma-poisson", "gamma-negative-binomial", "lognormal"}, default="auto"
        The family. "auto": of whole numbers the likeliest one, parameters discounted (Akaike), but
        no negative binomial one where they are thousands; of counts over an exposure one of
        counts; where the problem says ``noise="poisson"`` "gamma-poisson"; else "lognormal". Those
        of counts need whole numbers.

    Attributes
    ----------
    family_ : str
        The family in use.

    hyperparameters_ : dict of str to float
        As of `ParametricEmpiricalBayes`, and the ``size`` of negative binomial counts.

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
    KaplanMeierNewsvendor : Each instance on its own, without a family.
    ParametricEmpiricalBayes : Takes sales as they are.

    Notes
    -----
    Each posterior is an integral over one number, by quadrature around its mode. The marginal
    likelihood is climbed by its exact gradient, which is also that of EM (Fisher's identity). The
    log of the middle of all levels has a weak prior, normal with standard deviation 1 around that
    of the sales: where every sale was capped, demand could otherwise be anything above. Of more
    than 2,000 rows the hyperparameters are fitted to as many, evenly by what they sold.

    What lies beyond the stock of all rows is known by the shape of the family alone.

    References
    ----------
    .. [1] J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26
       (1958), 24-36.

    .. [2] S. A. Conrad, "Sales data and the estimation of demand", Oper. Res. Quart. 27 (1976),
       123-127.

    Examples
    --------
    >>> from sklearn_pttf.baselines import CensoredEmpiricalBayes
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0], [2, 8, 1]]
    >>> bayes = CensoredEmpiricalBayes(Newsvendor(underage=4.0, overage=1.0)).fit(X)
    >>> bayes.family_, bayes.decide(X)
    ('gamma-poisson', array([5., 1., 5.]))
    """

    _reads_exposure = True
    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "family": [StrOptions({"auto", *FAMILIES})],
    }

    def __init__(self, problem=None, *, family="auto"):
        self.problem = problem
        self.family = family

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Fit the distribution of the instances' levels.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        CensoredEmpiricalBayes
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or negative ones, or amounts that are not whole where the
            family is one of counts.
        """
        return self._fit_portfolio(self._read_to_fit(X))

    def _fit_portfolio(self, portfolio):
        self._refuse_values(portfolio)
        refuse_exposure(portfolio, self.family, OF_COUNTS)
        portfolio = portfolio if portfolio.integer else portfolio.as_rates()
        if self.family in OF_COUNTS and not portfolio.integer:
            raise ValueError(f"family={self.family!r} needs whole numbers; X has others.")
        names = [self.family] if self.family != "auto" else self._candidates(portfolio)
        fitted = {name: FAMILIES[name]().fit(portfolio) for name in names}
        self.family_ = max(names, key=lambda name: fitted[name][1] - FAMILIES[name].n_parameters)
        self.hyperparameters_ = fitted[self.family_][0]
        return self

    def _candidates(self, portfolio):
        problem = getattr(self, "problem_", self.problem)
        if not portfolio.integer:
            return ["lognormal"]
        if is_poisson(problem):
            return ["gamma-poisson"]
        names = FAMILIES if portfolio.exposure is None else OF_COUNTS
        few = np.nanmean(portfolio.observations) < AMOUNTS if portfolio.mask.any() else True
        return [name for name in names if few or name != "gamma-negative-binomial"]

    def _refuse_values(self, portfolio):
        refuse_values(portfolio, "CensoredEmpiricalBayes", FOR_VALUES)

    def _predict_law(self, portfolio):
        self._refuse_values(portfolio)
        family = FAMILIES[self.family_]()
        if self.family_ in OF_COUNTS:
            return family.law(self.hyperparameters_, portfolio)
        return law_of_rates(lambda rows: family.law(self.hyperparameters_, rows), portfolio)

    def _predict_law_of_mean(self, portfolio, spread=True):
        if self.family_ not in OF_COUNTS:
            return super()._predict_law_of_mean(portfolio, spread)
        self._refuse_values(portfolio)
        posterior = FAMILIES[self.family_]().posterior(self.hyperparameters_, portfolio)
        law = WeightedAtoms(np.exp(posterior.logs), posterior.weights)
        return law if spread else WeightedAtoms(law.mean()[:, None])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
