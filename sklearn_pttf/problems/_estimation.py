"""Estimating the mean of every row."""

import numpy as np

from sklearn_pttf._utils.checks import check_real
from sklearn_pttf.problems._values import ValueProblem

COVERAGE_RANGE = (0.01, 0.99)  # of an interval; few observations say nothing of wider ones


class Estimation(ValueProblem):
    """Estimate the mean of every row from a few noisy observations, under squared error.

    The decision is the expected mean given all evidence: a row's own mean, pulled towards what
    the portfolio says [1]_. Of successes in trials it is the rate of success.
    ``decide(X, return_info=True)`` gives ``lower`` and ``upper``, ends of an interval for the mean
    (not for a next observation), and as ``expected_cost`` the variance of the mean given the
    evidence.

    Parameters
    ----------
    standard_errors : float, str or Column, default=None
        Standard error of one observation of every row, in units of the outcome, where it is known:
        a number for all rows, or a column, with missing cells where it is not. They may be of any
        size: a row whose error is hopelessly large is as one without observations. None: noise is
        read from how observations of a row differ.

    noise : {"poisson", "binomial"}, default=None
        What is known of the noise. ``"poisson"``: observations are Poisson counts around their
        row's mean, so that even rows with one observation each say how much of what they differ
        by is chance. ``"binomial"``: observations are numbers of successes in ``trials``, and a
        row's mean is its rate of success. None: it is read from how observations of a row differ.

    trials : int, str, Column or list of str or int, default=None
        With ``noise="binomial"``: the number of trials of every observation. A number for all, a
        column with one for each row, or a list of as many columns as there are observations, in
        their order. None: 1, of outcomes that are 0 or 1.

    coming_trials : int, str or Column, default=None
        With ``noise="binomial"``: the number of trials of the next outcome, whose law
        `predict_distribution` gives. None: ``trials``, and of a list of columns the row's mean,
        rounded up.

    exposure : float, str, Column or list of str or int, default=None
        What observations were counted over, such as games or days: a number, a column for all
        observations of a row, or one column for each column of observations, in their order; its
        unit means nothing. Only with ``noise="poisson"``. Means are then per unit of exposure, and
        `predict_distribution` gives the law of the next count over its own exposure. None: all
        were counted over the same.

    coming_exposure : float, str or Column, default=None
        What the next outcome is counted over. None, or a missing cell: what ``exposure`` says, or
        with a column for each observation their mean in the row, and in a row without any that of
        all rows.

    observations : list of str or int, default=None
        Columns that hold observations. None: every column that plays no other role.

    ordered : bool, default=False
        Whether observations are in the order of time, oldest first. Of counts only; the mean is
        then that of the period after the last column, at its conditions.

    drivers : dict of str to list of str or int, default=None
        What moves counts and is known beforehand, as in `Newsvendor`.

    seasons : int, tuple of int or "auto", default=None
        Numbers of periods after which seasons come back, as in `Newsvendor`.

    coverage : float, default=0.9
        Probability that the interval of ``decide(X, return_info=True)`` covers the mean.

    See Also
    --------
    Selection : Picks rows by their means.

    References
    ----------
    .. [1] B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations",
       J. Amer. Statist. Assoc. 70 (1975), 311-319.

    Examples
    --------
    >>> from sklearn_pttf import Column, PretrainedDecisionTransformer
    >>> from sklearn_pttf.problems import Estimation
    >>> X = [[0.3, 1.1], [-0.4, 0.2], [2.9, 2.3], [0.1, -1.0]]
    >>> pdt = PretrainedDecisionTransformer(Estimation()).fit(X)
    >>> means, info = pdt.decide(X, return_info=True)
    >>> bool(((info.lower < means) & (means < info.upper)).all())
    True

    One count a row, of noise that is known to be Poisson:

    >>> claims = [[0], [2], [1], [0], [7]]
    >>> pdt = PretrainedDecisionTransformer(Estimation(noise="poisson")).fit(claims)
    >>> means = pdt.decide(claims)
    >>> bool(0 < means[0] < means[2] < means[4] < 7)
    True

    Hits in so many at-bats, a player a row:

    >>> batting = [[18, 45], [12, 45], [9, 45], [2, 6]]
    >>> problem = Estimation(noise="binomial", trials=Column(1))
    >>> rates = PretrainedDecisionTransformer(problem).fit(batting).decide(batting)
    >>> bool(9 / 45 < rates[2] < rates[1] < rates[3] < rates[0] < 18 / 45)
    True

    Goals, and the games that they were scored in; equal rates, and one of them is surer:

    >>> goals = [[6, 20], [24, 80], [2, 20], [9, 80], [1, 20]]
    >>> told = Estimation(noise="poisson", exposure=Column(1))
    >>> rates = PretrainedDecisionTransformer(told).fit(goals).decide(goals)
    >>> bool(2 / 20 < rates[2] < rates[0] < rates[1] < 24 / 80)
    True
    """

    def __init__(
        self,
        *,
        standard_errors=None,
        noise=None,
        trials=None,
        coming_trials=None,
        exposure=None,
        coming_exposure=None,
        observations=None,
        ordered=False,
        drivers=None,
        seasons=None,
        coverage=0.9,
    ):
        self.standard_errors = standard_errors
        self.noise = noise
        self.trials = trials
        self.coming_trials = coming_trials
        self.exposure = exposure
        self.coming_exposure = coming_exposure
        self.observations = observations
        self.ordered = ordered
        self.drivers = drivers
        self.seasons = seasons
        self.coverage = coverage

    def check(self):
        super().check()
        check_real("coverage", self.coverage, *COVERAGE_RANGE)

    def cost(self, decision, outcome):
        """Squared error of estimates.

        Parameters
        ----------
        decision, outcome : float, ndarray or Tensor
            Estimates, and means or outcomes, which broadcast together.

        Returns
        -------
        float, ndarray or Tensor
            In squared units of the outcome.
        """
        return (decision - outcome) ** 2

    def charge(self, law, portfolio, outcomes):
        """Squared error, times the exposure: so rates that are known better count for more."""
        return super().charge(law, portfolio, outcomes) * portfolio.coming_units()

    def solve(self, law, portfolio):
        return law.mean()

    def expected_cost(self, decision, law, portfolio):
        if not hasattr(law, "variance"):
            return super().expected_cost(decision, law, portfolio)
        return law.variance() + (decision - law.mean()) ** 2

    def own_levels(self, law, portfolio):
        return np.full(len(law), 0.5)

    def row_info(self, decision, law, portfolio):
        tails = np.array([[(1 - self.coverage) / 2, (1 + self.coverage) / 2]])
        lower, upper = law.quantile(tails).T
        return {**super().row_info(decision, law, portfolio), "lower": lower, "upper": upper}
