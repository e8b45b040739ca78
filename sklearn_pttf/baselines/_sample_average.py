"""Sample average approximation: every instance on its own."""

from sklearn.base import BaseEstimator

from sklearn_pttf._laws.atoms import sample_average_law
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._utils.sklearn_private import _fit_context
from sklearn_pttf.problems import DecisionProblem


class SampleAverage(DecisionMixin, BaseEstimator):
    """Decide every instance on its own observations alone (SAA).

    The law of an instance's next outcome is its own empirical law; an instance without
    observations gets the law of all observations that `fit` saw. With few observations
    this overfits the noise: it is the reference that pooling methods should beat.

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
    sklearn_pttf.PretrainedDecisionTransformer : Lets instances learn from each other.

    References
    ----------
    .. [1] A. J. Kleywegt, A. Shapiro, T. Homem-de-Mello, "The sample average approximation
       method for stochastic discrete optimization", SIAM J. Optim. 12 (2002), 479-502.

    Examples
    --------
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = [[3, 5, 4], [0, 1, 0]]
    >>> SampleAverage(Newsvendor(underage=4.0, overage=1.0)).fit(X).decide(X)
    array([5., 1.])
    """

    _reads_exposure = True
    _reads_trials = True
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
        SampleAverage
            The fitted estimator.
        """
        self._read_to_fit(X)
        return self

    def _predict_law(self, portfolio):
        return sample_average_law(portfolio, self._pooled)
