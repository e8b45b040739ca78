"""A run of pretraining: its settings are written once, and an interrupt ends it in order."""

import inspect
import re

import pytest

from sklearn_pttf import SyntheticPrior, pretrain
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training import run as _run
from sklearn_pttf._training.run import Run, train
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._training.state import read_state
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.problems import Newsvendor

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
PRIOR = SyntheticPrior(level=(1.0, 20.0), noise_families=("poisson",))


def test_the_signature_shows_every_setting():
    shown = inspect.signature(pretrain).parameters
    own = ["prior", "problem", "network", "checkpoint", "resume", "device", "verbose", "name"]
    settings = list(inspect.signature(TrainingSettings).parameters)
    assert list(shown) == own + settings
    assert shown["n_steps"].default == 2000
    assert shown["random_state"].default == 0
    assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in settings)


def test_every_parameter_is_documented_in_the_order_of_the_signature():
    heads = re.findall(r"^(\w+(?:, \w+)*) : ", inspect.getdoc(pretrain), re.MULTILINE)
    documented = ", ".join(heads).split(", ")
    assert documented == list(inspect.signature(pretrain).parameters)


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'steps'"):
        pretrain(PRIOR, steps=3)


@pytest.mark.parametrize("step", [0, 3])
def test_an_interrupt_ends_a_run_in_order(step, tmp_path, monkeypatch):
    """Callbacks hear of it, the interrupt is raised, and the last whole round is saved."""
    ended, batch = [], PortfolioStream.batch

    class Watch(_run.Progress):
        def on_train_end(self, net, **kwargs):
            super().on_train_end(net, **kwargs)
            ended.append(net)

    def interrupted(self, k):
        if self.seed == 0 and k == step:
            raise KeyboardInterrupt
        return batch(self, k)

    monkeypatch.setattr(_run, "Progress", Watch)
    monkeypatch.setattr(PortfolioStream, "batch", interrupted)
    monkeypatch.setattr(_run, "N_VALIDATION_STEPS", 1)
    state = tmp_path / "run.state"
    with pytest.raises(KeyboardInterrupt):
        pretrain(PRIOR, network=TINY, rows=30, n_steps=4, round_steps=2, resume=state, verbose=0)
    assert len(ended) == 1
    saved = read_state(state)
    assert (saved is not None) == (step == 3)


def test_a_round_that_is_interrupted_leaves_the_state_before_it(tmp_path, monkeypatch):
    """Also in the midst of saving."""
    settings = TrainingSettings(n_steps=4, rows=30, round_steps=2)
    run = Run(PRIOR, Newsvendor(), TINY, settings, None, "cpu")
    state, whole = tmp_path / "run.state", []
    save = _run.StateSaver.on_epoch_end
    monkeypatch.setattr(_run, "N_VALIDATION_STEPS", 1)

    def torn(self, net, **kwargs):
        save(self, net, **kwargs)
        if whole:
            return
        whole.append(state.read_bytes())
        monkeypatch.setattr("torch.save", _torn)

    monkeypatch.setattr(_run.StateSaver, "on_epoch_end", torn)
    with pytest.raises(KeyboardInterrupt):
        train(run, None, state, 0)
    assert state.read_bytes() == whole[0]
    assert [path.name for path in tmp_path.iterdir()] == ["run.state"]


def _torn(content, path):
    path.write_bytes(b"half of it")
    raise KeyboardInterrupt
