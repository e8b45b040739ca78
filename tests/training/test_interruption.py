"""Interrupted runs resume to the same weights, and refuse states that are not theirs."""

import os

import pytest
import torch

from sklearn_pttf import SyntheticPrior, pretrain
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training.state import read_state
from sklearn_pttf._training.stream import PortfolioStream
from support.pretraining import PRIOR, ROUNDS, SMALL, same_weights


def _interrupt_at(monkeypatch, step, seed=0):
    """Raise KeyboardInterrupt when a batch of training is drawn."""
    batch = PortfolioStream.batch

    def interrupted(self, k):
        if self.seed == seed and k == step:
            raise KeyboardInterrupt
        return batch(self, k)

    monkeypatch.setattr(PortfolioStream, "batch", interrupted)


@pytest.mark.parametrize("step", [1, 4, 6, 10])
def test_resumed_run_gives_the_same_weights(step, whole_run, tmp_path, monkeypatch):
    state = tmp_path / "run.state"
    with monkeypatch.context() as context:
        _interrupt_at(context, step)
        with pytest.raises(KeyboardInterrupt):
            pretrain(PRIOR, **ROUNDS, resume=state)
    assert state.exists() == (step >= 4)  # there is a state after the first round
    drawn = []
    with monkeypatch.context() as context:
        batch = PortfolioStream.batch
        context.setattr(
            PortfolioStream,
            "batch",
            lambda self, k: (drawn.append(k) if self.seed == 0 else None, batch(self, k))[1],
        )
        resumed = pretrain(PRIOR, **ROUNDS, resume=state)
    assert drawn == list(range(4 * (step // 4), 11))
    assert same_weights(resumed, whole_run)
    assert resumed.card["history"] == whole_run.card["history"]
    assert resumed.card["quality"] == whole_run.card["quality"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.state"]


def test_interrupted_again_and_again(whole_run, tmp_path, monkeypatch):
    state = str(tmp_path / "run.state")
    for step in (5, 9):
        with monkeypatch.context() as context:
            _interrupt_at(context, step)
            with pytest.raises(KeyboardInterrupt):
                pretrain(PRIOR, **ROUNDS, resume=state)
    resumed = pretrain(PRIOR, **ROUNDS, resume=state)
    assert same_weights(resumed, whole_run)
    finished = pretrain(PRIOR, **ROUNDS, resume=state)  # nothing is left to do
    assert same_weights(finished, whole_run)
    assert finished.card["history"] == whole_run.card["history"]


def test_interrupted_run_restores_the_global_generator(monkeypatch):
    before = torch.get_rng_state()
    _interrupt_at(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        pretrain(PRIOR, **ROUNDS)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def state_content(tmp_path_factory):
    path = tmp_path_factory.mktemp("states") / "run.state"
    pretrain(PRIOR, n_steps=2, resume=path, **SMALL)
    return path.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_steps": 3},
        {"lr": 1e-4},
        {"rows": 51},
        {"random_state": 1},
        {"network": NetworkConfig(width=16, n_layers=2, n_tokens=4, n_heads=2)},
        {"prior": SyntheticPrior(level=(1.0, 21.0), noise_families=("poisson",))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_resume_refuses_other_settings(changes, state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(state_content)
    with pytest.raises(ValueError, match=r"resume='.*run\.state' was saved by a run with other"):
        pretrain(**{"prior": PRIOR, "n_steps": 2, "resume": state, **SMALL, **changes})
    assert state.read_bytes() == state_content


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no state",
        lambda content: content[:-100],
        lambda content: content[: len(content) // 2],
    ],
    ids=["empty", "text", "truncated", "half"],
)
def test_resume_refuses_a_damaged_state(damage, state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(damage(state_content))
    with pytest.raises(ValueError, match=r"resume='.*run\.state' is no saved state of pretraining"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)


def test_resume_refuses_a_flipped_bit(state_content, tmp_path):
    state = tmp_path / "run.state"
    state.write_bytes(state_content)
    tokens = torch.load(state, weights_only=True)["module"]["tokens"].numpy().tobytes()
    content = bytearray(state_content)
    content[state_content.index(tokens) + len(tokens) // 2] ^= 1
    state.write_bytes(content)
    with pytest.raises(ValueError, match=r"is no saved state of pretraining: .* is damaged"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)


class _Trap:
    def __reduce__(self):
        return print, ("sprung",)


@pytest.mark.parametrize("content", [{"key": _Trap()}, {"weights": torch.ones(2)}, 5])
def test_resume_runs_no_foreign_code(content, tmp_path, capsys):
    state = tmp_path / "run.state"
    torch.save(content, state)
    with pytest.raises(ValueError, match="is no saved state of pretraining"):
        pretrain(PRIOR, n_steps=2, resume=state, **SMALL)
    assert capsys.readouterr().out == ""


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    "state",
    [{"key": Trap()}, Trap(), {"key": "{}"}, [1, 2], {"key": "x", "module": {}, "optimizer": {}}],
)
def test_a_state_of_something_else_is_refused_without_bad_advice(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    torch.save(state, "run.state")
    with pytest.raises(ValueError, match="is no saved state of pretraining: it") as refused:
        read_state("run.state")
    assert "weights_only" not in str(refused.value)
    assert str(refused.value).count("\n") == 0
    assert not os.path.exists("sprung")
