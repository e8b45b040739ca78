"""The stream of batches: a function of seed and step alone."""

import numpy as np
import torch

from sklearn_pttf._training.pretrain import PortfolioStream
from support.pretraining import PRIOR


def _stream(**changes):
    arguments = {"steps": (), "rows": 60, "n_outcomes": 3, "seed": 5, "device": "cpu", **changes}
    return PortfolioStream(PRIOR, **arguments)


def _assert_same_batch(a, b):
    assert a[0].keys() == b[0].keys()
    tensors = ([*inputs.values(), *targets.values()] for inputs, targets in (a, b))
    for left, right in zip(*tensors, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)


def test_a_batch_depends_on_seed_and_step_alone():
    in_order = list(_stream(steps=range(4)))
    backwards = list(_stream(steps=[3, 1]))
    _assert_same_batch(in_order[3], backwards[0])
    _assert_same_batch(in_order[1], backwards[1])
    torch.manual_seed(99)
    _assert_same_batch(in_order[2], _stream(steps=[100]).batch(2))


def test_batches_differ_by_step_and_seed():
    one, other_step, other_seed = (
        stream.batch(step)
        for stream, step in ((_stream(), 0), (_stream(), 1), (_stream(seed=6), 0))
    )
    for other in (other_step, other_seed):
        left, right = one[1]["outcomes"], other[1]["outcomes"]
        assert left.shape != right.shape or not torch.equal(left, right)


def test_shapes_of_batches():
    for inputs, targets in _stream(steps=range(30)):
        size, rows, cells = inputs["observations"].shape
        assert targets["outcomes"].shape == (size, rows, 3)
        assert targets["means"].shape == (size, rows)
        assert inputs["whole"].shape == (size,)
        assert size == max(1, 60 // rows)
        assert 2 <= rows <= 500
        assert 1 <= cells <= 30
        in_context = inputs["in_context"]
        assert in_context.shape == (size, rows)
        assert in_context[:, 0].all()
        assert (in_context == in_context.sort(dim=1, descending=True).values).all()


def test_some_batches_have_later_rows():
    shares = [bool(inputs["in_context"].all()) for inputs, _ in _stream(steps=range(200))]
    # 0.3 of the batches, less those that leave out no row
    assert 0.6 < np.mean(shares) < 0.9
