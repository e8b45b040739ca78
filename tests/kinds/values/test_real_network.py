"""What the network of real values promises exactly, whatever its weights."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import softplus

from sklearn_pttf import Checkpoint, Portfolio
from sklearn_pttf._kinds.mixing import mixing_quantiles
from sklearn_pttf._kinds.values.rows import real_rows
from sklearn_pttf._kinds.values.units import (
    level_credibility,
    mixing_of,
    posterior_deviation,
    posterior_of,
    real_units,
    row_mean,
    row_noise,
)
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
)
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf._training.loss import PortfolioLoss
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import NormalNormal
from support.networks import random_network

NAN = np.nan
SMALL = NetworkConfig(
    width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9, outcomes="values"
)


NETWORK = random_network(SMALL)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 6))


@st.composite
def rough(draw):
    """Any observations and standard errors, with ties, outliers and empty rows."""
    shape = draw(SHAPES)
    values = st.one_of(st.integers(-80, 80).map(lambda k: k / 8), st.floats(-1e6, 1e6))
    X = draw(arrays(np.float64, shape, elements=st.one_of(values, st.just(NAN))))
    error = st.one_of(st.floats(0.01, 100), st.just(NAN))
    return X, draw(st.one_of(st.none(), arrays(np.float64, shape[0], elements=error)))


@st.composite
def smooth(draw):
    """Normal observations, some missing: nothing on the edge between two answers."""
    rng = np.random.RandomState(draw(st.integers(0, 2**31)))
    n, m = draw(SHAPES)
    X = rng.normal(size=(n, 1)) * rng.choice([0.1, 1, 10]) + rng.normal(size=(n, m))
    X[rng.uniform(size=(n, m)) < 0.2] = NAN
    X.flat[:2] = rng.normal(size=min(2, n * m))
    errors = np.where(rng.uniform(size=n) < 0.5, rng.uniform(0.5, 2, size=n), NAN)
    return X, errors if draw(st.booleans()) else None


def _predict(X, errors=None, context=None, network=NETWORK):
    """Quantiles of rows' outcomes and of their means, ``(2, n, K)``."""
    rows = Portfolio(X, integer=False, real=True, errors=errors)
    context = rows if context is None else context
    context = encode_context(network, context)
    laws = [predict_law(network, context, rows, of_mean) for of_mean in (False, True)]
    return np.stack([law.quantiles for law in laws])


def _assert_close(left, right, tolerance):
    size = np.ptp(right) + 1e-12
    np.testing.assert_allclose(left, right, rtol=0, atol=tolerance * size)


