"""Pretraining on a prior of one's own inside `fit`, kept in files so that a grid does it once."""

import hashlib
import warnings
from pathlib import Path

import torch
from filelock import FileLock
from joblib import Memory

from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._priors.ranges import canonical_key
from sklearn_pttf._training.pretrain import pretrain
from sklearn_pttf._training.state import read_state
from sklearn_pttf._utils.torch_state import single_threaded
from sklearn_pttf._version import __version__

FROM_SCRATCH = {"n_steps": 2000, "lr": 1.5e-3}
GOING_ON = {"n_steps": 500, "lr": 5e-4, "cooldown": 0.9}


def pretrained_on(prior, problem, start, n_steps, seed, memory, device, verbose):
    """A network for a prior: from random weights, or going on from a checkpoint.

    Parameters
    ----------
    prior : SyntheticPrior, RealValuedPrior, CountPrior or PricingPrior

    problem : DecisionProblem

    start : Checkpoint or None
        Weights to go on from. None: random ones.

    n_steps : int or "auto"
        ``"auto"``: 2,000 from random weights, 500 from a checkpoint.

    seed : int

    memory : str, Path, Memory or None
        Where finished weights, and the state of unfinished runs, are kept.

    device : str

    verbose : int

    Returns
    -------
    Checkpoint
    """
    settings = dict(FROM_SCRATCH if start is None else GOING_ON)
    if n_steps != "auto":
        settings["n_steps"] = n_steps
    settings["random_state"] = seed
    folder = _folder(memory)
    if folder is None:
        return _pretrain(prior, problem, start, settings, None, device, verbose)
    key = canonical_key(
        {
            "prior": prior.describe(),
            "problem": f"{type(problem).__module__}.{type(problem).__qualname__}",
            "start": None if start is None else start.fingerprint(),
            "settings": settings,
            "device": torch.device(device).type,
            "versions": [__version__, torch.__version__],
        }
    )
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
    if path.exists() and (kept := _kept(path, key)) is not None:
        return kept  # also from a folder that cannot be written
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if path.exists() and (kept := _kept(path, key, silent=True)) is not None:
            return kept
        state = path.with_suffix(".state")
        _drop_damaged(state)
        made = _pretrain(prior, problem, start, settings, state, device, verbose)
        Checkpoint(made.weights, {**made.card, "kept_for": key}).save(path)
        state.unlink(missing_ok=True)
        return Checkpoint.load(path)


def _pretrain(prior, problem, start, settings, state, device, verbose):
    with single_threaded():
        return pretrain(
            prior,
            problem,
            checkpoint=start,
            resume=state,
            device=device,
            verbose=int(verbose > 0),
            name="own prior" if start is None else f"{start.card.get('name')}, own prior",
            **settings,
        )


def _folder(memory):
    """The folder of the cache, or None."""
    location = memory.location if isinstance(memory, Memory) else memory
    return None if location is None else Path(location) / "sklearn_pttf"


def _kept(path, key, silent=False):
    """What an earlier run has left, None where it cannot be read or is of another run."""
    try:
        kept = Checkpoint.load(path)
        if kept.card.get("kept_for") != key:
            raise ValueError(f"checkpoint {path} was kept for a run with other settings.")
        return kept
    except ValueError as error:
        if not silent:
            warnings.warn(f"{error} It is made anew.", stacklevel=2)
        return None


def _drop_damaged(state):
    """Remove the state of an unfinished run that cannot be read, with a warning."""
    try:
        read_state(state)
    except ValueError as error:
        warnings.warn(f"{error} Pretraining starts from the first step.", stacklevel=2)
        state.unlink()
