"""Finetuning within `fit`: gains, warm starts, callbacks, interruptions and reports."""

import copy
import itertools
import pickle
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback, LRScheduler

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf._training import own_prior as _own_prior
from sklearn_pttf.datasets import load_horse_kicks, make_demand_portfolio
from sklearn_pttf.finetune import FullFinetune, HeadFinetune, LoRAFinetune, _guard
from sklearn_pttf.finetune._net import FinetuneLoss
from sklearn_pttf.problems import Newsvendor
from support.finetuning import quick_estimator

NAN = np.nan


@pytest.fixture(scope="module")
def few(table):
    """Rows to train on, where it does not matter what is learned."""
    return table[0][:60]


@pytest.fixture(scope="module")
def zero_shot(checkpoint, table):
    """Fitted without finetuning; to be left as it is."""
    return quick_estimator(checkpoint, finetune=None).fit(table[0])


@pytest.fixture(scope="module")
def finetuned(checkpoint, table):
    """Fitted; to be left as it is."""
    return quick_estimator(checkpoint).fit(table[0])


@pytest.fixture
def warm(finetuned):
    """A fitted one, that goes on from there."""
    return copy.deepcopy(finetuned).set_params(warm_start=True)


class Seen(Callback):
    """Keeps what no copy has: an argument that it was not made with, and what cannot be copied."""

    def __init__(self):
        self.epochs = []
        self.lock = threading.Lock()

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(net.history[-1]["valid_loss"])


def test_callbacks_are_those_of_the_user(checkpoint, few):
    seen, named = Seen(), Seen()
    callbacks = [seen, ("mean", named), Seen]
    strategy = HeadFinetune(max_epochs=2, callbacks=callbacks, baselines=False)
    fitted = quick_estimator(checkpoint, finetune=strategy).fit(few)
    assert seen.epochs == named.epochs == [row["valid_loss"] for row in fitted.history_]
    assert strategy.callbacks == [seen, ("mean", named), Seen]


@pytest.mark.parametrize(
    ("strategy", "match"),
    [
        (FullFinetune(callbacks=[1]), "callbacks must be a list of skorch callbacks.*; got 1 in"),
        (FullFinetune(callbacks=[(1, Seen())]), "callbacks must be a list of skorch callbacks"),
        (FullFinetune(lr=0.0), "lr"),
        (FullFinetune(validation_fraction=1.0), "validation_fraction"),
        (FullFinetune(start="scratch"), "start"),
        (HeadFinetune(max_epochs=0), "max_epochs"),
        (FullFinetune(anchor=-1.0), "anchor"),
        (LoRAFinetune(rank=0), "rank"),
        (LoRAFinetune(rank=17), "rank must be at most the width of the network, 16; got 17"),
    ],
)
def test_bad_settings(strategy, match, checkpoint, table):
    pdt = PretrainedDecisionTransformer(checkpoint=checkpoint, finetune=strategy)
    with pytest.raises(ValueError, match=match):
        pdt.fit(table[0])


def test_no_split_of_few_rows_harms_what_the_prior_knows():
    """Fourteen rows of small counts, which held out in turn seem to take turns by chance."""
    kicks = load_horse_kicks().data
    X, later = kicks[:, :5], kicks[:, 5:]
    problem = Newsvendor(9.0, 1.0)
    zero_shot = PretrainedDecisionTransformer(problem, finetune=None).fit(X).decide(X)
    for seed in (9, 20, 22):  # of splits that did harm, those that most speaks for
        orders = PretrainedDecisionTransformer(problem, random_state=seed).fit(X).decide(X)
        costs = [problem.cost(q[:, None], later).mean() for q in (orders, zero_shot)]
        assert costs[0] <= 1.05 * costs[1]


def test_a_poor_network_is_improved(zero_shot, finetuned, table):
    X, y = table
    before, after = zero_shot, finetuned
    assert before.finetune_report_["reason"] == "finetune=None"
    assert not before.finetune_improved_
    assert after.finetune_improved_
    assert after.n_iter_ > 0
    assert after.finetuned_checkpoint_ is not None
    assert after.score(X, y) > before.score(X, y) + 0.01
    assert {row["fold"] for row in after.history_} == {0, 1, 2}


def test_fits_repeat_and_survive_a_pickle(finetuned, table):
    X, _ = table
    orders = finetuned.decide(X)
    np.testing.assert_array_equal(clone(finetuned).fit(X).decide(X), orders)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(finetuned)).decide(X), orders)


