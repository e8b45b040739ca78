"""The saved state of an unfinished run, from which it goes on to the same weights.

It is not saved by skorch's ``Checkpoint`` or ``TrainEndCheckpoint``. They write weights, optimizer
and history to files of their own, one after the other and in place: a process that is killed
between two of them, or within one, leaves a state of two rounds, or a torn file, where the last
good one was; and the latter writes only at the end of training, which such a process never sees.
Nor do they say which run a state is of. Here all of it is one file, which appears whole or not at
all, has checksums that are looked at, and is loaded without running foreign code.
"""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_pttf._utils.files import written_whole

ENTRIES = {"key", "module", "optimizer", "rounds"}


class StateSaver(Callback):
    """After every round, all that is needed to go on, in one file.

    Parameters
    ----------
    path : str or Path

    key : str
        What tells this run from others.

    rounds : list of dict
        Losses of the rounds of earlier processes.
    """

    def __init__(self, path, key, rounds):
        self.path = path
        self.key = key
        self.rounds = rounds

    def on_epoch_end(self, net, **kwargs):
        if not np.isfinite(net.history[-1]["train_loss"]):
            return  # a diverged round is nothing to go on from
        state = {
            "key": self.key,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "rounds": json.dumps(self.rounds + round_losses(net)),
        }
        try:
            with written_whole(self.path) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # of which torch makes the latter
            kept = "the last one that was is still there" if Path(self.path).exists() else "none is"
            raise OSError(
                f"the state of {len(self.rounds) + len(net.history)} rounds could not be saved to "
                f"{self.path} ({' '.join(str(error).split())}); {kept}."
            ) from None


def refuse_full(path, n_bytes):
    """Refuse a path whose disk has no room for an old state and a new one beside it.

    Raises
    ------
    ValueError
    """
    folder = next(each for each in Path(os.path.realpath(path)).parents if each.exists())
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise ValueError(
            f"resume={str(path)!r} needs {n_bytes / 1e6:,.0f} MB for the state of training, but "
            f"{free / 1e6:,.0f} MB are free in {folder}."
        )


def round_losses(net):
    """Training and validation loss of the rounds of this process."""
    return [
        {name: float(row[name]) for name in ("train_loss", "valid_loss")} for row in net.history
    ]


def read_state(path):
    """The saved state of an interrupted run, or None where there is none yet.

    Raises
    ------
    ValueError
        If the file is damaged, or something else.
    """
    if path is None or not Path(path).exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch does not look at the checksums
        if damaged:
            raise ValueError(f"{damaged} in it is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or state.keys() != ENTRIES:
            raise ValueError(f"it must hold {', '.join(sorted(ENTRIES))}")
        json.loads(state["key"]), json.loads(state["rounds"])
    except pickle.UnpicklingError:  # whose own message says how to have it run what it holds
        raise ValueError(
            f"resume={str(path)!r} is no saved state of pretraining: it holds something else than "
            "numbers, which is not loaded."
        ) from None
    except Exception as error:
        raise ValueError(
            f"resume={str(path)!r} is no saved state of pretraining: {error}"
        ) from None
    return state


def load_state(path, key):
    """The saved state of a run with these settings, or None where there is none yet."""
    state = read_state(path)
    if state is not None and state["key"] != key:
        saved, wanted = json.loads(state["key"]), json.loads(key)
        other = [name for name in wanted if saved.get(name) != wanted[name]]
        raise ValueError(
            f"resume={str(path)!r} was saved by a run with other settings: {', '.join(other)} "
            "differ. Remove the file to start anew."
        )
    return state
