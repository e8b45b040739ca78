"""Transfer curves of a few rows and quick methods."""

import functools

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Newsvendor
from support.networks import fresh_checkpoint

PROBLEM = Newsvendor(underage=4.0, overage=1.0)
QUICK = ("pretrained", "saa")
X, Y = make_demand_portfolio(40, 5, n_outcomes=6, random_state=0)


def tiny_estimator(problem=PROBLEM, finetune=None, seed=0, **params):
    return PretrainedDecisionTransformer(
        problem, checkpoint=fresh_checkpoint(seed), finetune=finetune, device="cpu", **params
    )


def small_curve(estimator=None, X=X, y=Y, **arguments):
    defaults = {"n_instances": [8, 20], "cv": 3, "methods": QUICK, "random_state": 0}
    estimator = tiny_estimator() if estimator is None else estimator
    return transfer_curve(estimator, X, y, **{**defaults, **arguments})


@functools.cache
def usual_curve():
    """`small_curve` of its defaults, which tests leave as it is."""
    return small_curve()


def arrays_of(curve, leave_out=()):
    out = {}
    for name, value in curve.items():
        if name not in leave_out:
            out[name] = np.array(value)
    return out


def assert_same_curve(curve, expected, leave_out=("fit_time",), **tolerance):
    found, wanted = arrays_of(curve, leave_out), arrays_of(expected, leave_out)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if tolerance and value.dtype.kind == "f":
            assert_allclose(found[name], value, err_msg=name, **tolerance)
        else:
            assert_array_equal(found[name], value, err_msg=name)
