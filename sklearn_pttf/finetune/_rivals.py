"""Baselines that may take the network's place, fitted to portfolios of every kind."""

import warnings

import numpy as np

from sklearn_pttf._kinds.registry import kind_of
from sklearn_pttf._utils.checks import Column
from sklearn_pttf._utils.progress import bar
from sklearn_pttf.baselines import (
    ExponentialSmoothing,
    LagBoosting,
    NegativeBinomialSmoothing,
    ParametricEmpiricalBayes,
    SeasonalNaive,
)
from sklearn_pttf.problems import Newsvendor

IN_TIME = (ExponentialSmoothing, NegativeBinomialSmoothing, SeasonalNaive)
MOST_BOOSTED = 60_000  # cells of a table that boosting is tried on: seconds an origin


def fitted_baseline(baseline, portfolio, problem=None):
    """A baseline of a class, fitted on the evidence of a portfolio."""
    if baseline._reads_time:
        told, X = _in_time(portfolio)
    elif portfolio.exposure is not None:
        told, X = _over_exposure(portfolio)
    else:
        told, X = kind_of(portfolio).as_table(portfolio, problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the table has been warned of
        return baseline(told).fit(X)


def _in_time(portfolio):
    """A problem, and the table that it reads a portfolio in the order of time from."""
    tables, m, drivers = [portfolio.observations], portfolio.observations.shape[1], None
    if portfolio.drivers is not None:
        every = np.concatenate([portfolio.drivers, portfolio.planned], axis=1)
        width, number = every.shape[1:]
        tables += [every[..., k] for k in range(number)]
        starts = m + width * np.arange(number)
        drivers = {f"driver {k}": range(at, at + width) for k, at in enumerate(starts)}
    horizon = 1 if drivers is None else width - m
    seasons = portfolio.seasons or None
    roles = {"observations": range(m), "drivers": drivers, "seasons": seasons}
    return Newsvendor(ordered=True, horizon=horizon, **roles), np.hstack(tables)


def _over_exposure(portfolio):
    """The same of one that is counted over an exposure."""
    coming, m = portfolio.coming_exposure()[:, None], portfolio.observations.shape[1]
    X = np.hstack([portfolio.observations, portfolio.exposures(), coming])
    cells = {"observations": range(m), "exposure": range(m, 2 * m)}
    return Newsvendor(**cells, coming_exposure=Column(2 * m)), X


def rivals_in_time(table):
    """Classes of baselines for a table with an order or drivers; list.

    Boosting is one of drivers only, and of tables that are not too large. Classical ones read what
    periods come to as exposure, which only counts have; of these the one that is quick.
    """
    found = [*IN_TIME] if table.ordered else []
    if found and table.drivers is not None and table.observations.size <= MOST_BOOSTED:
        found.append(LagBoosting)
    classical = kind_of(table).baselines
    if table.integer and ParametricEmpiricalBayes in classical:
        found.append(ParametricEmpiricalBayes)
    return found if classical else []


def baseline_laws(baseline, problem, rounds):
    """The law that the problem is decided from, one a round, by a baseline fitted on its evidence.

    That of every row's mean has no spread.
    """
    laws = []
    for round in bar(rounds, what=baseline.__name__, unit="period"):
        evidence = round.table if baseline._reads_time else round.evidence
        fitted = fitted_baseline(baseline, evidence, problem)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            pieces = [law for law, _ in fitted._laws_to_charge(evidence, problem)]
        laws.append(type(pieces[0]).concatenate(pieces))
    return laws
