"""Finetuning in searches: every fold starts from the pretrained weights, and nothing leaks."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    ShuffleSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, LoRAFinetune
from sklearn_pttf.metrics import decision_cost, make_decision_scorer
from sklearn_pttf.pipeline import make_decision_pipeline
from sklearn_pttf.problems import Newsvendor

DEAR = Newsvendor(underage=9.0, overage=1.0)
TINY = NetworkConfig(
    width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8, outcomes="values"
)
WEEKS = ["w0", "w1", "w2"]
N_FOLDS = 2  # of rows to train without, as few as there can be
SHORT = {"max_epochs": 2, "patience": 2, "validation_fraction": 1 / N_FOLDS, "baselines": False}
CV = KFold(2)
ONE_SPLIT = ShuffleSplit(1, test_size=0.3, random_state=0)
STEP = "pretraineddecisiontransformer__"


def _checkpoint():
    """A network whose laws are far too high, so that training helps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecisionNetwork(TINY)
    with torch.no_grad():
        network.head.mlp[-1].bias[network.head.place_of("base")] += 2.0  # in units of noise
    return Checkpoint.from_network(network, {"name": "too much"})


CHECKPOINT = _checkpoint()
FINGERPRINT = CHECKPOINT.fingerprint()


def _estimator(**params):
    defaults = {"checkpoint": CHECKPOINT, "finetune": None, "random_state": 0}
    return PretrainedDecisionTransformer(DEAR, **{**defaults, **params})


def _pipeline(make=make_pipeline, **params):
    numbers = make_column_transformer(("passthrough", WEEKS), verbose_feature_names_out=False)
    return make(numbers.set_output(transform="pandas"), _estimator(**params))


@pytest.fixture(scope="module")
def sales():
    """Frame with a column of text, and a later outcome of every row."""
    X, y = make_demand_portfolio(48, 3, n_outcomes=1, noise=0.8, random_state=0)
    return pd.DataFrame(X, columns=WEEKS).assign(sku="text"), y.ravel()


def _strategies():
    return {
        "head": HeadFinetune(lr=0.1, **SHORT),
        "lora": LoRAFinetune(lr=0.3, **SHORT),
        "full": FullFinetune(lr=0.03, **SHORT),
    }


def _grid(strategies):
    """Strategies have different parameters: one dict each."""
    return [
        {f"{STEP}finetune": [None]},
        {f"{STEP}finetune": [strategies["head"]], f"{STEP}finetune__lr": [1e-7, 0.1]},
        {f"{STEP}finetune": [strategies["lora"]], f"{STEP}finetune__rank": [1, 3]},
    ]


def _scores(estimator, X, y):
    """The cost, and where finetuning began."""
    pdt = estimator[-1]
    first = [row["valid_loss"] for row in pdt.history_ if row["epoch"] == 0]
    return {
        "cost": make_decision_scorer("cost")(estimator, X, y),
        "pretrained": pdt.checkpoint_.fingerprint() == FINGERPRINT,
        "n_folds": len(first),
        "first_loss": np.mean(first) if first else 0.0,
    }


@pytest.fixture(scope="module")
def strategies():
    return _strategies()


