"""Picking rows under a capacity."""

import threading
import warnings
from time import monotonic

import numpy as np
from scipy import optimize, sparse
from sklearn.base import clone

from sklearn_pttf._utils.checks import check_real, describe_rows, row_values
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
    worth, ``used``, ``capacity``, ``bound``, which no picks within the capacity exceed in
    total expected value, and ``gap``, what is left to prove of whole picks.

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
        problem, which HiGHS solves to proven optimality [1]_ or for ``max_seconds``. False: of the
        last row a fraction may be picked; rows that are exactly as good share what is left.

    max_seconds : float, default=10.0
        Longest time for whole picks of unequal weights. Rows whose values are nearly in proportion
        to their weights may need far more for a proof: then the best picks that were found are
        taken, with a warning and ``info.gap``, what the best there are may be worth more.

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
        max_seconds=10.0,
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
        self.max_seconds = max_seconds
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
        check_real("max_seconds", self.max_seconds, 1e-3, 1e6)

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
        picks, price, capacity, gap = self._pick(law, portfolio)
        values, weights = law.mean(), portfolio.constraints["weights"]
        bound = np.maximum(values - price * weights, 0.0).sum() + price * capacity
        used = float((picks * weights).sum())
        info = {"shadow_price": price, "used": used, "capacity": capacity, "bound": float(bound)}
        return picks, info | {"gap": gap}

    def _pick(self, law, portfolio):
        """Picks, what one more unit of capacity would be worth, the capacity, and the gap."""
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
        (picks, price), gap = pick_fractions(values, weights, capacity), 0.0
        if self.integer:
            picks, gap = pick_whole(values, weights, capacity, self.max_seconds)
        if gap > 0:
            warnings.warn(
                f"the best picks are not proven after max_seconds={self.max_seconds:g}: they may "
                f"be worth up to {gap:g} more than the {(values * picks).sum():g} of those found.",
                stacklevel=4,
            )
        return picks, price, capacity, gap


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


def pick_whole(values, weights, capacity, max_seconds=np.inf):
    """Best picks of 0 or 1: a knapsack.

    Rows that the fractional solution leaves no doubt about are settled by it: what would cost
    more than the gap to a feasible solution, at the price of capacity, is in no optimal one. The
    others are left to HiGHS.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)

    capacity : float

    max_seconds : float, default=inf
        Longest time for a proof.

    Returns
    -------
    picks : ndarray of shape (n,)

    gap : float
        What the best ones may be worth more, 0 where it is proven that they are not.
    """
    allowed = capacity * (1 + ROUNDING)
    picks, gap = np.zeros(len(values)), 0.0
    rows = np.flatnonzero((values > 0) & (weights <= allowed))
    if len(rows):
        picks[rows], gap = _settle(values[rows], weights[rows], allowed, max_seconds)
    return picks, gap


def _settle(values, weights, capacity, max_seconds):
    """`pick_whole` of rows that gain and fit."""
    greedy = np.zeros(len(values))
    left = capacity
    for row in np.lexsort((weights, -values / weights)):
        if weights[row] <= left:
            greedy[row] = 1.0
            left -= weights[row]
    _, price = pick_fractions(values, weights, capacity)
    reduced = values - price * weights
    bound = np.maximum(reduced, 0.0).sum() + price * capacity
    gap = bound - (greedy * values).sum()
    if np.ptp(weights) == 0 or gap <= 0:
        return greedy, 0.0
    unsettled = np.abs(reduced) <= gap + DOUBT * values.max()
    picks = np.where(unsettled, 0.0, reduced > 0)
    rest = capacity - (picks * weights).sum()
    unsettled &= weights <= rest
    if not unsettled.any():
        return picks, 0.0
    settled = (picks * values).sum()
    found, most = _knapsack(values[unsettled], weights[unsettled], rest, max_seconds)
    if most is None:
        picks[unsettled] = found
        return picks, 0.0
    if found is not None:
        picks[unsettled] = found
    if found is None or (picks * values).sum() < (greedy * values).sum():
        picks = greedy
    return picks, max(float(min(bound, settled + most) - (picks * values).sum()), 0.0)


def _knapsack(values, weights, capacity, max_seconds):
    """Best picks of 0 or 1 by HiGHS, which takes what is a little too heavy for feasible.

    What it picks beyond the capacity is ruled out by one more constraint, until nothing is.

    Returns
    -------
    picks : ndarray of shape (n,) or None
        None: time was too short for any.

    most : float or None
        What no picks are worth more than. None: these are proven to be best.
    """
    ends = monotonic() + max_seconds
    rows, most = [weights / capacity], [1.0]
    while True:
        found = _interruptible(
            optimize.milp,
            -values / values.max(),  # gaps are absolute too
            constraints=optimize.LinearConstraint(sparse.csr_array(np.array(rows)), ub=most),
            integrality=np.ones(len(values)),
            bounds=optimize.Bounds(0, 1),
            # presolved ones print
            options={
                "mip_rel_gap": 0.0,
                "presolve": False,
                "time_limit": max(ends - monotonic(), 1e-3),
            },
        )
        proven = found.status == 0
        bound = found.mip_dual_bound
        limit = np.inf if bound is None else -bound * values.max()
        if found.x is None:
            return None, limit
        picks = np.rint(found.x)
        if (picks * weights).sum() <= capacity:
            return picks, None if proven else limit
        if not proven:
            return None, limit
        rows.append(picks)
        most.append(picks.sum() - 1)


def _interruptible(function, *args, **kwargs):
    """What a function gives that hears no interrupt; it runs beside, and is left to itself."""
    given = []

    def run():
        try:
            given.append((function(*args, **kwargs), None))
        except BaseException as error:
            given.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    result, error = given[0]
    if error is not None:
        raise error
    return result
