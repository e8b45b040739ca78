"""Pretraining from a recipe: the command that rebuilds the shipped weights.

::

    python -m sklearn_pttf.pretraining --recipe demand --out demand.safetensors

A recipe is a TOML file with the tables ``[prior]`` (parameters of `SyntheticPrior`, or of
`RealValuedPrior`, `CountPrior` or `PricingPrior` where the network's ``outcomes`` are ``"values"``,
``"counts"`` or ``"prices"``), ``[stock]`` (of `StockedPrior`, where stock caps what that prior
draws), ``[network]`` (of `NetworkConfig`) and ``[training]`` (of `pretrain`), a ``name``, and
``checkpoint``, the shipped weights to start from if there are any.
"""

import argparse
import os
import sys
import tomllib
from functools import partial
from importlib import resources
from pathlib import Path

from sklearn_pttf._kinds.registry import KINDS
from sklearn_pttf._kinds.stocked import StockedPrior
from sklearn_pttf._network.checkpoint import OF_KINDS, Checkpoint, path_to_save
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training.pretrain import pretrain
from sklearn_pttf._training.settings import TrainingSettings
from sklearn_pttf._utils.signals import exit_status, how_stopped, terminable
from sklearn_pttf.problems import Newsvendor, Pricing

__all__ = ["load_recipe", "pretrain", "recipe_names"]

_PROBLEMS = {"newsvendor": Newsvendor, "pricing": partial(Pricing, prices=[0], demands=[1])}
_TABLES = ("prior", "stock", "network", "training")
_ENTRIES = {"name", "problem", "checkpoint", *_TABLES}
_RECIPES = resources.files("sklearn_pttf") / "recipes"


def recipe_names():
    """Names of the recipes that travel with the package; sorted list of str."""
    return sorted(
        path.name.removesuffix(".toml")
        for path in _RECIPES.iterdir()
        if path.name.endswith(".toml")
    )


def load_recipe(name_or_path):
    """Arguments of `pretrain` from a recipe.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a recipe of the package or of its kind of outcomes, such as ``"values"``, or the
        path of a TOML file.

    Returns
    -------
    dict
        Keyword arguments of `pretrain`.

    Raises
    ------
    ValueError
        If there is no such recipe, or it is not one.

    Examples
    --------
    >>> from sklearn_pttf.pretraining import load_recipe
    >>> load_recipe("demand")["name"]
    'demand'
    """
    name = OF_KINDS.get(str(name_or_path), str(name_or_path))
    path = _RECIPES / f"{name}.toml" if name in recipe_names() else Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"recipe={str(name_or_path)!r} is neither one of {', '.join(recipe_names())} nor a "
            "file."
        )
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {path} is no TOML file: {error}") from None
    unknown = sorted(set(recipe) - _ENTRIES)
    if unknown:
        raise ValueError(f"recipe {path} has unknown entries: {', '.join(unknown)}.")
    for name in _TABLES:
        if not isinstance(recipe.get(name, {}), dict):
            raise ValueError(f"recipe {path}: {name} must be a table; got {recipe[name]!r}.")
    foreign = sorted(set(recipe.get("training", {})) - TrainingSettings.names())
    if foreign:
        raise ValueError(f"recipe {path} has unknown settings of training: {', '.join(foreign)}.")
    problem = recipe.get("problem", "newsvendor")
    if not isinstance(problem, str) or problem not in _PROBLEMS:
        raise ValueError(f"problem must be one of {', '.join(_PROBLEMS)}; got {problem!r}.")
    try:
        network = NetworkConfig(**recipe.get("network", {}))
        return {
            "name": recipe.get("name", path.stem if isinstance(path, Path) else str(name_or_path)),
            "problem": _PROBLEMS[problem](),
            "prior": _prior(network, recipe),
            "network": network,
            **{name: recipe[name] for name in ("checkpoint",) if name in recipe},
            **recipe.get("training", {}),
        }
    except TypeError as error:
        raise ValueError(f"recipe {path} has an unknown setting: {error}") from None


def _prior(network, recipe):
    """The prior of a recipe; with a table of stock, one whose sales that caps."""
    prior = KINDS[network.outcomes].prior.from_description(recipe.get("prior", {}))
    if "stock" not in recipe:
        return prior
    demand = {"kind": network.outcomes, **prior.describe()}
    return StockedPrior.from_description({"demand": demand, **recipe["stock"]})


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_pttf.pretraining",
        description="Pretrain a network from a recipe and save it as a checkpoint.",
    )
    parser.add_argument("--recipe", required=True, help="name of a recipe, or a TOML file")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the state beside --out that an interrupted run has left",
    )
    parser.add_argument("--steps", type=int, help="number of steps, other than the recipe's")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:k or auto")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv=None):
    """Run the command; the exit status."""
    options = _parser().parse_args(argv)
    state = options.out.parent / (options.out.name.removesuffix(".safetensors") + ".state")
    try:
        with terminable():
            path = _pretrain_to(options, state)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        left = f" Go on with --resume ({state})." if os.path.exists(state) else ""
        print(f"error: {' '.join(str(error).split())}{left}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        left = (
            f"go on with --resume ({state})" if os.path.exists(state) else "no round was finished"
        )
        print(f"{how_stopped(stop)}; {left}", file=sys.stderr)
        return exit_status(stop)
    print(f"{Checkpoint.load(path)} saved to {path}")
    return 0


def _pretrain_to(options, state):
    """Pretrain as the options say; the path of the finished weights."""
    path_to_save(options.out)  # refuses it before the work
    arguments = load_recipe(options.recipe)
    if options.steps is not None:
        arguments["n_steps"] = options.steps
    if state.exists() and not options.resume:
        raise ValueError(
            f"an interrupted run has left its state in {state}: go on with --resume, or remove it."
        )
    if options.resume and not state.exists():
        print(f"there is no state in {state}: starting from the first step", file=sys.stderr)
    checkpoint = pretrain(
        **arguments, resume=state, device=options.device, verbose=int(not options.quiet)
    )
    path = checkpoint.save(options.out)
    state.unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
