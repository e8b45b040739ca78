"""Pretrained weights with their card: safetensors plus JSON, never a pickle."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sklearn_pttf._kinds.registry import (
    FORMER_NAMES,
    KINDS,
    carried_kind,
    name_of_kind,
    register_kind,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._utils.files import written_whole

FORMAT = 1
SHIPPED = Path(__file__).parents[1] / "weights"
OF_KINDS = {kind.name: kind.checkpoint for kind in KINDS.values()}  # shipped weights
OF_KINDS |= {name: OF_KINDS[today] for name, today in FORMER_NAMES.items()}


def shipped_names():
    """Names of the checkpoints that travel with the package; sorted list of str."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


class Checkpoint:
    """Weights of a `DecisionNetwork` and the card that says where they come from.

    Parameters
    ----------
    weights : dict of str to ndarray
        The network's state, as CPU arrays.

    card : dict
        JSON-ready description. ``card["network"]`` holds the network's size; prior,
        problem, training, versions and measured quality stand beside it.

    See Also
    --------
    pretrain : Makes one.

    Examples
    --------
    >>> from sklearn_pttf import Checkpoint
    >>> checkpoint = Checkpoint.load("demand")
    >>> checkpoint.card["licence"]
    'BSD-3-Clause'
    """

    def __init__(self, weights, card):
        self.weights = weights
        self.card = card

    def __repr__(self):
        size = sum(value.size for value in self.weights.values())
        return f"Checkpoint({self.card.get('name', 'unnamed')!r}, {size:,} parameters)"

    @property
    def kind(self):
        """The kind of outcomes that the network is of; a subclass of `Kind`."""
        return KINDS[self.config.outcomes]

    @property
    def config(self):
        """Size of the network; `NetworkConfig`."""
        try:
            return NetworkConfig(**self.card["network"])
        except (KeyError, TypeError) as error:
            raise self._misfit(error) from None

    def _misfit(self, error):
        name = self.card.get("name", "unnamed")
        return ValueError(
            f"the weights of checkpoint {name!r} do not fit the network that its card "
            f"describes: {error}"
        )

    def __getstate__(self):
        """With the class of a kind of one's own, so that other processes know it."""
        return self.__dict__ | {"_kind": carried_kind(self.card.get("network", {}))}

    def __setstate__(self, state):
        kind = state.pop("_kind", None)
        self.__dict__.update(state)
        if kind is not None and KINDS.get(kind.name) is not kind:
            register_kind(kind)

    @classmethod
    def from_network(cls, network, card):
        """The current weights of a network, with ``card["network"]`` filled in."""
        weights = {
            name: value.detach().cpu().numpy().copy()
            for name, value in network.state_dict().items()
        }
        return cls(weights, {**card, "network": network.config.to_dict()})

    def fingerprint(self):
        """sha256 of the weights, as a hexadecimal str."""
        return hashlib.sha256(self._content()).hexdigest()

    def _content(self):
        """The bytes of the safetensors file."""
        return save({name: np.ascontiguousarray(value) for name, value in self.weights.items()})

    def build_network(self, device="cpu", dtype=torch.float32):
        """A `DecisionNetwork` with these weights, in evaluation mode.

        Raises
        ------
        ValueError
            If the weights are not those of the network that the card describes.
        """
        config = self.config
        state = {key: torch.from_numpy(value.copy()) for key, value in self.weights.items()}
        try:
            with torch.random.fork_rng(devices=[]):  # weights are drawn, and replaced below
                network = DecisionNetwork(config)
            network.load_state_dict(state)
        except RuntimeError as error:
            raise self._misfit(error) from None
        if not all(value.isfinite().all() for value in state.values()):
            name = self.card.get("name", "unnamed")
            raise ValueError(f"checkpoint {name!r} has weights that are not finite.")
        return network.to(device=device, dtype=dtype).eval()

    def widened(self, outcomes):
        """The same weights for a kind that `extends` this one; its own features count nothing yet.

        Parameters
        ----------
        outcomes : str
            Name of the kind.

        Returns
        -------
        Checkpoint

        Raises
        ------
        ValueError
            If its features do not begin with those of this kind.
        """
        old, new = self.kind, KINDS[name_of_kind(outcomes)]
        if new.extends is not old:
            raise ValueError(
                f"outcomes must be a kind that extends {old.name!r}; got {outcomes!r}."
            )
        more = {
            part: getattr(new, f"n_{part}_features") - getattr(old, f"n_{part}_features")
            for part in ("cell", "row", "portfolio")
        }
        after_rows = self.config.observation_width + old.n_row_features
        places = {  # of new inputs: where, and how many
            "encoder.cell.0.weight": [(old.n_cell_features, more["cell"])],
            "encoder.mix.0.weight": [
                (after_rows + old.n_portfolio_features, more["portfolio"]),
                (after_rows, more["row"]),
            ],
            "portfolio.weight": [(old.n_portfolio_features, more["portfolio"])],
        }
        weights = {name: x for name, x in self.weights.items() if not name.startswith("capped.")}
        for name, inserted in places.items():
            for place, number in inserted:
                weights[name] = np.insert(weights[name], [place] * number, 0.0, axis=1)
        network = {**self.card["network"], "outcomes": new.name}
        network.pop("capped", None)  # what these layers have learned is of the other kind
        return Checkpoint(weights, {**self.card, "network": network})

    def with_capped(self):
        """The same weights with layers for capped sales, which change nothing yet.

        Returns
        -------
        Checkpoint
        """
        if self.config.capped:
            return self
        config = replace(self.config, capped=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = DecisionNetwork(config)
        own = Checkpoint.from_network(network, self.card).weights
        card = {**self.card, "network": config.to_dict()}
        return Checkpoint(own | self.weights, card)

    def save(self, path):
        """Write ``path`` (safetensors) and the card beside it (``.json``).

        Each of the two is written whole or not at all; a pair that does not belong together is
        refused by `load`.

        Parameters
        ----------
        path : str or Path
            File to write; ``.safetensors`` is added where it is missing.

        Returns
        -------
        Path
            The file of the weights.

        Raises
        ------
        ValueError
            If `load` would give a shipped checkpoint by this name.
        """
        refuse_shipped_name(path)
        path = _weights_path(path)
        content = self._content()
        card = {
            **self.card,
            "format": FORMAT,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        text = json.dumps(card, indent=2, allow_nan=False) + "\n"
        with (
            written_whole(path) as weights,
            written_whole(path.with_suffix(".json")) as description,
        ):
            weights.write_bytes(content)
            description.write_text(text, encoding="utf-8")
        return path

    @classmethod
    def load(cls, name_or_path):
        """Read a shipped checkpoint by its name, or any by its path. Nothing is unpickled.

        Parameters
        ----------
        name_or_path : str or Path
            A name such as ``"demand"``, that of a kind of outcomes such as ``"values"``, or the
            path of a ``.safetensors`` file with its card beside it.

        Returns
        -------
        Checkpoint

        Raises
        ------
        ValueError
            If there is no such checkpoint, or a file is damaged or of a newer format.
        """
        if not isinstance(name_or_path, (str, os.PathLike)):
            raise ValueError(f"checkpoint must be a name or a path; got {name_or_path!r}.")
        path = _weights_path(_shipped(name_or_path) or name_or_path)
        card_path = path.with_suffix(".json")
        for part in (path, card_path):
            if not part.is_file():
                raise ValueError(
                    f"checkpoint={str(name_or_path)!r} is neither a shipped checkpoint "
                    f"({', '.join(shipped_names()) or 'none'}) nor a file with its card: "
                    f"{part} does not exist."
                )
        card = _read_card(card_path)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != card["sha256"]:
            raise ValueError(
                f"checkpoint {path} is damaged: its sha256 is {digest}, but its card says "
                f"{card['sha256']}."
            )
        try:
            weights = load(content)
        except SafetensorError as error:
            raise ValueError(f"checkpoint {path} is no safetensors file: {error}") from None
        return cls(weights, card)


def _shipped(name):
    """Where a shipped checkpoint lies that has this name, or is of the kind of this name."""
    if not isinstance(name, str):
        return None
    found = OF_KINDS.get(name, name)
    return SHIPPED / found if found in shipped_names() else None


def refuse_shipped_name(path):
    """Refuse to save weights under a name by which a shipped checkpoint is loaded.

    Raises
    ------
    ValueError
    """
    if _shipped(str(path)) is not None:
        raise ValueError(
            f"path={str(path)!r} is the name of a shipped checkpoint, which Checkpoint.load gives "
            f"by it: say '{path}.safetensors', or './{path}' as a str."
        )


def _weights_path(path):
    path = Path(path)
    if not path.name:
        raise ValueError(f"a checkpoint needs a file name; got {str(path)!r}.")
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")


def _read_card(path):
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the card {path} is damaged: {error}") from None
    if not isinstance(card, dict):
        raise ValueError(f"the card {path} is damaged: it is no JSON object.")
    missing = [key for key in ("format", "sha256", "network") if key not in card]
    if missing:
        raise ValueError(f"the card {path} is damaged: it lacks {', '.join(missing)}.")
    if not isinstance(card["format"], int) or card["format"] > FORMAT:
        raise ValueError(
            f"checkpoint {path.with_suffix('')} has format {card['format']!r}; this version of "
            f"sklearn_pttf reads formats up to {FORMAT}. Upgrade the package."
        )
    return card
