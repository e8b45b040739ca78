"""Costs of one's own, laws, and the least cost on a grid."""

import numpy as np
from scipy import special

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.atoms import WeightedAtoms
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.parametric import (
    MixtureLaw,
    NegativeBinomialLaw,
    PoissonLaw,
    RectifiedNormalLaw,
)
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.problems import DecisionProblem

NAN = np.nan
DECIDERS = {
    "network": PretrainedDecisionTransformer(finetune=None),
    "average": SampleAverage(),
    "shrunken": ShrunkenSampleAverage(),
    "ratio": PooledRatio(),
    "parametric": ParametricEmpiricalBayes(),
    "nonparametric": NonparametricEmpiricalBayes(),
    "boosting": QuantileBoosting(),
}


class Linear(DecisionProblem):
    """The newsvendor's cost, and nothing else of it."""

    cost_parameters = ("short", "over")

    def __init__(self, short=1.0, over=1.0, lower=None, upper=None, integer=None, risk="mean"):
        self.short = short
        self.over = over
        self.lower = lower
        self.upper = upper
        self.integer = integer
        self.risk = risk

    def cost(self, decision, outcome, short, over):
        return short * np.maximum(outcome - decision, 0) + over * np.maximum(decision - outcome, 0)


class Given(DecisionProblem):
    """Any cost, any settings."""

    def __init__(self, function, lower=None, upper=None, integer=None, risk="mean", horizon=1):
        self.function = function
        self.lower = lower
        self.upper = upper
        self.integer = integer
        self.risk = risk
        self.horizon = horizon

    def cost(self, decision, outcome):
        return self.function(decision, outcome)


def squared(decision, outcome):
    return (decision - outcome) ** 2


def empty_rows(n, integer, **constraints):
    return Portfolio(np.empty((n, 0)), {}, constraints, integer)


def decided(function, law, integer=False, **settings):
    """Best decisions under a law, with bounds as they are given."""
    problem = Given(function, **settings)
    given = {name: settings[name] for name in ("lower", "upper") if name in settings}
    bounds = {name: np.full(len(law), float(value)) for name, value in given.items()}
    return problem.solve(law, empty_rows(len(law), integer, **bounds))


def risk_of(function, law, decisions, risk="mean"):
    portfolio = empty_rows(len(law), False)
    return Given(function, risk=risk).row_risk(np.asarray(decisions, dtype=float), law, portfolio)


def least_on_grid(function, law, integer, low=0.0, high=None, risk="mean"):
    """The least risk of every row over a dense grid of decisions."""
    high = law.quantile(0.999).max() + 9 if high is None else high
    grid = np.arange(low, high + 1) if integer else np.linspace(low, high, 120)
    law = WeightedAtoms(*law.nodes()) if integer else law
    return np.min([risk_of(function, law, np.full(len(law), q), risk) for q in grid], axis=0)


def check_least(function, law, integer, decisions, risk="mean", rtol=1e-6, **bounds):
    """No decision of a dense grid is better by more than the precision of the search."""
    least = least_on_grid(function, law, integer, risk=risk, **bounds)
    assert np.all(risk_of(function, law, decisions, risk) <= least + rtol * (1 + np.abs(least)))
    assert not integer or np.all(decisions == np.rint(decisions))


def ragged_counts(n=12, seed=0):
    """Whole-number demand with missing cells, and a row without any."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2.0, 4.0, (n, 1)), (n, 6)).astype(float)
    counts[rng.uniform(size=counts.shape) < 0.2] = NAN
    counts[5] = NAN
    return counts


ATOMS = np.array(
    [[0.0, 1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 11.0, 13.0], [0.0, 10.0, NAN, NAN, NAN],
     [5.0, 5.0, 5.0, 5.0, 5.0], [2.0, 3.0, 20.0, 21.0, 40.0]]
)  # fmt: skip
LEVELS = special.expit(np.linspace(-8, 8, 41))
SCORES = special.ndtri(LEVELS)
LAWS = {
    "atoms": (WeightedAtoms(ATOMS), False),
    "whole atoms": (WeightedAtoms(ATOMS), True),
    "poisson": (PoissonLaw([0.3, 2.0, 15.0]), True),
    "negative binomial": (NegativeBinomialLaw([0.4, 3.0], [0.1, 0.3]), True),
    "lognormal": (QuantileGrid(np.exp([[0.5], [2.0]] + SCORES / 2), LEVELS), False),
    "normal": (RectifiedNormalLaw([9.0, 2.0], [3.0, 2.0]), False),
    "zeros": (QuantileGrid(np.array([[2.0], [-5.0]]) + 9 * SCORES, LEVELS), False),
    "two clusters": (
        MixtureLaw([PoissonLaw([1.0, 3.0]), PoissonLaw([31.0, 40.6])], np.full((2, 2), 0.5), True),
        True,
    ),
    "whole grid": (QuantileGrid(np.array([[-3.0, 2, 7, 30]]), [0.1, 0.4, 0.7, 0.95], True), True),
}
