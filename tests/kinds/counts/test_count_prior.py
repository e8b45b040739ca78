"""Poisson counts: their prior, and pretraining on it."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_pttf import CountPrior, PretrainedDecisionTransformer, pretrain
from sklearn_pttf._network.network import NetworkConfig
from sklearn_pttf._training.pretrain import PortfolioStream
from sklearn_pttf.problems import Estimation
from support.counts import SMALL, count_table

NAN = np.nan


def _means_of(family, **changes):
    prior = CountPrior(mean_families=(family,), level=5.0, **changes)
    drawn = prior.sample(20, n_instances=400, n_observations=1, random_state=0)
    return np.stack([each.parameters["mean"] for each in drawn])


def test_shapes_of_means():
    n_values = [len(np.unique(row)) for row in _means_of("segments", tight_share=1.0)]
    assert min(n_values) >= 2 or 1 in n_values  # a segment may have nobody in it
    assert max(n_values) <= 5
    assert np.mean(np.array(n_values) <= 3) > 0.5
    loose = _means_of("segments", tight_share=0.0)
    assert all(len(np.unique(row)) > 100 for row in loose)
    gamma = _means_of("gamma", spread=0.5)
    assert_allclose(gamma.mean(), 5.0, rtol=0.05)
    assert_allclose(gamma.std(axis=1).mean() / 5, math.sqrt(math.expm1(0.25)), rtol=0.05)


def test_counts_are_poisson():
    prior = CountPrior(level=20.0, spread=0.001, mean_families=("lognormal",), ragged_share=0)
    drawn = prior.sample(n_instances=2000, n_observations=5, random_state=0)[0]
    assert drawn.integer
    assert not drawn.real
    assert drawn.observations.mean() == pytest.approx(20, rel=0.01)
    assert drawn.observations.var() == pytest.approx(20, rel=0.05)
    assert drawn.outcomes.var() == pytest.approx(20, rel=0.1)


def test_expected_means_by_hand(monkeypatch):
    """Two others: weights of three means by the Poisson likelihood of what was seen."""
    from sklearn_pttf._kinds.counts import prior as _count_prior

    observations = torch.tensor([[[2.0, NAN, 1.0], [NAN, NAN, NAN]]])
    mean, others = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 6.0]])
    found = _count_prior._expected_means(observations, mean, others)[0]
    means = np.array([1.0, 2.0, 6.0])
    weights = stats.poisson.pmf(3, 2 * means)
    assert found[0].item() == pytest.approx(weights @ means / weights.sum(), rel=1e-6)
    assert found[1].item() == pytest.approx(11 / 3, rel=1e-6)  # of a row that shows nothing


def test_expected_means_have_the_expectation_of_the_mean():
    prior = CountPrior(level=(0.5, 20.0), spread=0.5, n_observations=1)
    drawn = prior.sample(200, n_instances=50, random_state=0)
    mean, expected = (
        np.stack([each.parameters[name] for each in drawn]) for name in ("mean", "expected_mean")
    )
    relative = (mean - expected) / mean.mean(axis=1, keepdims=True)
    by_portfolio = relative.mean(axis=1)
    assert abs(by_portfolio.mean()) < 3 * by_portfolio.std() / math.sqrt(200)
    assert (expected.std(axis=1) < mean.std(axis=1)).mean() > 0.95


def test_portfolios_often_have_one_observation():
    for share, at_least, at_most in ((1.0, 1.0, 1.0), (0.0, 0.02, 0.3), (0.5, 0.5, 0.7)):
        hyperprior = CountPrior(single_share=share).hyperprior()
        rng = np.random.RandomState(0)
        ones = np.mean([hyperprior.draw_shape(rng)[1] == 1 for _ in range(400)])
        assert at_least - 0.06 <= ones <= at_most + 0.06


def test_bad_settings_of_the_prior():
    with pytest.raises(ValueError, match=r"mean_families must be a list of.*gamma, lognormal"):
        CountPrior(mean_families=("normal",)).sample()
    with pytest.raises(ValueError, match="tight_share must be a share between 0 and 1; got 2"):
        CountPrior(tight_share=2).sample()


def test_batches_tell_what_is_expected():
    inputs, targets = PortfolioStream(CountPrior(), (), 100, 3, 0, "cpu").batch(1)
    assert set(inputs) == {"observations", "whole", "in_context"}
    assert set(targets) == {"outcomes", "means", "expected"}
    assert targets["expected"].shape == targets["means"].shape


def test_pretraining_on_counts():
    made = pretrain(network=SMALL, n_steps=2, rows=60, n_outcomes=2, device="cpu", verbose=0)
    assert made.card["prior"] == CountPrior().describe()
    assert CountPrior.from_description(made.card["prior"]).describe() == made.card["prior"]
    fitted = PretrainedDecisionTransformer(
        Estimation(noise="poisson"), checkpoint=made, finetune=None, device="cpu"
    ).fit(count_table())
    assert (fitted.decide(count_table()) > 0).all()
    with pytest.raises(ValueError, match="draws outcomes of the kind 'counts'"):
        pretrain(CountPrior(), network=NetworkConfig(), n_steps=1, verbose=0)
