"""The cost of a portfolio's decisions against its number of rows, and what makes it fall."""

import os
import warnings
from numbers import Integral
from time import perf_counter
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed
from tqdm.auto import tqdm

from sklearn_pttf._estimator import PretrainedDecisionTransformer
from sklearn_pttf._kinds.registry import KINDS, kind_of
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._tables.completion import demand_of
from sklearn_pttf._utils.checks import as_table, check_outcomes, column_names
from sklearn_pttf._utils.frames import with_columns
from sklearn_pttf._utils.sklearn_private import StrOptions, _safe_indexing, validate_params
from sklearn_pttf._version import __version__
from sklearn_pttf.baselines import LagBoosting, SampleAverage
from sklearn_pttf.exceptions import (
    BinaryOutcomesWarning,
    DriftWarning,
    LongFitWarning,
    PriorConflictWarning,
)
from sklearn_pttf.finetune._guard import FEWEST_ROWS
from sklearn_pttf.finetune._rivals import IN_TIME, rivals_in_time
from sklearn_pttf.finetune._rounds import is_chargeable
from sklearn_pttf.finetune._scratch import train_from_scratch
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.model_selection._results import Results, described, fingerprint
from sklearn_pttf.model_selection._rows import hold_out, make_draws
from sklearn_pttf.problems._given import check_problem, refuse_prices
from sklearn_pttf.problems._stock import told_of_stock
from sklearn_pttf.problems._time import in_time, refuse_further_periods

METHODS = ("pretrained", "finetuned", "scratch", "best_baseline", "saa")
CLASSICAL = {
    each.__name__: each
    for each in (
        SampleAverage,
        *IN_TIME,
        LagBoosting,
        *(b for kind in KINDS.values() if not kind.priced for b in kind.baselines),
    )
}
SAA = SampleAverage.__name__
N_DRAWS = 5
LEAST_SIZE = 2  # instances of a portfolio
# of the estimator, that costs do not depend on, or that the checkpoint's fingerprint stands for
NOT_IN_KEY = ("checkpoint", "prior", "pretrain_steps", "memory", "warm_start", "device", "verbose")


