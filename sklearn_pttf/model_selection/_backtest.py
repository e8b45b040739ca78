"""What decisions would have cost in the past of a table, each made from what was known then."""

import os
import warnings
from inspect import isclass
from numbers import Integral
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._utils.checks import as_table, shown
from sklearn_pttf._utils.sklearn_private import validate_params
from sklearn_pttf._version import __version__
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.model_selection._backtest_result import (
    OF_CELLS,
    POLICY,
    SAA,
    BacktestResult,
    row_labels,
)
from sklearn_pttf.model_selection._ledger import CarriedStock, SingleOrders
from sklearn_pttf.model_selection._origins import (
    Policy,
    RollingTable,
    carries_stock,
    columns_of_policy,
)
from sklearn_pttf.model_selection._results import ResultFolder, described, fingerprint
from sklearn_pttf.problems._given import check_problem, refuse_prices

ESTIMATOR = "estimator"  # name of what is tested
BASELINES = {SAA: SampleAverage, "smoothing": ExponentialSmoothing}
# of the estimator, that decisions do not depend on, or that stand in the key in another way
NOT_IN_KEY = ("problem", "checkpoint", "memory", "device", "verbose")


class Method(NamedTuple):
    """What decides, but for a policy."""

    name: str
    estimator: BaseEstimator
    described: str  # with all that decisions depend on

    def at(self, origin):
        """Name of the result at an origin."""
        return f"{self.described}/{origin}"


