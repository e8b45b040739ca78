"""Damaged files and killed processes: what is refused, what is accepted, and what else happens.

::

    python benchmarks/attacks.py                        # 10,000 mutations, 100 kills
    python benchmarks/attacks.py --mutations 500 --kills 5

A mutated checkpoint that is accepted must say the same as the one that was saved: its weights and
its card. Then checksums are made to agree with what was changed, as by malice ("resealed"):
*accepted* is one that a network could be built of, and *other* any failure that is no ValueError.
A run of pretraining that was killed (SIGKILL) at a random moment must resume to the same weights.
"""

import argparse
import collections
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from sklearn_pttf import Checkpoint, NetworkConfig
from sklearn_pttf._network.card import digest_of
from sklearn_pttf._network.network import DecisionNetwork

TINY = NetworkConfig(width=16, n_layers=1, n_tokens=4, n_heads=2, observation_width=8)
WORDS = [b"1e999", b"null", b"NaN", b"[]", b"{}", b'"x"', b"-1", b"999999999", b"[[[[", b"\xff\x00"]
RECIPE = """
[prior]
n_instances = [5, 10]
[network]
width = 16
n_layers = 1
n_tokens = 4
n_heads = 2
observation_width = 8
[training]
n_steps = 400
rows = 20
round_steps = 20
"""


def mutated(content, rng):
    """Other bytes: some flipped, a piece cut out, doubled or replaced, or the end missing."""
    content, at = bytearray(content), rng.randrange(len(content))
    kind = rng.randrange(5)
    if kind == 0:
        for _ in range(rng.choice([1, 1, 2, 8])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del content[at : at + rng.choice([1, 4, 100])]
    elif kind == 2:
        content[at:at] = content[at : at + rng.choice([1, 8, 100])]
    elif kind == 3:
        content[at : at + rng.choice([1, 4])] = rng.choice(WORDS)
    else:
        del content[at:]
    return bytes(content)


def reseal(path):
    """Make checksums agree with what the files hold, as far as the card can be read."""
    card_path = path.with_suffix(".json")
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        card["card_sha256"] = digest_of(card)
        card_path.write_text(json.dumps(card), encoding="utf-8")
    except (ValueError, TypeError, RecursionError):
        pass


def try_mutations(number, seed, resealed):
    """Load so many mutated checkpoints; print what came of them."""
    rng, found, slowest = random.Random(seed), collections.Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Checkpoint.from_network(DecisionNetwork(TINY), {"name": "tiny"}).save(
            Path(folder) / "tiny"
        )
        saved, whole = Checkpoint.load(path), {}
        for part in (path, path.with_suffix(".json")):
            whole[part] = part.read_bytes()
        for _ in range(number):
            part = rng.choice(list(whole))
            part.write_bytes(mutated(whole[part], rng))
            if resealed:
                reseal(path)
            began = time.perf_counter()
            found[_outcome(path, saved, resealed)] += 1
            slowest = max(slowest, time.perf_counter() - began)
            for each, content in whole.items():
                each.write_bytes(content)
    how = "resealed" if resealed else "as they are"
    print(f"{number:,} mutated checkpoints, {how}; slowest {slowest:.2f} s")
    for name, count in found.most_common():
        print(f"  {name:40} {count:>7,}")


def _outcome(path, saved, resealed):
    try:
        loaded = Checkpoint.load(path)
        loaded.build_network()
    except ValueError:
        return "refused"
    except Exception as error:
        return f"other: {type(error).__name__}"
    same = loaded.fingerprint() == saved.fingerprint() and loaded.card == saved.card
    if resealed:
        return "accepted"
    return "accepted, the same" if same else "other: accepted, and not the same"


def try_kills(number, seed):
    """Kill so many runs of pretraining at random moments, and go on; print what came of it."""
    rng, found = random.Random(seed), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "small.toml").write_text(RECIPE)
        began = time.perf_counter()
        _run(folder, "whole").wait()
        seconds = time.perf_counter() - began
        whole = Checkpoint.load(folder / "whole").fingerprint()
        for k in range(number):
            process = _run(folder, f"killed{k}")
            time.sleep(rng.uniform(0, seconds))
            process.send_signal(signal.SIGKILL)
            process.wait()
            left = (folder / f"killed{k}.state").exists()
            status = _run(folder, f"killed{k}", "--resume").wait()
            same = status == 0 and Checkpoint.load(folder / f"killed{k}").fingerprint() == whole
            temporaries = [each for each in folder.iterdir() if each.name.startswith(".")]
            found[
                f"{'resumed' if left else 'begun anew'}, "
                f"{'the same weights' if same else f'NOT the same (status {status})'}"
                f"{', leftovers' if temporaries else ''}"
            ] += 1
    print(f"{number} runs of {seconds:.0f} s killed at random moments")
    for name, count in found.most_common():
        print(f"  {name:40} {count:>7,}")


def _run(folder, out, *options):
    """Pretraining in a process of its own."""
    command = [sys.executable, "-m", "sklearn_pttf.pretraining", "--recipe", "small.toml"]
    return subprocess.Popen(
        [*command, "--out", out, "--quiet", "--device", "cpu", *options],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for resealed in (False, True):
        try_mutations(options.mutations, options.seed, resealed)
    try_kills(options.kills, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
