"""What a kind of outcomes is: all that is its own between a table and its laws."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch

from sklearn_pttf._kinds.drift import DriftOfAmounts
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._utils.checks import refuse_negative
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    ShrunkenSampleAverage,
)

OF_AMOUNTS = (  # baselines that kinds of amounts share
    ShrunkenSampleAverage,
    PooledRatio,
    ParametricEmpiricalBayes,
    NonparametricEmpiricalBayes,
)


def use_another(kind):
    """Advice for a table that networks of another kind read."""
    return f" Fit with checkpoint={kind!r}, or another of {kind}."


class Kind(ABC):
    """How tables of a kind are read, and how their laws are answered; nobody makes an instance.

    A network turns evidence (observations, and what it reads beside them) into rows, context rows
    into units, rows and units into rows that are placed in their portfolio, and these into
    features. All else of a network is the same for all kinds.

    A kind of one's own is a subclass that `register_kind` is told of. It sets the class attributes
    up to ``n_portfolio_features`` (``checkpoint`` is for kinds of the package), and has static
    methods that compute with tensors: ``rows``, ``units``, ``cell_features``, ``row_features`` and
    ``portfolio_features``. All else has a default. A subclass of another kind inherits all of it
    but ``is_of``.

    Attributes
    ----------
    name : str
        What `NetworkConfig` and cards call the kind.

    title : str
        What messages call it.

    prior : type
        Class of the prior that networks are pretrained on unless another is given. ``outcomes`` of
        that class should be the kind's ``name``: `pretrain` then finds the kind by its prior.

    baselines : tuple of type
        Baselines that finetuning may choose in the network's place; may be empty.

    head : type
        Class of the module that turns states of rows into a `NetworkOutput`.

    units_type : type
        Class of the named tuple that ``units`` gives.

    n_cell_features, n_row_features, n_portfolio_features : int
        Widths of what ``cell_features``, ``row_features`` and ``portfolio_features`` give.

    reads : tuple of str
        Fields of evidence beside observations that networks see, such as ``"exposure"``.

    any_sign : bool
        Whether outcomes may be below zero, and their origin means nothing.

    priced : bool
        Whether laws are asked at prices.

    of_means : bool
        Whether the head gives the law of every row's mean too.

    takes_rates : bool
        Whether outcomes over an exposure are read as rates.

    rests_on_width : bool
        Whether decisions rest on how wide a law is.

    drift : type or None
        How changes in time are measured; None: not at all.

    alarms : tuple of callable
        Functions that warn of tables, called with a portfolio and what is said of the noise.

    extends : type or None
        Kind whose features this one's begin with, and whose head gives the same numbers: weights of
        it may be where pretraining starts from.

    levelled : callable or None
        Gives units once the laws of the context are known.

    See Also
    --------
    register_kind : Makes a kind known by its name.
    NetworkConfig : Its ``outcomes`` name the kind of a network.

    Examples
    --------
    What a subclass cannot leave out:

    >>> from sklearn_pttf import Kind
    >>> sorted(Kind.__abstractmethods__)
    ['cell_features', 'portfolio_features', 'row_features', 'rows', 'units']
    """

    name: ClassVar[str]  # in configurations of networks, and on cards
    checkpoint: ClassVar[str] = None  # file name of the shipped weights, if there are any
    title: ClassVar[str]  # in messages
    prior: ClassVar[type]  # that networks are pretrained on, unless told otherwise
    baselines: ClassVar[tuple]  # classes that may take the network's place
    head: ClassVar[type]  # module that turns states of rows into a `NetworkOutput`
    units_type: ClassVar[type]  # NamedTuple of what a context says
    n_cell_features: ClassVar[int]
    n_row_features: ClassVar[int]
    n_portfolio_features: ClassVar[int]

    reads = ()  # fields of `Evidence` beside observations, as a table's networks read them
    any_sign = False  # outcomes may be below zero, and their origin means nothing
    priced = False  # laws are asked at prices
    of_means = False  # the head gives the law of every row's mean too
    takes_rates = False  # in place of outcomes over an exposure
    rests_on_width = True  # decisions rest on how wide a law is
    drift = DriftOfAmounts  # how changes in time are measured; None: not at all
    alarms = ()  # functions that warn of tables, called with a portfolio and what noise is said
    extends = None  # kind whose weights pretraining may start from
    levelled = None  # units once the laws of the context are known

    # -- tables, as plain arrays

    @classmethod
    def is_of(cls, portfolio):
        """Whether a table is of this kind, whatever network reads it; of no table unless told.

        The kind of a table has the baselines and alarms that it meets. Only a class that defines
        this itself takes tables, and the latest registered one that says so has them.
        """
        return False

    @classmethod
    def own_prior(cls):
        """How a prior of one's own is given, in words."""
        return f"prior={cls.prior.__name__}(...)"

    @classmethod
    def as_table(cls, portfolio, problem=None):
        """A problem, and the table that baselines read a portfolio from by it.

        Of the problem that is decided only what it knows of noise counts.
        """
        return None, portfolio.observations

    @classmethod
    def check(cls, portfolio):
        """Refuse a portfolio that networks of this kind cannot read.

        Raises
        ------
        ValueError
        """
        if (portfolio.prices is not None) != cls.priced:
            none = "no " if cls.priced else ""
            raise ValueError(
                f"a network of {cls.title} cannot decide a problem that has {none}prices: "
                "fit with checkpoint='auto', or another of its kind."
            )
        if portfolio.exposure is not None and not (cls.reads_exposure() or cls.takes_rates):
            raise ValueError(
                f"a network of {cls.title} cannot read exposure: fit with checkpoint='auto', or "
                "another of counts or demand."
            )
        capped = portfolio.stock is not None and portfolio.capped.any()
        if capped and not cls.reads_stock():
            raise ValueError(
                f"a network of {cls.title} cannot read stock, which capped some sales: fit with "
                "checkpoint='auto', or another of demand or series."
            )
        if not cls.any_sign:
            why = f"a network of {cls.title} reads none"
            refuse_negative(portfolio.observations, why, use_another("values"))

    @classmethod
    def check_later(cls, outcomes, portfolio):
        """Refuse later outcomes ``y`` that networks of this kind cannot learn from.

        Raises
        ------
        ValueError
        """
        if not cls.any_sign:
            why = f"a network of {cls.title} learns from no such y"
            refuse_negative(outcomes, why, use_another("values"))

    @classmethod
    def reads_exposure(cls):
        """Whether networks read what outcomes were counted over."""
        return "exposure" in cls.reads

    @classmethod
    def reads_stock(cls):
        """Whether networks read what outcomes were capped at."""
        return "stock" in cls.reads

    @classmethod
    def reads_offset(cls):
        """Whether networks read what attributes tell of levels."""
        return "offset" in cls.reads

    @classmethod
    def as_read(cls, portfolio):
        """The portfolio as networks read it: outcomes over an exposure as rates, if need be."""
        if not cls.reads_offset():
            portfolio = portfolio.over_offset()
        if portfolio.exposure is None or cls.reads_exposure():
            return portfolio
        return portfolio.as_rates()

    @classmethod
    def evidence(cls, portfolio):
        """What networks see of a portfolio as they read it; an `Evidence` of these fields."""
        return Evidence(
            portfolio.observations, **{name: getattr(portfolio, name) for name in cls.reads}
        )

    @staticmethod
    def typical_rows(portfolio):
        """Rows that the others are decided from; bool ndarray of shape (n,)."""
        return np.ones(len(portfolio), dtype=bool)

    @staticmethod
    def bands(portfolio):
        """Bands of rows that are contexts of their own; None of one context for all."""
        return None

    @staticmethod
    def agreement(predict, portfolio):
        """What makes laws agree with their table; None of nothing."""
        return None

    # -- what a network computes, as tensors

    @staticmethod
    @abstractmethod
    def rows(evidence):
        """Rows by what they show: a NamedTuple of tensors, of an `Evidence` of tensors."""

    @staticmethod
    @abstractmethod
    def units(rows, weights, whole):
        """What a context says; a `units_type`.

        Parameters
        ----------
        rows : list
            What ``rows`` gives of parts of the context.

        weights : list of Tensor of shape (B, N_c)
            1 for a row of the context, else 0.

        whole : Tensor of shape (B, 1)
            1 where outcomes are whole numbers, else 0.
        """

    @staticmethod
    @abstractmethod
    def cell_features(rows, units):
        """Features of every observation; ``(B, N, n, n_cell_features)``."""

    @staticmethod
    @abstractmethod
    def row_features(rows, units):
        """Features of every row; ``(B, N, n_row_features)``."""

    @staticmethod
    @abstractmethod
    def portfolio_features(units):
        """Features that the rows of a portfolio share; ``(B, 1, n_portfolio_features)``."""

    @staticmethod
    def placed(rows, units):
        """Rows in their portfolio; most need no place in it."""
        return rows

    @staticmethod
    def counted(rows, units):
        """Rows that others learn from; bool (B, N)."""
        return torch.ones_like(rows.count, dtype=torch.bool)

    # -- laws

    @staticmethod
    def answers(output, of_mean):
        """The part of a `NetworkOutput` that laws are made of."""
        return output.of_mean if of_mean else output

    @classmethod
    def law(cls, quantiles, levels, portfolio, of_mean):
        """Laws of next outcomes, or of means per unit of exposure, by quantiles of rates."""
        integer, rates = portfolio.integer and not of_mean, portfolio.exposure is not None
        if rates:
            quantiles = quantiles * portfolio.coming_exposure()[:, None]
        if integer and (rates or cls.any_sign):
            quantiles = quantiles - 0.5  # a grid of whole numbers rounds up
        lowest = portfolio.lowest if cls.any_sign else 0.0
        return QuantileGrid(quantiles, levels, integer, lowest)
