"""Random portfolios of demand at prices: what their parameters say, and a network's training."""

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
    PricingPrior,
    SyntheticPrior,
    pretrain,
)
from sklearn_pttf._kinds.demand.sampler import NOISE_FAMILIES, SPREAD_FAMILIES
from sklearn_pttf._kinds.prices.prior import FAMILIES, RANGES, SHARES
from sklearn_pttf._kinds.prices.sampler import (
    CURVE_FAMILIES,
    ELASTICITY_FAMILIES,
    draw_priced_portfolios,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._priors.ranges import canonical_key
from sklearn_pttf._training.pretrain import PortfolioStream
from sklearn_pttf.pretraining import load_recipe, recipe_names
from sklearn_pttf.problems import Newsvendor, Pricing

# demand at the reference price is 50, with a relative noise of 0.3
PLAIN = {
    "level": 50.0,
    "spread": 1e-3,
    "spread_family": "lognormal",
    "noise": 0.3,
    "noise_spread": 0.0,
    "noise_family": "gamma",
    "whole": 0.0,
    "intermittent": 0.0,
    "zero_rate": 0.0,
    "zero_concentration": 10.0,
    "bulk": 0.0,
    "bulk_rate": 0.0,
    "bulk_size": 0.0,
    "order_rate": 1.0,
    "order_dispersion": 1.0,
    "missing": 0.0,
    "elasticity": 2.0,
    "elasticity_spread": 0.0,
    "elasticity_family": "lognormal",
    "level_correlation": 0.0,
    "curve_family": "constant_elasticity",
    "saturation": 0.5,
    "price": 20.0,
    "price_spread": 0.0,
    "level_slope": 0.0,
    "price_shift": 0.0,
    "price_range": 0.2,
    "n_prices": 1000.0,
    "one_price": 0.0,
    "mixed_prices": 0.0,
    "endogeneity": 0.0,
    "cost_share": 0.4,
}
CODES = {
    "spread_family": SPREAD_FAMILIES,
    "noise_family": NOISE_FAMILIES,
    "elasticity_family": ELASTICITY_FAMILIES,
    "curve_family": CURVE_FAMILIES,
}
TINY = {"outcomes": "prices", "width": 16, "n_layers": 1, "n_tokens": 4}


def _draw(shape, size=1, seed=0, n_posted=1, n_candidates=2, **changes):
    """``size`` portfolios of one kind, of ``shape`` (rows, pairs, outcomes)."""
    tensors = {
        name: torch.full((size,), CODES[name].index(value) if name in CODES else float(value))
        for name, value in {**PLAIN, **changes}.items()
    }
    generator = torch.Generator().manual_seed(seed)
    return draw_priced_portfolios(tensors, *shape, generator, n_posted, n_candidates)


def _curve(family, ratio, elasticity, share=0.5):
    """Demand at a price over that at the reference price, given the ratio of the two."""
    return {
        "linear": np.maximum(1 - elasticity * (ratio - 1), math.exp(-7)),
        "constant_elasticity": ratio**-elasticity,
        "exponential": np.exp(-elasticity * (ratio - 1)),
        "logit": 1 / (share + (1 - share) * np.exp(elasticity / (1 - share) * (ratio - 1))),
    }[family]


# ---------------------------------------------------------------- demand at prices


@pytest.mark.parametrize("family", CURVE_FAMILIES)
@pytest.mark.parametrize("elasticity", [0.7, 1.8])
def test_true_curve_against_monte_carlo(family, elasticity):
    """Outcomes at posted prices, and the curve at candidates, follow the formula."""
    draw = _draw(
        (12, 0, 4000), n_posted=2, n_candidates=5, curve_family=family, elasticity=elasticity,
        saturation=0.3, price_range=0.1,
    )  # fmt: skip
    assert draw.parameters["reference_price"][0].tolist() == pytest.approx([20] * 12)
    assert draw.parameters["elasticity"][0].tolist() == pytest.approx([elasticity] * 12)
    mean = draw.parameters["mean"][0, :, None].numpy()
    expected = mean * _curve(family, draw.posted[0].numpy() / 20, elasticity, 0.3)
    found = draw.outcomes[0].numpy()
    assert found.shape == (12, 2, 4000)
    error = 0.3 / math.sqrt(4000)
    np.testing.assert_allclose(found.mean(axis=2), expected, rtol=5 * error)
    np.testing.assert_allclose(found.std(axis=2) / expected, 0.3, rtol=0.1)
    candidates = draw.candidates[0].numpy()
    true = mean * _curve(family, candidates / 20, elasticity, 0.3)
    np.testing.assert_allclose(draw.curve[0], true, rtol=1e-4)
    np.testing.assert_allclose(draw.unit_cost[0], 8.0, rtol=1e-6)
    assert (draw.candidates.diff() > 0).all()
    steps = draw.candidates.diff()  # evenly spaced between the bounds
    torch.testing.assert_close(steps, steps[..., :1].expand_as(steps), rtol=1e-3, atol=1e-4)


def test_past_demand_follows_the_same_curve():
    draw = _draw((30, 3000, 1), elasticity=1.5, price_range=0.3)
    demand, prices = draw.observations[0].numpy(), draw.prices[0].numpy()
    x, level = np.log(prices / 20), draw.parameters["mean"][0, :, None].numpy()
    ratio = demand / (level * np.exp(-1.5 * x))
    assert ratio.mean() == pytest.approx(1, abs=5 * 0.3 / math.sqrt(ratio.size))
    for part in (x < -0.2, x > 0.2):
        assert ratio[part].mean() == pytest.approx(1, abs=0.01)
    assert x.std() == pytest.approx(0.3, rel=0.1)


def test_whole_portfolios_have_whole_demand():
    draw = _draw((20, 6, 5), noise_family="poisson", level=3.0, whole=1.0)
    assert torch.equal(draw.observations, draw.observations.round())
    assert torch.equal(draw.outcomes, draw.outcomes.round())
    assert draw.whole.tolist() == [1]


# ---------------------------------------------------------------- elasticities


def test_elasticities_are_as_spread_as_asked():
    logs = _draw((2000, 0, 1), elasticity=1.3, elasticity_spread=0.4).parameters["elasticity"].log()
    assert logs.mean().item() == pytest.approx(math.log(1.3), abs=0.04)
    assert logs.std().item() == pytest.approx(0.4, rel=0.07)


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
def test_elasticities_go_with_levels(correlation):
    draw = _draw((2000, 0, 1), spread=1.0, elasticity_spread=0.3, level_correlation=correlation)
    logs = [draw.parameters[name][0].log() for name in ("elasticity", "mean")]
    assert np.corrcoef(logs)[0, 1] == pytest.approx(correlation, abs=0.07)


def test_segments_of_elasticities():
    """Two or three centres have lighter tails than a normal law."""
    found = {}
    for family in ELASTICITY_FAMILIES:
        draw = _draw((400, 0, 1), size=100, elasticity_family=family, elasticity_spread=0.5)
        logs = draw.parameters["elasticity"].log().numpy()
        found[family] = np.median(stats.kurtosis(logs, axis=1))
    assert found["lognormal"] == pytest.approx(0, abs=0.1)
    assert found["segments"] < -0.6


# ---------------------------------------------------------------- prices


def test_reference_prices():
    one = _draw((1000, 0, 1), price=7.0).parameters["reference_price"]
    torch.testing.assert_close(one, torch.full_like(one, 7.0))
    logs = _draw((2000, 0, 1), price=7.0, price_spread=0.5).parameters["reference_price"].log()
    assert logs.mean().item() == pytest.approx(math.log(7), abs=0.05)
    assert logs.std().item() == pytest.approx(0.5, rel=0.07)
    draw = _draw((50, 3, 1), price_spread=0.5, cost_share=0.25)
    torch.testing.assert_close(draw.unit_cost, 0.25 * draw.parameters["reference_price"])


def test_past_prices_are_few_and_around_the_usual_one():
    draw = _draw((300, 40, 1), size=4, n_prices=3.0, price_range=0.1)
    distinct = [len(np.unique(row)) for row in draw.prices.flatten(0, 1).numpy()]
    assert max(distinct) == 3
    spread = (draw.prices / 20).log()
    assert 0.07 < spread.std().item() < 0.13
    single = _draw((300, 40, 1), one_price=1.0, price_range=0.3, price_shift=0.2)
    assert (single.prices == single.prices[..., :1]).all()
    usual = (single.prices[..., 0] / 20).log()
    assert 0.02 < usual.std().item() < 0.5
    assert single.prices.unique().numel() > 1


def test_some_rows_of_a_portfolio_have_had_one_price():
    draw = _draw((400, 6, 1), size=60, mixed_prices=1.0, price_range=0.3, n_prices=20.0)
    single = (draw.prices == draw.prices[..., :1]).all(-1).float().mean(-1)
    assert stats.kstest(single.numpy(), "uniform").pvalue > 1e-3
    assert not (_draw((400, 6, 1), n_prices=20.0).prices == draw.prices[:1, :, :1]).all(-1).any()


def test_dear_products_sell_less():
    """Between instances; of one of them demand falls with its own elasticity."""
    draw = _draw((400, 6, 1), price_spread=0.8, level_slope=-1.2, spread=0.0, elasticity=3.0)
    logs = [draw.parameters[name][0].log() for name in ("reference_price", "mean")]
    slope, _ = np.polyfit(*logs, 1)
    assert slope == pytest.approx(-1.2, abs=1e-4)


@pytest.mark.parametrize("endogeneity", [-0.5, 0.8])
def test_endogenous_prices_go_with_demand(endogeneity):
    """Past prices rise (or fall) with what is known of demand; later ones do not."""
    changes = {"noise": 0.5, "price_range": 0.05, "endogeneity": endogeneity}
    draw = _draw((200, 30, 40), elasticity=1.0, **changes)
    log_demand, x = draw.observations[0].log().numpy(), (draw.prices[0] / 20).log().numpy()
    shock = log_demand + x  # beyond the curve
    centred = [v - v.mean(axis=1, keepdims=True) for v in (shock, x)]
    correlation = np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1]
    assert np.sign(correlation) == np.sign(endogeneity)
    assert abs(correlation) > 0.25
    slope = (centred[1] * log_demand).sum() / (centred[1] ** 2).sum()
    assert (slope > -1) == (endogeneity > 0)  # the naive slope misleads
    later = draw.outcomes[0, :, 0].mean(-1) / (50 * (draw.posted[0, :, 0] / 20) ** -1)
    assert later.mean().item() == pytest.approx(1, abs=0.03)
    outside = np.corrcoef(later.log(), draw.posted[0, :, 0].log())[0, 1]
    assert abs(outside) < 0.25
    plain = _draw((200, 30, 40), elasticity=1.0, **{**changes, "endogeneity": 0.0})
    shock, x = plain.observations[0].log() + (plain.prices[0] / 20).log(), plain.prices[0].log()
    assert abs(np.corrcoef(shock.ravel(), x.ravel())[0, 1]) < 0.06


