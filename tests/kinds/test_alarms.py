"""Warnings at fit: of a drift, and of a law that does not fit; none without a reason."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer, PricingPrior
from sklearn_pttf._kinds import alarms, drift
from sklearn_pttf._kinds.alarms import warn_of_quiet_counts, warn_of_zeros_and_ones
from sklearn_pttf._kinds.prices.alarms import warn_of_rising_demand
from sklearn_pttf._kinds.registry import kind_of
from sklearn_pttf._laws.parametric import NormalLaw
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.datasets import load_horse_kicks, make_demand_portfolio
from sklearn_pttf.exceptions import BinaryOutcomesWarning, DriftWarning, PriorConflictWarning
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing, Selection
from sklearn_pttf.testing import (
    GammaPoisson,
    LinearDemand,
    LognormalNormal,
    NormalNormal,
    Segments,
    ZeroInflatedPoisson,
)

NAN = np.nan


def _fit(X, **parameters):
    return PretrainedDecisionTransformer(finetune=None, random_state=0, **parameters).fit(X)


def _warned(X, call=_fit):
    """Classes of the warnings of `fit`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(X)
    return [each.category for each in caught]


def _drifts(portfolio):
    return drift.warn_of_drift(portfolio.observations, kind_of(portfolio).drift)


def _conflicts(predict, portfolio):
    alarms.warn_of_conflict(kind_of(portfolio), predict, portfolio, np.random.default_rng(0))


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
        assert _warned(Portfolio(X), _drifts) == []


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
    with pytest.warns(DriftWarning, match=r"over 20 rows, .* 50% higher on average \(stand"):
        _drifts(Portfolio(X))
    with pytest.warns(DriftWarning, match="are 33% lower"):
        _drifts(Portfolio(X[:, ::-1]))
    gaps = np.full((20, 9), NAN)
    gaps[:, [0, 2, 3, 7]] = X
    gaps[5] = 0.0  # nothing was sold: nothing is known
    gaps[6:8] = NAN
    assert _warned(Portfolio(gaps), _drifts) == []
    with pytest.warns(DriftWarning, match="over 34 rows, .* 50% higher"):
        _drifts(Portfolio(np.vstack([gaps, gaps])))
    # of an odd number the middle one counts for neither
    with pytest.warns(DriftWarning, match="50% higher"):
        _drifts(Portfolio(np.tile([10.0, 999.0, 15.0], (20, 1))))


def test_a_drift_of_real_values_by_hand():
    # noise of 1 around -5, and then around -4.5
    X = np.tile([[-6.0, -4.0, -5.5, -3.5], [-4.0, -6.0, -3.5, -5.5]], (10, 1))
    with pytest.warns(DriftWarning, match=r"over 20 rows, .* 0\.5 higher"):
        _drifts(Portfolio(X, real=True))
    with pytest.warns(DriftWarning, match=r"are 50 lower"):
        _drifts(Portfolio(100.0 * X[:, ::-1] + 1e4, real=True))
    small = np.tile([-6.0, -4.0, -5.9, -3.9], (20, 1))  # less than a quarter of the noise
    assert _warned(Portfolio(small, real=True), _drifts) == []
    assert _warned(Portfolio(np.full((20, 4), -3.0), real=True), _drifts) == []


def test_drifts_of_exchangeable_real_values_are_rare():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 1)) + rng.standard_t(3, size=(40, rng.integers(2, 7)))
        X[rng.uniform(size=X.shape) < 0.3] = NAN
        assert _warned(Portfolio(X, real=True), _drifts) == []


@pytest.mark.parametrize("factor", [1.6, 0.5])
def test_trends_are_warned_of(factor):
    assert _warned(_growing(factor)) == [DriftWarning]


def test_stock_that_grows_is_no_drift_of_demand():
    demand = _counts()
    stock = np.where(np.arange(8) < 4, 1.0, 3.0) * np.rint(demand.mean(axis=1, keepdims=True))
    sales = np.minimum(demand, stock)
    problem = Newsvendor(observations=list(range(8)), stock=list(range(8, 16)))
    told = np.hstack([sales, stock])
    assert _warned(sales) == [DriftWarning]
    assert _warned(told, lambda X: _fit(X, problem=problem)) == []
    told[:, :8] = np.minimum(_growing(2.0), stock)
    assert _warned(told, lambda X: _fit(X, problem=problem)) == [DriftWarning]


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
        _conflicts(predict, portfolio)

    X = np.full((100, 2), 11.0)  # outside of the central half, of which there is another alarm
    for n_out, warned in [(10, []), (11, [PriorConflictWarning])]:
        for value in (12.6, 7.4):
            X[:n_out] = value
            assert _warned(Portfolio(X, integer=False), conflict) == warned
            X[:n_out] = 12.5
            assert _warned(Portfolio(X, integer=False), conflict) == []
    X[:] = 11.0
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
    with pytest.warns(PriorConflictWarning, match="far too wide"):
        _conflicts(predict, Portfolio(X))
    rows = np.delete(np.arange(30), [7, 9])
    hidden = np.isnan(seen[0]) & ~np.isnan(X[rows])
    np.testing.assert_array_equal(hidden.sum(axis=1), 1)
    np.testing.assert_array_equal(seen[0][~hidden], X[rows][~hidden])


