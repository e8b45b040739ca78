"""Baselines that may take the network's place, fitted to portfolios of every kind."""

import numpy as np

from sklearn_pttf._utils.checks import Column
from sklearn_pttf.problems import Estimation, Pricing


def fitted_baseline(kind, portfolio, problem=None):
    """A baseline of a class that was fitted on the observations, and on the errors that are known.

    Values are always given with a column of errors, be it an empty one: so they are not taken
    for counts where they happen to be whole. Of the problem only the noise that it knows counts.
    """
    if portfolio.prices is not None:
        return kind(priced_columns(portfolio)).fit(priced_table(portfolio))
    if getattr(problem, "noise", None) == "poisson":
        return kind(Estimation(noise="poisson")).fit(portfolio.observations)
    if not portfolio.real:
        return kind().fit(portfolio.observations)
    n_rows, n_cells = portfolio.observations.shape
    errors = np.full(n_rows, np.nan) if portfolio.errors is None else portfolio.errors
    X = np.column_stack([portfolio.observations, errors])
    return kind(Estimation(standard_errors=Column(n_cells))).fit(X)


def priced_table(portfolio):
    """Prices and demand of a portfolio as one table, and the posted prices."""
    posted = portfolio.posted_prices()[:, None]
    return np.hstack([portfolio.prices, portfolio.observations, posted])


def priced_columns(portfolio):
    """The problem that reads `priced_table`; its bounds are not used."""
    n = portfolio.observations.shape[1]
    return Pricing(list(range(n)), list(range(n, 2 * n)), posted=Column(2 * n))


def baseline_laws(kind, problem, rounds):
    """The law that the problem is decided from, one a round, by a baseline fitted on its evidence.

    That of every row's mean has no spread.
    """
    laws = []
    for round in rounds:
        baseline = fitted_baseline(kind, round.evidence, problem)
        pieces = [law for law, _ in baseline._laws_to_charge(round.evidence, problem)]
        laws.append(type(pieces[0]).concatenate(pieces))
    return laws
