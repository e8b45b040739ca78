"""Pretraining: what a run gives, says and refuses; the same seed gives the same weights."""

import inspect
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from sklearn_pttf import Checkpoint, NetworkConfig, SyntheticPrior, __version__, pretrain
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.problems import Newsvendor
from support.networks import TINY
from support.pretraining import PRIOR, ROUNDS, SMALL, same_weights

# ---------------------------------------------------------------- what a run gives


def test_checkpoint_and_card(whole_run, tmp_path):
    assert isinstance(whole_run, Checkpoint)
    card = whole_run.card
    assert card["name"] == "own"
    assert card["problem"] == "Newsvendor"
    assert card["prior"] == PRIOR.describe()
    assert card["network"] == TINY.to_dict()
    expected = {"n_steps": 11, "rows": 50, "round_steps": 4, "lr": 1e-3, "random_state": 0}
    assert expected.items() <= card["training"].items()
    assert card["training"]["start"] is None
    assert card["made_with"]["sklearn_pttf"] == __version__
    assert card["made_with"]["torch"] == torch.__version__
    assert card["made_with"]["numpy"] == np.__version__
    assert len(card["history"]) == 3
    assert card["quality"]["validation_loss"] == card["history"][-1]["valid_loss"]
    assert 0 < card["quality"]["validation_loss"] < 10
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert same_weights(Checkpoint.load(whole_run.save(tmp_path / "own")), whole_run)
    assert all(np.isfinite(value).all() for value in whole_run.weights.values())


def test_defaults_of_prior_and_problem():
    card = pretrain(n_steps=1, name="plain", **SMALL).card
    assert card["name"] == "plain"
    assert card["prior"] == SyntheticPrior().describe()
    assert card["problem"] == "Newsvendor"
    assert card["training"]["rows"] == 50


def test_validation_loss_can_be_recomputed(whole_run):
    """The mean over the rows of 40 fixed batches of other seeds than those of training."""
    network = whole_run.build_network()
    loss = PortfolioLoss(Newsvendor(), TINY.levels)
    batches = list(PortfolioStream(PRIOR, range(40), 50, 8, 1_000_003, "cpu"))
    with torch.no_grad():
        losses = [loss(network(**inputs), targets).item() for inputs, targets in batches]
    sizes = [len(targets["outcomes"]) for _, targets in batches]
    expected = np.average(losses, weights=sizes)
    assert whole_run.card["quality"]["validation_loss"] == pytest.approx(expected, rel=1e-4)


def test_equal_seeds_give_equal_weights(whole_run):
    torch.manual_seed(123)
    again = pretrain(PRIOR, **ROUNDS)
    assert same_weights(again, whole_run)
    assert again.card["history"] == whole_run.card["history"]
    assert again.card["training"] == whole_run.card["training"]
    assert not same_weights(pretrain(PRIOR, **ROUNDS, random_state=1), whole_run)


def test_another_prior_gives_other_weights(whole_run):
    other = SyntheticPrior(level=(1.0, 21.0), noise_families=("poisson",))
    assert not same_weights(pretrain(other, **ROUNDS), whole_run)


def test_what_the_prior_was_fitted_to_does_not_count(whole_run):
    fitted = SyntheticPrior(**PRIOR.get_params(deep=False)).set_params(n_simulations=100)
    fitted.fit(np.array([[3.0, 4.0], [9.0, 1.0]]))
    assert same_weights(pretrain(fitted, **ROUNDS), whole_run)


def test_rounds_do_not_change_the_weights(whole_run):
    assert same_weights(pretrain(PRIOR, **{**ROUNDS, "round_steps": 500}), whole_run)


def test_global_randomness_is_left_alone():
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    pretrain(PRIOR, n_steps=1, **SMALL)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_training_lowers_the_loss():
    first, last = (
        pretrain(PRIOR, n_steps=n, lr=1e-2, **SMALL).card["quality"]["validation_loss"]
        for n in (1, 60)
    )
    assert last < 0.95 * first


def test_numpy_numbers_are_numbers(tmp_path):
    settings = {"n_steps": np.int64(1), "lr": np.float32(0.5), "random_state": np.int32(3)}
    checkpoint = pretrain(PRIOR, **settings, **SMALL)
    checkpoint.save(tmp_path / "x")
    assert same_weights(checkpoint, pretrain(PRIOR, n_steps=1, lr=0.5, random_state=3, **SMALL))


# ---------------------------------------------------------------- going on from weights


def test_goes_on_from_a_checkpoint(whole_run, tmp_path):
    settings = {"rows": 50, "verbose": 0, "n_steps": 1, "lr": 1e-9}
    further = pretrain(PRIOR, checkpoint=whole_run, **settings)
    assert further.card["network"] == TINY.to_dict()  # not the default size
    assert further.card["training"]["start"] == whole_run.fingerprint()
    for name, value in whole_run.weights.items():
        np.testing.assert_allclose(further.weights[name], value, rtol=0, atol=1e-7)
    path = whole_run.save(tmp_path / "start")
    assert same_weights(pretrain(PRIOR, checkpoint=path, **settings), further)
    assert same_weights(pretrain(PRIOR, checkpoint=str(path), **settings), further)


