"""Random portfolios of real values: moments that their parameters say, and a network's training."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone

from sklearn_pttf import (
    Checkpoint,
    PretrainedDecisionTransformer,
    RealValuedPrior,
    SyntheticPrior,
    pretrain,
)
from sklearn_pttf._kinds.values.prior import FAMILIES, RANGES, SHARES
from sklearn_pttf._kinds.values.sampler import (
    FARTHEST,
    MEAN_FAMILIES,
    NOISE_FAMILIES,
    draw_real_portfolios,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.ranges import canonical_key
from sklearn_pttf._training.stream import PortfolioStream
from sklearn_pttf.pretraining import load_recipe, recipe_names
from sklearn_pttf.problems import Estimation

PLAIN = {
    "mean_family": "normal",
    "sparse_share": 0.3,
    "noise": 2.0,
    "noise_spread": 0.0,
    "noise_slope": 0.0,
    "noise_family": "normal",
    "known_rate": 0.0,
    "missing": 0.0,
}
TINY = {"width": 16, "n_layers": 1, "n_tokens": 4, "n_heads": 2, "observation_width": 8}


def _draw(shape, size=1, seed=0, **changes):
    """``size`` portfolios of one kind, of ``shape`` (rows, observations, outcomes)."""
    codes = {"mean_family": MEAN_FAMILIES, "noise_family": NOISE_FAMILIES}
    tensors = {
        name: torch.full((size,), codes[name].index(value) if name in codes else float(value))
        for name, value in {**PLAIN, **changes}.items()
    }
    return draw_real_portfolios(tensors, *shape, torch.Generator().manual_seed(seed))


def _residuals(draw):
    """Outcomes less their row's mean, over its noise; ``(B, N, m)`` in float64."""
    mean, noise = (draw.parameters[name].double().unsqueeze(-1) for name in ("mean", "noise"))
    return ((draw.outcomes.double() - mean) / noise).numpy()


# ---------------------------------------------------------------- means of the instances


@pytest.mark.parametrize("family", MEAN_FAMILIES)
def test_means_have_expectation_0_and_variance_1(family):
    """Over portfolios, of which each has a law of its own."""
    means = _draw((5, 0, 1), size=20_000, mean_family=family).parameters["mean"].numpy()
    error = means.mean(axis=1).std() / math.sqrt(20_000)
    assert abs(means.mean()) < 4 * error < 0.05
    # infinite kurtosis of Student's t; spread around points and segments adds up to 2 %
    rel = 0.2 if family == "heavy_tailed" else 0.05
    assert (means.astype(float) ** 2).mean() == pytest.approx(1.01, rel=rel)


def _portfolios_of_means(family, **changes):
    return _draw((400, 0, 1), size=200, mean_family=family, **changes).parameters["mean"].numpy()


def test_shapes_of_means():
    assert np.abs(stats.skew(_portfolios_of_means("normal"), axis=1)).mean() < 0.15
    n_values = [len(np.unique(row)) for row in _portfolios_of_means("two_point")]
    assert np.mean(np.array(n_values) == 2) == pytest.approx(0.7, abs=0.12)  # others have a spread
    kurtosis = stats.kurtosis(_portfolios_of_means("heavy_tailed"), axis=1)
    assert np.median(kurtosis) > 2
    # segments: at most five centres, which a spread of at most 0.3 is around
    gaps = np.diff(np.sort(_portfolios_of_means("segments"), axis=1), axis=1)
    largest = -np.sort(-gaps, axis=1)
    assert np.median(largest[:, :4].sum(axis=1) / gaps.sum(axis=1)) > 0.5


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_most_means_of_a_sparse_portfolio_are_common(share):
    off = _portfolios_of_means("sparse", sparse_share=share) != 0
    error = math.sqrt(share * (1 - share) / off.size)
    assert off.mean() == pytest.approx(share, abs=4 * error)


