"""Predictions of shipped weights stay what they were; ``python tests/test_reference.py`` renews."""

import json
from pathlib import Path

import numpy as np
import pytest

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import load_horse_kicks
from sklearn_pttf.problems import Estimation, Newsvendor, Pricing

FOLDER = Path(__file__).parent / "reference"
LEVELS = [0.001, 0.05, 0.5, 0.9, 0.999]


def _fitted(checkpoint, X, problem=None):
    return PretrainedDecisionTransformer(
        problem, checkpoint=checkpoint, finetune=None, device="cpu"
    ).fit(X)


def _amounts():
    amounts = np.round(np.random.RandomState(0).lognormal(2.0, 0.7, size=(6, 4)), 3)
    amounts[0, 1:], amounts[1] = np.nan, np.nan
    return amounts


def _demand():
    out = {}
    for name, X in (("counts", load_horse_kicks().data[:, :5]), ("amounts", _amounts())):
        fitted = _fitted("demand", X)
        out[f"{name}_cdf"] = fitted.predict_distribution(X).cdf(np.array([[0.0, 1, 5]])).tolist()
        out[f"{name}_orders"] = fitted.predict_quantiles(X, LEVELS).tolist()
        out[f"{name}_mean"] = fitted.predict(X).tolist()
    return out


def _series():
    out, rng = {}, np.random.RandomState(2)
    sold = np.round(rng.lognormal(2.0, 0.7, (6, 1)) * rng.lognormal(0, 0.3, (6, 9)).cumprod(1), 3)
    sold[0, 1:], sold[1] = np.nan, np.nan
    for name, X in (("counts", np.rint(sold)), ("amounts", sold)):
        fitted = _fitted("series", X, Newsvendor(ordered=True, seasons=3))
        out[f"{name}_orders"] = fitted.predict_quantiles(X, LEVELS).tolist()
        out[f"{name}_total"] = fitted.predict_quantiles(X, LEVELS, horizon=3).tolist()
        out[f"{name}_mean"] = fitted.predict(X).tolist()
    return out


def _means(checkpoint, X, problem):
    fitted = _fitted(checkpoint, X, problem)
    return {
        "quantiles": fitted.predict_quantiles(X, LEVELS).tolist(),
        "quantiles_of_mean": fitted.predict_distribution(X, of_mean=True)
        .quantile(np.array([LEVELS]))
        .tolist(),
        "means": fitted.decide(X).tolist(),
    }


def _price():
    rng, out = np.random.RandomState(1), {}
    prices = np.round(rng.uniform(3, 6, size=(8, 4)), 2)
    demand = np.round(300 * prices**-1.5 * rng.lognormal(0, 0.2, size=(8, 4)), 3)
    demand[0, 1:], demand[1] = np.nan, np.nan
    problem = Pricing([0, 1, 2, 3], [4, 5, 6, 7], unit_cost=2.0, bounds=(2.5, 7.0))
    for name, sold in (("counts", np.rint(demand)), ("amounts", demand)):
        X = np.hstack([prices, sold])
        fitted = _fitted("price", X, problem)
        law = fitted.predict_distribution(X, price=4.5)
        out[f"{name}_quantiles"] = law.quantiles[:, ::8].tolist()
        decisions, info = fitted.decide(X, return_info=True)
        out[f"{name}_profit"] = info.expected_profit.tolist()
        assert ((decisions >= 2.5) & (decisions <= 7)).all()
    return out


PREDICTIONS = {
    "demand": _demand,
    "gaussian": lambda: _means("gaussian", _amounts() - 7, Estimation()),
    "poisson": lambda: _means(
        "poisson", load_horse_kicks().data[:, :2], Estimation(noise="poisson")
    ),
    "price": _price,
    "series": _series,
}


@pytest.mark.parametrize("checkpoint", PREDICTIONS)
def test_predictions_are_those_on_file(checkpoint):
    reference = json.loads((FOLDER / f"{checkpoint}.json").read_text(encoding="utf-8"))
    found = PREDICTIONS[checkpoint]()
    assert set(found) == set(reference)
    for name, values in found.items():
        np.testing.assert_allclose(values, reference[name], rtol=1e-6, atol=1e-6, err_msg=name)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for checkpoint, predictions in PREDICTIONS.items():
        path = FOLDER / f"{checkpoint}.json"
        path.write_text(json.dumps(predictions(), indent=1) + "\n", encoding="utf-8")
        print(f"written to {path}")
