"""Labels whose rows differ in more than their level: decided beside their like."""

import pickle

import numpy as np
import pandas as pd
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Newsvendor

COLUMNS = [f"w{k}" for k in range(4)]
LEVEL = 20.0


def outcomes(kind, rng, size):
    """Steady demand, or none in seven of ten periods; the same mean."""
    steady = rng.poisson(LEVEL, size=(len(kind), size))
    lumpy = rng.poisson(LEVEL / 0.3, size=(len(kind), size)) * (rng.random((len(kind), size)) < 0.3)
    return np.where((kind == "steady")[:, None], steady, lumpy).astype(float)


def table(kind, rng):
    return pd.DataFrame(outcomes(kind, rng, len(COLUMNS)), columns=COLUMNS).assign(kind=kind)


def estimator(attributes=("kind",), ratio=0.9, **roles):
    problem = Newsvendor.from_service_level(
        ratio, observations=COLUMNS, attributes=list(attributes) or None, **roles
    )
    return PretrainedDecisionTransformer(problem, finetune=None, device="cpu")


@pytest.fixture(scope="module")
def apart():
    rng = np.random.default_rng(0)
    X = table(np.array(["steady", "lumpy"] * 60), rng)
    return estimator().fit(X), X


NEW = pd.DataFrame(np.full((2, 4), np.nan), columns=COLUMNS).assign(kind=["steady", "lumpy"])


def test_new_rows_have_the_shape_of_their_label(apart):
    """Poisson of mean 20: 26 at .9. Lumpy: Poisson of mean 67, three times in ten: 70 at .9."""
    found = apart[0].decide(NEW)
    np.testing.assert_allclose(found, [26, 70], rtol=0.08)
    zeros = apart[0].predict_distribution(NEW).cdf(0.0)
    assert zeros[0] < 0.02
    assert abs(zeros[1] - 0.7) < 0.07


def test_weights_grow_with_rows(apart):
    weights = apart[0].attribute_weights_
    assert list(weights) == ["kind"]
    assert set(weights["kind"]) == {"steady", "lumpy"}
    assert min(weights["kind"].values()) > 0.8


def test_rows_cost_less_than_beside_all(apart):
    fitted, X = apart
    later = outcomes(X.kind.to_numpy(), np.random.default_rng(1), 400)

    def cost(orders):
        short = later - orders[:, None]
        return np.maximum(0.9 * short, -0.1 * short).mean()

    plain = estimator(()).fit(X)
    assert cost(fitted.decide(X).to_numpy()) < 0.94 * cost(plain.decide(X).to_numpy())


def test_a_pickle_decides_the_same(apart):
    fitted, X = apart
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decide(X), fitted.decide(X))


def test_order_of_rows_and_batches_does_not_matter(apart):
    fitted, X = apart
    np.testing.assert_array_equal(fitted.decide(X[::-1])[::-1], fitted.decide(X))
    one = np.concatenate([fitted.decide(X[k : k + 1]) for k in range(5)])
    np.testing.assert_array_equal(one, fitted.decide(X)[:5])
    turned = estimator().fit(X[::-1])
    np.testing.assert_allclose(turned.decide(X), fitted.decide(X))


def test_a_label_that_fit_did_not_see_is_beside_all_rows(apart):
    fitted, X = apart
    unknown = NEW.assign(kind=["other", None])
    plain = estimator(()).fit(X).decide(NEW)
    np.testing.assert_allclose(fitted.decide(unknown), plain, rtol=0.1)


def test_totals_of_periods_add_up(apart):
    fitted = apart[0]
    np.testing.assert_allclose(fitted.predict(NEW, horizon=2), 2 * fitted.predict(NEW))
    zeros = fitted.predict_distribution(NEW, horizon=2).cdf(0.0)
    assert zeros[0] < 0.01
    assert abs(zeros[1] - 0.49) < 0.1


def test_labels_that_mean_nothing_change_nothing():
    rng = np.random.default_rng(2)
    X = table(np.repeat("steady", 120), rng).assign(kind=rng.choice(["a", "b", "c"], size=120))
    fitted = estimator().fit(X)
    assert fitted.attribute_weights_ == {}
    np.testing.assert_array_equal(fitted.decide(X), estimator(()).fit(X).decide(X))


@pytest.mark.parametrize("seed", [2, 21])
def test_labels_of_chance_are_not_read_apart(seed):
    """Rows that are very unlike each other; labels that are dealt out gain as much again."""
    rng = np.random.default_rng(seed)
    mean, share = rng.gamma(2, 8, 300)[:, None], rng.beta(2, 3, 300)[:, None]
    sales = rng.poisson(mean, (300, 4)) * (rng.random((300, 4)) > share)
    X = pd.DataFrame(sales, columns=COLUMNS).assign(kind=rng.choice(list("abc"), 300))
    assert estimator().fit(X).attribute_weights_ == {}


def test_few_rows_of_a_label_are_beside_all():
    rng = np.random.default_rng(3)
    kind = np.array(["steady"] * 80 + ["lumpy"] * 9)
    fitted = estimator().fit(table(kind, rng))
    assert fitted.attribute_weights_.get("kind", {}).get("lumpy", 0.0) == 0.0


def test_in_the_order_of_time(apart):
    X = apart[1]
    found = estimator(ordered=True).fit(X).decide(NEW)
    np.testing.assert_allclose(found, [26, 70], rtol=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_noise_of_a_label_is_not_taken_for_a_level(seed):
    """Rows of lumpy demand often sold nothing at all, and yet have the same mean."""
    X = table(np.array(["steady", "lumpy"] * 60), np.random.default_rng(seed))
    assert estimator().fit(X).attribute_effects_ == ()
