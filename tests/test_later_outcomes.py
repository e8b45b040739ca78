"""Later outcomes ``y`` are refused where the observations would be, and named."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.baselines import ParametricEmpiricalBayes
from sklearn_pttf.problems import Estimation, Newsvendor

S, Y = np.random.default_rng(0).poisson(3.0, (2, 30, 3)).astype(float)

REFUSED = {
    "poisson, below 0": (
        Estimation(noise="poisson"),
        "auto",
        -Y - 1,
        "noise='poisson' is of counts, so outcomes in y must be at least 0; got row 0: -",
    ),
    "poisson, no whole numbers": (
        Estimation(noise="poisson"),
        "auto",
        Y + 0.5,
        "y must be whole numbers with noise='poisson'; got row 0: ",
    ),
    "demand, below 0": (
        Estimation(),
        "demand",
        Y - 9,
        "a network of demand learns from no such y; got row 0: -",
    ),
    "counts, below 0": (
        Estimation(),
        "counts",
        Y - 9,
        "a network of counts learns from no such y; got row 0: -",
    ),
    "counts, no whole numbers": (
        Newsvendor(),
        "counts",
        Y + 0.5,
        "y must be whole numbers, of which a network of counts learns; got row 0: ",
    ),
}


@pytest.mark.parametrize(("problem", "checkpoint", "y", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learned_is_refused(problem, checkpoint, y, message):
    pdt = PretrainedDecisionTransformer(problem, checkpoint=checkpoint, finetune=None)
    with pytest.raises(ValueError, match=message):
        pdt.fit(S, y)
    assert not hasattr(pdt, "problem_")


@pytest.mark.parametrize(
    "estimator",
    [PretrainedDecisionTransformer(finetune=None), ParametricEmpiricalBayes()],
    ids=["network", "baseline"],
)
def test_decisions_are_charged_on_means_of_counts_but_on_nothing_below_zero(estimator):
    fitted = clone(estimator).set_params(problem=Estimation(noise="poisson")).fit(S)
    with pytest.raises(ValueError, match="outcomes in y must be at least 0; got row 0: -"):
        fitted.score(S, -Y - 1)
    # means need not be whole: estimates beat the rows' own averages on equal ones
    assert fitted.score(S, np.full(30, 3.0)) > 0.5


def test_values_of_any_sign_are_learned_from():
    pdt = PretrainedDecisionTransformer(Estimation(), checkpoint="values", finetune=None)
    assert np.isfinite(pdt.fit(S, Y - 9).decide(S)).all()


@pytest.mark.parametrize(("problem", "kind"), [(Newsvendor(), "demand"), (Estimation(), "values")])
def test_amounts_for_a_network_of_counts_get_the_right_advice(problem, kind):
    pdt = PretrainedDecisionTransformer(problem, checkpoint="counts", finetune=None)
    with pytest.raises(ValueError, match=f"Fit with checkpoint='{kind}', or another of {kind}"):
        pdt.fit(S + 0.5)