def test_a_baseline_may_be_used(checkpoint, table, zero_shot):
    X, y = table
    strategy = HeadFinetune(max_epochs=1, lr=1e-6)
    fitted = quick_estimator(checkpoint, finetune=strategy).fit(X)
    assert fitted.finetune_report_["candidate"].tolist()[-1] == "baseline"
    assert fitted.finetune_report_["candidate"][fitted.finetune_report_["chosen"]] == ["baseline"]
    assert fitted.score(X, y) > zero_shot.score(X, y)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).decide(X[:5]), fitted.decide(X)[:5]
    )


def test_later_outcomes_are_charged(checkpoint, table):
    X, y = table
    fitted = quick_estimator(checkpoint).fit(X[:, :1], y[:, :5])
    assert "reason" not in fitted.finetune_report_


def test_warm_start_goes_on(finetuned, warm, table):
    X, _ = table
    assert finetuned.finetuned_checkpoint_ is not None
    short = FullFinetune(max_epochs=1, lr=3e-3, baselines=False)
    warm.set_params(finetune=short).fit(X)
    assert warm.history_[0]["valid_loss"] != finetuned.history_[0]["valid_loss"]


def test_a_cold_start_does_not_go_on(finetuned, table):
    again = copy.deepcopy(finetuned)
    again.set_params(finetune=FullFinetune(max_epochs=1, lr=3e-3, baselines=False)).fit(table[0])
    assert again.history_[0]["valid_loss"] == finetuned.history_[0]["valid_loss"]


def test_warm_start_keeps_weights_that_it_cannot_improve(zero_shot, warm, table):
    X, _ = table
    orders = warm.decide(X)
    still = FullFinetune(max_epochs=1, lr=1e-9, baselines=False)
    warm.set_params(finetune=still).fit(X)
    assert warm.finetune_improved_
    np.testing.assert_allclose(warm.decide(X), orders, atol=1)
    assert not np.allclose(zero_shot.decide(X), orders, atol=1)


def test_warm_start_from_another_checkpoint_starts_anew(checkpoint, warm, table):
    X, _ = table
    other = Checkpoint({k: 1.01 * v for k, v in checkpoint.weights.items()}, checkpoint.card)
    short = FullFinetune(max_epochs=1, lr=3e-3, baselines=False)
    warm.set_params(checkpoint=other, finetune=short).fit(X)
    cold = quick_estimator(other, finetune=short).fit(X)
    np.testing.assert_array_equal(warm.decide(X), cold.decide(X))


def test_the_card_of_finetuned_weights_claims_nothing_of_the_pretrained_ones(checkpoint, table):
    card = {k: v for k, v in checkpoint.card.items() if k != "name"}
    fitted = quick_estimator(Checkpoint(checkpoint.weights, card)).fit(table[0])
    found = fitted.finetuned_checkpoint_.card
    assert found["name"] == "unnamed, finetuned"
    assert found["finetuned_from"] == checkpoint.fingerprint()
    assert not {"quality", "history", "training", "sha256"} & set(found)


def test_nothing_to_learn_where_nothing_costs(checkpoint):
    fitted = quick_estimator(checkpoint).fit(np.zeros((60, 3)))
    assert "expected to cost" in fitted.finetune_report_["reason"]
    assert not fitted.finetune_improved_


def test_rows_that_can_be_charged_are_looked_at_first(checkpoint, monkeypatch):
    monkeypatch.setattr(_guard, "MOST_ROWS", 30)
    X = np.full((400, 3), NAN)
    X[:, 0] = np.arange(400) % 7
    X[:14, 1] = 3.0
    strategy = HeadFinetune(max_epochs=1, baselines=False)
    fitted = quick_estimator(checkpoint, finetune=strategy).fit(X)
    assert "reason" not in fitted.finetune_report_


def test_any_validation_fraction_leaves_rows_for_both(checkpoint, table):
    for fraction in (0.001, 0.999):
        strategy = HeadFinetune(max_epochs=1, validation_fraction=fraction, baselines=False)
        fitted = quick_estimator(checkpoint, finetune=strategy).fit(table[0][:12])
        assert "reason" not in fitted.finetune_report_


def test_settings_are_checked_before_anything_is_pretrained(checkpoint, table, monkeypatch):
    monkeypatch.setattr(_own_prior, "pretrain", None)
    pdt = quick_estimator(checkpoint, prior=SyntheticPrior(), finetune=FullFinetune(lr=0.0))
    with pytest.raises(ValueError, match="'lr' parameter"):
        pdt.fit(table[0])


