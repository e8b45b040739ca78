"""Checkpoints come back bit by bit, and say what is wrong when they cannot."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_pttf import Checkpoint
from sklearn_pttf._network import checkpoint as _checkpoint
from sklearn_pttf._network.card import digest_of
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)


def _checkpoint_of(seed, name="tiny"):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DecisionNetwork(TINY)
    return Checkpoint.from_network(network, {"name": name, "training": {"random_state": seed}})


def _same_weights(a, b):
    return a.weights.keys() == b.weights.keys() and all(
        a.weights[k].dtype == b.weights[k].dtype and np.array_equal(a.weights[k], b.weights[k])
        for k in a.weights
    )


@pytest.fixture
def tiny():
    return _checkpoint_of(0)


@pytest.fixture
def path(tiny, tmp_path):
    return tiny.save(tmp_path / "tiny.safetensors")


def _change_card(path, **changes):
    """Change entries of a card, None to remove them, and its checksum with them."""
    card_path = path.with_suffix(".json")
    card = {**json.loads(card_path.read_text()), **changes}
    card = {k: v for k, v in card.items() if v is not None}
    if "card_sha256" not in changes:
        card["card_sha256"] = digest_of(card)
    card_path.write_text(json.dumps(card))


def _write_weights(path, content):
    """Other bytes for the weights, with a card that agrees."""
    path.write_bytes(content)
    _change_card(path, sha256=hashlib.sha256(content).hexdigest())


def test_round_trip(tiny, path):
    again = Checkpoint.load(path)
    assert _same_weights(again, tiny)
    assert again.fingerprint() == tiny.fingerprint()
    assert tiny.card.items() <= again.card.items()
    assert set(again.card) - set(tiny.card) == {"format", "sha256", "card_sha256"}
    assert again.card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert again.card["network"] == TINY.to_dict()
    assert not _same_weights(again, _checkpoint_of(1))


def test_saving_again_gives_the_same_files(path, tmp_path):
    other = Checkpoint.load(path).save(tmp_path / "other")
    assert other.read_bytes() == path.read_bytes()
    assert other.with_suffix(".json").read_bytes() == path.with_suffix(".json").read_bytes()


def test_network_is_rebuilt(tiny):
    network = tiny.build_network(dtype=torch.float64)
    assert not network.training
    assert network.config == TINY
    assert _same_weights(tiny, Checkpoint.from_network(network.float(), tiny.card))
    with torch.no_grad():
        network.tokens.add_(1.0)
    assert not np.array_equal(tiny.weights["tokens"], network.tokens.detach().numpy())


def test_weights_are_a_copy():
    network = DecisionNetwork(TINY)
    checkpoint = Checkpoint.from_network(network, {})
    before = checkpoint.fingerprint()
    with torch.no_grad():
        network.tokens.zero_()
    assert checkpoint.fingerprint() == before


def test_repr_says_how_large(tiny):
    size = sum(parameter.numel() for parameter in DecisionNetwork(TINY).parameters())
    assert repr(tiny) == f"Checkpoint('tiny', {size:,} parameters)"


@pytest.mark.parametrize(
    ("given", "weights", "card"),
    [
        ("a", "a.safetensors", "a.json"),
        ("a.safetensors", "a.safetensors", "a.json"),
        ("a.v1.5", "a.v1.5.safetensors", "a.v1.5.json"),
        ("a.bin", "a.bin.safetensors", "a.bin.json"),
    ],
)
def test_suffixes(tiny, tmp_path, given, weights, card):
    assert tiny.save(str(tmp_path / given)) == tmp_path / weights
    assert sorted(os.listdir(tmp_path)) == sorted([weights, card])
    assert _same_weights(Checkpoint.load(tmp_path / given), tiny)
    assert _same_weights(Checkpoint.load(str(tmp_path / weights)), tiny)


def test_shipped_by_name(path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "SHIPPED", path.parent)
    _checkpoint_of(1, "other").save(path.parent / "other")
    assert _checkpoint.shipped_names() == ["other", "tiny"]
    assert _same_weights(Checkpoint.load("tiny"), Checkpoint.load(path))
    assert Checkpoint.load("other").card["name"] == "other"
    with pytest.raises(ValueError, match=r"'huge'.*shipped checkpoint \(other, tiny\)"):
        Checkpoint.load("huge")


def test_nothing_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match=r"'huge'.*shipped checkpoint \(none\)"):
        Checkpoint.load("huge")


@pytest.mark.parametrize("name", [5, None, 1.5])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match=rf"checkpoint must be a name or a path; got {name}"):
        Checkpoint.load(name)


# ---------------------------------------------------------------- damaged files


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_truncated_weights(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"tiny\.safetensors is damaged: its sha256"):
        Checkpoint.load(path)


@pytest.mark.parametrize("where", [0.0, 0.01, 0.5, 0.999999])
def test_flipped_bit(path, where):
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tiny\.safetensors is damaged: its sha256"):
        Checkpoint.load(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_missing_file(path, suffix):
    path.with_suffix(suffix).unlink()
    with pytest.raises(ValueError, match=rf"tiny\{suffix} does not exist"):
        Checkpoint.load(path)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe{}", b"[]", b"3", b"null", b'"format"'])
def test_damaged_card(path, text):
    path.with_suffix(".json").write_bytes(text)
    with pytest.raises(ValueError, match=r"the card .*tiny\.json is damaged"):
        Checkpoint.load(path)


@pytest.mark.parametrize("key", ["format", "sha256", "network", "card_sha256"])
def test_card_lacks_a_key(path, key):
    _change_card(path, **{key: None})
    with pytest.raises(ValueError, match=rf"tiny\.json is damaged: it lacks {key}\."):
        Checkpoint.load(path)


@pytest.mark.parametrize("version", [3, 99, "1", 0, -1, True, 1.0])
def test_newer_format(path, version):
    _change_card(path, format=version)
    with pytest.raises(ValueError, match=rf"has format {version!r}.*up to 2\. Upgrade"):
        Checkpoint.load(path)


def test_card_of_another_checkpoint(path):
    other = _checkpoint_of(1, "other").save(path.parent / "other")
    other.with_suffix(".json").replace(path.with_suffix(".json"))
    with pytest.raises(ValueError, match=r"tiny\.safetensors is damaged"):
        Checkpoint.load(path)


def test_right_digest_of_what_is_no_safetensors_file(path):
    content = b"\x10\x00\x00\x00\x00\x00\x00\x00" + b"no tensors at all"
    _write_weights(path, content)
    with pytest.raises(ValueError, match=r"tiny\.safetensors is no safetensors file"):
        Checkpoint.load(path)


@pytest.mark.parametrize(
    "network",
    [
        {**TINY.to_dict(), "width": 32},
        {**TINY.to_dict(), "n_layers": 2},
        {**TINY.to_dict(), "n_knots": 9},
        {**TINY.to_dict(), "depth": 3},
        "large",
    ],
)
def test_weights_that_do_not_fit_the_card(path, network):
    _change_card(path, network=network)
    with pytest.raises(ValueError, match=r"'tiny' do not fit the network that its card"):
        Checkpoint.load(path).build_network()


def test_missing_weights_do_not_fit(tiny):
    weights = {name: value for name, value in tiny.weights.items() if name != "tokens"}
    with pytest.raises(ValueError, match=r"do not fit(.|\n)*tokens"):
        Checkpoint(weights, tiny.card).build_network()


# ---------------------------------------------------------------- safety


class _Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_loading_never_unpickles(path, monkeypatch, tiny):
    def refuse(*args, **kwargs):
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    loaded = Checkpoint.load(path)
    loaded.build_network()
    assert _same_weights(loaded, tiny)


def test_a_pickle_is_not_run(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    content = pickle.dumps(_Trap())
    _write_weights(path, content)
    with pytest.raises(ValueError, match="no safetensors file"):
        Checkpoint.load(path)
    assert not (path.parent / "sprung").exists()


def _refuse(*args, **kwargs):
    raise OSError("no space left")


@pytest.mark.parametrize("broken", [(os, "replace"), (os, "fsync"), (json, "dumps")])
def test_failed_save_leaves_the_old_files(path, monkeypatch, broken):
    old = Checkpoint.load(path)
    before = sorted(os.listdir(path.parent))
    with monkeypatch.context() as context:
        context.setattr(*broken, _refuse)
        with pytest.raises(OSError, match="no space left"):
            _checkpoint_of(1).save(path)
        with pytest.raises(OSError, match="no space left"):
            _checkpoint_of(1).save(path.parent / "new")
    assert sorted(os.listdir(path.parent)) == before
    assert _same_weights(Checkpoint.load(path), old)


@pytest.mark.parametrize(
    ("entry", "error"), [({"quality": float("nan")}, ValueError), ({"x": object()}, TypeError)]
)
def test_card_that_is_no_json_is_not_saved(path, tiny, entry, error):
    old = path.read_bytes()
    with pytest.raises(error):
        Checkpoint(_checkpoint_of(1).weights, {**tiny.card, **entry}).save(path)
    assert path.read_bytes() == old
    assert Checkpoint.load(path).card["name"] == "tiny"


@pytest.mark.parametrize("name", ["values", "gaussian", "demand", "real", "price", Path("counts")])
def test_names_of_shipped_checkpoints_are_not_saved_to(name, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"path='{name}' is the name of a shipped checkpoint"):
        tiny.save(name)
    assert not list(tmp_path.iterdir())
    for other in (f"./{name}", f"{name}.safetensors"):  # as the message says
        assert tiny.save(other).exists()
        assert Checkpoint.load(other).fingerprint() == tiny.fingerprint()


@pytest.mark.parametrize(("name", "today"), [("real", "gaussian"), ("price", "price")])
def test_former_names_of_kinds_name_checkpoints(name, today):
    assert Checkpoint.load(name).fingerprint() == Checkpoint.load(today).fingerprint()


def test_what_network_a_checkpoint_is_of(tiny):
    assert tiny.config == TINY
    assert tiny.kind.name == "demand"