def test_missing_pairs():
    draw = _draw((500, 10, 1), missing=0.3)
    assert draw.observations.isnan().float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert not draw.outcomes.isnan().any()


def test_kinds_are_mixed_in_one_draw():
    """Each portfolio keeps its own curve, elasticity and prices."""
    names = {**PLAIN, "curve_family": 0}
    hyper = {n: torch.full((2,), 0.0 if isinstance(v, str) else v) for n, v in names.items()}
    hyper.update(
        {name: torch.zeros(2, dtype=torch.int64) for name in CODES},
        noise_family=torch.full((2,), NOISE_FAMILIES.index("gamma")),
        curve_family=torch.tensor([CURVE_FAMILIES.index(f) for f in ("linear", "exponential")]),
        elasticity=torch.tensor([0.5, 3.0]),
        price=torch.tensor([5.0, 50.0]),
        one_price=torch.tensor([1.0, 0.0]),
    )
    draw = draw_priced_portfolios(hyper, 9, 5, 2, torch.Generator().manual_seed(0), 1, 4)
    for b, (family, e, price) in enumerate((("linear", 0.5, 5.0), ("exponential", 3.0, 50.0))):
        mean = draw.parameters["mean"][b, :, None].numpy()
        true = mean * _curve(family, draw.candidates[b].numpy() / price, e)
        np.testing.assert_allclose(draw.curve[b], np.clip(true, mean * math.exp(-7), None), 1e-4)
    assert (draw.prices[0] == draw.prices[0, :, :1]).all()
    assert not (draw.prices[1] == draw.prices[1, :, :1]).all()


