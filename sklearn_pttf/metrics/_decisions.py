"""Cost, regret and prescriptiveness of decisions."""

import numpy as np

from sklearn_pttf._laws.atoms import pooled_atoms
from sklearn_pttf._tables.portfolio import are_whole
from sklearn_pttf.metrics._charge import Charge, check_decision, check_later, read_portfolio
from sklearn_pttf.problems._given import check_problem, refuse_prices

SOME_ROWS = 100  # whose laws tell whether outcomes are whole numbers
LEAST_ROOM = 0.01  # between SAA and the floor, as a share of SAA's cost


def _read(y, decision, problem, X, truth, *, observed=False):
    """The decisions, and what charges them."""
    problem = check_problem(problem)
    refuse_prices(problem)
    if problem.of_means and problem.exposure is not None:
        raise ValueError(
            "problem must have no exposure here, as decisions are rates: give y per unit of "
            f"exposure, and exposure=None; got exposure={problem.exposure!r}."
        )
    decision = check_decision(decision)
    outcomes, truth = check_later(y, truth, decision, problem)
    later = truth.take(slice(0, SOME_ROWS)).nodes()[0] if outcomes is None else outcomes
    whole = are_whole(decision) and are_whole(later)
    portfolio = read_portfolio(problem, X, decision, whole, observed=observed)
    return decision, Charge(problem, portfolio, outcomes, truth)


def _mean(costs):
    """Mean over the rows that have a cost."""
    return float(np.nanmean(costs))


def decision_cost(y, decision, *, problem=None, X=None, truth=None, per_row=False):
    """Mean cost of decisions on outcomes that they did not see.

    A row's cost is the mean over its outcomes; every row with an outcome counts the same.

    Parameters
    ----------
    y : array-like of shape (n_instances,) or (n_instances, n_outcomes) or None
        Outcomes of a later period, in units of the outcome; NaN = not observed. Rows without
        any do not count. Not looked at where ``truth`` is given.

    decision : array-like of shape (n_instances,)
        One decision a row; for the newsvendor an order, in units of the outcome.

    problem : DecisionProblem, default=None
        What a decision costs. None: ``Newsvendor()``, at equal costs.

    X : array-like or data frame of shape (n_instances, n_columns), default=None
        The table that holds the columns of cost parameters, if there are any; its other
        columns are not looked at.

    truth : PredictiveDistribution, default=None
        The true law of every row (of its total, over a horizon), where it is known, as in a
        simulation: the cost is then the exact expected one.

    per_row : bool, default=False
        Whether to give the cost of every row instead of the mean.

    Returns
    -------
    float or ndarray of shape (n_instances,)
        In money a row. With ``per_row``, NaN for a row without outcome.

    Raises
    ------
    ValueError
        If there is no outcome at all, if outcomes cannot be, if X is needed and not given, or
        if numbers of rows differ.

    See Also
    --------
    regret : The cost above the least that was possible.
    prescriptiveness : The cost between that of sample averages and the least.

    Examples
    --------
    Orders of 5 and 6; a unit short costs 4, a unit left over 1. The first row has 2 left over,
    then 2 short, ``(2 + 8) / 2``; the second has 1 left over.

    >>> import numpy as np
    >>> from sklearn_pttf.metrics import decision_cost
    >>> from sklearn_pttf.problems import Newsvendor
    >>> problem = Newsvendor(underage=4.0, overage=1.0)
    >>> y = [[3, 7], [5, np.nan]]
    >>> decision_cost(y, [5, 6], problem=problem)
    3.0
    >>> decision_cost(y, [5, 6], problem=problem, per_row=True)
    array([5., 1.])
    """
    decision, charge = _read(y, decision, problem, X, truth)
    costs = charge.cost(decision)
    return costs if per_row else _mean(costs)


