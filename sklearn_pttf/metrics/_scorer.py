"""Decision metrics as scorers: greater is better."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_pttf.metrics._decisions import decision_cost, prescriptiveness, regret
from sklearn_pttf.problems._given import check_problem
from sklearn_pttf.problems._time import refuse_further_periods

# name: the metric, whether greater is better, and the parameters that a scorer passes on
METRICS = {
    "cost": (decision_cost, False, ()),
    "regret": (regret, False, ("floor",)),
    "prescriptiveness": (prescriptiveness, True, ("floor",)),
}


def make_decision_scorer(metric="cost", *, problem=None, greater_is_better=None, **kwargs):
    """Make a scorer of decisions for `GridSearchCV`, `cross_val_score` and their like.

    Parameters
    ----------
    metric : {"cost", "regret", "prescriptiveness"} or callable, default="cost"
        What is measured: `decision_cost`, `regret`, `prescriptiveness`, or a function
        ``metric(y, decision, problem=..., X=...)`` that gives a number.

    problem : DecisionProblem, default=None
        What a decision costs; its observation columns are those of the fitted estimator.
        None: the estimator's own problem, ``problem_``.

    greater_is_better : bool, default=None
        For a callable: whether greater figures are better; None is True, as in
        `sklearn.metrics.make_scorer`. The named metrics know for themselves.

    **kwargs : dict
        More parameters for the metric: ``floor`` for "regret" and "prescriptiveness".

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, which charges ``estimator.decide(X)`` on the later
        outcomes ``y``, of shape ``(n,)`` or ``(n, m)``. Greater is better: costs and regrets
        come with a minus sign.

    Raises
    ------
    ValueError
        If the metric is unknown, or if ``greater_is_better`` is given for a named one.

    TypeError
        If the metric has no such parameter.

    See Also
    --------
    sklearn.metrics.make_scorer : Scorers of predictions; they do not know ``decide``.

    Notes
    -----
    The scorer also takes a Pipeline whose last step decides, and a fitted search over either.
    ``X`` is then, for the metric too, what reaches the step that decides.

    The scorer raises ValueError without ``y`` and TypeError for an estimator that cannot
    decide. Searches turn errors into NaN and a warning, unless ``error_score="raise"``.
    "prescriptiveness" is NaN where sample averages leave no room, and then ranks last.

    Scores at different costs are not comparable: a search over ``problem__underage`` needs a
    ``problem`` here, the costs that are really paid.

    Examples
    --------
    Sample averages order 2 and 6, and are 1 and 2 short.

    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.metrics import make_decision_scorer
    >>> X, y = [[2, 4], [6, 10]], [3, 8]
    >>> scorer = make_decision_scorer("cost")
    >>> scorer(SampleAverage().fit(X), X, y)
    -1.5
    >>> make_decision_scorer("regret", floor="foresight")
    make_decision_scorer('regret', floor='foresight')
    """
    name = _name(metric)
    if name is None:
        greater = True if greater_is_better is None else bool(greater_is_better)
        return DecisionScorer(metric, greater, problem, kwargs)
    metric, greater, parameters = METRICS[name]
    if greater_is_better is not None:
        raise ValueError(
            f"greater_is_better={greater_is_better!r} is for callables; metric={name!r} knows."
        )
    for key in kwargs:
        if key not in parameters:
            raise TypeError(f"metric={name!r} takes no parameter {key!r} in a scorer.")
    return DecisionScorer(metric, greater, problem, kwargs)


def _name(metric):
    """Name of a metric of this package; None for another callable."""
    for name, (function, _, _) in METRICS.items():
        if metric in (name, function):
            return name
    if not callable(metric):
        raise ValueError(f"metric must be one of {list(METRICS)} or a callable; got {metric!r}.")
    return None


class DecisionScorer:
    """Scores the decisions of a fitted estimator; see `make_decision_scorer`."""

    def __init__(self, metric, greater_is_better, problem, kwargs):
        self._metric = metric
        self._greater_is_better = greater_is_better
        self._problem = None if problem is None else clone(check_problem(problem))
        self._kwargs = kwargs

    def __call__(self, estimator, X, y=None):
        """Score of the estimator's decisions for X on later outcomes y."""
        if y is None:
            raise ValueError(
                f"{self!r} needs y, the outcomes of a later period, to charge decisions on; pass "
                "y to the search or the cross-validation. Without y, the estimator's own score "
                "charges each observation of X on decisions made from the others."
            )
        estimator, X = _deciding_step(estimator, X)
        decision = np.asarray(estimator.decide(X))
        problem = _problem_to_charge(self._problem, estimator)
        refuse_further_periods(y, getattr(estimator, "problem_", problem))
        return self._signed(self._metric(y, decision, problem=problem, X=X, **self._kwargs))

    def _signed(self, value):
        """The value, or its negative, so that greater is better."""
        return value if self._greater_is_better else -value

    def __repr__(self):
        name = _name(self._metric)
        if name is None:
            function = getattr(self._metric, "__name__", repr(self._metric))
            shown = [function, f"greater_is_better={self._greater_is_better}"]
        else:
            shown = [repr(name)]
        if self._problem is not None:
            shown.append(f"problem={self._problem!r}")
        shown += [f"{key}={value!r}" for key, value in self._kwargs.items()]
        return f"make_decision_scorer({', '.join(shown)})"


def _deciding_step(estimator, X):
    """The estimator that decides, inside of searches and pipelines, and X as it sees it."""
    if isinstance(estimator, Pipeline):
        before = estimator[:-1]
        return _deciding_step(estimator[-1], before.transform(X) if len(before) else X)
    if hasattr(estimator, "decide"):
        return estimator, X
    if hasattr(estimator, "best_estimator_"):
        return _deciding_step(estimator.best_estimator_, X)
    raise TypeError(
        f"{estimator!r} cannot decide: it is neither an estimator with a method decide, nor a "
        "Pipeline whose last step has one, nor a fitted search over one."
    )


def _problem_to_charge(problem, estimator):
    """The problem, with the observation columns of the fitted estimator."""
    if problem is None and not hasattr(estimator, "problem_"):
        raise ValueError(f"{estimator!r} has no problem_: give make_decision_scorer a problem=.")
    if problem is None:
        return estimator.problem_
    columns = getattr(estimator, "observation_columns_", None)
    if columns is None or "observations" not in problem.get_params():
        return problem
    names = getattr(estimator, "feature_names_in_", None)
    problem.check_roles(names, estimator.n_features_in_, columns)
    return clone(problem).set_params(observations=columns.tolist())
