"""Pretrained weights with their card: safetensors plus JSON, never a pickle."""

import hashlib
import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch.overrides import TorchFunctionMode

from sklearn_pttf._kinds.registry import (
    FORMER_NAMES,
    KINDS,
    carried_kind,
    name_of_kind,
    register_kind,
)
from sklearn_pttf._network.card import (
    OWN_SUM,
    digest_of_file,
    read_card,
    read_shapes,
    sealed,
    text_of,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._utils.files import refuse_unwritable, written_whole
from sklearn_pttf._utils.torch_state import plain_torch

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
            return _config(self.card["network"])
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

    @plain_torch()
    def build_network(self, device="cpu", dtype=torch.float32):
        """A `DecisionNetwork` with these weights, in evaluation mode.

        Raises
        ------
        ValueError
            If the weights are not those of the network that the card describes.
        """
        config = self.config
        self._check_shapes({name: np.shape(value) for name, value in self.weights.items()})
        self._check_numbers()
        state = {key: torch.from_numpy(value.copy()) for key, value in self.weights.items()}
        with torch.random.fork_rng(devices=[]):  # weights are drawn, and replaced below
            network = DecisionNetwork(config)
        network.load_state_dict(state)
        return network.to(device=device, dtype=dtype).eval()

    def _check_shapes(self, shapes):
        """Refuse weights whose shapes are not those of the network that the card describes."""
        try:
            wanted = _shapes_of(self.config, shapes)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise self._misfit(error) from None
        for name in sorted(wanted.keys() | shapes.keys()):
            if wanted.get(name) != shapes.get(name):
                there, here = (
                    f"of shape {each[name]}" if name in each else "not there"
                    for each in (wanted, shapes)
                )
                raise self._misfit(f"{name} is {here}, and should be {there}.")

    def _check_numbers(self):
        """Refuse weights that are no numbers of single precision."""
        name = self.card.get("name", "unnamed")
        for key, value in self.weights.items():
            if value.dtype.kind != "f":
                raise ValueError(
                    f"checkpoint {name!r} must have real weights; got {value.dtype} for {key!r}."
                )
            with np.errstate(over="ignore"):
                if not np.isfinite(value.astype(np.float32)).all():
                    raise ValueError(
                        f"checkpoint {name!r} has weights that are not finite ({key})."
                    )

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

    @plain_torch()
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

        Each of the two is written whole or not at all. The card has a checksum of the weights and
        one of its own, so that `load` refuses a pair that does not belong together, and a card that
        was changed. A checkpoint of an older format is brought up to date by loading and saving it.

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
            If `load` would give a shipped checkpoint by this name, or no file can be written to it.
        """
        path = path_to_save(path)
        content = self._content()
        card = {**self.card, "sha256": hashlib.sha256(content).hexdigest()}
        text = text_of(sealed(card))
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
            if not _is_file(part):
                raise ValueError(
                    f"checkpoint={str(name_or_path)!r} is neither a shipped checkpoint "
                    f"({', '.join(shipped_names()) or 'none'}) nor a file with its card: "
                    f"{part} does not exist."
                )
        card = read_card(card_path)
        digest = digest_of_file(path)
        if digest != card["sha256"]:
            raise ValueError(
                f"checkpoint {path} is damaged: its sha256 is {digest}, but its card says "
                f"{card['sha256']}."
            )
        if OWN_SUM not in card:
            warnings.warn(
                f"the card {card_path} is of an older format, without a checksum of its own: what "
                "it says of the network is taken on trust. Checkpoint.load(path).save(path) "
                "brings it up to date.",
                stacklevel=2,
            )
        shapes, checkpoint = read_shapes(path), cls({}, card)
        if _is_known(card["network"]):
            checkpoint._check_shapes(shapes)
        try:
            checkpoint.weights = load(path.read_bytes())
        except SafetensorError as error:
            raise ValueError(f"checkpoint {path} is no safetensors file: {error}") from None
        checkpoint._check_numbers()
        return checkpoint


def _config(network):
    """`NetworkConfig` of a card's entry, which has all sizes.

    Raises
    ------
    TypeError, ValueError
        If one is missing, or makes no sense.
    """
    config = NetworkConfig(**network)
    missing = config.to_dict().keys() - network.keys()
    if missing:
        raise TypeError(f"the card lacks {', '.join(sorted(missing))}")
    return config


def _is_known(network):
    """Whether there is a kind of outcomes that a card's network is of."""
    outcomes = network.get("outcomes") if isinstance(network, dict) else None
    return not isinstance(outcomes, str) or FORMER_NAMES.get(outcomes, outcomes) in KINDS


class _Undrawn(TorchFunctionMode):
    """Leaves weights as they are allocated, where only their shapes are asked."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


@plain_torch()
def _shapes_of(config, given):
    """Shapes of the weights of a network of this size; dict.

    Raises
    ------
    TypeError
        If it would be far larger than weights of shapes ``given``.
    """
    room = sum(map(math.prod, given.values()))
    least = {  # of numbers that there are in such weights
        "n_layers": config.n_layers * config.width**2,
        "n_tokens": config.n_tokens * config.width,
        "width": config.width**2,
        "observation_width": config.observation_width**2,
        "n_knots": config.n_knots,
    }
    for name, numbers in least.items():
        if numbers > room:
            raise TypeError(
                f"{name} is {getattr(config, name):,}, and there are {room:,} numbers in all"
            )
    with _Undrawn(), torch.random.fork_rng(devices=[]):
        state = DecisionNetwork(config).state_dict()
    return {name: tuple(value.shape) for name, value in state.items()}


def _is_file(path):
    """Whether there is a file of this name, which may be none that there can be."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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


def path_to_save(path):
    """The file of weights that are saved to ``path``; what cannot be written is refused.

    Raises
    ------
    ValueError
    """
    refuse_shipped_name(path)
    path = _weights_path(path)
    for each in (path, path.with_suffix(".json")):
        refuse_unwritable(each, "path")
    return path


def _weights_path(path):
    path = Path(path)
    if not path.name:
        raise ValueError(f"a checkpoint needs a file name; got {str(path)!r}.")
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
