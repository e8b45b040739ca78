"""What every estimator that decides has in common: decide, predict, score."""

from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklearn_pttf._laws.at_prices import DemandAtPrices, PriceRange
from sklearn_pttf._laws.atoms import WeightedAtoms, pooled_atoms
from sklearn_pttf._laws.base import check_levels
from sklearn_pttf._laws.beta import BetaBinomialMixture, SharedLaw
from sklearn_pttf._laws.capped_prices import CappedDemandAtPrices
from sklearn_pttf._laws.horizon import covariance_of_periods, law_of_total
from sklearn_pttf._laws.means import law_of_mean
from sklearn_pttf._laws.paths import DemandPaths
from sklearn_pttf._laws.poisson import PoissonMixture
from sklearn_pttf._series.alarms import (
    SeenDrivers,
    warn_of_drivers,
    warn_of_extrapolation,
    warn_of_horizon,
    warn_of_seasons,
    warn_of_unknown,
)
from sklearn_pttf._series.choice import chosen_conditions
from sklearn_pttf._series.conditions import (
    Conditions,
    correlation_over_doubt,
    law_at_conditions,
    over_doubt,
    refuse_many_periods,
)
from sklearn_pttf._series.found import shared_over_time
from sklearn_pttf._series.rolling import continued
from sklearn_pttf._tables.attributes import AttributeEffects
from sklearn_pttf._tables.completion import completed, demand_of
from sklearn_pttf._utils.checks import (
    MOST_PERIODS,
    check_later_table,
    check_outcomes,
    check_table,
    check_whole,
)
from sklearn_pttf._utils.output import DecisionOutput, as_column, as_frame, container_of
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.problems._attributes import check_same_attributes
from sklearn_pttf.problems._exposure import same_exposure
from sklearn_pttf.problems._given import check_price, check_problem
from sklearn_pttf.problems._stock import stock_positions, told_of_stock
from sklearn_pttf.problems._time import check_columns, driver_positions, season_lengths

CHUNK_ROWS = 16_384
MOST_ORIGINS = 8  # that a score without later outcomes rolls over, the newest ones


def joined(laws, portfolio):
    """The laws of all pieces as one, with the whole portfolio."""
    laws = [law for law, _ in laws]
    return [(type(laws[0]).concatenate(laws) if len(laws) > 1 else laws[0], portfolio)]


def _check_summable(portfolio, horizon):
    """Refuse several periods of outcomes that are not to be added up."""
    if horizon > 1 and not portfolio.summable:
        raise ValueError(f"horizon must be 1 for {portfolio.outcomes_are}; got {horizon!r}.")


def _is_binomial(problem):
    return getattr(problem, "noise", None) == "binomial"


def saved_share(cost, reference):
    """What of a reference's cost is saved; of twice that cost or more, in halves of the cost.

    It is finite: 0 where both cost nothing, -2 where only the reference costs nothing.
    """
    scale = max(abs(reference), abs(cost) / 2)
    return float((reference - cost) / scale) if scale > 0 else 0.0


