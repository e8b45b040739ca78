"""Pretraining on one's own prior inside fit, and the folder that keeps it."""

import json

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior, pretrain
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training import own_prior as _own_prior
from sklearn_pttf._training import run as _run
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import HeadFinetune

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
PRIOR = SyntheticPrior(level=(1.0, 20.0), noise_families=("poisson",), n_instances=(2, 20))
X = make_demand_portfolio(40, 4, random_state=0)


@pytest.fixture(autouse=True)
def quick_validation(monkeypatch):
    """No weights depend on it."""
    monkeypatch.setattr(_run, "N_VALIDATION_STEPS", 1)


@pytest.fixture(scope="module")
def start():
    return pretrain(SyntheticPrior(), network=TINY, n_steps=2, rows=50, verbose=0)


@pytest.fixture
def n_runs(monkeypatch):
    """A list that grows by one whenever something is pretrained."""
    runs = []

    def counted(*args, **kwargs):
        runs.append(kwargs)
        return pretrain(*args, **kwargs)

    monkeypatch.setattr(_own_prior, "pretrain", counted)
    return runs


def _estimator(start, **params):
    params = {"prior": PRIOR, "pretrain_steps": 2, "finetune": None, "random_state": 0, **params}
    return PretrainedDecisionTransformer(checkpoint=start, **params)


def test_it_goes_on_from_the_checkpoint(start):
    fitted = _estimator(start).fit(X)
    card = fitted.checkpoint_.card
    assert card["training"]["start"] == start.fingerprint()
    assert card["training"]["n_steps"] == 2
    assert card["prior"] == PRIOR.describe()
    assert fitted.checkpoint_.fingerprint() != start.fingerprint()


def test_from_random_weights(n_runs):
    fitted = _estimator(None, pretrain_steps=1).fit(X)
    assert fitted.checkpoint_.card["training"]["start"] is None
    assert n_runs[0]["checkpoint"] is None


@pytest.mark.parametrize("random_weights", [False, True])
def test_auto_takes_more_steps_from_random_weights(start, monkeypatch, random_weights):
    asked = {}

    def recorded(*args, **kwargs):
        asked.update(kwargs)
        return start

    monkeypatch.setattr(_own_prior, "pretrain", recorded)
    checkpoint = None if random_weights else start
    _estimator(checkpoint, pretrain_steps="auto").fit(X)
    assert asked["n_steps"] == (2000 if random_weights else 500)


