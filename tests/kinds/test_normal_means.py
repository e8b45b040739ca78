"""The exact law of rows with known standard errors: by hand, by numbers, against exact Bayes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, stats

from sklearn_pttf._kinds.normal_means import (
    NormalMeans,
    Parts,
    fit_normal_means,
    masked_median,
    masked_quantile,
    parts_of_means,
    quantiles_of,
)
from support.tensors import batched

LEVELS = torch.tensor([0.001, 0.05, 0.5, 0.9, 0.999], dtype=torch.float64)
VALUES = st.floats(-100, 100, width=32)
SOME = settings(max_examples=20, deadline=None)


def _fit(means, variances, counts=None):
    counts = np.ones(len(means)) if counts is None else counts
    return fit_normal_means(batched(means), batched(variances), batched(counts))


def _laws(found, means, variances, seen=True):
    """Parts of rows, and the means and variances of their mixtures."""
    seen = torch.full((1, len(means)), seen)
    parts = parts_of_means(found, batched(means), batched(variances), seen)
    mean = (parts.weights * parts.centres).sum(-1)
    square = (parts.weights * (parts.variances + parts.centres**2)).sum(-1)
    return parts, mean[0].numpy(), (square - mean**2)[0].numpy()


def _draw(errors, spread, seed, centre=3.0):
    """Normal means with their observations, and what exact Bayes says of them."""
    rng = np.random.default_rng(seed)
    truth = centre + spread * rng.normal(size=len(errors))
    observed = truth + errors * rng.normal(size=len(errors))
    trust = spread**2 / (spread**2 + errors**2)
    return truth, observed, centre + trust * (observed - centre), trust * errors**2


@given(arrays(float, st.integers(1, 12), elements=VALUES), st.floats(0, 1), st.data())
@SOME
def test_quantiles_of_a_part_are_those_of_numpy(values, level, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    found = masked_quantile(batched(values), torch.tensor(mask)[None], level).item()
    expected = np.quantile(values[mask], level) if mask.any() else 0.0
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    middle = masked_median(batched(values), torch.tensor(mask)[None]).item()
    assert middle == pytest.approx(np.median(values[mask]) if mask.any() else 0.0, abs=1e-9)


def test_posteriors_by_hand():
    """One spread, centre 1 known to 0.04, and one point 5 of width 2; both are equally likely."""
    one = torch.ones(1, 1, dtype=torch.float64)
    found = NormalMeans(one, 3 * one, one, 0.04 * one, 5 * one, 2 * one, one, 0.5 * one)
    parts, mean, _ = _laws(found, [2.0], [1.0])
    # trust 3 / (3 + 1) of the distance, and 4 / (4 + 1)
    assert parts.weights[0, 0].tolist() == [0.5, 0.5]
    assert parts.centres[0, 0].tolist() == pytest.approx([1 + 0.75, 5 - 0.8 * 3])
    assert parts.variances[0, 0].tolist() == pytest.approx([0.75 + 0.0625 * 0.04, 0.8])
    assert mean[0] == pytest.approx((1.75 + 2.6) / 2)
    unseen, _, _ = _laws(found, [2.0], [1.0], seen=False)
    assert unseen.centres[0, 0].tolist() == [1.0, 5.0]
    assert unseen.variances[0, 0].tolist() == pytest.approx([3.04, 4.0])


@pytest.mark.parametrize("seed", range(4))
def test_quantiles_of_mixtures_are_where_their_cdf_says(seed):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(5, 0.3), size=6)
    centres, sd = 10 * rng.normal(size=(6, 5)), 10 ** rng.uniform(-3, 1, size=(6, 5))
    found = quantiles_of(Parts(*map(torch.tensor, (weights, centres, sd**2))), LEVELS).numpy()
    for w, m, s, row in zip(weights, centres, sd, found, strict=True):

        def reached(x, w=w, m=m, s=s):
            return w @ stats.norm.cdf(x, m, s)

        expected = [
            optimize.brentq(lambda x, p=p: reached(x) - p, -200, 200) for p in LEVELS.tolist()
        ]
        # between far parts the cdf is flat, and any number there is a quantile
        assert [reached(x) for x in row] == pytest.approx(LEVELS.tolist(), abs=1e-6)
        assert (np.abs(row - expected) < 1e-3 * np.ptp(m)).all()


def test_quantiles_of_a_row_do_not_depend_on_others():
    rng = np.random.default_rng(0)
    parts = Parts(
        torch.tensor(rng.dirichlet(np.full(40, 0.1), size=700)),
        torch.tensor(rng.normal(size=(700, 40))),
        torch.tensor(rng.uniform(1e-6, 1, size=(700, 40))),
    )
    together = quantiles_of(parts, LEVELS)
    alone = torch.cat([quantiles_of(Parts(*(x[k : k + 1] for x in parts)), LEVELS) for k in (3, 9)])
    torch.testing.assert_close(together[[3, 9]], alone, rtol=1e-12, atol=1e-12)
    assert (together.diff(dim=-1) >= 0).all()


ERRORS = {
    "equal": np.ones(500),
    "precise": np.full(500, 1e-6),
    "two": np.where(np.arange(500) % 2, 1.0, 1e-3),
    "a tenth precise": np.where(np.arange(500) % 10, 1.0, 1e-3),
    "four decades": np.logspace(-4, 0, 500),
    "eight decades": np.logspace(-6, 2, 500),
}


@pytest.mark.parametrize("name", ERRORS)
def test_normal_means_are_estimated_as_by_exact_bayes(name):
    """Squared error at most 1.03 of that of one who knows centre and spread; three draws."""
    excess, least = 0.0, 0.0
    for seed in range(3):
        _, observed, bayes, variance = _draw(ERRORS[name], 1.0, seed)
        _, mean, _ = _laws(_fit(observed, ERRORS[name] ** 2), observed, ERRORS[name] ** 2)
        excess, least = excess + ((mean - bayes) ** 2).sum(), least + variance.sum()
    assert excess < 0.03 * least


def test_the_law_that_fits_is_chosen():
    """Of 300 rows; normal means, or two that lie five standard errors apart."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=300)
    normal = _fit(rng.normal(size=300) + noise, np.ones(300))
    two = _fit(5.0 * (np.arange(300) % 3 == 0) + noise, np.ones(300))
    assert normal.normal.item() > 0.95
    assert two.normal.item() < 1e-6
    _, mean, _ = _laws(two, [0.5, 4.5], [1.0, 1.0])
    assert mean == pytest.approx([0.0, 5.0], abs=0.3)


