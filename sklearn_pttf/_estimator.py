"""The estimator: a pretrained network that decides a portfolio."""

import contextlib
import copy
import warnings
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from joblib import Memory
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_pttf._kinds.alarms import warn_of_conflict
from sklearn_pttf._kinds.counts.binomial import BinomialRates
from sklearn_pttf._kinds.drift import warn_of_drift
from sklearn_pttf._kinds.registry import KINDS, kind_of
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network.checkpoint import Checkpoint, shipped_names
from sklearn_pttf._network.labelled import LabelledTables, trials_in_time, trials_of
from sklearn_pttf._network.table import ReadTable
from sklearn_pttf._series.conditions import Conditions, Look
from sklearn_pttf._series.rolling import continued, newest_period
from sklearn_pttf._tables.completion import completed
from sklearn_pttf._tables.portfolio import are_whole
from sklearn_pttf._training.own_prior import pretrained_on
from sklearn_pttf._utils.checks import refuse_fractions
from sklearn_pttf._utils.device import check_device
from sklearn_pttf._utils.progress import showing
from sklearn_pttf._utils.sklearn_private import Interval, StrOptions, _fit_context
from sklearn_pttf._utils.torch_state import plain_torch
from sklearn_pttf._version import __version__
from sklearn_pttf.exceptions import FewPeriodsWarning
from sklearn_pttf.finetune import AutoFinetune, FinetuneStrategy
from sklearn_pttf.finetune._choice import EXCHANGEABLE, not_tried
from sklearn_pttf.finetune._guard import LATER, Task, enough_periods, finetune_guarded
from sklearn_pttf.finetune._in_time import finetune_in_time
from sklearn_pttf.finetune._rivals import fitted_baseline
from sklearn_pttf.problems import DecisionProblem

FEW_PERIODS = (
    "y has outcomes of {}, too few to decide anything: rows share what a period has of its own, "
    "and nobody can tell that from what comes again. Observations of X that are held out decide "
    "instead, unless they drift. Give y more columns, one for each later period: four or more."
)


