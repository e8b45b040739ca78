"""Data sets that are shipped, against their published figures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_pttf.datasets import load_baseball, load_horse_kicks, load_rat_tumors

pytest.importorskip("pandas")


def test_horse_kicks_figures():
    kicks = load_horse_kicks()
    assert kicks.data.shape == (14, 20)
    assert kicks.data.dtype == np.float64
    totals = dict(zip(kicks.instance_names, kicks.data.sum(axis=1), strict=True))
    assert totals == dict(
        G=16,
        I=16,
        II=12,
        III=12,
        IV=8,
        V=11,
        VI=17,
        VII=12,
        VIII=7,
        IX=13,
        X=15,
        XI=25,
        XIV=24,
        XV=8,
    )
    # Bortkiewicz's table of how many corps-years had 0, 1, 2, 3 and 4 deaths
    assert_array_equal(np.bincount(kicks.data.astype(int).ravel()), [144, 91, 32, 11, 2])
    assert kicks.feature_names == [str(year) for year in range(1875, 1895)]
    assert kicks.frame is None
    assert "exchangeable counts" in kicks.DESCR
    assert "Bortkiewicz" in kicks.DESCR


def test_horse_kicks_as_frame():
    plain, framed = load_horse_kicks(), load_horse_kicks(as_frame=True)
    assert framed.data is framed.frame
    assert list(framed.data.index) == plain.instance_names
    assert list(framed.data.columns) == plain.feature_names
    assert_array_equal(framed.data.to_numpy(), plain.data)
    assert framed.data.loc["XIV", "1882"] == 4.0


def test_baseball_figures():
    season = load_baseball()
    assert season.feature_names == ["at_bats", "hits"]
    assert_array_equal(season.data[:, 0], np.full(18, 45.0))
    hits = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]
    assert_array_equal(season.data[:, 1], hits)
    # four decimals of an average of at most 591 at-bats leave a whole number of hits
    remaining_hits = season.target * season.remaining_at_bats
    assert_allclose(remaining_hits, np.rint(remaining_hits), atol=591 * 0.00005)
    assert season.instance_names[0] == "Roberto Clemente"
    assert season.target[0] == 0.346
    assert season.frame is None
    assert "Efron" in season.DESCR


def test_baseball_shrinkage_pays():
    season = load_baseball()
    own = season.data[:, 1] / season.data[:, 0]
    pooled = np.full(18, own.mean())
    closer = np.abs(pooled - season.target) < np.abs(own - season.target)
    assert closer.sum() == 14


def test_baseball_as_frame():
    plain, framed = load_baseball(), load_baseball(as_frame=True)
    columns = ["at_bats", "hits", "remaining_at_bats", "remaining_average"]
    assert list(framed.frame.columns) == columns
    assert framed.frame.index.name == "player"
    assert list(framed.data.columns) == ["at_bats", "hits"]
    assert_array_equal(framed.data.to_numpy(), plain.data)
    assert framed.target.name == "remaining_average"
    assert_array_equal(framed.target.to_numpy(), plain.target)
    assert_array_equal(framed.remaining_at_bats.to_numpy(), plain.remaining_at_bats)
    assert framed.target["Max Alvis"] == 0.2


def test_rat_tumors_are_those_of_the_book():
    """Table 5.1 of Gelman et al.: 267 of 1,739; 14 experiments without; the last one is 4 of 14."""
    rats = load_rat_tumors()
    tumors, trials = rats.data.T
    assert rats.data.shape == (71, 2)
    assert (tumors.sum(), trials.sum()) == (267, 1739)
    assert (tumors == 0).sum() == 14
    assert rats.data[-1].tolist() == [4, 14]
    assert rats.data[[22, 31, 66]].tolist() == [[2, 25], [1, 10], [16, 52]]
    assert (tumors < trials).all()
    assert rats.feature_names == ["tumors", "rats"]
    assert rats.instance_names == [str(k) for k in range(1, 72)]
    assert "Tarone" in rats.DESCR
    framed = load_rat_tumors(as_frame=True)
    assert framed.data is framed.frame
    assert framed.frame.index.name == "experiment"
    assert_array_equal(framed.data.to_numpy(), rats.data)


@pytest.mark.parametrize("load", [load_horse_kicks, load_baseball, load_rat_tumors])
def test_loaders_give_fresh_arrays(load):
    first = load()
    first.data[:] = -1.0
    assert load().data.min() >= 0.0