class DecisionMixin(DecisionOutput):
    """Base of estimators that decide, to be inherited from left of ``BaseEstimator``.

    It gives `decide`, `predict`, `predict_quantiles`, `predict_distribution`, `score` and
    `set_output`. A
    subclass has a ``problem`` parameter (a `DecisionProblem`, or None for ``Newsvendor()``) and
    writes two methods:

    - ``fit(X, y=None)`` calls ``self._read_to_fit(X)``, which checks X and gives its `Portfolio`,
      learns from that and returns ``self``;
    - ``_predict_law(portfolio)`` gives the `PredictiveDistribution` of every row of a portfolio.

    `sklearn_pttf.testing.check_decision_estimator` tells whether the result keeps the contract.

    Attributes
    ----------
    problem_ : DecisionProblem
        The problem in use.

    observation_columns_ : ndarray of int
        Positions of the columns that hold observations.

    integer_ : bool
        Whether the outcomes are whole numbers.

    See Also
    --------
    sklearn_pttf.baselines.SampleAverage : The simplest subclass.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_pttf import DecisionMixin, WeightedAtoms
    >>> from sklearn_pttf.problems import Newsvendor
    >>> class OwnHistory(DecisionMixin, BaseEstimator):
    ...     def __init__(self, problem=None):
    ...         self.problem = problem
    ...
    ...     def fit(self, X, y=None):
    ...         self._read_to_fit(X)
    ...         return self
    ...
    ...     def _predict_law(self, portfolio):
    ...         return WeightedAtoms(portfolio.observations)
    >>> X = [[3, 5, 4], [0, 1, 0]]
    >>> OwnHistory(Newsvendor(underage=4.0, overage=1.0)).fit(X).decide(X)
    array([5., 1.])
    """

    _default_problem = Newsvendor  # that None stands for
    _reads_trials = False  # whether outcomes may be successes in trials
    _follows_prices = False  # whether laws of outcomes depend on the posted price
    _reads_exposure = False  # whether they depend on what outcomes are counted over
    _reads_attributes = False  # whether laws depend on what attributes tell of levels
    _reads_time = False  # whether tables in the order of time are read as they are

    def _read_to_fit(self, X):
        """Validate X, settle what the columns mean, and give its `Portfolio`."""
        self.problem_ = clone(check_problem(self.problem, self._default_problem))
        if self.problem_.of_prices and not self._follows_prices:
            raise ValueError(
                f"problem must have no prices for {type(self).__name__}, whose laws do not depend "
                f"on any; got {self.problem!r}."
            )
        if _is_binomial(self.problem_) and not self._reads_trials:
            raise ValueError(
                f"problem must not have noise='binomial' for {type(self).__name__}, which does not "
                f"read trials; got {self.problem!r}. Use PretrainedDecisionTransformer, "
                "ParametricEmpiricalBayes or SampleAverage."
            )
        if self.problem_.exposure is not None and not self._reads_exposure:
            raise ValueError(
                f"exposure must be None for {type(self).__name__}, which takes all outcomes as "
                f"counted over the same; got {self.problem_.exposure!r}. "
                "PretrainedDecisionTransformer, SampleAverage, ParametricEmpiricalBayes and "
                "NonparametricEmpiricalBayes read it."
            )
        self._check_time_is_read()
        X = check_table(self, X, reset=True)
        names = getattr(self, "feature_names_in_", None)
        self.observation_columns_ = np.array(
            self.problem_.observation_positions(names, self.n_features_in_)
        )
        check_columns(self.problem_, names, self.observation_columns_, self.n_features_in_)
        portfolio = self.problem_.read(X, names, self.observation_columns_)
        if portfolio.in_time and portfolio.real:
            raise ValueError(
                f"ordered and drivers are for demand and counts; got {self.problem_!r} of values "
                "of any sign, as X has values below 0 or that are not whole, or standard errors."
            )
        self.integer_ = portfolio.integer
        self._capped_demand = None
        if self.problem_.of_prices and portfolio.stock is not None:
            self._capped_demand = CappedDemandAtPrices(portfolio)
            portfolio = self._capped_demand.completed(portfolio)
        self._pooled = pooled_atoms(portfolio.as_rates().observations, portfolio.exposures())
        self._mean_exposure = portfolio.mean_exposure()
        portfolio = self._with_coming(portfolio)
        if self.problem_.of_prices:
            self._price_range = PriceRange.of(portfolio)
        self._conditions = self._shared_effects = None
        warn_of_seasons(portfolio)
        warn_of_drivers(portfolio, self.problem_.drivers, self.problem_.horizon)
        self._seen_drivers = None
        if portfolio.drivers is not None:
            self._seen_drivers = SeenDrivers(portfolio, self.problem_.horizon)
        if portfolio.in_time and not self._reads_time:
            refuse_many_periods(portfolio)
            self._conditions = chosen_conditions(portfolio, self.problem_.horizon)
            names = self.problem_.drivers or ()
            self._shared_effects = shared_over_time(self._conditions, portfolio, names)
        self._attribute_effects = None
        if portfolio.attributes and portfolio.summable and self._reads_attributes:
            demand = completed(portfolio)
            self._attribute_effects = AttributeEffects(
                self._at_conditions(demand, self.problem_.horizon)
            )
        return self._at_conditions(portfolio, self.problem_.horizon)

    @property
    def attribute_effects_(self):
        """Effects of attributes on levels of rows, of those that tell anything of them.

        A tuple of `sklearn_pttf.inspection.AttributeEffect`, where the problem has ``attributes``.
        """
        effects = getattr(self, "_attribute_effects", None)
        if effects is None:
            raise AttributeError(
                f"{type(self).__name__} has no attribute_effects_ unless it is fitted with "
                "attributes, and reads what they tell of levels."
            )
        return effects.told

    @property
    def shared_effects_(self):
        """What rows share over time, where the problem has ``ordered=True`` or ``drivers``.

        A `sklearn_pttf.inspection.SharedOverTime`: effects of drivers, factors of periods, past and
        coming, and seasons, with standard errors. `sklearn_pttf.inspection.SeriesDisplay` draws it.
        """
        shared = getattr(self, "_shared_effects", None)
        if shared is None:
            raise AttributeError(
                f"{type(self).__name__} has no shared_effects_ unless it is fitted with "
                "ordered=True or drivers, and reads what rows share over time."
            )
        return shared

    def _check_time_is_read(self):
        """Refuse an order of time, and drivers, where nothing is made of them."""
        problem = self.problem_
        in_time = problem.ordered or problem.drivers is not None
        if in_time and not (self._reads_time or self._reads_exposure):
            told = "ordered" if problem.ordered else "drivers"
            raise ValueError(
                f"{told} must be {False if problem.ordered else None} for {type(self).__name__}, "
                f"which takes periods as they are; got {getattr(problem, told)!r}."
            )
        if in_time and (problem.of_prices or _is_binomial(problem)):
            raise ValueError(f"ordered and drivers are for demand and counts; got {problem!r}.")

    def _at_conditions(self, portfolio, horizon, each=False):
        """The portfolio as laws are made of it: at the conditions of coming periods."""
        if horizon > self.problem_.horizon:
            warn_of_horizon(portfolio, self.problem_.drivers, horizon)
        if self._conditions is not None:
            portfolio = self._conditions.at(portfolio, horizon, each)
        return self._at_levels(portfolio)

    def _at_levels(self, portfolio):
        """The portfolio with what attributes tell of rows' levels."""
        effects = getattr(self, "_attribute_effects", None)
        return portfolio if effects is None else effects.at(portfolio)

    def _read(self, X, problem=None, horizon=None):
        """The portfolio of later rows at their conditions, with the columns of `fit`."""
        portfolio = self._read_as_it_is(X, problem)
        if horizon is None:
            horizon = (self.problem_ if problem is None else problem).horizon
        return self._at_conditions(portfolio, horizon)

    def _extrapolates(self, portfolio, horizon):
        """Whether rows' drivers are planned beyond all that was seen, with a warning of many.

        And one where less is known of them than at `fit`.

        None where there are no drivers.
        """
        if self._seen_drivers is None:
            return None
        if self._seen_drivers.knows_less(portfolio, horizon):
            warn_of_unknown(portfolio, self.problem_.drivers, horizon)
        beyond = self._seen_drivers.beyond(portfolio, horizon)
        cut = np.zeros_like(beyond)
        if self._conditions is not None:
            cut = self._conditions.cut(portfolio, horizon)
        if self._conditions is None or self._conditions.driven:
            warn_of_extrapolation(beyond, cut, self.problem_.drivers)
        return (beyond | cut).any(axis=1)

    def _read_as_it_is(self, X, problem=None):
        check_is_fitted(self)
        problem = self.problem_ if problem is None else problem
        if problem.of_prices != self.problem_.of_prices:
            raise ValueError(
                f"problem={problem!r} cannot be decided after a fit with {self.problem_!r}: one of "
                "them is about prices and the other is not."
            )
        self._check_noise(problem)
        X, names = check_later_table(self, X, problem.columns_taken)
        problem.check_roles(names, X.shape[1], self.observation_columns_)
        if problem.of_prices:
            self._check_prices(problem, names, X.shape[1])
        self._check_exposure(problem)
        self._check_stock(problem, names, X.shape[1])
        self._check_time(problem, names, X.shape[1])
        portfolio = problem.read(X, names, self.observation_columns_, self.integer_)
        if self.problem_.has_exposure and not problem.has_exposure:  # as it was seen
            found = self.problem_.read_exposure(X, names, portfolio.observations)
            portfolio = replace(portfolio, exposure=found[0], coming=found[1])
        if self.problem_.has_stock and not problem.has_stock:
            stock = self.problem_.read_stock(X, names, portfolio.observations)
            portfolio = replace(portfolio, stock=stock)
        if self.problem_.of_prices and portfolio.stock is not None:
            portfolio = self._capped_demand.completed(portfolio)
        if problem is not self.problem_:
            portfolio = self.problem_.in_time(portfolio, X, names)
            portfolio = self.problem_.with_attributes(portfolio, X, names)
        return self._with_coming(portfolio)

    def _check_noise(self, problem):
        """Refuse another problem that says of noise what `fit` was not told."""
        said, fitted = getattr(problem, "noise", None), getattr(self.problem_, "noise", None)
        if said is not None and said != fitted and "binomial" in (said, fitted):
            raise ValueError(
                f"noise={said!r} cannot be said now: fit was told noise={fitted!r}. Fit with a "
                "problem that says it."
            )

    def _check_exposure(self, problem):
        """Refuse another problem that has another exposure, or other trials."""
        for name in ("exposure", "trials"):
            told, fitted = (getattr(each, name, None) for each in (problem, self.problem_))
            if told is not None and not same_exposure(told, fitted):
                raise ValueError(
                    f"{name} stays as fitted, {fitted!r}, or is left None for that; got {told!r}."
                )

    def _check_stock(self, problem, names, n_columns):
        """Refuse another problem that has other columns of stock."""
        told, fitted = (
            (told_of_stock(each), stock_positions(each, names, n_columns))
            for each in (problem, self.problem_)
        )
        if told[0] is not None and told != fitted:
            raise ValueError(
                f"{told[0]} stays as fitted, {getattr(self.problem_, told[0])!r}, or is left None "
                f"for that; got {getattr(problem, told[0])!r}."
            )

    def _check_time(self, problem, names, n_columns):
        """Refuse another problem that says of time what `fit` was not told."""

        def roles(each):
            drivers = driver_positions(each, names, n_columns)
            seasons = season_lengths(each.seasons)
            return {"ordered": each.ordered, "drivers": drivers, "seasons": seasons}

        check_same_attributes(problem, self.problem_, names, n_columns)
        told, fitted = roles(problem), roles(self.problem_)
        for name in told:
            is_said = getattr(problem, name) is not None and getattr(problem, name) is not False
            if is_said and told[name] != fitted[name]:
                raise ValueError(
                    f"{name} stays as fitted, {getattr(self.problem_, name)!r}, or is left out "
                    f"for that; got {getattr(problem, name)!r}."
                )

    def _with_coming(self, portfolio):
        """The portfolio, in which rows that tell of no exposure have the mean one of `fit`."""
        if portfolio.coming is None:
            return portfolio
        coming = np.where(np.isnan(portfolio.coming), self._mean_exposure, portfolio.coming)
        if _is_binomial(self.problem_):
            coming = np.ceil(coming)  # trials
        return replace(portfolio, coming=coming)

    def _check_prices(self, problem, names, n_columns):
        """Refuse another problem that pairs demand with other prices."""
        own, fitted = (each.price_positions(names, n_columns) for each in (problem, self.problem_))
        if own != fitted:
            raise ValueError(
                f"problem={problem!r} names other columns of prices than fit did, or in another "
                f"order; those of fit are {fitted}."
            )

    def _predict_law_of_mean(self, portfolio, spread=True):
        """Law of every row's mean, per unit of exposure; without ``spread`` only where it is.

        A subclass that knows better overrides it.
        """
        law = self._predict_law(portfolio)
        coming = portfolio.coming_exposure()[:, None]
        if not spread:
            return WeightedAtoms(law.mean()[:, None] / coming)
        law = law_of_mean(self._predict_law, portfolio, law)
        return law if portfolio.coming is None else law.with_quantiles(law.quantiles / coming)

    def _law_of_total(self, portfolio, horizon):
        """Law of the sum of every row's next outcomes.

        Where all that periods share is a rate, of Poisson counts or of successes, it is exact.
        """

        def total(portfolio):
            law = self._predict_law(portfolio)
            if isinstance(law, (PoissonMixture, BetaBinomialMixture, SharedLaw)):
                return law.over(horizon)
            return law_of_total(self._predict_law, portfolio, law, horizon, by_row=True)

        return over_doubt(total, portfolio)

    def _mean_of_total(self, portfolio, horizon):
        """Mean of that law; ndarray of shape (n,)."""
        return horizon * over_doubt(self._predict_law, portfolio).mean()

    def _paths(self, portfolio, horizon):
        """Demand of rows in each of the coming periods; `DemandPaths`."""
        laws = self._laws_of_periods(portfolio, horizon)
        if horizon == 1:
            return DemandPaths(laws, np.zeros(len(portfolio)))
        law = self._predict_law(portfolio)
        covariance = covariance_of_periods(self._predict_law, portfolio, law)
        return DemandPaths(laws, correlation_over_doubt(laws, law, covariance, portfolio))

    def _laws_of_periods(self, portfolio, horizon):
        """Laws of the outcome of each coming period, a list."""
        if portfolio.ahead is None:
            return [over_doubt(self._predict_law, portfolio)] * horizon
        return [over_doubt(self._predict_law, portfolio.of_period(k)) for k in range(horizon)]

    def _demand_at_prices(self, portfolio):
        """The law of every row's demand at any price."""
        return DemandAtPrices(
            lambda price: self._predict_law(portfolio.at_price(price)),
            lambda prices: self._mean_demand(portfolio, prices),
            self._price_range,
        )

    def _mean_demand(self, portfolio, prices):
        """Expected demand at prices ``(n, k)``; ndarray of shape (n, k)."""
        means = [self._predict_law(portfolio.at_price(price)).mean() for price in prices.T]
        return np.stack(means, axis=1)

    def _pieces(self, portfolio, of_piece):
        """What ``of_piece`` gives for pieces of bounded size, with these."""
        starts = range(0, len(portfolio), CHUNK_ROWS)
        quiet = not getattr(self, "verbose", 0) or len(starts) == 1
        for start in tqdm(starts, desc="rows", disable=quiet, unit_scale=CHUNK_ROWS, unit="row"):
            piece = portfolio.take(slice(start, start + CHUNK_ROWS))
            yield of_piece(piece), piece

    def _laws(self, portfolio, horizon=1):
        """Laws of the total over a horizon, in pieces, with their portfolios."""
        check_whole("horizon", horizon, 1, MOST_PERIODS)
        _check_summable(portfolio, horizon)

        def of_piece(piece):
            return self._law_of_total(piece, horizon)

        return self._pieces(portfolio, of_piece)

    def _laws_of_means(self, portfolio, spread=False):
        """Laws of rows' means at their conditions, in pieces, with their portfolios."""

        def of_piece(piece):
            return law_at_conditions(self._predict_law_of_mean(piece, spread), piece)

        return self._pieces(portfolio, of_piece)

    def _laws_to_decide(self, portfolio, problem, spread=False):
        """Laws with their portfolios, as many at a time as must be decided together.

        Of a problem that is decided from means they are the laws of these, with their ``spread``
        if that is asked for.
        """
        if problem.of_prices:
            laws = self._pieces(portfolio, self._demand_at_prices)
        else:
            laws = self._laws_to_charge(portfolio, problem, spread)
        return joined(laws, portfolio) if problem.shares_limit else laws

    def _laws_to_charge(self, portfolio, problem, spread=False):
        """Laws that rows are charged for, in pieces, with their portfolios."""
        if problem.of_means:
            return self._laws_of_means(portfolio, spread)
        if problem.of_paths:
            return self._pieces(portfolio, lambda piece: self._paths(piece, problem.horizon))
        return self._laws(portfolio, problem.horizon)

    def decide(self, X, *, problem=None, return_info=False):
        """Best decision for every row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)
            The instances, with the columns that `fit` saw, and those that only ``problem`` names. A
            row without any observation is decided from the context alone.

        problem : DecisionProblem, default=None
            Another problem to decide, without a refit: other costs, say. Observation columns
            stay as fitted. Of a data frame it may name columns that came after `fit`: today's
            stock, say. None: the problem of `fit`.

        return_info : bool or "frame", default=False
            Whether to give also what the decisions are expected to cost. ``"frame"``: as a data
            frame.

        Returns
        -------
        decisions : ndarray or Series of shape (n_instances,)
            In units of the outcome. A Series of its library if X is a data frame, in pandas with
            its index, unless `set_output` says otherwise.

        info : Bunch or data frame
            Only if ``return_info``. A frame has the ``decision`` and all that is one number a row,
            and the index of X. A Bunch has ndarrays of shape (n_instances,): ``expected_cost``, in
            money; ``mean``, the expected outcome (over the horizon of the problem); ``risk``, if
            the problem's is not the mean. Under a limit it has ``shadow_price``, what one more unit
            of it would save, ``used``, ``limit``, each a float, or a dict by group, and
            ``dual_bound``, a float: no orders within the limit have a smaller sum of expected
            costs. With drivers ``extrapolates``, bool: whether one is planned beyond all that was
            seen of it. With stock ``identified``, bool: whether stock ever let one see as much
            demand as the order is for, on average over its periods: where it is False the order
            rests on the prior and on other rows. What other problems give, their pages say.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.

        ValueError
            If X lacks columns of `fit`, has others that ``problem`` does not name, or values that
            cannot be.
        """
        if not isinstance(return_info, str | bool | np.bool_) or (
            isinstance(return_info, str) and return_info != "frame"
        ):
            raise ValueError(f"return_info must be True, False or 'frame'; got {return_info!r}.")
        decisions, info = self._decided(X, problem, bool(return_info))
        container = container_of(self)
        column = as_column(X, decisions, "decision", container)
        if not return_info:
            return column
        if isinstance(return_info, str):
            rows = {name: each for name, each in info.items() if np.shape(each) == decisions.shape}
            info = as_frame(X, {"decision": decisions, **rows}, container)
        return column, info

    def _decided(self, X, problem, told):
        """Decisions as an array, and if they are to be told the Bunch of `decide`, else None."""
        check_is_fitted(self)
        problem = self.problem_ if problem is None else check_problem(problem)
        portfolio = self._read_as_it_is(X, problem)
        extrapolates = self._extrapolates(portfolio, problem.horizon)
        portfolio = self._at_conditions(portfolio, problem.horizon, problem.of_paths)
        if problem.of_prices:
            problem.warn_of_losses(portfolio)
        laws = self._laws_to_decide(portfolio, problem, spread=told)
        decisions, rows, of_all = [], [], {}
        for law, piece in laws:
            if not told:
                decisions.append(problem.solve(law, piece))
                continue
            found, of_all = problem.solve_with_info(law, piece)
            decisions.append(found)
            rows.append(problem.row_info(found, law, piece))
        if not told:
            return np.concatenate(decisions), None
        by_row = {name: np.concatenate([each[name] for each in rows]) for name in rows[0]}
        if extrapolates is not None:
            by_row["extrapolates"] = extrapolates
        return np.concatenate(decisions), Bunch(**by_row, **of_all)

    def predict(self, X, *, horizon=1):
        """Expected next outcome of every row.

        Of counts over an exposure, of which a problem asks for the means, it is the rate.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)

        horizon : int, default=1
            How many next outcomes are added up.

        Returns
        -------
        ndarray of shape (n_instances,)
            In units of the outcome.
        """
        check_is_fitted(self)
        check_whole("horizon", horizon, 1, MOST_PERIODS)
        portfolio = self._read(X, horizon=horizon)
        if self.problem_.of_means and horizon == 1:  # what decisions are made from
            return np.concatenate([law.mean() for law, _ in self._laws_of_means(portfolio)])
        _check_summable(portfolio, horizon)
        means = self._pieces(portfolio, lambda piece: self._mean_of_total(piece, horizon))
        return np.concatenate([mean for mean, _ in means])

    def predict_quantiles(self, X, quantiles, *, horizon=1):
        """Quantiles of the next outcome of every row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)

        quantiles : float or array-like of shape (n_quantiles,)
            Levels, strictly between 0 and 1.

        horizon : int, default=1
            How many next outcomes are added up.

        Returns
        -------
        ndarray of shape (n_instances, n_quantiles)
            In units of the outcome. They do not cross.
        """
        tau = np.atleast_1d(check_levels(quantiles))
        if tau.ndim != 1:
            raise ValueError(f"quantiles must be a number or 1-D; got {tau.ndim} dimensions.")
        check_whole("horizon", horizon, 1, MOST_PERIODS)
        laws = self._laws(self._read(X, horizon=horizon), horizon)
        return np.concatenate([law.quantile(tau[None, :]) for law, _ in laws])

    def predict_distribution(self, X, *, horizon=1, of_mean=False, price=None):
        """Law of the next outcome of every row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)

        horizon : int, default=1
            How many next outcomes are added up.

        of_mean : bool, default=False
            Whether to give the law of the row's mean instead: of what its outcomes vary around, as
            far as it is unknown, per unit of exposure, and in time at the next period's conditions.

        price : float or array-like of shape (n_instances,), default=None
            Of a pricing problem: the price at which the outcome is made. None: the posted one,
            else the row's usual one.

        Returns
        -------
        PredictiveDistribution
            One law a row, with ``cdf``, ``quantile``, ``mean`` and ``expected``.
        """
        check_is_fitted(self)
        check_whole("horizon", horizon, 1, MOST_PERIODS)
        portfolio = self._read(X, horizon=horizon)
        if price is not None:
            portfolio = portfolio.at_price(check_price(price, self.problem_, len(portfolio)))
        if of_mean and not portfolio.has_mean_law:
            raise ValueError(
                f"of_mean must be False for {portfolio.outcomes_are}; got {of_mean!r}."
            )
        if of_mean and horizon != 1:
            raise ValueError(f"horizon must be 1 with of_mean=True; got {horizon!r}.")
        found = self._laws_of_means(portfolio, True) if of_mean else self._laws(portfolio, horizon)
        laws = [law for law, _ in found]
        return type(laws[0]).concatenate(laws)

    def score(self, X, y=None):
        """Saving over sample average approximation (SAA), as a share of SAA's cost.

        Of a pricing problem: one minus the pinball loss of demand at the posted price over that of
        a regression of each row on its own.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)

        y : array-like of shape (n_instances,) or (n_instances, n_outcomes), default=None
            Outcomes that decisions did not see, of one period each; NaN = not observed. With a
            horizon of the problem, so many columns in a row make one outcome. With ``ordered`` or
            ``drivers`` they follow the last column of X, and each is charged on the decision made
            from X and those before it. None: leave-one-out
            on X, each observation (or horizon of them) charged on the decision made from the row's
            others; of a problem with ``ordered`` or ``drivers`` the newest ones, up to eight, each
            charged on the decision made from those before it.

        Returns
        -------
        float
            ``(C_SAA - C) / max(|C_SAA|, |C| / 2)``, with the costs summed over rows: positive
            means cheaper than SAA on the same rows, 0 where both cost nothing. It is the share of
            SAA's cost that is saved, unless decisions cost more than twice as much: so where SAA
            costs nothing, or next to nothing, it is -2 and not minus infinity, and a mean over
            folds says something.

        Raises
        ------
        ValueError
            If there is no outcome to charge.

        Notes
        -----
        Without ``y``, on the rows of `fit`, the figure is too good in small tables: what the
        rows have in common was read from all their observations, those that are left out
        included. ``cross_val_score(estimator, X)`` scores rows that `fit` did not see.
        Both decide with one observation a row less than later decisions have, which hurts SAA
        more.
        """
        costs = self._costs_of_rows(X, y)
        if np.isnan(costs).all():
            horizon = self.problem_.horizon
            fewer = f", or are fewer than the {horizon} periods in a row that a decision covers"
            raise ValueError(
                f"there is no outcome to charge: all are missing{fewer if horizon > 1 else ''}."
            )
        return saved_share(*np.nansum(costs, axis=(0, 2)))

    def _costs_of_rows(self, X, y=None, most=None):
        """Mean costs of rows, own and SAA's, as `score` charges them; ndarray of shape (k, 2, n).

        Without ``y`` and an order of time at ``most`` so many horizons of observations are charged.
        """
        portfolio = self._read_as_it_is(X)
        outcomes = None if y is None else self._check_outcomes(X, y)
        if portfolio.in_time:
            return np.array(self._rolled_costs(portfolio, outcomes))
        if y is not None:
            return np.array([self._row_costs(portfolio, outcomes)])
        n_parts = portfolio.observations.shape[1] // self.problem_.horizon
        demand, parts = demand_of(portfolio), range(n_parts)[:most]
        return np.array([self._held_out_costs(portfolio, k, demand) for k in parts])

    def _check_outcomes(self, X, y):
        return check_outcomes(y, X, self.problem_)

    def _row_costs(self, portfolio, outcomes, conditions=None):
        """Mean cost of every row, own and SAA's, on outcomes; ``(2, n)``, NaN without one."""
        problem, parts, start = self.problem_, [], 0
        conditions = self._conditions if conditions is None else conditions
        at = portfolio
        if conditions is not None:
            at = conditions.at(portfolio, problem.horizon, problem.of_paths)
        at = self._at_levels(at)
        laws = self._laws_to_charge(at, problem)
        for law, piece in joined(laws, at) if problem.shares_limit else laws:
            rows = slice(start, start + len(piece))
            start += len(piece)
            reference = problem.reference_law(portfolio.take(rows), self._pooled)
            charged = [problem.charge(each, piece, outcomes[rows]) for each in (law, reference)]
            parts.append(charged)
        return np.concatenate(parts, axis=1)

    def _rolled_costs(self, portfolio, later=None):
        """`_row_costs` on the newest horizons, each decided from what was known before it.

        They are those of later outcomes, where there are such.
        """
        horizon, found = self.problem_.horizon, []
        width = fitted = portfolio.observations.shape[1]
        n_origins = min(MOST_ORIGINS, width // (2 * horizon))
        if later is not None:
            n_origins = self.problem_.totals(later).shape[1]
            portfolio = continued(portfolio, later)
            width = portfolio.observations.shape[1]
        demand = demand_of(portfolio)
        for k in range(n_origins):
            origin = width - (k + 1) * horizon
            before, conditions = portfolio.before(origin, horizon), self._conditions
            if conditions is not None and origin != fitted:
                conditions = Conditions(before, horizon, conditions.look)
            outcomes = demand[:, origin : origin + horizon]
            found.append(self._row_costs(before, outcomes, conditions))
        return found

    def _held_out_costs(self, portfolio, k, demand):
        """`_row_costs` on every row's k-th horizon of observations, which decisions do not see.

        What these come to is ``demand``.
        """
        if self.problem_.horizon == 1 and portfolio.has_conditions:
            k = portfolio.observations.shape[1] - 1 - k
            cells = np.where(portfolio.mask[:, k], k, -1)
            return self._row_costs(*portfolio.held_out(cells, demand))
        observations = portfolio.observations.copy()
        horizon = self.problem_.horizon
        end = observations.shape[1] - k * horizon  # newest first: histories may begin late
        cells = slice(end - horizon, end)
        outcomes = demand[:, cells]
        observations[:, cells] = np.nan
        evidence = portfolio.with_observations(observations)
        if portfolio.exposure is not None:  # periods of one exposure stand for theirs
            coming = portfolio.exposures()[:, cells].mean(axis=1)
            usual = portfolio.coming_exposure()
            evidence = replace(evidence, coming=np.where(np.isnan(coming), usual, coming))
        return self._row_costs(evidence, outcomes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        problem = self._default_problem if self.problem is None else self.problem
        tags.input_tags.positive_only = not getattr(problem, "allows_negative", False)
        tags.target_tags.required = False
        return tags