@given(rough(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_does_not_matter(portfolio, random):
    X, errors = portfolio
    rows = random.sample(range(len(X)), len(X))
    cells = random.sample(range(X.shape[1]), X.shape[1])
    reference = _predict(X, errors)
    np.testing.assert_array_equal(_predict(X[:, cells], errors), reference)
    kept = Portfolio(X, integer=False, real=True, errors=errors)
    taken = None if errors is None else errors[rows]
    _assert_close(_predict(X[rows][:, cells], taken, kept), reference[:, rows], 1e-9)


@given(smooth(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_order_of_context_rows_does_not_matter(portfolio, random):
    X, errors = portfolio
    rows = random.sample(range(len(X)), len(X))
    taken = None if errors is None else errors[rows]
    _assert_close(_predict(X[rows], taken), _predict(X, errors)[:, rows], 1e-9)


@given(smooth(), st.floats(-1000, 1000), st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_origin_and_unit_do_not_matter(portfolio, shift, factor):
    X, errors = portfolio
    assume(X.size > 1)  # nothing tells the unit of a single observation
    moved = _predict(factor * (X + shift), None if errors is None else factor * errors)
    found, expected = moved / factor - shift, _predict(X, errors)
    empty = np.isnan(X).all(axis=1)
    _assert_close(found[:, ~empty], expected[:, ~empty], 1e-7)
    # the law of an unknown mean is next to flat between two segments: rounding moves a median there
    _assert_close(found, expected, 1e-5)


@given(rough())
@settings(max_examples=40, deadline=None)
def test_quantiles_are_monotone_and_finite(portfolio):
    X, errors = portfolio
    given_ = None if errors is None else torch.tensor(errors)[None]
    with torch.no_grad():
        output = NETWORK(torch.tensor(X)[None], torch.zeros(1), errors=given_)
    for law in (output, output.of_mean):
        assert law.quantiles.isfinite().all()
        assert (law.quantiles.diff() >= -1e-9 * law.quantiles.abs().amax()).all()
        assert (law.typical > 0).all()
    assert (np.diff(_predict(X, errors), axis=-1) >= 0).all()


@given(smooth())
@settings(max_examples=20, deadline=None)
def test_missing_cells_are_not_there(portfolio):
    X, errors = portfolio
    wider = np.column_stack([np.full(len(X), NAN), X, np.full(len(X), NAN)])
    _assert_close(_predict(wider, errors), _predict(X, errors), 1e-9)


def _table(seed=0, n=12, m=4):
    X = np.random.RandomState(seed).normal(size=(n, m)) + np.arange(n)[:, None] / 4
    X[3, 1] = NAN
    return X


def test_forward_agrees_with_encoding_and_reading():
    X = torch.tensor(np.stack([_table(0), 5 * _table(1) - 40]))
    errors = torch.tensor(np.random.RandomState(2).uniform(0.5, 2, size=(2, 12)))
    errors[:, ::3] = torch.nan
    in_context = torch.ones(2, 12, dtype=torch.bool)
    in_context[:, 7:] = False
    output = NETWORK(X, torch.zeros(2, dtype=torch.float64), in_context, errors=errors)
    for b in range(2):
        rows = Evidence(X[b], errors=errors[b])
        pieces = [rows.take(slice(0, 3)), rows.take(slice(3, 7))]
        context = NETWORK.encode_context(pieces, False)
        again = NETWORK.predict_rows(rows, context)
        for left, right in ((again, output), (again.of_mean, output.of_mean)):
            for name in ("quantiles", "location", "scale", "grain", "typical", "zero_width"):
                left_value, right_value = getattr(left, name)[0], getattr(right, name)[b]
                torch.testing.assert_close(left_value, right_value, rtol=1e-9, atol=1e-9)
    assert output.of_mean.of_mean is None


def test_only_context_rows_are_read():
    X = torch.tensor(_table())[None]
    in_context = torch.arange(12)[None] < 7
    wild = X.clone()
    wild[0, 9:] = 1e9
    wild[0, 11] = torch.nan
    whole = torch.zeros(1, dtype=torch.float64)
    left, right = (NETWORK(x, whole, in_context) for x in (X, wild))
    for a, b in ((left, right), (left.of_mean, right.of_mean)):
        torch.testing.assert_close(a.quantiles[:, :9], b.quantiles[:, :9], rtol=1e-12, atol=1e-12)
    everyone = NETWORK(wild, whole).quantiles
    assert not torch.allclose(everyone[:, :9], right.quantiles[:, :9], rtol=0.01)


def test_standard_errors_matter():
    X = _table()
    plain = _predict(X)
    np.testing.assert_array_equal(_predict(X, np.full(12, NAN)), plain)
    known = _predict(X, np.full(12, 1.0))
    assert np.abs(known - plain).max() > 0.05
    own = np.full(12, NAN)
    own[5] = 30.0
    rows = Portfolio(X, integer=False, real=True)
    differs = np.abs(_predict(X, own, rows) - plain).max(axis=(0, 2)) > 1e-6
    assert differs.tolist() == [row == 5 for row in range(12)]


def test_rows_learn_from_each_other():
    X = _table()
    other = X.copy()
    other[1:] += 5
    assert np.abs(_predict(X)[:, 0] - _predict(other)[:, 0]).min() > 1e-3


def test_contexts_as_arrays():
    rows = Portfolio(_table(), integer=False, real=True)
    context = encode_context(NETWORK, rows)
    again = context_from_arrays(context_arrays(context), NETWORK)
    for of_mean in (False, True):
        left, right = (predict_law(NETWORK, c, rows, of_mean) for c in (context, again))
        np.testing.assert_array_equal(left.quantiles, right.quantiles)
        assert left.lowest == -np.inf


# ---------------------------------------------------------------- start and training


@pytest.mark.parametrize("known", [False, True])
def test_the_start_is_credibility(known):
    """A network that has learned nothing says of normal rows what Bayes does."""
    law = NormalNormal(20.0, 3.0, 6.0)
    drawn = law.sample(2000, 4, random_state=0)
    X = drawn.observations
    X[:100, 1:] = NAN
    X[100:110] = NAN
    errors = np.full(2000, 6.0) if known else None
    network = DecisionNetwork.of_moments(NetworkConfig(outcomes="values")).double()
    bayes = law.predictive(Portfolio(X)).mean()
    deviation = np.sqrt(1 / (1 / 9 + (~np.isnan(X)).sum(axis=1) / 36))
    outcome, mean = _predict(X, errors, network=network)[:, :, 16]
    for median in (outcome, mean):
        assert np.abs((median - bayes) / deviation).max() < 0.6
        assert np.sqrt(np.mean(((median - bayes) / deviation) ** 2)) < 0.15
    # cold rows have the law of the portfolio
    np.testing.assert_allclose(outcome[100:110], 20, atol=0.5)
    quantiles = _predict(X, errors, network=network)
    of_outcome, of_mean = quantiles[:, :, 28] - quantiles[:, :, 4]  # levels 1 - 0.03 and 0.03
    assert (of_outcome > of_mean).all()
    size = np.sqrt(36 + deviation**2) / deviation
    np.testing.assert_allclose(np.median(of_outcome / of_mean / size), 1, atol=0.3)


def test_the_start_by_hand():
    """Half of classical credibility and half of the distribution of means; even steps."""
    X = torch.tensor([[0.0, 1.0, 0.0, -1.0], [9.0, NAN, NAN, NAN], [2.0, 3.0, 2.0, NAN]])[None]
    errors = torch.tensor([[NAN, 2.0, NAN]])
    network = DecisionNetwork.of_moments(SMALL).double()
    output = network(X.double(), torch.zeros(1), errors=errors.double())
    rows = real_rows(X.double(), errors.double())
    units = real_units([rows], [torch.ones_like(rows.count)])
    assert abs(units.centre.item()) > 0.05
    mixed, doubt = posterior_of(rows, units), posterior_deviation(rows, units)
    own = row_mean(rows, units) - units.centre
    location = (units.centre + level_credibility(rows, units) * own + mixed.mean) / 2
    unit = (doubt + mixed.deviation) / 2
    steps = softplus(torch.tensor(-1.0, dtype=torch.float64)) * torch.arange(-4, 5)
    outcome = (unit**2 + row_noise(rows, units) ** 2).sqrt()
    expected = location.unsqueeze(-1) + outcome.unsqueeze(-1) * steps
    torch.testing.assert_close(output.quantiles, expected)
    levels = torch.tensor(SMALL.levels, dtype=torch.float64)
    without_shape = mixing_quantiles(mixing_of(units), mixed, levels)
    expected = (location.unsqueeze(-1) + unit.unsqueeze(-1) * steps + without_shape) / 2
    torch.testing.assert_close(output.of_mean.quantiles, expected)
    in_outcomes = units.location.unsqueeze(-1) + units.scale.unsqueeze(-1) * expected
    torch.testing.assert_close(output.of_mean.outcome_quantiles(), in_outcomes)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_odd_portfolios_are_finite(dtype, known):
    X = torch.tensor(
        [
            [[NAN, NAN, NAN], [NAN, 3.0, NAN], [NAN, NAN, NAN]],
            [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0], [5.0, 5.0, NAN]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 1e9], [-1e-9, 0.0, NAN]],
            [[NAN, NAN, NAN], [NAN, NAN, NAN], [NAN, NAN, NAN]],
            [[1e12, -1e12, 1.0], [2.0, 3.0, 4.0], [NAN, NAN, 1e-12]],
        ],
        dtype=dtype,
    )
    errors = torch.tensor([1e-6, 1e6, NAN], dtype=dtype).expand(5, 3) if known else None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecisionNetwork(SMALL).to(dtype)
    output = network(X, torch.zeros(5, dtype=dtype), errors=errors)
    targets = {
        "outcomes": torch.tensor([0.0, -2.0, 1e9], dtype=dtype).expand(5, 3, 3),
        "means": torch.tensor([-1e9, 0.0, 7.0], dtype=dtype).expand(5, 3),
    }
    value = PortfolioLoss(Newsvendor(), SMALL.levels).to(dtype)(output, targets)
    value.backward()
    assert value.isfinite()
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert all((gradients[f"head.mlp.2.{part}"] != 0).any() for part in ("weight", "bias"))


def test_loss_is_that_of_outcomes_and_of_means():
    X = torch.tensor(_table())[None]
    output = NETWORK(X, torch.zeros(1, dtype=torch.float64))
    loss = PortfolioLoss(Newsvendor(), SMALL.levels).double()
    later = {"outcomes": X.nan_to_num()[..., :2], "means": X.nan_to_num()[..., 0]}
    parts = loss(output._replace(of_mean=None), later)
    of_mean = loss(output.of_mean, {"outcomes": later["means"].unsqueeze(-1)})
    torch.testing.assert_close(loss(output, later), parts + of_mean)
    # a row's own true mean is what its law is charged on
    right = loss(output, {**later, "means": output.of_mean.outcome_quantiles()[..., 4]})
    assert right < loss(output, {**later, "means": later["means"] + 50})


def test_checkpoints_keep_the_kind(tmp_path):
    made = Checkpoint.from_network(random_network(SMALL, seed=1).float(), {"name": "small"})
    made.save(tmp_path / "small")
    loaded = Checkpoint.load(tmp_path / "small")
    assert loaded.card["network"] == SMALL.to_dict()
    left, right = (
        _predict(_table(), network=each.build_network("cpu", torch.float64))
        for each in (made, loaded)
    )
    np.testing.assert_array_equal(left, right)
    _assert_close(left, _predict(_table(), network=random_network(SMALL, seed=1)), 1e-5)


def test_config_refuses_an_unknown_kind():
    with pytest.raises(
        ValueError, match=r"outcomes must be one of 'demand', 'values', .*; got 'x'"
    ):
        NetworkConfig(outcomes="x")