@contextlib.contextmanager
def _all_or_nothing(estimator):
    """Put back what the estimator had, if what is done to it fails or is interrupted."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _warn_of_few_periods(outcomes):
    """Warn that later outcomes decide nothing; what the report says of them."""
    number = int((~np.isnan(outcomes)).any(axis=0).sum())
    some = f"{number} period{'s' if number != 1 else ''}"
    warnings.warn(FEW_PERIODS.format(some), FewPeriodsWarning, stacklevel=4)
    return f"y, {some} only"


class PretrainedDecisionTransformer(DecisionMixin, BaseEstimator):
    """Decide every instance of a portfolio with a pretrained Transformer.

    The network was pretrained on very many synthetic portfolios. In one forward pass it
    reads from all rows what they have in common, and shrinks every row towards it as far as
    the row's own observations are few and noisy: amortised empirical Bayes [1]_.

    Observations of a row are taken to be exchangeable, unless the problem says ``ordered`` or
    ``drivers``: no trend, season or promotion. Sales are demand unless the problem has ``stock`` or
    ``sold_out``. `fit` warns of a drift that most rows
    have, and of a law that does not fit.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor(underage=1.0, overage=1.0)``.

    checkpoint : str, Path, Checkpoint or None, default="auto"
        Pretrained weights. ``"auto"``: those made for the problem; the name of a shipped
        checkpoint; the path of a file; or a `Checkpoint`, as `pretrain` returns it. None:
        `fit` pretrains on ``prior``, from random weights.

    prior : SyntheticPrior, RealValuedPrior, CountPrior or PricingPrior, default=None
        A prior of one's own, that `fit` pretrains on before it looks at the rows: going on from
        ``checkpoint``, or from random weights. Its parameters count, not what it was fitted to;
        ``SyntheticPrior().calibrated(X)`` is a prior narrowed to real rows.

    pretrain_steps : int or "auto", default="auto"
        Number of batches to pretrain on ``prior``. ``"auto"``: 500 when going on from a
        checkpoint, 2,000 from random weights; some minutes on a CPU.

    finetune : FinetuneStrategy, "auto" or None, default="auto"
        How the weights are trained on the rows of `fit`. ``"auto"`` is `AutoFinetune`: all
        weights from 150 rows on, and below that only if the pretrained law may be wrong.
        None: the pretrained weights are used as they are. Whatever is trained is used only
        where it was cheaper on rows that it was not trained on.

    warm_start : bool, default=False
        Whether finetuning goes on from the finetuned weights of the last `fit`, if it used any and
        ``checkpoint`` is the same; they stay in use where the rows are too few to train on. The
        comparison with the pretrained weights then favours them where X holds observations that
        they were trained on before.

    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:k"``, or ``"auto"``: CUDA where there is one.

    memory : str, Path, joblib.Memory or None, default=None
        Folder that keeps what `fit` pretrained on ``prior``, so that a grid over other settings,
        or a later session, pretrains once. It needs an int as ``random_state``. An interrupted
        run goes on from its last round. None: every `fit` pretrains.

    random_state : int, RandomState or None, default=None
        Seed of pretraining, and how rows are split for finetuning.

    verbose : int, default=0
        1: `fit` prints a line about every step and about what it did, says after the first epochs
        how long training will take if that is more than a minute, and shows a bar for every phase
        that takes more than two seconds, as do many rows when they are decided.

    Attributes
    ----------
    problem_ : DecisionProblem
        The problem in use.

    checkpoint_ : Checkpoint or None
        The pretrained weights, as CPU arrays, with their card. None where no network is asked: with
        ``noise="binomial"`` the law is exact Bayes, fitted to the rows.

    finetuned_checkpoint_ : Checkpoint or None
        The finetuned weights, if they are in use, alone or in a blend with the pretrained ones.

    finetune_report_ : dict
        What was compared, in the manner of ``cv_results_``: arrays ``candidate``,
        ``mean_cost`` (cross-fitted, on observations or outcomes that the decisions did not see),
        ``std_error``, ``gain`` over the pretrained weights, ``gain_std_error`` and ``chosen``;
        ``prior_conflict`` is the p-value of the pretrained law on what rows were charged on, small
        where it is wrong. Where nothing was trained, costs are NaN and ``reason`` says why;
        there is nothing to train where the law is exact.
        Where something was, ``charged_on`` is "held-out observations" or "later outcomes",
        ``n_periods`` the number of periods these are of, and ``shared_p_value`` small where rows
        share the shocks of a period: then periods are held out, from training too. ``ignored``
        says where ``y`` has too few periods to decide anything. Standard errors are
        over rows and periods. Of a problem with ``ordered`` or ``drivers`` all columns from
        ``first_origin`` to ``last_origin`` were decided, each from those before; ``baseline`` is
        the class of the best one, and ``not_trained`` says why nothing was trained. Of a row with
        more than 32 observations the newest 32 are trained on and, without an order, charged;
        what is chosen by them is charged again, and reported, on all. Costs are those of single
        periods, whatever the horizon; with a ``risk`` they are scores whose mean is what it makes
        of the cost, where laws are right.

    finetune_improved_ : bool
        Whether something else than the pretrained weights alone is in use.

    n_iter_ : float
        Mean over folds of the epoch whose weights were kept; 0.0 is none.

    history_ : list of dict
        Losses of the epochs of every fold.

    device_ : str
        The device in use.

    integer_ : bool
        Whether the outcomes seen during `fit`, in X and y, are whole numbers; orders then are too.

    observation_columns_ : ndarray of int
        Positions of the columns that hold observations.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    pretrain : Makes checkpoints from a prior of one's own.
    sklearn_pttf.baselines.SampleAverage : Every instance on its own.

    Notes
    -----
    `fit` keeps of its rows the states of a few tokens (the context, and one more for each label
    that is read apart), so a fitted estimator is small, later rows are decided one by one, and a
    row's decision does not depend on which other rows are in the same call. Besides it, and its
    pickle, keeps at most 1,000 quantiles of the observations of all rows together, which `score`
    compares rows without observations with; they are values that were observed, though not of which
    row. Where a baseline is in use, ``baseline_`` keeps what it fitted.

    References
    ----------
    .. [1] Zhang, Han, Hu, Peng, "LLM-Inspired Pretrain-Then-Finetune for Small-Data,
       Large-Scale Optimization", arXiv:2602.03690.

    Examples
    --------
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.datasets import load_horse_kicks
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = load_horse_kicks().data[:, :5]
    >>> pdt = PretrainedDecisionTransformer(Newsvendor(underage=9.0, overage=1.0)).fit(X)
    >>> pdt.decide(X).shape
    (14,)
    """

    _follows_prices = True
    _reads_exposure = True
    _reads_attributes = True
    _reads_trials = True
    _exact = None  # `BinomialRates`, where no network is asked
    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "checkpoint": [str, Path, Checkpoint, None],
        "prior": [*(kind.prior for kind in KINDS.values()), None],
        "pretrain_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "finetune": [FinetuneStrategy, StrOptions({"auto"}), None],
        "warm_start": ["boolean"],
        "device": [str],
        "memory": [str, Path, Memory, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        problem=None,
        *,
        checkpoint="auto",
        prior=None,
        pretrain_steps="auto",
        finetune="auto",
        warm_start=False,
        device="auto",
        memory=None,
        random_state=None,
        verbose=0,
    ):
        self.problem = problem
        self.checkpoint = checkpoint
        self.prior = prior
        self.pretrain_steps = pretrain_steps
        self.finetune = finetune
        self.warm_start = warm_start
        self.device = device
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Load the weights and read the portfolio's structure from its rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            One row an instance; NaN marks a missing observation. Which columns are
            observations and which are costs, the problem says.

        y : array-like of shape (n_instances,) or (n_instances, n_outcomes), default=None
            Later outcomes, a column for each period: a target for finetuning only and never
            evidence; demand, not sales that stock may have capped. Append them to X to have them
            count as evidence. They are checked, and not used without finetuning. One period decides
            nothing, as rows share what it has of its own, and where rows share such shocks fewer
            than four decide nothing either. With ``ordered`` or ``drivers`` they follow the last
            column of X, and any number counts.

        Returns
        -------
        PretrainedDecisionTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation at all, or infinite ones, or negative ones that the problem or
            the checkpoint does not take, or more successes than trials; if costs are not positive
            or too unequal; if a column, the checkpoint or the device is unknown; if ``checkpoint``
            is None without a ``prior``, or either is given where the law is exact; if a setting of
            ``finetune`` is out of range, or its ``replay`` is asked for and the checkpoint names no
            prior.

        Warns
        -----
        DriftWarning
            If the later half of most rows' observations, in the order of columns, is at least 10 %
            higher or lower than the earlier half, and the problem has no ``ordered=True``. Then
            nothing is finetuned, unless later periods ``y`` say that it pays.

        FewPeriodsWarning
            If ``y`` has outcomes of one period only, or, where rows share shocks, of fewer than
            four. They decide nothing.

        LongFitWarning
            If training will take more than a minute, and ``verbose`` is 0.

        PriorConflictWarning
            If more than 5 % of the rows have an observation outside of the central 99 % of the law
            that their others give, or more than 65 % in its central half; if counts that are said
            to be Poisson vary far less; if demand rises with price.

        BinaryOutcomesWarning
            If all observations are 0 or 1, and the problem does not say ``noise="binomial"``.

        UserWarning
            If ``memory`` is given without an int as ``random_state``; if drivers never vary or are
            not known for a coming period; if seasons are not shorter than the history; if more was
            sold than there was in stock; if attributes tell rows' levels and ``finetune`` is a
            strategy with ``baselines=True``.

        Notes
        -----
        A fit that fails or is interrupted leaves the estimator as it was.
        """
        with _all_or_nothing(self), plain_torch(), showing(self.verbose):
            began = perf_counter()
            seeds = check_random_state(self.random_state).randint(2**31 - 1, size=2)
            before = (
                getattr(self, "checkpoint_", None),
                getattr(self, "finetuned_checkpoint_", None),
            )
            strategy = self._strategy()
            portfolio = self._read_to_fit(X)
            if strategy is not None and portfolio.offset is not None:
                self._leave_out_baselines(strategy)
            if self.verbose:
                print(f"Reading {portfolio.counts.sum():,} observations.", flush=True)
            portfolio, outcomes = self._with_later(portfolio, X, y)
            table = None if self._conditions is None else self._read_again(X)
            self.device_ = check_device(self.device)
            start = self._loaded(portfolio, before, int(seeds[0]))
            if outcomes is not None and self.checkpoint_ is not None:
                self.checkpoint_.kind.check_later(outcomes, portfolio)
            kind, drifts = kind_of(portfolio), False
            if kind.drift is not None and not self.problem_.ordered:
                rates = completed(portfolio, draw=True).as_rates()  # sales go along with stock
                drifts = warn_of_drift(rates.observations, kind.drift)
            reason, ignored = self._reason_not_to_train(strategy), None
            few = table is None and outcomes is not None
            if reason is None and few and not enough_periods(portfolio, outcomes):
                outcomes, ignored = None, _warn_of_few_periods(outcomes)
            if reason is None:
                task = Task(
                    strategy=strategy,
                    checkpoint=self.checkpoint_,
                    start=start,
                    problem=self.problem_,
                    portfolio=portfolio,
                    outcomes=outcomes,
                    seed=int(seeds[1]),
                    device=self.device_,
                    verbose=self.verbose,
                    drifts=drifts,
                )
                found = finetune_guarded(task) if table is None else self._in_time(task, table)
            else:
                found = not_tried(reason)
            if ignored is not None:
                found.report["ignored"] = ignored
            if table is not None:
                portfolio = self._at_conditions_of(found, table)
            self._use(found, start, portfolio)
            self._labelled = self._read_by_label(portfolio, table)
            noise = getattr(self.problem_, "noise", None)
            for alarm in kind.alarms:
                alarm(portfolio, noise)
            rng = np.random.default_rng(seeds[1])
            if table is None:
                warn_of_conflict(kind, self._predict_law, portfolio, rng, noise)
            elif self._conditions is not None and table.observations.shape[1] > 1:
                evidence, newest = newest_period(self._conditions, table)
                last = np.full(len(table), table.observations.shape[1] - 1)
                hidden = self._at_levels(evidence), newest, table.capped_at(last)
                warn_of_conflict(kind, self._predict_law, portfolio, rng, noise, hidden)
            if self.verbose:
                print(
                    f"{len(portfolio):,} rows with {portfolio.counts.sum():,} observations read by "
                    f"{self.checkpoint_ or 'exact Bayes'} on {self.device_} in "
                    f"{perf_counter() - began:.2f} s. "
                    f"{found.summary()}"
                )
            return self

    def _read_again(self, X):
        """The portfolio as it is, of a table whose warnings were given."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self._read_as_it_is(X)

    def _with_later(self, portfolio, X, y):
        """The portfolio, whole numbers only if later outcomes are too, and these."""
        if y is None:
            return portfolio, None
        outcomes = self._check_outcomes(X, y)
        if self.integer_ and not are_whole(outcomes):
            noise = getattr(self.problem_, "noise", None)
            if noise is not None:
                refuse_fractions(outcomes, f"y must be whole numbers with noise={noise!r}")
            self.integer_ = False
            portfolio = replace(portfolio, integer=False)
        return portfolio, outcomes

    def _loaded(self, portfolio, before, seed):
        """Set what is asked, a checkpoint or an exact law; where finetuning starts from."""
        self.checkpoint_ = self._exact = None
        if self.problem_.has_exact_law:
            self._refuse_weights()
            self._exact = BinomialRates(portfolio)
            return None
        self.checkpoint_ = self._pretrained(portfolio, seed)
        return self._start(*before)

    def _reason_not_to_train(self, strategy):
        """Why no network is trained, None if one is."""
        if self._exact is not None:
            return "nothing to train: the law is exact"
        if strategy is None:
            return "finetune=None"
        if self.problem_.exposure is not None:
            return "finetuning does not read exposure"
        if self._conditions is not None and self.problem_.of_means:
            return "means are not finetuned in the order of time"
        return None

    def _in_time(self, task, table):
        """Finetuning of a table in the order of time, which later outcomes make longer."""
        if task.outcomes is not None:
            table = continued(table, task.outcomes)
        if task.portfolio.offset is None:
            table = replace(table, attributes={})  # which tell nothing
        plain, look = self._without_order(), self._conditions.look
        return finetune_in_time(
            task._replace(portfolio=table, outcomes=None, look=look, plain=plain)
        )

    def _without_order(self):
        """The weights that would be used if nothing were known of an order or of drivers."""
        auto = isinstance(self.checkpoint, str) and self.checkpoint == "auto"
        if auto and self.prior is None:
            return Checkpoint.load(self.problem_.default_checkpoint)
        return self.checkpoint_

    def _at_conditions_of(self, found, table):
        """The table in time as what is in use reads it, from now on."""
        horizon = self.problem_.horizon
        if found.chosen == EXCHANGEABLE:
            self._conditions = Conditions(table, horizon, Look.away())
        elif found.chosen == "baseline" and found.baseline._reads_time:
            self._conditions = None  # periods are read as they are
        return self._at_conditions(table, horizon)

    def _refuse_weights(self):
        """Refuse weights, and a prior to train them on, where no network is asked."""
        why = f"with noise={self.problem_.noise!r}, whose law is exact"
        if not (isinstance(self.checkpoint, str) and self.checkpoint == "auto"):
            raise ValueError(f"checkpoint must be 'auto' {why}; got {self.checkpoint!r}.")
        if self.prior is not None:
            raise ValueError(f"prior must be None {why}; got {self.prior!r}.")

    def _pretrained(self, portfolio, seed):
        """The weights before they meet the rows; `Checkpoint`."""
        start = self._load_checkpoint(portfolio)
        if self.prior is None:
            return start
        seeded = isinstance(self.random_state, Integral)
        if self.memory is not None and not seeded:
            warnings.warn(
                f"memory is not used with random_state={self.random_state!r}, with which every fit "
                "pretrains anew; give an int.",
                stacklevel=5,
            )
        return pretrained_on(
            self.prior,
            self.problem_,
            start,
            self.pretrain_steps,
            seed,
            self.memory if seeded else None,
            self.device_,
            self.verbose,
        )

    def _load_checkpoint(self, portfolio):
        """The weights that ``checkpoint`` names, None for random ones."""
        if isinstance(self.checkpoint, Checkpoint):
            return self.checkpoint
        if self.checkpoint is None:
            if self.prior is None:
                raise ValueError(
                    "checkpoint=None needs a prior to pretrain on; got prior=None. Give "
                    "prior=SyntheticPrior(), or checkpoint='auto'."
                )
            return None
        auto = self.checkpoint == "auto"
        name = self.problem_.checkpoint_for(portfolio) if auto else self.checkpoint
        if auto and name == "demand" and self._conditions is not None:
            name = self._of_time(portfolio)
        if name is None:
            raise ValueError(
                f"checkpoint='auto', but no shipped checkpoint was made for {self.problem_!r}: "
                f"give checkpoint= a name ({', '.join(shipped_names())}), a path or a Checkpoint."
            )
        return Checkpoint.load(name)

    def _of_time(self, portfolio):
        """Name of the weights that read demand at conditions that change."""
        if self.problem_.ordered and self.problem_.exposure is None:
            return "series"
        counts = portfolio.stock is None and self._conditions.are_counts(portfolio)
        return "counts" if counts else "demand"

    def _strategy(self):
        """The checked strategy, a copy; None for no finetuning."""
        if self.finetune is None:
            return None
        strategy = AutoFinetune() if self.finetune == "auto" else copy.copy(self.finetune)
        strategy._validate_params()
        return strategy

    def _leave_out_baselines(self, strategy):
        """Compare with no baselines, as these read no attributes; a warning where they were."""
        if strategy.baselines and not isinstance(self.finetune, str):
            warnings.warn(
                f"baselines=True of {type(strategy).__name__} is not in use, as baselines read no "
                "attributes, which tell rows' levels here. Give baselines=False.",
                stacklevel=4,
            )
        strategy.baselines = False

    def _start(self, checkpoint, finetuned):
        """Where finetuning starts from, given the checkpoints of the last `fit`."""
        if not self.warm_start or finetuned is None:
            return self.checkpoint_
        same = checkpoint.fingerprint() == self.checkpoint_.fingerprint()
        return finetuned if same else self.checkpoint_

    def _use(self, found, start, portfolio):
        """Keep what was chosen, and read the portfolio with it."""
        self.finetune_report_ = found.report
        self.finetune_improved_ = found.chosen != "pretrained"
        self.n_iter_, self.history_ = found.n_iter, found.history
        self.baseline_ = None
        if found.chosen == "baseline":
            self.baseline_ = fitted_baseline(found.baseline, portfolio, self.problem_)
        self.finetuned_checkpoint_ = None
        if found.chosen in ("finetuned", "blend"):
            name = f"{self.checkpoint_.card.get('name', 'unnamed')}, finetuned"
            kept = ("licence", "problem", "prior")
            card = {key: start.card[key] for key in kept if key in start.card}
            card |= {"name": name, "finetuned_from": start.fingerprint()}
            charged_on = found.report.get("charged_on", start.card.get("finetuned_on", ""))
            card |= {"finetuned_on": charged_on}
            self.finetuned_checkpoint_ = Checkpoint.from_network(found.network.float(), card)
        self._in_use = {
            "pretrained": [] if self._exact is not None else [self.checkpoint_],
            EXCHANGEABLE: [self._without_order()] if found.chosen == EXCHANGEABLE else [],
            "finetuned": [self.finetuned_checkpoint_],
            "blend": [self.checkpoint_, self.finetuned_checkpoint_],
            "baseline": [],
        }[found.chosen]
        networks = self._build_networks()
        self._table = ReadTable(networks, portfolio, self._agrees()) if networks else None

    def _agrees(self):
        """Whether laws agree with the table: not once later outcomes taught other ones."""
        finetuned = self.finetuned_checkpoint_
        return finetuned is None or not finetuned.card["finetuned_on"].startswith(LATER)

    def _read_by_label(self, portfolio, table):
        """Rows of the same label as tables of their own; `LabelledTables`, None without attributes.

        ``table`` is the portfolio as it is, if it is in time.
        """
        if self._table is None or not portfolio.attributes or not self._table.by_label:
            return None
        if table is None:
            trials = trials_of(portfolio)
        elif table.observations.shape[1] > 1:
            trials = trials_in_time(self._conditions, table)
        else:
            return None
        trials = [each._replace(evidence=self._at_levels(each.evidence)) for each in trials]
        return LabelledTables(self._table.networks, portfolio, trials)

    def _build_networks(self):
        """The networks whose laws are averaged."""
        return [each.build_network(self.device_, torch.float64) for each in self._in_use]

    @plain_torch()
    def _predict_law(self, portfolio):
        if self.baseline_ is not None:
            return self.baseline_._predict_law(portfolio)
        if self._exact is not None:
            return self._exact.successes(portfolio)
        law = self._table.law(portfolio)
        if portfolio.real and self._table.of_means:
            # an outcome is expected to be what the row's mean is
            mean = self._table.network_law(portfolio, of_mean=True).mean()
            law = law.with_quantiles(law.quantiles + (mean - law.mean())[:, None])
        return law if self._labelled is None else self._labelled.law(law, portfolio)

    def _law_of_total(self, portfolio, horizon):
        if self.baseline_ is not None:
            return self.baseline_._law_of_total(portfolio, horizon)
        return super()._law_of_total(portfolio, horizon)

    def _mean_of_total(self, portfolio, horizon):
        if self.baseline_ is not None:
            return self.baseline_._mean_of_total(portfolio, horizon)
        return super()._mean_of_total(portfolio, horizon)

    def _paths(self, portfolio, horizon):
        if self.baseline_ is not None:
            return self.baseline_._paths(portfolio, horizon)
        return super()._paths(portfolio, horizon)

    @plain_torch()
    def _predict_law_of_mean(self, portfolio, spread=True):
        if self.baseline_ is not None:
            return self.baseline_._predict_law_of_mean(portfolio, spread)
        if self._exact is not None:
            return self._exact.rate(portfolio, spread)
        if not self._table.of_means:
            return super()._predict_law_of_mean(portfolio, spread)
        return self._table.network_law(portfolio, of_mean=True)

    @plain_torch()
    def _mean_demand(self, portfolio, prices):
        if self.baseline_ is not None:
            return self.baseline_._mean_demand(portfolio, prices)
        return self._table.laws_at(portfolio, prices).mean().reshape(prices.shape)

    @property
    def attribute_weights_(self):
        """How far rows of a label are decided beside each other alone, and not beside all rows.

        A dict of the attribute that labels are told apart by, and a dict of weights by label: 0
        is beside all rows. It is empty where labels differ in levels only, or not at all.
        """
        check_is_fitted(self)
        if self._labelled is None or self._labelled.grouping is None:
            return {}
        grouping, weights = self._labelled.grouping, self._labelled.weights
        return {grouping.name: dict(zip(grouping.levels, weights.tolist(), strict=True))}

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "_table" in state:
            state["_saved_by"] = __version__
        return state

    def __setstate__(self, state):
        state = dict(state)
        saved_by = state.pop("_saved_by", None)
        super().__setstate__(state)
        if saved_by is None:
            return
        if not hasattr(self, "_table"):
            raise ValueError(
                f"this estimator was fitted by an older development version of sklearn_pttf "
                f"({saved_by}) and cannot be read by this one ({__version__}): fit it again."
            )
        if saved_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=saved_by,
                ),
                stacklevel=2,
            )
        try:
            check_device(self.device_)
        except ValueError:  # fitted on a machine with other devices
            self.device_ = "cpu"
        networks = self._build_networks()
        for read in (self._table, self._labelled):
            if read is not None:
                read.attach(networks)