# ---- noise that is quieter than the law allows


def _sure_counts(seed=0, trials=1.25, n_columns=5):
    """Counts that vary a fifth as much as Poisson ones: 4 of 5 trials succeed."""
    rng = np.random.default_rng(seed)
    n = np.ceil(rng.gamma(2.0, 5.0 * trials, (200, 1))).astype(int)
    return rng.binomial(n, 0.8, (200, n_columns)).astype(float)


def _alarms_of_poisson(X):
    return _warned(X, PretrainedDecisionTransformer(Estimation(noise="poisson"), finetune=None).fit)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_counts_that_are_no_poisson_ones_are_warned_of(seed):
    message = (
        r"noise='poisson' is not what .* variance is 0\.\d+ times their mean .*Leave noise=None"
    )
    pdt = PretrainedDecisionTransformer(Estimation(noise="poisson"), finetune=None)
    with pytest.warns(PriorConflictWarning, match=message) as caught:
        pdt.fit(_sure_counts(seed))
    assert len(caught) == 1
    assert 0.1 < float(str(caught[0].message).split("variance is ")[1].split()[0]) < 0.35


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("law", [GammaPoisson(2.0, 0.2), GammaPoisson(0.3, 1.0), Segments([9.0])])
def test_poisson_counts_are_no_reason(law, seed):
    for n_columns in (1, 2, 6):
        X = law.sample(150, n_columns, random_state=seed).observations
        assert _alarms_of_poisson(X) == []


def test_dispersion_by_hand():
    # variance 1/2 around 4 in each of 40 rows of two counts: an eighth of what is expected
    X = np.tile([[4.0, 5.0]], (40, 1))
    with pytest.warns(PriorConflictWarning, match=r"within 40 rows their variance is 0\.11 times"):
        warn_of_quiet_counts(Portfolio(X), "poisson")
    # with the same variance as Poisson counts, one observation a row, few rows, or nothing said
    for rows in (np.tile([[3.0, 6.0]], (40, 1)), X[:, :1], X[:19]):
        assert _warned(Portfolio(rows), lambda p: warn_of_quiet_counts(p, "poisson")) == []
    assert _warned(Portfolio(X), lambda p: warn_of_quiet_counts(p, None)) == []


def test_dispersion_of_counts_over_an_exposure():
    # a rate of 1 over 4 and 8: nothing varies, but for what was counted over
    X, exposure = np.tile([[4.0, 8.0]], (40, 1)), np.tile([[4.0, 8.0]], (40, 1))
    with pytest.warns(PriorConflictWarning, match="their variance is 0 times their mean"):
        warn_of_quiet_counts(Portfolio(X, exposure=exposure), "poisson")
    assert _warned(Portfolio(X), lambda p: warn_of_quiet_counts(p, "poisson")) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_below_that_of_the_kind_is_warned_of(seed):
    quiet = LognormalNormal(4.0, 0.5, 0.003).sample(200, 6, random_state=seed).observations
    message = (
        r"far too wide: in \d\d% of 200 rows an observation lies in the central 50% of .*Param"
    )
    with pytest.warns(PriorConflictWarning, match=message):
        _fit(quiet)
    usual = LognormalNormal(4.0, 0.5, 0.05).sample(200, 6, random_state=seed).observations
    assert _warned(usual) == []


def test_standard_errors_that_are_too_large_are_warned_of():
    X = NormalNormal(0.0, 1.0, 1.0).sample(300, 4, random_state=0).observations
    for error, count in ((1.0, 0), (6.0, 1)):
        problem = Estimation(standard_errors=error)
        fit = PretrainedDecisionTransformer(problem, finetune=None, random_state=0).fit
        assert _warned(X, fit) == [PriorConflictWarning] * count
    with pytest.warns(PriorConflictWarning, match="look whether standard_errors are too large"):
        fit(X)


