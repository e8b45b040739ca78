"""Parameters are of types that a user can import, and their representations can be typed in."""

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

import sklearn_pttf
from sklearn_pttf import (
    Column,
    CountPrior,
    LinearCombination,
    PretrainedDecisionTransformer,
    PricingPrior,
    SyntheticPrior,
)
from sklearn_pttf.baselines import PooledRatio, SampleAverage
from sklearn_pttf.finetune import AutoFinetune, HeadFinetune
from sklearn_pttf.metrics import make_decision_scorer
from sklearn_pttf.pipeline import DecisionPipeline, make_decision_pipeline
from sklearn_pttf.problems import Estimation, Newsvendor, PerRow, Pricing, Selection
from sklearn_pttf.problems._limit import SharedLimits

MODULES = [
    "sklearn_pttf",
    *(
        module.name
        for module in pkgutil.walk_packages(sklearn_pttf.__path__, "sklearn_pttf.")
        if not any(part.startswith("_") for part in module.name.split("."))
    ),
]
PUBLIC = {
    name: getattr(importlib.import_module(module), name)
    for module in MODULES
    for name in getattr(importlib.import_module(module), "__all__", ())
}
CLASSES = {each for each in PUBLIC.values() if inspect.isclass(each)}
ESTIMATORS = {
    each for each in CLASSES if hasattr(each, "get_params") and not inspect.isabstract(each)
}
OTHERS = {"builtins", "numpy", "scipy", "sklearn", "torch"}

NEEDED = {
    Pricing: {"prices": ["p"], "demands": ["q"]},
    Selection: {"capacity": 3},
    DecisionPipeline: {"steps": [("saa", SampleAverage())]},
}
PRICED = Pricing(["p"], ["q"], unit_cost="cost", bounds=(1.0, Column(3)), posted="posted")
PROBLEMS = [
    Newsvendor.from_prices(5.0, 2.0, 0.5),
    Newsvendor.from_prices("price", "cost", "worth"),
    Newsvendor.from_prices("price", Column(4), 0.5, observations=["w1", "w2"]),
    Newsvendor.from_service_level(0.9, horizon=3),
    Newsvendor.from_service_level("level", risk=("cvar", 0.9)),
    Newsvendor(limit={"a": 5.0, "b": PerRow(2.0)}, groups="shop", limit_weights=Column(0)),
    Newsvendor(exposure=["days_1", "days_2"], coming_exposure=7.0),
    Selection(PerRow(0.1), trials=Column(1)),
    Estimation(standard_errors=["se_1", "se_2"], observations=["x_1", "x_2"]),
    PRICED,
]
IN_USE = [
    PretrainedDecisionTransformer(
        PROBLEMS[1], prior=SyntheticPrior(level=stats.uniform(1, 5)), finetune=HeadFinetune()
    ),
    PretrainedDecisionTransformer(PRICED, prior=PricingPrior(demand=SyntheticPrior(spread=0.3))),
    PricingPrior.from_description(PricingPrior(elasticity=stats.uniform(1, 2)).describe()),
    CountPrior(mean_families={"gamma": 0.5, "lognormal": 0.5}, random_state=0),
    AutoFinetune().choose(100, conflict=1e-6, moments_are_cheaper=True),
    make_decision_pipeline(FunctionTransformer(np.log1p), PooledRatio(PROBLEMS[2])),
]


def _classes(value):
    yield type(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _classes(each)


def _private(estimator):
    """Parameters whose values are of a class that cannot be imported by a public name."""
    return {
        name: each
        for name, value in estimator.get_params(deep=True).items()
        for each in _classes(value)
        if each not in CLASSES and each.__module__.split(".")[0] not in OTHERS
    }


def _named(estimator):
    return type(estimator).__name__


@pytest.mark.parametrize("cls", sorted(ESTIMATORS, key=lambda cls: cls.__name__))
def test_default_parameters_are_of_public_types(cls):
    required = [
        name
        for name, each in inspect.signature(cls).parameters.items()
        if each.default is each.empty
    ]
    given = NEEDED.get(cls, {"problem": PRICED} if "problem" in required else {})
    assert _private(cls(**given)) == {}


@pytest.mark.parametrize("estimator", [*PROBLEMS, *IN_USE], ids=_named)
def test_parameters_in_use_are_of_public_types(estimator):
    assert _private(estimator) == {}
    assert _private(clone(estimator)) == {}


def test_a_private_helper_would_be_found():
    limits = SharedLimits([None], np.ones(1), np.zeros(2, dtype=int), np.ones(2))
    problem = Newsvendor(limit={"a": limits})
    assert _private(SampleAverage(problem)) == {"problem__limit": SharedLimits}


@pytest.mark.parametrize("problem", PROBLEMS, ids=_named)
def test_representations_can_be_typed_in(problem):
    typed = eval(repr(problem), dict(PUBLIC))
    assert typed.get_params() == problem.get_params()
    assert repr(clone(problem)) == repr(problem)
    assert pickle.loads(pickle.dumps(problem)).get_params() == problem.get_params()


def test_costs_of_columns_are_searched_over():
    """Margins of 9 and 0.5: two rows order 9 of 10 and 1 of 2 units at a cost of 1 a unit left."""
    X = pd.DataFrame(
        {"w1": [1.0, 1.0], "w2": [9.0, 2.0], "price": [10.0, 1.5]}, index=["dear", "cheap"]
    )
    margin = LinearCombination.difference("price", 1.0)
    problem = Newsvendor(1.0, 1.0, observations=["w1", "w2"])
    search = GridSearchCV(
        SampleAverage(problem),
        {"problem__underage": [1e-2, margin]},
        scoring=make_decision_scorer("cost", problem=clone(problem).set_params(underage=margin)),
        cv=[([0, 1], [0, 1])],
        error_score="raise",
    )
    search.fit(X, X[["w1", "w2"]].to_numpy())
    assert search.best_params_ == {"problem__underage": margin}
    # orders 9 and 1: costs 8 * 1 and 0, 0 and 1 * 0.5; else 1 and 1: 0 and 8 * 9, 0 and 1 * 0.5
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, [-(72 + 0.5) / 4, -(8 + 0.5) / 4])


@pytest.mark.parametrize(
    ("constant", "terms", "match"),
    [
        ("price", (), "constant of LinearCombination must be a finite number; got 'price'"),
        (np.nan, (), "constant of LinearCombination must be a finite number; got nan"),
        (True, (), "constant of LinearCombination must be a finite number; got True"),
        (0.0, ("price",), r"terms of LinearCombination must be .*; got \('price',\)"),
        (0.0, [(1.0, "price")], r"terms of LinearCombination must be a tuple .*; got \[\(1"),
        (0.0, ((np.inf, "price"),), r"terms of LinearCombination must be .*; got \(\(inf"),
        (0.0, (("price", 1.0),), r"terms of LinearCombination must be .*; got \(\('price'"),
        (0.0, ((1.0, 3),), r"terms of LinearCombination must be .* or Column\); got \(\(1.0, 3\)"),
    ],
)
def test_refused_combinations(constant, terms, match):
    with pytest.raises(ValueError, match=match):
        LinearCombination(constant, terms)
