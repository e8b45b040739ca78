"""Of the rows of fit a pickle holds no more than is said: quantiles of all, without their row."""

import pickle

import numpy as np
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing
from support.networks import fresh_checkpoint

X = np.random.default_rng(0).lognormal(2.0, 0.7, (300, 8))


def arrays_in(value, path, seen):
    """All arrays of numbers inside an object, with where they are."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        yield path, value
    elif hasattr(value, "detach"):
        yield path, value.detach().numpy()
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from arrays_in(each, f"{path}.{name}", seen)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from arrays_in(each, path, seen)
    elif hasattr(value, "__dict__"):
        yield from arrays_in(vars(value), path, seen)


@pytest.mark.parametrize(
    "options",
    [
        {"problem": Newsvendor(4.0, 1.0), "checkpoint": fresh_checkpoint()},
        {"problem": Newsvendor(4.0, 1.0, ordered=True), "checkpoint": fresh_checkpoint()},
        {"problem": Estimation()},
        {"problem": Pricing([0, 1, 2, 3], [4, 5, 6, 7])},
    ],
)
def test_raw_observations_in_pickles(options):
    fitted = PretrainedDecisionTransformer(**options, finetune=None).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    held = {}
    for path, array in arrays_in(vars(again), "", {}):
        if array.dtype.kind == "f" and (number := np.isin(array, X).sum()) > 5:
            held[path] = number, array
    assert list(held) == ["._pooled"]
    number, pooled = held["._pooled"]
    assert number == len(pooled) <= 1000
    assert (np.diff(pooled) >= 0).all()  # in order of size, whatever row they are of
