"""Warnings at fit: of a drift, and of a law that does not fit; none without a reason."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._alarms import warn_of_conflict, warn_of_drift, warn_of_zeros_and_ones
from sklearn_pttf._parametric import NormalLaw
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import load_horse_kicks, make_demand_portfolio
from sklearn_pttf.exceptions import BinaryOutcomesWarning, DriftWarning, PriorConflictWarning
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Estimation, Newsvendor, Selection
from sklearn_pttf.testing import GammaPoisson, LognormalNormal, Segments, ZeroInflatedPoisson

NAN = np.nan


def _fit(X, **parameters):
    return PretrainedDecisionTransformer(finetune=None, random_state=0, **parameters).fit(X)


def _warned(X, call=_fit):
    """Classes of the warnings of `fit`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(X)
    return [each.category for each in caught]


def _counts(n=200, n_columns=8, seed=0):
    return GammaPoisson(2.0, 0.1).sample(n, n_columns, random_state=seed).observations


def _growing(factor, n=200, n_columns=8, seed=0):
    """From 1 to ``factor`` times as much, evenly over the columns."""
    return np.rint(_counts(n, n_columns, seed) * np.linspace(1.0, factor, n_columns))


def _spiked(n=200, seed=0):
    """Rows of hundreds with just one cell of a million: like nothing that is sold."""
    at = np.random.default_rng(seed).integers(8, size=(n, 1))
    return np.where(np.arange(8) == at, 1e6, 100.0)


# ---- nothing to warn of


EXCHANGEABLE = {
    "counts": lambda seed: _counts(seed=seed),
    "two columns": lambda seed: _counts(60, 2, seed),
    "slow": lambda seed: GammaPoisson(0.5, 1.0).sample(300, 6, random_state=seed).observations,
    "few rows": lambda seed: _counts(21, 3, seed),
    "amounts": lambda s: LognormalNormal(4.0, 0.5, 0.4).sample(200, 8, random_state=s).observations,
    "heavy": lambda s: LognormalNormal(4.0, 1.5, 1.0).sample(200, 5, random_state=s).observations,
    "zeros": lambda s: (
        ZeroInflatedPoisson(4, 1, 2, 0.1).sample(300, 8, random_state=s).observations
    ),
    "segments": lambda s: Segments([2.0, 50.0]).sample(300, 6, random_state=s).observations,
    "demand": lambda seed: make_demand_portfolio(300, 8, random_state=seed),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", EXCHANGEABLE)
def test_exchangeable_portfolios_are_no_reason(name, seed):
    assert _warned(EXCHANGEABLE[name](seed)) == []


def test_drifts_of_exchangeable_rows_are_rare():
    # four standard errors, of skew and short rows too
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X = rng.lognormal(rng.normal(size=(40, 1)), 1.0, (40, rng.integers(2, 7)))
        X[rng.uniform(size=X.shape) < 0.3] = NAN
        assert _warned(Portfolio(X), warn_of_drift) == []


def test_missing_cells_and_uneven_histories_are_no_reason():
    X = _counts()
    X[np.arange(8) < np.random.default_rng(0).integers(0, 8, (200, 1))] = NAN
    assert _warned(X) == []


def test_few_rows_say_nothing():
    assert _warned(_growing(3.0, 19)) == []
    assert _warned(_spiked(n=19)) == []
    assert DriftWarning in _warned(_growing(3.0, 20))


def test_cold_rows_say_nothing():
    cold = np.full((300, 8), NAN)
    assert _warned(np.vstack([_counts(3), cold])) == []
    one = cold.copy()
    one[:, 0] = _counts(300, 1)[:, 0]
    assert _warned(one) == []
    assert _warned(np.vstack([_growing(3.0, 19), one])) == []
    assert _warned(np.vstack([_growing(2.0), one])) == [DriftWarning]


def test_rows_without_spread_are_no_reason():
    assert _warned(np.zeros((50, 5))) == []
    assert _warned(np.full((50, 5), 7.0)) == []
    assert _warned(np.tile([[4.5]], (50, 2))) == []
    assert _warned(load_horse_kicks().data) == []


def test_a_small_drift_is_no_reason():
    # the later half is 4 % higher
    assert _warned(_growing(1.08, 2000)) == []


# ---- drifts


def test_a_drift_by_hand():
    # 10 and 10, then 15 and 15: the later half is one half higher
    X = np.tile([10.0, 10.0, 15.0, 15.0], (20, 1))
    with pytest.warns(DriftWarning, match=r"later half of 20 rows are 50% higher \(standard err"):
        warn_of_drift(Portfolio(X))
    with pytest.warns(DriftWarning, match="are 33% lower"):
        warn_of_drift(Portfolio(X[:, ::-1]))
    gaps = np.full((20, 9), NAN)
    gaps[:, [0, 2, 3, 7]] = X
    gaps[5] = 0.0  # nothing was sold: nothing is known
    gaps[6:8] = NAN
    assert _warned(Portfolio(gaps), warn_of_drift) == []
    with pytest.warns(DriftWarning, match="later half of 34 rows are 50% higher"):
        warn_of_drift(Portfolio(np.vstack([gaps, gaps])))
    # of an odd number the middle one counts for neither
    with pytest.warns(DriftWarning, match="50% higher"):
        warn_of_drift(Portfolio(np.tile([10.0, 999.0, 15.0], (20, 1))))


def test_a_drift_of_real_values_by_hand():
    # noise of 1 around -5, and then around -4.5
    X = np.tile([-6.0, -4.0, -5.5, -3.5], (20, 1))
    with pytest.warns(DriftWarning, match=r"later half of 20 rows are 0\.5 higher"):
        warn_of_drift(Portfolio(X, real=True))
    with pytest.warns(DriftWarning, match=r"are 50 lower"):
        warn_of_drift(Portfolio(100.0 * X[:, ::-1] + 1e4, real=True))
    small = np.tile([-6.0, -4.0, -5.9, -3.9], (20, 1))  # less than a quarter of the noise
    assert _warned(Portfolio(small, real=True), warn_of_drift) == []
    assert _warned(Portfolio(np.full((20, 4), -3.0), real=True), warn_of_drift) == []


def test_drifts_of_exchangeable_real_values_are_rare():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 1)) + rng.standard_t(3, size=(40, rng.integers(2, 7)))
        X[rng.uniform(size=X.shape) < 0.3] = NAN
        assert _warned(Portfolio(X, real=True), warn_of_drift) == []


