"""The estimator: a pretrained network that decides a portfolio."""

import warnings
from pathlib import Path
from time import perf_counter

import torch
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import InconsistentVersionWarning

from sklearn_pttf._checkpoint import Checkpoint, shipped_names
from sklearn_pttf._device import check_device
from sklearn_pttf._mixin import DecisionMixin
from sklearn_pttf._network_use import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
)
from sklearn_pttf._version import __version__
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

    finetune : None, default=None
        None: the pretrained weights are used as they are.

    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, ``"cuda:k"``, or ``"auto"``: CUDA where there is one.

    verbose : int, default=0
        1: `fit` prints a line about what it did, and many rows show their progress.

    Attributes
    ----------
    problem_ : DecisionProblem
        The problem in use.

    checkpoint_ : Checkpoint
        The weights in use, as CPU arrays, with their card.

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
        "finetune": [None],
        "device": [str],
        "verbose": ["verbose"],
    }

    def __init__(self, problem=None, *, checkpoint="auto", finetune=None, device="auto", verbose=0):
        self.problem = problem
        self.checkpoint = checkpoint
        self.finetune = finetune
        self.device = device
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
        portfolio = self._read_to_fit(X)
        if y is not None:
            self._check_outcomes(X, y)
        self.device_ = check_device(self.device)
        self.checkpoint_ = self._load_checkpoint()
        self._network = self.checkpoint_.build_network(self.device_, torch.float64)
        self._context = encode_context(self._network, portfolio.observations, self.integer_)
        if self.verbose:
            print(
                f"{len(portfolio):,} rows with {portfolio.counts.sum():,} observations read by "
                f"{self.checkpoint_} on {self.device_} in {perf_counter() - began:.2f} s."
            )
        return self

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
        return predict_law(self._network, self._context, portfolio.observations)

    def __getstate__(self):
        state = super().__getstate__().copy()
        if state.pop("_network", None) is not None:
            state["_context"] = context_arrays(state["_context"])
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
        self._network = self.checkpoint_.build_network(self.device_, torch.float64)
        self._context = context_from_arrays(self._context, self.device_)