@pytest.fixture(scope="module")
def searches(sales, strategies):
    """The same search in one and in two processes."""
    return [
        GridSearchCV(
            _pipeline(),
            _grid(strategies),
            cv=CV,
            scoring=_scores,
            refit="cost",
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(*sales)
        for n_jobs in (1, 2)
    ]


def _by_split(search, name):
    """Scores of candidates and splits; (n_candidates, 2)."""
    return np.column_stack([search.cv_results_[f"split{k}_test_{name}"] for k in range(2)])


# ---------------------------------------------------------------- grids


def test_one_and_two_processes_agree(sales, searches):
    one, two = searches
    costs = _by_split(one, "cost")
    assert_allclose(_by_split(two, "cost"), costs, rtol=1e-4)
    assert one.best_index_ == two.best_index_
    assert_allclose(
        two.best_estimator_[-1].decide(sales[0][WEEKS]),
        one.best_estimator_[-1].decide(sales[0][WEEKS]),
        rtol=1e-4,
    )
    assert_allclose(_by_split(two, "first_loss"), _by_split(one, "first_loss"), rtol=1e-4)


def test_every_fold_starts_from_the_pretrained_weights(searches):
    for search in searches:
        assert _by_split(search, "pretrained").all()
        trained = _by_split(search, "n_folds") == N_FOLDS
        assert trained.all(axis=1).tolist() == [False] + 4 * [True]
        # folds, rows and seeds are those of every other candidate: so is the loss of epoch 0
        losses = _by_split(search, "first_loss")[1:]
        assert_allclose(losses, losses[[0]].repeat(4, axis=0), rtol=1e-5)
        assert (losses > 0).all()
        assert search.best_estimator_[-1].checkpoint_.fingerprint() == FINGERPRINT
    assert CHECKPOINT.fingerprint() == FINGERPRINT


def test_settings_make_a_difference(searches):
    for search in searches:
        none, still, head, *lora = search.cv_results_["mean_test_cost"]
        assert still == pytest.approx(none, rel=1e-3)  # a learning rate of 1e-7
        assert min(head, *lora) > 0.95 * none  # costs have a minus sign
        assert lora[0] != lora[1]
        best = search.best_estimator_[-1]
        assert best.finetune_improved_
        assert best.finetuned_checkpoint_.fingerprint() != FINGERPRINT


def test_a_search_leaves_strategies_as_they_were(searches, strategies):
    for name, fresh in _strategies().items():
        assert vars(strategies[name]) == vars(fresh)
    for search in searches:
        for given in search.cv_results_["params"]:
            own = given[f"{STEP}finetune"]
            assert own is None or any(own is each for each in strategies.values())
        assert all(search.best_estimator_[-1].finetune is not each for each in strategies.values())
        assert search.estimator[-1].finetune is None


def test_scores_are_costs_of_fits_of_ones_own(sales, searches, strategies):
    X, y = sales
    for row, finetune in ((0, None), (2, strategies["head"])):
        for split, (train, test) in enumerate(CV.split(X)):
            alone = _estimator(finetune=finetune).fit(X[WEEKS].iloc[train], y[train])
            orders = alone.decide(X[WEEKS].iloc[test])
            cost = decision_cost(y[test], orders, problem=DEAR)
            assert _by_split(searches[0], "cost")[row, split] == pytest.approx(-cost, rel=1e-4)


def test_without_y_the_estimator_scores_itself(sales):
    X, _ = sales
    grid = {f"{STEP}finetune": [None, _strategies()["full"]]}
    search = GridSearchCV(_pipeline(), grid, cv=CV, error_score="raise").fit(X)
    assert search.best_index_ == 1
    assert search.score(X) == search.best_estimator_[-1].score(X[WEEKS])


@pytest.mark.parametrize(
    ("finetune", "match"),
    [(None, "finetune__lr|set_params"), (HeadFinetune(**SHORT), "Invalid parameter 'rank'")],
)
def test_parameters_that_a_strategy_lacks(sales, finetune, match):
    name = "lr" if finetune is None else "rank"
    grid = {f"{STEP}finetune": [finetune], f"{STEP}finetune__{name}": [1]}
    search = GridSearchCV(_pipeline(), grid, cv=CV, error_score="raise")
    with pytest.raises((ValueError, AttributeError), match=match):
        search.fit(*sales)


# ---------------------------------------------------------------- successive halving


def _distributions(strategies):
    return [
        {f"{STEP}finetune": [None]},
        {f"{STEP}finetune": [strategies["full"]], f"{STEP}finetune__lr": loguniform(0.02, 0.05)},
        {f"{STEP}finetune": [strategies["lora"]], f"{STEP}finetune__rank": [1, 2, 3]},
    ]


def test_halving(sales):
    strategies = _strategies()
    one, two = (
        HalvingRandomSearchCV(
            _pipeline(),
            _distributions(strategies),
            cv=ONE_SPLIT,
            n_candidates=3,
            factor=2,
            min_resources=24,
            max_resources=48,
            scoring=make_decision_scorer("cost"),
            random_state=4,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(*sales)
        for n_jobs in (1, 2)
    )
    assert one.n_resources_ == [24, 48]
    assert_allclose(
        two.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"], rtol=1e-4
    )
    assert str(one.best_params_) == str(two.best_params_)
    assert one.best_params_[f"{STEP}finetune"] is not None
    assert two.best_estimator_[-1].checkpoint_.fingerprint() == FINGERPRINT
    for name, fresh in _strategies().items():
        assert vars(strategies[name]) == vars(fresh)


def test_epochs_as_the_resource_of_halving(sales):
    strategy = HeadFinetune(patience=2, baselines=False)
    search = HalvingRandomSearchCV(
        _pipeline(finetune=strategy),
        {f"{STEP}finetune__lr": [1e-7, 0.1]},
        cv=ONE_SPLIT,
        n_candidates=2,
        factor=2,
        resource=f"{STEP}finetune__max_epochs",
        min_resources=1,
        max_resources=2,
        random_state=0,
        error_score="raise",
    ).fit(*sales)
    best = search.best_estimator_[-1]
    assert (best.finetune.lr, best.finetune.max_epochs) == (0.1, 2)
    assert max(row["epoch"] for row in best.history_) == 2
    assert strategy.get_params() == HeadFinetune(patience=2, baselines=False).get_params()


# ---------------------------------------------------------------- one estimator


@pytest.fixture(scope="module")
def finetuned(sales):
    """A pipeline whose finetuned weights are in use."""
    strategy = LoRAFinetune(rank=2, lr=0.1, **SHORT)
    pipe = _pipeline(make_decision_pipeline, finetune=strategy).fit(*sales)
    assert pipe[-1].finetuned_checkpoint_ is not None
    return pipe


def test_pickles_of_finetuned_estimators_decide_alike(sales, finetuned):
    X, y = sales
    pretrained = _pipeline(make_decision_pipeline).fit(X)
    assert not np.array_equal(finetuned.decide(X), pretrained.decide(X))
    again = pickle.loads(pickle.dumps(finetuned))
    assert_array_equal(again.decide(X), finetuned.decide(X))
    assert_array_equal(again.predict_quantiles(X, 0.4), finetuned.predict_quantiles(X, 0.4))
    assert again.score(X, y) == finetuned.score(X, y)
    assert again[-1].finetune.get_params() == finetuned[-1].finetune.get_params()


def test_clones_share_nothing(sales, finetuned):
    X, y = sales
    orders = finetuned.decide(X)
    copy = clone(finetuned)
    assert copy[-1].finetune is not finetuned[-1].finetune
    assert not hasattr(copy[-1], "checkpoint_")
    assert_allclose(copy.fit(X, y).decide(X), orders, rtol=1e-4)
    copy.set_params(**{f"{STEP}finetune__rank": 1, f"{STEP}problem__underage": 2.0})
    assert (finetuned[-1].finetune.rank, DEAR.underage) == (2, 9.0)
    assert (copy.fit(X, y).decide(X) != orders).any()
    assert_array_equal(finetuned.decide(X), orders)


def test_another_seed_trains_on_other_folds(sales, finetuned):
    copy = clone(finetuned).set_params(**{f"{STEP}random_state": 1}).fit(*sales)
    assert copy[-1].history_[0]["valid_loss"] != finetuned[-1].history_[0]["valid_loss"]


def test_folds_do_not_go_on_from_a_fitted_estimator(sales):
    X, y = sales[0][WEEKS], sales[1]
    strategy = _strategies()["head"]
    pdt = _estimator(finetune=strategy, warm_start=True).fit(X, y)
    assert pdt.finetuned_checkpoint_ is not None
    cold = pdt.history_[0]["valid_loss"]
    found = cross_validate(pdt, X, y, cv=CV, n_jobs=2, return_estimator=True, error_score="raise")
    for estimator, (train, _) in zip(found["estimator"], CV.split(X), strict=True):
        alone = clone(pdt).fit(X.iloc[train], y[train])
        first = alone.history_[0]["valid_loss"]
        assert estimator.history_[0]["valid_loss"] == pytest.approx(first, rel=1e-5)
        assert_allclose(estimator.decide(X), alone.decide(X), rtol=1e-4)
    assert pdt.fit(X, y).history_[0]["valid_loss"] != pytest.approx(cold, rel=1e-3)
    assert pdt.finetune is strategy
    assert vars(strategy) == vars(_strategies()["head"])
    assert pdt.checkpoint_.fingerprint() == CHECKPOINT.fingerprint() == FINGERPRINT