# ---------------------------------------------------------------- the prior

DRAWN = ("observations", "outcomes", "prices", "posted")


def _same(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in DRAWN)


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(0, 9), st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_equal_seeds_give_equal_portfolios(seed, rows, cells, later):
    def sample(seed):
        sizes = {"n_instances": rows, "n_observations": cells, "n_outcomes": later}
        return PricingPrior().sample(2, **sizes, random_state=seed)

    first, again, other = sample(seed), sample(seed), sample((seed + 1) % 2**32)
    one = first[0]
    assert one.observations.shape == one.prices.shape == (rows, cells)
    assert one.outcomes.shape == (rows, later)
    assert one.posted.shape == one.parameters["elasticity"].shape == (rows,)
    assert one.costs["unit_cost"].shape == one.constraints["low"].shape == (rows,)
    np.testing.assert_array_equal(np.isnan(one.prices), np.isnan(one.observations))
    assert (one.posted > 0).all()
    assert (one.constraints["low"] < one.constraints["high"]).all()
    assert (one.observations[one.mask] >= 0).all()
    assert one.integer == (one.parameters["whole"] == 1)
    assert all(_same(a, b) for a, b in zip(first, again, strict=True))
    assert not _same(first[0], first[1])
    assert not _same(first[0], other[0])


