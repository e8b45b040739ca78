"""Picking rows under a capacity."""

import warnings

import numpy as np
from scipy import optimize, sparse
from sklearn.base import clone

from sklearn_pttf._utils.checks import describe_rows, row_values
from sklearn_pttf.problems._limit import PerRow, check_amount, scaled_limit
from sklearn_pttf.problems._values import ValueProblem

ROUNDING = 1e-12  # of the capacity
DOUBT = 1e-9  # of the largest value, by which what is settled must be better


class Selection(ValueProblem):
    """Pick the rows of the largest means under a capacity, from a few noisy observations of each.

    A decision is how much of a row is picked, between 0 and 1. The total of expected means is
    made as large as the capacity allows; a row that is expected to lose is never picked. Ranking
    by the expected mean guards against the winner's curse: of two rows with equal sample means the
    one that is better known goes first, if both are good.

    ``decide(X, return_info=True)`` gives ``shadow_price``, what one more unit of capacity would be
    worth, ``used``, ``capacity``, and ``bound``, which no picks within the capacity exceed in
    total expected value.

    Parameters
    ----------
    capacity : float or PerRow
        What all picks together may use. A `PerRow` grows with the number of rows that are decided
        together; a number is the same for a fold and for all rows.

    weights : float, str or Column, default=None
        What a row uses of the capacity if it is picked; positive. None: 1, so that the capacity is
        a number of rows.

    integer : bool, default=False
        Whether rows are picked as a whole or not at all. With unequal weights that is a knapsack
        problem, which is solved to proven optimality by HiGHS [1]_. False: of the last row a
        fraction may be picked; rows that are exactly as good share what is left.

    standard_errors : float, str or Column, default=None
        Standard error of one observation of every row, as in `Estimation`.

    noise : {"poisson", "binomial"}, default=None
        What is known of the noise, as in `Estimation`.

    trials : int, str, Column or list of str or int, default=None
        Numbers of trials of binomial outcomes, as in `Estimation`: the value of a row is its rate
        of success.

    coming_trials : int, str or Column, default=None
        Number of trials of the next outcome, as in `Estimation`.

    exposure, coming_exposure : float, str, Column or list of str or int, default=None
        What counts were, and the next is, counted over, as in `Estimation`; means are rates.

    observations : list of str or int, default=None
        Columns that hold observations. None: every column that plays no other role.

    ordered : bool, default=False
        Whether observations are in the order of time, oldest first. Of counts only; the value is
        then that of the period after the last column, at its conditions.

    drivers : dict of str to list of str or int, default=None
        What moves counts and is known beforehand, as in `Newsvendor`.

    seasons : int, tuple of int or "auto", default=None
        Numbers of periods after which seasons come back, as in `Newsvendor`.

    See Also
    --------
    Estimation : The means themselves.

    References
    ----------
    .. [1] Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", Math.
       Program. Comput. 10 (2018), 119-142.

    Examples
    --------
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.problems import Selection
    >>> X = [[0.3, 1.1], [-0.4, 0.2], [2.9, 2.3], [0.1, -1.0]]
    >>> SampleAverage(Selection(capacity=1.5)).fit(X).decide(X)
    array([0.5, 0. , 1. , 0. ])
    """

    constraint_parameters = ("weights",)

    def __init__(
        self,
        capacity,
        *,
        weights=None,
        integer=False,
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
    ):
        self.capacity = capacity
        self.weights = weights
        self.integer = integer
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

    def check(self):
        super().check()
        if not isinstance(self.capacity, PerRow):
            check_amount(self.capacity, "capacity")
        if not isinstance(self.integer, (bool, np.bool_)):
            raise ValueError(f"integer must be True or False; got {self.integer!r}.")

    def read_constraints(self, X, names=None):
        value = 1.0 if self.weights is None else self.weights
        weights = row_values(value, X, names, "weights")
        bad = ~(np.isfinite(weights) & (weights > 0))
        if bad.any():
            raise ValueError(
                f"weights must be positive and finite; got {describe_rows(bad, weights)}."
            )
        return {"weights": weights}

    def cost(self, decision, outcome):
        """What picks lose: minus their value.

        Parameters
        ----------
        decision, outcome : float, ndarray or Tensor
            Picks, and means or outcomes, which broadcast together.

        Returns
        -------
        float, ndarray or Tensor
            In units of the outcome.
        """
        return -decision * outcome

    def expected_cost(self, decision, law, portfolio):
        return -decision * law.mean()

    def stakes(self, law, portfolio):
        return law.mean_distance()

    def own_levels(self, law, portfolio):
        return np.full(len(law), 0.5)

    def for_training(self, portfolio, share):
        return clone(self).set_params(capacity=scaled_limit(self.capacity, share, 1)), portfolio

    @property
    def shares_limit(self):
        return True

    def solve(self, law, portfolio):
        return self._pick(law, portfolio)[0]

    def solve_with_info(self, law, portfolio):
        picks, price, capacity = self._pick(law, portfolio)
        values, weights = law.mean(), portfolio.constraints["weights"]
        bound = np.maximum(values - price * weights, 0.0).sum() + price * capacity
        used = float((picks * weights).sum())
        info = {"shadow_price": price, "used": used, "capacity": capacity, "bound": float(bound)}
        return picks, info

    def _pick(self, law, portfolio):
        """Picks, what one more unit of capacity would be worth, and the capacity."""
        weights = portfolio.constraints["weights"]
        capacity = self.capacity
        if isinstance(capacity, PerRow):
            capacity = capacity.amount * len(weights)
        capacity = float(capacity)
        if capacity > weights.sum() * (1 + ROUNDING):
            warnings.warn(
                f"capacity={self.capacity!r} is more than the {weights.sum():g} that all rows "
                "together can use: every row that is expected to gain is picked.",
                stacklevel=4,
            )
        values = law.mean()
        picks, price = pick_fractions(values, weights, capacity)
        if self.integer:
            picks = pick_whole(values, weights, capacity)
        return picks, price, capacity


