"""Cubic splines as matrices, for values that are known later."""

import numpy as np
from scipy.interpolate import CubicSpline


def spline_weights(n_values, n_between):
    """What values at whole numbers weigh in the cubic spline through them.

    Its third derivative is steady at the second knots ("not a knot").

    Parameters
    ----------
    n_values : int
        At 0, 1, ..., at least 4.

    n_between : int
        Steps from each to the next.

    Returns
    -------
    ndarray of shape (n_values, (n_values - 1) * n_between + 1)

    Examples
    --------
    A cubic is its own spline:

    >>> import numpy as np
    >>> from sklearn_pttf._utils.splines import spline_weights
    >>> (np.arange(5) ** 3) @ spline_weights(5, 2)[:, :4]
    array([0.   , 0.125, 1.   , 3.375])
    """
    spline = CubicSpline(np.arange(n_values), np.eye(n_values), bc_type="not-a-knot")
    return spline(np.arange((n_values - 1) * n_between + 1) / n_between).T
