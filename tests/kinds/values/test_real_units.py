"""What is read off a context of real values: moments by hand, and what cannot matter."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf._kinds.values.features import (
    N_CELL_FEATURES,
    N_ORDER_STATISTICS,
    N_PORTFOLIO_FEATURES,
    N_ROW_FEATURES,
    cell_features,
    portfolio_features,
    row_features,
)
from sklearn_pttf._kinds.values.rows import real_rows
from sklearn_pttf._kinds.values.units import (
    N_REFINEMENTS,
    chance_variance,
    common_noise,
    counted_rows,
    exact_share,
    excess_log_noise,
    level_credibility,
    levelled_units,
    mean_shift,
    noise_credibility,
    placed_rows,
    posterior_deviation,
    posterior_of,
    real_units,
    row_mean,
    row_noise,
    standard,
    stray_share,
)
from support.tensors import batched

NAN = math.nan
MANY = settings(max_examples=60, deadline=None)


def _rows(X, errors=None):
    return real_rows(batched(X), None if errors is None else batched(errors))


def _units(*pieces, weights=None):
    """Units of one portfolio, whose rows come in pieces."""
    if weights is None:
        weights = [torch.ones_like(rows.count) for rows in pieces]
    return real_units(list(pieces), weights)


def _read(X, errors=None):
    """Rows and units of a portfolio."""
    rows = _rows(X, errors)
    return rows, _units(rows)


def _features(rows, units):
    """All that a network sees, in three arrays."""
    cells = cell_features(rows, units) * rows.seen.unsqueeze(-1)
    by_row, common = row_features(rows, units), portfolio_features(units)
    return cells[0].numpy(), by_row[0].numpy(), common[0, 0].numpy()


def _assert_same_features(left, right, tolerance=1e-9):
    for a, b in zip(_features(*left), _features(*right), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def _assert_same_units(left, right, tolerance=1e-9):
    for name, a, b in zip(left._fields, left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=name)


# ---------------------------------------------------------------- by hand


def test_rows_by_hand():
    rows = _rows([[3.0, NAN, -1.0], [NAN, NAN, NAN]], [0.5, NAN])
    assert rows.values.tolist() == [[[-1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]]
    assert rows.seen.tolist() == [[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    assert rows.count.tolist() == [[2.0, 0.0]]
    np.testing.assert_array_equal(rows.errors, [[0.5, NAN]])
    assert _rows([[1.0], [2.0]]).errors.isnan().all()


def test_moments_by_hand():
    """Means of the rows are 1 and 5, and observations 1 from them: in units of 2, -1, 1 and 1/2."""
    rows, units = _read([[0.0, 2.0], [4.0, 6.0]])
    assert (units.location.item(), units.scale.item(), units.centre.item()) == (3.0, 2.0, 0.0)
    np.testing.assert_allclose(standard(rows, units)[0], [[-1.5, -0.5], [0.5, 1.5]])
    np.testing.assert_allclose(row_mean(rows, units)[0], [-1, 1])
    # squares of 1 over 2 degrees of freedom, and a guess of 0.5 that counts for 0.02
    assert units.noise.item() == pytest.approx(math.sqrt(0.5))
    # the variance of means, 2, less that of a mean of two by chance, 0.5 / 2
    assert units.level_variance.item() == pytest.approx(1.75)
    assert units.log_rows.item() == pytest.approx(math.log(2))
    assert units.log_depth.item() == pytest.approx(math.log(3))
    assert units.known.item() == 0
    assert units.level_core.item() == pytest.approx(1 / math.sqrt(1.75 + 0.25), rel=1e-3)


def test_moments_of_rows_with_standard_errors_by_hand():
    """Single observations of -1 and 1 in units of 2; only the first row's noise is known."""
    rows, units = _read([[0.0], [4.0]], [2.0, NAN])
    assert (units.location.item(), units.scale.item()) == (2.0, 2.0)
    noise = 1.01 / 1.02  # the known variance of 1, and a guess of 0.5 that counts for 0.02
    assert units.noise.item() == pytest.approx(math.sqrt(noise))
    np.testing.assert_allclose(common_noise(rows, units)[0], [1.0, math.sqrt(noise)])
    chance = np.array([1.0, noise])
    weight = 1 / (chance + 0.3)
    total = weight.sum()
    centre = (weight[1] - weight[0]) / total
    assert units.centre.item() == pytest.approx(centre)
    squares = (weight * (np.array([-1, 1]) - centre) ** 2).sum()
    by_chance = (weight * chance).sum() - (weight**2 * chance).sum() / total
    variance = (squares - by_chance) / (total - (weight**2).sum() / total)
    assert units.level_variance.item() == pytest.approx(variance)
    assert units.known.item() == 0.5