def test_the_seed_decides_the_weights(start):
    prints = [
        _estimator(start, random_state=seed).fit(X).checkpoint_.fingerprint() for seed in (0, 0, 1)
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("wrapped", [str, joblib.Memory])
def test_memory_keeps_what_was_pretrained(start, tmp_path, n_runs, wrapped):
    memory = wrapped(tmp_path) if wrapped is str else joblib.Memory(tmp_path, verbose=0)
    estimator = _estimator(start, memory=memory)
    first, second = clone(estimator).fit(X), clone(estimator).fit(X)
    assert len(n_runs) == 1
    assert first.checkpoint_.fingerprint() == second.checkpoint_.fingerprint()
    np.testing.assert_array_equal(first.decide(X), second.decide(X))


@pytest.mark.parametrize(
    "other",
    [
        {"prior": SyntheticPrior(level=(1.0, 21.0))},
        {"prior": SyntheticPrior(level=stats.uniform(1.0, 20.0))},
        {"pretrain_steps": 3},
        {"random_state": 1},
    ],
)
def test_other_settings_are_pretrained_apart(start, tmp_path, n_runs, other):
    _estimator(start, memory=tmp_path).fit(X)
    _estimator(start, memory=tmp_path, **other).fit(X)
    assert len(n_runs) == 2


def test_equal_frozen_distributions_share_an_entry(start, tmp_path, n_runs):
    for _ in range(2):
        prior = SyntheticPrior(level=stats.uniform(1.0, 20.0), n_instances=(2, 20))
        _estimator(start, prior=prior, memory=tmp_path).fit(X)
    assert len(n_runs) == 1


def test_without_a_seed_nothing_is_kept_and_it_says_so(start, tmp_path, n_runs):
    estimator = _estimator(start, memory=tmp_path, random_state=None)
    for _ in range(2):
        with pytest.warns(UserWarning, match="memory is not used with random_state=None"):
            estimator.fit(X)
    assert len(n_runs) == 2
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_damaged_entry_is_made_anew(start, tmp_path, n_runs):
    estimator = _estimator(start, memory=tmp_path).fit(X)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        again = clone(estimator).fit(X)
    assert len(n_runs) == 2
    assert again.checkpoint_.fingerprint() == estimator.checkpoint_.fingerprint()
    Checkpoint.load(path)


def test_an_interrupted_run_goes_on_from_its_last_round(start, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        pretrain(*args, **kwargs)
        raise KeyboardInterrupt

    estimator = _estimator(start, memory=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(_own_prior, "pretrain", interrupted)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X)
    assert list(tmp_path.rglob("*.state"))
    assert not list(tmp_path.rglob("*.safetensors"))
    estimator.fit(X)
    assert not list(tmp_path.rglob("*.state"))
    whole = _estimator(start).fit(X)
    assert estimator.checkpoint_.fingerprint() == whole.checkpoint_.fingerprint()


def test_a_damaged_state_is_dropped(start, tmp_path, n_runs):
    estimator = _estimator(start, memory=tmp_path).fit(X)
    (path,) = tmp_path.rglob("*.safetensors")
    path.unlink()
    path.with_suffix(".state").write_bytes(b"torn")
    with pytest.warns(UserWarning, match="starts from the first step"):
        again = clone(estimator).fit(X)
    assert again.checkpoint_.fingerprint() == estimator.checkpoint_.fingerprint()


def test_a_generator_is_no_seed_to_keep_by(start, tmp_path):
    estimator = _estimator(start, memory=tmp_path, random_state=np.random.RandomState(0))
    with pytest.warns(UserWarning, match="give an int"):
        estimator.fit(X)
    assert not list(tmp_path.rglob("*"))


def test_processes_that_come_at_once_pretrain_once(start, tmp_path):
    estimators = [_estimator(start, memory=tmp_path) for _ in range(2)]
    fitted = Parallel(n_jobs=2)(delayed(each.fit)(X) for each in estimators)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert fitted[0].checkpoint_.fingerprint() == fitted[1].checkpoint_.fingerprint()


def test_a_grid_over_finetuning_pretrains_once(start, tmp_path, n_runs):
    once = HeadFinetune(max_epochs=1, validation_fraction=0.5, baselines=False)
    estimator = _estimator(start, memory=tmp_path, finetune=once)
    grid = {"finetune__lr": [1e-4, 1e-3]}
    GridSearchCV(estimator, grid, cv=2).fit(X)
    assert len(n_runs) == 1


def test_random_weights_need_a_prior():
    estimator = PretrainedDecisionTransformer(checkpoint=None)
    with pytest.raises(ValueError, match="checkpoint=None needs a prior"):
        estimator.fit(X)


@pytest.mark.parametrize("steps", [0, 1.5, "many"])
def test_steps_are_checked(start, steps):
    with pytest.raises(ValueError, match="pretrain_steps"):
        _estimator(start, pretrain_steps=steps).fit(X)


def test_a_prior_comes_back_from_its_description():
    prior = SyntheticPrior(
        level=stats.uniform(2.0, 30.0), noise_families={"poisson": 2.0, "gamma": 1.0}, noise=0.3
    )
    again = SyntheticPrior.from_description(prior.describe())
    assert again.describe() == prior.describe()
    assert again.level.support() == prior.level.support()
    assert again.noise_families == prior.noise_families


def test_weights_that_were_kept_for_other_settings_are_made_anew(start, tmp_path, n_runs):
    """As if somebody had renamed files: names say nothing, the key in the card does."""
    _estimator(start, memory=tmp_path).fit(X)
    (path,) = tmp_path.rglob("*.safetensors")
    other = _estimator(start, memory=tmp_path, random_state=1)
    right = clone(other).fit(X).checkpoint_
    (theirs,) = set(tmp_path.rglob("*.safetensors")) - {path}
    for suffix in (".safetensors", ".json"):
        theirs.with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    with pytest.warns(UserWarning, match=r"was kept for a run with other settings\. It is made"):
        again = clone(other).fit(X).checkpoint_
    assert len(n_runs) == 3
    assert again.fingerprint() == right.fingerprint()
    assert json.loads(again.card["kept_for"])["settings"]["random_state"] != 0
