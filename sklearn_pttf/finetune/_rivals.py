"""Baselines that may take the network's place, fitted to portfolios of every kind."""

from sklearn_pttf._kinds.registry import kind_of


def fitted_baseline(baseline, portfolio, problem=None):
    """A baseline of a class, fitted on the evidence of a portfolio."""
    told, X = kind_of(portfolio).as_table(portfolio, problem)
    return baseline(told).fit(X)


def baseline_laws(baseline, problem, rounds):
    """The law that the problem is decided from, one a round, by a baseline fitted on its evidence.

    That of every row's mean has no spread.
    """
    laws = []
    for round in rounds:
        fitted = fitted_baseline(baseline, round.evidence, problem)
        pieces = [law for law, _ in fitted._laws_to_charge(round.evidence, problem)]
        laws.append(type(pieces[0]).concatenate(pieces))
    return laws
