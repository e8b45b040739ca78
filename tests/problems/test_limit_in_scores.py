"""Limits in `decide`, scores, metrics, searches and finetuning."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_pttf import Column, PretrainedDecisionTransformer, _mixin
from sklearn_pttf._laws.parametric import LognormalLaw, PoissonLaw, RectifiedNormalLaw
from sklearn_pttf.baselines import ParametricEmpiricalBayes, SampleAverage, ShrunkenSampleAverage
from sklearn_pttf.datasets import make_demand_portfolio
from sklearn_pttf.finetune import HeadFinetune
from sklearn_pttf.metrics import decision_cost, make_decision_scorer, prescriptiveness, regret
from sklearn_pttf.model_selection import transfer_curve
from sklearn_pttf.problems import Newsvendor, PerRow
from support.limits import (
    FRAME,
    STORES,
    WEEKS,
    poisson_counts,
    random_limited_rows,
    sharing_estimator,
    used_of_limit,
)
from support.networks import ordering_too_much

NAN = np.nan
MIDDLES = np.linspace(5.0, 80.0, 40)

# ---- decide, score and metrics


def test_info_by_hand():
    # the example of the class; orders of 5 and 7 cost 4.75 and 1.25 a row
    X = [[3, 5, 4, 9], [6, 8, 7, 7]]
    saa = SampleAverage(Newsvendor(4.0, 1.0, limit=12)).fit(X)
    orders, info = saa.decide(X, return_info=True)
    assert_array_equal(orders, [5, 7])
    names = {"expected_cost", "mean", "shadow_price", "used", "limit", "dual_bound"}
    assert set(info) == names
    assert_allclose(info.expected_cost, [4.75, 1.25])
    assert_array_equal(info.mean, [5.25, 7.0])
    assert (info.used, info.limit) == (12.0, 12.0)
    # the eighth unit of row 1 saves 4 - 5 * 3 / 4; the sixth of row 0 too
    assert info.shadow_price == pytest.approx(0.25)
    assert info.dual_bound == pytest.approx(6.0)
    assert isinstance(info.dual_bound, float)
    free = saa.decide(X, problem=Newsvendor(4.0, 1.0), return_info=True)[1]
    assert set(free) == {"expected_cost", "mean"}


@pytest.fixture(scope="module")
def frozen():
    return PretrainedDecisionTransformer(Newsvendor(4.0, 1.0), finetune=None).fit(poisson_counts())


@pytest.mark.parametrize("scale", [1.0, 1.1])
def test_a_limit_that_does_not_bind_changes_nothing(scale):
    X = scale * poisson_counts()
    for estimator in (PretrainedDecisionTransformer(finetune=None), ShrunkenSampleAverage()):
        estimator.set_params(problem=Newsvendor(4.0, 1.0)).fit(X)
        free = estimator.decide(X)
        assert_array_equal(free, estimator.predict_quantiles(X, 0.8)[:, 0])
        for limit in (1e9, PerRow(1e4), free.sum()):
            loose = Newsvendor(4.0, 1.0, limit=limit)
            orders, info = estimator.decide(X, problem=loose, return_info=True)
            assert_array_equal(orders, free)
            assert info.shadow_price == 0
            assert info.used == pytest.approx(free.sum())
            assert info.dual_bound == pytest.approx(info.expected_cost.sum())


def test_the_network_keeps_a_limit(frozen):
    X = poisson_counts()
    free = frozen.decide(X).sum()
    orders, info = frozen.decide(
        X, problem=Newsvendor(4.0, 1.0, limit=int(free / 2)), return_info=True
    )
    assert orders.sum() == info.used == int(free / 2)
    assert info.expected_cost.sum() == pytest.approx(info.dual_bound)
    assert info.shadow_price > 0


def test_limits_are_kept_over_chunks_of_rows(monkeypatch):
    frame = FRAME.assign(store=STORES)
    problem = sharing_estimator({"north": PerRow(2.0), "south": 45, "east": 0}, groups="store")
    for estimator in (
        SampleAverage(problem),
        PretrainedDecisionTransformer(problem, finetune=None),
    ):
        orders = estimator.fit(frame).decide(frame)
        score = estimator.score(frame, FRAME["w2"])
        with monkeypatch.context() as patch:
            patch.setattr(_mixin, "CHUNK_ROWS", 7)
            assert_array_equal(estimator.decide(frame), orders)
            assert estimator.score(frame, FRAME["w2"]) == pytest.approx(score, abs=1e-12)


def test_score_charges_limited_orders():
    X, y = poisson_counts()[:, :4], poisson_counts()[:, 4]
    problem = Newsvendor(4.0, 1.0, limit=100)
    mine, reference = ShrunkenSampleAverage(problem).fit(X), SampleAverage(problem).fit(X)
    costs = [problem.cost(each.decide(X), y).sum() for each in (mine, reference)]
    assert mine.score(X, y) == pytest.approx(1 - costs[0] / costs[1])
    assert reference.score(X, y) == 0
    held_out = np.zeros(2)
    for k in range(4):
        evidence = X.copy()
        evidence[:, k] = NAN
        pooled = reference._pooled  # of fit: what the rows have in common
        assert len(pooled) == np.isfinite(X).sum()
        for j, each in enumerate((mine, reference)):
            held_out[j] += np.nansum(problem.cost(each.decide(evidence), X[:, k]))
    assert mine.score(X) == pytest.approx(1 - held_out[0] / held_out[1])


# rows that cost 1 and 3.5 a unit short. Under a limit of 8 the second has what sample averages want
# for it, up to 10, since its last units save 3.5 - 4.5 / 2 and the first ones of the other row 1
SHORT = pd.DataFrame({"w1": [2, 6], "w2": [4, 10], "short": [1.0, 3.5]})
EIGHT = Newsvendor("short", 1.0, limit=8)


def test_cost_under_a_limit_by_hand():
    assert_array_equal(SampleAverage(EIGHT).fit(SHORT).decide(SHORT), [0, 8])
    # 2 short of 3, and 3 of 9
    assert decision_cost([[3], [9]], [1, 6], problem=EIGHT, X=SHORT) == (2 + 3 * 3.5) / 2


def test_regret_under_a_limit_by_hand():
    # who knows the outcomes gives the second row all: 3 and 1 short
    for floor in ("law", "foresight"):
        assert regret([[3], [9]], [0, 8], problem=EIGHT, X=SHORT, floor=floor) == 0
        found = regret([[3], [9]], [1, 6], problem=EIGHT, X=SHORT, floor=floor)
        assert found == (2 + 3 * 3.5) / 2 - (3 + 3.5) / 2


def test_prescriptiveness_under_a_limit_by_hand():
    # the best orders are 2 and 6, 1 short in all; sample averages are 3 short and 2 over
    y = [[3], [6]]
    for floor in ("law", "foresight"):
        for orders, found in [([2, 6], 1.0), ([0, 6], 0.5), ([0, 8], 0.0), ([0, 9], -0.25)]:
            assert prescriptiveness(y, orders, X=SHORT, problem=EIGHT, floor=floor) == found


CAPPED = Newsvendor(upper=2.5)


def test_metrics_keep_amounts_as_they_are():
    # under a bound of 2.5 the best for 3.7 is 2.5, not 2
    for floor in ("law", "foresight"):
        found = regret([[2.4], [3.7]], [2.4, 2.3], problem=CAPPED, floor=floor, per_row=True)
        assert_allclose(found, [0.0, 0.2], atol=1e-12)
    # a limit of 2.5 for 3.7, alone
    assert regret([[3.7]], [2.5], problem=Newsvendor(limit=2.5)) == 0
    assert regret([[3.7]], [2.0], problem=Newsvendor(limit=2.5)) == pytest.approx(0.5)


def test_orders_that_are_amounts_are_compared_with_amounts():
    # that outcomes are whole does not make 2 the best below 2.5: who orders 2.5 pays less
    found = regret([[4], [3]], [2.5, 2.0], problem=CAPPED, per_row=True)
    assert_allclose(found, [0.0, 0.5])


def test_laws_of_amounts_are_met_by_amounts_whatever_was_ordered():
    # hardly anything below 2.5 is left over of what is 9 on average
    truth = RectifiedNormalLaw([9.0], [1.0])
    assert regret(None, [0.0], problem=CAPPED, truth=truth) == pytest.approx(2.5)


def test_orders_that_are_as_cheap_have_no_regret_whoever_gets_them():
    problem = Newsvendor(limit=5)
    for orders in ([5, 0], [0, 5], [2, 3]):
        assert decision_cost([[5], [5]], orders, problem=problem) == 2.5
        assert regret([[5], [5]], orders, problem=problem) == 0


def test_foresight_shares_the_limit_in_every_period():
    # 10 units are enough for each of the two periods
    y, problem = [[0, 10], [10, 0]], Newsvendor(limit=10)
    assert regret(y, [5, 5], problem=problem, floor="foresight") == decision_cost(y, [5, 5])


def test_metrics_need_the_table_of_a_column():
    with pytest.raises(ValueError, match="limit_weights is read from column 'price' of X"):
        decision_cost([1, 2], [1, 2], problem=Newsvendor(limit=3, limit_weights="price"))
    with pytest.raises(ValueError, match="groups is read from column"):
        regret([1, 2], [1, 2], problem=Newsvendor(limit=3, groups=Column(1)))


def test_transfer_curve_under_limits():
    frame = FRAME.assign(store=STORES)
    problem = sharing_estimator(
        {"north": PerRow(2.0), "south": PerRow(4), "east": 30}, groups="store"
    )
    pdt = PretrainedDecisionTransformer(problem, finetune=None)
    y = poisson_counts(seed=1)
    curve = transfer_curve(
        pdt, frame, y, n_instances=[6, 24], cv=2, methods=["pretrained", "saa"], random_state=0
    )
    for draw in range(2):
        for k, size in enumerate((6, 24)):
            rows = curve.rows[draw][:size]
            part = frame.iloc[rows]
            charged = decision_cost(
                y[rows], pdt.fit(part).decide(part), problem=problem, X=part, per_row=True
            )
            assert curve.cost[0, k, draw] == pytest.approx(np.nanmean(charged[:6]))


def test_transfer_curve_goes_on_only_under_the_same_limit(tmp_path):
    pdt = PretrainedDecisionTransformer(finetune=None)
    arguments = {"n_instances": [6], "cv": 2, "methods": ["saa"], "random_state": 0}

    def curve(limit):
        pdt.set_params(problem=Newsvendor(limit=limit))
        file = tmp_path / "curve.json"
        return transfer_curve(
            pdt, poisson_counts(), poisson_counts(seed=1), resume=file, **arguments
        )

    assert_array_equal(curve(PerRow(2.0)).cost, curve(PerRow(2.0)).cost)
    with pytest.raises(ValueError, match=r"estimator\.problem was"):
        curve(PerRow(3.0))


def test_grid_search_over_limits():
    X, y = poisson_counts(), poisson_counts(seed=1)
    search = GridSearchCV(
        SampleAverage(Newsvendor(4.0, 1.0)),
        {"problem__limit": [20, 50.0, PerRow(8.0), None]},
        scoring=make_decision_scorer("cost", problem=Newsvendor(4.0, 1.0)),
        cv=KFold(2),
        error_score="raise",
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(np.diff(scores) > 0)
    assert search.best_params_ == {"problem__limit": None}
    one = SampleAverage(Newsvendor(4.0, 1.0, limit=50.0)).fit(X[12:])
    first = decision_cost(y[:12], one.decide(X[:12]), problem=Newsvendor(4.0, 1.0))
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(-first)


def test_limits_survive_clone_and_pickle():
    frame = FRAME.assign(store=STORES)
    problem = sharing_estimator(
        {"north": PerRow(2.0), "south": 45, "east": 0}, groups="store", upper=9.0
    )
    assert clone(problem).get_params() == problem.get_params()
    assert pickle.loads(pickle.dumps(problem)).get_params() == problem.get_params()
    assert PerRow(2) == PerRow(2.0)
    for estimator in (
        SampleAverage(problem),
        PretrainedDecisionTransformer(problem, finetune=None),
    ):
        orders = estimator.fit(frame).decide(frame)
        assert_array_equal(pickle.loads(pickle.dumps(estimator)).decide(frame), orders)
        assert_array_equal(clone(estimator).fit(frame).decide(frame), orders)


# ---- finetuning


CHECKPOINT = ordering_too_much()


def test_training_has_its_share_of_a_limit():
    X = np.column_stack([poisson_counts(10), np.arange(10) % 2])

    def for_training(share, **parameters):
        problem = Newsvendor(**parameters)
        portfolio = problem.read(X)
        return problem.for_training(portfolio, share)

    problem, portfolio = for_training(0.5, limit=30.0, horizon=3, upper=12.0)
    assert (problem.limit, problem.horizon) == (5.0, 1)
    assert_allclose(portfolio.constraints["upper"], 4.0)
    assert_allclose(portfolio.constraints["limit_weights"], 1.0)
    problem, _ = for_training(0.5, limit={0: 30.0, 1: 8}, groups=Column(5))
    assert problem.limit == {0: 15.0, 1: 4.0}
    problem, portfolio = for_training(0.5, horizon=3, lower=1.0, upper=12.0)
    assert problem.horizon == 1
    assert_allclose(portfolio.constraints["lower"], 1 / 3)
    assert_allclose(portfolio.constraints["upper"], 4.0)
    free = Newsvendor(4.0, 1.0)
    assert free.for_training(portfolio, 0.5) == (free, portfolio)


def test_a_limit_a_row_stays_one_for_a_share_of_the_rows():
    problem = Newsvendor(limit=PerRow(3.0), horizon=2)
    portfolio = problem.read(poisson_counts(10))
    half = portfolio.take(slice(0, 5))
    trained, _ = problem.for_training(portfolio, 0.5)
    law = PoissonLaw(np.full(5, 20.0))
    # 5 rows of one period: 5 * 3 / 2
    assert trained.solve_with_info(law, half)[1]["limit"] == 7.5


def test_own_levels_are_those_that_the_price_leaves():
    law = LognormalLaw(np.log(MIDDLES), 0.6)
    portfolio = random_limited_rows(40, 5)
    problem = Newsvendor(limit=0.5 * used_of_limit(Newsvendor().solve(law, portfolio), portfolio))
    orders, info = problem.solve_with_info(law, portfolio)
    levels = problem.own_levels(law, portfolio)
    assert_allclose(levels, np.clip(law.cdf(orders), 0.001, 0.999))
    under, over = portfolio.costs["underage"], portfolio.costs["overage"]
    ratio = under - info["shadow_price"] * portfolio.constraints["limit_weights"]
    assert_allclose(levels, np.clip(ratio / (under + over), 0.001, 0.999), rtol=1e-4)


@pytest.fixture(scope="module")
def table():
    return make_demand_portfolio(40, 4, noise=0.8, random_state=0)


def _finetuned(problem):
    return PretrainedDecisionTransformer(
        problem,
        checkpoint=CHECKPOINT,
        finetune=HeadFinetune(max_epochs=1, baselines=False),
        random_state=0,
    )


def test_finetuning_is_charged_within_the_limit(table):
    # nothing may be ordered: every observation, held out once, is missing
    fitted = _finetuned(Newsvendor(9.0, 1.0, limit=0)).fit(table)
    report = fitted.finetune_report_
    assert report["candidate"].tolist() == ["pretrained", "finetuned", "blend"]
    assert_allclose(report["mean_cost"], 9 * np.mean(table))
    assert_array_equal(report["gain"], 0)
    assert not fitted.finetune_improved_
    assert_array_equal(fitted.decide(table), 0)


def test_finetuning_under_limits_of_groups_and_a_horizon(table):
    frame = pd.DataFrame(np.floor(table)).add_prefix("w").assign(store=np.arange(40) % 3)
    limits = {0: 700, 1: PerRow(40.0), 2: 0}
    problem = Newsvendor(
        4.0, 1.0, observations=WEEKS[:4], limit=limits, groups="store", horizon=3, upper=90
    )
    fitted = _finetuned(problem).fit(frame)
    assert "reason" not in fitted.finetune_report_
    orders, info = fitted.decide(frame, return_info=True)
    assert info.limit == {0: 700, 1: 520, 2: 0}
    assert all(info.used[store] <= info.limit[store] for store in limits)
    assert_array_equal(orders[2::3], 0)
    assert orders.max() <= 90


def test_limits_that_can_be_kept_can_be_trained_for(table):
    # a unit a row lasts for four periods: in one of them there is no whole quarter of it
    X = np.floor(table)
    problem = Newsvendor(4.0, 1.0, limit=2.0 * len(X), lower=1, horizon=4)
    orders = _finetuned(problem).fit(X).decide(X)
    assert orders.min() >= 1
    assert orders.sum() <= 2 * len(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("amounts", [0.0, 0.25])
def test_rows_that_use_nothing_of_the_limit_are_free(amounts):
    frame = (
        pd.DataFrame(poisson_counts(6) + amounts).add_prefix("w").assign(size=[0, 0, 0, 1, 1, 2.0])
    )
    problem = Newsvendor(4.0, 1.0, limit=3.0, limit_weights="size")
    fitted = ParametricEmpiricalBayes(problem).fit(frame)
    orders, info = fitted.decide(frame, return_info=True)
    free = fitted.decide(frame, problem=Newsvendor(4.0, 1.0, observations=list(frame)[:-1]))
    assert_array_equal(orders[:3], free[:3])
    assert orders[3:] @ [1, 1, 2] <= 3 + 1e-9 < free[3:] @ [1, 1, 2]
    assert info.shadow_price > 0
