"""Whatever a process has set torch to, results are the same, and the settings are as before."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_pttf import (
    PretrainedDecisionTransformer,
    SyntheticPrior,
    pretrain,
)
from sklearn_pttf._utils.torch_state import plain_torch, single_threaded
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.problems import Newsvendor
from support.networks import TINY, fresh_checkpoint

TINY_CHECKPOINT = fresh_checkpoint()
PRIOR = SyntheticPrior(n_instances=(5, 10), n_observations=(1, 4))
X = np.random.default_rng(0).poisson(5.0, (16, 3)).astype(float)


@contextlib.contextmanager
def of_process(get, change, value):
    before = get()
    change(value)
    try:
        yield
    finally:
        change(before)


@contextlib.contextmanager
def float64_without_gradients():
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    doubled = of_process(torch.get_default_dtype, torch.set_default_dtype, torch.float64)
    with doubled, torch.no_grad(), autocast:
        yield


@contextlib.contextmanager
def inference_on_meta():
    with of_process(lambda: None, torch.set_default_device, "meta"), torch.inference_mode():
        yield


SETTINGS = [float64_without_gradients, inference_on_meta]


def state():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
    )


def finetuned_orders():
    strategy = HeadFinetune(max_epochs=1, baselines=False)
    pdt = PretrainedDecisionTransformer(
        Newsvendor(4.0, 1.0), checkpoint=TINY_CHECKPOINT, finetune=strategy, random_state=0
    )
    quantiles = pdt.fit(X).predict_quantiles(X, [0.3, 0.9])
    return np.concatenate([pdt.finetune_report_["mean_cost"], quantiles.ravel()])


def pretrained_weights():
    made = pretrain(PRIOR, network=TINY, n_steps=1, rows=10, verbose=0)
    sampled = PRIOR.sample(1, n_instances=3, n_observations=2, random_state=0)
    return np.concatenate([sampled[0].observations.ravel(), made.weights["tokens"].ravel()])


def decided():
    pdt = PretrainedDecisionTransformer(checkpoint=TINY_CHECKPOINT, finetune=None).fit(X)
    return pdt.predict_quantiles(X, [0.3, 0.9])


COMPUTED = [decided, finetuned_orders, pretrained_weights]


@pytest.fixture(scope="module")
def usual():
    return {each: each() for each in COMPUTED}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("compute", COMPUTED)
def test_settings_do_not_matter_and_stay(usual, setting, compute):
    with setting():
        before = state()
        found = compute()
        assert state() == before
    assert_array_equal(found, usual[compute])


def test_a_failure_leaves_settings_as_they_were():
    before = state()

    def fail():
        with plain_torch(), single_threaded():
            assert state() == (torch.float32, torch.device("cpu"), True, False, False, 1)
            raise RuntimeError("failed")

    for setting in SETTINGS:
        with setting(), pytest.raises(RuntimeError, match="failed"):
            fail()
    assert state() == before


def together(first, second):
    """Enter both in threads of their own, leave the first first; what each thread found."""
    inside, found = [threading.Event(), threading.Event()], [None, None]

    def run(k, own, wait):
        with own():
            inside[k].set()
            wait.wait()
        found[k] = torch.get_num_threads()
        left[k].set()

    left = [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(target=run, args=(0, first, inside[1])),
        threading.Thread(target=run, args=(1, second, left[0])),
    ]
    threads[0].start()
    inside[0].wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    return found


def test_threads_are_as_before_however_they_overlap():
    with of_process(torch.get_num_threads, torch.set_num_threads, 3):
        assert together(single_threaded, single_threaded) == [3, 3]
        assert torch.get_num_threads() == 3
        with single_threaded() as outer:
            with single_threaded() as inner:
                assert (outer, inner) == (3, 1)
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3


def test_the_default_dtype_is_as_before_however_threads_overlap():
    with float64_without_gradients():
        together(plain_torch, plain_torch)
        assert torch.get_default_dtype() == torch.float64


def test_threads_are_as_before_after_concurrent_decisions():
    pdt = PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(X)
    alone = pdt.decide(X)
    with of_process(torch.get_num_threads, torch.set_num_threads, 2):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append((pdt.decide(X), torch.get_num_threads())))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torch.get_num_threads() == 2
    for orders, n_threads in found:
        assert_array_equal(orders, alone)
        assert n_threads == 2