def test_heavy_tails_end():
    means = _draw((2000, 0, 1), size=100, mean_family="heavy_tailed").parameters["mean"]
    assert 15 < means.abs().max() <= FARTHEST


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize("family", NOISE_FAMILIES)
def test_noise_has_mean_0_and_variance_1(family):
    noise = _residuals(_draw((5, 0, 50), size=2000, noise_family=family))
    by_portfolio = noise.reshape(2000, -1)
    assert abs(noise.mean()) < 4 * by_portfolio.mean(axis=1).std() / math.sqrt(2000)
    # Student's t of 3 degrees of freedom hardly has a fourth moment
    assert (noise**2).mean() == pytest.approx(1, rel=0.03)
    kurtosis = np.median(stats.kurtosis(by_portfolio, axis=1))
    least, most = {"normal": (-0.2, 0.1), "laplace": (2, 3.2)}.get(family, (0.6, 20))
    assert least < kurtosis < most
    skew = stats.skew(by_portfolio, axis=1)
    if family == "skewed":  # to either side
        assert (np.abs(skew) > 0.5).mean() > 0.95
        assert (skew > 0).mean() == pytest.approx(0.5, abs=0.05)
    else:
        assert abs(np.median(skew)) < 0.1


def test_noise_is_as_large_as_asked():
    draw = _draw((2000, 0, 20), noise=0.5, noise_spread=0.4)
    logs = draw.parameters["noise"].log()
    assert logs.mean().item() == pytest.approx(math.log(0.5), abs=0.04)
    assert logs.std().item() == pytest.approx(0.4, rel=0.07)
    assert (_residuals(draw) ** 2).mean() == pytest.approx(1, rel=0.03)
    assert (_draw((50, 0, 1), noise=0.5).parameters["noise"] == 0.5).all()


@pytest.mark.parametrize("slope", [-0.3, 0.3])
def test_noise_grows_with_the_mean(slope):
    parameters = _draw((2000, 0, 1), noise=0.5, noise_slope=slope).parameters
    expected = 0.5 * (slope * parameters["mean"].clamp(-3, 3)).exp()
    torch.testing.assert_close(parameters["noise"], expected)


def test_standard_errors_are_the_noise():
    draws = [_draw((500, 4, 1), size=3, known_rate=rate, noise_spread=1.0) for rate in (0, 0.3, 1)]
    for draw, rate in zip(draws, (0, 0.3, 1), strict=True):
        known = ~draw.errors.isnan()
        assert known.float().mean().item() == pytest.approx(rate, abs=0.05)
        assert torch.equal(draw.errors[known], draw.parameters["noise"][known])
        assert torch.equal(draw.observations, draws[0].observations)


def test_kinds_are_mixed_in_one_draw():
    """Each portfolio keeps its own families, noise and knowledge."""
    hyper = {name: torch.zeros(2) for name in PLAIN}
    hyper.update(
        mean_family=torch.tensor([MEAN_FAMILIES.index(f) for f in ("sparse", "normal")]),
        sparse_share=torch.tensor([0.1, 1.0]),
        noise=torch.tensor([0.1, 10.0]),
        known_rate=torch.tensor([1.0, 0.0]),
        missing=torch.tensor([0.0, 0.5]),
    )
    draw = draw_real_portfolios(hyper, 500, 20, 1, torch.Generator().manual_seed(0))
    assert (draw.parameters["mean"] == 0).float().mean(1).tolist() == pytest.approx(
        [0.9, 0.0], abs=0.06
    )
    assert draw.errors.isnan().float().mean(1).tolist() == [0, 1]
    assert draw.observations.isnan().float().mean((1, 2)).tolist() == pytest.approx(
        [0, 0.5], abs=0.05
    )
    deviation = (draw.outcomes[..., 0] - draw.parameters["mean"]).std(1)
    np.testing.assert_allclose(deviation, [0.1, 10], rtol=0.15)


def test_past_and_future_are_exchangeable():
    draw = _draw((20_000, 2, 1), mean_family="segments", noise_family="skewed", noise_spread=0.5)
    first, second = draw.observations[0].numpy().T
    later = draw.outcomes[0, :, 0].numpy()
    assert stats.ks_2samp(first, later).pvalue > 1e-3
    ranks = stats.spearmanr(np.column_stack([first, second, later])).statistic
    assert ranks[0, 1] == pytest.approx(ranks[0, 2], abs=0.035)
    assert ranks[0, 1] > 0.05


# ---------------------------------------------------------------- the prior


def _same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for name in ("observations", "outcomes", "errors")
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(0, 9), st.integers(0, 4))
@settings(max_examples=20, deadline=None)
def test_equal_seeds_give_equal_portfolios(seed, rows, cells, later):
    def sample(seed):
        sizes = {"n_instances": rows, "n_observations": cells, "n_outcomes": later}
        return RealValuedPrior().sample(2, **sizes, random_state=seed)

    first, again, other = sample(seed), sample(seed), sample((seed + 1) % 2**32)
    assert first[0].observations.shape == (rows, cells)
    assert first[0].outcomes.shape == (rows, later)
    assert first[0].errors.shape == first[0].parameters["mean"].shape == (rows,)
    assert not first[0].integer
    assert np.isfinite(first[0].outcomes).all()
    assert all(_same(a, b) for a, b in zip(first, again, strict=True))
    if cells + later:
        assert not _same(first[0], first[1])
        assert not _same(first[0], other[0])