# ---------------------------------------------------------------- what it says and refuses


def test_silent(capfd):
    pretrain(PRIOR, n_steps=2, **SMALL)
    assert capfd.readouterr() == ("", "")


def test_progress(capfd):
    pretrain(PRIOR, **{**ROUNDS, "verbose": 1})
    out, err = capfd.readouterr()
    assert "11/11" in err
    assert "rows/s" in err
    assert "loss " in err
    assert (out + err).count("validation loss") == 3  # one line a round


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_steps", 0),
        ("n_steps", 1.5),
        ("n_steps", True),
        ("n_steps", None),
        ("rows", 1.5),
        ("rows", 0),
        ("n_outcomes", 0),
        ("lr", -1),
        ("lr", 0),
        ("lr", math.nan),
        ("lr", "fast"),
        ("weight_decay", -0.1),
        ("warmup", 1.1),
        ("cooldown", -0.1),
        ("clip", 0),
        ("round_steps", 0),
        ("random_state", None),
        ("random_state", -1),
        ("random_state", np.random.RandomState(0)),
        ("prior", "x"),
        ("problem", "newsvendor"),
        ("network", "large"),
        ("checkpoint", 5),
        ("checkpoint", "no such checkpoint"),
        ("device", "abc"),
        ("device", "cuda:99"),
    ],
)
def test_bad_settings(setting, value, tmp_path):
    state = tmp_path / "run.state"
    with pytest.raises(ValueError, match=rf"{setting}(=| must be)"):
        pretrain(**{"prior": PRIOR, "n_steps": 1, "resume": state, **SMALL, setting: value})
    assert not state.exists()


def test_bad_prior():
    with pytest.raises(ValueError, match=r"level must be .*reversed range \(5\.0, 1\.0\)"):
        pretrain(SyntheticPrior(level=(5.0, 1.0)), n_steps=1, **SMALL)


def test_bad_settings_name_value_and_bounds():
    with pytest.raises(ValueError, match=r"n_steps must be .* \[1, 1000000000\]; got 0"):
        pretrain(PRIOR, n_steps=0)
    with pytest.raises(ValueError, match=r"lr must be a number in \[1e-09, 1\]; got -1"):
        pretrain(PRIOR, lr=-1)


def test_a_diverged_run_stops_and_leaves_its_last_good_state(tmp_path, monkeypatch):
    state = tmp_path / "run.state"
    draw = PortfolioStream.batch

    def broken(self, step):
        inputs, targets = draw(self, step)
        broken = float("nan") if self.steps == range(2, 4) else 1.0
        return inputs, {name: value * broken for name, value in targets.items()}

    monkeypatch.setattr(PortfolioStream, "batch", broken)
    with pytest.raises(ValueError, match="training diverged before step 4"):
        pretrain(PRIOR, n_steps=4, resume=state, **{**SMALL, "round_steps": 2})
    saved = torch.load(state, weights_only=True)
    assert len(json.loads(saved["rounds"])) == 1
    assert all(value.isfinite().all() for value in saved["module"].values())


def test_settings_have_the_defaults_of_pretrain():
    parameters = inspect.signature(pretrain).parameters
    assert asdict(TrainingSettings()) == {
        name: parameters[name].default for name in TrainingSettings.names()
    }


def test_only_prices_have_a_weight_of_decisions_on_the_card():
    settings = TrainingSettings(n_steps=3)
    entry = settings.entry(start=None, priced=True)
    assert entry == {**asdict(settings), "start": None}
    del entry["decision_weight"]
    assert settings.entry(start=None, priced=False) == entry


def test_other_settings_are_refused_by_name():
    with pytest.raises(
        TypeError, match=r"^pretrain\(\) got an unexpected keyword argument 'steps'"
    ):
        pretrain(steps=3)


@pytest.mark.parametrize(
    "network",
    [NetworkConfig(outcomes="demand", width=16), NetworkConfig(outcomes="values", n_layers=3)],
)
def test_a_network_may_not_contradict_the_checkpoint(network):
    start = Checkpoint.load("values")
    assert start.config != network
    with pytest.raises(ValueError, match=r"^network=.*is another than that of the checkpoint"):
        pretrain(checkpoint=start, network=network, n_steps=1, verbose=0, rows=50, device="cpu")


def test_the_network_of_the_checkpoint_may_be_said(whole_run):
    settings = {"checkpoint": whole_run, "n_steps": 1, **SMALL}
    settings.pop("network", None)
    assert same_weights(pretrain(network=TINY, **settings), pretrain(**settings))