def test_seed_of_the_prior():
    (own,) = PricingPrior(random_state=3).sample()
    (given_,) = PricingPrior().sample(random_state=3)
    assert _same(own, given_)


def test_what_is_drawn_lies_in_its_ranges():
    prior = PricingPrior(
        demand=SyntheticPrior(level=(5.0, 6.0), n_instances=3, n_observations=4),
        curve_families={"linear": 1.0, "logit": 0.0},
        elasticity=stats.uniform(2.0, 0.5),
        elasticity_families="segments",
        elasticity_spread=0.0,
        price=(3.0, 4.0),
        one_scale_share=1.0,
        one_price_share=1.0,
        endogenous_share=0.0,
        cost_share=0.5,
    )
    for portfolio in prior.sample(20, random_state=0):
        parameters = portfolio.parameters
        assert portfolio.observations.shape == (3, 4)
        assert parameters["curve_family"] == "linear"
        assert parameters["elasticity_family"] == "segments"
        # of the portfolio, and, without spread, of every instance
        assert ((parameters["elasticity"] >= 2) & (parameters["elasticity"] <= 2.5)).all()
        assert ((parameters["reference_price"] >= 3) & (parameters["reference_price"] <= 4)).all()
        assert len(set(parameters["reference_price"])) == 1
        assert 5 <= parameters["level"] <= 6
        seen = np.where(np.isnan(portfolio.prices), 0, portfolio.prices)
        widest = np.where(seen > 0, seen, seen.max(axis=1, keepdims=True)).min(axis=1)
        np.testing.assert_allclose(widest, seen.max(axis=1))
        half = 0.5 * parameters["reference_price"]
        np.testing.assert_allclose(portfolio.costs["unit_cost"], half, rtol=1e-6)