def pick_fractions(values, weights, capacity):
    """Best picks between 0 and 1, by value a unit of weight; exact.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)

    capacity : float

    Returns
    -------
    picks : ndarray of shape (n,)

    price : float
        What one more unit of capacity would be worth.
    """
    worth = values / weights
    levels, place = np.unique(-worth, return_inverse=True)  # equally good rows share alike
    needed = np.bincount(place, weights, minlength=len(levels))
    needed = np.where(levels < 0, needed, 0.0)
    before = np.concatenate([[0.0], np.cumsum(needed)[:-1]])
    left = np.maximum(capacity - before, 0.0)
    # a capacity that a sum of weights misses by rounding only is enough
    full = needed <= left + ROUNDING * capacity
    share = np.where(full, 1.0, left / np.where(needed > 0, needed, 1.0)) * (levels < 0)
    short = np.flatnonzero(~full)
    price = float(-levels[short[0]]) if len(short) else 0.0
    return share[place], price


def pick_whole(values, weights, capacity):
    """Best picks of 0 or 1: a knapsack.

    Rows that the fractional solution leaves no doubt about are settled by it: what would cost
    more than the gap to a feasible solution, at the price of capacity, is in no optimal one. The
    others are left to HiGHS.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)

    capacity : float

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    RuntimeError
        If HiGHS ends without a proof.
    """
    allowed = capacity * (1 + ROUNDING)
    picks = np.zeros(len(values))
    rows = np.flatnonzero((values > 0) & (weights <= allowed))
    if len(rows):
        picks[rows] = _settle(values[rows], weights[rows], allowed)
    return picks


def _settle(values, weights, capacity):
    """`pick_whole` of rows that gain and fit."""
    greedy = np.zeros(len(values))
    left = capacity
    for row in np.lexsort((weights, -values / weights)):
        if weights[row] <= left:
            greedy[row] = 1.0
            left -= weights[row]
    _, price = pick_fractions(values, weights, capacity)
    reduced = values - price * weights
    gap = np.maximum(reduced, 0.0).sum() + price * capacity - (greedy * values).sum()
    if np.ptp(weights) == 0 or gap <= 0:
        return greedy
    unsettled = np.abs(reduced) <= gap + DOUBT * values.max()
    picks = np.where(unsettled, 0.0, reduced > 0)
    rest = capacity - (picks * weights).sum()
    unsettled &= weights <= rest
    if unsettled.any():
        picks[unsettled] = _knapsack(values[unsettled], weights[unsettled], rest)
    return picks


def _knapsack(values, weights, capacity):
    """Best picks of 0 or 1 by HiGHS, which takes what is a little too heavy for feasible.

    What it picks beyond the capacity is ruled out by one more constraint, until nothing is.
    """
    rows, most = [weights / capacity], [1.0]
    while True:
        found = optimize.milp(
            -values / values.max(),  # gaps are absolute too
            constraints=optimize.LinearConstraint(sparse.csr_array(np.array(rows)), ub=most),
            integrality=np.ones(len(values)),
            bounds=optimize.Bounds(0, 1),
            options={"mip_rel_gap": 0.0},
        )
        if found.status != 0:
            raise RuntimeError(f"HiGHS did not prove an optimal selection: {found.message}")
        picks = np.rint(found.x)
        if (picks * weights).sum() <= capacity:
            return picks
        rows.append(picks)
        most.append(picks.sum() - 1)