class Fit(NamedTuple):
    """One method to be fitted at an origin."""

    name: str  # of the result
    method: str
    estimator: BaseEstimator
    state: object  # StockState, None where no stock is carried over
    seed: int


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "origins": "no_validation",
        "baselines": [dict, None],
        "policy": "no_validation",
        "start": "no_validation",
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "resume": [str, os.PathLike, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=False,
)
def backtest(
    estimator,
    X,
    *,
    origins=None,
    baselines=None,
    policy=None,
    start=None,
    n_jobs=None,
    random_state=None,
    resume=None,
    verbose=0,
):
    """Decide at earlier periods of a table, and charge the decisions on what came after them.

    At every origin the estimator is cloned, fitted to the periods before, and decides. It does not
    see later observations; of drivers it sees those periods that are decided for, as a plan would
    have told. Costs, bounds, limits and seasons are those of its problem. Baselines and the rule
    of today do the same, so all methods are charged on the same periods of the same rows.

    Decisions of a `Newsvendor` are charged on the total of its ``horizon``, each by itself. Of a
    problem that carries stock over, such as `Replenishment`, every method has a stock of its own,
    which goes through all periods from the first origin on: what is left at an origin, and what is
    under way, is what it decides with at the next one.

    Parameters
    ----------
    estimator : estimator that decides
        Such as `PretrainedDecisionTransformer`, with a problem that has ``ordered=True``.

    X : array-like or data frame of shape (n, n_features)
        One row an instance; NaN marks a missing observation.

    origins : int or array-like of int, default=None
        How many periods are known at each origin, in increasing order. An int is the number of
        origins: the newest ones that can be charged, as far apart as decisions are, ``review``
        periods, or ``horizon`` of a `Newsvendor`. None: 26 at most, that leave half of the periods
        to learn from. At least 2 periods must be known.

    baselines : dict of str to estimator or class, default=None
        What to compare with, by name; their problem is that of the estimator. None: "SAA" and
        "smoothing", `SampleAverage` and `ExponentialSmoothing`. ``{}``: nothing.

    policy : callable, array-like of shape (n, n_origins) or list of str, default=None
        The rule of today. A function ``policy(history, state, origin)`` of what was observed,
        ndarray of shape (n, origin), of a `StockState` (None where no stock is carried over), and
        of the number of known periods: it gives one order a row. Or past orders, a column for each
        origin, or the names of such columns of X, which are no observations then. What it orders
        is taken as it is: packs, least orders and limits of the problem do not bind it.

    start : tuple of (on_hand, on_order), default=None
        Stock before the first origin, a number or one a row, and what arrives in the first periods
        from then on, of shape (n, longest lead time), or None for nothing. Past orders need it,
        as they were placed on the stock of then. None: on hand is twice the mean of a row's newest
        13 observations before the first origin, and that mean arrives in each period of the lead
        time, both rounded where observations are whole numbers. Only where stock is carried over.

    n_jobs : int, default=None
        Number of origins that are done at a time; of methods, where stock is carried over. None: 1,
        unless in a `joblib.parallel_config` context.

    random_state : int, RandomState or None, default=None
        Source of all training of estimators that have ``random_state=None``.

    resume : str or Path, default=None
        A folder that takes every result as it comes. A later call with the same estimator, X and
        settings does only what is still missing; another one is refused. Further origins and
        baselines may be asked for; where stock is carried over, later origins only.

    verbose : int, default=0
        1: show progress. Fits themselves print nothing.

    Returns
    -------
    BacktestResult
        Costs, decisions and their parts by method, row and origin, and a ``summary``.

    Raises
    ------
    TypeError
        If ``estimator`` or a baseline is nothing that decides.

    ValueError
        If the problem has not ``ordered=True``, or has prices or exposure; if there are more
        origins than X has columns for, or an argument is not allowed; if the policy gives NaN,
        negative orders or others than one a row; if ``resume`` holds the results of another call.

    See Also
    --------
    sklearn_pttf.inspection.BacktestDisplay : The picture.
    transfer_curve : Cost against the number of rows.

    Notes
    -----
    A decision of a `Newsvendor` is not charged for a row that lacks an observation in one of its
    periods. Where stock is carried over, orders are charged with the ``review`` periods from their
    arrival on; earlier periods cannot be changed by any. A missing observation then counts as no
    demand and is not charged, though the stock of that period is there in the next one.

    With ``stock`` or ``sold_out`` a capped sale is charged as one draw from what demand may have
    been, the same for all methods: it is drawn by the whole table, later periods included.

    Intervals are Student's, over origins, and paired where methods are compared. They are too
    narrow where what happens at an origin is still felt at the next ones: where origins are closer
    than the horizon, and a little where stock is carried over.

    Warnings of fits are shown for the newest origin only.

    Examples
    --------
    Four weeks of twelve are decided anew, each from those before:

    >>> import numpy as np
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.model_selection import backtest
    >>> from sklearn_pttf.problems import Newsvendor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.poisson(rng.gamma(2.0, 5.0, size=(60, 1)), size=(60, 12))
    >>> problem = Newsvendor(underage=4.0, overage=1.0, ordered=True)
    >>> result = backtest(
    ...     PretrainedDecisionTransformer(problem, finetune=None),
    ...     X,
    ...     origins=4,
    ...     policy=lambda history, state, origin: 1.3 * history[:, -4:].mean(axis=1),
    ... )
    >>> result.origins
    array([ 8,  9, 10, 11])
    >>> result.methods
    ('estimator', 'SAA', 'smoothing', 'policy')
    >>> saving, half_width = result.saving(against="policy")
    >>> bool(saving[0] > 0)
    True
    """
    X = as_table(X)
    _check_decides(estimator, "estimator")
    problem = check_problem(estimator.problem, estimator._default_problem)
    refuse_prices(problem)
    named = columns_of_policy(policy)
    table = RollingTable(problem, X, named)
    origins = table.origins(origins)
    ledger = _ledger(table, origins, start)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    estimators = _estimators(estimator, baselines, policy)
    _refuse_unseeded(resume, random_state, estimators)
    rule = None if policy is None else Policy(policy, table, origins)
    if carries_stock(problem) and rule is not None and rule.orders is not None and start is None:
        _warn_of_made_up_stock(origins[0])
    estimators[ESTIMATOR] = _pretrained_once(estimators[ESTIMATOR], table, origins, ledger, seed)
    methods = [_method(name, each, random_state) for name, each in estimators.items()]
    results = ResultFolder(resume, _key(table, origins, ledger, methods[0]))
    _run_missing(methods, results, table, origins, ledger, seed, n_jobs, verbose)
    return _result(methods, results, rule, table, origins, ledger)


# ------------------------------------------------------------------ arguments


def _check_decides(estimator, name):
    if isinstance(estimator, DecisionMixin) and hasattr(estimator, "problem"):
        return
    hint = ""
    if hasattr(estimator, "steps"):
        hint = " Of a Pipeline give the last step, and X as that step sees it."
    raise TypeError(
        f"{name} must be an estimator that decides, such as PretrainedDecisionTransformer; got "
        f"{estimator!r}.{hint}"
    )


def _estimators(estimator, baselines, policy):
    """What is to be fitted, by name; the estimator first."""
    found = {ESTIMATOR: estimator}
    taken = [ESTIMATOR, *([] if policy is None else [POLICY])]
    for name, each in (BASELINES if baselines is None else baselines).items():
        if not isinstance(name, str) or name in taken:
            raise ValueError(f"baselines must have names as keys, none of {taken}; got {name!r}.")
        each = each() if isclass(each) else each
        _check_decides(each, f"baselines[{name!r}]")
        found[name] = each
    return {name: _quiet(clone(each)) for name, each in found.items()}