def test_seed_of_the_prior():
    (own,) = RealValuedPrior(random_state=3).sample()
    (given_,) = RealValuedPrior().sample(random_state=3)
    assert _same(own, given_)


def test_what_is_drawn_lies_in_its_ranges():
    prior = RealValuedPrior(
        mean_families={"sparse": 1.0, "normal": 0.0},
        noise=stats.loguniform(0.5, 2.0),
        noise_families="laplace",
        noise_spread=(0.2, 0.4),
        uneven_share=0.5,
        slope_share=0.0,
        known_share=0.8,
        partly_known_share=0.5,
        known_rate=0.5,
        n_instances=(3, 6),
        n_observations=(2, 4),
    )
    portfolios = prior.sample(100, random_state=0)
    assert {len(p) for p in portfolios} == {3, 4, 5, 6}
    assert {p.observations.shape[1] for p in portfolios} == {2, 3, 4}
    drawn = {name: [p.parameters[name] for p in portfolios] for name in RANGES if name in PLAIN}
    assert {p.parameters["mean_family"] for p in portfolios} == {"sparse"}
    assert {p.parameters["noise_family"] for p in portfolios} == {"laplace"}
    spread = np.array(drawn["noise_spread"])
    assert np.mean(spread > 0) == pytest.approx(0.5, abs=0.2)
    assert ((spread == 0) | ((spread > 0.199) & (spread < 0.401))).all()
    assert not np.any(drawn["noise_slope"])
    assert 0 < np.mean(np.array(drawn["missing"]) > 0) < 1
    # of the portfolio; that of its instances has the same name
    for p in portfolios:
        typical = np.log(p.parameters["noise"]).mean()
        assert math.log(0.4) - 0.8 < typical < math.log(2.2) + 0.8
        known = ~np.isnan(p.errors)
        np.testing.assert_array_equal(p.errors[known], p.parameters["noise"][known])
    rates = np.array(drawn["known_rate"])
    shares = [np.mean(np.isclose(rates, rate)) for rate in (0, 0.5, 1)]
    np.testing.assert_allclose(shares, [0.2, 0.4, 0.4], atol=0.15)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise", (2.0, 1.0)),
        ("noise", 0.0),
        ("noise", (0.1, math.nan)),
        ("noise_spread", (0.0, 3.0)),
        ("noise_slope", (-2.0, 0.0)),
        ("sparse_share", (0.0, 0.5)),
        ("sparse_share", (0.1, 1.5)),
        ("missing", 0.99),
        ("n_instances", (0, 5)),
        ("n_instances", (1.5, 5)),
        ("n_observations", "many"),
        ("mean_families", ("lognormal",)),
        ("mean_families", ()),
        ("noise_families", {"normal": -1.0}),
        ("noise_families", {"normal": 0.0}),
        ("known_share", 1.2),
        ("partly_known_share", -0.1),
        ("known_rate", (0.5, 1.1)),
        ("uneven_share", True),
        ("slope_share", math.nan),
        ("ragged_share", "half"),
    ],
)
def test_ranges_are_refused(name, value):
    prior = RealValuedPrior(**{name: value})
    for use in (prior.hyperprior, prior.sample):
        with pytest.raises(ValueError, match=f"^{name} must"):
            use()


@pytest.mark.parametrize("size", ["n_portfolios", "n_instances", "n_observations", "n_outcomes"])
def test_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"^{size} must be a whole number"):
        RealValuedPrior().sample(**{size: -1})


def test_descriptions_and_clones():
    prior = RealValuedPrior(
        mean_families={"sparse": 2.0, "normal": 1.0},
        noise=stats.loguniform(0.5, 2.0),
        noise_slope=0.1,
        known_share=0.25,
        random_state=3,
    )
    described = json.loads(json.dumps(prior.describe()))
    assert set(described) == {*RANGES, *FAMILIES, *SHARES}
    again = RealValuedPrior.from_description(described)
    assert isinstance(again, RealValuedPrior)
    assert canonical_key(again.describe()) == canonical_key(prior.describe())
    drawn = prior.sample(random_state=0)[0]
    assert _same(again.sample(random_state=0)[0], drawn)
    assert _same(clone(prior).sample(random_state=0)[0], drawn)
    assert not _same(RealValuedPrior().sample(random_state=0)[0], drawn)


