"""Parametric empirical Bayes: conjugate families with fitted hyperparameters."""

from abc import ABC, abstractmethod

import numpy as np
from scipy import optimize, special
from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.beta import BetaBinomialMixture, BetaMixture
from sklearn_pttf._laws.means import law_of_moments
from sklearn_pttf._laws.parametric import (
    NegativeBinomialLaw,
    NormalLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import StrOptions, _fit_context
from sklearn_pttf.baselines._values import (
    LEAST_VARIANCE,
    common_error,
    is_poisson,
    law_of_means,
    law_of_outcome,
    lowest_ratio,
    refuse_exposure,
    refuse_values,
    row_errors,
    size_of,
)
from sklearn_pttf.problems import DecisionProblem

LARGEST_SHAPE = 1e6  # of a gamma or beta: no spread beyond
LARGE_SUM = 1e8  # of counts, whose gamma functions lose digits
WIDEST = 10.0  # standard deviation of a logarithm, beyond which expected outcomes overflow
BETA_BINOMIAL = "beta-binomial"
LOG_RATIO_RANGE = (-14.0, 14.0)  # of the variance between rows over that within
LOG_RATIO_PRIOR = 5.0  # standard deviation of its weak prior, which breaks ties


def beta_binomial(hits, counts):
    """Maximum-likelihood beta distribution of the rows' probabilities.

    Parameters
    ----------
    hits, counts : ndarray of shape (n,)
        Number of successes and of trials of every row.

    Returns
    -------
    a, b : float
        Both parameters of the beta distribution; ``a`` is 0 where there is no success, ``b``
        where there is nothing else.
    """
    if hits.sum() == 0 or hits.sum() == counts.sum():
        return (0.0, 1.0) if hits.sum() == 0 else (1.0, 0.0)
    (hits, counts), weights = np.unique([hits, counts], axis=1, return_counts=True)

    def loss(parameters):
        share, size = special.expit(parameters[0]), np.exp(parameters[1])
        a, b = share * size, (1 - share) * size
        fit = special.betaln(a + hits, b + counts - hits) - special.betaln(a, b)
        return -np.sum(weights * fit)

    share = (weights * hits).sum() / (weights * counts).sum()
    bounds = [(-20.0, 20.0), (np.log(1e-3), np.log(LARGEST_SHAPE))]
    start = np.clip(special.logit(share), *bounds[0])
    best = _lowest(loss, start, np.linspace(-2, 6, 9), bounds)
    share, size = special.expit(best[0]), np.exp(best[1])
    return float(share * size), float((1 - share) * size)


def zero_share(n_zero, n_positive, a, b):
    """Probability that the next outcome is zero, under a beta distribution of rows' shares.

    Parameters
    ----------
    n_zero, n_positive : ndarray of shape (n,)
        Number of zeros and of other observations of every row.

    a, b : float
        Of the beta distribution, as `beta_binomial` gives them.

    Returns
    -------
    ndarray of shape (n,)
    """
    if a == 0:  # no zero in fit; a later row's count against one more observation
        return n_zero / (n_zero + n_positive + 1)
    if b == 0:  # nothing but zeros in fit
        return (1 + n_zero) / (1 + n_zero + n_positive)
    return (a + n_zero) / (a + b + n_zero + n_positive)


def gamma_poisson(sums, counts):
    """Maximum-likelihood gamma distribution of the rows' Poisson means.

    Parameters
    ----------
    sums, counts : ndarray of shape (n,)
        Sum and number of the observations of every row; some sum is positive.

    Returns
    -------
    shape, rate : float
    """
    (sums, counts), weights = np.unique([sums, counts], axis=1, return_counts=True)

    large = sums > LARGE_SUM

    def loss(parameters):
        mean, shape = np.exp(parameters)
        # by log1p of ratios, which are exact where the shape is large
        fit = _log_rising(shape, sums) + sums * np.log(mean / shape)
        fit = fit - (shape + sums) * np.log1p(counts * mean / shape)
        if large.any():
            fit[large] = _log_mass_of_large(shape, sums[large], counts[large] * mean)
        return -np.sum(weights * fit)

    mean = np.log((weights * sums).sum() / (weights * counts).sum())
    bounds = [(mean - 5, mean + 5), (np.log(1e-3), np.log(LARGEST_SHAPE))]
    mean, shape = np.exp(_lowest(loss, mean, np.linspace(-4, 10, 15), bounds))
    return float(shape), float(shape / mean)


def _log_mass_of_large(shape, sums, expected):
    """`gamma_poisson`'s log mass of sums that are large, but for a constant: by Stirling."""
    total = shape + sums
    off = shape / (shape + expected) * (expected - sums)
    fit = sums * np.log1p(off / sums) + shape * np.log(total / (shape + expected))
    return fit - np.log(total) / 2 - shape + shape * np.log(shape) - special.gammaln(shape)


def _log_rising(shape, sums):
    """``log(gamma(shape + sums) / gamma(shape))``."""
    return special.gammaln(shape + sums) - special.gammaln(shape)


def _lowest(loss, first, seconds, bounds):
    """Minimum over two parameters, from the best of some values of the second."""
    start = min(([first, second] for second in seconds), key=loss)
    found = optimize.minimize(loss, start, method="Nelder-Mead", bounds=bounds)
    return found.x


def variance_components(sums, squares, counts):
    """Normal rows around normal means, by restricted maximum likelihood.

    The variances' ratio has a weak log-normal prior, which decides where the data say
    nothing, so that half of the variance is noise where every row has one observation.

    Parameters
    ----------
    sums, squares, counts : ndarray of shape (n,)
        Sum, sum of squared differences to the mean, and number of observations of every row;
        of rows that have one.

    Returns
    -------
    mean, spread, noise : float
        Mean and standard deviation of the rows' means, and of an observation around them.
    """
    means = sums / counts
    degrees = max(counts.sum() - 1, 1)

    def profile(log_ratio):
        weights = 1 / (np.exp(log_ratio) + 1 / counts)
        mean = (weights * means).sum() / weights.sum()
        total = squares.sum() + (weights * (means - mean) ** 2).sum()
        return mean, max(total / degrees, LEAST_VARIANCE), weights

    def loss(log_ratio):
        _, variance, weights = profile(log_ratio)
        fit = degrees * np.log(variance) + np.log(weights.sum())
        fit += np.log1p(counts * np.exp(log_ratio)).sum()
        return fit / 2 + (log_ratio / LOG_RATIO_PRIOR) ** 2 / 2

    def slope(log_ratio):
        mean, variance, weights = profile(log_ratio)
        rise = weights.sum() - (weights**2).sum() / weights.sum()
        if variance > LEAST_VARIANCE:
            rise -= (weights**2 * (means - mean) ** 2).sum() / variance
        return np.exp(log_ratio) * rise / 2 + log_ratio / LOG_RATIO_PRIOR**2

    log_ratio = lowest_ratio(loss, slope, LOG_RATIO_RANGE)
    mean, variance, _ = profile(log_ratio)
    return float(mean), float(np.sqrt(variance * np.exp(log_ratio))), float(np.sqrt(variance))


class _Family(ABC):
    """A conjugate family: summaries of rows, hyperparameters, and predictive laws."""

    @abstractmethod
    def cells(self, x):
        """What each observation adds to its row's summaries; 0 where missing."""

    def summaries(self, x):
        return tuple(cell.sum(axis=1) for cell in self.cells(x))

    @abstractmethod
    def fit(self, portfolio):
        """Hyperparameters, as a dict."""

    def law_of(self, hyperparameters, portfolio):
        """Predictive laws of the rows of a portfolio."""
        summaries = self.summaries(portfolio.observations)
        return self.law(hyperparameters, portfolio.integer, *summaries)

    @abstractmethod
    def law(self, hyperparameters, integer, *summaries):
        """Predictive laws of rows with some summaries."""

    def held_out_score(self, hyperparameters, integer, x):
        """Mean log density of every observation given its row's others."""
        seen = ~np.isnan(x)
        cells = self.cells(x)
        others = (np.sum(cell, axis=1, keepdims=True) - cell for cell in cells)
        law = self.law(hyperparameters, integer, *(other[seen] for other in others))
        scores = law.log_density(x[seen])
        return np.maximum(scores, -1e6).mean()


class _GammaPoisson(_Family):
    def cells(self, x):
        seen = ~np.isnan(x)
        return seen.astype(float), np.where(seen, x, 0.0)

    def fit(self, portfolio):
        counts, sums = self.totals(portfolio)
        if sums.sum() == 0:  # as if half a unit had been sold
            return {"shape": 0.5, "rate": float(counts.sum())}
        unit = portfolio.mean_exposure()
        shape, rate = gamma_poisson(sums[counts > 0], counts[counts > 0] / unit)
        return {"shape": shape, "rate": rate * unit}

    def totals(self, portfolio):
        """Exposure and sum of every row's observations."""
        counts, sums = self.summaries(portfolio.observations)
        return counts if portfolio.exposure is None else np.nansum(portfolio.exposures(), 1), sums

    def law_of(self, hyperparameters, portfolio):
        totals = self.totals(portfolio)
        return self.law(hyperparameters, True, *totals, portfolio.coming_exposure())

    def law(self, hyperparameters, integer, counts, sums, coming=1.0):
        rate = hyperparameters["rate"] + counts
        return NegativeBinomialLaw(hyperparameters["shape"] + sums, rate / (rate + coming))


class _Normal(_Family):
    def cells(self, x):
        seen = ~np.isnan(x)
        return seen.astype(float), np.where(seen, x, 0.0)

    def fit(self, portfolio):
        x, errors = portfolio.observations, portfolio.errors
        if errors is None or np.isnan(errors).all():
            size = size_of(x)
            mean, spread, noise = row_components(x / size)
            return {"mean": mean * size, "spread": spread * size, "noise": noise * size}
        common = common_error(x, errors)
        seen = portfolio.take(np.flatnonzero(portfolio.counts))
        means = np.nanmean(seen.observations, axis=1)
        mean, spread = law_of_means(means, row_errors(seen, common) ** 2 / seen.counts)
        noise = common if np.isnan(errors).any() else np.nan
        return {"mean": mean, "spread": spread, "noise": noise}

    def law(self, hyperparameters, integer, counts, sums):
        law = RectifiedNormalLaw(*normal_outcomes(hyperparameters, counts, sums))
        return RoundedLaw(law) if integer else law


class _Lognormal(_Family):
    def cells(self, x):
        positive = np.nan_to_num(x) > 0
        logs = np.log(np.where(positive, x, 1.0))
        return positive.astype(float), logs, (x == 0).astype(float)

    def fit(self, portfolio):
        x = portfolio.observations
        n_positive, _, n_zero = self.summaries(x)
        positive = np.nan_to_num(x) > 0
        logs = np.log(np.where(positive, x, 1.0))
        mean, spread, noise = row_components(np.where(positive, logs, np.nan))
        counts = n_positive + n_zero
        a, b = beta_binomial(n_zero[counts > 0], counts[counts > 0])
        return {"mean": mean, "spread": spread, "noise": noise, "zeros": a, "others": b}

    def law(self, hyperparameters, integer, n_positive, logs, n_zero):
        a, b = hyperparameters["zeros"], hyperparameters["others"]
        share = zero_share(n_zero, n_positive, a, b)
        centre, width = normal_outcomes(hyperparameters, n_positive, logs)
        width = np.minimum(width, WIDEST)
        law = ZeroInflatedLognormalLaw(centre, width, share)
        return RoundedLaw(law) if integer else law


def row_components(x):
    """`variance_components` of rows with missing cells; all zero where nothing is there."""
    counts = (~np.isnan(x)).sum(axis=1)
    x, counts = x[counts > 0], counts[counts > 0]
    if len(x) == 0:
        return 0.0, 0.0, LEAST_VARIANCE**0.5
    # around the middle of all, so that sums of close numbers keep their digits
    middle = np.nanmean(np.sort(x, axis=None))
    sums = np.nansum(x - middle, axis=1)
    squares = np.nansum((x - middle - (sums / counts)[:, None]) ** 2, axis=1)
    mean, spread, noise = variance_components(sums, squares, counts)
    return float(mean + middle), spread, noise


def normal_levels(hyperparameters, counts, sums, noise):
    """Means and variances of rows' levels, given their observations and noise."""
    mean, spread = hyperparameters["mean"], hyperparameters["spread"]
    gain = spread**2 / (noise**2 + counts * spread**2)
    return mean + gain * (sums - counts * mean), gain * noise**2


def normal_outcomes(hyperparameters, counts, sums):
    """Mean and standard deviation of the next of normal outcomes."""
    noise = hyperparameters["noise"]
    centre, variance = normal_levels(hyperparameters, counts, sums, noise)
    return centre, np.sqrt(variance + noise**2)


_FAMILIES = {"gamma-poisson": _GammaPoisson, "lognormal": _Lognormal, "normal": _Normal}


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
        nearest where outcomes are whole.

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
        "family": [StrOptions({"auto", *_FAMILIES, BETA_BINOMIAL})],
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
        x, integer = portfolio.observations, portfolio.integer
        names = [self.family]
        if self.family == "auto":
            names = [name for name in _FAMILIES if integer or name != "gamma-poisson"]
            names = ["normal"] if portfolio.real else names
            poisson = portfolio.exposure is not None or is_poisson(self.problem_)
            names = ["gamma-poisson"] if poisson else names
        refuse_exposure(portfolio, self.family, "gamma-poisson")
        self._refuse_values(names[0], portfolio)
        if self.family == "gamma-poisson" and not integer:
            raise ValueError("family='gamma-poisson' needs whole numbers; X has others.")
        fitted = {name: _FAMILIES[name]().fit(portfolio) for name in names}
        self._common_error = common_error(x, portfolio.errors)
        self.scores_ = {}
        self.family_ = names[0]
        if len(names) > 1:
            for name, found in fitted.items():
                score = _FAMILIES[name]().held_out_score(found, integer, x)
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
        if self.family_ == "normal":
            centre, variance, noise = self._levels(portfolio)
            return law_of_outcome(portfolio, centre, np.sqrt(variance + noise**2))
        return _FAMILIES[self.family_]().law_of(self.hyperparameters_, portfolio)

    def _predict_law_of_mean(self, portfolio, spread=True):
        if self.family_ == "gamma-poisson":
            counts, sums = _GammaPoisson().totals(portfolio)
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