def _quiet(estimator):
    if "verbose" in estimator.get_params(deep=False):
        estimator.set_params(verbose=0)
    return estimator


def _draws_at_random(estimator):
    """Whether fits depend on a seed that the estimator does not tell."""
    params = estimator.get_params(deep=False)
    if "random_state" not in params or params["random_state"] is not None:
        return False
    if isinstance(estimator, PretrainedDecisionTransformer):
        return estimator.finetune is not None or estimator.prior is not None
    return True


def _refuse_unseeded(resume, random_state, estimators):
    random = [name for name, each in estimators.items() if _draws_at_random(each)]
    if resume is not None and random_state is None and random:
        raise ValueError(
            f"resume needs a random_state, so that a later call trains {random[0]!r} alike; got "
            "random_state=None."
        )


def _ledger(table, origins, start):
    if not carries_stock(table.problem):
        if start is not None:
            raise ValueError(
                f"start must be None for a {type(table.problem).__name__}, which carries no stock "
                f"over; got {shown(start)}."
            )
        return SingleOrders(table, origins)
    if start is None:
        start = table.neutral_start(origins[0])
    if not isinstance(start, tuple | list) or len(start) != 2:
        raise ValueError(
            "start must be a pair (on_hand, on_order), where None is nothing on order, such as "
            f"(table['stock'], None); got {shown(start)}."
        )
    return CarriedStock(table, origins, start)


def _warn_of_made_up_stock(origin):
    warnings.warn(
        "policy is past orders, which were placed on a stock that nobody told: all methods begin "
        "with twice the usual demand on hand, so savings against the policy may be far too high "
        f"or too low. Give start=(on_hand, on_order), what there was after {origin} periods.",
        stacklevel=4,
    )


def _state(ledger, decisions):
    """The stock after some decisions ``(n, k)``; None where none is carried over."""
    return ledger.state(decisions) if isinstance(ledger, CarriedStock) else None


def _pretrained_once(estimator, table, origins, ledger, seed):
    """The estimator, with the weights that its prior asks for."""
    if getattr(estimator, "prior", None) is None:
        return estimator
    X, problem = table.at(origins[0], _state(ledger, np.empty((len(table.X), 0))))
    first = clone(estimator).set_params(finetune=None, problem=problem)
    if first.random_state is None:
        first.set_params(random_state=seed)
    return estimator.set_params(checkpoint=first.fit(X).checkpoint_, prior=None)


def _method(name, estimator, random_state):
    params = estimator.get_params(deep=False)
    parts = {key: described(params[key]) for key in sorted(params) if key not in NOT_IN_KEY}
    parts["class"] = type(estimator).__name__
    checkpoint = params.get("checkpoint")
    if checkpoint is not None and not (isinstance(checkpoint, str) and checkpoint == "auto"):
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = Checkpoint.load(checkpoint)
        parts["checkpoint"] = checkpoint.fingerprint()
    if _draws_at_random(estimator):
        parts["seed"] = described(random_state)
    return Method(name, estimator, ", ".join(f"{key}={value}" for key, value in parts.items()))


def _key(table, origins, ledger, method):
    """What results depend on, beside method and origin; dict of str to str."""
    key = {
        "version": __version__,
        "X": fingerprint(table.observations, *table.role_columns()),
        "problem": described(table.problem),
        "estimator": method.described,
    }
    if isinstance(ledger, CarriedStock):
        key["first origin"] = str(origins[0])
        key["start"] = fingerprint(*(np.asarray(ledger.known[k]) for k in ("on_hand", "on_order")))
    return key


# ------------------------------------------------------------------ fits