def test_the_middle_by_hand():
    # |z| < 0.674 holds half of a standard normal law
    def conflict(portfolio):
        def predict(part):
            return NormalLaw(np.full(len(part), 10.0), 1.0)

        _conflicts(predict, portfolio)

    X = np.tile([[10.0, 10.1]], (200, 1))
    X[:40] += 1.0  # 80 % in the middle: by chance next to never where 57 % are
    assert _warned(Portfolio(X), conflict) == [PriorConflictWarning]
    X[:80] = [[11.0, 11.1]]  # 60 %
    assert _warned(Portfolio(X), conflict) == []
    assert _warned(Portfolio(X[-19:]), conflict) == []


# ---- demand that rises with price


def _priced(elasticity, n_prices, seed=0, n_rows=200):
    """Poisson demand of mean ``50 (price / 10) ** elasticity``, and its problem."""
    rng = np.random.default_rng(seed)
    prices = 10.0 * rng.lognormal(0.0, 0.2, (n_rows, n_prices))
    demand = rng.poisson(50.0 * (prices / 10.0) ** elasticity)
    columns = list(range(n_prices)), list(range(n_prices, 2 * n_prices))
    return np.hstack([prices, demand]), Pricing(*columns, unit_cost=4.0)


def _alarms_of_prices(X, problem):
    return _warned(X, PretrainedDecisionTransformer(problem, finetune=None, random_state=0).fit)


@pytest.mark.parametrize("n_prices", [1, 2, 5])
def test_demand_that_rises_with_price_is_warned_of(n_prices):
    X, problem = _priced(1.5, n_prices)
    rows = "between 200 rows of one price each" if n_prices == 1 else "within 200 rows"
    message = (
        rf"demand rises with price: {rows} it is .*\(elasticity about \+1\.\d.*tried at random"
    )
    with pytest.warns(PriorConflictWarning, match=message):
        PretrainedDecisionTransformer(problem, finetune=None).fit(X)


@pytest.mark.parametrize("elasticity", [0.0, -0.5, -2.0])
@pytest.mark.parametrize("n_prices", [1, 2, 5])
def test_demand_that_falls_with_price_is_no_reason(n_prices, elasticity):
    for seed in (0, 1, 2):
        assert _alarms_of_prices(*_priced(elasticity, n_prices, seed)) == []


def test_priced_portfolios_of_the_prior_are_no_reason():
    for seed in range(20):
        (portfolio,) = PricingPrior().sample(
            1, n_instances=150, n_observations=1 + seed % 4, random_state=seed
        )
        assert _warned(portfolio, warn_of_rising_demand) == []
    lines = LinearDemand(100.0, 10.0, 15.0, 1.5).sample(200, 5, random_state=0)
    assert _warned(lines, warn_of_rising_demand) == []


def test_few_rows_say_nothing_of_a_rise():
    X, problem = _priced(1.5, 3, n_rows=19)
    assert _alarms_of_prices(X, problem) == []
    X[:, 1:3] = X[:, :1]  # all prices of a row are the same
    assert _alarms_of_prices(X, problem) == []


# ---- as they are met


def test_warnings_point_to_the_line_of_fit():
    for X in (_growing(1.6), _spiked()):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            PretrainedDecisionTransformer(finetune=None, random_state=0).fit(X)
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
    priced = kind_of(Portfolio(_yes_or_no(), prices=np.ones((50, 4))))
    assert warn_of_zeros_and_ones not in priced.alarms


def test_shocks_that_rows_share_are_no_drift():
    """One week in a few is warm: however many rows share it, it may have been any week."""
    warned = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shocks = np.exp(rng.normal(0.0, 0.25, (1, 8)))
        X = rng.poisson(rng.gamma(2.0, 5.0, (400, 1)) * shocks).astype(float)
        warned += len(_warned(Portfolio(X), _drifts))
    assert warned <= 3  # of 40; half of them were
    trend = np.exp(np.linspace(0.0, 0.4, 8))
    X = rng.poisson(rng.gamma(2.0, 5.0, (400, 1)) * trend).astype(float)
    assert _warned(Portfolio(X), _drifts) != []


@pytest.mark.parametrize("in_time", [False, True])
def test_sales_that_stock_capped_break_no_law(in_time):
    """They are at least the demand; the same numbers as demand lie far below the law."""
    sales = np.minimum(np.random.default_rng(0).poisson(30, size=(100, 6)), 6).astype(float)
    newest = sales[:, -1:]

    def predict(some):
        return NormalLaw(np.full(len(some), 30.0), np.full(len(some), 5.5))

    def conflicts(stock):
        portfolio = Portfolio(sales, stock=stock)
        hidden = (portfolio, newest, np.full(100, stock is not None)) if in_time else None
        rng = np.random.default_rng(0)
        alarms.warn_of_conflict(kind_of(portfolio), predict, portfolio, rng, hidden=hidden)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conflicts(np.full(sales.shape, 6.0))
    with pytest.warns(PriorConflictWarning, match="does not fit"):
        conflicts(None)
