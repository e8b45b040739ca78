"""What a backtest tells, in figures, as a table and as a frame; and going on from a folder."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sklearn_pttf import Column
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.model_selection import _backtest
from sklearn_pttf.problems import Newsvendor
from support.backtests import (
    NAN,
    PROBLEM,
    LastSeen,
    Noisy,
    X,
    assert_same_backtest,
    small_backtest,
)

# ---------------------------------------------------------------- figures


@pytest.fixture(scope="module")
def by_hand():
    """Two rows and two origins; what was seen last is ordered, and costs 1, 8 and 12."""
    table = [[1, 2, 4, 3, 7], [9, 5, 5, NAN, 6]]
    saa = {"SAA": LastSeen}
    return small_backtest(X=table, origins=2, baselines=saa, policy=[[3, 3], [6, 6]])


def test_a_summary_by_hand(by_hand):
    estimator, saa, policy = by_hand.summary()
    assert estimator["method"] == "estimator"
    assert estimator["cost"] == 21.0
    # costs of origins are 1 and 20: their mean has half a width of t * 9.5
    assert estimator["cost_half_width"] == pytest.approx(2 * 9.5 * stats.t.ppf(0.975, 1))
    assert estimator["promised"] == 0.0
    assert np.isnan(estimator["achieved_over_promised"])
    assert estimator["service_level"] == pytest.approx(1 / 3)
    assert estimator["fill_rate"] == pytest.approx((3 + 3 + 0) / 16)
    assert estimator["average_stock"] == pytest.approx(1 / 3)
    assert estimator["bias"] == pytest.approx((4 + 3 + 0 - 16) / 16)
    assert policy["cost"] == 8.0
    assert np.isnan(policy["promised"])
    assert np.isnan(policy["bias"])
    assert policy["fill_rate"] == pytest.approx(12 / 16)
    assert estimator["saving_over_policy"] == pytest.approx((8 - 21) / 8)
    # of origins 0 - 1 and 8 - 20, each less 0 and 8 times that ratio: -1 and 1
    half = stats.t.ppf(0.975, 1) / 4
    assert estimator["saving_over_policy_half_width"] == pytest.approx(half)
    assert estimator["saving_over_SAA"] == estimator["saving_over_SAA_half_width"] == 0.0
    assert policy["saving_over_SAA"] == pytest.approx(13 / 21)
    assert estimator["worse_than_policy"] == 1.0  # rows cost 9 and 12, and 8 and 0
    assert policy["worse_than_policy"] == 0.0
    assert {k: v for k, v in saa.items() if k != "method"} == pytest.approx(
        {k: v for k, v in estimator.items() if k != "method"}, nan_ok=True
    )


def test_savings_in_money(by_hand):
    saving, half = by_hand.saving("policy", in_money=True)
    assert_array_equal(saving, [-13, -13, 0])
    # the share of 8 that the rule cost, whose half is t / 4
    assert half == pytest.approx([2 * stats.t.ppf(0.975, 1)] * 2 + [0])
    # where the other method costs nothing, there is no share
    free = small_backtest(X=X[:1], origins=2, policy=X[:1, -2:])
    lost = -free.cost[0, 0]
    saving, half = free.saving("policy", in_money=True)
    assert saving[0] == lost.sum()
    assert half[0] == pytest.approx(np.ptp(lost) * stats.t.ppf(0.975, 1))
    assert np.isnan(free.saving("policy")[0]).all()


def test_a_verdict_says_how_sure_it_is(by_hand):
    lost = "13.00 ± 25.41 lost, 162.5 ± 317.7 % of it, which may be chance."
    assert by_hand.verdict("policy") == f"Today's rule cost 8.00, this estimator 21.00: {lost}"
    cheapest = "The cheapest method was today's rule: it cost 8.00, this estimator 21.00: "
    assert by_hand.verdict() == cheapest + lost
    # 3 origins of 30 rows that cost a unit each, and of 30 that cost 2
    table = np.arange(12.0) + np.zeros((30, 1))
    sure = small_backtest(X=table, policy=table[:, -3:] + 2)
    assert sure.verdict() == (
        "No method was cheaper than this estimator; next is today's rule, which cost 180, this "
        "estimator 180: 0 ± 0 saved, 0.0 ± 0.0 % of it, which may be chance."
    )
    sure = small_backtest(X=table, policy=table[:, -3:] + 3)
    assert sure.verdict("policy") == (
        "Today's rule cost 270, this estimator 180: 90 ± 0 saved, 33.3 ± 0.0 % of it, which is "
        "surely more than chance."
    )
    alone = small_backtest(X=table, origins=1)
    assert alone.verdict() == "This estimator cost 60.00; nothing was compared with it."
    once = small_backtest(X=table, origins=1, policy=table[:, -1:] + 3)
    assert once.verdict().endswith("; one origin does not tell whether that is chance.")


def test_a_summary_prints_as_a_table(by_hand):
    lines = str(by_hand.summary()).splitlines()
    titles = re.split(r"\s{2,}", lines[0])
    assert titles[:4] == ["method", "cost", "promised", "achieved/promised"]
    assert titles[-3:] == ["saving vs SAA", "saving vs policy", "rows worse than policy"]
    assert lines[3].startswith("policy      8.00 ± 101.65 ")  # 0 and 8: 2 * 4 * 12.706
    assert lines[3].endswith("0.0 %")
    assert lines[4] == "± is half of a 95 % interval over 2 origins, too few to trust it."
    assert len({line.index("±") for line in lines[1:3]}) == 1
    frame = pd.DataFrame(by_hand.summary())
    assert frame.method.tolist() == ["estimator", "SAA", "policy"]
    assert repr(by_hand) == (
        "BacktestResult(methods=('estimator', 'SAA', 'policy'), n_rows=2, n_origins=2)"
    )


def test_of_one_origin_nothing_is_told_of_chance():
    summary = small_backtest(origins=1).summary()
    assert np.isnan(summary[0]["cost_half_width"])
    assert str(summary).endswith("how far the figures are due to chance.")
    assert "±" not in str(summary)
    assert "saving_over_SAA" not in summary[0]
    assert str(small_backtest(origins=6).summary()).endswith("interval over 6 origins.")


def test_saving_and_worse_rows_against_any_method():
    result = small_backtest(baselines={"SAA": SampleAverage}, policy=X[:, :3])
    total = np.nansum(result.cost, axis=(1, 2))
    assert_allclose(result.saving("policy")[0], 1 - total / total[2])
    assert_allclose(result.saving()[0], 1 - total / total[1])
    rows = result.cost.sum(axis=2)
    assert_allclose(result.worse_rows("estimator"), (rows > rows[0] + 1e-9).mean(axis=1))
    with pytest.raises(ValueError, match=r"against must be one of \['estimator', .*; got 'me'"):
        result.saving("me")
    with pytest.raises(ValueError, match=r"against must be one of .*; got 'policy'"):
        small_backtest().worse_rows()


def test_rows_that_are_never_charged_do_not_count():
    table = X.copy()
    table[0, 9:] = NAN
    result = small_backtest(X=table, policy=X[:, 9:])
    assert np.isnan(result.cost[:, 0]).all()
    assert result.worse_rows()[0] == (result.cost[0, 1:].sum(axis=1) > 0).mean()


def test_as_a_frame():
    frame = pd.DataFrame(X, index=[f"sku{k}" for k in range(len(X))]).add_prefix("w")
    result = small_backtest(X=frame, policy=X[:, :3])
    long = result.to_frame()
    assert len(long) == 2 * 30 * 3
    some = long[(long.method == "policy") & (long.row == "sku4")]
    assert some.origin.tolist() == [9, 10, 11]
    assert_array_equal(some.decision, X[4, :3])
    assert_array_equal(some.demand, X[4, 9:])
    assert_array_equal(some.cost, result.cost[1, 4])
    assert_array_equal(some.cost, some.held + some.missed)
    assert_array_equal(small_backtest().rows, np.arange(30))
    assert some.charged_from.tolist() == some.charged_to.tolist() == [9, 10, 11]
    assert result.periods == tuple(frame.columns)
    assert small_backtest().periods is None


def test_labels_of_several_levels():
    labels = pd.MultiIndex.from_product([["north", "south"], range(15)], names=["store", "sku"])
    result = small_backtest(X=pd.DataFrame(X, index=labels).add_prefix("w"))
    assert result.rows.tolist() == labels.tolist()
    long = result.to_frame()
    assert_array_equal(long[long.row == ("south", 3)].cost, result.cost[0, 18])


# ---------------------------------------------------------------- a folder of results

METHODS = {"SAA": SampleAverage, "smoothing": ExponentialSmoothing}


@pytest.fixture
def fits(monkeypatch):
    """Methods and origins of the fits that are done."""
    done, run = [], _backtest._run

    def recorded(fit, table, origin, is_newest):
        done.append((fit.method, origin))
        return run(fit, table, origin, is_newest)

    monkeypatch.setattr(_backtest, "_run", recorded)
    return done


def test_interrupted_and_resumed(tmp_path, monkeypatch, fits):
    path = tmp_path / "runs" / "today"
    whole = small_backtest(baselines=METHODS)
    assert len(fits) == 9
    run = _backtest._run

    def interrupted(fit, table, origin, is_newest):
        if (fit.method, origin) == ("SAA", 10):
            raise KeyboardInterrupt
        return run(fit, table, origin, is_newest)

    monkeypatch.setattr(_backtest, "_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_backtest(baselines=METHODS, resume=path)
    assert len(list(path.glob("*.npz"))) == 3  # of the first origin
    monkeypatch.setattr(_backtest, "_run", run)
    del fits[:]
    resumed = small_backtest(baselines=METHODS, resume=str(path))
    assert sorted(set(fits)) == sorted((m, t) for m in resumed.methods for t in (10, 11))
    assert_same_backtest(resumed, whole)
    del fits[:]
    again = small_backtest(baselines=METHODS, resume=path)
    assert fits == []
    assert_same_backtest(again, resumed)
    assert_array_equal(again.fit_time, resumed.fit_time)


def test_a_call_that_was_killed_before_its_first_result_goes_on(tmp_path):
    (tmp_path / ".key.json.0123456789abcdef.tmp").touch()
    small_backtest(resume=tmp_path)
    assert (tmp_path / "key.json").exists()
    assert not list(tmp_path.glob(".key*"))


def test_a_folder_serves_more_origins_methods_and_rules(tmp_path, fits):
    small_backtest(resume=tmp_path)
    small_backtest(resume=tmp_path, origins=[5, 10], baselines=METHODS, policy=X[:, :2])
    at_5, at_10 = [("estimator", 5), ("SAA", 5), ("smoothing", 5)], [("SAA", 10), ("smoothing", 10)]
    assert fits[3:] == [*at_5, *at_10]
    del fits[:]
    other = {"smoothing": ExponentialSmoothing(alpha=0.1)}  # another one of the same name
    small_backtest(resume=tmp_path, origins=[10], baselines=other)
    assert fits == [("smoothing", 10)]


def test_a_seed_that_matters_is_part_of_the_key(tmp_path):
    wild = Noisy(PROBLEM, random_state=None)
    with pytest.raises(ValueError, match=r"resume needs a random_state, .* trains 'estimator'"):
        small_backtest(wild, resume=tmp_path)
    found = small_backtest(wild, resume=tmp_path, random_state=1)
    assert_same_backtest(small_backtest(wild, resume=tmp_path, random_state=1), found)
    with pytest.raises(ValueError, match=r"estimator was .*seed=1, and is .*seed=2"):
        small_backtest(wild, resume=tmp_path, random_state=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": X + 1}, "X was"),
        ({"estimator": LastSeen(Newsvendor(3.0, 1.0, ordered=True))}, "problem was"),
        ({"estimator": SampleAverage(PROBLEM)}, "estimator was .*LastSeen.*SampleAverage"),
        ({"estimator": LastSeen(PROBLEM, random_state=5)}, "estimator was .*and is .*state=5"),
    ],
)
def test_a_folder_of_another_call_is_refused(tmp_path, changes, message):
    small_backtest(resume=tmp_path)
    with pytest.raises(ValueError, match=f"holds results of a call with other .*{message}"):
        small_backtest(resume=tmp_path, **changes)


def test_columns_with_other_roles_count(tmp_path):
    problem = Newsvendor(Column(12), 1.0, ordered=True)
    table = np.column_stack([X, np.full(len(X), 2.0)])
    small_backtest(LastSeen(problem), table, resume=tmp_path)
    table[0, 12] = 3.0
    with pytest.raises(ValueError, match="X was"):
        small_backtest(LastSeen(problem), table, resume=tmp_path)


def test_other_folders_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"resume=.*must be a folder"):
        small_backtest(resume=tmp_path / "file")
    with pytest.raises(ValueError, match=r"resume=.* is a folder of other files"):
        small_backtest(resume=tmp_path)
    path = tmp_path / "runs"
    small_backtest(resume=path)
    key = json.loads((path / "key.json").read_text())
    (path / "key.json").write_text(json.dumps(key | {"format": 9}))
    with pytest.raises(ValueError, match="has format 9"):
        small_backtest(resume=path)
    (path / "key.json").write_text(json.dumps(key))
    for file in path.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"resume=.* holds a damaged file"):
        small_backtest(resume=path)