@pytest.mark.parametrize("factor", [1.6, 0.5])
def test_trends_are_warned_of(factor):
    assert _warned(_growing(factor)) == [DriftWarning]


def test_a_few_large_rows_do_not_drift_for_all():
    X = _counts()
    X[:3] = 1e6 * np.arange(1, 9)
    assert DriftWarning not in _warned(X)


def test_only_drifts_see_the_order_of_columns():
    X = _growing(1.6)
    even = X[:, [0, 7, 2, 5, 4, 3, 6, 1]]
    assert _warned(even) == []
    assert _warned(X[:, ::-1].copy()) == [DriftWarning]
    spiked = _spiked()
    for columns in (np.arange(8), np.arange(8)[::-1], [3, 1, 4, 0, 5, 7, 2, 6]):
        assert _warned(spiked[:, columns].copy()) == [PriorConflictWarning]


def test_columns_may_come_as_a_reversed_view():
    X = _counts(30)
    orders = _fit(X[:, ::-1].copy()).decide(X)
    np.testing.assert_allclose(_fit(X[:, ::-1]).decide(X), orders)


def test_columns_count_in_the_order_of_the_problem():
    X = _growing(1.6)
    frame = pd.DataFrame(X[:, ::-1].copy()).add_prefix("w")
    names = list(frame.columns)
    frame["short"] = 4.0
    for observations, word in ((names, "lower"), (names[::-1], "higher")):
        problem = Newsvendor("short", 1.0, observations=observations)
        with pytest.warns(DriftWarning, match=word):
            _fit(frame, problem=problem)


# ---- laws that do not fit


def test_a_law_that_does_not_fit_is_warned_of():
    X = _spiked()
    message = r"does not fit: in \d+% of 200 rows an observation lies outside of the central 99%"
    with pytest.warns(PriorConflictWarning, match=message):
        _fit(X)


def test_conflict_by_hand():
    # standard normal laws: 2.576 standard deviations hold 99 %
    def predict(portfolio):
        return NormalLaw(np.full(len(portfolio), 10.0), 1.0)

    def conflict(portfolio):
        warn_of_conflict(predict, portfolio, np.random.default_rng(0))

    X = np.full((100, 2), 10.0)
    for n_out, warned in [(10, []), (11, [PriorConflictWarning])]:
        for value in (12.6, 7.4):
            X[:n_out] = value
            assert _warned(Portfolio(X, integer=False), conflict) == warned
            X[:n_out] = 12.5
            assert _warned(Portfolio(X, integer=False), conflict) == []
    X[:] = 10.0
    X[20:81:6] = 12.6
    with pytest.warns(PriorConflictWarning, match="in 11% of 100 rows .* as in rows 20, 26, 32, 3"):
        conflict(Portfolio(X, integer=False))
    X[80] = NAN  # and with one observation there is nothing to hold out
    X[:, 1] = np.where(np.arange(100) < 81, NAN, X[:, 1])
    assert _warned(Portfolio(X, integer=False), conflict) == []


