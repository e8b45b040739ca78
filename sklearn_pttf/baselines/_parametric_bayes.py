"""Parametric empirical Bayes: conjugate families with fitted hyperparameters."""

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.beta import BetaBinomialMixture, BetaMixture
from sklearn_pttf._laws.means import law_of_moments
from sklearn_pttf._laws.parametric import NormalLaw
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import StrOptions, _fit_context
from sklearn_pttf.baselines._conjugate import FAMILIES, GammaPoisson, normal_levels
from sklearn_pttf.baselines._marginal_likelihood import beta_binomial
from sklearn_pttf.baselines._values import (
    common_error,
    is_poisson,
    law_of_outcome,
    law_of_rates,
    refuse_exposure,
    refuse_values,
    row_errors,
)
from sklearn_pttf.problems import DecisionProblem

BETA_BINOMIAL = "beta-binomial"


class ParametricEmpiricalBayes(DecisionMixin, BaseEstimator):
    """Bayes' rule with a conjugate prior whose hyperparameters are fitted to all rows.

    Each instance has its own level, and the levels of all instances follow one distribution,
    which is fitted by the marginal likelihood of the observations. Given these
    hyperparameters the law of an instance's next outcome is exact:

    - ``"gamma-poisson"``: Poisson counts, gamma levels; negative binomial law;
    - ``"lognormal"``: normal logarithms with a common variance, normal levels; lognormal law.
      Zeros have a share of their own in each row, and the shares follow a beta distribution;
    - ``"normal"``: normal outcomes with a common variance, normal levels; normal law. Where
      outcomes cannot be negative, what is below 0 is mass at 0. Rows whose standard error is
      known, as in ``Estimation(standard_errors="error")``, have that for noise;
    - ``"beta-binomial"``: successes in trials, beta rates; beta-binomial law.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor()``, at equal costs.

    family : {"auto", "gamma-poisson", "lognormal", "normal", "beta-binomial"}, default="auto"
        The family. "auto": the one that predicts best, see Notes; of values of any sign,
        "normal"; of counts over an exposure, and where the problem says ``noise="poisson"``,
        "gamma-poisson"; with ``noise="binomial"``, "beta-binomial", which is for that only.
        "gamma-poisson" needs whole numbers; the laws of "lognormal" and "normal" are rounded to the
        nearest where outcomes are whole, and of other amounts over an exposure they are of rates,
        alike whatever the exposure.

    Attributes
    ----------
    family_ : str
        The family in use.

    hyperparameters_ : dict of str to float
        Of "gamma-poisson": ``shape`` and ``rate`` of the levels, per unit of the outcome (and of
        exposure). Of
        "normal", in units of the outcome, and of "lognormal", in logarithms: ``mean`` and
        ``spread``, mean and standard deviation of the levels, and ``noise``, standard
        deviation of an outcome around its level, of rows that do not know theirs (NaN if all
        do); of "lognormal" too: ``zeros`` and ``others``, the parameters of the beta
        distribution of the share of zeros. Of "beta-binomial": ``a`` and ``b``, those of the
        rates; one is 0 where all trials ended alike.

    scores_ : dict of str to float
        Mean log density of held-out observations of each family that was tried; empty where
        the family was given.

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
    ShrunkenSampleAverage : Pools without a family.
    JamesStein : Shrinks all means by one factor.

    Notes
    -----
    "auto" compares the log density of every observation under the law that its family gives
    it from the row's other observations, averaged over all; hyperparameters are those of all
    rows. The families stand on a common footing: probabilities of whole numbers where
    outcomes are whole, else densities with a mass at 0.

    Variances are fitted by restricted maximum likelihood [2]_. Where no row has two
    observations, level and noise cannot be told apart, and half of the variance is taken
    for noise. Where nothing was sold at all, every order is 0 or close to it. Where standard
    errors are known only ``mean`` and ``spread`` are fitted so, and the noise of rows that do
    not know theirs is pooled over these by degrees of freedom.

    References
    ----------
    .. [1] C. N. Morris, "Parametric empirical Bayes inference: theory and applications",
       J. Amer. Statist. Assoc. 78 (1983), 47-55.

    .. [2] H. D. Patterson, R. Thompson, "Recovery of inter-block information when block sizes
       are unequal", Biometrika 58 (1971), 545-554.

    Examples
    --------
    >>> from sklearn_pttf.baselines import ParametricEmpiricalBayes
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0], [2, 8, 1]]
    >>> bayes = ParametricEmpiricalBayes(Newsvendor(underage=4.0, overage=1.0)).fit(X)
    >>> bayes.family_, bayes.decide(X)
    ('lognormal', array([6., 3., 5.]))

    Means of values of any sign, whose standard errors are in the last column:

    >>> from sklearn_pttf import Column
    >>> from sklearn_pttf.problems import Estimation
    >>> X = [[2.0, 0.1], [2.0, 3.0], [-2.0, 0.1], [0.0, 0.1]]
    >>> bayes = ParametricEmpiricalBayes(Estimation(standard_errors=Column(1))).fit(X)
    >>> bayes.decide(X).round(2)
    array([ 1.99,  0.69, -1.99,  0.  ])
    """

    _reads_exposure = True
    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "family": [StrOptions({"auto", *FAMILIES, BETA_BINOMIAL})],
    }
    _reads_trials = True

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
        ParametricEmpiricalBayes
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation, or values that cannot be, or amounts that are not whole
            where the family is "gamma-poisson", or negative ones where it is not "normal"; if the
            family is "beta-binomial" and the noise is not, or the other way round.
        """
        portfolio = self._read_to_fit(X)
        if self._is_of_successes():
            return self._fit_successes(portfolio)
        refuse_exposure(portfolio, self.family, ("gamma-poisson",))
        portfolio = portfolio if portfolio.integer else portfolio.as_rates()
        x, integer = portfolio.observations, portfolio.integer
        names = [self.family]
        if self.family == "auto":
            names = [name for name in FAMILIES if integer or name != "gamma-poisson"]
            names = ["normal"] if portfolio.real else names
            poisson = portfolio.exposure is not None or is_poisson(self.problem_)
            names = ["gamma-poisson"] if poisson else names
        self._refuse_values(names[0], portfolio)
        if self.family == "gamma-poisson" and not integer:
            raise ValueError("family='gamma-poisson' needs whole numbers; X has others.")
        fitted = {name: FAMILIES[name]().fit(portfolio) for name in names}
        self._common_error = common_error(x, portfolio.errors)
        self.scores_ = {}
        self.family_ = names[0]
        if len(names) > 1:
            for name, found in fitted.items():
                score = FAMILIES[name]().held_out_score(found, integer, x)
                self.scores_[name] = float(score)
            self.family_ = max(self.scores_, key=self.scores_.get)
        self.hyperparameters_ = fitted[self.family_]
        return self

    def _is_of_successes(self):
        """Whether outcomes are successes in trials; refuses another family, and the reverse."""
        noise = getattr(self.problem_, "noise", None)
        allowed = (BETA_BINOMIAL, "auto")
        if noise == "binomial" and self.family not in allowed:
            raise ValueError(
                f"family must be one of {allowed} with noise='binomial'; got {self.family!r}."
            )
        if noise != "binomial" and self.family == BETA_BINOMIAL:
            raise ValueError(
                f"family={self.family!r} needs a problem with noise='binomial'; got "
                f"{self.problem_!r}."
            )
        return noise == "binomial"

    def _fit_successes(self, portfolio):
        hits, trials = portfolio.totals()
        self.family_, self.scores_ = BETA_BINOMIAL, {}
        self.hyperparameters_ = dict(zip("ab", beta_binomial(hits, trials), strict=True))
        return self

    def _rates(self, portfolio):
        """Beta laws of rows' rates, of one component; a parameter of 0 is next to nothing."""
        a, b = (max(self.hyperparameters_[name], 1e-9) for name in "ab")
        hits, trials = portfolio.totals()
        a, b = a + hits, b + trials - hits
        return BetaMixture(*(x[:, None] for x in (a, b, np.ones_like(a))))

    @staticmethod
    def _refuse_values(family, portfolio):
        if family != "normal":
            refuse_values(portfolio, f"family={family!r}", "family='normal'")

    def _levels(self, portfolio):
        """Means and variances of levels under "normal", and rows' noise; ``(n,)`` each."""
        common = self.hyperparameters_["noise"]
        noise = row_errors(portfolio, self._common_error if np.isnan(common) else common)
        sums = np.nansum(portfolio.observations, axis=1)
        return *normal_levels(self.hyperparameters_, portfolio.counts, sums, noise), noise

    def _predict_law(self, portfolio):
        if self.family_ == BETA_BINOMIAL:
            law = self._rates(portfolio)
            return BetaBinomialMixture(law.a, law.b, law.weights, portfolio.coming_exposure())
        self._refuse_values(self.family_, portfolio)
        if self.family_ == "gamma-poisson":
            return GammaPoisson().law_of(self.hyperparameters_, portfolio)
        return law_of_rates(self._law_without_exposure, portfolio)

    def _law_without_exposure(self, portfolio):
        if self.family_ == "normal":
            centre, variance, noise = self._levels(portfolio)
            return law_of_outcome(portfolio, centre, np.sqrt(variance + noise**2))
        return FAMILIES[self.family_]().law_of(self.hyperparameters_, portfolio)

    def _predict_law_of_mean(self, portfolio, spread=True):
        if self.family_ == "gamma-poisson":
            counts, sums = GammaPoisson().totals(portfolio)
            rate = self.hyperparameters_["rate"] + counts
            mean = (self.hyperparameters_["shape"] + sums) / rate
            if not spread:
                return WeightedAtoms(mean[:, None])
            return law_of_moments(mean, mean / rate, real=False)
        if self.family_ == BETA_BINOMIAL:
            return self._rates(portfolio)
        if self.family_ != "normal" or not portfolio.real:
            return super()._predict_law_of_mean(portfolio, spread)
        centre, variance, _ = self._levels(portfolio)
        if not spread:
            return WeightedAtoms(centre[:, None])
        return NormalLaw(centre, np.sqrt(variance))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only |= self.family not in ("auto", "normal")
        return tags
