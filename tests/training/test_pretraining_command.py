"""The command that rebuilds weights from a recipe, killed and resumed."""

import inspect
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch

import sklearn_pttf
from sklearn_pttf import Checkpoint, SyntheticPrior, pretrain
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.pretraining import load_recipe, main, recipe_names
from sklearn_pttf.problems import Newsvendor
from support.pretraining import TINY_NETWORK, same_weights

PACKAGE = Path(sklearn_pttf.__file__).parent
RECIPE = f"""
name = "tiny"
problem = "newsvendor"

[prior]
level = [1.0, 20.0]
noise_families = ["poisson"]
n_instances = [2, 50]

{TINY_NETWORK}
[training]
n_steps = 300
rows = 50
round_steps = 20
random_state = 3
"""


@pytest.fixture
def recipe(tmp_path):
    folder = tmp_path / "recipes"
    folder.mkdir()
    path = folder / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def folder(tmp_path):
    """Where the command writes, and nothing else."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def _names(folder):
    return sorted(os.listdir(folder))


def _command(*arguments):
    """The command in a process of its own, with as many threads as this one."""
    threads = str(torch.get_num_threads())
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "sklearn_pttf.pretraining", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---------------------------------------------------------------- recipes


def test_shipped_recipe():
    assert "demand" in recipe_names()
    arguments = load_recipe("demand")
    table = tomllib.loads((PACKAGE / "recipes" / "demand.toml").read_text(encoding="utf-8"))
    assert arguments["name"] == "demand"
    assert isinstance(arguments["problem"], Newsvendor)
    assert arguments["network"] == NetworkConfig(**table["network"])
    assert {name: arguments[name] for name in table["training"]} == table["training"]
    prior = arguments["prior"]
    for name, value in table["prior"].items():
        assert getattr(prior, name) == (tuple(value) if isinstance(value, list) else value)
    prior.hyperprior()
    inspect.signature(pretrain).bind(**arguments)


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_one(name):
    arguments = load_recipe(name)
    arguments["prior"].hyperprior()
    inspect.signature(pretrain).bind(**arguments)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("values", "gaussian"), ("real", "gaussian"), ("counts", "poisson"), ("prices", "price")],
)
def test_recipes_are_known_by_their_kind(name, recipe):
    assert load_recipe(name)["name"] == load_recipe(recipe)["name"] == recipe


def test_weights_are_not_trained_for_the_name_of_a_shipped_checkpoint(capsys):
    assert main(["--recipe", "values", "--out", "values"]) == 2
    assert "'values' is the name of a shipped checkpoint" in capsys.readouterr().err


def test_recipe_of_a_file(recipe):
    for given in (recipe, str(recipe)):
        arguments = load_recipe(given)
        assert arguments["n_steps"] == 300
        assert arguments["prior"].get_params()["level"] == (1.0, 20.0)
        assert arguments["network"].width == 16


def test_recipe_defaults(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("")
    arguments = load_recipe(path)
    assert set(arguments) == {"name", "problem", "prior", "network"}
    assert arguments["name"] == "mine"
    assert arguments["prior"].describe() == SyntheticPrior().describe()
    assert arguments["network"] == NetworkConfig()


BAD_RECIPES = {
    "malformed": ("[prior\nlevel = 3", r"bad\.toml is no TOML file"),
    "unknown table": ("[priors]\nlevel = 3", r"bad\.toml has unknown entries: priors"),
    "unknown entry": ("steps = 3", r"bad\.toml has unknown entries: steps"),
    "no table": ("prior = 3", r"bad\.toml: prior must be a table; got 3"),
    "no table of training": ("training = [1]", r"bad\.toml: training must be a table"),
    "unknown parameter": ("[prior]\nlevels = 3", r"bad\.toml has an unknown setting: .*'levels'"),
    "unknown size": ("[network]\ndepth = 3", r"bad\.toml has an unknown setting: .*'depth'"),
    "bad size": ("[network]\nwidth = 0", r"width must be a whole number of at least 1; got 0"),
    "unknown problem": ('problem = "x"', r"problem must be one of newsvendor, pricing; got 'x'"),
    "binary": (b"\xff\xfe", r"bad\.toml is no TOML file"),
}


@pytest.mark.parametrize(("text", "message"), BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_bad_recipes(text, message, tmp_path, folder, capsys):
    path = tmp_path / "bad.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        load_recipe(path)
    assert main(["--recipe", str(path), "--out", str(folder / "x")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert _names(folder) == []


# what only shows when pretraining starts
BAD_SETTINGS = {
    "unknown setting": ("[training]\nepochs = 3", "epochs"),
    "bad setting": ("[training]\nn_steps = 0", "n_steps must be a whole number"),
    "reversed range": ("[prior]\nlevel = [5, 1]", "level must be .*reversed range"),
    "text range": ('[prior]\nlevel = "12"', "level must be a number, a pair"),
}


@pytest.mark.parametrize(("text", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings(text, message, tmp_path, folder, capsys):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert main(["--recipe", str(path), "--out", str(folder / "x")]) == 2
    assert re.match(f"error: .*{message}", capsys.readouterr().err)
    assert _names(folder) == []


def test_unknown_recipe():
    with pytest.raises(ValueError, match=r"recipe='no-such' is neither one of .*demand"):
        load_recipe("no-such")


# ---------------------------------------------------------------- the command


def test_run(recipe, folder, capsys):
    out = folder / "deep" / "own"
    options = ["--recipe", str(recipe), "--out", str(out), "--steps", "3", "--device", "cpu"]
    assert main([*options, "--quiet"]) == 0
    text, err = capsys.readouterr()
    assert "Checkpoint('tiny', " in text
    assert err == ""
    assert _names(out.parent) == ["own.json", "own.safetensors"]
    checkpoint = Checkpoint.load(out)
    assert checkpoint.card["training"]["n_steps"] == 3
    assert checkpoint.card["training"]["random_state"] == 3
    assert checkpoint.card["prior"]["level"] == [1.0, 20.0]
    arguments = {**load_recipe(recipe), "n_steps": 3}
    assert same_weights(checkpoint, pretrain(**arguments, verbose=0, device="cpu"))
    assert main(options) == 0  # again, over the old files, and with a bar
    assert "rows/s" in capsys.readouterr().err
    assert same_weights(Checkpoint.load(out), checkpoint)


@pytest.mark.parametrize(
    "changed", [["--steps", "0"], ["--device", "abc"], ["--recipe", "no-such"]], ids=lambda c: c[0]
)
def test_bad_options(changed, recipe, folder, capsys):
    options = ["--recipe", str(recipe), "--out", str(folder / "x"), "--quiet", *changed]
    assert main(options) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert _names(folder) == []


@pytest.mark.parametrize(
    "arguments", [[], ["--recipe", "demand"], ["--out", "x"], ["--steps", "x"]]
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m sklearn_pttf.pretraining" in capsys.readouterr().err


def test_interrupt_and_resume(recipe, folder, capsys, monkeypatch):
    out = folder / "own.safetensors"
    options = ["--recipe", str(recipe), "--out", str(out), "--steps", "50", "--quiet"]
    batch = PortfolioStream.batch

    def interrupted(self, k):
        if self.seed == 3 and k == 30:
            raise KeyboardInterrupt
        return batch(self, k)

    with monkeypatch.context() as context:
        context.setattr(PortfolioStream, "batch", interrupted)
        assert main(options) == 130
    assert "go on with --resume" in capsys.readouterr().err
    assert _names(folder) == ["own.state"]
    # a mistyped recipe does not cost the saved state
    assert main(["--recipe", "no-such", "--out", str(out)]) == 2
    assert _names(folder) == ["own.state"]
    # nor are its settings mixed with others
    assert main([*options, "--resume", "--steps", "60"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert main([*options, "--resume"]) == 0
    assert _names(folder) == ["own.json", "own.safetensors"]
    whole = pretrain(**{**load_recipe(recipe), "n_steps": 50}, verbose=0)
    assert same_weights(Checkpoint.load(out), whole)


def test_saved_state_is_never_thrown_away(recipe, folder, capsys):
    out = folder / "own"
    state = out.with_suffix(".state")
    state.write_bytes(b"an old state")
    options = ["--recipe", str(recipe), "--out", str(out), "--quiet"]
    assert main(options) == 2
    assert "go on with --resume, or remove it" in capsys.readouterr().err
    assert main([*options, "--resume"]) == 2
    assert state.read_bytes() == b"an old state"


def test_resume_without_a_state_says_so(recipe, folder, capsys):
    out = folder / "own"
    options = ["--recipe", str(recipe), "--out", str(out), "--quiet", "--steps", "1"]
    assert main([*options, "--resume"]) == 0
    assert "starting from the first step" in capsys.readouterr().err


def test_unwritable_output_is_an_error(recipe, folder, capsys):
    (folder / "file").write_text("no folder")
    options = ["--recipe", str(recipe), "--quiet", "--steps", "1"]
    assert main([*options, "--out", str(folder / "file" / "own")]) == 2
    assert main([*options, "--out", "."]) == 2
    assert capsys.readouterr().err.count("error: ") == 2


def test_killed_and_resumed(recipe, folder):
    """SIGKILL leaves no chance to tidy up: what is on disk must do."""
    out = folder / "own.safetensors"
    options = ["--recipe", str(recipe), "--out", str(out), "--steps", "60", "--device", "cpu"]
    options.append("--quiet")
    process = _command(*options)
    try:
        deadline = time.monotonic() + 60
        while not out.with_suffix(".state").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode != 0  # it was not done
    visible = [name for name in _names(folder) if not name.startswith(".")]
    assert visible == ["own.state"]  # a half-written state is a hidden file beside it
    assert main([*options, "--resume"]) == 0
    left = [name for name in _names(folder) if not name.startswith(".own.state.")]
    assert left == ["own.json", "own.safetensors"]
    resumed = Checkpoint.load(out)
    whole = pretrain(**{**load_recipe(recipe), "n_steps": 60}, verbose=0, device="cpu")
    assert same_weights(resumed, whole)
    assert resumed.card["history"] == whole.card["history"]
    assert len(whole.card["history"]) == 3


def test_exit_status_of_the_process(folder):
    process = _command("--recipe", "no-such", "--out", folder / "x")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("error: recipe='no-such' is neither one of ")
    assert "Traceback" not in err
    assert _names(folder) == []