def test_conflict_with_what_was_told_of_the_noise():
    """Counts that vary three times as much as Poisson ones."""
    rng = np.random.default_rng(0)
    X = rng.poisson(20.0 * rng.gamma(2.0, 0.5, size=(200, 6))).astype(float)
    pdt = PretrainedDecisionTransformer(Estimation(noise="poisson"), finetune=None)
    with pytest.warns(PriorConflictWarning, match="or leave noise=None in place of noise='poisson"):
        pdt.fit(X)


def test_what_is_tried_is_no_evidence():
    seen = []

    def predict(portfolio):
        seen.append(portfolio.observations)
        return NormalLaw(np.full(len(portfolio), 10.0), 1e9)

    X = _counts(30, 4)
    X[3, 2] = NAN
    X[7] = NAN
    X[9, 1:] = NAN
    warn_of_conflict(predict, Portfolio(X), np.random.default_rng(0))
    rows = np.delete(np.arange(30), [7, 9])
    hidden = np.isnan(seen[0]) & ~np.isnan(X[rows])
    np.testing.assert_array_equal(hidden.sum(axis=1), 1)
    np.testing.assert_array_equal(seen[0][~hidden], X[rows][~hidden])


# ---- as they are met


def test_warnings_point_to_the_line_of_fit():
    for X in (_growing(1.6), _spiked()):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            PretrainedDecisionTransformer(finetune=None).fit(X)
        assert [each.filename for each in caught] == [__file__]


def test_warnings_can_be_told_apart():
    assert issubclass(DriftWarning, UserWarning)
    assert issubclass(PriorConflictWarning, UserWarning)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DriftWarning)
        _fit(_growing(1.6))
    assert caught == []


def test_warnings_change_no_decision_and_repeat():
    X = _growing(1.6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(_fit(X).decide(X), _fit(X).decide(X))
    assert _warned(X) == _warned(X) == [DriftWarning]


def test_only_the_network_warns():
    assert _warned(_growing(1.6), SampleAverage().fit) == []


def test_transfer_curves_warn_once():
    def curve(X):
        transfer_curve(
            PretrainedDecisionTransformer(finetune=None),
            X,
            n_instances=[100],
            cv=2,
            methods=["pretrained"],
            random_state=0,
        )

    # of the table once, not of every draw
    assert _warned(_growing(1.6), curve) == [DriftWarning]


# ---- zeros and ones


def _yes_or_no(n=50, n_columns=4, rate=0.7):
    return (np.random.default_rng(0).random((n, n_columns)) < rate).astype(float)


@pytest.mark.parametrize(
    "problem",
    [Newsvendor(4.0, 1.0), Estimation(), Selection(5), Estimation(noise="poisson")],
    ids=["Newsvendor", "Estimation", "Selection", "poisson"],
)
def test_zeros_and_ones_are_told(problem):
    said = (
        r"all 200 observations are 0 or 1, \d\d% of them 1, but outcomes are taken for .*size: "
        r"quantiles, intervals and orders may lie beyond 1\. .*fit with noise='binomial'"
    )
    with pytest.warns(BinaryOutcomesWarning, match=said) as told:
        PretrainedDecisionTransformer(problem, finetune=None).fit(_yes_or_no())
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((50, 4)),
        np.ones((50, 4)),
        np.vstack([_yes_or_no(), [[2, 0, 1, 0]]]),
        0.5 * _yes_or_no(),
        _yes_or_no(4),
    ],
    ids=["zeros", "ones", "a two", "halves", "few"],
)
def test_other_tables_are_no_yes_or_no(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_zeros_and_ones(Portfolio(X))


def test_zeros_and_ones_that_were_said_to_be_successes():
    assert not _warned(_yes_or_no(), lambda X: _fit(X, problem=Estimation(noise="binomial")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_zeros_and_ones(Portfolio(_yes_or_no(), errors=np.ones(50)))
        warn_of_zeros_and_ones(Portfolio(_yes_or_no(), prices=np.ones((50, 4))))
