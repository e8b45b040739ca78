"""Full disks, bad paths and requests to end: one clear line, and what was saved stays."""

import os
import shutil
import signal
import threading

import pytest
import torch

from sklearn_pttf import Checkpoint, pretrain
from sklearn_pttf._training.state import read_state
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf._utils.signals import Terminated, exit_status, how_stopped, terminable
from sklearn_pttf.pretraining import main
from support.pretraining import ROUNDS, TINY_NETWORK

RECIPE = f"""
[prior]
n_instances = [5, 10]
{TINY_NETWORK}
[training]
n_steps = 6
rows = 20
round_steps = 2
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; its exit status and what it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)

    def run(*options):
        status = main(["--recipe", "small.toml", "--quiet", *options])
        return status, capsys.readouterr().err

    return run


def at_step(monkeypatch, step, action):
    """Have something happen when a training batch is drawn."""
    batch = PortfolioStream.batch

    def drawn(self, k):
        if k == step and self.seed < 1000:
            action()
        return batch(self, k)

    monkeypatch.setattr(PortfolioStream, "batch", drawn)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", "a checkpoint needs a file name"),
        ("folder", "folder.safetensors' is a folder"),
        ("small.toml/out", "cannot be written: Not a directory"),
        ("a" * 250, "cannot be written: File name too long"),
    ],
)
def test_a_bad_out_is_refused_before_the_work(command, monkeypatch, out, message):
    os.mkdir("folder.safetensors")
    at_step(monkeypatch, 0, lambda: pytest.fail("trained"))
    status, said = command("--out", out)
    assert status == 2
    assert message in said
    assert said.count("\n") == 1


def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    at_step(monkeypatch, 0, lambda: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"needs .* MB for the state of training, but 0 MB are"):
        pretrain(**ROUNDS, resume=tmp_path / "run.state")


@pytest.mark.parametrize("error", [OSError("no space"), RuntimeError("[enforce fail] write")])
def test_a_disk_that_fills_up_leaves_the_last_state(command, monkeypatch, error):
    save, saved = torch.save, []

    def fills_up(state, path):
        if len(saved) == 2:
            path.write_bytes(b"half")
            raise error
        saved.append(path)
        save(state, path)

    monkeypatch.setattr(torch, "save", fills_up)
    status, said = command("--out", "made")
    assert status == 2
    assert said.count("\n") == 1
    assert said.startswith("error: the state of 3 rounds could not be saved to made.state (")
    assert said.endswith(
        "the last one that was is still there. Go on with --resume (made.state).\n"
    )
    assert not [name for name in os.listdir() if name.startswith(".")]
    assert len(read_state("made.state")["rounds"].split("}, {")) == 2
    monkeypatch.setattr(torch, "save", save)
    assert command("--out", "made", "--resume")[0] == 0
    assert command("--out", "whole")[0] == 0
    made, whole = Checkpoint.load("made"), Checkpoint.load("whole")
    assert made.fingerprint() == whole.fingerprint()


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such signal")
@pytest.mark.parametrize(("step", "left"), [(4, "go on with --resume"), (0, "no round was")])
def test_a_request_to_end_is_heard(command, monkeypatch, step, left):
    at_step(monkeypatch, step, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    status, said = command("--out", "made")
    assert signal.getsignal(signal.SIGTERM) == before
    assert status == 143
    assert said.startswith(f"terminated; {left}")
    assert said.count("\n") == 1
    assert os.path.exists("made.state") == (step > 0)
    assert not os.path.exists("made.safetensors")


def test_names_and_statuses_of_ends():
    ends = {KeyboardInterrupt(): ("interrupted", 130), Terminated(): ("terminated", 143)}
    for stop, end in ends.items():
        assert (how_stopped(stop), exit_status(stop)) == end


def test_only_the_main_thread_hears_signals():
    found = []

    def run():
        with terminable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
