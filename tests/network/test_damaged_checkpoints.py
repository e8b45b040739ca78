"""Cards and weights that were changed, by chance or by hand, are refused before they are used."""

import hashlib
import json
import re
import struct
import time
import warnings

import numpy as np
import pytest
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_tensors

from sklearn_pttf import Checkpoint
from sklearn_pttf._network import checkpoint as _checkpoint
from sklearn_pttf._network.card import digest_of, reseal, sealed
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.ranges import restored
from sklearn_pttf.finetune._guard import _prior_of

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)


@pytest.fixture
def tiny():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Checkpoint.from_network(DecisionNetwork(TINY), {"name": "tiny"})


@pytest.fixture
def path(tiny, tmp_path):
    return tiny.save(tmp_path / "tiny")


def changed(path, weights=None, **entries):
    """Other weights or entries of the card, with checksums that agree."""
    card_path = path.with_suffix(".json")
    card = {**json.loads(card_path.read_text()), **entries}
    if weights is not None:
        path.write_bytes(weights)
        card["sha256"] = hashlib.sha256(weights).hexdigest()
    card["card_sha256"] = digest_of(card)
    card_path.write_text(json.dumps(card))


def refused(path, match):
    """`load` refuses the checkpoint, and at once."""
    began = time.perf_counter()
    with pytest.raises(ValueError, match=match):
        Checkpoint.load(path)
    assert time.perf_counter() - began < 5


# ------------------------------------------------------------------ the card


def test_any_byte_of_a_card_that_changes_what_it_says_is_refused(path):
    card_path = path.with_suffix(".json")
    text = card_path.read_bytes()
    said = json.loads(text)
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(text))[:200]:
        other = bytearray(text)
        other[place] ^= 1 << rng.integers(7)
        try:
            same = json.loads(bytes(other)) == said
        except ValueError:
            same = False
        card_path.write_bytes(bytes(other))
        if same:  # another blank
            Checkpoint.load(path)
        else:
            refused(path, "card|sha256|format")


def test_a_tail_that_was_changed_is_refused(path):
    """It once moved orders by 144 %."""
    card_path = path.with_suffix(".json")
    card_path.write_text(card_path.read_text().replace('"tail": 0.001', '"tail": 0.401'))
    refused(path, r"tiny\.json is damaged, or was changed by hand: its sha256 is")
    reseal(card_path)
    assert Checkpoint.load(path).config.tail == 0.401


def test_the_checksum_is_of_what_a_card_says_and_not_of_its_layout(path):
    card_path = path.with_suffix(".json")
    card = json.loads(card_path.read_text())
    card_path.write_text(json.dumps(dict(reversed(card.items())), indent=7))
    assert Checkpoint.load(path).card == card


def test_what_json_makes_of_a_card_is_sealed(tiny, tmp_path):
    tiny.card["range"], tiny.card[5] = (1, 2.5), None
    loaded = Checkpoint.load(tiny.save(tmp_path / "a"))
    assert loaded.card["range"] == [1, 2.5]
    assert sealed(loaded.card) == loaded.card


def test_a_card_of_format_1_is_read_with_a_warning(path, tiny):
    card_path = path.with_suffix(".json")
    card = json.loads(card_path.read_text())
    del card["card_sha256"], card["network"]["outcomes"]  # which was not said at first
    card_path.write_text(json.dumps({**card, "format": 1}))
    with pytest.warns(UserWarning, match=r"older format, without a checksum .*\.save\(path\)"):
        old = Checkpoint.load(path)
    assert old.config == TINY
    old.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Checkpoint.load(path).fingerprint() == tiny.fingerprint()


def test_shipped_cards_have_a_checksum():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in _checkpoint.shipped_names():
            assert Checkpoint.load(name).card["format"] == 2


@pytest.mark.parametrize("name", list(TINY.to_dict()))
def test_a_size_that_is_missing_is_refused(path, name):
    changed(path, network={k: v for k, v in TINY.to_dict().items() if k != name})
    refused(path, rf"do not fit the network that its card describes: the card lacks {name}")


@pytest.mark.parametrize(
    "size",
    [
        {"n_layers": 10**9},
        {"width": 10**9 * 2},
        {"n_tokens": 10**12},
        {"observation_width": 10**9},
        {"n_knots": 10**9 + 1},
        {"n_heads": 10**9, "width": 10**9},
    ],
)
def test_sizes_far_beyond_the_weights_are_refused_at_once(path, size):
    changed(path, network=TINY.to_dict() | size)
    refused(path, r"do not fit the network that its card describes: \w+ is [\d,]+, and there are")