def test_a_scheduler_of_the_users_is_heeded(checkpoint, few):
    rates = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            if training:
                rates.append(net.optimizer_.param_groups[0]["lr"])

    callbacks = [LRScheduler("ExponentialLR", gamma=0.1), Watch()]
    strategy = FullFinetune(lr=1e-2, max_epochs=3, callbacks=callbacks, baselines=False)
    quick_estimator(checkpoint, finetune=strategy).fit(few)
    np.testing.assert_allclose(np.unique(rates), [1e-4, 1e-3, 1e-2], atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns", "finetune", "reason"),
    [
        (
            240,
            1,
            FullFinetune(),
            "every row has one observation at most, of which none can be held out",
        ),
        (11, 6, FullFinetune(), "11 rows to charge are fewer than 12"),
    ],
)
def test_the_report_says_why_nothing_was_trained(
    checkpoint, table, rows, columns, finetune, reason
):
    X = table[0][:rows, :columns]
    fitted = quick_estimator(checkpoint, finetune=finetune).fit(X)
    assert fitted.finetune_report_["reason"] == reason
    np.testing.assert_array_equal(
        fitted.decide(X), quick_estimator(checkpoint, finetune=None).fit(X).decide(X)
    )


def test_ctrl_c_ends_fit(checkpoint, table, monkeypatch):
    """Skorch takes an interrupt for an early stop, and would go on with the next fold."""

    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick_estimator(checkpoint).fit(table[0])


def test_ctrl_c_ends_fit_whatever_callbacks_there_are(checkpoint, table, monkeypatch):
    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick_estimator(checkpoint, finetune=HeadFinetune(callbacks=[Seen()])).fit(table[0])


def test_callbacks_may_stop(checkpoint, few):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    strategy = HeadFinetune(max_epochs=9, callbacks=[Stop()], baselines=False)
    fitted = quick_estimator(checkpoint, finetune=strategy).fit(few)
    assert [row["epoch"] for row in fitted.history_] == [0, 1] * 3


def test_a_fit_that_fails_leaves_the_last_one(checkpoint, few, monkeypatch):
    X, quick = few, HeadFinetune(max_epochs=1, baselines=False)
    estimator = quick_estimator(checkpoint, finetune=quick)
    with pytest.raises(ValueError, match="rank"):
        estimator.set_params(finetune=LoRAFinetune(rank=17)).fit(X)
    with pytest.raises(NotFittedError):
        estimator.decide(X)
    estimator.set_params(finetune=quick).fit(X)
    before, state = estimator.decide(X), vars(estimator).copy()

    def interrupted(self, output, targets):
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneLoss, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X[:, 1:] * 1000.5)
    np.testing.assert_array_equal(estimator.decide(X), before)
    assert vars(estimator).keys() == state.keys()
    assert all(vars(estimator)[name] is value for name, value in state.items())


def test_time_is_for_all_folds(checkpoint, few, monkeypatch):
    """A clock that each look at moves on by a second: a fold has what is left, in equal parts."""
    limits, clock = [], itertools.count()
    monkeypatch.setattr(_guard, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Watch(HeadFinetune):
        def train(self, *args, **kwargs):
            limits.append(self.max_seconds)
            return super().train(*args, **kwargs)

    strategy = Watch(max_epochs=1, max_seconds=10.0, baselines=False)
    quick_estimator(checkpoint, finetune=strategy).fit(few)
    assert limits == [9 / 3, 8 / 2, 7]
    assert strategy.max_seconds == 10.0


def test_later_outcomes_that_are_no_whole_numbers_count(checkpoint, table):
    X, y = table
    whole = quick_estimator(checkpoint, finetune=None).fit(X, y)
    broken = quick_estimator(checkpoint, finetune=None).fit(X, y + 0.5)
    assert whole.integer_
    assert not broken.integer_
    assert (broken.decide(X) % 1 != 0).any()


def test_out_of_time_is_no_interrupt(checkpoint, few):
    strategy = FullFinetune(max_seconds=1e-6, baselines=False)
    fitted = quick_estimator(checkpoint, finetune=strategy).fit(few)
    assert [row["epoch"] for row in fitted.history_] == [0, 0, 0]


def test_one_observation_a_row_leaves_nothing_to_hold_out():
    X = make_demand_portfolio(30, 1, random_state=0)
    fitted = PretrainedDecisionTransformer(random_state=0).fit(X)
    assert fitted.finetune_report_["reason"].startswith("every row has one observation at most")