def regret(y, decision, *, problem=None, X=None, floor="law", truth=None, per_row=False):
    """Mean cost of decisions above the least that was possible; never negative.

    What `decision_cost` gives, minus the floor: the cost of the best decisions that know more.

    Parameters
    ----------
    y : array-like of shape (n_instances,) or (n_instances, n_outcomes) or None
        Outcomes of a later period, in units of the outcome; NaN = not observed. Rows without
        any do not count. Not looked at where ``truth`` is given.

    decision : array-like of shape (n_instances,)
        One decision a row.

    problem : DecisionProblem, default=None
        What a decision costs. None: ``Newsvendor()``, at equal costs.

    X : array-like or data frame of shape (n_instances, n_columns), default=None
        The table that holds the columns of cost parameters, if there are any.

    floor : {"law", "foresight"}, default="law"
        What the best decision knows. ``"law"``: the law of the row's outcomes (full
        information); without ``truth`` that is their empirical law, so the best is the one
        decision a row that is cheapest on ``y`` in hindsight. ``"foresight"``: every outcome
        before it comes, so the best is another one for each; the newsvendor's costs nothing.

    truth : PredictiveDistribution, default=None
        The true law of every row (of its total, over a horizon), where it is known: costs are
        then expected ones.

    per_row : bool, default=False
        Whether to give the regret of every row instead of the mean.

    Returns
    -------
    float or ndarray of shape (n_instances,)
        In money a row, at least 0. With ``per_row``, NaN for a row without outcome, and below 0
        for one that had more of a shared limit than the best decisions give it.

    Raises
    ------
    ValueError
        If ``floor`` is unknown, or as in `decision_cost`.

    See Also
    --------
    decision_cost : The cost itself.

    Notes
    -----
    With one outcome a row and no ``truth`` the two floors are the same: a row's law is then
    that one outcome. With few outcomes the empirical law flatters the floor, and ``"law"``
    says more about noise than about the decisions. Foresight under ``truth`` is a mean over the
    nodes of the law, which is exact for the newsvendor and for laws of atoms.

    Examples
    --------
    The first row's best single order is 7, at ``(4 + 0) / 2``; the second row's is 5, at 0.

    >>> import numpy as np
    >>> from sklearn_pttf.metrics import regret
    >>> from sklearn_pttf.problems import Newsvendor
    >>> problem = Newsvendor(underage=4.0, overage=1.0)
    >>> y = [[3, 7], [5, np.nan]]
    >>> regret(y, [5, 6], problem=problem, per_row=True)
    array([3., 1.])
    >>> regret(y, [5, 6], problem=problem)
    2.0
    >>> regret(y, [5, 6], problem=problem, floor="foresight")
    3.0
    """
    decision, charge = _read(y, decision, problem, X, truth)
    regrets = charge.cost(decision) - charge.floor(floor)
    # the floor's decision may miss the best one by rounding; of a limit, rows' shares differ
    if not charge.problem.shares_limit:
        regrets = np.maximum(regrets, 0.0)
    return regrets if per_row else max(_mean(regrets), 0.0)


def prescriptiveness(y, decision, *, X, problem=None, floor="law", truth=None):
    """How much of the way from sample averages to the least cost decisions go.

    ``(C_SAA - C) / (C_SAA - C_floor)``, where ``C`` is the cost of the decisions and ``C_SAA``
    that of sample average approximation (SAA) on X: 1 is the best, 0 is no better than SAA,
    below 0 is worse.

    Parameters
    ----------
    y : array-like of shape (n_instances,) or (n_instances, n_outcomes) or None
        Outcomes of a later period, in units of the outcome; NaN = not observed. Rows without
        any do not count. Not looked at where ``truth`` is given.

    decision : array-like of shape (n_instances,)
        One decision a row.

    X : array-like or data frame of shape (n_instances, n_columns)
        The observations that decisions were made from, with the columns of cost parameters.
        SAA decides each row on its own observations, and a row without any on those of all
        rows of X.

    problem : DecisionProblem, default=None
        What a decision costs, and which columns are observations. None: ``Newsvendor()``.

    floor : {"law", "foresight"}, default="law"
        What the best decision knows, as in `regret`.

    truth : PredictiveDistribution, default=None
        The true law of every row (of its total, over a horizon), where it is known: costs are
        then expected ones.

    Returns
    -------
    float
        At most 1, without unit. NaN where SAA leaves no room: where the floor is at most 1 %
        of SAA's cost below it.

    Raises
    ------
    ValueError
        If X has no observation, if ``floor`` is unknown, or as in `decision_cost`.

    See Also
    --------
    regret : The cost above the floor, in money.

    Notes
    -----
    With ``floor="foresight"`` this is the coefficient of prescriptiveness [1]_, with SAA a row.
    That floor is out of reach for any decision that is made before the outcome, so that its
    figures are lower; full information (``floor="law"``) is what more observations lead to.

    References
    ----------
    .. [1] D. Bertsimas, N. Kallus, "From predictive to prescriptive analytics", Management
       Science 66 (2020), 1025-1044.

    Examples
    --------
    At equal costs SAA orders the lower median, 2 and 6, which costs 2 a row; the best orders,
    3 and 8, cost 1 and 0. These here cost 1 and 1.5.

    >>> from sklearn_pttf.metrics import prescriptiveness
    >>> X, y = [[2, 4], [6, 10]], [[3, 5], [8, 8]]
    >>> prescriptiveness(y, [5, 6.5], X=X)
    0.5
    >>> prescriptiveness(y, [5, 6.5], X=X, floor="foresight")
    0.375
    """
    decision, charge = _read(y, decision, problem, X, truth, observed=True)
    reference = _mean(charge.cost(_sample_average_decision(charge.problem, charge.portfolio)))
    room = reference - _mean(charge.floor(floor))
    if room <= LEAST_ROOM * abs(reference):
        return np.nan
    return (reference - _mean(charge.cost(decision))) / room


def _sample_average_decision(problem, portfolio):
    """Decisions on rows' own observations; those of all rows for a row without."""
    pooled = pooled_atoms(portfolio.as_rates().observations, portfolio.exposures())
    return problem.solve(problem.reference_law(portfolio, pooled), portfolio)