def test_credibility_by_hand():
    rows, units = _read([[0.0, 2.0], [4.0, 6.0], [NAN, NAN], [5.0, NAN]], [NAN, 1.0, NAN, NAN])
    units = units._replace(
        **{
            name: torch.full((1, 1), value, dtype=torch.float64)
            for name, value in [
                ("scale", 2.0), ("location", 3.0), ("centre", 0.2), ("noise", 0.8),
                ("level_variance", 0.5), ("noise_variance", 0.1), ("noise_centre", 0.0),
            ]
        }
    )  # fmt: skip
    np.testing.assert_allclose(row_mean(rows, units)[0], [-1, 1, 0.2, 1])
    # a variance of 0.5 against 0.64, or the given (1 / 2)^2, and a twentieth of the expected one
    excess = [0.5 * math.log(0.5 / 0.64 + 0.05), 0.5 * math.log(0.5 / 0.25 + 0.05), 0, 0]
    np.testing.assert_allclose(excess_log_noise(rows, units)[0], excess)
    # half the log of a chi-square of one degree of freedom has variance pi^2 / 8
    trust = 0.1 / (0.1 + math.pi**2 / 8)
    np.testing.assert_allclose(noise_credibility(rows, units)[0], trust)
    own = 0.8 * math.exp(trust * excess[0])
    np.testing.assert_allclose(row_noise(rows, units)[0], [own, 0.5, 0.8, 0.8])
    chance = np.array([own**2 / 2, 0.25 / 2, 0.64 / 0.1, 0.64])
    np.testing.assert_allclose(chance_variance(rows, units)[0], chance)
    np.testing.assert_allclose(level_credibility(rows, units)[0], 0.5 / (0.5 + chance))
    deviation = np.sqrt(0.5 * chance / (0.5 + chance))
    np.testing.assert_allclose(posterior_deviation(rows, units)[0], deviation)


def test_observations_far_out_count_as_nearer():
    """Location and distance are taken again, of observations up to three distances away."""
    X = np.append(np.tile([-1.0, 1.0], 10), 7.0)
    location = X.mean()
    scale = reach = np.abs(X - location).mean()
    for _ in range(N_REFINEMENTS):
        reach = 3 * scale
        location += np.clip(X - location, -reach, reach).mean()
        scale = np.abs(np.clip(X - location, -reach, reach)).mean()
    _, units = _read(X[:, None])
    assert units.location.item() == pytest.approx(location)
    assert units.scale.item() == pytest.approx(scale)
    assert location < 0.4 < 1.0 < scale < 1.4


@pytest.mark.parametrize("stray", [50.0, 5000.0, -1e9])
def test_a_row_that_lies_beyond_all_others_is_left_out(stray):
    """The typical distance is 1 / 0.6745, and the limit 2.5 times that."""
    X = np.append(np.tile([-1.0, 0.0, 1.0], 7), stray)
    rows, units = _read(X[:, None])
    assert units.location.item() == pytest.approx(0.0, abs=1e-12)
    assert units.scale.item() == pytest.approx(2 / 3)
    assert units.typical.item() * 2 / 3 == pytest.approx(1 / 0.6745)
    assert units.limit.item() * 2 / 3 == pytest.approx(2.5 / 0.6745)
    assert counted_rows(rows, units).tolist() == [[True] * 21 + [False]]
    assert stray_share(rows, units).tolist() == [[0.0] * 21 + [1.0]]