def test_shares_are_kept():
    shares = {"one_scale_share": 0.6, "endogenous_share": 0.2, "mixed_price_share": 0.4}
    prior = PricingPrior(one_price_share=0.3, **shares)
    hyper = prior.hyperprior().draw(5000, np.random.RandomState(0))
    error = 4 * 0.5 / math.sqrt(5000)
    assert hyper["one_price"].mean() == pytest.approx(0.3, abs=error)
    assert hyper["mixed_prices"].mean() == pytest.approx(0.4, abs=error)
    assert (hyper["price_spread"] == 0).mean() == pytest.approx(0.6, abs=error)
    assert (hyper["endogeneity"] != 0).mean() == pytest.approx(0.2, abs=error)
    np.testing.assert_array_equal(hyper["n_prices"], np.rint(hyper["n_prices"]))
    logs = np.log(hyper["price"])
    assert stats.kstest(logs, "uniform", (np.log(0.5), np.log(400))).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("elasticity", (0.0, 2.0)),
        ("elasticity", (2.0, 1.0)),
        ("elasticity", 99.0),
        ("elasticity", (1.0, math.nan)),
        ("elasticity_spread", -0.1),
        ("level_correlation", (-2.0, 0.0)),
        ("saturation", (0.0, 0.5)),
        ("saturation", (0.5, 1.0)),
        ("price", 0.0),
        ("price", (-1.0, 5.0)),
        ("price_spread", 4.0),
        ("price_shift", "wide"),
        ("price_range", 1.5),
        ("n_prices", 0),
        ("endogeneity", (0.0, 1.5)),
        ("cost_share", -0.1),
        ("curve_families", ("cubic",)),
        ("curve_families", {"linear": -1.0}),
        ("elasticity_families", ()),
        ("one_price_share", 1.2),
        ("one_scale_share", True),
        ("endogenous_share", math.nan),
    ],
)
def test_ranges_are_refused(name, value):
    prior = PricingPrior(**{name: value})
    for use in (prior.hyperprior, prior.sample):
        with pytest.raises(ValueError, match=f"^{name} must"):
            use()


def test_ranges_of_demand_are_refused_too():
    prior = PricingPrior(demand=SyntheticPrior(level=(-1.0, 5.0)))
    with pytest.raises(ValueError, match=r"^level must"):
        prior.sample()


@pytest.mark.parametrize("size", ["n_portfolios", "n_instances", "n_observations", "n_outcomes"])
def test_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"^{size} must be a whole number"):
        PricingPrior().sample(**{size: -1})


def test_descriptions_and_clones():
    prior = PricingPrior(
        demand=SyntheticPrior(level=(3.0, 9.0)),
        curve_families={"logit": 2.0, "linear": 1.0},
        elasticity=stats.loguniform(0.5, 2.0),
        price=10.0,
        random_state=3,
    )
    described = json.loads(json.dumps(prior.describe()))
    assert set(described) == {"demand", *RANGES, *FAMILIES, *SHARES}
    again = PricingPrior.from_description(described)
    assert canonical_key(again.describe()) == canonical_key(prior.describe())
    drawn = prior.sample(random_state=0)[0]
    assert _same(again.sample(random_state=0)[0], drawn)
    assert _same(clone(prior).sample(random_state=0)[0], drawn)
    assert not _same(PricingPrior().sample(random_state=0)[0], drawn)
    plain = PricingPrior()
    default = PricingPrior.from_description(json.loads(json.dumps(plain.describe())))
    assert _same(default.sample(random_state=0)[0], plain.sample(random_state=0)[0])
    nested = clone(prior).set_params(demand__level=7.0, price=(1.0, 2.0))
    assert nested.describe()["demand"]["level"] == 7.0
    assert prior.describe()["demand"]["level"] == [3.0, 9.0]


# ---------------------------------------------------------------- pretraining

SMALL = PricingPrior(demand=SyntheticPrior(n_instances=(5, 20), n_observations=(1, 5)))


