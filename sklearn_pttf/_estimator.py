"""The estimator: a pretrained network that decides a portfolio."""

import warnings
from pathlib import Path
from time import perf_counter

import torch
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from sklearn_pttf._checkpoint import Checkpoint, shipped_names
from sklearn_pttf._device import check_device
from sklearn_pttf._guard import blended, finetune_guarded, n_chargeable, not_tried
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network_use import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
)
from sklearn_pttf._version import __version__
from sklearn_pttf.finetune import FEW_ROWS, FinetuneStrategy, auto_strategy
from sklearn_pttf.problems import DecisionProblem


class PretrainedDecisionTransformer(DecisionMixin, BaseEstimator):
    """Decide every instance of a portfolio with a pretrained Transformer.

    The network was pretrained on very many synthetic portfolios. In one forward pass it
    reads from all rows what they have in common, and shrinks every row towards it as far as
    the row's own observations are few and noisy: amortised empirical Bayes [1]_.

    Observations of a row are taken to be exchangeable: no trend, season, promotion or
    stock-out.

    Parameters
    ----------
    problem : DecisionProblem, default=None
        What is decided. None: ``Newsvendor(underage=1.0, overage=1.0)``.

    checkpoint : str, Path or Checkpoint, default="auto"
        Pretrained weights. ``"auto"``: those made for the problem; the name of a shipped
        checkpoint; the path of a file; or a `Checkpoint`, as `pretrain` returns it.

    finetune : FinetuneStrategy, "auto" or None, default=None
        How the weights are trained on the rows of `fit`. ``"auto"``: by the number of rows, not
        at all below 150, the head only below 1,000, all weights above. None: the pretrained
        weights are used as they are. Whatever is trained is used only where it was cheaper on
        rows that it was not trained on.

    warm_start : bool, default=False
        Whether finetuning goes on from the weights of the last `fit`, where they were used.

    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:k"``, or ``"auto"``: CUDA where there is one.

    random_state : int, RandomState or None, default=None
        How rows are split for finetuning.

    verbose : int, default=0
        1: `fit` prints a line about what it did, and many rows show their progress.

    Attributes
    ----------
    problem_ : DecisionProblem
        The problem in use.

    checkpoint_ : Checkpoint
        The pretrained weights, as CPU arrays, with their card.

    finetuned_checkpoint_ : Checkpoint or None
        The finetuned weights, if they are in use.

    finetune_report_ : dict
        What was compared, in the manner of ``cv_results_``: arrays ``candidate``,
        ``mean_cost`` (cross-fitted, on observations or outcomes that the decisions did not see),
        ``std_error``, ``gain`` over the pretrained weights, ``gain_std_error`` and ``chosen``;
        where nothing was trained, ``reason`` says why.

    finetune_improved_ : bool
        Whether something else than the pretrained weights alone is in use.

    n_iter_ : float
        Mean over folds of the epoch whose weights were kept; 0 is none.

    history_ : list of dict
        Losses of the epochs of every fold.

    device_ : str
        The device in use.

    integer_ : bool
        Whether the outcomes seen during `fit` are whole numbers; decisions then are too.

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
    `fit` keeps of its rows only the states of a few tokens (the context), so a fitted
    estimator is small, later rows are decided one by one, and a row's decision does not
    depend on which other rows are in the same call.

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

    _parameter_constraints = {
        "problem": [DecisionProblem, None],
        "checkpoint": [str, Path, Checkpoint],
        "finetune": [FinetuneStrategy, StrOptions({"auto"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        problem=None,
        *,
        checkpoint="auto",
        finetune=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.problem = problem
        self.checkpoint = checkpoint
        self.finetune = finetune
        self.warm_start = warm_start
        self.device = device
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
            Later outcomes, a target for finetuning only and never evidence: append them to X
            to have them count as evidence. They are checked, and not used without finetuning.

        Returns
        -------
        PretrainedDecisionTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has no observation at all, or infinite or negative ones; if costs are not
            positive or too unequal; if a column, the checkpoint or the device is unknown.
        """
        began = perf_counter()
        last = getattr(self, "finetuned_checkpoint_", None) if self.warm_start else None
        portfolio = self._read_to_fit(X)
        outcomes = None if y is None else self._check_outcomes(X, y)
        self.device_ = check_device(self.device)
        self.checkpoint_ = self._load_checkpoint()
        found = self._finetuned(portfolio, outcomes, last or self.checkpoint_)
        self._use(found, portfolio)
        if self.verbose:
            print(
                f"{len(portfolio):,} rows with {portfolio.counts.sum():,} observations read by "
                f"{self.checkpoint_} on {self.device_} in {perf_counter() - began:.2f} s. "
                f"{found.summary()}"
            )
        return self

    def _finetuned(self, portfolio, outcomes, start):
        """What came of finetuning; `Finetuning`."""
        strategy = self.finetune
        if strategy is None:
            return not_tried("finetune=None")
        n_rows = n_chargeable(portfolio, outcomes)
        if strategy == "auto":
            strategy = auto_strategy(n_rows)
            if strategy is None:
                return not_tried(f"{n_rows} rows to charge are fewer than {FEW_ROWS}")
        strategy = clone(strategy)
        strategy._validate_params()
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return finetune_guarded(
            strategy,
            start,
            self.problem_,
            portfolio,
            outcomes,
            seed,
            self.device_,
            self.verbose,
        )

    def _use(self, found, portfolio):
        """Keep what was chosen, and read the portfolio with it."""
        self.finetune_report_ = found.report
        self.finetune_improved_ = found.chosen != "pretrained"
        self.n_iter_, self.history_ = found.n_iter, found.history
        self.finetuned_checkpoint_ = self.baseline_ = None
        if found.chosen in ("finetuned", "blend"):
            card = {**self.checkpoint_.card, "name": f"{self.checkpoint_.card['name']}, finetuned"}
            self.finetuned_checkpoint_ = Checkpoint.from_network(found.network.float(), card)
        if found.chosen == "baseline":
            self.baseline_ = found.baseline().fit(portfolio.observations)
        self._chosen = found.chosen
        self._networks = self._build_networks()
        self._contexts = [
            encode_context(network, portfolio.observations, self.integer_)
            for network in self._networks
        ]

    def _build_networks(self):
        """The networks whose laws are averaged."""
        checkpoints = {
            "pretrained": [self.checkpoint_],
            "finetuned": [self.finetuned_checkpoint_],
            "blend": [self.checkpoint_, self.finetuned_checkpoint_],
            "baseline": [],
        }[self._chosen]
        return [each.build_network(self.device_, torch.float64) for each in checkpoints]

    def _load_checkpoint(self):
        if isinstance(self.checkpoint, Checkpoint):
            return self.checkpoint
        name = self.problem_.default_checkpoint if self.checkpoint == "auto" else self.checkpoint
        if name is None:
            raise ValueError(
                f"checkpoint='auto', but no shipped checkpoint was made for {self.problem_!r}: "
                f"give checkpoint= a name ({', '.join(shipped_names())}), a path or a Checkpoint."
            )
        return Checkpoint.load(name)

    def _predict_law(self, portfolio):
        if self.baseline_ is not None:
            return self.baseline_._predict_law(portfolio)
        laws = [
            predict_law(network, context, portfolio.observations)
            for network, context in zip(self._networks, self._contexts, strict=True)
        ]
        return blended(*laws) if len(laws) > 1 else laws[0]

    def __getstate__(self):
        state = super().__getstate__().copy()
        if state.pop("_networks", None) is not None:
            state["_contexts"] = [context_arrays(context) for context in state["_contexts"]]
            state["_saved_by"] = __version__
        return state

    def __setstate__(self, state):
        state = dict(state)
        saved_by = state.pop("_saved_by", None)
        super().__setstate__(state)
        if saved_by is None:
            return
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
        self._networks = self._build_networks()
        self._contexts = [context_from_arrays(each, self.device_) for each in self._contexts]