def test_two_rows_beyond_all_others_are_no_strays():
    """One more of every hundred rows may be: of 23 only one."""
    X = np.append(np.tile([-1.0, 0.0, 1.0], 7), [50.0, 60.0])
    rows, units = _read(X[:, None])
    assert counted_rows(rows, units).all()
    assert units.limit.item() * units.scale.item() == pytest.approx(50.0)


def test_rows_of_hopeless_errors_are_as_without_observations():
    X, errors = np.random.default_rng(0).normal(size=(20, 1)), np.full(20, 0.5)
    cold = X.copy()
    cold[0] = np.nan
    _, without = _read(cold, errors)
    medians = ("middle", "typical", "limit")  # of one row less
    for error in (100.0, 1e9):
        errors[0] = error
        rows, units = _read(X, errors)
        placed = placed_rows(rows, units)
        assert placed.count[0].tolist() == [0.0] + [1.0] * 19
        assert placed.told[0].tolist() == pytest.approx([0.5] * 20)
        assert placed.errors[0, 0] == error
        for name in set(units._fields) - set(medians):
            value, expected = getattr(units, name), getattr(without, name)
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_exact_law_takes_over_by_how_far_errors_lie_apart():
    """All the same, or a decade apart: not at all; three decades apart: in all rows."""
    X = np.random.default_rng(0).normal(size=(40, 1))
    for errors, expected in (
        (np.full(40, 0.5), 0.0),
        (np.where(np.arange(40) % 2, 0.1, 1.0), 0.0),
        (np.where(np.arange(40) % 2, 0.001, 1.0), 1.0),
    ):
        assert exact_share(*_read(X, errors)).tolist() == [[expected] * 40]
    errors[:] = 0.5
    errors[:2] = 1e-5, 5.0  # rows of their own; from 2 on a distance of logs counts
    share = exact_share(*_read(X, errors))[0].tolist()
    assert share == pytest.approx([1.0, math.log(10) - 2] + [0.0] * 38)


def test_laws_that_are_off_on_average_are_moved_to_one_standard_error():
    """20 rows at -1 and 1, mean 0, its standard error 1 / sqrt(20); laws say 0.8 and 1.2."""
    rows, units = _read(np.tile([-1.0, 1.0], 10)[:, None])
    assert units.shift.item() == 0.0
    says = torch.tensor(np.tile([0.8, 1.2], 10))[None]
    moved = levelled_units(units, [rows], [says])
    shift = mean_shift(rows, moved)
    assert (says + shift).mean().item() == pytest.approx(1 / math.sqrt(20))
    says = says - 0.9  # 0.1 off, which is within chance
    assert levelled_units(units, [rows], [says]).shift.item() == 0.0


@pytest.mark.parametrize("known", [False, True])
def test_moments_of_a_normal_portfolio(known):
    rng = np.random.RandomState(0)
    mean = 50 + 3 * rng.normal(size=(4000, 1))
    X = mean + 6 * rng.normal(size=(4000, 5))
    rows, units = _read(X, np.full(4000, 6.0) if known else None)
    assert units.location.item() == pytest.approx(50, abs=0.3)
    assert (units.scale * units.noise).item() == pytest.approx(6, rel=0.02)
    assert (units.scale * units.level_variance.sqrt()).item() == pytest.approx(3, rel=0.06)
    assert units.noise_variance.item() < 0.01  # all rows are as noisy
    assert units.noise_tail.exp().item() == pytest.approx(3, rel=0.2)
    assert units.level_tail.exp().item() == pytest.approx(3, rel=0.1)
    assert units.level_core.item() == pytest.approx(math.sqrt(2 / math.pi), rel=0.03)
    for name in ("noise_skew", "level_skew", "slope"):
        assert abs(getattr(units, name).item()) < 0.15, name
    # Bayes: precisions 1/9 and 5/36, so that means are believed to 5/9
    posterior = posterior_of(rows, units)
    bayes = (mean.mean() * 4 + X.mean(axis=1) * 5) / 9
    guess = units.location + units.scale * posterior.mean
    assert (guess[0].numpy() - bayes).std() < 0.25 * 2  # of the posterior deviation, 2
    deviation = (units.scale * posterior.deviation).mean().item()
    assert deviation == pytest.approx(2, rel=0.1)