def test_batches_have_prices_and_profits():
    inputs, targets = PortfolioStream(SMALL, range(1), 60, 6, 0, "cpu").batch(0)
    size, rows, cells = inputs["observations"].shape
    assert inputs["prices"].shape == (size, rows, cells)
    n_posted, n_candidates = inputs["posted"].shape[-1], inputs["candidates"].shape[-1]
    assert targets["outcomes"].shape == (size, rows * n_posted, 6 // n_posted)
    assert targets["margins"].shape == targets["profit"].shape == (size, rows, n_candidates)
    cost = inputs["candidates"] - targets["margins"]  # the same at every price
    torch.testing.assert_close(cost, cost[..., :1].expand_as(cost), rtol=1e-4, atol=1e-4)
    assert (cost >= -1e-4).all()
    demand = targets["profit"] / targets["margins"]
    assert (demand.diff()[targets["margins"].abs().amin(-1) > 1e-3] <= 1e-4 * demand.max()).all()
    output = DecisionNetwork(NetworkConfig(**TINY))(**inputs)
    assert output.quantiles.shape[:2] == targets["outcomes"].shape[:2]
    assert output.curve.shape == targets["profit"].shape


@pytest.fixture(scope="module")
def made():
    network = NetworkConfig(**TINY)
    return pretrain(SMALL, network=network, n_steps=2, rows=50, verbose=0, decision_weight=1.5)


def test_pretraining(made):
    card = made.card
    assert card["network"] == NetworkConfig(**TINY).to_dict()
    assert card["prior"] == SMALL.describe()
    assert card["training"]["decision_weight"] == 1.5
    assert math.isfinite(card["quality"]["validation_loss"])
    portfolio = SMALL.sample(n_instances=9, n_observations=3, random_state=0)[0]
    X = np.nan_to_num(np.hstack([portfolio.prices, portfolio.observations]), nan=1.0)
    problem = Pricing([0, 1, 2], [3, 4, 5])
    pdt = PretrainedDecisionTransformer(problem, checkpoint=made, finetune=None).fit(X)
    usual = np.exp(np.log(X[:, :3]).mean(axis=1))
    prices = pdt.decide(X)
    assert ((prices >= usual / 1.5 * 0.999) & (prices <= usual * 1.5 * 1.001)).all()


def test_kinds_that_differ_are_refused(made):
    demand = Checkpoint.from_network(DecisionNetwork(NetworkConfig(width=16, n_layers=1)), {})
    for settings_ in (
        {"prior": SMALL, "network": NetworkConfig(width=16)},
        {"prior": SMALL, "checkpoint": demand},
        {"prior": SyntheticPrior(), "network": NetworkConfig(**TINY)},
        {"prior": SyntheticPrior(), "checkpoint": made},
    ):
        what = "checkpoint" if "checkpoint" in settings_ else "network"
        with pytest.raises(ValueError, match=f"^prior=.* draws outcomes .* but the {what} is for"):
            pretrain(**settings_, n_steps=1, verbose=0)
    with pytest.raises(ValueError, match=r"^decision_weight must be a number in \[0"):
        pretrain(SMALL, decision_weight=-1.0, n_steps=1, verbose=0)
    X = np.random.default_rng(0).uniform(1, 2, (8, 6))
    pdt = PretrainedDecisionTransformer(
        Newsvendor(), prior=SMALL, checkpoint=made, pretrain_steps=1, finetune=None
    )
    with pytest.raises(ValueError, match="a network of demand at prices cannot decide"):
        pdt.set_params(prior=None).fit(X)


def test_the_recipe_of_the_shipped_checkpoint():
    assert "price" in recipe_names()
    arguments = load_recipe("price")
    assert isinstance(arguments["prior"], PricingPrior)
    assert isinstance(arguments["problem"], Pricing)
    assert arguments["network"].outcomes == "prices"
    hyperprior = arguments["prior"].hyperprior()
    assert set(hyperprior.draw(3, np.random.RandomState(0))) >= {"elasticity", "level", "whole"}
    # what it says of the prior is what the prior says by itself, but for weights of families and
    # what the prior had not when these weights were trained
    own, plain = arguments["prior"].describe(), PricingPrior().describe()
    differ = {name for name in own if own[name] != plain[name]}
    assert differ <= {"curve_families", "demand", "mixed_price_share", "level_slope"}
    assert not own["mixed_price_share"]
    assert not own["level_slope"]


def test_recipes_refuse_what_is_unknown(tmp_path):
    recipe = tmp_path / "own.toml"
    text = '[prior.demand]\n{} = [1.0, 9.0]\n[network]\noutcomes = "prices"\n'
    recipe.write_text(text.format("level"))
    assert load_recipe(recipe)["prior"].describe()["demand"]["level"] == [1.0, 9.0]
    recipe.write_text(text.format("lever"))
    with pytest.raises(ValueError, match=r"own.toml has an unknown setting: .*lever"):
        load_recipe(recipe)
