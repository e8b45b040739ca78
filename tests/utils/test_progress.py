"""Bars and words about what takes long."""

import threading
import warnings
from functools import partial

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._utils import progress
from sklearn_pttf._utils.progress import bar, showing
from sklearn_pttf.exceptions import LongFitWarning
from sklearn_pttf.finetune import FullFinetune, _watch
from sklearn_pttf.finetune._watch import WATCH, Watch

TWO = FullFinetune(max_epochs=2)


def test_bars_are_shown_where_they_are_asked_for(capsys):
    assert list(bar([1, 2], what="a", unit="b", delay=0)) == [1, 2]
    assert capsys.readouterr().err == ""
    with showing(1):
        assert list(bar([1, 2], what="charging", unit="period", delay=0)) == [1, 2]
        with showing(0):  # of a fit within
            list(bar([1, 2], what="inside", unit="b", delay=0))
    err = capsys.readouterr().err
    assert "charging" in err
    assert "inside" not in err
    with showing(1):  # too short to be shown
        list(bar([1, 2], what="a", unit="b"))
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_after_an_error():
    with pytest.raises(ValueError, match="no"), showing(1):
        raise ValueError("no")
    assert bar([], what="a", unit="b").disable


def _said(watch, *epochs):
    with watch:
        for number, seconds in enumerate(epochs):
            watch.epoch(number, seconds)
        watch.end_fold()


def test_how_long_it_will_take_is_said_after_the_first_epochs():
    told = []
    # epoch 0 makes no steps: 15 of 4 * 3 = 12 seconds, in each of 3 folds
    _said(Watch(FullFinetune(), 3, told.append), 4.0, 13.0, 13.0)
    assert told == ["training will take about 9 minutes"]
    _said(Watch(FullFinetune(), 3, told.append), 60.0, 1.0)  # the first had to warm up
    _said(Watch(TWO, 3, told.append), 3.0, 9.0)  # 3 * 2 * 9 are less than a minute
    _said(Watch(FullFinetune(max_seconds=30.0), 3, told.append), 60.0, 200.0)
    assert len(told) == 1
    with pytest.warns(LongFitWarning, match="Training will take about 2 minutes; verbose=1 shows"):
        _said(Watch(TWO, 2, None), 100.0, 30.0)
    assert WATCH.get() is None


@pytest.fixture
def sales():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(2.0, 5.0, (40, 1)), (40, 5)).astype(float)


def test_fits_show_every_phase(sales, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    monkeypatch.setattr(progress, "tqdm", partial(progress.tqdm, mininterval=0.0))
    monkeypatch.setattr(_watch, "LONG", 0.0)
    strategy = FullFinetune(max_epochs=2)
    PretrainedDecisionTransformer(finetune=strategy, random_state=0, verbose=1).fit(sales)
    out, err = capsys.readouterr()
    for phase in ("reading", "charging", "finetuning", "ShrunkenSampleAverage", "PooledRatio"):
        assert phase in err
    assert "6/6" in err.replace(" ", "")  # two epochs of three folds
    assert "Finetuning: training will take about 1 minute." in out
    n_threads = threading.active_count()
    with pytest.warns(LongFitWarning):
        PretrainedDecisionTransformer(finetune=strategy, random_state=0).fit(sales)
    assert capsys.readouterr() == ("", "")
    assert threading.active_count() <= n_threads


def test_short_fits_warn_of_nothing(sales):
    class Ends(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("error", LongFitWarning)
        strategy = FullFinetune(max_epochs=3, callbacks=[Ends()])
        fitted = PretrainedDecisionTransformer(finetune=strategy, random_state=0).fit(sales)
    assert fitted.n_iter_ == 0
