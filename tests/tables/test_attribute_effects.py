"""What attributes tell of levels: shrunken means of log levels, and nothing of what is chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_pttf._tables.attributes import AttributeEffects
from sklearn_pttf._tables.portfolio import Portfolio


def labels(codes, name="kind"):
    return np.array([f"{name} {code}" for code in codes], dtype=object)


def lognormal_rows(rng, logs, n=1, noise=0.0):
    observations = np.exp(logs[:, None] + noise * rng.standard_normal((len(logs), n)))
    return 1000 * observations


@pytest.fixture
def two_kinds():
    """Forty large amounts, one a row, of two kinds."""
    rng = np.random.default_rng(0)
    codes = np.arange(40) % 2
    logs = codes * 2.0 + 0.3 * rng.standard_normal(40)
    return Portfolio(lognormal_rows(rng, logs), attributes={"kind": labels(codes)})


def test_effects_are_shrunken_means_of_logs(two_kinds):
    (told,) = AttributeEffects(two_kinds).told
    logs = np.log(two_kinds.observations[:, 0])
    means = np.array([logs[0::2].mean(), logs[1::2].mean()])
    assert told.levels == ("kind 0", "kind 1")
    # twenty rows of deviation 0.3 say all but surely what a kind is
    np.testing.assert_allclose(np.diff(told.effects), np.diff(means), rtol=0.02)
    np.testing.assert_allclose(told.effects.sum(), 0.0, atol=0.02)
    own = np.concatenate([logs[0::2] - means[0], logs[1::2] - means[1]]).std()
    np.testing.assert_allclose(told.standard_errors, own / np.sqrt(20), rtol=0.15)
    assert told.n_rows.tolist() == [20, 20]
    assert told.gain > 20


def test_offsets_of_rows_that_fit_did_not_see(two_kinds):
    effects = AttributeEffects(two_kinds)
    (told,) = effects.told
    kinds = np.array(["kind 1", "kind 7", None], dtype=object)
    new = effects.at(Portfolio(np.full((3, 1), np.nan), attributes={"kind": kinds}))
    np.testing.assert_allclose(new.offset, [told.effects[1], 0.0, 0.0])
    np.testing.assert_allclose(
        new.offset_doubt, [told.standard_errors[1], told.spread, told.spread]
    )


def test_what_a_row_said_itself_does_not_count_twice():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(60), 2)
    logs = np.repeat(rng.standard_normal(60), 2) + 0.2 * rng.standard_normal(120)
    known = Portfolio(lognormal_rows(rng, logs), attributes={"kind": labels(codes)})
    effects = AttributeEffects(known)
    (told,) = effects.told
    trust = 1 - (told.standard_errors / told.spread) ** 2  # p / (p + 1 / variance)
    half = trust / (2 - trust)  # of one row in place of two, p / 2
    partly = dict(zip(told.levels, told.effects * half / trust, strict=True))
    own = [partly[kind] for kind in labels(codes)]
    np.testing.assert_allclose(effects.at(known).offset, own)


@pytest.mark.parametrize("n_levels", [2, 40, 200, 400])
def test_labels_at_random_tell_nothing(n_levels):
    rng = np.random.default_rng(n_levels)
    rows = lognormal_rows(rng, 0.5 * rng.standard_normal(400), n=3, noise=0.5)
    codes = rng.permutation(400) % n_levels
    effects = AttributeEffects(Portfolio(rows, attributes={"kind": labels(codes)}))
    assert not effects.used
    assert effects.told == ()


@pytest.mark.parametrize(
    "values",
    [
        np.full(40, np.nan),
        np.full(40, 3.0),
        np.full(40, None, dtype=object),
        labels(np.zeros(40, dtype=int)),
        labels(np.arange(40)),
    ],
    ids=["missing", "constant", "missing text", "one label", "a label for each row"],
)
def test_attributes_without_anything_to_tell(two_kinds, values):
    alone = AttributeEffects(Portfolio(two_kinds.observations, attributes={"size": values}))
    assert alone.told == ()
    beside = AttributeEffects(
        Portfolio(two_kinds.observations, attributes=two_kinds.attributes | {"size": values})
    )
    assert [each.name for each in beside.told] == ["kind"]


def test_crossed_attributes_add_up():
    rng = np.random.default_rng(2)
    a, b = rng.integers(4, size=400), rng.integers(5, size=400)
    of_a, of_b = np.array([-1.0, 0, 0.2, 0.8]), np.array([-0.6, 0, 0, 0.2, 0.4])
    logs = of_a[a] + of_b[b] + 0.3 * rng.standard_normal(400)
    portfolio = Portfolio(lognormal_rows(rng, logs), attributes={"a": labels(a), "b": labels(b)})
    told = {each.name: each for each in AttributeEffects(portfolio).told}
    assert set(told) == {"a", "b"}
    np.testing.assert_allclose(np.diff(told["a"].effects), np.diff(of_a), atol=0.12)
    np.testing.assert_allclose(np.diff(told["b"].effects), np.diff(of_b), atol=0.12)


def test_pairs_where_they_tell_more():
    rng = np.random.default_rng(3)
    a, b = rng.integers(3, size=300), rng.integers(3, size=300)
    logs = 1.0 * (a == b) + 0.3 * (a == 0) + 0.2 * (b == 1) + 0.1 * rng.standard_normal(300)
    portfolio = Portfolio(lognormal_rows(rng, logs), attributes={"a": labels(a), "b": labels(b)})
    effects = AttributeEffects(portfolio)
    assert "a x b" in [each.name for each in effects.told]
    left = np.log(portfolio.observations[:, 0]) - effects.at(portfolio).offset
    assert left.std() < 0.13


def test_numbers_act_on_their_logs():
    rng = np.random.default_rng(4)
    size = np.exp(2 * rng.standard_normal(200))
    logs = 0.5 * np.log(size) + 0.2 * rng.standard_normal(200)
    portfolio = Portfolio(lognormal_rows(rng, logs), attributes={"size": size})
    effects = AttributeEffects(portfolio)
    first = effects.told[0]
    assert first.levels == ("per deviation",)
    np.testing.assert_allclose(first.effects[0], 0.5 * np.log(size).std(), rtol=0.1)
    # no further out than what was seen
    new = Portfolio(np.full((2, 1), np.nan), attributes={"size": np.array([size.max(), 1e9])})
    offset = effects.at(new).offset
    assert offset[0] == offset[1]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_rows_and_unit_mean_nothing(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(4, size=60)
    rows = lognormal_rows(rng, codes + 0.5 * rng.standard_normal(60), n=2, noise=0.4)
    order = rng.permutation(60)
    first = AttributeEffects(Portfolio(rows, attributes={"kind": labels(codes)}))
    second = AttributeEffects(
        Portfolio(16 * rows[order], integer=False, attributes={"kind": labels(codes[order])})
    )
    assert [each.name for each in first.told] == [each.name for each in second.told]
    for one, other in zip(first.told, second.told, strict=True):
        np.testing.assert_allclose(one.effects, other.effects, rtol=1e-6, atol=1e-9)


def test_one_wild_row_does_not_move_its_kind_far(two_kinds):
    wild = two_kinds.observations.copy()
    wild[0] *= 1e6
    (before,) = AttributeEffects(two_kinds).told
    (after,) = AttributeEffects(
        Portfolio(wild, attributes=two_kinds.attributes, integer=False)
    ).told
    # its log level is 13.8 higher, a twentieth of which is 0.69
    assert abs(np.diff(after.effects) - np.diff(before.effects)) < 0.3


def test_many_levels_are_fast():
    rng = np.random.default_rng(5)
    rows = rng.poisson(5.0, size=(10_000, 2)).astype(float)
    codes = rng.integers(10_000, size=10_000)
    assert not AttributeEffects(Portfolio(rows, attributes={"kind": labels(codes)})).used