def test_sampled_portfolios_are_real():
    assert RealValuedPrior().sample(random_state=0)[0].real


# ---------------------------------------------------------------- pretraining


def test_batches_have_errors_and_means():
    prior = RealValuedPrior(known_share=0.5, n_instances=(5, 10))
    inputs, targets = PortfolioStream(prior, range(1), 60, 3, 0, "cpu").batch(0)
    size, rows, _ = inputs["observations"].shape
    assert targets["outcomes"].shape == (size, rows, 3)
    assert targets["means"].shape == inputs["errors"].shape == (size, rows)
    known = ~inputs["errors"].isnan()
    assert 0 < known.float().mean() < 1
    assert (inputs["whole"] == 0).all()
    error = (targets["outcomes"].mean(-1) - targets["means"]).abs()
    assert (error[known] < 6 * inputs["errors"][known]).all()


@pytest.fixture(scope="module")
def made():
    prior = RealValuedPrior(noise=(0.5, 2.0), n_observations=(1, 5), n_instances=(5, 20))
    network = NetworkConfig(**TINY, outcomes="values")
    return prior, pretrain(prior, network=network, n_steps=2, rows=50, verbose=0)


def test_pretraining(made):
    prior, checkpoint = made
    card = checkpoint.card
    assert card["network"] == {**NetworkConfig(**TINY).to_dict(), "outcomes": "values"}
    assert card["prior"] == prior.describe()
    assert math.isfinite(card["quality"]["validation_loss"])
    X = np.random.RandomState(0).normal(size=(8, 3))
    means = PretrainedDecisionTransformer(Estimation(), checkpoint=checkpoint, finetune=None)
    assert np.isfinite(means.fit(X).decide(X)).all()


def test_kind_of_the_network_is_settled_by_what_is_given(made):
    _, checkpoint = made
    few = {"n_steps": 1, "rows": 20, "verbose": 0, "n_outcomes": 1}
    by_prior = pretrain(RealValuedPrior(n_instances=(2, 5), n_observations=2), **few)
    by_network = pretrain(network=NetworkConfig(**TINY, outcomes="values"), **few)
    by_checkpoint = pretrain(checkpoint=checkpoint, **few)
    for each in (by_prior, by_network, by_checkpoint):
        assert each.card["network"]["outcomes"] == "values"
    for each in (by_network, by_checkpoint):
        assert each.card["prior"] == RealValuedPrior().describe()


def test_kinds_that_differ_are_refused(made):
    prior, checkpoint = made
    demand = Checkpoint.from_network(DecisionNetwork(NetworkConfig(**TINY)), {"name": "demand"})
    for settings_ in (
        {"prior": prior, "network": NetworkConfig(**TINY)},
        {"prior": prior, "checkpoint": demand},
        {"prior": SyntheticPrior(), "network": NetworkConfig(**TINY, outcomes="values")},
        {"prior": SyntheticPrior(), "checkpoint": checkpoint},
    ):
        what = "checkpoint" if "checkpoint" in settings_ else "network"
        with pytest.raises(ValueError, match=f"^prior=.* draws outcomes .* but the {what} is for"):
            pretrain(**settings_, n_steps=1, verbose=0)
    X = np.random.RandomState(0).normal(size=(8, 3))
    for problem_prior, weights in ((SyntheticPrior(), "auto"), (prior, demand)):
        pdt = PretrainedDecisionTransformer(
            Estimation(), prior=problem_prior, checkpoint=weights, pretrain_steps=1, finetune=None
        )
        with pytest.raises(ValueError, match="draws outcomes of the kind"):
            pdt.fit(X)
    with pytest.raises(ValueError, match="prior must be one of SyntheticPrior, RealValuedPrior"):
        pretrain("gaussian")


def test_the_recipe_of_the_shipped_checkpoint():
    assert "gaussian" in recipe_names()
    arguments = load_recipe("gaussian")
    assert isinstance(arguments["prior"], RealValuedPrior)
    assert arguments["network"].outcomes == "values"
    arguments["prior"].hyperprior()
    assert NetworkConfig(**Checkpoint.load("gaussian").card["network"]) == arguments["network"]