class Task(NamedTuple):
    """One fit and what it is charged."""

    method: str  # "pretrained", "finetuned", "scratch" or the class of a baseline
    n_instances: int
    draw: int

    @property
    def name(self):
        return f"{self.method}/{self.n_instances}/{self.draw}"


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "n_instances": ["array-like"],
        "cv": ["cv_object"],
        "methods": ["array-like"],
        "charge": [StrOptions({"common", "portfolio"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "resume": [str, os.PathLike, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=False,
)
def transfer_curve(
    estimator,
    X,
    y=None,
    *,
    n_instances=(30, 100, 300, 1000),
    cv=N_DRAWS,
    methods=METHODS,
    charge="common",
    n_jobs=None,
    random_state=None,
    resume=None,
    verbose=0,
):
    """Cost of decisions against the number of rows that are decided together.

    With more rows cost falls for two reasons: the context says more about what the rows have
    in common, which the pretrained network reads without any training, and finetuning has
    more to learn from. The curve tells one from the other, and compares both with a network
    that was trained on the same rows alone and with the best classical baseline.

    Portfolios of all sizes are drawn from the rows of X. In a draw those of a smaller one are
    part of those of a larger one, and the rows that are charged are in all of them, so all
    methods and sizes are compared on the same decisions.

    Parameters
    ----------
    estimator : PretrainedDecisionTransformer
        Cloned for every fit. A `prior` is pretrained on once, before the first draw.

    X : array-like or data frame of shape (n, n_features)
        One row an instance; NaN marks a missing observation.

    y : array-like of shape (n,) or (n, n_outcomes), default=None
        Later outcomes of the rows, which decisions are charged on and which `fit` never sees;
        NaN = not observed. None: one random observation of every row that has at least two
        is taken out of X before anything is fitted, and decisions are charged on it; of a problem
        with ``ordered`` or ``drivers`` the newest period of all rows. The curve is then that of
        rows with an observation less.

    n_instances : array-like of int, default=(30, 100, 300, 1000)
        Numbers N of rows of a portfolio, each of at least 2.

    cv : int, cross-validation generator, iterable or None, default=5
        An int of at least 2 is the number of draws of random rows; None: 5. The first
        ``min(n_instances)`` rows of a draw are charged; they are others in every draw, as far as
        X has enough rows.

        A splitter, or an iterable of ``(train, test)`` positions: a draw a split. Its test
        rows are charged. They are in every portfolio, as decisions need their
        observations, and random train rows fill it up to N. There must be no more of them
        than ``min(n_instances)``.

    methods : sequence of str, default=("pretrained", "finetuned", "scratch", \
            "best_baseline", "saa")
        What to compare:

        - "pretrained": the estimator with ``finetune=None``;
        - "finetuned": the estimator as it is given;
        - "scratch": a network of the same size, trained from random weights on the
          portfolio alone, with three learning rates and early stopping. It takes by far the
          longest. NaN where fewer than 12 rows have two observations to train on;
        - "best_baseline": of all classical baselines the one that is cheapest on average over
          the draws at this N. It is chosen in hindsight, which flatters it a little;
        - "saa": sample average approximation, every row on its own.

    charge : {"common", "portfolio"}, default="common"
        "common": costs are means over the rows that are in every portfolio of a draw, so
        sizes are compared on the same rows. "portfolio": means over all rows of each
        portfolio. Then methods are compared more sharply at large N, and sizes less sharply.

    n_jobs : int, default=None
        Number of fits at a time. None: 1, unless in a `joblib.parallel_config` context.

    random_state : int, RandomState or None, default=None
        Source of the draws, of what is held out, and of all training where ``estimator`` has
        ``random_state=None``. An int for the same curve in every call.

    resume : str or Path, default=None
        A JSON file that takes every result as it comes. A later call with the same arguments
        does only what is still missing; one with another estimator, X, y, ``random_state``,
        ``cv`` or smallest N is refused. Further sizes, methods and random draws may be asked
        for, and ``charge`` may change. Needs a ``random_state``.

    verbose : int, default=0
        1: show progress. Fits themselves print nothing, but for pretraining on a `prior`.

    Returns
    -------
    Bunch
        With

        n_instances : ndarray of shape (n_sizes,)
            The sizes, in increasing order, without repetitions.

        methods : list of str

        cost : ndarray of shape (n_methods, n_sizes, n_draws)
            Mean cost a row, in money.

        mean_cost, half_width : ndarray of shape (n_methods, n_sizes)
            Mean of ``cost`` over the draws, and half the width of its 95 % t-interval. The
            interval is mostly about how much is sold in the rows of a draw.

        relative_cost, relative_half_width : ndarray of shape (n_methods, n_sizes) or None
            The mean cost as a share of SAA's on the same rows, and half the width of its paired
            interval: what to compare methods by. None without "saa".

        context_gain, context_gain_half_width : ndarray of shape (n_sizes,) or None
            What a richer context saves: the cost of "pretrained" at the smallest N less that
            at N, as a share of the former. None without "pretrained".

        finetune_gain, finetune_gain_half_width : ndarray of shape (n_sizes,) or None
            What finetuning saves: the cost of "pretrained" at N less that of "finetuned" at N,
            as a share of the cost of "pretrained" at the smallest N, so that both gains add up.
            None without the two.

        best_baseline : ndarray of shape (n_sizes,) or None
            Class of the best baseline at every size. None without "best_baseline".

        baselines : list of str
            Classes of all baselines, if they were asked for.

        baseline_cost : ndarray of shape (n_baselines, n_sizes, n_draws) or None
            Their costs.

        chosen : ndarray of shape (n_sizes, n_draws) or None
            What the guard of "finetuned" had in use: "pretrained", "finetuned", "blend",
            "exchangeable" or "baseline".

        fit_time : ndarray of shape (n_methods, n_sizes, n_draws)
            Seconds to fit; those of "best_baseline" are of the best one.

        rows : list of ndarray of shape (max(n_instances),)
            Positions in X of the rows of every draw; a portfolio of N has the first N.

        n_charged : ndarray of shape (n_draws,)
            The first so many of these are in every portfolio.

    Raises
    ------
    TypeError
        If ``estimator`` is no PretrainedDecisionTransformer.

    ValueError
        If an argument is not allowed, if X has fewer rows than a size asks for, if there is
        nothing to charge, or if ``resume`` holds the results of another call.

    See Also
    --------
    sklearn_pttf.inspection.TransferCurveDisplay : The picture.
    sklearn.model_selection.learning_curve : The same idea for single rows.

    Notes
    -----
    Intervals are Student's, over draws; those of shares are paired, by linearising the ratio.
    They tell how much the figures depend on which rows *of this table* were drawn. Where N
    comes near the number of rows draws share most of their rows, and with
    ``charge="portfolio"`` intervals become too narrow.

    Examples
    --------
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.datasets import make_demand_portfolio
    >>> from sklearn_pttf.model_selection import transfer_curve
    >>> X, y = make_demand_portfolio(60, 4, n_outcomes=20, random_state=0)
    >>> curve = transfer_curve(
    ...     PretrainedDecisionTransformer(),
    ...     X,
    ...     y,
    ...     n_instances=[10, 50],
    ...     cv=3,
    ...     methods=["pretrained", "saa"],
    ...     random_state=0,
    ... )
    >>> curve.cost.shape
    (2, 2, 3)
    >>> bool((curve.mean_cost[0] < curve.mean_cost[1]).all())
    True
    """
    methods = _check_methods(methods)
    _check_estimator(estimator, methods)
    if resume is not None and random_state is None:
        raise ValueError(
            "resume needs a random_state, so that a later call draws the same rows; got "
            "random_state=None."
        )
    X = as_table(X)
    sizes = _check_sizes(n_instances, len(X))
    estimator, y = _newest_period_as_y(estimator, X, y)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    key = {"version": __version__, "random_state": str(seed)}
    X, outcomes, classical = _charged_table(estimator, X, y, seed, key)
    cv = N_DRAWS if cv is None else cv
    draws = make_draws(cv, X, sizes, seed)
    key["cv"] = _described_draws(cv, draws)
    _check_charged(draws, outcomes)
    estimator = _with_checkpoint(estimator, X, seed, key, verbose)
    results = Results(resume, key)
    tasks = [
        Task(unit, size, draw)
        for size in sizes.tolist()
        for draw in range(len(draws))
        for unit in _units(methods, classical)
    ]
    _run_missing(tasks, results, estimator, X, outcomes, draws, seed, n_jobs, verbose)
    return _summary(results, methods, classical, sizes, draws, charge)


# ------------------------------------------------------------------ arguments


def _check_methods(methods):
    methods = list(methods)
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods or len(set(methods)) < len(methods):
        raise ValueError(
            f"methods must be some of {list(METHODS)}, each at most once; got {methods!r}."
        )
    return methods


def _check_estimator(estimator, methods):
    if not isinstance(estimator, PretrainedDecisionTransformer):
        hint = ""
        if hasattr(estimator, "steps"):
            hint = " Of a Pipeline give the last step, and X as that step sees it."
        raise TypeError(
            f"estimator must be a PretrainedDecisionTransformer; got {estimator!r}.{hint}"
        )
    if "finetuned" in methods and estimator.finetune is None:
        raise ValueError(
            "methods includes 'finetuned', but the estimator has finetune=None: give it "
            "finetune='auto' or a strategy, or leave 'finetuned' out of methods."
        )


def _check_sizes(n_instances, n_rows):
    values = list(n_instances)
    whole = all(isinstance(v, Integral) and not isinstance(v, bool) for v in values)
    if not values or not whole or min(values) < LEAST_SIZE:
        raise ValueError(
            f"n_instances must be whole numbers of at least {LEAST_SIZE}; got {n_instances!r}."
        )
    if max(values) > n_rows:
        raise ValueError(f"n_instances must not exceed the {n_rows} rows of X; got {max(values)}.")
    return np.unique(values)


def _newest_period_as_y(estimator, X, y):
    """Of a problem in time and y=None: the estimator that does not read the newest period; this.

    Later outcomes that are given have to be those that decisions are made for.
    """
    problem = check_problem(estimator.problem)
    if not in_time(problem):
        return estimator, y
    if y is not None:
        refuse_further_periods(y, problem)
        return estimator, y
    _refuse_horizon(problem)
    names = column_names(X)
    positions = problem.observation_positions(names, X.shape[1])
    outcomes = demand_of(problem.read(X, names))[:, -1:]
    problem = clone(problem).set_params(observations=positions[:-1])
    told = told_of_stock(problem)
    if told is not None:
        problem.set_params(**{told: list(getattr(problem, told))[:-1]})
    return clone(estimator).set_params(problem=problem), outcomes


def _refuse_horizon(problem):
    """Refuse y=None where decisions cover several periods."""
    if problem.horizon > 1:
        raise ValueError(
            "y=None holds out one observation of every row, but decisions cover "
            f"horizon={problem.horizon} periods: give y."
        )


def _charged_table(estimator, X, y, seed, key):
    """The table that fits see, what decisions are charged on, and `_classical`; fills the key."""
    problem = check_problem(estimator.problem)
    refuse_prices(problem)
    if problem.has_exact_law:
        raise ValueError(
            f"problem={problem!r} has an exact law: there are no weights to pretrain or finetune."
        )
    if problem.exposure is not None:
        raise ValueError(
            f"problem must have no exposure, which finetuning does not read; got {problem!r}."
        )
    names = column_names(X)
    portfolio = problem.read(X, names)
    key["X"] = fingerprint(*portfolio.known().values())
    classical = _classical(portfolio)
    if y is not None:
        outcomes = check_outcomes(y, X, problem)
        key["y"] = fingerprint(outcomes)
        return X, outcomes, classical
    _refuse_horizon(problem)
    key["y"] = "None"
    evidence, outcomes = hold_out(portfolio.observations, seed, demand_of(portfolio))
    positions = problem.observation_positions(names, X.shape[1])
    return with_columns(X, positions, evidence), outcomes, classical


def _described_draws(cv, draws):
    if isinstance(cv, Integral):
        return f"random rows, {draws[0].n_common} of them charged"
    return f"splits {fingerprint(*(draw.rows for draw in draws))}"


def _check_charged(draws, outcomes):
    for k, draw in enumerate(draws):
        if np.isnan(outcomes[draw.rows[: draw.n_common]]).all():
            raise ValueError(
                f"none of the {draw.n_common} rows that draw {k} charges has an outcome to charge: "
                "give larger n_instances, or leave out rows of X without any."
            )


def _with_checkpoint(estimator, X, seed, key, verbose):
    """The estimator with its weights loaded, or pretrained, once; fills in the key."""
    estimator = clone(estimator).set_params(verbose=0)
    params = estimator.get_params(deep=False)
    for name in params.keys() - set(NOT_IN_KEY):
        key[f"estimator.{name}"] = described(params[name])
    first = clone(estimator).set_params(finetune=None)
    if first.prior is not None:
        first.set_params(verbose=verbose)
    if first.random_state is None:
        first.set_params(random_state=seed)
    checkpoint = first.fit(X).checkpoint_
    key["checkpoint"] = checkpoint.fingerprint()
    estimator.set_params(checkpoint=checkpoint, prior=None)
    return estimator


# ------------------------------------------------------------------ fits


def _classical(portfolio):
    """Names of the classical methods that such rows can be decided by."""
    kinds = kind_of(portfolio).baselines
    if portfolio.in_time:
        kinds = rivals_in_time(portfolio)
    return [kind.__name__ for kind in (SampleAverage, *kinds)]


def _units(methods, classical):
    """What is fitted for some methods; list of str."""
    units = [method for method in METHODS[:3] if method in methods]
    if "best_baseline" in methods:
        return [*units, *classical]
    return [*units, SAA] if "saa" in methods else units


def _run_missing(tasks, results, estimator, X, outcomes, draws, seed, n_jobs, verbose):
    """Do the tasks that have no result yet, and keep each result as it comes."""
    missing = [task for task in tasks if task.name not in results]
    calls = (_call(task, estimator, X, outcomes, draws[task.draw], seed) for task in missing)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls) if missing else ()
    with tqdm(
        total=len(tasks),
        initial=len(tasks) - len(missing),
        desc="transfer curve",
        unit="fit",
        disable=not verbose,
    ) as bar:
        for name, result in done:
            results.add(name, result)
            bar.update()


def _call(task, estimator, X, outcomes, draw, seed):
    rows = draw.rows[: task.n_instances]
    portfolio = _safe_indexing(X, rows)
    own = np.random.default_rng([seed, 3, task.draw, task.n_instances])
    own_seed = int(own.integers(2**31 - 1))
    return delayed(_run)(task, estimator, portfolio, outcomes[rows], draw.n_common, own_seed)


def _run(task, estimator, X, outcomes, n_common, seed):
    """Fit one method on a portfolio, and charge its decisions."""
    began = perf_counter()
    with warnings.catch_warnings():  # what is wrong with a method shows in its costs
        warnings.simplefilter("ignore", DriftWarning)
        warnings.simplefilter("ignore", LongFitWarning)
        warnings.simplefilter("ignore", PriorConflictWarning)
        warnings.simplefilter("ignore", BinaryOutcomesWarning)
        fitted = _fitted(task.method, estimator, X, seed)
    fit_time = perf_counter() - began
    result = {"common": None, "portfolio": None, "fit_time": fit_time, "chosen": None}
    if fitted is not None:
        decisions = np.asarray(fitted.decide(X))
        costs = decision_cost(outcomes, decisions, problem=fitted.problem_, X=X, per_row=True)
        result["common"] = float(np.nanmean(costs[:n_common]))
        result["portfolio"] = float(np.nanmean(costs))
    if task.method == "finetuned":
        report = fitted.finetune_report_
        result["chosen"] = str(report["candidate"][np.flatnonzero(report["chosen"])[0]])
    return task.name, result


def _fitted(method, estimator, X, seed):
    """A method that was fitted on the rows of X; None where that cannot be."""
    if method in CLASSICAL:
        return CLASSICAL[method](estimator.problem).fit(X)
    estimator = clone(estimator)
    if estimator.random_state is None:
        estimator.set_params(random_state=seed)
    if method == "finetuned":
        return estimator.fit(X)
    estimator.set_params(finetune=None).fit(X)
    if method == "pretrained":
        return estimator
    portfolio = estimator.problem_.read(X, column_names(X))
    if is_chargeable(portfolio, None).sum() < FEWEST_ROWS:
        return None
    conditions = estimator._conditions
    network = NetworkConfig(**estimator.checkpoint_.card["network"])
    checkpoint = train_from_scratch(
        estimator.problem_,
        portfolio,
        network=network,
        random_state=seed,
        device=estimator.device_,
        look=None if conditions is None else conditions.look,
    )
    return estimator.set_params(checkpoint=checkpoint).fit(X)


# ------------------------------------------------------------------ figures


def _summary(results, methods, classical, sizes, draws, charge):
    """The results as arrays."""

    def table(unit, field):
        """Of one fitted method; (n_sizes, n_draws)."""
        return [
            [results[Task(unit, n, k).name][field] for k in range(len(draws))]
            for n in sizes.tolist()
        ]

    baselines = classical if "best_baseline" in methods else []
    all_costs = np.array([table(unit, charge) for unit in baselines], dtype=float)
    best = all_costs.mean(axis=2).argmin(axis=0) if baselines else None

    def of_method(method, field):
        if method == "best_baseline":
            every = np.array([table(unit, field) for unit in baselines], dtype=float)
            return every[best, np.arange(len(sizes))]
        return np.array(table(SAA if method == "saa" else method, field), dtype=float)

    cost = np.array([of_method(method, charge) for method in methods])
    mean_cost, half_width = mean_with_half_width(cost)
    return Bunch(
        n_instances=sizes,
        methods=methods,
        cost=cost,
        mean_cost=mean_cost,
        half_width=half_width,
        **relative_to_saa(methods, cost),
        **gains(methods, cost),
        best_baseline=np.array(baselines)[best] if baselines else None,
        baselines=baselines,
        baseline_cost=all_costs if baselines else None,
        chosen=np.array(table("finetuned", "chosen")) if "finetuned" in methods else None,
        fit_time=np.array([of_method(method, "fit_time") for method in methods]),
        rows=[draw.rows[: sizes[-1]] for draw in draws],
        n_charged=np.array([draw.n_common for draw in draws]),
    )


def mean_with_half_width(values):
    """Means over the last axis, and half the widths of their 95 % t-intervals."""
    n_draws = values.shape[-1]
    mean = values.mean(axis=-1)
    if n_draws == 1:
        return mean, np.full_like(mean, np.nan)
    error = values.std(axis=-1, ddof=1) / np.sqrt(n_draws)
    return mean, stats.t.ppf(0.975, n_draws - 1) * error


def ratio_with_half_width(numerator, denominator):
    """Ratios of means over the last axis, and half the widths of their 95 % t-intervals.

    Draws of both are paired: the error is that of ``numerator - ratio * denominator``. NaN
    where the denominator is 0.
    """
    size = denominator.mean(axis=-1)
    size = np.where(size == 0, np.nan, size)
    ratio = numerator.mean(axis=-1) / size
    _, half_width = mean_with_half_width(numerator - ratio[..., None] * denominator)
    return ratio, half_width / np.abs(size)


def relative_to_saa(methods, cost):
    """Costs as shares of SAA's; dict of ndarray of shape (n_methods, n_sizes), or None.

    Parameters
    ----------
    methods : list of str

    cost : ndarray of shape (n_methods, n_sizes, n_draws)

    Returns
    -------
    dict
        ``relative_cost`` and ``relative_half_width``.
    """
    pair = (None, None)
    if "saa" in methods:
        saa = cost[methods.index("saa")]
        pair = ratio_with_half_width(cost, np.broadcast_to(saa, cost.shape))
    return {"relative_cost": pair[0], "relative_half_width": pair[1]}


def gains(methods, cost):
    """What a richer context and what finetuning save, as shares; dict of ndarray or None.

    Parameters
    ----------
    methods : list of str

    cost : ndarray of shape (n_methods, n_sizes, n_draws)
        From the smallest to the largest size.

    Returns
    -------
    dict
        ``context_gain``, ``finetune_gain`` and their ``..._half_width``, (n_sizes,) each.
    """
    savings = {"context_gain": None, "finetune_gain": None}
    if "pretrained" in methods:
        pretrained = cost[methods.index("pretrained")]
        savings["context_gain"] = pretrained[0] - pretrained
        if "finetuned" in methods:
            savings["finetune_gain"] = pretrained - cost[methods.index("finetuned")]
    found = {}
    for name, saving in savings.items():
        pair = (None, None)
        if saving is not None:
            pair = ratio_with_half_width(saving, np.broadcast_to(pretrained[0], saving.shape))
        found[name], found[f"{name}_half_width"] = pair
    return found
