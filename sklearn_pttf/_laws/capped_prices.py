"""Demand at prices in the place of sales that stock capped.

A price at which stock sold out saw *at least* its sale, and it is low prices that sell out: taken
as they are, sales make demand look as if it cared little for price.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from sklearn_pttf._laws.at_prices import STEEPEST, log_changes
from sklearn_pttf._laws.capped_levels import (
    CappedLognormal,
    CappedNegativeBinomial,
    NormalLevels,
    count_beyond,
    lognormal_beyond,
    posterior_of_levels,
)

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)  # of elasticities of rows
WEIGHTS = WEIGHTS / WEIGHTS.sum()
N_LEVELS = 13  # nodes of levels, for each of those
MOST_CELLS = {True: 1500, False: 6000}  # that the hyperparameters of counts and others rest on
LEAST_ROWS = 50  # whatever these say
# mean and standard deviation of weak priors: of the middle, from the mean log sale
MIDDLE, LOG_SPREAD, LOG_NOISE = (0.0, 1.0), (np.log(0.7), 1.5), (np.log(0.3), 1.0)
ELASTICITY, LOG_ELASTICITY_SPREAD, BY_STOCK = (2.0, 2.0), (np.log(0.5), 1.0), (0.0, 1.0)
STEEPENING = (0.5, 1.5)
FARTHEST = 5.0  # of the middle from the mean log sale
SCALES = np.log([1e-2, 4.0])  # that spreads and noise lie between
BY_STOCK_BOUNDS, STEEPENING_BOUNDS = (0.0, 1.5), (-1.0, 5.0)
FARTHEST_CURVE = 30.0  # of the log of expected demand over that at the usual price
DIFFER = 1e-4  # of parameters, to either side
MOST_OVER = 20.0  # times the sale that demand is taken to be at most
PRECISE = {"ftol": 1e-7, "gtol": 1e-3, "maxiter": 50}


class _Hyperparameters(NamedTuple):
    """What rows share.

    The noise is the relative standard deviation of demand around its row's curve; of whole numbers
    what of it is above that of Poisson counts.
    """

    middle: float  # mean log level
    spread: float  # of log levels
    noise: float
    elasticity: float  # at the usual price
    elasticity_spread: float
    by_stock: float  # rise of log levels with rows' mean log stock
    steepening: float  # power of price over the usual one that elasticities go along with


class CappedDemandAtPrices:
    """What demand is expected to be where stock capped it, by what the rows of `fit` share.

    Elasticities of rows are normal at usual prices, and go along with a power of the price: 0 of
    curves of constant elasticity, 1 of exponential ones, more where demand is full at low prices.
    Levels are lognormal. What varies around a curve is negative binomial if demand is whole
    numbers, else lognormal but for zeros, which tell nothing. Rows with more stock have higher
    levels, as far as they are seen to: else rows that mostly sold out would be taken for average
    ones, whatever was ordered for them. All this is of the largest marginal likelihood; given it
    every row stands for itself.

    Parameters
    ----------
    portfolio : Portfolio
        The rows of `fit`, with prices and stock.

    Attributes
    ----------
    shared : _Hyperparameters

    whole : bool
        Whether demand is whole numbers.

    unit : float
        Of demand, in which levels are given.
    """

    def __init__(self, portfolio):
        self.whole = portfolio.integer
        positive = portfolio.observations[portfolio.observations > 0]
        centre = np.log(positive).mean() if len(positive) else 0.0
        prior, widths = np.transpose(
            [
                MIDDLE,
                LOG_SPREAD,
                LOG_NOISE,
                ELASTICITY,
                LOG_ELASTICITY_SPREAD,
                BY_STOCK,
                STEEPENING,
            ]
        )
        # the steps of the search do not depend on the unit of what is no count
        self.unit = 1.0 if self.whole else float(np.exp(centre))
        prior[0] += centre if self.whole else 0.0
        self.shared = _named(prior)
        # where it is but told what was sold out, stock is the sale
        logs = _log_stock(portfolio)
        more = (~np.isnan(portfolio.stock) & portfolio.mask & ~portfolio.capped).any()
        self.usual_stock = float(np.nanmean(logs)) if more and not np.isnan(logs).all() else None
        if not len(positive):
            return
        rows = self._stacked(self._some_rows(portfolio))
        mode = None

        def loss(parameters):
            nonlocal mode
            shared = _named(parameters)
            found = rows.posterior(shared, mode)
            mode = found.mode
            away = (parameters - prior) / widths
            slope = away / widths - rows.slopes(shared, found)
            return (away**2).sum() / 2 - found.log_evidence, slope

        middle = (prior[0] - FARTHEST, prior[0] + FARTHEST)
        bounds = [middle, SCALES, SCALES, (0.0, STEEPEST), SCALES]
        bounds += [BY_STOCK_BOUNDS, STEEPENING_BOUNDS]
        found = optimize.minimize(
            loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options=PRECISE
        )
        self.shared = _named(found.x)

    def completed(self, portfolio):
        """The portfolio with expected demand in the place of capped sales, and no stock.

        Parameters
        ----------
        portfolio : Portfolio
            Any rows, with prices and stock.

        Returns
        -------
        Portfolio
            What was not capped is as it was.
        """
        capped = portfolio.capped & (portfolio.observations > 0)
        if not capped.any():
            return replace(portfolio, stock=None)
        touched = capped.any(axis=1)
        rows = self._stacked(portfolio.take(np.flatnonzero(touched)))
        sales = portfolio.observations[capped]
        observations = portfolio.observations.copy()
        demand = self.unit * rows.expected(self.shared, capped[touched])
        observations[capped] = np.clip(demand, sales, MOST_OVER * sales)
        return replace(portfolio, observations=observations, stock=None)

    def _stacked(self, rows):
        more = np.zeros(len(rows))
        if self.usual_stock is not None:
            more = np.nan_to_num(_log_stock(rows) - self.usual_stock)
        sales, stock = rows.observations / self.unit, rows.stock / self.unit
        return _Stacked(replace(rows, observations=sales, stock=stock), more, self.whole)

    def _some_rows(self, portfolio):
        """Rows with demand, of many an even choice by what they sold."""
        rows = np.flatnonzero((portfolio.observations > 0).any(axis=1))
        most = max(LEAST_ROWS, MOST_CELLS[self.whole] // portfolio.observations.shape[1])
        if len(rows) > most:
            order = portfolio.capped.sum(axis=1), portfolio.counts, portfolio.totals()[0]
            rows = rows[np.lexsort([each[rows] for each in order])]
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
        return portfolio.take(rows)


class _Posterior(NamedTuple):
    """Of a stack: log levels with weights that sum to 1 over all nodes of a row."""

    logs: np.ndarray  # (n * K, N_LEVELS)
    weights: np.ndarray
    mode: np.ndarray
    log_evidence: float


class _Stacked:
    """Rows of a portfolio, each once for every node of its elasticity.

    ``more`` is the log of a row's stock over the usual one; ndarray of shape (n,).
    """

    def __init__(self, portfolio, more, whole):
        self.n_rows, self.whole = len(portfolio), whole
        x = np.nan_to_num(log_changes(portfolio.prices, portfolio.usual_prices()))
        each = np.repeat(np.arange(self.n_rows), len(NODES))
        self.rows, self.x, self.more = portfolio.take(each), x[each], more[each]
        self.nodes = np.tile(NODES, self.n_rows)
        self.seen = (self.rows.observations > 0) & ~self.rows.capped

    def _log_curves(self, shared):
        """Log of expected demand over a level."""
        elasticities = shared.elasticity + shared.elasticity_spread * self.nodes
        steep, x = shared.steepening, self.x
        x = x if abs(steep) < DIFFER / 2 else np.expm1(steep * x) / steep
        curves = (shared.by_stock * self.more)[:, None] - elasticities[:, None] * x
        return np.clip(curves, -FARTHEST_CURVE, FARTHEST_CURVE)

    def _evidence(self, shared):
        """What rows show of their levels; and what the log density of demand is above theirs."""
        log_curves, noise = self._log_curves(shared), shared.noise
        curve = np.exp(log_curves)
        if self.whole:
            return CappedNegativeBinomial(replace(self.rows, exposure=curve), noise**-2), 0.0
        rates = self.rows.observations / curve
        rates = replace(self.rows, observations=rates, stock=self.rows.stock / curve)
        return CappedLognormal(rates, noise), -np.where(self.seen, log_curves, 0.0).sum(axis=1)

    def posterior(self, shared, mode=None):
        evidence, above = self._evidence(shared)
        prior = NormalLevels(shared.middle, shared.spread)
        found = posterior_of_levels(prior, evidence, mode, N_LEVELS)
        of_nodes = (found.log_evidence + above).reshape(-1, len(NODES)) + np.log(WEIGHTS)
        of_rows = special.logsumexp(of_nodes, axis=1)
        weights = found.weights * np.exp(of_nodes - of_rows[:, None]).reshape(-1, 1)
        return _Posterior(found.logs, weights, found.mode, of_rows.sum())

    def slopes(self, shared, posterior):
        """Derivatives of the marginal log likelihood by the parameters (Fisher's identity)."""
        weights, logs = posterior.weights, posterior.logs
        away = (logs - shared.middle) / shared.spread

        def slope(name, step):
            """Of every stacked row by a parameter, at given levels; ndarray of shape (n * K,)."""
            ends = []
            for value in (getattr(shared, name) + step, getattr(shared, name) - step):
                evidence, above = self._evidence(shared._replace(**{name: value}))
                likelihood = evidence.log_likelihood(logs) + np.reshape(above, (-1, 1))
                likelihood = np.where(weights > 0, likelihood, 0.0)  # may be minus infinity
                ends.append((weights * likelihood).sum(axis=1))
            return (ends[0] - ends[1]) / (2 * step)

        of_middle = (weights * away).sum(axis=1) / shared.spread
        of_elasticity = slope("elasticity", DIFFER)
        return np.array(
            [
                of_middle.sum(),
                (weights * (away**2 - 1)).sum(),
                slope("noise", DIFFER * shared.noise).sum() * shared.noise,
                of_elasticity.sum(),
                (of_elasticity * self.nodes).sum() * shared.elasticity_spread,
                (of_middle * self.more).sum(),
                slope("steepening", DIFFER).sum(),
            ]
        )

    def expected(self, shared, capped):
        """Expected demand of some cells ``(n, m)``, given that it is at least their sale; (k,)."""
        posterior, log_curves = self.posterior(shared), self._log_curves(shared)
        capped = np.repeat(capped, len(NODES), axis=0)
        which = np.nonzero(capped)[0]
        caps = self.rows.observations[capped][:, None]
        logs = posterior.logs[which] + log_curves[capped][:, None]
        if self.whole:
            found = count_beyond(np.ceil(caps), np.exp(logs), shared.noise**-2)
        else:
            found = lognormal_beyond(np.log(caps), logs, shared.noise)
        cells = np.zeros(capped.shape)
        cells[capped] = (posterior.weights[which] * found).sum(axis=1)
        cells = cells.reshape(self.n_rows, len(NODES), -1).sum(axis=1)
        return cells[capped[:: len(NODES)]]


def _log_stock(portfolio):
    """Mean log stock of every row that tells it of all its observations, else NaN."""
    seen = portfolio.mask & (portfolio.observations > 0)
    known = seen & (portfolio.stock > 0)
    told = known.any(axis=1) & (known == seen).all(axis=1)
    logs = np.where(known, np.log(np.where(known, portfolio.stock, 1.0)), 0.0).sum(axis=1)
    return np.where(told, logs / np.maximum(known.sum(axis=1), 1), np.nan)


def _named(parameters):
    middle, spread, noise, elasticity, elasticity_spread, by_stock, steepening = parameters
    found = (
        middle,
        np.exp(spread),
        np.exp(noise),
        elasticity,
        np.exp(elasticity_spread),
        by_stock,
        steepening,
    )
    return _Hyperparameters(*(float(each) for each in found))