def _run_missing(methods, results, table, origins, ledger, seed, n_jobs, verbose):
    """Fit what has no result yet, origin by origin, and keep each result as it comes."""
    carried = isinstance(ledger, CarriedStock)
    missing = [
        [method for method in methods if method.at(origin) not in results] for origin in origins
    ]
    n_missing = sum(map(len, missing))
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    with tqdm(
        total=len(methods) * len(origins),
        initial=len(methods) * len(origins) - n_missing,
        desc="backtest",
        unit="fit",
        disable=not verbose,
    ) as bar:

        def keep(calls):
            for found in parallel(calls):
                for name, result in found:
                    results.add(name, result)
                    bar.update()

        def fits(k, state_of=lambda method: None):
            return [
                Fit(
                    method.at(origins[k]),
                    method.name,
                    method.estimator,
                    state_of(method),
                    _seed_at(seed, method, origins[k]),
                )
                for method in missing[k]
            ]

        newest = len(origins) - 1
        if not carried:  # methods that are fitted to the same rows share what they tell
            keep(
                delayed(_decided)(fits(k), table, int(origin), k == newest)
                for k, origin in enumerate(origins)
                if missing[k]
            )
            return
        for k, origin in enumerate(origins):
            each = fits(k, lambda m, k=k: ledger.state(_decisions(m, results, table, origins[:k])))
            keep(delayed(_decided)([fit], table, int(origin), k == newest) for fit in each)


def _seed_at(seed, method, origin):
    own = [seed, int(origin), *method.name.encode()]
    return int(np.random.default_rng(own).integers(2**31 - 1))


def _decisions(method, results, table, origins):
    """Decisions of a method at some origins; ndarray of shape (n, len(origins))."""
    found = [results[method.at(origin)]["decision"] for origin in origins]
    return np.stack(found, axis=1) if found else np.empty((len(table.X), 0))


def _decided(fits, table, origin, is_newest):
    """What methods decide at an origin; list of (name, dict of arrays)."""
    return [(fit.name, _run(fit, table, origin, is_newest)) for fit in fits]


def _run(fit, table, origin, is_newest):
    """Fit one method at an origin, and decide."""
    began = perf_counter()
    X, problem = table.at(origin, fit.state)
    estimator = clone(fit.estimator).set_params(problem=problem)
    if _draws_at_random(estimator):
        estimator.set_params(random_state=fit.seed)
    with warnings.catch_warnings():
        if not is_newest:
            warnings.simplefilter("ignore", UserWarning)
        try:
            decision, info = estimator.fit(X).decide(X, return_info=True)
        except ValueError as error:
            raise ValueError(f"{fit.method} at origin {origin}: {error}") from error
        forecast = _forecast(estimator, X, info, table)
    return {
        "decision": np.asarray(decision, dtype=float),
        "promised": np.asarray(info.expected_cost, dtype=float),
        "forecast": forecast,
        "fit_time": np.array(perf_counter() - began),
    }


def _forecast(estimator, X, info, table):
    """Expected outcome over the periods that a decision looks ahead; ndarray of shape (n,)."""
    if carries_stock(table.problem):
        return estimator.predict(X, horizon=table.ahead)
    return np.asarray(info.mean, dtype=float)


# ------------------------------------------------------------------ figures


def _result(methods, results, rule, table, origins, ledger):
    """All decisions, charged; `BacktestResult`."""
    names = [method.name for method in methods]
    found = [
        {
            field: np.stack([results[method.at(t)][field] for t in origins], axis=-1)
            for field in ("decision", "promised", "forecast", "fit_time")
        }
        for method in methods
    ]
    if rule is not None:
        names.append(POLICY)
        found.append(_of_policy(rule, table, origins, ledger))
    charges = [ledger.charges(each["decision"]) for each in found]
    arrays = {
        name: np.stack([each[name] for each in found])
        for name in ("decision", "promised", "forecast", "fit_time")
    }
    first = origins + table.lead_times[:, None]
    arrays["promised"] = np.where(charges[0].complete, arrays["promised"], np.nan)
    for name in OF_CELLS:
        if name not in arrays:
            each = [getattr(charge, name) for charge in charges]
            arrays[name] = None if each[0] is None else np.stack(each)
    return BacktestResult(
        methods=tuple(names),
        origins=origins,
        **arrays,
        outcome=np.stack([table.coming(t, table.ahead).sum(axis=1) for t in origins], axis=1),
        charged_from=first,
        charged_to=first + table.step - 1,
        periods=table.period_names(),
        demand=charges[0].demand,
        carries_stock=isinstance(ledger, CarriedStock),
        rows=row_labels(table.X),
    )


def _of_policy(rule, table, origins, ledger):
    """What a policy orders at all origins."""
    orders = np.empty((len(table.X), 0))
    for k in range(len(origins)):
        orders = np.column_stack([orders, rule(k, _state(ledger, orders))])
    unknown = np.full(orders.shape, np.nan)
    unknown_time = np.full(len(origins), np.nan)
    return {
        "decision": orders,
        "promised": unknown,
        "forecast": unknown,
        "fit_time": unknown_time,
    }
