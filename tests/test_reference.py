"""Predictions of shipped weights stay what they were; ``python tests/test_reference.py`` renews."""

import json
from pathlib import Path

import numpy as np

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.datasets import load_horse_kicks

PATH = Path(__file__).parent / "reference" / "demand.json"
LEVELS = [0.001, 0.05, 0.5, 0.9, 0.999]


def _predictions():
    kicks = load_horse_kicks().data[:, :5]
    amounts = np.round(np.random.RandomState(0).lognormal(2.0, 0.7, size=(6, 4)), 3)
    amounts[0, 1:], amounts[1] = np.nan, np.nan
    out = {}
    for name, X in (("counts", kicks), ("amounts", amounts)):
        fitted = PretrainedDecisionTransformer(
            checkpoint="demand", finetune=None, device="cpu"
        ).fit(X)
        out[f"{name}_quantiles"] = fitted.predict_distribution(X).quantiles[:, ::8].tolist()
        out[f"{name}_orders"] = fitted.predict_quantiles(X, LEVELS).tolist()
        out[f"{name}_mean"] = fitted.predict(X).tolist()
    return out


def test_predictions_are_those_on_file():
    reference = json.loads(PATH.read_text(encoding="utf-8"))
    found = _predictions()
    assert set(found) == set(reference)
    for name, values in found.items():
        np.testing.assert_allclose(values, reference[name], rtol=1e-6, atol=1e-6, err_msg=name)


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(_predictions(), indent=1) + "\n", encoding="utf-8")
    print(f"written to {PATH}")