def test_one_precise_row_leaves_the_centre_where_it_is():
    """What it says of the centre is limited by the spread of means."""
    _, observed, _, _ = _draw(np.full(50, 0.5), 1.0, 0)
    variances = np.full(50, 0.25)
    before = _laws(_fit(observed, variances), observed, variances)[1]
    variances[0] = 1e-18
    after = _laws(_fit(observed, variances), observed, variances)[1]
    assert np.abs(after - before)[1:].max() < 0.1
    assert after[0] == pytest.approx(observed[0], abs=1e-9)


def test_few_rows_and_none():
    """One row says nothing of the spread: its law is about as wide as its error."""
    _, mean, variance = _laws(_fit([2.0], [1.0]), [2.0], [1.0])
    assert mean[0] == pytest.approx(2.0)
    assert 0.5 < variance[0] < 2
    nothing = _fit([1.0, 2.0], [1.0, 1.0], counts=[0.0, 0.0])
    assert all(torch.isfinite(part).all() for part in nothing)


@given(
    arrays(float, st.integers(2, 12), elements=st.integers(-50, 50).map(float)),
    st.data(),
    st.floats(-100, 100),
    st.floats(1e-3, 1e3),
)
@SOME
def test_origin_unit_and_order_do_not_matter(means, data, shift, factor):
    size = len(means)
    errors = 10.0 ** np.array(data.draw(st.lists(st.integers(-3, 1), min_size=size, max_size=size)))
    order = np.array(data.draw(st.permutations(range(size))))
    parts, mean, variance = _laws(_fit(means, errors**2), means, errors**2)
    assert parts.weights.sum(-1).numpy() == pytest.approx(1)
    moved, wide = shift + factor * means[order], (factor * errors[order]) ** 2
    _, moved_mean, moved_variance = _laws(_fit(moved, wide), moved, wide)
    size = np.ptp(means) + errors.max()
    assert np.abs((moved_mean - shift) / factor - mean[order]).max() < 1e-5 * size
    assert np.abs(moved_variance / factor**2 - variance[order]).max() < 1e-5 * size**2
