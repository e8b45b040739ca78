"""What is read off a portfolio's context: moments by hand, known laws, and what cannot matter."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf._kinds.demand.units import (
    PortfolioUnits,
    as_rows,
    excess_log_noise,
    level_credibility,
    n_zeros,
    noise_credibility,
    portfolio_units,
    positive_part,
    row_level,
    row_noise,
    zero_credibility,
)
from sklearn_pttf.testing import GammaPoisson, ZeroInflatedPoisson

NAN = math.nan


def _tensor(X):
    return torch.tensor(np.asarray(X), dtype=torch.float64)[None]


def _rows(X):
    return as_rows(_tensor(X))


def _portfolio(pieces, whole, weights=None):
    """Units of one portfolio, whose rows come in pieces; a `PortfolioUnits` of floats."""
    pieces = [_rows(piece) for piece in pieces]
    if weights is None:
        weights = [np.ones(piece.count.shape[1]) for piece in pieces]
    weights = [_tensor(weight) for weight in weights]
    whole = torch.full((1, 1), float(whole), dtype=torch.float64)
    return PortfolioUnits(*(x.item() for x in portfolio_units(pieces, weights, whole)))


def _units(X, whole):
    return _portfolio([X], whole)


def _as_tensors(units, **changes):
    values = {**units._asdict(), **changes}
    return PortfolioUnits(
        **{name: torch.full((1, 1), x, dtype=torch.float64) for name, x in values.items()}
    )


def _chosen(**values):
    """Units with some values chosen, the others those of a portfolio of two amounts."""
    return _as_tensors(_units([[1.0, 2.5]], False), **values)


# ---------------------------------------------------------------- rows, by hand


def test_rows_by_hand():
    rows = _rows([[3.0, NAN, 0.0], [NAN, NAN, NAN]])
    assert rows.values.tolist() == [[[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]]
    assert rows.seen.tolist() == [[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    assert rows.count.tolist() == [[2.0, 0.0]]
    assert n_zeros(rows).tolist() == [[1.0, 0.0]]


def test_levels_and_positive_parts_by_hand():
    scale = torch.tensor([[2.0]], dtype=torch.float64)
    rows = _rows([[2.0, 6.0, 0.0], [NAN, NAN, NAN], [0.0, 0.0, NAN]])
    # a quarter of an observation of 1 is added; outcomes in units of 2 are 1, 3 and 0
    level = [4.25 / 3.25, 1.0, 0.25 / 2.25]
    np.testing.assert_allclose(row_level(rows, scale)[0], level)
    part = positive_part(rows, scale)
    assert part.count.tolist() == [[2.0, 0.0, 0.0]]
    np.testing.assert_allclose(part.level[0], [4.25 / 2.25, 1.0, 1.0])
    # 1 and 3 are each 1 from their mean
    np.testing.assert_allclose(part.squares[0], [2 / (4.25 / 2.25) ** 2, 0.0, 0.0])


def test_scale_is_the_geometric_mean_of_positive_observations():
    X = [[1.0, 4.0, 0.0], [16.0, NAN, 0.0], [0.0, 0.0, 0.0], [NAN, NAN, NAN]]
    # geometric means of the first two rows: 2 and 16
    assert _units(X, False).scale == pytest.approx(math.sqrt(32))


def test_row_noise_by_hand():
    amounts = _chosen(extra_noise=0.3, count_share=1.0, scale=2.0, whole=0.0)
    counts = _chosen(extra_noise=0.3, count_share=0.8, scale=2.0, whole=1.0)
    level = torch.tensor([[4.0]], dtype=torch.float64)
    assert row_noise(amounts, level).item() == pytest.approx(0.3)
    # a level of 8 counts: 0.8 of the relative Poisson variance 1 / 8
    assert row_noise(counts, level).item() == pytest.approx(math.sqrt(0.09 + 0.8 / 8))


def test_excess_noise_by_hand():
    units = _chosen(extra_noise=0.5, scale=1.0, whole=0.0)
    rows = _rows([[1.0, 3.0], [7.0, NAN], [NAN, NAN]])
    level = row_level(rows, units.scale)
    variance = 2 / (4.25 / 2.25) ** 2
    excess = [0.5 * math.log(variance / 0.25 + 0.05), 0.0, 0.0]
    np.testing.assert_allclose(excess_log_noise(rows, units, level)[0], excess)


def test_level_credibility_by_hand():
    units = _chosen(extra_noise=0.5, level_variance=0.09, scale=1.0, whole=0.0)
    rows = _rows([[2.0, 3.0, 4.0, 1.0], [2.0, NAN, NAN, NAN], [NAN] * 4])
    trust = level_credibility(rows, units, row_level(rows, units.scale))[0]
    # Buhlmann: variance between rows, over it plus the variance of a row's mean
    by_hand = [0.09 / (0.09 + 0.25 / 4), 0.09 / (0.09 + 0.25), 0.09 / (0.09 + 2.5)]
    np.testing.assert_allclose(trust, by_hand)


def test_noise_credibility_by_hand():
    rows = _rows([[2.0, 6.0, 4.0]])
    chance = math.pi**2 / 24  # of half the log of a chi-square of two degrees of freedom
    amounts = _chosen(noise_variance=0.1, scale=2.0, whole=0.0)
    assert noise_credibility(rows, amounts).item() == pytest.approx(0.1 / (0.1 + chance))
    counts = _chosen(noise_variance=0.1, scale=2.0, whole=1.0)
    counted = 3 * 2 * 6.25 / 3.25  # observations times counts a level
    trust = 0.1 / (0.1 + chance + 0.25 / counted)
    assert noise_credibility(rows, counts).item() == pytest.approx(trust)


def test_zero_credibility_by_hand():
    """Beta-binomial: a correlation of 0.2 is worth 1 / 0.2 - 1 = 4 observations."""
    X = [
        [0.0, 0.0, 5.0, 5.0, 5.0],
        [0.0, 0.0, 500.0, 500.0, 500.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [5.0, 5.0, NAN, NAN, NAN],
        [NAN, NAN, NAN, NAN, NAN],
    ]
    amounts = _chosen(zero_trust=0.2, extra_zeros=0.3, scale=5.0, whole=0.0)
    shares = [(2 + 1.2) / 9, (2 + 1.2) / 9, (5 + 1.2) / 9, 1.2 / 6, 0.3]
    np.testing.assert_allclose(zero_credibility(_rows(X), amounts)[0], shares)
    # a zero among counts of 5 is worth one half, among large ones one, among zeros nothing
    counts = _chosen(zero_trust=0.2, extra_zeros=0.3, scale=5.0, whole=1.0)
    shares = [(1 + 1.2) / 9, (2 + 1.2) / 9, 1.2 / 9, 1.2 / 6, 0.3]
    np.testing.assert_allclose(zero_credibility(_rows(X), counts)[0], shares, rtol=1e-6)


def test_zero_moments_by_hand():
    """Pairs of observations; 60 rows without a zero, 80 with one, 60 with two."""
    X = [[1.0, 2.0]] * 60 + [[0.0, 3.0]] * 80 + [[0.0, 0.0]] * 60
    units = _units(X, False)
    assert units.zero_share == pytest.approx(0.5)
    assert units.extra_zeros == pytest.approx(0.5, abs=1e-5)
    # squares over the depth: (80 + 60 * 4) / 2; of them by the common share: 0.5 * 200
    spread = (160 - 100 + 0.1) / (200 * 0.25 + 0.1)
    assert units.zero_spread == pytest.approx(spread, rel=1e-4)
    # a correlation: spread less 1, over one observation less than the depth
    assert units.zero_trust == pytest.approx((spread - 1 + 0.03) / (2 - 1 + 0.1), rel=1e-3)


# ---------------------------------------------------------------- portfolios of known laws


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_small_poisson_counts_are_explained_by_counting(seed):
    X = GammaPoisson(0.5, 0.1).sample(500, 10, random_state=seed).observations
    units = _units(X, True)
    level = row_level(_rows(X), units.scale)
    poisson_noise = (1 / (units.scale * level)).sqrt().median().item()
    assert 0.5 < poisson_noise < 1
    assert units.extra_noise < 0.2 * poisson_noise
    assert units.count_share > 0.9
    assert units.noise_variance == pytest.approx(0.002)  # as little as there may be
    assert row_noise(_as_tensors(units), level).median().item() == pytest.approx(
        poisson_noise, rel=0.05
    )
    # of the negative binomial: (0.1 / 1.1) ** 0.5; standard error 0.016
    assert units.zero_share == pytest.approx(0.3015, abs=0.05)
    assert units.extra_zeros < 0.02


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_zeros_of_zero_inflated_counts_are_extra(seed):
    # zero rates: beta(4, 6), of mean 0.4; means: gamma(20) / 0.5, of mean 40
    law = ZeroInflatedPoisson(4.0, 6.0, 20.0, 0.5)
    units = _units(law.sample(500, 10, random_state=seed).observations, True)
    assert units.extra_zeros == pytest.approx(0.4, abs=0.03)
    assert units.zero_share == pytest.approx(units.extra_zeros, abs=0.01)
    assert units.zero_trust == pytest.approx(1 / 11, abs=0.035)
    # Poisson noise: the mean of 1 / mean is 0.5 / 19
    assert units.positive_noise == pytest.approx(math.sqrt(0.5 / 19), rel=0.07)
    assert units.noise > 5 * units.positive_noise


def test_rows_of_small_counts_do_not_tell_about_extra_zeros():
    rng = np.random.RandomState(0)
    large = rng.poisson(40, size=(500, 10)) * (rng.uniform(size=(500, 10)) >= 0.4)
    small = rng.poisson(0.2, size=(500, 10))
    units = _units(np.vstack([large, small]), True)
    assert units.zero_share == pytest.approx((0.4 + math.exp(-0.2)) / 2, abs=0.02)
    assert units.extra_zeros == pytest.approx(0.4, abs=0.03)
    trusted = zero_credibility(_rows(small), _as_tensors(units))[0]
    assert (trusted <= units.extra_zeros).all()  # their own zeros do not count
    # rows without a positive count tell nothing at all
    alone, with_nothing = _units(large, True), _units(np.vstack([large, 0 * large]), True)
    for name in ("extra_zeros", "zero_spread", "zero_trust"):
        assert getattr(with_nothing, name) == pytest.approx(getattr(alone, name), rel=1e-6), name


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_own_zero_rates_are_believed_as_bayes_would(seed):
    rng = np.random.RandomState(seed)
    rate = rng.beta(2, 3, size=(3000, 1))
    X = rng.gamma(4, 5, size=(3000, 10)) * (rng.uniform(size=(3000, 10)) >= rate)
    units = _units(X, False)
    assert units.zero_trust == pytest.approx(1 / 6, rel=0.12)
    # variance of the number of zeros of a row against the binomial one: 1 + 9 / 6
    assert units.zero_spread == pytest.approx(2.5, rel=0.08)
    posterior_mean = (2 + (X == 0).sum(axis=1)) / (2 + 3 + 10)
    trusted = zero_credibility(_rows(X), _as_tensors(units))[0]
    np.testing.assert_allclose(trusted, posterior_mean, atol=0.02)


def test_a_common_zero_rate_leaves_rows_no_say():
    rng = np.random.RandomState(0)
    X = rng.gamma(4, 5, size=(3000, 10)) * (rng.uniform(size=(3000, 10)) >= 0.4)
    units = _units(X, False)
    assert units.zero_spread == pytest.approx(1, abs=0.08)
    trusted = zero_credibility(_rows(X), _as_tensors(units))[0].numpy()
    assert trusted.mean() == pytest.approx(0.4, abs=0.01)
    assert trusted.std() < 0.2 * (X == 0).mean(axis=1).std()


@pytest.mark.parametrize("shape", [4.0, 25.0])
def test_noise_and_levels_of_amounts(shape):
    rng = np.random.RandomState(0)
    mean = np.exp(0.6 * rng.normal(size=(3000, 1)) + 3)
    units = _units(mean * rng.gamma(shape, 1 / shape, size=(3000, 10)), False)
    assert units.noise == pytest.approx(shape**-0.5, rel=0.03)
    assert units.extra_noise == units.noise  # amounts have no noise of counting
    assert units.positive_noise == pytest.approx(units.noise, rel=1e-5)
    assert units.count_share == 1
    assert units.noise_variance == pytest.approx(0.002)
    # a quarter of an observation in 10 1/4 pulls levels together
    pull = (10 / 10.25) ** 2
    assert units.level_variance == pytest.approx(pull * np.log(mean).var(), rel=0.05)
    assert units.zero_share == 0


def test_chance_is_no_difference_of_levels():
    """The mean of two observations of variation 0.5 varies as much as the levels do."""
    rng = np.random.RandomState(0)
    pull = (2 / 2.25) ** 2  # a quarter of an observation pulls levels together
    for deviation in (0.0, 0.35):
        mean = np.exp(deviation * rng.normal(size=(5000, 1)))
        units = _units(mean * rng.gamma(4, 0.25, size=(5000, 2)), False)
        assert units.spread**2 == pytest.approx(pull * (deviation**2 + 0.25 / 2), rel=0.07)
        assert units.level_variance == pytest.approx(pull * deviation**2, abs=0.01)


@pytest.mark.parametrize("level", [20, 200])
def test_extra_noise_of_negative_binomial_counts(level):
    rng = np.random.RandomState(0)
    mean = level * np.exp(0.6 * rng.normal(size=(1000, 1)))
    X = rng.poisson(mean * rng.gamma(4, 0.25, size=(1000, 10)))
    units = _units(X, True)
    assert units.extra_noise == pytest.approx(0.5, rel=0.05)
    assert units.count_share == 1


def test_binomial_counts_are_quieter_than_poisson_counts():
    X = np.random.RandomState(0).binomial(50, 0.8, size=(1000, 10))
    units = _units(X, True)
    assert units.count_share == pytest.approx(0.2, rel=0.05)  # variance over mean: 1 - 0.8
    assert units.noise == pytest.approx(math.sqrt(0.2 / 40), rel=0.03)
    assert units.extra_noise < 0.1 * units.noise
    # squares of chi-squares of 9 degrees of freedom: 1 + 2 / 9 times those of their mean
    assert units.unevenness == pytest.approx(math.log(1 + 2 / 9), abs=0.03)
    assert units.level_variance == pytest.approx(0.0005)


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_differences_of_noise_are_noticed(spread):
    rng = np.random.RandomState(0)
    noise = 0.2 * np.exp(spread * rng.normal(size=(3000, 1)))
    units = _units(np.exp(noise * rng.normal(size=(3000, 10))), False)
    # somewhat less than there is: a twentieth of the expected variance is added to each row's
    assert units.noise_variance == pytest.approx(max(0.8 * spread**2, 0.002), rel=0.2)
    # fourth moments: exp(4 * spread^2) times those of equal noise
    assert units.unevenness == pytest.approx(math.log(1 + 2 / 9) + 4 * spread**2, abs=0.15)


@pytest.mark.parametrize("power", [-1, 0, 1])
def test_slope_tells_which_rows_are_noisier(power):
    """Relative variance is a power of the level, whose log is normal of variance 0.36."""
    rng = np.random.RandomState(0)
    z = 0.6 * rng.normal(size=(5000, 1))
    noise = 0.1 * np.exp(0.5 * power * z)
    X = 50 * np.exp(z) * (1 + noise * rng.uniform(-1, 1, size=(5000, 10)) * math.sqrt(3))
    assert _units(X, False).slope == pytest.approx(0.36 * power, abs=0.06)


# ---------------------------------------------------------------- what cannot matter


def _tables(elements):
    shapes = st.tuples(st.integers(1, 8), st.integers(1, 5))
    cells = st.one_of(elements, st.just(0.0), st.just(NAN))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=cells))


COUNTS = _tables(st.integers(0, 1000).map(float))
AMOUNTS = _tables(st.floats(0.01, 1e6))


@given(COUNTS, st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_units_do_not_depend_on_orders_or_pieces(X, whole, random):
    reference = _units(X, whole)
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    cut = random.randint(0, len(X))
    shuffled = X[rows][:, cells]
    first, second = shuffled[:cut], shuffled[cut:]
    again = _portfolio([first, second], whole)
    np.testing.assert_allclose(again, reference, rtol=1e-7, atol=1e-9)


@given(COUNTS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_without_weight_are_not_there(X, whole):
    wider = np.vstack([X, np.full((1, X.shape[1]), 77.0), X[:1]])
    weights = np.append(np.ones(len(X)), [0.0, 0.0])
    again = _portfolio([wider], whole, [weights])
    np.testing.assert_allclose(again, _units(X, whole), rtol=1e-7, atol=1e-9)


@given(AMOUNTS, st.floats(1e-6, 1e6))
@settings(max_examples=80, deadline=None)
def test_units_of_amounts_are_scale_equivariant(X, factor):
    reference, scaled = _units(X, False), _units(factor * X, False)
    if np.nansum(X) > 0:
        assert scaled.scale == pytest.approx(factor * reference.scale, rel=1e-9)
    same = [reference._replace(scale=1.0), scaled._replace(scale=1.0)]
    np.testing.assert_allclose(*same, rtol=1e-6, atol=1e-8)


def test_units_of_counts_are_not_scale_equivariant():
    X = np.random.RandomState(0).poisson(3.0, size=(50, 8))
    assert _units(X, True).count_share > 0.9
    assert _units(X, True).extra_noise < 0.2
    assert _units(100 * X, True).extra_noise == pytest.approx(3**-0.5, rel=0.1)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "X",
    [
        np.empty((3, 0)),
        [[NAN, NAN]],
        [[0.0]],
        [[0.0, 0.0], [0.0, NAN]],
        [[1.0]],
        [[7.0, 7.0], [7.0, 7.0]],
        [[0.0, 1e8], [1e-3, NAN]],
        [[1.0, 2.0], [NAN, NAN], [0.0, 0.0], [1e6, 0.0]],
    ],
)
def test_odd_portfolios_have_finite_units(X, whole):
    units = _units(X, whole)
    assert np.isfinite(units).all()
    positive = ("scale", "spread", "level_variance", "noise", "extra_noise", "noise_variance")
    for name in (*positive, "positive_noise", "zero_trust"):
        assert getattr(units, name) > 0, name
    for name in ("zero_share", "extra_zeros", "count_share", "zero_trust"):
        assert 0 <= getattr(units, name) <= 1, name
    rows, units = _rows(X), _as_tensors(units)
    level = row_level(rows, units.scale)
    for trust in (
        level_credibility(rows, units, level),
        noise_credibility(rows, units),
        zero_credibility(rows, units),
    ):
        assert ((trust > 0) & (trust < 1)).all()
