"""What is made small of a row's uncertain cost: its mean, or its upper tail."""

from numbers import Real

import numpy as np

from sklearn_pttf._utils.rounding import EXACT

MEASURES = ("cvar", "quantile")


def check_risk(risk):
    """Refuse what is neither "mean" nor a pair of a measure and a level.

    Raises
    ------
    ValueError
    """
    if isinstance(risk, str) and risk == "mean":
        return
    pair = isinstance(risk, (tuple, list)) and len(risk) == 2 and risk[0] in MEASURES
    if pair and isinstance(risk[1], Real) and 0 < risk[1] < 1:
        return
    raise ValueError(
        "risk must be 'mean', ('cvar', level) or ('quantile', level) with a level between 0 and 1; "
        f"got {risk!r}."
    )


def risk_of_costs(risk, costs, weights):
    """Upper tail of the costs of every row.

    Parameters
    ----------
    risk : (str, float)
        ``("quantile", a)``: the cost that is not exceeded with probability ``a``. ``("cvar", a)``:
        the mean cost of the worst ``1 - a`` of cases [1]_.

    costs, weights : ndarray of shape (n, q)
        Possible costs, and their probabilities.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    .. [1] R. T. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", Journal of
       Risk 2 (2000), 21-41.
    """
    measure, level = risk
    order = np.argsort(costs, axis=1)
    costs = np.take_along_axis(costs, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    reached = np.cumsum(weights, axis=1)
    reached /= reached[:, -1:]
    if measure == "quantile":
        at = (reached < level - EXACT).sum(axis=1)
        return np.take_along_axis(costs, at[:, None], axis=1)[:, 0]
    before = np.column_stack([np.zeros(len(costs)), reached[:, :-1]])
    worst = np.clip(reached - np.maximum(before, level), 0.0, None)
    return (costs * worst).sum(axis=1) / worst.sum(axis=1)