def test_noise_that_differs_and_grows_with_the_mean_is_noticed():
    rng = np.random.RandomState(0)
    mean = rng.normal(size=(4000, 1))
    for slope, sign in ((0.5, 1), (-0.5, -1)):
        _, units = _read(mean + 0.5 * np.exp(slope * mean) * rng.normal(size=(4000, 8)))
        assert sign * units.slope.item() > 0.2
        assert units.noise_variance.item() > 0.15


# ---------------------------------------------------------------- what cannot matter

# quarters, so that shifts by whole numbers are exact
CELLS = st.one_of(st.integers(-400, 400).map(lambda k: k / 4), st.just(0.0), st.just(NAN))
WILD = st.one_of(CELLS, st.sampled_from([1e6, -1e6]))
ERRORS = st.one_of(st.sampled_from([0.25, 1.0, 3.0, 50.0]), st.just(NAN))


@st.composite
def portfolios(draw, elements=WILD):
    """Observations and standard errors, some of them missing."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 5)))
    if draw(st.integers(0, 3)) == 0:  # all observations are equal
        elements = st.sampled_from([NAN, draw(CELLS.filter(math.isfinite))])
    X = draw(arrays(np.float64, shape, elements=elements))
    errors = draw(st.one_of(st.none(), arrays(np.float64, shape[0], elements=ERRORS)))
    return X, errors


def _part(errors, rows):
    return None if errors is None else errors[rows]


@given(portfolios(), st.randoms(use_true_random=False))
@MANY
def test_orders_do_not_matter(portfolio, random):
    X, errors = portfolio
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    reference, units = _read(X, errors)
    assert torch.equal(_rows(X[:, cells], errors).values, reference.values)
    _assert_same_units(units, _read(X[rows][:, cells], _part(errors, rows))[1])
    shuffled = _rows(X[rows][:, cells], _part(errors, rows))
    np.testing.assert_allclose(
        row_features(shuffled, units), row_features(reference, units)[:, rows], atol=1e-12
    )


@given(portfolios(), st.data())
@MANY
def test_pieces_are_the_whole(portfolio, data):
    X, errors = portfolio
    cuts = sorted(data.draw(st.lists(st.integers(0, len(X)), max_size=3)))
    bounds = zip([0, *cuts], [*cuts, len(X)], strict=True)
    pieces = [_rows(X[a:b], _part(errors, slice(a, b))) for a, b in bounds]
    _assert_same_units(_units(*pieces), _read(X, errors)[1])


@given(portfolios(), portfolios())
@MANY
def test_rows_without_weight_are_not_there(portfolio, other):
    X, errors = portfolio
    n, width = len(X), max(X.shape[1], other[0].shape[1])
    table = np.full((n + len(other[0]), width), NAN)
    table[:n, : X.shape[1]], table[n:, : other[0].shape[1]] = X, other[0]
    given_ = np.full(len(table), NAN)
    given_[:n], given_[n:] = (NAN if e is None else e for e in (errors, other[1]))
    weights = (torch.arange(len(table)) < n).double()[None]
    _assert_same_units(_units(_rows(table, given_), weights=[weights]), _read(X, errors)[1])


@given(portfolios())
@MANY
def test_missing_cells_are_not_there(portfolio):
    X, errors = portfolio
    wider = np.column_stack([np.full(len(X), NAN), X, np.full(len(X), NAN)])
    left, right = _read(X, errors), _read(wider, errors)
    _assert_same_units(left[1], right[1])
    np.testing.assert_allclose(row_features(*left), row_features(*right), rtol=1e-9, atol=1e-9)


@given(portfolios(), st.integers(-1000, 1000), st.floats(1e-3, 1e3))
@MANY
def test_origin_and_unit_do_not_matter(portfolio, shift, factor):
    X, errors = portfolio
    assume(not np.isnan(X).all())
    rows, units = _read(X, errors)
    moved, again = _read(factor * (X + shift), None if errors is None else factor * errors)
    _assert_same_features((rows, units), (moved, again), tolerance=1e-8)
    size = factor * (abs(shift) + abs(units.location.item()) + units.scale.item())
    location = factor * (units.location.item() + shift)
    assert again.location.item() == pytest.approx(location, abs=1e-9 * size)
    if np.nanmin(X) < np.nanmax(X):  # else nothing tells the unit
        assert again.scale.item() == pytest.approx(factor * units.scale.item(), rel=1e-9)


def test_units_of_constant_rows():
    """Nothing tells their unit but standard errors."""
    for value in (0.1, 1 / 3, 1e12 + 0.1):
        _, units = _read(np.full((6, 3), value))
        assert units.location.item() == pytest.approx(value, rel=1e-15)
        assert units.scale.item() == 1
        _, units = _read(np.full((6, 3), value), [6.0, NAN, 6.0, 6.0, NAN, 6.0])
        assert units.scale.item() == pytest.approx(3)


def test_features_are_about_standard_errors_too():
    X = np.random.RandomState(0).normal(size=(6, 3))
    rows, units = _read(X, [0.5, NAN, 2.0, NAN, NAN, NAN])
    noise = row_noise(rows, units) * units.scale
    np.testing.assert_allclose(noise[0, [0, 2]], [0.5, 2.0])
    other = _rows(X, [NAN, NAN, 2.0, NAN, NAN, NAN])
    differs = ~torch.isclose(row_features(rows, units), row_features(other, units))
    assert differs[0, 0].any()
    assert not differs[0, 1:].any()


# ---------------------------------------------------------------- odd portfolios


ODD = [
    [[NAN, NAN]],
    [[0.0]],
    [[-5.0]],
    [[7.0, 7.0], [7.0, 7.0]],
    [[NAN, NAN], [NAN, -3.0]],
    [[0.0, 0.0], [0.0, 1e-12]],
    [[1e12, -1e12], [1.0, 2.0], [NAN, NAN]],
    [[1e12, 1e12 + 1], [1e12 + 2, NAN]],
    [[1e-12], [2e-12], [NAN]],
    np.append(np.zeros((30, 2)), [[0.0, 1e12]], axis=0),
]


@pytest.mark.parametrize("error", [None, 1e-9, 1.0, 1e9])
@pytest.mark.parametrize("X", ODD)
def test_odd_portfolios_have_finite_features(X, error):
    errors = None if error is None else np.where(np.arange(len(X)) % 2, NAN, error)
    rows, units = _read(X, errors)
    assert all(x.isfinite().all() for x in units)
    for name in ("scale", "noise", "level_variance", "noise_variance"):
        assert getattr(units, name).item() > 0, name
    cells, by_row, common = _features(rows, units)
    assert cells.shape == (len(X), len(X[0]), N_CELL_FEATURES)
    assert by_row.shape == (len(X), N_ROW_FEATURES)
    assert common.shape == (N_PORTFOLIO_FEATURES,)
    for values in (cells, by_row, common):
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 60


def test_order_statistics_of_rows():
    rows, units = _read([[1.0, 3.0, 2.0], [5.0, NAN, NAN], [NAN] * 3])
    last = row_features(rows, units)[0, :, -N_ORDER_STATISTICS:].sinh()
    noise, scale = row_noise(rows, units)[0], units.scale.item()
    # from the lowest to the highest, evenly: 1 to 3 around their mean 2
    np.testing.assert_allclose(last[0] * noise[0] * scale, np.linspace(-1, 1, 8), atol=1e-12)
    np.testing.assert_allclose(last[1:], 0, atol=1e-12)