def test_a_card_nested_deeply_is_refused(path):
    text = path.with_suffix(".json").read_text().rstrip()[:-1]
    path.with_suffix(".json").write_text(text + ', "x": ' + "[" * 2000 + "]" * 2000 + "}")
    refused(path, "the card .* is damaged: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_card_with_odd_numbers_is_refused(path, number):
    text = path.with_suffix(".json").read_text().rstrip()[:-1]
    path.with_suffix(".json").write_text(text + f', "x": {number}' + "}")
    refused(path, "the card .* is damaged: ")


@pytest.mark.parametrize("prior", [5, "demand", [1, 2], True, None])
def test_a_prior_that_is_no_description_is_refused(path, prior):
    changed(path, prior=prior)
    refused(path, rf"the card .* is damaged: its prior is {re.escape(repr(prior))}")


@pytest.mark.parametrize(
    "prior",
    [
        {"odd": [1, 2]},
        {"level": {"distribution": "zscore", "args": [[1.0]], "kwds": {}}},
        {"level": {"distribution": ["norm"], "args": [], "kwds": {}}},
        {"level": {"distribution": "norm"}},
    ],
)
def test_a_prior_that_is_none_of_the_kind_is_refused(tiny, prior):
    tiny.card["prior"] = prior
    with pytest.raises(ValueError, match=r"the card of checkpoint 'tiny' describes no prior of"):
        _prior_of(tiny)


def test_distributions_are_restored():
    described = {"distribution": "uniform", "args": [1.0, 2.0], "kwds": {}}
    assert restored(described).support() == (1.0, 3.0)


# ------------------------------------------------------------------ the weights


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.uint8, torch.bool, torch.complex64],
)
def test_weights_of_other_numbers_are_refused(path, tiny, dtype):
    tensors = {name: torch.from_numpy(value) for name, value in tiny.weights.items()}
    tensors["tokens"] = torch.zeros(4, 16, dtype=dtype)
    changed(path, save_tensors(tensors))
    refused(path, r"must hold weights of F16, F32, F64; got '\w+' for 'tokens' \(1 in all\)")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_other_precision_are_read(path, tiny, dtype):
    changed(path, save({name: value.astype(dtype) for name, value in tiny.weights.items()}))
    network = Checkpoint.load(path).build_network()
    np.testing.assert_allclose(network.tokens.detach(), tiny.weights["tokens"], rtol=1e-3)


@pytest.mark.parametrize("value", [1e39, np.nan, np.inf])
def test_weights_that_are_no_single_precision_are_refused(path, tiny, value):
    tiny.weights["tokens"] = np.full((4, 16), value)
    changed(path, save(tiny.weights))
    refused(path, r"checkpoint 'tiny' has weights that are not finite \(tokens\)")
    with pytest.raises(ValueError, match="not finite"):
        tiny.build_network()


@pytest.mark.parametrize("dtype", [np.int32, np.complex64, bool])
def test_weights_of_other_numbers_in_memory_are_refused(tiny, dtype):
    tiny.weights["tokens"] = np.zeros((4, 16), dtype=dtype)
    with pytest.raises(ValueError, match=r"checkpoint 'tiny' must have real weights; got"):
        tiny.build_network()


def test_weights_of_other_shapes_or_names_are_named(path, tiny):
    more = tiny.weights | {"odd": np.zeros(3, np.float32)}
    changed(path, save(more))
    refused(path, r"odd is of shape \(3,\), and should be not there")
    changed(path, save(tiny.weights | {"tokens": np.zeros((16, 4), np.float32)}))
    refused(path, r"tokens is of shape \(16, 4\), and should be of shape \(4, 16\)")


def test_sparse_files_are_refused_unread(path):
    with open(path, "r+b") as file:
        file.truncate(60 * 10**9)
    refused(path, r"must have at most 2,147,483,648 bytes; got 60,000,000,000")
    with open(path.with_suffix(".json"), "r+b") as file:
        file.truncate(60 * 10**9)
    refused(path, r"the card .* is damaged: it has more than 16,777,216 bytes")


def test_headers_that_are_none_are_refused(path):
    nested = b"[" * 2000 + b"]" * 2000
    for text in (b"{}x", b"[]", b'{"a": 5}', b'{"a": {"dtype": "F32"}}', nested):
        changed(path, struct.pack("<Q", len(text)) + text)
        refused(path, r"no safetensors file|do not fit")
    for length in (0, 1, 2**40, 2**64 - 1):
        changed(path, struct.pack("<Q", length) + b"{}")
        refused(path, r"no safetensors file: it has no header")


@pytest.mark.parametrize("name", ["a" * 256, "a" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(ValueError, match=r"neither a shipped checkpoint .* nor a file"):
        Checkpoint.load(name)
